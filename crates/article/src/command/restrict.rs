//! `restrict`: only named people, whoever restricted it, chiefs and auditors may see the article; null opens it to
//! everyone on staff again.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::event::{Event, Said};
use crate::json::{Node, given};
use crate::limits;
use crate::newsroom::Role;
use crate::problem::Problem;
use crate::workflow::Restriction;

/// The data of `restrict`.
#[derive(Debug, Clone, PartialEq)]
pub struct Restrict {
    people: Option<BTreeSet<Arc<str>>>,
}

/// `restrict` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentRestrict {
    /// Who may see it; null for everyone on staff.
    #[serde(default, deserialize_with = "given")]
    #[schemars(required)]
    people: Option<Option<Vec<Arc<str>>>>,
}

/// The article was restricted, or opened again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restricted {
    /// What the answer said.
    pub answer: Said,
    /// Who may see it; absent where everyone on staff may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<BTreeSet<Arc<str>>>,
}

impl Decide for Restrict {
    type Shape = SentRestrict;
    const RIGHT: Right = Right { roles: &[Role::Editor], machine: false };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentRestrict = shape::object(data)?;
        let people = sent.people.ok_or_else(|| {
            Problem::invalid("/data/people", "/data/people is required: who may see it, or null for everyone")
        })?;
        if people.as_ref().is_some_and(|people| people.len() > limits::LIST_ITEMS) {
            let detail = format!("/data/people: at most {} people", limits::LIST_ITEMS);
            return Err(Problem::invalid("/data/people", detail));
        }
        Ok(Self { people: people.map(|people| people.into_iter().collect()) })
    }

    fn allowed(&self, _: &Case<'_>) -> Result<(), Problem> {
        Ok(())
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        for name in self.people.iter().flatten() {
            case.in_newsroom("/data/people", name)?;
        }
        let data = Restricted { answer: Said::default(), people: self.people.clone() };
        Ok(Data::Restricted(Box::new(data)).into())
    }
}

impl Restricted {
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        article.restricted =
            self.people.clone().map(|people| Restriction { people, by: Arc::clone(&event.actor) });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::command::testing::Desk;
    use crate::problem::Code;

    #[test]
    fn who_may_not_see_it_is_told_that_it_is_not_there() {
        let mut desk = Desk::drafted(&["Words."]);
        desk.given("eva", json!({"type": "restrict", "data": {"people": ["ana"]}}));
        let submit = json!({"type": "submit"});
        desk.refused("emil", submit.clone(), Code::NotFound);
        let draft = json!({"type": "draft", "base": null, "data": {"slug": "s", "language": "en"}});
        desk.refused("emil", draft.clone(), Code::NotFound);
        desk.refused("ana", draft, Code::Exists);
        desk.refused("chen", json!({"type": "submit"}), Code::Forbidden);
        desk.refused(
            "chen",
            json!({"type": "claim", "data": {"quote": "Words", "kind": "fact"}}),
            Code::NotFound,
        );
        desk.given("ana", submit);
        desk.given("eva", json!({"type": "ask", "data": {"text": "Who restricted it may go on?"}}));
        desk.given("carl", json!({"type": "restrict", "data": {"people": null}}));
        desk.given("emil", json!({"type": "ask", "data": {"text": "Is it open again?"}}));
    }

    #[test]
    fn those_named_are_in_the_newsroom() {
        let mut desk = Desk::drafted(&["Words."]);
        for data in [json!({"people": ["nobody"]}), json!({}), json!({"people": "ana"})] {
            let problem = desk.refused("eva", json!({"type": "restrict", "data": data}), Code::Invalid);
            assert_eq!(problem.field.as_deref(), Some("/data/people"));
        }
    }
}
