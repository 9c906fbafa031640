//! `reload`: the configuration file's people, roles and rules, proposed to the newsroom line.

use anyhow::bail;
use clap::Args;
use copydesk::config::LogKind;
use copydesk::service;
use serde_json::json;

use super::screen::Screen;
use super::{Ending, Global, Misuse, read_config};

/// `copydesk reload`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk reload --config copydesk.toml
  kill -HUP $(pidof copydesk)                      the same, by a running service, its tokens included

With the log in NATS every instance decides by the new people, roles and rules from then on. An embedded log that a
service has open can only be written by that service: send it SIGHUP. Tokens are read at the start and at SIGHUP.")]
pub struct Reload {}

impl Reload {
    pub async fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Ending> {
        let Some(file) = &global.config else {
            return Err(Misuse("name the configuration file by --config".to_owned()).into());
        };
        let mut config = read_config(file)?;
        if let Some(folder) = &global.data {
            config.store.path.clone_from(folder);
        }
        if config.log.kind == LogKind::Embedded {
            if global.server.is_some() && global.data.is_none() {
                let how = "reload writes to the log itself: send the service that has the embedded log open SIGHUP, or \
                           name a folder that none has open by --data";
                return Err(Misuse(how.to_owned()).into());
            }
            if !config.store.path.is_dir() {
                bail!("there is no embedded log in {}", config.store.path.display());
            }
        }
        let reloaded = service::reload(&config).await.map_err(|error| match config.log.kind {
            LogKind::Embedded => error.context(
                "the embedded log can't be written here; where a service has it open, send that SIGHUP",
            ),
            LogKind::Nats => error,
        })?;
        if screen.json {
            screen.value(&json!({"version": reloaded.version, "changes": reloaded.changes}))?;
            return Ok(Ending::Done);
        }
        for change in &reloaded.changes {
            screen.line(change)?;
        }
        let said = if reloaded.changes.is_empty() { "Nothing changed" } else { "In force" };
        screen.line(format!("{said}: version {} of the newsroom line.", reloaded.version))?;
        Ok(Ending::Done)
    }
}
