//! `check-config`: everything that is wrong with a configuration file, at once.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use copydesk::config::{Config, ConfigError, LogKind, Problem};
use copydesk::nats;
use copydesk::service::Part;
use serde_json::{Value, json};

use super::screen::Screen;
use super::{Ending, Global, Misuse, read_config_with};

/// `copydesk check-config`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk check-config copydesk.toml
  copydesk check-config feed.toml --parts feed")]
pub struct CheckConfig {
    /// The file
    file: Option<PathBuf>,
    /// What the process is to do: with feed alone, the file needs no people
    #[arg(long, value_delimiter = ',', value_name = "PARTS", default_values_t = Part::ALL.to_vec())]
    parts: Vec<Part>,
}

impl CheckConfig {
    pub fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Ending> {
        let Some(file) = self.file.as_ref().or(global.config.as_ref()) else {
            bail!(Misuse("which file? copydesk check-config copydesk.toml".to_owned()));
        };
        let read = if Part::is_feed_alone(&self.parts) { Config::open_for_feed } else { Config::open };
        if screen.json
            && let Err(ConfigError::Invalid(problems)) = read(file)
        {
            let problems: Vec<_> = problems.iter().map(shown).collect();
            screen.value(&json!({"ok": false, "problems": problems, "warnings": []}))?;
            return Ok(Ending::Refused);
        }
        let config = read_config_with(file, read)?;
        let doubts = match self.parts.contains(&Part::Feed) {
            true => config.doubts_for_readers(),
            false => Vec::new(),
        };
        let log = match config.log.kind {
            LogKind::Embedded => format!("embedded log in {}", config.store.path.display()),
            LogKind::Nats => {
                format!("NATS at {}", nats::shown(config.nats.url.as_deref().unwrap_or_default()))
            }
        };
        if screen.json {
            let warnings: Vec<_> = doubts.iter().map(shown).collect();
            screen.value(&json!({"ok": true, "problems": [], "warnings": warnings}))?;
        } else {
            let people = match config.people.len() {
                1 => "1 person".to_owned(),
                people => format!("{people} people"),
            };
            for doubt in &doubts {
                screen.line(format!("warning: {doubt}"))?;
            }
            let good = if doubts.is_empty() { "good" } else { "can be used" };
            screen.line(format!("{}: {good}. {people}, {log}.", file.display()))?;
        }
        Ok(Ending::Done)
    }
}

fn shown(problem: &Problem) -> Value {
    json!({"key": problem.key, "what": problem.what, "suggestion": problem.suggestion})
}
