//! What this instance's desk decided and has sent to the log: the fold needn't read and fold it a second time.
//!
//! The fold takes what was decided in the place of an entry only where the entry's bytes are the very bytes that were
//! decided, at the version that follows what it has folded. Everything else it reads from the log, as it does what
//! other instances wrote; so this may forget anything at any time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use copydesk_article::article::Article;
use copydesk_article::event::Event;
use uuid::Uuid;

/// How many decisions are kept for the fold; beyond that they are forgotten, and read from the log.
const KEPT: usize = 4096;

/// A decision on its way to the log.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The event.
    pub event: Arc<Event>,
    /// The event's bytes.
    pub bytes: Bytes,
    /// The article with it.
    pub article: Arc<Article>,
}

/// The decisions that the fold hasn't come to yet, by article and its version with them.
#[derive(Debug, Default)]
pub(super) struct OnTheWay(Mutex<HashMap<(Uuid, u32), Decided>>);

impl OnTheWay {
    pub(super) fn put(&self, decided: Decided) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT {
            all.clear();
        }
        all.insert((decided.article.id, decided.article.version), decided);
    }

    /// What was decided for this version, if these are its bytes.
    pub(super) fn take(&self, article: Uuid, version: u32, bytes: &Bytes) -> Option<Decided> {
        let decided = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(article, version))?;
        (decided.bytes == *bytes).then_some(decided)
    }
}
