//! `GET /v1/articles/{id}/report`: an article's whole record, for auditors and chiefs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State, rejection::PathRejection};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use copydesk_article::event::{self, Read};
use copydesk_article::ids::DESK;
use copydesk_article::problem::{Code, Problem};
use serde_json::{Value, json};

use super::Gateway;
use super::articles::{article_id, wait_for_min_seq};
use super::audit::Checkable;
use super::identity::{Reader, Reads};
use super::problem::Refusal;
use super::query::{Bound, End, Params};
use super::then::{not_there_then, unavailable, unreadable};
use crate::audit::proof::Inclusion;
use crate::log::{Content, Entry, Seq};
use crate::store::redacted::Line;
use crate::view::report::{self, Made, Sources};

/// How long a record waits for the checkpoint that covers its newest event.
const PATIENCE: Duration = Duration::from_secs(3);

/// `GET /v1/articles/{id}/report`
pub(super) async fn report(
    State(gateway): State<Arc<Gateway>>,
    reader: Reader,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let id = article_id(path)?;
    reader.may(Reads::Events)?;
    let params = Params::strict(&uri, &["until"])?;
    let until = params.bound("until", End::Last)?;
    wait_for_min_seq(&reader.desk, &params).await?;
    reader.sees(id)?;
    let events = reader.desk.log().events();
    let mut entries = events.all_on(&id.as_hyphenated().to_string(), 0).await.map_err(unavailable)?;
    let is_there = !entries.is_empty();
    entries.retain(|entry| until.is_none_or(|until| reaches(until, entry)));
    let line = Line::read(&*events, id).await.map_err(unavailable)?;
    let redacted = line.redactions().map(|(seq, _)| seq).last();
    let instead: BTreeMap<Seq, Entry> = line
        .entries
        .into_iter()
        .filter(|entry| line.replaced.contains(&entry.seq))
        .map(|entry| (entry.seq, entry))
        .collect();
    let newsroom = events.all_on(DESK, 0).await.map_err(unavailable)?;
    let made = Made {
        at: reader.desk.log().clock().now(),
        by: Arc::from(reader.actor()),
        log: reader.desk.store().position().seq,
        until: until.and_then(|_| params.get("until")).map(str::to_owned),
        version: env!("CARGO_PKG_VERSION"),
    };
    let (proofs, checkpoint) = proofs(&gateway, &entries).await?;
    // A long life is compared step by step and judged at each.
    let work = gateway.aside.run(move || {
        let sources = Sources {
            entries: &entries,
            newsroom: &newsroom,
            proofs: &proofs,
            instead: &instead,
            redacted,
            checkpoint: checkpoint.as_deref(),
        };
        report::report(made, &sources).map(|report| Json(report).into_response())
    });
    let ended = |_| Problem::new(Code::LogUnavailable, "the record could not be put together");
    let nothing = || if is_there { not_there_then() } else { Problem::not_found() };
    Ok(work.await.map_err(ended)?.ok_or_else(nothing)?)
}

/// What proves that these entries' events are in the log, under the newest checkpoint. One that covers all of them is waited
/// for, for a while.
async fn proofs(
    gateway: &Gateway,
    entries: &[Entry],
) -> Result<(BTreeMap<Seq, Value>, Option<String>), Problem> {
    let mut proofs = BTreeMap::new();
    let Some(Checkable { audit, .. }) = &gateway.audit else { return Ok((proofs, None)) };
    let tree = audit.store().merkle();
    if let Some(last) = entries.last()
        && let Some(index) = tree.index_of(last.seq).map_err(unreadable)?
    {
        // Without it the newest events are in the record without a proof.
        let _ = tokio::time::timeout(PATIENCE, audit.covering(index)).await;
    }
    let Some(signed) = audit.newest() else { return Ok((proofs, None)) };
    for entry in entries {
        let Some(index) = tree.index_of(entry.seq).map_err(unreadable)?.filter(|index| *index < signed.size)
        else {
            continue;
        };
        let Some((_, leaf)) = tree.leaves(index, 1).map_err(unreadable)?.pop() else { continue };
        let inclusion = Inclusion::of(tree, index, &leaf, &signed).map_err(unreadable)?;
        let proof = json!({
            "leaf_index": inclusion.index, "tree_size": inclusion.size, "leaf": inclusion.leaf, "path": inclusion.path,
        });
        proofs.insert(entry.seq, proof);
    }
    Ok((proofs, Some(String::from_utf8_lossy(&signed.note).into_owned())))
}

/// Whether an entry is not later than what is asked for; of an erased event the log's own time counts.
fn reaches(until: Bound, entry: &Entry) -> bool {
    match (until, &entry.content) {
        (Bound::Seq(seq), _) => entry.seq <= seq,
        (Bound::Time(until), Content::Message { body, .. }) => match event::read(&entry.subject, body) {
            Read::Event(event) => event.time <= until,
            Read::NotUnderstood { frozen, .. } => frozen.time <= until,
            Read::Newsroom(_) | Read::Foreign => false,
        },
        (Bound::Time(until), Content::Erased { .. }) => entry.time <= until,
    }
}
