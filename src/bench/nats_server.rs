//! NATS servers to measure against: given ones, or fresh ones in a folder of the measurement's own. A server that has
//! taken some millions of messages is slower than a new one, so each row gets one of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// How long a server may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Where servers come from.
#[derive(Debug, Clone, Default)]
pub struct Servers {
    /// A given one, with its own `sync_interval`.
    pub given: Option<String>,
    /// A given one with `sync_interval: always`.
    pub given_synced: Option<String>,
    /// The program with which others are started.
    pub program: Option<PathBuf>,
}

/// A server to measure against; one that was started here is killed when it is dropped.
pub(super) struct Server {
    /// Where it is reached.
    pub url: String,
    started: Option<Child>,
}

/// How long a server waits before what it took is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syncs {
    /// `sync_interval` as it is by default: two minutes.
    Seldom,
    /// `sync_interval: always`.
    Always,
}

impl Servers {
    /// The program that `PATH` leads to, where none was named.
    pub fn in_path() -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("nats-server")).find(|found| found.is_file())
    }

    /// A server of this sort; none where there is no way to one.
    pub(super) async fn server(&self, folder: &Path, syncs: Syncs) -> anyhow::Result<Option<Server>> {
        let given = match syncs {
            Syncs::Seldom => &self.given,
            Syncs::Always => &self.given_synced,
        };
        match (given, &self.program) {
            (Some(url), _) => Ok(Some(Server { url: url.clone(), started: None })),
            (None, Some(program)) => Ok(Some(start(program, folder, syncs).await?)),
            (None, None) => Ok(None),
        }
    }

    /// What the given server, or else the program, says of itself.
    pub(super) async fn version(&self) -> Option<String> {
        if let Some(url) = &self.given {
            return Some(async_nats::connect(url).await.ok()?.server_info().version);
        }
        let said = Command::new(self.program.as_ref()?).arg("--version").output().ok()?;
        let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        said.rsplit(' ').next().map(|version| version.trim_start_matches('v').to_owned())
    }
}

impl Server {
    /// Its process, where it was started here.
    pub fn pids(&self) -> Vec<u32> {
        self.started.iter().map(Child::id).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.started {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn start(program: &Path, folder: &Path, syncs: Syncs) -> anyhow::Result<Server> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = folder.join(format!("nats-server-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir_all(&folder)?;
    let config = match syncs {
        Syncs::Seldom => "jetstream {}\n",
        Syncs::Always => "jetstream { sync_interval: always }\n",
    };
    fs::write(folder.join("nats.conf"), config)?;
    let child = Command::new(program)
        .args(["--addr", "127.0.0.1", "--port", "-1", "--config"])
        .arg(folder.join("nats.conf"))
        .arg("--store_dir")
        .arg(folder.join("store"))
        .arg("--ports_file_dir")
        .arg(&folder)
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("log"))?)
        .spawn()
        .with_context(|| format!("{} can't be started", program.display()))?;
    let ports = folder.join(format!("nats-server_{}.ports", child.id()));
    let mut server = Server { url: String::new(), started: Some(child) };
    let began = Instant::now();
    loop {
        if let Some(url) = fs::read(&ports).ok().and_then(|text| client_url(&text)) {
            server.url = url;
            return Ok(server);
        }
        let ended = server.started.as_mut().map(Child::try_wait).transpose()?.flatten();
        if ended.is_some() || began.elapsed() > READY_WITHIN {
            let said = fs::read_to_string(folder.join("log")).unwrap_or_default();
            bail!("{} did not start: {}", program.display(), said.lines().last().unwrap_or_default());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn client_url(ports: &[u8]) -> Option<String> {
    let ports: serde_json::Value = serde_json::from_slice(ports).ok()?;
    let url = ports.get("nats")?.get(0)?.as_str()?;
    let port: u16 = url.rsplit(':').next()?.parse().ok()?;
    Some(format!("nats://127.0.0.1:{port}"))
}
