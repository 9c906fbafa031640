//! `drop`: a checker takes a claim back. One ruled wrong can't be dropped while its words stand.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::claims::{self, ClaimState};
use crate::event::{Event, Said};
use crate::ids::ClaimId;
use crate::json::Node;
use crate::newsroom::Role;
use crate::problem::{Code, Problem};
use crate::words::Words;

/// The data of `drop`.
#[derive(Debug, Clone, PartialEq)]
pub struct DropClaim {
    claim: ClaimId,
    reason: Words,
}

/// `drop` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentDrop {
    /// The claim.
    claim: ClaimId,
    /// Why.
    reason: String,
}

/// A claim was taken back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimDropped {
    /// What the answer said.
    pub answer: Said,
    /// The claim.
    pub claim: ClaimId,
    /// Why.
    pub reason: Words,
}

impl Decide for DropClaim {
    type Shape = SentDrop;
    const RIGHT: Right = Right { roles: &[Role::Checker], machine: false };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentDrop = shape::object(data)?;
        Ok(Self { claim: sent.claim, reason: shape::remark("/data/reason", &sent.reason)? })
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let claim = case.claim(self.claim)?;
        let adverse = claim.ruling.as_ref().is_some_and(|ruling| ruling.verdict.is_adverse());
        if claim.found_false.is_some() || adverse && claims::may_stand(case.article, claim) {
            let detail =
                format!("claim {} was ruled wrong and its words still stand: change them first", claim.id);
            return Err(Problem::new(Code::VerdictAdverse, detail));
        }
        let data = ClaimDropped { answer: Said::default(), claim: self.claim, reason: self.reason.clone() };
        Ok(Data::ClaimDropped(Box::new(data)).into())
    }
}

impl ClaimDropped {
    pub(crate) fn evolve(&self, article: &mut Article, _: &Event) -> Result<(), Broken> {
        let claim = article.claim_mut(self.claim)?;
        claim.state = ClaimState::Dropped;
        claim.dropped = Some(self.reason.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Desk, replace};
    use crate::claims::ClaimState;
    use crate::problem::Code;

    const DROP: &str = r#"{"type": "drop", "data": {"claim": "c1", "reason": "No longer needed."}}"#;

    #[test]
    fn a_dropped_claim_holds_nothing_and_follows_nothing() {
        let mut desk = Desk::drafted(&["He won."]);
        desk.claim("He won");
        desk.given("chen", serde_json::from_str(DROP).unwrap());
        assert!(!desk.gate().contains(&"claim_unruled"));
        desk.ops("emil", json!([replace("b1", "He lost.")]));
        assert_eq!(desk.claimed("c1").0, ClaimState::Dropped);
        desk.refused("chen", serde_json::from_str(DROP).unwrap(), Code::Invalid);
    }

    #[test]
    fn a_claim_ruled_wrong_is_not_dropped_while_its_words_stand() {
        for verdict in ["inaccurate", "misleading"] {
            let mut desk = Desk::ruled(&["So he won. More."], "he won", verdict);
            desk.refused("chen", serde_json::from_str(DROP).unwrap(), Code::VerdictAdverse);
            desk.ops("emil", json!([replace("b1", "So he won it. More.")]));
            desk.refused("chen", serde_json::from_str(DROP).unwrap(), Code::VerdictAdverse);
            desk.ops("emil", json!([replace("b1", "So he lost it. More.")]));
            desk.given("chen", serde_json::from_str(DROP).unwrap());
        }
        for verdict in ["supported", "unsupported", "unverifiable"] {
            let mut desk = Desk::ruled(&["So he won. More."], "he won", verdict);
            desk.given("chen", serde_json::from_str(DROP).unwrap());
        }
    }

    #[test]
    fn a_claim_found_right_on_other_words_since_is_dropped() {
        let mut desk = Desk::ruled(&["He won."], "He won", "inaccurate");
        desk.ops("emil", json!([replace("b1", "He lost.")]));
        desk.rule_again("c1", "He lost");
        desk.given("chen", serde_json::from_str(DROP).unwrap());
    }
}
