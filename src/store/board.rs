//! The board: articles by newest change, with stable cursors.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use copydesk_article::article::{Article, Stage, Status};
use copydesk_article::event::Time;
use copydesk_article::fields::FieldName;
use copydesk_article::newsroom::{Newsroom, Person};
use copydesk_article::text::{Text, folded};
use copydesk_article::workflow::{Assignment, Held, Restriction};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::{Store, StoreError, pieces};

mod index;

use index::Card;
pub(super) use index::{Index, ROOM_BYTES};

/// How many look along the board at once: a look at millions of rows takes a thread for as long.
pub(super) const LOOKS: usize = 4;

/// What the board keeps of an article. The stage is worked out when it is read: it turns on the rules in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The article.
    pub article: Uuid,
    /// Its slug.
    pub slug: Option<String>,
    /// Its headline.
    pub headline: Option<String>,
    /// Its section.
    pub section: Option<String>,
    /// Whether it was submitted.
    pub submitted: bool,
    /// Whether it was spiked.
    pub spiked: bool,
    /// How many approvals stand on the present words.
    pub good_approvals: u32,
    /// What readers have.
    pub status: Status,
    /// Its version.
    pub version: u32,
    /// Its revision.
    pub revision: u32,
    /// Its newest edition.
    pub edition: Option<u32>,
    /// When it last changed.
    pub updated: Time,
    /// How many blocking queries are open.
    pub blocking: u32,
    /// Who works on it, and by when.
    #[serde(default, skip_serializing_if = "Assignment::is_empty")]
    pub assignment: Assignment,
    /// Why its last scheduled publication did not go out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Who alone may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restricted: Option<Restriction>,
    /// What it is found by, as it is looked for.
    pub found_by: String,
}

impl Row {
    /// The row of an article.
    pub fn of(article: &Article) -> Self {
        Self {
            article: article.id,
            slug: article.fields.line(FieldName::Slug).map(str::to_owned),
            headline: article.fields.text(FieldName::Headline).map(Text::plain),
            section: article.section().map(str::to_owned),
            submitted: article.submitted,
            spiked: article.spiked,
            good_approvals: u32::try_from(article.good_approvals()).unwrap_or(u32::MAX),
            status: article.status(),
            version: article.version,
            revision: article.revision,
            edition: article.last_edition().map(|edition| edition.number),
            updated: article.updated,
            blocking: u32::try_from(article.blocking_queries().count()).unwrap_or(u32::MAX),
            assignment: article.assignment.clone(),
            held: article.held.clone(),
            restricted: article.restricted.clone(),
            found_by: found_by(article),
        }
    }

    /// The stage under the rules in force.
    pub fn stage(&self, newsroom: &Newsroom) -> Stage {
        let asked = || newsroom.rules_for(self.section.as_deref()).approvals;
        stage(self.spiked, self.submitted, self.good_approvals, asked)
    }
}

fn stage(spiked: bool, submitted: bool, good_approvals: u32, asked: impl FnOnce() -> u32) -> Stage {
    match (spiked, submitted) {
        (true, _) => Stage::Spiked,
        (_, false) => Stage::Draft,
        _ if good_approvals >= asked() => Stage::Approved,
        _ => Stage::InReview,
    }
}

/// How many approvals each section's rules ask for: rules take long to work out beside the rest of a look at a card.
struct Approvals<'a> {
    newsroom: &'a Newsroom,
    asked: HashMap<Option<Box<str>>, u32>,
}

impl<'a> Approvals<'a> {
    fn under(newsroom: &'a Newsroom) -> Self {
        Self { newsroom, asked: HashMap::new() }
    }

    fn asked(&mut self, section: &Option<Box<str>>) -> u32 {
        if let Some(asked) = self.asked.get(section) {
            return *asked;
        }
        let asked = self.newsroom.rules_for(section.as_deref()).approvals;
        self.asked.insert(section.clone(), asked);
        asked
    }
}

/// Headline, slug, byline and keywords, a line each, as they are looked for.
fn found_by(article: &Article) -> String {
    let headline = article.fields.text(FieldName::Headline).map(Text::plain);
    let lines = [FieldName::Slug, FieldName::Byline].map(|name| article.fields.line(name).map(str::to_owned));
    let keywords = article.fields.list(FieldName::Keywords).iter().cloned();
    let all: Vec<String> = headline.into_iter().chain(lines.into_iter().flatten()).chain(keywords).collect();
    folded(&all.join("\n"))
}

/// What is looked for on the board.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only what this person may see.
    pub viewer: Option<(Arc<str>, Person)>,
    /// Only what this actor has a part in.
    pub assignee: Option<String>,
    /// Only what has all of these words in it, in headline, slug, byline or keywords; folded.
    pub words: Vec<String>,
    /// Only these stages; empty: all but spiked.
    pub stages: Vec<Stage>,
    /// Only these statuses; empty: all.
    pub statuses: Vec<Status>,
    /// Only this section and those below it.
    pub section: Option<String>,
}

impl Filter {
    fn takes(&self, card: &Card, approvals: &mut Approvals) -> bool {
        let visible = |restriction: &Restriction| {
            self.viewer.as_ref().is_none_or(|(actor, person)| restriction.admits(actor, person))
        };
        let section_fits =
            || self.section.as_deref().is_none_or(|asked| is_in_section(card.section.as_deref(), asked));
        let assigned =
            || self.assignee.as_ref().is_none_or(|actor| card.people.iter().any(|named| **named == **actor));
        let stage_fits = |approvals: &mut Approvals| {
            let asked = || approvals.asked(&card.section);
            let stage = stage(card.spiked, card.submitted, card.good_approvals, asked);
            if self.stages.is_empty() { stage != Stage::Spiked } else { self.stages.contains(&stage) }
        };
        card.restricted.as_deref().is_none_or(visible)
            && (self.statuses.is_empty() || self.statuses.contains(&card.status))
            && section_fits()
            && assigned()
            && stage_fits(approvals)
            && self.words.iter().all(|word| card.found_by.contains(word.as_str()))
    }
}

/// Whether a section is the one asked for or below it.
pub fn is_in_section(section: Option<&str>, asked: &str) -> bool {
    let rest = section.and_then(|section| section.strip_prefix(asked));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where a row stands: newest change first, then by article.
pub(crate) type Key = [u8; 24];

/// The key of a row.
pub(crate) fn key(updated: Time, article: Uuid) -> Key {
    let newest_first = u64::MAX - u64::try_from(updated.timestamp_micros()).unwrap_or(0);
    let mut key = [0; 24];
    let (first, second) = key.split_at_mut(8);
    first.copy_from_slice(&newest_first.to_be_bytes());
    second.copy_from_slice(article.as_bytes());
    key
}

/// The article of a key.
fn article_of(key: &Key) -> Uuid {
    let id = key.last_chunk::<16>();
    id.map_or(Uuid::nil(), |id| Uuid::from_bytes(*id))
}

fn decode(row: &[u8]) -> Result<Row, StoreError> {
    #[cfg(test)]
    tests::DECODED.with(|decoded| decoded.set(decoded.get() + 1));
    pieces::decode(row)
}

/// What a look along the board comes upon.
enum Found<'a> {
    /// In what was folded since the last batch.
    Recent(Arc<Row>),
    /// In memory.
    Card(&'a Card),
    /// In sled.
    Row(Box<Row>),
}

impl Found<'_> {
    fn passes(&self, filter: &Filter, approvals: &mut Approvals) -> bool {
        match self {
            Found::Recent(row) => filter.takes(&Card::of(row), approvals),
            Found::Card(card) => filter.takes(card, approvals),
            Found::Row(row) => filter.takes(&Card::of(row), approvals),
        }
    }
}

impl Store {
    /// Waits for a turn to look along the board; whoever has it holds it meanwhile.
    pub async fn turn_to_look(&self) -> Option<OwnedSemaphorePermit> {
        // Never closed.
        Arc::clone(&self.looks).acquire_owned().await.ok()
    }

    /// The rows that a filter takes, newest change first, after a cursor; and the cursor of what follows.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn board(
        &self,
        filter: &Filter,
        cursor: Option<Key>,
        limit: usize,
    ) -> Result<(Vec<Arc<Row>>, Option<Key>), StoreError> {
        self.noting_damage(self.rows(filter, cursor, limit))
    }

    /// Reads into memory what boards are asked for, where that hasn't been done.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn read_board(&self) -> Result<(), StoreError> {
        let is_unread = self.board.read().unwrap_or_else(PoisonError::into_inner).is_unread();
        if is_unread {
            let mut index = self.board.write().unwrap_or_else(PoisonError::into_inner);
            if index.is_unread() {
                *index = self.noting_damage(Index::read(&self.shelves.board, ROOM_BYTES))?;
            }
        }
        Ok(())
    }

    fn rows(
        &self,
        filter: &Filter,
        cursor: Option<Key>,
        limit: usize,
    ) -> Result<(Vec<Arc<Row>>, Option<Key>), StoreError> {
        self.read_board()?;
        // Held over recent changes and cards: what was folded recently can't be taken out of one and put into the other
        // meanwhile.
        let index = self.board.read().unwrap_or_else(PoisonError::into_inner);
        let newsroom = self.newsroom();
        let recent = self.recent().rows();
        let moved: HashSet<Uuid> = recent.values().map(|row| row.article).collect();
        let mut look = Look {
            store: self,
            filter,
            approvals: Approvals::under(&newsroom),
            recent: recent.into_iter().filter(|(at, _)| cursor.is_none_or(|cursor| *at > cursor)).collect(),
            limit,
            rows: Vec::new(),
            last: None,
        };
        for (at, card) in index.after(cursor).filter(|(at, _)| !moved.contains(&article_of(at))) {
            if look.comes_upon(*at, Found::Card(card))? {
                return Ok((look.rows, look.last));
            }
        }
        // Not over the many that have no cards: the fold would wait. What changes meanwhile goes to the front of the board,
        // and may be missed by who looks for it here.
        let rest = index.rest(&self.shelves.board, cursor);
        drop(index);
        for found in rest {
            let (at, row) = found?;
            if !moved.contains(&article_of(&at)) && look.comes_upon(at, Found::Row(Box::new(row)))? {
                return Ok((look.rows, look.last));
            }
        }
        let is_full = look.comes_to(None)?;
        Ok((look.rows, look.last.filter(|_| is_full)))
    }
}

/// A look along the board.
struct Look<'a> {
    store: &'a Store,
    filter: &'a Filter,
    approvals: Approvals<'a>,
    /// What was folded recently and isn't come upon yet.
    recent: BTreeMap<Key, Arc<Row>>,
    limit: usize,
    rows: Vec<Arc<Row>>,
    /// Where the last of the rows stands.
    last: Option<Key>,
}

impl Look<'_> {
    /// Takes what was folded recently and comes before a place, or all of it. Gives whether there are more than may be.
    fn comes_to(&mut self, place: Option<&Key>) -> Result<bool, StoreError> {
        while let Some((at, row)) = self.recent.pop_first() {
            if place.is_some_and(|place| at >= *place) {
                self.recent.insert(at, row);
                break;
            }
            if self.takes(at, Found::Recent(row))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes what stands at a place, and what comes before it. Gives whether there are more than may be.
    fn comes_upon(&mut self, at: Key, found: Found<'_>) -> Result<bool, StoreError> {
        Ok(self.comes_to(Some(&at))? || self.takes(at, found)?)
    }

    fn takes(&mut self, at: Key, found: Found<'_>) -> Result<bool, StoreError> {
        if !found.passes(self.filter, &mut self.approvals) {
            return Ok(false);
        }
        if self.rows.len() == self.limit {
            return Ok(true);
        }
        let row = match found {
            Found::Recent(row) => row,
            Found::Row(row) => Arc::from(row),
            Found::Card(_) => {
                let row = self.store.shelves.board.get(&at)?.map(|row| decode(&row)).transpose()?;
                // A batch that was written meanwhile may have moved it to the front, or hidden it.
                let Some(row) = row.filter(|row| self.filter.takes(&Card::of(row), &mut self.approvals))
                else {
                    return Ok(false);
                };
                Arc::new(row)
            }
        };
        self.last = Some(at);
        self.rows.push(row);
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
