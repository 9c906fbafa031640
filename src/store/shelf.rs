//! One tree for everything, and shelves in it: sorts of keys, told apart by their first byte.
//!
//! A group of entries must be written all or nothing. sled's transactions over several trees do that too, but keep
//! every key twice on the way and cost about as much again as the writes; one batch on one tree is as atomic.
//!
//! # What sled's cache holds
//!
//! sled 0.34 finds out what its cache holds, and lets go of pages, only at every 64th look at one of 256 parts of it. A page
//! has up to 16 values: with values of 3 KB that may be half a gigabyte of pages that it hasn't counted, whatever its
//! capacity. So who reads a long value [looks at it again](Shelf::count), the more often the longer it is: then at most 16,384 looks
//! of some 5 KB of pages each, 90 MB and mostly half of that, are uncounted.

use std::ops::Bound;

use copydesk_public::watch::{watched, watched_each};
use sled::{Batch, IVec, Tree};

/// A sort of keys.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    tree: Tree,
    tag: u8,
}

/// A value is looked at once for so many of its bytes.
const LOOK_BYTES: usize = 512;

/// A key without its tag, and the value.
pub(crate) type Pair = (Vec<u8>, IVec);

impl Shelf {
    pub(crate) fn new(tree: &Tree, tag: u8) -> Self {
        Self { tree: tree.clone(), tag }
    }

    fn key(&self, key: &[u8]) -> Vec<u8> {
        let mut tagged = Vec::with_capacity(key.len() + 1);
        tagged.push(self.tag);
        tagged.extend_from_slice(key);
        tagged
    }

    pub(crate) fn get(&self, key: &[u8]) -> sled::Result<Option<IVec>> {
        watched(|| self.tree.get(self.key(key)))
    }

    /// Has sled count a value that was read.
    pub(crate) fn count(&self, key: &[u8], value: &[u8]) -> sled::Result<()> {
        let looks = value.len() / LOOK_BYTES;
        if looks > 0 {
            let key = self.key(key);
            watched(|| (0..looks).try_for_each(|_| self.tree.get(&key).map(drop)))?;
        }
        Ok(())
    }

    pub(crate) fn insert(&self, batch: &mut Batch, key: &[u8], value: impl Into<IVec>) {
        batch.insert(self.key(key), value);
    }

    pub(crate) fn remove(&self, batch: &mut Batch, key: &[u8]) {
        batch.remove(self.key(key));
    }

    /// Every pair whose key begins with `prefix`, in order.
    pub(crate) fn scan(&self, prefix: &[u8]) -> impl Iterator<Item = sled::Result<Pair>> {
        watched_each(self.tree.scan_prefix(self.key(prefix))).map(untagged)
    }

    /// Every pair whose key lies within the bounds, in order; without an upper one up to the shelf's end.
    pub(crate) fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl Iterator<Item = sled::Result<Pair>> + use<> {
        let from = match from {
            Bound::Unbounded => Bound::Included(vec![self.tag]),
            bound => bound.map(|key| self.key(key)),
        };
        let to = match to {
            Bound::Unbounded => Bound::Excluded(vec![self.tag + 1]),
            bound => bound.map(|key| self.key(key)),
        };
        watched_each(self.tree.range((from, to))).map(untagged)
    }
}

fn untagged(pair: sled::Result<(IVec, IVec)>) -> sled::Result<Pair> {
    pair.map(|(key, value)| (key.get(1..).unwrap_or_default().to_vec(), value))
}
