//! How a process comes to its end: told to by a signal, or by itself, to begin anew without its folded state.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::signal::{SIGINT, SIGTERM};
use signal_hook::flag;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::store::{self, Store};

/// The signal that a file has reached the process's limit (`RLIMIT_FSIZE`), as Linux numbers it.
const SIGXFSZ: i32 = 25;

/// Set in the environment of a process that put itself in the place of one whose folded state was given up.
const BEGAN_ANEW: &str = "COPYDESK_BEGAN_ANEW";
/// How long such a process runs before it does so again: what gives up the state each time, as one message on the wire
/// that can't be folded, must not keep the desk from its work for more than a moment a minute.
const ANEW_APART: Duration = Duration::from_secs(60);

/// How often it is looked whether sled comes back, and for how many looks a read of one page may last.
const LOOK: Duration = Duration::from_secs(1);
const MOST_LOOKS: u64 = 15;

/// Whether somebody told the process to stop, by SIGTERM or SIGINT.
#[derive(Debug)]
pub(super) struct Told {
    /// Set as the signal comes, before anybody hears of it.
    is_told: Arc<AtomicBool>,
    /// Whoever is told from now on ends at once.
    is_leaving: Arc<AtomicBool>,
}

impl Told {
    fn hear() -> std::io::Result<Self> {
        let (is_told, is_leaving) = (Arc::default(), Arc::default());
        for number in [SIGTERM, SIGINT] {
            flag::register(number, Arc::clone(&is_told))?;
            flag::register_conditional_shutdown(number, 0, Arc::clone(&is_leaving))?;
        }
        Ok(Self { is_told, is_leaving })
    }

    /// Whether the process may put another in its place: not once it was told to stop. From then on a signal ends it at
    /// once, for the other would never hear of it.
    fn may_begin_anew(&self) -> bool {
        self.is_leaving.store(true, Ordering::SeqCst);
        let may = !self.is_told.load(Ordering::SeqCst);
        self.is_leaving.store(may, Ordering::SeqCst);
        may
    }
}

/// Says true once the process is to stop, and beside that whether somebody told it to.
pub(super) fn stop_signal() -> anyhow::Result<(watch::Sender<bool>, Arc<Told>)> {
    let (stop, told) = (watch::Sender::new(false), Told::hear()?);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Whoever listens isn't ended by it: a file that may not grow is then a write that fails, as on a full disk.
    let mut too_long = signal(SignalKind::from_raw(SIGXFSZ))?;
    tokio::spawn(async move { while too_long.recv().await.is_some() {} });
    let tell = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: nothing more is taken, what was taken is finished");
        tell.send_replace(true);
    });
    Ok((stop, Arc::new(told)))
}

pub(super) async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Has the process stop once the folded state was given up.
pub(super) async fn stop_once(given_up: watch::Receiver<bool>, stop: watch::Sender<bool>) {
    let apart = if std::env::var_os(BEGAN_ANEW).is_some() { ANEW_APART } else { Duration::ZERO };
    stop_after(apart, given_up, stop).await;
}

async fn stop_after(apart: Duration, mut given_up: watch::Receiver<bool>, stop: watch::Sender<bool>) {
    let earliest = tokio::time::Instant::now() + apart;
    if given_up.wait_for(|given_up| *given_up).await.is_ok() {
        tokio::time::sleep_until(earliest).await;
        tracing::warn!("stopping, to start anew without the folded state");
        stop.send_replace(true);
    }
}

/// Begins anew without the state in a folder once sled doesn't come back from it: a thread that goes round in it for ever, with
/// more memory each time, can't be ended in any other way. For as long as the process lives; not once it is `told` to stop.
///
/// # Errors
/// Where there can be no thread that looks.
pub(super) fn watch_sled(state: PathBuf, at: SocketAddr, told: &Arc<Told>) -> anyhow::Result<()> {
    let told = Arc::clone(told);
    let apart = if std::env::var_os(BEGAN_ANEW).is_some() { ANEW_APART } else { Duration::ZERO };
    let looking = move || {
        let earliest = std::time::Instant::now() + apart;
        loop {
            std::thread::sleep(LOOK);
            let is_stuck =
                copydesk_public::watch::look() > MOST_LOOKS && std::time::Instant::now() > earliest;
            if is_stuck && told.may_begin_anew() {
                store::note_given_up(&state, "sled doesn't come back from its files");
                if let Err(error) = again(at) {
                    tracing::error!(error = format!("{error:#}"), "this process has to be restarted");
                    std::process::abort();
                }
            }
        }
    };
    std::thread::Builder::new().name("watch-sled".to_owned()).spawn(looking)?;
    Ok(())
}

/// Puts this program, as it was started and listening where it did, in the place of this process where the folded state
/// was given up: whatever sled still holds goes with it, and whoever looks after the process needs to do nothing. Not where
/// the process was `told` to stop meanwhile.
///
/// # Errors
/// Where it can't be started: then the process ends, and whoever looks after it starts it.
pub(super) fn again_where(store: &Store, at: SocketAddr, told: &Told) -> anyhow::Result<()> {
    if !*store.given_up().borrow() || !told.may_begin_anew() {
        return Ok(());
    }
    again(at)
}

fn again(at: SocketAddr) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("this program isn't where it was")?;
    let mut again = std::process::Command::new(program);
    again.args(std::env::args_os().skip(1)).args(["--listen", &at.to_string()]).env(BEGAN_ANEW, "1");
    let error = again.exec();
    Err(error).context("this program can't be started anew")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_was_told_to_stop_does_not_begin_anew() {
        let told = Told::hear().unwrap();
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::TERM).unwrap();
        let heard = async {
            while !told.is_told.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap();
        assert!(!told.may_begin_anew() && !told.is_leaving.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_process_that_began_anew_does_not_do_so_again_at_once() {
        for apart in [Duration::ZERO, Duration::from_millis(50)] {
            let (given_up, stop) = (watch::Sender::new(true), watch::Sender::new(false));
            let since = std::time::Instant::now();
            stop_after(apart, given_up.subscribe(), stop.clone()).await;
            assert!(*stop.borrow() && since.elapsed() >= apart, "{:?}", since.elapsed());
        }
    }
}
