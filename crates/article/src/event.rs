//! The envelope of events (CloudEvents 1.0), frozen for ever: indexes, wire order and proofs rest on it even
//! where an event's data is of a newer build (promise 13).

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::article::{Stage, Status};
use crate::command::Data;
use crate::ids::{BlockId, DESK};
use crate::newsroom::{ActorKind, NewsroomSet};

/// A moment, in UTC, to the microsecond.
pub type Time = DateTime<Utc>;

/// What every type of ours starts with.
const TYPE_PREFIX: &str = "copydesk.";

/// Fixed-size bytes written as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex<const N: usize>(pub [u8; N]);

/// A SHA-256.
pub type Hash = Hex<32>;
/// Random bytes that keep a hash from being guessed back.
pub type Salt = Hex<16>;

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits<const N: usize>;
        impl<const N: usize> de::Visitor<'_> for Digits<N> {
            type Value = Hex<N>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} lower-case hex digits", 2 * N)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Hex<N>, E> {
                let mut bytes = [0; N];
                if text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(E::custom("hex digits must be lower-case"));
                }
                hex::decode_to_slice(text, &mut bytes)
                    .map_err(|_| E::custom("not hex of the right length"))?;
                Ok(Hex(bytes))
            }
        }
        deserializer.deserialize_str(Digits)
    }
}

impl<const N: usize> JsonSchema for Hex<N> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Hex{N}").into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": format!("^[0-9a-f]{{{}}}$", 2 * N) })
    }
}

/// What an event puts on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnWire {
    /// An edition.
    Edition,
    /// A withdrawal.
    Withdrawal,
}

/// An event's envelope and data, CloudEvents 1.0 in structured JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Envelope<D> {
    /// Always `1.0`.
    pub specversion: SpecVersion,
    /// UUIDv5 of `<subject>/<command id>`.
    pub id: Uuid,
    /// `/<prefix>`.
    pub source: Arc<str>,
    /// `copydesk.article.drafted` and so on.
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    /// The article's id, or `desk`.
    pub subject: Arc<str>,
    /// When it was decided; never before the article's last event.
    pub time: Time,
    /// Always `application/json`.
    pub datacontenttype: ContentType,
    /// Who did it, as the transport established.
    pub actor: Arc<str>,
    /// What the actor is.
    pub actorkind: ActorKind,
    /// The command's id: its idempotency key within its article.
    pub command: Uuid,
    /// SHA-256 of the salt's 16 bytes, followed by the RFC 8785 form of the command's content: an object of
    /// `article`, `base`, `data`, `expect` and `type`, where what wasn't sent is null and absent data is `{}`. Where the
    /// command asked for something to be sealed: HMAC-SHA-256 of the same, with a secret of the box's key.
    pub commandhash: Hash,
    /// How many events the article has with this one.
    pub articleversion: u32,
    /// How many times its words or metadata have changed.
    pub revision: u32,
    /// The version of the newsroom line it was decided under.
    pub deskversion: u32,
    /// What it puts on the wire, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<OnWire>,
    /// SHA-256 of the RFC 8785 form of the public form, for what goes on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub editiondigest: Option<Hash>,
    /// 16 random bytes.
    pub salt: Salt,
    /// What happened.
    pub data: D,
}

macro_rules! constant {
    ($(#[$doc:meta])* $name:ident, $text:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            /// The only value there is.
            #[serde(rename = $text)]
            Only,
        }
    };
}
constant!(
    /// The version of CloudEvents.
    SpecVersion, "1.0");
constant!(
    /// The media type of `data`.
    ContentType, "application/json");

/// What an answer said that the rest of the event doesn't: the same command, sent again, gets it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The working copy's stage after the event.
    pub stage: Stage,
    /// What readers have after the event.
    pub status: Status,
    /// The claim or query made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The blocks made, in the order of the command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockId>,
    /// The number of the edition or withdrawal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<u32>,
    /// Consequences that the sender may not expect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

impl Default for Said {
    fn default() -> Self {
        Self {
            stage: Stage::Draft,
            status: Status::Unpublished,
            created: None,
            blocks: Vec::new(),
            edition: None,
            warnings: Vec::new(),
        }
    }
}

/// A consequence of something accepted that the sender may not expect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Warning {
    /// `link_dropped`, `publication_will_be_held`, or a gate reason.
    pub code: String,
    /// For people.
    pub detail: String,
    /// The block it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockId>,
    /// The field it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The claim it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<crate::ids::ClaimId>,
    /// The query it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<crate::ids::QueryId>,
}

/// An event of an article, fully understood.
pub type Event = Envelope<Data>;
/// An event of the newsroom line.
pub type NewsroomEvent = Envelope<NewsroomSet>;

/// What stored bytes turned out to be.
#[derive(Debug)]
pub enum Read {
    /// An event of an article.
    Event(Box<Event>),
    /// An event of the newsroom line.
    Newsroom(Box<NewsroomEvent>),
    /// An envelope of ours whose type, version or members this build doesn't fully understand: its article is
    /// set aside.
    NotUnderstood {
        /// The members that are frozen for ever.
        frozen: Frozen,
        /// What isn't understood, without any of the event's text.
        why: String,
    },
    /// No envelope of ours at all: not history. Counted, listed and passed over.
    Foreign,
}

/// The members of the envelope that hold for every build, past and future.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Frozen {
    /// As in [`Envelope::id`].
    pub id: Uuid,
    /// As in [`Envelope::kind`].
    #[serde(rename = "type")]
    pub kind: String,
    /// As in [`Envelope::subject`].
    pub subject: String,
    /// As in [`Envelope::time`].
    pub time: Time,
    /// As in [`Envelope::command`].
    pub command: Uuid,
    /// As in [`Envelope::articleversion`].
    pub articleversion: u32,
    /// As in [`Envelope::wire`]; any other word is of a newer build.
    #[serde(default)]
    pub wire: Option<String>,
    /// As in [`Envelope::editiondigest`].
    #[serde(default)]
    pub editiondigest: Option<Hash>,
}

impl Frozen {
    /// The frozen members of stored bytes that were found on `subject`; none where they are no envelope of ours.
    pub fn read(subject: &str, bytes: &[u8]) -> Option<Frozen> {
        let frozen: Frozen = serde_json::from_slice(bytes).ok()?;
        (frozen.subject == subject && frozen.kind.starts_with(TYPE_PREFIX)).then_some(frozen)
    }
}

/// Reads stored bytes that were found on `subject`.
pub fn read(subject: &str, bytes: &[u8]) -> Read {
    let outcome = if subject == DESK {
        serde_json::from_slice::<NewsroomEvent>(bytes).map_err(|error| place(&error)).and_then(|event| {
            match &*event.kind {
                NewsroomSet::TYPE => Ok(Read::Newsroom(Box::new(event))),
                _ => Err("an unknown type".to_owned()),
            }
        })
    } else {
        read_event(bytes).map(|event| Read::Event(Box::new(event)))
    };
    let why = match outcome {
        Ok(Read::Event(event)) if *event.subject == *subject => return Read::Event(event),
        Ok(Read::Newsroom(event)) if *event.subject == *subject => return Read::Newsroom(event),
        Ok(_) => return Read::Foreign,
        Err(why) => why,
    };
    match Frozen::read(subject, bytes) {
        Some(frozen) => Read::NotUnderstood { frozen, why },
        None => Read::Foreign,
    }
}

fn read_event(bytes: &[u8]) -> Result<Event, String> {
    let raw: Envelope<&RawValue> = serde_json::from_slice(bytes).map_err(|error| place(&error))?;
    let data = Data::read(&raw.kind, raw.data)?;
    Ok(raw.with(data))
}

/// Where a JSON error lies; its own words may quote the text.
pub(crate) fn place(error: &serde_json::Error) -> String {
    format!("not readable at line {} column {}", error.line(), error.column())
}

impl<D> Envelope<D> {
    /// The same envelope around other data.
    pub fn with<E>(self, data: E) -> Envelope<E> {
        Envelope {
            specversion: self.specversion,
            id: self.id,
            source: self.source,
            kind: self.kind,
            subject: self.subject,
            time: self.time,
            datacontenttype: self.datacontenttype,
            actor: self.actor,
            actorkind: self.actorkind,
            command: self.command,
            commandhash: self.commandhash,
            articleversion: self.articleversion,
            revision: self.revision,
            deskversion: self.deskversion,
            wire: self.wire,
            editiondigest: self.editiondigest,
            salt: self.salt,
            data,
        }
    }
}

/// The bytes that are stored: built once for each event.
///
/// # Errors
/// Where a value can't be written as JSON, which no event of ours is.
pub fn write<D: Serialize>(event: &Envelope<D>) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::with_capacity(2_048);
    serde_json::to_writer(&mut bytes, event)?;
    Ok(bytes)
}
