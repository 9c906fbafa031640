//! Newsroom tools under way: each sends a command again, with its id, until it is told what became of it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Dice;
use crate::harness::send;
use crate::instance::{Said, uuid_of};

/// How many tools write at a time.
const WRITERS: u64 = 6;

/// How many articles each has to itself; one more is everybody's.
const OWN: usize = 2;

/// How long a tool waits for an answer before it sends the command again.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// How long the load may take to get so many more answers as are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How commands reach the service.
#[derive(Clone)]
pub enum Way {
    Nats(Client),
    /// Where it is reached changes whenever it is started again.
    Http(ureq::Agent, Arc<RwLock<String>>),
}

impl Way {
    pub async fn nats(url: &str) -> Self {
        let options = ConnectOptions::new()
            .reconnect_delay_callback(|_| Duration::from_millis(20))
            .request_timeout(Some(ANSWER_WITHIN));
        Self::Nats(options.connect(url).await.unwrap())
    }

    pub fn http(url: &str) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = agent.timeout_global(Some(ANSWER_WITHIN)).build();
        Self::Http(agent.into(), Arc::new(RwLock::new(url.to_owned())))
    }

    pub fn moved(&self, to: &str) {
        if let Self::Http(_, url) = self {
            to.clone_into(&mut url.write().unwrap());
        }
    }

    /// Sends a command once; none where no answer came.
    async fn once(&self, actor: &'static str, command: &Value) -> Option<(u16, Value)> {
        match self {
            Self::Nats(client) => {
                let subject = format!("copydesk.command.{actor}.{}", command["type"].as_str().unwrap());
                let answer = client.request(subject, command.to_string().into()).await.ok()?;
                let said = Said::read(&answer);
                Some((said.status, said.body))
            }
            Self::Http(agent, url) => {
                let (agent, url, command) = (agent.clone(), url.read().unwrap().clone(), command.clone());
                let sent = tokio::task::spawn_blocking(move || send(&agent, &url, actor, &command));
                sent.await.unwrap()
            }
        }
    }

    /// Sends a command until it is told what became of it.
    pub async fn insist(&self, actor: &'static str, command: &Value) -> (u16, Value) {
        loop {
            match self.once(actor, command).await {
                Some((503, problem))
                    if ["log_unavailable", "outcome_unknown"]
                        .contains(&problem["code"].as_str().unwrap()) => {}
                Some((429, _)) | None => {}
                Some(answer) => return answer,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A command and what it was answered at last.
pub struct Sent {
    pub actor: &'static str,
    pub command: Value,
    pub status: u16,
    pub answer: Value,
}

/// A tool at work.
struct Writer {
    way: Way,
    dice: Dice,
    done: Arc<AtomicUsize>,
    sent: Vec<Sent>,
}

impl Writer {
    async fn send(&mut self, actor: &'static str, kind: &str, mut command: Value) -> (u16, Value) {
        command["id"] = json!(self.dice.uuid());
        command["type"] = json!(kind);
        let (status, answer) = self.way.insist(actor, &command).await;
        self.sent.push(Sent { actor, command, status, answer: answer.clone() });
        self.done.fetch_add(1, Ordering::Relaxed);
        (status, answer)
    }

    async fn accepted(&mut self, actor: &'static str, kind: &str, command: Value) -> Value {
        let (status, answer) = self.send(actor, kind, command).await;
        assert_eq!(status, 200, "{kind}: {answer:#}");
        answer
    }

    async fn draft(&mut self, headline: &str) -> Uuid {
        let data = json!({"slug": "story", "language": "en", "section": "world", "headline": headline,
            "blocks": [{"kind": "paragraph", "text": "As drafted."}]});
        uuid_of(&self.accepted("ana", "draft", json!({"data": data})).await["article"])
    }

    /// An article that nobody else writes: each of its commands is accepted.
    async fn own(&mut self, article: Uuid, revision: u64) -> u64 {
        let of = |base: u64| json!({"article": article, "base": base});
        let mut edit = of(revision);
        edit["data"] = json!({"set": {"headline": format!("Headline after revision {revision}")}});
        let base = self.accepted("ana", "edit", edit).await["revision"].as_u64().unwrap();
        if revision == 1 {
            self.accepted("ana", "submit", of(base)).await;
        }
        self.accepted("eva", "approve", of(base)).await;
        self.accepted("pia", "publish", of(base)).await;
        base
    }

    /// The article that everybody writes: edits are accepted, and approvals and publications where nobody else was
    /// faster. What refuses them holds for good: no earlier revision comes back.
    async fn shared(&mut self, article: Uuid) {
        let block = json!({"kind": "paragraph", "text": format!("Line {}.", self.dice.roll(1 << 20))});
        let insert = json!({"ops": [{"op": "insert", "after": "b1", "block": block}]});
        let edit = json!({"article": article, "base": 1, "data": insert});
        let base = self.accepted("ana", "edit", edit).await["revision"].clone();
        for (actor, kind) in [("ana", "submit"), ("eva", "approve"), ("pia", "publish")] {
            let (status, answer) = self.send(actor, kind, json!({"article": article, "base": base})).await;
            assert!([200, 409, 422].contains(&status), "{kind}: {answer:#}");
        }
    }

    async fn work(mut self, shared: Uuid, stop: Arc<AtomicBool>) -> Vec<Sent> {
        let mut own = Vec::new();
        for number in 0..OWN {
            own.push((self.draft(&format!("As drafted, {number}")).await, 1));
        }
        while !stop.load(Ordering::Relaxed) {
            for (article, revision) in &mut own {
                *revision = self.own(*article, *revision).await;
            }
            self.shared(shared).await;
        }
        self.sent
    }
}

/// Several tools at work until they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    drafted: Vec<Sent>,
    writers: JoinSet<Vec<Sent>>,
}

impl Load {
    /// Each by a way of its own.
    pub async fn start(ways: impl AsyncFn() -> Way, dice: &mut Dice) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let writer =
            async |dice: Dice| Writer { way: ways().await, dice, done: Arc::clone(&done), sent: Vec::new() };
        let mut first = writer(dice.another(WRITERS)).await;
        let shared = first.draft("Everybody's").await;
        let mut writers = JoinSet::new();
        for number in 0..WRITERS {
            writers.spawn(writer(dice.another(number)).await.work(shared, Arc::clone(&stop)));
        }
        Self { stop, done, drafted: first.sent, writers }
    }

    /// Returns once so many more commands were answered.
    pub async fn more(&mut self, count: u64) {
        let until = self.done.load(Ordering::Relaxed) + count as usize;
        let waited = async {
            while self.done.load(Ordering::Relaxed) < until {
                if let Some(ended) = self.writers.try_join_next() {
                    panic!("a tool stopped: {:?}", ended.err());
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waited).await.expect("no more answers come");
    }

    /// Everything that was sent, once each of it is answered.
    pub async fn end(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = tokio::time::timeout(PATIENCE, self.writers.join_all()).await;
        let sent = sent.expect("the last commands are not answered");
        self.drafted.into_iter().chain(sent.into_iter().flatten()).collect()
    }
}
