//! `/v1/tokens`: which bearer tokens there are, and the end of one; for chiefs. Never a token, nor its hash whole.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use copydesk_article::problem::{Code, Problem};
use serde::Serialize;

use super::identity::Reader;
use super::problem::Refusal;
use super::query::Params;
use super::then::unavailable;
use super::{Gateway, no_such_route, not_there};
use crate::log::keys::KeyError;
use crate::tokens::Row;

#[derive(Serialize)]
struct Listing {
    tokens: Vec<Row>,
}

/// `GET /v1/tokens`: those that this instance's configuration has.
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    reader: Reader,
    uri: Uri,
) -> Result<Response, Refusal> {
    reader.is_chief()?;
    Params::strict(&uri, &[])?;
    let book = gateway.book.as_ref().ok_or_else(no_such_route)?;
    Ok(Json(Listing { tokens: book.rows() }).into_response())
}

/// `POST /v1/tokens/{actor}/{name}/revoke`: nobody has it from now on, on any instance.
pub(super) async fn revoke(
    State(gateway): State<Arc<Gateway>>,
    reader: Reader,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Refusal> {
    reader.is_chief()?;
    let book = gateway.book.as_ref().ok_or_else(no_such_route)?;
    let nobodys = || not_there("there is no such token here; `copydesk tokens list` names those there are");
    let Ok(Path((actor, name))) = path else { return Err(nobodys().into()) };
    match book.revoke(&actor, &name, reader.actor()).await {
        Ok(Some(row)) => Ok(Json(row).into_response()),
        Ok(None) => Err(nobodys().into()),
        Err(KeyError::Log(error)) => Err(unavailable(error).into()),
        Err(_) => Err(Problem::new(Code::Busy, "its record is being written all the time: try again").into()),
    }
}
