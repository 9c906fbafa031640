//! The Merkle tree over what was folded: grown with the fold, kept in sled in full tiles.
//!
//! # The invariant
//!
//! The tree has a leaf for each event of ours up to the fold position, in the log's order: foreign messages have none, so
//! a leaf's index is not its event's position, and each leaf is kept with that position. What sled has goes with the
//! fold position in one batch. Full bundles and tiles are written once; of what is not full yet, leaves are kept one by
//! one, so an event costs no rewriting of its bundle.
//!
//! In memory are the leaves and hashes that are in no full tile in sled: those of one batch at most, and 255 of each
//! level.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use sled::Batch;

use super::shelf::Shelf;
use super::{StoreError, pieces};
use crate::log::Seq;
use crate::merkle::{self, Hash, Leaf, Rows, TILE_WIDTH};

/// The sorts of keys on the shelf.
const SINGLE: u8 = 0;
const BUNDLE: u8 = 1;
const TILE: u8 = 2;

/// The tree over the events that were folded.
#[derive(Debug)]
pub struct Tree {
    shelf: Shelf,
    state: RwLock<State>,
}

/// A leaf, and where its event stands in the log.
pub type Placed = (Seq, Leaf);

#[derive(Debug, Default)]
struct State {
    /// How many leaves sled has.
    written: u64,
    leaves: Row<Placed>,
    /// The rows above the leaves, from level 1 on.
    rows: Vec<Row<Hash>>,
}

/// A row, from the first of its values that is in no full tile in sled.
#[derive(Debug)]
struct Row<T> {
    /// A multiple of the width of tiles.
    first: u64,
    values: Vec<T>,
}

impl<T> Default for Row<T> {
    fn default() -> Self {
        Self { first: 0, values: Vec::new() }
    }
}

impl<T: Copy> Row<T> {
    fn end(&self) -> u64 {
        self.first + self.values.len() as u64
    }

    /// Adds a value; the tile that is full with it, if one is.
    fn push(&mut self, value: T) -> Option<&[T]> {
        self.values.push(value);
        if !self.end().is_multiple_of(TILE_WIDTH) {
            return None;
        }
        self.values.len().checked_sub(TILE_WIDTH as usize).and_then(|at| self.values.get(at..))
    }

    /// `count` values from `start` on, where they are in memory.
    fn get(&self, start: u64, count: u64) -> Option<Vec<T>> {
        let at = usize::try_from(start.checked_sub(self.first)?).ok()?;
        let values = self.values.get(at..at.checked_add(usize::try_from(count).ok()?)?)?;
        Some(values.to_vec())
    }

    /// The tiles in memory, the last of them not full perhaps.
    fn tiles(&self) -> impl Iterator<Item = (u64, &[T])> {
        let first = self.first / TILE_WIDTH;
        (first..).zip(self.values.chunks(TILE_WIDTH as usize))
    }

    /// Lets go of the full tiles.
    fn drop_full(&mut self) {
        let full = self.values.len() - self.values.len() % TILE_WIDTH as usize;
        self.values.drain(..full);
        self.first += full as u64;
    }
}

impl State {
    fn push(&mut self, placed: Placed) {
        let Some(full) = self.leaves.push(placed) else { return };
        let mut joined = merkle::join(&hashes(full));
        for level in 0.. {
            if self.rows.len() == level {
                self.rows.push(Row::default());
            }
            let Some(row) = self.rows.get_mut(level) else { return };
            match row.push(joined) {
                Some(full) => joined = merkle::join(full),
                None => return,
            }
        }
    }
}

impl Tree {
    pub(super) fn new(shelf: Shelf) -> Self {
        Self { shelf, state: RwLock::default() }
    }

    /// Takes from sled what it has of a tree of `size` leaves.
    pub(super) fn load(&self, size: u64) -> Result<(), StoreError> {
        let mut state = State { written: size, ..State::default() };
        state.leaves.first = size - size % TILE_WIDTH;
        for index in state.leaves.first..size {
            let single = pieces::read(&self.shelf, &key(SINGLE, 0, index))?.ok_or_else(damaged)?;
            state.leaves.values.extend(read_bundle(&single)?);
        }
        let mut above = size / TILE_WIDTH;
        let mut level = 1;
        while above > 0 {
            let first = above - above % TILE_WIDTH;
            let values = match above % TILE_WIDTH {
                0 => Vec::new(),
                width => self.tile(level, first / TILE_WIDTH, width)?,
            };
            state.rows.push(Row { first, values });
            above /= TILE_WIDTH;
            level += 1;
        }
        if state.leaves.end() != size {
            return Err(damaged());
        }
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(())
    }

    /// Forgets everything. What sled has goes with the rest of the store.
    pub(super) fn clear(&self) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// Adds leaves, for readers to see.
    pub(super) fn grow(&self, leaves: Vec<Placed>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for placed in leaves {
            state.push(placed);
        }
    }

    /// Puts into a batch what sled doesn't have yet.
    pub(super) fn batch(&self, batch: &mut Batch) {
        let state = self.state();
        if state.leaves.end() == state.written {
            return;
        }
        for (index, leaves) in state.leaves.tiles() {
            let start = index * TILE_WIDTH;
            if leaves.len() as u64 == TILE_WIDTH {
                pieces::write(&self.shelf, batch, &key(BUNDLE, 0, index), &bundle(leaves));
                for single in start..state.written {
                    pieces::remove(&self.shelf, batch, &key(SINGLE, 0, single));
                }
            } else {
                for (single, leaf) in (start..).zip(leaves).filter(|(single, _)| *single >= state.written) {
                    let value = bundle(std::slice::from_ref(leaf));
                    pieces::write(&self.shelf, batch, &key(SINGLE, 0, single), &value);
                }
            }
        }
        // Rows above grow with every 256th leaf only.
        if state.leaves.end() / TILE_WIDTH == state.written / TILE_WIDTH {
            return;
        }
        for (level, row) in (1..).zip(&state.rows) {
            for (index, hashes) in row.tiles() {
                pieces::write(&self.shelf, batch, &key(TILE, level, index), &hashes.concat());
            }
        }
    }

    /// Sled has what the last [`batch`](Self::batch) put into it.
    pub(super) fn written(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.written = state.leaves.end();
        state.leaves.drop_full();
        for row in &mut state.rows {
            row.drop_full();
        }
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.state().leaves.end()
    }

    /// The root of the tree of the first `size` leaves.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where the tree has not so many, too.
    pub fn root(&self, size: u64) -> Result<Hash, StoreError> {
        merkle::root(self, size)
    }

    /// `count` leaves from `start` on, all of one bundle.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where the tree has not so many, too.
    pub fn leaves(&self, start: u64, count: u64) -> Result<Vec<Placed>, StoreError> {
        if let Some(leaves) = self.state().leaves.get(start, count) {
            return Ok(leaves);
        }
        let bundle = pieces::read(&self.shelf, &key(BUNDLE, 0, start / TILE_WIDTH))?.ok_or_else(damaged)?;
        part(&read_bundle(&bundle)?, start, count)
    }

    /// The index of the leaf of the event at a position; none where no leaf is of it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn index_of(&self, seq: Seq) -> Result<Option<u64>, StoreError> {
        // Leaves are in the order of positions, and never further on than those.
        let (mut from, mut to) = (0, self.size().min(seq));
        while from < to {
            let middle = from + (to - from - 1) / 2;
            let start = middle - middle % TILE_WIDTH;
            let leaves = self.leaves(start, TILE_WIDTH.min(self.size() - start))?;
            match leaves.binary_search_by_key(&seq, |(seq, _)| *seq) {
                Ok(at) => return Ok(Some(start + at as u64)),
                Err(0) => to = start,
                Err(at) if at == leaves.len() => from = start + at as u64,
                Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// `width` hashes of a tile above the leaves, as sled has it.
    fn tile(&self, level: u8, index: u64, width: u64) -> Result<Vec<Hash>, StoreError> {
        let bytes = pieces::read(&self.shelf, &key(TILE, level, index))?.ok_or_else(damaged)?;
        let (hashes, []) = bytes.as_chunks::<32>() else { return Err(damaged()) };
        part(hashes, 0, width)
    }
}

impl Rows for Tree {
    type Error = StoreError;

    fn row(&self, level: u8, start: u64, count: u64) -> Result<Vec<Hash>, StoreError> {
        let Some(above) = level.checked_sub(1) else {
            return Ok(hashes(&self.leaves(start, count)?));
        };
        if let Some(hashes) = self.state().rows.get(usize::from(above)).and_then(|row| row.get(start, count))
        {
            return Ok(hashes);
        }
        let hashes = self.tile(level, start / TILE_WIDTH, TILE_WIDTH)?;
        part(&hashes, start, count)
    }
}

fn hashes(leaves: &[Placed]) -> Vec<Hash> {
    leaves.iter().map(|(_, leaf)| leaf.hash()).collect()
}

/// `count` values of a tile, from the one that is at `start` in its row.
fn part<T: Copy>(tile: &[T], start: u64, count: u64) -> Result<Vec<T>, StoreError> {
    let at = (start % TILE_WIDTH) as usize;
    let values = usize::try_from(count).ok().and_then(|count| tile.get(at..at.checked_add(count)?));
    values.map(<[T]>::to_vec).ok_or_else(damaged)
}

fn damaged() -> StoreError {
    StoreError::Damaged("a part of the tree is missing or doesn't read".to_owned())
}

fn key(sort: u8, level: u8, index: u64) -> [u8; 10] {
    let mut key = [0; 10];
    let (head, tail) = key.split_at_mut(2);
    head.copy_from_slice(&[sort, level]);
    tail.copy_from_slice(&index.to_be_bytes());
    key
}

/// Leaves as sled has them: position, length of the record, record.
fn bundle(leaves: &[Placed]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(leaves.len() * (9 + Leaf::MAX_BYTES));
    for (seq, leaf) in leaves {
        let record = leaf.record();
        bytes.extend_from_slice(&seq.to_be_bytes());
        bytes.push(record.len() as u8);
        bytes.extend_from_slice(&record);
    }
    bytes
}

fn read_bundle(mut bytes: &[u8]) -> Result<Vec<Placed>, StoreError> {
    let mut leaves = Vec::new();
    while !bytes.is_empty() {
        let (placed, rest) = read_leaf(bytes).ok_or_else(damaged)?;
        leaves.push(placed);
        bytes = rest;
    }
    Ok(leaves)
}

fn read_leaf(bytes: &[u8]) -> Option<(Placed, &[u8])> {
    let (seq, rest) = bytes.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first()?;
    let (record, rest) = rest.split_at_checked(usize::from(*length))?;
    Some(((u64::from_be_bytes(*seq), Leaf::parse(record)?), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::Frontier;

    fn leaf(n: u64) -> Placed {
        let mut event = [0; 32];
        event[..8].copy_from_slice(&n.to_be_bytes());
        // Every third position holds something foreign.
        (n + n / 2 + 1, Leaf { event, edition: n.is_multiple_of(5).then_some([n as u8; 32]) })
    }

    struct Grown {
        db: sled::Db,
        tree: Tree,
        frontier: Frontier,
        roots: Vec<Hash>,
    }

    impl Grown {
        fn new() -> Self {
            let db = sled::Config::new().temporary(true).open().unwrap();
            let tree = Tree::new(Shelf::new(&db, b't'));
            let frontier = Frontier::default();
            Self { db, tree, roots: vec![frontier.root()], frontier }
        }

        fn grow(&mut self, by: u64) {
            let from = self.frontier.size();
            let leaves: Vec<_> = (from..from + by).map(leaf).collect();
            for (_, leaf) in &leaves {
                self.frontier.push(leaf.hash());
                self.roots.push(self.frontier.root());
            }
            self.tree.grow(leaves);
        }

        fn write(&mut self) {
            let mut batch = Batch::default();
            self.tree.batch(&mut batch);
            self.db.apply_batch(batch).unwrap();
            self.tree.written();
        }

        fn check(&self) {
            let size = self.frontier.size();
            assert_eq!(self.tree.size(), size);
            for n in (0..=size).rev().step_by(4999).chain([0, size.min(1), size.min(256), size.min(257)]) {
                assert_eq!(self.tree.root(n).unwrap(), self.roots[n as usize], "at {n} of {size}");
            }
            for n in (0..size).step_by(1999) {
                assert_eq!(self.tree.leaves(n, 1).unwrap(), [leaf(n)]);
                assert_eq!(self.tree.index_of(leaf(n).0).unwrap(), Some(n));
            }
            for nowhere in [0, 3, 6, leaf(size).0, u64::MAX] {
                assert_eq!(self.tree.index_of(nowhere).unwrap(), None, "{nowhere} of {size}");
            }
        }
    }

    #[test]
    fn every_earlier_root_is_to_be_had_whatever_was_written_when() {
        let mut grown = Grown::new();
        for (by, write) in [
            (1, true),
            (254, false),
            (1, true),
            (1, true),
            (300, false),
            (0, true),
            (65_000, true),
            (500, false),
            (7, true),
            (256, true),
            (2000, false),
        ] {
            grown.grow(by);
            grown.check();
            if write {
                grown.write();
                grown.check();
                let again = Tree::new(Shelf::new(&grown.db, b't'));
                again.load(grown.tree.size()).unwrap();
                grown.tree = again;
                grown.check();
            }
        }
        let singles = grown.db.scan_prefix([b't', SINGLE]).count() as u64;
        assert!(singles < TILE_WIDTH, "{singles} leaves are kept one by one");
    }

    #[test]
    fn a_tree_that_lacks_a_part_is_damaged() {
        let mut grown = Grown::new();
        grown.grow(1000);
        grown.write();
        for size in [1001, 1024, 70_000] {
            assert!(
                matches!(Tree::new(Shelf::new(&grown.db, b't')).load(size), Err(StoreError::Damaged(_))),
                "{size}"
            );
        }
        assert!(matches!(grown.tree.root(1001), Err(StoreError::Damaged(_))));
        assert!(matches!(grown.tree.leaves(990, 11), Err(StoreError::Damaged(_))));
    }
}
