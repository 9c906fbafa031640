//! `copydesk bench`: what copydesk costs beside the bare transport that it stands on.
//!
//! Machines are noisy, so hardly anything here is a number on its own: each measurement runs the desk and something
//! bare in turn, several times, on one machine, and what counts is the ratio of the medians.
//!
//! # Layout
//! - a part a file: [`embedded`], [`rebuild`], [`transport`], [`http`], [`feeds`], [`stream`], [`article`], [`growth`].
//! - what they are held against: [`bare`] over HTTP, [`responder`] over NATS.
//! - what they stand on: [`house`] (the newsroom), [`load`], [`fill`] (data folders), [`child`] and [`nats_server`]
//!   (processes), [`client`] (HTTP), [`meter`] (processor time and memory).
//! - [`report`]: what came of it; [`svg`]: its picture; [`table`]: its table.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::ValueEnum;

mod article;
pub mod bare;
mod child;
mod client;
mod embedded;
mod feeds;
mod fill;
mod growth;
mod house;
mod http;
pub mod load;
mod meter;
mod nats_server;
mod rebuild;
pub mod report;
mod responder;
mod stream;
pub mod svg;
pub mod table;
mod transport;

pub use nats_server::Servers;
pub use report::{Report, Sizes};

use nats_server::{Server, Syncs};
use report::{LeftOut, Line, Row};

/// What to measure, and how much.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How much.
    pub sizes: Sizes,
    /// NATS servers; without any, parts that need one are left out.
    pub servers: Servers,
    /// Only these parts; empty: all.
    pub only: Vec<Subject>,
}

/// What can be measured by itself, in the order in which it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// Commands on the embedded log.
    Embedded,
    /// Commands through NATS, one in flight.
    Latency,
    /// Commands through NATS, many in flight.
    Throughput,
    /// The same where the server syncs every message.
    Synced,
    /// Commands over HTTP.
    Http,
    /// Feeds and pages, and both unchanged.
    Feeds,
    /// Memory of a service that has shown every article.
    Memory,
    /// From a publication to one reader of /stream.
    Stream,
    /// Thousands of readers of /stream.
    Readers,
    /// A long article beside a short one.
    Article,
    /// An article's 1,000th event beside its 10th.
    Age,
    /// Folding a log anew, and verifying it.
    Rebuild,
    /// From its start to ready.
    Start,
    /// Commands, folding and memory by the events behind.
    Growth,
    /// One, two and three instances on one NATS.
    Instances,
}

impl Subject {
    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// About how long it takes beside the others: seconds where that was last looked at.
    fn weight(self) -> u32 {
        match self {
            Subject::Latency | Subject::Stream | Subject::Article | Subject::Age | Subject::Start => 10,
            Subject::Embedded | Subject::Http | Subject::Readers => 20,
            Subject::Throughput => 40,
            Subject::Synced | Subject::Instances => 100,
            Subject::Feeds => 200,
            Subject::Rebuild | Subject::Memory => 320,
            Subject::Growth => 150,
        }
    }
}

/// Where a measurement is.
#[derive(Debug, Clone)]
pub struct Step {
    /// The part.
    pub part: Subject,
    /// Which part it is, from 1.
    pub number: usize,
    /// How many parts there are.
    pub of: usize,
    /// What is done now.
    pub doing: String,
    /// About how long the rest takes, once that can be told.
    pub left: Option<Duration>,
}

/// Why a part can't be measured here: no failure, but something that isn't there.
#[derive(Debug)]
struct NotHere(String);

impl fmt::Display for NotHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotHere {}

/// What a part works with.
struct Context<'a> {
    plan: &'a Plan,
    folder: &'a Path,
    told: &'a dyn Fn(&Step),
    step: Step,
}

impl Context<'_> {
    /// Says what is done now.
    fn doing(&self, what: &str) {
        (self.told)(&Step { doing: what.to_owned(), ..self.step.clone() });
    }

    /// Says which run it is, from 0.
    fn run(&self, what: &str, run: usize) {
        self.doing(&format!("{what}: run {} of {}", run + 1, self.plan.sizes.runs));
    }

    /// A NATS server, a fresh one unless one was given.
    async fn server(&self, syncs: Syncs) -> anyhow::Result<Server> {
        let missing = || {
            let option = match syncs {
                Syncs::Seldom => "--nats URL",
                Syncs::Always => "--nats-synced URL",
            };
            NotHere(format!("no NATS server: name the program (--nats-server PATH) or a server ({option})"))
        };
        Ok(self.plan.servers.server(self.folder, syncs).await?.ok_or_else(missing)?)
    }
}

/// What a part came to.
enum Found {
    Rows(Vec<Row>),
    Lines(Vec<Line>),
}

async fn measure(context: &Context<'_>) -> anyhow::Result<Found> {
    Ok(match context.step.part {
        Subject::Embedded => Found::Rows(embedded::measure(context).await?),
        Subject::Latency => Found::Rows(transport::latency(context).await?),
        part @ (Subject::Throughput | Subject::Synced) => {
            Found::Rows(transport::throughput(context, part).await?)
        }
        Subject::Http => Found::Rows(http::measure(context).await?),
        Subject::Feeds => Found::Rows(feeds::measure(context).await?),
        Subject::Memory => Found::Rows(feeds::memory(context).await?),
        Subject::Stream => Found::Rows(stream::one_reader(context).await?),
        Subject::Readers => Found::Rows(stream::many_readers(context).await?),
        Subject::Article => Found::Rows(article::size(context).await?),
        Subject::Age => Found::Rows(article::age(context).await?),
        Subject::Rebuild => Found::Rows(rebuild::measure(context).await?),
        Subject::Start => Found::Rows(growth::start(context).await?),
        Subject::Growth => Found::Lines(growth::events(context).await?),
        Subject::Instances => Found::Lines(growth::instances(context).await?),
    })
}

/// Runs the whole plan in a folder; `told` hears what is being measured.
///
/// # Errors
/// None: whatever stops a part from running is in the report, with what was measured of the others.
pub async fn run(plan: &Plan, folder: &Path, told: impl Fn(&Step)) -> Report {
    let began = Instant::now();
    let mut report = Report {
        format: report::FORMAT,
        copydesk: env!("CARGO_PKG_VERSION").to_owned(),
        nats_server: plan.servers.version().await,
        kernel: meter::kernel(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: meter::machine_memory(),
        file_system: meter::file_system(folder),
        began: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        seconds: 0.0,
        sizes: plan.sizes,
        rows: Vec::new(),
        growth: Vec::new(),
        left_out: Vec::new(),
    };
    let wanted = |part: &&Subject| plan.only.is_empty() || plan.only.contains(part);
    let parts: Vec<Subject> = Subject::value_variants().iter().filter(wanted).copied().collect();
    let all: u32 = parts.iter().map(|part| part.weight()).sum();
    let mut done = 0;
    for (number, part) in parts.iter().enumerate() {
        let left = (done > 0).then(|| began.elapsed() * (all - done) / done);
        let step = Step { part: *part, number: number + 1, of: parts.len(), doing: String::new(), left };
        let context = Context { plan, folder, told: &told, step };
        match measure(&context).await {
            Ok(Found::Rows(rows)) => report.rows.extend(rows),
            Ok(Found::Lines(lines)) => report.growth.extend(lines),
            Err(error) => {
                let (why, failed) = match error.downcast::<NotHere>() {
                    Ok(NotHere(why)) => (why, false),
                    Err(error) => (format!("{error:#}"), true),
                };
                report.left_out.push(LeftOut { part: part.name(), why, failed });
            }
        }
        done += part.weight();
    }
    report.seconds = began.elapsed().as_secs_f64();
    report
}

/// Deletes what [`run`] left on servers that were given, where it was stopped on the way or failed.
pub async fn sweep(plan: &Plan) {
    transport::sweep(&plan.servers).await;
}

fn per_second(count: usize, elapsed: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let count = count as f64;
    count / elapsed.as_secs_f64().max(1e-9)
}
