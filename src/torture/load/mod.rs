//! Newsroom tools at work: many at once, on shared articles and on their own, impatient and forgetful.
//!
//! The seed decides what each of them sets out to do, in which order, as whom and through which door; how far the others
//! have come by then is up to the machine.
//!
//! # Layout
//! - this file: what all tools share: the doors, the journal, and whether they are to work or to wait.
//! - [`doors`]: the ways in. [`tool`]: one tool, and how it sends. [`story`]: what it does to an article.
//! - [`prose`]: sentences with marked words.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
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

/// Among how many accepted commands one is sent again to see whether an instance answers.
const AMONG: usize = 20;
/// The pause before it is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How commands ended so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Sendings answered with success.
    pub accepted: AtomicU64,
    /// Sendings that were refused.
    pub refused: AtomicU64,
    /// Of these, sendings that were only asked to come again.
    pub put_off: AtomicU64,
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
    /// Whether the load is over for good: who reads slowly takes as much as comes, to have it all before the last look.
    pub is_over: AtomicBool,
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
            is_over: AtomicBool::new(false),
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
        if matches!(&outcome, Outcome::Refused { status, .. } if AGAIN.contains(status)) {
            self.counts.put_off.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(sent) = self.journal().sent.get_mut(at) {
            sent.note(outcome.clone(), was_accepted);
        }
        outcome
    }

    /// How many sendings got a definite answer: one that asks to come again is none.
    pub fn definite(&self) -> u64 {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        // Of what comes meanwhile more may be put off than was refused when that was looked at.
        let put_off = count(&self.counts.put_off);
        (count(&self.counts.accepted) + count(&self.counts.refused)).saturating_sub(put_off)
    }
}

/// The tools of a house.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    go: watch::Sender<bool>,
    tools: JoinSet<()>,
    count: usize,
    /// What decides what is sent again: of its own, since how often it falls turns on how much was accepted.
    repeats: Dice,
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
        let repeats = dice.another(tools as u64);
        Self { shared: Arc::clone(shared), go, tools: set, count: tools, repeats }
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

impl Load {
    /// Sends accepted commands again, each through a door of its own: whatever comes is in the journal.
    pub async fn repeat(&mut self, count: usize) {
        let accepted: Vec<(String, Value)> = {
            let journal = self.shared.journal();
            let accepted =
                journal.sent.iter().filter(|sent| !sent.is_try() && sent.accepted().next().is_some());
            accepted.map(|sent| (sent.actor.clone(), sent.command.clone())).collect()
        };
        let doors = self.shared.doors.all();
        let mut under_way = JoinSet::new();
        for _ in 0..count.min(accepted.len()) {
            let command = self.repeats.pick(&accepted).cloned();
            let (Some((actor, command)), Some(door)) = (command, self.repeats.pick(&doors).copied()) else {
                return;
            };
            let shared = Arc::clone(&self.shared);
            under_way.spawn(async move { shared.send(door, &actor, &command).await });
            if under_way.len() >= 8 {
                under_way.join_next().await;
            }
        }
        under_way.join_all().await;
    }
}

/// The ways in through which nothing is answered with success within so long, though nothing is done to anybody: accepted
/// commands are sent again through each.
pub async fn silent(shared: &Shared, within: Duration) -> Vec<String> {
    let newest: Vec<(String, Value)> = {
        let journal = shared.journal();
        let accepted =
            journal.sent.iter().rev().filter(|sent| !sent.is_try() && sent.accepted().next().is_some());
        // Of one that was erased since nothing is answered again.
        accepted.take(AMONG).map(|sent| (sent.actor.clone(), sent.command.clone())).collect()
    };
    let mut silent = Vec::new();
    for door in shared.doors.all() {
        let deadline = Instant::now() + within;
        for (actor, command) in newest.iter().cycle() {
            let outcome = shared.send(door, actor, command).await;
            if matches!(outcome, Outcome::Accepted(_)) {
                break;
            }
            if Instant::now() > deadline {
                silent.push(format!("{door:?} answers nothing with success at rest, but {outcome:?}"));
                break;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
    silent
}

/// The text of a member that must be an id.
fn id_of(value: &Value, name: &str) -> Option<Uuid> {
    value.text(name).parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::post;
    use serde_json::json;

    use super::*;

    async fn asked_at(status: StatusCode, answer: Value) -> Shared {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let body = answer.to_string();
        let router = Router::new().route("/v1/commands", post(async move || (status, body)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let shared = Shared::new(Doors::new(1, None));
        shared.doors.moved(0, Some(&url));
        let mut sent = Sent::new("ana", &json!({"id": "1"}));
        sent.note(Outcome::Accepted(Value::Null), false);
        shared.journal().sent.push(sent);
        shared
    }

    #[tokio::test]
    async fn an_instance_that_only_asks_to_come_again_is_silent() {
        let refusal = json!({"code": "log_unavailable"});
        let shared = asked_at(StatusCode::SERVICE_UNAVAILABLE, refusal).await;
        let found = silent(&shared, Duration::from_millis(10)).await;
        assert_eq!((found.len(), shared.definite()), (1, 0), "{found:?}");
        let shared = asked_at(StatusCode::OK, json!({"version": 1})).await;
        assert_eq!(silent(&shared, Duration::from_millis(10)).await, Vec::<String>::new());
        assert_eq!(shared.definite(), 1);
    }
}
