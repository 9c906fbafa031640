//! `cite`: evidence for a claim.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::claims::{Confidential, Evidence, Opened};
use crate::event::{Event, Hash, Said};
use crate::ids::ClaimId;
use crate::json::Node;
use crate::limits;
use crate::newsroom::Role;
use crate::problem::Problem;
use crate::words::Words;

/// The data of `cite`.
#[derive(Debug, Clone, PartialEq)]
pub struct Cite {
    claim: ClaimId,
    title: Option<Words>,
    url: Option<Words>,
    sha256: Option<Hash>,
    note: Option<Words>,
    confidential: bool,
}

/// `cite` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentCite {
    /// The claim.
    claim: ClaimId,
    /// What the evidence is called.
    title: Option<String>,
    /// Where it is.
    url: Option<String>,
    /// SHA-256 of its content, 64 lower-case hex digits.
    sha256: Option<Hash>,
    /// A note.
    note: Option<String>,
    /// Whether title, url, sha256 and note are sealed, for the article's checkers, its editor, chiefs and auditors
    /// alone. Refused by a desk that has no key to seal with.
    #[serde(default)]
    confidential: bool,
}

/// Evidence was cited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceCited {
    /// What the answer said.
    pub answer: Said,
    /// The claim.
    pub claim: ClaimId,
    /// The evidence.
    pub evidence: Evidence,
}

impl Decide for Cite {
    type Shape = SentCite;
    const RIGHT: Right = Right { roles: &[Role::Reporter, Role::Checker], machine: true };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentCite = shape::object(data)?;
        let cite = Self {
            claim: sent.claim,
            title: shape::optional_remark("/data/title", sent.title)?,
            url: shape::optional_remark("/data/url", sent.url)?,
            sha256: sent.sha256,
            note: shape::optional_remark("/data/note", sent.note)?,
            confidential: sent.confidential,
        };
        if cite.title.is_none() && cite.url.is_none() && cite.sha256.is_none() && cite.note.is_none() {
            return Err(Problem::invalid("/data", "evidence has a title, a url, a sha256 or a note"));
        }
        Ok(cite)
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let claim = case.claim(self.claim)?;
        if claim.evidence.len() >= limits::EVIDENCE_PER_CLAIM {
            let detail = format!("a claim has at most {} pieces of evidence", limits::EVIDENCE_PER_CLAIM);
            return Err(Problem::too_large("evidence_per_claim", detail));
        }
        let evidence = if self.confidential {
            let seal = case.context.seal.ok_or_else(cant_seal)?;
            let by = Arc::clone(case.actor());
            Evidence {
                title: None,
                url: None,
                sha256: None,
                note: None,
                sealed: Some(seal.sealed.clone()),
                by,
            }
        } else {
            let Opened { title, url, sha256, note } = self.words();
            Evidence { title, url, sha256, note, sealed: None, by: Arc::clone(case.actor()) }
        };
        let data = EvidenceCited { answer: Said::default(), claim: self.claim, evidence };
        Ok(Data::EvidenceCited(Box::new(data)).into())
    }
}

impl Cite {
    fn words(&self) -> Opened {
        let Self { title, url, sha256, note, .. } = self;
        Opened { title: title.clone(), url: url.clone(), sha256: *sha256, note: note.clone() }
    }

    /// What is to be sealed before this is decided, if anything.
    pub(super) fn confidential(&self) -> Option<Confidential> {
        self.confidential.then(|| Confidential { claim: self.claim, words: self.words() })
    }
}

fn cant_seal() -> Problem {
    let detail = "/data/confidential: this desk has no key to seal confidential evidence with, and keeps none \
                  unsealed: an operator can name one as evidence.master_key";
    Problem::invalid("/data/confidential", detail)
}

impl EvidenceCited {
    pub(crate) fn evolve(&self, article: &mut Article, _: &Event) -> Result<(), Broken> {
        article.claim_mut(self.claim)?.evidence.push(self.evidence.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::Desk;
    use crate::claims::{Blind, Seal, Sealed};
    use crate::problem::Code;

    #[test]
    fn evidence_is_kept_with_its_claim_up_to_a_limit() {
        let mut desk = Desk::drafted(&["He won."]);
        desk.claim("He won");
        let sha = "0".repeat(64);
        let data = json!({"claim": "c1", "title": "T", "url": "https://x.test", "sha256": sha, "note": "N"});
        for _ in 0..crate::limits::EVIDENCE_PER_CLAIM {
            desk.given("bot", json!({"type": "cite", "data": data}));
        }
        let problem = desk.refused("chen", json!({"type": "cite", "data": data}), Code::TooLarge);
        assert_eq!(problem.limit.as_deref(), Some("evidence_per_claim"));
    }

    #[test]
    fn any_one_thing_about_it_makes_evidence() {
        let mut desk = Desk::drafted(&["He won."]);
        desk.claim("He won");
        for (name, value) in
            [("title", "T"), ("url", "https://x.test"), ("sha256", &"0".repeat(64)), ("note", "N")]
        {
            let data = json!({"claim": "c1", name: value});
            desk.given("chen", json!({"type": "cite", "data": data}));
        }
    }

    #[test]
    fn of_confidential_evidence_the_event_has_nothing_but_the_box() {
        let mut desk = Desk::drafted(&["He won."]);
        desk.claim("He won");
        let data = json!({"claim": "c1", "title": "Canary", "note": "Canary", "confidential": true});
        let cite = json!({"type": "cite", "data": data});
        let (sealed, blind) =
            (Sealed { key: "k".into(), sealed: "box".into() }, Blind::new(&[7; 32]).unwrap());
        desk.seal = Some(Seal { sealed, blind });
        desk.given("chen", cite);
        let event = desk.events.last().unwrap();
        let bytes = String::from_utf8(crate::event::write(event).unwrap()).unwrap();
        assert!(
            bytes.contains(r#""sealed":{"key":"k","sealed":"box"}"#) && !bytes.contains("Canary"),
            "{bytes}"
        );
    }

    #[test]
    fn what_is_wrong_with_evidence_is_named() {
        let mut desk = Desk::drafted(&["He won."]);
        desk.claim("He won");
        for (data, place) in [
            (json!({"claim": "c2", "title": "T"}), "/data/claim"),
            (json!({"title": "T"}), "/data/claim"),
            (json!({"claim": "c1"}), "/data"),
            (json!({"claim": "c1", "title": " "}), "/data"),
            (json!({"claim": "c1", "title": "T", "sha256": "ABC"}), "/data/sha256"),
            (json!({"claim": "c1", "title": "T", "confidential": true}), "/data/confidential"),
        ] {
            let problem = desk.refused("chen", json!({"type": "cite", "data": data}), Code::Invalid);
            assert_eq!(problem.field.as_deref(), Some(place));
        }
    }
}
