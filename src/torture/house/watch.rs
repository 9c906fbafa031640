//! Those who look on from outside: a subscriber of the wire, readers of `/stream`, readers of feeds and pages, and a keeper
//! of checkpoints. Whatever they get is written down, and every marked word in it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use chrono::Utc;
use futures::StreamExt;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::audit::Checkpoint;
use crate::log::Content;
use crate::log::jetstream::WireAlone;
use crate::torture::dice::Dice;
use crate::torture::journal::{Kept, Received, Streamed, digest};
use crate::torture::load::Shared;

/// How many readers follow `/stream`.
const STREAM_READERS: usize = 2;
/// How long one of them hears nothing before it goes elsewhere.
const SILENCE: Duration = Duration::from_secs(3);
/// The pause between readings of a feed, and of a checkpoint.
const PAUSE: Duration = Duration::from_millis(400);
/// The pause before someone who was cut off comes again.
const AGAIN_AFTER: Duration = Duration::from_millis(150);

/// Has them look on until the set is dropped.
pub(super) fn start(shared: &Arc<Shared>, nats: Option<Client>, watchers: &mut JoinSet<()>, dice: &mut Dice) {
    shared.journal().streamed = vec![Vec::new(); STREAM_READERS];
    for reader in 0..STREAM_READERS {
        watchers.spawn(follow(Arc::clone(shared), reader, dice.another(100 + reader as u64)));
    }
    watchers.spawn(read(Arc::clone(shared), dice.another(200)));
    watchers.spawn(keep(Arc::clone(shared), dice.another(201)));
    if let Some(client) = nats {
        watchers.spawn(subscribe(Arc::clone(shared), client));
    }
}

/// Takes the wire from NATS, from where it was cut off.
async fn subscribe(shared: Arc<Shared>, client: Client) {
    let mut after = 0;
    loop {
        if let Ok(wire) = WireAlone::open(client.clone(), "copydesk").await
            && let Ok(mut tail) = wire.wire().tail(after).await
        {
            while let Some(Ok(group)) = tail.next().await {
                let mut journal = shared.journal();
                for entry in group {
                    after = entry.seq;
                    let Content::Message { headers, body } = entry.content else { continue };
                    let event = headers.into_iter().find(|(name, _)| name == "Copydesk-Event");
                    journal.saw_outside("the wire", &String::from_utf8_lossy(&body), Utc::now());
                    journal.received.push(Received {
                        position: entry.seq,
                        event: event.map(|(_, value)| value).unwrap_or_default(),
                        body: Sha256::digest(&body).into(),
                    });
                }
            }
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Follows `/stream` on whichever instance, from where it was cut off.
async fn follow(shared: Arc<Shared>, reader: usize, mut dice: Dice) {
    let mut last = 0;
    loop {
        let instance = dice.roll(shared.doors.instances() as u64) as usize;
        if let Some(url) = shared.doors.url(instance) {
            // Whatever cuts it off, it comes again.
            let _ = follow_one(&shared, reader, &url, &mut last).await;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

async fn follow_one(shared: &Shared, reader: usize, url: &str, last: &mut u64) -> std::io::Result<()> {
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await?;
    // HTTP/1.0, so that the body isn't in chunks.
    let request = format!("GET /stream HTTP/1.0\r\nHost: {host}\r\nLast-Event-ID: {last}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::new(stream).take(u64::MAX).lines();
    let mut seq = 0;
    while let Ok(Ok(Some(line))) = tokio::time::timeout(SILENCE, lines.next_line()).await {
        if let Some(id) = line.strip_prefix("id: ").or_else(|| line.strip_prefix("id:")) {
            seq = id.trim().parse().unwrap_or_default();
        }
        let Some(data) = line.strip_prefix("data:") else { continue };
        let Ok(ninjs) = serde_json::from_str::<Value>(data) else { continue };
        let mut journal = shared.journal();
        journal.saw_outside("/stream", data, Utc::now());
        if let Some(streamed) = journal.streamed.get_mut(reader) {
            streamed.push(Streamed { seq, body: digest(&ninjs) });
        }
        *last = seq;
    }
    Ok(())
}

/// Reads what anybody may: feeds, pages, the metrics, and the page of an article that isn't out.
async fn read(shared: Arc<Shared>, mut dice: Dice) {
    const ROUTES: &[&str] =
        &["/feed.json", "/feed.atom", "/feed.rss", "/feed.ninjs", "/", "/metrics", "/healthz", "/readyz"];
    loop {
        let instance = dice.roll(shared.doors.instances() as u64) as usize;
        let route = dice.pick(ROUTES).copied().unwrap_or("/").to_owned();
        let page = {
            let journal = shared.journal();
            dice.pick(&journal.seen).map(|seen| format!("/articles/{}", seen.article))
        };
        for route in [Some(route), page].into_iter().flatten() {
            if let Some((_, text)) = shared.doors.get(instance, None, &route).await {
                shared.journal().saw_outside(&route, &text, Utc::now());
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Keeps checkpoints.
async fn keep(shared: Arc<Shared>, mut dice: Dice) {
    loop {
        let instance = dice.roll(shared.doors.instances() as u64) as usize;
        if let Some((200, note)) = shared.doors.get(instance, None, "/audit/checkpoint").await
            && let Ok(checkpoint) = Checkpoint::parse(note.as_bytes())
        {
            let kept = Kept { instance, size: checkpoint.size, root: checkpoint.root };
            let mut journal = shared.journal();
            if !journal.kept.contains(&kept) {
                journal.kept.push(kept);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
