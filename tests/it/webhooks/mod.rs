//! Editions sent to subscribers' own addresses by the real binary, and who has what.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures::StreamExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Serving, send, token, until};
use crate::nats_server::{NatsServer, Setup};

pub mod receiver;

use receiver::{Act, Receiver, SECRET};

/// Everyone of a newsroom who has a story to put out.
struct Newsroom(ureq::Agent);

impl Newsroom {
    fn new() -> Self {
        Self(ureq::Agent::config_builder().http_status_as_error(false).build().into())
    }

    fn command(
        &self,
        desk: &Serving,
        actor: &str,
        kind: &str,
        article: &str,
        base: u32,
        data: Value,
    ) -> Value {
        let mut command =
            json!({"id": Uuid::new_v4(), "type": kind, "article": article, "base": base, "data": data});
        if kind == "draft" {
            command.as_object_mut().unwrap().remove("base");
        }
        let (status, answer) = send(&self.0, desk.url(), actor, &command).unwrap();
        assert_eq!(status, 200, "{answer:#}");
        answer
    }

    /// Puts a story out and gives its id.
    fn publish(&self, desk: &Serving, section: &str) -> String {
        let article = Uuid::new_v4().to_string();
        let fields = json!({"slug": "s", "language": "en", "headline": "Rivers rise", "section": section,
                            "markdown": "One river rose."});
        self.command(desk, "ana", "draft", &article, 1, fields);
        self.command(desk, "ana", "submit", &article, 1, json!({}));
        self.out(desk, &article, 1, json!({}));
        article
    }

    fn out(&self, desk: &Serving, article: &str, base: u32, data: Value) {
        self.command(desk, "eva", "approve", article, base, json!({}));
        self.command(desk, "pia", "publish", article, base, data);
    }

    fn correct(&self, desk: &Serving, article: &str) {
        let words = json!({"set": {"headline": "Two rivers rise"}});
        self.command(desk, "ana", "edit", article, 1, words);
        self.out(desk, article, 2, json!({"kind": "correction", "note": "There were two."}));
    }

    fn withdraw(&self, desk: &Serving, article: &str, base: u32) {
        self.command(desk, "pia", "withdraw", article, base, json!({"notice": "It was wrong."}));
    }
}

fn deliveries(desk: &Serving, query: &str) -> Value {
    let (status, page) = desk.get("ana", &format!("/v1/deliveries{query}"));
    assert_eq!(status, 200, "{page}");
    serde_json::from_str(&page).unwrap()
}

/// Waits until the deliveries are as they should be, and gives them.
fn deliveries_until(desk: &Serving, query: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let page = deliveries(desk, query);
        if is_so(&page) {
            return page;
        }
        assert!(Instant::now() < deadline, "waited in vain: {page:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn state<'a>(page: &'a Value, delivery: usize, subscriber: &str) -> &'a str {
    let all = page["deliveries"][delivery]["subscribers"].as_array();
    let found = all.and_then(|all| all.iter().find(|one| one["name"] == subscriber));
    found.map_or("", |one| one["state"].as_str().unwrap())
}

/// What the command line says to ana.
fn cli(desk: &Serving, arguments: &[&str]) -> String {
    let mut copydesk = std::process::Command::new(env!("CARGO_BIN_EXE_copydesk"));
    copydesk.args(arguments).args(["--server", desk.url(), "--token", &token("ana")]);
    let ended = copydesk.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

fn metric(desk: &Serving, name: &str) -> Option<String> {
    let (_, metrics) = desk.get("", "/metrics");
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
    metrics.lines().find_map(value)
}

#[test]
fn each_edition_and_withdrawal_comes_signed_and_in_order_and_only_to_whom_it_is_for() {
    let (all, asia, off) = (Receiver::start(), Receiver::start(), Receiver::start());
    let tables = [
        all.table("all", ""),
        asia.table("asia", "section = \"world\""),
        off.table("off", "enabled = false"),
    ];
    let mut desk = Serving::start(&tables.concat(), Vec::new());
    let newsroom = Newsroom::new();
    let river = newsroom.publish(&desk, "world/asia");
    let match_ = newsroom.publish(&desk, "sport");
    newsroom.correct(&desk, &river);
    newsroom.withdraw(&desk, &river, 2);
    let draft = json!({"slug": "s", "language": "en", "headline": "CANARY-DRAFT"});
    newsroom.command(&desk, "ana", "draft", &Uuid::new_v4().to_string(), 1, draft);

    let edition = |article: &str, number: &str| (article.to_owned(), number.to_owned());
    assert_eq!(
        asia.took(3),
        ["1", "2", "3"].map(|number| edition(&river, number)),
        "the home, not the section, decides"
    );
    let mut took = all.took(4);
    took.retain(|(article, _)| *article == river);
    assert_eq!(took, ["1", "2", "3"].map(|number| edition(&river, number)));
    assert!(all.taken().contains(&edition(&match_, "1")));

    let got = asia.got();
    let kinds: Vec<&str> = got.iter().map(|got| got.header("copydesk-kind")).collect();
    assert_eq!(kinds, ["first", "correction", "withdrawal"]);
    for (number, got) in (1..).zip(&got) {
        got.is_signed();
        assert_eq!(got.header("content-type"), "application/json");
        assert_eq!(got.header("copydesk-edition"), format!("{number}"));
        assert_eq!(got.header("webhook-id"), got.header("copydesk-event"));
        assert!(got.header("user-agent").starts_with("copydesk/"));
        assert!(!String::from_utf8_lossy(&got.body).contains("CANARY-DRAFT"));
    }
    let last = got[2].ninjs();
    assert_eq!((last["pubStatus"].as_str(), last.get("bodies")), (Some("canceled"), None), "{last:#}");
    // As the wire's own reader has it.
    let body = String::from_utf8_lossy(&got[2].body).into_owned();
    until("the feed has what the receiver got", || desk.get("", "/feed.ninjs").1.contains(&body));

    // Everyone on staff can see who has it.
    let page = deliveries_until(&desk, "", |page| {
        (0..4).all(|n| state(page, n, "all") == "taken")
            && [0, 1, 3].iter().all(|n| state(page, *n, "asia") == "taken")
    });
    assert_eq!(page["deliveries"].as_array().unwrap().len(), 4, "{page:#}");
    assert_eq!(page["next"], Value::Null);
    let [gone, corrected, sport] = [0, 1, 2].map(|n| &page["deliveries"][n]);
    assert_eq!((&gone["kind"], &gone["edition"]), (&json!("withdrawal"), &json!(3)));
    assert_eq!(corrected["article"], json!(river));
    assert_eq!((state(&page, 0, "asia"), state(&page, 2, "asia")), ("taken", ""), "{sport:#}");
    assert_eq!(gone["subscribers"].as_array().unwrap().len(), 2, "what was never served has nothing to take");
    let of_match = deliveries(&desk, &format!("?article={match_}"));
    assert_eq!(of_match["deliveries"].as_array().unwrap().len(), 1);
    let of_river = deliveries(&desk, &format!("?article={river}&limit=2"));
    assert_eq!(of_river["deliveries"], json!([gone, corrected]));
    let rest = deliveries(&desk, &format!("?article={river}&cursor={}", of_river["next"].as_str().unwrap()));
    assert_eq!((rest["deliveries"][0]["edition"].as_u64(), &rest["next"]), (Some(1), &Value::Null));
    let first = deliveries(&desk, "?limit=3");
    let second = deliveries(&desk, &format!("?cursor={}", first["next"].as_str().unwrap()));
    assert_eq!((&second["deliveries"][0]["edition"], &second["next"]), (&json!(1), &Value::Null));
    let said = cli(&desk, &["deliveries", "--limit", "2"]);
    assert!(said.contains("withdrawal") && said.contains(&river) && said.contains("asia"), "{said}");
    assert!(said.contains("More: --cursor"), "{said}");
    assert_eq!(cli(&desk, &["deliveries", "--outstanding"]), "No deliveries.\n");
    let as_json: Value = serde_json::from_str(&cli(&desk, &["deliveries", "--json"])).unwrap();
    assert_eq!(as_json, page);
    assert_eq!(desk.get("", "/v1/deliveries").0, 401);
    assert_eq!(desk.get("ana", "/v1/deliveries?cursor=x").0, 400);

    assert_eq!(
        metric(&desk, "copydesk_webhook_attempts_total{subscriber=\"asia\",outcome=\"taken\"}").as_deref(),
        Some("3")
    );
    assert_eq!(metric(&desk, "copydesk_webhook_waiting{subscriber=\"asia\"}").as_deref(), Some("0"));
    assert_eq!(metric(&desk, "copydesk_withdrawals_outstanding").as_deref(), Some("0"));
    let shown =
        [desk.get("", "/metrics").1, desk.get("", "/healthz").1, page.to_string(), desk.said()].concat();
    for secret in [SECRET, "secret-of-the-archive", "CANARY-IN-THE-ADDRESS", "One river"] {
        assert!(!shown.contains(secret), "{secret}");
    }
    // A stop and a start send nothing again.
    assert_eq!(desk.terminate().code(), Some(0));
    desk.start_again();
    newsroom.publish(&desk, "world");
    assert_eq!((asia.took(4).len(), all.took(5).len(), off.got().len()), (4, 5, 0));
}

#[test]
fn a_receiver_that_fails_hangs_and_answers_twice_gets_everything_and_delays_nobody() {
    let (bad, good) = (Receiver::start(), Receiver::start());
    let mut desk = Serving::start(&[bad.table("bad", ""), good.table("good", "")].concat(), Vec::new());
    let newsroom = Newsroom::new();
    // By how many messages came: what each one does the first times.
    let acts = [Act::Say(500), Act::Cut, Act::Hang, Act::Say(307), Act::Say(429)];
    let mut seen: Vec<String> = Vec::new();
    bad.does(move |got| {
        let id = got.header("webhook-id").to_owned();
        let tried = seen.iter().filter(|there| **there == id).count();
        let number = seen.iter().position(|there| *there == id).unwrap_or(seen.len());
        seen.push(id);
        match (acts.get(number), tried) {
            (Some(act), 0) => *act,
            (_, 1) => Act::Flood,
            _ => Act::Twice,
        }
    });
    let articles: Vec<String> = (0..8).map(|_| newsroom.publish(&desk, "world")).collect();
    good.took(8);
    bad.until("the five that failed", |bad| bad.got().len() >= 8);
    // The first three are in trouble; the correction of one waits for it, that of another doesn't.
    newsroom.correct(&desk, &articles[2]);
    newsroom.correct(&desk, &articles[7]);
    let begun = Instant::now();
    bad.until("the correction", |bad| bad.taken().contains(&(articles[7].clone(), "2".to_owned())));
    assert!(begun.elapsed() < Duration::from_secs(14), "one that hangs for 15 s delays no other");
    bad.took(10);
    let got = bad.got();
    for message in &got {
        message.is_signed();
        let same = got.iter().filter(|other| other.edition() == message.edition());
        assert!(same.clone().all(|other| other.header("webhook-id") == message.header("webhook-id")));
    }
    let mut taken = bad.taken();
    let of_third: Vec<&str> =
        taken.iter().filter(|(article, _)| *article == articles[2]).map(|(_, edition)| &**edition).collect();
    assert_eq!(of_third, ["1", "2"]);
    let count = taken.len();
    taken.sort();
    taken.dedup();
    assert_eq!((taken.len(), count), (10, 10), "what was taken doesn't come again");
    assert_eq!(desk.terminate().code(), Some(0));
}

#[test]
fn what_comes_while_a_receiver_is_down_waits_over_a_kill_and_a_restart() {
    let receiver = Receiver::start();
    let mut desk = Serving::start(&receiver.table("archive", ""), Vec::new());
    let newsroom = Newsroom::new();
    let first = newsroom.publish(&desk, "world");
    receiver.took(1);
    receiver.goes_down();
    let second = newsroom.publish(&desk, "world");
    newsroom.withdraw(&desk, &first, 1);
    let page = deliveries_until(&desk, "", |page| state(page, 0, "archive") == "failing");
    let failing = &page["deliveries"][0]["subscribers"][0];
    assert_eq!((&failing["why"], &failing["kind"]), (&json!("unreachable"), &json!("webhook")), "{page:#}");
    assert!(failing["attempts"].as_u64() >= Some(1) && failing["since"].is_string(), "{page:#}");
    assert_eq!(metric(&desk, "copydesk_withdrawals_outstanding").as_deref(), Some("1"));
    desk.kill();
    desk.start_again();
    let third = newsroom.publish(&desk, "world");
    desk.kill();
    receiver.comes_back();
    desk.start_again();
    receiver.until("everything", |receiver| {
        let taken = receiver.taken();
        [(&first, "2"), (&second, "1"), (&third, "1")]
            .iter()
            .all(|(article, edition)| taken.contains(&((*article).clone(), (*edition).to_owned())))
    });
    let page = deliveries_until(&desk, "", |page| (0..4).all(|n| state(page, n, "archive") == "taken"));
    assert_eq!(page["deliveries"].as_array().unwrap().len(), 4);
    assert_eq!(metric(&desk, "copydesk_withdrawals_outstanding").as_deref(), Some("0"));
}

/// Every message at least once, by one id, an article's in order.
fn has_everything(receiver: &Receiver, desk: &Serving) {
    let everything = |page: &Value| -> Vec<(String, String)> {
        let all = page["deliveries"].as_array().unwrap().iter();
        all.map(|one| (one["article"].as_str().unwrap().to_owned(), one["edition"].to_string())).collect()
    };
    let page = deliveries_until(desk, "?limit=200", |page| {
        (0..everything(page).len()).all(|n| state(page, n, "archive") == "taken")
    });
    let (taken, got) = (receiver.taken(), receiver.got());
    for (article, edition) in everything(&page) {
        let first = |edition: &str| {
            let wanted = (article.clone(), edition.to_owned());
            taken.iter().position(|there| *there == wanted)
        };
        let at = first(&edition);
        assert!(at.is_some(), "{article}/{edition} never came");
        if edition == "2" {
            assert!(first("1") < at, "{article}/2 came before its first edition");
        }
        let of_it = got.iter().filter(|got| got.edition() == (article.clone(), edition.clone()));
        let mut ids: Vec<&str> = of_it.map(|got| got.header("webhook-id")).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{article}/{edition} came by several ids");
    }
    got.iter().for_each(receiver::Got::is_signed);
}

#[test]
fn a_service_killed_at_any_moment_misses_no_message() {
    let mut dice = crate::faults::dice();
    let receiver = Receiver::start();
    let mut moods = dice.another(1);
    receiver.does(move |_| match moods.roll(8) {
        0 => Act::Say(503),
        1 => Act::Cut,
        2 => Act::Twice,
        _ => Act::Say(200),
    });
    let mut desk = Serving::start(&receiver.table("archive", ""), Vec::new());
    let newsroom = Newsroom::new();
    for _ in 0..6 {
        for _ in 0..3 {
            let article = newsroom.publish(&desk, "world");
            if dice.roll(2) == 0 {
                newsroom.withdraw(&desk, &article, 1);
            }
        }
        std::thread::sleep(Duration::from_millis(dice.roll(1200)));
        desk.kill();
        desk.start_again();
    }
    has_everything(&receiver, &desk);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_server_killed_and_started_again_holds_nothing_back_for_good() {
    let mut server = NatsServer::with(&Setup { sync_always: true, ..Setup::default() });
    let receiver = Receiver::start();
    let arguments = vec!["--nats".to_owned(), server.url()];
    let desk = Serving::start(&receiver.table("archive", ""), arguments);
    let newsroom = Newsroom::new();
    let first = newsroom.publish(&desk, "world");
    receiver.took(1);
    receiver.goes_down();
    newsroom.publish(&desk, "world");
    deliveries_until(&desk, "", |page| state(page, 0, "archive") == "failing");
    server.kill();
    receiver.comes_back();
    server.start_again();
    let deadline = Instant::now() + Duration::from_secs(60);
    while desk.get("ana", "/v1/deliveries").0 != 200 {
        assert!(Instant::now() < deadline, "the log is not there again");
        std::thread::sleep(Duration::from_millis(20));
    }
    let withdraw = json!({"id": Uuid::new_v4(), "type": "withdraw", "article": first, "base": 1,
                          "data": {"notice": "It was wrong."}});
    while send(&newsroom.0, desk.url(), "pia", &withdraw).is_none_or(|(status, _)| status != 200) {
        assert!(Instant::now() < deadline, "nothing can be withdrawn");
    }
    deliveries_until(&desk, "", |page| page["deliveries"].as_array().unwrap().len() == 3);
    has_everything(&receiver, &desk);
}

#[test]
fn a_receiver_that_is_gone_is_sent_nothing_more_and_is_shown() {
    let (gone, other) = (Receiver::start(), Receiver::start());
    gone.does(|_| Act::Say(410));
    let desk = Serving::start(&[gone.table("gone", ""), other.table("other", "")].concat(), Vec::new());
    let newsroom = Newsroom::new();
    newsroom.publish(&desk, "world");
    deliveries_until(&desk, "", |page| state(page, 0, "gone") == "disabled");
    newsroom.publish(&desk, "world");
    other.took(2);
    let page = deliveries_until(&desk, "", |page| state(page, 0, "other") == "taken");
    assert_eq!((state(&page, 0, "gone"), state(&page, 1, "gone")), ("disabled", "disabled"), "{page:#}");
    assert_eq!(gone.got().len(), 1);
    // Until someone who may says that it is there again.
    gone.does(|_| Act::Say(200));
    let retry = |actor: &str, name: &str| {
        let request = newsroom.0.post(format!("{}/v1/deliveries/{name}/retry", desk.url()));
        let request = request.header("Authorization", format!("Bearer {}", token(actor)));
        request.send_empty().unwrap().status().as_u16()
    };
    assert_eq!((retry("ana", "gone"), retry("carl", "nobody")), (403, 404));
    assert_eq!(gone.got().len(), 1);
    assert_eq!(retry("carl", "gone"), 204);
    gone.took(2);
    deliveries_until(&desk, "", |page| (0..2).all(|n| state(page, n, "gone") == "taken"));
    assert_eq!(other.got().len(), 2, "nobody else is sent anything again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_instances_one_sends_and_the_other_takes_its_place() {
    let server = NatsServer::with(&Setup { sync_always: true, ..Setup::default() });
    let receiver = Receiver::start();
    let arguments = || vec!["--nats".to_owned(), server.url()];
    let mut instances = [0, 1].map(|_| Serving::start(&receiver.table("archive", ""), arguments()));
    let newsroom = Newsroom::new();
    for n in 0..6 {
        newsroom.publish(&instances[n % 2], "world");
    }
    receiver.took(6);
    let page =
        deliveries_until(&instances[0], "", |page| (0..6).all(|n| state(page, n, "archive") == "taken"));
    assert_eq!(page, deliveries(&instances[1], ""), "both know it");
    let sends = |desk: &Serving| metric(desk, "copydesk_webhook_waiting{subscriber=\"archive\"}").is_some();
    let leader = instances.iter().position(sends).unwrap();
    assert!(!sends(&instances[1 - leader]), "one sends");
    // Unlike a crash, a stop lets the other go on at once.
    assert_eq!(instances[leader].terminate().code(), Some(0));
    let begun = Instant::now();
    newsroom.publish(&instances[1 - leader], "world");
    receiver.took(7);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // What was taken a moment before a kill may come again.
    deliveries_until(&instances[1 - leader], "", |page| state(page, 0, "archive") == "taken");
    instances[leader].start_again();
    instances[1 - leader].kill();
    newsroom.publish(&instances[leader], "world");
    // Asking for another try, again and again, keeps nobody from taking the dead one's place.
    receiver.until("the last is taken", |receiver| {
        let retry = format!("{}/v1/deliveries/archive/retry", instances[leader].url());
        let request = newsroom.0.post(retry).header("Authorization", format!("Bearer {}", token("carl")));
        assert!(request.send_empty().unwrap().status().is_success());
        receiver.taken().len() >= 8
    });
    let mut taken = receiver.took(8);
    taken.sort();
    taken.dedup();
    assert_eq!((taken.len(), receiver.taken().len()), (8, 8), "each came once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn durable_consumers_on_the_wire_are_known_by_what_they_acknowledged() {
    let server = NatsServer::start();
    let desk = Serving::on_nats(&server.url());
    let newsroom = Newsroom::new();
    let context = jetstream::new(server.client().await);
    let stream = context.get_stream("COPYDESK_WIRE").await.unwrap();
    let consumer = |name: &str, filter: &str, policy| jetstream::consumer::pull::Config {
        durable_name: Some(name.into()),
        filter_subject: filter.into(),
        deliver_policy: policy,
        ..Default::default()
    };
    use jetstream::consumer::DeliverPolicy::{All, New};
    let site = stream.create_consumer(consumer("site", "copydesk.wire.world.>", All)).await.unwrap();
    let river = newsroom.publish(&desk, "world/asia");
    newsroom.publish(&desk, "sport");
    deliveries_until(&desk, "", |page| page["deliveries"].as_array().unwrap().len() == 2);
    stream.create_consumer(consumer("late", "", New)).await.unwrap();
    newsroom.withdraw(&desk, &river, 1);
    let page = deliveries_until(&desk, "", |page| page["deliveries"].as_array().unwrap().len() == 3);
    let states = |page: &Value, name: &str| [0, 1, 2].map(|n| state(page, n, name).to_owned());
    assert_eq!(states(&page, "site"), ["pending", "", "pending"], "{page:#}");
    assert_eq!(states(&page, "late"), ["pending", "", ""], "what was out before isn't for it: {page:#}");
    assert_eq!(page["deliveries"][0]["subscribers"][0]["kind"], "consumer");
    assert_eq!(metric(&desk, "copydesk_withdrawals_outstanding").as_deref(), Some("1"));
    let mut messages = site.messages().await.unwrap();
    for _ in 0..2 {
        messages.next().await.unwrap().unwrap().double_ack().await.unwrap();
    }
    let page = deliveries(&desk, "");
    assert_eq!(states(&page, "site"), ["taken", "", "taken"], "{page:#}");
    assert_eq!(
        metric(&desk, "copydesk_withdrawals_outstanding").as_deref(),
        Some("1"),
        "late has it yet to take"
    );
    let late: jetstream::consumer::PullConsumer = stream.get_consumer("late").await.unwrap();
    late.messages().await.unwrap().next().await.unwrap().unwrap().double_ack().await.unwrap();
    assert_eq!(metric(&desk, "copydesk_withdrawals_outstanding").as_deref(), Some("0"));
}
