//! A desk for the tests of verbs: the core's own rules behind the contract's routes, in memory.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse;
use copydesk::config::Config;
use copydesk::service::{ActingAs, Embedded, FoldCheck};
use copydesk_article::article::Article;
use copydesk_article::claims::Place;
use copydesk_article::command::{self, Command, Context, Hints, Undecided};
use copydesk_article::edition::Edition;
use copydesk_article::event::{Event, Hex};
use copydesk_article::gate::gate;
use copydesk_article::newsroom::Newsroom;
use copydesk_article::problem::{Code, Problem};
use copydesk_article::text::marks;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use super::screen::Screen;

/// A screen that keeps what was written.
pub fn shown(json: bool) -> (Screen, Written) {
    let written = Written::default();
    (Screen::plain(written.clone(), json), written)
}

/// What was written.
#[derive(Clone, Default)]
pub struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Line {
    events: Vec<(u64, Event)>,
    states: Vec<Arc<Article>>,
}

#[derive(Clone)]
pub struct TestDesk {
    newsroom: Arc<Newsroom>,
    lines: Arc<Mutex<BTreeMap<Uuid, Line>>>,
}

impl TestDesk {
    pub fn new() -> Self {
        let set = Config::trial().unwrap().0.newsroom_set();
        Self { newsroom: Arc::new(Newsroom { version: 1, set }), lines: Arc::default() }
    }

    pub fn client(&self, actor: &str) -> Client {
        Client::in_process(Arc::new(self.clone()), actor)
    }

    fn command(&self, actor: &str, body: &[u8]) -> Result<Value, Problem> {
        let command = Command::read(body, Hints::default())?;
        let mut lines = self.lines.lock().unwrap();
        let seq = 2 + lines.values().map(|line| line.events.len() as u64).sum::<u64>();
        let line = lines.entry(command.article).or_default();
        if let Some((seq, event)) = line.events.iter().find(|(_, event)| event.command == command.id) {
            let same = *event.actor == *actor && command.hash(&event.salt, None) == event.commandhash;
            return if same {
                Ok(answer(event, *seq, true))
            } else {
                Err(Problem::new(Code::IdReused, "reused"))
            };
        }
        let (actor, source) = (Arc::from(actor), Arc::from("/copydesk"));
        let context = Context {
            now: chrono::Utc::now(),
            actor: &actor,
            newsroom: &self.newsroom,
            salt: Hex([1; 16]),
            source: &source,
            seal: None,
            erasing: None,
        };
        let present = line.states.last().cloned();
        let past = line.states.iter().map(|state| (state.revision, Arc::clone(state))).collect();
        let decision =
            command::decide(present.as_deref(), &past, &command, &context).map_err(|undecided| {
                match undecided {
                    Undecided::Refused(problem) => *problem,
                    Undecided::Needs(revisions) => panic!("{revisions:?} are there"),
                    Undecided::NeedsLine => panic!("nothing is erased here"),
                }
            })?;
        let answer = answer(&decision.event, seq, false);
        line.events.push((seq, decision.event));
        line.states.push(Arc::new(decision.article));
        Ok(answer)
    }

    fn answer(&self, request: &Request<()>, body: &[u8]) -> Result<Value, Problem> {
        let path: Vec<&str> = request.uri().path().split('/').skip(1).collect();
        if path == ["v1", "commands"] {
            let ActingAs(actor) = request.extensions().get().unwrap();
            return self.command(actor, body);
        }
        let lines = self.lines.lock().unwrap();
        let line = |id: &str| lines.get(&id.parse().unwrap()).ok_or_else(Problem::not_found);
        match path.as_slice() {
            ["feed.json"] => {
                let editions = lines.values().filter_map(|line| Edition::of(line.states.last()?));
                let items: Vec<Value> = editions.map(|edition| entry(&edition)).collect();
                Ok(json!({"items": items}))
            }
            ["v1", "articles", id] => {
                let article = line(id)?.states.last().unwrap().clone();
                Ok(view(&article, &self.newsroom))
            }
            ["v1", "articles", id, "history"] => {
                let events = line(id)?.events.iter().map(|(seq, event)| {
                    let mut event = serde_json::to_value(event).unwrap();
                    event["seq"] = json!(seq);
                    event
                });
                Ok(json!({"events": events.collect::<Vec<_>>()}))
            }
            _ => Err(Problem::not_found()),
        }
    }
}

#[async_trait]
impl Embedded for TestDesk {
    fn router(&self) -> Router {
        let desk = self.clone();
        Router::new().fallback(async move |request: axum::extract::Request| {
            let (parts, body) = request.into_parts();
            let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            match desk.answer(&Request::from_parts(parts, ()), &body) {
                Ok(answer) => axum::Json(answer).into_response(),
                Err(problem) => {
                    (StatusCode::from_u16(problem.status).unwrap(), axum::Json(problem)).into_response()
                }
            }
        })
    }
    fn newsroom(&self) -> Newsroom {
        (*self.newsroom).clone()
    }
    async fn check_fold(&self) -> anyhow::Result<FoldCheck> {
        let lines = self.lines.lock().unwrap();
        let events = lines.values().map(|line| line.events.len() as u64).sum::<u64>() + 1;
        Ok(FoldCheck { articles: lines.len() as u64, events })
    }
    async fn close(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

fn answer(event: &Event, seq: u64, duplicate: bool) -> Value {
    let said = event.data.said();
    json!({
        "article": &*event.subject, "version": event.articleversion, "revision": event.revision, "event": event.id,
        "type": &*event.kind, "seq": seq, "stage": said.stage, "status": said.status, "duplicate": duplicate,
        "created": said.created, "blocks": said.blocks, "edition": said.edition,
    })
}

fn view(article: &Article, newsroom: &Newsroom) -> Value {
    let rules = newsroom.rules_for(article.section());
    let fields: BTreeMap<_, _> =
        article.fields.values().map(|(name, value)| (name.name(), value.shown())).collect();
    let blocks = article.blocks.iter().map(|block| {
        let content = block.content.clone().map(|text| marks::write(&text));
        let mut shown = serde_json::to_value(content).unwrap();
        shown["id"] = json!(block.id);
        shown
    });
    let claims = article.claims.values().map(|claim| {
        let (place, name) = match claim.place {
            Place::Block(id) => ("block", id.to_string()),
            Place::Field(field) => ("field", field.name().to_owned()),
        };
        let verdict = claim.ruling.as_ref().map(|ruling| ruling.verdict);
        json!({"id": claim.id, "quote": claim.quote, place: name, "state": claim.state, "verdict": verdict})
    });
    json!({
        "article": article.id, "version": article.version, "revision": article.revision,
        "stage": article.stage(&rules), "status": article.status(),
        "edition": article.last_edition().map(|edition| edition.number), "fields": fields,
        "blocks": blocks.collect::<Vec<_>>(), "claims": claims.collect::<Vec<_>>(),
        "gate": gate(article, newsroom, article.updated),
    })
}

fn entry(edition: &Edition) -> Value {
    let words: Vec<String> = edition
        .blocks
        .iter()
        .flat_map(|block| block.texts())
        .map(|spans| copydesk_article::text::spans::plain(spans))
        .collect();
    json!({
        "id": format!("urn:uuid:{}", edition.article), "title": edition.fields.headline,
        "summary": edition.fields.standfirst, "content_text": words.join("\n\n"),
        "date_published": edition.first_published, "date_modified": edition.published,
    })
}
