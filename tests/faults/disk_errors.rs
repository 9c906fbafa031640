//! Each operation on the embedded log's files fails, one after the other, in each way there is. Whatever an append was
//! answered is so after the log is opened anew: written ones are there once, refused ones aren't, and those that were
//! left unknown can be sent again and are there once.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use copydesk::log::segments::{Options, SegmentsLog, Syncing};
use copydesk::log::{Content, Expect, Log, LogError, Message, Seq, Settled, Stream, append};
use sha2::{Digest, Sha256};

use super::Scratch;
use super::shim::{EIO, ENOSPC, FOR_EVER, Fault, OPEN, RENAME, SHORT, SYNC, Shim, TRUNCATE, WRITE};

const STREAMS: [&str; 4] = ["events", "wire", "keys", "checkpoints"];

/// How many messages each stream is given: enough for some segments.
const ROUNDS: u64 = 5;

/// After this round something is erased.
const ERASE_AFTER: u64 = 3;

/// Where the log lies, and so what fails.
const FOLDER: &str = "the-log";

/// Every way in which an operation fails.
fn ways() -> Vec<Fault<'static>> {
    let mut ways = Vec::new();
    for (kinds, error, lose) in [
        (OPEN, EIO, false),
        (OPEN, ENOSPC, false),
        (WRITE, EIO, false),
        (WRITE, ENOSPC, false),
        (WRITE, SHORT, false),
        (SYNC, EIO, false),
        (SYNC, EIO, true),
        (TRUNCATE, EIO, false),
        (RENAME, EIO, false),
    ] {
        for on in [false, true] {
            ways.push(Fault { kinds, path: FOLDER, from: 0, upto: u32::from(on), error, lose });
        }
    }
    ways
}

/// What one append came to.
struct Told {
    message: Message,
    expect: Expect,
    settled: Settled,
}

/// What every append of a run came to, by stream.
type Answers = BTreeMap<&'static str, Vec<Told>>;

fn options(syncing: Syncing) -> Options {
    Options { durability: syncing, segment_bytes: 500, ..Options::default() }
}

async fn stream(log: &SegmentsLog, name: &str) -> Result<Arc<dyn Stream>, LogError> {
    match name {
        "events" => Ok(log.events()),
        "wire" => Ok(log.wire()),
        _ => log.stream(name).await,
    }
}

async fn settle(log: &SegmentsLog, stream: &dyn Stream, message: &Message, expect: Expect) -> Settled {
    append(stream, &*log.clock(), message, expect, Duration::from_secs(5)).await
}

/// Some work on a log: appends to each stream in turn, and an erasure.
async fn work(folder: &Path, syncing: Syncing, answers: &mut Answers) {
    let Ok((log, _)) = SegmentsLog::open(folder, options(syncing)) else { return };
    let mut failed: Vec<&str> = Vec::new();
    for round in 1..=ROUNDS {
        for name in STREAMS {
            let Ok(stream) = stream(&log, name).await else { continue };
            let told = answers.entry(name).or_default();
            let last = written(told).last().map_or(0, |(seq, _)| seq);
            let body = format!("{name} {round}").repeat(12);
            let message =
                Message { subject: "a".into(), id: body.clone(), headers: Vec::new(), body: body.into() };
            let expect = Expect::Stream(last);
            let settled = settle(&log, &*stream, &message, expect).await;
            match settled {
                Settled::Written(seq) => {
                    assert!(!failed.contains(&name), "{name} takes more after a failure");
                    assert_eq!(seq, last + 1);
                }
                Settled::Unavailable(_) | Settled::Unknown(_) => {
                    failed.push(name);
                    assert!(log.stopped().is_some_and(|stopped| !stopped.damaged), "{:?}", log.stopped());
                    assert!(stream.end().await.is_err(), "no end is told for certain");
                }
                other => panic!("{name}: {other:?}"),
            }
            told.push(Told { message, expect, settled });
            // What was there before can still be read.
            if let Some((seq, message)) = written(told).next() {
                let there = stream.get(seq).await.unwrap().unwrap();
                is_message(&there.content, message, round > ERASE_AFTER && name == "events");
            }
        }
        if round == ERASE_AFTER {
            // What comes of it is seen afterwards: the bytes are there or are not.
            let _ = log.events().erase(1).await;
        }
    }
}

/// The appends of a stream that were answered as written, with their positions.
fn written(told: &[Told]) -> impl Iterator<Item = (Seq, &Message)> {
    told.iter().filter_map(|told| match told.settled {
        Settled::Written(seq) => Some((seq, &told.message)),
        _ => None,
    })
}

fn is_message(content: &Content, message: &Message, may_be_erased: bool) {
    match content {
        Content::Message { body, .. } => assert_eq!(*body, message.body),
        Content::Erased { sha256 } => {
            assert!(may_be_erased, "erased by nobody");
            assert_eq!(*sha256, Some(Sha256::digest(&message.body).into()));
        }
    }
}

/// That a log, opened where nothing fails any more, holds what was answered.
async fn is_as_answered(folder: &Path, answers: &Answers) {
    let (log, _) = match SegmentsLog::open(folder, options(Syncing::Always)) {
        Ok(opened) => opened,
        Err(error) => panic!("it can't be opened afterwards: {error}"),
    };
    for (name, told) in answers {
        let stream = stream(&log, name).await.unwrap();
        let before = stream.end().await.unwrap();
        for (seq, message) in written(told) {
            let there = stream.get(seq).await.unwrap();
            let there = there.unwrap_or_else(|| panic!("{name} {seq} was answered, and is lost"));
            is_message(&there.content, message, *name == "events" && seq == 1);
        }
        let answered = written(told).count() as Seq;
        let unknown: Vec<_> =
            told.iter().filter(|told| matches!(told.settled, Settled::Unknown(_))).collect();
        assert!(unknown.len() <= 1, "{name} takes nothing after an unknown outcome");
        assert!((answered..=answered + unknown.len() as Seq).contains(&before), "{name} ends at {before}");
        for Told { message, expect, .. } in unknown {
            // Sent again, the same is there once, whether it was before or not.
            assert_eq!(settle(&log, &*stream, message, *expect).await, Settled::Written(answered + 1));
            assert_eq!(stream.end().await.unwrap(), answered + 1);
        }
        let end = stream.end().await.unwrap();
        let next = Message { id: "next".into(), body: "next".into(), ..told[0].message.clone() };
        assert_eq!(settle(&log, &*stream, &next, Expect::Stream(end)).await, Settled::Written(end + 1));
    }
}

/// After a failed sync the pages count as clean, and a later sync passes them over: they must be written again.
async fn what_a_failed_sync_left_is_written_again(shim: &Shim, folder: &Path) {
    let open = || SegmentsLog::open(folder, Options::default()).unwrap().0;
    let message = |body: &str| Message {
        subject: "a".into(),
        id: body.into(),
        headers: Vec::new(),
        body: body.to_owned().into(),
    };
    let fault = Fault { kinds: SYNC, path: ".seg", from: 1, upto: 1, error: EIO, lose: false };
    let log = open();
    assert_eq!(settle(&log, &*log.events(), &message("one"), Expect::Stream(0)).await, Settled::Written(1));
    shim.arm(&fault);
    let second = settle(&log, &*log.events(), &message("two"), Expect::Stream(1)).await;
    assert!(matches!(second, Settled::Unknown(_)), "{second:?}");
    drop(log);
    let writes = || {
        shim.arm(&Fault { kinds: WRITE, from: 0, upto: 0, ..fault });
        drop(open());
        shim.seen()
    };
    assert_eq!(writes(), 1, "the one that may not be on the disk");
    assert_eq!(writes(), 0, "and none that is");
    shim.disarm();
}

/// No test by itself: what the test below starts under the shim.
#[test]
fn child_whose_disk_fails() {
    let Some(shim) = Shim::of_this_process() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let scratch = Scratch::new();
    for syncing in [Syncing::Always, Syncing::Within(Duration::from_secs(3600))] {
        for way in ways() {
            let (on, mut runs) = (way.upto == 1, 0);
            for number in 1.. {
                let fault = Fault { from: number, upto: if on { FOR_EVER } else { number }, ..way };
                if syncing != Syncing::Always && fault.lose {
                    // Power loss may take what was answered, as configured.
                    break;
                }
                println!("{syncing:?} {fault:?}");
                let folder = scratch.join(FOLDER);
                let mut answers = Answers::new();
                shim.arm(&fault);
                runtime.block_on(work(&folder, syncing, &mut answers));
                let failed = shim.failed();
                shim.disarm();
                runtime.block_on(is_as_answered(&folder, &answers));
                std::fs::remove_dir_all(&folder).unwrap();
                if failed == 0 {
                    break;
                }
                runs = number;
            }
            assert!(runs > 1 || (syncing != Syncing::Always && way.lose), "{way:?} never came to anything");
            println!("{runs} times, {way:?}");
        }
    }
    runtime.block_on(what_a_failed_sync_left_is_written_again(&shim, &scratch.join(FOLDER)));
    println!("all failed");
}

#[test]
fn whatever_operation_fails_the_log_keeps_what_it_answered() {
    let scratch = Scratch::new();
    let shim = Shim::new(&scratch.join("faults"));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["disk_faults::errors::child_whose_disk_fails", "--exact", "--nocapture", "--test-threads=1"])
        .envs(shim.environment())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let last: Vec<_> = said.lines().rev().take(3).collect();
    assert!(
        child.status.success() && said.contains("all failed"),
        "{last:?}\n{}",
        String::from_utf8_lossy(&child.stderr)
    );
}
