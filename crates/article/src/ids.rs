//! Names of things: UUIDs derived from commands, and the short ids counted up within an article.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::{Uuid, uuid};

/// Namespace of article ids: a draft without one gets UUIDv5 of its command's id.
pub const ARTICLES: Uuid = uuid!("3c5d7d0e-5f0b-5c38-9d3c-6f3f7a1c9b01");
/// Namespace of event ids: UUIDv5 of `<article>/<command id>`.
pub const EVENTS: Uuid = uuid!("3c5d7d0e-5f0b-5c38-9d3c-6f3f7a1c9b02");
/// Namespace of command ids that the service itself derives (imports, the newsroom line).
pub const COMMANDS: Uuid = uuid!("3c5d7d0e-5f0b-5c38-9d3c-6f3f7a1c9b03");

/// The article that a draft without an `article` makes.
pub fn article_of(command: Uuid) -> Uuid {
    Uuid::new_v5(&ARTICLES, command.as_hyphenated().to_string().as_bytes())
}

/// The event that a command makes on a subject (an article's id, or `desk`).
pub fn event_of(subject: &str, command: Uuid) -> Uuid {
    Uuid::new_v5(&EVENTS, format!("{subject}/{}", command.as_hyphenated()).as_bytes())
}

/// Reads a UUID in its one spelling: lower-case and hyphenated.
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    let lower = text.len() == 36 && !text.bytes().any(|b| b.is_ascii_uppercase());
    Uuid::try_parse(text).ok().filter(|_| lower)
}

/// A UUID as senders write it: any other spelling than lower-case and hyphenated is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct StrictUuid(#[schemars(regex(pattern = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))] pub Uuid);

impl<'de> Deserialize<'de> for StrictUuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_uuid(&text)
            .map(Self)
            .ok_or_else(|| de::Error::custom("expected a UUID, lower-case and hyphenated"))
    }
}

/// Whether `name` can be an actor's: `[a-z0-9_-]{1,32}`, and not `desk`, which is the service itself.
pub fn is_actor_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
        && name != DESK
}

/// The actor of what the service does by itself, and the subject of the newsroom line.
pub const DESK: &str = "desk";

macro_rules! counted {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = &'static str;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                const EXPECTED: &str = concat!("expected an id like ", $prefix, "1");
                let digits = text.strip_prefix($prefix).ok_or(EXPECTED)?;
                let plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
                digits.parse().ok().filter(|_| plain).map(Self).ok_or(EXPECTED)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Id;
                impl de::Visitor<'_> for Id {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("an id like ", $prefix, "1"))
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Id)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": concat!("^", $prefix, "[1-9][0-9]*$"),
                })
            }
        }
    };
}

counted!(
    /// A block's id within its article, never given twice.
    BlockId, "b");
counted!(
    /// A claim's id within its article, never given twice.
    ClaimId, "c");
counted!(
    /// A query's id within its article, never given twice.
    QueryId, "q");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_one_spelling() {
        assert!(parse_uuid("3c5d7d0e-5f0b-5c38-9d3c-6f3f7a1c9b01").is_some());
        for other in [
            "3C5D7D0E-5F0B-5C38-9D3C-6F3F7A1C9B01",
            "3c5d7d0e5f0b5c389d3c6f3f7a1c9b01",
            "{3c5d7d0e-5f0b-5c38-9d3c-6f3f7a1c9b01}",
            "urn:uuid:3c5d7d0e-5f0b-5c38-9d3c-6f3f7a1c9b01",
        ] {
            assert!(parse_uuid(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_counted_id_has_one_spelling() {
        assert_eq!("b12".parse(), Ok(BlockId(12)));
        for other in ["b", "b0", "b01", "c1", "b+1", "b1 ", "b99999999999"] {
            assert!(other.parse::<BlockId>().is_err(), "{other}");
        }
    }

    #[test]
    fn desk_is_nobodys_name() {
        assert!(is_actor_name("ana-1_x"));
        for other in ["desk", "", "Ana", "a.b", "a*", &"a".repeat(33)] {
            assert!(!is_actor_name(other), "{other}");
        }
    }
}
