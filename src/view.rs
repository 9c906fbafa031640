//! An article as newsroom tools read it: the JSON of `GET /v1/articles/{id}`.
//!
//! Texts stand with their marks, as they were sent. Beside what the contract names, each block and field says who
//! wrote which words (`runs`) and every edition is listed. A reader who may not see confidential evidence gets its
//! place and nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use copydesk_article::article::{
    Approval, Article, Block, EditionKind, EditionRecord, Query, QueryAnswer, Stage, Status,
};
use copydesk_article::claims::{Claim, ClaimKind, ClaimState, Evidence, Opened, Place, Ruling, Verdict};
use copydesk_article::edition::words_digest;
use copydesk_article::event::{Hash, Time};
use copydesk_article::fields::{Field, FieldName, Value};
use copydesk_article::gate::{Gate, gate};
use copydesk_article::ids::{BlockId, ClaimId, QueryId};
use copydesk_article::newsroom::Newsroom;
use copydesk_article::redaction::{Proposed, Redaction};
use copydesk_article::text::{Content, Run, Text, markdown, marks};
use copydesk_article::words::Words;
use copydesk_article::workflow::{Assignment, Held, Waiver};
use serde::Serialize;
use uuid::Uuid;

/// An article as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArticleView {
    /// The article.
    pub article: Uuid,
    /// How many events it has.
    pub version: u32,
    /// How many times its words or metadata changed.
    pub revision: u32,
    /// The working copy's stage under the rules in force.
    pub stage: Stage,
    /// What readers have.
    pub status: Status,
    /// The number of the newest edition or withdrawal.
    pub edition: Option<u32>,
    /// When it was drafted.
    pub drafted: Time,
    /// When its last event happened.
    pub updated: Time,
    /// The machines that had a hand in it: what is theirs among the names in `runs` and `by`.
    pub machines: BTreeSet<Arc<str>>,
    /// Every field that has a value.
    pub fields: BTreeMap<&'static str, serde_json::Value>,
    /// At which revision each field last changed, by whom, and who wrote which of its words.
    pub field_info: BTreeMap<&'static str, FieldInfo>,
    /// The body.
    pub blocks: Vec<BlockView>,
    /// The claims, in the order in which they were raised.
    pub claims: Vec<ClaimView>,
    /// The queries, in the order in which they were raised.
    pub queries: Vec<QueryView>,
    /// The approvals that nobody returned.
    pub approvals: Vec<ApprovalView>,
    /// Every edition and withdrawal so far.
    pub editions: Vec<EditionView>,
    /// The time before which nothing leaves.
    pub embargo: Option<Time>,
    /// The hour set for publication.
    pub schedule: Option<ScheduleView>,
    /// Why a scheduled publication didn't go out.
    pub held: Option<Held>,
    /// Who writes, edits and checks, and by when.
    pub assigned: Option<Assignment>,
    /// Who alone may see it, beside chiefs and auditors.
    pub restricted: Option<BTreeSet<Arc<str>>>,
    /// What chiefs lifted for this revision.
    pub waivers: Vec<Arc<Waiver>>,
    /// A redaction that waits for a second person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redaction_proposed: Option<Arc<Proposed>>,
    /// What was erased by law of its past: who, when, on what ground, and the versions that are marked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redactions: Vec<Arc<Redaction>>,
    /// What stands between the text and its readers.
    pub gate: Gate,
}

/// The hour set for publication.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScheduleView {
    /// The hour.
    pub at: Time,
    /// Who set it.
    pub by: Arc<str>,
    /// What it will be.
    pub kind: EditionKind,
    /// What readers will be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
}

/// What is known of a field beside its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldInfo {
    /// The revision at which it last changed.
    pub revision: u32,
    /// Who changed it.
    pub by: Arc<str>,
    /// Whether it is still a machine's: no person has rewritten all of its words since, or changed it last.
    pub machine: bool,
    /// Who wrote which words, for a field that is a text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Run>,
}

/// A block of the body: what it holds in the shape of the command, and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BlockView {
    /// Its id.
    pub id: BlockId,
    /// What it holds, texts with marks.
    #[serde(flatten)]
    pub content: Content<String>,
    /// The revision at which its content last changed.
    pub revision: u32,
    /// Who changed it.
    pub by: Arc<str>,
    /// Whether it is still a machine's: no person has rewritten all of its words since, or changed it last.
    pub machine: bool,
    /// Who wrote which words: a list for each text, in the order in which they are read.
    pub runs: Vec<Vec<Run>>,
}

/// A claim.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClaimView {
    /// Its id.
    pub id: ClaimId,
    /// The exact words claimed.
    pub quote: Words,
    /// The block they stand in, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockId>,
    /// The field they stand in, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    /// What sort of statement.
    pub kind: ClaimKind,
    /// Whom the text attributes it to.
    pub attributed_to: Option<Words>,
    /// Whether the story stands or falls with it.
    pub material: bool,
    /// Where it stands.
    pub state: ClaimState,
    /// The last verdict, stale or not.
    pub verdict: Option<Verdict>,
    /// The present words of its sentence, or the last ones.
    pub sentence: Words,
    /// What was cited.
    pub evidence: Vec<EvidenceView>,
    /// Who ruled last.
    pub ruled_by: Option<Arc<str>>,
    /// What the checker noted.
    pub note: Option<Words>,
    /// The sentence that was ruled on.
    pub ruled_sentence: Option<Words>,
    /// The article's version with the ruling.
    pub ruled_version: Option<u32>,
    /// Words that a ruling on it found false and that stand in the text, where it isn't on them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_false: Option<FoundFalseView>,
    /// Who raised it.
    pub raised_by: Arc<str>,
    /// Why it was dropped.
    pub dropped: Option<Words>,
}

/// Words that were found false and stand in the text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundFalseView {
    /// The verdict on them.
    pub verdict: Verdict,
    /// The words.
    pub sentence: Words,
    /// The article's version with the ruling.
    pub version: u32,
    /// The block they stand in, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockId>,
    /// The field they stand in, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
}

/// A piece of evidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvidenceView {
    /// What it is called.
    pub title: Option<Words>,
    /// Where it is.
    pub url: Option<Words>,
    /// SHA-256 of its content.
    pub sha256: Option<Hash>,
    /// What the checker noted.
    pub note: Option<Words>,
    /// Whether it is confidential; then what this reader may not see is null.
    pub confidential: bool,
    /// Why someone who may read it gets nothing of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unopened: Option<&'static str>,
    /// Who cited it.
    pub by: Arc<str>,
}

/// A query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueryView {
    /// Its id.
    pub id: QueryId,
    /// The question.
    pub text: Words,
    /// Who asked.
    pub by: Arc<str>,
    /// When.
    pub time: Time,
    /// Who should answer.
    pub to: Option<Arc<str>>,
    /// By when.
    pub due: Option<Time>,
    /// Whether it holds up publishing until it is answered.
    pub blocking: bool,
    /// The block it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockId>,
    /// The field it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<FieldName>,
    /// The answer.
    pub answer: Option<QueryAnswer>,
}

/// An approval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalView {
    /// Who approved.
    pub by: Arc<str>,
    /// The article's version with it.
    pub version: u32,
    /// Whether it stands on the present words.
    pub good: bool,
    /// What the editor noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
}

/// An edition or withdrawal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EditionView {
    /// Its number.
    pub number: u32,
    /// What it is.
    pub kind: EditionKind,
    /// The article's version with it.
    pub version: u32,
    /// The revision that went out.
    pub revision: u32,
    /// When.
    pub time: Time,
    /// What readers were told.
    pub note: Option<Words>,
}

/// An article as newsroom tools read it at a moment, its stage and gate under this newsroom's rules.
pub fn article(article: &Article, newsroom: &Newsroom, at: Time) -> ArticleView {
    let rules = newsroom.rules_for(article.section());
    let digest = if article.approvals.is_empty() { None } else { Some(words_digest(article)) };
    let set = || article.fields.0.iter().filter(|(_, field)| field.value.is_some());
    ArticleView {
        article: article.id,
        version: article.version,
        revision: article.revision,
        stage: article.stage(&rules),
        status: article.status(),
        edition: article.last_edition().map(|edition| edition.number),
        drafted: article.drafted,
        updated: article.updated,
        machines: article.machines.clone(),
        fields: article.fields.values().map(|(name, value)| (name.name(), value.shown())).collect(),
        field_info: set().map(|(name, field)| (name.name(), field_info(article, field))).collect(),
        blocks: article.blocks.iter().map(|block| block_view(article, block)).collect(),
        claims: article.claims.values().map(|claim| claim_view(claim)).collect(),
        queries: article.queries.values().map(|query| query_view(query)).collect(),
        approvals: article.approvals.iter().map(|approval| approval_view(approval, digest)).collect(),
        editions: article.editions.iter().map(|edition| edition_view(edition)).collect(),
        embargo: article.embargo,
        schedule: article.schedule.as_ref().map(|schedule| ScheduleView {
            at: schedule.at,
            by: Arc::clone(&schedule.by),
            kind: schedule.kind,
            note: schedule.note.clone(),
        }),
        held: article.held.clone(),
        assigned: Some(article.assignment.clone()).filter(|assignment| !assignment.is_empty()),
        restricted: article.restricted.as_ref().map(|restriction| restriction.people.clone()),
        waivers: article
            .waivers
            .iter()
            .filter(|waiver| waiver.revision == article.revision)
            .cloned()
            .collect(),
        redaction_proposed: article.proposed.clone(),
        redactions: article.redactions.clone(),
        gate: gate(article, newsroom, at),
    }
}

pub mod diff;
pub mod report;
pub mod said;

/// The body as Markdown. Sent back as it is, it changes nothing.
pub fn body_markdown(article: &Article) -> String {
    markdown::write(article.blocks.iter().map(|block| &block.content))
}

fn field_info(article: &Article, field: &Field) -> FieldInfo {
    let runs = match &field.value {
        Some(Value::Text(text)) => text.runs().to_vec(),
        _ => Vec::new(),
    };
    let machine = article.is_machines_field(field);
    FieldInfo { revision: field.revision, by: Arc::clone(&field.by), machine, runs }
}

fn block_view(article: &Article, block: &Block) -> BlockView {
    BlockView {
        id: block.id,
        content: block.content.clone().map(|text| marks::write(&text)),
        revision: block.revision,
        by: Arc::clone(&block.by),
        machine: article.is_machines_block(block),
        runs: block.content.texts().map(Text::runs).map(<[Run]>::to_vec).collect(),
    }
}

/// A place, as answers name it: a block or a field.
fn names(place: Place) -> (Option<BlockId>, Option<&'static str>) {
    match place {
        Place::Block(block) => (Some(block), None),
        Place::Field(field) => (None, Some(field.name())),
    }
}

fn claim_view(claim: &Claim) -> ClaimView {
    let (block, field) = names(claim.place);
    let ruling = claim.ruling.as_ref();
    let found_false = claim.found_false.and_then(|noted| {
        let Ruling { verdict, sentence, version, .. } = claim.ruling_of(noted.ruling)?;
        let (block, field) = names(noted.place);
        Some(FoundFalseView {
            verdict: *verdict,
            sentence: sentence.clone(),
            version: *version,
            block,
            field,
        })
    });
    ClaimView {
        id: claim.id,
        quote: claim.quote.clone(),
        block,
        field,
        kind: claim.kind,
        attributed_to: claim.attributed_to.clone(),
        material: claim.material,
        state: claim.state,
        verdict: ruling.map(|ruling| ruling.verdict),
        sentence: claim.sentence.clone(),
        evidence: claim.evidence.iter().map(evidence_view).collect(),
        ruled_by: ruling.map(|ruling| Arc::clone(&ruling.by)),
        note: ruling.and_then(|ruling| ruling.note.clone()),
        ruled_sentence: ruling.map(|ruling| ruling.sentence.clone()),
        ruled_version: ruling.map(|ruling| ruling.version),
        found_false,
        raised_by: Arc::clone(&claim.raised_by),
        dropped: claim.dropped.clone(),
    }
}

impl EvidenceView {
    /// Shows what was sealed to someone who may read it.
    pub fn open(&mut self, opened: Opened) {
        let Opened { title, url, sha256, note } = opened;
        (self.title, self.url, self.sha256, self.note) = (title, url, sha256, note);
    }
}

/// Sealed evidence has no title, URL, hash or note in the state: there is nothing of it to mask.
fn evidence_view(evidence: &Evidence) -> EvidenceView {
    EvidenceView {
        title: evidence.title.clone(),
        url: evidence.url.clone(),
        sha256: evidence.sha256,
        note: evidence.note.clone(),
        confidential: evidence.sealed.is_some(),
        unopened: None,
        by: Arc::clone(&evidence.by),
    }
}

fn query_view(query: &Query) -> QueryView {
    QueryView {
        id: query.id,
        text: query.text.clone(),
        by: Arc::clone(&query.by),
        time: query.time,
        to: query.to.clone(),
        due: query.due,
        blocking: query.blocking,
        block: query.block,
        field: query.field,
        answer: query.answer.clone(),
    }
}

fn approval_view(approval: &Approval, present: Option<Hash>) -> ApprovalView {
    ApprovalView {
        by: Arc::clone(&approval.by),
        version: approval.version,
        good: Some(approval.digest) == present,
        note: approval.note.clone(),
    }
}

fn edition_view(edition: &EditionRecord) -> EditionView {
    EditionView {
        number: edition.number,
        kind: edition.kind,
        version: edition.version,
        revision: edition.revision,
        time: edition.time,
        note: edition.note.clone(),
    }
}
