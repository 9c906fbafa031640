//! Where quoted words stand in the text, and the sentences around them.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use super::{Claim, ClaimField, ClaimState, FoundFalse, Place};
use crate::article::Article;
use crate::fields::FieldName;
use crate::problem::{Code, Problem};
use crate::text::{self, Text, sentences};
use crate::words::Words;

/// The texts at a place, none where the place is no longer there: a list has one for each item.
fn texts_at(article: &Article, place: Place) -> Vec<&Text> {
    match place {
        Place::Block(id) => {
            article.block(id).map(|block| block.content.texts().collect()).unwrap_or_default()
        }
        Place::Field(field) => field_text(article, field).into_iter().collect(),
    }
}

pub(super) fn field_text(article: &Article, field: ClaimField) -> Option<&Text> {
    match field {
        ClaimField::Headline => article.fields.text(FieldName::Headline),
        ClaimField::Standfirst => article.fields.text(FieldName::Standfirst),
        ClaimField::Caption => article.fields.image().map(|image| &image.caption),
    }
}

/// Every place of an article that can be claimed.
pub(super) fn places(article: &Article) -> impl Iterator<Item = Place> {
    [ClaimField::Headline, ClaimField::Standfirst, ClaimField::Caption]
        .into_iter()
        .map(Place::Field)
        .chain(article.blocks.iter().map(|block| Place::Block(block.id)))
}

/// Where a claimed quote was found.
pub struct Found {
    /// The place.
    pub place: Place,
    /// The words of the sentence or sentences that the quote stands in.
    pub sentence: String,
    /// Who wrote any of that sentence.
    pub writers: BTreeSet<Arc<str>>,
}

/// Finds a quote in the present text: at `place`, or wherever it occurs once.
///
/// # Errors
/// `quote_not_found`, `quote_ambiguous`.
pub fn find(article: &Article, quote: &str, place: Option<Place>) -> Result<Found, Problem> {
    let language = article.language();
    let mut found = Vec::new();
    let asked: Vec<Place> = match place {
        Some(place) => vec![place],
        None => places(article).collect(),
    };
    for place in asked {
        for text in texts_at(article, place) {
            let plain = text.plain();
            for range in occurrences(&plain, quote, &Edges::default()) {
                found.push((place, text, plain.clone(), range));
                if found.len() > 1 {
                    return Err(Problem::new(
                        Code::QuoteAmbiguous,
                        "the quote occurs more than once: name its block or field, or quote more words",
                    )
                    .at("/data/quote"));
                }
            }
        }
    }
    let Some((place, text, plain, range)) = found.pop() else {
        return Err(Problem::new(
            Code::QuoteNotFound,
            "the quote is not in the text: quote an exact run of words from one block or field",
        )
        .at("/data/quote"));
    };
    let whole = sentence_around(&plain, &range, language);
    Ok(Found {
        place,
        sentence: plain.get(whole.clone()).unwrap_or_default().to_owned(),
        writers: text.writers_in(whole),
    })
}

/// Whether a claim's words may still stand where it is: its sentence, with its quote in it; or its quote, where there was
/// no room to say what became of the sentence.
pub fn may_stand(article: &Article, claim: &Claim) -> bool {
    let quoted = |text: &Text| has(&text.plain(), &claim.quote, &Edges::default());
    match (claim.state, bound_sentence(article, claim)) {
        (ClaimState::Ruled, _) => true,
        (_, Some(_)) => has(&claim.sentence, &claim.quote, &Edges::default()),
        (ClaimState::Gone, None) => false,
        (_, None) => texts_at(article, claim.place).into_iter().any(quoted),
    }
}

/// Who wrote what stands at a place; nobody, where nothing does.
pub fn writers_at(article: &Article, place: Place) -> BTreeSet<Arc<str>> {
    texts_at(article, place).into_iter().flat_map(|text| text.writers().cloned()).collect()
}

/// Finds the sentence that a claim is bound to, where it still stands: with the claim's quote in it, or written over.
/// Where it stands there more than once, its writers are those of all.
pub fn bound_sentence(article: &Article, claim: &Claim) -> Option<Found> {
    whole_at(article, claim.place, &claim.sentence)
}

/// Finds words that rulings on a claim found false and that were noted, where `quote` is the whole of them: they may be
/// ruled on where they stand more than once, as no claim is on one of them. Their writers are those of all.
pub fn noted(article: &Article, claim: &Claim, quote: &str, place: Option<Place>) -> Option<Found> {
    let noted = claim.found_false?;
    let ruling = claim.ruling_of(noted.ruling).filter(|ruling| *ruling.sentence == *quote.trim())?;
    whole_at(article, place.unwrap_or(noted.place), &ruling.sentence)
}

/// Where these words stand whole at a place, with the writers of all where they stand there more than once.
fn whole_at(article: &Article, place: Place, words: &str) -> Option<Found> {
    let mut found: Option<BTreeSet<Arc<str>>> = None;
    for text in texts_at(article, place) {
        let plain = text.plain();
        if words.is_empty() || !plain.contains(words) {
            continue;
        }
        for range in wholes(&plain, words, &sentences::bounds(&plain, article.language())) {
            found.get_or_insert_default().extend(text.writers_in(range));
        }
    }
    found.map(|writers| Found { place, sentence: words.to_owned(), writers })
}

/// Finds the sentence that a claim is bound to, where it still stands with the claim's quote in it. Where it is no sentence
/// any more, though its words stand there, as in another language it may not be: the one that its quote stands in.
///
/// # Errors
/// `quote_not_found` where it doesn't.
pub fn find_bound(article: &Article, claim: &Claim) -> Result<Found, Problem> {
    if has(&claim.sentence, &claim.quote, &Edges::default())
        && let Some(found) = bound_sentence(article, claim)
    {
        return Ok(found);
    }
    let stands = |text: &Text| text.plain().contains(claim.sentence.as_str());
    if claim.is_live()
        && bound_sentence(article, claim).is_none()
        && texts_at(article, claim.place).into_iter().any(stands)
        && let Ok(found) = find(article, &claim.quote, Some(claim.place))
    {
        return Ok(found);
    }
    Err(Problem::new(
        Code::QuoteNotFound,
        format!(
            "the quote of {} is no longer in the text: give the words to stand by as a new quote",
            claim.id
        ),
    )
    .at("/data/quote"))
}

/// Where the characters of a text, as readers see them, begin and end: found once, and only once that is asked for. A
/// look at one place alone goes back through every flag before it, and quotes may be sought in many places of many.
#[derive(Default)]
pub(super) struct Edges(OnceCell<Box<[bool]>>);

impl Edges {
    fn are_at(&self, plain: &str, at: usize) -> bool {
        let edges = self.0.get_or_init(|| {
            let mut edges = vec![false; plain.len() + 1];
            for (at, character) in plain.grapheme_indices(true) {
                edges.get_mut(at).into_iter().for_each(|edge| *edge = true);
                edges.get_mut(at + character.len()).into_iter().for_each(|edge| *edge = true);
            }
            edges.into()
        });
        edges.get(at).copied().unwrap_or_default()
    }
}

/// Where `quote` occurs in `plain`, whole characters at both edges: a quote never ends between a letter and its
/// accent. `edges` are the text's.
fn occurrences<'a>(
    plain: &'a str,
    quote: &'a str,
    edges: &'a Edges,
) -> impl Iterator<Item = Range<usize>> + 'a {
    let whole = |at: usize| edges.are_at(plain, at);
    plain
        .match_indices(quote)
        .map(|(at, _)| at..at + quote.len())
        .filter(move |range| !quote.is_empty() && whole(range.start) && whole(range.end))
}

/// Whether `quote` occurs in `plain`, whose edges these are.
pub(super) fn has(plain: &str, quote: &str, edges: &Edges) -> bool {
    occurrences(plain, quote, edges).next().is_some()
}

/// The sentence, or the run of sentences, that a range of a text lies in.
fn sentence_around(plain: &str, range: &Range<usize>, language: &str) -> Range<usize> {
    let mut whole = range.clone();
    for sentence in sentences::bounds(plain, language) {
        if sentence.start < range.end && range.start < sentence.end {
            whole = whole.start.min(sentence.start)..whole.end.max(sentence.end);
        }
    }
    whole
}

/// Where a sentence, or a run of them, stands whole in a text: from the start of a sentence to the end of one.
pub(super) fn whole_sentences(plain: &str, sentence: &str, language: &str) -> Option<Range<usize>> {
    whole_within(plain, sentence, || sentences::bounds(plain, language))
}

/// The same, `bounds` giving where the text's sentences stand, in order. They are only asked for where the words are
/// in the text at all.
pub(super) fn whole_within<B: AsRef<[Range<usize>]>>(
    plain: &str,
    sentence: &str,
    bounds: impl FnOnce() -> B,
) -> Option<Range<usize>> {
    if sentence.is_empty() || !plain.contains(sentence) {
        return None;
    }
    wholes(plain, sentence, bounds().as_ref()).next()
}

/// Every stretch of a text that is these words, from the start of a sentence to the end of one.
fn wholes<'a>(
    plain: &'a str,
    words: &'a str,
    bounds: &'a [Range<usize>],
) -> impl Iterator<Item = Range<usize>> + 'a {
    // By sentences: a run may stand within itself, as "Yes. Yes." does in "Say Yes. Yes. Yes."
    bounds.iter().map(|bound| bound.start..bound.start + words.len()).filter(|range| {
        plain.get(range.clone()) == Some(words) && bounds.binary_search_by_key(&range.end, |b| b.end).is_ok()
    })
}

/// Whether these words stand whole, as a sentence or a run of them, anywhere in the article.
pub fn stands(article: &Article, sentence: &str) -> bool {
    stands_at(article, sentence).is_some()
}

/// The first place where these words stand whole.
fn stands_at(article: &Article, sentence: &str) -> Option<Place> {
    let whole = |text: &&Text| whole_sentences(&text.plain(), sentence, article.language()).is_some();
    places(article).find(|place| texts_at(article, *place).iter().any(whole))
}

/// Words that rulings on a claim found false and that stand somewhere, where the claim isn't on them, once it was ruled
/// on. Those `noted` before still stand, though in another language they may be no sentence; but where what was ruled on
/// now has them in it.
pub fn found_false(article: &Article, ruled: &Claim, noted: Option<FoundFalse>) -> Option<FoundFalse> {
    let stands = ruled.ruling.as_ref().map(|ruling| ruling.version);
    let others = || {
        let others = ruled.adverse().filter(|ruling| Some(ruling.version) != stands);
        others.filter(|ruling| says_something(&ruling.sentence))
    };
    let still = noted.filter(|noted| {
        let within = |words: &str| noted.place == ruled.place && ruled.sentence.contains(words);
        others().any(|ruling| ruling.version == noted.ruling && !within(&ruling.sentence))
    });
    still.or_else(|| {
        others().find_map(|ruling| {
            let place = stands_at(article, &ruling.sentence)?;
            Some(FoundFalse { ruling: ruling.version, place })
        })
    })
}

/// Whether a quote has words that tell its sentence from others: what is left of it where it was erased by law stands
/// wherever anything was, as punctuation does.
pub(super) fn says_something(quote: &str) -> bool {
    quote.chars().any(char::is_alphanumeric)
}

/// Finds a quote as senders write it: its exact words, or those with the marks that reads show taken off; white space
/// at its ends is between sentences and in none. Gives the words that were found.
///
/// # Errors
/// As [`find`].
pub fn find_quoted(
    article: &Article,
    quote: &Words,
    place: Option<Place>,
) -> Result<(Words, Found), Problem> {
    let quote = quote.trim();
    let refused = match find(article, quote, place) {
        Ok(found) => return Ok((quote.into(), found)),
        Err(refused) => refused,
    };
    let unmarked = text::marks::read(quote).map(|(spans, _)| text::spans::plain(&spans)).unwrap_or_default();
    if refused.code == Code::QuoteAmbiguous || unmarked.is_empty() || unmarked == quote {
        return Err(refused);
    }
    find(article, &unmarked, place).map(|found| (unmarked.into(), found))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use unicode_segmentation::GraphemeCursor;

    use super::*;

    proptest! {
        /// Flags, a family, accents, and a conjunct of Devanagari.
        #[test]
        fn edges_found_together_are_those_found_one_by_one(text in "[a\u{301}\u{1f1e6}\u{1f1e7}\u{200d}\u{1f468}\u{1f3fb}\u{915}\u{94d}\u{937}\r\n]{0,16}") {
            let edges = Edges::default();
            for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                let alone = GraphemeCursor::new(at, text.len(), true).is_boundary(&text, 0).unwrap();
                prop_assert_eq!(edges.are_at(&text, at) || text.is_empty(), alone, "at {}", at);
            }
        }
    }

    /// What took minutes: a quote that stands at every place of a text, and nowhere with whole characters.
    #[test]
    fn half_a_flag_is_sought_among_a_text_of_flags_in_no_time() {
        let repeated = |piece: &str| piece.repeat(256 * 1024 / piece.len() / 2 * 2);
        let start = Instant::now();
        for (text, quote) in [
            (repeated("\u{1f1e6}"), "\u{1f1e6}"),
            (format!("a{}", repeated("\u{301}")), "\u{301}"),
            (format!("\u{1f468}{}", repeated("\u{200d}\u{1f468}")), "\u{1f468}"),
            (format!("\u{1f468}{}", repeated("\u{301}\u{200d}")), "\u{200d}"),
            (format!("\u{915}{}", repeated("\u{94d}\u{915}")), "\u{915}"),
        ] {
            assert!(
                text.contains(quote) && !has(&text, quote, &Edges::default()),
                "{}",
                quote.escape_unicode()
            );
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        let shifted = format!("a{}", repeated("\u{1f1e6}\u{1f1e7}"));
        assert!(!has(&shifted, "\u{1f1e7}\u{1f1e6}", &Edges::default()));
        assert!(has(&shifted, "\u{1f1e6}\u{1f1e7}", &Edges::default()));
    }
}
