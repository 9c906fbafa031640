//! The board in memory: of each article what a board is asked for, in the board's order.
//!
//! A filter that few articles pass looks at all of them. Here that is a walk over some hundred bytes an article; over
//! the rows in sled it would be decoding every one. What is in memory is bounded: the newest articles are, the older
//! ones are looked up in sled, after them. It is read from sled when a board is first asked for, and from then on
//! follows each batch that is written.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use copydesk_article::article::Status;
use copydesk_article::workflow::Restriction;

use super::{Key, Row, decode, key};
use crate::store::shelf::Shelf;
use crate::store::{StoreError, shelf};

/// How much memory the board may take, in bytes, about: some 200,000 articles (measured: 100,000 take 29 MB).
pub(in crate::store) const ROOM_BYTES: usize = 64 << 20;

/// What a card takes beside its texts: itself, its key, and its part of the tree and of what is allocated.
const CARD_BYTES: usize = size_of::<Card>() + size_of::<Key>() + 80;

/// What a name or a restriction takes, about.
const NAME_BYTES: usize = 64;

/// What a filter looks at.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) found_by: Box<str>,
    pub(super) section: Option<Box<str>>,
    /// Who has a part in it.
    pub(super) people: Box<[Arc<str>]>,
    pub(super) restricted: Option<Box<Restriction>>,
    pub(super) good_approvals: u32,
    pub(super) status: Status,
    pub(super) submitted: bool,
    pub(super) spiked: bool,
}

impl Card {
    pub(super) fn of(row: &Row) -> Self {
        let work = &row.assignment;
        Self {
            found_by: row.found_by.as_str().into(),
            section: row.section.as_deref().map(Box::from),
            people: work.writers.iter().chain(&work.editor).chain(&work.checkers).cloned().collect(),
            restricted: row.restricted.clone().map(Box::new),
            good_approvals: row.good_approvals,
            status: row.status,
            submitted: row.submitted,
            spiked: row.spiked,
        }
    }

    fn bytes(&self) -> usize {
        let named = self.restricted.as_ref().map_or(0, |restriction| restriction.people.len() + 4);
        let texts = self.found_by.len() + self.section.as_ref().map_or(0, |section| section.len());
        CARD_BYTES + texts + (self.people.len() + named) * NAME_BYTES
    }
}

/// The newest articles' cards.
#[derive(Debug)]
pub(in crate::store) struct Index {
    cards: BTreeMap<Key, Card>,
    /// What they take.
    bytes: usize,
    /// What they may take.
    room: usize,
    /// From here on rows are in sled alone; none: all have their cards.
    floor: Option<Key>,
}

/// The key before all others.
const FIRST: Key = [0; 24];

impl Index {
    /// One that has nothing yet: everything is looked up in sled.
    pub(in crate::store) fn unread(room: usize) -> Self {
        Self { cards: BTreeMap::new(), bytes: 0, room, floor: Some(FIRST) }
    }

    /// Whether nothing was read yet.
    pub(in crate::store) fn is_unread(&self) -> bool {
        self.floor == Some(FIRST)
    }

    /// Reads as many rows as there is room for, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub(in crate::store) fn read(shelf: &Shelf, room: usize) -> Result<Self, StoreError> {
        let mut index = Self { floor: None, ..Self::unread(room) };
        for entry in shelf.range(Bound::Unbounded, Bound::Unbounded) {
            let (key, row) = pair(entry)?;
            index.put(key, Card::of(&row));
            if index.floor.is_some() {
                break;
            }
        }
        Ok(index)
    }

    /// A row was written in the place of another.
    pub(in crate::store) fn set(&mut self, was: Option<Key>, row: &Row) {
        if let Some(card) = was.and_then(|was| self.cards.remove(&was)) {
            self.bytes -= card.bytes();
        }
        self.put(key(row.updated, row.article), Card::of(row));
    }

    fn put(&mut self, key: Key, card: Card) {
        if self.floor.is_some_and(|floor| key >= floor) {
            return;
        }
        self.bytes += card.bytes();
        if let Some(replaced) = self.cards.insert(key, card) {
            self.bytes -= replaced.bytes();
        }
        while self.bytes > self.room
            && let Some((oldest, card)) = self.cards.pop_last()
        {
            self.bytes -= card.bytes();
            self.floor = Some(oldest);
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The cards after a cursor, in order.
    pub(super) fn after(&self, cursor: Option<Key>) -> impl Iterator<Item = (&Key, &Card)> {
        let from = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        self.cards.range((from, Bound::Unbounded))
    }

    /// The rows after a cursor that have no cards, in order.
    pub(super) fn rest(
        &self,
        shelf: &Shelf,
        cursor: Option<Key>,
    ) -> impl Iterator<Item = Result<(Key, Row), StoreError>> + use<> {
        let rest = self.floor.map(|floor| {
            let from = match &cursor {
                Some(cursor) if *cursor >= floor => Bound::Excluded(cursor.as_slice()),
                _ => Bound::Included(floor.as_slice()),
            };
            shelf.range(from, Bound::Unbounded).map(pair)
        });
        rest.into_iter().flatten()
    }
}

fn pair(entry: sled::Result<shelf::Pair>) -> Result<(Key, Row), StoreError> {
    let (at, value) = entry?;
    let key = Key::try_from(at).map_err(|_| StoreError::Damaged("a key of the board".to_owned()))?;
    Ok((key, decode(&value)?))
}
