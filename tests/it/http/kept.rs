//! What is kept is answered ahead of the router, over real connections, and nothing differs by it.

use std::net::SocketAddr;

use axum::body::Body;
use bytes::Bytes;
use copydesk::door::Rate;
use copydesk::http::doors::{Doors, Proxies, Rates};
use copydesk::http::{Patience, serve};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::house::{House, request};

/// Serves a house's readers for as long as the test runs.
async fn served(house: &House) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gateway = std::sync::Arc::clone(&house.gateway);
    tokio::spawn(serve(listener, gateway, Patience::default(), std::future::pending()));
    address
}

/// What a connection brought: status, headers in the order of their names, without the date, and the body.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Brought {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Brought {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(there, _)| there == name).map_or("", |(_, value)| value)
    }
}

async fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Brought {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|found| found == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap()[9..12].parse().unwrap();
    let pairs = lines.map(|line| line.split_once(": ").unwrap());
    let mut headers: Vec<_> = pairs
        .filter(|(name, _)| !["date", "connection", "content-length"].contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    headers.sort();
    Brought { status, headers, body: Bytes::copy_from_slice(&bytes[end + 4..]) }
}

/// The router's own answer.
async fn routed(house: &House, method: &str, path: &str, headers: &[(&str, &str)]) -> Brought {
    let request = headers
        .iter()
        .fold(request(method, "", path), |request, (name, value)| request.header(*name, *value));
    let (got, body) = house.send_raw(request.body(Body::empty()).unwrap()).await;
    let pairs = got.headers.iter().filter(|(name, _)| *name != "content-length");
    let mut headers: Vec<_> =
        pairs.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    Brought { status: got.status.as_u16(), headers, body: body.into() }
}

fn counted(house: &House, route: &str, status: u16) -> u64 {
    let line = format!("copydesk_http_requests_total{{route=\"{route}\",status=\"{status}\"}} ");
    let text = house.gateway.metrics.render(&[]);
    text.lines().find_map(|there| there.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn what_is_kept_is_answered_as_the_router_answers_and_counted_as_well() {
    let house = House::open().await;
    let id = house.draft(&"A river rose. ".repeat(200)).await;
    house.publish(&id).await;
    let address = served(&house).await;
    let page = format!("/articles/{id}");
    let feeds = ["/", "/feed.json", "/feed.atom", "/feed.rss", "/feed.ninjs"].map(|path| (path, path));
    for (path, route) in feeds.into_iter().chain([(&*page, "/articles/{id}")]) {
        let tag = ask(address, "GET", path, &[]).await.header("etag").to_owned();
        let date = ask(address, "GET", path, &[]).await.header("last-modified").to_owned();
        assert!(!tag.is_empty() && !date.is_empty(), "{path}");
        let mut bodies = Vec::new();
        for headers in [
            &[][..],
            &[("accept-encoding", "gzip")],
            &[("accept-encoding", "gzip;q=0.5, br")],
            &[("accept", "application/json")],
            &[("accept", "application/ninjs+json"), ("accept-encoding", "br")],
            &[("accept", "text/html"), ("accept-encoding", "identity")],
            &[("if-none-match", "\"another\"")],
            &[("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")],
            &[("if-none-match", &tag)],
            &[("if-none-match", &format!("W/{tag}")), ("accept-encoding", "gzip")],
            &[("if-modified-since", &date)],
            &[("authorization", "Bearer nobodys")],
        ] {
            // The first may be rendered; the second is kept.
            let rendered = ask(address, "GET", path, headers).await;
            let before = counted(&house, route, rendered.status);
            let kept = ask(address, "GET", path, headers).await;
            assert_eq!(counted(&house, route, rendered.status), before + 1, "{path} {headers:?}");
            assert_eq!(kept, rendered, "{path} {headers:?}");
            assert_eq!(kept, routed(&house, "GET", path, headers).await, "{path} {headers:?}");
            assert_eq!(kept.header("x-content-type-options"), "nosniff");
            let unchanged = headers.iter().any(|(_, value)| value.contains(&tag) || *value == date);
            assert_eq!(
                (kept.status, kept.body.is_empty()),
                if unchanged { (304, true) } else { (200, false) }
            );
            bodies.push(kept.body);
        }
        let (plain, gzip, brotli) = (&bodies[0], &bodies[1], &bodies[2]);
        assert!(plain != gzip && gzip != brotli && plain != brotli, "{path}");
        assert_eq!(plain == &bodies[3], path != page, "an article turns on Accept: {path}");
        let head = ask(address, "HEAD", path, &[]).await;
        assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, &*tag), "{path}");
        let with_more = ask(address, "GET", &format!("{path}?utm_source=x"), &[]).await;
        assert_eq!(&with_more.body, plain, "{path}");
        assert_eq!(ask(address, "POST", path, &[]).await.status, 405, "{path}");
        let with_token = ask(address, "GET", &format!("{path}?token=x"), &[]).await;
        assert_eq!(with_token.status, 401, "{path}");
    }
    assert_eq!(
        ask(address, "GET", &format!("{page}/proof"), &[]).await.status,
        routed(&house, "GET", &format!("{page}/proof"), &[]).await.status
    );
    let notice = json!({"type": "withdraw", "article": id, "data": {"notice": "It was wrong."}});
    house.done("pia", notice).await;
    let newest = || house.service.public.newest(id.parse().unwrap()).unwrap();
    crate::path::until("the withdrawal", || newest().filter(|entry| entry.shown.is_withdrawn())).await;
    for _ in 0..2 {
        let gone = ask(address, "GET", &page, &[("if-none-match", "*")]).await;
        assert!(gone.status == 410 && String::from_utf8_lossy(&gone.body).contains("It was wrong."));
    }
}

#[tokio::test]
async fn who_comes_too_often_is_told_so_where_the_answer_is_kept_too() {
    let few = Rate { per_second: 1, burst: 3 };
    let rates = Rates { address: few, ..Rates::default() };
    let house = House::with_doors(Doors::new(Proxies::None, None, rates)).await;
    let address = served(&house).await;
    let mut slow = 0;
    for _ in 0..20 {
        let brought = ask(address, "GET", "/feed.json", &[]).await;
        match brought.status {
            200 => {}
            429 => {
                assert!(brought.header("retry-after").parse::<u32>().unwrap() >= 1);
                slow += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(slow >= 10, "{slow}");
    assert_eq!(counted(&house, "/feed.json", 429), slow);
    assert_eq!(counted(&house, "/feed.json", 200), 20 - slow);
}

#[tokio::test]
async fn whoever_names_an_actor_is_looked_at_where_the_answer_is_kept_too() {
    let proxies = Proxies::At(vec!["127.0.0.1".parse().unwrap()]);
    let doors = Doors::new(proxies, Some("x-remote-user".parse().unwrap()), Rates::default());
    let house = House::with_doors(doors).await;
    let address = served(&house).await;
    for _ in 0..2 {
        assert_eq!(ask(address, "GET", "/feed.json", &[]).await.status, 200);
    }
    assert_eq!(ask(address, "GET", "/feed.json", &[("x-remote-user", "ana")]).await.status, 200);
    assert_eq!(ask(address, "GET", "/feed.json", &[("x-remote-user", "Ana")]).await.status, 401);
}
