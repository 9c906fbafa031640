//! Feeds: JSON Feed 1.1, Atom, RSS 2.0 and ninjs.
//!
//! Newest change first; a correction comes up again with what readers are told of it, in its text too, where
//! every reader shows it. A withdrawn article is its notice and nothing else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::filter::Filter;
use crate::html::{clean, escape, is_rtl, web_address};
use crate::listing::{Entry, Listing, Place};
use crate::message::Kind;
use crate::ninjs::Note;
use crate::rendered::Rendered;
use crate::store::{self, Public};
use crate::{Site, page};

mod atom;
mod rss;

/// How many articles a page has unless it is asked for otherwise.
pub const DEFAULT_LIMIT: usize = 50;
/// How many it has at most.
pub const MOST: usize = 200;

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
            home_page_url: site.home_url.as_deref(),
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
        let limit = params.limit.map(|limit| limit.to_string());
        let asked = [
            ("section", params.section.as_deref()),
            ("keyword", params.keyword.as_deref()),
            ("language", params.language.as_deref()),
            ("subject", params.subject.as_deref()),
            ("limit", limit.as_deref()),
            ("cursor", cursor),
        ];
        let mut url = format!("{}{path}", self.site.public_url.trim_end_matches('/'));
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

fn cursor(place: &Place) -> String {
    URL_SAFE_NO_PAD.encode(place.bytes())
}

fn place(cursor: &str) -> Option<Place> {
    Place::from_bytes(URL_SAFE_NO_PAD.decode(cursor).ok()?)
}

#[derive(Serialize)]
struct JsonFeed<'a> {
    version: &'static str,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    home_page_url: Option<&'a str>,
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
        content_html: content_html(entry, &notes),
        content_text: content_text(entry, &notes),
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
fn content_html(entry: &Entry, notes: &[Note]) -> String {
    let ninjs = &entry.ninjs;
    let mut html = match ninjs.body("application/xhtml+xml") {
        Some(body) => clean(body),
        None => ninjs
            .body("text/plain")
            .unwrap_or_default()
            .split("\n\n")
            .map(|p| format!("<p>{}</p>", escape(p)))
            .collect(),
    };
    html.push_str(&page::notes(notes));
    match ninjs.language.as_deref() {
        Some(language) if is_rtl(language) => {
            format!("<div dir=\"rtl\" lang=\"{}\">{html}</div>", escape(language))
        }
        _ => html,
    }
}

fn content_text(entry: &Entry, notes: &[Note]) -> String {
    let mut text = entry.ninjs.body("text/plain").unwrap_or_default().to_owned();
    for note in notes {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(label(note.kind));
        if let Some(time) = note.time {
            text.push_str(&format!(" ({})", date(time)));
        }
        text.push_str(": ");
        text.push_str(&note.text);
    }
    text
}

/// What readers are told a note is.
pub(crate) fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::First => "First published",
        Kind::Update => "Update",
        Kind::Correction => "Correction",
        Kind::Reinstatement => "Reinstated",
        Kind::Withdrawal => "Withdrawn",
    }
}

pub(crate) fn date(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::message::WireMessage;
    use crate::message::tests::message;
    use crate::page::tests::{ARTICLE, now, public, site, story};

    fn json_of(messages: &[WireMessage], params: &Params) -> Value {
        let public = public(messages);
        let site = site();
        let rendered = Feed { public: &public, site: &site }.json(params, now()).unwrap();
        serde_json::from_slice(&rendered.body).unwrap()
    }

    #[test]
    fn a_story_is_an_item() {
        let feed = json_of(&[story(1, "en")], &Params::default());
        assert_eq!(feed["version"], "https://jsonfeed.org/version/1.1");
        assert_eq!(feed["feed_url"], "https://desk.example/feed.json");
        assert_eq!(feed.get("next_url"), None);
        let item = &feed["items"][0];
        assert_eq!(item["id"], format!("urn:uuid:{ARTICLE}"));
        assert_eq!(item["url"], format!("https://desk.example/articles/{ARTICLE}"));
        assert_eq!(item["title"], "Letter <celebrates> \"soldiers\"");
        assert_eq!(item["summary"], "State & media");
        assert_eq!(item["content_html"], "<p>One &lt;b&gt; <em>two</em></p>");
        assert_eq!(item["content_text"], "One <b> two");
        assert_eq!(item["image"], "https://media.example/a.jpg");
        assert_eq!(item["authors"], json!([{"name": "The Desk"}]));
        assert_eq!(item["tags"], json!(["Kursk"]));
        assert_eq!(item["date_published"], "2025-12-25T08:00:00Z");
        assert_eq!(
            item["_copydesk"],
            json!({"edition": 1, "kind": "first", "withdrawn": false, "notes": []})
        );
    }

    #[test]
    fn every_format_has_the_same_articles_and_pages() {
        let hostile = |n: u64| {
            let mut story = story(n, "ar");
            let mut body: Value = serde_json::from_slice(&story.body).unwrap();
            body["headlines"] = json!([{"role": "main", "value": "خبر ]]> & <b> 🎉"}]);
            story.body = body.to_string().into();
            story
        };
        let other = message(2, Uuid::from_u128(8), 1, Kind::First, json!({}));
        let (public, site) = (public(&[hostile(1), other]), site());
        let feed = Feed { public: &public, site: &site };
        let params = Params { limit: Some(1), language: Some("ar".into()), ..Params::default() };
        let atom = feed.atom(&params, now()).unwrap();
        let read = ::atom_syndication::Feed::read_from(&*atom.body).unwrap();
        assert_eq!(read.entries.len(), 1);
        let entry = &read.entries[0];
        assert_eq!(entry.id, format!("urn:uuid:{ARTICLE}"));
        assert_eq!(entry.title.value, "خبر ]]> & <b> 🎉");
        let html = entry.content.as_ref().unwrap().value.as_deref().unwrap();
        assert!(html.starts_with("<div dir=\"rtl\" lang=\"ar\">"), "{html}");
        assert_eq!(entry.published.unwrap().to_rfc3339(), "2025-12-25T08:00:00+00:00");
        let rels: Vec<_> = read.links.iter().map(|link| link.rel.as_str()).collect();
        assert_eq!(rels, ["self", "alternate"]);

        let all = Params { limit: Some(1), ..Params::default() };
        let first = ::atom_syndication::Feed::read_from(&*feed.atom(&all, now()).unwrap().body).unwrap();
        let next = first.links.iter().find(|link| link.rel == "next").unwrap();
        assert!(next.href.starts_with("https://desk.example/feed.atom?limit=1&cursor="), "{}", next.href);

        let rss = feed.rss(&params, now()).unwrap();
        let read = ::rss::Channel::read_from(&*rss.body).unwrap();
        let item = &read.items[0];
        assert_eq!(item.title.as_deref(), Some("خبر ]]> & <b> 🎉"));
        assert_eq!(item.content.as_deref(), Some(html));
        assert_eq!(item.guid.as_ref().unwrap().value, format!("urn:uuid:{ARTICLE}"));
        assert_eq!(item.pub_date.as_deref(), Some("Thu, 25 Dec 2025 08:00:00 +0000"));
        assert_eq!(item.dublin_core_ext.as_ref().unwrap().creators, ["The Desk"]);

        let ninjs: Value = serde_json::from_slice(&feed.ninjs(&all, now()).unwrap().body).unwrap();
        assert_eq!(ninjs["items"].as_array().unwrap().len(), 1);
        assert!(ninjs["next"].as_str().unwrap().contains("/feed.ninjs?limit=1&cursor="));
        let ninjs: Value = serde_json::from_slice(&feed.ninjs(&params, now()).unwrap().body).unwrap();
        assert_eq!((&ninjs["items"][0]["language"], &ninjs["next"]), (&json!("ar"), &Value::Null));
    }

    #[test]
    fn a_correction_is_told_in_the_text_too_and_escaped() {
        let mut corrected = story(1, "en");
        let mut body: Value = serde_json::from_slice(&corrected.body).unwrap();
        body["descriptions"] =
            json!([{"role": "correction", "value": "2025-12-26T10:00:00Z It was <b>600</b>."}]);
        corrected.body = body.to_string().into();
        let feed = json_of(&[corrected], &Params::default());
        let item = &feed["items"][0];
        let html = item["content_html"].as_str().unwrap();
        assert!(
            html.contains("<strong>Correction</strong>") && html.contains("It was &lt;b&gt;600&lt;/b&gt;."),
            "{html}"
        );
        let text = item["content_text"].as_str().unwrap();
        assert!(text.ends_with("\n\nCorrection (2025-12-26T10:00:00Z): It was <b>600</b>."), "{text}");
        let note =
            json!({"role": "correction", "date": "2025-12-26T10:00:00Z", "text": "It was <b>600</b>."});
        assert_eq!(item["_copydesk"]["notes"], json!([note]));
    }

    #[test]
    fn a_withdrawn_article_is_its_notice_and_nothing_else() {
        let notice = json!({
            "language": "en",
            "versionCreated": "2025-12-26T09:00:00Z",
            "edNote": "Gone & <b>away</b>.",
            "descriptions": [
                {"role": "correction", "value": "2025-12-25T09:00:00Z CANARY"},
                {"role": "withdrawal", "value": "2025-12-26T09:00:00Z Gone & <b>away</b>."},
            ],
        });
        let feed =
            json_of(&[story(1, "en"), message(2, ARTICLE, 2, Kind::Withdrawal, notice)], &Params::default());
        let item = &feed["items"][0];
        let mut names: Vec<_> = item.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        let said = [
            "_copydesk",
            "content_html",
            "content_text",
            "date_modified",
            "date_published",
            "id",
            "title",
            "url",
        ];
        assert_eq!(names, said);
        assert_eq!(item["title"], "Withdrawn");
        assert_eq!(item["content_html"], "<p>Gone &amp; &lt;b&gt;away&lt;/b&gt;.</p>");
        assert_eq!(item["_copydesk"]["withdrawn"], true);
        for word in ["Letter", "State", "Desk\"", "Kursk", "a.jpg", "CANARY", "two"] {
            assert!(!item.to_string().contains(word), "{word}");
        }
    }

    #[test]
    fn a_withdrawn_article_is_found_by_what_it_was_published_with() {
        let gone = message(2, ARTICLE, 2, Kind::Withdrawal, json!({}));
        let messages = [story(1, "en"), gone, message(3, Uuid::from_u128(8), 1, Kind::First, json!({}))];
        for params in [
            Params { section: Some("world".into()), ..Params::default() },
            Params { keyword: Some("kursk".into()), ..Params::default() },
            Params { language: Some("en".into()), ..Params::default() },
            Params {
                subject: Some("medtop:20000065".into()),
                keyword: Some(String::new()),
                ..Params::default()
            },
        ] {
            let feed = json_of(&messages, &params);
            assert_eq!(feed["items"].as_array().unwrap().len(), 1, "{params:?}");
            assert_eq!(feed["items"][0]["_copydesk"]["kind"], "withdrawal");
        }
    }

    #[test]
    fn pages_follow_one_another_with_what_was_asked() {
        let messages: Vec<_> = (1..=5)
            .map(|n| message(n, Uuid::from_u128(n.into()), 1, Kind::First, json!({"language": "de-AT"})))
            .collect();
        let mut params = Params { language: Some("de".into()), limit: Some(2), ..Params::default() };
        let mut seen = 0;
        for _ in 0..5 {
            let feed = json_of(&messages, &params);
            seen += feed["items"].as_array().unwrap().len();
            let Some(next) = feed.get("next_url") else { break };
            let next = next.as_str().unwrap();
            let (start, cursor) = next.split_once("&cursor=").unwrap();
            assert_eq!(start, "https://desk.example/feed.json?language=de&limit=2");
            params.cursor = Some(cursor.into());
        }
        assert_eq!(seen, 5);
        let public = public(&[]);
        let strange = Params { cursor: Some("x".into()), ..Params::default() };
        let refused = Feed { public: &public, site: &site() }.json(&strange, now());
        assert!(matches!(refused, Err(FeedError::Cursor)));
    }

    #[test]
    fn limits_are_cut_and_queries_are_encoded() {
        let messages: Vec<_> =
            (1..=205).map(|n| message(n, Uuid::from_u128(n.into()), 1, Kind::First, json!({}))).collect();
        let count = |limit| {
            let params = Params { limit, ..Params::default() };
            json_of(&messages, &params)["items"].as_array().unwrap().len()
        };
        assert_eq!((count(None), count(Some(0)), count(Some(1000))), (50, 1, 200));
        let asked = Params { keyword: Some("a&b=ü \"".into()), ..Params::default() };
        let feed = json_of(&[], &asked);
        assert_eq!(feed["feed_url"], "https://desk.example/feed.json?keyword=a%26b%3D%C3%BC%20%22");
    }

    #[test]
    fn every_change_moves_etag_and_date() {
        let public = public(&[story(1, "en")]);
        let site = site();
        let get = || Feed { public: &public, site: &site }.json(&Params::default(), now()).unwrap();
        let before = get();
        assert_eq!(before, get());
        // The same second, and an earlier one: the date moves on all the same.
        public.apply(&[message(2, Uuid::from_u128(8), 1, Kind::First, json!({}))]).unwrap();
        let second = get();
        public
            .apply(&[message(
                3,
                Uuid::from_u128(9),
                1,
                Kind::First,
                json!({"versionCreated": "2025-12-01T00:00:00Z"}),
            )])
            .unwrap();
        let third = get();
        assert!(before.etag != second.etag && second.etag != third.etag);
        assert!(before.last_modified < second.last_modified && second.last_modified < third.last_modified);
    }

    #[test]
    fn text_from_right_to_left_says_so() {
        let feed = json_of(&[story(1, "ar")], &Params::default());
        let html = feed["items"][0]["content_html"].as_str().unwrap();
        assert!(html.starts_with("<div dir=\"rtl\" lang=\"ar\"><p>"), "{html}");
    }
}
