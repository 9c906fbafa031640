//! `POST /v1/commands`: the order of its checks, its bounds, and what a sender's going away does.

use axum::body::{Body, Bytes};
use copydesk::http::{Actor, router};
use copydesk::log::{Expect, Log, Message};
use futures::FutureExt;
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use super::house::{House, request};
use crate::log_contract::within;

fn draft() -> Value {
    json!({"type": "draft", "data": {"slug": "s", "language": "en", "headline": "H", "section": "world"}})
}

#[tokio::test]
async fn an_accepted_command_is_answered_with_what_became_of_it() {
    let house = House::open().await;
    let id = Uuid::new_v4();
    let mut command = draft();
    command["id"] = json!(id);
    let got = house.command("ana", command.clone()).await;
    let answer = got.json();
    assert_eq!((got.status.as_u16(), got.header("content-type")), (200, "application/json"));
    assert_eq!((got.header("cache-control"), got.header("x-content-type-options")), ("no-store", "nosniff"));
    for (member, value) in [
        ("version", json!(1)),
        ("revision", json!(1)),
        ("type", json!("copydesk.article.drafted")),
        ("seq", json!(2)),
        ("stage", json!("draft")),
        ("status", json!("unpublished")),
        ("duplicate", json!(false)),
    ] {
        assert_eq!(answer[member], value, "{member}");
    }
    let again = house.command("ana", command.clone()).await.json();
    assert_eq!((&again["duplicate"], &again["event"]), (&json!(true), &answer["event"]));
    assert_eq!(house.command("emil", command).await.code(), "id_reused");
}

#[tokio::test]
async fn an_idempotency_key_stands_for_the_id() {
    let house = House::open().await;
    let id = Uuid::new_v4();
    let send = async |keys: &[&str], body: Value| {
        let request = keys.iter().fold(request("POST", "ana", "/v1/commands"), |request, key| {
            request.header("Idempotency-Key", *key)
        });
        house.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    assert_eq!(send(&[&id.to_string()], draft()).await.json()["duplicate"], false);
    assert_eq!(send(&[&format!("\"{id}\"")], draft()).await.json()["duplicate"], true);
    let mut other = draft();
    other["id"] = json!(Uuid::new_v4());
    let id = id.to_string();
    for keys in [&[&*id][..], &["x"], &[&id.to_uppercase()], &[&id, &id], &["\u{e9}"]] {
        let got = send(keys, other.clone()).await;
        assert_eq!((got.code(), got.json()["field"].as_str()), ("invalid".into(), Some("/id")), "{keys:?}");
    }
}

#[tokio::test]
async fn checks_come_in_the_order_of_the_contract() {
    let house = House::with_room_for(1).await;
    let big = "x".repeat(600 * 1024);
    assert_eq!(house.post("", big.clone()).await.code(), "too_large");
    assert_eq!(house.post("", "{").await.code(), "unauthenticated");
    assert_eq!(house.post("nobody", "{").await.code(), "unauthenticated");
    assert_eq!(house.post("stranger", "{").await.code(), "forbidden");
    assert_eq!(house.command("stranger", draft()).await.code(), "forbidden");
    assert_eq!(house.command("audra", draft()).await.code(), "forbidden");
    let place = house.gateway.in_flight.enter();
    let busy = house.post("ana", "{").await;
    assert_eq!((busy.code(), busy.status.as_u16(), busy.header("retry-after")), ("busy".into(), 429, "1"));
    assert_eq!(house.post("", "{").await.code(), "unauthenticated");
    drop(place);
    assert_eq!(house.post("ana", "{").await.code(), "malformed");
    assert_eq!(house.gateway.in_flight.now(), 0);
    assert_eq!(house.log.events().end().await.unwrap(), 1, "nothing was written");
}

/// Whoever sent it has gone away; an instance that ends waits for it all the same.
#[tokio::test]
async fn a_command_keeps_its_place_until_it_is_done() {
    let mut house = House::open().await;
    let article = house.draft("Words.").await;
    house.stop().await;
    // What isn't folded here keeps its refusal waiting.
    let foreign = Message { subject: article.clone(), id: "x".into(), headers: Vec::new(), body: "x".into() };
    house.log.events().try_append(&foreign, Expect::Subject(2)).await.unwrap();
    let publish = json!({"type": "publish", "article": article, "base": 1});
    let mut sent = Box::pin(house.command("ana", publish));
    for _ in 0..100 {
        assert!(futures::poll!(&mut sent).is_pending());
        tokio::task::yield_now().await;
    }
    drop(sent);
    assert_eq!(house.gateway.in_flight.now(), 1);
    house.start();
    within(house.gateway.in_flight.drained()).await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_or_not_it_says_how_long_it_is() {
    let house = House::open().await;
    let ten_megabytes = vec![b' '; 10 << 20];
    let too_large = |got: super::house::Got| {
        assert_eq!(
            (got.code(), got.status.as_u16(), &got.json()["limit"]),
            ("too_large".into(), 413, &json!("command"))
        );
    };
    let declared = request("POST", "ana", "/v1/commands").header("content-length", ten_megabytes.len());
    too_large(house.send(declared.body(Body::from(ten_megabytes.clone())).unwrap()).await);
    let chunks: Vec<_> = ten_megabytes
        .chunks(65_536)
        .map(|chunk| Ok::<_, std::io::Error>(Bytes::copy_from_slice(chunk)))
        .collect();
    too_large(house.post("ana", Body::from_stream(stream::iter(chunks))).await);
    // One without an end is left alone after a while: what is thrown away has a bound, too.
    let (sent, taken) = tokio::sync::watch::channel(0_usize);
    let endless = stream::repeat(Bytes::from(vec![b' '; 65_536])).map(move |chunk| {
        sent.send_modify(|sent| *sent += chunk.len());
        Ok::<_, std::io::Error>(chunk)
    });
    too_large(house.post("ana", Body::from_stream(endless)).await);
    let mut ended = taken.clone();
    while ended.changed().await.is_ok() {}
    assert!(*taken.borrow() < 18 << 20, "{}", *taken.borrow());
    // Exactly the limit is no matter of size.
    let mut padded = draft();
    padded["id"] = json!(Uuid::new_v4());
    let mut padded = padded.to_string();
    padded.push_str(&" ".repeat(512 * 1024 - padded.len()));
    assert_eq!(padded.len(), 512 * 1024);
    assert_eq!(house.post("ana", padded.clone()).await.status, 200);
    assert_eq!(house.post("ana", padded + " ").await.status, 413);
}

#[tokio::test]
async fn a_body_that_breaks_off_changes_nothing() {
    let house = House::open().await;
    let half = stream::iter([Ok(Bytes::from("{\"type\":")), Err(std::io::Error::other("gone"))]);
    assert_eq!(house.post("ana", Body::from_stream(half)).await.code(), "malformed");
    assert_eq!(house.log.events().end().await.unwrap(), 1);
}

#[tokio::test]
async fn a_sender_that_goes_away_does_not_end_its_command() {
    let house = House::open().await;
    let mut command = draft();
    command["id"] = json!(Uuid::new_v4());
    let body = Body::from(command.to_string());
    let app = router(std::sync::Arc::clone(&house.gateway));
    let sent = app.oneshot(request("POST", "ana", "/v1/commands").body(body).unwrap());
    assert!(sent.now_or_never().is_none(), "the sender goes before the answer");
    assert_eq!(house.gateway.in_flight.now(), 1);
    house.gateway.in_flight.drained().await;
    assert_eq!(house.log.events().end().await.unwrap(), 2);
}

#[tokio::test]
async fn a_call_inside_the_process_brings_its_actor_along() {
    let house = House::open().await;
    let mut command = draft();
    command["id"] = json!(Uuid::new_v4());
    let mut inside = request("POST", "", "/v1/commands").body(Body::from(command.to_string())).unwrap();
    inside.extensions_mut().insert(Actor("ana".into()));
    assert_eq!(house.send(inside).await.status, 200);
}
