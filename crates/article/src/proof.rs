//! Deriving again what an event says of itself: that its id is its command's, and that what went out was decided by an
//! open gate (promise 6).

use std::collections::HashSet;

use crate::article::Article;
use crate::command::Data;
use crate::edition::{Edition, words_digest};
use crate::event::Event;
use crate::gate::{Reason, ReasonCode, gate};
use crate::ids;
use crate::newsroom::Newsroom;

/// What doesn't hold of an event that was folded: a sentence each, none of them with words of the newsroom. `before` is
/// the article before it, `after` with it; `newsroom` gives the newsroom line's versions.
///
/// Without `words_known` something of its words was erased since, so what turns on words isn't derived again.
///
/// That sentences lacked a claim isn't derived again: which sentences there are rests on tables of Unicode, which
/// change.
pub fn faults<'a>(
    before: Option<&Article>,
    event: &Event,
    after: &Article,
    words_known: bool,
    newsroom: impl Fn(u32) -> Option<&'a Newsroom>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            faults.push(what.to_owned());
        }
    };
    expect(event.id == ids::event_of(&event.subject, event.command), "its id isn't of its command");
    expect(before.is_none_or(|before| event.time >= before.updated), "its time is before the last event's");
    expect(
        newsroom(event.deskversion).is_some(),
        "the newsroom line has no such version as it was decided under",
    );
    if !words_known {
        return faults;
    }
    let digest = event.wire.and_then(|_| Edition::of(after)).map(|edition| edition.digest());
    expect(digest == event.editiondigest, "its editiondigest isn't of what readers got");
    let (Data::Published(published), Some(before)) = (&event.data, before) else { return faults };
    let proof = &published.proof;
    expect(proof.version == before.version, "its gate was judged on another version than the last");
    expect(
        proof.newsroom == event.deskversion,
        "its gate was judged under other rules than it was decided under",
    );
    expect(published.words == words_digest(before), "the words that went out aren't those that it names");
    expect(
        proof.verdicts == crate::command::publish::verdicts_digest(before),
        "the verdicts aren't those that it names",
    );
    let given = before.approvals.iter().filter(|approval| approval.digest == published.words);
    let given: Vec<u32> = given.map(|approval| approval.version).collect();
    expect(proof.approvals == given, "the approvals of its words aren't those that it names");
    let Some(newsroom) = newsroom(proof.newsroom) else { return faults };
    let gate = gate(before, newsroom, event.time);
    let derivable = |reasons: &[Reason]| {
        let mut keys: Vec<String> =
            reasons.iter().filter(|reason| reason.code != ReasonCode::Unclaimed).map(key).collect();
        keys.sort();
        keys
    };
    let shut = derivable(&gate.reasons);
    if !shut.is_empty() {
        faults.push(format!("its gate was shut: {}", shut.join(", ")));
    }
    if derivable(&named_in_proof(gate.waived)) != derivable(&named_in_proof(proof.waived.clone())) {
        faults.push("the reasons that were waived aren't those that it names".to_owned());
    }
    faults
}

/// How many waived reasons a proof names: at some 140 bytes each they leave an event room for the rest.
const NAMED_MAX: usize = 3_000;

/// The waived reasons that a publication's proof names, in the gate's order: sentences that carry no claim once for each
/// place, as a waiver lifts them; where there are still more than an event has room for, the first of those that can be
/// derived again, then the first of the others.
///
/// An edition could never go out otherwise, and a scheduled one would never be held either: its gate is open.
pub(crate) fn named_in_proof(waived: Vec<Reason>) -> Vec<Reason> {
    let is_derivable = |reason: &Reason| reason.code != ReasonCode::Unclaimed;
    let mut derivable = waived.iter().filter(|reason| is_derivable(reason)).count().min(NAMED_MAX);
    let mut others = NAMED_MAX - derivable;
    let mut places = HashSet::new();
    let mut is_named = |reason: &Reason| {
        let room = if is_derivable(reason) { &mut derivable } else { &mut others };
        if *room == 0 || (!is_derivable(reason) && !places.insert(key(reason))) {
            return false;
        }
        *room -= 1;
        true
    };
    waived.into_iter().filter(|reason| is_named(reason)).collect()
}

/// A reason without its words for people, which may be put otherwise by another build.
fn key(reason: &Reason) -> String {
    let mut key = reason.code.name().to_owned();
    let parts = [
        reason.field.clone(),
        reason.block.map(|block| block.to_string()),
        reason.claim.map(|claim| claim.to_string()),
        reason.query.map(|query| query.to_string()),
    ];
    for part in parts.into_iter().flatten() {
        key.push(' ');
        key.push_str(&part);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(code: ReasonCode, block: usize) -> Reason {
        let block = format!("b{block}").parse().unwrap();
        Reason { block: Some(block), ..Reason::new(code, "") }
    }

    #[test]
    fn a_proof_names_what_can_be_derived_first_and_the_others_once_for_each_place() {
        let many = |code, number: usize| (1..=number).map(move |at| reason(code, at));
        let (unclaimed, images) = (ReasonCode::Unclaimed, ReasonCode::ImageIncomplete);
        let twice: Vec<Reason> =
            many(unclaimed, 2).chain(many(unclaimed, 2)).chain(many(images, 1)).collect();
        let once: Vec<Reason> = many(unclaimed, 2).chain(many(images, 1)).collect();
        assert_eq!(named_in_proof(twice), once, "in the gate's order");

        let all = many(unclaimed, NAMED_MAX).chain(many(images, NAMED_MAX - 1)).collect();
        let named = named_in_proof(all);
        assert_eq!(named.len(), NAMED_MAX);
        assert_eq!(named.iter().filter(|one| one.code == images).count(), NAMED_MAX - 1);
        assert_eq!(named_in_proof(named.clone()), named, "the same again");
        let too_many = named_in_proof(many(images, NAMED_MAX + 1).collect());
        assert_eq!(too_many, many(images, NAMED_MAX).collect::<Vec<_>>());
    }
}
