use serde_json::json;

use super::super::testing::{Desk, delete, insert, replace, shift};
use super::*;
use crate::text::Content;

const THREE: &[&str] = &["One.", "Two.", "Three."];

#[test]
fn an_edit_raises_revision_and_version_and_marks_what_it_touched() {
    let mut desk = Desk::drafted(THREE);
    let event = desk.ops("eva", json!([replace("b2", "Zwei."), insert(Some("b2"), "New.")]));
    assert_eq!((event.articleversion, event.revision), (2, 2));
    assert_eq!(event.data.said().blocks, [BlockId(4)]);
    assert_eq!(desk.words(), ["One.", "Zwei.", "New.", "Three."]);
    let revisions: Vec<u32> = desk.state().blocks.iter().map(|block| block.revision).collect();
    assert_eq!(revisions, [1, 2, 2, 1]);
}

#[test]
fn several_inserts_after_one_block_keep_their_order() {
    let mut desk = Desk::drafted(THREE);
    desk.ops(
        "eva",
        json!([insert(Some("b1"), "a"), insert(Some("b1"), "b"), insert(None, "x"), insert(None, "y")]),
    );
    assert_eq!(desk.words(), ["x", "y", "One.", "a", "b", "Two.", "Three."]);
    assert_eq!(desk.ids(), ["b6", "b7", "b1", "b4", "b5", "b2", "b3"]);
}

#[test]
fn edits_of_other_blocks_and_fields_from_one_base_all_stay() {
    let mut desk = Desk::drafted(THREE);
    desk.ops("ana", json!([replace("b1", "Uno."), shift("b3", None)]));
    desk.ops_from(1, "eva", json!([replace("b2", "Due."), replace("b3", "Tre.")]));
    desk.given("emil", json!({"type": "edit", "base": 1, "data": {"set": {"byline": "By Ana"}}}));
    assert_eq!(desk.words(), ["Tre.", "Uno.", "Due."], "move and replace both hold");
    assert_eq!(desk.state().fields.line(FieldName::Byline), Some("By Ana"));
}

#[test]
fn two_replacements_of_one_block_conflict_with_both_texts() {
    let mut desk = Desk::drafted(THREE);
    desk.ops("ana", json!([replace("b2", "Two and a *half*.")]));
    let problem = desk.refused(
        "eva",
        json!({"type": "edit", "base": 1, "data": {"ops": [replace("b2", "Two point five.")]}}),
        Code::Conflict,
    );
    assert_eq!(
        serde_json::to_value(&problem.conflicts).unwrap(),
        json!([{"block": "b2", "was": "Two.", "yours": "Two point five.",
            "theirs": "Two and a *half*.", "revision": 2, "by": "ana"}])
    );
    assert!(!problem.detail.contains("half"), "{}", problem.detail);
}

#[test]
fn replace_and_delete_of_one_block_conflict_either_way() {
    for (first, second, theirs, yours) in [
        (delete("b2"), replace("b2", "Zwei."), json!(null), json!("Zwei.")),
        (replace("b2", "Zwei."), delete("b2"), json!("Zwei."), json!(null)),
    ] {
        let mut desk = Desk::drafted(THREE);
        desk.ops("ana", json!([first]));
        let problem = desk.refused(
            "eva",
            json!({"type": "edit", "base": 1, "data": {"ops": [second]}}),
            Code::Conflict,
        );
        let conflict = serde_json::to_value(&problem.conflicts[0]).unwrap();
        assert_eq!((&conflict["theirs"], &conflict["yours"]), (&theirs, &yours));
        assert_eq!((&conflict["by"], &conflict["was"]), (&json!("ana"), &json!("Two.")));
    }
}

#[test]
fn two_moves_of_one_block_conflict_naming_who_moved_it() {
    let mut desk = Desk::drafted(THREE);
    desk.ops("eva", json!([shift("b3", None)]));
    let problem = desk.refused(
        "emil",
        json!({"type": "edit", "base": 1, "data": {"ops": [shift("b3", Some("b1"))]}}),
        Code::Conflict,
    );
    assert_eq!((problem.conflicts[0].by.as_str(), problem.conflicts[0].revision), ("eva", 2));
    desk.ops_from(1, "emil", json!([shift("b3", None), replace("b1", "Uno.")]));
    assert_eq!(desk.words(), ["Three.", "Uno.", "Two."], "to the same place they don't");
}

#[test]
fn two_values_for_one_field_conflict_and_the_same_value_twice_does_not() {
    let mut desk = Desk::drafted(THREE);
    desk.given("ana", json!({"type": "edit", "data": {"set": {"headline": "Mine", "urgency": 2}}}));
    let problem = desk.refused(
        "eva",
        json!({"type": "edit", "base": 1, "data": {"set": {"headline": "Yours", "urgency": 2}}}),
        Code::Conflict,
    );
    assert_eq!(
        serde_json::to_value(&problem.conflicts).unwrap(),
        json!([{"field": "headline", "was": "A headline", "yours": "Yours", "theirs": "Mine",
            "revision": 2, "by": "ana"}])
    );
    desk.given("eva", json!({"type": "edit", "base": 1, "data": {"set": {"urgency": 2, "byline": "B"}}}));
}

#[test]
fn a_conflict_shows_a_field_as_senders_write_it() {
    let image = |credit: &str| json!({"uri": "https://x.test/a.jpg", "alt": "A", "credit": credit});
    let set = |nth: u8, credit: &str, name: &str| {
        json!({"urgency": nth, "keywords": [name, "rain"], "image": image(credit),
            "source": {"name": name, "kind": "wire"}, "section": name})
    };
    let mut desk = Desk::drafted(THREE);
    desk.given("eva", json!({"type": "edit", "data": {"set": set(1, "C", "ap")}}));
    desk.given("ana", json!({"type": "edit", "data": {"set": set(2, "D", "dpa")}}));
    let data = json!({"set": set(3, "E", "afp")});
    let problem = desk.refused("eva", json!({"type": "edit", "base": 2, "data": data}), Code::Conflict);
    let source = |name: &str| json!({"name": name, "kind": "wire"});
    for (field, was, yours, theirs) in [
        ("urgency", json!(1), json!(3), json!(2)),
        ("keywords", json!(["ap", "rain"]), json!(["afp", "rain"]), json!(["dpa", "rain"])),
        ("image", image("C"), image("E"), image("D")),
        ("source", source("ap"), source("afp"), source("dpa")),
        ("section", json!("ap"), json!("afp"), json!("dpa")),
    ] {
        let conflict = problem.conflicts.iter().find(|one| one.field.as_deref() == Some(field)).unwrap();
        let shown = serde_json::to_value(conflict).unwrap();
        assert_eq!((&shown["was"], &shown["yours"], &shown["theirs"]), (&was, &yours, &theirs), "{field}");
    }
    let command = json!({"type": "submit", "base": 2});
    let problem = desk.refused("ana", command, Code::Conflict);
    let shown = serde_json::to_value(&problem.conflicts).unwrap();
    assert_eq!(shown[2]["theirs"], json!(["dpa", "rain"]), "where nothing was sent too: {shown}");
}

#[test]
fn taking_a_field_away_conflicts_with_a_new_value() {
    let mut desk = Desk::drafted(THREE);
    desk.given("ana", json!({"type": "edit", "data": {"set": {"headline": null}}}));
    let command = json!({"type": "edit", "base": 1, "data": {"set": {"headline": "Yours"}}});
    let problem = desk.refused("eva", command, Code::Conflict);
    assert_eq!(problem.conflicts[0].theirs, None);
}

#[test]
fn deleting_twice_and_the_same_words_twice_are_fine() {
    let mut desk = Desk::drafted(THREE);
    desk.ops("ana", json!([delete("b2"), replace("b1", "Uno.")]));
    desk.ops_from(1, "eva", json!([delete("b2"), replace("b1", "Uno."), replace("b3", "Tre.")]));
    assert_eq!(desk.words(), ["Uno.", "Tre."]);
    let command = json!({"type": "edit", "base": 1, "data": {"ops": [delete("b2")]}});
    desk.refused("eva", command, Code::NothingNew);
}

#[test]
fn inserts_at_one_place_both_stay_the_earlier_first() {
    let mut desk = Desk::drafted(THREE);
    desk.ops("ana", json!([insert(Some("b1"), "first"), insert(Some("b1"), "second")]));
    desk.ops_from(1, "eva", json!([insert(Some("b1"), "third"), insert(Some("b1"), "fourth")]));
    desk.ops_from(1, "eva", json!([insert(None, "top")]));
    assert_eq!(desk.words(), ["top", "One.", "first", "second", "third", "fourth", "Two.", "Three."]);
}

#[test]
fn an_insert_after_a_block_deleted_meanwhile_stays_where_that_was() {
    let mut desk = Desk::drafted(&["1", "2", "3", "4"]);
    desk.ops("ana", json!([delete("b2"), delete("b3")]));
    desk.ops_from(1, "eva", json!([insert(Some("b3"), "after three")]));
    desk.ops_from(1, "eva", json!([insert(Some("b3"), "and this")]));
    assert_eq!(desk.words(), ["1", "after three", "and this", "4"]);
    let mut desk = Desk::drafted(&["1", "2"]);
    desk.ops("ana", json!([delete("b1")]));
    desk.ops_from(1, "eva", json!([insert(Some("b1"), "top")]));
    assert_eq!(desk.words(), ["top", "2"]);
}

#[test]
fn an_insert_does_not_pass_a_block_that_went_and_came_back() {
    let mut desk = Desk::drafted(THREE);
    desk.ops("ana", json!([delete("b2")]));
    desk.given("eva", json!({"type": "restore", "data": {"revision": 1}}));
    desk.ops_from(1, "emil", json!([insert(Some("b1"), "between")]));
    assert_eq!(desk.words(), ["One.", "between", "Two.", "Three."]);
}

#[test]
fn what_was_never_there_is_named() {
    let mut desk = Desk::drafted(THREE);
    for (op, place) in [
        (replace("b9", "x"), "/data/ops/0/block"),
        (delete("b9"), "/data/ops/0/block"),
        (shift("b9", None), "/data/ops/0/block"),
        (shift("b1", Some("b9")), "/data/ops/0/after"),
        (shift("b1", Some("b1")), "/data/ops/0/after"),
        (insert(Some("b9"), "x"), "/data/ops/0/after"),
        (replace("b1", " \u{200b}"), "/data/ops/0/text"),
        (json!({"op": "move", "block": "b1"}), "/data/ops/0/after"),
        (json!({"op": "insert"}), "/data/ops/0/block"),
        (json!({"op": "swap", "block": "b1"}), "/data/ops/0/op"),
        (json!({"op": "delete", "block": "B1"}), "/data/ops/0/block"),
    ] {
        let problem =
            desk.refused("eva", json!({"type": "edit", "data": {"ops": [op.clone()]}}), Code::Invalid);
        assert_eq!(problem.field.as_deref(), Some(place), "{op}");
    }
    let command = json!({"type": "edit", "data": {"ops": [delete("b1"), replace("b1", "x")]}});
    assert_eq!(desk.refused("eva", command, Code::Invalid).field.as_deref(), Some("/data/ops/1/block"));
}

#[test]
fn an_edit_that_changes_nothing_is_nothing_new() {
    let mut desk = Desk::drafted(THREE);
    for data in [
        json!({"ops": []}),
        json!({"set": {}}),
        json!({"set": {"headline": "A headline"}}),
        json!({"ops": [replace("b1", " One. ")]}),
        json!({"ops": [shift("b2", Some("b1"))]}),
        json!({"ops": [shift("b2", None), shift("b2", Some("b1"))]}),
        json!({"ops": [replace("b1", "Uno."), replace("b1", "One.")]}),
        json!({"markdown": "One.\n\nTwo.\n\nThree.\n"}),
        json!({"set": {"byline": null}}),
    ] {
        desk.refused("eva", json!({"type": "edit", "data": data}), Code::NothingNew);
    }
}

#[test]
fn what_a_draft_needs_is_not_taken_away() {
    let mut desk = Desk::drafted(THREE);
    for name in ["slug", "language"] {
        for value in [json!(null), json!(""), json!(" \u{200b}")] {
            let command = json!({"type": "edit", "data": {"set": {name: value, "byline": null}}});
            let problem = desk.refused("eva", command, Code::Invalid);
            assert_eq!(problem.field, Some(format!("/data/set/{name}")), "{value}");
        }
    }
    desk.given("eva", json!({"type": "edit", "data": {"set": {"slug": "new", "language": "de"}}}));
}

#[test]
fn unknown_fields_are_named_with_the_right_one() {
    let mut desk = Desk::drafted(THREE);
    for (data, place, right) in [
        (json!({"opps": []}), "/data/opps", "ops"),
        (json!({"set": {"headlin": "x"}}), "/data/set/headlin", "headline"),
        (json!({"ops": [{"op": "delete", "block": "b1", "x": 1}]}), "/data/ops/0/x", ""),
        (json!({"ops": [{"op": "replace", "block": "b1", "txt": "x"}]}), "/data/ops/0/txt", "text"),
        (json!({"ops": [{"op": "replace", "block": "b1", "items": ["x"]}]}), "/data/ops/0/items", ""),
    ] {
        let problem = desk.refused("eva", json!({"type": "edit", "data": data}), Code::UnknownField);
        assert_eq!(problem.field.as_deref(), Some(place));
        assert_eq!(problem.suggestion.unwrap_or_default(), right, "{place}");
    }
    let both = json!({"ops": [], "markdown": "x"});
    desk.refused("eva", json!({"type": "edit", "data": both}), Code::Invalid);
    desk.refused("eva", json!({"type": "edit", "data": {}}), Code::Invalid);
}

#[test]
fn a_dropped_link_names_its_block() {
    let link = |words: &str| format!("{words} [here](ftp://x.test/).");
    let mut desk = Desk::drafted(&["One is here.", "Two is here.", "Three is here."]);
    let warned = |event: &Event| -> Vec<String> {
        event.data.said().warnings.iter().map(|one| one.block.unwrap().to_string()).collect()
    };
    let ops = json!([
        replace("b2", &link("Two is")),
        insert(None, "No link."),
        insert(Some("b3"), &link("Four is")),
        replace("b1", &link("Uno is")),
    ]);
    assert_eq!(warned(desk.ops("eva", ops)), ["b2", "b5", "b1"]);
    let body = format!(
        "No link.\n\n{}\n\nTwo is here.\n\n{}\n\n{}\n\nFour is here.\n",
        link("Uno is"),
        link("Quite new, this one, and"),
        link("Three is far from")
    );
    let event = desk.given("eva", json!({"type": "edit", "data": {"markdown": body}}));
    assert_eq!(warned(event), ["b1", "b6", "b3"]);
    assert!(event.data.said().warnings[1].detail.contains("block b6"));
}

#[test]
fn base_is_required_and_between_one_and_the_present() {
    let mut desk = Desk::drafted(THREE);
    for base in [json!(0), json!(2), json!(-1), json!("1"), json!(null)] {
        let command = json!({"type": "edit", "base": base, "data": {"ops": [replace("b1", "x")]}});
        assert_eq!(desk.refused("eva", command, Code::Invalid).field.as_deref(), Some("/base"));
    }
}

#[test]
fn a_whole_body_merges_where_others_changed_other_blocks() {
    let mut desk = Desk::drafted(&["One is here.", "Two is here.", "Three is here.", "Four is here."]);
    desk.ops("ana", json!([replace("b1", "Uno is here."), insert(Some("b4"), "Five.")]));
    desk.given(
        "eva",
        json!({"type": "edit", "base": 1, "data": {
            "markdown": "One is here.\n\nThree is here.\n\n## New\n\nFour is *here*.\n"}}),
    );
    assert_eq!(desk.words(), ["Uno is here.", "Three is here.", "New", "Four is *here*.", "Five."]);
    assert_eq!(desk.ids(), ["b1", "b3", "b6", "b4", "b5"]);
    let problem = desk.refused(
        "eva",
        json!({"type": "edit", "base": 1, "data": {
            "markdown": "Eins is here.\n\nTwo is here.\n\nThree is here.\n\nFour is here.\n"}}),
        Code::Conflict,
    );
    assert_eq!(problem.conflicts[0].block.as_deref(), Some("b1"));
}

#[test]
fn what_markdown_cannot_say_stays_with_a_matched_block() {
    let mut desk = Desk::new();
    let blocks = json!([
        {"kind": "quote", "text": "To be.", "cite": "Hamlet"},
        {"kind": "image", "uri": "HTTPS://x.test/a.jpg", "alt": "An *alt*", "caption": "A **cap** \\*",
         "credit": "Ana", "rights": "All"},
    ]);
    let data = json!({"slug": "s", "language": "en", "blocks": blocks});
    desk.given("ana", json!({"type": "draft", "data": data}));
    let contents = desk.state().blocks.iter().map(|block| &block.content);
    let markdown = crate::text::markdown::write(contents);
    desk.refused("ana", json!({"type": "edit", "data": {"markdown": markdown}}), Code::NothingNew);
    let markdown = markdown.replace("To be", "Not to be");
    desk.given("ana", json!({"type": "edit", "data": {"markdown": markdown}}));
    let Content::Quote { cite, .. } = &desk.state().blocks[0].content else { panic!() };
    assert_eq!(cite.as_deref(), Some("Hamlet"));
}

#[test]
fn fields_of_a_block_that_are_not_given_stay() {
    let mut desk = Desk::new();
    let blocks = json!([
        {"kind": "heading", "level": 2, "text": "Head"},
        {"kind": "list", "items": ["a", "b"], "ordered": true},
        {"kind": "image", "uri": "https://x.test/a.jpg", "alt": "A", "credit": "C"},
    ]);
    let data = json!({"slug": "s", "language": "en", "blocks": blocks});
    desk.given("ana", json!({"type": "draft", "data": data}));
    desk.ops(
        "ana",
        json!([
            replace("b1", "Kopf"),
            {"op": "replace", "block": "b2", "items": ["c"]},
            {"op": "replace", "block": "b3", "alt": null, "caption": "Cap"},
        ]),
    );
    let shown = serde_json::to_value(
        desk.state().blocks.iter().map(|b| b.content.clone().map(|t| t.plain())).collect::<Vec<_>>(),
    );
    assert_eq!(
        shown.unwrap(),
        json!([
            {"kind": "heading", "level": 2, "text": "Kopf"},
            {"kind": "list", "items": ["c"], "ordered": true},
            {"kind": "image", "uri": "https://x.test/a.jpg", "caption": "Cap", "credit": "C"},
        ])
    );
}

#[test]
fn words_keep_their_writers_through_an_edit() {
    let mut desk = Desk::drafted(&["Ana wrote this sentence."]);
    desk.ops("emil", json!([replace("b1", "Ana wrote this *long* sentence.")]));
    let block = desk.state().blocks[0].clone();
    let runs: Vec<(String, String)> = block
        .content
        .texts()
        .flat_map(|text| text.runs())
        .map(|run| (run.by.to_string(), run.text.trim().to_owned()))
        .collect();
    let theirs = |name: &str| -> String {
        let texts = runs.iter().filter(|(by, _)| by == name).map(|(_, text)| text.as_str());
        texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!((theirs("ana").as_str(), theirs("emil").as_str()), ("Ana wrote this sentence.", "long"));
}

#[test]
fn each_limit_of_an_article_holds_at_and_over() {
    let mut desk = Desk::drafted(&["One."]);
    let many = |n: usize| json!((0..n).map(|at| insert(None, &format!("{at}"))).collect::<Vec<_>>());
    let most = crate::limits::BLOCKS;
    let over = desk.refused("eva", json!({"type": "edit", "data": {"ops": many(most)}}), Code::TooLarge);
    assert_eq!(over.limit.as_deref(), Some("blocks"));
    desk.ops("eva", many(most - 1));
    assert_eq!(desk.state().blocks.len(), most);
    let mut desk = Desk::drafted(&["One."]);
    let room = crate::limits::ARTICLE_BYTES - desk.state().bytes() + "One.".len();
    let over = json!({"type": "edit", "data": {"ops": [replace("b1", &"x".repeat(room + 1))]}});
    assert_eq!(desk.refused("eva", over, Code::TooLarge).limit.as_deref(), Some("article"));
    desk.ops("eva", json!([replace("b1", &"x".repeat(room))]));
    for (n, fits) in [(crate::limits::KEYWORDS, true), (crate::limits::KEYWORDS + 1, false)] {
        let mut desk = Desk::drafted(&["One."]);
        let keywords: Vec<String> = (0..n).map(|at| format!("k{at}")).collect();
        let command = json!({"type": "edit", "data": {"set": {"keywords": keywords}}});
        if fits {
            desk.given("eva", command);
        } else {
            let problem = desk.refused("eva", command, Code::TooLarge);
            assert_eq!(problem.limit.as_deref(), Some("keywords"));
        }
    }
}

#[test]
fn an_event_that_would_be_too_big_is_refused() {
    let mut desk = Desk::drafted(&["One."]);
    let patchwork = "a*b*".repeat(30_000);
    let command = json!({"type": "edit", "data": {"ops": [replace("b1", &patchwork)]}});
    assert_eq!(desk.refused("eva", command, Code::TooLarge).limit.as_deref(), Some("event"));
}

#[test]
fn two_thousand_operations_on_two_thousand_blocks_are_decided_in_time() {
    let texts: Vec<String> = (0..2_000).map(|at| format!("Paragraph {at} says this.")).collect();
    let mut desk = Desk::drafted(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let ops: Vec<_> = (1..=2_000)
        .map(|at| match at % 3 {
            0 => replace(&format!("b{at}"), "Changed."),
            1 => shift(&format!("b{at}"), None),
            _ => delete(&format!("b{at}")),
        })
        .collect();
    let start = std::time::Instant::now();
    desk.try_when("eva", json!({"type": "edit", "data": {"ops": ops}})).unwrap();
    assert!(start.elapsed().as_secs() < 20, "unoptimised, on a busy machine: {:?}", start.elapsed());
}

#[test]
fn two_operations_on_a_block_in_one_command_keep_each_others_fields() {
    let mut desk = Desk::drafted(&["One."]);
    let image = json!({"kind": "image", "uri": "https://x.test/a.jpg", "caption": "Old", "credit": "C"});
    desk.ops("ana", json!([{"op": "insert", "after": "b1", "block": image}]));
    let caption = json!({"op": "replace", "block": "b2", "caption": "New"});
    let credit = json!({"op": "replace", "block": "b2", "credit": "AP"});
    desk.ops("ana", json!([caption, credit]));
    let shown = serde_json::to_string(&desk.state().blocks[1].content).unwrap();
    assert!(shown.contains("New") && shown.contains("AP") && !shown.contains("Old"), "{shown}");
}

/// What took gigabytes: each operation makes anew all that it leaves as it was.
#[test]
fn thousands_of_replacements_of_a_long_block_are_refused_before_they_are_made() {
    let long = "word ".repeat(limits::ARTICLE_BYTES / 5 - 100);
    let mut desk = Desk::drafted(&[&long]);
    let same = json!({"op": "replace", "block": "b1"});
    let command = json!({"type": "edit", "base": 1, "data": {"ops": vec![same.clone(); 8_000]}});
    let problem = desk.refused("eva", command, Code::TooLarge);
    assert_eq!((problem.limit.as_deref(), problem.field.as_deref()), (Some("article"), Some("/data/ops/32")));
    let mut four_times = vec![same; 3];
    four_times.push(replace("b1", "Short."));
    desk.ops("eva", json!(four_times));
    assert_eq!(desk.words(), ["Short."]);
}

/// What took minutes: each item held against each.
#[test]
fn a_list_of_thousands_of_items_is_replaced_in_no_time() {
    let items = |word: &str, from: usize| -> Vec<String> {
        (0..9_000).map(|at| format!("{word}{}", at + from)).collect()
    };
    let list = |items: Vec<String>| json!({"kind": "list", "ordered": false, "items": items});
    let mut desk = Desk::drafted(&["One."]);
    desk.ops("ana", json!([{"op": "insert", "after": "b1", "block": list(items("a", 0))}]));
    let start = std::time::Instant::now();
    desk.ops("eva", json!([{"op": "replace", "block": "b2", "items": items("a", 1)}]));
    desk.ops("eva", json!([{"op": "replace", "block": "b2", "items": items("b", 0)}]));
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "unoptimised: {:?}", start.elapsed());
}

#[test]
fn a_block_moved_and_then_rewritten_still_conflicts_with_another_move() {
    let mut desk = Desk::drafted(THREE);
    desk.ops("ana", json!([shift("b3", None)]));
    desk.ops("ana", json!([replace("b3", "Tre.")]));
    let command = json!({"type": "edit", "base": 1, "data": {"ops": [shift("b3", Some("b1"))]}});
    let problem = desk.refused("emil", command, Code::Conflict);
    assert_eq!((problem.conflicts[0].by.as_str(), problem.conflicts[0].revision), ("ana", 2));
}

#[test]
fn a_block_made_since_base_is_not_written_over() {
    let mut desk = Desk::drafted(THREE);
    desk.ops("ana", json!([insert(Some("b3"), "Four.")]));
    for op in [replace("b4", "Quattro."), delete("b4")] {
        let command = json!({"type": "edit", "base": 1, "data": {"ops": [op]}});
        assert_eq!(desk.refused("eva", command, Code::Conflict).conflicts[0].by, "ana");
    }
}

#[test]
fn a_field_that_was_changed_and_changed_back_since_base_conflicts_with_nothing() {
    let headline =
        |base: u32, words: &str| json!({"type": "edit", "base": base, "data": {"set": {"headline": words}}});
    let mut desk = Desk::drafted(THREE);
    desk.given("ana", headline(1, "Mine"));
    desk.given("ana", headline(2, "A headline"));
    desk.given("eva", headline(1, "Yours"));
}

#[test]
fn a_field_sent_as_it_was_at_base_leaves_what_another_made_of_it() {
    let mut desk = Desk::drafted(THREE);
    desk.given("ana", json!({"type": "edit", "data": {"set": {"headline": "Mine"}}}));
    let set = json!({"headline": "A headline", "byline": "B"});
    desk.given("eva", json!({"type": "edit", "base": 1, "data": {"set": set}}));
    let headline = desk.state().fields.text(FieldName::Headline).map(|text| text.plain());
    assert_eq!(headline.as_deref(), Some("Mine"));
}

#[test]
fn an_insert_after_a_block_deleted_meanwhile_does_not_follow_one_that_moved_away() {
    let mut desk = Desk::drafted(&["1", "2", "3", "4"]);
    desk.ops("ana", json!([shift("b1", Some("b4")), delete("b2")]));
    desk.ops_from(1, "eva", json!([insert(Some("b2"), "after two")]));
    assert_eq!(desk.words(), ["after two", "3", "4", "1"]);
}

#[test]
fn an_insert_comes_after_a_block_that_moved_to_its_place_meanwhile() {
    let mut desk = Desk::drafted(THREE);
    desk.ops("ana", json!([shift("b3", Some("b1"))]));
    desk.ops_from(1, "eva", json!([insert(Some("b1"), "new")]));
    assert_eq!(desk.words(), ["One.", "Three.", "new", "Two."]);
}
