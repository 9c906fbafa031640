//! The line of checkpoints: a stream of its own, written by whichever instance is first.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use tokio::sync::watch;

use super::note::{Checkpoint, Key, NoteError};
use crate::log::{self, Content, Entry, Expect, Log, LogError, Message, Seq, Settled, Stream};
use crate::merkle::Hash;
use crate::store::{Store, StoreError};

/// The stream's name.
pub const STREAM: &str = "checkpoints";

/// The subject of checkpoints in it.
const SUBJECT: &str = "checkpoint";

/// A tree is signed once in so long, at most.
const APART: Duration = Duration::from_secs(1);

/// How long the line is left alone where nothing is folded.
const LOOK: Duration = Duration::from_secs(5);

/// How long an append is tried.
const PATIENCE: Duration = Duration::from_secs(10);

/// Under which key of the log's the signing key is kept where the configuration names no file.
const KEY: &str = "audit.key";

/// Why no checkpoint can be signed or found.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The log can't be read or written now.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The tree can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key can't be used.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The log isn't what a checkpoint says.
    #[error("{0}")]
    Diverged(String),
    /// No random bytes are to be had.
    #[error("no random bytes are to be had: {0}")]
    Random(String),
}

/// A checkpoint as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// How many leaves the tree has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// The note.
    pub note: Bytes,
}

/// The checkpoints of a log, held against this instance's tree.
#[derive(Debug)]
pub struct Audit {
    log: Arc<dyn Log>,
    store: Arc<Store>,
    stream: Arc<dyn Stream>,
    key: Key,
    newest: watch::Sender<Option<Arc<Signed>>>,
    /// Of which checkpoint the log was found to be another than was signed.
    forked: OnceLock<String>,
}

/// The key of a log whose configuration names none: kept in the log's own key-value space, and made where there is none,
/// so that all instances sign with one. It is of the log of that name: `origin`, else the name that it was made under,
/// `otherwise`, which it keeps wherever the log is restored.
///
/// # Errors
/// [`AuditError`].
pub async fn kept_key(log: &dyn Log, origin: Option<&str>, otherwise: &str) -> Result<Key, AuditError> {
    let keys = log.keys();
    loop {
        if let Some(key) = found_key(log, origin).await? {
            return Ok(key);
        }
        let key = new_key(origin.unwrap_or(otherwise))?;
        match keys.put(KEY, 0, key.secret_text().into()).await {
            // Read again in any case: what the log has is what counts.
            Ok(_) | Err(log::keys::KeyError::Conflict) => {}
            Err(log::keys::KeyError::Log(error)) => return Err(error.into()),
            Err(error) => return Err(LogError::Unsuitable(error.to_string()).into()),
        }
    }
}

/// The same, where the log has one already: nothing is written.
///
/// # Errors
/// [`AuditError`].
pub async fn found_key(log: &dyn Log, origin: Option<&str>) -> Result<Option<Key>, AuditError> {
    let Some((_, text)) = log.keys().get(KEY).await? else { return Ok(None) };
    let text = std::str::from_utf8(&text).map_err(|_| NoteError::Key)?;
    Ok(Some(match origin {
        Some(origin) => Key::parse(text, origin)?,
        None => Key::named(text)?,
    }))
}

/// A new key.
///
/// # Errors
/// [`AuditError::Random`], [`AuditError::Note`].
pub fn new_key(origin: &str) -> Result<Key, AuditError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| AuditError::Random(error.to_string()))?;
    Ok(Key::new(origin, &secret)?)
}

impl Audit {
    /// The checkpoints of a log whose tree is in `store`, to be signed with `key`.
    ///
    /// # Errors
    /// [`AuditError::Log`].
    pub async fn open(log: Arc<dyn Log>, store: Arc<Store>, key: Key) -> Result<Self, AuditError> {
        let stream = log.stream(STREAM).await?;
        Ok(Self { log, store, stream, key, newest: watch::Sender::new(None), forked: OnceLock::new() })
    }

    /// The key that checkpoints are signed with.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The tree.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The newest checkpoint that this instance's tree bears out.
    pub fn newest(&self) -> Option<Arc<Signed>> {
        self.newest.borrow().clone()
    }

    /// The newest checkpoint once it covers a leaf.
    pub async fn covering(&self, index: u64) -> Arc<Signed> {
        let mut newest = self.newest.subscribe();
        let covers = |signed: &Option<Arc<Signed>>| signed.as_ref().is_some_and(|signed| signed.size > index);
        match newest.wait_for(covers).await.map(|signed| signed.clone()) {
            Ok(Some(signed)) => signed,
            // The sender lives as long as this.
            _ => std::future::pending().await,
        }
    }

    /// That what is folded is what the newest checkpoint was signed over, as far as it is folded. Waits for no fold, so
    /// whoever folds may ask. A log that looked shorter than what was signed may be whole again; one of which a root once
    /// differed has been changed, whatever was signed since.
    ///
    /// # Errors
    /// [`AuditError::Diverged`] where it isn't.
    pub async fn agrees(&self) -> Result<(), AuditError> {
        self.last(false).await?;
        self.forked.get().map_or(Ok(()), |why| Err(AuditError::Diverged(why.clone())))
    }

    /// The newest checkpoint of the line, held against the tree, and the stream's end; `waiting` for the fold, where the
    /// checkpoint is of more than is folded.
    async fn last(&self, waiting: bool) -> Result<(Option<Entry>, Option<Arc<Signed>>, Seq), AuditError> {
        let mut at = self.stream.end().await?;
        let end = at;
        // What is no checkpoint is passed over.
        while at > 0 {
            let entry = self.stream.get(at).await?;
            let signed = entry.as_ref().and_then(read);
            if let Some(signed) = signed {
                self.holds(&signed, waiting).await?;
                return Ok((entry, Some(Arc::new(signed)), end));
            }
            at -= 1;
        }
        Ok((None, None, end))
    }

    /// That the tree begins with what was signed.
    async fn holds(&self, signed: &Signed, waiting: bool) -> Result<(), AuditError> {
        let tree = self.store.merkle();
        if tree.size() < signed.size {
            // What was signed elsewhere is in the log; perhaps it is only not folded here yet.
            let end = self.log.events().end().await?;
            match waiting {
                true => self.store.folded(end).await,
                false if self.store.position().seq < end => return Ok(()),
                false => {}
            }
        }
        if tree.size() < signed.size {
            return Err(AuditError::Diverged(format!(
                "a checkpoint was signed over {} events, and the log has {}: its tail is lost",
                signed.size,
                tree.size()
            )));
        }
        if tree.root(signed.size)? != signed.root {
            let why = format!(
                "the first {} events aren't those that a checkpoint was signed over: the log was changed",
                signed.size
            );
            return Err(AuditError::Diverged(self.forked.get_or_init(|| why).clone()));
        }
        Ok(())
    }

    /// Follows the line, and adds to it what was folded where `signing`, until something fails.
    ///
    /// # Errors
    /// [`AuditError`]; never returns otherwise.
    pub async fn run(&self, signing: bool) -> Result<Infallible, AuditError> {
        let clock = self.log.clock();
        let mut positions = self.store.positions();
        let key = self.key.verifier();
        // Where the last checkpoint is of another name or key, the same tree is signed once more, that it be verifiable.
        let mut renew = signing;
        loop {
            positions.mark_unchanged();
            let (entry, last, end) = self.last(true).await?;
            let size = self.store.merkle().size();
            let ours = last.as_ref().is_none_or(|last| Checkpoint::open(&last.note, &key).is_ok());
            if last != self.newest() && last.is_some() && (ours || !renew) {
                self.newest.send_replace(last.clone());
            }
            if size <= last.as_ref().map_or(0, |last| last.size) && (ours || !renew) {
                tokio::select! {
                    biased;
                    _ = positions.changed() => {}
                    () = clock.sleep(LOOK) => {}
                }
                continue;
            }
            let since = entry.map_or(TimeDelta::MAX, |entry| clock.now() - entry.time);
            // One of a later hour than now was signed before the clock was set back.
            let due = APART.saturating_sub(since.abs().to_std().unwrap_or_default());
            if !due.is_zero() {
                clock.sleep(due).await;
                continue;
            }
            if signing {
                self.sign(size, end).await?;
                renew = false;
            } else {
                clock.sleep(APART).await;
            }
        }
    }

    /// Adds the tree of the first `size` leaves to the line, where its stream still ends at `end`.
    async fn sign(&self, size: u64, end: Seq) -> Result<(), AuditError> {
        let root = self.store.merkle().root(size)?;
        let note = Bytes::from(self.key.sign(size, root)?);
        let message = Message {
            subject: SUBJECT.to_owned(),
            id: format!("checkpoint/{size}"),
            headers: Vec::new(),
            body: note.clone(),
        };
        match log::append(&*self.stream, &*self.log.clock(), &message, Expect::Stream(end), PATIENCE).await {
            Settled::Written(_) => {
                self.newest.send_replace(Some(Arc::new(Signed { size, root, note })));
                Ok(())
            }
            // Another instance was first.
            Settled::Lost => Ok(()),
            Settled::Unavailable(why) | Settled::Unknown(why) => Err(LogError::Unavailable(why).into()),
            Settled::Refused(why) => Err(LogError::Unsuitable(why).into()),
        }
    }
}

/// A checkpoint as it stands in the line; none where it is something else.
pub fn read(entry: &Entry) -> Option<Signed> {
    let Content::Message { body, .. } = &entry.content else { return None };
    let Checkpoint { size, root, .. } = Checkpoint::parse(body).ok()?;
    Some(Signed { size, root, note: body.clone() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use copydesk_article::newsroom::{NewsroomSet, Person, Role, Rules};

    use super::*;
    use crate::log::Clock;
    use crate::log::memory::MemoryLog;
    use crate::{desk, store::fold};

    /// By its time the last checkpoint would be signed an hour from now.
    #[tokio::test]
    async fn after_the_clock_was_set_back_what_comes_is_signed_as_before() {
        let log = MemoryLog::new(3);
        let (clock, of_log) = (log.test_clock(), Arc::new(log.handle()));
        let db = sled::Config::new().temporary(true).open().unwrap();
        let store = Arc::new(Store::inside(&db, "fold", Path::new("nowhere")).unwrap().0);
        let audit = Audit::open(of_log, Arc::clone(&store), new_key("copydesk").unwrap()).await.unwrap();
        for (index, chief) in ["carl", "cleo"].into_iter().enumerate() {
            let person = Person { roles: vec![Role::Chief], ..Person::default() };
            let set = NewsroomSet { people: [(chief.into(), person)].into(), rules: Rules::default() };
            desk::propose(&log, &set, "/copydesk", [7; 16], true).await.unwrap();
            fold::catch_up(&store, &log, |_, _| {}).await.unwrap();
            let signing = async {
                tokio::select! {
                    ended = audit.run(true) => panic!("{ended:?}"),
                    signed = audit.covering(index as u64) => signed.size,
                    () = clock.sleep(LOOK) => panic!("nothing is signed"),
                }
            };
            assert_eq!(clock.drive(signing).await, index as u64 + 1);
            clock.set(clock.now() - TimeDelta::hours(1));
        }
    }
}
