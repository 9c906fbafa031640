//! A stream as the rest of copydesk has it: appends go to the writer, reads to the index.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::{oneshot, watch};

use super::super::settle::check_form;
use super::super::{AppendError, Entry, Expect, LogError, Message, Seq, Stream};
use super::index::{Progress, Shared};
use super::record::{ID_MAX_BYTES, MESSAGE_MAX_BYTES};
use super::writer::{Append, Request};
use super::{APPENDS_WAITING, CLOSED};

/// One stream of the log.
///
/// Reads go to `spawn_blocking`: most find their bytes in the page cache and would be done in microseconds, but
/// one that does not would hold up every task of its thread for as long as the disk takes. The detour costs some
/// ten microseconds. Only so many go there at once: a crowd of readers would have as many threads, each with memory of
/// its own, and be done no sooner.
#[derive(Debug)]
pub(super) struct SegmentStream {
    pub(super) shared: Arc<Shared>,
    pub(super) requests: SyncSender<Request>,
}

impl SegmentStream {
    /// Hands a request to the writer; `Err` says why it did not get there.
    fn ask(&self, request: Request) -> Result<(), String> {
        self.requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => format!("more than {APPENDS_WAITING} appends wait for the disk"),
            TrySendError::Disconnected(_) => CLOSED.to_owned(),
        })
    }

    /// Reads what is to be seen. Where a write failed there may be more, which its sender was told of as unknown.
    async fn read<T: Send + 'static>(
        &self,
        take: impl FnOnce(&Shared) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        if let Err(error) = self.check_leads()
            && !matches!(self.shared.stopped(), Some(stopped) if !stopped.damaged)
        {
            return Err(error);
        }
        blocking(&self.shared, take).await
    }

    /// What can't be appended to any more has no end that could be told for certain.
    fn check_leads(&self) -> Result<(), LogError> {
        let progress = self.shared.progress.borrow();
        match &progress.stopped {
            _ if progress.closed => Err(LogError::Unavailable(CLOSED.to_owned())),
            Some(stopped) if stopped.damaged => Err(LogError::Damaged(stopped.why.to_string())),
            Some(stopped) => Err(LogError::Unavailable(stopped.why.to_string())),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Stream for SegmentStream {
    async fn try_append(&self, message: &Message, expect: Expect) -> Result<Seq, AppendError> {
        check_form(message)?;
        check_size(message)?;
        let (answer, answered) = oneshot::channel();
        let append = Append { message: message.clone(), expect, answer };
        self.ask(Request::Append(append)).map_err(AppendError::Unavailable)?;
        answered.await.unwrap_or_else(|_| Err(AppendError::Unknown("the writer is gone".to_owned())))
    }

    async fn end(&self) -> Result<Seq, LogError> {
        self.check_leads()?;
        Ok(self.shared.end())
    }

    async fn get(&self, seq: Seq) -> Result<Option<Entry>, LogError> {
        if seq > self.shared.end() {
            self.check_leads()?;
        }
        blocking(&self.shared, move |shared| shared.get(seq)).await
    }

    async fn next_on(&self, subject: &str, after: Seq) -> Result<Option<Entry>, LogError> {
        let subject = subject.to_owned();
        self.read(move |shared| shared.next_on(&subject, after)).await
    }

    async fn all_on(&self, subject: &str, after: Seq) -> Result<Vec<Entry>, LogError> {
        let subject = subject.to_owned();
        self.read(move |shared| {
            let mut entries = shared.back_on(&subject, after)?;
            entries.reverse();
            Ok(entries)
        })
        .await
    }

    async fn last_on(&self, subject: &str) -> Result<Option<Entry>, LogError> {
        let subject = subject.to_owned();
        self.read(move |shared| shared.last_on(&subject)).await
    }

    async fn tail(&self, after: Seq) -> Result<BoxStream<'static, Result<Vec<Entry>, LogError>>, LogError> {
        let progress = self.shared.progress.subscribe();
        let tail = Tail { shared: Arc::clone(&self.shared), progress, after };
        Ok(futures::stream::unfold(Some(tail), |tail| async {
            let mut tail = tail?;
            let group = tail.next().await;
            let rest = group.is_ok().then_some(tail);
            Some((group, rest))
        })
        .boxed())
    }

    async fn erase(&self, seq: Seq) -> Result<(), LogError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Erase { seq, sha256: None, answer }).map_err(LogError::Unavailable)?;
        answered.await.unwrap_or_else(|_| Err(LogError::Unavailable("the writer is gone".to_owned())))
    }

    async fn erase_as(&self, seq: Seq, sha256: [u8; 32]) -> Result<(), LogError> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Erase { seq, sha256: Some(sha256), answer };
        self.ask(request).map_err(LogError::Unavailable)?;
        answered.await.unwrap_or_else(|_| Err(LogError::Unavailable("the writer is gone".to_owned())))
    }
}

/// A reader on its way to the end, and then with it.
struct Tail {
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
    after: Seq,
}

impl Tail {
    async fn next(&mut self) -> Result<Vec<Entry>, LogError> {
        let after = self.after;
        let arrived = self.progress.wait_for(|progress| progress.end > after || progress.closed).await;
        if !arrived.is_ok_and(|progress| progress.end > after) {
            return Err(LogError::Unavailable(CLOSED.to_owned()));
        }
        let group = blocking(&self.shared, move |shared| shared.group_after(after)).await?;
        self.after = group.last().map_or(after, |entry| entry.seq);
        Ok(group)
    }
}

async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    take: impl FnOnce(&Shared) -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    let shared = Arc::clone(shared);
    // Never closed.
    let turn = Arc::clone(&shared.reads).acquire_owned().await.ok();
    // The turn is over once the thread is done: whoever had the next one before would have a thread more.
    let read = tokio::task::spawn_blocking(move || (take(&shared), turn)).await;
    read.map_or_else(
        |error| Err(LogError::Unavailable(format!("a read was cut short: {error}"))),
        |(read, _)| read,
    )
}

fn check_size(message: &Message) -> Result<(), AppendError> {
    let headers: usize = message.headers.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
    let size = headers + message.body.len();
    if size > MESSAGE_MAX_BYTES {
        return Err(AppendError::Refused(format!(
            "a message has at most {MESSAGE_MAX_BYTES} bytes, this one has {size}"
        )));
    }
    if message.id.len() > ID_MAX_BYTES || message.headers.iter().any(|(name, _)| name.len() > 1024) {
        return Err(AppendError::Refused(
            "a message's id and names of headers have at most 1024 bytes".to_owned(),
        ));
    }
    Ok(())
}
