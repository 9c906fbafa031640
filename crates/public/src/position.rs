//! How far the wire is folded, and what the fold has to say about it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::fold::FOLD_VERSION;

/// How far the wire is folded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The last position of the wire that is folded; 0: none.
    pub seq: u64,
    /// How many messages of ours the wire has up to there, as the last of them says.
    pub count: u64,
    /// The wire's identity.
    pub wire: Uuid,
    /// The version of the fold.
    pub(crate) fold: u32,
    /// When the state last changed, in Unix seconds, each change at least a second after the one before: what
    /// `Last-Modified` says. Taken from the wire, so that instances agree.
    pub(crate) stamp: i64,
    /// Articles that have a record.
    pub(crate) articles: u64,
    /// Messages so far that bear no header of ours.
    pub foreign: u64,
    /// Messages so far that are ours and could not be understood.
    pub not_understood: u64,
    /// Messages of ours that should have come before the last one and didn't.
    pub missed: u64,
    /// Messages erased by law since the last of ours that says how many the wire has. Each is taken for one of ours: of
    /// one that was foreign nothing says so any more, and it hides at most one message that is missing from between
    /// the same two of ours. After the next of ours everything that is missing is counted again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) erased: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Position {
    pub(crate) fn start(wire: Uuid) -> Self {
        Position {
            seq: 0,
            count: 0,
            wire,
            fold: FOLD_VERSION,
            stamp: 0,
            articles: 0,
            foreign: 0,
            not_understood: 0,
            missed: 0,
            erased: 0,
        }
    }

    /// Notes how many messages the wire says it has. Where it says more than one more than before and were
    /// erased, some didn't come: a withdrawal may be among them.
    pub(crate) fn counts(&mut self, count: u64) {
        if count > self.count {
            let erased = std::mem::take(&mut self.erased);
            self.missed += (count - self.count - 1).saturating_sub(erased);
            self.count = count;
        }
    }

    pub(crate) fn changes(&mut self, time: i64) {
        self.stamp = time.max(self.stamp + 1);
    }
}
