//! `prove`: that one event is in the log, for someone with a tool of their own.

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use super::Ending;
use super::client::Client;
use super::members::Members;
use super::replay::each;
use super::screen::Screen;

/// `copydesk prove`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk prove 42
  copydesk prove 6d2c1b8e-0f5a-5a51-8a53-2a4a6a1c9d10 > proof.json

Needs an auditor's or a chief's token. docs/VERIFYING.md says how the proof is checked without copydesk. A position is
found at once, an id by reading the log.")]
pub struct Prove {
    /// The event: its position in the log, or its id
    event: String,
}

impl Prove {
    pub async fn run(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<Ending> {
        let seq = match self.event.parse::<u64>() {
            Ok(seq) => seq,
            Err(_) => find(client, &self.event).await?,
        };
        screen.value(&client.get(&format!("/audit/events/{seq}/proof")).await?)?;
        Ok(Ending::Done)
    }
}

async fn find(client: &Client, id: &str) -> anyhow::Result<u64> {
    if uuid::Uuid::parse_str(id).is_err() {
        bail!("{id}: expected a position of the log, or an event's id");
    }
    let mut found = None;
    client
        .lines("/v1/events", &mut |lines| {
            each(lines, &mut |line| {
                let event: Value = serde_json::from_slice(line).context("the answer isn't JSON")?;
                if event.text("id") == id {
                    found = event.at("seq").as_u64();
                }
                Ok(())
            })
        })
        .await?;
    found.with_context(|| format!("no event of the log has the id {id}"))
}
