//! Who has which bearer token, now: what the configuration lists, less what expired and what was revoked.
//!
//! # What is kept where
//! The configuration has each token's hash. What changes while services run has one key for each token in the log's
//! compare-and-set space, so that all instances share it ([`record`]): whether it was revoked, when and by whom, and
//! the day on which it was last used. The key is made of a hash of the hash: nobody who reads the keys can tell a
//! token from it, and nothing of it is among the events.
//!
//! A revocation holds from the moment that its key is written: at once on the instance that wrote it, and on each
//! other as soon as it hears of it, which follows the keys as they are written. While an instance can't reach the log
//! it hears of no revocation, as it hears of nothing else. A revocation is of the token, not of its name: a new token
//! of the same name is a good one.
//!
//! Uses are noted in memory, and written within seconds by a task of its own, at most once a day for each token.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde::Serialize;
use tokio::sync::watch;

use crate::config::token::{Expiry, Listed, TokenHash};
use crate::log::keys::KeyError;
use crate::log::{Log, LogError};

mod record;
mod upkeep;

use record::Record;
pub use record::Revoked;

/// How often uses are written down, and how long the keys are left alone after they could not be read.
const ROUND: Duration = Duration::from_secs(2);
/// More than any token has, in bytes; what is longer is nobody's and isn't looked at.
const TOKEN_BYTES: usize = 256;
/// How often a revocation is tried while others write the same key.
const TRIES: usize = 8;

/// Who has which token.
pub struct Book {
    log: Arc<dyn Log>,
    entries: RwLock<Entries>,
    changed: watch::Sender<u64>,
}

type Entries = HashMap<TokenHash, Arc<Entry>>;

/// A token, and what is known of it.
struct Entry {
    listed: Listed,
    mark: String,
    record: RwLock<Record>,
    /// The last day on which it was used here, as days from the common era; 0 where it wasn't.
    used: AtomicI32,
}

/// A token as people see it listed: never itself, and its hash never whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Whose it is.
    pub actor: Arc<str>,
    /// What it is called among theirs.
    pub name: Arc<str>,
    /// The first eight digits of its hash.
    pub sha256: String,
    /// `good`, `expired` or `revoked`.
    pub state: &'static str,
    /// From when on nobody has it any more.
    pub expires: Option<String>,
    /// The day on which it was last used, in UTC.
    pub last_used: Option<NaiveDate>,
    /// When it was revoked and by whom.
    pub revoked: Option<Revoked>,
}

/// A token that someone showed, and that is theirs: good until it is not.
#[derive(Clone)]
pub struct Pass {
    book: Arc<Book>,
    hash: TokenHash,
    actor: Arc<str>,
}

impl Book {
    /// The tokens of a configuration, with what the log's keys say of them.
    ///
    /// # Errors
    /// [`LogError`] where the keys can't be read: then nobody could tell what was revoked.
    pub async fn open(log: Arc<dyn Log>, tokens: Vec<Listed>) -> Result<Arc<Self>, LogError> {
        let book = Self { log, entries: RwLock::default(), changed: watch::Sender::new(0) };
        book.replace(tokens).await?;
        Ok(Arc::new(book))
    }

    /// Takes a changed configuration's tokens in the place of those there are.
    ///
    /// # Errors
    /// As [`Book::open`]; nothing has changed then, or what was revoked in this very moment may not be known.
    pub async fn replace(&self, tokens: Vec<Listed>) -> Result<(), LogError> {
        let mut entries = Entries::new();
        for listed in tokens {
            let entry = match self.entries().get(&listed.hash).map(Arc::clone) {
                Some(known) => Entry {
                    used: AtomicI32::new(known.used.load(Ordering::Relaxed)),
                    ..Entry::new(listed, known.record())
                },
                None => Entry::new(listed, Record::default()),
            };
            let (_, record) = record::read(&self.log.keys(), &entry.mark).await?;
            entry.learn(record);
            entries.insert(entry.listed.hash, Arc::new(entry));
        }
        let entries: Vec<Arc<Entry>> = {
            let mut there = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            *there = entries;
            there.values().map(Arc::clone).collect()
        };
        self.changed.send_modify(|changes| *changes += 1);
        // Once more: what was revoked since was heard of by the entries before.
        for entry in entries {
            let (_, record) = record::read(&self.log.keys(), &entry.mark).await?;
            self.learn(&entry, record);
        }
        Ok(())
    }

    /// Whose token this is, if it is anyone's now. The time that it takes tells nothing of the tokens there are.
    pub fn owner(self: &Arc<Self>, presented: &str) -> Option<Pass> {
        if presented.len() > TOKEN_BYTES {
            return None;
        }
        let hash = TokenHash::of(presented);
        let now = self.log.clock().now();
        let entry = self.entries().get(&hash).map(Arc::clone)?;
        if !entry.is_good(now) {
            return None;
        }
        entry.used.fetch_max(now.num_days_from_ce(), Ordering::Relaxed);
        Some(Pass { book: Arc::clone(self), hash, actor: Arc::clone(&entry.listed.actor) })
    }

    /// Every token, by actor and name.
    pub fn rows(&self) -> Vec<Row> {
        let now = self.log.clock().now();
        let mut rows: Vec<Row> = self.entries().values().map(|entry| entry.row(now)).collect();
        rows.sort_by(|a, b| (&a.actor, &a.name).cmp(&(&b.actor, &b.name)));
        rows
    }

    /// Revokes a token for good, on every instance; `None` where the configuration here has no such token. One that
    /// was revoked before stays as it was.
    ///
    /// # Errors
    /// [`KeyError`] where it can't be written.
    pub async fn revoke(&self, actor: &str, name: &str, by: &str) -> Result<Option<Row>, KeyError> {
        let named = |entry: &&Arc<Entry>| &*entry.listed.actor == actor && &*entry.listed.name == name;
        let Some(entry) = self.entries().values().find(named).map(Arc::clone) else { return Ok(None) };
        let keys = self.log.keys();
        let mut tries = TRIES;
        loop {
            let (revision, mut record) = record::read(&keys, &entry.mark).await?;
            if record.revoked.is_none() {
                record.revoked = Some(Revoked { time: self.log.clock().now(), by: by.to_owned() });
                match record::write(&keys, &entry.mark, revision, &record).await {
                    Ok(()) => tracing::info!(actor, token = name, by, "a token was revoked"),
                    Err(KeyError::Conflict) if tries > 0 => {
                        tries -= 1;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            self.learn(&entry, record);
            return Ok(Some(entry.row(self.log.clock().now())));
        }
    }

    fn learn(&self, entry: &Entry, record: Record) {
        if entry.learn(record) {
            self.changed.send_modify(|changes| *changes += 1);
        }
    }

    fn entries(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Book({} tokens)", self.entries().len())
    }
}

impl Entry {
    fn new(listed: Listed, record: Record) -> Self {
        let mark = listed.hash.mark();
        Self { listed, mark, record: RwLock::new(record), used: AtomicI32::new(0) }
    }

    fn record(&self) -> Record {
        self.record.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes what a key says. True where the token was good until now.
    fn learn(&self, said: Record) -> bool {
        let mut record = self.record.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = record.revoked.is_none() && said.revoked.is_some();
        record.used = record.used.max(said.used);
        if is_new {
            record.revoked = said.revoked;
        }
        is_new
    }

    fn is_good(&self, now: DateTime<Utc>) -> bool {
        let revoked = self.record.read().unwrap_or_else(PoisonError::into_inner).revoked.is_some();
        !revoked && !self.listed.expires.is_some_and(|expiry| expiry.is_past(now))
    }

    fn used(&self) -> Option<NaiveDate> {
        NaiveDate::from_num_days_from_ce_opt(self.used.load(Ordering::Relaxed))
            .filter(|day| day.num_days_from_ce() > 0)
    }

    fn row(&self, now: DateTime<Utc>) -> Row {
        let (listed, record) = (&self.listed, self.record());
        let expired = listed.expires.is_some_and(|expiry| expiry.is_past(now));
        Row {
            actor: Arc::clone(&listed.actor),
            name: Arc::clone(&listed.name),
            sha256: listed.hash.beginning(),
            state: match (&record.revoked, expired) {
                (Some(_), _) => "revoked",
                (None, true) => "expired",
                (None, false) => "good",
            },
            expires: listed.expires.as_ref().map(Expiry::to_string),
            last_used: record.used.max(self.used()),
            revoked: record.revoked,
        }
    }
}

impl Pass {
    /// Whose it is.
    pub fn actor(&self) -> &Arc<str> {
        &self.actor
    }

    /// Returns once the token is nobody's any more: revoked, expired, or gone from the configuration.
    pub async fn ended(&mut self) {
        let mut changed = self.book.changed.subscribe();
        let clock = self.book.log.clock();
        loop {
            let entry = self.book.entries().get(&self.hash).map(Arc::clone);
            let Some(entry) = entry.filter(|entry| entry.is_good(clock.now())) else { return };
            let left = entry.listed.expires.and_then(|expiry| (expiry.0 - clock.now()).to_std().ok());
            let expiry = async {
                match left {
                    // The clock may be set meanwhile: it is looked at again.
                    Some(left) => clock.sleep(left.min(Duration::from_secs(60))).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = expiry => {}
                _ = changed.changed() => {}
            }
        }
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pass({})", self.actor)
    }
}

#[cfg(test)]
mod tests;
