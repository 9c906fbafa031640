//! `torture`: everything that machines and networks do, done to a newsroom under load, and everything checked afterwards.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use copydesk::torture::{self, LogKind, Plan, Report, Setup, Told, Until};
use tokio::signal::unix::{SignalKind, signal};

use super::screen::{BAD, BOLD, DIM, GOOD, Screen};
use super::{Ending, Misuse, complain, safe};

/// How many tools work at once.
const TOOLS: usize = 12;
/// How many faults a round has.
const FAULTS: u64 = 6;

/// `copydesk torture`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk torture                                       three rounds on an embedded log
  copydesk torture --log nats --minutes 20               two instances on a nats-server of its own
  copydesk torture --log cluster --instances 3 --minutes 60 --json
  copydesk torture --seed 42 --rounds 5 --keep ./tortured

It starts everything itself and touches nothing that is there. The seed decides the faults, and what each tool sets out
to do; how far each gets within its milliseconds is up to the machine, so a seed repeats a plan, not a run to the byte.
docs/RELIABILITY.md says what is done and what is checked.

Exit codes: 0 nothing is wrong; 1 something is, and it says what and where.")]
pub struct Torture {
    /// What decides the run; drawn and printed where it isn't given
    #[arg(long, value_name = "N", env = "COPYDESK_SEED")]
    seed: Option<u64>,
    /// Go on for so long
    #[arg(long, value_name = "M", conflicts_with = "rounds", value_parser = minutes)]
    minutes: Option<f64>,
    /// Go on for so many rounds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rounds: Option<u64>,
    /// Where the log is
    #[arg(long, value_name = "WHERE", default_value = "embedded")]
    log: LogKind,
    /// How many instances, where the log is in NATS
    #[arg(long, value_name = "N", default_value_t = 2)]
    instances: usize,
    /// The nats-server to start; COPYDESK_NATS_SERVER, or the one in the path, where nothing is said
    #[arg(long, value_name = "PATH")]
    nats_server: Option<PathBuf>,
    /// Work in this folder, which has no house of an earlier run, and keep everything in it
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

impl Torture {
    pub async fn run(&self, screen: &mut Screen) -> anyhow::Result<Ending> {
        let older = self.keep.as_deref().and_then(torture::a_house_in);
        if let Some(older) = older {
            let what = format!("--keep: {} is of an earlier run: name another folder", older.display());
            bail!(Misuse(what));
        }
        let seed = match self.seed {
            Some(seed) => seed,
            None => getrandom::u64().map_err(|error| anyhow::anyhow!("no random number: {error}"))?,
        };
        let until = match (self.minutes, self.rounds) {
            (Some(minutes), _) => Until::Time(Duration::from_secs_f64(minutes * 60.0)),
            (None, rounds) => Until::Rounds(rounds.unwrap_or(3)),
        };
        let nats_server = match self.log {
            LogKind::Embedded => None,
            _ => Some(torture::nats_server(self.nats_server.as_deref())?),
        };
        let instances = if self.log == LogKind::Embedded { 1 } else { self.instances.max(1) };
        let binary = std::env::current_exe().context("where this program is can't be told")?;
        let mut own = None;
        let folder = match &self.keep {
            Some(folder) => folder.clone(),
            None => own.insert(tempfile::tempdir().context("a folder to work in")?).path().to_owned(),
        };
        let plan = Plan {
            seed,
            until,
            tools: TOOLS,
            certain: Vec::new(),
            faults: FAULTS,
            setup: Setup { binary, log: self.log, instances, nats_server },
            folder: folder.clone(),
            keep: self.keep.is_some(),
        };
        complain(&format!("seed {seed}, {} log, {instances} instances", self.log.name()));
        let (mut so_far, mut terminate) = (Report::default(), signal(SignalKind::terminate())?);
        let told = |told: Told<'_>| {
            complain(&line(&told));
            if let Told::Round(_, report, _) = told {
                so_far.clone_from(report);
            }
        };
        // What was started ends, and a folder of ours goes, as what holds them is dropped.
        let ended = tokio::select! {
            report = torture::run(&plan, told) => Some(report?),
            _ = tokio::signal::ctrl_c() => None,
            _ = terminate.recv() => None,
        };
        let is_stopped = ended.is_none();
        let report = ended.unwrap_or(so_far);
        if !report.findings.is_empty()
            && let Some(own) = own
        {
            complain(&format!("everything is kept in {}", own.keep().display()));
        }
        if screen.json {
            screen.value(&serde_json::to_value(&report)?)?;
        } else {
            table(&report, self.log, instances, screen)?;
        }
        if is_stopped {
            bail!("stopped: what came after round {} was not checked", report.rounds);
        }
        Ok(if report.findings.is_empty() { Ending::Done } else { Ending::Refused })
    }
}

/// A time that something can be done in.
fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "expected a number of minutes".to_owned())?;
    match minutes > 0.0 && minutes <= 1e6 {
        true => Ok(minutes),
        false => Err("expected more than 0 minutes, and no more than a million".to_owned()),
    }
}

fn line(told: &Told<'_>) -> String {
    match told {
        Told::House(folder) => format!("a new house in {}", folder.display()),
        Told::Fault(round, fault) => format!("  round {round}: {fault}"),
        Told::Found(finding) => format!("  FOUND {}", safe::text(&finding.to_string())),
        Told::Round(round, report, (memory, files)) => format!(
            "round {round} checked after {:.0} s: {} answered, {} refused, {} open; {} events, {} editions, {} erased, \
             {} checks, {} wrong; {} MiB, {files} files open",
            report.seconds,
            report.accepted,
            report.refused,
            report.unknown,
            report.events,
            report.editions,
            report.erased,
            report.checks,
            report.findings.len(),
            memory >> 20,
        ),
    }
}

fn table(report: &Report, log: LogKind, instances: usize, screen: &mut Screen) -> anyhow::Result<()> {
    let title = format!("seed {}, {} log, {instances} instances", report.seed, log.name());
    let title = screen.paint(BOLD, &title);
    screen.line(title)?;
    let faults: u64 = report.faults.values().sum();
    for (what, count) in [
        ("rounds", report.rounds),
        ("seconds", report.seconds as u64),
        ("sendings answered with success", report.accepted),
        ("sendings refused", report.refused),
        ("sendings left open", report.unknown),
        ("bytes of commands", report.bytes_sent),
        ("bytes read from outside", report.bytes_outside),
        ("events", report.events),
        ("editions and withdrawals", report.editions),
        ("events and messages of the wire erased by law", report.erased),
        ("faults", faults),
    ] {
        screen.line(format!("  {count:>14} {what}"))?;
    }
    for (kind, count) in &report.faults {
        let line = screen.paint(DIM, &format!("  {count:>14}   {kind}"));
        screen.line(line)?;
    }
    screen.line(format!("  {:>14} things held against each other", report.checks))?;
    screen.line(format!("  {:>14} MiB of memory at most", report.largest_memory_bytes >> 20))?;
    screen.line(format!("  {:>14} open files at most", report.most_open_files))?;
    for course in report.level.iter().flat_map(|level| &level.courses) {
        let line = format!(
            "  {:>6.1} {:>6.1} {:>6.1} {} (first quarter of the rounds, middle, last)",
            course.first, course.middle, course.last, course.what
        );
        screen.line(line)?;
        if !course.is_level() {
            let line =
                screen.paint(BAD, &format!("  not level: {} rose by more than a quarter", course.what));
            screen.line(line)?;
        }
    }
    for finding in &report.findings {
        let line = screen.paint(BAD, &safe::text(&finding.to_string()));
        screen.line(line)?;
    }
    let verdict = match report.findings.len() {
        0 => screen.paint(GOOD, "Nothing lost, nothing wrong"),
        1 => screen.paint(BAD, "1 thing is wrong"),
        many => screen.paint(BAD, &format!("{many} things are wrong")),
    };
    Ok(screen.line(verdict)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_a_time_in_which_something_can_be_done() {
        assert_eq!(minutes("1.5"), Ok(1.5));
        for other in ["0", "-1", "nan", "inf", "1e7", "x"] {
            assert!(minutes(other).is_err(), "{other}");
        }
    }
}
