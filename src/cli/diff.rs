//! `diff`: what changed between two revisions, word by word, and who did it.

use clap::Args;
use serde_json::Value;

use super::Ending;
use super::client::{Client, with_query};
use super::members::Members;
use super::safe;
use super::screen::{BAD, BOLD, DIM, GOOD, Screen, WIDTH};

/// `copydesk diff`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk diff 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01
  copydesk diff 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01 --from 1 --to 4

Words that went stand in [-brackets-], words that came in {+braces+}.")]
pub struct Diff {
    /// The article's id
    article: uuid::Uuid,
    /// The earlier revision [default: the one before the later]
    #[arg(long, value_name = "N")]
    from: Option<u32>,
    /// The later revision [default: the present one]
    #[arg(long, value_name = "N")]
    to: Option<u32>,
}

impl Diff {
    pub async fn run(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<Ending> {
        let asked = |revision: Option<u32>| revision.map(|revision| revision.to_string());
        let path = format!("/v1/articles/{}/diff", self.article);
        let path = with_query(&path, &[("from", asked(self.from)), ("to", asked(self.to))]);
        let diff = client.get(&path).await?;
        if screen.json {
            screen.value(&diff)?;
            return Ok(Ending::Done);
        }
        let title = format!("revision {} to {}", diff.at("from"), diff.at("to"));
        screen.line(screen.paint(BOLD, &title))?;
        let fields = diff.at("fields").as_object();
        for (name, field) in fields.into_iter().flatten() {
            screen.line("")?;
            head(screen, name, "changed", field)?;
            for (sign, value, style) in [("-", field.at("from"), BAD), ("+", field.at("to"), GOOD)] {
                let words = match value {
                    Value::Null => continue,
                    Value::String(words) => words.clone(),
                    other => other.to_string(),
                };
                screen.wrapped(2, &format!("{sign} {words}"), style)?;
            }
        }
        for block in diff.list("blocks") {
            screen.line("")?;
            head(screen, block.text("block"), block.text("change"), block)?;
            let words: String = block.list("spans").iter().map(marked).collect();
            for line in safe::wrap(&words, WIDTH - 2) {
                screen.line(format!("  {line}"))?;
            }
        }
        if fields.is_none_or(serde_json::Map::is_empty) && diff.list("blocks").is_empty() {
            screen.line("Nothing changed.")?;
        }
        Ok(Ending::Done)
    }
}

/// What changed, how, and by whom.
fn head(screen: &mut Screen, name: &str, change: &str, of: &Value) -> std::io::Result<()> {
    let by = format!("{change} by {}", safe::line(of.text("by")));
    screen.line(format!("{}  {}", screen.paint(BOLD, name), screen.paint(DIM, &by)))
}

fn marked(span: &Value) -> String {
    let words = span.text("text");
    match span.text("op") {
        "delete" => format!("[-{words}-]"),
        "insert" => format!("{{+{words}+}}"),
        _ => words.to_owned(),
    }
}
