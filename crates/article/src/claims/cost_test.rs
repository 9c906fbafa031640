//! What following claims costs at most: by size, whatever the words.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::follow::follow_within;
use super::plain::LOOKED_FOR;
use super::{Claim, ClaimMove, ClaimState, Place, follow};
use crate::article::Article;
use crate::command::testing::{Desk, delete, replace};
use crate::ids::ClaimId;
use crate::problem::Code;

/// Hardly optimised and on a busy machine; what is guarded against takes minutes. A diff's steps can't be counted.
const DEADLINE: Duration = Duration::from_secs(20);

fn drafted(texts: &[String]) -> Desk {
    Desk::drafted(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The article of these texts, each quote claimed.
fn claimed(texts: &[String], quotes: &[&str]) -> Article {
    let mut desk = drafted(texts);
    for quote in quotes {
        desk.claim(quote);
    }
    desk.state().clone()
}

/// A sentence of so many words, all of them others, and no stop before its end.
fn endless(word: &str, words: usize) -> String {
    (0..words).map(|at| format!("{word}{at} ")).collect::<String>() + "ends."
}

fn sentences(word: &str, number: usize) -> String {
    (0..number).map(|at| format!("{word}{at}. ")).collect::<String>().trim_end().to_owned()
}

/// What became of the claims, as long as it doesn't take for ever.
fn followed(before: Article, texts: &[String]) -> Vec<ClaimMove> {
    let after = drafted(texts).state().clone();
    let (done, answer) = mpsc::channel();
    thread::spawn(move || done.send(follow(&before, &after)));
    answer.recv_timeout(DEADLINE).expect("claims are followed in time")
}

#[test]
fn a_claim_on_a_sentence_without_end_follows_among_thirty_thousand_new_ones() {
    let long = endless("a", 15_000);
    let mut before = claimed(&[long.clone(), sentences("B", 20_000)], &["B7."]);
    // As it became by edits, or was raised before sentences had a limit.
    let (place, mut claim) =
        (Place::Block(before.blocks[0].id), before.claims.values().next().unwrap().clone());
    let raised = Arc::make_mut(&mut claim);
    (raised.place, raised.quote, raised.sentence) = (place, "a7 a8".into(), long.into());
    before.claims = Arc::new([(claim.id, claim)].into());
    let moved = followed(before, &[endless("x", 10), sentences("Y", 20_000)]);
    assert_eq!((moved[0].state, moved[0].place), (ClaimState::Unruled, None));
    assert_eq!(moved[0].sentence.as_deref(), Some(&*endless("x", 10)), "what stands in its place");
}

#[test]
fn a_claim_on_one_of_thirty_thousand_sentences_follows_when_all_are_others() {
    let before = claimed(&[sentences("B", 30_000)], &["B7."]);
    let moved = followed(before, &[sentences("Y", 30_000)]);
    assert_eq!((moved[0].state, moved[0].place), (ClaimState::Unruled, None));
    assert!(moved[0].sentence.as_deref().is_some_and(|sentence| sentence.starts_with('Y')));
}

#[test]
fn a_claim_on_one_of_thirty_thousand_sentences_follows_when_all_stand_elsewhere() {
    let before = claimed(&[sentences("B", 30_000)], &["B7."]);
    let all = sentences("B", 30_000).replace("B7.", "Y7.");
    let back: Vec<&str> = all.split(' ').rev().collect();
    let moved = followed(before, &[back.join(" ")]);
    assert_eq!((moved[0].state, moved[0].place), (ClaimState::Unruled, None));
}

#[test]
fn a_claim_on_one_of_thirty_thousand_sentences_follows_when_all_are_shuffled() {
    const SENTENCES: usize = 30_000;
    let before = claimed(&[sentences("B", SENTENCES)], &["B7."]);
    // 7,919 has no factor in common with their number: each comes once.
    let shuffled = (0..SENTENCES).map(|at| at * 7_919 % SENTENCES).filter(|at| *at != 7);
    let shuffled: Vec<String> = shuffled.map(|at| format!("B{at}.")).collect();
    let moved = followed(before, &[shuffled.join(" ") + " Y7."]);
    assert_eq!((moved[0].state, moved[0].place), (ClaimState::Unruled, None));
}

/// Like the first claim, so many more, each on a sentence of its own of the first one's place.
fn claimed_more(before: &mut Article, more: usize, state: ClaimState, sentence: impl Fn(usize) -> String) {
    let first = Arc::clone(before.claims.values().next().unwrap());
    for at in 1..=more {
        let id: ClaimId = format!("c{}", at + 1).parse().unwrap();
        let (quote, sentence) = (sentence(at).into(), sentence(at).into());
        let claim = Claim { id, quote, sentence, state, ..(*first).clone() };
        Arc::make_mut(&mut before.claims).insert(id, Arc::new(claim));
    }
}

/// Whatever became of the claims, and how often words were looked for in a place.
fn looked_for(before: &Article, texts: &[String]) -> (Vec<ClaimMove>, usize) {
    let after = drafted(texts).state().clone();
    LOOKED_FOR.set(0);
    let moved = follow(before, &after);
    (moved, LOOKED_FOR.get())
}

#[test]
fn what_is_gone_is_looked_for_where_something_changed_and_nowhere_else() {
    let texts: Vec<String> = (0..1_000).map(|at| format!("Here stands {at}. It stays.")).collect();
    let mut before = claimed(&texts, &["stands 7."]);
    claimed_more(&mut before, 3_999, ClaimState::Gone, |at| format!("It was there {at}."));

    let mut word = texts.clone();
    word[7] = "Here stands 7. It left.".to_owned();
    word[8] = "It was there 12. It stays.".to_owned();
    let (moved, looked) = looked_for(&before, &word);
    let back: Vec<(String, ClaimState)> =
        moved.iter().map(|moved| (moved.claim.to_string(), moved.state)).collect();
    assert_eq!(back, [("c13".to_owned(), ClaimState::Unruled)]);
    assert!(looked < 3 * 4_000, "{looked} for an edit of two blocks");

    let all: Vec<String> = (0..1_000).map(|at| format!("Others stand {at}. They stay.")).collect();
    let (moved, looked) = looked_for(&before, &all);
    assert_eq!(moved.len(), 1, "what stood");
    assert!(looked < 3 * 4_000, "{looked} for a whole body of others");
}

/// What one event can't hold: a hundred sentences, all claimed, made one.
#[test]
fn claims_on_sentences_that_become_a_long_one_keep_nobody_from_editing_it() {
    const CLAIMS: usize = 100;
    let apart: Vec<String> = (0..900).map(|at| format!("Item{at} came.")).collect();
    let together = apart.join(" ").replace('.', ",") + " they say.";
    let last = format!("c{CLAIMS}");
    let claimed = || {
        let mut desk = drafted(&[apart.join(" "), "Another.".to_owned()]);
        for at in 0..CLAIMS {
            desk.claim(&format!("Item{at} came"));
        }
        desk.rule(&last, "inaccurate");
        desk
    };
    // Where its words stand twice it is turned to neither, for nobody knows which it was.
    let mut twice = claimed();
    twice.ops("emil", json!([replace("b1", &format!("{together} Critics doubt Item99 came."))]));
    let away = json!({"claim": last, "verdict": "supported", "quote": "Critics doubt"});
    twice.refused("chen", json!({"type": "rule", "data": away}), Code::VerdictAdverse);

    let mut desk = claimed();
    let states =
        |desk: &Desk| -> Vec<ClaimState> { desk.state().claims.values().map(|claim| claim.state).collect() };
    let mut expected = vec![ClaimState::Unruled; CLAIMS];
    expected[CLAIMS - 1] = ClaimState::Stale;

    desk.ops("emil", json!([replace("b1", &together)]));
    assert_eq!(states(&desk), expected);
    assert_eq!(desk.claimed("c1").2, together, "as long as there is room");
    assert_eq!(desk.claimed(&last).2, "Item99 came.", "what it was bound to");
    // It was ruled wrong, and its words stand there still, though in another sentence.
    desk.refused(
        "chen",
        json!({"type": "drop", "data": {"claim": last, "reason": "Over."}}),
        Code::VerdictAdverse,
    );
    let away = json!({"claim": last, "verdict": "supported", "quote": "Another"});
    desk.refused("chen", json!({"type": "rule", "data": away}), Code::VerdictAdverse);
    for (from, to) in [("Item1 came", "Item1 went"), (" they say", ", say they")] {
        desk.ops("emil", json!([replace("b1", &together.replace(from, to))]));
        assert_eq!(states(&desk), expected);
    }
    desk.ops("emil", json!([replace("b2", "Item99 came back.")]));
    assert_eq!(desk.claimed(&last).1, "b1", "where nothing happened");
    desk.ops("emil", json!([replace("b1", &format!("New. {}", together.replace("Item800 came", "")))]));
    assert_eq!(states(&desk), expected, "not gone: nobody knows");

    desk.ops("emil", json!([replace("b1", &apart.join(" "))]));
    expected[CLAIMS - 1] = ClaimState::Ruled;
    assert_eq!(states(&desk), expected);
    for at in 0..CLAIMS {
        let (_, place, sentence) = desk.claimed(&format!("c{}", at + 1));
        assert_eq!((place, sentence), ("b1".to_owned(), format!("Item{at} came.")));
    }
    desk.ops("emil", json!([replace("b1", &together)]));
    // On the sentence that its quote stands in now it is ruled again.
    let there = json!({"claim": last, "verdict": "supported", "quote": "Item99 came", "block": "b1"});
    desk.given("chen", json!({"type": "rule", "data": there}));
    assert_eq!((desk.claimed(&last).0, desk.claimed(&last).2), (ClaimState::Ruled, together));
    desk.ops("emil", json!([delete("b1")]));
    assert!(states(&desk).iter().all(|state| *state == ClaimState::Gone));
}

#[test]
fn as_many_claims_as_there_may_be_follow_in_one_long_paragraph() {
    let mut before = claimed(&[sentences("B", 8_000)], &["B0."]);
    claimed_more(&mut before, 1_999, ClaimState::Unruled, |at| format!("B{at}."));
    let moved = followed(before, &[sentences("B", 8_000).replace("B7.", "Seven. B7,")]);
    assert!(moved.iter().all(|moved| moved.state == ClaimState::Unruled));
    assert_eq!(moved[0].claim.to_string(), "c8", "the others stand whole");
}

#[test]
fn in_a_long_paragraph_too_what_is_taken_out_is_gone_and_what_is_replaced_is_not() {
    let before = claimed(&[sentences("B", 3_000)], &["B7.", "B800."]);
    let moved = followed(before, &[sentences("B", 3_000).replace("B7. ", "").replace("B800.", "Yes.")]);
    assert_eq!((moved[0].state, moved[1].state), (ClaimState::Gone, ClaimState::Unruled));
    assert_eq!(moved[1].sentence.as_deref(), Some("Yes."));
}

/// The words of each, and where it stands now.
fn now(before: &Article, moved: &[ClaimMove]) -> Vec<(ClaimState, Place, String)> {
    let one = |moved: &ClaimMove| {
        let claim = &before.claims[&moved.claim];
        let sentence = moved.sentence.as_ref().unwrap_or(&claim.sentence);
        (moved.state, moved.place.unwrap_or(claim.place), sentence.to_string())
    };
    moved.iter().map(one).collect()
}

#[test]
fn past_the_ceiling_what_stands_in_its_place_is_taken_and_nothing_is_gone() {
    let texts = ["One came. Two went. Three stayed.", "Four slept."].map(str::to_owned);
    let before = claimed(&texts, &["Two went", "Four slept"]);
    let changed = ["One came. Nobody knows. Two went away. Three stayed.", "Four slept."].map(str::to_owned);
    let taken_out = ["One came. Three stayed.", "Five woke. Four sleep."].map(str::to_owned);
    let blocks: Vec<Place> =
        drafted(&texts).state().blocks.iter().map(|block| Place::Block(block.id)).collect();
    let (b1, b2) = (blocks[0], blocks[1]);
    let unruled = |place, sentence: &str| (ClaimState::Unruled, place, sentence.to_owned());

    let after = drafted(&changed).state().clone();
    assert_eq!(now(&before, &follow(&before, &after)), [unruled(b1, "Two went away.")], "the likest");
    let bytes: usize = "Two went.".len() * 2 + "Nobody knows.Two went away.".len() * 2;
    assert_eq!(follow_within(bytes, &before, &after), follow(&before, &after), "to the byte");
    assert_eq!(now(&before, &follow_within(bytes - 1, &before, &after)), [unruled(b1, "Nobody knows.")]);
    assert_eq!(now(&before, &follow_within(0, &before, &after)), [unruled(b1, "Nobody knows.")]);

    let after = drafted(&taken_out).state().clone();
    let gone = (ClaimState::Gone, b1, "Two went.".to_owned());
    assert_eq!(now(&before, &follow(&before, &after)), [gone, unruled(b2, "Four sleep.")]);
    let in_doubt = [unruled(b2, "Five woke."), unruled(b2, "Five woke.")];
    assert_eq!(now(&before, &follow_within(0, &before, &after)), in_doubt);
}
