//! The public routes: what the public side renders, with validators, conditional requests and compression. They need no
//! token and know nothing but the wire.
//!
//! What is rendered is kept until something changes, so a route that many ask for costs a look-up; what isn't kept is
//! rendered on a thread that nobody else waits for.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State, rejection::PathRejection};
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use copydesk_article::ids::parse_uuid;
use copydesk_article::problem::{Code, Problem};
use copydesk_public::feed::FeedError;
use copydesk_public::page::{self, Form};
use copydesk_public::{Answers, Encoding, Feed, Rendered, Site, conditional, feed, store};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::problem::Refusal;
use super::query::Params;
use super::{Editions, Gateway, no_such_route};
use crate::log::Clock;

/// What the public routes read from.
#[derive(Clone)]
pub struct Readers {
    /// The wire, folded, and those who follow it.
    pub editions: Editions,
    /// The house.
    pub site: Site,
    /// What time it is: withdrawn articles leave the feeds after a while.
    pub clock: Arc<dyn Clock>,
    /// What was rendered since something last changed.
    pub rendered: Arc<Kept>,
}

/// Answers that are kept, and how many may be rendered at a time.
#[derive(Debug)]
pub struct Kept {
    answers: Answers,
    turns: Arc<Semaphore>,
}

/// Answers that are rendered at a time; who wants another one waits without holding a thread, which the log may need.
const AT_A_TIME: usize = 4;

impl Default for Kept {
    fn default() -> Self {
        Self { answers: Answers::default(), turns: Arc::new(Semaphore::new(AT_A_TIME)) }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Readers({})", self.site.public_url)
    }
}

/// How long who may keep an answer: whoever reads checks each time, what stands between (a CDN) after a second. So a
/// flood costs a request a second for each place, and a correction or withdrawal is seen by the next reader after it.
/// None may go on with what it has when it can't ask: the text may have been withdrawn.
const CACHING: &str = "public, max-age=0, s-maxage=1, must-revalidate";

/// `GET /feed.json`, `/feed.atom`, `/feed.rss`, `/feed.ninjs`. Parameters that feeds don't have are passed over:
/// readers' software adds its own.
pub(super) async fn feed(
    State(gateway): State<Arc<Gateway>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let readers = of(&gateway)?;
    let asked = asked(&uri)?;
    let path = uri.path().to_owned();
    let key = key(&path, &asked);
    let render = move |readers: &Readers| {
        let (feed, now) =
            (Feed { public: readers.editions.public(), site: &readers.site }, readers.clock.now());
        match path.as_str() {
            "/feed.atom" => feed.atom(&asked, now),
            "/feed.rss" => feed.rss(&asked, now),
            "/feed.ninjs" => feed.ninjs(&asked, now),
            _ => feed.json(&asked, now),
        }
    };
    answer(readers, &headers, key, render).await
}

/// `GET /`
pub(super) async fn front(
    State(gateway): State<Arc<Gateway>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let readers = of(&gateway)?;
    let asked = asked(&uri)?;
    let asked = feed::Params { section: asked.section, cursor: asked.cursor, ..feed::Params::default() };
    let key = key("/", &asked);
    let render = move |readers: &Readers| {
        page::front(readers.editions.public(), &readers.site, &asked, readers.clock.now())
    };
    answer(readers, &headers, key, render).await
}

/// `GET /articles/{id}`. An id that is none is answered as one that nobody has.
pub(super) async fn article(
    State(gateway): State<Arc<Gateway>>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let readers = of(&gateway)?;
    let form = Form::negotiated(header(&headers, &ACCEPT));
    let Some(id) = path.ok().and_then(|Path(id)| parse_uuid(&id)) else {
        return Ok(respond(&headers, page::not_found(&readers.site, form)));
    };
    let render = move |readers: &Readers| {
        let article = page::article(readers.editions.public(), &readers.site, id, form, readers.clock.now());
        article.map_err(FeedError::Store)
    };
    answer(readers, &headers, format!("/articles/{id} {}", form.name()), render).await
}

/// What a feed or the front page is asked for.
fn asked(uri: &Uri) -> Result<feed::Params, Problem> {
    let params = Params::lenient(uri)?;
    let text = |name| params.get(name).map(str::to_owned);
    Ok(feed::Params {
        section: text("section"),
        keyword: text("keyword"),
        language: text("language"),
        subject: text("subject"),
        limit: params.limit()?,
        cursor: text("cursor"),
    })
}

/// Under what an answer is kept: parameters that mean nothing here don't make another of it.
fn key(path: &str, asked: &feed::Params) -> String {
    format!("{path} {asked:?}")
}

/// What a rendering came to. Its panic goes on out here, where the net for panics catches it.
async fn finished<T>(rendering: JoinHandle<T>) -> Result<T, Problem> {
    rendering.await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Problem::new(Code::LogUnavailable, "the service is ending"),
    })
}

/// Answers from what is kept, or renders it.
async fn answer(
    readers: &Readers,
    headers: &HeaderMap,
    key: String,
    render: impl FnOnce(&Readers) -> Result<Rendered, FeedError> + Send + 'static,
) -> Result<Response, Refusal> {
    let encoding = Encoding::negotiated(header(headers, &ACCEPT_ENCODING));
    let find =
        || readers.rendered.answers.find(readers.editions.public(), &key, encoding, readers.clock.now());
    let rendered = match find() {
        Some(rendered) => Ok(rendered),
        None => {
            let turn = Arc::clone(&readers.rendered.turns).acquire_owned().await;
            match find() {
                Some(rendered) => Ok(rendered),
                None => {
                    let readers = readers.clone();
                    let rendering = tokio::task::spawn_blocking(move || {
                        // Held to the end, even if whoever asked has gone away.
                        let _turn = turn;
                        let (answers, now) = (&readers.rendered.answers, readers.clock.now());
                        answers.get(readers.editions.public(), &key, encoding, now, || render(&readers))
                    });
                    finished(rendering).await?
                }
            }
        }
    };
    let rendered = rendered.map_err(|error| match error {
        FeedError::Cursor => Problem::invalid("cursor", "cursor: none of ours; start without one"),
        FeedError::Store(error) => unreadable(&error),
    })?;
    Ok(respond(headers, rendered))
}

pub(super) fn of(gateway: &Gateway) -> Result<&Readers, Problem> {
    gateway.readers.as_ref().ok_or_else(no_such_route)
}

pub(super) fn unreadable(error: &store::Error) -> Problem {
    tracing::error!(%error, "the public state can't be read");
    Problem::new(Code::LogUnavailable, "what is public can't be read now")
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Sends what was rendered, or 304 to a reader who has it.
fn respond(asked: &HeaderMap, rendered: Rendered) -> Response {
    let has_it = conditional(header(asked, &IF_NONE_MATCH), header(asked, &IF_MODIFIED_SINCE), &rendered);
    let is_page = rendered.content_type.starts_with("text/html");
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(CACHE_CONTROL, CACHING);
    // What is public may be read by any site's scripts.
    set(ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(ETAG, &rendered.etag);
    if let Some(modified) = rendered.last_modified_header() {
        set(LAST_MODIFIED, &modified);
    }
    set(VARY, rendered.vary);
    if has_it {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    set(CONTENT_TYPE, rendered.content_type);
    if let Some(encoding) = rendered.encoding.header() {
        set(CONTENT_ENCODING, encoding);
    }
    if is_page {
        set(CONTENT_SECURITY_POLICY, page::content_security_policy());
    }
    *response.status_mut() =
        StatusCode::from_u16(rendered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.body_mut() = Body::from(rendered.body);
    response
}
