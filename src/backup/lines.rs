//! The files of a stream: a line for each position.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{BackupError, Extent, KEYS};
use crate::log::{Content, Entry, Headers, Seq};

/// A file is finished when it is longer than this.
const FILE_BYTES: u64 = 64 << 20;

/// The longest line: of the largest message that a NATS server can be told to take, 64 MiB, in base64.
const LINE_BYTES: u64 = 128 << 20;

/// One position.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    seq: Seq,
    subject: String,
    time: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Headers,
    /// The bytes in base64; none where they were erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The SHA-256, in hex, of bytes that were erased, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erased: Option<String>,
}

fn line_of(entry: &Entry) -> Line {
    let (headers, body, erased) = match &entry.content {
        Content::Message { headers, body } => (headers.clone(), Some(BASE64.encode(body)), None),
        Content::Erased { sha256 } => (Headers::new(), None, sha256.map(hex::encode)),
    };
    Line { seq: entry.seq, subject: entry.subject.clone(), time: entry.time, headers, body, erased }
}

/// Whether a header can be sent as it is.
fn is_header((name, value): &(String, String)) -> bool {
    let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    named && !value.contains(['\r', '\n'])
}

fn entry_of(line: Line) -> Option<Entry> {
    if !line.headers.iter().all(is_header) {
        return None;
    }
    let content = match (line.body, line.erased) {
        (Some(body), None) => {
            Content::Message { headers: line.headers, body: BASE64.decode(body).ok()?.into() }
        }
        (None, None) => Content::Erased { sha256: None },
        (None, Some(hash)) => {
            let mut sha256 = [0; 32];
            hex::decode_to_slice(hash, &mut sha256).ok()?;
            Content::Erased { sha256: Some(sha256) }
        }
        (Some(_), Some(_)) => return None,
    };
    Some(Entry { seq: line.seq, subject: line.subject, time: line.time, content })
}

/// Where a stream's files lie.
pub(super) fn folder_of(backup: &Path, stream: &str) -> PathBuf {
    if stream == KEYS { backup.join(KEYS) } else { backup.join("streams").join(stream) }
}

/// Where the key-value space lies that is to be put back: in this folder's `keys/`, or in the folder itself, however it is
/// named.
pub(super) fn keys_in(folder: &Path) -> PathBuf {
    let keys = folder.join(KEYS);
    if keys.is_dir() { keys } else { folder.to_owned() }
}

/// Whether a folder has none of a stream's files.
pub(super) fn is_bare(folder: &Path) -> Result<bool, BackupError> {
    Ok(files(folder)?.is_empty())
}

fn path_of(folder: &Path, first: Seq) -> PathBuf {
    folder.join(format!("{first:020}.jsonl"))
}

/// Adds lines to a stream's files.
pub(super) struct Appender {
    folder: PathBuf,
    extent: Extent,
    file: Option<(PathBuf, BufWriter<File>)>,
}

impl Appender {
    /// Goes on where the manifest says that the stream ends; what lies beyond is cut off.
    pub(super) fn open(backup: &Path, stream: &str, extent: Extent) -> Result<Self, BackupError> {
        let folder = folder_of(backup, stream);
        std::fs::create_dir_all(&folder).map_err(BackupError::file(&folder))?;
        #[cfg(unix)]
        if stream == KEYS {
            use std::os::unix::fs::PermissionsExt;
            let own = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(&folder, own).map_err(BackupError::file(&folder))?;
        }
        for first in files(&folder)?.into_iter().filter(|first| *first > extent.file || extent.end == 0) {
            let path = path_of(&folder, first);
            std::fs::remove_file(&path).map_err(BackupError::file(&path))?;
        }
        let mut appender = Self { folder, extent, file: None };
        if extent.end > 0 {
            let path = path_of(&appender.folder, extent.file);
            let mut file = File::options().write(true).open(&path).map_err(BackupError::file(&path))?;
            let length = file.metadata().map_err(BackupError::file(&path))?.len();
            if length < extent.bytes {
                return Err(BackupError::Damaged(format!("{} is too short", path.display())));
            }
            file.set_len(extent.bytes).map_err(BackupError::file(&path))?;
            file.seek(SeekFrom::End(0)).map_err(BackupError::file(&path))?;
            appender.file = Some((path, BufWriter::new(file)));
        }
        Ok(appender)
    }

    pub(super) fn add(&mut self, entry: &Entry) -> Result<(), BackupError> {
        if entry.seq != self.extent.end + 1 {
            let what = format!("position {} follows {}", entry.seq, self.extent.end);
            return Err(BackupError::Damaged(what));
        }
        if self.extent.bytes >= FILE_BYTES {
            self.finish_file()?;
        }
        if self.file.is_none() {
            let path = path_of(&self.folder, entry.seq);
            let file = File::create(&path).map_err(BackupError::file(&path))?;
            self.extent = Extent { file: entry.seq, bytes: 0, ..self.extent };
            self.file = Some((path, BufWriter::new(file)));
        }
        let mut line =
            serde_json::to_vec(&line_of(entry)).map_err(|error| BackupError::Other(error.to_string()))?;
        line.push(b'\n');
        if let Some((path, file)) = &mut self.file {
            file.write_all(&line).map_err(BackupError::file(path))?;
        }
        self.extent.end = entry.seq;
        self.extent.bytes += line.len() as u64;
        Ok(())
    }

    fn finish_file(&mut self) -> Result<(), BackupError> {
        let Some((path, file)) = self.file.take() else { return Ok(()) };
        let file = file.into_inner().map_err(|error| BackupError::file(&path)(error.into_error()))?;
        file.sync_all().map_err(BackupError::file(&path))
    }

    /// Everything is on the disk; how far the stream is there.
    pub(super) fn finish(mut self) -> Result<Extent, BackupError> {
        self.finish_file()?;
        let folder = File::open(&self.folder).map_err(BackupError::file(&self.folder))?;
        folder.sync_all().map_err(BackupError::file(&self.folder))?;
        Ok(self.extent)
    }
}

/// The first positions of a stream's files, in order.
fn files(folder: &Path) -> Result<Vec<Seq>, BackupError> {
    let mut firsts = Vec::new();
    if !folder.is_dir() {
        return Ok(firsts);
    }
    for entry in std::fs::read_dir(folder).map_err(BackupError::file(folder))? {
        let name = entry.map_err(BackupError::file(folder))?.file_name();
        let name = name.to_string_lossy();
        let first = name.strip_suffix(".jsonl").and_then(|first| first.parse::<Seq>().ok());
        // What is named otherwise is somebody else's.
        firsts.extend(
            first.filter(|first| path_of(folder, *first).file_name() == Some(name.as_ref().as_ref())),
        );
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// The entries of a stream after a position, as far as the manifest says that they are there.
pub(super) fn read(
    backup: &Path,
    stream: &str,
    extent: Extent,
    after: Seq,
) -> Result<impl Iterator<Item = Result<Entry, BackupError>> + use<>, BackupError> {
    read_in(folder_of(backup, stream), stream, extent, after)
}

/// The same, of a stream whose files lie in this folder.
pub(super) fn read_in(
    folder: PathBuf,
    stream: &str,
    extent: Extent,
    after: Seq,
) -> Result<impl Iterator<Item = Result<Entry, BackupError>> + use<>, BackupError> {
    let all = files(&folder)?;
    let begins = after.saturating_add(1);
    let start = all.partition_point(|first| *first <= begins).saturating_sub(1);
    if extent.end > after && all.get(start).is_none_or(|first| *first > begins) {
        return Err(BackupError::Damaged(format!("stream {stream} lacks its positions from {begins} on")));
    }
    let wanted = all.into_iter().skip(start).take_while(move |first| *first <= extent.end);
    let mut lines = wanted.map(move |first| Lines::open(path_of(&folder, first), first));
    let mut open: Option<Lines> = None;
    let mut last = None;
    let stream = stream.to_owned();
    let entries = std::iter::from_fn(move || {
        loop {
            let Some(current) = &mut open else {
                match lines.next()? {
                    Ok(next) => open = Some(next),
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            match current.next() {
                Some(Ok(entry)) if entry.seq > extent.end => return None,
                Some(Ok(entry)) => {
                    if last.is_some_and(|last: Seq| last.checked_add(1) != Some(entry.seq)) {
                        let what = format!("stream {stream} lacks positions before {}", entry.seq);
                        return Some(Err(BackupError::Damaged(what)));
                    }
                    last = Some(entry.seq);
                    return Some(Ok(entry));
                }
                Some(Err(error)) => return Some(Err(error)),
                None => open = None,
            }
        }
    });
    Ok(entries.skip_while(move |entry| entry.as_ref().is_ok_and(|entry| entry.seq <= after)))
}

struct Lines {
    path: PathBuf,
    next: Seq,
    file: BufReader<File>,
    line: Vec<u8>,
}

impl Lines {
    fn open(path: PathBuf, first: Seq) -> Result<Self, BackupError> {
        let file = File::open(&path).map_err(BackupError::file(&path))?;
        Ok(Self { path, next: first, file: BufReader::new(file), line: Vec::new() })
    }
}

impl Iterator for Lines {
    type Item = Result<Entry, BackupError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.line.clear();
        match (&mut self.file).take(LINE_BYTES).read_until(b'\n', &mut self.line) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(BackupError::file(&self.path)(error))),
        }
        let next = self.next;
        self.next = next.saturating_add(1);
        let entry = serde_json::from_slice(&self.line).ok().and_then(entry_of);
        let damaged =
            || BackupError::Damaged(format!("{}: position {next} doesn't read", self.path.display()));
        Some(entry.filter(|entry| entry.seq == next).ok_or_else(damaged))
    }
}
