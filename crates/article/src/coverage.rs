//! Coverage: which sentences with a figure, and which quotations, carry no claim.
//!
//! `quotations` finds what stands in quotation marks, `figures` what is a figure, `claimed` what carries a claim. What
//! the first two get wrong was measured: `docs/COVERAGE.md`.

mod claimed;
mod figures;
mod quotations;

use std::ops::Range;

use crate::article::Article;
use crate::claims::{ClaimField, Place};
use crate::gate::{Reason, ReasonCode};
use crate::text::{Content, Kind, Text, sentences};
use crate::words::Words;

/// Why a sentence ought to be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkable {
    /// Words within quotation marks.
    Quotation,
    /// A sentence with a figure.
    Figure,
}

/// A sentence that ought to be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// Where it stands.
    pub place: Place,
    /// Its number there, from 1 (in a list: in its item).
    pub nth: usize,
    /// Its words.
    pub words: Words,
    /// Why.
    pub why: Checkable,
}

/// Every sentence of the headline, standfirst and body that holds a quotation or a figure.
pub fn checkable(article: &Article) -> Vec<Sentence> {
    let fields = [ClaimField::Headline, ClaimField::Standfirst].into_iter().filter_map(|field| {
        let name = match field {
            ClaimField::Headline => crate::fields::FieldName::Headline,
            _ => crate::fields::FieldName::Standfirst,
        };
        article.fields.text(name).map(|text| (Place::Field(field), text))
    });
    let blocks = article.blocks.iter().filter(|block| !matches!(block.content, Content::Image { .. }));
    let texts = blocks.flat_map(|block| {
        let is_quote = block.content.kind() == Kind::Quote;
        block.content.texts().map(move |text| (Place::Block(block.id), text, is_quote))
    });
    let all = fields.map(|(place, text)| (place, text, false)).chain(texts);
    all.flat_map(|(place, text, is_quote)| in_text(place, text, article.language(), is_quote)).collect()
}

fn in_text(place: Place, text: &Text, language: &str, as_quotation: bool) -> Vec<Sentence> {
    let plain = text.plain();
    let found = in_words(&plain, language, as_quotation).into_iter();
    let sentence = |(nth, range, why)| {
        Some(Sentence { place, nth, words: plain.get::<Range<usize>>(range)?.into(), why })
    };
    found.filter_map(sentence).collect()
}

/// The sentences of one text that ought to be claimed: the number of each, from 1, where it stands, and why.
/// `as_quotation` is said of a text that is a quotation whole, without marks.
pub fn in_words(text: &str, language: &str, as_quotation: bool) -> Vec<(usize, Range<usize>, Checkable)> {
    let whole = as_quotation.then_some(0..text.len());
    let quoted: Vec<Range<usize>> = match whole {
        Some(whole) => Vec::from([whole]),
        None => quotations::quotations(text, language),
    };
    let mut quoted = quoted.as_slice();
    let checkable = |(at, range): (usize, Range<usize>)| {
        // Both stand in order: what ends before this sentence is of none of those to come.
        while quoted.first().is_some_and(|first| first.end <= range.start) {
            quoted = quoted.get(1..).unwrap_or_default();
        }
        let mut near = quoted.iter().take_while(|quoted| quoted.start < range.end);
        let in_quotation = near.any(|quoted| {
            let shared = quoted.start.max(range.start)..quoted.end.min(range.end);
            text.get(shared).is_some_and(|shared| shared.contains(char::is_alphabetic))
        });
        let why = if in_quotation {
            Checkable::Quotation
        } else if figures::has_figure(text.get(range.clone())?, at == 0) {
            Checkable::Figure
        } else {
            return None;
        };
        Some((at + 1, range, why))
    };
    sentences::bounds(text, language).into_iter().enumerate().filter_map(checkable).collect()
}

/// The gate's reasons for what ought to be claimed and isn't.
pub fn unclaimed(article: &Article) -> Vec<Reason> {
    let mut sentences = checkable(article);
    claimed::leave_unclaimed(article, &mut sentences);
    let reason = |sentence: Sentence| {
        let what = match sentence.why {
            Checkable::Quotation => "a quotation",
            Checkable::Figure => "a sentence with a figure",
        };
        let (block, field) = match sentence.place {
            Place::Block(id) => (Some(id), None),
            Place::Field(field) => (None, Some(field.name().to_owned())),
        };
        let detail = format!("{what} carries no claim: sentence {} there", sentence.nth);
        Reason { block, field, ..Reason::new(ReasonCode::Unclaimed, detail) }
    };
    sentences.into_iter().map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, language: &str) -> Vec<(usize, Checkable)> {
        in_words(text, language, false).into_iter().map(|(nth, _, why)| (nth, why)).collect()
    }

    #[test]
    fn each_sentence_of_a_quotation_over_several_is_one() {
        use Checkable::{Figure, Quotation};
        let text = "He spoke. “We came. We saw 3 ships. We left.” Then 5 men slept. It rained.";
        assert_eq!(found(text, "en"), [(2, Quotation), (3, Quotation), (4, Quotation), (5, Figure)]);
        // The mark that is repeated at each paragraph, and closed at the last alone.
        assert_eq!(found("“We came. We saw.", "en"), [(1, Quotation), (2, Quotation)]);
        let whole: Vec<usize> =
            in_words("We came. We saw.", "en", true).into_iter().map(|(nth, ..)| nth).collect();
        assert_eq!(whole, [1, 2]);
    }
}
