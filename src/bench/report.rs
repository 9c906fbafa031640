//! What a run of `bench` came to: rows of ours beside something named, lines of growth, and on what machine.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Subject;

/// The version of the JSON's shape.
pub const FORMAT: u32 = 1;

/// Everything that was measured in one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The version of this shape: [`FORMAT`].
    pub format: u32,
    /// The version of copydesk.
    pub copydesk: String,
    /// What `nats-server --version` or the given server says.
    pub nats_server: Option<String>,
    /// The operating system's kernel.
    pub kernel: Option<String>,
    /// Processors that this process may use.
    pub cores: usize,
    /// The machine's memory, in bytes.
    pub memory_bytes: Option<f64>,
    /// What holds the folder that was measured in: `ext4`; on `tmpfs` syncing costs nothing.
    pub file_system: Option<String>,
    /// When it began, in UTC.
    pub began: String,
    /// How long all of it took.
    pub seconds: f64,
    /// How much was measured.
    pub sizes: Sizes,
    /// Ours beside what it is held against.
    pub rows: Vec<Row>,
    /// How cost grows.
    pub growth: Vec<Line>,
    /// Parts that could not be measured here, and why.
    pub left_out: Vec<LeftOut>,
}

/// How much is measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Sizes {
    /// Alternating runs of each side.
    pub runs: usize,
    /// Commands a run.
    pub commands: usize,
    /// Events of the log that is folded anew.
    pub events: usize,
    /// Published articles behind feeds.
    pub articles: usize,
    /// Readers of `/stream`.
    pub readers: usize,
}

/// A part that could not be measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeftOut {
    /// Which.
    pub part: String,
    /// Why, and what to do.
    pub why: String,
    /// Whether it failed, and not for something that isn't here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

impl LeftOut {
    /// In a word or two.
    pub fn how(&self) -> &'static str {
        if self.failed { "Failed" } else { "Left out" }
    }
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// A higher figure.
    More,
    /// A lower one.
    Less,
}

/// What is asked of a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// `ours / bare` at least.
    RatioAtLeast(f64),
    /// `ours / bare` at most.
    RatioAtMost(f64),
    /// Our figure, in the row's unit, less than.
    Under(f64),
}

impl Asked {
    fn is_met(self, ours: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Asked::RatioAtLeast(least) => ratio.map(|ratio| ratio >= least),
            Asked::RatioAtMost(most) => ratio.map(|ratio| ratio <= most),
            Asked::Under(bound) => Some(ours < bound),
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asked::RatioAtLeast(least) => write!(f, "at least {least} ×"),
            Asked::RatioAtMost(most) => write!(f, "at most {most} ×"),
            Asked::Under(bound) => write!(f, "under {bound}"),
        }
    }
}

/// One run of one side.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Sample {
    /// The figure, in the row's unit.
    pub value: f64,
    /// User and system time of the processes named in the row, in microseconds an operation.
    pub cpu_micros: Option<f64>,
    /// The most memory that those processes held during the run, in bytes.
    pub peak_bytes: Option<f64>,
}

impl From<f64> for Sample {
    fn from(value: f64) -> Self {
        Self { value, cpu_micros: None, peak_bytes: None }
    }
}

/// All runs of one side.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Side {
    /// The median of the runs' figures.
    pub median: f64,
    /// The median of the runs' processor time, in microseconds an operation.
    pub cpu_micros: Option<f64>,
    /// The median of the runs' peaks of memory, in bytes.
    pub peak_bytes: Option<f64>,
    /// Every run, in order.
    pub runs: Vec<Sample>,
}

impl From<Vec<Sample>> for Side {
    fn from(runs: Vec<Sample>) -> Self {
        let known = |of: fn(&Sample) -> Option<f64>| {
            let all: Vec<f64> = runs.iter().filter_map(of).collect();
            (!all.is_empty()).then(|| median(&all))
        };
        Self {
            median: median(&runs.iter().map(|run| run.value).collect::<Vec<_>>()),
            cpu_micros: known(|run| run.cpu_micros),
            peak_bytes: known(|run| run.peak_bytes),
            runs,
        }
    }
}

/// One measurement.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The part that it belongs to, as `--only` takes it.
    pub part: String,
    /// What was measured.
    pub what: String,
    /// What it is held against, if anything.
    pub against: Option<String>,
    /// The unit of both figures.
    pub unit: String,
    /// Which way is better.
    pub better: Better,
    /// Whose processor time and memory is given.
    pub cpu_of: String,
    /// Ours.
    pub ours: Side,
    /// The other.
    pub bare: Option<Side>,
    /// `ours / bare`, of the medians.
    pub ratio: Option<f64>,
    /// What is asked.
    pub asked: Option<Asked>,
    /// Whether it was reached; none where nothing is asked, or what was measured is smaller than what is asked of.
    pub met: Option<bool>,
}

/// What a row speaks of.
pub(super) struct Of<'a> {
    pub part: Subject,
    pub what: &'a str,
    pub unit: &'a str,
    pub better: Better,
    pub cpu_of: &'a str,
    pub asked: Option<Asked>,
}

impl Of<'_> {
    /// Ours beside something named.
    pub fn beside(&self, against: &str, ours: Vec<Sample>, bare: Vec<Sample>) -> Row {
        let (ours, bare) = (Side::from(ours), Side::from(bare));
        let ratio = (bare.median > 0.0).then(|| ours.median / bare.median);
        Row { against: Some(against.to_owned()), bare: Some(bare), ..self.row(ours, ratio) }
    }

    /// Ours alone.
    pub fn alone(&self, ours: Vec<Sample>) -> Row {
        self.row(ours.into(), None)
    }

    fn row(&self, ours: Side, ratio: Option<f64>) -> Row {
        Row {
            part: self.part.name(),
            what: self.what.to_owned(),
            against: None,
            unit: self.unit.to_owned(),
            better: self.better,
            cpu_of: self.cpu_of.to_owned(),
            bare: None,
            ratio,
            asked: self.asked,
            met: self.asked.and_then(|asked| asked.is_met(ours.median, ratio)),
            ours,
        }
    }
}

impl Row {
    /// Says nothing of what is asked where less was measured than it is asked of.
    pub(super) fn judged_if(mut self, whole: bool) -> Self {
        self.met = self.met.filter(|_| whole);
        self
    }
}

/// What a size costs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// What grows: `events` or `instances`.
    pub series: String,
    /// How many there are.
    pub at: usize,
    /// Commands a second.
    pub commands_per_second: f64,
    /// Events folded anew a second.
    pub rebuilt_per_second: Option<f64>,
    /// Memory of the service after it took the commands, in bytes; of all instances together.
    pub resident_bytes: Option<f64>,
    /// Folded state on the disk, in bytes.
    pub state_bytes: Option<f64>,
    /// From its start to its first answer, in seconds.
    pub ready_seconds: Option<f64>,
}

/// The middle of some figures; 0 of none.
pub(super) fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(asked: Asked, better: Better) -> Of<'static> {
        Of { part: Subject::Embedded, what: "w", unit: "u", better, cpu_of: "c", asked: Some(asked) }
    }

    #[test]
    fn a_row_says_whether_what_is_asked_was_reached() {
        let runs = |all: &[f64]| all.iter().copied().map(Sample::from).collect::<Vec<_>>();
        let more = of(Asked::RatioAtLeast(0.5), Better::More);
        let row = more.beside("b", runs(&[9.0, 1.0, 5.0]), runs(&[10.0, 10.0, 2.0]));
        assert_eq!((row.ours.median, row.ratio, row.met), (5.0, Some(0.5), Some(true)));
        let less = of(Asked::RatioAtMost(1.3), Better::Less);
        assert_eq!(less.beside("b", runs(&[1.4]), runs(&[1.0])).met, Some(false));
        assert_eq!(less.beside("b", runs(&[1.4]), runs(&[0.0])).met, None);
        let under = of(Asked::Under(2.0), Better::Less);
        assert_eq!(under.alone(runs(&[2.0])).met, Some(false));
        assert_eq!(under.alone(runs(&[1.0])).judged_if(false).met, None);
    }
}
