//! What is known of erased messages.
//!
//! The server forgets a deleted message whole: its subject, that its subject ever had it, its hash. So before a
//! message is deleted, a record of it goes into a stream of its own, on the subject `<stream>.<position>`, and
//! there is one such stream for all streams of a log. A deletion without its record is somebody else's.
//!
//! Records are kept in memory and followed in the background, so an append looks them up without asking anybody.
//! A reader that meets a hole asks for newer records first ([`Erasures::refresh`]): the record is acknowledged
//! before the deletion is asked for, so whoever sees the hole finds the record.

use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::api::{ACK_TIMEOUT, Ask, Guard, Meaning, Raw};
use crate::log::{Content, Entry, LogError, Seq};

/// What is kept of an erased message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its position.
    pub seq: Seq,
    /// Its subject, within the stream.
    pub subject: String,
    /// The hash of its body, in hex.
    pub sha256: String,
    /// When the log had taken it.
    pub time: DateTime<Utc>,
}

impl Record {
    /// The record of a message that is to be erased; `None` of one that already is.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let Content::Message { body, .. } = &entry.content else { return None };
        let sha256 = hex::encode(Sha256::digest(body));
        Some(Self { seq: entry.seq, subject: entry.subject.clone(), sha256, time: entry.time })
    }

    /// What its position yields.
    pub(super) fn entry(&self) -> Entry {
        let mut sha256 = [0; 32];
        let sha256 = hex::decode_to_slice(&self.sha256, &mut sha256).is_ok().then_some(sha256);
        Entry {
            seq: self.seq,
            subject: self.subject.clone(),
            time: self.time,
            content: Content::Erased { sha256 },
        }
    }
}

/// What a position yields whose message was deleted behind the service's back.
pub(super) fn unknown(seq: Seq) -> Entry {
    Entry {
        seq,
        subject: String::new(),
        time: DateTime::UNIX_EPOCH,
        content: Content::Erased { sha256: None },
    }
}

#[derive(Debug, Default)]
struct Known {
    /// Up to where the stream of records was read.
    upto: Seq,
    records: HashMap<(Box<str>, Seq), Record>,
    by_subject: HashMap<(Box<str>, Box<str>), BTreeSet<Seq>>,
}

/// The records of all erased messages of a log.
#[derive(Debug)]
pub(super) struct Erasures {
    /// The stream of records; none for a process that may not read it.
    raw: Option<Raw>,
    known: RwLock<Known>,
}

impl Erasures {
    pub(super) fn new(raw: Raw) -> Self {
        Self { raw: Some(raw), known: RwLock::default() }
    }

    /// For a process without the right to read records: that a message is gone is all it can tell.
    pub(super) fn unread() -> Self {
        Self { raw: None, known: RwLock::default() }
    }

    /// The stream of records, where it may be read.
    pub(super) fn raw(&self) -> Option<&Raw> {
        self.raw.as_ref()
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        // Nothing that holds it can panic half way through a change that matters.
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to where the stream of records was read.
    pub(super) fn upto(&self) -> Seq {
        self.known().upto
    }

    /// Takes in what stands in the stream of records. What is no record of ours is passed over.
    pub(super) fn learn(&self, entry: &Entry) {
        let record = match &entry.content {
            Content::Message { body, .. } => serde_json::from_slice::<Record>(body).ok(),
            Content::Erased { .. } => None,
        };
        let stream = entry.subject.split_once('.').map(|(stream, _)| stream);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.upto = known.upto.max(entry.seq);
        let (Some(record), Some(stream)) = (record, stream) else { return };
        if entry.subject != key(stream, record.seq) {
            return;
        }
        known
            .by_subject
            .entry((stream.into(), record.subject.as_str().into()))
            .or_default()
            .insert(record.seq);
        known.records.entry((stream.into(), record.seq)).or_insert(record);
    }

    /// Reads the records that are not known yet, from their leader.
    pub(super) async fn refresh(&self) -> Result<(), LogError> {
        let Some(raw) = &self.raw else { return Ok(()) };
        while let Some(entry) = raw.get(Ask::Next(self.upto() + 1, ">")).await? {
            self.learn(&entry);
        }
        Ok(())
    }

    /// The record of one position, if known.
    pub(super) fn at(&self, stream: &str, seq: Seq) -> Option<Record> {
        let known = self.known();
        if known.records.is_empty() {
            return None;
        }
        known.records.get(&(stream.into(), seq)).cloned()
    }

    /// The positions on a subject that are known to be erased, after a position, in order.
    pub(super) fn on(&self, stream: &str, subject: &str, after: Seq) -> Vec<Seq> {
        let known = self.known();
        if known.records.is_empty() {
            return Vec::new();
        }
        let positions = known.by_subject.get(&(stream.into(), subject.into()));
        positions.into_iter().flat_map(|p| p.range(after + 1..)).copied().collect()
    }

    /// Writes the record of a message that is about to be erased. The first record of a position stays.
    pub(super) async fn record(&self, stream: &str, record: &Record) -> Result<(), LogError> {
        let Some(raw) = &self.raw else {
            return Err(LogError::Unsuitable("this connection may not erase".to_owned()));
        };
        let unavailable = |why: String| LogError::Unavailable(format!("stream {}: {why}", raw.name));
        let subject = key(stream, record.seq);
        let body = serde_json::to_vec(record).map_err(|e| unavailable(e.to_string()))?;
        let guard = Guard { subject: Some(0), stream: None };
        let published =
            raw.publish(&subject, &subject, &Vec::new(), Bytes::from(body), guard, ACK_TIMEOUT).await;
        match published {
            // There is a record of this position, this one or an equal one.
            Ok(_) | Err(Meaning::WrongLast(Some(1..))) => self.refresh().await,
            Err(
                Meaning::WrongLast(_)
                | Meaning::Busy(_)
                | Meaning::InProcess(_)
                | Meaning::Unavailable(_)
                | Meaning::Refused(_)
                | Meaning::Unknown(_),
            ) => match raw.get(Ask::Last(&subject)).await? {
                Some(_) => self.refresh().await,
                None => {
                    Err(unavailable(format!("the record of {stream} {} could not be written", record.seq)))
                }
            },
        }
    }
}

fn key(stream: &str, seq: Seq) -> String {
    format!("{stream}.{seq}")
}
