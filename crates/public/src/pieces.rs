//! Long values in sled, in pieces.
//!
//! sled 0.34 writes values above some 128 KB to files of their own, which it never syncs (its issue 1452), so a
//! power loss may empty them. Every value goes through [`read`] and [`write`], in pieces of at most
//! [`PIECE_BYTES`]: the first, under the key itself, is led by the number of pieces, the others follow under
//! the key and their number.
//!
//! sled finds out what its cache holds, and lets go of pages, only at every 64th look at one of 256 parts of it. A page has
//! up to 16 values: with ninjs of 5 KB that may be a gigabyte of pages that it hasn't counted. So who reads a long value looks at
//! it again, the more often the longer it is.

use sled::transaction::{TransactionalTree, UnabortableTransactionError};
use sled::{IVec, Tree};

use crate::store::Error;

/// The longest value that sled is given, in bytes.
pub(crate) const PIECE_BYTES: usize = 48 * 1024;

const COUNT_BYTES: usize = 4;

/// A value is looked at once for so many of its bytes.
const LOOK_BYTES: usize = 512;

/// Reads a value whole.
pub(crate) fn read(tree: &Tree, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let Some(first) = tree.get(key)? else { return Ok(None) };
    let (count, start) = split(&first).ok_or_else(|| torn(key))?;
    for _ in 0..first.len() / LOOK_BYTES {
        tree.get(key)?;
    }
    let mut value = start.to_vec();
    for number in 1..count {
        let piece = tree.get(piece_key(key, number))?.ok_or_else(|| torn(key))?;
        value.extend_from_slice(&piece);
    }
    Ok(Some(value))
}

/// Writes a value, or with `None` takes it away, and whatever the old one had more.
pub(crate) fn write(
    tree: &TransactionalTree,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(), UnabortableTransactionError> {
    let old = tree.get(key)?.as_ref().and_then(split).map_or(0, |(count, _)| count);
    let mut count = 0;
    if let Some(value) = value {
        let (start, rest) = value.split_at_checked(PIECE_BYTES - COUNT_BYTES).unwrap_or((value, &[]));
        for (number, piece) in (1..).zip(rest.chunks(PIECE_BYTES)) {
            tree.insert(piece_key(key, number), piece)?;
        }
        count = 1 + u32::try_from(rest.len().div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX);
        tree.insert(key, [&count.to_be_bytes(), start].concat())?;
    } else {
        tree.remove(key)?;
    }
    for number in count.max(1)..old {
        tree.remove(piece_key(key, number))?;
    }
    Ok(())
}

/// The number of pieces, and the first one's bytes.
fn split(first: &IVec) -> Option<(u32, &[u8])> {
    let (count, start) = first.split_first_chunk::<COUNT_BYTES>()?;
    Some((u32::from_be_bytes(*count), start))
}

fn piece_key(key: &[u8], number: u32) -> Vec<u8> {
    [key, &number.to_be_bytes()].concat()
}

fn torn(key: &[u8]) -> Error {
    Error::Damaged(format!("a piece of {} is missing", hex::encode(key)))
}

#[cfg(test)]
mod tests {
    use sled::transaction::TransactionResult;

    use super::*;

    fn put(tree: &Tree, key: &[u8], value: Option<&[u8]>) {
        let done: TransactionResult<()> = tree.transaction(|tree| Ok(write(tree, key, value)?));
        done.unwrap();
    }

    #[test]
    fn a_value_of_any_length_comes_back_and_leaves_nothing_behind() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let key = [1; 16];
        for length in [
            0,
            1,
            PIECE_BYTES - 5,
            PIECE_BYTES - 4,
            PIECE_BYTES - 3,
            3 * PIECE_BYTES,
            1_000_000,
            PIECE_BYTES,
            7,
        ] {
            let value: Vec<u8> = (0..=255).cycle().take(length).collect();
            put(&db, &key, Some(&value));
            assert_eq!(read(&db, &key).unwrap(), Some(value));
            assert!(db.iter().values().all(|piece| piece.unwrap().len() <= PIECE_BYTES));
            let pieces = (length + COUNT_BYTES).div_ceil(PIECE_BYTES).max(1);
            assert_eq!(db.len(), pieces, "of {length} bytes");
        }
        put(&db, &key, None);
        assert_eq!(read(&db, &key).unwrap(), None);
        assert!(db.is_empty());
    }

    #[test]
    fn a_missing_piece_is_damage() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        put(&db, b"key", Some(&[0; 3 * PIECE_BYTES]));
        db.remove(piece_key(b"key", 2)).unwrap();
        assert!(matches!(read(&db, b"key"), Err(Error::Damaged(_))));
    }
}
