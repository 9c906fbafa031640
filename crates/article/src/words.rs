//! Newsroom text that must not end up in logs: its `Debug` shows length and hash only (promise 7).

use std::fmt;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A piece of newsroom text: a quote, a note, a reason, a value of a field.
///
/// It serialises as a plain string; `Debug` gives its length in bytes and the start of its SHA-256, and there
/// is no `Display`, so that it can't slip into a message by accident.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Words(String);

impl Words {
    /// The text itself, for storing, comparing and showing to those who may see it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Gives the text away.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Words {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Deref for Words {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Masked(&self.0).fmt(f)
    }
}

/// A value of a field or the words of a block, as JSON in the shape in which senders write it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shown(Value);

impl Shown {
    /// The value itself, for folding and for showing to those who may see it.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The text, where it is one.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_str()
    }
}

impl<T: Into<Value>> From<T> for Shown {
    fn from(value: T) -> Self {
        Self(value.into())
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Value::String(text) => Masked(text).fmt(f),
            other => Masked(&other.to_string()).fmt(f),
        }
    }
}

impl JsonSchema for Shown {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Shown".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Words as senders write them: of a block, its text with marks, a list's items on lines of their own; of a field, a string, a number, a list, or an object for image and source.",
            "type": ["string", "integer", "array", "object"],
            "items": { "type": "string" },
        })
    }
}

/// Gives types that hold newsroom text a `Debug` that names them and nothing else (promise 7).
macro_rules! debug_by_name {
    ($($name:ident),*) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        })*
    };
}
pub(crate) use debug_by_name;

/// A text whose `Debug` gives what may be said of it in a log: its length in bytes and eight hex digits of its
/// SHA-256.
pub(crate) struct Masked<'a>(pub &'a str);

impl fmt::Debug for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = Sha256::digest(self.0.as_bytes());
        let start = hash.first_chunk::<4>().copied().unwrap_or_default();
        write!(f, "<{} bytes, {}>", self.0.len(), hex::encode(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_length_and_hash_only() {
        let shown = format!("{:?}", Words::from("CANARY"));
        assert!(!shown.contains("CANARY"));
        assert!(shown.starts_with("<6 bytes, "));
        let shown = format!("{:?}", Shown::from(vec!["CANARY"]));
        assert!(shown.starts_with("<10 bytes, ") && !shown.contains("CANARY"), "{shown}");
    }
}
