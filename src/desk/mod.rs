//! The desk: one command from arrival to answer.
//!
//! A command goes through its article's lane, one at a time; decisions are made on the article as this instance
//! knows it, and the log's expectation decides whether that was the newest (promise 4): who loses a race reads what
//! was written meanwhile and is decided again. A refusal has no append that could fail, so before one is given the
//! log's end is asked of its leader, one question for all that wait, and the command is decided again if there was
//! more (promise 3).
//!
//! A command's id is looked for first: among the events folded and those that this instance knows beyond them. It
//! may still have been used in an event that this instance hasn't seen; then the append or the question finds it.
//!
//! The desk never spawns, sleeps or reads a clock by itself, and throws no dice (so its `select!`s are `biased`): time
//! comes from the log's clock, random bytes from whoever makes the desk, so that a simulation can hold all of it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use copydesk_article::answer::Answer;
use copydesk_article::article::Article;
use copydesk_article::claims::Seal;
use copydesk_article::command::{Command, Context, Data, Decision, Past, Undecided, decide, outside};
use copydesk_article::event::{self, Hex, Read, Time};
use copydesk_article::ids::{DESK, parse_uuid};
use copydesk_article::problem::{Code, Problem};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::evidence::{Piece, Vault};
use crate::log::{self, Content, Expect, Log, LogError, Message, Seq, Settled};
use crate::store::fold::{Step, advance};
use crate::store::redacted;
use crate::store::{Decided, Store, StoreError, Stored};

pub mod clock;
mod end;
pub mod erasing;
mod lanes;
pub mod level;
mod newsroom;
pub mod on_the_wire;
mod past;
mod sealing;

pub use newsroom::{Proposal, ProposeError, in_force, propose};
pub use past::At;
use sealing::Sealing;

/// How long an append is tried before its outcome is left unknown.
pub const APPEND_PATIENCE: Duration = Duration::from_secs(10);

/// How often a command is decided anew before it is left to the sender to try again: each time means that another
/// writer was first.
const ATTEMPTS: usize = 64;

/// How long a refusal waits for the fold to reach the log's end.
const FOLD_PATIENCE: Duration = Duration::from_secs(5);

/// Decides commands.
pub struct Desk {
    log: Arc<dyn Log>,
    store: Arc<Store>,
    lanes: lanes::Lanes,
    end: end::End,
    source: Arc<str>,
    salt: Box<dyn Fn() -> [u8; 16] + Send + Sync>,
    /// Why nothing is decided any more, where log and folded state disagree (promise 9) or folding can't go on.
    halted: watch::Sender<Option<Halt>>,
    /// The last position that a command was answered with.
    answered: AtomicU64,
    skew: clock::Skew,
    /// What confidential evidence is sealed and opened with, where there is a master key.
    vault: OnceLock<Vault>,
    /// Which sorts of events may be written.
    level: level::Level,
    /// Why something that was redacted isn't erased yet, and up to where the events stand that say so.
    unerased: Mutex<Option<(Seq, String)>>,
    erase_again: Notify,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Desk({})", self.source)
    }
}

/// Why nothing is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    /// The reason, in words.
    pub why: Arc<str>,
    /// The log isn't what was folded or signed. Else it is folding that can't go on, for now.
    pub diverged: bool,
}

/// What this instance knows of one article.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The article and the last position on its subject; none where there is no event.
    stored: Option<Stored>,
    /// The last position on its subject even where no event of ours stands there.
    seq: Seq,
    /// The commands of its events, and where each stands.
    commands: HashMap<Uuid, Seq>,
    /// Whether it was read at all.
    read: bool,
    /// Why the article is set aside, if it is.
    aside: Option<String>,
}

/// What one attempt came to.
enum Attempt {
    Done(Box<Result<Answer, Problem>>),
    /// Another writer was first, or there was more to know: once more.
    Again,
}

impl Attempt {
    fn done(result: Result<Answer, Problem>) -> Self {
        Attempt::Done(Box::new(result))
    }
}

impl Desk {
    /// A desk over a log and the store folded from it. `source` is the events' own, `/<prefix>`; `salt` draws 16
    /// random bytes.
    pub fn new(
        log: Arc<dyn Log>,
        store: Arc<Store>,
        source: &str,
        salt: impl Fn() -> [u8; 16] + Send + Sync + 'static,
    ) -> Self {
        Self {
            end: end::End::new(log.events()),
            log,
            store,
            lanes: lanes::Lanes::default(),
            source: source.into(),
            salt: Box::new(salt),
            halted: watch::Sender::new(None),
            answered: AtomicU64::new(0),
            skew: clock::Skew::default(),
            vault: OnceLock::new(),
            level: level::Level::default(),
            unerased: Mutex::default(),
            erase_again: Notify::new(),
        }
    }

    /// Seals and opens confidential evidence with this from now on. The first vault given stays.
    pub fn keep_in(&self, vault: Vault) {
        // A second one is refused, and there is none but the service to give any.
        let _ = self.vault.set(vault);
    }

    /// What confidential evidence is opened with, if this desk can.
    pub fn vault(&self) -> Option<&Vault> {
        self.vault.get()
    }

    /// Decides nothing any more.
    pub fn halt(&self, why: &str, diverged: bool) {
        self.halted.send_replace(Some(Halt { why: why.into(), diverged }));
    }

    /// Decides again.
    pub fn go_on(&self) {
        self.halted.send_replace(None);
    }

    /// Returns once the log is what was folded from it, as far as is known.
    pub async fn until_agreed(&self) {
        let agreed = |halt: &Option<Halt>| halt.as_ref().is_none_or(|halt| !halt.diverged);
        // The sender lives as long as the desk.
        let _ = self.halted.subscribe().wait_for(agreed).await;
    }

    /// Returns once nothing is decided any more.
    pub async fn until_halted(&self) {
        // The sender lives as long as the desk.
        let _ = self.halted.subscribe().wait_for(Option::is_some).await;
    }

    /// Why nothing is decided any more, if so: where what is folded is in doubt, or the log is damaged.
    pub fn halted(&self) -> Option<Arc<str>> {
        let damaged = || self.log.stopped().filter(|stopped| stopped.damaged).map(|stopped| stopped.why);
        self.in_doubt().map(|halt| halt.why).or_else(damaged)
    }

    /// Why what is folded can't be held against the log, if so: then it isn't shown either.
    pub fn in_doubt(&self) -> Option<Halt> {
        self.halted.borrow().clone()
    }

    /// Takes a command of `actor`, as the transport established, from arrival to answer.
    ///
    /// # Errors
    /// The refusal. 503s tell whether the command may have been written.
    pub async fn command(&self, actor: &Arc<str>, command: &Command) -> Result<Answer, Problem> {
        let lane = self.lanes.lane(command.article);
        // Before anything else is waited for: commands to an article are decided in order of arrival.
        let mut known = lane.lock().await;
        self.level.allows(&*self.log, command.ask.name()).await?;
        let mut sealing = Sealing::default();
        for _ in 0..ATTEMPTS {
            if let Some(why) = self.halted() {
                return Err(Problem::new(
                    Code::LogUnavailable,
                    format!("this instance decides nothing: {why}"),
                ));
            }
            match self.attempt(actor, command, &mut known, &mut sealing).await? {
                Attempt::Done(result) => return *result,
                Attempt::Again => {}
            }
        }
        Err(Problem::new(Code::Busy, "others write this article all the time: try again"))
    }

    async fn attempt(
        &self,
        actor: &Arc<str>,
        command: &Command,
        known: &mut Known,
        sealing: &mut Sealing,
    ) -> Result<Attempt, Problem> {
        self.know(command.article, known)?;
        if let Some(seq) = known.commands.get(&command.id).copied() {
            let under = self.store.newsroom().version;
            let first = self.repeat(actor, command, seq, known).await;
            // Whether someone else may know of the article turns on what it is now.
            let rests_on_the_end = first.as_ref().is_err_and(|refused| refused.code.status() < 500);
            let again = rests_on_the_end && !self.is_newest(command.article, known, under).await?;
            return Ok(if again { Attempt::Again } else { Attempt::done(first) });
        }
        if let Some(why) = &known.aside {
            if let Some(refused) = self.outside(actor, command, known) {
                return Err(refused);
            }
            let detail = format!("the article holds an event that this build doesn't understand ({why})");
            return Err(Problem::new(Code::SetAside, detail));
        }
        self.seal(command, sealing)?;
        let seal = sealing.piece.as_ref().map(Piece::seal);
        let (under, decided) = self.decide(actor, command, known, seal).await?;
        match decided {
            Err(refusal) => {
                let newest = self.is_newest(command.article, known, under).await?;
                Ok(if newest { Attempt::done(Err(refusal)) } else { Attempt::Again })
            }
            Ok(decision) if command.is_try => {
                let newest = self.is_newest(command.article, known, under).await?;
                Ok(if newest {
                    Attempt::done(Ok(Answer::tried(
                        &decision,
                        &self.store.newsroom(),
                        self.store.position().seq,
                    )))
                } else {
                    Attempt::Again
                })
            }
            Ok(decision) => {
                self.keep_key(sealing).await?;
                self.write(decision, known).await
            }
        }
    }

    /// Has the article as far as this instance knows it.
    fn know(&self, article: Uuid, known: &mut Known) -> Result<(), Problem> {
        if known.read {
            return Ok(());
        }
        known.stored = self.store.article(article).map_err(unreadable)?;
        known.seq = known.stored.as_ref().map_or(0, |stored| stored.seq);
        known.commands = self.store.commands_of(article).map_err(unreadable)?;
        known.aside = self.store.aside(article).map_err(unreadable)?.map(|aside| aside.why);
        known.read = true;
        Ok(())
    }

    /// The first answer again, for the same command of the same actor (promise 2). Others learn that the id was used,
    /// unless they may not know that the article is there.
    async fn repeat(
        &self,
        actor: &Arc<str>,
        command: &Command,
        seq: Seq,
        known: &Known,
    ) -> Result<Answer, Problem> {
        let outside = self.outside(actor, command, known);
        let entry = self.log.events().get(seq).await.map_err(unavailable)?;
        let event = match entry.map(|entry| (entry.subject, entry.content)) {
            Some((subject, Content::Message { body, .. })) => match event::read(&subject, &body) {
                Read::Event(event) => event,
                _ => {
                    return Err(Problem::new(Code::SetAside, "the first answer can't be read by this build"));
                }
            },
            Some(_) => {
                let reused = Problem::new(Code::IdReused, "this id was used before: draw a new one");
                return Err(outside.unwrap_or(reused));
            }
            None => {
                let detail = "the log ends before what was folded from it: nothing is decided on it";
                return Err(Problem::new(Code::LogUnavailable, detail));
            }
        };
        if let (true, Some(refusal)) = (event.actor != *actor, outside) {
            return Err(refusal);
        }
        if &*event.actor == DESK {
            return Err(Problem::invalid("/id", "this id is the clock's own: draw a new one"));
        }
        let blind = match &event.data {
            Data::EvidenceCited(cited) => self.blind(command.article, cited).await?,
            _ => None,
        };
        if event.actor != *actor || event.commandhash != command.hash(&event.salt, blind.as_ref()) {
            return Err(Problem::new(
                Code::IdReused,
                "this id was used before for something else: draw a new one",
            ));
        }
        Ok(Answer::of(&event, seq, true))
    }

    /// What an actor is told who may not know that the article is there.
    fn outside(&self, actor: &Arc<str>, command: &Command, known: &Known) -> Option<Problem> {
        let newsroom = self.store.newsroom();
        let stored = known.stored.as_ref()?;
        let salt = Hex([0; 16]);
        let (now, source, seal, erasing) = (self.now(), &self.source, None, None);
        let context = Context { now, actor, newsroom: &newsroom, salt, source, seal, erasing };
        outside(&stored.article, command, &context)
    }

    /// The decision on what is known, with the article as it was where that is asked for; and the version of the
    /// newsroom line that it was made under.
    async fn decide(
        &self,
        actor: &Arc<str>,
        command: &Command,
        known: &Known,
        seal: Option<&Seal>,
    ) -> Result<(u32, Result<Decision, Problem>), Problem> {
        let newsroom = self.store.newsroom();
        let line = OnceLock::new();
        let mut context = Context {
            now: self.now(),
            actor,
            newsroom: &newsroom,
            salt: Hex((self.salt)()),
            source: &self.source,
            seal,
            erasing: None,
        };
        let article = known.stored.as_ref().map(|stored| &*stored.article);
        self.clock_is_right_for(article, command).await?;
        let mut past = Past::new();
        loop {
            match decide(article, &past, command, &context) {
                Ok(decision) => return Ok((newsroom.version, Ok(decision))),
                Err(Undecided::Refused(problem)) => return Ok((newsroom.version, Err(*problem))),
                Err(Undecided::NeedsLine) if context.erasing.is_some() => {
                    return Err(Problem::new(Code::LogUnavailable, "the article's line can't be had now"));
                }
                Err(Undecided::NeedsLine) => {
                    let read = self.line_of(command.article, known).await?;
                    context.erasing = Some(line.get_or_init(|| read));
                }
                Err(Undecided::Needs(revisions)) => {
                    for revision in revisions {
                        let then = self.revision_of(known, command.article, revision).await?;
                        if past.insert(revision, then).is_some() {
                            return Err(Problem::new(
                                Code::LogUnavailable,
                                "an earlier revision can't be had now",
                            ));
                        }
                    }
                }
            }
        }
    }

    /// Returns once `seq` is folded, within [`FOLD_PATIENCE`].
    async fn folded(&self, seq: Seq) -> Result<(), Problem> {
        let clock = self.log.clock();
        tokio::select! {
            biased;
            () = self.store.folded(seq) => Ok(()),
            () = clock.sleep(FOLD_PATIENCE) => {
                Err(Problem::new(Code::LogUnavailable, "this instance is still folding the log: try again"))
            }
        }
    }

    /// Whether what is known is all there is, up to the log's end as its leader states it.
    async fn is_newest(&self, article: Uuid, known: &mut Known, decided_under: u32) -> Result<bool, Problem> {
        let folded = self.store.position().seq;
        let end = self.end.ask().await.map_err(unavailable)?;
        if end < folded {
            let detail = "the log ends before what was folded from it: nothing is decided on it";
            return Err(Problem::new(Code::LogUnavailable, detail));
        }
        self.folded(end).await?;
        if self.store.newsroom().version != decided_under {
            return Ok(false);
        }
        let aside = self.store.aside(article).map_err(unreadable)?;
        let stored = self.store.article(article).map_err(unreadable)?;
        let seq = stored.as_ref().map_or(0, |stored| stored.seq);
        if seq <= known.seq && aside.is_some() == known.aside.is_some() {
            return Ok(true);
        }
        known.stored = stored;
        known.seq = seq;
        known.commands = self.store.commands_of(article).map_err(unreadable)?;
        known.aside = aside.map(|aside| aside.why);
        Ok(false)
    }

    async fn write(&self, decision: Decision, known: &mut Known) -> Result<Attempt, Problem> {
        let Decision { event, bytes, article } = decision;
        let (event, article) = (Arc::new(event), Arc::new(article));
        let message = Message {
            subject: event.subject.to_string(),
            id: event.id.as_hyphenated().to_string(),
            headers: Vec::new(),
            body: Bytes::from(bytes),
        };
        let expect = Expect::Subject(known.seq);
        let redacts = matches!(event.data, Data::Redacted(_));
        if !redacts {
            self.store.decided(Decided {
                event: Arc::clone(&event),
                bytes: message.body.clone(),
                article: Arc::clone(&article),
            });
        }
        let events = self.log.events();
        let clock = self.log.clock();
        // Should the sender go away while the answer is awaited, what is known can't be trusted any more.
        let before = std::mem::take(known);
        match log::append(&*events, &*clock, &message, expect, APPEND_PATIENCE).await {
            Settled::Written(seq) if redacts => {
                // What is known here holds what was erased: it is read anew, once it is folded.
                self.answered.fetch_max(seq, Ordering::Relaxed);
                if let Err(error) = self.erase_named(&event).await {
                    tracing::warn!(%error, seq, "what was redacted isn't erased yet");
                    self.note_unerased(seq, &error);
                    self.erase_again.notify_one();
                }
                Ok(Attempt::done(Ok(Answer::of(&event, seq, false))))
            }
            Settled::Written(seq) => {
                *known = before;
                known.stored = Some(Stored::new(article, seq));
                known.seq = seq;
                known.commands.insert(event.command, seq);
                self.answered.fetch_max(seq, Ordering::Relaxed);
                Ok(Attempt::done(Ok(Answer::of(&event, seq, false))))
            }
            Settled::Lost => {
                *known = before;
                self.catch_up(&message.subject, known).await?;
                Ok(Attempt::Again)
            }
            Settled::Unavailable(why) => {
                *known = before;
                Err(Problem::new(
                    Code::LogUnavailable,
                    format!("the log can't be reached, nothing was written: {why}"),
                ))
            }
            Settled::Unknown(why) => {
                let detail = format!("it may have been written: send the same id again to find out ({why})");
                Err(Problem::new(Code::OutcomeUnknown, detail))
            }
            Settled::Refused(why) => {
                *known = before;
                Err(Problem::too_large("event", format!("the log refuses the event: {why}")))
            }
        }
    }

    /// Reads what others wrote on the article since what is known.
    async fn catch_up(&self, subject: &str, known: &mut Known) -> Result<(), Problem> {
        let newer = self.log.events().all_on(subject, known.seq).await.map_err(unavailable)?;
        if let (Some(last), Some(article)) = (newer.last(), parse_uuid(subject))
            && newer.iter().any(redacted::concerns)
        {
            // Something of its past was erased: it is folded anew, not on.
            self.folded(last.seq).await?;
            *known = Known::default();
            return self.know(article, known);
        }
        for entry in newer {
            match advance(known.stored.as_ref(), &entry) {
                Step::Event(stored, event) => {
                    if event.deskversion > self.store.newsroom().version {
                        // Decided under a newsroom that this instance hasn't folded yet: what comes next is too.
                        self.folded(entry.seq).await?;
                    }
                    known.commands.insert(event.command, entry.seq);
                    known.stored = Some(stored);
                }
                Step::Passed => {}
                Step::Aside { why, .. } => known.aside = Some(why),
            }
            known.seq = entry.seq;
            if let Some(stored) = &mut known.stored {
                stored.seq = entry.seq;
            }
        }
        Ok(())
    }

    fn now(&self) -> Time {
        let now = self.log.clock().now();
        Time::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
    }

    /// The last position that this desk answered a command with; the store may be a moment behind it.
    pub fn answered(&self) -> Seq {
        self.answered.load(Ordering::Relaxed)
    }

    /// The store that this desk reads.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The log that this desk writes.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }
}

fn unreadable(error: StoreError) -> Problem {
    tracing::error!(%error, "the store can't be read");
    Problem::new(Code::LogUnavailable, "the folded state can't be read now; nothing was written")
}

fn unavailable(error: LogError) -> Problem {
    tracing::warn!(%error, "the log can't be asked");
    Problem::new(Code::LogUnavailable, "the log can't be asked now; nothing was written")
}

/// The article that a revision asked for is not kept longer than the command: it is built from the nearest snapshot
/// and the article's own events.
impl Desk {
    async fn revision_of(
        &self,
        known: &Known,
        article: Uuid,
        revision: u32,
    ) -> Result<Arc<Article>, Problem> {
        let newest = known.stored.as_ref().map_or(0, |stored| stored.seq);
        self.as_it_was(article, At::Revision(revision), newest).await?.ok_or_else(|| {
            Problem::new(Code::LogUnavailable, format!("revision {revision} of the article can't be had now"))
        })
    }
}

#[cfg(test)]
mod tests;
