//! The NATS gateway: commands in by `<prefix>.command.<actor>.<type>`, answers out to the sender's inbox.
//!
//! No rule of the newsroom lives here. The gateway establishes who is asking (the actor is a token of the subject,
//! which the server's permissions guard, and never the message's own word: promise 10), reads the command, hands it
//! to the desk and sends what comes back.
//!
//! # Order
//!
//! Each command has a task of its own, so that articles go on beside each other on every core. Commands to one
//! article enter the desk in the order in which they came off the subscription: each takes a turn ([`turns`]) on
//! the receiving task, and waits for the turns before its own before it is first polled, which is when it queues
//! for the article's lane.
//!
//! # Bounds
//!
//! At most [`Options::in_flight`] commands, and [`Options::in_flight_bytes`] of them, are under way; beyond that
//! the answer is `busy` at once. Nothing waits in the subscription's buffer, where a command would grow old
//! unseen and in the end be dropped by the client library without an answer.
//!
//! # Who is answered
//!
//! Only a reply subject that begins with [`Options::inboxes`]. A request without one, or with another, is neither
//! decided nor answered, only counted: an answer published to `<prefix>.event.…` would be the sender's hand on the
//! service's pen. Discovery keeps to the same rule.
//!
//! # Why not `async_nats::service`
//!
//! The protocol is that of NATS micro services (ADR-32), so `nats micro ls`, `info` and `stats` work; but its
//! implementation in async-nats 0.51 can't keep the contract, so [`discovery`] speaks the protocol itself:
//!
//! - It answers a refusal with an empty body, and counts as errors only what it answered so; ours carry a problem.
//! - It answers `$SRV.PING`, `INFO` and `STATS` to whatever reply subject it is given, the log's own included.
//! - Its endpoint can be unsubscribed but not drained, so what is on its way at a shutdown is lost.
//!
//! # Shutdown
//!
//! The subscription is drained, what was taken is answered, the connection flushed. The library ends a drained
//! subscription without waiting for the server's word, so a command that is on the wire at that very instant may
//! be left without an answer. It is then undecided, and its sender asks again with the same id (promise 2).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, RequestErrorKind, Subscriber};
use bytes::Bytes;
use futures::StreamExt;
use tokio::task::JoinSet;

use crate::desk::Desk;
use crate::door::Rate;
use crate::metrics::Metrics;

mod answer;
pub mod connect;
mod discovery;
mod intake;
mod stats;
mod turns;

pub use connect::{ConnectError, FEED_INBOXES, connect, connect_with, shown};
pub use stats::Stats;

use discovery::Discovery;
use intake::Intake;

/// The service's name in discovery, and its queue group: each command goes to one instance.
pub const SERVICE: &str = "copydesk";

/// How a gateway is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// What its subjects begin with.
    pub prefix: String,
    /// What a reply subject must begin with.
    pub inboxes: String,
    /// How many commands may be under way.
    pub in_flight: u32,
    /// How many bytes of commands may be under way; one command of the largest size always may.
    pub in_flight_bytes: u32,
    /// How long what is under way may take at a shutdown.
    pub drain_within: Duration,
    /// How often one actor may send a command.
    pub rate: Rate,
    /// Where commands are counted beside those of other gateways.
    pub metrics: Arc<Metrics>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: "copydesk".to_owned(),
            inboxes: "_INBOX.".to_owned(),
            in_flight: 4096,
            in_flight_bytes: 64 * 1024 * 1024,
            drain_within: Duration::from_secs(20),
            rate: Rate { per_second: 1_000_000, burst: 1_000_000 },
            metrics: Arc::default(),
        }
    }
}

/// Why a gateway could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Reply subjects so wide that answers could be led into the service's own.
    #[error(
        "reply subjects that begin with {inboxes:?} can't be told from those of the service itself, which begin \
         with {prefix:?}, or the server's, which begin with '$': give inboxes a beginning of their own, such as \
         \"_INBOX.\""
    )]
    Inboxes {
        /// What reply subjects were to begin with.
        inboxes: String,
        /// What the service's subjects begin with.
        prefix: String,
    },
    /// The subscription failed.
    #[error("the commands can't be subscribed to: {0}")]
    Subscribe(String),
    /// The connection was closed for good.
    #[error("the connection that answers commands was closed")]
    Closed,
    /// A shutdown took longer than it may.
    #[error("commands were still under way {0:?} after the shutdown began: they may have been written")]
    NotDrained(Duration),
}

/// Returns once the server has taken everything that was sent before. `flush` only hands it to the socket; here the
/// server is asked for someone who isn't there, in a subject that the connection may publish to, and its word that
/// nobody is comes after what it was told first.
async fn taken_by_the_server(client: &Client, inboxes: &str) -> Result<(), String> {
    let nobody = format!("{inboxes}nobody.{}", uuid::Uuid::new_v4().simple());
    match client.request(nobody, Bytes::new()).await {
        Err(error) if error.kind() != RequestErrorKind::NoResponders => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// The gateway, subscribed: what is sent from now on is answered once it is served.
#[derive(Debug)]
pub struct Gateway {
    client: Client,
    commands: Subscriber,
    discovery: Discovery,
    intake: Intake,
    drain_within: Duration,
}

impl Gateway {
    /// Subscribes through the connection that answers, and makes the service discoverable.
    ///
    /// # Errors
    /// [`GatewayError::Inboxes`], [`GatewayError::Subscribe`].
    pub async fn open(client: Client, desk: Arc<Desk>, options: Options) -> Result<Self, GatewayError> {
        let Options { prefix, inboxes, .. } = &options;
        let own = format!("{prefix}.");
        let of_the_server = inboxes.is_empty() || inboxes.starts_with('$');
        if of_the_server || own.starts_with(inboxes) || inboxes.starts_with(&own) {
            return Err(GatewayError::Inboxes { inboxes: inboxes.clone(), prefix: prefix.clone() });
        }
        let subject = format!("{prefix}.command.*.*");
        let failed = |error: async_nats::SubscribeError| GatewayError::Subscribe(error.to_string());
        let commands = client.queue_subscribe(subject.clone(), SERVICE.to_owned()).await.map_err(failed)?;
        let stats = Arc::new(Stats::default());
        let discovery = Discovery::open(&client, &subject, inboxes, &stats).await.map_err(failed)?;
        taken_by_the_server(&client, inboxes).await.map_err(GatewayError::Subscribe)?;
        let drain_within = options.drain_within;
        let intake = Intake::new(client.clone(), desk, stats, options);
        Ok(Self { client, commands, discovery, intake, drain_within })
    }

    /// What was done so far, for metrics.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(self.intake.stats())
    }

    /// Answers commands until the shutdown, and then what was taken before it.
    ///
    /// # Errors
    /// [`GatewayError::Closed`], [`GatewayError::NotDrained`].
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), GatewayError> {
        let Self { client, mut commands, discovery, intake, drain_within } = self;
        let mut shutdown = pin!(shutdown);
        // Ends when it is dropped.
        let mut discovered = JoinSet::new();
        discovered.spawn(discovery.answer(client.clone()));
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                message = commands.next() => match message {
                    Some(message) => intake.take(message).await,
                    None => return Err(GatewayError::Closed),
                },
            }
        }
        drop(discovered);
        let finish = async {
            commands.drain().await.map_err(|_| GatewayError::Closed)?;
            while let Some(message) = commands.next().await {
                intake.take(message).await;
            }
            intake.finished().await;
            client.flush().await.map_err(|_| GatewayError::Closed)
        };
        let late = Err(GatewayError::NotDrained(drain_within));
        tokio::time::timeout(drain_within, finish).await.unwrap_or(late)
    }
}
