//! `serve --parts feed`: readers served by a process with rights to nothing but the wire.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_nats::client::RequestErrorKind;
use async_nats::{Client, ConnectOptions};
use copydesk::log::jetstream::{self, JetStreamLog};
use copydesk::log::{Expect, Log, Message};
use copydesk::nats::{FEED_INBOXES, connect};
use futures::StreamExt;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::deploy;
use crate::harness::{Serving, send};
use crate::log_contract::within;
use crate::nats_server::NatsServer;

/// A server on deploy/nats.conf, a desk, and a process that serves readers.
struct Apart {
    server: NatsServer,
    keys: [(&'static str, KeyPair); 5],
    desk: Serving,
    feed: Serving,
    agent: ureq::Agent,
    folder: TempDir,
}

impl Apart {
    fn start() -> Self {
        let keys = deploy::keys();
        let server = deploy::server(&keys);
        let folder = tempfile::tempdir().unwrap();
        for (name, key) in &keys {
            std::fs::write(folder.path().join(name), key.seed().unwrap()).unwrap();
        }
        let file = |name: &str| folder.path().join(name);
        let arguments = |parts: &str| ["--nats", &server.url(), "--parts", parts].map(str::to_owned).to_vec();
        let rights = format!(
            "[nats]\nanswer_credentials = {:?}\nwrite_credentials = {:?}",
            file("COPYDESK_ANSWERS"),
            file("COPYDESK_WRITES")
        );
        let desk = Serving::start(&rights, arguments("desk,wire"));
        let rights = format!("[nats]\nfeed_credentials = {:?}\n", file("COPYDESK_FEED"));
        let feed = Serving::without_people(&rights, arguments("feed"));
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { server, keys, desk, feed, agent, folder }
    }

    fn credentials(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, actor: &str, command: &Value) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match send(&self.agent, self.desk.url(), actor, command).unwrap() {
                (200, answer) => return answer,
                (503, _) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
                (status, answer) => panic!("{status} {answer:#}"),
            }
        }
    }

    /// Puts a story out, and gives its id.
    fn publish(&self, headline: &str) -> String {
        let id = Uuid::new_v4();
        let draft = json!({"id": id, "type": "draft", "data": {
            "slug": "s", "language": "en", "section": "world", "headline": headline, "markdown": "Words.",
        }});
        let article = self.command("ana", &draft)["article"].clone();
        for (actor, kind) in [("ana", "submit"), ("eva", "approve"), ("pia", "publish")] {
            self.command(actor, &json!({"id": Uuid::new_v4(), "type": kind, "article": article, "base": 1}));
        }
        article.as_str().unwrap().to_owned()
    }

    /// Waits until the feed shows a headline first, and says how long that took.
    fn shows(&self, headline: &str) -> Duration {
        let begun = Instant::now();
        loop {
            let (_, feed) = self.feed.get("", "/feed.json");
            let feed: Value = serde_json::from_str(&feed).unwrap();
            if feed["items"][0]["title"] == headline {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{headline} never came: {feed:#}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn health(&self) -> Value {
        serde_json::from_str(&self.feed.get("", "/healthz").1).unwrap()
    }

    /// A connection with the feed's key.
    async fn thief(&self) -> Client {
        let (_, key) = self.keys.iter().find(|(name, _)| *name == "COPYDESK_FEED").unwrap();
        let options = ConnectOptions::with_nkey(key.seed().unwrap()).custom_inbox_prefix(FEED_INBOXES);
        let options = options.request_timeout(Some(Duration::from_secs(1)));
        options.connect(self.server.url()).await.unwrap()
    }

    /// The log, with the right to write it.
    async fn log(&self) -> JetStreamLog {
        let file = self.credentials("COPYDESK_WRITES");
        let client = connect(&self.server.url(), Some(&file), "test").await.unwrap();
        JetStreamLog::open(client, jetstream::Options::default()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_are_served_with_rights_to_nothing_but_the_wire() {
    let mut apart = Apart::start();
    let first = apart.publish("First");
    println!("an edition was shown after {:?}", apart.shows("First"));
    let page = apart.feed.get("", &format!("/articles/{first}"));
    assert_eq!(page.0, 200);

    // It has no desk, and says so.
    for path in ["/v1/articles", "/v1/commands", "/v1", "/audit/events/1"] {
        let (status, said) = apart.feed.get("carl", path);
        assert!(status == 404 && said.contains("no such address here"), "{path}: {said}");
    }
    let health = apart.health();
    assert_eq!((health["status"].as_str(), &health["fold"]), (Some("ok"), &Value::Null), "{health:#}");
    assert_eq!(
        health["public"],
        json!({"seq": 1, "lag": 0, "foreign": 0, "not_understood": 0, "missed": 0}),
        "{health:#}"
    );
    assert_eq!(apart.feed.get("", "/readyz").0, 200);
    let metrics = apart.feed.get("", "/metrics").1;
    for line in ["copydesk_public_fold_seq 1", "copydesk_wire_end_seq 1", "copydesk_public_stopped 0"] {
        assert!(metrics.lines().any(|there| there == line), "{line} in {metrics}");
    }
    assert!(!metrics.contains("copydesk_fold_seq") && !metrics.contains("copydesk_log_end_seq"), "{metrics}");
    assert!(!apart.feed.data().join("state").exists(), "no events are folded");

    // What it has it goes on serving while the server is away; then it follows again.
    apart.server.kill();
    assert_eq!(apart.feed.get("", &format!("/articles/{first}")), page);
    apart.server.start_again();
    apart.publish("Second");
    apart.shows("Second");
    let withdraw = json!({"id": Uuid::new_v4(), "type": "withdraw", "article": first, "base": 1,
                          "data": {"notice": "It was wrong."}});
    apart.command("pia", &withdraw);
    apart.shows("Withdrawn");
    let gone = apart.feed.get("", &format!("/articles/{first}"));
    assert!(gone.0 == 410 && gone.1.contains("It was wrong."), "{gone:?}");
    assert_eq!(apart.feed.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_erased_or_foreign_on_the_wire_is_passed_over() {
    let mut apart = Apart::start();
    apart.publish("First");
    apart.publish("Second");
    apart.shows("Second");
    let log = apart.log().await;
    log.wire().erase(1).await.unwrap();
    let foreign = Message {
        subject: "world".into(),
        id: Uuid::new_v4().to_string(),
        headers: Vec::new(),
        body: "CANARY".into(),
    };
    log.wire().try_append(&foreign, Expect::Stream(2)).await.unwrap();
    apart.publish("Third");
    apart.shows("Third");
    log.wire().erase(4).await.unwrap();
    apart.publish("Fourth");
    apart.shows("Fourth");

    // Folded anew from a wire with holes.
    assert_eq!(apart.feed.terminate().code(), Some(0));
    std::fs::remove_dir_all(apart.feed.data().join("public")).unwrap();
    apart.feed.start_again();
    apart.shows("Fourth");
    let (_, feed) = apart.feed.get("", "/feed.json");
    assert!(feed.contains("Second") && !feed.contains("First") && !feed.contains("Third"), "{feed}");
    assert_eq!(apart.health()["public"]["seq"], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feeds_key_reads_no_event_and_writes_nothing() {
    let apart = Apart::start();
    apart.publish("First");
    apart.shows("First");
    let thief = apart.thief().await;
    // The key is a good one for what it is for.
    let info = within(thief.request("$JS.API.STREAM.INFO.COPYDESK_WIRE", "".into())).await.unwrap();
    assert!(String::from_utf8_lossy(&info.payload).contains("last_seq"));
    let mut overheard = thief.subscribe("copydesk.>").await.unwrap();
    let mut answers = thief.subscribe("_INBOX.copydesk.>").await.unwrap();
    let mut asked: Vec<(String, String)> =
        ["$JS.API.STREAM.NAMES", "$JS.API.STREAM.PURGE.COPYDESK_WIRE", "copydesk.wire.world"]
            .map(|subject| (subject.to_owned(), "{}".to_owned()))
            .into();
    for stream in ["EVENTS", "KEYS", "ERASED"].map(|name| format!("COPYDESK_{name}")) {
        let consumer = json!({"stream_name": stream, "config": {"name": "x", "ack_policy": "none"}});
        asked.push((format!("$JS.API.STREAM.INFO.{stream}"), String::new()));
        asked.push((format!("$JS.API.STREAM.MSG.GET.{stream}"), json!({"seq": 1}).to_string()));
        asked.push((format!("$JS.API.CONSUMER.CREATE.{stream}.x"), consumer.to_string()));
    }
    // It makes no consumer either, which could be told to deliver anywhere.
    let push = json!({"stream_name": "COPYDESK_WIRE", "config": {"name": "x", "deliver_subject": "copydesk.event.x"}});
    asked.push(("$JS.API.CONSUMER.CREATE.COPYDESK_WIRE.x".to_owned(), push.to_string()));
    let answers_to = asked.into_iter().map(|(subject, body)| {
        let thief = thief.clone();
        async move { (thief.request(subject.clone(), body.into()).await, subject) }
    });
    for (answer, subject) in within(futures::future::join_all(answers_to)).await {
        assert_eq!(answer.unwrap_err().kind(), RequestErrorKind::TimedOut, "{subject}");
    }
    apart.publish("Second");
    apart.shows("Second");
    thief.flush().await.unwrap();
    for heard in [&mut overheard, &mut answers] {
        let nothing = tokio::time::timeout(Duration::from_millis(50), heard.next()).await;
        assert!(!matches!(nothing, Ok(Some(_))), "nothing is overheard: {nothing:?}");
    }
    assert_eq!(apart.log().await.wire().end().await.unwrap(), 2);
}
