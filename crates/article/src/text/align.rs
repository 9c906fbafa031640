//! Which block of a new body continues which of the old.
//!
//! A sender who sends a whole body gives no ids, and a block that lost its id would lose its
//! claims' place, its writers and what Markdown can't say. So blocks are matched: those that are
//! the same in the order they stand, then the same ones that moved, then those with the same words
//! but other marks or another kind, then changed ones by likeness, the best first. Between blocks
//! that are matched already, one that stands in the same gap is preferred.
//!
//! A word diff of every old with every new block was tried on paper: four million diffs for the
//! 2,000 blocks an article may have. Counting shared words by an index from word to blocks gives
//! the same order of likeness for a few million additions.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;

use unicode_segmentation::UnicodeSegmentation;

use super::block::{Content, Kind};
use super::diff;
use super::run::Text;
use super::spans::{Spans, plain};

/// How alike a changed block must be to continue an old one.
const LIKENESS_MIN: f64 = 0.4;
/// What standing in the same gap between matched blocks adds to a likeness that is enough.
const SAME_GAP: f64 = 0.2;
/// How many old blocks are looked at for one new block, the likest first.
const CANDIDATES_MAX: usize = 32;
/// How many additions counting shared words may take; past it, words that stand in more than
/// [`RARE_BLOCKS`] old blocks aren't counted, and what is left is matched by its place.
const COUNTING_MAX: usize = 20_000_000;
/// See [`COUNTING_MAX`].
const RARE_BLOCKS: usize = 32;

/// For each new block the index of the old block it continues, or `None` if it is new. No old
/// block is continued twice.
pub fn blocks(old: &[&Content<Text>], new: &[Content<Spans>]) -> Vec<Option<usize>> {
    let old: Vec<Content<Spans>> =
        old.iter().map(|block| (*block).clone().map(|text| text.spans())).collect();
    let mut matched = Matched { old: vec![false; old.len()], new: vec![None; new.len()] };
    matched.same(&old, new, |block| said(block.clone()));
    matched.same(&old, new, words_of);
    matched.alike(&old, new);
    matched.new
}

/// How alike two plain texts are by their words, whatever their order: 0 (none shared) to 1 (all).
pub fn likeness(a: &str, b: &str) -> f64 {
    Counted::of(a).likeness(&Counted::of(b))
}

/// The words of a plain text, counted once to be compared with those of many.
#[derive(Debug)]
pub(crate) struct Counted {
    counts: HashMap<Box<str>, usize>,
    all: usize,
}

impl Counted {
    /// Counts the words of a text.
    pub(crate) fn of(text: &str) -> Self {
        let counts = counted(text).into_iter().map(|(word, count)| (word.into(), count));
        let counts: HashMap<Box<str>, usize> = counts.collect();
        Self { all: counts.values().sum(), counts }
    }

    /// As [`likeness`]; takes as many steps as the text with fewer words has words.
    pub(crate) fn likeness(&self, other: &Self) -> f64 {
        let (few, many) = if self.counts.len() <= other.counts.len() { (self, other) } else { (other, self) };
        let in_both =
            few.counts.iter().map(|(word, count)| (*count).min(*many.counts.get(word).unwrap_or(&0)));
        dice(in_both.sum(), self.all, other.all)
    }
}

fn dice(shared: usize, a: usize, b: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "texts have far fewer than 2^52 words")]
    let share = |count: usize| count as f64;
    if a + b == 0 { 1.0 } else { 2.0 * share(shared) / share(a + b) }
}

/// How often each word stands in a text; where there are none, each of its characters.
fn counted(text: &str) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for word in text.unicode_words() {
        *counts.entry(word).or_insert(0) += 1;
    }
    if counts.is_empty() {
        for symbol in text.graphemes(true).filter(|symbol| !symbol.trim().is_empty()) {
            *counts.entry(symbol).or_insert(0) += 1;
        }
    }
    counts
}

/// The block without what Markdown can't say.
fn said(block: Content<Spans>) -> Content<Spans> {
    match block {
        Content::Quote { text, .. } => Content::Quote { text, cite: None },
        Content::Image { uri, alt, caption, .. } => {
            Content::Image { uri, alt, caption, credit: None, rights: None }
        }
        block => block,
    }
}

/// What makes two blocks the same but for marks and kind: their words, and an image its address.
fn words_of(block: &Content<Spans>) -> (Option<String>, String) {
    match block {
        Content::Image { uri, .. } => (Some(uri.clone()), String::new()),
        block => (None, all_words(block)),
    }
}

fn all_words(block: &Content<Spans>) -> String {
    block.texts().map(|text| plain(text)).collect::<Vec<_>>().join("\n")
}

struct Matched {
    old: Vec<bool>,
    new: Vec<Option<usize>>,
}

impl Matched {
    /// Matches blocks with the same key: first those that keep their order, then those that moved.
    fn same<K: Eq + Hash>(
        &mut self,
        old: &[Content<Spans>],
        new: &[Content<Spans>],
        key: impl Fn(&Content<Spans>) -> K,
    ) {
        let old: Vec<(usize, K)> = self.free_old(old).map(|(at, block)| (at, key(block))).collect();
        let new: Vec<(usize, K)> = self.free_new(new).map(|(at, block)| (at, key(block))).collect();
        let (old_at, old): (Vec<usize>, Vec<K>) = old.into_iter().unzip();
        let (new_at, new): (Vec<usize>, Vec<K>) = new.into_iter().unzip();
        for (old, new) in diff::matches(&old, &new) {
            self.join(old_at.get(old).copied(), new_at.get(new).copied());
        }
        let mut left: HashMap<&K, Vec<usize>> = HashMap::new();
        for (at, key) in old_at.iter().zip(&old).rev() {
            if self.old.get(*at) == Some(&false) {
                left.entry(key).or_default().push(*at);
            }
        }
        for (at, key) in new_at.iter().zip(&new) {
            if self.new.get(*at) == Some(&None) {
                let moved = left.get_mut(key).and_then(Vec::pop);
                self.join(moved, Some(*at));
            }
        }
    }

    /// Matches changed blocks of one kind by likeness, the best first.
    fn alike(&mut self, old: &[Content<Spans>], new: &[Content<Spans>]) {
        let old: Vec<Changed> = self.free_old(old).map(|(at, block)| Changed::new(at, block)).collect();
        let new: Vec<Changed> = self.free_new(new).map(|(at, block)| Changed::new(at, block)).collect();
        let old_gaps = self.old_gaps();
        let new_gaps = self.new_gaps();
        let mut pairs = Vec::new();
        let counts = SharedWords::new(&old, &new);
        for (new_index, new) in new.iter().enumerate() {
            let mut best = Vec::new();
            counts.each(new, &old, |old_index, old, shared| {
                let alike = dice(shared, old.words, new.words);
                if old.kind == new.kind && alike >= LIKENESS_MIN {
                    let same_gap = old_gaps.get(old.at) == new_gaps.get(new.at);
                    let score = alike + if same_gap { SAME_GAP } else { 0.0 };
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1.2")]
                    let score = (score * 1_000_000.0) as u32;
                    best.push((Reverse(score), old_index.abs_diff(new_index), new.at, old.at));
                }
            });
            best.sort_unstable();
            pairs.extend(best.into_iter().take(CANDIDATES_MAX));
        }
        pairs.sort_unstable();
        for (_, _, new, old) in pairs {
            self.join(Some(old), Some(new));
        }
        if counts.rare_only {
            self.in_place(&old, &new);
        }
    }

    /// Matches what is left by its place in the gap between matched blocks, where it is alike.
    fn in_place(&mut self, old: &[Changed], new: &[Changed]) {
        let old_gaps = self.old_gaps();
        let new_gaps = self.new_gaps();
        let mut left: HashMap<(Option<usize>, Kind), Vec<&Changed>> = HashMap::new();
        for old in old.iter().rev().filter(|old| self.old.get(old.at) == Some(&false)) {
            left.entry((old_gaps.get(old.at).copied().flatten(), old.kind)).or_default().push(old);
        }
        for new in new.iter().filter(|new| self.new.get(new.at) == Some(&None)).collect::<Vec<_>>() {
            let gap = new_gaps.get(new.at).copied().flatten();
            let Some(old) = left.get_mut(&(gap, new.kind)).and_then(Vec::pop) else { continue };
            if likeness(&old.text, &new.text) >= LIKENESS_MIN {
                self.join(Some(old.at), Some(new.at));
            }
        }
    }

    fn join(&mut self, old: Option<usize>, new: Option<usize>) {
        let (Some(old), Some(new)) = (old, new) else { return };
        if let (Some(is_taken @ false), Some(place @ None)) = (self.old.get_mut(old), self.new.get_mut(new)) {
            *is_taken = true;
            *place = Some(old);
        }
    }

    fn free_old<'a, T>(&self, old: &'a [T]) -> impl Iterator<Item = (usize, &'a T)> {
        old.iter().enumerate().zip(self.old.clone()).filter(|(_, taken)| !taken).map(|(block, _)| block)
    }

    fn free_new<'a, T>(&self, new: &'a [T]) -> impl Iterator<Item = (usize, &'a T)> {
        new.iter().enumerate().zip(self.new.clone()).filter(|(_, old)| old.is_none()).map(|(block, _)| block)
    }

    /// For each old block the old block before it that is matched already.
    fn old_gaps(&self) -> Vec<Option<usize>> {
        let mut before = None;
        let step = |(at, taken): (usize, &bool)| {
            if *taken {
                before = Some(at);
            }
            before
        };
        self.old.iter().enumerate().map(step).collect()
    }

    /// For each new block the old block that the one before it continues.
    fn new_gaps(&self) -> Vec<Option<usize>> {
        let mut before = None;
        let step = |old: &Option<usize>| {
            before = old.or(before);
            before
        };
        self.new.iter().map(step).collect()
    }
}

/// A block that isn't matched yet.
struct Changed {
    at: usize,
    kind: Kind,
    text: String,
    words: usize,
}

impl Changed {
    fn new(at: usize, block: &Content<Spans>) -> Self {
        let text = all_words(block);
        let words = counted(&text).values().sum();
        Self { at, kind: block.kind(), text, words }
    }
}

/// How many words each old block shares with a new one, by an index from word to old blocks.
struct SharedWords<'a> {
    index: HashMap<&'a str, Vec<(usize, usize)>>,
    rare_only: bool,
}

impl<'a> SharedWords<'a> {
    fn new(old: &'a [Changed], new: &'a [Changed]) -> Self {
        let mut index: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
        for (at, block) in old.iter().enumerate() {
            for (word, count) in counted(&block.text) {
                index.entry(word).or_default().push((at, count));
            }
        }
        let additions: usize = new
            .iter()
            .flat_map(|block| counted(&block.text).into_keys())
            .map(|word| index.get(word).map_or(0, Vec::len))
            .sum();
        Self { index, rare_only: additions > COUNTING_MAX }
    }

    fn each(&self, new: &Changed, old: &[Changed], mut with: impl FnMut(usize, &Changed, usize)) {
        let mut shared = vec![0; old.len()];
        for (word, count) in counted(&new.text) {
            let places = self.index.get(word).map_or([].as_slice(), Vec::as_slice);
            if self.rare_only && places.len() > RARE_BLOCKS {
                continue;
            }
            for (at, old_count) in places {
                if let Some(shared) = shared.get_mut(*at) {
                    *shared += count.min(*old_count);
                }
            }
        }
        for ((at, block), shared) in old.iter().enumerate().zip(shared) {
            if shared > 0 {
                with(at, block, shared);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::super::{attribute, markdown};
    use super::*;

    fn stored(doc: &str) -> Vec<Content<Text>> {
        let by: Arc<str> = "ana".into();
        let blocks = markdown::read(doc).unwrap().0;
        blocks.into_iter().map(|block| block.map(|text| attribute(&text, None, &by))).collect()
    }

    fn aligned(old: &str, new: &str) -> Vec<Option<usize>> {
        blocks(&stored(old).iter().collect::<Vec<_>>(), &markdown::read(new).unwrap().0)
    }

    const STORY: &str = "# Rain\n\nIt rained all night in Porto.\n\nThe river rose by two metres.\n\n> We were lucky, said the mayor.\n\n- sandbags\n- pumps\n\n![The river](https://x.org/r.jpg)\n";

    #[test]
    fn a_body_sent_again_continues_every_block() {
        assert_eq!(aligned(STORY, STORY), (0..6).map(Some).collect::<Vec<_>>());
        let mut old = stored(STORY);
        for block in &mut old {
            match block {
                Content::Quote { cite, .. } => *cite = Some("the mayor".into()),
                Content::Image { credit, rights, .. } => {
                    (*credit, *rights) = (Some("c".into()), Some("r".into()))
                }
                _ => {}
            }
        }
        let new = markdown::read(STORY).unwrap().0;
        assert_eq!(blocks(&old.iter().collect::<Vec<_>>(), &new), (0..6).map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn changed_moved_new_and_dropped_blocks_are_told_apart() {
        let new = "The river Douro rose by two metres.\n\n# Rain\n\nNothing of this was there before.\n\nIt rained all night in *Porto*.\n\n- sandbags\n- pumps\n- boats\n\n![The river Douro](https://x.org/r.jpg \"seen today\")";
        assert_eq!(aligned(STORY, new), [Some(2), Some(0), None, Some(1), Some(4), Some(5)]);
    }

    #[test]
    fn a_kind_may_change_where_the_words_do_not() {
        assert_eq!(aligned("a b c d e\n\nf", "> a b c d e\n\n# f"), [Some(0), Some(1)]);
        assert_eq!(aligned("a b c d e", "> a b c d x"), [None]);
    }

    #[test]
    fn of_two_alike_the_one_in_the_same_place_is_continued() {
        let old = "one\n\nHe said no to it.\n\ntwo\n\nHe said no to us.\n\nthree";
        assert_eq!(
            aligned(old, "one\n\nHe said no to him.\n\ntwo\n\nHe said no to her.\n\nthree"),
            [Some(0), Some(1), Some(2), Some(3), Some(4)]
        );
        assert_eq!(
            aligned(old, "one\n\ntwo\n\nHe said no to her.\n\nthree"),
            [Some(0), Some(2), Some(3), Some(4)]
        );
        assert_eq!(aligned("a\n\na\n\na", "a\n\na"), [Some(0), Some(1)]);
    }

    #[test]
    fn likeness_is_of_words() {
        assert!((likeness("a b c d", "a b c d") - 1.0).abs() < f64::EPSILON);
        assert!((likeness("a b c d", "a b x y") - 0.5).abs() < f64::EPSILON);
        assert!(likeness("a", "b") < f64::EPSILON);
        assert!((likeness("", "") - 1.0).abs() < f64::EPSILON);
        assert!(likeness("!!", "??") < f64::EPSILON);
        assert!(likeness("市长说他将辞职", "市长说他不辞职") > 0.7);
    }

    #[test]
    fn the_most_blocks_there_may_be_take_no_time() {
        let doc = |word: fn(usize, usize) -> String| {
            (0..2000)
                .map(|block| (0..20).map(|place| word(block, place) + " ").collect::<String>() + "\n\n")
                .collect::<String>()
        };
        let cases: [(&str, String, String); 4] = [
            ("rare words", doc(|b, p| format!("w{b}x{p}")), doc(|b, p| format!("w{b}x{}", p + p % 3))),
            (
                "common words",
                doc(|b, p| format!("w{}", (b * 31 + p * 7) % 100)),
                doc(|b, p| format!("w{}", (b * 29 + p * 11) % 100)),
            ),
            (
                "one word apart",
                doc(|b, p| if p == 0 { format!("a{b}") } else { format!("w{p}") }),
                doc(|b, p| if p == 0 { format!("b{b}") } else { format!("w{p}") }),
            ),
            ("nothing shared", doc(|b, p| format!("a{b}x{p}")), doc(|b, p| format!("b{b}x{p}"))),
        ];
        for (name, old, new) in cases {
            let old = stored(&old);
            let new = markdown::read(&new).unwrap().0;
            let start = Instant::now();
            let found = blocks(&old.iter().collect::<Vec<_>>(), &new);
            let took = start.elapsed();
            eprintln!("{name}: {took:?}, {} of {}", found.iter().flatten().count(), found.len());
            assert!(took < Duration::from_secs(5), "{name}: {took:?}");
            if name == "rare words" || name == "one word apart" {
                assert_eq!(found, (0..2000).map(Some).collect::<Vec<_>>(), "{name}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_old_block_is_continued_twice(old in "[ab#>\n -]{0,60}", new in "[ab#>\n -]{0,60}") {
            let found = aligned(&old, &new);
            let mut once: Vec<usize> = found.iter().flatten().copied().collect();
            once.sort_unstable();
            let all = once.len();
            once.dedup();
            prop_assert_eq!(once.len(), all);
            let same = aligned(&old, &old);
            prop_assert!(same.iter().enumerate().all(|(at, found)| *found == Some(at)));
        }
    }
}
