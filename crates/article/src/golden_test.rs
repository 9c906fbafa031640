//! Events as they were written must read and fold the same for ever (DESIGN.md, "The way of the data").
//!
//! `tests/golden/` keeps lines of stored events and, beside each, the article they fold to. With
//! `COPYDESK_BLESS=1` the stories below add the files that aren't there yet; what is there is never changed: a
//! build that folds it otherwise is wrong. What a build keeps beside it is named in `SINCE`.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::article::Article;
use crate::command::Data;
use crate::command::testing::{Desk, delete, insert, replace, shift};
use crate::event::{self, Event, Read};
use crate::problem::Code;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden"))
}

/// Members of an article that a fold has kept only since files were written that lack them.
const SINCE: &[&str] = &["all_writers"];
/// The same of a claim.
const SINCE_OF_CLAIMS: &[&str] = &["earlier", "found_false"];

/// The article in one readable form; members that are left out stand at their defaults.
fn state(article: &Article) -> String {
    state_since(article, &[])
}

/// The same without these members.
fn state_since(article: &Article, without: &[&str]) -> String {
    // Through `Value`, whose objects are sorted by key.
    let mut value = serde_json::to_value(article).unwrap();
    let leave_out = |value: &mut Value| {
        value.as_object_mut().unwrap().retain(|name, _| !without.contains(&name.as_str()));
    };
    leave_out(&mut value);
    value["claims"].as_object_mut().into_iter().flat_map(|claims| claims.values_mut()).for_each(leave_out);
    serde_json::to_string_pretty(&value).unwrap() + "\n"
}

fn lines(events: &[Event]) -> String {
    events.iter().map(|event| String::from_utf8(event::write(event).unwrap()).unwrap() + "\n").collect()
}

/// A story that goes straight through, with every event of that way.
fn every_event() -> Desk {
    let mut desk = Desk::new();
    let image = json!({"uri": "https://x.test/a.jpg", "alt": "A man", "caption": "The man in May.", "credit": "Ana", "rights": "All"});
    let mut block = image.clone();
    block["kind"] = json!("image");
    let data = json!({
    "slug": "every-event", "language": "en-GB", "headline": "Twelve votes for a man", "standfirst": "He won, they say.",
    "byline": "By Ana", "dateline": "Vilnius", "section": "world/europe", "urgency": 4, "keywords": ["votes", "men"],
    "subjects": ["medtop:20000065"], "people": ["A Man"], "organisations": ["A House"], "places": ["Vilnius"],
    "image": image, "related": ["https://x.test/related"],
    "source": {"name": "AP", "uri": "urn:x:1", "version": "2", "kind": "wire"},
    "blocks": [
        {"kind": "heading", "level": 2, "text": "A *heading*"},
        {"kind": "paragraph", "text": "He won **twelve** [votes](https://x.test/votes?a=1). She lost."},
        {"kind": "quote", "text": "“I won.”", "cite": "A Man"},
        {"kind": "list", "items": ["One.", "Two \\* two."], "ordered": true},
        {"kind": "list", "items": ["Bullet."]},
        block,
        {"kind": "image", "uri": "https://x.test/bare.jpg", "alt": "B", "credit": "C", "rights": "R"},
    ]});
    desk.given("bot", json!({"type": "draft", "data": data}));
    tick(&mut desk);
    let claim = json!({"quote": "twelve votes", "kind": "statistic", "attributed_to": "They", "block": "b2"});
    desk.given("ana", json!({"type": "claim", "data": claim}));
    desk.given(
        "chen",
        json!({"type": "claim", "data": {"quote": "Twelve votes", "kind": "fact", "material": false}}),
    );
    let evidence = json!({"claim": "c1", "title": "T", "url": "https://x.test/e", "sha256": "ab".repeat(32), "note": "N"});
    desk.given("chen", json!({"type": "cite", "data": evidence}));
    desk.given(
        "chen",
        json!({"type": "rule", "data": {"claim": "c1", "verdict": "inaccurate", "note": "Thirteen."}}),
    );
    let ask = json!({"text": "Sure?", "block": "b2", "to": "ana", "due": "2026-02-01T10:00:00+02:00"});
    desk.given("eva", json!({"type": "ask", "data": ask}));
    desk.given("eva", json!({"type": "ask", "data": {"text": "And?", "field": "byline", "blocking": false}}));
    desk.given("ana", json!({"type": "answer", "data": {"query": "q1", "text": "Yes."}}));
    tick(&mut desk);
    desk.given("emil", json!({"type": "edit", "data": {
        "set": {"headline": "Thirteen votes for a man", "byline": null, "urgency": 3},
        "ops": [replace("b2", "He won **thirteen** votes, and *more*. She lost."), shift("b3", None), delete("b5"),
            insert(Some("b2"), "A new one.")]}}));
    desk.given(
        "chen",
        json!({"type": "rule", "data": {"claim": "c1", "verdict": "supported", "quote": "thirteen votes"}}),
    );
    desk.given("chen", json!({"type": "drop", "data": {"claim": "c2", "reason": "Double."}}));
    desk.given("ana", json!({"type": "submit"}));
    desk.given("eva", json!({"type": "return", "data": {"reason": "Again."}}));
    desk.given("ana", json!({"type": "submit"}));
    desk.given("eva", json!({"type": "approve", "data": {"note": "Good."}}));
    tick(&mut desk);
    desk.given("pia", json!({"type": "publish"}));
    desk.given("ana", json!({"type": "edit", "data": {"ops": [delete("b2"), insert(None, "Half-made.")]}}));
    desk.given("eva", json!({"type": "restore", "data": {"revision": 2}}));
    desk.given("ana", json!({"type": "edit", "data": {"markdown": "## A heading\n\nHe won thirteen votes, and *more*. She lost.\n"}}));
    desk.given("eva", json!({"type": "approve"}));
    tick(&mut desk);
    desk.given(
        "pia",
        json!({"type": "publish", "data": {"kind": "correction", "note": "There were more votes."}}),
    );
    desk.given("pia", json!({"type": "withdraw", "data": {"notice": "We took it back."}}));
    desk.given("pia", json!({"type": "publish", "data": {"note": "It may come back."}}));
    desk.given("pia", json!({"type": "withdraw", "data": {"notice": "For good.", "final": true}}));
    desk
}

/// A story with everything that a newsroom does beside the words.
fn workflow() -> Desk {
    let mut desk = Desk::drafted(&["He won. She lost.", "Nobody came."]);
    let assign = json!({"writers": ["ana", "emil"], "editor": "eva", "checkers": ["chen"], "due": "2026-02-01T10:00:00Z"});
    desk.given("eva", json!({"type": "assign", "data": assign}));
    desk.given("chen", json!({"type": "claim", "data": {"quote": "He won", "kind": "fact"}}));
    desk.given("eva", json!({"type": "restrict", "data": {"people": ["ana", "chen", "pia"]}}));
    desk.given("eva", json!({"type": "spike", "data": {"reason": "Overtaken."}}));
    desk.given("eva", json!({"type": "revive"}));
    desk.given("eva", json!({"type": "embargo", "data": {"until": "2026-01-31T10:30:00+01:00"}}));
    desk.given("ana", json!({"type": "submit"}));
    let reasons = json!([{"code": "not_approved"}, {"code": "claim_unruled", "claim": "c1", "block": "b1"}]);
    desk.given("carl", json!({"type": "waive", "data": {"reasons": reasons, "reason": "The hour."}}));
    desk.given("pia", json!({"type": "publish", "data": {"at": "2026-01-31T10:00:00Z"}}));
    desk.given("pia", json!({"type": "unschedule"}));
    desk.given(
        "pia",
        json!({"type": "publish", "data": {"at": "2026-01-31T11:00:00Z", "note": "More to come."}}),
    );
    tick(&mut desk);
    tick(&mut desk);
    let published = desk.clock().unwrap();
    desk.accept(published);
    desk.given("eva", json!({"type": "restrict", "data": {"people": null}}));
    desk.given("ana", json!({"type": "edit", "data": {"set": {"headline": "He lost"}}}));
    desk.given("eva", json!({"type": "approve"}));
    desk.given(
        "carl",
        json!({"type": "waive", "data": {"reasons": [{"code": "claim_unruled"}], "reason": "Again."}}),
    );
    let correction = json!({"at": "2026-01-31T12:00:00Z", "kind": "correction", "note": "He lost."});
    desk.given("pia", json!({"type": "publish", "data": correction}));
    desk.given("eva", json!({"type": "ask", "data": {"text": "Sure?"}}));
    tick(&mut desk);
    tick(&mut desk);
    let held = desk.clock().unwrap();
    desk.accept(held);
    desk
}

/// A story with words that had to go.
fn redaction() -> Desk {
    let mut desk = Desk::drafted(&["It was John Doe. She lost.", "Nobody came."]);
    desk.given("chen", json!({"type": "claim", "data": {"quote": "It was John Doe.", "kind": "fact"}}));
    desk.given("emil", json!({"type": "edit", "data": {"ops": [replace("b1", "It was somebody.")]}}));
    let redact = json!({"words": "John Doe", "ground": "Court order 7"});
    desk.given("carl", json!({"type": "redact", "data": redact}));
    desk.given("eva", json!({"type": "confirm_redaction", "data": {"words": "John Doe"}}));
    desk
}

fn tick(desk: &mut Desk) {
    desk.now += chrono::TimeDelta::microseconds(3_723_000_001);
}

/// A ruling that stands again when its words come back.
fn rulings() -> Desk {
    let mut desk = Desk::ruled(&["He won twelve votes. He thanked them."], "twelve votes", "inaccurate");
    desk.ops("emil", json!([replace("b1", "He won ten votes. He thanked them.")]));
    let data = json!({"claim": "c1", "verdict": "supported", "quote": "ten votes", "note": "Counted."});
    desk.given("chen", json!({"type": "rule", "data": data}));
    desk.given("eva", json!({"type": "restore", "data": {"revision": 1}}));
    desk
}

/// Words found false that come back beside others, and are found right there.
fn found_false() -> Desk {
    let mut desk = Desk::ruled(&["He won twelve votes. He thanked them."], "twelve votes", "inaccurate");
    desk.ops("emil", json!([replace("b1", "He won ten votes. He thanked them.")]));
    desk.given(
        "chen",
        json!({"type": "rule", "data": {"claim": "c1", "verdict": "supported", "quote": "ten votes"}}),
    );
    desk.ops("emil", json!([insert(Some("b1"), "He won twelve votes.")]));
    let data = json!({"claim": "c1", "verdict": "misleading", "quote": "ten votes"});
    desk.given("chen", json!({"type": "rule", "data": data}));
    let data = json!({"claim": "c1", "verdict": "supported", "quote": "twelve votes", "block": "b2"});
    desk.refused("chen", json!({"type": "rule", "data": data}), Code::VerdictAdverse);
    desk
}

fn fold(lines: &str) -> Article {
    let mut article: Option<Article> = None;
    for line in lines.lines() {
        let subject = serde_json::from_str::<Value>(line).unwrap()["subject"].as_str().unwrap().to_owned();
        let Read::Event(event) = event::read(&subject, line.as_bytes()) else {
            panic!("not understood: {line}")
        };
        assert_eq!(
            String::from_utf8(event::write(&event).unwrap()).unwrap(),
            line,
            "it is written as it was read"
        );
        article = Some(Article::evolve(article.as_ref(), &event).unwrap());
    }
    article.unwrap()
}

#[test]
fn events_of_old_read_and_fold_as_they_always_did() {
    for (name, desk) in [
        ("every-event", every_event()),
        ("workflow", workflow()),
        ("redaction", redaction()),
        ("rulings", rulings()),
        ("found-false", found_false()),
    ] {
        let story = folder().join(name).with_extension("jsonl");
        if std::env::var_os("COPYDESK_BLESS").is_some() && !story.exists() {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&story, lines(&desk.events)).unwrap();
            fs::write(story.with_extension("state.json"), state(desk.state())).unwrap();
        }
    }
    let mut seen = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "jsonl") {
            let expected = fs::read_to_string(path.with_extension("state.json")).unwrap();
            let kept: Value = serde_json::from_str(&expected).unwrap();
            let claims: Vec<&Value> = kept["claims"].as_object().unwrap().values().collect();
            let of_claims =
                SINCE_OF_CLAIMS.iter().filter(|name| claims.iter().all(|claim| claim.get(name).is_none()));
            let since = SINCE.iter().filter(|name| kept.get(name).is_none()).chain(of_claims);
            let since: Vec<&str> = since.copied().collect();
            let folded = state_since(&fold(&fs::read_to_string(&path).unwrap()), &since);
            assert_eq!(folded, expected, "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 0, "COPYDESK_BLESS=1 adds what is missing");
}

#[test]
fn every_type_of_event_is_kept_in_the_golden_files() {
    let mut kept = std::collections::BTreeSet::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "jsonl") {
            for line in fs::read_to_string(&path).unwrap().lines() {
                let event: Value = serde_json::from_str(line).unwrap();
                kept.insert(event["type"].as_str().unwrap().to_owned());
            }
        }
    }
    let missing: Vec<_> = Data::TYPES.iter().filter(|kind| !kept.contains(**kind)).collect();
    assert!(missing.is_empty(), "add a story that makes {missing:?}, and run with COPYDESK_BLESS=1");
}

#[test]
fn what_this_build_does_not_understand_is_never_half_read() {
    let desk = every_event();
    let subject = desk.article.to_string();
    let read = |event: &Value| event::read(&subject, &serde_json::to_vec(event).unwrap());
    for event in &desk.events {
        let event = serde_json::to_value(event).unwrap();
        assert!(matches!(read(&event), Read::Event(_)));
        let mut changed = Vec::new();
        for (pointer, value) in [
            ("/newer", json!(1)),
            ("/data/newer", json!(1)),
            ("/data/answer/newer", json!(null)),
            ("/type", json!("copydesk.article.published.v2")),
            ("/type", json!("copydesk.article.dreamt")),
            ("/specversion", json!("2.0")),
            ("/actorkind", json!("committee")),
            ("/salt", json!("00")),
            ("/wire", json!("summary")),
        ] {
            let mut other = event.clone();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            other.pointer_mut(parent).unwrap()[name] = value;
            changed.push((pointer, other));
        }
        for (pointer, other) in changed {
            match read(&other) {
                Read::NotUnderstood { frozen, why } => {
                    assert_eq!(frozen.articleversion as u64, event["articleversion"].as_u64().unwrap());
                    assert!(!why.contains("votes"), "{why}");
                }
                other => panic!("{pointer}: {other:?}"),
            }
        }
    }
}

#[test]
fn every_member_of_an_event_is_needed_or_known() {
    // A member added anywhere in an event must not be passed over.
    let desk = every_event();
    let subject = desk.article.to_string();
    fn places(value: &Value, at: String, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.push(at.clone());
                members.iter().for_each(|(name, value)| {
                    places(value, format!("{at}/{}", name.replace('/', "~1")), found)
                });
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(n, item)| places(item, format!("{at}/{n}"), found))
            }
            _ => {}
        }
    }
    for event in &desk.events {
        let event = serde_json::to_value(event).unwrap();
        let mut found = Vec::new();
        places(&event, String::new(), &mut found);
        for pointer in found {
            let mut other = event.clone();
            other.pointer_mut(&pointer).unwrap()["newer_member"] = json!(1);
            let read = event::read(&subject, &serde_json::to_vec(&other).unwrap());
            assert!(matches!(read, Read::NotUnderstood { .. }), "{} {pointer}", event["type"]);
        }
    }
}

#[test]
fn what_is_no_event_of_ours_is_foreign() {
    let desk = every_event();
    let subject = desk.article.to_string();
    let event = serde_json::to_vec(&desk.events[0]).unwrap();
    for bytes in
        [&b""[..], b"{}", b"null", b"\xff", b"{\"type\":\"com.example.thing\"}", &event[..event.len() - 1]]
    {
        assert!(matches!(event::read(&subject, bytes), Read::Foreign));
    }
    for other in ["desk", "00000000-0000-0000-0000-000000000008", ""] {
        assert!(matches!(event::read(other, &event), Read::Foreign), "found on another subject: {other}");
    }
}

#[test]
fn an_event_that_cannot_follow_breaks_the_line() {
    let desk = every_event();
    assert!(Article::evolve(None, &desk.events[1]).is_err());
    assert!(Article::evolve(Some(&*desk.states[0]), &desk.events[2]).is_err());
    assert!(Article::evolve(Some(&*desk.states[1]), &desk.events[1]).is_err());
    let anothers = Event { subject: uuid::Uuid::from_u128(8).to_string().into(), ..desk.events[1].clone() };
    assert!(Article::evolve(Some(&*desk.states[0]), &anothers).is_err());
    let other_revision = Event { revision: 7, ..desk.events[1].clone() };
    assert!(Article::evolve(Some(&*desk.states[0]), &other_revision).is_err());
}
