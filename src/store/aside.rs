//! Folders that are not gone on with: set aside where they can't be read, given up, or thrown away for the words in them.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::{Store, StoreError};

/// What follows the name of a folder that was set aside, before a number.
const SET_ASIDE: &str = ".set-aside-";

impl Store {
    /// Throws away a folder in which erased words may be left, and those that were set aside beside it, so that it is
    /// folded anew from the log, which has none. sled keeps old pages until it writes over them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_erased(path: &Path) -> Result<(), StoreError> {
        let marker = marker(path);
        if !marker.exists() {
            return Ok(());
        }
        if path.exists() {
            // sled's own lock says whether another process has it open.
            drop(Self::open(path, 1024 * 1024)?);
        }
        let failed = |error: std::io::Error| StoreError::Failed(error.to_string());
        if path.exists() {
            std::fs::remove_dir_all(path).map_err(failed)?;
        }
        for aside in all_set_aside(path) {
            std::fs::remove_dir_all(aside).map_err(failed)?;
        }
        std::fs::remove_file(&marker).map_err(failed)
    }

    /// Remembers that erased words may be left in old pages of this folder. In a new one into which none of what is erased
    /// was `folded` with its words there are none.
    pub(super) fn may_hold_erased(&self, folded: bool) -> Result<(), StoreError> {
        let clean = self.is_new.load(Ordering::Relaxed) && !folded;
        if clean && all_set_aside(&self.path).is_empty() {
            return Ok(());
        }
        let failed = |error: std::io::Error| StoreError::Failed(error.to_string());
        std::fs::File::create(marker(&self.path)).and_then(|file| file.sync_all()).map_err(failed)
    }

    /// Has the folder set aside at the next start: sled can't be used any more, not even to clear it.
    pub fn give_up(&self, why: &str) {
        note_given_up(&self.path, why);
        self.over.send_replace(true);
    }

    /// Told once it was given up.
    pub fn given_up(&self) -> watch::Receiver<bool> {
        self.over.subscribe()
    }
}

/// Moves a state's folder, which nothing has open, out of the way, and gives where to.
///
/// # Errors
/// [`StoreError::Failed`] where it can't be moved.
pub fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    for n in 1..1000 {
        let name = format!("{}{SET_ASIDE}{n}", path.display());
        let aside = PathBuf::from(name);
        if !aside.exists() {
            std::fs::rename(path, &aside).map_err(|error| StoreError::Failed(error.to_string()))?;
            return Ok(aside);
        }
    }
    Err(StoreError::Failed("too many folders were set aside: remove some".to_owned()))
}

/// The folders that were set aside beside a folder.
fn all_set_aside(path: &Path) -> Vec<PathBuf> {
    let prefix = format!("{}{SET_ASIDE}", path.file_name().unwrap_or_default().to_string_lossy());
    let entries = path.parent().and_then(|parent| std::fs::read_dir(parent).ok()).into_iter().flatten();
    let named = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&prefix);
    entries.flatten().filter(named).map(|entry| entry.path()).collect()
}

/// Writes down that a folder is given up: it is set aside at the next start.
pub fn note_given_up(path: &Path, why: &str) {
    tracing::error!(%why, "the folded state is given up: it is set aside at the next start, and folded anew");
    if let Err(error) = std::fs::File::create(given_up(path)).and_then(|file| file.sync_all()) {
        tracing::error!(%error, path = %path.display(), "that can't be written down: remove the folder yourself");
    }
}

/// What opening a folder comes to that was given up.
pub(super) fn as_given_up(path: &Path) -> StoreError {
    let opened = std::fs::File::open(database(path));
    // sled's own lock says whether another process has it open.
    match opened.map(|database| database.try_lock()) {
        Ok(Err(std::fs::TryLockError::WouldBlock)) => StoreError::Locked(path.display().to_string()),
        _ => StoreError::Damaged("sled could not read it any more when it was last open".to_owned()),
    }
}

/// sled's file in a folder.
pub(super) fn database(path: &Path) -> PathBuf {
    path.join("db")
}

/// The file that says that erased words may be left in a folder.
fn marker(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".holds-erased");
    name.into()
}

/// The file that says that a folder was given up.
pub(super) fn given_up(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".given-up");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::super::Opened;
    use super::*;

    #[test]
    fn what_was_given_up_is_set_aside_without_being_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        // Nothing that sled could open.
        std::fs::create_dir_all(database(&path)).unwrap();
        note_given_up(&path, "a test");
        let (store, opened) = Store::open(&path, 1 << 20).unwrap();
        assert!(matches!(opened, Opened::SetAside(aside, _) if aside.join("db").is_dir()));
        drop(store);
        let (_, opened) = Store::open(&path, 1 << 20).unwrap();
        assert!(!matches!(opened, Opened::SetAside(..)), "once");
    }
}
