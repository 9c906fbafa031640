//! `rule`: a checker's verdict, bound to the exact sentence that it is given on.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::claim::{may_be_kept, one_more_live};
use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::change;
use crate::claims::{self, Claim, ClaimField, ClaimState, Found, FoundFalse, Place, Ruling, Verdict};
use crate::event::{Event, Said};
use crate::ids::{BlockId, ClaimId};
use crate::json::Node;
use crate::newsroom::Role;
use crate::problem::{Code, Conflict, Problem};
use crate::words::Words;

/// The data of `rule`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    claim: ClaimId,
    verdict: Verdict,
    note: Option<Words>,
    quote: Option<Words>,
    place: Option<Place>,
}

/// `rule` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentRule {
    /// The claim.
    claim: ClaimId,
    /// The verdict.
    verdict: Verdict,
    /// A note.
    note: Option<String>,
    /// The words to stand by, where they are new.
    quote: Option<String>,
    /// Where the new words stand.
    block: Option<BlockId>,
    /// Where the new words stand.
    field: Option<ClaimField>,
}

/// A claim was ruled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimRuled {
    /// What the answer said.
    pub answer: Said,
    /// The claim.
    pub claim: ClaimId,
    /// The verdict.
    pub verdict: Verdict,
    /// The words of the sentence that it was given on.
    pub sentence: Words,
    /// The words claimed, where they are new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Words>,
    /// Where they stand, where that is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The checker's note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
    /// The article's versions with the rulings on the same words, in whose place this one comes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instead_of: Vec<u32>,
    /// Words that were found false before and stand in the text, where the claim isn't on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_false: Option<FoundFalse>,
}

impl Decide for Rule {
    type Shape = SentRule;
    const RIGHT: Right = Right { roles: &[Role::Checker], machine: false };
    const NEEDS_BASE: bool = true;

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentRule = shape::object(data)?;
        Ok(Self {
            claim: sent.claim,
            verdict: sent.verdict,
            note: shape::optional_remark("/data/note", sent.note)?,
            quote: sent.quote.map(|quote| shape::remark("/data/quote", &quote)).transpose()?,
            place: shape::place(sent.block, sent.field)?,
        })
    }

    fn past(&self, article: &Article, base: u32) -> Vec<u32> {
        if base < article.revision { vec![base] } else { Vec::new() }
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let claim = case.claim(self.claim)?;
        self.sentence_unchanged(case)?;
        let (quote, found) = match &self.quote {
            Some(quote) => {
                let back = || Some((quote.clone(), claims::noted(case.article, claim, quote, self.place)?));
                let found = claims::find_quoted(case.article, quote, self.place);
                let (quote, found) = found.or_else(|refused| back().ok_or(refused))?;
                self.leaves(case, claim, &found)?;
                (Some(quote).filter(|quote| *quote != claim.quote), found)
            }
            None => (None, claims::find_bound(case.article, claim)?),
        };
        if found.sentence != *claim.sentence {
            may_be_kept(&found)?;
        }
        if claim.state == ClaimState::Gone {
            one_more_live(case.article)?;
        }
        self.seen(case, &found)?;
        case.four_eyes(&found.writers, "this sentence")?;
        let mut data = ClaimRuled {
            answer: Said::default(),
            claim: self.claim,
            verdict: self.verdict,
            instead_of: claim.rulings_on(&found.sentence).map(|ruling| ruling.version).collect(),
            sentence: found.sentence.into(),
            quote,
            place: Some(found.place).filter(|place| *place != claim.place),
            note: self.note.clone(),
            found_false: None,
        };
        let mut ruled = claim.clone();
        data.fold(&mut ruled, Arc::clone(case.actor()), case.article.version + 1);
        data.found_false = claims::found_false(case.article, &ruled, claim.found_false);
        Ok(Data::ClaimRuled(Box::new(data)).into())
    }
}

impl Rule {
    /// New words are for where the claim's own are gone, or need another's eyes: who wrote those, or what stands in
    /// their place now, may not turn it to others, and while they stand nobody one that was ruled wrong.
    fn leaves(&self, case: &Case<'_>, claim: &Claim, found: &Found) -> Result<(), Problem> {
        let bound = claims::bound_sentence(case.article, claim);
        if bound.as_ref().is_some_and(|bound| bound.sentence == found.sentence && bound.place == found.place)
        {
            return Ok(());
        }
        let is_adverse = claim.ruling.as_ref().is_some_and(|ruling| ruling.verdict.is_adverse());
        // Where there was no room for the sentence that its quote stands in now, or sentences end elsewhere in another
        // language, that is what is found; who wrote it is asked as of any.
        let own = || claims::find(case.article, &claim.quote, Some(claim.place));
        let is_its_own = bound.is_none()
            && found.place == claim.place
            && own().is_ok_and(|own| own.sentence == found.sentence);
        if is_its_own {
            return Ok(());
        }
        if is_adverse && claims::may_stand(case.article, claim) {
            let detail =
                format!("claim {} was ruled wrong and its words still stand: change them first", claim.id);
            return Err(Problem::new(Code::VerdictAdverse, detail));
        }
        match bound {
            Some(bound) => case.four_eyes(&bound.writers, "the sentence that the claim is on"),
            None if claim.state == ClaimState::Gone => Ok(()),
            // There was no room to say what became of it: it may be all that stands at its place.
            None => {
                let there = claims::writers_at(case.article, claim.place);
                case.four_eyes(&there, "the words that the claim is on")
            }
        }
    }

    /// A verdict is given on words seen: refused where the claim's sentence changed since `base`.
    fn sentence_unchanged(&self, case: &Case<'_>) -> Result<(), Problem> {
        let now = case.claim(self.claim)?;
        let Some(then) = case.at(case.base)?.claims.get(&self.claim) else { return Ok(()) };
        let was_there = then.state != ClaimState::Gone;
        let is_there = now.state != ClaimState::Gone;
        if then.sentence == now.sentence && was_there == is_there {
            return Ok(());
        }
        let theirs = Some(now.sentence.clone()).filter(|_| is_there);
        Err(changed(case, now.place, Some(then.sentence.clone()), theirs))
    }

    /// The sentence that the verdict would be bound to may be another than the claim's was, where new words are
    /// quoted, or the claim younger than `base`: it must have stood there at `base` too.
    fn seen(&self, case: &Case<'_>, found: &Found) -> Result<(), Problem> {
        let then = case.at(case.base)?;
        if case.base == case.article.revision || claims::stands(then, &found.sentence) {
            return Ok(());
        }
        Err(changed(case, found.place, None, Some(found.sentence.clone().into())))
    }
}

/// The refusal of a verdict on a sentence that changed since `base`.
fn changed(case: &Case<'_>, place: Place, was: Option<Words>, theirs: Option<Words>) -> Problem {
    let (block, field) = match place {
        Place::Block(id) => (Some(id.to_string()), None),
        Place::Field(field) => (None, Some(field.name().to_owned())),
    };
    let (revision, by) = case.article.last_change(place);
    let shown = |sentence: Option<Words>| sentence.map(|sentence| sentence.into_string().into());
    let (was, theirs) = (shown(was), shown(theirs));
    let conflict = Conflict { block, field, was, yours: None, theirs, revision, by };
    change::conflict(case.article, vec![conflict])
}

impl ClaimRuled {
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        let claim = article.claim_mut(self.claim)?;
        self.fold(claim, Arc::clone(&event.actor), event.articleversion);
        Ok(())
    }

    fn fold(&self, claim: &mut Claim, by: Arc<str>, version: u32) {
        claim.state = ClaimState::Ruled;
        claim.found_false = self.found_false;
        claim.sentence = self.sentence.clone();
        if let Some(place) = self.place {
            claim.place = place;
        }
        let ruling = Ruling {
            verdict: self.verdict,
            sentence: self.sentence.clone(),
            by,
            version,
            note: self.note.clone(),
        };
        claim.hold(ruling, self.quote.clone(), &self.instead_of);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::testing::{Desk, delete, insert, replace};
    use crate::claims::ClaimState;
    use crate::problem::Code;

    fn rule(base: u32, data: serde_json::Value) -> serde_json::Value {
        json!({"type": "rule", "base": base, "data": data})
    }

    #[test]
    fn each_verdict_does_to_the_gate_what_the_rules_say() {
        for (verdict, material, reason) in [
            ("supported", true, None),
            ("inaccurate", true, Some("verdict_adverse")),
            ("misleading", true, Some("verdict_adverse")),
            ("unsupported", true, Some("verdict_adverse")),
            ("unverifiable", true, Some("verdict_adverse")),
            ("supported", false, None),
            ("inaccurate", false, Some("verdict_adverse")),
            ("misleading", false, Some("verdict_adverse")),
            ("unsupported", false, None),
            ("unverifiable", false, None),
        ] {
            let mut desk = Desk::drafted(&["He won."]);
            let data = json!({"quote": "He won", "kind": "fact", "material": material});
            desk.given("chen", json!({"type": "claim", "data": data}));
            desk.rule("c1", verdict);
            let gate = desk.gate();
            assert_eq!(gate.iter().find(|code| code.starts_with("verdict")).copied(), reason, "{verdict}");
            assert!(!gate.contains(&"claim_unruled"));
        }
    }

    #[test]
    fn a_verdict_is_refused_where_the_sentence_changed_since_base() {
        let mut desk = Desk::drafted(&["He won. She lost.", "More."]);
        desk.claim("He won");
        desk.ops("emil", json!([replace("b1", "He won it. She lost."), replace("b2", "Less.")]));
        let data = json!({"claim": "c1", "verdict": "supported", "quote": "He won it"});
        let problem = desk.refused("chen", rule(1, data.clone()), Code::Conflict);
        assert_eq!(
            serde_json::to_value(&problem.conflicts).unwrap(),
            json!([{"block": "b1", "was": "He won.", "yours": null, "theirs": "He won it.",
                "revision": 2, "by": "emil"}])
        );
        desk.given("chen", rule(2, data));
    }

    #[test]
    fn a_claim_ruled_wrong_is_not_turned_to_other_words_while_its_own_stand() {
        let mut desk = Desk::drafted(&["He won.", "She lost by ten votes."]);
        desk.claim("He won");
        desk.rule("c1", "inaccurate");
        let away = json!({"claim": "c1", "verdict": "supported", "quote": "lost by ten votes"});
        desk.refused("chen", rule(1, away.clone()), Code::VerdictAdverse);
        desk.ops("emil", json!([delete("b1")]));
        desk.given("chen", rule(2, away));
    }

    #[test]
    fn who_wrote_a_claims_words_does_not_turn_it_to_others() {
        let mut desk = Desk::drafted(&["He won.", "She lost by ten votes."]);
        // A reporter, and a checker too.
        desk.ops("cara", json!([replace("b1", "They drew.")]));
        desk.claim("They drew");
        let away = json!({"claim": "c1", "verdict": "supported", "quote": "lost by ten votes"});
        desk.refused("cara", rule(2, away.clone()), Code::FourEyes);
        desk.given("chen", rule(2, away));
    }

    #[test]
    fn who_wrote_over_a_claims_words_does_not_turn_it_to_others() {
        let mut desk = Desk::drafted(&["He won.", "She lost by ten votes."]);
        desk.claim("He won");
        desk.ops("cara", json!([replace("b1", "They drew.")]));
        assert_eq!(desk.claimed("c1"), (ClaimState::Unruled, "b1".to_owned(), "They drew.".to_owned()));
        let away = json!({"claim": "c1", "verdict": "supported", "quote": "lost by ten votes"});
        desk.refused("cara", rule(2, away.clone()), Code::FourEyes);
        desk.given("chen", rule(2, away));
    }

    #[test]
    fn a_verdict_is_taken_where_other_words_changed_since_base() {
        let mut desk = Desk::drafted(&["He won. She lost."]);
        desk.claim("He won");
        desk.ops("emil", json!([replace("b1", "He won. She gained.")]));
        desk.given("chen", rule(1, json!({"claim": "c1", "verdict": "supported"})));
        assert_eq!(desk.claimed("c1").0, ClaimState::Ruled);
    }

    #[test]
    fn a_verdict_on_newly_quoted_words_is_refused_where_those_changed_since_base() {
        let mut desk = Desk::drafted(&["He won.", "She lost by ten votes."]);
        desk.claim("He won");
        desk.ops("emil", json!([replace("b2", "She never lost by ten votes.")]));
        let data = json!({"claim": "c1", "verdict": "supported", "quote": "lost by ten votes"});
        let problem = desk.refused("chen", rule(1, data.clone()), Code::Conflict);
        assert_eq!(problem.conflicts[0].block.as_deref(), Some("b2"));
        desk.given("chen", rule(2, data));
    }

    #[test]
    fn a_verdict_from_before_the_claim_was_raised_is_refused_where_the_words_are_new() {
        let mut desk = Desk::drafted(&["He won."]);
        desk.ops("emil", json!([replace("b1", "He won it.")]));
        desk.claim("He won it");
        desk.refused("chen", rule(1, json!({"claim": "c1", "verdict": "supported"})), Code::Conflict);
    }

    #[test]
    fn a_claim_whose_quote_is_gone_needs_new_words() {
        let mut desk = Desk::drafted(&["He won.", "She lost. She lost."]);
        desk.claim("He won");
        desk.ops("emil", json!([delete("b1"), insert(Some("b2"), "They drew.")]));
        let data = json!({"claim": "c1", "verdict": "supported"});
        desk.refused("chen", rule(2, data), Code::QuoteNotFound);
        let data = json!({"claim": "c1", "verdict": "supported", "quote": "She lost"});
        desk.refused("chen", rule(2, data), Code::QuoteAmbiguous);
        let data = json!({"claim": "c1", "verdict": "supported", "quote": "They drew", "block": "b3"});
        desk.given("chen", rule(2, data));
        assert_eq!(desk.claimed("c1"), (ClaimState::Ruled, "b3".to_owned(), "They drew.".to_owned()));
    }

    #[test]
    fn nobody_rules_on_words_of_their_own() {
        let mut desk = Desk::drafted(&["Ana wrote this. And this."]);
        desk.ops("cara", json!([replace("b1", "Ana wrote this. And *cara* this.")]));
        desk.claim("Ana wrote this");
        desk.claim("And cara this");
        let data = |claim: &str| json!({"type": "rule", "data": {"claim": claim, "verdict": "supported"}});
        desk.given("cara", data("c1"));
        desk.refused("cara", data("c2"), Code::FourEyes);
        desk.given("chen", data("c2"));
        desk.newsroom.set.rules.four_eyes = false;
        desk.given("cara", data("c2"));
    }

    #[test]
    fn nobody_rules_on_their_own_copy_of_words_that_stand_twice() {
        let mut desk = Desk::drafted(&["They met."]);
        let words = "The mayor took 5 million.";
        let image = json!({"kind": "image", "uri": "https://example.org/a.jpg", "caption": words});
        desk.ops("cara", json!([{"op": "insert", "after": "b1", "block": image}]));
        desk.given("bot", json!({"type": "claim", "data": {"quote": words, "kind": "fact", "block": "b2"}}));
        desk.ops("ana", json!([{"op": "replace", "block": "b2", "alt": words}]));
        desk.refused("cara", rule(3, json!({"claim": "c1", "verdict": "supported"})), Code::FourEyes);
        desk.given("chen", rule(3, json!({"claim": "c1", "verdict": "supported"})));

        let mut desk = Desk::drafted(&["He won. She lost."]);
        desk.claim("He won");
        desk.ops("cara", json!([replace("b1", "He won. She lost. He won.")]));
        desk.refused("cara", rule(2, json!({"claim": "c1", "verdict": "supported"})), Code::FourEyes);
        desk.given("chen", rule(2, json!({"claim": "c1", "verdict": "supported"})));
    }

    #[test]
    fn a_claim_is_turned_only_to_a_sentence_that_may_be_kept() {
        let long = format!("{}end.", "word ".repeat(crate::limits::SENTENCE_BYTES / 5 + 1));
        let mut desk = Desk::drafted(&["He won.", &long]);
        desk.claim("He won");
        let turned = json!({"claim": "c1", "verdict": "supported", "quote": "word end"});
        let problem = desk.refused("chen", rule(1, turned), Code::TooLarge);
        assert_eq!(problem.limit.as_deref(), Some("sentence"));
    }

    #[test]
    fn a_claim_that_is_gone_comes_back_only_where_one_more_may_be_live() {
        let mut desk = Desk::drafted(&["He won.", "She lost."]);
        desk.claim("He won");
        desk.claim("She lost");
        desk.ops("emil", json!([delete("b1")]));
        let state = Arc::make_mut(desk.states.last_mut().unwrap());
        let live = state.claims.values().last().unwrap().clone();
        for n in 3..=crate::limits::LIVE_CLAIMS as u32 + 1 {
            Arc::make_mut(&mut state.claims).insert(crate::ids::ClaimId(n), live.clone());
        }
        let back = json!({"claim": "c1", "verdict": "supported", "quote": "She lost"});
        let problem = desk.refused("chen", rule(2, back.clone()), Code::TooLarge);
        assert_eq!(problem.limit.as_deref(), Some("live_claims"));
        desk.given("chen", json!({"type": "drop", "data": {"claim": "c2", "reason": "Double."}}));
        desk.given("chen", rule(2, back));
    }

    /// Where German has an ordinal, English has the end of a sentence.
    #[test]
    fn a_verdict_is_changed_where_sentences_end_elsewhere_in_another_language() {
        let mut desk = Desk::drafted(&["He came in 1995. May was cold. She left."]);
        desk.ops("cara", json!([replace("b1", "He came in 1995. May was cold. And cara left.")]));
        desk.claim("He came");
        desk.rule("c1", "supported");
        desk.newsroom.set.rules.coverage = crate::newsroom::Coverage::Hold;
        assert!(!desk.gate().contains(&"unclaimed"));
        desk.given("emil", json!({"type": "edit", "base": 2, "data": {"set": {"language": "de"}}}));
        assert!(!desk.gate().contains(&"unclaimed"), "the claim is on it still");
        desk.given("cara", rule(3, json!({"claim": "c1", "verdict": "unsupported"})));
        assert_eq!(desk.claimed("c1").2, "He came in 1995. May was cold.");
        desk.given("cara", rule(3, json!({"claim": "c1", "verdict": "supported", "quote": "He came in"})));
    }

    #[test]
    fn words_brought_back_by_a_restore_are_still_their_writers() {
        let mut desk = Desk::drafted(&["Nothing."]);
        desk.ops("cara", json!([replace("b1", "Cara wrote this.")]));
        desk.ops("ana", json!([replace("b1", "Nothing again.")]));
        desk.given("eva", json!({"type": "restore", "data": {"revision": 2}}));
        desk.claim("Cara wrote this");
        let data = json!({"type": "rule", "data": {"claim": "c1", "verdict": "supported"}});
        desk.refused("cara", data, Code::FourEyes);
    }

    #[test]
    fn a_claim_that_is_not_there_or_dropped_is_named() {
        let mut desk = Desk::ruled(&["He won."], "He won", "supported");
        desk.given("chen", json!({"type": "drop", "data": {"claim": "c1", "reason": "No use."}}));
        for claim in ["c1", "c2"] {
            let command = json!({"type": "rule", "data": {"claim": claim, "verdict": "supported"}});
            assert_eq!(desk.refused("chen", command, Code::Invalid).field.as_deref(), Some("/data/claim"));
        }
        let command = json!({"type": "rule", "data": {"claim": "c1", "verdict": "true"}});
        assert_eq!(desk.refused("chen", command, Code::Invalid).field.as_deref(), Some("/data/verdict"));
    }

    #[test]
    fn a_claim_that_is_gone_is_not_ruled_on_where_its_words_are_part_of_others() {
        let mut desk = Desk::ruled(&["A first word. He won. A last word."], "He won", "supported");
        desk.ops("emil", json!([replace("b1", "A first word. A last word.")]));
        desk.ops("emil", json!([replace("b1", "A first word. They think He won. A last word.")]));
        assert_eq!(desk.claimed("c1").0, ClaimState::Gone);
        desk.refused("chen", rule(3, json!({"claim": "c1", "verdict": "supported"})), Code::QuoteNotFound);
    }

    #[test]
    fn who_wrote_a_claims_words_does_not_turn_it_to_anothers_copy_of_them() {
        let mut desk = Desk::drafted(&["He won.", "They drew. So they say."]);
        desk.ops("cara", json!([replace("b1", "They drew.")]));
        let data = json!({"quote": "They drew", "kind": "fact", "block": "b1"});
        desk.given("chen", json!({"type": "claim", "data": data}));
        let away = json!({"claim": "c1", "verdict": "supported", "quote": "They drew", "block": "b2"});
        desk.refused("cara", rule(2, away.clone()), Code::FourEyes);
        desk.given("chen", rule(2, away));
    }

    #[test]
    fn a_verdict_on_new_words_is_refused_where_the_claims_own_went_since_base() {
        let mut desk = Desk::drafted(&["He won.", "She lost by ten votes."]);
        desk.claim("He won");
        desk.ops("emil", json!([delete("b1")]));
        let away = json!({"claim": "c1", "verdict": "supported", "quote": "lost by ten votes"});
        desk.refused("chen", rule(1, away.clone()), Code::Conflict);
        desk.given("chen", rule(2, away));
    }
}
