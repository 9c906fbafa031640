//! The fields of an article beside its body: their names, their stored values, how senders write them, and what
//! each must look like.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits;
use crate::problem::Problem;
use crate::text::{self, Span, Text};
use crate::words::{Words, debug_by_name};

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident $name:literal $member:ident: $sent:ty;)*) => {
        /// The name of a field.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum FieldName { $($(#[$doc])* $variant,)* }

        impl FieldName {
            /// Every field, in the order in which people read them.
            pub const ALL: &'static [FieldName] = &[$(FieldName::$variant),*];
            /// Their names, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($name),*];
            /// The name as it stands in commands and events.
            pub fn name(self) -> &'static str { match self { $(FieldName::$variant => $name,)* } }
        }

        /// Fields as senders write them: left out means untouched, null means taken away.
        #[derive(Clone, Default, PartialEq, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct SentFields {
            $($(#[$doc])* #[serde(deserialize_with = "given")] pub $member: Option<Option<$sent>>,)*
        }

        impl SentFields {
            /// Checks what was sent and gives it the shape in which it is stored; `old` are the present values,
            /// for the writers of words that stay.
            ///
            /// # Errors
            /// `invalid` or `too_large`, with the place below `pointer`.
            pub fn checked(
                self,
                pointer: &str,
                by: &Arc<str>,
                old: &Fields,
            ) -> Result<BTreeMap<FieldName, Option<Value>>, Problem> {
                let mut values = BTreeMap::new();
                $(if let Some(sent) = self.$member {
                    let check = Check { place: format!(concat!("{}/", $name), pointer), by, old: old.value(FieldName::$variant) };
                    let value = sent.map(|sent| check.value(FieldName::$variant, sent.into())).transpose()?;
                    values.insert(FieldName::$variant, value.flatten());
                })*
                Ok(values)
            }
        }
    };
}

fields! {
    /// The newsroom's name for the story.
    Slug "slug" slug: String;
    /// The language, as a BCP 47 tag.
    Language "language" language: String;
    /// The headline.
    Headline "headline" headline: String;
    /// What leads into the story, below the headline.
    Standfirst "standfirst" standfirst: String;
    /// Who wrote it, as readers see it.
    Byline "byline" byline: String;
    /// Where it was written, as readers see it.
    Dateline "dateline" dateline: String;
    /// The section: up to 4 tokens of `[a-z0-9-]`, joined by `/`.
    Section "section" section: String;
    /// 1 (highest) to 9.
    Urgency "urgency" urgency: u8;
    /// Free keywords.
    Keywords "keywords" keywords: Vec<String>;
    /// IPTC mediatopics, as `medtop:20000065`.
    Subjects "subjects" subjects: Vec<String>;
    /// People in the story.
    People "people" people: Vec<String>;
    /// Organisations in the story.
    Organisations "organisations" organisations: Vec<String>;
    /// Places in the story.
    Places "places" places: Vec<String>;
    /// The article's picture.
    Image "image" image: SentImage;
    /// URIs of related stories.
    Related "related" related: Vec<String>;
    /// Where the story came from.
    Source "source" source: Source;
}

impl SentFields {
    /// The fields that an article has from its draft on, and what is sent for them.
    pub(crate) fn needed(&self) -> [(&'static str, &Option<Option<String>>); 2] {
        [("slug", &self.slug), ("language", &self.language)]
    }
}

debug_by_name! { SentFields, Image, Source }

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Words::from(self.words()).fmt(f)
    }
}

/// A picture as senders write it.
#[derive(Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SentImage {
    /// Where the picture is.
    pub uri: String,
    /// What it shows, for those who don't see it.
    pub alt: Option<String>,
    /// What stands below it.
    pub caption: Option<String>,
    /// Who made it.
    pub credit: Option<String>,
    /// On what terms it may be used.
    pub rights: Option<String>,
}

/// A picture as stored.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Where the picture is.
    pub uri: String,
    /// What it shows, for those who don't see it.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub alt: Text,
    /// What stands below it.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub caption: Text,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<String>,
    /// On what terms it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rights: Option<String>,
}

/// Where a story came from.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The house or agency.
    pub name: String,
    /// Its own name for the story.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its version of the story.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Staff or wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SourceKind>,
}

/// Whether a story was begun here or came over a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Begun here.
    Staff,
    /// Came over a wire.
    Wire,
}

/// A field's value as stored.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Words, each run with its writer: headline, standfirst.
    Text(Text),
    /// One line without writers.
    Line(String),
    /// A number.
    Number(u8),
    /// A list of lines.
    List(Vec<String>),
    /// A picture.
    Image(Image),
    /// Where the story came from.
    Source(Source),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Text(text) => text.serialize(serializer),
            Value::Line(line) => line.serialize(serializer),
            Value::Number(number) => number.serialize(serializer),
            Value::List(list) => list.serialize(serializer),
            Value::Image(image) => image.serialize(serializer),
            Value::Source(source) => source.serialize(serializer),
        }
    }
}

impl Value {
    /// The value as a reader or a newsroom tool sees it: in the shape of the command.
    pub fn shown(&self) -> serde_json::Value {
        match self {
            Value::Text(text) => text.plain().into(),
            Value::Line(line) => line.clone().into(),
            Value::Number(number) => (*number).into(),
            Value::List(list) => list.clone().into(),
            Value::Image(image) => {
                let mut shown = serde_json::Map::new();
                let parts = [
                    ("uri", Some(image.uri.clone())),
                    ("alt", Some(image.alt.plain()).filter(|t| !t.is_empty())),
                    ("caption", Some(image.caption.plain()).filter(|t| !t.is_empty())),
                    ("credit", image.credit.clone()),
                    ("rights", image.rights.clone()),
                ];
                for (name, part) in parts {
                    if let Some(part) = part {
                        shown.insert(name.to_owned(), part.into());
                    }
                }
                shown.into()
            }
            Value::Source(source) => serde_json::to_value(source).unwrap_or_default(),
        }
    }

    /// The value as one text, for its length and for whether it says anything.
    pub fn words(&self) -> String {
        match self.shown() {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        }
    }

    /// Whether readers see the same in both, whoever wrote it.
    pub fn same_as(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Text(a), Value::Text(b)) => a.same_words_and_marks(b),
            (Value::Image(a), Value::Image(b)) => {
                a.alt.same_words_and_marks(&b.alt)
                    && a.caption.same_words_and_marks(&b.caption)
                    && (&a.uri, &a.credit, &a.rights) == (&b.uri, &b.credit, &b.rights)
            }
            _ => self == other,
        }
    }
}

/// A field with the revision at which it last changed and who changed it. A value taken away leaves its place,
/// so that someone who edits from an older base is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// The value; none where it was taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The revision at which it last changed.
    pub revision: u32,
    /// Who changed it.
    pub by: Arc<str>,
}

/// The fields of an article.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub BTreeMap<FieldName, Arc<Field>>);

impl Fields {
    /// A field, whether or not it has a value.
    pub fn get(&self, name: FieldName) -> Option<&Arc<Field>> {
        self.0.get(&name)
    }

    /// A field's value.
    pub fn value(&self, name: FieldName) -> Option<&Value> {
        self.0.get(&name).and_then(|field| field.value.as_ref())
    }

    /// The value of a field that is one line.
    pub fn line(&self, name: FieldName) -> Option<&str> {
        match self.value(name) {
            Some(Value::Line(line)) => Some(line),
            _ => None,
        }
    }

    /// The value of a field that is a text.
    pub fn text(&self, name: FieldName) -> Option<&Text> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The value of a field that is a list; empty where there is none.
    pub fn list(&self, name: FieldName) -> &[String] {
        match self.value(name) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// The article's picture.
    pub fn image(&self) -> Option<&Image> {
        match self.value(FieldName::Image) {
            Some(Value::Image(image)) => Some(image),
            _ => None,
        }
    }

    /// Every field that has a value, in order.
    pub fn values(&self) -> impl Iterator<Item = (FieldName, &Value)> {
        self.0.iter().filter_map(|(name, field)| field.value.as_ref().map(|value| (*name, value)))
    }
}

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
enum Shape {
    Text,
    Line,
    Number,
    List,
    Image,
    Source,
}

impl FieldName {
    fn shape(self) -> Shape {
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

/// Tells a field that was left out (`None`) from one that was set to null (`Some(None)`).
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A value as sent, of whichever shape.
enum Sent {
    Line(String),
    Number(u8),
    List(Vec<String>),
    Image(SentImage),
    Source(Source),
}

macro_rules! sent {
    ($($from:ty => $variant:ident,)*) => {
        $(impl From<$from> for Sent { fn from(value: $from) -> Self { Sent::$variant(value) } })*
    };
}
sent! { String => Line, u8 => Number, Vec<String> => List, SentImage => Image, Source => Source, }

/// One value being checked.
struct Check<'a> {
    place: String,
    by: &'a Arc<str>,
    old: Option<&'a Value>,
}

impl Check<'_> {
    /// The value to store; none where what was sent is empty, which is the same as null.
    fn value(&self, name: FieldName, sent: Sent) -> Result<Option<Value>, Problem> {
        let value = match sent {
            Sent::Line(line) => self.line(name, &line)?,
            Sent::Number(number) => match number {
                1..=9 => Value::Number(number),
                _ => return Err(self.invalid("expected 1 to 9")),
            },
            Sent::List(list) => Value::List(self.list(name, list)?),
            Sent::Image(image) => Value::Image(self.image(image)?),
            Sent::Source(source) => Value::Source(self.source(source)?),
        };
        Ok(match &value {
            Value::Text(text) if text.is_empty() => None,
            Value::Line(line) if line.is_empty() => None,
            Value::List(list) if list.is_empty() => None,
            _ => Some(value),
        })
    }

    fn invalid(&self, what: &str) -> Problem {
        Problem::invalid(self.place.clone(), format!("{}: {what}", self.place))
    }

    fn line(&self, name: FieldName, line: &str) -> Result<Value, Problem> {
        let line = plain(&self.place, line)?;
        if let Shape::Text = name.shape() {
            let old = match self.old {
                Some(Value::Text(text)) => Some(text),
                _ => None,
            };
            return Ok(Value::Text(attributed(&line, old, self.by)));
        }
        short(&self.place, &line)?;
        match name {
            FieldName::Language
                if !line.is_empty() && oxilangtag::LanguageTag::parse(line.as_str()).is_err() =>
            {
                return Err(self.invalid("expected a language tag (BCP 47), such as en or sr-Latn"));
            }
            FieldName::Section if !line.is_empty() && !is_section(&line) => {
                return Err(self.invalid("expected up to 4 tokens of a-z, 0-9 and -, joined by /"));
            }
            FieldName::Slug if text::is_blank(&line) => {
                return Err(self.invalid("a slug can't be blank"));
            }
            _ => {}
        }
        Ok(Value::Line(line))
    }

    fn list(&self, name: FieldName, list: Vec<String>) -> Result<Vec<String>, Problem> {
        let (limit, most) = match name {
            FieldName::Keywords => ("keywords", limits::KEYWORDS),
            _ => ("list_items", limits::LIST_ITEMS),
        };
        if list.len() > most {
            return Err(
                Problem::too_large(limit, format!("{}: at most {most} items", self.place)).at(&self.place)
            );
        }
        let mut kept: Vec<String> = Vec::with_capacity(list.len());
        for (at, item) in list.iter().enumerate() {
            let place = format!("{}/{at}", self.place);
            let item = plain(&place, item)?;
            short(&place, &item)?;
            let wrong = match name {
                _ if text::is_blank(&item) => Some("it is blank"),
                FieldName::Subjects if !is_mediatopic(&item) => {
                    Some("expected a mediatopic, such as medtop:20000065")
                }
                FieldName::Related if !is_uri(&item) => Some("expected an http, https or urn URI"),
                _ => None,
            };
            if let Some(wrong) = wrong {
                return Err(Problem::invalid(place.clone(), format!("{place}: {wrong}")));
            }
            if !kept.contains(&item) {
                kept.push(item);
            }
        }
        Ok(kept)
    }

    fn image(&self, sent: SentImage) -> Result<Image, Problem> {
        let old = match self.old {
            Some(Value::Image(image)) => Some(image),
            _ => None,
        };
        let text = |part: &str, sent: Option<String>, old: Option<&Text>| {
            let line = plain(&format!("{}/{part}", self.place), &sent.unwrap_or_default())?;
            Ok::<_, Problem>(attributed(&line, old, self.by))
        };
        Ok(Image {
            uri: uri(&format!("{}/uri", self.place), &sent.uri)?,
            alt: text("alt", sent.alt, old.map(|image| &image.alt))?,
            caption: text("caption", sent.caption, old.map(|image| &image.caption))?,
            credit: optional(&format!("{}/credit", self.place), sent.credit)?,
            rights: optional(&format!("{}/rights", self.place), sent.rights)?,
        })
    }

    fn source(&self, sent: Source) -> Result<Source, Problem> {
        let name = plain(&format!("{}/name", self.place), &sent.name)?;
        if text::is_blank(&name) {
            return Err(self.invalid("a source needs a name"));
        }
        short(&format!("{}/name", self.place), &name)?;
        Ok(Source {
            name,
            uri: optional(&format!("{}/uri", self.place), sent.uri)?,
            version: optional(&format!("{}/version", self.place), sent.version)?,
            kind: sent.kind,
        })
    }
}

/// A line as it is kept: NFC, no control characters, white space joined.
///
/// # Errors
/// `invalid`, with the place.
pub(crate) fn plain(pointer: &str, line: &str) -> Result<String, Problem> {
    text::plain_line(line).map_err(|refused| Problem::invalid(pointer, format!("{pointer}: {refused}")))
}

/// A short line that may be left out; blank is the same as left out.
///
/// # Errors
/// `invalid` or `too_large`, with the place.
pub(crate) fn optional(pointer: &str, line: Option<String>) -> Result<Option<String>, Problem> {
    let Some(line) = line else { return Ok(None) };
    let line = plain(pointer, &line)?;
    short(pointer, &line)?;
    Ok(Some(line).filter(|line| !text::is_blank(line)))
}

/// # Errors
/// `invalid` for what is no URI that a picture can have.
pub(crate) fn uri(pointer: &str, line: &str) -> Result<String, Problem> {
    let line = plain(pointer, line)?;
    short(pointer, &line)?;
    // In the form that Markdown gives back.
    text::image_uri(&line).ok_or_else(|| {
        Problem::invalid(pointer, format!("{pointer}: expected the http or https address of a picture"))
    })
}

/// # Errors
/// `too_large` for what is longer than [`limits::SHORT_BYTES`].
pub(crate) fn short(pointer: &str, line: &str) -> Result<(), Problem> {
    if line.len() <= limits::SHORT_BYTES {
        return Ok(());
    }
    let detail = format!("{pointer}: at most {} bytes", limits::SHORT_BYTES);
    Err(Problem::too_large("short_text", detail).at(pointer))
}

/// A text without marks, its words given their writers.
pub(crate) fn attributed(line: &str, old: Option<&Text>, by: &Arc<str>) -> Text {
    if line.is_empty() || text::is_blank(line) {
        return Text::default();
    }
    let span = Span { text: line.to_owned(), strong: false, emphasis: false, href: None };
    text::attribute(&[span], old, by)
}

/// Whether it names a section: up to 4 tokens of `[a-z0-9-]`.
pub fn is_section(line: &str) -> bool {
    let token = |t: &str| {
        !t.is_empty() && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    line.split('/').count() <= 4 && line.split('/').all(token)
}

fn is_mediatopic(line: &str) -> bool {
    line.strip_prefix("medtop:")
        .is_some_and(|code| code.len() == 8 && code.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether it is an absolute URI of a scheme that can do no harm on a page.
fn is_uri(line: &str) -> bool {
    let Some((scheme, rest)) = line.split_once(':') else { return false };
    let harmless = match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => {
            rest.strip_prefix("//").is_some_and(|host| !host.is_empty() && !host.starts_with('/'))
        }
        "urn" => rest.contains(':'),
        _ => false,
    };
    harmless
        && !line.chars().any(|c| {
            c.is_whitespace()
                || c.is_control()
                || matches!(c, '<' | '>' | '"' | '\\' | '^' | '`' | '{' | '|' | '}')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> Result<BTreeMap<FieldName, Option<Value>>, Problem> {
        let sent: SentFields = crate::json::parse(json.as_bytes())?.decode("/data/set")?;
        sent.checked("/data/set", &"ana".into(), &Fields::default())
    }

    #[test]
    fn null_takes_away_and_leaving_out_leaves() {
        let values = checked(r#"{"byline":null,"urgency":3}"#).unwrap();
        assert_eq!(values.len(), 2);
        assert_eq!(values[&FieldName::Byline], None);
        assert_eq!(values[&FieldName::Urgency], Some(Value::Number(3)));
    }

    #[test]
    fn each_wrong_value_is_placed() {
        for (json, place) in [
            (r#"{"urgency":0}"#, "/data/set/urgency"),
            (r#"{"urgency":"3"}"#, "/data/set/urgency"),
            (r#"{"section":"World"}"#, "/data/set/section"),
            (r#"{"section":"a/b/c/d/e"}"#, "/data/set/section"),
            (r#"{"language":"not a tag"}"#, "/data/set/language"),
            (r#"{"subjects":["medtop:1"]}"#, "/data/set/subjects/0"),
            (r#"{"related":["javascript:alert(1)"]}"#, "/data/set/related/0"),
            (r#"{"image":{"uri":"javascript:alert(1)"}}"#, "/data/set/image/uri"),
            (r#"{"image":{}}"#, "/data/set/image/uri"),
            (r#"{"keywords":["a"," "]}"#, "/data/set/keywords/1"),
            (r#"{"headline":"a\u0000b"}"#, "/data/set/headline"),
        ] {
            assert_eq!(checked(json).unwrap_err().field.as_deref(), Some(place), "{json}");
        }
    }

    #[test]
    fn values_come_back_from_events_as_they_went_in() {
        let values = checked(
            r#"{"headline":"H","slug":"s","urgency":1,"keywords":["k"],"byline":null,
                "image":{"uri":"https://x.test/a.jpg","alt":"A"},"source":{"name":"AP","kind":"wire"}}"#,
        );
        let changes = FieldChanges(values.unwrap());
        let json = serde_json::to_string(&changes).unwrap();
        assert_eq!(serde_json::from_str::<FieldChanges>(&json).unwrap(), changes);
    }
}
