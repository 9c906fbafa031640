//! The service in one piece, as the command line starts it.
//!
//! # Layout
//! - [`parts`]: log, store, desk, wire and public side put together, and the tasks that keep them going.
//! - [`serve`]: a process that answers until it is told to stop; `public`: one that serves readers and opens nothing
//!   but the wire; `ending`: how it comes to its end; `couriers`: the webhooks; `doors`: proxies, rates
//!   and TLS.
//! - [`embedded`]: the same parts in the command line's own process, on a folder that no service has open.

use std::fmt;
use std::str::FromStr;

mod backup;
mod couriers;
mod doors;
pub mod embedded;
mod ending;
pub mod parts;
mod public;
pub mod reload;
mod serve;
mod verify;

pub use crate::http::Actor as ActingAs;
pub use backup::{backup_log, recover_log};
pub use embedded::{Embedded, embedded, embedded_to_read, rebuild};
pub use parts::{FoldCheck, Service, ServiceError, open_embedded_log};
pub use reload::{Reloaded, reload};
pub use serve::{ServeOptions, serve};
pub use verify::{allow_events, verify_log};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Takes commands and answers them.
    Desk,
    /// Writes editions to the wire.
    Wire,
    /// Serves feeds and pages.
    Feed,
    /// Keeps the tree and its checkpoints.
    Audit,
}

impl Part {
    /// Every part: what a process does where nothing else is said.
    pub const ALL: &'static [Part] = &[Part::Desk, Part::Wire, Part::Feed, Part::Audit];

    /// Whether a process with these parts serves readers and nothing else: then it opens nothing but the wire.
    pub fn is_feed_alone(parts: &[Part]) -> bool {
        !parts.is_empty() && parts.iter().all(|part| *part == Part::Feed)
    }

    /// The part's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Part::Desk => "desk",
            Part::Wire => "wire",
            Part::Feed => "feed",
            Part::Audit => "audit",
        }
    }
}

impl FromStr for Part {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Part::ALL.iter().find(|part| part.name() == text);
        found.copied().ok_or_else(|| "expected desk, wire, feed or audit".to_owned())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
