//! `redact`: a chief proposes that words be erased by law. Nothing is erased before a second person confirms it.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::event::{Event, Hash, Said, Warning};
use crate::json::Node;
use crate::newsroom::Role;
use crate::problem::Problem;
use crate::redaction::{self, ErasedMessage, Found, Named, Proposed};
use crate::words::Words;

/// The data of `redact`.
#[derive(Debug, Clone, PartialEq)]
pub struct Redact {
    target: Target,
    ground: Words,
}

/// What is to go.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    /// Words, from the events with these versions or from all.
    Words(Words, Option<BTreeSet<u32>>),
    /// The confidential evidence that the events with these versions cited.
    Sealed(BTreeSet<u32>),
}

impl Target {
    pub fn read(words: Option<&str>, versions: Option<BTreeSet<u32>>) -> Result<Self, Problem> {
        match (words, versions) {
            (Some(words), versions) => Ok(Self::Words(phrase(words)?, versions)),
            (None, Some(versions)) if !versions.is_empty() => Ok(Self::Sealed(versions)),
            (None, _) => {
                let detail =
                    "/data/words: name the words, or the versions at which confidential evidence was cited";
                Err(Problem::invalid("/data/words", detail))
            }
        }
    }

    pub fn find(&self, case: &Case<'_>) -> Result<Found, Problem> {
        match self {
            Self::Words(words, versions) => redaction::find(case, words, versions.as_ref()),
            Self::Sealed(versions) => redaction::find_sealed(case, versions),
        }
    }
}

/// `redact` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentRedact {
    /// The words that are to go, as they are written. No event keeps them.
    words: Option<String>,
    /// Only from the events with these versions; else from all. Without words: the versions at which confidential
    /// evidence was cited, whose keys are destroyed.
    versions: Option<BTreeSet<u32>>,
    /// On what ground: kept, and shown to everyone who reads the article. It can't hold the words.
    ground: String,
}

/// A redaction was proposed. The event names what would be erased, and holds none of the words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedactionProposed {
    /// What the answer said.
    pub answer: Said,
    /// On what ground.
    pub ground: Words,
    /// Which events.
    pub events: Vec<Named>,
    /// Which messages of the wire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wire: Vec<ErasedMessage>,
    /// Which keys of confidential evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// SHA-256 of the RFC 8785 form of the list of events that would take their place.
    pub replacements: Hash,
}

/// The words of `redact` and `confirm_redaction`, in the form in which texts keep them.
fn phrase(sent: &str) -> Result<Words, Problem> {
    let words = shape::remark("/data/words", sent)?;
    let trimmed = words.trim();
    if trimmed.chars().count() < 2 || redaction::MARK.contains(trimmed) {
        return Err(Problem::invalid("/data/words", "/data/words: name two letters or more"));
    }
    Ok(trimmed.into())
}

/// What the sender is told of what goes.
pub(super) fn told(found: &Found) -> Vec<Warning> {
    let warning = |detail: String| Warning {
        code: "erases".to_owned(),
        detail,
        block: None,
        field: None,
        claim: None,
        query: None,
    };
    let events = found.events.iter().map(|erased| {
        warning(format!("the event of version {}, at {} in the log", erased.version, erased.seq))
    });
    let wire = found.wire.iter().map(|message| warning(format!("the wire's message at {}", message.seq)));
    let keys = found.keys.iter().map(|key| warning(format!("the confidential evidence under the key {key}")));
    events.chain(wire).chain(keys).collect()
}

impl Decide for Redact {
    type Shape = SentRedact;
    const RIGHT: Right = Right { roles: &[Role::Chief], machine: false };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentRedact = shape::object(data)?;
        let redact = Self {
            target: Target::read(sent.words.as_deref(), sent.versions)?,
            ground: shape::remark("/data/ground", &sent.ground)?,
        };
        if let Target::Words(words, _) = &redact.target
            && redact.ground.contains(words.as_str())
        {
            let detail = "/data/ground: it holds the words, and is kept: say it without them";
            return Err(Problem::invalid("/data/ground", detail));
        }
        Ok(redact)
    }

    fn allowed(&self, _: &Case<'_>) -> Result<(), Problem> {
        Ok(())
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let found = self.target.find(case)?;
        let data = RedactionProposed {
            answer: Said::default(),
            ground: self.ground.clone(),
            events: found.named(),
            replacements: found.digest(),
            wire: found.wire.clone(),
            keys: found.keys.clone(),
        };
        Ok(Outcome { warnings: told(&found), ..Data::RedactionProposed(Box::new(data)).into() })
    }
}

impl RedactionProposed {
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        article.proposed = Some(Arc::new(Proposed {
            by: Arc::clone(&event.actor),
            version: event.articleversion,
            ground: self.ground.clone(),
            events: self.events.clone(),
            wire: self.wire.clone(),
            keys: self.keys.clone(),
            replacements: self.replacements,
        }));
        Ok(())
    }
}
