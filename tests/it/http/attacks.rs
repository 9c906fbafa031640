//! Requests by people who don't belong, or not there, or not so often: each role and none at each route, heads that
//! say what they shouldn't, tokens that are over.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use copydesk::door::Rate;
use copydesk::http::Doors;
use copydesk::http::doors::{Peer, Proxies, Rates};
use futures::StreamExt;

use super::house::{ALL, Got, House, request};

const ID: &str = "0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d11";

/// Who may at all: everyone on staff, auditors and chiefs, chiefs, everybody.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Who {
    Staff,
    Auditors,
    Chiefs,
    Everybody,
}

#[tokio::test]
async fn each_role_and_none_at_each_route() {
    let house = House::open().await;
    let article = house.draft("Words.").await;
    let of_article = |rest: &str| format!("/v1/articles/{article}{rest}");
    let table = [
        ("POST", "/v1/commands".to_owned(), Who::Staff),
        ("GET", "/v1/articles".to_owned(), Who::Staff),
        ("GET", of_article(""), Who::Staff),
        ("GET", of_article("/gate"), Who::Staff),
        ("GET", of_article("/history"), Who::Staff),
        ("GET", of_article("/diff?from=1&to=1"), Who::Staff),
        ("GET", "/v1/deliveries".to_owned(), Who::Staff),
        ("GET", "/v1/stream".to_owned(), Who::Staff),
        ("GET", "/v1/nothing".to_owned(), Who::Staff),
        ("DELETE", "/v1/articles".to_owned(), Who::Staff),
        ("GET", "/v1/events".to_owned(), Who::Auditors),
        ("GET", "/v1/tokens".to_owned(), Who::Chiefs),
        ("POST", "/v1/tokens/nobody/x/revoke".to_owned(), Who::Chiefs),
        ("POST", "/v1/deliveries/archive/retry".to_owned(), Who::Chiefs),
        ("GET", "/".to_owned(), Who::Everybody),
        ("GET", "/feed.json".to_owned(), Who::Everybody),
        ("GET", "/stream".to_owned(), Who::Everybody),
        ("GET", format!("/articles/{ID}"), Who::Everybody),
        ("GET", "/healthz".to_owned(), Who::Everybody),
        ("GET", "/metrics".to_owned(), Who::Everybody),
    ];
    for (method, path, who) in &table {
        for actor in ALL.into_iter().chain(["", "nobody"]) {
            let sent = request(method, actor, path).body(Body::from("{}")).unwrap();
            let status = house.response(sent).await.status().as_u16();
            let known = !matches!(actor, "" | "nobody");
            let routed = !path.starts_with("/v1/nothing") && *method != "DELETE";
            let may = match who {
                Who::Everybody => true,
                Who::Staff => known && (actor != "stranger" || !routed),
                Who::Auditors => ["carl", "audra"].contains(&actor),
                Who::Chiefs => actor == "carl",
            };
            match (may, known || *who == Who::Everybody) {
                (true, _) => assert!(![401, 403].contains(&status), "{method} {path} {actor}: {status}"),
                (false, true) => assert_eq!(status, 403, "{method} {path} {actor}"),
                (false, false) => assert_eq!(status, 401, "{method} {path} {actor}"),
            }
        }
    }
}

#[tokio::test]
async fn a_head_that_is_not_plain_is_nobodys() {
    let house = House::open().await;
    let with = |headers: &[(&str, &str)]| {
        let mut request = Request::builder().uri("/v1/articles");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        house.send(request.body(Body::empty()).unwrap())
    };
    let (ana, carl) = ("Bearer token-of-ana", "Bearer token-of-carl");
    assert_eq!(with(&[("authorization", ana)]).await.status, 200);
    for bad in [
        &[("authorization", ana), ("authorization", carl)][..],
        &[("authorization", ana), ("authorization", ana)],
        &[("authorization", "token-of-ana")],
        &[("authorization", "Basic dG9rZW4tb2YtYW5h")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer token-of-ana, Bearer token-of-carl")],
        &[("x-authorization", ana)],
        &[("cookie", "token=token-of-ana")],
        &[("x-remote-user", "ana")],
        &[("x-forwarded-user", "ana")],
    ] {
        assert_eq!(with(bad).await.code(), "unauthenticated", "{bad:?}");
    }
    // Paths are what they say, and nothing is resolved in them.
    for path in [
        "/v1//articles",
        "//v1/articles",
        "/v1/../v1/articles",
        "/feed.json/../v1/articles",
        "/V1/articles",
        "/v1/articles/",
        "/%76%31/articles",
        "/v1/articles%2f",
        "/articles/..%2fv1%2farticles",
        "/v1;/articles",
    ] {
        let got = house.send(request("GET", "", path).body(Body::empty()).unwrap()).await;
        assert!([401, 404].contains(&got.status.as_u16()), "{path}: {got:?}");
    }
}

#[tokio::test]
async fn a_token_in_an_address_is_refused_with_a_hint_whatever_the_route() {
    let house = House::open().await;
    let token = copydesk::config::token::Token::draw().unwrap();
    for path in ["/v1/articles", "/feed.json", "/v1/commands", "/stream", "/nothing"] {
        for query in [format!("x={}", token.as_str()), "token=a".to_owned(), "Access_Token=a".to_owned()] {
            let got = house.get("ana", &format!("{path}?{query}")).await;
            assert_eq!(got.code(), "unauthenticated", "{path}?{query}");
            assert!(got.text.contains("Authorization: Bearer") && !got.text.contains(token.as_str()));
        }
    }
}

#[tokio::test]
async fn a_revoked_token_is_nobodys_at_once_and_ends_what_it_follows() {
    let house = House::open().await;
    let stream = house.response(request("GET", "ana", "/v1/stream").body(Body::empty()).unwrap()).await;
    let public = house.response(request("GET", "", "/stream").body(Body::empty()).unwrap()).await;
    let mut stream = stream.into_body().into_data_stream();
    let mut public = public.into_body().into_data_stream();
    assert!(stream.next().await.is_some() && public.next().await.is_some());
    let revoke =
        |actor: &str, path: &str| house.send(request("POST", actor, path).body(Body::empty()).unwrap());
    assert_eq!(revoke("carl", "/v1/tokens/ana/other/revoke").await.code(), "not_found");
    let got = revoke("carl", "/v1/tokens/ana/token/revoke").await;
    assert_eq!((got.status.as_u16(), got.json()["state"].as_str()), (200, Some("revoked")));
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.next()).await;
    assert!(ended.unwrap().is_none(), "the stream has ended");
    assert!(futures::FutureExt::now_or_never(public.next()).is_none(), "readers go on");
    assert_eq!(house.get("ana", "/v1/articles").await.code(), "unauthenticated");
    assert_eq!(house.get("eva", "/v1/articles").await.status, 200);
    let listed = house.get("carl", "/v1/tokens").await;
    let rows = listed.json()["tokens"].as_array().unwrap().clone();
    let of = |actor: &str| rows.iter().find(|row| row["actor"] == actor).unwrap().clone();
    assert_eq!(rows.len(), ALL.len());
    assert_eq!(
        (of("ana")["revoked"]["by"].as_str(), of("eva")["state"].as_str()),
        (Some("carl"), Some("good"))
    );
    assert!(of("eva")["last_used"].is_string() && of("pia")["last_used"].is_null(), "{listed:?}");
    let hash = copydesk::config::token::TokenHash::of("token-of-eva").to_string();
    assert!(!listed.text.contains("token-of-") && !listed.text.contains(&hash[7..]));
    // None of it is among the events.
    let events = house.get("carl", "/v1/events").await;
    assert!(!events.text.contains("revoked") && !events.text.contains(&hash[7..20]));
}

fn from(address: &str, headers: &[(&str, &str)], path: &str) -> Request<Body> {
    let mut request = Request::builder().uri(path).extension(Peer(address.parse::<IpAddr>().unwrap()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_proxys_word_on_who_asks_counts_from_its_address_alone() {
    let proxies = Proxies::At(vec!["10.0.0.7".parse().unwrap()]);
    let header = Some("x-remote-user".parse().unwrap());
    let house = House::with_doors(Doors::new(proxies, header, Rates::default())).await;
    let ask = |address: &'static str, headers: Vec<(&'static str, &'static str)>| {
        house.send(from(address, &headers, "/v1/articles"))
    };
    let (proxy, other) = ("10.0.0.7", "10.0.0.8");
    let ana = ("x-remote-user", "ana");
    assert_eq!(ask(proxy, vec![ana]).await.status, 200);
    assert_eq!(ask("::ffff:10.0.0.7", vec![ana]).await.status, 200);
    assert_eq!(ask(proxy, vec![ana, ("authorization", "Bearer token-of-ana")]).await.status, 200);
    assert_eq!(ask(other, vec![("authorization", "Bearer token-of-ana")]).await.status, 200);
    assert_eq!(ask(proxy, vec![("x-remote-user", "zoe")]).await.code(), "forbidden");
    for (address, headers) in [
        (other, vec![ana]),
        (other, vec![ana, ("authorization", "Bearer token-of-ana")]),
        (other, vec![ana, ("x-forwarded-for", "10.0.0.7")]),
        ("::1", vec![ana]),
        (proxy, vec![]),
        (proxy, vec![ana, ana]),
        (proxy, vec![ana, ("x-remote-user", "carl")]),
        (proxy, vec![("x-remote-user", "")]),
        (proxy, vec![("x-remote-user", "ana, carl")]),
        (proxy, vec![("x-remote-user", "Ana")]),
        (proxy, vec![("x-remote-user", "desk")]),
        (proxy, vec![ana, ("authorization", "Bearer token-of-carl")]),
        (proxy, vec![ana, ("authorization", "Bearer nobodys")]),
        (proxy, vec![("x-remote-user", "a\u{e4}")]),
    ] {
        assert_eq!(ask(address, headers.clone()).await.code(), "unauthenticated", "{address} {headers:?}");
    }
    // On public routes too: whoever sends it means to be somebody.
    assert_eq!(house.send(from(other, &[ana], "/feed.json")).await.code(), "unauthenticated");
    assert_eq!(house.send(from(proxy, &[ana], "/feed.json")).await.status, 200);
}

fn slow_down(got: &Got) -> bool {
    let slow = got.status == 429;
    if slow {
        assert_eq!(got.code(), "busy");
        assert!(got.header("retry-after").parse::<u32>().unwrap() >= 1, "{got:?}");
    }
    slow
}

/// Three at once, and one more in a hundred seconds at the earliest: none comes while a test runs.
fn rates() -> (Rate, Rates) {
    (Rate { per_second: 1, burst: 3 }, Rates::default())
}

#[tokio::test]
async fn who_comes_too_often_waits_and_nobody_else_does() {
    let (few, unbound) = rates();
    let few_of_an_actor =
        House::with_doors(Doors::new(Proxies::None, None, Rates { actor: few, ..unbound })).await;
    let mut slow = 0;
    for _ in 0..20 {
        slow += usize::from(slow_down(&few_of_an_actor.get("ana", "/v1/articles").await));
    }
    assert!(slow >= 10, "{slow}");
    assert_eq!(few_of_an_actor.get("eva", "/v1/articles").await.status, 200);

    let few_of_an_address =
        House::with_doors(Doors::new(Proxies::None, None, Rates { address: few, ..unbound })).await;
    for (address, neighbour, other) in
        [("192.0.2.1", "192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2", "2001:db8:1::1")]
    {
        let mut slow = 0;
        for _ in 0..20 {
            slow += usize::from(slow_down(&few_of_an_address.send(from(address, &[], "/feed.json")).await));
        }
        assert!(slow >= 10, "{slow}");
        assert!(slow_down(&few_of_an_address.send(from(neighbour, &[], "/healthz")).await) || slow > 10);
        assert_eq!(few_of_an_address.send(from(other, &[], "/feed.json")).await.status, 200);
    }
}

#[tokio::test]
async fn wrong_tokens_are_slowed_down_and_right_ones_are_not() {
    let (few, unbound) = rates();
    let house = House::with_doors(Doors::new(Proxies::None, None, Rates { failed: few, ..unbound })).await;
    let (wrong, right) = ([("authorization", "Bearer guess")], [("authorization", "Bearer token-of-ana")]);
    let mut slow = 0;
    for _ in 0..20 {
        let got = house.send(from("192.0.2.1", &wrong, "/v1/articles")).await;
        assert!(slow_down(&got) || got.status == 401);
        slow += usize::from(got.status == 429);
    }
    assert!(slow >= 10, "{slow}");
    assert_eq!(house.send(from("192.0.2.1", &right, "/v1/articles")).await.status, 200);
    assert_eq!(house.send(from("192.0.2.2", &wrong, "/v1/articles")).await.status, 401);
}
