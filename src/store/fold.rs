//! The one task that writes the store: it tails the log and folds what comes, group by group.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use copydesk_article::article::Article;
use copydesk_article::event::{self, Event, Read};
use copydesk_article::ids::{DESK, parse_uuid};
use copydesk_article::newsroom::Newsroom;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use sled::Batch;
use uuid::Uuid;

use super::{
    Aside, EventRef, FOLD_VERSION, ForeignMessage, NEWSROOM, Outgoing, POSITION, Position, SNAPSHOT_EVERY,
    Store, StoreError, Stored, board, command_key, event_key, pieces,
};
use crate::log::{Content, Entry, Log, LogError, Stream};

/// How many articles the fold keeps in memory between groups.
const KEPT_ARTICLES: usize = 4096;

/// Why folding stopped.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The log failed; folding again later may help.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log is shorter or other than what was folded from it.
    #[error("the log and the folded state disagree: {0}")]
    Diverged(String),
}

/// Checks that the log still is what was folded from it: the same log, at least as long, the same event at the
/// fold position.
///
/// # Errors
/// [`FoldError::Diverged`] where it isn't; [`FoldError::Log`] where it can't be asked.
pub async fn agrees(store: &Store, log: &dyn Log) -> Result<(), FoldError> {
    let position = store.position();
    if position.seq == 0 {
        return Ok(());
    }
    if position.identity != log.identity() {
        let detail = "the folded state is of another log: give this log a folder of its own, or run rebuild";
        return Err(FoldError::Diverged(detail.to_owned()));
    }
    let end = log.events().end().await?;
    if end < position.seq {
        let detail =
            format!("the log ends at {end}, and {} was folded from it: its tail is lost", position.seq);
        return Err(FoldError::Diverged(detail));
    }
    let there = log.events().get(position.seq).await?;
    match there.as_ref().map(hash) {
        Some(Some(hash)) if hash == position.hash => Ok(()),
        // Deleted behind the service's back: nothing is left to hold against the fold.
        Some(None) => Ok(()),
        _ => Err(FoldError::Diverged(format!(
            "another event stands at {} than was folded from there",
            position.seq
        ))),
    }
}

/// SHA-256 of an entry's bytes, or of those that were there.
fn hash(entry: &Entry) -> Option<[u8; 32]> {
    match &entry.content {
        Content::Message { body, .. } => Some(Sha256::digest(body).into()),
        Content::Erased { sha256 } => *sha256,
    }
}

/// Folds what the log holds and what comes, until the log or the store fails. Checks first, and so at each
/// reconnect, that the log is the one folded so far.
///
/// # Errors
/// [`FoldError`]; never returns otherwise.
pub async fn run(store: &Store, log: &dyn Log) -> Result<std::convert::Infallible, FoldError> {
    agrees(store, log).await?;
    let mut folder = Folder::new(store, log.identity())?;
    let mut tail = log.events().tail(store.position().seq).await?;
    loop {
        match tail.next().await {
            Some(group) => folder.apply(&group?)?,
            None => return Err(LogError::Unavailable("the tail ended".to_owned()).into()),
        }
    }
}

/// Folds everything up to the log's present end and returns how far that is.
///
/// # Errors
/// [`FoldError`].
pub async fn catch_up(
    store: &Store,
    log: &dyn Log,
    mut progress: impl FnMut(u64, u64),
) -> Result<u64, FoldError> {
    agrees(store, log).await?;
    let end = log.events().end().await?;
    if store.position().seq >= end {
        return Ok(end);
    }
    let mut folder = Folder::new(store, log.identity())?;
    let mut tail = log.events().tail(store.position().seq).await?;
    while store.position().seq < end {
        match tail.next().await {
            Some(group) => folder.apply(&group?)?,
            None => return Err(LogError::Unavailable("the tail ended".to_owned()).into()),
        }
        progress(store.position().seq, end);
    }
    Ok(end)
}

/// Folds one article from its own events.
///
/// # Errors
/// [`FoldError`]; a line that can't be folded is [`FoldError::Diverged`].
pub async fn one(events: &dyn Stream, article: Uuid) -> Result<Option<Stored>, FoldError> {
    let mut state: Option<Stored> = None;
    for entry in events.all_on(&article.as_hyphenated().to_string(), 0).await? {
        state = match advance(state.as_ref(), &entry) {
            Step::Event(stored, _) => Some(stored),
            Step::Passed => state.map(|state| Stored { seq: entry.seq, ..state }),
            Step::Aside { why, .. } => return Err(FoldError::Diverged(why)),
        };
    }
    Ok(state)
}

/// Whether an entry is an event of ours that goes on the wire, as far as its frozen members say.
fn goes_on_wire(entry: &Entry) -> bool {
    let Content::Message { body, .. } = &entry.content else { return false };
    match event::read(&entry.subject, body) {
        Read::Event(event) => event.wire.is_some(),
        Read::NotUnderstood { frozen, .. } => frozen.wire.is_some(),
        Read::Newsroom(_) | Read::Foreign => false,
    }
}

/// What one entry on an article's subject comes to.
pub(crate) enum Step {
    /// An event, folded.
    Event(Stored, Box<Event>),
    /// Foreign: passed over.
    Passed,
    /// Not understood, or broken: the article is set aside.
    Aside { why: String, on_wire: bool },
}

/// Folds one entry into an article.
pub(crate) fn advance(state: Option<&Stored>, entry: &Entry) -> Step {
    let Content::Message { body, .. } = &entry.content else {
        return Step::Aside { why: "an event of its line was erased".to_owned(), on_wire: false };
    };
    match event::read(&entry.subject, body) {
        Read::Event(event) => match Article::evolve(state.map(|state| &*state.article), &event) {
            Ok(article) => Step::Event(Stored { article: Arc::new(article), seq: entry.seq }, event),
            Err(broken) => Step::Aside { why: broken.to_string(), on_wire: event.wire.is_some() },
        },
        Read::NotUnderstood { frozen, why } => {
            Step::Aside { why: format!("{}: {why}", frozen.kind), on_wire: frozen.wire.is_some() }
        }
        Read::Newsroom(_) | Read::Foreign => Step::Passed,
    }
}

/// Folds groups of entries, each in one batch. Where a group fails the folder is to be thrown away.
pub struct Folder<'a> {
    store: &'a Store,
    identity: Uuid,
    kept: HashMap<Uuid, Stored>,
    aside: HashSet<Uuid>,
}

/// One group on its way into the store.
#[derive(Default)]
struct Group {
    /// Each article touched: as it is in the store, and as it is now.
    articles: BTreeMap<Uuid, (Option<Stored>, Option<Stored>)>,
    newsroom: Option<Arc<Newsroom>>,
    batch: Batch,
}

impl<'a> Folder<'a> {
    /// A folder into `store` from the log of this identity.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn new(store: &'a Store, identity: Uuid) -> Result<Self, StoreError> {
        let aside = store.all_aside()?.into_keys().collect();
        Ok(Self { store, identity, kept: HashMap::new(), aside })
    }

    /// Folds a group of entries that follow the fold position.
    ///
    /// # Errors
    /// [`StoreError`]; the store then stands at its old position.
    pub fn apply(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let mut position = self.store.position();
        let mut group = Group::default();
        let mut last = None;
        let folded = position.seq;
        for entry in entries.iter().filter(|entry| entry.seq > folded) {
            self.take(entry, &mut group, &mut position)?;
            last = Some(entry);
        }
        let Some(last) = last else { return Ok(()) };
        position.seq = last.seq;
        position.hash = hash(last).unwrap_or_default();
        position.identity = self.identity;
        position.fold_version = FOLD_VERSION;
        self.write(group, position)
    }

    fn take(&mut self, entry: &Entry, group: &mut Group, position: &mut Position) -> Result<(), StoreError> {
        if entry.subject == DESK {
            return self.take_newsroom(entry, group, position);
        }
        let Some(id) = parse_uuid(&entry.subject) else {
            return self.note_foreign(entry, group, position);
        };
        if self.aside.contains(&id) {
            // Its editions and withdrawals stop this build's wire all the same, until a newer one has sent them.
            if goes_on_wire(entry) {
                let outgoing = Outgoing { seq: entry.seq, article: id, version: 0 };
                let at = entry.seq.to_be_bytes();
                self.store.shelves.outgoing.insert(&mut group.batch, &at, &outgoing.encode());
            }
            return Ok(());
        }
        self.load(id, group)?;
        let state = group.articles.get(&id).and_then(|(_, now)| now.clone());
        match advance(state.as_ref(), entry) {
            Step::Event(stored, event) => {
                let at = EventRef {
                    version: event.articleversion,
                    revision: event.revision,
                    seq: entry.seq,
                    time_micros: event.time.timestamp_micros(),
                };
                self.store.shelves.commands.insert(
                    &mut group.batch,
                    &command_key(id, event.command),
                    &entry.seq.to_be_bytes(),
                );
                self.store.shelves.events.insert(&mut group.batch, &event_key(id, at.version), &at.encode());
                if event.wire.is_some() {
                    let outgoing = Outgoing { seq: entry.seq, article: id, version: at.version };
                    self.store.shelves.outgoing.insert(
                        &mut group.batch,
                        &entry.seq.to_be_bytes(),
                        &outgoing.encode(),
                    );
                }
                if at.version.is_multiple_of(SNAPSHOT_EVERY) {
                    let bytes = pieces::encode(&*stored.article)?;
                    pieces::write(
                        &self.store.shelves.snapshots,
                        &mut group.batch,
                        &event_key(id, at.version),
                        &bytes,
                    );
                }
                set(group, id, stored);
            }
            Step::Passed => {
                self.note_foreign(entry, group, position)?;
                if let Some(state) = state {
                    set(group, id, Stored { seq: entry.seq, ..state });
                }
            }
            Step::Aside { why, on_wire } => {
                tracing::warn!(article = %id, seq = entry.seq, %why, "an article is set aside");
                let aside = Aside { seq: entry.seq, why, on_wire };
                self.store.shelves.aside.insert(&mut group.batch, id.as_bytes(), pieces::encode(&aside)?);
                if on_wire {
                    let outgoing = Outgoing { seq: entry.seq, article: id, version: 0 };
                    self.store.shelves.outgoing.insert(
                        &mut group.batch,
                        &entry.seq.to_be_bytes(),
                        &outgoing.encode(),
                    );
                }
                self.aside.insert(id);
                position.aside += 1;
            }
        }
        Ok(())
    }

    fn take_newsroom(
        &mut self,
        entry: &Entry,
        group: &mut Group,
        position: &mut Position,
    ) -> Result<(), StoreError> {
        let Content::Message { body, .. } = &entry.content else { return Ok(()) };
        let present = group.newsroom.clone().unwrap_or_else(|| self.store.newsroom());
        match event::read(DESK, body) {
            Read::Newsroom(event) => match present.evolve(&event) {
                Ok(next) => {
                    group.newsroom = Some(Arc::new(next));
                    self.store.shelves.commands.insert(
                        &mut group.batch,
                        &command_key(Uuid::nil(), event.command),
                        &entry.seq.to_be_bytes(),
                    );
                    Ok(())
                }
                Err(broken) => {
                    Err(StoreError::Failed(format!("the newsroom line is broken at {}: {broken}", entry.seq)))
                }
            },
            Read::NotUnderstood { why, .. } => Err(StoreError::Failed(format!(
                "the newsroom line at {} is of a newer build ({why}): this build can't decide under it",
                entry.seq
            ))),
            _ => self.note_foreign(entry, group, position),
        }
    }

    /// Has the article in the group, as it is in the store.
    fn load(&mut self, id: Uuid, group: &mut Group) -> Result<(), StoreError> {
        if group.articles.contains_key(&id) {
            return Ok(());
        }
        let stored = match self.kept.get(&id) {
            Some(stored) => Some(stored.clone()),
            None => self.store.article(id)?,
        };
        group.articles.insert(id, (stored.clone(), stored));
        Ok(())
    }

    fn note_foreign(
        &self,
        entry: &Entry,
        group: &mut Group,
        position: &mut Position,
    ) -> Result<(), StoreError> {
        // The first thousand are listed; all are counted.
        const LISTED: u64 = 1000;
        if position.foreign < LISTED {
            let bytes = match &entry.content {
                Content::Message { body, .. } => body.len(),
                Content::Erased { .. } => 0,
            };
            let message =
                ForeignMessage { seq: entry.seq, subject: entry.subject.chars().take(200).collect(), bytes };
            self.store.shelves.foreign.insert(
                &mut group.batch,
                &entry.seq.to_be_bytes(),
                pieces::encode(&message)?,
            );
        }
        position.foreign += 1;
        tracing::warn!(seq = entry.seq, "a foreign message on an event subject was passed over");
        Ok(())
    }

    fn write(&mut self, mut group: Group, position: Position) -> Result<(), StoreError> {
        let shelves = &self.store.shelves;
        for (id, (old, new)) in &group.articles {
            let Some(new) = new else { continue };
            if old.as_ref().is_some_and(|old| old.seq == new.seq) {
                continue;
            }
            pieces::write_article(&shelves.articles, &mut group.batch, old.as_ref(), new)?;
            if let Some(old) = old {
                shelves.board.remove(&mut group.batch, &board::key(old.article.updated, *id));
            }
            let row = pieces::encode(&board::Row::of(&new.article))?;
            shelves.board.insert(&mut group.batch, &board::key(new.article.updated, *id), row);
        }
        pieces::write(&shelves.meta, &mut group.batch, POSITION, &pieces::encode(&position)?);
        if let Some(newsroom) = &group.newsroom {
            pieces::write(&shelves.meta, &mut group.batch, NEWSROOM, &pieces::encode(&**newsroom)?);
        }
        self.store.tree.apply_batch(group.batch)?;
        if self.kept.len() + group.articles.len() > KEPT_ARTICLES {
            self.kept.clear();
        }
        self.kept.extend(group.articles.into_iter().filter_map(|(id, (_, new))| new.map(|new| (id, new))));
        self.store.moved(position, group.newsroom);
        Ok(())
    }
}

fn set(group: &mut Group, id: Uuid, stored: Stored) {
    if let Some((_, now)) = group.articles.get_mut(&id) {
        *now = Some(stored);
    }
}
