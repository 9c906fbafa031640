//! Folding a log anew into sled, and verifying it, against reading, checking and decoding the same events and dropping them.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{anyhow, ensure};
use copydesk_article::event::{self, Read};
use futures::StreamExt;

use super::meter::Meter;
use super::report::{Asked, Better, Of, Row, Sample};
use super::table::count;
use super::{Context, Subject, fill, per_second};
use crate::audit::line::new_key;
use crate::audit::verify::{Sources, verify};
use crate::log::segments::Options;
use crate::log::{Content, Log};
use crate::service::open_embedded_log;
use crate::store::{Store, fold};

/// Fewer events than the million that is asked about say nothing about it.
pub(super) const ASKED_OF: usize = 1_000_000;

pub(super) async fn measure(context: &Context<'_>) -> anyhow::Result<Vec<Row>> {
    let data = fill::events(context, context.plan.sizes.events).await?;
    let log = open_embedded_log(&data, Options::default())?;
    let key = new_key("bench")?.verifier();
    let (mut ours, mut verified, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..context.plan.sizes.runs {
        context.run("folding a log anew, and verifying it", run);
        bare.push(decoded(&*log).await?);
        let state = context.folder.join(format!("rebuilt-{run}"));
        let (store, sample) = folded(&*log, &state).await?;
        ours.push(sample);
        let sources =
            Sources { log: Arc::clone(&log), store: Some(&store), key: key.clone(), against: Vec::new() };
        let end = usize::try_from(log.events().end().await?)?;
        let meter = Meter::of_us_and(&[]);
        let start = Instant::now();
        let report = verify(&sources, |_, _| {}).await?;
        verified.push(meter.sample(per_second(end, start.elapsed()), end));
        anyhow::ensure!(report.holds(), "what was filled doesn't verify: {:?}", report.faults);
        drop(sources);
        drop(store);
        std::fs::remove_dir_all(state)?;
    }
    let events = context.plan.sizes.events;
    let what = format!("{} events folded anew into sled, their tree with them", count(events));
    let of = Of {
        part: Subject::Rebuild,
        what: &what,
        unit: "per second",
        better: Better::More,
        cpu_of: "this process",
        asked: Some(Asked::RatioAtLeast(0.5)),
    };
    let against = "reading, checking and decoding the same events and dropping them";
    let folded = of.beside(against, ours, bare.clone());
    let what = format!("{} events verified: tree, lines, gates, wire and folded state", count(events));
    let of = Of { what: &what, asked: Some(Asked::RatioAtLeast(0.4)), ..of };
    let rows = [folded, of.beside(against, verified, bare)];
    Ok(rows.map(|row| row.judged_if(events >= ASKED_OF)).into())
}

/// A log folded anew into a new folder.
pub(super) async fn folded(log: &dyn Log, state: &Path) -> anyhow::Result<(Store, Sample)> {
    let (store, _) = Store::open(state, 256 << 20)?;
    let meter = Meter::of_us_and(&[]);
    let start = Instant::now();
    let events = usize::try_from(fold::catch_up(&store, log, |_, _| {}).await?)?;
    Ok((store, meter.sample(per_second(events, start.elapsed()), events)))
}

async fn decoded(log: &dyn Log) -> anyhow::Result<Sample> {
    let end = log.events().end().await?;
    let meter = Meter::of_us_and(&[]);
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
    ensure!(events == end, "the log's tail ended at {events}, and the log at {end}");
    let events = usize::try_from(end)?;
    Ok(meter.sample(per_second(events, start.elapsed()), events))
}
