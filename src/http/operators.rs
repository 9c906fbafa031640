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

use super::{Checkable, Gateway, Progress};
use crate::desk::clock::MOST_SKEW;
use crate::log::{Durability, Seq};
use crate::metrics::Gauge;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// How long the log is waited for, in all, before what it alone can say is left out of the metrics.
const LOG_PATIENCE: Duration = Duration::from_secs(3);
/// The same where a probe waits, which gives up itself after a second or two.
const PROBE_PATIENCE: Duration = Duration::from_millis(700);
/// So many editions that wait for the wire are counted one by one.
const MOST_WAITING: usize = 10_000;

#[derive(Serialize)]
struct Healthz {
    status: &'static str,
    problems: Vec<&'static str>,
    version: &'static str,
    caught_up: bool,
    diverged: Option<Arc<str>>,
    log_stopped: Option<Arc<str>>,
    fold_stopped: Option<String>,
    wire_stopped: Option<String>,
    public_stopped: Option<String>,
    audit_stopped: Option<String>,
    erasing_stopped: Option<String>,
    audit: Option<Audit>,
    durability: Option<Durability>,
    log: LogSays,
    fold: Option<Fold>,
    wire: Option<Wire>,
    public: Option<PublicFold>,
    in_flight: u64,
}

/// What the log says of itself; null where it wasn't asked or didn't answer.
#[derive(Serialize)]
struct LogSays {
    answers: bool,
    away_seconds: Option<u64>,
    end: Option<Seq>,
    skew_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Fold {
    seq: Seq,
    lag: Option<Seq>,
    aside: u64,
    foreign: u64,
}

/// How far the log is signed, and with which key.
#[derive(Serialize)]
struct Audit {
    size: u64,
    leaves: u64,
    key: String,
}

/// How far this instance knows the wire to be written.
#[derive(Serialize)]
struct Wire {
    sent: Seq,
    waiting: usize,
}

/// How far the public side has folded the wire, and what it could not show.
#[derive(Serialize)]
struct PublicFold {
    seq: Seq,
    lag: Option<Seq>,
    foreign: u64,
    not_understood: u64,
    missed: u64,
}

/// `GET /healthz`: 200 as long as the process answers; a restart wouldn't mend what else it says.
pub(super) async fn healthz(State(gateway): State<Arc<Gateway>>) -> Response {
    let look = gateway.vitals.look(&gateway, PROBE_PATIENCE).await;
    let diverged = gateway.diverged();
    let log_stopped = gateway.log_stopped().map(|stopped| stopped.why);
    let progress = gateway.progress.borrow().clone();
    let wire = wire(&gateway, &progress);
    let erasing_stopped = gateway.desk.as_ref().and_then(|desk| desk.unerased());
    let fold = gateway.vitals.store().map(|store| {
        let position = store.position();
        let lag = look.log_end.map(|end| end.saturating_sub(position.seq));
        Fold { seq: position.seq, lag, aside: position.aside, foreign: position.foreign }
    });
    // The worst first: what stands still, then what may be wrong.
    let problems = [
        ("diverged", diverged.is_some()),
        ("log_stopped", log_stopped.is_some()),
        ("fold_stopped", progress.fold_stopped.is_some()),
        ("wire_stopped", progress.wire_stopped.is_some()),
        ("public_stopped", progress.public_stopped.is_some()),
        ("log_away", look.away.is_some()),
        ("audit_stopped", progress.audit_stopped.is_some()),
        ("erasing_stopped", erasing_stopped.is_some()),
        ("clock_off", look.skew.is_some_and(|skew| skew.abs() > MOST_SKEW)),
        ("articles_aside", fold.as_ref().is_some_and(|fold| fold.aside > 0)),
    ];
    let problems: Vec<&str> = problems.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
    let healthz = Healthz {
        status: problems.first().copied().unwrap_or("ok"),
        problems,
        version: env!("CARGO_PKG_VERSION"),
        caught_up: gateway.health.is_caught_up(),
        diverged,
        log_stopped,
        fold_stopped: progress.fold_stopped,
        wire_stopped: progress.wire_stopped,
        public_stopped: progress.public_stopped,
        audit_stopped: progress.audit_stopped,
        erasing_stopped,
        audit: gateway.audit.as_ref().map(|Checkable { audit, .. }| Audit {
            size: audit.newest().map_or(0, |signed| signed.size),
            leaves: audit.store().merkle().size(),
            key: audit.key().verifier(),
        }),
        durability: gateway.vitals.log().map(|log| log.durability()),
        log: LogSays {
            answers: look.away.is_none(),
            away_seconds: look.away.map(|away| away.as_secs()),
            end: look.log_end,
            skew_seconds: look.skew.map(|skew| skew.as_seconds_f64()),
        },
        fold,
        wire,
        public: gateway.readers.as_ref().map(|readers| {
            let at = readers.editions.public().last_position();
            let lag = look.wire_end.map(|end| end.saturating_sub(at.seq));
            let (seq, foreign, missed) = (at.seq, at.foreign, at.missed);
            PublicFold { seq, lag, foreign, not_understood: at.not_understood, missed }
        }),
        in_flight: gateway.in_flight.now(),
    };
    ([(CACHE_CONTROL, NO_STORE)], Json(healthz)).into_response()
}

/// How far the wire is written, where this instance writes it.
fn wire(gateway: &Gateway, progress: &Progress) -> Option<Wire> {
    let store = gateway.vitals.store().filter(|_| progress.writes_wire)?;
    let waiting = store.outgoing_after(progress.wire_sent, MOST_WAITING).ok()?.len();
    Some(Wire { sent: progress.wire_sent, waiting })
}

#[derive(Serialize)]
struct Readyz {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Arc<str>>,
}

/// `GET /readyz`: 503 while requests should go to another instance.
pub(super) async fn readyz(State(gateway): State<Arc<Gateway>>) -> Response {
    let look = gateway.vitals.look(&gateway, PROBE_PATIENCE).await;
    let why = gateway.not_ready(&look);
    let status = if why.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, NO_STORE)], Json(Readyz { ready: why.is_none(), why })).into_response()
}

/// `GET /metrics`
pub(super) async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    let look = gateway.vitals.look(&gateway, LOG_PATIENCE).await;
    let progress = gateway.progress.borrow().clone();
    let mut gauges = vec![
        gauge("commands_in_flight", "Commands under way.", gateway.in_flight.now()),
        gauge("stream_followers", "Connections that follow a stream.", gateway.followers.now()),
        flag("ready", "1 where requests may come.", gateway.not_ready(&look).is_none()),
        flag("caught_up", "1 where the log was folded once up to its end.", gateway.health.is_caught_up()),
        flag("diverged", "1 where the log isn't what was folded from it.", gateway.diverged().is_some()),
        flag("log_stopped", "1 where the log takes nothing more.", gateway.log_stopped().is_some()),
        flag("fold_stopped", "1 where folding stands still.", progress.fold_stopped.is_some()),
        flag("wire_stopped", "1 where the wire stands still.", progress.wire_stopped.is_some()),
        flag("public_stopped", "1 where the public side stands still.", progress.public_stopped.is_some()),
        flag("audit_stopped", "1 where checkpoints stand still.", progress.audit_stopped.is_some()),
        flag("log_away", "1 where the log doesn't answer.", look.away.is_some()),
        gauge("log_looks_failed_total", "Looks at the log that got no answer.", gateway.vitals.failed()),
        gauge("wire_sent_seq", "The last event whose edition is on the wire.", progress.wire_sent),
    ];
    if let Some(desk) = &gateway.desk {
        let why = desk.unerased();
        gauges.push(flag("erasing_stopped", "1 where something redacted isn't erased yet.", why.is_some()));
    }
    if let Some(Wire { waiting, .. }) = wire(&gateway, &progress) {
        gauges.push(gauge("wire_waiting", "Folded editions that the wire hasn't got yet.", waiting as u64));
    }
    if let (Some(log), Some(store)) = (gateway.vitals.log(), gateway.vitals.store()) {
        let position = store.position();
        let durable = log.durability() == Durability::Always;
        gauges.extend([
            gauge("fold_seq", "The last position of the log that is folded.", position.seq),
            gauge("articles_aside", "Articles set aside.", position.aside),
            gauge("foreign_messages", "Messages on event subjects that are no events.", position.foreign),
            flag("log_durability_always", "1 where answered means on the disk.", durable),
        ]);
        let lag = look.log_end.map(|end| end.saturating_sub(position.seq));
        gauges.extend(lag.map(|lag| gauge("fold_lag", "Positions of the log that aren't folded yet.", lag)));
    }
    if let Some(readers) = &gateway.readers {
        let position = readers.editions.public().last_position();
        let not_understood = position.not_understood;
        gauges.extend([
            gauge("public_fold_seq", "The wire's last folded position.", position.seq),
            gauge("public_not_understood", "Editions that the public side could not read.", not_understood),
            gauge("public_missed", "Editions that the wire should have had and hadn't.", position.missed),
        ]);
        let lag = look.wire_end.map(|end| end.saturating_sub(position.seq));
        gauges.extend(
            lag.map(|lag| gauge("public_fold_lag", "Positions of the wire that aren't folded yet.", lag)),
        );
    }
    if let Some(Checkable { audit, .. }) = &gateway.audit {
        let signed = audit.newest().map_or(0, |signed| signed.size);
        gauges.extend([
            gauge("tree_leaves", "Events in the tree.", audit.store().merkle().size()),
            gauge("checkpoint_size", "Events under the newest checkpoint.", signed),
        ]);
    }
    // Where the log didn't say in time, a metric is left out: an older value would be a guess.
    let ends = [
        ("log_end_seq", "The log's last position.", look.log_end),
        ("wire_end_seq", "The wire's last position.", look.wire_end),
        (
            "withdrawals_outstanding",
            "Withdrawals that some known subscriber has not taken.",
            withdrawals(&gateway).await,
        ),
    ];
    gauges.extend(ends.into_iter().filter_map(|(name, help, value)| Some(gauge(name, help, value?))));
    gauges.extend(look.skew.map(|skew| Gauge {
        name: "clock_skew_seconds",
        help: "How far this clock is ahead of the log's.",
        value: skew.as_seconds_f64(),
    }));
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let body = gateway.metrics.render(&gauges);
    ([(CACHE_CONTROL, NO_STORE), (CONTENT_TYPE, text)], body).into_response()
}

async fn withdrawals(gateway: &Gateway) -> Option<u64> {
    let asked = gateway.roll.as_ref()?.withdrawals_outstanding();
    tokio::time::timeout(LOG_PATIENCE, asked.boxed()).await.ok()?.ok()?
}

fn gauge(name: &'static str, help: &'static str, value: u64) -> Gauge {
    Gauge { name, help, value: value as f64 }
}

fn flag(name: &'static str, help: &'static str, set: bool) -> Gauge {
    gauge(name, help, u64::from(set))
}
