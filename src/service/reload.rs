//! A changed configuration file while the service runs: its people, roles and rules are proposed to the newsroom line,
//! its tokens taken as they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::Signal;

use super::serve::open_present_log;
use crate::config::Config;
use crate::desk::{self, Proposal};
use crate::http::tls::Tls;
use crate::log::Log;
use crate::tokens::Book;

/// What came of proposing a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// The version of the newsroom line that is in force.
    pub version: u32,
    /// What changed, a line each; empty where the line had it already.
    pub changes: Vec<String>,
}

/// Proposes the people, roles and rules of a configuration to the newsroom line of the log that it names.
///
/// # Errors
/// Where there is no log, it can't be opened or written, or the newsroom would have no chief.
pub async fn reload(config: &Config) -> anyhow::Result<Reloaded> {
    let log = open_present_log(config).await?;
    propose(&*log, config).await
}

async fn propose(log: &dyn Log, config: &Config) -> anyhow::Result<Reloaded> {
    let (set, source) = (config.newsroom_set(), format!("/{}", config.desk.prefix));
    let before = desk::in_force(log).await?;
    let changes = before.set.changes(&set);
    let salt = super::parts::salt();
    match desk::propose(log, &set, &source, salt, true).await? {
        Proposal::Written(version) => Ok(Reloaded { version, changes }),
        Proposal::Same(version) | Proposal::Differs(version) => Ok(Reloaded { version, changes: Vec::new() }),
    }
}

/// What a changed file changes while the service runs.
pub(super) struct Reloading {
    pub log: Arc<dyn Log>,
    pub file: Option<PathBuf>,
    pub book: Arc<Book>,
    pub tls: Option<Arc<Tls>>,
}

impl Reloading {
    /// Reads the file again at each SIGHUP, for as long as the process lives, and the certificate that it named at the
    /// start. What is wrong with either is said, and nothing changes then.
    pub(super) async fn at_each_hangup(self, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            read_again(self.tls.as_deref());
            let Some(file) = &self.file else {
                tracing::warn!("SIGHUP: there is no configuration file to read again");
                continue;
            };
            match self.again(file).await {
                Ok(Reloaded { version, changes }) if changes.is_empty() => {
                    tracing::info!(version, "SIGHUP: the newsroom is in force as the file has it");
                }
                Ok(Reloaded { version, changes }) => {
                    tracing::info!(version, ?changes, "SIGHUP: the file's newsroom is in force from now on");
                }
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "SIGHUP: the file isn't in force")
                }
            }
        }
    }

    async fn again(&self, file: &Path) -> anyhow::Result<Reloaded> {
        let config = Config::open(file).context("nothing was changed")?;
        let reloaded =
            propose(&*self.log, &config).await.context("nothing was changed, as far as the log says")?;
        let half = "people, roles and rules are in force; tokens may be as they were: send SIGHUP again";
        self.book.replace(config.tokens()).await.context(half)?;
        Ok(reloaded)
    }
}

/// Reads a certificate again, where there is one.
pub(super) fn read_again(tls: Option<&Tls>) {
    match tls.map(Tls::read_again) {
        None => {}
        Some(Ok(())) => tracing::info!("SIGHUP: the certificate was read again"),
        Some(Err(error)) => tracing::error!(%error, "SIGHUP: the certificate stays as it was"),
    }
}
