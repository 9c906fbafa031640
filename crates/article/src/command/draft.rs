//! `draft`: an article begins, with whatever of it there is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shape::{self, Body, SentBlock};
use super::{Case, Data, Decide, Outcome, Right, within_limits};
use crate::article::{Article, Broken};
use crate::bound;
use crate::change::{Anchor, Change, Merge, Wanted};
use crate::event::{Event, Said};
use crate::fields::{FieldName, SentFields};
use crate::json::Node;
use crate::newsroom::Role;
use crate::problem::Problem;
use crate::text::BlockWarning;
use crate::words::debug_by_name;

/// The data of `draft`.
#[derive(Clone, PartialEq)]
pub struct Draft {
    fields: SentFields,
    body: Body,
}

/// `draft` as senders write it: fields, and the body as blocks or as Markdown.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "the shape for the schemas; what is read is read part by part")]
pub(crate) struct SentDraft {
    #[serde(flatten)]
    fields: SentFields,
    blocks: Option<Vec<SentBlock>>,
    markdown: Option<String>,
}

debug_by_name! { Draft }

/// An article was begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drafted {
    /// What the answer said.
    pub answer: Said,
    /// The first words and metadata.
    pub change: Change,
}

impl Decide for Draft {
    type Shape = SentDraft;
    const RIGHT: Right = Right { roles: &[Role::Reporter], machine: true };

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let mut rest = data.clone();
        let (blocks, markdown) = (rest.take("blocks"), rest.take("markdown"));
        let fields: SentFields = unknown_among(shape::object(&rest))?;
        for (name, given) in fields.needed() {
            if !matches!(given, Some(Some(value)) if !crate::text::is_blank(value)) {
                return Err(Problem::invalid(
                    format!("/data/{name}"),
                    format!("/data/{name} is required to draft"),
                ));
            }
        }
        let body = body(blocks.as_ref(), markdown.as_ref())?.unwrap_or_default();
        Ok(Self { fields, body })
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let fields = self.fields.clone().checked("/data", case.actor(), &case.article.fields)?;
        let fields: BTreeMap<FieldName, _> =
            fields.into_iter().filter(|(_, value)| value.is_some()).collect();
        let wanted: Vec<(String, Wanted)> = self
            .body
            .blocks
            .iter()
            .enumerate()
            .map(|(at, content)| {
                let after = at.checked_sub(1).map_or(Anchor::Start, Anchor::Made);
                (format!("/data/blocks/{at}"), Wanted::Insert { after, content: content.clone() })
            })
            .collect();
        let merge = Merge { article: case.article, base: case.article, by: case.actor() };
        let merged = merge.merge(fields, &wanted)?;
        let mut after = case.article.clone();
        after.revision = 1;
        merged.change.fold(&mut after, case.actor()).map_err(|broken| Problem::invalid("/data", broken.0))?;
        within_limits(&after)?;
        bound::edition_fits(&after)?;
        let mut outcome = Outcome::from(Data::Drafted(Box::new(Drafted {
            answer: Said::default(),
            change: merged.change,
        })));
        let made = |at: usize| merged.made.get(at).copied();
        let dropped = self.body.dropped.iter();
        outcome.warnings =
            dropped.map(|one| shape::warning(&one.warning, one.block.and_then(made))).collect();
        outcome.blocks = merged.made;
        Ok(outcome)
    }
}

impl Drafted {
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        article.drafted = event.time;
        article.writers.insert(event.actor.clone());
        self.change.evolve(article, event)
    }
}

/// The fields that a draft has beside its metadata are among the right names too.
fn unknown_among(fields: Result<SentFields, Problem>) -> Result<SentFields, Problem> {
    fields.map_err(|mut problem| {
        let name =
            problem.field.as_deref().and_then(|pointer| pointer.strip_prefix("/data/")).unwrap_or_default();
        if problem.code == crate::problem::Code::UnknownField && problem.suggestion.is_none() {
            problem.suggestion = crate::json::nearest(name, &["blocks", "markdown"]);
        }
        problem
    })
}

/// A body sent as blocks or as Markdown.
pub(super) fn body(blocks: Option<&Node<'_>>, markdown: Option<&Node<'_>>) -> Result<Option<Body>, Problem> {
    match (blocks, markdown) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(Problem::invalid("/data/markdown", "the body comes as blocks or as markdown, not as both"))
        }
        (None, Some(markdown)) => {
            let source: String = markdown.decode("/data/markdown")?;
            shape::markdown("/data/markdown", &source).map(Some)
        }
        (Some(blocks), None) => {
            let Node::Array(items) = blocks else {
                return Err(Problem::invalid("/data/blocks", "/data/blocks: expected a list"));
            };
            shape::few_blocks(items.len())?;
            let mut body = Body::default();
            for (at, item) in items.iter().enumerate() {
                let pointer = format!("/data/blocks/{at}");
                let mut dropped = Vec::new();
                body.blocks.push(item.decode::<SentBlock>(&pointer)?.checked(
                    &pointer,
                    None,
                    &mut dropped,
                )?);
                let dropped = dropped.into_iter().map(|warning| BlockWarning { block: Some(at), warning });
                body.dropped.extend(dropped);
            }
            Ok(Some(body))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::Desk;
    use crate::article::{Stage, Status};
    use crate::fields::FieldName;
    use crate::problem::Code;

    fn draft(more: Value) -> Value {
        let mut data = json!({"slug": "s", "language": "en"});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"type": "draft", "data": data})
    }

    #[test]
    fn a_draft_is_revision_one_and_its_blocks_are_numbered() {
        let mut desk = Desk::new();
        let blocks = json!([{"kind": "paragraph", "text": "One."}, {"kind": "list", "items": ["a"]}]);
        let event =
            desk.given("bot", draft(json!({"blocks": blocks, "headline": "", "byline": null}))).clone();
        assert_eq!((event.articleversion, event.revision), (1, 1));
        assert_eq!(desk.ids(), ["b1", "b2"]);
        assert_eq!((desk.stage(), desk.state().status()), (Stage::Draft, Status::Unpublished));
        assert!(desk.state().fields.get(FieldName::Headline).is_none(), "empty is the same as left out");
        desk.refused("ana", draft(json!({})), Code::Exists);
    }

    #[test]
    fn a_body_comes_as_blocks_or_as_markdown() {
        let mut desk = Desk::new();
        let both = draft(json!({"markdown": "x", "blocks": []}));
        assert_eq!(desk.refused("ana", both, Code::Invalid).field.as_deref(), Some("/data/markdown"));
        let event = desk.given("ana", draft(json!({"markdown":
            "# Head\n\nA [link](ftp://x.test/) here.\n\n- a\n- b\n\n> said\n\n![alt](https://x.test/a.jpg)\n"})));
        assert_eq!(event.data.said().warnings[0].code, "link_dropped");
        assert_eq!(desk.words(), ["Head", "A link here.", "a\nb", "said", "https://x.test/a.jpg\nalt"]);
    }

    #[test]
    fn a_dropped_link_names_its_block() {
        let blocks = json!([
            {"kind": "paragraph", "text": "[One](https://x.test/)."},
            {"kind": "list", "items": ["a", "[b](ftp://x.test/)"]},
            {"kind": "image", "uri": "https://x.test/a.jpg", "caption": "[c](x)"},
        ]);
        for (body, expected) in [
            (json!({"blocks": blocks}), ["b2", "b3"]),
            (json!({"markdown": "# Head\n\nA [link](ftp://x.test/).\n\n- a\n- [b](x)\n"}), ["b2", "b3"]),
        ] {
            let mut desk = Desk::new();
            let event = desk.given("ana", draft(body));
            let warnings = serde_json::to_value(&event.data.said().warnings).unwrap();
            let named: Vec<_> = warnings.as_array().unwrap().iter().map(|one| &one["block"]).collect();
            assert_eq!(named, expected);
            assert!(warnings[0]["detail"].as_str().unwrap().contains("block b2"), "{warnings}");
        }
    }

    #[test]
    fn of_more_warnings_than_an_answer_may_have_the_first_are_kept() {
        let mut desk = Desk::new();
        let text = "[a](x) ".repeat(crate::limits::WARNINGS + 1);
        let event = desk.given("ana", draft(json!({"markdown": text})));
        assert_eq!(event.data.said().warnings.len(), crate::limits::WARNINGS);
    }

    #[test]
    fn what_is_wrong_with_a_draft_is_named() {
        let mut desk = Desk::new();
        for (more, place) in [
            (json!({"slug": null}), "/data/slug"),
            (json!({"slug": " \u{200b}"}), "/data/slug"),
            (json!({"language": ""}), "/data/language"),
            (json!({"language": "e n"}), "/data/language"),
            (json!({"urgency": 10}), "/data/urgency"),
            (json!({"blocks": [{"text": "x"}]}), "/data/blocks/0/kind"),
            (json!({"blocks": [{"kind": "paragraph"}]}), "/data/blocks/0/text"),
            (
                json!({"blocks": [{"kind": "paragraph", "text": "**"}, {"kind": "paragraph", "text": " "}]}),
                "/data/blocks/1/text",
            ),
            (json!({"blocks": [{"kind": "heading", "text": "x"}]}), "/data/blocks/0/level"),
            (json!({"blocks": [{"kind": "heading", "text": "x", "level": 7}]}), "/data/blocks/0/level"),
            (json!({"blocks": [{"kind": "list", "items": []}]}), "/data/blocks/0/items"),
            (json!({"blocks": [{"kind": "list", "items": ["a", ""]}]}), "/data/blocks/0/items/1"),
            (json!({"blocks": [{"kind": "image", "alt": "x"}]}), "/data/blocks/0/uri"),
            (json!({"blocks": [{"kind": "image", "uri": "urn:x:y"}]}), "/data/blocks/0/uri"),
            (json!({"blocks": {}}), "/data/blocks"),
        ] {
            let problem = desk.refused("ana", draft(more.clone()), Code::Invalid);
            assert_eq!(problem.field.as_deref(), Some(place), "{more}");
        }
        for (more, place, right) in [
            (json!({"block": []}), "/data/block", "blocks"),
            (json!({"headlien": "x"}), "/data/headlien", "headline"),
            (json!({"blocks": [{"kind": "paragraph", "text": "x", "id": "b1"}]}), "/data/blocks/0/id", ""),
            (json!({"image": {"uri": "https://x.test/a", "captoin": "x"}}), "/data/image/captoin", "caption"),
        ] {
            let problem = desk.refused("ana", draft(more), Code::UnknownField);
            assert_eq!(problem.field.as_deref(), Some(place));
            assert_eq!(problem.suggestion.unwrap_or_default(), right, "{place}");
        }
    }

    #[test]
    fn text_is_kept_in_nfc() {
        let mut desk = Desk::new();
        let data = json!({"headline": "Cafe\u{301}", "blocks": [{"kind": "paragraph", "text": "Cafe\u{301} *e\u{301}*"}]});
        desk.given("ana", draft(data));
        assert_eq!(desk.state().fields.text(FieldName::Headline).unwrap().plain(), "Caf\u{e9}");
        assert_eq!(desk.words(), ["Caf\u{e9} *\u{e9}*"]);
    }
}
