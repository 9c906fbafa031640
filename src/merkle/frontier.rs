//! A tree that grows leaf by leaf, of which only the roots of its full subtrees are kept.

use super::{Hash, empty_root, node_hash};

/// The full subtrees of a tree, largest first: as many as its size has bits that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the hash of the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut joined = leaf;
        let mut size = self.size;
        while size & 1 == 1 {
            let Some(left) = self.subtrees.pop() else { break };
            joined = node_hash(&left, &joined);
            size >>= 1;
        }
        self.subtrees.push(joined);
        self.size += 1;
    }

    /// The root.
    pub fn root(&self) -> Hash {
        let Some((last, left)) = self.subtrees.split_last() else { return empty_root() };
        up(left, *last)
    }

    /// The root of the tree that goes on, to the right, with what this is the root of: fewer leaves than any full subtree
    /// here has.
    pub fn root_with(&self, right: Hash) -> Hash {
        up(&self.subtrees, right)
    }
}

fn up(subtrees: &[Hash], right: Hash) -> Hash {
    subtrees.iter().rev().fold(right, |right, left| node_hash(left, &right))
}
