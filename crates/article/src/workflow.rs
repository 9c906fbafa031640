//! What stands on an article beside its words: who works on it, when it may and shall go out, who may see it, and
//! what a chief lifted.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::article::{Article, EditionKind};
use crate::event::Time;
use crate::fields::FieldName;
use crate::gate::{Reason, ReasonCode};
use crate::ids::{self, BlockId, ClaimId, QueryId};
use crate::newsroom::{Person, PersonKind, Role};
use crate::words::Words;

/// Who works on an article, and by when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// Who writes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub writers: BTreeSet<Arc<str>>,
    /// Who edits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub editor: Option<Arc<str>>,
    /// Who checks.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub checkers: BTreeSet<Arc<str>>,
    /// By when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
}

impl Assignment {
    /// Whether nobody and no hour is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether someone has a part in it.
    pub fn names(&self, actor: &str) -> bool {
        self.writers.contains(actor) || self.checkers.contains(actor) || self.editor.as_deref() == Some(actor)
    }
}

/// Who alone may see an article, beside chiefs and auditors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restriction {
    /// Those named.
    pub people: BTreeSet<Arc<str>>,
    /// Who restricted it.
    pub by: Arc<str>,
}

/// An hour set for publication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The hour.
    pub at: Time,
    /// Who set it.
    pub by: Arc<str>,
    /// What the publication will be.
    pub kind: EditionKind,
    /// What readers will be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
    /// The event that set it, from which the clock's command id is derived.
    pub event: Uuid,
}

impl Schedule {
    /// The id of the command with which the clock carries this out: every instance derives the same.
    pub fn command(&self) -> Uuid {
        Uuid::new_v5(&ids::COMMANDS, format!("clock/{}", self.event.as_hyphenated()).as_bytes())
    }
}

/// Why a scheduled publication did not go out at its hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The hour that was set.
    pub at: Time,
    /// What stood in the way.
    pub reasons: Vec<Reason>,
}

/// A gate reason as a waiver names it: by its code, and by what it speaks of where that is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaivedReason {
    /// The reason's code.
    pub code: ReasonCode,
    /// The claim it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimId>,
    /// The query it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<QueryId>,
    /// The field it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The block it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockId>,
}

impl WaivedReason {
    /// Whether this names a reason.
    pub fn names(&self, reason: &Reason) -> bool {
        self.code == reason.code
            && self.claim.is_none_or(|claim| reason.claim == Some(claim))
            && self.query.is_none_or(|query| reason.query == Some(query))
            && self.block.is_none_or(|block| reason.block == Some(block))
            && self.field.as_deref().is_none_or(|field| reason.field.as_deref() == Some(field))
    }
}

impl From<&Reason> for WaivedReason {
    fn from(reason: &Reason) -> Self {
        let Reason { code, claim, query, field, block, detail: _ } = reason.clone();
        Self { code, claim, query, field, block }
    }
}

/// A chief's lifting of named gate reasons, for one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// Which reasons.
    pub reasons: Vec<WaivedReason>,
    /// Why.
    pub reason: Words,
    /// Who lifted them.
    pub by: Arc<str>,
    /// The revision for which they are lifted.
    pub revision: u32,
    /// The article's version with the waiver.
    pub version: u32,
}

/// Whether a chief may waive a reason at all: nothing that would put out what was found false, what must not go out
/// yet or at all, what no person saw, or a story without headline, section or body.
pub fn is_waivable(reason: &Reason, article: &Article) -> bool {
    match reason.code {
        ReasonCode::Embargoed | ReasonCode::Spiked | ReasonCode::MachineUnreviewed => false,
        ReasonCode::MissingField => {
            let always = [FieldName::Headline.name(), FieldName::Section.name(), "body"];
            !reason.field.as_deref().is_none_or(|field| always.contains(&field))
        }
        ReasonCode::VerdictAdverse => {
            let claim = reason.claim.and_then(|claim| article.claims.get(&claim));
            claim.is_some_and(|claim| {
                claim.found_false.is_none()
                    && claim.ruling.as_ref().is_none_or(|ruling| !ruling.verdict.is_adverse())
            })
        }
        _ => true,
    }
}

impl Restriction {
    /// Whether someone may see what is so restricted.
    pub fn admits(&self, actor: &str, person: &Person) -> bool {
        self.people.contains(actor)
            || *self.by == *actor
            || person.roles.iter().any(|role| matches!(role, Role::Chief | Role::Auditor))
    }
}

impl Article {
    /// Whether someone may see the article.
    pub fn may_be_seen_by(&self, actor: &str, person: &Person) -> bool {
        self.restricted.as_ref().is_none_or(|restriction| restriction.admits(actor, person))
    }

    /// Whether someone may read confidential evidence: those who check and edit this article, chiefs and auditors.
    /// A machine never may.
    pub fn may_open_evidence(&self, actor: &str, person: &Person) -> bool {
        let assigned =
            self.assignment.checkers.contains(actor) || self.assignment.editor.as_deref() == Some(actor);
        let may = person.holds(&[Role::Chief, Role::Auditor]) || assigned;
        person.kind == PersonKind::Person && may && self.may_be_seen_by(actor, person)
    }

    /// The waiver in force that lifts a reason, if there is one.
    pub fn waiver(&self, reason: &Reason) -> Option<&Waiver> {
        let in_force = |waiver: &&Arc<Waiver>| {
            waiver.revision == self.revision && waiver.reasons.iter().any(|named| named.names(reason))
        };
        self.waivers.iter().find(in_force).map(|waiver| &**waiver).filter(|_| is_waivable(reason, self))
    }
}
