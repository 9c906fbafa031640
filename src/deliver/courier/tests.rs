use std::cell::RefCell;
use std::future::{Ready, ready};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;

use super::*;
use crate::deliver::Key;
use crate::log::keys::Keys;
use crate::log::memory::MemoryLog;
use crate::log::{AppendError, Clock, Durability, Expect, Message, Stream};

/// How long a slow write of a page takes: shorter than the patience with it, and longer than a page is fresh.
const SLOW: Duration = Duration::from_secs(4);

/// Where nothing is sent.
const NOWHERE: &str = "http://localhost:1/";

thread_local! {
    /// When the page was last written, as its writer began, and how old it was as each attempt began.
    static BEGUN: RefCell<Option<Instant>> = const { RefCell::new(None) };
    static AGES: RefCell<Vec<Duration>> = const { RefCell::new(Vec::new()) };
}

/// A log of which one write of a key is slow.
#[derive(Debug)]
struct Slow(MemoryLog, Arc<AtomicBool>);

#[async_trait]
impl Log for Slow {
    fn events(&self) -> Arc<dyn Stream> {
        self.0.events()
    }
    fn wire(&self) -> Arc<dyn Stream> {
        self.0.wire()
    }
    async fn stream(&self, name: &str) -> Result<Arc<dyn Stream>, LogError> {
        self.0.stream(name).await
    }
    fn keys(&self) -> Keys {
        Keys::new(Arc::new(SlowKeys(self.0.keys().stream(), Arc::clone(&self.1))), self.clock())
    }
    fn identity(&self) -> Uuid {
        self.0.identity()
    }
    fn clock(&self) -> Arc<dyn Clock> {
        self.0.clock()
    }
    async fn skew(&self) -> Result<TimeDelta, LogError> {
        self.0.skew().await
    }
    fn durability(&self) -> Durability {
        self.0.durability()
    }
}

#[derive(Debug)]
struct SlowKeys(Arc<dyn Stream>, Arc<AtomicBool>);

#[async_trait]
impl Stream for SlowKeys {
    async fn try_append(&self, message: &Message, expect: Expect) -> Result<Seq, AppendError> {
        BEGUN.set(Some(Instant::now()));
        if self.1.swap(false, Ordering::Relaxed) {
            tokio::time::sleep(SLOW).await;
        }
        self.0.try_append(message, expect).await
    }
    async fn end(&self) -> Result<Seq, LogError> {
        self.0.end().await
    }
    async fn get(&self, seq: Seq) -> Result<Option<Entry>, LogError> {
        self.0.get(seq).await
    }
    async fn next_on(&self, subject: &str, after: Seq) -> Result<Option<Entry>, LogError> {
        self.0.next_on(subject, after).await
    }
    async fn all_on(&self, subject: &str, after: Seq) -> Result<Vec<Entry>, LogError> {
        self.0.all_on(subject, after).await
    }
    async fn last_on(&self, subject: &str) -> Result<Option<Entry>, LogError> {
        self.0.last_on(subject).await
    }
    async fn tail(&self, after: Seq) -> Result<BoxStream<'static, Result<Vec<Entry>, LogError>>, LogError> {
        self.0.tail(after).await
    }
    async fn erase(&self, seq: Seq) -> Result<(), LogError> {
        self.0.erase(seq).await
    }
    async fn erase_as(&self, seq: Seq, sha256: [u8; 32]) -> Result<(), LogError> {
        self.0.erase_as(seq, sha256).await
    }
}

fn attempt(_: &Courier, due: Due) -> Ready<(Due, Came)> {
    let age = BEGUN.with_borrow(|begun| begun.expect("the page was written").elapsed());
    AGES.with_borrow_mut(|ages| ages.push(age));
    ready((due, Came::Of(Outcome::Taken)))
}

async fn publish(log: &MemoryLog) {
    let event = Uuid::from_u128(7).to_string();
    let headers = vec![("Copydesk-Event".to_owned(), event)];
    let message = Message { subject: "world".to_owned(), id: "1".to_owned(), headers, body: "{}".into() };
    log.wire().try_append(&message, Expect::Stream(0)).await.unwrap();
}

/// And what would stop it.
fn courier(url: &str, log: Arc<dyn Log>) -> (Courier, watch::Sender<bool>) {
    let subscriber = Subscriber {
        name: "shop".to_owned(),
        url: url.to_owned(),
        key: Key::new(b"secret").unwrap(),
        section: None,
        enabled: true,
        from_start: true,
    };
    let (stop, stops) = watch::channel(false);
    (Courier::new(subscriber, log, Arc::default(), stops), stop)
}

/// Its holder may be waiting for a receiver that hangs: an attempt alone takes up to fifteen seconds.
#[tokio::test(start_paused = true)]
async fn a_page_is_taken_over_once_its_holder_has_written_nothing_for_the_lease() {
    let memory = MemoryLog::new(3);
    publish(&memory).await;
    let page = Page {
        holder: Uuid::from_u128(1),
        beat: 4,
        wake: Some(memory.clock().now()),
        full: false,
        ledger: Ledger::beginning(0),
    };
    let revision = page::write(&memory.keys(), "shop", 0, &page).await.unwrap();
    let (courier, _stop) = courier(NOWHERE, Arc::new(memory.handle()));
    let begun = Instant::now();
    let mut waiting = std::pin::pin!(courier.wait_for_turn());
    assert!(tokio::time::timeout(LEASE - LOOK_EVERY, &mut waiting).await.is_err());
    // It lives: from here on it is waited for anew.
    page::write(&memory.keys(), "shop", revision, &Page { beat: 5, ..page }).await.unwrap();
    let held = waiting.await.unwrap().unwrap();
    assert_eq!((held.page.holder, held.page.beat), (courier.me, 6));
    let waited = begun.elapsed();
    assert!((2 * LEASE - LOOK_EVERY..2 * LEASE + 2 * LOOK_EVERY).contains(&waited), "{waited:?}");
}

/// An attempt is a thread of its own, which goes on: whoever sends next would send beside it, and perhaps what is to
/// come after it.
#[tokio::test(start_paused = true)]
async fn a_turn_that_is_lost_ends_once_what_is_under_way_has_ended() {
    let memory = MemoryLog::new(3);
    publish(&memory).await;
    let receiver = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/", receiver.local_addr().unwrap());
    let (came, has_come) = tokio::sync::oneshot::channel();
    let (answer, answers) = std::sync::mpsc::channel();
    let receiving = std::thread::spawn(move || {
        let (mut connection, _) = receiver.accept().unwrap();
        came.send(()).unwrap();
        answers.recv().unwrap();
        connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    });
    let (courier, _stop) = courier(&url, Arc::new(memory.handle()));
    let mut turn = std::pin::pin!(courier.turn());
    tokio::select! {
        _ = &mut turn => panic!("it goes on"),
        came = has_come => came.unwrap(),
    }
    let (revision, page) = page::read(&memory.keys(), "shop").await.unwrap().unwrap();
    let taken = Page { holder: Uuid::from_u128(1), ..page };
    page::write(&memory.keys(), "shop", revision, &taken).await.unwrap();
    assert!(tokio::time::timeout(LEASE, &mut turn).await.is_err(), "nothing was answered yet");
    answer.send(()).unwrap();
    assert!(matches!(turn.await, Err(Halt::Lost)));
    receiving.join().unwrap();
}

/// By the time that it is written another instance may have taken the page over, or be about to: two would send.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_on_a_page_that_took_too_long_to_write() {
    let (memory, is_slow) = (MemoryLog::new(3), Arc::new(AtomicBool::new(false)));
    publish(&memory).await;
    let log = Arc::new(Slow(memory, Arc::clone(&is_slow)));
    let (courier, _stop) = courier(NOWHERE, log);
    let mut held = courier.wait_for_turn().await.unwrap().unwrap();
    tokio::time::advance(FRESH).await;
    is_slow.store(true, Ordering::Relaxed);
    let mut under_way = FuturesUnordered::new();
    let sending = courier.send(&mut held, &mut under_way, attempt);
    assert!(tokio::time::timeout(LEASE, sending).await.is_err(), "it goes on");
    assert!(!is_slow.load(Ordering::Relaxed), "the page was written anew, slowly");
    let ages = AGES.take();
    assert!(ages.len() == 1 && ages[0] < FRESH, "{ages:?}");
}

#[tokio::test]
async fn who_finds_the_page_of_one_that_died_takes_up_what_was_on_its_way() {
    let memory = MemoryLog::new(3);
    publish(&memory).await;
    let [(sending, _stop), (other, _stops)] = [(); 2].map(|()| courier(NOWHERE, Arc::new(memory.handle())));
    let mut held = sending.wait_for_turn().await.unwrap().unwrap();
    let article = Uuid::from_u128(7);
    held.ledger().read(1, Some(article));
    sending.write(&mut held, &BTreeSet::from([article])).await.unwrap();
    let (_, page) = page::read(&memory.keys(), "shop").await.unwrap().unwrap();
    assert!(other.has_work(&page).await.unwrap());
}

/// Keeps the page of a receiver that said at an address that it is gone.
async fn is_gone(memory: &MemoryLog, address: &str, holder: Uuid) {
    publish(memory).await;
    let mut ledger = Ledger::beginning(0);
    ledger.gone = Some(hex::encode(Sha256::digest(address)));
    let page = Page { holder, beat: 1, wake: None, full: true, ledger };
    page::write(&memory.keys(), "shop", 0, &page).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_page_of_one_that_died_is_taken_over_where_the_receiver_that_was_gone_has_another_address() {
    for (address, is_taken) in [("http://localhost:2/", true), (NOWHERE, false)] {
        let memory = MemoryLog::new(3);
        is_gone(&memory, address, Uuid::from_u128(1)).await;
        let (courier, _stop) = courier(NOWHERE, Arc::new(memory.handle()));
        let turn = tokio::time::timeout(2 * LEASE, courier.wait_for_turn()).await;
        assert_eq!(turn.is_ok(), is_taken, "gone at {address}");
    }
}

#[tokio::test]
async fn a_receiver_that_was_gone_is_sent_everything_at_another_address() {
    let memory = MemoryLog::new(3);
    is_gone(&memory, NOWHERE, Uuid::nil()).await;
    let receiver = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/", receiver.local_addr().unwrap());
    let (courier, _stop) = courier(&url, Arc::new(memory.handle()));
    tokio::select! {
        ended = courier.turn() => panic!("{ended:?}"),
        came = tokio::time::timeout(LEASE, receiver.accept()) => drop(came.unwrap().unwrap()),
    }
}

/// Whoever answers now may be behind whom it was read from.
#[tokio::test(start_paused = true)]
async fn a_message_that_the_wire_does_not_show_now_is_tried_again() {
    let memory = MemoryLog::new(3);
    let (courier, _stop) = courier(NOWHERE, Arc::new(memory.handle()));
    let mut held = courier.wait_for_turn().await.unwrap().unwrap();
    held.ledger().read(1, Some(Uuid::from_u128(7)));
    let now = memory.clock().now();
    let [due] = held.page.ledger.due(now, &BTreeSet::new())[..] else { panic!("one is due") };
    let (due, came) = courier.attempt(due).await;
    courier.settle(&mut held, due, came);
    assert_eq!(held.page.ledger.due(now, &BTreeSet::new()), [due]);
}
