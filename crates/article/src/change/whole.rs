//! From one whole body to another: what goes, what comes, and as few moves as can be.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::content::same_as_sent;
use super::{Anchor, BlockOp, Wanted};
use crate::article::{Article, Block};
use crate::ids::BlockId;
use crate::text::{Content, Spans, Text, align};

/// The operations that lead from a body to a whole new one: what each new block continues is found by
/// [`align::blocks`]. With them, which block each of the new body will be.
pub fn towards(base: &[Arc<Block>], new: Vec<Content<Spans>>) -> (Vec<Wanted>, Vec<Anchor>) {
    let old: Vec<&Content<Text>> = base.iter().map(|block| &block.content).collect();
    let matched = align::blocks(&old, &new);
    let items = new.into_iter().zip(matched).map(|(content, old)| {
        let block = old.and_then(|at| base.get(at));
        let content = match block {
            Some(block) => keep_unsaid(content, &block.content),
            None => content,
        };
        (block.map(|block| block.id), content)
    });
    let items: Vec<_> = items.collect();
    let ids: Vec<Option<BlockId>> = items.iter().map(|(id, _)| *id).collect();
    let order = Reordering::new(base, &ids);
    let mut wanted: Vec<Wanted> =
        order.deleted.iter().map(|block| Wanted::Delete { block: *block }).collect();
    let mut before = Anchor::Start;
    let mut made = 0;
    let mut blocks = Vec::with_capacity(items.len());
    for (id, content) in items {
        match id {
            None => {
                wanted.push(Wanted::Insert { after: before, content });
                before = Anchor::Made(made);
                made += 1;
            }
            Some(block) => {
                if order.moved.contains(&block) {
                    wanted.push(Wanted::Move { block, after: before });
                }
                let now = base.iter().find(|now| now.id == block);
                if now.is_some_and(|now| !same_as_sent(&now.content, &content)) {
                    wanted.push(Wanted::Replace { block, content });
                }
                before = Anchor::Block(block);
            }
        }
        blocks.push(before);
    }
    (wanted, blocks)
}

/// The operations that lead back to an earlier state of the body, the same ids and writers.
pub fn back_to(now: &Article, then: &Article) -> Vec<BlockOp> {
    let ids: Vec<Option<BlockId>> =
        then.blocks.iter().map(|block| now.block(block.id).map(|block| block.id)).collect();
    let order = Reordering::new(&now.blocks, &ids);
    let mut ops: Vec<BlockOp> = order.deleted.iter().map(|block| BlockOp::Delete { block: *block }).collect();
    let mut after = None;
    for block in &then.blocks {
        match now.block(block.id) {
            None => ops.push(BlockOp::Insert { block: block.id, after, content: block.content.clone() }),
            Some(present) => {
                if order.moved.contains(&block.id) {
                    ops.push(BlockOp::Move { block: block.id, after });
                }
                if present.content != block.content {
                    ops.push(BlockOp::Replace { block: block.id, content: block.content.clone() });
                }
            }
        }
        after = Some(block.id);
    }
    ops
}

/// What must go and what must move for the kept blocks to stand in a new order.
struct Reordering {
    deleted: Vec<BlockId>,
    moved: std::collections::BTreeSet<BlockId>,
}

impl Reordering {
    /// As few moves as can be: the blocks on a longest rising run of old positions stay where they are.
    fn new(old: &[Arc<Block>], new: &[Option<BlockId>]) -> Self {
        let positions: BTreeMap<BlockId, usize> =
            old.iter().enumerate().map(|(at, block)| (block.id, at)).collect();
        let kept: Vec<(BlockId, usize)> =
            new.iter().flatten().filter_map(|id| positions.get(id).map(|at| (*id, *at))).collect();
        let staying = longest_rising(&kept.iter().map(|(_, at)| *at).collect::<Vec<_>>());
        let kept_ids: std::collections::BTreeSet<BlockId> = kept.iter().map(|(id, _)| *id).collect();
        Self {
            deleted: old.iter().map(|block| block.id).filter(|id| !kept_ids.contains(id)).collect(),
            moved: kept
                .iter()
                .enumerate()
                .filter(|(n, _)| !staying.contains(n))
                .map(|(_, (id, _))| *id)
                .collect(),
        }
    }
}

/// The ids that stand out of order in `now`, where `then` has the same ids in another.
pub(crate) fn out_of_order(then: &[BlockId], now: &[BlockId]) -> std::collections::BTreeSet<BlockId> {
    let positions: BTreeMap<BlockId, usize> = then.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    let order: Vec<usize> = now.iter().filter_map(|id| positions.get(id).copied()).collect();
    let staying = longest_rising(&order);
    now.iter().enumerate().filter(|(at, _)| !staying.contains(at)).map(|(_, id)| *id).collect()
}

/// The indexes of a longest strictly rising run of the values.
fn longest_rising(values: &[usize]) -> std::collections::BTreeSet<usize> {
    let mut tails: Vec<(usize, usize)> = Vec::new();
    let mut previous: Vec<Option<usize>> = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let at = tails.partition_point(|(tail, _)| tail < value);
        previous.push(at.checked_sub(1).and_then(|before| tails.get(before)).map(|(_, index)| *index));
        match tails.get_mut(at) {
            Some(tail) => *tail = (*value, index),
            None => tails.push((*value, index)),
        }
    }
    let mut run = std::collections::BTreeSet::new();
    let mut next = tails.last().map(|(_, index)| *index);
    while let Some(index) = next {
        run.insert(index);
        next = previous.get(index).copied().flatten();
    }
    run
}

/// A matched block keeps what Markdown can't say: a quotation's source, a picture's credit and rights, and the
/// parts of a text that its kind doesn't have.
fn keep_unsaid(new: Content<Spans>, old: &Content<Text>) -> Content<Spans> {
    match (new, old) {
        (Content::Quote { text, cite: None }, Content::Quote { cite, .. }) => {
            Content::Quote { text, cite: cite.clone() }
        }
        (
            Content::Image { uri, alt, caption, credit: None, rights: None },
            Content::Image { credit, rights, .. },
        ) => Content::Image { uri, alt, caption, credit: credit.clone(), rights: rights.clone() },
        (new, _) => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longest_rising_run_stays() {
        let run = |values: &[usize]| longest_rising(values).into_iter().collect::<Vec<_>>();
        assert_eq!(run(&[1, 2, 0]), [0, 1]);
        assert_eq!(run(&[0, 3, 1, 2]), [0, 2, 3]);
        assert!(run(&[]).is_empty());
    }
}
