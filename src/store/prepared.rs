//! Groups of entries on their way into the fold, decoded beside it on another thread.

use copydesk_article::event::{self, Read};
use copydesk_article::ids::DESK;
use sha2::{Digest, Sha256};

use crate::log::{Content, Entry};

/// A group of entries with what can be made of each by itself.
pub(super) struct Prepared {
    pub entries: Vec<Entry>,
    /// None where nothing was made of it.
    pub made: Vec<Option<Made>>,
}

/// An event on an article's subject as it reads, and the hash of its bytes.
pub(super) struct Made {
    pub read: Read,
    pub hash: [u8; 32],
}

impl Prepared {
    /// Nothing made of any.
    pub fn as_they_are(entries: Vec<Entry>) -> Self {
        Self { made: entries.iter().map(|_| None).collect(), entries }
    }

    /// Each event read and hashed: most of the work on it, and what needs no order.
    pub fn of(entries: Vec<Entry>) -> Self {
        let made = entries.iter().map(|entry| match &entry.content {
            Content::Message { body, .. } if entry.subject != DESK => {
                Some(Made { read: event::read(&entry.subject, body), hash: Sha256::digest(body).into() })
            }
            _ => None,
        });
        Self { made: made.collect(), entries }
    }
}
