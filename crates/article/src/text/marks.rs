//! A text with marks, as in a JSON field.
//!
//! Only `*emphasis*`, `**strong**`, `[words](address)` and the backslash before punctuation mean
//! anything; `_`, `<`, `&`, backticks and `![` stand for themselves. The parser is the one that
//! reads Markdown: every other special character is escaped for it first, and a word put before
//! the text keeps it from being a list, a heading or anything but a paragraph. So marks nest and
//! flank the same in both, and there is one set of rules to learn.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::href::link_href;
use super::inline::{self, Dialect};
use super::run::Text;
use super::spans::{Span, Spans, canonical, push};
use super::taken::{Refused, TextWarning, check};

/// What stands before the text while it is parsed.
const GUARD: &str = "x ";

/// Without one of these a text has no marks.
const MEANS_SOMETHING: [char; 3] = ['*', '[', '\\'];

/// Reads a text with marks.
///
/// # Errors
/// A character that can't be taken.
pub fn read(source: &str) -> Result<(Spans, Vec<TextWarning>), Refused> {
    check(source)?;
    if !source.contains(MEANS_SOMETHING) {
        return Ok((canonical(vec![Span::plain(source)]), Vec::new()));
    }
    let (spans, warnings) = parse_with_warnings(source);
    Ok((inline::settle(spans), warnings))
}

/// Writes a text with marks, so that [`read`] gives the same spans.
pub fn write(text: &Text) -> String {
    write_spans(&text.spans())
}

/// Writes spans with marks, so that [`read`] gives the same.
pub fn write_spans(spans: &[Span]) -> String {
    inline::write(spans, Dialect::Marks)
}

/// The nearest spans that marks can say, in their one form: what [`write_spans`] writes of them reads back to them.
pub fn settled(spans: Spans) -> Spans {
    inline::settle(spans)
}

/// The spans in their one form, not yet such that they read back the same.
pub(super) fn parse(source: &str) -> Spans {
    canonical(parse_with_warnings(source).0)
}

fn parse_with_warnings(source: &str) -> (Spans, Vec<TextWarning>) {
    let line = neutral(source);
    let mut reader = SpanReader::default();
    let mut warnings = Vec::new();
    for event in Parser::new_ext(&line, Options::empty()) {
        match event {
            Event::Text(text) => reader.text(&text),
            Event::Start(Tag::Link { dest_url, .. }) => reader.link(&dest_url, &mut warnings),
            Event::Start(tag) => reader.start(&tag),
            Event::End(tag) => reader.end(tag),
            // Nothing else is left in a neutral line.
            _ => {}
        }
    }
    let mut spans = reader.take();
    if let Some(first) = spans.first_mut() {
        // The parser trims the guard itself where nothing follows.
        first.text = first.text.strip_prefix(GUARD).unwrap_or_default().to_owned();
    }
    (spans, warnings)
}

/// The text as one line of a paragraph, in which only marks mean anything.
fn neutral(source: &str) -> String {
    let mut line = String::with_capacity(source.len() + source.len() / 8 + GUARD.len());
    line.push_str(GUARD);
    let mut after_backslash = false;
    let mut after_space = true;
    for c in source.chars() {
        if c.is_ascii_whitespace() {
            if after_backslash {
                line.push('\\');
            }
            if !after_space {
                line.push(' ');
            }
            after_backslash = false;
            after_space = true;
            continue;
        }
        after_space = false;
        let means_something = matches!(c, '*' | '[' | ']' | '(' | ')' | '"' | '\'');
        if c == '\\' && !after_backslash {
            after_backslash = true;
            continue;
        }
        if after_backslash {
            line.push_str(if c.is_ascii_punctuation() { "\\" } else { "\\\\" });
        } else if c.is_ascii_punctuation() && !means_something {
            line.push('\\');
        }
        after_backslash = false;
        line.push(c);
    }
    if after_backslash {
        line.push_str("\\\\");
    }
    line
}

/// Gathers spans from the parser's events, for a field and for a document alike.
#[derive(Default)]
pub(super) struct SpanReader {
    spans: Spans,
    strong: usize,
    emphasis: usize,
    href: Option<String>,
}

impl SpanReader {
    pub(super) fn text(&mut self, text: &str) {
        match self.spans.last_mut() {
            Some(last)
                if last.strong == (self.strong > 0)
                    && last.emphasis == (self.emphasis > 0)
                    && last.href == self.href =>
            {
                last.text.push_str(text);
            }
            _ => {
                let span = Span {
                    text: text.into(),
                    strong: self.strong > 0,
                    emphasis: self.emphasis > 0,
                    href: self.href.clone(),
                };
                push(&mut self.spans, span);
            }
        }
    }

    pub(super) fn link(&mut self, address: &str, warnings: &mut Vec<TextWarning>) {
        self.href = link_href(address);
        if self.href.is_none() {
            warnings.push(TextWarning::LinkDropped { href: address.into() });
        }
    }

    pub(super) fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Strong => self.strong += 1,
            Tag::Emphasis => self.emphasis += 1,
            _ => {}
        }
    }

    pub(super) fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Strong => self.strong = self.strong.saturating_sub(1),
            TagEnd::Emphasis => self.emphasis = self.emphasis.saturating_sub(1),
            TagEnd::Link => self.href = None,
            _ => {}
        }
    }

    /// What was gathered; marks that are open go on.
    pub(super) fn take(&mut self) -> Spans {
        std::mem::take(&mut self.spans)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(source: &str) -> Spans {
        read(source).unwrap().0
    }

    /// Spans in short: `em(..)`, `st(..)`, `a(..)`.
    fn shown(source: &str) -> String {
        show(&spans(source))
    }

    pub(crate) fn show(spans: &[Span]) -> String {
        let mut out = String::new();
        for span in spans {
            let mut text = span.text.clone();
            if span.emphasis {
                text = format!("em({text})");
            }
            if span.strong {
                text = format!("st({text})");
            }
            if let Some(href) = &span.href {
                text = format!("a({text} {href})");
            }
            out.push_str(&text);
        }
        out
    }

    #[test]
    fn marks_are_read() {
        assert_eq!(shown("a *b* **c** [d](https://x.org/y)"), "a em(b) st(c) a(d https://x.org/y)");
        assert_eq!(shown("***a** b*"), "st(em(a))em( b)");
        assert_eq!(
            shown("[a **b**](mailto:ana@example.org) c"),
            "a(a  mailto:ana@example.org)a(st(b) mailto:ana@example.org) c"
        );
    }

    #[test]
    fn what_is_no_mark_stands_for_itself() {
        for text in [
            "snake_case _x_ AT&T &amp; <b>no tag</b> `code` ![alt] (",
            "# no heading",
            "- no item",
            "1. no item",
            "> no quote",
            "| a | b |",
            "[sic]",
            "[x] [y][z] [^1]",
            "[AP]: https://x.org",
            "2 * 3 * 4",
            "a\\b c:\\d",
            "https://x.org <https://x.org>",
            "~~a~~",
            "--- *** ===",
            "“*",
            "!",
            "$x$",
            "a  ",
        ] {
            let stands = text.trim_end().replace("\\\\", "\\");
            assert_eq!(shown(text), stands, "{text}");
            assert_eq!(
                write_spans(&spans(text)).replace("\\*", "*"),
                text.trim_end().replace("\\\\", "\\"),
                "written plainly"
            );
        }
        assert_eq!(shown("![alt](https://x.org/a.jpg)"), "!a(alt https://x.org/a.jpg)");
    }

    #[test]
    fn a_backslash_takes_the_meaning_away() {
        assert_eq!(shown(r"\*a\* \[b\](https://x.org) \\ \q \_"), r"*a* [b](https://x.org) \ \q _");
    }

    #[test]
    fn white_space_is_one_space_and_outside_marks() {
        assert_eq!(shown(" a\r\n\t b \n"), "a b");
        assert_eq!(shown("a[ b ](https://x.org)c"), "a a(b https://x.org) c");
        assert_eq!(shown(" \n\t "), "");
        assert_eq!(shown(""), "");
        assert_eq!(shown("\u{3000}a\u{a0}"), "\u{3000}a\u{a0}");
    }

    #[test]
    fn text_is_composed_over_the_seams_of_marks() {
        assert_eq!(shown("cafe\u{301}"), "café");
        assert_eq!(super::super::spans::plain(&spans("cafe*\u{301}s*")), "cafés");
    }

    #[test]
    fn a_link_with_another_scheme_leaves_its_words_and_a_warning() {
        for href in [
            "javascript:alert(1)",
            "JavaScript:x",
            "data:text/html,x",
            "/path",
            "x.org",
            "//x.org",
            "http:x",
            "ftp://x",
            "https://",
            "<https://x.org>",
            "https://x\u{202e}y",
            "https://x\u{a0}y",
        ] {
            let (spans, warnings) = read(&format!("a [*b*]({href}) c")).unwrap();
            assert_eq!(show(&spans), "a em(b) c", "{href}");
            assert_eq!(warnings.len(), 1, "{href}");
        }
        assert_eq!(shown("[a](HTTPS://X.org/Y)"), "a(a https://X.org/Y)");
    }

    #[test]
    fn a_character_that_cannot_be_taken_is_named_and_nothing_quoted() {
        for (source, name) in [
            ("secret \0", "U+0000"),
            ("secret \u{7f}", "U+007F"),
            ("secret \u{fffe}", "U+FFFE"),
            ("secret \u{fdd0}", "U+FDD0"),
            ("secret\u{1b}", "U+001B"),
        ] {
            let refused = read(source).unwrap_err().to_string();
            assert!(refused.contains(name) && !refused.contains("secret"), "{refused}");
        }
    }

    #[test]
    fn what_marks_cannot_say_is_simplified_and_no_word_lost() {
        let strong = |text: &str| Span { strong: true, ..Span::plain(text) };
        let settled = inline::settle(vec![Span::plain("a"), strong("\"b.\""), Span::plain("c")]);
        assert_eq!(show(&settled), "a\"st(b).\"c");
        assert_eq!(
            shown("**[b](https://x.org)\u{301}**word *(b\u{301})*é"),
            "a(st(b\u{301}) https://x.org)word *(b\u{301})*é"
        );
        let crossed = vec![
            Span { emphasis: true, ..Span::plain("a") },
            Span { emphasis: true, ..strong("b") },
            strong("c"),
        ];
        let settled = inline::settle(crossed);
        assert_eq!(super::super::spans::plain(&settled), "abc");
        assert_eq!(parse(&write_spans(&settled)), settled);
    }

    /// Characters that have bitten parsers.
    pub(crate) fn nasty(length: usize) -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            6 => proptest::sample::select(r"* * ** *** _ [ ] ( ) ]( \ < > & ` # - + . 1 ! ![ : | ~ = ' $ ^ {".split(' ').collect::<Vec<_>>()),
            1 => Just("\""),
            4 => proptest::sample::select(vec!["a", "b", " ", " ", "\n", "\n\n", "\t", "    ", "\r\n", "word ", "A."]),
            2 => proptest::sample::select(vec!["[a](https://x.org)", "](https://x.org/(y))", "[b](mailto:a@b.c)", "](x)", "<b>", "</b>", "<!--", "-->", "<script>", "</script>", "&amp;", "&#x301;", "&copy;", "&#32;", "![c](http://x.org/i.png \"t *u*\")", "<br/>", "<p>", "<div>", "```", "1. ", "- ", "> ", "[x]: https://y.org\n", "# "]),
            2 => proptest::sample::select(vec!["ع", "،", "漢", "。", "👩\u{200d}🚀", "🇫🇷", "\u{301}", "e", "\u{338}", "\u{a0}", "\u{3000}", "\u{200d}", "\u{2028}", "\u{2029}", "\u{85}", "\u{feff}", "\u{1fef}", "ᄀ", "ᅡ", "\u{958}", "«", "”", "€", "ß", "\u{200b}", "\u{ad}"]),
        ];
        proptest::collection::vec(piece, 0..length).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_is_written_reads_back_the_same(source in nasty(24)) {
            let first = spans(&source);
            let written = write_spans(&first);
            prop_assert_eq!(spans(&written), first, "{:?}", written);
        }

        #[test]
        fn what_has_no_marks_is_read_as_the_parser_would(source in nasty(24)) {
            let source = source.replace(MEANS_SOMETHING, "");
            prop_assert_eq!(spans(&source), canonical(parse_with_warnings(&source).0));
        }
    }
}
