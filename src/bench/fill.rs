//! Data folders that are filled before anything is timed, once for all parts that read them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use uuid::Uuid;

use super::table::count;
use super::{Context, house, load};
use crate::service::Service;

/// Events of one article, on average a story's life.
const EVENTS_PER_ARTICLE: usize = 20;
/// How long the public side may stand still while it is filled.
const STILL: Duration = Duration::from_secs(60);

/// A data folder with an embedded log of so many events, folded and closed.
pub(super) async fn events(context: &Context<'_>, events: usize) -> anyhow::Result<PathBuf> {
    let data = context.folder.join(format!("events-{events}"));
    if data.exists() {
        return Ok(data);
    }
    context.doing(&format!("writing a log of {} events", count(events)));
    let service = house::embedded(&data, house::UNSYNCED).await?;
    let articles = events.div_ceil(EVENTS_PER_ARTICLE);
    // Scripts are made as they are needed: all of them at once would take more memory than the log.
    house::each((0..articles).map(|_| {
        let desk = Arc::clone(&service.desk);
        async move { load::send(desk, load::script(EVENTS_PER_ARTICLE)).await }
    }))
    .await?;
    service.stop().await;
    Ok(data)
}

/// A data folder with so many published articles, folded and closed, and their ids.
pub(super) async fn published(
    context: &Context<'_>,
    articles: usize,
) -> anyhow::Result<(PathBuf, Vec<Uuid>)> {
    // An id that follows from its number needs no list beside the folder.
    let ids = (0..articles).map(|n| Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("bench:{n}").as_bytes()));
    let ids: Vec<Uuid> = ids.collect();
    let data = context.folder.join(format!("published-{articles}"));
    if data.exists() {
        return Ok((data, ids));
    }
    context.doing(&format!("publishing {} articles", count(articles)));
    let service = house::embedded(&data, house::UNSYNCED).await?;
    house::each(ids.clone().into_iter().enumerate().map(|(n, id)| {
        let desk = Arc::clone(&service.desk);
        async move {
            load::decided(&desk, &"ana".into(), &load::draft(id, n)).await?;
            load::decided(&desk, &"pia".into(), &load::publish(id)).await?;
            Ok(())
        }
    }))
    .await?;
    shown(&service, articles).await?;
    service.stop().await;
    Ok((data, ids))
}

/// Waits until so many editions are before readers.
async fn shown(service: &Service, editions: usize) -> anyhow::Result<()> {
    let (mut seen, mut moved) = (0, Instant::now());
    while seen < u64::try_from(editions)? {
        let now = service.public.position().seq;
        if now > seen {
            (seen, moved) = (now, Instant::now());
        }
        ensure!(moved.elapsed() < STILL, "the public side stands still after {seen} of {editions} editions");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
