//! What a newer version of an agency's story changes: from what the agency sent before to what it sends now.

use std::collections::BTreeMap;
use std::sync::Arc;

use copydesk_article::change::{self, Anchor, Wanted};
use copydesk_article::fields::{FieldName, Fields, SentFields, Value as Stored};
use copydesk_article::ids::BlockId;
use copydesk_article::problem::Problem;
use copydesk_article::text::{Content, Spans, marks};
use serde_json::{Map, Value, json};

use super::history::{Copy, Imported};
use super::item::{Item, shown};

/// Fields that an agency leaves to the desk where it doesn't name them: what the desk chose stays.
const CHOSEN_HERE: &[FieldName] = &[FieldName::Slug, FieldName::Language, FieldName::Section];

/// A newer version, made ready.
#[derive(Debug)]
pub struct Newer {
    /// The command that edits the article.
    pub edit: Value,
    /// Where the newsroom had changed the same before the last import. The service finds what it changed since.
    pub conflicts: Vec<Conflict>,
}

/// Where the agency and the newsroom changed the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// `block b3`, `field headline`.
    pub place: String,
    /// What the agency had sent before.
    pub was: Option<String>,
    /// What it sends now.
    pub agency: Option<String>,
    /// What stands here.
    pub here: Option<String>,
}

/// The edit that brings a newer version, at the revision of the last import.
///
/// # Errors
/// Where the core refuses a field.
pub fn newer(item: &Item, last: &Imported) -> Result<Newer, Problem> {
    let mut conflicts = Vec::new();
    let set = set(item, last, &mut conflicts)?;
    let ops = ops(item, last, &mut conflicts);
    let mut data = json!({"set": set});
    if !ops.is_empty()
        && let Some(data) = data.as_object_mut()
    {
        data.insert("ops".to_owned(), ops.into());
    }
    let edit = json!({
        "id": item.command(), "type": "edit", "article": item.article(), "base": last.revision, "data": data,
    });
    Ok(Newer { edit, conflicts })
}

/// The fields that the agency changed.
fn set(item: &Item, last: &Imported, conflicts: &mut Vec<Conflict>) -> Result<Map<String, Value>, Problem> {
    let mut set = Map::new();
    set.insert("source".to_owned(), item.source_field());
    let sent: SentFields = serde_json::from_value(Value::from(item.fields.clone()))
        .map_err(|_| Problem::invalid("/data", "its fields have another shape than an article's"))?;
    let new: BTreeMap<FieldName, Stored> = sent
        .checked("/data/set", &Arc::from(""), &Fields::default())?
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    for name in FieldName::ALL.iter().copied().filter(|name| *name != FieldName::Source) {
        let (was, is) = (last.agency.fields.get(&name), new.get(&name));
        if same(was, is) || (is.is_none() && CHOSEN_HERE.contains(&name)) {
            continue;
        }
        let here = last.article.fields.get(&name);
        if !same(here, was) && !same(here, is) {
            let words = |value: Option<&Stored>| value.map(Stored::words);
            let place = format!("field {}", name.name());
            conflicts.push(Conflict { place, was: words(was), agency: words(is), here: words(here) });
        }
        set.insert(name.name().to_owned(), item.fields.get(name.name()).cloned().unwrap_or_default());
    }
    Ok(set)
}

fn same(a: Option<&Stored>, b: Option<&Stored>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.same_as(b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// The operations on blocks that the agency's new text asks for. An operation can name only blocks that are there, so
/// what is to stand after a block made by the same command is put after the block which that one is put after: moves
/// first, then inserts, which keep their order.
fn ops(item: &Item, last: &Imported, conflicts: &mut Vec<Conflict>) -> Vec<Value> {
    let (wanted, order) = change::towards(&last.agency.blocks, item.blocks.clone());
    let places = Places { order: &order, article: &last.article };
    let (mut changes, mut inserts) = (Vec::new(), Vec::new());
    for wanted in wanted {
        match wanted {
            Wanted::Insert { after, content } => {
                inserts.push(json!({"op": "insert", "after": places.there(after), "block": shown(&content)}));
            }
            Wanted::Replace { block, content } => {
                if clashes(last, block, Some(&content), conflicts) {
                    continue;
                }
                let mut op = whole(&content);
                op.insert("op".to_owned(), "replace".into());
                op.insert("block".to_owned(), json!(block));
                changes.push(op.into());
            }
            Wanted::Delete { block } => {
                if !clashes(last, block, None, conflicts) {
                    changes.push(json!({"op": "delete", "block": block}));
                }
            }
            Wanted::Move { block, after } => {
                let after = places.there(after);
                if last.article.block(block).is_some() && after != Some(block) {
                    changes.push(json!({"op": "move", "block": block, "after": after}));
                }
            }
        }
    }
    changes.extend(inserts);
    changes
}

/// Whether nothing is to be asked for: the newsroom had changed the block already, which is a conflict unless it is as
/// the agency wants it.
fn clashes(
    last: &Imported,
    block: BlockId,
    content: Option<&Content<Spans>>,
    conflicts: &mut Vec<Conflict>,
) -> bool {
    let (was, here) = (last.agency.block(block), last.article.block(block));
    let is = |stored: &Content<_>| content.is_some_and(|content| change::same_as_sent(stored, content));
    match (was, here) {
        (_, None) if content.is_none() => true,
        (_, Some(here)) if is(here) => true,
        (Some(was), Some(here)) if change::words_of(was) == change::words_of(here) => false,
        (was, here) => {
            let agency = content.map(|content| {
                let texts: Vec<String> = content.texts().map(|text| marks::write_spans(text)).collect();
                texts.join("\n")
            });
            let place = format!("block {block}");
            conflicts.push(Conflict {
                place,
                was: was.map(change::words_of),
                agency,
                here: here.map(change::words_of),
            });
            true
        }
    }
}

/// A block as senders write it, with null for what a picture no longer has: what isn't given stays.
fn whole(content: &Content<Spans>) -> Map<String, Value> {
    let mut block = match shown(content) {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    match content {
        Content::Image { .. } => {
            for part in ["alt", "caption", "credit", "rights"] {
                block.entry(part).or_insert(Value::Null);
            }
        }
        Content::List { ordered, .. } => {
            block.insert("ordered".to_owned(), (*ordered).into());
        }
        _ => {}
    }
    block
}

/// Where blocks of the new text come to stand in the article.
struct Places<'a> {
    /// The new text, a block each: one that was there, or one that is made.
    order: &'a [Anchor],
    article: &'a Copy,
}

impl Places<'_> {
    /// The nearest block of the new text, from this one back, that the article has; none: first.
    fn there(&self, after: Anchor) -> Option<BlockId> {
        let at = self.order.iter().position(|anchor| *anchor == after)?;
        let before = self.order.get(..=at)?.iter().rev();
        let mut blocks = before.filter_map(|anchor| match anchor {
            Anchor::Block(block) => Some(*block),
            _ => None,
        });
        blocks.find(|block| self.article.block(*block).is_some())
    }
}
