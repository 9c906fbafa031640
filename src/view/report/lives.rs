//! What became of each claim, approval, waiver and edition.

use std::collections::BTreeMap;
use std::sync::Arc;

use copydesk_article::article::{Article, EditionKind};
use copydesk_article::claims::{Claim, ClaimState, Verdict};
use copydesk_article::command::Data;
use copydesk_article::command::publish::verdicts_digest;
use copydesk_article::edition::{Edition, words_digest};
use copydesk_article::event::{Event, Hash, Time};
use copydesk_article::gate::Reason;
use copydesk_article::ids::ClaimId;
use copydesk_article::newsroom::ActorKind;
use copydesk_article::words::Words;
use copydesk_article::workflow::Waiver;
use serde::Serialize;
use uuid::Uuid;

use crate::log::Seq;
use crate::view::ClaimView;

/// A claim, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClaimLife {
    /// The claim as it stands.
    #[serde(flatten)]
    pub claim: ClaimView,
    /// What happened to it, oldest first.
    pub life: Vec<ClaimAct>,
}

/// What happened to a claim.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClaimAct {
    /// The version at which it did.
    pub version: u32,
    /// When.
    pub time: Time,
    /// By whose doing.
    pub by: Arc<str>,
    /// What.
    pub act: ClaimActKind,
    /// Its state after that.
    pub state: ClaimState,
    /// The last verdict, stale or not.
    pub verdict: Option<Verdict>,
    /// The sentence that it was bound to after that.
    pub sentence: Words,
    /// What the checker noted, or why it was dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
}

/// What may happen to a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClaimActKind {
    /// It was raised.
    Raised,
    /// Evidence was cited for it.
    Cited,
    /// A checker ruled on it.
    Ruled,
    /// Its sentence changed after the verdict.
    Stale,
    /// Its sentence left the text.
    Gone,
    /// Its sentence came back, or words that were ruled on before.
    Back,
    /// A checker took it back.
    Dropped,
    /// Its sentence changed or moved, and no verdict was touched.
    Followed,
    /// Words that were found false came to stand somewhere else than where it is.
    False,
    /// None of them stands there any more.
    Cleared,
}

/// An approval, and whether it still stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalLife {
    /// Who approved.
    pub by: Arc<str>,
    /// The version at which.
    pub version: u32,
    /// When.
    pub time: Time,
    /// The revision whose words were approved.
    pub revision: u32,
    /// Digest of those words and fields.
    pub digest: Hash,
    /// What the editor noted.
    pub note: Option<Words>,
    /// What ended it; none where it stands on the present words.
    pub ended: Option<ApprovalEnd>,
    /// The editions that went out on it.
    pub editions: Vec<u32>,
}

/// What ended an approval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalEnd {
    /// The version at which.
    pub version: u32,
    /// By whose doing.
    pub by: Arc<str>,
    /// Whether the words changed; else it was voided with the words as they were.
    pub words_changed: bool,
}

/// A waiver, and what went out on it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WaiverLife {
    /// The waiver.
    #[serde(flatten)]
    pub waiver: Arc<Waiver>,
    /// When.
    pub time: Time,
    /// The editions that went out with what it lifts.
    pub editions: Vec<u32>,
}

/// An edition or withdrawal: who put it out, why the gate was open, and what its digests are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EditionLife {
    /// Its number.
    pub number: u32,
    /// What it is.
    pub kind: EditionKind,
    /// The version with it.
    pub version: u32,
    /// The revision that went out.
    pub revision: u32,
    /// When.
    pub time: Time,
    /// Who put it out; `desk` at an hour that had been set.
    pub by: Arc<str>,
    /// What they are.
    pub actorkind: ActorKind,
    /// Its event's position in the log.
    pub seq: Seq,
    /// Its event's id.
    pub event: Uuid,
    /// What readers were told.
    pub note: Option<Words>,
    /// The headline that went out.
    pub headline: Option<String>,
    /// Whether machines wrote any of its words.
    pub machine_written: bool,
    /// Digest of the public form, as the event says it.
    pub digest: Option<Hash>,
    /// Whether the public form, worked out again from the events before it, has that digest; none where words of it were
    /// erased by law since.
    pub digest_holds: Option<bool>,
    /// Digest of the words and fields that went out.
    pub words: Hash,
    /// Why the gate was open; none for a withdrawal, which needs none.
    pub gate: Option<GateProof>,
}

/// Why the gate was open, as the publication's event says it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateProof {
    /// The version that it was decided on.
    pub version: u32,
    /// The version of the newsroom line whose rules held.
    pub newsroom: u32,
    /// The approvals on these words: who, and at which version.
    pub approvals: Vec<(Arc<str>, u32)>,
    /// The reasons that a chief had waived.
    pub waived: Vec<Reason>,
    /// Digest of the live claims with their verdicts.
    pub verdicts: Hash,
    /// Whether the claims, worked out again, have that digest; none where words were erased by law since.
    pub verdicts_hold: Option<bool>,
    /// The live claims and their verdicts.
    pub claims: Vec<(ClaimId, Option<Verdict>)>,
}

/// All lives so far.
#[derive(Default)]
pub(super) struct Lives {
    claims: BTreeMap<ClaimId, Vec<ClaimAct>>,
    pub approvals: Vec<ApprovalLife>,
    pub waivers: Vec<WaiverLife>,
    pub editions: Vec<EditionLife>,
}

impl Lives {
    /// Takes one more event into them; the claims that it touched.
    pub fn take(&mut self, then: Option<&Article>, now: &Article, event: &Event, seq: Seq) -> Vec<ClaimId> {
        self.approve(then, now, event);
        if let (Data::Waived(_), Some(waiver)) = (&event.data, now.waivers.last()) {
            let waiver = Arc::clone(waiver);
            self.waivers.push(WaiverLife { waiver, time: event.time, editions: Vec::new() });
        }
        self.publish(then, now, event, seq);
        let touched = now.claims.values().filter_map(|claim| {
            let was = then.and_then(|then| then.claims.get(&claim.id));
            let act = claim_act(was, claim, event)?;
            self.claims.entry(claim.id).or_default().push(act);
            Some(claim.id)
        });
        touched.collect()
    }

    /// The claims as they stand, with their lives.
    pub fn claims(&mut self, claims: impl Iterator<Item = ClaimView>) -> Vec<ClaimLife> {
        let lives = &mut self.claims;
        claims.map(|claim| ClaimLife { life: lives.remove(&claim.id).unwrap_or_default(), claim }).collect()
    }

    fn approve(&mut self, then: Option<&Article>, now: &Article, event: &Event) {
        if let Data::Approved(data) = &event.data {
            self.approvals.push(ApprovalLife {
                by: Arc::clone(&event.actor),
                version: event.articleversion,
                time: event.time,
                revision: event.revision,
                digest: data.digest,
                note: data.note.clone(),
                ended: None,
                editions: Vec::new(),
            });
        }
        let words_changed = then.is_none_or(|then| then.revision != now.revision);
        let kept = then.is_some_and(|then| then.approvals.len() <= now.approvals.len());
        if self.approvals.is_empty() || (!words_changed && kept) {
            return;
        }
        let digest = words_digest(now);
        for approval in &mut self.approvals {
            let there = now.approvals.iter().any(|kept| kept.version == approval.version);
            let good = there && approval.digest == digest;
            if good {
                approval.ended = None;
            } else if approval.ended.is_none() {
                let (version, by) = (event.articleversion, Arc::clone(&event.actor));
                approval.ended = Some(ApprovalEnd { version, by, words_changed: there });
            }
        }
    }

    fn publish(&mut self, then: Option<&Article>, now: &Article, event: &Event, seq: Seq) {
        let record = now.last_edition().filter(|edition| edition.version == event.articleversion);
        let (Some(record), Some(edition)) = (record, Edition::of(now)) else { return };
        let gate = match (&event.data, then) {
            (Data::Published(data), Some(then)) => {
                let proof = &data.proof;
                let approvals =
                    self.approvals.iter_mut().filter(|approval| proof.approvals.contains(&approval.version));
                let approvals = approvals.map(|approval| {
                    approval.editions.push(record.number);
                    (Arc::clone(&approval.by), approval.version)
                });
                let approvals = approvals.collect();
                for waiver in &mut self.waivers {
                    let lifts =
                        |reason: &Reason| waiver.waiver.reasons.iter().any(|named| named.names(reason));
                    if waiver.waiver.revision == record.revision && proof.waived.iter().any(lifts) {
                        waiver.editions.push(record.number);
                    }
                }
                let live = then.claims.values().filter(|claim| claim.is_live());
                Some(GateProof {
                    version: proof.version,
                    newsroom: proof.newsroom,
                    approvals,
                    waived: proof.waived.clone(),
                    verdicts: proof.verdicts,
                    verdicts_hold: Some(verdicts_digest(then) == proof.verdicts),
                    claims: live
                        .map(|claim| (claim.id, claim.ruling.as_ref().map(|ruling| ruling.verdict)))
                        .collect(),
                })
            }
            _ => None,
        };
        self.editions.push(EditionLife {
            number: record.number,
            kind: record.kind,
            version: record.version,
            revision: record.revision,
            time: record.time,
            by: Arc::clone(&event.actor),
            actorkind: event.actorkind,
            seq,
            event: event.id,
            note: record.note.clone(),
            headline: edition.fields.headline.clone(),
            machine_written: edition.machine_written,
            digest: event.editiondigest,
            digest_holds: Some(event.editiondigest == Some(edition.digest())),
            words: record.words,
            gate,
        });
    }
}

/// What an event made of a claim whose state it left as it was.
fn noted(was: &Claim, is: &Claim) -> ClaimActKind {
    let ruling = |claim: &Claim| claim.found_false.map(|noted| noted.ruling);
    match (ruling(was), ruling(is)) {
        (before, Some(now)) if before != Some(now) => ClaimActKind::False,
        (Some(_), None) if was.sentence == is.sentence && was.place == is.place => ClaimActKind::Cleared,
        _ => ClaimActKind::Followed,
    }
}

/// What an event made of a claim, if anything.
fn claim_act(was: Option<&Arc<Claim>>, is: &Arc<Claim>, event: &Event) -> Option<ClaimAct> {
    // One look at the pointer, where the event left the claim alone.
    if was == Some(is) {
        return None;
    }
    let ruling = |claim: &Claim| claim.ruling.as_ref().map(|ruling| ruling.version);
    let act = match was {
        None => ClaimActKind::Raised,
        Some(_) if ruling(is) == Some(event.articleversion) => ClaimActKind::Ruled,
        Some(was) if was.evidence.len() < is.evidence.len() => ClaimActKind::Cited,
        Some(was) => match (was.state, is.state) {
            _ if ruling(was) != ruling(is) => ClaimActKind::Back,
            (before, after) if before == after => noted(was, is),
            (_, ClaimState::Stale) => ClaimActKind::Stale,
            (_, ClaimState::Gone) => ClaimActKind::Gone,
            (_, ClaimState::Dropped) => ClaimActKind::Dropped,
            (_, ClaimState::Ruled | ClaimState::Unruled) => ClaimActKind::Back,
        },
    };
    let note = match act {
        ClaimActKind::Ruled => is.ruling.as_ref().and_then(|ruling| ruling.note.clone()),
        ClaimActKind::Dropped => is.dropped.clone(),
        _ => None,
    };
    Some(ClaimAct {
        version: event.articleversion,
        time: event.time,
        by: Arc::clone(&event.actor),
        act,
        state: is.state,
        verdict: is.ruling.as_ref().map(|ruling| ruling.verdict),
        sentence: is.sentence.clone(),
        note,
    })
}
