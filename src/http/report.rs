//! `GET /v1/articles/{id}/report`: an article's whole record, for auditors and chiefs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, rejection::PathRejection};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use copydesk_article::event::{self, Read};
use copydesk_article::ids::DESK;
use copydesk_article::problem::{Code, Problem};

use super::articles::{article_id, wait_for_min_seq};
use super::identity::{Reader, Reads};
use super::problem::Refusal;
use super::query::{Bound, End, Params};
use super::then::unavailable;
use crate::log::{Content, Entry};
use crate::view::report::{self, Made, Sources};

/// `GET /v1/articles/{id}/report`
pub(super) async fn report(
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
    entries.retain(|entry| until.is_none_or(|until| reaches(until, entry)));
    let newsroom = events.all_on(DESK, 0).await.map_err(unavailable)?;
    let made = Made {
        at: reader.desk.log().clock().now(),
        by: Arc::from(reader.actor()),
        log: reader.desk.store().position().seq,
        until: until.and_then(|_| params.get("until")).map(str::to_owned),
        version: env!("CARGO_PKG_VERSION"),
    };
    // A long life is compared step by step and judged at each.
    let work = tokio::task::spawn_blocking(move || {
        let proofs = BTreeMap::new();
        let sources = Sources { entries: &entries, newsroom: &newsroom, proofs: &proofs, checkpoint: None };
        report::report(made, &sources).map(|report| Json(report).into_response())
    });
    let ended = |_| Problem::new(Code::LogUnavailable, "the record could not be put together");
    Ok(work.await.map_err(ended)?.ok_or_else(Problem::not_found)?)
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
