//! copydesk: the desk that every story passes through before readers see it.

pub mod desk;
pub mod log;
pub mod store;
pub mod view;
pub mod wire;
