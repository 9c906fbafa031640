//! What copydesk asks of a server and of a stream, and the words in which it says what is missing.
//!
//! A stream that forgets (a limit, an age, an interest policy), that can be rewritten (roll-ups, purges), that
//! writes by itself (mirrors, schedules, counters, transforms) or that acknowledges before it has written can't
//! carry the promises, however well the rest works. So the configuration is compared setting by setting, in the
//! server's own words: the settings of newer servers than the client library knows are compared too.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::api::nanos;

/// The oldest server that is used; Jepsen found acknowledged messages lost with 2.12.1. Only the server that the
/// connection is made to can be asked: a cluster's others are the operator's to keep up to date.
pub const OLDEST_SERVER: Version = Version { major: 2, minor: 12, patch: 3, pre_release: false };
/// The oldest server that syncs a batch once; older ones sync each of its messages, and stage them beside that, so that
/// a batch is slower than its messages.
pub const OLDEST_BATCHING: Version = Version { major: 2, minor: 15, patch: 0, pre_release: false };
/// The smallest `max_payload` of a server, in bytes: an edition of 900 KiB with its headers, and room for both.
pub const SMALLEST_MAX_PAYLOAD: usize = 1024 * 1024;
/// How long the server remembers message ids. Only a convenience for repeats in clusters: what makes an append
/// idempotent is its expectation.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// The setting of streams that take atomic batches.
pub(super) const BATCHES: &str = "allow_atomic";
/// The metadata entry that ties a stream to its log.
pub const IDENTITY_KEY: &str = "copydesk_log";

/// A server's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    major: u64,
    minor: u64,
    patch: u64,
    pre_release: bool,
}

impl Version {
    /// Reads `2.12.3`, `v2.12.3`, `2.12.3-RC.1`, `2.13.0-dev`, `2.12.3+build`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let text = text.split('+').next()?;
        let (numbers, pre_release) = match text.split_once('-') {
            Some((numbers, _)) => (numbers, true),
            None => (text, false),
        };
        let mut numbers = numbers.split('.').map(|n| n.parse().ok());
        let version =
            Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()??, pre_release };
        numbers.next().is_none().then_some(version)
    }

    /// Whether this is `other` or newer. A pre-release is older than its release.
    pub fn is_at_least(&self, other: &Self) -> bool {
        let key = |v: &Self| (v.major, v.minor, v.patch, !v.pre_release);
        key(self) >= key(other)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// What is wrong with the server, if anything.
pub(super) fn server(version: &str, max_payload: usize) -> Result<(), String> {
    if !Version::parse(version).is_some_and(|v| v.is_at_least(&OLDEST_SERVER)) {
        return Err(format!(
            "the NATS server is version {version:?}; {OLDEST_SERVER} or newer is needed: upgrade nats-server"
        ));
    }
    if max_payload < SMALLEST_MAX_PAYLOAD {
        return Err(format!(
            "the NATS server takes messages of at most {max_payload} bytes; editions need \
             {SMALLEST_MAX_PAYLOAD}: set `max_payload: 1MB` or more in its configuration and reload it"
        ));
    }
    Ok(())
}

/// Whether batches are of use with this server, where it syncs what it takes.
pub(super) fn batches_pay(version: &str) -> bool {
    Version::parse(version).is_some_and(|v| v.is_at_least(&OLDEST_BATCHING))
}

/// What a stream of ours should be.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub name: String,
    pub subjects: String,
    pub replicas: usize,
    /// Whether the stream may take atomic batches; it is made so that it does.
    pub may_batch: bool,
}

impl Plan {
    /// The configuration to create it with.
    pub(super) fn config(&self, identity: Uuid) -> Value {
        json!({
            "name": self.name,
            "description": "copydesk: never purge, edit or delete by hand",
            "subjects": [self.subjects],
            "retention": "limits",
            "max_consumers": -1,
            "max_msgs": -1,
            "max_bytes": -1,
            "max_age": 0,
            "max_msgs_per_subject": -1,
            "max_msg_size": -1,
            "discard": "new",
            "storage": "file",
            "num_replicas": self.replicas,
            "duplicate_window": nanos(DUPLICATE_WINDOW),
            "deny_delete": false,
            "deny_purge": true,
            "allow_rollup_hdrs": false,
            "allow_direct": false,
            BATCHES: self.may_batch,
            "metadata": { IDENTITY_KEY: identity.to_string() },
        })
    }

    /// The identity of the log that the stream says it belongs to.
    pub(super) fn identity(&self, config: &Value) -> Result<Uuid, String> {
        let name = &self.name;
        let said = config.get("metadata").and_then(|m| m.get(IDENTITY_KEY)).and_then(Value::as_str);
        match said.map(Uuid::parse_str) {
            Some(Ok(identity)) => Ok(identity),
            Some(Err(_)) => Err(format!(
                "stream {name}: its metadata {IDENTITY_KEY} is {said:?}, which is no UUID: set it back to the \
                 log's identity with `nats stream edit {name} --metadata={IDENTITY_KEY}=<uuid>`"
            )),
            None => Err(format!(
                "stream {name}: its metadata has no {IDENTITY_KEY}, the UUID that says which log it belongs to: \
                 if the stream is meant for copydesk, `nats stream edit {name} \
                 --metadata={IDENTITY_KEY}=<uuid>`, the same for all streams of the log"
            )),
        }
    }

    /// Everything that is wrong with the stream's configuration, in one message.
    pub(super) fn check(&self, config: &Value) -> Result<(), String> {
        let wrong: Vec<String> =
            self.settings().iter().filter_map(|s| s.complaint(&self.name, config)).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    /// The settings that matter: each with its default where the server leaves it out, what it has to be, and
    /// how to mend it.
    fn settings(&self) -> Vec<Setting> {
        let flag = |flag: &str| Mend::Flag(flag.to_owned());
        let is = |key, default: Value, wanted: Value, mend| Setting { key, default, wanted, mend };
        let off = |key, mend| is(key, json!(false), json!(false), mend);
        let none = |key, mend| is(key, Value::Null, Value::Null, mend);
        let mut settings = vec![
            is("storage", json!("file"), json!("file"), Mend::Remake),
            is("retention", json!("limits"), json!("limits"), flag("--retention=limits")),
            is(
                "subjects",
                Value::Null,
                json!([self.subjects]),
                Mend::Flag(format!("--subjects='{}'", self.subjects)),
            ),
            is("max_msgs", json!(-1), json!(-1), flag("--max-msgs=-1")),
            is("max_bytes", json!(-1), json!(-1), flag("--max-bytes=-1")),
            is("max_age", json!(0), json!(0), flag("--max-age=0s")),
            is("max_msgs_per_subject", json!(-1), json!(-1), flag("--max-msgs-per-subject=-1")),
            is("max_msg_size", json!(-1), json!(-1), flag("--max-msg-size=-1")),
            is("max_consumers", json!(-1), json!(-1), Mend::Remake),
            is("discard", json!("old"), json!("new"), flag("--discard=new")),
            off("discard_new_per_subject", flag("--no-discard-per-subject")),
            is(
                "num_replicas",
                json!(1),
                json!(self.replicas),
                Mend::FlagOr(
                    format!("--replicas={}", self.replicas),
                    "set nats.replicas in copydesk's configuration to what the stream has",
                ),
            ),
            off("no_ack", flag("--ack")),
            is(
                "duplicate_window",
                json!(nanos(DUPLICATE_WINDOW)),
                json!(nanos(DUPLICATE_WINDOW)),
                flag("--dupe-window=2m"),
            ),
            is("deny_purge", json!(false), json!(true), flag("--deny-purge")),
            off("deny_delete", Mend::Remake),
            off("sealed", Mend::Remake),
            off("allow_rollup_hdrs", flag("--no-allow-rollup")),
            is("first_seq", json!(0), json!(0), Mend::Remake),
            none("mirror", flag("--no-mirror")),
            none("sources", Mend::File),
            none("republish", flag("--no-republish")),
            none("subject_transform", flag("--no-transform")),
            none("consumer_limits", Mend::File),
            off("allow_msg_ttl", Mend::Remake),
            is("subject_delete_marker_ttl", json!(0), json!(0), Mend::File),
            off("allow_msg_counter", Mend::Remake),
            off("allow_msg_schedules", Mend::Remake),
            off("allow_batched", Mend::File),
            is("persist_mode", json!("default"), json!("default"), Mend::Remake),
        ];
        if !self.may_batch {
            settings.push(off(BATCHES, flag("--no-allow-batch")));
        }
        settings
    }
}

/// How an operator mends a setting.
#[derive(Debug)]
enum Mend {
    /// With an option of `nats stream edit`.
    Flag(String),
    /// So, or otherwise.
    FlagOr(String, &'static str),
    /// With the whole configuration as a file.
    File,
    /// The server doesn't let it be changed.
    Remake,
}

#[derive(Debug)]
struct Setting {
    key: &'static str,
    default: Value,
    wanted: Value,
    mend: Mend,
}

impl Setting {
    /// What is wrong, what it should be, and what to do; `None` where it is right.
    fn complaint(&self, stream: &str, config: &Value) -> Option<String> {
        let is = match config.get(self.key) {
            None | Some(Value::Null) => &self.default,
            // The server writes an unset group of settings as an empty one.
            Some(Value::Object(empty)) if empty.is_empty() => &self.default,
            Some(Value::Array(empty)) if empty.is_empty() => &self.default,
            // "No limit" is written as 0 or -1.
            Some(Value::Number(n)) if self.wanted == json!(-1) && n.as_i64() == Some(0) => &self.wanted,
            Some(Value::String(s)) if s.is_empty() => &self.default,
            Some(value) => value,
        };
        if *is == self.wanted {
            return None;
        }
        let wanted = match &self.wanted {
            Value::Null => "unset".to_owned(),
            wanted => wanted.to_string(),
        };
        let key = self.key;
        let mend = match &self.mend {
            Mend::Flag(flag) => format!("`nats stream edit {stream} {flag}`"),
            Mend::FlagOr(flag, other) => format!("`nats stream edit {stream} {flag}`, or {other}"),
            Mend::File => format!(
                "save `nats stream info {stream} --json`, take {key} out of its config and apply that with \
                 `nats stream edit {stream} --config=FILE`"
            ),
            Mend::Remake => format!(
                "the server doesn't let it be changed: `nats stream backup {stream} DIR`, mend {key} in DIR's \
                 backup.json, remove the stream and `nats stream restore DIR`"
            ),
        };
        Some(format!("stream {stream}: {key} is {is}; it has to be {wanted}: {mend}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_with_their_pre_releases() {
        let suits = |text: &str| Version::parse(text).is_some_and(|v| v.is_at_least(&OLDEST_SERVER));
        for good in
            ["2.12.3", "v2.12.3", "2.12.8", "2.12.10", "2.13.0-dev", "2.15.1", "3.0.0-beta.1", "2.12.4-RC.1"]
        {
            assert!(suits(good), "{good}");
        }
        for bad in [
            "2.12.2",
            "2.12.3-RC.1",
            "2.12.3-beta+1",
            "2.11.99",
            "2.2.30",
            "1.99.99",
            "",
            "2",
            "2.12",
            "a.b.c",
            "2.12.3.4",
        ] {
            assert!(!suits(bad), "{bad}");
        }
    }

    #[test]
    fn batches_are_for_servers_that_sync_them_once() {
        assert!(batches_pay("2.15.0") && batches_pay("2.15.1") && batches_pay("3.0.0"));
        assert!(!batches_pay("2.14.6") && !batches_pay("2.12.8") && !batches_pay("?"));
    }

    #[test]
    fn a_small_max_payload_is_refused() {
        assert!(server("2.12.8", SMALLEST_MAX_PAYLOAD).is_ok());
        let said = server("2.12.8", 65_536).unwrap_err();
        assert!(said.contains("65536") && said.contains("max_payload"), "{said}");
        assert!(server("2.12.2", SMALLEST_MAX_PAYLOAD).unwrap_err().contains("2.12.3 or newer"));
    }

    #[test]
    fn the_plan_passes_its_own_check_and_garbage_does_not_panic() {
        let plan =
            Plan { name: "D_EVENTS".into(), subjects: "d.event.*".into(), replicas: 3, may_batch: false };
        let identity = Uuid::from_u128(7);
        let config = plan.config(identity);
        assert_eq!(plan.check(&config), Ok(()));
        assert_eq!(plan.identity(&config), Ok(identity));
        for garbage in [json!(null), json!([]), json!("x"), json!({"subjects": 3, "metadata": []})] {
            assert!(plan.check(&garbage).is_err());
            assert!(plan.identity(&garbage).is_err());
        }
    }
}
