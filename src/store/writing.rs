//! Writing what was folded into sled, in one batch: at once, or on a thread of its own while more is folded.
//!
//! Only the one task that folds begins and ends a batch. While one is on its way readers go on seeing in memory what is in
//! it, and nothing is added to that: [`Store::take`] waits for the batch first. So a batch is whole and follows the one
//! before, whichever thread writes it.

use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use sled::Batch;

use super::{POSITION, Store, StoreError, pieces};

/// A batch that is on its way into sled, if one is.
#[derive(Debug, Default)]
pub(super) struct Writing(Mutex<Option<JoinHandle<sled::Result<()>>>>);

impl Writing {
    fn begin(&self, tree: sled::Tree, batch: Batch) -> std::io::Result<()> {
        let write = move || tree.apply_batch(batch);
        let writing = thread::Builder::new().name("write-sled".to_owned()).spawn(write)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(writing);
        Ok(())
    }

    /// Waits for the batch that is on its way; false where none is.
    pub(super) fn end(&self) -> Result<bool, StoreError> {
        let writing = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
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
        if let Some(batch) = self.batch()? {
            self.tree.apply_batch(batch)?;
            self.wrote();
        }
        Ok(())
    }

    /// The same, on a thread of its own.
    pub(super) fn begin_write(&self) -> Result<(), StoreError> {
        self.end_write()?;
        let Some(batch) = self.batch()? else { return Ok(()) };
        self.writing.begin(self.tree.clone(), batch).map_err(|error| StoreError::Failed(error.to_string()))
    }

    /// Waits until the batch that is on its way is in sled.
    pub(super) fn end_write(&self) -> Result<(), StoreError> {
        if self.writing.end()? {
            self.wrote();
        }
        Ok(())
    }

    /// Everything that was folded since the last batch, if anything was.
    fn batch(&self) -> Result<Option<Batch>, StoreError> {
        let recent = self.recent();
        if recent.is_empty() {
            return Ok(None);
        }
        let mut batch = recent.batch(&self.shelves)?;
        self.merkle.batch(&mut batch);
        pieces::write(&self.shelves.meta, &mut batch, POSITION, &pieces::encode(&self.position())?);
        Ok(Some(batch))
    }

    /// sled has what the last batch held. Until now readers saw the same in memory.
    fn wrote(&self) {
        self.merkle.written();
        let mut index = self.board.write().unwrap_or_else(PoisonError::into_inner);
        let written = std::mem::take(&mut *self.recent.write().unwrap_or_else(PoisonError::into_inner));
        if !index.is_unread() {
            written.index(&mut index);
        }
    }
}
