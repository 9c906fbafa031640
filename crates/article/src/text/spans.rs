//! Spans: a text as its sender wrote it, without writers, in the one form that each has.
//!
//! The form: NFC, also over the seams; ASCII white space runs are one space, none at the ends;
//! white space at the edge of a mark stands outside it; no span is empty, and neighbours with the
//! same marks are one.

use std::fmt;

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc, is_nfc_quick};

use crate::words::Masked;

/// A stretch of text with one set of marks, without a writer.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The words.
    pub text: String,
    /// `**strong**`.
    pub strong: bool,
    /// `*emphasis*`.
    pub emphasis: bool,
    /// Where the link leads, for words that are one.
    pub href: Option<String>,
}

/// A text as its sender wrote it.
pub type Spans = Vec<Span>;

/// The words alone, as a reader sees them.
pub fn plain(spans: &[Span]) -> String {
    spans.iter().map(|span| span.text.as_str()).collect()
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Span")
            .field("text", &Masked(&self.text))
            .field("strong", &self.strong)
            .field("emphasis", &self.emphasis)
            .field("href", &self.href.as_deref().map(Masked))
            .finish()
    }
}

impl Span {
    /// Words without marks.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(super) fn is_plain(&self) -> bool {
        !self.strong && !self.emphasis && self.href.is_none()
    }

    pub(super) fn same_marks(&self, other: &Self) -> bool {
        self.strong == other.strong && self.emphasis == other.emphasis && self.href == other.href
    }

    /// Other words with the same marks.
    pub(super) fn with(&self, text: impl Into<String>) -> Self {
        Self { text: text.into(), strong: self.strong, emphasis: self.emphasis, href: self.href.clone() }
    }

    fn keep_shared(&mut self, other: Option<&Self>) {
        self.strong &= other.is_some_and(|other| other.strong);
        self.emphasis &= other.is_some_and(|other| other.emphasis);
        if self.href.is_some() && self.href != other.and_then(|other| other.href.clone()) {
            self.href = None;
        }
    }
}

/// Adds a span, joined to the last where they have the same marks.
pub(super) fn push(spans: &mut Spans, span: Span) {
    match spans.last_mut() {
        _ if span.text.is_empty() => {}
        Some(last) if last.same_marks(&span) => last.text.push_str(&span.text),
        _ => spans.push(span),
    }
}

/// The one form of these spans.
pub(super) fn canonical(spans: Spans) -> Spans {
    if let [only] = spans.as_slice()
        && only.is_plain()
        && is_collapsed_ascii(&only.text)
    {
        return spans;
    }
    let mut spans = collapsed(composed(joined(spans)));
    while let Some(last) = spans.last_mut() {
        if last.text.ends_with(' ') {
            last.text.pop();
        }
        if !last.text.is_empty() {
            break;
        }
        spans.pop();
    }
    joined(unmarked_at_edges(spans))
}

/// Whether these are ASCII words with one space between them and none at the ends: nothing to change.
fn is_collapsed_ascii(text: &str) -> bool {
    // Other white space of ASCII is below the space; so is what was refused before.
    let is_word_or_space = |byte: u8| byte.is_ascii() && byte >= b' ';
    !text.is_empty()
        && text.bytes().all(is_word_or_space)
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.contains("  ")
}

fn joined(spans: Spans) -> Spans {
    let mut out = Spans::with_capacity(spans.len());
    for span in spans {
        push(&mut out, span);
    }
    out
}

/// NFC, with what could combine with the span before moved there.
fn composed(spans: Spans) -> Spans {
    let mut out = Spans::with_capacity(spans.len());
    for mut span in spans {
        if let Some(last) = out.last_mut() {
            let start = span.text.find(stands_alone).unwrap_or(span.text.len());
            last.text.extend(span.text.drain(..start));
        }
        if !span.text.is_empty() {
            out.push(span);
        }
    }
    for span in &mut out {
        if !is_nfc(&span.text) {
            span.text = span.text.nfc().collect();
        }
    }
    out
}

/// Whether nothing before this character can ever combine with it.
fn stands_alone(c: char) -> bool {
    let mut composed = c.nfc();
    c.is_ascii()
        || composed.next().is_some_and(|first| {
            canonical_combining_class(first) == 0 && is_nfc_quick(std::iter::once(first)) == IsNormalized::Yes
        })
}

fn collapsed(mut spans: Spans) -> Spans {
    let mut after_space = true;
    for span in &mut spans {
        span.text = span
            .text
            .chars()
            .filter_map(|c| {
                let space = c.is_ascii_whitespace();
                let kept = if space { ' ' } else { c };
                let dropped = space && after_space;
                after_space = space;
                (!dropped).then_some(kept)
            })
            .collect();
    }
    spans.retain(|span| !span.text.is_empty());
    spans
}

/// Takes a mark from white space that doesn't stand between two words with that mark.
fn unmarked_at_edges(spans: Spans) -> Spans {
    let mut pieces: Vec<(Span, bool)> = Vec::with_capacity(spans.len() * 2);
    for span in spans {
        let core_start = span.text.len() - span.text.trim_start().len();
        let core_end = span.text.trim_end().len().max(core_start);
        if core_start == 0 && core_end == span.text.len() {
            pieces.push((span, false));
            continue;
        }
        let (head, rest) = span.text.split_at(core_start);
        let (core, tail) = rest.split_at(core_end - core_start);
        for (text, is_space) in [(head, true), (core, false), (tail, true)] {
            if !text.is_empty() {
                pieces.push((span.with(text), is_space));
            }
        }
    }
    let mut before = None;
    for (piece, is_space) in &mut pieces {
        if *is_space {
            piece.keep_shared(before.as_ref());
        } else {
            before = Some(piece.with(""));
        }
    }
    let mut after = None;
    for (piece, is_space) in pieces.iter_mut().rev() {
        if *is_space {
            piece.keep_shared(after.as_ref());
        } else {
            after = Some(piece.with(""));
        }
    }
    pieces.into_iter().map(|(piece, _)| piece).collect()
}
