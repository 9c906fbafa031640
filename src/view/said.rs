//! What an event did, in words for people: `ruled c4 inaccurate`, after the name of who did it.
//!
//! The few words name ids, fields and people only; what somebody wrote (a reason, a note, a question) is apart, so
//! that whoever shows it can set it off.

use copydesk_article::change::{BlockOp, Change};
use copydesk_article::command::Data;
use copydesk_article::event::{Event, Time};
use copydesk_article::gate::Reason;
use copydesk_article::workflow::WaivedReason;
use serde::Serialize;

/// So many blocks are named one by one.
const NAMED: usize = 4;

/// What sort of act an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Words or metadata came, changed or went.
    Words,
    /// A claim, its evidence, its verdict.
    Checks,
    /// A question, its answer.
    Queries,
    /// Review, approval, waiver.
    Review,
    /// Who works on it, who sees it, whether it goes on.
    Desk,
    /// What readers get, or will.
    Readers,
}

/// What an event did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What sort of act.
    pub act: Act,
    /// What was done, as it goes on after a name.
    pub what: String,
    /// What somebody wrote with it.
    pub quoted: Option<String>,
}

/// What an event did, in words.
pub fn said(event: &Event) -> Said {
    let text = |words: &copydesk_article::words::Words| Some(words.as_str().to_owned());
    let note = |words: &Option<copydesk_article::words::Words>| words.as_ref().and_then(text);
    let (act, what, quoted) = match &event.data {
        Data::Drafted(_) => (Act::Words, "drafted the story".to_owned(), None),
        Data::Edited(data) => (Act::Words, changed(&data.change), None),
        Data::Restored(data) => (Act::Words, format!("brought back revision {}", data.from), None),
        Data::ClaimRaised(data) => (Act::Checks, format!("raised claim {}", data.claim), text(&data.quote)),
        Data::EvidenceCited(data) => match &data.evidence.sealed {
            Some(_) => (Act::Checks, format!("cited confidential evidence for {}", data.claim), None),
            None => (Act::Checks, format!("cited evidence for {}", data.claim), note(&data.evidence.title)),
        },
        Data::ClaimRuled(data) => {
            (Act::Checks, format!("ruled {} {}", data.claim, data.verdict.name()), note(&data.note))
        }
        Data::ClaimDropped(data) => {
            (Act::Checks, format!("dropped claim {}", data.claim), text(&data.reason))
        }
        Data::Asked(data) => {
            let holds = if data.blocking { ", which holds up publishing" } else { "" };
            (Act::Queries, format!("asked {}{holds}", data.query), text(&data.text))
        }
        Data::Answered(data) => (Act::Queries, format!("answered {}", data.query), text(&data.text)),
        Data::Submitted(_) => (Act::Review, "submitted it for review".to_owned(), None),
        Data::Returned(data) => (Act::Review, "returned it to its writers".to_owned(), text(&data.reason)),
        Data::Approved(data) => (Act::Review, "approved these words".to_owned(), note(&data.note)),
        Data::Waived(data) => {
            (Act::Review, format!("waived {}", joined(data.reasons.iter().map(waived))), text(&data.reason))
        }
        Data::Published(data) => {
            let what = format!("published edition {} ({})", data.edition, data.kind.name());
            (Act::Readers, what, note(&data.note))
        }
        Data::Scheduled(data) => {
            let what = format!("set {} for a publication ({})", moment(data.at), data.kind.name());
            (Act::Readers, what, note(&data.note))
        }
        Data::Unscheduled(data) => {
            (Act::Readers, format!("called off the publication of {}", moment(data.at)), None)
        }
        Data::Held(data) => {
            let reasons = joined(data.reasons.iter().map(held));
            (Act::Readers, format!("held back the publication of {}: {reasons}", moment(data.at)), None)
        }
        Data::Withdrawn(data) => {
            let good = if data.for_good { ", for good" } else { "" };
            (Act::Readers, format!("withdrew the story (number {}){good}", data.edition), text(&data.notice))
        }
        Data::RedactionProposed(data) => (
            Act::Desk,
            format!("proposed to erase words of {} events by law", data.events.len()),
            text(&data.ground),
        ),
        Data::Redacted(data) => (
            Act::Desk,
            format!(
                "confirmed what {} proposed: words of {} events were erased by law",
                data.proposed_by,
                data.events.len()
            ),
            text(&data.ground),
        ),
        Data::Assigned(data) => (Act::Desk, assigned(&data.assignment), None),
        Data::Embargoed(data) => match data.until {
            Some(until) => (Act::Desk, format!("put it under embargo until {}", moment(until)), None),
            None => (Act::Desk, "lifted the embargo".to_owned(), None),
        },
        Data::Restricted(data) => match &data.people {
            Some(people) => (Act::Desk, format!("let only {} see it", joined(people.iter())), None),
            None => (Act::Desk, "let everyone on staff see it".to_owned(), None),
        },
        Data::Spiked(data) => (Act::Desk, "spiked the story".to_owned(), note(&data.reason)),
        Data::Revived(_) => (Act::Desk, "revived the story".to_owned(), None),
    };
    Said { act, what, quoted }
}

/// What an edit did to which fields and blocks.
fn changed(change: &Change) -> String {
    let (mut touched, mut added, mut gone, mut moved) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    touched.extend(change.fields.0.keys().map(|name| format!("the {}", name.name())));
    for op in &change.blocks {
        match op {
            BlockOp::Insert { block, .. } => added.push(block.to_string()),
            BlockOp::Replace { block, .. } => touched.push(block.to_string()),
            BlockOp::Delete { block } => gone.push(block.to_string()),
            BlockOp::Move { block, .. } => moved.push(block.to_string()),
        }
    }
    let parts = [("edited", touched), ("added", added), ("took out", gone), ("moved", moved)];
    let parts = parts.into_iter().filter(|(_, blocks)| !blocks.is_empty());
    let parts: Vec<String> = parts.map(|(verb, blocks)| format!("{verb} {}", some(&blocks))).collect();
    if parts.is_empty() { "edited it".to_owned() } else { parts.join("; ") }
}

fn some(names: &[String]) -> String {
    match names.len().checked_sub(NAMED) {
        None | Some(0) => joined(names.iter()),
        Some(more) => format!("{} and {more} more", joined(names.iter().take(NAMED))),
    }
}

fn joined(names: impl Iterator<Item = impl ToString>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

fn waived(reason: &WaivedReason) -> String {
    let WaivedReason { code, claim, query, field, block } = reason;
    let of = [
        claim.map(|id| id.to_string()),
        query.map(|id| id.to_string()),
        field.clone(),
        block.map(|id| id.to_string()),
    ];
    [Some(code.name().to_owned())].into_iter().chain(of).flatten().collect::<Vec<_>>().join(" ")
}

fn held(reason: &Reason) -> String {
    waived(&WaivedReason::from(reason))
}

fn assigned(to: &copydesk_article::workflow::Assignment) -> String {
    let parts = [
        ("writers", joined(to.writers.iter())),
        ("editor", to.editor.as_deref().unwrap_or_default().to_owned()),
        ("checkers", joined(to.checkers.iter())),
        ("due", to.due.map(moment).unwrap_or_default()),
    ];
    let parts = parts.into_iter().filter(|(_, who)| !who.is_empty());
    let parts: Vec<String> = parts.map(|(what, who)| format!("{what} {who}")).collect();
    if parts.is_empty() {
        "assigned it to nobody".to_owned()
    } else {
        format!("assigned: {}", parts.join("; "))
    }
}

/// A time as people read it, in UTC, to the second.
fn moment(time: Time) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
