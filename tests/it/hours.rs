//! Publication at a time: never early, never twice, late only within the grace, whoever is there when the hour comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use copydesk::desk::clock::keep_time;
use copydesk::desk::{Desk, propose};
use copydesk::log::memory::{Faults, MemoryLog};
use copydesk::log::{Content, Log};
use copydesk::store::{Store, fold};
use copydesk_article::answer::Answer;
use copydesk_article::article::Status;
use copydesk_article::command::{Command, Hints};
use copydesk_article::event::{self, Event, Read};
use copydesk_article::problem::{Code, Problem};
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Serving, send};
use crate::nats_server::NatsServer;
use crate::path::newsroom;

/// A desk with its fold and its clock, on a log in memory.
struct Instance {
    log: Arc<MemoryLog>,
    desk: Arc<Desk>,
    _folder: tempfile::TempDir,
}

impl Instance {
    fn new(log: MemoryLog, number: u64) -> Self {
        let log = Arc::new(log);
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path(), 1 << 20).unwrap();
        let salts = AtomicU64::new(number << 32);
        let salt = move || u128::from(salts.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
        let desk = Desk::new(Arc::clone(&log) as Arc<dyn Log>, Arc::new(store), "/copydesk", salt);
        Self { log, desk: Arc::new(desk), _folder: folder }
    }

    /// Folds and keeps time for ever.
    async fn run(&self) {
        let folding = async {
            loop {
                let Err(error) = fold::run(self.desk.store(), &**self.desk.log()).await;
                assert!(matches!(error, fold::FoldError::Log(_)), "{error}");
                self.desk.log().clock().sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::join!(folding, async { match keep_time(Arc::clone(&self.desk)).await {} });
    }

    async fn send(&self, actor: &str, command: &Value) -> Result<Answer, Problem> {
        let command = Command::read(command.to_string().as_bytes(), Hints::default()).unwrap();
        loop {
            match self.desk.command(&actor.into(), &command).await {
                Err(problem) if matches!(problem.code, Code::LogUnavailable | Code::OutcomeUnknown) => {
                    self.desk.log().clock().sleep(Duration::from_millis(5)).await;
                }
                definite => return definite,
            }
        }
    }
}

/// A command whose id is drawn from what it says, so a seed goes the same way every time.
fn command(article: Uuid, kind: &str, base: u32, data: Value) -> Value {
    let id = Uuid::new_v5(&article, format!("{kind} {base} {data}").as_bytes());
    json!({"id": id, "type": kind, "article": article, "base": base, "data": data})
}

fn draft(article: Uuid) -> Value {
    json!({"id": Uuid::new_v5(&article, b"draft"), "type": "draft", "article": article, "data": {
        "slug": "s", "language": "en", "section": "world", "headline": "H", "markdown": "Words."}})
}

/// How late a publication may be: both instances may be in an outage when its hour comes, which one finds out with an
/// operation every half second.
const MOST_LATE: TimeDelta = TimeDelta::seconds(2 + Faults::LONGEST_OUTAGE.cast_signed() / 2);

/// A story that is ready and scheduled.
async fn scheduled(desk: &Instance, article: Uuid, at: DateTime<Utc>) {
    desk.send("ana", &draft(article)).await.unwrap();
    desk.send("ana", &command(article, "submit", 1, json!({}))).await.unwrap();
    desk.send("eva", &command(article, "approve", 1, json!({}))).await.unwrap();
    let answer = desk.send("pia", &command(article, "publish", 1, json!({"at": at}))).await.unwrap();
    assert_eq!((&*answer.kind, answer.status), ("copydesk.article.scheduled", Status::Scheduled));
}

async fn events_of(log: &MemoryLog, article: Uuid) -> Vec<Event> {
    let entries = log.handle().events().all_on(&article.to_string(), 0).await.unwrap();
    let read = |entry: copydesk::log::Entry| {
        let Content::Message { body, .. } = &entry.content else { panic!("erased") };
        let Read::Event(event) = event::read(&entry.subject, body) else { panic!("not understood") };
        *event
    };
    entries.into_iter().map(read).collect()
}

fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.rsplit('.').next().unwrap()).collect()
}

fn simulate(seed: u64) {
    let world = MemoryLog::new(seed);
    let clock = world.test_clock();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(clock.drive(async {
        propose(&world.handle(), &newsroom(), "/copydesk", [7; 16], false).await.unwrap();
        let instances: Vec<Instance> =
            (0..3).map(|n| Instance::new(world.with_faults(Faults::rough()), n + 1)).collect();
        // A third has a clock that is far off, and never fires.
        instances[2].log.set_skew(TimeDelta::seconds(5));
        let working = async {
            let clock = instances[0].desk.log().clock();
            let begun = clock.now();
            let ids: Vec<Uuid> = (1..=6).map(Uuid::from_u128).collect();
            let hour = |n: usize| begun + TimeDelta::minutes(10 + i64::try_from(n).unwrap());
            for (n, id) in ids.iter().enumerate() {
                scheduled(&instances[n % 2], *id, hour(n)).await;
            }
            // One is changed, and approved again in time; one is changed; one is called off; one is moved.
            let headline = json!({"set": {"headline": "Another"}});
            for id in &ids[..2] {
                let edit = command(*id, "edit", 1, headline.clone());
                let answer = instances[0].send("ana", &edit).await.unwrap();
                assert_eq!(answer.warnings[0].code, "publication_will_be_held");
            }
            instances[1].send("eva", &command(ids[0], "approve", 2, json!({}))).await.unwrap();
            instances[1].send("pia", &command(ids[2], "unschedule", 1, json!({}))).await.unwrap();
            instances[0].send("pia", &command(ids[3], "unschedule", 1, json!({}))).await.unwrap();
            let later = json!({"at": hour(20)});
            instances[1].send("pia", &command(ids[3], "publish", 1, later)).await.unwrap();
            clock.sleep(Duration::from_secs(3600)).await;

            for (n, id) in ids.iter().enumerate() {
                let events = events_of(&world, *id).await;
                let last = events.last().unwrap();
                let by_the_clock: Vec<_> = events.iter().filter(|event| &*event.actor == "desk").collect();
                match n {
                    1 => assert_eq!(*kinds(&events).last().unwrap(), "held", "seed {seed}"),
                    2 => assert_eq!(*kinds(&events).last().unwrap(), "unscheduled", "seed {seed}"),
                    _ => assert_eq!(*kinds(&events).last().unwrap(), "published", "seed {seed}, {n}"),
                }
                assert_eq!(by_the_clock.len(), usize::from(n != 2), "seed {seed}: once");
                let at = if n == 3 { hour(20) } else { hour(n) };
                let late = last.time - at;
                let in_time = (TimeDelta::zero()..MOST_LATE).contains(&late);
                assert!(n == 2 || in_time, "seed {seed}: {late} after its hour");
            }
            assert_eq!(world.handle().events().all_on("desk", 0).await.unwrap().len(), 1);
        };
        let running = join_all(instances.iter().map(Instance::run));
        tokio::select! {
            _ = running => unreachable!("they run for ever"),
            () = working => {}
        }
    }));
}

#[test]
fn whatever_happens_what_is_scheduled_goes_out_once_and_in_time() {
    match std::env::var("COPYDESK_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => simulate(seed),
        None => (0..12).for_each(simulate),
    }
}

/// With everybody gone for longer than the grace, the hour has passed: it is held.
#[test]
fn what_nobody_carried_out_within_the_grace_is_held() {
    let world = MemoryLog::new(1);
    let clock = world.test_clock();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (soon, late) = (Uuid::from_u128(1), Uuid::from_u128(2));
    runtime.block_on(clock.drive(async {
        propose(&world.handle(), &newsroom(), "/copydesk", [7; 16], false).await.unwrap();
        let instance = Instance::new(world.handle(), 1);
        let now = instance.desk.log().clock().now();
        let working = async {
            scheduled(&instance, late, now + TimeDelta::minutes(5)).await;
            scheduled(&instance, soon, now + TimeDelta::minutes(15)).await;
        };
        tokio::select! { () = instance.run() => {}, () = working => {} }
    }));
    clock.advance(Duration::from_secs(21 * 60));
    runtime.block_on(clock.drive(async {
        let instance = Instance::new(world.handle(), 2);
        let later = instance.desk.log().clock();
        tokio::select! { () = instance.run() => {}, () = later.sleep(Duration::from_secs(5)) => {} }
        let held = events_of(&world, late).await;
        assert_eq!(kinds(&held).last(), Some(&"held"));
        assert_eq!(kinds(&events_of(&world, soon).await).last(), Some(&"published"));
        let article = instance.desk.store().article(late).unwrap().unwrap().article;
        let reasons = &article.held.as_ref().unwrap().reasons;
        assert_eq!((article.status(), reasons[0].code.name()), (Status::Unpublished, "late"));
    }));
}

/// What turns on time is not decided by an instance whose clock is off.
#[tokio::test]
async fn an_instance_whose_clock_is_off_decides_nothing_that_turns_on_time() {
    let (world, instance) = alone().await;
    let article = Uuid::from_u128(1);
    instance.send("ana", &draft(article)).await.unwrap();
    let now = instance.desk.log().clock().now();
    let refused = async |command: &Value| {
        let command = Command::read(command.to_string().as_bytes(), Hints::default()).unwrap();
        instance.desk.command(&"eva".into(), &command).await.err().map(|problem| problem.code)
    };
    let mut not_after = command(article, "ask", 1, json!({"text": "By when?"}));
    not_after["not_after"] = json!(now + TimeDelta::hours(1));
    let embargo = command(article, "embargo", 1, json!({"until": now + TimeDelta::hours(1)}));
    for skew in [TimeDelta::milliseconds(2001), TimeDelta::milliseconds(-2001)] {
        instance.log.set_skew(skew);
        world.test_clock().advance(Duration::from_secs(2));
        for command in [&not_after, &embargo] {
            assert_eq!(refused(command).await, Some(Code::LogUnavailable));
        }
        assert_eq!(refused(&command(article, "ask", 1, json!({"text": "Why?"}))).await, None);
    }
    instance.log.set_skew(TimeDelta::seconds(2));
    world.test_clock().advance(Duration::from_secs(2));
    for command in [&not_after, &embargo] {
        assert_eq!(refused(command).await, None);
    }
}

/// The one that it was scheduled through may be gone by then.
#[tokio::test]
async fn what_was_scheduled_elsewhere_is_carried_out_here_though_the_article_was_known_before() {
    let world = MemoryLog::new(2);
    propose(&world.handle(), &newsroom(), "/copydesk", [7; 16], false).await.unwrap();
    let [here, elsewhere] = [1, 2].map(|number| Instance::new(world.handle(), number));
    let folded = async |one: &Instance| {
        fold::catch_up(one.desk.store(), &**one.desk.log(), |_, _| {}).await.unwrap();
    };
    folded(&elsewhere).await;
    let article = Uuid::from_u128(1);
    elsewhere.send("ana", &draft(article)).await.unwrap();
    folded(&here).await;
    here.send("ana", &command(article, "submit", 1, json!({}))).await.unwrap();
    folded(&elsewhere).await;
    elsewhere.send("eva", &command(article, "approve", 1, json!({}))).await.unwrap();
    let at = world.clock().now() + TimeDelta::hours(1);
    elsewhere.send("pia", &command(article, "publish", 1, json!({"at": at}))).await.unwrap();
    drop(elsewhere);
    folded(&here).await;
    world.test_clock().advance(Duration::from_secs(3600));
    here.desk.carry_out(article).await.unwrap();
    assert_eq!(kinds(&events_of(&world, article).await).last(), Some(&"published"));
}

/// A log, and one instance on it.
async fn alone() -> (MemoryLog, Instance) {
    let world = MemoryLog::new(2);
    propose(&world.handle(), &newsroom(), "/copydesk", [7; 16], false).await.unwrap();
    let instance = Instance::new(world.handle(), 1);
    fold::catch_up(instance.desk.store(), &**instance.desk.log(), |_, _| {}).await.unwrap();
    (world, instance)
}

/// Never early, by whichever clock.
#[tokio::test]
async fn what_is_scheduled_waits_for_the_logs_clock_where_that_is_behind() {
    let (world, instance) = alone().await;
    let article = Uuid::from_u128(1);
    scheduled(&instance, article, instance.desk.log().clock().now() + TimeDelta::hours(1)).await;
    instance.log.set_skew(TimeDelta::seconds(2));
    world.test_clock().advance(Duration::from_secs(3601));
    instance.desk.carry_out(article).await.unwrap();
    assert_eq!(kinds(&events_of(&world, article).await).last(), Some(&"scheduled"), "a second early");
    world.test_clock().advance(Duration::from_secs(1));
    instance.desk.carry_out(article).await.unwrap();
    assert_eq!(kinds(&events_of(&world, article).await).last(), Some(&"published"));
}

/// An embargo ends by the log's clock: here it may seem over while there it isn't.
#[tokio::test]
async fn an_instance_whose_clock_is_off_publishes_nothing_that_was_under_embargo() {
    let (world, instance) = alone().await;
    let article = Uuid::from_u128(1);
    instance.send("ana", &draft(article)).await.unwrap();
    let until = instance.desk.log().clock().now() + TimeDelta::hours(1);
    let embargo = command(article, "embargo", 1, json!({"until": until}));
    instance.send("eva", &embargo).await.unwrap();
    instance.send("ana", &command(article, "submit", 1, json!({}))).await.unwrap();
    instance.send("eva", &command(article, "approve", 1, json!({}))).await.unwrap();
    world.test_clock().advance(Duration::from_secs(3600));
    instance.log.set_skew(TimeDelta::milliseconds(2001));
    let publish = command(article, "publish", 1, json!({}));
    let read = Command::read(publish.to_string().as_bytes(), Hints::default()).unwrap();
    let refused = instance.desk.command(&"pia".into(), &read).await.unwrap_err();
    assert_eq!(refused.code, Code::LogUnavailable);
    instance.log.set_skew(TimeDelta::zero());
    world.test_clock().advance(Duration::from_secs(2));
    assert_eq!(instance.send("pia", &publish).await.unwrap().edition, Some(1));
}

/// The real binary, two of them: one is killed before the hour, and the hour is kept.
#[test]
fn two_services_keep_the_hour_though_one_is_killed() {
    let server = NatsServer::start();
    let mut doomed = Serving::on_nats(&server.url());
    let stays = Serving::on_nats(&server.url());
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let article = Uuid::new_v4();
    let done = |url: &str, actor: &str, command: &Value| {
        let (status, answer) = send(&agent, url, actor, command).unwrap();
        assert_eq!(status, 200, "{answer}");
        answer
    };
    done(doomed.url(), "ana", &draft(article));
    done(doomed.url(), "ana", &command(article, "submit", 1, json!({})));
    done(doomed.url(), "eva", &command(article, "approve", 1, json!({})));
    let at = Utc::now() + TimeDelta::seconds(3);
    let hour = at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let answer = done(doomed.url(), "pia", &command(article, "publish", 1, json!({"at": hour})));
    assert_eq!(answer["status"], "scheduled");
    doomed.kill();
    let deadline = Instant::now() + Duration::from_secs(20);
    let published = loop {
        let events = stays.events();
        let of_the_clock: Vec<_> = events.into_iter().filter(|event| event["actor"] == "desk").collect();
        match of_the_clock.into_iter().find(|event| event["type"] == "copydesk.article.published") {
            Some(event) => break event,
            None => assert!(Instant::now() < deadline, "it never went out"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let time: DateTime<Utc> = published["time"].as_str().unwrap().parse().unwrap();
    let micros = TimeDelta::microseconds(1);
    assert!(time + micros >= at && time - at < TimeDelta::seconds(2), "{time} for {at}");
    doomed.start_again();
    let shown = |serving: &Serving| loop {
        let (status, page) = serving.get("ana", &format!("/articles/{article}"));
        if status == 200 {
            // The address of each is its own.
            break page.split_once("<main>").unwrap().1.replace(serving.url(), "");
        }
        assert!(Instant::now() < deadline, "it isn't shown");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(shown(&stays), shown(&doomed));
    let all = doomed.events();
    let out = all.iter().filter(|event| event["wire"] == "edition").count();
    assert_eq!(out, 1, "once");
}
