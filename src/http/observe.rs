//! What every request goes through. The log gets the route's pattern, never the path or the query: an article's id
//! or a search may tell what a newsroom is at.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt;

use super::{Gateway, is_newsroom, problem};

pub(super) async fn observe(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = name(request.method());
    let newsroom = is_newsroom(request.uri().path());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unknown", MatchedPath::as_str);
    let caught = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = caught.unwrap_or_else(|_| problem::internal());
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if newsroom {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    note(&gateway, method, route, response.status().as_u16(), started);
    response
}

/// Counts an answer and has the log tell of it.
pub(super) fn note(gateway: &Gateway, method: &'static str, route: &str, status: u16, started: Instant) {
    let took = started.elapsed();
    gateway.metrics.request(route, status, took);
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    match status {
        ..400 => tracing::debug!(method, route, status, micros, "answered"),
        400..500 => tracing::info!(method, route, status, micros, "refused"),
        _ => tracing::warn!(method, route, status, micros, "failed"),
    }
}

/// A method's name from a fixed list: senders may make up others.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "another",
    }
}
