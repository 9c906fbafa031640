//! Claims: checkable statements in the text, what was ruled on them, and where they stand.
//!
//! A claim is bound to the words of one sentence (or of several, where its quote runs over them). `search` finds
//! the words that someone quotes; [`follow()`] says what a change of the text made of the claims.

#[cfg(test)]
mod cost_test;
mod follow;
mod plain;
#[cfg(test)]
mod rulings_test;
mod sealing;
mod search;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Hash;
use crate::ids::{BlockId, ClaimId};
use crate::redaction;
use crate::words::Words;

pub use follow::follow;
pub use plain::Standing;
pub use sealing::{Blind, Confidential, Opened, Seal, Sealed};
pub use search::{
    Found, bound_sentence, find, find_bound, find_quoted, found_false, may_stand, noted, stands, writers_at,
};

/// What sort of statement a claim is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClaimKind {
    /// A statement of fact.
    Fact,
    /// That someone said these words.
    Quotation,
    /// A figure.
    Statistic,
}

/// A checker's ruling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The evidence bears it out.
    Supported,
    /// It is wrong.
    Inaccurate,
    /// It is right to the letter and wrong in effect.
    Misleading,
    /// No evidence bears it out.
    Unsupported,
    /// It can't be checked.
    Unverifiable,
}

impl Verdict {
    /// Whether words so ruled may not go out whatever anyone waives, nor their claim be dropped.
    pub fn is_adverse(self) -> bool {
        matches!(self, Verdict::Inaccurate | Verdict::Misleading)
    }

    /// The verdict in a word.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Supported => "supported",
            Verdict::Inaccurate => "inaccurate",
            Verdict::Misleading => "misleading",
            Verdict::Unsupported => "unsupported",
            Verdict::Unverifiable => "unverifiable",
        }
    }
}

/// Where a claim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClaimState {
    /// No verdict yet.
    Unruled,
    /// The verdict stands on the present words.
    Ruled,
    /// The sentence changed since the verdict.
    Stale,
    /// The sentence is no longer in the text; it holds nothing.
    Gone,
    /// Taken back by a checker.
    Dropped,
}

/// A text that can be claimed: of a block, or of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A block: its words, its items, or a picture's alt and caption.
    Block(BlockId),
    /// A field.
    Field(ClaimField),
}

/// A field that can be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClaimField {
    /// The headline.
    Headline,
    /// The standfirst.
    Standfirst,
    /// The caption of the article's picture.
    Caption,
}

impl ClaimField {
    /// The name as it stands in commands.
    pub fn name(self) -> &'static str {
        match self {
            ClaimField::Headline => "headline",
            ClaimField::Standfirst => "standfirst",
            ClaimField::Caption => "caption",
        }
    }
}

/// A checkable statement in the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Its id.
    pub id: ClaimId,
    /// The exact words claimed.
    pub quote: Words,
    /// Where they stand, or last stood.
    pub place: Place,
    /// The present words of the sentence, or the last ones.
    pub sentence: Words,
    /// What sort of statement.
    pub kind: ClaimKind,
    /// Whom the text attributes it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributed_to: Option<Words>,
    /// Whether the story stands or falls with it.
    pub material: bool,
    /// Where it stands.
    pub state: ClaimState,
    /// Who raised it.
    pub raised_by: Arc<str>,
    /// What was cited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The ruling on its words, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruling: Option<Ruling>,
    /// Those before it, most of them on other words, the newest last: at most [`EARLIER_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Earlier>,
    /// Words that a ruling on it found false and that stand in the text, where the claim isn't on them: they hold as if it
    /// were, whatever was ruled on others since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_false: Option<FoundFalse>,
    /// Why it was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Words>,
}

impl Claim {
    /// Whether it counts as live: neither gone nor dropped.
    pub fn is_live(&self) -> bool {
        !matches!(self.state, ClaimState::Gone | ClaimState::Dropped)
    }

    /// The last ruling on exactly these words.
    pub fn ruling_on(&self, sentence: &str) -> Option<&Ruling> {
        self.rulings_on(sentence).next()
    }

    /// The ruling of this version, if it is kept.
    pub fn ruling_of(&self, version: u32) -> Option<&Ruling> {
        self.ruling.iter().chain(self.earlier()).find(|ruling| ruling.version == version)
    }

    /// The rulings on exactly these words, the newest first.
    pub(crate) fn rulings_on(&self, sentence: &str) -> impl Iterator<Item = &Ruling> {
        self.ruling.iter().chain(self.earlier()).filter(move |ruling| *ruling.sentence == *sentence)
    }

    /// The rulings that found words false, the newest first, but for those that another on the same words came after.
    pub(crate) fn adverse(&self) -> impl Iterator<Item = &Ruling> {
        let all = self.ruling.iter().chain(self.earlier());
        all.filter(|ruling| ruling.verdict.is_adverse() && !self.is_superseded(ruling))
    }

    /// Whether another ruling came after this one on the same words, where events don't say so themselves. Words that were
    /// made the same by law are not the same.
    pub(crate) fn is_superseded(&self, ruling: &Ruling) -> bool {
        !ruling.sentence.contains(redaction::MARK)
            && self.rulings_on(&ruling.sentence).any(|other| other.version > ruling.version)
    }

    /// Has a ruling stand, on a new quote where there is one. Those before it are kept, for when their words come back, but
    /// for those on the same words: `instead_of`, by their versions. Which are kept is never a matter of words here: those
    /// of some may have been erased.
    pub(crate) fn hold(&mut self, ruling: Ruling, quote: Option<Words>, instead_of: &[u32]) {
        let quote = quote.unwrap_or_else(|| self.quote.clone());
        let quote = std::mem::replace(&mut self.quote, quote);
        self.earlier.extend(self.ruling.replace(ruling).map(|ruling| Earlier { quote, ruling }));
        self.earlier.retain(|earlier| !instead_of.contains(&earlier.ruling.version));
        if self.earlier.len() > EARLIER_MAX {
            // What was found false is kept the longest.
            let least = self.earlier.iter().position(|earlier| !earlier.ruling.verdict.is_adverse());
            self.earlier.remove(least.unwrap_or(0));
        }
    }

    /// Has an earlier ruling stand again, by its version. Whether there is one.
    pub(crate) fn hold_again(&mut self, version: u32) -> bool {
        let at = self.earlier.iter().position(|earlier| earlier.ruling.version == version);
        let again = at.map(|at| self.earlier.remove(at));
        again.map(|again| self.hold(again.ruling, Some(again.quote), &[])).is_some()
    }

    /// The earlier rulings, the newest first.
    pub(crate) fn earlier(&self) -> impl Iterator<Item = &Ruling> {
        self.earlier.iter().rev().map(|earlier| &earlier.ruling)
    }
}

/// How many earlier rulings a claim keeps.
pub const EARLIER_MAX: usize = 16;

/// A checker's ruling on the exact words of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruling {
    /// The verdict.
    pub verdict: Verdict,
    /// The sentence it was given on.
    pub sentence: Words,
    /// Who ruled.
    pub by: Arc<str>,
    /// The article's version with this ruling.
    pub version: u32,
    /// What the checker noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
}

/// Words that were found false, and where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FoundFalse {
    /// The article's version with the ruling on them.
    pub ruling: u32,
    /// Where they stand.
    pub place: Place,
}

/// A ruling that another came after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Earlier {
    /// What the claim quoted then.
    pub quote: Words,
    /// The ruling.
    pub ruling: Ruling,
}

/// What a checker cites for a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Words>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Words>,
    /// SHA-256 of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Hash>,
    /// What the checker noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
    /// All of the above of confidential evidence, sealed; then they are absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// Who cited it.
    pub by: Arc<str>,
}

/// What a change of the text made of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimMove {
    /// The claim.
    pub claim: ClaimId,
    /// Where it stands now.
    pub state: ClaimState,
    /// Where its words stand now, where that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Its sentence now, where that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence: Option<Words>,
    /// The article's version with the ruling that stands again, where its words came back after another was given on others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruling: Option<u32>,
    /// Words that were found false and stand where the claim isn't on them; where it is absent there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_false: Option<FoundFalse>,
}
