//! The load over HTTP, the same for both sides and as cheap as it can be: HTTP/1.1 written by hand on connections that
//! stay open, one request under way on each.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Connections that load comes by.
pub(super) const CONNECTIONS: usize = 64;

/// A connection that stays open.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

/// An answer; it lies in the connection's buffer.
pub(super) struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Status line and headers.
    pub head: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

/// How long an answer's parts are.
struct Shape {
    status: u16,
    head: usize,
    body: usize,
}

impl Connection {
    /// Opens one.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("a connection to what is measured")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its answer, which must say how long it is.
    pub async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        let shape = loop {
            if let Some(shape) = shape(&self.buffer)? {
                break shape;
            }
            self.more().await?;
        };
        let whole = shape.head + shape.body;
        self.buffer.reserve(whole.saturating_sub(self.buffer.len()));
        while self.buffer.len() < whole {
            self.more().await?;
        }
        let (head, body) = self.buffer.split_at(shape.head);
        Ok(Answer { status: shape.status, head: std::str::from_utf8(head)?, body })
    }

    /// Sends a request whose answer has no end, and reads until some words have come.
    pub async fn follow(&mut self, request: &[u8], until: &str) -> anyhow::Result<()> {
        self.stream.write_all(request).await?;
        self.hear(until).await
    }

    /// Reads until some words have come, and forgets them and all that came before.
    pub async fn hear(&mut self, words: &str) -> anyhow::Result<()> {
        loop {
            let at = self.buffer.windows(words.len()).position(|found| found == words.as_bytes());
            if let Some(at) = at {
                let _ = self.buffer.split_to(at + words.len());
                return Ok(());
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> anyhow::Result<()> {
        ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "a connection ended before its answer");
        Ok(())
    }
}

/// The shape of an answer, once its head is there.
fn shape(read: &[u8]) -> anyhow::Result<Option<Shape>> {
    let Some(end) = read.windows(4).position(|found| found == b"\r\n\r\n") else { return Ok(None) };
    let head = read.split_at(end).0;
    let status = head.get(9..12).and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    let status: u16 = status.context("an answer without a status")?;
    let length = head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        name.eq_ignore_ascii_case(b"content-length:")
            .then(|| std::str::from_utf8(value).ok()?.trim().parse().ok())?
    });
    let body = match length {
        Some(length) => length,
        None if status == 304 => 0,
        None => bail!("an answer {status} that doesn't say how long it is"),
    };
    Ok(Some(Shape { status, head: end + 4, body }))
}

/// `GET` of a path, with more headers.
pub(super) fn get(path: &str, headers: &str) -> Bytes {
    format!("GET {path} HTTP/1.1\r\nHost: desk\r\n{headers}\r\n").into()
}

/// A command.
pub(super) fn post(token: &str, body: &[u8]) -> Bytes {
    let head = format!(
        "POST /v1/commands HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat().into()
}

/// Sends each connection's requests one after the other, all connections at once; how long that took. Every answer must
/// have this status.
pub(super) async fn load<I>(address: SocketAddr, work: Vec<I>, status: u16) -> anyhow::Result<Duration>
where
    I: IntoIterator<Item = Bytes> + Send + 'static,
    I::IntoIter: Send,
{
    let mut connections = Vec::new();
    for requests in work {
        connections.push((Connection::open(address).await?, requests));
    }
    let start = Instant::now();
    let senders: Vec<_> = connections
        .into_iter()
        .map(|(mut connection, requests)| {
            tokio::spawn(async move {
                for request in requests {
                    let answer = connection.ask(&request).await?;
                    if answer.status != status {
                        bail!("refused: {} {}", answer.status, String::from_utf8_lossy(answer.body));
                    }
                }
                Ok(())
            })
        })
        .collect();
    for sender in senders {
        sender.await??;
    }
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_to_its_end_and_no_further() {
        let seen = |text: &str| shape(text.as_bytes()).map(|shape| shape.map(|s| (s.status, s.head, s.body)));
        assert_eq!(seen("HTTP/1.1 200 OK\r\ncontent-le").unwrap(), None);
        assert_eq!(seen("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nabc").unwrap(), Some((200, 39, 12)));
        assert_eq!(seen("HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n").unwrap(), Some((304, 38, 0)));
        assert!(seen("HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
