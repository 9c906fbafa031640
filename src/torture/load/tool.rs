//! One tool, and how it sends: again after no answer, twice at once, again much later, under a used id, or not at all
//! after the first silence.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use super::Shared;
use super::doors::Door;
use super::id_of;
use crate::torture::dice::Dice;
use crate::torture::journal::{AGAIN, Members, Outcome, Seen, digest, essence};

/// The pause before a command goes again.
const AGAIN_AFTER: Duration = Duration::from_millis(15);

/// How many articles a tool has to itself.
const OWN: usize = 3;

/// The longest line that an article gets before it is left.
const LEFT_AT_VERSION: u64 = 160;

/// How a command ended for the tool that sent it.
pub(super) enum Ended {
    Accepted(Value),
    Refused,
    /// It stopped asking.
    LeftOpen,
}

/// A tool.
pub(super) struct Tool {
    pub(super) shared: Arc<Shared>,
    go: watch::Receiver<bool>,
    pub(super) dice: Dice,
    /// What it does is the only thing done to these.
    own: Vec<Uuid>,
}

impl Tool {
    pub(super) fn new(shared: Arc<Shared>, go: watch::Receiver<bool>, dice: Dice) -> Self {
        Self { shared, go, dice, own: Vec::new() }
    }

    /// Works for as long as anybody may tell it to.
    pub(super) async fn work(mut self) {
        loop {
            if !self.may_go().await {
                return;
            }
            let at = self.dice.roll(OWN as u64) as usize;
            if self.dice.chance(60) {
                match self.own.get(at).copied() {
                    Some(article) => {
                        if self.go_on(article, true).await {
                            self.own.remove(at);
                        }
                    }
                    None => {
                        let drafted = self.draft().await;
                        self.own.extend(drafted);
                    }
                }
            } else {
                let stories = self.shared.stories().clone();
                match self.dice.pick(&stories).copied() {
                    Some(article) if !self.dice.chance(2) => {
                        if self.go_on(article, false).await {
                            self.shared.stories().retain(|known| *known != article);
                        }
                    }
                    _ => {
                        let drafted = self.draft().await;
                        self.shared.stories().extend(drafted);
                    }
                }
            }
        }
    }

    /// Waits where it is to wait. False where nobody will tell it to go on.
    async fn may_go(&mut self) -> bool {
        if *self.go.borrow() {
            return true;
        }
        self.shared.waiting.fetch_add(1, Ordering::SeqCst);
        let told = self.go.wait_for(|go| *go).await.is_ok();
        self.shared.waiting.fetch_sub(1, Ordering::SeqCst);
        told
    }

    /// Does something to an article. True where it is to be left.
    async fn go_on(&mut self, article: Uuid, own: bool) -> bool {
        let Some(view) = self.look(article).await else { return false };
        let is_full = view.number("version") > LEFT_AT_VERSION || view.list("blocks").len() > 60;
        let is_over = view.list("editions").iter().any(|edition| edition.at("final") == &Value::Bool(true));
        self.act(&view, own).await;
        is_full || is_over
    }

    /// An article as some instance shows it now.
    pub(super) async fn look(&mut self, article: Uuid) -> Option<Value> {
        let instance = self.dice.roll(self.shared.doors.instances() as u64) as usize;
        let route = format!("/v1/articles/{article}");
        let (status, body) = self.shared.doors.get(instance, Some("carl"), &route).await?;
        let view: Value = serde_json::from_str(&body).ok().filter(|_| status == 200)?;
        let version = u32::try_from(view.number("version")).ok()?;
        let digest = digest(&essence(&view));
        self.shared.journal().seen.push(Seen { instance, article, version, digest });
        Some(view)
    }

    fn door(&mut self) -> Door {
        let doors = self.shared.doors.all();
        self.dice.pick(&doors).copied().unwrap_or(Door::Http(0))
    }

    /// Sends a command about an article, based on this revision, until it is told what became of it, or gives up.
    pub(super) async fn send(
        &mut self,
        actor: &str,
        kind: &str,
        about: (Option<&Value>, u64),
        data: Value,
    ) -> Ended {
        let mut command = json!({"id": self.dice.uuid(), "type": kind, "data": data});
        let (view, base) = about;
        if let (Some(members), Some(view)) = (command.as_object_mut(), view) {
            members.insert("article".to_owned(), view.at("article").clone());
            members.insert("base".to_owned(), json!(base));
        }
        if self.dice.chance(4)
            && let Some(members) = command.as_object_mut()
        {
            let mut trying = members.clone();
            trying.insert("try".to_owned(), Value::Bool(true));
            trying.insert("id".to_owned(), json!(self.dice.uuid()));
            let door = self.door();
            self.shared.send(door, actor, &Value::Object(trying)).await;
        }
        let ended = self.insist(actor, &command).await;
        if let Ended::Accepted(answer) = &ended {
            self.after(actor, &command, answer).await;
        }
        ended
    }

    async fn insist(&mut self, actor: &str, command: &Value) -> Ended {
        // A draw each, whatever comes of them, so that the dice fall the same way whatever is answered.
        let (doubled, forgetful) = (self.dice.chance(12), self.dice.chance(6));
        if !self.may_go().await {
            return Ended::LeftOpen;
        }
        let other = self.door();
        let mut twice = doubled;
        loop {
            let door = self.door();
            let outcome = if std::mem::take(&mut twice) {
                let both = (self.shared.send(door, actor, command), self.shared.send(other, actor, command));
                match futures::join!(both.0, both.1) {
                    (Outcome::Unknown, outcome) | (outcome, _) => outcome,
                }
            } else {
                self.shared.send(door, actor, command).await
            };
            match outcome {
                Outcome::Accepted(answer) => return Ended::Accepted(answer),
                Outcome::Refused { status, .. } if AGAIN.contains(&status) => {}
                Outcome::Refused { .. } => return Ended::Refused,
                Outcome::Unknown if forgetful => return Ended::LeftOpen,
                Outcome::Unknown => {}
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// What a tool that lost its memory does after an answer: it sends the same again, or other content under the same id,
    /// or the same as somebody else.
    async fn after(&mut self, actor: &str, command: &Value, answer: &Value) {
        let (roll, door) = (self.dice.roll(100), self.door());
        match roll {
            0..6 => drop(self.shared.send(door, actor, command).await),
            6..9 => {
                let mut other = command.clone();
                let data = json!({"set": {"headline": "Of another command"}});
                if let Some(members) = other.as_object_mut() {
                    members.insert("type".to_owned(), json!("edit"));
                    members.insert("article".to_owned(), answer.at("article").clone());
                    members.insert("base".to_owned(), json!(1));
                    members.insert("data".to_owned(), data);
                }
                self.shared.send(door, actor, &other).await;
            }
            9 => {
                let actor = if actor == "ana" { "ben" } else { "ana" };
                self.shared.send(door, actor, command).await;
            }
            _ => {}
        }
    }

    /// The article that an answer is about.
    pub(super) fn article_of(ended: &Ended) -> Option<Uuid> {
        match ended {
            Ended::Accepted(answer) => id_of(answer, "article"),
            _ => None,
        }
    }
}
