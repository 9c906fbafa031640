//! The public routes.

use axum::body::Body;
use serde_json::json;

use super::house::{Got, House, request};

async fn public(house: &House, path: &str, headers: &[(&str, &str)]) -> Got {
    let request =
        headers.iter().fold(request("GET", "", path), |request, (name, value)| request.header(*name, *value));
    house.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn an_edition_is_in_the_feed_and_on_its_page_and_nothing_else_is() {
    let house = House::open().await;
    let out = house.draft("A river rose.").await;
    let inside = house.draft("CANARY of an unpublished story.").await;
    house.publish(&out).await;
    let feed = public(&house, "/feed.json?utm_source=x", &[]).await;
    assert_eq!(
        (feed.status.as_u16(), feed.header("content-type")),
        (200, "application/feed+json; charset=utf-8")
    );
    assert_eq!(feed.json()["items"].as_array().unwrap().len(), 1);
    assert_eq!(feed.json()["items"][0]["title"], "Rivers rise");
    assert!(!feed.text.contains("CANARY"));
    let page = public(&house, &format!("/articles/{out}"), &[("accept", "text/html")]).await;
    assert!(page.status == 200 && page.text.contains("<h1>Rivers rise</h1>"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let ninjs = public(&house, &format!("/articles/{out}"), &[("accept", "application/json")]).await;
    assert_eq!(
        (ninjs.json()["uri"].as_str(), ninjs.header("vary")),
        (Some(&*format!("urn:uuid:{out}")), "Accept")
    );
    let unknown = "0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d11";
    let of =
        async |id: &str| public(&house, &format!("/articles/{id}"), &[("accept", "application/json")]).await;
    let (unpublished, unknown, no_id) = (of(&inside).await, of(unknown).await, of("x").await);
    assert_eq!(unpublished.status, 404);
    assert_eq!((&unpublished.text, &unpublished.headers), (&unknown.text, &unknown.headers));
    assert_eq!((&no_id.text, &no_id.headers), (&unknown.text, &unknown.headers));
}

#[tokio::test]
async fn who_has_the_newest_is_told_so_until_it_changes() {
    let house = House::open().await;
    let id = house.draft("A river rose.").await;
    house.publish(&id).await;
    let feeds = ["/feed.json", "/feed.atom", "/feed.rss", "/feed.ninjs"].map(str::to_owned);
    for path in feeds.into_iter().chain([format!("/articles/{id}")]) {
        let first = public(&house, &path, &[]).await;
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"') && first.header("cache-control") == "no-cache", "{path}");
        let again = public(&house, &path, &[("if-none-match", &tag)]).await;
        assert_eq!(
            (again.status.as_u16(), again.text.as_str(), again.header("etag")),
            (304, "", &*tag),
            "{path}"
        );
        assert_eq!(public(&house, &path, &[("if-none-match", "\"x\"")]).await.status, 200, "{path}");
        let head = house.send(request("HEAD", "", &path).body(Body::empty()).unwrap()).await;
        assert_eq!(
            (head.status.as_u16(), head.text.as_str(), head.header("etag")),
            (200, "", &*tag),
            "{path}"
        );
    }
    let feed = public(&house, "/feed.json", &[]).await;
    let (tag, modified) = (feed.header("etag").to_owned(), feed.header("last-modified").to_owned());
    assert_eq!(public(&house, "/feed.json", &[("if-modified-since", &modified)]).await.status, 304);

    let notice = json!({"type": "withdraw", "article": id, "data": {"notice": "It was wrong."}});
    house.done("pia", notice).await;
    let id = id.parse().unwrap();
    let newest = || house.service.public.newest(id).unwrap().filter(|entry| entry.shown.is_withdrawn());
    crate::path::until("the withdrawal", newest).await;
    let page = public(&house, &format!("/articles/{id}"), &[("if-none-match", "*")]).await;
    assert!(page.status == 410 && page.text.contains("It was wrong.") && !page.text.contains("river"));
    assert_eq!(public(&house, "/feed.json", &[("if-none-match", &tag)]).await.status, 200);
}

#[tokio::test]
async fn a_feed_says_what_is_wrong_with_a_parameter() {
    let house = House::open().await;
    for (query, field) in [("limit=x", "limit"), ("cursor=x", "cursor"), ("section=a&section=b", "section")] {
        let got = public(&house, &format!("/feed.json?{query}"), &[]).await;
        assert_eq!(
            (got.code(), got.json()["field"].as_str()),
            ("invalid".to_owned(), Some(field)),
            "{query}"
        );
    }
}
