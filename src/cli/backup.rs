//! `backup` and `recover`: the log as plain files, and back.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use copydesk::config::Config;
use copydesk::service;
use indicatif::{ProgressBar, ProgressStyle};

use super::screen::Screen;
use super::{Ending, Global, Misuse};

/// `copydesk backup`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk backup /backups/desk --config /etc/copydesk/copydesk.toml
  copydesk backup /backups/desk --data ./copydesk-data

Runs beside the service, as a user who may read its log. What came since the last run is added. The folder keys/ in it
holds secrets: move it where they belong.")]
pub struct Backup {
    /// The folder of the backup
    dir: PathBuf,
}

/// `copydesk recover`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk recover /backups/desk --data ./new-data
  copydesk recover /backups/desk --keys /safe/keys --config copydesk.toml

The log must be empty; every position is kept. Run again, it goes on where it was cut short.")]
pub struct Recover {
    /// The folder of the backup
    dir: PathBuf,
    /// The folder that its keys/ was moved into, or what keys/ is called now
    #[arg(long, value_name = "DIR", conflicts_with = "without_keys")]
    keys: Option<PathBuf>,
    /// Go on without the keys: sealed evidence stays sealed for ever, and checkpoints get a new signer
    #[arg(long)]
    without_keys: bool,
}

/// The configuration of the log that is meant.
fn config(global: &Global) -> anyhow::Result<Config> {
    if global.server.is_some() {
        bail!(Misuse("this works on the log itself: say --config F or --data DIR".to_owned()));
    }
    if global.data.is_none() && global.config.is_none() {
        bail!(Misuse("which log? --config F or --data DIR".to_owned()));
    }
    let mut config = global.config()?;
    if let Some(folder) = &global.data {
        config.store.path.clone_from(folder);
    }
    Ok(config)
}

fn progress(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}  {bar:30}  {pos} of {len}  {eta}");
    let bar = ProgressBar::no_length();
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what);
    bar
}

impl Backup {
    pub async fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Ending> {
        let config = config(global)?;
        let bar = progress("copying");
        let told = |done, of| {
            bar.set_length(of);
            bar.set_position(done);
        };
        let written = service::backup_log(&config, &self.dir, told).await?;
        bar.finish_and_clear();
        if screen.json {
            screen.value(&serde_json::to_value(written)?)?;
        } else {
            screen.line(format!(
                "{} events are in {}, {} of them verified against its checkpoint; {} positions are new.",
                written.events,
                self.dir.display(),
                written.verified,
                written.added
            ))?;
        }
        Ok(Ending::Done)
    }
}

impl Recover {
    pub async fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Ending> {
        let config = config(global)?;
        let beside = self.dir.join("keys");
        let keys = match &self.keys {
            Some(folder) if !folder.is_dir() => bail!("there is no folder {}", folder.display()),
            Some(folder) => Some(folder.clone()),
            None if self.without_keys => None,
            None if beside.is_dir() => Some(self.dir.clone()),
            None => bail!(
                "{} has no keys/: say where it was moved (--keys DIR), or go on without (--without-keys)",
                self.dir.display()
            ),
        };
        let bar = progress("putting back");
        let told = |done, of| {
            bar.set_length(of);
            bar.set_position(done);
        };
        let restored = service::recover_log(&config, &self.dir, keys.as_deref(), told).await?;
        bar.finish_and_clear();
        if screen.json {
            screen.value(&serde_json::to_value(restored)?)?;
        } else {
            screen.line(format!(
                "{} events and {} messages of the wire are back, {} events verified against the backup's checkpoint.",
                restored.events, restored.wire, restored.verified
            ))?;
        }
        Ok(Ending::Done)
    }
}
