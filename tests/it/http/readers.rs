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
    let feed = public(&house, "/feed.json?utm_source=x&utm_source=y", &[]).await;
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
    assert_eq!(
        (feed.header("access-control-allow-origin"), page.header("access-control-allow-origin")),
        ("*", "*")
    );
    let ninjs = public(&house, &format!("/articles/{out}"), &[("accept", "application/json")]).await;
    assert_eq!(
        (ninjs.json()["uri"].as_str(), ninjs.header("vary")),
        (Some(&*format!("urn:uuid:{out}")), "Accept, Accept-Encoding")
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
    let feeds =
        ["/", "/?section=world", "/feed.json", "/feed.atom", "/feed.rss", "/feed.ninjs"].map(str::to_owned);
    for path in feeds.into_iter().chain([format!("/articles/{id}")]) {
        let first = public(&house, &path, &[]).await;
        let tag = first.header("etag").to_owned();
        assert!(
            tag.starts_with('"') && first.header("cache-control").starts_with("public, max-age=0"),
            "{path}"
        );
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

/// An answer's headers and its bytes as they were sent.
async fn raw(house: &House, method: &str, path: &str, headers: &[(&str, &str)]) -> (Got, Vec<u8>) {
    let request = headers
        .iter()
        .fold(request(method, "", path), |request, (name, value)| request.header(*name, *value));
    house.send_raw(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn an_answer_comes_in_the_coding_that_is_accepted_and_is_one_answer() {
    use std::io::Read;
    let house = House::open().await;
    let id = house.draft(&"A river rose. ".repeat(200)).await;
    house.publish(&id).await;
    for path in ["/", "/feed.json", "/feed.atom", "/feed.rss", "/feed.ninjs", &format!("/articles/{id}")] {
        let (plain, bytes) = raw(&house, "GET", path, &[]).await;
        assert_eq!(plain.header("content-encoding"), "", "{path}");
        let tag = plain.header("etag").to_owned();
        for (accept, coding) in [("gzip", "gzip"), ("gzip, deflate, br", "br")] {
            let asks = [("accept-encoding", accept)];
            let (coded, sent) = raw(&house, "GET", path, &asks).await;
            assert_eq!(
                (coded.header("content-encoding"), coded.header("etag")),
                (coding, &*format!("W/{tag}")),
                "{path}"
            );
            assert!(
                coded.header("vary").contains("Accept-Encoding")
                    && coded.header("vary") == plain.header("vary")
            );
            let mut read = Vec::new();
            match coding {
                "gzip" => flate2::read::GzDecoder::new(&*sent).read_to_end(&mut read).unwrap(),
                _ => brotli::Decompressor::new(&*sent, 4096).read_to_end(&mut read).unwrap(),
            };
            assert!(read == bytes && sent.len() < bytes.len(), "{path}");
            // Whichever form a reader has, it is told so in whichever it asks for.
            for has in [tag.clone(), format!("W/{tag}")] {
                let (same, none) = raw(&house, "GET", path, &[asks[0], ("if-none-match", &has)]).await;
                assert_eq!((same.status.as_u16(), none.len()), (304, 0), "{path} {has}");
                assert_eq!(
                    (same.header("etag"), same.header("vary")),
                    (coded.header("etag"), coded.header("vary"))
                );
                assert_eq!(same.header("cache-control"), plain.header("cache-control"));
            }
            let (head, none) = raw(&house, "HEAD", path, &asks).await;
            assert_eq!((head.status.as_u16(), none.len()), (200, 0), "{path}");
            for name in ["etag", "content-type", "content-encoding", "vary", "cache-control", "last-modified"]
            {
                assert_eq!(head.header(name), coded.header(name), "{path} {name}");
            }
            assert_eq!(head.header("content-length"), sent.len().to_string(), "{path}");
        }
        assert_eq!(raw(&house, "GET", path, &[("if-none-match", "W/\"x\"")]).await.0.status, 200, "{path}");
    }
    // What isn't public isn't coded.
    let asks = request("GET", "audra", "/v1/events").header("accept-encoding", "gzip, br");
    assert_eq!(house.send(asks.body(Body::empty()).unwrap()).await.header("content-encoding"), "");
}

#[tokio::test]
async fn the_front_page_leads_to_what_is_out_and_only_to_that() {
    let house = House::open().await;
    let empty = public(&house, "/", &[]).await;
    assert!(empty.status == 200 && empty.text.contains("Nothing has been published yet."));
    let (out, inside) = (house.draft("A river rose.").await, house.draft("CANARY").await);
    house.publish(&out).await;
    for path in ["/", "/?section=world", "/?section=world/asia&utm_source=x&limit=0"] {
        let page = public(&house, path, &[]).await;
        assert!(
            page.text.contains(&format!("href=\"https://desk.test/articles/{out}\">Rivers rise</a>")),
            "{path}"
        );
        assert!(!page.text.contains(&inside) && !page.text.contains("CANARY"));
        assert!(page.header("content-security-policy").contains("default-src 'none'"));
    }
    assert!(!public(&house, "/?section=sport", &[]).await.text.contains(&out));
    let refused = public(&house, "/?section=world&cursor=x", &[]).await;
    assert_eq!((refused.code(), refused.json()["field"].as_str()), ("invalid".into(), Some("cursor")));
    let modified = public(&house, &format!("/articles/{out}"), &[]).await.header("last-modified").to_owned();
    let again = public(&house, &format!("/articles/{out}"), &[("if-modified-since", &modified)]).await;
    assert_eq!(again.status, 304);
}
