//! The log on JetStream, against a real nats-server: the contract, and what only a server can do to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Client;
use async_trait::async_trait;
use bytes::Bytes;
use copydesk::log::clock::SystemClock;
use copydesk::log::jetstream::{JetStreamLog, Options};
use copydesk::log::{
    AppendError, Content, Durability, Expect, Log, LogError, Message, Seq, Settled, Stream, append,
};
use futures::StreamExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::log_contract::{
    DEADLINE, Harness, body_of, erased_with, log_contract, message, put, take_up_to, within,
};
use crate::nats_server::{NatsServer, Setup, connect};

fn options(prefix: &str) -> Options {
    Options { prefix: prefix.to_owned(), ..Options::default() }
}

async fn open(client: &Client, prefix: &str) -> JetStreamLog {
    JetStreamLog::open(client.clone(), options(prefix)).await.unwrap()
}

/// A log whose events go in batches where they wait for each other.
async fn open_batching(client: &Client, prefix: &str) -> JetStreamLog {
    let options = Options { durability: Durability::Always, ..options(prefix) };
    JetStreamLog::open(client.clone(), options).await.unwrap()
}

/// Asks until there is an answer that will do.
async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "it did not come before the deadline");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks the JetStream API, past the log.
async fn api(client: &Client, subject: &str, request: &Value) -> Value {
    let request = if request.is_null() { Bytes::new() } else { request.to_string().into() };
    let answer = client.request(format!("$JS.API.{subject}"), request).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

// ---- the contract

struct JetStreamHarness {
    server: NatsServer,
    log: Arc<JetStreamLog>,
    batching: bool,
}

impl JetStreamHarness {
    async fn start(batching: bool) -> Self {
        let server = NatsServer::with(&Setup { sync_always: batching, ..Setup::default() });
        let log = Self::opened(&server, "copydesk", batching).await;
        Self { server, log, batching }
    }

    async fn opened(server: &NatsServer, prefix: &str, batching: bool) -> Arc<JetStreamLog> {
        let client = server.client().await;
        Arc::new(if batching { open_batching(&client, prefix).await } else { open(&client, prefix).await })
    }
}

#[async_trait]
impl Harness for JetStreamHarness {
    fn log(&self) -> Arc<dyn Log> {
        Arc::clone(&self.log) as Arc<dyn Log>
    }
    async fn second(&self) -> Arc<dyn Log> {
        Self::opened(&self.server, "copydesk", self.batching).await
    }
    async fn other(&self) -> Arc<dyn Log> {
        Self::opened(&self.server, "another", self.batching).await
    }
    async fn reopen(self: Box<Self>) -> Option<Box<dyn Harness>> {
        let Self { mut server, log, batching } = *self;
        drop(log);
        server.kill();
        server.start_again();
        let log = Self::opened(&server, "copydesk", batching).await;
        Some(Box::new(Self { server, log, batching }))
    }
    async fn foreign(&self, subject: &str, body: Bytes) -> Seq {
        let client = self.server.client().await;
        let ack = client.request(format!("copydesk.event.{subject}"), body).await.unwrap();
        let ack: Value = serde_json::from_slice(&ack.payload).unwrap();
        ack["seq"].as_u64().unwrap()
    }
}

log_contract!(contract, Some(JetStreamHarness::start(false).await));
log_contract!(contract_in_batches, Some(JetStreamHarness::start(true).await));

// ---- how streams and servers have to be set up

/// The configuration that the service itself gives a stream of a prefix.
async fn own_config(client: &Client) -> Value {
    drop(open(client, "own").await);
    let info = api(client, "STREAM.INFO.OWN_EVENTS", &Value::Null).await;
    let mut config = info["config"].clone();
    config["metadata"].as_object_mut().unwrap().retain(|key, _| !key.starts_with("_nats"));
    config
}

#[tokio::test]
async fn a_stream_set_up_otherwise_is_refused_with_what_to_change() {
    let server = NatsServer::start();
    let client = server.client().await;
    let mut own = own_config(&client).await;
    // What takes batches may be no mirror and the like in the first place.
    own["allow_atomic"] = json!(false);
    api(&client, "STREAM.CREATE.SOURCE", &json!({"name": "SOURCE", "subjects": ["source"]})).await;
    let day: u64 = 86_400_000_000_000;
    let cases = [
        ("storage", json!({"storage": "memory"}), "storage is \"memory\"; it has to be \"file\""),
        ("retention", json!({"retention": "interest"}), "--retention=limits"),
        ("retention", json!({"retention": "workqueue"}), "retention is \"workqueue\""),
        ("subjects", json!({"subjects": ["PREFIX.event.>"]}), "--subjects='PREFIX.event.*'"),
        ("max_msgs", json!({"max_msgs": 1000}), "max_msgs is 1000; it has to be -1"),
        ("max_bytes", json!({"max_bytes": 1_000_000}), "--max-bytes=-1"),
        ("max_age", json!({"max_age": day}), "max_age is 86400000000000; it has to be 0"),
        ("max_msgs_per_subject", json!({"max_msgs_per_subject": 64}), "--max-msgs-per-subject=-1"),
        ("max_msg_size", json!({"max_msg_size": 1024}), "--max-msg-size=-1"),
        ("max_consumers", json!({"max_consumers": 3}), "max_consumers is 3"),
        ("discard", json!({"discard": "old"}), "--discard=new"),
        (
            "discard_new_per_subject",
            json!({"discard_new_per_subject": true, "max_msgs_per_subject": 5}),
            "discard_new_per_subject is true",
        ),
        ("no_ack", json!({"no_ack": true}), "no_ack is true; it has to be false"),
        ("duplicate_window", json!({"duplicate_window": 1_000_000_000}), "--dupe-window=2m"),
        ("deny_purge", json!({"deny_purge": false}), "--deny-purge"),
        ("deny_delete", json!({"deny_delete": true}), "the server doesn't let it be changed"),
        (
            "allow_rollup_hdrs",
            json!({"allow_rollup_hdrs": true, "deny_purge": false}),
            "allow_rollup_hdrs is true",
        ),
        ("first_seq", json!({"first_seq": 100}), "first_seq is 100"),
        ("mirror", json!({"mirror": {"name": "SOURCE"}, "subjects": null}), "mirror is"),
        ("sources", json!({"sources": [{"name": "SOURCE"}]}), "take sources out of its config"),
        ("republish", json!({"republish": {"src": ">", "dest": "leak.>"}}), "republish is"),
        (
            "subject_transform",
            json!({"subject_transform": {"src": "PREFIX.event.*", "dest": "PREFIX.event.x.{{wildcard(1)}}"}}),
            "subject_transform is",
        ),
        ("consumer_limits", json!({"consumer_limits": {"max_ack_pending": 5}}), "consumer_limits is"),
        ("allow_msg_ttl", json!({"allow_msg_ttl": true}), "allow_msg_ttl is true"),
        (
            "subject_delete_marker_ttl",
            json!({"subject_delete_marker_ttl": day, "allow_msg_ttl": true, "allow_rollup_hdrs": true, "deny_purge": false}),
            "subject_delete_marker_ttl is",
        ),
        (
            "allow_msg_counter",
            json!({"allow_msg_counter": true, "discard": "old"}),
            "allow_msg_counter is true",
        ),
        (
            "allow_msg_schedules",
            json!({"allow_msg_schedules": true, "allow_rollup_hdrs": true, "deny_purge": false, "discard": "old"}),
            "allow_msg_schedules is true",
        ),
        (
            "persist_mode",
            json!({"persist_mode": "async"}),
            "persist_mode is \"async\"; it has to be \"default\"",
        ),
        ("metadata", json!({"metadata": null}), "its metadata has no copydesk_log"),
        ("metadata", json!({"metadata": {"copydesk_log": "mine"}}), "which is no UUID"),
    ];
    for (number, (setting, change, said)) in cases.into_iter().enumerate() {
        let prefix = format!("t{number}");
        let name = format!("T{number}_EVENTS");
        let in_place = |text: &str| text.replace("PREFIX", &prefix);
        let mut config = own.clone();
        config["name"] = name.clone().into();
        config["subjects"] = json!([format!("{prefix}.event.*")]);
        let change: Value = serde_json::from_str(&in_place(&change.to_string())).unwrap();
        for (key, value) in change.as_object().unwrap() {
            config[key] = value.clone();
        }
        let made = api(&client, &format!("STREAM.CREATE.{name}"), &config).await;
        assert_eq!(made["error"], Value::Null, "{setting}: {config}");
        let Err(LogError::Unsuitable(why)) = JetStreamLog::open(client.clone(), options(&prefix)).await
        else {
            panic!("{setting} is let pass");
        };
        let said = in_place(said);
        assert!(why.contains(&said) && why.contains(&name), "{setting}: {why:?} does not say {said:?}");
        api(&client, &format!("STREAM.DELETE.{name}"), &Value::Null).await;
    }
}

#[tokio::test]
async fn a_sealed_stream_or_another_number_of_replicas_is_refused() {
    let server = NatsServer::start();
    let client = server.client().await;
    drop(open(&client, "copydesk").await);
    let three = Options { replicas: 3, ..options("copydesk") };
    let Err(LogError::Unsuitable(why)) = JetStreamLog::open(client.clone(), three.clone()).await else {
        panic!("one replica passes for three");
    };
    assert!(why.contains("num_replicas is 1; it has to be 3") && why.contains("nats.replicas"), "{why}");
    let new = Options { prefix: "new".to_owned(), ..three };
    let Err(LogError::Unsuitable(why)) = JetStreamLog::open(client.clone(), new).await else {
        panic!("one server keeps three replicas");
    };
    assert!(why.contains("can't be made with 3 replicas"), "{why}");
    let mut config = api(&client, "STREAM.INFO.COPYDESK_WIRE", &Value::Null).await["config"].clone();
    config["sealed"] = true.into();
    api(&client, "STREAM.UPDATE.COPYDESK_WIRE", &config).await;
    let Err(LogError::Unsuitable(why)) = JetStreamLog::open(client.clone(), options("copydesk")).await else {
        panic!("a sealed stream is let pass");
    };
    assert!(why.contains("stream COPYDESK_WIRE: sealed is true; it has to be false"), "{why}");
}

#[tokio::test]
async fn streams_of_two_logs_are_never_mixed() {
    let server = NatsServer::start();
    let client = server.client().await;
    let Err(LogError::Unsuitable(why)) =
        JetStreamLog::open(client.clone(), Options { create: false, ..options("copydesk") }).await
    else {
        panic!("there is nothing to open");
    };
    assert!(why.contains("COPYDESK_EVENTS is not there") && why.contains("nats.create"), "{why}");

    let first = open(&client, "copydesk").await.identity();
    assert_eq!(open(&client, "copydesk").await.identity(), first);
    api(&client, "STREAM.DELETE.COPYDESK_EVENTS", &Value::Null).await;
    let Err(LogError::Unsuitable(why)) = JetStreamLog::open(client.clone(), options("copydesk")).await else {
        panic!("a new log begins beside an old wire");
    };
    assert!(why.contains("COPYDESK_EVENTS is gone, and COPYDESK_WIRE"), "{why}");

    let second = open(&client, "other").await.identity();
    assert_ne!(first, second);
    let mut config = api(&client, "STREAM.INFO.OTHER_WIRE", &Value::Null).await["config"].clone();
    config["metadata"]["copydesk_log"] = first.to_string().into();
    api(&client, "STREAM.UPDATE.OTHER_WIRE", &config).await;
    let Err(LogError::Unsuitable(why)) = JetStreamLog::open(client.clone(), options("other")).await else {
        panic!("the wire of another log is taken");
    };
    assert!(why.contains(&first.to_string()) && why.contains(&second.to_string()), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_begin_a_log_at_once_begin_one_log() {
    let server = NatsServer::start();
    let client = server.client().await;
    let opened = futures::future::join_all((0..8).map(|_| open(&client, "copydesk"))).await;
    let identities: Vec<_> = opened.iter().map(Log::identity).collect();
    assert!(identities.iter().all(|identity| *identity == identities[0]), "{identities:?}");
}

#[tokio::test]
async fn a_server_that_takes_too_small_messages_or_has_no_jetstream_is_refused() {
    let setup = Setup { extra: "max_payload: 65536".to_owned(), ..Setup::default() };
    let server = NatsServer::with(&setup);
    let refused = JetStreamLog::open(server.client().await, options("copydesk")).await;
    assert!(
        matches!(&refused, Err(LogError::Unsuitable(why)) if why.contains("max_payload: 1MB")),
        "{refused:?}"
    );

    let accounts = "accounts { A { users: [{user: a, password: a}] } }\nno_auth_user: a".to_owned();
    let server = NatsServer::with(&Setup { extra: accounts, ..Setup::default() });
    let refused = JetStreamLog::open(server.client().await, options("copydesk")).await;
    assert!(matches!(&refused, Err(LogError::Unavailable(why)) if why.contains("JetStream")), "{refused:?}");
}

// ---- what a server's death does

/// Everything in a stream by its body, each with the positions where it stands.
async fn positions(stream: &Arc<dyn Stream>) -> HashMap<Vec<u8>, Vec<Seq>> {
    let end = until(async || stream.end().await.ok()).await;
    // A cluster that has just lost its leader may not make a consumer at the first try.
    let mut tail = until(async || stream.tail(0).await.ok()).await;
    let mut positions: HashMap<Vec<u8>, Vec<Seq>> = HashMap::new();
    for entry in take_up_to(&mut tail, 0, end).await {
        positions.entry(body_of(&entry).to_vec()).or_default().push(entry.seq);
    }
    positions
}

/// Many writers, each on its own subject, until it has written `each`; what became of every append.
fn write_much(
    stream: &Arc<dyn Stream>,
    writers: usize,
    each: usize,
) -> tokio::task::JoinSet<Vec<(String, Settled)>> {
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let stream = Arc::clone(stream);
        tasks.spawn(async move {
            let (subject, mut last, mut outcomes) = (format!("w{writer}"), 0, Vec::new());
            for number in 0..each {
                let body = format!("{writer}/{number}");
                let message = message(&subject, &body, body.clone());
                let settled = append(&*stream, &SystemClock, &message, Expect::Subject(last), DEADLINE).await;
                let end = match settled {
                    Settled::Written(seq) => {
                        last = seq;
                        false
                    }
                    // Nobody else writes on this subject.
                    Settled::Lost => panic!("{body} lost"),
                    // It can't go on from what it doesn't know.
                    _ => true,
                };
                outcomes.push((body, settled));
                if end {
                    break;
                }
            }
            outcomes
        });
    }
    tasks
}

/// That what is said of every append is what stands in the stream.
async fn check_outcomes(stream: &Arc<dyn Stream>, outcomes: Vec<(String, Settled)>) {
    let positions = positions(stream).await;
    for (body, settled) in outcomes {
        let found = positions.get(body.as_bytes()).cloned().unwrap_or_default();
        match settled {
            Settled::Written(seq) => assert_eq!(found, [seq], "{body}"),
            Settled::Unknown(_) => assert!(found.len() <= 1, "{body} stands at {found:?}"),
            other => assert_eq!(found, Vec::<Seq>::new(), "{body}: {other:?}"),
        }
    }
}

/// How many of a stream's messages came in batches.
async fn in_batches(server: &NatsServer) -> usize {
    let stream =
        async_nats::jetstream::new(server.client().await).get_stream("COPYDESK_EVENTS").await.unwrap();
    let (mut count, end) = (0, stream.cached_info().state.last_sequence);
    for seq in 1..=end {
        let message = stream.get_raw_message(seq).await.unwrap();
        count += usize::from(message.headers.get("Nats-Batch-Id").is_some());
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_goes_as_one_batch_and_each_message_learns_its_own_fate() {
    let server = NatsServer::with(&Setup { sync_always: true, ..Setup::default() });
    let log = open_batching(&server.client().await, "copydesk").await;
    let events = log.events();
    let outcomes = write_much(&events, 40, 10).join_all().await.into_iter().flatten().collect::<Vec<_>>();
    assert!(outcomes.iter().all(|(_, settled)| matches!(settled, Settled::Written(_))), "{outcomes:?}");
    assert_eq!(outcomes.len(), 400);
    check_outcomes(&events, outcomes).await;
    let batched = in_batches(&server).await;
    assert!(batched > 200, "only {batched} of 400 came in batches");

    // One that comes too late, one that was written before and one that is too large, among many that are right.
    let taken = put(&events, "taken", "by another").await;
    let written = put(&events, "written", "before").await;
    let send = |subject: String, body: Bytes| {
        let events = Arc::clone(&events);
        async move {
            let message = message(&subject, &format!("{subject}'s"), body);
            append(&*events, &SystemClock, &message, Expect::Subject(0), DEADLINE).await
        }
    };
    let others = (0..30).map(|n| send(format!("right{n}"), "right".into()));
    let others = others.chain((0..2).map(|n| send(format!("large{n}"), vec![b'x'; 2 << 20].into())));
    let (late, repeat, others) = futures::join!(
        send("taken".into(), "too late".into()),
        async {
            let again = message("written", &hex::encode(Sha256::digest("before")), "before");
            append(&*events, &SystemClock, &again, Expect::Subject(0), DEADLINE).await
        },
        futures::future::join_all(others),
    );
    assert_eq!((late, repeat), (Settled::Lost, Settled::Written(written)));
    let (right, large) = others.split_at(30);
    assert!(
        right.iter().all(|settled| matches!(settled, Settled::Written(seq) if *seq > taken)),
        "{right:?}"
    );
    assert!(large.iter().all(|settled| matches!(settled, Settled::Refused(_))), "{large:?}");
    assert_eq!(events.end().await.unwrap(), 400 + 2 + 30, "nothing was written twice");

    // A batch whose answer was lost, as a server's end leaves it: all of it comes again, with more.
    let again: Vec<_> =
        (0..60).map(|n| message(&format!("many{n}"), &format!("many{n}'s"), "many")).collect();
    let append_all = async |messages: &[Message]| {
        let each = messages.iter().map(|message| {
            append(&*events, &SystemClock, message, Expect::Subject(0), Duration::from_secs(5))
        });
        futures::future::join_all(each).await
    };
    let first = append_all(&again[..40]).await;
    let second = append_all(&again).await;
    assert_eq!(&second[..40], &first[..]);
    assert!(second.iter().all(|settled| matches!(settled, Settled::Written(_))), "{second:?}");
    assert_eq!(events.end().await.unwrap(), 400 + 2 + 30 + 60, "nothing was written twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_many_appends_loses_and_doubles_nothing() {
    kill_under_appends(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_batches_loses_and_doubles_nothing() {
    kill_under_appends(true).await;
}

async fn kill_under_appends(batching: bool) {
    let mut server = NatsServer::with(&Setup { sync_always: batching, ..Setup::default() });
    let log = JetStreamHarness::opened(&server, "copydesk", batching).await;
    let events = log.events();
    let mut tail = events.tail(0).await.unwrap();
    let mut writers = write_much(&events, 48, 40);
    for killed_at in [200, 800] {
        until(async || events.end().await.ok().filter(|end| *end >= killed_at)).await;
        server.kill();
        server.start_again();
    }
    let mut outcomes = Vec::new();
    while let Some(part) = writers.join_next().await {
        outcomes.extend(part.unwrap());
    }
    let written = outcomes.iter().filter(|(_, settled)| matches!(settled, Settled::Written(_))).count();
    assert!(written > outcomes.len() / 2, "only {written} of {} were written", outcomes.len());
    check_outcomes(&events, outcomes).await;
    // A tail that was there all the time has missed nothing.
    let end = events.end().await.unwrap();
    assert_eq!(take_up_to(&mut tail, 0, end).await.len() as Seq, end);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_goes_on_over_reconnects_without_a_gap() {
    const ROUND: Seq = 30;
    let mut server = NatsServer::with(&Setup { sync_always: true, ..Setup::default() });
    let log = open(&server.client().await, "copydesk").await;
    let events = log.events();
    let mut tail = events.tail(0).await.unwrap();
    for round in 0..4 {
        for last in round * ROUND..(round + 1) * ROUND {
            let message = message("a", &last.to_string(), last.to_string());
            let settled = append(&*events, &SystemClock, &message, Expect::Stream(last), DEADLINE).await;
            assert_eq!(settled, Settled::Written(last + 1));
        }
        for entry in take_up_to(&mut tail, round * ROUND, (round + 1) * ROUND).await {
            assert_eq!(*body_of(&entry), (entry.seq - 1).to_string());
        }
        server.kill();
        server.start_again();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_notices_that_the_server_lost_what_it_had_acknowledged() {
    // After the loss the log is shorter; or as long again, with others in the place.
    for others in [0, 5] {
        let mut server = NatsServer::start();
        let client = server.client().await;
        let log = open(&client, "copydesk").await;
        let events = log.events();
        for number in 1..=5 {
            put(&events, "a", format!("kept {number}")).await;
        }
        let copy = server.store().with_extension("copy");
        server.kill();
        copy_folder(&server.store(), &copy);
        server.start_again();
        until(async || events.end().await.ok()).await;
        for number in 1..=5 {
            put(&events, "a", format!("lost {number}")).await;
        }
        let mut tail = events.tail(0).await.unwrap();
        take_up_to(&mut tail, 0, 10).await;
        server.kill();
        std::fs::remove_dir_all(server.store()).unwrap();
        copy_folder(&copy, &server.store());
        server.start_again();
        assert_eq!(until(async || events.end().await.ok()).await, 5);
        for number in 0..others {
            put(&events, "a", format!("other {number}")).await;
        }
        let answer = within(tail.next()).await;
        assert!(matches!(answer, Some(Err(LogError::LostTail(_)))), "{answer:?}");
        assert!(within(tail.next()).await.is_none(), "a tail ends with its error");
    }
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy_folder(&item.path(), &target);
        } else {
            std::fs::copy(item.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn without_a_server_nothing_is_written_and_nothing_hangs() {
    let mut server = NatsServer::start();
    let log = open(&server.client().await, "copydesk").await;
    let events = log.events();
    server.kill();
    let error =
        until(async || events.try_append(&message("a", "1", "one"), Expect::Subject(0)).await.err()).await;
    assert!(matches!(error, AppendError::Unavailable(_) | AppendError::Unknown(_)), "{error:?}");
    let error = events.try_append(&message("a", "1", "one"), Expect::Subject(0)).await;
    assert!(matches!(error, Err(AppendError::Unavailable(_))), "{error:?}");
    assert!(matches!(events.end().await, Err(LogError::Unavailable(_))));
    assert!(matches!(events.get(1).await, Err(LogError::Unavailable(_))));
    assert!(matches!(log.skew().await, Err(LogError::Unavailable(_))));
}

// ---- repeats and erasure

#[tokio::test]
async fn a_repeat_is_known_by_its_bytes_and_not_by_its_id() {
    let server = NatsServer::start();
    let events = open(&server.client().await, "copydesk").await.events();
    let first = message("a", "the id", "one");
    assert_eq!(events.try_append(&first, Expect::Subject(0)).await.unwrap(), 1);
    // The expectations hold, so that the server gets to compare the ids.
    assert_eq!(events.try_append(&first, Expect::Subject(1)).await.unwrap(), 1);
    for other in
        [message("a", "the id", "two"), Message { headers: vec![("H".into(), "v".into())], ..first.clone() }]
    {
        let answer = events.try_append(&other, Expect::Subject(1)).await;
        assert!(matches!(answer, Err(AppendError::WrongExpectation)), "{answer:?}");
    }
    let answer = events.try_append(&message("b", "the id", "one"), Expect::Subject(0)).await;
    assert!(matches!(answer, Err(AppendError::WrongExpectation)), "{answer:?}");
    events.erase(1).await.unwrap();
    assert_eq!(events.try_append(&first, Expect::Stream(1)).await.unwrap(), 1);
    assert_eq!(events.end().await.unwrap(), 1);
}

#[tokio::test]
async fn an_erasure_is_known_to_every_instance_and_outlives_the_server() {
    let mut server = NatsServer::start();
    let client = server.client().await;
    let (log, elsewhere) = (open(&client, "copydesk").await, open(&client, "copydesk").await);
    let (events, others) = (log.events(), elsewhere.events());
    for body in ["one", "two", "three"] {
        put(&events, "a", body).await;
    }
    events.erase(3).await.unwrap();
    // The expectation that passes over it is refused once the news is there, which takes no question.
    let late = message("a", "late", "late");
    let erased = erased_with("three");
    assert_eq!(others.last_on("a").await.unwrap().unwrap().content, erased);
    let answer = others.try_append(&late, Expect::Subject(2)).await;
    assert!(matches!(answer, Err(AppendError::WrongExpectation)), "{answer:?}");
    server.kill();
    server.start_again();
    assert_eq!(until(async || others.end().await.ok()).await, 3, "the end counts what was erased");
    assert_eq!(others.try_append(&message("a", "4", "four"), Expect::Subject(3)).await.unwrap(), 4);
    assert_eq!(take_up_to(&mut others.tail(2).await.unwrap(), 2, 4).await[0].content, erased);
    // The bytes are gone from the disk as well.
    log.wire().end().await.unwrap();
    server.kill();
    assert!(!holds(&server.store().join("jetstream"), b"three"));
    assert!(holds(&server.store().join("jetstream"), b"four"));
}

/// A message that went without its record would be one that was deleted behind the service's back: its article is lost.
#[tokio::test]
async fn nothing_is_erased_of_which_no_record_can_be_written() {
    let server = NatsServer::start();
    let client = server.client().await;
    let events = open(&client, "copydesk").await.events();
    put(&events, "a", "one").await;
    api(&client, "STREAM.DELETE.COPYDESK_ERASED", &Value::Null).await;
    let answer = events.erase(1).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(body_of(&events.get(1).await.unwrap().unwrap()), "one");
}

#[tokio::test]
async fn news_of_an_erasure_reaches_other_instances_by_itself() {
    let server = NatsServer::start();
    let client = server.client().await;
    let (log, elsewhere) = (open(&client, "copydesk").await, open(&client, "copydesk").await);
    put(&log.events(), "a", "one").await;
    put(&log.events(), "a", "two").await;
    log.events().erase(2).await.unwrap();
    // Until it has heard, the instance would let this in: it is asked with a message that the stream's end bars.
    let events = elsewhere.events();
    until(async || {
        put(&log.events(), "b", uuid::Uuid::new_v4().to_string()).await;
        let before = events.end().await.unwrap();
        let answer = events.try_append(&message("a", "late", "late"), Expect::Subject(1)).await;
        match answer {
            Err(AppendError::WrongExpectation) => Some(()),
            other => panic!("{other:?} at {before}"),
        }
    })
    .await;
}

/// Whether a file in a folder has some bytes in it.
fn holds(folder: &std::path::Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|item| {
        let path = item.unwrap().path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        std::fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_delete_or_write_stops_nobody() {
    let server = NatsServer::start();
    let client = server.client().await;
    let events = open(&client, "copydesk").await.events();
    for number in 1..=5 {
        put(&events, "a", number.to_string()).await;
    }
    for seq in [1, 3, 4] {
        api(&client, "STREAM.MSG.DELETE.COPYDESK_EVENTS", &json!({ "seq": seq })).await;
    }
    // Not what a library would send: headers that are no text, no lines, no names.
    let garbage = b"NATS/1.0\r\n\xff\xfe: \xff\r\n: \r\nnonsense\r\n\r\n";
    raw_publish(&server, "copydesk.event.a", garbage, b"\x00{").await;
    raw_publish(&server, "copydesk.event.b", b"NATS/1.0 503 x\r\n\r\n", b"").await;
    raw_publish(&server, "copydesk.erased.event.2", b"NATS/1.0\r\nA: b\r\n\r\n", b"{\"seq\":2}").await;
    until(async || events.end().await.ok().filter(|end| *end == 7)).await;
    let entries = take_up_to(&mut events.tail(0).await.unwrap(), 0, 7).await;
    for entry in &entries {
        let there = events.get(entry.seq).await.unwrap().unwrap();
        assert_eq!((there.seq, &there.subject), (entry.seq, &entry.subject));
        if [1, 3, 4].contains(&entry.seq) {
            assert_eq!((&*entry.subject, &entry.content), ("", &Content::Erased { sha256: None }));
        }
    }
    assert_eq!(body_of(&entries[5]), "\0{");
    assert_eq!(events.all_on("a", 0).await.unwrap().len(), 3);
    assert_eq!(put(&events, "a", "after").await, 8);
    api(&client, "STREAM.MSG.DELETE.COPYDESK_EVENTS", &json!({ "seq": 8 })).await;
    // The last one, deleted: the tail comes to the end all the same.
    assert_eq!(take_up_to(&mut events.tail(6).await.unwrap(), 6, 8).await.len(), 2);
    assert_eq!(take_up_to(&mut events.tail(7).await.unwrap(), 7, 8).await.len(), 1);
}

/// Publishes bytes as they are, past any client library.
async fn raw_publish(server: &NatsServer, subject: &str, headers: &[u8], body: &[u8]) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = server.url();
    let mut socket = tokio::net::TcpStream::connect(address.trim_start_matches("nats://")).await.unwrap();
    let connect = "CONNECT {\"headers\":true,\"verbose\":false,\"pedantic\":false}\r\n";
    let line = format!("HPUB {subject} {} {}\r\n", headers.len(), headers.len() + body.len());
    let parts = [connect.as_bytes(), line.as_bytes(), headers, body, b"\r\nPING\r\n"];
    socket.write_all(&parts.concat()).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"PONG\r\n") {
        assert_ne!(
            within(socket.read_buf(&mut said)).await.unwrap(),
            0,
            "{}",
            String::from_utf8_lossy(&said)
        );
    }
}

#[tokio::test]
async fn a_long_line_is_read_whole_with_its_erased_events() {
    let server = NatsServer::start();
    let events = open(&server.client().await, "copydesk").await.events();
    for number in 0..100 {
        put(&events, if number % 2 == 0 { "a" } else { "b" }, number.to_string()).await;
    }
    for erased in [1, 41, 99] {
        events.erase(erased).await.unwrap();
    }
    let line = events.all_on("a", 0).await.unwrap();
    assert_eq!(
        line.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
        (1..100).step_by(2).collect::<Vec<_>>()
    );
    for entry in &line {
        match entry.seq {
            1 | 41 | 99 => assert_eq!(entry.content, erased_with((entry.seq - 1).to_string())),
            seq => assert_eq!(*body_of(entry), (seq - 1).to_string()),
        }
    }
    assert_eq!(events.all_on("a", 40).await.unwrap().len(), 30);
}

// ---- a cluster

/// The stream's leader among the servers, by number.
async fn leader(client: &Client, stream: &str) -> Option<usize> {
    let info = client.request(format!("$JS.API.STREAM.INFO.{stream}"), Bytes::new()).await.ok()?;
    let info: Value = serde_json::from_slice(&info.payload).ok()?;
    info["config"]["num_replicas"].as_u64()?;
    info["cluster"]["leader"].as_str()?.strip_prefix('n')?.parse().ok()
}

async fn open_cluster(client: &Client, batching: bool) -> JetStreamLog {
    let mut three = Options { replicas: 3, ..options("copydesk") };
    if batching {
        three.durability = Durability::Always;
    }
    until(async || match JetStreamLog::open(client.clone(), three.clone()).await {
        Ok(log) => Some(log),
        Err(error) => {
            println!("{error}");
            None
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_killed_under_many_appends_loses_and_doubles_nothing() {
    kill_the_leader(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_killed_under_batches_loses_and_doubles_nothing() {
    kill_the_leader(true).await;
}

async fn kill_the_leader(batching: bool) {
    let mut servers = NatsServer::cluster();
    let client = connect(&servers).await;
    let log = open_cluster(&client, batching).await;
    let events = log.events();
    let mut tail = events.tail(0).await.unwrap();
    let mut writers = write_much(&events, 32, 25);
    until(async || events.end().await.ok().filter(|end| *end >= 200)).await;
    let led = until(async || leader(&client, "COPYDESK_EVENTS").await).await;
    servers[led].kill();
    let mut outcomes = Vec::new();
    while let Some(part) = writers.join_next().await {
        outcomes.extend(part.unwrap());
    }
    servers[led].start_again();
    let written = outcomes.iter().filter(|(_, settled)| matches!(settled, Settled::Written(_))).count();
    assert!(written > outcomes.len() / 2, "only {written} of {} were written", outcomes.len());
    check_outcomes(&events, outcomes).await;
    let end = until(async || events.end().await.ok()).await;
    assert_eq!(take_up_to(&mut tail, 0, end).await.len() as Seq, end);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster_racing_writers_have_one_winner_and_a_repeat_its_first_answer() {
    let servers = NatsServer::cluster();
    let client = connect(&servers).await;
    let events = open_cluster(&client, false).await.events();
    let mut last = 0;
    for round in 0..20 {
        // Two writers, and the first one's message twice, at once.
        let (ours, theirs) = (format!("ours {round}"), format!("theirs {round}"));
        let (ours, theirs) = (message("a", &ours, ours.clone()), message("a", &theirs, theirs.clone()));
        let append = |message| append(&*events, &SystemClock, message, Expect::Subject(last), DEADLINE);
        let (one, again, other) = tokio::join!(append(&ours), append(&ours), append(&theirs));
        match (&one, &again, &other) {
            (Settled::Written(a), Settled::Written(b), Settled::Lost) if a == b => last = *a,
            (Settled::Lost, Settled::Lost, Settled::Written(c)) => last = *c,
            outcome => panic!("{outcome:?}"),
        }
    }
    assert_eq!(events.all_on("a", 0).await.unwrap().len(), 20);
    assert_eq!(events.end().await.unwrap(), 20);
    events.erase(last).await.unwrap();
    let next = message("a", "next", "next");
    let settled = append(&*events, &SystemClock, &next, Expect::Subject(last), DEADLINE).await;
    assert_eq!(settled, Settled::Written(21));
}

// ---- sizes

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_edition_fits_and_what_is_too_large_is_refused() {
    let server = NatsServer::start();
    let client = server.client().await;
    let wire = open(&client, "copydesk").await.wire();
    let headers: Vec<_> = (0..6).map(|n| (format!("Copydesk-{n}"), "v".repeat(64))).collect();
    let edition = Message { headers, ..message("world.asia", "1", vec![b'x'; 900 * 1024]) };
    for last in 0..12 {
        let edition = Message { id: last.to_string(), ..edition.clone() };
        assert_eq!(wire.try_append(&edition, Expect::Stream(last)).await.unwrap(), last + 1);
    }
    let whole = Content::Message { headers: edition.headers.clone(), body: edition.body.clone() };
    assert_eq!(wire.get(12).await.unwrap().unwrap().content, whole);
    for entry in take_up_to(&mut wire.tail(0).await.unwrap(), 0, 12).await {
        assert_eq!(entry.content, whole);
    }
    let large = message("world", "2", vec![b'x'; client.max_payload()]);
    let answer = wire.try_append(&large, Expect::Stream(12)).await;
    assert!(matches!(answer, Err(AppendError::Refused(_))), "{answer:?}");
    let dotted = open(&client, "copydesk").await.events();
    let answer = dotted.try_append(&message("a.b", "3", "x"), Expect::Subject(0)).await;
    assert!(matches!(answer, Err(AppendError::Refused(_))), "{answer:?}");
    assert_eq!(wire.end().await.unwrap(), 12);
}
