//! `verify` finds what was done to a log, and says where.

use std::process::{Command, Output};
use std::sync::Arc;

use bytes::Bytes;
use copydesk::audit::verify::{Report, Sources, verify};
use copydesk::audit::{Checkpoint, Key};
use copydesk::log::memory::MemoryLog;
use copydesk::log::segments::Options;
use copydesk::log::{Content, Expect, Log, Message, Stream};
use copydesk::service::open_embedded_log;
use futures::FutureExt;
use serde_json::{Value, json};

use super::{done, publish};
use crate::harness::{Serving, token};

/// A stream's messages, to be changed.
type Messages = Vec<Message>;

/// What a newsroom left: two stories, one of them corrected and withdrawn.
struct Left {
    serving: Serving,
    key: String,
    events: Messages,
    wire: Messages,
    checkpoints: Messages,
}

async fn all(stream: Arc<dyn Stream>) -> Messages {
    let mut messages = Vec::new();
    for seq in 1..=stream.end().await.unwrap() {
        let entry = stream.get(seq).await.unwrap().unwrap();
        let Content::Message { headers, body } = entry.content else { panic!("erased") };
        messages.push(Message { subject: entry.subject, id: format!("m{seq}"), headers, body });
    }
    messages
}

async fn left() -> Left {
    let mut serving = Serving::embedded();
    let url = serving.url().to_owned();
    tokio::task::spawn_blocking(move || {
        publish(&url, "The river rises");
        let article = publish(&url, "The dam holds");
        let set = json!({"set": {"headline": "The dam broke"}});
        done(&url, "ana", json!({"type": "edit", "article": article, "base": 1, "data": set}));
        done(&url, "eva", json!({"type": "approve", "article": article, "base": 2}));
        let note = json!({"kind": "correction", "note": "It broke."});
        done(&url, "pia", json!({"type": "publish", "article": article, "base": 2, "data": note}));
        done(&url, "pia", json!({"type": "withdraw", "article": article, "data": {"notice": "Gone."}}));
    })
    .await
    .unwrap();
    let key = serving.get("ana", "/audit/key").1.trim().to_owned();
    super::Auditor::new(&serving).sees(serving.url(), 13);
    assert!(serving.terminate().success());
    let log = open_embedded_log(&serving.data(), Options::default()).unwrap();
    let checkpoints = log.stream("checkpoints").await.unwrap();
    let (events, wire, checkpoints) =
        (all(log.events()).await, all(log.wire()).await, all(checkpoints).await);
    assert_eq!((events.len(), wire.len()), (13, 4));
    Left { serving, key, events, wire, checkpoints }
}

async fn fill(stream: Arc<dyn Stream>, messages: &[Message]) {
    for (at, message) in messages.iter().enumerate() {
        stream.try_append(message, Expect::Stream(at as u64)).await.unwrap();
    }
}

impl Left {
    async fn sources(
        &self,
        events: &[Message],
        wire: &[Message],
        checkpoints: &[Message],
    ) -> Sources<'static> {
        let log: Arc<dyn Log> = Arc::new(MemoryLog::new(7));
        fill(log.events(), events).await;
        fill(log.wire(), wire).await;
        fill(log.stream("checkpoints").await.unwrap(), checkpoints).await;
        Sources { log, store: None, key: self.key.clone(), against: Vec::new() }
    }

    async fn report(&self, events: &[Message], wire: &[Message], checkpoints: &[Message]) -> Report {
        verify(&self.sources(events, wire, checkpoints).await, |_, _| {}).await.unwrap()
    }

    /// What is found of a log to which these are appended while its events are read.
    async fn while_read(&self, sources: Sources<'_>, events: &[Message], wire: &[Message]) -> Report {
        let mut is_read = false;
        let report = verify(&sources, |_, _| {
            if !std::mem::replace(&mut is_read, true) {
                for (stream, messages) in [(sources.log.events(), events), (sources.log.wire(), wire)] {
                    for message in messages {
                        let end = stream.end().now_or_never().unwrap().unwrap();
                        let appended = stream.try_append(message, Expect::Stream(end)).now_or_never();
                        appended.unwrap().unwrap();
                    }
                }
            }
        });
        let report = report.await.unwrap();
        assert!(is_read);
        report
    }

    /// What is found where one event's JSON is another.
    async fn with_event(&self, seq: usize, change: impl Fn(&mut Value)) -> Vec<String> {
        let mut events = self.events.clone();
        let body = &mut events[seq - 1].body;
        let mut event: Value = serde_json::from_slice(body).unwrap();
        change(&mut event);
        *body = Bytes::from(event.to_string());
        found(&self.report(&events, &self.wire, &[]).await)
    }
}

fn found(report: &Report) -> Vec<String> {
    let line = |fault: &copydesk::audit::verify::Fault| {
        format!("{} {}: {}", fault.about.name(), fault.seq.unwrap_or_default(), fault.what)
    };
    report.faults.iter().map(line).collect()
}

fn is_in(faults: &[String], line: &str) {
    assert!(faults.iter().any(|fault| fault.starts_with(line)), "{line:?} is not in {faults:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_to_a_log_is_found_where_it_is() {
    let left = left().await;
    let report = left.report(&left.events, &left.wire, &left.checkpoints).await;
    assert_eq!(found(&report), Vec::<String>::new());
    assert_eq!((report.events, report.articles, report.editions, report.wire), (13, 2, 4, 4));
    assert!(report.checkpoints > 0);

    // A word in the log is another: everything that was signed over it says so, and so does what readers got.
    let faults = left
        .with_event(2, |event| {
            *event.pointer_mut("/data/change/fields/headline/0/text").unwrap() = json!("x")
        })
        .await;
    is_in(&faults, "event 5: the words that went out aren't those that it names");
    is_in(&faults, "event 5: its editiondigest isn't of what readers got");
    is_in(&faults, "event 5: its gate was shut: approval_stale");
    is_in(&faults, "wire 1: it isn't edition 1 as it was decided");
    let mut events = left.events.clone();
    events[1].body =
        Bytes::from(String::from_utf8_lossy(&events[1].body).replace("rises", "falls").into_bytes());
    let report = left.report(&events, &left.wire, &left.checkpoints).await;
    is_in(&found(&report), "checkpoint ");

    // What an event says of itself.
    let faults = left.with_event(5, |event| event["data"]["proof"]["approvals"] = json!([])).await;
    assert_eq!(faults, ["event 5: the approvals of its words aren't those that it names"]);
    let faults = left.with_event(5, |event| event["data"]["proof"]["version"] = json!(2)).await;
    assert_eq!(faults, ["event 5: its gate was judged on another version than the last"]);
    let faults = left.with_event(5, |event| event["data"]["proof"]["newsroom"] = json!(9)).await;
    assert_eq!(faults, ["event 5: its gate was judged under other rules than it was decided under"]);
    let faults = left.with_event(5, |event| event["deskversion"] = json!(9)).await;
    is_in(&faults, "event 5: the newsroom line has no such version");
    let faults = left.with_event(4, |event| event["command"] = event["id"].clone()).await;
    assert_eq!(faults, ["event 4: its id isn't of its command"]);
    let early = left.with_event(5, |event| event["time"] = json!("2020-01-01T00:00:00Z")).await;
    is_in(&early, "event 5: its time is before the last event's");
    // The rules, after the fact: two approvals were asked for.
    let faults = left.with_event(1, |event| event["data"]["rules"]["approvals"] = json!(2)).await;
    is_in(&faults, "event 5: its gate was shut: not_approved");

    // Events that are gone, or came from elsewhere.
    let mut events = left.events.clone();
    events.remove(3);
    let report = left.report(&events, &left.wire, &left.checkpoints).await;
    is_in(&found(&report), "event 4: it doesn't follow the article's line");
    let report = left.report(&left.events[..12], &left.wire[..3], &left.checkpoints).await;
    is_in(&found(&report), "checkpoint ");
    assert!(found(&report)[0].contains("signed over 13 events; the log has 12"), "{:?}", found(&report));

    // Of an edition that another build decided, or that doesn't follow its article's line, the message is known all the
    // same, and so are all after it.
    let other = left.with_event(9, |event| event["type"] = json!("copydesk.article.published.v2")).await;
    assert_eq!(other, Vec::<String>::new());
    let faults = left.with_event(9, |event| event["articleversion"] = json!(77)).await;
    is_in(&faults, "event 9: it doesn't follow the article's line");
    assert_eq!(faults.len(), 1, "{faults:?}");

    // The wire.
    let mut wire = left.wire.clone();
    wire[1].body = Bytes::from(String::from_utf8_lossy(&wire[1].body).replace("holds", "broke").into_bytes());
    let report = left.report(&left.events, &wire, &left.checkpoints).await;
    assert_eq!(found(&report), ["wire 2: it isn't edition 1 as it was decided"]);
    let mut wire = left.wire.clone();
    wire.remove(1);
    let faults = found(&left.report(&left.events, &wire, &[]).await);
    is_in(&faults, "wire 2: before it the edition of the event at 9 is missing");
    assert!(!faults.iter().any(|fault| fault.contains("no edition")), "{faults:?}");
    for (header, value, what) in [
        ("Copydesk-Kind", "withdrawal", "its Copydesk-Kind is withdrawal, and should be first"),
        ("Copydesk-Checkpoint-Size", "7777", "it names a checkpoint that was never signed"),
    ] {
        let mut wire = left.wire.clone();
        wire[1].headers.iter_mut().find(|(name, _)| name == header).unwrap().1 = value.to_owned();
        let report = left.report(&left.events, &wire, &left.checkpoints).await;
        assert_eq!(found(&report), [format!("wire 2: {what}")]);
    }
    let mut forged = left.checkpoints.clone();
    let note = String::from_utf8(forged[0].body.to_vec()).unwrap();
    let (text, signature) = note.trim_end().rsplit_once(' ').unwrap();
    // One character, behind the key's id, which is the first six.
    let other = if &signature[20..21] == "A" { "B" } else { "A" };
    forged[0].body = Bytes::from(format!("{text} {}{other}{}\n", &signature[..20], &signature[21..]));
    let report = left.report(&left.events, &left.wire, &forged).await;
    assert_eq!(found(&report), ["checkpoint 1: its signature doesn't hold"]);
    let mut wire = left.wire.clone();
    wire.push(wire[3].clone());
    let report = left.report(&left.events, &wire, &[]).await;
    assert_eq!(found(&report), ["wire 5: the edition of the event at 13 stands further up already"]);
    let mut wire = left.wire.clone();
    let seq = wire[1].headers.iter_mut().find(|(name, _)| name == "Copydesk-Seq").unwrap();
    seq.1 = "7777".to_owned();
    let report = left.report(&left.events, &wire, &[]).await;
    assert_eq!(found(&report), ["wire 2: its Copydesk-Seq is 7777, and should be 9"]);
    let report = left.report(&left.events, &left.wire[..3], &[]).await;
    assert!(report.holds() && report.notes[0].contains("lacks the last 1 edition"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_while_a_log_is_verified_is_no_fault() {
    let left = left().await;
    // The last event was the withdrawal.
    let sources = left.sources(&left.events[..12], &left.wire[..3], &[]).await;
    let report = left.while_read(sources, &left.events[12..], &left.wire[3..]).await;
    assert_eq!(found(&report), Vec::<String>::new());
    assert_eq!((report.events, report.wire, report.notes.len()), (12, 3, 0), "{:?}", report.notes);

    // Its event was there, and it came onto the wire with a checkpoint signed meanwhile.
    let mut late = left.wire[3].clone();
    late.headers.retain(|(name, _)| !name.starts_with("Copydesk-Checkpoint"));
    late.headers.push(("Copydesk-Checkpoint-Size".to_owned(), "14".to_owned()));
    let sources = left.sources(&left.events, &left.wire[..3], &left.checkpoints).await;
    let report = left.while_read(sources, &[], &[late]).await;
    assert_eq!(found(&report), Vec::<String>::new());
    assert_eq!((report.wire, report.notes.len()), (4, 0), "{:?}", report.notes);

    // What was on the wire before is of no event that came since; nor may what comes be anything at all.
    let sources = left.sources(&left.events[..12], &left.wire, &[]).await;
    let report = left.while_read(sources, &left.events[12..], &[]).await;
    assert_eq!(found(&report), ["wire 4: it is of no edition in the log"]);
    let sources = left.sources(&left.events, &left.wire[..3], &[]).await;
    let report = left.while_read(sources, &[], &left.wire[..1]).await;
    is_in(&found(&report), "wire 4: the edition of the event at 5 stands further up already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_erased_from_the_wire_that_no_redaction_names_is_found() {
    let left = left().await;
    let sources = left.sources(&left.events, &left.wire, &left.checkpoints).await;
    sources.log.wire().erase(2).await.unwrap();
    let report = verify(&sources, |_, _| {}).await.unwrap();
    assert_eq!(found(&report), ["wire 2: it was erased, and no redaction names it"]);
    assert!(report.faults[0].article.is_some());
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_copydesk")).arg("verify").args(arguments).output().unwrap()
}

fn says(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_verifies_a_folder_and_a_running_service() {
    let mut left = left().await;
    let data = left.serving.data();
    let data = data.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let newest = &left.checkpoints.last().unwrap().body;
    std::fs::write(&kept, newest).unwrap();
    let output = run(&["--data", data, "--against", kept.to_str().unwrap()]);
    assert!(output.status.success(), "{}", says(&output));
    assert!(
        says(&output).starts_with("Verified 13 events: 2 articles, 4 editions, 4 on the wire"),
        "{}",
        says(&output)
    );

    // A checkpoint of a future that this log never had, and one that someone else signed.
    let secret = [3; 32];
    let origin = Checkpoint::parse(newest).unwrap().origin;
    let forged = Key::new(&origin, &secret).unwrap().sign(13, [1; 32]).unwrap();
    std::fs::write(&kept, forged).unwrap();
    let output = run(&["--data", data, "--against", kept.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(says(&output).contains("isn't signed by"), "{}", says(&output));

    left.serving.start_again();
    let of_service = |actor: &str| run(&["--server", left.serving.url(), "--token", &token(actor), "--json"]);
    let output = of_service("audra");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["faults_found"].clone(), report["events"].clone()), (json!(0), json!(13)), "{report}");
    assert_eq!(of_service("ana").status.code(), Some(1), "reporters may not");

    // What is folded is other than the log: only a look at both can tell.
    assert!(left.serving.terminate().success());
    let store = copydesk::store::Store::open(&std::path::Path::new(data).join("state"), 1 << 20).unwrap().0;
    let tree = store.db().open_tree("fold").unwrap();
    let board = tree
        .scan_prefix(b"a")
        .filter_map(Result::ok)
        .find(|(_, value)| value.windows(5).any(|window| window == b"rises"));
    let (key, value) = board.expect("the article's words are there");
    let words = String::from_utf8_lossy(&value[8..]).replace("rises", "falls");
    let mut other = value[4..8].to_vec();
    other.extend_from_slice(words.as_bytes());
    let mut whole = crc32c::crc32c(&other).to_be_bytes().to_vec();
    whole.extend(other);
    tree.insert(key, whole).unwrap();
    store.flush().await.unwrap();
    drop(tree);
    drop(store);
    let output = run(&["--data", data]);
    assert_eq!(output.status.code(), Some(1), "{}", says(&output));
    assert!(says(&output).contains("the folded article isn't what its events fold to"), "{}", says(&output));
}
