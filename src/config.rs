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
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use copydesk_article::newsroom::{NewsroomSet, Person, PersonKind, Role, Rules};
use serde::{Deserialize, Deserializer, de};

use crate::door::{Network, Rate};

mod check;
pub mod master_key;
mod read;
pub mod token;
pub mod trial;
pub mod webhook;

pub use read::{ConfigError, Problem};
use token::{Listed, NamedToken, TokenHash, UNNAMED};
use webhook::Webhook;

/// How often one actor may ask over HTTP: far more than people and importers do.
const ACTOR_RATE: Rate = Rate { per_second: 5_000, burst: 20_000 };
/// How often one actor may send a command over NATS: about what one instance decides, so that one actor's backlog may
/// come at once, and no more than that.
const NATS_ACTOR_RATE: Rate = Rate { per_second: 20_000, burst: 50_000 };
/// How often one address may ask: a whole office behind one, or a reader's many tabs.
const ADDRESS_RATE: Rate = Rate { per_second: 10_000, burst: 50_000 };
/// How often one address may show a token that nobody has.
const FAILED_RATE: Rate = Rate { per_second: 5, burst: 100 };

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
    /// How often one actor may send a command.
    pub actor: Rate,
    /// The public key of the connection that answers commands, for `nats-config`.
    pub answer_nkey: Option<String>,
    /// The public key of the connection that writes.
    pub write_nkey: Option<String>,
    /// The public key of processes that serve readers alone.
    pub feed_nkey: Option<String>,
    /// `[nats.subscribers.<name>]`: who takes the wire from NATS itself.
    pub subscribers: BTreeMap<String, Subscriber>,
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
            actor: NATS_ACTOR_RATE,
            answer_nkey: None,
            write_nkey: None,
            feed_nkey: None,
            subscribers: BTreeMap::new(),
        }
    }
}

/// `[nats.subscribers.<name>]`: someone with a durable consumer of that name on the wire, which the service makes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Subscriber {
    /// Their public key.
    pub nkey: Option<String>,
    /// Only articles whose first edition was in this section or below it.
    pub section: Option<String>,
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
    /// The proxy in front, if there is one. Without one and without TLS, only loopback addresses are taken.
    pub behind_proxy: BehindProxy,
    /// The header by which the proxies name who is asking, once they have found out (single sign-on).
    pub actor_header: Option<String>,
    /// The certificate and its key, where this process speaks TLS itself.
    pub tls: Option<TlsFiles>,
    /// Bounds on what is under way, and how often someone may come.
    pub limits: HttpLimits,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: None,
            behind_proxy: BehindProxy::No,
            actor_header: None,
            tls: None,
            limits: HttpLimits::default(),
        }
    }
}

/// `[http] behind_proxy`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BehindProxy {
    /// Nothing stands in front.
    #[default]
    No,
    /// `true`: a proxy that ends TLS stands in front, at an address that isn't known. Nothing that it says of its
    /// clients is believed, since anybody could say it.
    Somewhere,
    /// Proxies at these addresses, whose word on their clients is believed.
    At(Vec<Network>),
}

impl<'de> Deserialize<'de> for BehindProxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> de::Visitor<'de> for Either {
            type Value = BehindProxy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the proxies' addresses, such as [\"10.0.0.7\", \"fd00::/8\"], or true or false")
            }

            fn visit_bool<E>(self, is: bool) -> Result<BehindProxy, E> {
                Ok(if is { BehindProxy::Somewhere } else { BehindProxy::No })
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<BehindProxy, A::Error> {
                let networks = Vec::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
                Ok(BehindProxy::At(networks))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// `[http] tls`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate and those between it and its root, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// `[http.limits]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpLimits {
    /// Commands under way at once, beyond which the answer is `busy`.
    pub in_flight: u32,
    /// How often one actor may ask.
    pub actor: Rate,
    /// How often one address (of IPv6, one /64) may ask, public routes included.
    pub address: Rate,
    /// How often one address may show a token that nobody has.
    pub failed: Rate,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { in_flight: 1024, actor: ACTOR_RATE, address: ADDRESS_RATE, failed: FAILED_RATE }
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
    /// The hash of the bearer token; someone without any can't come by HTTP.
    pub token: Option<TokenHash>,
    /// More tokens, each with a name: one for each machine or tool, so that one can be revoked alone.
    pub tokens: Vec<NamedToken>,
    /// The public key by which they come over NATS, for `nats-config`.
    pub nkey: Option<String>,
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

    /// Every token: whose it is, what it is called, and how long it holds.
    pub fn tokens(&self) -> Vec<Listed> {
        let mut listed = Vec::new();
        for (actor, staff) in &self.people {
            let actor: Arc<str> = Arc::from(actor.as_str());
            let mut list = |name: &str, hash, expires| {
                listed.push(Listed { actor: Arc::clone(&actor), name: Arc::from(name), hash, expires });
            };
            if let Some(hash) = staff.token {
                list(UNNAMED, hash, None);
            }
            for token in &staff.tokens {
                list(&token.name, token.sha256, token.expires);
            }
        }
        listed
    }
}

#[cfg(test)]
mod tests;
