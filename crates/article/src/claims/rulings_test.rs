//! Rulings that come back with their words, and what was found false wherever it stands again.

use serde_json::json;

use super::ClaimState::{Gone, Ruled, Stale};
use crate::command::Data;
use crate::command::testing::{Desk, delete, insert, replace, shift};
use crate::gate::{ReasonCode, gate};
use crate::problem::Code;

const STORY: &[&str] = &["A first word. He won twelve votes. A last word.", "Another paragraph stands here."];
const FALSE: &str = "He won twelve votes.";
const TRUE: &str = "He won ten votes.";

fn with(sentence: &str) -> serde_json::Value {
    json!([replace("b1", &format!("A first word. {sentence} A last word."))])
}

fn restore(revision: u32) -> serde_json::Value {
    json!({"type": "restore", "data": {"revision": revision}})
}

fn verdict(desk: &Desk) -> (super::ClaimState, &'static str) {
    let claim = &desk.state().claims[&"c1".parse().unwrap()];
    (claim.state, claim.ruling.as_ref().unwrap().verdict.name())
}

fn rule_on(desk: &mut Desk, quote: &str, verdict: &str) {
    let data = json!({"claim": "c1", "verdict": verdict, "quote": quote});
    desk.given("chen", json!({"type": "rule", "data": data}));
}

/// Ruled as this first, and then as supported on other words.
fn ruled_on_other_words_since(first: &str) -> Desk {
    let mut desk = Desk::ruled(STORY, "He won twelve votes", first);
    desk.ops("emil", with(TRUE));
    assert_eq!(desk.claimed("c1").0, Stale);
    rule_on(&mut desk, TRUE, "supported");
    desk
}

#[test]
fn what_was_found_false_is_false_when_it_comes_back_though_other_words_were_ruled_on_since() {
    for back in [
        restore(1),
        json!({"type": "edit", "data": {"ops": with(FALSE)}}),
        json!({"type": "edit", "data": {"ops": [insert(Some("b2"), FALSE), replace("b1", "A first word. And a last.")]}}),
    ] {
        let mut desk = ruled_on_other_words_since("inaccurate");
        desk.given("eva", back.clone());
        assert_eq!(verdict(&desk), (Ruled, "inaccurate"), "{back}");
        assert_eq!(desk.claimed("c1").2, FALSE);
        assert!(desk.gate().contains(&"verdict_adverse"), "{back}");
        // And the true words again.
        if desk.claimed("c1").1 == "b1" {
            desk.ops("emil", with(TRUE));
            assert_eq!(verdict(&desk), (Ruled, "supported"), "{back}");
        }
    }
}

#[test]
fn what_became_of_a_sentence_stays_held_though_what_was_found_false_comes_and_goes_elsewhere() {
    let mut desk = ruled_on_other_words_since("misleading");
    let others = "A first word. He won ten or eleven votes. A last word.";
    desk.ops("emil", json!([replace("b1", others), insert(Some("b2"), FALSE)]));
    desk.ops("emil", json!([delete("b3")]));
    assert_eq!(desk.claimed("c1"), (Stale, "b1".to_owned(), "He won ten or eleven votes.".to_owned()));
}

#[test]
fn words_that_come_back_beside_others_bring_no_good_verdict_back() {
    for second in ["inaccurate", "supported"] {
        let mut desk = Desk::ruled(STORY, "He won twelve votes", "supported");
        desk.ops("emil", with(TRUE));
        rule_on(&mut desk, TRUE, second);
        desk.ops("emil", with(&format!("{FALSE} He got 10 votes, his spokesman says.")));
        assert_eq!(desk.claimed("c1").0, Stale, "{second}");
    }
}

#[test]
fn of_all_that_comes_back_to_a_claim_that_went_what_was_found_false_is_first() {
    let mut desk = ruled_on_other_words_since("inaccurate");
    desk.ops("emil", with("He won nine votes."));
    rule_on(&mut desk, "He won nine votes", "supported");
    desk.ops("emil", json!([delete("b1")]));
    desk.ops("emil", json!([insert(Some("b2"), &format!("{TRUE} {FALSE}"))]));
    assert_eq!(verdict(&desk), (Ruled, "inaccurate"));
}

#[test]
fn what_was_found_false_is_false_though_it_stood_elsewhere_in_the_text_by_then() {
    let mut desk = ruled_on_other_words_since("inaccurate");
    desk.ops("emil", json!([replace("b1", &format!("{TRUE} It rained. The end. {FALSE}"))]));
    desk.ops("emil", json!([replace("b1", &format!("{FALSE} It rained. The end."))]));
    assert_eq!(verdict(&desk), (Ruled, "inaccurate"));
}

#[test]
fn a_claim_that_went_is_back_with_what_was_last_ruled_on_the_words_that_come_back() {
    for (first, reason) in [("inaccurate", Some("verdict_adverse")), ("supported", None)] {
        let mut desk = ruled_on_other_words_since(first);
        desk.ops("emil", json!([delete("b1")]));
        assert_eq!(desk.claimed("c1").0, Gone);
        desk.given("eva", restore(1));
        assert_eq!(verdict(&desk).1, first);
        assert_eq!(desk.claimed("c1").0, Ruled);
        let adverse = desk.gate().into_iter().find(|code| code.starts_with("verdict"));
        assert_eq!(adverse, reason);
    }
}

#[test]
fn going_back_to_the_edition_leaves_nothing_stale_though_other_words_were_ruled_on_since() {
    for quote in ["He won twelve votes", "word. He won twelve"] {
        let mut desk = Desk::ruled(STORY, quote, "supported");
        desk.approved();
        desk.given("pia", json!({"type": "publish"}));
        desk.ops("emil", with(TRUE));
        rule_on(&mut desk, TRUE, "inaccurate");
        desk.given("emil", restore(1));
        assert_eq!(verdict(&desk), (Ruled, "supported"), "{quote}");
        assert!(desk.gate().is_empty(), "{quote}: {:?}", desk.gate());
    }
}

#[test]
fn of_two_rulings_on_the_same_words_the_last_one_stands_again() {
    for (first, last) in [("inaccurate", "supported"), ("supported", "inaccurate")] {
        let mut desk = Desk::ruled(STORY, "He won twelve votes", first);
        desk.rule("c1", last);
        desk.ops("emil", with(TRUE));
        rule_on(&mut desk, TRUE, "supported");
        desk.ops("emil", with(FALSE));
        assert_eq!(verdict(&desk), (Ruled, last));
    }
}

#[test]
fn a_touched_sentence_is_stale_though_words_ruled_on_before_others_stand_there_too() {
    let mut desk = ruled_on_other_words_since("supported");
    desk.ops("emil", json!([insert(Some("b2"), FALSE)]));
    assert_eq!(desk.claimed("c1"), (Ruled, "b1".to_owned(), TRUE.to_owned()));
    desk.ops("emil", with("He won nine votes."));
    assert_eq!(desk.claimed("c1"), (Stale, "b1".to_owned(), "He won nine votes.".to_owned()));
}

#[test]
fn half_of_the_words_that_were_ruled_on_brings_no_ruling_back() {
    let mut desk = Desk::ruled(STORY, "word. He won twelve", "supported");
    desk.ops("emil", with(TRUE));
    rule_on(&mut desk, TRUE, "supported");
    desk.ops("emil", json!([replace("b1", "Another beginning. He won twelve votes. A last word.")]));
    assert_eq!(desk.claimed("c1"), (Stale, "b1".to_owned(), FALSE.to_owned()));
}

#[test]
fn a_claim_quotes_again_what_it_quoted_when_the_ruling_that_stands_again_was_given() {
    let mut desk = Desk::ruled(STORY, "won twelve", "inaccurate");
    desk.ops("emil", with("Many voted."));
    rule_on(&mut desk, "Many voted", "supported");
    desk.ops("emil", with(FALSE));
    assert_eq!(verdict(&desk), (Ruled, "inaccurate"));
    assert_eq!(desk.state().claims[&"c1".parse().unwrap()].quote.as_str(), "won twelve");
}

#[test]
fn what_was_found_false_is_kept_the_longest() {
    let mut desk = Desk::ruled(STORY, "He won twelve votes", "inaccurate");
    for votes in 0..super::EARLIER_MAX + 4 {
        let others = format!("He won {votes} hundred votes.");
        desk.ops("emil", with(&others));
        rule_on(&mut desk, &others, "supported");
    }
    assert_eq!(desk.state().claims[&"c1".parse().unwrap()].earlier.len(), super::EARLIER_MAX);
    desk.ops("emil", with("He won 0 hundred votes."));
    assert_eq!(desk.claimed("c1").0, Stale, "the oldest that wasn't found false went");
    desk.ops("emil", with(FALSE));
    assert_eq!(verdict(&desk), (Ruled, "inaccurate"));
}

/// Where words that were found false stand, in the gate's eyes, if they do.
fn false_at(desk: &Desk) -> Option<String> {
    let gate = gate(desk.state(), &desk.newsroom, desk.now);
    let adverse = gate.reasons.iter().find(|reason| reason.code == ReasonCode::VerdictAdverse);
    adverse.map(|reason| reason.block.map(|block| block.to_string()).or(reason.field.clone()).unwrap())
}

#[test]
fn what_was_found_false_holds_wherever_it_stands_though_the_claim_is_on_other_words() {
    let places = [
        (json!({"ops": [insert(Some("b2"), FALSE)]}), "b3"),
        (json!({"ops": [insert(Some("b2"), &format!("{FALSE} It rained."))]}), "b3"),
        (json!({"ops": with(&format!("{TRUE} {FALSE}"))}), "b1"),
        (json!({"set": {"standfirst": FALSE}}), "standfirst"),
    ];
    for (edit, place) in places {
        for touched in [false, true] {
            let mut desk = ruled_on_other_words_since("inaccurate");
            if touched {
                desk.ops("emil", with("He won nine or ten votes."));
            }
            let was = desk.claimed("c1");
            if touched && place == "b1" {
                continue;
            }
            desk.given("eva", json!({"type": "edit", "data": edit}));
            assert_eq!(desk.claimed("c1"), was, "{edit}: it stays with what became of it");
            assert_eq!(false_at(&desk).as_deref(), Some(place), "{edit}");
            let away = json!([{"code": "verdict_adverse", "claim": "c1"}]);
            let waive = json!({"type": "waive", "data": {"reasons": away, "reason": "The hour."}});
            desk.refused("carl", waive, Code::Invalid);
            let drop = json!({"type": "drop", "data": {"claim": "c1", "reason": "Over."}});
            desk.refused("chen", drop, Code::VerdictAdverse);
            // Other edits change nothing about it, and neither does a ruling on the words that the claim is on.
            desk.ops("emil", json!([replace("b2", "Others.")]));
            rule_on(&mut desk, &was.2, "supported");
            assert_eq!(false_at(&desk).as_deref(), Some(place), "{edit}");
            desk.given("emil", restore(2));
            assert_eq!((false_at(&desk), desk.gate()), (None, vec!["not_approved"]), "{edit}");
        }
    }
}

#[test]
fn what_was_found_false_holds_where_it_moves_to_and_no_longer_than_it_stands() {
    let mut desk = ruled_on_other_words_since("misleading");
    desk.ops("emil", json!([insert(Some("b2"), FALSE), insert(Some("b2"), FALSE)]));
    for place in ["b3", "b4"] {
        assert_eq!(false_at(&desk).as_deref(), Some(place));
        desk.ops("emil", json!([delete(place)]));
    }
    assert_eq!(false_at(&desk), None);
    desk.given("emil", json!({"type": "edit", "data": {"ops": [insert(None, &format!("So. {FALSE}"))]}}));
    assert_eq!(false_at(&desk).as_deref(), Some("b5"));
    desk.ops("emil", json!([replace("b5", "So. He won, twelve votes.")]));
    assert_eq!((desk.claimed("c1").0, false_at(&desk)), (Ruled, None));
}

#[test]
fn a_checker_may_find_right_what_was_found_false_where_it_came_back() {
    let mut desk = ruled_on_other_words_since("inaccurate");
    desk.ops("emil", json!([insert(Some("b2"), FALSE)]));
    let anew = json!({"claim": "c1", "verdict": "supported", "quote": "He won twelve votes", "block": "b3"});
    desk.given("chen", json!({"type": "rule", "data": anew}));
    assert_eq!((desk.claimed("c1").2.as_str(), false_at(&desk)), (FALSE, None));
    // Nor does it hold when it comes again.
    desk.ops("emil", json!([delete("b3")]));
    desk.ops("emil", json!([insert(Some("b2"), FALSE)]));
    assert_eq!(false_at(&desk), None);
}

#[test]
fn words_found_false_that_stand_twice_in_a_block_may_be_ruled_on_by_the_whole_of_them() {
    let rule = |quote: &str| json!({"type": "rule", "data": {"claim": "c1", "verdict": "supported", "quote": quote, "block": "b3"}});
    let mut desk = ruled_on_other_words_since("inaccurate");
    desk.ops("emil", json!([insert(Some("b2"), FALSE)]));
    desk.ops("cara", json!([replace("b3", &format!("{FALSE} {FALSE}"))]));
    desk.refused("chen", rule("He won twelve"), Code::QuoteAmbiguous);
    desk.refused("cara", rule(FALSE), Code::FourEyes);
    desk.given("chen", rule(FALSE));
    assert_eq!((desk.claimed("c1"), false_at(&desk)), ((Ruled, "b3".to_owned(), FALSE.to_owned()), None));
}

#[test]
fn the_gate_names_what_a_claim_is_on_beside_what_was_found_false_of_it() {
    let mut desk = ruled_on_other_words_since("inaccurate");
    desk.ops("emil", json!([insert(Some("b2"), FALSE)]));
    desk.ops("emil", with("He won nine votes."));
    let stale = json!([{"code": "verdict_stale", "claim": "c1"}]);
    desk.given("carl", json!({"type": "waive", "data": {"reasons": stale, "reason": "The hour."}}));
    let held = |desk: &Desk| {
        let gate = gate(desk.state(), &desk.newsroom, desk.now);
        let codes = |reasons: &[crate::gate::Reason]| -> Vec<_> {
            let claims = reasons.iter().filter(|reason| reason.claim.is_some());
            claims.map(|reason| (reason.code, reason.block.unwrap().to_string())).collect()
        };
        (codes(&gate.reasons), codes(&gate.waived))
    };
    let at = |code, block: &str| vec![(code, block.to_owned())];
    let now = (at(ReasonCode::VerdictAdverse, "b3"), at(ReasonCode::VerdictStale, "b1"));
    assert_eq!(held(&desk), now);
    rule_on(&mut desk, "He won nine", "misleading");
    let both = [at(ReasonCode::VerdictAdverse, "b3"), at(ReasonCode::VerdictAdverse, "b1")].concat();
    assert_eq!(held(&desk).0, both);
}

#[test]
fn of_two_wordings_that_were_found_false_one_found_right_leaves_the_other() {
    const OTHER: &str = "He won twenty votes.";
    let mut desk = ruled_on_other_words_since("inaccurate");
    desk.ops("emil", with(OTHER));
    rule_on(&mut desk, OTHER, "misleading");
    desk.ops("emil", with(TRUE));
    desk.ops("emil", json!([insert(Some("b2"), FALSE), insert(Some("b2"), OTHER)]));
    let all = ["b3", "b4"];
    let first = false_at(&desk).unwrap();
    let words = if first == "b3" { FALSE } else { OTHER };
    let other = all.into_iter().find(|place| *place != first).unwrap();
    let anew = json!({"claim": "c1", "verdict": "supported", "quote": words, "block": first});
    desk.given("chen", json!({"type": "rule", "data": anew}));
    assert_eq!(false_at(&desk).as_deref(), Some(other));
}

#[test]
fn what_was_found_false_holds_when_another_language_makes_it_a_sentence_again() {
    let mut desk = ruled_on_other_words_since("inaccurate");
    let language = |tag: &str| json!({"type": "edit", "data": {"set": {"language": tag}}});
    // In German a stop after a figure ends no sentence.
    desk.ops("emil", json!([insert(Some("b2"), &format!("It was on May 7. {FALSE}"))]));
    assert_eq!(false_at(&desk).as_deref(), Some("b3"));
    desk.given("emil", language("de"));
    assert_eq!(false_at(&desk).as_deref(), Some("b3"), "the words stand there");
    rule_on(&mut desk, TRUE, "supported");
    assert_eq!(false_at(&desk).as_deref(), Some("b3"), "and nobody ruled on them");
    desk.ops("emil", json!([delete("b3"), insert(Some("b2"), &format!("It was on May 8. {FALSE}"))]));
    assert_eq!(false_at(&desk), None, "no sentence that was ruled on");
    desk.given("emil", language("en"));
    assert_eq!(false_at(&desk).as_deref(), Some("b4"));
}

#[test]
fn what_was_found_false_holds_no_longer_where_a_checker_rules_on_the_sentence_that_it_is_part_of_now() {
    let mut desk = ruled_on_other_words_since("inaccurate");
    desk.ops("emil", json!([insert(Some("b2"), &format!("It was on May 7. {FALSE}"))]));
    desk.given("emil", json!({"type": "edit", "data": {"set": {"language": "de"}}}));
    let longer = json!({"claim": "c1", "verdict": "supported", "quote": "7. He won twelve", "block": "b3"});
    desk.given("chen", json!({"type": "rule", "data": longer}));
    assert_eq!(false_at(&desk), None);
}

#[test]
fn of_rulings_on_the_same_words_the_last_one_is_kept() {
    let mut desk = Desk::ruled(STORY, "He won twelve votes", "inaccurate");
    for _ in 0..super::EARLIER_MAX + 2 {
        desk.ops("emil", with(TRUE));
        rule_on(&mut desk, TRUE, "misleading");
        rule_on(&mut desk, TRUE, "misleading");
        desk.ops("emil", with("He won nine votes."));
        rule_on(&mut desk, "He won nine votes", "supported");
    }
    assert_eq!(desk.state().claims[&"c1".parse().unwrap()].earlier.len(), 2);
    desk.ops("emil", with(FALSE));
    assert_eq!(verdict(&desk), (Ruled, "inaccurate"));
}

#[test]
fn a_run_of_sentences_is_found_where_it_stands_within_itself() {
    let mut desk = Desk::ruled(&["Yes. Yes.", "Another."], "Yes. Yes.", "inaccurate");
    desk.ops("emil", json!([replace("b1", "He declined.")]));
    rule_on(&mut desk, "He declined", "supported");
    desk.ops("emil", json!([insert(Some("b2"), "He said Yes. Yes. Yes.")]));
    assert_eq!(false_at(&desk).as_deref(), Some("b3"));
}

#[test]
fn what_was_found_false_holds_though_its_words_and_others_were_made_the_same_by_law() {
    let met = |name: &str| json!([replace("b1", &format!("He met {name}."))]);
    let mut desk = Desk::ruled(&["He met Xaver.", "Another."], "He met", "inaccurate");
    desk.ops("emil", met("Yusuf"));
    rule_on(&mut desk, "He met Yusuf", "supported");
    desk.ops("emil", json!([replace("b1", "He slept.")]));
    rule_on(&mut desk, "He slept", "supported");
    for name in ["Xaver", "Yusuf"] {
        let data = json!({"words": name, "ground": "An order."});
        desk.given("carl", json!({"type": "redact", "data": data}));
        desk.given("eva", json!({"type": "confirm_redaction", "data": {"words": name}}));
    }
    desk.given("emil", restore(1));
    assert_eq!(false_at(&desk).as_deref(), Some("b1"));
    // A checker who finds right what is left there has it stand.
    let data = json!({"claim": "c1", "verdict": "supported", "quote": "He met", "block": "b1"});
    desk.given("chen", json!({"type": "rule", "data": data}));
    desk.ops("emil", json!([replace("b2", "Others.")]));
    assert_eq!(false_at(&desk), None);
}

#[test]
fn what_was_found_right_after_it_was_found_false_holds_nothing_in_events_that_do_not_say_so() {
    let mut desk = Desk::ruled(STORY, "He won twelve votes", "inaccurate");
    desk.rule("c1", "supported");
    // As they were written before events named the rulings that they came in the place of.
    desk.refold(|event| {
        if let Data::ClaimRuled(ruled) = &mut event.data {
            ruled.instead_of.clear();
        }
    });
    assert_eq!(desk.state().claims[&"c1".parse().unwrap()].earlier.len(), 1);
    desk.ops("emil", json!([replace("b1", &format!("Another word. {FALSE} A last word."))]));
    assert_eq!((verdict(&desk), false_at(&desk)), ((Ruled, "supported"), None));
    desk.ops("emil", with(TRUE));
    rule_on(&mut desk, TRUE, "supported");
    desk.ops("emil", json!([insert(Some("b2"), FALSE)]));
    assert_eq!(false_at(&desk), None);
    desk.ops("emil", json!([delete("b1"), delete("b3")]));
    desk.ops("emil", json!([insert(Some("b2"), FALSE)]));
    assert_eq!(verdict(&desk), (Ruled, "supported"));
}

#[test]
fn a_claim_that_went_stays_gone_where_words_ruled_on_before_stood_all_along() {
    let mut desk = ruled_on_other_words_since("supported");
    desk.ops("emil", json!([insert(Some("b2"), &format!("{FALSE} It rained."))]));
    desk.ops("emil", json!([delete("b1")]));
    assert_eq!(desk.claimed("c1").0, Gone);
    desk.ops("emil", json!([replace("b3", &format!("{FALSE} It snowed."))]));
    assert_eq!(desk.claimed("c1").0, Gone);
}

#[test]
fn words_that_come_back_beside_others_in_a_new_paragraph_bring_no_good_verdict_back() {
    let mut desk = ruled_on_other_words_since("supported");
    let both = format!("{FALSE} He got 10 votes, his spokesman says.");
    desk.ops("emil", json!([delete("b1"), insert(None, &both)]));
    assert_eq!(desk.claimed("c1"), (Stale, "b3".to_owned(), FALSE.to_owned()));
}

#[test]
fn a_claim_whose_words_are_no_sentence_in_another_language_is_stale_while_its_block_is_there() {
    let mut desk = Desk::ruled(&["He came in 1995. May was cold. She left."], "He came", "supported");
    desk.given("emil", json!({"type": "edit", "data": {"set": {"language": "de"}}}));
    desk.ops("emil", json!([replace("b1", "He came in 1995. May was cold. Nobody knows a thing.")]));
    assert_eq!(desk.claimed("c1"), (Stale, "b1".to_owned(), "He came in 1995.".to_owned()));
}

#[test]
fn a_paragraph_that_moves_into_a_claims_place_is_not_what_became_of_it() {
    let mut desk = Desk::ruled(&["He won twelve votes.", "Another.", "It rained."], "He won", "supported");
    desk.ops("emil", json!([delete("b1"), shift("b3", None)]));
    assert_eq!(desk.claimed("c1").0, Gone);
}

#[test]
fn a_claim_is_on_its_sentence_alone_where_no_space_stands_between_sentences() {
    let mut desk = Desk::drafted(&["他赢了。她输了。"]);
    desk.claim("她输了");
    assert_eq!(desk.claimed("c1").2, "她输了。");
}

#[test]
fn of_more_words_found_false_than_are_kept_the_newest_hold() {
    let mut desk = Desk::ruled(STORY, "He won twelve votes", "inaccurate");
    let votes = |votes: usize| format!("He won {votes} hundred votes.");
    for at in 0..=super::EARLIER_MAX {
        desk.ops("emil", with(&votes(at)));
        rule_on(&mut desk, &votes(at), "inaccurate");
    }
    desk.ops("emil", with(TRUE));
    rule_on(&mut desk, TRUE, "supported");
    desk.ops("emil", with(&votes(super::EARLIER_MAX)));
    assert_eq!(verdict(&desk), (Ruled, "inaccurate"));
}

#[test]
fn what_was_found_false_holds_where_it_is_not_material_too() {
    let mut desk = Desk::drafted(STORY);
    let data = json!({"quote": "He won twelve votes", "kind": "fact", "material": false});
    desk.given("chen", json!({"type": "claim", "data": data}));
    desk.rule("c1", "inaccurate");
    desk.ops("emil", with(TRUE));
    rule_on(&mut desk, TRUE, "supported");
    desk.ops("emil", json!([insert(Some("b2"), FALSE)]));
    assert_eq!(false_at(&desk).as_deref(), Some("b3"));
}

#[test]
fn a_touched_sentence_with_the_quote_in_it_is_what_became_of_it_though_another_has_it_too() {
    let mut desk = Desk::ruled(&["A word.", "The mayor took bribes."], "took bribes", "inaccurate");
    let instead = "The mayor took bribes, they say.";
    desk.ops("emil", json!([replace("b1", "Nobody else took bribes."), replace("b2", instead)]));
    assert_eq!(desk.claimed("c1"), (Stale, "b2".to_owned(), instead.to_owned()));
}
