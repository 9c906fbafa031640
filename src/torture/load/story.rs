//! What a tool does to an article.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::prose;
use super::tool::{Ended, Tool};
use crate::torture::journal::{Members, marked};

const WRITERS: &[&str] = &["ana", "ben", "emil", "bot"];
const SECTIONS: &[&str] = &["world", "world/asia", "sport"];

/// What a chief may lift of all that the load puts in the way.
const WAIVABLE: &[&str] =
    &["not_approved", "approval_stale", "claim_unruled", "verdict_stale", "verdict_adverse", "query_open"];

/// What readers are told: no marked word, since it goes out.
const NOTE: &str = "An earlier version was wrong.";

impl Tool {
    /// Drafts an article, now and then of a machine, and now and then near the limits.
    pub(super) async fn draft(&mut self) -> Option<Uuid> {
        let mut blocks = Vec::new();
        for _ in 0..=self.dice.roll(3) {
            blocks.push(json!({"kind": "paragraph", "text": prose::sentence(&mut self.dice)}));
        }
        if self.dice.chance(3) {
            for _ in 0..=self.dice.roll(4) {
                blocks.push(json!({"kind": "paragraph", "text": prose::long(&mut self.dice)}));
            }
        }
        let section = self.dice.pick(SECTIONS).copied().unwrap_or("world");
        let headline = format!("Headline {}", prose::word(&mut self.dice));
        let data = json!({"slug": "story", "language": "en", "section": section, "headline": headline,
            "blocks": blocks});
        let actor = self.dice.pick(WRITERS).copied().filter(|actor| *actor != "emil").unwrap_or("ana");
        let ended = self.send(actor, "draft", (None, 0), data).await;
        Self::article_of(&ended)
    }

    /// Does something to an article as it was seen. Nobody else writes to one's own.
    pub(super) async fn act(&mut self, view: &Value, own: bool) {
        let newest = view.number("revision");
        // What others did meanwhile makes a base stale anyway; this makes it staler.
        let older = self.dice.roll(4).min(newest.saturating_sub(1));
        let base = if self.dice.chance(15) { newest - older } else { newest };
        let at = (Some(view), base);
        match self.dice.roll(100) {
            0..26 => self.edit(view, base).await,
            26..29 if own => self.whole_body(view).await,
            29..34 => self.ask(at).await,
            34..39 => self.answer(view, base).await,
            39..45 => self.claim(view, base).await,
            45..52 => self.check(view, base).await,
            52..55 => drop(self.send("ana", "submit", at, json!({})).await),
            55..58 => drop(self.send("eva", "approve", at, json!({})).await),
            58..61 => drop(self.send("pia", "publish", at, json!({})).await),
            61..63 => self.restore(view).await,
            63..66 => self.embargo(view, base).await,
            66 => {
                let data = json!({"reason": self.secret()});
                self.send("eva", "return", at, data).await;
            }
            67 => self.restrict(view, base).await,
            68 => {
                let data = json!({"notice": "This story was withdrawn.", "final": self.dice.chance(10)});
                self.send("pia", "withdraw", at, data).await;
            }
            69 => {
                let kind = if self.dice.chance(70) { "revive" } else { "spike" };
                let data = json!({"reason": self.secret()});
                self.send("eva", kind, at, data).await;
            }
            70 => drop(self.send("pia", "unschedule", at, json!({})).await),
            71 => {
                let due = Utc::now() + TimeDelta::hours(1);
                self.send("eva", "assign", at, json!({"writers": ["ana"], "due": due})).await;
            }
            72..74 => self.waive(view, base).await,
            74..84 => self.behind_the_checker(view).await,
            84..87 => self.redact(view).await,
            _ => self.carry(view).await,
        }
    }

    /// Words of which none may ever be outside.
    fn secret(&mut self) -> String {
        format!("Between us: {}.", prose::word(&mut self.dice))
    }

    fn block(&mut self, view: &Value) -> Option<(String, String)> {
        let block = self.dice.pick(view.list("blocks"))?;
        Some((block.text("id").to_owned(), block.text("text").to_owned()))
    }

    async fn edit(&mut self, view: &Value, base: u64) {
        let block = self.block(view);
        let data = match (self.dice.roll(20), &block) {
            (0..7, Some((id, text))) => {
                let text = prose::sentence_with(prose::first_word(text), &mut self.dice);
                json!({"ops": [{"op": "replace", "block": id, "kind": "paragraph", "text": text}]})
            }
            (7, Some((id, _))) => json!({"ops": [{"op": "delete", "block": id}]}),
            (8, Some((id, _))) => json!({"ops": [{"op": "move", "block": id, "after": null}]}),
            (9..12, _) => json!({"set": {"headline": format!("Headline {}", prose::word(&mut self.dice))}}),
            (12, _) => json!({"set": {"standfirst": prose::sentence(&mut self.dice)}}),
            (13, _) => json!({"set": {"standfirst": null}}),
            _ => {
                let after = block.map(|(id, _)| id);
                let mut ops = Vec::new();
                for _ in 0..=self.dice.roll(2) {
                    let block = json!({"kind": "paragraph", "text": prose::sentence(&mut self.dice)});
                    ops.push(json!({"op": "insert", "after": after, "block": block}));
                }
                json!({"ops": ops})
            }
        };
        let actor = self.dice.pick(WRITERS).copied().unwrap_or("ana");
        self.send(actor, "edit", (Some(view), base), data).await;
    }

    /// A whole body sent anew: a paragraph changed, one more at the end.
    async fn whole_body(&mut self, view: &Value) {
        let mut texts: Vec<String> =
            view.list("blocks").iter().map(|block| block.text("text").to_owned()).collect();
        let at = self.dice.roll(texts.len() as u64) as usize;
        if let Some(text) = texts.get_mut(at) {
            *text = prose::sentence_with(prose::first_word(&text.clone()), &mut self.dice);
        }
        texts.push(prose::sentence(&mut self.dice));
        let data = json!({"markdown": texts.join("\n\n")});
        self.send("ana", "edit", (Some(view), view.number("revision")), data).await;
    }

    async fn ask(&mut self, at: (Option<&Value>, u64)) {
        let data = json!({"text": self.secret(), "blocking": self.dice.chance(60)});
        self.send("eva", "ask", at, data).await;
    }

    async fn answer(&mut self, view: &Value, base: u64) {
        let open: Vec<&Value> =
            view.list("queries").iter().filter(|query| query.at("answer").is_null()).collect();
        let Some(query) = self.dice.pick(&open).map(|query| query.text("id").to_owned()) else { return };
        let data = json!({"query": query, "text": self.secret()});
        self.send("ana", "answer", (Some(view), base), data).await;
    }

    async fn claim(&mut self, view: &Value, base: u64) {
        let Some((id, text)) = self.block(view) else { return };
        let quote = prose::first_word(&text).to_owned();
        let data = json!({"quote": quote, "block": id, "kind": "fact", "material": self.dice.chance(85)});
        self.send("ana", "claim", (Some(view), base), data).await;
    }

    /// The checker cites, rules or drops.
    async fn check(&mut self, view: &Value, base: u64) {
        let Some(claim) = self.dice.pick(view.list("claims")).map(|claim| claim.text("id").to_owned()) else {
            return;
        };
        let at = (Some(view), base);
        match self.dice.roll(10) {
            0..4 => {
                let data = json!({"claim": claim, "title": self.secret(), "note": self.secret(),
                    "confidential": self.dice.chance(50)});
                self.send("chen", "cite", at, data).await;
            }
            4..9 => {
                let verdicts = ["supported", "supported", "supported", "unsupported", "inaccurate"];
                let verdict = self.dice.pick(&verdicts).copied().unwrap_or("supported");
                self.send("chen", "rule", at, json!({"claim": claim, "verdict": verdict})).await;
            }
            _ => {
                let data = json!({"claim": claim, "reason": self.secret()});
                self.send("chen", "drop", at, data).await;
            }
        }
    }

    async fn restore(&mut self, view: &Value) {
        let newest = view.number("revision");
        let revision = 1 + self.dice.roll(newest);
        self.send("eva", "restore", (Some(view), newest), json!({"revision": revision})).await;
    }

    async fn embargo(&mut self, view: &Value, base: u64) {
        let until = Utc::now() + TimeDelta::milliseconds(800 + self.dice.roll(3000) as i64);
        let until = if self.dice.chance(60) { json!(until) } else { Value::Null };
        self.send("eva", "embargo", (Some(view), base), json!({"until": until})).await;
    }

    async fn restrict(&mut self, view: &Value, base: u64) {
        let people = if view.at("restricted").is_null() {
            json!(["ana", "ben", "eva", "chen", "pia"])
        } else {
            Value::Null
        };
        self.send("eva", "restrict", (Some(view), base), json!({"people": people})).await;
    }

    /// Settles all that is in the way, and publishes: now, or in a moment.
    async fn carry(&mut self, view: &Value) {
        let Some(article) = super::id_of(view, "article") else { return };
        let base = view.number("revision");
        let at = (Some(view), base);
        let open = view.list("queries").iter().filter(|query| query.at("answer").is_null());
        for query in open.take(6) {
            let data = json!({"query": query.text("id"), "text": self.secret()});
            self.send("ana", "answer", at, data).await;
        }
        for claim in view.list("claims").iter().take(8) {
            let needs = matches!(claim.text("state"), "unruled" | "stale")
                || (claim.text("state") == "ruled" && claim.text("verdict") != "supported");
            if needs && claim.at("material") == &Value::Bool(true) {
                self.send("chen", "rule", at, json!({"claim": claim.text("id"), "verdict": "supported"}))
                    .await;
            }
        }
        if view.text("stage") == "draft" {
            self.send("ana", "submit", at, json!({})).await;
        }
        let approver = if self.dice.chance(80) { "eva" } else { "carl" };
        self.send(approver, "approve", at, json!({})).await;
        let Some(view) = self.look(article).await else { return };
        let data = self.publication(&view);
        self.send("pia", "publish", (Some(&view), base), data).await;
    }

    /// Has a chief lift some of what is in the way, and publishes: which must be refused where something else is.
    async fn waive(&mut self, view: &Value, base: u64) {
        let mut reasons = Vec::new();
        for reason in view.at("gate").list("reasons") {
            let mut named = json!({"code": reason.text("code")});
            for about in ["claim", "query", "field", "block"] {
                if let (Some(named), Some(about_it)) = (named.as_object_mut(), reason.get(about)) {
                    named.insert(about.to_owned(), about_it.clone());
                }
            }
            let may_be = WAIVABLE.contains(&reason.text("code"));
            // Now and then one is left out, or one is named that nobody may lift.
            if self.dice.chance(if may_be { 90 } else { 3 }) {
                reasons.push(named);
            }
        }
        let at = (Some(view), base);
        let data = json!({"reasons": reasons, "reason": self.secret()});
        self.send("carl", "waive", at, data).await;
        if view.text("stage") == "draft" {
            self.send("ana", "submit", at, json!({})).await;
        }
        let data = self.publication(view);
        self.send("pia", "publish", at, data).await;
    }

    fn publication(&mut self, view: &Value) -> Value {
        let mut data = match (view.text("status"), self.dice.roll(3)) {
            ("withdrawn", _) => json!({"kind": "reinstatement", "note": NOTE}),
            ("published", 0) => json!({"kind": "correction", "note": NOTE}),
            _ => json!({}),
        };
        let later = Utc::now() + TimeDelta::milliseconds(700 + self.dice.roll(1500) as i64);
        if self.dice.chance(20)
            && let Some(members) = data.as_object_mut()
        {
            members.insert("at".to_owned(), json!(later));
        }
        data
    }

    /// Has a word erased by law: it is taken out of the text and of what readers have, where it stands there; a chief
    /// proposes, and somebody else confirms.
    async fn redact(&mut self, view: &Value) {
        let Some(article) = super::id_of(view, "article") else { return };
        let query = self.dice.pick(view.list("queries")).map(|query| query.text("text").to_owned());
        let block = self.block(view);
        let of_a_query = self.dice.chance(40);
        let (text, block) = match (query, block) {
            (Some(text), _) if of_a_query => (text, None),
            (_, Some((id, text))) => (text, Some(id)),
            _ => return,
        };
        let Some(word) = marked(&text).last().map(str::to_owned) else { return };
        if let Some(block) = block {
            let text = prose::sentence(&mut self.dice);
            let ops = json!({"ops": [{"op": "replace", "block": block, "kind": "paragraph", "text": text}]});
            let base = view.number("revision");
            let Ended::Accepted(_) = self.send("emil", "edit", (Some(view), base), ops).await else { return };
        }
        let Some(mut view) = self.look(article).await else { return };
        if view.text("status") == "published" && !of_a_query {
            if self.dice.chance(50) {
                self.carry(&view).await;
            } else {
                let data = json!({"notice": "This story was withdrawn."});
                self.send("pia", "withdraw", (Some(&view), view.number("revision")), data).await;
            }
            let Some(now) = self.look(article).await else { return };
            view = now;
        }
        let at = (Some(&view), view.number("revision"));
        self.send("carl", "redact", at, json!({"words": word, "ground": "Court order 7/26."})).await;
        self.send("eva", "confirm_redaction", at, json!({"words": word})).await;
    }

    /// Has a sentence checked, then changes it, has the change approved, and tries to publish: which must be refused.
    async fn behind_the_checker(&mut self, view: &Value) {
        let Some(article) = super::id_of(view, "article") else { return };
        let base = view.number("revision");
        let Some((block, text)) = self.block(view) else { return };
        let at = (Some(view), base);
        let quote = prose::first_word(&text).to_owned();
        let data = json!({"quote": quote, "block": block, "kind": "fact"});
        let Ended::Accepted(raised) = self.send("ben", "claim", at, data).await else { return };
        let ruling = json!({"claim": raised.text("created"), "verdict": "supported"});
        self.send("chen", "rule", at, ruling).await;
        let text = prose::sentence_with(&quote, &mut self.dice);
        let edit = json!({"ops": [{"op": "replace", "block": block, "kind": "paragraph", "text": text}]});
        let Ended::Accepted(edited) = self.send("ana", "edit", at, edit).await else { return };
        let base = edited.number("revision");
        let Some(view) = self.look(article).await else { return };
        let at = (Some(&view), base);
        if view.text("stage") == "draft" {
            self.send("ana", "submit", at, json!({})).await;
        }
        // The other claims and queries are settled, so that nothing but the changed sentence holds it up.
        for claim in view.list("claims").iter().filter(|claim| claim.text("id") != raised.text("created")) {
            if matches!(claim.text("state"), "unruled" | "stale") && claim.text("block") != block {
                self.send("chen", "rule", at, json!({"claim": claim.text("id"), "verdict": "supported"}))
                    .await;
            }
        }
        self.send("eva", "approve", at, json!({})).await;
        let data = self.publication(&view);
        self.send("pia", "publish", at, data).await;
    }
}
