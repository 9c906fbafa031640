//! The compare-and-set key-value space and shared cursors, kept in a stream: a key is a subject, its value the
//! last message on it, its revision that message's position.

use std::sync::Arc;

use bytes::Bytes;

use super::{LogError, Seq, Stream};

/// A compare-and-set key-value space over a stream.
#[derive(Debug, Clone)]
pub struct Keys {
    #[expect(dead_code, reason = "filled in by the room's first commit")]
    stream: Arc<dyn Stream>,
}

/// Why a key could not be written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Another writer was first; read the key again.
    #[error("the key has changed since it was read")]
    Conflict,
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Keys {
    /// A space over `stream`.
    pub fn new(stream: Arc<dyn Stream>) -> Self {
        Self { stream }
    }
    /// The key's revision and value; `None` where it was never set or was removed (an empty value).
    pub async fn get(&self, _key: &str) -> Result<Option<(Seq, Bytes)>, LogError> {
        Ok(None)
    }
    /// Sets the key where its revision is still `expected` (0: absent and never set).
    pub async fn put(&self, _key: &str, _expected: Seq, _value: Bytes) -> Result<Seq, KeyError> {
        Err(KeyError::Conflict)
    }
}
