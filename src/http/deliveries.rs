//! `/v1/deliveries`: who has which edition, and another try for those who haven't.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use copydesk_article::event::Frozen;
use copydesk_article::ids::parse_uuid;
use copydesk_article::problem::{Code, Problem};
use serde::Serialize;
use uuid::Uuid;

use super::articles::wait_for_min_seq;
use super::identity::Reader;
use super::problem::Refusal;
use super::query::Params;
use super::then::unavailable;
use super::{Gateway, no_such_route, not_there};
use crate::deliver::Roll;
use crate::deliver::roll::Delivery;
use crate::desk::Desk;
use crate::log::keys::KeyError;
use crate::log::{Content, Entry, LogError, Seq};

#[derive(Serialize)]
struct Deliveries {
    deliveries: Vec<Delivery>,
    next: Option<String>,
}

/// `GET /v1/deliveries`. What has been published and withdrawn is no secret, so everyone on staff sees it all.
pub(super) async fn deliveries(
    State(gateway): State<Arc<Gateway>>,
    reader: Reader,
    uri: Uri,
) -> Result<Response, Refusal> {
    let params = Params::strict(&uri, &["article", "limit", "cursor"])?;
    let roll = gateway.roll.as_ref().ok_or_else(no_such_route)?;
    let limit = params.page()?;
    let before = params
        .number::<Seq>("cursor")
        .map_err(|_| Problem::invalid("cursor", "cursor: none of ours; start without one"))?;
    wait_for_min_seq(&reader.desk, &params).await?;
    let page = match params.get("article") {
        None => roll.newest(before, limit).await.map(|listing| Deliveries {
            deliveries: listing.deliveries,
            next: listing.next.map(|next| next.to_string()),
        }),
        Some(article) => {
            let article = parse_uuid(article).ok_or_else(|| {
                Problem::invalid("article", "article: a UUID, lower-case and hyphenated, is expected")
            })?;
            of_article(&reader.desk, roll, article, before, limit).await
        }
    };
    Ok(Json(page.map_err(unavailable)?).into_response())
}

/// `POST /v1/deliveries/{subscriber}/retry`: a webhook is sent again, now, all that it has not taken; for chiefs.
pub(super) async fn retry(
    State(gateway): State<Arc<Gateway>>,
    reader: Reader,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    reader.is_chief()?;
    let roll = gateway.roll.as_ref().ok_or_else(no_such_route)?;
    let name = path.map(|Path(name)| name).unwrap_or_default();
    match roll.try_again(&name).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT.into_response()),
        Ok(false) => {
            let detail = "there is no such webhook here, or it was never served; `copydesk deliveries` names those \
                          there are";
            Err(not_there(detail).into())
        }
        Err(KeyError::Log(error)) => Err(unavailable(error).into()),
        Err(_) => {
            Err(Problem::new(Code::Busy, "its account is being written all the time: try again").into())
        }
    }
}

/// Those of one article. The cursor is then a position of the log, before which its events are to lie.
async fn of_article(
    desk: &Desk,
    roll: &Roll,
    article: Uuid,
    before: Option<Seq>,
    limit: usize,
) -> Result<Deliveries, LogError> {
    let entries = desk.log().events().all_on(&article.as_hyphenated().to_string(), 0).await?;
    let mut events: Vec<Seq> = entries
        .iter()
        .filter(|entry| before.is_none_or(|before| entry.seq < before) && may_be_on_wire(entry))
        .map(|entry| entry.seq)
        .collect();
    let rest = events.len().saturating_sub(limit);
    let page = events.split_off(rest);
    let next = page.first().filter(|_| rest > 0).map(Seq::to_string);
    Ok(Deliveries { deliveries: roll.of_events(&page).await?, next })
}

/// Whether an event may have put something on the wire; of an erased one nobody can tell.
fn may_be_on_wire(entry: &Entry) -> bool {
    match &entry.content {
        Content::Message { body, .. } => {
            serde_json::from_slice::<Frozen>(body).is_ok_and(|frozen| frozen.wire.is_some())
        }
        Content::Erased { .. } => true,
    }
}
