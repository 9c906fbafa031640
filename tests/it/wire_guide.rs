//! The consumers of docs/WIRE.md, as a subscriber runs them: on the server's configuration of deploy/, with the rights
//! that it gives a subscriber. Killed and started again, they miss nothing and keep nothing that was taken back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::{Client, HeaderMap, jetstream};
use copydesk::nats::connect;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::deploy;
use crate::harness::{Serving, send};
use crate::nats_server::NatsServer;

/// How long a consumer may take to have what it is to have: its acknowledgements may take 10 s to run out, twice.
const PATIENCE: Duration = Duration::from_secs(60);

/// What each client runs: its name, section and since when.
const RUNS: [(&str, &str, &str); 3] = [("all", "", "start"), ("world", "world", "start"), ("now", "", "now")];

/// A story of the wire, or any file of a consumer's.
type Files = BTreeMap<String, Vec<u8>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The commands that run the consumers, by client. What is left out is printed.
fn clients(folder: &Path) -> Vec<(String, Vec<PathBuf>)> {
    let said = Command::new(root().join("scripts/wire-clients")).output().unwrap();
    assert!(
        said.status.success(),
        "this test runs the wire's consumers, and scripts/wire-clients can't make them ready:\n{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let source = |file: &str| root().join("docs/wire").join(file);
    let mut clients = Vec::new();
    for line in String::from_utf8(said.stdout).unwrap().lines() {
        let (name, program) = line.split_once(' ').unwrap();
        let command = match name {
            "python" => vec![program.into(), source("consumer.py")],
            "node" => vec![program.into(), source("consumer.mjs")],
            "go" if !Path::new(program).is_file() => {
                println!("docs/wire/consumer.go was NOT tested: {program}");
                continue;
            }
            "go" => {
                let built = folder.join("consumer-go");
                let mut go = Command::new(program);
                go.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOFLAGS", "");
                let built_it =
                    go.args(["build", "-o"]).arg(&built).arg(source("consumer.go")).status().unwrap();
                assert!(built_it.success(), "docs/wire/consumer.go doesn't build");
                vec![built]
            }
            other => panic!("{other} is no client"),
        };
        clients.push((name.to_owned(), command));
    }
    assert!(clients.len() >= 2, "{clients:?}");
    clients
}

/// A consumer of a client's, running or not.
struct Consumer {
    name: String,
    section: &'static str,
    since: &'static str,
    command: Vec<PathBuf>,
    key: PathBuf,
    folder: PathBuf,
    child: Option<Child>,
}

impl Consumer {
    fn start(&mut self, server: &NatsServer) {
        let said = std::fs::File::create(self.folder.with_extension("said")).unwrap();
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).args([&server.url(), &self.name]).arg(&self.folder);
        command.args([self.section, self.since]).env("NATS_NKEY", &self.key);
        self.child = Some(command.stdout(Stdio::null()).stderr(said).spawn().unwrap());
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.with_extension("said")).unwrap_or_default()
    }

    /// What it keeps, without the files of these names' beginnings.
    fn keeps(&self, apart_from: &[&str]) -> Files {
        let mut files = Files::new();
        for file in std::fs::read_dir(&self.folder).into_iter().flatten() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            // A file that is being written has another name by the time it is read.
            if !apart_from.iter().any(|start| name.starts_with(start)) && !name.ends_with(".new") {
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
        files
    }

    /// Waits until it is so, and says what the consumer said where it never is.
    fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(
                Instant::now() < deadline,
                "{}: {what}, in vain: {:?}\n{}",
                self.name,
                self.keeps(&[]).keys(),
                self.said()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A newsroom, its server, and everyone who takes its wire.
struct House {
    server: NatsServer,
    desk: Serving,
    agent: ureq::Agent,
    consumers: Vec<Consumer>,
    writes: Client,
    _folder: TempDir,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = deploy::keys();
        for (name, key) in &keys {
            std::fs::write(folder.path().join(name), key.seed().unwrap()).unwrap();
        }
        let file = |name: &str| folder.path().join(name);
        let mut config = deploy::servers_configuration(&keys);
        let site = keys.iter().find(|(name, _)| *name == "COPYDESK_SITE").unwrap().1.public_key();
        let mut consumers = Vec::new();
        for (client, command) in clients(folder.path()) {
            for (run, section, since) in RUNS {
                let name = format!("{client}-{run}");
                let key = KeyPair::new_user();
                config = with_subscriber(&config, &site, &name, &key.public_key());
                std::fs::write(file(&name).with_extension("nk"), key.seed().unwrap()).unwrap();
                let (key, folder) = (file(&name).with_extension("nk"), file(&name));
                let command = command.clone();
                consumers.push(Consumer { name, section, since, command, key, folder, child: None });
            }
        }
        let server = NatsServer::configured(&config);
        let arguments = ["--nats", &server.url(), "--parts", "desk,wire"].map(str::to_owned).to_vec();
        let rights = format!(
            "[nats]\nanswer_credentials = {:?}\nwrite_credentials = {:?}",
            file("COPYDESK_ANSWERS"),
            file("COPYDESK_WRITES")
        );
        let desk = Serving::start(&rights, arguments);
        let writes = connect(&server.url(), Some(&file("COPYDESK_WRITES")), "test").await.unwrap();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { server, desk, agent, consumers, writes, _folder: folder }
    }

    fn command(&self, actor: &str, mut command: Value) -> Value {
        command["id"] = json!(Uuid::new_v4());
        let deadline = Instant::now() + PATIENCE;
        loop {
            match send(&self.agent, self.desk.url(), actor, &command).unwrap() {
                (200, answer) => return answer,
                (503, _) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
                (status, answer) => panic!("{status} {answer:#}"),
            }
        }
    }

    fn publish(&self, section: &str) -> Value {
        let fields = json!({"slug": "s", "language": "ar", "headline": "ارتفع النهر 🌊", "section": section,
                            "markdown": "It rose ]]> & rose."});
        let article = self.command("ana", json!({"type": "draft", "data": fields}))["article"].clone();
        self.command("ana", json!({"type": "submit", "article": article, "base": 1}));
        self.out(&article, 1, json!({}));
        article
    }

    fn out(&self, article: &Value, base: u32, data: Value) {
        self.command("eva", json!({"type": "approve", "article": article, "base": base}));
        self.command("pia", json!({"type": "publish", "article": article, "base": base, "data": data}));
    }

    fn correct(&self, article: &Value) {
        let set = json!({"set": {"headline": "Two rivers rose"}});
        self.command("ana", json!({"type": "edit", "article": article, "base": 1, "data": set}));
        self.out(article, 2, json!({"kind": "correction", "note": "There were two."}));
    }

    fn withdraw(&self, article: &Value, base: u32) {
        let data = json!({"notice": "It was wrong."});
        self.command("pia", json!({"type": "withdraw", "article": article, "base": base, "data": data}));
    }

    async fn wire(&self) -> jetstream::stream::Stream {
        jetstream::new(self.writes.clone()).get_stream("COPYDESK_WIRE").await.unwrap()
    }

    /// The newest message of every article after a position of the wire, once the wire has this many.
    async fn newest(&self, section: &str, after: u64, upto: u64) -> Files {
        let (home, below) = (format!("copydesk.wire.{section}"), format!("copydesk.wire.{section}."));
        let deadline = Instant::now() + PATIENCE;
        let wire = self.wire().await;
        while wire.get_info().await.unwrap().state.last_sequence < upto {
            assert!(Instant::now() < deadline, "the wire never had {upto}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut newest = Files::new();
        for seq in after + 1..=upto {
            let message = wire.get_raw_message(seq).await.unwrap();
            if section.is_empty() || *message.subject == home || message.subject.starts_with(&below) {
                let id = message.headers.get("Nats-Msg-Id").unwrap().as_str();
                newest.insert(format!("{}.json", id.split_once('/').unwrap().0), message.payload.to_vec());
            }
        }
        newest
    }

    /// Waits until all of them keep exactly what they should.
    async fn all_have(&self, since_now: u64, upto: u64) {
        for consumer in &self.consumers {
            let after = if consumer.since == "now" { since_now } else { 0 };
            let expected = self.newest(consumer.section, after, upto).await;
            consumer.until("should keep the newest of each", |it| it.keeps(&["count"]) == expected);
        }
    }

    /// Puts a message on the wire that the service would not.
    async fn by_hand(&self, article: &str, edition: u32, kind: &str, count: u64, body: &'static [u8]) {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("{article}/{edition}"));
        headers.insert("Copydesk-Count", count.to_string());
        headers.insert("Copydesk-Kind", kind);
        let jetstream = jetstream::new(self.writes.clone());
        let sent = jetstream.publish_with_headers("copydesk.wire.world", headers, body.into());
        sent.await.unwrap().await.unwrap();
    }
}

/// The configuration with one more subscriber that has for itself what `site` has.
fn with_subscriber(config: &str, site: &str, name: &str, key: &str) -> String {
    let at = config.find(site).unwrap();
    let start = config[..at].rfind("    {\n").unwrap();
    let end = at + config[at..].find("\n    }\n").unwrap() + "\n    }\n".len();
    let theirs = config[start..end].replace(site, key).replace(".site", &format!(".{name}"));
    assert_eq!(theirs.matches(name).count(), 7, "{theirs}");
    format!("{}{theirs}{}", &config[..end], &config[end..])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guides_consumers_end_up_with_exactly_what_is_out() {
    let mut house = House::open().await;
    let asia = house.publish("world/asia");
    let world = house.publish("world");
    house.publish("worldcup");
    let sport = house.publish("sport");
    house.correct(&world);
    house.withdraw(&sport, 1);
    for consumer in house.consumers.iter_mut().filter(|consumer| consumer.since == "start") {
        consumer.start(&house.server);
    }
    let expected = house.newest("", 0, 6).await;
    assert_eq!(expected.len(), 4);
    let withdrawn: Value =
        serde_json::from_slice(&expected[&format!("{}.json", sport.as_str().unwrap())]).unwrap();
    assert_eq!((&withdrawn["pubStatus"], &withdrawn["headlines"]), (&json!("canceled"), &Value::Null));
    for consumer in house.consumers.iter().filter(|consumer| consumer.since == "start") {
        let expected = house.newest(consumer.section, 0, 6).await;
        consumer.until("should have what was there", |it| it.keeps(&["count"]) == expected);
    }
    // From now on, and not before: they are there once their consumers are.
    for consumer in house.consumers.iter_mut().filter(|consumer| consumer.since == "now") {
        consumer.start(&house.server);
    }
    let wire = house.wire().await;
    for consumer in house.consumers.iter().filter(|consumer| consumer.since == "now") {
        let deadline = Instant::now() + PATIENCE;
        while wire.get_consumer::<jetstream::consumer::pull::Config>(&consumer.name).await.is_err() {
            assert!(Instant::now() < deadline, "{} never was: {}", consumer.name, consumer.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    // Killed in the middle of it, some at each message; what comes meanwhile is not lost.
    for number in 0..6 {
        house.publish(["world", "world/europe", "sport"][number % 3]);
        for consumer in house.consumers.iter_mut().skip(number % 3).step_by(3) {
            consumer.kill();
            if number < 3 {
                consumer.start(&house.server);
            }
        }
    }
    house.correct(&asia);
    house.withdraw(&world, 2);
    for consumer in &mut house.consumers {
        consumer.start(&house.server);
    }
    house.all_have(6, 14).await;

    // The server goes and comes back: they stay.
    house.server.kill();
    house.server.start_again();
    house.publish("world/africa");
    house.withdraw(&asia, 2);
    house.all_have(6, 16).await;
    for consumer in &mut house.consumers {
        let ended = consumer.child.as_mut().unwrap().try_wait().unwrap();
        assert!(ended.is_none(), "{}: {ended:?}\n{}", consumer.name, consumer.said());
    }

    // Made anew, a consumer brings everything again, and it changes nothing.
    let wire = house.wire().await;
    for consumer in &mut house.consumers {
        consumer.kill();
        if consumer.since == "start" {
            wire.delete_consumer(&consumer.name).await.unwrap();
        }
        consumer.start(&house.server);
    }
    let repeated = house.publish("world");
    house.all_have(6, 17).await;
    for consumer in &house.consumers {
        consumer.until("should have counted", |it| it.keeps(&[])["count"] == b"17" || !it.section.is_empty());
    }

    // What can't be read is kept and passed over; a withdrawal takes the text down all the same, and what is older and
    // comes late doesn't put it up again.
    let unread = repeated.as_str().unwrap();
    house.by_hand(unread, 3, "update", 18, b"{\"half an edition").await;
    house.by_hand(unread, 4, "withdrawal", 19, b"[]").await;
    house.by_hand(unread, 2, "update", 20, b"{\"version\":\"2\",\"pubStatus\":\"usable\"}").await;
    for consumer in &house.consumers {
        let file = format!("{unread}.json");
        consumer.until("should have taken it down", |it| {
            let files = it.keeps(&[]);
            files.get("count").is_some_and(|count| count == b"20")
                && files.get("unread-18").is_some_and(|kept| kept == b"{\"half an edition")
                && serde_json::from_slice::<Value>(&files[&file]).unwrap()
                    == json!({"version": "4", "pubStatus": "canceled"})
        });
        assert!(consumer.said().contains(&format!("edition 3 of {unread}")), "{}", consumer.said());
    }

    // A message that is missing is noticed, by whoever takes them all, before anything after it is taken.
    house
        .by_hand(&Uuid::new_v4().to_string(), 1, "first", 22, b"{\"version\":\"1\",\"pubStatus\":\"usable\"}")
        .await;
    for consumer in &mut house.consumers {
        if !consumer.section.is_empty() {
            consumer.until("should have gone on", |it| it.keeps(&[])["count"] == b"22");
            continue;
        }
        let deadline = Instant::now() + PATIENCE;
        let ended = loop {
            if let Some(ended) = consumer.child.as_mut().unwrap().try_wait().unwrap() {
                break ended;
            }
            assert!(Instant::now() < deadline, "{} goes on over a gap", consumer.name);
            std::thread::sleep(Duration::from_millis(20));
        };
        let said = consumer.said();
        assert!(!ended.success() && said.contains("1 messages are missing between 20 and 22"), "{said}");
        assert_eq!(consumer.keeps(&[])["count"], b"20");
    }
    for consumer in &house.consumers {
        println!("{} kept {} stories", consumer.name, consumer.keeps(&["count", "unread"]).len());
    }
}
