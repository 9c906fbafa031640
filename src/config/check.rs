//! What the shapes alone can't say: names, addresses, and what doesn't go together.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::http::{HeaderName, Uri};
use copydesk_article::fields::{Fields, SentFields, is_section};
use copydesk_article::json::nearest;
use copydesk_article::newsroom::{PersonKind, Role};
use copydesk_public::POLICIES;

use super::token::{UNNAMED, is_token_name};
use super::{BehindProxy, Config, Http, LogKind, Problem, master_key};

/// Copies that JetStream can keep of a stream.
const REPLICAS: std::ops::RangeInclusive<u8> = 1..=5;

const A_SECTION: &str = "a section is up to 4 tokens of a-z, 0-9 and -, joined by /";

impl Config {
    /// Everything that is wrong with it; empty means that it can be used. To be asked again after an option of
    /// the command line took the place of a key.
    pub fn check(&self) -> Vec<Problem> {
        let mut found = Found(self.check_for_feed());
        self.check_nkeys(&mut found);
        self.check_people(&mut found);
        self.check_webhooks(&mut found);
        self.check_evidence(&mut found);
        for section in self.rules.section.keys().filter(|section| !is_section(section)) {
            found.at(format!("rules.section.{section:?}"), A_SECTION);
        }
        found.0
    }

    /// Everything that is wrong with it for a process that serves readers alone: such a file needs no people, and
    /// is better without.
    pub fn check_for_feed(&self) -> Vec<Problem> {
        let mut found = Found(Vec::new());
        self.check_desk(&mut found);
        self.check_log(&mut found);
        self.check_http(&mut found);
        found.0
    }

    /// What can be used and is hardly meant, in a process that serves readers.
    pub fn doubts_for_readers(&self) -> Vec<Problem> {
        let mut found = Found(Vec::new());
        let Http { listen, public_url, .. } = &self.http;
        let host = match public_url {
            None => Some(listen.ip()),
            Some(url) => host_of(url).and_then(|host| host.trim_matches(['[', ']']).parse().ok()),
        };
        if host.is_some_and(|host| host.is_unspecified()) {
            found.at(
                "http.public_url",
                &format!(
                    "feeds and pages would give {} as their own address, which leads nowhere: set it to the one by \
                     which readers reach this service, such as https://news.example",
                    public_url.clone().unwrap_or_else(|| listen.to_string())
                ),
            );
        }
        found.0
    }

    fn check_desk(&self, found: &mut Found) {
        let desk = &self.desk;
        if desk.name.trim().is_empty() {
            found.at("desk.name", "it can't be blank");
        }
        if desk.withdrawn_title.trim().is_empty() {
            found.at("desk.withdrawn_title", "it can't be blank: it stands in the place of headlines");
        }
        let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if !(1..=32).contains(&desk.prefix.len()) || !desk.prefix.bytes().all(token) {
            found.at("desk.prefix", "a prefix is 1 to 32 of a-z, 0-9, _ and -");
        }
        let language = SentFields { language: Some(Some(desk.language.clone())), ..SentFields::default() };
        let checked = language.checked("/desk", &Arc::from("desk"), &Fields::default());
        if checked.is_err() || desk.language.trim().is_empty() {
            found.at("desk.language", "expected a language tag (BCP 47), such as en or sr-Latn");
        }
        found.url("desk.url", desk.url.as_deref());
        for (name, url) in &desk.policies {
            let known: Vec<&str> = POLICIES.iter().map(|policy| policy.name).collect();
            if !known.contains(&name.as_str()) {
                found.0.push(Problem {
                    key: format!("desk.policies.{name}"),
                    what: format!("no page has a place for it; there are {}", known.join(", ")),
                    suggestion: nearest(name, &known),
                });
            }
            found.url(&format!("desk.policies.{name}"), Some(url));
        }
    }

    fn check_log(&self, found: &mut Found) {
        if self.log.kind == LogKind::Nats && self.nats.url.is_none() {
            found.at(
                "nats.url",
                "it is needed, since log.kind is \"nats\": nats://127.0.0.1:4222 or the like",
            );
        }
        let schemes = ["nats://", "tls://", "ws://", "wss://"];
        let servers = self.nats.url.as_deref().unwrap_or("nats://");
        if !servers.split(',').all(|server| schemes.iter().any(|scheme| server.trim().starts_with(scheme))) {
            found.at("nats.url", "expected nats://host:4222 (or tls://, ws://, wss://), several by commas");
        }
        if !REPLICAS.contains(&self.nats.replicas) {
            found.at("nats.replicas", "expected 1 to 5");
        }
        if self.store.cache_mb == 0 {
            found.at("store.cache_mb", "expected at least 1");
        }
        if self.store.path.as_os_str().is_empty() {
            found.at("store.path", "it can't be empty");
        }
    }

    fn check_http(&self, found: &mut Found) {
        let http = &self.http;
        if !http.listen.ip().is_loopback() && http.tls.is_none() && http.behind_proxy == BehindProxy::No {
            found.at(
                "http.listen",
                "loopback only unless tls or behind_proxy is set: tokens would cross the network in clear. Listen \
                 on 127.0.0.1; or give tls a certificate and a key; or put a proxy that ends TLS in front and name \
                 its addresses in behind_proxy (true where they aren't known, as in a container)",
            );
        }
        let believed = matches!(&http.behind_proxy, BehindProxy::At(proxies) if !proxies.is_empty());
        if http.behind_proxy == BehindProxy::At(Vec::new()) {
            found.at("http.behind_proxy", "expected at least one address, or leave it out");
        }
        if let Some(header) = &http.actor_header {
            let ours = ["authorization", "x-forwarded-for", "forwarded", "cookie", "host"];
            let name: Result<HeaderName, _> = header.parse();
            if !name.is_ok_and(|name| !ours.contains(&name.as_str())) {
                found.at(
                    "http.actor_header",
                    "expected the name of a header of its own, such as X-Remote-User",
                );
            } else if !believed {
                found.at(
                    "http.actor_header",
                    "name the proxies' addresses in behind_proxy: from anybody else the header isn't believed",
                );
            }
        }
        if http.limits.in_flight == 0 {
            found.at("http.limits.in_flight", "expected at least 1");
        }
        let limits = [
            ("http.limits.actor", http.limits.actor),
            ("http.limits.address", http.limits.address),
            ("http.limits.failed", http.limits.failed),
            ("nats.actor", self.nats.actor),
        ];
        for (key, _) in limits.into_iter().filter(|(_, rate)| rate.per_second == 0 || rate.burst == 0) {
            found.at(key, "expected at least 1 per_second and at least 1 as burst");
        }
        found.url("http.public_url", http.public_url.as_deref());
    }

    fn check_evidence(&self, found: &mut Found) {
        let evidence = &self.evidence;
        if evidence.master_key.is_none() && !evidence.older_master_keys.is_empty() {
            found.at("evidence.master_key", "it is needed where there are older ones: it wraps what is new");
        }
        let older = evidence.older_master_keys.iter().enumerate();
        let older = older.map(|(at, file)| (format!("evidence.older_master_keys[{at}]"), file));
        let newest = evidence.master_key.iter().map(|file| ("evidence.master_key".to_owned(), file));
        for (key, file) in newest.chain(older) {
            if let Err(what) = master_key::read(file) {
                found.at(key, &what);
            }
        }
    }

    fn check_webhooks(&self, found: &mut Found) {
        for (name, webhook) in &self.webhooks {
            found.asked_url(&format!("webhooks.{name}.url"), &webhook.url);
            if let Err(what) = webhook.key() {
                found.at(format!("webhooks.{name}.secret"), &what);
            }
            if webhook.section.as_deref().is_some_and(|section| !is_section(section)) {
                found.at(format!("webhooks.{name}.section"), A_SECTION);
            }
        }
    }

    fn check_people(&self, found: &mut Found) {
        let chiefs = self.people.values().filter(|staff| staff.roles.contains(&Role::Chief));
        if chiefs.count() == 0 {
            found.at("people", "someone must be chief: roles = [\"chief\"]");
        }
        self.check_tokens(found);
        for (name, staff) in &self.people {
            if staff.roles.is_empty() {
                found.at(format!("people.{name}.roles"), "at least one role is needed");
            }
            let judges = staff.roles.iter().any(|role| matches!(role, Role::Chief | Role::Publisher));
            if staff.kind == PersonKind::Machine && judges {
                found.at(format!("people.{name}.roles"), "a machine can't be chief or publisher");
            }
        }
    }

    fn check_nkeys(&self, found: &mut Found) {
        let nats = &self.nats;
        let of_service = [
            ("answer_nkey", &nats.answer_nkey),
            ("write_nkey", &nats.write_nkey),
            ("feed_nkey", &nats.feed_nkey),
        ];
        let of_service = of_service.into_iter().map(|(key, nkey)| (format!("nats.{key}"), nkey));
        let of_people = self.people.iter().map(|(name, staff)| (format!("people.{name}.nkey"), &staff.nkey));
        let of_subscribers =
            nats.subscribers.iter().map(|(name, one)| (format!("nats.subscribers.{name}.nkey"), &one.nkey));
        let mut seen = HashMap::new();
        for (key, nkey) in of_service.chain(of_people).chain(of_subscribers) {
            let Some(nkey) = nkey else { continue };
            let is_users = |pair: nkeys::KeyPair| pair.key_pair_type() == nkeys::KeyPairType::User;
            if !nkeys::KeyPair::from_public_key(nkey).is_ok_and(is_users) {
                found.at(key, "expected the public key of a user, which begins with U");
            } else if let Some(other) = seen.insert(nkey, key.clone()) {
                found.at(key, &format!("{other} is the same key"));
            }
        }
        for (name, subscriber) in &nats.subscribers {
            if !is_token_name(name) {
                found.at(format!("nats.subscribers.{name}"), "a name is 1 to 32 of a-z, 0-9, _ and -");
            }
            if subscriber.section.as_deref().is_some_and(|section| !is_section(section)) {
                found.at(format!("nats.subscribers.{name}.section"), A_SECTION);
            }
        }
        for name in ["copydesk", "copydesk-feed"] {
            if self.log.kind == LogKind::Nats && self.people.contains_key(name) {
                found.at(
                    format!("people.{name}"),
                    "the service's own inboxes are called so: take another name",
                );
            }
        }
    }

    fn check_tokens(&self, found: &mut Found) {
        let mut seen = HashMap::new();
        for (name, staff) in &self.people {
            let one = staff.token.map(|hash| (format!("people.{name}.token"), hash, UNNAMED));
            let several = staff.tokens.iter().enumerate().map(|(number, token)| {
                (format!("people.{name}.tokens[{number}]"), token.sha256, token.name.as_str())
            });
            let mut names = BTreeSet::new();
            for (key, hash, called) in one.into_iter().chain(several) {
                if !is_token_name(called) {
                    found.at(format!("{key}.name"), "a name is 1 to 32 of a-z, 0-9, _ and -");
                } else if !names.insert(called) {
                    found.at(
                        format!("{key}.name"),
                        "another token of theirs is called so (`token = …` is `token`)",
                    );
                }
                match seen.insert(hash, name) {
                    Some(other) if other == name => found.at(key, "they have the same token twice"),
                    Some(other) => found.at(key, &format!("{other} has the same token")),
                    None => {}
                }
            }
        }
    }
}

/// Whether an address names a host, and a port that can be connected to where it names one.
fn names_host(uri: &Uri) -> bool {
    let Some(authority) = uri.authority() else { return false };
    let (host, host_and_port) = (authority.host(), authority.as_str().rsplit('@').next().unwrap_or_default());
    let port = host_and_port.strip_prefix(host).unwrap_or_default();
    host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
        && (port.is_empty() || uri.port_u16().is_some())
}

/// The host that an address names, that of IPv6 in brackets.
fn host_of(url: &str) -> Option<String> {
    Some(url.parse::<Uri>().ok()?.host()?.to_owned())
}

struct Found(Vec<Problem>);

impl Found {
    fn at(&mut self, key: impl Into<String>, what: &str) {
        self.0.push(Problem { key: key.into(), what: what.to_owned(), suggestion: None });
    }

    fn url(&mut self, key: &str, url: Option<&str>) {
        let Some(url) = url else { return };
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if !host.is_some_and(|host| host.starts_with(|c: char| c.is_alphanumeric() || c == '['))
            || url.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            self.at(key, "expected an address that starts with https:// or http://");
        }
    }

    /// One that is asked from here, and not only shown: a host in letters of its own script is written xn--….
    fn asked_url(&mut self, key: &str, url: &str) {
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        if !is_web || !url.parse::<Uri>().is_ok_and(|uri| names_host(&uri)) {
            self.at(key, "expected an address that starts with https:// or http://, its host in ASCII");
        }
    }
}
