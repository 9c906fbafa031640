//! What must hold when all has come to rest: everything that anyone was answered, and everything that was written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use copydesk::audit::verify::{Sources, verify};
use copydesk::log::{Content, Log, Seq};
use copydesk::store::{Store, fold};
use copydesk_article::article::Article;
use copydesk_article::event::{self, Event, Read};
use copydesk_article::ids::parse_uuid;
use copydesk_article::newsroom::Newsroom;
use copydesk_article::problem::Code;
use serde_json::Value;
use uuid::Uuid;

use super::senders::{Sending, articles};
use super::world::{Attempted, Contents, World, now};
use super::{editions, refusals};

/// Every so manieth run is verified as an auditor would, too.
const VERIFIED_EVERY: u64 = 4;

/// The log, read and folded anew.
pub struct History {
    pub events: Vec<Happened>,
    /// The newsrooms, and from where on each was in force.
    pub newsrooms: Vec<(Seq, Newsroom)>,
}

/// An article's event.
pub struct Happened {
    pub seq: Seq,
    pub article: Uuid,
    pub event: Event,
    /// Its bytes, and what they say.
    pub bytes: Vec<u8>,
    pub raw: Value,
    /// The article with it.
    pub after: Arc<Article>,
}

impl History {
    fn read(world: &World, wrong: &mut Vec<String>) -> Self {
        let mut history = History { events: Vec::new(), newsrooms: vec![(0, Newsroom::default())] };
        let mut present: BTreeMap<Uuid, Arc<Article>> = BTreeMap::new();
        for seq in 1..=world.end() {
            let entry = now(world.log.events().get(seq)).unwrap();
            let Content::Message { body, .. } = entry.content else { panic!("nothing is erased here") };
            match event::read(&entry.subject, &body) {
                Read::Newsroom(event) => {
                    let next = history.newsrooms.last().unwrap().1.evolve(&event).unwrap();
                    history.newsrooms.push((seq, next));
                }
                Read::Event(event) => {
                    let article = parse_uuid(&entry.subject).unwrap();
                    let before = present.get(&article);
                    let version = before.map_or(0, |before| before.version);
                    if event.articleversion != version + 1 {
                        wrong.push(format!("{seq}: version {} after {version}", event.articleversion));
                        continue;
                    }
                    let last = history.events.iter().rfind(|happened| happened.article == article);
                    if last.is_some_and(|last| last.event.deskversion > event.deskversion) {
                        wrong
                            .push(format!("{seq}: decided under an older newsroom than the event before it"));
                    }
                    let after = Arc::new(Article::evolve(before.map(|before| &**before), &event).unwrap());
                    present.insert(article, Arc::clone(&after));
                    let raw = serde_json::from_slice(&body).unwrap();
                    history.events.push(Happened {
                        seq,
                        article,
                        event: *event,
                        bytes: body.to_vec(),
                        raw,
                        after,
                    });
                }
                other => wrong.push(format!("{seq}: no event of ours: {other:?}")),
            }
        }
        history
    }

    /// An article as it was when the log ended at `seq`.
    pub fn article_at(&self, article: Uuid, seq: Seq) -> Option<&Arc<Article>> {
        let mut line =
            self.events.iter().filter(|happened| happened.article == article && happened.seq <= seq);
        line.next_back().map(|happened| &happened.after)
    }

    pub fn newsroom_at(&self, seq: Seq) -> &Newsroom {
        let mut line = self.newsrooms.iter().filter(|(at, _)| *at <= seq);
        line.next_back().map(|(_, newsroom)| newsroom).unwrap()
    }

    /// The event of a command to an article, where it has one.
    pub fn of_command(&self, article: Uuid, command: Uuid) -> Option<&Happened> {
        self.events.iter().find(|happened| happened.article == article && happened.event.command == command)
    }
}

/// What is wrong. `prepared` is where the log ended when the run began.
pub fn all(world: &World, sent: &[Sending], prepared: Seq, seed: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let history = History::read(world, &mut wrong);
    commands(&history, sent, prepared, &mut wrong);
    refusals::justified(&history, sent, &mut wrong);
    editions::check(world, &history, &mut wrong);
    let fresh = state(world, &history, &mut wrong);
    // Its threads cost as much as half a run.
    if seed.is_multiple_of(VERIFIED_EVERY) {
        verified(world, &fresh, &mut wrong);
    }
    wrong
}

/// Promises 1 and 2: what was answered is there once, as it was answered; nothing is there that nobody sent, or twice;
/// each was decided on the version before it, to the last byte.
fn commands(history: &History, sent: &[Sending], prepared: Seq, wrong: &mut Vec<String>) {
    let mut found = BTreeSet::new();
    for happened in &history.events {
        let (seq, event) = (happened.seq, &happened.event);
        if !found.insert((happened.article, event.command)) {
            wrong.push(format!("{seq}: command {} is written twice", event.command));
        }
        let of = sent.iter().find(|sending| is_of(happened, sending));
        match of {
            Some(sending) => refusals::decided_again(history, happened, sending, wrong),
            None if &*event.actor == "desk" || seq <= prepared => {}
            None => wrong.push(format!("{seq}: nobody sent {} as it is", event.command)),
        }
    }
    for sending in sent {
        let (command, name) = (&sending.command, sending.command.ask.name());
        let happened = history.of_command(command.article, command.id);
        for attempted in &sending.attempts {
            let Some(Ok(answer)) = &attempted.result else { continue };
            if command.is_try {
                if happened.is_some_and(|happened| is_of(happened, sending)) {
                    wrong.push(format!("{}: was only asked for ({name})", command.id));
                }
                continue;
            }
            let Some(happened) = happened else {
                wrong.push(format!("{}: answered and not written ({name})", command.id));
                continue;
            };
            if !is_of(happened, sending) {
                wrong.push(format!("{}: answered for what is another's ({name})", command.id));
            }
            let (event, said) = (&happened.event, &happened.raw["data"]["answer"]);
            let as_written = answer.seq == happened.seq
                && answer.event == event.id
                && answer.version == event.articleversion
                && answer.revision == event.revision
                && answer.article == happened.article
                && *answer.kind == *event.kind
                && said["stage"] == answer.stage.name()
                && said["status"] == answer.status.name()
                && (answer.edition.map(Value::from).as_ref()) == said.get("edition");
            if !as_written {
                wrong.push(format!("{}: {answer:?} was written otherwise: {}", command.id, happened.raw));
            }
            if answer.seq > attempted.to {
                wrong.push(format!("{}: answered before it was written", command.id));
            }
            if !answer.duplicate && answer.seq <= attempted.from {
                wrong.push(format!("{}: was there, and was answered as new", command.id));
            }
            let is_alone = sent.iter().filter(|other| other.command.id == command.id).count() == 1
                && sending.attempts.len() == 1;
            if answer.duplicate && is_alone {
                wrong.push(format!("{}: was sent once, and was answered as sent again", command.id));
            }
        }
        let says_not_written = |attempted: &Attempted| match &attempted.result {
            Some(Err(problem)) => problem.code != Code::OutcomeUnknown,
            Some(Ok(_)) | None => false,
        };
        let is_written = happened.is_some_and(|happened| is_of(happened, sending));
        if is_written && attempts_at(sent, sending).all(says_not_written) {
            wrong.push(format!("{}: nothing was written, it was said, and it is ({name})", command.id));
        }
    }
}

/// Every attempt to send the same.
fn attempts_at<'a>(sent: &'a [Sending], sending: &'a Sending) -> impl Iterator<Item = &'a Attempted> {
    let same = |other: &&Sending| other.command == sending.command && other.actor == sending.actor;
    sent.iter().filter(same).flat_map(|other| &other.attempts)
}

/// Whether an event is of what was sent.
pub fn is_of(happened: &Happened, sending: &Sending) -> bool {
    let (event, command) = (&happened.event, &sending.command);
    happened.article == command.article
        && event.command == command.id
        && event.actor == sending.actor
        && event.commandhash == command.hash(&event.salt, None)
}

/// Promise 9: each instance's state is the fold of the log, to the last byte of sled. The state folded from nothing.
fn state(world: &World, history: &History, wrong: &mut Vec<String>) -> Arc<Store> {
    let (theirs, fresh, contents) = world.states();
    for (number, their) in theirs.iter().enumerate() {
        if *their != contents {
            let only = |a: &Contents, b: &Contents| {
                let differs = a.iter().find(|pair| !b.contains(pair));
                differs.map(|(key, value)| {
                    (String::from_utf8_lossy(key).into_owned(), String::from_utf8_lossy(value).into_owned())
                })
            };
            wrong.push(format!(
                "instance {number}'s state isn't the log's fold: {:?} is {:?}",
                only(their, &contents),
                only(&contents, their)
            ));
        }
    }
    for article in articles() {
        let folded = fresh.article(article).unwrap().map(|stored| stored.article);
        let alone = now(fold::one(&*world.log.events(), article)).map(|stored| stored.article);
        let anew = history.article_at(article, world.end()).cloned();
        if folded != alone || alone != anew {
            wrong.push(format!("article {article} folds to something else alone"));
        }
    }
    fresh
}

/// Promises 6 and 11: everything that rests on the log can be derived again from it, by the service's own means.
fn verified(world: &World, fresh: &Store, wrong: &mut Vec<String>) {
    let log: Arc<dyn Log> = Arc::new(world.log.handle());
    let sources = Sources { log, store: Some(fresh), key: world.key().verifier(), against: Vec::new() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let report = runtime.block_on(verify(&sources, |_, _| {})).unwrap();
    wrong.extend(
        report
            .faults
            .iter()
            .map(|fault| format!("verify: {:?} {:?}: {}", fault.about, fault.seq, fault.what)),
    );
    let signed_anew = report.checkpoints > 0 && report.events == world.end();
    if !signed_anew {
        wrong.push(format!("{} checkpoints over {} events", report.checkpoints, report.events));
    }
}
