//! `copydesk bench`: what copydesk costs beside the bare transport that it stands on.
//!
//! Machines are noisy, so nothing here is a number on its own: each measurement runs the desk and something bare in
//! turn, several times, in one process on one machine, and what counts is the ratio of the medians.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use copydesk_article::newsroom::{NewsroomSet, Person, Role, Rules};
use serde::Serialize;

mod embedded;
mod load;
mod rebuild;
mod transport;

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Alternating runs of each side.
    pub runs: usize,
    /// Commands a run.
    pub commands: usize,
    /// Events of the log that is folded anew.
    pub events: usize,
    /// A NATS server with JetStream to measure against; without one that part is left out.
    pub nats: Option<String>,
    /// Only these parts; empty: all.
    pub only: Vec<Subject>,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Subject {
    /// Commands on the embedded log.
    Embedded,
    /// Folding a log anew.
    Rebuild,
    /// Commands through NATS, many in flight.
    Throughput,
    /// Commands through NATS, one in flight.
    Latency,
}

impl Plan {
    fn wants(&self, subject: Subject) -> bool {
        self.only.is_empty() || self.only.contains(&subject)
    }
}

/// One measurement: ours beside what it is held against.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// What was measured.
    pub what: String,
    /// What it is held against.
    pub against: String,
    /// The unit of both figures.
    pub unit: &'static str,
    /// Our median.
    pub ours: f64,
    /// The median of what it is held against.
    pub bare: f64,
    /// `ours / bare`.
    pub ratio: f64,
    /// What is asked of the ratio or of our figure.
    pub reach: String,
    /// Every run of ours.
    pub our_runs: Vec<f64>,
    /// Every run of the other.
    pub bare_runs: Vec<f64>,
}

impl Measured {
    fn new(
        what: &str,
        against: &str,
        unit: &'static str,
        reach: &str,
        our_runs: Vec<f64>,
        bare_runs: Vec<f64>,
    ) -> Self {
        let (ours, bare) = (median(&our_runs), median(&bare_runs));
        Self {
            what: what.to_owned(),
            against: against.to_owned(),
            unit,
            ours,
            bare,
            ratio: if bare > 0.0 { ours / bare } else { 0.0 },
            reach: reach.to_owned(),
            our_runs,
            bare_runs,
        }
    }
}

fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Runs the whole plan; `told` hears what is being measured.
///
/// # Errors
/// Whatever stops a part from running: no room, no server.
pub async fn run(plan: &Plan, folder: &Path, told: impl Fn(&str)) -> anyhow::Result<Vec<Measured>> {
    let mut all = Vec::new();
    if plan.wants(Subject::Embedded) {
        told("commands on the embedded log, synced, 64 in flight");
        all.push(embedded::measure(plan, folder).await?);
    }
    if plan.wants(Subject::Rebuild) {
        told("folding a log anew, and verifying it");
        all.extend(rebuild::measure(plan, folder).await?);
    }
    if plan.wants(Subject::Throughput) || plan.wants(Subject::Latency) {
        match &plan.nats {
            Some(url) => {
                told("commands through NATS");
                all.extend(transport::measure(plan, folder, url).await?);
            }
            None => told("left out: commands through NATS (name a server with JetStream by --nats)"),
        }
    }
    Ok(all)
}

/// A newsroom for measuring: one reporter and a chief.
pub(crate) fn newsroom() -> NewsroomSet {
    let person = |role| Person { roles: vec![role], ..Person::default() };
    NewsroomSet {
        people: [(Arc::from("ana"), person(Role::Reporter)), (Arc::from("carl"), person(Role::Chief))].into(),
        rules: Rules::default(),
    }
}

fn per_second(count: usize, elapsed: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let count = count as f64;
    count / elapsed.as_secs_f64().max(1e-9)
}
