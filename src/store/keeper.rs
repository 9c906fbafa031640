//! Closing sled, which may never return.
//!
//! sled 0.34 writes out what it holds when its last handle is dropped, and when it is asked to flush. Under load
//! either may wait for ever for a buffer that nobody writes (its issues 1308 and 1412, open; seen here about once in
//! a thousand closings beside two busy processes). What it holds is a cache, so nothing is worth waiting for: both
//! happen on a thread of their own, and are left behind after a while.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long sled may take to write out what it holds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps a value alive until it is itself dropped, and has its last moments on another thread.
#[derive(Debug)]
pub(super) struct Keeper {
    /// Dropped to let go of the value.
    hold: Option<Sender<()>>,
    /// Only the drop reads it; the lock is what makes it shareable until then.
    gone: Mutex<Receiver<()>>,
}

impl Keeper {
    /// Keeps a value: the others who have it must not have it longer.
    pub(super) fn of<T: Send + 'static>(value: T) -> std::io::Result<Self> {
        let (hold, held) = channel();
        let (gone_to, gone) = channel();
        thread::Builder::new().name("close-sled".to_owned()).spawn(move || {
            let _ = held.recv();
            drop(value);
            let _ = gone_to.send(());
        })?;
        Ok(Self { hold: Some(hold), gone: Mutex::new(gone) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.hold = None;
        let gone = self.gone.get_mut().unwrap_or_else(PoisonError::into_inner);
        if gone.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("sled doesn't close; what it didn't write is folded again at the next start");
        }
    }
}

/// Has sled write out what it holds; false where it doesn't come to an end.
pub(super) async fn flush(db: &sled::Db) -> sled::Result<bool> {
    let (done, flushed) = tokio::sync::oneshot::channel();
    let db = db.clone();
    let flush = move || {
        let _ = done.send(db.flush());
    };
    thread::Builder::new().name("flush-sled".to_owned()).spawn(flush)?;
    match tokio::time::timeout(PATIENCE, flushed).await {
        Ok(Ok(result)) => result.map(|_| true),
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Says so when it is dropped, once it may.
    struct Slow(Receiver<()>, Sender<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.0.recv();
            let _ = self.1.send(());
        }
    }

    #[test]
    fn what_closes_is_closed_before_the_keeper_is_gone() {
        let ((let_it, may), (tell, told)) = (channel(), channel());
        drop(let_it);
        drop(Keeper::of(Slow(may, tell)).unwrap());
        told.try_recv().unwrap();
    }

    #[test]
    fn what_never_closes_is_left_behind() {
        let ((let_it, may), (tell, told)) = (channel(), channel());
        let begun = Instant::now();
        drop(Keeper::of(Slow(may, tell)).unwrap());
        assert!(begun.elapsed() >= PATIENCE && told.try_recv().is_err());
        drop(let_it);
        told.recv().unwrap();
    }
}
