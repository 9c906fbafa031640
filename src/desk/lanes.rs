//! One lane an article: commands to it are taken in order of arrival, and what is known of it is kept in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as Lane;
use uuid::Uuid;

use super::Known;

/// How many articles are kept in memory at most, but for those with commands under way.
const HOT_ARTICLES: usize = 8192;

/// The lanes of the articles that are hot.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: Mutex<Hot>,
}

#[derive(Debug, Default)]
struct Hot {
    lanes: HashMap<Uuid, (u64, Arc<Lane<Known>>)>,
    turn: u64,
}

impl Lanes {
    /// The lane of an article. Its lock is fair: first come, first served.
    pub(super) fn lane(&self, article: Uuid) -> Arc<Lane<Known>> {
        let mut hot = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        hot.turn += 1;
        let turn = hot.turn;
        if hot.lanes.len() >= HOT_ARTICLES && !hot.lanes.contains_key(&article) {
            // Half of what is kept was used in the last so many turns; what is older and idle goes.
            let oldest = turn.saturating_sub(HOT_ARTICLES as u64 / 2);
            hot.lanes.retain(|_, (used, lane)| *used > oldest || Arc::strong_count(lane) > 1);
        }
        let (used, lane) = hot.lanes.entry(article).or_default();
        *used = turn;
        Arc::clone(lane)
    }
}
