//! The server over real connections: what it waits for, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use copydesk::http::{Patience, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::house::House;

struct Served {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn served(house: &House, patience: Patience) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let until = async {
        let _ = stopped.await;
    };
    let task = tokio::spawn(serve(listener, Arc::clone(&house.gateway), patience, until));
    Served { address, stop, task }
}

/// Reads what comes up to the connection's end, or up to `mark`.
async fn read_to(stream: &mut TcpStream, mark: &str) -> String {
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&got).into_owned();
        if text.contains(mark) {
            return text;
        }
        match stream.read(&mut buffer).await.unwrap() {
            0 => return text,
            n => got.extend_from_slice(&buffer[..n]),
        }
    }
}

#[tokio::test]
async fn a_sender_that_writes_ten_megabytes_before_it_reads_finds_the_refusal() {
    let house = House::open().await;
    let served = served(&house, Patience::default()).await;
    for framing in ["Content-Length: 10485760\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let head = format!(
            "POST /v1/commands HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer token-of-ana\r\n{framing}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![b' '; 65_536];
        for _ in 0..160 {
            if framing.starts_with("Transfer") {
                stream.write_all(b"10000\r\n").await.unwrap();
            }
            stream.write_all(&piece).await.unwrap();
            if framing.starts_with("Transfer") {
                stream.write_all(b"\r\n").await.unwrap();
            }
        }
        let answer = read_to(&mut stream, "\"limit\":\"command\"").await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_and_a_connection_that_idles_are_closed() {
    let house = House::open().await;
    let patience = Patience { head: Duration::from_millis(50), ..Patience::default() };
    let served = served(&house, patience).await;
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost:").await.unwrap();
    let answer = read_to(&mut slow, "never").await;
    assert!(!answer.contains("200"), "{answer}");
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let answer = read_to(&mut idle, "never").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn at_the_end_what_is_under_way_finishes_and_nothing_new_is_taken() {
    let house = House::open().await;
    let clock = house.log.test_clock();
    // What was folded so far is written: from here on only the read waits for the clock.
    clock.advance(Duration::from_secs(1));
    crate::path::until("the fold written", || clock.next_waking().is_none().then_some(())).await;
    let served = served(&house, Patience::default()).await;
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_to(&mut idle, "\"in_flight\"").await;
    let mut waiting = TcpStream::connect(served.address).await.unwrap();
    let read =
        "GET /v1/articles?min_seq=99 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer token-of-ana\r\n\r\n";
    waiting.write_all(read.as_bytes()).await.unwrap();
    crate::path::until("the read under way", || clock.next_waking()).await;
    let command = house.gateway.in_flight.enter();

    served.stop.send(()).unwrap();
    crate::path::until("the end begun", || house.gateway.health.is_draining().then_some(())).await;
    assert!(TcpStream::connect(served.address).await.is_err(), "nothing new");
    assert_eq!(read_to(&mut idle, "never").await, "", "idle connections are closed");
    clock.advance(Duration::from_secs(5));
    let answer = read_to(&mut waiting, "never").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("behind"), "{answer}");
    assert!(!served.task.is_finished(), "a command is under way");
    drop(command);
    served.task.await.unwrap();
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let house = House::open().await;
    let patience = Patience { end: Duration::from_millis(20), ..Patience::default() };
    let served = served(&house, patience).await;
    let _command = house.gateway.in_flight.enter();
    served.stop.send(()).unwrap();
    served.task.await.unwrap();
}
