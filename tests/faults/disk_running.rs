//! Files of the embedded log that are damaged, cut short, replaced or removed while the log is open: it takes nothing
//! more, says which file and where, and what can still be read is.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use copydesk::log::segments::{Options, SegmentsLog};
use copydesk::log::{AppendError, Expect, Log, LogError, Stream};
use serde_json::json;

use super::newsroom::Newsroom;
use super::{Harm, Scratch, events_segment, flip};
use crate::harness::until;
use crate::log_contract::{body_of, message, put};

/// An open log with three events of article `a`.
async fn log_of_three(folder: &Path) -> (SegmentsLog, Arc<dyn Stream>) {
    let (log, _) = SegmentsLog::open(folder, Options::default()).unwrap();
    let events = log.events();
    for number in 1..=3 {
        put(&events, "a", format!("event {number}")).await;
    }
    (log, events)
}

/// Where a record's bytes stand in a file.
fn find(path: &Path, body: &str) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(body.len()).position(|window| window == body.as_bytes()).unwrap() as u64
}

/// That the log says it is damaged, in this file, and takes nothing more.
async fn is_damaged(log: &SegmentsLog, events: &Arc<dyn Stream>, file: &str) {
    let refused = events.try_append(&message("a", "4", "four"), Expect::Subject(3)).await;
    assert!(matches!(&refused, Err(AppendError::Stopped(why)) if why.contains(file)), "{refused:?}");
    let stopped = log.stopped().unwrap();
    assert!(stopped.damaged && stopped.why.contains(file), "{stopped:?}");
    assert!(matches!(events.end().await, Err(LogError::Damaged(_))));
    assert!(matches!(events.all_on("a", 0).await, Err(LogError::Damaged(_))));
}

#[tokio::test]
async fn a_read_that_comes_upon_damage_stops_the_stream_and_says_where() {
    let scratch = Scratch::new();
    let (log, events) = log_of_three(&scratch.join("log")).await;
    let segment = events_segment(&scratch.join("log"));
    flip(&segment, find(&segment, "event 2"));
    let read = events.get(2).await;
    assert!(matches!(&read, Err(LogError::Damaged(why)) if why.contains(".seg at byte ")), "{read:?}");
    is_damaged(&log, &events, ".seg at byte ").await;
    // What is whole can still be read, and other streams go on.
    assert_eq!(body_of(&events.get(3).await.unwrap().unwrap()), "event 3");
    put(&log.wire(), "world", "edition").await;
}

#[tokio::test]
async fn damage_that_nobody_reads_is_found_all_the_same() {
    let scratch = Scratch::new();
    let (log, events) = log_of_three(&scratch.join("log")).await;
    let segment = events_segment(&scratch.join("log"));
    flip(&segment, find(&segment, "event 1"));
    until("the damage is found", || log.stopped().is_some());
    is_damaged(&log, &events, ".seg at byte 0").await;
}

#[tokio::test]
async fn a_file_that_is_cut_removed_or_replaced_under_the_log_takes_nothing_more() {
    let ways: [Harm; 6] = [
        ("cut", |path| File::options().write(true).open(path).unwrap().set_len(20).unwrap()),
        ("emptied", |path| drop(File::create(path).unwrap())),
        ("removed", |path| std::fs::remove_file(path).unwrap()),
        ("moved away", |path| std::fs::rename(path, path.with_extension("old")).unwrap()),
        ("replaced by its own copy", |path| {
            std::fs::copy(path, path.with_extension("copy")).unwrap();
            std::fs::rename(path.with_extension("copy"), path).unwrap();
        }),
        ("gone with its folder", |path| std::fs::remove_dir_all(path.parent().unwrap()).unwrap()),
    ];
    for (name, way) in ways {
        let places: [fn(&Path) -> PathBuf; 2] = [events_segment, |log| log.join("answered/events")];
        for place in places {
            let scratch = Scratch::new();
            let (log, events) = log_of_three(&scratch.join("log")).await;
            let file = place(&scratch.join("log"));
            way(&file);
            println!("{} is {name}", file.display());
            // The very next append notices.
            is_damaged(&log, &events, file.to_str().unwrap()).await;
        }
    }
}

#[tokio::test]
async fn a_file_removed_under_an_idle_log_is_missed() {
    let scratch = Scratch::new();
    let (log, events) = log_of_three(&scratch.join("log")).await;
    std::fs::remove_file(events_segment(&scratch.join("log"))).unwrap();
    until("the file is missed", || log.stopped().is_some());
    is_damaged(&log, &events, "was removed").await;
}

#[test]
fn a_service_whose_log_is_damaged_decides_nothing_and_says_where() {
    let mut newsroom = Newsroom::new();
    let article = newsroom.publish("Before the damage");
    let segment = events_segment(&newsroom.serving.data().join("log"));
    // The headline, deep in an event that nobody reads again by itself.
    let at = find(&segment, "Before the damage");
    flip(&segment, at);
    until("the service says so", || newsroom.health()["status"] == "log_stopped");
    let health = newsroom.health();
    let why = health["log_stopped"].as_str().unwrap();
    assert!(why.contains(&format!("{} at byte ", segment.display())), "{why}");
    assert!(!why.contains("Before"), "no word of it is told");
    assert_eq!(health["diverged"], json!(null));
    assert_eq!(newsroom.serving.get("audra", "/readyz").0, 503);
    let (_, metrics) = newsroom.serving.get("audra", "/metrics");
    assert!(metrics.contains("copydesk_log_stopped 1"), "{metrics}");
    let draft = newsroom.draft("After the damage");
    let (status, problem) = newsroom.send("ana", &draft);
    assert_eq!((status, &problem["code"]), (503, &json!("log_unavailable")), "{problem}");
    // A refusal rests on the log's end, which can't be told for certain.
    let refused = json!({"id": newsroom.id(), "type": "publish", "article": article, "base": 1});
    assert_eq!(newsroom.send("ana", &refused).0, 503);
    assert_eq!(newsroom.serving.get("ana", &format!("/v1/articles/{article}")).0, 200);
    assert_eq!(newsroom.serving.get("ana", "/feed.json").0, 200);
    newsroom.serving.kill();
    let said = newsroom.refuses_to_start();
    assert!(said.contains("is damaged") && said.contains(segment.to_str().unwrap()), "{said}");
    // Mended, all is there, and nothing that was refused.
    flip(&segment, at);
    newsroom.serving.start_again();
    newsroom.is_as_answered();
    assert_eq!(newsroom.send("ana", &draft).0, 200);
}

#[test]
fn a_service_whose_log_is_cut_short_answers_nothing_that_is_not_there() {
    let mut newsroom = Newsroom::new();
    newsroom.publish("Before the cut");
    let segment = events_segment(&newsroom.serving.data().join("log"));
    let whole = std::fs::read(&segment).unwrap();
    File::options().write(true).open(&segment).unwrap().set_len(1000).unwrap();
    let draft = newsroom.draft("After the cut");
    let (status, problem) = newsroom.send("ana", &draft);
    assert_eq!((status, &problem["code"]), (503, &json!("log_unavailable")), "{problem}");
    assert_eq!(newsroom.health()["status"], "log_stopped");
    newsroom.serving.kill();
    assert!(newsroom.refuses_to_start().contains("lost its tail"));
    // The file of before, from a backup.
    File::create(&segment).unwrap().write_all_at(&whole, 0).unwrap();
    newsroom.serving.start_again();
    newsroom.is_as_answered();
    assert_eq!(newsroom.send("ana", &draft).0, 200);
}
