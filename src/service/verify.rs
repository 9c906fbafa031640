//! The log of a configuration derived again, in the command line's own process.

use std::sync::Arc;

use anyhow::Context;

use super::parts::signing_key;
use super::serve;
use crate::audit::verify::{About, Fault, Report, Sources, verify};
use crate::audit::{Checkpoint, NoteError};
use crate::config::{Config, LogKind};
use crate::store::{Store, StoreError, fold};

/// Reads the whole log and holds against it everything that rests on it; `against` are checkpoints that someone kept,
/// `told` hears how far it is. The folded state is looked at where no service has it open.
///
/// # Errors
/// Where the log can't be read.
pub async fn verify_log(
    config: &Config,
    against: &[Vec<u8>],
    told: impl FnMut(u64, u64),
) -> anyhow::Result<Report> {
    let log = serve::open_log(config).await?;
    let key = signing_key(&*log, &config.desk.prefix, &serve::audit(config)).await?.verifier();
    let (kept, mut faults) = (checkpoints(against, &key)?, Vec::new());
    let state = config.store.path.join("state");
    let mut notes = Vec::new();
    let store = match state.is_dir().then(|| Store::open(&state, config.store.cache_mb << 20)) {
        Some(Ok((store, _))) => Some(store),
        Some(Err(StoreError::Locked(_))) if config.log.kind == LogKind::Nats => {
            notes.push(
                "a service has the folded state open: it wasn't compared (verify --server asks it)"
                    .to_owned(),
            );
            None
        }
        Some(Err(error)) => return Err(error.into()),
        None => {
            notes.push("there is no folded state here to compare".to_owned());
            None
        }
    };
    if let Some(store) = &store
        && let Err(error) = fold::catch_up(store, &*log, |_, _| {}).await
    {
        let what = error.to_string();
        faults.push(Fault { about: About::State, seq: None, article: None, what });
    }
    let sources = Sources { log: Arc::clone(&log), store: store.as_ref(), key, against: kept };
    let mut report = verify(&sources, told).await.context("the log can't be read to its end")?;
    report.faults_found += faults.len() as u64;
    report.faults.extend(faults);
    report.notes.extend(notes);
    if let Some(store) = &store {
        store.flush().await?;
    }
    Ok(report)
}

/// Checkpoints that someone kept, which must bear the log's signature.
fn checkpoints(notes: &[Vec<u8>], key: &str) -> Result<Vec<Checkpoint>, NoteError> {
    notes.iter().map(|note| Checkpoint::open(note, key)).collect()
}
