//! sled 0.34 may never come back: over damaged files it may go round in a page for ever, with no error and no panic.
//!
//! Whatever is asked of it is [`watched`]: while it lasts, it is in one of the places that [`look`] looks at. A process in
//! which something has lasted for too many looks can't be mended from within, for nobody can take its thread away from
//! it; it begins anew without the files. What may rightly last, as clearing a tree does, isn't watched.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// How many looks there were, and one.
static LOOKS: AtomicU64 = AtomicU64::new(1);

/// Each thread's place: at which look what it asks for began; 0 where it asks for nothing.
static PLACES: Mutex<Vec<Weak<AtomicU64>>> = Mutex::new(Vec::new());

thread_local! {
    static PLACE: Arc<AtomicU64> = {
        let place = Arc::new(AtomicU64::new(0));
        PLACES.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&place));
        place
    };
    /// Whether something is watched on this thread already.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Does what shouldn't last.
pub fn watched<T>(work: impl FnOnce() -> T) -> T {
    watched_for(0, work)
}

/// Does what may last for so many looks more.
pub fn watched_for<T>(looks: u64, work: impl FnOnce() -> T) -> T {
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            PLACE.with(|place| place.store(0, Ordering::Relaxed));
            INSIDE.set(false);
        }
    }
    if INSIDE.replace(true) {
        return work();
    }
    let _end = End;
    let begins = LOOKS.load(Ordering::Relaxed).saturating_add(looks);
    PLACE.with(|place| place.store(begins, Ordering::Relaxed));
    work()
}

/// The same for each of what is asked one after the other.
pub fn watched_each<I: Iterator>(mut all: I) -> impl Iterator<Item = I::Item> {
    std::iter::from_fn(move || watched(|| all.next()))
}

/// Looks once, and says for how many looks that which began first has lasted.
pub fn look() -> u64 {
    let now = LOOKS.fetch_add(1, Ordering::Relaxed) + 1;
    let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    places.retain(|place| place.strong_count() > 0);
    let begun = places.iter().filter_map(Weak::upgrade).map(|place| place.load(Ordering::Relaxed));
    begun.filter(|began| *began > 0).map(|began| now.saturating_sub(began)).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// Other tests ask sled too, and look at nothing.
    #[test]
    fn what_does_not_come_back_lasts_longer_with_each_look() {
        let (go_on, may) = channel::<()>();
        let (tell, told) = channel();
        let stuck = std::thread::spawn(move || {
            watched(|| {
                tell.send(()).unwrap();
                watched(|| may.recv()).unwrap_err();
            });
        });
        told.recv().unwrap();
        let looks: Vec<u64> = (0..100).map(|_| look()).collect();
        assert!(looks.windows(2).all(|pair| pair[0] < pair[1]) && looks[99] >= 100, "{looks:?}");
        drop(go_on);
        stuck.join().unwrap();
        assert!(std::panic::catch_unwind(|| watched(|| panic!("as sled does"))).is_err());
        assert_eq!(watched_each(1..=3).sum::<i32>(), 6);
        let place = || PLACE.with(|place| place.load(Ordering::Relaxed));
        watched_for(1_000, || assert!(place() > LOOKS.load(Ordering::Relaxed) + 500));
        assert_eq!(place(), 0, "whoever came back is no longer looked at");
    }
}
