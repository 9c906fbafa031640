//! `allow-events`: lets what came with newer builds be written, once every instance is one.

use anyhow::bail;
use clap::Args;
use copydesk::desk::level;
use copydesk::service;
use serde_json::json;

use super::screen::Screen;
use super::{Ending, Global, Misuse};

/// `copydesk allow-events`
#[derive(Debug, Args)]
#[command(after_help = "Example:
  copydesk allow-events --config copydesk.toml

For a log in NATS, when the last instance is upgraded: until then commands whose events an older build doesn't understand
are answered unknown_type. There is no way back. An embedded log has one instance, and nothing is held back there.")]
pub struct AllowEvents {}

impl AllowEvents {
    pub async fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Ending> {
        let Some(_) = &global.config else {
            bail!(Misuse("name the configuration file by --config".to_owned()));
        };
        let before = service::allow_events(&global.config()?).await?;
        if screen.json {
            screen.value(&json!({"before": before, "now": level::NEWEST}))?;
        } else if before == level::NEWEST {
            screen.line("All that this build writes was allowed already.")?;
        } else {
            screen.line(format!("Level {} is allowed; it was {before}.", level::NEWEST))?;
        }
        Ok(Ending::Done)
    }
}
