//! The threads that fold articles, and check what each event says of itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::{Arc, PoisonError};

use copydesk_article::article::Article;
use copydesk_article::edition::Edition;
use copydesk_article::event::{self, Event, Read};
use copydesk_article::ids::{DESK, parse_uuid};
use copydesk_article::proof;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{About, Expected, FAULTS_TOLD, Fault, Newsrooms};
use crate::log::{Content, Entry, Seq};
use crate::merkle::{Hash, Leaf};
use crate::wire::message::message;

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
    groups: std::sync::mpsc::SyncSender<Vec<Entry>>,
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
            let (groups, taken) = std::sync::mpsc::sync_channel::<Vec<Entry>>(WAITING);
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
    pub(super) fn send(&self, group: Vec<Entry>) {
        let count = self.threads.len();
        let mut shares = vec![Vec::new(); count];
        for entry in group {
            let at = parse_uuid(&entry.subject).map_or(0, |id| share(id) as usize % count.max(1));
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
enum Line {
    /// Folded up to here.
    Folds,
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

    fn check(&mut self, entry: &Entry) -> Checked {
        let id = parse_uuid(&entry.subject);
        let mine = match id {
            // Where the log is read several times, the others' articles are left to the other readings.
            Some(id) => (share(id) >> 8) % self.readings == self.part,
            None => self.part == 0,
        };
        let checked = |leaf: Option<Leaf>, erased| Checked {
            seq: entry.seq,
            leaf: leaf.map(|leaf| leaf.hash()),
            erased,
        };
        let body = match &entry.content {
            Content::Message { body, .. } => body,
            Content::Erased { sha256 } => {
                if mine {
                    self.erased(entry, id, sha256.is_some());
                }
                return checked(sha256.map(|event| Leaf { event, edition: None }), true);
            }
        };
        let (Some(id), true) = (id, mine) else {
            return checked(Leaf::of(&entry.subject, body), false);
        };
        match event::read(&entry.subject, body) {
            Read::Event(event) => {
                self.event(entry, id, &event);
                checked(Some(Leaf::new(body, event.editiondigest)), false)
            }
            Read::NotUnderstood { frozen, why } => {
                self.lines.insert(id, Line::Broken);
                self.note(format!(
                    "the event at {} is of another build ({}: {why}): only its bytes were verified",
                    entry.seq, frozen.kind
                ));
                checked(Some(Leaf::new(body, frozen.editiondigest)), false)
            }
            Read::Newsroom(_) | Read::Foreign => {
                self.note(format!("the message at {} is no event of ours", entry.seq));
                checked(None, false)
            }
        }
    }

    fn erased(&mut self, entry: &Entry, id: Option<Uuid>, known: bool) {
        if let Some(id) = id {
            self.lines.insert(id, Line::Broken);
            self.folded.articles.remove(&id);
        }
        let what = match known {
            true => "it was erased, and no redaction says why",
            false => "it was deleted behind the service's back",
        };
        if entry.subject != DESK || !known {
            self.fault(entry, what);
        }
    }

    fn event(&mut self, entry: &Entry, id: Uuid, event: &Event) {
        if matches!(self.lines.get(&id), Some(Line::Broken)) {
            return;
        }
        let before = self.folded.articles.get(&id).cloned();
        let after = match Article::evolve(before.as_deref(), event) {
            Ok(after) => Arc::new(after),
            Err(broken) => {
                self.lines.insert(id, Line::Broken);
                self.folded.articles.remove(&id);
                self.fault(entry, format!("it doesn't follow the article's line: {broken}"));
                return;
            }
        };
        if let Slot::Vacant(slot) = self.lines.entry(id) {
            slot.insert(Line::Folds);
        }
        let faults = {
            let newsrooms = self.newsrooms.read().unwrap_or_else(PoisonError::into_inner);
            proof::faults(before.as_deref(), event, &after, |version| newsrooms.get(&version))
        };
        for what in faults {
            self.fault(entry, what);
        }
        if event.wire.is_some()
            && let Some(edition) = Edition::of(&after)
        {
            let rendered = message(&edition, event.id, entry.seq, 0, None).ok();
            self.folded.expected.push(Expected {
                seq: entry.seq,
                article: id,
                event: event.id,
                home: edition.home.to_string(),
                edition: edition.number,
                body: rendered.map(|message| Sha256::digest(&message.body).into()),
            });
        }
        self.folded.articles.insert(id, after);
    }
}
