//! What was folded since the last batch: seen by readers at once, written into sled together.
//!
//! sled copies a leaf for every key that is written, and an article under work changes many times a second in a
//! handful of keys. So what is folded is kept here until it is [`FULL_BYTES`] much or [`FULL_EVENTS`] many or a
//! moment old, and then each key is written once. Readers look here before they look into sled. After a crash the
//! fold goes on from the position in sled: what was here is folded again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use copydesk_article::article::Article;
use copydesk_article::event::{Event, Hash, Time};
use copydesk_article::newsroom::Newsroom;
use sled::Batch;
use uuid::Uuid;

use super::place::Place;
use super::tree::Placed;
use super::{
    Aside, EventRef, ForeignMessage, Fresh, Move, NEWSROOM, Outgoing, Shelves, StoreError, Stored, articles,
    board, due_key, line, pieces, snapshot_key,
};
use crate::log::Seq;
use crate::merkle::Leaf;

/// How many bytes of events and of the articles around them are kept before they are written, about.
const FULL_BYTES: usize = 32 << 20;

/// How many events are folded at most before they are written.
const FULL_EVENTS: usize = 8192;

/// What a block takes in memory, about.
const BLOCK_BYTES: usize = 512;

/// What was folded since the last batch, in one group, or ahead of what readers see.
#[derive(Debug, Default)]
pub(super) struct Recent {
    articles: HashMap<Uuid, Touched>,
    newsroom: Option<Arc<Newsroom>>,
    outgoing: Vec<Outgoing>,
    /// The ids of those events and the digests of their editions, by position.
    digests: HashMap<Seq, (Uuid, Option<Hash>)>,
    aside: BTreeMap<Uuid, Aside>,
    foreign: Vec<ForeignMessage>,
    /// Events that say what was erased, and of which articles.
    redactions: Vec<(Seq, Uuid)>,
    /// Its events, for those who want to hear of them once readers see it.
    moves: Vec<Move>,
    /// Its events' leaves, until readers see it.
    leaves: Vec<Placed>,
    /// How many entries this comes of.
    entries: usize,
    /// How many bytes of events this comes of.
    bytes: usize,
    /// How many blocks its articles have, each counted once, about.
    blocks: usize,
}

/// An article that was folded into.
#[derive(Debug)]
struct Touched {
    /// As it was before.
    before: Option<Stored>,
    now: Stored,
    /// Its row of the board, once it was asked for.
    row: OnceLock<Arc<board::Row>>,
    /// Its events since.
    events: Vec<EventRef>,
    /// As it was at versions of which a snapshot is kept.
    snapshots: Vec<Arc<Article>>,
}

impl Touched {
    fn row(&self) -> &Arc<board::Row> {
        self.row.get_or_init(|| Arc::new(board::Row::of(&self.now.article)))
    }
}

impl Recent {
    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Whether it is time to write it.
    pub(super) fn is_full(&self) -> bool {
        self.bytes + self.blocks * BLOCK_BYTES >= FULL_BYTES || self.entries >= FULL_EVENTS
    }

    /// Another entry was folded, whatever came of it.
    pub(super) fn count(&mut self) {
        self.entries += 1;
    }

    /// An article is something else now, by an event of so many bytes; `before` is what it was before all of this.
    pub(super) fn set(
        &mut self,
        now: Stored,
        before: impl FnOnce() -> Option<Stored>,
        bytes: usize,
    ) -> &mut Vec<EventRef> {
        let id = now.article.id;
        self.bytes += bytes;
        let touched = self.articles.entry(id).or_insert_with(|| Touched {
            before: before(),
            now: now.clone(),
            row: OnceLock::new(),
            events: Vec::new(),
            snapshots: Vec::new(),
        });
        touched.now = now;
        touched.row = OnceLock::new();
        &mut touched.events
    }

    /// The article as it is now is to be kept as it is.
    pub(super) fn keep_snapshot(&mut self, id: Uuid) {
        if let Some(touched) = self.articles.get_mut(&id) {
            touched.snapshots.push(Arc::clone(&touched.now.article));
        }
    }

    /// The article's past was folded anew, by the event at `seq`: these are its snapshots now.
    pub(super) fn redacted(&mut self, id: Uuid, seq: Seq, snapshots: Vec<Arc<Article>>) {
        if let Some(touched) = self.articles.get_mut(&id) {
            touched.snapshots = snapshots;
        }
        self.redactions.push((seq, id));
    }

    /// An event was folded.
    pub(super) fn moved(&mut self, moved: Move) {
        self.moves.push(moved);
    }

    pub(super) fn take_moves(&mut self) -> Vec<Move> {
        std::mem::take(&mut self.moves)
    }

    /// An event of ours was folded, or its article is set aside: the tree has it all the same.
    pub(super) fn leaf(&mut self, seq: Seq, leaf: Leaf) {
        self.leaves.push((seq, leaf));
    }

    pub(super) fn take_leaves(&mut self) -> Vec<Placed> {
        std::mem::take(&mut self.leaves)
    }

    pub(super) fn set_newsroom(&mut self, newsroom: Newsroom) {
        self.newsroom = Some(Arc::new(newsroom));
    }

    pub(super) fn send(&mut self, outgoing: Outgoing) {
        self.outgoing.push(outgoing);
    }

    /// The same, of an event that was understood.
    pub(super) fn send_understood(&mut self, outgoing: Outgoing, event: &Event) {
        self.digests.insert(outgoing.seq, (event.id, event.editiondigest));
        self.send(outgoing);
    }

    pub(super) fn set_aside(&mut self, id: Uuid, aside: Aside) {
        self.aside.insert(id, aside);
    }

    pub(super) fn note_foreign(&mut self, message: ForeignMessage) {
        self.foreign.push(message);
    }

    /// Takes in what was folded after this.
    pub(super) fn absorb(&mut self, newer: Recent) {
        for (id, touched) in newer.articles {
            match self.articles.get_mut(&id) {
                Some(known) => {
                    known.now = touched.now;
                    known.row = touched.row;
                    known.events.extend(touched.events);
                    known.snapshots.extend(touched.snapshots);
                }
                None => {
                    // Once an article, however many groups it changes in.
                    self.blocks += touched.now.article.blocks.len();
                    self.articles.insert(id, touched);
                }
            }
        }
        self.newsroom = newer.newsroom.or_else(|| self.newsroom.take());
        self.outgoing.extend(newer.outgoing);
        self.digests.extend(newer.digests);
        self.aside.extend(newer.aside);
        self.foreign.extend(newer.foreign);
        self.redactions.extend(newer.redactions);
        self.moves.extend(newer.moves);
        self.leaves.extend(newer.leaves);
        self.entries += newer.entries;
        self.bytes += newer.bytes;
    }

    /// Adds everything as sled is to have it.
    pub(super) fn batch(&self, shelves: &Shelves, batch: &mut Batch) -> Result<(), StoreError> {
        for (id, touched) in &self.articles {
            let Touched { before, now, events, snapshots, .. } = touched;
            let place = Place::of(&now.article);
            if before.is_none() {
                place.write(&shelves.places, batch);
            }
            articles::write_article(&shelves.articles, batch, before.as_ref(), now)?;
            if let Some(before) = before {
                shelves.board.remove(batch, &board::key(before.article.updated, *id));
            }
            let row = pieces::encode(&**touched.row())?;
            shelves.board.insert(batch, &board::key(now.article.updated, *id), row);
            let due =
                |stored: &Stored| stored.article.schedule.as_ref().map(|schedule| due_key(schedule.at, *id));
            let (was_due, is_due) = (before.as_ref().and_then(due), due(now));
            if was_due != is_due {
                if let Some(key) = was_due {
                    shelves.due.remove(batch, &key);
                }
                if let Some(key) = is_due {
                    shelves.due.insert(batch, &key, &[]);
                }
            }
            line::append(&shelves.events, batch, place, events)?;
            for article in snapshots {
                let key = snapshot_key(place, article.version);
                pieces::write(&shelves.snapshots, batch, &key, &pieces::encode(&**article)?);
            }
        }
        for outgoing in &self.outgoing {
            shelves.outgoing.insert(batch, &outgoing.seq.to_be_bytes(), &outgoing.encode());
        }
        for (id, aside) in &self.aside {
            shelves.aside.insert(batch, id.as_bytes(), pieces::encode(aside)?);
        }
        for message in &self.foreign {
            shelves.foreign.insert(batch, &message.seq.to_be_bytes(), pieces::encode(message)?);
        }
        for (seq, article) in &self.redactions {
            shelves.redactions.insert(batch, &seq.to_be_bytes(), article.as_bytes().as_slice());
        }
        if let Some(newsroom) = &self.newsroom {
            pieces::write(&shelves.meta, batch, NEWSROOM, &pieces::encode(&**newsroom)?);
        }
        Ok(())
    }

    pub(super) fn article(&self, id: Uuid) -> Option<Stored> {
        self.articles.get(&id).map(|touched| touched.now.clone())
    }

    /// Every article in here.
    pub(super) fn ids(&self) -> BTreeSet<Uuid> {
        self.articles.keys().copied().collect()
    }

    /// The rows of the board that are other, or nowhere, in sled.
    pub(super) fn rows(&self) -> BTreeMap<board::Key, Arc<board::Row>> {
        let row = |touched: &Touched| {
            let row = Arc::clone(touched.row());
            (board::key(row.updated, row.article), row)
        };
        self.articles.values().map(row).collect()
    }

    /// Puts the rows of the board into what is in memory of it.
    pub(super) fn index(&self, index: &mut board::Index) {
        for touched in self.articles.values() {
            let before = touched.before.as_ref().map(|before| &before.article);
            index.set(before.map(|before| board::key(before.updated, before.id)), touched.row());
        }
    }

    /// What is scheduled, and of which articles sled may say otherwise.
    pub(super) fn due(&self) -> (Vec<(Time, Uuid)>, BTreeSet<Uuid>) {
        let articles = self.articles.values().map(|touched| &touched.now.article);
        let due = articles.filter_map(|article| Some((article.schedule.as_ref()?.at, article.id)));
        (due.collect(), self.ids())
    }

    pub(super) fn events_of(&self, article: Uuid) -> Vec<EventRef> {
        self.articles.get(&article).map(|touched| touched.events.clone()).unwrap_or_default()
    }

    /// The newest snapshot of an article at or before a version, if there is one in here.
    pub(super) fn snapshot(&self, article: Uuid, version: u32) -> Option<Arc<Article>> {
        let snapshots = &self.articles.get(&article)?.snapshots;
        snapshots.iter().rev().find(|article| article.version <= version).cloned()
    }

    pub(super) fn newsroom(&self) -> Option<Arc<Newsroom>> {
        self.newsroom.clone()
    }

    pub(super) fn outgoing_after(&self, seq: Seq) -> Vec<Outgoing> {
        self.outgoing.iter().filter(|outgoing| outgoing.seq > seq).copied().collect()
    }

    /// An outgoing event with its article, where that is still as it was with it.
    pub(super) fn fresh(&self, outgoing: Outgoing) -> Option<Fresh> {
        let (event, digest) = *self.digests.get(&outgoing.seq)?;
        let article = &self.articles.get(&outgoing.article)?.now.article;
        let is_as_it_was = article.version == outgoing.version;
        is_as_it_was.then(|| Fresh { event, digest, article: Arc::clone(article) })
    }

    pub(super) fn aside(&self, article: Uuid) -> Option<Aside> {
        self.aside.get(&article).cloned()
    }

    pub(super) fn all_aside(&self) -> BTreeMap<Uuid, Aside> {
        self.aside.clone()
    }

    pub(super) fn redactions(&self) -> Vec<(Seq, Uuid)> {
        self.redactions.clone()
    }

    pub(super) fn foreign(&self) -> Vec<ForeignMessage> {
        self.foreign.clone()
    }
}
