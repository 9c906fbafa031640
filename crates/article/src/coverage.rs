//! Coverage: which sentences with a figure, and which quotations, carry no claim.

use crate::article::Article;
use crate::claims::{ClaimField, Place};
use crate::gate::{Reason, ReasonCode};
use crate::text::{Content, Text, sentences};
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
    let texts = blocks.flat_map(|block| block.content.texts().map(|text| (Place::Block(block.id), text)));
    fields.chain(texts).flat_map(|(place, text)| in_text(place, text, article.language())).collect()
}

fn in_text(place: Place, text: &Text, language: &str) -> Vec<Sentence> {
    let plain = text.plain();
    let sentence = |(at, range)| {
        let words: &str = plain.get(range)?;
        let why = if has_quotation(words) {
            Checkable::Quotation
        } else if words.chars().any(char::is_numeric) {
            Checkable::Figure
        } else {
            return None;
        };
        Some(Sentence { place, nth: at + 1, words: words.into(), why })
    };
    sentences::bounds(&plain, language).into_iter().enumerate().filter_map(sentence).collect()
}

/// Pairs of quotation marks, by how they open.
const PAIRS: &[(char, &[char])] = &[
    ('"', &['"']),
    ('“', &['”', '“']),
    ('”', &['”']),
    ('„', &['“', '”', '‟']),
    ('«', &['»']),
    ('»', &['«', '»']),
    ('‹', &['›']),
    ('「', &['」']),
    ('『', &['』']),
    ('《', &['》']),
];

fn has_quotation(words: &str) -> bool {
    words.char_indices().any(|(at, open)| {
        let closers = PAIRS.iter().find(|(mark, _)| *mark == open).map(|(_, closers)| *closers);
        let rest = words.get(at + open.len_utf8()..).unwrap_or_default();
        closers.is_some_and(|closers| {
            rest.find(closers)
                .is_some_and(|end| rest.get(..end).is_some_and(|q| q.chars().any(char::is_alphabetic)))
        })
    })
}

/// The gate's reasons for what ought to be claimed and isn't.
pub fn unclaimed(article: &Article) -> Vec<Reason> {
    let claimed = |sentence: &Sentence| {
        article.claims.values().filter(|claim| claim.is_live()).any(|claim| {
            claim.place == sentence.place
                && (claim.sentence.contains(&*sentence.words) || sentence.words.contains(&*claim.quote))
        })
    };
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
    checkable(article).into_iter().filter(|sentence| !claimed(sentence)).map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotations_are_seen_in_the_marks_of_many_languages() {
        for words in [
            "He said \"no way\".",
            "Er sagte „nein“.",
            "Il a dit « non ».",
            "彼は「はい」と言った。",
            "Hon sa ”ja”.",
        ] {
            assert!(has_quotation(words), "{words}");
        }
        assert!(!has_quotation("a 6\" pipe"));
    }
}
