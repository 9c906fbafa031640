//! Reading a stream's folder when it is opened. Nothing is changed here.
//!
//! Every record of every segment is checked: its checksum, that its position is the next, that it names the last
//! position on its subject. What is then wrong is one of three things.
//!
//! - **Nothing.** After the last record the last segment may go on in zeros, which are written ahead.
//! - **A torn write.** The process or the machine died while a group of records was being written. The group was
//!   not synced, so none of it was answered, and it is cut off. Within the group, power loss may have kept a
//!   later part and lost an earlier one: so whole records after a torn one are no proof of damage. But each
//!   record tells how far the stream had been synced when it was built; where a later record says that the
//!   torn one had been synced, it was answered, and is damaged.
//! - **Damage**: a bad record before the last segment, or below the last answered position, or below what a
//!   later record says was synced. The log is not opened, and nothing is changed.
//!
//! (Cutting at the first bad record, as many a journal does, would take a flipped bit in an old record for the
//! end of the log.)

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::super::{LogError, PLACEHOLDER, Seq};
use super::answered::Claim;
use super::folder::{self, Listing, io_error};
use super::record::{self, MAGIC, Record};

/// A stream as it was found.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// The segments in order.
    pub(super) segments: Vec<ScannedSegment>,
    /// The last position on each subject.
    pub(super) last: HashMap<Arc<str>, Seq>,
    /// The last position, with the hash of the message there.
    pub(super) end: Claim,
    /// What is to be cut off the last segment.
    pub(super) cut: Option<Cut>,
    /// Temporary files that a crash left.
    pub(super) left_over: Vec<PathBuf>,
}

/// A segment as it was found.
#[derive(Debug)]
pub(super) struct ScannedSegment {
    pub(super) first: Seq,
    pub(super) path: PathBuf,
    /// Where each record ends.
    pub(super) ends: Vec<u32>,
    /// The length of the file, with what follows the last record.
    pub(super) file_len: u64,
}

/// What was cut off the end of a stream: a write that was never answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The segment.
    pub file: PathBuf,
    /// Where the cut is.
    pub offset: u64,
    /// How many bytes followed.
    pub bytes: u64,
    /// What was wrong with them.
    pub why: &'static str,
}

/// Reads all of a stream, and checks it against the last answered position.
pub(super) fn scan(stream: &Path, seed: u32, answered: Option<Claim>) -> Result<Scanned, LogError> {
    let Listing { segments: files, left_over } = folder::list_segments(stream)?;
    let Some(answered) = answered.or(files.is_empty().then_some(Claim::default())) else {
        return Err(LogError::Damaged(format!(
            "{} has segments, but the file with the last answered position is missing: restore both from one \
             backup",
            stream.display()
        )));
    };
    let mut scan = Scan { seed, answered, found: Scanned { left_over, ..Scanned::default() } };
    let mut buffer = Vec::new();
    let count = files.len();
    for (number, (first, path)) in files.into_iter().enumerate() {
        let expected = scan.found.end.seq + 1;
        if first != expected {
            return Err(LogError::Damaged(format!(
                "{} is to begin with position {expected}, but the next segment is {}",
                stream.display(),
                path.display()
            )));
        }
        buffer.clear();
        File::open(&path)
            .and_then(|mut file| file.read_to_end(&mut buffer))
            .map_err(|error| io_error("read", &path, &error))?;
        scan.segment(first, path, &buffer, number + 1 == count)?;
    }
    let end = scan.found.end.seq;
    if end < answered.seq {
        return Err(LogError::LostTail(format!(
            "{} ends at position {end}, but position {} was answered{}; restore the log from a backup that has \
             it",
            stream.display(),
            answered.seq,
            scan.found
                .cut
                .as_ref()
                .map(|cut| format!(" ({} at byte {}: {})", cut.file.display(), cut.offset, cut.why))
                .unwrap_or_default(),
        )));
    }
    Ok(scan.found)
}

struct Scan {
    seed: u32,
    answered: Claim,
    found: Scanned,
}

impl Scan {
    fn segment(&mut self, first: Seq, path: PathBuf, bytes: &[u8], is_last: bool) -> Result<(), LogError> {
        let mut ends = Vec::new();
        let (mut offset, mut last_start) = (0, None);
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            match record::decode(self.seed, rest) {
                Ok((record, length)) => {
                    self.take(&record).map_err(|why| damaged(&path, offset, &why))?;
                    last_start = Some(offset);
                    offset += length;
                    ends.push(
                        u32::try_from(offset).map_err(|_| damaged(&path, offset, "the file is too long"))?,
                    );
                }
                Err(why) if !is_last => return Err(damaged(&path, offset, why)),
                Err(why) => {
                    if rest.iter().any(|byte| *byte != 0) {
                        self.check_torn(&path, offset, rest, why)?;
                        let (file, bytes) = (path.clone(), rest.len() as u64);
                        self.found.cut = Some(Cut { file, offset: offset as u64, bytes, why });
                    }
                    break;
                }
            }
        }
        if let Some(bytes) = last_start.and_then(|start| bytes.get(start..))
            && let Ok((record, _)) = record::decode(self.seed, bytes)
        {
            self.found.end.sha256 = hash(&record);
        }
        self.found.segments.push(ScannedSegment { first, path, ends, file_len: bytes.len() as u64 });
        Ok(())
    }

    /// Takes the next record, if it is the next.
    fn take(&mut self, record: &Record<'_>) -> Result<(), String> {
        let expected = self.found.end.seq + 1;
        if record.seq != expected {
            return Err(format!("position {} stands where {expected} is to stand", record.seq));
        }
        let last = self.found.last.get_mut(record.subject);
        let previous = last.as_deref().copied().unwrap_or(0);
        if record.previous != previous {
            return Err(format!(
                "position {expected} says that the last on {:?} is {}, but it is {previous}",
                record.subject, record.previous
            ));
        }
        match last {
            Some(last) => *last = record.seq,
            None => drop(self.found.last.insert(Arc::from(record.subject), record.seq)),
        }
        self.found.end.seq = record.seq;
        // What is put back from a backup as erased was answered as what stood there for a moment.
        let is_put_back =
            || record.erased && self.answered.sha256 == <[u8; 32]>::from(Sha256::digest(PLACEHOLDER));
        if record.seq == self.answered.seq && hash(record) != self.answered.sha256 && !is_put_back() {
            return Err(format!("position {expected} is another message than the one that was answered"));
        }
        Ok(())
    }

    /// Checks that what can't be read may be cut off: that it was never synced, as far as anything tells.
    fn check_torn(&self, path: &Path, offset: usize, rest: &[u8], why: &str) -> Result<(), LogError> {
        let torn = self.found.end.seq + 1;
        for at in 1..rest.len() {
            let Some(candidate) = rest.get(at..).filter(|bytes| bytes.starts_with(&MAGIC)) else { continue };
            let Ok((record, _)) = record::decode(self.seed, candidate) else { continue };
            let may_be_of_the_same_write = record.seq > torn && record.synced < torn;
            if !may_be_of_the_same_write {
                return Err(damaged(
                    path,
                    offset,
                    &format!("{why}, and position {} follows whole at byte {}", record.seq, offset + at),
                ));
            }
        }
        Ok(())
    }
}

fn hash(record: &Record<'_>) -> [u8; 32] {
    match record.body.try_into() {
        Ok(hash) if record.erased => hash,
        _ => Sha256::digest(record.body).into(),
    }
}

fn damaged(path: &Path, offset: usize, why: &str) -> LogError {
    LogError::Damaged(format!("{} at byte {offset}: {why}", path.display()))
}
