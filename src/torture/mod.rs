//! `copydesk torture`: a newsroom under load, to which everything is done that machines and networks do, and a checker that
//! knows every answer and everything that was outside, and afterwards reads log, wire, states, feeds and checkpoints.
//!
//! What is tortured is the binary itself, in processes of its own, over real HTTP and a real nats-server. A run goes by
//! rounds: load and faults, then rest, then everything is held against everything. Several rounds go over one house (a
//! log with its instances); then another is built, so that checking the whole history stays cheap.
//!
//! The seed decides which faults come when, and what each tool sets out to do; what a machine makes of that within its
//! milliseconds doesn't repeat.
//!
//! # Layout
//! - this file: rounds, and the report.
//! - [`level`]: whether memory, disk and open files stay level. [`fault`]: what is done. [`load`]: tools at work. [`journal`]: what they were told, and what was seen outside.
//! - `house`: processes, servers and the network between them. [`check`]: the checker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

pub mod check;
mod dice;
pub mod fault;
mod house;
pub mod journal;
pub mod level;
pub mod load;

pub use dice::Dice;
pub use house::{Setup, nats_server};

use crate::log::Content;
use check::{Finding, What};
use fault::Fault;
use house::House;
use load::Load;

/// How the folders of houses begin; the house's number follows.
const HOUSE: &str = "house-";
/// How many events a house gets before another is built.
const EVENTS_A_HOUSE: usize = 30_000;
/// How many rounds a house sees.
const ROUNDS_A_HOUSE: u64 = 6;
/// How many answers must have come since the last fault before a round ends: the service goes on.
const ANSWERS_AFTER: u64 = 60;
/// How long the service may take to answer again after whatever was done to it.
const ANSWERS_WITHIN: Duration = Duration::from_secs(90);
/// How long a round may take, whatever is wrong with the service: it ends, and says so.
const ROUND_WITHIN: Duration = Duration::from_secs(600);
/// How many accepted commands are sent again at the end of a round.
const REPEATED: usize = 150;
/// The longest pause between two faults.
const PAUSE_MS: u64 = 1200;

/// Where the log of a house is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// On one machine, in segment files.
    Embedded,
    /// On one nats-server.
    Nats,
    /// On a cluster of three nats-servers, with three replicas.
    Cluster,
}

impl LogKind {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            LogKind::Embedded => "embedded",
            LogKind::Nats => "nats",
            LogKind::Cluster => "cluster",
        }
    }
}

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After so many rounds.
    Rounds(u64),
    /// With the round in which so much time has passed.
    Time(Duration),
}

/// A run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What decides it.
    pub seed: u64,
    /// When it ends.
    pub until: Until,
    /// How many tools work at once.
    pub tools: usize,
    /// The faults that every round begins with.
    pub certain: Vec<Fault>,
    /// How many drawn faults follow in each round.
    pub faults: u64,
    /// What is tortured.
    pub setup: Setup,
    /// Where houses are built; each takes a folder of its own, which is removed after it unless something was found.
    pub folder: PathBuf,
    /// Whether those folders are kept in any case.
    pub keep: bool,
}

/// What a run came to, so far.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What decided it.
    pub seed: u64,
    /// Rounds that were checked.
    pub rounds: u64,
    /// Houses that were built.
    pub houses: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Sendings that were answered with success.
    pub accepted: u64,
    /// Sendings that were refused.
    pub refused: u64,
    /// Sendings whose outcome stayed open.
    pub unknown: u64,
    /// Bytes of commands that were sent.
    pub bytes_sent: u64,
    /// Bytes that were read from outside.
    pub bytes_outside: u64,
    /// Events in the logs.
    pub events: u64,
    /// Editions and withdrawals on the wires.
    pub editions: u64,
    /// Events and messages of the wires that were erased by law.
    pub erased: u64,
    /// Faults by their kinds.
    pub faults: BTreeMap<&'static str, u64>,
    /// How many things were held against each other.
    pub checks: u64,
    /// The largest resident memory of an instance at the end of a round, in bytes.
    pub largest_memory_bytes: u64,
    /// The most open files of an instance at the end of a round.
    pub most_open_files: u64,
    /// What the instances had in use at the end of each round.
    #[serde(skip)]
    pub uses: Vec<level::Use>,
    /// The same of the run's first, middle and last rounds, once it has ended; none for a few rounds.
    pub level: Option<level::Level>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// What a run says on its way.
#[derive(Debug)]
pub enum Told<'a> {
    /// Another house is built, in this folder.
    House(&'a Path),
    /// This is done in this round.
    Fault(u64, Fault),
    /// A round was checked: its number, the report so far, memory in bytes and open files of the largest instance now.
    Round(u64, &'a Report, (u64, u64)),
    /// Something was found.
    Found(&'a Finding),
}

/// The house of an earlier run in a folder, if there is one: another can't be built in its place.
pub fn a_house_in(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let is_house =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(HOUSE));
    entries.map(|entry| entry.path()).find(is_house)
}

/// Runs a plan to its end, or to the first house in which something is found: one that can't be built is such.
///
/// # Errors
/// Where the folder of a house can't be removed.
pub async fn run(plan: &Plan, mut told: impl FnMut(Told<'_>)) -> anyhow::Result<Report> {
    let started = Instant::now();
    let mut dice = Dice::new(plan.seed);
    let mut report = Report { seed: plan.seed, ..Report::default() };
    let goes_on = |report: &Report| match plan.until {
        Until::Rounds(rounds) => report.rounds < rounds,
        Until::Time(time) => started.elapsed() < time,
    };
    while goes_on(&report) && report.findings.is_empty() {
        report.houses += 1;
        let folder = plan.folder.join(format!("{HOUSE}{}", report.houses));
        told(Told::House(&folder));
        let mut in_house = dice.another(report.houses);
        let mut house = match House::build(&plan.setup, &folder, &mut in_house).await {
            Ok(house) => house,
            Err(error) => {
                report.findings.push(conduct(&error.context("the house can't be built")));
                report.findings.iter().for_each(|finding| told(Told::Found(finding)));
                break;
            }
        };
        let mut load = Load::new(&house.shared, plan.tools, &mut in_house);
        let mut newest = Size::default();
        for _ in 0..ROUNDS_A_HOUSE {
            let round = round(plan, &mut house, &mut load, &mut in_house, &mut report, &mut told);
            match within(ROUND_WITHIN, round).await {
                Ok(size) => newest = size,
                Err(error) => report.findings.push(conduct(&error)),
            }
            report.rounds += 1;
            report.seconds = started.elapsed().as_secs_f64();
            let used = house.use_of();
            report.uses.push(level::Use {
                events: newest.events as u64,
                memory_bytes: used.0,
                disk_bytes: level::disk_bytes(&folder),
                open_files: used.1,
            });
            report.largest_memory_bytes = report.largest_memory_bytes.max(used.0);
            report.most_open_files = report.most_open_files.max(used.1);
            report.findings.iter().for_each(|finding| told(Told::Found(finding)));
            told(Told::Round(report.rounds, &totals(&report, &house, newest), used));
            if !goes_on(&report) || !report.findings.is_empty() || newest.events > EVENTS_A_HOUSE {
                break;
            }
        }
        if report.findings.is_empty() {
            if let Err(error) = within(ROUND_WITHIN, last_look(&mut house, &mut report)).await {
                report.findings.push(conduct(&error));
            }
            report.findings.iter().for_each(|finding| told(Told::Found(finding)));
        }
        report = totals(&report, &house, newest);
        drop((load, house));
        if !plan.keep && report.findings.is_empty() {
            std::fs::remove_dir_all(&folder).context("the house's folder can't be removed")?;
        }
    }
    report.seconds = started.elapsed().as_secs_f64();
    report.level = level::Level::of(&report.uses);
    Ok(report)
}

async fn within<T>(time: Duration, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let waited = tokio::time::timeout(time, work).await;
    waited.with_context(|| format!("this came to no end within {} s", time.as_secs()))?
}

fn conduct(error: &anyhow::Error) -> Finding {
    Finding { what: What::Conduct, article: None, seq: None, detail: format!("{error:#}") }
}

/// Everything held against everything once more, when all who follow have had the time to get it.
async fn last_look(house: &mut House, report: &mut Report) -> anyhow::Result<()> {
    let gathered = house.gather_with_time().await?;
    let checked = tokio::task::spawn_blocking(move || gathered.check()).await?;
    report.checks += checked.checks;
    report.findings.extend(checked.findings);
    Ok(())
}

/// The report with what the present house came to.
fn totals(report: &Report, house: &House, size: Size) -> Report {
    let counts = &house.shared.counts;
    let mut report = report.clone();
    report.accepted += counts.accepted.load(Ordering::Relaxed);
    report.refused += counts.refused.load(Ordering::Relaxed);
    report.unknown += counts.unknown.load(Ordering::Relaxed);
    report.bytes_sent += counts.bytes.load(Ordering::Relaxed);
    report.bytes_outside += house.shared.journal().bytes_outside;
    report.events += size.events as u64;
    report.editions += size.editions as u64;
    report.erased += size.erased as u64;
    report
}

/// How long log and wire are, and how much of both was erased.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    events: usize,
    editions: usize,
    erased: usize,
}

/// Load and faults, then rest, then everything held against everything. Gives how long log and wire are.
async fn round(
    plan: &Plan,
    house: &mut House,
    load: &mut Load,
    dice: &mut Dice,
    report: &mut Report,
    told: &mut impl FnMut(Told<'_>),
) -> anyhow::Result<Size> {
    load.go();
    let certain = plan.certain.iter().copied().map(Some);
    for certain in certain.chain((0..plan.faults).map(|_| None)) {
        tokio::time::sleep(Duration::from_millis(dice.roll(PAUSE_MS))).await;
        let fault = certain.unwrap_or_else(|| Fault::draw(dice, plan.setup.log, plan.setup.instances));
        told(Told::Fault(report.rounds + 1, fault));
        *report.faults.entry(fault.kind()).or_default() += 1;
        house.suffer(fault, dice).await.with_context(|| fault.to_string())?;
    }
    if !load.more(ANSWERS_AFTER, ANSWERS_WITHIN).await {
        anyhow::bail!("no more answers come");
    }
    if load.pause(ANSWERS_WITHIN).await {
        load.repeat(REPEATED).await;
        let silent = load::silent(&house.shared, ANSWERS_WITHIN).await;
        report.findings.extend(silent.into_iter().map(|what| conduct(&anyhow::Error::msg(what))));
    } else {
        // What the log has by now may say why.
        let open = format!("the last commands are never answered: {}", load.open());
        report.findings.push(conduct(&anyhow::Error::msg(open)));
    }
    let gathered = house.gather().await?;
    let all = gathered.events.iter().chain(&gathered.wire);
    let size = Size {
        events: gathered.events.len(),
        editions: gathered.wire.len(),
        erased: all.filter(|entry| matches!(entry.content, Content::Erased { .. })).count(),
    };
    let checked = tokio::task::spawn_blocking(move || gathered.check()).await?;
    report.checks += checked.checks;
    report.findings.extend(checked.findings);
    Ok(size)
}
