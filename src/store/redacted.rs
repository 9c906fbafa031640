//! Lines of articles of which something was erased by law: what stands in the place of it.
//!
//! A `redacted` event is appended first, then what it names is erased; so whoever finds an event erased finds what
//! stands in its place further down the article's own line. An article whose events were erased behind the service's
//! back has no such event, and is set aside.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use bytes::Bytes;
use copydesk_article::command::{Data, confirm_redaction::Redacted};
use copydesk_article::event::{self, Event, Read};
use copydesk_article::ids::parse_uuid;
use copydesk_article::redaction::replacements;
use memchr::memmem::Finder;
use uuid::Uuid;

use crate::log::{Content, Entry, LogError, Seq, Stream};

/// How far into an event its type is looked for: it follows `specversion`, `id` and `source`, which are short.
const HEAD_BYTES: usize = 256;

/// The type of the events that say what was erased.
const TYPE: &[u8] = b"\"copydesk.article.redacted\"";

/// Whether an event says what was erased, by a look at its head.
fn may_redact(body: &[u8]) -> bool {
    static TYPES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(TYPE));
    TYPES.find(body.get(..HEAD_BYTES).unwrap_or(body)).is_some()
}

/// Whether an entry says that something was erased, or is what was.
pub fn concerns(entry: &Entry) -> bool {
    match &entry.content {
        Content::Message { body, .. } => may_redact(body),
        Content::Erased { .. } => true,
    }
}

/// An article's whole line, in order, what was erased replaced.
#[derive(Debug, Default)]
pub struct Line {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Where replacements stand.
    pub replaced: BTreeSet<Seq>,
    /// Whether the bytes of any of them still stand in the log.
    pub standing: bool,
}

impl Line {
    /// Reads the line of an article, as the leader has it.
    ///
    /// # Errors
    /// [`LogError`].
    pub async fn read(events: &dyn Stream, article: Uuid) -> Result<Self, LogError> {
        let mut entries = events.all_on(&article.as_hyphenated().to_string(), 0).await?;
        let mut all = instead(entries.iter().map(|entry| (entry.seq, redacting(entry))).collect());
        let (mut replaced, mut standing) = (BTreeSet::new(), false);
        for entry in &mut entries {
            let Some(body) = all.remove(&entry.seq) else { continue };
            standing |= matches!(entry.content, Content::Message { .. });
            entry.content = Content::Message { headers: Vec::new(), body };
            replaced.insert(entry.seq);
        }
        Ok(Self { entries, replaced, standing })
    }

    /// The entry at a position.
    pub fn at(&self, seq: Seq) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.seq == seq)
    }

    /// The events that say what was erased, with their positions.
    pub fn redactions(&self) -> impl Iterator<Item = (Seq, Box<Redacted>)> {
        self.entries.iter().filter_map(|entry| match redacting(entry)?.data {
            Data::Redacted(redacted) => Some((entry.seq, redacted)),
            _ => None,
        })
    }
}

/// What stands in the place of erased events, by position, in stored form; of events in their order, all that say so
/// among them.
fn instead(redacting: Vec<(Seq, Option<Event>)>) -> BTreeMap<Seq, Bytes> {
    let all = replacements(redacting.iter().map(|(seq, event)| (*seq, event.as_ref()))).into_iter();
    all.filter_map(|(seq, event)| Some((seq, event::write(&event).ok()?.into()))).collect()
}

/// What stands in the place of erased events anywhere in a log, of all its entries in their order; those in which nothing
/// was erased cost a look at their heads.
#[derive(Debug, Default)]
pub struct Gathered(Vec<(Seq, Option<Event>)>);

impl Gathered {
    /// The next entry.
    pub fn add(&mut self, entry: &Entry) {
        if concerns(entry) {
            self.0.push((entry.seq, redacting(entry)));
        }
    }

    /// What they say together.
    pub fn instead(self) -> BTreeMap<Seq, Bytes> {
        instead(self.0)
    }
}

/// The event of an entry, where it says what was erased.
fn redacting(entry: &Entry) -> Option<Event> {
    let Content::Message { body, .. } = &entry.content else { return None };
    if !may_redact(body) {
        return None;
    }
    match event::read(&entry.subject, body) {
        Read::Event(event) => Some(*event),
        _ => None,
    }
}

/// The lines of the articles of which a group holds something erased, or an event that says so; what was erased is
/// replaced in the group too.
///
/// # Errors
/// [`LogError`].
pub async fn in_group(events: &dyn Stream, group: &mut [Entry]) -> Result<HashMap<Uuid, Line>, LogError> {
    let mut lines: HashMap<Uuid, Line> = HashMap::new();
    for entry in group {
        let Some(article) = parse_uuid(&entry.subject).filter(|_| concerns(entry)) else { continue };
        let line = match lines.remove(&article) {
            Some(line) => line,
            None => Line::read(events, article).await?,
        };
        // Whom it was read from may be behind whoever told of the entry.
        if line.at(entry.seq).is_none() {
            let why = format!("the line of article {article} is read without what stands at {}", entry.seq);
            return Err(LogError::Unavailable(why));
        }
        if let (Content::Erased { .. }, Some(replaced)) = (&entry.content, line.at(entry.seq)) {
            entry.content = replaced.content.clone();
        }
        lines.insert(article, line);
    }
    Ok(lines)
}
