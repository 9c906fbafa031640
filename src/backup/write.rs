//! A run: what came since the last one is copied, and the tree over it built and held against its checkpoint.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use serde::Serialize;

use super::leaves;
use super::lines::{self, Appender};
use super::tiles::{Grower, write_synced};
use super::{BackupError, KEYS, Manifest, STREAMS, Source};
use crate::audit::line::{self, Signed};
use crate::log::{Content, Entry};

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The events that the backup has.
    pub events: u64,
    /// Positions of all streams that this run added.
    pub added: u64,
    /// How many events are under the backup's checkpoint.
    pub verified: u64,
}

/// Brings a backup up to what the log has now; `told` hears how many positions were copied of how many.
///
/// # Errors
/// [`BackupError`]; the backup is then as it was.
pub async fn backup(
    source: &Source,
    folder: &Path,
    mut told: impl FnMut(u64, u64),
) -> Result<Written, BackupError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(BackupError::file(folder))?;
    let path = folder.join("lock");
    let lock = std::fs::File::create(&path).map_err(BackupError::file(&path))?;
    if lock.try_lock().is_err() {
        return Err(BackupError::Other(format!("another run writes {}: wait for it", folder.display())));
    }
    let mut manifest = Manifest::read(folder)?.unwrap_or_else(|| Manifest::new(source.identity()));
    if manifest.identity != source.identity() {
        return Err(BackupError::Other(format!(
            "{} holds a backup of another log: give this one a folder of its own",
            folder.display()
        )));
    }
    let mut ends = Vec::new();
    for stream in STREAMS.into_iter().chain([KEYS]) {
        let (end, had) = (source.end(stream).await?, manifest.extent(stream));
        if end < had.end {
            return Err(BackupError::Other(format!(
                "the log's {stream} end at {end}, and the backup's at {}: the log has lost its tail, or the backup is of \
                 another future; keep both, and see docs/OPERATIONS.md",
                had.end
            )));
        }
        ends.push((stream, end));
    }
    // Where the keys were moved away they are copied whole.
    if lines::is_bare(&lines::folder_of(folder, KEYS))? {
        manifest.streams.remove(KEYS);
    }
    let ends = ends.into_iter().map(|(stream, end)| (stream, manifest.extent(stream), end));
    let ends: Vec<_> = ends.collect();
    let all: u64 = ends.iter().map(|(_, had, end)| end - had.end).sum();
    let mut added = 0;
    for (stream, had, end) in ends {
        goes_on(source, folder, stream, &manifest).await?;
        let mut appender = Appender::open(folder, stream, had)?;
        source
            .read(stream, had.end, end, |entry| {
                appender.add(&entry)?;
                added += 1;
                told(added, all);
                Ok(())
            })
            .await?;
        manifest.streams.insert(stream.to_owned(), appender.finish()?);
    }
    grow(folder, &mut manifest)?;
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| BackupError::Other(error.to_string()))?;
    write_synced(&folder.join("manifest.json"), &text)?;
    Ok(Written { events: manifest.extent("events").end, added, verified: manifest.tree.size })
}

/// That what the log has where the copy of a stream ends is what the copy ends with.
async fn goes_on(
    source: &Source,
    folder: &Path,
    stream: &str,
    manifest: &Manifest,
) -> Result<(), BackupError> {
    let had = manifest.extent(stream);
    let Some(before) = had.end.checked_sub(1) else { return Ok(()) };
    let copied = lines::read(folder, stream, had, before)?.next().transpose()?;
    let mut there = None;
    source
        .read(stream, before, had.end, |entry| {
            there = Some(entry);
            Ok(())
        })
        .await?;
    match (copied, there) {
        (Some(copied), Some(there)) if same(&copied, &there) => Ok(()),
        _ => Err(BackupError::Other(format!(
            "the log has something else at {} of its {stream} than the backup: it is another log, or was changed",
            had.end
        ))),
    }
}

/// Whether two entries are of the same message, erased in one of them perhaps.
pub(super) fn same(one: &Entry, other: &Entry) -> bool {
    let hash = |entry: &Entry| match &entry.content {
        Content::Message { body, .. } => Some(sha2::Digest::finalize(sha2::Digest::chain_update(
            <sha2::Sha256 as sha2::Digest>::new(),
            body,
        ))),
        Content::Erased { sha256 } => sha256.map(Into::into),
    };
    match (&one.content, &other.content) {
        (Content::Message { headers: a, body: b }, Content::Message { headers: c, body: d }) => {
            one.seq == other.seq && one.subject == other.subject && a == c && b == d
        }
        // Deleted behind the service's back: nothing is left to compare.
        (Content::Erased { sha256: None }, _) | (_, Content::Erased { sha256: None }) => one.seq == other.seq,
        _ => one.seq == other.seq && hash(one) == hash(other),
    }
}

/// The newest checkpoint of the copy.
pub(super) fn newest(folder: &Path, manifest: &Manifest) -> Result<Option<Signed>, BackupError> {
    let extent = manifest.extent("checkpoints");
    for at in (1..=extent.end).rev() {
        let entry = lines::read(folder, "checkpoints", extent, at - 1)?.next().transpose()?;
        if let Some(signed) = entry.as_ref().and_then(line::read) {
            return Ok(Some(signed));
        }
    }
    Ok(None)
}

/// Builds the tree over the copied events up to the newest checkpoint.
fn grow(folder: &Path, manifest: &mut Manifest) -> Result<(), BackupError> {
    let Some(signed) = newest(folder, manifest)? else { return Ok(()) };
    let mut grower = Grower::open(folder, manifest.tree)?;
    if signed.size == grower.size() {
        return Ok(());
    }
    for leaf in leaves::of(folder, manifest, manifest.tree.seq)? {
        if grower.size() >= signed.size {
            break;
        }
        let (seq, leaf) = leaf?;
        leaf.map_or(Ok(()), |leaf| grower.push(seq, leaf))?;
    }
    if grower.size() != signed.size {
        return Err(BackupError::Other(format!(
            "a checkpoint was signed over {} events, and the log has {}",
            signed.size,
            grower.size()
        )));
    }
    grower.seal(&signed.note, &signed.root)?;
    manifest.tree = grower.tree();
    Ok(())
}
