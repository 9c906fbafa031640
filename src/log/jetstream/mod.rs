//! The log on NATS JetStream: many machines, replicas, an engine that is not ours.
//!
//! # The invariant
//!
//! Each stream of the log is one JetStream stream that never forgets, is never rewritten, and acknowledges only
//! what is stored (by a majority, where it is replicated). Its sequence numbers are our positions. What can't
//! hold that is refused at the start, setting by setting ([`check`]), never worked around.
//!
//! | stream | subjects | holds |
//! |---|---|---|
//! | `<PREFIX>_EVENTS` | `<prefix>.event.*` | the events; the log's identity is drawn when this one is made |
//! | `<PREFIX>_WIRE` | `<prefix>.wire.>` | the editions |
//! | `<PREFIX>_KEYS`, `<PREFIX>_<NAME>` | `<prefix>.<name>.>` | keys and other small streams |
//! | `<PREFIX>_ERASED` | `<prefix>.erased.>` | what is left of erased messages (`erasures.rs`) |
//!
//! All of them carry the identity of the events stream in their metadata, so that streams of two logs are never
//! mixed. Two instances may make them at the same time: creation succeeds once, whoever comes second reads again
//! and takes what is there.
//!
//! # Appending
//!
//! A message is published with the expectation as a header, and the server decides: there is no lock, no read
//! before and no request beside it. Any number may be under way on one connection. What an answer means:
//!
//! | answer | means | because |
//! |---|---|---|
//! | acknowledgement | written | stored, or committed by a majority |
//! | the same, `duplicate` | the position is read: our bytes, written; others, wrong expectation | a message id is a hint, not a proof |
//! | 10071 wrong last sequence | not written; wrong expectation, once confirmed | see below |
//! | 10164 wrong last sequence, without a number | the same; where the expectation still holds, tried again | in a cluster: a message on the same subject is proposed and not yet committed, and may be lost with its leader |
//! | 10158 duplicate id in process | tried again; in the end unknown | in a cluster: this message itself, sent before, is proposed and not yet committed |
//! | 10163 last sequence not ready | not written, tried again | said before anything is proposed |
//! | 10002, 10023, 10028, 10047 resources, 10167 too many requests, 10109 sealed, 10060 another stream | unavailable | checked before the message is proposed or stored |
//! | 503 no responders | unavailable | no server listens on the subject, so none has stored it |
//! | not connected | unavailable | nothing was sent |
//! | 10054, 10097 too large, or larger than `max_payload` | refused | checked before |
//! | 10201 an atomic batch with an id that was stored already | refused; each is sent again by itself | checked of the whole batch before any of it is proposed or stored |
//! | 10077 store failed, 10063 sequence mismatch | unknown | said by one replica of a message that others may have stored |
//! | anything else, no answer within [`ACK_TIMEOUT`], a lost connection | unknown | a request may still lie in a queue |
//!
//! 10071 is confirmed where it may speak of what is not committed: in a cluster a stream's last number counts
//! proposals. `Unknown` is settled by [`super::append`], by sending the same bytes with the same expectation.
//!
//! # Erasure
//!
//! First a record of the message (position, subject, hash) is written to the stream of erasures, then the message
//! is deleted and its bytes overwritten. After a crash between the two, the message is still there, and erasing
//! again ends it. The server then counts expectations from the message before the erased one; we go on counting
//! the erased one: an expectation that it is the last is turned into the server's number, with the stream's end
//! beside it, so that a message written *and* erased in between can't be missed; an expectation that passes over
//! an erased message is refused before it is sent. The latter rests on records followed in the background, within
//! milliseconds: a writer so far behind that it has seen neither a message nor, later, its erasure could pass it
//! over. Erasing what was written moments ago is not something newsrooms do.
//!
//! On one server the bytes are overwritten on the disk before the answer. In a cluster each replica does so when
//! it comes to the deletion, and its Raft log may hold them until its next snapshot, some minutes later.
//!
//! # What a crash leaves
//!
//! Of this process: nothing of its own; consumers of tails expire. Of a server: whatever was acknowledged is
//! on its disk within its `sync_interval`, which clients can't see, so the operator says what it is
//! ([`Options::durability`]). Where a server comes back shorter than it was, a tail notices
//! ([`LogError::LostTail`]). A leader that was cut off answers reads from its own past until it steps down; a
//! decision made on that fails at the append, which needs a majority.
//!
//! # What else was considered
//!
//! - *`async-nats`' own ordered consumer*: doesn't tell a lost delivery from a deleted message, and its retries
//!   can't be bounded. `tail.rs` is as long as wrapping it would be.
//! - *Direct get* for reads: answered by any replica, so it may lag.
//! - *The message id alone* for repeats: remembered for two minutes, and forgotten by purges.
//! - *A tombstone on the same subject* for erasure: it would take a version's place on the article's line.
//! - *Atomic batches* everywhere: one command is one event, and a batch costs the server more than its messages,
//!   unless it syncs each (`batch.rs`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Client;
use async_trait::async_trait;
use chrono::{TimeDelta, Utc};
use futures::StreamExt as _;
use serde_json::Value;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{Clock, Consumer, Durability, Log, LogError, Stream, clock::SystemClock, keys::Keys};
use api::{API, Failure, Info, Raw, STREAM_NAME_IN_USE, STREAM_NOT_FOUND};
use batch::Batches;
use check::Plan;
use erasures::Erasures;
use stream::JetStream;
use tail::{Tail, groups};

mod api;
mod batch;
pub mod check;
mod consumers;
mod erasures;
mod headers;
mod polled;
mod stream;
mod tail;
mod wire;

pub use api::ACK_TIMEOUT;
pub use wire::WireAlone;

/// The names that are no small stream's.
const RESERVED: [&str; 5] = ["event", "events", "wire", "erased", "command"];
/// How long the follower of erasures waits before it tries again.
const FOLLOWER_PAUSE: Duration = Duration::from_secs(1);

/// How a log on JetStream is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The first token of every subject, `[a-z0-9_-]+`; in capitals, the first part of the streams' names.
    pub prefix: String,
    /// How many servers keep each stream; 1 to 5.
    pub replicas: usize,
    /// Whether streams are made where they are absent.
    pub create: bool,
    /// What the operator says that acknowledged messages survive: the server's `sync_interval`.
    pub durability: Durability,
}

impl Default for Options {
    fn default() -> Self {
        let detail = "the server's sync_interval, two minutes by default".to_owned();
        Self {
            prefix: "copydesk".to_owned(),
            replicas: 1,
            create: true,
            durability: Durability::Interval { detail },
        }
    }
}

/// The log on JetStream.
#[derive(Debug)]
pub struct JetStreamLog {
    client: Client,
    options: Options,
    identity: Uuid,
    events: JetStream,
    wire: JetStream,
    keys: JetStream,
    erasures: Arc<Erasures>,
    clock: Arc<SystemClock>,
    small: Mutex<HashMap<String, JetStream>>,
    follower: JoinHandle<()>,
}

impl Drop for JetStreamLog {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl JetStreamLog {
    /// Sees to it that a subscriber of the wire has a durable consumer of its name, for these homes (all, where there
    /// are none; `*` and `>` as in NATS). One that is there keeps its place.
    ///
    /// # Errors
    /// [`LogError`] where JetStream refuses it or can't be asked.
    pub async fn provide_consumer(&self, name: &str, homes: &[String]) -> Result<(), LogError> {
        consumers::provide(&self.wire.raw, name, homes).await
    }

    /// Opens the log through the connection that writes, making its streams where they are absent and
    /// [`Options::create`] says so.
    ///
    /// # Errors
    /// [`LogError::Unsuitable`] where the server or a stream is set up in a way that copydesk can't keep its
    /// promises on; it says what is wrong, what it has to be and what to do. [`LogError::Unavailable`] where
    /// JetStream can't be asked.
    pub async fn open(client: Client, options: Options) -> Result<Self, LogError> {
        check_server(&client, &options.prefix)?;
        let maker = Maker { client: &client, options: &options, api: API };
        let (identity, has_batches) = maker.identity().await?;
        let wire = maker.open("wire", identity).await?;
        let keys = maker.open("keys", identity).await?;
        let erased = maker.open("erased", identity).await?;
        let erasures = Arc::new(Erasures::new(erased));
        erasures.refresh().await?;
        let stream = |name: &str, raw: Raw| JetStream {
            raw,
            name: name.into(),
            one_token: name == "event",
            erasures: Arc::clone(&erasures),
            batches: None,
        };
        let mut events = stream("event", maker.raw("event"));
        let pays = client.try_server_info().is_some_and(|server| check::batches_pay(&server.version));
        if has_batches && pays && options.durability == Durability::Always {
            events.batches = Some(Arc::new(Batches::new(events.raw.clone())));
        }
        Ok(Self {
            identity,
            events,
            wire: stream("wire", wire),
            keys: stream("keys", keys),
            follower: tokio::spawn(follow(Arc::clone(&erasures))),
            erasures,
            clock: Arc::new(SystemClock),
            small: Mutex::default(),
            client,
            options,
        })
    }
}

/// Whether the prefix and the server that the connection is made to can be used.
fn check_server(client: &Client, prefix: &str) -> Result<(), LogError> {
    let is_prefix_char = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    if prefix.is_empty() || !prefix.bytes().all(is_prefix_char) {
        return Err(LogError::Unsuitable(format!("the prefix {prefix:?} is not made of [a-z0-9_-]")));
    }
    let Some(server) = client.try_server_info() else {
        return Err(LogError::Unavailable("not connected to NATS".to_owned()));
    };
    check::server(&server.version, server.max_payload).map_err(LogError::Unsuitable)
}

/// Keeps the records of erasures up to date for as long as the log is open.
async fn follow(erasures: Arc<Erasures>) {
    let Some(raw) = erasures.raw().cloned() else { return };
    loop {
        // The stream of records as a stream like any other; nothing erases from it.
        let records = JetStream {
            raw: raw.clone(),
            name: "erased".into(),
            one_token: false,
            erasures: Arc::clone(&erasures),
            batches: None,
        };
        match Tail::start(records, erasures.upto()).await {
            Ok(tail) => {
                let mut groups = std::pin::pin!(groups(tail));
                while let Some(Ok(group)) = groups.next().await {
                    group.iter().for_each(|entry| erasures.learn(entry));
                }
            }
            Err(error) => tracing::debug!(%error, "the records of erasures can't be followed now"),
        }
        tokio::time::sleep(FOLLOWER_PAUSE).await;
    }
}

/// Finds, makes and checks streams.
struct Maker<'a> {
    client: &'a Client,
    options: &'a Options,
    api: &'a str,
}

impl Maker<'_> {
    /// A stream by the token that stands for it in subjects.
    fn raw(&self, token: &str) -> Raw {
        let prefix = &self.options.prefix;
        Raw {
            client: self.client.clone(),
            name: self.plan(token).name.into(),
            prefix: format!("{prefix}.{token}.").into(),
            api: self.api.into(),
            deleted: Arc::default(),
        }
    }

    fn plan(&self, token: &str) -> Plan {
        let prefix = &self.options.prefix;
        let (name, subjects) = match token {
            "event" => ("EVENTS".to_owned(), "event.*".to_owned()),
            other => (other.to_ascii_uppercase(), format!("{other}.>")),
        };
        Plan {
            name: format!("{}_{name}", prefix.to_ascii_uppercase()),
            subjects: format!("{prefix}.{subjects}"),
            replicas: self.options.replicas,
            may_batch: token == "event",
        }
    }

    async fn find(&self, token: &str) -> Result<Option<Info>, LogError> {
        let raw = self.raw(token);
        match raw.info().await {
            Ok(info) => Ok(Some(info)),
            Err(failure) if failure.is(STREAM_NOT_FOUND) => Ok(None),
            Err(failure) => Err(raw.unavailable(&failure)),
        }
    }

    /// Finds a stream, or makes it with an identity; what is there is what counts.
    async fn find_or_make(&self, token: &str, identity: Uuid) -> Result<Info, LogError> {
        if let Some(info) = self.find(token).await? {
            return Ok(info);
        }
        let plan = self.plan(token);
        let name = &plan.name;
        if !self.options.create {
            return Err(LogError::Unsuitable(format!(
                "stream {name} is not there: it is made where the service starts with nats.create = true, or with \
                 `nats stream add {name} --config=FILE` from {}",
                plan.config(identity)
            )));
        }
        match self.raw(token).api::<Value>("STREAM.CREATE", "", &plan.config(identity)).await {
            Ok(_) => {}
            // Somebody else was first.
            Err(failure) if failure.is(STREAM_NAME_IN_USE) => {}
            Err(Failure::Said(error)) if error.code == 503 => {
                return Err(self.raw(token).unavailable(&Failure::Said(error)));
            }
            Err(failure @ Failure::Said(_)) => {
                return Err(LogError::Unsuitable(format!(
                    "stream {name} can't be made with {} replicas on {}: {failure}",
                    plan.replicas, plan.subjects
                )));
            }
            Err(failure) => return Err(self.raw(token).unavailable(&failure)),
        }
        self.find(token).await?.ok_or_else(|| {
            LogError::Unavailable(format!("stream {name} was made, and is not there yet: try again"))
        })
    }

    /// The identity of the log: the events stream's; and whether that one takes batches.
    async fn identity(&self) -> Result<(Uuid, bool), LogError> {
        let plan = self.plan("event");
        if self.find("event").await?.is_none() {
            for token in ["wire", "keys", "erased"] {
                // Another instance may just be making them all.
                if self.find(token).await?.is_some() && self.find("event").await?.is_none() {
                    return Err(LogError::Unsuitable(format!(
                        "stream {} is gone, and {} of the same log is there: restore it from a backup, or \
                         remove the others to begin a new log",
                        plan.name,
                        self.plan(token).name
                    )));
                }
            }
        }
        let info = self.find_or_make("event", Uuid::new_v4()).await?;
        plan.check(&info.config).map_err(LogError::Unsuitable)?;
        let has_batches = info.config.get(check::BATCHES).and_then(Value::as_bool).unwrap_or_default();
        Ok((plan.identity(&info.config).map_err(LogError::Unsuitable)?, has_batches))
    }

    /// Opens a stream that belongs to the log.
    async fn open(&self, token: &str, identity: Uuid) -> Result<Raw, LogError> {
        let plan = self.plan(token);
        let info = self.find_or_make(token, identity).await?;
        plan.check(&info.config).map_err(LogError::Unsuitable)?;
        let its = plan.identity(&info.config).map_err(LogError::Unsuitable)?;
        if its != identity {
            return Err(LogError::Unsuitable(format!(
                "stream {} belongs to log {its}, and the events to log {identity}: restore the streams of one \
                 backup, or remove {0} if nothing in it is needed",
                plan.name
            )));
        }
        Ok(self.raw(token))
    }
}

#[async_trait]
impl Log for JetStreamLog {
    fn events(&self) -> Arc<dyn Stream> {
        Arc::new(self.events.clone())
    }

    fn wire(&self) -> Arc<dyn Stream> {
        Arc::new(self.wire.clone())
    }

    async fn stream(&self, name: &str) -> Result<Arc<dyn Stream>, LogError> {
        if name.is_empty() || RESERVED.contains(&name) || !name.bytes().all(|b| b.is_ascii_lowercase()) {
            return Err(LogError::Unsuitable(format!("{name:?} can't be the name of a small stream")));
        }
        let known = {
            let small = self.small.lock().unwrap_or_else(PoisonError::into_inner);
            small.get(name).cloned()
        };
        if let Some(stream) = known {
            return Ok(Arc::new(stream));
        }
        let maker = Maker { client: &self.client, options: &self.options, api: API };
        let stream = JetStream {
            raw: maker.open(name, self.identity).await?,
            name: name.into(),
            one_token: false,
            erasures: Arc::clone(&self.erasures),
            batches: None,
        };
        let mut small = self.small.lock().unwrap_or_else(PoisonError::into_inner);
        small.insert(name.to_owned(), stream.clone());
        Ok(Arc::new(stream))
    }

    fn keys(&self) -> Keys {
        Keys::new(Arc::new(self.keys.clone()), self.clock())
    }

    fn identity(&self) -> Uuid {
        self.identity
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    async fn skew(&self) -> Result<TimeDelta, LogError> {
        let before = Utc::now();
        let info = self.events.raw.info().await.map_err(|f| self.events.raw.unavailable(&f))?;
        let after = Utc::now();
        let Some(theirs) = info.ts else {
            return Err(LogError::Unavailable("the server doesn't say what time it is".to_owned()));
        };
        let halfway = before + (after - before) / 2;
        Ok(TimeDelta::microseconds((halfway - theirs).num_microseconds().unwrap_or(i64::MAX)))
    }

    fn durability(&self) -> Durability {
        self.options.durability.clone()
    }

    async fn consumers(&self) -> Result<Vec<Consumer>, LogError> {
        consumers::durable(&self.wire.raw).await
    }
}
