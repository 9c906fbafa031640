//! The one task that writes the store: it tails the log and folds what comes, group by group.

use std::time::Duration;

use futures::StreamExt;
use uuid::Uuid;

use super::redacted::Line;
use super::{Store, StoreError, Stored};
use crate::log::{Log, LogError, Stream};

mod ahead;
mod folder;
mod step;

pub use folder::Folder;
use step::hash;
pub(crate) use step::{Step, advance, erased, leaf};

/// How long what was folded waits at most for more before it is written into sled.
const WRITE_AFTER: Duration = Duration::from_secs(1);

/// Why folding stopped.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The log failed; folding again later may help.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log is shorter or other than what was folded from it.
    #[error("the log and the folded state disagree: {0}")]
    Diverged(String),
}

/// Checks that the log still is what was folded from it: the same log, at least as long, the same event at the
/// fold position.
///
/// # Errors
/// [`FoldError::Diverged`] where it isn't; [`FoldError::Log`] where it can't be asked.
pub async fn agrees(store: &Store, log: &dyn Log) -> Result<(), FoldError> {
    let position = store.position();
    if position.seq == 0 {
        return Ok(());
    }
    if position.identity != log.identity() {
        let detail = "the folded state is of another log: give this log a folder of its own, or run rebuild";
        return Err(FoldError::Diverged(detail.to_owned()));
    }
    let end = log.events().end().await?;
    if end < position.seq {
        let detail =
            format!("the log ends at {end}, and {} was folded from it: its tail is lost", position.seq);
        return Err(FoldError::Diverged(detail));
    }
    let there = log.events().get(position.seq).await?;
    match there.as_ref().map(hash) {
        Some(Some(hash)) if hash == position.hash => Ok(()),
        // Deleted behind the service's back: nothing is left to hold against the fold.
        Some(None) => Ok(()),
        _ => Err(FoldError::Diverged(format!(
            "another event stands at {} than was folded from there",
            position.seq
        ))),
    }
}

/// Folds what the log holds and what comes, until the log or the store fails. Checks first, and so at each
/// reconnect, that the log is the one folded so far.
///
/// # Errors
/// [`FoldError`]; never returns otherwise.
pub async fn run(store: &Store, log: &dyn Log) -> Result<std::convert::Infallible, FoldError> {
    agrees(store, log).await?;
    let clock = log.clock();
    let mut folder = Folder::new(store, log.identity())?;
    let mut tail = log.events().tail(store.position().seq).await?;
    loop {
        let mut group = tokio::select! {
            biased;
            why = store.damaged() => return Err(StoreError::Damaged(why).into()),
            first = tail.next() => first,
        };
        let due = clock.elapsed() + WRITE_AFTER;
        loop {
            match group {
                Some(group) => folder.fold(group?, &*log.events()).await?,
                None => return Err(LogError::Unavailable("the tail ended".to_owned()).into()),
            }
            let left = due.saturating_sub(clock.elapsed());
            if left.is_zero() {
                break;
            }
            tokio::select! {
                biased;
                next = tail.next() => group = next,
                () = clock.sleep(left) => break,
            }
        }
        store.write()?;
    }
}

/// Folds everything up to the log's present end and returns how far that is. Readers see what was folded batch by batch:
/// while one is written more is folded.
///
/// # Errors
/// [`FoldError`].
pub async fn catch_up(
    store: &Store,
    log: &dyn Log,
    mut progress: impl FnMut(u64, u64),
) -> Result<u64, FoldError> {
    agrees(store, log).await?;
    let end = log.events().end().await?;
    if store.position().seq >= end {
        // What was folded before the log failed may not be in sled yet, and perhaps nothing comes for long.
        store.write()?;
        return Ok(end);
    }
    let mut folder = Folder::new(store, log.identity())?;
    if store.position().seq == 0 {
        folder.begins_with_nothing();
    }
    let tail = log.events().tail(store.position().seq).await?;
    let mut groups = ahead::prepared(tail);
    while folder.position().seq < end {
        match groups.next().await {
            Some(group) => folder.fold_ahead(group?, &*log.events()).await?,
            None => return Err(LogError::Unavailable("the tail ended".to_owned()).into()),
        }
        if folder.is_full() {
            folder.show()?;
            store.begin_write()?;
        }
        progress(folder.position().seq, end);
    }
    folder.show()?;
    store.write()?;
    Ok(end)
}

/// Folds one article from its own events.
///
/// # Errors
/// [`FoldError`]; a line that can't be folded is [`FoldError::Diverged`].
pub async fn one(events: &dyn Stream, article: Uuid) -> Result<Option<Stored>, FoldError> {
    let mut state: Option<Stored> = None;
    for entry in Line::read(events, article).await?.entries {
        state = match advance(state.as_ref(), &entry) {
            Step::Event(stored, _) => Some(stored),
            Step::Passed => state.map(|state| Stored { seq: entry.seq, ..state }),
            Step::Aside { why, .. } => return Err(FoldError::Diverged(why)),
        };
    }
    Ok(state)
}
