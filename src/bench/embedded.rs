//! Commands on the embedded log, each answered only when it is on the disk, against the bare disk: appends of 2 KB
//! in groups of 64, one `fdatasync` a group.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::bare::RECORD_BYTES;
use super::meter::Meter;
use super::report::{Asked, Better, Of, Row, Sample};
use super::{Context, Subject, house, load, per_second};
use crate::log::segments::Syncing;

const IN_FLIGHT: usize = 64;

pub(super) async fn measure(context: &Context<'_>) -> anyhow::Result<Vec<Row>> {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for run in 0..context.plan.sizes.runs {
        context.run("commands on the embedded log", run);
        let file = context.folder.join(format!("embedded-bare-{run}"));
        bare.push(grouped_appends(&file, context.plan.sizes.commands)?);
        let data = context.folder.join(format!("embedded-{run}"));
        ours.push(commands(&data, context.plan.sizes.commands).await?);
        std::fs::remove_dir_all(data)?;
    }
    let of = Of {
        part: Subject::Embedded,
        what: "commands on the embedded log, synced, 64 in flight",
        unit: "per second",
        better: Better::More,
        cpu_of: "the desk and its load",
        asked: Some(Asked::RatioAtLeast(0.7)),
    };
    Ok(vec![of.beside("bare appends of 2 KB, 64 a group, one fdatasync a group", ours, bare)])
}

fn grouped_appends(path: &Path, messages: usize) -> anyhow::Result<Sample> {
    let mut file = File::create(path)?;
    let groups = messages.div_ceil(IN_FLIGHT);
    let meter = Meter::of_us_and(&[]);
    let start = Instant::now();
    for number in 0..groups {
        // Bytes of its own each time, as events have.
        let byte = u8::try_from(number % 256)?;
        file.write_all(&vec![byte; RECORD_BYTES * IN_FLIGHT])?;
        file.sync_data()?;
    }
    let count = groups * IN_FLIGHT;
    let sample = meter.sample(per_second(count, start.elapsed()), count);
    std::fs::remove_file(path)?;
    Ok(sample)
}

async fn commands(data: &Path, commands: usize) -> anyhow::Result<Sample> {
    let service = house::embedded(data, Syncing::Always).await?;
    let scripts = load::scripts(IN_FLIGHT, commands);
    let total: usize = scripts.iter().map(Vec::len).sum();
    let meter = Meter::of_us_and(&[]);
    let start = Instant::now();
    house::each(scripts.into_iter().map(|script| load::send(Arc::clone(&service.desk), script))).await?;
    let sample = meter.sample(per_second(total, start.elapsed()), total);
    service.stop().await;
    Ok(sample)
}
