//! What anyone may check: checkpoints and tiles (C2SP tlog-tiles), the proof of an edition; and, for auditors, the stored
//! bytes that leaves are hashes of.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State, rejection::PathRejection};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use copydesk_article::edition::Edition;
use copydesk_article::ids::parse_uuid;
use copydesk_article::problem::{Code, Problem};

use super::aside::Aside;
use super::identity::{Reader, Reads};
use super::problem::Refusal;
use super::then::{unavailable, unreadable};
use super::{Gateway, no_such_route, not_there};
use crate::audit::proof::{EditionProof, EventProof, Inclusion};
use crate::audit::{Audit, Signed};
use crate::desk::{At, Desk};
use crate::log::{Content, Seq};
use crate::merkle::path::Tiles;
use crate::merkle::{Rows, TILE_WIDTH, TilePath};
use crate::store::StoreError;

/// What the routes work on.
#[derive(Debug, Clone)]
pub struct Checkable {
    /// Checkpoints, and the tree below them.
    pub audit: Arc<Audit>,
    /// The articles as they were.
    pub desk: Arc<Desk>,
    /// Reading tiles.
    pub tiles: Aside,
}

/// What never changes may be kept for ever.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// What grows may be kept for as long as it takes to be signed anew.
const A_MOMENT: HeaderValue = HeaderValue::from_static("public, max-age=0, s-maxage=1, must-revalidate");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT: HeaderValue = HeaderValue::from_static("application/cloudevents+json");

/// How long a reader waits for the checkpoint that covers what has just gone out.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn of(gateway: &Gateway) -> Result<&Checkable, Problem> {
    gateway.audit.as_ref().ok_or_else(no_such_route)
}

/// Any site's scripts may check.
fn public(content_type: HeaderValue, caching: HeaderValue, body: Vec<u8>) -> Response {
    let anyone = HeaderValue::from_static("*");
    let headers =
        [(CONTENT_TYPE, content_type), (CACHE_CONTROL, caching), (ACCESS_CONTROL_ALLOW_ORIGIN, anyone)];
    (headers, body).into_response()
}

fn newest(gateway: &Gateway, audit: &Audit) -> Result<Arc<Signed>, Problem> {
    audit.newest().ok_or_else(|| match gateway.diverged() {
        Some(why) => Problem::new(Code::LogUnavailable, format!("the log isn't what it was: {why}")),
        None => Problem::new(Code::Behind, "no checkpoint is signed yet: try again in a second"),
    })
}

/// `GET /audit/checkpoint`
pub(super) async fn checkpoint(State(gateway): State<Arc<Gateway>>) -> Result<Response, Refusal> {
    let signed = newest(&gateway, &of(&gateway)?.audit)?;
    Ok(public(PLAIN, A_MOMENT, signed.note.to_vec()))
}

/// `GET /audit/key`: the key that checkpoints are signed with.
pub(super) async fn key(State(gateway): State<Arc<Gateway>>) -> Result<Response, Refusal> {
    let key = of(&gateway)?.audit.key().verifier();
    Ok(public(PLAIN, A_MOMENT, format!("{key}\n").into_bytes()))
}

/// `GET /audit/tile/…`: a tile or a bundle of entries, as far as something signed covers it.
pub(super) async fn tile(
    State(gateway): State<Arc<Gateway>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let signed = newest(&gateway, &of(&gateway)?.audit)?;
    let tile: TilePath = path.ok().and_then(|Path(path)| path.parse().ok()).ok_or_else(no_such_tile)?;
    let level = match tile.tiles {
        Tiles::Hashes(level) => u32::from(level),
        Tiles::Entries => 0,
    };
    // How many full subtrees of the level what is signed has.
    let there = signed.size.checked_shr(8 * level).unwrap_or(0);
    let start = tile.index.checked_mul(TILE_WIDTH).ok_or_else(no_such_tile)?;
    if start.checked_add(tile.width).is_none_or(|end| end > there) {
        return Err(no_such_tile().into());
    }
    let Checkable { audit, tiles, .. } = of(&gateway)?.clone();
    let read = tiles.run(move || read_tile(&audit, &tile, start));
    let body = read.await.map_err(|_| ending())?.map_err(unreadable)?;
    Ok(public(BYTES, FOR_EVER, body))
}

fn no_such_tile() -> Problem {
    not_there("there is no such tile below the newest checkpoint")
}

fn read_tile(audit: &Audit, tile: &TilePath, start: u64) -> Result<Vec<u8>, StoreError> {
    let tree = audit.store().merkle();
    Ok(match tile.tiles {
        Tiles::Hashes(level) => tree.row(level, start, tile.width)?.concat(),
        Tiles::Entries => {
            let mut bundle = Vec::new();
            for (_, leaf) in tree.leaves(start, tile.width)? {
                let record = leaf.record();
                bundle.extend_from_slice(&(record.len() as u16).to_be_bytes());
                bundle.extend_from_slice(&record);
            }
            bundle
        }
    })
}

fn ending() -> Problem {
    Problem::new(Code::LogUnavailable, "the service is ending")
}

/// `GET /articles/{id}/proof`. Unknown and unpublished look the same.
pub(super) async fn proof(
    State(gateway): State<Arc<Gateway>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let Checkable { audit, desk, .. } = of(&gateway)?;
    let id = path.ok().and_then(|Path(id)| parse_uuid(&id)).ok_or_else(Problem::not_found)?;
    let stored = desk.store().article(id).map_err(unreadable)?;
    let last = stored.as_ref().and_then(|stored| stored.article.last_edition());
    let version = last.ok_or_else(Problem::not_found)?.version;
    let event = desk.store().events_of(id, version..=version).map_err(unreadable)?.pop();
    let seq = event.ok_or_else(gone_wrong)?.seq;
    let then = desk.as_it_was(id, At::Version(version), seq).await?;
    let edition = then.as_ref().and_then(|article| Edition::of(article)).ok_or_else(gone_wrong)?;
    let tree = audit.store().merkle();
    let index = tree.index_of(seq).map_err(unreadable)?.ok_or_else(gone_wrong)?;
    let signed = covering(audit, index).await?;
    let (_, leaf) = tree.leaves(index, 1).map_err(unreadable)?.pop().ok_or_else(gone_wrong)?;
    let inclusion = Inclusion::of(tree, index, &leaf, &signed).map_err(unreadable)?;
    let proof = EditionProof::new(&edition, seq, &leaf, inclusion, audit.key().verifier());
    let proof = proof.ok_or_else(gone_wrong)?;
    let body = serde_json::to_vec(&proof).map_err(|_| gone_wrong())?;
    Ok(public(JSON, A_MOMENT, body))
}

fn gone_wrong() -> Problem {
    Problem::new(Code::LogUnavailable, "what the log holds of this edition can't be proved here now")
}

/// The position that an auditor asks for, and what they ask it of.
fn asked(gateway: &Gateway, request: Request) -> Result<(&Checkable, Seq), Problem> {
    let checkable = of(gateway)?;
    let (parts, _) = request.into_parts();
    Reader::of(gateway, &parts, Arc::clone(&checkable.desk))?.may(Reads::Events)?;
    Ok((checkable, position(parts.uri.path())?))
}

/// The position in a path below `/audit/events/`.
fn position(path: &str) -> Result<Seq, Problem> {
    let asked = path.split('/').nth(3).and_then(|seq| seq.parse().ok());
    asked.filter(|seq| *seq > 0).ok_or_else(|| not_there("a position of the log is a number from 1"))
}

/// `GET /audit/events/{seq}/proof`: that an event is in the log, for auditors.
pub(super) async fn event_proof(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
) -> Result<Response, Refusal> {
    let (Checkable { audit, .. }, seq) = asked(&gateway, request)?;
    let tree = audit.store().merkle();
    let nothing = || not_there("no event stands at this position of the log");
    let index = tree.index_of(seq).map_err(unreadable)?.ok_or_else(nothing)?;
    let signed = covering(audit, index).await?;
    let (_, leaf) = tree.leaves(index, 1).map_err(unreadable)?.pop().ok_or_else(gone_wrong)?;
    let inclusion = Inclusion::of(tree, index, &leaf, &signed).map_err(unreadable)?;
    let key = audit.key().verifier();
    let proof = EventProof { seq, sha256: hex::encode(leaf.event), inclusion, key };
    let body = serde_json::to_vec(&proof).map_err(|_| gone_wrong())?;
    Ok(([(CONTENT_TYPE, JSON), (CACHE_CONTROL, HeaderValue::from_static("no-store"))], body).into_response())
}

/// The newest checkpoint, once it covers a leaf.
async fn covering(audit: &Audit, index: u64) -> Result<Arc<Signed>, Problem> {
    let signed = tokio::time::timeout(PATIENCE, audit.covering(index)).await;
    signed.map_err(|_| Problem::new(Code::Behind, "the event isn't under a signed checkpoint yet: try again"))
}

/// `GET /audit/events/{seq}`: the stored bytes of one event, for auditors.
pub(super) async fn event(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
) -> Result<Response, Refusal> {
    let (Checkable { audit, desk, .. }, seq) = asked(&gateway, request)?;
    let entry = desk.log().events().get(seq).await.map_err(unavailable)?;
    let nothing = || not_there("nothing stands at this position of the log");
    let mut response = match entry.ok_or_else(nothing)?.content {
        Content::Message { body, .. } => ([(CONTENT_TYPE, EVENT)], body).into_response(),
        Content::Erased { sha256: Some(sha256) } => {
            let detail = format!("these bytes were erased; their SHA-256 was {}", hex::encode(sha256));
            Refusal(Problem::new(Code::Erased, detail)).into_response()
        }
        Content::Erased { sha256: None } => {
            let detail = "this event was deleted behind the service's back";
            return Err(Problem::new(Code::Deleted, detail).into());
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(index) = audit.store().merkle().index_of(seq).map_err(unreadable)? {
        headers.insert(HeaderName::from_static("copydesk-index"), HeaderValue::from(index));
    }
    Ok(response)
}
