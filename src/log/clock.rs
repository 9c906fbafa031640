//! Clocks: the system's, and one that stands still until a test moves it.
//!
//! Both tell microseconds and no less, which is what every log stores, so that a time read back equals the time
//! that was told.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::Clock;

/// How long since this was first asked for, by the machine's own count.
pub(super) fn since_start() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that moves only when it is told to. Clones are the same clock.
///
/// Whoever sleeps by it is woken in the order of the hours they wait for, so a simulation that is polled on one
/// thread runs the same way every time.
#[derive(Debug, Clone)]
pub struct TestClock {
    face: Arc<Mutex<Face>>,
}

#[derive(Debug)]
struct Face {
    now: DateTime<Utc>,
    elapsed: Duration,
    next_sleeper: u64,
    sleepers: BTreeMap<(DateTime<Utc>, u64), Waker>,
}

impl TestClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn new(now: DateTime<Utc>) -> Self {
        let (now, elapsed) = (now.trunc_subsecs(6), Duration::ZERO);
        let face = Face { now, elapsed, next_sleeper: 0, sleepers: BTreeMap::new() };
        Self { face: Arc::new(Mutex::new(face)) }
    }

    /// Sets the clock, backwards too, and wakes whoever has slept long enough.
    pub fn set(&self, now: DateTime<Utc>) {
        let woken = {
            let mut face = self.face();
            let now = now.trunc_subsecs(6);
            let passed = (now - face.now).to_std().unwrap_or_default();
            face.elapsed += passed;
            face.now = now;
            let waiting = face.sleepers.split_off(&(now, u64::MAX));
            std::mem::replace(&mut face.sleepers, waiting)
        };
        for waker in woken.into_values() {
            waker.wake();
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, duration: Duration) {
        self.set(later(self.now(), duration));
    }

    /// The hour that the first of the sleepers waits for.
    #[must_use]
    pub fn next_waking(&self) -> Option<DateTime<Utc>> {
        self.face().sleepers.keys().next().map(|(hour, _)| *hour)
    }

    /// Runs a future, and moves the clock to the next waking whenever nothing else is left to do in it.
    ///
    /// Only for a future that waits for nothing outside itself, such as a simulation: while it waits for
    /// another thread or the network, the clock would run on.
    pub async fn drive<F: Future>(&self, future: F) -> F::Output {
        // tokio's budget would let whatever it has given out stand still here until the runtime's next turn, which
        // never comes while the clock runs on.
        let mut future = pin!(tokio::task::unconstrained(future));
        std::future::poll_fn(|cx| self.poll_driven(future.as_mut(), cx)).await
    }

    fn poll_driven<F: Future>(&self, mut future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        loop {
            let noted = Arc::new(Noted { woken: AtomicBool::new(false), outer: cx.waker().clone() });
            let waker = Waker::from(Arc::clone(&noted));
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(output);
            }
            if noted.woken.load(Ordering::Acquire) {
                continue;
            }
            match self.next_waking() {
                Some(hour) => self.set(hour),
                None => return Poll::Pending,
            }
        }
    }

    fn face(&self) -> MutexGuard<'_, Face> {
        self.face.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        self.face().now
    }

    fn elapsed(&self) -> Duration {
        self.face().elapsed
    }

    async fn sleep(&self, duration: Duration) {
        let (hour, id) = {
            let mut face = self.face();
            face.next_sleeper += 1;
            (later(face.now, duration), face.next_sleeper)
        };
        Sleep { clock: self.clone(), hour, id }.await;
    }
}

fn later(now: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(duration)
        .ok()
        .and_then(|delta| now.checked_add_signed(delta))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

struct Sleep {
    clock: TestClock,
    hour: DateTime<Utc>,
    id: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut face = self.clock.face();
        if face.now >= self.hour {
            return Poll::Ready(());
        }
        face.sleepers.insert((self.hour, self.id), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.face().sleepers.remove(&(self.hour, self.id));
    }
}

/// Remembers that it was woken, and passes it on.
struct Noted {
    woken: AtomicBool,
    outer: Waker,
}

impl Wake for Noted {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.outer.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    #[test]
    fn a_sleeper_wakes_when_the_hour_has_come_and_not_before() {
        let clock = TestClock::new(noon());
        let mut sleep = pin!(clock.sleep(Duration::from_secs(10)));
        assert!(sleep.as_mut().now_or_never().is_none());
        clock.advance(Duration::from_secs(9));
        assert!(sleep.as_mut().now_or_never().is_none());
        clock.advance(Duration::from_secs(1));
        assert!(sleep.as_mut().now_or_never().is_some());
        assert_eq!(clock.next_waking(), None);
    }

    #[test]
    fn a_sleep_given_up_is_forgotten() {
        let clock = TestClock::new(noon());
        {
            let mut sleep = pin!(clock.sleep(Duration::from_secs(10)));
            assert!(sleep.as_mut().now_or_never().is_none());
            assert!(clock.next_waking().is_some());
        }
        assert_eq!(clock.next_waking(), None);
    }

    #[test]
    fn a_driven_future_sleeps_without_waiting() {
        let clock = TestClock::new(noon());
        let nap = clock.drive(async {
            clock.sleep(Duration::from_secs(3600)).await;
            clock.now()
        });
        assert_eq!(nap.now_or_never(), Some(noon() + TimeDelta::hours(1)));
    }
}
