//! Who may do what, and in which order a command is checked.

use serde_json::{Value, json};

use super::Ask;
use super::testing::{Desk, delete, insert, replace};
use crate::problem::Code;

/// A well-formed command of every type.
fn command(kind: &str) -> Value {
    let data = match kind {
        "draft" => json!({"slug": "s", "language": "en"}),
        "edit" => json!({"ops": [insert(None, "New.")]}),
        "restore" => json!({"revision": 1}),
        "claim" => json!({"quote": "He won", "kind": "fact"}),
        "cite" => json!({"claim": "c1", "title": "A source"}),
        "rule" => json!({"claim": "c1", "verdict": "supported"}),
        "drop" => json!({"claim": "c1", "reason": "Why."}),
        "ask" => json!({"text": "Why?"}),
        "answer" => json!({"query": "q1", "text": "So."}),
        "return" => json!({"reason": "Why."}),
        "withdraw" => json!({"notice": "Gone."}),
        "assign" => json!({"writers": ["ana"]}),
        "embargo" => json!({"until": null}),
        "restrict" => json!({"people": null}),
        "waive" => json!({"reasons": [{"code": "not_approved"}], "reason": "Why."}),
        "redact" => json!({"words": "She lost", "ground": "A court's order."}),
        "confirm_redaction" => json!({"words": "She lost"}),
        _ => json!({}),
    };
    json!({"type": kind, "data": data})
}

/// Who may, by the table of DESIGN.md; machines are `bot`.
fn may(kind: &str) -> &'static [&'static str] {
    match kind {
        "draft" => &["ana", "emil", "cara", "bot"],
        "edit" => &["ana", "eva", "emil", "cara", "carl", "bot"],
        "submit" => &["ana", "eva", "emil", "cara", "carl"],
        "restore" | "return" | "approve" | "assign" | "embargo" | "restrict" | "spike" | "revive" => {
            &["eva", "emil", "carl"]
        }
        "ask" => &["ana", "eva", "emil", "chen", "cara", "pia", "carl", "bot"],
        "answer" => &["ana", "eva", "emil", "chen", "cara", "pia", "carl"],
        "claim" => &["ana", "eva", "emil", "chen", "cara", "carl", "bot"],
        "cite" => &["ana", "emil", "chen", "cara", "bot"],
        "rule" | "drop" => &["chen", "cara"],
        "publish" | "unschedule" | "withdraw" => &["pia", "carl"],
        "waive" | "redact" => &["carl"],
        "confirm_redaction" => &["eva", "emil", "carl"],
        other => panic!("who may {other}?"),
    }
}

const ALL: &[&str] = &["ana", "eva", "emil", "chen", "cara", "pia", "carl", "audra", "bot", "nobody", "desk"];

fn story() -> Desk {
    let mut desk = Desk::drafted(&["He won. She lost."]);
    desk.claim("He won");
    desk.given("ana", command("ask"));
    desk
}

#[test]
fn every_command_is_open_to_its_roles_and_to_nobody_else() {
    let mut desk = story();
    for kind in Ask::TYPES {
        for actor in ALL {
            let refused = desk.try_when(actor, command(kind)).err().map(|problem| problem.code);
            let allowed = may(kind).contains(actor);
            assert_eq!(refused != Some(Code::Forbidden), allowed, "{actor} {kind}: {refused:?}");
        }
    }
}

/// Each of these has one role alone.
const ROLES: [&str; 7] = ["ana", "eva", "chen", "pia", "carl", "audra", "bot"];

#[test]
fn the_page_about_the_configuration_says_who_may_do_what() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CONFIGURATION.md");
    let page = std::fs::read_to_string(page).unwrap();
    let header = "| command | reporter | editor | checker | publisher | chief | auditor | machine |";
    let (_, table) = page.split_once(header).expect(header);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip_while(|line| !line.starts_with("| `"))
        .take_while(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let named: Vec<&str> = rows.iter().map(|row| row[1].trim_matches('`')).collect();
    for kind in Ask::TYPES {
        let row = named.iter().position(|name| name == kind).unwrap_or_else(|| panic!("no row for {kind}"));
        for (column, actor) in ROLES.iter().enumerate() {
            let says = rows[row][column + 2];
            assert!(["", "yes"].contains(&says), "{kind}, {actor}: {says}");
            assert_eq!(says == "yes", may(kind).contains(actor), "{kind}, {actor}");
        }
    }
    assert_eq!(named.len(), Ask::TYPES.len(), "{named:?}");
}

#[test]
fn a_machine_that_only_audits_changes_nothing() {
    let mut desk = story();
    desk.newsroom.set.people.get_mut("bot").unwrap().roles = vec![crate::newsroom::Role::Auditor];
    for kind in Ask::TYPES {
        desk.refused("bot", command(kind), Code::Forbidden);
    }
}

#[test]
fn each_check_comes_before_the_next() {
    let late = json!("2026-01-31T08:59:59Z");
    let all_wrong = |mut command: Value| {
        command["not_after"] = late.clone();
        command["expect"] = json!(99);
        command["base"] = json!(77);
        command
    };
    let mut desk = story();
    // Shape before role, role before existence.
    desk.refused("nobody", json!({"type": "approve", "base": 77, "data": {"x": 1}}), Code::UnknownField);
    desk.refused("nobody", all_wrong(command("approve")), Code::Forbidden);
    let mut none = Desk::new();
    none.refused("ana", all_wrong(command("approve")), Code::Forbidden);
    none.refused("eva", all_wrong(command("approve")), Code::NotFound);
    desk.refused("ana", all_wrong(command("draft")), Code::Exists);
    // Then `not_after`, `expect`, stage, base, the rest.
    desk.refused("eva", all_wrong(command("approve")), Code::Expired);
    let mut step = all_wrong(command("approve"));
    step["not_after"] = json!("2026-01-31T09:00:00Z");
    let problem = desk.refused("eva", step.clone(), Code::VersionMismatch);
    assert_eq!(problem.version, Some(desk.state().version));
    step["expect"] = json!(desk.state().version);
    desk.refused("eva", step.clone(), Code::WrongStage);
    desk.given("ana", command("submit"));
    step["expect"] = json!(desk.state().version);
    assert_eq!(desk.refused("eva", step.clone(), Code::Invalid).field.as_deref(), Some("/base"));
    step["base"] = json!(1);
    desk.given("eva", step);
}

#[test]
fn expect_holds_to_the_version_and_for_a_draft_to_none() {
    let mut desk = Desk::new();
    let mut draft = command("draft");
    draft["expect"] = json!(1);
    desk.refused("ana", draft.clone(), Code::VersionMismatch);
    draft["expect"] = json!(0);
    draft["base"] = json!(1);
    assert_eq!(desk.refused("ana", draft.clone(), Code::Invalid).field.as_deref(), Some("/base"));
    draft["base"] = json!(null);
    desk.given("ana", draft);
}

#[test]
fn nothing_can_be_done_to_what_was_withdrawn_for_good() {
    let mut desk = Desk::published(&["He won."]);
    desk.given("pia", json!({"type": "withdraw", "data": {"notice": "Gone.", "final": true}}));
    // What the law asks for is done all the same.
    let others = ["draft", "redact", "confirm_redaction"];
    for kind in Ask::TYPES.iter().filter(|kind| !others.contains(kind)) {
        let actor = may(kind)[0];
        let mut command = command(kind);
        command["not_after"] = json!("2020-01-01T00:00:00Z");
        desk.refused(actor, command, Code::Withdrawn);
    }
    desk.refused("pia", command("rule"), Code::Forbidden);
}

#[test]
fn a_spiked_article_takes_only_questions_and_its_revival() {
    let mut desk = story();
    std::sync::Arc::make_mut(desk.states.last_mut().unwrap()).spiked = true;
    assert!(desk.gate().contains(&"spiked"));
    for kind in Ask::TYPES {
        let code = desk.try_when(may(kind)[0], command(kind)).err().map(|problem| problem.code);
        let expected = match *kind {
            "ask" | "answer" | "restrict" | "revive" => None,
            "draft" => Some(Code::Exists),
            "withdraw" | "unschedule" => Some(Code::WrongStatus),
            _ => Some(Code::WrongStage),
        };
        assert_eq!(code, expected, "{kind}");
    }
}

#[test]
fn every_stage_takes_the_commands_it_should() {
    // draft, in review, approved
    for (kind, expected) in [
        ("submit", [None, Some(Code::WrongStage), Some(Code::WrongStage)]),
        ("return", [Some(Code::WrongStage), None, None]),
        ("approve", [Some(Code::WrongStage), None, None]),
        ("publish", [Some(Code::GateShut), Some(Code::GateShut), None]),
        ("withdraw", [Some(Code::WrongStatus); 3]),
        ("edit", [None; 3]),
        ("claim", [None; 3]),
        ("ask", [None; 3]),
    ] {
        let mut desk = Desk::drafted(&["He won. She lost."]);
        for (at, expected) in expected.into_iter().enumerate() {
            match at {
                1 => _ = desk.given("ana", command("submit")),
                2 => _ = desk.given("eva", command("approve")),
                _ => {}
            }
            let actor = if kind == "approve" { "carl" } else { may(kind)[0] };
            let code = desk.try_when(actor, command(kind)).err().map(|problem| problem.code);
            assert_eq!(code, expected, "{kind} at {:?}", desk.stage());
        }
    }
}

#[test]
fn an_events_time_is_never_before_the_articles_last() {
    let mut desk = story();
    let last = desk.state().updated;
    desk.now -= chrono::TimeDelta::hours(1);
    desk.ops("ana", json!([replace("b1", "Other.")]));
    assert_eq!(desk.state().updated, last);
    desk.ops("ana", json!([delete("b1")]));
}
