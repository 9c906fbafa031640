//! The log of a configuration derived again, in the command line's own process.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use super::parts::reading_key;
use super::serve;
use crate::audit::Checkpoint;
use crate::audit::verify::{About, Fault, Report, Sources, verify};
use crate::backup::compare;
use crate::config::{Config, LogKind};
use crate::desk::level;
use crate::store::{Store, StoreError, fold};

/// Lets what this build's newest events are be written to the configured log; the level before.
///
/// # Errors
/// Where there is no log, or it can't be opened or written.
pub async fn allow_events(config: &Config) -> anyhow::Result<u32> {
    Ok(level::raise(&*serve::open_present_log(config).await?).await?)
}

/// Reads the whole log and holds against it everything that rests on it; `against` are checkpoints that someone kept, or backups;
/// `told` hears how far it is. The folded state is looked at where no service has it open.
///
/// # Errors
/// Where there is no log, or it can't be read.
pub async fn verify_log(
    config: &Config,
    against: &[PathBuf],
    told: impl FnMut(u64, u64),
) -> anyhow::Result<Report> {
    let log = serve::open_begun_log(config).await?;
    let key = reading_key(&*log, &config.desk.prefix, &serve::audit(config)).await?.verifier();
    let (mut kept, mut faults) = (Vec::new(), Vec::new());
    for path in against {
        let note = if path.is_dir() { path.join("audit").join("checkpoint") } else { path.clone() };
        let bytes = std::fs::read(&note)
            .with_context(|| format!("the checkpoint {} can't be read", note.display()))?;
        let checkpoint = Checkpoint::open(&bytes, &key);
        kept.push(checkpoint.with_context(|| note.display().to_string())?);
        if path.is_dir() {
            for (seq, what) in compare(path, &*log).await? {
                faults.push(Fault { about: About::Log, seq: Some(seq), article: None, what });
            }
        }
    }
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
