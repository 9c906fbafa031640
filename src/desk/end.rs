//! The log's end as its leader states it: one question for all that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::log::{LogError, Seq, Stream};

/// Asks for the log's end. An answer is good only for those who asked before its question was put.
#[derive(Debug)]
pub(super) struct End {
    events: Arc<dyn Stream>,
    asked: AtomicU64,
    answered: Mutex<Answered>,
}

#[derive(Debug, Default)]
struct Answered {
    /// Those who asked before this number have their answer.
    before: u64,
    end: Seq,
}

impl End {
    pub(super) fn new(events: Arc<dyn Stream>) -> Self {
        Self { events, asked: AtomicU64::new(0), answered: Mutex::default() }
    }

    /// The last position of the log at a moment after this call.
    pub(super) async fn ask(&self) -> Result<Seq, LogError> {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answered = self.answered.lock().await;
        if answered.before > ticket {
            return Ok(answered.end);
        }
        let before = self.asked.load(Ordering::SeqCst);
        let end = self.events.end().await?;
        *answered = Answered { before, end };
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::pin;

    use async_trait::async_trait;
    use futures::poll;
    use futures::stream::BoxStream;
    use tokio::sync::oneshot::{Receiver, channel};

    use super::*;
    use crate::log::{AppendError, Entry, Expect, Message};

    /// A stream that tells its end when the test says so.
    #[derive(Debug)]
    struct Told(std::sync::Mutex<VecDeque<Receiver<Seq>>>);

    #[async_trait]
    impl Stream for Told {
        async fn end(&self) -> Result<Seq, LogError> {
            let told = self.0.lock().unwrap().pop_front();
            Ok(told.expect("one question for all that wait").await.unwrap())
        }
        async fn try_append(&self, _: &Message, _: Expect) -> Result<Seq, AppendError> {
            unreachable!()
        }
        async fn get(&self, _: Seq) -> Result<Option<Entry>, LogError> {
            unreachable!()
        }
        async fn next_on(&self, _: &str, _: Seq) -> Result<Option<Entry>, LogError> {
            unreachable!()
        }
        async fn all_on(&self, _: &str, _: Seq) -> Result<Vec<Entry>, LogError> {
            unreachable!()
        }
        async fn last_on(&self, _: &str) -> Result<Option<Entry>, LogError> {
            unreachable!()
        }
        async fn tail(&self, _: Seq) -> Result<BoxStream<'static, Result<Vec<Entry>, LogError>>, LogError> {
            unreachable!()
        }
        async fn erase(&self, _: Seq) -> Result<(), LogError> {
            unreachable!()
        }
        async fn erase_as(&self, _: Seq, _: [u8; 32]) -> Result<(), LogError> {
            unreachable!()
        }
    }

    #[tokio::test]
    async fn who_asks_while_a_question_is_out_has_the_answer_to_the_next() {
        let ((first, told_first), (second, told_second)) = (channel(), channel());
        let end = End::new(Arc::new(Told(std::sync::Mutex::new([told_first, told_second].into()))));
        let (mut early, mut late, mut later) = (pin!(end.ask()), pin!(end.ask()), pin!(end.ask()));
        assert!(poll!(&mut early).is_pending());
        assert!(poll!(&mut late).is_pending() && poll!(&mut later).is_pending());
        first.send(1).unwrap();
        assert_eq!(early.await.unwrap(), 1);
        second.send(2).unwrap();
        assert_eq!((late.await.unwrap(), later.await.unwrap()), (2, 2));
    }
}
