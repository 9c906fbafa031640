//! Editions and withdrawals sent to subscribers' own addresses, and who has taken what.
//!
//! # The invariant
//!
//! Each subscriber is sent every message of the wire that is for it, in order for each article, at least once, by one
//! instance at a time; and nothing else: what comes in is the wire, which has published words only.
//!
//! # Who sends, and what a crash leaves
//!
//! What a subscriber has taken is an account ([`ledger`]) under one key of the log's compare-and-set space, together
//! with who keeps it ([`page`]). To send, an instance must have written the page within the last [`FRESH`]; to take a
//! page over, it must have seen its holder write nothing for [`LEASE`], longer than that and an attempt together. Only spans are
//! compared, each by one machine's own clock, so it doesn't matter whether clocks agree. A page is written when
//! something was taken, at most once a second, and before attempts: an instance that has nothing to send writes
//! nothing, and nobody takes its place unless there is something to do.
//!
//! A crash leaves the page as it was last written. What was taken since comes again, with the same `webhook-id`.
//!
//! # Layout
//! - [`ledger`]: the account, pure; [`page`]: where it is kept.
//! - [`courier`]: the task that sends; [`post`]: one signed request; [`signature`].
//! - [`roll`]: who has what, webhooks and consumers on the wire; [`letter`]: what is read off a message.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub mod courier;
pub mod ledger;
pub mod letter;
pub mod page;
pub mod post;
pub mod roll;
pub mod signature;

pub use courier::{Courier, Watch};
pub use roll::Roll;
pub use signature::Key;

/// How old the page may be at most when an attempt begins.
pub const FRESH: Duration = Duration::from_secs(3);
/// How long a page must have stood unchanged before another instance takes it over.
pub const LEASE: Duration = Duration::from_secs(25);

/// A subscriber as it is configured.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// Its name, `[a-z0-9_-]{1,32}`.
    pub name: String,
    /// Where editions are sent.
    pub url: String,
    /// What they are signed with.
    pub key: Key,
    /// Only articles whose home is this section (`world/asia`) or below it.
    pub section: Option<String>,
    /// Whether anything is sent.
    pub enabled: bool,
    /// Whether a subscriber that was never served begins with the first edition there ever was.
    pub from_start: bool,
}

/// Whether a home (`world.asia`) is in a section (`world`) or below it.
fn is_within(home: &str, section: Option<&str>) -> bool {
    let Some(section) = section else { return true };
    let section = section.replace('/', ".");
    home.strip_prefix(&section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Why a message was not taken: never in the receiver's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It answered with this status.
    Status(u16),
    /// No answer in time.
    Timeout,
    /// No connection: no such host, refused, or cut.
    Unreachable,
    /// Its certificate isn't trusted, or TLS failed otherwise.
    Tls,
    /// What it answered is no HTTP.
    Protocol,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Status(status) => write!(f, "{status}"),
            Why::Timeout => f.write_str("timeout"),
            Why::Unreachable => f.write_str("unreachable"),
            Why::Tls => f.write_str("tls"),
            Why::Protocol => f.write_str("protocol"),
        }
    }
}

impl FromStr for Why {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "timeout" => Why::Timeout,
            "unreachable" => Why::Unreachable,
            "tls" => Why::Tls,
            "protocol" => Why::Protocol,
            status => Why::Status(status.parse().map_err(|_| ())?),
        })
    }
}

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Why {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| de::Error::custom("expected a status or a reason"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_has_what_is_below_it_and_not_what_only_begins_alike() {
        for (home, section, is_in) in [
            ("world", None, true),
            ("world", Some("world"), true),
            ("world.asia", Some("world"), true),
            ("world.asia", Some("world/asia"), true),
            ("world", Some("world/asia"), false),
            ("worldly", Some("world"), false),
        ] {
            assert_eq!(is_within(home, section), is_in, "{home} {section:?}");
        }
    }

    #[test]
    fn reasons_are_written_and_read_alike() {
        for why in [Why::Status(503), Why::Timeout, Why::Unreachable, Why::Tls, Why::Protocol] {
            assert_eq!(why.to_string().parse(), Ok(why));
        }
        assert_eq!("lost".parse::<Why>(), Err(()));
    }
}
