//! The disk under the running service: single failures of the embedded log's files, a full disk, a limit on the size of
//! files, a read-only folder, syncs that take long. Nothing is answered as done that isn't, what was is there once after
//! a restart, and until then the service says what is wrong.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Scratch;
use super::newsroom::Newsroom;
use super::shim::{EIO, ENOSPC, FOR_EVER, Fault, OPEN, READ, SYNC, Shim, WRITE};
use crate::harness::until;

/// How long an answer may take where nothing can be written any more.
const AT_ONCE: Duration = Duration::from_secs(3);

/// A file system of its own, in memory, with so much room.
struct Mount(PathBuf);

impl Mount {
    /// In the place of a folder, with what is in it; none where mounting isn't allowed.
    fn over(folder: &Path, options: &str) -> Option<Self> {
        let aside = folder.with_extension("aside");
        std::fs::rename(folder, &aside).unwrap();
        std::fs::create_dir(folder).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            println!("skipped: no file system may be mounted here");
            return None;
        }
        let mount = Self(folder.to_owned());
        let copied = Command::new("cp").arg("-a").arg(aside.join(".")).arg(folder).status().unwrap();
        assert!(copied.success());
        Some(mount)
    }

    fn make(&self, what: &str) {
        let options = format!("remount,{what}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// That the service says that its log takes nothing more, that readers get what there is, and that it is all there
/// after a restart; with the command whose outcome is unknown, sent again.
fn is_told_and_mended_by_a_restart(newsroom: &mut Newsroom, unknown: Option<&Value>) {
    let health = newsroom.health();
    assert!(health["problems"].as_array().unwrap().contains(&json!("log_stopped")), "{health:#}");
    assert!(health["log_stopped"].as_str().unwrap().contains("restart copydesk"), "{health:#}");
    assert_eq!(health["diverged"], json!(null));
    assert_eq!(newsroom.serving.get("ana", "/feed.json").0, 200);
    newsroom.is_shown();
    assert_eq!(newsroom.serving.terminate().code(), Some(0));
    newsroom.serving.start_again();
    if let Some(command) = unknown {
        let (status, answer) = newsroom.send("ana", command);
        assert_eq!(status, 200, "{answer}");
    }
    newsroom.is_as_answered();
    newsroom.verifies();
    assert_eq!(newsroom.health()["status"], "ok");
}

#[test]
fn after_any_failure_of_the_events_file_nothing_is_answered_until_a_restart() {
    let scratch = Scratch::new();
    let shim = Shim::new(&scratch.join("faults"));
    let mut newsroom = Newsroom::under(&shim);
    newsroom.publish("Before anything failed");
    let path = "log/streams/events";
    for (kinds, error, upto, lose) in [
        (WRITE, EIO, 1, false),
        (WRITE, ENOSPC, FOR_EVER, false),
        // After a failed sync the next one would say that all is well.
        (SYNC, EIO, 1, false),
        (SYNC, EIO, 1, true),
    ] {
        let fault = Fault { kinds, path, from: 1, upto, error, lose };
        println!("{fault:?}");
        shim.arm(&fault);
        let first = newsroom.draft("When it failed");
        let since = Instant::now();
        let (status, problem) = newsroom.send("ana", &first);
        assert_eq!((status, &problem["code"]), (503, &json!("outcome_unknown")), "{problem}");
        shim.disarm();
        for command in [&newsroom.draft("After it failed"), &first] {
            let (status, problem) = newsroom.send("ana", command);
            assert_eq!((status, &problem["code"]), (503, &json!("log_unavailable")), "{problem}");
        }
        assert!(since.elapsed() < AT_ONCE, "three answers took {:?}", since.elapsed());
        is_told_and_mended_by_a_restart(&mut newsroom, Some(&first));
    }
}

#[test]
fn after_a_failure_of_another_stream_its_own_work_waits_and_is_done_after_a_restart() {
    let scratch = Scratch::new();
    let shim = Shim::new(&scratch.join("faults"));
    let mut newsroom = Newsroom::under(&shim);
    for (stream, says) in [("wire", "wire_stopped"), ("checkpoints", "audit_stopped")] {
        shim.arm(&Fault {
            kinds: SYNC | WRITE,
            path: &format!("log/streams/{stream}"),
            from: 1,
            upto: 1,
            error: EIO,
            lose: true,
        });
        // Answered by the events alone.
        newsroom.publish(&format!("While {stream} fails"));
        until("it is said", || newsroom.health()[says] != json!(null));
        shim.disarm();
        is_told_and_mended_by_a_restart(&mut newsroom, None);
        until("its work is done", || {
            let health = newsroom.health();
            health["wire"]["waiting"] == json!(0) && health["audit"]["size"] == health["audit"]["leaves"]
        });
        newsroom.is_in_the_feed();
    }
}

#[test]
fn a_full_disk_costs_nothing_that_was_answered() {
    let mut newsroom = Newsroom::new();
    newsroom.publish("Before it was full");
    assert_eq!(newsroom.serving.terminate().code(), Some(0));
    let log = newsroom.serving.data().join("log");
    let Some(mount) = Mount::over(&log, "size=1m") else { return };
    newsroom.serving.start_again();
    let mut unknown = None;
    for number in 0..100 {
        let draft = newsroom.long_draft(&format!("Draft {number}"), 40_000);
        let (status, problem) = newsroom.send("ana", &draft);
        if status != 200 {
            assert_eq!((status, &problem["code"]), (503, &json!("outcome_unknown")), "{problem}");
            unknown = Some(draft);
            break;
        }
    }
    let unknown = unknown.expect("the disk is full at last");
    let (status, problem) = newsroom.send("ana", &newsroom.draft("One more"));
    assert_eq!((status, &problem["code"]), (503, &json!("log_unavailable")), "{problem}");
    // A restart doesn't make room, and does no harm.
    mount.make("size=8m");
    is_told_and_mended_by_a_restart(&mut newsroom, Some(&unknown));
    newsroom.serving.kill();
}

#[test]
fn a_limit_on_the_size_of_files_is_a_failed_write_and_no_sudden_end() {
    let mut newsroom = Newsroom::new();
    newsroom.publish("Before the limit");
    let limit = Command::new("prlimit")
        .args([format!("--pid={}", newsroom.serving.pid()), "--fsize=200000:unlimited".to_owned()])
        .status();
    if !limit.is_ok_and(|status| status.success()) {
        println!("skipped: there is no prlimit, or it may not");
        return;
    }
    let mut unknown = None;
    for number in 0..20 {
        let draft = newsroom.long_draft(&format!("Draft {number}"), 40_000);
        let (status, problem) = newsroom.send("ana", &draft);
        if status != 200 {
            assert_eq!((status, &problem["code"]), (503, &json!("outcome_unknown")), "{problem}");
            unknown = Some(draft);
            break;
        }
    }
    is_told_and_mended_by_a_restart(&mut newsroom, Some(&unknown.expect("the limit is met")));
}

#[test]
fn on_a_read_only_folder_it_does_not_start_and_says_why() {
    let mut newsroom = Newsroom::new();
    newsroom.publish("Before it was read-only");
    newsroom.serving.kill();
    let Some(mount) = Mount::over(&newsroom.serving.data(), "size=64m") else { return };
    mount.make("ro");
    let said = newsroom.refuses_to_start();
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(said.contains(newsroom.serving.data().to_str().unwrap()), "it names the folder: {said}");
    mount.make("rw");
    newsroom.serving.start_again();
    newsroom.is_as_answered();
    newsroom.serving.kill();
}

#[test]
fn on_a_folder_that_becomes_read_only_nothing_is_answered_until_a_restart() {
    const READ_ONLY: u32 = 30;
    let scratch = Scratch::new();
    let shim = Shim::new(&scratch.join("faults"));
    let mut newsroom = Newsroom::under(&shim);
    newsroom.publish("Before it was read-only");
    let (path, kinds) = ("/data/", WRITE | OPEN);
    shim.arm(&Fault { kinds, path, from: 1, upto: FOR_EVER, error: READ_ONLY, lose: false });
    let draft = newsroom.draft("While it is read-only");
    let (status, problem) = newsroom.send("ana", &draft);
    // The last answered position may have been written down before it, and failed: then nothing was.
    let codes = [json!("outcome_unknown"), json!("log_unavailable")];
    assert!(status == 503 && codes.contains(&problem["code"]), "{problem}");
    shim.disarm();
    is_told_and_mended_by_a_restart(&mut newsroom, Some(&draft));
}

#[test]
fn on_a_slow_disk_answers_come_late_and_are_right() {
    const SLOW_MS: u32 = 300;
    let scratch = Scratch::new();
    let shim = Shim::new(&scratch.join("faults"));
    let mut newsroom = Newsroom::under(&shim);
    newsroom.publish("While it was fast");
    shim.slow_syncs("log/streams/events", SLOW_MS);
    let since = Instant::now();
    let drafts: Vec<_> = (0..40).map(|number| newsroom.draft(&format!("Draft {number}"))).collect();
    let told = newsroom.send_at_once("ana", &drafts);
    let took = since.elapsed();
    assert!(took >= Duration::from_millis(u64::from(SLOW_MS)), "the shim slows it: {took:?}");
    // They go together: one by one they would take twelve seconds.
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert!(told.iter().all(|status| *status == 200), "{told:?}");
    shim.slow_syncs("", 0);
    newsroom.is_as_answered();
    assert_eq!(newsroom.health()["status"], "ok");
}

#[test]
fn a_log_that_can_not_be_read_for_a_while_is_read_again() {
    let scratch = Scratch::new();
    let shim = Shim::new(&scratch.join("faults"));
    let mut newsroom = Newsroom::under(&shim);
    let article = newsroom.publish("Before it could not be read");
    let path = "log/streams/events";
    shim.arm(&Fault { kinds: READ, path, from: 1, upto: FOR_EVER, error: EIO, lose: false });
    assert_eq!(newsroom.serving.get("audra", &format!("/v1/articles/{article}/history")).0, 503);
    // It is written and synced, so it is answered; it is folded once it can be read.
    let draft = newsroom.draft("While it can not be read");
    assert_eq!(newsroom.send("ana", &draft).0, 200);
    until("it is said", || newsroom.health()["fold_stopped"] != json!(null));
    assert_eq!(newsroom.health()["log_stopped"], json!(null), "nothing is damaged");
    shim.disarm();
    until("all is well again", || newsroom.health()["status"] == "ok");
    newsroom.is_as_answered();
    newsroom.verifies();
}
