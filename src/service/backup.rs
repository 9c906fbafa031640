//! Backing up and restoring the log of a configuration, in the command line's own process.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::parts::folders;
use super::serve;
use crate::backup::{Restored, Source, Written, backup, restore};
use crate::config::{Config, LogKind};
use crate::log::segments::{Options, Snapshot, Syncing};
use crate::log::{Clock, Log};
use crate::service::open_embedded_log;

/// Brings a backup up to what the configured log has now, whether a service has it open or not.
///
/// # Errors
/// Where the log can't be read, or the backup can't be written or is of another log.
pub async fn backup_log(
    config: &Config,
    folder: &Path,
    told: impl FnMut(u64, u64),
) -> anyhow::Result<Written> {
    if folder.join("log").is_dir() || folder.starts_with(folders(&config.store.path).0) {
        bail!("{} is the folder of a log: give the backup one of its own", folder.display());
    }
    let source = match config.log.kind {
        LogKind::Embedded => {
            let syncs_within = match serve::syncing(config) {
                Syncing::Always => Duration::ZERO,
                Syncing::Within(interval) => interval,
            };
            Source::Folder(Snapshot::open(&folders(&config.store.path).0)?, syncs_within)
        }
        LogKind::Nats => Source::Log(serve::open_present_log(config).await?),
    };
    Ok(backup(&source, folder, told).await?)
}

/// Puts a backup into the configured log, which must be empty. `keys` is where the key-value space lies, if it is to be put
/// back.
///
/// # Errors
/// Where the backup doesn't verify, or the log isn't empty or can't be written.
pub async fn recover_log(
    config: &Config,
    folder: &Path,
    keys: Option<&Path>,
    told: impl FnMut(u64, u64),
) -> anyhow::Result<Restored> {
    let (log_folder, state) = folders(&config.store.path);
    if state.exists() {
        bail!("{} holds the folded state of a log: move it away first", state.display());
    }
    let clock = Arc::new(Then::default());
    let log: Arc<dyn Log> = match config.log.kind {
        LogKind::Embedded => {
            // Nothing is answered to anyone before all of it is there, and then all of it is synced.
            let durability = Syncing::Within(Duration::from_secs(1));
            let options = Options { durability, clock: Arc::clone(&clock) as _, ..Options::default() };
            open_embedded_log(&config.store.path, options)
                .with_context(|| format!("the log in {} can't be opened", log_folder.display()))?
        }
        LogKind::Nats => serve::open_log(config).await?,
    };
    Ok(restore(folder, keys, &*log, |entry| clock.set(entry.time), told).await?)
}

/// A clock that says when the message that is put back was taken.
#[derive(Debug, Default)]
struct Then(Mutex<DateTime<Utc>>);

impl Then {
    fn set(&self, time: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }
}

#[async_trait]
impl Clock for Then {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
