//! Everything that is tested from outside the crate, in one binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails is to panic, in its helpers too"
)]

mod audit;
mod backup;
#[path = "../faults/doors/mod.rs"]
mod bad_bytes;
mod bench;
mod browser;
mod canary;
mod cli;
mod deploy;
#[path = "../faults/disk.rs"]
mod disk_faults;
mod doors;
#[path = "../faults/mod.rs"]
mod faults;
mod feed_alone;
mod harness;
mod hours;
mod house;
mod http;
mod instance;
mod jetstream;
mod log_contract;
mod nats;
mod nats_accounts;
mod nats_server;
mod path;
mod redaction;
mod reload;
mod segments;
mod serve;
#[path = "../faults/simulation/mod.rs"]
mod simulation;
mod store;
mod streams;
mod streams_back;
mod torture;
mod upgrade;
mod webhooks;
mod wire_guide;
