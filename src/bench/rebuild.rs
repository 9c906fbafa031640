//! Folding a log anew into sled, and verifying it, against reading, checking and decoding the same events and dropping them.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::anyhow;
use copydesk_article::event::{self, Read};
use futures::StreamExt;

use super::{Measured, Plan, load, newsroom, per_second};
use crate::audit::line::new_key;
use crate::audit::verify::{Sources, verify};
use crate::log::segments::{Options, Syncing};
use crate::log::{Content, Log};
use crate::service::{Part, Service, open_embedded_log};
use crate::store::{Store, fold};

/// Events of one article, on average a story's life.
const EVENTS_PER_ARTICLE: usize = 20;

pub(super) async fn measure(plan: &Plan, folder: &Path) -> anyhow::Result<[Measured; 2]> {
    let data = folder.join("rebuild");
    let log = filled(&data, plan.events).await?;
    let key = new_key("bench")?.verifier();
    let (mut ours, mut verified, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..plan.runs {
        bare.push(decode(&*log).await?);
        let (store, _) = Store::open(&folder.join(format!("state-{run}")), 256 << 20)?;
        let start = Instant::now();
        let events = fold::catch_up(&store, &*log, |_, _| {}).await?;
        ours.push(per_second(usize::try_from(events)?, start.elapsed()));
        let sources =
            Sources { log: Arc::clone(&log), store: Some(&store), key: key.clone(), against: Vec::new() };
        let start = Instant::now();
        let report = verify(&sources, |_, _| {}).await?;
        anyhow::ensure!(report.holds(), "what was filled doesn't verify: {:?}", report.faults);
        verified.push(per_second(usize::try_from(events)?, start.elapsed()));
    }
    let against = "reading, checking and decoding the same events";
    let reach = "at least 50000 per second";
    let folded =
        Measured::new("events folded anew into sled", against, "per second", reach, ours, bare.clone());
    let what = "events verified, their state, wire and tree with them";
    Ok([folded, Measured::new(what, against, "per second", reach, verified, bare)])
}

/// A log with this many events, written by the desk itself.
async fn filled(data: &Path, events: usize) -> anyhow::Result<Arc<dyn Log>> {
    let options =
        Options { durability: Syncing::Within(std::time::Duration::from_secs(1)), ..Options::default() };
    let log = open_embedded_log(data, options)?;
    let service =
        Service::open(Arc::clone(&log), data, 128 << 20, "copydesk", &Default::default(), |_, _| {}).await?;
    service.propose(&newsroom(), "copydesk", false).await?;
    service.start(&[Part::Desk, Part::Wire])?;
    service.store.folded(1).await;
    let articles = events.div_ceil(EVENTS_PER_ARTICLE);
    // Scripts are made as they are needed: all of them at once would take more memory than the log.
    let work = futures::stream::iter(0..articles).map(|_| {
        let desk = Arc::clone(&service.desk);
        tokio::spawn(async move {
            for script in load::scripts(1, EVENTS_PER_ARTICLE) {
                script.send(&desk).await?;
            }
            anyhow::Ok(())
        })
    });
    let mut work = work.buffer_unordered(64);
    while let Some(done) = work.next().await {
        done??;
    }
    drop(work);
    service.stop().await;
    Ok(log)
}

async fn decode(log: &dyn Log) -> anyhow::Result<f64> {
    let end = log.events().end().await?;
    let start = Instant::now();
    let mut tail = log.events().tail(0).await?;
    let mut events = 0;
    while events < end {
        let Some(group) = tail.next().await else { break };
        for entry in group? {
            events = entry.seq;
            if let Content::Message { body, .. } = &entry.content {
                match event::read(&entry.subject, body) {
                    Read::Event(_) | Read::Newsroom(_) => {}
                    _ => return Err(anyhow!("an event that doesn't read back")),
                }
            }
        }
    }
    Ok(per_second(usize::try_from(end)?, start.elapsed()))
}
