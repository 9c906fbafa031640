//! Operations on blocks, as senders write them.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::shape::SentBlock;
use crate::ids::BlockId;
use crate::json::Node;
use crate::problem::Problem;
use crate::text::{Content, Spans, TextWarning};

/// An operation on blocks, its block's fields not yet held against the block that it replaces.
#[derive(Clone, PartialEq)]
pub(super) enum Op {
    Insert { after: Option<BlockId>, content: Content<Spans>, dropped: Vec<TextWarning> },
    Replace { block: BlockId, sent: SentBlock },
    Delete { block: BlockId },
    Move { block: BlockId, after: Option<BlockId> },
}

/// An operation as senders write it.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "lowercase")]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape for the schemas; what is read is read part by part")]
pub(crate) enum SentOp {
    /// Make a block.
    Insert {
        /// What it stands after; null: first.
        after: Option<BlockId>,
        /// What it holds.
        block: SentBlock,
    },
    /// Change a block: fields that aren't given stay.
    Replace {
        /// The block.
        block: BlockId,
        #[serde(flatten)]
        content: SentBlock,
    },
    /// Take a block out.
    Delete {
        /// The block.
        block: BlockId,
    },
    /// Move a block.
    Move {
        /// The block.
        block: BlockId,
        /// What it stands after; null: first.
        after: Option<BlockId>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

pub(super) fn read_ops(ops: &Node<'_>) -> Result<Vec<Op>, Problem> {
    let Node::Array(items) = ops else {
        return Err(Problem::invalid("/data/ops", "/data/ops: expected a list"));
    };
    // Each block can be made, changed, moved and taken out in one command; nothing needs more.
    let most = 4 * crate::limits::BLOCKS;
    if items.len() > most {
        return Err(Problem::too_large("blocks", format!("at most {most} operations in one command")));
    }
    items.iter().enumerate().map(|(at, item)| read_op(&format!("/data/ops/{at}"), item)).collect()
}

fn read_op(pointer: &str, item: &Node<'_>) -> Result<Op, Problem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Name {
        Insert,
        Replace,
        Delete,
        Move,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Place {
        after: Option<BlockId>,
    }
    let mut rest = item.clone();
    let missing =
        |name: &str| Problem::invalid(format!("{pointer}/{name}"), format!("{pointer}/{name} is required"));
    let name = rest.take("op").ok_or_else(|| missing("op"))?.decode::<Name>(&format!("{pointer}/op"))?;
    if let Name::Insert = name {
        let block = rest.take("block").ok_or_else(|| missing("block"))?;
        let place = format!("{pointer}/block");
        let mut dropped = Vec::new();
        let content = block.decode::<SentBlock>(&place)?.checked(&place, None, &mut dropped)?;
        let after = rest.decode::<Place>(pointer)?.after;
        return Ok(Op::Insert { after, content, dropped });
    }
    let block =
        rest.take("block").ok_or_else(|| missing("block"))?.decode::<BlockId>(&format!("{pointer}/block"))?;
    match name {
        Name::Replace => Ok(Op::Replace { block, sent: rest.decode(pointer)? }),
        Name::Delete => rest.decode::<Nothing>(pointer).map(|_| Op::Delete { block }),
        Name::Move | Name::Insert => {
            if rest.get("after").is_none() {
                return Err(missing("after"));
            }
            Ok(Op::Move { block, after: rest.decode::<Place>(pointer)?.after })
        }
    }
}
