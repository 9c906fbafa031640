//! Commands through NATS, against a bare responder that does nothing but one expected-sequence publish to JetStream
//! and reply: the least that anything on this transport can do.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use async_nats::Client;
use bytes::Bytes;
use futures::StreamExt;

use super::meter::Meter;
use super::nats_server::{Server, Servers, Syncs};
use super::report::{Asked, Better, Of, Row, Sample, median};
use super::{Context, Subject, house, load, per_second, responder};
use crate::log::jetstream::{self, JetStreamLog};
use crate::log::{Durability, Log};
use crate::nats::{self, Gateway};

/// What a row is held against.
const AGAINST: &str = "a bare responder: one expected-sequence JetStream publish, then the reply";
/// Whose processor time is counted: both sides run in this process.
const CPU_OF: &str = "desk or responder, the load, and the NATS server where bench started it";

/// Commands a second with so many in flight.
pub(super) async fn throughput(context: &Context<'_>, part: Subject) -> anyhow::Result<Vec<Row>> {
    let (syncs, named, asked) = match part {
        Subject::Synced => (Syncs::Always, ", sync_interval: always", [2.0, 3.0]),
        _ => (Syncs::Seldom, "", [0.8, 0.8]),
    };
    // Where each message is synced there are fewer in the same time.
    let commands = context.plan.sizes.commands / if syncs == Syncs::Always { 2 } else { 1 };
    let mut rows = Vec::new();
    for (in_flight, asked) in [64, 256].into_iter().zip(asked) {
        let what = format!("commands through NATS{named}, {in_flight} in flight");
        let server = context.server(syncs).await?;
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for run in 0..context.plan.sizes.runs {
            context.run(&what, run);
            let rate = |run: &Run| per_second(run.each.len(), run.elapsed);
            bare.push(responder::publishing(&server, in_flight, commands).await?.sample(rate));
            ours.push(desk(context, &server, syncs, (in_flight, commands)).await?.sample(rate));
        }
        let of = Of {
            part,
            what: &what,
            unit: "per second",
            better: Better::More,
            cpu_of: CPU_OF,
            asked: Some(Asked::RatioAtLeast(asked)),
        };
        rows.push(of.beside(AGAINST, ours, bare));
    }
    Ok(rows)
}

/// The median time of a command with one in flight.
pub(super) async fn latency(context: &Context<'_>) -> anyhow::Result<Vec<Row>> {
    let what = "commands through NATS, 1 in flight, median time";
    let commands = context.plan.sizes.commands.div_ceil(8).max(100);
    let server = context.server(Syncs::Seldom).await?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for run in 0..context.plan.sizes.runs {
        context.run(what, run);
        bare.push(responder::publishing(&server, 1, commands).await?.sample(median_micros));
        ours.push(desk(context, &server, Syncs::Seldom, (1, commands)).await?.sample(median_micros));
    }
    let of = Of {
        part: Subject::Latency,
        what,
        unit: "microseconds",
        better: Better::Less,
        cpu_of: CPU_OF,
        asked: Some(Asked::RatioAtMost(1.3)),
    };
    Ok(vec![of.beside(AGAINST, ours, bare)])
}

/// What a run came to: how long it took, how long each took, and what it took of the machine meanwhile.
pub(super) struct Run {
    pub elapsed: Duration,
    pub each: Vec<Duration>,
    spent: Sample,
}

impl Run {
    pub fn sample(&self, figure: impl Fn(&Run) -> f64) -> Sample {
        Sample { value: figure(self), ..self.spent }
    }
}

/// The median of a run's times.
pub(super) fn median_micros(run: &Run) -> f64 {
    let micros: Vec<f64> = run.each.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    median(&micros)
}

/// One worker's requests, each sent when the one before was answered.
pub(super) struct Work {
    /// The first one's subject.
    pub first: String,
    /// The others'.
    pub then: String,
    pub bodies: Vec<Bytes>,
}

/// Scripts as work for a desk whose subjects have this prefix.
pub(super) fn work(prefix: &str, scripts: Vec<load::Script>) -> Vec<Work> {
    let subject = |kind: &str| format!("{prefix}.command.ana.{kind}");
    let work = |bodies| Work { first: subject("draft"), then: subject("edit"), bodies };
    scripts.into_iter().map(work).collect()
}

/// Sends each worker's bodies one after the other, all workers at once; `pids` are the processes whose time counts beside
/// this one's.
pub(super) async fn send_all(client: &Client, work: Vec<Work>, pids: &[u32]) -> anyhow::Result<Run> {
    let meter = Meter::of_us_and(pids);
    let start = Instant::now();
    let workers: Vec<_> = work
        .into_iter()
        .map(|work| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut each = Vec::with_capacity(work.bodies.len());
                for (at, body) in work.bodies.into_iter().enumerate() {
                    let asked = Instant::now();
                    ask(&client, if at == 0 { &work.first } else { &work.then }, body).await?;
                    each.push(asked.elapsed());
                }
                anyhow::Ok(each)
            })
        })
        .collect();
    let mut each = Vec::new();
    for worker in workers {
        each.extend(worker.await??);
    }
    let elapsed = start.elapsed();
    let spent = meter.sample(0.0, each.len());
    Ok(Run { elapsed, each, spent })
}

/// One request; a refusal is an error.
pub(super) async fn ask(client: &Client, subject: &str, body: Bytes) -> anyhow::Result<()> {
    let answer = client.request(subject.to_owned(), body).await?;
    if answer.headers.is_some_and(|headers| headers.get("Nats-Service-Error").is_some()) {
        bail!("refused: {}", String::from_utf8_lossy(&answer.payload));
    }
    Ok(())
}

/// Commands to a desk in this process, its folded state in a folder of its own.
async fn desk(
    context: &Context<'_>,
    server: &Server,
    syncs: Syncs,
    (in_flight, commands): (usize, usize),
) -> anyhow::Result<Run> {
    let prefix = house::new_prefix();
    let data = context.folder.join(&prefix);
    // As an operator of such a server has it: the log may then group what waits for a sync.
    let durability = match syncs {
        Syncs::Always => Durability::Always,
        Syncs::Seldom => jetstream::Options::default().durability,
    };
    let options = jetstream::Options { prefix, durability, ..jetstream::Options::default() };
    let prefix = options.prefix.clone();
    let run = desk_in(&data, server, options, load::scripts(in_flight, commands)).await;
    let client = async_nats::connect(&server.url).await?;
    delete_streams(client, &prefix).await?;
    std::fs::remove_dir_all(data)?;
    run
}

async fn desk_in(
    data: &Path,
    server: &Server,
    options: jetstream::Options,
    scripts: Vec<load::Script>,
) -> anyhow::Result<Run> {
    let prefix = &options.prefix.clone();
    let writing = nats::connect(&server.url, None, "writing").await?;
    let log: Arc<dyn Log> = Arc::new(JetStreamLog::open(writing, options).await?);
    let service = house::open(log, data, prefix).await?;
    let answering = nats::connect(&server.url, None, "answering").await?;
    let options = nats::Options { prefix: prefix.to_owned(), ..nats::Options::default() };
    let gateway = Gateway::open(answering, Arc::clone(&service.desk), options).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let answers = tokio::spawn(gateway.serve(async move {
        let _ = stopped.await;
    }));
    let client = async_nats::connect(&server.url).await?;
    let run = send_all(&client, work(prefix, scripts), &server.pids()).await;
    let _ = stop.send(());
    let _ = answers.await;
    service.stop().await;
    run
}

/// Deletes what this process left on servers that were given, whatever became of it.
pub(super) async fn sweep(servers: &Servers) {
    for url in [&servers.given, &servers.given_synced].into_iter().flatten() {
        let swept = async { delete_streams(async_nats::connect(url).await?, house::run_prefix()).await };
        // Nobody waits long for a server that is gone.
        let _ = tokio::time::timeout(Duration::from_secs(10), swept).await;
    }
}

/// Deletes what a desk with this prefix left on a server, which may be a given one.
pub(super) async fn delete_streams(client: Client, prefix: &str) -> anyhow::Result<()> {
    let context = async_nats::jetstream::new(client);
    let mut names = context.stream_names();
    while let Some(Ok(name)) = names.next().await {
        if name.to_ascii_uppercase().contains(&prefix.to_ascii_uppercase()) {
            context.delete_stream(&name).await.map_err(|error| anyhow!("{name}: {error}"))?;
        }
    }
    Ok(())
}
