//! Pages for people: `GET /articles/{id}` (or the wire's ninjs, by `Accept`) and the front page `GET /`.
//!
//! They need no script (the one there is checks a story for who asks), hold under the strictest policy there is for content, and say in which language each word is:
//! an Arabic article of an English house has English labels that run from left to right.
//!
//! # Layout
//! - this file: which answer an article gets.
//! - [`form`]: as a page or as ninjs. `document`: what every page has around its text. `article`: an article's text;
//!   `linked`: the same for machines, by schema.org. [`front`]: the newest by section.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::Site;
use crate::html::escape;
use crate::listing::Entry;
use crate::message::Kind;
use crate::ninjs::Note;
use crate::rendered::Rendered;
use crate::store::{Error, Public};
use crate::words::{Words, lang};

pub(crate) mod article;
mod document;
pub mod form;
pub mod front;
mod linked;

pub use document::content_security_policy;
pub use form::Form;
pub use front::front;

use document::{Document, check, noindex, time};

/// The answer to `GET /articles/{id}`: 200, 410 for a withdrawn article with its notice, and the same 404 for one
/// that is unknown, unpublished or in doubt.
///
/// # Errors
/// [`Error`] where the state can't be read.
pub fn article(
    public: &Public,
    site: &Site,
    article: Uuid,
    form: Form,
    now: DateTime<Utc>,
) -> Result<Rendered, Error> {
    let Some(entry) = public.newest(article)? else { return Ok(not_found(site, form)) };
    let withdrawn = entry.shown.is_withdrawn();
    let body = match form {
        Form::Page if withdrawn => withdrawn_page(site, &entry).into(),
        Form::Page => article::page(site, &entry).into(),
        Form::Json | Form::Ninjs => entry.body.clone(),
    };
    let mut rendered = Rendered::new(if withdrawn { 410 } else { 200 }, form.content_type(), body);
    // Ahead of the clock it would be no date of ours to give; the stamp runs ahead only in a burst of changes.
    rendered.last_modified = DateTime::from_timestamp(entry.shown.stamp, 0).filter(|changed| *changed <= now);
    rendered.vary = VARY;
    Ok(rendered)
}

/// An article turns on both.
const VARY: &str = "Accept, Accept-Encoding";

/// The answer for what can't be shown, also to an id that is none: it doesn't tell whether there is an article.
pub fn not_found(site: &Site, form: Form) -> Rendered {
    const PROBLEM: &str = r#"{"type":"urn:copydesk:problem:not_found","title":"There is no such thing","status":404,"detail":"There is no such article.","code":"not_found"}"#;
    let mut rendered = match form {
        Form::Page => {
            let words = Words::of(&site.language);
            let main = format!("<h1>{}</h1><p>{}</p>", words.not_found, words.no_such_article);
            let document =
                Document { main, head: noindex(), ..Document::new(words.language, words.not_found) };
            Rendered::new(404, Form::Page.content_type(), document.render(site))
        }
        Form::Json | Form::Ninjs => Rendered::new(404, "application/problem+json", PROBLEM),
    };
    rendered.vary = VARY;
    rendered
}

/// What readers of a withdrawn article are told.
pub(crate) fn notice(entry: &Entry) -> Note {
    let told = entry.ninjs.notes().into_iter().rfind(|note| note.kind == Kind::Withdrawal);
    told.unwrap_or_else(|| Note {
        kind: Kind::Withdrawal,
        time: Some(entry.shown.changed),
        text: entry.ninjs.ed_note.clone().unwrap_or_default(),
    })
}

fn withdrawn_page(site: &Site, entry: &Entry) -> String {
    let words = Words::of(&site.language);
    // The notice may be in the article's language, which it doesn't say.
    let main = format!(
        "<h1>{}</h1><p dir=\"auto\">{}</p><p class=\"meta\"{}>{} {}</p>",
        escape(&site.withdrawn_title),
        escape(&notice(entry).text),
        lang(words.language, &site.language),
        words.changed(Kind::Withdrawal),
        time(words, entry.shown.changed),
    );
    let main = main + &check(site, entry.article, &site.language);
    Document { main, head: noindex(), ..Document::new(&site.language, &site.withdrawn_title) }.render(site)
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::WireMessage;
    use crate::message::tests::message;

    pub(crate) const ARTICLE: Uuid = Uuid::from_u128(7);

    pub(crate) fn now() -> DateTime<Utc> {
        "2025-12-28T00:00:00Z".parse().unwrap()
    }

    pub(crate) fn site() -> Site {
        Site {
            title: "The <Desk>".into(),
            public_url: "https://desk.example/".into(),
            home_url: Some("https://paper.example/?a=1&b=2".into()),
            language: "en".into(),
            withdrawn_title: "Withdrawn".into(),
            proves: false,
            policies: [
                ("corrections", "https://paper.example/corrections"),
                ("verification", "https://paper.example/checks"),
            ]
            .map(|(name, url)| (name.to_owned(), url.to_owned()))
            .into(),
        }
    }

    pub(crate) fn public(messages: &[WireMessage]) -> Public {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let public = Public::open(&db, Uuid::from_u128(1)).unwrap();
        public.apply(messages).unwrap();
        public
    }

    pub(crate) fn story(seq: u64, language: &str) -> WireMessage {
        let ninjs = json!({
            "language": language,
            "headlines": [{"value": "Letter <celebrates> \"soldiers\""}],
            "descriptions": [{"role": "standfirst", "value": "State & media"}],
            "bodies": [
                {"contentType": "text/plain", "value": "One <b> two"},
                {"contentType": "application/xhtml+xml", "value":
                    "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p onclick=\"x()\">One &lt;b&gt; <em>two</em></p></div>"},
            ],
            "by": "The Desk",
            "located": "SEOUL",
            "slugline": "koreas",
            "subjects": [
                {"rel": "section", "literal": "world/asia"},
                {"rel": "keyword", "literal": "Kursk"},
                {"rel": "about", "literal": "medtop:20000065", "uri": "http://cv.iptc.org/newscodes/mediatopic/20000065"},
            ],
            "associations": [{
                "name": "image",
                "uri": "https://media.example/a.jpg",
                "by": "Pool \"photograph\"",
                "descriptions": [{"role": "alt", "value": "Two <leaders>"}, {"role": "caption", "value": "A & B"}],
            }],
        });
        message(seq, ARTICLE, 1, Kind::First, ninjs)
    }

    fn get(messages: &[WireMessage], accept: Option<&str>) -> (u16, String) {
        let rendered = article(&public(messages), &site(), ARTICLE, Form::negotiated(accept), now()).unwrap();
        (rendered.status, String::from_utf8(rendered.body.to_vec()).unwrap())
    }

    #[test]
    fn a_page_has_everything_escaped() {
        let (status, page) = get(&[story(1, "en")], None);
        assert_eq!(status, 200);
        for part in [
            "<html lang=\"en\"><head>",
            "<a href=\"https://desk.example/?section=world/asia\">World / Asia</a>",
            "<title>Letter &lt;celebrates&gt; &quot;soldiers&quot; – The &lt;Desk&gt;</title>",
            "<h1>Letter &lt;celebrates&gt; &quot;soldiers&quot;</h1>",
            "<p class=\"standfirst\">State &amp; media</p>",
            "<span class=\"byline\">The Desk</span>",
            "<span class=\"dateline\">SEOUL</span>",
            "<time datetime=\"2025-12-25T08:00:00Z\">",
            "<img src=\"https://media.example/a.jpg\" alt=\"Two &lt;leaders&gt;\">",
            "<figcaption>A &amp; B · <cite>Pool &quot;photograph&quot;</cite></figcaption>",
            "<link rel=\"canonical\" href=\"https://desk.example/articles/00000000-0000-0000-0000-000000000007\">",
            "<meta property=\"og:title\" content=\"Letter &lt;celebrates&gt; &quot;soldiers&quot;\">",
            "<meta property=\"article:published_time\" content=\"2025-12-25T08:00:00Z\">",
            "<meta property=\"og:image\" content=\"https://media.example/a.jpg\">",
            "<time datetime=\"2025-12-25T08:00:00Z\">25 December 2025, 08:00 UTC</time>",
            "<p>One &lt;b&gt; <em>two</em></p>",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(!page.contains("onclick") && !page.contains("style=\"") && !page.contains("noindex"));
    }

    #[test]
    fn hostile_words_in_every_field_stay_words() {
        let evil = "\"'><script>x()</script>";
        let said = |role: &str| json!({"role": role, "value": evil});
        let ninjs = json!({
            "language": evil, "by": evil, "located": evil, "headlines": [said("main")],
            "descriptions": [said("standfirst"), said("correction")],
            "bodies": [{"contentType": "application/xhtml+xml", "value": evil}, {"contentType": "text/plain", "value": evil}],
            "subjects": [{"rel": "section", "literal": evil}, {"rel": "keyword", "literal": evil}],
            "associations": [{"name": "image", "uri": format!("https://a.example/{evil}"), "by": evil,
                "descriptions": [said("alt"), said("caption")]}],
        });
        for (number, kind) in [(1, Kind::First), (2, Kind::Correction)] {
            let (_, page) = get(&[message(1, ARTICLE, number, kind, ninjs.clone())], None);
            let scripts = page.matches("<script").count();
            assert!(scripts == 1 && page.contains("<script type=\"application/ld+json\">"), "{page}");
            assert!(page.matches("</script").count() == 1 && !page.contains("<script>x()"), "{page}");
        }
        let notice = message(1, ARTICLE, 2, Kind::Withdrawal, json!({"descriptions": [said("withdrawal")]}));
        assert!(!get(&[notice], None).1.contains("<script"));
        let mut elsewhere = ninjs;
        elsewhere["associations"][0]["uri"] = "javascript:x()".into();
        assert!(!get(&[message(1, ARTICLE, 1, Kind::First, elsewhere)], None).1.contains("javascript"));
    }

    #[test]
    fn a_page_from_right_to_left_says_so() {
        assert!(get(&[story(1, "he-IL")], None).1.contains("<html lang=\"he-IL\" dir=\"rtl\">"));
    }

    /// The JSON-LD of a page.
    fn linked_of(page: &str) -> serde_json::Value {
        let start = "<script type=\"application/ld+json\">";
        let json = page.split_once(start).unwrap().1.split_once("</script>").unwrap().0;
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_page_says_in_linked_data_what_it_says() {
        let data = linked_of(&get(&[story(1, "en")], None).1);
        let url = "https://desk.example/articles/00000000-0000-0000-0000-000000000007";
        for (member, value) in [
            ("@context", json!("https://schema.org")),
            ("@type", json!("NewsArticle")),
            ("url", json!(url)),
            ("headline", json!("Letter <celebrates> \"soldiers\"")),
            ("description", json!("State & media")),
            ("author", json!({"@type": "Person", "name": "The Desk"})),
            ("datePublished", json!("2025-12-25T08:00:00Z")),
            ("dateModified", json!("2025-12-25T08:00:00Z")),
            ("inLanguage", json!("en")),
            ("articleSection", json!("world/asia")),
            ("keywords", json!(["Kursk"])),
        ] {
            assert_eq!(data[member], value, "{member}");
        }
        assert_eq!(data["image"]["url"], "https://media.example/a.jpg");
        assert_eq!(data.get("correction"), None);
        let house = json!({
            "@type": "NewsMediaOrganization",
            "name": "The <Desk>",
            "url": "https://paper.example/?a=1&b=2",
            "correctionsPolicy": "https://paper.example/corrections",
            "verificationFactCheckingPolicy": "https://paper.example/checks",
        });
        assert_eq!(data["publisher"], house);
    }

    /// The second edition of the story, a correction, with these notes.
    fn corrected(language: &str, notes: serde_json::Value) -> WireMessage {
        let mut ninjs: serde_json::Value = serde_json::from_slice(&story(1, language).body).unwrap();
        for member in ["uri", "version", "pubStatus"] {
            ninjs.as_object_mut().unwrap().remove(member);
        }
        ninjs["versionCreated"] = "2025-12-26T10:00:00Z".into();
        ninjs["descriptions"] = notes;
        ninjs["digitalSourceType"] = json!({"uri": "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"});
        message(2, ARTICLE, 2, Kind::Correction, ninjs)
    }

    #[test]
    fn every_note_stands_in_order_before_the_text() {
        let notes = json!([
            {"role": "update", "value": "2025-12-25T12:00:00Z There is more."},
            {"role": "correction", "value": "2025-12-26T10:00:00Z It was <600>."},
            {"role": "standfirst", "value": "State & media"},
        ]);
        let page = get(&[story(1, "en"), corrected("en", notes)], None).1;
        let at = |words: &str| page.find(words).unwrap_or_else(|| panic!("{words} in {page}"));
        let order = [
            at("<span>Corrected <time datetime=\"2025-12-26T10:00:00Z\">"),
            at("Machines wrote parts"),
            at("<h2>Corrections and updates</h2>"),
            at("<strong>Update</strong>, <time datetime=\"2025-12-25T12:00:00Z\">"),
            at("There is more."),
            at("<strong>Correction</strong>"),
            at("<p dir=\"auto\">It was &lt;600&gt;.</p>"),
            at("<figure>"),
            at("<p>One &lt;b&gt;"),
        ];
        assert!(order.is_sorted(), "{order:?}");
        let data = linked_of(&page);
        let comment = json!({"@type": "CorrectionComment", "text": "It was <600>.", "datePublished": "2025-12-26T10:00:00Z"});
        assert_eq!(data["correction"], json!([comment]));
        assert_eq!(data["dateModified"], "2025-12-26T10:00:00Z");
    }

    #[test]
    fn the_house_speaks_its_own_language_on_a_page_of_another() {
        let notes = json!([{"role": "correction", "value": "2025-12-26T10:00:00Z كان 600"}]);
        let page = get(&[story(1, "ar"), corrected("ar", notes)], None).1;
        for part in [
            "<html lang=\"ar\" dir=\"rtl\">",
            "<header class=\"house\" lang=\"en\" dir=\"ltr\">",
            "<p class=\"meta times\" lang=\"en\" dir=\"ltr\"><span>Published ",
            "<h2 lang=\"en\" dir=\"ltr\">Corrections and updates</h2>",
            "<p class=\"meta\" lang=\"en\" dir=\"ltr\"><strong>Correction</strong>",
            "<nav aria-label=\"Feeds\" lang=\"en\" dir=\"ltr\">",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }

    #[test]
    fn two_editions_of_one_second_have_different_dates() {
        let public = public(&[story(1, "en")]);
        let modified =
            || article(&public, &site(), ARTICLE, Form::Page, now()).unwrap().last_modified.unwrap();
        let before = modified();
        public.apply(&[message(2, ARTICLE, 2, Kind::Update, json!({}))]).unwrap();
        assert!(modified() > before);
        let early = article(&public, &site(), ARTICLE, Form::Page, before).unwrap();
        assert_eq!(early.last_modified, None, "no date that lies ahead");
    }

    #[test]
    fn machines_get_the_bytes_of_the_wire() {
        let story = story(1, "en");
        let public = public(std::slice::from_ref(&story));
        for (accept, content_type) in
            [("application/json", "application/json"), ("application/ninjs+json", "application/ninjs+json")]
        {
            let rendered = article(&public, &site(), ARTICLE, Form::negotiated(Some(accept)), now()).unwrap();
            assert_eq!((rendered.content_type, &rendered.body), (content_type, &story.body));
            assert_eq!(rendered.vary, "Accept, Accept-Encoding");
        }
    }

    #[test]
    fn a_withdrawn_article_is_410_with_its_notice() {
        let notice =
            json!({"descriptions": [{"role": "withdrawal", "value": "2025-12-26T09:00:00Z It & all"}]});
        let messages = [story(1, "en"), message(2, ARTICLE, 2, Kind::Withdrawal, notice)];
        let (status, page) = get(&messages, None);
        assert_eq!(status, 410);
        assert!(page.contains("<h1>Withdrawn</h1><p dir=\"auto\">It &amp; all</p>"));
        assert!(page.contains("<title>Withdrawn – The &lt;Desk&gt;</title>"));
        assert!(page.contains("<meta name=\"robots\" content=\"noindex\">"));
        for word in ["Letter", "State", "byline\"", "SEOUL", "a.jpg", "two"] {
            assert!(!page.contains(word), "{word}");
        }
        let (status, ninjs) = get(&messages, Some("application/json"));
        assert_eq!(status, 410);
        assert!(ninjs.contains("It & all") && !ninjs.contains("Letter"));
    }

    #[test]
    fn what_is_unknown_is_404() {
        let (status, page) = get(&[], None);
        assert!(status == 404 && page.contains("There is no such article."));
        let (status, problem) = get(&[], Some("application/json"));
        assert!(status == 404 && problem.contains("\"not_found\""));
    }
}
