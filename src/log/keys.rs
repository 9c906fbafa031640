//! The compare-and-set key-value space and shared cursors, kept in a stream: a key is a subject, its value the
//! last message on it, its revision that message's position.
//!
//! Two writers that set a key to the same value still build two different messages: each bears a nonce of its
//! own in a header, so that after an unknown outcome one is never taken for the other.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use uuid::Uuid;

use super::{Clock, Content, Entry, Expect, LogError, Message, Seq, Settled, Stream, append};

/// How long a write of a key tries to get a definite answer.
pub const KEY_PATIENCE: Duration = Duration::from_secs(10);

/// The header with the nonce that tells two equal values apart.
const NONCE: &str = "Copydesk-Nonce";

/// A compare-and-set key-value space over a stream.
#[derive(Debug, Clone)]
pub struct Keys {
    stream: Arc<dyn Stream>,
    clock: Arc<dyn Clock>,
}

/// Why a key could not be written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Another writer was first; read the key again.
    #[error("the key has changed since it was read")]
    Conflict,
    /// A cursor only moves forward.
    #[error("a cursor at {from} can't go back to {to}")]
    Backwards {
        /// Where it stands.
        from: Seq,
        /// Where it was to go.
        to: Seq,
    },
    /// The key or the value breaks a limit of the log.
    #[error("the log refuses the key: {0}")]
    Refused(String),
    /// The log failed; where the outcome is unknown, the message says so, and reading the key again tells.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Keys {
    /// A space over `stream`; writes wait for a definite answer by `clock`.
    pub fn new(stream: Arc<dyn Stream>, clock: Arc<dyn Clock>) -> Self {
        Self { stream, clock }
    }

    /// The stream that it is kept in.
    pub fn stream(&self) -> Arc<dyn Stream> {
        Arc::clone(&self.stream)
    }

    /// The key's revision and value; `None` where it was never set or was removed (an empty value).
    ///
    /// # Errors
    /// [`LogError`] where the log can't be read.
    pub async fn get(&self, key: &str) -> Result<Option<(Seq, Bytes)>, LogError> {
        let (revision, value) = self.newest(key).await?;
        Ok(if value.is_empty() { None } else { Some((revision, value)) })
    }

    /// Sets the key where its revision is still `expected` (0: never set, or removed), and gives its new
    /// revision. An empty value removes the key.
    ///
    /// # Errors
    /// [`KeyError::Conflict`] where another writer was first.
    pub async fn put(&self, key: &str, expected: Seq, value: Bytes) -> Result<Seq, KeyError> {
        let expected = match expected {
            0 => match self.newest(key).await? {
                (revision, old) if old.is_empty() => revision,
                _ => return Err(KeyError::Conflict),
            },
            revision => revision,
        };
        let nonce = Uuid::new_v4().to_string();
        let headers = vec![(NONCE.to_owned(), nonce.clone())];
        let message = Message { subject: key.to_owned(), id: nonce, headers, body: value };
        let expect = Expect::Subject(expected);
        match append(&*self.stream, &*self.clock, &message, expect, KEY_PATIENCE).await {
            Settled::Written(revision) => Ok(revision),
            Settled::Lost => Err(KeyError::Conflict),
            Settled::Refused(why) => Err(KeyError::Refused(why)),
            Settled::Unavailable(why) => Err(LogError::Unavailable(why).into()),
            Settled::Unknown(why) => {
                Err(LogError::Unavailable(format!("key {key:?} may have been set or not: {why}")).into())
            }
        }
    }

    /// Removes the key where its revision is still `expected`.
    ///
    /// # Errors
    /// [`KeyError::Conflict`] where another writer was first.
    pub async fn remove(&self, key: &str, expected: Seq) -> Result<(), KeyError> {
        self.put(key, expected, Bytes::new()).await.map(drop)
    }

    /// Removes the key and erases every value that it ever had, on every replica. Doing it twice is fine.
    ///
    /// # Errors
    /// [`LogError`]; trying again goes on where it failed.
    pub async fn erase(&self, key: &str) -> Result<(), LogError> {
        for entry in self.stream.all_on(key, 0).await? {
            if matches!(&entry.content, Content::Message { body, .. } if !body.is_empty()) {
                self.stream.erase(entry.seq).await?;
            }
        }
        Ok(())
    }

    /// How many writes of keys there were.
    ///
    /// # Errors
    /// [`LogError`] where the log can't be read.
    pub async fn end(&self) -> Result<Seq, LogError> {
        self.stream.end().await
    }

    /// Every write of a key after the first so many, in order, and then what comes; an entry's subject is the key.
    ///
    /// # Errors
    /// [`LogError`] where the log can't be read.
    pub async fn tail(
        &self,
        after: Seq,
    ) -> Result<BoxStream<'static, Result<Vec<Entry>, LogError>>, LogError> {
        self.stream.tail(after).await
    }

    /// The key's newest revision and value; empty where it has none.
    async fn newest(&self, key: &str) -> Result<(Seq, Bytes), LogError> {
        Ok(match self.stream.last_on(key).await? {
            None => (0, Bytes::new()),
            Some(entry) => match entry.content {
                Content::Message { body, .. } => (entry.seq, body),
                Content::Erased { .. } => (entry.seq, Bytes::new()),
            },
        })
    }
}

/// A position that instances share by name, such as how far the wire has read the events. It only moves
/// forward, and only from where the mover last saw it.
#[derive(Debug, Clone)]
pub struct Cursor {
    keys: Keys,
    key: String,
}

impl Cursor {
    /// The cursor of that name, kept under the key `cursor.<name>`.
    #[must_use]
    pub fn new(keys: Keys, name: &str) -> Self {
        Self { keys, key: format!("cursor.{name}") }
    }

    /// Where it stands; 0 where it was never moved.
    ///
    /// # Errors
    /// [`LogError`] where the log can't be read, or the key holds no position.
    pub async fn get(&self) -> Result<Seq, LogError> {
        Ok(self.read().await?.1)
    }

    /// Moves it from where the caller saw it to a later position; staying is fine and writes nothing.
    ///
    /// # Errors
    /// [`KeyError::Conflict`] where it stands elsewhere by now, [`KeyError::Backwards`] where `to` is earlier.
    pub async fn advance(&self, from: Seq, to: Seq) -> Result<(), KeyError> {
        if to < from {
            return Err(KeyError::Backwards { from, to });
        }
        let (revision, position) = self.read().await?;
        if position != from {
            return Err(KeyError::Conflict);
        }
        if to > from {
            self.keys.put(&self.key, revision, Bytes::from(to.to_string())).await?;
        }
        Ok(())
    }

    async fn read(&self) -> Result<(Seq, Seq), LogError> {
        let Some((revision, value)) = self.keys.get(&self.key).await? else { return Ok((0, 0)) };
        match std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok()) {
            Some(position) => Ok((revision, position)),
            None => Err(LogError::Damaged(format!("key {:?} holds no position", self.key))),
        }
    }
}
