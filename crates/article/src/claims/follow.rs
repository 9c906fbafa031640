//! Claims follow their sentence.
//!
//! After a change of the text, [`follow`] looks for the words that a claim is bound to. Found whole, wherever they
//! stand now, the verdict stands. Touched, it is stale. Taken out, the claim is gone and holds nothing; put back
//! whole, it is live again with its verdict. What was found is written into the event, so the fold never looks for
//! sentences.
//!
//! What became of a sentence that is no longer there is read off a diff of its block, sentence by sentence: where
//! others stand in its place it was touched, where none do it is gone. A measure of likeness alone was tried on
//! paper first: it calls a wholly reworded falsehood gone, and the gate would open over it. In doubt, stale.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::search::{field_text, occurrences, places, whole_sentences};
use super::{Claim, ClaimField, ClaimMove, ClaimState, Place};
use crate::article::{Article, Block};
use crate::ids::BlockId;
use crate::text::{Text, align, sentences};
use crate::words::Words;

/// The places whose words differ between two states of an article.
fn touched(before: &Article, after: &Article) -> BTreeSet<Place> {
    let fields = [ClaimField::Headline, ClaimField::Standfirst, ClaimField::Caption].into_iter();
    let fields = fields.filter(|field| {
        field_text(before, *field).map(Text::plain) != field_text(after, *field).map(Text::plain)
    });
    // Most blocks are the same ones as before: only the others are looked at.
    let same = |(one, other): &(&Arc<Block>, &Arc<Block>)| Arc::ptr_eq(one, other);
    let (old, new) = (&before.blocks, &after.blocks);
    let head = old.iter().zip(new).take_while(same).count();
    let tail = old.iter().skip(head).rev().zip(new.iter().skip(head).rev()).take_while(same).count();
    let middle = |blocks: &'_ [Arc<Block>]| -> Vec<Arc<Block>> {
        blocks.get(head..blocks.len() - tail).unwrap_or_default().to_vec()
    };
    let (old, new) = (middle(old), middle(new));
    let by_id = |blocks: &[Arc<Block>]| -> HashMap<BlockId, Arc<Block>> {
        blocks.iter().map(|block| (block.id, Arc::clone(block))).collect()
    };
    let (were, are) = (by_id(&old), by_id(&new));
    let gone_or_changed = old.iter().filter(|block| {
        !are.get(&block.id).is_some_and(|now| Arc::ptr_eq(now, block) || now.content == block.content)
    });
    let made = new.iter().filter(|block| !were.contains_key(&block.id));
    fields.map(Place::Field).chain(gone_or_changed.chain(made).map(|block| Place::Block(block.id))).collect()
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

/// The plain texts of an article's places, each made when it is first asked for.
struct Plain<'a> {
    article: &'a Article,
    texts: RefCell<HashMap<Place, Rc<[String]>>>,
}

impl<'a> Plain<'a> {
    fn of(article: &'a Article) -> Self {
        Self { article, texts: RefCell::default() }
    }

    fn at(&self, place: Place) -> Rc<[String]> {
        let made = || match place {
            Place::Field(field) => field_text(self.article, field).map(Text::plain).into_iter().collect(),
            Place::Block(id) => {
                let block = self.article.block(id).into_iter();
                block.flat_map(|block| block.content.texts()).map(Text::plain).collect()
            }
        };
        Rc::clone(self.texts.borrow_mut().entry(place).or_insert_with(made))
    }

    /// In how many texts of a place these words stand whole.
    fn standing(&self, sentence: &str, place: Place) -> usize {
        let whole = |text: &&String| whole_sentences(text, sentence, self.article.language()).is_some();
        self.at(place).iter().filter(whole).count()
    }

    fn sentences(&self, place: Place) -> Vec<String> {
        let in_text = |text: &String| -> Vec<String> {
            let bounds = sentences::bounds(text, self.article.language());
            bounds.into_iter().filter_map(|range| text.get(range).map(str::to_owned)).collect()
        };
        self.at(place).iter().flat_map(in_text).collect()
    }
}

struct Follower<'a> {
    before: &'a Article,
    after: &'a Article,
    old: Plain<'a>,
    new: Plain<'a>,
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
                if let Some(place) = places(self.after).find(|place| self.new.standing(sentence, *place) > 0)
                {
                    return (state, place, sentence.to_string());
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
