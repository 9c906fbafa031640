//! What moves: each event as it is folded, for those who watch the desk at work.

use std::sync::Arc;

use copydesk_article::article::Article;
use copydesk_article::event::Event;

use super::Stored;
use crate::log::Seq;

/// How many moves are kept for those who are slow to take them: more than one group of the fold, but for one that catches up.
pub const MOVES_KEPT: usize = 4096;

/// An event that was folded.
#[derive(Debug, Clone)]
pub struct Move {
    /// Its position.
    pub seq: Seq,
    /// Its type: `copydesk.article.drafted` and so on.
    pub kind: Arc<str>,
    /// Whose event it is.
    pub by: Arc<str>,
    /// The article with it.
    pub article: Arc<Article>,
}

impl Move {
    /// What an event moved, and the article with it.
    pub fn of(event: &Event, stored: &Stored) -> Self {
        Self {
            seq: stored.seq,
            kind: Arc::clone(&event.kind),
            by: Arc::clone(&event.actor),
            article: Arc::clone(&stored.article),
        }
    }
}
