//! What is read off a message of the wire to send it on and to list it. Less than the public side reads: a message
//! that this build doesn't understand whole is sent all the same, since it may be a withdrawal.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use crate::log::{Content, Entry, Headers, Seq};

/// A message of ours on the wire.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Its position on the wire.
    pub seq: Seq,
    /// The article's home, with dots.
    pub home: String,
    /// When the wire took it.
    pub time: DateTime<Utc>,
    /// The event that it tells of.
    pub event: Uuid,
    /// That event's position in the log, as far as it says.
    pub log_seq: Option<Seq>,
    /// The article; where it doesn't say, the event stands for one.
    pub article: Uuid,
    /// The edition's number, as far as it says.
    pub edition: Option<u32>,
    /// What it is, in the wire's word: plain letters, or empty.
    pub kind: String,
    /// Its headers of ours.
    pub headers: Headers,
    /// The ninjs.
    pub body: Bytes,
}

#[derive(Deserialize)]
struct About {
    uri: String,
}

impl Letter {
    /// Reads a message; none where it is foreign or erased.
    pub fn read(entry: &Entry) -> Option<Letter> {
        let Content::Message { headers, body } = &entry.content else { return None };
        let header = |name: &str| {
            headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
        };
        let event: Uuid = header("Copydesk-Event")?.parse().ok()?;
        let uri = serde_json::from_slice::<About>(body).ok().map(|about| about.uri);
        let article = uri.and_then(|uri| uri.strip_prefix("urn:uuid:")?.parse().ok());
        let kind = header("Copydesk-Kind").unwrap_or_default();
        let is_plain = kind.len() <= 32 && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        Some(Letter {
            seq: entry.seq,
            home: entry.subject.clone(),
            time: entry.time,
            event,
            log_seq: header("Copydesk-Seq").and_then(|seq| seq.parse().ok()),
            article: article.unwrap_or(event),
            edition: header("Copydesk-Edition").and_then(|number| number.parse().ok()),
            kind: if is_plain { kind.to_owned() } else { String::new() },
            headers: headers
                .iter()
                .filter(|(name, _)| name.to_ascii_lowercase().starts_with("copydesk-"))
                .cloned()
                .collect(),
            body: body.clone(),
        })
    }

    /// Whether readers are told that the article is gone.
    pub fn is_withdrawal(&self) -> bool {
        self.kind == "withdrawal"
    }
}
