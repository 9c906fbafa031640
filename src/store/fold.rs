//! The one task that writes the store: it tails the log and folds what comes, group by group.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use copydesk_article::article::Article;
use copydesk_article::command::Data;
use copydesk_article::event::{self, Event, Frozen, Read};
use copydesk_article::ids::{DESK, parse_uuid};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::prepared::{Made, Prepared};
use super::recent::Recent;
use super::redacted::{self, Line};
use super::{
    Aside, Decided, EventRef, FOLD_VERSION, ForeignMessage, Move, Outgoing, Position, SNAPSHOT_EVERY, Store,
    StoreError, Stored,
};
use crate::log::{Content, Entry, Log, LogError, Stream};
use crate::merkle::Leaf;

/// How many articles the fold keeps in memory between groups, about.
const KEPT_ARTICLES: usize = 4096;

/// How many groups are read and decoded ahead of the one that is folded.
const AHEAD: usize = 3;

/// How long what was folded waits at most for more before it is written into sled.
const WRITE_AFTER: Duration = Duration::from_secs(1);

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
    let clock = log.clock();
    let mut folder = Folder::new(store, log.identity())?;
    let mut tail = log.events().tail(store.position().seq).await?;
    loop {
        let mut group = tokio::select! {
            biased;
            why = store.damaged() => return Err(StoreError::Damaged(why).into()),
            first = tail.next() => first,
        };
        let due = clock.elapsed() + WRITE_AFTER;
        loop {
            match group {
                Some(group) => folder.fold(group?, &*log.events()).await?,
                None => return Err(LogError::Unavailable("the tail ended".to_owned()).into()),
            }
            let left = due.saturating_sub(clock.elapsed());
            if left.is_zero() {
                break;
            }
            tokio::select! {
                biased;
                next = tail.next() => group = next,
                () = clock.sleep(left) => break,
            }
        }
        store.write()?;
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
        // What was folded before the log failed may not be in sled yet, and perhaps nothing comes for long.
        store.write()?;
        return Ok(end);
    }
    if store.position().seq == 0 {
        store.born.store(end, std::sync::atomic::Ordering::Relaxed);
    }
    let mut folder = Folder::new(store, log.identity())?;
    let tail = log.events().tail(store.position().seq).await?;
    // What needs no order goes ahead on other threads, where there are any.
    let runtime = tokio::runtime::Handle::try_current().ok();
    let mut groups = tail.map(|group| prepare(group, runtime.clone())).buffered(AHEAD).boxed();
    while store.position().seq < end {
        match groups.next().await {
            Some(group) => folder.fold_prepared(group?, &*log.events()).await?,
            None => return Err(LogError::Unavailable("the tail ended".to_owned()).into()),
        }
        progress(store.position().seq, end);
    }
    store.write()?;
    Ok(end)
}

/// Reads and hashes a group's events, on another thread where there is a runtime that has one.
async fn prepare(
    group: Result<Vec<Entry>, LogError>,
    runtime: Option<tokio::runtime::Handle>,
) -> Result<Prepared, FoldError> {
    let group = group?;
    match runtime {
        Some(runtime) => {
            let prepared = runtime.spawn_blocking(|| Prepared::of(group)).await;
            prepared.map_err(|error| StoreError::Failed(error.to_string()).into())
        }
        None => Ok(Prepared::of(group)),
    }
}

/// Folds one article from its own events.
///
/// # Errors
/// [`FoldError`]; a line that can't be folded is [`FoldError::Diverged`].
pub async fn one(events: &dyn Stream, article: Uuid) -> Result<Option<Stored>, FoldError> {
    let mut state: Option<Stored> = None;
    for entry in Line::read(events, article).await?.entries {
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
    advance_by(state, entry, event::read(&entry.subject, body))
}

/// The same for an entry that was read before.
fn advance_by(state: Option<&Stored>, entry: &Entry, read: Read) -> Step {
    match read {
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

/// Folds groups of entries: readers see each whole, or not at all. Where a group fails the folder is to be thrown
/// away.
pub struct Folder<'a> {
    store: &'a Store,
    identity: Uuid,
    kept: HashMap<Uuid, Stored>,
    aside: HashSet<Uuid>,
    /// The lines of the articles of which something in the present group was erased.
    lines: HashMap<Uuid, Line>,
    /// The present event's digest, where it was understood: then its envelope needn't be read once more for its leaf.
    digest: Option<Option<event::Hash>>,
}

impl<'a> Folder<'a> {
    /// A folder into `store` from the log of this identity.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn new(store: &'a Store, identity: Uuid) -> Result<Self, StoreError> {
        let aside = store.all_aside()?.into_keys().collect();
        Ok(Self { store, identity, kept: HashMap::new(), aside, lines: HashMap::new(), digest: None })
    }

    /// Folds a group of entries that follow the fold position; where something was erased, with the lines of the
    /// articles that it was erased of.
    ///
    /// # Errors
    /// [`FoldError`]; the store then stands at its old position.
    pub async fn fold(&mut self, group: Vec<Entry>, events: &dyn Stream) -> Result<(), FoldError> {
        self.fold_prepared(Prepared::as_they_are(group), events).await
    }

    async fn fold_prepared(&mut self, group: Prepared, events: &dyn Stream) -> Result<(), FoldError> {
        let Prepared { mut entries, made } = group;
        let hash = entries.last().and_then(hash).unwrap_or_default();
        let erased: Vec<_> = entries.iter().map(erased).collect();
        // Only what was erased is replaced, of which nothing was made.
        self.lines = redacted::in_group(events, &mut entries).await?;
        self.apply(&entries, made, &erased, hash)?;
        Ok(())
    }

    /// `erased` says of which entries something was erased; `last_hash` is of the last entry's bytes, or of those that were there.
    fn apply(
        &mut self,
        entries: &[Entry],
        made: Vec<Option<Made>>,
        erased: &[Option<Option<[u8; 32]>>],
        last_hash: [u8; 32],
    ) -> Result<(), StoreError> {
        // Only between groups: what a group made of an article is nowhere else until readers see the whole of it.
        if self.kept.len() >= KEPT_ARTICLES {
            self.kept.clear();
        }
        let mut position = self.store.position();
        let mut group = Recent::default();
        let mut last = None;
        let folded = position.seq;
        for ((entry, made), erased) in entries.iter().zip(made).zip(erased) {
            if entry.seq <= folded {
                continue;
            }
            self.digest = None;
            let (read, hash) = made.map(|made| (made.read, made.hash)).unzip();
            self.take(entry, read, &mut group, &mut position)?;
            let leaf = match (self.digest, &entry.content, erased) {
                (Some(digest), Content::Message { body, .. }, None) => Some(match hash {
                    Some(event) => Leaf { event, edition: digest.map(|digest| digest.0) },
                    None => Leaf::new(body, digest),
                }),
                _ => leaf(entry, *erased),
            };
            if let Some(leaf) = leaf {
                group.leaf(entry.seq, leaf);
                position.leaves += 1;
            }
            group.count();
            last = Some(entry);
        }
        let Some(last) = last else { return Ok(()) };
        position.seq = last.seq;
        position.hash = last_hash;
        position.identity = self.identity;
        position.fold_version = FOLD_VERSION;
        self.store.take(group, position);
        if self.store.recent().is_full() {
            self.store.write()?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        entry: &Entry,
        read: Option<Read>,
        group: &mut Recent,
        position: &mut Position,
    ) -> Result<(), StoreError> {
        if entry.subject == DESK {
            return self.take_newsroom(entry, group, position);
        }
        let Some(id) = parse_uuid(&entry.subject) else {
            note_foreign(entry, group, position);
            return Ok(());
        };
        if self.aside.contains(&id) {
            // Its editions and withdrawals stop this build's wire all the same, until a newer one has sent them.
            if goes_on_wire(entry) {
                group.send(Outgoing { seq: entry.seq, article: id, version: 0 });
            }
            return Ok(());
        }
        let state = self.load(id)?;
        if let Some(decided) = self.decided(id, state.as_ref(), entry) {
            let stored = Stored { article: decided.article, seq: entry.seq };
            self.take_event(entry, state, stored, &decided.event, group);
            return Ok(());
        }
        let step = match read {
            Some(read) => advance_by(state.as_ref(), entry, read),
            None => advance(state.as_ref(), entry),
        };
        match step {
            Step::Event(_, event) if matches!(event.data, Data::Redacted(_)) => {
                self.take_redacted(entry, id, state, &event, group, position)?;
            }
            Step::Event(stored, event) => self.take_event(entry, state, stored, &event, group),
            Step::Passed => {
                note_foreign(entry, group, position);
                if let Some(state) = state {
                    let stored = Stored { seq: entry.seq, ..state.clone() };
                    self.keep(&stored);
                    group.set(stored, || Some(state), 0);
                }
            }
            Step::Aside { why, on_wire } => self.set_aside(entry, id, why, on_wire, group, position),
        }
        Ok(())
    }

    fn set_aside(
        &mut self,
        entry: &Entry,
        id: Uuid,
        why: String,
        on_wire: bool,
        group: &mut Recent,
        position: &mut Position,
    ) {
        tracing::warn!(article = %id, seq = entry.seq, %why, "an article is set aside");
        group.set_aside(id, Aside { seq: entry.seq, why, on_wire });
        if on_wire {
            group.send(Outgoing { seq: entry.seq, article: id, version: 0 });
        }
        self.aside.insert(id);
        position.aside += 1;
    }

    /// An event that says what was erased: the article is folded anew from its own line, what was erased replaced, so
    /// that nothing is left of it in state, snapshots or indexes.
    fn take_redacted(
        &mut self,
        entry: &Entry,
        id: Uuid,
        before: Option<Stored>,
        event: &Event,
        group: &mut Recent,
        position: &mut Position,
    ) -> Result<(), StoreError> {
        let line = self.lines.get(&id);
        let line = line.ok_or_else(|| StoreError::Failed(format!("the line of article {id} wasn't read")))?;
        let (mut state, mut snapshots): (Option<Stored>, _) = (None, Vec::new());
        for known in line.entries.iter().filter(|known| known.seq <= entry.seq) {
            match advance(state.as_ref(), known) {
                Step::Event(stored, _) => {
                    if stored.article.version.is_multiple_of(SNAPSHOT_EVERY) {
                        snapshots.push(Arc::clone(&stored.article));
                    }
                    state = Some(stored);
                }
                Step::Passed => state = state.map(|state| Stored { seq: known.seq, ..state }),
                Step::Aside { why, .. } => {
                    self.set_aside(entry, id, why, false, group, position);
                    return Ok(());
                }
            }
        }
        self.store.may_hold_erased(entry.seq, line.standing)?;
        if let Some(stored) = state {
            self.take_event(entry, before, stored, event, group);
            group.redacted(id, entry.seq, snapshots);
        }
        Ok(())
    }

    /// What this instance's desk decided, where that is what stands in the log.
    fn decided(&self, id: Uuid, state: Option<&Stored>, entry: &Entry) -> Option<Decided> {
        let Content::Message { body, .. } = &entry.content else { return None };
        let version = state.map_or(0, |state| state.article.version) + 1;
        let decided = self.store.on_the_way.take(id, version, body)?;
        debug_assert!(
            matches!(advance(state, entry), Step::Event(folded, _) if folded.article == decided.article),
            "what was decided is what its event folds to"
        );
        Some(decided)
    }

    fn take_event(
        &mut self,
        entry: &Entry,
        before: Option<Stored>,
        stored: Stored,
        event: &Event,
        group: &mut Recent,
    ) {
        self.digest = Some(event.editiondigest);
        let (article, version) = (stored.article.id, event.articleversion);
        let at = EventRef {
            version,
            revision: event.revision,
            seq: entry.seq,
            time_micros: event.time.timestamp_micros(),
            command: event.command,
        };
        self.keep(&stored);
        group.moved(Move::of(event, &stored));
        group.set(stored, || before, body_bytes(entry)).push(at);
        if event.wire.is_some() {
            group.send_understood(Outgoing { seq: entry.seq, article, version }, event);
        }
        if version.is_multiple_of(SNAPSHOT_EVERY) {
            group.keep_snapshot(article);
        }
    }

    fn take_newsroom(
        &mut self,
        entry: &Entry,
        group: &mut Recent,
        position: &mut Position,
    ) -> Result<(), StoreError> {
        let Content::Message { body, .. } = &entry.content else { return Ok(()) };
        let present = group.newsroom().unwrap_or_else(|| self.store.newsroom());
        match event::read(DESK, body) {
            Read::Newsroom(event) => match present.evolve(&event) {
                Ok(next) => {
                    group.set_newsroom(next);
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
            _ => {
                note_foreign(entry, group, position);
                Ok(())
            }
        }
    }

    /// An article as it was folded last.
    fn load(&self, id: Uuid) -> Result<Option<Stored>, StoreError> {
        self.kept.get(&id).map_or_else(|| self.store.article(id), |kept| Ok(Some(kept.clone())))
    }

    fn keep(&mut self, stored: &Stored) {
        self.kept.insert(stored.article.id, stored.clone());
    }
}

/// The hash of what was erased, where that is known; none where nothing was erased.
pub(crate) fn erased(entry: &Entry) -> Option<Option<[u8; 32]>> {
    match entry.content {
        Content::Erased { sha256 } => Some(sha256),
        Content::Message { .. } => None,
    }
}

/// The leaf of an entry; none where it is no event of ours, or was deleted so that nothing tells what it was. Where
/// something was erased the leaf is of what was there, with the digest of what stands in its place.
pub(crate) fn leaf(entry: &Entry, erased: Option<Option<[u8; 32]>>) -> Option<Leaf> {
    let body = match &entry.content {
        Content::Message { body, .. } => Some(body),
        Content::Erased { .. } => None,
    };
    match erased {
        None => body.and_then(|body| Leaf::of(&entry.subject, body)),
        Some(None) => None,
        Some(Some(event)) => {
            let instead = body.and_then(|body| Frozen::read(&entry.subject, body));
            let edition = instead.and_then(|frozen| frozen.editiondigest).map(|digest| digest.0);
            Some(Leaf { event, edition })
        }
    }
}

fn body_bytes(entry: &Entry) -> usize {
    match &entry.content {
        Content::Message { body, .. } => body.len(),
        Content::Erased { .. } => 0,
    }
}

/// The first thousand are listed; all are counted.
fn note_foreign(entry: &Entry, group: &mut Recent, position: &mut Position) {
    const LISTED: u64 = 1000;
    if position.foreign < LISTED {
        let subject = entry.subject.chars().take(200).collect();
        group.note_foreign(ForeignMessage { seq: entry.seq, subject, bytes: body_bytes(entry) });
    }
    position.foreign += 1;
    tracing::warn!(seq = entry.seq, "a foreign message on an event subject was passed over");
}
