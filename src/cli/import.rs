//! `import`: stories from files into drafts. The same story imported twice is one article.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use copydesk::agency::{self, Defaults, Item};
use copydesk_article::fields::is_section;
use copydesk_article::problem::Code;
use serde_json::{Value, json};

use super::client::Client;
use super::front::{Story, command_id};
use super::members::Members;
use super::refused::Refused;
use super::screen::Screen;
use super::{Ending, Global, Misuse, complain, safe};

mod wire;

/// `copydesk import`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk import story.md
  copydesk import stories/*.md --data ./copydesk-data --as ana
  copydesk import inbox/*.json --source dpa --section world
  copydesk import commands.jsonl

Markdown (.md) with front matter, IPTC ninjs 1.x to 3.x (.json: an item, a list of items, or {\"items\": […]}), or JSON
lines of commands (.jsonl). What is missing (language, slug) comes from the configuration and the headline; the rest is
left to the gate.

What was imported before is skipped. A newer version of an agency's story becomes an edit of what the agency changed;
where the newsroom changed the same, and where the agency takes its story back, a blocking question is raised on the
article.")]
pub struct Import {
    /// The files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// For ninjs: whose the stories are, before what they say of it
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// For ninjs: the section of stories that come without one
    #[arg(long)]
    section: Option<String>,
}

/// What is on its way in.
enum Work {
    Command(Value),
    Story(Box<Item>),
}

/// It, or why there is none, under its name.
type Named = (String, anyhow::Result<Work>);

impl Import {
    pub async fn run(&self, client: &Client, global: &Global, screen: &mut Screen) -> anyhow::Result<Ending> {
        let defaults = self.defaults(global.config()?.desk.language)?;
        let mut ending = Ending::Done;
        let mut parts: Vec<Named> = self.files.iter().flat_map(|file| in_file(file, &defaults)).collect();
        in_order(&mut parts);
        for (name, work) in parts {
            let imported = match work {
                Ok(Work::Command(command)) => one(client, &name, &command, screen).await,
                Ok(Work::Story(item)) => wire::one(client, &name, &item, screen).await,
                Err(error) => Err(error),
            };
            if let Err(error) = imported {
                screen.flush()?;
                ending = Ending::Refused;
                if screen.json {
                    let problem = error.downcast_ref::<Refused>().map(|refused| refused.problem.clone());
                    let problem = problem.unwrap_or_else(|| json!(format!("{error:#}")));
                    screen.value(&json!({"file": name, "imported": false, "problem": problem}))?;
                } else {
                    complain(&format!("{name}: {error:#}"));
                }
            }
        }
        Ok(ending)
    }

    fn defaults(&self, language: String) -> anyhow::Result<Defaults> {
        if self.section.as_deref().is_some_and(|section| !is_section(section)) {
            bail!(Misuse("--section: up to 4 tokens of a-z, 0-9 and -, joined by /".to_owned()));
        }
        let source = self.source.as_deref().map(str::trim);
        if source.is_some_and(str::is_empty) {
            bail!(Misuse("--source: a name can't be blank".to_owned()));
        }
        Ok(Defaults { source: source.map(str::to_owned), section: self.section.clone(), language })
    }
}

/// What a file holds; each part under a name of its own where there are several.
fn in_file(file: &Path, defaults: &Defaults) -> Vec<Named> {
    let name = safe::line(&file.display().to_string());
    match read(file, defaults) {
        Ok(parts) if parts.len() == 1 => parts.into_iter().map(|(_, part)| (name.clone(), part)).collect(),
        Ok(parts) => parts.into_iter().map(|(at, part)| (format!("{name}:{at}"), part)).collect(),
        Err(error) => vec![(name, Err(error))],
    }
}

/// The parts of a file, by line or by number.
fn read(file: &Path, defaults: &Defaults) -> anyhow::Result<Vec<(usize, anyhow::Result<Work>)>> {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let whole = || std::fs::read_to_string(file).context("it can't be read as text (UTF-8)");
    match extension.to_ascii_lowercase().as_str() {
        "md" | "markdown" => {
            let story = Story::read(&whole()?)?;
            if !story.unknown.is_empty() {
                complain(&format!(
                    "{}: left out, no article has {}",
                    file.display(),
                    story.unknown.join(", ")
                ));
            }
            let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            Ok(vec![(1, Ok(Work::Command(story.draft(&defaults.language, stem))))])
        }
        "jsonl" | "ndjson" => {
            let text = whole()?;
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            let command = |line| command(line, &defaults.language).map(Work::Command);
            Ok(lines.map(|(at, line)| (at + 1, command(line))).collect())
        }
        "json" | "ninjs" => {
            let items = agency::items(&whole()?)?;
            let read = |text: &str| Ok(Work::Story(Box::new(Item::read(text, defaults)?)));
            Ok((1..).zip(items.iter().map(|item| read(item.get()))).collect())
        }
        _ => bail!("what is it? Markdown is named .md, ninjs .json, JSON lines of commands .jsonl"),
    }
}

/// Puts the versions of a story that come together the oldest first, each in a place of one of them; what takes a story back
/// after what it may be taking back.
fn in_order(parts: &mut [Named]) {
    let mut stories: std::collections::BTreeMap<uuid::Uuid, Vec<usize>> = std::collections::BTreeMap::new();
    for (at, (_, part)) in parts.iter().enumerate() {
        if let Ok(Work::Story(item)) = part {
            stories.entry(item.article()).or_default().push(at);
        }
    }
    let comes_after = |first: &Named, second: &Named| {
        let ((_, Ok(Work::Story(first))), (_, Ok(Work::Story(second)))) = (first, second) else {
            return false;
        };
        let takes_back = |item: &Item| item.status != agency::Status::Usable;
        match agency::compare(&first.version, &second.version) {
            Some(Ordering::Greater) => true,
            Some(Ordering::Less) => false,
            Some(Ordering::Equal) | None => takes_back(first) && !takes_back(second),
        }
    };
    for places in stories.into_values().filter(|places| places.len() > 1) {
        // Versions without an order between them stay as they come.
        for end in 1..places.len() {
            for pair in places.get(..=end).unwrap_or_default().windows(2).rev() {
                let [a, b] = *pair else { continue };
                let (Some(first), Some(second)) = (parts.get(a), parts.get(b)) else { continue };
                if comes_after(first, second) {
                    parts.swap(a, b);
                }
            }
        }
    }
}

/// A command of JSON lines; a draft without id, language or slug gets them.
fn command(line: &str, language: &str) -> anyhow::Result<Value> {
    // The core's reader first: it refuses keys that are there twice, which serde_json would drop.
    copydesk_article::json::parse(line.as_bytes()).map_err(|problem| anyhow::anyhow!(problem.detail))?;
    let mut command: Value = serde_json::from_str(line).context("not JSON")?;
    let Some(members) = command.as_object_mut() else { bail!("a command is a JSON object") };
    if *members.entry("type").or_insert_with(|| "draft".into()) != "draft" {
        return Ok(command);
    }
    let Some(data) = members.get("data").and_then(Value::as_object).cloned() else {
        bail!("a draft has `data`")
    };
    let id = members.get("id").cloned().unwrap_or_else(|| json!(command_id(&data)));
    let filled = Story { data, unknown: Vec::new() }.draft(language, "imported");
    members.insert("id".to_owned(), id);
    members.insert("data".to_owned(), filled.at("data").clone());
    Ok(command)
}

async fn one(client: &Client, name: &str, command: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    let reply = client.send(command.to_string().into()).await?;
    let answer = reply.accepted().map_err(|error| match error.downcast_ref::<Refused>() {
        Some(refused) if refused.code() == Code::IdReused.name() => {
            error.context("imported before, by someone else or with other defaults")
        }
        _ => error,
    })?;
    if screen.json {
        screen.value(&json!({"file": name, "imported": true, "answer": answer}))?;
        return Ok(());
    }
    let slug = command.at("data").text("slug");
    let what = match (answer.at("duplicate") == true, command.text("type")) {
        (true, _) => "already imported as",
        (false, "draft") => "imported as",
        (false, other) => other,
    };
    let line = format!("{name}: {what} {} {slug}", answer.text("article"));
    screen.line(safe::line(&line))?;
    warnings(&answer, screen)
}

/// What an answer warns of.
fn warnings(answer: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    for warning in answer.list("warnings") {
        screen.line(format!(
            "  {}: {}",
            safe::line(warning.text("code")),
            safe::line(warning.text("detail"))
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{TestDesk, shown};
    use super::*;

    #[tokio::test]
    async fn the_same_story_imported_twice_is_one_article() {
        let desk = TestDesk::new();
        let client = desk.client("ana");
        let story = Story::read("---\nheadline: A story\nsection: world\n---\n\nWords.").unwrap();
        let draft = story.draft("en", "file");
        let (mut screen, out) = shown(false);
        one(&client, "a.md", &draft, &mut screen).await.unwrap();
        one(&client, "elsewhere/b.md", &draft, &mut screen).await.unwrap();
        screen.flush().unwrap();
        let text = out.text();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("a.md: imported as ") && lines[0].ends_with(" a-story"), "{lines:?}");
        assert!(lines[1].starts_with("elsewhere/b.md: already imported as "), "{lines:?}");
        assert!(one(&desk.client("emil"), "a.md", &draft, &mut screen).await.is_err());
    }

    #[test]
    fn json_lines_get_what_is_missing_and_keep_what_is_there() {
        let draft = command(r#"{"data":{"headline":"Two words"}}"#, "de").unwrap();
        assert_eq!(draft["data"]["slug"], "two-words");
        assert_eq!(draft["data"]["language"], "de");
        assert_eq!(draft["id"], command(r#"{"data":{"headline":"Two words"}}"#, "en").unwrap()["id"]);
        let given = command(r#"{"id":"x","type":"edit","data":{}}"#, "en").unwrap();
        assert_eq!(given, json!({"id": "x", "type": "edit", "data": {}}));
        assert!(command(r#"{"id":1,"id":2}"#, "en").is_err());
        assert!(command("[1]", "en").is_err() && command("{", "en").is_err());
    }
}
