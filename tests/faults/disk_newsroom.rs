//! A newsroom at work on the real binary over HTTP, that remembers every answer it got.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Serving, send};

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
        json!({"id": self.id(), "type": "draft", "data": {"slug": "story", "language": "en", "section": "world",
            "headline": headline, "blocks": [{"kind": "paragraph", "text": "As drafted."}]}})
    }

    /// Sends a command once, and remembers an answer of success.
    pub fn send(&mut self, actor: &'static str, command: &Value) -> (u16, Value) {
        let (status, answer) = self.try_send(actor, command).expect("an answer");
        (status, answer)
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
        let draft = self.draft(headline);
        let (status, answer) = self.send("ana", &draft);
        assert_eq!(status, 200, "{answer}");
        let article: Uuid = answer["article"].as_str().unwrap().parse().unwrap();
        for (actor, kind) in [("ana", "submit"), ("eva", "approve"), ("pia", "publish")] {
            let command = json!({"id": self.id(), "type": kind, "article": article, "base": 1});
            let (status, answer) = self.send(actor, &command);
            assert_eq!(status, 200, "{kind}: {answer}");
        }
        article
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
