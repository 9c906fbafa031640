//! Processes that are measured: a service, or something bare that serves HTTP, each this very program. A process of
//! its own has processor time and memory of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::client::Connection;
use super::house::Setup;
use super::report::Sample;

/// How long one may take to be ready. Ten million events are folded anew within.
const READY_WITHIN: Duration = Duration::from_secs(1200);
/// How long one may take to end.
const END_WITHIN: Duration = Duration::from_secs(120);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(5);

/// A process that serves HTTP, killed when it is dropped.
pub(super) struct Served {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Served {
    /// A service, ready. Its configuration and what it says on stderr stand beside its data.
    pub async fn start(setup: &Setup) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&setup.data)?;
        let file = setup.data.join("bench.toml");
        std::fs::write(&file, setup.file()?)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--config"]).arg(&file).env("COPYDESK_LOG", "warn");
        Self::ready(command, &setup.data.join("bench.stderr")).await
    }

    /// Something bare: `bench` with an option that makes it one, and its file.
    pub async fn bare(option: &str, file: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", option]).arg(file);
        Self::ready(command, &file.with_extension("stderr")).await
    }

    async fn ready(mut command: Command, said: &Path) -> anyhow::Result<Self> {
        let stderr = File::create(said)?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn()?;
        let (tell, told) = tokio::sync::oneshot::channel();
        let stdout = child.stdout.take().context("its stdout")?;
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            let ready = lines.find_map(|line| line.strip_prefix("copydesk ready http://")?.parse().ok());
            let _ = tell.send(ready);
            // Read to the end, so that the process never waits for us.
            lines.for_each(drop);
        });
        match tokio::time::timeout(READY_WITHIN, told).await {
            Ok(Ok(Some(address))) => Ok(Self { child, address }),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                let said = std::fs::read_to_string(said).unwrap_or_default();
                bail!("a process to measure was never ready: {}", said.lines().last().unwrap_or_default())
            }
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to stop and waits until it has written everything down.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.context("a process")?, rustix::process::Signal::TERM)?;
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            anyhow::ensure!(began.elapsed() < END_WITHIN, "a process that is measured doesn't end");
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// From its start to the first answer that says that it is ready, in seconds, with what it took until then.
pub(super) async fn timed_start(setup: &Setup) -> anyhow::Result<(Served, Sample)> {
    let began = Instant::now();
    let served = Served::start(setup).await?;
    let mut connection = Connection::open(served.address).await?;
    let answer = connection.ask(b"GET /readyz HTTP/1.1\r\nHost: desk\r\n\r\n").await?;
    anyhow::ensure!(answer.status == 200, "a service that was started isn't ready: {}", answer.status);
    let seconds = began.elapsed().as_secs_f64();
    let sample = super::meter::whole_life(served.pid(), seconds);
    Ok((served, sample))
}
