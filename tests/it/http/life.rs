//! A story's whole life as tools and readers see it, case by case.

use axum::body::Body;
use serde_json::{Value, json};
use uuid::Uuid;

use super::house::{Got, House, request};

/// An article at its newest revision, as the tools of these cases send for it.
struct Story<'a> {
    house: &'a House,
    id: String,
    revision: u64,
}

impl<'a> Story<'a> {
    async fn out(house: &'a House, markdown: &str) -> Self {
        let id = house.draft(markdown).await;
        house.publish(&id).await;
        Self { house, id, revision: 1 }
    }

    fn command(&self, kind: &str, data: Value) -> Value {
        json!({"type": kind, "article": self.id, "base": self.revision, "data": data})
    }

    async fn done(&mut self, actor: &str, kind: &str, data: Value) -> Value {
        let answer = self.house.done(actor, self.command(kind, data)).await;
        self.revision = answer["revision"].as_u64().unwrap();
        answer
    }

    /// The code of a refusal.
    async fn refused(&self, actor: &str, kind: &str, data: Value) -> String {
        self.house.command(actor, self.command(kind, data)).await.code()
    }

    /// What readers get once they have an edition or withdrawal.
    async fn read(&self, edition: u64, accept: &str) -> Got {
        let (public, id) = (&self.house.service.public, self.id.parse::<Uuid>().unwrap());
        let number = || public.newest(id).unwrap().filter(|entry| u64::from(entry.shown.edition) == edition);
        crate::path::until("the edition", number).await;
        let path = format!("/articles/{}", self.id);
        self.house.send(request("GET", "", &path).header("accept", accept).body(Body::empty()).unwrap()).await
    }
}

/// Which articles a feed lists.
async fn listed(house: &House, query: &str) -> Vec<String> {
    let feed = house.get("", &format!("/feed.ninjs?{query}")).await.json();
    let uri = |item: &Value| item["uri"].as_str().unwrap().replace("urn:uuid:", "");
    feed["items"].as_array().unwrap().iter().map(uri).collect()
}

fn roles(ninjs: &Value) -> Vec<&str> {
    ninjs["descriptions"].as_array().unwrap().iter().filter_map(|one| one["role"].as_str()).collect()
}

#[tokio::test]
async fn what_is_corrected_withdrawn_and_brought_back_tells_readers_each_time() {
    let house = House::open().await;
    let mut story = Story::out(&house, "Nine people died.").await;
    assert_eq!(story.refused("pia", "publish", json!({})).await, "nothing_new");
    assert_eq!(story.refused("eva", "spike", json!({})).await, "wrong_status");
    story.done("ana", "edit", json!({"markdown": "Eight people died."})).await;
    let correction = json!({"kind": "correction", "note": "We miscounted."});
    assert_eq!(story.refused("pia", "publish", correction.clone()).await, "gate_shut");
    assert!(story.read(1, "text/html").await.text.contains("Nine people"), "the working copy is unseen");
    story.done("eva", "approve", json!({})).await;
    assert_eq!(story.refused("pia", "publish", json!({"kind": "correction"})).await, "invalid");
    let answer = story.done("pia", "publish", correction).await;
    assert_eq!((&answer["edition"], &answer["status"]), (&json!(2), &json!("published")));
    assert_eq!(roles(&story.read(2, "application/json").await.json()), ["correction"]);

    let answer = story.done("pia", "withdraw", json!({"notice": "This was wrong throughout."})).await;
    assert_eq!((&answer["edition"], &answer["status"]), (&json!(3), &json!("withdrawn")));
    for accept in ["text/html", "application/json"] {
        let gone = story.read(3, accept).await;
        assert_eq!(gone.status, 410);
        assert!(gone.text.contains("wrong throughout") && !gone.text.contains("people"), "{}", gone.text);
    }
    assert_eq!(story.refused("pia", "withdraw", json!({"notice": "Again."})).await, "wrong_status");
    for kind in ["first", "update", "correction"] {
        let data = json!({"kind": kind, "note": "Why."});
        assert_eq!(story.refused("pia", "publish", data).await, "wrong_status", "{kind}");
    }
    assert_eq!(story.refused("pia", "publish", json!({})).await, "invalid", "readers are told why");
    // The very words that were withdrawn may come back.
    let answer = story.done("pia", "publish", json!({"note": "It was right after all."})).await;
    assert_eq!((&answer["edition"], &answer["status"]), (&json!(4), &json!("published")));
    let back = story.read(4, "application/json").await;
    assert_eq!((back.status.as_u16(), back.json()["version"].as_str()), (200, Some("4")));
    assert_eq!(roles(&back.json()), ["correction", "withdrawal", "reinstatement"]);

    story.done("pia", "withdraw", json!({"notice": "For good.", "final": true})).await;
    for (actor, kind, data) in [
        ("pia", "publish", json!({"note": "Why."})),
        ("ana", "edit", json!({"markdown": "Ten."})),
        ("eva", "restrict", json!({"people": null})),
        ("ana", "ask", json!({"text": "Why?"})),
    ] {
        let got = house.command(actor, story.command(kind, data)).await;
        assert_eq!((got.status.as_u16(), got.code().as_str()), (410, "withdrawn"), "{kind}");
    }
    assert_eq!(house.get("ana", &format!("/v1/articles/{}", story.id)).await.json()["status"], "withdrawn");
}

#[tokio::test]
async fn a_filter_finds_what_any_edition_had_and_shows_the_newest() {
    let house = House::open().await;
    let mut story = Story::out(&house, "A river rose.").await;
    let moved = json!({"set": {"section": "sport", "language": "pt", "keywords": ["Rowing"]}});
    story.done("ana", "edit", moved).await;
    assert!(listed(&house, "section=sport").await.is_empty(), "not before it is out");
    story.done("eva", "approve", json!({})).await;
    story.done("pia", "publish", json!({"kind": "correction", "note": "It is sport."})).await;
    story.read(2, "text/html").await;
    for query in [
        "section=world",
        "section=world/asia",
        "section=sport",
        "language=en",
        "language=pt",
        "keyword=Rowing",
    ] {
        assert_eq!(listed(&house, query).await, [story.id.clone()], "{query}");
    }
    for query in ["section=wor", "section=asia", "keyword=Row", "language=fr"] {
        assert!(listed(&house, query).await.is_empty(), "{query}");
    }
    story.done("pia", "withdraw", json!({"notice": "Gone."})).await;
    story.read(3, "text/html").await;
    for path in ["/feed.json", "/feed.atom", "/feed.rss", "/feed.ninjs"] {
        let feed = house.get("", &format!("{path}?section=world/asia")).await.text;
        assert!(feed.contains("Gone.") && !feed.contains("river") && !feed.contains("Rowing"), "{feed}");
    }
}

#[tokio::test]
async fn an_embargo_and_an_hour_hold_a_story_and_what_holds_it_longer_is_said() {
    let house = House::open().await;
    let id = house.draft("Words.").await;
    let mut story = Story { house: &house, id, revision: 1 };
    story.done("ana", "submit", json!({})).await;
    story.done("eva", "approve", json!({})).await;
    let now = house.service.log.clock().now();
    let hours = |hours| json!((now + chrono::TimeDelta::hours(hours)).to_rfc3339());
    let past = house.command("eva", story.command("embargo", json!({"until": hours(-1)}))).await;
    assert_eq!((past.code().as_str(), past.json()["field"].as_str()), ("invalid", Some("/data/until")));
    story.done("eva", "embargo", json!({"until": hours(2)})).await;
    let shut = house.command("pia", story.command("publish", json!({}))).await;
    assert_eq!(
        (shut.code().as_str(), &shut.json()["reasons"][0]["code"]),
        ("gate_shut", &json!("embargoed"))
    );
    assert_eq!(story.refused("pia", "publish", json!({"at": hours(1)})).await, "embargoed");
    let waive = json!({"reasons": [{"code": "embargoed"}], "reason": "The hour."});
    assert_eq!(story.refused("carl", "waive", waive).await, "invalid");

    let answer = story.done("pia", "publish", json!({"at": hours(3)})).await;
    assert_eq!(
        (&answer["status"], &answer["type"]),
        (&json!("scheduled"), &json!("copydesk.article.scheduled"))
    );
    let warned = |answer: &Value| -> Vec<String> {
        let warnings = answer["warnings"].as_array().cloned().unwrap_or_default();
        warnings.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
    };
    let answer = story.done("eva", "embargo", json!({"until": hours(4)})).await;
    assert_eq!(warned(&answer), ["publication_will_be_held", "embargoed"]);
    let answer = story.done("eva", "embargo", json!({"until": null})).await;
    assert!(warned(&answer).is_empty());
    let answer = story.done("chen", "ask", json!({"text": "Sure?"})).await;
    assert_eq!(warned(&answer), ["publication_will_be_held", "query_open"]);
    assert_eq!(story.refused("pia", "publish", json!({})).await, "wrong_status");
    assert_eq!(story.refused("pia", "withdraw", json!({"notice": "No."})).await, "wrong_status");
    let seen = house.get("ana", &format!("/v1/articles/{}", story.id)).await.json();
    assert_eq!((&seen["schedule"]["by"], &seen["held"]), (&json!("pia"), &Value::Null));
    let answer = story.done("eva", "spike", json!({"reason": "Overtaken."})).await;
    assert_eq!((&answer["stage"], &answer["status"]), (&json!("spiked"), &json!("unpublished")));
    assert_eq!(story.refused("pia", "unschedule", json!({})).await, "wrong_status");
    assert_eq!(story.done("eva", "revive", json!({})).await["stage"], "draft");
}
