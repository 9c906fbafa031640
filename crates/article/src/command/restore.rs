//! `restore`: back to the words of an earlier revision, as a new one. Authorship goes with the words.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape, within_limits};
use crate::article::{Article, Broken};
use crate::bound;
use crate::change::{Change, back_to};
use crate::claims;
use crate::edition::words_digest;
use crate::event::{Event, Said};
use crate::fields::FieldName;
use crate::json::Node;
use crate::newsroom::Role;
use crate::problem::{Code, Problem};

/// The data of `restore`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The revision to go back to.
    revision: u32,
}

/// An earlier revision's words came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restored {
    /// What the answer said.
    pub answer: Said,
    /// The revision whose words came back.
    pub from: u32,
    /// What changed by it.
    pub change: Change,
    /// Who wrote anything that now differs from the last edition.
    pub writers: BTreeSet<Arc<str>>,
}

impl Decide for Restore {
    type Shape = Self;
    const RIGHT: Right = Right { roles: &[Role::Editor], machine: false };
    const NEEDS_BASE: bool = true;

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        shape::object(data)
    }

    fn past(&self, article: &Article, base: u32) -> Vec<u32> {
        // A revision that there never was is refused, not asked for.
        let there = (1..=article.revision).contains(&self.revision);
        if there { vec![base, self.revision] } else { Vec::new() }
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let article = case.article;
        if !(1..=article.revision).contains(&self.revision) {
            return Err(Problem::invalid(
                "/data/revision",
                format!("there is no revision {}", self.revision),
            ));
        }
        // Going back over edits that the sender hasn't seen would lose them.
        case.words_unchanged()?;
        let then = case.at(self.revision)?;
        let mut change = Change { blocks: back_to(article, then), ..Change::default() };
        for name in FieldName::ALL {
            let (now, was) = (article.fields.value(*name), then.fields.value(*name));
            if now != was {
                change.fields.0.insert(*name, was.cloned());
            }
        }
        if !shape::differ(article, then) {
            let detail = format!("the words are those of revision {} already", self.revision);
            return Err(Problem::new(Code::NothingNew, detail));
        }
        let mut after = article.clone();
        after.revision += 1;
        change.fold(&mut after, case.actor()).map_err(|broken| Problem::invalid("/data", broken.0))?;
        within_limits(&after)?;
        bound::edition_fits(&after)?;
        change.claims = claims::follow(article, &after);
        let restored = Restored {
            answer: Said::default(),
            from: self.revision,
            change,
            writers: writers(article, then),
        };
        Ok(Outcome::from(Data::Restored(Box::new(restored))))
    }
}

/// Who wrote what will differ from the last edition, once the words are those of `then` again: nobody, where they
/// are the edition's; those who had by then, where that was after the edition; else everyone who ever had a hand in it until then.
fn writers(article: &Article, then: &Article) -> BTreeSet<Arc<str>> {
    let Some(edition) = article.last_words_out() else { return then.writers.clone() };
    if words_digest(then) == edition.words {
        return BTreeSet::new();
    }
    if then.revision >= edition.revision {
        return then.writers.clone();
    }
    // Those, too, of whom nothing is left to see: who cut words has written by that.
    then.all_writers.clone()
}

impl Restored {
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        article.writers = self.writers.clone();
        self.change.evolve(article, event)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Desk, delete, insert, replace, shift};
    use crate::article::Stage;
    use crate::claims::ClaimState;
    use crate::problem::Code;

    fn restore(revision: u32) -> serde_json::Value {
        json!({"type": "restore", "data": {"revision": revision}})
    }

    #[test]
    fn a_restore_brings_back_words_marks_writers_and_order() {
        let mut desk = Desk::drafted(&["One *two* [three](https://x.test/).", "Four.", "Five."]);
        desk.given("emil", json!({"type": "edit", "data": {"set": {"byline": "By", "headline": "Another"}}}));
        desk.ops(
            "emil",
            json!([replace("b1", "Eins zwei."), delete("b2"), shift("b3", None), insert(None, "New.")]),
        );
        desk.ops("ana", json!([replace("b1", "Gone.")]));
        desk.given("eva", restore(2));
        let (then, now) = (desk.states[1].clone(), desk.state().clone());
        assert_eq!(now.revision, 5);
        let contents = |a: &crate::article::Article| -> Vec<_> {
            a.blocks.iter().map(|block| (block.id, block.content.clone())).collect()
        };
        assert_eq!(contents(&then), contents(&now));
        let values = |a: &crate::article::Article| -> Vec<_> {
            a.fields.values().map(|(name, value)| (name, value.clone())).collect()
        };
        assert_eq!(values(&then), values(&now));
        desk.ops("ana", json!([insert(None, "Newer.")]));
        assert_eq!(desk.ids()[0], "b5", "an id is never given twice");
    }

    #[test]
    fn who_cut_something_before_the_edition_does_not_approve_the_cut_brought_back() {
        let mut desk = Desk::drafted(&["He won.", "He denies it."]);
        desk.ops("emil", json!([delete("b2")]));
        desk.given("eva", restore(1));
        desk.given("ana", json!({"type": "submit"}));
        desk.given("carl", json!({"type": "approve"}));
        desk.given("pia", json!({"type": "publish"}));
        desk.given("eva", restore(2));
        desk.refused("emil", json!({"type": "approve"}), Code::FourEyes);
    }

    #[test]
    fn who_cut_words_within_a_block_before_the_edition_does_not_approve_the_cut_brought_back() {
        let mut desk = Desk::drafted(&["He won. He denies it."]);
        desk.ops("emil", json!([replace("b1", "He won.")]));
        desk.ops("ana", json!([replace("b1", "He won big.")]));
        desk.given("ana", json!({"type": "submit"}));
        for edition in [None, Some("He won big. He denies it.")] {
            if let Some(words) = edition {
                desk.ops("ana", json!([replace("b1", words)]));
            }
            desk.given("carl", json!({"type": "approve"}));
            desk.given("pia", json!({"type": "publish"}));
        }
        desk.given("carl", restore(3));
        desk.refused("emil", json!({"type": "approve"}), Code::FourEyes);
        desk.given("eva", json!({"type": "approve"}));
    }

    #[test]
    fn words_that_another_typed_again_go_back_to_their_first_writer() {
        let mut desk = Desk::drafted(&["One.", "Two."]);
        desk.ops("emil", json!([replace("b1", "Entirely different."), delete("b2")]));
        desk.ops("emil", json!([replace("b1", "One.")]));
        let writers = |desk: &Desk| -> Vec<String> {
            let texts = desk.state().blocks[0].content.texts();
            texts.flat_map(|text| text.writers()).map(|by| by.to_string()).collect()
        };
        assert!(writers(&desk).contains(&"emil".to_owned()));
        desk.given("eva", restore(1));
        assert_eq!(writers(&desk), ["ana"]);
    }

    #[test]
    fn a_restore_that_changes_nothing_or_goes_nowhere_is_refused() {
        let mut desk = Desk::drafted(&["One."]);
        desk.refused("eva", restore(1), Code::NothingNew);
        for revision in [0, 2] {
            assert_eq!(
                desk.refused("eva", restore(revision), Code::Invalid).field.as_deref(),
                Some("/data/revision")
            );
        }
        desk.ops("ana", json!([replace("b1", "Uno.")]));
        desk.ops("ana", json!([replace("b1", "One.")]));
        desk.refused("eva", restore(1), Code::NothingNew);
    }

    #[test]
    fn a_restore_over_edits_that_the_sender_has_not_seen_is_refused() {
        let mut desk = Desk::drafted(&["One."]);
        desk.ops("ana", json!([replace("b1", "Two.")]));
        desk.ops("ana", json!([replace("b1", "Three.")]));
        let command = json!({"type": "restore", "base": 2, "data": {"revision": 1}});
        assert_eq!(desk.refused("eva", command, Code::Conflict).conflicts[0].by, "ana");
    }

    #[test]
    fn a_restore_to_the_revision_that_it_is_based_on_is_decided_though_others_have_gone_on() {
        let mut desk = Desk::drafted(&["One."]);
        desk.ops("ana", json!([replace("b1", "Two.")]));
        let command = json!({"type": "restore", "base": 1, "data": {"revision": 1}});
        assert_eq!(desk.refused("eva", command, Code::Conflict).conflicts[0].by, "ana");
    }

    #[test]
    fn back_to_the_last_edition_leaves_nothing_stale_and_nobodys_eyes_shut() {
        let mut desk = Desk::ruled(&["He won. She lost.", "More."], "He won", "supported");
        desk.approved();
        desk.given("pia", json!({"type": "publish"}));
        desk.ops("emil", json!([replace("b1", "He did win. She lost."), delete("b2")]));
        desk.given("emil", json!({"type": "edit", "data": {"set": {"section": "sport"}}}));
        assert_eq!(desk.claimed("c1").0, ClaimState::Stale);
        desk.given("emil", restore(1));
        assert_eq!((desk.claimed("c1").0, desk.stage()), (ClaimState::Ruled, Stage::Approved));
        assert!(desk.gate().is_empty() && desk.state().writers.is_empty());
        desk.refused("pia", json!({"type": "publish"}), Code::NothingNew);
    }

    #[test]
    fn writers_after_a_restore_are_those_of_what_differs_from_the_last_edition() {
        let mut desk = Desk::published(&["One.", "Two."]);
        desk.ops("emil", json!([replace("b1", "Uno.")]));
        desk.ops("eva", json!([replace("b2", "Due.")]));
        desk.given("carl", restore(2));
        let writers = |desk: &Desk| desk.state().writers.iter().map(|w| w.to_string()).collect::<Vec<_>>();
        assert_eq!(writers(&desk), ["emil"]);
        desk.refused("emil", json!({"type": "approve"}), Code::FourEyes);
        desk.given("eva", json!({"type": "approve"}));
        desk.given("pia", json!({"type": "publish"}));
        desk.given("carl", restore(3));
        assert!(writers(&desk).contains(&"emil".to_owned()) && writers(&desk).contains(&"eva".to_owned()));
        // A withdrawal is no edition: the words of the last one still have no writers to look past.
        let mut desk = Desk::published(&["One."]);
        desk.ops("emil", json!([replace("b1", "Half-made.")]));
        desk.given("pia", json!({"type": "withdraw", "data": {"notice": "Gone."}}));
        desk.given("eva", restore(1));
        assert!(writers(&desk).is_empty());
    }

    #[test]
    fn back_to_the_editions_words_by_an_older_revision_shuts_nobodys_eyes() {
        let mut desk = Desk::drafted(&["One."]);
        for (by, words) in [("emil", "Uno."), ("ana", "One."), ("ana", "Two."), ("ana", "One.")] {
            desk.ops(by, json!([replace("b1", words)]));
        }
        desk.approved();
        desk.given("pia", json!({"type": "publish"}));
        desk.ops("ana", json!([replace("b1", "Three.")]));
        desk.given("eva", restore(3));
        desk.given("emil", json!({"type": "approve"}));
    }
}
