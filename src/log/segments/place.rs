//! Whether a file is still where it was opened, and as long as it was written.
//!
//! A file that someone removed, replaced or cut short while the log has it open takes writes as before, and what was
//! answered from then on would be gone at the next start. The look costs far less than a sync, so it is taken before
//! each group of appends.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::super::LogError;
use super::folder::io_error;

/// Which file it is: its device, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    device: u64,
    inode: u64,
}

impl Place {
    /// The place of an open file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }

    /// Checks that the path still leads to the file, and that the file has `length` bytes at least.
    ///
    /// # Errors
    /// [`LogError::Damaged`] where it isn't so; [`LogError::Unavailable`] where it can't be found out.
    pub(super) fn check(self, path: &Path, length: u64) -> Result<(), LogError> {
        let damaged = |what: &str| Err(LogError::Damaged(format!("{} {what}", path.display())));
        match std::fs::metadata(path) {
            Ok(found) if Self::from(&found) != self => damaged("was replaced by another file"),
            Ok(found) if found.len() < length => {
                damaged(&format!("was cut to {} bytes, and {length} were written", found.len()))
            }
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                damaged("was removed")
            }
            Err(error) => Err(io_error("look at", path, &error)),
        }
    }
}

impl From<&Metadata> for Place {
    fn from(of: &Metadata) -> Self {
        Self { device: of.dev(), inode: of.ino() }
    }
}
