//! Refusals: RFC 9457 problems with a code of ours, and the one table of codes and HTTP statuses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gate::Reason;
use crate::words::Shown;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $status:literal $name:literal $title:literal,)*) => {
        /// Why a command or a read was refused. The names are part of the outside contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        impl Code {
            /// Every code, in the order of the contract's table.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];
            /// The code as it stands in answers.
            pub fn name(self) -> &'static str { match self { $(Code::$variant => $name,)* } }
            /// The HTTP status, which NATS answers carry too.
            pub fn status(self) -> u16 { match self { $(Code::$variant => $status,)* } }
            /// A short title for people, the same for every problem of this code.
            pub fn title(self) -> &'static str { match self { $(Code::$variant => $title,)* } }
        }
    };
}

codes! {
    /// Not JSON, too deep, or with a key twice.
    Malformed = 400 "malformed" "The command can't be read",
    /// A value is missing or of the wrong kind; `field` names it.
    Invalid = 400 "invalid" "A value isn't right",
    /// No command has this type.
    UnknownType = 400 "unknown_type" "There is no such command",
    /// A field that no such command has; `field` names it.
    UnknownField = 400 "unknown_field" "There is no such field",
    /// No token, or one that nobody has.
    Unauthenticated = 401 "unauthenticated" "Who is asking isn't known",
    /// The actor has no role that may do this.
    Forbidden = 403 "forbidden" "This needs another role",
    /// The actor wrote the words to be judged.
    FourEyes = 403 "four_eyes" "Someone else must judge these words",
    /// Unknown, or not to be seen by the actor.
    NotFound = 404 "not_found" "There is no such thing",
    /// Withdrawn for good.
    Withdrawn = 410 "withdrawn" "The article was withdrawn for good",
    /// These bytes were erased, by law.
    Erased = 410 "erased" "Erased",
    /// These bytes were deleted behind the service's back.
    Deleted = 410 "deleted" "Deleted",
    /// The route has no such method; the header `Allow` names those there are.
    MethodNotAllowed = 405 "method_not_allowed" "Not with this method",
    /// The words changed since `base`.
    Conflict = 409 "conflict" "The words changed meanwhile",
    /// The article's version isn't the one expected.
    VersionMismatch = 409 "version_mismatch" "The article is at another version",
    /// The command's id was used for something else.
    IdReused = 409 "id_reused" "The command's id was used before",
    /// A draft for an article that exists.
    Exists = 409 "exists" "The article exists",
    /// Over a limit; `limit` names it.
    TooLarge = 413 "too_large" "Over a limit",
    /// Too much in flight; try again.
    Busy = 429 "busy" "Too much at once",
    /// `not_after` has passed.
    Expired = 422 "expired" "The command came too late",
    /// The working copy's stage doesn't allow it.
    WrongStage = 422 "wrong_stage" "Not at this stage",
    /// What readers have doesn't allow it.
    WrongStatus = 422 "wrong_status" "Not in this status",
    /// The quoted words aren't in the text.
    QuoteNotFound = 422 "quote_not_found" "The quote isn't in the text",
    /// The quoted words occur more than once.
    QuoteAmbiguous = 422 "quote_ambiguous" "The quote occurs more than once",
    /// The claim was ruled wrong and its words still stand.
    VerdictAdverse = 422 "verdict_adverse" "The claim was ruled wrong and still stands",
    /// Something stands between the text and its readers; `reasons` lists all of it.
    GateShut = 422 "gate_shut" "The gate is shut",
    /// A time before the embargo's end.
    Embargoed = 422 "embargoed" "Under embargo",
    /// Nothing would change.
    NothingNew = 422 "nothing_new" "Nothing would change",
    /// Not written: the log can't be reached.
    LogUnavailable = 503 "log_unavailable" "The log can't be reached",
    /// May have been written: send the same id again.
    OutcomeUnknown = 503 "outcome_unknown" "It isn't known whether it was written",
    /// The article holds an event that this build doesn't understand.
    SetAside = 503 "set_aside" "The article is set aside",
    /// This instance hasn't folded up to `min_seq` yet.
    Behind = 503 "behind" "This instance is behind",
    /// A fault of the service; its log says where.
    Internal = 500 "internal" "The service failed",
}

/// A refusal, in the shape of RFC 9457.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `urn:copydesk:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every problem of this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here and what to do, for people. Never holds the article's words.
    pub detail: String,
    /// What is wrong, for programs.
    pub code: Code,
    /// What shuts the gate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Which words changed, with both texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// Where in the command: a JSON Pointer (RFC 6901).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What was probably meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// The limit that was passed, by its name in the table of limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// For a version mismatch: the article's present version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// For a conflict: the article's present revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
}

/// One block or field that two people changed: a block's text with marks, a field's value in the shape in which
/// senders write it; for a verdict the sentence alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Conflict {
    /// The block, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// The field, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What stood at the sender's `base`; null where there was nothing.
    pub was: Option<Shown>,
    /// What the sender wants there; null where they take it away or sent nothing.
    pub yours: Option<Shown>,
    /// What stands there now; null where it was taken away.
    pub theirs: Option<Shown>,
    /// The revision at which it last changed.
    pub revision: u32,
    /// Who changed it.
    pub by: String,
}

impl Problem {
    /// The most bytes of a detail, and of a pointer: both may hold what a sender wrote, and a command has 4 MiB.
    pub const LINE_BYTES: usize = 1_024;

    /// A problem with a code and a sentence for people, which names the thing, what is wrong and what to do. What is
    /// longer than [`LINE_BYTES`](Self::LINE_BYTES) ends there in an ellipsis.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:copydesk:problem:{}", code.name()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: within_line(detail.into()),
            code,
            reasons: Vec::new(),
            conflicts: Vec::new(),
            field: None,
            suggestion: None,
            limit: None,
            version: None,
            revision: None,
        }
    }

    /// A value that isn't right, at a JSON Pointer.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Code::Invalid, detail).at(pointer)
    }

    /// Over the limit of this name.
    pub fn too_large(limit: &str, detail: impl Into<String>) -> Self {
        Self { limit: Some(limit.to_owned()), ..Self::new(Code::TooLarge, detail) }
    }

    /// The same answer for what is unknown and for what may not be seen.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is no such article, or none that you may see")
    }

    /// The same problem, with the place that it speaks of: where that is longer than
    /// [`LINE_BYTES`](Self::LINE_BYTES), the nearest place around it that isn't.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        let mut pointer = pointer.into();
        while pointer.len() > Self::LINE_BYTES {
            pointer.truncate(pointer.rfind('/').unwrap_or(0));
        }
        self.field = Some(pointer);
        self
    }
}

fn within_line(mut detail: String) -> String {
    const ELLIPSIS: char = '…';
    if detail.len() > Problem::LINE_BYTES {
        let most = Problem::LINE_BYTES - ELLIPSIS.len_utf8();
        let end = (0..=most).rfind(|at| detail.is_char_boundary(*at)).unwrap_or(0);
        detail.truncate(end);
        detail.push(ELLIPSIS);
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::{Code, Problem};

    #[test]
    fn what_a_sender_wrote_does_not_come_back_in_bulk() {
        let long = "ж".repeat(5_000);
        let problem = Problem::invalid(format!("/data/{long}"), format!("/data/{long}: expected a number"));
        assert_eq!(problem.field.as_deref(), Some("/data"), "the place around it is a pointer still");
        assert!(problem.detail.len() <= Problem::LINE_BYTES && problem.detail.ends_with("ж…"));
        let short = Problem::new(Code::Malformed, "it isn't JSON");
        assert_eq!(short.detail, "it isn't JSON");
    }
}
