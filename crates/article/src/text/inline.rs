//! From spans to marks, and spans that marks can't say to the nearest that they can.
//!
//! CommonMark's flanking rules (a closing `**` after a full stop and before a letter closes
//! nothing) make some spans inexpressible. So [`settle`] writes what was read, reads it again, and
//! where that differs simplifies: punctuation out of the marks, then emphasis, strong and links
//! dropped, each only between the nearest words without marks, since delimiters that all match
//! inside such a stretch can't meet those outside. Working out the flanking rules in advance was
//! considered; reading back also holds where the parser and the specification disagree.

use super::marks;
use super::spans::{Span, Spans, canonical, push};

/// Whose escapes to write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// A JSON field: only `*`, `\` and `[words](address)` mean anything.
    Marks,
    /// A line of a Markdown document.
    Markdown,
    /// The words of a Markdown image: as a line, with every bracket escaped.
    MarkdownAlt,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Link,
    Emphasis,
    Strong,
}

impl Mark {
    fn is_on(self, span: &Span) -> bool {
        match self {
            Self::Link => span.href.is_some(),
            Self::Emphasis => span.emphasis,
            Self::Strong => span.strong,
        }
    }

    fn goes_on(self, span: &Span, next: &Span) -> bool {
        match self {
            Self::Link => span.href.is_some() && span.href == next.href,
            Self::Emphasis => span.emphasis && next.emphasis,
            Self::Strong => span.strong && next.strong,
        }
    }
}

/// Writes spans with their marks.
pub(super) fn write(spans: &[Span], dialect: Dialect) -> String {
    // For each span, how many spans further each mark lasts: the longest is opened first.
    let mut lasts = vec![[0_usize; 3]; spans.len()];
    let mut further = [0; 3];
    let mut next: Option<&Span> = None;
    for (span, lasts) in spans.iter().zip(&mut lasts).rev() {
        for (mark, further) in [Mark::Link, Mark::Emphasis, Mark::Strong].into_iter().zip(&mut further) {
            *further = if next.is_some_and(|next| mark.goes_on(span, next)) { *further + 1 } else { 0 };
        }
        *lasts = further;
        next = Some(span);
    }

    let mut out = String::new();
    let mut open: Vec<(Mark, Option<&str>)> = Vec::new();
    let count = spans.len();
    for (index, (span, lasts)) in spans.iter().zip(lasts).enumerate() {
        let stays = |(mark, href): &(Mark, Option<&str>)| match mark {
            Mark::Link => span.href.as_deref() == *href,
            mark => mark.is_on(span),
        };
        let kept = open.iter().position(|mark| !stays(mark)).unwrap_or(open.len());
        close(&mut out, open.drain(kept..).rev(), dialect);

        let mut new: Vec<(usize, Mark)> = [Mark::Link, Mark::Emphasis, Mark::Strong]
            .into_iter()
            .zip(lasts)
            .filter(|(mark, _)| mark.is_on(span) && !open.iter().any(|(is_open, _)| is_open == mark))
            .map(|(mark, lasts)| (lasts, mark))
            .collect();
        new.sort_by_key(|(lasts, _)| std::cmp::Reverse(*lasts));
        for (_, mark) in new {
            out.push_str(match mark {
                Mark::Link => "[",
                Mark::Emphasis => "*",
                Mark::Strong => "**",
            });
            open.push((mark, if mark == Mark::Link { span.href.as_deref() } else { None }));
        }
        let place = Place {
            dialect,
            in_brackets: dialect == Dialect::MarkdownAlt || span.href.is_some(),
            first: out.is_empty(),
            last: index + 1 == count,
        };
        escape(&span.text, place, &mut out);
    }
    close(&mut out, open.drain(..).rev(), dialect);
    out
}

fn close<'a>(out: &mut String, marks: impl Iterator<Item = (Mark, Option<&'a str>)>, dialect: Dialect) {
    for (mark, href) in marks {
        match mark {
            Mark::Link => {
                out.push_str("](");
                address(href.unwrap_or_default(), dialect, out);
                out.push(')');
            }
            Mark::Emphasis => out.push('*'),
            Mark::Strong => out.push_str("**"),
        }
    }
}

struct Place {
    dialect: Dialect,
    in_brackets: bool,
    /// Whether these words begin the line.
    first: bool,
    /// Whether nothing comes after the span.
    last: bool,
}

fn escape(text: &str, place: Place, out: &mut String) {
    let markdown = place.dialect != Dialect::Marks;
    let end = text.len();
    let mut before: Option<char> = None;
    let list_stop = if markdown && place.first { list_stop(text) } else { None };
    for (at, c) in text.char_indices() {
        let rest = text.get(at + c.len_utf8()..).unwrap_or_default();
        let after = rest.chars().next();
        let is_first = at == 0 && place.first;
        let is_last = rest.is_empty() && place.last;
        // At the ends of a line parsers trim white space, and at a document's start its U+FEFF.
        if markdown && ((is_first && c == '\u{feff}') || ((is_first || is_last) && is_wide_space(c))) {
            out.push_str(&format!("&#{};", u32::from(c)));
            before = Some(c);
            continue;
        }
        let escaped = match c {
            '*' => true,
            '\\' => after.is_none_or(|after| after.is_ascii_punctuation() || is_wide_space(after)),
            '[' => place.in_brackets || (markdown && is_first),
            ']' => place.in_brackets || after == Some('('),
            _ if !markdown => false,
            '`' => true,
            '_' => !(before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric)),
            '<' => {
                after.is_none_or(|after| after.is_ascii_alphabetic() || matches!(after, '/' | '!' | '?'))
                    || begins_email(rest, place.last)
            }
            '&' => begins_entity(rest),
            '!' => after.is_none() && !place.last,
            '#' => is_first || (is_last && at + 1 == end),
            '>' | '+' | '-' | '=' | '~' | '|' => is_first,
            '.' | ')' => list_stop == Some(at),
            _ => false,
        };
        if escaped {
            out.push('\\');
        }
        out.push(c);
        before = Some(c);
    }
}

/// White space beyond ASCII's.
fn is_wide_space(c: char) -> bool {
    !c.is_ascii() && c.is_whitespace()
}

/// Where the stop stands that would make this line an item of a numbered list.
fn list_stop(text: &str) -> Option<usize> {
    let stop = text.find(|c: char| !c.is_ascii_digit()).filter(|stop| (1..=9).contains(stop))?;
    let rest = text.get(stop..)?.strip_prefix(['.', ')'])?;
    (rest.is_empty() || rest.starts_with(' ')).then_some(stop)
}

/// Whether `&` before this would be read as a character's name or number.
fn begins_entity(rest: &str) -> bool {
    let name = rest.strip_prefix('#').unwrap_or(rest);
    let length = name.bytes().take(40).take_while(u8::is_ascii_alphanumeric).count();
    length > 0 && name.as_bytes().get(length) == Some(&b';')
}

/// Whether `<` before this would be read as the beginning of a mail address, which may go on in the next span.
fn begins_email(rest: &str, is_last: bool) -> bool {
    let local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-./=?^_`{|}~".contains(c);
    rest.starts_with(local) && (!is_last || rest.contains('@'))
}

/// Writes a link's or image's address.
pub(super) fn address(href: &str, dialect: Dialect, out: &mut String) {
    let balanced = brackets_balance(href);
    for (at, c) in href.char_indices() {
        let rest = href.get(at + c.len_utf8()..).unwrap_or_default();
        let escaped = match c {
            '\\' => true,
            '(' | ')' => !balanced,
            '*' | '[' | ']' | '<' | '>' | '`' => true,
            '&' => dialect != Dialect::Marks && begins_entity(rest),
            _ => false,
        };
        if escaped {
            out.push('\\');
        }
        out.push(c);
    }
}

/// Whether round brackets pair up, no deeper than every parser follows them.
fn brackets_balance(href: &str) -> bool {
    let mut depth = 0_i32;
    for c in href.chars() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if !(0..=8).contains(&depth) {
            return false;
        }
    }
    depth == 0
}

/// The nearest spans that marks can say, in their one form.
pub(super) fn settle(spans: Spans) -> Spans {
    let spans = canonical(spans);
    // Words without marks are all that is left in the end.
    if spans.iter().all(Span::is_plain) || reads_back(&spans) {
        return spans;
    }
    let mut settled = Spans::new();
    let mut spans = spans.into_iter().peekable();
    while let Some(span) = spans.next() {
        if span.is_plain() {
            push(&mut settled, span);
            continue;
        }
        let mut stretch = vec![span];
        while let Some(span) = spans.next_if(|span| !span.is_plain()) {
            stretch.push(span);
        }
        let before = settled.last().map_or(String::new(), |span| context(span.text.chars().rev()));
        let after = spans.peek().map_or(String::new(), |span| context(span.text.chars()));
        for span in settle_stretch(stretch, &before, &after) {
            push(&mut settled, span);
        }
    }
    let settled = canonical(settled);
    if reads_back(&settled) {
        return settled;
    }
    canonical(settled.into_iter().map(|span| Span::plain(span.text)).collect())
}

fn reads_back(spans: &[Span]) -> bool {
    marks::parse(&write(spans, Dialect::Marks)) == spans
}

/// What decides how a delimiter beside it reads: the next character, with a word beyond white
/// space so that it isn't trimmed.
fn context(mut from: impl Iterator<Item = char>) -> String {
    match from.next() {
        Some(c) if c.is_whitespace() => " x".into(),
        Some(c) => c.into(),
        None => String::new(),
    }
}

fn settle_stretch(stretch: Spans, before: &str, after: &str) -> Spans {
    let before: String = before.chars().rev().collect();
    let framed = |stretch: Spans| {
        let mut framed = Spans::new();
        push(&mut framed, Span::plain(before.as_str()));
        stretch.into_iter().for_each(|span| push(&mut framed, span));
        push(&mut framed, Span::plain(after));
        canonical(framed)
    };
    let mut stretch = stretch;
    let simpler: [fn(&mut Spans, &str, &str); 6] = [
        |_, _, _| {},
        punctuation_out,
        |stretch, _, _| {
            stretch.iter_mut().filter(|span| span.strong).for_each(|span| span.emphasis = false);
        },
        |stretch, _, _| stretch.iter_mut().for_each(|span| span.emphasis = false),
        |stretch, _, _| stretch.iter_mut().for_each(|span| span.strong = false),
        |stretch, _, _| stretch.iter_mut().for_each(|span| span.href = None),
    ];
    for simplify in simpler {
        simplify(&mut stretch, &before, after);
        if reads_back(&framed(stretch.clone())) {
            break;
        }
    }
    stretch
}

/// Moves punctuation out of emphasis and strong where a letter on the other side of the mark
/// would keep it from opening or closing.
fn punctuation_out(stretch: &mut Spans, before: &str, after: &str) {
    for mark in [Mark::Emphasis, Mark::Strong] {
        let mut outside = before.chars().next_back();
        let mut was_on = false;
        let mut out = Spans::new();
        for span in std::mem::take(stretch) {
            if mark.is_on(&span) && !was_on {
                let (edge, rest) = span.text.split_at(edge(span.text.chars(), outside));
                was_on = !rest.is_empty();
                push(&mut out, without(mark, &span, edge));
                push(&mut out, span.with(rest));
            } else {
                was_on = mark.is_on(&span);
                push(&mut out, span.clone());
            }
            outside = span.text.chars().next_back();
        }
        let mut outside = after.chars().next();
        let mut was_on = false;
        let mut back = Spans::new();
        for span in out.into_iter().rev() {
            if mark.is_on(&span) && !was_on {
                let length = edge(span.text.chars().rev(), outside);
                let (rest, edge) = span.text.split_at(span.text.len() - length);
                was_on = !rest.is_empty();
                back.push(without(mark, &span, edge));
                back.push(span.with(rest));
            } else {
                was_on = mark.is_on(&span);
                back.push(span.clone());
            }
            outside = span.text.chars().next();
        }
        back.into_iter().rev().for_each(|span| push(stretch, span));
    }
}

fn without(mark: Mark, span: &Span, text: &str) -> Span {
    let mut span = span.with(text);
    match mark {
        Mark::Link => span.href = None,
        Mark::Emphasis => span.emphasis = false,
        Mark::Strong => span.strong = false,
    }
    span
}

/// How many bytes of punctuation these characters begin with, where a letter stands before them.
fn edge(chars: impl Iterator<Item = char>, outside: Option<char>) -> usize {
    if !outside.is_some_and(char::is_alphanumeric) {
        return 0;
    }
    chars.take_while(|c| !c.is_alphanumeric()).map(char::len_utf8).sum()
}

/// Writes an image's title, the quotation marks around it left to the caller.
pub(super) fn title(text: &str, out: &mut String) {
    for (at, c) in text.char_indices() {
        let rest = text.get(at + c.len_utf8()..).unwrap_or_default();
        if matches!(c, '\\' | '"' | '`' | '<') || (c == '&' && begins_entity(rest)) {
            out.push('\\');
        }
        out.push(c);
    }
}
