//! What a machine wrote says so, until a person has rewritten it.

use axum::body::Body;
use serde_json::{Value, json};

use super::house::{House, request};

/// What readers get of an article, as ninjs, once it is of this edition.
async fn wire(house: &House, id: &str, edition: &str) -> Value {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let request = request("GET", "", &format!("/articles/{id}")).header("accept", "application/json");
        let got = house.send(request.body(Body::empty()).unwrap()).await;
        if got.status == 200 && got.json()["version"] == edition {
            return got.json();
        }
        assert!(tokio::time::Instant::now() < deadline, "no edition {edition}: {}", got.text);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_machines_words_are_marked_everywhere_until_a_person_has_rewritten_them() {
    let house = House::open().await;
    let data = json!({"slug": "s", "language": "en", "section": "world", "headline": "Rivers rise",
        "blocks": [{"kind": "paragraph", "text": "A river rose."}, {"kind": "paragraph", "text": "Two fell."}]});
    let drafted = house.done("bot", json!({"type": "draft", "data": data})).await;
    let id = drafted["article"].as_str().unwrap().to_owned();
    let edit = async |actor: &str, base: u32, data: Value| {
        house.done(actor, json!({"type": "edit", "article": id, "base": base, "data": data})).await
    };
    let ops = json!({"ops": [{"op": "replace", "block": "b1", "text": "Nobody knows why."}]});
    let seq = edit("ana", 1, ops).await["seq"].clone();

    let article = house.get("ana", &format!("/v1/articles/{id}?min_seq={seq}")).await.json();
    assert_eq!(article["machines"], json!(["bot"]));
    assert_eq!(
        (&article["blocks"][0]["machine"], &article["blocks"][1]["machine"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(article["blocks"][1]["runs"], json!([[{"text": "Two fell.", "by": "bot"}]]));
    assert_eq!(article["field_info"]["headline"]["machine"], true);
    let codes = |article: &Value| -> Vec<Value> {
        article["gate"]["reasons"].as_array().unwrap().iter().map(|reason| reason["code"].clone()).collect()
    };
    assert!(codes(&article).contains(&json!("machine_unreviewed")), "{}", article["gate"]);
    let diff = house.get("ana", &format!("/v1/articles/{id}/diff?from=1&to=2")).await.json();
    assert_eq!((&diff["machines"], &diff["blocks"][0]["by"]), (&json!(["bot"]), &json!("ana")));
    let history = house.get("ana", &format!("/v1/articles/{id}/history")).await.json();
    let kinds: Vec<&Value> =
        history["events"].as_array().unwrap().iter().map(|event| &event["actorkind"]).collect();
    assert_eq!(kinds, [&json!("machine"), &json!("person")]);

    let out = async |base: u32, kinds: &[(&str, &str)]| {
        for (actor, kind) in kinds {
            house.done(actor, json!({"type": kind, "article": id, "base": base})).await;
        }
    };
    out(2, &[("ana", "submit"), ("eva", "approve"), ("pia", "publish")]).await;
    let source = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";
    assert_eq!(wire(&house, &id, "1").await["digitalSourceType"]["uri"], source);

    let rest = json!({"set": {"headline": "Floods"},
        "ops": [{"op": "replace", "block": "b2", "text": "They went down again later."}]});
    edit("ana", 2, rest).await;
    out(3, &[("eva", "approve"), ("pia", "publish")]).await;
    let ninjs = wire(&house, &id, "2").await;
    assert!(ninjs.get("digitalSourceType").is_none(), "{ninjs}");
    let article = house.get("ana", &format!("/v1/articles/{id}")).await.json();
    let theirs: Vec<&Value> =
        article["blocks"].as_array().unwrap().iter().map(|block| &block["machine"]).collect();
    assert_eq!(theirs, [&json!(false), &json!(false)]);
}

#[tokio::test]
async fn nothing_that_a_machine_sends_can_judge() {
    let house = House::open().await;
    let id = house.draft("A river rose by 3 metres.").await;
    let claim = json!({"type": "claim", "article": id, "base": 1,
        "data": {"quote": "rose by 3 metres", "kind": "fact"}});
    house.done("bot", claim).await;
    for (kind, data) in [
        ("rule", json!({"claim": "c1", "verdict": "supported"})),
        ("drop", json!({"claim": "c1", "reason": "No."})),
        ("submit", json!({})),
        ("return", json!({"reason": "No."})),
        ("approve", json!({})),
        ("waive", json!({"reasons": [{"code": "claim_unruled"}], "reason": "No."})),
        ("publish", json!({})),
        ("withdraw", json!({"notice": "No."})),
        ("restore", json!({"revision": 1})),
        ("answer", json!({"query": "q1", "text": "No."})),
        ("assign", json!({"editor": "eva"})),
        ("embargo", json!({"until": null})),
        ("restrict", json!({"people": null})),
        ("spike", json!({"reason": "No."})),
    ] {
        let command = json!({"type": kind, "article": id, "base": 1, "data": data});
        assert_eq!(house.command("bot", command).await.code(), "forbidden", "{kind}");
    }
}
