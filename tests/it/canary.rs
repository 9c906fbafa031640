//! Canary words in everything that isn't for readers, and then every output looked through for them (promise 7).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Serving, send};
use crate::nats_server::NatsServer;
use crate::webhooks::receiver::Receiver;

/// Words that only the newsroom may see, and where they stand.
const DRAFT: &str = "Kanariadraft";
const QUERY: &str = "Kanariaquery";
const ANSWER: &str = "Kanariaanswer";
const RETURN: &str = "Kanariareturn";
const EVIDENCE: &str = "Kanariaevidence";
const EMBARGOED: &str = "Kanariaembargo";
const EDITED: &str = "Kanariaedit";
/// A word that not everyone in the newsroom may see.
const RESTRICTED: &str = "Kanariarestricted";
/// Words that only a few may see. One is Arabic, and one long enough for a disk block of its own.
const CONFIDENTIAL: [&str; 3] = ["Kanariaconfidential", "كناريا", "kanaria.test"];
/// Words in what is refused.
const REFUSED: &str = "Kanariarefused";

const STAFF: [&str; 6] = ["ana", "eva", "chen", "pia", "carl", "audra"];

struct Story {
    desk: Serving,
    agent: ureq::Agent,
    receiver: Receiver,
    _keys: tempfile::TempDir,
}

impl Story {
    fn on(arguments: Vec<String>) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let key = keys.path().join("master");
        std::fs::write(&key, "07".repeat(32)).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let receiver = Receiver::start();
        let more = format!("[evidence]\nmaster_key = {key:?}\n{}", receiver.table("archive", ""));
        let mut desk = Serving::start(&more, arguments);
        desk.be_loud();
        assert!(desk.terminate().success());
        desk.start_again();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { desk, agent, receiver, _keys: keys }
    }

    fn try_command(&self, actor: &str, mut command: Value) -> (u16, Value) {
        command.as_object_mut().unwrap().entry("id").or_insert_with(|| json!(Uuid::new_v4()));
        send(&self.agent, self.desk.url(), actor, &command).unwrap()
    }

    fn command(&self, actor: &str, kind: &str, article: &str, base: Option<u32>, data: Value) -> Value {
        let command = json!({"type": kind, "article": article, "base": base, "data": data});
        let (status, answer) = self.try_command(actor, command);
        assert_eq!(status, 200, "{kind} {answer:#}");
        answer
    }

    fn draft(&self, words: &str) -> String {
        let article = Uuid::new_v4().to_string();
        let data = json!({"slug": words, "language": "en", "headline": words, "section": "world",
                          "keywords": [words], "markdown": format!("{words} won.")});
        self.command("ana", "draft", &article, None, data);
        article
    }

    fn publish(&self, article: &str) {
        for (actor, kind) in [("ana", "submit"), ("eva", "approve"), ("pia", "publish")] {
            self.command(actor, kind, article, Some(1), json!({}));
        }
    }

    /// Every article with a canary in it: one never published, one published and edited since, one under embargo, one
    /// restricted.
    fn tell(&self) -> Vec<String> {
        let draft = self.draft(DRAFT);
        self.command("ana", "ask", &draft, None, json!({"text": QUERY}));
        self.command("ana", "answer", &draft, None, json!({"query": "q1", "text": ANSWER}));
        let claim = json!({"quote": format!("{DRAFT} won."), "kind": "fact"});
        self.command("ana", "claim", &draft, None, claim);
        let cite = json!({"claim": "c1", "title": EVIDENCE, "url": format!("https://{EVIDENCE}.test")});
        self.command("chen", "cite", &draft, None, cite);
        self.command("chen", "cite", &draft, None, confidential());
        self.command("ana", "submit", &draft, Some(1), json!({}));
        self.command("eva", "return", &draft, None, json!({"reason": RETURN}));
        let out = self.draft("Published");
        self.publish(&out);
        self.command("eva", "edit", &out, Some(1), json!({"set": {"headline": EDITED}}));
        let embargoed = self.draft(EMBARGOED);
        self.command("eva", "embargo", &embargoed, None, json!({"until": "2126-01-01T00:00:00Z"}));
        for (actor, kind) in [("ana", "submit"), ("eva", "approve")] {
            self.command(actor, kind, &embargoed, Some(1), json!({}));
        }
        let publish = json!({"type": "publish", "article": embargoed, "base": 1, "data": {}});
        assert_eq!(self.try_command("pia", publish).1["code"], "gate_shut");
        let restricted = self.draft(RESTRICTED);
        self.command("eva", "restrict", &restricted, None, json!({"people": ["ana"]}));
        vec![draft, out, embargoed, restricted]
    }

    /// What a route answers; of a stream without end, what comes at once.
    fn read(&self, actor: &str, path: &str) -> String {
        let url = self.desk.url().strip_prefix("http://").unwrap();
        let mut socket = TcpStream::connect(url).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let token = crate::harness::token(actor);
        let authorization =
            if actor.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        write!(socket, "GET {path} HTTP/1.1\r\nHost: desk\r\n{authorization}Connection: close\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut chunk = [0; 65536];
        while Instant::now() < deadline {
            match socket.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => answer.extend_from_slice(&chunk[..read]),
                // A proof waits for its checkpoint.
                Err(_) if answer.is_empty() => {}
                Err(_) => break,
            }
        }
        assert!(!answer.is_empty(), "{path} answers");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn confidential() -> Value {
    json!({"claim": "c1", "title": CONFIDENTIAL[0], "note": CONFIDENTIAL[1].repeat(500),
           "url": format!("https://{}/", CONFIDENTIAL[2]), "confidential": true})
}

/// What isn't for readers.
fn newsrooms_own() -> Vec<&'static str> {
    let own = [DRAFT, QUERY, ANSWER, RETURN, EVIDENCE, EMBARGOED, EDITED, RESTRICTED, REFUSED];
    own.into_iter().chain(CONFIDENTIAL).collect()
}

fn has_none(text: &str, words: &[&str], place: &str) {
    for word in words {
        // Letters that JSON has as escapes, and addresses in lower case, are found too.
        let escaped: String = word.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let lower = text.to_lowercase();
        assert!(
            !lower.contains(&word.to_lowercase()) && !lower.contains(&escaped),
            "{word} in {place}: {text}"
        );
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found
}

fn has(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

/// No file below a folder holds anything confidential, though what isn't is found there.
fn nothing_confidential_in(folder: &Path) {
    let files = files(folder);
    for (path, bytes) in &files {
        for word in CONFIDENTIAL {
            assert!(!has(bytes, word), "{word} in {}", path.display());
        }
    }
    assert!(files.iter().any(|(_, bytes)| has(bytes, EVIDENCE)), "{} was looked through", folder.display());
}

/// What everyone without a token can ask for.
fn public_routes(articles: &[String]) -> Vec<String> {
    let mut routes: Vec<String> = [
        "/",
        "/feed.json",
        "/feed.atom",
        "/feed.rss",
        "/feed.ninjs",
        "/metrics",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/?section=world",
        "/feed.json?section=world",
        "/v1/articles",
        "/v1/events",
        "/v1/stream",
        "/v1/deliveries",
        "/nowhere",
    ]
    .map(str::to_owned)
    .to_vec();
    for article in articles {
        routes.push(format!("/articles/{article}"));
        routes.push(format!("/articles/{article}/proof"));
        routes.extend(newsroom_routes(article));
    }
    routes
}

fn newsroom_routes(article: &str) -> Vec<String> {
    ["", "?version=1", "?revision=1", "?format=markdown", "/gate", "/history", "/diff"]
        .map(|end| format!("/v1/articles/{article}{end}"))
        .to_vec()
}

/// Requests that are refused, each with a word that must not come back.
fn refused() -> Vec<String> {
    let id = Uuid::new_v4();
    let article = Uuid::new_v4();
    let command = |kind: &str, data: Value| {
        json!({"id": id, "type": kind, "article": article, "data": data}).to_string()
    };
    vec![
        REFUSED.to_owned(),
        format!("{{\"id\":\"{REFUSED}"),
        format!("{{\"id\":\"{id}\",\"id\":\"{REFUSED}\"}}"),
        json!({"id": REFUSED, "type": "draft"}).to_string(),
        json!({"id": id, "type": REFUSED}).to_string(),
        json!({"id": id, "type": "edit", "article": REFUSED}).to_string(),
        json!({"id": id, "type": "edit", "article": article, "base": REFUSED}).to_string(),
        json!({"id": id, "type": "submit", "article": article, "base": 1, "not_after": REFUSED}).to_string(),
        command("draft", json!({"slug": REFUSED, "language": REFUSED})),
        command("draft", json!({"slug": "s", "language": "en", "section": REFUSED, "urgency": REFUSED})),
        command(
            "draft",
            json!({"slug": "s", "language": "en", "blocks": [{"kind": REFUSED, "text": REFUSED}]}),
        ),
        command("cite", json!({"claim": REFUSED, "title": REFUSED})),
        command("cite", json!({"claim": "c1", "sha256": REFUSED, "title": REFUSED, "confidential": true})),
        command("cite", json!({"claim": "c1", "title": REFUSED, "confidential": REFUSED})),
        command("ask", json!({"text": REFUSED, "to": REFUSED})),
        command("rule", json!({"claim": "c1", "verdict": REFUSED, "note": REFUSED})),
    ]
}

fn nothing_gets_out(story: &Story, stores: &[&Path]) {
    let articles = story.tell();
    for body in refused() {
        for actor in ["", "ana", "stranger"] {
            let mut request = story.agent.post(format!("{}/v1/commands", story.desk.url()));
            if !actor.is_empty() {
                request = request.header("Authorization", format!("Bearer {}", crate::harness::token(actor)));
            }
            let mut answer = request.send(body.as_str()).unwrap();
            let answered = answer.body_mut().read_to_string().unwrap();
            assert!(answer.status().as_u16() >= 400, "{body} {answered}");
            has_none(&answered, &[REFUSED], &body);
        }
    }
    // A quote that isn't there, by someone who may claim; a second citation under a used id.
    let article = &articles[0];
    let claim = json!({"type": "claim", "article": article, "data": {"quote": REFUSED, "kind": "fact"}});
    has_none(&story.try_command("ana", claim).1.to_string(), &[REFUSED], "a claim");

    for route in public_routes(&articles) {
        for actor in ["", "stranger"] {
            has_none(&story.read(actor, &route), &newsrooms_own(), &format!("{route} for {actor:?}"));
        }
    }
    let published = Instant::now() + Duration::from_secs(10);
    while !story.read("", &format!("/articles/{}", articles[1])).contains("Published") {
        assert!(Instant::now() < published, "the edition isn't out");
    }
    has_none(&story.read("", "/stream"), &newsrooms_own(), "/stream");
    story.receiver.until("the edition is sent", |receiver| !receiver.taken().is_empty());
    for got in story.receiver.got() {
        let said = format!("{:?} {}", got.headers, String::from_utf8_lossy(&got.body));
        has_none(&said, &newsrooms_own(), "a webhook");
    }

    // Inside: confidential evidence for chiefs and auditors, nobody here being assigned; the restricted article for
    // who wrote and restricted it, and them.
    for actor in STAFF {
        let mut routes: Vec<String> = articles.iter().flat_map(|article| newsroom_routes(article)).collect();
        let others = [
            "/v1/articles",
            "/v1/articles?q=kanaria",
            "/v1/articles?q=kanariaconfidential",
            "/v1/events",
            "/v1/stream",
            "/v1/deliveries",
        ];
        routes.extend(others.map(str::to_owned));
        for route in routes {
            let text = story.read(actor, &route);
            let place = format!("{route} for {actor}");
            let opens =
                ["carl", "audra"].contains(&actor) && route.starts_with(&format!("/v1/articles/{article}"));
            if !opens || ["/history", "/gate", "/diff"].iter().any(|end| route.ends_with(end)) {
                has_none(&text, &CONFIDENTIAL, &place);
            }
            if ["chen", "pia"].contains(&actor) {
                has_none(&text, &[RESTRICTED], &place);
            }
            has_none(&text, &[REFUSED], &place);
        }
        let shown = story.read(actor, &format!("/v1/articles/{article}"));
        let opens = ["carl", "audra"].contains(&actor);
        assert_eq!(shown.contains(CONFIDENTIAL[0]), opens, "{actor}");
        assert!(shown.contains(DRAFT) && shown.contains(QUERY) && shown.contains(EVIDENCE), "{actor}");
    }

    let said = story.desk.said();
    assert!(said.contains("DEBUG"), "it said all it could");
    has_none(&said, &newsrooms_own(), "the log lines");
    for store in stores {
        nothing_confidential_in(store);
    }
}

#[test]
fn no_word_of_the_newsroom_gets_out_of_an_embedded_desk() {
    let mut story = Story::on(Vec::new());
    let data = story.desk.data();
    nothing_gets_out(&story, &[&data]);
    // What was in memory is on the disk once it has stopped.
    assert!(story.desk.terminate().success());
    nothing_confidential_in(&data);
}

#[test]
fn no_word_of_the_newsroom_gets_out_of_a_desk_on_nats() {
    let server = NatsServer::start();
    let mut story = Story::on(vec!["--nats".to_owned(), server.url()]);
    let data = story.desk.data();
    nothing_gets_out(&story, &[&data, &server.store()]);
    assert!(story.desk.terminate().success());
    nothing_confidential_in(&data);
    nothing_confidential_in(&server.store());
}

/// Commands that come by NATS are sealed as those by HTTP, and leave nothing on the server's disk.
#[test]
fn confidential_evidence_comes_by_nats_too() {
    let server = NatsServer::start();
    let mut story = Story::on(vec!["--nats".to_owned(), server.url()]);
    let article = story.draft(DRAFT);
    let claim = json!({"quote": format!("{DRAFT} won."), "kind": "fact"});
    story.command("ana", "claim", &article, None, claim);
    story.command("chen", "cite", &article, None, json!({"claim": "c1", "title": EVIDENCE}));
    let cite = json!({"id": Uuid::new_v4(), "article": article, "data": confidential()});
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answered = |cite: &Value| -> Value {
        runtime.block_on(async {
            let client = server.client().await;
            let answer = client.request("copydesk.command.chen.cite", cite.to_string().into()).await.unwrap();
            serde_json::from_slice(&answer.payload).unwrap()
        })
    };
    let first = answered(&cite);
    assert_eq!(first["version"], 4, "{first}");
    assert_eq!(answered(&cite)["duplicate"], true);
    let shown = story.read("carl", &format!("/v1/articles/{article}"));
    assert!(shown.contains(CONFIDENTIAL[0]), "{shown}");
    assert!(story.desk.terminate().success());
    has_none(&story.desk.said(), &CONFIDENTIAL, "the log lines");
    nothing_confidential_in(&server.store());
    nothing_confidential_in(&story.desk.data());
}

/// The command line on a folder of its own, without a configuration: a key is made up beside the data.
#[test]
fn confidential_evidence_is_kept_by_the_command_line_on_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("desk");
    let article = Uuid::new_v4();
    let command = |kind: &str, data: Value| json!({"id": Uuid::new_v4(), "type": kind, "article": article, "data": data});
    let story = [
        command("draft", json!({"slug": "s", "language": "en", "markdown": "He won."})),
        command("claim", json!({"quote": "He won.", "kind": "fact"})),
        command("cite", json!({"claim": "c1", "title": EVIDENCE})),
        command("cite", confidential()),
    ];
    let lines: Vec<String> = story.iter().map(Value::to_string).collect();
    std::fs::write(folder.path().join("story.jsonl"), lines.join("\n")).unwrap();
    let copydesk = |arguments: &[&str]| {
        let mut copydesk = std::process::Command::new(env!("CARGO_BIN_EXE_copydesk"));
        let ended =
            copydesk.args(arguments).arg("--data").arg(&data).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{arguments:?} {said} {}", String::from_utf8_lossy(&ended.stdout));
        has_none(&said, &CONFIDENTIAL, "what the command line says of itself");
        String::from_utf8(ended.stdout).unwrap()
    };
    has_none(&copydesk(&["send", "story.jsonl", "--as", "ana"]), &CONFIDENTIAL, "answers");
    let article = article.to_string();
    assert!(copydesk(&["show", &article]).contains(CONFIDENTIAL[0]), "the folder's chief may read it");
    let masked = copydesk(&["show", &article, "--as", "ana"]);
    assert!(masked.contains("cited: confidential"), "{masked}");
    for (arguments, place) in [
        (&["show", &article, "--as", "ana"][..], "show"),
        (&["history", &article], "history"),
        (&["history", &article, "--json"], "history"),
        (&["replay"], "replay"),
        (&["board"], "board"),
        (&["gate", &article], "gate"),
        (&["diff", &article], "diff"),
    ] {
        has_none(&copydesk(arguments), &CONFIDENTIAL, place);
    }
    nothing_confidential_in(&data);
    let mode = std::fs::metadata(data.join("master.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
