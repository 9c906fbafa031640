//! What keeps a book true while the service runs: it follows the keys, and writes down uses.

use std::sync::Arc;

use chrono::NaiveDate;
use futures::StreamExt;

use super::record::{self, Record};
use super::{Book, Entry, ROUND};
use crate::log::keys::KeyError;
use crate::log::{Content, LogError, Seq};

impl Book {
    /// Follows the keys and writes down uses, for as long as the service lives.
    pub async fn keep(self: Arc<Self>) {
        tokio::join!(self.follow(), self.write_uses());
    }

    /// Hears of what other instances write.
    async fn follow(&self) {
        let mut seen = None;
        loop {
            if let Err(error) = self.follow_from(&mut seen).await {
                tracing::warn!(%error, "what other instances revoke isn't heard of");
            }
            self.log.clock().sleep(ROUND).await;
        }
    }

    async fn follow_from(&self, seen: &mut Option<Seq>) -> Result<(), LogError> {
        let keys = self.log.keys();
        if seen.is_none() {
            let end = keys.end().await?;
            // In this order: what is written after the end was read is followed. The rest is read by its keys, since
            // the line of all that was ever written may be long.
            let entries: Vec<Arc<Entry>> = self.entries().values().map(Arc::clone).collect();
            for entry in entries {
                let (_, record) = record::read(&keys, &entry.mark).await?;
                self.learn(&entry, record);
            }
            *seen = Some(end);
        }
        let mut tail = keys.tail(seen.unwrap_or_default()).await?;
        while let Some(group) = tail.next().await {
            for change in group? {
                if let (Some(mark), Content::Message { body, .. }) =
                    (record::mark_of(&change.subject), &change.content)
                    && let Some(record) = record::parse(body)
                {
                    self.heard(mark, &record);
                }
                *seen = Some(change.seq);
            }
        }
        Ok(())
    }

    fn heard(&self, mark: &str, record: &Record) {
        let entry = self.entries().values().find(|entry| entry.mark == mark).map(Arc::clone);
        if let Some(entry) = entry {
            self.learn(&entry, record.clone());
        }
    }

    /// Writes down the days of uses that no instance has written yet.
    async fn write_uses(&self) {
        loop {
            self.log.clock().sleep(ROUND).await;
            if let Err(error) = self.write_uses_now().await {
                tracing::warn!(%error, "the day of a token's last use can't be written");
            }
        }
    }

    pub(super) async fn write_uses_now(&self) -> Result<(), KeyError> {
        let fresh = |entry: &&Arc<Entry>| entry.used() > entry.record().used;
        let entries: Vec<Arc<Entry>> = self.entries().values().filter(fresh).map(Arc::clone).collect();
        for entry in entries {
            if let Some(day) = entry.used() {
                match self.write_use(&entry, day).await {
                    // Another instance was first, with the same day or a revocation: it is looked at in the next round.
                    Ok(()) | Err(KeyError::Conflict) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn write_use(&self, entry: &Entry, day: NaiveDate) -> Result<(), KeyError> {
        let keys = self.log.keys();
        let (revision, mut record) = record::read(&keys, &entry.mark).await?;
        if record.used < Some(day) {
            record.used = Some(day);
            record::write(&keys, &entry.mark, revision, &record).await?;
        }
        self.learn(entry, record);
        Ok(())
    }
}
