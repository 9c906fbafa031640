//! Which sentences carry a claim: those that stand in the words that one is bound to, and, where those don't stand in its
//! place any more, those that hold its quote.
//!
//! All claims of a place are asked at once. Asking each claim of each sentence took minutes where there are thousands
//! of both and the claims are bound to long words, and the gate is asked at every read.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::Sentence;
use crate::article::Article;
use crate::claims::{Place, Standing};

/// The words of the live claims of a place, each once.
#[derive(Default)]
struct Claims<'a> {
    sentences: BTreeSet<&'a str>,
    quotes: BTreeSet<&'a str>,
}

/// Leaves the sentences that carry no live claim.
pub fn leave_unclaimed(article: &Article, sentences: &mut Vec<Sentence>) {
    let standing = Standing::of(article);
    let mut claims: HashMap<Place, Claims<'_>> = HashMap::new();
    for claim in article.claims.values().filter(|claim| claim.is_live()) {
        let there = claims.entry(claim.place).or_default();
        there.sentences.insert(&claim.sentence);
        if !standing.has(&claim.sentence, claim.place) {
            there.quotes.insert(&claim.quote);
        }
    }
    let mut words: HashMap<Place, BTreeSet<&str>> = HashMap::new();
    for sentence in sentences.iter() {
        words.entry(sentence.place).or_default().insert(&sentence.words);
    }
    let unclaimed = |(place, words): (Place, BTreeSet<&str>)| {
        let left = match claims.get(&place) {
            Some(claims) => claims.leave(words),
            None => words.into_iter().collect(),
        };
        (place, left.into_iter().map(str::to_owned).collect::<BTreeSet<String>>())
    };
    let unclaimed: HashMap<Place, BTreeSet<String>> = words.into_iter().map(unclaimed).collect();
    sentences.retain(|sentence| {
        unclaimed.get(&sentence.place).is_some_and(|words| words.contains(sentence.words.as_str()))
    });
}

impl Claims<'_> {
    /// Those of these words that no claim covers.
    fn leave<'s>(&self, words: BTreeSet<&'s str>) -> Vec<&'s str> {
        let words: Vec<&str> = words.into_iter().filter(|words| !self.sentences.contains(words)).collect();
        let longest = self.sentences.iter().map(|sentence| sentence.len()).max().unwrap_or_default();
        let may_stand_within = words.iter().filter(|words| words.len() < longest).copied();
        let mut within = Sought::of(may_stand_within);
        self.sentences.iter().for_each(|sentence| within.look_through(sentence));
        let mut left: Vec<&str> = words.into_iter().filter(|words| !within.found(words)).collect();
        // The longest first: a quote is looked for where it has room, so once in all words together at most.
        left.sort_unstable_by_key(|words| std::cmp::Reverse(words.len()));
        let mut open = vec![true; left.len()];
        for quote in &self.quotes {
            let long = left.iter().zip(&mut open).take_while(|(words, _)| words.len() >= quote.len());
            long.filter(|(_, open)| **open).for_each(|(words, open)| *open = !words.contains(quote));
        }
        left.into_iter().zip(open).filter(|(_, open)| *open).map(|(words, _)| words).collect()
    }
}

/// Many words, looked for in a text together: the automaton of Aho and Corasick, in as many steps as they and the
/// texts have bytes. It only has to tell which were found: what a state stands for is marked once, with all that ends
/// there too, so that words within words cost no more.
struct Sought {
    next: HashMap<(usize, u8), usize>,
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Default)]
struct Node {
    /// The node of the longest end of this one's bytes that is the beginning of sought words.
    fallback: usize,
    seen: bool,
}

const ROOT: usize = 0;

impl Sought {
    fn of<'s>(words: impl Iterator<Item = &'s str>) -> Self {
        let mut sought = Self { next: HashMap::new(), nodes: vec![Node { fallback: ROOT, seen: true }] };
        let mut ways: Vec<Vec<(u8, usize)>> = vec![Vec::new()];
        for words in words {
            let mut at = ROOT;
            for byte in words.bytes() {
                let made = sought.nodes.len();
                let next = *sought.next.entry((at, byte)).or_insert(made);
                if next == made {
                    sought.nodes.push(Node::default());
                    ways.push(Vec::new());
                    ways.get_mut(at).into_iter().for_each(|ways| ways.push((byte, made)));
                }
                at = next;
            }
        }
        // Nearest the root first: a fallback is nearer than what falls back to it.
        let mut queue = VecDeque::from([ROOT]);
        while let Some(at) = queue.pop_front() {
            for (byte, next) in ways.get(at).into_iter().flatten().copied() {
                let fallback = if at == ROOT { ROOT } else { sought.step(sought.fallback(at), byte) };
                sought.nodes.get_mut(next).into_iter().for_each(|node| node.fallback = fallback);
                queue.push_back(next);
            }
        }
        sought
    }

    fn fallback(&self, at: usize) -> usize {
        self.nodes.get(at).map_or(ROOT, |node| node.fallback)
    }

    fn step(&self, mut at: usize, byte: u8) -> usize {
        loop {
            match self.next.get(&(at, byte)) {
                Some(next) => return *next,
                None if at == ROOT => return ROOT,
                None => at = self.fallback(at),
            }
        }
    }

    fn look_through(&mut self, text: &str) {
        if self.nodes.len() == 1 {
            return;
        }
        let mut at = ROOT;
        for byte in text.bytes() {
            at = self.step(at, byte);
            let mut end = at;
            while let Some(node) = self.nodes.get_mut(end).filter(|node| !node.seen) {
                node.seen = true;
                end = node.fallback;
            }
        }
    }

    /// Whether these words are sought and stood in a text that was looked through.
    fn found(&self, words: &str) -> bool {
        let way = words.bytes().try_fold(ROOT, |at, byte| self.next.get(&(at, byte)).copied());
        way.and_then(|end| self.nodes.get(end)).is_some_and(|node| node.seen)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;
    use crate::claims::{Claim, ClaimState};
    use crate::command::testing::{Desk, replace};
    use crate::coverage::{checkable, unclaimed};
    use crate::ids::ClaimId;

    fn claims<'a>(sentences: &[&'a str], quotes: &[&'a str]) -> Claims<'a> {
        Claims { sentences: sentences.iter().copied().collect(), quotes: quotes.iter().copied().collect() }
    }

    proptest! {
        #[test]
        fn what_each_claim_covers_by_itself_all_cover_together(
            sentences in proptest::collection::vec("[abé]{1,12}", 0..4),
            quotes in proptest::collection::vec("[abé]{1,5}", 0..3),
            words in proptest::collection::btree_set("[abé]{1,6}", 0..12),
        ) {
            let sentences: Vec<&str> = sentences.iter().map(String::as_str).collect();
            let quotes: Vec<&str> = quotes.iter().map(String::as_str).collect();
            let covered = |words: &str| {
                sentences.iter().any(|sentence| sentence.contains(words))
                    || quotes.iter().any(|quote| words.contains(quote))
            };
            let all: BTreeSet<&str> = words.iter().map(String::as_str).collect();
            let by_itself: BTreeSet<&str> = all.iter().copied().filter(|words| !covered(words)).collect();
            let together: BTreeSet<&str> = claims(&sentences, &quotes).leave(all).into_iter().collect();
            prop_assert_eq!(together, by_itself);
        }
    }

    #[test]
    fn a_claim_covers_what_stands_in_its_sentences_and_what_holds_its_quote_in_its_place_alone() {
        let mut desk = Desk::drafted(&[
            "He won 5 votes. She won 6 votes. They won 7 votes. He won 5 votes.",
            "He won 5 votes.",
        ]);
        let data = serde_json::json!({"quote": "5 votes. She won", "block": "b1", "kind": "fact"});
        desk.given("chen", serde_json::json!({"type": "claim", "data": data}));
        let left = unclaimed(desk.state());
        let left: Vec<(String, String)> =
            left.into_iter().map(|reason| (reason.block.unwrap().to_string(), reason.detail)).collect();
        let detail = |nth: usize| format!("a sentence with a figure carries no claim: sentence {nth} there");
        assert_eq!(left, [("b1".to_owned(), detail(3)), ("b2".to_owned(), detail(1))]);
    }

    /// A quote is a few words, and others may come to hold them.
    #[test]
    fn a_quote_covers_nothing_while_its_own_sentence_stands() {
        let mut desk = Desk::drafted(&["The mayor spoke for 5 minutes."]);
        desk.claim("The mayor");
        desk.rule("c1", "supported");
        let two = "The mayor spoke for 5 minutes. The mayor took 12 million.";
        desk.ops("emil", serde_json::json!([replace("b1", two)]));
        assert_eq!(unclaimed(desk.state()).len(), 1);
        let mut in_doubt = desk.state().clone();
        let claim = Arc::make_mut(&mut in_doubt.claims).values_mut().next().unwrap();
        let claim = Arc::make_mut(claim);
        (claim.sentence, claim.state) = ("The mayor spoke.".into(), ClaimState::Stale);
        assert_eq!(unclaimed(&in_doubt), []);
    }

    /// What took minutes: a long sentence, thousands of short ones, and as many claims as there may be.
    #[test]
    fn thousands_of_claims_on_a_long_sentence_cover_thousands_of_short_ones_in_no_time() {
        let long: String = (0..16_000).map(|at| format!("word{at} ")).collect::<String>() + "ends at 5.";
        let short: String = (0..8_000).map(|at| format!(" Won {at}.")).collect();
        let mut desk = Desk::drafted(&[&format!("{long}{short}")]);
        desk.claim("Won 7.");
        let mut article = desk.state().clone();
        let first = Arc::clone(article.claims.values().next().unwrap());
        for at in 2..=2_000 {
            let id: ClaimId = format!("c{at}").parse().unwrap();
            let (quote, sentence) = (format!("word1{at} ").into(), long.as_str().into());
            let claim = Claim { id, quote, sentence, ..(*first).clone() };
            Arc::make_mut(&mut article.claims).insert(id, Arc::new(claim));
        }
        let all = checkable(&article);
        let start = Instant::now();
        let mut left = all.clone();
        leave_unclaimed(&article, &mut left);
        assert!(start.elapsed() < Duration::from_secs(20), "unoptimised: {:?}", start.elapsed());
        assert_eq!((all.len(), left.len()), (8_001, 7_999));
    }
}
