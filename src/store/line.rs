//! Each article's line: where its events stand and of which commands they are, a key for every
//! [`EVENTS_A_KEY`] of them. sled pays by the key.

use std::ops::{Bound, RangeInclusive};

use sled::Batch;
use uuid::Uuid;

use super::place::{PLACE_BYTES, Place};
use super::shelf::Shelf;
use super::{StoreError, pieces};
use crate::log::Seq;

/// How many events one key holds.
const EVENTS_A_KEY: u32 = 32;

/// Command, position, revision and time.
const RECORD_BYTES: usize = 16 + 8 + 4 + 8;

/// Where one event of an article stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRef {
    /// The article's version with it.
    pub version: u32,
    /// The article's revision with it.
    pub revision: u32,
    /// Its position in the log.
    pub seq: Seq,
    /// Its time, in microseconds since 1970.
    pub time_micros: i64,
    /// The command that it came of.
    pub command: Uuid,
}

/// The key that holds a version, and the first version in it.
fn key(article: Place, version: u32) -> (Vec<u8>, u32) {
    let number = version.saturating_sub(1) / EVENTS_A_KEY;
    (article.key(&number.to_be_bytes()), number * EVENTS_A_KEY + 1)
}

/// Reads the events with versions in a range, in order.
pub(super) fn read(
    shelf: &Shelf,
    article: Place,
    versions: RangeInclusive<u32>,
) -> Result<Vec<EventRef>, StoreError> {
    let (from, _) = key(article, *versions.start());
    let (to, _) = key(article, *versions.end());
    let mut events = Vec::new();
    for entry in shelf.range(Bound::Included(&from), Bound::Included(&to)) {
        let (at, value) = entry?;
        let damaged = || StoreError::Damaged("a piece of an article's line".to_owned());
        let number = at
            .get(PLACE_BYTES..PLACE_BYTES + 4)
            .and_then(|number| number.try_into().ok())
            .map(u32::from_be_bytes);
        let first = number.ok_or_else(damaged)? * EVENTS_A_KEY + 1;
        let records = pieces::whole(shelf, &at, &value)?;
        for (record, version) in records.chunks(RECORD_BYTES).zip(first..) {
            events.push(EventRef::decode(version, record).ok_or_else(damaged)?);
        }
    }
    events.retain(|event| versions.contains(&event.version));
    Ok(events)
}

/// Writes events that follow those already there.
pub(super) fn append(
    shelf: &Shelf,
    batch: &mut Batch,
    article: Place,
    events: &[EventRef],
) -> Result<(), StoreError> {
    for together in events.chunk_by(|a, b| key(article, a.version).1 == key(article, b.version).1) {
        let Some(event) = together.first() else { continue };
        let (at, first) = key(article, event.version);
        let mut records = match event.version > first {
            true => pieces::read(shelf, &at)?.unwrap_or_default(),
            false => Vec::new(),
        };
        if records.len() != (event.version - first) as usize * RECORD_BYTES {
            return Err(StoreError::Damaged(format!("the line of article {} has a gap", article.id())));
        }
        together.iter().for_each(|event| event.encode(&mut records));
        pieces::write(shelf, batch, &at, &records);
    }
    Ok(())
}

impl EventRef {
    fn encode(&self, records: &mut Vec<u8>) {
        records.extend_from_slice(self.command.as_bytes());
        records.extend_from_slice(&self.seq.to_be_bytes());
        records.extend_from_slice(&self.revision.to_be_bytes());
        records.extend_from_slice(&self.time_micros.to_be_bytes());
    }

    fn decode(version: u32, record: &[u8]) -> Option<Self> {
        Some(Self {
            version,
            command: Uuid::from_slice(record.get(..16)?).ok()?,
            seq: u64::from_be_bytes(record.get(16..24)?.try_into().ok()?),
            revision: u32::from_be_bytes(record.get(24..28)?.try_into().ok()?),
            time_micros: i64::from_be_bytes(record.get(28..36)?.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(version: u32) -> EventRef {
        EventRef {
            version,
            revision: version / 2 + 1,
            seq: u64::from(version) * 3,
            time_micros: -5 + i64::from(version),
            command: Uuid::from_u128(u128::from(version)),
        }
    }

    #[test]
    fn events_written_in_any_parts_are_read_back_in_any_range() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let shelf = Shelf::new(&db, b'e');
        let [article, other] = [7, 8].map(|id| Place::new([1; 8], Uuid::from_u128(id)));
        let mut written = 0;
        for part in [1, 30, 1, 1, 31, 33, 64, 2] {
            let events: Vec<_> = (written + 1..=written + part).map(event).collect();
            let mut batch = Batch::default();
            append(&shelf, &mut batch, article, &events).unwrap();
            db.apply_batch(batch).unwrap();
            written += part;
        }
        append(&shelf, &mut Batch::default(), other, &[event(1)]).unwrap();
        for range in [1..=u32::MAX, 1..=1, 32..=33, 33..=64, 100..=163, 163..=200] {
            let expected: Vec<_> = (1..=written).filter(|n| range.contains(n)).map(event).collect();
            assert_eq!(read(&shelf, article, range).unwrap(), expected);
        }
    }

    #[test]
    fn a_line_with_a_gap_is_not_written_on() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let shelf = Shelf::new(&db, b'e');
        let gap = append(&shelf, &mut Batch::default(), Place::new([1; 8], Uuid::from_u128(7)), &[event(3)]);
        assert!(matches!(gap, Err(StoreError::Damaged(_))), "{gap:?}");
    }
}
