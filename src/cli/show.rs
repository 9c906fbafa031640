//! `show`: an article as people read it.

use std::io;

use anstyle::Style;
use clap::Args;
use serde_json::Value;

use super::Ending;
use super::client::{Client, with_query};
use super::gate;
use super::history::moment;
use super::members::Members;
use super::safe;
use super::screen::{BAD, BOLD, DIM, GOOD, Screen, WARN, WIDTH};

/// Fields that are shown as a line each, in the order in which people read them.
const LINES: &[&str] = &[
    "slug",
    "section",
    "language",
    "urgency",
    "byline",
    "dateline",
    "keywords",
    "subjects",
    "people",
    "organisations",
    "places",
    "related",
];

/// `copydesk show`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk show 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01
  copydesk show 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01 --revision 1
  copydesk show 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01 --markdown > body.md")]
pub struct Show {
    /// The article's id
    article: uuid::Uuid,
    /// Only the body, as Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// As it was at this revision of its words
    #[arg(long, value_name = "N", group = "when")]
    revision: Option<u32>,
    /// As it was at this version
    #[arg(long = "at-version", value_name = "N", group = "when")]
    version: Option<u32>,
    /// As it was at this time (RFC 3339)
    #[arg(long, value_name = "TIME", group = "when")]
    time: Option<String>,
}

impl Show {
    pub async fn run(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<Ending> {
        let path = with_query(
            &format!("/v1/articles/{}", self.article),
            &[
                ("revision", self.revision.map(|revision| revision.to_string())),
                ("version", self.version.map(|version| version.to_string())),
                ("time", self.time.clone()),
                ("format", self.markdown.then(|| "markdown".to_owned())),
            ],
        );
        if self.markdown {
            let reply = client.call(axum::http::Method::GET, &path, None).await?;
            if reply.status != 200 {
                return Err(super::Refused::read(reply.status, &reply.body).into());
            }
            screen.text(&String::from_utf8_lossy(&reply.body))?;
            return Ok(Ending::Done);
        }
        let article = client.get(&path).await?;
        if screen.json {
            screen.value(&article)?;
        } else {
            whole(screen, &article)?;
        }
        Ok(Ending::Done)
    }
}

/// Everything there is to see.
pub fn whole(screen: &mut Screen, article: &Value) -> io::Result<()> {
    let fields = article.at("fields");
    let headline = Some(fields.text("headline")).filter(|headline| !headline.is_empty());
    screen.wrapped(0, headline.unwrap_or("(no headline)"), BOLD)?;
    screen.wrapped(0, &standing(article), DIM)?;
    screen.line("")?;
    if !fields.text("standfirst").is_empty() {
        screen.wrapped(0, fields.text("standfirst"), Style::new())?;
        screen.line("")?;
    }
    for name in LINES.iter().filter(|name| !fields.at(name).is_null()) {
        let value = match fields.at(name) {
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            Value::String(value) => value.clone(),
            other => other.to_string(),
        };
        labelled(screen, name, &value)?;
    }
    for part in ["uri", "alt", "caption", "credit", "rights"] {
        if let Some(value) = fields.at("image").at(part).as_str() {
            labelled(screen, &format!("image {part}"), value)?;
        }
    }
    around(screen, article)?;
    for block in list(article, "blocks") {
        screen.line("")?;
        self::block(screen, block)?;
    }
    claims(screen, article)?;
    queries(screen, article)?;
    let approvals = list(article, "approvals");
    if !approvals.is_empty() {
        title(screen, "Approvals")?;
    }
    for approval in approvals {
        let good = if approval.at("good") == true { "good" } else { "these words have changed since" };
        let line = format!(
            "  {}  at version {}, {good}",
            safe::pad(approval.text("by"), 10),
            approval.at("version")
        );
        screen.line(line)?;
    }
    screen.line("")?;
    gate::whole(screen, article.at("gate"))
}

/// Who works on it, when it may and shall go out, and who may see it.
fn around(screen: &mut Screen, article: &Value) -> io::Result<()> {
    let names = |list: &Value| {
        let names = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        names.collect::<Vec<_>>().join(", ")
    };
    let (assigned, schedule, held) = (article.at("assigned"), article.at("schedule"), article.at("held"));
    let lines = [
        ("writers", names(assigned.at("writers"))),
        ("editor", assigned.text("editor").to_owned()),
        ("checkers", names(assigned.at("checkers"))),
        ("due", moment(assigned.text("due"))),
        ("embargo", moment(article.text("embargo"))),
        ("goes out", moment(schedule.text("at"))),
        ("held at", moment(held.text("at"))),
        ("restricted to", names(article.at("restricted"))),
    ];
    for (label, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        labelled(screen, label, value)?;
    }
    for reason in held.list("reasons") {
        labelled(screen, "held for", reason.text("detail"))?;
    }
    for waiver in article.list("waivers") {
        let codes: Vec<&str> = waiver.list("reasons").iter().map(|reason| reason.text("code")).collect();
        let words = format!("{} by {}: {}", codes.join(", "), waiver.text("by"), waiver.text("reason"));
        labelled(screen, "waived", &words)?;
    }
    Ok(())
}

/// Version, revision, stage and status, in a line.
pub fn standing(article: &Value) -> String {
    let mut parts = vec![
        format!("version {}", article.at("version")),
        format!("revision {}", article.at("revision")),
        article.text("stage").to_owned(),
        article.text("status").to_owned(),
    ];
    if let Some(edition) = article.at("edition").as_u64().filter(|edition| *edition > 0) {
        parts.push(format!("edition {edition}"));
    }
    parts.join(" · ")
}

fn list<'a>(article: &'a Value, name: &str) -> &'a [Value] {
    article[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn title(screen: &mut Screen, words: &str) -> io::Result<()> {
    screen.line("")?;
    screen.line(screen.paint(BOLD, words))
}

fn labelled(screen: &mut Screen, label: &str, value: &str) -> io::Result<()> {
    for (at, line) in safe::wrap(value, WIDTH - 15).iter().enumerate() {
        let label = safe::pad(if at == 0 { label } else { "" }, 13);
        screen.line(format!("{}  {line}", screen.paint(DIM, &label)))?;
    }
    Ok(())
}

/// A block with its id in the margin.
fn block(screen: &mut Screen, block: &Value) -> io::Result<()> {
    let words = match block.text("kind") {
        "heading" => {
            let level = block.at("level").as_u64().unwrap_or(1).min(6) as usize;
            vec![format!("{} {}", "#".repeat(level), block.text("text"))]
        }
        "quote" => {
            let cite = Some(block.text("cite")).filter(|cite| !cite.is_empty());
            let cite = cite.map(|cite| format!("— {cite}"));
            [Some(format!("> {}", block.text("text"))), cite].into_iter().flatten().collect()
        }
        "list" => {
            let mark =
                |at: usize| if block.at("ordered") == true { format!("{}.", at + 1) } else { "-".to_owned() };
            let items = list(block, "items").iter().enumerate();
            items.map(|(at, item)| format!("{} {}", mark(at), item.as_str().unwrap_or_default())).collect()
        }
        "image" => ["uri", "alt", "caption", "credit", "rights"]
            .iter()
            .filter(|part| block.at(part).is_string())
            .map(|part| format!("[{part}] {}", block.text(part)))
            .collect(),
        _ => vec![block.text("text").to_owned()],
    };
    let mut margin = block.text("id");
    for line in words.iter().flat_map(|words| safe::wrap(words, WIDTH - 7)) {
        screen.line(format!("{}  {line}", screen.paint(DIM, &safe::pad(margin, 5))))?;
        margin = "";
    }
    if block.at("machine") == true {
        screen.line(format!("       {}", screen.paint(DIM, "a machine's, until a person rewrites it")))?;
    }
    Ok(())
}

fn claims(screen: &mut Screen, article: &Value) -> io::Result<()> {
    let claims = list(article, "claims");
    if !claims.is_empty() {
        title(screen, "Claims")?;
    }
    for claim in claims {
        let (word, style) = verdict(claim);
        let place = ["block", "field"].iter().find_map(|name| claim.at(name).as_str()).unwrap_or_default();
        let word = screen.paint(style, &safe::pad(&word, 20));
        let quote = safe::cut(&format!("“{}”", claim.text("quote")), WIDTH - 42);
        screen.line(format!(
            "  {}  {word}  {}  {quote}",
            safe::pad(claim.text("id"), 4),
            safe::pad(place, 10)
        ))?;
        let mut more = vec![claim.text("kind").to_owned()];
        more.push(if claim.at("material") == true { "material" } else { "not material" }.to_owned());
        let said = |word: &str, name: &str| claim[name].as_str().map(|value| format!("{word} {value}"));
        more.extend(
            [said("attributed to", "attributed_to"), said("ruled by", "ruled_by")].into_iter().flatten(),
        );
        screen.wrapped(8, &more.join(" · "), DIM)?;
        for evidence in list(claim, "evidence") {
            let confidential = (evidence.at("confidential") == true).then_some("confidential");
            let parts = ["title", "url", "note", "unopened"].iter();
            let parts = confidential.into_iter().chain(parts.filter_map(|name| evidence.at(name).as_str()));
            screen.wrapped(8, &format!("cited: {}", parts.collect::<Vec<_>>().join(" · ")), DIM)?;
        }
        if let Some(note) = claim.at("note").as_str() {
            screen.wrapped(8, &format!("note: {note}"), DIM)?;
        }
        let back = claim.at("found_false");
        if let Some(words) = back.at("sentence").as_str() {
            let place = ["block", "field"].iter().find_map(|name| back.at(name).as_str()).unwrap_or_default();
            let said = format!("ruled {}, and in {place} again: {words}", back.text("verdict"));
            screen.wrapped(8, &said, BAD)?;
        }
    }
    Ok(())
}

/// Where a claim stands, in a word or two.
pub fn verdict(claim: &Value) -> (String, Style) {
    let verdict = claim.text("verdict");
    match claim.text("state") {
        "ruled" if verdict == "supported" => (verdict.to_owned(), GOOD),
        "ruled" if matches!(verdict, "inaccurate" | "misleading") => (verdict.to_owned(), BAD),
        "ruled" => (verdict.to_owned(), WARN),
        "stale" => (format!("stale, was {verdict}"), WARN),
        "gone" | "dropped" => (claim.text("state").to_owned(), DIM),
        other => (other.to_owned(), WARN),
    }
}

fn queries(screen: &mut Screen, article: &Value) -> io::Result<()> {
    let queries = list(article, "queries");
    if !queries.is_empty() {
        title(screen, "Queries")?;
    }
    for query in queries {
        let holds = if query.at("blocking") == true && query.at("answer").is_null() {
            ", holds the gate"
        } else {
            ""
        };
        screen.wrapped(
            2,
            &format!("{}  {}{holds}: {}", query.text("id"), query.text("by"), query.text("text")),
            Style::new(),
        )?;
        if !query.at("answer").is_null() {
            let answer = query.at("answer");
            let time = moment(answer.text("time"));
            screen.wrapped(6, &format!("{}, {time}: {}", answer.text("by"), answer.text("text")), DIM)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::shown;
    use super::*;

    #[test]
    fn hostile_words_stay_in_their_line_and_everything_fits() {
        let long = "word ".repeat(60);
        let article = json!({
            "version": 3, "revision": 1, "stage": "draft", "status": "unpublished", "edition": null,
            "fields": {"headline": "A\u{1b}[2J \u{202e}headline", "section": "world", "keywords": ["a", "b"]},
            "blocks": [{"id": "b1", "kind": "paragraph", "text": long}, {"id": "b2", "kind": "list", "items": ["x"], "ordered": true}],
            "claims": [{"id": "c1", "quote": long, "state": "stale", "verdict": "supported", "field": "headline", "kind": "fact", "material": true}],
            "queries": [{"id": "q1", "by": "eva", "text": "Who?", "blocking": true, "answer": null}],
            "approvals": [{"by": "eva", "version": 2, "good": false}],
            "gate": {"open": false, "reasons": [{"code": "not_approved", "detail": long}], "waived": []},
        });
        let (mut screen, out) = shown(false);
        whole(&mut screen, &article).unwrap();
        screen.flush().unwrap();
        let text = out.text();
        assert!(text.contains("A<U+001B>[2J <U+202E>headline"), "{text}");
        assert!(text.contains("stale, was supported") && text.contains("1. x"), "{text}");
        for line in text.lines() {
            assert!(unicode_width::UnicodeWidthStr::width(line) <= WIDTH, "{line}");
        }
    }
}
