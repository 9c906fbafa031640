use serde_json::json;

use super::ClaimState::{Gone, Ruled, Stale, Unruled};
use crate::command::testing::{Desk, delete, insert, replace, shift};

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
    assert_eq!((desk.claimed("c1").0, desk.claimed("c1").1.as_str()), (Stale, "b1"));
    assert!(desk.gate().contains(&"verdict_adverse"), "a falsehood that still stands holds the gate");
    desk.ops("emil", json!([replace("b2", "So they say.")]));
    assert!(!desk.gate().contains(&"verdict_adverse"));
    assert!(desk.gate().contains(&"verdict_stale"), "and so does what became of the other");
    let mut desk = ruled("inaccurate");
    desk.ops("emil", json!([delete("b1")]));
    assert_eq!((desk.claimed("c1").0, desk.claimed("c1").1.as_str()), (Ruled, "b2"));
}

#[test]
fn what_became_of_a_sentence_stays_stale_though_the_sentence_comes_to_stand_elsewhere_or_beside_it() {
    let edits = [
        json!({"set": {"standfirst": "He won twelve votes."}}),
        json!({"ops": [insert(Some("b2"), "He won twelve votes.")]}),
        json!({"ops": [replace("b1", "A first word. He won twelve votes. He won thirteen votes. A last word.")]}),
        json!({"ops": [replace("b1", "A word."), insert(Some("b2"), "He won thirteen votes. He won twelve votes.")]}),
    ];
    for (verdict, edit) in ["supported", "inaccurate"].iter().flat_map(|v| edits.iter().map(move |e| (v, e)))
    {
        let mut desk = Desk::ruled(STORY, "He won twelve votes", verdict);
        desk.ops("emil", json!([replace("b1", "A first word. He won thirteen votes. A last word.")]));
        desk.given("emil", json!({"type": "edit", "data": edit}));
        let (state, _, sentence) = desk.claimed("c1");
        assert_eq!((state, sentence.as_str()), (Stale, "He won thirteen votes."), "{edit}");
        assert!(desk.gate().contains(&"verdict_stale"));
        assert_eq!(desk.gate().contains(&"verdict_adverse"), *verdict == "inaccurate", "{edit}");
        desk.given("emil", json!({"type": "restore", "data": {"revision": 1}}));
        assert_eq!((desk.claimed("c1").0, desk.claimed("c1").1.as_str()), (Ruled, "b1"), "{edit}");
    }
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
