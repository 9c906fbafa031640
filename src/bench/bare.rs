//! The least that anyone could do on the same transport: axum servers that `bench` starts as processes of their own.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// What a bare record takes: about an event of an article of 2 KB.
pub(super) const RECORD_BYTES: usize = 2048;
/// The longest group of records that is written at once, as the embedded log has it.
const GROUP: usize = 1024;

/// One record, and who waits until it is on the disk.
struct Record {
    body: Bytes,
    written: oneshot::Sender<io::Result<u64>>,
}

/// Takes POSTs, appends a record for each to a file, grouped, one `fdatasync` a group, and answers after it. Runs until
/// it is killed.
///
/// # Errors
/// Where it can't listen or the file can't be made.
pub async fn appends(path: PathBuf) -> anyhow::Result<()> {
    let file = File::create(path).context("the bare file")?;
    let (records, waiting) = channel();
    std::thread::spawn(move || write(file, &waiting));
    let app = Router::new()
        .route("/v1/commands", post(append))
        .layer(DefaultBodyLimit::max(1 << 20))
        .with_state(records);
    serve(app).await
}

async fn append(State(records): State<Sender<Record>>, body: Bytes) -> Response {
    let (written, done) = oneshot::channel();
    let _ = records.send(Record { body, written });
    match done.await {
        Ok(Ok(seq)) => {
            let json = format!("{{\"seq\":{seq},\"result\":\"accepted\"}}");
            ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response()
        }
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whatever waits while a group is synced goes as the next one.
fn write(mut file: File, waiting: &Receiver<Record>) {
    let (mut group, mut bytes, mut seq) = (Vec::new(), Vec::new(), 0);
    while let Ok(first) = waiting.recv() {
        group.push(first);
        group.extend(waiting.try_iter().take(GROUP - 1));
        bytes.clear();
        for record in &group {
            let end = bytes.len() + RECORD_BYTES;
            bytes.extend(record.body.iter().take(RECORD_BYTES));
            bytes.resize(end, b'\n');
        }
        let done = file.write_all(&bytes).and_then(|()| file.sync_data());
        for record in group.drain(..) {
            seq += 1;
            let _ = record.written.send(done.as_ref().map(|()| seq).map_err(|error| error.kind().into()));
        }
    }
}

/// An answer that the service gave, to be given again from memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Page {
    /// The path.
    pub path: String,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// The bytes, in base64.
    pub body: String,
}

impl Page {
    /// Of an answer's head and body.
    pub fn of(path: &str, head: &str, body: &[u8]) -> Self {
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        // What the server writes by itself.
        let own = |name: &str| ["date", "connection"].contains(&name) || name == CONTENT_LENGTH.as_str();
        let headers = headers.filter(|(name, _)| !own(name));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { path: path.to_owned(), headers, body: STANDARD.encode(body) }
    }
}

/// A page in memory.
struct Kept {
    headers: HeaderMap,
    /// Those that a 304 has.
    unchanged: HeaderMap,
    body: Bytes,
}

/// Answers the pages of a file from memory, with 304 where the reader has them. Runs until it is killed.
///
/// # Errors
/// Where it can't listen or the file can't be read.
pub async fn pages(path: &Path) -> anyhow::Result<()> {
    let pages: Vec<Page> = serde_json::from_slice(&std::fs::read(path).context("the bare pages")?)?;
    let mut app = Router::new();
    for page in pages {
        let mut headers = HeaderMap::new();
        for (name, value) in &page.headers {
            headers.insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
        }
        let mut unchanged = headers.clone();
        for name in ["content-type", "content-encoding", "content-security-policy"] {
            unchanged.remove(name);
        }
        let kept = Arc::new(Kept { headers, unchanged, body: STANDARD.decode(&page.body)?.into() });
        app = app.route(&page.path, get(answer).with_state(kept));
    }
    serve(app).await
}

async fn answer(State(kept): State<Arc<Kept>>, asked: HeaderMap) -> Response {
    let has_it = asked.get(IF_NONE_MATCH).is_some_and(|tag| Some(tag) == kept.headers.get(ETAG));
    let mut response = Response::new(if has_it { Body::empty() } else { kept.body.clone().into() });
    response.headers_mut().clone_from(if has_it { &kept.unchanged } else { &kept.headers });
    if has_it {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response
}

async fn serve(app: Router) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for something bare")?;
    let mut out = io::stdout();
    writeln!(out, "copydesk ready http://{}", listener.local_addr()?)?;
    out.flush()?;
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, app).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_the_headers_that_the_service_wrote() {
        let head = "HTTP/1.1 200 OK\r\netag: \"a\"\r\ncontent-length: 2\r\ndate: now\r\nvary: Accept\r\n\r\n";
        let page = Page::of("/feed.json", head, b"{}");
        assert_eq!(page.headers, [("etag", "\"a\""), ("vary", "Accept")].map(|(a, b)| (a.into(), b.into())));
        assert_eq!(STANDARD.decode(page.body).unwrap(), b"{}");
    }

    #[test]
    fn records_are_on_the_disk_before_their_answers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        let (records, waiting) = channel();
        let answers: Vec<_> = (0..3_usize)
            .map(|n| {
                let (written, done) = oneshot::channel();
                records.send(Record { body: Bytes::from(vec![b'a'; n * 3000]), written }).unwrap();
                done
            })
            .collect();
        drop(records);
        write(File::create(&path).unwrap(), &waiting);
        let seqs: Vec<u64> = answers.into_iter().map(|mut done| done.try_recv().unwrap().unwrap()).collect();
        assert_eq!((seqs, std::fs::metadata(path).unwrap().len()), (vec![1, 2, 3], 3 * 2048));
    }
}
