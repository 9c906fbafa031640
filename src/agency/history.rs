//! What an article has of its agency, read off its history.

use std::collections::BTreeMap;
use std::sync::Arc;

use copydesk_article::article::Block;
use copydesk_article::change::{BlockOp, Change};
use copydesk_article::fields::{FieldName, Value as Stored};
use copydesk_article::ids::BlockId;
use copydesk_article::text::{Content, Text};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::Item;

/// The words and fields that a line of changes led to.
#[derive(Clone, Default)]
pub struct Copy {
    /// The body.
    pub blocks: Vec<Arc<Block>>,
    /// The fields that have a value.
    pub fields: BTreeMap<FieldName, Stored>,
}

/// What the article had after its last import.
#[derive(Clone)]
pub struct Imported {
    /// The version that was imported.
    pub version: String,
    /// The article's revision with it.
    pub revision: u32,
    /// What the agency sent by then, the newsroom's own changes left out.
    pub agency: Copy,
    /// The article.
    pub article: Copy,
}

impl Copy {
    /// Takes a change. `order` is what says where a block stands of which this copy hasn't what stands before it.
    fn apply(&mut self, change: &Change, order: Option<&Copy>) {
        for (name, value) in &change.fields.0 {
            match value {
                Some(value) => self.fields.insert(*name, value.clone()),
                None => self.fields.remove(name),
            };
        }
        for op in &change.blocks {
            match op {
                BlockOp::Insert { block, after, content } => {
                    let made = made(*block, content);
                    self.place(made, *after, order);
                }
                BlockOp::Replace { block, content } => {
                    if let Some(at) = self.position(*block)
                        && let Some(there) = self.blocks.get_mut(at)
                    {
                        *there = made(*block, content);
                    }
                }
                BlockOp::Delete { block } => self.blocks.retain(|there| there.id != *block),
                BlockOp::Move { block, after } => {
                    if let Some(at) = self.position(*block) {
                        let moved = self.blocks.remove(at);
                        self.place(moved, *after, order);
                    }
                }
            }
        }
    }

    /// A block's place.
    pub fn position(&self, block: BlockId) -> Option<usize> {
        self.blocks.iter().position(|there| there.id == block)
    }

    /// A block's content.
    pub fn block(&self, block: BlockId) -> Option<&Content<Text>> {
        self.blocks.iter().find(|there| there.id == block).map(|there| &there.content)
    }

    fn place(&mut self, block: Arc<Block>, after: Option<BlockId>, order: Option<&Copy>) {
        let mut after = after;
        // What stands before it may be the newsroom's: then the nearest before that which is the agency's.
        while let (Some(anchor), Some(order)) = (after, order) {
            if self.position(anchor).is_some() {
                break;
            }
            let before = order.position(anchor).and_then(|at| order.blocks.get(at.checked_sub(1)?));
            after = before.map(|before| before.id);
        }
        let at = after.and_then(|after| self.position(after)).map_or(0, |at| at + 1);
        self.blocks.insert(at, block);
    }
}

fn made(id: BlockId, content: &Content<Text>) -> Arc<Block> {
    let (content, by) = (content.clone(), Arc::from(""));
    Arc::new(Block { id, content, revision: 0, by, made: 0, moved: 0, moved_by: None })
}

/// What a command has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It drafted the article.
    Drafted,
    /// It did something else.
    Other,
}

/// What a command has done on an article with these events, if anything.
pub fn done(events: &[Value], command: Uuid) -> Option<Done> {
    let command = command.to_string();
    let event = events.iter().find(|event| text(event, "command") == command)?;
    Some(if text(event, "type").ends_with(".drafted") { Done::Drafted } else { Done::Other })
}

/// The last import of the item's story among these events, in order; of those before `until`, where that is one of
/// their commands.
///
/// # Errors
/// Where an event that changed words is of a newer build than this.
pub fn last_import(
    events: &[Value],
    item: &Item,
    until: Uuid,
) -> Result<Option<Imported>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Changed {
        change: Change,
    }
    let mut agency = Copy::default();
    let mut article = Copy::default();
    let mut last = None;
    let until = until.to_string();
    for event in events.iter().take_while(|event| text(event, "command") != until) {
        let kind = text(event, "type");
        if !["drafted", "edited", "restored"]
            .iter()
            .any(|changed| kind.strip_prefix("copydesk.article.") == Some(*changed))
        {
            continue;
        }
        let Some(data) = event.get("data") else { continue };
        let Changed { change } = Changed::deserialize(data)?;
        article.apply(&change, None);
        let brought = match change.fields.0.get(&FieldName::Source) {
            Some(Some(Stored::Source(source))) => source.version.clone(),
            _ => None,
        };
        let Some(version) =
            brought.filter(|version| item.command_for(version).to_string() == text(event, "command"))
        else {
            continue;
        };
        agency.apply(&change, Some(&article));
        let revision = event.get("revision").and_then(Value::as_u64);
        let revision = revision.and_then(|revision| u32::try_from(revision).ok()).unwrap_or_default();
        last = Some(Imported { version, revision, agency: agency.clone(), article: article.clone() });
    }
    Ok(last)
}

fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    event.get(name).and_then(Value::as_str).unwrap_or_default()
}
