//! The gate: everything that still stands between a text and its readers. Empty means publishable.

use std::collections::BTreeSet;

use chrono::SecondsFormat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::article::Article;
use crate::claims::{Claim, ClaimState, Place};
use crate::coverage;
use crate::event::Time;
use crate::fields::FieldName;
use crate::ids::{BlockId, ClaimId, QueryId};
use crate::newsroom::{Coverage, ImagePart, Newsroom, Rules};
use crate::text::{self, Content, Text};

/// Why the gate is shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// A required field or the body isn't there; blank or markup only counts as missing.
    MissingField,
    /// A field is longer than the rules allow.
    TooLong,
    /// A picture lacks what the rules ask of pictures.
    ImageIncomplete,
    /// Not enough people approved.
    NotApproved,
    /// It was approved, and these words were not.
    ApprovalStale,
    /// A claim has no verdict.
    ClaimUnruled,
    /// A claim's sentence changed since its verdict.
    VerdictStale,
    /// A claim's verdict isn't one that the rules accept.
    VerdictAdverse,
    /// A figure or quotation carries no claim.
    Unclaimed,
    /// Machine-written words that no person approved.
    MachineUnreviewed,
    /// A blocking query is open.
    QueryOpen,
    /// Under embargo.
    Embargoed,
    /// Spiked.
    Spiked,
    /// A scheduled publication's hour had passed by more than the grace. Only said of what was held.
    Late,
    /// The words of a scheduled publication were before readers already. Only said of what was held.
    NothingNew,
}

impl ReasonCode {
    /// The code as it stands in answers.
    pub fn name(self) -> &'static str {
        match self {
            ReasonCode::MissingField => "missing_field",
            ReasonCode::TooLong => "too_long",
            ReasonCode::ImageIncomplete => "image_incomplete",
            ReasonCode::NotApproved => "not_approved",
            ReasonCode::ApprovalStale => "approval_stale",
            ReasonCode::ClaimUnruled => "claim_unruled",
            ReasonCode::VerdictStale => "verdict_stale",
            ReasonCode::VerdictAdverse => "verdict_adverse",
            ReasonCode::Unclaimed => "unclaimed",
            ReasonCode::MachineUnreviewed => "machine_unreviewed",
            ReasonCode::QueryOpen => "query_open",
            ReasonCode::Embargoed => "embargoed",
            ReasonCode::Spiked => "spiked",
            ReasonCode::Late => "late",
            ReasonCode::NothingNew => "nothing_new",
        }
    }
}

/// One thing that shuts the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// What it is, for programs.
    pub code: ReasonCode,
    /// What it is and what to do, for people.
    pub detail: String,
    /// The field it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The block it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockId>,
    /// The claim it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimId>,
    /// The query it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<QueryId>,
}

impl Reason {
    pub(crate) fn new(code: ReasonCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: None, block: None, claim: None, query: None }
    }
}

/// The gate of an article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// Whether the text may go out.
    pub open: bool,
    /// What shuts it.
    pub reasons: Vec<Reason>,
    /// What would shut it, had a chief not waived it for this revision.
    pub waived: Vec<Reason>,
}

/// The gate of an article under the newsroom's rules for its section, as it stands at a time: embargoes end.
pub fn gate(article: &Article, newsroom: &Newsroom, at: Time) -> Gate {
    let rules = newsroom.rules_for(article.section());
    let mut reasons = Vec::new();
    missing(article, &rules, &mut reasons);
    too_long(article, &rules, &mut reasons);
    images(article, &rules, &mut reasons);
    approvals(article, &rules, &mut reasons);
    reasons.extend(article.claims.values().flat_map(|claim| claim_reasons(claim, &rules)));
    if rules.coverage == Coverage::Hold {
        reasons.extend(coverage::unclaimed(article));
    }
    for query in article.blocking_queries() {
        reasons.push(Reason {
            query: Some(query.id),
            block: query.block,
            field: query.field.map(|field| field.name().to_owned()),
            ..Reason::new(ReasonCode::QueryOpen, format!("query {} waits for an answer", query.id))
        });
    }
    if let Some(until) = article.embargo.filter(|until| *until > at) {
        let until = until.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        reasons.push(Reason::new(ReasonCode::Embargoed, format!("under embargo until {until}")));
    }
    if article.spiked {
        reasons.push(Reason::new(ReasonCode::Spiked, "the article is spiked: revive it first"));
    }
    let (waived, reasons): (Vec<_>, Vec<_>) =
        reasons.into_iter().partition(|reason| article.waiver(reason).is_some());
    Gate { open: reasons.is_empty(), reasons, waived }
}

fn field_reason(code: ReasonCode, field: &str, detail: String) -> Reason {
    Reason { field: Some(field.to_owned()), ..Reason::new(code, detail) }
}

fn missing(article: &Article, rules: &Rules, reasons: &mut Vec<Reason>) {
    let always = [FieldName::Headline, FieldName::Section];
    let asked: BTreeSet<FieldName> = always.into_iter().chain(rules.required.iter().copied()).collect();
    for name in asked {
        let there = article.fields.value(name).is_some_and(|value| says_something(&value.words()));
        if !there {
            let detail = format!("the {} is missing", name.name());
            reasons.push(field_reason(ReasonCode::MissingField, name.name(), detail));
        }
    }
    let has_words = article.blocks.iter().any(|block| match &block.content {
        Content::Image { .. } => true,
        content => content.texts().any(|text| says_something(&text.plain())),
    });
    if !has_words {
        reasons.push(field_reason(ReasonCode::MissingField, "body", "the body is missing".to_owned()));
    }
}

/// Whether a text has more in it than white space and markup.
fn says_something(text: &str) -> bool {
    let is_markup = |c: char| "*_`~#<>[]()!|\\-+=".contains(c);
    if text.chars().all(|c| is_markup(c) || c.is_whitespace()) {
        return false;
    }
    // Only what could be hidden in markup is read as such: most texts hold none.
    let visible = |content: &Content<text::Spans>| {
        matches!(content, Content::Image { .. })
            || content.texts().any(|spans| !text::is_blank(&text::spans::plain(spans)))
    };
    match text.contains(['<', '[']) {
        true => text::markdown::read(text).is_ok_and(|(blocks, _)| blocks.iter().any(visible)),
        false => !text::is_blank(text),
    }
}

fn too_long(article: &Article, rules: &Rules, reasons: &mut Vec<Reason>) {
    for (name, most) in &rules.max_length {
        let long = article.fields.value(*name).map_or(0, |value| value.words().chars().count());
        if long > *most as usize {
            let detail = format!("the {} has {long} characters; at most {most} are allowed", name.name());
            reasons.push(field_reason(ReasonCode::TooLong, name.name(), detail));
        }
    }
}

fn images(article: &Article, rules: &Rules, reasons: &mut Vec<Reason>) {
    let lacking = |parts: [Option<&str>; 4]| -> Vec<&str> {
        let [alt, caption, credit, rights] = parts;
        let asked = rules.image.iter().map(|part| match part {
            ImagePart::Alt => ("alt", alt),
            ImagePart::Caption => ("caption", caption),
            ImagePart::Credit => ("credit", credit),
            ImagePart::Rights => ("rights", rights),
        });
        asked.filter(|(_, value)| value.is_none_or(text::is_blank)).map(|(name, _)| name).collect()
    };
    if let Some(image) = article.fields.image() {
        let (alt, caption) = (image.alt.plain(), image.caption.plain());
        let lacks = lacking([Some(&alt), Some(&caption), image.credit.as_deref(), image.rights.as_deref()]);
        if !lacks.is_empty() {
            let detail = format!("the picture lacks {}", lacks.join(", "));
            reasons.push(field_reason(ReasonCode::ImageIncomplete, "image", detail));
        }
    }
    for block in &article.blocks {
        let Content::Image { alt, caption, credit, rights, .. } = &block.content else { continue };
        let (alt, caption) = (alt.as_ref().map(Text::plain), caption.as_ref().map(Text::plain));
        let lacks = lacking([alt.as_deref(), caption.as_deref(), credit.as_deref(), rights.as_deref()]);
        if !lacks.is_empty() {
            let detail = format!("the picture in {} lacks {}", block.id, lacks.join(", "));
            reasons
                .push(Reason { block: Some(block.id), ..Reason::new(ReasonCode::ImageIncomplete, detail) });
        }
    }
}

fn approvals(article: &Article, rules: &Rules, reasons: &mut Vec<Reason>) {
    let good = article.good_approvals();
    let asked = rules.approvals as usize;
    if good < asked {
        let (code, detail) = if article.approvals.len() > good {
            (
                ReasonCode::ApprovalStale,
                "the words changed since they were approved: approve them again".to_owned(),
            )
        } else {
            (ReasonCode::NotApproved, format!("{good} of {asked} approvals"))
        };
        reasons.push(Reason::new(code, detail));
    }
    if good == 0 && article.has_machine_work() {
        let detail = "a machine wrote or changed some of this: a person must approve it";
        reasons.push(Reason::new(ReasonCode::MachineUnreviewed, detail));
    }
}

fn claim_reasons(claim: &Claim, rules: &Rules) -> impl Iterator<Item = Reason> {
    let noted = claim.found_false.and_then(|noted| Some((noted.place, claim.ruling_of(noted.ruling)?)));
    // Whatever the rules accept of what a checker lets stand: of several words that are back only some are noted.
    let back = noted.map(|(place, ruling)| {
        let (id, verdict) = (claim.id, ruling.verdict.name());
        let detail =
            format!("words of claim {id} that were ruled {verdict} are back: change them or rule on them");
        claim_reason_at(claim, place, ReasonCode::VerdictAdverse, detail)
    });
    back.into_iter().chain(claim_reason(claim, rules))
}

/// What the words that a claim is on hold the gate for.
fn claim_reason(claim: &Claim, rules: &Rules) -> Option<Reason> {
    let accepted = if claim.material { &rules.accept.material } else { &rules.accept.other };
    let (code, detail) = match (claim.state, &claim.ruling) {
        (ClaimState::Unruled, _) if claim.material => {
            (ReasonCode::ClaimUnruled, format!("claim {} has no verdict", claim.id))
        }
        (ClaimState::Stale, _) if claim.material => (
            ReasonCode::VerdictStale,
            format!("the sentence of claim {} changed since its verdict: rule again", claim.id),
        ),
        (ClaimState::Ruled, Some(ruling)) if !accepted.contains(&ruling.verdict) => (
            ReasonCode::VerdictAdverse,
            format!("claim {} was ruled {}: change the words or rule again", claim.id, ruling.verdict.name()),
        ),
        _ => return None,
    };
    Some(claim_reason_at(claim, claim.place, code, detail))
}

fn claim_reason_at(claim: &Claim, place: Place, code: ReasonCode, detail: String) -> Reason {
    let (block, field) = match place {
        Place::Block(id) => (Some(id), None),
        Place::Field(field) => (None, Some(field.name().to_owned())),
    };
    Reason { claim: Some(claim.id), block, field, ..Reason::new(code, detail) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::command::testing::{Desk, replace};
    use crate::problem::Code;

    #[test]
    fn the_gate_is_that_of_the_present_article_whatever_revision_was_seen() {
        let mut desk = Desk::drafted(&["One."]);
        desk.approved();
        desk.ops("emil", json!([replace("b1", "Two.")]));
        desk.given("emil", json!({"type": "restore", "data": {"revision": 1}}));
        assert!(desk.gate().is_empty(), "the words that were approved");
        desk.given("chen", json!({"type": "ask", "data": {"text": "Really?"}}));
        let refused = desk.refused("pia", json!({"type": "publish", "base": 1}), Code::GateShut);
        assert_eq!(
            refused.reasons.iter().map(|reason| reason.code.name()).collect::<Vec<_>>(),
            ["query_open"]
        );
    }

    #[test]
    fn white_space_and_markup_alone_say_nothing() {
        for nothing in
            ["", " ", "\u{200b}", "**", "* *", "***", "__", "`", "<b></b>", "[](https://a.b)", "<!-- x -->"]
        {
            assert!(!says_something(nothing), "{nothing:?}");
        }
        for something in ["a", "?", "5 * 3", "<b>x</b>", "🎉", "[a](https://a.b)", "ا", "3 < 5", "[AP]"] {
            assert!(says_something(something), "{something:?}");
        }
    }

    #[test]
    fn a_picture_alone_is_a_body() {
        let mut desk = Desk::drafted(&[]);
        assert_eq!(desk.gate(), ["missing_field", "not_approved"]);
        let image = json!({"kind": "image", "uri": "https://x.test/a.jpg", "alt": "A", "credit": "C"});
        desk.ops("ana", json!([{"op": "insert", "after": null, "block": image}]));
        assert!(!desk.gate().contains(&"missing_field"));
    }
}
