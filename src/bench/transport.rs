//! Commands through NATS, against a bare responder that does nothing but one expected-sequence publish to JetStream
//! and reply: the least that anything on this transport can do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use futures::StreamExt;
use uuid::Uuid;

use super::{Measured, Plan, Subject, load, median, newsroom, per_second};
use crate::log::Log;
use crate::log::jetstream::{self, JetStreamLog};
use crate::nats::{self, Gateway};
use crate::service::{Part, Service};

const BARE_BYTES: usize = 2048;

pub(super) async fn measure(plan: &Plan, folder: &Path, url: &str) -> anyhow::Result<Vec<Measured>> {
    let mut all = Vec::new();
    if plan.wants(Subject::Throughput) {
        for in_flight in [64, 256] {
            all.push(throughput(plan, folder, url, in_flight).await?);
        }
    }
    if plan.wants(Subject::Latency) {
        all.push(latency(plan, folder, url).await?);
    }
    Ok(all)
}

async fn throughput(plan: &Plan, folder: &Path, url: &str, in_flight: usize) -> anyhow::Result<Measured> {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for run in 0..plan.runs {
        bare.push(per_second_of(responder(url, in_flight, plan.commands).await?));
        ours.push(per_second_of(desk(folder, url, in_flight, plan.commands, run).await?));
    }
    Ok(Measured::new(
        &format!("commands through NATS, {in_flight} in flight"),
        "a bare responder: one expected-sequence JetStream publish, then the reply",
        "per second",
        "ratio at least 0.5",
        ours,
        bare,
    ))
}

async fn latency(plan: &Plan, folder: &Path, url: &str) -> anyhow::Result<Measured> {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let commands = plan.commands.div_ceil(8).max(100);
    for run in 0..plan.runs {
        bare.push(median_micros(&responder(url, 1, commands).await?));
        ours.push(median_micros(&desk(folder, url, 1, commands, 1000 + run).await?));
    }
    Ok(Measured::new(
        "commands through NATS, one in flight, median time",
        "the same bare responder",
        "microseconds",
        "ratio at most 2",
        ours,
        bare,
    ))
}

/// What a run came to: how many were answered, how long it took, how long each took.
struct Run {
    elapsed: Duration,
    each: Vec<Duration>,
}

fn per_second_of(run: Run) -> f64 {
    per_second(run.each.len(), run.elapsed)
}

fn median_micros(run: &Run) -> f64 {
    let micros: Vec<f64> = run.each.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    median(&micros)
}

/// Sends each worker's bodies one after the other, all workers at once.
async fn send_all(client: &Client, work: Vec<(String, String, Vec<Bytes>)>) -> anyhow::Result<Run> {
    let start = Instant::now();
    let workers: Vec<_> = work
        .into_iter()
        .map(|(first, then, bodies)| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut each = Vec::with_capacity(bodies.len());
                for (at, body) in bodies.into_iter().enumerate() {
                    let asked = Instant::now();
                    let subject = if at == 0 { &first } else { &then };
                    let answer = client.request(subject.clone(), body).await?;
                    if answer.headers.is_some_and(|headers| headers.get("Nats-Service-Error").is_some()) {
                        bail!("refused: {}", String::from_utf8_lossy(&answer.payload));
                    }
                    each.push(asked.elapsed());
                }
                Ok(each)
            })
        })
        .collect();
    let mut each = Vec::new();
    for worker in workers {
        each.extend(worker.await??);
    }
    Ok(Run { elapsed: start.elapsed(), each })
}

async fn responder(url: &str, in_flight: usize, messages: usize) -> anyhow::Result<Run> {
    let server = async_nats::connect(url).await.context("the bare responder's connection")?;
    let name = format!("bare-{}", Uuid::new_v4().simple());
    let jetstream = async_nats::jetstream::new(server.clone());
    let config = async_nats::jetstream::stream::Config {
        name: name.clone(),
        subjects: vec![format!("{name}.*")],
        ..Default::default()
    };
    jetstream.create_stream(config).await.map_err(|error| anyhow!("the bare stream: {error}"))?;
    let mut requests = server.queue_subscribe(format!("{name}-ask.*"), "bare".to_owned()).await?;
    server.flush().await?;
    let last: Arc<Vec<AtomicU64>> = Arc::new((0..in_flight).map(|_| AtomicU64::new(0)).collect());
    let (stream, answering) = (name.clone(), server.clone());
    let answers = tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let (server, last, stream) = (answering.clone(), Arc::clone(&last), stream.clone());
            tokio::spawn(async move {
                if let Err(error) = respond(&server, &stream, &last, request).await {
                    tracing::warn!(%error, "the bare responder");
                }
            });
        }
    });
    let client = async_nats::connect(url).await?;
    let each = messages.div_ceil(in_flight);
    // Each message has bytes of its own, as each command has.
    let body = || Bytes::from(vec![b'x'; BARE_BYTES]);
    let work = (0..in_flight).map(|worker| {
        let subject = format!("{name}-ask.{worker}");
        (subject.clone(), subject, (0..each).map(|_| body()).collect())
    });
    let work = work.collect();
    let run = send_all(&client, work).await;
    answers.abort();
    jetstream.delete_stream(&name).await.map_err(|error| anyhow!("the bare stream: {error}"))?;
    run
}

/// One request of the bare responder: publish, await the acknowledgement, reply.
async fn respond(
    server: &Client,
    stream: &str,
    last: &[AtomicU64],
    request: async_nats::Message,
) -> anyhow::Result<()> {
    let worker = request.subject.rsplit('.').next().context("a worker")?.to_owned();
    let cell = last.get(worker.parse::<usize>()?).context("a worker that is known")?;
    let mut headers = HeaderMap::new();
    let expected = cell.load(Ordering::SeqCst).to_string();
    headers.insert("Nats-Expected-Last-Subject-Sequence", expected.as_str());
    let ack = server.request_with_headers(format!("{stream}.{worker}"), headers, request.payload).await?;
    let ack: serde_json::Value = serde_json::from_slice(&ack.payload)?;
    let seq = ack.get("seq").and_then(serde_json::Value::as_u64).context("a sequence")?;
    cell.store(seq, Ordering::SeqCst);
    server.publish(request.reply.context("a reply subject")?, ack.to_string().into()).await?;
    Ok(())
}

async fn desk(
    folder: &Path,
    url: &str,
    in_flight: usize,
    commands: usize,
    run: usize,
) -> anyhow::Result<Run> {
    let prefix = format!("bench{}", Uuid::new_v4().simple());
    let writing = nats::connect(url, None, "writing").await?;
    let options = jetstream::Options { prefix: prefix.clone(), ..jetstream::Options::default() };
    let log: Arc<dyn Log> = Arc::new(JetStreamLog::open(writing.clone(), options).await?);
    let data = folder.join(format!("nats-{in_flight}-{run}"));
    let service = Service::open(log, &data, 128 << 20, &prefix, &Default::default(), |_, _| {}).await?;
    service.propose(&newsroom(), &prefix, false).await?;
    service.start(&[Part::Desk, Part::Wire])?;
    service.store.folded(1).await;
    let answering = nats::connect(url, None, "answering").await?;
    let options = nats::Options { prefix: prefix.clone(), ..nats::Options::default() };
    let gateway = Gateway::open(answering, Arc::clone(&service.desk), options).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let answers = tokio::spawn(gateway.serve(async move {
        let _ = stopped.await;
    }));
    let client = async_nats::connect(url).await?;
    let subject = |kind: &str| format!("{prefix}.command.ana.{kind}");
    let work = load::scripts(in_flight, commands).into_iter().map(|script| {
        (subject("draft"), subject("edit"), script.commands.into_iter().map(Bytes::from).collect())
    });
    let work = work.collect();
    let result = send_all(&client, work).await;
    let _ = stop.send(());
    let _ = answers.await;
    service.stop().await;
    let context = async_nats::jetstream::new(client);
    let mut names = context.stream_names();
    while let Some(Ok(name)) = names.next().await {
        if name.starts_with(&prefix.to_uppercase()) {
            context.delete_stream(&name).await.map_err(|error| anyhow!("{name}: {error}"))?;
        }
    }
    result
}
