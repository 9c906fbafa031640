//! An article's whole record, for a standards editor or a lawyer: each event as a step with what it changed, and what
//! became of each claim, approval, waiver and edition.
//!
//! It is folded afresh from the article's stored bytes by the core's own `evolve`; nothing in it comes from sled. What
//! an edition's event says of itself (the digest of its public text, the digest of the verdicts, the approvals) is
//! worked out again on the way and compared. Confidential evidence stands in it as in every other view.
//!
//! Each block and field comes with the step that changed it and with no other, so a record is no longer than a few
//! times the events that it is made of, however many steps a long article has.

mod changes;
mod lives;

use std::collections::BTreeMap;
use std::sync::Arc;

use copydesk_article::article::{Article, Stage, Status};
use copydesk_article::event::{self, Event, Hash, Hex, Read, Time};
use copydesk_article::gate::{Reason, gate};
use copydesk_article::ids::ClaimId;
use copydesk_article::newsroom::{ActorKind, Newsroom, Person};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::ArticleView;
use super::said::{Act, said};
use crate::log::{Content, Entry, Seq};

pub use changes::{BlockPieces, Changes, FieldPieces, Part, Piece, Splice};
pub use lives::{
    ApprovalEnd, ApprovalLife, ClaimAct, ClaimActKind, ClaimLife, EditionLife, GateProof, WaiverLife,
};

/// What a record is made of.
pub struct Sources<'a> {
    /// The article's entries, oldest first.
    pub entries: &'a [Entry],
    /// The newsroom line's.
    pub newsroom: &'a [Entry],
    /// Proofs that events are in the log's tree, by seq: leaf index, tree size, inclusion path, whatever there is.
    pub proofs: &'a BTreeMap<Seq, Value>,
    /// What stands in the place of events of which words were erased by law.
    pub instead: &'a BTreeMap<Seq, Entry>,
    /// Where the last event stands that says so, after these entries too.
    pub redacted: Option<Seq>,
    /// The signed checkpoint that those lead to.
    pub checkpoint: Option<&'a str>,
}

/// For whom a record is made, when, and up to where.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Made {
    /// When.
    pub at: Time,
    /// For whom.
    pub by: Arc<str>,
    /// Where the log was folded to then.
    pub log: Seq,
    /// The moment up to which, as it was asked for; none: the whole life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The program's version.
    pub version: &'static str,
}

/// The whole record of an article.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The article.
    pub article: Uuid,
    /// For whom it was made, and when.
    pub made: Made,
    /// Everyone who had a hand in it, as the newsroom had them at their last act.
    pub people: BTreeMap<Arc<str>, PersonView>,
    /// The article after the last step: under the rules in force, or where it was asked up to a moment under those of then.
    pub state: ArticleView,
    /// Its words after the last step, each with its writer.
    pub words: Changes,
    /// How many characters of them each writer wrote.
    pub shares: BTreeMap<Arc<str>, usize>,
    /// Every event that could be folded, oldest first.
    pub steps: Vec<Step>,
    /// Claims, and what became of each.
    pub claims: Vec<ClaimLife>,
    /// Approvals, the ended ones too.
    pub approvals: Vec<ApprovalLife>,
    /// Waivers, of whatever revision.
    pub waivers: Vec<WaiverLife>,
    /// Editions and withdrawals.
    pub editions: Vec<EditionLife>,
    /// Events after the last step that can't be folded, and why; then what is above is not the whole life.
    pub unread: Vec<Unread>,
    /// The signed checkpoint that the proofs lead to.
    pub checkpoint: Option<String>,
}

/// Someone who had a hand in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PersonView {
    /// What they are.
    pub actorkind: ActorKind,
    /// Their name and roles; none for who is in no newsroom line, as the desk itself.
    #[serde(flatten)]
    pub person: Option<Person>,
}

/// One event: who did what when, what it changed, and how the article stood after it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Where and what its stored bytes are.
    #[serde(flatten)]
    pub stored: StoredBytes,
    /// The event's id.
    pub event: Uuid,
    /// The event's full type.
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    /// What sort of act.
    pub act: Act,
    /// What was done, as it goes on after a name.
    pub what: String,
    /// What somebody wrote with it.
    pub quoted: Option<String>,
    /// When.
    pub time: Time,
    /// Who.
    pub actor: Arc<str>,
    /// What they are.
    pub actorkind: ActorKind,
    /// How many events the article has with it.
    pub version: u32,
    /// The revision after it.
    pub revision: u32,
    /// The newsroom line's version that it was decided under.
    pub newsroom: u32,
    /// The stage after it.
    pub stage: Stage,
    /// The status after it.
    pub status: Status,
    /// The number of the edition or withdrawal it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edition: Option<u32>,
    /// What stood between the text and its readers after it, at its time.
    pub reasons: Vec<Reason>,
    /// What would have, had it not been waived.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waived: Vec<Reason>,
    /// What it changed of the words.
    #[serde(flatten)]
    pub changes: Changes,
    /// The claims that it touched, as they stood after it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimId>,
    /// The proof that it is in the log's tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Value>,
}

/// Where and what an event's stored bytes are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredBytes {
    /// Their position in the log.
    pub seq: Seq,
    /// SHA-256 of them; none where they were erased and it isn't known.
    pub sha256: Option<Hash>,
    /// How many there are; none where they were erased.
    pub bytes: Option<usize>,
}

/// An event that can't be folded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unread {
    /// Where and what its stored bytes are.
    #[serde(flatten)]
    pub stored: StoredBytes,
    /// Why not, in words without the event's own.
    pub why: String,
}

/// The record of an article up to the last of these entries; none where nothing of it can be folded.
pub fn report(made: Made, sources: &Sources<'_>) -> Option<Report> {
    let newsrooms = newsrooms(sources.newsroom);
    let mut fold = Fold::default();
    let mut unread: Vec<Unread> = Vec::new();
    for entry in sources.entries {
        let Some(stored) = stored(entry) else { continue };
        let entry = sources.instead.get(&entry.seq).unwrap_or(entry);
        if let Some(first) = unread.first() {
            let why = format!("it follows the event at {}, which can't be folded", first.stored.seq);
            unread.push(Unread { stored, why });
            continue;
        }
        match fold.take(entry, stored.clone(), &newsrooms, sources.proofs) {
            Ok(()) => {}
            Err(why) => unread.push(Unread { stored, why }),
        }
    }
    if let Some(redaction) = sources.redacted {
        for edition in fold.lives.editions.iter_mut().filter(|edition| edition.seq < redaction) {
            edition.digest_holds = None;
            if let Some(gate) = &mut edition.gate {
                gate.verdicts_hold = None;
            }
        }
    }
    let now = fold.now?;
    let (newsroom, judged) = match made.until.is_some() {
        true => (newsrooms.get(&fold.decided_under), now.updated),
        false => (newsrooms.values().last(), made.at),
    };
    let state = super::article(&now, &newsroom.cloned().unwrap_or_default(), judged);
    let people = fold.people.into_iter().map(|(name, (actorkind, under))| {
        let person = newsrooms.get(&under).and_then(|newsroom| newsroom.person(&name)).cloned();
        (name, PersonView { actorkind, person })
    });
    let claims = state.claims.iter().cloned();
    Some(Report {
        article: now.id,
        made,
        people: people.collect(),
        words: changes::standing(&now),
        shares: changes::shares(&now),
        steps: fold.steps,
        claims: fold.lives.claims(claims),
        approvals: fold.lives.approvals,
        waivers: fold.lives.waivers,
        editions: fold.lives.editions,
        unread,
        checkpoint: sources.checkpoint.map(str::to_owned),
        state,
    })
}

/// The newsroom line as it stood at each of its versions.
fn newsrooms(line: &[Entry]) -> BTreeMap<u32, Newsroom> {
    let mut all = BTreeMap::new();
    let mut now = Newsroom::default();
    for entry in line {
        let Content::Message { body, .. } = &entry.content else { continue };
        let Read::Newsroom(event) = event::read(&entry.subject, body) else { continue };
        if let Ok(next) = now.evolve(&event) {
            all.insert(next.version, next.clone());
            now = next;
        }
    }
    all
}

/// Where and what the stored bytes are; none for what is foreign to us.
fn stored(entry: &Entry) -> Option<StoredBytes> {
    let seq = entry.seq;
    match &entry.content {
        Content::Message { body, .. } => match event::read(&entry.subject, body) {
            Read::Foreign | Read::Newsroom(_) => None,
            Read::Event(_) | Read::NotUnderstood { .. } => {
                let sha256 = Some(Hex(Sha256::digest(body).into()));
                Some(StoredBytes { seq, sha256, bytes: Some(body.len()) })
            }
        },
        Content::Erased { sha256 } => Some(StoredBytes { seq, sha256: sha256.map(Hex), bytes: None }),
    }
}

/// The article so far.
#[derive(Default)]
struct Fold {
    now: Option<Article>,
    decided_under: u32,
    people: BTreeMap<Arc<str>, (ActorKind, u32)>,
    steps: Vec<Step>,
    lives: lives::Lives,
}

impl Fold {
    /// Folds one more entry.
    ///
    /// # Errors
    /// Why it can't be folded.
    fn take(
        &mut self,
        entry: &Entry,
        stored: StoredBytes,
        newsrooms: &BTreeMap<u32, Newsroom>,
        proofs: &BTreeMap<Seq, Value>,
    ) -> Result<(), String> {
        let Content::Message { body, .. } = &entry.content else {
            return Err("its bytes were erased".to_owned());
        };
        let event = match event::read(&entry.subject, body) {
            Read::Event(event) => event,
            Read::NotUnderstood { frozen, why } => {
                return Err(format!("this build doesn't understand it ({}): {why}", frozen.kind));
            }
            Read::Newsroom(_) | Read::Foreign => return Err("it is no event of an article".to_owned()),
        };
        let then = self.now.take();
        let now = match Article::evolve(then.as_ref(), &event) {
            Ok(now) => now,
            Err(broken) => {
                self.now = then;
                return Err(broken.to_string());
            }
        };
        let newsroom = newsrooms.get(&event.deskversion).cloned().unwrap_or_default();
        self.step(then.as_ref(), &now, &event, (stored, &newsroom, proofs.get(&entry.seq)));
        self.decided_under = event.deskversion;
        self.people.insert(Arc::clone(&event.actor), (event.actorkind, event.deskversion));
        self.now = Some(now);
        Ok(())
    }

    fn step(
        &mut self,
        then: Option<&Article>,
        now: &Article,
        event: &Event,
        (stored, newsroom, proof): (StoredBytes, &Newsroom, Option<&Value>),
    ) {
        let said = said(event);
        let gate = gate(now, newsroom, event.time);
        let touched = self.lives.take(then, now, event, stored.seq);
        let number = now.last_edition().filter(|edition| edition.version == event.articleversion);
        self.steps.push(Step {
            event: event.id,
            kind: Arc::clone(&event.kind),
            act: said.act,
            what: said.what,
            quoted: said.quoted,
            time: event.time,
            actor: Arc::clone(&event.actor),
            actorkind: event.actorkind,
            version: event.articleversion,
            revision: event.revision,
            newsroom: event.deskversion,
            stage: now.stage(&newsroom.rules_for(now.section())),
            status: now.status(),
            edition: number.map(|edition| edition.number),
            reasons: gate.reasons,
            waived: gate.waived,
            changes: changes::between(then, now),
            claims: touched,
            proof: proof.cloned(),
            stored,
        });
    }
}

#[cfg(test)]
mod tests;
