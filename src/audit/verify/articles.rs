//! The threads that fold articles, and check what each event says of itself.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use copydesk_article::article::Article;
use copydesk_article::command::Data;
use copydesk_article::edition::Edition;
use copydesk_article::event::{self, Event, Read};
use copydesk_article::ids::parse_uuid;
use copydesk_article::proof;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{About, Derived, Expected, FAULTS_TOLD, Fault, Newsrooms};
use crate::log::{Content, Entry, Seq};
use crate::merkle::Hash;
use crate::store::{fold, redacted};
use crate::wire::message::message;

/// An entry, and what is known of it where something was erased.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// The entry; where it was erased by a redaction, with what stands in its place.
    pub entry: Entry,
    /// The hash of what was erased, where that is known; none where nothing was erased.
    pub erased: Option<Option<Hash>>,
    /// The article's line, where something of it was erased, or is to be.
    pub line: Option<Arc<redacted::Line>>,
}

/// What one entry came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked {
    pub seq: Seq,
    /// The hash of its leaf; none where it has none.
    pub leaf: Option<Hash>,
    pub erased: bool,
}

/// What a thread has when the log is read.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub articles: HashMap<Uuid, Arc<Article>>,
    pub expected: Vec<Expected>,
    pub faults: Vec<Fault>,
    pub notes: Vec<String>,
}

struct Thread {
    groups: std::sync::mpsc::SyncSender<Vec<Given>>,
    checked: mpsc::UnboundedReceiver<Vec<Checked>>,
    handle: std::thread::JoinHandle<Folded>,
}

/// The threads, each with the articles that fall to it.
pub(super) struct Threads {
    threads: Vec<Thread>,
}

/// How many groups wait for a thread at most; their number is bounded by who sends them, too.
const WAITING: usize = 16;

impl Threads {
    pub(super) fn start(part: u64, readings: u64, newsrooms: Newsrooms) -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..count).filter_map(|_| {
            let (groups, taken) = std::sync::mpsc::sync_channel::<Vec<Given>>(WAITING);
            let (tell, checked) = mpsc::unbounded_channel();
            let mut worker = Worker::new(part, readings, Arc::clone(&newsrooms));
            let work = move || {
                while let Ok(group) = taken.recv() {
                    let checked = group.iter().map(|entry| worker.check(entry)).collect();
                    if tell.send(checked).is_err() {
                        break;
                    }
                }
                worker.folded
            };
            let handle = std::thread::Builder::new().name("verify".to_owned()).spawn(work).ok()?;
            Some(Thread { groups, checked, handle })
        });
        Self { threads: threads.collect() }
    }

    /// Shares a group out.
    pub(super) fn send(&self, group: Vec<Given>) {
        let count = self.threads.len();
        let mut shares = vec![Vec::new(); count];
        for entry in group {
            let at = parse_uuid(&entry.entry.subject).map_or(0, |id| share(id) as usize % count.max(1));
            if let Some(share) = shares.get_mut(at) {
                share.push(entry);
            }
        }
        for (thread, share) in self.threads.iter().zip(shares) {
            // A thread that is gone is noticed when its answer is waited for.
            let _ = thread.groups.send(share);
        }
    }

    /// What the next group came to, in the log's order.
    pub(super) async fn next(&mut self) -> Option<Vec<Checked>> {
        let mut all = Vec::new();
        for thread in &mut self.threads {
            all.extend(thread.checked.recv().await?);
        }
        all.sort_by_key(|checked| checked.seq);
        (!self.threads.is_empty()).then_some(all)
    }

    pub(super) async fn finish(self) -> Vec<Folded> {
        let mut folded = Vec::new();
        for Thread { groups, handle, .. } in self.threads {
            drop(groups);
            let joined = tokio::task::spawn_blocking(move || handle.join()).await;
            match joined {
                Ok(Ok(one)) => folded.push(one),
                _ => folded.push(Folded {
                    faults: vec![Fault {
                        about: About::Event,
                        seq: None,
                        article: None,
                        what: "verification itself failed: a thread of it panicked".to_owned(),
                    }],
                    ..Folded::default()
                }),
            }
        }
        folded
    }
}

/// To which share an article falls: any spread that doesn't change within a run.
fn share(id: Uuid) -> u64 {
    let (high, low) = id.as_u64_pair();
    (high ^ low).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

struct Worker {
    part: u64,
    readings: u64,
    newsrooms: Newsrooms,
    lines: HashMap<Uuid, Line>,
    folded: Folded,
}

/// An article's line.
#[derive(Clone, Copy)]
enum Line {
    /// Folded up to here; up to a position, with words that were erased since.
    Folds { redacted_until: Seq },
    /// From here on it can't be folded.
    Broken,
}

impl Worker {
    fn new(part: u64, readings: u64, newsrooms: Newsrooms) -> Self {
        Self { part, readings, newsrooms, lines: HashMap::new(), folded: Folded::default() }
    }

    fn fault(&mut self, entry: &Entry, what: impl Into<String>) {
        if self.folded.faults.len() <= FAULTS_TOLD {
            let article = parse_uuid(&entry.subject);
            self.folded.faults.push(Fault {
                about: About::Event,
                seq: Some(entry.seq),
                article,
                what: what.into(),
            });
        }
    }

    fn note(&mut self, note: String) {
        if self.folded.notes.len() < FAULTS_TOLD {
            self.folded.notes.push(note);
        }
    }

    fn check(&mut self, given: &Given) -> Checked {
        let entry = &given.entry;
        let leaf = fold::leaf(entry, given.erased).map(|leaf| leaf.hash());
        let checked = Checked { seq: entry.seq, leaf, erased: given.erased.is_some() };
        let id = parse_uuid(&entry.subject);
        let mine = match id {
            // Where the log is read several times, the others' articles are left to the other readings.
            Some(id) => (share(id) >> 8) % self.readings == self.part,
            None => self.part == 0,
        };
        if !mine {
            return checked;
        }
        match (&entry.content, id) {
            (Content::Erased { sha256 }, _) => self.erased(entry, id, sha256.is_some()),
            (Content::Message { body, .. }, Some(id)) => match event::read(&entry.subject, body) {
                Read::Event(event) => self.event(given, id, &event),
                Read::NotUnderstood { frozen, why } => {
                    self.lines.insert(id, Line::Broken);
                    if frozen.wire.is_some() {
                        self.goes_out(entry, id, frozen.id, None);
                    }
                    self.note(format!(
                        "the event at {} is of another build ({}: {why}): only its bytes were verified",
                        entry.seq, frozen.kind
                    ));
                }
                Read::Newsroom(_) | Read::Foreign => {
                    self.note(format!("the message at {} is no event of ours", entry.seq));
                }
            },
            (Content::Message { .. }, None) => {}
        }
        checked
    }

    /// Something is gone and nothing says by which right.
    fn erased(&mut self, entry: &Entry, id: Option<Uuid>, known: bool) {
        if let Some(id) = id {
            self.lines.insert(id, Line::Broken);
            self.folded.articles.remove(&id);
        }
        self.fault(
            entry,
            match known {
                true => "it was erased, and no redaction says why",
                false => "it was deleted behind the service's back",
            },
        );
    }

    fn event(&mut self, given: &Given, id: Uuid, event: &Event) {
        let entry = &given.entry;
        let redacted_until = match self.lines.get(&id) {
            Some(Line::Broken) => {
                if event.wire.is_some() {
                    self.goes_out(entry, id, event.id, None);
                }
                return;
            }
            Some(Line::Folds { redacted_until }) => *redacted_until,
            None => 0,
        };
        let redacted_until = match &given.line {
            Some(line) => redacted_until.max(line.redactions().map(|(seq, _)| seq).max().unwrap_or_default()),
            None => redacted_until,
        };
        if given.erased.is_some() {
            self.note(format!(
                "the event at {} of article {id} was redacted by the one at {redacted_until}",
                entry.seq
            ));
        }
        let before = self.folded.articles.get(&id).cloned();
        let after = match (&event.data, &given.line) {
            // From here on the article is as if what stands in the place of what was erased had always been there.
            (Data::Redacted(_), Some(line)) => refolded(line, entry.seq),
            _ => Article::evolve(before.as_deref(), event).map_err(|broken| broken.to_string()),
        };
        let after = match after {
            Ok(after) => Arc::new(after),
            Err(broken) => {
                self.lines.insert(id, Line::Broken);
                self.folded.articles.remove(&id);
                if event.wire.is_some() {
                    self.goes_out(entry, id, event.id, None);
                }
                self.fault(entry, format!("it doesn't follow the article's line: {broken}"));
                return;
            }
        };
        self.lines.insert(id, Line::Folds { redacted_until });
        let words_known = entry.seq > redacted_until;
        let faults = {
            let newsrooms = self.newsrooms.read().unwrap_or_else(PoisonError::into_inner);
            proof::faults(before.as_deref(), event, &after, words_known, |version| newsrooms.get(&version))
        };
        for what in faults {
            self.fault(entry, what);
        }
        if event.wire.is_some()
            && let Some(edition) = Edition::of(&after)
        {
            // What was erased since may have been no word of this edition.
            let is_whole = words_known || event.editiondigest == Some(edition.digest());
            let rendered = is_whole.then(|| message(&edition, event.id, entry.seq, 0, None).ok()).flatten();
            let derived = Derived {
                home: edition.home.to_string(),
                edition: edition.number,
                kind: edition.kind.name(),
                body: rendered.map(|message| Sha256::digest(&message.body).into()),
            };
            self.goes_out(entry, id, event.id, Some(derived));
        }
        self.folded.articles.insert(id, after);
    }

    /// A message of the wire is to be of this event, whatever became of the article.
    fn goes_out(&mut self, entry: &Entry, article: Uuid, event: Uuid, derived: Option<Derived>) {
        self.folded.expected.push(Expected { seq: entry.seq, article, event, derived });
    }
}

/// The article as its line folds up to a position, what was erased replaced.
fn refolded(line: &redacted::Line, upto: Seq) -> Result<Article, String> {
    let mut article: Option<Article> = None;
    for entry in line.entries.iter().filter(|entry| entry.seq <= upto) {
        let Content::Message { body, .. } = &entry.content else {
            return Err(format!("the event at {} is gone", entry.seq));
        };
        if let Read::Event(event) = event::read(&entry.subject, body) {
            article = Some(Article::evolve(article.as_ref(), &event).map_err(|broken| broken.to_string())?);
        }
    }
    article.ok_or_else(|| "the line has no event".to_owned())
}
