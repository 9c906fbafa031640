//! What newsroom tools read under `/v1`, and who may.

use axum::body::Body;
use copydesk::log::{Expect, Log, Message};
use serde_json::{Value, json};

use super::house::{ALL, House, request};

const UNKNOWN: &str = "0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d11";

#[tokio::test]
async fn an_article_reads_as_the_contract_says() {
    let house = House::open().await;
    let id = house.draft("One *river* rose by 3 metres.\n\n- a\n- b").await;
    let claim = json!({"quote": "rose by 3 metres", "kind": "statistic"});
    house.done("chen", json!({"type": "claim", "article": id, "data": claim})).await;
    let cite = json!({"claim": "c1", "title": "Gauge", "url": "https://gauge.test"});
    house.done("chen", json!({"type": "cite", "article": id, "data": cite})).await;
    let rule = json!({"claim": "c1", "verdict": "supported", "note": "seen"});
    house.done("chen", json!({"type": "rule", "article": id, "base": 1, "data": rule})).await;
    let ask = json!({"text": "Which river?", "block": "b1", "to": "ana"});
    house.done("eva", json!({"type": "ask", "article": id, "data": ask})).await;
    let answer = json!({"query": "q1", "text": "The big one"});
    house.done("ana", json!({"type": "answer", "article": id, "data": answer})).await;
    house.done("ana", json!({"type": "submit", "article": id, "base": 1})).await;
    let seq = house.done("eva", json!({"type": "approve", "article": id, "base": 1})).await["seq"].clone();

    let got = house.get("ana", &format!("/v1/articles/{id}?min_seq={seq}")).await;
    assert_eq!((got.status.as_u16(), got.header("content-type")), (200, "application/json"));
    assert_eq!((got.header("cache-control"), got.header("x-content-type-options")), ("no-store", "nosniff"));
    let article = got.json();
    for (member, value) in [
        ("article", json!(id)),
        ("version", json!(8)),
        ("revision", json!(1)),
        ("stage", json!("approved")),
        ("status", json!("unpublished")),
        ("edition", Value::Null),
        ("approvals", json!([{"by": "eva", "version": 8, "good": true}])),
        ("embargo", Value::Null),
        ("schedule", Value::Null),
        ("held", Value::Null),
        ("assigned", Value::Null),
        ("restricted", Value::Null),
    ] {
        assert_eq!(article[member], value, "{member}");
        assert!(article.as_object().unwrap().contains_key(member), "{member}");
    }
    assert_eq!(article["fields"]["headline"], "Rivers rise");
    assert_eq!(article["field_info"]["headline"]["runs"], json!([{"text": "Rivers rise", "by": "ana"}]));
    let block = &article["blocks"][0];
    assert_eq!((&block["id"], &block["kind"]), (&json!("b1"), &json!("paragraph")));
    assert_eq!(block["text"], "One *river* rose by 3 metres.");
    assert_eq!((&block["revision"], &block["by"]), (&json!(1), &json!("ana")));
    assert_eq!(article["blocks"][1]["items"], json!(["a", "b"]));
    let claim = &article["claims"][0];
    for (member, value) in [
        ("id", json!("c1")),
        ("quote", json!("rose by 3 metres")),
        ("block", json!("b1")),
        ("kind", json!("statistic")),
        ("attributed_to", Value::Null),
        ("material", json!(true)),
        ("state", json!("ruled")),
        ("verdict", json!("supported")),
        ("sentence", json!("One river rose by 3 metres.")),
        ("ruled_by", json!("chen")),
        ("note", json!("seen")),
    ] {
        assert_eq!(claim[member], value, "{member}");
    }
    assert_eq!(claim["evidence"][0]["url"], "https://gauge.test");
    assert_eq!(claim["evidence"][0]["confidential"], false);
    let query = &article["queries"][0];
    assert_eq!((&query["id"], &query["by"], &query["to"]), (&json!("q1"), &json!("eva"), &json!("ana")));
    assert_eq!((&query["blocking"], &query["due"]), (&json!(true), &Value::Null));
    assert_eq!((&query["answer"]["text"], &query["answer"]["by"]), (&json!("The big one"), &json!("ana")));
    let gate = house.get("ana", &format!("/v1/articles/{id}/gate")).await.json();
    assert_eq!(gate, json!({"open": true, "reasons": [], "waived": []}));
    assert_eq!(article["gate"], gate);
}

#[tokio::test]
async fn what_markdown_gives_comes_back_as_nothing_new() {
    let house = House::open().await;
    let id = house.draft("# A heading\n\nOne *river* \\* [rose](https://a.test/).\n\n1. a\n2. b").await;
    let got = house.get("ana", &format!("/v1/articles/{id}?format=markdown")).await;
    assert_eq!(got.header("content-type"), "text/markdown; charset=utf-8");
    let edit = json!({"type": "edit", "article": id, "base": 1, "data": {"markdown": got.text}});
    assert_eq!(house.command("ana", edit).await.code(), "nothing_new");
}

#[tokio::test]
async fn an_article_is_shown_as_it_was_under_the_rules_that_held() {
    let house = House::open().await;
    let id = house.draft("First words.").await;
    house.done("ana", json!({"type": "submit", "article": id, "base": 1})).await;
    house.done("eva", json!({"type": "approve", "article": id, "base": 1})).await;
    house.log.test_clock().advance(std::time::Duration::from_secs(60));
    let edit = json!({"type": "edit", "article": id, "base": 1, "data": {"markdown": "Other words."}});
    house.done("ana", edit).await;
    let mut stricter = crate::path::newsroom();
    stricter.rules.approvals = 2;
    house.service.propose(&stricter, "copydesk", true).await.unwrap();
    let end = house.log.events().end().await.unwrap();

    let at =
        async |query: &str| house.get("audra", &format!("/v1/articles/{id}?min_seq={end}&{query}")).await;
    let now = at("").await.json();
    assert_eq!((&now["version"], &now["stage"]), (&json!(4), &json!("in_review")));
    assert!(now["gate"]["reasons"][0]["detail"].as_str().unwrap().contains("the words changed"));
    assert_eq!(now["approvals"], json!([{"by": "eva", "version": 3, "good": false}]));
    for query in ["version=3", "revision=1", "time=2026-01-01T00:00:30Z"] {
        let then = at(query).await.json();
        assert_eq!((&then["version"], &then["revision"]), (&json!(3), &json!(1)), "{query}");
        assert_eq!((&then["stage"], &then["gate"]["open"]), (&json!("approved"), &json!(true)), "{query}");
        assert_eq!(then["approvals"][0]["good"], true, "{query}");
        assert_eq!(then["blocks"][0]["text"], "First words.", "{query}");
    }
    assert_eq!(at("version=1&format=markdown").await.text.trim(), "First words.");
    for (query, status) in [
        ("version=5", 404),
        ("revision=3", 404),
        ("time=2025-12-31T23:59:59Z", 404),
        ("version=0", 400),
        ("version=1&revision=1", 400),
        ("time=2026-01-01T00:00:30", 400),
        ("format=html", 400),
    ] {
        assert_eq!(at(query).await.status, status, "{query}");
    }
}

#[tokio::test]
async fn what_stood_in_the_way_then_is_told_by_the_clock_of_then() {
    let house = House::open().await;
    let id = house.draft("Words.").await;
    let embargo = json!({"type": "embargo", "article": id, "data": {"until": "2026-01-01T00:00:30Z"}});
    let seq = house.done("eva", embargo).await["seq"].clone();
    house.log.test_clock().advance(std::time::Duration::from_secs(60));
    // A record waits for a checkpoint for a while, and nobody signs one here.
    tokio::time::pause();
    for (path, gate, embargoed) in [
        ("", "/gate", false),
        ("/gate", "", false),
        ("/report", "/state/gate", false),
        ("?version=2", "/gate", true),
        ("?time=2026-01-01T00:00:10Z", "/gate", true),
        ("/gate?revision=1", "", true),
        (&format!("/report?until={seq}"), "/state/gate", true),
    ] {
        let got = house.get("audra", &format!("/v1/articles/{id}{path}")).await.json();
        let reasons = got.pointer(gate).unwrap()["reasons"].as_array().unwrap().clone();
        assert_eq!(reasons.iter().any(|reason| reason["code"] == "embargoed"), embargoed, "{path}");
    }
}

#[tokio::test]
async fn the_board_lists_the_newest_change_first_page_by_page() {
    let house = House::open().await;
    let clock = house.log.test_clock();
    let mut ids = Vec::new();
    for words in ["One.", "Two.", "Three."] {
        ids.push(house.draft(words).await);
        clock.advance(std::time::Duration::from_secs(1));
    }
    let seq = house.done("ana", json!({"type": "submit", "article": ids[0], "base": 1})).await["seq"].clone();
    let board = async |query: &str| house.get("bot", &format!("/v1/articles?min_seq={seq}&{query}")).await;
    let order = |board: &Value| -> Vec<String> {
        board["articles"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["article"].as_str().unwrap().into())
            .collect()
    };
    let all = board("").await.json();
    assert_eq!(order(&all), [&*ids[0], &ids[2], &ids[1]]);
    assert_eq!(all["next"], Value::Null);
    let row = &all["articles"][0];
    assert_eq!(
        row.as_object().unwrap().keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(),
        [
            "article", "slug", "headline", "section", "stage", "status", "version", "revision", "edition",
            "updated", "assigned", "due", "overdue", "held", "blocking"
        ]
        .into()
    );
    assert_eq!(
        (&row["stage"], &row["headline"], &row["blocking"]),
        (&json!("in_review"), &json!("Rivers rise"), &json!(0))
    );
    let first = board("limit=2").await.json();
    assert_eq!(order(&first), [&*ids[0], &ids[2]]);
    let rest = board(&format!("limit=2&cursor={}", first["next"].as_str().unwrap())).await.json();
    assert_eq!((order(&rest), &rest["next"]), (vec![ids[1].clone()], &Value::Null));
    assert_eq!(order(&board("stage=in_review,approved").await.json()), [&*ids[0]]);
    assert_eq!(order(&board("stage=draft&status=unpublished,published&section=world").await.json()).len(), 2);
    assert_eq!(order(&board("section=sport").await.json()).len(), 0);
    for (query, field) in [
        ("stgae=draft", "stgae"),
        ("stage=drafty", "stage"),
        ("status=out", "status"),
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("cursor=xyz", "cursor"),
        ("cursor=00", "cursor"),
        ("limit=1&limit=2", "limit"),
    ] {
        let got = board(query).await;
        assert_eq!(
            (got.code(), got.json()["field"].as_str()),
            ("invalid".to_owned(), Some(field)),
            "{query}"
        );
    }
    assert_eq!(board("stgae=draft").await.json()["suggestion"], "stage");
}

#[tokio::test]
async fn history_and_replay_give_the_stored_bytes_with_seq() {
    let house = House::open().await;
    let id = house.draft("One\u{2028}line.").await;
    let other = house.draft("Another.").await;
    house.done("ana", json!({"type": "submit", "article": id, "base": 1})).await;
    let foreign = Message { subject: id.clone(), id: "x".into(), headers: Vec::new(), body: "CANARY".into() };
    house.log.events().try_append(&foreign, Expect::Subject(4)).await.unwrap();
    let end = house.log.events().end().await.unwrap();
    assert_eq!(end, 5);

    let history = house.get("ana", &format!("/v1/articles/{id}/history?min_seq={end}")).await;
    let events = history.json()["events"].as_array().unwrap().clone();
    let seen: Vec<_> = events.iter().map(|event| (&event["seq"], &event["articleversion"])).collect();
    assert_eq!(seen, [(&json!(2), &json!(1)), (&json!(4), &json!(2))]);

    let replay = async |query: &str| house.get("audra", &format!("/v1/events?{query}")).await;
    let all = replay("").await;
    assert_eq!(all.header("content-type"), "application/jsonl");
    assert!(!all.text.contains(['\u{2028}', '\u{2029}', '\u{85}']) && !all.text.contains("CANARY"));
    let lines: Vec<Value> = all.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(lines[0]["type"], "copydesk.newsroom.set");
    // The rest of each line is what is stored.
    let stored = house.log.events().get(3).await.unwrap().unwrap();
    let copydesk::log::Content::Message { body, .. } = stored.content else { panic!("erased") };
    let stored = String::from_utf8(body.to_vec()).unwrap();
    assert_eq!(all.text.lines().nth(2).unwrap(), stored.replacen('{', "{\"seq\":3,", 1));

    let seqs = |text: &str| -> Vec<u64> {
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap())
            .collect()
    };
    for (query, expected) in [
        ("from=2&until=3".to_owned(), vec![2, 3]),
        ("from=4".to_owned(), vec![4]),
        ("from=6".to_owned(), vec![]),
        ("from=3&until=2".to_owned(), vec![]),
        (format!("article={other}"), vec![3]),
        (format!("article={id}&from=3"), vec![4]),
        (format!("article={id}&until=2"), vec![2]),
        ("until=2026-01-01T00:00:00Z".to_owned(), vec![1, 2, 3, 4]),
        ("until=2025-12-31T23:59:59Z".to_owned(), vec![]),
    ] {
        assert_eq!(seqs(&replay(&query).await.text), expected, "{query}");
    }
    for query in ["from=x", "article=x", "until=later", "form=1"] {
        assert_eq!(replay(query).await.code(), "invalid", "{query}");
    }
    house.log.events().erase(2).await.unwrap();
    let erased = replay("from=2&until=2").await.json();
    assert_eq!(
        (&erased["seq"], &erased["erased"], &erased["subject"]),
        (&json!(2), &json!(true), &json!(id))
    );
    assert_eq!(erased["sha256"].as_str().unwrap().len(), 64);
    // Who did what there is no longer known.
    for query in ["until=3&type=published", "until=3&actor=chen"] {
        assert_eq!(seqs(&replay(query).await.text), [2], "{query}");
    }
}

#[tokio::test]
async fn an_edition_whose_event_was_erased_is_among_the_deliveries_of_its_article() {
    let house = House::open().await;
    let id = house.draft("Words.").await;
    house.publish(&id).await;
    house.log.events().erase(house.log_end().await).await.unwrap();
    let page = house.get("ana", &format!("/v1/deliveries?article={id}")).await.json();
    let [delivery] = &page["deliveries"].as_array().unwrap()[..] else { panic!("{page}") };
    assert_eq!((&delivery["article"], &delivery["edition"]), (&json!(id), &json!(1)));
}

#[tokio::test]
async fn who_may_read_what() {
    let house = House::open().await;
    let id = house.draft("Words.").await;
    let reads = [
        "/v1/articles".to_owned(),
        format!("/v1/articles/{id}"),
        format!("/v1/articles/{id}/gate"),
        format!("/v1/articles/{id}/history"),
    ];
    for actor in ALL {
        let articles = if actor == "stranger" { 403 } else { 200 };
        for path in &reads {
            assert_eq!(house.get(actor, path).await.status, articles, "{actor} {path}");
        }
        let events = if ["carl", "audra"].contains(&actor) { 200 } else { 403 };
        assert_eq!(house.get(actor, "/v1/events").await.status, events, "{actor}");
    }
    for path in reads.iter().map(String::as_str).chain(["/v1/events", "/v1/nothing", "/v1", "/v1/articles/x"])
    {
        for bad in ["", "nobody"] {
            let got = house.get(bad, path).await;
            assert_eq!(
                (got.code(), got.header("www-authenticate")),
                ("unauthenticated".into(), "Bearer realm=\"copydesk\""),
                "{path}"
            );
        }
    }
    for header in ["token-of-ana", "Basic token-of-ana", "Bearer", "Bearer token-of-ana x"] {
        let request = request("GET", "", "/v1/articles").header("authorization", header);
        assert_eq!(
            house.send(request.body(axum::body::Body::empty()).unwrap()).await.code(),
            "unauthenticated",
            "{header}"
        );
    }
    let lower = request("GET", "", "/v1/articles").header("authorization", "bearer token-of-ana");
    assert_eq!(house.send(lower.body(axum::body::Body::empty()).unwrap()).await.status, 200);
    let twice = request("GET", "ana", "/v1/articles").header("authorization", "Bearer token-of-eva");
    assert_eq!(house.send(twice.body(axum::body::Body::empty()).unwrap()).await.status, 401);
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let house = House::open().await;
    let id = house.draft("Words.").await;
    for (method, actor, path, named) in [
        ("POST", "carl", "/v1/tokens/ana/laptop/revoke", "no such token"),
        ("POST", "carl", "/v1/deliveries/zzz/retry", "no such webhook"),
        ("GET", "audra", "/audit/events/99999", "nothing stands at this position of the log"),
        ("GET", "audra", "/audit/events/x", "a position of the log"),
        ("GET", "audra", "/audit/events/99999/proof", "no event stands at this position of the log"),
        ("GET", "audra", &format!("/v1/articles/{id}/report?until=2020-01-01"), "wasn't there then"),
        ("GET", "ana", &format!("/v1/articles/{id}?time=2020-01-01T00:00:00Z"), "wasn't there then"),
        ("GET", "audra", &format!("/v1/articles/{UNKNOWN}/report?until=2020-01-01"), "no such article"),
        ("GET", "ana", &format!("/v1/articles/{UNKNOWN}?version=1"), "no such article"),
    ] {
        let asked = request(method, actor, path).body(axum::body::Body::empty()).unwrap();
        let got = house.send(asked).await;
        assert_eq!(got.code(), "not_found", "{path}");
        let detail = got.json()["detail"].clone();
        assert!(detail.as_str().unwrap().contains(named), "{path}: {detail}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_and_other_methods_are_405() {
    let house = House::open().await;
    let id = house.draft("Words.").await;
    for path in
        ["/v1/nothing", "/v1", &format!("/v1/articles/{UNKNOWN}"), &format!("/v1/articles/{UNKNOWN}/history")]
    {
        assert_eq!(house.get("ana", path).await.code(), "not_found", "{path}");
    }
    for spelling in [
        id.to_uppercase(),
        id.replace('-', ""),
        format!("%7B{id}%7D"),
        format!("urn:uuid:{id}"),
        "%ff".into(),
    ] {
        assert_eq!(
            house.get("ana", &format!("/v1/articles/{spelling}")).await.code(),
            "invalid",
            "{spelling}"
        );
    }
    let of = async |method: &str, actor: &str, path: &str| {
        house.send(request(method, actor, path).body(axum::body::Body::empty()).unwrap()).await
    };
    let got = of("DELETE", "ana", &format!("/v1/articles/{id}")).await;
    assert_eq!((got.code(), got.header("allow")), ("method_not_allowed".into(), "GET,HEAD"));
    assert_eq!(of("GET", "ana", "/v1/commands").await.header("allow"), "POST");
    assert_eq!(of("DELETE", "", "/v1/articles").await.status, 401);
    let options = of("OPTIONS", "", "/v1/articles").await;
    assert_eq!((options.status.as_u16(), options.header("allow")), (204, "GET,HEAD"));
    assert_eq!(options.header("access-control-allow-origin"), "");
    let head = of("HEAD", "ana", &format!("/v1/articles/{id}")).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn a_read_waits_for_min_seq_and_says_so_when_it_does_not_come() {
    let mut house = House::open().await;
    let id = house.draft("Words.").await;
    house.stop().await;
    let answer = house.done("ana", json!({"type": "submit", "article": id, "base": 1})).await;
    let path = format!("/v1/articles/{id}?min_seq={}", answer["seq"]);
    assert_eq!(house.get("ana", &format!("/v1/articles/{id}")).await.json()["version"], 1);
    let clock = house.log.test_clock();
    let late = async {
        while clock.next_waking().is_none() {
            tokio::task::yield_now().await;
        }
        clock.advance(std::time::Duration::from_secs(5));
    };
    let (got, ()) = tokio::join!(house.get("ana", &path), late);
    assert_eq!((got.code(), got.status.as_u16(), got.header("retry-after")), ("behind".into(), 503, "1"));
    let waiting = house.get("ana", &path);
    let service = std::sync::Arc::clone(&house.service);
    let folds = async move {
        copydesk::store::fold::catch_up(&service.store, &*service.log, |_, _| {}).await.unwrap();
    };
    let (got, ()) = tokio::join!(waiting, folds);
    assert_eq!(got.json()["version"], 2);
}

/// Who has an answer and reads without `min_seq` finds what they wrote, unless folding stands still.
#[tokio::test]
async fn a_read_shows_what_this_instance_answered_before() {
    let mut house = House::open().await;
    let id = house.draft("Words.").await;
    house.stop().await;
    house.done("ana", json!({"type": "submit", "article": id, "base": 1})).await;
    let path = format!("/v1/articles/{id}");
    let (stage, board) = (house.get("ana", &path), house.get("ana", "/v1/articles"));
    let service = std::sync::Arc::clone(&house.service);
    let folds = async move {
        // Long after both have begun to wait.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        copydesk::store::fold::catch_up(&service.store, &*service.log, |_, _| {}).await.unwrap();
    };
    let (stage, board, ()) = tokio::join!(stage, board, folds);
    assert_eq!(stage.json()["stage"], "in_review");
    assert_eq!(board.json()["articles"][0]["stage"], "in_review");
}

#[tokio::test]
async fn an_instance_that_diverged_gives_nothing_it_folded() {
    let house = House::open().await;
    house.service.desk.halt("the tail is lost", true);
    let got = house.get("ana", "/v1/articles").await;
    assert_eq!((got.code(), got.status.as_u16()), ("log_unavailable".into(), 503));
    let draft = json!({"type": "draft", "data": {"slug": "s", "language": "en"}});
    assert_eq!(house.command("ana", draft).await.code(), "log_unavailable");
    assert_eq!(house.get("", "/readyz").await.status, 503);
    assert_eq!(house.get("", "/healthz").await.json()["diverged"], "the tail is lost");
    assert!(house.get("", "/metrics").await.text.contains("copydesk_diverged 1"));
}

#[tokio::test]
async fn an_article_that_is_set_aside_says_so_and_its_earlier_versions_read_on() {
    let house = House::open().await;
    let id = house.draft("Words.").await;
    let stored = house.log.events().get(2).await.unwrap().unwrap();
    let copydesk::log::Content::Message { body, .. } = stored.content else { panic!("erased") };
    let newer = String::from_utf8(body.to_vec()).unwrap().replace("article.drafted", "article.painted");
    let message =
        Message { subject: id.clone(), id: "y".into(), headers: Vec::new(), body: newer.clone().into() };
    let seq = house.log.events().try_append(&message, Expect::Subject(2)).await.unwrap();
    house.service.store.folded(seq).await;
    assert_eq!(house.get("ana", &format!("/v1/articles/{id}")).await.code(), "set_aside");
    assert_eq!(house.get("ana", &format!("/v1/articles/{id}?version=1")).await.status, 200);
    let history = house.get("ana", &format!("/v1/articles/{id}/history")).await.json();
    assert_eq!(history["events"][1]["type"], "copydesk.article.painted");
    // What isn't folded here may say who sees it: by a newer build's word or by one that is known.
    let painted: fn(&mut Value) = |_| ();
    let further: fn(&mut Value) = |event| event["type"] = "copydesk.article.restricted_further".into();
    let restricted: fn(&mut Value) = |event| {
        event["type"] = "copydesk.article.restricted".into();
        let answer = json!({"stage": "draft", "status": "unpublished"});
        event["data"] = json!({"answer": answer, "people": ["emil"]});
    };
    for changes in [&[further][..], &[painted, further], &[painted, restricted]] {
        let mut event: Value = serde_json::from_str(&newer).unwrap();
        event["subject"] = house.draft("Words.").await.into();
        let id = event["subject"].as_str().unwrap().to_owned();
        let mut last = house.log_end().await;
        for change in changes {
            change(&mut event);
            let (subject, id, body) = (id.clone(), last.to_string(), event.to_string().into());
            let message = Message { subject, id, headers: Vec::new(), body };
            last = house.log.events().try_append(&message, Expect::Subject(last)).await.unwrap();
        }
        house.service.store.folded(last).await;
        for path in ["", "?version=1", "?version=1&format=markdown", "/gate?version=1", "/diff", "/history"] {
            let path = format!("/v1/articles/{id}{path}");
            assert_eq!(house.get("ana", &path).await.code(), "not_found", "{event} {path}");
            assert_ne!(house.get("carl", &path).await.status, 404, "{path}");
        }
    }
}

#[tokio::test]
async fn a_diff_says_what_came_went_and_moved_and_who_did_it() {
    let house = House::open().await;
    let id = house.draft("One river rose.\n\nTwo fell.\n\nThree stayed.").await;
    let edit = json!({"type": "edit", "article": id, "base": 1, "data": {
    "set": {"headline": "Rivers fall", "byline": "By Eva"},
    "ops": [
        {"op": "replace", "block": "b1", "text": "One *river* never rose."},
        {"op": "delete", "block": "b2"},
        {"op": "move", "block": "b3", "after": null},
        {"op": "insert", "after": "b1", "block": {"kind": "list", "items": ["Four.", "Five."]}},
    ]}});
    let seq = house.done("eva", edit).await["seq"].clone();
    let got = house.get("ana", &format!("/v1/articles/{id}/diff?from=1&to=2&min_seq={seq}")).await.json();
    assert_eq!((&got["from"], &got["to"]), (&json!(1), &json!(2)));
    assert_eq!(got["fields"]["headline"], json!({"from": "Rivers rise", "to": "Rivers fall", "by": "eva"}));
    assert_eq!(got["fields"]["byline"], json!({"from": null, "to": "By Eva", "by": "eva"}));
    assert_eq!(got["fields"].as_object().unwrap().len(), 2);
    let short: Vec<_> = got["blocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let spans = one["spans"].as_array().unwrap().iter();
            let sign = |span: &Value| match span["op"].as_str().unwrap() {
                "equal" => "=",
                "insert" => "+",
                "delete" => "-",
                other => panic!("{other}"),
            };
            let word = |span: &Value| {
                format!("{}{}[{}]", sign(span), span["by"].as_str().unwrap(), span["text"].as_str().unwrap())
            };
            let spans: String = spans.map(word).collect();
            format!("{} {} {spans}", one["block"].as_str().unwrap(), one["change"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        short,
        [
            "b3 moved =ana[Three stayed.]",
            "b1 changed =ana[One river ]+eva[never ]=ana[rose.]",
            "b4 added +eva[Four.\nFive.]",
            "b2 removed -eva[Two fell.]",
        ]
    );
    let newest = house.get("ana", &format!("/v1/articles/{id}/diff")).await.json();
    assert_eq!(newest, got);
    let none = house.get("ana", &format!("/v1/articles/{id}/diff?from=2&to=2")).await.json();
    assert_eq!((&none["fields"], &none["blocks"]), (&json!({}), &json!([])));
    assert_eq!(house.get("ana", &format!("/v1/articles/{id}/diff?from=0")).await.code(), "invalid");
    assert_eq!(house.get("ana", &format!("/v1/articles/{id}/diff?to=3")).await.status, 404);
}

/// An answer is kept for ever, and what isn't signed may yet be lost.
#[tokio::test]
async fn no_tile_reaches_beyond_what_is_signed() {
    let house = House::open().await;
    house.draft("One.").await;
    let audit = &house.service.audit;
    let signed = tokio::select! {
        signed = audit.covering(0) => signed.size,
        end = audit.run(true) => panic!("{end:?}"),
    };
    house.draft("Two.").await;
    assert!(audit.store().merkle().size() > signed);
    for kind in ["0", "entries"] {
        for (width, status) in [(signed, 200), (signed + 1, 404)] {
            let asked = request("GET", "", &format!("/audit/tile/{kind}/000.p/{width}"));
            let (got, _) = house.send_raw(asked.body(Body::empty()).unwrap()).await;
            assert_eq!(got.status, status, "{kind} {width} of {signed}");
        }
    }
}
