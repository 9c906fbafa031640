//! What holds for every sequence of commands, by anyone, valid or not, from fresh and from stale bases.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::article::Article;
use crate::claims::{self, ClaimState};
use crate::command::Data;
use crate::command::testing::Desk;
use crate::fields::FieldName;
use crate::gate::{Reason, ReasonCode, gate};
use crate::problem::Code;
use crate::text::markdown;
use crate::workflow::is_waivable;

const ACTORS: &[&str] = &["ana", "eva", "emil", "chen", "cara", "pia", "carl", "bot", "audra", "nobody"];
const SENTENCES: &[&str] = &[
    "He won twelve votes.",
    "He won thirteen votes.",
    "She said “no”.",
    "It was *cold* that day.",
    "It was cold that day.",
    "Nobody **came**, and [all](https://x.test/a_b) left.",
    "1\\. Not a list * with a star.",
    "Cafe\u{301} # noir.",
];

/// Numbers that a step draws what it does from.
type Dice = [u8; 6];

fn pick<'a>(from: &[&'a str], die: u8) -> &'a str {
    from[die as usize % from.len()]
}

fn text(dice: &Dice) -> String {
    let count = dice[3] as usize % 3 + 1;
    (0..count)
        .map(|at| pick(SENTENCES, dice[4].wrapping_add((at as u8).wrapping_mul(dice[5]))))
        .collect::<Vec<_>>()
        .join(" ")
}

fn block(dice: &Dice) -> Value {
    let text = text(dice);
    match dice[2] % 8 {
        0 => json!({"kind": "heading", "level": dice[4] % 6 + 1, "text": text}),
        1 => json!({"kind": "quote", "text": text, "cite": "Someone"}),
        2 => {
            json!({"kind": "list", "items": [text, "An item.", pick(SENTENCES, dice[5])], "ordered": dice[4].is_multiple_of(2)})
        }
        3 => {
            json!({"kind": "image", "uri": "https://x.test/a%20b(1).jpg", "alt": text, "caption": pick(SENTENCES, dice[5]),
            "credit": "Her", "rights": "All"})
        }
        _ => json!({"kind": "paragraph", "text": text}),
    }
}

/// A command made from the dice, on what is there now or not.
fn command(desk: &Desk, dice: &Dice) -> Value {
    let state = desk.state();
    let id = |die: u8| match state.blocks.len() {
        0 => "b1".to_owned(),
        count => state.blocks[die as usize % (count + 1) % count].id.to_string(),
    };
    let after = if dice[5].is_multiple_of(4) { Value::Null } else { json!(id(dice[5])) };
    let claim = format!("c{}", dice[2] % 6 + 1);
    let quote = pick(&["He won", "won thirteen votes", "She said", "cold that day", "A headline"], dice[4]);
    let mut command = match dice[1] % 45 {
        _ if state.schedule.is_some() && dice[2].is_multiple_of(6) => json!({"type": "unschedule"}),
        0..=2 => {
            json!({"type": "edit", "data": {"ops": [{"op": "insert", "after": after, "block": block(dice)}]}})
        }
        3..=5 => json!({"type": "edit", "data": {"ops": [
            {"op": "replace", "block": id(dice[2]), "kind": "paragraph", "text": text(dice)}]}}),
        6 => json!({"type": "edit", "data": {"ops": [{"op": "delete", "block": id(dice[2])}]}}),
        7 => json!({"type": "edit", "data": {"ops": [
            {"op": "move", "block": id(dice[2]), "after": after}, {"op": "delete", "block": id(dice[4])},
            {"op": "insert", "after": id(dice[4]), "block": block(dice)}]}}),
        8 => {
            json!({"type": "edit", "data": {"set": {"headline": pick(SENTENCES, dice[4]), "urgency": dice[5] % 9 + 1}}})
        }
        9 => {
            json!({"type": "edit", "data": {"set": {"standfirst": if dice[5].is_multiple_of(3) { Value::Null } else { json!(text(dice)) }}}})
        }
        10 => {
            let mut body = markdown::write(state.blocks.iter().map(|block| &block.content));
            body.push_str(&format!("\n{}\n", text(dice)));
            json!({"type": "edit", "data": {"markdown": body.replace("twelve", "a dozen")}})
        }
        11 => {
            json!({"type": "restore", "data": {"revision": u32::from(dice[2]) % state.revision.max(1) + 1}})
        }
        12 | 13 => {
            json!({"type": "claim", "data": {"quote": quote, "kind": "fact", "material": !dice[5].is_multiple_of(4)}})
        }
        14..=17 => {
            // Mostly a claim that waits for a verdict, on the words that stand there now.
            let waits = |claim: &&std::sync::Arc<claims::Claim>| {
                matches!(claim.state, ClaimState::Unruled | ClaimState::Stale)
            };
            let verdict =
                pick(&["supported", "supported", "supported", "inaccurate", "unverifiable"], dice[4]);
            match state.claims.values().find(waits).filter(|_| !dice[5].is_multiple_of(4)) {
                Some(claim) => json!({"type": "rule", "data": {
                    "claim": claim.id, "verdict": verdict, "quote": claim.sentence}}),
                None => json!({"type": "rule", "data": {"claim": claim, "verdict": verdict}}),
            }
        }
        18 => json!({"type": "drop", "data": {"claim": claim, "reason": "So."}}),
        19 => json!({"type": "ask", "data": {"text": "Why?", "blocking": dice[4].is_multiple_of(3)}}),
        20 => {
            let open = state.blocking_queries().next().map_or("q1".to_owned(), |query| query.id.to_string());
            json!({"type": "answer", "data": {"query": open, "text": "So."}})
        }
        21 => json!({"type": "return", "data": {"reason": "So."}}),
        22..=24 => json!({"type": "submit"}),
        25..=28 => json!({"type": "approve"}),
        29 => json!({"type": "withdraw", "data": {"notice": "Gone."}}),
        30 => json!({"type": "assign", "data": {"writers": ["ana"], "due": null}}),
        31 => json!({"type": "waive", "data": {
            "reasons": [{"code": pick(&["not_approved", "claim_unruled", "verdict_stale"], dice[2])}], "reason": "So."}}),
        32 => {
            let until = desk.now + TimeDelta::minutes(i64::from(dice[2] % 4) * 30);
            json!({"type": "embargo", "data": {"until": if dice[4].is_multiple_of(3) { json!(null) } else { json!(until) }}})
        }
        33 => {
            json!({"type": "restrict", "data": {"people": if dice[2].is_multiple_of(2) { json!(null) } else { json!(["ana", "chen"]) }}})
        }
        34 => json!({"type": "unschedule"}),
        35 => json!({"type": if dice[2].is_multiple_of(8) { "spike" } else { "revive" }}),
        36..=40 => {
            let at = desk.now + TimeDelta::minutes(i64::from(dice[2] % 4) * 30);
            json!({"type": "publish", "data": {"at": at, "note": "Later."}})
        }
        // Words that stand in reasons and answers, and in no text.
        41 if dice[2].is_multiple_of(2) => {
            json!({"type": "redact", "data": {"words": "So.", "ground": "An order."}})
        }
        41 => json!({"type": "confirm_redaction", "data": {"words": "So."}}),
        _ => json!({"type": "publish", "data": {"note": "What readers are told."}}),
    };
    if dice[0].is_multiple_of(4) {
        command["base"] =
            json!(u32::from(dice[3]) % (state.revision + 1) + u32::from(!dice[3].is_multiple_of(7)));
    }
    command
}

/// A change of few words among few, or a verdict on some of them.
fn reworded(desk: &Desk, dice: &Dice) -> Value {
    const WORDS: &[&str] = &[
        "He won twelve votes.",
        "He won nine votes.",
        "It was on May 7. He won nine votes.",
        "He won nine votes. He won twelve votes.",
        "Others won.",
    ];
    let (block, words) = (pick(&["b1", "b2", "b3", "b4", "b5"], dice[2]), pick(WORDS, dice[3]));
    match dice[1] % 16 {
        0 => json!({"type": "edit", "data": {"ops": [{"op": "delete", "block": block}]}}),
        2 => json!({"type": "edit", "data": {"set": {"language": pick(&["en", "de"], dice[2])}}}),
        4 => json!({"type": "edit", "data": {"set": {"standfirst": words}}}),
        6 => json!({"type": "restore", "data": {"revision": u32::from(dice[2]) % desk.state().revision + 1}}),
        8 | 10 => json!({"type": "edit", "data": {"ops": [
            {"op": "insert", "after": null, "block": {"kind": "paragraph", "text": words}}]}}),
        1 => json!({"type": "drop", "data": {"claim": "c1", "reason": "So."}}),
        odd if odd % 2 == 1 => json!({"type": "rule", "data": {"claim": "c1", "quote": words, "block": block,
            "verdict": pick(&["supported", "inaccurate", "misleading"], dice[4])}}),
        _ => json!({"type": "edit", "data": {"ops": [{"op": "replace", "block": block, "text": words}]}}),
    }
}

fn begun(dice: &[Dice]) -> Desk {
    let mut desk = Desk::new();
    let blocks: Vec<Value> = dice.iter().map(block).collect();
    let data = json!({"slug": "s", "language": "en", "headline": "A headline", "section": "world", "blocks": blocks});
    desk.given("ana", json!({"type": "draft", "data": data}));
    desk
}

/// Whoever may do it, mostly; sometimes whoever the dice say.
fn actor(command: &Value, dice: &Dice) -> &'static str {
    if dice[0].is_multiple_of(5) {
        return pick(ACTORS, dice[0] / 5);
    }
    match command["type"].as_str() {
        Some("rule" | "drop" | "claim") => "chen",
        Some("publish" | "withdraw" | "unschedule") => "pia",
        Some("assign" | "embargo" | "restrict" | "spike" | "revive") => pick(&["eva", "carl"], dice[0]),
        Some("waive" | "redact") => "carl",
        Some("confirm_redaction") => "eva",
        Some("approve" | "return" | "restore") => pick(&["eva", "carl", "emil"], dice[0]),
        Some("submit" | "answer") => "ana",
        _ => pick(&["ana", "emil", "bot"], dice[0]),
    }
}

/// Lets some time go by, and the clock do what is due; whether it did.
fn pass(desk: &mut Desk, dice: &Dice) -> bool {
    desk.now += TimeDelta::minutes(i64::from(dice[3] % 16));
    desk.clock().map(|decision| _ = desk.accept(decision)).is_ok()
}

fn what_was_found_false_is_held(desk: &Desk) {
    let (state, now) = (desk.state(), gate(desk.state(), &desk.newsroom, desk.now));
    for claim in state.claims.values().filter(|claim| claim.state != ClaimState::Dropped) {
        let rulings = claim.ruling.iter().chain(claim.earlier.iter().map(|earlier| &earlier.ruling));
        let says_something = |ruling: &&claims::Ruling| ruling.sentence.chars().any(char::is_alphanumeric);
        for ruling in rulings.filter(says_something) {
            let last = claim.ruling_on(&ruling.sentence).unwrap();
            if last.verdict.is_adverse() && claims::stands(state, &ruling.sentence) {
                let holds = |reason: &Reason| {
                    reason.claim == Some(claim.id) && reason.code == ReasonCode::VerdictAdverse
                };
                assert!(now.reasons.iter().any(holds), "{}: found false, and out", claim.id);
            }
        }
    }
}

fn holds(desk: &Desk, given: &mut BTreeSet<String>) {
    let state = desk.state();
    let event = desk.events.last().unwrap();
    assert_eq!(event.articleversion as usize, desk.events.len(), "versions have no gap");
    for block in &event.data.said().blocks {
        assert!(given.insert(block.to_string()), "{block} is given twice");
    }
    let ids: BTreeSet<_> = state.blocks.iter().map(|block| block.id).collect();
    assert_eq!(ids.len(), state.blocks.len(), "every block's id is its own");
    for claim in state.claims.values() {
        if claim.state == ClaimState::Ruled {
            assert!(claims::stands(state, &claim.sentence), "no verdict floats: {}", claim.id);
            assert_eq!(claim.sentence, claim.ruling.as_ref().unwrap().sentence);
        }
    }
    let now = gate(state, &desk.newsroom, desk.now);
    what_was_found_false_is_held(desk);
    assert_eq!(now.open, now.reasons.is_empty());
    if now.open && now.waived.is_empty() {
        let holding = state.claims.values().filter(|claim| claim.material && claim.is_live());
        for claim in holding {
            assert_eq!(claim.state, ClaimState::Ruled);
            assert_eq!(claim.ruling.as_ref().unwrap().verdict, claims::Verdict::Supported);
        }
        assert!(state.good_approvals() >= 1 && state.blocking_queries().next().is_none());
    }
    let before = desk.states.iter().rev().nth(1);
    if let (Data::Published(_), Some(before)) = (&event.data, before) {
        assert!(gate(before, &desk.newsroom, desk.now).open, "nothing goes out through a shut gate");
        assert!(state.writers.is_empty() && state.schedule.is_none());
        assert!(before.embargo.is_none_or(|until| until <= event.time), "nothing leaves under embargo");
    }
    for reason in &now.waived {
        assert!(is_waivable(reason, state), "{reason:?}");
    }
    if let Data::Redacted(_) = &event.data {
        let replaced = desk.replaced();
        let shown = serde_json::to_value(&replaced).unwrap();
        assert!(!crate::redaction::holds(&shown, "So."), "{shown}");
        assert_eq!((&replaced.blocks, &replaced.fields), (&state.blocks, &state.fields));
    }
    if let Data::Restored(restored) = &event.data {
        let then = desk.states.iter().find(|then| then.revision == restored.from).unwrap();
        let words = |a: &crate::article::Article| {
            a.blocks.iter().map(|block| (block.id, block.content.clone())).collect::<Vec<_>>()
        };
        assert!(words(then) == words(state), "words, marks and writers are those of then");
        for name in FieldName::ALL {
            assert!(then.fields.value(*name) == state.fields.value(*name));
        }
    }
    assert!(state.writers.is_subset(&state.all_writers) && state.machines.is_subset(&state.all_writers));
    for by in state.texts().flat_map(|text| text.writers()).chain(state.deleted.values().map(|gone| &gone.by))
    {
        assert!(state.all_writers.contains(by), "{by} wrote or cut");
    }
    if !event.data.revises() {
        let before = before.unwrap();
        assert!(before.blocks == state.blocks && before.fields == state.fields);
    }
}

fn sent_back_is_nothing_new(desk: &mut Desk) {
    let body = markdown::write(desk.state().blocks.iter().map(|block| &block.content));
    let command = json!({"type": "edit", "data": {"markdown": body}});
    if desk.state().spiked {
        desk.given("carl", json!({"type": "revive"}));
    }
    // A chief sees what is restricted.
    match desk.try_when("carl", command) {
        Err(problem) => assert_eq!(problem.code, Code::NothingNew, "{problem:?}\n{body}"),
        Ok(decision) => panic!("changes {:?}\n{body}", decision.event.data),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_commands_keeps_every_promise(
        first in prop::collection::vec(any::<Dice>(), 0..5),
        steps in prop::collection::vec(any::<Dice>(), 1..60),
    ) {
        let mut desk = begun(&first);
        let mut given = BTreeSet::new();
        holds(&desk, &mut given);
        for dice in &steps {
            let command = command(&desk, dice);
            let actor = actor(&command, dice);
            if let Ok(decision) = desk.try_when(actor, command) {
                desk.accept(decision);
                holds(&desk, &mut given);
            }
            if pass(&mut desk, dice) {
                holds(&desk, &mut given);
            }
        }
        sent_back_is_nothing_new(&mut desk);
    }

    #[test]
    fn two_edits_from_one_base_lose_nothing(one in any::<Dice>(), two in any::<Dice>(), order: bool) {
        let mut desk = Desk::drafted(&["First.", "Second.", "Third.", "Fourth."]);
        let edit = |dice: &Dice, by: &str| {
            let block = format!("b{}", dice[2] % 4 + 1);
            (block.clone(), json!({"type": "edit", "base": 1, "data": {"ops": [
                {"op": "replace", "block": block, "text": format!("{} {by}", text(dice))}]}}))
        };
        let ((at_one, one), (at_two, two)) = (edit(&one, "ana"), edit(&two, "emil"));
        let mut both = [("ana", one), ("emil", two)];
        if order {
            both.reverse();
        }
        let [(first, sooner), (second, later)] = both;
        desk.given(first, sooner);
        if at_one == at_two {
            let problem = desk.refused(second, later, Code::Conflict);
            let conflict = &problem.conflicts[0];
            prop_assert!(conflict.theirs.as_ref().unwrap().as_str().unwrap().ends_with(first));
            prop_assert!(conflict.yours.as_ref().unwrap().as_str().unwrap().ends_with(second));
        } else {
            desk.given(second, later);
            let words = desk.words().join("|");
            prop_assert!(words.contains(" ana") && words.contains(" emil"));
        }
    }

    #[test]
    fn a_whole_body_from_an_older_base_merges_with_edits_elsewhere(mine in 0usize..6, theirs in 0usize..6, dice in any::<Dice>()) {
        let paragraphs: Vec<String> = (0..6).map(|at| format!("Paragraph number {at} stands here.")).collect();
        let mut desk = Desk::drafted(&paragraphs.iter().map(String::as_str).collect::<Vec<_>>());
        let body = markdown::write(desk.state().blocks.iter().map(|block| &block.content));
        desk.ops("emil", json!([
            {"op": "replace", "block": format!("b{}", theirs + 1), "text": format!("{} theirs", text(&dice))},
            {"op": "insert", "after": "b6", "block": {"kind": "paragraph", "text": "Added."}}]));
        let body = body.replace(&format!("number {mine} stands"), &format!("number {mine} now stands"));
        let command = json!({"type": "edit", "base": 1, "data": {"markdown": body}});
        if mine == theirs {
            desk.refused("ana", command, Code::Conflict);
        } else {
            desk.given("ana", command);
            let words = desk.words();
            let kept = words[mine].contains("now stands") && words[theirs].ends_with("theirs");
            prop_assert!(kept);
            prop_assert_eq!(words[6].as_str(), "Added.");
        }
    }
}

/// The sequences above prove nothing where they reach nothing.
#[test]
fn random_commands_reach_every_event_and_an_open_gate() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let steps = prop::collection::vec(any::<Dice>(), 60);
    let (mut reached, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..60 {
        let mut desk = begun(&[[3; 6]]);
        for dice in steps.new_tree(&mut runner).unwrap().current() {
            let command = command(&desk, &dice);
            let actor = actor(&command, &dice);
            match desk.try_when(actor, command) {
                Ok(decision) => _ = desk.accept(decision),
                Err(problem) => _ = refused.insert(problem.code.name()),
            }
            pass(&mut desk, &dice);
        }
        reached.extend(desk.events.iter().map(|event| event.data.kind().to_owned()));
    }
    let missing: Vec<_> = Data::TYPES
        .iter()
        .filter(|kind| !reached.contains(**kind) && !kind.ends_with("evidence_cited"))
        .collect();
    assert!(missing.is_empty(), "never {missing:?}");
    for code in
        ["conflict", "gate_shut", "four_eyes", "forbidden", "nothing_new", "wrong_stage", "quote_not_found"]
    {
        assert!(refused.contains(code), "never {code}: {refused:?}");
    }
}

/// Newsroom text must not end up in logs by way of `Debug` (promise 7).
#[test]
fn debug_shows_no_newsroom_text() {
    const CANARY: &str = "CANARYWORD";
    let mut desk = Desk::new();
    let image = json!({"uri": "https://x.test/CANARYWORD", "alt": CANARY, "caption": CANARY, "credit": CANARY, "rights": CANARY});
    let mut block = image.clone();
    block["kind"] = json!("image");
    let draft = json!({"type": "draft", "article": desk.article, "id": uuid::Uuid::from_u128(5), "data": {
        "slug": CANARY, "language": "en", "headline": CANARY, "standfirst": CANARY, "byline": CANARY,
        "dateline": CANARY, "section": "world", "keywords": [CANARY], "people": [CANARY], "image": image,
        "source": {"name": CANARY}, "blocks": [{"kind": "paragraph", "text": "A [CANARYWORD](https://x.test/CANARYWORD)."},
            {"kind": "quote", "text": CANARY, "cite": CANARY}, {"kind": "list", "items": [CANARY]}, block]}});
    let remarks = [
        json!({"type": "edit", "data": {"set": {"headline": "CANARYWORD 2", "keywords": ["CANARYWORD 2"]}, "ops": [
            {"op": "replace", "block": "b1", "text": "Two CANARYWORD."},
            {"op": "insert", "after": null, "block": {"kind": "paragraph", "text": CANARY}}]}}),
        json!({"type": "edit", "data": {"markdown": "CANARYWORD\n\n12 CANARYWORD"}}),
        json!({"type": "restore", "data": {"revision": 2}}),
        json!({"type": "ask", "data": {"text": CANARY}}),
        json!({"type": "claim", "data": {"quote": "CANARYWORD 2", "kind": "fact", "attributed_to": CANARY}}),
        json!({"type": "submit"}),
    ];
    let read = |command: &Value| {
        crate::command::Command::read(&serde_json::to_vec(command).unwrap(), crate::command::Hints::default())
    };
    let mut shown = format!("{:?}", read(&draft).unwrap());
    desk.given("ana", draft);
    for mut command in remarks {
        command["article"] = json!(desk.article);
        command["id"] = json!(uuid::Uuid::from_u128(100 + desk.events.len() as u128));
        command["base"] = json!(desk.state().revision);
        shown += &format!("{:?}", read(&command).unwrap());
        desk.given("emil", command);
    }
    let data = json!({"set": {"headline": "Mine CANARYWORD", "keywords": ["CANARYWORD 3"]}, "ops": [
        {"op": "replace", "block": "b1", "text": "Other CANARYWORD."}]});
    let conflict = desk.refused("ana", json!({"type": "edit", "base": 1, "data": data}), Code::Conflict);
    assert_eq!(conflict.conflicts.len(), 3);
    desk.newsroom.set.rules.coverage = crate::newsroom::Coverage::Hold;
    let shut = desk.refused("pia", json!({"type": "publish"}), Code::GateShut);
    let edition = {
        let record = crate::article::EditionRecord {
            number: 1,
            kind: crate::article::EditionKind::First,
            version: 9,
            revision: 1,
            time: desk.now,
            words: crate::event::Hex([0; 32]),
            note: Some(CANARY.into()),
        };
        crate::edition::Edition::would_be(desk.state(), &record)
    };
    shown += &format!(
        "{:?} {:?} {conflict:?} {shut:?} {edition:?} {}{}",
        desk.events, desk.states, conflict.detail, shut.detail
    );
    shown += &format!("{:?} {:?}", crate::coverage::checkable(desk.state()), edition.fields);
    let marked = "*CANARYWORD* [CANARYWORD](https://x.test/CANARYWORD) [x](javascript:CANARYWORD)";
    let document =
        format!("{marked}\n\n> CANARYWORD\n\n- CANARYWORD\n\n![CANARYWORD](https://x.test/CANARYWORD)");
    let (spans, dropped) = crate::text::marks::read(marked).unwrap();
    let (blocks, dropped_too) = markdown::read(&document).unwrap();
    let stored: Vec<_> = blocks
        .iter()
        .map(|block| block.clone().map(|spans| crate::text::attribute(&spans, None, &"ana".into())))
        .chain(desk.states[0].blocks.iter().map(|block| block.content.clone()))
        .collect();
    shown += &format!("{spans:?} {dropped:?} {dropped_too:?} {blocks:?} {stored:?}");
    assert_eq!((dropped.len(), dropped_too.len()), (1, 1));
    if let Some(at) = shown.find(CANARY) {
        panic!("…{}", &shown[at.saturating_sub(300)..at + 10]);
    }
    let bytes: String = CANARY.bytes().map(|byte| format!("{byte}, ")).collect();
    assert!(!shown.contains(&bytes), "nor as a list of its bytes");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words_found_false_hold_wherever_they_come_and_go(steps in proptest::collection::vec(any::<Dice>(), 1..40)) {
        let mut desk = Desk::drafted(&["He won twelve votes. It rained.", "She said “no”."]);
        desk.claim("He won");
        for dice in &steps {
            if let Ok(decision) = desk.try_when(pick(&["emil", "chen"], dice[1]), reworded(&desk, dice)) {
                desk.accept(decision);
                what_was_found_false_is_held(&desk);
            }
        }
    }

    /// In one language: in another the same words may be other sentences, and in doubt a verdict is stale.
    #[test]
    fn going_back_to_the_edition_leaves_nothing_stale(steps in proptest::collection::vec(any::<Dice>(), 1..40)) {
        let mut desk = Desk::drafted(&["He won twelve votes. It rained.", "She said “no”."]);
        desk.claim("He won");
        let claimed = |article: &Article| article.claims.values().next().unwrap().state;
        for dice in &steps {
            let step = reworded(&desk, dice);
            let step = Some(step).filter(|step| step["data"]["set"]["language"].is_null());
            if let Some(Ok(decision)) = step.map(|step| desk.try_when(pick(&["emil", "chen"], dice[1]), step)) {
                desk.accept(decision);
            }
            if claimed(desk.state()) == ClaimState::Ruled && dice[5].is_multiple_of(4) {
                for (actor, kind) in [("ana", "submit"), ("eva", "approve"), ("pia", "publish")] {
                    let data = if kind == "publish" { json!({"note": "So."}) } else { json!({}) };
                    let said = desk.try_when(actor, json!({"type": kind, "data": data}));
                    said.map(|decision| _ = desk.accept(decision)).unwrap_or_default();
                }
            }
            let out = desk.state().last_words_out().map(|edition| edition.revision);
            let back = out.map(|revision| json!({"type": "restore", "data": {"revision": revision}}));
            if let Some(Ok(back)) = back.map(|back| desk.try_when("emil", back)) {
                prop_assert_ne!(claimed(&back.article), ClaimState::Stale, "{:#?}", back.article.claims);
            }
        }
    }
}
