//! The way back: into a log that has nothing, every position kept; and holding a log against its backup.

use std::path::Path;
use std::time::Duration;

use copydesk_article::event::{self, Read};
use futures::StreamExt;
use serde::Serialize;

use super::write::{newest, same};
use super::{BackupError, KEYS, Manifest, STREAMS, leaves, lines, source};
use crate::deliver::page;
use crate::log::clock::SystemClock;
use crate::log::{self, Content, Entry, Expect, Log, Message, PLACEHOLDER, Seq, Settled, Stream};
use crate::merkle::Frontier;

/// How long an append is tried.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The events that the log has now.
    pub events: u64,
    /// The messages of the wire.
    pub wire: u64,
    /// How many events were verified against the backup's checkpoint.
    pub verified: u64,
}

/// The backup in a folder.
fn manifest(folder: &Path) -> Result<Manifest, BackupError> {
    let none = || BackupError::Other(format!("there is no backup in {}", folder.display()));
    Manifest::read(folder)?.ok_or_else(none)
}

/// Reads a whole backup and holds its events against its checkpoint; how many those are.
fn verified(folder: &Path, keys: Option<&Path>, manifest: &Manifest) -> Result<u64, BackupError> {
    if let Some(keys) = keys
        && manifest.extent(KEYS).end > 0
        && lines::is_bare(keys)?
    {
        return Err(BackupError::Other(format!(
            "{} has no keys of a backup: expected its keys/, or the folder that it was moved into",
            keys.display()
        )));
    }
    let beside = ["wire", "checkpoints"].map(|stream| (stream, lines::folder_of(folder, stream)));
    for (stream, from) in beside.into_iter().chain(keys.map(|keys| (KEYS, keys.to_owned()))) {
        let (mut last, end) = (0, manifest.extent(stream).end);
        for entry in lines::read_in(from, stream, manifest.extent(stream), 0)? {
            last = entry?.seq;
        }
        if last != end {
            return Err(BackupError::Damaged(format!("its {stream} end at {last}, and should at {end}")));
        }
    }
    let signed = newest(folder, manifest)?;
    let size = signed.as_ref().map_or(0, |signed| signed.size);
    if size != manifest.tree.size {
        let should = manifest.tree.size;
        return Err(BackupError::Damaged(format!(
            "its newest checkpoint is of {size}, and should be of {should}"
        )));
    }
    let mut frontier = Frontier::default();
    let mut root = frontier.root();
    let mut last = 0;
    for leaf in leaves::of(folder, manifest, 0)? {
        let (seq, leaf) = leaf?;
        last = seq;
        if let Some(leaf) = leaf {
            frontier.push(leaf.hash());
            if frontier.size() == size {
                root = frontier.root();
            }
        }
    }
    let end = manifest.extent("events").end;
    if last != end {
        return Err(BackupError::Damaged(format!("its events end at {last}, and should at {end}")));
    }
    match signed {
        Some(signed) if signed.root != root || frontier.size() < size => Err(BackupError::Damaged(format!(
            "its events aren't those that its checkpoint of {size} was signed over"
        ))),
        _ => Ok(size),
    }
}

/// Puts a backup into a log that is empty, or has the beginning of it from a run that was cut short. `keys` is where the
/// key-value space lies, if it is to be put back: a folder with a `keys/` in it, or what was one; `before` is called before each append, with the time that the log had
/// taken the message; `told` hears how many positions are there of how many.
///
/// # Errors
/// [`BackupError`]; nothing is written where the backup itself doesn't verify.
pub async fn restore(
    folder: &Path,
    keys: Option<&Path>,
    log: &dyn Log,
    before: impl Fn(&Entry),
    mut told: impl FnMut(u64, u64),
) -> Result<Restored, BackupError> {
    let manifest = manifest(folder)?;
    let keys = keys.map(lines::keys_in);
    let verified = verified(folder, keys.as_deref(), &manifest)?;
    let streams = STREAMS.iter().copied().chain(keys.as_ref().map(|_| KEYS));
    let all = streams.map(|stream| manifest.extent(stream).end).fold(0, u64::saturating_add);
    let mut done = 0;
    let order = keys.map(|keys| (KEYS, keys)).into_iter();
    let others = ["events", "wire", "checkpoints"].map(|stream| (stream, lines::folder_of(folder, stream)));
    for (stream, from) in order.chain(others) {
        let target = source::of(log, stream).await?;
        let there = target.end().await?;
        for entry in lines::read_in(from, stream, manifest.extent(stream), 0)? {
            let mut entry = entry?;
            // The wire was taken first, and by then a webhook may have been sent more of it.
            if stream == KEYS
                && let Content::Message { body, .. } = &mut entry.content
                && let Some(page) = page::set_back(&entry.subject, body, manifest.extent("wire").end)
            {
                *body = page;
            }
            if entry.seq <= there {
                let found = target.get(entry.seq).await?;
                if found.as_ref().is_some_and(|found| is_yet_to_be_erased(found, &entry)) {
                    erase(&*target, &entry).await?;
                } else if !found.is_some_and(|found| same(&found, &entry)) {
                    return Err(BackupError::Other(format!(
                        "the log isn't empty: position {} of its {stream} holds something else than the backup",
                        entry.seq
                    )));
                }
            } else {
                before(&entry);
                put(&*target, stream, &entry).await?;
            }
            done += 1;
            told(done, all);
        }
        let (end, is) = (manifest.extent(stream).end, target.end().await?);
        if is != end {
            return Err(BackupError::Other(format!("the log's {stream} end at {is}, and should at {end}")));
        }
    }
    Ok(Restored { events: manifest.extent("events").end, wire: manifest.extent("wire").end, verified })
}

async fn put(target: &dyn Stream, stream: &str, entry: &Entry) -> Result<(), BackupError> {
    let subject = if entry.subject.is_empty() { "deleted".to_owned() } else { entry.subject.clone() };
    let (headers, body) = match &entry.content {
        Content::Message { headers, body } => (headers.clone(), body.clone()),
        Content::Erased { .. } => (Vec::new(), PLACEHOLDER.into()),
    };
    let message = Message { subject, id: id_of(stream, entry), headers, body };
    let expect = Expect::Stream(entry.seq - 1);
    match log::append(target, &SystemClock, &message, expect, PATIENCE).await {
        Settled::Written(_) => {}
        Settled::Lost => return Err(BackupError::Other(format!("someone else writes the log's {stream}"))),
        Settled::Unavailable(why) | Settled::Unknown(why) | Settled::Refused(why) => {
            return Err(BackupError::Other(format!("position {} of {stream}: {why}", entry.seq)));
        }
    }
    erase(target, entry).await
}

/// Erases what was put in the place of an erased entry.
async fn erase(target: &dyn Stream, entry: &Entry) -> Result<(), BackupError> {
    match entry.content {
        Content::Message { .. } => {}
        Content::Erased { sha256: Some(sha256) } => target.erase_as(entry.seq, sha256).await?,
        Content::Erased { sha256: None } => target.erase(entry.seq).await?,
    }
    Ok(())
}

/// Whether a run that was cut short had put in the place of an erased entry what is to be erased, and no more.
fn is_yet_to_be_erased(found: &Entry, copied: &Entry) -> bool {
    let is_placeholder =
        |body: &[u8], headers: &[(String, String)]| headers.is_empty() && body == PLACEHOLDER;
    matches!(copied.content, Content::Erased { .. })
        && found.seq == copied.seq
        && matches!(&found.content, Content::Message { headers, body } if is_placeholder(body, headers))
}

/// The message's id, as its writer gave it where that can be told: subscribers drop repeats by the wire's.
fn id_of(stream: &str, entry: &Entry) -> String {
    let Content::Message { headers, body } = &entry.content else { return format!("{stream}/{}", entry.seq) };
    match stream {
        "wire" => {
            let edition = headers.iter().find(|(name, _)| name == "Copydesk-Edition").map(|(_, value)| value);
            let ninjs: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
            let article = ninjs.get("uri").and_then(|uri| uri.as_str()?.strip_prefix("urn:uuid:"));
            match (article, edition) {
                (Some(article), Some(edition)) => format!("{article}/{edition}"),
                _ => format!("{stream}/{}", entry.seq),
            }
        }
        "events" => match event::read(&entry.subject, body) {
            Read::Event(event) => event.id.to_string(),
            _ => format!("{stream}/{}", entry.seq),
        },
        _ => format!("{stream}/{}", entry.seq),
    }
}

/// Holds a log against a backup of it: where they differ, a sentence each, the first hundred.
///
/// # Errors
/// [`BackupError`].
pub async fn compare(folder: &Path, log: &dyn Log) -> Result<Vec<(Seq, String)>, BackupError> {
    const TOLD: usize = 100;
    let manifest = manifest(folder)?;
    let mut differences = Vec::new();
    for stream in STREAMS {
        let extent = manifest.extent(stream);
        let target = source::of(log, stream).await?;
        let end = target.end().await?;
        if end < extent.end {
            differences
                .push((end, format!("the log's {stream} end here, and the backup's at {}", extent.end)));
        }
        let mut copied = lines::read(folder, stream, extent, 0)?;
        let mut tail = target.tail(0).await?;
        let (mut at, last) = (0, end.min(extent.end));
        while at < last {
            let Some(group) = tail.next().await else { break };
            for entry in group?.into_iter().filter(|entry| entry.seq <= last) {
                at = entry.seq;
                let copy = copied.next().transpose()?;
                if copy.is_none_or(|copy| !same(&copy, &entry)) && differences.len() < TOLD {
                    differences
                        .push((at, format!("the log's {stream} have something else here than the backup")));
                }
            }
        }
    }
    Ok(differences)
}
