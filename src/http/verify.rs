//! `GET /v1/verify`: the whole log derived again, on the instance itself. For auditors and chiefs.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use copydesk_article::problem::{Code, Problem};
use futures::StreamExt;
use serde_json::json;
use tokio::sync::mpsc;

use super::Gateway;
use super::audit::of;
use super::identity::{Reader, Reads};
use super::problem::Refusal;
use crate::audit::verify::{Sources, verify};

/// Lines that wait for a reader.
const WAITING: usize = 64;
/// Progress is told once in so many positions.
const EVERY: u64 = 4096;

/// `GET /v1/verify`: JSON lines, `{"read", "of"}` while it goes on, and `{"report"}` or `{"failed"}` at last. Its reader
/// going away ends it.
pub(super) async fn stream(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
) -> Result<Response, Refusal> {
    let checkable = of(&gateway)?.clone();
    let (parts, _) = request.into_parts();
    let reader = Reader::of(&gateway, &parts, Arc::clone(&checkable.desk))?;
    reader.may(Reads::Events)?;
    let busy = || Problem::new(Code::Busy, "a verification is under way on this instance: wait for it");
    let turn = Arc::clone(&gateway.verifying).try_acquire_owned().map_err(|_| busy())?;
    let (tell, told) = mpsc::channel::<Bytes>(WAITING);
    tokio::spawn(async move {
        let _turn = turn;
        let sources = Sources {
            log: Arc::clone(checkable.desk.log()),
            store: Some(checkable.desk.store()),
            key: checkable.audit.key().verifier(),
            against: Vec::new(),
        };
        let mut next = 0;
        let progress = |read, of| {
            if read >= next {
                next = read + EVERY;
                // A reader who is slow misses some.
                let _ = tell.try_send(line(&json!({ "read": read, "of": of })));
            }
        };
        let last = tokio::select! {
            report = verify(&sources, progress) => match report {
                Ok(report) => json!({ "report": report }),
                Err(error) => json!({ "failed": error.to_string() }),
            },
            () = tell.closed() => return,
        };
        let _ = tell.send(line(&last)).await;
    });
    let lines = futures::stream::unfold(told, |mut told| async move { Some((told.recv().await?, told)) });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/jsonl")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::from_stream(lines.map(Ok::<_, std::convert::Infallible>))).into_response())
}

fn line(value: &serde_json::Value) -> Bytes {
    format!("{value}\n").into()
}
