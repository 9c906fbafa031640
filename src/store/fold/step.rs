//! What one entry of the log comes to: folded into its article, passed over, or its article set aside; and its leaf.

use std::sync::Arc;

use copydesk_article::article::Article;
use copydesk_article::event::{self, Event, Frozen, Read};
use sha2::{Digest, Sha256};

use crate::log::{Content, Entry};
use crate::merkle::Leaf;
use crate::store::Stored;

/// SHA-256 of an entry's bytes, or of those that were there.
pub(super) fn hash(entry: &Entry) -> Option<[u8; 32]> {
    match &entry.content {
        Content::Message { body, .. } => Some(Sha256::digest(body).into()),
        Content::Erased { sha256 } => *sha256,
    }
}

/// Whether an entry is an event of ours that goes on the wire, as far as its frozen members say.
pub(super) fn goes_on_wire(entry: &Entry) -> bool {
    let Content::Message { body, .. } = &entry.content else { return false };
    match event::read(&entry.subject, body) {
        Read::Event(event) => event.wire.is_some(),
        Read::NotUnderstood { frozen, .. } => frozen.wire.is_some(),
        Read::Newsroom(_) | Read::Foreign => false,
    }
}

/// What one entry on an article's subject comes to.
pub(crate) enum Step {
    /// An event, folded.
    Event(Stored, Box<Event>),
    /// Foreign: passed over.
    Passed,
    /// Not understood, or broken: the article is set aside.
    Aside { why: String, on_wire: bool },
}

/// Folds one entry into an article.
pub(crate) fn advance(state: Option<&Stored>, entry: &Entry) -> Step {
    let Content::Message { body, .. } = &entry.content else {
        return Step::Aside { why: "an event of its line was erased".to_owned(), on_wire: false };
    };
    advance_by(state, entry, event::read(&entry.subject, body))
}

/// The same for an entry that was read before.
pub(super) fn advance_by(state: Option<&Stored>, entry: &Entry, read: Read) -> Step {
    match read {
        Read::Event(event) => match Article::evolve(state.map(|state| &*state.article), &event) {
            Ok(article) => Step::Event(Stored::new(Arc::new(article), entry.seq), event),
            Err(broken) => Step::Aside { why: broken.to_string(), on_wire: event.wire.is_some() },
        },
        Read::NotUnderstood { frozen, why } => {
            Step::Aside { why: format!("{}: {why}", frozen.kind), on_wire: frozen.wire.is_some() }
        }
        Read::Newsroom(_) | Read::Foreign => Step::Passed,
    }
}

/// The hash of what was erased, where that is known; none where nothing was erased.
pub(crate) fn erased(entry: &Entry) -> Option<Option<[u8; 32]>> {
    match entry.content {
        Content::Erased { sha256 } => Some(sha256),
        Content::Message { .. } => None,
    }
}

/// The leaf of an entry; none where it is no event of ours, or was deleted so that nothing tells what it was. Where
/// something was erased the leaf is of what was there, with the digest of what stands in its place.
pub(crate) fn leaf(entry: &Entry, erased: Option<Option<[u8; 32]>>) -> Option<Leaf> {
    let body = match &entry.content {
        Content::Message { body, .. } => Some(body),
        Content::Erased { .. } => None,
    };
    match erased {
        None => body.and_then(|body| Leaf::of(&entry.subject, body)),
        Some(None) => None,
        Some(Some(event)) => {
            let instead = body.and_then(|body| Frozen::read(&entry.subject, body));
            let edition = instead.and_then(|frozen| frozen.editiondigest).map(|digest| digest.0);
            Some(Leaf { event, edition })
        }
    }
}

pub(super) fn body_bytes(entry: &Entry) -> usize {
    match &entry.content {
        Content::Message { body, .. } => body.len(),
        Content::Erased { .. } => 0,
    }
}
