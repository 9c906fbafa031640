//! Server-sent events (WHATWG HTML, 9.2): a reader follows a line, from now on or from after what they had last.
//!
//! A **line** is a stream of the log as one kind of reader may see it: [`editions`] for everybody, [`moves`] for staff.
//! Who follows one listens first and then reads what was before up to where the fold stands, so nothing falls between
//! the two. What is new is made once and handed to all as the same bytes.
//!
//! A reader who doesn't keep up loses places in the queue of what is new. Then the connection ends: the reader's
//! software comes back by itself with the last id that it had, and the rest is read from the log. One who is reading
//! up on the past goes on doing so instead. A connection that takes nothing at all is ended by the system
//! ([`super::server`]).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use copydesk_article::problem::{Code, Problem};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};

use super::Gateway;
use crate::log::{Entry, LogError, Seq, Stream};
use crate::tokens::Pass;

pub mod editions;
pub(super) mod moves;

/// How many readers may follow lines at once; the others are told that it is `busy`.
pub const FOLLOWERS: usize = 8192;
/// How many of those places are kept for staff.
const STAFF: usize = 512;
/// How many entries are read from the log at once for those who read what was before; the others wait for their turn.
const READING: usize = 64;
/// How many entries each of them reads ahead.
const AHEAD: usize = 2;
/// How many may be on their way through what was before; the others wait until one of them is done. Each keeps the
/// entries read ahead and what the connection takes before it is sent ([`super::server`]).
const CATCHING_UP: usize = 1024;
/// How many of the staff may: they keep what they fold on the way, a few megabytes each.
const FOLDING: usize = 32;
/// How long a reader has their turn before another has one, and they wait for the next: who takes nothing, or a little now
/// and then, would keep it for as long as they like.
const LONGEST_TURN: Duration = Duration::from_secs(5);
/// How often a reader hears something, so that neither side takes the other for gone: an id without an event, where there is
/// one that they haven't had. Of what they ask for there may be nothing for hours, and who had no id comes back from now on.
const BEAT: Duration = Duration::from_secs(15);
/// What opens a stream: how long a reader's software waits before it comes back, in milliseconds.
const OPENING: &str = "retry: 2000\n\n";
/// A comment, which readers' software passes over.
const HEARTBEAT: &[u8] = b":\n\n";

/// The places for those who follow lines, and the turns to read what was before.
#[derive(Debug, Clone)]
pub struct Followers {
    readers: Arc<Semaphore>,
    staff: Arc<Semaphore>,
    reading: Arc<Semaphore>,
    catching_up: Arc<Semaphore>,
    folding: Arc<Semaphore>,
}

impl Default for Followers {
    fn default() -> Self {
        let places = [FOLLOWERS - STAFF, STAFF, READING, CATCHING_UP, FOLDING];
        let [readers, staff, reading, catching_up, folding] =
            places.map(|most| Arc::new(Semaphore::new(most)));
        Self { readers, staff, reading, catching_up, folding }
    }
}

impl Followers {
    /// How many there are.
    pub fn now(&self) -> u64 {
        let free = self.readers.available_permits() + self.staff.available_permits();
        u64::try_from(FOLLOWERS.saturating_sub(free)).unwrap_or(0)
    }

    fn place(&self, is_staff: bool) -> Result<OwnedSemaphorePermit, Problem> {
        let busy = |_| Problem::new(Code::Busy, "as many streams are open here as there may be: try again");
        let places = if is_staff { &self.staff } else { &self.readers };
        Arc::clone(places).try_acquire_owned().map_err(busy)
    }
}

/// Nothing more can be told on this connection.
struct Ended;

/// A stream of the log as a reader may see it.
#[async_trait]
trait Line: Send + Sync + 'static {
    /// What is new, as it comes to all.
    type New: Clone + Send + 'static;
    /// Whether it is for staff: they have places of their own, and keep what they fold on the way through what was before.
    const IS_STAFF: bool;

    /// Where something new stands in the stream, and what the reader is told of it, if anything.
    fn new_one(&mut self, new: &Self::New) -> Result<(Seq, Option<Bytes>), Ended>;

    /// What the reader is told of something that was there before.
    async fn old_one(&mut self, old: Entry) -> Result<Option<Bytes>, Ended>;

    /// The stream.
    fn entries(&self) -> Arc<dyn Stream>;

    /// How far the stream is folded: what stands further on comes as something new.
    fn folded(&self) -> Seq;

    /// The id that stands for everything up to what a reader has seen; 0 where there is none.
    fn id(&self, seen: Seq) -> Seq;

    /// That it is folded as far as it was once.
    fn is_whole(&self) -> Result<(), Ended>;

    /// What to do once a reader's turn is over, whether or not they go on: throw away what they keep.
    fn at_the_end_of_a_turn(&self) -> impl FnOnce() + Send + 'static {
        || {}
    }
}

/// What was before, as it is read.
struct Past {
    stream: Arc<dyn Stream>,
    /// The next position, and the last.
    next: Seq,
    last: Seq,
    reading: Arc<Semaphore>,
    /// Where the reader's turns come from.
    turns: Arc<Semaphore>,
    /// The reader's turn, from when they wait for it: a task of its own, for nobody goes on with a reader who takes nothing.
    turn: Option<Own<()>>,
    ahead: Arc<Ahead>,
}

/// What is read from the next position on, for as long as the reader's turn lasts, and who is to hear of it.
#[derive(Default)]
struct Ahead {
    entries: Mutex<Option<Entries>>,
    begun: Notify,
}

type Entries = BoxStream<'static, Result<Option<Entry>, LogError>>;

/// A task that ends with whoever it is for.
struct Own<T>(JoinHandle<T>);

impl<T> Drop for Own<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Past {
    fn new<L: Line>(line: &L, range: RangeInclusive<Seq>, followers: &Followers) -> Self {
        let turns = if L::IS_STAFF { &followers.folding } else { &followers.catching_up };
        Self {
            stream: line.entries(),
            next: *range.start(),
            last: *range.end(),
            reading: Arc::clone(&followers.reading),
            turns: Arc::clone(turns),
            turn: None,
            ahead: Arc::default(),
        }
    }

    /// One by one, and not in the log's groups: those are megabytes.
    fn entries(&self) -> Entries {
        let (entries, reading) = (Arc::clone(&self.stream), Arc::clone(&self.reading));
        let read = move |seq| {
            let (entries, reading) = (Arc::clone(&entries), Arc::clone(&reading));
            // On a task of its own: of a reader who takes nothing nobody would go on with it, and it would keep its
            // turn, here or in the log, for as long as they like.
            let mut read = Own(tokio::spawn(async move {
                // Never closed.
                let _turn = reading.acquire_owned().await.ok();
                entries.get(seq).await
            }));
            async move { (&mut read.0).await.unwrap_or_else(|gone| Err(LogError::Unavailable(gone.to_string()))) }
        };
        stream::iter(self.next..=self.last).map(read).buffered(AHEAD).boxed()
    }

    /// The next entry; none at the end.
    async fn next<L: Line>(&mut self, line: &L) -> Option<Result<Option<Entry>, LogError>> {
        loop {
            let Some(turn) = &mut self.turn else {
                self.wait_for_turn(line);
                continue;
            };
            let next = future::poll_fn(|cx| match self.ahead.entries().as_mut() {
                Some(entries) => entries.poll_next_unpin(cx),
                None => Poll::Pending,
            });
            tokio::select! {
                biased;
                next = next => {
                    self.next += 1;
                    return next;
                }
                _ = &mut turn.0 => self.turn = None,
                () = self.ahead.begun.notified() => {}
            }
        }
    }

    /// Takes a place among those who wait for a turn.
    fn wait_for_turn<L: Line>(&mut self, line: &L) {
        let (turns, ahead) = (Arc::clone(&self.turns), Arc::clone(&self.ahead));
        let (entries, end) = (self.entries(), line.at_the_end_of_a_turn());
        self.turn = Some(Own(tokio::spawn(async move {
            // Never closed.
            let turn = turns.acquire_owned().await;
            *ahead.entries() = Some(entries);
            ahead.begun.notify_one();
            tokio::time::sleep(LONGEST_TURN).await;
            *ahead.entries() = None;
            end();
            drop(turn);
        })));
    }
}

impl Ahead {
    fn entries(&self) -> MutexGuard<'_, Option<Entries>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of waiting.
enum Came<N> {
    Old(Option<Result<Option<Entry>, LogError>>),
    New(Result<N, RecvError>),
}

/// A reader who follows a line.
struct Follower<L: Line> {
    line: L,
    new: broadcast::Receiver<L::New>,
    past: Option<Past>,
    followers: Followers,
    /// The last position that is done with.
    seen: Seq,
    /// Whether something new was told already.
    is_up_to_date: bool,
    ready: VecDeque<Bytes>,
    /// The id that the reader had last of those that came without an event.
    had: Seq,
    beat: Interval,
    closing: watch::Receiver<bool>,
    /// The token by which the reader came, where one was needed.
    pass: Option<Pass>,
    _place: OwnedSemaphorePermit,
}

/// Follows a line from after a position in its stream; from now on where there is none. `new` must have been
/// subscribed to before. It ends with the token by which the reader came.
fn follow<L: Line>(
    gateway: &Gateway,
    line: L,
    new: broadcast::Receiver<L::New>,
    after: Option<Seq>,
    pass: Option<Pass>,
) -> Result<Response, Problem> {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once; the opening stands in its place.
    beat.reset();
    let folded = line.folded();
    let mut follower = Follower {
        _place: gateway.followers.place(L::IS_STAFF)?,
        closing: gateway.health.draining(),
        pass,
        new,
        past: None,
        followers: gateway.followers.clone(),
        seen: after.unwrap_or(folded),
        is_up_to_date: false,
        ready: VecDeque::from([Bytes::from_static(OPENING.as_bytes())]),
        had: 0,
        beat,
        line,
    };
    let cleared =
        |Ended| Problem::new(Code::Behind, "all is being folded anew here: try again, or ask another");
    follower.catch_up().map_err(cleared)?;
    let told = stream::unfold(follower, |mut follower| async {
        let bytes = follower.next().await.ok()?;
        Some((Ok::<_, Infallible>(bytes), follower))
    });
    let mut response = Response::new(Body::from_stream(told));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy of nginx's kind would hold events back until it has a page of them.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

impl<L: Line> Follower<L> {
    /// Reads what was before, as far as the fold stands, where that isn't done with.
    fn catch_up(&mut self) -> Result<(), Ended> {
        // While it is being cleared, whoever asks how far it is folded waits.
        self.line.is_whole()?;
        let folded = self.line.folded();
        // What was cleared before it was asked for says nothing of what there is.
        self.line.is_whole()?;
        let has_past = self.seen < folded;
        self.past = has_past.then(|| Past::new(&self.line, self.seen + 1..=folded, &self.followers));
        Ok(())
    }

    async fn next(&mut self) -> Result<Bytes, Ended> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Ok(bytes);
            }
            let is_reading = self.past.is_some();
            let came = tokio::select! {
                biased;
                () = told_to_close(&mut self.closing) => return Err(Ended),
                () = is_nobodys(&mut self.pass) => return Err(Ended),
                old = next_old(&mut self.past, &self.line), if is_reading => Came::Old(old),
                new = self.new.recv(), if !is_reading => Came::New(new),
                _ = self.beat.tick() => return Ok(self.heartbeat()),
            };
            match came {
                Came::Old(old) => self.tell_old(old).await?,
                Came::New(new) => self.take(new)?,
            }
        }
    }

    fn heartbeat(&mut self) -> Bytes {
        let id = self.line.id(self.seen);
        if id <= self.had {
            return Bytes::from_static(HEARTBEAT);
        }
        self.had = id;
        format!("id: {id}\n\n").into()
    }

    async fn tell_old(&mut self, old: Option<Result<Option<Entry>, LogError>>) -> Result<(), Ended> {
        match old {
            Some(Ok(Some(old))) => {
                self.seen = old.seq;
                let told = self.line.old_one(old).await?;
                self.ready.extend(told);
                Ok(())
            }
            None => {
                self.past = None;
                self.line.at_the_end_of_a_turn()();
                Ok(())
            }
            // The reader comes back and goes on where this ended.
            Some(Ok(None) | Err(_)) => Err(Ended),
        }
    }

    fn take(&mut self, new: Result<L::New, RecvError>) -> Result<(), Ended> {
        match new {
            Ok(new) => {
                let (seq, told) = self.line.new_one(&new)?;
                if seq > self.seen {
                    self.seen = seq;
                    self.is_up_to_date = true;
                    self.ready.extend(told);
                }
                Ok(())
            }
            // So much came while the past was read that some of it is past by now.
            Err(RecvError::Lagged(_)) if !self.is_up_to_date => self.catch_up(),
            Err(RecvError::Lagged(_) | RecvError::Closed) => Err(Ended),
        }
    }
}

/// The next of what was before; none at its end.
async fn next_old<L: Line>(past: &mut Option<Past>, line: &L) -> Option<Result<Option<Entry>, LogError>> {
    match past {
        Some(past) => past.next(line).await,
        None => None,
    }
}

/// Returns once the instance is about to end.
async fn told_to_close(closing: &mut watch::Receiver<bool>) {
    // The sender lives as long as the gateway.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Returns once the reader's token is nobody's any more; never for one who needed none.
async fn is_nobodys(pass: &mut Option<Pass>) {
    match pass {
        Some(pass) => pass.ended().await,
        None => std::future::pending().await,
    }
}

/// Where a reader who comes back had got to: the id of the last event that they had.
///
/// # Errors
/// `invalid` where it is none of ours: from now on would pass over what the reader lacks.
fn last_event_id(headers: &HeaderMap) -> Result<Option<Seq>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let digits = value.to_str().ok().filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
    match digits {
        Some("") => Ok(None),
        Some(id) if id.parse::<Seq>().is_ok() => Ok(id.parse().ok()),
        _ => Err(Problem::invalid(
            "Last-Event-ID",
            "Last-Event-ID: expected the id of an event of this stream",
        )),
    }
}

/// An event as it is sent; `data` has no line ends.
fn event(id: Seq, name: Option<&str>, data: &[u8]) -> Bytes {
    let name = name.map(|name| format!("event: {name}\n")).unwrap_or_default();
    // At its length: it is kept for as long as the slowest reader takes.
    [format!("id: {id}\n").as_bytes(), name.as_bytes(), b"data: ", data, b"\n\n"].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::segments::Options;
    use crate::log::{Expect, Message};

    struct Events(Arc<dyn Stream>);

    #[async_trait]
    impl Line for Events {
        type New = ();
        const IS_STAFF: bool = false;

        fn new_one(&mut self, (): &()) -> Result<(Seq, Option<Bytes>), Ended> {
            Err(Ended)
        }

        async fn old_one(&mut self, _: Entry) -> Result<Option<Bytes>, Ended> {
            Ok(None)
        }

        fn entries(&self) -> Arc<dyn Stream> {
            Arc::clone(&self.0)
        }

        fn folded(&self) -> Seq {
            2
        }

        fn id(&self, seen: Seq) -> Seq {
            seen
        }

        fn is_whole(&self) -> Result<(), Ended> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn who_goes_on_with_nothing_keeps_no_turn_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let log = crate::service::open_embedded_log(folder.path(), Options::default()).unwrap();
        for seq in 0..2 {
            let (subject, id) = ("a".into(), seq.to_string());
            let message = Message { subject, id, headers: Vec::new(), body: Bytes::from_static(b"{}") };
            log.events().try_append(&message, Expect::Stream(seq)).await.unwrap();
        }
        let (line, followers) = (Events(log.events()), Followers::default());
        let mut idle: Vec<Past> = (0..200).map(|_| Past::new(&line, 1..=2, &followers)).collect();
        for past in &mut idle {
            let _ = futures::poll!(std::pin::pin!(past.next(&line)));
        }
        let long = Duration::from_secs(20);
        let ahead: Vec<Arc<Ahead>> = idle.iter().map(|past| Arc::clone(&past.ahead)).collect();
        let kept = || ahead.iter().filter(|ahead| ahead.entries().is_some()).count();
        let until = async |enough: fn(usize) -> bool| {
            let looking = async {
                while !enough(kept()) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(long, looking).await.unwrap();
        };
        until(|kept| kept > 0).await;
        // They ask for what is read ahead, and go on with none of it.
        for past in &mut idle {
            let _ = futures::poll!(std::pin::pin!(past.next(&line)));
        }
        // Sooner than a turn's end would give it back.
        let soon = LONGEST_TURN / 2;
        let all = tokio::time::timeout(soon, followers.reading.acquire_many(READING as u32)).await;
        assert!(all.unwrap().is_ok());
        let read = tokio::time::timeout(soon, log.events().get(1)).await;
        assert!(read.unwrap().unwrap().is_some());
        // Nor what was read for them, once their turn is over.
        until(|kept| kept == 0).await;
        // And whoever goes on after all misses nothing.
        let mut seen = Vec::new();
        while let Some(entry) = idle[0].next(&line).await {
            seen.push(entry.unwrap().unwrap().seq);
        }
        assert_eq!(seen, [1, 2]);
    }

    /// However often they look away.
    #[tokio::test]
    async fn who_waits_for_a_turn_keeps_their_place() {
        let log = crate::log::memory::MemoryLog::new(1);
        let (line, followers) = (Events(crate::log::Log::events(&log)), Followers::default());
        let all = Arc::clone(&followers.catching_up).acquire_many_owned(CATCHING_UP as u32).await.unwrap();
        let mut first = Past::new(&line, 1..=2, &followers);
        let mut others: Vec<Past> = (0..3).map(|_| Past::new(&line, 1..=2, &followers)).collect();
        let _ = futures::poll!(std::pin::pin!(first.next(&line)));
        for other in &mut others {
            let _ = futures::poll!(std::pin::pin!(other.next(&line)));
        }
        followers.catching_up.add_permits(1);
        let begun = first.ahead.begun.notified();
        tokio::time::timeout(Duration::from_secs(20), begun).await.expect("it is the first one's turn");
        assert!(others.iter().all(|other| other.ahead.entries().is_none()));
        // Whether or not they take anything, it ends.
        let mut turn = first.turn.take().unwrap();
        tokio::time::timeout(Duration::from_secs(20), &mut turn.0).await.unwrap().unwrap();
        drop(all);
    }

    #[test]
    fn readers_and_staff_have_places_of_their_own() {
        let followers = Followers::default();
        let taken = [(false, FOLLOWERS - STAFF), (true, STAFF)].map(|(is_staff, most)| {
            let places: Vec<_> = (0..most).map(|_| followers.place(is_staff).unwrap()).collect();
            assert_eq!(followers.place(is_staff).unwrap_err().code, Code::Busy);
            places
        });
        assert_eq!(followers.now(), FOLLOWERS as u64);
        drop(taken);
        assert_eq!(followers.now(), 0);
    }

    /// As of a server for a moment, after another took over: the reader would never hear of what stands there.
    #[tokio::test(start_paused = true)]
    async fn a_position_that_nobody_knows_is_not_passed_over() {
        let line = Events(crate::log::Log::events(&crate::log::memory::MemoryLog::new(1)));
        let (followers, (_tell, new)) = (Followers::default(), broadcast::channel(1));
        let (_close, closing) = watch::channel(false);
        let mut beat = tokio::time::interval(BEAT);
        beat.reset();
        let mut follower = Follower {
            _place: followers.place(false).unwrap(),
            closing,
            pass: None,
            new,
            past: None,
            followers,
            seen: 0,
            is_up_to_date: false,
            ready: VecDeque::new(),
            had: 0,
            beat,
            line,
        };
        assert!(follower.catch_up().is_ok() && follower.past.is_some());
        assert!(follower.next().await.is_err());
    }

    #[test]
    fn an_id_is_a_position_or_none_at_all() {
        let read = |id: &str| {
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static("last-event-id"),
                HeaderValue::from_str(id).unwrap(),
            )]);
            last_event_id(&headers).map_err(|problem| problem.code)
        };
        assert_eq!(last_event_id(&HeaderMap::new()).unwrap(), None);
        assert_eq!((read(""), read("0"), read("17")), (Ok(None), Ok(Some(0)), Ok(Some(17))));
        for bad in ["x", "-1", "+1", "1.0", "99999999999999999999999"] {
            assert_eq!(read(bad), Err(Code::Invalid), "{bad}");
        }
    }
}
