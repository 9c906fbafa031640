//! Turns: commands to one article go on in the order in which they arrived, whatever tasks they run on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use uuid::Uuid;

/// Hands out turns, article by article.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns {
    last: Arc<Mutex<Last>>,
}

#[derive(Debug, Default)]
struct Last {
    /// The newest turn of each article that has one, and the end of it.
    turns: HashMap<Uuid, (u64, oneshot::Receiver<()>)>,
    next: u64,
}

/// A command's place among those to its article. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    last: Arc<Mutex<Last>>,
    article: Uuid,
    number: u64,
    before: Option<oneshot::Receiver<()>>,
    _end: oneshot::Sender<()>,
}

impl Turns {
    /// The next turn of an article.
    pub(super) fn take(&self, article: Uuid) -> Turn {
        let (end, ended) = oneshot::channel();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.next += 1;
        let number = last.next;
        let before = last.turns.insert(article, (number, ended)).map(|(_, before)| before);
        Turn { last: Arc::clone(&self.last), article, number, before, _end: end }
    }

    #[cfg(test)]
    fn articles(&self) -> usize {
        self.last.lock().unwrap().turns.len()
    }
}

impl Turn {
    /// Returns once every earlier turn of the article has ended.
    pub(super) async fn come(&mut self) {
        if let Some(before) = self.before.take() {
            // Nothing is ever sent: the sender is dropped with its turn.
            let _ = before.await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.turns.get(&self.article).is_some_and(|(newest, _)| *newest == self.number) {
            last.turns.remove(&self.article);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const ONE: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    #[test]
    fn a_turn_comes_when_those_before_it_have_ended() {
        let turns = Turns::default();
        let (mut first, mut second, mut third) = (turns.take(ONE), turns.take(ONE), turns.take(ONE));
        let mut other = turns.take(OTHER);
        assert!(first.come().now_or_never().is_some());
        assert!(other.come().now_or_never().is_some(), "articles don't wait for each other");
        let mut waiting = Box::pin(third.come());
        assert!(second.before.as_mut().unwrap().now_or_never().is_none());
        drop(first);
        assert!((&mut waiting).now_or_never().is_none(), "the second hasn't ended");
        drop(second);
        assert!(waiting.now_or_never().is_some());
    }

    #[test]
    fn nothing_is_kept_of_articles_at_rest() {
        let turns = Turns::default();
        let (first, second) = (turns.take(ONE), turns.take(ONE));
        drop(first);
        assert_eq!(turns.articles(), 1);
        drop(second);
        assert_eq!(turns.articles(), 0);
    }
}
