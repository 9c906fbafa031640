//! `verify`: the whole log derived again, and everything that rests on it held against it.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use copydesk::service;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::client::Client;
use super::members::Members;
use super::replay::each;
use super::safe;
use super::screen::{BAD, GOOD, Screen, WARN};
use super::{Ending, Global, Misuse, Sends};

/// `copydesk verify`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk verify --data ./copydesk-data
  copydesk verify --config copydesk.toml --against last-years-checkpoint
  copydesk verify --server https://desk.example   # on the instance itself, by an auditor or a chief

Exit codes: 0 everything holds; 1 something doesn't, and it says what and where.")]
pub struct Verify {
    /// A checkpoint that was kept, or a backup, which the log must extend; may be given several times
    #[arg(long, value_name = "CHECKPOINT|DIR")]
    against: Vec<PathBuf>,
}

impl Verify {
    pub async fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Ending> {
        let bar = ProgressBar::no_length().with_style(
            ProgressStyle::with_template("verifying  {bar:30}  {pos} of {len}  {per_sec}  {eta}")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        let told = |read, of| {
            bar.set_length(of);
            bar.set_position(read);
        };
        let here = global.data.is_some() || (global.config.is_some() && global.server.is_none());
        let report = match here {
            true => self.here(global, told).await?,
            false if self.against.is_empty() => {
                let client = global.client(Sends::No).await?;
                remote(&client, told).await?
            }
            false => {
                let what = "--against is compared here: say --data DIR or --config F";
                bail!(Misuse(what.to_owned()));
            }
        };
        bar.finish_and_clear();
        if screen.json {
            screen.value(&report)?;
        } else {
            show(&report, screen)?;
        }
        Ok(if report.at("faults_found") == 0 { Ending::Done } else { Ending::Refused })
    }

    async fn here(&self, global: &Global, told: impl FnMut(u64, u64)) -> anyhow::Result<Value> {
        let mut config = global.config()?;
        if let Some(folder) = &global.data {
            if !folder.is_dir() {
                bail!("there is no folder {}", folder.display());
            }
            config.store.path.clone_from(folder);
        }
        Ok(serde_json::to_value(service::verify_log(&config, &self.against, told).await?)?)
    }
}

async fn remote(client: &Client, mut told: impl FnMut(u64, u64) + Send) -> anyhow::Result<Value> {
    let mut report = None;
    client
        .lines("/v1/verify", &mut |lines| {
            each(lines, &mut |line| {
                let line: Value = serde_json::from_slice(line).context("the answer isn't JSON")?;
                if let (Some(read), Some(of)) = (line.at("read").as_u64(), line.at("of").as_u64()) {
                    told(read, of);
                } else if !line.at("report").is_null() {
                    report = Some(line.at("report").clone());
                } else {
                    bail!("the service could not verify its log: {}", line.text("failed"));
                }
                Ok(())
            })
        })
        .await?;
    report.context("the service ended before it was done")
}

fn show(report: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    let counted = |name: &str, one: &str| {
        let count = report.at(name).as_u64().unwrap_or_default();
        if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
    };
    for fault in report.list("faults") {
        let mut place = fault.text("about").to_owned();
        if let Some(seq) = fault.at("seq").as_u64() {
            place.push_str(&format!(" {seq}"));
        }
        if !fault.text("article").is_empty() {
            place.push_str(&format!(" of article {}", fault.text("article")));
        }
        let place = screen.paint(BAD, &place);
        screen.line(format!("{place}: {}", safe::text(fault.text("what"))))?;
    }
    for note in report.list("notes").iter().filter_map(Value::as_str) {
        screen.line(format!("{}: {}", screen.paint(WARN, "note"), safe::text(note)))?;
    }
    let events = counted("events", "event");
    let rest = format!(
        "{}, {}, {} on the wire, {}",
        counted("articles", "article"),
        counted("editions", "edition"),
        report.at("wire"),
        counted("checkpoints", "checkpoint"),
    );
    match report.at("faults_found").as_u64() {
        Some(0) => {
            screen.line(format!("{} {events}: {rest}", screen.paint(GOOD, "Verified")))?;
            screen.line(format!("root {}", report.text("root")))?;
        }
        _ => {
            let found = counted("faults_found", "fault");
            screen.line(format!("{} {found} in {events}: {rest}", screen.paint(BAD, "Not verified:")))?;
        }
    }
    Ok(())
}
