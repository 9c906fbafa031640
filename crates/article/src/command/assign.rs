//! `assign`: who writes, edits and checks, and by when. What isn't named stays as it is.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::read::SentTime;
use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::event::{Event, Said, Time};
use crate::json::{Node, given};
use crate::limits;
use crate::newsroom::Role;
use crate::problem::Problem;
use crate::workflow::Assignment;

/// The data of `assign`.
#[derive(Debug, Clone, PartialEq)]
pub struct Assign {
    writers: Option<BTreeSet<Arc<str>>>,
    editor: Option<Option<Arc<str>>>,
    checkers: Option<BTreeSet<Arc<str>>>,
    due: Option<Option<Time>>,
}

/// `assign` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentAssign {
    /// Who writes; an empty list for nobody.
    writers: Option<Vec<Arc<str>>>,
    /// Who edits; null for nobody.
    #[serde(default, deserialize_with = "given")]
    editor: Option<Option<Arc<str>>>,
    /// Who checks; an empty list for nobody.
    checkers: Option<Vec<Arc<str>>>,
    /// By when; null for no hour.
    #[serde(default, deserialize_with = "given")]
    due: Option<Option<SentTime>>,
}

/// The article was assigned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assigned {
    /// What the answer said.
    pub answer: Said,
    /// Who works on it from now on.
    pub assignment: Assignment,
}

impl Decide for Assign {
    type Shape = SentAssign;
    const RIGHT: Right = Right { roles: &[Role::Editor], machine: false };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentAssign = shape::object(data)?;
        if sent.writers.is_none() && sent.editor.is_none() && sent.checkers.is_none() && sent.due.is_none() {
            return Err(Problem::invalid("/data", "an assignment has writers, editor, checkers or due"));
        }
        for (pointer, people) in [("/data/writers", &sent.writers), ("/data/checkers", &sent.checkers)] {
            if people.as_ref().is_some_and(|people| people.len() > limits::LIST_ITEMS) {
                let detail = format!("{pointer}: at most {} people", limits::LIST_ITEMS);
                return Err(Problem::invalid(pointer, detail));
            }
        }
        Ok(Self {
            writers: sent.writers.map(|people| people.into_iter().collect()),
            editor: sent.editor,
            checkers: sent.checkers.map(|people| people.into_iter().collect()),
            due: sent.due.map(|due| due.map(|SentTime(due)| due)),
        })
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let editor = self.editor.iter().flatten();
        for (pointer, name) in (self.writers.iter().flatten().map(|name| ("/data/writers", name)))
            .chain(editor.map(|name| ("/data/editor", name)))
            .chain(self.checkers.iter().flatten().map(|name| ("/data/checkers", name)))
        {
            case.in_newsroom(pointer, name)?;
        }
        let present = &case.article.assignment;
        let assignment = Assignment {
            writers: self.writers.clone().unwrap_or_else(|| present.writers.clone()),
            editor: self.editor.clone().unwrap_or_else(|| present.editor.clone()),
            checkers: self.checkers.clone().unwrap_or_else(|| present.checkers.clone()),
            due: self.due.unwrap_or(present.due),
        };
        Ok(Data::Assigned(Box::new(Assigned { answer: Said::default(), assignment })).into())
    }
}

impl Assigned {
    pub(crate) fn evolve(&self, article: &mut Article, _: &Event) -> Result<(), Broken> {
        article.assignment = self.assignment.clone();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::command::testing::Desk;
    use crate::problem::Code;

    #[test]
    fn what_is_named_is_set_and_the_rest_stays() {
        let mut desk = Desk::drafted(&["Words."]);
        let assign = |data| json!({"type": "assign", "data": data});
        desk.given(
            "eva",
            assign(json!({"writers": ["ana"], "editor": "eva", "due": "2026-02-01T09:00:00+01:00"})),
        );
        desk.given("eva", assign(json!({"checkers": ["chen", "cara"]})));
        let assignment = serde_json::to_value(&desk.state().assignment).unwrap();
        assert_eq!(
            assignment,
            json!({"writers": ["ana"], "editor": "eva", "checkers": ["cara", "chen"], "due": "2026-02-01T08:00:00Z"})
        );
        desk.given("eva", assign(json!({"writers": [], "editor": null, "due": null, "checkers": []})));
        assert!(desk.state().assignment.is_empty());
    }

    #[test]
    fn who_is_assigned_is_in_the_newsroom() {
        let mut desk = Desk::drafted(&["Words."]);
        for (data, field) in [
            (json!({"writers": ["ana", "nobody"]}), "/data/writers"),
            (json!({"editor": "nobody"}), "/data/editor"),
            (json!({"checkers": ["nobody"]}), "/data/checkers"),
            (json!({}), "/data"),
        ] {
            let problem = desk.refused("eva", json!({"type": "assign", "data": data}), Code::Invalid);
            assert_eq!(problem.field.as_deref(), Some(field));
        }
        desk.refused("ana", json!({"type": "assign", "data": {"due": null}}), Code::Forbidden);
    }
}
