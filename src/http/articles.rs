//! The board, one article, and its gate.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State, rejection::PathRejection};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use copydesk_article::article::{Stage, Status};
use copydesk_article::event::Time;
use copydesk_article::gate;
use copydesk_article::ids::parse_uuid;
use copydesk_article::json::nearest;
use copydesk_article::newsroom::Newsroom;
use copydesk_article::problem::{Code, Problem};
use copydesk_article::text::folded;
use copydesk_article::workflow::{Assignment, Held};
use serde::Serialize;
use uuid::Uuid;

use super::Gateway;
use super::evidence;
use super::identity::Reader;
use super::problem::Refusal;
use super::query::Params;
use super::then::{self, unreadable};
use crate::desk::{At, Desk};
use crate::store::StoreError;
use crate::store::board::{Filter, Row};
use crate::view;

/// How many rows the board gives unless it is asked for otherwise.
pub const DEFAULT_LIMIT: usize = 50;
/// How many it gives at most.
pub const MOST: usize = 200;
/// How long a read waits for `min_seq`.
pub const MIN_SEQ_PATIENCE: Duration = Duration::from_secs(5);
/// How long a read waits to show what this instance has answered, where nothing was asked for.
const OWN_PATIENCE: Duration = Duration::from_millis(500);

/// Waits until what is read shows at least the event at `min_seq`, where that is asked for; else what this instance
/// has answered before, which is folded within milliseconds unless folding stands still.
///
/// # Errors
/// `behind`, `invalid`.
pub(super) async fn wait_for_min_seq(desk: &Desk, params: &Params) -> Result<(), Problem> {
    let Some(seq) = params.number::<u64>("min_seq")? else {
        let _ = tokio::time::timeout(OWN_PATIENCE, desk.store().folded(desk.answered())).await;
        return Ok(());
    };
    if desk.store().position().seq >= seq {
        return Ok(());
    }
    let clock = desk.log().clock();
    tokio::select! {
        () = desk.store().folded(seq) => Ok(()),
        () = clock.sleep(MIN_SEQ_PATIENCE) => {
            let at = desk.store().position().seq;
            Err(Problem::new(Code::Behind, format!("min_seq {seq} isn't reached here yet, only {at}: try again")))
        }
    }
}

/// The article that a path names.
///
/// # Errors
/// `invalid`.
pub(super) fn article_id(path: Result<Path<String>, PathRejection>) -> Result<Uuid, Problem> {
    let id = path.ok().and_then(|Path(id)| parse_uuid(&id));
    id.ok_or_else(|| Problem::invalid("id", "an article's id is a UUID, lower-case and hyphenated"))
}

#[derive(Serialize)]
struct Board {
    articles: Vec<BoardRow>,
    next: Option<String>,
}

/// A row as it is shown.
#[derive(Serialize)]
struct BoardRow {
    article: Uuid,
    slug: Option<String>,
    headline: Option<String>,
    section: Option<String>,
    stage: Stage,
    status: Status,
    version: u32,
    revision: u32,
    edition: Option<u32>,
    updated: Time,
    assigned: Option<Assignment>,
    due: Option<Time>,
    overdue: bool,
    held: Option<Held>,
    blocking: u32,
}

impl BoardRow {
    fn of(row: &Row, newsroom: &Newsroom, now: Time) -> Self {
        BoardRow {
            stage: row.stage(newsroom),
            article: row.article,
            slug: row.slug.clone(),
            headline: row.headline.clone(),
            section: row.section.clone(),
            status: row.status,
            version: row.version,
            revision: row.revision,
            edition: row.edition,
            updated: row.updated,
            due: row.assignment.due,
            overdue: row.assignment.due.is_some_and(|due| due < now) && row.edition.is_none(),
            assigned: Some(row.assignment.clone()).filter(|assignment| !assignment.is_empty()),
            held: row.held.clone(),
            blocking: row.blocking,
        }
    }
}

/// `GET /v1/articles`
pub(super) async fn board(reader: Reader, uri: Uri) -> Result<Response, Refusal> {
    const KNOWN: &[&str] = &["stage", "status", "section", "assignee", "q", "cursor", "limit"];
    let params = Params::strict(&uri, KNOWN)?;
    let stages = [Stage::Draft, Stage::InReview, Stage::Approved, Stage::Spiked];
    let statuses = [Status::Unpublished, Status::Scheduled, Status::Published, Status::Withdrawn];
    let words = params.get("q").map(folded).unwrap_or_default();
    let filter = Filter {
        viewer: Some(reader.viewer()),
        assignee: params.get("assignee").map(str::to_owned),
        words: words.split_whitespace().map(str::to_owned).collect(),
        stages: list(&params, "stage", &stages.map(|stage| (stage.name(), stage)))?,
        statuses: list(&params, "status", &statuses.map(|status| (status.name(), status)))?,
        section: params.get("section").map(str::to_owned),
    };
    let cursor = params.get("cursor").map(cursor).transpose()?;
    let limit = params.page()?;
    wait_for_min_seq(&reader.desk, &params).await?;
    let store = Arc::clone(reader.desk.store());
    let newsroom = store.newsroom();
    // A rare filter looks at every article, the oldest of many in sled.
    let turn = store.turn_to_look().await;
    let look = tokio::task::spawn_blocking(move || {
        // Held to the end, even if whoever asked has gone away.
        let _turn = turn;
        store.board(&filter, cursor, limit)
    });
    let ended = |_| StoreError::Failed("a look at the board ended in a panic".to_owned());
    let (rows, next) = look.await.map_err(ended).and_then(|found| found).map_err(unreadable)?;
    let now = reader.desk.log().clock().now();
    let articles = rows.iter().map(|row| BoardRow::of(row, &newsroom, now)).collect();
    Ok(Json(Board { articles, next: next.map(hex::encode) }).into_response())
}

/// A list by commas, of these names.
fn list<T: Copy>(params: &Params, name: &str, all: &[(&str, T)]) -> Result<Vec<T>, Problem> {
    let asked = params.get(name).unwrap_or_default();
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    asked
        .split(',')
        .map(str::trim)
        .filter(|asked| !asked.is_empty())
        .map(|asked| {
            let found = all.iter().find(|(name, _)| *name == asked).map(|(_, value)| *value);
            found.ok_or_else(|| Problem {
                suggestion: nearest(asked, &names),
                ..Problem::invalid(name, format!("{name}: expected some of {}, by commas", names.join(", ")))
            })
        })
        .collect()
}

fn cursor(text: &str) -> Result<[u8; 24], Problem> {
    let mut cursor = [0; 24];
    hex::decode_to_slice(text, &mut cursor)
        .map_err(|_| Problem::invalid("cursor", "cursor: none of ours; start without one"))?;
    Ok(cursor)
}

/// `GET /v1/articles/{id}`
pub(super) async fn one(
    reader: Reader,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let id = article_id(path)?;
    let params = Params::strict(&uri, &["version", "revision", "time", "format"])?;
    let at = then::moment(&params)?;
    let as_markdown = match params.get("format") {
        None | Some("json") => false,
        Some("markdown") => true,
        Some(_) => return Err(Problem::invalid("format", "format: expected json or markdown").into()),
    };
    wait_for_min_seq(&reader.desk, &params).await?;
    reader.sees_still(id).await?;
    let (article, newsroom) = then::article(&reader.desk, id, at).await?;
    if as_markdown {
        let markdown = HeaderValue::from_static("text/markdown; charset=utf-8");
        return Ok(([(CONTENT_TYPE, markdown)], view::body_markdown(&article)).into_response());
    }
    let moment = then::time(&reader.desk, at, &article);
    let mut view = view::article(&article, &newsroom, moment);
    evidence::open(&reader, &article, &mut view).await?;
    Ok(Json(view).into_response())
}

/// `GET /v1/articles/{id}/gate`
pub(super) async fn gate(
    reader: Reader,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let id = article_id(path)?;
    let params = Params::strict(&uri, &["version", "revision", "time"])?;
    let at = then::moment(&params)?;
    wait_for_min_seq(&reader.desk, &params).await?;
    reader.sees_still(id).await?;
    let (article, newsroom) = then::article(&reader.desk, id, at).await?;
    let moment = then::time(&reader.desk, at, &article);
    Ok(Json(gate::gate(&article, &newsroom, moment)).into_response())
}

/// `GET /v1/articles/{id}/diff`: between two revisions; from the one before the last, to the last, unless said.
pub(super) async fn diff(
    State(gateway): State<Arc<Gateway>>,
    reader: Reader,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let id = article_id(path)?;
    let params = Params::strict(&uri, &["from", "to"])?;
    let asked = |name: &str| match params.number::<u32>(name)? {
        Some(0) => Err(Problem::invalid(name, format!("{name}: revisions count from 1"))),
        revision => Ok(revision),
    };
    let (from, to) = (asked("from")?, asked("to")?);
    wait_for_min_seq(&reader.desk, &params).await?;
    reader.sees_still(id).await?;
    let (present, _) = then::article(&reader.desk, id, None).await?;
    let to = to.unwrap_or(present.revision);
    let from = from.unwrap_or_else(|| to.saturating_sub(1).max(1));
    let (then, _) = then::article(&reader.desk, id, Some(At::Revision(from))).await?;
    let (now, _) = then::article(&reader.desk, id, Some(At::Revision(to))).await?;
    // Long texts take their time.
    let diff = gateway.aside.run(move || view::diff::diff(&then, &now)).await;
    let diff = diff.map_err(|_| Problem::new(Code::LogUnavailable, "the comparison failed"))?;
    Ok(Json(diff).into_response())
}
