//! The folded state in sled, and how far it is folded.
//!
//! Six trees: `public.articles` has a [`Record`] for each article, `public.bodies` its newest ninjs,
//! `public.order` the articles by newest change, `public.index` the same for each thing that articles are found by,
//! `public.line` where on the wire each edition stands, `public.position` how far the wire is folded, in which
//! version, of which wire. What a group of messages does is worked out first and written in one transaction
//! over the six, so a crash leaves the state before the group or after it. State of another wire, of another
//! fold version or damaged is cleared, and folded again from the wire's start: it is a cache.
//!
//! sled's reads take no snapshots. A reader would see one article's record with another edition's ninjs, so
//! [`apply`](Public::apply) excludes readers while it writes.

use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use serde::Serialize;
use sled::Tree;
use sled::transaction::{ConflictableTransactionError, Transactional, TransactionalTree};
use uuid::Uuid;

use crate::fold::{FOLD_VERSION, Record, Step};
use crate::index;
use crate::line::Told;
use crate::listing::Place;
use crate::message::{Kind, Received, Unread, WireMessage};
use crate::pieces;
use crate::position::Position;
use crate::watch::{watched, watched_each, watched_for};

/// The most that goes into one transaction, in bytes of ninjs; a single message may be longer.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// How many looks more a transaction may last than a read, and a count of all there is ([`crate::watch`]).
const WRITING: u64 = 60;
const COUNTING: u64 = 600;

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// sled can't read or write.
    #[error("the public state can't be read or written: {0}")]
    Sled(#[source] sled::Error),
    /// What was read is not what was written. The next [`Public::apply`] clears it, and says so.
    #[error("the public state is damaged: {0}")]
    Damaged(String),
    /// It is damaged, and sled can't even clear it: whoever opened sled takes another.
    #[error("the public state is damaged and can't be cleared: {0}")]
    Lost(String),
}

impl From<sled::Error> for Error {
    fn from(error: sled::Error) -> Self {
        use std::io::ErrorKind::{NotFound, UnexpectedEof};
        match error {
            sled::Error::Corruption { .. } => Error::Damaged("sled found a corrupted page".to_owned()),
            sled::Error::ReportableBug(why) => Error::Damaged(why),
            // A file of its own that isn't there, or ends too early: large values have files to themselves.
            sled::Error::Io(error) if matches!(error.kind(), NotFound | UnexpectedEof) => {
                Error::Damaged(format!("sled misses a file, or a part of one: {error}"))
            }
            other => Error::Sled(other),
        }
    }
}

/// What a group of messages did.
#[derive(Debug, Default, PartialEq)]
pub struct Applied {
    /// Editions and withdrawals that are shown now, in order.
    pub changed: Vec<Changed>,
    /// Messages that could not be understood: set aside, their articles hidden.
    pub set_aside: Vec<Unread>,
    /// Messages that bear no header of ours.
    pub foreign: u64,
    /// Messages that say nothing new.
    pub repeats: u64,
}

/// An article that shows something new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The article.
    pub article: Uuid,
    /// The edition's number.
    pub edition: u32,
    /// What it is.
    pub kind: Kind,
    /// Its event's position in the log.
    pub log_seq: u64,
    /// The message's position in the wire.
    pub wire_seq: u64,
}

/// The public state. There must be one for a database.
#[derive(Debug)]
pub struct Public {
    articles: Tree,
    pub(crate) bodies: Tree,
    pub(crate) order: Tree,
    pub(crate) index: Tree,
    pub(crate) line: Tree,
    place: Tree,
    position: RwLock<Position>,
    /// The same, or as it was before what is being written.
    last: Mutex<Position>,
    /// Counts what was written since this process opened it.
    generation: AtomicU64,
    /// Whether somebody came upon damage, so that nothing is folded until the state is [cleared](Public::mend).
    damaged: AtomicBool,
    /// The position's `seq`; 0 from when it begins to be cleared.
    folded: AtomicU64,
}

const POSITION: &[u8] = b"position";

impl Public {
    /// Opens the state folded from the wire of this identity; state of another wire or fold version, or that
    /// is damaged, is cleared.
    ///
    /// # Errors
    /// [`Error::Sled`] where sled can't read or write; [`Error::Damaged`] where it can't even be cleared.
    pub fn open(db: &sled::Db, identity: Uuid) -> Result<Public, Error> {
        let public = Public {
            articles: db.open_tree("public.articles")?,
            bodies: db.open_tree("public.bodies")?,
            order: db.open_tree("public.order")?,
            index: db.open_tree("public.index")?,
            line: db.open_tree("public.line")?,
            place: db.open_tree("public.position")?,
            position: RwLock::new(Position::start(identity)),
            last: Mutex::new(Position::start(identity)),
            generation: AtomicU64::new(0),
            damaged: AtomicBool::new(false),
            folded: AtomicU64::new(0),
        };
        match public.check(identity) {
            Ok(position) => {
                public.folded.store(position.seq, Ordering::Release);
                *public.last() = position.clone();
                *public.write() = position;
            }
            Err(Error::Damaged(_)) => public.clear()?,
            Err(error) => return Err(error),
        }
        Ok(public)
    }

    /// How far the wire is folded.
    pub fn position(&self) -> Position {
        self.read().clone()
    }

    /// The same without waiting for what is being written or cleared, for those who only say it.
    pub fn last_position(&self) -> Position {
        self.last().clone()
    }

    /// How far the wire is folded, without waiting for what is being written; 0 from when it begins to be cleared.
    pub fn folded(&self) -> u64 {
        self.folded.load(Ordering::Acquire)
    }

    /// A number that is another whenever what readers are shown may be: what was read after it was asked for is at
    /// least as new. It says nothing to other processes, nor after a restart.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Takes everything away; the wire is to be folded from its start.
    ///
    /// # Errors
    /// [`Error::Sled`].
    pub fn clear(&self) -> Result<(), Error> {
        // Before readers wait for it: who then comes is told that there is nothing.
        self.folded.store(0, Ordering::Release);
        let mut position = self.write();
        *self.last() = Position::start(position.wire);
        self.generation.fetch_add(1, Ordering::Release);
        // First what says how far: a crash on the way leaves state without it, which is cleared on opening.
        self.place.clear()?;
        self.place.flush()?;
        self.index.clear()?;
        self.order.clear()?;
        self.line.clear()?;
        self.bodies.clear()?;
        self.articles.clear()?;
        *position = Position::start(position.wire);
        self.place.insert(POSITION, encode(&*position)?)?;
        Ok(())
    }

    /// Folds messages in the order of the wire. Those up to [`position`](Self::position) change nothing.
    ///
    /// # Errors
    /// [`Error`]; the state is then as it was before the group, or before the part of it that failed. Where it was
    /// damaged it has been cleared: after any error, the wire is to be read again from after
    /// [`position`](Self::position).
    pub fn apply(&self, messages: &[WireMessage]) -> Result<Applied, Error> {
        let applied = self.apply_telling(messages, |_| {});
        if let Err(Error::Damaged(_)) = applied {
            self.mend()?;
        }
        applied
    }

    /// The same, and tells of each edition and withdrawal as [`told`](Self::told) does. It is told before it is written
    /// into sled, which takes longer than all else; whoever then asks for the state waits until it is in there, and
    /// nothing that was rendered before holds. Where it can't be written, the same may be told again.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), but what is damaged stays so until it is [cleared](Self::mend).
    pub fn apply_telling(
        &self,
        messages: &[WireMessage],
        mut tell: impl FnMut(Told),
    ) -> Result<Applied, Error> {
        let came_upon = match self.damaged.load(Ordering::Acquire) {
            true => Err(damaged("a reader came upon it")),
            false => self.apply_all(messages, &mut tell),
        };
        if let Err(Error::Damaged(_)) = came_upon {
            self.damaged.store(true, Ordering::Release);
        }
        came_upon
    }

    /// Whether somebody came upon damage: then it is to be [cleared](Self::mend).
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    /// Clears what is damaged, which takes seconds where there is much of it.
    ///
    /// # Errors
    /// [`Error::Sled`], [`Error::Lost`].
    pub fn mend(&self) -> Result<(), Error> {
        self.clear().map_err(|error| match error {
            Error::Damaged(why) => Error::Lost(why),
            error => error,
        })?;
        self.damaged.store(false, Ordering::Release);
        Ok(())
    }

    /// Notes damage that a reader came upon. The state can't be cleared there and then: the writer would go on
    /// with what follows on the wire, and what went before would be missing.
    pub(crate) fn noting_damage<T>(&self, read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        // sled 0.34 panics on some damage.
        let read = catch_unwind(AssertUnwindSafe(|| watched(read)));
        let read = read.unwrap_or_else(|_| Err(damaged("sled gave up on its files")));
        if let Err(Error::Damaged(_)) = read {
            self.damaged.store(true, Ordering::Release);
        }
        read
    }

    fn apply_all(&self, messages: &[WireMessage], tell: &mut impl FnMut(Told)) -> Result<Applied, Error> {
        let mut applied = Applied::default();
        let mut rest = messages;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |message: &&WireMessage| {
                bytes += message.body.len();
                bytes <= GROUP_BYTES
            };
            let fitting = rest.iter().take_while(fits).count().max(1);
            let (group, after) = rest.split_at_checked(fitting).unwrap_or((rest, &[]));
            self.apply_group(group, &mut applied, tell)?;
            rest = after;
        }
        Ok(applied)
    }

    fn apply_group(
        &self,
        group: &[WireMessage],
        applied: &mut Applied,
        tell: &mut impl FnMut(Told),
    ) -> Result<(), Error> {
        let mut position = self.write();
        let mut next = position.clone();
        let mut did = Applied::default();
        let mut touched: BTreeMap<Uuid, Touched> = BTreeMap::new();
        let mut shown = Vec::new();
        for message in group {
            if message.seq <= next.seq {
                did.repeats += 1;
                continue;
            }
            next.seq = message.seq;
            shown.extend(self.take(message, &mut next, &mut touched, &mut did)?);
        }
        if next.seq > position.seq {
            // Once before it is told, for those who ask at once, and once when it is written.
            self.generation.fetch_add(1, Ordering::Release);
            for received in shown {
                let record = touched.get(&received.article).map(|touched| &touched.record);
                if let Some(told) = record.and_then(|record| Told::of(received, record)) {
                    tell(told);
                }
            }
            self.save(&next, &touched, &did.changed)?;
            self.folded.store(next.seq, Ordering::Release);
            *self.last() = next.clone();
            *position = next;
            self.generation.fetch_add(1, Ordering::Release);
        }
        applied.changed.append(&mut did.changed);
        applied.set_aside.append(&mut did.set_aside);
        applied.foreign += did.foreign;
        applied.repeats += did.repeats;
        Ok(())
    }

    /// Takes a message in; it is given back where it is what its article shows now.
    fn take(
        &self,
        message: &WireMessage,
        next: &mut Position,
        touched: &mut BTreeMap<Uuid, Touched>,
        did: &mut Applied,
    ) -> Result<Option<Received>, Error> {
        let mut shown = None;
        match message.read() {
            Ok(received) => {
                next.counts(received.count);
                let touched = self.touched(touched, received.article, next)?;
                let step = touched.record.receive(&received);
                if let Step::Shows(_) = step {
                    next.changes(received.ninjs.version_created.unwrap_or_default().timestamp());
                    did.changed.push(Changed {
                        article: received.article,
                        edition: received.edition,
                        kind: received.kind,
                        log_seq: received.log_seq,
                        wire_seq: received.seq,
                    });
                    touched.take(step);
                    shown = Some(received);
                } else {
                    did.repeats += 1;
                    touched.take(step);
                }
            }
            Err(Unread::Foreign { .. }) => {
                next.foreign += 1;
                did.foreign += 1;
            }
            Err(Unread::Erased { .. }) => next.erased += 1,
            Err(unread) => {
                next.not_understood += 1;
                if let Unread::NotUnderstood { article, edition, count, .. } = &unread {
                    if let Some(count) = count {
                        next.counts(*count);
                    }
                    if let Some(article) = article {
                        let touched = self.touched(touched, *article, next)?;
                        let step = touched.record.doubt(*edition);
                        touched.take(step);
                    }
                }
                next.changes(0);
                did.set_aside.push(unread);
            }
        }
        Ok(shown)
    }

    /// What is known of an article at this point of the group.
    fn touched<'a>(
        &self,
        touched: &'a mut BTreeMap<Uuid, Touched>,
        article: Uuid,
        next: &mut Position,
    ) -> Result<&'a mut Touched, Error> {
        Ok(match touched.entry(article) {
            MapEntry::Occupied(there) => there.into_mut(),
            MapEntry::Vacant(place) => {
                let stored = self.record(article)?;
                next.articles += u64::from(stored.is_none());
                let record = stored.unwrap_or_default();
                let old_keys = index::keys(&record);
                let old_place = record.shown.as_ref().map(Place::of);
                place.insert(Touched { record, old_place, old_keys, body: None })
            }
        })
    }

    fn save(
        &self,
        position: &Position,
        touched: &BTreeMap<Uuid, Touched>,
        changed: &[Changed],
    ) -> Result<(), Error> {
        let position = encode(position)?;
        let records: Vec<_> = touched
            .iter()
            .map(|(article, touched)| {
                Ok((article, touched, encode(&touched.record)?, index::keys(&touched.record)))
            })
            .collect::<Result<_, Error>>()?;
        let trees = (&self.articles, &self.bodies, &self.order, &self.index, &self.line, &self.place);
        let write = |(articles, bodies, order, index, line, place): &Trees| {
            for (article, touched, record, keys) in &records {
                pieces::write(articles, article.as_bytes(), Some(record))?;
                if let Some(body) = &touched.body {
                    pieces::write(bodies, article.as_bytes(), body.as_deref())?;
                }
                if let Some(old) = &touched.old_place {
                    order.remove(old.bytes())?;
                }
                if let Some(shown) = &touched.record.shown {
                    order.insert(Place::of(shown).bytes(), article.as_bytes())?;
                }
                for old in touched.old_keys.difference(keys) {
                    index.remove(old.as_slice())?;
                }
                for new in keys.difference(&touched.old_keys) {
                    index.insert(new.as_slice(), article.as_bytes())?;
                }
            }
            for changed in changed {
                line.insert(&changed.log_seq.to_be_bytes(), &changed.wire_seq.to_be_bytes())?;
            }
            place.insert(POSITION, position.as_slice())?;
            Ok::<(), ConflictableTransactionError<()>>(())
        };
        watched_for(WRITING, || trees.transaction(write)).map_err(|error| match error {
            sled::transaction::TransactionError::Storage(error) => error.into(),
            sled::transaction::TransactionError::Abort(()) => {
                Error::Damaged("a transaction was given up".into())
            }
        })
    }

    pub(crate) fn record(&self, article: Uuid) -> Result<Option<Record>, Error> {
        let Some(bytes) = watched(|| pieces::read(&self.articles, article.as_bytes()))? else {
            return Ok(None);
        };
        Ok(Some(serde_json::from_slice(&bytes).map_err(|_| damaged("a record can't be read"))?))
    }

    /// The position, where the state is of this wire and fold version and its trees agree with each other.
    fn check(&self, identity: Uuid) -> Result<Position, Error> {
        let bytes =
            watched(|| self.place.get(POSITION))?.ok_or_else(|| damaged("it has no fold position"))?;
        let position: Position =
            serde_json::from_slice(&bytes).map_err(|_| damaged("its fold position can't be read"))?;
        if position.fold != FOLD_VERSION || position.wire != identity {
            return Err(damaged("it is of another wire or fold version"));
        }
        let (mut articles, mut shown, mut indexed) = (0, 0, 0);
        for key in watched_each(self.articles.iter().keys()) {
            // Longer keys are further pieces.
            let Ok(article) = Uuid::from_slice(&key?) else { continue };
            articles += 1;
            let Some(record) = self.record(article)? else { continue };
            if let Some(newest) = &record.shown {
                shown += 1;
                let agree = watched(|| {
                    let place = self.order.get(Place::of(newest).bytes())?;
                    Ok::<_, Error>(
                        place.as_deref() == Some(article.as_bytes())
                            && self.bodies.contains_key(article.as_bytes())?
                            && self.wire_at(newest.log_seq)?.is_some(),
                    )
                });
                if !agree? {
                    return Err(damaged("its trees disagree"));
                }
            }
            for key in index::keys(&record) {
                indexed += 1;
                if watched(|| self.index.get(key))?.as_deref() != Some(article.as_bytes()) {
                    return Err(damaged("its trees disagree"));
                }
            }
        }
        let counted = watched_for(COUNTING, || (self.order.len(), self.index.len()));
        if articles != position.articles || (shown, indexed) != counted {
            return Err(damaged("its trees disagree"));
        }
        Ok(position)
    }

    pub(crate) fn read(&self) -> std::sync::RwLockReadGuard<'_, Position> {
        self.position.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> MutexGuard<'_, Position> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Position> {
        self.position.write().unwrap_or_else(PoisonError::into_inner)
    }
}

type Trees = (
    TransactionalTree,
    TransactionalTree,
    TransactionalTree,
    TransactionalTree,
    TransactionalTree,
    TransactionalTree,
);

/// An article that a group changes.
struct Touched {
    record: Record,
    /// Where it stood in the order before the group.
    old_place: Option<Place>,
    /// Under what it stood in the index.
    old_keys: BTreeSet<index::Key>,
    /// The ninjs to store, or to take away; none where it stays.
    body: Option<Option<Bytes>>,
}

impl Touched {
    fn take(&mut self, step: Step) {
        match step {
            Step::Shows(body) => self.body = Some(Some(body)),
            Step::Hides => self.body = Some(None),
            Step::Repeats => {}
        }
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Damaged(error.to_string()))
}

pub(crate) fn damaged(what: &str) -> Error {
    Error::Damaged(what.into())
}

#[cfg(test)]
mod tests;
