//! The article: the state that an article's events fold to.
//!
//! Everything in it is a result. `evolve` looks nothing up, reads no Markdown, finds no sentences: the same
//! events give the same state on every machine, for ever. Its parts are shared ([`Arc`]), so that a copy is
//! cheap and a store can see which parts an event changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::claims::{Claim, ClaimField, Place};
use crate::event::{Event, Hash, Time};
use crate::fields::{FieldName, Fields};
use crate::ids::{BlockId, ClaimId, QueryId};
use crate::newsroom::{ActorKind, Rules};
use crate::redaction::{Proposed, Redaction};
use crate::text::{Content, Text};
use crate::words::Words;
use crate::workflow::{Assignment, Held, Restriction, Schedule, Waiver};

/// The stage of the working copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Being written.
    Draft,
    /// Submitted.
    InReview,
    /// Submitted, with as many good approvals as the rules ask.
    Approved,
    /// Given up before publication.
    Spiked,
}

impl Stage {
    /// The stage as it stands in answers.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Draft => "draft",
            Stage::InReview => "in_review",
            Stage::Approved => "approved",
            Stage::Spiked => "spiked",
        }
    }
}

/// What readers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing yet.
    Unpublished,
    /// Nothing yet, and an hour is set.
    Scheduled,
    /// An edition.
    Published,
    /// The notice of a withdrawal.
    Withdrawn,
}

impl Status {
    /// The status as it stands in answers.
    pub fn name(self) -> &'static str {
        match self {
            Status::Unpublished => "unpublished",
            Status::Scheduled => "scheduled",
            Status::Published => "published",
            Status::Withdrawn => "withdrawn",
        }
    }
}

/// One block of the body.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Its id, which survives edits.
    pub id: BlockId,
    /// What it holds.
    pub content: Content<Text>,
    /// The revision at which its content last changed.
    pub revision: u32,
    /// Who changed it.
    pub by: Arc<str>,
    /// The revision at which it was made.
    pub made: u32,
    /// The revision at which it last moved; 0 if never.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub moved: u32,
    /// Who moved it, where anyone did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_by: Option<Arc<str>>,
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = Words::from(crate::change::words_of(&self.content));
        write!(f, "Block({} {:?} revision {} {words:?})", self.id, self.content.kind(), self.revision)
    }
}

/// What is left of a block that was taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tombstone {
    /// The revision at which it went.
    pub revision: u32,
    /// Who took it out.
    pub by: Arc<str>,
}

/// A question raised on an article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Its id.
    pub id: QueryId,
    /// The question.
    pub text: Words,
    /// Who asked.
    pub by: Arc<str>,
    /// When.
    pub time: Time,
    /// Who should answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Arc<str>>,
    /// By when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
    /// Whether it holds up publishing until it is answered.
    pub blocking: bool,
    /// The block it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockId>,
    /// The field it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<FieldName>,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<QueryAnswer>,
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryAnswer {
    /// What was answered.
    pub text: Words,
    /// Who answered.
    pub by: Arc<str>,
    /// When.
    pub time: Time,
}

/// A person's word that these words may go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Who approved.
    pub by: Arc<str>,
    /// The article's version with this approval.
    pub version: u32,
    /// Digest of the words and fields approved: an edit ends the approval, the same words restored bring it back.
    pub digest: Hash,
    /// What the editor noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
}

/// Why something published changed, or that it was published at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EditionKind {
    /// The first edition.
    First,
    /// There is more.
    Update,
    /// It was wrong.
    Correction,
    /// It came back after a withdrawal.
    Reinstatement,
    /// It went.
    Withdrawal,
}

impl EditionKind {
    /// The kind as it stands in commands and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            EditionKind::First => "first",
            EditionKind::Update => "update",
            EditionKind::Correction => "correction",
            EditionKind::Reinstatement => "reinstatement",
            EditionKind::Withdrawal => "withdrawal",
        }
    }
}

/// What the article keeps of an edition or withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditionRecord {
    /// Its number, from 1.
    pub number: u32,
    /// What it is.
    pub kind: EditionKind,
    /// The article's version with it.
    pub version: u32,
    /// The revision that went out.
    pub revision: u32,
    /// When.
    pub time: Time,
    /// Digest of the words and fields that went out, as for approvals.
    pub words: Hash,
    /// What readers were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
}

/// One story, from first draft to withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Article {
    /// Its id.
    pub id: Uuid,
    /// How many events it has.
    pub version: u32,
    /// How many times its words or metadata changed.
    pub revision: u32,
    /// When it was drafted.
    pub drafted: Time,
    /// When its last event happened.
    pub updated: Time,
    /// Its fields.
    pub fields: Fields,
    /// Its body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<Arc<Block>>,
    /// Its claims.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub claims: Arc<BTreeMap<ClaimId, Arc<Claim>>>,
    /// Its queries.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub queries: Arc<BTreeMap<QueryId, Arc<Query>>>,
    /// Approvals that nobody returned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// Whether it was submitted and not returned.
    #[serde(default, skip_serializing_if = "is_false")]
    pub submitted: bool,
    /// Whether it was spiked and not revived.
    #[serde(default, skip_serializing_if = "is_false")]
    pub spiked: bool,
    /// Who wrote anything that changed since the last edition: those who may not approve it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub writers: BTreeSet<Arc<str>>,
    /// Who drafted, edited or restored it, ever.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub all_writers: BTreeSet<Arc<str>>,
    /// Machines that wrote in it, ever.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub machines: BTreeSet<Arc<str>>,
    /// Blocks that were taken out: who did, and when.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub deleted: Arc<BTreeMap<BlockId, Tombstone>>,
    /// The highest number given to a block.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last_block: u32,
    /// Its editions and withdrawals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub editions: Vec<Arc<EditionRecord>>,
    /// The wire subject fixed by the section of the first edition, for life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Arc<str>>,
    /// Whether it was withdrawn for good.
    #[serde(default, skip_serializing_if = "is_false")]
    pub withdrawn_for_good: bool,
    /// Who works on it, and by when.
    #[serde(default, skip_serializing_if = "Assignment::is_empty")]
    pub assignment: Assignment,
    /// A time before which no word of it leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embargo: Option<Time>,
    /// Who alone may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restricted: Option<Restriction>,
    /// The hour set for its next edition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Why its last scheduled publication did not go out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// What chiefs lifted for the present revision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<Arc<Waiver>>,
    /// A redaction that waits for a second person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<Arc<Proposed>>,
    /// Redactions of its past.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redactions: Vec<Arc<Redaction>>,
}

/// An event that can't follow the state it was given: the line of the article is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

impl Broken {
    /// A version that isn't the next.
    pub fn version(at: u32, found: u32) -> Self {
        Self(format!("version {found} can't follow version {at}"))
    }
}

impl Article {
    /// The state after an event. The one way in which state changes.
    ///
    /// # Errors
    /// [`Broken`] where the event can't follow this state; the article is then set aside.
    pub fn evolve(article: Option<&Article>, event: &Event) -> Result<Article, Broken> {
        let at = article.map_or(0, |article| article.version);
        if event.articleversion != at + 1 {
            return Err(Broken::version(at, event.articleversion));
        }
        let mut next = match article {
            Some(article) if crate::ids::parse_uuid(&event.subject) != Some(article.id) => {
                return Err(Broken("the event is another article's".to_owned()));
            }
            Some(article) => article.clone(),
            None => {
                let id = crate::ids::parse_uuid(&event.subject);
                Article::blank(
                    id.ok_or_else(|| Broken("the subject is no article's id".to_owned()))?,
                    event.time,
                )
            }
        };
        next.version = event.articleversion;
        next.updated = event.time;
        event.data.evolve(&mut next, event)?;
        if next.revision != event.revision {
            return Err(Broken(format!(
                "revision {} where the event says {}",
                next.revision, event.revision
            )));
        }
        Ok(next)
    }

    /// An article before its first event.
    pub(crate) fn blank(id: Uuid, time: Time) -> Article {
        Article {
            id,
            version: 0,
            revision: 0,
            drafted: time,
            updated: time,
            fields: Fields::default(),
            blocks: Vec::new(),
            claims: Arc::default(),
            queries: Arc::default(),
            approvals: Vec::new(),
            submitted: false,
            spiked: false,
            writers: BTreeSet::new(),
            all_writers: BTreeSet::new(),
            machines: BTreeSet::new(),
            deleted: Arc::default(),
            last_block: 0,
            editions: Vec::new(),
            home: None,
            withdrawn_for_good: false,
            assignment: Assignment::default(),
            embargo: None,
            restricted: None,
            schedule: None,
            held: None,
            waivers: Vec::new(),
            proposed: None,
            redactions: Vec::new(),
        }
    }

    /// Marks that words changed: the next revision, by the event's actor.
    pub(crate) fn revise(&mut self, event: &Event) {
        self.revision += 1;
        self.all_writers.insert(Arc::clone(&event.actor));
        if event.actorkind == ActorKind::Machine {
            self.machines.insert(Arc::clone(&event.actor));
        }
    }

    /// A block.
    pub fn block(&self, id: BlockId) -> Option<&Arc<Block>> {
        self.blocks.iter().find(|block| block.id == id)
    }

    /// Where a block is kept, to put another in its place; whoever else holds the article keeps the old one.
    pub(crate) fn block_place(&mut self, id: BlockId) -> Result<&mut Arc<Block>, Broken> {
        self.blocks.iter_mut().find(|block| block.id == id).ok_or_else(|| no_block(id))
    }

    /// Where a block stands, from 0.
    pub(crate) fn position(&self, id: BlockId) -> Result<usize, Broken> {
        self.blocks.iter().position(|block| block.id == id).ok_or_else(|| no_block(id))
    }

    /// The position after a block; the first where there is none.
    pub(crate) fn place_after(&self, after: Option<BlockId>) -> Result<usize, Broken> {
        after.map_or(Ok(0), |after| self.position(after).map(|at| at + 1))
    }

    /// The block before a block.
    pub(crate) fn predecessor(&self, id: BlockId) -> Option<BlockId> {
        let at = self.position(id).ok()?.checked_sub(1)?;
        self.blocks.get(at).map(|block| block.id)
    }

    pub(crate) fn claim_mut(&mut self, id: ClaimId) -> Result<&mut Claim, Broken> {
        let claim = Arc::make_mut(&mut self.claims)
            .get_mut(&id)
            .ok_or_else(|| Broken(format!("there is no claim {id}")))?;
        Ok(Arc::make_mut(claim))
    }

    /// Adds an edition or withdrawal, which takes the next number.
    pub(crate) fn record(&mut self, edition: EditionRecord) -> Result<(), Broken> {
        if edition.number != self.next_edition() {
            return Err(Broken(format!(
                "edition {} where {} comes next",
                edition.number,
                self.next_edition()
            )));
        }
        self.editions.push(Arc::new(edition));
        Ok(())
    }

    /// The number of the next edition or withdrawal.
    pub fn next_edition(&self) -> u32 {
        self.last_edition().map_or(1, |edition| edition.number + 1)
    }

    /// At which revision a claimed place last changed, and by whom.
    pub(crate) fn last_change(&self, place: Place) -> (u32, String) {
        let change = match place {
            Place::Block(id) => match (self.block(id), self.deleted.get(&id)) {
                (Some(block), _) => Some((block.revision, &block.by)),
                (None, gone) => gone.map(|gone| (gone.revision, &gone.by)),
            },
            Place::Field(field) => {
                let name = match field {
                    ClaimField::Headline => FieldName::Headline,
                    ClaimField::Standfirst => FieldName::Standfirst,
                    ClaimField::Caption => FieldName::Image,
                };
                self.fields.get(name).map(|field| (field.revision, &field.by))
            }
        };
        change.map_or((self.revision, String::new()), |(revision, by)| (revision, by.to_string()))
    }

    /// The language, `und` where none is set.
    pub fn language(&self) -> &str {
        self.fields.line(FieldName::Language).unwrap_or("und")
    }

    /// The section.
    pub fn section(&self) -> Option<&str> {
        self.fields.line(FieldName::Section)
    }

    /// The last edition or withdrawal.
    pub fn last_edition(&self) -> Option<&EditionRecord> {
        self.editions.last().map(|edition| &**edition)
    }

    /// The last edition whose words went out.
    pub fn last_words_out(&self) -> Option<&EditionRecord> {
        let editions = self.editions.iter().rev().map(|edition| &**edition);
        editions.into_iter().find(|edition| edition.kind != EditionKind::Withdrawal)
    }

    /// What readers have.
    pub fn status(&self) -> Status {
        match self.last_edition().map(|edition| edition.kind) {
            None if self.schedule.is_some() => Status::Scheduled,
            None => Status::Unpublished,
            Some(EditionKind::Withdrawal) => Status::Withdrawn,
            Some(_) => Status::Published,
        }
    }

    /// Whether an edition is before readers now.
    pub fn is_out(&self) -> bool {
        self.last_edition().is_some_and(|edition| edition.kind != EditionKind::Withdrawal)
    }

    /// The stage of the working copy under these rules.
    pub fn stage(&self, rules: &Rules) -> Stage {
        if self.spiked {
            Stage::Spiked
        } else if !self.submitted {
            Stage::Draft
        } else if self.good_approvals() >= rules.approvals as usize {
            Stage::Approved
        } else {
            Stage::InReview
        }
    }

    /// How many approvals stand on the present words.
    pub fn good_approvals(&self) -> usize {
        if self.approvals.is_empty() {
            return 0;
        }
        let digest = crate::edition::words_digest(self);
        self.approvals.iter().filter(|approval| approval.digest == digest).count()
    }

    /// Every text with writers: of the fields, then of the blocks.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        let fields =
            [FieldName::Headline, FieldName::Standfirst].into_iter().filter_map(|f| self.fields.text(f));
        let image = self.fields.image().into_iter().flat_map(|image| [&image.alt, &image.caption]);
        fields.chain(image).chain(self.blocks.iter().flat_map(|block| block.content.texts()))
    }

    /// The queries that hold up publishing.
    pub fn blocking_queries(&self) -> impl Iterator<Item = &Arc<Query>> {
        self.queries.values().filter(|query| query.blocking && query.answer.is_none())
    }

    /// The next claim's id.
    pub fn next_claim(&self) -> ClaimId {
        ClaimId(self.claims.last_key_value().map_or(1, |(id, _)| id.0 + 1))
    }

    /// The next query's id.
    pub fn next_query(&self) -> QueryId {
        QueryId(self.queries.last_key_value().map_or(1, |(id, _)| id.0 + 1))
    }

    /// How much room texts and metadata take, in bytes of UTF-8.
    pub fn bytes(&self) -> usize {
        let fields: usize = self.fields.values().map(|(_, value)| value.words().len()).sum();
        let blocks: usize = self.blocks.iter().flat_map(|block| block.content.strings()).map(str::len).sum();
        fields + blocks
    }
}

fn no_block(id: BlockId) -> Broken {
    Broken(format!("there is no block {id}"))
}

impl Content<Text> {
    /// Every string of the block: words, addresses, credits.
    pub(crate) fn strings(&self) -> impl Iterator<Item = &str> {
        let runs = self.texts().flat_map(|text| text.runs());
        let runs = runs.flat_map(|run| [Some(&run.text), run.href.as_ref()]);
        let rest = match self {
            Content::Quote { cite, .. } => [cite.as_ref(), None, None],
            Content::Image { uri, credit, rights, .. } => [Some(uri), credit.as_ref(), rights.as_ref()],
            _ => [None, None, None],
        };
        runs.chain(rest).flatten().map(|string| string.as_str())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn is_empty<K, V>(map: &Arc<BTreeMap<K, V>>) -> bool {
    map.is_empty()
}
