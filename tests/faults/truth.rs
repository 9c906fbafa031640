//! What the log and the wire hold, read past the service, and everything that must be so of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use chrono::{DateTime, Utc};
use copydesk::log::segments::Options;
use copydesk::log::{Content, Stream};
use copydesk::service::open_embedded_log;
use futures::StreamExt;
use serde_json::{Value, json};
use uuid::Uuid;

use super::load::{Sent, Way};
use crate::harness::Serving;
use crate::instance::uuid_of;
use crate::log_contract::within;

/// How long readers may take to see what is out.
const PATIENCE: Duration = Duration::from_secs(30);

/// A message of the log or the wire.
pub struct Message {
    pub seq: u64,
    pub subject: String,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

/// Everything on the log and on the wire.
pub struct Truth {
    pub events: Vec<Message>,
    pub wire: Vec<Message>,
}

impl Truth {
    /// As any client of the NATS server reads it.
    pub async fn on_nats(client: &Client) -> Self {
        let context = async_nats::jetstream::new(client.clone());
        let read = async |name: &str| {
            let stream = context.get_stream(name).await.unwrap();
            let last = stream.get_info().await.unwrap().state.last_sequence;
            let from_first = DeliverPolicy::All;
            let config = pull::OrderedConfig { deliver_policy: from_first, ..Default::default() };
            let mut messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
            let mut all: Vec<Message> = Vec::new();
            while all.last().map_or(0, |message| message.seq) < last {
                let message = within(messages.next()).await.unwrap().unwrap();
                let headers = message.headers.iter().flat_map(|headers| headers.iter());
                let headers = headers.map(|(name, values)| (name.to_string(), values[0].to_string()));
                all.push(Message {
                    seq: message.info().unwrap().stream_sequence,
                    subject: message.subject.to_string(),
                    headers: headers.collect(),
                    body: serde_json::from_slice(&message.payload).unwrap(),
                });
            }
            all
        };
        Self { events: read("COPYDESK_EVENTS").await, wire: read("COPYDESK_WIRE").await }
    }

    /// Of an embedded log that no service has open.
    pub async fn in_folder(data: &Path) -> Self {
        let log = open_embedded_log(data, Options::default()).unwrap();
        let read = async |stream: &dyn Stream, under: &str| {
            let mut all = Vec::new();
            for seq in 1..=stream.end().await.unwrap() {
                let entry = stream.get(seq).await.unwrap().unwrap();
                let Content::Message { headers, body } = entry.content else { panic!("erased") };
                let body: Value = serde_json::from_slice(&body).unwrap();
                let mut headers: BTreeMap<String, String> = headers.into_iter().collect();
                if let (Some(uri), Some(edition)) = (body["uri"].as_str(), body["version"].as_str()) {
                    // An embedded log doesn't give the id back: it can't but be right.
                    let id = format!("{}/{edition}", uri.replace("urn:uuid:", ""));
                    headers.insert("Nats-Msg-Id".to_owned(), id);
                }
                let subject = format!("copydesk.{under}.{}", entry.subject);
                all.push(Message { seq, subject, headers, body });
            }
            all
        };
        Self { events: read(&*log.events(), "event").await, wire: read(&*log.wire(), "wire").await }
    }

    /// The events of articles: all but the newsroom line.
    fn line(&self) -> impl Iterator<Item = &Message> {
        self.events.iter().filter(|event| event.subject != "copydesk.event.desk")
    }

    /// That the log has exactly the events of the commands that were accepted, each once and as its sender was told,
    /// and nothing of those that were refused; and every article's versions without a gap (promises 1, 2 and 4).
    pub fn has_exactly_what_was_answered(&self, sent: &[Sent]) {
        let mut accepted = BTreeMap::new();
        for sent in sent.iter().filter(|sent| sent.status == 200) {
            accepted.insert(uuid_of(&sent.command["id"]), &sent.answer);
        }
        let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
        for Message { seq, subject, body, .. } in self.line() {
            let article = body["subject"].as_str().unwrap();
            assert_eq!(*subject, format!("copydesk.event.{article}"));
            let version = versions.entry(article).or_default();
            *version += 1;
            assert_eq!(body["articleversion"], json!(*version), "{article} has versions without a gap");
            let command = uuid_of(&body["command"]);
            let answer = accepted.remove(&command);
            let answer =
                answer.unwrap_or_else(|| panic!("{command} is there twice, or was refused: {body:#}"));
            let told = ["article", "event", "type", "seq", "version", "revision"].map(|name| &answer[name]);
            let there = [
                &body["subject"],
                &body["id"],
                &body["type"],
                &json!(seq),
                &body["articleversion"],
                &body["revision"],
            ];
            assert_eq!(told, there, "what was answered is what is there");
        }
        assert!(accepted.is_empty(), "answered and lost: {accepted:#?}");
    }

    /// That the wire has one message for each edition, in the log's order, complete in itself (promise 8).
    pub fn has_each_edition_on_the_wire_once(&self, sent: &[Sent]) {
        let mut headlines = BTreeMap::new();
        for Sent { command, answer, .. } in sent.iter().filter(|sent| sent.status == 200) {
            let headline = [&command["data"]["headline"], &command["data"]["set"]["headline"]]
                .into_iter()
                .find(|h| h.is_string());
            let at = (answer["article"].as_str().unwrap(), answer["revision"].as_u64().unwrap());
            headlines.extend(headline.map(|headline| (at, headline)));
        }
        let mut editions: BTreeMap<&str, u64> = BTreeMap::new();
        let mut expected = Vec::new();
        for Message { seq, body, .. } in self.line().filter(|event| !event.body["wire"].is_null()) {
            let article = body["subject"].as_str().unwrap();
            let edition = editions.entry(article).or_default();
            *edition += 1;
            let upto = (article, body["revision"].as_u64().unwrap());
            let headline = headlines.range((article, 0)..=upto).next_back().unwrap().1;
            let kind = if *edition == 1 { "first" } else { "update" };
            let count = (expected.len() + 1).to_string();
            let event = body["id"].as_str().unwrap().to_owned();
            expected.push(OnWire {
                headers: [event, seq.to_string(), count, edition.to_string(), kind.to_owned()],
                id: format!("{article}/{edition}"),
                article: article.to_owned(),
                edition: edition.to_string(),
                headline: (*headline).clone(),
            });
        }
        assert!(!expected.is_empty(), "something was published");
        let there: Vec<_> = self.wire.iter().map(OnWire::of).collect();
        for (there, expected) in there.iter().zip(&expected) {
            assert_eq!(there, expected, "each edition once, in the log's order");
        }
        assert_eq!(there.len(), expected.len(), "each edition, and nothing else");
        assert!(self.wire.iter().all(|message| message.subject == "copydesk.wire.world"));
    }

    /// The newest edition of each article and when it was made.
    fn newest(&self) -> BTreeMap<String, (u64, DateTime<Utc>)> {
        let mut newest: BTreeMap<String, (u64, DateTime<Utc>)> = BTreeMap::new();
        for event in self.line().filter(|event| !event.body["wire"].is_null()) {
            let article = format!("urn:uuid:{}", event.body["subject"].as_str().unwrap());
            let edition = newest.get(&article).map_or(1, |(edition, _)| edition + 1);
            newest.insert(article, (edition, event.body["time"].as_str().unwrap().parse().unwrap()));
        }
        newest
    }

    /// That readers of a service get the newest edition of each article, by the newest change first, as soon as the
    /// service has come so far.
    pub fn is_what_readers_get(&self, serving: &Serving) {
        let shown = || {
            let (status, feed) = serving.get("audra", "/feed.json?limit=200");
            assert_eq!(status, 200, "{feed}");
            let feed: Value = serde_json::from_str(&feed).unwrap();
            let item = |item: &Value| {
                (item["id"].as_str().unwrap().to_owned(), item["_copydesk"]["edition"].as_u64().unwrap())
            };
            feed["items"].as_array().unwrap().iter().map(item).collect::<Vec<_>>()
        };
        let (newest, deadline) = (self.newest(), Instant::now() + PATIENCE);
        let expected: BTreeMap<_, _> =
            newest.iter().map(|(article, (edition, _))| (article.clone(), *edition)).collect();
        let as_expected =
            |shown: Vec<_>| shown.len() == expected.len() && BTreeMap::from_iter(shown) == expected;
        while !as_expected(shown()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let shown = shown();
        assert_eq!(BTreeMap::from_iter(shown.clone()), expected);
        assert_eq!(shown.len(), expected.len(), "each article once");
        assert!(shown.is_sorted_by_key(|(article, _)| std::cmp::Reverse(newest[article].1)), "{shown:#?}");
    }

    /// Every article as a service shows it, folded up to the log's end.
    pub fn articles(&self, serving: &Serving) -> BTreeMap<Uuid, Value> {
        let end = self.events.last().unwrap().seq;
        let ids: std::collections::BTreeSet<Uuid> =
            self.line().map(|event| uuid_of(&event.body["subject"])).collect();
        let shown = |id: Uuid| {
            let (status, article) = serving.get("carl", &format!("/v1/articles/{id}?min_seq={end}"));
            assert_eq!(status, 200, "{article}");
            (id, serde_json::from_str(&article).unwrap())
        };
        ids.into_iter().map(shown).collect()
    }
}

/// Whose edition a message on the wire is, by its headers and by what it carries.
#[derive(Debug, PartialEq)]
struct OnWire {
    headers: [String; 5],
    id: String,
    article: String,
    edition: String,
    headline: Value,
}

impl OnWire {
    fn of(message: &Message) -> Self {
        let header = |name: &str| message.headers.get(name).cloned();
        let names = ["Copydesk-Event", "Copydesk-Seq", "Copydesk-Count", "Copydesk-Edition", "Copydesk-Kind"];
        let member = |name: &str| message.body[name].as_str().unwrap().to_owned();
        let (article, edition) = (member("uri").replace("urn:uuid:", ""), member("version"));
        Self {
            headers: names.map(|name| header(name).unwrap()),
            id: header("Nats-Msg-Id").unwrap(),
            article,
            edition,
            headline: message.body["headlines"][0]["value"].clone(),
        }
    }
}

/// That every accepted command, sent again, gets its first answer again (promise 2).
pub async fn gets_its_first_answer_again(sent: &[Sent], way: &Way) {
    for Sent { actor, command, answer, .. } in sent.iter().filter(|sent| sent.status == 200) {
        let mut again = answer.clone();
        again["duplicate"] = json!(true);
        assert_eq!(way.insist(actor, command).await, (200, again));
    }
}
