//! The log of one machine: a folder of append-only files.
//!
//! # The invariant
//!
//! What was answered is on the disk: the record is written and synced before the answer is given and before any
//! reader sees it (with [`Syncing::Within`], the sync follows within the interval). What is on the disk is never
//! changed but by an erasure, which puts a whole new segment in the place of the old one.
//!
//! # The crash story
//!
//! - **A process is killed, or the power fails, during a write.** Nothing of that group was answered. When the
//!   log is opened, all records are checked; a torn group at the very end is cut off, with a warning and a
//!   [`Cut`] in the [`Recovery`]. It is cut only where nothing says that it had been synced; else the log is
//!   damaged and is not opened (see `segments/scan.rs`). All streams are checked before any is changed.
//! - **The tail is lost**: by a disk that lies about its syncs, a half restored backup, an operator. A small
//!   synced file tells the last answered position and its message's hash; if the log is shorter, or holds
//!   another message there, it is not opened (see `segments/answered.rs`).
//! - **A write or sync fails.** The stream takes nothing more until it is opened anew (see `segments/writer.rs`).
//! - **What was written is damaged, cut short, replaced or removed while the log is open.** Whoever reads it next
//!   finds it, at the latest the scrub (see `segments/scrub.rs`); the stream takes nothing more.
//! - **An erasure is cut short.** The old segment or the new one is there, and a left-over temporary file is
//!   removed at the next start. The disk may keep the old bytes in blocks that it has not used again; that is
//!   the file system's matter (`fstrim`).
//! - **Two processes open one folder.** The second is refused, by a lock that the kernel drops with its holder.
//!
//! # What else was considered
//!
//! fjall and redb: see DESIGN.md. One file for all streams: one sync for all of them, but checkpoints would lie
//! between the events for ever, and each would be scanned for the sake of the other. `O_DSYNC` instead of
//! `fdatasync`: the same flush, but rolling and zeros ahead would pay it as well. `mmap`: an I/O error becomes a
//! signal. An index on disk: a second truth to keep; a scan at a gigabyte a second builds it anew.

mod answered;
mod erase;
mod folder;
mod index;
mod place;
mod record;
mod scan;
mod scrub;
mod snapshot;
mod stream;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use uuid::Uuid;

use self::answered::{AnsweredFile, Claim};
use self::folder::{Folder, io_error};
use self::index::{Index, Segment, Shared, Standing};
use self::scan::Scanned;
use self::scrub::Scrub;
use self::stream::SegmentStream;
use self::writer::{Active, Pace, Request, Writer};
use super::clock::SystemClock;
use super::keys::Keys;
use super::memory::check_stream_name;
use super::{Clock, Durability, Log, LogError, Seq, Stopped, Stream};

pub use self::record::{ID_MAX_BYTES, MESSAGE_MAX_BYTES};
pub use self::scan::Cut;
pub use self::snapshot::{LAG, Snapshot};

/// A segment is finished when the next record would make it longer than this.
pub const SEGMENT_BYTES: u32 = 64 << 20;

/// The longest segment that can be asked for.
pub const SEGMENT_MAX_BYTES: u32 = 1 << 30;

/// The most appends that wait for the writer of a stream; one more is refused as unavailable.
pub const APPENDS_WAITING: usize = 4096;

const EVENTS: &str = "events";
const WIRE: &str = "wire";
const KEYS: &str = "keys";
const CLOSED: &str = "the log is closed";

/// When an answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syncing {
    /// After the sync.
    Always,
    /// After the write; the sync follows within the interval. Power loss may take the answers of that long.
    Within(Duration),
}

/// How a log is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// When an answer is given.
    pub durability: Syncing,
    /// The length at which a segment is finished, up to [`SEGMENT_MAX_BYTES`].
    pub segment_bytes: u32,
    /// The clock that the log acts by, and stamps messages with.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self { durability: Syncing::Always, segment_bytes: SEGMENT_BYTES, clock: Arc::new(SystemClock) }
    }
}

/// What was found when a log was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The streams that there were, by name.
    pub streams: Vec<Recovered>,
}

/// What was found of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The stream's name.
    pub name: String,
    /// Its last position.
    pub end: Seq,
    /// How many segments it has.
    pub segments: usize,
    /// What was cut off its end.
    pub cut: Option<Cut>,
}

/// A log in a folder.
///
/// Dropping it leaves everything on the disk, waits for the writers, and lets go of the folder; streams that
/// are still held then answer that the log is closed.
#[derive(Debug)]
pub struct SegmentsLog {
    options: Options,
    standing: Arc<Standing>,
    scrub: Scrub,
    streams: Mutex<BTreeMap<String, Open>>,
    events: Arc<SegmentStream>,
    wire: Arc<SegmentStream>,
    keys: Arc<SegmentStream>,
    // Last, so that the lock is held until the writers are done.
    folder: Arc<Folder>,
}

#[derive(Debug)]
struct Open {
    stream: Arc<SegmentStream>,
    writer: Option<JoinHandle<()>>,
}

impl SegmentsLog {
    /// Opens the log in a folder, or makes it. Reads and checks all of it, so it takes about a second for a
    /// gigabyte; call it where blocking is fine.
    ///
    /// # Errors
    /// [`LogError::Unsuitable`] where another process has it open, [`LogError::Damaged`] and
    /// [`LogError::LostTail`] where it is not what was answered. Nothing is changed on disk then.
    pub fn open(folder: &Path, options: Options) -> Result<(Self, Recovery), LogError> {
        if options.segment_bytes > SEGMENT_MAX_BYTES {
            return Err(LogError::Unsuitable(format!(
                "a segment has at most {SEGMENT_MAX_BYTES} bytes, {} are asked for",
                options.segment_bytes
            )));
        }
        let folder = Folder::open(folder)?;
        let mut names = folder.streams()?;
        names.extend(
            [EVENTS, WIRE, KEYS]
                .map(str::to_owned)
                .into_iter()
                .filter(|name| !names.contains(name))
                .collect::<Vec<_>>(),
        );
        let found =
            names.into_iter().map(|name| Found::look(&folder, name)).collect::<Result<Vec<_>, LogError>>()?;
        let mut recovery = Recovery { streams: Vec::new() };
        let mut streams = BTreeMap::new();
        let (standing, scrub) = (Arc::default(), Scrub::start()?);
        for found in found {
            recovery.streams.push(found.report());
            let open = found.start(&folder, &options, &standing)?;
            scrub.add(&open.stream.shared);
            streams.insert(open.stream.shared.name.clone(), open);
        }
        let well_known = |name: &str| match streams.get(name) {
            Some(open) => Ok(Arc::clone(&open.stream)),
            None => Err(LogError::Unavailable(format!("stream {name} is not open"))),
        };
        let (events, wire, keys) = (well_known(EVENTS)?, well_known(WIRE)?, well_known(KEYS)?);
        let streams = Mutex::new(streams);
        let folder = Arc::new(folder);
        Ok((Self { options, standing, scrub, streams, events, wire, keys, folder }, recovery))
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SegmentsLog {
    fn drop(&mut self) {
        // All are told before any is waited for.
        for open in self.streams().values() {
            open.tell_to_close();
        }
    }
}

impl Open {
    fn tell_to_close(&self) {
        // A writer that is gone needs no telling.
        let _ = self.stream.requests.send(Request::Close);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.tell_to_close();
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::error!(stream = %self.stream.shared.name, "the writer had panicked");
        }
    }
}

#[async_trait]
impl Log for SegmentsLog {
    fn events(&self) -> Arc<dyn Stream> {
        Arc::clone(&self.events) as Arc<dyn Stream>
    }
    fn wire(&self) -> Arc<dyn Stream> {
        Arc::clone(&self.wire) as Arc<dyn Stream>
    }
    async fn stream(&self, name: &str) -> Result<Arc<dyn Stream>, LogError> {
        check_stream_name(name)?;
        let mut streams = self.streams();
        if let Some(open) = streams.get(name) {
            return Ok(Arc::clone(&open.stream) as Arc<dyn Stream>);
        }
        // All streams that there were are open, so this one is new, and made in a few milliseconds.
        let found = Found::look(&self.folder, name.to_owned())?;
        let open = found.start(&self.folder, &self.options, &self.standing)?;
        self.scrub.add(&open.stream.shared);
        let stream = Arc::clone(&open.stream);
        streams.insert(name.to_owned(), open);
        Ok(stream)
    }
    fn keys(&self) -> Keys {
        Keys::new(Arc::clone(&self.keys) as Arc<dyn Stream>, self.clock())
    }
    fn identity(&self) -> Uuid {
        self.folder.identity
    }
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.options.clock)
    }
    async fn skew(&self) -> Result<TimeDelta, LogError> {
        // The log's clock is this instance's.
        Ok(TimeDelta::zero())
    }
    fn durability(&self) -> Durability {
        match self.options.durability {
            Syncing::Always => Durability::Always,
            Syncing::Within(interval) => Durability::Interval { detail: format!("{interval:?}") },
        }
    }

    fn stopped(&self) -> Option<Stopped> {
        self.standing.stopped()
    }

    fn is_shared(&self) -> bool {
        false
    }
}

/// Writes again what stands after a position in the last segment, up to `length`, as it is. After a failed sync Linux
/// takes pages that never reached the disk for clean, and the next sync passes them over: of what was not known to be
/// synced when the log was closed, no sync alone makes sure.
fn write_again(segments: &[Segment], synced: Seq, length: u64) -> std::io::Result<()> {
    let Some(last) = segments.last() else { return Ok(()) };
    let number = usize::try_from((synced + 1).saturating_sub(last.first)).unwrap_or(usize::MAX);
    let Some(start) = last.start(number).map(u64::from).filter(|start| *start < length) else {
        return Ok(());
    };
    let mut bytes = vec![0; usize::try_from(length - start).unwrap_or(usize::MAX)];
    last.file.read_exact_at(&mut bytes, start)?;
    last.file.write_all_at(&bytes, start)
}

/// A stream that was read and checked, and not yet changed.
struct Found {
    name: String,
    seed: u32,
    scanned: Scanned,
}

impl Found {
    fn look(folder: &Folder, name: String) -> Result<Self, LogError> {
        let seed = record::seed(folder.identity, &name);
        let answered = answered::read(&answered::path(&folder.path, &name), seed)?;
        let scanned = scan::scan(&folder::stream_path(&folder.path, &name), seed, answered)?;
        Ok(Self { name, seed, scanned })
    }

    fn report(&self) -> Recovered {
        Recovered {
            name: self.name.clone(),
            end: self.scanned.end.seq,
            segments: self.scanned.segments.len(),
            cut: self.scanned.cut.clone(),
        }
    }

    /// Mends what may be mended, and starts the writer.
    fn start(
        mut self,
        folder: &Folder,
        options: &Options,
        standing: &Arc<Standing>,
    ) -> Result<Open, LogError> {
        let path = folder::stream_path(&folder.path, &self.name);
        folder::make_folder(&path)?;
        let answered_path = answered::path(&folder.path, &self.name);
        let mut answered = AnsweredFile::open(&answered_path, self.seed)?;
        for left_over in &self.scanned.left_over {
            std::fs::remove_file(left_over).map_err(|error| io_error("remove", left_over, &error))?;
        }
        let end = self.scanned.end;
        let (segments, active) = self.open_segments(&path, end)?;
        write_again(&segments, answered.claim().seq, active.length)
            .map_err(|error| io_error("write", &active.path, &error))?;
        // What was found may be no more than in memory; now that readers see it, it has to be on the disk.
        active.file.sync_all().map_err(|error| io_error("sync", &active.path, &error))?;
        folder::sync_folder(&path).map_err(|error| io_error("sync", &path, &error))?;
        if answered.claim() != end {
            answered.write(end).map_err(|error| io_error("write", &answered_path, &error))?;
        }

        let index = Index { segments, last: std::mem::take(&mut self.scanned.last) };
        let shared = Arc::new(Shared::new(&self.name, self.seed, index, end.seq, Arc::clone(standing)));
        let (requests, waiting) = sync_channel(APPENDS_WAITING);
        let writer = Writer {
            shared: Arc::clone(&shared),
            requests: waiting,
            clock: Arc::clone(&options.clock),
            syncing: options.durability,
            segment_bytes: u64::from(options.segment_bytes),
            folder: path,
            answered,
            active,
            written: end.seq,
            synced: end.seq,
            pace: Pace::default(),
        };
        let writer = std::thread::Builder::new()
            .name(format!("log-{}", self.name))
            .spawn(move || writer.run())
            .map_err(|error| {
                LogError::Unavailable(format!("can't start the writer of {}: {error}", self.name))
            })?;
        Ok(Open { stream: Arc::new(SegmentStream { shared, requests }), writer: Some(writer) })
    }

    /// Opens the segments, with the last one cut to what is whole, and makes the first where there is none.
    fn open_segments(&mut self, path: &Path, end: Claim) -> Result<(Vec<Segment>, Active), LogError> {
        let mut segments = Vec::new();
        let (mut length, mut allocated) = (0, 0);
        for found in std::mem::take(&mut self.scanned.segments) {
            let file = File::options()
                .read(true)
                .write(true)
                .open(&found.path)
                .map_err(|error| io_error("open", &found.path, &error))?;
            length = found.ends.last().map_or(0, |end| u64::from(*end));
            allocated = found.file_len;
            segments.push(Segment::of(found.first, found.path, file, found.ends)?);
        }
        if segments.is_empty() {
            let path = folder::segment_path(path, end.seq + 1);
            let file = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&path)
                .map_err(|error| io_error("make", &path, &error))?;
            segments.push(Segment::of(end.seq + 1, path, file, Vec::new())?);
        }
        let Some(last) = segments.last() else {
            return Err(LogError::Unavailable(format!("stream {} has no segment", self.name)));
        };
        if let Some(cut) = &self.scanned.cut {
            tracing::warn!(
                file = %cut.file.display(), offset = cut.offset, bytes = cut.bytes, why = cut.why,
                "a write that was cut short, and never answered, is cut off the end of stream {}", self.name
            );
            last.file.set_len(length).map_err(|error| io_error("cut", &last.path, &error))?;
            allocated = length;
        }
        let active = Active { length, allocated, ..Active::of(last) };
        Ok((segments, active))
    }
}
