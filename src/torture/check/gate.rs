//! What must be settled before anything goes out: a model far simpler than the gate, for what the load does.
//!
//! Every block of the load is one sentence, so a verdict holds for exactly the words of its block. Where the model can't
//! be sure, it lets through: what it finds is wrong. It reads all words as they are after everything that was ever erased
//! of the article: what stood there before the erasure and what stood there after it are the same words to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use copydesk_article::article::Article;
use copydesk_article::event::Event;
use copydesk_article::newsroom::ActorKind;
use serde_json::Value;

use super::erased::hidden;
use super::words::Words;
use crate::torture::journal::Members;

/// A claim and how it was last ruled on each wording of its block.
#[derive(Debug, Default)]
struct Claim {
    block: String,
    quote: String,
    material: bool,
    dropped: bool,
    /// Its sentence went as a whole: it holds nothing until it is ruled on again.
    gone: bool,
    verdicts: BTreeMap<Arc<str>, String>,
}

/// What stands between an article and its readers.
#[derive(Debug, Default)]
pub(super) struct Model {
    claims: BTreeMap<String, Claim>,
    open_queries: BTreeMap<String, bool>,
    approved: Vec<Words>,
    /// What a chief lifted, by its code and the claim or query that it names, and for which revision.
    waived: (u32, BTreeSet<(String, String)>),
    embargo: Option<DateTime<Utc>>,
    spiked: bool,
}

fn time(value: &Value) -> Option<DateTime<Utc>> {
    value.as_str()?.parse().ok()
}

impl Model {
    /// Goes on by an event that somebody sent a command for, after which these words stand.
    pub(super) fn event(&mut self, command: Option<&Value>, event: &Event, words: &Words, erased: &[String]) {
        for claim in self.claims.values_mut() {
            claim.gone |= !words.blocks.get(&claim.block).is_some_and(|text| text.contains(&claim.quote));
        }
        let Some(command) = command else { return };
        let data = command.at("data");
        let created = || event.data.said().created.clone().unwrap_or_default();
        match command.text("type") {
            "claim" => {
                let claim = Claim {
                    block: data.text("block").to_owned(),
                    quote: hidden(data.text("quote"), erased),
                    material: data.at("material") != &Value::Bool(false),
                    ..Claim::default()
                };
                self.claims.insert(created(), claim);
            }
            "rule" => {
                if let Some(claim) = self.claims.get_mut(data.text("claim"))
                    && let Some(text) = words.blocks.get(&claim.block)
                {
                    claim.gone = false;
                    claim.verdicts.insert(Arc::clone(text), data.text("verdict").to_owned());
                }
            }
            "drop" => {
                if let Some(claim) = self.claims.get_mut(data.text("claim")) {
                    claim.dropped = true;
                }
            }
            "ask" => {
                self.open_queries.insert(created(), data.at("blocking") != &Value::Bool(false));
            }
            "answer" => drop(self.open_queries.remove(data.text("query"))),
            "approve" => self.approved.push(words.clone()),
            "waive" => {
                if self.waived.0 != event.revision {
                    self.waived = (event.revision, BTreeSet::new());
                }
                for reason in data.list("reasons") {
                    let about = [reason.text("claim"), reason.text("query")].concat();
                    self.waived.1.insert((reason.text("code").to_owned(), about));
                }
            }
            "return" => self.approved.clear(),
            "spike" => {
                self.approved.clear();
                self.spiked = true;
            }
            "revive" => self.spiked = false,
            "embargo" => self.embargo = time(data.at("until")),
            _ => {}
        }
    }

    /// Whether a judgement was given on the words that it holds for: what its sender had before them stands there still.
    /// Of a claim that is its sentence, wherever that stood.
    pub(super) fn seen(&self, command: &Value, base: &Words, words: &Words) -> bool {
        match command.text("type") {
            "submit" | "approve" | "waive" | "publish" => base == words,
            "rule" => {
                let Some(claim) = self.claims.get(command.at("data").text("claim")) else { return true };
                let text = words.blocks.get(&claim.block).filter(|text| text.contains(&claim.quote));
                text.is_none_or(|text| base.blocks.values().any(|was| was == text))
            }
            _ => true,
        }
    }

    /// What was in the way of an event that went out, or that set the hour for it.
    pub(super) fn faults(&self, event: &Event, before: Option<&Article>, words: &Words) -> Vec<String> {
        let kind = event.kind.rsplit('.').next().unwrap_or_default();
        if kind == "withdrawn" {
            return Vec::new();
        }
        let mut faults = Vec::new();
        let schedule = before.and_then(|article| article.schedule.as_ref());
        if event.actorkind == ActorKind::Desk {
            match schedule {
                Some(schedule) if schedule.at <= event.time => {}
                Some(schedule) => faults.push(format!("it went out before its hour, {}", schedule.at)),
                None => faults.push("it went out by the clock, and no hour was set".to_owned()),
            }
        }
        if kind != "scheduled" && self.embargo.is_some_and(|until| event.time < until) {
            faults.push(format!("it was under embargo until {:?}", self.embargo));
        }
        if self.spiked {
            faults.push("it was spiked".to_owned());
        }
        let is_waived = |codes: &[&str], about: &str| {
            let lifts = |code: &&str| self.waived.1.contains(&((*code).to_owned(), about.to_owned()));
            self.waived.0 == event.revision && codes.iter().any(lifts)
        };
        if !self.approved.contains(words) && !is_waived(&["not_approved", "approval_stale"], "") {
            faults.push("nobody approved these words".to_owned());
        }
        for (id, blocking) in &self.open_queries {
            if *blocking && !is_waived(&["query_open"], id) {
                faults.push(format!("query {id} was open"));
            }
        }
        for (id, claim) in &self.claims {
            let Some(text) = words.blocks.get(&claim.block) else { continue };
            if claim.dropped || claim.gone || !claim.material || !text.contains(&claim.quote) {
                continue;
            }
            match claim.verdicts.get(text).map(String::as_str) {
                Some("supported") => {}
                Some(verdict)
                    if !["inaccurate", "misleading"].contains(&verdict)
                        // In doubt, among other words, what was ruled on these is stale.
                        && is_waived(&["verdict_adverse", "verdict_stale"], id) => {}
                None if is_waived(&["claim_unruled", "verdict_stale"], id) => {}
                Some(verdict) => faults.push(format!("claim {id} was ruled {verdict}")),
                None => faults.push(format!("no verdict on claim {id} was given on these words")),
            }
        }
        faults
    }
}
