//! kill -9 at random moments, under load: of the service, of the NATS server, of one instance of two. Whatever was
//! answered is in the log once, every edition is on the wire once and in order, and the state is what a fresh fold of
//! the log gives.
//!
//! When what is killed is drawn by dice; `COPYDESK_SEED` throws them as in the run that printed it.

pub mod load;
mod truth;

use std::time::{Duration, Instant};

use uuid::Uuid;

use self::load::{Load, Way};
use self::truth::{Truth, gets_its_first_answer_again};
use crate::harness::Serving;
use crate::nats_server::{NatsServer, Setup};

/// How often something is killed in a run.
const KILLS: usize = 6;

/// How long the service may take to be ready again.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was folded is written into sled after about as long.
const WRITTEN_WITHIN_MS: u64 = 1000;

/// SplitMix64: small, and the same everywhere.
pub struct Dice(u64);

impl Dice {
    /// From `COPYDESK_SEED`, or another in each run. It is printed, for the one who looks into a run that failed.
    pub fn new() -> Self {
        let seed = std::env::var("COPYDESK_SEED").ok().map(|seed| seed.parse().unwrap());
        let seed = seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
        println!("COPYDESK_SEED={seed}");
        Self(seed)
    }

    /// Dice that go their own way from here.
    pub fn another(&mut self, number: u64) -> Self {
        Self(self.next() ^ number << 32)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.next() % sides
    }

    fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(
            [self.next().to_be_bytes(), self.next().to_be_bytes()].concat().try_into().unwrap(),
        )
        .into_uuid()
    }

    /// Returns at some moment: after some more answers, and then somewhere on the way to the next ones; now and then
    /// after so long that what was folded is written down.
    async fn moment(&mut self, load: &mut Load) {
        load.more(1 + self.roll(40)).await;
        let within_ms = if self.roll(4) == 0 { 2 * WRITTEN_WITHIN_MS } else { 20 };
        tokio::time::sleep(Duration::from_micros(self.roll(1000 * within_ms))).await;
    }
}

/// A server that loses nothing that it acknowledged, whatever ends it.
fn server() -> NatsServer {
    NatsServer::with(&Setup { sync_always: true, ..Setup::default() })
}

fn is_ready_again(serving: &Serving) {
    let deadline = Instant::now() + PATIENCE;
    while serving.get("audra", "/readyz").0 != 200 {
        assert!(Instant::now() < deadline, "it is not ready");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// That all is as it was answered, on a NATS server: seen past the service, by the instances that went through it
/// (from what they have written down, too), and by one that starts with nothing folded.
async fn all_is_as_it_was_answered(server: &NatsServer, load: Load, mut instances: Vec<Serving>) {
    let sent = load.end().await;
    let client = server.client().await;
    let truth = Truth::on_nats(&client).await;
    truth.has_exactly_what_was_answered(&sent);
    for serving in &instances {
        is_ready_again(serving);
        truth.is_what_readers_get(serving);
    }
    let fresh = Serving::on_nats(&server.url());
    truth.is_what_readers_get(&fresh);
    let folded_anew = truth.articles(&fresh);
    for serving in &mut instances {
        assert_eq!(truth.articles(serving), folded_anew, "state is the fold of the log");
        assert_eq!(serving.terminate().code(), Some(0));
        serving.start_again();
        assert_eq!(truth.articles(serving), folded_anew, "what is written down is the fold of the log");
        serving.kill();
    }
    gets_its_first_answer_again(&sent, &Way::nats(&server.url()).await).await;
    let after = Truth::on_nats(&client).await;
    assert_eq!(after.events.len(), truth.events.len(), "a repeated command adds nothing");
    after.has_each_edition_on_the_wire_once(&sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_killed_at_random_keeps_every_promise_on_nats() {
    let mut dice = Dice::new();
    let server = server();
    let mut serving = Serving::on_nats(&server.url());
    let mut load = Load::start(async || Way::nats(&server.url()).await, &mut dice).await;
    for _ in 0..KILLS {
        dice.moment(&mut load).await;
        serving.kill();
        serving.start_again();
    }
    dice.moment(&mut load).await;
    all_is_as_it_was_answered(&server, load, vec![serving]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_server_killed_at_random_costs_nothing_and_the_service_recovers_by_itself() {
    let mut dice = Dice::new();
    let mut server = server();
    let serving = Serving::on_nats(&server.url());
    let url = server.url();
    let mut load = Load::start(async || Way::nats(&url).await, &mut dice).await;
    for _ in 0..KILLS {
        dice.moment(&mut load).await;
        server.kill();
        server.start_again();
    }
    dice.moment(&mut load).await;
    all_is_as_it_was_answered(&server, load, vec![serving]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_instances_either_may_be_killed_at_random() {
    let mut dice = Dice::new();
    let server = server();
    let mut instances = [Serving::on_nats(&server.url()), Serving::on_nats(&server.url())];
    let mut load = Load::start(async || Way::nats(&server.url()).await, &mut dice).await;
    for _ in 0..KILLS {
        dice.moment(&mut load).await;
        let one = &mut instances[dice.roll(2) as usize];
        one.kill();
        load.more(1 + dice.roll(40)).await;
        one.start_again();
    }
    dice.moment(&mut load).await;
    all_is_as_it_was_answered(&server, load, instances.into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_killed_at_random_keeps_every_promise_on_an_embedded_log() {
    let mut dice = Dice::new();
    let mut serving = Serving::embedded();
    let way = Way::http(serving.url());
    let mut load = Load::start(async || way.clone(), &mut dice).await;
    for _ in 0..KILLS {
        dice.moment(&mut load).await;
        serving.kill();
        serving.start_again();
        way.moved(serving.url());
    }
    dice.moment(&mut load).await;
    let sent = load.end().await;
    serving.kill();
    let truth = Truth::in_folder(&serving.data()).await;
    truth.has_exactly_what_was_answered(&sent);
    serving.start_again();
    way.moved(serving.url());
    truth.is_what_readers_get(&serving);
    gets_its_first_answer_again(&sent, &way).await;
    let folded_on = truth.articles(&serving);
    assert_eq!(serving.terminate().code(), Some(0));
    serving.start_again();
    assert_eq!(truth.articles(&serving), folded_on, "what was folded is what is written down");
    serving.kill();
    std::fs::remove_dir_all(serving.data().join("state")).unwrap();
    serving.start_again();
    assert_eq!(truth.articles(&serving), folded_on, "state is the fold of the log");
    truth.is_what_readers_get(&serving);
    serving.kill();
    let after = Truth::in_folder(&serving.data()).await;
    assert_eq!(after.events.len(), truth.events.len(), "a repeated command adds nothing");
    after.has_each_edition_on_the_wire_once(&sent);
}
