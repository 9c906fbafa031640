//! What is backed up: a log that is open here, or the folder of one that a service has open.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use uuid::Uuid;

use super::{BackupError, KEYS};
use crate::log::segments::{LAG, Snapshot};
use crate::log::{Entry, Log, LogError, Seq, Stream};

/// A log to be copied.
#[derive(Debug)]
pub enum Source {
    /// An embedded log's folder, whoever has it open, and how long it may take to sync what it answered.
    Folder(Snapshot, Duration),
    /// A log by its own protocol.
    Log(Arc<dyn Log>),
}

impl Source {
    /// The log's identity.
    pub fn identity(&self) -> Uuid {
        match self {
            Source::Folder(snapshot, _) => snapshot.identity(),
            Source::Log(log) => log.identity(),
        }
    }

    /// Where a stream ends now: at least where it did when the last end was told, whichever stream's that was.
    pub(super) async fn end(&self, stream: &str) -> Result<Seq, BackupError> {
        Ok(match self {
            Source::Folder(snapshot, syncs_within) => {
                // Streams are synced, and told how far they are, each by itself: what one rests on may be later.
                tokio::time::sleep(LAG + *syncs_within).await;
                snapshot.end(stream)?
            }
            Source::Log(log) => of(&**log, stream).await?.end().await?,
        })
    }

    /// Hands a stream's entries after a position, up to another, to `take`.
    pub(super) async fn read(
        &self,
        stream: &str,
        after: Seq,
        upto: Seq,
        mut take: impl FnMut(Entry) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        match self {
            Source::Folder(snapshot, _) => snapshot.read(stream, after, upto, take),
            Source::Log(_) if upto <= after => Ok(()),
            Source::Log(log) => {
                let mut tail = of(&**log, stream).await?.tail(after).await?;
                while let Some(group) = tail.next().await {
                    for entry in group? {
                        let last = entry.seq >= upto;
                        if entry.seq <= upto {
                            take(entry)?;
                        }
                        if last {
                            return Ok(());
                        }
                    }
                }
                Err(LogError::Unavailable("the tail ended".to_owned()).into())
            }
        }
    }
}

/// A log's stream by its name.
pub(super) async fn of(log: &dyn Log, stream: &str) -> Result<Arc<dyn Stream>, LogError> {
    match stream {
        "events" => Ok(log.events()),
        "wire" => Ok(log.wire()),
        KEYS => Ok(log.keys().stream()),
        name => log.stream(name).await,
    }
}
