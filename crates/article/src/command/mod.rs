//! Commands: one file each, with its data, its decision, its event and how that folds.
//!
//! Adding a command is adding a file and one line to the list below.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::article::{Article, Broken, EditionRecord};
use crate::claims::{Blind, Confidential, Seal};
use crate::edition::Edition;
use crate::event::{
    self, ContentType, Envelope, Event, Hash, Hex, OnWire, Said, Salt, SpecVersion, Time, Warning,
};
use crate::ids::{self, BlockId};
use crate::json::Node;
use crate::limits;
use crate::newsroom::{ActorKind, Newsroom, Person, PersonKind, Role};
use crate::problem::{Code, Problem};
use crate::redaction::Erasing;

pub mod answer;
pub mod approve;
pub mod ask;
pub mod assign;
pub mod cite;
pub mod claim;
pub mod clock;
pub mod confirm_redaction;
pub mod draft;
pub mod drop;
pub mod edit;
pub mod embargo;
pub mod publish;
pub mod redact;
pub mod restore;
pub mod restrict;
pub mod return_;
pub mod revive;
pub mod rule;
pub mod spike;
pub mod submit;
pub mod unschedule;
pub mod waive;
pub mod withdraw;

mod case;
mod read;
#[cfg(test)]
mod rights_test;
mod shape;
#[cfg(test)]
mod story_test;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use case::Case;
pub use read::{Command, Hints};

macro_rules! commands {
    (
        commands { $($module:ident::$command:ident $name:literal => $event:ident $kind:literal,)* }
        other_events { $($other_module:ident::$other:ident $other_kind:literal,)* }
    ) => {
        /// What a command asks for, by type.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Ask { $(#[doc = concat!("`", $name, "`")] $command($module::$command),)* }

        impl Ask {
            /// Every type of command.
            pub const TYPES: &'static [&'static str] = &[$($name),*];

            /// Reads the data of a command of this type.
            fn read(kind: &str, data: &Node<'_>) -> Option<Result<Ask, Problem>> {
                match kind {
                    $($name => Some($module::$command::read(data).map(Ask::$command)),)*
                    _ => None,
                }
            }

            /// The command's type.
            pub fn name(&self) -> &'static str {
                match self { $(Ask::$command(_) => $name,)* }
            }

            fn right(&self) -> Right {
                match self { $(Ask::$command(_) => $module::$command::RIGHT,)* }
            }

            /// Whether `base` is required.
            fn needs_base(&self) -> bool {
                match self { $(Ask::$command(_) => $module::$command::NEEDS_BASE,)* }
            }

            /// Whether commands of this type need `base`, for the schemas.
            pub(crate) fn wants_base(kind: &str) -> bool {
                match kind { $($name => $module::$command::NEEDS_BASE,)* _ => false }
            }

            /// Whether commands of this type need `data`, for the schemas.
            pub(crate) fn wants_data(kind: &str) -> bool {
                Ask::read(kind, &Node::Object(Vec::new())).is_some_and(|read| read.is_err())
            }

            fn allowed(&self, case: &Case<'_>) -> Result<(), Problem> {
                match self { $(Ask::$command(ask) => ask.allowed(case),)* }
            }

            fn turns_on_time(&self, article: Option<&Article>) -> bool {
                match self { $(Ask::$command(ask) => ask.turns_on_time(article),)* }
            }

            fn past(&self, article: &Article, base: u32) -> Vec<u32> {
                match self { $(Ask::$command(ask) => ask.past(article, base),)* }
            }

            fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
                match self { $(Ask::$command(ask) => ask.decide(case),)* }
            }
        }

        /// What happened, by type.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Data {
            $(#[doc = concat!("`", $kind, "`")] $event(Box<$module::$event>),)*
            $(#[doc = concat!("`", $other_kind, "`")] $other(Box<$other_module::$other>),)*
        }

        impl Data {
            /// Every type of event.
            pub const TYPES: &'static [&'static str] = &[$($kind,)* $($other_kind,)*];

            /// The event's type.
            pub fn kind(&self) -> &'static str {
                match self { $(Data::$event(_) => $kind,)* $(Data::$other(_) => $other_kind,)* }
            }

            /// Reads the data of an event of this type.
            pub(crate) fn read(kind: &str, raw: &RawValue) -> Result<Data, String> {
                match kind {
                    $($kind => serde_json::from_str(raw.get())
                        .map(|data| Data::$event(Box::new(data)))
                        .map_err(|error| crate::event::place(&error)),)*
                    $($other_kind => serde_json::from_str(raw.get())
                        .map(|data| Data::$other(Box::new(data)))
                        .map_err(|error| crate::event::place(&error)),)*
                    _ => Err("an unknown type".to_owned()),
                }
            }

            /// What the answer said.
            pub fn said(&self) -> &Said {
                match self { $(Data::$event(data) => &data.answer,)* $(Data::$other(data) => &data.answer,)* }
            }

            fn said_mut(&mut self) -> &mut Said {
                match self {
                    $(Data::$event(data) => &mut data.answer,)*
                    $(Data::$other(data) => &mut data.answer,)*
                }
            }

            /// Folds the event into the article.
            pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
                match self {
                    $(Data::$event(data) => data.evolve(article, event),)*
                    $(Data::$other(data) => data.evolve(article, event),)*
                }
            }

            /// JSON Schemas of every command's data and every event's data, by type.
            pub fn schemas(generator: &mut schemars::SchemaGenerator) -> Schemas {
                Schemas {
                    commands: vec![$(($name, generator.subschema_for::<<$module::$command as Decide>::Shape>())),*],
                    events: vec![
                        $(($kind, generator.subschema_for::<$module::$event>()),)*
                        $(($other_kind, generator.subschema_for::<$other_module::$other>()),)*
                    ],
                }
            }
        }

        impl serde::Serialize for Data {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Data::$event(data) => data.serialize(serializer),)*
                    $(Data::$other(data) => data.serialize(serializer),)*
                }
            }
        }
    };
}

commands! {
    commands {
        draft::Draft "draft" => Drafted "copydesk.article.drafted",
        edit::Edit "edit" => Edited "copydesk.article.edited",
        restore::Restore "restore" => Restored "copydesk.article.restored",
        claim::RaiseClaim "claim" => ClaimRaised "copydesk.article.claim_raised",
        cite::Cite "cite" => EvidenceCited "copydesk.article.evidence_cited",
        rule::Rule "rule" => ClaimRuled "copydesk.article.claim_ruled",
        drop::DropClaim "drop" => ClaimDropped "copydesk.article.claim_dropped",
        ask::AskQuery "ask" => Asked "copydesk.article.asked",
        answer::AnswerQuery "answer" => Answered "copydesk.article.answered",
        submit::Submit "submit" => Submitted "copydesk.article.submitted",
        return_::Return "return" => Returned "copydesk.article.returned",
        approve::Approve "approve" => Approved "copydesk.article.approved",
        publish::Publish "publish" => Published "copydesk.article.published",
        withdraw::Withdraw "withdraw" => Withdrawn "copydesk.article.withdrawn",
        assign::Assign "assign" => Assigned "copydesk.article.assigned",
        waive::Waive "waive" => Waived "copydesk.article.waived",
        embargo::Embargo "embargo" => Embargoed "copydesk.article.embargoed",
        restrict::Restrict "restrict" => Restricted "copydesk.article.restricted",
        unschedule::Unschedule "unschedule" => Unscheduled "copydesk.article.unscheduled",
        spike::Spike "spike" => Spiked "copydesk.article.spiked",
        revive::Revive "revive" => Revived "copydesk.article.revived",
        redact::Redact "redact" => RedactionProposed "copydesk.article.redaction_proposed",
        confirm_redaction::ConfirmRedaction "confirm_redaction" => Redacted "copydesk.article.redacted",
    }
    other_events {
        publish::Scheduled "copydesk.article.scheduled",
        clock::Held "copydesk.article.held",
    }
}

impl Ask {
    /// Whether it is about erasing by law: that needs the whole line, and is open to what was withdrawn for good.
    fn erases(&self) -> bool {
        matches!(self, Ask::Redact(_) | Ask::ConfirmRedaction(_))
    }
}

/// The schemas of commands and events, by type.
pub struct Schemas {
    /// Of commands' data.
    pub commands: Vec<(&'static str, schemars::Schema)>,
    /// Of events' data.
    pub events: Vec<(&'static str, schemars::Schema)>,
}

/// Who may send a command.
#[derive(Debug, Clone, Copy)]
pub struct Right {
    /// The roles that may; empty: anyone on staff.
    pub roles: &'static [Role],
    /// Whether a machine may.
    pub machine: bool,
}

/// One command's data: how it is read, what it needs, and what it decides.
pub(crate) trait Decide: Sized {
    /// The shape that senders write, for the schemas.
    type Shape: schemars::JsonSchema;
    /// Who may.
    const RIGHT: Right;
    /// Whether `base` is required.
    const NEEDS_BASE: bool = false;

    /// Reads and checks what needs no article: the shape.
    fn read(data: &Node<'_>) -> Result<Self, Problem>;

    /// Whether stage and status allow it. By default anything but a spiked article does.
    fn allowed(&self, case: &Case<'_>) -> Result<(), Problem> {
        case.not_spiked()
    }

    /// Whether the decision turns on the time, and so can't be made where the clock is off.
    fn turns_on_time(&self, _article: Option<&Article>) -> bool {
        false
    }

    /// The revisions at which the article is needed beside its present state.
    fn past(&self, _article: &Article, _base: u32) -> Vec<u32> {
        Vec::new()
    }

    /// The rest, with everything else checked.
    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem>;
}

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

/// What a decision came to: the event's data and what the answer shall say.
pub(crate) struct Outcome {
    pub data: Data,
    pub created: Option<String>,
    pub blocks: Vec<BlockId>,
    pub warnings: Vec<Warning>,
    /// For a publication or withdrawal: its record and what goes on the wire.
    pub edition: Option<(EditionRecord, OnWire)>,
}

impl From<Data> for Outcome {
    fn from(data: Data) -> Self {
        Self { data, created: None, blocks: Vec::new(), warnings: Vec::new(), edition: None }
    }
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
struct Author {
    article: uuid::Uuid,
    command: uuid::Uuid,
    hash: Hash,
    kind: ActorKind,
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
fn conclude(
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
fn within_limits(after: &Article) -> Result<(), Problem> {
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
