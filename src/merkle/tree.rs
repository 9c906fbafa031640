//! Roots and proofs (RFC 6962, section 2.1), over rows of hashes that someone keeps.

use super::{Hash, TILE_HEIGHT, TILE_WIDTH, empty_root, join, node_hash};

/// Where hashes come from: the rows that tiles are cut from. Row 0 has the hashes of leaves; each hash of row `l + 1`
/// stands for 256 of row `l`.
pub trait Rows {
    /// Why a row can't be read.
    type Error;
    /// `count` hashes of a row from `start` on, all of one tile.
    ///
    /// # Errors
    /// Where they can't be read.
    fn row(&self, level: u8, start: u64, count: u64) -> Result<Vec<Hash>, Self::Error>;
}

/// The root of a full subtree of `2^height` leaves, the `at`-th of its height.
fn full<R: Rows>(rows: &R, height: u32, at: u64) -> Result<Hash, R::Error> {
    let (level, within) = (height / TILE_HEIGHT, height % TILE_HEIGHT);
    let hashes = rows.row(u8::try_from(level).unwrap_or(u8::MAX), at << within, 1 << within)?;
    debug_assert!(TILE_WIDTH >= 1 << within);
    Ok(join(&hashes))
}

/// The full subtrees that leaves `from..to` fall into, where `from` is a multiple of the largest: height and place.
fn decompose(from: u64, to: u64) -> impl Iterator<Item = (u32, u64)> {
    let mut at = from;
    std::iter::from_fn(move || {
        let left = to.checked_sub(at).filter(|left| *left > 0)?;
        let height = left.ilog2();
        let subtree = (height, at >> height);
        at += 1 << height;
        Some(subtree)
    })
}

/// The root over leaves `from..to`, where `from` is a multiple of the largest full subtree in them.
fn span<R: Rows>(rows: &R, from: u64, to: u64) -> Result<Hash, R::Error> {
    let roots = decompose(from, to).map(|(height, at)| full(rows, height, at));
    let mut roots = roots.collect::<Result<Vec<_>, _>>()?.into_iter().rev();
    let Some(last) = roots.next() else { return Ok(empty_root()) };
    Ok(roots.fold(last, |right, left| node_hash(&left, &right)))
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// Where a row can't be read.
pub fn root<R: Rows>(rows: &R, size: u64) -> Result<Hash, R::Error> {
    span(rows, 0, size)
}

/// The largest power of two below a number of two or more.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The path that proves that a leaf is in the tree of the first `size` leaves, from the leaf up (RFC 6962, section
/// 2.1.1). Empty where the tree has no such leaf.
///
/// # Errors
/// Where a row can't be read.
pub fn inclusion<R: Rows>(rows: &R, index: u64, size: u64) -> Result<Vec<Hash>, R::Error> {
    let mut path = Vec::new();
    let (mut from, mut to) = (0, size);
    if index >= size {
        return Ok(path);
    }
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(span(rows, middle, to)?);
            to = middle;
        } else {
            path.push(span(rows, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use tlog_tiles::tlog;

    use super::*;
    use crate::merkle::{Frontier, leaf_hash};

    struct Leaves(Vec<Hash>);

    impl Rows for Leaves {
        type Error = Infallible;
        fn row(&self, level: u8, start: u64, count: u64) -> Result<Vec<Hash>, Infallible> {
            assert!(
                count <= TILE_WIDTH && start / TILE_WIDTH == (start + count - 1) / TILE_WIDTH,
                "of one tile"
            );
            let under = 1_usize << (TILE_HEIGHT * u32::from(level));
            let hashes = self.0.chunks(under).skip(start as usize).take(count as usize);
            Ok(hashes.inspect(|under_one| assert_eq!(under_one.len(), under)).map(join).collect())
        }
    }

    fn leaves(count: usize) -> Leaves {
        Leaves((0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect())
    }

    fn theirs(hash: Hash) -> tlog::Hash {
        tlog::Hash(hash)
    }

    #[test]
    fn roots_are_those_of_the_definition_and_of_the_frontier() {
        let rows = leaves(700);
        let mut frontier = Frontier::default();
        for size in 0..=700 {
            let root = root(&rows, size as u64).unwrap();
            assert_eq!(root, join(&rows.0[..size]), "{size}");
            assert_eq!((root, size as u64), (frontier.root(), frontier.size()));
            if size < 700 {
                frontier.push(rows.0[size]);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        // Another's checker takes every proof, and none of them for something else.
        #[test]
        fn proofs_hold_where_others_check_them(size in prop_oneof![9 => 1_u64..1200, 1 => 60_000_u64..70_000], a in any::<u64>()) {
            let rows = leaves(size as usize);
            let root_now = root(&rows, size).unwrap();
            let index = a % size;
            let leaf = rows.0[index as usize];
            let path = inclusion(&rows, index, size).unwrap();
            let path: Vec<_> = path.into_iter().map(theirs).collect();
            prop_assert!(tlog::check_record(&path, size, theirs(root_now), index, theirs(leaf)).is_ok());
            prop_assert!(tlog::check_record(&path, size, theirs(root_now), index, theirs(leaf_hash(b"x"))).is_err());
        }
    }
}
