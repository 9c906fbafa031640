//! copydesk: the desk that every story passes through before readers see it.

pub mod log;
