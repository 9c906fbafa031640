//! Commands over HTTP, each answered only when it is on the disk, against an axum server that takes the same requests
//! and does the same grouped append and `fdatasync`. Both are processes of their own; the load is this one.

use bytes::Bytes;

use super::child::Served;
use super::client::{self, CONNECTIONS};
use super::house::Setup;
use super::meter::Meter;
use super::report::{Asked, Better, Of, Row, Sample};
use super::{Context, Subject, load, per_second};

pub(super) async fn measure(context: &Context<'_>) -> anyhow::Result<Vec<Row>> {
    let what = "commands over HTTP, embedded log, synced, 64 connections";
    let commands = context.plan.sizes.commands;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for run in 0..context.plan.sizes.runs {
        context.run(what, run);
        let file = context.folder.join(format!("http-bare-{run}"));
        let served = Served::bare("--bare-appends", &file).await?;
        let data = context.folder.join(format!("http-{run}"));
        let setup = Setup::embedded(&data)?;
        bare.push(send(&served, requests(setup.token("ana"), commands)).await?);
        drop(served);
        std::fs::remove_file(file)?;
        let served = Served::start(&setup).await?;
        ours.push(send(&served, requests(setup.token("ana"), commands)).await?);
        drop(served);
        std::fs::remove_dir_all(data)?;
    }
    let of = Of {
        part: Subject::Http,
        what,
        unit: "per second",
        better: Better::More,
        cpu_of: "the server",
        asked: Some(Asked::RatioAtLeast(0.6)),
    };
    let against =
        "axum taking the same POSTs: grouped appends of 2 KB, one fdatasync a group, a small answer";
    Ok(vec![of.beside(against, ours, bare)])
}

/// Commands of as many articles as there are connections.
pub(super) fn requests(token: &str, commands: usize) -> Vec<Vec<Bytes>> {
    let scripts = load::scripts(CONNECTIONS, commands);
    scripts.into_iter().map(|script| script.iter().map(|body| client::post(token, body)).collect()).collect()
}

/// Sends them; what came of it a second, and what the server took.
pub(super) async fn send(served: &Served, work: Vec<Vec<Bytes>>) -> anyhow::Result<Sample> {
    let total = work.iter().map(Vec::len).sum();
    let meter = Meter::of(&[served.pid()]);
    let elapsed = client::load(served.address, work, 200).await?;
    Ok(meter.sample(per_second(total, elapsed), total))
}
