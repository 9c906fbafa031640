//! Writing what was folded into sled, in one batch: at once, or on a thread of its own while more is folded.
//!
//! Only the one task that folds begins and ends a batch. While one is on its way readers go on seeing in memory what is in
//! it, and nothing is added to that: [`Store::take`] waits for the batch first. So a batch is whole and follows the one
//! before, whichever thread makes and writes it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use copydesk_public::watch::watched_for;
use sled::Batch;

use super::recent::Recent;
use super::{POSITION, Store, StoreError, WRITING, pieces};

/// A batch that is on its way into sled, if one is.
#[derive(Debug, Default)]
pub(super) struct Writing {
    thread: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
    /// What sled has by now, to be thrown away on the next batch's thread: that is a tenth of the work of folding.
    spent: Mutex<Recent>,
}

impl Writing {
    fn begin(
        &self,
        write: impl FnOnce() -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let spent = std::mem::take(&mut *self.spent.lock().unwrap_or_else(PoisonError::into_inner));
        let write = move || {
            drop(spent);
            write()
        };
        let writing = thread::Builder::new().name("write-sled".to_owned()).spawn(write);
        let writing = writing.map_err(|error| StoreError::Failed(error.to_string()))?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(writing);
        Ok(())
    }

    /// Waits for the batch that is on its way; false where none is.
    pub(super) fn end(&self) -> Result<bool, StoreError> {
        let writing = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writing) = writing else { return Ok(false) };
        // sled 0.34 panics on some damage.
        let written =
            writing.join().map_err(|_| StoreError::Damaged("sled gave up on its files".to_owned()))?;
        written?;
        Ok(true)
    }
}

impl Store {
    /// Writes what was folded since the last batch into sled, in one batch.
    pub(super) fn write(&self) -> Result<(), StoreError> {
        self.end_write()?;
        if let Some(mut batch) = self.batch()? {
            self.recent().batch(&self.shelves, &mut batch)?;
            watched_for(WRITING, || self.tree.apply_batch(batch))?;
            drop(self.wrote());
        }
        Ok(())
    }

    /// The same, on a thread of its own.
    pub(super) fn begin_write(&self) -> Result<(), StoreError> {
        self.end_write()?;
        let Some(mut batch) = self.batch()? else { return Ok(()) };
        let (recent, shelves, tree) = (Arc::clone(&self.recent), self.shelves.clone(), self.tree.clone());
        self.writing.begin(move || {
            recent.read().unwrap_or_else(PoisonError::into_inner).batch(&shelves, &mut batch)?;
            Ok(watched_for(WRITING, || tree.apply_batch(batch))?)
        })
    }

    /// Waits until the batch that is on its way is in sled.
    pub(super) fn end_write(&self) -> Result<(), StoreError> {
        if self.writing.end()? {
            *self.writing.spent.lock().unwrap_or_else(PoisonError::into_inner) = self.wrote();
        }
        Ok(())
    }

    /// A batch of how far it is folded, if anything was since the last one; what was folded is yet to be added.
    fn batch(&self) -> Result<Option<Batch>, StoreError> {
        if self.recent().is_empty() {
            return Ok(None);
        }
        let mut batch = Batch::default();
        self.merkle.batch(&mut batch);
        pieces::write(&self.shelves.meta, &mut batch, POSITION, &pieces::encode(&self.position())?);
        Ok(Some(batch))
    }

    /// sled has what the last batch held, and gives that. Until now readers saw the same in memory.
    fn wrote(&self) -> Recent {
        self.merkle.written();
        let mut index = self.board.write().unwrap_or_else(PoisonError::into_inner);
        let written = std::mem::take(&mut *self.recent.write().unwrap_or_else(PoisonError::into_inner));
        if !index.is_unread() {
            written.index(&mut index);
        }
        written
    }
}
