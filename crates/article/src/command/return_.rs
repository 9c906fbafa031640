//! `return`: back to its writers, with a reason. Approvals are void.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::event::{Event, Said};
use crate::json::Node;
use crate::newsroom::Role;
use crate::problem::{Code, Problem};
use crate::words::Words;

/// The data of `return`.
#[derive(Debug, Clone, PartialEq)]
pub struct Return {
    reason: Words,
}

/// `return` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentReturn {
    /// Why.
    reason: String,
}

/// The article went back to its writers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Returned {
    /// What the answer said.
    pub answer: Said,
    /// Why.
    pub reason: Words,
}

impl Decide for Return {
    type Shape = SentReturn;
    const RIGHT: Right = Right { roles: &[Role::Editor], machine: false };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentReturn = shape::object(data)?;
        Ok(Self { reason: shape::remark("/data/reason", &sent.reason)? })
    }

    fn allowed(&self, case: &Case<'_>) -> Result<(), Problem> {
        case.not_spiked()?;
        if !case.article.submitted {
            return Err(Problem::new(
                Code::WrongStage,
                "the article is a draft: there is no review to return it from",
            ));
        }
        Ok(())
    }

    fn decide(&self, _: &Case<'_>) -> Result<Outcome, Problem> {
        let data = Returned { answer: Said::default(), reason: self.reason.clone() };
        Ok(Data::Returned(Box::new(data)).into())
    }
}

impl Returned {
    pub(crate) fn evolve(&self, article: &mut Article, _: &Event) -> Result<(), Broken> {
        article.submitted = false;
        article.approvals.clear();
        Ok(())
    }
}
