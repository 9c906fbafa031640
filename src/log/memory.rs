//! A log in memory, for simulation: one store, many handles to it, and faults drawn from a seed.
//!
//! A handle stands for one instance's connection. What may go wrong between it and the store is drawn from a
//! generator seeded by the log's seed and the handle's number, so a run that is polled on one thread goes the
//! same way every time. Nothing here spawns, sleeps or reads a real clock: a delay is a number of times that the
//! operation yields, and the log's time is a [`TestClock`] that the test moves.
//!
//! The store itself never errs: it is the model that the other logs are held against.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::{BoxStream, StreamExt};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::clock::TestClock;
use super::keys::Keys;
use super::settle::check_form;
use super::{
    AppendError, Clock, Content, Durability, Entry, Expect, Log, LogError, Message, Seq, Stream, TAIL_GROUP,
};

/// The hour at which a memory log's clock stands when it is made: 2026-01-01T00:00:00Z.
const FIRST_HOUR: i64 = 1_767_225_600;

/// What goes wrong between a handle and the store, each in cases per thousand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// An operation, or its answer, takes its time: it yields up to [`Faults::LONGEST_DELAY`] times.
    pub delay: u16,
    /// A request is lost: unknown, not written.
    pub lose_request: u16,
    /// An answer is lost: unknown, though written, or whatever the store said.
    pub lose_answer: u16,
    /// A request is held up: unknown, and delivered during a later operation of the handle.
    pub late_request: u16,
    /// A request is delivered twice, and either answer may be the one that comes through.
    pub duplicate: u16,
    /// The store can't be reached, for up to [`Faults::LONGEST_OUTAGE`] operations.
    pub outage: u16,
}

impl Faults {
    /// The most times that one delay yields.
    pub const LONGEST_DELAY: u64 = 8;
    /// The most operations that one outage outlasts.
    pub const LONGEST_OUTAGE: u64 = 12;

    /// A bad day: everything goes wrong, and often.
    #[must_use]
    pub fn rough() -> Self {
        Self { delay: 300, lose_request: 50, lose_answer: 80, late_request: 50, duplicate: 80, outage: 20 }
    }
}

/// A fault that a test orders for the next append of a handle to one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Written, then answered as unknown.
    AnswerLost,
    /// Not written, answered as unknown.
    RequestLost,
    /// Not written, answered as unavailable.
    Unavailable,
}

/// One handle to a log in memory.
#[derive(Debug)]
pub struct MemoryLog {
    store: Arc<Store>,
    line: Arc<Line>,
}

impl MemoryLog {
    /// A new, empty log, and a handle to it on which nothing goes wrong. Everything drawn is drawn from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let identity = (u128::from(dice.draw()) << 64) | u128::from(dice.draw());
        let store = Store {
            identity: uuid::Builder::from_random_bytes(identity.to_be_bytes()).into_uuid(),
            clock: TestClock::new(DateTime::from_timestamp(FIRST_HOUR, 0).unwrap_or_default()),
            dice: Mutex::new(dice),
            streams: Mutex::default(),
        };
        Self::connect(Arc::new(store), Faults::default())
    }

    /// Another handle, on which nothing goes wrong.
    #[must_use]
    pub fn handle(&self) -> Self {
        self.with_faults(Faults::default())
    }

    /// Another handle, on which things go wrong.
    #[must_use]
    pub fn with_faults(&self, faults: Faults) -> Self {
        Self::connect(Arc::clone(&self.store), faults)
    }

    /// Orders a fault for the next append of this handle to the stream of that name; several take their turns.
    pub fn inject(&self, stream: &str, fault: Fault) {
        locked(&self.line.state).ordered.entry(stream.to_owned()).or_default().push_back(fault);
    }

    /// Says by how much this handle's clock is to be ahead of the log's, in what [`Log::skew`] answers.
    pub fn set_skew(&self, skew: TimeDelta) {
        locked(&self.line.state).skew = skew;
    }

    /// The clock of the log and all its handles, to be moved by the test.
    #[must_use]
    pub fn test_clock(&self) -> TestClock {
        self.store.clock.clone()
    }

    fn connect(store: Arc<Store>, faults: Faults) -> Self {
        let dice = Dice(locked(&store.dice).draw());
        let state = LineState {
            dice,
            outage: 0,
            late: Vec::new(),
            ordered: BTreeMap::new(),
            skew: TimeDelta::zero(),
        };
        Self { store, line: Arc::new(Line { faults, state: Mutex::new(state) }) }
    }

    fn open(&self, name: &str) -> Arc<dyn Stream> {
        let shelf = Arc::clone(locked(&self.store.streams).entry(name.to_owned()).or_default());
        let (store, line) = (Arc::clone(&self.store), Arc::clone(&self.line));
        Arc::new(MemoryStream { name: name.to_owned(), store, line, shelf })
    }
}

#[async_trait]
impl Log for MemoryLog {
    fn events(&self) -> Arc<dyn Stream> {
        self.open("events")
    }
    fn wire(&self) -> Arc<dyn Stream> {
        self.open("wire")
    }
    async fn stream(&self, name: &str) -> Result<Arc<dyn Stream>, LogError> {
        check_stream_name(name)?;
        Ok(self.open(name))
    }
    fn keys(&self) -> Keys {
        Keys::new(self.open("keys"), self.clock())
    }
    fn identity(&self) -> Uuid {
        self.store.identity
    }
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.store.clock.clone())
    }
    async fn skew(&self) -> Result<TimeDelta, LogError> {
        self.line.reach().await.map_err(LogError::Unavailable)?;
        Ok(locked(&self.line.state).skew)
    }
    fn durability(&self) -> Durability {
        Durability::Memory
    }
}

/// Checks a stream's name: `[a-z]+`.
///
/// # Errors
/// [`LogError::Unsuitable`], which names it.
pub(super) fn check_stream_name(name: &str) -> Result<(), LogError> {
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase()) {
        return Ok(());
    }
    Err(LogError::Unsuitable(format!("a stream's name is made of [a-z], {name:?} is not")))
}

/// What all handles share.
#[derive(Debug)]
struct Store {
    identity: Uuid,
    clock: TestClock,
    dice: Mutex<Dice>,
    streams: Mutex<BTreeMap<String, Arc<Shelf>>>,
}

/// One stream's entries.
#[derive(Debug, Default)]
struct Shelf(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    entries: Vec<Entry>,
    by_subject: HashMap<String, Vec<Seq>>,
    tails: Vec<Waker>,
}

impl Shelf {
    fn append(&self, now: DateTime<Utc>, message: &Message, expect: Expect) -> Result<Seq, AppendError> {
        let (seq, woken) = {
            let mut shelf = locked(&self.0);
            let end = shelf.end();
            let (expected, found) = match expect {
                Expect::Subject(expected) => (expected, shelf.last_on(&message.subject)),
                Expect::Stream(expected) => (expected, end),
            };
            if expected != found {
                return Err(AppendError::WrongExpectation);
            }
            let content = Content::Message { headers: message.headers.clone(), body: message.body.clone() };
            shelf.entries.push(Entry { seq: end + 1, subject: message.subject.clone(), time: now, content });
            shelf.by_subject.entry(message.subject.clone()).or_default().push(end + 1);
            (end + 1, std::mem::take(&mut shelf.tails))
        };
        woken.into_iter().for_each(Waker::wake);
        Ok(seq)
    }
}

impl Entries {
    fn end(&self) -> Seq {
        self.entries.len() as Seq
    }

    fn last_on(&self, subject: &str) -> Seq {
        self.by_subject.get(subject).and_then(|line| line.last()).copied().unwrap_or(0)
    }

    fn get(&self, seq: Seq) -> Option<Entry> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.entries.get(index).cloned()
    }

    fn after_on(&self, subject: &str, after: Seq) -> impl Iterator<Item = Entry> {
        let line = self.by_subject.get(subject).map(Vec::as_slice).unwrap_or_default();
        line.iter().filter(move |seq| **seq > after).filter_map(|seq| self.get(*seq))
    }

    fn erase(&mut self, seq: Seq, as_was: Option<[u8; 32]>) -> Result<(), LogError> {
        let index = usize::try_from(seq).unwrap_or(usize::MAX).wrapping_sub(1);
        let Some(entry) = self.entries.get_mut(index) else {
            return Err(LogError::Unsuitable(format!(
                "nothing stands at position {seq}, so nothing can be erased"
            )));
        };
        if let Content::Message { body, .. } = &entry.content {
            let sha256 = as_was.unwrap_or_else(|| Sha256::digest(body).into());
            entry.content = Content::Erased { sha256: Some(sha256) };
        }
        Ok(())
    }
}

/// One handle's connection to the store.
#[derive(Debug)]
struct Line {
    faults: Faults,
    state: Mutex<LineState>,
}

#[derive(Debug)]
struct LineState {
    dice: Dice,
    /// Operations that still find the store out of reach.
    outage: u64,
    late: Vec<Late>,
    ordered: BTreeMap<String, VecDeque<Fault>>,
    skew: TimeDelta,
}

/// A request held up on its way.
#[derive(Debug)]
struct Late {
    shelf: Arc<Shelf>,
    message: Message,
    expect: Expect,
}

impl Line {
    fn happens(&self, per_thousand: u16) -> bool {
        // Drawn even where nothing can happen, so that one fault more or less leaves the others as they are.
        locked(&self.state).dice.draw() % 1000 < u64::from(per_thousand)
    }

    async fn delay(&self) {
        if self.happens(self.faults.delay) {
            let times = 1 + locked(&self.state).dice.draw() % Faults::LONGEST_DELAY;
            for _ in 0..times {
                yield_once().await;
            }
        }
    }

    /// Waits as long as the way takes; `Err` says that the store is out of reach.
    async fn reach(&self) -> Result<(), String> {
        self.delay().await;
        if self.happens(self.faults.outage) {
            let mut state = locked(&self.state);
            state.outage = 1 + state.dice.draw() % Faults::LONGEST_OUTAGE;
        }
        let mut state = locked(&self.state);
        if state.outage == 0 {
            return Ok(());
        }
        state.outage -= 1;
        Err("simulated outage".to_owned())
    }

    /// Delivers what was held up, or some of it.
    fn deliver_late(&self, now: DateTime<Utc>) {
        let due = {
            let mut state = locked(&self.state);
            let held = std::mem::take(&mut state.late);
            let (due, held) =
                held.into_iter().partition::<Vec<_>, _>(|_| state.dice.draw().is_multiple_of(2));
            state.late = held;
            due
        };
        for late in due {
            // Nobody waits for this answer any more.
            let _ = late.shelf.append(now, &late.message, late.expect);
        }
    }
}

#[derive(Debug)]
struct MemoryStream {
    name: String,
    store: Arc<Store>,
    line: Arc<Line>,
    shelf: Arc<Shelf>,
}

impl MemoryStream {
    fn now(&self) -> DateTime<Utc> {
        self.store.clock.now()
    }

    async fn read<T>(&self, take: impl FnOnce(&Entries) -> T + Send) -> Result<T, LogError> {
        self.line.deliver_late(self.now());
        self.line.reach().await.map_err(LogError::Unavailable)?;
        Ok(take(&locked(&self.shelf.0)))
    }
}

#[async_trait]
impl Stream for MemoryStream {
    async fn try_append(&self, message: &Message, expect: Expect) -> Result<Seq, AppendError> {
        check_form(message)?;
        let (line, faults) = (&self.line, &self.line.faults);
        let ordered = locked(&line.state).ordered.get_mut(&self.name).and_then(VecDeque::pop_front);
        line.deliver_late(self.now());
        if ordered == Some(Fault::Unavailable) {
            return Err(AppendError::Unavailable("a test said so".to_owned()));
        }
        line.reach().await.map_err(AppendError::Unavailable)?;
        let lost = line.happens(faults.lose_request) || ordered == Some(Fault::RequestLost);
        if line.happens(faults.late_request) && ordered.is_none() {
            let (shelf, message) = (Arc::clone(&self.shelf), message.clone());
            locked(&line.state).late.push(Late { shelf, message, expect });
            return Err(AppendError::Unknown("simulated: the request is held up".to_owned()));
        }
        if lost {
            return Err(AppendError::Unknown("simulated: the request is lost".to_owned()));
        }
        let mut answer = self.shelf.append(self.now(), message, expect);
        if line.happens(faults.duplicate) {
            line.delay().await;
            let second = self.shelf.append(self.now(), message, expect);
            if line.happens(500) {
                answer = second;
            }
        }
        line.delay().await;
        if line.happens(faults.lose_answer) || ordered == Some(Fault::AnswerLost) {
            return Err(AppendError::Unknown("simulated: the answer is lost".to_owned()));
        }
        answer
    }

    async fn end(&self) -> Result<Seq, LogError> {
        self.read(Entries::end).await
    }

    async fn get(&self, seq: Seq) -> Result<Option<Entry>, LogError> {
        self.read(|shelf| shelf.get(seq)).await
    }

    async fn next_on(&self, subject: &str, after: Seq) -> Result<Option<Entry>, LogError> {
        self.read(|shelf| shelf.after_on(subject, after).next()).await
    }

    async fn all_on(&self, subject: &str, after: Seq) -> Result<Vec<Entry>, LogError> {
        self.read(|shelf| shelf.after_on(subject, after).collect()).await
    }

    async fn last_on(&self, subject: &str) -> Result<Option<Entry>, LogError> {
        self.read(|shelf| shelf.get(shelf.last_on(subject))).await
    }

    async fn tail(&self, after: Seq) -> Result<BoxStream<'static, Result<Vec<Entry>, LogError>>, LogError> {
        self.read(|_| ()).await?;
        let (line, shelf) = (Arc::clone(&self.line), Arc::clone(&self.shelf));
        let groups = futures::stream::unfold(Some(after), move |after| {
            let (line, shelf) = (Arc::clone(&line), Arc::clone(&shelf));
            async move {
                let after = after?;
                let group = group_after(&shelf, after).await;
                if let Err(why) = line.reach().await {
                    return Some((Err(LogError::Unavailable(why)), None));
                }
                let last = group.last().map_or(after, |entry| entry.seq);
                Some((Ok(group), Some(last)))
            }
        });
        Ok(groups.boxed())
    }

    async fn erase(&self, seq: Seq) -> Result<(), LogError> {
        self.read(|_| ()).await?;
        locked(&self.shelf.0).erase(seq, None)
    }

    async fn erase_as(&self, seq: Seq, sha256: [u8; 32]) -> Result<(), LogError> {
        self.read(|_| ()).await?;
        locked(&self.shelf.0).erase(seq, Some(sha256))
    }
}

/// Waits until there is something after a position, and takes up to a group of it.
async fn group_after(shelf: &Shelf, after: Seq) -> Vec<Entry> {
    std::future::poll_fn(|cx| {
        let mut entries = locked(&shelf.0);
        let from = usize::try_from(after).unwrap_or(usize::MAX);
        match entries.entries.get(from..) {
            Some(rest) if !rest.is_empty() => {
                Poll::Ready(rest.iter().take(TAIL_GROUP).cloned().collect::<Vec<_>>())
            }
            _ => {
                if !entries.tails.iter().any(|waker| waker.will_wake(cx.waker())) {
                    entries.tails.push(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    })
    .await
}

async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// SplitMix64: small, seeded, and the same on every machine.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use futures::FutureExt;

    use super::super::{Settled, append};
    use super::*;

    /// Four writers on rough lines, each trying to put its numbers on one subject.
    fn rough_run(seed: u64) -> (Vec<Entry>, Vec<Bytes>, Vec<Bytes>) {
        let log = MemoryLog::new(seed);
        let clock = log.test_clock();
        let (landed, unknown) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let writers = (0..4).map(|writer| {
            let (own, landed, unknown) = (log.with_faults(Faults::rough()), &landed, &unknown);
            async move {
                let (stream, clock) = (own.events(), own.clock());
                for number in 0..20 {
                    let body = Bytes::from(format!("{writer}/{number}"));
                    loop {
                        let Ok(last) = stream.last_on("a").await else { continue };
                        let expect = Expect::Subject(last.map_or(0, |entry| entry.seq));
                        let message = Message {
                            subject: "a".into(),
                            id: format!("{writer}/{number}"),
                            headers: Vec::new(),
                            body: body.clone(),
                        };
                        match append(&*stream, &*clock, &message, expect, Duration::from_secs(5)).await {
                            Settled::Written(_) => break landed.lock().unwrap().push(body),
                            Settled::Unknown(_) => break unknown.lock().unwrap().push(body),
                            Settled::Lost | Settled::Unavailable(_) => {}
                            Settled::Refused(why) => panic!("{why}"),
                        }
                    }
                }
            }
        });
        clock
            .drive(futures::future::join_all(writers))
            .now_or_never()
            .expect("nothing waits for the outside");
        let entries = log.events().all_on("a", 0).now_or_never().unwrap().unwrap();
        (entries, landed.into_inner().unwrap(), unknown.into_inner().unwrap())
    }

    #[test]
    fn on_rough_lines_what_was_settled_is_in_the_log_once() {
        for seed in 0..50 {
            let (entries, landed, unknown) = rough_run(seed);
            let mut bodies: Vec<_> = entries
                .iter()
                .map(|entry| match &entry.content {
                    Content::Message { body, .. } => body.clone(),
                    Content::Erased { .. } => panic!("nothing was erased"),
                })
                .collect();
            bodies.sort();
            assert!(bodies.windows(2).all(|pair| pair[0] != pair[1]), "seed {seed}: written twice");
            for body in &landed {
                assert!(bodies.contains(body), "seed {seed}: {body:?} was lost");
            }
            for body in &bodies {
                assert!(landed.contains(body) || unknown.contains(body), "seed {seed}: {body:?} slipped in");
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let (one, other) = (rough_run(7), rough_run(7));
        assert_eq!(one, other);
        assert_ne!(one.0, rough_run(8).0);
    }

    #[test]
    fn an_ordered_fault_strikes_the_next_append_of_its_handle_and_stream_only() {
        let log = MemoryLog::new(1);
        let other = log.handle();
        log.inject("events", Fault::AnswerLost);
        let message = |id: &str| Message {
            subject: "a".into(),
            id: id.into(),
            headers: vec![],
            body: id.to_owned().into(),
        };
        let put = |log: &MemoryLog, id: &str, expect| {
            log.events().try_append(&message(id), Expect::Subject(expect)).now_or_never().unwrap()
        };
        assert_eq!(put(&other, "1", 0).unwrap(), 1);
        assert!(matches!(put(&log, "2", 1), Err(AppendError::Unknown(_))));
        assert!(matches!(put(&log, "2", 1), Err(AppendError::WrongExpectation)));
        assert_eq!(put(&log, "3", 2).unwrap(), 3);
    }
}
