//! The HTTP gateway: transport in, transport out. No rule of the newsroom lives here; who may read what is the one
//! table in [`identity`].
//!
//! # Layout
//! - `commands`: `POST /v1/commands`.
//! - `articles`: the board, one article, its gate; `then`: articles and rules as they were; `events`: what is
//!   stored, as JSON lines and as an article's history; `evidence`: what is confidential, opened and masked;
//!   `deliveries`: who has which edition.
//! - `readers`: the public routes; `kept`: their kept answers, ahead of the router; `audit`: checkpoints, tiles and proofs; `verify`: the log derived again.
//!   `operators`: health, metrics; `openapi`: the description of all of it.
//! - `guard`: what every request passes before its body is read; [`doors`]: proxies that are believed, and rates.
//! - `tokens`: `/v1/tokens`. [`identity`]: who is asking, and what they may read. `query`: parameters. `problem`: refusals.
//! - `observe`: what every request goes through: log, metrics, headers, and a net for panics.
//! - [`stream`]: server-sent events: what moves at the desk, and every edition.
//! - [`health`]: what the parts say of themselves. [`in_flight`]: the bound on commands under way.
//! - [`tls`]: certificates. [`server`]: connections, their time limits, and the end of them.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use copydesk_article::problem::{Code, Problem};
use tokio::sync::{Semaphore, watch};

use crate::deliver::Roll;
use crate::desk::{Desk, Halt};
use crate::log::Stopped;
use crate::metrics::Metrics;
use crate::tokens::Book;

mod articles;
mod aside;
mod audit;
mod commands;
mod deliveries;
pub mod doors;
mod events;
mod evidence;
mod guard;
pub mod health;
pub mod identity;
pub mod in_flight;
pub mod json_line;
mod kept;
mod observe;
mod openapi;
mod operators;
mod problem;
mod query;
mod readers;
mod report;
pub mod server;
pub mod stream;
mod then;
pub mod tls;
mod tokens;
mod verify;
mod vitals;

pub use aside::Aside;
pub use audit::Checkable;
pub use doors::Doors;
pub use health::{Health, Progress};
pub use identity::{Actor, Tokens};
pub use in_flight::InFlight;

pub use readers::{Kept, Readers};
pub use server::{Patience, serve};
pub use stream::{Followers, editions::Editions};
pub use vitals::Vitals;

use problem::Refusal;
use vitals::Look;

/// What the routes work on. A part that this instance doesn't run is none, and its routes are unknown.
pub struct Gateway {
    /// Decides commands and reads folded state and the log: everything under `/v1`.
    pub desk: Option<Arc<Desk>>,
    /// The public side.
    pub readers: Option<Readers>,
    /// Checkpoints, tiles and proofs.
    pub audit: Option<Checkable>,
    /// Who has which edition.
    pub roll: Option<Arc<Roll>>,
    /// Whose a bearer token is.
    pub tokens: Tokens,
    /// Which tokens there are, to be listed and revoked.
    pub book: Option<Arc<Book>>,
    /// Whose word is believed, and how often someone may come.
    pub doors: Doors,
    /// Where the instance is in its life.
    pub health: Arc<Health>,
    /// What the tasks of the instance say of themselves.
    pub progress: watch::Receiver<Progress>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The bound on commands under way.
    pub in_flight: InFlight,
    /// Verifications of the whole log are one at a time.
    pub verifying: Arc<Semaphore>,
    /// What staff have compared and put together.
    pub aside: Aside,
    /// Those who follow streams.
    pub followers: Followers,
    /// What the log says of itself.
    pub vitals: Vitals,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gateway(desk: {}, readers: {})", self.desk.is_some(), self.readers.is_some())
    }
}

impl Gateway {
    /// Whether anything here is for the newsroom: a process that serves readers alone knows nobody's token.
    fn has_newsroom(&self) -> bool {
        self.desk.is_some() || self.audit.is_some()
    }

    /// Why the log and the folded state disagree, if they do: then nothing is decided (promise 9).
    fn diverged(&self) -> Option<Arc<str>> {
        self.in_doubt().filter(|halt| halt.diverged).map(|halt| halt.why)
    }

    /// Why a part of the log takes nothing more until a restart, if one doesn't.
    fn log_stopped(&self) -> Option<Stopped> {
        self.vitals.log().and_then(|log| log.stopped())
    }

    /// Why nothing is decided, if nothing is.
    fn halted(&self) -> Option<Arc<str>> {
        self.desk.as_ref().and_then(|desk| desk.halted())
    }

    /// Why what is folded can't be held against the log, if so.
    fn in_doubt(&self) -> Option<Halt> {
        self.desk.as_ref().and_then(|desk| desk.in_doubt())
    }

    /// Why requests should go to another instance, if they should.
    fn not_ready(&self, look: &Look) -> Option<Arc<str>> {
        if let Some(why) = self.halted() {
            Some(why)
        } else if self.health.is_draining() {
            Some("the instance is about to end".into())
        } else if !self.health.is_caught_up() {
            Some("the log is still being folded".into())
        } else if self.readers.is_none() && look.away.is_some_and(|away| away >= vitals::AWAY) {
            // One that serves readers goes on: what it has is still true.
            Some("the log doesn't answer".into())
        } else {
            None
        }
    }
}

/// Every route, over this gateway.
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/v1/commands", post(commands::post))
        .route("/v1/articles", get(articles::board))
        .route("/v1/articles/{id}", get(articles::one))
        .route("/v1/articles/{id}/gate", get(articles::gate))
        .route("/v1/articles/{id}/history", get(events::history))
        .route("/v1/articles/{id}/diff", get(articles::diff))
        .route("/v1/articles/{id}/report", get(report::report))
        .route("/v1/events", get(events::events))
        .route("/", get(readers::front))
        .route("/v1/stream", get(stream::moves::stream))
        .route("/stream", get(stream::editions::stream))
        .route("/v1/deliveries", get(deliveries::deliveries))
        .route("/v1/deliveries/{id}/retry", post(deliveries::retry))
        .route("/v1/tokens", get(tokens::list))
        .route("/v1/tokens/{actor}/{name}/revoke", post(tokens::revoke))
        .route("/feed.json", get(readers::feed))
        .route("/feed.atom", get(readers::feed))
        .route("/feed.rss", get(readers::feed))
        .route("/feed.ninjs", get(readers::feed))
        .route("/articles/{id}", get(readers::article))
        .route("/articles/{id}/proof", get(audit::proof))
        .route("/audit/checkpoint", get(audit::checkpoint))
        .route("/audit/key", get(audit::key))
        .route("/audit/tile/{*path}", get(audit::tile))
        .route("/audit/events/{seq}", get(audit::event))
        .route("/audit/events/{seq}/proof", get(audit::event_proof))
        .route("/v1/verify", get(verify::stream))
        .route("/healthz", get(operators::healthz))
        .route("/readyz", get(operators::readyz))
        .route("/metrics", get(operators::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .method_not_allowed_fallback(other_method)
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(Arc::clone(&gateway), guard::guard))
        .layer(middleware::from_fn_with_state(Arc::clone(&gateway), observe::observe))
        .with_state(gateway)
}

/// Whether a path belongs to the newsroom: everything below it needs a token, there or not.
fn is_newsroom(path: &str) -> bool {
    ["/v1", "/audit/events"]
        .iter()
        .any(|below| path.strip_prefix(below).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

async fn other_method(request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if parts.method == Method::OPTIONS {
        return problem::options();
    }
    match is_newsroom(parts.uri.path()).then(|| identity::identity(&parts)) {
        Some(Err(refusal)) => Refusal(refusal).into_response(),
        _ => problem::method_not_allowed(),
    }
}

async fn unknown(request: Request) -> Refusal {
    let (parts, _) = request.into_parts();
    match is_newsroom(parts.uri.path()).then(|| identity::identity(&parts)) {
        Some(Err(refusal)) => Refusal(refusal),
        _ => Refusal(no_such_route()),
    }
}

/// The answer to a path that leads nowhere on this instance.
fn no_such_route() -> Problem {
    not_there("there is no such address here; /openapi.json lists those there are")
}

/// The answer where something other than an article isn't there.
fn not_there(detail: &str) -> Problem {
    Problem::new(Code::NotFound, detail)
}
