//! The public side of copydesk, folded from the wire alone.
//!
//! It cannot leak what it never sees: this package depends on no other of ours, and runs on machines that have
//! no right to read the log. What comes in is [`WireMessage`]s; what goes out is [`Rendered`] answers for a
//! gateway to send. There is no network, no clock and no thread in here.
//!
//! # Layout
//! - [`message`]: one message of the wire, checked: [`WireMessage`] → [`Received`].
//! - [`ninjs`]: the members of ninjs 3.1 that are read.
//! - [`fold`]: what a message does to what is known of its article; pure.
//! - [`store`]: [`Public`], the folded state in sled; [`position`]: how far it is folded; `pieces`: long values;
//!   [`watch`]: that sled comes back, for whoever uses it.
//! - [`filter`]: which articles a feed is asked for; `index`: where those are; [`listing`]: reading them.
//! - [`feed`], [`page`]: what readers get. `site`: the house; `words`: its words. `html`: escaping and cleaning.
//! - [`rendered`]: an answer's bytes, validators, and conditional requests (RFC 9110); [`encoding`]: their compression;
//!   [`answers`]: kept until something changes.
//! - [`line`]: every edition and withdrawal in order, as those who follow all of them get it.

pub mod answers;
pub mod encoding;
pub mod feed;
pub mod filter;
pub mod fold;
mod html;
mod index;
pub mod line;
pub mod listing;
pub mod message;
pub mod ninjs;
pub mod page;
mod pieces;
pub mod position;
pub mod rendered;
mod site;
pub mod store;
pub mod watch;
mod words;

pub use answers::Answers;
pub use encoding::Encoding;
pub use feed::{Feed, Params};
pub use line::Told;
pub use message::{Kind, Received, WireMessage};
pub use position::Position;
pub use rendered::{Rendered, conditional};
pub use site::{POLICIES, Policy, Site};
pub use store::{Applied, Error, Public};
