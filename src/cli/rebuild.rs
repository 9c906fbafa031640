//! `rebuild`: the folded state is a cache of the log; this makes it anew.

use anyhow::bail;
use clap::Args;
use copydesk::service;
use serde_json::json;

use super::screen::Screen;
use super::{Ending, Global, Misuse};

/// `copydesk rebuild`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk rebuild --data ./copydesk-data
  copydesk rebuild --config copydesk.toml

The log isn't touched. No service may have the folder open.")]
pub struct Rebuild {}

impl Rebuild {
    pub async fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Ending> {
        if global.data.is_none() && global.config.is_none() {
            bail!(Misuse("rebuild which state? --data DIR or --config F".to_owned()));
        }
        let mut config = global.config()?;
        if let Some(folder) = &global.data {
            config.store.path.clone_from(folder);
        }
        if !config.store.path.is_dir() {
            bail!("there is no folder {}", config.store.path.display());
        }
        let folded = service::rebuild(&config).await?;
        let (articles, events) = (folded.articles, folded.events);
        if screen.json {
            screen.value(&json!({"articles": articles, "events": events}))?;
        } else {
            let counted = |count: u64, what: &str| match count {
                1 => format!("1 {what}"),
                count => format!("{count} {what}s"),
            };
            let (events, articles) = (counted(events, "event"), counted(articles, "article"));
            screen.line(format!("Folded {events} into {articles}."))?;
        }
        Ok(Ending::Done)
    }
}
