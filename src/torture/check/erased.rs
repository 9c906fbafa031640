//! What was erased by law: which events and messages of the wire are rightly gone, and what stands in their place; that
//! nothing else is gone, and that the words are nowhere any more.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use copydesk_article::command::Data;
use copydesk_article::event::{self, Event, Read};
use copydesk_article::ids::parse_uuid;
use copydesk_article::redaction::{MARK, replacements};
use uuid::Uuid;

use super::{Checked, Evidence, What};
use crate::log::{Content, Entry, Seq};
use crate::merkle::Hash;
use crate::torture::journal::{Journal, Members, marked};

/// After so many rests since a redaction, nobody gets the words any more.
const RESTS: usize = 2;

/// An event that is rightly gone.
#[derive(Debug)]
pub(super) struct Gone {
    /// Of the bytes that stood there.
    pub(super) sha256: Hash,
    /// What stands in its place.
    pub(super) event: Event,
}

/// Words that were erased.
#[derive(Debug)]
struct Erased {
    article: Uuid,
    /// The event that says so.
    seq: Seq,
    time: DateTime<Utc>,
}

/// All that was erased.
#[derive(Debug, Default)]
pub(super) struct Erasures {
    events: BTreeMap<Seq, Gone>,
    wire: BTreeMap<Seq, Hash>,
    words: BTreeMap<String, Erased>,
    by_article: BTreeMap<Uuid, Vec<String>>,
    /// Erased words that somebody sent anew since.
    again: BTreeSet<String>,
}

/// Whether something that a redaction names still stands: whoever comes to the event erases it.
pub(in crate::torture) fn stands(events: &[Entry], wire: &[Entry]) -> bool {
    let erasures = Erasures::of(events, &Journal::default());
    let is_there = |entry: &Entry| matches!(entry.content, Content::Message { .. });
    events.iter().any(|entry| is_there(entry) && erasures.events.contains_key(&entry.seq))
        || wire.iter().any(|entry| is_there(entry) && erasures.wire.contains_key(&entry.seq))
}

impl Erasures {
    pub(super) fn of(events: &[Entry], journal: &Journal) -> Self {
        let mut lines: BTreeMap<&str, Vec<(Seq, Option<Event>)>> = BTreeMap::new();
        for entry in events.iter().filter(|entry| may_redact(entry)) {
            lines.entry(&entry.subject).or_default();
        }
        for entry in events {
            if let Some(line) = lines.get_mut(&*entry.subject) {
                line.push((entry.seq, read(entry)));
            }
        }
        let mut erasures = Self::default();
        for (subject, line) in &lines {
            let Some(article) = parse_uuid(subject) else { continue };
            let instead = replacements(line.iter().map(|(seq, event)| (*seq, event.as_ref())));
            for (seq, event) in line {
                if let Some(event) = instead.get(seq).or(event.as_ref()) {
                    erasures.note(article, *seq, event, &instead, journal);
                }
            }
        }
        erasures
    }

    fn note(
        &mut self,
        article: Uuid,
        seq: Seq,
        event: &Event,
        instead: &BTreeMap<Seq, Event>,
        journal: &Journal,
    ) {
        let Data::Redacted(redacted) = &event.data else { return };
        for erased in &redacted.events {
            if let Some(event) = instead.get(&erased.seq) {
                self.events.insert(erased.seq, Gone { sha256: erased.sha256.0, event: event.clone() });
            }
        }
        self.wire.extend(redacted.wire.iter().map(|message| (message.seq, message.sha256.0)));
        let of = |sent: &&crate::torture::journal::Sent| {
            sent.id() == Some(event.command) && sent.command.text("type") == "confirm_redaction"
        };
        if let Some(sent) = journal.sent.iter().find(of) {
            let words = sent.command.at("data").text("words").to_owned();
            self.by_article.entry(article).or_default().push(words.clone());
            self.words.insert(words, Erased { article, seq, time: event.time });
        }
    }

    /// What stands in the place of an event that is rightly gone.
    pub(super) fn event(&self, seq: Seq, sha256: Option<Hash>) -> Option<&Event> {
        self.events.get(&seq).filter(|gone| Some(gone.sha256) == sha256).map(|gone| &gone.event)
    }

    /// Whether a message of the wire is rightly gone.
    pub(super) fn message(&self, seq: Seq, sha256: Option<Hash>) -> bool {
        sha256.is_some() && self.wire.get(&seq).copied() == sha256
    }

    /// The words that were erased of an article.
    pub(super) fn words_of(&self, article: Uuid) -> &[String] {
        self.by_article.get(&article).map_or(&[], Vec::as_slice)
    }

    /// Whether words of an article were erased by an event after this position.
    pub(super) fn comes_after(&self, article: Uuid, seq: Seq) -> bool {
        self.words.values().any(|erased| erased.article == article && erased.seq > seq)
    }

    /// Of these words, those that were erased.
    pub(super) fn among(&self, article: Uuid, texts: impl Iterator<Item = String>) -> BTreeSet<String> {
        let erased = self.words_of(article);
        if erased.is_empty() {
            return BTreeSet::new();
        }
        let words = texts.flat_map(|text| marked(&text).map(str::to_owned).collect::<Vec<_>>());
        words.filter(|word| erased.contains(word)).collect()
    }

    /// Looks at an event that stands: nothing that a redaction names does, and its words stand in none before it, nor
    /// after it unless somebody sent them anew.
    pub(super) fn standing(
        &mut self,
        entry: &Entry,
        body: &[u8],
        sent: impl Fn() -> Option<String>,
        checked: &mut Checked,
    ) {
        if self.words.is_empty() {
            return;
        }
        checked.checks += 1;
        let article = parse_uuid(&entry.subject);
        if self.events.contains_key(&entry.seq) {
            checked.found(What::NotErased, article, Some(entry.seq), "a redaction names it, and it stands");
            return;
        }
        for word in marked(&String::from_utf8_lossy(body)) {
            let Some(erased) = self.words.get(word) else { continue };
            if entry.seq > erased.seq && sent().is_some_and(|command| command.contains(word)) {
                self.again.insert(word.to_owned());
            } else {
                let detail = format!("it holds {word}, which was erased by the event at {}", erased.seq);
                checked.found(What::NotErased, article, Some(entry.seq), detail);
            }
        }
    }

    /// Looks at what stands in the place of what is gone, at the wire, and at what anybody got long after.
    pub(super) fn finish(&self, evidence: &Evidence<'_>, checked: &mut Checked) {
        for (seq, gone) in &self.events {
            let article = parse_uuid(&gone.event.subject);
            let shown = event::write(&gone.event).unwrap_or_default();
            checked.checks += 1;
            if !String::from_utf8_lossy(&shown).contains(MARK) {
                checked.found(What::Gap, article, Some(*seq), "it was erased, and no word of it");
            }
        }
        for entry in evidence.wire {
            if matches!(entry.content, Content::Message { .. }) && self.wire.contains_key(&entry.seq) {
                let detail = "a redaction names it, and it stands on the wire";
                checked.found(What::NotErased, None, Some(entry.seq), detail);
            }
        }
        for (word, erased) in self.words.iter().filter(|(word, _)| !self.again.contains(*word)) {
            let (article, seq) = (Some(erased.article), Some(erased.seq));
            let until = evidence.journal.rests.iter().filter(|rest| **rest > erased.time).nth(RESTS - 1);
            checked.checks += 1;
            if let (Some(until), Some(outside)) = (until, evidence.journal.outside.get(word))
                && outside.last > *until
            {
                let detail = format!("{word} was erased, and seen outside at {}", outside.last);
                checked.found(What::NotErased, article, seq, detail);
            }
            for shown in evidence.shown {
                if shown.past.get(&erased.article).is_some_and(|words| words.contains(word)) {
                    let detail =
                        format!("instance {} shows {word} in the past, which was erased", shown.instance);
                    checked.found(What::NotErased, article, seq, detail);
                }
            }
        }
    }
}

/// A text in which erased words are replaced as the service does.
pub(super) fn hidden(text: &str, words: &[String]) -> String {
    words.iter().fold(text.to_owned(), |text, word| text.replace(word.as_str(), MARK))
}

/// Whether an entry may say what was erased.
fn may_redact(entry: &Entry) -> bool {
    const TYPE: &[u8] = b"copydesk.article.redacted";
    match &entry.content {
        Content::Message { body, .. } => body.windows(TYPE.len()).any(|window| window == TYPE),
        Content::Erased { .. } => false,
    }
}

fn read(entry: &Entry) -> Option<Event> {
    let Content::Message { body, .. } = &entry.content else { return None };
    match event::read(&entry.subject, body) {
        Read::Event(event) => Some(*event),
        _ => None,
    }
}
