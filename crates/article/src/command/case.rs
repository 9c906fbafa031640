//! A command before its article, and what many decisions ask of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Context, Past, shape};
use crate::article::Article;
use crate::change;
use crate::claims::{Claim, ClaimState};
use crate::ids::ClaimId;
use crate::newsroom::Rules;
use crate::problem::{Code, Problem};

/// A command before its article: everything a decision may look at.
pub(crate) struct Case<'a> {
    pub article: &'a Article,
    pub past: &'a Past,
    pub context: &'a Context<'a>,
    pub rules: Rules,
    /// The revision that the sender had before them; the present one where they named none.
    pub base: u32,
}

impl<'a> Case<'a> {
    /// That someone named is in the newsroom.
    pub fn in_newsroom(&self, pointer: &str, name: &str) -> Result<(), Problem> {
        if self.context.newsroom.person(name).is_none() {
            let detail = format!("{pointer}: nobody of that name is in the newsroom");
            return Err(Problem::invalid(pointer, detail));
        }
        Ok(())
    }

    /// The article as it was at a revision that [`Decide::past`] named.
    pub fn at(&self, revision: u32) -> Result<&'a Article, Problem> {
        if revision == self.article.revision {
            return Ok(self.article);
        }
        self.past.get(&revision).map(|article| &**article).ok_or_else(|| {
            Problem::new(Code::LogUnavailable, format!("revision {revision} of the article can't be had now"))
        })
    }

    pub fn not_spiked(&self) -> Result<(), Problem> {
        if self.article.spiked {
            return Err(Problem::new(Code::WrongStage, "the article is spiked: revive it first"));
        }
        Ok(())
    }

    /// The actor's name.
    pub fn actor(&self) -> &Arc<str> {
        self.context.actor
    }

    /// A judgement on words seen is refused if they changed since (promise 4).
    pub fn words_unchanged(&self) -> Result<(), Problem> {
        if self.base == self.article.revision {
            return Ok(());
        }
        let conflicts = shape::differences(self.at(self.base)?, self.article);
        if conflicts.is_empty() { Ok(()) } else { Err(change::conflict(self.article, conflicts)) }
    }

    /// Whether the actor wrote anything that changed since the last edition, where four eyes are asked for.
    pub fn four_eyes(&self, writers: &BTreeSet<Arc<str>>, what: &str) -> Result<(), Problem> {
        if self.rules.four_eyes && writers.contains(self.actor()) {
            return Err(Problem::new(
                Code::FourEyes,
                format!("you wrote some of {what}: someone else must judge"),
            ));
        }
        Ok(())
    }

    /// The claim that a command names.
    pub fn claim(&self, id: ClaimId) -> Result<&'a Claim, Problem> {
        let claim = self.article.claims.get(&id).map(|claim| &**claim);
        let claim =
            claim.ok_or_else(|| Problem::invalid("/data/claim", format!("there is no claim {id}")))?;
        if claim.state == ClaimState::Dropped {
            return Err(Problem::invalid("/data/claim", format!("claim {id} was dropped")));
        }
        Ok(claim)
    }
}
