//! What every page has around its text: the head, the way home, feeds and policies, the one style.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Site;
use crate::feed::{self, FORMATS, date};
use crate::html::{escape, is_rtl};
use crate::words::{Words, lang};

/// A whole page. `head` and `main` are HTML, everything else is text.
pub(super) struct Document<'a> {
    /// The language of what it says.
    pub language: &'a str,
    /// Its title, without the house's name; empty where that name is all there is to say.
    pub title: &'a str,
    /// What it has in its head beside what all have.
    pub head: String,
    /// The section whose feeds it leads to; none: those of the whole house.
    pub section: Option<&'a str>,
    /// What it says.
    pub main: String,
}

impl<'a> Document<'a> {
    pub(super) fn new(language: &'a str, title: &'a str) -> Self {
        Document { language, title, head: String::new(), section: None, main: String::new() }
    }

    pub(super) fn render(&self, site: &Site) -> String {
        let direction = if is_rtl(self.language) { " dir=\"rtl\"" } else { "" };
        let house = escape(&site.title);
        let home = format!("<a href=\"{}\">{house}</a>", escape(&site.home()));
        let (title, home) = match self.title {
            "" => (house.clone(), format!("<h1>{home}</h1>")),
            title => (format!("{} – {house}", escape(title)), home),
        };
        let alternates = feeds(site, self.section).map(|(format, url)| {
            format!(
                "<link rel=\"alternate\" type=\"{}\" title=\"{house} ({})\" href=\"{}\">",
                format.media_type,
                format.name,
                escape(&url)
            )
        });
        let own = lang(&site.language, self.language);
        format!(
            "<!doctype html><html lang=\"{language}\"{direction}><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
             {head}{alternates}<link rel=\"icon\" href=\"{ICON}\"><style>{STYLE}</style></head>\
             <body><header class=\"house\"{own}>{home}</header>\
             <main>{main}</main><footer class=\"house\">{foot}</footer></body></html>\n",
            language = escape(self.language),
            head = self.head,
            alternates = alternates.collect::<String>(),
            main = self.main,
            foot = self.foot(site),
        )
    }

    fn foot(&self, site: &Site) -> String {
        let words = Words::of(&site.language);
        let mut foot = feed_links(site, self.section, self.language, None);
        let policies: String = site
            .policies()
            .map(|(policy, url)| {
                let own = lang("en", self.language);
                format!("<li{own}><a href=\"{}\">{}</a></li>", escape(url), policy.label)
            })
            .collect();
        if !policies.is_empty() {
            let own = lang(words.language, self.language);
            foot.push_str(&list(words.policies, words.policies, &own, &policies));
        }
        foot
    }
}

/// The feeds as a list of links, named after what they are of.
pub(super) fn feed_links(site: &Site, section: Option<&str>, surroundings: &str, of: Option<&str>) -> String {
    let words = Words::of(&site.language);
    let links: String = feeds(site, section)
        .map(|(format, url)| format!("<li><a href=\"{}\">{}</a></li>", escape(&url), format.name))
        .collect();
    let name = of.map_or_else(|| words.feeds.to_owned(), |of| format!("{of}: {}", words.feeds));
    list(words.feeds, &name, &lang(words.language, surroundings), &links)
}

fn list(label: &str, name: &str, attributes: &str, items: &str) -> String {
    let name = escape(name);
    format!("<nav aria-label=\"{name}\"{attributes}><span>{label}</span><ul>{items}</ul></nav>")
}

fn feeds(site: &Site, section: Option<&str>) -> impl Iterator<Item = (&'static feed::Format, String)> {
    let asked = feed::Params { section: section.map(str::to_owned), ..feed::Params::default() };
    FORMATS.iter().map(move |format| (format, feed::address(site, format.path, &asked, None)))
}

/// A time, for people and for machines.
pub(super) fn time(words: &Words, at: DateTime<Utc>) -> String {
    format!("<time datetime=\"{}\">{}</time>", date(at), words.time(at))
}

/// An element of the head; nothing where it would say nothing.
pub(super) fn meta(kind: &str, name: &str, content: &str) -> String {
    match content {
        "" => String::new(),
        content => format!("<meta {kind}=\"{name}\" content=\"{}\">", escape(content)),
    }
}

/// What keeps a page out of search engines.
pub(super) fn noindex() -> String {
    meta("name", "robots", "noindex")
}

/// JSON-LD as an element of the head. `<` ends no element in there: JSON has another way to write it.
pub(super) fn linked(value: &Value) -> String {
    let json = value.to_string().replace('<', "\\u003c").replace('\u{2028}', "\\u2028");
    format!("<script type=\"application/ld+json\">{}</script>", json.replace('\u{2029}', "\\u2029"))
}

/// A sheet of paper: browsers ask for an icon of every site.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 viewBox=%220 0 16 16%22%3E\
%3Cpath d=%22M3 1h10v14H3z%22 fill=%22%23777%22/%3E%3Cpath d=%22M5 4h6v1H5zm0 3h6v1H5zm0 3h4v1H5z%22 fill=%22%23fff%22/%3E\
%3C/svg%3E";

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1a1a1a;--quiet:#595959;--paper:#fff;--line:#d6d6d6;--link:#0b57a4;--mark:#b3261e;--box:#fdf1f0}\
@media (prefers-color-scheme:dark){:root{--ink:#e6e6e6;--quiet:#a8a8a8;--paper:#161616;--line:#404040;--link:#8ab8f0;--mark:#f2887f;--box:#2b1c1b}}\
*{box-sizing:border-box}html{-webkit-text-size-adjust:100%;text-size-adjust:100%}\
body{margin:0 auto;padding:0 1.25rem 2rem;max-width:42rem;background:var(--paper);color:var(--ink);font:1.125rem/1.6 Georgia,\"Noto Serif\",serif;overflow-wrap:break-word}\
a{color:var(--link);text-underline-offset:.15em}h1,h2,h3{line-height:1.25;text-wrap:balance}\
h1{font-size:2rem;margin:.25rem 0 .75rem}h2{font-size:1.4rem;margin:2rem 0 .5rem}h3{font-size:1.2rem;margin:1.5rem 0 .25rem}p{margin:0 0 1em}\
:lang(ar),:lang(fa),:lang(ur),:lang(ps),:lang(ckb),:lang(th),:lang(hi),:lang(bn),:lang(my){line-height:1.8}\
header.house{margin-bottom:2rem;padding:.9rem 0;border-bottom:1px solid var(--line);font:600 1.05rem/1.5 system-ui,sans-serif}\
header.house h1{margin:.5rem 0;font-family:Georgia,\"Noto Serif\",serif}header.house a{color:inherit;text-decoration:none}header.house a:hover{text-decoration:underline}\
footer.house{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--line)}\
nav,.meta,.section,figcaption{color:var(--quiet);font:.95rem/1.5 system-ui,sans-serif}\
[dir=rtl] [dir=ltr]{text-align:end}[dir=rtl] nav[dir=ltr],[dir=rtl] .times[dir=ltr]{justify-content:flex-end}.times{display:flex;flex-wrap:wrap;column-gap:1rem}\
nav{display:flex;flex-wrap:wrap;align-items:baseline;column-gap:1rem}nav ul{display:flex;flex-wrap:wrap;column-gap:1rem;margin:0;padding:0;list-style:none}nav a{display:inline-block;padding:.2rem 0}\
.section{margin:0}.section a{color:var(--mark);text-decoration:none;font-weight:600}.section a:hover{text-decoration:underline}\
.standfirst{font-size:1.25rem;line-height:1.45}.meta{margin:0 0 .35rem}.byline{color:var(--ink);font-weight:600}\
figure{margin:1.5rem 0}img{display:block;max-width:100%;height:auto}figcaption{margin-top:.4rem}figcaption cite,figcaption small{font-size:inherit;font-style:normal}\
.text{margin-top:1.5rem}.plain{white-space:pre-line}\
blockquote{margin:1.5rem 0;padding-inline-start:1.1rem;border-inline-start:3px solid var(--line)}blockquote p{margin:0 0 .5em}\
ul,ol{padding-inline-start:1.5rem}\
.notes{margin:1.5rem 0;padding:1rem 1.25rem;background:var(--box);border-inline-start:.35rem solid var(--mark)}\
.notes h2{margin:0 0 .5rem;color:var(--mark);font:700 1.05rem/1.4 system-ui,sans-serif}.notes ol{margin:0;padding:0;list-style:none}\
.notes li+li{margin-top:.75rem}.notes p{margin:0}.notes strong{color:var(--ink)}.notes li,.story .note{font-size:1rem;line-height:1.5}\
.story{padding:.9rem 0;border-bottom:1px solid var(--line)}.story h2,.story h3{margin:0 0 .25rem;font-size:1.25rem}.story h2 a,.story h3 a{color:inherit;text-decoration:none}\
.story h2 a:hover,.story h3 a:hover{text-decoration:underline}.story p{margin:0 0 .35rem}.story .standfirst{font-size:1.05rem}.note strong{color:var(--mark)}\
.group>h2{margin:2.5rem 0 0;padding-bottom:.25rem;border-bottom:2px solid var(--ink)}.group>h2 a{color:inherit;text-decoration:none}.group nav{padding:.4rem 0}\
@media print{:root{--ink:#000;--quiet:#333;--paper:#fff;--line:#999;--link:#000;--mark:#000;--box:#fff}\
body{max-width:none;padding:0;font-size:11pt}nav,footer.house{display:none}.notes{border:1pt solid #000}figure,.notes,blockquote{break-inside:avoid}h1,h2,h3{break-after:avoid}\
.text a[href]::after{content:\" (\" attr(href) \")\";font-size:.8em}}";

/// The one script: it checks a story where its reader asks for that.
const SCRIPT: &str = include_str!("check.js");

/// The way to an article's proof, from its own address, which a browser with scripts checks by itself.
pub(super) fn check(site: &Site, article: Uuid, surroundings: &str) -> String {
    if !site.proves {
        return String::new();
    }
    let words = Words::of(&site.language);
    format!(
        "<section class=\"check\"{}><p class=\"meta\"><a id=\"check\" rel=\"nofollow\" href=\"{}\">{}</a></p>\
         <p id=\"checked\" role=\"status\"></p></section><script>{SCRIPT}</script>",
        lang(words.language, surroundings),
        format_args!("{article}/proof"),
        words.check,
    )
}

/// The `Content-Security-Policy` that pages are made for: our one script, our one style, pictures from the web. JSON-LD
/// is data, which no policy holds up.
pub fn content_security_policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let [style, script] = [STYLE, SCRIPT].map(|text| STANDARD.encode(Sha256::digest(text)));
        format!(
            "default-src 'none'; img-src http: https: data:; style-src 'sha256-{style}'; \
             script-src 'sha256-{script}'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    });
    &POLICY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::tests::site;

    #[test]
    fn the_policy_admits_the_style_and_the_script_and_no_other() {
        let policy = content_security_policy();
        assert!(policy.contains("style-src 'sha256-") && policy.contains("default-src 'none'"));
        assert!(policy.contains("script-src 'sha256-") && !policy.contains("unsafe"));
        let page = Document::new("en", "T").render(&site());
        let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        assert!(policy.contains(&STANDARD.encode(Sha256::digest(style))));
        let checked = check(&Site { proves: true, ..site() }, Uuid::nil(), "en");
        let script = checked.split_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
        assert!(policy.contains(&STANDARD.encode(Sha256::digest(script))));
        assert_eq!(check(&site(), Uuid::nil(), "en"), "", "who has no proofs leads to none");
    }

    #[test]
    fn every_page_leads_to_the_feeds_and_the_policies() {
        let page = Document { section: Some("world"), ..Document::new("ar", "T") }.render(&site());
        for (media_type, path) in [
            ("application/feed+json", "feed.json"),
            ("application/atom+xml", "feed.atom"),
            ("application/rss+xml", "feed.rss"),
        ] {
            let url = format!("href=\"https://desk.example/{path}?section=world\"");
            assert_eq!(page.matches(&url).count(), 2, "{url} in {page}");
            assert!(page.contains(&format!("<link rel=\"alternate\" type=\"{media_type}\"")));
        }
        assert!(page.contains(
            "<li lang=\"en\" dir=\"ltr\"><a href=\"https://paper.example/corrections\">Corrections</a></li>"
        ));
    }

    #[test]
    fn linked_data_ends_no_element_and_reads_the_same() {
        let value = serde_json::json!({"headline": "</script><!--\u{2028}\u{2029}"});
        let element = linked(&value);
        assert!(element.matches('<').count() == 2 && !element.contains(['\u{2028}', '\u{2029}']));
        let json = element.split_once('>').unwrap().1.rsplit_once('<').unwrap().0;
        assert_eq!(serde_json::from_str::<Value>(json).unwrap(), value);
    }
}
