//! The NATS gateway, against a real nats-server: from outside, as any client sees it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use bytes::Bytes;
use copydesk::nats::{Gateway, GatewayError, Options, connect};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::instance::{Instance, Said, Tool, command, draft, uuid_of};
use crate::log_contract::within;
use crate::nats_server::{NatsServer, Setup};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_story_goes_through_the_desk_by_every_command() {
    let server = NatsServer::start();
    let instance = Instance::start(&server).await;
    let tool = Tool::new(&server).await;
    let story = include_str!("../stories/kursk-letter.md");
    let (_, body) = story.trim_start_matches("---").split_once("---\n").unwrap();
    let drafted = tool
        .send(
            "ana",
            "draft",
            &json!({"id": Uuid::new_v4(), "type": "draft", "data": {
                "slug": "koreas-russia-letter", "language": "en", "section": "world/asia",
                "headline": "Kremlin's New Year letter celebrates soldiers sent to fight in Ukraine",
                "markdown": body,
            }}),
        )
        .await
        .accepted();
    let article = uuid_of(&drafted["article"]);
    let mut version = 1;
    let mut go = async |actor: &str, kind: &str, base: u32, data: Value| {
        let answer = tool.command(actor, kind, article, base, data).await.accepted();
        version += 1;
        assert_eq!((&answer["version"], &answer["article"]), (&json!(version), &json!(article)), "{kind}");
        answer
    };
    let claim = json!({"quote": "soldiers sent to fight in Ukraine", "field": "headline", "kind": "fact"});
    assert_eq!(go("chen", "claim", 1, claim).await["created"], "c1");
    let doubt = json!({"quote": "About 2,000 of the North Koreans", "kind": "statistic"});
    assert_eq!(go("chen", "claim", 1, doubt).await["created"], "c2");
    go("chen", "cite", 1, json!({"claim": "c1", "title": "Agency briefing note"})).await;
    go("chen", "rule", 1, json!({"claim": "c1", "verdict": "inaccurate"})).await;
    go("chen", "drop", 1, json!({"claim": "c2", "reason": "Covered by another claim."})).await;
    assert_eq!(go("eva", "ask", 1, json!({"text": "Is the date right?"})).await["created"], "q1");
    go("ana", "answer", 1, json!({"query": "q1", "text": "Yes."})).await;
    let shut = tool.command("pia", "publish", article, 1, json!({})).await.refused(422, "gate_shut");
    assert!(shut["reasons"].as_array().unwrap().len() >= 2, "{shut:#}");
    let headline = "Kremlin's New Year letter celebrates soldiers sent to fight in Kursk";
    go("emil", "edit", 1, json!({"set": {"headline": headline}})).await;
    go("emil", "edit", 2, json!({"set": {"slug": "a-slip"}})).await;
    go("emil", "restore", 3, json!({"revision": 2})).await;
    let quote = "soldiers sent to fight in Kursk";
    go("chen", "rule", 4, json!({"claim": "c1", "verdict": "supported", "quote": quote})).await;
    go("ana", "submit", 4, json!({})).await;
    go("eva", "return", 4, json!({"reason": "Once more, please."})).await;
    go("ana", "submit", 4, json!({})).await;
    go("eva", "approve", 4, json!({})).await;
    assert_eq!(go("pia", "publish", 4, json!({})).await["edition"], 1);
    assert_eq!(go("pia", "withdraw", 4, json!({"notice": "Withdrawn."})).await["edition"], 2);
    instance.service.check_fold().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_actor_is_the_subjects_and_never_the_bodys() {
    let server = NatsServer::start();
    let instance = Instance::start(&server).await;
    let tool = Tool::new(&server).await;
    for (member, value) in [("actor", json!("ana")), ("by", json!("ana"))] {
        let mut body = draft(Uuid::new_v4(), "Words.");
        body[member] = value;
        tool.send("pia", "draft", &body).await.refused(400, "unknown_field");
    }
    // A publisher may not draft, whatever else would be in order.
    tool.send("pia", "draft", &draft(Uuid::new_v4(), "Words.")).await.refused(403, "forbidden");
    tool.send("nobody", "draft", &draft(Uuid::new_v4(), "Words.")).await.refused(403, "forbidden");
    for impossible in ["desk", "Ana", "ANA", "anä", "a+b", &"a".repeat(33)] {
        let said = tool.send(impossible, "draft", &draft(Uuid::new_v4(), "Words.")).await;
        said.refused(403, "forbidden");
    }
    let drafted = tool.send("ana", "draft", &draft(Uuid::new_v4(), "Words.")).await.accepted();
    let entry = instance.service.log.events().get(drafted["seq"].as_u64().unwrap()).await.unwrap().unwrap();
    let event: Value = serde_json::from_slice(crate::log_contract::body_of(&entry)).unwrap();
    assert_eq!((&event["actor"], &event["actorkind"]), (&json!("ana"), &json!("person")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_answered_and_changes_nothing() {
    let server = NatsServer::start();
    let instance = Instance::start(&server).await;
    let tool = Tool::new(&server).await;
    let before = instance.service.log.events().end().await.unwrap();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let large = format!("{{\"id\":\"{}\"}}", "x".repeat(600 * 1024));
    let bodies: [(&str, &str, u16, &str); 9] = [
        ("draft", "", 400, "malformed"),
        ("draft", "not json", 400, "malformed"),
        ("draft", "[]", 400, "malformed"),
        ("draft", &deep, 400, "malformed"),
        ("draft", "{\"id\":\"\\ud800\"}", 400, "malformed"),
        ("draft", "{\"id\":1,\"id\":2}", 400, "malformed"),
        ("draft", "{}", 400, "invalid"),
        ("drfat", "{}", 400, "unknown_type"),
        ("draft", &large, 413, "too_large"),
    ];
    for (kind, body, status, code) in bodies {
        let subject = format!("copydesk.command.ana.{kind}");
        let answer = within(tool.0.request(subject, Bytes::copy_from_slice(body.as_bytes()))).await.unwrap();
        Said::read(&answer).refused(status, code);
    }
    let mut other = draft(Uuid::new_v4(), "Words.");
    other["type"] = json!("edit");
    assert_eq!(tool.send("ana", "draft", &other).await.refused(400, "invalid")["field"], "/type");
    for subject in
        ["copydesk.command", "copydesk.command.ana", "copydesk.command.ana.draft.x", "copydesk.ana.draft"]
    {
        let error = within(tool.0.request(subject, draft(Uuid::new_v4(), "W.").to_string().into())).await;
        assert_eq!(error.unwrap_err().kind(), RequestErrorKind::NoResponders, "{subject}");
    }
    assert_eq!(instance.service.log.events().end().await.unwrap(), before);
    tool.draft("The service is still up.").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_decided_or_published_for_a_reply_subject_that_is_no_inbox() {
    let server = NatsServer::start();
    let instance = Instance::start(&server).await;
    let tool = Tool::new(&server).await;
    let log = &instance.service.log;
    let (events, wire) = (log.events().end().await.unwrap(), log.wire().end().await.unwrap());
    let victim = Uuid::new_v4();
    let replies = [
        format!("copydesk.event.{victim}"),
        "copydesk.event.desk".to_owned(),
        "copydesk.wire.world".to_owned(),
        "copydesk.keys.a".to_owned(),
        "copydesk.command.carl.publish".to_owned(),
        "$JS.API.STREAM.DELETE.COPYDESK_EVENTS".to_owned(),
        "_INBOX".to_owned(),
        "_INBOX.a..b".to_owned(),
        "_INBOX.>".to_owned(),
    ];
    let mut ids = Vec::new();
    for reply in &replies {
        ids.push(Uuid::new_v4());
        let body = draft(*ids.last().unwrap(), "Words.").to_string();
        tool.0.publish_with_reply("copydesk.command.ana.draft", reply.clone(), body.into()).await.unwrap();
    }
    ids.push(Uuid::new_v4());
    let body = draft(*ids.last().unwrap(), "Words.").to_string();
    tool.0.publish("copydesk.command.ana.draft", body.into()).await.unwrap();
    // What was sent on one connection to one subscription is taken in order, so all of those were.
    tool.draft("Answered.").await;
    assert_eq!(instance.stats.unanswerable(), 10);
    // Discovery has the same rights to lend, and keeps them.
    for verb in ["PING", "INFO", "STATS"] {
        for reply in &replies {
            tool.0.publish_with_reply(format!("$SRV.{verb}"), reply.clone(), Bytes::new()).await.unwrap();
        }
        within(tool.0.request(format!("$SRV.{verb}"), Bytes::new())).await.unwrap();
    }
    assert_eq!(log.events().end().await.unwrap(), events + 1, "one article was drafted");
    assert_eq!(log.wire().end().await.unwrap(), wire);
    for id in ids {
        let answer = tool.send("ana", "draft", &draft(id, "Words.")).await.accepted();
        assert_eq!(answer["duplicate"], json!(false), "it wasn't decided before");
    }
}

#[tokio::test]
async fn reply_subjects_that_could_be_the_services_own_are_refused_at_the_start() {
    let server = NatsServer::start();
    let client = server.client().await;
    let instance = Instance::start(&server).await;
    for inboxes in ["", "c", "copydesk", "copydesk.", "copydesk.event.", "$", "$JS."] {
        let options = Options { inboxes: inboxes.to_owned(), ..Options::default() };
        let opened = Gateway::open(client.clone(), Arc::clone(&instance.service.desk), options).await;
        assert!(matches!(opened, Err(GatewayError::Inboxes { .. })), "{inboxes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_to_one_article_are_taken_in_order_of_arrival() {
    const EDITS: usize = 1000;
    let server = NatsServer::start();
    let instance = Instance::start(&server).await;
    let tool = Tool::new(&server).await;
    let article = tool.draft("As drafted.").await;
    let inbox = tool.0.new_inbox();
    let mut answers = tool.0.subscribe(format!("{inbox}.*")).await.unwrap();
    let filler = "A long sentence that takes its time to read. ".repeat(400);
    for number in 0..EDITS {
        // Long and short by turns, so that what comes later is often read sooner. Each is decided on the revision
        // that the one before it makes: out of order there is none such.
        let text = format!("{} {number}", if number % 2 == 0 { &filler } else { "Short." });
        let data = json!({"ops": [{"op": "replace", "block": "b1", "text": text}]});
        let body = command(article, number as u32 + 1, data).to_string();
        let reply = format!("{inbox}.{number}");
        tool.0.publish_with_reply("copydesk.command.emil.edit", reply, body.into()).await.unwrap();
    }
    for _ in 0..EDITS {
        let answer = within(answers.next()).await.unwrap();
        let number: u64 = answer.subject.rsplit('.').next().unwrap().parse().unwrap();
        assert_eq!(Said::read(&answer).accepted()["version"], json!(number + 2));
    }
    assert_eq!(instance.events_of(article).await.len(), EDITS + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_waits_for_the_logs_level_is_overtaken_by_none() {
    let server = NatsServer::start();
    let _instance = Instance::start(&server).await;
    let tool = Tool::new(&server).await;
    let article = tool.draft("A name that must go.").await;
    let replaced = json!({"ops": [{"op": "replace", "block": "b1", "text": "Other words."}]});
    tool.send("emil", "edit", &command(article, 1, replaced)).await.accepted();
    let inbox = tool.0.new_inbox();
    let mut answers = tool.0.subscribe(format!("{inbox}.*")).await.unwrap();
    let redact = json!({"words": "A name that must go.", "ground": "Court order 7"});
    let edit = json!({"ops": [{"op": "replace", "block": "b1", "text": "Yet other words."}]});
    for (place, actor, kind, data) in [(3, "carl", "redact", redact), (4, "emil", "edit", edit)] {
        let (subject, reply) = (format!("copydesk.command.{actor}.{kind}"), format!("{inbox}.{place}"));
        let body = command(article, 2, data).to_string();
        tool.0.publish_with_reply(subject, reply, body.into()).await.unwrap();
    }
    for _ in 0..2 {
        let answer = within(answers.next()).await.unwrap();
        let place: u64 = answer.subject.rsplit('.').next().unwrap().parse().unwrap();
        assert_eq!(Said::read(&answer).accepted()["version"], json!(place));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_at_once_is_answered_busy_and_room_comes_back() {
    const BURST: usize = 300;
    let server = NatsServer::start();
    let options = Options { in_flight: 2, ..Options::default() };
    let metrics = Arc::clone(&options.metrics);
    let instance = Instance::with(server.client().await, server.client().await, options).await;
    let tool = Tool::new(&server).await;
    let inbox = tool.0.new_inbox();
    let mut answers = tool.0.subscribe(inbox.clone()).await.unwrap();
    for _ in 0..BURST {
        let body = draft(Uuid::new_v4(), "Words.").to_string();
        tool.0.publish_with_reply("copydesk.command.ana.draft", inbox.clone(), body.into()).await.unwrap();
    }
    let (mut taken, mut busy) = (0, 0);
    for _ in 0..BURST {
        match Said::read(&within(answers.next()).await.unwrap()) {
            said if said.status == 200 => taken += 1,
            said => {
                said.refused(429, "busy");
                busy += 1;
            }
        }
    }
    assert!(taken > 0 && busy > 0, "{taken} taken, {busy} busy");
    assert_eq!(instance.stats.busy(), busy);
    let counted = metrics.render(&[]);
    for (outcome, count) in [("accepted", taken), ("busy", busy)] {
        let line = format!("copydesk_commands_total{{type=\"draft\",outcome=\"{outcome}\"}} {count}\n");
        assert!(counted.contains(&line), "{line} in {counted}");
    }
    for _ in 0..5 {
        tool.draft("There is room again.").await;
    }
    // Nothing fits where no command may be under way, and the answer still comes at once.
    let none = Options { in_flight: 0, prefix: "none".to_owned(), ..Options::default() };
    let desk = Arc::clone(&instance.service.desk);
    let gateway = Gateway::open(server.client().await, desk, none).await.unwrap();
    let serving = tokio::spawn(gateway.serve(std::future::pending()));
    let body = draft(Uuid::new_v4(), "Words.").to_string();
    let answer = within(tool.0.request("none.command.ana.draft", body.into())).await.unwrap();
    Said::read(&answer).refused(429, "busy");
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_can_be_discovered() {
    let server = NatsServer::start();
    let _one = Instance::start(&server).await;
    let tool = Tool::new(&server).await;
    tool.draft("Words.").await;
    tool.send("ana", "draft", &json!({})).await.refused(400, "invalid");
    let ask = async |subject: String| -> Value {
        let answer = within(tool.0.request(subject, Bytes::new())).await.unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    };
    let ping = ask("$SRV.PING".to_owned()).await;
    assert_eq!(ping["type"], "io.nats.micro.v1.ping_response");
    assert_eq!((&ping["name"], &ping["version"]), (&json!("copydesk"), &json!(env!("CARGO_PKG_VERSION"))));
    let id = ping["id"].as_str().unwrap();
    // The client library's own types read what a micro service says.
    let info: async_nats::service::Info =
        serde_json::from_value(ask(format!("$SRV.INFO.copydesk.{id}")).await).unwrap();
    assert_eq!((info.kind.as_str(), info.id.as_str()), ("io.nats.micro.v1.info_response", id));
    assert_eq!(info.description, env!("CARGO_PKG_DESCRIPTION"));
    let endpoint = &info.endpoints[0];
    assert_eq!((&*endpoint.subject, &*endpoint.queue_group), ("copydesk.command.*.*", "copydesk"));
    let stats = ask("$SRV.STATS.copydesk".to_owned()).await;
    assert_eq!(stats["type"], "io.nats.micro.v1.stats_response");
    let stats: async_nats::service::Stats = serde_json::from_value(stats).unwrap();
    let command = &stats.endpoints[0];
    assert_eq!((command.requests, command.errors), (2, 1));
    let last = command.last_error.as_ref().unwrap();
    assert_eq!((last.code, &*last.status), (400, "invalid"));
    assert!(command.processing_time > command.average_processing_time);
    for other in ["$SRV.PING.other", "$SRV.PING.copydesk.other"] {
        let error = within(tool.0.request(other, Bytes::new())).await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::NoResponders, "{other}");
    }
    let _two = Instance::start(&server).await;
    let inbox = tool.0.new_inbox();
    let mut pongs = tool.0.subscribe(inbox.clone()).await.unwrap();
    tool.0.publish_with_reply("$SRV.PING.copydesk", inbox, Bytes::new()).await.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 2 {
        let pong: Value = serde_json::from_slice(&within(pongs.next()).await.unwrap().payload).unwrap();
        assert!(seen.insert(pong["id"].to_string()), "each instance says so once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_sent_again_to_another_instance_gets_its_first_answer() {
    let server = NatsServer::start();
    let mut first = Instance::start(&server).await;
    let tool = Tool::new(&server).await;
    let id = Uuid::new_v4();
    let body = draft(id, "Words.");
    let mut answer = tool.send("ana", "draft", &body).await.accepted();
    assert_eq!(answer["duplicate"], json!(false));
    first.stop_gateway().await.unwrap();
    let second = Instance::start(&server).await;
    answer["duplicate"] = json!(true);
    assert_eq!(tool.send("ana", "draft", &body).await.accepted(), answer);
    tool.send("ana", "draft", &draft(id, "Other words.")).await.refused(409, "id_reused");
    tool.send("emil", "draft", &body).await.refused(409, "id_reused");
    assert_eq!(second.events_of(uuid_of(&answer["article"])).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_command_sent_to_all_instances_at_once_is_one_event() {
    let server = NatsServer::start();
    let instances = [Instance::start(&server).await, Instance::start(&server).await];
    let tool = Tool::new(&server).await;
    for _ in 0..10 {
        let body = Arc::new(draft(Uuid::new_v4(), "Words."));
        let mut sending = JoinSet::new();
        for _ in 0..20 {
            let (tool, body) = (tool.clone(), Arc::clone(&body));
            sending.spawn(async move { tool.send("ana", "draft", &body).await.accepted() });
        }
        let answers = within(sending.join_all()).await;
        let firsts = answers.iter().filter(|answer| answer["duplicate"] == json!(false)).count();
        assert_eq!(firsts, 1, "{answers:#?}");
        assert!(answers.iter().all(|answer| answer["seq"] == answers[0]["seq"]));
    }
    assert!(instances.iter().all(|instance| instance.stats.answered() > 0), "both had their part");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_racing_on_one_article_lose_nothing_and_repeat_nothing() {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    let server = NatsServer::start();
    let instances = [Instance::start(&server).await, Instance::start(&server).await];
    let tool = Tool::new(&server).await;
    let drafted = tool.send("ana", "draft", &draft(Uuid::new_v4(), "Words.")).await.accepted();
    let article = uuid_of(&drafted["article"]);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let tool = Tool::new(&server).await;
        writers.spawn(async move {
            let mut answered = Vec::new();
            for number in 0..EACH {
                let body = command(article, 1, json!({"text": format!("Query {writer}/{number}?")}));
                let answer = tool.send("eva", "ask", &body).await.accepted();
                answered.push((uuid_of(&body["id"]), answer["seq"].as_u64().unwrap()));
            }
            answered
        });
    }
    let answered: BTreeMap<Uuid, u64> = within(writers.join_all()).await.into_iter().flatten().collect();
    assert_eq!(answered.len(), WRITERS * EACH);
    let events = instances[0].events_of(article).await;
    let mut all = answered;
    all.insert(events[0].0, drafted["seq"].as_u64().unwrap());
    for instance in &instances {
        instance.has_exactly(article, &all).await;
        instance.service.check_fold().await.unwrap();
        assert!(instance.stats.answered() > 0, "both had their part");
    }
}

/// Sends a command again, with its id, until it is told what became of it.
async fn insist(tool: &Tool, actor: &str, kind: &str, body: &Value) -> Value {
    loop {
        let subject = format!("copydesk.command.{actor}.{kind}");
        match within(tool.0.request(subject, body.to_string().into())).await {
            Ok(answer) => {
                let said = Said::read(&answer);
                if said.status == 503 {
                    continue;
                }
                return said.accepted();
            }
            Err(error) if error.kind() == RequestErrorKind::NoResponders => tokio::task::yield_now().await,
            Err(_) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_load_loses_no_answer_and_repeats_none() {
    const WRITERS: usize = 6;
    const KILLS: usize = 3;
    let mut server = NatsServer::with(&Setup { sync_always: true, ..Setup::default() });
    let instance = Instance::start(&server).await;
    let done = Arc::new(AtomicUsize::new(0));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let options = async_nats::ConnectOptions::new()
            .reconnect_delay_callback(|_| Duration::from_millis(20))
            .request_timeout(Some(Duration::from_secs(1)));
        let tool = Tool(options.connect(server.url()).await.unwrap());
        let (done, stopped) = (Arc::clone(&done), stopped.clone());
        writers.spawn(async move {
            let body = draft(Uuid::new_v4(), "Words.");
            let drafted = insist(&tool, "ana", "draft", &body).await;
            let article = uuid_of(&drafted["article"]);
            let mut answered = BTreeMap::from([(uuid_of(&body["id"]), drafted["seq"].as_u64().unwrap())]);
            while !*stopped.borrow() && answered.len() < 400 {
                let body = command(article, 1, json!({"text": format!("Query {}?", answered.len())}));
                let answer = insist(&tool, "eva", "ask", &body).await;
                answered.insert(uuid_of(&body["id"]), answer["seq"].as_u64().unwrap());
                done.fetch_add(1, Ordering::Relaxed);
            }
            (article, answered)
        });
    }
    let more = async |than: usize| {
        while done.load(Ordering::Relaxed) < than {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    for _ in 0..KILLS {
        within(more(done.load(Ordering::Relaxed) + 40)).await;
        server.kill();
        server.start_again();
    }
    within(more(done.load(Ordering::Relaxed) + 40)).await;
    stop.send(true).unwrap();
    for (article, answered) in within(writers.join_all()).await {
        instance.has_exactly(article, &answered).await;
    }
    instance.service.check_fold().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_answers_what_was_taken_before_it() {
    const COMMANDS: usize = 500;
    let server = NatsServer::start();
    let mut instance = Instance::start(&server).await;
    let tool = Tool::new(&server).await;
    let inbox = tool.0.new_inbox();
    let mut answers = tool.0.subscribe(inbox.clone()).await.unwrap();
    for _ in 0..COMMANDS {
        let body = draft(Uuid::new_v4(), "Words.").to_string();
        tool.0.publish_with_reply("copydesk.command.ana.draft", inbox.clone(), body.into()).await.unwrap();
    }
    // Once one is answered, all of them are with the gateway or on the way to it.
    within(answers.next()).await.unwrap();
    instance.stop_gateway().await.unwrap();
    for _ in 1..COMMANDS {
        Said::read(&within(answers.next()).await.unwrap()).accepted();
    }
    let error = within(tool.0.request("copydesk.command.ana.draft", Bytes::new())).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders, "nobody takes commands any more");
}

#[tokio::test]
async fn a_lost_connection_comes_back() {
    let mut server = NatsServer::start();
    let client = connect(&server.url(), None, "answers").await.unwrap();
    let mut echo = client.subscribe("a").await.unwrap();
    server.kill();
    server.start_again();
    // What is sent before the loss is noticed goes down with the connection.
    within(async {
        loop {
            client.publish("a", "one".into()).await.unwrap();
            if tokio::time::timeout(Duration::from_millis(50), echo.next()).await.is_ok() {
                break;
            }
        }
    })
    .await;
    let error = connect("nats://127.0.0.1:1", None, "answers").await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_who_sends_too_often_is_busy_and_nobody_else_is() {
    let server = NatsServer::start();
    let rate = copydesk::door::Rate { per_second: 1, burst: 3 };
    let options = Options { rate, ..Options::default() };
    let _instance = Instance::with(server.client().await, server.client().await, options).await;
    let tool = Tool::new(&server).await;
    let mut busy = 0;
    for _ in 0..20 {
        let said = tool.send("ana", "draft", &json!({})).await;
        busy += usize::from(said.status == 429);
        assert!(["busy", "invalid"].contains(&said.code.as_deref().unwrap()), "{said:?}");
    }
    assert!(busy >= 10, "{busy}");
    tool.send("eva", "draft", &json!({})).await.refused(400, "invalid");
}
