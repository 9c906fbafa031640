//! The door of HTTP: whatever the path, the query, the headers and the body are, there is an answer, a refusal is a
//! problem of ours, and nothing is a fault of the server's. And the door of the log: whatever stands in an event's place,
//! all other articles are folded.

use std::path::Path;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Uri};
use copydesk::log::memory::MemoryLog;
use copydesk::log::{Expect, Log, Message};
use copydesk::store::{Store, fold};
use futures::FutureExt;
use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use super::door::{ARTICLE, EVENTS};
use super::mutate::{Mutation, mutation};
use super::{documents, runner};
use crate::http::house::{ALL, House};

/// How many requests are made.
const REQUESTS: u32 = 1_000;

/// How many logs are folded.
const LOGS: u32 = 200;

/// The longest that a refusal may be, in bytes.
const REFUSAL_BYTES: usize = 16 * 1024;

const PATHS: &[&str] = &[
    "/v1/commands/edit",
    "/v1/commands",
    "/v1/articles",
    "/v1/articles/00000000-0000-0000-0000-000000000007",
    "/v1/articles/00000000-0000-0000-0000-000000000007/history",
    "/v1/articles/00000000-0000-0000-0000-000000000007/diff",
    "/v1/articles/00000000-0000-0000-0000-000000000007/gate",
    "/v1/board",
    "/v1/events",
    "/v1/me",
    "/feed.json",
    "/feed.atom",
    "/feed.rss",
    "/feed.ninjs",
    "/articles/00000000-0000-0000-0000-000000000007",
    "/articles/00000000-0000-0000-0000-000000000007/proof",
    "/audit/checkpoint",
    "/audit/tile/0/000",
    "/audit/tile/entries/000.p/3",
    "/audit/events/3",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/v1/tokens",
    "/v1/deliveries",
    "/v1/newsroom",
    "/v1/articles/00000000-0000-0000-0000-000000000007/report",
    "/v1/articles/%2e%2e%2f%00%ff",
    "/audit/tile/0/x001/x001/%2e%2e",
];

const QUERIES: &[&str] = &[
    "",
    "from=1&until=3",
    "article=00000000-0000-0000-0000-000000000007",
    "min_seq=1",
    "min_seq=0&format=markdown",
    "revision=1",
    "from=1&to=2",
    "section=world&keyword=a&language=en&subject=medtop:20000065&limit=3",
    "cursor=AAAA",
    "stage=draft&limit=2",
    "version=2",
    "at=2026-01-01T00:00:00Z",
    "time=9999-12-31T23:59:59%2B23:59",
    "limit=18446744073709551616&cursor=%00%ff%c3",
    "q=%ff%fe%00&status=draft,,published&stage=%2e%2e",
    "from=18446744073709551615&until=0&from=1",
];

const HEADERS: &[(&str, &str)] = &[
    ("last-event-id", "0"),
    ("if-none-match", "\"x\""),
    ("if-none-match", "W/\"a\", \"b\", *"),
    ("range", "bytes=0-,18446744073709551615-18446744073709551616,-0"),
    ("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ("idempotency-key", "\"0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d11\""),
    ("accept", "application/ninjs+json, */*;q=0.1"),
    ("accept-encoding", "br;q=1, gzip"),
    ("content-type", "application/json"),
    ("authorization", "Bearer x"),
    ("x-forwarded-for", "1.2.3.4"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
];

type Asked = (Index, Index, Index, Index, Index, Vec<Mutation>, [bool; 3]);

fn request(asked: &Asked, commands: &[String]) -> Option<Request<Body>> {
    let (path, query, header, who, body, mutations, broken) = asked;
    let break_it = |text: &str, which: usize| {
        let mut bytes = text.as_bytes().to_vec();
        if broken[which] {
            mutations.iter().for_each(|mutation| mutation.apply(&mut bytes, b"cursor=%ff&section=a/b"));
        }
        bytes
    };
    let line = format!("{}?{}", path.get(PATHS), query.get(QUERIES));
    let body = break_it(body.get::<String>(commands), 2);
    let uri = Uri::try_from(break_it(&line, 0)).ok()?;
    let (name, value) = header.get(HEADERS);
    let value = HeaderValue::from_bytes(&break_it(value, 1)).ok()?;
    // A stream never ends.
    if uri.path().ends_with("/stream") {
        return None;
    }
    let is_command = uri.path().starts_with("/v1/commands");
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = if is_command { Method::POST } else { Method::GET };
    *request.uri_mut() = uri;
    let token = format!("Bearer token-of-{}", who.get(&ALL));
    request.headers_mut().insert("authorization", HeaderValue::from_str(&token).unwrap());
    request.headers_mut().insert(HeaderName::from_static(name), value);
    Some(request)
}

#[test]
fn no_request_is_a_fault_of_the_servers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let house = runtime.block_on(House::open());
    let commands = documents::of("command");
    let (mut runner, seed) = runner(REQUESTS);
    let index = any::<Index>;
    let asked = (
        index(),
        index(),
        index(),
        index(),
        index(),
        proptest::collection::vec(mutation(), 1..4),
        any::<[bool; 3]>(),
    );
    let result = runner.run(&asked, |asked| {
        let Some(request) = request(&asked, &commands) else { return Ok(()) };
        let what = format!("{} {}", request.method(), request.uri());
        let (got, bytes) = runtime.block_on(house.send_raw(request));
        let status = got.status.as_u16();
        // A read may ask for what isn't folded yet.
        prop_assert!(
            status < 500 || status == 503,
            "{}: {} {}",
            what,
            status,
            String::from_utf8_lossy(&bytes)
        );
        prop_assert!(
            status < 400 || bytes.len() < REFUSAL_BYTES,
            "{}: {} bytes of refusal",
            what,
            bytes.len()
        );
        if status >= 400 && got.header("content-type") == "application/problem+json" {
            let problem: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(&problem["status"], status);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("COPYDESK_SEED={seed} repeats it: {error}");
    }
}

#[test]
fn whatever_stands_in_an_events_place_every_other_article_is_folded() {
    let db = sled::Config::new().temporary(true).flush_every_ms(None).open().unwrap();
    let lines: Vec<&str> = EVENTS.lines().collect();
    let other = "00000000-0000-0000-0000-000000000008";
    let first = lines[0].replace(ARTICLE, other);
    let (mut runner, seed) = runner(LOGS);
    let strategy = (1..lines.len(), proptest::collection::vec(mutation(), 1..4));
    let result = runner.run(&strategy, |(broken, mutations)| {
        let log = MemoryLog::new(1);
        let put = |subject: &str, body: Vec<u8>| {
            let message = Message {
                subject: subject.to_owned(),
                id: "1".to_owned(),
                headers: Vec::new(),
                body: body.into(),
            };
            let end = log.events().end().now_or_never().unwrap().unwrap();
            log.events().try_append(&message, Expect::Stream(end)).now_or_never().unwrap().unwrap();
        };
        for (number, line) in lines.iter().enumerate() {
            let mut body = line.as_bytes().to_vec();
            if number == broken {
                mutations.iter().for_each(|mutation| mutation.apply(&mut body, lines[0].as_bytes()));
            }
            put(ARTICLE, body);
        }
        put(other, first.clone().into_bytes());
        let tree = db.open_tree("fold").unwrap();
        tree.clear().unwrap();
        let (store, _) = Store::inside(&db, "fold", Path::new("/nowhere")).unwrap();
        let folded = fold::catch_up(&store, &log, |_, _| {}).now_or_never().unwrap();
        prop_assert_eq!(folded.map_err(|error| error.to_string()), Ok(lines.len() as u64 + 1));
        let other: Uuid = other.parse().unwrap();
        prop_assert!(store.article(other).unwrap().is_some());
        let article: Uuid = ARTICLE.parse().unwrap();
        let (stored, aside) = (store.article(article).unwrap(), store.aside(article).unwrap());
        let whole = stored.is_some_and(|stored| stored.article.version as usize == lines.len());
        // What is no event of ours is no gap where nothing follows.
        let is_foreign = broken + 1 == lines.len() && store.position().foreign == 1;
        prop_assert!(whole || aside.is_some() || is_foreign, "an event was half read");
        Ok(())
    });
    if let Err(error) = result {
        panic!("COPYDESK_SEED={seed} repeats it: {error}");
    }
}
