//! Reading a stream in order and without a gap, over reconnects and changes of leader.
//!
//! A **pull** is a short-lived consumer of our own that pulls ahead: enough requests are open that the server
//! never waits for us while catching up, and never sends more than is asked for. The consumer numbers what it
//! delivers, so a delivery that got lost on the way is told from a message that was deleted: a jump in the
//! consumer's own number means starting anew from the last position yielded; a jump in positions alone means
//! that those messages are gone, and each yields what is left of it.
//!
//! A consumer never says that the *last* messages of a stream were deleted: nothing follows that would show the
//! hole. So when it has delivered everything, and whenever nothing has come for a while, the end is asked for
//! and what lacks up to there is read by position.
//!
//! A new consumer also looks whether the log is still the one it was: an end before what was yielded, or another
//! message at the last position, means that the server lost its tail.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use futures::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::JetStream;
use super::api::{Ask, Failure, Place, Raw, nanos, place};
use super::headers::delivered_headers;
use crate::log::{Content, Entry, LogError, Seq, TAIL_GROUP};

/// How many messages one request asks for; two are kept open.
const PULL_MESSAGES: u64 = 2048;
/// How many bytes one request asks for; more where the server takes messages that would not fit.
const PULL_BYTES: usize = 8 * 1024 * 1024;
/// How long a request stays open.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// How often the server says that it is there while there is nothing to deliver.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Without a sign for so long, the consumer counts as gone.
const SILENCE: Duration = Duration::from_millis(2500);
/// How often a quiet tail looks whether the connection is still the same.
const TICK: Duration = Duration::from_millis(200);
/// How often a quiet tail asks for the stream's end.
const END_CHECK: Duration = Duration::from_secs(5);
/// How long the server keeps a consumer that nobody asks anything of.
const INACTIVE: Duration = Duration::from_secs(60);
/// How long a tail tries to find the stream again before it gives up.
const REVIVAL: Duration = Duration::from_secs(30);
/// How long it waits between two tries.
const REVIVAL_PAUSE: Duration = Duration::from_millis(100);

/// While one group follows the other, how long is waited for more to join it: to wake for each message by itself costs
/// more than to take it in. A message that comes after a pause is handed on at once, and so are single ones.
const GATHER: Duration = Duration::from_millis(1);

/// What a pull brought.
enum Pulled {
    /// A message and where it stands.
    Message(Place, Message),
    /// Nothing now.
    Quiet,
    /// The consumer is gone, or a delivery got lost.
    Broken(String),
}

/// A consumer of our own, and the requests it still has to answer.
#[derive(Debug)]
struct Pull {
    raw: Raw,
    consumer: String,
    inbox: String,
    subscriber: Subscriber,
    /// How many messages have been asked for and not come.
    open: u64,
    delivered: u64,
    heard: Instant,
    /// How often the connection had been made when this began.
    connects: u64,
    /// How many messages there were to deliver at the beginning.
    pending: u64,
}

impl Pull {
    /// A consumer from a position on, of one subject or all.
    async fn start(raw: &Raw, from: Seq, filter: Option<&str>) -> Result<Self, Failure> {
        let connects = raw.connects();
        let consumer = format!("copydesk-{}", uuid::Uuid::new_v4().simple());
        let mut config = json!({
            "name": consumer,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": from.max(1),
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_deliver": 1,
            "mem_storage": true,
            "num_replicas": 1,
            "inactive_threshold": nanos(INACTIVE),
        });
        let mut rest = format!(".{consumer}");
        if let (Some(filter), Some(config)) = (filter, config.as_object_mut()) {
            let filter = raw.full(filter);
            rest.push('.');
            rest.push_str(&filter);
            config.insert("filter_subject".into(), filter.into());
        }
        let request = json!({ "stream_name": &*raw.name, "config": config });
        #[derive(serde::Deserialize)]
        struct Made {
            #[serde(default)]
            num_pending: u64,
        }
        let inbox = raw.client.new_inbox();
        let subscriber =
            raw.client.subscribe(inbox.clone()).await.map_err(|e| Failure::Silent(e.to_string()))?;
        let made: Made = raw.api("CONSUMER.CREATE", &rest, &request).await?;
        let mut pull = Self {
            raw: raw.clone(),
            consumer,
            inbox,
            subscriber,
            open: 0,
            delivered: 0,
            heard: Instant::now(),
            connects,
            pending: made.num_pending,
        };
        pull.ask().await?;
        Ok(pull)
    }

    /// Keeps between one and two requests' worth of messages asked for.
    async fn ask(&mut self) -> Result<(), Failure> {
        while self.open <= PULL_MESSAGES {
            let request = json!({
                "batch": PULL_MESSAGES,
                "max_bytes": PULL_BYTES.max(2 * self.raw.client.max_payload()),
                "expires": nanos(PULL_EXPIRES),
                "idle_heartbeat": nanos(HEARTBEAT),
            });
            let subject = format!("{}.CONSUMER.MSG.NEXT.{}.{}", self.raw.api, self.raw.name, self.consumer);
            self.raw
                .client
                .publish_with_reply(subject, self.inbox.clone(), request.to_string().into())
                .await
                .map_err(|e| Failure::Silent(e.to_string()))?;
            self.open += PULL_MESSAGES;
        }
        Ok(())
    }

    /// The next message, if one is there already.
    fn ready(&mut self) -> Option<Pulled> {
        loop {
            // Without tokio's budget, which would end a group after some hundred messages.
            let next = tokio::task::unconstrained(self.subscriber.next()).now_or_never()?;
            if let Some(pulled) = self.take(next) {
                return Some(pulled);
            }
        }
    }

    /// The next message, or `Quiet` after a tick without one.
    async fn next(&mut self) -> Pulled {
        if let Err(failure) = self.ask().await {
            return Pulled::Broken(failure.to_string());
        }
        match tokio::time::timeout(TICK, self.subscriber.next()).await {
            Ok(message) => self.take(message).unwrap_or(Pulled::Quiet),
            Err(_) if self.raw.connects() != self.connects => Pulled::Broken("reconnected".into()),
            Err(_) if self.heard.elapsed() > SILENCE => Pulled::Broken("no sign of the consumer".into()),
            Err(_) => Pulled::Quiet,
        }
    }

    /// Sorts what came; `None` for what only keeps the books.
    fn take(&mut self, message: Option<Message>) -> Option<Pulled> {
        let Some(message) = message else {
            return Some(Pulled::Broken("the connection is closed".into()));
        };
        self.heard = Instant::now();
        if let Some(place) = message.reply.as_deref().and_then(place) {
            // Whatever its headers say of a status: it was delivered, so it stands in the stream.
            self.open = self.open.saturating_sub(1);
            self.delivered += 1;
            if place.delivered != self.delivered {
                return Some(Pulled::Broken(format!("a delivery before position {} got lost", place.seq)));
            }
            return Some(Pulled::Message(place, message));
        }
        match message.status? {
            StatusCode::OK | StatusCode::IDLE_HEARTBEAT => None,
            // The end of one request: by time, by bytes, or because it was answered in full.
            status if is_request_end(status, message.description.as_deref()) => {
                let unanswered = message
                    .headers
                    .as_ref()
                    .and_then(|h| h.get("Nats-Pending-Messages"))
                    .and_then(|n| n.as_str().parse().ok());
                self.open = self.open.saturating_sub(unanswered.unwrap_or(PULL_MESSAGES));
                None
            }
            status => {
                let why = message.description.as_deref().unwrap_or("gone");
                Some(Pulled::Broken(format!("{status} {why}")))
            }
        }
    }

    fn entry(&self, place: Place, message: Message) -> Entry {
        Entry {
            seq: place.seq,
            subject: self.raw.short(&message.subject).to_owned(),
            time: place.time,
            content: Content::Message {
                headers: delivered_headers(message.headers.as_ref()),
                body: message.payload,
            },
        }
    }

    /// Tells the server that the consumer is done with. Where that fails, it forgets it by itself.
    async fn stop(self) {
        #[derive(serde::Deserialize)]
        struct Done {}
        let rest = format!(".{}", self.consumer);
        if let Err(failure) = self.raw.api::<Done>("CONSUMER.DELETE", &rest, &Value::Null).await {
            tracing::debug!(consumer = self.consumer, %failure, "a consumer is left to expire");
        }
    }
}

/// Whether a status ends one pull request and leaves the consumer as it is.
fn is_request_end(status: StatusCode, description: Option<&str>) -> bool {
    match status.as_u16() {
        404 | 408 => true,
        409 => matches!(description, Some("Batch Completed" | "Message Size Exceeds MaxBytes")),
        _ => false,
    }
}

/// The messages on a subject from `from` to `upto`, by a consumer. Where it breaks off, those before.
pub(super) async fn messages_on(
    raw: &Raw,
    subject: &str,
    from: Seq,
    upto: Seq,
) -> Result<Vec<Entry>, LogError> {
    let mut pull = Pull::start(raw, from, Some(subject)).await.map_err(|f| raw.unavailable(&f))?;
    let mut left = pull.pending;
    let mut entries = Vec::new();
    while left > 0 {
        match pull.next().await {
            Pulled::Message(place, _) if place.seq > upto => break,
            Pulled::Message(place, message) => {
                left = place.pending;
                entries.push(pull.entry(place, message));
            }
            // What it still counted was deleted meanwhile, or the server is slow: the caller looks for itself.
            Pulled::Quiet => break,
            Pulled::Broken(why) => {
                tracing::debug!(stream = &*raw.name, why, "a consumer broke off");
                return Ok(entries);
            }
        }
    }
    pull.stop().await;
    Ok(entries)
}

/// A tail of a stream.
#[derive(Debug)]
pub(super) struct Tail {
    stream: JetStream,
    pull: Option<Pull>,
    /// The last position yielded or waiting in `ready`.
    last: Seq,
    /// The last message yielded, by which the log is recognised after a break.
    mark: Option<(Seq, chrono::DateTime<chrono::Utc>)>,
    /// Entries that wait to be yielded.
    ready: VecDeque<Entry>,
    /// The stream's end when the consumer was made, until everything up to there has come.
    end: Option<Seq>,
    /// Whether the consumer has delivered everything that was there when it was made.
    is_all_delivered: bool,
    /// After which position the last consumer began.
    began: Option<Seq>,
    /// When the end was last compared.
    compared: Instant,
    /// When the last message of the last group came.
    came: Instant,
    /// How many the last group had.
    gathered: usize,
}

impl Tail {
    /// A tail from after a position; asks the leader, so that what is wrong is said at once.
    pub(super) async fn start(stream: JetStream, after: Seq) -> Result<Self, LogError> {
        let mut tail = Self {
            stream,
            pull: None,
            last: after,
            mark: None,
            ready: VecDeque::new(),
            end: None,
            is_all_delivered: false,
            began: None,
            compared: Instant::now(),
            came: Instant::now(),
            gathered: 0,
        };
        tail.connect().await?;
        Ok(tail)
    }

    /// The next group: what is there, at least one and at most [`TAIL_GROUP`] entries.
    pub(super) async fn group(&mut self) -> Result<Vec<Entry>, LogError> {
        while self.ready.is_empty() {
            match self.advance().await {
                // The stream can't be asked: it is looked for again, from the last entry.
                Err(LogError::Unavailable(why)) => self.lose(&why),
                done => done?,
            }
            if self.pull.is_none() && self.ready.is_empty() {
                self.revive().await?;
            }
        }
        let count = self.ready.len().min(TAIL_GROUP);
        Ok(self.ready.drain(..count).collect())
    }

    /// Waits for a message or a tick, and takes what else is there.
    async fn advance(&mut self) -> Result<(), LogError> {
        if self.is_all_delivered
            && let Some(end) = self.end.take()
        {
            return self.fill(end).await;
        }
        let Some(pull) = &mut self.pull else { return Ok(()) };
        match pull.next().await {
            Pulled::Quiet => return self.quiet().await,
            Pulled::Broken(why) => self.lose(&why),
            Pulled::Message(place, message) => {
                let entry = pull.entry(place, message);
                self.accept(place, entry).await?;
            }
        }
        if self.came.elapsed() < 2 * GATHER && self.gathered > 1 {
            tokio::time::sleep(GATHER).await;
        }
        while self.ready.len() < TAIL_GROUP
            && let Some(pull) = &mut self.pull
            && let Some(pulled) = pull.ready()
        {
            match pulled {
                Pulled::Quiet => {}
                Pulled::Broken(why) => self.lose(&why),
                Pulled::Message(place, message) => {
                    let entry = pull.entry(place, message);
                    self.accept(place, entry).await?;
                }
            }
        }
        self.came = Instant::now();
        self.gathered = self.ready.len();
        Ok(())
    }

    /// Puts an entry in line, after whatever is left of the messages before it.
    async fn accept(&mut self, place: Place, entry: Entry) -> Result<(), LogError> {
        if place.pending == 0 {
            self.is_all_delivered = true;
        }
        if entry.seq <= self.last {
            return Ok(());
        }
        if entry.seq > self.last + 1 {
            self.stream.refresh().await?;
            let gone = (self.last + 1..entry.seq).map(|seq| self.stream.left_of(seq));
            self.ready.extend(gone);
        }
        self.last = entry.seq;
        self.mark = Some((entry.seq, entry.time));
        self.ready.push_back(entry);
        Ok(())
    }

    /// Reads by position what the consumer did not bring.
    async fn fill(&mut self, end: Seq) -> Result<(), LogError> {
        while self.last < end && self.ready.len() < TAIL_GROUP {
            let seq = self.last + 1;
            let Some(entry) = self.stream.read(seq).await? else { return Ok(()) };
            if matches!(entry.content, Content::Message { .. }) {
                self.mark = Some((seq, entry.time));
            }
            self.last = seq;
            self.ready.push_back(entry);
        }
        if self.last < end {
            self.end = Some(end);
        }
        Ok(())
    }

    /// Nothing has come for a tick.
    async fn quiet(&mut self) -> Result<(), LogError> {
        if self.compared.elapsed() < END_CHECK {
            return Ok(());
        }
        self.compared = Instant::now();
        let end = self.stream.raw.end().await?;
        if end > self.last {
            self.fill(end).await?;
            // Had the consumer been well, it would have brought what was there.
            if self.ready.iter().any(|e| matches!(e.content, Content::Message { .. })) {
                self.lose("the consumer fell behind");
            }
        }
        Ok(())
    }

    /// Gives the consumer up.
    fn lose(&mut self, why: &str) {
        tracing::debug!(stream = &*self.stream.raw.name, after = self.last, why, "a tail starts anew");
        self.pull = None;
    }

    /// Finds the stream again.
    async fn revive(&mut self) -> Result<(), LogError> {
        let deadline = Instant::now() + REVIVAL;
        if self.compared.elapsed() < REVIVAL_PAUSE {
            tokio::time::sleep(REVIVAL_PAUSE).await;
        }
        loop {
            match self.connect().await {
                Err(LogError::Unavailable(why)) if Instant::now() < deadline => {
                    tracing::debug!(stream = &*self.stream.raw.name, why, "a tail waits for its stream");
                    tokio::time::sleep(REVIVAL_PAUSE).await;
                }
                done => return done,
            }
        }
    }

    /// Makes a consumer from after the last position, if the stream is still the one it was.
    async fn connect(&mut self) -> Result<(), LogError> {
        let raw = &self.stream.raw;
        let end = raw.end().await?;
        if end < self.last {
            return Err(LogError::LostTail(format!(
                "stream {} ends at {end}, and {} was read from it before",
                raw.name, self.last
            )));
        }
        if let Some((seq, time)) = self.mark
            && let Some(there) = raw.get(Ask::At(seq)).await?
            && there.time != time
        {
            return Err(LogError::LostTail(format!(
                "stream {}: at {seq} stands a message of {}, where one of {time} was read before",
                raw.name, there.time
            )));
        }
        // The consumer before this one brought nothing, though there was something: the client library gives up
        // a connection on which a message with malformed headers comes. Read by position, it does no harm.
        if self.began == Some(self.last)
            && end > self.last
            && let Some(entry) = self.stream.read(self.last + 1).await?
        {
            self.last = entry.seq;
            self.ready.push_back(entry);
        }
        let raw = &self.stream.raw;
        let pull = Pull::start(raw, self.last + 1, None).await.map_err(|f| raw.unavailable(&f))?;
        self.began = Some(self.last);
        self.end = (end > self.last).then_some(end);
        self.is_all_delivered = pull.pending == 0;
        self.compared = Instant::now();
        self.pull = Some(pull);
        Ok(())
    }
}

/// A tail as a stream of groups that ends with its first error.
pub(super) fn groups(
    tail: Tail,
) -> impl futures::Stream<Item = Result<Vec<Entry>, LogError>> + Send + 'static {
    futures::stream::unfold(Some(tail), |tail| async {
        let mut tail = tail?;
        match tail.group().await {
            Ok(group) => Some((Ok(group), Some(tail))),
            Err(error) => Some((Err(error), None)),
        }
    })
}
