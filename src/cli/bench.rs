//! `bench`: what copydesk costs beside the bare transport that it stands on.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use copydesk::bench::report::{Report, Row, Sizes};
use copydesk::bench::{self, Plan, Servers, Step, Subject, bare, svg, table};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use super::screen::{BAD, BOLD, DIM, GOOD, Screen};
use super::{Ending, complain, safe};

/// Columns of what was measured.
const WHAT: usize = 46;

/// `copydesk bench`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk bench --nats-server ./nats-server        everything; the NATS servers that it takes are started by it
  copydesk bench --quick --only embedded --only http
  copydesk bench --json > run.json
  copydesk bench --from run.json --svg run.svg      the table and the picture of a run that was kept
  copydesk bench --from run.json --markdown

Each figure is the median of alternating runs on this machine; what counts is the ratio. docs/BENCHMARKS.md says
what is compared and what was found.")]
pub struct Bench {
    /// The NATS server's program, with which a fresh server is started for each row [default: nats-server in PATH]
    #[arg(long, value_name = "PATH", env = "COPYDESK_NATS_SERVER")]
    nats_server: Option<PathBuf>,
    /// A running NATS server with JetStream, instead of fresh ones; streams named bench… are made and deleted
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// The same, one with `sync_interval: always`
    #[arg(long, value_name = "URL")]
    nats_synced: Option<String>,
    /// Fewer and shorter runs: some two minutes in all
    #[arg(long)]
    quick: bool,
    /// Measure only this; may be given more than once
    #[arg(long, value_name = "WHAT")]
    only: Vec<Subject>,
    /// Alternating runs of each side
    #[arg(long, value_name = "N")]
    runs: Option<usize>,
    /// Commands a run
    #[arg(long, value_name = "N")]
    commands: Option<usize>,
    /// Events of the log that is folded anew; growth is shown up to it
    #[arg(long, value_name = "N")]
    events: Option<usize>,
    /// Published articles behind feeds
    #[arg(long, value_name = "N")]
    articles: Option<usize>,
    /// Readers of /stream
    #[arg(long, value_name = "N")]
    readers: Option<usize>,
    /// Where to measure: a folder on the disk that counts; what is written there is deleted [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Write a picture of it
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Tables in Markdown instead of text for people
    #[arg(long)]
    markdown: bool,
    /// Measure nothing; show a run that was kept with --json
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Exit with 1 where something asked isn't reached
    #[arg(long)]
    strict: bool,
    /// Be the server that commands over HTTP are held against
    #[arg(long, value_name = "FILE", hide = true)]
    bare_appends: Option<PathBuf>,
    /// Be the server that feeds are held against
    #[arg(long, value_name = "FILE", hide = true)]
    bare_pages: Option<PathBuf>,
}

impl Bench {
    pub async fn run(self, screen: &mut Screen) -> anyhow::Result<Ending> {
        if let Some(file) = self.bare_appends {
            bare::appends(file).await?;
            return Ok(Ending::Done);
        }
        if let Some(file) = &self.bare_pages {
            bare::pages(file).await?;
            return Ok(Ending::Done);
        }
        let report = match &self.from {
            Some(file) => {
                let read = || format!("{} can't be read as a run of bench", file.display());
                serde_json::from_slice(&std::fs::read(file).with_context(read)?).with_context(read)?
            }
            None => self.measure().await?,
        };
        if let Some(file) = &self.svg {
            std::fs::write(file, svg::draw(&report))
                .with_context(|| format!("{} can't be written", file.display()))?;
        }
        if screen.json {
            screen.value(&serde_json::to_value(&report)?)?;
        } else if self.markdown {
            screen.text(&table::markdown(&report))?;
        } else {
            show(&report, screen)?;
        }
        let unmet = report.rows.iter().any(|row| row.met == Some(false));
        let failed = report.left_out.iter().any(|part| part.failed);
        Ok(if failed || (self.strict && unmet) { Ending::Refused } else { Ending::Done })
    }

    async fn measure(&self) -> anyhow::Result<Report> {
        let mut folder = tempfile::Builder::new();
        folder.prefix("copydesk-bench-");
        let folder = match &self.folder {
            Some(within) => folder.tempdir_in(within),
            None => folder.tempdir(),
        };
        let folder = folder.context("a folder to measure in")?;
        let progress = Progress::new();
        let plan = self.plan();
        let mut told = signal(SignalKind::terminate())?;
        let report = tokio::select! {
            report = bench::run(&plan, folder.path(), |step| progress.say(step)) => Some(report),
            // What was started ends, and the folder goes, as what holds them is dropped.
            _ = tokio::signal::ctrl_c() => None,
            _ = told.recv() => None,
        };
        bench::sweep(&plan).await;
        report.context("stopped: nothing was measured to its end")
    }

    fn plan(&self) -> Plan {
        let usual = if self.quick {
            Sizes { runs: 3, commands: 3_200, events: 20_000, articles: 2_000, readers: 1_000 }
        } else {
            Sizes { runs: 5, commands: 32_000, events: 1_000_000, articles: 100_000, readers: 5_000 }
        };
        let sizes = Sizes {
            runs: self.runs.unwrap_or(usual.runs).max(1),
            commands: self.commands.unwrap_or(usual.commands).max(1),
            events: self.events.unwrap_or(usual.events).max(1),
            articles: self.articles.unwrap_or(usual.articles).max(1),
            readers: self.readers.unwrap_or(usual.readers).max(1),
        };
        let servers = Servers {
            given: self.nats.clone(),
            given_synced: self.nats_synced.clone(),
            program: self.nats_server.clone().or_else(Servers::in_path),
        };
        Plan { sizes, servers, only: self.only.clone() }
    }
}

/// Where a measurement is: a line that changes on a terminal, else a line for each part.
struct Progress(ProgressBar);

impl Progress {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    fn say(&self, step: &Step) {
        let left = match step.left.map(|left| left.as_secs().div_ceil(60)) {
            None => String::new(),
            Some(0 | 1) => "; about a minute left".to_owned(),
            Some(minutes) => format!("; about {minutes} min left"),
        };
        let line = format!("{}/{} {}: {}{left}", step.number, step.of, step.part.name(), step.doing);
        if self.0.is_hidden() {
            complain(&line);
        } else {
            self.0.set_message(line);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn show(report: &Report, screen: &mut Screen) -> anyhow::Result<()> {
    if !report.rows.is_empty() {
        let head = line("what", ["ours", "bare", "ratio"], "asked");
        let head = screen.paint(DIM, &head);
        screen.line(head)?;
    }
    for row in &report.rows {
        show_row(row, screen)?;
    }
    for series in ["events", "instances"] {
        let mut first = true;
        for of_size in report.growth.iter().filter(|line| line.series == series) {
            let columns = bench::table::growth(of_size);
            if std::mem::take(&mut first) {
                let head = columns.iter().map(|(name, _)| format!("{name:>14}")).collect::<String>();
                let head = screen.paint(DIM, &format!("{:<20}{head}", format!("with {series}")));
                screen.line(head)?;
            }
            let cells = columns.iter().map(|(_, cell)| format!("{cell:>14}")).collect::<String>();
            screen.line(format!("{:<20}{cells}", table::size(of_size)))?;
        }
        if !first {
            screen.line("")?;
        }
    }
    for part in &report.left_out {
        screen.line(safe::line(&format!("{}: {}: {}", part.how(), part.part, part.why)))?;
    }
    screen.wrapped(0, &table::machine(report), DIM)?;
    Ok(())
}

fn show_row(row: &Row, screen: &mut Screen) -> anyhow::Result<()> {
    let bare = row.bare.as_ref();
    let of_bare = |of: fn(&_) -> String| bare.map(of).unwrap_or_default();
    let against = row.against.as_ref().map(|against| format!("against {against}"));
    let against = against.map(|against| safe::wrap(&against, WHAT - 2)).unwrap_or_default();
    let mut left: Vec<(String, bool)> =
        safe::wrap(&table::what(row), WHAT - 1).into_iter().map(|line| (line, true)).collect();
    left.extend(against.into_iter().map(|line| (format!("  {line}"), false)));
    let figures = [
        [
            table::figure(row.ours.median, &row.unit),
            bare.map(|bare| table::figure(bare.median, &row.unit)).unwrap_or_default(),
            table::ratio(row),
            table::asked(row),
        ],
        [table::cpu(&row.ours), of_bare(table::cpu), String::new(), table::verdict(row).to_owned()],
        [table::peak(&row.ours), of_bare(table::peak), String::new(), String::new()],
    ];
    for at in 0..left.len().max(figures.len()) {
        let (words, main) = left.get(at).cloned().unwrap_or_default();
        let [ours, bare, ratio, asked] = figures.get(at).cloned().unwrap_or_default();
        let padded = format!("{words:WHAT$}");
        let padded = screen.paint(if main { BOLD } else { DIM }, &padded);
        let style = match (at, row.met) {
            (1, Some(true)) => GOOD,
            (1, Some(false)) => BAD,
            _ => anstyle::Style::new(),
        };
        let asked = screen.paint(style, &asked);
        screen.line(format!("{padded}{ours:>14}{bare:>14}{ratio:>9}  {asked}"))?;
    }
    screen.line("")?;
    Ok(())
}

fn line(what: &str, [ours, bare, ratio]: [&str; 3], asked: &str) -> String {
    format!("{what:WHAT$}{ours:>14}{bare:>14}{ratio:>9}  {asked}")
}
