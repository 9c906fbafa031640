//! Lawful erasure: which events hold the words, and what stands in the place of each so that the fold needs nothing
//! that is gone.
//!
//! An event that is erased leaves its hash in the log, and in a `redacted` event its replacement: the same event, the
//! words replaced by [`MARK`], without salt and `commandhash`. With these two the hash that is left could be used to
//! try out what the words were; without them nobody can, for the salt went with the bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::article::Article;
use crate::command::{Case, Data};
use crate::edition::{Edition, canonical_hash};
use crate::event::{self, Event, Hash, Hex, Read, Time};
use crate::ids::BlockId;
use crate::problem::{Code, Problem};
use crate::words::{Shown, Words};

/// What stands in the place of words that were erased, however long they were.
pub const MARK: &str = "█████";

/// Members whose values are no words: names of actors and kinds, ids, hashes, hours, and the subject that an article's
/// editions have on the wire for life, on which messages stand that can't be moved.
const NO_WORDS: &[&str] = &[
    "after",
    "at",
    "block",
    "by",
    "claim",
    "code",
    "due",
    "editor",
    "field",
    "id",
    "key",
    "keys",
    "kind",
    "language",
    "made",
    "op",
    "place",
    "query",
    "seq",
    "sha256",
    "specversion",
    "stage",
    "state",
    "status",
    "subject",
    "time",
    "to",
    "type",
    "until",
    "verdict",
    "writers",
    "checkers",
    "salt",
    "commandhash",
    "editiondigest",
    "digest",
    "words",
    "verdicts",
    "home",
    "actor",
    "actorkind",
    "command",
    "datacontenttype",
    "wire",
    "proposed_by",
    "replacements",
    "sealed",
];

/// What a redaction is worked out on, read by whoever asks for the decision: the article's own line, the wire's
/// messages about it, and its newest edition.
#[derive(Debug)]
pub struct Erasing {
    /// The article's events, in order, what was erased replaced.
    pub line: Vec<Standing>,
    /// The wire's messages about the article, as JSON.
    pub wire: Vec<OnTheWire>,
    /// What readers have.
    pub newest: Option<Edition>,
}

/// An event of the article's line.
#[derive(Debug)]
pub struct Standing {
    /// Its position in the log.
    pub seq: u64,
    /// SHA-256 of its stored bytes; none where a replacement stands in its place already.
    pub sha256: Option<Hash>,
    /// The event, or its replacement.
    pub event: Event,
}

/// A message of the wire.
pub struct OnTheWire {
    /// Its position on the wire.
    pub seq: u64,
    /// SHA-256 of its body.
    pub sha256: Hash,
    /// Its body.
    pub body: Value,
}

impl fmt::Debug for OnTheWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OnTheWire({})", self.seq)
    }
}

/// An event that is to be erased, as a proposal names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The article's version with it.
    pub version: u32,
    /// SHA-256 of its stored bytes.
    pub sha256: Hash,
}

/// An event that is erased.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Erased {
    /// The article's version with it.
    pub version: u32,
    /// Its position in the log.
    pub seq: u64,
    /// SHA-256 of the bytes that stood there.
    pub sha256: Hash,
    /// The event that takes its place in the fold: without the words, without salt and `commandhash`.
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub event: Shown,
}

/// A message that is erased from the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasedMessage {
    /// Its position on the wire.
    pub seq: u64,
    /// SHA-256 of the body that stood there.
    pub sha256: Hash,
}

/// A redaction that one person proposed and nobody has confirmed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposed {
    /// Who proposed it.
    pub by: Arc<str>,
    /// The article's version with the proposal.
    pub version: u32,
    /// On what ground.
    pub ground: Words,
    /// Which events.
    pub events: Vec<Named>,
    /// Which messages of the wire.
    pub wire: Vec<ErasedMessage>,
    /// Which keys of confidential evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Digest of what would stand in their place: the same words give the same.
    pub replacements: Hash,
}

/// What an article keeps of a redaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redaction {
    /// The article's version with it.
    pub version: u32,
    /// When.
    pub time: Time,
    /// Who proposed it.
    pub proposed_by: Arc<str>,
    /// Who confirmed it.
    pub confirmed_by: Arc<str>,
    /// On what ground.
    pub ground: Words,
    /// The versions whose events were erased.
    pub versions: Vec<u32>,
}

/// What holds the words, and what would stand in its place.
#[derive(Debug)]
pub(crate) struct Found {
    pub events: Vec<Erased>,
    pub wire: Vec<ErasedMessage>,
    /// Keys of confidential evidence that are destroyed.
    pub keys: Vec<String>,
}

impl Found {
    pub fn named(&self) -> Vec<Named> {
        let named = |erased: &Erased| Named { version: erased.version, sha256: erased.sha256 };
        self.events.iter().map(named).collect()
    }

    /// Digest of what would stand in the place of the events. There is no word in it, so it tells none.
    pub fn digest(&self) -> Hash {
        canonical_hash(&self.events.iter().map(|erased| erased.event.value().clone()).collect())
    }
}

/// Finds everything that holds the words, and works out what would stand in its place.
///
/// # Errors
/// `wrong_stage`, `wrong_status` where the words still stand in the text or before readers, `nothing_new` where no
/// event holds them, `invalid` where the article can't be folded without them.
pub(crate) fn find(case: &Case<'_>, words: &str, versions: Option<&BTreeSet<u32>>) -> Result<Found, Problem> {
    let erasing = case
        .context
        .erasing
        .ok_or_else(|| Problem::new(Code::LogUnavailable, "the article's line can't be had now"))?;
    standing(case.article, erasing, words)?;
    let mut found = Found { events: Vec::new(), wire: Vec::new(), keys: Vec::new() };
    let mut folded: Option<Article> = None;
    for Standing { seq, sha256, event } in &erasing.line {
        let asked = versions.is_none_or(|versions| versions.contains(&event.articleversion));
        let replaced = match sha256 {
            Some(sha256) if asked => replacement(event, words)?.map(|(event, shown)| (event, shown, *sha256)),
            _ => None,
        };
        let event = match replaced {
            Some((event, shown, sha256)) => {
                let version = event.articleversion;
                found.events.push(Erased { version, seq: *seq, sha256, event: shown });
                &event.clone()
            }
            None => event,
        };
        folded = Some(Article::evolve(folded.as_ref(), event).map_err(|_| needed())?);
    }
    if found.events.is_empty() {
        return Err(Problem::new(
            Code::NothingNew,
            "no event of the article holds these words, as they are written",
        ));
    }
    if !folded.is_some_and(|folded| same_text(&folded, case.article)) {
        return Err(needed());
    }
    let holding = erasing.wire.iter().filter(|message| published(&message.body, words));
    found.wire = holding.map(|message| ErasedMessage { seq: message.seq, sha256: message.sha256 }).collect();
    Ok(found)
}

/// Finds the keys of the confidential evidence that these versions cited: no words are found in what is sealed, but
/// its key can be destroyed, and its event may stay.
///
/// # Errors
/// `invalid` where another event has one of these versions.
pub(crate) fn find_sealed(case: &Case<'_>, versions: &BTreeSet<u32>) -> Result<Found, Problem> {
    let erasing = case
        .context
        .erasing
        .ok_or_else(|| Problem::new(Code::LogUnavailable, "the article's line can't be had now"))?;
    let mut keys = Vec::new();
    for version in versions {
        let event = erasing.line.iter().map(|standing| &standing.event);
        let sealed =
            event.filter(|event| event.articleversion == *version).find_map(|event| match &event.data {
                Data::EvidenceCited(cited) => cited.evidence.sealed.as_ref(),
                _ => None,
            });
        let sealed = sealed.ok_or_else(|| {
            let detail = format!(
                "/data/versions: no confidential evidence was cited at version {version}: name words"
            );
            Problem::invalid("/data/versions", detail)
        })?;
        keys.push(sealed.key.clone());
    }
    Ok(Found { events: Vec::new(), wire: Vec::new(), keys })
}

/// That the words no longer stand in the text, nor before readers.
fn standing(article: &Article, erasing: &Erasing, words: &str) -> Result<(), Problem> {
    let field = article.fields.0.iter().find(|(_, field)| {
        field
            .value
            .as_ref()
            .is_some_and(|value| holds(&serde_json::to_value(value).unwrap_or_default(), words))
    });
    if let Some((name, _)) = field {
        let detail = format!("the words stand in the article's {}: edit it first", name.name());
        return Err(Problem::new(Code::WrongStage, detail));
    }
    let block = article
        .blocks
        .iter()
        .find(|block| holds(&serde_json::to_value(&block.content).unwrap_or_default(), words));
    if let Some(block) = block {
        let BlockId(_) = block.id;
        let detail = format!("the words stand in block {}: edit it first", block.id);
        return Err(Problem::new(Code::WrongStage, detail));
    }
    // What readers have is never erased: nobody could show or send it again.
    let is_out = erasing.wire.last().is_some_and(|message| published(&message.body, words));
    if is_out || erasing.newest.as_ref().is_some_and(|edition| holds(&edition.plain_form(), words)) {
        let detail = "readers have the words in the newest edition: publish one without them, or withdraw it";
        return Err(Problem::new(Code::WrongStatus, detail));
    }
    Ok(())
}

fn needed() -> Problem {
    let detail = "/data/words: the article can't be folded without these words: name more, or fewer";
    Problem::invalid("/data/words", detail)
}

/// Whether two states have the same words by the same writers, and go out under the same subject.
fn same_text(a: &Article, b: &Article) -> bool {
    a.version == b.version && a.fields == b.fields && a.blocks == b.blocks && a.home == b.home
}

/// An event without the words, as it folds and as it is kept; none where it doesn't hold them.
fn replacement(event: &Event, words: &str) -> Result<Option<(Event, Shown)>, Problem> {
    // Those named by `restrict` are actors.
    if matches!(event.data, Data::Restricted(_)) {
        return Ok(None);
    }
    let mut data = serde_json::to_value(&event.data).map_err(|_| needed())?;
    if !replace(&mut data, words) {
        return Ok(None);
    }
    let kept = Event { salt: Hex([0; 16]), commandhash: Hex([0; 32]), ..event.clone() };
    let value = serde_json::to_value(kept.with(data)).map_err(|_| needed())?;
    let event = read(&event.subject, &value).ok_or_else(needed)?;
    Ok(Some((event, Shown::from(value))))
}

fn read(subject: &str, value: &Value) -> Option<Event> {
    match event::read(subject, &serde_json::to_vec(value).ok()?) {
        Read::Event(event) => Some(*event),
        _ => None,
    }
}

/// What stands in the place of erased events, by position, of a whole line of events in their order. The newest
/// redaction has the last word, on the replacements of earlier ones too.
pub fn replacements<'a>(
    line: impl DoubleEndedIterator<Item = (u64, Option<&'a Event>)>,
) -> BTreeMap<u64, Event> {
    let mut all: BTreeMap<u64, Event> = BTreeMap::new();
    for (seq, event) in line.rev() {
        let replaced = all.get(&seq).cloned();
        let Some(event) = replaced.as_ref().or(event) else { continue };
        let Data::Redacted(redacted) = &event.data else { continue };
        for erased in &redacted.events {
            if let Some(event) = read(&event.subject, erased.event.value()) {
                all.entry(erased.seq).or_insert(event);
            }
        }
    }
    all
}

/// Whether any text in a value holds the words.
pub fn holds(value: &Value, words: &str) -> bool {
    match value {
        Value::String(text) => text.contains(words),
        Value::Array(items) => match runs(items) {
            Some(text) if text.contains(words) => true,
            _ => items.iter().any(|item| holds(item, words)),
        },
        Value::Object(members) => {
            members.iter().any(|(name, value)| !is_no_words(name, value) && holds(value, words))
        }
        _ => false,
    }
}

/// Members of a message of the wire, at its top, whose values are no words.
const NO_WORDS_ON_WIRE: &[&str] = &[
    "uri",
    "standard",
    "type",
    "representationType",
    "pubStatus",
    "version",
    "firstCreated",
    "versionCreated",
    "language",
];

/// Whether a message of the wire holds the words: as they stand, between marks of its XHTML, or in an address.
fn published(ninjs: &Value, words: &str) -> bool {
    let members = ninjs.as_object().into_iter().flatten();
    members
        .filter(|(name, _)| !NO_WORDS_ON_WIRE.contains(&name.as_str()))
        .any(|(_, value)| shows(value, words))
}

fn shows(value: &Value, words: &str) -> bool {
    match value {
        Value::String(text) => {
            let forms = || [unescaped(text), unescaped(&without_tags(text)), decoded(text)];
            text.contains(words)
                || (text.contains(['<', '&', '%']) && forms().iter().any(|form| form.contains(words)))
        }
        Value::Array(items) => items.iter().any(|item| shows(item, words)),
        Value::Object(members) => members.values().any(|member| shows(member, words)),
        _ => false,
    }
}

/// XHTML's text alone.
fn without_tags(xhtml: &str) -> String {
    let mut parts = xhtml.split('<');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('>').map_or(part, |(_, after)| after))
}

/// Text without XML's own escapes.
fn unescaped(text: &str) -> String {
    let plain =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&apos;", "'"), ("&#39;", "'")];
    let text = plain.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain));
    text.replace("&amp;", "&")
}

/// An address without its percent-encoding (RFC 3986, 2.1).
fn decoded(address: &str) -> String {
    let hex = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let (mut bytes, mut rest) = (Vec::with_capacity(address.len()), address.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let encoded = after.get(..2).filter(|_| *first == b'%').and_then(hex);
        bytes.push(encoded.unwrap_or(*first));
        rest = encoded.and(after.get(2..)).unwrap_or(after);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Puts the mark in the place of the words, wherever they stand; whether they stood anywhere.
fn replace(value: &mut Value, words: &str) -> bool {
    match value {
        Value::String(text) => {
            let found = text.contains(words);
            if found {
                *text = text.replace(words, MARK);
            }
            found
        }
        Value::Array(items) => {
            let mut found = false;
            if let Some(text) = runs(items).filter(|text| text.contains(words)) {
                replace_in_runs(items, &text, words);
                found = true;
            }
            items.iter_mut().fold(found, |found, item| replace(item, words) || found)
        }
        Value::Object(members) => members
            .iter_mut()
            .filter(|(name, value)| !is_no_words(name, value))
            .fold(false, |found, (_, value)| replace(value, words) || found),
        _ => false,
    }
}

fn is_no_words(name: &str, value: &Value) -> bool {
    NO_WORDS.contains(&name) && (value.is_string() || value.is_array())
}

/// The text of a list of runs, where it is one.
fn runs(items: &[Value]) -> Option<String> {
    let text = |item: &Value| item.get("by").and(item.get("text")).and_then(Value::as_str).map(str::to_owned);
    items
        .iter()
        .map(text)
        .collect::<Option<Vec<_>>>()
        .filter(|texts| !texts.is_empty())
        .map(|texts| texts.concat())
}

/// Replaces words that may run over several runs: the mark takes the marks and the writer of the run in which they
/// begin. A run of which nothing is left goes.
fn replace_in_runs(items: &mut Vec<Value>, text: &str, words: &str) {
    let taken: Vec<(usize, usize)> =
        text.match_indices(words).map(|(start, found)| (start, start + found.len())).collect();
    let mut start = 0;
    for item in items.iter_mut() {
        let Some(Value::String(run)) = item.get_mut("text") else { continue };
        let end = start + run.len();
        let mut left = String::new();
        let mut at = start;
        for (from, to) in taken.iter().filter(|(from, to)| *from < end && start < *to) {
            left.push_str(text.get(at..(*from).max(at)).unwrap_or_default());
            if *from >= start {
                left.push_str(MARK);
            }
            at = (*to).min(end);
        }
        left.push_str(text.get(at..end).unwrap_or_default());
        start = end;
        *run = left;
    }
    items.retain(|item| item.get("text").and_then(Value::as_str) != Some(""));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::command::testing::Desk;

    fn replaced(mut value: Value, words: &str) -> Value {
        assert_eq!(replace(&mut value, words), holds(&value, MARK), "{value}");
        assert!(!holds(&value, words));
        value
    }

    #[test]
    fn words_are_replaced_over_the_edges_of_runs() {
        let run = |text: &str, by: &str| json!({"text": text, "by": by});
        let text =
            json!([run("Mr Jo", "ana"), run("h", "eva"), run("n Doe and Jo", "ana"), run("hn Doe.", "eva")]);
        let left = json!([run("Mr █████", "ana"), run(" and █████", "ana"), run(".", "eva")]);
        assert_eq!(replaced(text.clone(), "John Doe"), left);
        assert_eq!(replaced(text.clone(), "John Doex"), text);
        let arabic = json!({"blocks": [[run("قال محم", "ana"), run("د علي", "eva")]], "note": "محمد"});
        assert_eq!(
            replaced(arabic, "محمد"),
            json!({"blocks": [[run("قال █████", "ana"), run(" علي", "eva")]], "note": MARK})
        );
    }

    #[test]
    fn words_are_found_on_the_wire_whatever_carries_them() {
        let ninjs = json!({
            "uri": "urn:uuid:x", "version": "17", "versionCreated": "2026-11-17T10:00:00Z", "by": "Jane Roe",
            "bodies": [
                {"contentType": "text/plain", "value": "Mr John Doe said so."},
                {"contentType": "application/xhtml+xml",
                 "value": "<div><p>Of <em>M</em>ax &amp; Moritz</p><img src=\"a\" alt=\"A &quot;cat&quot;\" /></div>"},
            ],
            "associations": [{"name": "image", "by": "The agency", "uri": "https://x.test/Mary%20Major.jpg"}],
        });
        for words in ["Jane Roe", "John Doe", "Max & Moritz", "A \"cat\"", "The agency", "Mary Major"] {
            assert!(published(&ninjs, words), "{words}");
        }
        for words in ["17", "2026-11", "urn:uuid", "John Roe"] {
            assert!(!published(&ninjs, words), "{words}");
        }
    }

    #[test]
    fn names_of_actors_and_kinds_stay() {
        let value = json!({"by": "ana", "kind": "fact", "note": "ana: a fact", "runs": [{"text": "fact", "by": "fact"}]});
        let left = json!({"by": "ana", "kind": "fact", "note": "ana: a █████", "runs": [{"text": MARK, "by": "fact"}]});
        assert_eq!(replaced(value, "fact"), left);
    }

    #[test]
    fn the_newest_message_of_the_wire_keeps_its_words_and_those_before_it_need_not() {
        let desk = Desk::published(&["One."]);
        let message = |seq, alt: &str| OnTheWire {
            seq,
            sha256: Hex([0; 32]),
            body: json!({"bodies": [{"value": format!("<img src=\"a\" alt=\"{alt}\" />")}]}),
        };
        let standing = |wire| {
            let erasing = Erasing { line: Vec::new(), wire, newest: None };
            standing(desk.state(), &erasing, "John Doe").map_err(|problem| problem.code)
        };
        assert_eq!(standing(vec![message(1, "John Doe"), message(2, "A man")]), Ok(()));
        assert_eq!(standing(vec![message(1, "A man"), message(2, "John Doe")]), Err(Code::WrongStatus));
    }
}
