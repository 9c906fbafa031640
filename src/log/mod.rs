//! The log: the ordered events, and everything else that must last.
//!
//! A log is a set of named **streams** of messages. Three of them have names that everything knows: the
//! events ([`Log::events`]), the wire ([`Log::wire`]) and the keys ([`Log::keys`]). Others are small and are
//! opened by name ([`Log::stream`]): checkpoints, cursors.
//!
//! # The invariant
//!
//! A stream is a gapless line of positions 1, 2, 3 …; what stands at a position never changes, except that its
//! bytes may be erased by law, after which the position yields [`Content::Erased`] with the hash of the bytes
//! that were there. [`Stream::try_append`] returns `Ok` only when the message is as durable as the log is
//! configured to be ([`Log::durability`]); what it expects of the subject or of the stream decides who wins
//! when two writers race.
//!
//! # One rule for unknown outcomes
//!
//! An append may end without a definite answer. [`append`] holds the one rule for both logs (see
//! [`settle`]): the same bytes go again with the same expectation until a definite answer comes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::BoxStream;
use uuid::Uuid;

/// A position in a stream, from 1; 0 stands for "before the first".
pub type Seq = u64;

/// Headers of a message, in order; names and values without line breaks.
pub type Headers = Vec<(String, String)>;

/// The longest group of entries that a tail yields at once.
pub const TAIL_GROUP: usize = 1024;

/// What is to be appended. Built once for each message, whatever number of times it is sent.
#[derive(Debug, Clone)]
pub struct Message {
    /// The subject within the stream, without the stream's own prefix: an article's id or `desk` for events,
    /// the home for the wire, the key for keys. Dot-separated tokens of `[A-Za-z0-9_-]`.
    pub subject: String,
    /// The message's own id, by which a transport may recognise a repeat.
    pub id: String,
    /// Headers; empty for events.
    pub headers: Headers,
    /// The bytes to store.
    pub body: Bytes,
}

/// What a writer expects before its message is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The last message on the same subject stands at this position (0: there is none).
    Subject(Seq),
    /// The stream's last position is this one (0: the stream is empty).
    Stream(Seq),
}

/// What stands at one position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The position.
    pub seq: Seq,
    /// The subject, as in [`Message::subject`]. Empty where an erased message's subject isn't known.
    pub subject: String,
    /// When the log took the message, by the log's clock.
    pub time: DateTime<Utc>,
    /// The message, or what is left of it.
    pub content: Content,
}

/// The content of an [`Entry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A message as it was appended.
    Message {
        /// Headers in the order in which they were sent.
        headers: Headers,
        /// The stored bytes, exactly.
        body: Bytes,
    },
    /// The bytes are gone, by [`Stream::erase`].
    Erased {
        /// SHA-256 of the body that was there; `None` where it was deleted behind the service's back.
        sha256: Option<[u8; 32]>,
    },
}

/// Why one attempt to append did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Not written: another message stands where the writer expected none.
    #[error("the log has moved on: expected another last position")]
    WrongExpectation,
    /// Not written, and sure not to have been: the log can't be reached, or refuses all writes.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
    /// Not written, and nothing will be until the log is opened anew: asking again is of no use.
    #[error("the log takes nothing more: {0}")]
    Stopped(String),
    /// It may have been written or not.
    #[error("the outcome of the append is unknown: {0}")]
    Unknown(String),
    /// Not written, and never can be: the message breaks a limit of the log.
    #[error("the log refuses the message: {0}")]
    Refused(String),
}

/// Why the log could not be read or opened.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It can't be reached now; trying again may help.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
    /// The log is damaged. Nothing is repaired in silence: the message says where and what.
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// The log is set up in a way that copydesk can't keep its promises on; the message says what to change.
    #[error("the log can't be used as it is set up: {0}")]
    Unsuitable(String),
    /// The log is shorter than what was answered from it: its tail was lost.
    #[error("the log has lost its tail: {0}")]
    LostTail(String),
}

/// An ordered line of messages.
#[async_trait]
pub trait Stream: Send + Sync + fmt::Debug {
    /// One attempt to append, answered when the message is durable.
    ///
    /// # Errors
    /// [`AppendError`]; only `Unknown` leaves open whether the message was written. Most callers want
    /// [`append`], which settles that.
    async fn try_append(&self, message: &Message, expect: Expect) -> Result<Seq, AppendError>;

    /// The last position, as the stream's leader states it now (0: empty). An erased last message counts.
    async fn end(&self) -> Result<Seq, LogError>;

    /// What stands at a position, as the leader has it; `None` beyond the end.
    async fn get(&self, seq: Seq) -> Result<Option<Entry>, LogError>;

    /// The first entry on a subject after a position, as the leader has it; erased ones count.
    async fn next_on(&self, subject: &str, after: Seq) -> Result<Option<Entry>, LogError>;

    /// All entries on a subject after a position, in order, up to the leader's end at the time of the call.
    async fn all_on(&self, subject: &str, after: Seq) -> Result<Vec<Entry>, LogError>;

    /// The newest entry on a subject, as the leader has it; erased ones count.
    async fn last_on(&self, subject: &str) -> Result<Option<Entry>, LogError>;

    /// Everything after a position, in order and without a gap, and then what comes, in groups of 1 to
    /// [`TAIL_GROUP`] entries. Ends only with an error, after which the caller may tail again from the last
    /// entry it got.
    async fn tail(&self, after: Seq) -> Result<BoxStream<'static, Result<Vec<Entry>, LogError>>, LogError>;

    /// Erases the bytes at a position on every replica; the position then yields [`Content::Erased`].
    /// Erasing twice is fine. Expectations keep counting the erased message.
    async fn erase(&self, seq: Seq) -> Result<(), LogError>;

    /// As [`Stream::erase`], with the hash of the bytes that stood there in the log that this one is restored from.
    async fn erase_as(&self, seq: Seq, sha256: [u8; 32]) -> Result<(), LogError>;
}

/// A clock that can be a test's.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
    /// How long since a moment that stays. It never goes back nor leaps, however the clock is set: what pauses and
    /// deadlines are measured by.
    fn elapsed(&self) -> Duration {
        clock::since_start()
    }
    /// Returns once the clock has advanced by `duration`.
    async fn sleep(&self, duration: Duration);
}

/// What the log is configured to survive.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Durability {
    /// Answered means on the disk: survives power loss.
    Always,
    /// Answered means with the operating system; the disk follows within the interval.
    Interval {
        /// The interval, as configured or, for a server that doesn't say, in words.
        detail: String,
    },
    /// Nothing survives the process.
    Memory,
}

/// A set of streams with one identity and one clock.
#[async_trait]
pub trait Log: Send + Sync + fmt::Debug {
    /// The events, one subject for each article and `desk` for the newsroom line.
    fn events(&self) -> Arc<dyn Stream>;
    /// The editions for subscribers, one subject for each home.
    fn wire(&self) -> Arc<dyn Stream>;
    /// A small stream by name (`[a-z]+`), made where it is absent.
    ///
    /// # Errors
    /// [`LogError`] where it can't be opened or made.
    async fn stream(&self, name: &str) -> Result<Arc<dyn Stream>, LogError>;
    /// The compare-and-set key-value space.
    fn keys(&self) -> keys::Keys;
    /// Drawn when the log was made, and never changed: what state folded from another log doesn't have.
    fn identity(&self) -> Uuid;
    /// The clock by which this instance acts.
    fn clock(&self) -> Arc<dyn Clock>;
    /// How far this instance's clock is ahead of the log's.
    ///
    /// # Errors
    /// [`LogError`] where the log can't be asked.
    async fn skew(&self) -> Result<TimeDelta, LogError>;
    /// What answers from this log survive.
    fn durability(&self) -> Durability;
    /// Why a part of it takes nothing more until it is opened anew, where one doesn't.
    fn stopped(&self) -> Option<Stopped> {
        None
    }
    /// Whether other processes may have this log open at the same time.
    fn is_shared(&self) -> bool {
        true
    }
    /// Those who read the wire and whose progress the log itself keeps: durable consumers, where it has such.
    ///
    /// # Errors
    /// [`LogError`] where the log can't be asked.
    async fn consumers(&self) -> Result<Vec<Consumer>, LogError> {
        Ok(Vec::new())
    }
}

/// Why a part of a log takes nothing more until the log is opened anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// What happened, where, and what to do.
    pub why: Arc<str>,
    /// What was answered is there no longer, or is other than it was: then nothing is decided (promise 9). Else it
    /// was a write or a sync that failed.
    pub damaged: bool,
}

/// Someone who reads the wire from the log itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// The homes it reads, `*` and `>` standing for one token and for all that follow; empty: all.
    pub homes: Vec<String>,
    /// It began after this position, as far as is known.
    pub began: Seq,
    /// It began with what came from then on, as far as is known.
    pub since: Option<DateTime<Utc>>,
    /// Everything for it up to here is acknowledged.
    pub taken: Seq,
}

impl Consumer {
    /// Whether a message is for it: by its position, when the log took it, and its home.
    pub fn reads(&self, seq: Seq, time: DateTime<Utc>, home: &str) -> bool {
        seq > self.began
            && self.since.is_none_or(|since| since <= time)
            && (self.homes.is_empty() || self.homes.iter().any(|pattern| matches(pattern, home)))
    }
}

/// Whether a subject fits a pattern.
fn matches(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in pattern.split('.') {
        match (wanted, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

pub mod clock;
pub mod jetstream;
pub mod keys;
pub mod memory;
pub mod segments;
pub mod settle;

pub use settle::{Settled, append};

/// What stands for a moment where something is put back as erased ([`Stream::erase_as`]).
pub const PLACEHOLDER: &[u8] = b"erased";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_reads_the_homes_that_fit_its_patterns() {
        let consumer = |homes: &[&str]| Consumer {
            name: "site".into(),
            homes: homes.iter().map(|home| (*home).to_owned()).collect(),
            began: 2,
            since: Some(DateTime::UNIX_EPOCH),
            taken: 0,
        };
        for (homes, home, reads) in [
            (&[][..], "world", true),
            (&["world"], "world", true),
            (&["world"], "world.asia", false),
            (&["world.>"], "world.asia.east", true),
            (&["world.>"], "world", false),
            (&["world.*"], "world.asia", true),
            (&["world.*"], "world.asia.east", false),
            (&["sport", "world.>"], "world.asia", true),
        ] {
            assert_eq!(consumer(homes).reads(3, DateTime::UNIX_EPOCH, home), reads, "{homes:?} {home}");
        }
        assert!(!consumer(&[]).reads(2, DateTime::UNIX_EPOCH, "world"));
        assert!(!consumer(&[]).reads(3, DateTime::UNIX_EPOCH - TimeDelta::seconds(1), "world"));
    }
}
