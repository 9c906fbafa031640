//! The public routes: what the public side renders, with validators and conditional requests. They need no token and
//! know nothing but the wire.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State, rejection::PathRejection};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use copydesk_article::ids::parse_uuid;
use copydesk_article::problem::{Code, Problem};
use copydesk_public::feed::FeedError;
use copydesk_public::{Feed, Public, Rendered, Site, conditional, feed, page, store};

use super::problem::Refusal;
use super::query::Params;
use super::{Gateway, no_such_route};
use crate::log::{Clock, Stream};

/// What the public routes read from.
#[derive(Clone)]
pub struct Readers {
    /// The folded wire.
    pub public: Arc<Public>,
    /// The house.
    pub site: Site,
    /// What time it is: withdrawn articles leave the feeds after a while.
    pub clock: Arc<dyn Clock>,
    /// What is folded, whose end says how far behind that is.
    pub wire: Arc<dyn Stream>,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Readers({})", self.site.public_url)
    }
}

/// `GET /feed.json`, `/feed.atom`, `/feed.rss`, `/feed.ninjs`. Parameters that feeds don't have are passed over:
/// readers' software adds its own.
pub(super) async fn feed(
    State(gateway): State<Arc<Gateway>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let readers = readers(&gateway)?;
    let params = Params::lenient(&uri)?;
    let text = |name| params.get(name).map(str::to_owned);
    let asked = feed::Params {
        section: text("section"),
        keyword: text("keyword"),
        language: text("language"),
        subject: text("subject"),
        limit: params.limit()?,
        cursor: text("cursor"),
    };
    let (feed, now) = (Feed { public: &readers.public, site: &readers.site }, readers.clock.now());
    let rendered = match uri.path() {
        "/feed.atom" => feed.atom(&asked, now),
        "/feed.rss" => feed.rss(&asked, now),
        "/feed.ninjs" => feed.ninjs(&asked, now),
        _ => feed.json(&asked, now),
    };
    let rendered = rendered.map_err(|error| match error {
        FeedError::Cursor => Problem::invalid("cursor", "cursor: none of ours; start without one"),
        FeedError::Store(error) => unreadable(&error),
    })?;
    Ok(respond(&headers, rendered))
}

/// `GET /articles/{id}`. An id that is none is answered as one that nobody has.
pub(super) async fn article(
    State(gateway): State<Arc<Gateway>>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let readers = readers(&gateway)?;
    let accept = header(&headers, &ACCEPT);
    let rendered = match path.ok().and_then(|Path(id)| parse_uuid(&id)) {
        Some(id) => {
            page::article(&readers.public, &readers.site, id, accept).map_err(|error| unreadable(&error))?
        }
        None => page::not_found(&readers.site, accept),
    };
    Ok(respond(&headers, rendered))
}

fn readers(gateway: &Gateway) -> Result<&Readers, Problem> {
    gateway.readers.as_ref().ok_or_else(no_such_route)
}

fn unreadable(error: &store::Error) -> Problem {
    tracing::error!(%error, "the public state can't be read");
    Problem::new(Code::LogUnavailable, "what is public can't be read now")
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Sends what was rendered, or 304 to a reader who has it. Copies are to be checked before each use: a correction or
/// withdrawal is seen by the next reader.
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
    set(CACHE_CONTROL, "no-cache");
    set(ETAG, &rendered.etag);
    if let Some(modified) = rendered.last_modified_header() {
        set(LAST_MODIFIED, &modified);
    }
    if let Some(vary) = rendered.vary {
        set(VARY, vary);
    }
    if has_it {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    set(CONTENT_TYPE, rendered.content_type);
    if is_page {
        set(CONTENT_SECURITY_POLICY, page::content_security_policy());
    }
    *response.status_mut() =
        StatusCode::from_u16(rendered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.body_mut() = Body::from(rendered.body);
    response
}
