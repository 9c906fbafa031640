//! `GET /v1/stream`: what moves at the desk, for staff. Never words: who did what to which article, and how it stands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use bytes::Bytes;
use copydesk_article::article::{Article, Stage, Status};
use copydesk_article::event::{self, Read};
use copydesk_article::ids::parse_uuid;
use copydesk_article::problem::Problem;
use serde::Serialize;
use uuid::Uuid;

use super::{Ended, Line, event as sse, follow, last_event_id};
use crate::desk::{At, Desk};
use crate::http::Gateway;
use crate::http::identity::Reader;
use crate::http::problem::Refusal;
use crate::http::query::Params;
use crate::log::{Content, Entry, Seq, Stream};
use crate::store::board::is_in_section;
use crate::store::fold::{Step, advance};
use crate::store::{Move, Stored};

/// How much a reader's articles may take while they read the past, in bytes: of ordinary ones that is some 250. What isn't
/// kept is folded anew from its last snapshot when it comes up again.
const KEPT_BYTES: usize = 1 << 20;
/// What an article takes beside its words.
const BESIDE_WORDS: usize = 1024;

/// What staff are told.
#[derive(Serialize)]
struct Moved<'a> {
    article: Uuid,
    version: u32,
    revision: u32,
    stage: Stage,
    status: Status,
    #[serde(rename = "type")]
    kind: &'a str,
    by: &'a str,
}

/// `GET /v1/stream`
pub(in crate::http) async fn stream(
    State(gateway): State<Arc<Gateway>>,
    reader: Reader,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let params = Params::strict(&uri, &["article", "assignee", "section"])?;
    let article = params.get("article").map(|id| {
        parse_uuid(id)
            .ok_or_else(|| Problem::invalid("article", "article: expected a UUID, lower-case and hyphenated"))
    });
    let article = article.transpose()?;
    if let Some(article) = article {
        reader.sees(article)?;
    }
    let line = Events {
        article,
        assignee: params.get("assignee").map(str::to_owned),
        section: params.get("section").map(str::to_owned),
        past: Arc::default(),
        desk: Arc::clone(&reader.desk),
        reader,
    };
    let new = line.desk.store().moves();
    let pass = line.reader.pass();
    Ok(follow(&gateway, line, new, last_event_id(&headers)?, pass)?)
}

/// The log as one of the staff may see it.
struct Events {
    article: Option<Uuid>,
    assignee: Option<String>,
    section: Option<String>,
    reader: Reader,
    desk: Arc<Desk>,
    past: Arc<Mutex<Articles>>,
}

/// Articles as they were after the last event that was read of the past.
#[derive(Default)]
struct Articles {
    kept: HashMap<Uuid, Stored>,
    bytes: usize,
}

impl Articles {
    fn get(&self, id: Uuid) -> Option<&Stored> {
        self.kept.get(&id)
    }

    fn keep(&mut self, stored: Stored) {
        let size = |stored: &Stored| stored.article.bytes() + BESIDE_WORDS;
        if self.bytes > KEPT_BYTES {
            *self = Self::default();
        }
        self.bytes += size(&stored);
        if let Some(before) = self.kept.insert(stored.article.id, stored) {
            self.bytes -= size(&before);
        }
    }
}

impl Events {
    fn kept(&self) -> MutexGuard<'_, Articles> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the reader is told of an event, if anything: what they asked for and may see, as people, roles and
    /// restrictions are now.
    fn tell(&self, moved: &Move, now: &Article) -> Result<Option<Bytes>, Ended> {
        let newsroom = self.desk.store().newsroom();
        let Some(person) = self.reader.still_in(&newsroom) else { return Err(Ended) };
        let article = &moved.article;
        let asked = self.article.is_none_or(|asked| asked == article.id)
            && self.assignee.as_ref().is_none_or(|asked| article.assignment.names(asked))
            && self.section.as_ref().is_none_or(|asked| is_in_section(article.section(), asked));
        if !asked || !now.may_be_seen_by(self.reader.actor(), person) {
            return Ok(None);
        }
        let told = Moved {
            article: article.id,
            version: article.version,
            revision: article.revision,
            stage: article.stage(&newsroom.rules_for(article.section())),
            status: article.status(),
            kind: &moved.kind,
            by: &moved.by,
        };
        let data = serde_json::to_vec(&told).map_err(|_| Ended)?;
        Ok(Some(sse(moved.seq, None, &data)))
    }

    /// Folds an event of the past; none for what isn't one, or is of an article set aside. Of any other nothing is passed
    /// over: where what is folded lacks what came before the event, it is damaged, and the reader comes back.
    async fn folded_with(&mut self, entry: &Entry) -> Result<Option<Move>, Ended> {
        let Content::Message { body, .. } = &entry.content else { return Ok(None) };
        let (Some(id), Read::Event(event)) = (parse_uuid(&entry.subject), event::read(&entry.subject, body))
        else {
            return Ok(None);
        };
        let known = self.kept().get(id).cloned();
        let known = known.filter(|known| known.article.version + 1 == event.articleversion);
        let before = match (known, event.articleversion) {
            (Some(known), _) => Some(known),
            (None, 1) => None,
            (None, version) => {
                let before = self.desk.as_it_was(id, At::Version(version - 1), 0).await.map_err(|_| Ended)?;
                before.map(|article| Stored::new(article, 0))
            }
        };
        let Step::Event(stored, event) = advance(before.as_ref(), entry) else {
            return self.is_set_aside(id, entry.seq).map(|()| None);
        };
        let moved = Move::of(&event, &stored);
        self.kept().keep(stored);
        Ok(Some(moved))
    }
}

impl Events {
    /// That nothing is told of an event because its article is set aside.
    fn is_set_aside(&self, article: Uuid, seq: Seq) -> Result<(), Ended> {
        let store = self.desk.store();
        self.is_whole()?;
        if store.aside(article).map_err(|_| Ended)?.is_some() {
            return Ok(());
        }
        // Where all is being folded anew it will be there again.
        if store.position().seq >= seq && self.is_whole().is_ok() {
            store.note_damage("an article lacks events that were folded");
        }
        Err(Ended)
    }
}

#[async_trait]
impl Line for Events {
    type New = Move;
    const IS_STAFF: bool = true;

    fn new_one(&mut self, new: &Move) -> Result<(Seq, Option<Bytes>), Ended> {
        Ok((new.seq, self.tell(new, &new.article)?))
    }

    async fn old_one(&mut self, old: Entry) -> Result<Option<Bytes>, Ended> {
        if self.article.is_some_and(|asked| parse_uuid(&old.subject) != Some(asked)) {
            return Ok(None);
        }
        // Staff are told of what was erased since as of any other event: nothing that is told is words.
        let instead = match (&old.content, parse_uuid(&old.subject)) {
            (Content::Erased { .. }, Some(id)) => self.desk.entry_of(id, old.seq).await.map_err(|_| Ended)?,
            _ => Some(old),
        };
        let Some(old) = instead else { return Ok(None) };
        let Some(moved) = self.folded_with(&old).await? else { return Ok(None) };
        // What isn't folded yet, once it was cleared, is not known to be restricted, nor to be there at all.
        self.is_whole()?;
        let now = self.desk.store().article(moved.article.id).map_err(|_| Ended)?;
        self.is_whole()?;
        match now {
            Some(now) => self.tell(&moved, &now.article),
            None => self.is_set_aside(moved.article.id, moved.seq).map(|()| None),
        }
    }

    fn entries(&self) -> Arc<dyn Stream> {
        self.desk.log().events()
    }

    fn folded(&self) -> Seq {
        self.desk.store().position().seq
    }

    fn id(&self, seen: Seq) -> Seq {
        seen
    }

    fn is_whole(&self) -> Result<(), Ended> {
        self.desk.in_doubt().is_none().then_some(()).ok_or(Ended)
    }

    fn at_the_end_of_a_turn(&self) -> impl FnOnce() + Send + 'static {
        let past = Arc::clone(&self.past);
        move || *past.lock().unwrap_or_else(PoisonError::into_inner) = Articles::default()
    }
}
