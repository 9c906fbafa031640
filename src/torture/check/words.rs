//! Which words must stand where: a model that knows commands and nothing of how they are merged, stored or folded.
//!
//! It is right because of what the load sends: plain paragraphs, each with words of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use copydesk_article::article::Article;
use copydesk_article::event::Event;
use copydesk_article::fields::FieldName;
use serde_json::Value;

use super::Texts;
use super::erased::hidden;
use super::merged::Merge;
use crate::torture::journal::{Members, marked};

/// The fields whose words the load changes.
pub(super) const FIELDS: [(FieldName, &str); 2] =
    [(FieldName::Headline, "headline"), (FieldName::Standfirst, "standfirst")];

/// The words of an article, by block and field, and the order of the blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) blocks: Texts,
    pub(super) fields: Texts,
    pub(super) order: Vec<String>,
}

impl Words {
    fn of(article: &Article) -> Self {
        let text = |block: &copydesk_article::article::Block| {
            block.content.texts().map(|text| text.plain()).collect::<Vec<_>>().join("\n")
        };
        let blocks = article.blocks.iter().map(|block| (block.id.to_string(), text(block).into()));
        let field = |(field, name): (FieldName, &str)| {
            let words = article.fields.value(field)?.words();
            Some((name.to_owned(), words.into()))
        };
        let order = article.blocks.iter().map(|block| block.id.to_string()).collect();
        Self { blocks: blocks.collect(), fields: FIELDS.into_iter().filter_map(field).collect(), order }
    }

    /// Every text of it.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        self.blocks.values().chain(self.fields.values()).map(|text| text.to_string())
    }

    /// The same with erased words replaced.
    pub(super) fn hidden(&self, words: &[String]) -> Self {
        let hide = |texts: &Texts| -> Texts {
            texts.iter().map(|(name, text)| (name.clone(), hidden(text, words).into())).collect()
        };
        Self { blocks: hide(&self.blocks), fields: hide(&self.fields), order: self.order.clone() }
    }
}

/// The words of an article as its commands left them, at each revision.
#[derive(Debug, Default)]
pub(super) struct Model {
    now: Words,
    past: Vec<Words>,
    /// At which revision a block was last moved.
    moved: BTreeMap<String, usize>,
}

impl Model {
    pub(super) fn now(&self) -> &Words {
        &self.now
    }

    /// Takes the fold's word for it, after a fault was found, so that one fault isn't found at every event after it.
    pub(super) fn resume(&mut self, after: &Article) {
        self.now = Words::of(after);
        if let Some(last) = self.past.last_mut() {
            last.clone_from(&self.now);
        }
    }

    /// Goes on by an event, and holds what was folded against what should be there. Of erased words the model knows
    /// what they were, and the fold may not.
    pub(super) fn event(
        &mut self,
        command: Option<&Value>,
        event: &Event,
        after: &Article,
        erased: &[String],
    ) -> Result<(), String> {
        let there = Words::of(after);
        let kind = event.kind.rsplit('.').next().unwrap_or_default();
        if ["drafted", "edited", "restored"].contains(&kind) {
            let applied = match command {
                Some(command) => self.apply(command, &there, erased),
                // Nobody sent it, which is found elsewhere.
                None => {
                    self.now = there.clone();
                    Ok(())
                }
            };
            self.past.push(self.now.clone());
            applied?;
        }
        if self.past.len() != event.revision as usize {
            return Err(format!("revision {} after {} changes of words", event.revision, self.past.len()));
        }
        if erased.is_empty() {
            return compare(&self.now, &there);
        }
        compare(&self.now.hidden(erased), &there.hidden(erased))
    }

    /// The words at a revision, as a command names its base.
    pub(super) fn at(&self, revision: u64) -> Option<&Words> {
        self.past.get(usize::try_from(revision).ok()?.checked_sub(1)?)
    }

    fn apply(&mut self, command: &Value, there: &Words, erased: &[String]) -> Result<(), String> {
        let data = command.at("data");
        if command.text("type") == "draft" {
            let none = Words::default();
            let merge = Merge { base: &none, now: &none, is_newest: true, erased };
            self.now = merge.fields(data)?;
            let texts = data.list("blocks").iter().map(|block| block.text("text"));
            self.now.order = self.made(texts.collect(), there)?;
            return Ok(());
        }
        let base = self.at(command.number("base")).ok_or("it is based on a revision that never was")?;
        let is_newest = command.number("base") == self.past.len() as u64;
        let (base, now) = (base.clone(), self.now.clone());
        let merge = Merge { base: &base, now: &now, is_newest, erased };
        match command.text("type") {
            "restore" => {
                if base.hidden(erased) != now.hidden(erased) {
                    return Err("a restore went back over words that its sender hadn't seen".to_owned());
                }
                let past = self.at(data.number("revision"));
                self.now = past.ok_or("restored to a revision that never was")?.clone();
                self.moved.retain(|block, _| now.blocks.contains_key(block));
                Ok(())
            }
            _ if data.get("markdown").is_some() => self.whole(data.text("markdown"), &merge, there),
            _ => self.edit(command, &merge, there),
        }
    }

    fn edit(&mut self, command: &Value, merge: &Merge<'_>, there: &Words) -> Result<(), String> {
        let (data, base) = (command.at("data"), command.number("base") as usize);
        self.now = merge.fields(data.at("set"))?;
        let mut made = Vec::new();
        for op in data.list("ops") {
            let block = op.text("block");
            match op.text("op") {
                "insert" => made.push(op.at("block").text("text")),
                "replace" => {
                    merge.block(block, Some(op.text("text")))?;
                    self.now.blocks.insert(block.to_owned(), op.text("text").into());
                }
                "delete" => {
                    merge.block(block, None)?;
                    self.now.blocks.remove(block);
                    // What comes back by a restore was never moved.
                    self.moved.remove(block);
                }
                _ => {}
            }
        }
        let new = self.made(made, there)?;
        self.now.order = merge.order(data.list("ops"), &new, &there.order)?;
        let moves = data.list("ops").iter().filter(|op| op.text("op") == "move");
        for block in moves.map(|op| op.text("block")).filter(|_| self.now.order != merge.now.order) {
            if self.moved.insert(block.to_owned(), self.past.len() + 1).is_some_and(|moved| moved > base) {
                return Err(format!("{block} was moved since what its writer saw, and was moved over it"));
            }
        }
        Ok(())
    }

    /// New blocks take the next ids, in the order of the command. Gives them.
    fn made(&mut self, texts: Vec<&str>, there: &Words) -> Result<Vec<String>, String> {
        let number = |id: &str| id.trim_start_matches('b').parse::<u32>().unwrap_or(u32::MAX);
        let mut new: Vec<String> =
            there.blocks.keys().filter(|id| !self.now.blocks.contains_key(*id)).cloned().collect();
        new.sort_by_key(|id| number(id));
        if new.len() != texts.len() {
            return Err(format!("{} blocks are new, of {} that were sent", new.len(), texts.len()));
        }
        for (id, text) in new.iter().zip(texts) {
            self.now.blocks.insert(id.clone(), text.into());
        }
        Ok(new)
    }

    /// A whole body, from the newest revision: these paragraphs and no others, in this order. From an older one it was
    /// merged, and what it brought must be there.
    fn whole(&mut self, markdown: &str, merge: &Merge<'_>, there: &Words) -> Result<(), String> {
        let hide = |text: &str| hidden(text, merge.erased);
        let texts = || markdown.split("\n\n").filter(|text| !text.is_empty());
        let sent: BTreeMap<String, &str> = texts().map(|text| (hide(text), text)).collect();
        let standing = there.order.iter().filter_map(|id| there.blocks.get(id));
        let stand: Vec<String> = standing.map(|text| hide(text)).collect();
        let known: BTreeSet<String> = merge.base.blocks.values().map(|text| hide(text)).collect();
        let holds = match merge.is_newest {
            true => texts().map(hide).eq(stand),
            false => sent.keys().filter(|text| !known.contains(*text)).all(|new| stand.contains(new)),
        };
        if !holds {
            return Err("a whole body was accepted, and isn't what stands there".to_owned());
        }
        if !merge.is_newest {
            merge.whole(&sent.keys().cloned().collect(), there)?;
        }
        let as_sent =
            |text: &Arc<str>| sent.get(&hide(text)).map_or_else(|| Arc::clone(text), |text| Arc::from(*text));
        self.now.blocks = there.blocks.iter().map(|(id, text)| (id.clone(), as_sent(text))).collect();
        self.now.order.clone_from(&there.order);
        Ok(())
    }
}

fn compare(model: &Words, there: &Words) -> Result<(), String> {
    if model == there {
        return Ok(());
    }
    let places = [(&model.blocks, &there.blocks), (&model.fields, &there.fields)];
    for (model, there) in places {
        for name in model.keys().chain(there.keys()) {
            let (ours, theirs) = (model.get(name), there.get(name));
            if ours != theirs {
                let words = |text: Option<&Arc<str>>| match text {
                    Some(text) => marked(text).collect::<Vec<_>>().join(" "),
                    None => "nothing".to_owned(),
                };
                return Err(format!(
                    "{name} should have {}, and has {}",
                    words(ours.map(Arc::clone).as_ref()),
                    words(theirs)
                ));
            }
        }
    }
    Err("the blocks stand in another order".to_owned())
}

/// The marked words that readers may see of an article that is published as it is, and what they are told.
pub(super) fn published(article: &Article, note: Option<&str>) -> BTreeSet<String> {
    let fields = article.fields.values().map(|(_, value)| value.words());
    let blocks = article.blocks.iter().flat_map(|block| block.content.texts().map(|text| text.plain()));
    let texts = fields.chain(blocks).chain(note.map(str::to_owned));
    texts.flat_map(|text| marked(&text).map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The marked words of its headline and text.
pub(super) fn of_text(article: &Article) -> BTreeSet<String> {
    let headline = article.fields.value(FieldName::Headline).map(|value| value.words().to_string());
    let blocks = article.blocks.iter().flat_map(|block| block.content.texts().map(|text| text.plain()));
    let texts = blocks.chain(headline);
    texts.flat_map(|text| marked(&text).map(str::to_owned).collect::<Vec<_>>()).collect()
}
