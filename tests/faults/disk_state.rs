//! The folded state in sled: its disk fails, its files are damaged, gone, of another day or of another log. What is
//! shown is the fold of the log, or the service says what is wrong and decides nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::newsroom::Newsroom;
use super::shim::{EIO, ENOSPC, FOR_EVER, Fault, SYNC, Shim, WRITE};
use super::{Harm, Scratch, flip};
use crate::harness::{Serving, token, until};
use crate::nats_server::NatsServer;

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// sled's files, the longest first.
fn files(state: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort_by_key(|path| std::cmp::Reverse(path.metadata().unwrap().len()));
    files
}

#[test]
fn a_state_that_can_not_be_written_stops_the_desk_until_a_restart() {
    let scratch = Scratch::new();
    let shim = Shim::new(&scratch.join("faults"));
    let mut newsroom = Newsroom::under(&shim);
    newsroom.publish("Before it failed");
    for (kinds, error) in [(WRITE, ENOSPC), (SYNC, EIO)] {
        shim.arm(&Fault { kinds, path: "/data/state", from: 1, upto: FOR_EVER, error, lose: false });
        let draft = newsroom.draft("As it fails");
        newsroom.send("ana", &draft);
        until("it says so", || newsroom.health()["status"] == "fold_stopped");
        shim.disarm();
        // sled takes nothing more after an error, so it stays so: it isn't well every other second.
        for _ in 0..30 {
            let health = newsroom.health();
            assert_eq!((&health["status"], &health["diverged"]), (&json!("fold_stopped"), &json!(null)));
            assert!(health["fold_stopped"].as_str().unwrap().contains("restart copydesk"));
            assert_eq!(newsroom.serving.get("audra", "/readyz").0, 503);
            let (status, problem) = newsroom.send("ana", &newsroom.draft("While it fails"));
            assert_eq!((status, &problem["code"]), (503, &json!("log_unavailable")), "{problem}");
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
        assert_eq!(newsroom.serving.get("ana", "/feed.json").0, 200);
        newsroom.serving.terminate();
        newsroom.serving.start_again();
        newsroom.is_as_answered();
        assert_eq!(newsroom.health()["status"], "ok");
    }
}

#[test]
fn whatever_happens_to_the_state_between_two_starts_what_is_shown_is_the_fold_of_the_log() {
    let mut newsroom = Newsroom::new();
    for number in 0..4 {
        newsroom.publish(&format!("Story {number}"));
    }
    assert_eq!(newsroom.serving.terminate().code(), Some(0));
    newsroom.serving.start_again();
    let right = newsroom.articles();
    let state = newsroom.serving.data().join("state");
    let ways: [Harm; 8] = [
        ("its longest file is cut in half", |state| {
            let file = &files(state)[0];
            let length = file.metadata().unwrap().len();
            std::fs::File::options().write(true).open(file).unwrap().set_len(length / 2).unwrap();
        }),
        ("its longest file is emptied", |state| drop(std::fs::File::create(&files(state)[0]).unwrap())),
        ("its longest file is zeros", |state| {
            let length = files(state)[0].metadata().unwrap().len();
            std::fs::write(&files(state)[0], vec![0; usize::try_from(length).unwrap()]).unwrap();
        }),
        ("bits are flipped in all of it", |state| {
            for file in files(state) {
                (0..file.metadata().unwrap().len()).step_by(997).for_each(|at| flip(&file, at));
            }
        }),
        ("one bit is flipped", |state| flip(&files(state)[0], 1000)),
        ("its configuration says an older version of sled", |state| {
            // "version: 0.34" without its last figure and the checksum after it.
            let conf = std::fs::File::options().write(true).open(state.join("conf")).unwrap();
            conf.set_len(conf.metadata().unwrap().len() - 6).unwrap();
        }),
        ("its configuration is gone", |state| std::fs::remove_file(state.join("conf")).unwrap()),
        ("it is empty", |state| {
            std::fs::remove_dir_all(state).unwrap();
            std::fs::create_dir(state).unwrap();
        }),
    ];
    for (name, way) in ways {
        println!("{name}");
        newsroom.serving.kill();
        way(&state);
        newsroom.serving.start_again();
        assert_eq!(newsroom.articles(), right, "{name}");
        newsroom.is_in_the_feed();
    }
    newsroom.is_as_answered();
    newsroom.serving.kill();
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::write(&state, "no folder").unwrap();
    let said = newsroom.refuses_to_start();
    assert!(said.contains(state.to_str().unwrap()), "it names what is in the way: {said}");
}

#[test]
fn a_state_that_is_harmed_while_it_is_open_is_mended_or_said_to_be_wrong() {
    let ways: [Harm; 3] = [
        ("cut", |state| {
            std::fs::File::options().write(true).open(&files(state)[0]).unwrap().set_len(100).unwrap();
        }),
        ("zeroed", |state| {
            let length = files(state)[0].metadata().unwrap().len();
            std::fs::write(&files(state)[0], vec![0; usize::try_from(length).unwrap()]).unwrap();
        }),
        ("removed", |state| std::fs::remove_dir_all(state).unwrap()),
    ];
    let mut newsroom = Newsroom::new();
    for (name, way) in ways {
        println!("{name}");
        newsroom.publish(&format!("Before it was {name}"));
        let state = newsroom.serving.data().join("state");
        way(&state);
        for number in 0..3 {
            let draft = newsroom.draft(&format!("After it was {name}, {number}"));
            match newsroom.try_send("ana", &draft) {
                Some((200, _)) => {}
                Some((503, problem)) => {
                    assert_eq!(problem["code"], "log_unavailable");
                    assert_ne!(newsroom.health()["status"], "ok");
                }
                other => panic!("{other:?}"),
            }
        }
        newsroom.serving.kill();
        newsroom.serving.start_again();
        newsroom.is_as_answered();
        let articles = newsroom.articles();
        newsroom.serving.kill();
        let _ = std::fs::remove_dir_all(&state);
        newsroom.serving.start_again();
        assert_eq!(newsroom.articles(), articles, "state is the fold of the log");
    }
}

/// Spoils every page of the state of a service that was just started, when nothing is in memory yet but what opening
/// needed; and has the service come upon it.
fn beyond_use(newsroom: &Newsroom, article: &str) {
    let file = newsroom.serving.data().join("state/db");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.iter_mut().step_by(61).for_each(|byte| *byte = !*byte);
    std::fs::write(&file, bytes).unwrap();
    // The service may have come upon it by itself, and be on its way already.
    let request = ureq::get(format!("{}/v1/articles/{article}", newsroom.serving.url()));
    let answer = request.header("Authorization", format!("Bearer {}", token("carl"))).call();
    assert!(answer.is_err(), "nobody is shown what is damaged");
}

/// Pages of sled's that can't be read any more, so that it can't even clear them: too late to set the folder aside, and
/// nobody is there to start the service again.
#[test]
fn pages_that_sled_can_not_even_clear_are_set_aside_and_the_service_starts_itself_anew() {
    let mut newsroom = Newsroom::new();
    for number in 0..60 {
        let draft = newsroom.long_draft(&format!("Story {number}"), 2_000);
        assert_eq!(newsroom.send("ana", &draft).0, 200);
    }
    newsroom.publish("Seen by readers");
    let right = newsroom.articles();
    newsroom.serving.terminate();
    newsroom.serving.start_again();
    let (process, url) = (newsroom.serving.pid(), newsroom.serving.url().to_owned());
    beyond_use(&newsroom, right.keys().next().unwrap());
    newsroom.serving.starts_anew();
    assert_eq!((newsroom.serving.pid(), newsroom.serving.url()), (process, &*url));
    let data = newsroom.serving.data();
    assert!(data.join("state.set-aside-1").is_dir() && !data.join("state.given-up").exists());
    assert_eq!(newsroom.articles(), right);
    newsroom.is_as_answered();
    newsroom.is_in_the_feed();
    newsroom.publish("And it goes on");

    // Told to stop while it is about to start itself anew, it stops.
    newsroom.serving.terminate();
    newsroom.serving.start_again();
    beyond_use(&newsroom, right.keys().next().unwrap());
    newsroom.serving.terminate();
    newsroom.serving.start_again();
    newsroom.is_as_answered();
}

#[test]
fn a_state_of_another_day_is_folded_on_and_a_log_of_another_day_is_not_decided_on() {
    let mut newsroom = Newsroom::new();
    newsroom.publish("Yesterday");
    assert_eq!(newsroom.serving.terminate().code(), Some(0));
    let data = newsroom.serving.data();
    let yesterday = data.with_extension("yesterday");
    copy(&data, &yesterday);
    newsroom.serving.start_again();
    newsroom.publish("Today");
    assert_eq!(newsroom.serving.terminate().code(), Some(0));
    let today = data.with_extension("today");
    copy(&data, &today);

    // Yesterday's state beside today's log.
    copy(&yesterday.join("state"), &data.join("state"));
    newsroom.serving.start_again();
    newsroom.is_as_answered();
    newsroom.is_in_the_feed();
    newsroom.serving.kill();

    // Today's state beside yesterday's log.
    copy(&yesterday.join("log"), &data.join("log"));
    copy(&today.join("state"), &data.join("state"));
    newsroom.serving.start_again();
    let health = newsroom.health();
    assert_eq!(health["status"], "diverged");
    assert!(health["diverged"].as_str().unwrap().contains("its tail is lost"), "{health:#}");
    assert_eq!(newsroom.serving.get("audra", "/readyz").0, 503);
    let (status, problem) = newsroom.send("ana", &newsroom.draft("On a log that lost its tail"));
    assert_eq!((status, &problem["code"]), (503, &json!("log_unavailable")), "{problem}");
    // What was folded of the lost tail isn't looked for, to be put on the wire.
    assert!(!newsroom.serving.said().contains("the wire is stopped"));
    newsroom.serving.kill();

    // Another newsroom's state beside this log.
    let mut other = Newsroom::new();
    other.publish("Elsewhere");
    assert_eq!(other.serving.terminate().code(), Some(0));
    copy(&today.join("log"), &data.join("log"));
    copy(&other.serving.data().join("state"), &data.join("state"));
    newsroom.serving.start_again();
    until("what folds says why it stopped", || newsroom.health()["fold_stopped"].is_string());
    let health = newsroom.health();
    assert_eq!(health["status"], "diverged");
    assert!(health["fold_stopped"].as_str().unwrap().contains("another log"), "{health:#}");
    assert_eq!(newsroom.serving.get("ana", "/v1/articles").0, 503, "nobody is shown another log's state");
    newsroom.serving.kill();

    // And all of today's again.
    copy(&today, &data);
    newsroom.serving.start_again();
    newsroom.is_as_answered();
    newsroom.verifies();
}

/// A log that had lost its tail when the instance started, as one looks while its servers are still finding each other.
#[test]
fn an_instance_that_starts_on_a_log_without_its_tail_is_ready_once_the_tail_is_back() {
    let mut server = NatsServer::start();
    let mut newsroom = Newsroom::of(Serving::on_nats(&server.url()));
    newsroom.publish("Yesterday");
    assert_eq!(newsroom.serving.terminate().code(), Some(0));
    server.kill();
    let (store, scratch) = (server.store(), Scratch::new());
    let (yesterday, today) = (scratch.join("yesterday"), scratch.join("today"));
    copy(&store, &yesterday);
    server.start_again();
    newsroom.serving.start_again();
    newsroom.publish("Today");
    assert_eq!(newsroom.serving.terminate().code(), Some(0));
    server.kill();
    copy(&store, &today);

    copy(&yesterday, &store);
    server.start_again();
    newsroom.serving.start_again();
    let (status, why) = newsroom.serving.get("audra", "/readyz");
    assert!(status == 503 && why.contains("its tail is lost"), "{why}");
    server.kill();
    copy(&today, &store);
    server.start_again();
    until("it is ready", || newsroom.serving.get("audra", "/readyz").0 == 200);
    newsroom.is_as_answered();
    newsroom.publish("And it goes on");
}
