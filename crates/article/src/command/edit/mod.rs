//! `edit`: words and metadata change, by operations on blocks, by fields, or by a whole new body.

mod ops;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::ops::{Nothing, Op, SentOp, read_ops};
use super::shape::{self, Body};
use super::{Case, Data, Decide, Outcome, Right, within_limits};
use crate::article::{Article, Block, Broken};
use crate::bound;
use crate::change::{self, Anchor, Change, Merge, Wanted};
use crate::claims;
use crate::event::{Event, Said};
use crate::fields::{FieldName, SentFields};
use crate::ids::BlockId;
use crate::json::Node;
use crate::limits;
use crate::newsroom::Role;
use crate::problem::{Code, Problem};
use crate::text::{self, Content, Spans, TextWarning};
use crate::words::debug_by_name;

/// The data of `edit`.
#[derive(Clone, PartialEq)]
pub struct Edit {
    set: SentFields,
    ops: Vec<Op>,
    body: Option<Body>,
}

/// `edit` as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape for the schemas; what is read is read part by part")]
pub(crate) struct SentEdit {
    /// Operations on blocks, in order.
    ops: Option<Vec<SentOp>>,
    /// New values of fields; null takes one away.
    set: Option<SentFields>,
    /// A whole body, compared with the one at `base`.
    markdown: Option<String>,
}

debug_by_name! { Edit }

/// Words or metadata changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edited {
    /// What the answer said.
    pub answer: Said,
    /// What changed.
    pub change: Change,
}

impl Decide for Edit {
    type Shape = SentEdit;
    const RIGHT: Right = Right { roles: &[Role::Reporter, Role::Editor], machine: true };
    const NEEDS_BASE: bool = true;

    fn read(data: &Node<'_>) -> Result<Self, Problem> {
        let mut rest = data.clone();
        let (ops, set, markdown) = (rest.take("ops"), rest.take("set"), rest.take("markdown"));
        shape::object::<Nothing>(&rest).map_err(|mut problem| {
            let name = problem.field.as_deref().and_then(|p| p.strip_prefix("/data/")).unwrap_or_default();
            problem.suggestion = crate::json::nearest(name, &["ops", "set", "markdown"]);
            problem
        })?;
        if ops.is_some() && markdown.is_some() {
            return Err(Problem::invalid(
                "/data/markdown",
                "the body comes as ops or as markdown, not as both",
            ));
        }
        if ops.is_none() && set.is_none() && markdown.is_none() {
            return Err(Problem::invalid("/data", "an edit has ops, set or markdown"));
        }
        let set: SentFields = set.map(|set| set.decode("/data/set")).transpose()?.unwrap_or_default();
        for (name, given) in set.needed() {
            if given.as_ref().is_some_and(|value| value.as_deref().is_none_or(text::is_blank)) {
                let pointer = format!("/data/set/{name}");
                let detail =
                    format!("{pointer}: no article is without a {name}; set another or leave it out");
                return Err(Problem::invalid(pointer, detail));
            }
        }
        Ok(Self {
            set,
            ops: ops.as_ref().map(read_ops).transpose()?.unwrap_or_default(),
            body: super::draft::body(None, markdown.as_ref())?,
        })
    }

    fn past(&self, article: &Article, base: u32) -> Vec<u32> {
        let blocks = self.ops.iter().any(|op| match op {
            Op::Insert { after, .. } => after.is_some_and(|block| changed(article, block, base)),
            Op::Replace { block, .. } | Op::Delete { block } => changed(article, *block, base),
            Op::Move { block, after } => {
                changed(article, *block, base) || after.is_some_and(|after| changed(article, after, base))
            }
        });
        // Where an insert goes depends on which blocks after its place the sender hadn't seen.
        let inserts = self.ops.iter().any(|op| matches!(op, Op::Insert { .. }))
            && article.blocks.iter().any(|block| block.made > base || block.moved > base);
        let touches = |name: &FieldName| article.fields.get(*name).is_some_and(|field| field.revision > base);
        if self.body.is_some() || blocks || inserts || FieldName::ALL.iter().any(touches) {
            vec![base]
        } else {
            Vec::new()
        }
    }

    fn decide(&self, case: &Case<'_>) -> Result<Outcome, Problem> {
        let (article, by) = (case.article, case.actor());
        // Where nothing that is touched changed since, the present article stands for the one at base.
        let stand_in;
        let base = match self.past(article, case.base).as_slice() {
            [] if case.base != article.revision => {
                stand_in = Article { revision: case.base, ..article.clone() };
                &stand_in
            }
            _ => case.at(case.base)?,
        };
        // What was dropped, each with the block that it was in.
        let mut dropped: Vec<(TextWarning, Option<Anchor>)> = Vec::new();
        let fields = self.set.clone().checked("/data/set", by, &article.fields)?;
        let wanted = match &self.body {
            Some(body) => {
                let (wanted, blocks) = change::towards(&base.blocks, body.blocks.clone());
                let place = |at: usize| blocks.get(at).copied();
                dropped
                    .extend(body.dropped.iter().map(|one| (one.warning.clone(), one.block.and_then(place))));
                wanted.into_iter().map(|wanted| ("/data/markdown".to_owned(), wanted)).collect()
            }
            None => self.wanted(base, article, &mut dropped)?,
        };
        let merged = Merge { article, base, by }.merge(fields, &wanted)?;
        let nothing_new = || Problem::new(Code::NothingNew, "the edit changes nothing");
        if merged.change.is_empty() {
            return Err(nothing_new());
        }
        let mut change = merged.change;
        let mut after = article.clone();
        after.revision += 1;
        change.fold(&mut after, by).map_err(|broken| Problem::invalid("/data", broken.0))?;
        if !shape::differ(article, &after) {
            return Err(nothing_new());
        }
        within_limits(&after)?;
        bound::edition_fits(&after)?;
        change.claims = claims::follow(article, &after);
        let mut outcome = Outcome::from(Data::Edited(Box::new(Edited { answer: Said::default(), change })));
        let block = |place: Option<Anchor>| match place? {
            Anchor::Start => None,
            Anchor::Made(nth) => merged.made.get(nth).copied(),
            Anchor::Block(block) => Some(block).filter(|block| after.block(*block).is_some()),
        };
        outcome.warnings =
            dropped.iter().map(|(warning, place)| shape::warning(warning, block(*place))).collect();
        outcome.blocks = merged.made;
        Ok(outcome)
    }
}

impl Edit {
    fn wanted(
        &self,
        base: &Article,
        now: &Article,
        dropped: &mut Vec<(TextWarning, Option<Anchor>)>,
    ) -> Result<Vec<(String, Wanted)>, Problem> {
        let anchor = |after: Option<BlockId>| after.map_or(Anchor::Start, Anchor::Block);
        let mut made = 0;
        // What earlier operations of the same command made of blocks: a field that isn't given stays as it then is.
        let mut replaced: HashMap<BlockId, Content<Spans>> = HashMap::new();
        let mut carried = 0;
        let wanted = |(at, op): (usize, &Op)| {
            let pointer = format!("/data/ops/{at}");
            let wanted = match op {
                Op::Insert { after, content, dropped: from } => {
                    dropped.extend(from.iter().map(|one| (one.clone(), Some(Anchor::Made(made)))));
                    made += 1;
                    Wanted::Insert { after: anchor(*after), content: content.clone() }
                }
                Op::Replace { block, sent } => {
                    let there = || base.block(*block).or_else(|| now.block(*block));
                    let spans = |block: &Arc<Block>| block.content.clone().map(|text| text.spans());
                    let mut from = Vec::new();
                    let content = match replaced.remove(block).or_else(|| there().map(spans)) {
                        Some(old) => sent.clone().checked(&pointer, Some(old), &mut from)?,
                        None => {
                            let detail = format!("there is no block {block} at revision {}", base.revision);
                            return Err(Problem::invalid(format!("{pointer}/block"), detail));
                        }
                    };
                    carried += weight(&content);
                    if carried > CARRIED_MAX {
                        let detail = "the blocks replaced in one command come to more than an article may have, many times \
                                      over: replace each block once";
                        return Err(Problem::too_large("article", detail).at(pointer));
                    }
                    dropped.extend(from.into_iter().map(|one| (one, Some(Anchor::Block(*block)))));
                    replaced.insert(*block, content.clone());
                    Wanted::Replace { block: *block, content }
                }
                Op::Delete { block } => Wanted::Delete { block: *block },
                Op::Move { block, after } => Wanted::Move { block: *block, after: anchor(*after) },
            };
            Ok((pointer, wanted))
        };
        self.ops.iter().enumerate().map(wanted).collect()
    }
}

/// How much all that the replacements of one command make of their blocks may weigh. Each block can be replaced a few
/// times; an operation of thirty bytes makes anew all that it leaves as it was.
const CARRIED_MAX: usize = 32 * limits::ARTICLE_BYTES;

/// How many bytes of text a block has, and some for each piece of it.
fn weight(content: &Content<Spans>) -> usize {
    let spans =
        content.texts().flat_map(|text| text.iter().map(|span| span.text.len() + PIECE)).sum::<usize>();
    spans + content.texts().count() * PIECE
}

/// What a piece of text takes beside its words, roughly.
const PIECE: usize = 64;

/// Whether a block changed, moved or went since a revision, as far as the present state can tell.
fn changed(article: &Article, block: BlockId, base: u32) -> bool {
    article.block(block).is_none_or(|block| block.revision > base || block.moved > base)
}

impl Edited {
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        article.writers.insert(event.actor.clone());
        self.change.evolve(article, event)
    }
}
