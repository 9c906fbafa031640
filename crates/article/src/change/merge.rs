//! What a sender wants, made against their base, merged into the present article.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::content::{attribute_content, same_as_sent, same_content, sent_words, words_of};
use super::{BlockOp, Change};
use crate::article::{Article, Block};
use crate::fields::{FieldName, Value};
use crate::ids::BlockId;
use crate::problem::{Conflict, Problem};
use crate::text::{Content, Spans};
use crate::words::Shown;

/// Where a wanted block should stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// First.
    Start,
    /// After a block that the sender saw.
    Block(BlockId),
    /// After the block made by an earlier insert of the same command, by its number among the inserts.
    Made(usize),
}

/// An operation as a sender wants it, made against the article at their base.
#[derive(Clone, PartialEq)]
pub enum Wanted {
    /// Make a block.
    Insert {
        /// Where.
        after: Anchor,
        /// What it holds.
        content: Content<Spans>,
    },
    /// Change a block's content.
    Replace {
        /// The block.
        block: BlockId,
        /// What it shall hold.
        content: Content<Spans>,
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
        /// Where to.
        after: Anchor,
    },
}

/// Merges what a sender wants into the present article.
pub struct Merge<'a> {
    /// The present article.
    pub article: &'a Article,
    /// The article at the sender's base; the present one where they are the same.
    pub base: &'a Article,
    /// Who sends.
    pub by: &'a Arc<str>,
}

/// What came of a merge.
#[derive(Debug, Default)]
pub struct Merged {
    /// The change, claims not yet followed.
    pub change: Change,
    /// The blocks made, in the order wanted.
    pub made: Vec<BlockId>,
}

impl Merge<'_> {
    /// The change that does what is wanted. `pointers` name the place of each wanted operation in the command.
    ///
    /// # Errors
    /// `invalid` for blocks that the sender can't have seen; `conflict` with every conflicting block and field.
    pub fn merge(
        &self,
        fields: BTreeMap<FieldName, Option<Value>>,
        wanted: &[(String, Wanted)],
    ) -> Result<Merged, Problem> {
        let mut conflicts = Vec::new();
        let mut merged = Merged::default();
        for (name, value) in fields {
            self.field(name, value, &mut merged.change, &mut conflicts);
        }
        let mut working = Working {
            merge: self,
            now: Cow::Borrowed(self.article),
            made: Vec::new(),
            ops: Vec::new(),
            folded: 0,
            conflicts: &mut conflicts,
        };
        for (pointer, wanted) in wanted {
            working.take(pointer, wanted)?;
        }
        merged.change.blocks = working.ops;
        merged.made = working.made;
        if conflicts.is_empty() { Ok(merged) } else { Err(conflict(self.article, conflicts)) }
    }

    fn field(
        &self,
        name: FieldName,
        value: Option<Value>,
        change: &mut Change,
        conflicts: &mut Vec<Conflict>,
    ) {
        let present = self.article.fields.get(name);
        let now = present.and_then(|field| field.value.as_ref());
        if same_value(now, value.as_ref()) {
            return;
        }
        let was = self.base.fields.value(name);
        match present {
            Some(field) if field.revision > self.base.revision && !same_value(now, was) => {
                // Setting a field to what it was at base is no wish to undo what another did since.
                if same_value(was, value.as_ref()) {
                    return;
                }
                conflicts.push(Conflict {
                    block: None,
                    field: Some(name.name().to_owned()),
                    was: was.map(|value| value.shown().into()),
                    yours: value.map(|value| value.shown().into()),
                    theirs: now.map(|value| value.shown().into()),
                    revision: field.revision,
                    by: field.by.to_string(),
                });
            }
            _ => {
                change.fields.0.insert(name, value);
            }
        }
    }
}

fn same_value(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.same_as(b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// The refusal that carries conflicts.
pub(crate) fn conflict(article: &Article, conflicts: Vec<Conflict>) -> Problem {
    let first = conflicts.first().map(|conflict| {
        let what = match (&conflict.block, &conflict.field) {
            (Some(block), _) => format!("block {block}"),
            (_, Some(field)) => format!("field {field}"),
            _ => "the text".to_owned(),
        };
        format!(
            "{what} changed at revision {}, by {}; both texts are in \"conflicts\"",
            conflict.revision, conflict.by
        )
    });
    let detail = first.unwrap_or_else(|| "the words changed meanwhile".to_owned());
    Problem {
        conflicts,
        revision: Some(article.revision),
        ..Problem::new(crate::problem::Code::Conflict, detail)
    }
}

struct Working<'a> {
    merge: &'a Merge<'a>,
    /// With the operations before this one.
    now: Cow<'a, Article>,
    made: Vec<BlockId>,
    ops: Vec<BlockOp>,
    /// How many of them `now` has.
    folded: usize,
    conflicts: &'a mut Vec<Conflict>,
}

impl Working<'_> {
    fn take(&mut self, pointer: &str, wanted: &Wanted) -> Result<(), Problem> {
        self.fold()?;
        match wanted {
            Wanted::Insert { after, content } => self.insert(pointer, *after, content),
            Wanted::Replace { block, content } => self.replace(pointer, *block, content),
            Wanted::Delete { block } => self.delete(pointer, *block),
            Wanted::Move { block, after } => self.shift(pointer, *block, *after),
        }
    }

    /// Has what came before in `now`: most edits have one operation, and a long article isn't copied for it.
    fn fold(&mut self) -> Result<(), Problem> {
        for op in self.ops.iter().skip(self.folded) {
            // An operation made from what stands in `now` always folds into it.
            op.fold(self.now.to_mut(), u32::MAX, self.merge.by)
                .map_err(|broken| Problem::invalid("/data", broken.0))?;
        }
        self.folded = self.ops.len();
        Ok(())
    }

    /// Whether the sender can have seen the block.
    fn seen(&self, pointer: &str, block: BlockId) -> Result<(), Problem> {
        if self.merge.base.block(block).is_some() || self.merge.article.block(block).is_some() {
            return Ok(());
        }
        Err(Problem::invalid(
            pointer,
            format!("there is no block {block} at revision {}", self.merge.base.revision),
        ))
    }

    /// What changed in a block since the base, if anything did: who, and at which revision.
    fn changed_since(&self, block: BlockId) -> Option<(u32, Arc<str>)> {
        let base = self.merge.base;
        match (self.merge.article.block(block), base.block(block)) {
            (Some(now), Some(was))
                if now.revision > base.revision && !same_content(&now.content, &was.content) =>
            {
                Some((now.revision, Arc::clone(&now.by)))
            }
            (Some(now), None) if now.revision > base.revision => Some((now.revision, Arc::clone(&now.by))),
            (None, Some(_)) => {
                let gone = self.merge.article.deleted.get(&block);
                Some(gone.map_or((self.merge.article.revision, "".into()), |gone| {
                    (gone.revision, Arc::clone(&gone.by))
                }))
            }
            _ => None,
        }
    }

    fn clash(&mut self, block: BlockId, yours: Option<String>, (revision, by): (u32, Arc<str>)) {
        let words =
            |article: &Article| article.block(block).map(|block| Shown::from(words_of(&block.content)));
        self.conflicts.push(Conflict {
            block: Some(block.to_string()),
            field: None,
            was: words(self.merge.base),
            yours: yours.map(Shown::from),
            theirs: words(self.merge.article),
            revision,
            by: by.to_string(),
        });
    }

    fn insert(&mut self, pointer: &str, after: Anchor, content: &Content<Spans>) -> Result<(), Problem> {
        let id = BlockId(self.now.last_block + 1);
        let content = attribute_content(content.clone(), None, self.merge.by);
        let at = match after {
            Anchor::Start => self.past_newer(0),
            Anchor::Made(nth) => match self.made.get(nth) {
                Some(made) => self.now.position(*made).map_or(self.now.blocks.len(), |at| at + 1),
                None => self.now.blocks.len(),
            },
            Anchor::Block(block) => {
                self.seen(&format!("{pointer}/after"), block)?;
                let at = match self.now.position(block) {
                    Ok(at) => at + 1,
                    Err(_) => self.where_it_was(block),
                };
                self.past_newer(at)
            }
        };
        let after = at.checked_sub(1).and_then(|before| self.now.blocks.get(before)).map(|block| block.id);
        self.made.push(id);
        self.ops.push(BlockOp::Insert { block: id, after, content });
        Ok(())
    }

    /// The first place from `at` on that isn't held by blocks that came there since the base, by others or by
    /// this command: of several inserts at one place the earlier comes first. A block that went and came back
    /// since was before the sender all the same.
    fn past_newer(&self, at: usize) -> usize {
        let base = self.merge.base;
        let newer = |block: &&Arc<Block>| {
            block.made == u32::MAX
                || (block.moved > base.revision && block.moved != u32::MAX)
                || (block.made > base.revision && base.block(block.id).is_none())
        };
        at + self.now.blocks.iter().skip(at).take_while(newer).count()
    }

    /// The place at which a block stood that is no longer there: after the nearest block before it, by the order
    /// at the base, that still is and hasn't been moved away since.
    fn where_it_was(&self, block: BlockId) -> usize {
        let base = self.merge.base.revision;
        let stayed = |block: &Arc<Block>| block.moved <= base || block.moved == u32::MAX;
        let blocks = self.now.blocks.iter().enumerate().filter(|(_, block)| stayed(block));
        let there: std::collections::HashMap<BlockId, usize> =
            blocks.map(|(at, block)| (block.id, at)).collect();
        let before = self.merge.base.blocks.iter().take_while(|other| other.id != block);
        before.filter_map(|other| there.get(&other.id)).last().map_or(0, |at| at + 1)
    }

    fn replace(&mut self, pointer: &str, block: BlockId, content: &Content<Spans>) -> Result<(), Problem> {
        self.seen(&format!("{pointer}/block"), block)?;
        let Some(now) = self.now.block(block).cloned() else {
            if self.merge.article.block(block).is_some() {
                return Err(Problem::invalid(
                    format!("{pointer}/block"),
                    format!("block {block} was deleted earlier in this command"),
                ));
            }
            if let Some(change) = self.changed_since(block) {
                self.clash(block, Some(sent_words(content)), change);
            }
            return Ok(());
        };
        if same_as_sent(&now.content, content) {
            return Ok(());
        }
        if let Some(change) = self.changed_since(block)
            && now.revision != u32::MAX
        {
            self.clash(block, Some(sent_words(content)), change);
            return Ok(());
        }
        let content = attribute_content(content.clone(), Some(&now.content), self.merge.by);
        self.ops.push(BlockOp::Replace { block, content });
        Ok(())
    }

    fn delete(&mut self, pointer: &str, block: BlockId) -> Result<(), Problem> {
        self.seen(&format!("{pointer}/block"), block)?;
        if self.now.block(block).is_none() {
            return Ok(());
        }
        if let Some(change) = self.changed_since(block) {
            self.clash(block, None, change);
            return Ok(());
        }
        self.ops.push(BlockOp::Delete { block });
        Ok(())
    }

    fn shift(&mut self, pointer: &str, block: BlockId, after: Anchor) -> Result<(), Problem> {
        self.seen(&format!("{pointer}/block"), block)?;
        let Some(now) = self.now.block(block).cloned() else { return Ok(()) };
        let after = match after {
            Anchor::Start => None,
            Anchor::Made(nth) => self.made.get(nth).copied(),
            Anchor::Block(anchor) if anchor == block => {
                let detail = "a block can't stand after itself";
                return Err(Problem::invalid(format!("{pointer}/after"), detail));
            }
            Anchor::Block(anchor) => {
                self.seen(&format!("{pointer}/after"), anchor)?;
                match self.now.block(anchor) {
                    Some(anchor) => Some(anchor.id),
                    None => {
                        let at = self.where_it_was(anchor);
                        let before = self.now.blocks.iter().take(at).rev().find(|other| other.id != block);
                        before.map(|other| other.id)
                    }
                }
            }
        };
        let at = self.now.position(block).unwrap_or_default();
        let present = at.checked_sub(1).and_then(|before| self.now.blocks.get(before)).map(|block| block.id);
        if present == after {
            return Ok(());
        }
        if now.moved > self.merge.base.revision && now.moved != u32::MAX {
            let place = |after: Option<BlockId>| after.map_or("first".to_owned(), |id| format!("after {id}"));
            let was = self.merge.base.predecessor(block);
            self.conflicts.push(Conflict {
                block: Some(block.to_string()),
                field: None,
                was: Some(place(was).into()),
                yours: Some(place(after).into()),
                theirs: Some(place(present).into()),
                revision: now.moved,
                by: now.moved_by.as_ref().unwrap_or(&now.by).to_string(),
            });
            return Ok(());
        }
        self.ops.push(BlockOp::Move { block, after });
        Ok(())
    }
}
