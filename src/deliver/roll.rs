//! Who has what: for each message of the wire, which of the known subscribers has taken it. Known are the webhooks of
//! the configuration, by their accounts, and the log's durable consumers, by what they have acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::Serialize;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::ledger::Ledger;
use super::letter::Letter;
use super::page;
use super::{Why, is_within};
use crate::log::keys::KeyError;
use crate::log::{Consumer, Log, LogError, Seq};

/// How many positions of the wire are looked at for one page of the list.
const MOST_LOOKS: u64 = 2_000;
/// How long the wire is read for the withdrawals that are outstanding, before the rest is left to the next time.
const READ_FOR: Duration = Duration::from_secs(2);

/// How often an account is read again that is being written meanwhile.
const TRIES: usize = 10;

/// A webhook of the configuration.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// Only articles whose home is in this section.
    pub section: Option<String>,
    /// Whether anything is sent.
    pub enabled: bool,
}

/// Everyone who is to have editions, over a log.
#[derive(Debug)]
pub struct Roll {
    log: Arc<dyn Log>,
    webhooks: Vec<Known>,
    withdrawals: Mutex<Withdrawals>,
}

/// The withdrawals on a stretch of the wire.
#[derive(Debug, Default)]
struct Withdrawals {
    after: Seq,
    upto: Seq,
    /// When the wire took them, and their homes.
    all: BTreeMap<Seq, (DateTime<Utc>, String)>,
}

/// An edition or withdrawal, and who has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The article.
    pub article: Uuid,
    /// The edition's number.
    pub edition: Option<u32>,
    /// What it is: `first`, `update`, `correction`, `reinstatement`, `withdrawal`.
    pub kind: String,
    /// Its event's position in the log.
    pub seq: Option<Seq>,
    /// Its position on the wire.
    pub wire: Seq,
    /// When the wire took it.
    pub time: DateTime<Utc>,
    /// Those it is for.
    pub subscribers: Vec<Taking>,
}

/// A page of deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// The newest first.
    pub deliveries: Vec<Delivery>,
    /// Where the next page begins: before this position of the wire.
    pub next: Option<Seq>,
}

/// How far a subscriber is with one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taking {
    /// The subscriber's name.
    pub name: String,
    /// `webhook` or `consumer`.
    pub kind: &'static str,
    /// How far.
    pub state: State,
    /// How often it was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// When it first failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<DateTime<Utc>>,
    /// Why it failed last: a status, `timeout`, `unreachable`, `tls`, `protocol`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

/// How far a subscriber is with one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has it.
    Taken,
    /// It will be sent, or behind others of its article.
    Pending,
    /// It was tried and will be again.
    Failing,
    /// It was tried for a day, and is tried again when something new comes for it.
    Parked,
    /// Nothing is sent: the receiver said that it is gone, or it is switched off.
    Disabled,
}

/// A subscriber, and how far it is.
enum Taker {
    Webhook(Known, Ledger),
    Consumer(Consumer),
}

impl Taker {
    /// Everything for it up to here is taken.
    fn floor(&self) -> Seq {
        match self {
            Taker::Consumer(consumer) => consumer.taken.max(consumer.began),
            Taker::Webhook(_, ledger) => {
                let first = ledger.queues.values().filter_map(|queue| queue.waiting.front()).min();
                first.map_or(ledger.read, |first| first.saturating_sub(1))
            }
        }
    }

    /// Whether it is still to take a message.
    fn lacks(&self, seq: Seq, time: DateTime<Utc>, home: &str) -> bool {
        match self {
            Taker::Consumer(consumer) => seq > consumer.taken && consumer.reads(seq, time, home),
            Taker::Webhook(known, ledger) => {
                let waits = || ledger.queues.values().any(|queue| queue.waiting.contains(&seq));
                seq > ledger.began
                    && is_within(home, known.section.as_deref())
                    && (seq > ledger.read || waits())
            }
        }
    }

    /// How far it is with a message; none where that isn't for it.
    fn taking(&self, letter: &Letter) -> Option<Taking> {
        let bare = |name: &str, kind, state| {
            let name = name.to_owned();
            Taking { name, kind, state, attempts: None, since: None, next: None, why: None }
        };
        match self {
            Taker::Consumer(consumer) => {
                let state = if letter.seq > consumer.taken { State::Pending } else { State::Taken };
                consumer
                    .reads(letter.seq, letter.time, &letter.home)
                    .then(|| bare(&consumer.name, "consumer", state))
            }
            Taker::Webhook(known, ledger) => {
                let is_for_it =
                    letter.seq > ledger.began && is_within(&letter.home, known.section.as_deref());
                if !is_for_it {
                    return None;
                }
                let queue = ledger.queues.get(&letter.article).filter(|q| q.waiting.contains(&letter.seq));
                let is_off = ledger.gone.is_some() || !known.enabled;
                let Some(queue) = queue else {
                    let state = match (letter.seq > ledger.read, is_off) {
                        (false, _) => State::Taken,
                        (true, true) => State::Disabled,
                        (true, false) => State::Pending,
                    };
                    return Some(bare(&known.name, "webhook", state));
                };
                let is_first = queue.waiting.front() == Some(&letter.seq);
                let state = match queue {
                    _ if is_off => State::Disabled,
                    queue if queue.parked => State::Parked,
                    queue if is_first && queue.attempts > 0 => State::Failing,
                    _ => State::Pending,
                };
                let of_first = is_first && queue.attempts > 0;
                Some(Taking {
                    attempts: of_first.then_some(queue.attempts),
                    since: queue.since.filter(|_| of_first),
                    next: queue.next.filter(|_| of_first && !is_off && !queue.parked),
                    why: queue.why.filter(|_| of_first),
                    ..bare(&known.name, "webhook", state)
                })
            }
        }
    }
}

impl Roll {
    /// Of a log, with the webhooks of the configuration.
    pub fn new(log: Arc<dyn Log>, webhooks: Vec<Known>) -> Self {
        Self { log, webhooks, withdrawals: Mutex::default() }
    }

    /// Has a webhook tried again with everything that it has not taken: what is parked, and a receiver that said that
    /// it is gone. Whoever sends sees it within seconds. False where there is no such webhook, or it was never served.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn try_again(&self, name: &str) -> Result<bool, KeyError> {
        let keys = self.log.keys();
        if !self.webhooks.iter().any(|known| known.name == name) {
            return Ok(false);
        }
        for _ in 0..TRIES {
            let Some((revision, mut page)) = page::read(&keys, name).await? else { return Ok(false) };
            page.ledger.try_again();
            // So that another instance takes it up where nobody is at it.
            page.wake = page.ledger.next_due(&BTreeSet::new());
            page.full = false;
            match page::write(&keys, name, revision, &page).await {
                Err(KeyError::Conflict) => {}
                written => return written.map(|_| true),
            }
        }
        Err(KeyError::Conflict)
    }

    async fn takers(&self) -> Result<Vec<Taker>, LogError> {
        let mut takers: Vec<Taker> = self.log.consumers().await?.into_iter().map(Taker::Consumer).collect();
        let keys = self.log.keys();
        for known in &self.webhooks {
            // One that was never served has nothing to take yet.
            if let Some((_, page)) = page::read(&keys, &known.name).await? {
                takers.push(Taker::Webhook(known.clone(), page.ledger));
            }
        }
        Ok(takers)
    }

    /// The newest deliveries, or those before a position of the wire.
    ///
    /// # Errors
    /// [`LogError`].
    pub async fn newest(&self, before: Option<Seq>, limit: usize) -> Result<Listing, LogError> {
        let takers = self.takers().await?;
        let wire = self.log.wire();
        let mut at = match before {
            Some(before) => wire.end().await?.min(before.saturating_sub(1)),
            None => wire.end().await?,
        };
        let least = at.saturating_sub(MOST_LOOKS);
        let mut deliveries = Vec::new();
        while at > least && deliveries.len() < limit {
            if let Some(letter) = wire.get(at).await?.as_ref().and_then(Letter::read) {
                deliveries.push(delivery(&letter, &takers));
            }
            at -= 1;
        }
        Ok(Listing { deliveries, next: (at > 0).then_some(at + 1) })
    }

    /// The deliveries of the events at these positions of the log, which are in order; the newest first.
    ///
    /// # Errors
    /// [`LogError`].
    pub async fn of_events(&self, events: &[Seq]) -> Result<Vec<Delivery>, LogError> {
        let takers = self.takers().await?;
        let mut deliveries = Vec::new();
        for event in events.iter().rev() {
            if let Some(letter) = self.of_event(*event).await? {
                deliveries.push(delivery(&letter, &takers));
            }
        }
        Ok(deliveries)
    }

    /// The wire's message of an event, which stand in the log's order.
    async fn of_event(&self, event: Seq) -> Result<Option<Letter>, LogError> {
        let wire = self.log.wire();
        // Between these, exclusively.
        let (mut low, mut high): (Seq, Seq) = (0, wire.end().await?.saturating_add(1));
        while low.saturating_add(1) < high {
            let middle = low + (high - low) / 2;
            let mut at = middle;
            // What is foreign or erased has no place in the order.
            let letter = loop {
                if at >= high {
                    break None;
                }
                match wire.get(at).await?.as_ref().and_then(Letter::read) {
                    Some(letter) => break Some(letter),
                    None => at += 1,
                }
            };
            match letter.as_ref().and_then(|letter| letter.log_seq) {
                Some(seq) if seq == event => return Ok(letter),
                Some(seq) if seq < event => low = at,
                _ => high = middle,
            }
        }
        Ok(None)
    }

    /// How many withdrawals some known subscriber has not taken; none where that could not be read in time.
    ///
    /// # Errors
    /// [`LogError`].
    pub async fn withdrawals_outstanding(&self) -> Result<Option<u64>, LogError> {
        let takers = self.takers().await?;
        let mut withdrawals = self.withdrawals.lock().await;
        let end = self.log.wire().end().await?;
        let Some(floor) = takers.iter().map(Taker::floor).min() else { return Ok(Some(0)) };
        if floor < withdrawals.after || withdrawals.upto < floor {
            *withdrawals = Withdrawals { after: floor, upto: floor, all: BTreeMap::new() };
        }
        withdrawals.after = floor;
        withdrawals.all.retain(|seq, _| *seq > floor);
        if withdrawals.upto < end {
            let read = self.read_withdrawals(&mut withdrawals, end);
            match tokio::time::timeout(READ_FOR, read).await {
                Ok(read) => read?,
                Err(_) => return Ok(None),
            }
        }
        let lacking = withdrawals
            .all
            .iter()
            .filter(|(seq, (time, home))| takers.iter().any(|taker| taker.lacks(**seq, *time, home)));
        Ok(Some(lacking.count() as u64))
    }

    async fn read_withdrawals(&self, withdrawals: &mut Withdrawals, end: Seq) -> Result<(), LogError> {
        let mut tail = self.log.wire().tail(withdrawals.upto).await?;
        while withdrawals.upto < end {
            let Some(group) = tail.next().await else { return Ok(()) };
            for entry in group? {
                let letter = Letter::read(&entry).filter(Letter::is_withdrawal);
                withdrawals.all.extend(letter.map(|letter| (letter.seq, (letter.time, letter.home))));
                withdrawals.upto = entry.seq;
            }
        }
        Ok(())
    }
}

fn delivery(letter: &Letter, takers: &[Taker]) -> Delivery {
    Delivery {
        article: letter.article,
        edition: letter.edition,
        kind: letter.kind.clone(),
        seq: letter.log_seq,
        wire: letter.seq,
        time: letter.time,
        subscribers: takers.iter().filter_map(|taker| taker.taking(letter)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::PATIENCE;
    use super::super::page::Page;
    use super::*;
    use crate::log::memory::MemoryLog;
    use crate::log::{Expect, Message};

    const SHOP: &str = "shop";

    /// Puts a message of an event on the wire, of an article with the event's number; none: something foreign.
    async fn put(log: &MemoryLog, event: Option<Seq>, kind: &str) -> Seq {
        let wire = log.wire();
        let end = wire.end().await.unwrap();
        let header = |name: &str, value: String| (format!("Copydesk-{name}"), value);
        let headers = event.map(|event| {
            let id = Uuid::from_u128(event.into()).to_string();
            vec![header("Event", id), header("Seq", event.to_string()), header("Kind", kind.to_owned())]
        });
        let (subject, id, headers) = ("world".to_owned(), end.to_string(), headers.unwrap_or_default());
        let message = Message { subject, id, headers, body: "{}".into() };
        wire.try_append(&message, Expect::Stream(end)).await.unwrap()
    }

    /// Writes what the shop has taken.
    async fn account(log: &MemoryLog, ledger: &Ledger) {
        let revision = page::read(&log.keys(), SHOP).await.unwrap().map_or(0, |(revision, _)| revision);
        let page = Page { holder: Uuid::nil(), beat: 1, wake: None, full: false, ledger: ledger.clone() };
        page::write(&log.keys(), SHOP, revision, &page).await.unwrap();
    }

    fn roll(log: &MemoryLog) -> Roll {
        let known = Known { name: SHOP.to_owned(), section: None, enabled: true };
        Roll::new(Arc::new(log.handle()), vec![known])
    }

    #[tokio::test]
    async fn a_withdrawal_is_outstanding_until_it_is_taken_whatever_else_is() {
        let log = MemoryLog::new(3);
        let (roll, mut ledger) = (roll(&log), Ledger::beginning(0));
        let now = log.clock().now();
        for (event, kind) in [(5, "withdrawal"), (6, "first"), (7, "withdrawal")] {
            put(&log, Some(event), kind).await;
        }
        assert_eq!(roll.withdrawals_outstanding().await.unwrap(), Some(0), "nobody is served yet");
        let outstanding = async |ledger: &Ledger| {
            account(&log, ledger).await;
            roll.withdrawals_outstanding().await.unwrap().unwrap()
        };
        assert_eq!(outstanding(&ledger).await, 2);
        for event in 5..8 {
            ledger.read(event - 4, Some(Uuid::from_u128(event.into())));
        }
        let all_waiting = ledger.clone();
        assert_eq!(outstanding(&ledger).await, 2);
        ledger.taken(Uuid::from_u128(7), 3, now);
        assert_eq!(outstanding(&ledger).await, 1);
        ledger.taken(Uuid::from_u128(5), 1, now);
        assert_eq!(outstanding(&ledger).await, 0);
        // An account put back as it was.
        assert_eq!(outstanding(&all_waiting).await, 2);
    }

    #[tokio::test]
    async fn the_message_of_each_event_is_found_among_others_foreign_and_erased() {
        let log = MemoryLog::new(3);
        let roll = roll(&log);
        let mut places = Vec::new();
        for event in (3..60).step_by(3) {
            places.push((event, put(&log, Some(event), "first").await));
            if event % 4 == 0 {
                put(&log, None, "").await;
            }
        }
        log.wire().erase(places[4].1).await.unwrap();
        let erased = places.remove(4);
        for (event, wire) in places {
            let found = roll.of_events(&[event - 1, event]).await.unwrap();
            assert_eq!(found.iter().map(|of| (of.seq, of.wire)).collect::<Vec<_>>(), [(Some(event), wire)]);
        }
        assert_eq!(roll.of_events(&[1, erased.0, 99]).await.unwrap(), []);
    }

    #[tokio::test]
    async fn pages_of_the_list_miss_nothing_and_repeat_nothing() {
        let log = MemoryLog::new(3);
        let roll = roll(&log);
        for event in [Some(1), None, Some(2), Some(3), Some(4), None, Some(5)] {
            put(&log, event, "first").await;
        }
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let Listing { deliveries, next } = roll.newest(before, 2).await.unwrap();
            seen.push(deliveries.iter().map(|delivery| delivery.seq.unwrap()).collect::<Vec<_>>());
            before = next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(seen, [vec![5, 4], vec![3, 2], vec![1]]);
    }

    #[tokio::test]
    async fn each_message_is_shown_as_far_as_its_subscriber_is_with_it() {
        let log = MemoryLog::new(3);
        for event in [1, 2, 3, 3, 4, 5] {
            put(&log, Some(event), "first").await;
        }
        let (now, id) = (log.clock().now(), Uuid::from_u128);
        let mut ledger = Ledger::beginning(1);
        for (seq, article) in [(2, 2), (3, 3), (4, 3), (5, 4)] {
            ledger.read(seq, Some(id(article)));
        }
        ledger.taken(id(2), 2, now);
        for (article, seq, at) in [(3, 3, now), (4, 5, now), (4, 5, now + PATIENCE)] {
            ledger.failed(id(article), seq, Why::Timeout, at, 0.5);
        }
        let gone = Ledger { gone: Some("x".to_owned()), ..ledger.clone() };
        let off = "disabled disabled disabled disabled taken -";
        for (ledger, enabled, states) in [
            (&ledger, true, "pending parked pending failing taken -"),
            (&ledger, false, off),
            (&gone, true, off),
        ] {
            account(&log, ledger).await;
            let known = Known { name: SHOP.to_owned(), section: None, enabled };
            let listing = Roll::new(Arc::new(log.handle()), vec![known]).newest(None, 9).await.unwrap();
            let state = |delivery: &Delivery| match delivery.subscribers.first() {
                Some(taking) => serde_json::to_value(taking.state).unwrap().as_str().unwrap().to_owned(),
                None => "-".to_owned(),
            };
            let shown: Vec<String> = listing.deliveries.iter().map(state).collect();
            assert_eq!(shown.join(" "), states, "switched on: {enabled}");
        }
    }

    #[tokio::test]
    async fn another_try_calls_whoever_is_there_and_is_for_webhooks_of_the_configuration_alone() {
        let log = MemoryLog::new(3);
        let mut ledger = Ledger::beginning(0);
        ledger.read(1, Some(Uuid::from_u128(1)));
        account(&log, &ledger).await;
        let page = async || page::read(&log.keys(), SHOP).await.unwrap().unwrap();
        let before = page().await;
        assert!(!Roll::new(Arc::new(log.handle()), Vec::new()).try_again(SHOP).await.unwrap());
        assert_eq!(page().await, before);
        assert!(roll(&log).try_again(SHOP).await.unwrap());
        assert!(page().await.1.wake.is_some_and(|wake| wake <= log.clock().now()));
    }
}
