//! The fields of an article beside its body: their names, their stored values, how senders write them, and what
//! each must look like (`checks`); `stored` reads and writes them in events and state.

mod checks;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::json::given;
use crate::problem::Problem;
use crate::text::Text;
use crate::words::{Words, debug_by_name};

use checks::Check;
pub use checks::is_section;
pub(crate) use checks::{optional, plain, short};
pub use stored::FieldChanges;

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
