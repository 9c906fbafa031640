//! Backups: taken while the service works, put back, and held against the log; and the drill for a JetStream that lost its
//! tail (docs/OPERATIONS.md).

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use copydesk::audit::Key;
use copydesk::backup::{Manifest, Source, backup, restore};
use copydesk::deliver::ledger::Ledger;
use copydesk::deliver::page::{self, Page};
use copydesk::log::jetstream::{self, JetStreamLog};
use copydesk::log::memory::{Faults, MemoryLog};
use copydesk::log::{Expect, Log, Message, segments};
use copydesk::service::open_embedded_log;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit::{Auditor, done, publish};
use crate::harness::{Serving, send};
use crate::nats_server::NatsServer;

fn copydesk(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_copydesk")).args(arguments).output().unwrap()
}

fn says(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn succeeds(arguments: &[&str]) -> String {
    let output = copydesk(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", says(&output));
    says(&output)
}

fn fails(arguments: &[&str]) -> String {
    let output = copydesk(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", says(&output));
    says(&output)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Backs up until so many events are in the backup.
pub fn back_up(to: &Path, log: &[&str], events: u64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let said = succeeds(&[&["backup", text(to), "--json"], log].concat());
        let written: Value = serde_json::from_str(&said).unwrap();
        if written["verified"].as_u64().unwrap() >= events {
            return;
        }
        assert!(Instant::now() < deadline, "{written}");
    }
}

#[test]
fn a_backup_taken_under_load_comes_back_whole_and_the_line_of_checkpoints_goes_on() {
    let mut serving = Serving::embedded();
    let auditor = Auditor::new(&serving);
    let folder = tempfile::tempdir().unwrap();
    let (backup, new) = (folder.path().join("backup"), folder.path().join("new"));
    let data = serving.data();
    let log = ["--data", text(&data)];
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let url = serving.url().to_owned();
            std::thread::spawn(move || (0..40).map(|_| publish(&url, "The river rises")).collect::<Vec<_>>())
        })
        .collect();
    while writers.iter().any(|writer| !writer.is_finished()) {
        succeeds(&[&["backup", text(&backup)], &log[..]].concat());
    }
    let articles: Vec<String> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    auditor.sees(serving.url(), 481);
    back_up(&backup, &log, 481);
    let before = serving.events();
    assert!(serving.terminate().success());
    let said = succeeds(&[&["verify", "--against", text(&backup)], &log[..]].concat());
    assert!(said.starts_with("Verified 481 events"), "{said}");
    // The last messages may have reached the wire after their events were backed up.
    succeeds(&[&["backup", text(&backup)], &log[..]].concat());
    // A run adds what is new and nothing else; what a run left half done is cut off.
    let last = std::fs::read_dir(backup.join("streams/events")).unwrap().next().unwrap().unwrap().path();
    std::fs::OpenOptions::new()
        .append(true)
        .open(&last)
        .and_then(|mut file| std::io::Write::write_all(&mut file, b"{\"seq\":482,\"subj"))
        .unwrap();
    assert!(succeeds(&[&["backup", text(&backup)], &log[..]].concat()).contains(" 0 positions are new"));

    let said = succeeds(&["recover", text(&backup), "--data", text(&new)]);
    assert!(said.contains("481 events and 120 messages"), "{said}");
    assert!(
        succeeds(&["verify", "--against", text(&backup), "--data", text(&new)])
            .contains("Verified 481 events")
    );
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&new, &data).unwrap();
    serving.start_again();
    assert_eq!(serving.events(), before, "every event at its place");
    // Whoever kept the key and a checkpoint sees one history.
    assert_eq!(auditor.verifies(serving.url(), true), 481);
    publish(serving.url(), "After the flood");
    auditor.sees(serving.url(), 485);
    // A command that was answered before is answered again as it was.
    let (status, page) = serving.get("ana", &format!("/articles/{}", articles[0]));
    assert_eq!(status, 200, "{page}");
    // And the backup goes on with the restored log.
    let said = fails(&[&["backup", text(&backup)], &log[..]].concat());
    assert!(said.contains("another log"), "{said}");
}

/// Confidential evidence is cited while the ends are taken: an event without its key would be evidence lost.
#[tokio::test]
async fn the_key_that_an_event_needs_is_in_the_backup_with_it() {
    for seed in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        let log = MemoryLog::new(seed);
        // So that much is written between any two ends.
        let slow = log.with_faults(Faults { delay: 1000, ..Faults::default() });
        let citing = async {
            for number in 1..=50 {
                log.keys().put(&format!("evidence.{number}"), 0, "a key".into()).await.unwrap();
                let subject = Uuid::from_u128(number).to_string();
                let message =
                    Message { subject, id: number.to_string(), headers: Vec::new(), body: "{}".into() };
                log.events().try_append(&message, Expect::Subject(0)).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let source = Source::Log(Arc::new(slow));
        let (written, ()) = tokio::join!(backup(&source, folder.path(), |_, _| {}), citing);
        written.unwrap();
        let manifest = Manifest::read(folder.path()).unwrap().unwrap();
        let [events, keys] = ["events", "keys"].map(|stream| manifest.extent(stream).end);
        assert!((1..50).contains(&events) && events <= keys, "{events} events, {keys} keys, seed {seed}");
    }
}

/// A run that fails leaves the backup of the run before, whole.
#[tokio::test]
async fn a_run_whose_tree_is_not_what_was_signed_leaves_the_backup_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(MemoryLog::new(1));
    let message = |seq: u64, body: Vec<u8>| Message {
        subject: "a".to_owned(),
        id: seq.to_string(),
        headers: Vec::new(),
        body: body.into(),
    };
    log.events().try_append(&message(1, b"{}".to_vec()), Expect::Stream(0)).await.unwrap();
    let source = Source::Log(Arc::<MemoryLog>::clone(&log));
    backup(&source, folder.path(), |_, _| {}).await.unwrap();
    let manifest = || std::fs::read(folder.path().join("manifest.json")).unwrap();
    let before = manifest();

    log.events().try_append(&message(2, b"{}".to_vec()), Expect::Stream(1)).await.unwrap();
    let signed = Key::new("desk", &[7; 32]).unwrap().sign(1, [7; 32]).unwrap();
    let checkpoints = log.stream("checkpoints").await.unwrap();
    checkpoints.try_append(&message(1, signed), Expect::Stream(0)).await.unwrap();
    let failed = backup(&source, folder.path(), |_, _| {}).await.unwrap_err();
    assert!(failed.to_string().contains("signed over 1 events"), "{failed}");
    assert_eq!(manifest(), before);
    let restored = MemoryLog::new(2);
    restore(folder.path(), None, &restored, |_| {}, |_, _| {}).await.unwrap();
    assert_eq!(restored.events().end().await.unwrap(), 1);
}

/// Its wire was taken a moment before its accounts: by then a webhook may have been sent more of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_ahead_of_its_wire_is_set_back_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let log: Arc<dyn Log> = Arc::new(MemoryLog::new(1));
    let message = |seq: u64| Message {
        subject: "world".to_owned(),
        id: seq.to_string(),
        headers: Vec::new(),
        body: "{}".into(),
    };
    log.wire().try_append(&message(1), Expect::Stream(0)).await.unwrap();
    let (article, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut ledger = Ledger::beginning(0);
    for (seq, article) in [(1, article), (2, article), (3, other)] {
        ledger.read(seq, Some(article));
    }
    let page = Page { holder: Uuid::nil(), beat: 4, wake: None, full: false, ledger };
    page::write(&log.keys(), "shop", 0, &page).await.unwrap();
    let other = Page { ledger: Ledger::beginning(1), ..page };
    page::write(&log.keys(), "other", 0, &other).await.unwrap();
    backup(&Source::Log(log), folder.path(), |_, _| {}).await.unwrap();

    let restored = MemoryLog::new(2);
    for _again in 0..2 {
        restore(folder.path(), Some(folder.path()), &restored, |_| {}, |_, _| {}).await.unwrap();
        let (_, page) = page::read(&restored.keys(), "shop").await.unwrap().unwrap();
        assert_eq!((page.beat, page.ledger.read, page.ledger.counts()), (4, 1, (1, 0)));
        assert_eq!(page::read(&restored.keys(), "other").await.unwrap().unwrap().1, other);
    }
}

#[test]
fn a_backup_that_was_touched_is_not_put_back() {
    let mut serving = Serving::embedded();
    let folder = tempfile::tempdir().unwrap();
    let (backup, new) = (folder.path().join("backup"), folder.path().join("new"));
    publish(serving.url(), "The river rises");
    Auditor::new(&serving).sees(serving.url(), 5);
    let data = serving.data();
    back_up(&backup, &["--data", text(&data)], 5);
    assert!(serving.terminate().success());
    let path = std::fs::read_dir(backup.join("streams/events")).unwrap().next().unwrap().unwrap().path();
    let lines = std::fs::read_to_string(&path).unwrap();
    let event = lines.lines().nth(2).unwrap();
    let body = event.split("\"body\":\"").nth(1).unwrap().split('"').next().unwrap();
    let other = format!("{}A{}", &body[..40], &body[41..]);
    assert_ne!(body, other);
    std::fs::write(&path, lines.replace(body, &other)).unwrap();
    let said = fails(&["recover", text(&backup), "--data", text(&new)]);
    assert!(said.contains("its events aren't those that its checkpoint of 5 was signed over"), "{said}");
    let said = fails(&["verify", "--against", text(&backup), "--data", text(&data)]);
    assert!(said.contains("log 3") && said.contains("something else here than the backup"), "{said}");
    std::fs::write(&path, lines).unwrap();
    // Keys lie apart: without them nothing is put back unless that is said.
    std::fs::rename(backup.join("keys"), folder.path().join("keys")).unwrap();
    assert!(fails(&["recover", text(&backup), "--data", text(&new)]).contains("--keys"));
    // They are taken from wherever they were moved, by themselves or as they were called.
    let nowhere = fails(&["recover", text(&backup), "--keys", text(&data), "--data", text(&new)]);
    assert!(nowhere.contains("has no keys of a backup"), "{nowhere}");
    let keys = folder.path().join("safe");
    std::fs::rename(folder.path().join("keys"), &keys).unwrap();
    succeeds(&["recover", text(&backup), "--keys", text(&keys), "--data", text(&new)]);
    std::fs::remove_dir_all(&new).unwrap();
    std::fs::create_dir(folder.path().join("box")).unwrap();
    std::fs::rename(&keys, folder.path().join("box/keys")).unwrap();
    let keys = folder.path().join("box");
    succeeds(&["recover", text(&backup), "--keys", text(&keys), "--data", text(&new)]);
    // The next run copies them whole.
    back_up(&backup, &["--data", text(&data)], 5);
    std::fs::remove_dir_all(&new).unwrap();
    succeeds(&["recover", text(&backup), "--data", text(&new)]);
    assert!(
        fails(&["recover", text(&backup), "--keys", text(&keys), "--data", text(&data)]).contains("state")
    );
}

/// On each log, some of them erased as evidence's are.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_were_moved_away_are_copied_whole() {
    let server = NatsServer::start();
    let data = tempfile::tempdir().unwrap();
    let in_nats = JetStreamLog::open(server.client().await, jetstream::Options::default()).await.unwrap();
    let segments = open_embedded_log(data.path(), segments::Options::default()).unwrap();
    for log in [Arc::new(MemoryLog::new(1)) as Arc<dyn Log>, Arc::new(in_nats), segments] {
        let folder = tempfile::tempdir().unwrap();
        let [kept, moved] = ["backup", "moved"].map(|name| folder.path().join(name));
        let source = Source::Log(Arc::clone(&log));
        let again = async || backup(&source, &kept, |_, _| {}).await.unwrap().added;
        for number in 1..=3 {
            log.keys().put(&format!("evidence.{number}"), 0, "a key".into()).await.unwrap();
        }
        log.keys().erase("evidence.2").await.unwrap();
        let keys = log.keys().end().await.unwrap();
        assert_eq!(again().await, keys);
        std::fs::rename(kept.join("keys"), &moved).unwrap();
        log.keys().erase("evidence.1").await.unwrap();
        let more = log.keys().end().await.unwrap();
        assert_eq!((again().await, again().await), (more, 0), "whole, and on from there");
        std::fs::rename(kept.join("keys"), moved.join("later")).unwrap();
        for from in [moved.join("later"), kept.clone()] {
            if from == kept {
                std::fs::rename(moved.join("later"), kept.join("keys")).unwrap();
            }
            let restored = MemoryLog::new(2);
            restore(&kept, Some(&from), &restored, |_| {}, |_, _| {}).await.unwrap();
            assert_eq!(restored.keys().end().await.unwrap(), more);
            for number in 1..=3 {
                let key = format!("evidence.{number}");
                let [is, was] = [restored.keys().get(&key).await, log.keys().get(&key).await];
                assert_eq!(is.unwrap(), was.unwrap(), "{key}");
            }
        }
        // Given back, what is new is added.
        log.keys().put("evidence.4", 0, "a key".into()).await.unwrap();
        assert_eq!(again().await, 1);
    }
}

/// The drill: JetStream comes back without its last events, and the service from the backup.
#[test]
fn a_jetstream_that_lost_its_tail_stops_the_desk_and_is_put_back_from_the_backup() {
    let server = NatsServer::start();
    let mut serving = Serving::on_nats(&server.url());
    let auditor = Auditor::new(&serving);
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    let state = folder.path().join("state");
    let served = std::fs::read_to_string(serving.config()).unwrap();
    let served = served.replace(text(&serving.data()), text(&state));
    let configuration = |url: &str| {
        let path = folder.path().join("copydesk.toml");
        let more = format!("[log]\nkind = \"nats\"\n[nats]\nurl = {url:?}\n");
        std::fs::write(&path, format!("{served}{more}")).unwrap();
        path
    };
    let config = configuration(&server.url());
    let article = publish(serving.url(), "The river rises");
    publish(serving.url(), "The dam holds");
    auditor.sees(serving.url(), 9);
    back_up(&backup, &["--config", text(&config)], 9);
    let before = serving.events();

    // The tail is lost: the stream has the first six events and no more.
    serving.kill();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let jetstream = async_nats::jetstream::new(server.client().await);
        let mut stream = jetstream.get_stream("COPYDESK_EVENTS").await.unwrap();
        let config = stream.info().await.unwrap().config.clone();
        let mut kept = Vec::new();
        for seq in 1..=6 {
            kept.push(stream.get_raw_message(seq).await.unwrap());
        }
        jetstream.delete_stream("COPYDESK_EVENTS").await.unwrap();
        jetstream.create_stream(config).await.unwrap();
        for message in kept {
            let headers = message.headers.clone();
            jetstream
                .publish_with_headers(message.subject, headers, message.payload)
                .await
                .unwrap()
                .await
                .unwrap();
        }
    });
    serving.start_again();
    let (_, health) = serving.get("ana", "/healthz");
    assert!(health.contains("diverged") && health.contains("lost"), "{health}");
    let edit = json!({"id": Uuid::new_v4(), "type": "edit", "article": article, "base": 1, "data": {"set": {"slug": "x"}}});
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    assert_eq!(send(&agent, serving.url(), "ana", &edit).unwrap().0, 503, "nothing is decided");
    let said = fails(&["verify", "--against", text(&backup), "--config", text(&config)]);
    assert!(said.contains("signed over 9 events; the log has 6"), "{said}");
    serving.kill();

    // Into empty streams, on a server of its own.
    let fresh = NatsServer::start();
    let config = configuration(&fresh.url());
    let _ = std::fs::remove_dir_all(&state);
    succeeds(&["recover", text(&backup), "--config", text(&config)]);
    let restored = Serving::on_nats(&fresh.url());
    assert_eq!(restored.events(), before);
    assert_eq!(auditor.verifies(restored.url(), true), 9);
    done(restored.url(), "ana", edit);
    auditor.sees(restored.url(), 10);
}
