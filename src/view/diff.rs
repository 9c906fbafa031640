//! What changed between two revisions of an article, field by field and block by block.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use copydesk_article::article::{Article, Block};
use copydesk_article::fields::FieldName;
use copydesk_article::ids::BlockId;
use copydesk_article::text::compare::{Stretch, compare};
use copydesk_article::text::{Run, Text};
use serde::Serialize;

/// What changed between two revisions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    /// The earlier revision.
    pub from: u32,
    /// The later one.
    pub to: u32,
    /// The machines among those who did it.
    pub machines: BTreeSet<Arc<str>>,
    /// The fields that have another value.
    pub fields: BTreeMap<&'static str, FieldDiff>,
    /// The blocks that came, changed, moved, in the order of the later body; then those that went, in the order of
    /// the earlier one.
    pub blocks: Vec<BlockDiff>,
}

/// A field that has another value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldDiff {
    /// The value before; null where there was none.
    pub from: Option<serde_json::Value>,
    /// The value after; null where it was taken away.
    pub to: Option<serde_json::Value>,
    /// Who changed it last.
    pub by: Arc<str>,
}

/// What became of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockChange {
    /// It wasn't there before.
    Added,
    /// It isn't there any more.
    Removed,
    /// It has other content; it may have moved too.
    Changed,
    /// It stands elsewhere.
    Moved,
}

/// A block that came, went, changed or moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BlockDiff {
    /// The block.
    pub block: BlockId,
    /// What became of it.
    pub change: BlockChange,
    /// Whether it stands elsewhere among those that stayed.
    pub moved: bool,
    /// Who did it last.
    pub by: Arc<str>,
    /// Its words, by what became of them; a list's items on lines of their own.
    pub spans: Vec<Stretch>,
}

/// What changed between two states of one article.
pub fn diff(then: &Article, now: &Article) -> Diff {
    let fields = FieldName::ALL.iter().filter_map(|name| {
        let (was, is) = (then.fields.value(*name), now.fields.value(*name));
        let same = match (was, is) {
            (Some(was), Some(is)) => was.same_as(is),
            (was, is) => was.is_none() && is.is_none(),
        };
        let by = &now.fields.get(*name).or_else(|| then.fields.get(*name))?.by;
        let shown = |value: Option<&copydesk_article::fields::Value>| value.map(|value| value.shown());
        let field = FieldDiff { from: shown(was), to: shown(is), by: Arc::clone(by) };
        (!same).then_some((name.name(), field))
    });
    let before: HashMap<BlockId, &Arc<Block>> = then.blocks.iter().map(|block| (block.id, block)).collect();
    let moved = moved(then, now);
    let mut blocks = Vec::new();
    for block in &now.blocks {
        let was = before.get(&block.id);
        let moved = moved.contains(&block.id);
        let (change, by) = match was {
            None => (BlockChange::Added, &block.by),
            Some(was) if was.content != block.content => (BlockChange::Changed, &block.by),
            Some(_) if moved => (BlockChange::Moved, block.moved_by.as_ref().unwrap_or(&block.by)),
            Some(_) => continue,
        };
        let old = was.map(|was| words(was)).unwrap_or_default();
        let spans = compare(&old, &words(block), by);
        blocks.push(BlockDiff { block: block.id, change, moved, by: Arc::clone(by), spans });
    }
    let stays: BTreeSet<BlockId> = now.blocks.iter().map(|block| block.id).collect();
    for block in then.blocks.iter().filter(|block| !stays.contains(&block.id)) {
        let by = now.deleted.get(&block.id).map_or(&block.by, |tombstone| &tombstone.by);
        let spans = compare(&words(block), &Text::default(), by);
        let (change, by) = (BlockChange::Removed, Arc::clone(by));
        blocks.push(BlockDiff { block: block.id, change, moved: false, by, spans });
    }
    let machines = then.machines.union(&now.machines).cloned().collect();
    Diff { from: then.revision, to: now.revision, machines, fields: fields.collect(), blocks }
}

/// A block's words as one text.
fn words(block: &Block) -> Text {
    let mut runs: Vec<Run> = Vec::new();
    for text in block.content.texts() {
        if !runs.is_empty() {
            let end = Run {
                text: "\n".to_owned(),
                by: Arc::clone(&block.by),
                strong: false,
                emphasis: false,
                href: None,
            };
            runs.push(end);
        }
        runs.extend(text.runs().iter().cloned());
    }
    Text::new(runs)
}

/// The fewest blocks of both bodies that have to move to lead from the one order to the other.
pub(super) fn moved(then: &Article, now: &Article) -> BTreeSet<BlockId> {
    let place: HashMap<BlockId, usize> =
        then.blocks.iter().enumerate().map(|(at, block)| (block.id, at)).collect();
    let both: Vec<(BlockId, usize)> =
        now.blocks.iter().filter_map(|block| Some((block.id, *place.get(&block.id)?))).collect();
    // The longest line of places that rises: `ends` has, for each length, the least place that ends such a line.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(both.len());
    let place_at = |index: usize| both.get(index).map_or(usize::MAX, |(_, place)| *place);
    for (index, (_, place)) in both.iter().enumerate() {
        let length = ends.partition_point(|end| place_at(*end) < *place);
        before.push(length.checked_sub(1).and_then(|shorter| ends.get(shorter).copied()));
        match ends.get_mut(length) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let mut moved: BTreeSet<BlockId> = both.iter().map(|(id, _)| *id).collect();
    let mut at = ends.last().copied();
    while let Some(index) = at {
        if let Some((id, _)) = both.get(index) {
            moved.remove(id);
        }
        at = before.get(index).copied().flatten();
    }
    moved
}
