//! Feeds: JSON Feed 1.1, Atom, RSS 2.0 and ninjs.
//!
//! Newest change first; a correction comes up again with what readers are told of it, in its text too, where
//! every reader shows it. A withdrawn article is its notice and nothing else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::filter::Filter;
use crate::html::{body, escape, is_rtl, web_address};
use crate::listing::{Entry, Listing, Place};
use crate::ninjs::Note;
use crate::rendered::Rendered;
use crate::store::{self, Public};
use crate::words::Words;
use crate::{Site, page};

mod atom;
mod rss;

/// How many articles a page has unless it is asked for otherwise.
pub const DEFAULT_LIMIT: usize = 50;
/// How many it has at most.
pub const MOST: usize = 200;

/// A format that pages lead to.
#[derive(Debug)]
pub(crate) struct Format {
    /// What people call it.
    pub name: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// Where it is.
    pub path: &'static str,
}

/// The formats that readers' software looks for.
pub(crate) const FORMATS: &[Format] = &[
    Format { name: "JSON Feed", media_type: "application/feed+json", path: "/feed.json" },
    Format { name: "Atom", media_type: "application/atom+xml", path: "/feed.atom" },
    Format { name: "RSS", media_type: "application/rss+xml", path: "/feed.rss" },
];

/// The media type of JSON Feed.
const MEDIA_TYPE: &str = "application/feed+json; charset=utf-8";

/// What a feed is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Params {
    /// A section, and those below it.
    pub section: Option<String>,
    /// A keyword.
    pub keyword: Option<String>,
    /// A language, and its variants.
    pub language: Option<String>,
    /// A mediatopic.
    pub subject: Option<String>,
    /// How many articles: [`DEFAULT_LIMIT`] unless said, [`MOST`] at most.
    pub limit: Option<usize>,
    /// Where to go on, as `next_url` had it.
    pub cursor: Option<String>,
}

/// Why a feed can't be given.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The cursor is none that a feed gave.
    #[error("cursor: none of ours; start without one")]
    Cursor,
    /// The state can't be read.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The feeds of a house.
#[derive(Debug, Clone, Copy)]
pub struct Feed<'a> {
    /// The folded state.
    pub public: &'a Public,
    /// The house.
    pub site: &'a Site,
}

impl Feed<'_> {
    /// `GET /feed.json`.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn json(&self, params: &Params, now: DateTime<Utc>) -> Result<Rendered, FeedError> {
        let listing = self.listing(params, now)?;
        let site = self.site;
        let feed = JsonFeed {
            version: "https://jsonfeed.org/version/1.1",
            title: &site.title,
            home_page_url: site.home(),
            feed_url: self.url("/feed.json", params, params.cursor.as_deref()),
            next_url: listing.next.as_ref().map(|place| self.url("/feed.json", params, Some(&cursor(place)))),
            language: Some(site.language.as_str()).filter(|language| !language.is_empty()),
            items: listing.entries.iter().map(|entry| item(site, entry)).collect(),
        };
        let body = serde_json::to_vec(&feed).map_err(|error| store::Error::Damaged(error.to_string()))?;
        let mut rendered = Rendered::new(200, MEDIA_TYPE, body);
        // Ahead of the clock it would be no date of ours to give; the stamp runs ahead only in a burst of changes.
        rendered.last_modified = listing.changed.filter(|changed| *changed <= now);
        Ok(rendered)
    }

    /// `GET /feed.ninjs`: the wire's own bytes, `{"items":[…],"next":url or null}`.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn ninjs(&self, params: &Params, now: DateTime<Utc>) -> Result<Rendered, FeedError> {
        let listing = self.listing(params, now)?;
        let next = listing.next.as_ref().map(|place| self.url("/feed.ninjs", params, Some(&cursor(place))));
        let next = serde_json::to_vec(&next).map_err(|error| store::Error::Damaged(error.to_string()))?;
        let mut body = b"{\"items\":[".to_vec();
        for (at, entry) in listing.entries.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&entry.body);
        }
        body.extend_from_slice(b"],\"next\":");
        body.extend_from_slice(&next);
        body.push(b'}');
        let mut rendered = Rendered::new(200, "application/json", body);
        rendered.last_modified = listing.changed.filter(|changed| *changed <= now);
        Ok(rendered)
    }

    /// The articles asked for.
    fn listing(&self, params: &Params, now: DateTime<Utc>) -> Result<Listing, FeedError> {
        // A form that was left empty asks for nothing.
        let asked = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let filter = Filter {
            section: asked(&params.section),
            keyword: asked(&params.keyword),
            language: asked(&params.language),
            subject: asked(&params.subject),
        };
        let place =
            params.cursor.as_deref().map(|cursor| place(cursor).ok_or(FeedError::Cursor)).transpose()?;
        let limit = params.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MOST);
        Ok(self.public.list(&filter, place.as_ref(), limit, now)?)
    }

    /// The address of a page of a feed.
    fn url(&self, path: &str, params: &Params, cursor: Option<&str>) -> String {
        address(self.site, path, params, cursor)
    }
}

/// The address of what is asked for at a path.
pub(crate) fn address(site: &Site, path: &str, params: &Params, cursor: Option<&str>) -> String {
    let limit = params.limit.map(|limit| limit.to_string());
    let asked = [
        ("section", params.section.as_deref()),
        ("keyword", params.keyword.as_deref()),
        ("language", params.language.as_deref()),
        ("subject", params.subject.as_deref()),
        ("limit", limit.as_deref()),
        ("cursor", cursor),
    ];
    let mut url = site.url(path);
    let mut separator = '?';
    for (name, value) in asked {
        if let Some(value) = value {
            url.push(separator);
            url.push_str(name);
            url.push('=');
            encode(value, &mut url);
            separator = '&';
        }
    }
    url
}

/// Percent-encodes a value of a query (RFC 3986).
fn encode(value: &str, url: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// What a feed in XML may hold: the wire may be fed by others, and a single character that XML 1.0 has no place for
/// makes a reader's software refuse the whole feed. The controls from U+007F on are allowed but discouraged there, and
/// errors in the HTML that a feed carries; of them a text may hold NEL, which breaks a line.
fn xml(written: Vec<u8>) -> Vec<u8> {
    let forbidden =
        |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}');
    match std::str::from_utf8(&written) {
        Ok(text) if text.contains(forbidden) => {
            text.replace('\u{85}', "\n").replace(forbidden, "\u{fffd}").into_bytes()
        }
        _ => written,
    }
}

pub(crate) fn cursor(place: &Place) -> String {
    URL_SAFE_NO_PAD.encode(place.bytes())
}

pub(crate) fn place(cursor: &str) -> Option<Place> {
    Place::from_bytes(URL_SAFE_NO_PAD.decode(cursor).ok()?)
}

#[derive(Serialize)]
struct JsonFeed<'a> {
    version: &'static str,
    title: &'a str,
    home_page_url: String,
    feed_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    items: Vec<Item<'a>>,
}

#[derive(Default, Serialize)]
struct Item<'a> {
    id: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    content_html: String,
    content_text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    date_published: String,
    date_modified: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authors: Vec<Author<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    #[serde(rename = "_copydesk")]
    copydesk: Extension,
}

#[derive(Serialize)]
struct Author<'a> {
    name: &'a str,
}

/// What JSON Feed has no member for.
#[derive(Default, Serialize)]
struct Extension {
    edition: u32,
    kind: &'static str,
    withdrawn: bool,
    notes: Vec<NoteItem>,
}

#[derive(Serialize)]
struct NoteItem {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    text: String,
}

fn item<'a>(site: &'a Site, entry: &'a Entry) -> Item<'a> {
    let Entry { article, shown, ninjs, .. } = entry;
    let frame = Item {
        id: article.urn().to_string(),
        url: site.article_url(*article),
        date_published: date(shown.first_published),
        date_modified: date(shown.changed),
        copydesk: Extension {
            edition: shown.edition,
            kind: shown.kind.name(),
            withdrawn: shown.is_withdrawn(),
            notes: Vec::new(),
        },
        ..Item::default()
    };
    if shown.is_withdrawn() {
        return withdrawn(site, entry, frame);
    }
    let notes = ninjs.notes();
    Item {
        title: ninjs.headline(),
        content_html: content_html(site, entry, &notes),
        content_text: content_text(site, entry, &notes),
        summary: ninjs.standfirst(),
        image: ninjs.image().and_then(|image| web_address(&image.uri)),
        authors: ninjs.by.as_deref().map(|name| Author { name }).into_iter().collect(),
        tags: ninjs.keywords().collect(),
        language: ninjs.language.as_deref(),
        copydesk: Extension { notes: notes.into_iter().map(NoteItem::from).collect(), ..frame.copydesk },
        ..frame
    }
}

fn withdrawn<'a>(site: &'a Site, entry: &Entry, frame: Item<'a>) -> Item<'a> {
    let notice = page::notice(entry);
    Item {
        title: Some(&site.withdrawn_title),
        content_html: format!("<p>{}</p>", escape(&notice.text)),
        content_text: notice.text.clone(),
        copydesk: Extension { notes: vec![NoteItem::from(notice)], ..frame.copydesk },
        ..frame
    }
}

impl From<Note> for NoteItem {
    fn from(note: Note) -> Self {
        NoteItem { role: note.kind.name(), date: note.time.map(date), text: note.text }
    }
}

/// The text as a reader's software shows it, and below it what readers are told of changes.
fn content_html(site: &Site, entry: &Entry, notes: &[Note]) -> String {
    let ninjs = &entry.ninjs;
    let language = ninjs.language.as_deref().unwrap_or(&site.language);
    let notes = page::article::notes(Words::of(&site.language), language, notes);
    let html = body(ninjs) + &notes;
    match is_rtl(language) {
        true => format!("<div dir=\"rtl\" lang=\"{}\">{html}</div>", escape(language)),
        false => html,
    }
}

fn content_text(site: &Site, entry: &Entry, notes: &[Note]) -> String {
    let words = Words::of(&site.language);
    let mut text = entry.ninjs.body("text/plain").unwrap_or_default().to_owned();
    for note in notes {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(words.note(note.kind));
        if let Some(time) = note.time {
            text.push_str(&format!(" ({})", date(time)));
        }
        text.push_str(": ");
        text.push_str(&note.text);
    }
    text
}

pub(crate) fn date(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests;
