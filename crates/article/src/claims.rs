//! Claims follow their sentence.
//!
//! A claim is bound to the words of one sentence (or of several, where its quote runs over them). After a change
//! of the text, [`follow`] looks for those words. Found whole, wherever they stand now, the verdict stands.
//! Touched, it is stale. Taken out, the claim is gone and holds nothing; put back whole, it is live again with
//! its verdict. What was found is written into the event, so the fold never looks for sentences.
//!
//! What became of a sentence that is no longer there is read off a diff of its block, sentence by sentence: where
//! others stand in its place it was touched, where none do it is gone. A measure of likeness alone was tried on
//! paper first: it calls a wholly reworded falsehood gone, and the gate would open over it. In doubt, stale.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use unicode_segmentation::GraphemeCursor;

use crate::article::{Article, Block};
use crate::event::Hash;
use crate::fields::FieldName;
use crate::ids::{BlockId, ClaimId};
use crate::problem::{Code, Problem};
use crate::text::{self, Text, align, sentences};
use crate::words::Words;

/// What sort of statement a claim is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClaimKind {
    /// A statement of fact.
    Fact,
    /// That someone said these words.
    Quotation,
    /// A figure.
    Statistic,
}

/// A checker's ruling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The evidence bears it out.
    Supported,
    /// It is wrong.
    Inaccurate,
    /// It is right to the letter and wrong in effect.
    Misleading,
    /// No evidence bears it out.
    Unsupported,
    /// It can't be checked.
    Unverifiable,
}

impl Verdict {
    /// Whether words so ruled may not go out whatever anyone waives, nor their claim be dropped.
    pub fn is_adverse(self) -> bool {
        matches!(self, Verdict::Inaccurate | Verdict::Misleading)
    }

    /// The verdict in a word.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Supported => "supported",
            Verdict::Inaccurate => "inaccurate",
            Verdict::Misleading => "misleading",
            Verdict::Unsupported => "unsupported",
            Verdict::Unverifiable => "unverifiable",
        }
    }
}

/// Where a claim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClaimState {
    /// No verdict yet.
    Unruled,
    /// The verdict stands on the present words.
    Ruled,
    /// The sentence changed since the verdict.
    Stale,
    /// The sentence is no longer in the text; it holds nothing.
    Gone,
    /// Taken back by a checker.
    Dropped,
}

/// A text that can be claimed: of a block, or of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A block: its words, its items, or a picture's alt and caption.
    Block(BlockId),
    /// A field.
    Field(ClaimField),
}

/// A field that can be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClaimField {
    /// The headline.
    Headline,
    /// The standfirst.
    Standfirst,
    /// The caption of the article's picture.
    Caption,
}

impl ClaimField {
    /// The name as it stands in commands.
    pub fn name(self) -> &'static str {
        match self {
            ClaimField::Headline => "headline",
            ClaimField::Standfirst => "standfirst",
            ClaimField::Caption => "caption",
        }
    }
}

/// A checkable statement in the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Its id.
    pub id: ClaimId,
    /// The exact words claimed.
    pub quote: Words,
    /// Where they stand, or last stood.
    pub place: Place,
    /// The present words of the sentence, or the last ones.
    pub sentence: Words,
    /// What sort of statement.
    pub kind: ClaimKind,
    /// Whom the text attributes it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributed_to: Option<Words>,
    /// Whether the story stands or falls with it.
    pub material: bool,
    /// Where it stands.
    pub state: ClaimState,
    /// Who raised it.
    pub raised_by: Arc<str>,
    /// What was cited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The last ruling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruling: Option<Ruling>,
    /// Why it was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Words>,
}

impl Claim {
    /// Whether it counts as live: neither gone nor dropped.
    pub fn is_live(&self) -> bool {
        !matches!(self.state, ClaimState::Gone | ClaimState::Dropped)
    }
}

/// A checker's ruling on the exact words of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruling {
    /// The verdict.
    pub verdict: Verdict,
    /// The sentence it was given on.
    pub sentence: Words,
    /// Who ruled.
    pub by: Arc<str>,
    /// The article's version with this ruling.
    pub version: u32,
    /// What the checker noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
}

/// What a checker cites for a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Words>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Words>,
    /// SHA-256 of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Hash>,
    /// What the checker noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
    /// Title, URL and note of confidential evidence, sealed; then the three above are absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// Who cited it.
    pub by: Arc<str>,
}

/// A sealed box. No build of this version makes or opens one; its place in the event is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// Which key opens it.
    pub key: String,
    /// The box, in base64.
    pub sealed: String,
}

/// What a change of the text made of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimMove {
    /// The claim.
    pub claim: ClaimId,
    /// Where it stands now.
    pub state: ClaimState,
    /// Where its words stand now, where that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Its sentence now, where that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence: Option<Words>,
}

/// The texts at a place, none where the place is no longer there: a list has one for each item.
fn texts_at(article: &Article, place: Place) -> Vec<&Text> {
    match place {
        Place::Block(id) => {
            article.block(id).map(|block| block.content.texts().collect()).unwrap_or_default()
        }
        Place::Field(field) => field_text(article, field).into_iter().collect(),
    }
}

fn field_text(article: &Article, field: ClaimField) -> Option<&Text> {
    match field {
        ClaimField::Headline => article.fields.text(FieldName::Headline),
        ClaimField::Standfirst => article.fields.text(FieldName::Standfirst),
        ClaimField::Caption => article.fields.image().map(|image| &image.caption),
    }
}

/// Every place of an article that can be claimed.
fn places(article: &Article) -> impl Iterator<Item = Place> {
    [ClaimField::Headline, ClaimField::Standfirst, ClaimField::Caption]
        .into_iter()
        .map(Place::Field)
        .chain(article.blocks.iter().map(|block| Place::Block(block.id)))
}

/// The places whose words differ between two states of an article.
fn touched(before: &Article, after: &Article) -> BTreeSet<Place> {
    let fields = [ClaimField::Headline, ClaimField::Standfirst, ClaimField::Caption].into_iter();
    let fields = fields.filter(|field| {
        field_text(before, *field).map(Text::plain) != field_text(after, *field).map(Text::plain)
    });
    let by_id = |article: &'_ Article| -> HashMap<BlockId, Arc<Block>> {
        article.blocks.iter().map(|block| (block.id, Arc::clone(block))).collect()
    };
    let (were, are) = (by_id(before), by_id(after));
    let gone_or_changed = before.blocks.iter().filter(|block| {
        !are.get(&block.id).is_some_and(|now| Arc::ptr_eq(now, block) || now.content == block.content)
    });
    let made = after.blocks.iter().filter(|block| !were.contains_key(&block.id));
    fields.map(Place::Field).chain(gone_or_changed.chain(made).map(|block| Place::Block(block.id))).collect()
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
            for range in occurrences(&plain, quote) {
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

/// Finds the sentence that a claim is bound to, where it still stands with the claim's quote in it.
///
/// # Errors
/// `quote_not_found` where it doesn't.
pub fn find_bound(article: &Article, claim: &Claim) -> Result<Found, Problem> {
    for text in texts_at(article, claim.place) {
        let plain = text.plain();
        if let Some(range) = whole_sentences(&plain, &claim.sentence, article.language())
            && plain.get(range.clone()).is_some_and(|s| occurrences(s, &claim.quote).next().is_some())
        {
            return Ok(Found {
                place: claim.place,
                sentence: claim.sentence.as_str().to_owned(),
                writers: text.writers_in(range),
            });
        }
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

/// Where `quote` occurs in `plain`, whole characters at both edges: a quote never ends between a letter and its
/// accent.
fn occurrences<'a>(plain: &'a str, quote: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let whole = |at: usize| GraphemeCursor::new(at, plain.len(), true).is_boundary(plain, 0).unwrap_or(true);
    plain
        .match_indices(quote)
        .map(|(at, _)| at..at + quote.len())
        .filter(move |range| !quote.is_empty() && whole(range.start) && whole(range.end))
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
fn whole_sentences(plain: &str, sentence: &str, language: &str) -> Option<Range<usize>> {
    if sentence.is_empty() || !plain.contains(sentence) {
        return None;
    }
    let bounds = sentences::bounds(plain, language);
    plain.match_indices(sentence).map(|(at, _)| at..at + sentence.len()).find(|range| {
        bounds.iter().any(|b| b.start == range.start) && bounds.iter().any(|b| b.end == range.end)
    })
}

/// Whether these words stand whole, as a sentence or a run of them, anywhere in the article.
pub fn stands(article: &Article, sentence: &str) -> bool {
    let whole = |text: &&Text| whole_sentences(&text.plain(), sentence, article.language()).is_some();
    places(article).any(|place| texts_at(article, place).iter().any(whole))
}

/// What a change of the text makes of the claims: only what differs is returned.
pub fn follow(before: &Article, after: &Article) -> Vec<ClaimMove> {
    if before.claims.is_empty() {
        return Vec::new();
    }
    let touched = touched(before, after);
    if touched.is_empty() {
        return Vec::new();
    }
    let claims = before.claims.values().filter(|claim| claim.state != ClaimState::Dropped);
    let settled = |claim: &&Arc<Claim>| {
        matches!(claim.state, ClaimState::Ruled | ClaimState::Unruled) && !touched.contains(&claim.place)
    };
    let claims: Vec<&Arc<Claim>> = claims.filter(|claim| !settled(claim)).collect();
    if claims.is_empty() {
        return Vec::new();
    }
    let follower = Follower {
        before,
        after,
        old: Plain::of(before),
        new: Plain::of(after),
        touched: &touched,
        fresh: OnceCell::new(),
    };
    claims.into_iter().filter_map(|claim| follower.moved(claim)).collect()
}

/// The plain texts of every place of an article, in reading order.
struct Plain {
    language: String,
    order: Vec<Place>,
    texts: HashMap<Place, Vec<String>>,
}

impl Plain {
    fn of(article: &Article) -> Self {
        let order: Vec<Place> = places(article).collect();
        let fields = [ClaimField::Headline, ClaimField::Standfirst, ClaimField::Caption].into_iter();
        let fields =
            fields.map(|field| (Place::Field(field), field_text(article, field).into_iter().collect()));
        let blocks =
            article.blocks.iter().map(|block| (Place::Block(block.id), block.content.texts().collect()));
        let plain =
            |(place, texts): (Place, Vec<&Text>)| (place, texts.iter().map(|text| text.plain()).collect());
        Self {
            language: article.language().to_owned(),
            order,
            texts: fields.chain(blocks).map(plain).collect(),
        }
    }

    fn at(&self, place: Place) -> &[String] {
        self.texts.get(&place).map(Vec::as_slice).unwrap_or_default()
    }

    /// In how many texts of a place these words stand whole.
    fn standing(&self, sentence: &str, place: Place) -> usize {
        let whole = |text: &&String| whole_sentences(text, sentence, &self.language).is_some();
        self.at(place).iter().filter(whole).count()
    }

    fn sentences(&self, place: Place) -> Vec<String> {
        let in_text = |text: &String| -> Vec<String> {
            let bounds = sentences::bounds(text, &self.language);
            bounds.into_iter().filter_map(|range| text.get(range).map(str::to_owned)).collect()
        };
        self.at(place).iter().flat_map(in_text).collect()
    }
}

struct Follower<'a> {
    before: &'a Article,
    after: &'a Article,
    old: Plain,
    new: Plain,
    touched: &'a BTreeSet<Place>,
    /// The sentences of touched places that are new there, found once for all claims.
    fresh: OnceCell<Vec<(Place, String)>>,
}

impl Follower<'_> {
    fn moved(&self, claim: &Claim) -> Option<ClaimMove> {
        let (state, place, sentence) = self.now(claim);
        let moved = ClaimMove {
            claim: claim.id,
            state,
            place: Some(place).filter(|place| *place != claim.place),
            sentence: Some(sentence).filter(|s| *s != *claim.sentence).map(Words::from),
        };
        let same = moved.state == claim.state && moved.place.is_none() && moved.sentence.is_none();
        (!same).then_some(moved)
    }

    /// Where the claim stands in the new text.
    fn now(&self, claim: &Claim) -> (ClaimState, Place, String) {
        let touched = if claim.ruling.is_some() { ClaimState::Stale } else { ClaimState::Unruled };
        if let Some(ruling) = &claim.ruling
            && let Some(place) = self.standing(&ruling.sentence, claim.place)
        {
            return (ClaimState::Ruled, place, ruling.sentence.to_string());
        }
        if let Some(place) = self.standing(&claim.sentence, claim.place) {
            return (touched, place, claim.sentence.to_string());
        }
        let instead = if claim.state == ClaimState::Gone { None } else { self.instead(claim) };
        // The same words may have stood elsewhere all along. They are not what became of the claim's, unless
        // nothing else is, or they were ruled wrong: then the falsehood still stands.
        let ruled_wrong = claim.ruling.as_ref().is_some_and(|ruling| ruling.verdict.is_adverse());
        if instead.is_none() || ruled_wrong {
            let ruled = claim.ruling.as_ref().map(|ruling| (ClaimState::Ruled, &ruling.sentence));
            for (state, sentence) in ruled.into_iter().chain([(touched, &claim.sentence)]) {
                if let Some(place) =
                    self.new.order.iter().find(|place| self.new.standing(sentence, **place) > 0)
                {
                    return (state, *place, sentence.to_string());
                }
            }
        }
        match instead {
            Some((place, sentence)) => (touched, place, sentence),
            None => (ClaimState::Gone, claim.place, claim.sentence.to_string()),
        }
    }

    /// Where these words stand whole: where they stood, or somewhere where they are new.
    fn standing(&self, sentence: &str, place: Place) -> Option<Place> {
        let there = |place: &Place| self.new.standing(sentence, *place);
        let new_there = |at: &&Place| **at != place && there(at) > self.old.standing(sentence, **at);
        if there(&place) > 0 { Some(place) } else { self.touched.iter().find(new_there).copied() }
    }

    /// What became of a sentence that is no longer there: what stands in its place, or the sentence most like it
    /// among those that are new where something changed, for one both moved and touched.
    fn instead(&self, claim: &Claim) -> Option<(Place, String)> {
        const ALIKE: f64 = 0.5;
        let alike = |sentence: &str| align::likeness(&claim.sentence, sentence);
        let mut best: Option<(f64, Place, String)> = None;
        for (place, sentence) in self.in_its_place(claim) {
            let likeness = alike(&sentence);
            if best.as_ref().is_none_or(|(most, ..)| likeness > *most) {
                best = Some((likeness, place, sentence));
            }
        }
        for (place, sentence) in self.fresh() {
            let quoted = occurrences(sentence, &claim.quote).next().is_some();
            let likeness = if quoted { 1.0 } else { alike(sentence) };
            if likeness >= ALIKE && best.as_ref().is_none_or(|(most, ..)| likeness > *most) {
                best = Some((likeness, *place, sentence.clone()));
            }
        }
        best.map(|(_, place, sentence)| (place, sentence))
    }

    /// What stands where the claim's sentence stood, by a diff of its texts sentence by sentence; where its block
    /// went and new ones stand between its neighbours, their sentences.
    fn in_its_place(&self, claim: &Claim) -> Vec<(Place, String)> {
        if let Place::Block(id) = claim.place
            && self.after.block(id).is_none()
        {
            return self.between_its_neighbours(id);
        }
        let (old, new) = (self.old.sentences(claim.place), self.new.sentences(claim.place));
        let within = |s: &String| claim.sentence.contains(s.as_str());
        let mut instead = Vec::new();
        for op in capture_diff_slices(Algorithm::Myers, &old, &new) {
            if let DiffOp::Replace { .. } = op
                && old.get(op.old_range()).is_some_and(|gone| gone.iter().any(within))
            {
                instead.extend_from_slice(new.get(op.new_range()).unwrap_or_default());
            }
        }
        instead.into_iter().map(|sentence| (claim.place, sentence)).collect()
    }

    fn between_its_neighbours(&self, id: BlockId) -> Vec<(Place, String)> {
        let (before, after) = (&self.before.blocks, &self.after.blocks);
        let Some(at) = before.iter().position(|block| block.id == id) else { return Vec::new() };
        let position = |id: BlockId| after.iter().position(|block| block.id == id);
        let start = before.iter().take(at).rev().find_map(|block| position(block.id)).map_or(0, |at| at + 1);
        let end = before.iter().skip(at + 1).find_map(|block| position(block.id)).unwrap_or(after.len());
        let between = after.get(start..end).unwrap_or_default().iter();
        let made = between.filter(|block| self.before.block(block.id).is_none());
        made.flat_map(|block| {
            let place = Place::Block(block.id);
            self.new.sentences(place).into_iter().map(move |sentence| (place, sentence))
        })
        .collect()
    }

    fn fresh(&self) -> &[(Place, String)] {
        self.fresh.get_or_init(|| {
            let fresh = |place: &Place| {
                let (place, old) = (*place, self.old.sentences(*place).into_iter().collect::<BTreeSet<_>>());
                let new = self.new.sentences(place).into_iter();
                new.filter(move |sentence| !old.contains(sentence)).map(move |sentence| (place, sentence))
            };
            self.touched.iter().flat_map(fresh).collect()
        })
    }
}

/// Finds a quote as senders write it: its exact words, or those with the marks that reads show taken off. Gives the
/// words that were found.
///
/// # Errors
/// As [`find`].
pub fn find_quoted(
    article: &Article,
    quote: &Words,
    place: Option<Place>,
) -> Result<(Words, Found), Problem> {
    let refused = match find(article, quote, place) {
        Ok(found) => return Ok((quote.clone(), found)),
        Err(refused) => refused,
    };
    let unmarked = text::marks::read(quote).map(|(spans, _)| text::spans::plain(&spans)).unwrap_or_default();
    if refused.code == Code::QuoteAmbiguous || unmarked.is_empty() || *unmarked == **quote {
        return Err(refused);
    }
    find(article, &unmarked, place).map(|found| (unmarked.into(), found))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ClaimState::{Gone, Ruled, Stale, Unruled};
    use crate::command::testing::{Desk, delete, insert, replace, shift};

    const STORY: &[&str] =
        &["A first word. He won twelve votes. A last word.", "Another paragraph stands here."];

    /// The story, `He won twelve votes.` ruled as supported.
    fn won() -> Desk {
        Desk::ruled(STORY, "He won twelve votes", "supported")
    }

    #[test]
    fn a_verdict_stands_while_its_sentence_does_wherever_it_moves() {
        for ops in [
            json!([replace("b1", "Quite another start. He won twelve votes. And another end.")]),
            json!([replace("b1", "He won twelve votes. A first word. A last word.")]),
            json!([shift("b1", Some("b2"))]),
            json!([replace(
                "b1",
                "A first word. He **won** *twelve* [votes](https://x.test/a). A last word."
            )]),
            json!([replace("b2", "Another text.")]),
        ] {
            let mut desk = won();
            desk.ops("emil", ops.clone());
            assert_eq!(
                desk.claimed("c1"),
                (Ruled, "b1".to_owned(), "He won twelve votes.".to_owned()),
                "{ops}"
            );
        }
        let mut desk = won();
        desk.ops(
            "emil",
            json!([
                replace("b1", "A first word. A last word."),
                replace("b2", "Another paragraph stands here. He won twelve votes."),
            ]),
        );
        assert_eq!(desk.claimed("c1").0, Ruled);
        assert_eq!(desk.claimed("c1").1, "b2");
        desk.ops("emil", json!([delete("b2"), insert(Some("b1"), "He won twelve votes. So it is.")]));
        assert_eq!((desk.claimed("c1").0, desk.claimed("c1").1.as_str()), (Ruled, "b3"));
    }

    #[test]
    fn a_verdict_goes_stale_when_its_sentence_is_touched_split_or_merged() {
        for (text, now) in [
            ("A first word. He won thirteen votes. A last word.", "He won thirteen votes."),
            ("A first word. Nobody knows a thing about it. A last word.", "Nobody knows a thing about it."),
            ("A first word. He won. Twelve votes were his. A last word.", ""),
            ("A first word, and he won twelve votes. A last word.", "A first word, and he won twelve votes."),
            ("A first word. He won twelve votes, a last word.", "He won twelve votes, a last word."),
            ("A first word. He won twelve votes! A last word.", "He won twelve votes!"),
        ] {
            let mut desk = won();
            desk.ops("emil", json!([replace("b1", text)]));
            let (state, place, sentence) = desk.claimed("c1");
            assert_eq!((state, place.as_str()), (Stale, "b1"), "{text}");
            assert!(now.is_empty() || sentence == now, "{sentence}");
            assert!(desk.gate().contains(&"verdict_stale"));
        }
    }

    #[test]
    fn a_sentence_both_moved_and_touched_is_stale_where_it_now_stands() {
        let mut desk = won();
        desk.ops(
            "emil",
            json!([
                replace("b1", "A first word. A last word."),
                replace("b2", "Another paragraph stands here. He won some twelve votes."),
            ]),
        );
        assert_eq!(desk.claimed("c1"), (Stale, "b2".to_owned(), "He won some twelve votes.".to_owned()));
        let mut desk = won();
        desk.ops(
            "emil",
            json!([
                replace("b1", "A first word. Quite another claim. A last word."),
                replace("b2", "Another paragraph stands here. Then he won twelve votes."),
            ]),
        );
        assert_eq!(
            desk.claimed("c1").1,
            "b2",
            "where it is most like itself, not where something replaced it"
        );
    }

    #[test]
    fn a_sentence_taken_out_is_gone_and_comes_back_whole_with_its_verdict() {
        let mut desk = Desk::ruled(STORY, "He won twelve votes", "inaccurate");
        desk.ops("emil", json!([replace("b1", "A first word. A last word.")]));
        assert_eq!(desk.claimed("c1").0, Gone);
        assert!(!desk.gate().contains(&"verdict_adverse"));
        desk.ops("emil", json!([replace("b2", "Another paragraph. He won twelve votes.")]));
        assert_eq!((desk.claimed("c1").0, desk.claimed("c1").1.as_str()), (Ruled, "b2"));
        assert!(desk.gate().contains(&"verdict_adverse"), "the verdict came back with it");
        desk.ops("emil", json!([delete("b2")]));
        assert_eq!(desk.claimed("c1").0, Gone);
        desk.ops("emil", json!([insert(None, "He won twelve votes, nearly.")]));
        assert_eq!(desk.claimed("c1").0, Gone, "not whole, not back");
    }

    #[test]
    fn a_paragraph_replaced_by_another_leaves_its_claims_stale() {
        let mut desk = won();
        desk.ops("emil", json!([delete("b1"), insert(None, "Nobody was ever elected.")]));
        assert_eq!(desk.claimed("c1"), (Stale, "b3".to_owned(), "Nobody was ever elected.".to_owned()));
        let mut desk = won();
        desk.ops("emil", json!([delete("b1"), insert(Some("b2"), "Nobody was ever elected.")]));
        assert_eq!(desk.claimed("c1").0, Gone, "elsewhere it is another statement");
    }

    #[test]
    fn the_same_sentence_elsewhere_is_not_what_became_of_this_one() {
        let twice = &["He won twelve votes.", "He won twelve votes. So they say."];
        let ruled = |verdict: &str| {
            let mut desk = Desk::drafted(twice);
            let data = json!({"quote": "He won", "block": "b1", "kind": "fact"});
            desk.given("chen", json!({"type": "claim", "data": data}));
            desk.rule("c1", verdict);
            desk
        };
        let mut desk = ruled("supported");
        desk.ops("emil", json!([replace("b1", "He won thirteen votes.")]));
        assert_eq!((desk.claimed("c1").0, desk.claimed("c1").1.as_str()), (Stale, "b1"));
        let mut desk = ruled("inaccurate");
        desk.ops("emil", json!([replace("b1", "He won thirteen votes.")]));
        assert_eq!(desk.claimed("c1").1, "b2", "a falsehood that still stands holds the gate");
        assert!(desk.gate().contains(&"verdict_adverse"));
        let mut desk = ruled("inaccurate");
        desk.ops("emil", json!([delete("b1")]));
        assert_eq!((desk.claimed("c1").0, desk.claimed("c1").1.as_str()), (Ruled, "b2"));
    }

    #[test]
    fn a_stale_verdict_stands_again_when_the_old_words_do() {
        let mut desk = won();
        desk.ops("emil", json!([replace("b1", "A first word. He won thirteen votes. A last word.")]));
        desk.ops("emil", json!([replace("b1", STORY[0])]));
        assert_eq!(desk.claimed("c1").0, Ruled);
        assert!(!desk.gate().contains(&"verdict_stale"));
    }

    #[test]
    fn an_unruled_claim_follows_without_a_verdict() {
        let mut desk = Desk::drafted(STORY);
        desk.claim("He won twelve votes");
        desk.ops("emil", json!([replace("b1", "A first word. He won thirteen votes. A last word.")]));
        assert_eq!(desk.claimed("c1"), (Unruled, "b1".to_owned(), "He won thirteen votes.".to_owned()));
        desk.ops("emil", json!([delete("b1")]));
        assert_eq!(desk.claimed("c1").0, Gone);
        assert!(!desk.gate().contains(&"claim_unruled"));
        desk.ops("emil", json!([insert(None, "He won thirteen votes.")]));
        assert_eq!(desk.claimed("c1").0, Unruled);
    }

    #[test]
    fn two_claims_on_sentences_that_merge_both_go_stale() {
        let mut desk = Desk::drafted(&["Ann won one vote. Bob won two votes."]);
        desk.claim("Ann won one vote");
        desk.claim("Bob won two votes");
        desk.rule("c1", "supported");
        desk.rule("c2", "supported");
        desk.ops("emil", json!([replace("b1", "Ann won one vote and Bob won two votes.")]));
        assert_eq!((desk.claimed("c1").0, desk.claimed("c2").0), (Stale, Stale));
    }

    #[test]
    fn a_quote_over_two_sentences_is_bound_to_both() {
        let mut desk = Desk::ruled(
            &["Start here. He came home. She went away. End here."],
            "home. She went",
            "supported",
        );
        assert_eq!(desk.claimed("c1").2, "He came home. She went away.");
        desk.ops("emil", json!([replace("b1", "Begin here. He came home. She went away. End here.")]));
        assert_eq!(desk.claimed("c1").0, Ruled);
        desk.ops("emil", json!([replace("b1", "Begin here. He came home. She ran away. End here.")]));
        assert_eq!(desk.claimed("c1").0, Stale);
    }

    fn list_and_pictures() -> Desk {
        let mut desk = Desk::new();
        let blocks = json!([
            {"kind": "list", "items": ["First item holds.", "Second item holds.", "Third item holds."]},
            {"kind": "image", "uri": "https://x.test/a.jpg", "alt": "A man.", "caption": "The man in May."},
        ]);
        let image = json!({"uri": "https://x.test/b.jpg", "alt": "B", "caption": "The king in June."});
        let data = json!({"slug": "s", "language": "en", "headline": "The headline says so",
            "standfirst": "The standfirst says more.", "blocks": blocks, "image": image});
        desk.given("ana", json!({"type": "draft", "data": data}));
        desk
    }

    #[test]
    fn claims_follow_list_items() {
        let mut desk = list_and_pictures();
        desk.claim("Second item");
        desk.rule("c1", "supported");
        let items = |items: &[&str]| json!([{"op": "replace", "block": "b1", "items": items}]);
        desk.ops("emil", items(&["Second item holds.", "First item holds."]));
        assert_eq!(desk.claimed("c1").0, Ruled);
        desk.ops("emil", items(&["Second item breaks.", "First item holds."]));
        assert_eq!(desk.claimed("c1").0, Stale);
        desk.rule_again("c1", "Second item breaks");
        desk.ops("emil", items(&["First item holds."]));
        assert_eq!(desk.claimed("c1").0, Gone);
    }

    #[test]
    fn captions_and_fields_can_be_claimed_and_followed() {
        let mut desk = list_and_pictures();
        for (quote, place) in [
            ("The man in May", "b2"),
            ("A man", "b2"),
            ("The king in June", "caption"),
            ("headline says", "headline"),
            ("says more", "standfirst"),
        ] {
            let id = desk.claim(quote);
            assert_eq!(desk.claimed(&id).1, place, "{quote}");
            desk.rule(&id, "supported");
        }
        let image = json!({"uri": "https://x.test/c.jpg", "caption": "The king in June."});
        desk.given("emil", json!({"type": "edit", "data": {"set": {"image": image}}}));
        assert_eq!(desk.claimed("c3").0, Ruled);
        let image = json!({"uri": "https://x.test/c.jpg", "caption": "The king in July."});
        let set = json!({"image": image, "headline": "The headline tells of others", "standfirst": null});
        desk.given(
            "emil",
            json!({"type": "edit", "data": {"set": set,
            "ops": [{"op": "replace", "block": "b2", "alt": null, "caption": "The man in March."}]}}),
        );
        let states: Vec<_> = ["c1", "c2", "c3", "c4", "c5"].iter().map(|id| desk.claimed(id).0).collect();
        assert_eq!(states[2..], [Stale, Stale, Gone]);
        assert_eq!(states[0], Stale);
        assert_ne!(states[1], Ruled);
    }

    #[test]
    fn three_hundred_claims_over_five_hundred_blocks_follow_a_word_quickly() {
        let texts: Vec<String> =
            (0..500).map(|at| format!("Paragraph {at} says one thing. It also says {at} others.")).collect();
        let mut desk = Desk::drafted(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        for at in 0..300 {
            desk.claim(&format!("It also says {at} others"));
        }
        let start = std::time::Instant::now();
        desk.ops("emil", json!([replace("b8", "Paragraph 7 says one thing. It also says 8 others.")]));
        assert!(start.elapsed().as_millis() < 2_000, "unoptimised: {:?}", start.elapsed());
        assert_eq!(desk.claimed("c8").2, "It also says 8 others.");
    }
}
