//! What receivers of webhooks answer: any bytes, too many of them, or a byte now and then. An attempt comes to an end,
//! and to one of the outcomes that the sending knows.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use copydesk::deliver::letter::Letter;
use copydesk::deliver::post::{ATTEMPT, Outcome, Post};
use copydesk::deliver::{Key, Subscriber, Why};
use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use super::mutate::{Mutation, mutation};
use super::runner;

/// How many answers are tried.
const ANSWERS: u32 = 300;

/// What is answered, until the other side hangs up.
enum Say {
    /// These bytes, and the connection is closed.
    Once(Vec<u8>),
    /// These, and these again and again for ever.
    Ever(&'static [u8], &'static [u8]),
    /// A byte every tenth of a second, for ever.
    Drip,
}

const GOOD: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nffffffffffffffff\r\n",
    b"HTTP/1.0 200\r\nContent-Encoding: gzip\r\nContent-Length: 18446744073709551615\r\n\r\n\x1f\x8b\x08",
    b"",
];

fn attend(mut connection: TcpStream, say: Say) {
    // Enough of the request for the other side to have sent it all.
    let _ = connection.read(&mut [0; 4096]);
    let _ = connection.set_write_timeout(Some(Duration::from_secs(60)));
    match say {
        Say::Once(bytes) => {
            let _ = connection.write_all(&bytes);
        }
        Say::Ever(first, again) => {
            let again = again.repeat(1_000);
            let mut sent = connection.write_all(first);
            while sent.is_ok() {
                sent = connection.write_all(&again);
            }
        }
        Say::Drip => {
            let mut sent = connection.write_all(b"HTTP/1.1 200 OK\r\nA: ");
            while sent.is_ok() {
                std::thread::sleep(Duration::from_millis(100));
                sent = connection.write_all(b"a");
            }
        }
    }
}

/// Somebody who is sent messages, and hears from the test what to say.
fn receiver() -> (Subscriber, mpsc::Sender<Say>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let subscriber = Subscriber {
        name: "archive".to_owned(),
        url: format!("http://{}/hook", listener.local_addr().unwrap()),
        key: Key::new(&[7; 32]).unwrap(),
        section: None,
        enabled: true,
        from_start: true,
    };
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for (connection, say) in listener.incoming().map_while(Result::ok).zip(told) {
            std::thread::spawn(move || attend(connection, say));
        }
    });
    (subscriber, tell)
}

/// What comes of one attempt, on a connection of its own: what an earlier answer left in another isn't read for this one's.
fn sent(to: &Subscriber) -> Outcome {
    let letter = Letter {
        seq: 1,
        home: "world".to_owned(),
        time: chrono::Utc::now(),
        event: Uuid::nil(),
        log_seq: Some(1),
        article: Uuid::nil(),
        edition: Some(1),
        kind: "first".to_owned(),
        headers: vec![("Copydesk-Kind".to_owned(), "first".to_owned())],
        body: b"{}".to_vec().into(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    let outcome = runtime.block_on(Post::to(to).send(letter, 1_780_000_000));
    assert!(begun.elapsed() < ATTEMPT + Duration::from_secs(10), "it took {:?}", begun.elapsed());
    outcome
}

#[test]
fn whatever_a_receiver_answers_an_attempt_ends() {
    let (subscriber, tell) = receiver();
    for (answer, outcome) in [
        (GOOD[0], Outcome::Taken),
        (GOOD[1], Outcome::Taken),
        (GOOD[2], Outcome::Gone),
        (GOOD[3], Outcome::Failed(Why::Status(302))),
        (GOOD[4], Outcome::Taken),
    ] {
        tell.send(Say::Once(answer.to_vec())).unwrap();
        assert_eq!(sent(&subscriber), outcome, "{}", String::from_utf8_lossy(answer));
    }
    let (mut runner, seed) = runner(ANSWERS);
    let answers = (any::<Index>(), any::<Index>(), proptest::collection::vec(mutation(), 1..4));
    let result = runner.run(&answers, |(which, another, mutations): (Index, Index, Vec<Mutation>)| {
        let mut answer = which.get(GOOD).to_vec();
        mutations.iter().for_each(|mutation| mutation.apply(&mut answer, another.get::<&[u8]>(GOOD)));
        let says_taken = answer.windows(12).any(|part| part.starts_with(b"HTTP/1.") && part[9] == b'2');
        let shown = answer.escape_ascii().to_string();
        tell.send(Say::Once(answer)).unwrap();
        let outcome = sent(&subscriber);
        prop_assert!(says_taken || outcome != Outcome::Taken, "it took for an answer what was none: {shown}");
        Ok(())
    });
    if let Err(error) = result {
        panic!("COPYDESK_SEED={seed} repeats it: {error}");
    }
}

#[test]
fn a_receiver_that_never_stops_is_left_in_time() {
    let endless = [
        Say::Ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        Say::Ever(b"HTTP/1.1 200 OK\r\n", b"A: a\r\n"),
        Say::Ever(b"HTTP/1.1 200 OK\r\nA: ", b"aaaaaaaa"),
        Say::Ever(b"HTTP/1.1 200 OK\r\n\r\n", b"aaaaaaaa"),
        Say::Ever(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        Say::Ever(b"", b"\0"),
        Say::Drip,
    ];
    let attempts: Vec<_> = endless
        .into_iter()
        .map(|say| {
            std::thread::spawn(move || {
                let (subscriber, tell) = receiver();
                tell.send(say).unwrap();
                sent(&subscriber)
            })
        })
        .collect();
    let outcomes: Vec<_> = attempts.into_iter().map(|attempt| attempt.join().unwrap()).collect();
    assert!(
        matches!(outcomes[..3], [Outcome::Failed(_), Outcome::Failed(_), Outcome::Failed(_)]),
        "{outcomes:?}"
    );
    assert_eq!(outcomes[3..5], [Outcome::Taken, Outcome::Failed(Why::Status(500))]);
    assert_eq!(outcomes[6], Outcome::Failed(Why::Timeout));
}
