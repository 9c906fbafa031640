//! `spike`: given up before publication. What was scheduled isn't any more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::event::{Event, Said};
use crate::json::Node;
use crate::newsroom::Role;
use crate::problem::{Code, Problem};
use crate::words::Words;

/// The data of `spike`.
#[derive(Debug, Clone, PartialEq)]
pub struct Spike {
    reason: Option<Words>,
}

/// `spike` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentSpike {
    /// Why.
    reason: Option<String>,
}

/// The article was given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spiked {
    /// What the answer said.
    pub answer: Said,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
}

impl Decide for Spike {
    type Shape = SentSpike;
    const RIGHT: Right = Right { roles: &[Role::Editor], machine: false };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentSpike = shape::object(data)?;
        Ok(Self { reason: shape::optional_remark("/data/reason", sent.reason)? })
    }

    fn allowed(&self, case: &Case<'_>) -> Result<(), Problem> {
        if case.article.spiked {
            return Err(Problem::new(Code::WrongStage, "the article is spiked already"));
        }
        if case.article.last_edition().is_some() {
            let detail = "the article has been before readers: withdraw it instead";
            return Err(Problem::new(Code::WrongStatus, detail));
        }
        Ok(())
    }

    fn decide(&self, _: &Case<'_>) -> Result<Outcome, Problem> {
        let data = Spiked { answer: Said::default(), reason: self.reason.clone() };
        Ok(Data::Spiked(Box::new(data)).into())
    }
}

impl Spiked {
    pub(crate) fn evolve(&self, article: &mut Article, _: &Event) -> Result<(), Broken> {
        article.spiked = true;
        article.schedule = None;
        article.held = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::article::{Stage, Status};
    use crate::command::testing::Desk;
    use crate::problem::Code;

    #[test]
    fn a_spiked_article_is_left_alone_until_it_is_revived() {
        let mut desk = Desk::drafted(&["Words."]);
        desk.approved();
        desk.refused("ana", json!({"type": "spike"}), Code::Forbidden);
        desk.refused("eva", json!({"type": "revive"}), Code::WrongStage);
        desk.given("eva", json!({"type": "spike", "data": {"reason": "Overtaken."}}));
        assert_eq!((desk.stage(), desk.state().status()), (Stage::Spiked, Status::Unpublished));
        assert!(desk.gate().contains(&"spiked"));
        for kind in ["spike", "submit", "publish", "approve"] {
            desk.refused("carl", json!({"type": kind}), Code::WrongStage);
        }
        desk.refused("eva", json!({"type": "edit", "data": {"set": {"slug": "x"}}}), Code::WrongStage);
        desk.given("eva", json!({"type": "revive"}));
        assert_eq!((desk.stage(), desk.gate()), (Stage::Draft, vec!["not_approved"]), "approvals are void");
    }

    #[test]
    fn what_has_been_out_is_withdrawn_not_spiked() {
        let mut desk = Desk::published(&["Words."]);
        desk.refused("eva", json!({"type": "spike"}), Code::WrongStatus);
        desk.given("pia", json!({"type": "withdraw", "data": {"notice": "Gone."}}));
        desk.refused("eva", json!({"type": "spike"}), Code::WrongStatus);
    }

    #[test]
    fn spiking_ends_what_was_scheduled() {
        let mut desk = Desk::drafted(&["Words."]);
        desk.approved();
        desk.given("pia", json!({"type": "publish", "data": {"at": "2026-02-01T09:00:00Z"}}));
        desk.given("eva", json!({"type": "spike"}));
        assert_eq!((desk.state().status(), &desk.state().schedule), (Status::Unpublished, &None));
    }
}
