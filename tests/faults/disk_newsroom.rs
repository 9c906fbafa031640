//! A newsroom at work on the real binary over HTTP, that remembers every answer it got.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::shim::Shim;
use crate::harness::{Serving, send, until};

/// How long an answer may take: longer than the service's own patience with its log.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A running service, and what was answered.
pub struct Newsroom {
    pub serving: Serving,
    agent: ureq::Agent,
    /// Each command that was accepted, who sent it, and what it was answered.
    accepted: Vec<(&'static str, Value, Value)>,
}

impl Newsroom {
    /// On an embedded log, under the shim.
    pub fn under(shim: &Shim) -> Self {
        let mut newsroom = Self::new();
        newsroom.serving.terminate();
        newsroom.serving.set_environment(&shim.environment());
        newsroom.serving.start_again();
        newsroom
    }

    /// On an embedded log.
    pub fn new() -> Self {
        Self::of(Serving::embedded())
    }

    pub fn of(serving: Serving) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = agent.timeout_global(Some(ANSWER_WITHIN)).build().into();
        Self { serving, agent, accepted: Vec::new() }
    }

    pub fn id(&self) -> Uuid {
        Uuid::new_v4()
    }

    /// A command that drafts an article.
    pub fn draft(&self, headline: &str) -> Value {
        self.long_draft(headline, 10)
    }

    /// The same, with about so many characters of text.
    pub fn long_draft(&self, headline: &str, characters: usize) -> Value {
        let text = "drafted ".repeat(characters.div_ceil(8));
        json!({"id": self.id(), "type": "draft", "data": {"slug": "story", "language": "en", "section": "world",
            "headline": headline, "blocks": [{"kind": "paragraph", "text": text.trim_end()}]}})
    }

    /// Sends a command once, and remembers an answer of success.
    pub fn send(&mut self, actor: &'static str, command: &Value) -> (u16, Value) {
        let (status, answer) = self.try_send(actor, command).expect("an answer");
        (status, answer)
    }

    /// Sends commands all at once, and gives their statuses.
    pub fn send_at_once(&mut self, actor: &'static str, commands: &[Value]) -> Vec<u16> {
        let (agent, url) = (&self.agent, self.serving.url());
        let told: Vec<_> = std::thread::scope(|scope| {
            let sent: Vec<_> = commands
                .iter()
                .map(|command| scope.spawn(move || send(agent, url, actor, command)))
                .collect();
            sent.into_iter().map(|sent| sent.join().unwrap().expect("an answer")).collect()
        });
        let accepted = commands.iter().zip(&told).filter(|(_, (status, _))| *status == 200);
        self.accepted.extend(accepted.map(|(command, (_, answer))| (actor, command.clone(), answer.clone())));
        told.into_iter().map(|(status, _)| status).collect()
    }

    /// The same, where no answer may come.
    pub fn try_send(&mut self, actor: &'static str, command: &Value) -> Option<(u16, Value)> {
        let (status, answer) = send(&self.agent, self.serving.url(), actor, command)?;
        if status == 200 {
            self.accepted.push((actor, command.clone(), answer.clone()));
        }
        Some((status, answer))
    }

    /// Drafts and publishes an article.
    pub fn publish(&mut self, headline: &str) -> Uuid {
        let article = self.approved(headline);
        self.done("pia", "publish", article);
        article
    }

    /// Drafts an article that could be published.
    pub fn approved(&mut self, headline: &str) -> Uuid {
        let draft = self.draft(headline);
        let (status, answer) = self.send("ana", &draft);
        assert_eq!(status, 200, "{answer}");
        let article: Uuid = answer["article"].as_str().unwrap().parse().unwrap();
        self.done("ana", "submit", article);
        self.done("eva", "approve", article);
        article
    }

    fn done(&mut self, actor: &'static str, kind: &str, article: Uuid) {
        let command = json!({"id": self.id(), "type": kind, "article": article, "base": 1});
        let (status, answer) = self.send(actor, &command);
        assert_eq!(status, 200, "{kind}: {answer}");
    }

    /// Every article that was drafted, as it is shown once all that was answered is folded.
    pub fn articles(&self) -> BTreeMap<String, Value> {
        let end = self.accepted.iter().filter_map(|(_, _, answer)| answer["seq"].as_u64()).max().unwrap();
        let ids: BTreeSet<_> =
            self.accepted.iter().map(|(_, _, answer)| answer["article"].as_str().unwrap()).collect();
        let shown = |id: &str| {
            let (status, article) = self.serving.get("carl", &format!("/v1/articles/{id}?min_seq={end}"));
            assert_eq!(status, 200, "{article}");
            (id.to_owned(), serde_json::from_str(&article).unwrap())
        };
        ids.into_iter().map(shown).collect()
    }

    /// How many editions an article has.
    pub fn editions(&self, article: Uuid) -> u64 {
        let (status, article) = self.serving.get("carl", &format!("/v1/articles/{article}"));
        assert_eq!(status, 200, "{article}");
        let article: Value = serde_json::from_str(&article).unwrap();
        article["editions"].as_array().map_or(0, Vec::len) as u64
    }

    /// That every article that was drafted can be read.
    pub fn is_shown(&self) {
        assert!(!self.articles().is_empty());
    }

    /// That readers get every article that was published, and each once.
    pub fn is_in_the_feed(&self) {
        let published = self.accepted.iter().filter(|(_, command, _)| command["type"] == "publish");
        let published: BTreeSet<String> = published
            .map(|(_, command, _)| format!("urn:uuid:{}", command["article"].as_str().unwrap()))
            .collect();
        until("readers get what was published", || {
            let (status, feed) = self.serving.get("ana", "/feed.json?limit=200");
            assert_eq!(status, 200, "{feed}");
            let feed: Value = serde_json::from_str(&feed).unwrap();
            let items = feed["items"].as_array().unwrap();
            let shown: BTreeSet<String> =
                items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
            assert_eq!(shown.len(), items.len(), "each article once");
            shown == published
        });
    }

    /// That the service, deriving all of the log again, finds nothing wrong.
    pub fn verifies(&self) {
        let (status, lines) = self.serving.get("audra", "/v1/verify");
        assert_eq!(status, 200, "{lines}");
        let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(last["report"]["faults"], json!([]), "{last:#}");
    }

    pub fn health(&self) -> Value {
        let (status, health) = self.serving.get("audra", "/healthz");
        assert_eq!(status, 200);
        serde_json::from_str(&health).unwrap()
    }

    /// Starts it on the same data, which it must refuse at once; gives what it says.
    pub fn refuses_to_start(&self) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_copydesk"))
            .args(["serve", "--config"])
            .arg(self.serving.config())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success(), "it started, and ended as if all were well");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// That everything is as it was answered: each accepted command's event stands in the log once, where its answer
    /// said, no other does, and the same command gets the same answer again.
    pub fn is_as_answered(&mut self) {
        let events = self.serving.events();
        for (actor, command, answer) in std::mem::take(&mut self.accepted) {
            let of_it: Vec<_> = events.iter().filter(|event| event["command"] == command["id"]).collect();
            assert_eq!(of_it.len(), 1, "{command} is there once");
            assert_eq!(of_it[0]["seq"], answer["seq"]);
            assert_eq!(of_it[0]["id"], answer["event"]);
            let mut again = answer.clone();
            again["duplicate"] = json!(true);
            let sent = send(&self.agent, self.serving.url(), actor, &command).unwrap();
            assert_eq!(sent, (200, again));
            self.accepted.push((actor, command, answer));
        }
        assert_eq!(self.serving.events().len(), events.len(), "a repeated command adds nothing");
    }
}
