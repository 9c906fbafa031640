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
    assert_eq!(health["fold"], json!({"seq": 2, "lag": 0, "aside": 0, "foreign": 0}));
    assert_eq!(health["log"], json!({"answers": true, "away_seconds": null, "end": 2, "skew_seconds": 0.0}));
    assert_eq!(health["problems"], json!([]));
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
        "copydesk_fold_lag 0",
        "copydesk_log_stopped 0",
        "copydesk_log_away 0",
        "copydesk_clock_skew_seconds 0",
        "copydesk_log_durability_always 0",
        concat!("copydesk_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
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

/// What is wrong with an exposition in Prometheus' text format 0.0.4.
fn faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut typed = std::collections::BTreeMap::new();
    let mut helped = std::collections::BTreeSet::new();
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            if help.is_empty() || !helped.insert(name.to_owned()) {
                faults.push(format!("help of {name}"));
            }
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or_default();
            if typed.insert(name.to_owned(), kind.to_owned()).is_some() || !helped.contains(name) {
                faults.push(format!("type of {name}"));
            }
            if (kind == "counter") != name.ends_with("_total") {
                faults.push(format!("{name} is a {kind}"));
            }
            continue;
        }
        let Some((series, value)) = line.rsplit_once(' ') else {
            faults.push(format!("no sample: {line}"));
            continue;
        };
        let name = series.split('{').next().unwrap_or_default();
        let base =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        if !typed.contains_key(name) && typed.get(base).is_none_or(|kind| kind != "histogram") {
            faults.push(format!("{name} has no type"));
        }
        if value.parse::<f64>().is_err() || !seen.insert(series.to_owned()) {
            faults.push(format!("sample: {line}"));
        }
    }
    faults
}

#[tokio::test]
async fn metrics_are_in_prometheus_format() {
    let house = House::open().await;
    house.draft("Words.").await;
    let text = house.get("", "/metrics").await.text;
    assert_eq!(faults(&text), Vec::<String>::new());
    assert!(text.lines().count() > 100, "{text}");
    for bad in ["copydesk_x 1", "# HELP a b\n# TYPE a counter\na 1", "# HELP a b\n# TYPE a gauge\na one"] {
        assert!(!faults(bad).is_empty(), "{bad}");
    }
    // Prometheus' own judgement, where it is to be had (scripts/promtool).
    let Some(promtool) = crate::deploy::promtool() else { return println!("left out: there is no promtool") };
    let mut check = std::process::Command::new(promtool);
    let mut check = check
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut check.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let said = check.wait_with_output().unwrap();
    let said = [said.stdout, said.stderr].concat();
    assert_eq!(String::from_utf8(said).unwrap(), "");
}

#[tokio::test]
async fn an_instance_says_that_its_clock_is_off() {
    let house = House::open().await;
    house.log.set_skew(chrono::TimeDelta::milliseconds(-2500));
    let health = house.get("", "/healthz").await.json();
    assert_eq!((&health["status"], &health["log"]["skew_seconds"]), (&json!("clock_off"), &json!(-2.5)));
    assert_eq!(house.get("", "/readyz").await.status, 200, "all but what turns on time can still be decided");
    let metrics = house.get("", "/metrics").await.text;
    assert!(metrics.contains("\ncopydesk_clock_skew_seconds -2.5\n"), "{metrics}");
}
