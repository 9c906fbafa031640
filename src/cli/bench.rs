//! `bench`: what copydesk costs beside the bare transport that it stands on.

use anyhow::Context;
use clap::Args;
use copydesk::bench::{self, Measured, Plan, Subject};

use super::screen::{BOLD, DIM, Screen};
use super::{Ending, complain};

/// `copydesk bench`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk bench                                    what needs no server
  copydesk bench --nats nats://127.0.0.1:4222       and commands through NATS, on streams of its own
  copydesk bench --quick --only rebuild --json

Each figure is the median of alternating runs on this machine; what counts is the ratio. docs/BENCHMARKS.md says
what is compared and what was found.")]
pub struct Bench {
    /// A NATS server with JetStream; its streams named BENCH… are made and deleted
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// Fewer and shorter runs
    #[arg(long)]
    quick: bool,
    /// Measure only this; may be given more than once
    #[arg(long, value_name = "WHAT")]
    only: Vec<Subject>,
}

impl Bench {
    pub async fn run(&self, screen: &mut Screen) -> anyhow::Result<Ending> {
        let (nats, only) = (self.nats.clone(), self.only.clone());
        let plan = if self.quick {
            Plan { runs: 3, commands: 6_400, events: 50_000, nats, only }
        } else {
            Plan { runs: 5, commands: 32_000, events: 300_000, nats, only }
        };
        let folder = tempfile::tempdir().context("a folder to measure in")?;
        let measured =
            bench::run(&plan, folder.path(), |what| complain(&format!("measuring: {what}"))).await?;
        if screen.json {
            screen.value(&serde_json::to_value(&measured)?)?;
            return Ok(Ending::Done);
        }
        for one in &measured {
            show(one, screen)?;
        }
        Ok(Ending::Done)
    }
}

fn show(one: &Measured, screen: &mut Screen) -> anyhow::Result<()> {
    let title = screen.paint(BOLD, &one.what);
    screen.line(title)?;
    screen.line(format!("  {:>12.0} {}", one.ours, one.unit))?;
    screen.line(format!("  {:>12.0} {}", one.bare, one.against))?;
    let asked = screen.paint(DIM, &format!("asked: {}", one.reach));
    screen.line(format!("  {:>12.2} ratio     {asked}", one.ratio))?;
    screen.line("")?;
    Ok(())
}
