//! An edition as IPTC ninjs 3.1, by the mapping in `schemas/ninjs-mapping.md`.
//!
//! The same edition gives the same bytes. They are one line, whatever reads them: the line separators that JSON
//! admits in strings (U+2028, U+2029, U+0085) are escaped. How long they can be is worked out by
//! [`copydesk_article::bound`], which has to know every member that is written here.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use copydesk_article::article::EditionKind;
use copydesk_article::edition::{Edition, Note, PublicFields, PublicImage};
use copydesk_article::limits;
use schemars::JsonSchema;
use serde::Serialize;

use super::xhtml;

/// Why an edition can't go out; whoever writes the wire stops at it.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A character that XML 1.0 has no place for.
    #[error("the text has U+{:04X}, which XML can't have", u32::from(*c))]
    NotXml {
        /// The character.
        c: char,
    },
    /// A withdrawal that tells readers nothing.
    #[error("the withdrawal has no notice")]
    NoNotice,
    /// Longer than the wire takes.
    #[error("the edition has {bytes} bytes, at most {} go out", limits::EDITION_BYTES)]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// It can't be written as JSON.
    #[error("the edition can't be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Renders an edition, or the notice of a withdrawal.
///
/// # Errors
/// [`RenderError`].
pub fn render(edition: &Edition) -> Result<Vec<u8>, RenderError> {
    let bytes = one_line(&serde_json::to_vec(&ninjs(edition)?)?);
    match bytes.len() {
        length if length > limits::EDITION_BYTES => Err(RenderError::TooLarge { bytes: length }),
        _ => Ok(bytes),
    }
}

const STANDARD: Standard = Standard {
    name: "ninjs",
    version: "3.1",
    schema: "http://www.iptc.org/std/ninjs/ninjs-schema_3.1.json#",
};

/// Machines wrote some of the words, and a person approved them all: of the codes that there are, the one for
/// what people made with something that a model made. A machine of ours may be no model; where the two can't be
/// told apart, readers get the warning.
const WITH_MACHINES: DigitalSourceType = DigitalSourceType {
    uri: "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia",
};

/// The scheme of mediatopics.
const MEDIATOPIC: &str = "http://cv.iptc.org/newscodes/mediatopic/";

fn ninjs(edition: &Edition) -> Result<Ninjs<'_>, RenderError> {
    let frame = Ninjs {
        uri: edition.article.urn().to_string(),
        standard: STANDARD,
        kind: "text",
        representation_type: "full",
        pub_status: "usable",
        version: edition.number.to_string(),
        first_created: time(edition.first_published),
        version_created: time(edition.published),
        ed_note: edition.notes.last().map(|note| note.text.as_str()),
        ..Ninjs::default()
    };
    if edition.kind == EditionKind::Withdrawal {
        let notice = edition.notes.last().ok_or(RenderError::NoNotice)?;
        return Ok(Ninjs { pub_status: "canceled", descriptions: vec![note(notice)], ..frame });
    }
    let fields = &edition.fields;
    Ok(Ninjs {
        urgency: fields.urgency,
        language: fields.language.as_deref(),
        headlines: fields.headline.iter().map(|headline| plain("main", headline)).collect(),
        descriptions: descriptions(fields, &edition.notes),
        bodies: bodies(edition)?,
        by: fields.byline.as_deref(),
        located: fields.dateline.as_deref(),
        slugline: fields.slug.as_deref(),
        subjects: subjects(fields),
        people: names(&fields.people),
        organisations: names(&fields.organisations),
        places: names(&fields.places),
        associations: associations(fields),
        digital_source_type: edition.machine_written.then_some(WITH_MACHINES),
        ..frame
    })
}

fn descriptions<'a>(fields: &'a PublicFields, notes: &'a [Note]) -> Vec<Valued<'a>> {
    let standfirst = fields.standfirst.iter().map(|text| plain("standfirst", text));
    standfirst.chain(notes.iter().map(note)).collect()
}

fn note(note: &Note) -> Valued<'_> {
    plain(note.kind.name(), format!("{} {}", time(note.time), note.text.as_str()))
}

fn bodies(edition: &Edition) -> Result<Vec<Valued<'_>>, RenderError> {
    let body = |content_type, value: String| Valued { role: None, content_type, value: value.into() };
    let text = body("text/plain", xhtml::plain(&edition.blocks));
    Ok(vec![text, body("application/xhtml+xml", xhtml::xhtml(edition)?)])
}

fn subjects(fields: &PublicFields) -> Vec<Named<'_>> {
    let literal = |rel, name| Named { rel: Some(rel), name: Some(name), literal: Some(name), uri: None };
    let sections = fields.section.iter().map(|section| literal("section", section));
    let keywords = fields.keywords.iter().map(|keyword| literal("keyword", keyword));
    let topics = fields.subjects.iter().map(|code| Named {
        rel: Some("about"),
        literal: Some(code),
        uri: code.strip_prefix("medtop:").map(|topic| uri(&format!("{MEDIATOPIC}{topic}"))),
        name: None,
    });
    topics.chain(sections).chain(keywords).collect()
}

fn names(names: &[String]) -> Vec<Named<'_>> {
    names.iter().map(|name| Named { name: Some(name), ..Named::default() }).collect()
}

fn associations(fields: &PublicFields) -> Vec<Association<'_>> {
    let related = (1..).zip(&fields.related).map(|(number, address)| Association {
        name: format!("related-{number}"),
        uri: uri(address),
        ..Association::default()
    });
    fields.image.iter().map(image).chain(related).collect()
}

fn image(image: &PublicImage) -> Association<'_> {
    let described = [("alt", &image.alt), ("caption", &image.caption)];
    let described = described.into_iter().filter_map(|(role, text)| Some(plain(role, text.as_deref()?)));
    Association {
        name: "image".into(),
        uri: uri(&image.uri),
        kind: Some("picture"),
        descriptions: described.collect(),
        by: image.credit.as_deref(),
        usage_terms: image.rights.as_deref(),
        renditions: vec![Rendition { name: "main", href: uri(&image.uri) }],
    }
}

fn plain<'a>(role: &'static str, value: impl Into<Cow<'a, str>>) -> Valued<'a> {
    Valued { role: Some(role), content_type: "text/plain", value: value.into() }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// An address as RFC 3986 has it: whatever it doesn't admit percent-encoded.
fn uri(address: &str) -> String {
    let mut uri = String::with_capacity(address.len());
    let bytes = address.as_bytes();
    let path = path_start(address);
    let mut fragment = false;
    for (at, &byte) in bytes.iter().enumerate() {
        let admitted = match byte {
            b'%' => bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
            b'#' => !std::mem::replace(&mut fragment, true),
            // An IPv6 address.
            b'[' | b']' => at < path,
            _ => byte.is_ascii_alphanumeric() || b"-._~:/?@!$&'()*+,;=".contains(&byte),
        };
        if admitted {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

/// Where path, query or fragment begin after the authority; 0 where there is none.
fn path_start(address: &str) -> usize {
    let Some((scheme, rest)) = address.split_once("://") else { return 0 };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    scheme.len() + 3 + authority
}

/// JSON without the characters at which some readers break lines. In JSON they stand in strings only.
fn one_line(json: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(json.len());
    let mut rest = json;
    loop {
        rest = match rest {
            [] => return line,
            [0xc2, 0x85, after @ ..] => escaped(&mut line, "\\u0085", after),
            [0xe2, 0x80, 0xa8, after @ ..] => escaped(&mut line, "\\u2028", after),
            [0xe2, 0x80, 0xa9, after @ ..] => escaped(&mut line, "\\u2029", after),
            [byte, after @ ..] => {
                line.push(*byte);
                after
            }
        };
    }
}

fn escaped<'a>(line: &mut Vec<u8>, escape: &str, after: &'a [u8]) -> &'a [u8] {
    line.extend(escape.as_bytes());
    after
}

/// An edition, or the notice of a withdrawal (`pubStatus` `canceled`).
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Ninjs<'a> {
    /// `urn:uuid:<article>`.
    uri: String,
    standard: Standard,
    /// `text`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// `full`: every message is complete in itself.
    representation_type: &'static str,
    /// `usable`; `canceled` for a withdrawal.
    pub_status: &'static str,
    /// The edition's number.
    version: String,
    /// When the first edition went out, RFC 3339 in UTC.
    first_created: String,
    /// When this one did.
    version_created: String,
    /// 1 to 9.
    #[serde(skip_serializing_if = "Option::is_none")]
    urgency: Option<u8>,
    /// BCP 47.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    /// One, its `role` `main`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headlines: Vec<Valued<'a>>,
    /// The slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    slugline: Option<&'a str>,
    /// The byline.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    /// The dateline.
    #[serde(skip_serializing_if = "Option::is_none")]
    located: Option<&'a str>,
    /// The standfirst; then every note that readers were given so far, oldest first, its date leading it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    descriptions: Vec<Valued<'a>>,
    /// The words twice: as plain text and as XHTML.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bodies: Vec<Valued<'a>>,
    /// Mediatopics (`rel` `about`), the section (`section`), keywords (`keyword`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subjects: Vec<Named<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    people: Vec<Named<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    organisations: Vec<Named<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    places: Vec<Named<'a>>,
    /// The picture (`image`) and related stories (`related-1` and so on).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    associations: Vec<Association<'a>>,
    /// The words of the newest note, for the receiving desk.
    #[serde(skip_serializing_if = "Option::is_none")]
    ed_note: Option<&'a str>,
    /// Where machines wrote any of the words.
    #[serde(skip_serializing_if = "Option::is_none")]
    digital_source_type: Option<DigitalSourceType>,
}

#[derive(Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Standard {
    name: &'static str,
    version: &'static str,
    schema: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct DigitalSourceType {
    uri: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
struct Valued<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    content_type: &'static str,
    value: Cow<'a, str>,
}

#[derive(Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Named<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rel: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    literal: Option<&'a str>,
}

#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
struct Association<'a> {
    name: String,
    uri: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    descriptions: Vec<Valued<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_terms: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    renditions: Vec<Rendition>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Rendition {
    name: &'static str,
    href: String,
}

#[cfg(test)]
pub(crate) mod tests;
