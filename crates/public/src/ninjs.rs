//! The members of ninjs 3.1 that the public side reads, as `schemas/ninjs-mapping.md` maps them.
//!
//! Members that are not read are kept: what is served as ninjs is the wire's own bytes.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;

use crate::message::Kind;

/// One edition, or the notice of a withdrawal.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ninjs {
    /// `urn:uuid:<article>`.
    pub uri: String,
    /// The edition's number.
    pub version: String,
    /// `usable`, or `canceled` for a withdrawal.
    pub pub_status: String,
    /// When the first edition went out.
    pub first_created: Option<DateTime<Utc>>,
    /// When this one did.
    pub version_created: Option<DateTime<Utc>>,
    /// The language, as a BCP 47 tag.
    pub language: Option<String>,
    /// The headline.
    #[serde(default)]
    pub headlines: Vec<Valued>,
    /// The standfirst, and what readers are told of changes.
    #[serde(default)]
    pub descriptions: Vec<Valued>,
    /// The text, plain and as XHTML.
    #[serde(default)]
    pub bodies: Vec<Valued>,
    /// The byline.
    pub by: Option<String>,
    /// The dateline.
    pub located: Option<String>,
    /// The slug.
    pub slugline: Option<String>,
    /// Section, keywords and mediatopics.
    #[serde(default)]
    pub subjects: Vec<Named>,
    /// People in the story.
    #[serde(default)]
    pub people: Vec<Named>,
    /// Organisations in the story.
    #[serde(default)]
    pub organisations: Vec<Named>,
    /// Places in the story.
    #[serde(default)]
    pub places: Vec<Named>,
    /// The picture and related stories.
    #[serde(default)]
    pub associations: Vec<Association>,
    /// The newest note, for the receiving desk.
    pub ed_note: Option<String>,
    /// By what the text was made, where machines had a part in it.
    pub digital_source_type: Option<Named>,
}

/// A text with its role and media type.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Valued {
    /// What it is.
    pub role: Option<String>,
    /// Its media type.
    pub content_type: Option<String>,
    /// The text.
    pub value: String,
}

/// Something named.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Named {
    /// Its name.
    pub name: Option<String>,
    /// How the article relates to it.
    pub rel: Option<String>,
    /// Its URI.
    pub uri: Option<String>,
    /// Its code or free text.
    pub literal: Option<String>,
}

/// A picture or a related story.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Association {
    /// `image`, `related-1` …
    pub name: String,
    /// Where it is.
    pub uri: String,
    /// Its alt text and caption.
    #[serde(default)]
    pub descriptions: Vec<Valued>,
    /// Who made it.
    pub by: Option<String>,
    /// On what terms it may be used.
    pub usage_terms: Option<String>,
}

/// Codes of IPTC's digital source types for what machines made or had a part in; others tell of people's work.
const BY_MACHINES: &[&str] = &[
    "trainedAlgorithmicMedia",
    "compositeWithTrainedAlgorithmicMedia",
    "algorithmicMedia",
    "algorithmicallyEnhanced",
    "compositeSynthetic",
    "dataDrivenMedia",
];

/// What readers are told of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Which change.
    pub kind: Kind,
    /// When; none where no date leads the text.
    pub time: Option<DateTime<Utc>>,
    /// The words.
    pub text: String,
}

impl Ninjs {
    /// The headline.
    pub fn headline(&self) -> Option<&str> {
        self.headlines.first().map(|headline| headline.value.as_str())
    }

    /// The standfirst.
    pub fn standfirst(&self) -> Option<&str> {
        described(&self.descriptions, "standfirst")
    }

    /// What readers have been told of changes, oldest first.
    pub fn notes(&self) -> Vec<Note> {
        self.descriptions.iter().filter_map(note).collect()
    }

    /// The body of a media type.
    pub fn body(&self, media_type: &str) -> Option<&str> {
        let body = self.bodies.iter().find(|body| body.content_type.as_deref() == Some(media_type))?;
        Some(&body.value)
    }

    /// The picture.
    pub fn image(&self) -> Option<&Association> {
        self.associations.iter().find(|association| association.name == "image")
    }

    /// The section.
    pub fn section(&self) -> Option<&str> {
        self.literals("section").next()
    }

    /// The keywords.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.literals("keyword")
    }

    /// The literals of the subjects with this `rel`.
    fn literals<'a>(&'a self, rel: &'a str) -> impl Iterator<Item = &'a str> {
        let with = move |subject: &&Named| subject.rel.as_deref() == Some(rel);
        self.subjects
            .iter()
            .filter(with)
            .filter_map(|subject| subject.literal.as_deref().or(subject.name.as_deref()))
    }

    /// Codes and URIs of the mediatopics and whatever else is neither section nor keyword.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        let topic = |subject: &&Named| !matches!(subject.rel.as_deref(), Some("section" | "keyword"));
        self.subjects
            .iter()
            .filter(topic)
            .flat_map(|subject| [subject.literal.as_deref(), subject.uri.as_deref()])
            .flatten()
    }

    /// Whether machines wrote any of the words.
    pub fn is_machine_written(&self) -> bool {
        let uri = self.digital_source_type.as_ref().and_then(|made| made.uri.as_deref());
        let code = uri.and_then(|uri| uri.rsplit('/').next());
        code.is_some_and(|code| BY_MACHINES.contains(&code))
    }

    /// Whether anything but a notice is in it: what a withdrawal must not have.
    pub fn has_text(&self) -> bool {
        !self.headlines.is_empty()
            || !self.bodies.is_empty()
            || !self.subjects.is_empty()
            || !self.people.is_empty()
            || !self.organisations.is_empty()
            || !self.places.is_empty()
            || !self.associations.is_empty()
            || self.by.is_some()
            || self.located.is_some()
            || self.slugline.is_some()
            || self.descriptions.iter().any(|description| change(description).is_none())
    }
}

impl Association {
    /// What it shows, for those who don't see it.
    pub fn alt(&self) -> Option<&str> {
        described(&self.descriptions, "alt")
    }

    /// What stands below it.
    pub fn caption(&self) -> Option<&str> {
        described(&self.descriptions, "caption")
    }
}

fn described<'a>(descriptions: &'a [Valued], role: &str) -> Option<&'a str> {
    let description = descriptions.iter().find(|description| description.role.as_deref() == Some(role))?;
    Some(&description.value)
}

/// The change that a description tells of; none for what isn't a note.
fn change(description: &Valued) -> Option<Kind> {
    description.role.as_deref().and_then(Kind::named)
}

fn note(description: &Valued) -> Option<Note> {
    let kind = change(description)?;
    let (time, text) = match description.value.split_once(' ') {
        Some((date, text)) => match moment(date) {
            Some(time) => (Some(time), text),
            None => (None, description.value.as_str()),
        },
        None => (None, description.value.as_str()),
    };
    Some(Note { kind, time, text: text.trim().to_owned() })
}

/// An RFC 3339 date, with or without a time.
fn moment(date: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(date) {
        return Some(time.to_utc());
    }
    let day: NaiveDate = date.parse().ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_wrote_what_the_source_type_says_they_did() {
        let made = |code: &str| {
            let uri = Some(format!("http://cv.iptc.org/newscodes/digitalsourcetype/{code}"));
            let digital_source_type = Some(Named { uri, ..Named::default() });
            Ninjs { digital_source_type, ..Ninjs::default() }.is_machine_written()
        };
        assert!(made("compositeWithTrainedAlgorithmicMedia") && made("dataDrivenMedia"));
        assert!(!made("humanEdits") && !made("digitalCreation") && !Ninjs::default().is_machine_written());
    }

    #[test]
    fn a_note_gives_its_date_and_its_words() {
        let described = |role: &str, value: &str| Valued {
            role: Some(role.into()),
            value: value.into(),
            ..Valued::default()
        };
        let ninjs = Ninjs {
            descriptions: vec![
                described("standfirst", "2025-12-26T10:00:00Z is no note"),
                described("correction", "2025-12-26T10:00:00Z The number was wrong."),
                described("update", "2025-12-27 More came in."),
                described("withdrawal", "No date leads this."),
            ],
            ..Ninjs::default()
        };
        let notes = ninjs.notes();
        let told: Vec<_> =
            notes.iter().map(|note| (note.kind, note.text.as_str(), note.time.is_some())).collect();
        assert_eq!(
            told,
            [
                (Kind::Correction, "The number was wrong.", true),
                (Kind::Update, "More came in.", true),
                (Kind::Withdrawal, "No date leads this.", false),
            ]
        );
    }
}
