//! What readers get: the public form of an article, and the digests taken over it.
//!
//! An [`Edition`] holds nothing but what is public: no writers, no claims, no ids of blocks. The wire is written
//! from it and from nothing else (promise 7).

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::article::{Article, EditionKind, EditionRecord};
use crate::event::{Hash, Hex, Time};
use crate::fields::FieldName;
use crate::text::{Content, Spans, Text, marks};
use crate::words::{Words, debug_by_name};

/// One published state, or the notice of a withdrawal, complete in itself.
#[derive(Clone, PartialEq)]
pub struct Edition {
    /// The article.
    pub article: Uuid,
    /// The edition's number.
    pub number: u32,
    /// What it is.
    pub kind: EditionKind,
    /// The wire subject, for life: the section of the first edition, its `/` turned to `.`.
    pub home: Arc<str>,
    /// When the first edition went out.
    pub first_published: Time,
    /// When this one did.
    pub published: Time,
    /// The fields readers see; empty for a withdrawal.
    pub fields: PublicFields,
    /// The body; empty for a withdrawal.
    pub blocks: Vec<Content<Spans>>,
    /// Every reader-facing note so far, oldest first, this one's included.
    pub notes: Vec<Note>,
    /// Whether machines wrote any of the words.
    pub machine_written: bool,
}

/// The fields that readers see.
#[derive(Clone, Default, PartialEq, Serialize)]
pub struct PublicFields {
    /// The slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// The language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The headline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// The standfirst.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standfirst: Option<String>,
    /// The byline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byline: Option<String>,
    /// The dateline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dateline: Option<String>,
    /// The section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// 1 (highest) to 9.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgency: Option<u8>,
    /// Keywords.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Mediatopics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    /// People.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// Organisations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organisations: Vec<String>,
    /// Places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
    /// The picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<PublicImage>,
    /// URIs of related stories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<String>,
}

/// A picture as readers see it.
#[derive(Clone, Default, PartialEq, Serialize)]
pub struct PublicImage {
    /// Where it is.
    pub uri: String,
    /// What it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alt: Option<String>,
    /// What stands below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credit: Option<String>,
    /// On what terms it may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rights: Option<String>,
}

/// What readers are told of a change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Note {
    /// Which change.
    pub kind: EditionKind,
    /// When.
    pub time: Time,
    /// The words.
    pub text: Words,
}

debug_by_name! { Edition, PublicFields, PublicImage }

impl Edition {
    /// What the article's last edition or withdrawal shows, from the state at that event; none where the last
    /// event published nothing.
    pub fn of(article: &Article) -> Option<Edition> {
        article.last_edition().map(|record| Self::with(article, record, &article.editions))
    }

    /// What an edition or withdrawal that is about to be decided would show.
    pub fn would_be(article: &Article, record: &EditionRecord) -> Edition {
        let mut editions = article.editions.clone();
        editions.push(Arc::new(record.clone()));
        Self::with(article, record, &editions)
    }

    fn with(article: &Article, record: &EditionRecord, editions: &[Arc<EditionRecord>]) -> Edition {
        let withdrawn = record.kind == EditionKind::Withdrawal;
        let home = match &article.home {
            Some(home) => Arc::clone(home),
            None => home_of(article.section().unwrap_or_default()),
        };
        Edition {
            article: article.id,
            number: record.number,
            kind: record.kind,
            home,
            first_published: editions.first().map_or(record.time, |first| first.time),
            published: record.time,
            fields: if withdrawn { PublicFields::default() } else { PublicFields::of(article) },
            blocks: if withdrawn { Vec::new() } else { blocks(article) },
            notes: editions.iter().filter_map(note).collect(),
            machine_written: !withdrawn && article.has_machine_words(),
        }
    }

    /// The public form, which readers can hash for themselves: fields, blocks (texts with marks) and notes.
    pub fn public_form(&self) -> serde_json::Value {
        let blocks: Vec<_> = self.blocks.iter().map(shown).collect();
        json!({ "fields": self.fields, "blocks": blocks, "notes": self.notes })
    }

    /// The same without marks: blocks as their plain texts.
    pub fn plain_form(&self) -> serde_json::Value {
        let plain = |block: &Content<Spans>| block.clone().map(|spans| crate::text::plain_spans(&spans));
        let blocks: Vec<_> = self.blocks.iter().map(plain).collect();
        json!({ "fields": self.fields, "blocks": blocks, "notes": self.notes })
    }

    /// `editiondigest`: SHA-256 of the RFC 8785 form of [`public_form`](Self::public_form).
    pub fn digest(&self) -> Hash {
        canonical_hash(&self.public_form())
    }
}

/// The wire subject of a section: its tokens joined by dots.
pub fn home_of(section: &str) -> Arc<str> {
    section.replace('/', ".").into()
}

fn note(record: &Arc<EditionRecord>) -> Option<Note> {
    let text = record.note.clone()?;
    Some(Note { kind: record.kind, time: record.time, text })
}

fn blocks(article: &Article) -> Vec<Content<Spans>> {
    article.blocks.iter().map(|block| block.content.clone().map(|text| text.spans())).collect()
}

impl PublicFields {
    fn of(article: &Article) -> Self {
        let fields = &article.fields;
        let line = |name| fields.line(name).map(str::to_owned);
        let text = |name| fields.text(name).map(Text::plain);
        let list = |name| fields.list(name).to_vec();
        let words = |text: &Text| Some(text.plain()).filter(|words| !words.is_empty());
        PublicFields {
            slug: line(FieldName::Slug),
            language: line(FieldName::Language),
            headline: text(FieldName::Headline),
            standfirst: text(FieldName::Standfirst),
            byline: line(FieldName::Byline),
            dateline: line(FieldName::Dateline),
            section: line(FieldName::Section),
            urgency: match fields.value(FieldName::Urgency) {
                Some(crate::fields::Value::Number(number)) => Some(*number),
                _ => None,
            },
            keywords: list(FieldName::Keywords),
            subjects: list(FieldName::Subjects),
            people: list(FieldName::People),
            organisations: list(FieldName::Organisations),
            places: list(FieldName::Places),
            image: fields.image().map(|image| PublicImage {
                uri: image.uri.clone(),
                alt: words(&image.alt),
                caption: words(&image.caption),
                credit: image.credit.clone(),
                rights: image.rights.clone(),
            }),
            related: list(FieldName::Related),
        }
    }
}

/// A block as newsroom tools send and read it: texts with marks.
fn shown(content: &Content<Spans>) -> serde_json::Value {
    let marked = content.clone().map(|spans| marks::write_spans(&spans));
    serde_json::to_value(marked).unwrap_or_default()
}

/// Digest of the words and fields of the working copy, whoever wrote them: what an approval is bound to.
pub fn words_digest(article: &Article) -> Hash {
    let fields: serde_json::Map<_, _> =
        article.fields.values().map(|(name, value)| (name.name().to_owned(), value.shown())).collect();
    let blocks: Vec<_> = blocks(article).iter().map(shown).collect();
    canonical_hash(&json!({ "fields": fields, "blocks": blocks }))
}

/// SHA-256 of the RFC 8785 form.
pub fn canonical_hash(value: &serde_json::Value) -> Hash {
    // Canonical JSON can't fail on a `Value`: its keys are strings and its numbers finite.
    let bytes = serde_json_canonicalizer::to_vec(value).unwrap_or_default();
    Hex(Sha256::digest(bytes).into())
}
