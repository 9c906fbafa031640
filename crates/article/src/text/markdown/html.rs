//! HTML in a sender's document: tags go, their text stays; scripts, styles and comments go whole.
//!
//! A Markdown parser cuts HTML at blank lines and hands over the pieces, with ordinary text
//! between them, so what is hidden must be remembered from piece to piece: [`Html`] is that
//! memory. This is not what keeps readers safe. What comes out is text, and is escaped as text
//! wherever it is shown.
//!
//! Tried: the sanitiser crate ammonia (4.2), a whole HTML parser. It sees one piece at a time and
//! can't tell whether a script or a comment was left open; it loses the words of a `<template>`,
//! moves those of a table, and takes 3.6 s for 128 KiB of `<div><p>`, four times that for twice as
//! much.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser};

/// What is left of HTML.
#[derive(PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Words, with entities.
    Words(&'a str),
    /// A tag that parts words: a line or cell.
    Space,
    /// A tag that parts paragraphs.
    Break,
}

/// What an earlier piece of HTML left open.
#[derive(Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    Comment,
    /// `script` or `style`.
    Raw(&'static str),
}

/// Reads the pieces of HTML in one document, in order, and the text between them.
#[derive(Default)]
pub(super) struct Html {
    open: Open,
    /// The end of what was hidden last, in case the closing tag comes in two pieces.
    tail: String,
}

/// The longest part of a closing tag that can be left without being one yet: `</script`.
const TAIL_BYTES: usize = 8;

impl Html {
    /// Whether what comes next is hidden.
    pub(super) fn is_hiding(&self) -> bool {
        self.open != Open::Nothing
    }

    /// What a reader sees of text that isn't HTML: all, or what comes after the end of the hidden.
    pub(super) fn text<'a>(&mut self, text: &'a str) -> &'a str {
        if !self.is_hiding() {
            return text;
        }
        if !self.tail.is_empty() {
            let seam = format!("{}{}", self.tail, head(text, TAIL_BYTES));
            let over = self.closing_mark(&seam).filter(|mark| mark.contains(&self.tail.len()));
            if let Some(mark) = over {
                return self.reveal(text, mark.end - self.tail.len());
            }
        }
        if let Some(mark) = self.closing_mark(text) {
            return self.reveal(text, mark.end);
        }
        self.tail.push_str(tail(text, TAIL_BYTES));
        self.tail = tail(&self.tail, TAIL_BYTES).to_owned();
        ""
    }

    /// Ends what is hidden with the mark that ends at `end`.
    fn reveal<'a>(&mut self, text: &'a str, end: usize) -> &'a str {
        self.tail.clear();
        let rest = text.get(end..).unwrap_or_default();
        match std::mem::take(&mut self.open) {
            Open::Raw(_) => rest.split_once('>').map_or("", |(_, rest)| rest),
            Open::Comment | Open::Nothing => rest,
        }
    }

    /// The first mark that ends what is hidden: `-->`, or `</script` up to its name's end.
    fn closing_mark(&self, text: &str) -> Option<Range<usize>> {
        match self.open {
            Open::Nothing => None,
            Open::Comment => text.match_indices('>').find_map(|(at, _)| {
                let before = text.get(..at)?;
                let dashes = ["--", "--!"].into_iter().find(|dashes| before.ends_with(dashes))?;
                Some(at - dashes.len()..at + 1)
            }),
            Open::Raw(name) => text.match_indices("</").find_map(|(at, _)| {
                let rest = text.get(at + 2..)?;
                let after = rest.get(name.len()..)?;
                let is_end = rest.get(..name.len())?.eq_ignore_ascii_case(name)
                    && !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
                is_end.then_some(at..at + 2 + name.len())
            }),
        }
    }

    /// Reads one piece of HTML: a block up to its blank line, or a tag among words.
    pub(super) fn html(&mut self, html: &str, mut out: impl FnMut(Piece<'_>)) {
        let mut rest = self.text(html);
        let mut ahead = Ahead { quotes_pair: true, instruction_ends: true, bracket: true };
        while let Some(at) = rest.find('<') {
            let (words, markup) = rest.split_at(at);
            if !words.is_empty() {
                out(Piece::Words(words));
            }
            rest = self.markup(markup, &mut ahead, &mut out);
        }
        if !rest.is_empty() {
            out(Piece::Words(rest));
        }
    }

    /// Reads what begins with `<` and gives what comes after it.
    fn markup<'a>(&mut self, markup: &'a str, ahead: &mut Ahead, out: &mut impl FnMut(Piece<'_>)) -> &'a str {
        let after = |length: usize| markup.get(length..).unwrap_or_default();
        if let Some(comment) = markup.strip_prefix("<!--") {
            if let Some(rest) = comment.strip_prefix('>').or_else(|| comment.strip_prefix("->")) {
                return rest;
            }
            self.open = Open::Comment;
            return self.text(comment);
        }
        if let Some(section) = markup.strip_prefix("<![CDATA[") {
            let (words, rest) = section.split_once("]]>").unwrap_or((section, ""));
            out(Piece::Words(words));
            return rest;
        }
        if markup.starts_with("<!") || markup.starts_with("<?") {
            if markup.starts_with("<?") && ahead.instruction_ends {
                if let Some((_, rest)) = markup.split_once("?>") {
                    return rest;
                }
                ahead.instruction_ends = false;
            }
            if ahead.bracket {
                if let Some((_, rest)) = markup.split_once('>') {
                    return rest;
                }
                ahead.bracket = false;
            }
        }
        let named = after(1);
        let closing = named.starts_with('/');
        let named = named.strip_prefix('/').unwrap_or(named);
        if !named.starts_with(|c: char| c.is_ascii_alphabetic()) {
            out(Piece::Words("<"));
            return after(1);
        }
        let length =
            named.find(|c: char| !c.is_ascii_alphanumeric() && !"-:".contains(c)).unwrap_or(named.len());
        let name = named.get(..length).unwrap_or_default().to_ascii_lowercase();
        let raw = ["script", "style"].into_iter().find(|raw| *raw == name).filter(|_| !closing);
        let Some(rest) = after_tag(markup, ahead) else {
            // No tag at all, but words that follow a `<`: except what would be a script.
            if let Some(raw) = raw {
                self.open = Open::Raw(raw);
                return "";
            }
            out(Piece::Words("<"));
            return after(1);
        };
        if PARTS_PARAGRAPHS.contains(&name.as_str()) {
            out(Piece::Break);
        } else if PARTS_WORDS.contains(&name.as_str()) {
            out(Piece::Space);
        }
        if let Some(raw) = raw {
            self.open = Open::Raw(raw);
            return self.text(rest);
        }
        rest
    }
}

/// What may still come in a piece, so that nothing is looked for to its end twice.
struct Ahead {
    /// Quotation marks that close in a tag.
    quotes_pair: bool,
    /// `?>`.
    instruction_ends: bool,
    /// `>`.
    bracket: bool,
}

fn head(text: &str, bytes: usize) -> &str {
    let cut = (0..=bytes.min(text.len())).rev().find(|cut| text.is_char_boundary(*cut));
    text.get(..cut.unwrap_or(0)).unwrap_or_default()
}

fn tail(text: &str, bytes: usize) -> &str {
    let cut = (text.len().saturating_sub(bytes)..=text.len()).find(|cut| text.is_char_boundary(*cut));
    text.get(cut.unwrap_or(text.len())..).unwrap_or_default()
}

/// What comes after the tag that `markup` begins with: after its `>`, or at a `<` that begins
/// another before it. `None` where neither comes.
fn after_tag<'a>(markup: &'a str, ahead: &mut Ahead) -> Option<&'a str> {
    if ahead.quotes_pair {
        let mut quote = None;
        for (at, c) in markup.char_indices().skip(1) {
            match (quote, c) {
                (None, '>') => return markup.get(at + 1..),
                (None, '<') => return markup.get(at..),
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                _ => {}
            }
        }
        ahead.quotes_pair = quote.is_none();
    }
    let at = markup.get(1..)?.find(['<', '>'])? + 1;
    markup.get(if markup.as_bytes().get(at) == Some(&b'>') { at + 1 } else { at }..)
}

/// Text in which `&amp;` and the like still stand, with the characters they mean. White space
/// comes out as single spaces.
pub(super) fn decoded(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut line = String::with_capacity(text.len() * 2);
    line.push('x');
    for c in text.chars() {
        match c {
            '&' | ';' | '#' => {}
            c if c.is_ascii_punctuation() => line.push('\\'),
            _ => {}
        }
        line.push(if c.is_ascii_whitespace() { ' ' } else { c });
    }
    line.push('x');
    let mut words = String::with_capacity(text.len());
    for event in Parser::new_ext(&line, Options::empty()) {
        if let Event::Text(text) = event {
            words.push_str(&text);
        }
    }
    let inner = words.strip_prefix('x').and_then(|words| words.strip_suffix('x'));
    inner.unwrap_or(text).to_owned()
}

const PARTS_PARAGRAPHS: [&str; 37] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tr",
    "ul",
];

const PARTS_WORDS: [&str; 7] = ["br", "td", "th", "option", "title", "summary", "legend"];

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&str]) -> String {
        let mut html = Html::default();
        let mut out = String::new();
        for piece in pieces {
            html.html(piece, |piece| match piece {
                Piece::Words(words) => out.push_str(words),
                Piece::Space => out.push(' '),
                Piece::Break => out.push('|'),
            });
        }
        out
    }

    #[test]
    fn tags_go_and_their_text_stays() {
        assert_eq!(shown(&["a<b class='>'>b</b> c<br/>d<p>e</p>"]), "ab c d|e|");
        assert_eq!(shown(&["1 < 2 <3 a<>b </ c"]), "1 < 2 <3 a<>b </ c");
        assert_eq!(shown(&["<!DOCTYPE html>a<?php x ?>b<![CDATA[<c>]]>d"]), "ab<c>d");
        assert_eq!(shown(&["<a title=\"x>words</a> more"]), "words more");
        assert_eq!(shown(&["<div and words"]), "<div and words");
    }

    #[test]
    fn scripts_styles_and_comments_go_whole() {
        for hidden in [
            "<script>x</script>",
            "<SCRIPT\n src='>'>x</ScRiPt >",
            "<style>x</style\n>",
            "<!-- x -->",
            "<!---x-->",
            "<!-- x --!>",
            "<!-->",
            "<!--->",
            "<script>x<!-- </script>",
            "<script>'</scripty>'</script>",
            "<b <script>x</script>",
            "<scr<script>x</script>",
        ] {
            assert_eq!(shown(&["a", hidden, "b"]), "ab", "{hidden}");
            assert_eq!(shown(&[&format!("a{hidden}b")]), "ab", "{hidden}");
        }
        assert_eq!(shown(&["a<script>x"]), "a");
        assert_eq!(shown(&["a<script x"]), "a");
        assert_eq!(shown(&["a<!-- x"]), "a");
        assert_eq!(shown(&["a<script>x</scr", "ipt>b"]), "ab");
        assert_eq!(shown(&["a<!-- x -", "->b"]), "ab");
    }

    #[test]
    fn hidden_text_between_pieces_ends_where_the_hidden_ends() {
        let mut html = Html::default();
        html.html("<script>", |_| {});
        assert!(html.is_hiding());
        assert_eq!(html.text("héllo </scr"), "");
        assert_eq!(html.text("ipt>seen"), "seen");
        assert!(!html.is_hiding());
    }

    #[test]
    fn entities_are_decoded() {
        assert_eq!(decoded(" a &amp; <b>&#233;&nbsp;*&lt;_&copy &nope; "), " a & <b>é\u{a0}*<_&copy &nope; ");
    }
}
