//! A stream of the log on JetStream: appends under an expectation, reads from the leader, erasure.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::time::Instant;

use super::api::{ACK_TIMEOUT, Ask, Guard, Meaning, Raw};
use super::batch::{Batches, Turn};
use super::erasures::{Erasures, Record, unknown};
use super::headers::is_transport;
use super::tail::{Tail, groups, messages_on};
use crate::log::settle::{check_form, is_ours};
use crate::log::{AppendError, Entry, Expect, LogError, Message, Seq, Stream};

/// Up to how many messages on one subject are read one by one; more come through a consumer.
const READ_ONE_BY_ONE: usize = 16;
/// The first pause before a refused publication goes again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// A stream of the log.
#[derive(Debug, Clone)]
pub(super) struct JetStream {
    pub raw: Raw,
    /// The stream's name among the log's, by which erasures are recorded.
    pub name: Arc<str>,
    /// Whether subjects are one token.
    pub one_token: bool,
    pub erasures: Arc<Erasures>,
    /// Where messages that wait go together.
    pub batches: Option<Arc<Batches>>,
}

/// What to do after a refused publication.
enum Next {
    /// The expectation does not hold.
    Wrong,
    /// It may yet: again, after a pause.
    Wait,
    /// It does hold, in other words: again with those.
    Again(Guard),
}

impl JetStream {
    /// Reads the records of erasures that are not known yet.
    pub(super) async fn refresh(&self) -> Result<(), LogError> {
        self.erasures.refresh().await
    }

    /// What is left of a message that is gone.
    pub(super) fn left_of(&self, seq: Seq) -> Entry {
        self.erasures.at(&self.name, seq).map_or_else(|| unknown(seq), |record| record.entry())
    }

    /// What stands at a position.
    pub(super) async fn read(&self, seq: Seq) -> Result<Option<Entry>, LogError> {
        if seq == 0 {
            return Ok(None);
        }
        if let Some(entry) = self.raw.get(Ask::At(seq)).await? {
            return Ok(Some(entry));
        }
        if let Some(record) = self.erasures.at(&self.name, seq) {
            return Ok(Some(record.entry()));
        }
        if seq > self.raw.end().await? {
            return Ok(None);
        }
        // It may have been written between the two questions.
        if let Some(entry) = self.raw.get(Ask::At(seq)).await? {
            return Ok(Some(entry));
        }
        self.refresh().await?;
        if let Some(record) = self.erasures.at(&self.name, seq) {
            return Ok(Some(record.entry()));
        }
        // Around a change of leaders each of these answers may have been another server's, one of them behind: what
        // was never deleted is not to be passed over.
        if self.raw.has_deleted(seq).await? {
            return Ok(Some(self.left_of(seq)));
        }
        Err(LogError::Unavailable(format!("the servers don't agree on what stands at {seq}")))
    }

    /// What stands at a position of which something is known to be erased.
    fn erased(&self, seq: Option<Seq>) -> Option<Entry> {
        seq.map(|seq| self.left_of(seq))
    }

    fn erased_on(&self, subject: &str, after: Seq) -> Vec<Seq> {
        self.erasures.on(&self.name, subject, after)
    }

    /// What would not come back as it was sent, or not be taken at all.
    fn check(&self, message: &Message) -> Result<(), AppendError> {
        check_form(message)?;
        if self.one_token && message.subject.contains('.') {
            return Err(AppendError::Refused(format!(
                "subject {:?} is more than one token",
                message.subject
            )));
        }
        if message.id.is_empty() || !is_line(&message.id) {
            return Err(AppendError::Refused(format!("{:?} is no message id", message.id)));
        }
        for (name, value) in &message.headers {
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
            if !is_name || is_transport(name) || !is_line(value) {
                return Err(AppendError::Refused(format!("{name:?}: {value:?} can't be a header")));
            }
        }
        Ok(())
    }

    /// What a refusal says of the expectation. Only asks the server what its answer left open.
    async fn weigh(
        &self,
        message: &Message,
        expect: Expect,
        sent: Guard,
        last: Option<Seq>,
    ) -> Result<Next, LogError> {
        match expect {
            // In a cluster the number counts what is proposed and may yet be lost with its leader.
            Expect::Stream(expected) => {
                let end = self.raw.end().await?;
                Ok(if end == expected { Next::Wait } else { Next::Wrong })
            }
            Expect::Subject(expected) => {
                if sent.stream.is_none() && last.is_some_and(|last| last > expected) {
                    return Ok(Next::Wrong);
                }
                // In this order: whatever is on the subject up to `end` is then either read or known as erased.
                let end = self.raw.end().await?;
                let live = self.raw.get(Ask::Last(&message.subject)).await?.map_or(0, |entry| entry.seq);
                self.refresh().await?;
                let erased = self.erased_on(&message.subject, 0).last().copied().unwrap_or(0);
                Ok(match live.max(erased) {
                    logical if logical != expected => Next::Wrong,
                    _ if live == expected => Next::Wait,
                    // The expected message is erased, so the server counts from the one before it. The
                    // stream's end guards against another one written and erased in the meantime.
                    _ => Next::Again(Guard { subject: Some(live), stream: Some(end) }),
                })
            }
        }
    }

    /// Whether what the server calls a repeat is our message.
    async fn recognise(&self, seq: Seq, message: &Message) -> Result<Seq, AppendError> {
        let unknown = |why: String| {
            Err(AppendError::Unknown(format!("said to be a repeat of {seq}, which can't be compared: {why}")))
        };
        match self.read(seq).await {
            Err(error) => unknown(error.to_string()),
            Ok(None) => unknown("there is nothing".to_owned()),
            Ok(Some(entry)) => match is_ours(message, &entry) {
                Some(true) => Ok(seq),
                Some(false) => Err(AppendError::WrongExpectation),
                None => unknown("it was deleted".to_owned()),
            },
        }
    }
}

/// Whether text survives as a header's value: one line, no blanks at its ends.
fn is_line(text: &str) -> bool {
    !text.chars().any(char::is_control) && text.trim() == text
}

#[async_trait]
impl Stream for JetStream {
    async fn try_append(&self, message: &Message, expect: Expect) -> Result<Seq, AppendError> {
        self.check(message)?;
        let mut guard = match expect {
            Expect::Stream(seq) => Guard { stream: Some(seq), subject: None },
            Expect::Subject(seq) => {
                // The server would count from before an erased message: ours counts it.
                if !self.erased_on(&message.subject, seq).is_empty() {
                    return Err(AppendError::WrongExpectation);
                }
                Guard { subject: Some(seq), stream: None }
            }
        };
        let mut baton = None;
        if let (Some(batches), Expect::Subject(seq)) = (&self.batches, expect) {
            match batches.turn(message, seq).await {
                Turn::Alone(alone) => baton = Some(alone),
                Turn::Apart => {}
                Turn::Written(seq) => return Ok(seq),
                Turn::Unknown(why) => return Err(AppendError::Unknown(why)),
            }
        }
        let deadline = Instant::now() + ACK_TIMEOUT;
        let mut pause = FIRST_PAUSE;
        loop {
            let patience = deadline.saturating_duration_since(Instant::now());
            let published = self
                .raw
                .publish(
                    &message.subject,
                    &message.id,
                    &message.headers,
                    message.body.clone(),
                    guard,
                    patience,
                )
                .await;
            drop(baton.take());
            // From here on, this attempt was not written; whether an earlier call's was is its caller's question.
            let too_late = match published {
                Ok(ack) if ack.duplicate => return self.recognise(ack.seq, message).await,
                Ok(ack) => return Ok(ack.seq),
                Err(Meaning::Unavailable(why)) => return Err(AppendError::Unavailable(why)),
                Err(Meaning::Unknown(why)) => return Err(AppendError::Unknown(why)),
                Err(Meaning::Refused(why)) => return Err(AppendError::Refused(why)),
                Err(Meaning::InProcess(why)) => AppendError::Unknown(why),
                Err(Meaning::Busy(why)) => AppendError::Unavailable(why),
                Err(Meaning::WrongLast(last)) => {
                    let weighed = self.weigh(message, expect, guard, last).await;
                    match weighed.map_err(|e| AppendError::Unavailable(e.to_string()))? {
                        Next::Wrong => return Err(AppendError::WrongExpectation),
                        Next::Wait => {}
                        Next::Again(again) => guard = again,
                    }
                    AppendError::Unavailable("another message is on its way to the same place".into())
                }
            };
            if Instant::now() + pause >= deadline {
                return Err(too_late);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn end(&self) -> Result<Seq, LogError> {
        self.raw.end().await
    }

    async fn get(&self, seq: Seq) -> Result<Option<Entry>, LogError> {
        self.read(seq).await
    }

    async fn next_on(&self, subject: &str, after: Seq) -> Result<Option<Entry>, LogError> {
        let live = self.raw.get(Ask::Next(after.saturating_add(1), subject)).await?;
        self.refresh().await?;
        let erased = self.erased_on(subject, after).first().copied();
        let is_erased_first = erased.is_some_and(|e| live.as_ref().is_none_or(|live| e < live.seq));
        Ok(if is_erased_first { self.erased(erased) } else { live })
    }

    async fn all_on(&self, subject: &str, after: Seq) -> Result<Vec<Entry>, LogError> {
        let end = self.raw.end().await?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut position = after;
        'reading: loop {
            for _ in 0..READ_ONE_BY_ONE {
                match self.raw.get(Ask::Next(position.saturating_add(1), subject)).await? {
                    Some(entry) if entry.seq <= end => {
                        position = entry.seq;
                        entries.push(entry);
                    }
                    _ => break 'reading,
                }
            }
            // What the consumer leaves out, by breaking off, is read as above.
            let more = messages_on(&self.raw, subject, position + 1, end).await?;
            position = more.last().map_or(position, |entry| entry.seq);
            entries.extend(more);
        }
        self.refresh().await?;
        let mut erased = self.erased_on(subject, after);
        erased.retain(|seq| *seq <= end && entries.binary_search_by_key(seq, |entry| entry.seq).is_err());
        if !erased.is_empty() {
            entries.extend(erased.into_iter().map(|seq| self.left_of(seq)));
            entries.sort_by_key(|entry| entry.seq);
        }
        Ok(entries)
    }

    async fn last_on(&self, subject: &str) -> Result<Option<Entry>, LogError> {
        let live = self.raw.get(Ask::Last(subject)).await?;
        self.refresh().await?;
        let erased = self.erased_on(subject, live.as_ref().map_or(0, |live| live.seq)).last().copied();
        Ok(self.erased(erased).or(live))
    }

    async fn tail(&self, after: Seq) -> Result<BoxStream<'static, Result<Vec<Entry>, LogError>>, LogError> {
        Ok(groups(Tail::start(self.clone(), after).await?).boxed())
    }

    async fn erase(&self, seq: Seq) -> Result<(), LogError> {
        self.erase_with(seq, None).await
    }

    async fn erase_as(&self, seq: Seq, sha256: [u8; 32]) -> Result<(), LogError> {
        self.erase_with(seq, Some(sha256)).await
    }
}

impl JetStream {
    async fn erase_with(&self, seq: Seq, as_was: Option<[u8; 32]>) -> Result<(), LogError> {
        let Some(entry) = self.read(seq).await? else {
            return Err(LogError::Unsuitable(format!(
                "there is no message at {seq} of {} to erase",
                self.name
            )));
        };
        let Some(mut record) = Record::of(&entry) else { return Ok(()) };
        if let Some(sha256) = as_was {
            record.sha256 = hex::encode(sha256);
        }
        self.erasures.record(&self.name, &record).await?;
        self.raw.delete(seq).await?;
        Ok(())
    }
}
