//! A NATS server on what `copydesk nats-config` prints, a service and readers' side over it, and everything that people
//! with each key and with none might try.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions, Event, HeaderMap};
use bytes::Bytes;
use futures::StreamExt;
use nkeys::KeyPair;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Serving, send};
use crate::instance::{Said, draft};
use crate::log_contract::within;
use crate::nats_server::NatsServer;

const PEOPLE: [&str; 6] = ["ana", "eva", "chen", "pia", "carl", "audra"];

/// The house: a server, a desk, and a process that serves readers, each with its own key.
struct House {
    prefix: &'static str,
    keys: tempfile::TempDir,
    server: NatsServer,
    desk: Serving,
    feed: Serving,
}

/// A connection with a key, and what the server refused it.
struct Connected {
    client: Client,
    refused: Arc<Mutex<Vec<String>>>,
}

/// What `copydesk nats-config` prints for a newsroom, its keys drawn into a folder.
fn printed(prefix: &str, keys: &Path) -> String {
    let config = keys.join("copydesk.toml");
    let mut text =
        format!("[desk]\nprefix = {prefix:?}\n[nats.subscribers.site]\n[nats.subscribers.archive]\n");
    for name in PEOPLE {
        let role = if name == "carl" { "chief" } else { "reporter" };
        text += &format!("[people.{name}]\nroles = [{role:?}]\n");
    }
    std::fs::write(&config, text).unwrap();
    let print = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_copydesk"));
        let command = command.arg("nats-config").arg("--config").arg(&config);
        let output = command.arg("--new-keys").arg(keys.join("keys")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = print();
    assert_eq!(print(), first, "keys that are there are kept");
    for file in ["answers.nk", "writes.nk", "feed.nk", "people/ana.nk", "subscribers/site.nk"] {
        let path = keys.join("keys").join(file);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        assert!(!first.contains(std::fs::read_to_string(path).unwrap().trim()), "no seed is printed");
    }
    first
}

impl House {
    fn open(prefix: &'static str) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let server = NatsServer::configured(&printed(prefix, keys.path()));
        let key = |name: &str| keys.path().join("keys").join(name);
        let arguments = |parts: &str| ["--nats", &server.url(), "--parts", parts].map(str::to_owned).to_vec();
        let nats = format!(
            "[nats]\nanswer_credentials = {:?}\nwrite_credentials = {:?}\n[nats.subscribers.site]\n\
             [nats.subscribers.archive]\n",
            key("answers.nk"),
            key("writes.nk")
        );
        let desk = Serving::start_as(prefix, &nats, arguments("desk,wire,feed"));
        let nats = format!("[nats]\nfeed_credentials = {:?}\n", key("feed.nk"));
        let feed = Serving::without_people_as(prefix, &nats, arguments("feed"));
        Self { prefix, keys, server, desk, feed }
    }

    async fn connect(&self, key: &str, inboxes: &str) -> Connected {
        let seed = std::fs::read_to_string(self.keys.path().join("keys").join(format!("{key}.nk"))).unwrap();
        let refused: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&refused);
        let options = ConnectOptions::with_nkey(seed.trim().to_owned())
            .custom_inbox_prefix(inboxes)
            .request_timeout(Some(Duration::from_secs(5)))
            .event_callback(move |event| {
                if let Event::ServerError(error) = event {
                    heard.lock().unwrap().push(error.to_string());
                }
                async {}
            });
        Connected { client: options.connect(self.server.url()).await.unwrap(), refused }
    }

    async fn person(&self, name: &str) -> Connected {
        self.connect(&format!("people/{name}"), &format!("_INBOX.{name}")).await
    }

    /// The ends of every stream, by a connection that may ask: any message that got anywhere shows.
    async fn ends(&self) -> Value {
        let writes = self.connect("writes", "_INBOX.copydesk").await.client;
        let mut ends = json!({});
        let names = within(writes.request("$JS.API.STREAM.NAMES", Bytes::new())).await.unwrap();
        let names: Value = serde_json::from_slice(&names.payload).unwrap();
        for name in names["streams"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let info =
                within(writes.request(format!("$JS.API.STREAM.INFO.{name}"), Bytes::new())).await.unwrap();
            let info: Value = serde_json::from_slice(&info.payload).unwrap();
            // Tokens' last uses are written when they are.
            if !name.ends_with("_KEYS") {
                ends[name] =
                    json!([info["state"]["first_seq"], info["state"]["last_seq"], info["state"]["messages"]]);
            }
        }
        ends
    }

    fn stream(&self, name: &str) -> String {
        format!("{}_{name}", self.prefix.to_uppercase())
    }

    /// Puts a story out, over HTTP.
    fn publish(&self, headline: &str) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let command = |actor: &str, command: Value| {
            let (status, answer) = send(&agent, self.desk.url(), actor, &command).unwrap();
            assert_eq!(status, 200, "{answer:#}");
            answer["article"].clone()
        };
        let draft = json!({"id": Uuid::new_v4(), "type": "draft", "data": {
            "slug": "s", "language": "en", "section": "world", "headline": headline, "markdown": "Words.",
        }});
        let article = command("ana", draft);
        for (actor, kind) in [("ana", "submit"), ("eva", "approve"), ("pia", "publish")] {
            command(actor, json!({"id": Uuid::new_v4(), "type": kind, "article": article, "base": 1}));
        }
    }

    /// Waits until readers see a story first.
    fn shows(&self, headline: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.feed.get("", "/feed.json").1.contains(headline) {
            assert!(Instant::now() < deadline, "{headline} never came");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Connected {
    /// Waits until the server has refused so much about a subject.
    async fn was_refused(&self, what: &str, subject: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let said = self.refused.lock().unwrap().join("\n").to_lowercase();
            let wanted = format!("{what} to \"{}\"", subject.to_lowercase());
            if said.contains(&wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "{wanted} wasn't refused: {said}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn may_not_publish(&self, subject: &str, body: &str) {
        self.client.publish(subject.to_owned(), body.to_owned().into()).await.unwrap();
        self.was_refused("permissions violation for publish", subject).await;
    }

    async fn may_not_subscribe(&self, subject: &str) {
        let mut heard = self.client.subscribe(subject.to_owned()).await.unwrap();
        self.was_refused("permissions violation for subscription", subject).await;
        assert!(futures::FutureExt::now_or_never(heard.next()).flatten().is_none());
    }

    /// Sends with a reply subject of the sender's choice.
    async fn send(&self, subject: &str, reply: &str, body: &str) {
        let (subject, reply) = (subject.to_owned(), reply.to_owned());
        self.client.publish_with_reply(subject, reply, body.to_owned().into()).await.unwrap();
        self.client.flush().await.unwrap();
    }
}

/// What nobody outside the service may publish.
fn forbidden(house: &House) -> Vec<(String, String)> {
    let (prefix, events, wire) = (house.prefix, house.stream("EVENTS"), house.stream("WIRE"));
    let article = Uuid::new_v4();
    let push = |stream: &str, to: &str| {
        json!({"stream_name": stream, "config": {"name": "x", "durable_name": "x", "ack_policy": "none",
               "deliver_subject": to}})
        .to_string()
    };
    let shadow = json!({"name": "SHADOW", "subjects": [format!("{prefix}.command.>")]}).to_string();
    let mut all = vec![
        (format!("{prefix}.event.{article}"), "{}".to_owned()),
        (format!("{prefix}.event.desk"), "{}".to_owned()),
        (format!("{prefix}.wire.world"), "{}".to_owned()),
        (format!("{prefix}.keys.token.x"), "{}".to_owned()),
        ("$JS.API.STREAM.CREATE.SHADOW".to_owned(), shadow),
        ("$JS.API.STREAM.NAMES".to_owned(), String::new()),
        ("$JS.API.INFO".to_owned(), String::new()),
        ("$SYS.REQ.SERVER.PING".to_owned(), String::new()),
        ("$SRV.PING".to_owned(), String::new()),
        ("_INBOX.copydesk.x".to_owned(), "{}".to_owned()),
    ];
    for stream in [&events, &house.stream("KEYS")] {
        all.push((format!("$JS.API.STREAM.INFO.{stream}"), String::new()));
        all.push((format!("$JS.API.STREAM.MSG.GET.{stream}"), json!({"seq": 1}).to_string()));
        all.push((format!("$JS.API.DIRECT.GET.{stream}"), json!({"seq": 1}).to_string()));
        all.push((format!("$JS.API.CONSUMER.CREATE.{stream}.x"), push(stream, "_INBOX.ana.events")));
        all.push((format!("$JS.API.CONSUMER.DURABLE.CREATE.{stream}.x"), push(stream, "_INBOX.ana.events")));
    }
    for stream in [&events, &wire] {
        all.push((format!("$JS.API.STREAM.PURGE.{stream}"), String::new()));
        all.push((format!("$JS.API.STREAM.DELETE.{stream}"), String::new()));
        all.push((format!("$JS.API.STREAM.UPDATE.{stream}"), "{}".to_owned()));
        all.push((format!("$JS.API.STREAM.MSG.DELETE.{stream}"), json!({"seq": 1}).to_string()));
    }
    for to in
        [format!("{prefix}.command.carl.publish"), format!("{prefix}.event.{article}"), "_INBOX.ana.x".into()]
    {
        for name in ["site", "archive", "x"] {
            all.push((format!("$JS.API.CONSUMER.CREATE.{wire}.{name}"), push(&wire, &to)));
            all.push((format!("$JS.API.CONSUMER.DURABLE.CREATE.{wire}.{name}"), push(&wire, &to)));
        }
    }
    all.push((format!("$JS.API.CONSUMER.DELETE.{wire}.archive"), String::new()));
    // And by the name that other accounts have for the log's streams.
    let shared = format!("$JS.{}.API.", house.prefix.to_uppercase());
    let renamed = |(subject, body): &(String, String)| {
        Some((format!("{shared}{}", subject.strip_prefix("$JS.API.")?), body.clone()))
    };
    let again: Vec<_> = all.iter().filter_map(renamed).collect();
    all.extend(again);
    all
}

const OVERHEARD: [&str; 6] = [">", "_INBOX.>", "_INBOX.copydesk.>", "$SYS.>", "$JS.EVENT.>", "$SRV.>"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newsroom_tool_sends_its_own_commands_and_can_do_nothing_else() {
    let house = House::open("copydesk");
    house.publish("First");
    let ana = house.person("ana").await;
    let carl = house.person("carl").await;
    let mut to_carl = carl.client.subscribe("_INBOX.carl.>").await.unwrap();
    carl.client.flush().await.unwrap();
    let own = |body: Value| {
        let client = ana.client.clone();
        async move {
            let asked = client.request("copydesk.command.ana.draft", body.to_string().into());
            Said::read(&within(asked).await.unwrap())
        }
    };
    own(draft(Uuid::new_v4(), "Words.")).await.accepted();
    let before = house.ends().await;

    for subject in OVERHEARD {
        ana.may_not_subscribe(subject).await;
    }
    for subject in
        ["copydesk.>", "copydesk.command.*.*", "copydesk.event.>", "copydesk.wire.>", "_INBOX.carl.>"]
    {
        ana.may_not_subscribe(subject).await;
    }
    let _queue = ana.client.queue_subscribe("copydesk.command.*.*", "copydesk".into()).await.unwrap();
    let _queue = ana.client.queue_subscribe("copydesk.command.carl.*", "copydesk".into()).await.unwrap();
    ana.was_refused("permissions violation for subscription", "copydesk.command.carl.*").await;
    for (subject, body) in forbidden(&house) {
        ana.may_not_publish(&subject, &body).await;
    }
    for subject in
        ["copydesk.command.carl.publish", "copydesk.command.ana.x.y", "copydesk.command.ana", "_INBOX.carl.x"]
    {
        ana.may_not_publish(subject, &draft(Uuid::new_v4(), "CANARY").to_string()).await;
    }

    // Answers led astray: to the log, the wire, JetStream, as another's command, into others' inboxes.
    let wire_reply = format!("copydesk.event.{}", Uuid::new_v4());
    for reply in [
        wire_reply.as_str(),
        "copydesk.wire.world",
        "copydesk.command.carl.draft",
        "$JS.API.STREAM.DELETE.COPYDESK_EVENTS",
        "$JS.API.STREAM.PURGE.COPYDESK_WIRE",
        "$JS.ACK.COPYDESK_WIRE.site.1.1.1.1.1",
        "_INBOX.carl.x",
        "_INBOX.copydesk.x",
        "_INBOX.copydesk-feed.x",
        "$SYS.REQ.SERVER.PING",
    ] {
        ana.send("copydesk.command.ana.draft", reply, &draft(Uuid::new_v4(), "CANARY").to_string()).await;
    }
    // What says who is asking is the subject, not what the message says.
    let mut headers = HeaderMap::new();
    headers.insert("X-Remote-User", "carl");
    headers.insert("Authorization", "Bearer token-of-carl");
    let forged = ana.client.request_with_headers("copydesk.command.ana.restrict", headers, "{}".into());
    Said::read(&within(forged).await.unwrap()).refused(400, "invalid");
    own(json!({})).await.refused(400, "invalid");

    assert_eq!(house.ends().await, before, "nothing got anywhere");
    assert!(futures::FutureExt::now_or_never(to_carl.next()).is_none(), "carl's inbox is carl's");
    own(draft(Uuid::new_v4(), "Words.")).await.accepted();
    assert_ne!(house.ends().await, before);
    assert!(!house.desk.said().contains("CANARY"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_takes_the_wire_by_its_own_consumer_and_can_do_nothing_else() {
    let house = House::open("daily");
    house.publish("First");
    house.publish("Second");
    house.shows("Second");
    let site = house.connect("subscribers/site", "_INBOX.site").await;
    let next = "$JS.DAILY.API.CONSUMER.MSG.NEXT.DAILY_WIRE.site";
    let mut inbox = site.client.subscribe("_INBOX.site.wire").await.unwrap();
    let before = house.ends().await;

    for subject in OVERHEARD.into_iter().chain(["daily.>", "daily.wire.>", "_INBOX.ana.>"]) {
        site.may_not_subscribe(subject).await;
    }
    for (subject, body) in forbidden(&house) {
        site.may_not_publish(&subject, &body).await;
    }
    for subject in [
        "daily.command.ana.draft",
        "daily.command.site.draft",
        "$JS.API.CONSUMER.INFO.DAILY_WIRE.archive",
        "$JS.API.CONSUMER.MSG.NEXT.DAILY_WIRE.archive",
        "$JS.ACK.DAILY_WIRE.archive.1.1.1.1.1",
        "$JS.API.CONSUMER.LIST.DAILY_WIRE",
        "$JS.API.CONSUMER.PAUSE.DAILY_WIRE.archive",
        "$JS.API.STREAM.MSG.GET.DAILY_WIRE",
        "$JS.API.STREAM.INFO.DAILY_WIRE",
    ] {
        site.may_not_publish(subject, "{}").await;
    }
    // Messages and acknowledgements led elsewhere stay in its own account, where nothing is.
    let event = format!("daily.event.{}", Uuid::new_v4());
    let pull = json!({"batch": 1, "no_wait": true}).to_string();
    for reply in
        [event.as_str(), "daily.command.carl.publish", "_INBOX.ana.x", "$JS.API.STREAM.DELETE.DAILY_WIRE"]
    {
        site.send(next, reply, &pull).await;
        site.send("$JS.ACK.DAILY_WIRE.site.1.1.1.1.1", reply, "+NXT").await;
    }

    assert_eq!(house.ends().await, before, "nothing got anywhere");

    // The wire comes, an edition at a time (but for what it led elsewhere), and what was acknowledged doesn't come again.
    let info = within(site.client.request("$JS.DAILY.API.CONSUMER.INFO.DAILY_WIRE.site", Bytes::new()))
        .await
        .unwrap();
    let info: Value = serde_json::from_slice(&info.payload).unwrap();
    assert_eq!(info["config"]["durable_name"], "site", "{info:#}");
    let mut seen = std::collections::BTreeSet::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    house.publish("Third");
    while !seen.contains("Third") {
        assert!(Instant::now() < deadline, "{seen:?}");
        let pull = json!({"batch": 1, "expires": 5_000_000_000_u64}).to_string();
        site.client.publish_with_reply(next, "_INBOX.site.wire", pull.into()).await.unwrap();
        let Ok(Some(message)) = tokio::time::timeout(Duration::from_secs(6), inbox.next()).await else {
            continue;
        };
        let Some(acknowledge) = message.reply.clone().filter(|_| message.status.is_none()) else { continue };
        let ninjs: Value = serde_json::from_slice(&message.payload).unwrap();
        seen.insert(ninjs["headlines"][0]["value"].as_str().unwrap().to_owned());
        within(site.client.request(acknowledge, "+ACK".into())).await.unwrap();
    }
    let said = house.desk.get("audra", "/v1/deliveries").1;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert!(said.to_string().contains("\"site\""), "{said:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_readers_side_reads_the_wire_and_can_do_nothing_else() {
    let house = House::open("copydesk");
    house.publish("First");
    house.shows("First");
    let thief = house.connect("feed", "_INBOX.copydesk-feed").await;
    let mut inbox = thief.client.subscribe("_INBOX.copydesk-feed.x").await.unwrap();
    let before = house.ends().await;
    for subject in OVERHEARD.into_iter().chain(["copydesk.>", "_INBOX.ana.>"]) {
        thief.may_not_subscribe(subject).await;
    }
    for (subject, body) in forbidden(&house) {
        thief.may_not_publish(&subject, &body).await;
    }
    for subject in [
        "copydesk.command.ana.draft",
        "$JS.API.CONSUMER.MSG.NEXT.COPYDESK_WIRE.site",
        "$JS.API.CONSUMER.INFO.COPYDESK_WIRE.site",
        "$JS.ACK.COPYDESK_WIRE.site.1.1.1.1.1",
    ] {
        thief.may_not_publish(subject, "{}").await;
    }
    let get = "$JS.COPYDESK.API.STREAM.MSG.GET.COPYDESK_WIRE";
    for reply in ["copydesk.event.x", "copydesk.command.carl.publish", "_INBOX.ana.x", "copydesk.wire.world"]
    {
        thief.send(get, reply, &json!({"seq": 1}).to_string()).await;
    }
    thief.send(get, "_INBOX.copydesk-feed.x", &json!({"seq": 1}).to_string()).await;
    let got = within(inbox.next()).await.unwrap();
    assert!(String::from_utf8_lossy(&got.payload).contains("copydesk.wire.world"));
    assert_eq!(house.ends().await, before, "nothing got anywhere");
    house.publish("Second");
    house.shows("Second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_comes_in_without_a_key_and_the_service_has_no_more_rights_than_it_needs() {
    let house = House::open("copydesk");
    assert!(async_nats::connect(house.server.url()).await.is_err());
    let unknown = ConnectOptions::with_nkey(KeyPair::new_user().seed().unwrap());
    assert!(unknown.connect(house.server.url()).await.is_err());
    let named = ConnectOptions::with_user_and_password("copydesk".into(), String::new());
    assert!(named.connect(house.server.url()).await.is_err());

    let answers = house.connect("answers", "_INBOX.copydesk").await;
    let event = format!("copydesk.event.{}", Uuid::new_v4());
    for subject in
        [&event, "copydesk.wire.world", "copydesk.command.ana.draft", "$JS.API.INFO", "_INBOX.copydesk.x"]
    {
        answers.may_not_publish(subject, "{}").await;
    }
    answers.may_not_subscribe("copydesk.command.*.*").await;
    let writes = house.connect("writes", "_INBOX.copydesk").await;
    for subject in ["copydesk.command.ana.draft", "$JS.API.STREAM.PURGE.COPYDESK_EVENTS", "_INBOX.ana.x"] {
        writes.may_not_publish(subject, "{}").await;
    }
    for subject in ["copydesk.command.>", "copydesk.event.>", "_INBOX.ana.>"] {
        writes.may_not_subscribe(subject).await;
    }
}
