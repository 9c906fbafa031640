//! Articles that not everyone on staff may see, and what a board is searched for.

use serde_json::{Value, json};

use super::house::House;

/// Everything that a reader can ask about an article.
async fn seen(house: &House, actor: &str, id: &str) -> Vec<u16> {
    let mut seen = Vec::new();
    for path in ["", "?format=markdown", "?version=1", "/gate", "/history"] {
        let got = house.get(actor, &format!("/v1/articles/{id}{path}")).await;
        seen.push(got.status.as_u16());
        assert!(got.status == 200 || !got.text.contains("Secret"), "{}", got.text);
    }
    seen
}

async fn on_the_board(house: &House, actor: &str, query: &str) -> usize {
    let board = house.get(actor, &format!("/v1/articles?{query}")).await.json();
    board["articles"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_restricted_article_is_not_there_for_those_outside() {
    let house = House::open().await;
    let id = house.draft("Secret words.").await;
    house.draft("For everyone.").await;
    house.done("eva", json!({"type": "restrict", "article": id, "data": {"people": ["ana", "chen"]}})).await;
    let unknown = house.get("pia", "/v1/articles/00000000-0000-4000-8000-000000000000").await;
    for (actor, sees) in [
        ("ana", true),
        ("chen", true),
        ("eva", true),
        ("carl", true),
        ("audra", true),
        ("emil", false),
        ("pia", false),
        ("bot", false),
    ] {
        let status = if sees { 200 } else { 404 };
        assert_eq!(seen(&house, actor, &id).await, [status; 5], "{actor}");
        let found = usize::from(sees);
        assert_eq!(on_the_board(&house, actor, "").await, 1 + found, "{actor}");
        assert_eq!(on_the_board(&house, actor, "q=rivers").await, 1 + found, "{actor}");
    }
    assert_eq!(house.get("pia", &format!("/v1/articles/{id}")).await.text, unknown.text, "no telling apart");
    let ask = json!({"type": "ask", "article": id, "data": {"text": "Why?"}});
    assert_eq!(house.command("pia", ask.clone()).await.code(), "not_found");
    let asked = json!({"type": "ask", "article": id, "data": {"text": "Why?", "to": "ana"}, "try": true});
    assert_eq!(house.command("pia", asked).await.code(), "not_found");
    house.done("carl", json!({"type": "restrict", "article": id, "data": {"people": null}})).await;
    house.done("pia", ask).await;
    assert_eq!(seen(&house, "pia", &id).await, [200; 5]);
}

#[tokio::test]
async fn an_id_used_on_a_restricted_article_tells_those_outside_nothing() {
    let house = House::open().await;
    let id = house.draft("Secret words.").await;
    let command = |kind: &str, data: Value, article: &str| {
        json!({"id": "4d6c9b0e-6a0f-4c5e-9d53-0a4a3f1c2b11", "type": kind, "article": article,
            "base": 1, "data": data})
    };
    let headline = || json!({"set": {"headline": "By Emil"}});
    house.done("emil", command("edit", headline(), &id)).await;
    house.done("eva", json!({"type": "restrict", "article": id, "data": {"people": ["ana"]}})).await;
    let unknown = "00000000-0000-4000-8000-000000000000";
    for (actor, kind, data) in [
        ("bot", "edit", headline()),
        ("chen", "ask", json!({"text": "Why?"})),
        ("pia", "edit", headline()),
        ("stranger", "edit", headline()),
    ] {
        let here = house.command(actor, command(kind, data.clone(), &id)).await;
        let nowhere = house.command(actor, command(kind, data, unknown)).await;
        assert_eq!((here.status, here.text), (nowhere.status, nowhere.text), "{actor}");
    }
    assert_eq!(house.command("ana", command("edit", headline(), &id)).await.code(), "id_reused");
    let again = house.done("emil", command("edit", headline(), &id)).await;
    assert_eq!(again["duplicate"], true, "the sender of what was accepted gets the answer again");
}

#[tokio::test]
async fn the_board_is_searched_by_words_and_by_who_works_on_it() {
    let house = House::open().await;
    let draft = |slug: &str, headline: &str, byline: &str, keyword: &str| {
        json!({"type": "draft", "data": {"slug": slug, "language": "en", "headline": headline,
            "byline": byline, "keywords": [keyword], "markdown": "Words of the body."}})
    };
    let one =
        house.done("ana", draft("orban-speech", "Orbán *spoke* in ISTANBUL", "By Zoë Ström", "Straße")).await;
    house.done("ana", draft("rain", "القطار وصل", "By Émile", "weather")).await;
    for (words, found) in [
        ("orban", 1),
        ("ORBÁN%20istanbul", 1),
        ("spoke", 1),
        ("strom", 1),
        ("strasse", 1),
        ("orban%20rain", 0),
        ("emile", 1),
        ("%D8%A7%D9%84%D9%82%D8%B7%D8%A7%D8%B1", 1),
        ("weather", 1),
        ("body", 0),
        ("", 2),
    ] {
        assert_eq!(on_the_board(&house, "pia", &format!("q={words}")).await, found, "{words}");
    }
    let id = one["article"].clone();
    let due = json!({"writers": ["ana"], "editor": "eva", "due": "2020-01-01T00:00:00Z"});
    house.done("eva", json!({"type": "assign", "article": id, "data": due})).await;
    for (assignee, found) in [("ana", 1), ("eva", 1), ("emil", 0)] {
        assert_eq!(on_the_board(&house, "pia", &format!("assignee={assignee}")).await, found, "{assignee}");
    }
    let board = house.get("pia", "/v1/articles?assignee=ana").await.json();
    let row = &board["articles"][0];
    assert_eq!((&row["overdue"], &row["due"]), (&json!(true), &json!("2020-01-01T00:00:00Z")));
    assert_eq!(row["assigned"]["editor"], "eva");
    let article: Value = house.get("pia", &format!("/v1/articles/{}", id.as_str().unwrap())).await.json();
    assert_eq!(article["assigned"]["writers"], json!(["ana"]));
}
