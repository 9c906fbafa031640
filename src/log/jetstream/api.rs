//! One JetStream stream by its wire protocol: publishing with expectations, and reads that only the stream's
//! leader answers.
//!
//! `async-nats` has calls for most of this; they are not used where they ask for the stream's info first, read
//! from a replica, or fold different failures into one. What an append's failure *means* is decided here, from
//! what the server said, and nowhere else.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, HeaderMap, Request, RequestError, RequestErrorKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, SubsecRound as _, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::headers::{parse_headers, to_map};
use crate::log::{Content, Entry, Headers, LogError, Seq};

/// How long the acknowledgement of a publication is awaited before its outcome counts as unknown.
pub const ACK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer of the JetStream API is awaited.
pub(super) const API_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a request that waits looks whether its connection is still there.
const CONNECTION_CHECK: Duration = Duration::from_millis(100);

/// "Stream not found".
pub(super) const STREAM_NOT_FOUND: u64 = 10_059;
/// "Stream name already in use with a different configuration".
pub(super) const STREAM_NAME_IN_USE: u64 = 10_058;
/// "No message found".
const NO_MESSAGE: u64 = 10_037;
/// "Sequence not found", for a deletion.
const NO_SEQUENCE: u64 = 10_043;

/// What the server says is wrong.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ApiError {
    #[serde(default)]
    pub code: u64,
    #[serde(default)]
    pub err_code: u64,
    #[serde(default)]
    pub description: String,
}

/// Why a request to the JetStream API brought nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server answered with an error.
    Said(ApiError),
    /// No answer, or none that can be read.
    Silent(String),
}

impl Failure {
    pub(super) fn is(&self, err_code: u64) -> bool {
        matches!(self, Self::Said(error) if error.err_code == err_code)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Said(e) => write!(f, "{} (JetStream error {})", e.description, e.err_code),
            Self::Silent(why) => f.write_str(why),
        }
    }
}

/// Why a request has no answer.
enum Unanswered {
    /// There was no connection to send it over.
    NotSent,
    /// The connection was lost while it waited.
    Cut,
    /// It took longer than this.
    TooLate(Duration),
    /// As the client library says.
    Failed(RequestError),
}

/// The API's envelope: an error beside the fields of the answer.
#[derive(Deserialize)]
struct Envelope<T> {
    error: Option<ApiError>,
    #[serde(flatten)]
    answer: Option<T>,
}

/// What `STREAM.INFO` says, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Info {
    /// The configuration as the server has it, settings unknown to this build included.
    pub config: Value,
    pub state: StreamState,
    /// The server's clock as it answered.
    pub ts: Option<DateTime<Utc>>,
}

/// The state of a stream.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct StreamState {
    /// The first position that has a message.
    #[serde(default)]
    pub first_seq: Seq,
    /// The last position ever given, deleted ones included.
    pub last_seq: Seq,
    /// Those between the two that were deleted, where that was asked for.
    #[serde(default)]
    pub deleted: Vec<Seq>,
}

#[derive(Deserialize)]
struct Got {
    message: GotMessage,
}

#[derive(Deserialize)]
struct GotMessage {
    subject: String,
    seq: Seq,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
    time: DateTime<Utc>,
}

/// What a read asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask<'a> {
    /// The message at a position.
    At(Seq),
    /// The first on a subject (wildcards allowed) at or after a position.
    Next(Seq, &'a str),
    /// The newest on a subject.
    Last(&'a str),
}

/// What a publication expects of the stream; both may be asked at once.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Guard {
    pub subject: Option<Seq>,
    pub stream: Option<Seq>,
}

/// The acknowledgement of a publication.
#[derive(Debug, Deserialize)]
pub(super) struct Ack {
    error: Option<ApiError>,
    #[serde(default)]
    pub stream: String,
    #[serde(default)]
    pub seq: Seq,
    #[serde(default)]
    pub duplicate: bool,
    /// Of a batch: its id, and how many messages it has.
    #[serde(default)]
    pub batch: String,
    #[serde(default)]
    pub count: usize,
}

/// What the failure of one publication means for the message. The table is in the head of the parent module.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Not written: the expectation does not hold, by what the server named as the last position.
    WrongLast(Option<Seq>),
    /// Not written: something else on its way stands in between; worth trying again at once.
    Busy(String),
    /// This very message, sent before, is on its way.
    InProcess(String),
    /// Not written.
    Unavailable(String),
    /// Not written, and never can be.
    Refused(String),
    /// Nobody knows.
    Unknown(String),
}

impl ApiError {
    /// What the error, as the answer to a publication, means.
    pub(super) fn means(&self) -> Meaning {
        let said = format!("{} (JetStream error {})", self.description, self.err_code);
        match self.err_code {
            10_071 => Meaning::WrongLast(last_number(&self.description)),
            10_164 => Meaning::WrongLast(None),
            10_163 => Meaning::Busy(said),
            10_158 => Meaning::InProcess(said),
            // Asked before the message is proposed to the replicas, or stored.
            10_002 | 10_023 | 10_028 | 10_047 | 10_060 | 10_109 | 10_167 => Meaning::Unavailable(said),
            10_054 | 10_097 | BATCH_HAS_DUPLICATE => Meaning::Refused(said),
            _ => Meaning::Unknown(said),
        }
    }
}

/// An atomic batch in which a message has an id that was stored within the stream's time for repeats: refused whole, before
/// anything of it is proposed or stored (ADR-50).
const BATCH_HAS_DUPLICATE: u64 = 10_201;

/// The number that ends "wrong last sequence: 17".
fn last_number(description: &str) -> Option<Seq> {
    description.rsplit(' ').next()?.parse().ok()
}

/// A stream on the server.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub client: Client,
    /// The stream's name.
    pub name: Arc<str>,
    /// What stands before our subjects, with the closing dot.
    pub prefix: Arc<str>,
    /// What the subjects of JetStream's own questions begin with.
    pub api: Arc<str>,
    /// Positions that the leader said were deleted: they stay so.
    pub deleted: Arc<Mutex<BTreeSet<Seq>>>,
}

/// What the subjects of JetStream's own questions begin with, in the account that the streams are in.
pub(super) const API: &str = "$JS.API";

impl Raw {
    /// The subject on the server.
    pub(super) fn full(&self, subject: &str) -> String {
        let mut full = String::with_capacity(self.prefix.len() + subject.len());
        full.push_str(&self.prefix);
        full.push_str(subject);
        full
    }

    /// The subject within the stream; a foreign one as it is.
    pub(super) fn short<'a>(&self, subject: &'a str) -> &'a str {
        subject.strip_prefix(&*self.prefix).unwrap_or(subject)
    }

    /// The error for a failed read.
    pub(super) fn unavailable(&self, failure: &Failure) -> LogError {
        LogError::Unavailable(format!("stream {}: {failure}", self.name))
    }

    /// How often the connection has been made.
    pub(super) fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// Sends a request and waits for its answer, no longer than the connection lasts: the answer to a request
    /// that went over a lost one does not come.
    async fn request(
        &self,
        subject: String,
        request: Request,
        patience: Duration,
    ) -> Result<async_nats::Message, Unanswered> {
        let is_connected = || self.client.connection_state() == State::Connected;
        let connects = self.connects();
        if !is_connected() {
            return Err(Unanswered::NotSent);
        }
        let begun = Instant::now();
        // One timer for both.
        let mut answer = std::pin::pin!(self.client.send_request(subject, request.timeout(None)));
        loop {
            match tokio::time::timeout(CONNECTION_CHECK.min(patience), &mut answer).await {
                Ok(answer) => return answer.map_err(Unanswered::Failed),
                Err(_) if self.connects() != connects || !is_connected() => return Err(Unanswered::Cut),
                Err(_) if begun.elapsed() >= patience => return Err(Unanswered::TooLate(patience)),
                Err(_) => {}
            }
        }
    }

    /// The headers of a publication.
    pub(super) fn headers(&self, id: &str, headers: &Headers, guard: Guard) -> HeaderMap {
        let mut map = to_map(headers);
        map.insert("Nats-Msg-Id", id);
        // Where another stream has taken our subject, it must not take our message.
        map.insert("Nats-Expected-Stream", &*self.name);
        if let Some(seq) = guard.subject {
            map.insert("Nats-Expected-Last-Subject-Sequence", seq.to_string());
        }
        if let Some(seq) = guard.stream {
            map.insert("Nats-Expected-Last-Sequence", seq.to_string());
        }
        map
    }

    /// Publishes once.
    pub(super) async fn publish(
        &self,
        subject: &str,
        id: &str,
        headers: &Headers,
        body: Bytes,
        guard: Guard,
        patience: Duration,
    ) -> Result<Ack, Meaning> {
        self.publish_with(subject, self.headers(id, headers, guard), body, patience).await
    }

    /// Publishes once with these headers. An error answer is kept apart from silence by [`Meaning`].
    pub(super) async fn publish_with(
        &self,
        subject: &str,
        headers: HeaderMap,
        body: Bytes,
        patience: Duration,
    ) -> Result<Ack, Meaning> {
        let request = Request::new().headers(headers).payload(body);
        let answer = self.request(self.full(subject), request, patience).await.map_err(|e| match e {
            Unanswered::NotSent => Meaning::Unavailable("not connected to NATS".into()),
            Unanswered::Cut => Meaning::Unknown("the connection was lost".into()),
            Unanswered::TooLate(patience) => {
                Meaning::Unknown(format!("no acknowledgement within {patience:?}"))
            }
            Unanswered::Failed(e) => match e.kind() {
                // No server has anybody listening on the subject: nobody can have stored it.
                RequestErrorKind::NoResponders => {
                    Meaning::Unavailable(format!("nobody takes messages for stream {}", self.name))
                }
                // Checked by the client before anything is sent.
                RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
                    Meaning::Refused(e.to_string())
                }
                RequestErrorKind::TimedOut | RequestErrorKind::Other => Meaning::Unknown(e.to_string()),
            },
        })?;
        let ack: Ack = serde_json::from_slice(&answer.payload)
            .map_err(|e| Meaning::Unknown(format!("an acknowledgement that can't be read: {e}")))?;
        match &ack.error {
            Some(error) => Err(error.means()),
            None if *ack.stream == *self.name && ack.seq > 0 => Ok(ack),
            None => Err(Meaning::Unknown(format!("an acknowledgement of something else: {ack:?}"))),
        }
    }

    /// Asks the JetStream API.
    pub(super) async fn api<T: DeserializeOwned>(
        &self,
        verb: &str,
        rest: &str,
        request: &Value,
    ) -> Result<T, Failure> {
        let subject = format!("{}.{verb}.{}{rest}", self.api, self.name);
        let payload = if request.is_null() { Bytes::new() } else { request.to_string().into() };
        let request = Request::new().payload(payload);
        let answer = self.request(subject, request, API_TIMEOUT).await.map_err(|e| {
            Failure::Silent(match e {
                Unanswered::NotSent => "not connected to NATS".into(),
                Unanswered::Cut => format!("no answer to {verb}: the connection was lost"),
                Unanswered::TooLate(patience) => format!("no answer to {verb} within {patience:?}"),
                Unanswered::Failed(e) if e.kind() == RequestErrorKind::NoResponders => {
                    "JetStream isn't there: the server has it not enabled (`jetstream {}` in its \
                     configuration), or not for this account, or is starting"
                        .into()
                }
                Unanswered::Failed(e) => format!("no answer to {verb}: {e}"),
            })
        })?;
        let envelope: Envelope<T> = serde_json::from_slice(&answer.payload)
            .map_err(|e| Failure::Silent(format!("an answer to {verb} that can't be read: {e}")))?;
        match envelope {
            Envelope { error: Some(error), .. } => Err(Failure::Said(error)),
            Envelope { answer: Some(answer), .. } => Ok(answer),
            Envelope { .. } => Err(Failure::Silent(format!("an answer to {verb} that says nothing"))),
        }
    }

    /// What the leader says of the stream.
    pub(super) async fn info(&self) -> Result<Info, Failure> {
        self.api("STREAM.INFO", "", &Value::Null).await
    }

    /// The last position, as the leader has it.
    pub(super) async fn end(&self) -> Result<Seq, LogError> {
        Ok(self.info().await.map_err(|f| self.unavailable(&f))?.state.last_seq)
    }

    /// Whether the message at a position was deleted, as one answer of the leader's says.
    pub(super) async fn has_deleted(&self, seq: Seq) -> Result<bool, LogError> {
        if self.known_deleted().contains(&seq) {
            return Ok(true);
        }
        let asked = self.api::<Info>("STREAM.INFO", "", &json!({ "deleted_details": true })).await;
        let StreamState { first_seq, last_seq, deleted } = asked.map_err(|f| self.unavailable(&f))?.state;
        let mut known = self.known_deleted();
        known.extend(deleted);
        Ok(seq <= last_seq && (seq < first_seq || known.contains(&seq)))
    }

    fn known_deleted(&self) -> MutexGuard<'_, BTreeSet<Seq>> {
        self.deleted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one message from the leader; `None` where there is none.
    pub(super) async fn get(&self, ask: Ask<'_>) -> Result<Option<Entry>, LogError> {
        let request = match ask {
            Ask::At(seq) => json!({ "seq": seq }),
            Ask::Next(seq, subject) => json!({ "seq": seq, "next_by_subj": self.full(subject) }),
            Ask::Last(subject) => json!({ "last_by_subj": self.full(subject) }),
        };
        match self.api::<Got>("STREAM.MSG.GET", "", &request).await {
            Ok(got) => self.entry(got.message).map(Some),
            Err(failure) if failure.is(NO_MESSAGE) => Ok(None),
            Err(failure) => Err(self.unavailable(&failure)),
        }
    }

    /// Deletes a message, its bytes overwritten; whether it was there.
    pub(super) async fn delete(&self, seq: Seq) -> Result<bool, LogError> {
        #[derive(Deserialize)]
        struct Done {
            success: bool,
        }
        match self.api::<Done>("STREAM.MSG.DELETE", "", &json!({ "seq": seq, "no_erase": false })).await {
            Ok(done) => Ok(done.success),
            Err(failure) if failure.is(NO_SEQUENCE) => Ok(false),
            Err(failure) => match self.get(Ask::At(seq)).await? {
                Some(_) => Err(self.unavailable(&failure)),
                None => Ok(false),
            },
        }
    }

    fn entry(&self, got: GotMessage) -> Result<Entry, LogError> {
        let decode = |what: &str, text: &str| {
            STANDARD.decode(text).map_err(|e| {
                LogError::Unavailable(format!(
                    "stream {}: {what} of {} can't be read: {e}",
                    self.name, got.seq
                ))
            })
        };
        let headers = parse_headers(&decode("the headers", &got.hdrs)?);
        let body = decode("the bytes", &got.data)?.into();
        Ok(Entry {
            seq: got.seq,
            subject: self.short(&got.subject).to_owned(),
            time: got.time.trunc_subsecs(6),
            content: Content::Message { headers, body },
        })
    }
}

/// Where a delivered message stands: what the reply subject of a consumer's delivery says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub seq: Seq,
    /// How many the consumer has delivered with this one.
    pub delivered: u64,
    pub time: DateTime<Utc>,
    /// How many more the consumer had to deliver.
    pub pending: u64,
}

/// Reads `$JS.ACK.<stream>.<consumer>.<times>.<seq>.<delivered>.<time>.<pending>`, or the longer form with domain
/// and account after `$JS.ACK`.
pub(super) fn place(reply: &str) -> Option<Place> {
    let rest = reply.strip_prefix("$JS.ACK.")?;
    let tokens = rest.split('.').count();
    let skip = match tokens {
        7 => 3,
        9.. => 5,
        _ => return None,
    };
    let mut tokens = rest.split('.').skip(skip);
    let seq = tokens.next()?.parse().ok()?;
    let delivered = tokens.next()?.parse().ok()?;
    let time = DateTime::from_timestamp_nanos(tokens.next()?.parse().ok()?).trunc_subsecs(6);
    let pending = tokens.next()?.parse().ok()?;
    Some(Place { seq, delivered, time, pending })
}

/// A duration as the JetStream API counts it.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errors_meaning_is_definite_only_where_the_server_makes_it_so() {
        let means = |err_code, description: &str| {
            ApiError { code: 400, err_code, description: description.into() }.means()
        };
        assert_eq!(means(10_071, "wrong last sequence: 17"), Meaning::WrongLast(Some(17)));
        assert_eq!(means(10_071, "wrong last sequence: garbage"), Meaning::WrongLast(None));
        assert_eq!(means(10_164, "wrong last sequence"), Meaning::WrongLast(None));
        assert!(matches!(means(10_158, "duplicate message id is in process"), Meaning::InProcess(_)));
        assert!(matches!(means(10_023, "insufficient resources"), Meaning::Unavailable(_)));
        assert!(matches!(means(10_054, "message size exceeds maximum allowed"), Meaning::Refused(_)));
        for unsure in [10_077, 10_063, 10_009, 0, 99_999] {
            assert!(matches!(means(unsure, "?"), Meaning::Unknown(_)), "{unsure}");
        }
    }

    #[test]
    fn a_place_is_read_from_both_forms_of_the_reply_subject() {
        let short = place("$JS.ACK.EVENTS.tail.1.42.7.1700000000000001999.3").unwrap();
        assert_eq!((short.seq, short.delivered, short.pending), (42, 7, 3));
        assert_eq!(short.time.timestamp_nanos_opt(), Some(1_700_000_000_000_001_000));
        assert_eq!(place("$JS.ACK._.hash.EVENTS.tail.1.42.7.1700000000000001999.3"), Some(short));
        assert_eq!(place("$JS.ACK._.hash.EVENTS.tail.1.42.7.1700000000000001999.3.random"), Some(short));
        for garbage in ["", "$JS.ACK.", "$JS.ACK.a.b.c.d.e.f.g", "_INBOX.x", "$JS.ACK.1.2.3"] {
            assert_eq!(place(garbage), None, "{garbage}");
        }
    }
}
