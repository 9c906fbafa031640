//! `withdraw`: what is out must go; readers see a notice instead.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken, EditionKind, EditionRecord};
use crate::edition::words_digest;
use crate::event::{Event, Hash, OnWire, Said};
use crate::json::Node;
use crate::newsroom::Role;
use crate::problem::{Code, Problem};
use crate::words::Words;

/// The data of `withdraw`.
#[derive(Debug, Clone, PartialEq)]
pub struct Withdraw {
    notice: Words,
    for_good: bool,
}

/// `withdraw` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentWithdraw {
    /// What readers see instead.
    notice: String,
    /// Whether it may never return.
    #[serde(default, rename = "final")]
    for_good: bool,
}

/// What was out went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Withdrawn {
    /// What the answer said.
    pub answer: Said,
    /// The withdrawal's number among the editions.
    pub edition: u32,
    /// What readers see instead.
    pub notice: Words,
    /// Whether it may never return.
    #[serde(rename = "final")]
    pub for_good: bool,
    /// Digest of the working copy's words at that moment.
    pub words: Hash,
}

impl Decide for Withdraw {
    type Shape = SentWithdraw;
    const RIGHT: Right = Right { roles: &[Role::Publisher], machine: false };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentWithdraw = shape::object(data)?;
        Ok(Self { notice: shape::reader_note("/data/notice", &sent.notice)?, for_good: sent.for_good })
    }

    fn allowed(&self, case: &Case<'_>) -> Result<(), Problem> {
        if case.article.is_out() {
            return Ok(());
        }
        Err(Problem::new(
            Code::WrongStatus,
            "nothing of the article is before readers: there is nothing to withdraw",
        ))
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let article = case.article;
        let words = words_digest(article);
        let number = article.next_edition();
        let record = EditionRecord {
            number,
            kind: EditionKind::Withdrawal,
            version: article.version + 1,
            revision: article.revision,
            time: case.context.now.max(article.updated),
            words,
            note: Some(self.notice.clone()),
        };
        let data = Withdrawn {
            answer: Said::default(),
            edition: number,
            notice: self.notice.clone(),
            for_good: self.for_good,
            words,
        };
        let mut outcome = Outcome::from(Data::Withdrawn(Box::new(data)));
        outcome.edition = Some((record, OnWire::Withdrawal));
        Ok(outcome)
    }
}

impl Withdrawn {
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        article.withdrawn_for_good = self.for_good;
        article.schedule = None;
        article.held = None;
        article.record(EditionRecord {
            number: self.edition,
            kind: EditionKind::Withdrawal,
            version: event.articleversion,
            revision: event.revision,
            time: event.time,
            words: self.words,
            note: Some(self.notice.clone()),
        })
    }
}
