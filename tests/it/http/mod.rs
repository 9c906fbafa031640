//! The HTTP gateway, its router called in-process, and its server over real connections.

mod attacks;
mod bad_input;
mod commands;
mod evidence;
pub mod house;
mod kept;
mod life;
mod machines;
mod operators;
mod readers;
mod reads;
mod report;
mod restricted;
mod server;
mod streams;
