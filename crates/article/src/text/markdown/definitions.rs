//! Definitions of links, `[AP]: https://apnews.com`: which of them are that, and which are words.
//!
//! The parser takes every definition out of the text, and of each label knows the first alone. So `[AP]: correction`
//! would be gone, and so would a second `[ap]: ...`. Here a definition is one where it is the first of its label, an
//! address follows, and a link uses it. Before the bracket of every other goes a backslash: it is words.
//!
//! What uses a definition only the parser knows, and words that come out may be around a link that was one before. So
//! the document is read again until nothing more comes out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag};

/// How often a document is read, before no definition in it is taken for one.
const READINGS: usize = 8;

/// In how many of these a later definition of a label waits for an earlier one to come out, as it may be the address.
const PATIENT_READINGS: usize = 4;

/// A document whose lines end with line feeds, with a backslash before each definition that is words.
pub(super) fn words_kept(doc: &str) -> Cow<'_, str> {
    let mut kept = Cow::Borrowed(doc);
    if !doc.contains("]:") {
        return kept;
    }
    for reading in 0..READINGS {
        let insertions = Reading::of(&kept).words(&kept, reading < PATIENT_READINGS);
        if insertions.is_empty() {
            return kept;
        }
        kept = Cow::Owned(with(&kept, insertions));
    }
    // Only a document made to be read for ever comes here.
    let reading = Reading::of(&kept);
    let insertions = all(&kept, |bracket| !is_in(&reading.verbatim, bracket));
    let kept = with(&kept, insertions);
    if Reading::of(&kept).firsts.is_empty() {
        return Cow::Owned(kept);
    }
    // What was code has become something else. Better a backslash that is seen than words that are not.
    Cow::Owned(with(&kept, all(&kept, |_| true)))
}

/// What goes in, and before which byte.
type Insertion<'a> = (usize, Cow<'a, str>);

const BACKSLASH: Cow<'static, str> = Cow::Borrowed("\\");

fn with(doc: &str, insertions: Vec<Insertion<'_>>) -> String {
    let more: usize = insertions.iter().map(|(_, text)| text.len()).sum();
    let mut result = String::with_capacity(doc.len() + more);
    let mut done = 0;
    for (at, text) in insertions {
        result.push_str(doc.get(done..at).unwrap_or_default());
        result.push_str(&text);
        done = at;
    }
    result.push_str(doc.get(done..).unwrap_or_default());
    result
}

/// What the parser makes of a document.
#[derive(Default)]
struct Reading {
    /// Where it sees words, in order: no definition begins there.
    words: Vec<Range<usize>>,
    /// Where a backslash would be seen: code and HTML.
    verbatim: Vec<Range<usize>>,
    /// The first definition of each label, by where it begins.
    firsts: BTreeMap<usize, First>,
}

struct First {
    end: usize,
    is_address: bool,
    is_used: bool,
}

impl Reading {
    fn of(doc: &str) -> Self {
        let parser = Parser::new_ext(doc, Options::empty());
        let mut reading = Self::default();
        for (_, definition) in parser.reference_definitions().iter() {
            let (end, is_address) = (definition.span.end, is_address(&definition.dest));
            reading.firsts.insert(definition.span.start, First { end, is_address, is_used: false });
        }
        let mut events = parser.into_offset_iter();
        while let Some((event, range)) = events.next() {
            if let Event::Start(Tag::Link { link_type, id, .. } | Tag::Image { link_type, id, .. }) = &event
                && matches!(link_type, LinkType::Reference | LinkType::Collapsed | LinkType::Shortcut)
                && let Some(definition) = events.reference_definitions().get(id)
                && let Some(first) = reading.firsts.get_mut(&definition.span.start)
            {
                first.is_used = true;
            }
            match event {
                Event::Start(Tag::BlockQuote(_) | Tag::List(_) | Tag::Item) | Event::End(_) => continue,
                Event::Start(Tag::CodeBlock(_) | Tag::HtmlBlock) => add(&mut reading.verbatim, range.clone()),
                _ => {}
            }
            add(&mut reading.words, range);
        }
        reading
    }

    /// Makes words of what is no definition. Later ones of a label are left, where `patient`, if the first isn't an
    /// address and a link asks for one.
    fn words<'a>(&self, doc: &'a str, patient: bool) -> Vec<Insertion<'a>> {
        let waits = patient && self.firsts.values().any(|first| first.is_used && !first.is_address);
        let mut insertions = Vec::new();
        let mut kept_until = 0;
        // Whether the line before is words that were none: what follows them would be, too.
        let mut follows_words = false;
        for line in lines(doc) {
            let Some(bracket) = line.bracket.filter(|bracket| !is_in(&self.words, *bracket)) else {
                follows_words &= !line.is_blank;
                continue;
            };
            let first = self.firsts.get(&bracket);
            if first.is_none() && bracket < kept_until {
                continue;
            }
            if first.map_or(waits, |first| first.is_address && first.is_used) {
                kept_until = first.map_or(kept_until, |first| first.end);
                let prefix = doc.get(line.start..bracket).unwrap_or_default();
                if follows_words && is_blank(prefix) {
                    insertions.push((line.start, format!("{prefix}\n").into()));
                }
                follows_words = false;
            } else {
                insertions.push((bracket, BACKSLASH));
                follows_words = true;
            }
        }
        insertions
    }
}

/// Makes words of all that could be a definition, now or once more words have come out, where `may`.
fn all(doc: &str, may: impl Fn(usize) -> bool) -> Vec<Insertion<'static>> {
    let brackets = lines(doc).filter_map(|line| line.bracket).filter(|bracket| may(*bracket));
    brackets.map(|bracket| (bracket, BACKSLASH)).collect()
}

/// Adds a range that begins no earlier than those before it.
fn add(ranges: &mut Vec<Range<usize>>, range: Range<usize>) {
    match ranges.last_mut() {
        Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
        _ => ranges.push(range),
    }
}

fn is_in(ranges: &[Range<usize>], at: usize) -> bool {
    let after = ranges.partition_point(|range| range.start <= at);
    after.checked_sub(1).and_then(|last| ranges.get(last)).is_some_and(|range| at < range.end)
}

struct Line {
    start: usize,
    is_blank: bool,
    /// Where a definition begins on it, should the parser read one.
    bracket: Option<usize>,
}

fn lines(doc: &str) -> impl Iterator<Item = Line> {
    let mut at = 0;
    doc.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        // What quotations and lists begin with stands before it.
        let bracket = line.find(|c: char| !c.is_ascii_digit() && !" \t>-*+.)".contains(c));
        let bracket = bracket.map(|bracket| start + bracket);
        let bracket = bracket.filter(|bracket| doc.get(*bracket..).is_some_and(begins_with_label));
        Line { start, is_blank: is_blank(line.trim_end_matches('\n')), bracket }
    })
}

/// Whether a line, or a part of one, is nothing, or nothing in a quotation.
fn is_blank(line: &str) -> bool {
    line.chars().all(|c| " \t>".contains(c))
}

/// Whether a text begins like `[AP]:`; a label may go over lines.
fn begins_with_label(text: &str) -> bool {
    let Some(label) = text.strip_prefix('[') else { return false };
    let mut bytes = label.bytes();
    loop {
        match bytes.next() {
            Some(b']') => return bytes.next() == Some(b':'),
            Some(b'[') | None => return false,
            Some(b'\\') => _ = bytes.next(),
            Some(_) => {}
        }
    }
}

/// Whether a definition's destination is meant as an address, one that links may have or not.
fn is_address(destination: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let has_scheme =
        destination.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty());
    has_scheme
        || destination.starts_with(['/', '#', '?'])
        || destination.starts_with("./")
        || destination.starts_with("../")
}
