//! copydesk: the desk that every story passes through before readers see it.
//!
//! The rules of the newsroom are in `copydesk-article`, which knows no I/O; what readers see is in
//! `copydesk-public`, which knows nothing but the wire. This package is what lies between, and the command line.
//! `docs/ARCHITECTURE.md` shows how data flows.
//!
//! # Layout, from the ground up
//! - [`log`]: the ordered events and everything else that must last: segment files, JetStream, memory for tests.
//! - [`merkle`]: the tree over the events: hashes, proofs, tiles.
//! - [`store`]: articles folded into sled, a cache of the log; the one task that writes it.
//! - [`evidence`]: confidential evidence, sealed and opened; its keys.
//! - [`desk`]: one command from arrival to answer; articles as they were; the newsroom line.
//! - [`audit`]: signed checkpoints of the tree, and proofs.
//! - [`backup`]: a log kept in plain files, and put back.
//! - [`wire`]: from events to editions, exactly once.
//! - [`deliver`]: editions sent to webhooks, and who has taken what.
//! - [`view`]: an article as newsroom tools read it.
//! - [`http`], [`nats`]: the gateways, transport in, transport out. [`metrics`]: what is counted in both.
//! - [`door`]: networks and rates, what gateways go by before they look at a request. [`tokens`]: who has which.
//! - [`agency`]: stories from agencies' wires, on their way in.
//! - [`config`]: the configuration file. [`service`]: the parts put together.
//! - [`bench`]: what all of it costs beside the bare transport. [`torture`]: all of it under load and faults.

pub mod agency;
pub mod audit;
pub mod backup;
pub mod bench;
pub mod config;
pub mod deliver;
pub mod desk;
pub mod door;
pub mod evidence;
pub mod http;
pub mod log;
pub mod merkle;
pub mod metrics;
pub mod nats;
pub mod service;
pub mod store;
pub mod tokens;
pub mod torture;
pub mod view;
pub mod wire;

/// How the line begins by which the program tells of a panic.
const OWN_FAULT: &str = "copydesk: a fault of its own at ";

/// The line by which the program tells where it panicked.
pub fn own_fault(place: &str) -> String {
    format!("{OWN_FAULT}{place}; please report it")
}
