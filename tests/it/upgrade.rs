//! Two builds side by side on one log. The newer one is played by the events and the wire message that it writes
//! (tests/newer-build): an unknown type, an unknown member, an edition of another version.

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use copydesk::log::Log;
use copydesk::log::jetstream::{self, JetStreamLog};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Serving, send};
use crate::nats_server::NatsServer;

const NEWER: &str = include_str!("../newer-build/events.jsonl");
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

struct Newsroom {
    server: NatsServer,
    older: Vec<Serving>,
    agent: ureq::Agent,
}

impl Newsroom {
    fn open() -> Self {
        let server = NatsServer::start();
        let older = (0..2).map(|_| Serving::on_nats(&server.url())).collect();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { server, older, agent }
    }

    fn send(&self, instance: usize, actor: &str, mut command: Value) -> (u16, Value) {
        command["id"] = json!(Uuid::new_v4());
        send(&self.agent, self.older[instance].url(), actor, &command).unwrap()
    }

    fn done(&self, instance: usize, actor: &str, command: Value) -> Value {
        let (status, answer) = self.send(instance, actor, command);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    fn draft(&self, headline: &str) -> String {
        let data = json!({"slug": "s", "language": "en", "section": "world", "headline": headline, "markdown": "Words."});
        let answer = self.done(0, "ana", json!({"type": "draft", "data": data}));
        answer["article"].as_str().unwrap().to_owned()
    }

    fn take(&self, instance: usize, article: &str, acts: &[(&str, &str)]) {
        for (actor, kind) in acts {
            self.done(instance, actor, json!({"type": kind, "article": article, "base": 1}));
        }
    }

    /// What the newer build writes to a subject.
    fn newer(&self, subject: String, headers: HeaderMap, body: String) {
        let url = self.server.url();
        let written = async move {
            let client = async_nats::connect(url).await.unwrap();
            let jetstream = async_nats::jetstream::new(client);
            jetstream.publish_with_headers(subject, headers, body.into()).await.unwrap().await.unwrap();
        };
        tokio::runtime::Runtime::new().unwrap().block_on(written);
    }

    fn event(&self, number: usize, article: &str) {
        let event = NEWER.lines().nth(number).unwrap().replace("ARTICLE", article);
        self.newer(format!("copydesk.event.{article}"), HeaderMap::new(), event);
    }

    fn health(&self, instance: usize) -> Value {
        serde_json::from_str(&self.older[instance].get("ana", "/healthz").1).unwrap()
    }

    fn until(&self, what: &str, test: &dyn Fn(&Value) -> bool) {
        for instance in 0..self.older.len() {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let health = self.health(instance);
                if test(&health) {
                    break;
                }
                assert!(Instant::now() < deadline, "instance {instance}, never {what}: {health:#}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// The wire's messages: which event of which article each carries, and its count.
    fn wire(&self) -> Vec<(String, String, String)> {
        let url = self.server.url();
        let read = async move {
            let client = async_nats::connect(url).await.unwrap();
            let stream = async_nats::jetstream::new(client).get_stream("COPYDESK_WIRE").await.unwrap();
            let mut all = Vec::new();
            for seq in 1..=stream.get_info().await.unwrap().state.last_sequence {
                let message = stream.get_raw_message(seq).await.unwrap();
                let header =
                    |name: &str| message.headers.get(name).map(ToString::to_string).unwrap_or_default();
                let ninjs: Value = serde_json::from_slice(&message.payload).unwrap();
                let uri = ninjs["uri"].as_str().unwrap().trim_start_matches("urn:uuid:").to_owned();
                all.push((uri, header("Copydesk-Seq"), header("Copydesk-Count")));
            }
            all
        };
        tokio::runtime::Runtime::new().unwrap().block_on(read)
    }
}

#[test]
fn an_older_build_sets_aside_what_it_does_not_understand_and_goes_on_with_all_else() {
    let newsroom = Newsroom::open();
    let review = [("ana", "submit"), ("eva", "approve")];
    let (annotated, submitted) = (newsroom.draft("Annotated"), newsroom.draft("Submitted"));
    let (published, plain) = (newsroom.draft("Published by the newer"), newsroom.draft("Plain"));
    newsroom.take(1, &published, &review);
    newsroom.event(0, &annotated);
    newsroom.event(1, &submitted);
    newsroom.event(2, &published);
    newsroom.until("three are set aside", &|health| health["fold"]["aside"] == 3);

    // Nobody works on those here, on either instance; what was before the newer event can still be read.
    for (instance, article) in [(0, &annotated), (1, &submitted), (0, &published)] {
        let edit =
            json!({"type": "edit", "article": article, "base": 1, "data": {"set": {"headline": "Other"}}});
        let (status, refused) = newsroom.send(instance, "ana", edit);
        assert_eq!((status, refused["code"].as_str()), (503, Some("set_aside")), "{refused}");
        let (status, body) = newsroom.older[instance].get("ana", &format!("/v1/articles/{article}"));
        assert_eq!(status, 503, "{body}");
        assert_eq!(newsroom.older[instance].get("ana", &format!("/v1/articles/{article}?version=1")).0, 200);
        let (_, history) = newsroom.older[instance].get("audra", &format!("/v1/articles/{article}/history"));
        assert!(history.contains("CANARY"), "the history shows what is stored");
    }

    // All others go on, on both, up to an edition; which waits, for the newer build's is before it on the wire.
    newsroom.take(1, &plain, &review);
    newsroom.take(0, &plain, &[("pia", "publish")]);
    let other = newsroom.draft("Drafted meanwhile");
    newsroom.take(1, &other, &review);
    newsroom.until("the wire stands still", &|health| {
        health["wire_stopped"].is_string() && health["wire"]["waiting"] == 2
    });
    assert_eq!(newsroom.wire(), [], "an edition that isn't understood is not passed over");
    for serving in &newsroom.older {
        assert_eq!(serving.get("ana", "/readyz").0, 200, "another instance of this build would do no better");
        let said = serving.said();
        assert!(!said.contains("CANARY") && said.contains("the wire is stopped"), "{said}");
    }

    // The newer build writes its edition, and what waited follows it, once, whoever writes.
    let events = newsroom.older[0].events();
    let of = |article: &str| {
        let mut events =
            events.iter().filter(|event| event["subject"] == *article && event["wire"] == "edition");
        events.next().unwrap()["seq"].to_string()
    };
    let mut headers = HeaderMap::new();
    let id = serde_json::from_str::<Value>(NEWER.lines().nth(2).unwrap()).unwrap()["id"].clone();
    for (name, value) in [
        ("Copydesk-Event", id.as_str().unwrap()),
        ("Copydesk-Seq", &of(&published)),
        ("Copydesk-Count", "1"),
        ("Copydesk-Edition", "1"),
        ("Copydesk-Kind", "first"),
    ] {
        headers.insert(name, value);
    }
    let ninjs = json!({
        "uri": format!("urn:uuid:{published}"), "version": "1", "type": "text", "representationType": "complete",
        "pubStatus": "usable", "firstCreated": "2099-01-01T00:00:00Z", "versionCreated": "2099-01-01T00:00:00Z",
        "language": "en", "headlines": [{"value": "Published by the newer"}],
        "bodies": [{"contentType": "text/plain", "value": "Words."}],
    });
    newsroom.newer("copydesk.wire.world".to_owned(), headers, ninjs.to_string());
    newsroom.until("the wire goes on", &|health| {
        health["wire_stopped"].is_null() && health["wire"]["waiting"] == 0
    });
    newsroom.take(1, &other, &[("pia", "publish")]);
    newsroom.until("the last edition is before readers", &|health| health["public"]["seq"] == 3);
    let count = |article: &str, count: &str| {
        let seq = if article == other {
            newsroom.older[0].events().last().unwrap()["seq"].to_string()
        } else {
            of(article)
        };
        (article.to_owned(), seq, count.to_owned())
    };
    assert_eq!(newsroom.wire(), [count(&published, "1"), count(&plain, "2"), count(&other, "3")]);
    for article in [&published, &plain, &other] {
        assert_eq!(newsroom.older[1].get("", &format!("/articles/{article}")).0, 200);
    }

    // A restart of the older build changes nothing of it.
    let mut newsroom = newsroom;
    assert!(newsroom.older[0].terminate().success());
    newsroom.older[0].start_again();
    newsroom.until("three are set aside still", &|health| {
        health["fold"]["aside"] == 3 && health["wire_stopped"].is_null() && health["public"]["seq"] == 3
    });
    assert_eq!(newsroom.wire().len(), 3);
}

#[test]
fn new_sorts_of_events_are_off_until_they_are_allowed() {
    let server = NatsServer::start();
    // A log that was made by a build of the first level.
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let log = JetStreamLog::open(server.client().await, jetstream::Options::default()).await.unwrap();
        log.keys().put("events.level", 0, "1".into()).await.unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let more = format!("[log]\nkind = \"nats\"\n[nats]\nurl = {:?}", server.url());
    let serving = Serving::start(&more, Vec::new());
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let redact = || {
        let data = json!({"words": "John Doe", "ground": "Court order 7"});
        let command =
            json!({"id": Uuid::new_v4(), "type": "redact", "article": Uuid::new_v4(), "data": data});
        send(&agent, serving.url(), "carl", &command).unwrap()
    };
    let (status, refused) = redact();
    assert_eq!((status, refused["code"].as_str()), (400, Some("unknown_type")), "{refused}");
    // Another place for the folded state, for the service has its own open.
    let config = std::fs::read_to_string(serving.config()).unwrap();
    let config =
        config.replace(serving.data().to_str().unwrap(), folder.path().join("data").to_str().unwrap());
    let path = folder.path().join("copydesk.toml");
    std::fs::write(&path, config).unwrap();
    for said in ["Level 2 is allowed; it was 1.", "allowed already"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_copydesk"));
        let output = command.args(["allow-events", "--config"]).arg(&path).output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && out.contains(said),
            "{out}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    // The instance that runs hears of it with the next such command.
    let (status, refused) = redact();
    assert_eq!((status, refused["code"].as_str()), (404, Some("not_found")), "{refused}");
}
