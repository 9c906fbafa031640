//! The door of NATS, the built program behind it: subjects, reply subjects, headers and bodies of any bytes, as the server
//! passes them on; and what others put on the streams of the log and the wire.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use uuid::Uuid;

use super::door::ARTICLE;
use super::mutate::{Mutation, mutation};
use super::{documents, runner};
use crate::harness::{Serving, until};
use crate::nats_server::NatsServer;

/// How many messages are sent.
const MESSAGES: u32 = 1_000;

/// The longest that an answer may be, in bytes.
const ANSWER_BYTES: usize = 64 * 1024;

/// What stands in an article that nobody of those who send may see.
const SECRET: &str = "CANARYWORD";

const HEADERS: &[&[u8]] = &[
    b"NATS/1.0\r\n\r\n",
    b"NATS/1.0\r\nNats-Msg-Id: \r\nNats-Msg-Id: x\r\nnats-msg-id: y\r\n\r\n",
    b"NATS/1.0\r\nNats-Expected-Last-Sequence: 18446744073709551616\r\nNats-Rollup: all\r\nNats-TTL: 1s\r\n\r\n",
    b"NATS/1.0\r\nNats-Batch-Id: x\r\nNats-Batch-Sequence: 1\r\nNats-Batch-Commit: 1\r\n\r\n",
    b"NATS/1.0\r\nCopydesk-Header-Order: 1,0,99999999999999999999\r\nB: 1\r\nA: 2\r\n more\r\n\r\n",
    b"NATS/1.0 503 No Responders\r\n\r\n",
    b"",
];

/// Those that end the client library's connection: the first for good, by a panic; the others until it is made again.
const POISON: &[&[u8]] = &[
    b"NATS/1.0\r\nA: x\ry\r\n\r\n",
    b"NATS/1.0\r\nA: \xff\r\n\r\n",
    b"NATS/1.0\r\nnone\r\n\r\n",
    b"NATS/1.0 abc\r\n\r\n",
    b"\xff",
];

/// A client that sends any bytes.
struct Raw {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    inbox: String,
    sent: usize,
}

impl Raw {
    fn connect(server: &NatsServer) -> Self {
        let stream = TcpStream::connect(server.url().strip_prefix("nats://").unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        let mut raw = Self { stream, reader, inbox: format!("_INBOX.{}", Uuid::new_v4().simple()), sent: 0 };
        let greeting = r#"CONNECT {"verbose":false,"headers":true,"no_responders":true}"#;
        write!(raw.stream, "{greeting}\r\nSUB {}.* 1\r\n", raw.inbox).unwrap();
        raw
    }

    /// The next reply subject of its own.
    fn reply(&mut self) -> Vec<u8> {
        self.sent += 1;
        format!("{}.{}", self.inbox, self.sent).into_bytes()
    }

    fn publish(&mut self, subject: &[u8], reply: &[u8], headers: &[u8], body: &[u8]) {
        let sizes = format!(" {} {}\r\n", headers.len(), headers.len() + body.len());
        let message = [b"HPUB ", subject, b" ", reply, sizes.as_bytes(), headers, body, b"\r\n"].concat();
        self.stream.write_all(&message).unwrap();
    }

    /// Headers and body of the next message that comes.
    fn next(&mut self) -> (String, Vec<u8>) {
        self.in_time().expect("an answer in time")
    }

    /// The same, if it comes before the reading times out.
    fn in_time(&mut self) -> Option<(String, Vec<u8>)> {
        loop {
            let mut line = String::new();
            assert!(self.reader.read_line(&mut line).ok()? > 0, "the server hung up");
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["PING"] => self.stream.write_all(b"PONG\r\n").unwrap(),
                ["-ERR", ..] => panic!("{line}"),
                ["MSG", .., bytes] => return Some((String::new(), self.bytes(bytes))),
                ["HMSG", .., headers, bytes] => {
                    let mut message = self.bytes(bytes);
                    let body = message.split_off(headers.parse().unwrap());
                    return Some((String::from_utf8_lossy(&message).into_owned(), body));
                }
                _ => {}
            }
        }
    }

    fn bytes(&mut self, count: &str) -> Vec<u8> {
        let mut bytes = vec![0; count.parse::<usize>().unwrap() + 2];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes.truncate(bytes.len() - 2);
        bytes
    }

    /// Sends a command as it should be, until it is answered; its answer.
    fn command(&mut self, who: &str, kind: &str, command: &Value) -> Value {
        let subject = format!("copydesk.command.{who}.{kind}");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let reply = self.reply();
            self.publish(subject.as_bytes(), &reply, b"NATS/1.0\r\n\r\n", command.to_string().as_bytes());
            let (headers, body) = self.next();
            if !headers.starts_with("NATS/1.0 503") {
                return serde_json::from_slice(&body).unwrap();
            }
            assert!(Instant::now() < deadline, "nobody takes commands any more");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn draft(&mut self, article: Uuid, words: &str) -> Value {
        let data = json!({"slug": "s", "language": "en", "headline": words, "section": "world",
            "blocks": [{"kind": "paragraph", "text": words}]});
        self.command("ana", "draft", &json!({"id": Uuid::new_v4(), "article": article, "data": data}))
    }
}

/// A service with an article that only a chief may see.
fn guarded(server: &NatsServer) -> (Serving, Raw) {
    let serving = Serving::on_nats(&server.url());
    let mut raw = Raw::connect(server);
    let article: Uuid = ARTICLE.parse().unwrap();
    assert_eq!(raw.draft(article, SECRET)["version"], 1);
    let restrict = json!({"id": Uuid::new_v4(), "article": article, "data": {"people": ["carl"]}});
    assert_eq!(raw.command("carl", "restrict", &restrict)["version"], 2);
    (serving, raw)
}

type Sent = (Index, Index, Index, Vec<Mutation>, [bool; 2]);

/// Subject, headers and body of a message.
fn message(sent: &Sent, commands: &[String]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (who, command, headers, mutations, broken) = sent;
    let headers = headers.get::<&[u8]>(HEADERS);
    let break_it = |bytes: &[u8], broken: bool| {
        let mut bytes = bytes.to_vec();
        if broken {
            mutations.iter().for_each(|mutation| mutation.apply(&mut bytes, headers));
        }
        bytes
    };
    let command = command.get(commands);
    let kind = serde_json::from_str::<Value>(command).unwrap()["type"].as_str().unwrap().to_owned();
    let who = who.get(&["ana", "eva", "chen", "pia", "desk", "nobody"]);
    let mut subject = break_it(format!("{who}.{kind}").as_bytes(), broken[0]);
    // Without what the server itself refuses, or the client library can't read.
    subject.retain(|byte| byte.is_ascii_graphic() && !b"*>".contains(byte));
    subject.truncate(1_000);
    subject.dedup_by(|next, before| (*next, *before) == (b'.', b'.'));
    let subject = subject.strip_prefix(b".").unwrap_or(&subject);
    let subject = subject.strip_suffix(b".").unwrap_or(subject);
    let subject = if subject.is_empty() { b"x" } else { subject };
    let mut body = break_it(command.as_bytes(), broken[1]);
    body.truncate(800_000);
    ([b"copydesk.command.".as_slice(), subject].concat(), headers.to_vec(), body)
}

#[test]
fn whatever_a_tool_sends_is_answered_shortly_and_changes_nothing_it_may_not() {
    let server = NatsServer::start();
    let (serving, raw) = guarded(&server);
    let before = serving.events().len();
    let mut commands = documents::of("command");
    commands.retain(|command| !command.contains(r#""type":"draft""#));
    let raw = RefCell::new(raw);
    let (mut runner, seed) = runner(MESSAGES);
    let index = any::<Index>;
    let mutations = proptest::collection::vec(mutation(), 1..4);
    let sent = (index(), index(), index(), mutations, any::<[bool; 2]>());
    let result = runner.run(&sent, |sent| {
        let (subject, headers, body) = message(&sent, &commands);
        let mut raw = raw.borrow_mut();
        let reply = raw.reply();
        raw.publish(&subject, &reply, &headers, &body);
        let (headers, body) = raw.next();
        let text = String::from_utf8_lossy(&body).into_owned();
        prop_assert!(
            body.len() < ANSWER_BYTES && !text.contains(SECRET),
            "{} bytes: {:.200}",
            body.len(),
            text
        );
        // A subject with more or fewer tokens is nobody's: the server says so.
        let tokens = subject.split(|byte| *byte == b'.').count();
        if tokens == 4 {
            let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
            prop_assert!(
                problem["status"].as_u64().is_some_and(|s| (400..500).contains(&s)),
                "{headers}{text:.300}"
            );
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("COPYDESK_SEED={seed} repeats it: {error}");
    }
    assert_eq!(serving.events().len(), before, "nothing was written");
    assert_eq!(raw.borrow_mut().draft(Uuid::new_v4(), "After all that.")["version"], 1);
    let said = serving.said();
    assert!(!said.contains("a fault of its own") && !said.contains(SECRET), "{said}");
    assert!(!said.contains("event=disconnected"), "a message cut its connection: {said}");
}

#[test]
fn a_reply_subject_that_is_no_inbox_and_none_at_all_get_no_answer_and_decide_nothing() {
    let server = NatsServer::start();
    let (serving, mut raw) = guarded(&server);
    let before = serving.events().len();
    let data = json!({"slug": "s", "language": "en", "headline": "Never.", "section": "world"});
    let draft = json!({"id": Uuid::new_v4(), "data": data}).to_string();
    let subject = b"copydesk.command.ana.draft";
    let replies: [&[u8]; 5] =
        [b"", b"copydesk.event.desk", b"$JS.API.STREAM.DELETE.COPYDESK_EVENTS", b"_INBOX.a..b", b"_INBOX.*"];
    for reply in replies {
        raw.publish(subject, reply, HEADERS[0], draft.as_bytes());
    }
    assert_eq!(raw.draft(Uuid::new_v4(), "Answered.")["version"], 1);
    assert_eq!(serving.events().len(), before + 1);
}

#[test]
fn what_others_put_on_the_streams_is_passed_over_and_the_service_starts_again() {
    let server = NatsServer::start();
    let (mut serving, mut raw) = guarded(&server);
    let pieces: Vec<&[u8]> = HEADERS.iter().copied().filter(|block| !block.is_empty()).collect();
    // JetStream answers each: so they are there when the next thing is done.
    for (number, headers) in pieces.iter().enumerate() {
        let (of_event, of_wire) = (Uuid::from_u128(number as u128 + 100), format!("copydesk.wire.x{number}"));
        let subjects = [format!("copydesk.event.{of_event}").into_bytes(), of_wire.into_bytes()];
        for subject in subjects {
            let reply = raw.reply();
            raw.publish(&subject, &reply, headers, b"{\"foreign\": 1}");
            raw.next();
        }
    }
    let shows = |serving: &Serving, words: &str| {
        until("what is published is on the page", || serving.get("carl", "/feed.json").1.contains(words));
    };
    assert_eq!(raw.draft(Uuid::new_v4(), "While it runs.")["version"], 1);
    crate::audit::publish(serving.url(), "Published beside them");
    shows(&serving, "Published beside them");
    assert!(serving.terminate().success());
    serving.start_again();
    crate::audit::publish(serving.url(), "Published after them");
    shows(&serving, "Published beside them");
    shows(&serving, "Published after them");
    assert_eq!(serving.get("carl", "/readyz").0, 200);
    let said = serving.said();
    assert!(!said.contains("a fault of its own") && !said.contains("event=disconnected"), "{said}");
}

/// Each ends the connection that answers, and nothing else: others' commands are answered by the next one, HTTP goes on,
/// and so does the log, which has connections of its own.
#[test]
fn a_command_that_the_client_library_can_not_read_ends_its_connection_alone() {
    let server = NatsServer::start();
    let (serving, mut raw) = guarded(&server);
    let data = json!({"slug": "s", "language": "en", "headline": "Never.", "section": "world"});
    let draft = json!({"id": Uuid::new_v4(), "data": data}).to_string();
    for headers in POISON {
        let reply = raw.reply();
        raw.publish(b"copydesk.command.ana.draft", &reply, headers, draft.as_bytes());
        let command = json!({"id": Uuid::new_v4(), "article": Uuid::new_v4(), "data": data}).to_string();
        until("the next command is answered", || {
            // What was sent while no connection was there to take it is lost: its sender asks again.
            let mut again = Raw::connect(&server);
            again.stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let reply = again.reply();
            again.publish(b"copydesk.command.ana.draft", &reply, HEADERS[0], command.as_bytes());
            let answer = again.in_time().and_then(|(_, body)| serde_json::from_slice::<Value>(&body).ok());
            answer.is_some_and(|answer| answer["version"] == 1)
        });
        crate::audit::publish(serving.url(), "Published beside it");
    }
    assert_eq!(serving.get("carl", "/readyz").0, 200);
}
