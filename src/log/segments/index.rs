//! What is where in a stream's segments, and reading it.
//!
//! The index is in memory: for each segment its open file and where each record ends, and for each subject its
//! last position; some 4 bytes for a record and a hundred for a subject. Only the writer changes it, and only
//! after the sync: what is not durable as configured can't be found.
//!
//! A reader takes file and offsets together under the lock, and reads after it has let go. Where an erasure
//! puts a new file in the place of the old one meanwhile, the reader goes on in the old one, by the old offsets.
//!
//! Each record's checksum is verified whenever it is read. What then isn't what was answered stops the stream, and
//! is told as damage of the log: nothing is built on a history that is no longer there.

use std::collections::HashMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::{Semaphore, watch};

use super::super::{Entry, LogError, Seq, Stopped, TAIL_GROUP};
use super::folder::io_error;
use super::place::Place;
use super::record::{self, Record};

/// The most bytes that are read at once, unless one record is longer.
const READ_BYTES: u32 = 1 << 20;
/// How many reads of one stream are made at once; the others wait.
const READS_AT_ONCE: usize = 8;

/// What the writer of a stream shares with its readers.
#[derive(Debug)]
pub(super) struct Shared {
    /// The stream's name, for messages.
    pub(super) name: String,
    pub(super) seed: u32,
    index: RwLock<Index>,
    /// What readers wait on.
    pub(super) progress: watch::Sender<Progress>,
    /// Turns to read.
    pub(super) reads: Arc<Semaphore>,
    /// What is told of the whole log.
    standing: Arc<Standing>,
}

/// What stopped streams of a log: of each sort, the first.
#[derive(Debug, Default)]
pub(super) struct Standing {
    failed: OnceLock<Arc<str>>,
    damaged: OnceLock<Arc<str>>,
}

impl Standing {
    pub(super) fn stopped(&self) -> Option<Stopped> {
        let damaged = self.damaged.get().map(|why| (why, true));
        let (why, damaged) = damaged.or_else(|| self.failed.get().map(|why| (why, false)))?;
        Some(Stopped { why: Arc::clone(why), damaged })
    }
}

/// How far a stream is, and whether it goes on.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// The last position that readers may see.
    pub(super) end: Seq,
    /// Why nothing can be appended any more.
    pub(super) stopped: Option<Stopped>,
    /// The log is closed; nothing will come.
    pub(super) closed: bool,
}

/// Where everything is.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) segments: Vec<Segment>,
    pub(super) last: HashMap<Arc<str>, Seq>,
}

/// One segment.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) first: Seq,
    pub(super) path: Arc<PathBuf>,
    pub(super) file: Arc<File>,
    pub(super) place: Place,
    /// Where each record ends, and the next begins.
    pub(super) ends: Vec<u32>,
}

/// Records that lie one after the other.
#[derive(Debug)]
struct Extent {
    first: Seq,
    path: Arc<PathBuf>,
    file: Arc<File>,
    offset: u32,
    length: u32,
}

impl Shared {
    pub(super) fn new(name: &str, seed: u32, index: Index, end: Seq, standing: Arc<Standing>) -> Self {
        let progress = watch::Sender::new(Progress { end, ..Progress::default() });
        let reads = Arc::new(Semaphore::new(READS_AT_ONCE));
        Self { name: name.to_owned(), seed, index: RwLock::new(index), progress, reads, standing }
    }

    /// Has the stream take nothing more. Damage found later is told before a failure found first.
    pub(super) fn stop(&self, stopped: Stopped) {
        let told = if stopped.damaged { &self.standing.damaged } else { &self.standing.failed };
        // The first one stays.
        let _ = told.set(Arc::clone(&stopped.why));
        self.progress.send_if_modified(|progress| {
            let first = progress.stopped.as_ref().is_none_or(|before| stopped.damaged && !before.damaged);
            if first {
                tracing::error!(stream = %self.name, why = %stopped.why, "the stream takes nothing more");
                progress.stopped = Some(stopped);
            }
            first
        });
    }

    /// Why the stream takes no more appends, if it does not.
    pub(super) fn stopped(&self) -> Option<Stopped> {
        self.progress.borrow().stopped.clone()
    }

    /// Has the stream take nothing more where damage was come upon.
    pub(super) fn noting_damage<T>(&self, looked: Result<T, LogError>) -> Result<T, LogError> {
        if let Err(LogError::Damaged(what)) = &looked {
            let why = format!(
                "stream {} is damaged ({what}): nothing more is written; stop copydesk, and mend the disk or restore \
                 the log from a backup that has all of it",
                self.name
            );
            self.stop(Stopped { why: why.into(), damaged: true });
        }
        looked
    }

    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn end(&self) -> Seq {
        self.progress.borrow().end
    }

    pub(super) fn get(&self, seq: Seq) -> Result<Option<Entry>, LogError> {
        self.read_one(seq, |record| record.to_entry())
    }

    pub(super) fn last_on(&self, subject: &str) -> Result<Option<Entry>, LogError> {
        let last = self.index().last.get(subject).copied();
        last.map_or(Ok(None), |last| self.get(last))
    }

    /// The entries on a subject after a position, the newest first, by the chain of `previous`.
    pub(super) fn back_on(&self, subject: &str, after: Seq) -> Result<Vec<Entry>, LogError> {
        let mut found = Vec::new();
        let mut seq = self.index().last.get(subject).copied().unwrap_or(0);
        while seq > after {
            let read = self.read_one(seq, |record| Ok((record.previous, record.to_entry()?)))?;
            let Some((previous, entry)) = read else { break };
            found.push(entry);
            seq = previous;
        }
        Ok(found)
    }

    /// The first entry on a subject after a position.
    pub(super) fn next_on(&self, subject: &str, after: Seq) -> Result<Option<Entry>, LogError> {
        let mut seq = self.index().last.get(subject).copied().unwrap_or(0);
        let mut next = 0;
        while seq > after {
            next = seq;
            seq = self.read_one(seq, |record| Ok(record.previous))?.unwrap_or(0);
        }
        self.get(next)
    }

    /// The entries after a position, up to the end, as many as one read and one group hold.
    pub(super) fn group_after(&self, after: Seq) -> Result<Vec<Entry>, LogError> {
        let end = self.end();
        let extent = self.index().extent(after + 1, end, TAIL_GROUP, READ_BYTES);
        let Some(extent) = extent else { return Ok(Vec::new()) };
        let mut entries = Vec::new();
        self.noting_damage(extent.read(self.seed, |record| {
            entries.push(record.to_entry()?);
            Ok(())
        }))?;
        Ok(entries)
    }

    /// Checks the records after a position, as many as one read holds, and that their file and the newest one are in
    /// their places. Gives the last position that was checked: the one given, where there are no more.
    pub(super) fn check_after(&self, after: Seq) -> Result<Seq, LogError> {
        let end = self.end();
        let extent = {
            // Under the lock, as an erasure puts a file in another's place under it.
            let index = self.index();
            let segment = index.segment_of(after + 1).and_then(|number| index.segments.get(number));
            for segment in segment.into_iter().chain(index.segments.last()) {
                let length = segment.ends.last().map_or(0, |end| u64::from(*end));
                self.noting_damage(segment.place.check(&segment.path, length))?;
            }
            index.extent(after + 1, end, usize::MAX, READ_BYTES)
        };
        let Some(extent) = extent else { return Ok(after) };
        let mut last = after;
        self.noting_damage(extent.read(self.seed, |record| {
            last = record.seq;
            Ok(())
        }))?;
        Ok(last)
    }

    fn read_one<T>(
        &self,
        seq: Seq,
        take: impl Fn(Record<'_>) -> Result<T, &'static str>,
    ) -> Result<Option<T>, LogError> {
        let extent = self.index().extent(seq, seq, 1, READ_BYTES);
        let Some(extent) = extent.filter(|_| seq <= self.end()) else { return Ok(None) };
        let mut taken = None;
        self.noting_damage(extent.read(self.seed, |record| {
            taken = Some(take(record)?);
            Ok(())
        }))?;
        Ok(taken)
    }
}

impl Index {
    /// Where the records from `first` to `last` lie, or the first of them: up to `count` and `bytes`, in one
    /// segment.
    fn extent(&self, first: Seq, last: Seq, count: usize, bytes: u32) -> Option<Extent> {
        let segment = self.segments.get(self.segment_of(first)?)?;
        let index = usize::try_from(first - segment.first).ok()?;
        let ends = segment.ends.get(index..)?;
        let offset = segment.start(index)?;
        let length = ends
            .iter()
            .zip(first..=last)
            .take(count)
            .map(|(end, _)| end - offset)
            .enumerate()
            .take_while(|(number, length)| *number == 0 || *length <= bytes)
            .last()?
            .1;
        let (path, file) = (Arc::clone(&segment.path), Arc::clone(&segment.file));
        Some(Extent { first, path, file, offset, length })
    }

    /// The number of the segment that a position is in, or would be.
    pub(super) fn segment_of(&self, seq: Seq) -> Option<usize> {
        self.segments.partition_point(|segment| segment.first <= seq).checked_sub(1)
    }
}

impl Segment {
    /// An open file with records that end there.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] where nothing can be told of the file.
    pub(super) fn of(first: Seq, path: PathBuf, file: File, ends: Vec<u32>) -> Result<Self, LogError> {
        let place = Place::of(&file).map_err(|error| io_error("look at", &path, &error))?;
        Ok(Self { first, path: Arc::new(path), file: Arc::new(file), place, ends })
    }

    /// Where the record of that number begins.
    pub(super) fn start(&self, number: usize) -> Option<u32> {
        number.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())
    }
}

impl Extent {
    fn read(
        &self,
        seed: u32,
        mut take: impl FnMut(Record<'_>) -> Result<(), &'static str>,
    ) -> Result<(), LogError> {
        let mut bytes = vec![0; usize::try_from(self.length).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, u64::from(self.offset)).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                let end = u64::from(self.offset) + u64::from(self.length);
                LogError::Damaged(format!("{} ends before byte {end}", self.path.display()))
            }
            _ => io_error("read", &self.path, &error),
        })?;
        let mut rest = bytes.as_slice();
        for seq in self.first.. {
            if rest.is_empty() {
                break;
            }
            let damaged = |why: &str| {
                let offset = u64::from(self.offset) + (bytes.len() - rest.len()) as u64;
                LogError::Damaged(format!("{} at byte {offset}: {why}", self.path.display()))
            };
            let (record, length) = record::decode(seed, rest).map_err(damaged)?;
            if record.seq != seq {
                return Err(damaged("another position stands here than is to"));
            }
            take(record).map_err(damaged)?;
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(())
    }
}
