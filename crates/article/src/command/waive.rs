//! `waive`: a chief lifts named gate reasons for one revision, with a reason, loudly.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::event::{Event, Said};
use crate::gate::{Reason, ReasonCode, gate};
use crate::json::Node;
use crate::limits;
use crate::newsroom::Role;
use crate::problem::Problem;
use crate::words::Words;
use crate::workflow::{WaivedReason, Waiver, is_waivable};

/// The data of `waive`.
#[derive(Debug, Clone, PartialEq)]
pub struct Waive {
    reasons: Vec<WaivedReason>,
    reason: Words,
}

/// `waive` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentWaive {
    /// Which reasons of the gate.
    reasons: Vec<WaivedReason>,
    /// Why.
    reason: String,
}

/// Reasons of the gate were lifted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waived {
    /// What the answer said.
    pub answer: Said,
    /// Which reasons.
    pub reasons: Vec<WaivedReason>,
    /// Why.
    pub reason: Words,
}

impl Decide for Waive {
    type Shape = SentWaive;
    const RIGHT: Right = Right { roles: &[Role::Chief], machine: false };
    const NEEDS_BASE: bool = true;

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentWaive = shape::object(data)?;
        if sent.reasons.is_empty() || sent.reasons.len() > limits::WARNINGS {
            let detail = format!("/data/reasons: expected 1 to {} reasons", limits::WARNINGS);
            return Err(Problem::invalid("/data/reasons", detail));
        }
        Ok(Self { reasons: sent.reasons, reason: shape::remark("/data/reason", &sent.reason)? })
    }

    fn past(&self, article: &Article, base: u32) -> Vec<u32> {
        if base < article.revision { vec![base] } else { Vec::new() }
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        case.words_unchanged()?;
        let gate = gate(case.article, case.context.newsroom, case.context.now);
        // Written as the gate has them, so that a name that fits many lifts nothing that comes up later.
        let mut lifted = Vec::new();
        for (at, named) in self.reasons.iter().enumerate() {
            let pointer = format!("/data/reasons/{at}");
            let all = gate.reasons.iter().chain(&gate.waived);
            let meant: Vec<&Reason> = all.filter(|reason| named.names(reason)).collect();
            if meant.is_empty() {
                let detail = format!("{pointer}: the gate has no such reason; /gate lists those it has");
                return Err(Problem::invalid(pointer, detail));
            }
            if meant.iter().any(|reason| !is_waivable(reason, case.article)) {
                let detail = match named.code {
                    ReasonCode::VerdictAdverse => "what was ruled inaccurate or misleading can't be waived",
                    _ => "no one may waive this",
                };
                return Err(Problem::invalid(&pointer, format!("{pointer}: {detail}")));
            }
            for reason in meant.into_iter().map(WaivedReason::from) {
                if !lifted.contains(&reason) {
                    lifted.push(reason);
                }
            }
        }
        let data = Waived { answer: Said::default(), reasons: lifted, reason: self.reason.clone() };
        Ok(Data::Waived(Box::new(data)).into())
    }
}

impl Waived {
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        // Those of earlier revisions lift nothing any more; the events keep them.
        article.waivers.retain(|waiver| waiver.revision == event.revision);
        article.waivers.push(Arc::new(Waiver {
            reasons: self.reasons.clone(),
            reason: self.reason.clone(),
            by: Arc::clone(&event.actor),
            revision: event.revision,
            version: event.articleversion,
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::command::Data;
    use crate::command::testing::Desk;
    use crate::problem::Code;

    fn waive(reasons: serde_json::Value) -> serde_json::Value {
        json!({"type": "waive", "data": {"reasons": reasons, "reason": "The hour."}})
    }

    #[test]
    fn a_waiver_lifts_what_it_names_for_this_revision_and_stands_in_the_proof() {
        let mut desk = Desk::drafted(&["Words are here."]);
        desk.given("chen", json!({"type": "claim", "data": {"quote": "Words", "kind": "fact"}}));
        desk.given("ana", json!({"type": "submit"}));
        assert_eq!(desk.gate(), ["not_approved", "claim_unruled"]);
        desk.refused("eva", waive(json!([{"code": "claim_unruled"}])), Code::Forbidden);
        desk.given("carl", waive(json!([{"code": "claim_unruled", "claim": "c1"}])));
        assert_eq!(desk.gate(), ["not_approved"]);
        desk.given("carl", waive(json!([{"code": "not_approved"}])));
        assert!(desk.gate().is_empty());
        let event = desk.given("pia", json!({"type": "publish"}));
        let Data::Published(published) = &event.data else { panic!() };
        let waived: Vec<_> = published.proof.waived.iter().map(|reason| reason.code.name()).collect();
        assert_eq!(waived, ["not_approved", "claim_unruled"]);
        desk.given("eva", json!({"type": "edit", "data": {"set": {"slug": "other"}}}));
        assert_eq!(desk.gate(), ["not_approved", "claim_unruled"], "another revision");
    }

    #[test]
    fn some_things_nobody_may_waive() {
        let mut desk = Desk::drafted(&["Words are here."]);
        desk.given("chen", json!({"type": "claim", "data": {"quote": "Words", "kind": "fact"}}));
        desk.given(
            "bot",
            json!({"type": "edit", "data": {"ops": [
            {"op": "insert", "after": "b1", "block": {"kind": "paragraph", "text": "By a machine."}}]}}),
        );
        desk.given("eva", json!({"type": "embargo", "data": {"until": "2026-02-01T09:00:00Z"}}));
        desk.given("eva", json!({"type": "edit", "data": {"set": {"headline": null}}}));
        desk.given("chen", json!({"type": "rule", "data": {"claim": "c1", "verdict": "misleading"}}));
        for reason in [
            json!({"code": "embargoed"}),
            json!({"code": "machine_unreviewed"}),
            json!({"code": "verdict_adverse", "claim": "c1"}),
            json!({"code": "missing_field", "field": "headline"}),
            json!({"code": "missing_field"}),
            json!({"code": "query_open"}),
        ] {
            let problem =
                desk.refused("carl", waive(json!([{"code": "not_approved"}, reason])), Code::Invalid);
            assert_eq!(problem.field.as_deref(), Some("/data/reasons/1"), "{reason}");
        }
        desk.given("chen", json!({"type": "rule", "data": {"claim": "c1", "verdict": "unsupported"}}));
        desk.given("carl", waive(json!([{"code": "verdict_adverse"}])));
        desk.given("chen", json!({"type": "rule", "data": {"claim": "c1", "verdict": "inaccurate"}}));
        assert!(desk.gate().contains(&"verdict_adverse"), "a waiver never covers a later adverse verdict");
    }

    #[test]
    fn a_waiver_lifts_what_the_gate_had_and_nothing_that_comes_up_later() {
        let mut desk = Desk::drafted(&["Words are here."]);
        let ask = || json!({"type": "ask", "data": {"text": "Is it so?"}});
        desk.given("eva", ask());
        desk.given("pia", ask());
        let event =
            desk.given("carl", waive(json!([{"code": "query_open"}, {"code": "query_open", "query": "q1"}])));
        let Data::Waived(waived) = &event.data else { panic!() };
        let named: Vec<_> = waived.reasons.iter().map(|reason| reason.query.unwrap().to_string()).collect();
        assert_eq!(named, ["q1", "q2"]);
        assert_eq!(desk.gate(), ["not_approved"]);
        desk.given("chen", ask());
        assert_eq!(desk.gate(), ["not_approved", "query_open"]);
    }

    #[test]
    fn a_waiver_is_for_the_words_its_sender_saw() {
        let mut desk = Desk::drafted(&["Words are here."]);
        desk.given("ana", json!({"type": "edit", "data": {"set": {"headline": "Another"}}}));
        let mut command = waive(json!([{"code": "not_approved"}]));
        command["base"] = json!(1);
        desk.refused("carl", command, Code::Conflict);
    }

    #[test]
    fn what_is_waived_already_may_be_waived_again_beside_others() {
        let mut desk = Desk::drafted(&["Words are here."]);
        desk.given("carl", waive(json!([{"code": "not_approved"}])));
        desk.given("eva", json!({"type": "ask", "data": {"text": "Is it so?"}}));
        desk.given("carl", waive(json!([{"code": "not_approved"}, {"code": "query_open"}])));
        assert!(desk.gate().is_empty());
    }

    #[test]
    fn nobody_may_waive_that_a_story_has_no_headline_section_or_body() {
        let mut desk = Desk::drafted(&[]);
        let set = json!({"headline": null, "section": null});
        desk.given("eva", json!({"type": "edit", "data": {"set": set}}));
        for field in ["headline", "section", "body"] {
            desk.refused("carl", waive(json!([{"code": "missing_field", "field": field}])), Code::Invalid);
        }
    }
}
