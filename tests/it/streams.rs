//! The streams of the real binary: thousands of readers, one who takes nothing, an instance that dies.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::harness::{Serving, send};
use crate::nats_server::NatsServer;

/// How long a reader waits for an event.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many readers follow at once.
const READERS: usize = 2000;

/// A reader of `/stream`, over a connection of its own.
struct Reader {
    connection: TcpStream,
    text: String,
}

impl Reader {
    async fn of(serving: &Serving, last: Option<u64>) -> Self {
        let address = serving.url().strip_prefix("http://").unwrap();
        let mut connection = TcpStream::connect(address).await.unwrap();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!("GET /stream HTTP/1.1\r\nHost: {address}\r\n{last}\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut reader = Self { connection, text: String::new() };
        reader.until("retry:").await;
        reader
    }

    /// Reads until this has come.
    async fn until(&mut self, wanted: &str) {
        let mut buffer = [0; 4096];
        while !self.text.contains(wanted) {
            let read = tokio::time::timeout(PATIENCE, self.connection.read(&mut buffer)).await;
            let read = read.unwrap_or_else(|_| panic!("no {wanted} came")).unwrap();
            assert!(read > 0, "the stream ended before {wanted} came");
            self.text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    }

    /// The ids of the events that came.
    fn ids(&self) -> Vec<u64> {
        self.text.lines().filter_map(|line| line.strip_prefix("id: ")?.trim().parse().ok()).collect()
    }
}

/// Publishes a story; its article and where the edition's event stands.
async fn publish(serving: &Serving, headline: &str) -> (String, u64) {
    let (url, headline) = (serving.url().to_owned(), headline.to_owned());
    let publish = move || {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let done = |actor: &str, command: Value| {
            let (status, answer) = send(&agent, &url, actor, &command).unwrap();
            assert_eq!(status, 200, "{answer}");
            answer
        };
        let data = json!({
            "slug": "a", "language": "en", "section": "world", "headline": headline, "markdown": "Words.",
        });
        let draft = done("ana", json!({"id": Uuid::new_v4(), "type": "draft", "data": data}));
        let mut last = 0;
        for (actor, kind) in [("ana", "submit"), ("eva", "approve"), ("pia", "publish")] {
            let command = json!({"id": Uuid::new_v4(), "type": kind, "article": draft["article"], "base": 1, "data": {}});
            last = done(actor, command)["seq"].as_u64().unwrap();
        }
        (draft["article"].as_str().unwrap().to_owned(), last)
    };
    tokio::task::spawn_blocking(publish).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_readers_hear_of_an_edition_whatever_one_of_them_does() {
    let serving = Serving::embedded();
    let idle = Reader::of(&serving, None).await;
    let mut readers = join_all((0..READERS).map(|_| Reader::of(&serving, None))).await;
    let (article, seq) = publish(&serving, "The first").await;
    join_all(readers.iter_mut().map(|reader| reader.until(&article))).await;
    assert!(readers.iter().all(|reader| reader.ids() == [seq]));
    let (status, metrics) = serving.get("audra", "/metrics");
    let expected = format!("copydesk_stream_followers {}", READERS + 1);
    assert!(status == 200 && metrics.contains(&expected), "{metrics}");
    drop((idle, readers));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_goes_on_at_another_instance_when_theirs_dies() {
    let server = NatsServer::start();
    let (mut one, other) = (Serving::on_nats(&server.url()), Serving::on_nats(&server.url()));
    let mut reader = Reader::of(&one, None).await;
    let (first, at) = publish(&one, "The first").await;
    reader.until(&first).await;
    one.kill();
    let (second, then) = publish(&other, "The second").await;
    let mut reader = Reader::of(&other, reader.ids().last().copied()).await;
    reader.until(&second).await;
    assert_eq!(reader.ids(), [then], "nothing twice, nothing missed after {at}");
    let mut all = Reader::of(&other, Some(0)).await;
    all.until(&second).await;
    assert_eq!(all.ids(), [at, then]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_stream_says_that_it_is_there() {
    let serving = Serving::embedded();
    Reader::of(&serving, None).await.until("\n:\n\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_readers_stops_when_it_is_told_to() {
    let mut serving = Serving::embedded();
    let mut reader = Reader::of(&serving, None).await;
    let status = tokio::task::spawn_blocking(move || serving.terminate()).await.unwrap();
    assert!(status.success());
    let mut rest = Vec::new();
    reader.connection.read_to_end(&mut rest).await.unwrap();
    assert!(String::from_utf8_lossy(&rest).ends_with("0\r\n\r\n"), "the stream ended whole");
}
