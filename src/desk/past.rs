//! Articles as they were: from the nearest snapshot and the article's own events.

use std::sync::Arc;

use copydesk_article::article::Article;
use copydesk_article::event::Time;
use copydesk_article::problem::{Code, Problem};
use uuid::Uuid;

use super::{Desk, unavailable, unreadable};
use crate::log::Seq;
use crate::store::fold::{Step, advance};
use crate::store::redacted::Line;
use crate::store::{EventRef, Stored};

/// A moment in an article's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// After this event.
    Version(u32),
    /// After the last event with this revision.
    Revision(u32),
    /// After the last event not later than this.
    Time(Time),
}

impl At {
    fn reaches(self, event: &EventRef) -> bool {
        match self {
            At::Version(version) => event.version <= version,
            At::Revision(revision) => event.revision <= revision,
            At::Time(time) => event.time_micros <= time.timestamp_micros(),
        }
    }
}

impl Desk {
    /// An article as it was; none where there was none yet. `newest` is the last position on its subject that is
    /// known: events up to it that the store hasn't folded are waited for.
    ///
    /// # Errors
    /// 503 where log or store can't be read.
    pub async fn as_it_was(
        &self,
        article: Uuid,
        at: At,
        newest: Seq,
    ) -> Result<Option<Arc<Article>>, Problem> {
        self.folded(newest).await?;
        let events = self.store.events_of(article, 1..=u32::MAX).map_err(unreadable)?;
        let Some(last) = events.iter().rev().find(|event| at.reaches(event)) else { return Ok(None) };
        if let Some(present) = self.store.article(article).map_err(unreadable)?
            && present.article.version == last.version
        {
            return Ok(Some(present.article));
        }
        let snapshot = self.store.snapshot(article, last.version).map_err(unreadable)?;
        let mut state = snapshot.map(|article| Stored::new(article, 0));
        let from = state.as_ref().map_or(0, |state| state.article.version);
        let line = self.redacted_line(article).await?;
        for event in events.iter().filter(|event| event.version > from && event.version <= last.version) {
            let entry = match &line {
                Some(line) => line.at(event.seq).cloned(),
                None => self.entry_of(article, event.seq).await.map_err(unavailable)?,
            };
            let entry =
                entry.ok_or_else(|| Problem::new(Code::LogUnavailable, "an event can't be read now"))?;
            state = match advance(state.as_ref(), &entry) {
                Step::Event(stored, _) => Some(stored),
                Step::Passed => state,
                Step::Aside { why, .. } => return Err(Problem::new(Code::SetAside, why)),
            };
        }
        Ok(state.map(|state| state.article))
    }

    /// The line of an article of which something was erased; none of any other.
    async fn redacted_line(&self, article: Uuid) -> Result<Option<Line>, Problem> {
        let present = self.store.article(article).map_err(unreadable)?;
        if present.is_none_or(|present| present.article.redactions.is_empty()) {
            return Ok(None);
        }
        Line::read(&*self.log.events(), article).await.map(Some).map_err(unavailable)
    }
}
