//! Texts: what senders write, how it is kept, and what is asked of it.
//!
//! A sender writes marks (`*emphasis*`) or a whole Markdown document. Both are read into spans,
//! spans are given their writers by a word diff, and the runs that come of it are what events
//! carry and state keeps. Nothing here is used by the fold: an upgrade of a Markdown, diff or
//! Unicode crate changes how the next text is read, never how history reads.
//!
//! The promise that binds the parts: what the writers write ([`marks::write`],
//! [`markdown::write`]) reads back to the same spans and blocks. CommonMark can't say every list
//! of spans, so the readers never give one that it can't: see [`spans`].
//!
//! # Layout
//! - `run`: what is stored: [`Run`], [`Text`]; `block`: [`Content`], a block's content.
//! - `spans`: what was sent: [`Span`], and the one form that each list of spans has.
//! - [`marks`]: a text with marks, as in a JSON field; [`markdown`]: a whole document.
//! - `href`: which addresses a link or an image may have.
//! - `taken`: which characters are taken at all, and how; [`Refused`], [`plain_line`], [`is_blank`].
//! - `inline`: from spans to marks, and spans that marks can't say to the nearest that they can.
//! - `attribute`: who wrote which words; `diff`: the matching under it, with a bound on its cost.
//! - [`align`]: which block of a new body continues which of the old.
//! - [`sentences`]: where sentences end.

pub mod align;
mod attribute;
mod block;
pub mod compare;
mod diff;
mod href;
mod inline;
pub mod markdown;
pub mod marks;
mod run;
pub mod sentences;
pub mod spans;
mod taken;

pub use attribute::attribute;
pub use block::{Content, Kind};
pub(crate) use diff::EXACT_LEN;
pub use href::{image_uri, link_href};
pub use run::{Run, Text};
pub(crate) use spans::plain as plain_spans;
pub use spans::{Span, Spans};
pub use taken::{BlockWarning, Refused, TextWarning, is_blank, plain_line};

/// A text as it is looked for: without accents, in one case, compatible characters as one.
pub fn folded(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    use unicode_normalization::char::is_combining_mark;
    let plain = text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    // `ß` and final `ς` are the same as what they stand for.
    let plain = plain.flat_map(|c| match c {
        'ß' => ['s', 's'].into_iter().take(2),
        'ς' => ['σ', ' '].into_iter().take(1),
        c => [c, ' '].into_iter().take(1),
    });
    plain.collect()
}
