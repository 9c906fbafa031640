//! Answers kept until something changes: what is asked for a thousand times between two changes is rendered and
//! compressed once.
//!
//! An answer holds as long as [`Public::generation`] is what it was before it was rendered, and for a minute at most:
//! notices leave the feeds by the clock. One without a date holds for its second only: in a burst of changes the date
//! lies ahead at first, and can be given as soon as it has come. Whoever asks for one that someone else is rendering
//! waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::encoding::Encoding;
use crate::rendered::Rendered;
use crate::store::Public;

/// The most that is kept, in bytes.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// What was asked for: a route's path and what was said with it, and a coding.
type Key = (String, Encoding);

/// The answers of one public state and one house.
#[derive(Debug, Default)]
pub struct Answers(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    slots: HashMap<Key, Slot>,
    bytes: usize,
    /// Counts the askings, so that what nobody asks for goes first.
    asked: u64,
}

#[derive(Debug, Default)]
struct Slot {
    answer: Arc<Mutex<Option<Answer>>>,
    /// What it weighs in [`Kept::bytes`].
    bytes: usize,
    asked: u64,
}

#[derive(Debug)]
struct Answer {
    generation: u64,
    rendered_at: DateTime<Utc>,
    rendered: Rendered,
}

impl Answer {
    fn holds(&self, generation: u64, now: DateTime<Utc>) -> bool {
        let same = |seconds| stretch(self.rendered_at, seconds) == stretch(now, seconds);
        self.generation == generation && same(if self.rendered.last_modified.is_some() { 60 } else { 1 })
    }
}

impl Answers {
    /// An answer that is kept and still holds. Never waits for one that is being rendered.
    pub fn find(
        &self,
        public: &Public,
        key: &str,
        encoding: Encoding,
        now: DateTime<Utc>,
    ) -> Option<Rendered> {
        let answer = {
            let mut kept = self.kept();
            let asked = kept.asked;
            kept.asked += 1;
            let slot = kept.slots.get_mut(&(key.to_owned(), encoding))?;
            slot.asked = asked;
            Arc::clone(&slot.answer)
        };
        let answer = answer.try_lock().ok()?;
        let answer = answer.as_ref().filter(|answer| answer.holds(public.generation(), now))?;
        Some(answer.rendered.clone())
    }

    /// An answer, rendered by `render` and coded where it isn't kept. What readers can't see (404) isn't kept: there is no
    /// end to it.
    ///
    /// # Errors
    /// Those of `render`; they aren't kept.
    pub fn get<E>(
        &self,
        public: &Public,
        key: &str,
        encoding: Encoding,
        now: DateTime<Utc>,
        render: impl FnOnce() -> Result<Rendered, E>,
    ) -> Result<Rendered, E> {
        if encoding == Encoding::Identity {
            return self.kept_or(public, (key.to_owned(), encoding), now, render);
        }
        let coded = || {
            let plain = self.kept_or(public, (key.to_owned(), Encoding::Identity), now, render)?;
            Ok(plain.encoded(encoding))
        };
        self.kept_or(public, (key.to_owned(), encoding), now, coded)
    }

    fn kept_or<E>(
        &self,
        public: &Public,
        key: Key,
        now: DateTime<Utc>,
        make: impl FnOnce() -> Result<Rendered, E>,
    ) -> Result<Rendered, E> {
        let place = Arc::clone(&self.kept().slots.entry(key.clone()).or_default().answer);
        let mut answer = place.lock().unwrap_or_else(PoisonError::into_inner);
        // Read before rendering: what is rendered is at least as new.
        let generation = public.generation();
        if let Some(answer) = answer.as_ref().filter(|answer| answer.holds(generation, now)) {
            return Ok(answer.rendered.clone());
        }
        let made = make();
        let keeps = made.as_ref().is_ok_and(|rendered| rendered.status != 404);
        *answer = match &made {
            Ok(rendered) if keeps => {
                Some(Answer { generation, rendered_at: now, rendered: rendered.clone() })
            }
            _ => None,
        };
        let bytes = answer.as_ref().map(|answer| answer.rendered.body.len() + key.0.len());
        drop(answer);
        self.kept().weigh(&key, bytes);
        made
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Notes what an answer weighs now; none: it isn't kept. What was asked for longest ago goes until the rest fits.
    fn weigh(&mut self, key: &Key, bytes: Option<usize>) {
        self.asked += 1;
        let asked = self.asked;
        match bytes {
            None => self.remove(key),
            Some(bytes) => {
                let Some(slot) = self.slots.get_mut(key) else { return };
                self.bytes = self.bytes - slot.bytes + bytes;
                (slot.bytes, slot.asked) = (bytes, asked);
            }
        }
        if self.bytes <= KEPT_BYTES {
            return;
        }
        let mut oldest: Vec<(u64, Key)> =
            self.slots.iter().map(|(key, slot)| (slot.asked, key.clone())).collect();
        oldest.sort_unstable_by_key(|(asked, _)| *asked);
        for (_, key) in oldest {
            // Down to a half, so that the next ones don't each sort again.
            if self.bytes <= KEPT_BYTES / 2 {
                break;
            }
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(slot) = self.slots.remove(key) {
            self.bytes -= slot.bytes;
        }
    }
}

/// Which stretch of so many seconds a time lies in.
fn stretch(time: DateTime<Utc>, seconds: i64) -> i64 {
    time.timestamp().div_euclid(seconds)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use chrono::TimeDelta;

    use super::*;
    use crate::page::tests::{now, public, story};

    #[test]
    fn an_answer_is_rendered_once_for_each_change_minute_and_coding() {
        let public = public(&[]);
        let answers = Answers::default();
        let rendered = AtomicUsize::new(0);
        let get = |now, encoding| {
            let render = || {
                let number = rendered.fetch_add(1, Ordering::Relaxed);
                let body = format!("{number} {}", "x".repeat(2000));
                let last_modified = Some(self::now());
                Ok::<_, ()>(Rendered { last_modified, ..Rendered::new(200, "text/plain", body) })
            };
            answers.get(&public, "/feed.json?", encoding, now, render).unwrap()
        };
        let first = get(now(), Encoding::Identity);
        assert_eq!(get(now(), Encoding::Identity), first);
        let coded = get(now(), Encoding::Gzip);
        assert_eq!((coded.encoding, coded.etag), (Encoding::Gzip, format!("W/{}", first.etag)));
        assert_eq!(answers.find(&public, "/feed.json?", Encoding::Identity, now()), Some(first));
        assert_eq!(answers.find(&public, "/feed.atom?", Encoding::Identity, now()), None);
        assert_eq!(rendered.load(Ordering::Relaxed), 1);
        public.apply(&[story(1, "en")]).unwrap();
        assert_eq!(answers.find(&public, "/feed.json?", Encoding::Identity, now()), None);
        get(now(), Encoding::Brotli);
        get(now(), Encoding::Identity);
        assert_eq!(rendered.load(Ordering::Relaxed), 2);
        get(now() + TimeDelta::minutes(1), Encoding::Identity);
        assert_eq!(rendered.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_date_that_lay_ahead_is_given_once_it_has_come() {
        let public = public(&[]);
        let answers = Answers::default();
        let changed = now() + TimeDelta::seconds(9);
        let get = |now: DateTime<Utc>| {
            let render = || {
                let mut rendered = Rendered::new(200, "text/plain", "x");
                rendered.last_modified = Some(changed).filter(|changed| *changed <= now);
                Ok::<_, ()>(rendered)
            };
            answers.get(&public, "/feed.json?", Encoding::Identity, now, render).unwrap().last_modified
        };
        assert_eq!(get(changed - TimeDelta::seconds(1)), None);
        assert_eq!(get(changed), Some(changed), "the minute is still the same");
    }

    #[test]
    fn who_asks_for_what_is_being_rendered_waits_for_it() {
        let public = public(&[]);
        let answers = Answers::default();
        let (rendered, all) = (AtomicUsize::new(0), std::sync::Barrier::new(8));
        let ask = |encoding| {
            all.wait();
            let render = || {
                rendered.fetch_add(1, Ordering::Relaxed);
                Ok::<_, ()>(Rendered::new(200, "text/plain", "x".repeat(2000)))
            };
            answers.get(&public, "/feed.json?", encoding, now(), render).unwrap()
        };
        let encodings = [Encoding::Identity, Encoding::Gzip, Encoding::Brotli, Encoding::Gzip];
        std::thread::scope(|scope| {
            let asking: Vec<_> =
                encodings.iter().cycle().take(8).map(|encoding| scope.spawn(|| ask(*encoding))).collect();
            let got = asking.into_iter().map(|it| it.join().unwrap());
            assert!(got.zip(encodings.into_iter().cycle()).all(|(got, asked)| got.encoding == asked));
        });
        assert_eq!(rendered.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_is_kept_has_a_bound_and_what_is_asked_for_stays() {
        let public = public(&[]);
        let answers = Answers::default();
        let get = |key: &str, status, bytes: usize| {
            let render = || Ok::<_, ()>(Rendered::new(status, "text/plain", vec![b'x'; bytes]));
            answers.get(&public, key, Encoding::Identity, now(), render).unwrap()
        };
        get("dear", 200, 1000);
        for number in 0..200 {
            get(&number.to_string(), 200, 1 << 20);
            get(&format!("none {number}"), 404, 10);
            assert!(answers.find(&public, "dear", Encoding::Identity, now()).is_some(), "{number}");
            assert!(answers.kept().bytes <= KEPT_BYTES);
        }
        let kept = answers.kept();
        assert_eq!(kept.bytes, kept.slots.values().map(|slot| slot.bytes).sum::<usize>());
        assert!(kept.slots.len() < 70 && kept.slots.keys().all(|(key, _)| !key.starts_with("none")));
    }
}
