//! One instance: `copydesk serve` on a folder of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::process::{Process, Signal};
use crate::config::token::TokenHash;

/// How long an instance may take to be ready, from whatever it finds.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// How long it may take to stop when it is told to.
const STOPPED_WITHIN: Duration = Duration::from_secs(40);
/// The pause before it is started again where it ended before it was ready: its log may not be there yet.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Who works at a tortured newsroom.
const PEOPLE: &[(&str, &str, &str)] = &[
    ("ana", "person", "reporter"),
    ("ben", "person", "reporter"),
    ("emil", "person", "editor"),
    ("eva", "person", "editor"),
    ("chen", "person", "checker"),
    ("pia", "person", "publisher"),
    ("carl", "person", "chief"),
    ("audra", "person", "auditor"),
    ("bot", "machine", "reporter"),
];

/// Somebody's token.
pub(in crate::torture) fn token(actor: &str) -> String {
    format!("token-of-{actor}")
}

/// An instance.
#[derive(Debug)]
pub(super) struct Instance {
    binary: PathBuf,
    folder: PathBuf,
    process: Option<Process>,
}

impl Instance {
    /// One that isn't started yet. `more` is what its configuration says of its log, and of webhooks.
    pub(super) fn new(binary: &Path, folder: PathBuf, more: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let key = folder.with_file_name("master.key");
        if !key.exists() {
            write_secret(&key)?;
        }
        let mut config = format!(
            "[desk]\nname = \"Torture\"\n[http]\nlisten = \"127.0.0.1:0\"\n[store]\npath = {:?}\ncache_mb = 32\n\
             [evidence]\nmaster_key = {key:?}\n{more}\n",
            folder.join("data"),
        );
        for (name, kind, role) in PEOPLE {
            let hash = TokenHash::of(&token(name));
            writeln!(config, "[people.{name}]\nkind = \"{kind}\"\nroles = [\"{role}\"]\ntoken = \"{hash}\"")?;
        }
        std::fs::write(folder.join("copydesk.toml"), config)?;
        Ok(Self { binary: binary.to_owned(), folder, process: None })
    }

    /// Its folded state.
    pub(super) fn state(&self) -> PathBuf {
        self.data().join("state")
    }

    /// Its folded state, and an embedded log.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What it said on stderr.
    pub(super) fn stderr(&self) -> PathBuf {
        self.folder.join("stderr")
    }

    /// Starts it, and gives where it is reached; as a supervisor would, again and again where it ends.
    pub(super) async fn start(&mut self) -> anyhow::Result<String> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let mut command = Command::new(&self.binary);
            command.args(["serve", "--config"]).arg(self.folder.join("copydesk.toml"));
            command.env_remove("COPYDESK_SERVER").env_remove("COPYDESK_TOKEN");
            let mut process = Process::start(&mut command, &self.stderr())
                .with_context(|| format!("{} can't be started", self.binary.display()))?;
            while let Some(line) = process.line(deadline.saturating_duration_since(Instant::now())).await {
                if let Some(url) = line.strip_prefix("copydesk ready ") {
                    self.process = Some(process);
                    return Ok(url.trim_end_matches('/').to_owned());
                }
            }
            drop(process);
            if Instant::now() > deadline {
                bail!("it was never ready: {}", self.last_words());
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Kill -9.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    /// SIGTERM; what is wrong with how it ended, if anything.
    pub(super) async fn terminate(&mut self) -> Option<String> {
        let mut process = self.process.take()?;
        match process.terminate(STOPPED_WITHIN).await {
            Some(status) if status.success() => None,
            Some(status) => Some(format!("told to stop, it ended with {status}: {}", self.last_words())),
            None => Some("told to stop, it did not".to_owned()),
        }
    }

    /// SIGSTOP.
    pub(super) fn stop(&self) {
        self.signal(Signal::Stop);
    }

    /// SIGCONT.
    pub(super) fn go_on(&self) {
        self.signal(Signal::Continue);
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// How it ended, where nobody ended it.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.process.as_mut()?.ended()?;
        self.process = None;
        Some(format!("it ended by itself with {status}: {}", self.last_words()))
    }

    /// Memory in bytes and open files.
    pub(super) fn use_of(&self) -> (u64, u64) {
        self.process.as_ref().map_or((0, 0), Process::use_of)
    }

    fn last_words(&self) -> String {
        let said = std::fs::read_to_string(self.stderr()).unwrap_or_default();
        let lines: Vec<&str> = said.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

/// A master key that nobody else can read: the service refuses any other.
fn write_secret(path: &Path) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(format!("{}\n", "5a".repeat(32)).as_bytes())?;
    Ok(())
}
