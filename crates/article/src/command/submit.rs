//! `submit`: a draft goes to review.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::coverage;
use crate::event::{Event, Said, Warning};
use crate::gate::{Reason, ReasonCode, gate};
use crate::json::Node;
use crate::newsroom::{Coverage, Role};
use crate::problem::{Code, Problem};

/// The data of `submit`: none.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Submit {}

/// A draft went to review.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Submitted {
    /// What the answer said.
    pub answer: Said,
}

impl Decide for Submit {
    type Shape = Self;
    const RIGHT: Right = Right { roles: &[Role::Reporter, Role::Editor], machine: false };
    const NEEDS_BASE: bool = true;

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        shape::object(data)
    }

    fn allowed(&self, case: &Case<'_>) -> Result<(), Problem> {
        case.not_spiked()?;
        if case.article.submitted {
            return Err(Problem::new(Code::WrongStage, "the article is in review already"));
        }
        Ok(())
    }

    fn past(&self, article: &Article, base: u32) -> Vec<u32> {
        if base < article.revision { vec![base] } else { Vec::new() }
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        case.words_unchanged()?;
        let mut reasons = gate(case.article, case.context.newsroom, case.context.now).reasons;
        if case.rules.coverage == Coverage::Warn {
            reasons.extend(coverage::unclaimed(case.article));
        }
        // That nobody approved yet is what submitting is for.
        reasons.retain(|reason| reason.code != ReasonCode::NotApproved);
        let mut outcome = Outcome::from(Data::Submitted(Box::new(Submitted { answer: Said::default() })));
        outcome.warnings = reasons.into_iter().map(Warning::from).collect();
        Ok(outcome)
    }
}

impl From<Reason> for Warning {
    fn from(reason: Reason) -> Self {
        Warning {
            code: reason.code.name().to_owned(),
            detail: reason.detail,
            block: reason.block,
            field: reason.field,
            claim: reason.claim,
            query: reason.query,
        }
    }
}

impl Submitted {
    pub(crate) fn evolve(&self, article: &mut Article, _: &Event) -> Result<(), Broken> {
        article.submitted = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Desk, replace};
    use crate::article::Stage;
    use crate::problem::Code;

    #[test]
    fn a_submission_warns_of_what_the_gate_will_say() {
        let mut desk = Desk::drafted(&["He won 12 votes. It was CANARY cold."]);
        desk.claim("It was CANARY cold");
        let event = desk.given("ana", json!({"type": "submit"})).clone();
        let said = event.data.said();
        assert_eq!(said.stage, Stage::InReview);
        let codes: Vec<&str> = said.warnings.iter().map(|warning| warning.code.as_str()).collect();
        assert_eq!(codes, ["claim_unruled", "unclaimed"]);
        assert!(said.warnings.iter().all(|warning| !warning.detail.contains("won")));
    }

    #[test]
    fn warnings_never_make_a_submission_too_big() {
        let many = vec!["It has 12 of them."; 1_900];
        let mut desk = Desk::drafted(&many);
        let event = desk.given("ana", json!({"type": "submit"}));
        assert_eq!(event.data.said().warnings.len(), crate::limits::WARNINGS);
    }

    #[test]
    fn a_submission_of_words_not_seen_is_refused() {
        let mut desk = Desk::drafted(&["One."]);
        desk.ops("emil", json!([replace("b1", "Two.")]));
        desk.refused("ana", json!({"type": "submit", "base": 1}), Code::Conflict);
        desk.refused("ana", json!({"type": "submit", "data": {"note": "x"}}), Code::UnknownField);
    }

    #[test]
    fn after_publication_an_edit_leads_to_review_without_a_submission() {
        let mut desk = Desk::published(&["One."]);
        assert_eq!(desk.stage(), Stage::Approved);
        desk.ops("ana", json!([replace("b1", "Two.")]));
        assert_eq!(desk.stage(), Stage::InReview);
        desk.refused("ana", json!({"type": "submit"}), Code::WrongStage);
        desk.given("eva", json!({"type": "return", "data": {"reason": "No."}}));
        assert_eq!(desk.stage(), Stage::Draft);
        let blank = json!({"type": "return", "data": {"reason": "\u{200b}"}});
        desk.given("ana", json!({"type": "submit"}));
        assert_eq!(desk.refused("eva", blank, Code::Invalid).field.as_deref(), Some("/data/reason"));
    }
}
