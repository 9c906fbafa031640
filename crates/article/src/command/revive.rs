//! `revive`: a spiked article is a draft again. Its approvals are void: they were given to a story that nobody
//! had given up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::event::{Event, Said};
use crate::json::Node;
use crate::newsroom::Role;
use crate::problem::{Code, Problem};
use crate::words::Words;

/// The data of `revive`.
#[derive(Debug, Clone, PartialEq)]
pub struct Revive {
    reason: Option<Words>,
}

/// `revive` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentRevive {
    /// Why.
    reason: Option<String>,
}

/// The article was taken up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revived {
    /// What the answer said.
    pub answer: Said,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
}

impl Decide for Revive {
    type Shape = SentRevive;
    const RIGHT: Right = Right { roles: &[Role::Editor], machine: false };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentRevive = shape::object(data)?;
        Ok(Self { reason: shape::optional_remark("/data/reason", sent.reason)? })
    }

    fn allowed(&self, case: &Case<'_>) -> Result<(), Problem> {
        if case.article.spiked {
            return Ok(());
        }
        Err(Problem::new(Code::WrongStage, "the article isn't spiked: there is nothing to revive"))
    }

    fn decide(&self, _: &Case<'_>) -> Result<Outcome, Problem> {
        let data = Revived { answer: Said::default(), reason: self.reason.clone() };
        Ok(Data::Revived(Box::new(data)).into())
    }
}

impl Revived {
    pub(crate) fn evolve(&self, article: &mut Article, _: &Event) -> Result<(), Broken> {
        article.spiked = false;
        article.submitted = false;
        article.approvals.clear();
        Ok(())
    }
}
