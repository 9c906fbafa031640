//! What the shapes alone can't say: names, addresses, and what doesn't go together.

use std::collections::BTreeMap;
use std::sync::Arc;

use copydesk_article::fields::{Fields, SentFields, is_section};
use copydesk_article::json::nearest;
use copydesk_article::newsroom::{PersonKind, Role};
use copydesk_public::POLICIES;

use super::{Config, LogKind, Problem, master_key};

/// Copies that JetStream can keep of a stream.
const REPLICAS: std::ops::RangeInclusive<u8> = 1..=5;

const A_SECTION: &str = "a section is up to 4 tokens of a-z, 0-9 and -, joined by /";

impl Config {
    /// Everything that is wrong with it; empty means that it can be used. To be asked again after an option of
    /// the command line took the place of a key.
    pub fn check(&self) -> Vec<Problem> {
        let mut found = Found(self.check_for_feed());
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
        if !http.listen.ip().is_loopback() && !http.behind_proxy {
            found.at(
                "http.listen",
                "loopback only unless behind_proxy is set: copydesk doesn't speak TLS, and tokens would cross \
                 the network in clear. Listen on 127.0.0.1, or put a proxy in front and set behind_proxy = true",
            );
        }
        if http.limits.in_flight == 0 {
            found.at("http.limits.in_flight", "expected at least 1");
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
            found.url(&format!("webhooks.{name}.url"), Some(&webhook.url));
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
        let mut seen = BTreeMap::new();
        for (name, staff) in &self.people {
            if staff.roles.is_empty() {
                found.at(format!("people.{name}.roles"), "at least one role is needed");
            }
            let judges = staff.roles.iter().any(|role| matches!(role, Role::Chief | Role::Publisher));
            if staff.kind == PersonKind::Machine && judges {
                found.at(format!("people.{name}.roles"), "a machine can't be chief or publisher");
            }
            if let Some(other) = staff.token.and_then(|token| seen.insert(token, name)) {
                found.at(format!("people.{name}.token"), &format!("{other} has the same token"));
            }
        }
    }
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
}
