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
//! - [`store`]: [`Public`], the folded state in sled; [`position`]: how far it is folded; `pieces`: long values.
//! - [`filter`]: which articles a feed is asked for; [`listing`]: reading them.
//! - [`feed`], [`page`]: what readers get. `html`: escaping and cleaning.
//! - [`rendered`]: an answer's bytes, validators, and conditional requests (RFC 9110).

pub mod feed;
pub mod filter;
pub mod fold;
mod html;
mod index;
pub mod listing;
pub mod message;
pub mod ninjs;
pub mod page;
mod pieces;
pub mod position;
pub mod rendered;
pub mod store;

pub use feed::{Feed, Params};
pub use message::{Kind, Received, WireMessage};
pub use position::Position;
pub use rendered::{Rendered, conditional};
pub use store::{Applied, Error, Public};

/// The house, as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its name.
    pub title: String,
    /// Where readers find it, without a slash at the end: `https://desk.example`.
    pub public_url: String,
    /// Its own site, where it has one: what its name on a page leads to.
    pub home_url: Option<String>,
    /// The language of its own words, as a BCP 47 tag.
    pub language: String,
    /// What stands in the place of the headline of a withdrawn article.
    pub withdrawn_title: String,
}

impl Site {
    /// Where an article's page is.
    pub fn article_url(&self, article: uuid::Uuid) -> String {
        format!("{}/articles/{article}", self.public_url.trim_end_matches('/'))
    }
}
