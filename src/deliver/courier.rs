//! The task that sends a subscriber what is for it.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::{BoxStream, FuturesUnordered};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::ledger::{Due, Ledger};
use super::letter::Letter;
use super::page::{self, Page};
use super::post::{Outcome, Post};
use super::{FRESH, LEASE, Subscriber, is_within};
use crate::log::keys::KeyError;
use crate::log::{Entry, Log, LogError, Seq};
use crate::metrics::Metrics;

/// How many messages of a subscriber may be on their way at once.
const AT_ONCE: usize = 6;
/// How many of these may have failed before: so those that hang never hold up what is new for long.
const RETRIES_AT_ONCE: usize = 2;
/// How often the page is written at most while messages are taken.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// How often an instance that doesn't send looks whether it should.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long there must have been something to do before an instance takes the page over.
const GRACE: Duration = Duration::from_secs(4);
/// How often an instance that has nothing to do looks whether the account was changed meanwhile.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// How long attempts under way are waited for at the end.
const FAREWELL: Duration = Duration::from_secs(3);
/// The pause after the log failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Says true once the courier is to end.
pub type Watch = watch::Receiver<bool>;

/// Sends one subscriber what is for it, whenever it is this instance's turn.
#[derive(Debug)]
pub struct Courier {
    subscriber: Subscriber,
    log: Arc<dyn Log>,
    metrics: Arc<Metrics>,
    post: Post,
    /// This instance, to itself and the others.
    me: Uuid,
    /// The address as a hash, to remember which one said that it is gone.
    address: String,
    stop: Watch,
}

/// Why the courier sends no more for now.
#[derive(Debug, thiserror::Error)]
enum Halt {
    #[error("another instance sends")]
    Lost,
    #[error("the account was changed: everything is tried again")]
    Changed,
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the account can't be kept: {0}")]
    Refused(String),
}

impl From<KeyError> for Halt {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Log(error) => Halt::Log(error),
            KeyError::Refused(why) => Halt::Refused(why),
            KeyError::Conflict | KeyError::Backwards { .. } => Halt::Lost,
        }
    }
}

/// A page that this instance keeps.
struct Held {
    page: Page,
    revision: Seq,
    /// From before it was last written.
    written: Instant,
    /// Since when it says something else than what is written.
    changed: Option<Instant>,
}

impl Held {
    fn ledger(&mut self) -> &mut Ledger {
        self.changed.get_or_insert_with(Instant::now);
        &mut self.page.ledger
    }
}

/// What came of a message that was to be sent.
enum Came {
    /// It was sent.
    Of(Outcome),
    /// Its bytes were erased meanwhile.
    Nothing,
    /// The wire can't be read now.
    Unread,
}

/// Messages on their way.
type UnderWay<F> = FuturesUnordered<F>;

impl Courier {
    /// For a subscriber, until `stop` says true.
    pub fn new(subscriber: Subscriber, log: Arc<dyn Log>, metrics: Arc<Metrics>, stop: Watch) -> Self {
        let post = Post::to(&subscriber);
        let address = hex::encode(Sha256::digest(subscriber.url.as_bytes()));
        Self { subscriber, log, metrics, post, me: Uuid::new_v4(), address, stop }
    }

    /// Sends until it is told to stop.
    pub async fn run(self) {
        let mut last = String::new();
        while !*self.stop.borrow() {
            let why = match self.turn().await {
                Ok(()) => return,
                Err(why) => why.to_string(),
            };
            self.metrics.webhook_waits(&self.subscriber.name, None);
            // Once for each trouble, however often it is tried.
            if why != last {
                tracing::warn!(webhook = self.subscriber.name, why, "a webhook's messages wait");
            }
            last = why;
            self.rest(PAUSE).await;
        }
    }

    /// Sleeps, unless it is to stop.
    async fn rest(&self, pause: Duration) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Waits for its turn and sends until it is over. `Ok` once it is to stop.
    async fn turn(&self) -> Result<(), Halt> {
        let Some(mut held) = self.wait_for_turn().await? else { return Ok(()) };
        if self.has_moved(&held.page) {
            held.ledger().gone = None;
        }
        let (name, after) = (&self.subscriber.name, held.page.ledger.read);
        tracing::info!(webhook = name, after, "this instance sends a webhook's messages");
        let mut under_way = FuturesUnordered::new();
        let ended = self.send(&mut held, &mut under_way, Self::attempt).await;
        if ended.is_err() {
            // So that none of them comes after what the next turn sends.
            while under_way.next().await.is_some() {}
        }
        ended
    }

    /// Returns with the page once it is this instance's to keep; none once it is to stop.
    async fn wait_for_turn(&self) -> Result<Option<Held>, Halt> {
        let keys = self.log.keys();
        let (mut seen, mut idle_until) = (((Uuid::nil(), 0), Instant::now()), Instant::now());
        while !*self.stop.borrow() {
            let written = Instant::now();
            let (revision, mut page) = match page::read(&keys, &self.subscriber.name).await? {
                Some(found) => found,
                None => {
                    let began = if self.subscriber.from_start { 0 } else { self.log.wire().end().await? };
                    let ledger = Ledger::beginning(began);
                    (0, Page { holder: Uuid::nil(), beat: 0, wake: None, full: false, ledger })
                }
            };
            // A build that didn't count left only the revision to go by.
            let sign = (page.holder, if page.beat == 0 { revision } else { page.beat });
            if seen.0 != sign {
                seen = (sign, written);
            }
            let is_free = page.holder == self.me || page.holder.is_nil() || !self.log.is_shared();
            if !is_free && !self.has_work(&page).await? {
                idle_until = written;
            }
            if is_free || (seen.1.elapsed() >= LEASE && idle_until.elapsed() >= GRACE) {
                page.holder = self.me;
                page.beat += 1;
                match page::write(&keys, &self.subscriber.name, revision, &page).await {
                    Ok(revision) => return Ok(Some(Held { page, revision, written, changed: None })),
                    Err(KeyError::Conflict) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            self.rest(LOOK_EVERY).await;
        }
        Ok(None)
    }

    /// Whether it was another address than the receiver's now that said that it is gone.
    fn has_moved(&self, page: &Page) -> bool {
        page.ledger.gone.as_ref().is_some_and(|gone| *gone != self.address)
    }

    /// Whether whoever keeps a page should be at work.
    async fn has_work(&self, page: &Page) -> Result<bool, LogError> {
        if self.has_moved(page) || page.wake.is_some_and(|wake| wake <= self.log.clock().now()) {
            return Ok(true);
        }
        Ok(!page.full && self.log.wire().end().await? > page.ledger.read)
    }

    async fn send<F: Future<Output = (Due, Came)>>(
        &self,
        held: &mut Held,
        under_way: &mut UnderWay<F>,
        attempt: fn(&Self, Due) -> F,
    ) -> Result<(), Halt> {
        let mut tail: Option<BoxStream<'static, Result<Vec<Entry>, LogError>>> = None;
        let mut stop = self.stop.clone();
        let mut busy: BTreeSet<Uuid> = BTreeSet::new();
        let mut retries = 0;
        let mut leaving: Option<Instant> = None;
        let mut checked = Instant::now();
        loop {
            if leaving.is_none() && *self.stop.borrow() {
                leaving = Some(Instant::now() + FAREWELL);
            }
            if leaving.is_some_and(|until| under_way.is_empty() || until <= Instant::now()) {
                return self.let_go(held).await;
            }
            if leaving.is_none() {
                for due in held.page.ledger.due(self.log.clock().now(), &busy) {
                    if under_way.len() >= AT_ONCE {
                        break;
                    }
                    if due.is_retry && retries >= RETRIES_AT_ONCE {
                        continue;
                    }
                    if held.written.elapsed() >= FRESH {
                        self.write(held, &busy).await?;
                    }
                    if held.written.elapsed() >= FRESH {
                        break;
                    }
                    busy.insert(due.article);
                    retries += usize::from(due.is_retry);
                    under_way.push(attempt(self, due));
                }
            }
            if held.changed.is_some_and(|since| since.elapsed() >= WRITE_EVERY) {
                self.write(held, &busy).await?;
            }
            if held.changed.is_none() && checked.elapsed() >= CHECK_EVERY {
                checked = Instant::now();
                self.check(held).await?;
            }
            let reads = leaving.is_none() && held.page.ledger.has_room();
            match (reads, &tail) {
                (true, None) => tail = Some(self.log.wire().tail(held.page.ledger.read).await?),
                (false, Some(_)) => tail = None,
                _ => {}
            }
            let wait = self.until_next(held, &busy, retries, under_way.len(), leaving);
            let reading = async {
                match &mut tail {
                    Some(tail) => tail.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some((due, came)) = under_way.next(), if !under_way.is_empty() => {
                    busy.remove(&due.article);
                    retries -= usize::from(due.is_retry);
                    self.settle(held, due, came);
                }
                group = reading => {
                    let ended = || LogError::Unavailable("the wire's tail ended".to_owned());
                    for entry in group.ok_or_else(ended)?? {
                        self.take_in(held, &entry);
                    }
                }
                () = tokio::time::sleep(wait) => {}
                _ = stop.wait_for(|stop| *stop), if leaving.is_none() => {
                    leaving = Some(Instant::now() + FAREWELL);
                }
            }
        }
    }

    /// How long there is nothing to do unless something comes.
    fn until_next(
        &self,
        held: &Held,
        busy: &BTreeSet<Uuid>,
        retries: usize,
        under_way: usize,
        leaving: Option<Instant>,
    ) -> Duration {
        let mut wait = CHECK_EVERY;
        if let Some(since) = held.changed {
            wait = wait.min(WRITE_EVERY.saturating_sub(since.elapsed()));
        }
        if let Some(until) = leaving {
            return wait.min(until.saturating_duration_since(Instant::now()));
        }
        // Without a free place the end of an attempt is what is waited for.
        if under_way < AT_ONCE
            && let Some(next) = held.page.ledger.next_due(busy)
        {
            let pause = (next - self.log.clock().now()).to_std().unwrap_or_default();
            let is_for_retries = pause.is_zero() && retries >= RETRIES_AT_ONCE;
            wait = if is_for_retries { wait } else { wait.min(pause) };
        }
        wait
    }

    /// Sends one message.
    fn attempt(&self, due: Due) -> impl Future<Output = (Due, Came)> + use<> {
        let (wire, post, clock) = (self.log.wire(), self.post.clone(), self.log.clock());
        async move {
            let came = match wire.get(due.seq).await {
                Ok(Some(entry)) => match Letter::read(&entry) {
                    Some(letter) => Came::Of(post.send(letter, clock.now().timestamp()).await),
                    None => Came::Nothing,
                },
                // It was read there: whoever answers now is behind. What is erased leaves an entry.
                unread @ (Ok(None) | Err(_)) => {
                    tracing::debug!(?unread, "the wire can't be read for a webhook");
                    tokio::time::sleep(PAUSE).await;
                    Came::Unread
                }
            };
            (due, came)
        }
    }

    /// Notes what a message of the wire is for this subscriber.
    fn take_in(&self, held: &mut Held, entry: &Entry) {
        let letter = Letter::read(entry);
        let for_us = letter.filter(|letter| is_within(&letter.home, self.subscriber.section.as_deref()));
        held.ledger().read(entry.seq, for_us.map(|letter| letter.article));
        self.tell(held);
    }

    /// Notes what became of a message.
    fn settle(&self, held: &mut Held, due: Due, came: Came) {
        let (name, now) = (&self.subscriber.name, self.log.clock().now());
        let Due { article, seq, .. } = due;
        match came {
            Came::Unread => {}
            Came::Nothing => held.ledger().done_with(article, seq),
            Came::Of(Outcome::Taken) => {
                if held.page.ledger.is_down() {
                    tracing::info!(webhook = name, "the receiver takes messages again");
                }
                held.ledger().taken(article, seq, now);
                self.metrics.webhook_attempt(name, "taken");
            }
            Came::Of(Outcome::Gone) => {
                tracing::error!(webhook = name, "the receiver is gone (410): it is sent nothing any more");
                held.ledger().gone = Some(self.address.clone());
                self.metrics.webhook_attempt(name, "gone");
            }
            Came::Of(Outcome::Failed(why)) => {
                let was_down = held.page.ledger.is_down();
                let parked = held.ledger().failed(article, seq, why, now, jitter());
                tracing::debug!(webhook = name, seq, %why, "a message was not taken");
                if !was_down && held.page.ledger.is_down() {
                    tracing::warn!(webhook = name, %why, "the receiver takes nothing; its messages wait");
                }
                if parked {
                    tracing::error!(webhook = name, %article, %why, "an article's messages are parked after a day");
                }
                self.metrics.webhook_attempt(name, "failed");
            }
        }
        self.tell(held);
    }

    fn tell(&self, held: &Held) {
        self.metrics.webhook_waits(&self.subscriber.name, Some(held.page.ledger.counts()));
    }

    async fn write(&self, held: &mut Held, busy: &BTreeSet<Uuid>) -> Result<(), Halt> {
        let (began, ledger) = (Instant::now(), &held.page.ledger);
        // What is on its way has to be sent again, if nothing is heard of it.
        let wake: Option<DateTime<Utc>> = match busy.is_empty() {
            true => ledger.next_due(busy),
            false => Some(self.log.clock().now()),
        };
        held.page.full = !ledger.has_room();
        held.page.wake = wake;
        held.page.beat += 1;
        held.revision =
            page::write(&self.log.keys(), &self.subscriber.name, held.revision, &held.page).await?;
        held.written = began;
        held.changed = None;
        Ok(())
    }

    /// Whether the page is still as it was written: an operator may have asked for another try, or another instance
    /// have taken it while this one stood still.
    async fn check(&self, held: &Held) -> Result<(), Halt> {
        match page::read(&self.log.keys(), &self.subscriber.name).await? {
            Some((revision, _)) if revision == held.revision => Ok(()),
            Some((_, page)) if page.holder == self.me => Err(Halt::Changed),
            _ => Err(Halt::Lost),
        }
    }

    /// Lets another instance take over at once.
    async fn let_go(&self, held: &mut Held) -> Result<(), Halt> {
        held.page.holder = Uuid::nil();
        self.write(held, &BTreeSet::new()).await
    }
}

/// Drawn anew each time, from 0 to 1: receivers that come back aren't met by everybody at once.
fn jitter() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}
