//! The configuration file: what an operator proposes. Typed, with defaults; every problem is named with its key.
//!
//! People, roles and rules take effect through the newsroom line ([`Config::newsroom_set`]); secrets stay here
//! ([`Config::tokens`]).
//!
//! # Layout
//! - this file: the shapes and their defaults.
//! - `read`: from TOML to the shapes, collecting problems rather than stopping at the first.
//! - `check`: what the shapes alone can't say.
//! - [`webhook`]: subscribers that editions are sent to.
//! - [`master_key`]: the files with which confidential evidence is sealed.
//! - [`token`]: bearer tokens and their hashes; [`trial`]: the made-up newsroom of `serve` without a file.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use copydesk_article::newsroom::{NewsroomSet, Person, PersonKind, Role, Rules};
use serde::{Deserialize, Deserializer, de};

mod check;
pub mod master_key;
mod read;
pub mod token;
pub mod trial;
pub mod webhook;

pub use read::{ConfigError, Problem};
use token::{TokenHash, Tokens};
use webhook::Webhook;

/// The whole configuration.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// `[desk]`: the house.
    pub desk: Desk,
    /// `[log]`: where events go.
    pub log: Log,
    /// `[nats]`: how NATS is reached.
    pub nats: Nats,
    /// `[http]`: the HTTP side.
    pub http: Http,
    /// `[store]`: the embedded log and the folded state.
    pub store: Store,
    /// `[audit]`: how checkpoints are named and signed.
    pub audit: Audit,
    /// `[evidence]`: what confidential evidence is sealed with.
    pub evidence: Evidence,
    /// `[people.<name>]`: everyone, by actor name.
    pub people: BTreeMap<String, Staff>,
    /// `[rules]`: what the gate judges by.
    pub rules: Rules,
    /// `[webhooks.<name>]`: subscribers that editions are sent to.
    pub webhooks: BTreeMap<String, Webhook>,
}

/// `[desk]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Desk {
    /// The house's name, as readers see it in feeds and pages.
    pub name: String,
    /// The house's own site.
    pub url: Option<String>,
    /// The language of stories that don't say theirs (BCP 47).
    pub language: String,
    /// What NATS subjects and streams start with, and events give as their source.
    pub prefix: String,
    /// The house's word for a withdrawn article, which titles its notice.
    pub withdrawn_title: String,
    /// The house's policies by their names in [`copydesk_public::POLICIES`]: addresses of their pages.
    pub policies: BTreeMap<String, String>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            name: "Copydesk".to_owned(),
            url: None,
            language: "en".to_owned(),
            prefix: "copydesk".to_owned(),
            withdrawn_title: "Withdrawn".to_owned(),
            policies: BTreeMap::new(),
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Which log.
    pub kind: LogKind,
    /// What an answer survives: of the embedded log, what it does (`always` where nothing is said); of NATS, what the
    /// operator set `sync_interval` to, which a client can't see.
    pub durability: Option<LogDurability>,
}

/// Which log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// Segment files on this machine.
    #[default]
    Embedded,
    /// NATS JetStream.
    Nats,
}

/// What an answer of the embedded log survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogDurability {
    /// Power loss: synced before each answer.
    #[default]
    Always,
    /// A kill of the process; the disk follows within a second.
    Interval,
}

/// `[nats]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nats {
    /// The servers: `nats://host:4222`, several by commas.
    pub url: Option<String>,
    /// Credentials file of the connection that answers commands.
    pub answer_credentials: Option<PathBuf>,
    /// Credentials file of the connection that writes events and the wire.
    pub write_credentials: Option<PathBuf>,
    /// Credentials file of a process that serves readers alone (`--parts feed`), and may read the wire and no more.
    pub feed_credentials: Option<PathBuf>,
    /// Copies of each stream, 1 to 5.
    pub replicas: u8,
    /// Whether absent streams are made.
    pub create: bool,
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            url: None,
            answer_credentials: None,
            write_credentials: None,
            feed_credentials: None,
            replicas: 1,
            create: true,
        }
    }
}

/// `[http]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where to listen; port 0 takes a free one.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// The address by which readers reach the public routes, for links in feeds.
    pub public_url: Option<String>,
    /// Whether a proxy that ends TLS stands in front. Without one, only loopback addresses are taken.
    pub behind_proxy: bool,
    /// Bounds on what is under way.
    pub limits: HttpLimits,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: None,
            behind_proxy: false,
            limits: HttpLimits::default(),
        }
    }
}

/// `[http] limits`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpLimits {
    /// Commands under way at once, beyond which the answer is `busy`.
    pub in_flight: u32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { in_flight: 1024 }
    }
}

/// `[store]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// The folder of the embedded log and the folded state.
    pub path: PathBuf,
    /// Memory for sled's page cache, in MiB.
    pub cache_mb: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { path: PathBuf::from("./copydesk-data"), cache_mb: 128 }
    }
}

/// `[audit]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// The name of the log in checkpoints: an address without a scheme. By default the public one with `/audit`, or,
    /// where none is configured, one made of the log's identity.
    pub origin: Option<String>,
    /// The file with the signing key, as `copydesk audit-key` prints it. By default the log's key-value space keeps one.
    pub key: Option<PathBuf>,
}

/// `[evidence]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evidence {
    /// The file of the master key that new pieces' keys are wrapped with. Without one, confidential evidence is
    /// refused.
    pub master_key: Option<PathBuf>,
    /// Files of master keys from before, which only unwrap.
    pub older_master_keys: Vec<PathBuf>,
    /// Whether a master key is made up beside the data where there is none: for trying copydesk out.
    #[serde(skip)]
    pub made_up: bool,
}

/// `[people.<name>]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Staff {
    /// The name shown to people.
    pub name: String,
    /// Person or machine.
    pub kind: PersonKind,
    /// The roles held.
    pub roles: Vec<Role>,
    /// The hash of the bearer token; someone without one can't come by HTTP.
    pub token: Option<TokenHash>,
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| de::Error::custom("expected an address and a port, such as 127.0.0.1:8080"))
}

impl Config {
    /// What the file proposes to the newsroom line: people, roles and rules, without their tokens.
    pub fn newsroom_set(&self) -> NewsroomSet {
        let person =
            |staff: &Staff| Person { name: staff.name.clone(), kind: staff.kind, roles: staff.roles.clone() };
        let people = self.people.iter().map(|(name, staff)| (Arc::from(name.as_str()), person(staff)));
        NewsroomSet { people: people.collect(), rules: self.rules.clone() }
    }

    /// Whose token is whose.
    pub fn tokens(&self) -> Tokens {
        let people = self.people.iter();
        people.filter_map(|(name, staff)| Some((staff.token?, Arc::from(name.as_str())))).collect()
    }
}

#[cfg(test)]
mod tests;
