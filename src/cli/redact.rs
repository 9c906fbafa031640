//! `redact`: words are erased by law, on the word of two people.

use std::io::{self, BufRead, IsTerminal, Read};

use anyhow::bail;
use clap::Args;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::members::Members;
use super::screen::{BOLD, Screen};
use super::{Ending, Misuse, complain};

/// `copydesk redact`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk redact 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01 --words 'Jane Roe' --ground 'Court order 7/26'
  copydesk redact 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01 --words 'Jane Roe' --confirm
  copydesk redact 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01 --words - --confirm --yes < words.txt

A chief proposes; another chief or an editor confirms, and then the events that hold the words, and the wire's messages,
are erased for good. docs/ERASURE.md says what can't be recalled.")]
pub struct Redact {
    /// The article's id
    article: uuid::Uuid,
    /// The words that are to go, as they are written; - reads them from stdin
    #[arg(long, value_name = "W", required_unless_present = "versions")]
    words: Option<String>,
    /// On what ground; kept, and shown to who reads the article
    #[arg(long, value_name = "G", required_unless_present = "confirm", conflicts_with = "confirm")]
    ground: Option<String>,
    /// Only from the events with these versions; without --words: versions at which confidential evidence was cited,
    /// whose keys are destroyed
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    versions: Option<Vec<u32>>,
    /// Confirm what someone else proposed
    #[arg(long)]
    pub confirm: bool,
    /// Don't ask
    #[arg(long)]
    yes: bool,
}

impl Redact {
    pub async fn run(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<Ending> {
        let mut command = self.command()?;
        let asked = json!(true);
        command.insert("try".to_owned(), asked);
        let would = client.command(&command.clone().into()).await?;
        if !screen.json {
            let what = if self.confirm { "These are erased for good:" } else { "These would be erased:" };
            screen.line(screen.paint(BOLD, what))?;
            for warning in would.list("warnings").iter().filter(|warning| warning.at("code") == "erases") {
                screen.wrapped(2, warning.text("detail"), anstyle::Style::new())?;
            }
            screen.flush()?;
        }
        if !self.yes && !agreed(self.confirm)? {
            complain("Nothing was done.");
            return Ok(Ending::Refused);
        }
        command.remove("try");
        let answer = client.command(&command.into()).await?;
        if screen.json {
            screen.value(&answer)?;
        } else if !self.confirm {
            screen.line("Proposed. Another chief, or an editor, confirms it with --confirm.")?;
        }
        if !self.confirm {
            return Ok(Ending::Done);
        }
        // Decided it is; who carries it out may not be able to yet.
        let Ok(health) = client.get("/healthz").await else {
            complain(
                "It is decided. Whether everything is erased isn't known: look at erasing_stopped in /healthz.",
            );
            return Ok(Ending::Refused);
        };
        if let Some(why) = health.get("erasing_stopped").and_then(Value::as_str) {
            complain(&format!(
                "It is decided, and not everything is erased yet: {why}. A service that runs on this log goes on trying; \
                 its /healthz says erasing_stopped until it has done it."
            ));
            return Ok(Ending::Refused);
        }
        if !screen.json {
            screen.line(
                "Erased. Backups, and what subscribers have taken, are not: docs/ERASURE.md says what to do.",
            )?;
        }
        Ok(Ending::Done)
    }

    fn command(&self) -> anyhow::Result<Map<String, Value>> {
        let words = match self.words.as_deref() {
            Some("-") if !self.yes => {
                bail!(Misuse("--words - reads stdin, so nobody can be asked: add --yes".to_owned()))
            }
            Some("-") => {
                let mut read = String::new();
                io::stdin().lock().read_to_string(&mut read)?;
                Some(read.trim_end_matches(['\r', '\n']).to_owned())
            }
            words => words.map(str::to_owned),
        };
        let mut data = Map::new();
        if let Some(words) = words {
            data.insert("words".to_owned(), words.into());
        }
        if let Some(ground) = &self.ground {
            data.insert("ground".to_owned(), ground.as_str().into());
        }
        if let Some(versions) = &self.versions {
            data.insert("versions".to_owned(), versions.clone().into());
        }
        let mut command = Map::new();
        command.insert("id".to_owned(), uuid::Uuid::new_v4().to_string().into());
        command.insert("type".to_owned(), if self.confirm { "confirm_redaction" } else { "redact" }.into());
        command.insert("article".to_owned(), self.article.to_string().into());
        command.insert("data".to_owned(), data.into());
        Ok(command)
    }
}

/// Whether the person at the terminal says yes.
fn agreed(confirm: bool) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!(Misuse("nobody is there to be asked: add --yes".to_owned()));
    }
    complain(if confirm { "Erase them? They can't be had back. [yes/no]" } else { "Propose it? [yes/no]" });
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}
