//! A nats-server of our own, with JetStream.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use super::process::Process;

/// How long a server may take to listen.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A server, whose port stays the same whenever it is started again.
#[derive(Debug)]
pub(super) struct Server {
    binary: PathBuf,
    folder: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Server {
    /// One that isn't started yet, with more lines for its configuration. It syncs before it acknowledges.
    pub(super) fn new(binary: &Path, folder: PathBuf, more: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let config = format!("jetstream {{ sync_interval: always }}\nmax_payload: 1MB\n{more}\n");
        std::fs::write(folder.join("nats.conf"), config)?;
        Ok(Self { binary: binary.to_owned(), folder, port: free_port()?, process: None })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it, and waits until it listens.
    pub(super) async fn start(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let mut command = Command::new(&self.binary);
            command.args(["--addr", "127.0.0.1", "--port", &self.port.to_string(), "--config"]);
            command.arg(self.folder.join("nats.conf"));
            command.arg("--store_dir").arg(self.folder.join("store"));
            command.arg("--ports_file_dir").arg(&self.folder);
            let mut process = Process::start(&mut command, &self.folder.join("log"))
                .with_context(|| format!("{} can't be started", self.binary.display()))?;
            let ports = self.folder.join(format!("nats-server_{}.ports", process.id()));
            while process.ended().is_none() && Instant::now() < deadline {
                if std::fs::read(&ports).is_ok_and(|text| serde_json::from_slice::<Value>(&text).is_ok()) {
                    let _ = std::fs::remove_file(&ports);
                    self.process = Some(process);
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if Instant::now() > deadline {
                bail!("nats-server did not start: see {}", self.folder.join("log").display());
            }
            // Its port may still be held by the one that was killed.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Kill -9.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }
}

/// A port that nobody has now.
pub(super) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The nats-server to start: as named, else by `COPYDESK_NATS_SERVER`, else in the path.
///
/// # Errors
/// Where there is none.
pub fn binary(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    if let Some(path) = std::env::var_os("COPYDESK_NATS_SERVER") {
        return Ok(path.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("nats-server"));
    found.into_iter().find(|path| path.is_file()).context("there is no nats-server: say --nats-server PATH")
}
