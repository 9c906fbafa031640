//! Erasing a message's bytes.
//!
//! The segment is written anew beside the old one, with the hash of the body in the place of the body, the headers
//! gone, and all else as it was: position, subject, the chain of the subject, and so every expectation. It is
//! synced, and takes the old one's name in one step; so a crash leaves the one or the other. The records after it
//! move, and the index with them.
//!
//! (Overwriting in place would do without moving anything, but a crash would leave a record that is neither.)

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::super::{LogError, Seq};
use super::folder::{self, Beside, io_error};
use super::place::Place;
use super::record::{self, Record};
use super::writer::Writer;

impl Writer {
    /// Puts a record without its message in the place of the one with it, in a new file for the whole segment.
    /// Appends wait meanwhile, some tenths of a second for a full segment; erasing is rare.
    pub(super) fn erase(&mut self, seq: Seq, as_was: Option<[u8; 32]>) -> Result<(), LogError> {
        self.sync_late();
        // A segment takes its time, and what was answered before is not to wait for it to be known as answered.
        self.claim();
        let erased = self.replace_segment(seq, as_was);
        self.shared.noting_damage(erased)
    }

    fn replace_segment(&mut self, seq: Seq, as_was: Option<[u8; 32]>) -> Result<(), LogError> {
        if let Some(stopped) = self.shared.stopped() {
            return Err(LogError::Unavailable(stopped.why.to_string()));
        }
        let found = {
            let index = self.shared.index();
            let number = index.segment_of(seq).filter(|_| seq <= self.written);
            number.and_then(|number| Some((number, index.segments.get(number)?.clone())))
        };
        let Some((number, mut segment)) = found else {
            return Err(LogError::Unsuitable(format!(
                "nothing stands at position {seq} of {}, so nothing can be erased",
                self.shared.name
            )));
        };
        let path = Arc::clone(&segment.path);
        let length = segment.ends.last().map_or(0, |end| u64::from(*end));
        let mut old = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        segment.file.read_exact_at(&mut old, 0).map_err(|error| io_error("read", &path, &error))?;
        let damaged = |why: &str| LogError::Damaged(format!("{}: {why}", segment.path.display()));
        let index = usize::try_from(seq - segment.first).unwrap_or(usize::MAX);
        let start = segment.start(index).and_then(|start| usize::try_from(start).ok());
        let (before, from) =
            start.and_then(|start| old.split_at_checked(start)).ok_or_else(|| damaged("it is too short"))?;
        let (record, old_len) = record::decode(self.shared.seed, from).map_err(damaged)?;
        if record.erased {
            return Ok(());
        }
        let sha256: [u8; 32] = as_was.unwrap_or_else(|| Sha256::digest(record.body).into());
        let erased = Record { erased: true, headers: &[], body: &sha256, ..record };
        let new_len = record::encoded_len(&erased);
        let mut new = Vec::with_capacity(old.len() + new_len);
        new.extend_from_slice(before);
        record::encode(self.shared.seed, &erased, &mut new);
        new.extend_from_slice(from.get(old_len..).unwrap_or_default());
        for end in segment.ends.iter_mut().skip(index) {
            let moved = u64::from(*end) + new_len as u64 - old_len as u64;
            *end = u32::try_from(moved).map_err(|_| damaged("it would be too long"))?;
        }

        let failed = |error: std::io::Error| {
            LogError::Unavailable(format!("position {seq} is not erased: {}: {error}", path.display()))
        };
        let beside = Beside::write(&path, &new).map_err(failed)?;
        segment.place = Place::of(beside.file()).map_err(failed)?;
        {
            // Whoever looks whether a file is in its place does so under the same lock.
            let mut index = self.shared.index_mut();
            segment.file = Arc::new(beside.take_place().map_err(failed)?);
            if segment.path == self.active.path {
                self.active.file = Arc::clone(&segment.file);
                self.active.place = segment.place;
                self.active.length = new.len() as u64;
                self.active.allocated = self.active.length;
            }
            if let Some(known) = index.segments.get_mut(number) {
                *known = segment;
            }
        }
        folder::sync_folder(&self.folder)
            .map_err(|error| LogError::Unavailable(self.stop(&error).to_string()))
    }
}
