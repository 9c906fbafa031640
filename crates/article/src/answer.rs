//! What a sender is told of a command that was accepted, or, for a `try`, would be.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::article::{Stage, Status};
use crate::claims::ClaimState;
use crate::command::Decision;
use crate::event::{Event, Warning};
use crate::gate::{Gate, gate};
use crate::ids::{BlockId, ClaimId};
use crate::newsroom::Newsroom;

/// The answer to a command that was accepted. All of it but `seq` and `duplicate` is in the event, so that the
/// same command, sent again, gets it again (promise 2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The article.
    pub article: Uuid,
    /// The article's version with the event.
    pub version: u32,
    /// The article's revision with the event.
    pub revision: u32,
    /// The event's id.
    pub event: Uuid,
    /// The event's type: `copydesk.article.drafted` and so on.
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    /// The event's position in the log, what reads take as `min_seq`; for a `try` the log's end.
    pub seq: u64,
    /// The working copy's stage after the event.
    pub stage: Stage,
    /// What readers have after the event.
    pub status: Status,
    /// Whether the event was there before: the command was sent again.
    pub duplicate: bool,
    /// The claim or query made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The blocks made, in the order of the command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockId>,
    /// The number of the edition or withdrawal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<u32>,
    /// Consequences that the sender may not expect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// For a `try`: the gate as it would then stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// For a `try`: the claims whose verdicts would then be stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<Vec<ClaimId>>,
}

impl Answer {
    /// The answer that an event makes, the first time and every time after.
    pub fn of(event: &Event, seq: u64, duplicate: bool) -> Answer {
        let said = event.data.said();
        Answer {
            // An event is read or written under the subject of its article, which is a UUID.
            article: crate::ids::parse_uuid(&event.subject).unwrap_or_default(),
            version: event.articleversion,
            revision: event.revision,
            event: event.id,
            kind: Arc::clone(&event.kind),
            seq,
            stage: said.stage,
            status: said.status,
            duplicate,
            created: said.created.clone(),
            blocks: said.blocks.clone(),
            edition: said.edition,
            warnings: said.warnings.clone(),
            gate: None,
            stale: None,
        }
    }

    /// The answer to a `try`, of which nothing is written; `seq` is the log's end that it was decided on.
    pub fn tried(decision: &Decision, newsroom: &Newsroom, seq: u64) -> Answer {
        let claims = decision.article.claims.values();
        let stale = claims.filter(|claim| claim.state == ClaimState::Stale).map(|claim| claim.id).collect();
        Answer {
            gate: Some(gate(&decision.article, newsroom, decision.event.time)),
            stale: Some(stale),
            ..Answer::of(&decision.event, seq, false)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;
    use crate::command::testing::Desk;

    #[test]
    fn an_answer_says_what_the_event_keeps() {
        let mut desk = Desk::drafted(&["Words."]);
        let answer = to_value(Answer::of(&desk.events[0], 7, false)).unwrap();
        let event = &desk.events[0];
        assert_eq!(
            answer,
            json!({
                "article": desk.article, "version": 1, "revision": 1, "event": event.id,
                "type": "copydesk.article.drafted", "seq": 7, "stage": "draft", "status": "unpublished",
                "duplicate": false, "blocks": ["b1"],
            })
        );
        let event = desk.given("chen", json!({"type": "claim", "data": {"quote": "Words", "kind": "fact"}}));
        let answer = to_value(Answer::of(event, 8, true)).unwrap();
        assert_eq!(
            (&answer["created"], &answer["duplicate"], &answer["revision"]),
            (&json!("c1"), &json!(true), &json!(1))
        );
    }

    #[test]
    fn a_try_also_says_what_would_stand_in_the_way() {
        let mut desk = Desk::drafted(&["Words."]);
        desk.given("chen", json!({"type": "claim", "data": {"quote": "Words", "kind": "fact"}}));
        desk.given("chen", json!({"type": "rule", "data": {"claim": "c1", "verdict": "supported"}}));
        let decision = desk
            .try_when(
                "ana",
                json!({"type": "edit", "try": true, "data": {"ops": [
                {"op": "replace", "block": "b1", "text": "Other words."}]}}),
            )
            .unwrap();
        let answer = to_value(Answer::tried(&decision, &desk.newsroom, 3)).unwrap();
        assert_eq!(answer["stale"], json!(["c1"]));
        assert_eq!(answer["gate"]["open"], json!(false));
        assert_eq!(answer["gate"]["reasons"][1]["code"], json!("verdict_stale"));
        assert_eq!(desk.events.len(), 3, "and nothing is written");
    }
}
