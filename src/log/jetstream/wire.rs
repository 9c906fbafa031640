//! The wire alone, for a process that has the right to nothing else.
//!
//! It reads the wire's stream by position ([`Polled`]) and makes no consumer on it, and asks JetStream for no other
//! stream: not for the events, the keys, or the records of erasures. So an erased message is one that is gone, without the hash of what was
//! there. The log's identity is in the metadata of the wire's own stream.

use std::sync::Arc;

use async_nats::Client;
use serde_json::Value;
use uuid::Uuid;

use super::api::API;
use super::erasures::Erasures;
use super::polled::Polled;
use super::stream::JetStream;
use super::{Maker, Options, check_server};
use crate::log::clock::SystemClock;
use crate::log::{Clock, LogError, Stream};

/// JetStream's code where an account has no streams of its own.
const NOT_ENABLED_FOR_ACCOUNT: u64 = 10039;

/// The wire of a log on JetStream, to be read.
#[derive(Debug)]
pub struct WireAlone {
    wire: JetStream,
    identity: Uuid,
    clock: Arc<SystemClock>,
}

impl WireAlone {
    /// Opens the wire through a connection that may read it. The stream is never made: that is for a process that
    /// writes. `prefix` is that of the log.
    ///
    /// # Errors
    /// [`LogError::Unsuitable`] where there is no such stream, or it isn't set up as a wire;
    /// [`LogError::Unavailable`] where JetStream can't be asked, or the connection may not.
    pub async fn open(client: Client, prefix: &str) -> Result<Self, LogError> {
        check_server(&client, prefix)?;
        let options = Options { prefix: prefix.to_owned(), create: false, ..Options::default() };
        let own = Maker { client: &client, options: &options, api: API };
        // In an account that has no streams of its own the log's account may share its wire by another name.
        let shared = format!("$JS.{}.API", prefix.to_ascii_uppercase());
        let is_shared =
            own.raw("wire").info().await.is_err_and(|failure| failure.is(NOT_ENABLED_FOR_ACCOUNT));
        let maker = if is_shared { Maker { api: &shared, ..own } } else { own };
        let mut plan = maker.plan("wire");
        let Some(info) = maker.find("wire").await? else {
            return Err(LogError::Unsuitable(format!(
                "stream {} is not there: start an instance that writes the wire first",
                plan.name
            )));
        };
        // How many servers keep it is for those to say who write it.
        let replicas = info.config.get("num_replicas").and_then(Value::as_u64);
        plan.replicas = replicas.and_then(|replicas| usize::try_from(replicas).ok()).unwrap_or(1);
        plan.check(&info.config).map_err(LogError::Unsuitable)?;
        let identity = plan.identity(&info.config).map_err(LogError::Unsuitable)?;
        let erasures = Arc::new(Erasures::unread());
        let wire = JetStream {
            raw: maker.raw("wire"),
            name: "wire".into(),
            one_token: false,
            erasures,
            batches: None,
        };
        Ok(Self { wire, identity, clock: Arc::new(SystemClock) })
    }

    /// The editions.
    pub fn wire(&self) -> Arc<dyn Stream> {
        Arc::new(Polled(self.wire.clone()))
    }

    /// The identity of the log that the wire belongs to.
    pub fn identity(&self) -> Uuid {
        self.identity
    }

    /// The clock by which this instance acts.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }
}
