//! Deciding a command: what every command is held to, in the contract's order, around what its own file decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Ask, Case, Command, Data, Outcome, clock};
use crate::article::Article;
use crate::claims::{Blind, Confidential, Seal};
use crate::edition::Edition;
use crate::event::{self, ContentType, Envelope, Event, Hash, Hex, Said, Salt, SpecVersion, Time, Warning};
use crate::ids;
use crate::limits;
use crate::newsroom::{ActorKind, Newsroom, Person, PersonKind};
use crate::problem::{Code, Problem};
use crate::redaction::Erasing;

/// The article as it was at revisions that a decision asked for: at each, after the last event of that revision.
pub type Past = BTreeMap<u32, Arc<Article>>;

/// What a decision needs to know that is in no event.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Now, by the log's clock.
    pub now: Time,
    /// Who sent the command, as the transport established.
    pub actor: &'a Arc<str>,
    /// The newsroom in force.
    pub newsroom: &'a Newsroom,
    /// 16 random bytes for the event.
    pub salt: Salt,
    /// The event's `source`: `/<prefix>`.
    pub source: &'a Arc<str>,
    /// What the command asks to be sealed, sealed.
    pub seal: Option<&'a Seal>,
    /// What a redaction is worked out on.
    pub erasing: Option<&'a Erasing>,
}

/// A command decided: the event that says so, and the article after it.
#[derive(Clone)]
pub struct Decision {
    /// The event, complete.
    pub event: Event,
    /// The event as it is stored: at most [`limits::EVENT_BYTES`].
    pub bytes: Vec<u8>,
    /// The article with the event folded in.
    pub article: Article,
}

/// Why there is no decision.
#[derive(Debug)]
pub enum Undecided {
    /// Refused.
    Refused(Box<Problem>),
    /// The article as it was at these revisions is needed: call again with them.
    Needs(Vec<u32>),
    /// The article's line and its messages on the wire are needed ([`Context::erasing`]): call again with them.
    NeedsLine,
}

impl From<Problem> for Undecided {
    fn from(problem: Problem) -> Self {
        Undecided::Refused(Box::new(problem))
    }
}

/// Decides a command on the present state of its article. Idempotency is checked before, by the caller.
///
/// # Errors
/// [`Undecided::Refused`] with the first refusal in the contract's order; [`Undecided::Needs`] where earlier
/// states are wanted that `past` lacks.
pub fn decide(
    article: Option<&Article>,
    past: &Past,
    command: &Command,
    context: &Context<'_>,
) -> Result<Decision, Undecided> {
    let person = may(command, context)?;
    if article.is_some_and(|article| !article.may_be_seen_by(context.actor, person)) {
        return Err(Problem::not_found().into());
    }
    let drafting = matches!(command.ask, Ask::Draft(_));
    let blank;
    let present = match (article, drafting) {
        (Some(_), true) => {
            let detail = format!("article {} exists: edit it, or draft under another id", command.article);
            return Err(Problem::new(Code::Exists, detail).into());
        }
        (None, false) => return Err(Problem::not_found().into()),
        (Some(article), false) => article,
        (None, true) => {
            blank = Article::blank(command.article, context.now);
            &blank
        }
    };
    if present.withdrawn_for_good && !command.ask.erases() {
        return Err(Problem::new(
            Code::Withdrawn,
            "the article was withdrawn for good: nothing more can be done to it",
        )
        .into());
    }
    if present.schedule.as_ref().is_some_and(|schedule| schedule.command() == command.id) {
        return Err(Problem::invalid("/id", "this id is the clock's own: draw a new one").into());
    }
    timely(present, command, context)?;
    let mut case = Case {
        article: present,
        past,
        context,
        rules: context.newsroom.rules_for(present.section()),
        base: present.revision,
    };
    command.ask.allowed(&case)?;
    case.base = base(present, command)?;
    // Each once: a restore may go back to the very revision that it is based on.
    let missing: BTreeSet<u32> = command
        .ask
        .past(present, case.base)
        .into_iter()
        .filter(|revision| *revision != present.revision && !past.contains_key(revision))
        .collect();
    if !missing.is_empty() {
        return Err(Undecided::Needs(missing.into_iter().collect()));
    }
    if command.ask.erases() && context.erasing.is_none() {
        return Err(Undecided::NeedsLine);
    }
    let outcome = command.ask.decide(&case)?;
    let author = Author {
        article: command.article,
        command: command.id,
        hash: command.hash(&context.salt, context.seal.map(|seal| &seal.blind)),
        kind: match person.kind {
            PersonKind::Person => ActorKind::Person,
            PersonKind::Machine => ActorKind::Machine,
        },
    };
    conclude(article, &author, context, present, outcome).map_err(Undecided::from)
}

/// What someone is told of an article that is restricted to others: the same as of one that isn't there. None where
/// they may see it.
pub fn outside(article: &Article, command: &Command, context: &Context<'_>) -> Option<Problem> {
    let person = context.newsroom.person(context.actor);
    if person.is_some_and(|person| article.may_be_seen_by(context.actor, person)) {
        return None;
    }
    Some(may(command, context).err().unwrap_or_else(Problem::not_found))
}

/// Whether the decision on a command turns on the time: it can't be made where the clock is off.
pub fn turns_on_time(article: Option<&Article>, command: &Command) -> bool {
    command.not_after.is_some() || command.ask.turns_on_time(article)
}

/// Whose decision an event is.
pub(super) struct Author {
    pub article: uuid::Uuid,
    pub command: uuid::Uuid,
    pub hash: Hash,
    pub kind: ActorKind,
}

/// Whether the actor may send such a command at all.
fn may<'a>(command: &Command, context: &Context<'a>) -> Result<&'a Person, Problem> {
    let Some(person) = context.newsroom.person(context.actor) else {
        return Err(Problem::new(Code::Forbidden, "you are not in the newsroom: a chief can add you"));
    };
    let right = command.ask.right();
    let kind = command.ask.name();
    let may = match person.kind {
        // A machine needs no role for what machines may do; one that is there to audit changes nothing.
        PersonKind::Machine => right.machine && (person.roles.is_empty() || person.is_staff()),
        PersonKind::Person if right.roles.is_empty() => person.is_staff(),
        PersonKind::Person => person.holds(right.roles),
    };
    if may {
        return Ok(person);
    }
    let detail = match person.kind {
        PersonKind::Machine => format!("a machine may not {kind}: a person must"),
        PersonKind::Person => format!("your roles don't allow you to {kind}"),
    };
    Err(Problem::new(Code::Forbidden, detail))
}

/// `not_after` and `expect`.
fn timely(article: &Article, command: &Command, context: &Context<'_>) -> Result<(), Problem> {
    if command.not_after.is_some_and(|last| context.now > last) {
        return Err(Problem::new(Code::Expired, "not_after has passed: nothing was done"));
    }
    if let Some(expected) = command.expect
        && expected != article.version
    {
        let detail = format!("the article is at version {}; you expected {expected}", article.version);
        return Err(Problem {
            version: Some(article.version),
            ..Problem::new(Code::VersionMismatch, detail)
        });
    }
    Ok(())
}

fn base(article: &Article, command: &Command) -> Result<u32, Problem> {
    match command.base {
        None if article.version == 0 => Ok(0),
        None if command.ask.needs_base() => {
            Err(Problem::invalid("/base", "base is required: the revision that you had before you"))
        }
        None => Ok(article.revision),
        Some(_) if article.version == 0 => {
            Err(Problem::invalid("/base", "a draft has no base: there is no revision yet"))
        }
        Some(base) if (1..=article.revision).contains(&base) => Ok(base),
        Some(base) => Err(Problem::invalid(
            "/base",
            format!("there is no revision {base}: the article is at revision {}", article.revision),
        )),
    }
}

/// Builds the event around an outcome, folds it, and completes what the answer says.
pub(super) fn conclude(
    before: Option<&Article>,
    author: &Author,
    context: &Context<'_>,
    present: &Article,
    outcome: Outcome,
) -> Result<Decision, Problem> {
    let subject: Arc<str> = author.article.as_hyphenated().to_string().into();
    let revises = matches!(outcome.data, Data::Drafted(_) | Data::Edited(_) | Data::Restored(_));
    let edition = outcome.edition.as_ref().map(|(record, wire)| (Edition::would_be(present, record), *wire));
    let mut event = Envelope {
        specversion: SpecVersion::Only,
        id: ids::event_of(&subject, author.command),
        source: Arc::clone(context.source),
        kind: outcome.data.kind().into(),
        subject,
        time: context.now.max(present.updated),
        datacontenttype: ContentType::Only,
        actor: Arc::clone(context.actor),
        actorkind: author.kind,
        command: author.command,
        commandhash: author.hash,
        articleversion: present.version + 1,
        revision: present.revision + u32::from(revises),
        deskversion: context.newsroom.version,
        wire: edition.as_ref().map(|(_, wire)| *wire),
        editiondigest: edition.as_ref().map(|(edition, _)| edition.digest()),
        salt: context.salt,
        data: outcome.data,
    };
    let article = Article::evolve(before, &event)
        .map_err(|broken| Problem::new(Code::SetAside, format!("the article's line is broken: {broken}")))?;
    let rules = context.newsroom.rules_for(article.section());
    let mut warnings = outcome.warnings;
    warnings.extend(will_be_held(&article, context.newsroom));
    // The event keeps the answer, and has its own limit; /gate has every reason.
    warnings.truncate(limits::WARNINGS);
    *event.data.said_mut() = Said {
        stage: article.stage(&rules),
        status: article.status(),
        created: outcome.created,
        blocks: outcome.blocks,
        edition: outcome.edition.map(|(record, _)| record.number),
        warnings,
    };
    let bytes = event::write(&event)
        .map_err(|_| Problem::new(Code::LogUnavailable, "the event can't be written as JSON"))?;
    if bytes.len() > limits::EVENT_BYTES {
        let detail = format!(
            "the event would take {} bytes; at most {} are allowed: send it in parts",
            bytes.len(),
            limits::EVENT_BYTES
        );
        return Err(Problem::too_large("event", detail));
    }
    Ok(Decision { event, bytes, article })
}

/// What a sender is told whose command leaves a scheduled article with something that will hold it at its hour.
fn will_be_held(article: &Article, newsroom: &Newsroom) -> Vec<Warning> {
    let Some(schedule) = &article.schedule else { return Vec::new() };
    let reasons = clock::holds(article, newsroom, schedule.at);
    if reasons.is_empty() {
        return Vec::new();
    }
    let first = Warning {
        code: "publication_will_be_held".to_owned(),
        detail: "the article is scheduled, and would be held at its hour: see the warnings that follow"
            .to_owned(),
        block: None,
        field: None,
        claim: None,
        query: None,
    };
    std::iter::once(first).chain(reasons.into_iter().map(Warning::from)).collect()
}

impl Command {
    /// What is to be sealed before the command is decided, if anything.
    pub fn confidential(&self) -> Option<Confidential> {
        match &self.ask {
            Ask::Cite(cite) => cite.confidential(),
            _ => None,
        }
    }

    /// SHA-256 of salt and content: the same for the same command, whatever the order of its keys. What something
    /// sealed came of is hashed with the blind of its key.
    pub fn hash(&self, salt: &Salt, blind: Option<&Blind>) -> Hash {
        if let Some(blind) = blind {
            return blind.hash(salt, &self.content);
        }
        let mut hasher = Sha256::new();
        hasher.update(salt.0);
        hasher.update(&self.content);
        Hex(hasher.finalize().into())
    }
}

/// That the article stays within its limits with a change folded in, its edition on the wire included.
pub(crate) fn within_limits(after: &Article) -> Result<(), Problem> {
    if after.blocks.len() > limits::BLOCKS {
        return Err(Problem::too_large(
            "blocks",
            format!("an article has at most {} blocks", limits::BLOCKS),
        ));
    }
    let bytes = after.bytes();
    if bytes > limits::ARTICLE_BYTES {
        let detail = format!(
            "text and metadata would take {bytes} bytes; at most {} are allowed",
            limits::ARTICLE_BYTES
        );
        return Err(Problem::too_large("article", detail));
    }
    Ok(())
}
