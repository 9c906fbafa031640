//! Which articles have what, newest change first: a key for each term of an article, led by the term, followed by
//! the article's place in the order.
//!
//! Several terms are looked for together: whichever is furthest on says where the others go on, so what is read
//! grows with the rarest of them; where each is common and they are rarely together, with how often they take turns.

use std::collections::BTreeSet;

use sled::Tree;
use uuid::Uuid;

use crate::filter::Term;
use crate::fold::Record;
use crate::listing::Place;
use crate::store::{Error, damaged};

/// A key of the index.
pub(crate) type Key = [u8; Term::BYTES + Place::BYTES];

/// Where an article stands in the index; nowhere while it is in doubt.
pub(crate) fn keys(record: &Record) -> BTreeSet<Key> {
    let Some(shown) = &record.shown else { return BTreeSet::new() };
    let place = Place::of(shown);
    let key = |term: Term| {
        let mut key = [0; Term::BYTES + Place::BYTES];
        let bytes = term.bytes().iter().chain(place.bytes());
        key.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        key
    };
    record.marks.terms().into_iter().map(key).collect()
}

/// The articles that stand under all of some starts of keys, in order.
pub(crate) struct Walk<'a> {
    tree: &'a Tree,
    starts: Vec<Vec<u8>>,
    /// The place to go on from.
    from: Vec<u8>,
    /// How often it still looks into the tree.
    patience: usize,
}

impl<'a> Walk<'a> {
    /// Those with every one of these terms, from a place on; without a term, all of the order. It looks into the tree so
    /// many times at most; it gets on by more than twice as many as there are terms.
    pub(crate) fn new(
        order: &'a Tree,
        index: &'a Tree,
        terms: &[Term],
        from: Vec<u8>,
        patience: usize,
    ) -> Self {
        let starts: Vec<Vec<u8>> = terms.iter().map(|term| term.bytes().to_vec()).collect();
        match starts.is_empty() {
            true => Walk { tree: order, starts: vec![Vec::new()], from, patience },
            false => Walk { tree: index, starts, from, patience },
        }
    }

    /// Where whoever goes on later goes on after, if it ended before the end.
    pub(crate) fn given_up_at(&self) -> Option<Place> {
        (self.patience == 0).then(|| Place::just_before(&self.from)).flatten()
    }

    /// The first place under a start that is not before `place`, and the article there.
    fn seek(&self, start: &[u8], place: &[u8]) -> Result<Option<(Vec<u8>, Uuid)>, Error> {
        let Some(found) = self.tree.range([start, place].concat()..).next() else { return Ok(None) };
        let (key, article) = found?;
        let Some(place) = key.strip_prefix(start) else { return Ok(None) };
        let article = Uuid::from_slice(&article).map_err(|_| damaged("an article's id in the order"))?;
        Ok(Some((place.to_vec(), article)))
    }

    fn step(&mut self) -> Result<Option<(Place, Uuid)>, Error> {
        let mut found = None;
        let mut agreed = 0;
        // Round and round until all of them stand at the same place.
        for start in self.starts.iter().cycle() {
            let Some(patience) = self.patience.checked_sub(1) else { return Ok(None) };
            self.patience = patience;
            let Some((place, article)) = self.seek(start, &self.from)? else { return Ok(None) };
            agreed = if place == self.from { agreed + 1 } else { 1 };
            found = Some(article);
            self.from = place;
            if agreed == self.starts.len() {
                break;
            }
        }
        let place = Place::from_bytes(self.from.clone()).ok_or_else(|| damaged("a place in the order"))?;
        // The place itself is 16 bytes long, so this is right after it.
        self.from.push(0);
        Ok(found.map(|article| (place, article)))
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<(Place, Uuid), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}
