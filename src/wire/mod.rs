//! From events to editions, exactly once (promise 8).
//!
//! # The invariant
//!
//! The wire holds one message for each `published` and `withdrawn` event, in log order, complete in itself. Each
//! says in its headers which event it is of, where that stands in the log, and how many messages the wire has with
//! it.
//!
//! # Who writes, and what a crash leaves
//!
//! Every instance writes, and none leads: each appends with the wire's last position as its expectation, so that
//! of several that write the same message one wins and the others resume. A writer resumes from the last message
//! of ours on the wire, whoever wrote it, after holding it against the log; a crash between two messages loses
//! nothing and doubles nothing. A list of what was sent, kept beside the wire, was considered and left: it could
//! disagree with the wire, which can't disagree with itself.
//!
//! An event that goes on the wire and that this build can't render stops the wire: passing it over would let a
//! correction or a withdrawal get lost.
//!
//! # Layout
//! - [`writer`]: the task that appends; [`ninjs`]: an edition as ninjs 3.1; `xhtml`: its body, plain and as XHTML.
//! - [`message`]: the message that carries it; [`schema`]: the JSON Schema of what it says.

pub mod message;
pub mod ninjs;
pub mod schema;
pub mod writer;
mod xhtml;
