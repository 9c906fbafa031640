//! Folding groups of entries into what readers see, one after the other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use copydesk_article::command::Data;
use copydesk_article::event::{self, Event, Read};
use copydesk_article::ids::{DESK, parse_uuid};
use uuid::Uuid;

use super::FoldError;
use super::step::{Step, advance, advance_by, body_bytes, erased, goes_on_wire, hash, leaf};
use crate::log::{Content, Entry, LogError, Seq, Stream};
use crate::merkle::Leaf;
use crate::store::prepared::{Made, Prepared};
use crate::store::recent::Recent;
use crate::store::redacted::{self, Line};
use crate::store::{
    Aside, Decided, EventRef, FOLD_VERSION, ForeignMessage, Move, Outgoing, Position, SNAPSHOT_EVERY, Store,
    StoreError, Stored,
};

/// How many articles the fold keeps in memory between groups, about.
const KEPT_ARTICLES: usize = 4096;

/// Folds groups of entries: readers see each whole, or not at all. Where a group fails the folder is to be thrown
/// away.
pub struct Folder<'a> {
    store: &'a Store,
    identity: Uuid,
    /// How far it has folded.
    position: Position,
    /// What it has folded and readers don't see yet.
    ahead: Recent,
    kept: HashMap<Uuid, Stored>,
    /// Every article, while everything is folded from nothing: one that isn't among them needn't be looked for in sled.
    all: Option<HashSet<Uuid>>,
    aside: HashSet<Uuid>,
    /// The lines of the articles of which something in the present group was erased.
    lines: HashMap<Uuid, Line>,
    /// Where it came upon what was erased already.
    erased: HashSet<Seq>,
    /// What the present group set aside, and where.
    doubted: Vec<(Uuid, Seq)>,
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
        Ok(Self {
            store,
            identity,
            position: store.position(),
            all: None,
            ahead: Recent::default(),
            kept: HashMap::new(),
            aside,
            lines: HashMap::new(),
            erased: HashSet::new(),
            doubted: Vec::new(),
            digest: None,
        })
    }

    /// Everything is folded from nothing, and not much more.
    pub(super) fn begins_with_nothing(&mut self) {
        self.all = Some(HashSet::new());
    }

    /// Folds a group of entries that follow the fold position; where something was erased, with the lines of the
    /// articles that it was erased of.
    ///
    /// # Errors
    /// [`FoldError`]; the store then stands at its old position.
    pub async fn fold(&mut self, group: Vec<Entry>, events: &dyn Stream) -> Result<(), FoldError> {
        self.fold_ahead(Prepared::as_they_are(group), events).await?;
        self.show()?;
        if self.store.recent().is_full() {
            self.store.write()?;
        }
        Ok(())
    }

    /// How far it has folded, whatever readers see.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Whether it is time to write what readers don't see yet.
    pub(super) fn is_full(&self) -> bool {
        self.ahead.is_full()
    }

    /// Lets readers see what it has folded.
    pub(super) fn show(&mut self) -> Result<(), StoreError> {
        self.store.take(std::mem::take(&mut self.ahead), self.position)
    }

    /// Folds a group that readers are to see later.
    pub(super) async fn fold_ahead(&mut self, group: Prepared, events: &dyn Stream) -> Result<(), FoldError> {
        let Prepared { mut entries, made } = group;
        let hash = entries.last().and_then(hash).unwrap_or_default();
        let erased: Vec<_> = entries.iter().map(erased).collect();
        // Only what was erased is replaced, of which nothing was made.
        self.lines = redacted::in_group(events, &mut entries).await?;
        let gone = entries.iter().zip(&erased).filter(|(_, erased)| erased.is_some());
        self.erased.extend(gone.map(|(entry, _)| entry.seq));
        self.apply(&entries, made, &erased, hash)?;
        for (article, seq) in std::mem::take(&mut self.doubted) {
            if stands(events, article, seq).await? {
                let why = format!("article {article} is not as its events left it");
                return Err(StoreError::Damaged(why).into());
            }
        }
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
        // Only between groups: what a group made of an article is nowhere else until the whole of it is folded.
        if self.kept.len() >= KEPT_ARTICLES {
            self.kept.clear();
        }
        let mut position = self.position;
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
        self.position = position;
        self.ahead.absorb(group);
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
            let stored = Stored::new(decided.article, entry.seq);
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
        self.doubted.push((id, entry.seq));
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
        let is_known = |seq: &Seq| *seq > entry.seq || self.erased.contains(seq);
        self.store.may_hold_erased(line.standing || !line.replaced.iter().all(is_known))?;
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
        let present = group.newsroom().or_else(|| self.ahead.newsroom());
        let present = present.unwrap_or_else(|| self.store.newsroom());
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
        match self.kept.get(&id).cloned().or_else(|| self.ahead.article(id)) {
            Some(stored) => Ok(Some(stored)),
            None if self.all.as_ref().is_some_and(|all| !all.contains(&id)) => Ok(None),
            None => self.store.article(id),
        }
    }

    fn keep(&mut self, stored: &Stored) {
        let id = stored.article.id;
        if self.kept.insert(id, stored.clone()).is_none()
            && let Some(all) = &mut self.all
        {
            all.insert(id);
        }
    }
}

/// Whether an article's own line folds up to a position, so that it is its state in sled that is wrong: of a damaged
/// file sled may give an old page for a new one.
async fn stands(events: &dyn Stream, article: Uuid, seq: Seq) -> Result<bool, LogError> {
    let line = Line::read(events, article).await?;
    let mut state: Option<Stored> = None;
    for entry in line.entries.iter().filter(|entry| entry.seq <= seq) {
        state = match advance(state.as_ref(), entry) {
            Step::Event(stored, _) => Some(stored),
            Step::Passed => state.map(|state| Stored { seq: entry.seq, ..state }),
            Step::Aside { .. } => return Ok(false),
        };
    }
    Ok(true)
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
