//! The Merkle tree over the log's events: RFC 6962 hashing, in the tiles of C2SP tlog-tiles.
//!
//! Nothing here reads or writes anything: what leaves are ([`leaf`]), how hashes are joined, which hashes prove what
//! ([`Rows`] says where they come from), and what tiles are called ([`path`]).
//!
//! # Layout
//! - [`leaf`]: the record that stands for one event.
//! - [`tree`]: roots and paths over rows of hashes.
//! - [`frontier`]: a tree that grows, in memory that grows with the logarithm of its size.
//! - [`path`]: the addresses of tiles.

use sha2::{Digest, Sha256};

pub mod frontier;
pub mod leaf;
pub mod path;
pub mod tree;

pub use frontier::Frontier;
pub use leaf::Leaf;
pub use path::TilePath;
pub use tree::{Rows, inclusion, root};

/// A hash of the tree: SHA-256.
pub type Hash = [u8; 32];

/// How many hashes a full tile holds, and how many leaves a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// How many levels of the tree a tile spans.
pub(crate) const TILE_HEIGHT: u32 = 8;

/// The hash of a leaf (RFC 6962, section 2.1).
pub fn leaf_hash(record: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(record).finalize().into()
}

/// The hash of a node over two others (RFC 6962, section 2.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of the tree that has no leaf.
pub fn empty_root() -> Hash {
    Sha256::digest(b"").into()
}

/// The root of a tree over these hashes of leaves, or of equal full subtrees (RFC 6962, section 2.1).
pub fn join(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => empty_root(),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            node_hash(&join(left), &join(right))
        }
    }
}
