//! Reads the log again, slowly and for ever, so that damage to what nobody reads is found before an auditor comes.
//!
//! Each second up to a megabyte of each stream is read and checked, and that its file is in its place; at the end it
//! begins anew. That is some 86 GB a day for a stream, and costs the processor nothing that shows. What is in the
//! page cache is read from there, so rot on the disk itself is found once the pages have been given up.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::super::{LogError, Seq};
use super::index::Shared;

/// How often some of each stream is read.
const PAUSE: Duration = Duration::from_secs(1);

/// The streams that are read, and how far each has been.
type Streams = Arc<Mutex<Vec<(Arc<Shared>, Seq)>>>;

/// The thread that reads; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Scrub {
    streams: Streams,
    /// Dropped to end it.
    hold: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Scrub {
    /// Begins.
    ///
    /// # Errors
    /// Where no thread is to be had.
    pub(super) fn start() -> Result<Self, LogError> {
        let streams = Streams::default();
        let reads = Arc::clone(&streams);
        let (hold, held) = channel();
        let run = move || {
            while held.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                // A copy, so that whoever opens a stream never waits for a slow disk.
                let taken = lock(&reads).clone();
                for (number, (shared, after)) in taken.into_iter().enumerate() {
                    let upto = check_some(&shared, after);
                    if let Some((_, at)) = lock(&reads).get_mut(number) {
                        *at = upto;
                    }
                }
            }
        };
        let thread =
            std::thread::Builder::new().name("log-scrub".to_owned()).spawn(run).map_err(|error| {
                LogError::Unavailable(format!("can't start the thread that reads the log again: {error}"))
            })?;
        Ok(Self { streams, hold: Some(hold), thread: Some(thread) })
    }

    /// Reads this stream too from now on.
    pub(super) fn add(&self, shared: &Arc<Shared>) {
        lock(&self.streams).push((Arc::clone(shared), 0));
    }
}

impl Drop for Scrub {
    fn drop(&mut self) {
        self.hold = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that reads the log again had panicked");
        }
    }
}

/// Checks what comes after a position, and says how far that went; 0 at the end.
fn check_some(shared: &Shared, after: Seq) -> Seq {
    if shared.stopped().is_some_and(|stopped| stopped.damaged) {
        return after;
    }
    match shared.check_after(after) {
        Ok(upto) if upto >= shared.end() => 0,
        Ok(upto) => upto,
        // That has stopped the stream, and is told.
        Err(LogError::Damaged(_)) => after,
        Err(error) => {
            tracing::warn!(%error, stream = %shared.name, "the log can't be read again");
            after
        }
    }
}

fn lock(streams: &Streams) -> MutexGuard<'_, Vec<(Arc<Shared>, Seq)>> {
    streams.lock().unwrap_or_else(PoisonError::into_inner)
}
