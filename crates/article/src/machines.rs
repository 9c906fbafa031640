//! What of an article is a machine's work.

use std::sync::Arc;

use crate::article::{Article, Block, Tombstone};
use crate::fields::{Field, FieldName, Value};
use crate::text::Text;

impl Article {
    /// Whether machines wrote any of the present words.
    pub fn has_machine_words(&self) -> bool {
        !self.machines.is_empty()
            && self.texts().any(|text| text.writers().any(|by| self.machines.contains(by)))
    }

    /// Whether a block is still a machine's: it wrote some of the words, or was the last to change it.
    pub fn is_machines_block(&self, block: &Block) -> bool {
        self.are_machines(&block.by, block.content.texts())
    }

    /// Whether a field is still a machine's: it wrote some of the words, or was the last to change it.
    pub fn is_machines_field(&self, field: &Field) -> bool {
        let texts = match &field.value {
            Some(Value::Text(text)) => vec![text],
            Some(Value::Image(image)) => vec![&image.alt, &image.caption],
            _ => Vec::new(),
        };
        self.are_machines(&field.by, texts)
    }

    fn are_machines<'a>(&self, by: &Arc<str>, texts: impl IntoIterator<Item = &'a Text>) -> bool {
        let is_machine = |by: &Arc<str>| self.machines.contains(by);
        !self.machines.is_empty()
            && (is_machine(by) || texts.into_iter().any(|text| text.writers().any(is_machine)))
    }

    /// Whether any of what readers would get is a machine's work: words that it wrote, blocks and texts that it was
    /// the last to change, and what it took out or moved since the last edition, which no longer shows and may
    /// matter as much.
    pub fn has_machine_work(&self) -> bool {
        let texts = [FieldName::Headline, FieldName::Standfirst, FieldName::Image];
        let edition = self.last_words_out();
        let is_new = |revision: u32| edition.is_none_or(|edition| revision > edition.revision);
        let took_out = |gone: &Tombstone| is_new(gone.revision) && self.machines.contains(&gone.by);
        let moved = |block: &Block| {
            is_new(block.moved) && block.moved_by.as_ref().is_some_and(|by| self.machines.contains(by))
        };
        !self.machines.is_empty()
            && (texts.iter().filter_map(|name| self.fields.get(*name)).any(|f| self.is_machines_field(f))
                || self.blocks.iter().any(|block| self.is_machines_block(block) || moved(block))
                || self.deleted.values().any(took_out))
    }
}
