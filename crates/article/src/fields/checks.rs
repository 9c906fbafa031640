//! What each field must look like: values as sent, checked and given the shape in which they are stored.

use std::sync::Arc;

use super::stored::Shape;
use super::{FieldName, Image, SentImage, Source, Value};
use crate::limits;
use crate::problem::Problem;
use crate::text::{self, Span, Text};

/// A value as sent, of whichever shape.
pub(super) enum Sent {
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
pub(super) struct Check<'a> {
    pub place: String,
    pub by: &'a Arc<str>,
    pub old: Option<&'a Value>,
}

impl Check<'_> {
    /// The value to store; none where what was sent is empty, which is the same as null.
    pub fn value(&self, name: FieldName, sent: Sent) -> Result<Option<Value>, Problem> {
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
fn uri(pointer: &str, line: &str) -> Result<String, Problem> {
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
fn attributed(line: &str, old: Option<&Text>, by: &Arc<str>) -> Text {
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
