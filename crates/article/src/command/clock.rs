//! The clock: what was scheduled goes out at its hour, or is held with the reasons.
//!
//! Nobody sends this. Every instance tries once the hour has come; the command's id is derived from the event that
//! set the hour, so all of them write the same command, and the log's expectation lets one of them have it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decide::{Author, conclude};
use super::publish::{self, Edition};
use super::{Context, Data, Decision, Outcome};
use crate::article::{Article, Broken};
use crate::bound;
use crate::event::{Event, Hex, Said, Time};
use crate::gate::{Reason, ReasonCode, gate};
use crate::json::{self, Node};
use crate::limits;
use crate::newsroom::{ActorKind, Newsroom};
use crate::problem::{Code, Problem};
use crate::workflow;
use chrono::TimeDelta;
use sha2::{Digest, Sha256};

/// A scheduled publication did not go out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// What the answer said.
    pub answer: Said,
    /// The hour that was set.
    pub at: Time,
    /// What stood in the way.
    pub reasons: Vec<Reason>,
}

/// Carries out what is scheduled, on the present state: publishes it, or holds it.
///
/// # Errors
/// Where nothing is scheduled or the hour hasn't come: nothing is to be done then.
pub fn carry_out(article: &Article, context: &Context<'_>) -> Result<Decision, Problem> {
    let nothing = |detail: &str| Problem::new(Code::WrongStatus, detail);
    let schedule = article.schedule.as_ref().ok_or_else(|| nothing("nothing is scheduled"))?;
    if context.now < schedule.at {
        return Err(nothing("the hour hasn't come"));
    }
    let outcome = match in_the_way(article, context, schedule) {
        reasons if reasons.is_empty() => {
            let edition = Edition { kind: schedule.kind, note: schedule.note.clone() };
            publish::out(article, context, &edition)?
        }
        reasons => {
            let held = Held { answer: Said::default(), at: schedule.at, reasons };
            Outcome::from(Data::Held(Box::new(held)))
        }
    };
    let event = schedule.event.as_hyphenated().to_string();
    let data = Node::Object(vec![("schedule".into(), Node::Str(event.into()))]);
    let id = article.id.as_hyphenated().to_string();
    let content = json::canonical_object(&[
        ("article", &Node::Str(id.into())),
        ("base", &Node::Null),
        ("data", &data),
        ("expect", &Node::Null),
        ("type", &Node::Str("clock".into())),
    ]);
    let mut hasher = Sha256::new();
    hasher.update(context.salt.0);
    hasher.update(&content);
    let author = Author {
        article: article.id,
        command: schedule.command(),
        hash: Hex(hasher.finalize().into()),
        kind: ActorKind::Desk,
    };
    conclude(Some(article), &author, context, article, outcome)
}

/// Why what is scheduled can't go out now: no more reasons than an event has room for. /gate has every one.
fn in_the_way(article: &Article, context: &Context<'_>, schedule: &workflow::Schedule) -> Vec<Reason> {
    let mut reasons = holds(article, context.newsroom, context.now);
    // What the gate doesn't say is only said here, and is kept.
    let mut of_the_hour = Vec::new();
    let rules = context.newsroom.rules_for(article.section());
    let grace = TimeDelta::minutes(i64::from(rules.grace_minutes));
    if context.now - schedule.at > grace {
        let detail = match rules.grace_minutes {
            1 => "its hour passed more than a minute ago".to_owned(),
            minutes => format!("its hour passed more than {minutes} minutes ago"),
        };
        of_the_hour.push(Reason::new(ReasonCode::Late, detail));
    }
    // The core refuses whatever would make an edition too big, so this only ever holds what an older build let by.
    if bound::edition_fits(article).is_err() {
        of_the_hour.push(Reason::new(ReasonCode::TooLong, "the edition would be too big for the wire"));
    }
    reasons.truncate(limits::WARNINGS - of_the_hour.len());
    reasons.append(&mut of_the_hour);
    reasons
}

/// What of the article itself stands in the way of its going out at an hour.
pub(super) fn holds(article: &Article, newsroom: &Newsroom, at: Time) -> Vec<Reason> {
    let mut reasons = gate(article, newsroom, at).reasons;
    if publish::is_before_readers(article) {
        reasons.push(Reason::new(ReasonCode::NothingNew, "these words are before readers already"));
    }
    reasons
}

impl Held {
    pub(crate) fn evolve(&self, article: &mut Article, _: &Event) -> Result<(), Broken> {
        article.schedule = None;
        article.held = Some(workflow::Held { at: self.at, reasons: self.reasons.clone() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::article::{EditionKind, Status};
    use crate::command::testing::Desk;

    const HOUR: &str = "2026-01-31T12:00:00Z";

    fn scheduled(data: serde_json::Value) -> Desk {
        let mut desk = Desk::drafted(&["Words."]);
        desk.approved();
        let mut command = json!({"type": "publish", "data": {"at": HOUR}});
        for (name, value) in data.as_object().unwrap() {
            command["data"][name] = value.clone();
        }
        desk.given("pia", command);
        desk
    }

    #[test]
    fn what_is_scheduled_goes_out_at_its_hour_and_not_before() {
        let mut desk = scheduled(json!({"note": "More to come."}));
        assert_eq!(desk.state().status(), Status::Scheduled);
        desk.refused("pia", json!({"type": "publish"}), Code::WrongStatus);
        desk.refused(
            "pia",
            json!({"type": "publish", "data": {"at": "2026-01-31T13:00:00Z"}}),
            Code::WrongStatus,
        );
        desk.now = HOUR.parse().unwrap();
        desk.now -= TimeDelta::microseconds(1);
        assert!(desk.clock().is_err());
        desk.now += TimeDelta::microseconds(1);
        let (one, other) = (desk.clock().unwrap(), desk.clock().unwrap());
        assert_eq!(one.bytes, other.bytes, "every instance writes the same");
        let event = desk.accept(one).clone();
        assert_eq!((&*event.kind, &*event.actor), ("copydesk.article.published", "desk"));
        assert_eq!((event.actorkind, event.data.said().edition), (ActorKind::Desk, Some(1)));
        let edition = desk.state().last_edition().unwrap().clone();
        assert_eq!((edition.kind, edition.note.as_deref()), (EditionKind::First, Some("More to come.")));
        assert_eq!((desk.state().status(), &desk.state().schedule), (Status::Published, &None));
        assert!(desk.clock().is_err(), "once");
    }

    #[test]
    fn who_takes_a_scheduled_correction_back_is_told_that_nothing_will_go_out() {
        let mut desk = Desk::drafted(&["Words."]);
        desk.approved();
        desk.given("pia", json!({"type": "publish"}));
        desk.given("ana", json!({"type": "edit", "data": {"set": {"headline": "Another"}}}));
        desk.given("eva", json!({"type": "approve"}));
        let at_noon = json!({"at": HOUR, "kind": "correction", "note": "It was wrong."});
        desk.given("pia", json!({"type": "publish", "data": at_noon}));
        let event = desk.given("emil", json!({"type": "restore", "data": {"revision": 1}}));
        let warned: Vec<_> = event.data.said().warnings.iter().map(|one| one.code.as_str()).collect();
        assert_eq!(warned, ["publication_will_be_held", "nothing_new"]);
        desk.now = HOUR.parse().unwrap();
        let held = desk.clock().unwrap();
        desk.accept(held);
        assert_eq!(desk.state().held.clone().unwrap().reasons[0].code, ReasonCode::NothingNew);
    }

    #[test]
    fn a_shut_gate_or_a_late_hour_holds_it_with_the_reasons() {
        let mut desk = scheduled(json!({}));
        let event = desk.given("eva", json!({"type": "edit", "data": {"set": {"headline": "Another"}}}));
        let warned: Vec<_> = event.data.said().warnings.iter().map(|one| one.code.as_str()).collect();
        assert_eq!(warned, ["publication_will_be_held", "approval_stale"]);
        desk.now = HOUR.parse().unwrap();
        let held = desk.clock().unwrap();
        assert_eq!(&*desk.accept(held).kind, "copydesk.article.held");
        let held = desk.state().held.clone().unwrap();
        assert_eq!((held.at, held.reasons[0].code), (desk.now, ReasonCode::ApprovalStale));
        assert_eq!(desk.state().status(), Status::Unpublished);
        assert!(desk.clock().is_err(), "it never goes out by itself later");
        desk.given("emil", json!({"type": "approve"}));
        desk.given("pia", json!({"type": "publish"}));
        assert_eq!(desk.state().held, None);

        let mut desk = scheduled(json!({}));
        desk.now = HOUR.parse::<Time>().unwrap() + TimeDelta::minutes(15);
        assert_eq!(&*desk.clock().unwrap().event.kind, "copydesk.article.published", "within the grace");
        desk.now += TimeDelta::microseconds(1);
        let held = desk.clock().unwrap();
        assert_eq!(&*desk.accept(held).kind, "copydesk.article.held");
        let late = desk.state().held.as_ref().unwrap().reasons[0].clone();
        assert_eq!(
            (late.code, &*late.detail),
            (ReasonCode::Late, "its hour passed more than 15 minutes ago")
        );

        let mut desk = scheduled(json!({}));
        desk.newsroom.set.rules.grace_minutes = 1;
        desk.now = HOUR.parse::<Time>().unwrap() + TimeDelta::minutes(2);
        let held = desk.clock().unwrap();
        desk.accept(held);
        let late = &desk.state().held.as_ref().unwrap().reasons[0];
        assert_eq!(&*late.detail, "its hour passed more than a minute ago");
    }

    /// A paragraph of so many sentences with a figure: more than an event could name one by one.
    fn figures() -> String {
        (0..6_000).map(|at| format!("He won {at} votes. ")).collect()
    }

    #[test]
    fn what_has_too_much_in_its_way_for_one_event_is_held_all_the_same() {
        let mut desk = Desk::drafted(&[&figures()]);
        desk.approved();
        desk.given("pia", json!({"type": "publish", "data": {"at": HOUR}}));
        desk.newsroom.set.rules.coverage = crate::newsroom::Coverage::Hold;
        desk.now = HOUR.parse::<Time>().unwrap() + TimeDelta::minutes(16);
        assert_eq!(desk.gate().len(), 6_000, "the gate names every one");
        let held = desk.clock().unwrap();
        assert_eq!(&*desk.accept(held).kind, "copydesk.article.held");
        let held = desk.state().held.clone().unwrap();
        assert_eq!(held.reasons.len(), limits::WARNINGS);
        assert_eq!(held.reasons[0].code, ReasonCode::Unclaimed);
        assert_eq!(held.reasons.last().unwrap().code, ReasonCode::Late, "what only this event says");
    }

    #[test]
    fn what_had_too_much_waived_for_one_event_goes_out_all_the_same() {
        let mut desk = Desk::drafted(&[&figures(), "Words.", "It took 12 days. It cost 12 lives."]);
        desk.newsroom.set.rules.coverage = crate::newsroom::Coverage::Hold;
        let lifted = json!([{"code": "unclaimed"}, {"code": "not_approved"}]);
        desk.given("carl", json!({"type": "waive", "data": {"reasons": lifted, "reason": "The hour."}}));
        desk.given("pia", json!({"type": "publish", "data": {"at": HOUR}}));
        desk.now = HOUR.parse().unwrap();
        let out = desk.clock().unwrap();
        let event = desk.accept(out).clone();
        let Data::Published(published) = &event.data else { panic!("{}", event.kind) };
        let waived = published.proof.waived.iter();
        let waived: Vec<_> =
            waived.map(|one| (one.code.name(), one.block.map(|id| id.to_string()))).collect();
        let in_block = |id: &str| ("unclaimed", Some(id.to_owned()));
        assert_eq!(waived, [("not_approved", None), in_block("b1"), in_block("b3")], "once for each block");
        let (before, after) = (&desk.states[desk.states.len() - 2], desk.state());
        let faults = crate::proof::faults(Some(before), &event, after, true, |_| Some(&desk.newsroom));
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn what_is_called_off_does_not_go_out() {
        let mut desk = scheduled(json!({}));
        desk.refused("eva", json!({"type": "unschedule"}), Code::Forbidden);
        desk.given("pia", json!({"type": "unschedule"}));
        assert_eq!(desk.state().status(), Status::Unpublished);
        desk.refused("pia", json!({"type": "unschedule"}), Code::WrongStatus);
        desk.now = HOUR.parse().unwrap();
        assert!(desk.clock().is_err());
    }

    #[test]
    fn nobody_else_may_use_the_clocks_id() {
        let mut desk = scheduled(json!({}));
        let id = desk.state().schedule.as_ref().unwrap().command();
        let problem = desk.refused("pia", json!({"type": "unschedule", "id": id}), Code::Invalid);
        assert_eq!(problem.field.as_deref(), Some("/id"));
    }

    #[test]
    fn a_later_edition_is_scheduled_beside_the_one_that_is_out_and_ended_by_a_withdrawal() {
        let mut desk = Desk::published(&["Words."]);
        desk.given("eva", json!({"type": "edit", "data": {"set": {"headline": "Another"}}}));
        desk.given("emil", json!({"type": "approve"}));
        let at =
            json!({"type": "publish", "data": {"at": HOUR, "kind": "correction", "note": "It was wrong."}});
        desk.given("pia", at);
        assert_eq!(desk.state().status(), Status::Published);
        assert!(desk.state().schedule.is_some());
        desk.refused("pia", json!({"type": "publish"}), Code::WrongStatus);
        desk.given("pia", json!({"type": "withdraw", "data": {"notice": "Gone."}}));
        assert_eq!(desk.state().schedule, None);
    }

    #[test]
    fn an_hour_lies_ahead() {
        let mut desk = Desk::drafted(&["Words."]);
        desk.approved();
        for at in ["2026-01-31T09:00:00Z", "2020-01-01T00:00:00Z"] {
            let problem = desk.refused("pia", json!({"type": "publish", "data": {"at": at}}), Code::Invalid);
            assert_eq!(problem.field.as_deref(), Some("/data/at"));
        }
    }

    #[test]
    fn what_was_held_is_held_no_longer_once_another_hour_is_set() {
        let mut desk = scheduled(json!({}));
        desk.given("eva", json!({"type": "edit", "data": {"set": {"headline": "Another"}}}));
        desk.now = HOUR.parse().unwrap();
        let held = desk.clock().unwrap();
        desk.accept(held);
        desk.given("emil", json!({"type": "approve"}));
        desk.given("pia", json!({"type": "publish", "data": {"at": "2026-01-31T13:00:00Z"}}));
        assert_eq!(desk.state().held, None);
    }
}
