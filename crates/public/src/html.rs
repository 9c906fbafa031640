//! Escaping, cleaning and direction of text.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

use crate::ninjs::Ninjs;

/// Text as it stands in HTML, in an element or in a quoted attribute. NEL, an error in HTML, is a line feed.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{85}' => escaped.push('\n'),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// The text of an article, its highest headings one below the page's own.
pub(crate) fn body(ninjs: &Ninjs) -> String {
    let Some(body) = ninjs.body("application/xhtml+xml") else {
        let text = ninjs.body("text/plain").unwrap_or_default();
        let paragraphs = text.split("\n\n").filter(|text| !text.trim().is_empty());
        return paragraphs.map(|text| format!("<p class=\"plain\">{}</p>", escape(text))).collect();
    };
    let html = clean(body);
    let Some(highest) = (1..=6).find(|level| html.contains(&format!("<h{level}>"))) else { return html };
    // Cleaned, a heading has no attributes. Going down, none is moved twice; going up, the other way round.
    let moved = |html: String, from: i32| {
        let to = (from + 2 - highest).min(6);
        html.replace(&format!("<h{from}>"), &format!("<h{to}>"))
            .replace(&format!("</h{from}>"), &format!("</h{to}>"))
    };
    match highest {
        1 => (1..6).rev().fold(html, moved),
        highest => (highest..=6).fold(html, moved),
    }
}

/// What of the wire's XHTML a reader's browser gets: the wire may be fed by others.
pub(crate) fn clean(body: &str) -> String {
    CLEANER.clean(body).to_string().replace('\u{85}', "\n")
}

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let tags = [
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "li",
        "blockquote",
        "cite",
        "em",
        "strong",
        "small",
        "a",
        "br",
        "figure",
        "figcaption",
        "img",
    ];
    let attributes = [("a", &["href"][..]), ("img", &["src", "alt"][..])];
    let attributes = attributes.map(|(tag, names)| (tag, HashSet::from_iter(names.iter().copied())));
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(tags))
        .tag_attributes(HashMap::from(attributes))
        .clean_content_tags(HashSet::from(["script", "style"]))
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(None);
    builder
});

/// An address that a page may lead to or load from; others are left out.
pub(crate) fn web_address(address: &str) -> Option<&str> {
    let scheme = address.split_once(':')?.0;
    (scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")).then_some(address)
}

/// Whether a language, as a BCP 47 tag, is written from right to left: by its script where the tag says it, by
/// the language's usual one elsewhere.
pub(crate) fn is_rtl(language: &str) -> bool {
    let language = language.to_ascii_lowercase();
    let mut subtags = language.split(['-', '_']);
    let primary = subtags.next().unwrap_or_default();
    let script = subtags
        .take_while(|subtag| subtag.len() != 1)
        .find(|subtag| subtag.len() == 4 && subtag.bytes().all(|byte| byte.is_ascii_alphabetic()));
    match script {
        Some(script) => RTL_SCRIPTS.contains(&script),
        None => RTL_LANGUAGES.contains(&primary),
    }
}

/// ISO 15924 codes of the living scripts written from right to left.
const RTL_SCRIPTS: &[&str] = &[
    "adlm", "arab", "aran", "hebr", "mand", "nkoo", "rohg", "samr", "syrc", "syre", "syrj", "syrn", "thaa",
    "yezi",
];

/// Languages whose usual script is one of them.
const RTL_LANGUAGES: &[&str] = &[
    "ae", "ar", "arc", "ary", "arz", "apc", "azb", "bal", "bqi", "ckb", "dv", "fa", "glk", "he", "iw", "ji",
    "ks", "lrc", "mzn", "nqo", "pnb", "prs", "ps", "rhg", "sd", "sdh", "skr", "syr", "ug", "ur", "yi",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_markup_is_cleaned_away_and_words_stay() {
        let cleaned = clean(concat!(
            r#"<div xmlns="http://www.w3.org/1999/xhtml"><p onclick="x()">One <a href="javascript:x()">two</a>"#,
            r#" <a href="https://a.example/?a=1&amp;b=2" target="_top">three</a></p><script>CANARY</script>"#,
            r#"<style>CANARY</style><iframe src="https://x.example"></iframe><img src="/x" alt="four" onerror="x()"/>"#,
            r#"<svg><a xlink:href="javascript:x()">five</a></svg><math><mtext></p><style><img src=x onerror=x()>"#,
        ));
        for bad in ["onclick", "javascript", "CANARY", "iframe", "onerror", "target", "<svg", "<style", "src"]
        {
            assert!(!cleaned.contains(bad), "{bad} in {cleaned}");
        }
        assert!(
            cleaned.contains("<p>One <a>two</a> <a href=\"https://a.example/?a=1&amp;b=2\">three</a></p>"),
            "{cleaned}"
        );
    }

    #[test]
    fn a_nel_is_a_line_feed_for_it_is_an_error_in_html() {
        assert_eq!((escape("a\u{85}b").as_str(), clean("<p>a\u{85}b</p>").as_str()), ("a\nb", "<p>a\nb</p>"));
    }

    #[test]
    fn headings_begin_one_below_the_pages_own() {
        let of = |body: &str| {
            let body = crate::ninjs::Valued {
                content_type: Some("application/xhtml+xml".into()),
                value: body.into(),
                ..Default::default()
            };
            super::body(&Ninjs { bodies: vec![body], ..Ninjs::default() })
        };
        for (sent, got) in [
            ("<h1>a</h1><h2>b</h2><h6>c</h6><p>d</p>", "<h2>a</h2><h3>b</h3><h6>c</h6><p>d</p>"),
            ("<h3>a</h3><h4>b</h4><h3>c</h3>", "<h2>a</h2><h3>b</h3><h2>c</h2>"),
            ("<h2>a</h2><h3>b</h3>", "<h2>a</h2><h3>b</h3>"),
            ("<h6 class=\"x\">a</h6>", "<h2>a</h2>"),
            ("<p>a</p>", "<p>a</p>"),
        ] {
            assert_eq!(of(sent), got);
        }
    }

    #[test]
    fn direction_goes_by_script_before_language() {
        for rtl in ["ar", "he-IL", "fa", "ur", "pa-Arab-PK", "az-arab", "ckb", "ar-u-nu-latn"] {
            assert!(is_rtl(rtl), "{rtl}");
        }
        for ltr in ["en", "ur-Latn", "sr-Latn", "ar-Latn-t-ar-arab", "", "arn", "en-x-arab"] {
            assert!(!is_rtl(ltr), "{ltr}");
        }
    }

    proptest! {
        #[test]
        fn escaped_text_opens_nothing(text in "[<>&\"'a\u{202e}]{0,20}") {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            let parsed = clean(&escaped);
            prop_assert_eq!(parsed.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"), text);
        }
    }
}
