//! Those who look on: a subscriber of the wire, readers of `/stream` and of what staff are told, some of them slow, readers
//! of feeds and pages, and a keeper of checkpoints. Whatever they get is written down, and every marked word that anybody
//! gets.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Client;
use chrono::Utc;
use futures::StreamExt;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::audit::Checkpoint;
use crate::log::Content;
use crate::log::jetstream::WireAlone;
use crate::torture::dice::Dice;
use crate::torture::house::token;
use crate::torture::journal::{Kept, Moved, Received, Streamed, digest};
use crate::torture::load::Shared;

/// How many readers follow `/stream`, and how many of the staff theirs. The last of each reads slowly, and stops at times.
const STREAM_READERS: usize = 3;
/// How much of what is sent to a slow reader its system takes in, in bytes; as little as it allows.
const SLOW_READERS_BUFFER: u32 = 4096;
/// How long one of them hears nothing before it goes elsewhere.
const SILENCE: Duration = Duration::from_secs(3);
/// How many readers come at once that take nothing.
const IDLE: usize = 120;
/// The pause between readings of a feed, and of a checkpoint.
const PAUSE: Duration = Duration::from_millis(400);
/// The pause before someone who was cut off comes again.
const AGAIN_AFTER: Duration = Duration::from_millis(150);

/// Has them look on until the set is dropped.
pub(super) fn start(shared: &Arc<Shared>, nats: Option<Client>, watchers: &mut JoinSet<()>, dice: &mut Dice) {
    let mut journal = shared.journal();
    journal.subscribed = nats.is_some();
    (journal.streamed, journal.moved) = (vec![Vec::new(); STREAM_READERS], vec![Vec::new(); STREAM_READERS]);
    drop(journal);
    for number in 0..STREAM_READERS {
        for line in [Line::Public, Line::Staff] {
            let reader = Reader { line, number, is_slow: number + 1 == STREAM_READERS, last: 0 };
            let dice = dice.another((100 + 2 * number) as u64 + u64::from(line == Line::Staff));
            watchers.spawn(follow(Arc::clone(shared), reader, dice));
        }
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
        // Whatever cuts it off, it comes again; if it never gets on, why is told.
        if let Err(error) = take(&shared, &client, &mut after).await {
            shared.journal().unsubscribed = Some(format!("{error:#}"));
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Takes the wire from after a position, which goes on with it.
async fn take(shared: &Shared, client: &Client, after: &mut u64) -> anyhow::Result<()> {
    let wire = WireAlone::open(client.clone(), "copydesk").await?;
    let mut tail = wire.wire().tail(*after).await?;
    while let Some(group) = tail.next().await {
        let group = group?;
        let mut journal = shared.journal();
        for entry in group {
            *after = entry.seq;
            let (headers, body) = match entry.content {
                Content::Message { headers, body } => (headers, body),
                Content::Erased { sha256 } => {
                    let (position, body) = (entry.seq, sha256.unwrap_or_default());
                    journal.received.push(Received { position, event: String::new(), body });
                    continue;
                }
            };
            let event = headers.into_iter().find(|(name, _)| name == "Copydesk-Event");
            journal.saw_outside("the wire", &String::from_utf8_lossy(&body), Utc::now());
            journal.received.push(Received {
                position: entry.seq,
                event: event.map(|(_, value)| value).unwrap_or_default(),
                body: Sha256::digest(&body).into(),
            });
        }
    }
    Ok(())
}

/// What a reader follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// `/stream`
    Public,
    /// `/v1/stream`, as the chief: nothing is kept from him.
    Staff,
}

/// Who follows a line, over all connections.
struct Reader {
    line: Line,
    number: usize,
    is_slow: bool,
    /// The last event that came.
    last: u64,
}

/// Follows a line on whichever instance, from where it was cut off.
async fn follow(shared: Arc<Shared>, mut reader: Reader, mut dice: Dice) {
    loop {
        let instance = dice.roll(shared.doors.instances() as u64) as usize;
        if let Some(url) = shared.doors.url(instance) {
            // Whatever cuts it off, it comes again.
            let _ = reader.follow(&shared, &url, &mut dice).await;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Opens a line after an event, with a small buffer for one who reads slowly.
async fn open(url: &str, line: Line, after: u64, is_slow: bool) -> std::io::Result<TcpStream> {
    let host = url.trim_start_matches("http://");
    let socket = TcpSocket::new_v4()?;
    if is_slow {
        socket.set_recv_buffer_size(SLOW_READERS_BUFFER)?;
    }
    let mut stream = socket.connect(host.parse().map_err(std::io::Error::other)?).await?;
    let (route, more) = match line {
        Line::Public => ("/stream", String::new()),
        Line::Staff => ("/v1/stream", format!("Authorization: Bearer {}\r\n", token("carl"))),
    };
    // HTTP/1.0, so that the body isn't in chunks.
    let request = format!("GET {route} HTTP/1.0\r\nHost: {host}\r\n{more}Last-Event-ID: {after}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

impl Reader {
    async fn follow(&mut self, shared: &Shared, url: &str, dice: &mut Dice) -> std::io::Result<()> {
        let stream = open(url, self.line, self.last, self.is_slow).await?;
        let mut lines = BufReader::new(stream).take(u64::MAX).lines();
        let mut seq = 0;
        while let Ok(Ok(Some(line))) = tokio::time::timeout(SILENCE, lines.next_line()).await {
            if let Some(id) = line.strip_prefix("id: ").or_else(|| line.strip_prefix("id:")) {
                seq = id.trim().parse().unwrap_or_default();
            }
            let Some(data) = line.strip_prefix("data:") else { continue };
            let Ok(json) = serde_json::from_str::<Value>(data) else { continue };
            self.note(shared, seq, data, json);
            if self.is_slow && !shared.is_over.load(Ordering::Relaxed) && dice.chance(20) {
                let stop = if dice.chance(4) { 9000 } else { 60 };
                tokio::time::sleep(Duration::from_millis(dice.roll(stop))).await;
            }
        }
        Ok(())
    }

    fn note(&mut self, shared: &Shared, seq: u64, data: &str, json: Value) {
        let (mut journal, time) = (shared.journal(), Utc::now());
        match self.line {
            Line::Public => {
                match self.is_slow {
                    true => journal.saw_late("/stream, slowly", data, time),
                    false => journal.saw_outside("/stream", data, time),
                }
                let streamed = journal.streamed.get_mut(self.number);
                streamed.into_iter().for_each(|had| had.push(Streamed { seq, body: digest(&json), time }));
            }
            Line::Staff => {
                let moved = journal.moved.get_mut(self.number);
                moved.into_iter().for_each(|had| had.push(Moved { seq, told: json.clone() }));
            }
        }
        self.last = seq;
    }
}

/// Consumers that take nothing for so long: readers of both lines from their beginnings, and a subscriber of the wire.
pub(super) async fn take_nothing(url: Option<String>, nats: Option<u16>, time: Duration) {
    let mut idle = Vec::new();
    if let Some(url) = url {
        for number in 0..IDLE {
            let line = if number % 4 == 0 { Line::Staff } else { Line::Public };
            // An instance may be gone, and then there is nobody to idle at.
            idle.extend(open(&url, line, 0, true).await.ok());
        }
    }
    if let Some(port) = nats
        && let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await
        && stream.write_all(b"CONNECT {\"verbose\":false}\r\nSUB copydesk.> 1\r\n").await.is_ok()
    {
        idle.push(stream);
    }
    tokio::time::sleep(time).await;
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

/// Keeps checkpoints, each of which must open with the house's key.
async fn keep(shared: Arc<Shared>, mut dice: Dice) {
    loop {
        let instance = dice.roll(shared.doors.instances() as u64) as usize;
        keep_one(&shared, instance).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Keeps the checkpoint that an instance gives out now. Whether it gave one out: it may have none yet, or be down.
pub(super) async fn keep_one(shared: &Shared, instance: usize) -> bool {
    let get = async |route| shared.doors.get(instance, None, route).await;
    let (Some((200, key)), Some((200, note))) = (get("/audit/key").await, get("/audit/checkpoint").await)
    else {
        return false;
    };
    let opened = Checkpoint::open(note.as_bytes(), key.trim());
    let mut journal = shared.journal();
    match opened {
        Ok(checkpoint) => {
            let kept = Kept { instance, size: checkpoint.size, root: checkpoint.root };
            if !journal.kept.contains(&kept) {
                journal.kept.push(kept);
            }
        }
        Err(error) => journal.conduct.push(format!("instance {instance} gave out a checkpoint: {error}")),
    }
    true
}
