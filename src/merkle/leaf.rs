//! The record that stands for one event in the tree.
//!
//! It holds the hash of the event's stored bytes, which are salted, and for a publication or withdrawal the digest of
//! its public form; nothing else, so that neither type nor hour of unpublished work can be read off. Whoever has the
//! words that readers had can find them in the tree, and bytes that are erased by law leave it as it is.
//!
//! ```text
//! 0x01 || SHA-256 of the stored bytes                     33 bytes, any other event
//! 0x02 || SHA-256 of the stored bytes || editiondigest    65 bytes, a publication or withdrawal
//! ```

use std::fmt;

use copydesk_article::event::{self, Frozen};
use sha2::{Digest, Sha256};

use super::{Hash, leaf_hash};

const EVENT: u8 = 1;
const EDITION: u8 = 2;

/// What the tree holds of one event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// SHA-256 of the event's stored bytes.
    pub event: Hash,
    /// The digest of the public form, of a publication or withdrawal.
    pub edition: Option<Hash>,
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leaf({}", hex::encode(self.event))?;
        if let Some(edition) = self.edition {
            write!(f, ", edition {}", hex::encode(edition))?;
        }
        f.write_str(")")
    }
}

impl Leaf {
    /// The longest record, in bytes.
    pub const MAX_BYTES: usize = 65;

    /// The leaf of an event of ours, from its stored bytes and its envelope's digest.
    pub fn new(stored: &[u8], edition: Option<event::Hash>) -> Self {
        Self { event: Sha256::digest(stored).into(), edition: edition.map(|digest| digest.0) }
    }

    /// The leaf of what was found on a subject; none where it is no envelope of ours. Any build says the same of any
    /// event, its own or a newer one's: only members that are frozen for ever count.
    pub fn of(subject: &str, stored: &[u8]) -> Option<Self> {
        let frozen = Frozen::read(subject, stored)?;
        Some(Self::new(stored, frozen.editiondigest))
    }

    /// The record: what is hashed into the tree and stands in entry bundles.
    pub fn record(&self) -> Vec<u8> {
        let mut record = Vec::with_capacity(Self::MAX_BYTES);
        record.push(if self.edition.is_some() { EDITION } else { EVENT });
        record.extend_from_slice(&self.event);
        record.extend(self.edition.iter().flatten());
        record
    }

    /// Reads a record; none where it is no such record.
    pub fn parse(record: &[u8]) -> Option<Self> {
        let (kind, hashes) = record.split_first()?;
        let (event, rest) = hashes.split_first_chunk::<32>()?;
        let edition = match (*kind, rest) {
            (EVENT, []) => None,
            (EDITION, rest) => Some(rest.try_into().ok()?),
            _ => return None,
        };
        Some(Self { event: *event, edition })
    }

    /// The leaf's hash in the tree.
    pub fn hash(&self) -> Hash {
        leaf_hash(&self.record())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_nothing_else_reads() {
        for leaf in [Leaf { event: [7; 32], edition: None }, Leaf { event: [7; 32], edition: Some([9; 32]) }]
        {
            let record = leaf.record();
            assert_eq!(Leaf::parse(&record), Some(leaf));
            assert_eq!(record.len(), if leaf.edition.is_some() { 65 } else { 33 });
            for wrong in
                [&record[..record.len() - 1], &[&record[..], &[0]].concat(), &[&[3], &record[1..]].concat()]
            {
                assert_eq!(Leaf::parse(wrong), None);
            }
        }
    }

    #[test]
    fn what_is_no_envelope_of_ours_has_no_leaf() {
        assert_eq!(Leaf::of("desk", b"{}"), None);
        assert_eq!(Leaf::of("desk", b""), None);
    }
}
