//! Newsroom tools at work: many at once, on shared articles and on their own, impatient and forgetful.
//!
//! The seed decides what each of them sets out to do, in which order, as whom and through which door; how far the others
//! have come by then is up to the machine.
//!
//! # Layout
//! - this file: what all tools share: the doors, the journal, and whether they are to work or to wait.
//! - [`doors`]: the ways in. [`tool`]: one tool, and how it sends. [`story`]: what it does to an article.
//! - [`prose`]: sentences with marked words.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{collections::HashMap, sync::Arc};

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

pub mod doors;
mod prose;
mod story;
mod tool;

use super::dice::Dice;
use super::journal::{AGAIN, Journal, Members, Outcome, Sent};
use doors::Doors;
use tool::Tool;

/// How commands ended so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Sendings answered with success.
    pub accepted: AtomicU64,
    /// Sendings that were refused.
    pub refused: AtomicU64,
    /// Sendings whose outcome stayed open.
    pub unknown: AtomicU64,
    /// Bytes of commands.
    pub bytes: AtomicU64,
}

/// What all tools of a house share.
#[derive(Debug)]
pub struct Shared {
    /// The ways in.
    pub doors: Doors,
    /// How commands ended.
    pub counts: Counts,
    journal: Mutex<Journal>,
    /// Where in the journal a command stands: by who sent it, and its bytes.
    known: Mutex<HashMap<(String, String), usize>>,
    /// The articles that everybody writes.
    stories: Mutex<Vec<Uuid>>,
    waiting: AtomicUsize,
}

impl Shared {
    /// Nothing was sent yet.
    pub fn new(doors: Doors) -> Self {
        Self {
            doors,
            counts: Counts::default(),
            journal: Mutex::default(),
            known: Mutex::default(),
            stories: Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The journal.
    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stories(&self) -> MutexGuard<'_, Vec<Uuid>> {
        self.stories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a command once, and writes down what became of it. It is in the journal before it is on its way.
    pub async fn send(&self, door: doors::Door, actor: &str, command: &Value) -> Outcome {
        let key = (actor.to_owned(), command.to_string());
        self.counts.bytes.fetch_add(key.1.len() as u64, Ordering::Relaxed);
        let (at, was_accepted) = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let mut journal = self.journal();
            let at = *known.entry(key).or_insert_with(|| {
                journal.sent.push(Sent::new(actor, command));
                journal.sent.len() - 1
            });
            let sent = journal.sent.get_mut(at);
            let was_accepted = sent.is_some_and(|sent| {
                sent.sendings += 1;
                sent.accepted().next().is_some()
            });
            (at, was_accepted)
        };
        let outcome = self.doors.send(door, actor, command).await;
        let count = match &outcome {
            Outcome::Accepted(_) => &self.counts.accepted,
            Outcome::Refused { .. } => &self.counts.refused,
            Outcome::Unknown => &self.counts.unknown,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(sent) = self.journal().sent.get_mut(at) {
            sent.note(outcome.clone(), was_accepted);
        }
        outcome
    }

    /// How many sendings got a definite answer.
    pub fn definite(&self) -> u64 {
        self.counts.accepted.load(Ordering::Relaxed) + self.counts.refused.load(Ordering::Relaxed)
    }
}

/// The tools of a house.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    go: watch::Sender<bool>,
    tools: JoinSet<()>,
    count: usize,
}

impl Load {
    /// So many tools, which wait until they are told to work.
    pub fn new(shared: &Arc<Shared>, tools: usize, dice: &mut Dice) -> Self {
        let (go, told) = watch::channel(false);
        let mut set = JoinSet::new();
        for number in 0..tools {
            let tool = Tool::new(Arc::clone(shared), told.clone(), dice.another(number as u64));
            set.spawn(tool.work());
        }
        Self { shared: Arc::clone(shared), go, tools: set, count: tools }
    }

    /// Has them work.
    pub fn go(&self) {
        self.go.send_replace(true);
    }

    /// Has them wait, once each knows what became of its last command. False where that takes too long.
    pub async fn pause(&mut self, within: Duration) -> bool {
        self.go.send_replace(false);
        let deadline = Instant::now() + within;
        while self.shared.waiting.load(Ordering::SeqCst) < self.count {
            if Instant::now() > deadline || self.tools.try_join_next().is_some() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        true
    }

    /// Returns once so many more definite answers have come. False where that takes too long.
    pub async fn more(&self, answers: u64, within: Duration) -> bool {
        let (until, deadline) = (self.shared.definite() + answers, Instant::now() + within);
        while self.shared.definite() < until {
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }
}

impl Load {
    /// Commands whose last sending left open what became of them: what each tool still waits for is among these.
    pub fn open(&self) -> String {
        let journal = self.shared.journal();
        let is_open = |sent: &&Sent| match sent.outcomes.last() {
            Some(Outcome::Accepted(_)) => false,
            Some(Outcome::Refused { status, .. }) => AGAIN.contains(status),
            Some(Outcome::Unknown) | None => true,
        };
        let insisted = journal.sent.iter().rev().filter(is_open).filter(|sent| sent.sendings > 5);
        let line = |sent: &Sent| {
            let command = sent.command.to_string();
            let shown: String = command.chars().take(300).collect();
            format!("{} sendings by {} of {shown}: {:?}", sent.sendings, sent.actor, sent.outcomes.last())
        };
        insisted.take(3).map(line).collect::<Vec<_>>().join("; ")
    }
}

/// Sends accepted commands again, each through a door of its own: whatever comes is in the journal.
pub async fn repeat(shared: &Arc<Shared>, dice: &mut Dice, count: usize) {
    let accepted: Vec<(String, Value)> = {
        let journal = shared.journal();
        let accepted = journal.sent.iter().filter(|sent| !sent.is_try() && sent.accepted().next().is_some());
        accepted.map(|sent| (sent.actor.clone(), sent.command.clone())).collect()
    };
    let doors = shared.doors.all();
    let mut under_way = JoinSet::new();
    for _ in 0..count.min(accepted.len()) {
        let (Some((actor, command)), Some(door)) =
            (dice.pick(&accepted).cloned(), dice.pick(&doors).copied())
        else {
            return;
        };
        let shared = Arc::clone(shared);
        under_way.spawn(async move { shared.send(door, &actor, &command).await });
        if under_way.len() >= 8 {
            under_way.join_next().await;
        }
    }
    under_way.join_all().await;
}

/// The text of a member that must be an id.
fn id_of(value: &Value, name: &str) -> Option<Uuid> {
    value.text(name).parse().ok()
}
