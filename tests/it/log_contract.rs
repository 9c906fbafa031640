//! What every kind of log keeps, in one suite that runs on each of them.
//!
//! A kind brings a [`Harness`] and one line: `log_contract!(memory, MemoryHarness::open().await);`. An
//! expression that gives `None` skips the kind, with a printed note: a server may be missing.
//! Nothing here sleeps to wait: what must come is waited for, with [`DEADLINE`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use copydesk::log::clock::SystemClock;
use copydesk::log::keys::{Cursor, KeyError};
use copydesk::log::{
    AppendError, Content, Entry, Expect, Headers, Log, LogError, Message, Seq, Settled, Stream, TAIL_GROUP,
    append,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use sha2::{Digest, Sha256};

/// How long anything may take that a test waits for.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How long a settled append may try.
const PATIENCE: Duration = Duration::from_secs(20);

/// One new, empty log of some kind, and what the suite must be able to do to it.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The log, as one instance has it; the same handle each time.
    fn log(&self) -> Arc<dyn Log>;
    /// The same log as another instance has it. A kind that only one process can open gives its one handle.
    async fn second(&self) -> Arc<dyn Log>;
    /// Another new, empty log of this kind, beside this one.
    async fn other(&self) -> Arc<dyn Log>;
    /// Lets go of the log, and opens it again as after a restart; `None` where the kind does not outlive it.
    async fn reopen(self: Box<Self>) -> Option<Box<dyn Harness>>;
    /// Puts a message on an event subject that copydesk did not write, by a way round it if there is one.
    async fn foreign(&self, subject: &str, body: Bytes) -> Seq {
        let events = self.log().events();
        loop {
            let last = events.last_on(subject).await.unwrap().map_or(0, |entry| entry.seq);
            let message = message(subject, "foreign", body.clone());
            match events.try_append(&message, Expect::Subject(last)).await {
                Ok(seq) => return seq,
                Err(AppendError::WrongExpectation) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Runs the suite on one kind of log: a module of that name, with one test for each sentence of the contract.
macro_rules! log_contract {
    ($kind:ident, $open:expr) => {
        $crate::log_contract::log_contract! { $kind, $open, [
            the_first_event_expects_nothing,
            an_expectation_too_old_or_too_new_is_refused,
            expecting_the_streams_end_takes_turns_over_all_subjects,
            racing_writers_have_one_winner_at_each_step_and_lose_nothing,
            an_answer_lost_after_the_write_settles_as_written_once,
            a_request_lost_before_the_write_settles_as_written_once,
            an_outcome_settled_late_knows_whose_event_won,
            a_message_erased_before_it_is_settled_is_still_known,
            one_articles_events_are_told_from_all_others,
            reading_where_nothing_stands_finds_nothing,
            a_tail_misses_nothing_while_others_write,
            a_tail_starts_after_any_position,
            several_tails_see_the_same,
            an_erased_event_keeps_its_place_wherever_it_stands,
            a_tail_comes_past_erased_events,
            erasing_twice_is_fine,
            erasing_where_nothing_stands_is_an_error,
            a_foreign_message_is_yielded_and_appends_go_on_around_it,
            small_streams_are_apart_by_name,
            a_stream_keeps_to_its_naming,
            messages_come_back_whole,
            what_no_log_takes_is_refused_and_changes_nothing,
            times_are_the_logs_and_in_microseconds,
            keys_are_set_where_they_stand_as_expected,
            a_key_removed_can_be_set_again,
            racing_on_a_key_has_one_winner,
            a_shared_cursor_moves_forward_only_from_where_it_was_seen,
            identity_stays_over_a_restart_and_differs_between_logs,
            everything_is_there_after_a_restart,
        ] }
    };
    ($kind:ident, $open:expr, [$($sentence:ident),* $(,)?]) => {
        mod $kind {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $sentence() {
                    match $open {
                        Some(harness) => $crate::log_contract::$sentence(Box::new(harness)).await,
                        None => println!("skipped: no {} log here", stringify!($kind)),
                    }
                }
            )*
        }
    };
}
pub(crate) use log_contract;

type Case = Box<dyn Harness>;

// ---- what the sentences are made of

pub fn message(subject: &str, id: &str, body: impl Into<Bytes>) -> Message {
    Message { subject: subject.to_owned(), id: id.to_owned(), headers: Headers::new(), body: body.into() }
}

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it comes before the deadline")
}

/// Appends where nothing can go wrong, and gives the position.
pub async fn put(stream: &Arc<dyn Stream>, subject: &str, body: impl Into<Bytes>) -> Seq {
    let last = stream.last_on(subject).await.unwrap().map_or(0, |entry| entry.seq);
    let body = body.into();
    let id = hex::encode(Sha256::digest(&body));
    stream.try_append(&message(subject, &id, body), Expect::Subject(last)).await.unwrap()
}

pub fn body_of(entry: &Entry) -> &Bytes {
    match &entry.content {
        Content::Message { body, .. } => body,
        Content::Erased { .. } => panic!("position {} is erased", entry.seq),
    }
}

pub fn erased_with(body: impl AsRef<[u8]>) -> Content {
    Content::Erased { sha256: Some(Sha256::digest(body.as_ref()).into()) }
}

/// What a tail yields up to a position, with every group checked on the way.
pub async fn take_up_to(
    tail: &mut BoxStream<'static, Result<Vec<Entry>, LogError>>,
    mut after: Seq,
    to: Seq,
) -> Vec<Entry> {
    let mut taken = Vec::new();
    while after < to {
        let group = within(tail.next()).await.expect("a tail does not end").unwrap();
        assert!((1..=TAIL_GROUP).contains(&group.len()), "a group of {}", group.len());
        for entry in group {
            after += 1;
            assert_eq!(entry.seq, after, "a tail is in order and without a gap");
            taken.push(entry);
        }
    }
    taken
}

fn bodies(entries: &[Entry]) -> Vec<&[u8]> {
    entries.iter().map(|entry| &body_of(entry)[..]).collect()
}

/// Settles by the system's clock: a simulated one stands still.
async fn settle(stream: &dyn Stream, message: &Message, expect: Expect) -> Settled {
    within(append(stream, &SystemClock, message, expect, PATIENCE)).await
}

/// What becomes of one append on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    Request,
    Answer,
}

/// A stream whose next appends lose their requests or answers.
#[derive(Debug)]
struct Lossy {
    inner: Arc<dyn Stream>,
    losses: Mutex<VecDeque<Loss>>,
}

impl Lossy {
    fn new<const N: usize>(inner: Arc<dyn Stream>, losses: [Loss; N]) -> Self {
        Self { inner, losses: Mutex::new(losses.into()) }
    }
}

#[async_trait]
impl Stream for Lossy {
    async fn try_append(&self, message: &Message, expect: Expect) -> Result<Seq, AppendError> {
        let loss = self.losses.lock().unwrap().pop_front();
        if loss == Some(Loss::Request) {
            return Err(AppendError::Unknown("the request was lost".into()));
        }
        let answer = self.inner.try_append(message, expect).await;
        if loss == Some(Loss::Answer) {
            return Err(AppendError::Unknown("the answer was lost".into()));
        }
        answer
    }
    async fn end(&self) -> Result<Seq, LogError> {
        self.inner.end().await
    }
    async fn get(&self, seq: Seq) -> Result<Option<Entry>, LogError> {
        self.inner.get(seq).await
    }
    async fn next_on(&self, subject: &str, after: Seq) -> Result<Option<Entry>, LogError> {
        self.inner.next_on(subject, after).await
    }
    async fn all_on(&self, subject: &str, after: Seq) -> Result<Vec<Entry>, LogError> {
        self.inner.all_on(subject, after).await
    }
    async fn last_on(&self, subject: &str) -> Result<Option<Entry>, LogError> {
        self.inner.last_on(subject).await
    }
    async fn tail(&self, after: Seq) -> Result<BoxStream<'static, Result<Vec<Entry>, LogError>>, LogError> {
        self.inner.tail(after).await
    }
    async fn erase(&self, seq: Seq) -> Result<(), LogError> {
        self.inner.erase(seq).await
    }
    async fn erase_as(&self, seq: Seq, sha256: [u8; 32]) -> Result<(), LogError> {
        self.inner.erase_as(seq, sha256).await
    }
}

// ---- appends and expectations

pub async fn the_first_event_expects_nothing(case: Case) {
    let events = case.log().events();
    assert_eq!(events.end().await.unwrap(), 0);
    let first = events.try_append(&message("a", "1", "one"), Expect::Subject(0)).await.unwrap();
    assert_eq!(first, 1);
    let other = events.try_append(&message("b", "2", "two"), Expect::Subject(0)).await.unwrap();
    assert_eq!(other, 2);
    let third = events.try_append(&message("a", "3", "three"), Expect::Subject(1)).await.unwrap();
    assert_eq!(third, 3);
    assert_eq!(events.end().await.unwrap(), 3);
}

pub async fn an_expectation_too_old_or_too_new_is_refused(case: Case) {
    let events = case.log().events();
    put(&events, "a", "one").await;
    put(&events, "b", "two").await;
    put(&events, "a", "three").await;
    for expect in [0, 1, 2, 4, 1000].map(Expect::Subject) {
        let answer = events.try_append(&message("a", "x", "four"), expect).await;
        assert!(matches!(answer, Err(AppendError::WrongExpectation)), "{expect:?}: {answer:?}");
    }
    let answer = events.try_append(&message("new", "x", "four"), Expect::Subject(3)).await;
    assert!(matches!(answer, Err(AppendError::WrongExpectation)), "{answer:?}");
    assert_eq!(events.end().await.unwrap(), 3);
    assert_eq!(events.try_append(&message("a", "x", "four"), Expect::Subject(3)).await.unwrap(), 4);
}

pub async fn expecting_the_streams_end_takes_turns_over_all_subjects(case: Case) {
    let wire = case.log().wire();
    for (last, home) in ["sport", "world", "sport.football"].into_iter().enumerate() {
        let last = last as Seq;
        for wrong in [last.wrapping_sub(1), last + 1].map(Expect::Stream) {
            let answer = wire.try_append(&message(home, "x", "edition"), wrong).await;
            assert!(matches!(answer, Err(AppendError::WrongExpectation)), "{wrong:?}: {answer:?}");
        }
        let seq = wire.try_append(&message(home, home, home), Expect::Stream(last)).await.unwrap();
        assert_eq!(seq, last + 1);
    }
    assert_eq!(wire.end().await.unwrap(), 3);
    assert_eq!(case.log().events().end().await.unwrap(), 0);
}

pub async fn racing_writers_have_one_winner_at_each_step_and_lose_nothing(case: Case) {
    const WRITERS: usize = 8;
    const EACH: usize = 12;
    let logs = [case.log(), case.second().await];
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let log = Arc::clone(&logs[writer % 2]);
        writers.spawn(async move {
            let events = log.events();
            let mut won = BTreeMap::new();
            for number in 0..EACH {
                loop {
                    let last = events.last_on("a").await.unwrap().map_or(0, |entry| entry.seq);
                    // The body says on which position it was decided.
                    let body = format!("{last} {writer}/{number}");
                    let message = message("a", &body, body.clone());
                    match settle(&*events, &message, Expect::Subject(last)).await {
                        Settled::Written(seq) => {
                            won.insert(seq, body);
                            break;
                        }
                        Settled::Lost => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
            won
        });
    }
    let mut won = BTreeMap::new();
    while let Some(part) = within(writers.join_next()).await {
        for (seq, body) in part.unwrap() {
            assert!(won.insert(seq, body).is_none(), "two winners at {seq}");
        }
    }
    let line = case.log().events().all_on("a", 0).await.unwrap();
    assert_eq!(line.len(), WRITERS * EACH);
    let mut last = 0;
    for entry in &line {
        let body = std::str::from_utf8(body_of(entry)).unwrap();
        assert_eq!(won.get(&entry.seq).map(String::as_str), Some(body));
        assert!(body.starts_with(&format!("{last} ")), "{body:?} was decided on {last}");
        last = entry.seq;
    }
}

// ---- unknown outcomes

pub async fn an_answer_lost_after_the_write_settles_as_written_once(case: Case) {
    let log = case.log();
    for (stream, losses) in
        [(log.events(), [Loss::Answer, Loss::Answer]), (log.wire(), [Loss::Answer, Loss::Request])]
    {
        put(&stream, "other", "before").await;
        let lossy = Lossy::new(Arc::clone(&stream), losses);
        let first = settle(&lossy, &message("a", "1", "one"), Expect::Subject(0)).await;
        assert_eq!(first, Settled::Written(2));
        let lossy = Lossy::new(Arc::clone(&stream), losses);
        let second = settle(&lossy, &message("b", "2", "two"), Expect::Stream(2)).await;
        assert_eq!(second, Settled::Written(3));
        assert_eq!(stream.end().await.unwrap(), 3);
    }
}

pub async fn a_request_lost_before_the_write_settles_as_written_once(case: Case) {
    let log = case.log();
    let events = log.events();
    let lossy = Lossy::new(Arc::clone(&events), [Loss::Request, Loss::Request]);
    assert_eq!(settle(&lossy, &message("a", "1", "one"), Expect::Subject(0)).await, Settled::Written(1));
    assert_eq!(events.end().await.unwrap(), 1);
}

pub async fn an_outcome_settled_late_knows_whose_event_won(case: Case) {
    let log = case.log();
    let events = log.events();
    put(&events, "a", "one").await;
    // Ours lands, its answer is lost, and another writer goes on from it before we ask again.
    let ours = message("a", "ours", "ours");
    assert!(events.try_append(&ours, Expect::Subject(1)).await.is_ok());
    put(&events, "b", "between").await;
    put(&events, "a", "theirs").await;
    assert_eq!(settle(&*events, &ours, Expect::Subject(1)).await, Settled::Written(2));
    // Another writer's stands where ours expected to.
    assert_eq!(settle(&*events, &message("a", "late", "late"), Expect::Subject(2)).await, Settled::Lost);
    assert_eq!(settle(&*events, &message("a", "late", "late"), Expect::Stream(2)).await, Settled::Lost);
    // Equal bytes with another header are another's.
    let mut marked = ours.clone();
    marked.headers.push(("Nonce".into(), "1".into()));
    assert_eq!(settle(&*events, &marked, Expect::Subject(1)).await, Settled::Lost);
    assert_eq!(events.end().await.unwrap(), 4);
}

pub async fn a_message_erased_before_it_is_settled_is_still_known(case: Case) {
    let log = case.log();
    let events = log.events();
    put(&events, "a", "one").await;
    let ours = message("a", "ours", "ours");
    let seq = events.try_append(&ours, Expect::Subject(1)).await.unwrap();
    events.erase(seq).await.unwrap();
    assert_eq!(settle(&*events, &ours, Expect::Subject(1)).await, Settled::Written(seq));
    let theirs = message("a", "theirs", "theirs");
    assert_eq!(settle(&*events, &theirs, Expect::Subject(1)).await, Settled::Lost);
}

// ---- reading

pub async fn one_articles_events_are_told_from_all_others(case: Case) {
    let events = case.log().events();
    // A subject that is another's beginning must not be taken for it.
    for (subject, body) in
        [("a", "a1"), ("ab", "x"), ("a", "a2"), ("b", "b1"), ("a-b", "y"), ("a", "a3"), ("desk", "d1")]
    {
        put(&events, subject, body).await;
    }
    let line = events.all_on("a", 0).await.unwrap();
    assert_eq!(bodies(&line), [b"a1", b"a2", b"a3"]);
    assert_eq!(line.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 3, 6]);
    assert!(line.iter().all(|entry| entry.subject == "a"));
    assert_eq!(bodies(&events.all_on("a", 1).await.unwrap()), [b"a2", b"a3"]);
    assert_eq!(bodies(&events.all_on("a", 5).await.unwrap()), [b"a3"]);
    assert!(events.all_on("a", 6).await.unwrap().is_empty());
    assert_eq!(events.next_on("a", 0).await.unwrap().unwrap().seq, 1);
    assert_eq!(events.next_on("a", 1).await.unwrap().unwrap().seq, 3);
    assert_eq!(events.next_on("a", 4).await.unwrap().unwrap().seq, 6);
    assert_eq!(events.next_on("a", 6).await.unwrap(), None);
    assert_eq!(events.last_on("a").await.unwrap().unwrap().seq, 6);
    assert_eq!(events.last_on("b").await.unwrap().unwrap().seq, 4);
}

pub async fn reading_where_nothing_stands_finds_nothing(case: Case) {
    let events = case.log().events();
    for _ in 0..2 {
        let end = events.end().await.unwrap();
        assert_eq!(events.get(0).await.unwrap(), None);
        assert_eq!(events.get(end + 1).await.unwrap(), None);
        assert_eq!(events.get(Seq::from(u32::MAX)).await.unwrap(), None);
        assert_eq!(events.last_on("nobody").await.unwrap(), None);
        assert_eq!(events.next_on("nobody", 0).await.unwrap(), None);
        assert!(events.all_on("nobody", 0).await.unwrap().is_empty());
        put(&events, "a", "one").await;
    }
}

pub async fn a_tail_misses_nothing_while_others_write(case: Case) {
    const WRITERS: usize = 4;
    const EACH: usize = 60;
    let log = case.log();
    put(&log.events(), "before", "before").await;
    let mut tail = log.events().tail(0).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let events = log.events();
        writers.spawn(async move {
            for number in 0..EACH {
                put(&events, &format!("w{writer}"), format!("{writer}/{number}")).await;
            }
        });
    }
    let all = take_up_to(&mut tail, 0, (1 + WRITERS * EACH) as Seq).await;
    while let Some(writer) = within(writers.join_next()).await {
        writer.unwrap();
    }
    for writer in 0..WRITERS {
        let subject = format!("w{writer}");
        let seen: Vec<_> = all.iter().filter(|entry| entry.subject == subject).cloned().collect();
        assert_eq!(seen.len(), EACH);
        assert_eq!(seen, log.events().all_on(&subject, 0).await.unwrap());
    }
}

pub async fn a_tail_starts_after_any_position(case: Case) {
    let events = case.log().events();
    for number in 0..10 {
        put(&events, "a", format!("{number}")).await;
    }
    for after in 0..10 {
        let mut tail = events.tail(after).await.unwrap();
        let rest = take_up_to(&mut tail, after, 10).await;
        assert_eq!(rest.len(), 10 - usize::try_from(after).unwrap());
    }
    // At the end it waits for what comes.
    let mut tail = events.tail(10).await.unwrap();
    let waiting = tokio::spawn(async move { take_up_to(&mut tail, 10, 11).await });
    put(&events, "a", "last").await;
    assert_eq!(bodies(&within(waiting).await.unwrap()), [b"last"]);
}

pub async fn several_tails_see_the_same(case: Case) {
    let (one, other) = (case.log().events(), case.second().await.events());
    let mut tails = [one.tail(0).await.unwrap(), one.tail(0).await.unwrap(), other.tail(0).await.unwrap()];
    for number in 0..20 {
        put(if number % 2 == 0 { &one } else { &other }, "a", format!("{number}")).await;
    }
    let mut seen = Vec::new();
    for tail in &mut tails {
        seen.push(take_up_to(tail, 0, 20).await);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

// ---- erasing

pub async fn an_erased_event_keeps_its_place_wherever_it_stands(case: Case) {
    let events = case.log().events();
    // Erased: the first, a middle and the last of article `a`; the first and the last of the log among them.
    let line = [("a", "a1"), ("b", "b1"), ("a", "a2"), ("b", "b2"), ("a", "a3")];
    for (subject, body) in line {
        put(&events, subject, body).await;
    }
    for erased in [3, 1, 5] {
        events.erase(erased).await.unwrap();
        assert_eq!(events.end().await.unwrap(), 5, "the end counts the erased");
        for (seq, (subject, body)) in (1..).zip(line) {
            let entry = events.get(seq).await.unwrap().unwrap();
            assert_eq!(entry.seq, seq);
            match &entry.content {
                Content::Message { body: found, .. } => {
                    assert_eq!((&*entry.subject, &**found), (subject, body.as_bytes()))
                }
                gone => assert_eq!(*gone, erased_with(body)),
            }
        }
        assert_eq!(
            events.get(erased).await.unwrap().unwrap().content,
            erased_with(line[erased as usize - 1].1)
        );
    }
    let all = events.all_on("a", 0).await.unwrap();
    assert_eq!(all.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 3, 5]);
    assert_eq!(all[0].content, erased_with("a1"));
    assert_eq!(all[2].content, erased_with("a3"));
    assert_eq!(events.next_on("a", 0).await.unwrap().unwrap().content, erased_with("a1"));
    assert_eq!(events.next_on("a", 1).await.unwrap().unwrap().content, erased_with("a2"));
    assert_eq!(events.next_on("a", 3).await.unwrap().unwrap().content, erased_with("a3"));
    let last = events.last_on("a").await.unwrap().unwrap();
    assert_eq!((last.seq, last.content), (5, erased_with("a3")));
    // Expectations still count the erased ones.
    for wrong in [Expect::Subject(3), Expect::Subject(0), Expect::Stream(4)] {
        let answer = events.try_append(&message("a", "x", "a4"), wrong).await;
        assert!(matches!(answer, Err(AppendError::WrongExpectation)), "{wrong:?}: {answer:?}");
    }
    assert_eq!(settle(&*events, &message("a", "4", "a4"), Expect::Subject(5)).await, Settled::Written(6));
    events.erase(6).await.unwrap();
    assert_eq!(settle(&*events, &message("c", "5", "c1"), Expect::Stream(6)).await, Settled::Written(7));
    assert_eq!(bodies(&events.all_on("b", 0).await.unwrap()), [b"b1", b"b2"]);
    let Some(case) = case.reopen().await else { return };
    let events = case.log().events();
    assert_eq!(events.end().await.unwrap(), 7);
    assert_eq!(events.get(1).await.unwrap().unwrap().content, erased_with("a1"));
    let line = events.all_on("a", 0).await.unwrap();
    assert_eq!(line.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 3, 5, 6]);
    assert_eq!(events.try_append(&message("a", "6", "a5"), Expect::Subject(6)).await.unwrap(), 8);
}

pub async fn a_tail_comes_past_erased_events(case: Case) {
    let events = case.log().events();
    let mut early = events.tail(0).await.unwrap();
    for number in 1..=6 {
        put(&events, "a", format!("{number}")).await;
    }
    let before = take_up_to(&mut early, 0, 6).await;
    assert_eq!(before.len(), 6);
    for erased in [1, 4, 6] {
        events.erase(erased).await.unwrap();
    }
    put(&events, "b", "after").await;
    assert_eq!(take_up_to(&mut early, 6, 7).await.len(), 1);
    let mut late = events.tail(0).await.unwrap();
    for entry in take_up_to(&mut late, 0, 7).await {
        match entry.seq {
            1 | 4 | 6 => assert_eq!(entry.content, erased_with(entry.seq.to_string())),
            7 => assert_eq!(body_of(&entry), "after"),
            seq => assert_eq!(*body_of(&entry), seq.to_string()),
        }
    }
    let mut at_the_last = events.tail(5).await.unwrap();
    assert_eq!(take_up_to(&mut at_the_last, 5, 7).await[0].content, erased_with("6"));
}

pub async fn erasing_twice_is_fine(case: Case) {
    let events = case.log().events();
    put(&events, "a", "one").await;
    put(&events, "a", "two").await;
    for _ in 0..2 {
        events.erase(1).await.unwrap();
        assert_eq!(events.get(1).await.unwrap().unwrap().content, erased_with("one"));
    }
    assert_eq!(events.end().await.unwrap(), 2);
}

pub async fn erasing_where_nothing_stands_is_an_error(case: Case) {
    let events = case.log().events();
    put(&events, "a", "one").await;
    for seq in [0, 2, 1000] {
        assert!(events.erase(seq).await.is_err(), "position {seq}");
    }
    assert_eq!(events.end().await.unwrap(), 1);
}

pub async fn a_foreign_message_is_yielded_and_appends_go_on_around_it(case: Case) {
    let log = case.log();
    let events = log.events();
    let mut tail = events.tail(0).await.unwrap();
    put(&events, "a", "ours").await;
    let foreign = case.foreign("a", Bytes::from_static(b"\x00\xff no envelope")).await;
    assert_eq!(foreign, 2);
    assert_eq!(body_of(&events.get(2).await.unwrap().unwrap()), &b"\x00\xff no envelope"[..]);
    assert_eq!(events.last_on("a").await.unwrap().unwrap().seq, 2);
    let answer = events.try_append(&message("a", "x", "next"), Expect::Subject(1)).await;
    assert!(matches!(answer, Err(AppendError::WrongExpectation)), "{answer:?}");
    assert_eq!(settle(&*events, &message("a", "2", "next"), Expect::Subject(2)).await, Settled::Written(3));
    let seen = take_up_to(&mut tail, 0, 3).await;
    assert_eq!(bodies(&seen), [&b"ours"[..], b"\x00\xff no envelope", b"next"]);
}

// ---- streams and messages

pub async fn small_streams_are_apart_by_name(case: Case) {
    let log = case.log();
    let (one, other) = (log.stream("checkpoints").await.unwrap(), log.stream("notes").await.unwrap());
    assert_eq!(put(&one, "a", "one").await, 1);
    assert_eq!(put(&one, "a", "two").await, 2);
    assert_eq!(put(&other, "a", "three").await, 1);
    assert_eq!(log.events().end().await.unwrap(), 0);
    let again = log.stream("checkpoints").await.unwrap();
    assert_eq!(again.end().await.unwrap(), 2);
    let elsewhere = case.second().await.stream("checkpoints").await.unwrap();
    assert_eq!(bodies(&elsewhere.all_on("a", 0).await.unwrap()), [b"one", b"two"]);
}

pub async fn a_stream_keeps_to_its_naming(case: Case) {
    for name in ["", "Up", "with-dash", "a.b", "..", "a/b", "n1", "é"] {
        let answer = case.log().stream(name).await;
        assert!(matches!(answer, Err(LogError::Unsuitable(_))), "{name:?}: {answer:?}");
    }
}

pub async fn messages_come_back_whole(case: Case) {
    let log = case.log();
    let wire = log.wire();
    let noise = |size: usize| {
        let mut state = size as u32;
        let draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(draw).take(size).collect::<Bytes>()
    };
    let headers = |pairs: &[(&str, &str)]| -> Headers {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let sent = [
        (Headers::new(), Bytes::new()),
        (Headers::new(), Bytes::from_static(b"\0\r\n\xff\xfe")),
        (headers(&[("Edition", "1"), ("Title", "Überschrift – 日本語 🗞"), ("Empty", "")]), noise(1)),
        (headers(&[("Edition", "2")]), noise(512 * 1024)),
        (headers(&[("b", "1"), ("a", "2"), ("C-d", "with: colon, comma")]), noise(4096)),
    ];
    for (number, (headers, body)) in sent.iter().enumerate() {
        let message = Message {
            subject: "world".into(),
            id: format!("id-{number}"),
            headers: headers.clone(),
            body: body.clone(),
        };
        let settled = settle(&*wire, &message, Expect::Stream(number as Seq)).await;
        assert_eq!(settled, Settled::Written(number as Seq + 1));
    }
    let by_tail = take_up_to(&mut wire.tail(0).await.unwrap(), 0, sent.len() as Seq).await;
    let by_subject = wire.all_on("world", 0).await.unwrap();
    for (number, (headers, body)) in sent.into_iter().enumerate() {
        let whole = Content::Message { headers, body };
        let by_position = wire.get(number as Seq + 1).await.unwrap().unwrap();
        assert_eq!(by_position.content, whole, "message {number}");
        assert_eq!(by_tail[number], by_position);
        assert_eq!(by_subject[number], by_position);
    }
}

pub async fn what_no_log_takes_is_refused_and_changes_nothing(case: Case) {
    let events = case.log().events();
    for subject in ["", "a b", "a..b", ".a", "a*", ">", "é"] {
        let answer = events.try_append(&message(subject, "1", "one"), Expect::Stream(0)).await;
        assert!(matches!(answer, Err(AppendError::Refused(_))), "{subject:?}: {answer:?}");
    }
    for (name, value) in [("", "v"), ("a\nb", "v"), ("a", "v\r\nInjected: 1")] {
        let mut message = message("a", "1", "one");
        message.headers.push((name.into(), value.into()));
        let answer = events.try_append(&message, Expect::Stream(0)).await;
        assert!(matches!(answer, Err(AppendError::Refused(_))), "{name:?}: {answer:?}");
    }
    assert_eq!(events.end().await.unwrap(), 0);
}

pub async fn times_are_the_logs_and_in_microseconds(case: Case) {
    let log = case.log();
    let events = log.events();
    let skew = log.skew().await.unwrap();
    assert!(skew.num_seconds().abs() < 5, "{skew}");
    let before = log.clock().now();
    let seq = put(&events, "a", "one").await;
    let after = log.clock().now();
    let time = events.get(seq).await.unwrap().unwrap().time;
    let leeway = chrono::TimeDelta::seconds(5);
    assert!(before - leeway <= time && time <= after + leeway, "{before} {time} {after}");
    assert_eq!(time.timestamp_subsec_nanos() % 1000, 0, "{time}");
    assert_eq!(before.timestamp_subsec_nanos() % 1000, 0, "{before}");
}

// ---- keys and cursors

pub async fn keys_are_set_where_they_stand_as_expected(case: Case) {
    let keys = case.log().keys();
    assert_eq!(keys.get("a").await.unwrap(), None);
    let first = keys.put("a", 0, "one".into()).await.unwrap();
    assert_eq!(keys.get("a").await.unwrap(), Some((first, "one".into())));
    assert!(matches!(keys.put("a", 0, "x".into()).await, Err(KeyError::Conflict)));
    let second = keys.put("a", first, "two".into()).await.unwrap();
    assert!(matches!(keys.put("a", first, "x".into()).await, Err(KeyError::Conflict)));
    // The same value again is another's all the same.
    assert!(matches!(keys.put("a", first, "two".into()).await, Err(KeyError::Conflict)));
    assert_eq!(case.second().await.keys().get("a").await.unwrap(), Some((second, "two".into())));
    assert_eq!(keys.get("b").await.unwrap(), None);
    assert!(matches!(keys.put("not a key", 0, "x".into()).await, Err(KeyError::Refused(_))));
}

pub async fn a_key_removed_can_be_set_again(case: Case) {
    let keys = case.log().keys();
    let first = keys.put("a", 0, "one".into()).await.unwrap();
    assert!(matches!(keys.remove("a", 0).await, Err(KeyError::Conflict)));
    keys.remove("a", first).await.unwrap();
    assert_eq!(keys.get("a").await.unwrap(), None);
    assert!(matches!(keys.put("a", first, "x".into()).await, Err(KeyError::Conflict)));
    let again = keys.put("a", 0, "two".into()).await.unwrap();
    assert_eq!(keys.get("a").await.unwrap(), Some((again, "two".into())));
}

pub async fn racing_on_a_key_has_one_winner(case: Case) {
    let logs = [case.log(), case.second().await];
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..8 {
        let keys = logs[racer % 2].keys();
        racers.spawn(async move { keys.put("lease", 0, "taken".into()).await });
    }
    let (mut won, mut lost) = (0, 0);
    while let Some(outcome) = within(racers.join_next()).await {
        match outcome.unwrap() {
            Ok(_) => won += 1,
            Err(KeyError::Conflict) => lost += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((won, lost), (1, 7));
}

pub async fn a_shared_cursor_moves_forward_only_from_where_it_was_seen(case: Case) {
    let cursor = Cursor::new(case.log().keys(), "wire");
    let shared = Cursor::new(case.second().await.keys(), "wire");
    assert_eq!(cursor.get().await.unwrap(), 0);
    cursor.advance(0, 5).await.unwrap();
    assert_eq!(shared.get().await.unwrap(), 5);
    assert!(matches!(shared.advance(0, 7).await, Err(KeyError::Conflict)));
    shared.advance(5, 7).await.unwrap();
    cursor.advance(7, 7).await.unwrap();
    assert!(matches!(cursor.advance(5, 9).await, Err(KeyError::Conflict)));
    assert!(matches!(cursor.advance(7, 6).await, Err(KeyError::Backwards { .. })));
    assert_eq!(cursor.get().await.unwrap(), 7);
    assert_eq!(Cursor::new(case.log().keys(), "feed").get().await.unwrap(), 0);
}

// ---- restarts

pub async fn identity_stays_over_a_restart_and_differs_between_logs(case: Case) {
    let identity = case.log().identity();
    assert_ne!(case.other().await.identity(), identity);
    assert_eq!(case.second().await.identity(), identity);
    assert_eq!(case.log().identity(), identity);
    let Some(case) = case.reopen().await else { return };
    assert_eq!(case.log().identity(), identity);
}

pub async fn everything_is_there_after_a_restart(case: Case) {
    let log = case.log();
    for number in 0..20 {
        put(&log.events(), &format!("a{}", number % 3), format!("event {number}")).await;
    }
    put(&log.wire(), "world", "edition").await;
    put(&log.stream("checkpoints").await.unwrap(), "a", "checkpoint").await;
    let revision = log.keys().put("a", 0, "value".into()).await.unwrap();
    let before = take_up_to(&mut log.events().tail(0).await.unwrap(), 0, 20).await;
    drop(log);
    let Some(case) = case.reopen().await else { return };
    let log = case.log();
    assert_eq!(take_up_to(&mut log.events().tail(0).await.unwrap(), 0, 20).await, before);
    assert_eq!(log.events().last_on("a1").await.unwrap().unwrap().seq, 20);
    assert_eq!(log.events().all_on("a0", 0).await.unwrap().len(), 7);
    assert_eq!(log.wire().end().await.unwrap(), 1);
    assert_eq!(log.stream("checkpoints").await.unwrap().end().await.unwrap(), 1);
    assert_eq!(log.keys().get("a").await.unwrap(), Some((revision, "value".into())));
    assert_eq!(put(&log.events(), "a1", "one more").await, 21);
}

// ---- the log in memory

mod in_memory {
    use std::sync::atomic::{AtomicU64, Ordering};

    use copydesk::log::memory::MemoryLog;

    use super::*;

    static NEXT_SEED: AtomicU64 = AtomicU64::new(1);

    pub struct MemoryHarness {
        log: Arc<MemoryLog>,
    }

    impl MemoryHarness {
        pub fn open() -> Option<Self> {
            let log = Arc::new(MemoryLog::new(NEXT_SEED.fetch_add(1, Ordering::Relaxed)));
            Some(Self { log })
        }
    }

    #[async_trait]
    impl Harness for MemoryHarness {
        fn log(&self) -> Arc<dyn Log> {
            Arc::clone(&self.log) as Arc<dyn Log>
        }
        async fn second(&self) -> Arc<dyn Log> {
            Arc::new(self.log.handle())
        }
        async fn other(&self) -> Arc<dyn Log> {
            Arc::new(MemoryLog::new(NEXT_SEED.fetch_add(1, Ordering::Relaxed)))
        }
        async fn reopen(self: Box<Self>) -> Option<Box<dyn Harness>> {
            None
        }
    }

    log_contract!(memory, MemoryHarness::open());
}
