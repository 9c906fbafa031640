//! Server-sent events: what moves at the desk, and every edition.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use copydesk_article::newsroom::NewsroomSet;
use futures::StreamExt;
use serde_json::{Value, json};

use super::house::{House, request};

/// A stream that is being read.
struct Following {
    body: BodyDataStream,
    text: String,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    id: u64,
    name: String,
    data: Value,
}

impl Following {
    async fn of(house: &House, actor: &str, path: &str, last: Option<u64>) -> Self {
        let mut request = request("GET", actor, path);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = house.response(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event; what opens the stream and comments are passed over. None at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = event.to_owned();
                self.text = rest.to_owned();
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                if field("data: ").is_empty() {
                    continue;
                }
                return Some(Event {
                    id: field("id: ").parse().unwrap(),
                    name: field("event: ").to_owned(),
                    data: serde_json::from_str(field("data: ")).unwrap(),
                });
            }
            let chunk = tokio::time::timeout(Duration::from_secs(10), self.body.next());
            let chunk = chunk.await.expect("an event within ten seconds")?;
            self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    async fn some(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(self.next().await.expect("the stream goes on"));
        }
        events
    }
}

fn types(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event.data["type"].as_str().unwrap().trim_start_matches("copydesk.article."))
        .collect()
}

#[tokio::test]
async fn staff_see_what_moves_and_go_on_where_they_were() {
    let house = House::open().await;
    let mut live = Following::of(&house, "eva", "/v1/stream", None).await;
    let one = house.draft("CANARY rose.").await;
    house.publish(&one).await;
    let seen = live.some(4).await;
    assert_eq!(types(&seen), ["drafted", "submitted", "approved", "published"]);
    let last = &seen[3];
    assert_eq!(
        last.data,
        json!({
            "article": one, "version": 4, "revision": 1, "stage": "approved", "status": "published",
            "type": "copydesk.article.published", "by": "pia",
        })
    );
    assert_eq!(seen[1].data["stage"], "in_review");
    assert!(!format!("{seen:?}").contains("CANARY"));

    let again = Following::of(&house, "eva", "/v1/stream", Some(0)).await.some(4).await;
    assert_eq!(again, seen, "what is replayed is what was seen, as it was then");
    let mut rest = Following::of(&house, "eva", "/v1/stream", Some(seen[1].id)).await;
    assert_eq!(rest.some(2).await, seen[2..]);
    house.done("ana", json!({"type": "ask", "article": one, "data": {"text": "Why?"}})).await;
    assert_eq!(types(&rest.some(1).await), ["asked"], "after the past comes what is new");
}

#[tokio::test]
async fn staff_are_told_of_what_was_erased_since_as_of_any_other_event() {
    let house = House::open().await;
    let one = house.draft("It rose.").await;
    let done = async |actor, kind, data| {
        house.done(actor, json!({"type": kind, "article": one, "data": data})).await;
    };
    done("eva", "ask", json!({"text": "Did CANARY say so?", "blocking": false})).await;
    let mut live = Following::of(&house, "eva", "/v1/stream", Some(0)).await;
    done("carl", "redact", json!({"words": "CANARY", "ground": "Court order 7"})).await;
    done("eva", "confirm_redaction", json!({"words": "CANARY"})).await;
    let seen = live.some(4).await;
    assert_eq!(types(&seen), ["drafted", "asked", "redaction_proposed", "redacted"]);
    assert_eq!(Following::of(&house, "eva", "/v1/stream", Some(0)).await.some(4).await, seen);
}

#[tokio::test]
async fn staff_follow_an_article_a_section_or_what_is_theirs() {
    let house = House::open().await;
    let one = house.draft("One.").await;
    let other = house.draft("Other.").await;
    let assign = json!({"type": "assign", "article": other, "data": {"checkers": ["chen"]}});
    house.done("eva", assign).await;
    let edit = json!({"type": "edit", "article": other, "base": 1, "data": {"set": {"section": "sports"}}});
    house.done("eva", edit).await;
    let all = async |query: &str, count: usize| {
        let mut following = Following::of(&house, "eva", &format!("/v1/stream?{query}"), Some(0)).await;
        following.some(count).await
    };
    assert_eq!(types(&all(&format!("article={one}"), 1).await), ["drafted"]);
    assert_eq!(types(&all("assignee=chen", 2).await), ["assigned", "edited"]);
    assert_eq!(types(&all("section=world", 3).await), ["drafted", "drafted", "assigned"]);
    assert_eq!(types(&all("section=sports", 1).await), ["edited"]);
    let refused = house.get("eva", "/v1/stream?artikel=x").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "invalid"));
    assert_eq!(house.get("", "/v1/stream").await.status, 401);
    assert_eq!(house.get("stranger", "/v1/stream").await.status, 403);
}

#[tokio::test]
async fn a_restricted_article_moves_unseen_by_those_outside() {
    let house = House::open().await;
    let mut outside = Following::of(&house, "emil", "/v1/stream", None).await;
    let mut inside = Following::of(&house, "ana", "/v1/stream", None).await;
    let secret = house.draft("Secret.").await;
    house.done("eva", json!({"type": "restrict", "article": secret, "data": {"people": ["ana"]}})).await;
    house.done("ana", json!({"type": "ask", "article": secret, "data": {"text": "Why?"}})).await;
    let open = house.draft("Open.").await;
    assert_eq!(types(&inside.some(4).await), ["drafted", "restricted", "asked", "drafted"]);
    let seen = outside.some(2).await;
    assert_eq!(types(&seen), ["drafted", "drafted"], "what was before it was restricted was seen");
    assert_eq!(seen[1].data["article"], open);
    let past = Following::of(&house, "emil", "/v1/stream", Some(0)).await.some(1).await;
    assert_eq!(past[0].data["article"], open, "nor is its past shown now");
    assert_eq!(house.get("emil", &format!("/v1/stream?article={secret}")).await.status, 404);
}

#[tokio::test]
async fn who_leaves_the_newsroom_sees_no_more() {
    let leaves: [fn(&mut NewsroomSet); 2] = [
        |newsroom| drop(newsroom.people.remove("emil")),
        |newsroom| newsroom.people.get_mut("emil").unwrap().roles.clear(),
    ];
    for leave in leaves {
        let house = House::open().await;
        let mut following = Following::of(&house, "emil", "/v1/stream", None).await;
        house.draft("One.").await;
        assert_eq!(following.some(1).await.len(), 1);
        let mut newsroom = crate::path::newsroom();
        leave(&mut newsroom);
        house.service.propose(&newsroom, "copydesk", true).await.unwrap();
        let end = house.log_end().await;
        house.service.store.folded(end).await;
        house.draft("Two.").await;
        assert_eq!(following.next().await, None);
    }
}

#[tokio::test]
async fn readers_get_every_edition_and_what_was_withdrawn_as_its_withdrawal_alone() {
    let house = House::open().await;
    let mut live = Following::of(&house, "", "/stream", None).await;
    let one = house.draft("One\u{2028}rose.").await;
    house.publish(&one).await;
    let other = house.draft("Other CANARY.").await;
    house.publish(&other).await;
    let withdraw = json!({"type": "withdraw", "article": other, "data": {"notice": "It was wrong."}});
    house.done("pia", withdraw).await;
    let seen = live.some(3).await;
    assert_eq!(seen.iter().map(|event| &*event.name).collect::<Vec<_>>(), ["first", "first", "withdrawal"]);
    assert!(seen.is_sorted_by_key(|event| event.id));
    assert_eq!(seen[0].data["uri"], format!("urn:uuid:{one}"));

    for (last, expected) in [(0, vec![&seen[0], &seen[2]]), (seen[0].id, vec![&seen[2]])] {
        let mut again = Following::of(&house, "", "/stream", Some(last)).await;
        let got = again.some(expected.len()).await;
        assert_eq!(got.iter().collect::<Vec<_>>(), expected);
        assert!(!format!("{got:?}").contains("CANARY"));
    }
    let mut sports = Following::of(&house, "", "/stream?section=sports", Some(0)).await;
    let mut asia = Following::of(&house, "", "/stream?section=world", Some(seen[2].id)).await;
    let third = house.draft("Third.").await;
    let edit =
        json!({"type": "edit", "article": third, "base": 1, "data": {"set": {"section": "sports/chess"}}});
    house.done("ana", edit).await;
    for (actor, kind) in [("ana", "submit"), ("eva", "approve"), ("pia", "publish")] {
        house.done(actor, json!({"type": kind, "article": third, "base": 2})).await;
    }
    assert_eq!(sports.some(1).await[0].data["uri"], format!("urn:uuid:{third}"));
    house.publish(&house.draft("Fourth.").await).await;
    assert_eq!(asia.some(1).await[0].data["uri"].as_str().map(str::len), Some(45), "the third isn't Asia's");
    assert_eq!(asia.text, "");
}

#[tokio::test]
async fn who_takes_nothing_of_the_past_keeps_nobody_else_from_it() {
    let house = House::open().await;
    let mut live = Following::of(&house, "", "/stream", None).await;
    house.publish(&house.draft("One.").await).await;
    house.publish(&house.draft("Two.").await).await;
    let seen = live.some(2).await;
    // More of the staff than may be on their way at once.
    for (actor, path, count) in [("", "/stream", 200), ("eva", "/v1/stream", 40)] {
        let mut idle = Vec::new();
        for _ in 0..count {
            let follows = Following::of(&house, actor, path, Some(0));
            let mut reader = tokio::time::timeout(Duration::from_secs(10), follows).await.expect("an answer");
            assert!(reader.body.next().await.unwrap().unwrap().starts_with(b"retry:"));
            // It has begun to read, and goes no further.
            let _ = futures::poll!(reader.body.next());
            idle.push(reader);
        }
        let mut one_more = Following::of(&house, actor, path, Some(0)).await;
        let some = one_more.some(2).await;
        assert!(actor == "eva" || some == seen);
    }
}

#[tokio::test]
async fn an_id_from_an_instance_that_is_further_waits_for_this_one() {
    let house = House::open().await;
    let one = house.draft("One.").await;
    house.publish(&one).await;
    let end = house.log_end().await;
    // Another instance has told the reader of what comes next here.
    let mut ahead = Following::of(&house, "", "/stream", Some(end + 5)).await;
    let (two, three) = (house.draft("Two.").await, house.draft("Three.").await);
    for article in [&two, &three] {
        house.publish(article).await;
    }
    assert_eq!(ahead.some(1).await[0].data["uri"], format!("urn:uuid:{three}"));
}

/// What a reader gets first while nothing happens.
async fn beats(reader: &mut Following) -> [String; 3] {
    let mut beats = [const { String::new() }; 3];
    tokio::time::pause();
    for beat in &mut beats {
        let chunk = reader.body.next().await.unwrap().unwrap();
        *beat = String::from_utf8(chunk.to_vec()).unwrap();
    }
    tokio::time::resume();
    beats
}

/// What they had from another instance isn't told again, however often they come back before this one has it too.
#[tokio::test]
async fn an_id_that_is_ahead_of_this_instance_never_goes_back() {
    let house = House::open().await;
    let one = house.draft("One.").await;
    house.publish(&one).await;
    Following::of(&house, "", "/stream", Some(0)).await.some(1).await;
    let ahead = house.log_end().await + 5;
    let mut reader = Following::of(&house, "", "/stream", Some(ahead)).await;
    let beats = beats(&mut reader).await;
    assert_eq!(beats, ["retry: 2000\n\n".to_owned(), format!("id: {ahead}\n\n"), ":\n\n".to_owned()]);
}

/// Of what they ask for nothing came for a while; what comes while they are away is not to be passed over.
#[tokio::test]
async fn who_had_no_event_yet_comes_back_to_where_they_were() {
    let house = House::open().await;
    for (path, actor) in [("/stream?section=chess", ""), ("/v1/stream?section=chess", "eva")] {
        let one = house.draft("It rose.").await;
        house.publish(&one).await;
        let mut reader = Following::of(&house, actor, path, None).await;
        let beats = beats(&mut reader).await;
        assert_eq!((&*beats[0], &*beats[2]), ("retry: 2000\n\n", ":\n\n"));
        let id = beats[1].strip_prefix("id: ").and_then(|id| id.strip_suffix("\n\n")).unwrap();
        drop(reader);
        let two = house.draft("It fell.").await;
        house.publish(&two).await;
        let path = path.split('?').next().unwrap();
        let next = Following::of(&house, actor, path, id.parse().ok()).await.next().await.unwrap();
        assert!(next.data.to_string().contains(&two), "{next:?}");
    }
}

#[tokio::test]
async fn streams_end_when_the_instance_does() {
    let house = House::open().await;
    let mut public = Following::of(&house, "", "/stream", None).await;
    let mut staff = Following::of(&house, "eva", "/v1/stream", None).await;
    assert_eq!(house.gateway.followers.now(), 2);
    house.gateway.health.set_draining();
    assert_eq!((public.next().await, staff.next().await), (None, None));
    assert_eq!(house.gateway.followers.now(), 0, "their places are free again");
}

#[tokio::test]
async fn a_reader_who_does_not_keep_up_is_cut_off_and_the_others_are_not() {
    let house = House::open().await;
    let mut slow = Following::of(&house, "eva", "/v1/stream", None).await;
    let mut quick = Following::of(&house, "eva", "/v1/stream", None).await;
    let article = house.draft("One.").await;
    slow.some(1).await;
    quick.some(1).await;
    let mut late = Following::of(&house, "eva", "/v1/stream", Some(0)).await;
    let asks = copydesk::store::MOVES_KEPT + 1;
    for ask in 0..asks {
        let base =
            json!({"type": "cite", "article": article, "data": {"claim": "c1", "title": ask.to_string()}});
        match ask % 50 {
            0 => {
                let claim = json!({"quote": "One", "block": "b1", "kind": "fact"});
                house.done("ana", json!({"type": "claim", "article": article, "data": claim})).await;
            }
            _ => {
                let claim = format!("c{}", ask / 50 + 1);
                let mut cite = base;
                cite["data"]["claim"] = json!(claim);
                house.done("ana", cite).await;
            }
        }
        quick.some(1).await;
    }
    let mut had = 0;
    while let Some(event) = slow.next().await {
        had = event.id;
    }
    assert_eq!(had, 0, "it lost its place, so it is told nothing that comes after a gap");
    let mut back = Following::of(&house, "eva", "/v1/stream", Some(had)).await;
    let all = back.some(asks + 1).await;
    assert!(all.is_sorted_by(|a, b| a.id < b.id), "and finds everything when it comes back");
    assert_eq!(
        late.some(asks + 1).await,
        all,
        "who was still at the past goes on there, and sees nothing twice"
    );
    // It waits already when something comes: what was left in the queue is past by then.
    let (next, _) = tokio::join!(late.some(1), house.draft("Another."));
    assert_eq!(types(&next), ["drafted"]);
}
