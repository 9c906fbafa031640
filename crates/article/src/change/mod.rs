//! A change of the words: what `drafted`, `edited` and `restored` carry, how it is folded, and how it is worked
//! out from what a sender wanted.
//!
//! Wanted operations are made against the article at the sender's `base`. They merge into the present text
//! wherever they touch other blocks and fields than what changed since, and conflict where they touch the same
//! (promise 5). A whole body is first turned into the operations that lead from the body at `base` to it.
//!
//! `merge` does the one, `whole` the other; `content` compares the words of blocks and gives them their writers.

mod content;
mod merge;
mod whole;

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::article::{Article, Block, Broken, Tombstone};
use crate::claims::ClaimMove;
use crate::event::Event;
use crate::fields::{Field, FieldChanges};
use crate::ids::BlockId;
use crate::text::{Content, Text};
use crate::words::Words;

pub(crate) use content::same_content;
pub use content::{attribute_content, same_as_sent, words_of};
pub(crate) use merge::conflict;
pub use merge::{Anchor, Merge, Merged, Wanted};
pub(crate) use whole::out_of_order;
pub use whole::{back_to, towards};

/// New words and metadata, as results: nothing in it needs a library to be read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// New values of fields.
    #[serde(default, skip_serializing_if = "FieldChanges::is_empty")]
    pub fields: FieldChanges,
    /// What happened to blocks, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockOp>,
    /// What that made of claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimMove>,
}

/// What happened to one block.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum BlockOp {
    /// A block was made, or came back by a restore.
    Insert {
        /// Its id.
        block: BlockId,
        /// What it stands after; none: first.
        after: Option<BlockId>,
        /// What it holds.
        content: Content<Text>,
    },
    /// A block's content changed.
    Replace {
        /// The block.
        block: BlockId,
        /// What it holds now.
        content: Content<Text>,
    },
    /// A block went.
    Delete {
        /// The block.
        block: BlockId,
    },
    /// A block moved.
    Move {
        /// The block.
        block: BlockId,
        /// What it stands after now; none: first.
        after: Option<BlockId>,
    },
}

impl fmt::Debug for BlockOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |content: &Content<Text>| Words::from(words_of(content));
        match self {
            Self::Insert { block, after, content } => {
                write!(f, "Insert({block} after {after:?} {:?})", words(content))
            }
            Self::Replace { block, content } => write!(f, "Replace({block} {:?})", words(content)),
            Self::Delete { block } => write!(f, "Delete({block})"),
            Self::Move { block, after } => write!(f, "Move({block} after {after:?})"),
        }
    }
}

impl Change {
    /// Whether readers would see no difference.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.blocks.is_empty()
    }

    /// Folds the change into an article whose revision is already the new one.
    ///
    /// # Errors
    /// [`Broken`] where it names a block or claim that isn't there.
    pub fn fold(&self, article: &mut Article, by: &Arc<str>) -> Result<(), Broken> {
        let revision = article.revision;
        for (name, value) in &self.fields.0 {
            let field = Field { value: value.clone(), revision, by: Arc::clone(by) };
            article.fields.0.insert(*name, Arc::new(field));
        }
        for op in &self.blocks {
            op.fold(article, revision, by)?;
        }
        for moved in &self.claims {
            let claim = article.claim_mut(moved.claim)?;
            claim.state = moved.state;
            claim.found_false = moved.found_false;
            if let Some(place) = moved.place {
                claim.place = place;
            }
            if let Some(sentence) = &moved.sentence {
                claim.sentence = sentence.clone();
            }
            if let Some(version) = moved.ruling
                && !claim.hold_again(version)
            {
                return Err(Broken(format!(
                    "claim {} has no earlier ruling of version {version}",
                    moved.claim
                )));
            }
        }
        Ok(())
    }

    /// Folds the change as an event's.
    pub(crate) fn evolve(&self, article: &mut Article, event: &Event) -> Result<(), Broken> {
        article.revise(event);
        self.fold(article, &event.actor)
    }
}

impl BlockOp {
    fn fold(&self, article: &mut Article, revision: u32, by: &Arc<str>) -> Result<(), Broken> {
        match self {
            BlockOp::Insert { block, after, content } => {
                let at = article.place_after(*after)?;
                article.last_block = article.last_block.max(block.0);
                if article.deleted.contains_key(block) {
                    Arc::make_mut(&mut article.deleted).remove(block);
                }
                let made = Block {
                    id: *block,
                    content: content.clone(),
                    revision,
                    by: Arc::clone(by),
                    made: revision,
                    moved: 0,
                    moved_by: None,
                };
                article.blocks.insert(at, Arc::new(made));
            }
            BlockOp::Replace { block, content } => {
                let place = article.block_place(*block)?;
                let was = Arc::clone(place);
                *place = Arc::new(Block {
                    id: was.id,
                    content: content.clone(),
                    revision,
                    by: Arc::clone(by),
                    made: was.made,
                    moved: was.moved,
                    moved_by: was.moved_by.clone(),
                });
            }
            BlockOp::Delete { block } => {
                let at = article.position(*block)?;
                article.blocks.remove(at);
                Arc::make_mut(&mut article.deleted)
                    .insert(*block, Tombstone { revision, by: Arc::clone(by) });
            }
            BlockOp::Move { block, after } => {
                let from = article.position(*block)?;
                let mut moved = article.blocks.remove(from);
                let place = Arc::make_mut(&mut moved);
                place.moved = revision;
                place.moved_by = Some(Arc::clone(by));
                let at = article.place_after(*after)?;
                article.blocks.insert(at, moved);
            }
        }
        Ok(())
    }
}
