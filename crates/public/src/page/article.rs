//! An article's page.

use super::document::{Document, check, linked, meta, time};
use super::linked;
use crate::Site;
use crate::feed::{self, date};
use crate::html::{body, escape, web_address};
use crate::listing::Entry;
use crate::message::Kind;
use crate::ninjs::{Association, Ninjs, Note};
use crate::words::{Words, lang};

/// The page of an article that isn't withdrawn.
pub(super) fn page(site: &Site, entry: &Entry) -> String {
    let ninjs = &entry.ninjs;
    let words = Words::of(&site.language);
    let language = ninjs.language.as_deref().unwrap_or(&site.language);
    let title = ninjs.headline().unwrap_or(&site.title);
    let house = lang(words.language, language);
    let mut main = String::from("<article><header>");
    main.extend(ninjs.section().map(|section| section_link(site, section, language)));
    main.push_str(&format!("<h1>{}</h1>", escape(title)));
    if let Some(standfirst) = ninjs.standfirst() {
        main.push_str(&format!("<p class=\"standfirst\">{}</p>", escape(standfirst)));
    }
    let by = ninjs.by.as_deref().map(|by| format!("<span class=\"byline\">{}</span>", escape(by)));
    let located = ninjs.located.as_deref();
    let located = located.map(|place| format!("<span class=\"dateline\">{}</span>", escape(place)));
    let credits: Vec<String> = by.into_iter().chain(located).collect();
    if !credits.is_empty() {
        main.push_str(&format!("<p class=\"meta\">{}</p>", credits.join(" · ")));
    }
    main.push_str(&format!("<p class=\"meta times\"{house}>{}</p>", times(words, entry)));
    if ninjs.is_machine_written() {
        main.push_str(&format!("<p class=\"meta machines\"{house}>{}</p>", words.machines));
    }
    main.push_str("</header>");
    main.push_str(&notes(words, language, &ninjs.notes()));
    main.extend(ninjs.image().and_then(figure));
    main.push_str(&format!("<div class=\"text\">{}</div></article>", body(ninjs)));
    main.push_str(&check(site, entry.article, language));
    let head = head(site, entry, language, title);
    Document { head, main, ..Document::new(language, title) }.render(site)
}

/// When it went out, and when it last changed.
fn times(words: &Words, entry: &Entry) -> String {
    let shown = &entry.shown;
    let line = |word: &str, at| format!("<span>{word} {}</span>", time(words, at));
    let mut times = line(words.published, shown.first_published);
    if shown.kind != Kind::First {
        times.push_str(&line(words.changed(shown.kind), shown.changed));
    }
    times
}

/// The way to an article's section.
fn section_link(site: &Site, section: &str, surroundings: &str) -> String {
    format!(
        "<p class=\"section\"{}><a href=\"{}\">{}</a></p>",
        lang(&site.language, surroundings),
        escape(&section_url(site, section)),
        escape(&section_name(section))
    )
}

/// Where the front page has a section alone.
pub(super) fn section_url(site: &Site, section: &str) -> String {
    let asked = feed::Params { section: Some(section.to_owned()), ..feed::Params::default() };
    feed::address(site, "/", &asked, None)
}

/// A section as people read it: `middle-east/iran` is `Middle east / Iran`.
pub(super) fn section_name(section: &str) -> String {
    let names = section.split('/').map(|token| {
        let token = token.replace('-', " ");
        let mut chars = token.chars();
        chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
    });
    names.collect::<Vec<_>>().join(" / ")
}

/// What readers are told of changes, oldest first; nothing where there are none.
pub(crate) fn notes(words: &Words, surroundings: &str, notes: &[Note]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let house = lang(words.language, surroundings);
    let items = notes.iter().map(|note| {
        let when = note.time.map(|at| format!(", {}", time(words, at)));
        format!(
            "<li><p class=\"meta\"{house}><strong>{}</strong>{}</p><p dir=\"auto\">{}</p></li>",
            words.note(note.kind),
            when.unwrap_or_default(),
            escape(&note.text)
        )
    });
    format!(
        "<section class=\"notes\"><h2{house}>{}</h2><ol>{}</ol></section>",
        words.corrections,
        items.collect::<String>()
    )
}

fn figure(image: &Association) -> Option<String> {
    let src = escape(web_address(&image.uri)?);
    let alt = escape(image.alt().unwrap_or_default());
    let caption = image.caption().map(escape);
    let credit = image.by.as_deref().map(|by| format!("<cite>{}</cite>", escape(by)));
    let rights = image.usage_terms.as_deref().map(|rights| format!("<small>{}</small>", escape(rights)));
    let words: Vec<String> = [caption, credit, rights].into_iter().flatten().collect();
    let caption = match words.is_empty() {
        true => String::new(),
        false => format!("<figcaption>{}</figcaption>", words.join(" · ")),
    };
    Some(format!("<figure><img src=\"{src}\" alt=\"{alt}\">{caption}</figure>"))
}

/// What search engines and networks of people read.
fn head(site: &Site, entry: &Entry, language: &str, title: &str) -> String {
    let (ninjs, shown) = (&entry.ninjs, &entry.shown);
    let url = site.article_url(entry.article);
    let description = ninjs.standfirst().unwrap_or_default();
    let image = picture(ninjs);
    let card = if image.is_some() { "summary_large_image" } else { "summary" };
    let mut head = format!("<link rel=\"canonical\" href=\"{}\">", escape(&url));
    for (kind, name, content) in [
        ("name", "description", description),
        ("name", "author", ninjs.by.as_deref().unwrap_or_default()),
        ("property", "og:type", "article"),
        ("property", "og:title", title),
        ("property", "og:description", description),
        ("property", "og:url", &url),
        ("property", "og:site_name", &site.title),
        ("property", "og:locale", &locale(language)),
        ("property", "og:image", image.map_or("", |(url, _)| url)),
        ("property", "og:image:alt", image.and_then(|(_, image)| image.alt()).unwrap_or_default()),
        ("property", "article:published_time", &date(shown.first_published)),
        ("property", "article:modified_time", &date(shown.changed)),
        ("property", "article:section", ninjs.section().unwrap_or_default()),
        ("name", "twitter:card", card),
    ] {
        head.push_str(&meta(kind, name, content));
    }
    head.extend(ninjs.keywords().map(|keyword| meta("property", "article:tag", keyword)));
    head.push_str(&linked(&linked::article(site, entry, language)));
    head
}

/// The picture and its address, where a page may load it.
pub(super) fn picture(ninjs: &Ninjs) -> Option<(&str, &Association)> {
    ninjs.image().and_then(|image| Some((web_address(&image.uri)?, image)))
}

/// Open Graph's form of a language that names its country (`en_GB`); none for others.
fn locale(language: &str) -> String {
    let mut subtags = language.split('-');
    let primary = subtags.next().unwrap_or_default();
    let country = subtags.find(|subtag| subtag.len() == 2 && subtag.bytes().all(|b| b.is_ascii_alphabetic()));
    country.map_or_else(String::new, |country| format!("{primary}_{}", country.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_has_a_name_for_people() {
        assert_eq!(section_name("middle-east/iran"), "Middle east / Iran");
        assert_eq!(section_name(""), "");
    }

    #[test]
    fn a_locale_has_a_country() {
        assert_eq!((locale("en-gb"), locale("zh-Hans-CN")), ("en_GB".into(), "zh_CN".into()));
        assert_eq!((locale("ar"), locale("sr-Latn")), (String::new(), String::new()));
    }
}
