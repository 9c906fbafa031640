//! Group commit: events that wait while another publication is under way go together, as one atomic batch (ADR-50).
//!
//! Where the server syncs each message before it acknowledges it (`sync_interval: always`), single messages pay for
//! a sync each; a batch pays once, from server 2.15 on. Elsewhere a batch costs the server more than its messages
//! would: only a log that is configured as [`super::Durability::Always`], on such a server, has this.
//!
//! One publication is under way at a time: a lone event goes as it is; whatever comes meanwhile goes as the next
//! batch. What the batch's answer means for each message of it:
//!
//! | answer | means |
//! |---|---|
//! | acknowledgement, and the first message is where it must be | written, each at its own position |
//! | acknowledgement, and it isn't, or can't be looked at | unknown |
//! | a refusal that is sure to come before anything is stored | each goes by itself, and gets its own answer |
//! | anything else | unknown |
//!
//! The look at the first message is there because the acknowledgement names only the last position and how many were
//! sent: a server that failed to store one in the middle (servers up to 2.12.8 go on after that) would leave all
//! positions before it one off. A batch's messages stand side by side, so where the first is in its place, all are.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::api::{ACK_TIMEOUT, Ask, Guard, Meaning, Raw};
use crate::log::settle::is_ours;
use crate::log::{Message, Seq};

/// The most messages in a batch; the server takes 1,000.
const MOST: usize = 500;
/// A batch is closed when its bodies have this many bytes.
const MOST_BYTES: usize = 4 << 20;

/// How long the next batch waits at most for those who were answered with the last one.
const LONGEST_LINGER: Duration = Duration::from_millis(5);

/// The events of one instance that wait to be published.
#[derive(Debug)]
pub(super) struct Batches {
    raw: Raw,
    queue: Mutex<Queue>,
    /// Told when as many wait as are wanted.
    enough: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whether a publication is under way, by whoever has the baton.
    under_way: bool,
    waiting: Vec<Waiting>,
    /// How many the next batch waits for, for a moment.
    wanted: usize,
}

#[derive(Debug)]
struct Waiting {
    message: Message,
    /// The expected last position on its subject.
    expected: Seq,
    tell: oneshot::Sender<Turn>,
}

/// What becomes of a message that wants to be published.
#[derive(Debug)]
pub(super) enum Turn {
    /// It goes by itself, while others wait for the baton.
    Alone(Baton),
    /// It went with others and is written.
    Written(Seq),
    /// It went with others, and nothing was written: it goes by itself, without waiting.
    Apart,
    /// It went with others, and may be written or not.
    Unknown(String),
}

/// The right to publish; whoever drops it lets the next ones go.
#[derive(Debug)]
pub(super) struct Baton(Arc<Batches>);

impl Drop for Baton {
    fn drop(&mut self) {
        Batches::go_on(&self.0);
    }
}

impl Batches {
    pub(super) fn new(raw: Raw) -> Self {
        Self { raw, queue: Mutex::default(), enough: Notify::new() }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the message's turn, or until it was published with others.
    pub(super) async fn turn(self: &Arc<Self>, message: &Message, expected: Seq) -> Turn {
        let told = {
            let mut queue = self.queue();
            if !queue.under_way {
                queue.under_way = true;
                return Turn::Alone(Baton(Arc::clone(self)));
            }
            let (tell, told) = oneshot::channel();
            queue.waiting.push(Waiting { message: message.clone(), expected, tell });
            if queue.waiting.len() == queue.wanted {
                self.enough.notify_one();
            }
            told
        };
        told.await.unwrap_or_else(|_| Turn::Unknown("its batch was given up".to_owned()))
    }

    /// Waits for so many more, for a part of the time that their batch took.
    async fn gather(&self, more: usize, patience: Duration) {
        {
            let mut queue = self.queue();
            queue.wanted = queue.waiting.len() + more;
        }
        // Too few of them is no harm.
        let _ = tokio::time::timeout(patience.min(LONGEST_LINGER), self.enough.notified()).await;
        self.queue().wanted = 0;
    }

    /// Lets go what waits: one by itself, several as a batch.
    fn go_on(this: &Arc<Self>) {
        let mut group = {
            let mut queue = this.queue();
            let group = next_group(&mut queue.waiting);
            queue.under_way = !group.is_empty();
            group
        };
        match group.len() {
            0 => {}
            1 => {
                // Should it have gone away at this moment, the baton comes back and is passed on.
                let alone =
                    group.pop().map(|waiting| waiting.tell.send(Turn::Alone(Baton(Arc::clone(this)))));
                drop(alone);
            }
            _ => {
                let baton = Baton(Arc::clone(this));
                // By itself: none of those who wait for it may take it with them when they go.
                // Without a runtime everything is ending, and who waits is told that it is unknown.
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(publish(baton, group));
                }
            }
        }
    }
}

/// Takes out what can go together: of each subject the first message, up to the bounds. Who stopped waiting is left
/// out, and so is sure to be unwritten.
fn next_group(waiting: &mut Vec<Waiting>) -> Vec<Waiting> {
    let (mut group, mut rest) = (Vec::new(), Vec::new());
    let (mut subjects, mut bytes) = (HashSet::new(), 0);
    for one in waiting.drain(..).filter(|one| !one.tell.is_closed()) {
        let size = one.message.body.len();
        let has_room = group.len() < MOST && (group.is_empty() || bytes + size <= MOST_BYTES);
        if has_room && subjects.insert(one.message.subject.clone()) {
            bytes += size;
            group.push(one);
        } else {
            rest.push(one);
        }
    }
    *waiting = rest;
    group
}

/// Publishes a group as one batch and tells each what became of it.
async fn publish(baton: Baton, group: Vec<Waiting>) {
    let batches = Arc::clone(&baton.0);
    let (count, begun) = (group.len(), Instant::now());
    let outcome = match send(&batches.raw, &group).await {
        Ok(last) => look(&batches.raw, &group, last).await,
        Err(outcome) => outcome,
    };
    for (place, waiting) in (0..).zip(group) {
        let turn = match &outcome {
            Outcome::Written(first) => Turn::Written(first + place),
            Outcome::Refused => Turn::Apart,
            Outcome::Unknown(why) => Turn::Unknown(why.clone()),
        };
        // Whoever has stopped waiting finds out by settling.
        let _ = waiting.tell.send(turn);
    }
    // Those just answered tend to come again: without lingering they and those who wait would go by turns.
    batches.gather(count, begun.elapsed() / 2).await;
    drop(baton);
}

/// What became of a batch.
enum Outcome {
    /// Written, from this position on.
    Written(Seq),
    /// Nothing of it is written, for certain.
    Refused,
    Unknown(String),
}

/// Sends a batch, and returns the position of its last message.
async fn send(raw: &Raw, group: &[Waiting]) -> Result<Seq, Outcome> {
    let batch = Uuid::new_v4().simple().to_string();
    for (number, Waiting { message, expected, .. }) in (1..).zip(group) {
        let guard = Guard { subject: Some(*expected), stream: None };
        let mut headers = raw.headers(&message.id, &message.headers, guard);
        headers.insert("Nats-Batch-Id", batch.as_str());
        headers.insert("Nats-Batch-Sequence", number.to_string());
        let body = message.body.clone();
        if number < group.len() {
            // Without its commit nothing of a batch is ever written.
            let subject = raw.full(&message.subject);
            let sent = raw.client.publish_with_headers(subject, headers, body).await;
            sent.map_err(|_| Outcome::Refused)?;
            continue;
        }
        headers.insert("Nats-Batch-Commit", "1");
        return match raw.publish_with(&message.subject, headers, body, ACK_TIMEOUT).await {
            Ok(ack) if ack.batch == batch && ack.count == group.len() && ack.seq >= ack.count as Seq => {
                Ok(ack.seq)
            }
            Ok(ack) => Err(Outcome::Unknown(format!("an acknowledgement of another batch: {ack:?}"))),
            Err(Meaning::Unknown(why)) => Err(Outcome::Unknown(why)),
            // One of them was stored before, its answer lost: alone each finds out.
            Err(_) => Err(Outcome::Refused),
        };
    }
    Err(Outcome::Refused)
}

/// Sees that the first message of a batch is where it must be.
async fn look(raw: &Raw, group: &[Waiting], last: Seq) -> Outcome {
    let first = last + 1 - group.len() as Seq;
    match (raw.get(Ask::At(first)).await, group.first()) {
        (Ok(Some(entry)), Some(waiting)) if is_ours(&waiting.message, &entry) == Some(true) => {
            Outcome::Written(first)
        }
        (Err(error), _) => Outcome::Unknown(error.to_string()),
        _ => Outcome::Unknown("a batch is not where it was acknowledged".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn waiting(subject: &str, bytes: usize) -> (Waiting, oneshot::Receiver<Turn>) {
        let (tell, told) = oneshot::channel();
        let body = Bytes::from(vec![b'x'; bytes]);
        let message = Message { subject: subject.into(), id: "1".into(), headers: Vec::new(), body };
        (Waiting { message, expected: 0, tell }, told)
    }

    fn subjects(group: &[Waiting]) -> Vec<&str> {
        group.iter().map(|waiting| &*waiting.message.subject).collect()
    }

    #[test]
    fn a_group_has_one_message_of_each_subject_and_leaves_out_who_is_gone() {
        let (all, mut told): (Vec<_>, Vec<_>) =
            ["a", "b", "a", "c", "b"].map(|subject| waiting(subject, 1)).into_iter().unzip();
        let mut queue = all;
        drop(told.remove(1));
        assert_eq!(subjects(&next_group(&mut queue)), ["a", "c", "b"], "the first b is gone");
        assert_eq!(subjects(&next_group(&mut queue)), ["a"]);
        assert!(next_group(&mut queue).is_empty());
    }

    #[test]
    fn a_group_is_bounded_by_number_and_bytes_and_takes_any_single_message() {
        let big = MOST_BYTES / 2 + 1;
        let (mut queue, _told): (Vec<_>, Vec<_>) = [("a", 2 * MOST_BYTES), ("b", big), ("c", big), ("d", 1)]
            .map(|(s, b)| waiting(s, b))
            .into_iter()
            .unzip();
        assert_eq!(subjects(&next_group(&mut queue)), ["a"]);
        assert_eq!(subjects(&next_group(&mut queue)), ["b", "d"]);
        assert_eq!(subjects(&next_group(&mut queue)), ["c"]);
        let (mut queue, _told): (Vec<_>, Vec<_>) = (0..MOST + 1).map(|n| waiting(&n.to_string(), 1)).unzip();
        assert_eq!((next_group(&mut queue).len(), next_group(&mut queue).len()), (MOST, 1));
    }
}
