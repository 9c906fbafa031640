//! The folder of a log: who it is, who has it open, and what lies where in it.
//!
//! ```text
//! log                               format version and identity
//! lock                              held while a process has the log open
//! answered/<stream>                 the last answered position (see [`super::answered`])
//! streams/<stream>/<first seq>.seg  the records, from that position on
//! ```

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::super::{LogError, Seq};

/// The version of the format of everything in the folder.
const FORMAT: u32 = 1;

/// An open folder; its lock is held until it is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) identity: Uuid,
    _lock: File,
}

impl Folder {
    /// Opens the folder, or makes it with a new identity.
    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        make_folder(path)?;
        let lock = take_lock(path)?;
        let identity = match read_identity(path)? {
            Some(identity) => identity,
            None => make_identity(path)?,
        };
        for part in ["answered", "streams"] {
            make_folder(&path.join(part))?;
        }
        Ok(Self { path: path.to_owned(), identity, _lock: lock })
    }

    /// The names of the streams that there are.
    pub(super) fn streams(&self) -> Result<Vec<String>, LogError> {
        let mut names = Vec::new();
        // A stream of which only the answered position is left is a stream too: one that lost everything.
        for part in ["streams", "answered"] {
            let part = self.path.join(part);
            for name in file_names(&part)? {
                if super::super::memory::check_stream_name(&name).is_ok() && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names.sort();
        Ok(names)
    }
}

/// Where the segments of a stream lie.
pub(super) fn stream_path(log: &Path, stream: &str) -> PathBuf {
    log.join("streams").join(stream)
}

/// The file of the segment that begins with a position.
pub(super) fn segment_path(stream: &Path, first: Seq) -> PathBuf {
    stream.join(format!("{first:020}.seg"))
}

/// What lies in a stream's folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The segments with their first positions, in order.
    pub(super) segments: Vec<(Seq, PathBuf)>,
    /// Temporary files that a crash left.
    pub(super) left_over: Vec<PathBuf>,
}

/// Lists a stream's folder, which may not be there yet.
pub(super) fn list_segments(stream: &Path) -> Result<Listing, LogError> {
    let mut listing = Listing::default();
    if !stream.exists() {
        return Ok(listing);
    }
    for name in file_names(stream)? {
        let path = stream.join(&name);
        if name.ends_with(".tmp") {
            listing.left_over.push(path);
        } else if let Some(first) = name.strip_suffix(".seg").and_then(|first| first.parse().ok()) {
            listing.segments.push((first, path));
        }
    }
    listing.segments.sort();
    Ok(listing)
}

/// Makes a folder where it is absent, durably.
pub(super) fn make_folder(path: &Path) -> Result<(), LogError> {
    if path.is_dir() {
        return Ok(());
    }
    let make = || {
        let new: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
        // Words that nobody else on the machine is to read.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        // A name is durable once the folder that it stands in is synced.
        new.into_iter().filter_map(Path::parent).try_for_each(sync_folder)
    };
    make().map_err(|error| io_error("make", path, &error))
}

/// Writes a file so that, whatever the crash, it is there whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), LogError> {
    let write = || {
        Beside::write(path, bytes)?.take_place()?;
        sync_folder(path.parent().unwrap_or(path))
    };
    write().map_err(|error| io_error("write", path, &error))
}

/// A file that is written and synced beside the one whose place it is to take.
#[derive(Debug)]
pub(super) struct Beside<'a> {
    path: &'a Path,
    temporary: PathBuf,
    file: File,
}

impl<'a> Beside<'a> {
    /// Writes it. An error here or in [`Self::take_place`] means that nothing has changed.
    pub(super) fn write(path: &'a Path, bytes: &[u8]) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        let temporary = PathBuf::from(name);
        let write = || -> io::Result<File> {
            let mut file =
                File::options().read(true).write(true).create(true).truncate(true).open(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            Ok(file)
        };
        let file = write().inspect_err(|_| remove(&temporary))?;
        Ok(Self { path, temporary, file })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Takes the place; it is durable once the folder is synced.
    pub(super) fn take_place(self) -> io::Result<File> {
        std::fs::rename(&self.temporary, self.path).inspect_err(|_| remove(&self.temporary))?;
        Ok(self.file)
    }
}

fn remove(temporary: &Path) {
    // What can't be removed now is removed when the log is opened next.
    let _ = std::fs::remove_file(temporary);
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    // The parent of a relative path of one name is the empty path.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

/// An I/O error with what was tried, and where.
pub(super) fn io_error(tried: &str, path: &Path, error: &io::Error) -> LogError {
    LogError::Unavailable(format!("can't {tried} {}: {error}", path.display()))
}

fn file_names(folder: &Path) -> Result<Vec<String>, LogError> {
    let failed = |error: io::Error| io_error("list", folder, &error);
    let mut names = Vec::new();
    for found in std::fs::read_dir(folder).map_err(failed)? {
        // A name that is no text is none of ours.
        names.extend(found.map_err(failed)?.file_name().into_string());
    }
    Ok(names)
}

fn take_lock(folder: &Path) -> Result<File, LogError> {
    let path = folder.join("lock");
    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| io_error("open", &path, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(LogError::Unsuitable(format!(
            "another process has the log in {} open; stop it first, or give this one a folder of its own",
            folder.display()
        ))),
        Err(TryLockError::Error(error)) => Err(io_error("lock", &path, &error)),
    }
}

pub(super) fn read_identity(folder: &Path) -> Result<Option<Uuid>, LogError> {
    let path = folder.join("log");
    let text = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", &path, &error)),
    };
    let mut lines = text.lines();
    let format = lines.next().and_then(|line| line.strip_prefix("copydesk log, format "));
    let identity = lines.next().and_then(|line| line.strip_prefix("identity "));
    match (format.and_then(|format| format.parse::<u32>().ok()), identity.and_then(|id| id.parse().ok())) {
        (Some(FORMAT), Some(identity)) => Ok(Some(identity)),
        (Some(other), _) if other != FORMAT => Err(LogError::Unsuitable(format!(
            "the log in {} has format {other}, this build knows format {FORMAT}; use the build that made it",
            folder.display()
        ))),
        _ => Err(LogError::Damaged(format!("{} does not say the log's format and identity", path.display()))),
    }
}

fn make_identity(folder: &Path) -> Result<Uuid, LogError> {
    for part in ["answered", "streams"] {
        let part = folder.join(part);
        if part.exists() && !file_names(&part)?.is_empty() {
            return Err(LogError::Damaged(format!(
                "{} is missing, but there are streams: restore it with the log's other files from one backup",
                folder.join("log").display()
            )));
        }
    }
    let identity = Uuid::new_v4();
    let text = format!("copydesk log, format {FORMAT}\nidentity {identity}\n");
    write_whole(&folder.join("log"), text.as_bytes())?;
    Ok(identity)
}
