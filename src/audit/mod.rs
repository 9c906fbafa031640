//! What makes the log checkable by people who don't trust it: signed checkpoints of its Merkle tree, and proofs.
//!
//! # The invariant
//!
//! The tree grows with the fold ([`crate::store::Tree`]). Checkpoints (C2SP tlog-checkpoint, signed notes) stand in a
//! stream of their own, in one line: each is of a larger tree than the last, and its signer has proved to itself that
//! its own tree begins with the last one's, root for root, before it signs. The append expects the stream's last
//! position, so of several instances one wins and the others look again. Where a tree doesn't begin with what was signed,
//! the log is another than it was: nothing is signed, nothing decided, and the instance says so (promises 9 and 11).
//!
//! # Crashes
//!
//! A crash before the append signs nothing; one after it leaves a checkpoint that the next start finds. Nothing in
//! memory matters.
//!
//! # Layout
//! - [`note`]: checkpoints as text, the keys that sign them.
//! - [`line`]: the stream of checkpoints; signing them.
//! - [`verify`]: the whole log derived again.
//! - [`proof`]: what proves that an edition is in the log.

pub mod line;
pub mod note;
pub mod proof;
pub mod verify;

pub use line::{Audit, AuditError, Signed};
pub use note::{Checkpoint, Key, NoteError};
