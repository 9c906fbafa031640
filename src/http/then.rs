//! Articles as they were, and the rules that held then.

use std::sync::Arc;

use copydesk_article::article::Article;
use copydesk_article::event::{self, Read, Time};
use copydesk_article::ids::DESK;
use copydesk_article::newsroom::Newsroom;
use copydesk_article::problem::{Code, Problem};
use uuid::Uuid;

use super::not_there;
use super::query::Params;
use crate::desk::{At, Desk};
use crate::log::{Content, LogError};
use crate::store::StoreError;

/// The moment that a read asks for; none: now.
///
/// # Errors
/// `invalid`.
pub(super) fn moment(params: &Params) -> Result<Option<At>, Problem> {
    let counted = |name: &str| match params.number::<u32>(name)? {
        Some(0) => Err(Problem::invalid(name, format!("{name}s count from 1"))),
        number => Ok(number),
    };
    let version = counted("version")?.map(At::Version);
    let revision = counted("revision")?.map(At::Revision);
    let time = params.time("time")?.map(At::Time);
    let mut asked = [version, revision, time].into_iter().flatten();
    match (asked.next(), asked.next()) {
        (at, None) => Ok(at),
        _ => Err(Problem::invalid("version", "ask for one of version, revision and time")),
    }
}

/// An article with the newsroom to judge it by: now, or as both were.
///
/// # Errors
/// `not_found`, `set_aside`, `log_unavailable`.
pub(super) async fn article(
    desk: &Desk,
    id: Uuid,
    at: Option<At>,
) -> Result<(Arc<Article>, Arc<Newsroom>), Problem> {
    let Some(at) = at else {
        if let Some(aside) = desk.store().aside(id).map_err(unreadable)? {
            let detail = format!(
                "the article holds an event that this build doesn't understand ({}); its earlier versions can \
                 be read, and so can its history",
                aside.why
            );
            return Err(Problem::new(Code::SetAside, detail));
        }
        let stored = desk.store().article(id).map_err(unreadable)?.ok_or_else(Problem::not_found)?;
        return Ok((stored.article, desk.store().newsroom()));
    };
    let Some(article) = desk.as_it_was(id, at, 0).await? else {
        let present = desk.store().article(id).map_err(unreadable)?;
        return Err(present.map_or_else(Problem::not_found, |_| not_there_then()));
    };
    let there = match at {
        At::Version(version) => article.version == version,
        At::Revision(revision) => article.revision == revision,
        At::Time(_) => true,
    };
    if !there {
        return Err(Problem::new(Code::NotFound, "the article hasn't come that far"));
    }
    let newsroom = newsroom(desk, &article, at).await?;
    Ok((article, Arc::new(newsroom)))
}

/// The answer where an article is asked for as it was before its first event.
pub(super) fn not_there_then() -> Problem {
    not_there("the article wasn't there then: its first event is later")
}

/// The time by which an article is judged: what was asked for, else its own last event's, else now.
pub(super) fn time(desk: &Desk, at: Option<At>, article: &Article) -> Time {
    match at {
        None => desk.log().clock().now(),
        Some(At::Time(time)) => time,
        Some(At::Version(_) | At::Revision(_)) => article.updated,
    }
}

/// The newsroom that was in force: the one that the article's last event then was decided under, or for a time the
/// newest of that time.
async fn newsroom(desk: &Desk, article: &Article, at: At) -> Result<Newsroom, Problem> {
    let decided_under = decided_under(desk, article).await?;
    let mut newsroom = Newsroom::default();
    let line = desk.log().events().all_on(DESK, 0).await.map_err(unavailable)?;
    for entry in &line {
        let Content::Message { body, .. } = &entry.content else { continue };
        let Read::Newsroom(event) = event::read(DESK, body) else { continue };
        let holds = match at {
            At::Time(time) => event.time <= time || event.articleversion <= decided_under,
            _ => event.articleversion <= decided_under,
        };
        if let (true, Ok(next)) = (holds, newsroom.evolve(&event)) {
            newsroom = next;
        }
    }
    Ok(newsroom)
}

/// The version of the newsroom line that an article's last event was decided under.
async fn decided_under(desk: &Desk, article: &Article) -> Result<u32, Problem> {
    let versions = article.version..=article.version;
    let events = desk.store().events_of(article.id, versions).map_err(unreadable)?;
    let Some(last) = events.last() else { return Ok(u32::MAX) };
    let entry = desk.entry_of(article.id, last.seq).await.map_err(unavailable)?;
    Ok(match entry.map(|entry| (entry.subject, entry.content)) {
        Some((subject, Content::Message { body, .. })) => match event::read(&subject, &body) {
            Read::Event(event) => event.deskversion,
            _ => u32::MAX,
        },
        _ => u32::MAX,
    })
}

pub(super) fn unreadable(error: StoreError) -> Problem {
    tracing::error!(%error, "the store can't be read");
    Problem::new(Code::LogUnavailable, "the folded state can't be read now")
}

pub(super) fn unavailable(error: LogError) -> Problem {
    tracing::warn!(%error, "the log can't be asked");
    Problem::new(Code::LogUnavailable, "the log can't be asked now")
}
