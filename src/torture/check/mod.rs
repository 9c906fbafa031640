//! The checker: from what was told and seen, and what log, wire and instances hold at the end, to what is wrong.
//!
//! It is pure: the same evidence gives the same findings, so each defect that it is to find can be planted in recorded
//! evidence (its tests do). It goes by the core's own `evolve` where it asks what the log says, and by models of its
//! own, far simpler than the core, where it asks whether that is right: which words must stand where after which
//! command ([`words`]), and what must be settled before something goes out ([`gate`]).
//!
//! # Layout
//! - this file: evidence. [`finding`]: what is found. [`walk`]: the one walk along the log.
//! - [`answers`]: commands, what they were answered, and what the log has of them.
//! - [`words`], [`gate`]: the models. [`merged`]: what an edit from an older revision may do.
//! - [`editions`]: the wire and `/stream`. [`readers`]: feeds, pages, and words outside. [`deliveries`]: what receivers of
//!   webhooks got.
//! - [`erased`]: what is rightly gone, and that its words are.
//! - [`moves`]: what staff were told by `/v1/stream`.
//! - [`tree`] holds checkpoints against the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::journal::Journal;
use crate::audit::verify::Report;
use crate::log::{Entry, Seq};

mod answers;
mod deliveries;
mod editions;
mod erased;
mod finding;
mod gate;
mod merged;
mod moves;
mod readers;
#[cfg(test)]
mod tests;
mod tree;
mod walk;
mod words;

pub(super) use erased::stands;
pub use finding::{Checked, Finding, What};
use walk::Walk;

/// Everything that the checker goes by.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What was told and seen while the run was under way.
    pub journal: &'a Journal,
    /// The log, whole.
    pub events: &'a [Entry],
    /// The wire, whole.
    pub wire: &'a [Entry],
    /// What each instance shows at the end.
    pub shown: &'a [Shown],
    /// What `verify` says of the same log.
    pub verified: Option<&'a Report>,
    /// Whether all who follow have had the time to get everything since the last rest, a receiver of webhooks half a minute,
    /// and the clock the time for what was due by then.
    pub had_time: bool,
}

/// What an instance shows once it has folded the whole log.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Which instance.
    pub instance: usize,
    /// Every article, as `GET /v1/articles/{id}` has it.
    pub articles: BTreeMap<Uuid, Value>,
    /// The feed's articles and their editions, in its order.
    pub feed: Vec<(Uuid, u64)>,
    /// The status of each article's own page, and its edition.
    pub pages: BTreeMap<Uuid, (u16, u64)>,
    /// Of articles of which something was erased, the marked words that it shows of their past.
    pub past: BTreeMap<Uuid, BTreeSet<String>>,
}

/// Holds everything against everything.
pub fn check(evidence: &Evidence<'_>) -> Checked {
    let mut checked = Checked::default();
    let mut answers = answers::Answers::of(evidence.journal, &mut checked);
    let mut erasures = erased::Erasures::of(evidence.events, evidence.journal);
    let walk = Walk::along(evidence, &mut answers, &mut erasures, &mut checked);
    answers.finish(&mut checked);
    walk.state(evidence, &mut checked);
    walk.hours(evidence, &mut checked);
    let gone = editions::check(evidence, &walk.expected, &erasures, &mut checked);
    readers::check(evidence, &walk.expected, &mut checked);
    deliveries::check(evidence, &walk.expected, &gone, &mut checked);
    moves::check(evidence, &walk.moves, &mut checked);
    tree::check(evidence, &erasures, &mut checked);
    erasures.finish(evidence, &mut checked);
    if let Some(report) = evidence.verified {
        checked.checks += report.events + report.wire + report.checkpoints;
        for fault in &report.faults {
            let detail = format!("{}: {}", fault.about.name(), fault.what);
            checked.found(What::Verified, fault.article, fault.seq, detail);
        }
    }
    for what in &evidence.journal.conduct {
        checked.found(What::Conduct, None, None, what.clone());
    }
    checked
}

/// An edition or withdrawal that the log has.
#[derive(Debug, Clone)]
struct Expected {
    seq: Seq,
    event: Uuid,
    article: Uuid,
    number: u64,
    time: DateTime<Utc>,
    kind: &'static str,
    /// The marked words that it may carry.
    words: BTreeSet<String>,
    /// Those of its headline and text, which it must carry.
    must: BTreeSet<String>,
    /// Those that it carried until they were erased.
    erased: BTreeSet<String>,
}

/// What staff must be told of an event.
#[derive(Debug)]
struct Move {
    seq: Seq,
    article: Uuid,
    version: u32,
    revision: u32,
    kind: String,
    by: Arc<str>,
}

/// The texts of an article by the names of their blocks, as the models keep them.
type Texts = BTreeMap<String, Arc<str>>;
