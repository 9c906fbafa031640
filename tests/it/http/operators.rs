//! Health, metrics and the description.

use axum::body::Body;
use futures::StreamExt;
use serde_json::json;

use super::house::{House, request};

#[tokio::test]
async fn health_says_how_far_the_fold_is_and_how_durable_answers_are() {
    let house = House::open().await;
    house.draft("Words.").await;
    let health = house.get("", "/healthz").await.json();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["durability"], json!({"kind": "memory"}));
    assert_eq!(health["fold"], json!({"seq": 2, "aside": 0, "foreign": 0}));
    assert_eq!(house.get("", "/readyz").await.json(), json!({"ready": true}));
    house.gateway.health.set_draining();
    assert_eq!(house.get("", "/readyz").await.status, 503);
    assert_eq!(house.get("", "/healthz").await.status, 200);
}

#[tokio::test]
async fn metrics_count_commands_by_type_and_outcome_and_requests_by_route() {
    let house = House::open().await;
    let id = house.draft("Words.").await;
    house.command("ana", json!({"type": "submit", "article": id, "base": 9})).await;
    house.command("ana", json!({"type": "submit", "article": id, "base": 1, "try": true})).await;
    house.command("ana", json!({"type": "sbumit"})).await;
    house.get("ana", &format!("/v1/articles/{id}")).await;
    house.get("", "/wp-login.php").await;
    let metrics = house.get("", "/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    for line in [
        "copydesk_commands_total{type=\"draft\",outcome=\"accepted\"} 1",
        "copydesk_commands_total{type=\"submit\",outcome=\"invalid\"} 1",
        "copydesk_commands_total{type=\"submit\",outcome=\"would_be_accepted\"} 1",
        "copydesk_commands_total{type=\"unread\",outcome=\"unknown_type\"} 1",
        "copydesk_http_requests_total{route=\"/v1/articles/{id}\",status=\"200\"} 1",
        "copydesk_http_requests_total{route=\"unknown\",status=\"404\"} 1",
        "copydesk_commands_in_flight 0",
        "copydesk_fold_seq 2",
        "copydesk_log_end_seq 2",
        "copydesk_ready 1",
    ] {
        assert!(metrics.text.lines().any(|there| there == line), "{line} in {}", metrics.text);
    }
    assert!(!metrics.text.contains(&id) && !metrics.text.contains("wp-login"));
}

#[tokio::test]
async fn the_description_names_every_route() {
    let house = House::open().await;
    let document = house.get("", "/openapi.json").await.json();
    for path in document["paths"].as_object().unwrap().keys() {
        let path = path.replace("{id}", "0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d11");
        let request = request("GET", "ana", &path).body(Body::empty()).unwrap();
        // Not a path that leads nowhere: that one says so, in its first bytes. Streams have no end to wait for.
        let mut body = house.response(request).await.into_body().into_data_stream();
        let first = body.next().await.map(Result::unwrap).unwrap_or_default();
        let first = String::from_utf8_lossy(&first);
        assert!(!first.contains("there is no such address"), "{path}: {first}");
    }
    assert_eq!(document["x-limits"]["command"], json!({"value": 524_288, "unit": "bytes"}));
}

#[tokio::test]
async fn before_it_has_caught_up_an_instance_is_not_ready_and_gives_no_old_state() {
    let house = House::still_folding().await;
    let ready = house.get("", "/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["ready"]), (503, &json!(false)));
    assert_eq!(house.get("ana", "/v1/articles").await.code(), "behind");
    house.gateway.health.set_caught_up();
    assert_eq!(house.get("", "/readyz").await.status, 200);
    assert_eq!(house.get("ana", "/v1/articles").await.status, 200);
}

#[tokio::test]
async fn a_fault_of_the_service_is_answered_as_one_and_counted() {
    let house = House::open().await;
    let got = house.get("nobody-you-know", "/v1/articles").await;
    assert_eq!((got.code(), got.status.as_u16()), ("internal".into(), 500));
    assert!(!got.text.contains("look-up"));
    let metrics = house.get("", "/metrics").await.text;
    assert!(metrics.contains("copydesk_http_requests_total{route=\"/v1/articles\",status=\"500\"} 1"));
    assert_eq!(house.get("ana", "/v1/articles").await.status, 200);
}
