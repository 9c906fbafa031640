//! The whole log derived again, and held against everything that rests on it.
//!
//! One task reads the log and adds its leaves to the tree; as many threads as there are processors fold the articles, each
//! those whose ids fall to it. Roots are compared at every size that a checkpoint was signed over. What goes on the wire
//! is rendered anew and compared with the wire, what was folded with the folded state.
//!
//! A log whose articles wouldn't fit into memory is read several times, each time for a part of the articles.
//!
//! # Layout
//! - this file: what is looked at, and in which order.
//! - `articles`: folding, and what an event says of itself; `wire`: the wire.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use copydesk_article::article::Article;
use copydesk_article::event::{self, Read};
use copydesk_article::ids::{DESK, parse_uuid};
use copydesk_article::newsroom::Newsroom;
use futures::StreamExt;
use serde::Serialize;
use uuid::Uuid;

use super::line::{self, Signed};
use super::note::{Checkpoint, NoteError};
use crate::log::{Content, Entry, Log, LogError, Seq, Stream};
use crate::merkle::{Frontier, Hash};
use crate::store::redacted::{self, Line};
use crate::store::{Store, fold};

mod articles;
mod wire;

use articles::{Checked, Given, Threads};

/// How many events are folded in one reading of the log.
const EVENTS_A_READING: u64 = 2_000_000;

/// How many groups of entries are under way at once.
const UNDER_WAY: usize = 8;

/// How many faults are told one by one.
pub const FAULTS_TOLD: usize = 1000;

/// What is verified.
pub struct Sources<'a> {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The folded state, where it can be read.
    pub store: Option<&'a Store>,
    /// The key that checkpoints must be signed with.
    pub key: String,
    /// Checkpoints that someone kept.
    pub against: Vec<Checkpoint>,
}

/// Something that doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What it is about.
    pub about: About,
    /// The position in the log, or in the stream that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// The article.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub article: Option<Uuid>,
    /// What is wrong.
    pub what: String,
}

/// What a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// An event.
    Event,
    /// The tree and its checkpoints.
    Checkpoint,
    /// The wire.
    Wire,
    /// The folded state.
    State,
    /// The log, beside a backup.
    Log,
}

impl About {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            About::Event => "event",
            About::Checkpoint => "checkpoint",
            About::Wire => "wire",
            About::State => "state",
            About::Log => "log",
        }
    }
}

/// What verification came to.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// How many events of ours the log has: the size of the tree.
    pub events: u64,
    /// The tree's root, in hex.
    pub root: String,
    /// How many articles they are of.
    pub articles: u64,
    /// How many editions and withdrawals were derived again.
    pub editions: u64,
    /// How many messages of ours the wire has.
    pub wire: u64,
    /// How many checkpoints were compared, kept ones included.
    pub checkpoints: u64,
    /// How many events were erased.
    pub erased: u64,
    /// How many messages are no events of ours.
    pub foreign: u64,
    /// What an auditor should know and is no fault.
    pub notes: Vec<String>,
    /// How many things don't hold.
    pub faults_found: u64,
    /// The first [`FAULTS_TOLD`] of them.
    pub faults: Vec<Fault>,
}

impl Report {
    fn fault(&mut self, fault: Fault) {
        self.faults_found += 1;
        if self.faults.len() < FAULTS_TOLD {
            self.faults.push(fault);
        }
    }

    fn found(&mut self, about: About, seq: Option<Seq>, what: impl Into<String>) {
        self.fault(Fault { about, seq, article: None, what: what.into() });
    }

    /// Whether everything holds.
    pub fn holds(&self) -> bool {
        self.faults_found == 0
    }
}

/// The newsroom line's versions, by their numbers.
pub(super) type Newsrooms = Arc<RwLock<BTreeMap<u32, Newsroom>>>;

/// Everything that was signed, by the size it was signed over: where it stands, if in the line, and the root.
pub(super) type AllSigned = BTreeMap<u64, Vec<(Option<Seq>, Hash)>>;

/// An edition as it should be on the wire.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    seq: Seq,
    article: Uuid,
    event: Uuid,
    /// What it is, where this build can fold its event.
    derived: Option<Derived>,
}

/// What is known of an edition.
#[derive(Debug, Clone)]
struct Derived {
    home: String,
    edition: u32,
    kind: &'static str,
    /// SHA-256 of the message's body; none where words of it were erased, so that it can't be rendered.
    body: Option<Hash>,
}

/// Derives everything again; `told` hears how many positions were read of how many.
///
/// # Errors
/// [`LogError`] where the log can't be read to its end.
pub async fn verify(sources: &Sources<'_>, mut told: impl FnMut(u64, u64)) -> Result<Report, LogError> {
    let mut report = Report::default();
    // In this order, for the service may run: a message on the wire follows its event and the checkpoint that it names,
    // and a checkpoint the events that it is over.
    let wire_end = sources.log.wire().end().await?;
    let signed = checkpoints(sources, &mut report).await?;
    let end = sources.log.events().end().await?;
    let readings = end.div_ceil(EVENTS_A_READING).max(1);
    let mut expected = Vec::new();
    for part in 0..readings {
        let mut reading = Reading { sources, part, readings, end, signed: &signed, report: &mut report };
        expected.extend(reading.run(|at| told(part * end + at, readings * end)).await?);
    }
    expected.sort_by_key(|edition: &Expected| edition.seq);
    report.editions = expected.len() as u64;
    wire::compare(&*sources.log, wire_end, &expected, &signed, &mut report).await?;
    Ok(report)
}

/// Everything that was signed, by the size it was signed over.
async fn checkpoints(sources: &Sources<'_>, report: &mut Report) -> Result<AllSigned, LogError> {
    let stream = sources.log.stream(line::STREAM).await?;
    let end = stream.end().await?;
    let mut signed = AllSigned::new();
    let mut largest = 0;
    let mut tail = stream.tail(0).await?;
    let mut at = 0;
    while at < end {
        let Some(group) = tail.next().await else { break };
        for entry in group? {
            at = entry.seq;
            let Some(Signed { size, root, note }) = line::read(&entry) else {
                report.found(About::Checkpoint, Some(at), "it is no checkpoint");
                continue;
            };
            match Checkpoint::open(&note, &sources.key) {
                Ok(_) => {}
                Err(NoteError::Forged(_)) => {
                    report.found(About::Checkpoint, Some(at), "its signature doesn't hold")
                }
                Err(error) => {
                    report
                        .notes
                        .push(format!("the checkpoint at {at} bears another key's signature: {error}"));
                }
            }
            if size < largest {
                report.found(
                    About::Checkpoint,
                    Some(at),
                    format!("it is of {size} events, after one of {largest}"),
                );
            }
            largest = largest.max(size);
            signed.entry(size).or_default().push((Some(at), root));
        }
    }
    for kept in &sources.against {
        signed.entry(kept.size).or_default().push((None, kept.root));
    }
    Ok(signed)
}

/// A group's entries with what is known of erased ones.
async fn given(events: &dyn Stream, mut group: Vec<Entry>) -> Result<Vec<Given>, LogError> {
    let erased: Vec<_> = group.iter().map(fold::erased).collect();
    let lines = redacted::in_group(events, &mut group).await?;
    let lines: HashMap<Uuid, Arc<Line>> = lines.into_iter().map(|(id, line)| (id, Arc::new(line))).collect();
    let given = group.into_iter().zip(erased).map(|(entry, erased)| {
        let line = parse_uuid(&entry.subject).and_then(|id| lines.get(&id).cloned());
        Given { entry, erased, line }
    });
    Ok(given.collect())
}

/// One reading of the log, for a part of its articles.
struct Reading<'a, 'b> {
    sources: &'a Sources<'b>,
    part: u64,
    readings: u64,
    end: Seq,
    signed: &'a AllSigned,
    report: &'a mut Report,
}

impl Reading<'_, '_> {
    async fn run(&mut self, mut told: impl FnMut(u64)) -> Result<Vec<Expected>, LogError> {
        let newsrooms = Newsrooms::default();
        let mut threads = Threads::start(self.part, self.readings, Arc::clone(&newsrooms));
        let mut frontier = Frontier::default();
        self.compare(&frontier);
        let events = self.sources.log.events();
        let mut tail = events.tail(0).await?;
        let (mut at, mut under_way) = (0, 0);
        while at < self.end || under_way > 0 {
            if at < self.end && under_way < UNDER_WAY {
                let Some(group) = tail.next().await else {
                    return Err(LogError::Unavailable("the tail ended".to_owned()));
                };
                let mut group = group?;
                group.retain(|entry| entry.seq <= self.end);
                for entry in &group {
                    if entry.seq != at + 1 {
                        self.report.found(About::Event, Some(at + 1), "nothing stands at this position");
                    }
                    at = entry.seq;
                    self.newsroom(entry, &newsrooms);
                }
                threads.send(given(&*events, group).await?);
                under_way += 1;
                continue;
            }
            let checked =
                threads.next().await.ok_or_else(|| LogError::Unavailable("a thread ended".to_owned()))?;
            under_way -= 1;
            told(checked.last().map_or(at, |checked: &Checked| checked.seq));
            if self.part == 0 {
                self.grow(&mut frontier, checked);
            }
        }
        if self.part == 0 {
            self.report.events = frontier.size();
            self.report.root = hex::encode(frontier.root());
            for (size, signed) in self.signed.range(frontier.size() + 1..) {
                for (at, _) in signed {
                    let what = format!("it was signed over {size} events; the log has {}", frontier.size());
                    self.report.found(About::Checkpoint, *at, what);
                }
            }
            self.tree(&frontier);
        }
        let folded = threads.finish().await;
        let mut expected = Vec::new();
        for one in folded {
            self.report.articles += one.articles.len() as u64;
            for fault in one.faults {
                self.report.fault(fault);
            }
            self.report.notes.extend(one.notes);
            self.state(&one.articles);
            expected.extend(one.expected);
        }
        Ok(expected)
    }

    /// Adds a group's leaves to the tree, and compares it with what was signed.
    fn grow(&mut self, frontier: &mut Frontier, group: Vec<Checked>) {
        for checked in group {
            self.report.erased += u64::from(checked.erased);
            let Some(leaf) = checked.leaf else {
                self.report.foreign += u64::from(!checked.erased);
                continue;
            };
            frontier.push(leaf);
            self.compare(frontier);
        }
    }

    fn compare(&mut self, frontier: &Frontier) {
        let Some(signed) = self.signed.get(&frontier.size()) else { return };
        let root = frontier.root();
        for (at, signed) in signed {
            self.report.checkpoints += 1;
            if *signed != root {
                let size = frontier.size();
                let what = format!("the first {size} events aren't those that it was signed over");
                self.report.found(About::Checkpoint, *at, what);
            }
        }
    }

    /// Takes in an event of the newsroom line.
    fn newsroom(&mut self, entry: &Entry, newsrooms: &Newsrooms) {
        let Content::Message { body, .. } = &entry.content else { return };
        if entry.subject != DESK {
            return;
        }
        let mut line = newsrooms.write().unwrap_or_else(PoisonError::into_inner);
        let last = line.last_key_value().map(|(_, newsroom)| newsroom.clone()).unwrap_or_default();
        let why = match event::read(DESK, body) {
            Read::Newsroom(event) => match last.evolve(&event) {
                Ok(next) => {
                    line.insert(next.version, next);
                    return;
                }
                Err(broken) => broken.to_string(),
            },
            Read::NotUnderstood { why, .. } => why,
            Read::Event(_) | Read::Foreign => return,
        };
        if self.part == 0 {
            self.report.found(About::Event, Some(entry.seq), format!("the newsroom line breaks here: {why}"));
        }
    }

    /// Holds the folded state's tree against what was read.
    fn tree(&mut self, frontier: &Frontier) {
        let Some(store) = self.sources.store else { return };
        if store.position().seq < self.end {
            self.report.notes.push("the folded state is behind the log: its tree wasn't compared".to_owned());
            return;
        }
        let size = frontier.size();
        match store.merkle().root(size) {
            Ok(root) if root == frontier.root() => {}
            Ok(_) => self.report.found(About::State, None, "its tree isn't the log's"),
            Err(error) => self.report.found(About::State, None, format!("its tree can't be read: {error}")),
        }
    }

    /// Holds folded articles against the folded state.
    fn state(&mut self, articles: &HashMap<Uuid, Arc<Article>>) {
        let Some(store) = self.sources.store else { return };
        for (id, article) in articles {
            let what = match store.article(*id) {
                // It has moved on meanwhile, or isn't folded yet.
                Ok(Some(stored)) if stored.article.version != article.version => continue,
                Ok(None) if store.position().seq < self.end => continue,
                Ok(Some(stored)) if *stored.article == **article => continue,
                Ok(Some(_)) => "the folded article isn't what its events fold to".to_owned(),
                Ok(None) => "the article isn't in the folded state".to_owned(),
                Err(error) => format!("the folded article can't be read: {error}"),
            };
            self.report.fault(Fault { about: About::State, seq: None, article: Some(*id), what });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use copydesk_article::newsroom::{NewsroomSet, Person, Role, Rules};

    use super::line::new_key;
    use super::*;
    use crate::audit::note::Key;
    use crate::desk::propose;
    use crate::log::memory::MemoryLog;
    use crate::log::{Expect, Message};

    /// A log with a newsroom line of chiefs who follow one another, and what it is folded to.
    async fn led_by(chiefs: &[&str]) -> (MemoryLog, Store) {
        let log = MemoryLog::new(3);
        for chief in chiefs {
            let person = Person { roles: vec![Role::Chief], ..Person::default() };
            let set = NewsroomSet { people: [((*chief).into(), person)].into(), rules: Rules::default() };
            propose(&log, &set, "/copydesk", [7; 16], true).await.unwrap();
        }
        let db = sled::Config::new().temporary(true).open().unwrap();
        let (store, _) = Store::inside(&db, "fold", Path::new("nowhere")).unwrap();
        fold::catch_up(&store, &log, |_, _| {}).await.unwrap();
        (log, store)
    }

    async fn put(stream: &dyn Stream, subject: &str, body: impl Into<bytes::Bytes>) {
        let end = stream.end().await.unwrap();
        let (subject, id, headers) = (subject.to_owned(), end.to_string(), Vec::new());
        let message = Message { subject, id, headers, body: body.into() };
        stream.try_append(&message, Expect::Stream(end)).await.unwrap();
    }

    async fn found(log: &MemoryLog, store: &Store, key: &Key) -> Vec<String> {
        let log = Arc::new(log.handle());
        let sources = Sources { log, store: Some(store), key: key.verifier(), against: Vec::new() };
        let report = verify(&sources, |_, _| {}).await.unwrap();
        let shown = |fault: &Fault| {
            format!("{} {}: {}", fault.about.name(), fault.seq.unwrap_or_default(), fault.what)
        };
        report.faults.iter().map(shown).collect()
    }

    #[tokio::test]
    async fn a_line_of_checkpoints_that_goes_back_or_holds_something_else_is_found() {
        let ((log, store), key) = (led_by(&["carl", "cleo"]).await, new_key("copydesk").unwrap());
        let stream = log.stream(line::STREAM).await.unwrap();
        for size in [1, 2, 1] {
            put(&*stream, "checkpoint", key.sign(size, store.merkle().root(size).unwrap()).unwrap()).await;
        }
        put(&*stream, "checkpoint", "2").await;
        let faults = ["checkpoint 3: it is of 1 events, after one of 2", "checkpoint 4: it is no checkpoint"];
        assert_eq!(found(&log, &store, &key).await, faults);
    }

    #[tokio::test]
    async fn a_state_that_was_folded_from_another_log_is_found() {
        let [(log, store), (_, other)] = [led_by(&["carl"]).await, led_by(&["cleo"]).await];
        let key = new_key("copydesk").unwrap();
        assert_eq!(found(&log, &store, &key).await, Vec::<String>::new());
        assert_eq!(found(&log, &other, &key).await, ["state 0: its tree isn't the log's"]);
    }

    #[tokio::test]
    async fn a_newsroom_that_follows_none_is_found() {
        let ((log, store), key) = (led_by(&["carl"]).await, new_key("copydesk").unwrap());
        let first = log.events().get(1).await.unwrap().unwrap();
        let Content::Message { body, .. } = first.content else { panic!("erased") };
        put(&*log.events(), DESK, body).await;
        let faults = found(&log, &store, &key).await;
        let [fault] = &faults[..] else { panic!("{faults:?}") };
        assert!(fault.starts_with("event 2: the newsroom line breaks here"), "{fault}");
    }
}
