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
    words: Words,
    versions: Option<BTreeSet<u32>>,
    ground: Words,
}

/// `redact` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentRedact {
    /// The words that are to go, as they are written. No event keeps them.
    words: String,
    /// Only from the events with these versions; else from all.
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
    /// SHA-256 of the RFC 8785 form of the list of events that would take their place.
    pub replacements: Hash,
}

/// The words of `redact` and `confirm_redaction`, in the form in which texts keep them.
pub(super) fn phrase(sent: &str) -> Result<Words, Problem> {
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
    events.chain(wire).collect()
}

impl Decide for Redact {
    type Shape = SentRedact;
    const RIGHT: Right = Right { roles: &[Role::Chief], machine: false };

    fn read(data: &Node) -> Result<Self, Problem> {
        let sent: SentRedact = shape::object(data)?;
        let redact = Self {
            words: phrase(&sent.words)?,
            versions: sent.versions,
            ground: shape::remark("/data/ground", &sent.ground)?,
        };
        if redact.ground.contains(redact.words.as_str()) {
            let detail = "/data/ground: it holds the words, and is kept: say it without them";
            return Err(Problem::invalid("/data/ground", detail));
        }
        Ok(redact)
    }

    fn allowed(&self, _: &Case<'_>) -> Result<(), Problem> {
        Ok(())
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let found = redaction::find(case, &self.words, self.versions.as_ref())?;
        let data = RedactionProposed {
            answer: Said::default(),
            ground: self.ground.clone(),
            events: found.named(),
            replacements: found.digest(),
            wire: found.wire.clone(),
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
            replacements: self.replacements,
        }));
        Ok(())
    }
}
