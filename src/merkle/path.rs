//! The addresses of tiles, below the log's prefix (C2SP tlog-tiles).

use std::fmt;
use std::str::FromStr;

use super::TILE_WIDTH;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tiles {
    /// Hashes of a level; those of level 0 are of leaves.
    Hashes(u8),
    /// The records of leaves.
    Entries,
}

/// The address of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    /// What it holds.
    pub tiles: Tiles,
    /// Its place in its row.
    pub index: u64,
    /// How many it holds: 256, or fewer for the rightmost of a row.
    pub width: u64,
}

/// The highest level a tile may have.
const LEVELS: u8 = 63;

impl fmt::Display for TilePath {
    /// As below `tile/`: `0/x001/x234/067.p/112`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tiles {
            Tiles::Hashes(level) => write!(f, "{level}")?,
            Tiles::Entries => f.write_str("entries")?,
        }
        let mut parts = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            parts.push(rest % 1000);
            rest /= 1000;
        }
        for (at, part) in parts.iter().enumerate().rev() {
            write!(f, "/{}{part:03}", if at == 0 { "" } else { "x" })?;
        }
        if self.width < TILE_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl FromStr for TilePath {
    type Err = NoTile;

    fn from_str(text: &str) -> Result<Self, NoTile> {
        let (level, rest) = text.split_once('/').ok_or(NoTile)?;
        let tiles = match level {
            "entries" => Tiles::Entries,
            level => Tiles::Hashes(number(level, u64::from(LEVELS)).ok_or(NoTile)? as u8),
        };
        let (path, width) = match rest.split_once(".p/") {
            Some((path, width)) => {
                let width = number(width, TILE_WIDTH - 1).filter(|width| *width > 0).ok_or(NoTile)?;
                (path, width)
            }
            None => (rest, TILE_WIDTH),
        };
        let parts: Vec<&str> = path.split('/').collect();
        let (last, above) = parts.split_last().ok_or(NoTile)?;
        let mut index = 0_u64;
        for part in above.iter().map(|part| part.strip_prefix('x').ok_or(NoTile)).chain([Ok(*last)]) {
            let part = part?;
            if part.len() != 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(NoTile);
            }
            let digits: u64 = part.parse().map_err(|_| NoTile)?;
            index = index.checked_mul(1000).and_then(|index| index.checked_add(digits)).ok_or(NoTile)?;
        }
        let tile = Self { tiles, index, width };
        // One address for each tile: leading `x000` would be another.
        if tile.to_string() == text { Ok(tile) } else { Err(NoTile) }
    }
}

/// The text is no address of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no address of a tile")]
pub struct NoTile;

/// A decimal number without leading zeroes, at most `most`.
fn number(text: &str, most: u64) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten().filter(|number| *number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_and_write_as_the_specification_has_them() {
        for (text, tiles, index, width) in [
            ("0/000", Tiles::Hashes(0), 0, 256),
            ("0/x001/x234/067", Tiles::Hashes(0), 1_234_067, 256),
            ("1/017.p/112", Tiles::Hashes(1), 17, 112),
            ("entries/x001/000", Tiles::Entries, 1000, 256),
            ("63/999.p/1", Tiles::Hashes(63), 999, 1),
        ] {
            let tile = TilePath { tiles, index, width };
            assert_eq!(text.parse(), Ok(tile));
            assert_eq!(tile.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "0",
            "0/",
            "0/0",
            "0/00",
            "0/0000",
            "64/000",
            "00/000",
            "-1/000",
            "0/x000/001",
            "0/x001",
            "0/001/002",
            "0/x01/002",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
            "0/000.p/",
            "data/000",
            "0/000/",
            "0/+01",
            "0/000.p/1/2",
            "0/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(text.parse::<TilePath>(), Err(NoTile), "{text}");
        }
    }
}
