//! Work that takes a while, aside from what answers requests.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinError;

/// How much of it is done at once. Whoever comes then waits without holding a thread, which the log may need; and each
/// thread keeps some megabytes for seconds after.
const AT_ONCE: usize = 4;

/// A few threads for work of one kind.
#[derive(Debug, Clone)]
pub struct Aside(Arc<Semaphore>);

impl Default for Aside {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Aside {
    /// Does it when its turn comes. Once begun it goes on to its end, whether or not whoever asked still waits.
    ///
    /// # Errors
    /// It ended in a panic, or the service is ending.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        // Never closed.
        let turn = Arc::clone(&self.0).acquire_owned().await.ok();
        // The turn is over once the thread is done: whoever had the next one before would have a thread more.
        tokio::task::spawn_blocking(move || (work(), turn)).await.map(|(done, _)| done)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn a_crowd_has_a_few_threads() {
        let (aside, now, most) =
            (Aside::default(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (going, gone) = mpsc::channel::<()>();
        let gone = Arc::new(std::sync::Mutex::new(gone));
        let all: Vec<_> = (0..10 * AT_ONCE)
            .map(|number| {
                let (aside, now, most) = (aside.clone(), Arc::clone(&now), Arc::clone(&most));
                let gone = Arc::clone(&gone);
                let work = move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let _ = gone.lock().map(|gone| gone.recv());
                    now.fetch_sub(1, Ordering::SeqCst);
                    number
                };
                tokio::spawn(async move { aside.run(work).await })
            })
            .collect();
        while now.load(Ordering::SeqCst) < AT_ONCE {
            tokio::task::yield_now().await;
        }
        // Nobody waits any more.
        drop(going);
        let done: Vec<usize> = join_all(all).await.into_iter().map(|done| done.unwrap().unwrap()).collect();
        assert_eq!((done, most.load(Ordering::SeqCst)), ((0..10 * AT_ONCE).collect(), AT_ONCE));
    }

    #[tokio::test]
    async fn a_panic_gives_its_turn_back() {
        let aside = Aside::default();
        for _ in 0..2 * AT_ONCE {
            assert!(aside.run(|| panic!("as it should")).await.is_err());
        }
        assert_eq!(aside.run(|| 7).await.unwrap(), 7);
    }
}
