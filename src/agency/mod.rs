//! Stories from agencies' wires: IPTC ninjs (1.x, 2.x, 3.x) into drafts, and a newer version of one into an edit.
//!
//! An agency's story is one article: its id is derived from the source's name and the story's URI, and the command that
//! brings a version from those two and the version, so that what is sent twice is taken once, whoever runs the import
//! and wherever the file lies. What an article has of its agency is read off its own history: the events whose commands
//! have such ids. Nothing else is kept, so it works alike on a folder and on a service far away.
//!
//! A newer version is an edit at the revision of the last import. It asks for what the agency changed between its own
//! two versions and for nothing else: were the new version compared with the article, it would put back every word that
//! the newsroom changed meanwhile. Where both changed the same, nothing of it is taken, and a question on the article
//! says so.
//!
//! # Layout
//! - `item`: an item of ninjs as the data of a draft; `fields`, `picture`, `body`: parts of it.
//! - `html`: HTML as blocks; `letters`: characters that no text may hold.
//! - `version`: which version is newer.
//! - `history`: what an article has of its agency; `newer`: what a newer version changes.
//! - `questions`: what the newsroom is asked.
//!
//! Nothing here does I/O.

mod body;
mod fields;
mod history;
mod html;
mod item;
mod letters;
mod members;
mod newer;
mod picture;
mod questions;
mod version;

pub use history::{Done, Imported, done, last_import};
pub use item::{Defaults, Hour, Item, Status, items};
pub use newer::{Conflict, Newer, newer};
pub use questions::Question;
pub use version::compare;
