//! Refusals as HTTP sends them: RFC 9457, with what the status asks for beside the body.

use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use copydesk_article::problem::{Code, Problem};

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
    refusal(Code::MethodNotAllowed, "the header Allow names those there are")
}

/// The answer to `OPTIONS`: nothing but `Allow`, which the router adds.
pub(super) fn options() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().remove(ALLOW);
    response
}

/// The answer where a handler failed in a way that nobody thought of. It says nothing of what it held.
pub(super) fn internal() -> Response {
    refusal(Code::Internal, "this is a fault of the service; its log says where")
}

fn refusal(code: Code, detail: &str) -> Response {
    Refusal(Problem::new(code, detail)).into_response()
}

fn problem_response(status: u16, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROBLEM_JSON);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
