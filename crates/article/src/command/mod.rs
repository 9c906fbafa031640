//! Commands: one file each, with its data, its decision, its event and how that folds.
//!
//! Adding a command is adding a file and one line to the list below.

use serde_json::value::RawValue;

use crate::article::{Article, Broken, EditionRecord};
use crate::event::{Event, OnWire, Said, Warning};
use crate::ids::BlockId;
use crate::json::Node;
use crate::newsroom::Role;
use crate::problem::Problem;

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
mod decide;
mod read;
#[cfg(test)]
mod rights_test;
mod shape;
#[cfg(test)]
mod story_test;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use case::Case;
pub(crate) use decide::within_limits;
pub use decide::{Context, Decision, Past, Undecided, decide, outside, turns_on_time};
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
