//! What a subscriber has taken and what waits for it: a pure account, without network or clock.
//!
//! It says of every position on the wire up to [`Ledger::read`] that it is taken, passed over, or in a queue. Each
//! article has a queue of its own, whose first message is the only one that may be on its way: so an article's
//! editions come in order, and none waits for another article's. Written down at any moment it is true but for what
//! was taken since, which then comes again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Why;
use crate::log::Seq;

/// The pause after the first failure; it doubles up to [`LONGEST_PAUSE`].
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two attempts.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// How long an article's messages are tried before they are parked.
pub const PATIENCE: TimeDelta = TimeDelta::days(1);
/// After so many failures in a row, whatever they were of, the receiver counts as down.
const DOWN_AFTER: u32 = 5;
/// How many messages may wait before the wire is read no further.
const MOST_WAITING: usize = 1000;
/// The same while the receiver is down: the rest waits on the wire itself.
const MOST_WAITING_DOWN: usize = 32;
/// How many messages may wait or be parked altogether.
const MOST_KEPT: usize = 2000;

/// Account of one subscriber.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// After which position of the wire the subscriber began.
    pub began: Seq,
    /// Up to where the wire is read.
    pub read: Seq,
    /// What waits or is parked, by article.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub queues: BTreeMap<Uuid, Queue>,
    /// How many attempts have failed since one succeeded.
    #[serde(default)]
    pub failures: u32,
    /// When a message was last taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_taken: Option<DateTime<Utc>>,
    /// The receiver's address, as a hash, if it answered that it is gone for good: nothing is sent there any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<String>,
}

/// An article's messages that the subscriber has not taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Where they stand on the wire, the next first.
    pub waiting: VecDeque<Seq>,
    /// How often the first was tried.
    #[serde(default)]
    pub attempts: u32,
    /// When that first failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Not before this is it tried again; where they are parked, not before this is anything tried to see whether the
    /// receiver is back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<DateTime<Utc>>,
    /// Why it failed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// Whether they are not tried any more, but for one at a time where there is no room for anything else.
    #[serde(default)]
    pub parked: bool,
}

impl Queue {
    /// Whether the pause after its last attempt is over.
    fn is_due(&self, now: DateTime<Utc>) -> bool {
        // No pause is that long: the clock was set back since.
        let set_back =
            |next: DateTime<Utc>| next - now > TimeDelta::from_std(2 * LONGEST_PAUSE).unwrap_or(PATIENCE);
        self.next.is_none_or(|next| next <= now || set_back(next))
    }

    /// From the beginning: as if nothing had been tried.
    fn afresh(&mut self) {
        *self = Queue { waiting: std::mem::take(&mut self.waiting), ..Queue::default() };
    }
}

/// A message that may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Its article.
    pub article: Uuid,
    /// Its position on the wire.
    pub seq: Seq,
    /// Whether it was tried before.
    pub is_retry: bool,
}

impl Ledger {
    /// Of a subscriber that begins after a position.
    #[must_use]
    pub fn beginning(after: Seq) -> Self {
        Self { began: after, read: after, ..Self::default() }
    }

    /// Takes in the wire's message at a position. If its article is parked, all of it is tried again: what comes now
    /// may be the withdrawal of what could not be sent.
    pub fn read(&mut self, seq: Seq, article: Option<Uuid>) {
        if seq <= self.read {
            return;
        }
        self.read = seq;
        let Some(article) = article else { return };
        let queue = self.queues.entry(article).or_default();
        if queue.parked {
            queue.afresh();
        }
        queue.waiting.push_back(seq);
    }

    /// Whether the wire may be read further.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let count =
            |parked| self.queues.values().filter(|q| q.parked == parked).map(|q| q.waiting.len()).sum();
        let (waiting, parked): (usize, usize) = (count(false), count(true));
        let most = if self.is_down() { MOST_WAITING_DOWN } else { MOST_WAITING };
        self.gone.is_none() && waiting < most && waiting + parked < MOST_KEPT
    }

    /// Whether nothing the receiver was sent lately was taken.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.failures >= DOWN_AFTER
    }

    /// How many messages wait and how many are parked.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        self.queues.values().fold((0, 0), |(waiting, parked), queue| {
            let count = queue.waiting.len() as u64;
            if queue.parked { (waiting, parked + count) } else { (waiting + count, parked) }
        })
    }

    /// What may be sent now, in the order of the wire: of each article that has nothing on its way, the first.
    pub fn due(&self, now: DateTime<Utc>, on_their_way: &BTreeSet<Uuid>) -> Vec<Due> {
        if self.gone.is_some() {
            return Vec::new();
        }
        let first = |article: &Uuid, queue: &Queue| {
            let seq = *queue.waiting.front()?;
            Some(Due { article: *article, seq, is_retry: queue.attempts > 0 })
        };
        if self.is_stuck() {
            if !on_their_way.is_empty() || !self.queues.values().all(|queue| queue.is_due(now)) {
                return Vec::new();
            }
            // The one that was tried longest ago: the receiver may be back and never take another.
            let longest_ago = self.queues.iter().min_by_key(|(_, queue)| (queue.next, queue.waiting.front()));
            return longest_ago.and_then(|(article, queue)| first(article, queue)).into_iter().collect();
        }
        let free = self.queues.iter().filter(|(article, q)| !q.parked && !on_their_way.contains(article));
        let due = free.filter(|(_, queue)| queue.is_due(now));
        let mut due: Vec<Due> = due.filter_map(|(article, queue)| first(article, queue)).collect();
        due.sort_by_key(|due| due.seq);
        due
    }

    /// Whether so much is parked that nothing new can come, by which it would be seen that the receiver is back. Then
    /// one message is tried after each longest pause.
    fn is_stuck(&self) -> bool {
        !self.has_room() && self.queues.values().all(|queue| queue.parked)
    }

    /// When the next message is due that has nothing on its way; none where nothing waits.
    #[must_use]
    pub fn next_due(&self, on_their_way: &BTreeSet<Uuid>) -> Option<DateTime<Utc>> {
        if self.gone.is_some() {
            return None;
        }
        let next = |queue: &Queue| queue.next.unwrap_or(DateTime::UNIX_EPOCH);
        if self.is_stuck() {
            return self.queues.values().map(next).max().filter(|_| on_their_way.is_empty());
        }
        let free = self.queues.iter().filter(|(article, q)| !q.parked && !on_their_way.contains(article));
        free.map(|(_, queue)| next(queue)).min()
    }

    /// The first message of an article was taken. A receiver that is back from being down is tried with everything at
    /// once, and what was parked because nothing at all was taken for as long as it was tried, is tried again: it was
    /// the receiver that failed.
    pub fn taken(&mut self, article: Uuid, seq: Seq, now: DateTime<Utc>) {
        self.done_with(article, seq);
        let before = self.last_taken.replace(now);
        let is_back = self.is_down();
        self.failures = 0;
        for queue in self.queues.values_mut() {
            if is_back && !queue.parked {
                queue.next = None;
            }
            if queue.parked && queue.since.is_some_and(|since| before.is_none_or(|before| before < since)) {
                queue.afresh();
            }
        }
    }

    /// Everything is tried again, now, as if nothing had been tried: what is parked, and a receiver that was gone.
    pub fn try_again(&mut self) {
        self.gone = None;
        self.failures = 0;
        self.queues.values_mut().for_each(Queue::afresh);
    }

    /// There is nothing to send any more at a position: its bytes were erased.
    pub fn done_with(&mut self, article: Uuid, seq: Seq) {
        let Some(queue) = self.queues.get_mut(&article) else { return };
        if queue.waiting.front() == Some(&seq) {
            queue.waiting.pop_front();
            queue.afresh();
        }
        if queue.waiting.is_empty() {
            self.queues.remove(&article);
        }
    }

    /// The wire that this is about ends before where it was read to: both were put back, the wire as it was a moment earlier.
    pub fn set_back(&mut self, end: Seq) {
        self.began = self.began.min(end);
        self.read = self.read.min(end);
        for queue in self.queues.values_mut() {
            if queue.waiting.front().is_some_and(|first| *first > end) {
                *queue = Queue::default();
            }
            queue.waiting.retain(|seq| *seq <= end);
        }
        self.queues.retain(|_, queue| !queue.waiting.is_empty());
    }

    /// The first message of an article was not taken. `jitter` is drawn from 0 to 1. True where that parks the
    /// article's messages.
    pub fn failed(&mut self, article: Uuid, seq: Seq, why: Why, now: DateTime<Utc>, jitter: f64) -> bool {
        self.failures = self.failures.saturating_add(1);
        let Some(queue) = self.queues.get_mut(&article) else { return false };
        if queue.waiting.front() != Some(&seq) {
            return false;
        }
        queue.attempts = queue.attempts.saturating_add(1);
        queue.why = Some(why);
        let since = *queue.since.get_or_insert(now);
        let was_parked = queue.parked;
        queue.parked = was_parked || now - since >= PATIENCE;
        let pause = if queue.parked { LONGEST_PAUSE } else { pause(queue.attempts) };
        let pause = pause.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0);
        queue.next = Some(now + TimeDelta::from_std(pause).unwrap_or(PATIENCE));
        queue.parked && !was_parked
    }
}

/// The pause after an attempt that failed, the first being 1.
fn pause(attempt: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn due(ledger: &Ledger, now: DateTime<Utc>, busy: &[u128]) -> Vec<Seq> {
        let busy = busy.iter().map(|n| id(*n)).collect();
        ledger.due(now, &busy).into_iter().map(|due| due.seq).collect()
    }

    /// Three articles: 1 and 4 of the first, 2 of the second, 5 of the third; 3 is none of the subscriber's.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::beginning(0);
        for (seq, article) in [(1, Some(1)), (2, Some(2)), (3, None), (4, Some(1)), (5, Some(3))] {
            ledger.read(seq, article.map(id));
        }
        ledger
    }

    #[test]
    fn what_the_wire_lacks_was_not_read() {
        let mut set_back = ledger();
        set_back.set_back(9);
        assert_eq!(set_back, ledger());
        set_back.set_back(3);
        assert_eq!((set_back.read, due(&set_back, noon(), &[])), (3, vec![1, 2]));
        set_back.read(4, Some(id(3)));
        assert_eq!(due(&set_back, noon(), &[]), [1, 2, 4]);
        // What comes where it began is for it.
        let mut began_later = Ledger::beginning(5);
        began_later.set_back(3);
        assert_eq!((began_later.began, began_later.read), (3, 3));
    }

    #[test]
    fn an_articles_messages_go_one_after_the_other_and_no_article_waits_for_another() {
        let mut ledger = ledger();
        assert_eq!(due(&ledger, noon(), &[]), [1, 2, 5]);
        assert_eq!(due(&ledger, noon(), &[1]), [2, 5]);
        ledger.failed(id(1), 1, Why::Timeout, noon(), 0.5);
        assert_eq!(due(&ledger, noon(), &[]), [2, 5], "the fourth doesn't overtake the first");
        ledger.taken(id(2), 2, noon());
        let later = noon() + TimeDelta::seconds(1);
        assert_eq!(due(&ledger, later, &[]), [1, 5]);
        ledger.taken(id(1), 1, later);
        assert_eq!(due(&ledger, later, &[]), [4, 5]);
        ledger.taken(id(1), 4, later);
        ledger.done_with(id(3), 5);
        assert_eq!((ledger.read, ledger.queues.len(), ledger.next_due(&BTreeSet::new())), (5, 0, None));
    }

    #[test]
    fn what_was_written_down_and_read_again_is_the_same() {
        let mut ledger = ledger();
        ledger.failed(id(1), 1, Why::Status(503), noon(), 0.5);
        ledger.taken(id(2), 2, noon());
        let text = serde_json::to_string(&ledger).unwrap();
        assert_eq!(serde_json::from_str::<Ledger>(&text).unwrap(), ledger);
        // A tail that begins again brings what was read.
        ledger.read(4, Some(id(1)));
        assert_eq!(ledger.queues[&id(1)].waiting, [1, 4]);
    }

    #[test]
    fn a_pause_that_a_clock_set_back_makes_too_long_is_over() {
        let mut ledger = ledger();
        ledger.failed(id(1), 1, Why::Timeout, noon(), 0.5);
        let is_due = |ledger: &Ledger, now| due(ledger, now, &[]).contains(&1);
        assert!(!is_due(&ledger, noon()) && !is_due(&ledger, noon() - TimeDelta::minutes(10)));
        assert!(is_due(&ledger, noon() - TimeDelta::hours(1)));
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread() {
        assert_eq!([1, 2, 3, 10, 11, 99].map(|n| pause(n).as_secs()), [1, 2, 4, 512, 600, 600]);
        let at = |jitter| {
            let mut ledger = ledger();
            ledger.failed(id(1), 1, Why::Timeout, noon(), jitter);
            ledger.queues[&id(1)].next.unwrap() - noon()
        };
        assert_eq!((at(0.0).num_milliseconds(), at(1.0).num_milliseconds()), (750, 1250));
    }

    /// Fails an article until it is parked, and says when that was.
    fn fail_until_parked(ledger: &mut Ledger, article: u128) -> DateTime<Utc> {
        let (mut now, seq) = (noon(), ledger.queues[&id(article)].waiting[0]);
        while !ledger.failed(id(article), seq, Why::Status(500), now, 0.5) {
            now = ledger.queues[&id(article)].next.unwrap();
        }
        now
    }

    #[test]
    fn after_a_day_an_article_is_parked_and_nothing_else_is() {
        let mut ledger = ledger();
        ledger.taken(id(3), 5, noon() + TimeDelta::hours(1));
        let parked = fail_until_parked(&mut ledger, 1);
        assert!(parked - noon() >= PATIENCE && parked - noon() < PATIENCE + TimeDelta::minutes(11));
        assert_eq!((due(&ledger, parked, &[]), ledger.counts()), (vec![2], (1, 2)));
        // Another article's success doesn't bring it back: its receiver was well all along.
        ledger.taken(id(2), 2, parked);
        assert_eq!((due(&ledger, parked, &[]), ledger.counts()), (vec![], (0, 2)));
        // Its own withdrawal does, in order.
        ledger.read(6, Some(id(1)));
        assert_eq!((due(&ledger, parked, &[]), ledger.counts()), (vec![1], (3, 0)));
    }

    #[test]
    fn what_was_parked_while_the_receiver_was_down_is_tried_again_when_it_is_back() {
        let mut ledger = ledger();
        let parked = fail_until_parked(&mut ledger, 1);
        assert!(ledger.is_down());
        ledger.taken(id(2), 2, parked);
        assert_eq!((due(&ledger, parked, &[]), ledger.counts()), (vec![1, 5], (3, 0)));
        assert!(!ledger.is_down());
    }

    #[test]
    fn a_receiver_that_is_back_is_tried_with_everything_at_once() {
        let mut ledger = ledger();
        for _ in 0..3 {
            ledger.failed(id(1), 1, Why::Unreachable, noon(), 0.5);
            ledger.failed(id(2), 2, Why::Unreachable, noon(), 0.5);
        }
        assert_eq!(due(&ledger, noon(), &[]), [5]);
        ledger.taken(id(3), 5, noon());
        assert_eq!(due(&ledger, noon(), &[]), [1, 2]);
    }

    #[test]
    fn while_a_receiver_is_down_the_wire_is_not_read_far_ahead() {
        let mut ledger = Ledger::beginning(0);
        for _ in 0..DOWN_AFTER {
            ledger.failed(id(0), 1, Why::Unreachable, noon(), 0.5);
        }
        let mut seq = 0;
        while ledger.has_room() {
            seq += 1;
            ledger.read(seq, Some(id(seq.into())));
        }
        assert_eq!(seq, 32);
        ledger.taken(id(1), 1, noon());
        while ledger.has_room() {
            seq += 1;
            ledger.read(seq, Some(id(seq.into())));
        }
        assert_eq!(ledger.counts(), (1000, 0));
    }

    proptest! {
        /// Whatever fails, is erased, or is written down and read again with what was taken since forgotten: every
        /// message is sent until it is taken, and none before an earlier one of its article.
        #[test]
        fn nothing_is_lost_and_nothing_is_overtaken(
            articles in prop::collection::vec(1..5u128, 1..40),
            steps in prop::collection::vec(0..6u8, 0..200),
        ) {
            let (mut ledger, mut now) = (Ledger::beginning(0), noon());
            let mut kept = ledger.clone();
            let mut taken: BTreeMap<u128, Vec<Seq>> = BTreeMap::new();
            let of = |seq: Seq| articles[usize::try_from(seq).unwrap() - 1];
            let idle = BTreeSet::new();
            // At the end nothing fails any more. All of it within a day, so that nothing is parked.
            let calm = std::iter::repeat_n(5, articles.len() * 4 + 10);
            for step in steps.into_iter().chain(calm) {
                now += TimeDelta::minutes(3);
                if usize::try_from(ledger.read).unwrap() < articles.len() {
                    let seq = ledger.read + 1;
                    ledger.read(seq, Some(id(of(seq))));
                }
                let Some(due) = ledger.due(now, &idle).first().copied() else { continue };
                match step {
                    0 => ledger = serde_json::from_slice(&serde_json::to_vec(&kept).unwrap()).unwrap(),
                    1 => kept = ledger.clone(),
                    2 | 3 => drop(ledger.failed(due.article, due.seq, Why::Timeout, now, 0.5)),
                    _ => {
                        let before = taken.entry(of(due.seq)).or_default();
                        let next = (1..=articles.len() as Seq).find(|seq| of(*seq) == of(due.seq) && !before.contains(seq));
                        prop_assert!(before.contains(&due.seq) || next == Some(due.seq), "{due:?} {before:?}");
                        before.push(due.seq);
                        ledger.taken(due.article, due.seq, now);
                    }
                }
            }
            for seq in 1..=articles.len() as Seq {
                prop_assert!(taken.get(&of(seq)).is_some_and(|taken| taken.contains(&seq)), "{seq}");
            }
            prop_assert!(ledger.queues.is_empty());
        }
    }

    /// Everything that there is room for is parked, one article each; and when the last was.
    fn full_of_parked() -> (Ledger, DateTime<Utc>) {
        let (mut ledger, mut seq, mut now) = (Ledger::beginning(0), 0, noon());
        while ledger.has_room() {
            while ledger.has_room() {
                seq += 1;
                ledger.read(seq, Some(id(seq.into())));
            }
            let new = due(&ledger, now, &[]);
            for at in [now, now + PATIENCE] {
                for seq in &new {
                    ledger.failed(id((*seq).into()), *seq, Why::Unreachable, at, 0.5);
                }
            }
            now += PATIENCE;
        }
        assert_eq!(ledger.counts(), (0, 2000));
        (ledger, now)
    }

    #[test]
    fn where_all_that_there_is_room_for_is_parked_one_is_tried_now_and_then() {
        let (mut ledger, mut now) = full_of_parked();
        let (pause, idle) = (TimeDelta::from_std(LONGEST_PAUSE).unwrap(), BTreeSet::new());
        // Written down by a build that knew of no such attempts, it goes on at once.
        let mut old = ledger.clone();
        old.queues.values_mut().for_each(|queue| queue.next = None);
        assert_eq!((due(&old, now, &[]), old.next_due(&idle)), (vec![1], Some(DateTime::UNIX_EPOCH)));
        // One refuses, and the next pause's attempt is another's: the first may be refused for good.
        for seq in [1, 2, 3] {
            assert!(due(&ledger, now, &[]).is_empty());
            assert_eq!(ledger.next_due(&idle), Some(now + pause));
            now += pause;
            assert_eq!((due(&ledger, now, &[]), ledger.next_due(&idle)), (vec![seq], Some(now)));
            let busy = BTreeSet::from([id(seq.into())]);
            assert!(ledger.due(now, &busy).is_empty() && ledger.next_due(&busy).is_none(), "one at a time");
            let parks = ledger.failed(id(seq.into()), seq, Why::Unreachable, now, 0.5);
            assert!(!parks && ledger.counts() == (0, 2000), "it was parked before");
        }
        // A clock that was set back.
        assert_eq!(due(&ledger, now - TimeDelta::days(1), &[]), [4]);
        // It is back, and all of it was parked while nothing was taken.
        now += pause;
        ledger.taken(id(4), 4, now);
        assert_eq!((due(&ledger, now, &[]).len(), ledger.counts()), (1999, (1999, 0)));
        // A receiver that said it is gone isn't asked.
        let (mut gone, now) = full_of_parked();
        gone.gone = Some("x".into());
        assert_eq!((due(&gone, now + pause, &[]), gone.next_due(&idle)), (vec![], None));
    }

    #[test]
    fn a_receiver_that_is_gone_is_sent_nothing() {
        let mut ledger = ledger();
        ledger.gone = Some("x".into());
        assert!(due(&ledger, noon(), &[]).is_empty() && !ledger.has_room());
        assert_eq!(ledger.next_due(&BTreeSet::new()), None);
        ledger.try_again();
        assert_eq!((due(&ledger, noon(), &[]), ledger.has_room()), (vec![1, 2, 5], true));
    }

    #[test]
    fn what_is_parked_is_tried_again_where_someone_asks_for_it() {
        let mut ledger = ledger();
        ledger.taken(id(3), 5, noon() + TimeDelta::hours(1));
        let parked = fail_until_parked(&mut ledger, 1);
        ledger.try_again();
        assert_eq!((due(&ledger, parked, &[]), ledger.counts()), (vec![1, 2], (3, 0)));
    }
}
