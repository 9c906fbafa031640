//! The log, checked from outside by a script that was written from the specifications alone (`tests/auditor/`), while the
//! real binary works, and after everything that someone might do to it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use copydesk::log::segments::Options;
use copydesk::service::open_embedded_log;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::harness::{Serving, send, token, until};
use crate::nats_server::NatsServer;

mod verify;

const PATIENCE: Duration = Duration::from_secs(30);

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

pub fn done(url: &str, actor: &str, mut command: Value) -> Value {
    command["id"] = json!(Uuid::new_v4());
    let (status, answer) = send(&agent(), url, actor, &command).unwrap();
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Has a story published; the article.
pub fn publish(url: &str, words: &str) -> String {
    let data = json!({"slug": "river", "language": "en", "headline": words, "section": "world", "urgency": 3,
        "keywords": ["rivers"], "blocks": [{"kind": "paragraph", "text": format!("{words}, *says* Zoë \u{1f30a}.")}]});
    let article = done(url, "ana", json!({"type": "draft", "data": data}))["article"].clone();
    done(url, "ana", json!({"type": "submit", "article": article, "base": 1}));
    done(url, "eva", json!({"type": "approve", "article": article, "base": 1}));
    done(url, "pia", json!({"type": "publish", "article": article, "base": 1}));
    article.as_str().unwrap().to_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Someone who doesn't trust the newsroom, with the checkpoint that they saw last.
pub struct Auditor {
    folder: TempDir,
    key: String,
}

impl Auditor {
    /// They get the key once.
    pub fn new(serving: &Serving) -> Self {
        let (status, key) = serving.get("ana", "/audit/key");
        assert_eq!(status, 200, "{key}");
        Self { folder: tempfile::tempdir().unwrap(), key: key.trim().to_owned() }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("checkpoint")
    }

    fn run(&self, url: &str, events: bool) -> Output {
        let mut command = Command::new("python3");
        command.arg(root().join("tests/auditor/auditor.py"));
        command.args([&format!("{url}/audit"), &self.key]).arg(self.state());
        if events {
            command.args(["--events", &token("audra")]);
        }
        command.output().unwrap()
    }

    /// How many events they saw, when everything holds.
    pub fn verifies(&self, url: &str, events: bool) -> u64 {
        let output = self.run(url, events);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// What they say is wrong.
    fn refuses(&self, url: &str, events: bool) -> String {
        let output = self.run(url, events);
        assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.lines().last().unwrap_or_default().strip_prefix("NOT VERIFIED: ").expect(&said).to_owned()
    }

    /// Verifies until so many events are under a checkpoint.
    pub fn sees(&self, url: &str, events: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.verifies(url, false) < events {
            assert!(Instant::now() < deadline, "never saw {events} events");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

#[test]
fn an_auditor_verifies_every_checkpoint_while_the_newsroom_works() {
    let mut serving = Serving::embedded();
    let auditor = Auditor::new(&serving);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (url, stop) = (serving.url().to_owned(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut published = 0;
                while !stop.load(Ordering::Relaxed) || published < 30 {
                    publish(&url, "The river rises");
                    published += 1;
                }
                published
            })
        })
        .collect();
    let mut sizes = Vec::new();
    while sizes.len() < 5 {
        sizes.push(auditor.verifies(serving.url(), false));
    }
    stop.store(true, Ordering::Relaxed);
    let published: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
    assert!(sizes.is_sorted(), "{sizes:?}");
    let all = 4 * published + 1;
    let (status, said) = serving.get("", "/audit/tile/7/000.p/200");
    assert!(status == 404 && said.contains("no such tile"), "{said}");
    auditor.sees(serving.url(), all);
    assert_eq!(auditor.verifies(serving.url(), true), all, "every event's own bytes too");
    // Whatever the folded state, the tree is the same.
    serving.kill();
    std::fs::remove_dir_all(serving.data().join("state")).unwrap();
    serving.start_again();
    assert_eq!(auditor.verifies(serving.url(), true), all);
    publish(serving.url(), "The river falls");
    auditor.sees(serving.url(), all + 4);
}

#[test]
fn a_log_restored_from_yesterday_is_noticed_by_whoever_kept_a_checkpoint() {
    let mut serving = Serving::embedded();
    let auditor = Auditor::new(&serving);
    publish(serving.url(), "Yesterday");
    auditor.sees(serving.url(), 5);
    assert!(serving.terminate().success());
    let yesterday = tempfile::tempdir().unwrap();
    copy(&serving.data(), &yesterday.path().join("data"));
    serving.start_again();
    publish(serving.url(), "Today");
    auditor.sees(serving.url(), 9);
    serving.kill();
    std::fs::remove_dir_all(serving.data()).unwrap();
    copy(&yesterday.path().join("data"), &serving.data());
    serving.start_again();
    let why = auditor.refuses(serving.url(), false);
    assert!(why.contains("the log has 5 events, and had 9"), "{why}");
    // As long again, and still not the same.
    publish(serving.url(), "Another today");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let why = auditor.refuses(serving.url(), false);
        if why.contains("the first 9 events aren't those that were signed") {
            break;
        }
        assert!(Instant::now() < deadline, "{why}");
    }
}

#[test]
fn an_event_deleted_behind_the_service_is_noticed() {
    let server = NatsServer::start();
    let mut serving = Serving::on_nats(&server.url());
    let auditor = Auditor::new(&serving);
    let article = publish(serving.url(), "The river rises");
    auditor.sees(serving.url(), 5);
    assert_eq!(auditor.verifies(serving.url(), true), 5);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let jetstream = async_nats::jetstream::new(server.client().await);
        let stream = jetstream.get_stream("COPYDESK_EVENTS").await.unwrap();
        assert!(stream.delete_message(3).await.unwrap());
    });
    let why = auditor.refuses(serving.url(), true);
    assert!(why.contains("410") && why.contains("deleted"), "{why}");
    // An instance that folds the log anew finds that it isn't what was signed, and decides nothing.
    serving.kill();
    std::fs::remove_dir_all(serving.data()).unwrap();
    serving.start_again();
    let (status, health) = serving.get("audra", "/healthz");
    assert_eq!(status, 200);
    assert!(health.contains("\"diverged\"") && health.contains("checkpoint"), "{health}");
    let (status, ready) = serving.get("audra", "/readyz");
    assert_eq!(status, 503, "{ready}");
    let edit = json!({"id": Uuid::new_v4(), "type": "edit", "article": article, "base": 1, "data": {"set": {"slug": "x"}}});
    assert_eq!(send(&agent(), serving.url(), "ana", &edit).unwrap().0, 503);
}

/// Erases words of an article by law.
fn redact(url: &str, article: &str, words: &str, ground: &str) {
    let data = json!({"words": words, "ground": ground});
    done(url, "carl", json!({"type": "redact", "article": article, "data": data}));
    done(url, "eva", json!({"type": "confirm_redaction", "article": article, "data": {"words": words}}));
}

#[test]
fn what_was_erased_by_law_is_noted_and_nothing_else_that_is_gone() {
    let mut serving = Serving::embedded();
    let auditor = Auditor::new(&serving);
    let article = publish(serving.url(), "Jane Roe stole the river");
    let set = json!({"set": {"headline": "The river rises"}, "markdown": "Nobody stole it."});
    done(serving.url(), "ana", json!({"type": "edit", "article": article, "base": 1, "data": set}));
    done(serving.url(), "eva", json!({"type": "approve", "article": article, "base": 2}));
    let note = json!({"kind": "correction", "note": "It was nobody."});
    done(serving.url(), "pia", json!({"type": "publish", "article": article, "base": 2, "data": note}));
    // Until the edition is on the wire nothing is erased.
    until("the correction", || serving.get("ana", "/feed.json").1.contains("Nobody stole it."));
    redact(serving.url(), &article, "Jane Roe", "Court order 7");
    auditor.sees(serving.url(), 10);
    let said = auditor.run(serving.url(), true);
    let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.contains("verified 10 events") && said.contains("1 event erased by law"), "{said}");
    // The redaction holds words too, those that the first left, and goes with them.
    redact(serving.url(), &article, "stole the river", "Court order 8");
    auditor.sees(serving.url(), 12);
    let said = auditor.run(serving.url(), true);
    let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.contains("verified 12 events") && said.contains("2 events erased by law"), "{said}");
    // Somebody erases another event with the log's own means, and no redaction names it.
    assert!(serving.terminate().success());
    let log = open_embedded_log(&serving.data(), Options::default()).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(log.events().erase(4)).unwrap();
    drop(log);
    serving.start_again();
    let why = auditor.refuses(serving.url(), true);
    assert!(why.contains("event at 4") && why.contains("no redaction"), "{why}");
}

#[test]
fn several_instances_keep_one_line_of_checkpoints() {
    let server = NatsServer::start();
    let instances = [Serving::on_nats(&server.url()), Serving::on_nats(&server.url())];
    let auditor = Auditor::new(&instances[0]);
    for round in 1..=3 {
        for serving in &instances {
            publish(serving.url(), "The river rises");
        }
        for serving in &instances {
            auditor.sees(serving.url(), 8 * round + 1);
        }
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sizes = runtime.block_on(async {
        let jetstream = async_nats::jetstream::new(server.client().await);
        let stream = jetstream.get_stream("COPYDESK_CHECKPOINTS").await.unwrap();
        let mut sizes = Vec::new();
        for at in 1..=stream.cached_info().state.last_sequence {
            let message = stream.get_raw_message(at).await.unwrap();
            let note = String::from_utf8(message.payload.to_vec()).unwrap();
            sizes.push(note.lines().nth(1).unwrap().parse::<u64>().unwrap());
        }
        let wire = jetstream.get_stream("COPYDESK_WIRE").await.unwrap();
        let last = wire.get_last_raw_message_by_subject("copydesk.wire.world").await.unwrap();
        let size: u64 = last.headers.get("Copydesk-Checkpoint-Size").unwrap().as_str().parse().unwrap();
        assert!(sizes.contains(&size), "the wire's messages bear a checkpoint of the line");
        sizes
    });
    assert!(sizes.windows(2).all(|pair| pair[0] < pair[1]), "each is of a larger tree: {sizes:?}");
}

fn check_story(serving: &Serving, article: &str, key: Option<&str>) -> Output {
    let mut command = Command::new("python3");
    command.arg(root().join("docs/verify/check_story.py")).args([serving.url(), article]).args(key);
    command.output().unwrap()
}

#[test]
fn forty_lines_of_python_check_a_story() {
    let serving = Serving::embedded();
    let key = Auditor::new(&serving).key;
    let article = publish(serving.url(), "The river rises");
    let output = check_story(&serving, &article, Some(&key));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("edition 1") && said.contains("The river rises"), "{said}");
    let notice = json!({"notice": "This story was wrong."});
    done(serving.url(), "pia", json!({"type": "withdraw", "article": article, "data": notice}));
    let output = check_story(&serving, &article, Some(&key));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("This story was wrong."), "{said}");
    let other = copydesk::audit::Key::new(key.split('+').next().unwrap(), &[1; 32]).unwrap();
    assert!(!check_story(&serving, &article, Some(&other.verifier())).status.success());
    let draft = json!({"slug": "s", "language": "en"});
    let unpublished = done(serving.url(), "ana", json!({"type": "draft", "data": draft}))["article"].clone();
    for id in [unpublished.as_str().unwrap(), &Uuid::new_v4().to_string(), "x"] {
        let (status, body) = serving.get("ana", &format!("/articles/{id}/proof"));
        assert_eq!((status, body.contains("not_found")), (404, true), "{body}");
    }
}

#[test]
fn a_log_of_another_name_is_signed_anew_and_keeps_its_history() {
    let mut serving = Serving::embedded();
    let article = publish(serving.url(), "The river rises");
    Auditor::new(&serving).sees(serving.url(), 5);
    assert!(serving.terminate().success());
    let config = std::fs::read_to_string(serving.config()).unwrap();
    std::fs::write(serving.config(), format!("{config}[audit]\norigin = \"desk.example/audit\"\n")).unwrap();
    serving.start_again();
    let auditor = Auditor::new(&serving);
    assert!(auditor.key.starts_with("desk.example/audit+"), "{}", auditor.key);
    let deadline = Instant::now() + PATIENCE;
    while !auditor.run(serving.url(), true).status.success() {
        assert!(Instant::now() < deadline, "{}", auditor.refuses(serving.url(), true));
    }
    assert!(check_story(&serving, &article, Some(&auditor.key)).status.success());
}
