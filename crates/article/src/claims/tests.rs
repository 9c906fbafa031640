use serde_json::json;

use super::ClaimState::{Gone, Ruled, Stale, Unruled};
use crate::command::Data;
use crate::command::testing::{Desk, delete, insert, replace, shift};
use crate::gate::{ReasonCode, gate};
use crate::problem::Code;

const STORY: &[&str] = &["A first word. He won twelve votes. A last word.", "Another paragraph stands here."];

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
        json!([replace("b1", "A first word. He **won** *twelve* [votes](https://x.test/a). A last word.")]),
        json!([replace("b2", "Another text.")]),
    ] {
        let mut desk = won();
        desk.ops("emil", ops.clone());
        assert_eq!(desk.claimed("c1"), (Ruled, "b1".to_owned(), "He won twelve votes.".to_owned()), "{ops}");
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

/// However its words came to be others: merged with what others changed, by a whole body, by going back, by an edit that
/// moves the block too, and of a story that is out.
#[test]
fn words_that_changed_leave_no_verdict_by_whichever_way_they_changed() {
    const TOUCHED: &str = "A first word. He won thirteen votes. A last word.";
    let whole = |base: u32, second: &str| {
        let markdown = format!("{TOUCHED}\n\n{second}");
        json!({"type": "edit", "base": base, "data": {"markdown": markdown}})
    };
    let elsewhere = || json!([replace("b2", "Another text.")]);

    let mut merged = won();
    merged.ops("emil", elsewhere());
    merged.ops_from(1, "ana", json!([replace("b1", TOUCHED)]));

    let mut whole_body = won();
    whole_body.given("ana", whole(1, STORY[1]));

    let mut whole_body_merged = Desk::drafted(STORY);
    whole_body_merged.ops("emil", elsewhere());
    whole_body_merged.claim("He won twelve votes");
    whole_body_merged.rule("c1", "supported");
    whole_body_merged.given("ana", whole(1, STORY[1]));
    assert_eq!(whole_body_merged.words()[1], "Another text.");

    let mut gone_back = Desk::drafted(&[TOUCHED, STORY[1]]);
    gone_back.ops("ana", json!([replace("b1", STORY[0])]));
    gone_back.claim("He won twelve votes");
    gone_back.rule("c1", "supported");
    gone_back.given("emil", json!({"type": "restore", "data": {"revision": 1}}));

    let mut moved = won();
    moved.ops("emil", json!([shift("b1", Some("b2")), replace("b1", TOUCHED)]));

    let mut out = won();
    out.approved();
    out.given("pia", json!({"type": "publish"}));
    out.ops("emil", json!([replace("b1", TOUCHED)]));

    let all = [merged, whole_body, whole_body_merged, gone_back, moved, out];
    for (way, desk) in all.iter().enumerate() {
        let now = (Stale, "b1".to_owned(), "He won thirteen votes.".to_owned());
        assert_eq!(desk.claimed("c1"), now, "way {way}");
        assert!(desk.gate().contains(&"verdict_stale"), "way {way}");
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
    assert_eq!(desk.claimed("c1").1, "b2", "where it is most like itself, not where something replaced it");
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

/// In German a figure before a stop may be an ordinal.
#[test]
fn a_sentence_that_ends_elsewhere_in_another_language_may_be_one_that_was_gone() {
    let mut desk = Desk::drafted(&["He came.", "It was on the 3. He came."]);
    desk.given("emil", json!({"type": "edit", "data": {"set": {"language": "de"}}}));
    let data = json!({"quote": "He came", "block": "b1", "kind": "fact"});
    desk.given("chen", json!({"type": "claim", "data": data}));
    desk.rule("c1", "inaccurate");
    desk.ops("emil", json!([delete("b1")]));
    assert_eq!(desk.claimed("c1").0, Gone);
    desk.given("emil", json!({"type": "edit", "data": {"set": {"language": "en"}}}));
    assert_eq!(desk.claimed("c1"), (Ruled, "b2".to_owned(), "He came.".to_owned()));
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

/// A claim whose quote was erased stays with what became of its sentence: others have the same mark in them.
#[test]
fn a_quote_that_says_nothing_is_not_looked_for_elsewhere() {
    for quote in ["█████", "–"] {
        let at = |words: &str| words.replace('*', quote);
        let mut desk = Desk::ruled(&[&at("The minister * left today."), "A word."], quote, "supported");
        let elsewhere = replace("b2", &at("Ten towns * are under water."));
        desk.ops("emil", json!([replace("b1", "The minister, he said, left today."), elsewhere]));
        let touched = (Stale, "b1".to_owned(), "The minister, he said, left today.".to_owned());
        assert_eq!(desk.claimed("c1"), touched, "{quote}");
    }
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
    let mut desk =
        Desk::ruled(&["Start here. He came home. She went away. End here."], "home. She went", "supported");
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
    desk.ops("emil", json!([delete("b3"), insert(Some("b2"), &format!("It was on May 8. {FALSE}"))]));
    assert_eq!(false_at(&desk), None, "no sentence that was ruled on");
    desk.given("emil", language("en"));
    assert_eq!(false_at(&desk).as_deref(), Some("b4"));
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
