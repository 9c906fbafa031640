//! The log's end as its leader states it: one question for all that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::log::{LogError, Seq, Stream};

/// Asks for the log's end. An answer is good only for those who asked before its question was put.
#[derive(Debug)]
pub(super) struct End {
    events: Arc<dyn Stream>,
    asked: AtomicU64,
    answered: Mutex<Answered>,
}

#[derive(Debug, Default)]
struct Answered {
    /// Those who asked before this number have their answer.
    before: u64,
    end: Seq,
}

impl End {
    pub(super) fn new(events: Arc<dyn Stream>) -> Self {
        Self { events, asked: AtomicU64::new(0), answered: Mutex::default() }
    }

    /// The last position of the log at a moment after this call.
    pub(super) async fn ask(&self) -> Result<Seq, LogError> {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answered = self.answered.lock().await;
        if answered.before > ticket {
            return Ok(answered.end);
        }
        let before = self.asked.load(Ordering::SeqCst);
        let end = self.events.end().await?;
        *answered = Answered { before, end };
        Ok(end)
    }
}
