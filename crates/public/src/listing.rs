//! The folded state as readers ask for it: one article, or a page of many.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::filter::Filter;
use crate::fold::Shown;
use crate::ninjs::Ninjs;
use crate::pieces;
use crate::position::Position;
use crate::store::{Error, Public, damaged};

/// An article as readers have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The article.
    pub article: Uuid,
    /// What is known of its newest state.
    pub shown: Shown,
    /// What it says.
    pub ninjs: Ninjs,
    /// The wire's bytes.
    pub body: Bytes,
}

/// Where a page of a feed ends: the place in the order of its last article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(Vec<u8>);

impl Place {
    const BYTES: usize = 16;

    /// Newest change first; of the same moment, the later on the wire first.
    pub(crate) fn of(shown: &Shown) -> Self {
        let time = shown.changed.timestamp_micros().cast_unsigned() ^ (1 << 63);
        Place([(!time).to_be_bytes(), (!shown.wire_seq).to_be_bytes()].concat())
    }

    /// The place as a cursor carries it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A place that a cursor carried.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == Self::BYTES).then_some(Place(bytes))
    }
}

/// A page of a feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The articles, newest change first.
    pub entries: Vec<Entry>,
    /// Where the next page starts after; none where there is no more.
    pub next: Option<Place>,
    /// When anything in the whole state last changed.
    pub changed: Option<DateTime<Utc>>,
}

impl Public {
    /// An article as readers have it; none where it is unknown, or in doubt.
    ///
    /// # Errors
    /// [`Error`].
    pub fn newest(&self, article: Uuid) -> Result<Option<Entry>, Error> {
        let _reading = self.read();
        let newest = || {
            let Some(shown) = self.record(article)?.and_then(|record| record.shown) else { return Ok(None) };
            self.entry(article, shown).map(Some)
        };
        self.noting_damage(newest())
    }

    /// A page of the articles asked for, newest change first, after a place.
    ///
    /// # Errors
    /// [`Error`].
    pub fn list(
        &self,
        filter: &Filter,
        after: Option<&Place>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Listing, Error> {
        let position = self.read();
        self.noting_damage(self.listed(&position, filter, after, limit, now))
    }

    fn listed(
        &self,
        position: &Position,
        filter: &Filter,
        after: Option<&Place>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Listing, Error> {
        let mut listing = Listing {
            entries: Vec::new(),
            next: None,
            changed: (position.stamp > 0).then(|| DateTime::from_timestamp(position.stamp, 0)).flatten(),
        };
        let mut last: Option<Place> = None;
        // The place itself is 16 bytes long, so this starts right after it.
        let start = after.map(|place| [place.bytes(), &[0]].concat()).unwrap_or_default();
        for item in self.order.range(start..) {
            let (key, article) = item?;
            let article = Uuid::from_slice(&article).map_err(|_| damaged("an article's id in the order"))?;
            let record =
                self.record(article)?.ok_or_else(|| damaged("the order names an unknown article"))?;
            let shown = record.shown.ok_or_else(|| damaged("the order names a hidden article"))?;
            if shown.has_left(now) || !filter.matches(&record.marks) {
                continue;
            }
            if listing.entries.len() == limit {
                listing.next = last;
                break;
            }
            listing.entries.push(self.entry(article, shown)?);
            last = Place::from_bytes(key.to_vec());
        }
        Ok(listing)
    }

    fn entry(&self, article: Uuid, shown: Shown) -> Result<Entry, Error> {
        let body = pieces::read(&self.bodies, article.as_bytes())?
            .ok_or_else(|| damaged("an edition is missing"))?;
        let ninjs = serde_json::from_slice(&body).map_err(|_| damaged("an edition can't be read"))?;
        Ok(Entry { article, shown, ninjs, body: body.into() })
    }
}
