//! One message of the wire, checked.
//!
//! The wire may be fed by others, or by a newer build. What bears no header of ours is [`Unread::Foreign`]: it
//! is counted and passed over. What bears one and isn't understood, its headers and its body disagreeing
//! included, may be a withdrawal that this build can't read: it is [`Unread::NotUnderstood`], with whatever
//! could be made out of it, so that the fold can stop showing the article's older edition as if it were the
//! newest.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ninjs::Ninjs;

/// A message as the wire carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireMessage {
    /// Its position in the wire, from 1.
    pub seq: u64,
    /// The article's home.
    pub subject: String,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// The ninjs.
    pub body: Bytes,
    /// Whether it was erased by law: then headers and body are empty. Not set where it was deleted in any other way.
    pub erased: bool,
}

/// What an edition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The first edition.
    First,
    /// There is more.
    Update,
    /// It was wrong.
    Correction,
    /// It came back after a withdrawal.
    Reinstatement,
    /// It went.
    Withdrawal,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 5] =
        [Kind::First, Kind::Update, Kind::Correction, Kind::Reinstatement, Kind::Withdrawal];

    /// The kind as it stands on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Kind::First => "first",
            Kind::Update => "update",
            Kind::Correction => "correction",
            Kind::Reinstatement => "reinstatement",
            Kind::Withdrawal => "withdrawal",
        }
    }

    /// The kind of a name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A message that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Its position in the wire.
    pub seq: u64,
    /// The event that it tells of.
    pub event: Uuid,
    /// That event's position in the log.
    pub log_seq: u64,
    /// How many messages the wire has with this one.
    pub count: u64,
    /// The edition's number, from 1.
    pub edition: u32,
    /// What it is.
    pub kind: Kind,
    /// The article.
    pub article: Uuid,
    /// What it says.
    pub ninjs: Ninjs,
    /// The bytes that say it.
    pub body: Bytes,
}

/// A message that was not understood, is none of ours, or was erased.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It bears no header of ours.
    #[error("wire message {seq} bears no header of ours")]
    Foreign {
        /// Its position in the wire.
        seq: u64,
    },
    /// It was erased by law. Whether it was ours nothing says any more.
    #[error("wire message {seq} was erased")]
    Erased {
        /// Its position in the wire.
        seq: u64,
    },
    /// It is ours, and this build can't read it.
    #[error("wire message {seq} can't be understood: {why}")]
    NotUnderstood {
        /// Its position in the wire.
        seq: u64,
        /// The article, as far as can be told.
        article: Option<Uuid>,
        /// The edition's number, as far as can be told.
        edition: Option<u32>,
        /// How many messages the wire has with it, as far as can be told.
        count: Option<u64>,
        /// What is wrong with it; never words of the text.
        why: String,
    },
}

/// What the names of our headers begin with.
const OURS: &str = "copydesk-";

impl WireMessage {
    /// Checks a message.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn read(&self) -> Result<Received, Unread> {
        if self.erased {
            return Err(Unread::Erased { seq: self.seq });
        }
        if !self.headers.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with(OURS)) {
            return Err(Unread::Foreign { seq: self.seq });
        }
        self.understand().map_err(|why| {
            let (article, edition) = self.about();
            Unread::NotUnderstood {
                seq: self.seq,
                article,
                edition,
                count: self.number("Copydesk-Count").ok(),
                why,
            }
        })
    }

    fn understand(&self) -> Result<Received, String> {
        let kind = self.header("Copydesk-Kind")?;
        let kind = Kind::named(kind).ok_or("Copydesk-Kind is none that this build knows")?;
        let edition = self.number("Copydesk-Edition")?;
        // The error of a parser may quote what it read; its place is enough.
        let ninjs: Ninjs = serde_json::from_slice(&self.body).map_err(|error| {
            format!(
                "the body is no ninjs that this build reads, at line {} column {}",
                error.line(),
                error.column()
            )
        })?;
        let article = article_of(&ninjs.uri).ok_or("uri is no urn:uuid")?;
        let received = Received {
            seq: self.seq,
            event: self.header("Copydesk-Event")?.parse().map_err(|_| "Copydesk-Event is no UUID")?,
            log_seq: self.number("Copydesk-Seq")?,
            count: self.number("Copydesk-Count")?,
            edition: u32::try_from(edition).map_err(|_| "Copydesk-Edition is out of bounds")?,
            kind,
            article,
            body: self.body.clone(),
            ninjs,
        };
        self.agrees(&received)?;
        Ok(received)
    }

    /// Whether headers and body say the same.
    fn agrees(&self, received: &Received) -> Result<(), &'static str> {
        let Received { edition, kind, ninjs, .. } = received;
        if *edition == 0 || ninjs.version != edition.to_string() {
            return Err("version and Copydesk-Edition disagree");
        }
        match (ninjs.pub_status.as_str(), kind) {
            ("canceled", Kind::Withdrawal) if ninjs.has_text() => {
                return Err("a withdrawal carries more than its notice");
            }
            ("canceled", Kind::Withdrawal) => {}
            ("usable", kind) if *kind != Kind::Withdrawal => {}
            _ => return Err("pubStatus and Copydesk-Kind disagree"),
        }
        if ninjs.version_created.is_none() {
            return Err("versionCreated is missing");
        }
        match self.id() {
            Some(id) if id != Some((received.article, *edition)) => Err("Nats-Msg-Id and the body disagree"),
            _ => Ok(()),
        }
    }

    /// The article and the edition that a message not understood is about. Where its id and its body disagree
    /// about the article the id counts, as it is what the wire's writer expects by.
    fn about(&self) -> (Option<Uuid>, Option<u32>) {
        #[derive(Deserialize)]
        struct About {
            uri: Option<String>,
        }
        let (article, edition) = self.id().flatten().unzip();
        let body = || serde_json::from_slice::<About>(&self.body).ok()?.uri;
        let header = || self.number("Copydesk-Edition").ok().and_then(|number| u32::try_from(number).ok());
        (article.or_else(|| article_of(&body()?)), edition.or_else(header))
    }

    /// Article and edition by the message's id; none where it has no id, `Some(None)` where it is none of ours.
    fn id(&self) -> Option<Option<(Uuid, u32)>> {
        let id = self.header("Nats-Msg-Id").ok()?;
        let parts = || {
            let (article, edition) = id.split_once('/')?;
            Some((article.parse().ok()?, edition.parse().ok()?))
        };
        Some(parts())
    }

    fn header(&self, wanted: &str) -> Result<&str, String> {
        let mut values = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Ok(value),
            (None, _) => Err(format!("{wanted} is missing")),
            (Some(_), Some(_)) => Err(format!("{wanted} is there twice")),
        }
    }

    fn number(&self, wanted: &str) -> Result<u64, String> {
        self.header(wanted)?.parse().map_err(|_| format!("{wanted} is no number"))
    }
}

fn article_of(uri: &str) -> Option<Uuid> {
    uri.strip_prefix("urn:uuid:")?.parse().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A message as the service writes it.
    pub(crate) fn message(seq: u64, article: Uuid, edition: u32, kind: Kind, ninjs: Value) -> WireMessage {
        let mut body = json!({
            "uri": format!("urn:uuid:{article}"),
            "version": edition.to_string(),
            "pubStatus": if kind == Kind::Withdrawal { "canceled" } else { "usable" },
            "firstCreated": "2025-12-25T08:00:00Z",
            "versionCreated": "2025-12-25T08:00:00Z",
        });
        for (name, value) in ninjs.as_object().unwrap() {
            body[name] = value.clone();
        }
        let header = |name: &str, value: String| (name.to_owned(), value);
        WireMessage {
            seq,
            subject: "world.asia".into(),
            headers: vec![
                header("Nats-Msg-Id", format!("{article}/{edition}")),
                header("Copydesk-Event", Uuid::from_u128(u128::from(seq)).to_string()),
                header("Copydesk-Seq", (seq * 10).to_string()),
                header("Copydesk-Count", seq.to_string()),
                header("Copydesk-Edition", edition.to_string()),
                header("Copydesk-Kind", kind.name().into()),
            ],
            body: body.to_string().into(),
            erased: false,
        }
    }

    const ARTICLE: Uuid = Uuid::from_u128(7);

    fn sample() -> WireMessage {
        message(1, ARTICLE, 2, Kind::Update, json!({"headlines": [{"value": "CANARY"}]}))
    }

    fn with(name: &str, value: &str) -> WireMessage {
        let mut message = sample();
        message.headers.retain(|(header, _)| header != name);
        message.headers.push((name.into(), value.into()));
        message
    }

    #[test]
    fn a_message_of_ours_is_read() {
        let received = sample().read().unwrap();
        assert_eq!((received.article, received.edition, received.kind), (ARTICLE, 2, Kind::Update));
        assert_eq!((received.log_seq, received.count), (10, 1));
        assert_eq!(received.ninjs.headline(), Some("CANARY"));
    }

    #[test]
    fn what_bears_no_header_of_ours_is_foreign() {
        let mut message = sample();
        message.headers = vec![("Nats-Msg-Id".into(), "x".into())];
        assert_eq!(message.read(), Err(Unread::Foreign { seq: 1 }));
        message.erased = true;
        assert_eq!(message.read(), Err(Unread::Erased { seq: 1 }));
    }

    #[test]
    fn headers_and_body_must_agree() {
        let mut unnamed = with("Copydesk-Edition", "3");
        unnamed.headers.retain(|(name, _)| name != "Nats-Msg-Id");
        let mut unreadable = sample();
        unreadable.body = "{\"uri\":\"CANARY".into();
        let mut twice = sample();
        twice.headers.push(("copydesk-kind".into(), "update".into()));
        let mut spoken = message(1, ARTICLE, 2, Kind::Withdrawal, json!({"slugline": "CANARY"}));
        spoken.headers.swap(0, 1);
        for bad in [
            with("Copydesk-Kind", "retraction"),
            with("Copydesk-Kind", "withdrawal"),
            with("Copydesk-Edition", "3"),
            with("Copydesk-Edition", "x"),
            with("Copydesk-Event", "x"),
            with("Nats-Msg-Id", "00000000-0000-0000-0000-000000000007/3"),
            unnamed,
            unreadable,
            twice,
            spoken,
            message(1, ARTICLE, 2, Kind::Update, json!({"pubStatus": "withheld"})),
            message(1, ARTICLE, 2, Kind::Update, json!({"uri": "urn:x"})),
            message(1, ARTICLE, 2, Kind::Update, json!({"versionCreated": null})),
        ] {
            match bad.read() {
                Err(Unread::NotUnderstood { article, why, .. }) => {
                    assert_eq!(article, Some(ARTICLE), "{why}");
                    assert!(!why.contains("CANARY"), "{why}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_withdrawal_carries_its_notice_alone() {
        let withdrawal = |member: &str, value: Value| {
            message(1, ARTICLE, 2, Kind::Withdrawal, json!({ member: value })).read()
        };
        let named = || json!([{"name": "CANARY", "value": "CANARY", "uri": "https://a.example/CANARY"}]);
        let lists = ["headlines", "bodies", "subjects", "people", "organisations", "places", "associations"];
        let words = ["by", "located", "slugline"].map(|member| (member, json!("CANARY")));
        let standfirst = ("descriptions", json!([{"role": "standfirst", "value": "CANARY"}]));
        let all = lists.map(|member| (member, named())).into_iter().chain(words).chain([standfirst]);
        for (member, value) in all {
            assert!(matches!(withdrawal(member, value), Err(Unread::NotUnderstood { .. })), "{member}");
        }
        let notice = json!([{"role": "withdrawal", "value": "2025-12-26T09:00:00Z It was wrong."}]);
        assert_eq!(withdrawal("descriptions", notice).unwrap().kind, Kind::Withdrawal);
    }

    #[test]
    fn without_an_id_the_body_says_which_article_it_is_about() {
        let mut bad = with("Copydesk-Kind", "retraction");
        bad.headers.retain(|(name, _)| name != "Nats-Msg-Id");
        let Err(Unread::NotUnderstood { article, edition, .. }) = bad.read() else { panic!() };
        assert_eq!((article, edition), (Some(ARTICLE), Some(2)));
    }
}
