//! `embargo`: a time before which no word of the article leaves; null lifts it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::read::SentTime;
use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::event::{Event, Said, Time};
use crate::json::{Node, given};
use crate::newsroom::Role;
use crate::problem::{Code, Problem};

/// The data of `embargo`.
#[derive(Debug, Clone, PartialEq)]
pub struct Embargo {
    until: Option<Time>,
}

/// `embargo` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentEmbargo {
    /// When it ends; null for none.
    #[serde(default, deserialize_with = "given")]
    #[schemars(required)]
    until: Option<Option<SentTime>>,
}

/// An embargo was set or lifted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embargoed {
    /// What the answer said.
    pub answer: Said,
    /// When it ends; absent where it was lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

impl Decide for Embargo {
    type Shape = SentEmbargo;
    const RIGHT: Right = Right { roles: &[Role::Editor], machine: false };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentEmbargo = shape::object(data)?;
        let until = sent.until.ok_or_else(|| {
            Problem::invalid("/data/until", "/data/until is required: a time, or null to lift the embargo")
        })?;
        Ok(Self { until: until.map(|SentTime(until)| until) })
    }

    fn turns_on_time(&self, _: Option<&Article>) -> bool {
        true
    }

    fn allowed(&self, case: &Case<'_>) -> Result<(), Problem> {
        case.not_spiked()?;
        if case.article.is_out() {
            return Err(Problem::new(Code::WrongStatus, "readers have it already: no embargo can hold it"));
        }
        Ok(())
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        if self.until.is_some_and(|until| until <= case.context.now) {
            return Err(Problem::invalid(
                "/data/until",
                "/data/until has passed: an embargo ends in the future",
            ));
        }
        Ok(Data::Embargoed(Box::new(Embargoed { answer: Said::default(), until: self.until })).into())
    }
}

impl Embargoed {
    pub(crate) fn evolve(&self, article: &mut Article, _: &Event) -> Result<(), Broken> {
        article.embargo = self.until;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::json;

    use crate::command::testing::Desk;
    use crate::problem::Code;

    const NOON: &str = "2026-01-31T12:00:00Z";

    #[test]
    fn nothing_leaves_before_the_embargo_ends() {
        let mut desk = Desk::drafted(&["Words."]);
        desk.approved();
        desk.given("eva", json!({"type": "embargo", "data": {"until": NOON}}));
        assert_eq!(desk.gate(), ["embargoed"]);
        let shut = desk.refused("pia", json!({"type": "publish"}), Code::GateShut);
        assert_eq!(shut.reasons.len(), 1);
        let early = json!({"type": "publish", "data": {"at": "2026-01-31T11:59:59Z"}});
        desk.refused("pia", early, Code::Embargoed);
        desk.now = NOON.parse().unwrap();
        desk.now -= TimeDelta::microseconds(1);
        desk.refused("pia", json!({"type": "publish"}), Code::GateShut);
        desk.now += TimeDelta::microseconds(1);
        desk.given("pia", json!({"type": "publish"}));
    }

    #[test]
    fn an_embargo_is_set_ahead_on_what_is_not_out_and_lifted_by_null() {
        let mut desk = Desk::drafted(&["Words."]);
        let until = |until| json!({"type": "embargo", "data": {"until": until}});
        for past in [json!("2026-01-31T09:00:00Z"), json!("2020-01-01T00:00:00Z")] {
            let problem = desk.refused("eva", until(past), Code::Invalid);
            assert_eq!(problem.field.as_deref(), Some("/data/until"));
        }
        desk.refused("eva", json!({"type": "embargo", "data": {}}), Code::Invalid);
        desk.refused("ana", until(json!(NOON)), Code::Forbidden);
        desk.given("eva", until(json!(NOON)));
        desk.given("eva", until(json!(null)));
        assert!(!desk.gate().contains(&"embargoed"));
        let mut desk = Desk::published(&["Words."]);
        desk.refused("eva", until(json!(NOON)), Code::WrongStatus);
    }

    #[test]
    fn an_embargo_past_a_scheduled_hour_is_accepted_with_a_warning() {
        let mut desk = Desk::drafted(&["Words."]);
        desk.approved();
        desk.given("pia", json!({"type": "publish", "data": {"at": "2026-01-31T11:00:00Z"}}));
        let event = desk.given("eva", json!({"type": "embargo", "data": {"until": NOON}}));
        let codes: Vec<_> = event.data.said().warnings.iter().map(|one| one.code.as_str()).collect();
        assert_eq!(codes, ["publication_will_be_held", "embargoed"]);
        let event = desk.given("eva", json!({"type": "embargo", "data": {"until": "2026-01-31T10:00:00Z"}}));
        assert!(event.data.said().warnings.is_empty());
    }
}
