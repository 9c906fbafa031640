//! `ask`: a question on an article; a blocking one holds up publishing until it is answered.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::read::SentTime;
use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken, Query};
use crate::event::{Event, Said, Time};
use crate::fields::FieldName;
use crate::ids::{BlockId, QueryId};
use crate::json::Node;
use crate::limits;
use crate::problem::Problem;
use crate::words::Words;

/// The data of `ask`.
#[derive(Debug, Clone, PartialEq)]
pub struct AskQuery {
    text: Words,
    block: Option<BlockId>,
    field: Option<FieldName>,
    to: Option<Arc<str>>,
    due: Option<Time>,
    blocking: bool,
}

/// `ask` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentAsk {
    /// The question.
    text: String,
    /// The block it is about.
    block: Option<BlockId>,
    /// The field it is about.
    field: Option<FieldName>,
    /// Who should answer.
    to: Option<Arc<str>>,
    /// By when.
    due: Option<SentTime>,
    /// Whether it holds up publishing.
    #[serde(default = "yes")]
    blocking: bool,
}

fn yes() -> bool {
    true
}

/// A question was raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What the answer said.
    pub answer: Said,
    /// The query's id.
    pub query: QueryId,
    /// The question.
    pub text: Words,
    /// The block it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockId>,
    /// The field it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<FieldName>,
    /// Who should answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Arc<str>>,
    /// By when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
    /// Whether it holds up publishing.
    pub blocking: bool,
}

impl Decide for AskQuery {
    type Shape = SentAsk;
    const RIGHT: Right = Right { roles: &[], machine: true };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentAsk = shape::object(data)?;
        if sent.block.is_some() && sent.field.is_some() {
            return Err(Problem::invalid("/data/field", "name a block or a field, not both"));
        }
        Ok(Self {
            text: shape::remark("/data/text", &sent.text)?,
            block: sent.block,
            field: sent.field,
            to: sent.to,
            due: sent.due.map(|SentTime(due)| due),
            blocking: sent.blocking,
        })
    }

    fn allowed(&self, _: &Case<'_>) -> Result<(), Problem> {
        Ok(())
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let article = case.article;
        if article.queries.len() >= limits::QUERIES {
            let detail = format!("an article has at most {} queries", limits::QUERIES);
            return Err(Problem::too_large("queries", detail));
        }
        if let Some(block) = self.block
            && article.block(block).is_none()
        {
            return Err(Problem::invalid("/data/block", format!("there is no block {block}")));
        }
        if let Some(to) = &self.to
            && case.context.newsroom.person(to).is_none()
        {
            return Err(Problem::invalid("/data/to", "/data/to: nobody of that name is in the newsroom"));
        }
        let query = article.next_query();
        let data = Asked {
            answer: Said::default(),
            query,
            text: self.text.clone(),
            block: self.block,
            field: self.field,
            to: self.to.clone(),
            due: self.due,
            blocking: self.blocking,
        };
        let mut outcome = Outcome::from(Data::Asked(Box::new(data)));
        outcome.created = Some(query.to_string());
        Ok(outcome)
    }
}

impl Asked {
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        let query = Query {
            id: self.query,
            text: self.text.clone(),
            by: event.actor.clone(),
            time: event.time,
            to: self.to.clone(),
            due: self.due,
            blocking: self.blocking,
            block: self.block,
            field: self.field,
            answer: None,
        };
        match Arc::make_mut(&mut article.queries).insert(self.query, query.into()) {
            None => Ok(()),
            Some(_) => Err(Broken(format!("query {} is there twice", self.query))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::testing::Desk;
    use crate::problem::Code;

    #[test]
    fn a_blocking_query_holds_the_gate_until_it_is_answered() {
        let mut desk = Desk::drafted(&["One."]);
        desk.approved();
        let data = json!({"text": "Sure?", "block": "b1", "to": "ana", "due": "2026-02-01T10:00:00+01:00"});
        let event = desk.given("bot", json!({"type": "ask", "data": data})).clone();
        assert_eq!(event.data.said().created.as_deref(), Some("q1"));
        desk.given("chen", json!({"type": "ask", "data": {"text": "By the way?", "blocking": false}}));
        assert_eq!(desk.gate(), ["query_open"]);
        let answer = |query: &str| json!({"type": "answer", "data": {"query": query, "text": "Yes."}});
        desk.given("ana", answer("q1"));
        assert!(desk.gate().is_empty());
        desk.refused("eva", answer("q1"), Code::NothingNew);
        let unknown = desk.refused("eva", answer("q3"), Code::Invalid);
        assert_eq!(unknown.field.as_deref(), Some("/data/query"));
        assert_eq!(desk.state().queries.len(), 2);
    }

    #[test]
    fn what_is_wrong_with_a_question_is_named() {
        let mut desk = Desk::drafted(&["One."]);
        for (data, place) in [
            (json!({}), "/data/text"),
            (json!({"text": "\u{200b} \u{2060}"}), "/data/text"),
            (json!({"text": "?", "block": "b9"}), "/data/block"),
            (json!({"text": "?", "block": "b1", "field": "headline"}), "/data/field"),
            (json!({"text": "?", "to": "nobody"}), "/data/to"),
            (json!({"text": "?", "due": "2026-02-01T10:00:00"}), "/data/due"),
            (json!({"text": "?", "blocking": null}), "/data/blocking"),
        ] {
            let problem = desk.refused("ana", json!({"type": "ask", "data": data}), Code::Invalid);
            assert_eq!(problem.field.as_deref(), Some(place));
        }
        let problem = desk.refused("ana", json!({"type": "ask", "data": {"txt": "?"}}), Code::UnknownField);
        assert_eq!(problem.suggestion.as_deref(), Some("text"));
    }

    #[test]
    fn queries_have_a_limit() {
        let mut desk = Desk::drafted(&["One."]);
        desk.given("ana", json!({"type": "ask", "data": {"text": "?"}}));
        let state = Arc::make_mut(desk.states.last_mut().unwrap());
        let one = state.queries.values().next().unwrap().clone();
        for n in 2..=crate::limits::QUERIES as u32 - 1 {
            Arc::make_mut(&mut state.queries).insert(crate::ids::QueryId(n), one.clone());
        }
        desk.given("ana", json!({"type": "ask", "data": {"text": "?"}}));
        let over = desk.refused("ana", json!({"type": "ask", "data": {"text": "?"}}), Code::TooLarge);
        assert_eq!(over.limit.as_deref(), Some("queries"));
    }
}
