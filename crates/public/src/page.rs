//! `GET /articles/{id}`: the newest edition as a page for people, or the wire's ninjs.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Site;
use crate::feed::{date, label};
use crate::html::{clean, escape, is_rtl, web_address};
use crate::listing::Entry;
use crate::message::Kind;
use crate::ninjs::{Association, Note};
use crate::rendered::Rendered;
use crate::store::{Error, Public};

/// The forms in which an article is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A page for people.
    Page,
    /// The wire's ninjs, as `application/json`.
    Json,
    /// The wire's ninjs, as `application/ninjs+json`.
    Ninjs,
}

impl Form {
    const ALL: [Form; 3] = [Form::Page, Form::Json, Form::Ninjs];

    fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Form::Page => ("text", "html"),
            Form::Json => ("application", "json"),
            Form::Ninjs => ("application", "ninjs+json"),
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Form::Page => "text/html; charset=utf-8",
            Form::Json => "application/json",
            Form::Ninjs => "application/ninjs+json",
        }
    }

    /// The form that `Accept` prefers (RFC 9110, 12.5.1): by weight, of the same weight the one that is named
    /// rather than a wildcard's, of those the page. Who accepts none of them gets the page.
    pub fn negotiated(accept: Option<&str>) -> Form {
        let Some(accept) = accept else { return Form::Page };
        let wished = Form::ALL.into_iter().map(|form| (form, form.weight(accept)));
        // The page comes first, and only something better takes its place.
        wished.fold((Form::Page, (0, 0)), |best, next| if next.1 > best.1 { next } else { best }).0
    }

    /// Weight in thousandths and precision with which `Accept` names this form; the most precise range counts.
    fn weight(self, accept: &str) -> (u16, u8) {
        let (kind, subkind) = self.media_type();
        let ranges = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let (a, b) = parts.next()?.split_once('/')?;
            let precision = match (a, b) {
                ("*", "*") => 1,
                (a, "*") if a.eq_ignore_ascii_case(kind) => 2,
                (a, b) if a.eq_ignore_ascii_case(kind) && b.eq_ignore_ascii_case(subkind) => 3,
                _ => return None,
            };
            let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let q: f32 = q.map_or(Some(1.0), |q| q.parse().ok())?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
            let weight = (q.clamp(0.0, 1.0) * 1000.0) as u16;
            Some((weight, precision))
        });
        match ranges.max_by_key(|(_, precision)| *precision) {
            Some((0, _)) | None => (0, 0),
            Some(range) => range,
        }
    }
}

/// The answer to `GET /articles/{id}`: 200, 410 for a withdrawn article with its notice, and the same 404 for one
/// that is unknown, unpublished or in doubt.
///
/// # Errors
/// [`Error`] where the state can't be read.
pub fn article(public: &Public, site: &Site, article: Uuid, accept: Option<&str>) -> Result<Rendered, Error> {
    let form = Form::negotiated(accept);
    let Some(entry) = public.newest(article)? else { return Ok(not_found(site, accept)) };
    let status = if entry.shown.is_withdrawn() { 410 } else { 200 };
    let mut rendered = match form {
        Form::Page => Rendered::new(status, form.content_type(), page(site, &entry)),
        Form::Json | Form::Ninjs => Rendered::new(status, form.content_type(), entry.body.clone()),
    };
    // No Last-Modified: two editions may bear the same second, and a reader would keep the older one.
    rendered.vary = Some("Accept");
    Ok(rendered)
}

/// The answer for what can't be shown, also to an id that is none: it doesn't tell whether there is an article.
pub fn not_found(site: &Site, accept: Option<&str>) -> Rendered {
    const PROBLEM: &str = r#"{"type":"about:blank","title":"Not found","status":404,"detail":"There is no such article.","code":"not_found"}"#;
    let mut rendered = match Form::negotiated(accept) {
        Form::Page => {
            let body = "<main><h1>Not found</h1><p>There is no such article.</p></main>";
            Rendered::new(404, Form::Page.content_type(), document(site, "en", "Not found", "", body))
        }
        Form::Json | Form::Ninjs => Rendered::new(404, "application/problem+json", PROBLEM),
    };
    rendered.vary = Some("Accept");
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

fn page(site: &Site, entry: &Entry) -> String {
    if entry.shown.is_withdrawn() {
        let notice = notice(entry);
        let title = escape(&site.withdrawn_title);
        let body = format!(
            "<main><h1>{title}</h1><p>{}</p><p class=\"meta\">{}</p></main>",
            escape(&notice.text),
            time(entry.shown.changed)
        );
        return document(site, &site.language, &site.withdrawn_title, "", &body);
    }
    let ninjs = &entry.ninjs;
    let language = ninjs.language.as_deref().unwrap_or(&site.language);
    let headline = ninjs.headline().unwrap_or(&site.title);
    let mut body = format!("<main><article><header><h1>{}</h1>", escape(headline));
    if let Some(standfirst) = ninjs.standfirst() {
        body.push_str(&format!("<p class=\"standfirst\">{}</p>", escape(standfirst)));
    }
    let by = ninjs.by.as_deref().map(|by| format!("<span class=\"byline\">{}</span> ", escape(by)));
    let located =
        ninjs.located.as_deref().map(|place| format!("<span class=\"dateline\">{}</span> ", escape(place)));
    body.push_str("<p class=\"meta\">");
    body.extend(by.into_iter().chain(located));
    body.push_str(&time(entry.shown.first_published));
    if entry.shown.changed != entry.shown.first_published {
        body.push_str(&format!(" · {} {}", label(entry.shown.kind), time(entry.shown.changed)));
    }
    body.push_str("</p></header>");
    body.extend(ninjs.image().and_then(figure));
    body.push_str(&match ninjs.body("application/xhtml+xml") {
        Some(text) => clean(text),
        None => format!("<p class=\"plain\">{}</p>", escape(ninjs.body("text/plain").unwrap_or_default())),
    });
    body.push_str(&notes(&ninjs.notes()));
    body.push_str("</article></main>");
    document(site, language, headline, ninjs.standfirst().unwrap_or_default(), &body)
}

/// What readers are told of changes, as a labelled section; nothing where there are none.
pub(crate) fn notes(notes: &[Note]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let items = notes.iter().map(|note| {
        let when = note.time.map(|at| format!(" ({})", time(at))).unwrap_or_default();
        format!("<p><strong>{}</strong>{when}: {}</p>", label(note.kind), escape(&note.text))
    });
    format!(
        "<section class=\"notes\" aria-label=\"Corrections and updates\">{}</section>",
        items.collect::<String>()
    )
}

fn figure(image: &Association) -> Option<String> {
    let src = escape(web_address(&image.uri)?);
    let alt = escape(image.alt().unwrap_or_default());
    let words: Vec<String> =
        [image.caption(), image.by.as_deref()].into_iter().flatten().map(escape).collect();
    let caption = if words.is_empty() {
        String::new()
    } else {
        format!("<figcaption>{}</figcaption>", words.join(" · "))
    };
    Some(format!("<figure><img src=\"{src}\" alt=\"{alt}\">{caption}</figure>"))
}

fn time(at: DateTime<Utc>) -> String {
    format!("<time datetime=\"{}\">{}</time>", date(at), at.format("%Y-%m-%d %H:%M UTC"))
}

/// A whole page; `body` is HTML, everything else is text.
fn document(site: &Site, language: &str, title: &str, description: &str, body: &str) -> String {
    let dir = if is_rtl(language) { " dir=\"rtl\"" } else { "" };
    let description = match description {
        "" => String::new(),
        words => format!("<meta name=\"description\" content=\"{}\">", escape(words)),
    };
    let house = escape(&site.title);
    let home = match &site.home_url {
        Some(url) => format!("<a href=\"{}\">{house}</a>", escape(url)),
        None => house.to_string(),
    };
    format!(
        "<!doctype html><html lang=\"{language}\"{dir}><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title} – {house}</title>{description}\
         <link rel=\"alternate\" type=\"application/atom+xml\" title=\"{house}\" href=\"{url}/feed.atom\">\
         <link rel=\"alternate\" type=\"application/feed+json\" title=\"{house}\" href=\"{url}/feed.json\"><style>{STYLE}</style></head>\
         <body><nav>{home}</nav>{body}</body></html>\n",
        language = escape(language),
        title = escape(title),
        url = escape(site.public_url.trim_end_matches('/')),
    )
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1b1b;--quiet:#5c5c5c;--paper:#fff;--line:#d0d0d0}\
@media (prefers-color-scheme:dark){:root{--ink:#e8e8e8;--quiet:#a8a8a8;--paper:#141414;--line:#444}}\
body{margin:0 auto;padding:1rem;max-width:42rem;background:var(--paper);color:var(--ink);font:1.1rem/1.6 Georgia,serif}\
nav,.meta,figcaption{color:var(--quiet);font:.9rem/1.5 system-ui,sans-serif}nav a{color:inherit}\
h1{line-height:1.2}.standfirst{font-size:1.25rem}figure{margin:1.5rem 0}img{max-width:100%;height:auto}\
.plain{white-space:pre-line}blockquote{margin-inline:1rem;padding-inline-start:1rem;border-inline-start:3px solid var(--line)}\
.notes{margin-top:2rem;padding:0 1rem;border:1px solid var(--line)}";

/// The `Content-Security-Policy` that pages are made for: no scripts, our one style, pictures from the web.
pub fn content_security_policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = STANDARD.encode(Sha256::digest(STYLE));
        format!(
            "default-src 'none'; img-src http: https:; style-src 'sha256-{hash}'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        )
    });
    &POLICY
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
        let rendered = article(&public(messages), &site(), ARTICLE, accept).unwrap();
        (rendered.status, String::from_utf8(rendered.body.to_vec()).unwrap())
    }

    #[test]
    fn a_page_has_everything_escaped() {
        let (status, page) = get(&[story(1, "en")], None);
        assert_eq!(status, 200);
        for part in [
            "<html lang=\"en\"><head>",
            "<title>Letter &lt;celebrates&gt; &quot;soldiers&quot; – The &lt;Desk&gt;</title>",
            "<h1>Letter &lt;celebrates&gt; &quot;soldiers&quot;</h1>",
            "<p class=\"standfirst\">State &amp; media</p>",
            "<span class=\"byline\">The Desk</span>",
            "<span class=\"dateline\">SEOUL</span>",
            "<time datetime=\"2025-12-25T08:00:00Z\">",
            "<img src=\"https://media.example/a.jpg\" alt=\"Two &lt;leaders&gt;\">",
            "<figcaption>A &amp; B · Pool &quot;photograph&quot;</figcaption>",
            "<p>One &lt;b&gt; <em>two</em></p>",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(!page.contains("onclick") && !page.contains("<script") && !page.contains("style=\""));
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
            assert!(!page.contains("<script") && !page.contains("\"'>"), "{page}");
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

    #[test]
    fn machines_get_the_bytes_of_the_wire() {
        let story = story(1, "en");
        let public = public(std::slice::from_ref(&story));
        for (accept, content_type) in
            [("application/json", "application/json"), ("application/ninjs+json", "application/ninjs+json")]
        {
            let rendered = article(&public, &site(), ARTICLE, Some(accept)).unwrap();
            assert_eq!((rendered.content_type, &rendered.body), (content_type, &story.body));
            assert_eq!(rendered.vary, Some("Accept"));
        }
    }

    #[test]
    fn a_withdrawn_article_is_410_with_its_notice() {
        let notice =
            json!({"descriptions": [{"role": "withdrawal", "value": "2025-12-26T09:00:00Z It & all"}]});
        let messages = [story(1, "en"), message(2, ARTICLE, 2, Kind::Withdrawal, notice)];
        let (status, page) = get(&messages, None);
        assert_eq!(status, 410);
        assert!(page.contains("<h1>Withdrawn</h1><p>It &amp; all</p>"));
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

    #[test]
    fn accept_is_negotiated() {
        for (accept, form) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Form::Page),
            ("*/*", Form::Page),
            ("", Form::Page),
            ("image/png", Form::Page),
            ("application/*", Form::Json),
            ("application/json, text/plain, */*", Form::Json),
            ("application/ninjs+json;q=0.9, text/html;q=0.5", Form::Ninjs),
            ("Application/JSON; charset=utf-8", Form::Json),
            ("text/html;q=0, */*;q=0.1", Form::Json),
            ("text/html, application/json", Form::Page),
        ] {
            assert_eq!(Form::negotiated(Some(accept)), form, "{accept}");
        }
        assert_eq!(Form::negotiated(None), Form::Page);
    }

    #[test]
    fn the_policy_admits_the_style_and_no_script() {
        let policy = content_security_policy();
        assert!(policy.contains("style-src 'sha256-") && policy.contains("default-src 'none'"));
        assert!(!policy.contains("script") && !policy.contains("unsafe"));
        let page = get(&[story(1, "en")], None).1;
        let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        assert!(policy.contains(&STANDARD.encode(Sha256::digest(style))));
    }
}
