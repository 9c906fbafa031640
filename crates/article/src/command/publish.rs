//! `publish`: an edition goes out, now or at a time, where nothing stands between the text and its readers
//! (promise 6). What is set for a time is carried out by the [`clock`](super::clock).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::read::SentTime;
use super::{Case, Context, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken, EditionKind, EditionRecord, Status};
use crate::bound;
use crate::claims::Claim;
use crate::edition::{canonical_hash, home_of, words_digest};
use crate::event::{Event, Hash, OnWire, Said, Time};
use crate::gate::gate;
use crate::json::Node;
use crate::limits;
use crate::newsroom::Role;
use crate::problem::{Code, Problem};
use crate::proof::named_in_proof;
use crate::words::Words;
use crate::workflow::Schedule;

/// The data of `publish`.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    at: Option<Time>,
    kind: Option<SentKind>,
    note: Option<Words>,
}

/// `publish` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentPublish {
    /// When; now, if it isn't there.
    at: Option<SentTime>,
    /// First, update, correction or reinstatement; by default what the status asks for.
    kind: Option<SentKind>,
    /// What readers are told; required for a correction and a reinstatement.
    note: Option<String>,
}

/// The kinds that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SentKind {
    First,
    Update,
    Correction,
    Reinstatement,
}

/// An edition went out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// What the answer said.
    pub answer: Said,
    /// The edition's number.
    pub edition: u32,
    /// What it is.
    pub kind: EditionKind,
    /// What readers are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
    /// The article's wire subject, for life.
    pub home: Arc<str>,
    /// Digest of the words and fields that went out, as for approvals.
    pub words: Hash,
    /// That the gate was open.
    pub proof: Proof,
}

/// An hour was set for an edition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scheduled {
    /// What the answer said.
    pub answer: Said,
    /// The hour.
    pub at: Time,
    /// What it will be.
    pub kind: EditionKind,
    /// What readers will be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
}

/// That the gate was open on the version that the publication was decided on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The article's version before this event.
    pub version: u32,
    /// SHA-256 of the RFC 8785 form of every live claim's id, quote, sentence, state and verdict.
    pub verdicts: Hash,
    /// The approvals on these words: the versions that gave them.
    pub approvals: Vec<u32>,
    /// Reasons that a chief waived for this revision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waived: Vec<crate::gate::Reason>,
    /// The version of the newsroom line.
    pub newsroom: u32,
}

impl Decide for Publish {
    type Shape = SentPublish;
    const RIGHT: Right = Right { roles: &[Role::Publisher], machine: false };
    const NEEDS_BASE: bool = true;

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentPublish = shape::object(data)?;
        let note = match sent.note {
            Some(note) if !crate::text::is_blank(&note) => Some(shape::reader_note("/data/note", &note)?),
            _ => None,
        };
        if note.is_none() && matches!(sent.kind, Some(SentKind::Correction | SentKind::Reinstatement)) {
            return Err(note_required());
        }
        Ok(Self { at: sent.at.map(|SentTime(at)| at), kind: sent.kind, note })
    }

    fn turns_on_time(&self, article: Option<&Article>) -> bool {
        self.at.is_some() || article.is_some_and(|article| article.embargo.is_some())
    }

    fn allowed(&self, case: &Case<'_>) -> Result<(), Problem> {
        case.not_spiked()?;
        self.kind(case.article).map(|_| ())
    }

    fn past(&self, article: &Article, base: u32) -> Vec<u32> {
        if base < article.revision { vec![base] } else { Vec::new() }
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let article = case.article;
        case.words_unchanged()?;
        let kind = self.kind(article)?;
        if kind == EditionKind::Reinstatement && self.note.is_none() {
            return Err(note_required());
        }
        if is_before_readers(article) {
            return Err(Problem::new(Code::NothingNew, "these words are before readers already"));
        }
        let now = case.context.now;
        if self.at.is_some_and(|at| at <= now) {
            return Err(Problem::invalid("/data/at", "/data/at has passed: leave it out to publish now"));
        }
        if let (Some(at), Some(until)) = (self.at, article.embargo)
            && at < until
        {
            let detail = "the hour lies before the end of the embargo: set a later one, or lift the embargo";
            return Err(Problem::new(Code::Embargoed, detail));
        }
        let gate = gate(article, case.context.newsroom, self.at.unwrap_or(now));
        if !gate.open {
            let detail = match gate.reasons.len() {
                1 => "one thing stands between this text and its readers: see \"reasons\"".to_owned(),
                n => format!("{n} things stand between this text and its readers: see \"reasons\""),
            };
            return Err(Problem { reasons: gate.reasons, ..Problem::new(Code::GateShut, detail) });
        }
        let edition = Edition { kind, note: self.note.clone() };
        let Some(at) = self.at else { return out(article, case.context, &edition) };
        room(article, &edition.record(article, case.context))?;
        let data = Scheduled { answer: Said::default(), at, kind, note: self.note.clone() };
        Ok(Data::Scheduled(Box::new(data)).into())
    }
}

/// What is to go out beside the words.
pub(super) struct Edition {
    pub kind: EditionKind,
    pub note: Option<Words>,
}

impl Edition {
    fn record(&self, article: &Article, context: &Context<'_>) -> EditionRecord {
        EditionRecord {
            number: article.next_edition(),
            kind: self.kind,
            version: article.version + 1,
            revision: article.revision,
            time: context.now.max(article.updated),
            words: words_digest(article),
            note: self.note.clone(),
        }
    }
}

/// Whether readers have these very words already.
pub(super) fn is_before_readers(article: &Article) -> bool {
    article.is_out() && article.last_edition().is_some_and(|edition| edition.words == words_digest(article))
}

fn room(article: &Article, record: &EditionRecord) -> Result<(), Problem> {
    notes_fit(article, record.note.as_ref())?;
    bound::would_fit(article, record)
}

/// The publication, of an article whose gate is open.
pub(super) fn out(article: &Article, context: &Context<'_>, edition: &Edition) -> Result<Outcome, Problem> {
    let record = edition.record(article, context);
    room(article, &record)?;
    let words = record.words;
    let approvals = article.approvals.iter().filter(|approval| approval.digest == words);
    let proof = Proof {
        version: article.version,
        verdicts: verdicts_digest(article),
        approvals: approvals.map(|approval| approval.version).collect(),
        waived: named_in_proof(gate(article, context.newsroom, context.now).waived),
        newsroom: context.newsroom.version,
    };
    let data = Published {
        answer: Said::default(),
        edition: record.number,
        kind: edition.kind,
        note: edition.note.clone(),
        home: article.home.clone().unwrap_or_else(|| home_of(article.section().unwrap_or_default())),
        words,
        proof,
    };
    let mut outcome = Outcome::from(Data::Published(Box::new(data)));
    outcome.edition = Some((record, OnWire::Edition));
    Ok(outcome)
}

impl Publish {
    /// What the publication is, where the status allows it.
    fn kind(&self, article: &Article) -> Result<EditionKind, Problem> {
        let wrong = |detail: &str| Err(Problem::new(Code::WrongStatus, detail));
        if article.schedule.is_some() {
            return wrong("the article is scheduled: unschedule it first");
        }
        match (article.status(), self.kind) {
            (Status::Unpublished, None | Some(SentKind::First)) => Ok(EditionKind::First),
            (Status::Unpublished, Some(_)) => wrong("the article was never out: publish a first edition"),
            (Status::Published, None | Some(SentKind::Update)) => Ok(EditionKind::Update),
            (Status::Published, Some(SentKind::Correction)) => Ok(EditionKind::Correction),
            (Status::Published, Some(_)) => wrong("the article is out: publish an update or a correction"),
            (Status::Withdrawn, None | Some(SentKind::Reinstatement)) => Ok(EditionKind::Reinstatement),
            (Status::Withdrawn, Some(_)) => {
                wrong("the article was withdrawn: only a reinstatement leads back")
            }
            (Status::Scheduled, _) => wrong("the article is scheduled: unschedule it first"),
        }
    }
}

fn note_required() -> Problem {
    Problem::invalid("/data/note", "/data/note is required: what readers are told")
}

/// That the article's notes to readers leave room for those of a withdrawal.
fn notes_fit(article: &Article, note: Option<&Words>) -> Result<(), Problem> {
    let notes = article.editions.iter().filter_map(|edition| edition.note.as_ref()).chain(note);
    if notes.map(|note| note.len()).sum::<usize>() > limits::NOTES_BYTES - limits::NOTE_BYTES {
        let detail =
            format!("the article's notes to readers would take more than {} bytes", limits::NOTES_BYTES);
        return Err(Problem::too_large("notes", detail));
    }
    Ok(())
}

/// Digest of the verdicts that stand behind an edition.
pub fn verdicts_digest(article: &Article) -> Hash {
    let live = article.claims.values().filter(|claim| claim.is_live());
    let one = |claim: &Arc<Claim>| {
        json!({
            "claim": claim.id,
            "quote": claim.quote,
            "sentence": claim.sentence,
            "state": claim.state,
            "verdict": claim.ruling.as_ref().map(|ruling| ruling.verdict),
        })
    };
    canonical_hash(&live.map(one).collect())
}

impl Scheduled {
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        article.schedule = Some(Schedule {
            at: self.at,
            by: Arc::clone(&event.actor),
            kind: self.kind,
            note: self.note.clone(),
            event: event.id,
        });
        article.held = None;
        Ok(())
    }
}

impl Published {
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        article.home.get_or_insert_with(|| self.home.clone());
        article.writers.clear();
        article.schedule = None;
        article.held = None;
        article.record(EditionRecord {
            number: self.edition,
            kind: self.kind,
            version: event.articleversion,
            revision: event.revision,
            time: event.time,
            words: self.words,
            note: self.note.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{Desk, replace};
    use crate::article::{EditionKind, Status};
    use crate::edition::Edition;
    use crate::event::OnWire;
    use crate::problem::Code;

    fn publish(data: Value) -> Value {
        json!({"type": "publish", "data": data})
    }

    #[test]
    fn every_status_takes_its_kinds_of_publication() {
        let note = "What readers are told.";
        let unpublished = || {
            let mut desk = Desk::drafted(&["One."]);
            desk.approved();
            desk
        };
        let published = || {
            let mut desk = Desk::published(&["One."]);
            desk.ops("ana", json!([replace("b1", "Two.")]));
            desk.approved();
            desk
        };
        let withdrawn = || {
            let mut desk = Desk::published(&["One."]);
            desk.given("pia", json!({"type": "withdraw", "data": {"notice": "Gone."}}));
            desk
        };
        let states: [(&dyn Fn() -> Desk, &str); 3] =
            [(&unpublished, "first"), (&published, "update"), (&withdrawn, "reinstatement")];
        for (state, default) in states {
            for kind in ["first", "update", "correction", "reinstatement"] {
                let code = state().try_when("pia", publish(json!({"kind": kind, "note": note}))).err();
                let allowed = kind == default || (default == "update" && kind == "correction");
                let expected = if allowed { None } else { Some(Code::WrongStatus) };
                assert_eq!(code.map(|problem| problem.code), expected, "{kind} where {default} is right");
            }
            let mut desk = state();
            desk.given("pia", publish(json!({"note": note})));
            assert_eq!(desk.state().last_edition().unwrap().kind.name(), default);
            assert_eq!(desk.state().status(), Status::Published);
        }
    }

    #[test]
    fn a_correction_and_a_reinstatement_tell_readers_why() {
        let mut desk = Desk::published(&["One."]);
        desk.ops("ana", json!([replace("b1", "Two.")]));
        desk.approved();
        for note in [json!(null), json!(" \u{200b}")] {
            let problem =
                desk.refused("pia", publish(json!({"kind": "correction", "note": note})), Code::Invalid);
            assert_eq!(problem.field.as_deref(), Some("/data/note"));
        }
        desk.given("pia", json!({"type": "withdraw", "data": {"notice": "Gone."}}));
        assert_eq!(
            desk.refused("pia", publish(json!({})), Code::Invalid).field.as_deref(),
            Some("/data/note")
        );
    }

    #[test]
    fn a_note_to_readers_has_a_limit() {
        let most = crate::limits::NOTE_BYTES;
        let mut desk = Desk::published(&["One."]);
        desk.ops("ana", json!([replace("b1", "Two.")]));
        desk.approved();
        let long = |n: usize| publish(json!({"kind": "correction", "note": "x".repeat(n)}));
        assert_eq!(desk.refused("pia", long(most + 1), Code::TooLarge).limit.as_deref(), Some("note"));
        desk.given("pia", long(most));
        let notice = |n: usize| json!({"type": "withdraw", "data": {"notice": "x".repeat(n)}});
        assert_eq!(desk.refused("pia", notice(most + 1), Code::TooLarge).limit.as_deref(), Some("note"));
        desk.given("pia", notice(most));
    }

    #[test]
    fn a_withdrawal_always_has_room_for_its_notice() {
        let mut desk = Desk::published(&["One."]);
        let note = "x".repeat(crate::limits::NOTE_BYTES);
        let mut full = None;
        for _ in 0..40 {
            desk.given("pia", json!({"type": "withdraw", "data": {"notice": note}}));
            match desk.try_when("pia", publish(json!({"note": note}))) {
                Ok(_) => _ = desk.given("pia", publish(json!({"note": note}))),
                Err(problem) => {
                    full = Some(problem);
                    break;
                }
            }
        }
        assert_eq!(full.unwrap().limit.as_deref(), Some("notes"));
        let later = publish(json!({"at": desk.now + chrono::TimeDelta::hours(1), "note": note}));
        assert_eq!(desk.refused("pia", later, Code::TooLarge).limit.as_deref(), Some("notes"));
    }

    #[test]
    fn a_shut_gate_lists_every_reason() {
        let mut desk = Desk::new();
        let image = json!({"uri": "https://x.test/a.jpg"});
        let data = json!({"slug": "s", "language": "en", "image": image, "blocks": [
            {"kind": "paragraph", "text": "He won."}, {"kind": "image", "uri": "https://x.test/b.jpg", "alt": "B"}]});
        desk.given("bot", json!({"type": "draft", "data": data}));
        desk.claim("He won");
        desk.given("chen", json!({"type": "ask", "data": {"text": "Sure?", "field": "headline"}}));
        desk.newsroom.set.rules.required = vec![crate::fields::FieldName::Byline];
        let problem = desk.refused("pia", publish(json!({})), Code::GateShut);
        let reasons = serde_json::to_value(&problem.reasons).unwrap();
        let named: Vec<(String, Value)> = reasons
            .as_array()
            .unwrap()
            .iter()
            .map(|reason| {
                let names = ["field", "block", "claim", "query"].map(|name| reason[name].clone());
                (reason["code"].as_str().unwrap().to_owned(), json!(names))
            })
            .collect();
        let expected = [
            ("missing_field", json!(["headline", null, null, null])),
            ("missing_field", json!(["byline", null, null, null])),
            ("missing_field", json!(["section", null, null, null])),
            ("image_incomplete", json!(["image", null, null, null])),
            ("image_incomplete", json!([null, "b2", null, null])),
            ("not_approved", json!([null, null, null, null])),
            ("machine_unreviewed", json!([null, null, null, null])),
            ("claim_unruled", json!([null, "b1", "c1", null])),
            ("query_open", json!(["headline", null, null, "q1"])),
        ];
        assert_eq!(named, expected.map(|(code, names)| (code.to_owned(), names)));
    }

    #[test]
    fn blank_or_overlong_fields_and_an_empty_body_shut_the_gate() {
        let mut desk = Desk::drafted(&[]);
        assert_eq!(desk.gate(), ["missing_field", "not_approved"]);
        let set = |headline: &str| json!({"type": "edit", "data": {"set": {"headline": headline}}});
        desk.given("ana", set("\u{200b}\u{a0}"));
        assert_eq!(desk.gate()[..2], ["missing_field", "missing_field"]);
        desk.given("ana", set(&"é".repeat(120)));
        assert_eq!(desk.gate(), ["missing_field", "not_approved"]);
        desk.given("ana", set(&"é".repeat(121)));
        assert!(desk.gate().contains(&"too_long"));
    }

    #[test]
    fn what_ought_to_be_claimed_holds_the_gate_where_the_rules_say_so() {
        let mut desk = Desk::drafted(&["He won 12 votes. It was cold. She said “never again”."]);
        desk.newsroom.set.rules.coverage = crate::newsroom::Coverage::Hold;
        assert_eq!(desk.gate().iter().filter(|code| **code == "unclaimed").count(), 2);
        desk.claim("12 votes");
        desk.rule("c1", "supported");
        desk.claim("never again");
        desk.rule("c2", "supported");
        assert!(!desk.gate().contains(&"unclaimed"));
    }

    #[test]
    fn what_is_out_is_not_published_again() {
        let mut desk = Desk::published(&["One."]);
        desk.refused("pia", publish(json!({})), Code::NothingNew);
        desk.refused("pia", publish(json!({"kind": "correction", "note": "N."})), Code::NothingNew);
    }

    #[test]
    fn a_publication_carries_its_proof_and_digest() {
        let mut desk = Desk::ruled(&["He won."], "He won", "supported");
        desk.approved();
        let event = desk.given("pia", publish(json!({}))).clone();
        assert_eq!((event.wire, event.revision), (Some(OnWire::Edition), 1));
        assert_eq!(event.data.said().edition, Some(1));
        let edition = Edition::of(desk.state()).unwrap();
        assert_eq!(event.editiondigest, Some(edition.digest()));
        assert_eq!((&*edition.home, edition.number, edition.kind), ("world", 1, EditionKind::First));
        let data = serde_json::to_value(&event).unwrap()["data"].clone();
        assert_eq!(data["proof"]["version"], json!(event.articleversion - 1));
        assert_eq!(data["proof"]["approvals"], json!([5]));
    }

    #[test]
    fn the_home_is_the_section_of_the_first_edition_for_life() {
        let mut desk = Desk::published(&["One."]);
        desk.given("ana", json!({"type": "edit", "data": {"set": {"section": "sport/ski"}}}));
        desk.approved();
        desk.given("pia", publish(json!({})));
        let edition = Edition::of(desk.state()).unwrap();
        assert_eq!((&*edition.home, edition.fields.section.as_deref()), ("world", Some("sport/ski")));
    }

    #[test]
    fn a_withdrawal_shows_its_notice_and_nothing_else() {
        let mut desk = Desk::published(&["One."]);
        desk.ops("ana", json!([replace("b1", "Half-made.")]));
        let event =
            desk.given("pia", json!({"type": "withdraw", "data": {"notice": "It was *wrong*."}})).clone();
        assert_eq!((event.wire, event.data.said().edition), (Some(OnWire::Withdrawal), Some(2)));
        let shown = serde_json::to_value(Edition::of(desk.state()).unwrap().public_form()).unwrap();
        assert_eq!((&shown["fields"], &shown["blocks"]), (&json!({}), &json!([])));
        assert_eq!(desk.state().status(), Status::Withdrawn);
        desk.refused("pia", json!({"type": "withdraw", "data": {"notice": "Again."}}), Code::WrongStatus);
        let blank = json!({"type": "withdraw", "data": {"notice": " "}});
        assert_eq!(
            Desk::published(&["One."]).refused("pia", blank, Code::Invalid).field.as_deref(),
            Some("/data/notice")
        );
    }

    #[test]
    fn a_publication_of_words_not_seen_is_refused() {
        let mut desk = Desk::drafted(&["One."]);
        desk.ops("ana", json!([replace("b1", "Two.")]));
        desk.approved();
        desk.refused("pia", json!({"type": "publish", "base": 1}), Code::Conflict);
    }

    #[test]
    fn an_edition_may_be_set_for_the_very_end_of_the_embargo() {
        const NOON: &str = "2026-01-31T12:00:00Z";
        let mut desk = Desk::drafted(&["One."]);
        desk.approved();
        desk.given("eva", json!({"type": "embargo", "data": {"until": NOON}}));
        desk.refused("pia", publish(json!({"at": "2026-01-31T11:59:59Z"})), Code::Embargoed);
        desk.given("pia", publish(json!({"at": NOON})));
    }

    #[test]
    fn a_proof_names_the_approvals_of_these_words_alone() {
        let mut desk = Desk::drafted(&["One."]);
        desk.approved();
        desk.ops("ana", json!([replace("b1", "Two.")]));
        let version = desk.given("emil", json!({"type": "approve"})).articleversion;
        let event = serde_json::to_value(desk.given("pia", publish(json!({})))).unwrap();
        assert_eq!(event["data"]["proof"]["approvals"], json!([version]));
    }
}
