//! One instance of the service inside the test's process, over a real nats-server, and a tool that sends it
//! commands as any NATS client would.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_nats::{Client, HeaderMap, Message};
use copydesk::log::jetstream::{self, JetStreamLog};
use copydesk::log::{Content, Durability, Log};
use copydesk::nats::{self, Gateway, GatewayError, Stats};
use copydesk::service::{Part, Service};
use copydesk_article::newsroom::{NewsroomSet, Person, PersonKind, Role};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::log_contract::within;
use crate::nats_server::NatsServer;

const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// A newsroom of one person a role and two editors, of whom one also writes.
pub fn newsroom() -> NewsroomSet {
    let people = [
        ("ana", vec![Role::Reporter]),
        ("eva", vec![Role::Editor]),
        ("emil", vec![Role::Editor, Role::Reporter]),
        ("chen", vec![Role::Checker]),
        ("pia", vec![Role::Publisher]),
        ("carl", vec![Role::Chief]),
        ("audra", vec![Role::Auditor]),
    ];
    let mut set = NewsroomSet::default();
    for (name, roles) in people {
        set.people.insert(name.into(), Person { roles, ..Person::default() });
    }
    let bot = Person { kind: PersonKind::Machine, roles: vec![Role::Reporter], ..Person::default() };
    set.people.insert("bot".into(), bot);
    set
}

/// One instance: its log, its desk, its gateway.
pub struct Instance {
    pub service: Arc<Service>,
    pub stats: Arc<Stats>,
    stop: Option<oneshot::Sender<()>>,
    gateway: JoinHandle<Result<(), GatewayError>>,
    _folder: TempDir,
}

impl Instance {
    pub async fn start(server: &NatsServer) -> Self {
        Self::with(server.client().await, server.client().await, nats::Options::default()).await
    }

    /// An instance with these two connections.
    pub async fn with(answers: Client, writes: Client, options: nats::Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = jetstream::Options { durability: Durability::Always, ..jetstream::Options::default() };
        let log: Arc<dyn Log> = Arc::new(JetStreamLog::open(writes, log).await.unwrap());
        let opened =
            Service::open(log, folder.path(), CACHE_BYTES, "copydesk", &Default::default(), |_, _| {}).await;
        let service = opened.unwrap();
        service.propose(&newsroom(), "copydesk", false).await.unwrap();
        service.start(Part::ALL).unwrap();
        service.store.folded(service.log.events().end().await.unwrap()).await;
        let gateway = Gateway::open(answers, Arc::clone(&service.desk), options).await.unwrap();
        let stats = gateway.stats();
        let (stop, stopped) = oneshot::channel::<()>();
        let gateway = tokio::spawn(gateway.serve(async { drop(stopped.await) }));
        Self { service, stats, stop: Some(stop), gateway, _folder: folder }
    }

    /// Asks the gateway to end, and waits until it has.
    pub async fn stop_gateway(&mut self) -> Result<(), GatewayError> {
        drop(self.stop.take());
        within(&mut self.gateway).await.unwrap()
    }

    /// Each event of an article by its command, in the log's order, as `(command, seq, version)`.
    pub async fn events_of(&self, article: Uuid) -> Vec<(Uuid, u64, u64)> {
        let subject = article.as_hyphenated().to_string();
        let entries = self.service.log.events().all_on(&subject, 0).await.unwrap();
        let read = |entry: &copydesk::log::Entry| {
            let Content::Message { body, .. } = &entry.content else { panic!("erased") };
            let event: Value = serde_json::from_slice(body).unwrap();
            (uuid_of(&event["command"]), entry.seq, event["articleversion"].as_u64().unwrap())
        };
        entries.iter().map(read).collect()
    }

    /// That an article's line has exactly these commands' events, each at the position that its sender was told,
    /// without a gap.
    pub async fn has_exactly(&self, article: Uuid, answered: &BTreeMap<Uuid, u64>) {
        let events = self.events_of(article).await;
        let versions: Vec<u64> = events.iter().map(|(_, _, version)| *version).collect();
        assert_eq!(versions, (1..=events.len() as u64).collect::<Vec<_>>(), "versions without a gap");
        let there: BTreeMap<Uuid, u64> = events.iter().map(|(command, seq, _)| (*command, *seq)).collect();
        assert_eq!(there.len(), events.len(), "each command's event is there once");
        assert_eq!(there, *answered, "what was answered is what is there");
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.gateway.abort();
        let service = Arc::clone(&self.service);
        tokio::spawn(async move { service.stop().await });
    }
}

pub fn uuid_of(value: &Value) -> Uuid {
    value.as_str().unwrap().parse().unwrap()
}

/// What a command was answered.
#[derive(Debug, Clone)]
pub struct Said {
    /// 200, or what the headers say.
    pub status: u16,
    /// The code that the headers say, of a refusal.
    pub code: Option<String>,
    pub body: Value,
}

impl Said {
    pub fn read(message: &Message) -> Self {
        let header = |name: &str| message.headers.as_ref().and_then(|h: &HeaderMap| h.get(name)).cloned();
        let body: Value = serde_json::from_slice(&message.payload).unwrap_or(Value::Null);
        let status = header("Nats-Service-Error-Code").map_or(200, |status| status.as_str().parse().unwrap());
        let code = header("Nats-Service-Error").map(|code| code.to_string());
        if status != 200 {
            assert_eq!(body["status"], json!(status), "{body}");
            assert_eq!(body["code"].as_str(), code.as_deref(), "{body}");
        }
        Self { status, code, body }
    }

    /// The answer to what must have been accepted.
    pub fn accepted(self) -> Value {
        assert_eq!(self.status, 200, "{:#}", self.body);
        self.body
    }

    /// The problem of what must have been refused so.
    pub fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.code.as_deref()), (status, Some(code)), "{:#}", self.body);
        self.body
    }
}

/// A newsroom tool.
#[derive(Clone)]
pub struct Tool(pub Client);

impl Tool {
    pub async fn new(server: &NatsServer) -> Self {
        Self(server.client().await)
    }

    /// Sends a body as it is.
    pub async fn send(&self, actor: &str, kind: &str, body: &Value) -> Said {
        let subject = format!("copydesk.command.{actor}.{kind}");
        Said::read(&within(self.0.request(subject, body.to_string().into())).await.unwrap())
    }

    /// Sends a command with a new id.
    pub async fn command(&self, actor: &str, kind: &str, article: Uuid, base: u32, data: Value) -> Said {
        self.send(actor, kind, &command(article, base, data)).await
    }

    /// Drafts an article of one paragraph and gives its id.
    pub async fn draft(&self, words: &str) -> Uuid {
        let body = draft(Uuid::new_v4(), words);
        uuid_of(&self.send("ana", "draft", &body).await.accepted()["article"])
    }
}

/// The body of a command with a new id.
pub fn command(article: Uuid, base: u32, data: Value) -> Value {
    json!({"id": Uuid::new_v4(), "article": article, "base": base, "data": data})
}

/// The body of a draft.
pub fn draft(id: Uuid, words: &str) -> Value {
    json!({"id": id, "data": {
        "slug": "story", "language": "en", "headline": "A headline", "section": "world",
        "blocks": [{"kind": "paragraph", "text": words}],
    }})
}
