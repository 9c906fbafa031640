//! Reading a log's folder while another process writes it: nothing is locked, and nothing changed.
//!
//! Only what the folder says was answered is read, so a write under way is never seen. A segment that is put in the place of
//! another by an erasure meanwhile is read as the one or the other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use super::super::{Entry, LogError, Seq};
use super::folder::{self, io_error};
use super::{answered, record};

/// A log's folder, to be read.
#[derive(Debug)]
pub struct Snapshot {
    path: PathBuf,
    identity: Uuid,
}

/// How long what was answered takes at most to be written down as such, twice over.
pub const LAG: Duration = Duration::from_millis(2 * super::writer::ANSWERED_BUSY.as_millis() as u64);

impl Snapshot {
    /// The log in a folder.
    ///
    /// # Errors
    /// [`LogError`] where there is none.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let identity = folder::read_identity(path)?;
        let identity =
            identity.ok_or_else(|| LogError::Unsuitable(format!("there is no log in {}", path.display())))?;
        Ok(Self { path: path.to_owned(), identity })
    }

    /// The log's identity.
    pub fn identity(&self) -> Uuid {
        self.identity
    }

    /// The last answered position of a stream, as far as it was written down: it follows the answers within a moment.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn end(&self, stream: &str) -> Result<Seq, LogError> {
        let seed = record::seed(self.identity, stream);
        let claim = answered::read(&answered::path(&self.path, stream), seed)?;
        Ok(claim.map_or(0, |claim| claim.seq))
    }

    /// Hands the entries of a stream after a position, up to another, to `take`, in order.
    ///
    /// # Errors
    /// [`LogError`], also where the positions up to `upto` aren't there; what `take` gives ends it.
    pub fn read<E: From<LogError>>(
        &self,
        stream: &str,
        after: Seq,
        upto: Seq,
        mut take: impl FnMut(Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        let seed = record::seed(self.identity, stream);
        let segments = folder::list_segments(&folder::stream_path(&self.path, stream))?.segments;
        let mut next = after + 1;
        for (number, (first, path)) in segments.iter().enumerate() {
            let end = segments.get(number + 1).map_or(Seq::MAX, |(first, _)| first - 1);
            if end < next || *first > upto {
                continue;
            }
            let bytes = std::fs::read(path).map_err(|error| io_error("read", path, &error))?;
            let (mut offset, mut seq) = (0, *first);
            while seq <= end.min(upto) {
                let damaged = |why: &str| {
                    LogError::Damaged(format!("{}, byte {offset}, position {seq}: {why}", path.display()))
                };
                let rest = bytes.get(offset..).unwrap_or_default();
                let (record, length) = record::decode(seed, rest).map_err(damaged)?;
                if record.seq != seq {
                    return Err(damaged("another position stands here").into());
                }
                if seq >= next {
                    take(record.to_entry().map_err(damaged)?)?;
                    next = seq + 1;
                }
                offset += length;
                seq += 1;
            }
        }
        if next <= upto {
            let what = format!("stream {stream} ends before position {next}, and {upto} was answered");
            return Err(LogError::LostTail(what).into());
        }
        Ok(())
    }
}
