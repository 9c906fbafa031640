//! `GET /`: the newest by section, or all of one section.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::article::{section_name, section_url};
use super::document::{Document, feed_links, linked, meta, time};
use super::linked;
use super::notice;
use crate::Site;
use crate::feed::{self, FeedError, Params};
use crate::filter::Filter;
use crate::html::escape;
use crate::listing::{Entry, Listing};
use crate::message::Kind;
use crate::rendered::Rendered;
use crate::store::{Error, Public};
use crate::words::{Words, lang};

/// How many sections there are at most, those with the newest stories first.
const SECTIONS: usize = 24;
/// How many stories a section has beside others.
const STORIES: usize = 5;
/// How many are looked at to find them: some have moved to another section since.
const LOOKED_AT: usize = 10;
/// How many stories a section has on a page of its own.
const PAGE: usize = 30;

/// The answer to `GET /`; of `params`, `section` and `cursor` count.
///
/// # Errors
/// [`FeedError`].
pub fn front(
    public: &Public,
    site: &Site,
    params: &Params,
    now: DateTime<Utc>,
) -> Result<Rendered, FeedError> {
    let section = params.section.as_deref().filter(|section| !section.is_empty());
    let (body, changed) = match section {
        None => whole(public, site, now)?,
        Some(section) => one(public, site, section, params.cursor.as_deref(), now)?,
    };
    let mut rendered = Rendered::new(200, "text/html; charset=utf-8", body);
    rendered.last_modified = changed.filter(|changed| *changed <= now);
    Ok(rendered)
}

/// A section and its newest stories.
struct Group {
    section: String,
    entries: Vec<Entry>,
}

fn whole(
    public: &Public,
    site: &Site,
    now: DateTime<Utc>,
) -> Result<(String, Option<DateTime<Utc>>), FeedError> {
    let words = Words::of(&site.language);
    // Asked for first: what comes after is at least as new as this date.
    let changed = list(public, None, LOOKED_AT, now)?.changed;
    let mut main = String::new();
    let groups = groups(public, now)?;
    if groups.is_empty() {
        main.push_str(&format!("<p{}>{}</p>", lang(words.language, &site.language), words.nothing));
    }
    for group in &groups {
        main.push_str("<section class=\"group\"><h2");
        if group.section.is_empty() {
            main.push_str(&format!("{}>{}</h2>", lang(words.language, &site.language), words.elsewhere));
        } else {
            let (name, url) = (section_name(&group.section), section_url(site, &group.section));
            main.push_str(&format!("><a href=\"{}\">{}</a></h2>", escape(&url), escape(&name)));
            main.push_str(&feed_links(site, Some(&group.section), &site.language, Some(&name)));
        }
        main.extend(group.entries.iter().map(|entry| story(site, entry, "h3")));
        main.push_str("</section>");
    }
    let head = head(site, &site.url("/"), &site.title);
    Ok((Document { head, main, ..Document::new(&site.language, "") }.render(site), changed))
}

fn one(
    public: &Public,
    site: &Site,
    section: &str,
    cursor: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(String, Option<DateTime<Utc>>), FeedError> {
    let words = Words::of(&site.language);
    let place = cursor.map(|cursor| feed::place(cursor).ok_or(FeedError::Cursor)).transpose()?;
    let filter = Filter { section: Some(section.to_owned()), ..Filter::default() };
    let listing = public.list(&filter, place.as_ref(), PAGE, now)?;
    let name = section_name(section);
    let house = lang(words.language, &site.language);
    let mut main = format!("<h1>{}</h1>", escape(&name));
    if listing.entries.is_empty() {
        main.push_str(&format!("<p{house}>{}</p>", words.nothing));
    }
    main.extend(listing.entries.iter().map(|entry| story(site, entry, "h2")));
    let asked = Params { section: Some(section.to_owned()), ..Params::default() };
    if let Some(place) = &listing.next {
        let next = feed::address(site, "/", &asked, Some(&feed::cursor(place)));
        let next = escape(&next);
        main.push_str(&format!(
            "<p class=\"meta\"{house}><a rel=\"next\" href=\"{next}\">{}</a></p>",
            words.older
        ));
    }
    let head = head(site, &feed::address(site, "/", &asked, cursor), &name);
    let document = Document { head, main, section: Some(section), ..Document::new(&site.language, &name) };
    Ok((document.render(site), listing.changed))
}

/// Every section of the highest rank with what is newest in it, the one with the newest first; stories that are in
/// none come last.
fn groups(public: &Public, now: DateTime<Utc>) -> Result<Vec<Group>, Error> {
    let sections = public.sections()?;
    let mut groups = Vec::new();
    for section in sections.into_iter().filter(|section| !section.contains('/')) {
        let mut entries = list(public, Some(&section), LOOKED_AT, now)?.entries;
        // A story is where it is now.
        entries.retain(|entry| is_in(entry, &section));
        groups.push(Group { section, entries });
    }
    let newest =
        |group: &Group| group.entries.first().map(|entry| (entry.shown.changed, entry.shown.wire_seq));
    groups.sort_by_key(|group| (!group.section.is_empty(), newest(group)));
    groups.reverse();
    // A notice says no section: it is where it comes first.
    let mut seen = HashSet::new();
    for group in &mut groups {
        group.entries.retain(|entry| seen.insert(entry.article));
        group.entries.truncate(STORIES);
    }
    groups.retain(|group| !group.entries.is_empty());
    groups.truncate(SECTIONS);
    Ok(groups)
}

fn is_in(entry: &Entry, section: &str) -> bool {
    let now = entry.ninjs.section().map(|now| now.split('/').next().unwrap_or_default());
    entry.shown.is_withdrawn() || now.unwrap_or_default() == section
}

fn list(public: &Public, section: Option<&str>, limit: usize, now: DateTime<Utc>) -> Result<Listing, Error> {
    let filter = Filter { section: section.map(str::to_owned), ..Filter::default() };
    public.list(&filter, None, limit, now)
}

/// A story in a list, headed by an element of this name; of a withdrawn one, its notice.
fn story(site: &Site, entry: &Entry, heading: &str) -> String {
    let words = Words::of(&site.language);
    let (ninjs, shown) = (&entry.ninjs, &entry.shown);
    let language = ninjs.language.as_deref().unwrap_or(&site.language);
    let house = lang(words.language, language);
    let url = escape(&site.article_url(entry.article));
    let when = |shown_words: &str, house: &str| {
        format!("<p class=\"meta\"{house}>{shown_words} {}</p>", time(words, shown.changed))
    };
    if shown.is_withdrawn() {
        let title = escape(&site.withdrawn_title);
        return format!(
            "<article class=\"story\"><{heading}><a href=\"{url}\">{title}</a></{heading}><p class=\"note\" dir=\"auto\">{}</p>{}</article>",
            escape(&notice(entry).text),
            when(words.withdrawn, &lang(words.language, &site.language)),
        );
    }
    let title = escape(ninjs.headline().unwrap_or(&site.title));
    let mut story = format!(
        "<article class=\"story\"{}><{heading}><a href=\"{url}\">{title}</a></{heading}>",
        lang(language, &site.language)
    );
    if let Some(standfirst) = ninjs.standfirst() {
        story.push_str(&format!("<p class=\"standfirst\">{}</p>", escape(standfirst)));
    }
    if let Some(note) = ninjs.notes().last().filter(|_| shown.kind != Kind::First) {
        story.push_str(&format!(
            "<p class=\"note\"><strong{house}>{}</strong>: <bdi>{}</bdi></p>",
            words.note(note.kind),
            escape(&note.text)
        ));
    }
    story.push_str(&when(words.changed(shown.kind), &house));
    story.push_str("</article>");
    story
}

fn head(site: &Site, url: &str, title: &str) -> String {
    let mut house = linked::house(site);
    if let Some(house) = house.as_object_mut() {
        house.insert("@context".to_owned(), "https://schema.org".into());
    }
    [
        format!("<link rel=\"canonical\" href=\"{}\">", escape(url)),
        meta("property", "og:type", "website"),
        meta("property", "og:title", title),
        meta("property", "og:site_name", &site.title),
        meta("property", "og:url", url),
        linked(&house),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::message::WireMessage;
    use crate::message::tests::message;
    use crate::page::tests::{now, public, site, story};

    fn page(messages: &[WireMessage], params: &Params) -> String {
        let rendered = front(&public(messages), &site(), params, now()).unwrap();
        assert_eq!(rendered.status, 200);
        String::from_utf8(rendered.body.to_vec()).unwrap()
    }

    fn in_section(seq: u64, article: u128, edition: u32, section: &str, headline: &str) -> WireMessage {
        let ninjs = json!({
            "language": "en",
            "versionCreated": format!("2025-12-26T08:{:02}:{:02}Z", seq / 60, seq % 60),
            "headlines": [{"value": headline}],
            "subjects": [{"rel": "section", "literal": section}],
        });
        let kind = if edition == 1 { Kind::First } else { Kind::Update };
        message(seq, Uuid::from_u128(article), edition, kind, ninjs)
    }

    #[test]
    fn stories_stand_under_their_present_section_newest_first() {
        let messages = [
            in_section(1, 1, 1, "world/asia", "A quiet place"),
            in_section(2, 2, 1, "sport", "A <game>"),
            in_section(3, 3, 1, "sport/chess", "Another game"),
            in_section(4, 4, 1, "sport", "Moved on"),
            in_section(5, 4, 2, "culture-arts", "Moved on"),
            message(6, Uuid::from_u128(9), 1, Kind::First, json!({"versionCreated": "2025-12-27T00:00:00Z"})),
        ];
        let page = page(&messages, &Params::default());
        let at = |words: &str| page.find(words).unwrap_or_else(|| panic!("{words} in {page}"));
        assert_eq!(page.matches("Moved on").count(), 1);
        let order = [
            at(">Culture arts</a></h2>"),
            at("Moved on"),
            at(">Sport</a></h2>"),
            at("Another game"),
            at("A &lt;game&gt;"),
            at(">World</a></h2>"),
            at("A quiet place"),
            at("Other stories"),
        ];
        assert!(order.is_sorted(), "{order:?}");
        for link in ["/?section=sport\"", "/feed.rss?section=sport\"", "/feed.rss\"", "/articles/00000000-"] {
            assert!(page.contains(&format!("href=\"https://desk.example{link}")), "{link}");
        }
        assert!(page.contains("\"@type\":\"NewsMediaOrganization\""));
    }

    #[test]
    fn it_has_a_bound_however_much_there_is() {
        let messages: Vec<_> = (1..=600)
            .map(|n| in_section(n, n.into(), 1, &format!("s{}", n % 40), &format!("Story {n}.")))
            .collect();
        let page = page(&messages, &Params::default());
        assert_eq!(page.matches("class=\"group\"").count(), SECTIONS);
        assert_eq!(page.matches("class=\"story\"").count(), SECTIONS * STORIES);
        assert!(page.contains("Story 600.") && !page.contains("Story 1."));
    }

    #[test]
    fn a_section_has_pages_of_its_own() {
        let messages: Vec<_> = (1..=70)
            .map(|n| {
                in_section(
                    n,
                    n.into(),
                    1,
                    if n % 2 == 0 { "world" } else { "world/asia" },
                    &format!("Story {n}."),
                )
            })
            .collect();
        let mut params = Params { section: Some("world".into()), ..Params::default() };
        let mut seen = 0;
        for _ in 0..4 {
            let page = page(&messages, &params);
            assert!(page.contains("<h1>World</h1>") && page.contains("/feed.atom?section=world\""));
            seen += page.matches("class=\"story\"").count();
            let Some((_, next)) = page.split_once("rel=\"next\" href=\"") else { break };
            let next = next.split('"').next().unwrap();
            let (start, cursor) = next.split_once("cursor=").unwrap();
            assert_eq!(start, "https://desk.example/?section=world&amp;");
            params.cursor = Some(cursor.to_owned());
        }
        assert_eq!(seen, 70);
        params.cursor = Some("x".into());
        assert!(matches!(front(&public(&messages), &site(), &params, now()), Err(FeedError::Cursor)));
    }

    #[test]
    fn a_correction_is_told_and_a_withdrawn_story_is_its_notice_alone() {
        let mut corrected = story(1, "ar");
        let mut body: serde_json::Value = serde_json::from_slice(&corrected.body).unwrap();
        body["version"] = "2".into();
        body["descriptions"] = json!([{"role": "correction", "value": "2025-12-26T10:00:00Z It was <600>."}]);
        corrected.body = body.to_string().into();
        for (name, value) in &mut corrected.headers {
            match name.as_str() {
                "Copydesk-Kind" => *value = "correction".into(),
                "Copydesk-Edition" => *value = "2".into(),
                "Nats-Msg-Id" => *value = value.replace("/1", "/2"),
                _ => {}
            }
        }
        let notice =
            json!({"descriptions": [{"role": "withdrawal", "value": "2025-12-26T09:00:00Z It & all"}]});
        let gone = [
            in_section(2, 8, 1, "sport", "CANARY"),
            message(3, Uuid::from_u128(8), 2, Kind::Withdrawal, notice),
        ];
        let page = page(&[&[corrected], &gone[..]].concat(), &Params::default());
        assert!(page.contains("<article class=\"story\" lang=\"ar\" dir=\"rtl\">"), "{page}");
        assert!(
            page.contains(
                "<strong lang=\"en\" dir=\"ltr\">Correction</strong>: <bdi>It was &lt;600&gt;.</bdi>"
            )
        );
        assert!(page.contains(">Withdrawn</a></h3><p class=\"note\" dir=\"auto\">It &amp; all</p>"));
        assert!(!page.contains("CANARY"));
    }
}
