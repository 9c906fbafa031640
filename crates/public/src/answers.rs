//! Answers kept until something changes: what is asked for a thousand times between two changes is rendered and
//! compressed once.
//!
//! An answer holds as long as [`Public::generation`] is what it was before it was rendered, and for a minute at most:
//! notices leave the feeds by the clock. One without a date holds for its second only: in a burst of changes the date
//! lies ahead at first, and can be given as soon as it has come. Whoever asks for one that someone else is rendering
//! waits for it.
//!
//! Whoever sends answers keeps beside each what it makes of it, such as its headers: once, rather than for each reader.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::{DateTime, Utc};

use crate::encoding::Encoding;
use crate::rendered::Rendered;
use crate::store::Public;

/// The most that is kept, in bytes.
const KEPT_BYTES: usize = 64 * 1024 * 1024;
/// What an answer takes beside its body and key, about, in bytes: what is kept beside it, headers above all.
const BESIDE_BYTES: usize = 2048;

/// The answers of one public state and one house, with what is made of each.
#[derive(Debug)]
pub struct Answers<T> {
    kept: RwLock<Kept<T>>,
    /// Counts the askings, so that what nobody asks for goes first.
    asked: AtomicU64,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self { kept: RwLock::default(), asked: AtomicU64::default() }
    }
}

/// An answer, and what was made of it.
#[derive(Debug)]
pub struct Answer<T> {
    generation: u64,
    rendered_at: DateTime<Utc>,
    /// The answer.
    pub rendered: Rendered,
    /// What was made of it.
    pub made: T,
}

impl<T> Answer<T> {
    fn holds(&self, generation: u64, now: DateTime<Utc>) -> bool {
        let same = |seconds| stretch(self.rendered_at, seconds) == stretch(now, seconds);
        self.generation == generation && same(if self.rendered.last_modified.is_some() { 60 } else { 1 })
    }
}

/// What is kept, by coding and by what was asked for: a route's path and what was said with it.
#[derive(Debug)]
struct Kept<T> {
    plain: Slots<T>,
    gzip: Slots<T>,
    brotli: Slots<T>,
    bytes: usize,
}

type Slots<T> = HashMap<String, Slot<T>>;

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { plain: HashMap::new(), gzip: HashMap::new(), brotli: HashMap::new(), bytes: 0 }
    }
}

#[derive(Debug)]
struct Slot<T> {
    answer: Option<Arc<Answer<T>>>,
    /// Held by whoever renders.
    rendering: Arc<Mutex<()>>,
    /// What it weighs in [`Kept::bytes`].
    bytes: usize,
    asked: AtomicU64,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { answer: None, rendering: Arc::default(), bytes: 0, asked: AtomicU64::default() }
    }
}

impl<T: for<'a> From<&'a Rendered>> Answers<T> {
    /// An answer that is kept and still holds. Never waits for one that is being rendered.
    pub fn find(
        &self,
        public: &Public,
        key: &str,
        encoding: Encoding,
        now: DateTime<Utc>,
    ) -> Option<Arc<Answer<T>>> {
        let kept = self.read();
        let slot = kept.of(encoding).get(key)?;
        slot.asked.store(self.asked.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        slot.answer.as_ref().filter(|answer| answer.holds(public.generation(), now)).cloned()
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
    ) -> Result<Arc<Answer<T>>, E> {
        if encoding == Encoding::Identity {
            return self.kept_or(public, key, encoding, now, render);
        }
        let coded = || {
            let plain = self.kept_or(public, key, Encoding::Identity, now, render)?;
            Ok(plain.rendered.clone().encoded(encoding))
        };
        self.kept_or(public, key, encoding, now, coded)
    }

    fn kept_or<E>(
        &self,
        public: &Public,
        key: &str,
        encoding: Encoding,
        now: DateTime<Utc>,
        make: impl FnOnce() -> Result<Rendered, E>,
    ) -> Result<Arc<Answer<T>>, E> {
        let place = Arc::clone(&self.write().of_mut(encoding).entry(key.to_owned()).or_default().rendering);
        let _rendering = place.lock().unwrap_or_else(PoisonError::into_inner);
        // Read before rendering: what is rendered is at least as new.
        let generation = public.generation();
        let there = self.read().of(encoding).get(key).and_then(|slot| slot.answer.clone());
        if let Some(answer) = there.filter(|answer| answer.holds(generation, now)) {
            return Ok(answer);
        }
        let answer = make().map(|rendered| {
            let made = T::from(&rendered);
            Arc::new(Answer { generation, rendered_at: now, rendered, made })
        });
        let keeps = answer.as_ref().ok().filter(|answer| answer.rendered.status != 404);
        self.write().keep(key, encoding, keeps, self.asked.fetch_add(1, Ordering::Relaxed));
        answer
    }

    fn read(&self) -> RwLockReadGuard<'_, Kept<T>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept<T>> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Kept<T> {
    fn of(&self, encoding: Encoding) -> &Slots<T> {
        match encoding {
            Encoding::Identity => &self.plain,
            Encoding::Gzip => &self.gzip,
            Encoding::Brotli => &self.brotli,
        }
    }

    fn of_mut(&mut self, encoding: Encoding) -> &mut Slots<T> {
        match encoding {
            Encoding::Identity => &mut self.plain,
            Encoding::Gzip => &mut self.gzip,
            Encoding::Brotli => &mut self.brotli,
        }
    }

    /// Keeps an answer from now on; none: what was kept goes. What was asked for longest ago goes until the rest fits.
    fn keep(&mut self, key: &str, encoding: Encoding, answer: Option<&Arc<Answer<T>>>, asked: u64) {
        let Some(answer) = answer else { return self.remove(key, encoding) };
        let bytes = answer.rendered.body.len() + key.len() + BESIDE_BYTES;
        let slot = self.of_mut(encoding).entry(key.to_owned()).or_default();
        let before = std::mem::replace(&mut slot.bytes, bytes);
        slot.answer = Some(Arc::clone(answer));
        slot.asked.store(asked, Ordering::Relaxed);
        self.bytes = self.bytes - before + bytes;
        if self.bytes <= KEPT_BYTES {
            return;
        }
        let mut oldest: Vec<(u64, String, Encoding)> = [Encoding::Identity, Encoding::Gzip, Encoding::Brotli]
            .into_iter()
            .flat_map(|encoding| self.of(encoding).iter().map(move |(key, slot)| (key, slot, encoding)))
            .map(|(key, slot, encoding)| (slot.asked.load(Ordering::Relaxed), key.clone(), encoding))
            .collect();
        oldest.sort_unstable_by_key(|(asked, ..)| *asked);
        for (_, key, encoding) in oldest {
            // Down to a half, so that the next ones don't each sort again.
            if self.bytes <= KEPT_BYTES / 2 {
                break;
            }
            self.remove(&key, encoding);
        }
    }

    fn remove(&mut self, key: &str, encoding: Encoding) {
        if let Some(slot) = self.of_mut(encoding).remove(key) {
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

    /// What is made of answers here: their statuses.
    #[derive(Debug)]
    struct Status(u16);

    impl From<&Rendered> for Status {
        fn from(rendered: &Rendered) -> Self {
            Status(rendered.status)
        }
    }

    fn answers() -> Answers<Status> {
        Answers::default()
    }

    #[test]
    fn an_answer_is_rendered_once_for_each_change_minute_and_coding() {
        let public = public(&[]);
        let answers = answers();
        let rendered = AtomicUsize::new(0);
        let get = |now, encoding| {
            let render = || {
                let number = rendered.fetch_add(1, Ordering::Relaxed);
                let body = format!("{number} {}", "x".repeat(2000));
                let last_modified = Some(self::now());
                Ok::<_, ()>(Rendered { last_modified, ..Rendered::new(200, "text/plain", body) })
            };
            answers.get(&public, "/feed.json?", encoding, now, render).unwrap().rendered.clone()
        };
        let first = get(now(), Encoding::Identity);
        assert_eq!(get(now(), Encoding::Identity), first);
        let coded = get(now(), Encoding::Gzip);
        assert_eq!((coded.encoding, coded.etag), (Encoding::Gzip, format!("W/{}", first.etag)));
        let find = |key| answers.find(&public, key, Encoding::Identity, now());
        let found = find("/feed.json?").unwrap();
        assert_eq!((&found.rendered, found.made.0), (&first, 200));
        assert!(find("/feed.atom?").is_none());
        assert_eq!(rendered.load(Ordering::Relaxed), 1);
        public.apply(&[story(1, "en")]).unwrap();
        assert!(find("/feed.json?").is_none());
        get(now(), Encoding::Brotli);
        get(now(), Encoding::Identity);
        assert_eq!(rendered.load(Ordering::Relaxed), 2);
        get(now() + TimeDelta::minutes(1), Encoding::Identity);
        assert_eq!(rendered.load(Ordering::Relaxed), 3);
    }

    /// A withdrawal, say: else what was withdrawn would be given until something else changes.
    #[test]
    fn what_changes_while_an_answer_is_rendered_is_not_in_it() {
        let public = public(&[]);
        let answers = answers();
        let render = || {
            let rendered =
                Rendered { last_modified: Some(now()), ..Rendered::new(200, "text/plain", "before") };
            public.apply(&[story(1, "en")]).unwrap();
            Ok::<_, ()>(rendered)
        };
        answers.get(&public, "/feed.json?", Encoding::Identity, now(), render).unwrap();
        assert!(answers.find(&public, "/feed.json?", Encoding::Identity, now()).is_none());
        let render = || Ok::<_, ()>(Rendered::new(200, "text/plain", "after"));
        let next = answers.get(&public, "/feed.json?", Encoding::Identity, now(), render).unwrap();
        assert_eq!(&next.rendered.body[..], b"after");
    }

    #[test]
    fn a_date_that_lay_ahead_is_given_once_it_has_come() {
        let public = public(&[]);
        let answers = answers();
        let changed = now() + TimeDelta::seconds(9);
        let get = |now: DateTime<Utc>| {
            let render = || {
                let mut rendered = Rendered::new(200, "text/plain", "x");
                rendered.last_modified = Some(changed).filter(|changed| *changed <= now);
                Ok::<_, ()>(rendered)
            };
            answers
                .get(&public, "/feed.json?", Encoding::Identity, now, render)
                .unwrap()
                .rendered
                .last_modified
        };
        assert_eq!(get(changed - TimeDelta::seconds(1)), None);
        assert_eq!(get(changed), Some(changed), "the minute is still the same");
    }

    #[test]
    fn who_asks_for_what_is_being_rendered_waits_for_it() {
        let public = public(&[]);
        let answers = answers();
        let (rendered, all) = (AtomicUsize::new(0), std::sync::Barrier::new(8));
        let ask = |encoding| {
            all.wait();
            let render = || {
                rendered.fetch_add(1, Ordering::Relaxed);
                Ok::<_, ()>(Rendered::new(200, "text/plain", "x".repeat(2000)))
            };
            answers.get(&public, "/feed.json?", encoding, now(), render).unwrap().rendered.encoding
        };
        let encodings = [Encoding::Identity, Encoding::Gzip, Encoding::Brotli, Encoding::Gzip];
        std::thread::scope(|scope| {
            let asking: Vec<_> =
                encodings.iter().cycle().take(8).map(|encoding| scope.spawn(|| ask(*encoding))).collect();
            let got = asking.into_iter().map(|it| it.join().unwrap());
            assert!(got.zip(encodings.into_iter().cycle()).all(|(got, asked)| got == asked));
        });
        assert_eq!(rendered.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_is_kept_has_a_bound_and_what_is_asked_for_stays() {
        let public = public(&[]);
        let answers = answers();
        let get = |key: &str, status, bytes: usize| {
            let render = || Ok::<_, ()>(Rendered::new(status, "text/plain", vec![b'x'; bytes]));
            answers.get(&public, key, Encoding::Identity, now(), render).unwrap()
        };
        get("dear", 200, 1000);
        for number in 0..200 {
            get(&number.to_string(), 200, 1 << 20);
            get(&format!("none {number}"), 404, 10);
            assert!(answers.find(&public, "dear", Encoding::Identity, now()).is_some(), "{number}");
            assert!(answers.read().bytes <= KEPT_BYTES);
        }
        let kept = answers.read();
        assert_eq!(kept.bytes, kept.plain.values().map(|slot| slot.bytes).sum::<usize>());
        assert!(kept.plain.len() < 70 && kept.plain.keys().all(|key| !key.starts_with("none")));
    }
}
