//! The public routes: what the public side renders, with validators, conditional requests and compression. They need no
//! token and know nothing but the wire.
//!
//! What is rendered is kept until something changes, so a route that many ask for costs a look-up, ahead of the router
//! ([`super::kept`]); what isn't kept is rendered on a thread that nobody else waits for.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State, rejection::PathRejection};
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use copydesk_article::ids::parse_uuid;
use copydesk_article::problem::{Code, Problem};
use copydesk_public::answers::{Answer, Answers};
use copydesk_public::feed::FeedError;
use copydesk_public::page::{self, Form};
use copydesk_public::{Encoding, Feed, Rendered, Site, conditional, feed, store};
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
    answers: Answers<Heads>,
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
    let asked = asked(&uri, true)?;
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
    let asked = asked(&uri, false)?;
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
        let rendered = page::not_found(&readers.site, form);
        return Ok(respond(&headers, &rendered, &Heads::from(&rendered)));
    };
    let render = move |readers: &Readers| {
        let article = page::article(readers.editions.public(), &readers.site, id, form, readers.clock.now());
        article.map_err(FeedError::Store)
    };
    let path = format!("/articles/{id}");
    answer(readers, &headers, article_key(&path, form).into_owned(), render).await
}

/// What a feed is asked for, or the front page, which has no other limit than its own.
fn asked(uri: &Uri, has_limit: bool) -> Result<feed::Params, Problem> {
    let names = ["section", "cursor", "keyword", "language", "subject", "limit"];
    let params = Params::lenient(uri, &names)?;
    let text = |name| params.get(name).map(str::to_owned);
    Ok(feed::Params {
        section: text("section"),
        keyword: text("keyword"),
        language: text("language"),
        subject: text("subject"),
        limit: if has_limit { params.limit()? } else { None },
        cursor: text("cursor"),
    })
}

/// Under what an answer is kept: parameters that mean nothing here don't make another of it. Without any it is the path.
fn key(path: &str, asked: &feed::Params) -> String {
    match *asked == feed::Params::default() {
        true => path.to_owned(),
        false => format!("{path} {asked:?}"),
    }
}

/// The same for an article. A path has no spaces.
fn article_key(path: &str, form: Form) -> Cow<'_, str> {
    match form {
        Form::Page => path.into(),
        Form::Json | Form::Ninjs => format!("{path} {}", form.name()).into(),
    }
}

/// The pattern of a public route whose answers are kept, by a path.
pub(super) fn kept_route(path: &str) -> Option<&'static str> {
    Some(match path {
        "/" => "/",
        "/feed.json" => "/feed.json",
        "/feed.atom" => "/feed.atom",
        "/feed.rss" => "/feed.rss",
        "/feed.ninjs" => "/feed.ninjs",
        _ if path.starts_with("/articles/") => "/articles/{id}",
        _ => return None,
    })
}

/// What is kept for a request of this path, without parameters; none where it is to be rendered.
pub(super) fn kept(readers: &Readers, path: &str, headers: &HeaderMap) -> Option<Response> {
    if !readers.editions.is_whole() {
        return None;
    }
    let key = match path.starts_with("/articles/") {
        true => article_key(path, Form::negotiated(header(headers, &ACCEPT))),
        false => path.into(),
    };
    let encoding = Encoding::negotiated(header(headers, &ACCEPT_ENCODING));
    let answers = &readers.rendered.answers;
    let answer = answers.find(readers.editions.public(), &key, encoding, readers.clock.now())?;
    Some(respond(headers, &answer.rendered, &answer.made))
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
    let answer: Result<Arc<Answer<Heads>>, FeedError> = match find() {
        Some(answer) => Ok(answer),
        None => {
            let turn = Arc::clone(&readers.rendered.turns).acquire_owned().await;
            match find() {
                Some(answer) => Ok(answer),
                None => {
                    let these = readers.clone();
                    let rendering = tokio::task::spawn_blocking(move || {
                        // Held to the end, even if whoever asked has gone away.
                        let _turn = turn;
                        let (answers, now) = (&these.rendered.answers, these.clock.now());
                        let whole = || {
                            let rendered = render(&these);
                            // It may have been cleared on the way: then it isn't kept either.
                            if these.editions.is_whole() { rendered } else { Err(cleared()) }
                        };
                        answers.get(these.editions.public(), &key, encoding, now, whole)
                    });
                    let answer = finished(rendering).await?;
                    has_whole(readers)?;
                    answer
                }
            }
        }
    };
    let answer = answer.map_err(|error| match error {
        FeedError::Cursor => Problem::invalid("cursor", "cursor: none of ours; start without one"),
        FeedError::Store(error) => unreadable(&error),
    })?;
    Ok(respond(headers, &answer.rendered, &answer.made))
}

/// What readers are shown.
///
/// # Errors
/// `behind` while the wire is folded anew.
pub(super) fn of(gateway: &Gateway) -> Result<&Readers, Problem> {
    let readers = gateway.readers.as_ref().ok_or_else(no_such_route)?;
    has_whole(readers).map(|()| readers)
}

fn cleared() -> FeedError {
    store::Error::Damaged("it was cleared while it was read".to_owned()).into()
}

fn has_whole(readers: &Readers) -> Result<(), Problem> {
    let detail = "this instance is folding the wire anew: try again, or ask another";
    readers.editions.is_whole().then_some(()).ok_or_else(|| Problem::new(Code::Behind, detail))
}

pub(super) fn unreadable(error: &store::Error) -> Problem {
    tracing::error!(%error, "the public state can't be read");
    Problem::new(Code::LogUnavailable, "what is public can't be read now")
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The headers of an answer, ready to be sent.
#[derive(Debug)]
struct Heads {
    whole: HeaderMap,
    /// Those of a 304 in its place.
    unchanged: HeaderMap,
}

impl From<&Rendered> for Heads {
    fn from(rendered: &Rendered) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(CACHING));
        // What is public may be read by any site's scripts.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(VARY, HeaderValue::from_static(rendered.vary));
        let mut made = |name: HeaderName, value: Option<&str>| {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        };
        made(ETAG, Some(&rendered.etag));
        made(LAST_MODIFIED, rendered.last_modified_header().as_deref());
        let unchanged = headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(rendered.content_type));
        if let Some(encoding) = rendered.encoding.header() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        if rendered.content_type.starts_with("text/html")
            && let Ok(policy) = HeaderValue::from_str(page::content_security_policy())
        {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        Self { whole: headers, unchanged }
    }
}

/// Sends what was rendered, or 304 to a reader who has it.
fn respond(asked: &HeaderMap, rendered: &Rendered, heads: &Heads) -> Response {
    let has_it = conditional(header(asked, &IF_NONE_MATCH), header(asked, &IF_MODIFIED_SINCE), rendered);
    let (status, headers, body) = match has_it {
        true => (StatusCode::NOT_MODIFIED, &heads.unchanged, Body::empty()),
        false => {
            let status = StatusCode::from_u16(rendered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, &heads.whole, Body::from(rendered.body.clone()))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().clone_from(headers);
    response
}
