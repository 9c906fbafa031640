//! `POST /v1/commands`: from bytes to the desk, in the contract's order of checks: size, identity, rate, shape, and
//! then what the desk decides.
//!
//! The desk's work runs in a task of its own: a sender that goes away doesn't end an append half-way, and the place
//! among those in flight is kept until the work is done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use copydesk_article::answer::Answer;
use copydesk_article::command::{Command, Hints};
use copydesk_article::limits::COMMAND_BYTES;
use copydesk_article::problem::{Code, Problem};
use futures::StreamExt;

use super::problem::Refusal;
use super::{Gateway, identity, no_such_route};

/// How long a command's body may take to arrive.
pub const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// How much more of a body that is too large is taken and thrown away, so that a sender that writes all of it before
/// it reads finds the refusal and not a broken connection.
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// How long that is done.
const LINGER: Duration = Duration::from_secs(5);

pub(super) async fn post(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let mut kind = None;
    let outcome = take(&gateway, &parts, body, &mut kind).await;
    gateway.metrics.command(kind, &outcome, started.elapsed());
    match outcome {
        Ok(answer) => Json(answer).into_response(),
        Err(problem) => Refusal(problem).into_response(),
    }
}

async fn take(
    gateway: &Gateway,
    parts: &Parts,
    body: Body,
    kind: &mut Option<&'static str>,
) -> Result<Answer, Problem> {
    let actor = identity::identity(parts).map(|identity| identity.actor);
    let body = read(parts, body, actor.is_ok()).await?;
    let actor = actor?;
    let desk = gateway.desk.clone().ok_or_else(no_such_route)?;
    let place = gateway.in_flight.enter();
    let place =
        place.ok_or_else(|| Problem::new(Code::Busy, "too many commands are under way: try again"))?;
    let command = command(parts, &body).map_err(|wrong| match desk.store().newsroom().person(&actor) {
        Some(_) => wrong,
        None => identity::stranger(),
    })?;
    *kind = Some(command.ask.name());
    let work = async move {
        let answer = desk.command(&actor, &command).await;
        drop(place);
        answer
    };
    tokio::spawn(work).await.unwrap_or_else(|_| {
        tracing::error!("a command's task ended before its answer");
        Err(Problem::new(Code::OutcomeUnknown, "the service failed on the way: send the same id again"))
    })
}

/// Reads the command's shape, with its id from `Idempotency-Key` where that is there.
fn command(parts: &Parts, body: &[u8]) -> Result<Command, Problem> {
    let mut keys = parts.headers.get_all("idempotency-key").iter();
    let id = match (keys.next(), keys.next()) {
        (None, _) => None,
        (Some(key), None) => Some(key.to_str().map_err(|_| bad_key())?),
        (Some(_), Some(_)) => return Err(bad_key()),
    };
    Command::read(body, Hints { kind: None, id })
}

fn bad_key() -> Problem {
    Problem::invalid("/id", "Idempotency-Key: expected one UUID, lower-case and hyphenated")
}

/// Reads a body up to the limit; one that nobody will look at is only measured.
async fn read(parts: &Parts, body: Body, keep: bool) -> Result<Bytes, Problem> {
    let mut stream = body.into_data_stream();
    let declared = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > COMMAND_BYTES as u64) {
        return Err(too_large(stream));
    }
    let deadline = tokio::time::Instant::now() + BODY_PATIENCE;
    let mut kept = BytesMut::new();
    let mut length = 0;
    loop {
        let chunk = tokio::time::timeout_at(deadline, stream.next()).await;
        let chunk =
            chunk.map_err(|_| Problem::new(Code::Malformed, "the command took too long to arrive"))?;
        let Some(chunk) = chunk else { return Ok(kept.freeze()) };
        let chunk = chunk.map_err(|_| Problem::new(Code::Malformed, "the command did not arrive whole"))?;
        length += chunk.len();
        if length > COMMAND_BYTES {
            return Err(too_large(stream));
        }
        if keep {
            kept.extend_from_slice(&chunk);
        }
    }
}

/// The refusal of a body over the limit, the rest of which is thrown away meanwhile, within bounds.
fn too_large(rest: BodyDataStream) -> Problem {
    throw_away(rest);
    Problem::too_large("command", format!("a command has at most {COMMAND_BYTES} bytes"))
}

/// Takes what is left of a body and throws it away, within bounds.
pub(super) fn throw_away(mut rest: BodyDataStream) {
    tokio::spawn(tokio::time::timeout(LINGER, async move {
        let mut left = LINGER_BYTES;
        while let Some(Ok(chunk)) = rest.next().await
            && chunk.len() <= left
        {
            left -= chunk.len();
        }
    }));
}
