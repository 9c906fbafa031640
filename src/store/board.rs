//! The board: articles by newest change, with stable cursors.

use std::collections::HashSet;
use std::ops::Bound;
use std::sync::Arc;

use copydesk_article::article::{Article, Stage, Status};
use copydesk_article::event::Time;
use copydesk_article::fields::FieldName;
use copydesk_article::newsroom::{Newsroom, Person};
use copydesk_article::text::{Text, folded};
use copydesk_article::workflow::{Assignment, Held, Restriction};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Store, StoreError, pieces};

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
        let rules = newsroom.rules_for(self.section.as_deref());
        match (self.spiked, self.submitted) {
            (true, _) => Stage::Spiked,
            (_, false) => Stage::Draft,
            _ if self.good_approvals >= rules.approvals => Stage::Approved,
            _ => Stage::InReview,
        }
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
    fn takes(&self, row: &Row, newsroom: &Newsroom) -> bool {
        let stage = row.stage(newsroom);
        let stage_fits =
            if self.stages.is_empty() { stage != Stage::Spiked } else { self.stages.contains(&stage) };
        let section_fits =
            self.section.as_deref().is_none_or(|asked| is_in_section(row.section.as_deref(), asked));
        let visible = |restriction: &Restriction| {
            self.viewer.as_ref().is_none_or(|(actor, person)| restriction.admits(actor, person))
        };
        let assigned = self.assignee.as_ref().is_none_or(|actor| row.assignment.names(actor));
        let found = self.words.iter().all(|word| row.found_by.contains(word.as_str()));
        row.restricted.as_ref().is_none_or(visible)
            && assigned
            && found
            && stage_fits
            && section_fits
            && (self.statuses.is_empty() || self.statuses.contains(&row.status))
    }
}

/// Whether a section is the one asked for or below it.
pub fn is_in_section(section: Option<&str>, asked: &str) -> bool {
    let rest = section.and_then(|section| section.strip_prefix(asked));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The key of a row: newest change first, then by article.
pub(crate) fn key(updated: Time, article: Uuid) -> [u8; 24] {
    let newest_first = u64::MAX - u64::try_from(updated.timestamp_micros()).unwrap_or(0);
    let mut key = [0; 24];
    let (first, second) = key.split_at_mut(8);
    first.copy_from_slice(&newest_first.to_be_bytes());
    second.copy_from_slice(article.as_bytes());
    key
}

impl Store {
    /// The rows that a filter takes, newest change first, after a cursor; and the cursor of what follows.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn board(
        &self,
        filter: &Filter,
        cursor: Option<[u8; 24]>,
        limit: usize,
    ) -> Result<(Vec<Row>, Option<[u8; 24]>), StoreError> {
        self.noting_damage(self.rows(filter, cursor, limit))
    }

    fn rows(
        &self,
        filter: &Filter,
        cursor: Option<[u8; 24]>,
        limit: usize,
    ) -> Result<(Vec<Row>, Option<[u8; 24]>), StoreError> {
        let newsroom = self.newsroom();
        let mut recent = self.recent().rows();
        let moved: HashSet<Uuid> = recent.values().map(|row| row.article).collect();
        if let Some(cursor) = cursor {
            recent.retain(|at, _| *at > cursor);
        }
        let start = cursor.as_ref().map_or(Bound::Unbounded, |cursor| Bound::Excluded(cursor.as_slice()));
        let mut folded = self.shelves.board.range(start, Bound::Unbounded).filter_map(|entry| {
            let (at, value) = match entry {
                Ok(entry) => entry,
                Err(error) => return Some(Err(StoreError::from(error))),
            };
            let Ok(at) = <[u8; 24]>::try_from(at) else {
                return Some(Err(StoreError::Damaged("a key of the board".to_owned())));
            };
            let row: Result<Row, StoreError> = pieces::decode(&value);
            match row {
                Ok(row) if moved.contains(&row.article) => None,
                row => Some(row.map(|row| (at, row))),
            }
        });
        let mut recent = recent.into_iter().peekable();
        let mut next_folded = folded.next().transpose()?;
        let mut rows = Vec::new();
        let mut last = None;
        loop {
            let is_recent = match (recent.peek(), &next_folded) {
                (None, None) => return Ok((rows, None)),
                (Some((a, _)), Some((b, _))) => a < b,
                (recent, _) => recent.is_some(),
            };
            let next = if is_recent {
                recent.next()
            } else {
                std::mem::replace(&mut next_folded, folded.next().transpose()?)
            };
            let Some((at, row)) = next.filter(|(_, row)| filter.takes(row, &newsroom)) else { continue };
            if rows.len() == limit {
                return Ok((rows, last));
            }
            last = Some(at);
            rows.push(row);
        }
    }
}
