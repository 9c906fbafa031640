//! A whole house in one process and on one thread: a log in memory, the store, the tasks that fold, and the router.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use copydesk::config::token::{Listed, TokenHash};
use copydesk::deliver::Roll;
use copydesk::evidence::{MasterKey, Vault};
use copydesk::http::{Aside, Doors, Followers, Gateway, InFlight, Readers, Vitals, router};
use copydesk::log::Log;
use copydesk::log::memory::MemoryLog;
use copydesk::service::Service;
use copydesk::store::fold;
use copydesk::tokens::Book;
use copydesk::wire::writer;
use copydesk_article::newsroom::{Person, PersonKind, Role};
use copydesk_public::Site;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tower::ServiceExt;
use uuid::Uuid;

/// Everyone with a token; the last is not in the newsroom.
pub const ALL: [&str; 9] = ["ana", "eva", "emil", "chen", "pia", "carl", "audra", "bot", "stranger"];

pub struct House {
    pub log: Arc<MemoryLog>,
    pub service: Arc<Service>,
    pub gateway: Arc<Gateway>,
    router: Router,
    tasks: Vec<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code of a refusal, which must be a well-formed problem.
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        for member in ["type", "title", "detail"] {
            assert!(problem[member].is_string(), "{member} in {problem}");
        }
        problem["code"].as_str().unwrap().to_owned()
    }
}

impl House {
    pub async fn open() -> House {
        Self::with_room_for(1024).await
    }

    /// A house that takes so many commands at once.
    pub async fn with_room_for(commands: u32) -> House {
        let house = Self::build(commands, Doors::default()).await;
        house.gateway.health.set_caught_up();
        house
    }

    /// A house that has not said yet that it has caught up.
    pub async fn still_folding() -> House {
        Self::build(1024, Doors::default()).await
    }

    /// A house with such doors.
    pub async fn with_doors(doors: Doors) -> House {
        let house = Self::build(1024, doors).await;
        house.gateway.health.set_caught_up();
        house
    }

    async fn build(commands: u32, doors: Doors) -> House {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(MemoryLog::new(7));
        let handle: Arc<dyn Log> = Arc::<MemoryLog>::clone(&log);
        let service =
            Service::open(handle, folder.path(), 8 << 20, "copydesk", &Default::default(), |_, _| {})
                .await
                .unwrap();
        service.desk.keep_in(Vault::new(service.log.keys(), MasterKey::new(&[1; 32]), Vec::new()));
        let mut newsroom = crate::path::newsroom();
        let bot = Person { kind: PersonKind::Machine, roles: vec![Role::Reporter], ..Person::default() };
        newsroom.people.insert("bot".into(), bot);
        service.propose(&newsroom, "copydesk", false).await.unwrap();
        let listed = ALL.map(|actor| Listed {
            actor: actor.into(),
            name: "token".into(),
            hash: TokenHash::of(&format!("token-of-{actor}")),
            expires: None,
        });
        let book = Book::open(Arc::clone(&service.log), listed.into()).await.unwrap();
        let owners = Arc::clone(&book);
        let tokens = move |token: &str| {
            assert_ne!(token, "token-of-nobody-you-know", "the look-up fails");
            owners.owner(token)
        };
        let site = Site {
            title: "Desk".into(),
            public_url: "https://desk.test".into(),
            home_url: None,
            language: "en".into(),
            withdrawn_title: "Withdrawn".into(),
            proves: true,
            ..Site::default()
        };
        let readers = Readers {
            editions: service.editions.clone(),
            site,
            clock: service.log.clock(),
            rendered: Arc::default(),
        };
        let gateway = Arc::new(Gateway {
            desk: Some(Arc::clone(&service.desk)),
            readers: Some(readers),
            audit: Some(copydesk::http::Checkable {
                audit: Arc::clone(&service.audit),
                desk: Arc::clone(&service.desk),
                tiles: Aside::default(),
            }),
            roll: Some(Arc::new(Roll::new(Arc::clone(&service.log), Vec::new()))),
            tokens: Arc::new(tokens),
            book: Some(book),
            doors,
            health: Arc::default(),
            progress: service.progresses(),
            metrics: Arc::default(),
            in_flight: InFlight::new(commands),
            verifying: Arc::new(tokio::sync::Semaphore::new(1)),
            aside: Aside::default(),
            followers: Followers::default(),
            vitals: Vitals::of(Arc::clone(&service.log), Arc::clone(&service.store)),
        });
        let router = router(Arc::clone(&gateway));
        let mut house = House { log, service, gateway, router, tasks: Vec::new(), _folder: folder };
        house.start();
        let end = house.log.events().end().await.unwrap();
        house.service.store.folded(end).await;
        house
    }

    /// Starts the tasks, all on this thread, so that what they log is heard here.
    pub fn start(&mut self) {
        let service = Arc::clone(&self.service);
        let folding = async move {
            let _ = fold::run(&service.store, &*service.log).await;
        };
        let desk = Arc::clone(&self.service.desk);
        let writing = async move { match writer::keep_running(desk, || None, |_| {}, |_| {}).await {} };
        let editions = self.service.editions.clone();
        let showing = async move {
            let mut tail = editions.wire().tail(0).await.unwrap();
            while let Some(group) = tail.next().await {
                editions.show(group.unwrap()).unwrap();
            }
        };
        self.tasks = vec![tokio::spawn(folding), tokio::spawn(writing), tokio::spawn(showing)];
    }

    /// Stops folding: what is written from now on isn't seen here.
    pub async fn stop(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            let _ = task.await;
        }
    }

    /// Where the log ends.
    pub async fn log_end(&self) -> u64 {
        self.log.events().end().await.unwrap()
    }

    /// The answer to a request, its body still to be read.
    pub async fn response(&self, request: Request<Body>) -> axum::response::Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub async fn send(&self, request: Request<Body>) -> Got {
        let (got, bytes) = self.send_raw(request).await;
        Got { text: String::from_utf8(bytes).unwrap(), ..got }
    }

    /// What came back, its bytes apart: they may be no text.
    pub async fn send_raw(&self, request: Request<Body>) -> (Got, Vec<u8>) {
        let (parts, body) = self.response(request).await.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        (Got { status: parts.status, headers: parts.headers, text: String::new() }, bytes.to_vec())
    }

    pub async fn get(&self, actor: &str, path: &str) -> Got {
        self.send(request("GET", actor, path).body(Body::empty()).unwrap()).await
    }

    /// Sends bytes as a command.
    pub async fn post(&self, actor: &str, body: impl Into<Body>) -> Got {
        self.send(request("POST", actor, "/v1/commands").body(body.into()).unwrap()).await
    }

    /// A command that must be accepted; its answer. The id is drawn where there is none.
    pub async fn done(&self, actor: &str, command: Value) -> Value {
        let got = self.command(actor, command).await;
        assert_eq!(got.status, 200, "{}", got.text);
        got.json()
    }

    pub async fn command(&self, actor: &str, mut command: Value) -> Got {
        let object = command.as_object_mut().unwrap();
        object.entry("id").or_insert_with(|| json!(Uuid::new_v4()));
        self.post(actor, command.to_string()).await
    }

    /// A draft by ana with this body; the article.
    pub async fn draft(&self, markdown: &str) -> String {
        let data = json!({
            "slug": "rivers", "language": "en", "section": "world/asia", "headline": "Rivers rise",
            "markdown": markdown,
        });
        let answer = self.done("ana", json!({"type": "draft", "data": data})).await;
        let seq = answer["seq"].as_u64().unwrap();
        self.service.store.folded(seq).await;
        answer["article"].as_str().unwrap().to_owned()
    }

    /// Takes an article at revision 1 through review to its first edition, and waits until readers have it.
    pub async fn publish(&self, article: &str) {
        for (actor, kind) in [("ana", "submit"), ("eva", "approve"), ("pia", "publish")] {
            self.done(actor, json!({"type": kind, "article": article, "base": 1})).await;
        }
        let public = Arc::clone(&self.service.public);
        let id: Uuid = article.parse().unwrap();
        crate::path::until("the edition", || public.newest(id).unwrap()).await;
    }
}

/// A request of someone by their token; of nobody where the name is empty.
pub fn request(method: &str, actor: &str, path: &str) -> axum::http::request::Builder {
    let request = Request::builder().method(method).uri(path);
    match actor {
        "" => request,
        actor => request.header("authorization", format!("Bearer token-of-{actor}")),
    }
}
