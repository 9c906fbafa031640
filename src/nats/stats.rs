//! What a gateway has done, for discovery and metrics.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use copydesk_article::problem::Code;

/// Counts since the gateway was opened.
#[derive(Debug, Default)]
pub struct Stats {
    answered: AtomicU64,
    refused: AtomicU64,
    busy: AtomicU64,
    unanswerable: AtomicU64,
    nanos: AtomicU64,
    /// One more than the last refusal's place in [`Code::ALL`].
    last: AtomicU8,
}

impl Stats {
    /// Commands answered, refused ones included.
    pub fn answered(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    /// Commands refused, those refused as too many included.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Commands refused because too many were under way.
    pub fn busy(&self) -> u64 {
        self.busy.load(Relaxed)
    }

    /// Messages passed over because they had no reply subject, or one outside the inboxes.
    pub fn unanswerable(&self) -> u64 {
        self.unanswerable.load(Relaxed)
    }

    /// The time from arrival to answer, of all commands together.
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Relaxed))
    }

    /// Why the last refused command was.
    pub fn last_refusal(&self) -> Option<Code> {
        let place = usize::from(self.last.load(Relaxed)).checked_sub(1)?;
        Code::ALL.get(place).copied()
    }

    pub(super) fn passed_over(&self) {
        self.unanswerable.fetch_add(1, Relaxed);
    }

    pub(super) fn answering(&self, refusal: Option<Code>, took: Duration) {
        self.answered.fetch_add(1, Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        let Some(code) = refusal else { return };
        self.refused.fetch_add(1, Relaxed);
        if code == Code::Busy {
            self.busy.fetch_add(1, Relaxed);
        }
        let place = Code::ALL.iter().position(|other| *other == code).and_then(|p| u8::try_from(p + 1).ok());
        self.last.store(place.unwrap_or_default(), Relaxed);
    }
}
