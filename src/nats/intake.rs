//! Commands on their way in: who asks, whether there is room, and whose turn it is.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use async_nats::{Client, Message, Subject};
use copydesk_article::answer::Answer;
use copydesk_article::command::{Ask, Command, Hints};
use copydesk_article::ids;
use copydesk_article::limits;
use copydesk_article::problem::{Code, Problem};
use futures::FutureExt;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::connect::OWN_INBOXES;
use super::turns::{Turn, Turns};
use super::{Options, Stats, answer};
use crate::desk::Desk;
use crate::door::Meter;
use crate::metrics::Metrics;

/// Takes messages, and has each answered.
#[derive(Debug)]
pub(super) struct Intake {
    options: Options,
    room: Arc<Semaphore>,
    room_bytes: Arc<Semaphore>,
    turns: Turns,
    actors: Meter<Arc<str>>,
    office: Office,
}

/// What answering a command needs.
#[derive(Debug, Clone)]
struct Office {
    client: Client,
    desk: Arc<Desk>,
    stats: Arc<Stats>,
    metrics: Arc<Metrics>,
}

/// A command taken, with its place among those under way.
struct Taken {
    actor: Arc<str>,
    turn: Option<Turn>,
    _room: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Intake {
    pub(super) fn new(client: Client, desk: Arc<Desk>, stats: Arc<Stats>, mut options: Options) -> Self {
        options.in_flight_bytes = options.in_flight_bytes.max(largest());
        Self {
            room: Arc::new(Semaphore::new(options.in_flight as usize)),
            room_bytes: Arc::new(Semaphore::new(options.in_flight_bytes as usize)),
            turns: Turns::default(),
            actors: Meter::new(options.rate),
            office: Office { client, desk, stats, metrics: Arc::clone(&options.metrics) },
            options,
        }
    }

    pub(super) fn stats(&self) -> &Arc<Stats> {
        &self.office.stats
    }

    /// Takes a message, in order of arrival. Returns as soon as the next one can be taken.
    pub(super) async fn take(&self, message: Message) {
        let arrived = Instant::now();
        let Some(reply) = answer::inbox(message.reply.as_ref(), &self.options.inboxes).cloned() else {
            self.office.stats.passed_over();
            tracing::debug!(subject = %message.subject, "a command with no inbox to answer to was passed over");
            return;
        };
        if self.is_anothers(&reply, &message.subject) {
            self.office.stats.passed_over();
            tracing::debug!(subject = %message.subject, "a command with another's inbox to answer to was passed over");
            return;
        }
        match self.admit(&message) {
            Ok(taken) => {
                let office = self.office.clone();
                tokio::spawn(async move { office.attend(message, taken, reply, arrived).await });
            }
            Err(problem) => {
                let kind = kind(&message.subject);
                self.office.answer(reply, kind, Err(*problem), arrived).await;
            }
        }
    }

    /// Whether an answer would go to an inbox of somebody else in the newsroom, or of the service itself: where inboxes
    /// are given out by name, as `_INBOX.ana.>`.
    fn is_anothers(&self, reply: &Subject, subject: &str) -> bool {
        let Some((owner, _)) =
            reply.as_str().strip_prefix(&self.options.inboxes).and_then(|rest| rest.split_once('.'))
        else {
            return false;
        };
        let own = asked(subject, &self.options.prefix).is_some_and(|(actor, _)| actor == owner);
        let of_service = OWN_INBOXES.iter().any(|inboxes| inboxes.rsplit('.').next() == Some(owner));
        of_service || (!own && self.office.desk.store().newsroom().person(owner).is_some())
    }

    /// Size, identity and rate, in the contract's order; then its turn.
    fn admit(&self, message: &Message) -> Result<Taken, Box<Problem>> {
        let bytes = message.payload.len();
        if bytes > limits::COMMAND_BYTES {
            let detail = format!("a command has at most {} bytes", limits::COMMAND_BYTES);
            return Err(Problem::too_large("command", detail).into());
        }
        let actor: Arc<str> = match asked(&message.subject, &self.options.prefix) {
            Some((actor, _)) if ids::is_actor_name(actor) => Arc::from(actor),
            _ => {
                let detail = "the subject names nobody who could be in the newsroom: it has to be \
                              <prefix>.command.<actor>.<type>, the actor's name of [a-z0-9_-]";
                return Err(Problem::new(Code::Forbidden, detail).into());
            }
        };
        if self.actors.take(Arc::clone(&actor)).is_err() {
            let detail = "too many commands of yours: go slower";
            return Err(Problem::new(Code::Busy, detail).into());
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_owned();
        let room_bytes = Arc::clone(&self.room_bytes).try_acquire_many_owned(bytes);
        let (Ok(room), Ok(room_bytes)) = (room, room_bytes) else {
            let detail = "too many commands are under way here: try again in a moment";
            return Err(Problem::new(Code::Busy, detail).into());
        };
        let turn = article(&message.payload).map(|article| self.turns.take(article));
        Ok(Taken { actor, turn, _room: (room, room_bytes) })
    }

    /// Returns once everything taken is answered.
    pub(super) async fn finished(&self) {
        // Who has all the room knows that nobody else has any. It can't be closed.
        let _all = self.room.acquire_many(self.options.in_flight).await;
    }
}

impl Office {
    /// Has a command decided and answered.
    async fn attend(self, message: Message, taken: Taken, reply: Subject, arrived: Instant) {
        let Taken { actor, turn, _room } = taken;
        let decided = AssertUnwindSafe(self.decide(&message, &actor, turn)).catch_unwind().await;
        let result = match decided {
            Ok(result) => result,
            Err(_) => {
                tracing::error!(subject = %message.subject, "deciding a command panicked");
                let detail = "deciding it failed inside the service; it may have been written: send the same id \
                              again to find out";
                Err(Problem::new(Code::OutcomeUnknown, detail))
            }
        };
        self.answer(reply, kind(&message.subject), result, arrived).await;
    }

    async fn decide(
        &self,
        message: &Message,
        actor: &Arc<str>,
        turn: Option<Turn>,
    ) -> Result<Answer, Problem> {
        let kind = message.subject.as_str().rsplit('.').next();
        let command = Command::read(&message.payload, Hints { kind, id: None });
        let mut turn = turn;
        if let Some(turn) = &mut turn {
            turn.come().await;
        }
        let command = command?;
        let mut deciding = pin!(self.desk.command(actor, &command));
        // At its first poll the command takes its place in the article's lane; then the next may take theirs.
        match futures::poll!(&mut deciding) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                drop(turn);
                deciding.await
            }
        }
    }

    async fn answer(
        &self,
        reply: Subject,
        kind: Option<&'static str>,
        result: Result<Answer, Problem>,
        arrived: Instant,
    ) {
        self.metrics.command(kind, &result, arrived.elapsed());
        self.stats.answering(result.as_ref().err().map(|problem| problem.code), arrived.elapsed());
        answer::send(&self.client, reply, &result).await;
    }
}

/// The largest command, as what it takes of the room.
fn largest() -> u32 {
    u32::try_from(limits::COMMAND_BYTES).unwrap_or(u32::MAX)
}

/// The type that a subject ends with, where it is one.
fn kind(subject: &str) -> Option<&'static str> {
    let last = subject.rsplit('.').next()?;
    Ask::TYPES.iter().find(|kind| **kind == last).copied()
}

/// Actor and type, where the subject is the prefix, `command` and exactly these two.
fn asked<'a>(subject: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let rest = subject.strip_prefix(prefix)?.strip_prefix(".command.")?;
    rest.split_once('.').filter(|(_, kind)| !kind.contains('.'))
}

/// The article that a command is for, as far as it can be told without reading all of it: what is unreadable has
/// no turn, and is refused by whoever reads it.
fn article(body: &[u8]) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct Glance<'a> {
        #[serde(borrow)]
        id: Option<Cow<'a, str>>,
        #[serde(borrow)]
        article: Option<Cow<'a, str>>,
    }
    let Ok(glance) = serde_json::from_slice::<Glance<'_>>(body) else { return None };
    match glance.article {
        Some(article) => ids::parse_uuid(&article),
        // A draft's.
        None => ids::parse_uuid(&glance.id?).map(ids::article_of),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d11";

    #[test]
    fn a_subject_is_the_prefix_and_three_tokens() {
        assert_eq!(asked("copydesk.command.ana.draft", "copydesk"), Some(("ana", "draft")));
        assert_eq!(asked("news.desk.command.ana.draft", "news.desk"), Some(("ana", "draft")));
        for (subject, prefix) in [
            ("copydesk.command.ana", "copydesk"),
            ("copydesk.command.ana.draft.x", "copydesk"),
            ("copydesk.event.ana.draft", "copydesk"),
            ("copydeskcommand.ana.draft", "copydesk"),
            ("other.command.ana.draft", "copydesk"),
            ("news.desk.command.ana.draft", "news"),
        ] {
            assert_eq!(asked(subject, prefix), None, "{subject}");
        }
    }

    #[test]
    fn a_glance_tells_the_article() {
        let its = Uuid::try_parse(ID).unwrap();
        let long = format!(r#"{{"data":{{"ops":[{{"a":["]}}"]}}]}},"id":"x","article":"{ID}","base":1}}"#);
        assert_eq!(article(long.as_bytes()), Some(its));
        assert_eq!(article(format!(r#"{{"id":"{ID}"}}"#).as_bytes()), Some(ids::article_of(its)));
        assert_eq!(
            article(format!(r#"{{"article":null,"id":"{ID}"}}"#).as_bytes()),
            Some(ids::article_of(its))
        );
        let escaped = ID.replacen('0', "\\u0030", 1);
        assert_eq!(article(format!(r#"{{"article":"{escaped}"}}"#).as_bytes()), Some(its));
        for unreadable in ["", "[]", "{}", r#"{"article":7}"#, r#"{"article":"x"}"#, "{\"article\":"] {
            assert_eq!(article(unreadable.as_bytes()), None, "{unreadable}");
        }
    }
}
