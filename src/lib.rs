//! copydesk: the desk that every story passes through before readers see it.

pub mod config;
pub mod desk;
pub mod http;
pub mod log;
pub mod nats;
pub mod service;
pub mod store;
pub mod view;
pub mod wire;
