//! The folded state in sled: a cache of the log's fold that may be deleted at any time (promise 9).
//!
//! # The invariant
//!
//! What is in sled equals the fold of the log up to the fold position in sled, always. One task tails the log
//! ([`fold`]) and folds groups of entries; readers see each group at once, whole, in memory ([`recent`]). Many groups
//! together go into sled in one batch: articles in pieces, indexes, what goes on the wire, and the fold position. A
//! crash at any line leaves an earlier point of the log, from which the fold goes on.
//!
//! # What is not trusted
//!
//! On Linux sled 0.34's `flush` doesn't reach the disk and its blob files, used for values over 128 KB, are never
//! synced: so a power loss can leave a torn folder that opens without an error. Every value therefore goes through
//! one pair of functions ([`pieces`]) in pieces of at most 48 KiB, each with a CRC; a value that doesn't check is
//! [`StoreError::Damaged`], and a damaged folder is set aside and folded anew from the log. The fold position holds
//! the hash of the event at it and the log's identity: a log that is shorter or other is noticed
//! ([`fold::agrees`]), and then the instance stops deciding and says so.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use copydesk_article::article::Article;
use copydesk_article::event::{self, Time};
use copydesk_article::newsroom::Newsroom;
use copydesk_public::watch::watched_for;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, broadcast, watch};
use uuid::Uuid;

use crate::log::Seq;

mod articles;
mod aside;
pub mod board;
mod decided;
pub mod fold;
mod keeper;
mod line;
mod moves;
pub mod pieces;
mod place;
mod prepared;
mod reads;
mod recent;
pub mod redacted;
mod shelf;
pub mod tree;
mod writing;

pub use aside::{note_given_up, set_aside};
pub use decided::Decided;
pub use line::EventRef;
pub use moves::{MOVES_KEPT, Move};
pub use tree::Tree;

use place::Place;
use recent::Recent;
use shelf::Shelf;

/// The version of what is folded and how it is kept. Another version's folder is folded anew.
pub const FOLD_VERSION: u32 = 9;

/// After how many events of an article a snapshot of it is kept, for reading it as it was.
pub const SNAPSHOT_EVERY: u32 = 32;

/// How long a folder that another process has open is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Why the store could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A value doesn't check: the folder must be folded anew.
    #[error("the folded state is damaged: {0}")]
    Damaged(String),
    /// Another process has the folder open.
    #[error("the folder {0} is open in another process")]
    Locked(String),
    /// The file system or sled failed.
    #[error("the folded state can't be read or written: {0}")]
    Failed(String),
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Corruption { .. } => StoreError::Damaged("sled found a corrupted page".to_owned()),
            // What it says of files whose first bytes are gone or another's, too.
            sled::Error::Unsupported(why) | sled::Error::ReportableBug(why) => StoreError::Damaged(why),
            sled::Error::CollectionNotFound(_) => StoreError::Damaged("sled misses a tree".to_owned()),
            // A file of its own that isn't there, or ends too early: large values have files to themselves.
            sled::Error::Io(error) if is_gone(&error) => {
                StoreError::Damaged(format!("sled misses a file, or a part of one: {error}"))
            }
            sled::Error::Io(error) => StoreError::Failed(error.to_string()),
        }
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::UnexpectedEof)
}

/// How many looks more a batch may last than a read ([`copydesk_public::watch`]).
const WRITING: u64 = 60;

/// How many bytes of its file sled reads within a look when it opens it, on a slow disk.
const OPENED_EACH_LOOK: u64 = 10 * 1024 * 1024;

/// How far sled has folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The last entry folded; 0: none.
    pub seq: Seq,
    /// SHA-256 of that entry's bytes; of an erased one, the hash that the log keeps.
    pub hash: [u8; 32],
    /// The log's identity.
    pub identity: Uuid,
    /// [`FOLD_VERSION`] at the time.
    pub fold_version: u32,
    /// How many foreign messages stand on event subjects up to here.
    pub foreign: u64,
    /// How many articles are set aside.
    pub aside: u64,
    /// How many leaves the tree has: events of ours up to here.
    pub leaves: u64,
}

/// An article with the last position on its subject, which is what the next append expects.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The article.
    pub article: Arc<Article>,
    /// The last position on its subject, foreign messages included.
    pub seq: Seq,
    packs: articles::Packs,
}

impl Stored {
    /// An article as the entry at `seq` left it.
    pub fn new(article: Arc<Article>, seq: Seq) -> Self {
        Self { article, seq, packs: articles::Packs::default() }
    }
}

/// Why an article is set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// The first event that isn't understood.
    pub seq: Seq,
    /// What isn't understood.
    pub why: String,
    /// Whether that event goes on the wire: then the wire stops at it.
    pub on_wire: bool,
}

/// Something on an event subject that is no envelope of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignMessage {
    /// Its position.
    pub seq: Seq,
    /// Its subject.
    pub subject: String,
    /// How many bytes it has.
    pub bytes: usize,
}

/// An event whose edition or withdrawal goes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing {
    /// Its position in the log.
    pub seq: Seq,
    /// The article.
    pub article: Uuid,
    /// The article's version with it.
    pub version: u32,
}

/// An outgoing event that was folded a moment ago, and its article, to which nothing has happened since.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// The event.
    pub event: Uuid,
    /// The digest of its edition, as it was decided.
    pub digest: Option<event::Hash>,
    /// The article with it.
    pub article: Arc<Article>,
}

/// The shelves, by what they hold.
#[derive(Debug, Clone)]
pub(crate) struct Shelves {
    /// Fold position, newsroom.
    pub meta: Shelf,
    /// Where each article's keys lie, by its id.
    pub places: Shelf,
    /// Articles in pieces.
    pub articles: Shelf,
    /// Each article's events: where they stand, and of which commands they are.
    pub events: Shelf,
    /// Articles as they were, every [`SNAPSHOT_EVERY`] events.
    pub snapshots: Shelf,
    /// Articles by newest change.
    pub board: Shelf,
    /// What is scheduled, by its hour.
    pub due: Shelf,
    /// What goes on the wire, by position.
    pub outgoing: Shelf,
    /// Articles set aside.
    pub aside: Shelf,
    /// Foreign messages.
    pub foreign: Shelf,
    /// Events that say what was erased, by position.
    pub redactions: Shelf,
}

/// The folded state.
#[derive(Debug)]
pub struct Store {
    db: sled::Db,
    tree: sled::Tree,
    pub(crate) shelves: Shelves,
    /// What was folded since the last batch.
    recent: Arc<RwLock<Recent>>,
    /// A batch that is on its way into sled.
    writing: writing::Writing,
    /// The tree over what was folded.
    merkle: Tree,
    /// What is in memory of the board, as sled has it. Locked before `recent` where both are.
    board: RwLock<board::Index>,
    position: watch::Sender<Position>,
    newsroom: RwLock<Arc<Newsroom>>,
    /// What the desk decided and the fold hasn't come to yet.
    on_the_way: decided::OnTheWay,
    /// Damage that a reader came upon, until everything is folded anew.
    damage: watch::Sender<Option<String>>,
    /// Whether it was given up.
    over: watch::Sender<bool>,
    /// Who wants to hear of each event as it is folded.
    moves: broadcast::Sender<Move>,
    path: PathBuf,
    /// Turns to look along the board.
    looks: Arc<Semaphore>,
    /// Whether nothing was ever in its files that isn't in it now.
    is_new: AtomicBool,
    /// Last, so that it goes after every other handle of sled's.
    _keeper: keeper::Keeper,
}

/// What was found when the store was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// State up to a position.
    Found,
    /// Nothing: everything is to be folded.
    Empty,
    /// A folder that can't be used; it was set aside under this name.
    SetAside(PathBuf, String),
}

const POSITION: &[u8] = b"position";
const NEWSROOM: &[u8] = b"newsroom";

impl Store {
    /// Opens the folded state in a folder. A folder that is damaged or of another fold version is set aside; one
    /// that another process has open is waited for.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where it stays open elsewhere; [`StoreError::Failed`] where nothing can be written.
    pub fn open(path: &Path, cache_bytes: u64) -> Result<(Store, Opened), StoreError> {
        let since = Instant::now();
        loop {
            let attempt = match aside::given_up(path).exists() && path.exists() {
                // Not even opened: that may be what it didn't come back from.
                true => Ok(Err(aside::as_given_up(path))),
                false => std::panic::catch_unwind(|| Self::try_open(path, cache_bytes)),
            };
            let why = match attempt {
                Ok(Ok(opened)) => {
                    // Where it was set aside and the process ended before this was gone.
                    let _ = std::fs::remove_file(aside::given_up(path));
                    return Ok(opened);
                }
                Ok(Err(StoreError::Damaged(why))) => why,
                Ok(Err(StoreError::Locked(_))) if since.elapsed() < LOCK_PATIENCE => {
                    std::thread::sleep(Duration::from_millis(50));
                    continue;
                }
                Ok(Err(error)) => return Err(error),
                // sled 0.34 panics on some torn files.
                Err(_) => "sled gave up on its files".to_owned(),
            };
            let aside = set_aside(path)?;
            // Where this fails the folder that is made now is set aside at the next start: nothing but time is lost.
            let _ = std::fs::remove_file(aside::given_up(path));
            tracing::warn!(%why, aside = %aside.display(), "the folded state was set aside and is folded anew");
            let (store, _) = Self::try_open(path, cache_bytes)?;
            return Ok((store, Opened::SetAside(aside, why)));
        }
    }

    fn try_open(path: &Path, cache_bytes: u64) -> Result<(Store, Opened), StoreError> {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(cache_bytes)
            .mode(sled::Mode::HighThroughput)
            .flush_every_ms(Some(1000));
        let bytes = std::fs::metadata(aside::database(path)).map_or(0, |database| database.len());
        let db = watched_for(WRITING + bytes / OPENED_EACH_LOOK, || config.open());
        let db = db.map_err(|error| match error {
            sled::Error::Io(io) if io.to_string().contains("lock") => {
                StoreError::Locked(path.display().to_string())
            }
            sled::Error::Io(io) if !is_gone(&io) => StoreError::Failed(format!("{}: {io}", path.display())),
            other => other.into(),
        })?;
        Self::inside(&db, "fold", path)
    }

    /// Opens the folded state in one tree of a sled that is open already: beside others, as a simulation of many
    /// instances has it. `path` names the state; nothing lies there but the mark that erased words may be left.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where the state must be folded anew; [`StoreError::Failed`].
    pub fn inside(db: &sled::Db, tree: &str, path: &Path) -> Result<(Store, Opened), StoreError> {
        let tree = db.open_tree(tree)?;
        let shelf = |tag| Shelf::new(&tree, tag);
        let shelves = Shelves {
            meta: shelf(b'm'),
            places: shelf(b'p'),
            articles: shelf(b'a'),
            events: shelf(b'e'),
            snapshots: shelf(b's'),
            board: shelf(b'b'),
            due: shelf(b'd'),
            outgoing: shelf(b'o'),
            aside: shelf(b'x'),
            foreign: shelf(b'f'),
            redactions: shelf(b'r'),
        };
        let position: Option<Position> =
            pieces::read(&shelves.meta, POSITION)?.map(|b| pieces::decode(&b)).transpose()?;
        if let Some(found) = position
            && found.fold_version != FOLD_VERSION
        {
            let why = format!(
                "it is of fold version {}; this build folds version {FOLD_VERSION}",
                found.fold_version
            );
            return Err(StoreError::Damaged(why));
        }
        let newsroom: Option<Newsroom> = match position {
            Some(_) => pieces::read(&shelves.meta, NEWSROOM)?.map(|b| pieces::decode(&b)).transpose()?,
            None => None,
        };
        let opened = if position.is_some() { Opened::Found } else { Opened::Empty };
        let is_new = position.is_none() && tree.is_empty();
        if position.is_none() && !is_new {
            // What a crash left of a store that was being cleared.
            tree.clear()?;
        }
        let start = position.unwrap_or(Position::none());
        let merkle = Tree::new(shelf(b't'));
        merkle.load(start.leaves)?;
        let keeper = keeper::Keeper::of(db.clone()).map_err(|error| StoreError::Failed(error.to_string()))?;
        let store = Store {
            db: db.clone(),
            tree,
            shelves,
            recent: Arc::default(),
            writing: writing::Writing::default(),
            merkle,
            board: RwLock::new(board::Index::unread(board::ROOM_BYTES)),
            position: watch::Sender::new(start),
            newsroom: RwLock::new(Arc::new(newsroom.unwrap_or_default())),
            on_the_way: decided::OnTheWay::default(),
            damage: watch::Sender::new(None),
            over: watch::Sender::new(false),
            moves: broadcast::Sender::new(MOVES_KEPT),
            path: path.to_owned(),
            looks: Arc::new(Semaphore::new(board::LOOKS)),
            is_new: AtomicBool::new(is_new),
            _keeper: keeper,
        };
        Ok((store, opened))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How far it has folded.
    pub fn position(&self) -> Position {
        *self.position.borrow()
    }

    /// Told whenever the fold position moves.
    pub fn positions(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// Returns once `seq` is folded.
    pub async fn folded(&self, seq: Seq) {
        let mut positions = self.position.subscribe();
        // The sender lives as long as the store, so this can't fail.
        let _ = positions.wait_for(|position| position.seq >= seq).await;
    }

    /// Returns once a reader has come upon damage, and says which. Only who folds can mend it.
    pub async fn damaged(&self) -> String {
        let mut damage = self.damage.subscribe();
        // The sender lives as long as the store, so this can't fail.
        let found = damage.wait_for(Option::is_some).await;
        found.ok().and_then(|found| found.clone()).unwrap_or_default()
    }

    /// Notes damage that somebody came upon otherwise than by reading.
    pub fn note_damage(&self, why: &str) {
        self.damage.send_replace(Some(why.to_owned()));
    }

    /// Notes the damage that a reader came upon.
    fn noting_damage<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Damaged(why)) = &read {
            self.damage.send_replace(Some(why.clone()));
        }
        read
    }

    /// The newsroom in force at the fold position.
    pub fn newsroom(&self) -> Arc<Newsroom> {
        Arc::clone(&self.newsroom.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Throws everything away, to be folded anew.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where sled can't even clear it; [`StoreError::Failed`].
    pub fn clear(&self) -> Result<(), StoreError> {
        self.is_new.store(false, Ordering::Relaxed);
        // What is on its way would come after; whether it arrives is all the same.
        let _ = self.writing.end();
        // The position goes first: a crash in between leaves a store that knows nothing and is folded from 0. What
        // is then left is cleared on opening.
        let mut position = sled::Batch::default();
        pieces::remove(&self.shelves.meta, &mut position, POSITION);
        readable(|| self.tree.apply_batch(position))?;
        let mut index = self.board.write().unwrap_or_else(PoisonError::into_inner);
        *index = board::Index::unread(board::ROOM_BYTES);
        *self.recent.write().unwrap_or_else(PoisonError::into_inner) = Recent::default();
        *self.newsroom.write().unwrap_or_else(PoisonError::into_inner) = Arc::default();
        self.merkle.clear();
        self.position.send_replace(Position::none());
        self.damage.send_replace(None);
        readable(|| self.tree.clear())
    }

    /// The tree over the events that were folded.
    pub fn merkle(&self) -> &Tree {
        &self.merkle
    }

    /// The sled database, for the public side's own trees where both run in one process.
    pub fn db(&self) -> &sled::Db {
        &self.db
    }

    /// Hands everything folded to the operating system, before the process ends. Nothing may be folding any more.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.write()?;
        if !keeper::flush(&self.db).await? {
            tracing::warn!("sled doesn't flush; what it didn't write is folded again at the next start");
        }
        Ok(())
    }

    fn recent(&self) -> RwLockReadGuard<'_, Recent> {
        self.recent.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the fold what is about to be appended, so that it needn't fold it anew.
    pub fn decided(&self, decided: Decided) {
        self.on_the_way.put(decided);
    }

    /// Every event that is folded from now on, in order; one may come again after everything was folded anew.
    /// Who is [`MOVES_KEPT`] behind loses some, and is told so.
    pub fn moves(&self) -> broadcast::Receiver<Move> {
        self.moves.subscribe()
    }

    /// Lets readers see what was folded, and waits for a batch that is on its way: what follows it must not be taken for a part
    /// of it.
    fn take(&self, mut group: Recent, position: Position) -> Result<(), StoreError> {
        self.end_write()?;
        let moves = group.take_moves();
        self.merkle.grow(group.take_leaves());
        if let Some(newsroom) = group.newsroom() {
            *self.newsroom.write().unwrap_or_else(PoisonError::into_inner) = newsroom;
        }
        self.recent.write().unwrap_or_else(PoisonError::into_inner).absorb(group);
        self.position.send_replace(position);
        for moved in moves {
            // Nobody need be listening.
            let _ = self.moves.send(moved);
        }
        Ok(())
    }
}

impl Position {
    fn none() -> Self {
        Self {
            seq: 0,
            hash: [0; 32],
            identity: Uuid::nil(),
            fold_version: FOLD_VERSION,
            foreign: 0,
            aside: 0,
            leaves: 0,
        }
    }
}

/// Asks sled, which panics on some damage.
fn readable<T>(ask: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask));
    Ok(asked.map_err(|_| StoreError::Damaged("sled gave up on its files".to_owned()))??)
}

/// The key of an article that is scheduled. Hours before 1970 don't lie ahead.
fn due_key(at: Time, article: Uuid) -> [u8; 24] {
    let mut key = [0; 24];
    let (first, second) = key.split_at_mut(8);
    first.copy_from_slice(&at.timestamp_micros().max(0).to_be_bytes());
    second.copy_from_slice(article.as_bytes());
    key
}

/// The key of an article as it was at a version.
fn snapshot_key(article: Place, version: u32) -> Vec<u8> {
    article.key(&version.to_be_bytes())
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

impl Outgoing {
    fn encode(&self) -> [u8; 20] {
        let mut value = [0; 20];
        let (first, second) = value.split_at_mut(16);
        first.copy_from_slice(self.article.as_bytes());
        second.copy_from_slice(&self.version.to_be_bytes());
        value
    }

    fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        Some(Self {
            seq: number(key)?,
            article: Uuid::from_slice(value.get(..16)?).ok()?,
            version: u32::from_be_bytes(value.get(16..20)?.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_sleds_that_is_gone_is_damage_and_a_full_disk_is_not() {
        let of = |kind: std::io::ErrorKind| StoreError::from(sled::Error::Io(kind.into()));
        assert!(matches!(of(std::io::ErrorKind::NotFound), StoreError::Damaged(_)));
        assert!(matches!(of(std::io::ErrorKind::UnexpectedEof), StoreError::Damaged(_)));
        assert!(matches!(of(std::io::ErrorKind::StorageFull), StoreError::Failed(_)));
    }
}
