//! What only the log can say of itself: whether it answers, how far it goes, how far this clock is off its own.
//!
//! Probes come every few seconds from several places, and a log that is away makes each of them wait: so one look
//! serves all that come within a second, and no look takes longer than whoever asks can wait.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use futures::FutureExt;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Gateway;
use crate::log::{Log, Seq};
use crate::store::Store;

/// How long a look serves.
const FRESH: Duration = Duration::from_secs(1);
/// How long the log may be away before a process that only decides and writes says that it isn't ready.
pub const AWAY: Duration = Duration::from_secs(10);

/// What the last look at the log found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// The log's last position, where this process reads it and was told.
    pub log_end: Option<Seq>,
    /// The wire's last position, where this process reads it and was told.
    pub wire_end: Option<Seq>,
    /// How far this clock is ahead of the log's, where that was told.
    pub skew: Option<TimeDelta>,
    /// For how long no look has got an answer; none where the last one did.
    pub away: Option<Duration>,
}

/// Looks at the log, none oftener than once a second.
#[derive(Default)]
pub struct Vitals {
    /// The log, and what is folded of it, whichever parts the process runs; none where it reads the wire alone.
    of: Option<(Arc<dyn Log>, Arc<Store>)>,
    last: Mutex<Option<(Instant, Look)>>,
    away_since: Mutex<Option<Instant>>,
    failed: AtomicU64,
}

impl fmt::Debug for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vitals(of a log: {})", self.of.is_some())
    }
}

impl Vitals {
    /// Those of a process that folds this log into this store.
    pub fn of(log: Arc<dyn Log>, store: Arc<Store>) -> Self {
        Self { of: Some((log, store)), ..Self::default() }
    }

    /// The log that the process folds.
    pub(super) fn log(&self) -> Option<&Arc<dyn Log>> {
        self.of.as_ref().map(|(log, _)| log)
    }

    /// What it folds it into.
    pub(super) fn store(&self) -> Option<&Arc<Store>> {
        self.of.as_ref().map(|(_, store)| store)
    }

    /// A look that is at most a second old; the log is waited for no longer than this.
    pub(super) async fn look(&self, gateway: &Gateway, patience: Duration) -> Look {
        // Whoever looks now may have more patience.
        let Ok(mut last) = tokio::time::timeout(patience, self.last.lock()).await else {
            let away = self.away_since.lock().await.map(|since| since.elapsed());
            return Look { away, ..Look::default() };
        };
        if let Some((at, look)) = *last
            && at.elapsed() < FRESH
        {
            return look;
        }
        let log_end = async { Some(self.log()?.events().end().await.ok()) };
        let wire = gateway.readers.as_ref().map(|readers| readers.editions.wire().clone());
        let wire_end = async { Some(wire?.end().await.ok()) };
        let skew = async { Some(self.log()?.skew().await.ok()) };
        let (log_end, wire_end, skew) = tokio::join!(
            tokio::time::timeout(patience, log_end.boxed()),
            tokio::time::timeout(patience, wire_end.boxed()),
            tokio::time::timeout(patience, skew.boxed()),
        );
        // Told nothing in time is as told nothing; what isn't asked for here is no failure.
        let (log_end, wire_end) = (log_end.unwrap_or(Some(None)), wire_end.unwrap_or(Some(None)));
        let failed = log_end == Some(None) || wire_end == Some(None);
        let mut since = self.away_since.lock().await;
        if failed {
            self.failed.fetch_add(1, Ordering::Relaxed);
            since.get_or_insert_with(Instant::now);
        } else {
            *since = None;
        }
        let look = Look {
            log_end: log_end.flatten(),
            wire_end: wire_end.flatten(),
            skew: skew.ok().flatten().flatten(),
            away: since.map(|since| since.elapsed()),
        };
        *last = Some((Instant::now(), look));
        look
    }

    /// How many looks got no answer.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}
