//! What is read of the folded state: each time in what was folded since the last batch, and then in sled.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, RangeInclusive};
use std::sync::Arc;

use copydesk_article::article::Article;
use copydesk_article::event::Time;
use uuid::Uuid;

use super::place::Place;
use super::{
    Aside, EventRef, ForeignMessage, Fresh, Outgoing, SNAPSHOT_EVERY, Store, StoreError, Stored, articles,
    line, pieces, shelf, snapshot_key,
};
use crate::log::Seq;

impl Store {
    /// An article.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn article(&self, id: Uuid) -> Result<Option<Stored>, StoreError> {
        let recent = self.recent().article(id);
        if recent.is_some() {
            return Ok(recent);
        }
        let Some(place) = self.place(id)? else { return Ok(None) };
        self.noting_damage(articles::read_article(&self.shelves.articles, place, id))
    }

    /// Where an article lies in sled, if it does.
    fn place(&self, id: Uuid) -> Result<Option<Place>, StoreError> {
        self.noting_damage(Place::find(&self.shelves.places, id))
    }

    /// Every command of an article's events, and where its event stands.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn commands_of(&self, article: Uuid) -> Result<HashMap<Uuid, Seq>, StoreError> {
        let events = self.events_of(article, 1..=u32::MAX)?;
        Ok(events.into_iter().map(|event| (event.command, event.seq)).collect())
    }

    /// An article's events with versions in a range, in order.
    ///
    /// # Errors
    /// [`StoreError::Failed`], [`StoreError::Damaged`].
    pub fn events_of(
        &self,
        article: Uuid,
        versions: RangeInclusive<u32>,
    ) -> Result<Vec<EventRef>, StoreError> {
        // The newer part first: what a batch takes from it meanwhile is then found in both.
        let recent = self.recent().events_of(article);
        let mut events = match self.place(article)? {
            Some(place) => self.noting_damage(line::read(&self.shelves.events, place, versions.clone()))?,
            None => Vec::new(),
        };
        let folded = events.last().map_or(0, |event| event.version);
        events.extend(
            recent.into_iter().filter(|event| event.version > folded && versions.contains(&event.version)),
        );
        Ok(events)
    }

    /// The newest snapshot of an article at or before a version.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn snapshot(&self, article: Uuid, version: u32) -> Result<Option<Arc<Article>>, StoreError> {
        if let Some(recent) = self.recent().snapshot(article, version) {
            return Ok(Some(recent));
        }
        let mut at = version / SNAPSHOT_EVERY * SNAPSHOT_EVERY;
        let Some(place) = self.place(article)?.filter(|_| at > 0) else { return Ok(None) };
        while at > 0 {
            let folded = pieces::read(&self.shelves.snapshots, &snapshot_key(place, at));
            if let Some(bytes) = self.noting_damage(folded)? {
                return self.noting_damage(pieces::decode(&bytes)).map(|article| Some(Arc::new(article)));
            }
            at -= SNAPSHOT_EVERY;
        }
        Ok(None)
    }

    /// Why an article is set aside, if it is.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn aside(&self, article: Uuid) -> Result<Option<Aside>, StoreError> {
        let recent = self.recent().aside(article);
        let folded =
            || self.shelves.aside.get(article.as_bytes())?.map(|bytes| pieces::decode(&bytes)).transpose();
        recent.map_or_else(folded, |aside| Ok(Some(aside)))
    }

    /// Every article set aside.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn all_aside(&self) -> Result<BTreeMap<Uuid, Aside>, StoreError> {
        let read = |entry: sled::Result<shelf::Pair>| {
            let (key, value) = entry?;
            let id = Uuid::from_slice(&key)
                .map_err(|_| StoreError::Damaged("a key of the set aside".to_owned()))?;
            Ok((id, pieces::decode(&value)?))
        };
        let recent = self.recent().all_aside();
        let mut all: BTreeMap<Uuid, Aside> =
            self.shelves.aside.scan(&[]).map(read).collect::<Result<_, StoreError>>()?;
        all.extend(recent);
        Ok(all)
    }

    /// Every event that says what was erased by law, and its article.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn redactions(&self) -> Result<BTreeMap<Seq, Uuid>, StoreError> {
        let recent = self.recent().redactions();
        let read = |entry: sled::Result<shelf::Pair>| {
            let (key, value) = entry?;
            let seq = super::number(&key);
            seq.zip(Uuid::from_slice(&value).ok())
                .ok_or_else(|| StoreError::Damaged("a redaction's place".to_owned()))
        };
        let folded = self.shelves.redactions.scan(&[]).map(read).collect::<Result<BTreeMap<_, _>, _>>();
        let mut all = self.noting_damage(folded)?;
        all.extend(recent);
        Ok(all)
    }

    /// The first foreign messages on event subjects, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn foreign(&self, limit: usize) -> Result<Vec<ForeignMessage>, StoreError> {
        let recent = self.recent().foreign();
        let folded = self.shelves.foreign.scan(&[]).take(limit).map(|entry| pieces::decode(&entry?.1));
        let mut all: Vec<ForeignMessage> = folded.collect::<Result<_, StoreError>>()?;
        let last = all.last().map_or(0, |message| message.seq);
        all.extend(recent.into_iter().filter(|message| message.seq > last));
        all.truncate(limit);
        Ok(all)
    }

    /// What goes on the wire after a position, at most `limit`, in order.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn outgoing_after(&self, seq: Seq, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        let recent = self.recent().outgoing_after(seq);
        let after = seq.to_be_bytes();
        let folded = self.shelves.outgoing.range(Bound::Excluded(&after), Bound::Unbounded).take(limit);
        let read = |entry: sled::Result<shelf::Pair>| {
            let (key, value) = entry?;
            Outgoing::decode(&key, &value)
                .ok_or_else(|| StoreError::Damaged("an outgoing event's place".to_owned()))
        };
        let mut all: Vec<Outgoing> = folded.map(read).collect::<Result<_, _>>()?;
        let last = all.last().map_or(seq, |outgoing| outgoing.seq);
        all.extend(recent.into_iter().filter(|outgoing| outgoing.seq > last));
        all.truncate(limit);
        Ok(all)
    }

    /// An outgoing event with its article, where it was folded a moment ago and nothing has happened to the article
    /// since: then neither need be read from the log.
    pub fn fresh(&self, outgoing: Outgoing) -> Option<Fresh> {
        self.recent().fresh(outgoing)
    }

    /// What is scheduled, the next first, at most `limit`: without the articles that are set aside, of which nobody can
    /// tell here whether they still are.
    ///
    /// # Errors
    /// [`StoreError::Failed`], [`StoreError::Damaged`].
    pub fn due(&self, limit: usize) -> Result<Vec<(Time, Uuid)>, StoreError> {
        let (mut due, moved) = self.recent().due();
        let some_are_aside = self.position().aside > 0;
        let is_kept = |found: &Result<(Time, Uuid), StoreError>| match found {
            Ok((_, id)) if some_are_aside => !matches!(self.aside(*id), Ok(Some(_))),
            _ => true,
        };
        due.retain(|due| is_kept(&Ok(*due)));
        let folded = self.shelves.due.scan(&[]).map(|entry| {
            let (key, _) = entry?;
            let at = key.get(..8).and_then(|at| at.try_into().ok()).map(i64::from_be_bytes);
            let at = at.and_then(Time::from_timestamp_micros);
            let article = key.get(8..).and_then(|id| Uuid::from_slice(id).ok());
            at.zip(article).ok_or_else(|| StoreError::Damaged("a scheduled article's key".to_owned()))
        });
        let folded = folded.filter(|found| !found.as_ref().is_ok_and(|(_, id)| moved.contains(id)));
        let folded = folded.filter(is_kept);
        due.extend(self.noting_damage(folded.take(limit).collect::<Result<Vec<_>, _>>())?);
        due.sort_unstable();
        due.truncate(limit);
        Ok(due)
    }

    /// Every article, for checks over all of them.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn all_articles(&self) -> impl Iterator<Item = Result<Stored, StoreError>> + '_ {
        let mut recent = self.recent().ids();
        let mut last: Option<Uuid> = None;
        let folded = std::iter::from_fn(move || {
            let from = last.as_ref().map_or(Bound::Unbounded, |id| Bound::Excluded(&id.as_bytes()[..]));
            let next = self.shelves.places.range(from, Bound::Unbounded).next();
            let key = match next {
                Some(Ok((key, _))) => key,
                Some(Err(error)) => return Some(Err(error.into())),
                // Those that no batch has taken yet.
                None => return recent.pop_first().map(Ok),
            };
            let id = Uuid::from_slice(&key).ok();
            let Some(id) = id else { return Some(Err(StoreError::Damaged("an article's key".to_owned()))) };
            last = Some(id);
            recent.remove(&id);
            Some(Ok(id))
        });
        folded.map(|id: Result<Uuid, StoreError>| {
            let id = id?;
            self.article(id)?.ok_or_else(|| StoreError::Damaged(format!("article {id} has no head")))
        })
    }
}
