//! The bound on commands under way: beyond it the answer is `busy`, and at the end it tells when none is left.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many commands may be under way at once, unless the configuration says otherwise.
pub const DEFAULT_MOST: u32 = 1024;

/// Counts commands under way. Clones count together.
#[derive(Debug, Clone)]
pub struct InFlight {
    places: Arc<Semaphore>,
    most: u32,
}

impl InFlight {
    /// At most so many at once.
    pub fn new(most: u32) -> Self {
        Self { places: Arc::new(Semaphore::new(most as usize)), most }
    }

    /// A place for one more, for as long as it is kept; none where there is no room.
    pub fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// How many are under way.
    pub fn now(&self) -> u64 {
        u64::from(self.most).saturating_sub(self.places.available_permits() as u64)
    }

    /// Returns once none is under way.
    pub async fn drained(&self) {
        // The semaphore is never closed, so this can't fail.
        let _ = self.places.acquire_many(self.most).await;
    }
}

impl Default for InFlight {
    fn default() -> Self {
        Self::new(DEFAULT_MOST)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn there_is_no_room_beyond_the_bound_and_drained_waits_for_the_last() {
        let in_flight = InFlight::new(2);
        let places = (in_flight.enter(), in_flight.enter());
        assert!(places.0.is_some() && places.1.is_some() && in_flight.enter().is_none());
        assert_eq!(in_flight.now(), 2);
        assert!(in_flight.drained().now_or_never().is_none());
        drop(places);
        assert_eq!(in_flight.drained().now_or_never(), Some(()));
    }
}
