//! Checkpoints, held against the log as it is at the end.

use std::collections::BTreeMap;

use super::erased::Erasures;
use super::{Checked, Evidence, What};
use crate::log::Content;
use crate::merkle::{Frontier, Hash, Leaf};

/// Every checkpoint that anybody got must be of a beginning of the log: then each is extended by its successors.
pub(super) fn check(evidence: &Evidence<'_>, erasures: &Erasures, checked: &mut Checked) {
    let mut by_size: BTreeMap<u64, Vec<(usize, Hash)>> = BTreeMap::new();
    for kept in &evidence.journal.kept {
        by_size.entry(kept.size).or_default().push((kept.instance, kept.root));
    }
    let mut frontier = Frontier::default();
    let mut compare = |frontier: &Frontier, checked: &mut Checked| {
        for (instance, root) in by_size.remove(&frontier.size()).unwrap_or_default() {
            checked.checks += 1;
            if root != frontier.root() {
                let size = frontier.size();
                let detail = format!("instance {instance} signed another root over the first {size} events");
                checked.found(What::CheckpointNotExtended, None, Some(size), detail);
            }
        }
    };
    compare(&frontier, checked);
    for entry in evidence.events {
        let leaf = match &entry.content {
            Content::Message { body, .. } => Leaf::of(&entry.subject, body),
            // The proof of what was erased stays: its hash, and the digest of the edition.
            Content::Erased { sha256 } => erasures.event(entry.seq, *sha256).and_then(|instead| {
                Some(Leaf { event: (*sha256)?, edition: instead.editiondigest.map(|digest| digest.0) })
            }),
        };
        if let Some(leaf) = leaf {
            frontier.push(leaf.hash());
            compare(&frontier, checked);
        }
    }
    for (size, kept) in by_size {
        for (instance, _) in kept {
            let detail =
                format!("instance {instance} signed {size} events, and the log has {}", frontier.size());
            checked.found(What::CheckpointNotExtended, None, Some(size), detail);
        }
    }
}
