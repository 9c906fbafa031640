//! `unschedule`: what was to go out at an hour doesn't.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::event::{Event, Said, Time};
use crate::json::Node;
use crate::newsroom::Role;
use crate::problem::{Code, Problem};

/// The data of `unschedule`: none.
#[derive(Debug, Clone, PartialEq)]
pub struct Unschedule;

/// `unschedule` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentUnschedule {}

/// A scheduled publication was called off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unscheduled {
    /// What the answer said.
    pub answer: Said,
    /// The hour that had been set.
    pub at: Time,
}

impl Decide for Unschedule {
    type Shape = SentUnschedule;
    const RIGHT: Right = Right { roles: &[Role::Publisher], machine: false };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        shape::object::<SentUnschedule>(data).map(|SentUnschedule {}| Self)
    }

    fn allowed(&self, case: &Case<'_>) -> Result<(), Problem> {
        scheduled(case.article).map(|_| ())
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let at = scheduled(case.article)?;
        Ok(Data::Unscheduled(Box::new(Unscheduled { answer: Said::default(), at })).into())
    }
}

fn scheduled(article: &Article) -> Result<Time, Problem> {
    let schedule = article.schedule.as_ref();
    schedule.map(|schedule| schedule.at).ok_or_else(|| {
        Problem::new(Code::WrongStatus, "nothing of the article is scheduled: there is nothing to call off")
    })
}

impl Unscheduled {
    pub(crate) fn evolve(&self, article: &mut Article, _: &Event) -> Result<(), Broken> {
        article.schedule = None;
        Ok(())
    }
}
