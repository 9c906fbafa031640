//! How values are kept: in pieces of at most 48 KiB, each with a CRC, through one pair of functions.
//!
//! A value over 128 KB would go to a blob file that sled never syncs, and a big value rewritten often bloats sled's
//! files (one 2 MB value rewritten 500 times took 1 GB of disk, in 64 KB pieces 12 MB).

use serde::{Deserialize, Serialize};
use sled::Batch;

use super::StoreError;
use super::shelf::Shelf;

/// The longest piece.
pub const PIECE_BYTES: usize = 48 * 1024;

/// A piece's head: CRC-32C of what follows, and how many pieces the value has.
const HEAD_BYTES: usize = 8;

/// Writes a value: its first piece under the key, the others under the key and their number.
pub(crate) fn write(shelf: &Shelf, batch: &mut Batch, key: &[u8], value: &[u8]) {
    let room = PIECE_BYTES - HEAD_BYTES;
    let count = value.len().div_ceil(room).max(1);
    let mut rest = value;
    for at in 0..count {
        let (piece, after) = rest.split_at(rest.len().min(room));
        rest = after;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(HEAD_BYTES + piece.len());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(piece);
        let crc = crc32c::crc32c(bytes.get(4..).unwrap_or_default());
        if let Some(head) = bytes.get_mut(..4) {
            head.copy_from_slice(&crc.to_be_bytes());
        }
        shelf.insert(batch, &piece_key(key, at), bytes);
    }
}

/// Takes a value out. Pieces after the first of a value that was long stay behind, unread: the first one says how
/// many there are.
pub(crate) fn remove(shelf: &Shelf, batch: &mut Batch, key: &[u8]) {
    shelf.remove(batch, key);
}

/// Reads a value.
///
/// # Errors
/// [`StoreError::Damaged`] where a piece is missing or doesn't check.
pub(crate) fn read(shelf: &Shelf, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(first) = shelf.get(key)? else { return Ok(None) };
    whole(shelf, key, &first).map(Some)
}

/// The value whose first piece was found under a key.
///
/// # Errors
/// [`StoreError::Damaged`] where a piece is missing or doesn't check.
pub(crate) fn whole(shelf: &Shelf, key: &[u8], first: &[u8]) -> Result<Vec<u8>, StoreError> {
    let (count, piece) = check(first)?;
    shelf.count(key, first)?;
    let mut value = piece.to_vec();
    for at in 1..count as usize {
        let key = piece_key(key, at);
        let next = shelf.get(&key)?;
        let next = next.ok_or_else(|| StoreError::Damaged("a piece of a value is missing".to_owned()))?;
        shelf.count(&key, &next)?;
        value.extend_from_slice(check(&next)?.1);
    }
    Ok(value)
}

fn check(bytes: &[u8]) -> Result<(u32, &[u8]), StoreError> {
    let damaged = || StoreError::Damaged("a value doesn't check".to_owned());
    let (crc, rest) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
    let (count, piece) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    if crc32c::crc32c(rest) != u32::from_be_bytes(*crc) {
        return Err(damaged());
    }
    Ok((u32::from_be_bytes(*count), piece))
}

/// The key of a piece: the value's own for the first, with the number behind it for the others. The marker byte is
/// one that no key of a value continues with.
fn piece_key(key: &[u8], at: usize) -> Vec<u8> {
    let mut piece = key.to_vec();
    if at > 0 {
        piece.push(0xfe);
        piece.extend_from_slice(&u32::try_from(at).unwrap_or(u32::MAX).to_be_bytes());
    }
    piece
}

/// Encodes a value.
///
/// # Errors
/// [`StoreError::Failed`], which no value of ours gives.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Failed(error.to_string()))
}

/// Decodes a value.
///
/// # Errors
/// [`StoreError::Damaged`].
pub fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes)
        .map_err(|error| StoreError::Damaged(format!("a value at column {}", error.column())))
}
