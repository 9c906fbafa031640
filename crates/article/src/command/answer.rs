//! `answer`: a query gets its answer, once.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken, QueryAnswer};
use crate::event::{Event, Said};
use crate::ids::QueryId;
use crate::json::Node;
use crate::problem::{Code, Problem};
use crate::words::Words;

/// The data of `answer`.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerQuery {
    query: QueryId,
    text: Words,
}

/// `answer` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentAnswer {
    /// The query.
    query: QueryId,
    /// The answer.
    text: String,
}

/// A query was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// What the answer said.
    pub answer: Said,
    /// The query.
    pub query: QueryId,
    /// The answer to it.
    pub text: Words,
}

impl Decide for AnswerQuery {
    type Shape = SentAnswer;
    const RIGHT: Right = Right { roles: &[], machine: false };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentAnswer = shape::object(data)?;
        Ok(Self { query: sent.query, text: shape::remark("/data/text", &sent.text)? })
    }

    fn allowed(&self, _: &Case<'_>) -> Result<(), Problem> {
        Ok(())
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let query = case.article.queries.get(&self.query);
        let query = query
            .ok_or_else(|| Problem::invalid("/data/query", format!("there is no query {}", self.query)))?;
        if query.answer.is_some() {
            return Err(Problem::new(Code::NothingNew, format!("query {} was answered already", self.query)));
        }
        let data = Answered { answer: Said::default(), query: self.query, text: self.text.clone() };
        Ok(Data::Answered(Box::new(data)).into())
    }
}

impl Answered {
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        let query = Arc::make_mut(&mut article.queries).get_mut(&self.query);
        let query = query.ok_or_else(|| Broken(format!("there is no query {}", self.query)))?;
        let answer = QueryAnswer { text: self.text.clone(), by: event.actor.clone(), time: event.time };
        std::sync::Arc::make_mut(query).answer = Some(answer);
        Ok(())
    }
}
