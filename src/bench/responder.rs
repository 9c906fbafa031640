//! What stands for NATS alone: a responder that does nothing but one expected-sequence publish to JetStream and reply,
//! and one that only replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, anyhow};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use futures::StreamExt;
use uuid::Uuid;

use super::bare::RECORD_BYTES;
use super::house;
use super::nats_server::Server;
use super::transport::{Run, Work, send_all};

/// Requests to a responder that publishes each to a stream of its own and replies when that is acknowledged.
pub(super) async fn publishing(server: &Server, in_flight: usize, messages: usize) -> anyhow::Result<Run> {
    let (url, pids) = (&server.url, &server.pids());
    let server = async_nats::connect(url).await.context("the bare responder's connection")?;
    let name = format!("{}-bare", house::new_prefix());
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
    let body = || Bytes::from(vec![b'x'; RECORD_BYTES]);
    let work = (0..in_flight).map(|worker| {
        let subject = format!("{name}-ask.{worker}");
        Work { first: subject.clone(), then: subject, bodies: (0..each).map(|_| body()).collect() }
    });
    let run = send_all(&client, work.collect(), pids).await;
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

/// Requests to a responder that replies with what it got: one round trip of the transport.
pub(super) async fn echoing(server: &Server, bodies: Vec<Bytes>) -> anyhow::Result<Run> {
    let (url, pids) = (&server.url, &server.pids());
    let server = async_nats::connect(url).await.context("the echo's connection")?;
    let subject = format!("echo-{}", Uuid::new_v4().simple());
    let mut requests = server.subscribe(subject.clone()).await?;
    server.flush().await?;
    let answers = tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let Some(reply) = request.reply else { continue };
            if let Err(error) = server.publish(reply, request.payload).await {
                tracing::warn!(%error, "the echo");
            }
        }
    });
    let client = async_nats::connect(url).await?;
    let run = send_all(&client, vec![Work { first: subject.clone(), then: subject, bodies }], pids).await;
    answers.abort();
    run
}
