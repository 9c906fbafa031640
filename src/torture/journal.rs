//! What the tools of a run were told and what was seen from outside: the half of the evidence that the log doesn't hold.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::merkle::Hash;

/// Members of JSON, null where they are not.
pub(super) trait Members {
    fn at(&self, name: &str) -> &Value;
    fn text(&self, name: &str) -> &str;
    fn number(&self, name: &str) -> u64;
    fn list(&self, name: &str) -> &[Value];
}

impl Members for Value {
    fn at(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }

    fn text(&self, name: &str) -> &str {
        self.at(name).as_str().unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.at(name).as_u64().unwrap_or_default()
    }

    fn list(&self, name: &str) -> &[Value] {
        self.at(name).as_array().map_or(&[], Vec::as_slice)
    }
}

/// What became of one sending of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Answered with success.
    Accepted(Value),
    /// Answered, and not written by this sending.
    Refused {
        /// The status.
        status: u16,
        /// The `code`.
        code: String,
    },
    /// No answer, or one that leaves open whether it was written.
    Unknown,
}

/// The statuses that ask the sender to come again.
pub const AGAIN: [u16; 2] = [429, 503];

/// A command, and what became of each sending of it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Who sent it.
    pub actor: String,
    /// The command as it was sent, its id and type with it.
    pub command: Value,
    /// How often it was sent. Where fewer outcomes are known, the others are open.
    pub sendings: usize,
    /// What became of them, in the order of their answers.
    pub outcomes: Vec<Outcome>,
    /// The codes of refusals of sendings that began once another had been answered with success.
    pub refused_after: Vec<String>,
}

impl Sent {
    /// A command that was not sent yet.
    pub fn new(actor: &str, command: &Value) -> Self {
        let (actor, command) = (actor.to_owned(), command.clone());
        Self { actor, command, sendings: 0, outcomes: Vec::new(), refused_after: Vec::new() }
    }

    /// Notes what became of a sending; with it whether another had been answered with success before it began. Whom the
    /// service asks to come again isn't refused.
    pub fn note(&mut self, outcome: Outcome, was_accepted: bool) {
        match &outcome {
            Outcome::Refused { status, code } if was_accepted && !AGAIN.contains(status) => {
                self.refused_after.push(code.clone());
            }
            _ => {}
        }
        self.outcomes.push(outcome);
    }

    /// The command's id.
    pub fn id(&self) -> Option<Uuid> {
        self.command.text("id").parse().ok()
    }

    /// Whether it only asked what would be.
    pub fn is_try(&self) -> bool {
        self.command.at("try") == &Value::Bool(true)
    }

    /// The answers of success.
    pub fn accepted(&self) -> impl Iterator<Item = &Value> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Accepted(answer) => Some(answer),
            _ => None,
        })
    }

    /// Whether a sending may have been written.
    pub fn may_be_written(&self) -> bool {
        let open = self.outcomes.len() < self.sendings || self.outcomes.contains(&Outcome::Unknown);
        !self.is_try() && (open || self.accepted().next().is_some())
    }
}

/// An article as an instance showed it while the run was under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Which instance.
    pub instance: usize,
    /// The article.
    pub article: Uuid,
    /// At which version.
    pub version: u32,
    /// Hash of what was shown, as [`essence`] has it.
    pub digest: Hash,
}

/// A message that a subscriber of the wire got while the run was under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its position on the wire.
    pub position: u64,
    /// The event that it says it is of.
    pub event: String,
    /// SHA-256 of its body.
    pub body: Hash,
}

/// An edition that a reader of `/stream` got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streamed {
    /// Its event's position in the log.
    pub seq: u64,
    /// Hash of its ninjs, whatever the spacing.
    pub body: Hash,
    /// When the reader took it.
    pub time: DateTime<Utc>,
}

/// What staff were told of an event by `/v1/stream`.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The event's position in the log.
    pub seq: u64,
    /// What was told.
    pub told: Value,
}

/// A message that a receiver of webhooks got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Which receiver, by its name in the configuration.
    pub receiver: &'static str,
    /// The event that it says it is of.
    pub event: String,
    /// SHA-256 of its body.
    pub body: Hash,
    /// Whether its signature was that of its bytes.
    pub is_signed: bool,
    /// Whether it was answered with success.
    pub is_taken: bool,
}

/// A checkpoint that an instance gave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Which instance.
    pub instance: usize,
    /// How many events it is of.
    pub size: u64,
    /// The root.
    pub root: Hash,
}

/// Where a word was first seen outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// On which route, or in which log.
    pub place: String,
    /// When.
    pub time: DateTime<Utc>,
    /// When it was last sent to anybody, as far as that can be told.
    pub last: DateTime<Utc>,
}

/// Everything that was told and seen.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    /// Every command that was sent.
    pub sent: Vec<Sent>,
    /// Articles as they were shown.
    pub seen: Vec<Seen>,
    /// What a subscriber of the wire got, in its order.
    pub received: Vec<Received>,
    /// Whether there is one.
    pub subscribed: bool,
    /// Why it could not follow the wire when it last couldn't.
    pub unsubscribed: Option<String>,
    /// What each reader of `/stream` got, from its beginning, in its order, over all its connections.
    pub streamed: Vec<Vec<Streamed>>,
    /// What each of the staff who follow `/v1/stream` was told, likewise.
    pub moved: Vec<Vec<Moved>>,
    /// The receivers of webhooks that take what they are sent, at last.
    pub receivers: Vec<&'static str>,
    /// What they got, in their order.
    pub delivered: Vec<Delivered>,
    /// Checkpoints, in the order in which they were given out.
    pub kept: Vec<Kept>,
    /// Every marked word that was seen outside.
    pub outside: BTreeMap<String, Outside>,
    /// When everything was found at rest.
    pub rests: Vec<DateTime<Utc>>,
    /// How many bytes were read from outside.
    pub bytes_outside: u64,
    /// What went wrong with the instances themselves: a panic, an end that nobody asked for.
    pub conduct: Vec<String>,
}

impl Journal {
    /// How much the readers of streams have read, all of them.
    pub fn read_of_streams(&self) -> usize {
        self.streamed.iter().map(Vec::len).chain(self.moved.iter().map(Vec::len)).sum()
    }

    /// Notes every marked word of a text that came from outside.
    pub fn saw_outside(&mut self, place: &str, text: &str, time: DateTime<Utc>) {
        self.bytes_outside += text.len() as u64;
        for word in marked(text) {
            let outside = || Outside { place: place.to_owned(), time, last: time };
            self.outside.entry(word.to_owned()).or_insert_with(outside).last = time;
        }
    }

    /// The same of what was sent nobody knows when: it lay on its way, or somewhere.
    pub fn saw_late(&mut self, place: &str, text: &str, time: DateTime<Utc>) {
        self.bytes_outside += text.len() as u64;
        for word in marked(text) {
            let outside = || Outside { place: place.to_owned(), time, last: time };
            self.outside.entry(word.to_owned()).or_insert_with(outside);
        }
    }
}

/// How a marked word begins; twelve hex digits follow.
pub const MARK: &str = "wx";
const DIGITS: usize = 12;

/// A marked word of a number: no other text of a run has such.
pub fn mark(number: u64) -> String {
    format!("{MARK}{:012x}", number & 0xffff_ffff_ffff)
}

/// Every marked word in a text.
pub fn marked(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(MARK).filter_map(|(at, _)| {
        let word = text.get(at..at + MARK.len() + DIGITS)?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        word.bytes().skip(MARK.len()).all(is_digit).then_some(word)
    })
}

/// What of a shown article must be the same wherever and whenever it is shown at a version.
const ESSENTIAL: &[&str] = &[
    "article",
    "version",
    "revision",
    "stage",
    "status",
    "edition",
    "drafted",
    "updated",
    "machines",
    "fields",
    "field_info",
    "blocks",
    "claims",
    "queries",
    "approvals",
    "editions",
    "embargo",
    "schedule",
    "held",
    "assigned",
    "restricted",
    "waivers",
    "redaction_proposed",
    "redactions",
];

/// That part of a shown article: nothing that turns on the clock, or on who is reading.
pub fn essence(shown: &Value) -> Value {
    let mut essence: serde_json::Map<String, Value> =
        ESSENTIAL.iter().map(|name| ((*name).to_owned(), shown.at(name).clone())).collect();
    if let Some(claims) = essence.get_mut("claims").and_then(Value::as_array_mut) {
        let evidence =
            claims.iter_mut().filter_map(|claim| claim.get_mut("evidence")?.as_array_mut()).flatten();
        for evidence in evidence.filter(|evidence| evidence.at("confidential") == &Value::Bool(true)) {
            *evidence = json!({"confidential": true, "by": evidence.at("by")});
        }
    }
    Value::Object(essence)
}

/// The hash of a JSON value, however it is written.
pub fn digest(value: &Value) -> Hash {
    Sha256::digest(serde_json_canonicalizer::to_vec(value).unwrap_or_default()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_words_are_found_wherever_they_stand() {
        let text = format!("قال {} wx12 x{}。{}", mark(7), mark(u64::MAX), "wx00000000000G");
        assert_eq!(marked(&text).collect::<Vec<_>>(), ["wx000000000007", "wxffffffffffff"]);
    }

    #[test]
    fn the_essence_leaves_out_who_is_reading_and_when() {
        let evidence = json!([{"title": "A"}, {"title": "B", "confidential": true, "by": "ana"}]);
        let shown =
            json!({"version": 3, "gate": {"open": true}, "claims": [{"id": "c1", "evidence": evidence}]});
        let essence = essence(&shown);
        let evidence = json!([{"title": "A"}, {"confidential": true, "by": "ana"}]);
        assert_eq!(essence.at("claims"), &json!([{"id": "c1", "evidence": evidence}]));
        assert_eq!((essence.at("version"), essence.get("gate")), (&json!(3), None));
    }
}
