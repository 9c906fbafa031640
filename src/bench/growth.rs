//! How cost grows: with the events behind, and with instances on one NATS.

use std::path::Path;

use super::child::{Served, timed_start};
use super::house::{self, Setup};
use super::meter::{bytes_in, resident};
use super::nats_server::{Server, Syncs};
use super::report::{Asked, Better, Line, Of, Row, median};
use super::table::count;
use super::transport::{delete_streams, send_all, work};
use super::{Context, Subject, fill, http, load, per_second, rebuild};
use crate::log::segments::Options;
use crate::service::open_embedded_log;

/// Each size is so many times the one before; the first one.
const STEP: usize = 10;
const SMALLEST: usize = 10_000;
/// Commands in flight where instances are counted.
const IN_FLIGHT: usize = 256;

/// From its start to ready, everything folded already.
pub(super) async fn start(context: &Context<'_>) -> anyhow::Result<Vec<Row>> {
    let events = context.plan.sizes.events;
    let data = fill::events(context, events).await?;
    let what = format!("start with {} events folded, until it is ready", count(events));
    let mut ours = Vec::new();
    for run in 0..context.plan.sizes.runs {
        context.run(&what, run);
        let (served, sample) = timed_start(&Setup::embedded(&data)?).await?;
        ours.push(sample);
        served.stop().await?;
    }
    let of = Of {
        part: Subject::Start,
        what: &what,
        unit: "seconds",
        better: Better::Less,
        cpu_of: "the server, from its start until it is ready",
        asked: Some(Asked::Under(2.0)),
    };
    Ok(vec![of.alone(ours).judged_if(events >= rebuild::ASKED_OF)])
}

/// A line for each size of log up to the plan's.
pub(super) async fn events(context: &Context<'_>) -> anyhow::Result<Vec<Line>> {
    let most = context.plan.sizes.events;
    let sizes = std::iter::successors(Some(SMALLEST), |size| size.checked_mul(STEP));
    let sizes: Vec<usize> = sizes.take_while(|size| *size < most).chain([most]).collect();
    let mut lines = Vec::new();
    for size in sizes {
        let data = fill::events(context, size).await?;
        context.doing(&format!("{} events: folding anew, and commands beside them", count(size)));
        lines.push(of_size(context, &data, size).await?);
        // Commands were added to it.
        std::fs::remove_dir_all(data)?;
    }
    Ok(lines)
}

async fn of_size(context: &Context<'_>, data: &Path, size: usize) -> anyhow::Result<Line> {
    let mut rebuilt = Vec::new();
    let log = open_embedded_log(data, Options::default())?;
    for run in 0..context.plan.sizes.runs.min(3) {
        let state = context.folder.join(format!("grown-{run}"));
        let (store, sample) = rebuild::folded(&*log, &state).await?;
        rebuilt.push(sample.value);
        drop(store);
        std::fs::remove_dir_all(state)?;
    }
    drop(log);
    let setup = Setup::embedded(data)?;
    let (served, ready) = timed_start(&setup).await?;
    let mut rates = Vec::new();
    for _ in 0..context.plan.sizes.runs {
        let requests = http::requests(setup.token("ana"), context.plan.sizes.commands);
        rates.push(http::send(&served, requests).await?.value);
    }
    let resident_bytes = resident(served.pid());
    served.stop().await?;
    Ok(Line {
        series: "events".to_owned(),
        at: size,
        commands_per_second: median(&rates),
        rebuilt_per_second: Some(median(&rebuilt)),
        resident_bytes,
        state_bytes: Some(bytes_in(&data.join("state"))),
        ready_seconds: Some(ready.value),
    })
}

/// A line for one, two and three instances on one NATS, which take turns.
pub(super) async fn instances(context: &Context<'_>) -> anyhow::Result<Vec<Line>> {
    let mut all = [(1, Vec::new(), Vec::new()), (2, Vec::new(), Vec::new()), (3, Vec::new(), Vec::new())];
    for run in 0..context.plan.sizes.runs {
        for (count, rates, held) in &mut all {
            context.run(&format!("instances on one NATS: {count}"), run);
            let server = context.server(Syncs::Seldom).await?;
            let (rate, resident) = together(context, &server, *count).await?;
            rates.push(rate);
            held.extend(resident);
        }
    }
    let line = |(count, rates, held): (usize, Vec<f64>, Vec<f64>)| Line {
        series: "instances".to_owned(),
        at: count,
        commands_per_second: median(&rates),
        rebuilt_per_second: None,
        resident_bytes: (!held.is_empty()).then(|| median(&held)),
        state_bytes: None,
        ready_seconds: None,
    };
    Ok(all.into_iter().map(line).collect())
}

/// Commands a second of some instances together, and their memory.
async fn together(
    context: &Context<'_>,
    server: &Server,
    count: usize,
) -> anyhow::Result<(f64, Option<f64>)> {
    let prefix = house::new_prefix();
    let data = context.folder.join(&prefix);
    let mut serving = Vec::new();
    for number in 0..count {
        let setup = Setup::nats(&data.join(number.to_string()), &server.url, &prefix)?;
        serving.push(Served::start(&setup).await?);
    }
    let client = async_nats::connect(&server.url).await?;
    let scripts = load::scripts(IN_FLIGHT, context.plan.sizes.commands);
    let run = send_all(&client, work(&prefix, scripts), &[]).await?;
    let held = serving.iter().map(|served| resident(served.pid())).sum();
    for served in serving {
        served.stop().await?;
    }
    delete_streams(client, &prefix).await?;
    std::fs::remove_dir_all(data)?;
    Ok((per_second(run.each.len(), run.elapsed), held))
}
