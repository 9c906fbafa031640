//! `demo`: a whole story on a desk of its own, told step by step. Everything goes through the same routes as in a
//! running service; nothing here knows a rule of the newsroom.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use copydesk::config::Config;
use copydesk::service::{self, Embedded};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::front::Story;
use super::gate;
use super::members::Members;
use super::refused::Refused;
use super::screen::{BAD, BOLD, DIM, GOOD, Screen, WIDTH};
use super::story::{self, Claim, Fix};
use super::{Ending, Global, complain, feed, opening, safe, show};

/// How long an edition may take to reach the feed.
const FEED_WITHIN: Duration = Duration::from_secs(5);
/// How often the feed is looked at meanwhile.
const FEED_LOOK: Duration = Duration::from_millis(10);

/// `copydesk demo`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk demo               the sample story, from first draft to its correction
  copydesk demo STORY.md      a story of your own, up to the shut gate, and the commands that would open it

The desk lies in a temporary folder that is kept, so that you can look at it afterwards.")]
pub struct Demo {
    /// A Markdown story of your own, with front matter if you like
    story: Option<PathBuf>,
}

impl Demo {
    pub async fn run(self, _: &Global, screen: &mut Screen) -> anyhow::Result<Ending> {
        let own = self.story.as_deref().map(read_own).transpose()?;
        let (mut config, _) = Config::trial()?;
        let folder = temporary_folder()?;
        config.store.path.clone_from(&folder);
        let desk =
            service::embedded(&config).await.context("no desk could be opened for the demonstration")?;
        let played = play(Arc::clone(&desk), &folder, own, screen).await;
        let closed = desk.close().await;
        played?;
        closed?;
        Ok(Ending::Done)
    }
}

/// A new folder that only its owner can look into: a story of one's own isn't for other users of the machine.
fn temporary_folder() -> anyhow::Result<PathBuf> {
    let (name, _, _, _) = uuid::Uuid::new_v4().as_fields();
    let folder = std::env::temp_dir().join(format!("copydesk-demo-{name:08x}"));
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).with_context(|| format!("{} can't be made", folder.display()))?;
    Ok(folder)
}

fn read_own(file: &Path) -> anyhow::Result<(String, Value)> {
    let name = file.display().to_string();
    let read = || format!("{name} can't be read as a story");
    let story = Story::read(&std::fs::read_to_string(file).with_context(read)?).with_context(read)?;
    if !story.unknown.is_empty() {
        complain(&format!("{name}: left out, no article has {}", story.unknown.join(", ")));
    }
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    Ok((name.clone(), story.draft(&Config::default().desk.language, stem)))
}

/// The sample story, or one's own.
async fn play(
    desk: Arc<dyn Embedded>,
    folder: &Path,
    own: Option<(String, Value)>,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let (name, draft) = match &own {
        Some((name, draft)) => (name.as_str(), draft.clone()),
        None => ("the sample story", Story::read(story::STORY)?.draft("en", "story")),
    };
    screen.line(screen.paint(BOLD, &safe::cut(&format!("Through the desk: {name}"), 80)))?;
    let mut play = Play {
        client: Client::in_process(Arc::clone(&desk), "ana"),
        desk,
        screen,
        article: Value::Null,
        seq: 0,
        step: 0,
    };
    play.draft(draft).await?;
    match own {
        None => play.sample().await?,
        Some(_) => opening::story(&mut play, folder).await?,
    }
    play.ending(folder).await
}

/// A story under way.
pub struct Play<'a> {
    client: Client,
    desk: Arc<dyn Embedded>,
    /// Where it is told.
    pub screen: &'a mut Screen,
    /// The article, as it was last read.
    pub article: Value,
    seq: u64,
    step: u32,
}

impl Play<'_> {
    /// The sample story after its first draft.
    async fn sample(&mut self) -> anyhow::Result<()> {
        let claims = story::claims()?;
        let ids = self.raise(&claims).await?;
        self.check(&claims, &ids).await?;
        self.step("pia", "tries to publish")?;
        self.refused("pia", "publish", json!({}), "gate_shut").await?;

        let fixes: Vec<&Fix> = claims.iter().filter_map(|claim| claim.fix.as_ref()).collect();
        self.step("emil", "puts the errors right")?;
        self.fix("emil", &fixes).await?;
        self.rule_again(&claims, &ids).await?;
        self.step("ana", "submits it for review")?;
        self.told("ana", "submit", json!({})).await?;
        self.step("emil", "tries to approve what he edited himself")?;
        self.refused("emil", "approve", json!({}), "four_eyes").await?;
        self.step("eva", "approves")?;
        self.told("eva", "approve", json!({})).await?;
        self.step("pia", "publishes")?;
        self.told("pia", "publish", json!({})).await?;

        self.step("emil", "finds that the published text says too much")?;
        self.fix("emil", &[&story::CORRECTION]).await?;
        self.step("eva", "approves the new words")?;
        self.told("eva", "approve", json!({})).await?;
        self.step("pia", "publishes the correction")?;
        let note = json!({"kind": "correction", "note": story::CORRECTION_NOTE});
        self.screen.wrapped(
            4,
            &format!("Readers are told: {}", story::CORRECTION_NOTE),
            anstyle::Style::new(),
        )?;
        self.told("pia", "publish", note).await?;
        self.feed(&story::CORRECTION.with).await
    }

    async fn draft(&mut self, draft: Value) -> anyhow::Result<()> {
        self.step("ana", "drafts it")?;
        let headline = Some(draft.at("data").text("headline")).filter(|headline| !headline.is_empty());
        self.screen.wrapped(4, headline.unwrap_or("(no headline)"), anstyle::Style::new())?;
        let answer = self.client.acting_as("ana").command(&draft).await?;
        self.seq = answer.at("seq").as_u64().unwrap_or_default();
        self.article = json!({"article": answer.at("article")});
        self.look().await?;
        self.outcome()
    }

    /// Each claim is raised by the reporter; gives their ids.
    async fn raise(&mut self, claims: &[Claim]) -> anyhow::Result<Vec<String>> {
        self.step("ana", "raises the claims that the story rests on")?;
        let mut ids = Vec::new();
        for claim in claims {
            let mut data = json!({"quote": claim.quote, "kind": claim.kind, "material": claim.material});
            if let Some(field) = &claim.field {
                data.put("field", json!(field));
            }
            if let Some(whom) = &claim.attributed_to {
                data.put("attributed_to", json!(whom));
            }
            let id = self.send("ana", "claim", data).await?;
            let id = id.text("created").to_owned();
            let quote = safe::cut(&format!("“{}”", claim.quote), 59);
            self.screen.line(format!("    {}  {}  {quote}", safe::pad(&id, 3), safe::pad(&claim.kind, 9)))?;
            ids.push(id);
        }
        self.look().await?;
        self.outcome()?;
        Ok(ids)
    }

    /// The checker cites evidence and rules.
    async fn check(&mut self, claims: &[Claim], ids: &[String]) -> anyhow::Result<()> {
        self.step("chen", "cites the evidence")?;
        for (claim, id) in claims.iter().zip(ids) {
            for evidence in &claim.evidence {
                let data =
                    json!({"claim": id, "title": evidence.title, "url": evidence.url, "note": evidence.note});
                self.send("chen", "cite", data).await?;
                self.screen.line(format!("    {}  {}", safe::pad(id, 3), safe::cut(&evidence.title, 70)))?;
            }
        }
        self.step("chen", "rules on each claim")?;
        for (claim, id) in claims.iter().zip(ids) {
            let mut data = json!({"claim": id, "verdict": claim.verdict});
            if let Some(note) = &claim.note {
                data.put("note", json!(note));
            }
            self.send("chen", "rule", data).await?;
            self.ruled(id, &claim.verdict, claim.note.as_deref())?;
        }
        self.look().await?;
        self.outcome()
    }

    /// The edit made some verdicts stale; the checker rules on the new words.
    async fn rule_again(&mut self, claims: &[Claim], ids: &[String]) -> anyhow::Result<()> {
        self.step("chen", "rules again, on the new words")?;
        for (claim, id) in claims.iter().zip(ids) {
            let (Some(fix), Some(verdict)) = (&claim.fix, &claim.verdict_after_fix) else { continue };
            let data = json!({"claim": id, "verdict": verdict, "quote": fix.with});
            self.send("chen", "rule", data).await?;
            self.ruled(id, verdict, None)?;
        }
        self.look().await?;
        self.outcome()
    }

    fn ruled(&mut self, id: &str, verdict: &str, note: Option<&str>) -> anyhow::Result<()> {
        let (word, style) = show::verdict(&json!({"state": "ruled", "verdict": verdict}));
        let word = self.screen.paint(style, &safe::pad(&word, 12));
        let mut notes = safe::wrap(note.unwrap_or_default(), 57).into_iter();
        let first = notes.next().unwrap_or_default();
        self.screen.line(format!("    {}  {word}  {}", safe::pad(id, 3), self.screen.paint(DIM, &first)))?;
        for line in notes {
            self.screen.line(format!("{:23}{}", "", self.screen.paint(DIM, &line)))?;
        }
        Ok(())
    }

    /// Puts words right, in the headline and in paragraphs, with one edit.
    async fn fix(&mut self, actor: &str, fixes: &[&Fix]) -> anyhow::Result<()> {
        let data = edit(&self.article, fixes)?;
        for fix in fixes {
            for (mark, words, style) in [("-", &fix.replace, BAD), ("+", &fix.with, GOOD)] {
                for line in safe::wrap(words, 72) {
                    self.screen.line(format!(
                        "    {} {}",
                        self.screen.paint(style, mark),
                        self.screen.paint(style, &line)
                    ))?;
                }
            }
        }
        self.send(actor, "edit", data).await?;
        self.look().await?;
        let claims = self.article.list("claims");
        let stale = claims.iter().filter(|claim| claim.at("state") == "stale").map(|claim| claim.text("id"));
        let stale: Vec<_> = stale.collect();
        let stands = claims.iter().filter(|claim| claim.at("state") == "ruled").count();
        let what = match stale.as_slice() {
            [] => format!("No verdict went stale: all {stands} stand."),
            _ => format!(
                "Gone stale, because their sentences changed: {}. {stands} other verdicts stand.",
                stale.join(", ")
            ),
        };
        self.screen.wrapped(4, &what, anstyle::Style::new())?;
        self.outcome()
    }

    /// Begins a step: its number, who, what.
    pub fn step(&mut self, actor: &str, what: &str) -> anyhow::Result<()> {
        self.step += 1;
        let newsroom = self.desk.newsroom();
        let name = newsroom.person(actor).map_or(actor, |person| person.name.as_str());
        let head = self.screen.paint(BOLD, &format!("{:>2}  {name}, {what}", self.step));
        self.screen.line("")?;
        Ok(self.screen.line(head)?)
    }

    /// Sends a command on the revision that was last read.
    pub async fn send(&mut self, actor: &str, kind: &str, data: Value) -> anyhow::Result<Value> {
        let command = command(&self.article, kind, data);
        let answer = self.client.acting_as(actor).command(&command).await?;
        self.seq = answer.at("seq").as_u64().unwrap_or(self.seq);
        Ok(answer)
    }

    /// Sends a command and tells the outcome.
    async fn told(&mut self, actor: &str, kind: &str, data: Value) -> anyhow::Result<()> {
        self.send(actor, kind, data).await?;
        self.look().await?;
        self.outcome()
    }

    /// Sends a command that the desk must refuse, and tells why it did.
    pub async fn refused(&mut self, actor: &str, kind: &str, data: Value, code: &str) -> anyhow::Result<()> {
        let command = command(&self.article, kind, data);
        let refused = match self.client.acting_as(actor).command(&command).await {
            Ok(_) => bail!("the desk accepted what it should have refused: {kind} by {actor}"),
            Err(error) => error.downcast::<Refused>()?,
        };
        if refused.code() != code {
            return Err(refused.into());
        }
        let head = format!("refused: {} {code}", refused.status);
        self.screen.line(format!("    {}", self.screen.paint(BAD, &head)))?;
        if refused.reasons().is_empty() {
            self.screen.wrapped(4, refused.problem.text("detail"), anstyle::Style::new())?;
        }
        for reason in refused.reasons() {
            let lines = safe::wrap(reason.text("detail"), 56);
            let code = self.screen.paint(DIM, &safe::pad(reason.text("code"), 16));
            for (at, line) in lines.iter().enumerate() {
                let head = if at == 0 { code.clone() } else { " ".repeat(16) };
                self.screen.line(format!("    {head}  {line}"))?;
            }
        }
        Ok(())
    }

    /// Reads the article as it is after the last answer.
    pub async fn look(&mut self) -> anyhow::Result<()> {
        let path = format!("/v1/articles/{}?min_seq={}", self.id(), self.seq);
        self.article = self.client.get(&path).await?;
        Ok(())
    }

    /// The article's id.
    pub fn id(&self) -> String {
        self.article.text("article").to_owned()
    }

    /// The article's events, as they are stored.
    pub async fn history(&self) -> anyhow::Result<Value> {
        self.client.get(&format!("/v1/articles/{}/history?min_seq={}", self.id(), self.seq)).await
    }

    /// How the article stands, and its gate so far.
    pub fn outcome(&mut self) -> anyhow::Result<()> {
        self.screen.wrapped(4, &show::standing(&self.article), DIM)?;
        let gate = self.article.at("gate");
        let style = if gate.at("open") == true { GOOD } else { anstyle::Style::new() };
        Ok(self.screen.wrapped(4, &format!("gate {}", gate::summary(gate)), style)?)
    }

    /// The feed's entry, once it has these words.
    async fn feed(&mut self, words: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + FEED_WITHIN;
        loop {
            let feed = self.client.get("/feed.json").await?;
            let items = feed.list("items");
            if let Some(item) = items.iter().find(|item| item.to_string().contains(words)) {
                self.screen
                    .line(format!("\n{}", self.screen.paint(BOLD, "What readers get, from /feed.json")))?;
                return Ok(feed::entry(self.screen, 4, item)?);
            }
            if Instant::now() > deadline {
                bail!("the correction didn't reach the feed within {} s", FEED_WITHIN.as_secs());
            }
            tokio::time::sleep(FEED_LOOK).await;
        }
    }

    /// That the state is the log's, where it all lies, and how to look at it.
    async fn ending(&mut self, folder: &Path) -> anyhow::Result<()> {
        let fold = self.desk.check_fold().await.context("the state isn't what the log folds to")?;
        let (articles, events) = (fold.articles, fold.events);
        let plural = if articles == 1 { "article" } else { "articles" };
        let folder = folder.display();
        let screen = &mut *self.screen;
        screen.line(format!("\n{}", screen.paint(BOLD, "The log")))?;
        screen.line(format!(
            "    {}: the state equals a fresh fold of all {events} events ({articles} {plural})",
            screen.paint(GOOD, "verified")
        ))?;
        screen.line(format!("    kept in {folder}"))?;
        screen.line(format!("\n{}", screen.paint(BOLD, "Look at it")))?;
        let id = self.article.text("article");
        for verb in [format!("show {id}"), format!("history {id}"), "board".to_owned(), "replay".to_owned()] {
            let (verb, data) = (format!("    copydesk {verb}"), format!("--data {folder}"));
            let fits = verb.len() + 1 + data.len() <= WIDTH;
            screen.line(format!("{verb} {}{data}", if fits { "" } else { "\\\n        " }))?;
        }
        Ok(())
    }
}

/// A command on the article as it was last read.
pub fn command(article: &Value, kind: &str, data: Value) -> Value {
    json!({
        "id": uuid::Uuid::new_v4(),
        "type": kind,
        "article": article.at("article"),
        "base": article.at("revision"),
        "data": data,
    })
}

/// The data of an edit that replaces words where they stand: in the headline or in a paragraph.
fn edit(article: &Value, fixes: &[&Fix]) -> anyhow::Result<Value> {
    let mut headline = article.at("fields").text("headline").to_owned();
    let before = headline.clone();
    let mut blocks: Vec<(String, String, bool)> = article
        .list("blocks")
        .iter()
        .map(|block| (block.text("id").to_owned(), block.text("text").to_owned(), false))
        .collect();
    for fix in fixes {
        let there = headline.contains(&*fix.replace);
        let block = blocks.iter_mut().find(|(_, words, _)| words.contains(&*fix.replace));
        match block {
            _ if there => headline = headline.replacen(&*fix.replace, &fix.with, 1),
            Some((_, words, changed)) => {
                *words = words.replacen(&*fix.replace, &fix.with, 1);
                *changed = true;
            }
            None => bail!("the words to be put right aren't in the text: {}", fix.replace),
        }
    }
    let mut data = Map::new();
    if headline != before {
        data.insert("set".to_owned(), json!({"headline": headline}));
    }
    let changed = blocks.into_iter().filter(|(_, _, changed)| *changed);
    let ops: Vec<_> =
        changed.map(|(block, words, _)| json!({"op": "replace", "block": block, "text": words})).collect();
    if !ops.is_empty() {
        data.insert("ops".to_owned(), ops.into());
    }
    Ok(data.into())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{TestDesk, shown};
    use super::*;

    async fn told(own: Option<(String, Value)>) -> (TestDesk, String) {
        let desk = TestDesk::new();
        let (mut screen, out) = shown(false);
        play(Arc::new(desk.clone()), Path::new("/tmp/copydesk-demo"), own, &mut screen).await.unwrap();
        screen.flush().unwrap();
        (desk, out.text())
    }

    #[tokio::test]
    async fn the_sample_story_goes_from_draft_to_correction() {
        let (_, text) = told(None).await;
        for expected in [
            "refused: 422 gate_shut",
            "Gone stale, because their sentences changed: c4, c5. 4 other verdicts stand.",
            "refused: 403 four_eyes",
            "gate open",
            "published · edition 1",
            "No verdict went stale: all 6 stand.",
            "published · edition 2",
            "verified: the state equals a fresh fold",
        ] {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
        for line in text.lines() {
            assert!(unicode_width::UnicodeWidthStr::width(line) <= 80, "{line}");
        }
    }

    #[tokio::test]
    async fn the_commands_printed_for_a_story_of_ones_own_open_its_gate() {
        let own = "---\nimage: {uri: \"https://media.example.test/a.jpg\"}\n---\n\n\"We won't,\" she said. It cost 12 million.\n\nWords. It cost 12 million.\n\n- a 5\n- “b”";
        let draft = Story::read(own).unwrap().draft("en", "mine");
        let (desk, text) = told(Some(("mine.md".to_owned(), draft))).await;
        assert!(text.contains("gate shut: "), "{text}");
        let mut actor = String::new();
        let mut last = Value::Null;
        for line in text.lines() {
            if let Some((_, after)) = line.split_once("--as ") {
                actor = after.split_whitespace().next().unwrap().to_owned();
            }
            if line.starts_with('{') {
                let command = serde_json::from_str(line).unwrap();
                last = desk
                    .client(&actor)
                    .command(&command)
                    .await
                    .unwrap_or_else(|error| panic!("{error}: {line}\n{text}"));
            }
        }
        assert_eq!(last["status"], "published", "{text}");
    }
}
