//! A log, kept in a folder of plain files, and put back.
//!
//! ```text
//! lock                                   held while a run writes
//! manifest.json                          what the folder holds, written last
//! streams/<stream>/<first seq>.jsonl     a line for each position: seq, subject, time, headers, body in base64
//! keys/<first seq>.jsonl                 the key-value space: secrets, for their owner alone, to be kept elsewhere
//! audit/checkpoint, audit/tile/…         the newest checkpoint and its tiles, as C2SP tlog-tiles has them
//! ```
//!
//! # The invariant
//!
//! The manifest says how far each stream is there, and how long each last file is; it is put in place in one step when
//! everything it names is on the disk. What a run that was cut short left beyond it is cut off by the next. Ends are taken in
//! an order that keeps the copy whole: wire and checkpoints before the events that they rest on, the keys that events need
//! after them.
//!
//! The events are read back from the copy when the tree is built over them, and its root must be the checkpoint's: so a
//! backup that was written is one that verifies.
//!
//! # Layout
//! - this file: the manifest. [`source`]: what is backed up. [`write`]: a run. `lines`: the files of a stream. `leaves`: what the tree is built of. `tiles`: the
//!   tree over the copy. [`restore`]: the way back.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::log::{LogError, Seq};

mod leaves;
mod lines;
pub mod restore;
pub mod source;
mod tiles;
pub mod write;

pub use restore::{Restored, compare, restore};
pub use source::Source;
pub use write::{Written, backup};

/// The version of the folder's format.
const FORMAT: u32 = 1;

/// The streams that lie in plain sight, in the order in which their ends are taken.
pub(crate) const STREAMS: [&str; 3] = ["wire", "checkpoints", "events"];

/// The stream of the key-value space, which lies apart. Its end is taken last.
pub(crate) const KEYS: &str = "keys";

/// Why a backup can't be written, read or put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A file failed.
    #[error("{path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// What lies in the folder isn't what a backup wrote.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// The log and the backup aren't of one history.
    #[error("{0}")]
    Other(String),
}

impl BackupError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> BackupError {
        let path = path.display().to_string();
        move |source| BackupError::File { path, source }
    }
}

/// What a backup's folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the format.
    pub format: u32,
    /// The log's identity.
    pub identity: Uuid,
    /// How far each stream is there.
    pub streams: BTreeMap<String, Extent>,
    /// How far the tree is there.
    pub tree: Tree,
}

/// How far a stream is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// Its last position.
    pub end: Seq,
    /// The first position of its last file.
    pub file: Seq,
    /// The length of that file in bytes.
    pub bytes: u64,
}

/// How far the tree is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// How many leaves it has: the checkpoint's size.
    pub size: u64,
    /// The position of the last leaf's event.
    pub seq: Seq,
}

impl Manifest {
    fn new(identity: Uuid) -> Self {
        Self { format: FORMAT, identity, streams: BTreeMap::new(), tree: Tree::default() }
    }

    /// The manifest of a folder; none where there is none.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn read(folder: &Path) -> Result<Option<Self>, BackupError> {
        let path = folder.join("manifest.json");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(BackupError::file(&path)(error)),
        };
        // Where it doesn't read, and not what stands there.
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            BackupError::Damaged(format!("{}: line {line}, column {column} doesn't read", path.display()))
        })?;
        match manifest.format {
            FORMAT => Ok(Some(manifest)),
            other => Err(BackupError::Other(format!(
                "the backup has format {other}; this build knows format {FORMAT}"
            ))),
        }
    }

    /// Where a stream ends.
    pub fn extent(&self, stream: &str) -> Extent {
        self.streams.get(stream).copied().unwrap_or_default()
    }
}
