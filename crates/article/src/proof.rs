//! Deriving again what an event says of itself: that its id is its command's, and that what went out was decided by an
//! open gate (promise 6).

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
    if derivable(&gate.waived) != derivable(&proof.waived) {
        faults.push("the reasons that were waived aren't those that it names".to_owned());
    }
    faults
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
