//! What operators look at: is it alive, should it get requests, what has it counted. No newsroom text, no ids.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use serde::Serialize;

use super::{Gateway, Progress};
use crate::log::{Durability, Seq};
use crate::metrics::Gauge;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// How long the log is waited for, in all, before what it alone can say is left out.
const LOG_PATIENCE: Duration = Duration::from_secs(3);

#[derive(Serialize)]
struct Healthz {
    status: &'static str,
    version: &'static str,
    caught_up: bool,
    diverged: Option<Arc<str>>,
    fold_stopped: Option<String>,
    wire_stopped: Option<String>,
    public_stopped: Option<String>,
    durability: Option<Durability>,
    fold: Option<Fold>,
    public: Option<PublicFold>,
    in_flight: u64,
}

#[derive(Serialize)]
struct Fold {
    seq: Seq,
    aside: u64,
    foreign: u64,
}

/// How far the public side has folded the wire, and what it could not show.
#[derive(Serialize)]
struct PublicFold {
    seq: Seq,
    foreign: u64,
    not_understood: u64,
    missed: u64,
}

/// `GET /healthz`: 200 as long as the process answers; a restart wouldn't mend what else it says.
pub(super) async fn healthz(State(gateway): State<Arc<Gateway>>) -> Response {
    let diverged = gateway.diverged();
    let progress = gateway.progress.borrow().clone();
    let status = match (&diverged, &progress) {
        (Some(_), _) => "diverged",
        (_, Progress { fold_stopped: Some(_), .. }) => "fold_stopped",
        (_, Progress { wire_stopped: Some(_), .. }) => "wire_stopped",
        (_, Progress { public_stopped: Some(_), .. }) => "public_stopped",
        _ => "ok",
    };
    let healthz = Healthz {
        status,
        version: env!("CARGO_PKG_VERSION"),
        caught_up: gateway.health.is_caught_up(),
        diverged,
        fold_stopped: progress.fold_stopped,
        wire_stopped: progress.wire_stopped,
        public_stopped: progress.public_stopped,
        durability: gateway.desk.as_ref().map(|desk| desk.log().durability()),
        fold: gateway.desk.as_ref().map(|desk| {
            let position = desk.store().position();
            Fold { seq: position.seq, aside: position.aside, foreign: position.foreign }
        }),
        public: gateway.readers.as_ref().map(|readers| {
            let at = readers.editions.public().position();
            let (seq, foreign, missed) = (at.seq, at.foreign, at.missed);
            PublicFold { seq, foreign, not_understood: at.not_understood, missed }
        }),
        in_flight: gateway.in_flight.now(),
    };
    ([(CACHE_CONTROL, NO_STORE)], Json(healthz)).into_response()
}

#[derive(Serialize)]
struct Readyz {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Arc<str>>,
}

/// `GET /readyz`: 503 while requests should go to another instance.
pub(super) async fn readyz(State(gateway): State<Arc<Gateway>>) -> Response {
    let why = gateway.not_ready();
    let status = if why.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, NO_STORE)], Json(Readyz { ready: why.is_none(), why })).into_response()
}

/// `GET /metrics`
pub(super) async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    let progress = gateway.progress.borrow().clone();
    let mut gauges = vec![
        gauge("commands_in_flight", "Commands under way.", gateway.in_flight.now()),
        gauge("stream_followers", "Connections that follow a stream.", gateway.followers.now()),
        flag("ready", "1 where requests may come.", gateway.not_ready().is_none()),
        flag("diverged", "1 where the log isn't what was folded from it.", gateway.diverged().is_some()),
        flag("fold_stopped", "1 where folding stands still.", progress.fold_stopped.is_some()),
        flag("wire_stopped", "1 where the wire stands still.", progress.wire_stopped.is_some()),
        flag("public_stopped", "1 where the public side stands still.", progress.public_stopped.is_some()),
        gauge("wire_sent_seq", "The last event whose edition is on the wire.", progress.wire_sent),
    ];
    if let Some(desk) = &gateway.desk {
        let position = desk.store().position();
        gauges.extend([
            gauge("fold_seq", "The last position of the log that is folded.", position.seq),
            gauge("articles_aside", "Articles set aside.", position.aside),
            gauge("foreign_messages", "Messages on event subjects that are no events.", position.foreign),
        ]);
    }
    if let Some(readers) = &gateway.readers {
        let position = readers.editions.public().position();
        let not_understood = position.not_understood;
        gauges.extend([
            gauge("public_fold_seq", "The wire's last folded position.", position.seq),
            gauge("public_not_understood", "Editions that the public side could not read.", not_understood),
            gauge("public_missed", "Editions that the wire should have had and hadn't.", position.missed),
        ]);
    }
    gauges.extend(of_the_log(&gateway).await);
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let body = gateway.metrics.render(&gauges);
    ([(CACHE_CONTROL, NO_STORE), (CONTENT_TYPE, text)], body).into_response()
}

/// What only the log can say. Where it doesn't in time, a metric is left out: an older value would be a guess.
async fn of_the_log(gateway: &Gateway) -> Vec<Gauge> {
    let log_end = async { gateway.desk.as_ref()?.log().events().end().await.ok() };
    let wire_end = async { gateway.readers.as_ref()?.editions.wire().end().await.ok() };
    let withdrawals = async { gateway.roll.as_ref()?.withdrawals_outstanding().await.ok().flatten() };
    let within = |value| tokio::time::timeout(LOG_PATIENCE, value);
    let (log_end, wire_end, withdrawals) =
        tokio::join!(within(log_end.boxed()), within(wire_end.boxed()), within(withdrawals.boxed()));
    [
        ("log_end_seq", "The log's last position.", log_end),
        ("wire_end_seq", "The wire's last position.", wire_end),
        ("withdrawals_outstanding", "Withdrawals that some known subscriber has not taken.", withdrawals),
    ]
    .into_iter()
    .filter_map(|(name, help, value)| Some(gauge(name, help, value.ok().flatten()?)))
    .collect()
}

fn gauge(name: &'static str, help: &'static str, value: u64) -> Gauge {
    Gauge { name, help, value }
}

fn flag(name: &'static str, help: &'static str, set: bool) -> Gauge {
    gauge(name, help, u64::from(set))
}
