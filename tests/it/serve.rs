//! The real binary, end to end: killed, stopped and started again under load.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use copydesk::torture::journal::Outcome;
use copydesk::torture::load::doors::{Door, Doors};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Serving, send, until};
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

/// While it waits for a log that doesn't answer: SIGHUP ends nothing, SIGTERM ends it in order.
#[test]
fn a_service_hears_signals_before_it_is_ready() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"data\"\n[log]\nkind = \"nats\"\n[nats]\nurl = \"nats://{}\"\n\
         [people.carl]\nroles = [\"chief\"]\n",
        silent.local_addr().unwrap()
    );
    std::fs::write(folder.path().join("copydesk.toml"), config).unwrap();
    let mut starting = Command::new(env!("CARGO_BIN_EXE_copydesk"))
        .args(["serve", "--config", "copydesk.toml"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut connected = None;
    until("it asks for the log", || {
        assert_eq!(starting.try_wait().unwrap(), None, "it doesn't start");
        connected = connected.take().or_else(|| silent.accept().ok());
        connected.is_some()
    });
    let pid = starting.id().to_string();
    for signal in ["-HUP", "-TERM"] {
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
    let mut ended = None;
    until("it stops", || {
        ended = starting.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().code(), Some(0));
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
    let doors = Doors::new(0, Some(server.client().await));
    for (body, answer) in &mut drafted {
        body["type"] = json!("draft");
        answer["duplicate"] = json!(true);
        let outcome = loop {
            match doors.send(Door::Nats, "ana", body).await {
                Outcome::Unknown => {}
                definite => break definite,
            }
        };
        assert_eq!(outcome, Outcome::Accepted(answer.clone()));
    }
    one.start_again();
    assert_eq!(other.terminate().code(), Some(0));
    let body = draft(Uuid::new_v4(), "Words.");
    let answer = tool.send("ana", "draft", &body).await.accepted();
    answered.insert(uuid_of(&body["id"]), answer["seq"].as_u64().unwrap());
    has_exactly(&one.events(), &answered);
}

#[test]
fn an_instance_says_that_its_log_is_away_and_only_one_that_serves_readers_stays_ready() {
    let mut server = NatsServer::start();
    let read = |serving: &Serving, path: &str| {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.get(format!("{}{path}", serving.url())).call().unwrap();
        let body = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str::<Value>(&body).unwrap_or_default())
    };
    let whole = Serving::on_nats(&server.url());
    let arguments = ["--nats", &server.url(), "--parts", "desk"].map(str::to_owned).to_vec();
    let deciding = Serving::start("", arguments);
    for serving in [&whole, &deciding] {
        let (status, health) = read(serving, "/healthz");
        assert_eq!((status, &health["log"]["answers"], &health["problems"]), (200, &json!(true), &json!([])));
        assert_eq!(read(serving, "/readyz").0, 200);
    }
    let (_, health) = read(&whole, "/healthz");
    assert_eq!(health["wire"], json!({"sent": 0, "waiting": 0}));
    let arguments = ["--nats", &server.url(), "--parts", "wire"].map(str::to_owned).to_vec();
    let writing = Serving::start("", arguments);
    let (_, health) = read(&writing, "/healthz");
    let says = (&health["fold"]["lag"], &health["wire"]["waiting"], &health["durability"]["kind"]);
    assert_eq!(says, (&json!(0), &json!(0), &json!("interval")), "whichever parts it runs: {health:#}");
    server.kill();
    drop(writing);
    let until = |what: &str, test: &dyn Fn() -> bool| {
        let deadline = Instant::now() + Duration::from_secs(40);
        while !test() {
            assert!(Instant::now() < deadline, "never: {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    until("the log is said to be away", &|| {
        let (status, health) = read(&deciding, "/healthz");
        assert_eq!(status, 200, "a restart would mend nothing");
        health["problems"].as_array().unwrap().contains(&json!("log_away"))
    });
    until("who only decides isn't ready", &|| read(&deciding, "/readyz").0 == 503);
    let (status, ready) = read(&whole, "/readyz");
    assert_eq!((status, ready), (200, json!({"ready": true})), "readers are served from what is here");
    server.start_again();
    until("it is ready again", &|| read(&deciding, "/readyz").0 == 200);
    until("all is well", &|| read(&whole, "/healthz").1["status"] == "ok");
}

#[test]
fn log_lines_can_be_json_and_hold_no_words_of_the_newsroom() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("copydesk.toml");
    let hash = |name: &str| copydesk::config::token::TokenHash::of(&crate::harness::token(name));
    let text = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[store]\npath = {:?}\n[people.ana]\nroles = [\"reporter\", \"chief\"]\ntoken = \"{}\"\n",
        folder.path().join("data"),
        hash("ana"),
    );
    std::fs::write(&config, text).unwrap();
    let log = std::fs::File::create(folder.path().join("stderr")).unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_copydesk"))
        .args(["serve", "--config"])
        .arg(&config)
        .env("COPYDESK_LOG", "trace")
        .env("COPYDESK_LOG_FORMAT", "json")
        .stdout(std::process::Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let url = line.strip_prefix("copydesk ready ").unwrap().trim().trim_end_matches('/').to_owned();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    for body in [
        json!({"slug": "canary-slug", "language": "en", "headline": "CANARY", "section": "world", "markdown": "A CANARY sang."}),
        json!({"slug": "canary-slug", "language": "CANARY"}),
    ] {
        let command = json!({"id": Uuid::new_v4(), "type": "draft", "data": body});
        assert!(send(&agent, &url, "ana", &command).is_some());
    }
    let told = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(told.success() && child.wait().unwrap().success());
    let said = std::fs::read_to_string(folder.path().join("stderr")).unwrap();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().any(|line| line["message"] == "stopped" && line["level"] == "INFO"), "{said}");
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["target"].is_string()));
    assert!(!said.to_ascii_lowercase().contains("canary"), "{said}");
}
