//! The tree over the copied events, in files that any server of files can serve as C2SP tlog-tiles.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{BackupError, Tree};
use crate::log::Seq;
use crate::merkle::path::Tiles;
use crate::merkle::{self, Frontier, Hash, Leaf, TILE_WIDTH, TilePath};

/// A tree that grows in a folder.
pub(super) struct Grower {
    folder: PathBuf,
    tree: Tree,
    /// The records of the bundle that isn't full.
    records: Vec<Leaf>,
    /// The hashes of the tiles above it that aren't full, from level 1 on.
    rows: Vec<(u64, Vec<Hash>)>,
}

impl Grower {
    /// Goes on with a tree of which the folder has the tiles.
    pub(super) fn open(backup: &Path, tree: Tree) -> Result<Self, BackupError> {
        let folder = backup.join("audit");
        let mut grower = Self { folder, tree, records: Vec::new(), rows: Vec::new() };
        let (mut above, mut level) = (tree.size, 0_u8);
        while above > 0 {
            let (index, width) = (above / TILE_WIDTH, above % TILE_WIDTH);
            match level {
                0 if width > 0 => grower.records = grower.read_bundle(index, width)?,
                0 => {}
                _ => {
                    let hashes = match width {
                        0 => Vec::new(),
                        width => grower.read_row(level, index, width)?,
                    };
                    grower.rows.push((above, hashes));
                }
            }
            above = index;
            level += 1;
        }
        Ok(grower)
    }

    /// How many leaves it has.
    pub(super) fn size(&self) -> u64 {
        self.tree.size
    }

    pub(super) fn tree(&self) -> Tree {
        self.tree
    }

    fn path(&self, tile: TilePath) -> PathBuf {
        self.folder.join("tile").join(tile.to_string())
    }

    fn read_row(&self, level: u8, index: u64, width: u64) -> Result<Vec<Hash>, BackupError> {
        let path = self.path(TilePath { tiles: Tiles::Hashes(level), index, width });
        let bytes = std::fs::read(&path).map_err(BackupError::file(&path))?;
        let (hashes, []) = bytes.as_chunks::<32>() else {
            return Err(BackupError::Damaged(format!("{} isn't whole hashes", path.display())));
        };
        Ok(hashes.to_vec())
    }

    fn read_bundle(&self, index: u64, width: u64) -> Result<Vec<Leaf>, BackupError> {
        let path = self.path(TilePath { tiles: Tiles::Entries, index, width });
        let bytes = std::fs::read(&path).map_err(BackupError::file(&path))?;
        let mut rest = bytes.as_slice();
        let mut records = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let taken = after.split_at_checked(usize::from(u16::from_be_bytes(*length)));
            let leaf = taken.and_then(|(record, after)| Some((Leaf::parse(record)?, after)));
            let damaged = || BackupError::Damaged(format!("{} doesn't read", path.display()));
            let (leaf, after) = leaf.ok_or_else(damaged)?;
            records.push(leaf);
            rest = after;
        }
        Ok(records)
    }

    /// Adds the leaf of the event at a position.
    pub(super) fn push(&mut self, seq: Seq, leaf: Leaf) -> Result<(), BackupError> {
        self.records.push(leaf);
        self.tree = Tree { size: self.tree.size + 1, seq };
        if self.records.len() as u64 == TILE_WIDTH {
            let hash = merkle::join(&self.write_bundle()?);
            self.records.clear();
            self.raise(1, hash)?;
        }
        Ok(())
    }

    fn raise(&mut self, level: u8, hash: Hash) -> Result<(), BackupError> {
        let at = usize::from(level) - 1;
        if self.rows.len() == at {
            self.rows.push((0, Vec::new()));
        }
        let Some((count, hashes)) = self.rows.get_mut(at) else { return Ok(()) };
        hashes.push(hash);
        *count += 1;
        if hashes.len() as u64 == TILE_WIDTH {
            let full = std::mem::take(hashes);
            let index = *count / TILE_WIDTH - 1;
            self.write(TilePath { tiles: Tiles::Hashes(level), index, width: TILE_WIDTH }, &full.concat())?;
            return self.raise(level + 1, merkle::join(&full));
        }
        Ok(())
    }

    /// Writes the bundle as it is, and the tile of its leaves; gives their hashes.
    fn write_bundle(&self) -> Result<Vec<Hash>, BackupError> {
        let width = self.records.len() as u64;
        let index = (self.tree.size - 1) / TILE_WIDTH;
        let mut bundle = Vec::new();
        for leaf in &self.records {
            let record = leaf.record();
            bundle.extend_from_slice(&(record.len() as u16).to_be_bytes());
            bundle.extend_from_slice(&record);
        }
        self.write(TilePath { tiles: Tiles::Entries, index, width }, &bundle)?;
        let hashes: Vec<Hash> = self.records.iter().map(Leaf::hash).collect();
        self.write(TilePath { tiles: Tiles::Hashes(0), index, width }, &hashes.concat())?;
        Ok(hashes)
    }

    fn write(&self, tile: TilePath, bytes: &[u8]) -> Result<(), BackupError> {
        write_synced(&self.path(tile), bytes)
    }

    /// Writes the tiles that aren't full, under a checkpoint of this very size, whose root must be the tree's.
    pub(super) fn seal(&self, note: &[u8], root: &Hash) -> Result<(), BackupError> {
        if self.root() != *root {
            return Err(BackupError::Other(format!(
                "the {} events that were copied aren't those that the checkpoint was signed over (or one of them was \
                 erased by law meanwhile: run it again)",
                self.tree.size
            )));
        }
        if !self.records.is_empty() {
            self.write_bundle()?;
        }
        for (level, (count, hashes)) in (1..).zip(&self.rows) {
            if !hashes.is_empty() {
                let width = hashes.len() as u64;
                let tile = TilePath { tiles: Tiles::Hashes(level), index: count / TILE_WIDTH, width };
                self.write(tile, &hashes.concat())?;
            }
        }
        write_synced(&self.folder.join("checkpoint"), note)
    }

    /// The tree's root: of the full subtrees that the rows hold, the largest first.
    fn root(&self) -> Hash {
        let leaves: Vec<Hash> = self.records.iter().map(Leaf::hash).collect();
        let mut root = (!leaves.is_empty()).then(|| merkle::join(&leaves));
        for (_, hashes) in &self.rows {
            root = joined(hashes, root);
        }
        root.unwrap_or_else(merkle::empty_root)
    }
}

/// The root over a row's hashes with, to their right, the root over what isn't full below them.
fn joined(hashes: &[Hash], right: Option<Hash>) -> Option<Hash> {
    let mut row = Frontier::default();
    for hash in hashes {
        row.push(*hash);
    }
    match right {
        None if hashes.is_empty() => None,
        None => Some(row.root()),
        Some(right) => Some(row.root_with(right)),
    }
}

/// Writes a file so that it is there whole or not at all.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(BackupError::file(folder))?;
    let new = path.with_extension("tmp");
    let mut file = File::create(&new).map_err(BackupError::file(&new))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(BackupError::file(&new))?;
    std::fs::rename(&new, path).map_err(BackupError::file(path))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(BackupError::file(folder))
}
