//! A process of ours that is killed, stopped, continued and started again.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::mpsc;

/// What a process is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Terminate,
    Stop,
    Continue,
}

/// A child process, killed when it is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Process {
    /// Starts it; what it says on stderr is added to a file.
    pub(super) fn start(command: &mut Command, stderr: &Path) -> anyhow::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(stderr)?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let (tell, lines) = mpsc::unbounded_channel();
        let stdout = child.stdout.take().context("a process without stdout")?;
        std::thread::spawn(move || {
            // Read to the end, so that the process never waits for us.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Ok(Self { child, lines })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line on stdout; none once it has ended, or after so long.
    pub(super) async fn line(&mut self, within: Duration) -> Option<String> {
        tokio::time::timeout(within, self.lines.recv()).await.ok()?
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok()?
    }

    /// Ends it at once, as a power cut ends a process.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(super) fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Terminate => "-TERM",
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
        };
        let _ = Command::new("kill").args([name, &self.id().to_string()]).stderr(Stdio::null()).status();
    }

    /// Tells it to stop, and waits; killed after so long.
    pub(super) async fn terminate(&mut self, within: Duration) -> Option<ExitStatus> {
        self.signal(Signal::Terminate);
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.kill();
        None
    }

    /// Its resident memory in bytes and its open files, where the system says so.
    pub(super) fn use_of(&self) -> (u64, u64) {
        let process = Path::new("/proc").join(self.id().to_string());
        let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
        let files = std::fs::read_dir(process.join("fd")).map_or(0, |files| files.count() as u64);
        (kib.unwrap_or_default() * 1024, files)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
