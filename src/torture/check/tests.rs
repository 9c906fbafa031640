//! Each defect that the checker is to find, planted in a recorded run: what one desk said and left of three stories.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request};
use bytes::Bytes;
use copydesk_article::event::{self, Event, Read};
use copydesk_article::redaction::MARK;
use serde_json::json;
use sha2::{Digest, Sha256};
use tower::ServiceExt as _;

use super::*;
use crate::config::Config;
use crate::log::segments::Options;
use crate::log::{Content, Headers, Stream};
use crate::merkle::{Frontier, Leaf};
use crate::service::{ActingAs, Embedded, embedded, open_embedded_log};
use crate::torture::Dice;
use crate::torture::journal::{
    Delivered, Kept, Members, Moved, Outcome, Outside, Received, Seen, Sent, Streamed, digest, essence, mark,
};

mod erased;
mod judged;
mod merged;
mod planted;

/// Evidence that may be changed.
#[derive(Clone)]
struct Record {
    journal: Journal,
    events: Vec<Entry>,
    wire: Vec<Entry>,
    shown: Vec<Shown>,
}

struct Recorder {
    desk: Arc<dyn Embedded>,
    store: PathBuf,
    journal: Journal,
    dice: Dice,
}

impl Recorder {
    async fn in_folder(folder: &Path) -> Self {
        let (mut config, _) = Config::trial().unwrap();
        config.store.path = folder.join("data");
        let desk = embedded(&config).await.unwrap();
        Self { desk, store: config.store.path, journal: Journal::default(), dice: Dice::new(7) }
    }

    /// Ends the desk, and reads what it left.
    async fn close(self, shown: Shown) -> Record {
        let Self { desk, store, mut journal, .. } = self;
        desk.close().await.unwrap();
        drop(desk);
        let log = open_embedded_log(&store, Options::default()).unwrap();
        let (events, wire) = (all(log.events()).await, all(log.wire()).await);
        outside(&mut journal, &events, &wire);
        journal.rests = vec![chrono::Utc::now(); 2];
        Record { journal, events, wire, shown: vec![shown] }
    }

    async fn ask(&self, actor: &str, method: Method, route: &str, body: String) -> (u16, Value) {
        let request = Request::builder().method(method).uri(route).header("content-type", "application/json");
        let request = request.extension(ActingAs(actor.into())).body(Body::from(body)).unwrap();
        let answer = self.desk.router().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Sends a command so many times, and writes down what became of each.
    async fn send(&mut self, times: usize, actor: &str, mut command: Value) -> Value {
        command["id"] = json!(self.dice.uuid());
        let mut sent = Sent::new(actor, &command);
        let mut last = Value::Null;
        for _ in 0..times {
            let (status, answer) = self.ask(actor, Method::POST, "/v1/commands", command.to_string()).await;
            last = answer.clone();
            sent.sendings += 1;
            let was_accepted = sent.accepted().next().is_some();
            let refused = || Outcome::Refused { status, code: answer.text("code").to_owned() };
            let outcome = if status == 200 { Outcome::Accepted(answer.clone()) } else { refused() };
            sent.note(outcome, was_accepted);
        }
        self.journal.sent.push(sent);
        last
    }

    /// Returns once readers have edition 2 of so many articles: so the wire has all of them.
    async fn editions_are_out(&self, articles: usize) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let (_, feed) = self.ask("ana", Method::GET, "/feed.json", String::new()).await;
            let second = feed.list("items").iter().filter(|item| item["_copydesk"]["edition"] == 2);
            if second.count() == articles {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "the editions never come out: {feed}");
            tokio::task::yield_now().await;
        }
    }

    /// Returns once readers have this edition of an article.
    async fn has_out(&self, article: &Value, edition: u64) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let (_, feed) = self.ask("ana", Method::GET, "/feed.json", String::new()).await;
            let id = format!("urn:uuid:{}", article.as_str().unwrap());
            if feed
                .list("items")
                .iter()
                .any(|item| item["id"] == id && item["_copydesk"]["edition"] == edition)
            {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "the edition never comes out: {feed}");
            tokio::task::yield_now().await;
        }
    }

    async fn redact(&mut self, article: &Value, word: u64) {
        let of = |kind: &str, data: Value| json!({"type": kind, "article": article, "data": data});
        let data = json!({"words": mark(word), "ground": "Court order 7."});
        self.send(1, "carl", of("redact", data)).await;
        self.send(1, "eva", of("confirm_redaction", json!({"words": mark(word)}))).await;
    }

    async fn draft(&mut self, headline: u64, texts: &[String]) -> Value {
        let blocks: Vec<Value> =
            texts.iter().map(|text| json!({"kind": "paragraph", "text": text})).collect();
        let data = json!({"slug": "story", "language": "en", "section": "world",
            "headline": format!("Of {}", mark(headline)), "blocks": blocks});
        self.send(1, "ana", json!({"type": "draft", "data": data})).await["article"].clone()
    }
}

fn told(number: u64) -> String {
    format!("{} said that it rose.", mark(number))
}

fn of(article: &Value, base: u64, kind: &str, data: Value) -> Value {
    json!({"type": kind, "article": article, "base": base, "data": data})
}

fn replace(article: &Value, base: u64, block: &str, text: &str) -> Value {
    let ops = json!([{"op": "replace", "block": block, "kind": "paragraph", "text": text}]);
    json!({"type": "edit", "article": article, "base": base, "data": {"ops": ops}})
}

async fn all(stream: Arc<dyn Stream>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for seq in 1..=stream.end().await.unwrap() {
        entries.push(stream.get(seq).await.unwrap().unwrap());
    }
    entries
}

/// A run in which nothing is wrong: a story that is checked, published and corrected; one that stays secret; one that is
/// withdrawn.
async fn record() -> Record {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::in_folder(folder.path()).await;
    let r = &mut recorder;

    let story = r.draft(1, &[told(2), told(3)]).await;
    let claim = json!({"quote": mark(2), "block": "b1", "kind": "fact"});
    r.send(1, "ana", of(&story, 1, "claim", claim)).await;
    r.send(2, "chen", of(&story, 1, "rule", json!({"claim": "c1", "verdict": "supported"}))).await;
    r.send(1, "ana", of(&story, 1, "submit", json!({}))).await;
    r.send(1, "eva", of(&story, 1, "approve", json!({}))).await;
    r.send(2, "pia", of(&story, 1, "publish", json!({}))).await;
    r.send(1, "pia", of(&story, 1, "publish", json!({}))).await;
    r.send(1, "ana", replace(&story, 1, "b2", &told(4))).await;
    r.send(1, "eva", of(&story, 2, "approve", json!({}))).await;
    r.send(1, "pia", of(&story, 2, "publish", json!({"kind": "correction", "note": "It was wrong."}))).await;

    // A word that was out is erased from events and wire.
    let erased = r.draft(41, &[told(42)]).await;
    r.send(1, "eva", of(&erased, 1, "ask", json!({"text": mark(42), "blocking": false}))).await;
    for (actor, kind, data) in
        [("ana", "submit", json!({})), ("eva", "approve", json!({})), ("pia", "publish", json!({}))]
    {
        r.send(1, actor, of(&erased, 1, kind, data)).await;
    }
    r.send(1, "ana", replace(&erased, 1, "b1", &told(43))).await;
    r.send(1, "eva", of(&erased, 2, "approve", json!({}))).await;
    r.send(1, "pia", of(&erased, 2, "publish", json!({"kind": "correction", "note": "A name went."}))).await;
    r.has_out(&erased, 2).await;
    r.redact(&erased, 42).await;

    // A chief lets it out with an open query.
    let waived = r.draft(31, &[told(32)]).await;
    r.send(1, "eva", of(&waived, 1, "ask", json!({"text": mark(33)}))).await;
    r.send(1, "ana", of(&waived, 1, "submit", json!({}))).await;
    r.send(1, "eva", of(&waived, 1, "approve", json!({}))).await;
    let lifted = json!({"reasons": [{"code": "query_open", "query": "q1"}], "reason": mark(34)});
    r.send(1, "carl", of(&waived, 1, "waive", lifted)).await;
    r.send(1, "pia", of(&waived, 1, "publish", json!({}))).await;

    let secret = r.draft(11, &[told(12)]).await;
    r.send(1, "eva", of(&secret, 1, "ask", json!({"text": mark(13)}))).await;
    r.journal.sent.last_mut().unwrap().outcomes = vec![Outcome::Unknown];
    r.send(1, "ana", replace(&secret, 1, "b1", &told(14))).await;

    let gone = r.draft(21, &[told(22)]).await;
    r.send(1, "ana", of(&gone, 1, "submit", json!({}))).await;
    r.send(1, "eva", of(&gone, 1, "approve", json!({}))).await;
    r.send(1, "pia", of(&gone, 1, "publish", json!({}))).await;
    let last = r.send(1, "pia", of(&gone, 1, "withdraw", json!({"notice": "Gone."}))).await;

    let mut shown = Shown::default();
    for article in [&story, &secret, &waived, &erased, &gone] {
        let id = article.as_str().unwrap();
        let route = format!("/v1/articles/{id}?min_seq={}", last["seq"]);
        let (_, view) = r.ask("carl", Method::GET, &route, String::new()).await;
        let version = view["version"].as_u64().unwrap() as u32;
        let digest = digest(&essence(&view));
        r.journal.seen.push(Seen { instance: 0, article: id.parse().unwrap(), version, digest });
        let edition = view["edition"].as_u64().unwrap_or_default();
        let status = match view["status"].as_str().unwrap() {
            "withdrawn" => 410,
            "published" => 200,
            _ => 404,
        };
        shown.pages.insert(id.parse().unwrap(), (status, edition));
        shown.articles.insert(id.parse().unwrap(), view);
    }
    let feed = [(&story, 2), (&waived, 1), (&erased, 2), (&gone, 2)];
    shown.feed = feed.map(|(id, edition)| (id.as_str().unwrap().parse().unwrap(), edition)).to_vec();
    recorder.editions_are_out(3).await;
    let record = recorder.close(shown).await;
    assert_eq!((record.events.len(), record.wire.len()), (34, 7));
    record
}

/// What a subscriber, a reader of `/stream`, a receiver of webhooks, one of the staff and a keeper of checkpoints have,
/// who missed nothing.
fn outside(journal: &mut Journal, events: &[Entry], wire: &[Entry]) {
    let mut reader = Vec::new();
    journal.receivers.push("healthy");
    journal.subscribed = true;
    for entry in wire {
        let (headers, body) = match &entry.content {
            Content::Message { headers, body } => (headers, body),
            Content::Erased { sha256 } => {
                let (position, body) = (entry.seq, sha256.unwrap());
                journal.received.push(Received { position, event: String::new(), body });
                continue;
            }
        };
        let header = |name: &str| headers.iter().find(|(known, _)| known == name).unwrap().1.clone();
        journal.saw_outside("the wire", std::str::from_utf8(body).unwrap(), entry.time);
        let (position, event) = (entry.seq, header("Copydesk-Event"));
        journal.delivered.push(Delivered {
            receiver: "healthy",
            event: event.clone(),
            body: Sha256::digest(body).into(),
            is_signed: true,
            is_taken: true,
        });
        journal.received.push(Received { position, event, body: Sha256::digest(body).into() });
        let ninjs: Value = serde_json::from_slice(body).unwrap();
        let (seq, body) = (header("Copydesk-Seq").parse().unwrap(), digest(&ninjs));
        reader.push(Streamed { seq, body, time: entry.time });
    }
    journal.streamed.push(reader);
    let mut frontier = Frontier::default();
    journal.moved.push(Vec::new());
    let erasures = super::erased::Erasures::of(events, journal);
    for entry in events {
        let body = match &entry.content {
            Content::Message { body, .. } => body.clone(),
            Content::Erased { sha256 } => {
                let event = erasures.event(entry.seq, *sha256).unwrap();
                let told = json!({"article": event.subject, "version": event.articleversion,
                    "revision": event.revision, "type": event.kind, "by": event.actor});
                journal.moved[0].push(Moved { seq: entry.seq, told });
                frontier.push(Leaf { event: sha256.unwrap(), edition: None }.hash());
                continue;
            }
        };
        if let Read::Event(event) = event::read(&entry.subject, &body) {
            let told = json!({"article": event.subject, "version": event.articleversion,
                "revision": event.revision, "type": event.kind, "by": event.actor});
            journal.moved[0].push(Moved { seq: entry.seq, told });
        }
        frontier.push(Leaf::of(&entry.subject, &body).unwrap().hash());
        if frontier.size() % 5 == 0 {
            journal.kept.push(Kept { instance: 0, size: frontier.size(), root: frontier.root() });
        }
    }
}

impl Record {
    fn found(&self) -> Vec<Finding> {
        let Record { journal, events, wire, shown } = self;
        check(&Evidence { journal, events, wire, shown, verified: None, had_time: true }).findings
    }

    /// That exactly this kind of thing is found where this is changed.
    fn planted(&self, what: What, change: impl Fn(&mut Record)) {
        let mut record = self.clone();
        change(&mut record);
        let found = record.found();
        let kinds: BTreeSet<What> = found.iter().map(|finding| finding.what).collect();
        assert_eq!(kinds, BTreeSet::from([what]), "{found:#?}");
    }

    /// Leaves the log alone: what was seen of it is not what it is about.
    fn log_alone(&mut self) {
        self.shown.clear();
        self.journal.seen.clear();
        self.journal.kept.clear();
        self.journal.moved.clear();
        self.journal.receivers.clear();
        self.journal.streamed.clear();
    }

    fn no_subscriber(&mut self) {
        self.journal.received.clear();
        self.journal.subscribed = false;
    }

    fn sent(&mut self, kind: &str) -> &mut Sent {
        self.journal.sent.iter_mut().rev().find(|sent| sent.command["type"] == kind).unwrap()
    }

    /// Changes an event as JSON; the newest of this type.
    fn event(&mut self, kind: &str, change: impl Fn(&mut Value)) -> usize {
        let is_it =
            |entry: &Entry| is_there(entry) && body(entry)["type"] == format!("copydesk.article.{kind}");
        let at = self.events.iter().rposition(is_it).unwrap();
        let mut event = body(&self.events[at]);
        change(&mut event);
        self.events[at].content = message(&event);
        at
    }
}

fn is_there(entry: &Entry) -> bool {
    matches!(entry.content, Content::Message { .. })
}

fn body(entry: &Entry) -> Value {
    let Content::Message { body, .. } = &entry.content else { panic!("erased") };
    serde_json::from_slice(body).unwrap()
}

fn message(json: &Value) -> Content {
    Content::Message { headers: Headers::new(), body: Bytes::from(json.to_string()) }
}

fn set_header(entry: &mut Entry, name: &str, value: &str) {
    let Content::Message { headers, .. } = &mut entry.content else { panic!("erased") };
    headers.iter_mut().find(|(known, _)| known == name).unwrap().1 = value.to_owned();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_which_nothing_is_wrong_is_clean_and_each_planted_defect_is_found() {
    let record = record().await;
    assert_eq!(record.found(), []);
    record.answers();
    record.lines();
    record.editions();
    record.states();
    record.moves();
    record.deliveries();
    record.waivers();
    record.erased();
}
