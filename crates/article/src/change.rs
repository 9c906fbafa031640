//! A change of the words: what `drafted`, `edited` and `restored` carry, how it is folded, and how it is worked
//! out from what a sender wanted.
//!
//! Wanted operations are made against the article at the sender's `base`. They merge into the present text
//! wherever they touch other blocks and fields than what changed since, and conflict where they touch the same
//! (promise 5). A whole body is first turned into the operations that lead from the body at `base` to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::article::{Article, Block, Broken, Tombstone};
use crate::claims::ClaimMove;
use crate::event::Event;
use crate::fields::{Field, FieldChanges, FieldName, Value};
use crate::ids::BlockId;
use crate::problem::{Conflict, Problem};
use crate::text::{self, Content, Spans, Text, align};
use crate::words::{Shown, Words};

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
            let claim = article
                .claims
                .get_mut(&moved.claim)
                .ok_or_else(|| Broken(format!("there is no claim {}", moved.claim)))?;
            let claim = Arc::make_mut(claim);
            claim.state = moved.state;
            if let Some(place) = moved.place {
                claim.place = place;
            }
            if let Some(sentence) = &moved.sentence {
                claim.sentence = sentence.clone();
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
                article.deleted.remove(block);
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
                let block = article.block_mut(*block)?;
                block.content = content.clone();
                block.revision = revision;
                block.by = Arc::clone(by);
            }
            BlockOp::Delete { block } => {
                let at = article.position(*block)?;
                article.blocks.remove(at);
                article.deleted.insert(*block, Tombstone { revision, by: Arc::clone(by) });
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
            now: self.article.clone(),
            made: Vec::new(),
            ops: Vec::new(),
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
    now: Article,
    made: Vec<BlockId>,
    ops: Vec<BlockOp>,
    conflicts: &'a mut Vec<Conflict>,
}

impl Working<'_> {
    fn take(&mut self, pointer: &str, wanted: &Wanted) -> Result<(), Problem> {
        match wanted {
            Wanted::Insert { after, content } => self.insert(pointer, *after, content),
            Wanted::Replace { block, content } => self.replace(pointer, *block, content),
            Wanted::Delete { block } => self.delete(pointer, *block),
            Wanted::Move { block, after } => self.shift(pointer, *block, *after),
        }
    }

    fn apply(&mut self, op: BlockOp) -> Result<(), Problem> {
        // An operation made from what stands in `now` always folds into it.
        op.fold(&mut self.now, u32::MAX, self.merge.by)
            .map_err(|broken| Problem::invalid("/data", broken.0))?;
        self.ops.push(op);
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
        self.apply(BlockOp::Insert { block: id, after, content })
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
        self.apply(BlockOp::Replace { block, content })
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
        self.apply(BlockOp::Delete { block })
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
        self.apply(BlockOp::Move { block, after })
    }
}

/// The operations that lead from a body to a whole new one: what each new block continues is found by
/// [`align::blocks`]. With them, which block each of the new body will be.
pub fn towards(base: &Article, new: Vec<Content<Spans>>) -> (Vec<Wanted>, Vec<Anchor>) {
    let old: Vec<&Content<Text>> = base.blocks.iter().map(|block| &block.content).collect();
    let matched = align::blocks(&old, &new);
    let items = new.into_iter().zip(matched).map(|(content, old)| {
        let block = old.and_then(|at| base.blocks.get(at));
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
                if base.block(block).is_some_and(|now| !same_as_sent(&now.content, &content)) {
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
    let order = Reordering::new(now, &ids);
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
    fn new(old: &Article, new: &[Option<BlockId>]) -> Self {
        let positions: BTreeMap<BlockId, usize> =
            old.blocks.iter().enumerate().map(|(at, block)| (block.id, at)).collect();
        let kept: Vec<(BlockId, usize)> =
            new.iter().flatten().filter_map(|id| positions.get(id).map(|at| (*id, *at))).collect();
        let staying = longest_rising(&kept.iter().map(|(_, at)| *at).collect::<Vec<_>>());
        let kept_ids: std::collections::BTreeSet<BlockId> = kept.iter().map(|(id, _)| *id).collect();
        Self {
            deleted: old.blocks.iter().map(|block| block.id).filter(|id| !kept_ids.contains(id)).collect(),
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

/// Whether readers see the same in a stored block and in one as sent.
pub fn same_as_sent(stored: &Content<Text>, sent: &Content<Spans>) -> bool {
    stored.clone().map(|text| text.spans()) == *sent
}

pub(crate) fn same_content(a: &Content<Text>, b: &Content<Text>) -> bool {
    a == b || a.clone().map(|text| text.spans()) == b.clone().map(|text| text.spans())
}

/// A block's words with marks, for conflicts: list items on lines of their own.
pub fn words_of(content: &Content<Text>) -> String {
    sent_words(&content.clone().map(|text| text.spans()))
}

fn sent_words(content: &Content<Spans>) -> String {
    let mut words: Vec<String> = content.texts().map(|spans| text::marks::write_spans(spans)).collect();
    if let Content::Image { uri, .. } = content {
        words.insert(0, uri.clone());
    }
    words.join("\n")
}

/// Gives the words of a block their writers: those that were there keep theirs.
pub fn attribute_content(new: Content<Spans>, old: Option<&Content<Text>>, by: &Arc<str>) -> Content<Text> {
    let old_texts: Vec<&Text> = old.map(|old| old.texts().collect()).unwrap_or_default();
    if let (Content::Image { .. }, Some(Content::Image { alt: old_alt, caption: old_caption, .. })) =
        (&new, old)
    {
        let Content::Image { uri, alt, caption, credit, rights } = new else {
            return new.map(|_| Text::default());
        };
        let alt = alt.map(|spans| text::attribute(&spans, old_alt.as_ref(), by));
        let caption = caption.map(|spans| text::attribute(&spans, old_caption.as_ref(), by));
        return Content::Image { uri, alt, caption, credit, rights };
    }
    let mut at = 0;
    new.map(|spans| {
        // A list's item is held against the item that it most likely was: the same words, else the same place.
        let same = old_texts.iter().find(|old| old.spans() == spans);
        let old = same.or_else(|| old_texts.get(at)).copied();
        at += 1;
        text::attribute(&spans, old, by)
    })
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
