//! The real binary, end to end: killed, stopped and started again under load.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::faults::load::Way;
use crate::harness::{Serving, send};
use crate::instance::{Tool, command, draft, uuid_of};
use crate::nats_server::{NatsServer, Setup};

/// What each command was answered: its position.
type Answered = BTreeMap<Uuid, u64>;

/// That the log has exactly the answered commands' events, each where its sender was told, and every article's
/// versions without a gap.
fn has_exactly(events: &[Value], answered: &Answered) {
    let mut there = Answered::new();
    let mut versions: BTreeMap<String, u64> = BTreeMap::new();
    for event in events.iter().filter(|event| event["subject"] != "desk") {
        let twice = there.insert(uuid_of(&event["command"]), event["seq"].as_u64().unwrap());
        assert!(twice.is_none(), "a command's event is there once");
        let version = versions.entry(event["subject"].to_string()).or_default();
        *version += 1;
        assert_eq!(event["articleversion"], json!(*version), "versions without a gap");
    }
    assert_eq!(there, *answered, "what was answered is what is there");
}

/// Writers over HTTP, each on an article of its own, who send a command again until they are told what became of it.
struct Load {
    url: Arc<RwLock<String>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    writers: Vec<std::thread::JoinHandle<Answered>>,
}

impl Load {
    fn start(serving: &Serving, writers: usize) -> Self {
        let url = Arc::new(RwLock::new(serving.url().to_owned()));
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let write = || {
            let (url, stop, done) = (Arc::clone(&url), Arc::clone(&stop), Arc::clone(&done));
            std::thread::spawn(move || writer(&url, &stop, &done))
        };
        let writers = (0..writers).map(|_| write()).collect();
        Self { url, stop, done, writers }
    }

    /// Returns once so many more commands were answered.
    fn more(&self, count: usize) {
        let (until, deadline) =
            (self.done.load(Ordering::Relaxed) + count, Instant::now() + Duration::from_secs(60));
        while self.done.load(Ordering::Relaxed) < until {
            assert!(Instant::now() < deadline, "no more answers come");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn moved(&self, serving: &Serving) {
        *self.url.write().unwrap() = serving.url().to_owned();
    }

    fn end(self) -> Answered {
        self.stop.store(true, Ordering::Relaxed);
        self.writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    }
}

fn writer(url: &RwLock<String>, stop: &AtomicBool, done: &AtomicUsize) -> Answered {
    let agent = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = agent.timeout_global(Some(Duration::from_secs(20))).build().into();
    let mut answered = Answered::new();
    let mut insist = |actor: &str, command: &Value| loop {
        let url = url.read().unwrap().clone();
        match send(&agent, &url, actor, command) {
            Some((200, answer)) => {
                answered.insert(uuid_of(&command["id"]), answer["seq"].as_u64().unwrap());
                done.fetch_add(1, Ordering::Relaxed);
                return answer;
            }
            Some((503 | 429, _)) | None => std::thread::sleep(Duration::from_millis(5)),
            Some((status, answer)) => panic!("{status} {answer:#}"),
        }
    };
    let mut first = draft(Uuid::new_v4(), "Words.");
    first["type"] = json!("draft");
    let article = uuid_of(&insist("ana", &first)["article"]);
    for number in 0..450 {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut ask = command(article, 1, json!({"text": format!("Query {number}?")}));
        ask["type"] = json!("ask");
        insist("eva", &ask);
    }
    answered
}

#[test]
fn a_service_killed_under_load_has_every_answered_command_once() {
    let mut serving = Serving::embedded();
    let load = Load::start(&serving, 4);
    for _ in 0..5 {
        load.more(50);
        serving.kill();
        serving.start_again();
        load.moved(&serving);
    }
    load.more(50);
    let answered = load.end();
    has_exactly(&serving.events(), &answered);
}

#[test]
fn a_service_told_to_stop_finishes_and_exits_0() {
    let mut serving = Serving::embedded();
    let load = Load::start(&serving, 4);
    for _ in 0..2 {
        load.more(50);
        assert_eq!(serving.terminate().code(), Some(0));
        serving.start_again();
        load.moved(&serving);
    }
    load.more(50);
    let answered = load.end();
    has_exactly(&serving.events(), &answered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_share_one_nats_and_stand_in_for_each_other() {
    let server = NatsServer::with(&Setup { sync_always: true, ..Setup::default() });
    let mut one = Serving::on_nats(&server.url());
    let mut other = Serving::on_nats(&server.url());
    let tool = Tool::new(&server).await;
    let (mut drafted, mut answered) = (Vec::new(), Answered::new());
    for _ in 0..20 {
        let body = draft(Uuid::new_v4(), "Words.");
        let answer = tool.send("ana", "draft", &body).await.accepted();
        answered.insert(uuid_of(&body["id"]), answer["seq"].as_u64().unwrap());
        drafted.push((body, answer));
    }
    one.kill();
    // Until the server notices, it hands commands to the one that is gone: those go unanswered, and are sent again.
    let way = Way::nats(&server.url()).await;
    for (body, answer) in &mut drafted {
        body["type"] = json!("draft");
        answer["duplicate"] = json!(true);
        assert_eq!(way.insist("ana", body).await, (200, answer.clone()));
    }
    one.start_again();
    assert_eq!(other.terminate().code(), Some(0));
    let body = draft(Uuid::new_v4(), "Words.");
    let answer = tool.send("ana", "draft", &body).await.accepted();
    answered.insert(uuid_of(&body["id"]), answer["seq"].as_u64().unwrap());
    has_exactly(&one.events(), &answered);
}
