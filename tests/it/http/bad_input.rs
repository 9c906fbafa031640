//! Bad input: each gets its typed answer, and nothing is written. And no word of it is told on.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use copydesk::log::Log;
use serde_json::json;
use uuid::Uuid;

use super::house::{House, request};

const ID: &str = "0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d11";

fn with(data: &str) -> String {
    format!(r#"{{"id":"{ID}","type":"draft","data":{{"slug":"s","language":"en",{data}}}}}"#)
}

#[tokio::test]
async fn each_sort_of_bad_input_gets_its_code_and_place() {
    let house = House::open().await;
    let deep = |open: &str, close: &str, deep: usize| format!("{}{}", open.repeat(deep), close.repeat(deep));
    let blocks = vec![json!({"kind": "paragraph", "text": "x"}); 12_000];
    for (body, code, field) in [
        (String::new(), "malformed", None),
        ("not JSON".into(), "malformed", None),
        ("\u{feff}{}".into(), "malformed", None),
        ("[]".into(), "malformed", None),
        ("null".into(), "malformed", None),
        (with("") + "x", "malformed", None),
        (deep("[", "]", 100_000), "malformed", None),
        (deep("{\"a\":", "}", 80_000), "malformed", None),
        (
            with(r#""markdown":{"a":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"#),
            "malformed",
            None,
        ),
        (with(r#""slug":"t""#), "malformed", None),
        (format!(r#"{{"id":"{ID}","id":"{ID}","type":"draft"}}"#), "malformed", None),
        (with(r#""headline":"\ud800""#), "malformed", None),
        (with("\"headline\":\"a\u{0}b\""), "malformed", None),
        (with(r#""headline":"a\u0000b""#), "invalid", Some("/data/headline")),
        (with(r#""headline":"a\u0007b""#), "invalid", Some("/data/headline")),
        (with(r#""headline":7"#), "invalid", Some("/data/headline")),
        (with(r#""urgency":"high""#), "invalid", Some("/data/urgency")),
        (with(r#""keywords":"a""#), "invalid", Some("/data/keywords")),
        (with(r#""blocks":[{"kind":"paragraph","text":1}]"#), "invalid", Some("/data/blocks/0/text")),
        (with(r#""hedline":"H""#), "unknown_field", Some("/data/hedline")),
        (format!(r#"{{"id":"{ID}","type":"drafft"}}"#), "unknown_type", Some("/type")),
        (format!(r#"{{"id":"{}","type":"draft"}}"#, ID.to_uppercase()), "invalid", Some("/id")),
        (format!(r#"{{"id":"{}","type":"draft"}}"#, ID.replace('-', "")), "invalid", Some("/id")),
        (format!(r#"{{"id":"{{{ID}}}","type":"draft"}}"#), "invalid", Some("/id")),
        (format!(r#"{{"id":"urn:uuid:{ID}","type":"draft"}}"#), "invalid", Some("/id")),
        (
            format!(
                r#"{{"id":"{ID}","type":"draft","not_after":"2026-01-01T00:00:00","data":{{"slug":"s","language":"en"}}}}"#
            ),
            "invalid",
            Some("/not_after"),
        ),
        (format!(r#"{{"id":"{ID}","type":"submit","article":"{ID}","base":1}}"#), "not_found", None),
        (
            json!({"id": ID, "type": "draft", "data": {"slug": "s", "language": "en", "blocks": blocks}})
                .to_string(),
            "too_large",
            None,
        ),
    ] {
        let got = house.post("ana", body.clone()).await;
        let shown: String = body.chars().take(120).collect();
        assert_eq!(got.code(), code, "{shown}: {}", got.text);
        if field.is_some() {
            assert_eq!(got.json()["field"].as_str(), field, "{shown}: {}", got.text);
        }
    }
    let suggested = house.post("ana", with(r#""hedline":"H""#)).await.json();
    assert_eq!(suggested["suggestion"], "headline");
    let not_utf8 = [b"{\"id\":\"\xff\"}".as_slice()].concat();
    assert_eq!(house.post("ana", not_utf8).await.code(), "malformed");
    assert_eq!(house.log.events().end().await.unwrap(), 1, "nothing was written");
    assert_eq!(house.post("ana", with(r#""headline":"H""#)).await.status, 200, "and the service is up");
}

/// What was logged, as bytes.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_word_gets_into_a_log_line_a_metric_or_what_a_refusal_says() {
    const WORD: &str = "CANARYWORD";
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // While there is one subscriber alone, `tracing` asks that of whichever thread comes to a line first whether
    // anyone listens to it: tests beside this one have none.
    let _other = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish());

    let house = House::open().await;
    let id = house.draft(&format!("{WORD} rose. {WORD} fell.")).await;
    let about = |kind: &str, data: serde_json::Value| json!({"id": Uuid::new_v4(), "type": kind, "article": id, "base": 1, "data": data});
    let raw = [
        WORD.to_owned(),
        format!("{{\"{WORD}"),
        with(&format!("\"slug\":\"{WORD}\"")),
        with(&format!("\"urgency\":\"{WORD}\"")),
        with(&format!("\"headline\":\"{WORD}\\u0000\"")),
        with(&format!("\"section\":\"{WORD} {WORD}\"")),
        with(&format!("\"image\":{{\"uri\":\"{WORD}\"}}")),
        format!(r#"{{"id":"{WORD}","type":"draft"}}"#),
        format!(r#"{{"id":"{ID}","type":"{WORD}"}}"#),
        format!(r#"{{"id":"{ID}","type":"draft","not_after":"{WORD}"}}"#),
        WORD.repeat(60_000),
    ];
    let commands = [
        about("claim", json!({"quote": WORD, "kind": "fact"})),
        about("claim", json!({"quote": format!("{WORD}s"), "kind": "fact"})),
        about("claim", json!({"quote": "rose", "kind": WORD})),
        about("rule", json!({"claim": "c1", "verdict": WORD})),
        about("edit", json!({"markdown": format!("{WORD} rose. {WORD} fell.")})),
        about("edit", json!({"set": {"slug": {WORD: 1}}})),
        about("publish", json!({"kind": "correction", "note": WORD})),
        about("withdraw", json!({"notice": WORD})),
        about("return", json!({"reason": WORD})),
        about("ask", json!({"text": WORD, "to": WORD.to_lowercase()})),
    ];
    let mut refused = Vec::new();
    for body in raw.into_iter().chain(commands.iter().map(ToString::to_string)) {
        refused.push(house.post("eva", body).await);
    }
    refused
        .push(house.command("ana", about("edit", json!({"set": {"headline": format!("{WORD} one")}}))).await);
    refused
        .push(house.command("ana", about("edit", json!({"set": {"headline": format!("{WORD} two")}}))).await);
    for path in [
        format!("/v1/{WORD}"),
        format!("/v1/articles/{WORD}"),
        format!("/v1/articles?section={WORD}&stage={WORD}"),
        format!("/v1/articles?q={WORD}"),
        format!("/v1/articles?cursor={WORD}"),
        format!("/v1/events?until={WORD}"),
        format!("/articles/{WORD}"),
        format!("/feed.json?section={WORD}&limit={WORD}"),
        format!("/feed.json?cursor={WORD}"),
    ] {
        refused.push(house.get("audra", &path).await);
        refused.push(house.get(WORD, &path).await);
        refused.push(house.send(request("DELETE", "ana", &path).body(Body::empty()).unwrap()).await);
        refused.push(house.send(request(WORD, "ana", &path).body(Body::empty()).unwrap()).await);
    }
    let unpublished = house.get("", &format!("/articles/{id}")).await;
    assert!(unpublished.status == 404 && !unpublished.text.contains(WORD));

    let mut codes = std::collections::BTreeSet::new();
    for got in refused.iter().filter(|got| got.status.as_u16() >= 400 && got.text.starts_with('{')) {
        let problem = got.json();
        codes.insert(problem["code"].as_str().unwrap().to_owned());
        for member in ["detail", "title", "type", "suggestion"] {
            let said = problem[member].as_str().unwrap_or_default().to_uppercase();
            assert!(!said.contains(WORD), "{member} of {problem}");
        }
        for reason in problem["reasons"].as_array().into_iter().flatten() {
            assert!(!reason.to_string().contains(WORD), "{problem}");
        }
    }
    let all = [
        "malformed",
        "invalid",
        "unknown_type",
        "unauthenticated",
        "too_large",
        "conflict",
        "nothing_new",
        "quote_ambiguous",
        "not_found",
    ];
    for code in all {
        assert!(codes.contains(code), "{code} in {codes:?}");
    }
    assert!(!house.get("", "/metrics").await.text.to_uppercase().contains(WORD));
    let logged = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("refused") && logged.contains("/v1/articles/{id}"), "there is a log at all");
    let line = logged.lines().find(|line| line.to_uppercase().contains(WORD));
    assert_eq!(line, None);
    assert!(!logged.contains("token-of-"), "nor a token");
}
