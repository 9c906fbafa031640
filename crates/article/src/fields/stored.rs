//! Fields as events and state keep them: by name, each in its own shape.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Field, FieldName, Fields, Image, Source, Value};
use crate::text::Text;

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Stored {
            value: Option<serde_json::Value>,
            revision: u32,
            by: Arc<str>,
        }
        let stored = BTreeMap::<FieldName, Stored>::deserialize(deserializer)?;
        let fields = stored.into_iter().map(|(name, Stored { value, revision, by })| {
            let value = value.map(|value| name.read(value).map_err(de::Error::custom)).transpose()?.flatten();
            Ok((name, Arc::new(Field { value, revision, by })))
        });
        fields.collect::<Result<_, D::Error>>().map(Self)
    }
}

/// New values of fields, as events carry them: null for a value taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldChanges(pub BTreeMap<FieldName, Option<Value>>);

impl FieldChanges {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for FieldChanges {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for FieldChanges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Changes;
        impl<'de> Visitor<'de> for Changes {
            type Value = FieldChanges;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("fields by name")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldChanges, A::Error> {
                let mut changes = BTreeMap::new();
                while let Some(name) = map.next_key::<FieldName>()? {
                    if changes.insert(name, map.next_value_seed(OfField(name))?).is_some() {
                        return Err(de::Error::custom("a field is there twice"));
                    }
                }
                Ok(FieldChanges(changes))
            }
        }
        deserializer.deserialize_map(Changes)
    }
}

impl JsonSchema for FieldChanges {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FieldChanges".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut properties = serde_json::Map::new();
        for name in FieldName::ALL {
            let schema = match name.shape() {
                Shape::Text => generator.subschema_for::<Option<Text>>(),
                Shape::Line => generator.subschema_for::<Option<String>>(),
                Shape::Number => generator.subschema_for::<Option<u8>>(),
                Shape::List => generator.subschema_for::<Option<Vec<String>>>(),
                Shape::Image => generator.subschema_for::<Option<Image>>(),
                Shape::Source => generator.subschema_for::<Option<Source>>(),
            };
            properties.insert(name.name().to_owned(), schema.to_value());
        }
        schemars::json_schema!({ "type": "object", "properties": properties, "additionalProperties": false })
    }
}

/// The shapes in which values are stored.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    Line,
    Number,
    List,
    Image,
    Source,
}

impl FieldName {
    pub(super) fn shape(self) -> Shape {
        match self {
            FieldName::Headline | FieldName::Standfirst => Shape::Text,
            FieldName::Slug
            | FieldName::Language
            | FieldName::Byline
            | FieldName::Dateline
            | FieldName::Section => Shape::Line,
            FieldName::Urgency => Shape::Number,
            FieldName::Keywords
            | FieldName::Subjects
            | FieldName::People
            | FieldName::Organisations
            | FieldName::Places
            | FieldName::Related => Shape::List,
            FieldName::Image => Shape::Image,
            FieldName::Source => Shape::Source,
        }
    }

    /// Reads a stored value of this field.
    fn read<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
        Ok(match self.shape() {
            Shape::Text => Option::deserialize(deserializer)?.map(Value::Text),
            Shape::Line => Option::deserialize(deserializer)?.map(Value::Line),
            Shape::Number => Option::deserialize(deserializer)?.map(Value::Number),
            Shape::List => Option::deserialize(deserializer)?.map(Value::List),
            Shape::Image => Option::deserialize(deserializer)?.map(Value::Image),
            Shape::Source => Option::deserialize(deserializer)?.map(Value::Source),
        })
    }
}

struct OfField(FieldName);

impl<'de> de::DeserializeSeed<'de> for OfField {
    type Value = Option<Value>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.read(deserializer)
    }
}
