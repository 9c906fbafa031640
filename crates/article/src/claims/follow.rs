//! Claims follow their sentence.
//!
//! After a change of the text, [`follow`] looks for the words that a claim is bound to. Found whole, wherever they
//! stand now, the verdict stands. Touched, it is stale. Taken out, the claim is gone and holds nothing; put back
//! whole, it is live again with its verdict. So it is with words that were ruled on before others were in their place: what
//! was last ruled on exactly these words stands again, so that what was found false isn't stale but false. A stale claim stays
//! with what became of its sentence while that stands, wherever else the sentence is seen again; where all words are the last
//! edition's again, nothing is stale. What was found is written into the event, so the fold never looks for sentences.
//!
//! What became of a sentence that is no longer there is read off a diff of its block, sentence by sentence: where
//! others stand in its place it was touched, where none do it is gone. A measure of likeness alone was tried on
//! paper first: it calls a wholly reworded falsehood gone, and the gate would open over it. In doubt, stale.
//!
//! What is looked through for all claims together has a ceiling, by size, so that every instance finds the same: past
//! it, what stands in a claim's place is taken as it comes, and no claim is gone. What they are bound to anew has one
//! too, so that no claim makes an edit too large for its event: past it, a claim keeps the words that it had. A claim
//! whose words don't stand in its place has no verdict that stands, and isn't gone as long as the place is there: until
//! its words come back, a sentence with its quote comes, or someone gives it others.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::plain::{Placed, Plain, Sentence, json_bytes};
use super::search::{field_text, has, places, says_something};
use super::{Claim, ClaimField, ClaimMove, ClaimState, FoundFalse, Place, Ruling};
use crate::article::{Article, Block};
use crate::edition::words_digest;
use crate::ids::BlockId;
use crate::limits;
use crate::text::align::Counted;
use crate::text::{EXACT_LEN, Text};
use crate::words::Words;

/// How many bytes of sentences may be looked through for what became of claims, all claims of an article together: a
/// hundred claims on a text of the greatest size rewritten whole, or two thousand on one of thirty kilobytes.
const LOOKED_THROUGH_MAX: usize = 64 * 1024 * 1024;

/// How many bytes of an event new words and what claims are bound to by them may take together. The rest is for what
/// else an event has: who wrote the words, and what the answer said.
const SAID_MAX: usize = limits::EVENT_BYTES - 112 * 1024;
/// What a moved claim takes of an event beside its sentence, in bytes.
const MOVE_BYTES: usize = 100;
/// The same of words that were found false.
const FOUND_FALSE_BYTES: usize = 64;

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
    follow_within(LOOKED_THROUGH_MAX, before, after)
}

/// The same with another ceiling, in bytes.
pub(super) fn follow_within(most: usize, before: &Article, after: &Article) -> Vec<ClaimMove> {
    if before.claims.is_empty() {
        return Vec::new();
    }
    let touched = touched(before, after);
    let other_language = before.language() != after.language();
    let is_settled = |claim: &Claim| match claim.state {
        ClaimState::Ruled | ClaimState::Unruled => !touched.contains(&claim.place),
        ClaimState::Stale => touched.is_empty(),
        ClaimState::Gone => touched.is_empty() && !other_language,
        ClaimState::Dropped => true,
    };
    let may_be_false = |claim: &Claim| {
        claim.state != ClaimState::Dropped
            && (other_language || !touched.is_empty())
            && (claim.found_false.is_some() || claim.adverse().next().is_some())
    };
    let claims = before.claims.values().map(|claim| (claim, is_settled(claim)));
    let claims: Vec<_> = claims.filter(|(claim, settled)| !settled || may_be_false(claim)).collect();
    if claims.is_empty() {
        return Vec::new();
    }
    let new = Plain::of(after);
    let new_words: usize = touched.iter().map(|place| new.json_bytes(*place)).sum();
    let follower = Follower {
        before,
        after,
        old: Plain::of(before),
        new,
        touched: &touched,
        other_language,
        beginnings: OnceCell::new(),
        all_beginnings: OnceCell::new(),
        left: Cell::new(most),
        room: Cell::new(SAID_MAX.saturating_sub(new_words)),
        fresh: OnceCell::new(),
        replaced: RefCell::default(),
        stood: OnceCell::new(),
        stands: OnceCell::new(),
        is_edition: OnceCell::new(),
    };
    claims.into_iter().filter_map(|(claim, settled)| follower.moved(claim, settled)).collect()
}

/// A stretch of a place's old sentences, and the stretch of new ones that stands in its place.
type Replaced = (Range<usize>, Range<usize>);

struct Follower<'a> {
    before: &'a Article,
    after: &'a Article,
    old: Plain<'a>,
    new: Plain<'a>,
    touched: &'a BTreeSet<Place>,
    /// Whether sentences may end elsewhere now where nothing was touched.
    other_language: bool,
    /// The sentences of touched places, in the order of their words, without those that begin with another of them.
    beginnings: OnceCell<Vec<Rc<Sentence>>>,
    /// The same of all places.
    all_beginnings: OnceCell<Vec<Rc<Sentence>>>,
    /// How many bytes may still be looked through.
    left: Cell<usize>,
    /// How many bytes the event still has room for.
    room: Cell<usize>,
    /// The sentences of touched places that are new there, found once for all claims, and their bytes.
    fresh: OnceCell<(Vec<Placed>, usize)>,
    /// What was replaced in each place.
    replaced: RefCell<HashMap<Place, Rc<[Replaced]>>>,
    /// Where each block stood, and where each stands.
    stood: OnceCell<HashMap<BlockId, usize>>,
    stands: OnceCell<HashMap<BlockId, usize>>,
    /// Whether the words are those of the last edition again.
    is_edition: OnceCell<bool>,
}

impl Follower<'_> {
    fn moved(&self, claim: &Claim, is_settled: bool) -> Option<ClaimMove> {
        let now = if is_settled { Now::same(claim) } else { self.now(claim) };
        let back = (now.state == ClaimState::Stale).then(|| self.as_it_went_out(claim)).flatten();
        let now = back.unwrap_or(now);
        let Now { mut state, place, sentence, mut ruling } = now;
        let mut sentence = Some(sentence).filter(|sentence| *sentence != *claim.sentence);
        if sentence.take_if(|sentence| !self.has_room_for(json_bytes(sentence))).is_some() {
            (state, ruling) = (state_of_touched(claim), None);
        }
        let stands =
            (state == ClaimState::Ruled).then(|| ruling.or(claim.ruling.as_ref().map(|last| last.version)));
        let moved = ClaimMove {
            claim: claim.id,
            state,
            place: Some(place).filter(|place| *place != claim.place),
            sentence: sentence.map(Words::from),
            ruling,
            found_false: self.found_false(claim, stands.flatten()),
        };
        let same = moved.state == claim.state
            && moved.place.is_none()
            && moved.sentence.is_none()
            && moved.ruling.is_none()
            && moved.found_false == claim.found_false;
        if same {
            return None;
        }
        let bytes = MOVE_BYTES + moved.found_false.map_or(0, |_| FOUND_FALSE_BYTES);
        self.room.set(self.room.get().saturating_sub(bytes));
        Some(moved)
    }

    /// Words that were found false and stand where the claim isn't on them: the ruling of another version `stands`. They
    /// came to stand in a touched place, or where sentences end elsewhere now, or stood elsewhere when the claim's were
    /// touched; of several only one was noted.
    fn found_false(&self, claim: &Claim, stands: Option<u32>) -> Option<FoundFalse> {
        let rulings = || {
            let others = claim.adverse().filter(|ruling| Some(ruling.version) != stands);
            others.filter(|ruling| says_something(&ruling.sentence))
        };
        let at = |ruling: &Ruling, place: Place| {
            let there = self.new.standing(&ruling.sentence, place) > 0;
            there.then_some(FoundFalse { ruling: ruling.version, place })
        };
        let noted = claim.found_false;
        let is_noted = |ruling: &&Ruling| noted.is_some_and(|noted| noted.ruling == ruling.version);
        // Where nothing was touched it stands as it did, though it may be no sentence in another language.
        let stays = |noted: &FoundFalse| !self.touched.contains(&noted.place);
        let still = noted.and_then(|noted| {
            let ruling = rulings().find(is_noted)?;
            Some(noted).filter(stays).or_else(|| at(ruling, noted.place))
        });
        let anywhere = |ruling: &Ruling| {
            let may = self.may_stand_anywhere(&ruling.sentence);
            may.then(|| places(self.after).find_map(|place| at(ruling, place))).flatten()
        };
        let touched = |ruling: &Ruling| {
            let may = self.may_stand_where_touched(&ruling.sentence);
            may.then(|| self.touched.iter().find_map(|place| at(ruling, *place))).flatten()
        };
        let stood = claim.ruling.as_ref().filter(|_| claim.state == ClaimState::Ruled);
        let left = stood.is_some_and(|ruling| Some(ruling.version) != stands);
        still.or_else(|| match noted.is_some() || self.other_language || left {
            true => rulings().find_map(anywhere),
            false => rulings().find_map(touched),
        })
    }

    /// Whether the event has room for so many bytes more; they are taken then.
    fn has_room_for(&self, bytes: usize) -> bool {
        let left = self.room.get().checked_sub(bytes);
        left.inspect(|left| self.room.set(*left)).is_some()
    }

    /// Where the claim stands in the new text.
    fn now(&self, claim: &Claim) -> Now {
        let touched = |place, sentence| Now { state: state_of_touched(claim), place, sentence, ruling: None };
        // As these words stand, so does what was ruled on them.
        let as_before = |place| match claim.ruling_on(&claim.sentence) {
            Some(ruling) if says_something(&claim.sentence) => Now::ruled(claim, place, ruling),
            _ => touched(place, claim.sentence.to_string()),
        };
        if let Some(place) = self.watched(claim) {
            return touched(place, claim.sentence.to_string());
        }
        if let Some(ruling) = &claim.ruling
            && let Some(place) = self.standing(&ruling.sentence, claim.place)
        {
            return Now::ruled(claim, place, ruling);
        }
        if let Some(place) = self.standing(&claim.sentence, claim.place) {
            return as_before(place);
        }
        if let Some((place, ruling)) = self.back(claim) {
            return Now::ruled(claim, place, ruling);
        }
        let instead = match claim.state {
            ClaimState::Gone => None,
            // Stale: what became of it stands where nothing happened.
            _ if !self.touched.contains(&claim.place) => self.in_doubt(claim).or_else(|| self.instead(claim)),
            _ => self.instead(claim).or_else(|| self.in_doubt(claim)),
        };
        // The same words may have stood elsewhere all along. They are not what became of the claim's, unless
        // nothing else is. When a claim went, its words stood nowhere: those that came since are in a touched place, where
        // they were looked for.
        let went_before = claim.state == ClaimState::Gone && !self.other_language;
        if !went_before && instead.is_none() {
            let there =
                |sentence: &str| places(self.after).find(|place| self.new.standing(sentence, *place) > 0);
            if let Some(ruling) = &claim.ruling
                && let Some(place) = there(&ruling.sentence)
            {
                return Now::ruled(claim, place, ruling);
            }
            if let Some(place) = there(&claim.sentence) {
                return as_before(place);
            }
        }
        match instead {
            Some((place, sentence)) => match self.whole_of(claim, place, &sentence) {
                Some(ruling) => Now::ruled(claim, place, ruling),
                None => touched(place, sentence),
            },
            None => {
                let (state, sentence) = (ClaimState::Gone, claim.sentence.to_string());
                Now { state, place: claim.place, sentence, ruling: None }
            }
        }
    }

    /// Where the words that a stale claim is on stand, unless those ruled on are back in their place: what became of a
    /// sentence is watched though the sentence comes to stand beside it, or anywhere else.
    fn watched(&self, claim: &Claim) -> Option<Place> {
        let ruling = claim.ruling.as_ref().filter(|ruling| ruling.sentence != claim.sentence)?;
        let place =
            self.standing(&claim.sentence, claim.place).filter(|_| claim.state == ClaimState::Stale)?;
        let back = |(at, sentence): &Placed| {
            ruling.sentence.contains(&sentence.text) && self.new.standing(&ruling.sentence, *at) > 0
        };
        (!self.in_its_place(claim).iter().any(back)).then_some(place)
    }

    /// What was ruled on words of the last edition, where all words are as they went out: they leave nothing stale.
    fn as_it_went_out(&self, claim: &Claim) -> Option<Now> {
        let is_edition = || {
            let last = self.after.last_words_out();
            last.is_some_and(|edition| edition.words == words_digest(self.after))
        };
        if !*self.is_edition.get_or_init(is_edition) {
            return None;
        }
        let (last, earlier) = (claim.ruling.iter(), claim.earlier());
        let others = earlier.filter(|ruling| !claim.is_superseded(ruling));
        last.chain(others).filter(|ruling| says_something(&ruling.sentence)).find_map(|ruling| {
            let stands = |place: &Place| self.new.standing(&ruling.sentence, *place) > 0;
            let place = Some(claim.place).filter(stands).or_else(|| places(self.after).find(stands))?;
            Some(Now::ruled(claim, place, ruling))
        })
    }

    /// An earlier ruling on a claim that is gone whose words came back, and where: what was found false first.
    fn back<'b>(&self, claim: &'b Claim) -> Option<(Place, &'b Ruling)> {
        if claim.state != ClaimState::Gone {
            return None;
        }
        let is_false = |ruling: &&Ruling| ruling.verdict.is_adverse();
        let (first, then) = (claim.earlier().filter(is_false), claim.earlier().filter(|one| !is_false(one)));
        first.chain(then).filter(|ruling| !claim.is_superseded(ruling)).find_map(|ruling| {
            let came = |place: &&Place| self.came(&ruling.sentence, **place);
            let may = says_something(&ruling.sentence) && self.may_stand_where_touched(&ruling.sentence);
            may.then(|| self.touched.iter().find(came)).flatten().map(|place| (*place, ruling))
        })
    }

    /// An earlier ruling on what the claim's words became, or on words that have it in them and stand there. Unless they
    /// were found false, only where one sentence came for one: another beside it may be what became of the claim's.
    fn whole_of<'b>(&self, claim: &'b Claim, place: Place, sentence: &str) -> Option<&'b Ruling> {
        let whole = |ruling: &&Ruling| {
            says_something(&ruling.sentence)
                && !claim.is_superseded(ruling)
                && ruling.sentence.contains(sentence)
                && self.new.standing(&ruling.sentence, place) > 0
                && (ruling.verdict.is_adverse() || self.is_one_for_one(claim, place))
        };
        claim.earlier().find(whole)
    }

    /// Whether as many sentences came in the claim's place as stood there.
    fn is_one_for_one(&self, claim: &Claim, place: Place) -> bool {
        let old = self.old.sentences(claim.place);
        let within = |sentence: &Rc<Sentence>| claim.sentence.contains(sentence.text.as_str());
        let had_it = |gone: &Range<usize>| old.get(gone.clone()).is_some_and(|gone| gone.iter().any(within));
        place == claim.place
            && self.replaced(place).iter().all(|(gone, made)| !had_it(gone) || gone.len() == made.len())
    }

    /// Whether these words stand at a place, and didn't before, or not as often.
    fn came(&self, sentence: &str, place: Place) -> bool {
        self.new.standing(sentence, place) > self.old.standing(sentence, place)
    }

    /// What a claim whose words didn't stand in its place stays with as long as the place is there: whatever stands
    /// there may be what became of them.
    fn in_doubt(&self, claim: &Claim) -> Option<(Place, String)> {
        let lost = self.new.is_there(claim.place) && self.old.standing(&claim.sentence, claim.place) == 0;
        lost.then(|| (claim.place, claim.sentence.to_string()))
    }

    /// Where these words stand whole: where they stood, or somewhere where they are new.
    fn standing(&self, sentence: &str, place: Place) -> Option<Place> {
        let there = |place: &Place| self.new.standing(sentence, *place);
        let new_there = |at: &&Place| **at != place && there(at) > self.old.standing(sentence, **at);
        match there(&place) {
            0 if self.may_stand_where_touched(sentence) => self.touched.iter().find(new_there).copied(),
            0 => None,
            _ => Some(place),
        }
    }

    /// Whether these words may stand whole in a touched place: they begin with a sentence of one then. An article may
    /// have thousands of claims that are gone, and a change thousands of places to look for each in.
    fn may_stand_where_touched(&self, words: &str) -> bool {
        let beginnings = || self.beginnings_of(&mut self.touched.iter().copied());
        may_begin_with(self.beginnings.get_or_init(beginnings), words)
    }

    /// The same of any place.
    fn may_stand_anywhere(&self, words: &str) -> bool {
        let beginnings = || self.beginnings_of(&mut places(self.after));
        may_begin_with(self.all_beginnings.get_or_init(beginnings), words)
    }

    fn beginnings_of(&self, places: &mut dyn Iterator<Item = Place>) -> Vec<Rc<Sentence>> {
        let mut there: Vec<Rc<Sentence>> =
            places.flat_map(|place| self.new.sentences(place).to_vec()).collect();
        there.sort_unstable_by(|one, other| one.text.cmp(&other.text));
        there.dedup_by(|next, kept| next.text.starts_with(&kept.text));
        there
    }

    /// Whether so many bytes may still be looked through; they are counted then.
    fn may_look_through(&self, bytes: usize) -> bool {
        let left = self.left.get().checked_sub(bytes);
        left.inspect(|left| self.left.set(*left)).is_some()
    }

    /// What became of a sentence that is no longer there: what stands in its place, or the sentence most like it
    /// among those that are new where something changed, for one both moved and touched. Past the ceiling the first
    /// of these is taken unread, nearest first.
    fn instead(&self, claim: &Claim) -> Option<(Place, String)> {
        const ALIKE: f64 = 0.5;
        let in_its_place = self.in_its_place(claim);
        let (fresh, fresh_bytes) = self.fresh();
        let bytes = claim.sentence.len() + bytes_of(&in_its_place) + fresh_bytes;
        if !self.may_look_through(bytes) {
            let near = fresh.iter().find(|(place, _)| *place == claim.place);
            let taken = in_its_place.first().or(near).or(fresh.first());
            return taken.map(|(place, sentence)| (*place, sentence.text.clone()));
        }
        let words = Counted::of(&claim.sentence);
        let mut best: Option<(f64, &Placed)> = None;
        let says = says_something(&claim.quote);
        let likeness = |sentence: &Sentence| {
            // A search reads the words that it looks for, however short the text.
            let quoted = says
                && claim.quote.len() <= sentence.text.len()
                && has(&sentence.text, &claim.quote, &sentence.edges);
            if quoted { 1.0 } else { words.likeness(sentence.counted()) }
        };
        // Of others that are as like, what stands in its place is what became of it.
        for placed in &in_its_place {
            let likeness = likeness(&placed.1);
            if best.is_none_or(|(most, _)| likeness > most) {
                best = Some((likeness, placed));
            }
        }
        for placed in fresh {
            let likeness = likeness(&placed.1);
            if likeness >= ALIKE && best.is_none_or(|(most, _)| likeness > most) {
                best = Some((likeness, placed));
            }
        }
        best.map(|(_, (place, sentence))| (*place, sentence.text.clone()))
    }

    /// What stands where the claim's sentence stood, by a diff of its texts sentence by sentence; where its block
    /// went and new ones stand between its neighbours, their sentences.
    fn in_its_place(&self, claim: &Claim) -> Vec<Placed> {
        if let Place::Block(id) = claim.place
            && self.after.block(id).is_none()
        {
            return self.between_its_neighbours(id);
        }
        let (old, new) = (self.old.sentences(claim.place), self.new.sentences(claim.place));
        let within = |sentence: &Rc<Sentence>| claim.sentence.contains(sentence.text.as_str());
        let mut instead = Vec::new();
        for (gone, made) in self.replaced(claim.place).iter() {
            // Past the ceiling whatever was replaced may be what the claim stood in.
            let was_there = !self.may_look_through(gone.len().saturating_mul(claim.sentence.len()))
                || old.get(gone.clone()).is_some_and(|gone| gone.iter().any(within));
            if was_there {
                let made = new.get(made.clone()).unwrap_or_default();
                instead.extend(made.iter().map(|sentence| (claim.place, Rc::clone(sentence))));
            }
        }
        instead
    }

    fn replaced(&self, place: Place) -> Rc<[Replaced]> {
        let made = || {
            let (old, new) = (self.old.sentences(place), self.new.sentences(place));
            let old: Vec<&str> = old.iter().map(|sentence| sentence.text.as_str()).collect();
            let new: Vec<&str> = new.iter().map(|sentence| sentence.text.as_str()).collect();
            replaced(&old, &new).into()
        };
        Rc::clone(self.replaced.borrow_mut().entry(place).or_insert_with(made))
    }

    fn between_its_neighbours(&self, id: BlockId) -> Vec<Placed> {
        let (before, after) = (&self.before.blocks, &self.after.blocks);
        let stood = self.stood.get_or_init(|| positions(before));
        let stands = self.stands.get_or_init(|| positions(after));
        let Some(at) = stood.get(&id).copied() else { return Vec::new() };
        let position = |block: &Arc<Block>| stands.get(&block.id).copied();
        let start = before.iter().take(at).rev().find_map(position).map_or(0, |at| at + 1);
        let end = before.iter().skip(at + 1).find_map(position).unwrap_or(after.len());
        let between = after.get(start..end).unwrap_or_default().iter();
        let made = between.filter(|block| !stood.contains_key(&block.id));
        let mut instead = Vec::new();
        for block in made {
            let place = Place::Block(block.id);
            instead.extend(self.new.sentences(place).iter().map(|sentence| (place, Rc::clone(sentence))));
        }
        instead
    }

    fn fresh(&self) -> (&[Placed], usize) {
        let (fresh, bytes) = self.fresh.get_or_init(|| {
            let mut fresh = Vec::new();
            for place in self.touched {
                let old = self.old.sentences(*place);
                let old: HashSet<&str> = old.iter().map(|sentence| sentence.text.as_str()).collect();
                let new = self.new.sentences(*place);
                let new = new.iter().filter(|sentence| !old.contains(sentence.text.as_str()));
                fresh.extend(new.map(|sentence| (*place, Rc::clone(sentence))));
            }
            let bytes = bytes_of(&fresh);
            (fresh, bytes)
        });
        (fresh, *bytes)
    }
}

/// Whether words begin with one of these, none of which begins with another: only the last one up to them may be it.
fn may_begin_with(beginnings: &[Rc<Sentence>], words: &str) -> bool {
    let after = beginnings.partition_point(|sentence| *sentence.text <= *words);
    let last = after.checked_sub(1).and_then(|last| beginnings.get(last));
    last.is_some_and(|sentence| words.starts_with(&sentence.text))
}

/// Where a claim stands now.
struct Now {
    state: ClaimState,
    place: Place,
    sentence: String,
    /// The earlier ruling that stands again, by its version.
    ruling: Option<u32>,
}

impl Now {
    fn same(claim: &Claim) -> Self {
        Self { state: claim.state, place: claim.place, sentence: claim.sentence.to_string(), ruling: None }
    }

    fn ruled(claim: &Claim, place: Place, ruling: &Ruling) -> Self {
        let is_last = claim.ruling.as_ref().is_some_and(|last| last.version == ruling.version);
        let (sentence, again) = (ruling.sentence.to_string(), (!is_last).then_some(ruling.version));
        Self { state: ClaimState::Ruled, place, sentence, ruling: again }
    }
}

/// The state of a claim whose words changed.
fn state_of_touched(claim: &Claim) -> ClaimState {
    if claim.ruling.is_some() { ClaimState::Stale } else { ClaimState::Unruled }
}

fn bytes_of(sentences: &[Placed]) -> usize {
    sentences.iter().map(|(_, sentence)| sentence.text.len()).sum()
}

fn positions(blocks: &[Arc<Block>]) -> HashMap<BlockId, usize> {
    blocks.iter().enumerate().map(|(at, block)| (block.id, at)).collect()
}

/// The stretches in whose place others stand. Of more sentences than can be diffed exactly, all from the first that
/// differs to the last are one stretch: in doubt, touched.
fn replaced(old: &[&str], new: &[&str]) -> Vec<Replaced> {
    if old.len() + new.len() <= EXACT_LEN {
        return replaced_exactly(old, new);
    }
    let head = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let old = old.get(..old.len() - tail).unwrap_or_default();
    let new = new.get(..new.len() - tail).unwrap_or_default();
    let stretches = if old.len() + new.len() <= EXACT_LEN {
        replaced_exactly(old, new)
    } else {
        vec![(0..old.len(), 0..new.len())]
    };
    let placed = |range: Range<usize>| range.start + head..range.end + head;
    stretches.into_iter().map(|(old, new)| (placed(old), placed(new))).collect()
}

fn replaced_exactly(old: &[&str], new: &[&str]) -> Vec<Replaced> {
    let ops = capture_diff_slices(Algorithm::Myers, old, new).into_iter();
    let replaced = ops.filter(|op| matches!(op, DiffOp::Replace { .. }));
    replaced.map(|op| (op.old_range(), op.new_range())).collect()
}
