//! Confidential evidence: who gets to read it, and what everyone else gets.

use std::time::Duration;

use copydesk::log::Log;
use copydesk::log::memory::Fault;
use copydesk_article::claims::Sealed;
use copydesk_article::ids::ClaimId;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::house::{ALL, House};
use crate::log_contract::within;

const NAME: &str = "Deep Throat";

/// An article with a claim; it is assigned to eva, to edit, and chen, to check.
async fn article(house: &House) -> String {
    let id = house.draft("He won.").await;
    let claim = json!({"type": "claim", "article": id, "data": {"quote": "He won.", "kind": "fact"}});
    house.done("ana", claim).await;
    let assign = json!({"editor": "eva", "checkers": ["chen", "bot"], "writers": ["ana"]});
    house.done("emil", json!({"type": "assign", "article": id, "data": assign})).await;
    id
}

fn cite(article: &str) -> Value {
    let data = json!({"claim": "c1", "title": NAME, "url": "https://source.test/Throat", "note": "From Throat.",
                      "sha256": "0".repeat(64), "confidential": true});
    json!({"id": "00000000-0000-4000-8000-000000000001", "type": "cite", "article": article, "data": data})
}

async fn evidence(house: &House, actor: &str, path: &str) -> Value {
    house.get(actor, path).await.json()["claims"][0]["evidence"][0].clone()
}

#[tokio::test]
async fn it_is_opened_for_those_who_check_and_edit_the_article_for_chiefs_and_auditors() {
    let house = House::open().await;
    let id = article(&house).await;
    house.done("ana", cite(&id)).await;
    let sent = cite(&id)["data"].clone();
    for path in ["", "?version=4", "?revision=1"] {
        let path = format!("/v1/articles/{id}{path}");
        for actor in ["eva", "chen", "carl", "audra"] {
            let shown = evidence(&house, actor, &path).await;
            for name in ["title", "url", "sha256", "note", "confidential"] {
                assert_eq!(shown[name], sent[name], "{actor} {path} {name}");
            }
        }
        for actor in ["ana", "emil", "pia", "bot"] {
            let masked = json!({"title": null, "url": null, "sha256": null, "note": null, "confidential": true,
                                "by": "ana"});
            assert_eq!(evidence(&house, actor, &path).await, masked, "{actor} {path}");
        }
    }
    // Whoever is given the article to check may read what was cited before.
    let assign = json!({"editor": "emil", "checkers": ["pia"]});
    house.done("eva", json!({"type": "assign", "article": id, "data": assign})).await;
    for (actor, may) in [("emil", true), ("pia", true), ("eva", false), ("chen", false)] {
        for path in ["", "?version=4"] {
            let shown = evidence(&house, actor, &format!("/v1/articles/{id}{path}")).await;
            assert_eq!(shown["title"].is_string(), may, "{actor} {path}");
        }
    }
}

#[tokio::test]
async fn nothing_else_says_more_than_that_it_is_there() {
    let house = House::open().await;
    let id = article(&house).await;
    house.done("ana", cite(&id)).await;
    let event = house.log.events().last_on(&id).await.unwrap().unwrap();
    let copydesk::log::Content::Message { body, .. } = event.content else { panic!("it was erased") };
    let stored: Value = serde_json::from_slice(&body).unwrap();
    let sealed = stored["data"]["evidence"]["sealed"].clone();
    for actor in ALL {
        for path in ["/history", "/diff", "/gate", "?format=markdown"] {
            let got = house.get(actor, &format!("/v1/articles/{id}{path}")).await;
            for word in ["Throat", sealed["key"].as_str().unwrap(), sealed["sealed"].as_str().unwrap()] {
                assert!(!got.text.contains(word), "{actor} {path}: {}", got.text);
            }
        }
        for path in ["/v1/articles?q=Throat", "/v1/events", "/metrics", "/healthz"] {
            assert!(!house.get(actor, path).await.text.contains("Throat"), "{actor} {path}");
        }
    }
    let board = house.get("carl", "/v1/articles?q=Throat").await.json();
    assert_eq!(board["articles"], json!([]), "no search finds it");
    let history = house.get("ana", &format!("/v1/articles/{id}/history")).await.json();
    let last = &history["events"][3]["data"]["evidence"];
    assert_eq!(*last, json!({"sealed": {"key": "", "sealed": ""}, "by": "ana"}));
    // The event's own hash is no way to try out what may have been sealed.
    let content =
        json!({"article": id, "base": null, "data": cite(&id)["data"], "expect": null, "type": "cite"});
    let content = serde_json_canonicalizer::to_vec(&content).unwrap();
    let salt = hex::decode(stored["salt"].as_str().unwrap()).unwrap();
    let guess = hex::encode(Sha256::new().chain_update(salt).chain_update(content).finalize());
    assert_ne!(stored["commandhash"], guess);
}

#[tokio::test]
async fn sent_again_it_gets_the_first_answer_and_anything_else_under_its_id_is_refused() {
    let house = House::open().await;
    let id = article(&house).await;
    let first = house.done("ana", cite(&id)).await;
    let again = house.done("ana", cite(&id)).await;
    assert_eq!((&again["seq"], &again["duplicate"]), (&first["seq"], &json!(true)));
    let mut other = cite(&id);
    other["data"]["note"] = "From someone else.".into();
    let mut open = cite(&id);
    open["data"]["confidential"] = false.into();
    for (actor, command) in [("ana", other), ("ana", open), ("chen", cite(&id))] {
        let refused = house.command(actor, command).await;
        assert_eq!(refused.code(), "id_reused");
        assert!(!refused.text.contains("Throat"), "{}", refused.text);
    }
    // To ask first leaves nothing.
    let before = house.log_end().await;
    let mut asked = cite(&id);
    asked["id"] = json!("00000000-0000-4000-8000-000000000002");
    asked["try"] = true.into();
    house.done("chen", asked).await;
    assert_eq!(house.log_end().await, before);
}

/// An event without its key would be evidence lost; a key without its event harms nobody.
#[tokio::test]
async fn its_key_is_kept_before_its_event_is_written() {
    let house = House::open().await;
    let id = article(&house).await;
    let before = house.log_end().await;
    // The first try and the one that follows at once; the next waits for the clock.
    for _ in 0..2 {
        house.log.inject("keys", Fault::Unavailable);
    }
    let mut citing = std::pin::pin!(house.command("ana", cite(&id)));
    for _ in 0..1000 {
        assert!(futures::poll!(&mut citing).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(house.log_end().await, before, "it waits for its key");
    house.log.test_clock().advance(Duration::from_secs(1));
    assert_eq!(within(citing).await.status, 200);
    assert_eq!(house.log_end().await, before + 1);
}

#[tokio::test]
async fn destroying_its_key_leaves_everything_but_the_words() {
    let house = House::open().await;
    let id = article(&house).await;
    house.done("ana", cite(&id)).await;
    let view = house.get("carl", &format!("/v1/articles/{id}")).await.json();
    let events = house.get("carl", "/v1/events").await.text;
    let last: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    let sealed: Sealed = serde_json::from_value(last["data"]["evidence"]["sealed"].clone()).unwrap();
    let vault = house.gateway.desk.as_ref().unwrap().vault().unwrap();
    assert!(vault.open(id.parse().unwrap(), ClaimId(1), &sealed).await.is_ok());
    let redact = json!({"type": "redact", "article": id, "data": {"versions": [4], "ground": "A promise"}});
    house.done("carl", redact).await;
    let confirm = json!({"type": "confirm_redaction", "article": id, "data": {"versions": [4]}});
    house.done("eva", confirm).await;
    assert!(vault.open(id.parse().unwrap(), ClaimId(1), &sealed).await.is_err());
    let shown = evidence(&house, "carl", &format!("/v1/articles/{id}")).await;
    let gone = json!({"title": null, "url": null, "sha256": null, "note": null, "confidential": true,
                      "unopened": "its key was destroyed", "by": "ana"});
    assert_eq!(shown, gone);
    let mut after = house.get("carl", &format!("/v1/articles/{id}")).await.json();
    after["claims"][0]["evidence"] = view["claims"][0]["evidence"].clone();
    assert_eq!(after["claims"], view["claims"]);
    let now = house.get("carl", "/v1/events").await.text;
    assert!(now.starts_with(&events) && now.contains("redaction_proposed"), "{now}");
    house.service.check_fold().await.unwrap();
    assert_eq!(house.command("ana", cite(&id)).await.code(), "id_reused", "it can't be known again");
}
