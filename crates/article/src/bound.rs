//! An upper bound of an edition's size on the wire, so that there is no article whose edition is too big for it
//! (promise 8): the edit that would make it so is refused.
//!
//! The service renders editions as ninjs; the core doesn't, and must know all the same. So the bound is made of
//! lengths alone: every text as often as the mapping has it (`schemas/ninjs-mapping.md`), as long as escaping
//! makes it, and an allowance for the markup around each part. A property test beside the renderer shows that
//! what is rendered is never longer. Whoever adds a member to the mapping adds it here first.

use crate::article::{Article, EditionKind, EditionRecord};
use crate::edition::{Edition, PublicFields, PublicImage};
use crate::event::Hex;
use crate::limits;
use crate::problem::Problem;
use crate::text::{Content, Span};

/// What every edition has, whatever its words: the names of all members, ids, times, URIs of the standard.
const FRAME: usize = 2 * 1024;
/// Around one of the `descriptions`: role, media type, a note's date.
const DESCRIPTION: usize = 160;
/// Around one of the `subjects`, its code's URI included, or of `people`, `organisations`, `places`.
const NAMED: usize = 160;
/// Around one of the `associations` and its renditions.
const ASSOCIATION: usize = 160;
/// Around a paragraph or heading, in both bodies.
const PARAGRAPH: usize = 24;
/// Around a quote or an item of a list, in both bodies.
const QUOTE: usize = 80;
/// Around a picture.
const PICTURE: usize = 160;
/// What escaping can make of one byte of a note: U+0085 has two bytes, and becomes `\u0085`.
const WORST_ESCAPE: usize = 3;
/// A note of the longest kind, in `descriptions` and as `edNote`.
const LONGEST_NOTE: usize = 2 * WORST_ESCAPE * limits::NOTE_BYTES + DESCRIPTION;

/// At most how long the edition is as ninjs, in bytes.
pub fn bound(edition: &Edition) -> usize {
    let notes: usize = edition.notes.iter().map(|note| DESCRIPTION + json(&note.text)).sum();
    // Once more as `edNote`.
    let newest = edition.notes.last().map_or(0, |note| json(&note.text));
    if edition.kind == EditionKind::Withdrawal {
        // Its own notice alone.
        return FRAME + DESCRIPTION + 2 * newest;
    }
    let blocks: usize = edition.blocks.iter().map(block).sum();
    FRAME + fields(&edition.fields) + notes + newest + blocks
}

/// That the article's next edition, whatever its note, goes out.
///
/// # Errors
/// `too_large`.
pub fn edition_fits(article: &Article) -> Result<(), Problem> {
    // Cheapest first: where every byte at its worst fits, none is looked at.
    let fits_anyway = [escaped_at_worst, escaped_where_seen];
    if fits_anyway.iter().any(|escaped| at_most(article, *escaped) <= limits::EDITION_BYTES) {
        return Ok(());
    }
    fits(exact(article))
}

/// [`bound`] of the next edition with a note of the longest kind.
fn exact(article: &Article) -> usize {
    let record = EditionRecord {
        number: article.next_edition(),
        kind: EditionKind::Update,
        version: article.version,
        revision: article.revision,
        time: article.updated,
        words: Hex([0; 32]),
        note: None,
    };
    bound(&Edition::would_be(article, &record)) + LONGEST_NOTE
}

/// What escaping adds at most to words in both bodies, beyond twice their own length: what it makes longer begins with
/// one of a few bytes.
const ESCAPED: usize = 14;

fn escaped_at_worst(words: &str) -> usize {
    ESCAPED * words.len()
}

fn escaped_where_seen(words: &str) -> usize {
    // Counted in bytes of their own, many at once: a long article is looked at whole for each of its edits.
    let in_a_part = |part: &[u8]| part.iter().map(|byte| u8::from(may_be_escaped(*byte))).sum::<u8>();
    ESCAPED
        * words
            .as_bytes()
            .chunks(usize::from(u8::MAX))
            .map(|part| usize::from(in_a_part(part)))
            .sum::<usize>()
}

/// A rougher bound that needs no edition to be built: most articles are far below the limit. A test shows that it
/// is never below [`bound`].
fn at_most(article: &Article, escaped: fn(&str) -> usize) -> usize {
    // A byte of a field may stand in it twice, at worst `&quot;`; a URI is percent-encoded first.
    const WORST_BYTE: usize = 16;
    const AROUND_FIELD: usize = 512;
    let lists = crate::fields::FieldName::ALL.iter();
    let listed: usize = lists.map(|name| article.fields.list(*name).len()).sum();
    let in_fields: usize = article.fields.values().map(|(_, value)| value.words().len()).sum();
    let notes = article.editions.iter().filter_map(|edition| edition.note.as_ref());
    let notes: usize = notes.map(|note| AROUND_FIELD + 2 * WORST_ESCAPE * note.len()).sum();
    let words: usize = article
        .blocks
        .iter()
        .flat_map(|block| block.content.strings())
        .map(|words| 2 * words.len() + escaped(words))
        .sum();
    let runs: usize = article.texts().map(|text| AROUND_TEXT + AROUND_RUN * text.runs().len()).sum();
    let fields = WORST_BYTE * in_fields + AROUND_FIELD * (64 + listed);
    FRAME + fields + notes + LONGEST_NOTE + words + runs + AROUND_BLOCK * article.blocks.len()
}

/// More than the marks around a run take.
const AROUND_RUN: usize = 64;
/// More than what stands around an item of a list, or a caption.
const AROUND_TEXT: usize = QUOTE + PARAGRAPH;
/// More than what stands around a block.
const AROUND_BLOCK: usize = PICTURE + PARAGRAPH;

/// Whether what begins with this byte may be escaped: marks, control characters, U+0085 and, with many others, U+2028.
fn may_be_escaped(byte: u8) -> bool {
    (byte == b'"')
        | (byte == b'\\')
        | (byte == b'&')
        | (byte == b'<')
        | (byte == b'>')
        | (byte <= 0x1f)
        | (byte == 0xc2)
        | (byte == 0xe2)
}

/// That this edition goes out.
///
/// # Errors
/// `too_large`.
pub fn would_fit(article: &Article, record: &EditionRecord) -> Result<(), Problem> {
    fits(bound(&Edition::would_be(article, record)))
}

fn fits(bytes: usize) -> Result<(), Problem> {
    if bytes <= limits::EDITION_BYTES {
        return Ok(());
    }
    let most = limits::EDITION_BYTES;
    let detail = format!(
        "the edition could take {bytes} bytes on the wire, at most {most} may go out: shorten the text"
    );
    Err(Problem::too_large("edition", detail))
}

fn fields(fields: &PublicFields) -> usize {
    let lines = [&fields.slug, &fields.language, &fields.headline, &fields.byline, &fields.dateline];
    let lines: usize = lines.into_iter().flatten().map(|line| json(line)).sum();
    let standfirst = fields.standfirst.as_ref().map_or(0, |text| DESCRIPTION + json(text));
    // As name and as literal.
    let twice = fields.section.iter().chain(&fields.keywords);
    let twice: usize = twice.map(|name| NAMED + 2 * json(name)).sum();
    let codes: usize = fields.subjects.iter().map(|code| NAMED + json(code) + uri(code)).sum();
    let names = fields.people.iter().chain(&fields.organisations).chain(&fields.places);
    let names: usize = names.map(|name| NAMED + json(name)).sum();
    let related: usize = fields.related.iter().map(|address| ASSOCIATION + uri(address)).sum();
    lines + standfirst + twice + codes + names + related + fields.image.as_ref().map_or(0, image)
}

fn image(image: &PublicImage) -> usize {
    let PublicImage { uri: address, alt, caption, credit, rights } = image;
    let described: usize = [alt, caption].into_iter().flatten().map(|text| DESCRIPTION + json(text)).sum();
    let lines: usize = [credit, rights].into_iter().flatten().map(|line| json(line)).sum();
    // As the association and as its rendition.
    ASSOCIATION + 2 * uri(address) + described + lines
}

fn block(content: &Content<Vec<Span>>) -> usize {
    let both = |spans: &Vec<Span>| plain(spans) + marked(spans);
    match content {
        Content::Paragraph { text } | Content::Heading { text, .. } => PARAGRAPH + both(text),
        Content::Quote { text, cite } => {
            QUOTE + both(text) + cite.as_ref().map_or(0, |cite| json(cite) + xml(cite))
        }
        Content::List { items, .. } => PARAGRAPH + items.iter().map(|item| QUOTE + both(item)).sum::<usize>(),
        Content::Image { uri, alt, caption, credit, rights } => {
            let lines: usize = [credit, rights].into_iter().flatten().map(|line| xml(line)).sum();
            PICTURE
                + xml(uri)
                + lines
                + [alt, caption].into_iter().flatten().map(|text| marked(text)).sum::<usize>()
        }
    }
}

/// Words in text/plain.
fn plain(spans: &[Span]) -> usize {
    spans.iter().map(|span| json(&span.text)).sum()
}

/// Words and their marks in XHTML.
fn marked(spans: &[Span]) -> usize {
    let marks = |span: &Span| {
        let strong = if span.strong { "<strong></strong>".len() } else { 0 };
        let emphasis = if span.emphasis { "<em></em>".len() } else { 0 };
        let link = span.href.as_ref().map_or(0, |href| r#"<a href=\"\"></a>"#.len() + xml(href));
        strong + emphasis + link
    };
    spans.iter().map(|span| marks(span) + xml(&span.text)).sum()
}

/// A text as a JSON string has it, line and paragraph separators escaped too.
fn json(text: &str) -> usize {
    text.chars().map(json_char).sum()
}

fn json_char(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        '\0'..='\u{1f}' | '\u{85}' | '\u{2028}' | '\u{2029}' => 6,
        c => c.len_utf8(),
    }
}

/// A text escaped for XML within a JSON string.
fn xml(text: &str) -> usize {
    let one = |c| match c {
        '&' => "&amp;".len(),
        '<' | '>' => "&lt;".len(),
        '"' => "&quot;".len(),
        c => json_char(c),
    };
    text.chars().map(one).sum()
}

/// An address with whatever a URI can't have percent-encoded.
fn uri(address: &str) -> usize {
    let one = |byte: u8| if byte.is_ascii_alphanumeric() || b"-._~:/?&=".contains(&byte) { 1 } else { 3 };
    address.bytes().map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_counted() {
        assert_eq!(
            (json("a\"\\\u{1}\u{85}\u{2028}é"), xml("a\"&<>\\é")),
            (1 + 2 + 2 + 6 + 6 + 6 + 2, 1 + 6 + 5 + 4 + 4 + 2 + 2)
        );
        assert_eq!(uri("https://a.example/ü[%"), "https://a.example/".len() + 6 + 3 + 3);
    }

    #[test]
    fn the_rough_bound_is_never_below_the_bound() {
        use crate::command::testing::Desk;
        use serde_json::json;
        let nasty = "\"&<>'\u{85}\u{2028}é".repeat(40);
        let marked = "**\"** *&* [<](https://x.test/ü?a=1&b=2) ".repeat(40);
        let mut desk = Desk::new();
        let names: Vec<String> = (0..90).map(|n| format!("{n}\"&\u{85}")).collect();
        desk.given("ana", json!({"type": "draft", "data": {
            "slug": nasty, "language": "en", "section": "world", "headline": nasty, "standfirst": nasty,
            "keywords": names, "people": names, "places": names,
            "related": ["https://x.test/ü", "urn:x:y"],
            "image": {"uri": "https://x.test/üüü", "alt": nasty, "caption": nasty, "credit": "&", "rights": "\""},
            "blocks": [
                {"kind": "paragraph", "text": marked}, {"kind": "list", "items": ["\"", "&", "<", marked]},
                {"kind": "quote", "text": nasty, "cite": nasty}, {"kind": "heading", "level": 2, "text": "\""},
                {"kind": "image", "uri": "https://x.test/é", "alt": nasty, "caption": marked, "credit": "&"},
            ],
        }}));
        let holds = |article: &Article| {
            let (worst, seen) = (at_most(article, escaped_at_worst), at_most(article, escaped_where_seen));
            assert!(worst >= seen && seen >= exact(article));
        };
        holds(desk.state());
        holds(Desk::drafted(&["a"; 500]).state());
        for nasty in ["\"", "&", "<", "\\\\", "\u{85}", "\u{2028}"] {
            let nasty = Desk::drafted(&[format!("a{}", nasty.repeat(500)).as_str(); 20]);
            holds(nasty.state());
        }
    }

    #[test]
    fn a_long_article_of_plain_words_is_not_counted_out() {
        use crate::command::testing::Desk;
        let long = Desk::drafted(&[&*"The river rose overnight. ".repeat(16); 500]);
        let bound = at_most(long.state(), escaped_where_seen);
        assert!(long.state().bytes() > 200_000 && bound <= limits::EDITION_BYTES);
    }

    #[test]
    fn no_escape_is_worse_than_the_worst() {
        for c in ('\0'..=char::MAX).filter(|c| !c.is_control() || *c == '\u{85}') {
            assert!(json_char(c) <= WORST_ESCAPE * c.len_utf8(), "{c:?}");
        }
    }
}
