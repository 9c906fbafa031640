//! A story's record, as auditors and chiefs get it.

use copydesk::log::{Expect, Log, Message};
use copydesk_article::newsroom::Role;
use serde_json::{Value, json};

use super::house::House;

async fn record(house: &House, article: &str, query: &str) -> Value {
    // It waits for a checkpoint for a while, and nobody signs one here.
    tokio::time::pause();
    let got = house.get("audra", &format!("/v1/articles/{article}/report?{query}")).await;
    tokio::time::resume();
    got.json()
}

#[tokio::test]
async fn a_waiver_counts_for_its_own_revision_alone() {
    let house = House::open().await;
    let id = house.draft("It rained.").await;
    let done = async |actor, kind: &str, base, data: Value| {
        house.done(actor, json!({"type": kind, "article": id, "base": base, "data": data})).await;
    };
    let waivers = async || house.get("eva", &format!("/v1/articles/{id}")).await.json()["waivers"].clone();
    let waive = json!({"reasons": [{"code": "claim_unruled"}], "reason": "All saw it."});
    done("chen", "claim", 1, json!({"quote": "It rained", "kind": "fact"})).await;
    done("carl", "waive", 1, waive.clone()).await;
    assert_eq!(waivers().await.as_array().unwrap().len(), 1);
    done("ana", "edit", 1, json!({"set": {"headline": "It rains"}})).await;
    assert_eq!(waivers().await, json!([]));
    done("carl", "waive", 2, waive).await;
    for (actor, kind) in [("ana", "submit"), ("eva", "approve"), ("pia", "publish")] {
        done(actor, kind, 2, json!({})).await;
    }
    let record = record(&house, &id, "").await;
    let editions: Vec<&Value> =
        record["waivers"].as_array().unwrap().iter().map(|waiver| &waiver["editions"]).collect();
    assert_eq!(editions, [&json!([]), &json!([1])], "it went out on the second");
}

#[tokio::test]
async fn a_record_up_to_a_time_lists_what_it_cannot_fold_too() {
    let house = House::open().await;
    let id = house.draft("Words.").await;
    let stored = house.log.events().get(2).await.unwrap().unwrap();
    let copydesk::log::Content::Message { body, .. } = stored.content else { panic!("erased") };
    let newer = String::from_utf8(body.to_vec()).unwrap().replace("article.drafted", "article.painted");
    let message = Message { subject: id.clone(), id: "y".into(), headers: Vec::new(), body: newer.into() };
    let seq = house.log.events().try_append(&message, Expect::Subject(2)).await.unwrap();
    house.service.store.folded(seq).await;
    for query in ["", "until=3", "until=2026-01-01T00:01:00Z"] {
        let record = record(&house, &id, query).await;
        let unread = record["unread"].as_array().unwrap();
        assert_eq!((unread.len(), &unread[0]["seq"]), (1, &json!(seq)), "{query}");
    }
}

#[tokio::test]
async fn a_story_stands_in_its_record_under_the_rules_in_force_and_as_it_was_under_those_of_then() {
    let house = House::open().await;
    let id = house.draft("Words.").await;
    house.done("ana", json!({"type": "submit", "article": id, "base": 1})).await;
    let approved = house.done("eva", json!({"type": "approve", "article": id, "base": 1})).await;
    let mut stricter = crate::path::newsroom();
    stricter.rules.approvals = 2;
    house.service.propose(&stricter, "copydesk", true).await.unwrap();
    house.service.store.folded(house.log_end().await).await;
    let now = house.get("audra", &format!("/v1/articles/{id}")).await.json();
    let whole = record(&house, &id, "").await;
    assert_eq!((&now["stage"], &now["gate"]["open"]), (&json!("in_review"), &json!(false)));
    assert_eq!((&whole["state"]["stage"], &whole["state"]["gate"]), (&now["stage"], &now["gate"]));
    let then = record(&house, &id, &format!("until={}", approved["seq"])).await;
    assert_eq!((&then["state"]["stage"], &then["state"]["gate"]["open"]), (&json!("approved"), &json!(true)));
}

#[tokio::test]
async fn people_are_shown_as_they_were_at_their_last_act() {
    let house = House::open().await;
    let id = house.draft("Words.").await;
    let mut newsroom = crate::path::newsroom();
    for role in [Role::Checker, Role::Publisher] {
        newsroom.people.get_mut("ana").unwrap().roles = vec![role];
        house.service.propose(&newsroom, "copydesk", true).await.unwrap();
        house.service.store.folded(house.log_end().await).await;
        if role == Role::Checker {
            house.done("ana", json!({"type": "ask", "article": id, "data": {"text": "Why?"}})).await;
        }
    }
    assert_eq!(record(&house, &id, "").await["people"]["ana"]["roles"], json!(["checker"]));
}

#[tokio::test]
async fn a_record_up_to_before_a_redaction_accuses_no_edition() {
    let house = House::open().await;
    let id = house.draft("It rose, CANARY said.").await;
    house.publish(&id).await;
    let before = house.log_end().await;
    let done = async |actor, kind: &str, base, data: Value| {
        house.done(actor, json!({"type": kind, "article": id, "base": base, "data": data})).await;
    };
    done("ana", "edit", 1, json!({"markdown": "It rose."})).await;
    done("eva", "approve", 2, json!({})).await;
    done("pia", "publish", 2, json!({"kind": "correction", "note": "It was nobody."})).await;
    let newest = || house.service.public.newest(id.parse().unwrap()).unwrap();
    crate::path::until("the correction", || newest().filter(|newest| newest.shown.edition == 2)).await;
    done("carl", "redact", 2, json!({"words": "CANARY", "ground": "Court order 7"})).await;
    done("eva", "confirm_redaction", 2, json!({"words": "CANARY"})).await;
    for query in [String::new(), format!("until={before}")] {
        let record = record(&house, &id, &query).await;
        let edition = &record["editions"][0];
        assert_eq!((&edition["number"], &edition["digest_holds"]), (&json!(1), &Value::Null), "{query}");
        assert_eq!(edition["gate"]["verdicts_hold"], Value::Null, "{query}");
        assert!(!record.to_string().contains("CANARY"));
    }
}
