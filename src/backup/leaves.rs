//! The leaves of the tree over the copied events.
//!
//! The leaf of an edition has its digest beside the event's hash. Where the event was erased the digest stands in what a
//! later event says was put in its place, further on in the copy.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::{BackupError, Manifest, lines};
use crate::log::{Content, Entry, Seq};
use crate::merkle::Leaf;
use crate::store::fold;
use crate::store::redacted::Gathered;

/// Each position of the copied events after this one, with its leaf where it is an event of ours.
pub(super) fn of<'a>(
    folder: &'a Path,
    manifest: &'a Manifest,
    after: Seq,
) -> Result<impl Iterator<Item = Result<(Seq, Option<Leaf>), BackupError>> + 'a, BackupError> {
    let read = move |after| lines::read(folder, "events", manifest.extent("events"), after);
    let gathered = move |after| {
        let mut gathered = Gathered::default();
        for entry in read(after)? {
            gathered.add(&entry?);
        }
        Ok::<_, BackupError>(gathered.instead())
    };
    // What was erased is rare: only where something was, all that follows is read twice.
    let mut instead: Option<BTreeMap<Seq, Bytes>> = None;
    Ok(read(after)?.map(move |entry| {
        let entry = entry?;
        let seq = entry.seq;
        let Some(hash) = fold::erased(&entry) else { return Ok((seq, fold::leaf(&entry, None))) };
        let instead = match &instead {
            Some(instead) => instead,
            None => instead.insert(gathered(seq - 1)?),
        };
        let content =
            instead.get(&seq).map(|body| Content::Message { headers: Vec::new(), body: body.clone() });
        let entry = Entry { content: content.unwrap_or(entry.content), ..entry };
        Ok((seq, fold::leaf(&entry, Some(hash))))
    }))
}
