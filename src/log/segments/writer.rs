//! The one thread that writes a stream.
//!
//! # Group commit
//!
//! Whatever waits is taken together: each message's expectation is checked in order, the records are built in
//! one buffer, written with one write, synced with one `fdatasync`, and only then is any of them answered, or
//! seen by a reader. What comes in meanwhile is the next group. After a group the writer lingers for a part of
//! the time that a sync takes, where it has reason to expect more: those just answered tend to come again, and
//! without lingering they would go in two half groups by turns.
//!
//! # Zeros ahead
//!
//! The file is extended with zeros ahead of the records. A sync that changes a file's length must write the
//! file system's journal as well: on ext4, groups of 128 KiB take three times as long. A segment is cut to its
//! length before the next one begins, and when the log is closed.
//!
//! # What fails stays failed
//!
//! After a failed write or sync nobody knows what is on the disk: Linux marks pages clean that it could not
//! write, and a second `fdatasync` says that all is well. So the stream takes no more appends until it has been
//! opened anew, which reads what is really there. Those in the failed group are unknown; all later ones are
//! refused. The same where the file was removed, replaced or cut short under the writer, which is looked at before
//! each group.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::mem;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::super::{AppendError, Clock, Expect, LogError, Message, Seq, Stopped};
use super::Syncing;
use super::answered::{AnsweredFile, Claim};
use super::folder;
use super::index::{Segment, Shared};
use super::place::Place;
use super::record::{self, Record};

/// A group is closed when it has this many bytes.
const GROUP_BYTES: usize = 4 << 20;

/// The shortest and longest stretch of zeros that is written ahead; it grows with the segment.
const AHEAD_BYTES: (u64, u64) = (64 << 10, 4 << 20);

/// The longest time that the writer lingers for those whom it has just answered.
const LONGEST_LINGER: Duration = Duration::from_millis(1);

/// How long after the last answer the last answered position is written down.
pub(super) const ANSWERED_IDLE: Duration = Duration::from_millis(1);

/// How far the last answered position lags behind while appends keep coming: writing it down costs a sync, and
/// so a tenth of the appends, where a sync takes 5 ms.
pub(super) const ANSWERED_BUSY: Duration = Duration::from_millis(50);

/// What is asked of the writer.
#[derive(Debug)]
pub(super) enum Request {
    Append(Append),
    Erase { seq: Seq, sha256: Option<[u8; 32]>, answer: oneshot::Sender<Result<(), LogError>> },
    Close,
}

/// An append that waits.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) message: Message,
    pub(super) expect: Expect,
    pub(super) answer: oneshot::Sender<Result<Seq, AppendError>>,
}

/// The writer's own.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) requests: Receiver<Request>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) syncing: Syncing,
    pub(super) segment_bytes: u64,
    pub(super) folder: PathBuf,
    pub(super) answered: AnsweredFile,
    pub(super) active: Active,
    /// The last position written, and the last that is known to be on the disk.
    pub(super) written: Seq,
    pub(super) synced: Seq,
    pub(super) pace: Pace,
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) path: Arc<PathBuf>,
    pub(super) file: Arc<File>,
    pub(super) place: Place,
    /// Where the records end.
    pub(super) length: u64,
    /// Where the zeros end.
    pub(super) allocated: u64,
}

impl Active {
    /// A segment of which nothing is known to be written.
    pub(super) fn of(segment: &Segment) -> Self {
        let (path, file) = (Arc::clone(&segment.path), Arc::clone(&segment.file));
        Self { path, file, place: segment.place, length: 0, allocated: 0 }
    }
}

/// When what is due.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Taken in already, to be written next.
    backlog: VecDeque<Request>,
    /// How many are expected in the next group, and until when.
    expected: usize,
    linger_until: Option<Instant>,
    /// Since when something written is not synced.
    unsynced_since: Option<Instant>,
    /// The last message that was answered, where that is not yet written down, and since when.
    unclaimed: Option<(Seq, Bytes)>,
    unclaimed_since: Option<Instant>,
}

/// What happens to the index once a group is durable.
#[derive(Debug)]
enum Step {
    Record { end: u32 },
    Segment(Segment),
}

/// A group on its way to the disk.
#[derive(Debug, Default)]
struct Group {
    buffer: Vec<u8>,
    steps: Vec<Step>,
    last: HashMap<Arc<str>, Seq>,
    newest: Option<(Seq, Bytes)>,
}

type Answer = (oneshot::Sender<Result<Seq, AppendError>>, Result<Seq, AppendError>);

impl Writer {
    /// Writes until it is told to close.
    pub(super) fn run(mut self) {
        loop {
            match self.next() {
                Some(Request::Append(first)) => {
                    let group = self.gather(first);
                    self.append(group);
                }
                Some(Request::Erase { seq, sha256, answer }) => {
                    let erased = self.erase(seq, sha256);
                    let _ = answer.send(erased);
                }
                Some(Request::Close) => break,
                None => {}
            }
            self.keep_up();
        }
        self.close();
    }

    /// The next request; `None` when something else is due first.
    fn next(&mut self) -> Option<Request> {
        if let Some(request) = self.pace.backlog.pop_front() {
            return Some(request);
        }
        let idle = self.is_claimable().then_some(ANSWERED_IDLE);
        let sync = self.sync_due().map(|due| due.saturating_duration_since(Instant::now()));
        match idle.into_iter().chain(sync).min() {
            // Nobody left to ask is as good as being told to close.
            None => Some(self.requests.recv().unwrap_or(Request::Close)),
            Some(wait) => match self.requests.recv_timeout(wait) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Disconnected) => Some(Request::Close),
                Err(RecvTimeoutError::Timeout) => {
                    if idle.is_some() {
                        self.claim();
                    }
                    None
                }
            },
        }
    }

    /// Takes together what waits, and what is expected to come at once.
    fn gather(&mut self, first: Append) -> Vec<Append> {
        let mut bytes = first.message.body.len();
        let mut group = vec![first];
        while bytes < GROUP_BYTES {
            let next = match self.pace.backlog.pop_front() {
                Some(request) => Some(request),
                None => match self.requests.try_recv() {
                    Ok(request) => Some(request),
                    Err(_) if group.len() >= self.pace.expected => None,
                    Err(_) => self.linger(),
                },
            };
            match next {
                Some(Request::Append(append)) => {
                    bytes += append.message.body.len();
                    group.push(append);
                }
                Some(other) => {
                    self.pace.backlog.push_front(other);
                    break;
                }
                None => break,
            }
        }
        group
    }

    fn linger(&mut self) -> Option<Request> {
        let wait = self.pace.linger_until?.checked_duration_since(Instant::now())?;
        self.requests.recv_timeout(wait).ok()
    }

    /// Writes a group, and answers it.
    fn append(&mut self, appends: Vec<Append>) {
        let started = Instant::now();
        let (answers, failed) = self.commit(appends);
        let count = answers.len();
        for (answer, outcome) in answers {
            // Whoever has stopped waiting finds out by settling.
            let _ = answer.send(match (&failed, outcome) {
                (Some(why), Ok(_)) => Err(AppendError::Unknown(why.to_string())),
                (_, outcome) => outcome,
            });
        }
        if self.syncing == Syncing::Always {
            let took = started.elapsed();
            self.pace.linger_until = Some(Instant::now() + (took / 2).min(LONGEST_LINGER));
        }
        self.pace.backlog.extend(self.requests.try_iter());
        self.pace.expected = count + self.pace.backlog.len();
    }

    /// Checks, builds, writes and syncs a group; also says why, if that failed.
    fn commit(&mut self, appends: Vec<Append>) -> (Vec<Answer>, Option<Arc<str>>) {
        let mut answers = Vec::with_capacity(appends.len());
        self.check_places();
        if let Some(stopped) = self.shared.stopped() {
            let refusal = || Err(AppendError::Stopped(stopped.why.to_string()));
            answers.extend(appends.into_iter().map(|append| (append.answer, refusal())));
            return (answers, None);
        }
        let mut group = Group::default();
        let mut failed = None;
        for Append { message, expect, answer } in appends {
            let outcome = match &failed {
                Some(_) => {
                    Err(AppendError::Unknown("the group it came with could not be written".to_owned()))
                }
                None => match self.place(&mut group, &message, expect) {
                    Ok(outcome) => outcome,
                    Err(error) => {
                        failed = Some(error);
                        Err(AppendError::Unknown("the segment could not be written".to_owned()))
                    }
                },
            };
            answers.push((answer, outcome));
        }
        if failed.is_none() && group.newest.is_some() {
            failed = self.land(&mut group).err();
        }
        let failed = failed.map(|error| self.stop(&error));
        if failed.is_none() {
            self.publish(group);
        }
        (answers, failed)
    }

    /// Checks that what is written to is where it is to be: else what is answered from now on would be lost.
    fn check_places(&mut self) {
        let active = &self.active;
        let places = active.place.check(&active.path, active.length).and_then(|()| self.answered.check());
        if let Err(error) = self.shared.noting_damage(places)
            && self.shared.stopped().is_none()
        {
            self.stop(&error);
        }
    }

    /// Checks one message's expectation, and puts its record into the group.
    fn place(
        &mut self,
        group: &mut Group,
        message: &Message,
        expect: Expect,
    ) -> io::Result<Result<Seq, AppendError>> {
        let (subject, previous) = match group.last.get_key_value(message.subject.as_str()) {
            Some((subject, seq)) => (Arc::clone(subject), *seq),
            None => match self.shared.index().last.get_key_value(message.subject.as_str()) {
                Some((subject, seq)) => (Arc::clone(subject), *seq),
                None => (Arc::from(message.subject.as_str()), 0),
            },
        };
        let as_expected = match expect {
            Expect::Subject(expected) => expected == previous,
            Expect::Stream(expected) => expected == self.written,
        };
        if !as_expected {
            return Ok(Err(AppendError::WrongExpectation));
        }
        let headers = record::encode_headers(&message.headers);
        let mut record = Record {
            seq: self.written + 1,
            time_us: self.clock.now().timestamp_micros(),
            previous,
            synced: self.synced,
            erased: false,
            subject: &message.subject,
            id: &message.id,
            headers: &headers,
            body: &message.body,
        };
        let start = self.active.length + group.buffer.len() as u64;
        if start > 0 && start + record::encoded_len(&record) as u64 > self.segment_bytes {
            self.roll(group)?;
            record.synced = self.synced;
        }
        record::encode(self.shared.seed, &record, &mut group.buffer);
        let end = self.active.length + group.buffer.len() as u64;
        group.steps.push(Step::Record { end: u32::try_from(end).map_err(io::Error::other)? });
        group.last.insert(subject, record.seq);
        group.newest = Some((record.seq, message.body.clone()));
        self.written = record.seq;
        Ok(Ok(record.seq))
    }

    /// Writes the group, and syncs it where that comes before the answer.
    fn land(&mut self, group: &mut Group) -> io::Result<()> {
        self.write(group)?;
        match self.syncing {
            Syncing::Always => self.sync(),
            Syncing::Within(_) => {
                self.pace.unsynced_since.get_or_insert_with(Instant::now);
                Ok(())
            }
        }
    }

    fn write(&mut self, group: &mut Group) -> io::Result<()> {
        let active = &mut self.active;
        active.file.write_all_at(&group.buffer, active.length)?;
        active.length += group.buffer.len() as u64;
        group.buffer.clear();
        if active.length > active.allocated {
            let ahead = active.length.clamp(AHEAD_BYTES.0, AHEAD_BYTES.1);
            let until = (active.length + ahead).min(self.segment_bytes).max(active.length);
            let zeros = vec![0; usize::try_from(until - active.length).unwrap_or(0)];
            // Where there is no room for zeros, there may still be for records.
            let written = active.file.write_all_at(&zeros, active.length);
            active.allocated = if written.is_ok() { until } else { active.length };
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.active.file.sync_data()?;
        self.note_synced();
        Ok(())
    }

    fn note_synced(&mut self) {
        self.synced = self.written;
        self.pace.unsynced_since = None;
    }

    /// Finishes the segment, and begins the next. The old one is whole on the disk before the new one is there.
    fn roll(&mut self, group: &mut Group) -> io::Result<()> {
        self.write(group)?;
        self.active.file.set_len(self.active.length)?;
        // Not only the data: with zeros left at its end, the segment would be taken for damaged.
        self.active.file.sync_all()?;
        self.note_synced();
        let first = self.written + 1;
        let path = Arc::new(folder::segment_path(&self.folder, first));
        let file = Arc::new(File::options().read(true).write(true).create_new(true).open(&*path)?);
        let place = Place::of(&file)?;
        folder::sync_folder(&self.folder)?;
        let segment = Segment { first, path, file, place, ends: Vec::new() };
        self.active = Active::of(&segment);
        group.steps.push(Step::Segment(segment));
        Ok(())
    }

    /// Lets readers see a group.
    fn publish(&mut self, group: Group) {
        let Some(newest) = group.newest else { return };
        {
            let mut index = self.shared.index_mut();
            for step in group.steps {
                match (step, index.segments.last_mut()) {
                    (Step::Segment(segment), _) => index.segments.push(segment),
                    (Step::Record { end }, Some(segment)) => segment.ends.push(end),
                    (Step::Record { .. }, None) => {}
                }
            }
            index.last.extend(group.last);
            // Under the lock: whoever finds the newest on a subject must find it within the end.
            self.shared.progress.send_modify(|progress| progress.end = newest.0);
        }
        self.pace.unclaimed = Some(newest);
        self.pace.unclaimed_since.get_or_insert_with(Instant::now);
    }

    /// Does what is due.
    fn keep_up(&mut self) {
        if self.sync_due().is_some_and(|due| due <= Instant::now()) {
            self.sync_late();
        }
        if self.is_claimable()
            && self.pace.unclaimed_since.is_some_and(|since| since.elapsed() >= ANSWERED_BUSY)
        {
            self.claim();
        }
    }

    fn sync_due(&self) -> Option<Instant> {
        let Syncing::Within(interval) = self.syncing else { return None };
        if self.shared.stopped().is_some() {
            return None;
        }
        self.pace.unsynced_since.map(|since| since + interval)
    }

    /// Syncs what was answered before.
    pub(super) fn sync_late(&mut self) {
        if self.shared.stopped().is_none()
            && self.pace.unsynced_since.is_some()
            && let Err(error) = self.sync()
        {
            self.stop(&error);
        }
    }

    /// Whether the last answered position is to be written down, and on the disk.
    fn is_claimable(&self) -> bool {
        self.pace.unclaimed.as_ref().is_some_and(|(seq, _)| *seq <= self.synced)
    }

    /// Writes down the last answered position.
    pub(super) fn claim(&mut self) {
        if !self.is_claimable() {
            return;
        }
        self.pace.unclaimed_since = None;
        let Some((seq, body)) = self.pace.unclaimed.take() else { return };
        if let Err(error) = self.answered.write(Claim { seq, sha256: Sha256::digest(&body).into() }) {
            self.stop(&error);
        }
    }

    /// Takes no more appends.
    pub(super) fn stop(&mut self, error: &dyn std::fmt::Display) -> Arc<str> {
        let why: Arc<str> = Arc::from(format!(
            "stream {} takes nothing more since a write failed ({error}); restart copydesk after making room or \
             mending the disk",
            self.shared.name
        ));
        self.shared.stop(Stopped { why: Arc::clone(&why), damaged: false });
        why
    }

    /// Leaves everything on the disk, and turns away who still waits.
    fn close(&mut self) {
        self.sync_late();
        if self.shared.stopped().is_none() && self.active.allocated > self.active.length {
            let cut = self.active.file.set_len(self.active.length).and_then(|()| self.active.file.sync_all());
            if let Err(error) = cut {
                // The zeros stay; they mean nothing.
                tracing::warn!(stream = %self.shared.name, %error, "a segment keeps its zeros");
            }
        }
        self.claim();
        let waiting: Vec<_> =
            mem::take(&mut self.pace.backlog).into_iter().chain(self.requests.try_iter()).collect();
        for request in waiting {
            match request {
                Request::Append(append) => {
                    let _ = append.answer.send(Err(AppendError::Unavailable(super::CLOSED.to_owned())));
                }
                Request::Erase { answer, .. } => {
                    let _ = answer.send(Err(LogError::Unavailable(super::CLOSED.to_owned())));
                }
                Request::Close => {}
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.progress.send_modify(|progress| progress.closed = true);
    }
}
