//! The folded state as readers ask for it: one article, or a page of many.

use std::collections::BTreeSet;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::filter::{Filter, Term};
use crate::fold::Shown;
use crate::index::Walk;
use crate::ninjs::Ninjs;
use crate::pieces;
use crate::position::Position;
use crate::store::{Error, Public, damaged};

/// How often a page's terms are looked for, in the index: whoever asks for more than that gets a shorter page, and where
/// it goes on. The fold waits meanwhile, and other readers with it.
const PATIENCE: usize = 20_000;

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
    /// How long a place is in a key.
    pub(crate) const BYTES: usize = 16;

    /// Newest change first; of the same moment, the later on the wire first.
    pub(crate) fn of(shown: &Shown) -> Self {
        let time = shown.changed.timestamp_micros().cast_unsigned() ^ (1 << 63);
        Place([(!time).to_be_bytes(), (!shown.wire_seq).to_be_bytes()].concat())
    }

    /// The place as a cursor carries it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The place after which what stands at this point of a walk comes next: a place, or right after one.
    pub(crate) fn just_before(point: &[u8]) -> Option<Self> {
        let (place, after) = point.split_first_chunk::<{ Self::BYTES }>()?;
        let place = match after {
            [] => u128::from_be_bytes(*place).saturating_sub(1).to_be_bytes(),
            _ => *place,
        };
        Some(Place(place.to_vec()))
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
    /// How many articles were looked at for it.
    pub looked_at: usize,
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
        self.noting_damage(newest)
    }

    /// A page of the articles asked for, newest change first, after a place. It may have fewer than there are and yet not
    /// be the last: of articles that have each of several marks and seldom all of them.
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
        self.noting_damage(|| self.listed(&position, filter, (after, PATIENCE), limit, now))
    }

    fn listed(
        &self,
        position: &Position,
        filter: &Filter,
        (after, patience): (Option<&Place>, usize),
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Listing, Error> {
        let mut listing = Listing {
            entries: Vec::new(),
            next: None,
            changed: (position.stamp > 0).then(|| DateTime::from_timestamp(position.stamp, 0)).flatten(),
            looked_at: 0,
        };
        let mut last: Option<Place> = None;
        // The place itself is 16 bytes long, so this starts right after it.
        let start = after.map(|place| [place.bytes(), &[0]].concat()).unwrap_or_default();
        let mut walk = Walk::new(&self.order, &self.index, &filter.terms(), start, patience);
        for found in walk.by_ref() {
            let (place, article) = found?;
            listing.looked_at += 1;
            let record =
                self.record(article)?.ok_or_else(|| damaged("the order names an unknown article"))?;
            let shown = record.shown.ok_or_else(|| damaged("the order names a hidden article"))?;
            if shown.has_left(now) {
                continue;
            }
            if listing.entries.len() == limit {
                listing.next = last;
                return Ok(listing);
            }
            listing.entries.push(self.entry(article, shown)?);
            last = Some(place);
        }
        listing.next = walk.given_up_at();
        Ok(listing)
    }

    /// Every section that articles have been published in, those above them included; the empty one where some never
    /// had any. One article is looked at for each.
    ///
    /// # Errors
    /// [`Error`].
    pub fn sections(&self) -> Result<BTreeSet<String>, Error> {
        let _reading = self.read();
        self.noting_damage(|| self.all_sections())
    }

    fn all_sections(&self) -> Result<BTreeSet<String>, Error> {
        let mut sections = BTreeSet::new();
        let mut from = Term::SECTIONS.to_vec();
        while let Some(found) = self.index.range(from..).next() {
            let (key, article) = found?;
            let term = key.get(..Term::BYTES).filter(|term| term.starts_with(Term::SECTIONS));
            let Some(term) = term else { break };
            let article = Uuid::from_slice(&article).map_err(|_| damaged("an article's id in the index"))?;
            let record =
                self.record(article)?.ok_or_else(|| damaged("the index names an unknown article"))?;
            sections.insert(record.marks.section_of(term).unwrap_or_default().to_owned());
            // After the last place that a key of this term can have.
            from = [term, &[u8::MAX; Place::BYTES + 1]].concat();
        }
        Ok(sections)
    }

    fn entry(&self, article: Uuid, shown: Shown) -> Result<Entry, Error> {
        let body = pieces::read(&self.bodies, article.as_bytes())?
            .ok_or_else(|| damaged("an edition is missing"))?;
        if crc32c::crc32c(&body) != shown.body_crc {
            return Err(damaged("another edition stands there than its article shows"));
        }
        let ninjs = serde_json::from_slice(&body).map_err(|_| damaged("an edition can't be read"))?;
        Ok(Entry { article, shown, ninjs, body: body.into() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::message::tests::message;
    use crate::message::{Kind, WireMessage};
    use crate::page::tests::{now, public};

    fn marked(seq: u64, article: u128, edition: u32, marks: [&str; 4]) -> WireMessage {
        let [section, keyword, language, subject] = marks;
        let ninjs = json!({"language": language, "subjects": [
            {"rel": "section", "literal": section}, {"rel": "keyword", "literal": keyword},
            {"rel": "about", "literal": subject},
        ]});
        message(seq, Uuid::from_u128(article), edition, Kind::Update, ninjs)
    }

    fn asked(parts: [Option<&str>; 4]) -> Filter {
        let [section, keyword, language, subject] = parts.map(|part| part.map(str::to_owned));
        Filter { section, keyword, language, subject }
    }

    #[test]
    fn among_ten_thousand_a_page_of_the_few_looks_at_the_few() {
        let messages: Vec<_> = (1..=10_000)
            .map(|n| {
                let section = if n % 500 == 0 { "sport/chess" } else { "world/asia" };
                let keyword = if n % 1000 == 0 { "Rare" } else { "common" };
                marked(n, n.into(), 1, [section, keyword, "en-GB", "medtop:1"])
            })
            .collect();
        let public = public(&messages);
        let looked_at = |filter: &Filter| {
            let listing = public.list(filter, None, 50, now()).unwrap();
            (listing.entries.len(), listing.looked_at)
        };
        assert_eq!(looked_at(&asked([Some("sport"), None, None, None])), (20, 20));
        assert_eq!(looked_at(&asked([None, Some("RARE"), Some("en"), None])), (10, 10));
        assert_eq!(looked_at(&asked([Some("world"), Some("rare"), None, None])), (0, 0));
        let full = asked([Some("world"), None, Some("*"), Some("medtop:1")]);
        // One more, to know that there is a next page.
        for filter in [Filter::default(), full] {
            assert_eq!(looked_at(&filter), (50, 51));
        }
        let sections = ["sport", "sport/chess", "world", "world/asia"].map(str::to_owned);
        assert_eq!(public.sections().unwrap(), BTreeSet::from(sections));
    }

    #[test]
    fn a_page_of_what_is_hardly_anywhere_ends_early_and_goes_on() {
        // One by turns with two marks, and both only in the oldest.
        let messages: Vec<_> = (1..=1000)
            .map(|n| {
                let keyword = if n == 1 || n % 2 == 0 { "even" } else { "odd" };
                let section = if n == 1 || n % 2 == 1 { "world" } else { "sport" };
                marked(n, n.into(), 1, [section, keyword, "en", "medtop:1"])
            })
            .collect();
        let public = public(&messages);
        let filter = asked([Some("world"), Some("even"), None, None]);
        let (mut pages, mut found, mut after) = (0, Vec::new(), None);
        while pages == 0 || after.is_some() {
            let place = (after.as_ref(), 100);
            let page = public.listed(&public.position(), &filter, place, 10, now()).unwrap();
            found.extend(page.entries.iter().map(|entry| entry.article));
            (after, pages) = (page.next, pages + 1);
        }
        assert_eq!(found, [Uuid::from_u128(1)]);
        assert!((10..=12).contains(&pages), "{pages}");
    }

    #[test]
    fn a_cursor_holds_while_articles_arrive_and_change() {
        let public = public(&[]);
        let at = |seq: u64, article: u128, edition: u32| {
            let time = format!("2025-12-25T08:00:{seq:02}Z");
            message(seq, Uuid::from_u128(article), edition, Kind::Update, json!({"versionCreated": time}))
        };
        let first: Vec<_> = (1..=6).map(|n| at(n, n.into(), 1)).collect();
        public.apply(&first).unwrap();
        let page = |after: Option<&Place>| public.list(&Filter::default(), after, 2, now()).unwrap();
        let ids = |listing: &Listing| listing.entries.iter().map(|e| e.article.as_u128()).collect::<Vec<_>>();
        let one = page(None);
        public.apply(&[at(7, 7, 1), at(8, 8, 1), at(9, 3, 2)]).unwrap();
        let two = page(one.next.as_ref());
        let three = page(two.next.as_ref());
        // 3 has moved to the top: who starts again sees it there.
        assert_eq!((ids(&one), ids(&two), ids(&three)), (vec![6, 5], vec![4, 2], vec![1]));
        assert_eq!(three.next, None);
        assert_eq!(ids(&page(None)), [3, 8]);
    }

    #[test]
    fn an_article_that_never_had_a_section_is_found_under_none() {
        let public = public(&[message(1, Uuid::from_u128(1), 1, Kind::First, json!({}))]);
        assert_eq!(public.sections().unwrap(), BTreeSet::from([String::new()]));
        let filter = Filter { section: Some(String::new()), ..Filter::default() };
        assert_eq!(public.list(&filter, None, 50, now()).unwrap().entries.len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_the_index_finds_is_what_matches(
            editions in proptest::collection::vec((1..9u128, 0..4usize, 0..3usize, 0..4usize, 0..2usize), 0..30),
            asks in proptest::collection::vec((0..5usize, 0..4usize, 0..5usize, 0..3usize), 1..8),
            limit in 1..4usize,
            patience in 9..20usize,
        ) {
            let sections = ["world", "world/asia", "world/as", "sport"];
            let keywords = ["Wahl", "élan", "x"];
            let languages = ["en", "en-GB", "de-AT", "eng"];
            let subjects = ["medtop:1", "medtop:2"];
            let messages: Vec<_> = editions
                .iter()
                .zip(1..)
                .map(|(&(article, s, k, l, t), seq)| {
                    let edition = u32::try_from(seq).unwrap();
                    marked(seq, article, edition, [sections[s], keywords[k], languages[l], subjects[t]])
                })
                .collect();
            let public = public(&messages);
            for (s, k, l, t) in asks {
                let filter = asked([
                    sections.get(s).copied(),
                    keywords.get(k).copied(),
                    languages.get(l).copied(),
                    subjects.get(t).copied(),
                ]);
                let all = public.list(&Filter::default(), None, 100, now()).unwrap();
                let matching: Vec<Uuid> = all
                    .entries
                    .iter()
                    .map(|entry| entry.article)
                    .filter(|article| filter.matches(&public.record(*article).unwrap().unwrap().marks))
                    .collect();
                for patience in [patience, PATIENCE] {
                    let (mut found, mut after) = (Vec::new(), None);
                    loop {
                        let place = (after.as_ref(), patience);
                        let page = public.listed(&public.position(), &filter, place, limit, now()).unwrap();
                        prop_assert!(page.looked_at <= limit + 1);
                        found.extend(page.entries.iter().map(|entry| entry.article));
                        after = page.next;
                        if after.is_none() {
                            break;
                        }
                    }
                    prop_assert_eq!(&found, &matching);
                }
            }
        }
    }
}
