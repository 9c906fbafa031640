//! The last answered position of a stream, and the hash of the message there, in a small synced file of its own.
//!
//! It is what notices that a log has lost its tail, when no other trace of the tail is left. So it lies apart
//! from the segments, in a folder that an operator may put on another disk.
//!
//! Two slots are written in turns, each with a checksum: a write that is torn leaves the other one. The file has
//! its full size from the start, so a write changes no metadata, and its sync is short.
//!
//! # No false alarm
//!
//! A slot is written only after the sync that made its position durable, so whatever the crash, the file never
//! claims more than the segments hold. It may claim less, by what was answered since: at most
//! [`super::writer::ANSWERED_BUSY`] while appends keep coming, and [`super::writer::ANSWERED_IDLE`] after the
//! last of them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::{LogError, Seq};
use super::folder::{self, io_error};
use super::place::Place;

const MAGIC: [u8; 4] = *b"cda1";
/// Slots lie in different blocks, so that no torn write reaches both.
const SLOT_SPACING: usize = 4096;
const SLOT_BYTES: usize = 48;

/// A claim: this position was answered, with this message on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Claim {
    pub(super) seq: Seq,
    /// SHA-256 of the message's body; zeros at position 0.
    pub(super) sha256: [u8; 32],
}

/// The open file.
#[derive(Debug)]
pub(super) struct AnsweredFile {
    path: PathBuf,
    file: File,
    place: Place,
    seed: u32,
    claim: Claim,
    /// The slot that holds the older claim, to be written next.
    next_slot: usize,
}

/// What the file claims, without changing anything; `None` where there is no file.
pub(super) fn read(path: &Path, seed: u32) -> Result<Option<Claim>, LogError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", path, &error)),
    };
    match newest(&bytes, seed) {
        Some((_, claim)) => Ok(Some(claim)),
        None => Err(LogError::Damaged(format!(
            "{} holds no readable last answered position; it belongs to this log, so restore it with the log's \
             other files from one backup",
            path.display()
        ))),
    }
}

impl AnsweredFile {
    /// Opens the file, or makes it with a claim to nothing.
    pub(super) fn open(path: &Path, seed: u32) -> Result<Self, LogError> {
        if !path.exists() {
            let mut bytes = slot(seed, &Claim::default());
            bytes.resize(2 * SLOT_SPACING, 0);
            folder::write_whole(path, &bytes)?;
        }
        let bytes = std::fs::read(path).map_err(|error| io_error("read", path, &error))?;
        let (newest_slot, claim) = newest(&bytes, seed).unwrap_or_default();
        let file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| io_error("open", path, &error))?;
        let place = Place::of(&file).map_err(|error| io_error("look at", path, &error))?;
        Ok(Self { path: path.to_owned(), file, place, seed, claim, next_slot: 1 - newest_slot })
    }

    /// The claim as it stands.
    pub(super) fn claim(&self) -> Claim {
        self.claim
    }

    /// Checks that the file is in its place: without it the log can't be opened again.
    pub(super) fn check(&self) -> Result<(), LogError> {
        self.place.check(&self.path, SLOT_BYTES as u64)
    }

    /// Claims a position that is durable, durably.
    pub(super) fn write(&mut self, claim: Claim) -> io::Result<()> {
        self.file.write_all_at(&slot(self.seed, &claim), (self.next_slot * SLOT_SPACING) as u64)?;
        self.file.sync_data()?;
        self.claim = claim;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }
}

/// Where the file of a stream lies.
pub(super) fn path(log: &Path, stream: &str) -> PathBuf {
    log.join("answered").join(stream)
}

fn slot(seed: u32, claim: &Claim) -> Vec<u8> {
    let mut claimed = claim.seq.to_le_bytes().to_vec();
    claimed.extend_from_slice(&claim.sha256);
    let crc = crc32c::crc32c_append(seed, &claimed).to_le_bytes();
    [&MAGIC[..], &crc, &claimed].concat()
}

/// The slot with the newest claim that can be read.
fn newest(bytes: &[u8], seed: u32) -> Option<(usize, Claim)> {
    let read = |number: usize| {
        let found = bytes.get(number * SLOT_SPACING..)?.first_chunk::<SLOT_BYTES>()?;
        let seq = Seq::from_le_bytes(*found.get(8..)?.first_chunk()?);
        let claim = Claim { seq, sha256: *found.get(16..)?.first_chunk()? };
        (found[..] == slot(seed, &claim)).then_some((number, claim))
    };
    [read(0), read(1)].into_iter().flatten().max_by_key(|(_, claim)| claim.seq)
}
