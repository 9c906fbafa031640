//! A stream read by position alone, for who may make no consumer: a consumer can be told to deliver to any subject of
//! the stream's account, the log's own included, and NATS has no right that says which.
//!
//! The end is asked for a few times a second, and what lacks up to there is read, many positions at once.

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::time::Instant;

use super::JetStream;
use crate::log::{AppendError, Entry, Expect, LogError, Message, Seq, Stream};

/// How often the end is asked for.
const LOOK: Duration = Duration::from_millis(200);
/// How many positions are asked for at once.
const AT_ONCE: usize = 64;
/// How many positions make a group.
const GROUP: u64 = 256;
/// How long the stream is asked in vain before the tail gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream to be read by position.
#[derive(Debug, Clone)]
pub(super) struct Polled(pub JetStream);

/// How far a tail is.
struct Position {
    stream: JetStream,
    seen: Seq,
    /// Since when the stream has been asked in vain.
    silent: Option<Instant>,
}

impl Position {
    /// The next group, once there is one.
    async fn group(&mut self) -> Result<Vec<Entry>, LogError> {
        loop {
            match self.lacking().await {
                Ok(group) if !group.is_empty() => {
                    self.seen = group.last().map_or(self.seen, |entry| entry.seq);
                    self.silent = None;
                    return Ok(group);
                }
                Ok(_) => self.silent = None,
                Err(error @ LogError::Unavailable(_)) => {
                    if self.silent.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn lacking(&self) -> Result<Vec<Entry>, LogError> {
        let end = self.stream.raw.end().await?;
        if end < self.seen {
            return Err(LogError::LostTail(format!("it ends at {end}, and {} was read before", self.seen)));
        }
        let until = end.min(self.seen.saturating_add(GROUP));
        let positions = (self.seen + 1..=until).map(|seq| {
            let stream = &self.stream;
            async move {
                let lost = || LogError::LostTail(format!("nothing stands at {seq} any more"));
                stream.read(seq).await?.ok_or_else(lost)
            }
        });
        stream::iter(positions.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await
    }
}

#[async_trait]
impl Stream for Polled {
    async fn try_append(&self, message: &Message, expect: Expect) -> Result<Seq, AppendError> {
        self.0.try_append(message, expect).await
    }

    async fn end(&self) -> Result<Seq, LogError> {
        self.0.end().await
    }

    async fn get(&self, seq: Seq) -> Result<Option<Entry>, LogError> {
        self.0.get(seq).await
    }

    async fn next_on(&self, subject: &str, after: Seq) -> Result<Option<Entry>, LogError> {
        self.0.next_on(subject, after).await
    }

    async fn all_on(&self, subject: &str, after: Seq) -> Result<Vec<Entry>, LogError> {
        let (mut found, mut after) = (Vec::new(), after);
        while let Some(entry) = self.next_on(subject, after).await? {
            after = entry.seq;
            found.push(entry);
        }
        Ok(found)
    }

    async fn last_on(&self, subject: &str) -> Result<Option<Entry>, LogError> {
        self.0.last_on(subject).await
    }

    async fn tail(&self, after: Seq) -> Result<BoxStream<'static, Result<Vec<Entry>, LogError>>, LogError> {
        let position = Position { stream: self.0.clone(), seen: after, silent: None };
        let groups = stream::try_unfold(position, |mut position| async {
            let group = position.group().await?;
            Ok(Some((group, position)))
        });
        Ok(groups.boxed())
    }

    async fn erase(&self, seq: Seq) -> Result<(), LogError> {
        self.0.erase(seq).await
    }

    async fn erase_as(&self, seq: Seq, _: [u8; 32]) -> Result<(), LogError> {
        self.erase(seq).await
    }
}
