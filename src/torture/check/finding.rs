//! What is found.

use std::fmt;

use serde::Serialize;
use uuid::Uuid;

use crate::log::Seq;

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A command that was answered with success is not in the log as it was answered.
    AnsweredMissing,
    /// A command is in the log twice, or was taken as new twice.
    Doubled,
    /// A command that was refused, or only tried, is in the log.
    RefusedWritten,
    /// A repeated command was answered otherwise than the first time.
    AnsweredOtherwise,
    /// An event that nobody sent a command for.
    NobodySent,
    /// An article's line has a gap, or runs backwards.
    Gap,
    /// Words of an accepted edit are gone, or others stand there.
    WordsLost,
    /// An edition isn't on the wire, or not in a feed or stream that must have it.
    EditionMissing,
    /// An edition is there twice.
    EditionDoubled,
    /// An edition stands out of order, under a wrong number, or is none of the log's.
    EditionOutOfOrder,
    /// Something went out, or was set to, whose gate can't have been empty.
    GateShut,
    /// A judgement given on some words was taken for one on others.
    Unseen,
    /// Staff were told otherwise than the log has it, or not at all.
    ToldOtherwise,
    /// A delivery to a receiver of webhooks isn't signed as it says.
    Unsigned,
    /// A word that no edition has was seen outside.
    WordOutside,
    /// Words that were erased by law are still there, or there again.
    NotErased,
    /// A shown state is no fold of the log.
    NoFold,
    /// A checkpoint isn't of a beginning of the log.
    CheckpointNotExtended,
    /// `verify` found it.
    Verified,
    /// An instance panicked, ended, or never came back.
    Conduct,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::AnsweredMissing => "answered and not in the log",
            What::Doubled => "in the log twice",
            What::RefusedWritten => "refused and in the log",
            What::AnsweredOtherwise => "answered otherwise than before",
            What::NobodySent => "sent by nobody",
            What::Gap => "a gap in an article's line",
            What::WordsLost => "words lost or overwritten",
            What::EditionMissing => "an edition is missing",
            What::EditionDoubled => "an edition is doubled",
            What::EditionOutOfOrder => "an edition is out of order",
            What::GateShut => "out without an empty gate",
            What::Unseen => "a judgement on words unseen",
            What::ToldOtherwise => "staff told otherwise",
            What::Unsigned => "a delivery without its signature",
            What::WordOutside => "an unpublished word outside",
            What::NotErased => "erased and still there",
            What::NoFold => "a state that is no fold of the log",
            What::CheckpointNotExtended => "a checkpoint that isn't extended",
            What::Verified => "verify",
            What::Conduct => "an instance's conduct",
        })
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind.
    pub what: What,
    /// The article.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub article: Option<Uuid>,
    /// The position in the log, or on the wire where it is about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// What exactly.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if let Some(seq) = self.seq {
            write!(f, ", at {seq}")?;
        }
        if let Some(article) = self.article {
            write!(f, ", article {article}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// What was found, and how many things were looked at.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// How many things were held against each other.
    pub checks: u64,
}

impl Checked {
    pub(super) fn found(
        &mut self,
        what: What,
        article: Option<Uuid>,
        seq: Option<Seq>,
        detail: impl Into<String>,
    ) {
        self.findings.push(Finding { what, article, seq, detail: detail.into() });
    }

    /// Counts a check, and notes what is wrong where it doesn't hold.
    pub(super) fn holds(
        &mut self,
        holds: bool,
        what: What,
        at: (Uuid, Seq),
        detail: impl FnOnce() -> String,
    ) {
        self.checks += 1;
        if !holds {
            self.found(what, Some(at.0), Some(at.1), detail());
        }
    }
}
