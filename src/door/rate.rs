//! How often someone may come: so many times a second, and so many at once after a pause (GCRA, the generic cell rate
//! algorithm: one number for each key, the time at which all that it has taken would be paid off).
//!
//! Memory is bounded: there are two tables, and when the newer is full it takes the place of the older. So whoever
//! comes by as many keys as a table has may be forgotten and begins anew; with that many keys they have that many
//! shares anyway.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

/// How many keys a table has. Some 5 MB for both, with addresses for keys.
const KEYS: usize = 1 << 16;

/// So many a second on average, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many a second.
    pub per_second: u32,
    /// How many at once after a pause.
    pub burst: u32,
}

/// What was taken by whom.
#[derive(Debug)]
pub struct Meter<K> {
    each: u64,
    most: u64,
    began: Instant,
    tables: Mutex<Tables<K>>,
}

/// For each key, the time at which what it took is paid off, in nanoseconds.
#[derive(Debug)]
struct Tables<K> {
    new: HashMap<K, u64>,
    old: HashMap<K, u64>,
}

impl<K: Eq + Hash> Meter<K> {
    /// At this rate for each key.
    pub fn new(rate: Rate) -> Self {
        let each = 1_000_000_000 / u64::from(rate.per_second.max(1));
        let tables = Tables { new: HashMap::new(), old: HashMap::new() };
        Self {
            each,
            most: each.saturating_mul(u64::from(rate.burst.max(1))),
            began: Instant::now(),
            tables: Mutex::new(tables),
        }
    }

    /// Takes one for a key.
    ///
    /// # Errors
    /// How long to wait, where it has taken too many.
    pub fn take(&self, key: K) -> Result<(), Duration> {
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.take_at(key, now)
    }

    fn take_at(&self, key: K, now: u64) -> Result<(), Duration> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(paid_off) = tables.new.get_mut(&key) {
            *paid_off = self.next(*paid_off, now)?;
            return Ok(());
        }
        let paid_off = tables.old.get(&key).copied().unwrap_or(0);
        let then = self.next(paid_off, now)?;
        if tables.new.len() >= KEYS {
            tables.old = mem::take(&mut tables.new);
        }
        tables.new.insert(key, then);
        Ok(())
    }

    /// When one more would be paid off.
    fn next(&self, paid_off: u64, now: u64) -> Result<u64, Duration> {
        let then = paid_off.max(now).saturating_add(self.each);
        match (then - now).checked_sub(self.most) {
            Some(over) if over > 0 => Err(Duration::from_nanos(over)),
            _ => Ok(then),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_is_taken_at_once_and_then_so_many_a_second() {
        let meter = Meter::new(Rate { per_second: 10, burst: 5 });
        let taken = |now| (0..100).filter(|_| meter.take_at("ana", now).is_ok()).count();
        assert_eq!(taken(0), 5);
        assert_eq!(meter.take_at("ana", 0), Err(Duration::from_millis(100)));
        assert_eq!((taken(SECOND / 10), taken(SECOND / 10)), (1, 0));
        assert_eq!(taken(SECOND), 5, "no more than a burst, however long the pause");
        assert!(meter.take_at("eva", SECOND).is_ok(), "others have their own");
    }

    #[test]
    fn memory_is_bounded_and_who_comes_now_is_not_forgotten() {
        let meter = Meter::new(Rate { per_second: 1, burst: 1 });
        assert!(meter.take_at(0, 0).is_ok());
        for key in 1..3 * KEYS {
            assert!(meter.take_at(key, 0).is_ok());
            if key % 1000 == 0 {
                assert!(meter.take_at(key, 0).is_err());
            }
        }
        let tables = meter.tables.lock().unwrap();
        assert!(tables.new.len() <= KEYS && tables.old.len() <= KEYS);
    }
}
