//! Commands on the embedded log, each answered only when it is on the disk, against the bare disk: appends of 2 KB
//! in groups of 64, one `fdatasync` a group.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;

use super::{Measured, Plan, load, newsroom, per_second};
use crate::log::segments::Options;
use crate::service::{Part, Service, open_embedded_log};

const IN_FLIGHT: usize = 64;
const BARE_BYTES: usize = 2048;

pub(super) async fn measure(plan: &Plan, folder: &Path) -> anyhow::Result<Measured> {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for run in 0..plan.runs {
        bare.push(grouped_appends(&folder.join(format!("bare-{run}")), plan.commands)?);
        ours.push(commands(&folder.join(format!("embedded-{run}")), plan.commands).await?);
    }
    Ok(Measured::new(
        "commands on the embedded log, synced, 64 in flight",
        "bare appends of 2 KB, 64 a group, one fdatasync a group",
        "per second",
        "at least 8000 per second",
        ours,
        bare,
    ))
}

fn grouped_appends(path: &Path, messages: usize) -> anyhow::Result<f64> {
    let mut file = File::create(path).context("the bare file")?;
    let group = vec![b'x'; BARE_BYTES * IN_FLIGHT];
    let groups = messages.div_ceil(IN_FLIGHT);
    let start = Instant::now();
    for _ in 0..groups {
        file.write_all(&group)?;
        file.sync_data()?;
    }
    let rate = per_second(groups * IN_FLIGHT, start.elapsed());
    std::fs::remove_file(path)?;
    Ok(rate)
}

async fn commands(data: &Path, commands: usize) -> anyhow::Result<f64> {
    let log = open_embedded_log(data, Options::default())?;
    let service = Service::open(log, data, 128 << 20, "copydesk", &Default::default(), |_, _| {}).await?;
    service.propose(&newsroom(), "copydesk", false).await?;
    service.start(&[Part::Desk, Part::Wire])?;
    service.store.folded(1).await;
    let scripts = load::scripts(IN_FLIGHT, commands);
    let total: usize = scripts.iter().map(|script| script.commands.len()).sum();
    let start = Instant::now();
    let writers: Vec<_> = scripts
        .into_iter()
        .map(|script| {
            let desk = Arc::clone(&service.desk);
            tokio::spawn(async move { script.send(&desk).await })
        })
        .collect();
    for writer in writers {
        writer.await??;
    }
    let rate = per_second(total, start.elapsed());
    service.stop().await;
    Ok(rate)
}
