//! The core of copydesk: what an article is, what may be done to it, and what comes of it.
//!
//! Pure: no I/O, no clock, no randomness. [`command::decide`] turns a command and the present state into an event
//! or a refusal; [`article::Article::evolve`] folds events into state. The same events give the same state, byte
//! for byte, on every machine, for ever.
//!
//! # Layout
//! - [`command`]: one file a command: its data, its decision, its event, how the event folds.
//! - [`article`]: the state, and the one way in which it changes.
//! - [`event`]: the envelope, frozen for ever, and how stored bytes are read.
//! - `machines`: what of an article is a machine's work.
//! - [`newsroom`]: people, roles and rules: the newsroom line.
//! - [`fields`], [`change`]: metadata; changes of words, how they merge and conflict.
//! - [`claims`], [`coverage`], [`gate`]: statements and their verdicts; what stands between a text and readers.
//! - [`answer`]: what a sender is told of what was accepted.
//! - [`edition`], [`bound`]: what readers get, the digests over it, and how big it can be on the wire.
//! - [`proof`]: deriving again what an event says of itself.
//! - [`text`]: runs, marks, Markdown, sentences, word diffs.
//! - [`schemas`]: JSON Schemas of all that goes in and out.
//! - [`json`], [`problem`], [`limits`], [`ids`], [`words`]: reading what senders wrote, refusals, limits, names.

pub mod answer;
pub mod article;
pub mod bound;
pub mod change;
pub mod claims;
pub mod command;
pub mod coverage;
pub mod edition;
pub mod event;
pub mod fields;
pub mod gate;
pub mod ids;
pub mod json;
pub mod limits;
mod machines;
pub mod newsroom;
pub mod problem;
pub mod proof;
pub mod redaction;
pub mod schemas;
pub mod text;
pub mod words;
pub mod workflow;

#[cfg(test)]
mod golden_test;
#[cfg(test)]
mod properties;
