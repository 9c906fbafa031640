//! `claim`: someone points at a statement that can be checked.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::claims::{self, Claim, ClaimField, ClaimKind, ClaimState, Found, Place};
use crate::event::{Event, Said};
use crate::ids::{BlockId, ClaimId};
use crate::json::Node;
use crate::limits;
use crate::newsroom::Role;
use crate::problem::Problem;
use crate::words::Words;

/// The data of `claim`.
#[derive(Debug, Clone, PartialEq)]
pub struct RaiseClaim {
    quote: Words,
    place: Option<Place>,
    kind: ClaimKind,
    attributed_to: Option<Words>,
    material: bool,
}

/// `claim` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentClaim {
    /// An exact run of words from one block or field.
    quote: String,
    /// The block it stands in; may be left out where the quote occurs once.
    block: Option<BlockId>,
    /// The field it stands in.
    field: Option<ClaimField>,
    /// Fact, quotation or statistic.
    kind: ClaimKind,
    /// Whom the text attributes it to.
    attributed_to: Option<String>,
    /// Whether the story stands or falls with it.
    #[serde(default = "yes")]
    material: bool,
}

fn yes() -> bool {
    true
}

/// A claim was raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimRaised {
    /// What the answer said.
    pub answer: Said,
    /// The claim's id.
    pub claim: ClaimId,
    /// The words claimed.
    pub quote: Words,
    /// Where they stand.
    pub place: Place,
    /// The sentence they are bound to.
    pub sentence: Words,
    /// What sort of statement.
    pub kind: ClaimKind,
    /// Whom the text attributes it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributed_to: Option<Words>,
    /// Whether the story stands or falls with it.
    pub material: bool,
}

impl Decide for RaiseClaim {
    type Shape = SentClaim;
    const RIGHT: Right = Right { roles: &[Role::Reporter, Role::Editor, Role::Checker], machine: true };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentClaim = shape::object(data)?;
        Ok(Self {
            quote: shape::remark("/data/quote", &sent.quote)?,
            place: shape::place(sent.block, sent.field)?,
            kind: sent.kind,
            attributed_to: shape::optional_remark("/data/attributed_to", sent.attributed_to)?,
            material: sent.material,
        })
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let article = case.article;
        one_more_live(article)?;
        if article.claims.len() >= limits::CLAIMS {
            let detail = format!(
                "an article has at most {} claims, those that are gone or dropped included",
                limits::CLAIMS
            );
            return Err(Problem::too_large("claims", detail));
        }
        let (quote, found) = claims::find_quoted(article, &self.quote, self.place)?;
        may_be_kept(&found)?;
        let claim = article.next_claim();
        let data = ClaimRaised {
            answer: Said::default(),
            claim,
            quote,
            place: found.place,
            sentence: found.sentence.into(),
            kind: self.kind,
            attributed_to: self.attributed_to.clone(),
            material: self.material,
        };
        let mut outcome = Outcome::from(Data::ClaimRaised(Box::new(data)));
        outcome.created = Some(claim.to_string());
        Ok(outcome)
    }
}

/// Whether one more claim may be live.
///
/// # Errors
/// `too_large`.
pub(super) fn one_more_live(article: &Article) -> Result<(), Problem> {
    let live = article.claims.values().filter(|claim| claim.is_live()).count();
    if live < limits::LIVE_CLAIMS {
        return Ok(());
    }
    let detail = format!("an article has at most {} live claims", limits::LIVE_CLAIMS);
    Err(Problem::too_large("live_claims", detail))
}

/// Whether a claim may be bound to what its quote was found in.
///
/// # Errors
/// `too_large`.
pub(super) fn may_be_kept(found: &Found) -> Result<(), Problem> {
    if found.sentence.len() <= limits::SENTENCE_BYTES {
        return Ok(());
    }
    let detail = format!(
        "the sentence that the quote stands in takes {} bytes; a claim is bound to at most {}: make sentences of it, or \
         paragraphs where its script marks no ends",
        found.sentence.len(),
        limits::SENTENCE_BYTES
    );
    Err(Problem::too_large("sentence", detail).at("/data/quote"))
}

impl ClaimRaised {
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        let claim = Claim {
            id: self.claim,
            quote: self.quote.clone(),
            place: self.place,
            sentence: self.sentence.clone(),
            kind: self.kind,
            attributed_to: self.attributed_to.clone(),
            material: self.material,
            state: ClaimState::Unruled,
            raised_by: event.actor.clone(),
            evidence: Vec::new(),
            ruling: None,
            earlier: Vec::new(),
            found_false: None,
            dropped: None,
        };
        match Arc::make_mut(&mut article.claims).insert(self.claim, claim.into()) {
            None => Ok(()),
            Some(_) => Err(Broken(format!("claim {} is there twice", self.claim))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::testing::{Desk, delete, replace};
    use crate::problem::Code;

    #[test]
    fn a_claim_gets_the_next_id_and_its_sentence() {
        let mut desk = Desk::drafted(&["It is cold. He said no. It is late."]);
        let data =
            json!({"quote": "said no", "kind": "quotation", "attributed_to": "Him", "material": false});
        let event = desk.given("bot", json!({"type": "claim", "data": data})).clone();
        assert_eq!(event.data.said().created.as_deref(), Some("c1"));
        assert_eq!((event.revision, event.articleversion), (1, 2));
        assert_eq!(desk.claimed("c1").2, "He said no.");
        assert!(!desk.gate().contains(&"claim_unruled"), "what isn't material holds nothing");
        assert_eq!(desk.claim("is late"), "c2");
        assert!(desk.gate().contains(&"claim_unruled"));
    }

    #[test]
    fn a_quote_must_occur_once_or_be_placed() {
        let mut desk = Desk::drafted(&["He won twice.", "They say he won twice.", "one one"]);
        let claim = |data| json!({"type": "claim", "data": data});
        desk.refused("chen", claim(json!({"quote": "she won", "kind": "fact"})), Code::QuoteNotFound);
        let twice =
            desk.refused("chen", claim(json!({"quote": "won twice", "kind": "fact"})), Code::QuoteAmbiguous);
        assert_eq!(twice.field.as_deref(), Some("/data/quote"));
        desk.given("chen", claim(json!({"quote": "won twice", "kind": "fact", "block": "b2"})));
        assert_eq!(desk.claimed("c1").1, "b2");
        let here = json!({"quote": "won twice", "kind": "fact", "field": "headline"});
        desk.refused("chen", claim(here), Code::QuoteNotFound);
        let in_one = json!({"quote": "one", "kind": "fact", "block": "b3"});
        desk.refused("chen", claim(in_one), Code::QuoteAmbiguous);
        let both = json!({"quote": "won", "kind": "fact", "block": "b1", "field": "headline"});
        desk.refused("chen", claim(both), Code::Invalid);
        desk.refused("chen", claim(json!({"quote": "twice. They", "kind": "fact"})), Code::QuoteNotFound);
    }

    #[test]
    fn a_quote_never_ends_between_a_letter_and_its_accent() {
        let mut desk = Desk::drafted(&["Un cafe\u{301}\u{302} noir."]);
        let claim = |quote: &str| json!({"type": "claim", "data": {"quote": quote, "kind": "fact"}});
        desk.refused("chen", claim("Un cafe"), Code::QuoteNotFound);
        desk.refused("chen", claim("Un caf\u{e9}"), Code::QuoteNotFound);
        desk.given("chen", claim("cafe\u{301}\u{302} noir"));
    }

    #[test]
    fn a_quote_may_carry_the_marks_that_reads_show() {
        let mut desk = Desk::drafted(&["He won *12* votes and 5\\*3 more."]);
        let claim = |quote: &str| json!({"type": "claim", "data": {"quote": quote, "kind": "fact"}});
        desk.given("chen", claim("won *12* votes"));
        desk.given("chen", claim("and 5*3 more"));
        assert_eq!(desk.claimed("c1").2, "He won 12 votes and 5*3 more.");
        desk.ops("emil", json!([replace("b1", "He **won 12 votes** and 5\\*3 more.")]));
        assert_eq!(desk.claimed("c1").2, "He won 12 votes and 5*3 more.");
    }

    #[test]
    fn the_white_space_around_a_quote_is_in_no_sentence() {
        let mut desk = Desk::drafted(&["He said no.\u{a0}She won twice.\u{2003}They left."]);
        desk.claim("\u{a0}She won twice.\u{2003}");
        desk.ops("emil", json!([replace("b1", "He said no. She won twice. They stayed.")]));
        assert_eq!(desk.claimed("c1").2, "She won twice.");
        desk.rule("c1", "supported");
        desk.ops("emil", json!([replace("b1", "He said yes. She won twice. They stayed.")]));
        assert!(!desk.gate().contains(&"verdict_stale"));
    }

    #[test]
    fn blank_and_missing_data_are_named() {
        let mut desk = Desk::drafted(&["Words."]);
        for (data, place) in [
            (json!({"kind": "fact"}), "/data/quote"),
            (json!({"quote": " \u{200b}", "kind": "fact"}), "/data/quote"),
            (json!({"quote": "Words"}), "/data/kind"),
            (json!({"quote": "Words", "kind": "rumour"}), "/data/kind"),
            (json!({"quote": "Words", "kind": "fact", "material": "yes"}), "/data/material"),
            (json!({"quote": "Words", "kind": "fact", "field": "byline"}), "/data/field"),
        ] {
            let problem = desk.refused("chen", json!({"type": "claim", "data": data}), Code::Invalid);
            assert_eq!(problem.field.as_deref(), Some(place));
        }
    }

    #[test]
    fn a_claim_is_on_a_sentence_that_may_be_kept() {
        let most = crate::limits::SENTENCE_BYTES;
        let long = |bytes: usize| format!("{}end.", "word ".repeat(bytes / 5).split_at(bytes - 4).0);
        let mut desk = Desk::drafted(&[&format!("{} Here is more.", long(most)), &long(most + 1)]);
        let claim =
            |block: &str| json!({"type": "claim", "data": {"quote": "end", "block": block, "kind": "fact"}});
        desk.given("chen", claim("b1"));
        let problem = desk.refused("chen", claim("b2"), Code::TooLarge);
        assert_eq!(problem.limit.as_deref(), Some("sentence"));
        assert_eq!(problem.field.as_deref(), Some("/data/quote"));
    }

    #[test]
    fn live_claims_have_a_limit() {
        let mut desk = Desk::drafted(&["Words."]);
        desk.claim("Words");
        let state = Arc::make_mut(desk.states.last_mut().unwrap());
        let one = state.claims.values().next().unwrap().clone();
        for n in 2..=crate::limits::LIVE_CLAIMS as u32 - 1 {
            Arc::make_mut(&mut state.claims).insert(crate::ids::ClaimId(n), one.clone());
        }
        let last = crate::limits::LIVE_CLAIMS.to_string();
        assert_eq!(desk.claim("Words"), format!("c{last}"));
        let command = json!({"type": "claim", "data": {"quote": "Words", "kind": "fact"}});
        let problem = desk.refused("chen", command, Code::TooLarge);
        assert_eq!(problem.limit.as_deref(), Some("live_claims"));
        desk.given("chen", json!({"type": "drop", "data": {"claim": "c1", "reason": "Double."}}));
        desk.claim("Words");
    }

    /// What is gone is looked for at every edit, for ever.
    #[test]
    fn claims_that_are_gone_have_a_limit_too() {
        let mut desk = Desk::drafted(&["Words.", "Others."]);
        desk.claim("Others");
        desk.ops("emil", json!([delete("b2")]));
        let state = Arc::make_mut(desk.states.last_mut().unwrap());
        let one = state.claims.values().next().unwrap().clone();
        for n in 2..=crate::limits::CLAIMS as u32 - 1 {
            Arc::make_mut(&mut state.claims).insert(crate::ids::ClaimId(n), one.clone());
        }
        assert_eq!(desk.claim("Words"), format!("c{}", crate::limits::CLAIMS));
        let command = json!({"type": "claim", "data": {"quote": "Words", "kind": "fact"}});
        let problem = desk.refused("chen", command, Code::TooLarge);
        assert_eq!(problem.limit.as_deref(), Some("claims"));
    }
}
