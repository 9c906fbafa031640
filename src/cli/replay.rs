//! `replay`: the log's events as JSON lines, byte for byte as they are stored, each with its `seq`.

use clap::Args;

use super::Ending;
use super::client::{Client, with_query};
use super::screen::Screen;

/// `copydesk replay`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk replay > events.jsonl
  copydesk replay --from 1000 --until 2026-02-01T00:00:00Z
  copydesk replay --article 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01 --data ./copydesk-data

Needs an auditor's or a chief's token.")]
pub struct Replay {
    /// From this position of the log on, itself included
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
    /// Only this article's events
    #[arg(long, value_name = "ID")]
    article: Option<uuid::Uuid>,
    /// Up to this time (RFC 3339), itself included
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Replay {
    pub async fn run(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<Ending> {
        let path = with_query(
            "/v1/events",
            &[
                ("from", self.from.map(|seq| seq.to_string())),
                ("article", self.article.map(|article| article.to_string())),
                ("until", self.until.clone()),
            ],
        );
        client.copy(&path, screen).await?;
        Ok(Ending::Done)
    }
}
