//! What is stored: the log as JSON lines, and one article's history. The stored bytes go out as they are, with
//! `seq` put in as the first member.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, rejection::PathRejection};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use copydesk_article::command::Data;
use copydesk_article::event::Frozen;
use copydesk_article::ids::{DESK, parse_uuid};
use copydesk_article::json::nearest;
use copydesk_article::newsroom::NewsroomSet;
use copydesk_article::problem::Problem;
use futures::stream::{self, BoxStream, StreamExt};
use serde::Deserialize;
use serde_json::json;

use super::articles::{article_id, wait_for_min_seq};
use super::evidence;
use super::identity::{Reader, Reads};
use super::json_line::one_line;
use super::problem::Refusal;
use super::query::{Bound, End, Params};
use super::then::unavailable;
use crate::log::{Content, Entry, LogError, Seq};
use crate::store::redacted::Line;

/// `GET /v1/events`
pub(super) async fn events(reader: Reader, uri: Uri) -> Result<Response, Refusal> {
    reader.may(Reads::Events)?;
    let params = Params::strict(&uri, &["from", "article", "until", "actor", "type"])?;
    let filter = Filter::read(&params)?;
    wait_for_min_seq(&reader.desk, &params).await?;
    let log = reader.desk.log().events();
    let end = match reader.desk.log().stopped() {
        // It has no end that could be told for certain, but what is folded can be read.
        Some(stopped) if !stopped.damaged => reader.desk.store().position().seq,
        _ => log.end().await.map_err(unavailable)?,
    };
    let after = match filter.from {
        Some(Bound::Seq(seq)) => seq.saturating_sub(1),
        _ => 0,
    };
    let last = match filter.until {
        Some(Bound::Seq(seq)) => end.min(seq),
        _ => end,
    };
    let entries: BoxStream<'static, Result<Entry, LogError>> = match &filter.subject {
        _ if last <= after => stream::empty().boxed(),
        Some(subject) => {
            let entries = log.all_on(subject, after).await.map_err(unavailable)?;
            stream::iter(entries.into_iter().filter(move |entry| entry.seq <= last).map(Ok)).boxed()
        }
        None => up_to(log.tail(after).await.map_err(unavailable)?, last),
    };
    let filter = Arc::new(filter);
    let lines = entries.filter_map(move |entry| {
        let filter = Arc::clone(&filter);
        async move {
            match entry {
                Ok(entry) => filter.line(&entry).map(Ok),
                Err(error) => {
                    // The status has gone out: the sender learns of it by the connection's end.
                    tracing::warn!(%error, "a replay ended early");
                    Some(Err(error))
                }
            }
        }
    });
    let json_lines = HeaderValue::from_static("application/jsonl");
    Ok(([(CONTENT_TYPE, json_lines)], Body::from_stream(lines)).into_response())
}

/// `GET /v1/articles/{id}/history`
pub(super) async fn history(
    reader: Reader,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let id = article_id(path)?;
    let params = Params::strict(&uri, &[])?;
    wait_for_min_seq(&reader.desk, &params).await?;
    reader.sees(id)?;
    let line = Line::read(&*reader.desk.log().events(), id).await.map_err(unavailable)?;
    reader.sees_line(id, &line.entries)?;
    let mut entries = line.entries;
    for entry in &mut entries {
        if let Content::Message { body, .. } = &mut entry.content
            && let Some(masked) = evidence::masked(&entry.subject, body)
        {
            *body = masked.into();
        }
    }
    // What stands in the place of something erased says so.
    let shown = |entry: &Entry| match &entry.content {
        Content::Message { body, .. } if line.replaced.contains(&entry.seq) => {
            Some(Bytes::from(with(&format!("\"seq\":{},\"redacted\":true", entry.seq), body)?))
        }
        _ => stored(entry),
    };
    let events: Vec<Bytes> = entries.iter().filter_map(shown).collect();
    if events.is_empty() {
        return Err(Problem::not_found().into());
    }
    let mut body = b"{\"events\":[".to_vec();
    for (at, event) in events.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(event);
    }
    body.extend_from_slice(b"]}");
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}

/// Which events are asked for.
#[derive(Debug)]
struct Filter {
    from: Option<Bound>,
    /// Order in the log is not order in time over several articles, so none is left out for coming late.
    until: Option<Bound>,
    subject: Option<String>,
    actor: Option<String>,
    /// Full types, or what follows their last dot, with whatever `.v2` behind.
    types: Vec<String>,
}

impl Filter {
    fn read(params: &Params) -> Result<Filter, Problem> {
        let subject = params.get("article").map(|id| match parse_uuid(id) {
            Some(id) => Ok(id.as_hyphenated().to_string()),
            None if id == DESK => Ok(DESK.to_owned()),
            None => Err(Problem::invalid(
                "article",
                "article: expected a UUID, lower-case and hyphenated, or desk for the newsroom line",
            )),
        });
        let types = params.get("type").unwrap_or_default().split(',').map(str::trim);
        let types = types.filter(|kind| !kind.is_empty()).map(|kind| {
            let known =
                || Data::TYPES.iter().chain([&NewsroomSet::TYPE]).filter_map(|kind| kind.rsplit('.').next());
            // A full type may be a newer build's.
            if kind.starts_with("copydesk.") || known().any(|name| name == kind) {
                return Ok(kind.to_owned());
            }
            let known: Vec<&str> = known().collect();
            Err(Problem {
                suggestion: nearest(kind, &known),
                ..Problem::invalid("type", format!("type: expected some of {}, by commas", known.join(", ")))
            })
        });
        Ok(Filter {
            from: params.bound("from", End::First)?,
            until: params.bound("until", End::Last)?,
            subject: subject.transpose()?,
            actor: params.get("actor").map(str::to_owned),
            types: types.collect::<Result<_, Problem>>()?,
        })
    }

    /// One line of the replay; none for what is no history, or not asked for. Who did what is no longer known of an
    /// erased event: it is shown whoever and whatever is asked for.
    fn line(&self, entry: &Entry) -> Option<Bytes> {
        let (time, stored) = match &entry.content {
            Content::Message { body, .. } => {
                let frozen = ours(entry, body)?;
                if !self.types.is_empty() && !self.types.iter().any(|kind| is_type(&frozen.kind, kind)) {
                    return None;
                }
                if let Some(asked) = &self.actor
                    && actor(body).as_deref() != Some(asked)
                {
                    return None;
                }
                (frozen.time, with_seq(entry.seq, body)?.into())
            }
            Content::Erased { .. } => (entry.time, stored(entry)?),
        };
        if matches!(self.from, Some(Bound::Time(from)) if time < from)
            || matches!(self.until, Some(Bound::Time(until)) if time > until)
        {
            return None;
        }
        let mut line = Vec::with_capacity(stored.len() + 1);
        line.extend_from_slice(&stored);
        line.push(b'\n');
        Some(line.into())
    }
}

/// Whether an event's type is the one asked for: by its full name, or by the word that says what happened.
fn is_type(kind: &str, asked: &str) -> bool {
    let word = kind.strip_prefix("copydesk.").and_then(|rest| rest.split('.').nth(1));
    kind == asked || word == Some(asked)
}

/// Who did it: in the envelope, but not among the members that are frozen for ever.
fn actor(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Actor {
        actor: String,
    }
    serde_json::from_slice(body).ok().map(|Actor { actor }| actor)
}

/// A tail, ended at a position.
fn up_to(
    tail: BoxStream<'static, Result<Vec<Entry>, LogError>>,
    last: Seq,
) -> BoxStream<'static, Result<Entry, LogError>> {
    let groups = stream::unfold(Some(tail), move |tail| async move {
        let mut tail = tail?;
        let group = tail.next().await?;
        let goes_on = matches!(&group, Ok(group) if group.last().is_some_and(|entry| entry.seq < last));
        Some((group, goes_on.then_some(tail)))
    });
    let entries = groups.flat_map(move |group| {
        let (group, error) = match group {
            Ok(group) => (group, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        let within = group.into_iter().filter(move |entry| entry.seq <= last);
        stream::iter(within.map(Ok).chain(error))
    });
    entries.boxed()
}

/// The frozen members of an event of ours, understood by this build or not; none for what is foreign.
fn ours(entry: &Entry, body: &[u8]) -> Option<Frozen> {
    let frozen: Frozen = serde_json::from_slice(body).ok()?;
    (frozen.subject == entry.subject && frozen.kind.starts_with("copydesk.")).then_some(frozen)
}

/// The stored bytes of an event on one line, with `seq`; for an erased one, its place and the hash of what was there.
/// None for what is foreign.
fn stored(entry: &Entry) -> Option<Bytes> {
    match &entry.content {
        Content::Message { body, .. } => {
            ours(entry, body)?;
            Some(with_seq(entry.seq, body)?.into())
        }
        Content::Erased { sha256 } => {
            let sha256 = sha256.map(hex::encode);
            let place =
                json!({ "subject": entry.subject, "time": entry.time, "erased": true, "sha256": sha256 });
            Some(with_seq(entry.seq, place.to_string().as_bytes())?.into())
        }
    }
}

/// An object's bytes on one line, with `seq` as its first member.
fn with_seq(seq: Seq, body: &[u8]) -> Option<Vec<u8>> {
    with(&format!("\"seq\":{seq}"), body)
}

/// An object's bytes on one line, these members first.
fn with(members: &str, body: &[u8]) -> Option<Vec<u8>> {
    let start = body.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let (b'{', rest) = body.get(start..)?.split_first().map(|(first, rest)| (*first, rest))? else {
        return None;
    };
    let mut out = Vec::with_capacity(body.len() + 32);
    out.extend_from_slice(format!("{{{members},").as_bytes());
    out.extend_from_slice(&one_line(rest));
    Some(out)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_type_is_asked_for_by_its_name_or_its_word() {
        assert!(is_type("copydesk.article.published", "published"));
        assert!(is_type("copydesk.article.published.v2", "published"));
        assert!(is_type("copydesk.article.published", "copydesk.article.published"));
        assert!(!is_type("copydesk.article.published.v2", "copydesk.article.published"));
        assert!(
            !is_type("copydesk.article.published", "article") && !is_type("copydesk.article.held", "hel")
        );
        assert!(is_type(NewsroomSet::TYPE, "set"));
    }

    #[test]
    fn seq_comes_first_and_the_rest_stays_as_it_is() {
        let stored = br#"{"b":1.50,"a":"x\u2028"}"#;
        let shown = with_seq(7, stored).unwrap();
        assert_eq!(shown, br#"{"seq":7,"b":1.50,"a":"x\u2028"}"#);
    }

    #[test]
    fn it_stays_one_line() {
        let shown = with_seq(7, " {\"a\":\r\n \"x\u{2028}y\"}\n".as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&shown).unwrap(), json!({"seq": 7, "a": "x\u{2028}y"}));
        assert!(!String::from_utf8(shown).unwrap().contains(['\n', '\r', '\u{2028}']));
    }
}
