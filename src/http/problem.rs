//! Refusals as HTTP sends them: RFC 9457, with what the status asks for beside the body.

use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use copydesk_article::problem::{Code, Problem};
use serde_json::json;

/// The media type of a refusal.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A refusal on its way out.
#[derive(Debug)]
pub(super) struct Refusal(pub Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Refusal(problem) = self;
        let mut response = problem_response(problem.status, serde_json::to_vec(&problem).unwrap_or_default());
        let headers = response.headers_mut();
        match problem.code {
            Code::Unauthenticated => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"copydesk\""));
            }
            Code::Busy | Code::Behind | Code::LogUnavailable | Code::OutcomeUnknown => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// The answer to a method that a route doesn't have; the router adds `Allow`.
pub(super) fn method_not_allowed() -> Response {
    plain_problem(405, "method_not_allowed", "Not with this method", "the header Allow names those there are")
}

/// The answer to `OPTIONS`: nothing but `Allow`, which the router adds.
pub(super) fn options() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().remove(ALLOW);
    response
}

/// The answer where a handler failed in a way that nobody thought of. It says nothing of what it held.
pub(super) fn internal() -> Response {
    plain_problem(500, "internal", "The service failed", "this is a fault of the service; its log says where")
}

/// The answer where something was and is no more.
pub(super) fn gone(code: &str, title: &str, detail: &str) -> Response {
    plain_problem(410, code, title, detail)
}

/// A problem that isn't of the newsroom's codes.
fn plain_problem(status: u16, code: &str, title: &str, detail: &str) -> Response {
    let kind = format!("urn:copydesk:problem:{code}");
    let body = json!({ "type": kind, "title": title, "status": status, "detail": detail, "code": code });
    problem_response(status, body.to_string().into_bytes())
}

fn problem_response(status: u16, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROBLEM_JSON);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
