use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::message::tests::message;
use crate::message::{Kind, WireMessage};
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
    assert_eq!(item["_copydesk"], json!({"edition": 1, "kind": "first", "withdrawn": false, "notes": []}));
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
    let note = json!({"role": "correction", "date": "2025-12-26T10:00:00Z", "text": "It was <b>600</b>."});
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
        Params { subject: Some("medtop:20000065".into()), keyword: Some(String::new()), ..Params::default() },
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
fn a_feed_leads_to_no_picture_that_a_page_may_not_load() {
    let of = |uri: &str| {
        let associations = json!([{"name": "image", "uri": uri}]);
        let story = message(1, ARTICLE, 1, Kind::First, json!({ "associations": associations }));
        json_of(&[story], &Params::default())["items"][0]["image"].clone()
    };
    assert_eq!(of("https://media.example/a.jpg"), "https://media.example/a.jpg");
    assert_eq!((of("javascript:x()"), of("file:///etc/passwd")), (Value::Null, Value::Null));
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

/// Who asks by the date alone would go on with what may have been withdrawn.
#[test]
fn an_article_that_is_hidden_moves_the_date_too() {
    let public = public(&[story(1, "en")]);
    let site = site();
    let get = || Feed { public: &public, site: &site }.json(&Params::default(), now()).unwrap();
    let before = get();
    let mut doubtful = message(2, ARTICLE, 2, Kind::Withdrawal, json!({}));
    doubtful.headers.retain(|(name, _)| name != "Copydesk-Kind");
    public.apply(&[doubtful]).unwrap();
    let after = get();
    assert!(before.last_modified < after.last_modified, "{:?}", after.last_modified);
    assert!(!crate::conditional(None, before.last_modified_header().as_deref(), &after));
}

#[test]
fn text_from_right_to_left_says_so() {
    let feed = json_of(&[story(1, "ar")], &Params::default());
    let html = feed["items"][0]["content_html"].as_str().unwrap();
    assert!(html.starts_with("<div dir=\"rtl\" lang=\"ar\"><p>"), "{html}");
}

#[test]
fn what_xml_has_no_place_for_never_gets_into_a_feed() {
    let evil = "a\u{0}\u{1}\u{8}\u{b}\u{c}\u{1f}\u{fffe}\u{ffff}\u{7f}\u{85}\u{2028}\u{202e} ]]> & <b> 🎉 خبر\r\n\tz";
    let clean = evil.replace('\u{85}', "\n").replace(
        |c: char| c.is_control() && !"\t\n\r".contains(c) || ['\u{fffe}', '\u{ffff}'].contains(&c),
        "\u{fffd}",
    );
    let ninjs = json!({
        "language": "ar", "by": evil, "headlines": [{"value": evil}],
        "descriptions": [{"role": "standfirst", "value": evil}, {"role": "correction", "value": evil}],
        "bodies": [{"contentType": "text/plain", "value": evil},
            {"contentType": "application/xhtml+xml", "value": format!("<div><p>{}</p></div>", crate::html::escape(evil))}],
        "subjects": [{"rel": "keyword", "literal": evil}],
    });
    let public = public(&[message(1, ARTICLE, 1, Kind::First, ninjs)]);
    let site = Site { title: "Desk\u{1} ]]> &".into(), ..site() };
    let feed = Feed { public: &public, site: &site };
    let read = |body: &[u8]| {
        let text = std::str::from_utf8(body).unwrap().to_owned();
        let bad = |c: char| c.is_control() && !"\t\n\r".contains(c) || ['\u{fffe}', '\u{ffff}'].contains(&c);
        assert!(!text.contains(bad) && !text.contains("&#x") && !text.contains("&#0"), "{text:?}");
        text
    };
    let norm = |text: &str| text.replace("\r\n", "\n");
    let atom = read(&feed.atom(&Params::default(), now()).unwrap().body);
    let atom = ::atom_syndication::Feed::read_from(atom.as_bytes()).unwrap();
    assert_eq!(norm(&atom.entries[0].title.value), norm(&clean));
    assert_eq!(norm(&atom.entries[0].summary.as_ref().unwrap().value), norm(&clean));
    let rss = read(&feed.rss(&Params::default(), now()).unwrap().body);
    let rss = ::rss::Channel::read_from(rss.as_bytes()).unwrap();
    assert_eq!(norm(rss.items[0].title.as_deref().unwrap()), norm(&clean));
    assert!(rss.items[0].content.as_deref().unwrap().contains("]]&gt; &amp; &lt;b&gt; 🎉"));
    let description = rss.items[0].description.as_deref().unwrap();
    assert_eq!(norm(description), norm(&crate::html::escape(&clean)), "a description is HTML");
}
