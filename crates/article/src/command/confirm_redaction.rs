//! `confirm_redaction`: a second person confirms what a chief proposed, and the words are erased.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::redact::{self, Target};
use super::{Case, Data, Decide, Outcome, Right, shape};
use crate::article::{Article, Broken};
use crate::event::{Event, Said};
use crate::json::Node;
use crate::newsroom::Role;
use crate::problem::{Code, Problem};
use crate::redaction::{Erased, ErasedMessage, Redaction};
use crate::words::Words;

/// The data of `confirm_redaction`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfirmRedaction {
    target: Target,
}

/// `confirm_redaction` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentConfirmRedaction {
    /// The words that are to go, the same as in the proposal, which keeps none of them.
    words: Option<String>,
    /// The versions, the same as in the proposal.
    versions: Option<BTreeSet<u32>>,
}

/// Words were erased by law. The event is written first, then what it names is erased.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redacted {
    /// What the answer said.
    pub answer: Said,
    /// On what ground.
    pub ground: Words,
    /// Who proposed it; the event's actor confirmed it.
    pub proposed_by: Arc<str>,
    /// The article's version with the proposal.
    pub proposal: u32,
    /// The events that are erased, and what takes the place of each.
    pub events: Vec<Erased>,
    /// The messages that are erased from the wire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wire: Vec<ErasedMessage>,
    /// The keys of confidential evidence that are destroyed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

impl Decide for ConfirmRedaction {
    type Shape = SentConfirmRedaction;
    const RIGHT: Right = Right { roles: &[Role::Chief, Role::Editor], machine: false };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let sent: SentConfirmRedaction = shape::object(data)?;
        Ok(Self { target: Target::read(sent.words.as_deref(), sent.versions)? })
    }

    fn allowed(&self, case: &Case<'_>) -> Result<(), Problem> {
        match &case.article.proposed {
            None => Err(Problem::new(
                Code::WrongStage,
                "no redaction is proposed: a chief proposes one with redact",
            )),
            Some(proposed) if proposed.by == *case.actor() => {
                Err(Problem::new(Code::FourEyes, "you proposed this redaction: someone else must confirm it"))
            }
            Some(_) => Ok(()),
        }
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let Some(proposed) = &case.article.proposed else {
            return Err(Problem::new(Code::WrongStage, "no redaction is proposed"));
        };
        let found = self.target.find(case)?;
        let same = found.named() == proposed.events
            && found.digest() == proposed.replacements
            && found.wire == proposed.wire
            && found.keys == proposed.keys;
        if !same {
            let detail = "these words, or versions, are not those of the proposal, or were written again since: \
                          nothing is erased; propose it anew";
            return Err(Problem::new(Code::Conflict, detail));
        }
        let warnings = redact::told(&found);
        let data = Redacted {
            answer: Said::default(),
            ground: proposed.ground.clone(),
            proposed_by: Arc::clone(&proposed.by),
            proposal: proposed.version,
            events: found.events,
            wire: found.wire,
            keys: found.keys,
        };
        Ok(Outcome { warnings, ..Data::Redacted(Box::new(data)).into() })
    }
}

impl Redacted {
    /// What is known of it ever after. The words themselves go by folding the article's own line anew, each erased
    /// event replaced: that takes the line, which no state has.
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        article.proposed = None;
        article.redactions.push(Arc::new(Redaction {
            version: event.articleversion,
            time: event.time,
            proposed_by: Arc::clone(&self.proposed_by),
            confirmed_by: Arc::clone(&event.actor),
            ground: self.ground.clone(),
            versions: self.events.iter().map(|erased| erased.version).collect(),
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::command::Data;
    use crate::command::testing::{Desk, replace};
    use crate::problem::Code;

    const WORDS: &str = "John Doe";

    fn redact() -> Value {
        json!({"type": "redact", "data": {"words": WORDS, "ground": "Court order 7"}})
    }

    fn confirm() -> Value {
        json!({"type": "confirm_redaction", "data": {"words": WORDS}})
    }

    /// An article that named someone, in several ways, and doesn't any more.
    fn story() -> Desk {
        let mut desk = Desk::drafted(&["It was *Jo*hn Doe. She lost.", "Nobody came."]);
        desk.given("chen", json!({"type": "claim", "data": {"quote": "It was John Doe.", "kind": "fact"}}));
        desk.given("eva", json!({"type": "ask", "data": {"text": "Is John Doe right?", "blocking": false}}));
        desk.ops("ana", json!([replace("b1", "It was somebody. She lost.")]));
        desk
    }

    #[test]
    fn what_two_people_agree_on_is_named_and_replaced_and_no_event_keeps_the_words() {
        let mut desk = story();
        let proposed = serde_json::to_string(desk.given("carl", redact())).unwrap();
        assert!(!proposed.contains("Doe"), "{proposed}");
        let redacted = desk.given("eva", confirm()).clone();
        assert!(!serde_json::to_string(&redacted).unwrap().contains("Doe"));
        let Data::Redacted(data) = &redacted.data else { panic!("{}", redacted.kind) };
        let versions: Vec<u32> = data.events.iter().map(|erased| erased.version).collect();
        assert_eq!(versions, [1, 2, 3], "the edit has none of the words");
        assert_eq!((&*data.proposed_by, &*redacted.actor), ("carl", "eva"));
        for erased in &data.events {
            let secrets = ["salt", "commandhash"].map(|name| erased.event.value()[name].as_str().unwrap());
            assert!(secrets.iter().all(|secret| secret.bytes().all(|b| b == b'0')), "{secrets:?}");
        }
        let replaced = desk.replaced();
        let shown = serde_json::to_string(&replaced).unwrap();
        assert!(!shown.contains("Doe") && shown.contains("It was █████."), "{shown}");
        assert_eq!(replaced.blocks, desk.state().blocks);
        assert_eq!(replaced.redactions.len(), 1);
    }

    #[test]
    fn a_second_redaction_finds_words_in_what_the_first_put_there() {
        let mut desk = story();
        desk.given("carl", redact());
        desk.given("eva", confirm());
        let words = json!({"words": "It was", "ground": "Another order"});
        desk.ops("ana", json!([replace("b1", "She lost.")]));
        desk.given("carl", json!({"type": "redact", "data": words}));
        let second = desk.given("eva", json!({"type": "confirm_redaction", "data": {"words": "It was"}}));
        let Data::Redacted(data) = &second.data else { panic!("{}", second.kind) };
        let versions: Vec<u32> = data.events.iter().map(|erased| erased.version).collect();
        assert_eq!(versions, [4, 6], "the edit before, and the first redaction with what it kept");
        let shown = serde_json::to_string(&desk.replaced()).unwrap();
        assert!(!shown.contains("It was") && !shown.contains("Doe"), "{shown}");
    }

    #[test]
    fn it_takes_a_chief_and_another_person_and_the_same_words() {
        let mut desk = story();
        desk.refused("eva", confirm(), Code::WrongStage);
        for actor in ["eva", "ana", "pia", "audra", "bot"] {
            desk.refused(actor, redact(), Code::Forbidden);
        }
        desk.given("carl", redact());
        desk.refused("carl", confirm(), Code::FourEyes);
        for actor in ["ana", "chen", "pia", "audra", "bot"] {
            desk.refused(actor, confirm(), Code::Forbidden);
        }
        let other = json!({"type": "confirm_redaction", "data": {"words": "Is John"}});
        desk.refused("eva", other, Code::Conflict);
        let fewer = json!({"type": "confirm_redaction", "data": {"words": WORDS, "versions": [1]}});
        desk.refused("eva", fewer, Code::Conflict);
        desk.given("ana", json!({"type": "ask", "data": {"text": "John Doe again?", "blocking": false}}));
        desk.refused("eva", confirm(), Code::Conflict);
        desk.given("carl", redact());
        desk.given("eva", confirm());
        desk.refused("eva", confirm(), Code::WrongStage);
        desk.refused(
            "carl",
            json!({"type": "redact", "data": {"words": "Jane", "ground": "G"}}),
            Code::NothingNew,
        );
    }

    #[test]
    fn words_that_still_stand_are_not_erased() {
        let mut desk = Desk::drafted(&["It was John Doe."]);
        desk.refused("carl", redact(), Code::WrongStage);
        desk.given("ana", json!({"type": "edit", "data": {"set": {"headline": "John Doe"}}}));
        desk.ops("ana", json!([replace("b1", "It was somebody.")]));
        desk.refused("carl", redact(), Code::WrongStage);
        let mut desk = Desk::published(&["It was John Doe."]);
        desk.ops("ana", json!([replace("b1", "It was somebody.")]));
        desk.refused("carl", redact(), Code::WrongStatus);
        desk.given("pia", json!({"type": "withdraw", "data": {"notice": "Gone.", "final": true}}));
        desk.given("carl", redact());
        desk.given("eva", confirm());
        desk.refused("ana", json!({"type": "ask", "data": {"text": "Why?"}}), Code::Withdrawn);
    }

    #[test]
    fn an_article_keeps_its_subject_on_the_wire_and_its_digests() {
        let mut desk = Desk::new();
        let data = json!({"slug": "s", "language": "en", "headline": "H", "section": "courts/doe-trial",
                          "markdown": "Nobody came."});
        desk.given("ana", json!({"type": "draft", "data": data}));
        desk.approved();
        desk.given("pia", json!({"type": "publish", "data": {}}));
        desk.given("ana", json!({"type": "edit", "data": {"set": {"section": "courts/trial"}}}));
        desk.approved();
        let note = json!({"kind": "correction", "note": "It was moved."});
        desk.given("pia", json!({"type": "publish", "data": note}));
        let words = |words: &str| json!({"words": words, "ground": "Court order 7"});
        desk.given("carl", json!({"type": "redact", "data": words("doe-trial")}));
        let confirm = json!({"type": "confirm_redaction", "data": {"words": "doe-trial"}});
        let event = desk.given("eva", confirm).clone();
        let Data::Redacted(data) = &event.data else { panic!("{}", event.kind) };
        assert_eq!(data.events.iter().map(|erased| erased.version).collect::<Vec<_>>(), [1]);
        assert_eq!(desk.replaced().home.as_deref(), Some("courts.doe-trial"));
        // What stands in digests alone stands nowhere.
        let digest = serde_json::to_value(desk.state().last_edition().unwrap().words).unwrap();
        let some = digest.as_str().unwrap().get(..4).unwrap();
        desk.refused("carl", json!({"type": "redact", "data": words(some)}), Code::NothingNew);
    }

    #[test]
    fn what_is_wrong_with_a_redaction_is_named() {
        let mut desk = story();
        for (data, place) in [
            (json!({"words": WORDS}), "/data/ground"),
            (json!({"words": WORDS, "ground": "For John Doe"}), "/data/ground"),
            (json!({"words": " ", "ground": "G"}), "/data/words"),
            (json!({"words": "J", "ground": "G"}), "/data/words"),
            (json!({"words": "██", "ground": "G"}), "/data/words"),
        ] {
            let problem = desk.refused("carl", json!({"type": "redact", "data": data}), Code::Invalid);
            assert_eq!(problem.field.as_deref(), Some(place));
            assert!(!problem.detail.contains("Doe"));
        }
    }
}
