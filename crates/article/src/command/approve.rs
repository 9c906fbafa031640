//! `approve`: an editor's word that these words may go out, bound to a digest of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Approval, Article, Broken};
use crate::edition::words_digest;
use crate::event::{Event, Hash, Said};
use crate::json::Node;
use crate::newsroom::Role;
use crate::problem::{Code, Problem};
use crate::words::Words;

/// The data of `approve`.
#[derive(Debug, Clone, PartialEq)]
pub struct Approve {
    note: Option<Words>,
}

/// `approve` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentApprove {
    /// A note.
    note: Option<String>,
}

/// The words were approved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approved {
    /// What the answer said.
    pub answer: Said,
    /// Digest of the words and fields approved.
    pub digest: Hash,
    /// The editor's note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
}

impl Decide for Approve {
    type Shape = SentApprove;
    const RIGHT: Right = Right { roles: &[Role::Editor], machine: false };
    const NEEDS_BASE: bool = true;

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentApprove = shape::object(data)?;
        Ok(Self { note: shape::optional_remark("/data/note", sent.note)? })
    }

    fn allowed(&self, case: &Case<'_>) -> Result<(), Problem> {
        case.not_spiked()?;
        if !case.article.submitted {
            return Err(Problem::new(Code::WrongStage, "the article is a draft: submit it first"));
        }
        Ok(())
    }

    fn past(&self, article: &Article, base: u32) -> Vec<u32> {
        if base < article.revision { vec![base] } else { Vec::new() }
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        case.words_unchanged()?;
        case.four_eyes(&case.article.writers, "what changed since the last edition")?;
        let digest = words_digest(case.article);
        if case
            .article
            .approvals
            .iter()
            .any(|approval| approval.by == *case.actor() && approval.digest == digest)
        {
            return Err(Problem::new(Code::NothingNew, "you approved these words already"));
        }
        let data = Approved { answer: Said::default(), digest, note: self.note.clone() };
        Ok(Data::Approved(Box::new(data)).into())
    }
}

impl Approved {
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        // A person's newer approval takes the place of their older one, but for one that may come back to life
        // when its words do.
        article.approvals.retain(|approval| approval.by != event.actor || approval.digest != self.digest);
        article.approvals.push(Approval {
            by: event.actor.clone(),
            version: event.articleversion,
            digest: self.digest,
            note: self.note.clone(),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Desk, delete, insert, replace, shift};
    use crate::article::Stage;
    use crate::problem::Code;

    fn approve() -> serde_json::Value {
        json!({"type": "approve"})
    }

    fn approved() -> Desk {
        let mut desk = Desk::drafted(&["One.", "Two."]);
        desk.approved();
        desk
    }

    #[test]
    fn an_approval_ends_with_an_edit_and_comes_back_with_the_words() {
        for ops in [
            json!([replace("b1", "Uno.")]),
            json!([replace("b1", "*One.*")]),
            json!([shift("b1", Some("b2"))]),
            json!([insert(None, "Zero.")]),
            json!([delete("b1")]),
        ] {
            let mut desk = approved();
            assert_eq!(desk.stage(), Stage::Approved);
            desk.ops("emil", ops.clone());
            assert_eq!(desk.stage(), Stage::InReview, "{ops}");
            assert_eq!(desk.gate(), ["approval_stale"]);
            desk.given("emil", json!({"type": "restore", "data": {"revision": 1}}));
            assert_eq!(desk.stage(), Stage::Approved, "{ops}");
            assert!(desk.gate().is_empty());
        }
        let mut desk = approved();
        desk.given("emil", json!({"type": "edit", "data": {"set": {"urgency": 3}}}));
        assert_eq!(desk.stage(), Stage::InReview);
        desk.given("emil", json!({"type": "edit", "data": {"set": {"urgency": null}}}));
        assert_eq!(desk.stage(), Stage::Approved);
    }

    #[test]
    fn a_return_voids_approvals_for_good() {
        let mut desk = approved();
        desk.given("emil", json!({"type": "return", "data": {"reason": "Check the date."}}));
        assert_eq!((desk.stage(), desk.gate()), (Stage::Draft, vec!["not_approved"]));
        desk.given("ana", json!({"type": "submit"}));
        assert_eq!(desk.stage(), Stage::InReview);
        desk.given("eva", approve());
        assert_eq!(desk.stage(), Stage::Approved);
    }

    #[test]
    fn a_second_approval_by_the_same_person_is_nothing_new() {
        let mut desk = approved();
        desk.newsroom.set.rules.approvals = 2;
        desk.refused("eva", approve(), Code::NothingNew);
        assert_eq!((desk.stage(), desk.gate()), (Stage::InReview, vec!["not_approved"]));
        desk.given("carl", approve());
        assert_eq!(desk.stage(), Stage::Approved);
        desk.ops("emil", json!([replace("b1", "Uno.")]));
        desk.given("eva", approve());
        assert_eq!(desk.gate(), ["approval_stale"]);
    }

    #[test]
    fn nobody_approves_what_they_wrote_since_the_last_edition() {
        let mut desk = Desk::drafted(&["One.", "Two."]);
        desk.ops("emil", json!([replace("b2", "Zwei.")]));
        desk.given("ana", json!({"type": "submit"}));
        desk.refused("emil", approve(), Code::FourEyes);
        desk.given("eva", approve());
        desk.given("pia", json!({"type": "publish"}));
        desk.ops("eva", json!([delete("b1")]));
        desk.refused("eva", approve(), Code::FourEyes);
        desk.given("emil", approve());
        let mut desk = Desk::drafted(&["One."]);
        desk.newsroom.set.rules.four_eyes = false;
        desk.ops("emil", json!([replace("b1", "Eins.")]));
        desk.given("emil", json!({"type": "submit"}));
        desk.given("emil", approve());
    }

    #[test]
    fn a_judgement_is_refused_where_the_words_changed_since_base() {
        let mut desk = Desk::drafted(&["One.", "Two."]);
        desk.given("ana", json!({"type": "submit"}));
        desk.ops("ana", json!([shift("b2", None)]));
        let old = json!({"type": "approve", "base": 1});
        let problem = desk.refused("eva", old.clone(), Code::Conflict);
        assert_eq!((problem.conflicts.len(), problem.revision), (1, Some(2)));
        assert_eq!(problem.conflicts[0].block.as_deref(), Some("b2"));
        desk.ops("ana", json!([shift("b2", Some("b1"))]));
        desk.given("eva", old);
    }

    #[test]
    fn a_block_that_came_back_elsewhere_is_a_change_too() {
        let mut desk = Desk::drafted(&["One.", "Two."]);
        desk.ops("ana", json!([shift("b1", Some("b2"))]));
        desk.given("ana", json!({"type": "submit"}));
        desk.ops("ana", json!([delete("b1")]));
        desk.given("emil", json!({"type": "restore", "data": {"revision": 1}}));
        let problem = desk.refused("eva", json!({"type": "approve", "base": 2}), Code::Conflict);
        assert_eq!(problem.conflicts[0].block.as_deref(), Some("b1"));
    }

    #[test]
    fn words_of_a_machine_need_a_persons_approval_whatever_the_rules_say() {
        let mut desk = Desk::drafted(&["One, two and three."]);
        desk.newsroom.set.rules.approvals = 0;
        desk.given("ana", json!({"type": "submit"}));
        assert!(desk.gate().is_empty());
        desk.ops("bot", json!([replace("b1", "One, two and four.")]));
        assert_eq!(desk.gate(), ["machine_unreviewed"]);
        desk.given("eva", approve());
        assert!(desk.gate().is_empty());
        let mut desk = Desk::drafted(&["He did not win."]);
        desk.newsroom.set.rules.approvals = 0;
        desk.ops("bot", json!([replace("b1", "He did win.")]));
        assert_eq!(desk.gate(), ["machine_unreviewed"], "what it took out matters too");
    }

    #[test]
    fn what_a_machine_took_out_or_moved_needs_a_persons_approval_too() {
        let changes =
            [json!([delete("b2")]), json!([shift("b2", None)]), json!([insert(Some("b1"), "New.")])];
        for ops in changes {
            let mut desk = Desk::drafted(&["He won.", "He denies it.", "She lost."]);
            desk.newsroom.set.rules.approvals = 0;
            desk.newsroom.set.rules.four_eyes = false;
            desk.given("ana", json!({"type": "submit"}));
            desk.given("pia", json!({"type": "publish"}));
            desk.ops("bot", ops.clone());
            assert_eq!(desk.gate(), ["machine_unreviewed"], "{ops}");
            desk.given("eva", approve());
            assert!(desk.gate().is_empty(), "{ops}");
            desk.given("pia", json!({"type": "publish"}));
            desk.ops("ana", json!([replace("b1", "He did win.")]));
            let asked = desk.gate().contains(&"machine_unreviewed");
            let stays = desk.state().has_machine_words();
            assert_eq!(asked, stays, "readers have what went and moved, and words stay the machine's: {ops}");
        }
    }

    #[test]
    fn a_block_is_a_machines_until_a_person_rewrites_it() {
        let mut desk = Desk::new();
        let blocks = json!([
            {"kind": "paragraph", "text": "The river rose by two metres."},
            {"kind": "list", "items": ["First item", "Second item"]},
            {"kind": "image", "uri": "https://p.test/a.jpg", "alt": "A river", "caption": "The river", "credit": "C"},
        ]);
        desk.given("bot", json!({"type": "draft", "data": {
            "slug": "s", "language": "en", "headline": "River rises", "section": "world", "blocks": blocks,
        }}));
        let are_machines = |desk: &Desk| -> Vec<bool> {
            desk.state().blocks.iter().map(|block| desk.state().is_machines_block(block)).collect()
        };
        let headline = |desk: &Desk| {
            desk.state()
                .is_machines_field(desk.state().fields.get(crate::fields::FieldName::Headline).unwrap())
        };
        assert_eq!((are_machines(&desk), headline(&desk)), (vec![true; 3], true));
        desk.ops("ana", json!([replace("b1", "The *river* rose by three metres, they say.")]));
        assert_eq!(are_machines(&desk), [true; 3], "half rewritten");
        desk.ops("ana", json!([shift("b1", Some("b2"))]));
        assert_eq!(are_machines(&desk), [true; 3], "moved");
        let body = crate::text::markdown::write(desk.state().blocks.iter().map(|block| &block.content));
        let body = format!("{body}\n\nA paragraph of hers.");
        desk.given("ana", json!({"type": "edit", "data": {"markdown": body}}));
        assert_eq!(are_machines(&desk), [true, true, true, false], "the whole body sent again by a person");
        let machines_words = desk.state().revision;
        desk.ops("ana", json!([replace("b1", "Nobody knows yet.")]));
        desk.ops("ana", json!([{"op": "replace", "block": "b2", "items": ["Eins", "Zwei"]}]));
        desk.given("ana", json!({"type": "edit", "data": {"set": {"headline": "Floods"}}}));
        assert_eq!((are_machines(&desk), headline(&desk)), (vec![false, false, true, false], false));
        desk.given("emil", json!({"type": "restore", "data": {"revision": machines_words}}));
        assert_eq!((are_machines(&desk), headline(&desk)), (vec![true, true, true, false], true), "restored");
    }
}
