//! Which words must stand where: a model that knows commands and nothing of how they are merged, stored or folded.
//!
//! It is right because of what the load sends: plain paragraphs, whole bodies only from the newest revision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use copydesk_article::article::Article;
use copydesk_article::event::Event;
use copydesk_article::fields::FieldName;
use serde_json::Value;

use super::Texts;
use super::erased::hidden;
use crate::torture::journal::{Members, marked};

/// The fields whose words the load changes.
const FIELDS: [(FieldName, &str); 2] =
    [(FieldName::Headline, "headline"), (FieldName::Standfirst, "standfirst")];

/// The words of an article, by block and field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) blocks: Texts,
    fields: Texts,
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
        Self { blocks: blocks.collect(), fields: FIELDS.into_iter().filter_map(field).collect() }
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
        Self { blocks: hide(&self.blocks), fields: hide(&self.fields) }
    }

    fn set(&mut self, fields: &Value) {
        for (_, name) in FIELDS {
            match fields.get(name) {
                Some(Value::String(words)) => {
                    drop(self.fields.insert(name.to_owned(), words.as_str().into()))
                }
                Some(Value::Null) => drop(self.fields.remove(name)),
                _ => {}
            }
        }
    }
}

/// The words of an article as its commands left them, at each revision.
#[derive(Debug, Default)]
pub(super) struct Model {
    now: Words,
    past: Vec<Words>,
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
            match command {
                Some(command) => self.apply(command, &there, erased)?,
                // Nobody sent it, which is found elsewhere.
                None => self.now = there.clone(),
            }
            self.past.push(self.now.clone());
        }
        if self.past.len() != event.revision as usize {
            return Err(format!("revision {} after {} changes of words", event.revision, self.past.len()));
        }
        if erased.is_empty() {
            return compare(&self.now, &there);
        }
        compare(&self.now.hidden(erased), &there.hidden(erased))
    }

    fn apply(&mut self, command: &Value, there: &Words, erased: &[String]) -> Result<(), String> {
        let data = command.at("data");
        match command.text("type") {
            "draft" => {
                self.now = Words::default();
                self.now.set(data);
                let texts = data.list("blocks").iter().map(|block| block.text("text"));
                self.made(texts.collect(), there)
            }
            "restore" => {
                let revision = data.number("revision") as usize;
                let past = revision.checked_sub(1).and_then(|at| self.past.get(at));
                self.now = past.ok_or("restored to a revision that never was")?.clone();
                Ok(())
            }
            _ if data.get("markdown").is_some() => self.whole(command, there, erased),
            _ => {
                self.now.set(data.at("set"));
                let mut made = Vec::new();
                for op in data.list("ops") {
                    match op.text("op") {
                        "insert" => made.push(op.at("block").text("text")),
                        "replace" => {
                            self.now.blocks.insert(op.text("block").to_owned(), op.text("text").into());
                        }
                        "delete" => drop(self.now.blocks.remove(op.text("block"))),
                        _ => {}
                    }
                }
                self.made(made, there)
            }
        }
    }

    /// New blocks take the next ids, in the order of the command.
    fn made(&mut self, texts: Vec<&str>, there: &Words) -> Result<(), String> {
        let number = |id: &str| id.trim_start_matches('b').parse::<u32>().unwrap_or(u32::MAX);
        let mut new: Vec<&String> =
            there.blocks.keys().filter(|id| !self.now.blocks.contains_key(*id)).collect();
        new.sort_by_key(|id| number(id));
        if new.len() != texts.len() {
            return Err(format!("{} blocks are new, of {} that were sent", new.len(), texts.len()));
        }
        for (id, text) in new.into_iter().zip(texts) {
            self.now.blocks.insert(id.clone(), text.into());
        }
        Ok(())
    }

    /// A whole body, from the newest revision: these paragraphs and no others. From an older one it was merged, and what
    /// it brought must be there.
    fn whole(&mut self, command: &Value, there: &Words, erased: &[String]) -> Result<(), String> {
        let markdown = command.at("data").text("markdown");
        let texts = markdown.split("\n\n").filter(|text| !text.is_empty());
        let sent: BTreeMap<String, &str> = texts.map(|text| (hidden(text, erased), text)).collect();
        let stand: BTreeSet<String> = there.blocks.values().map(|text| hidden(text, erased)).collect();
        let base = command.number("base") as usize;
        let known: BTreeSet<String> = base
            .checked_sub(1)
            .and_then(|at| self.past.get(at))
            .into_iter()
            .flat_map(|words| words.blocks.values().map(|text| hidden(text, erased)))
            .collect();
        let holds = match base == self.past.len() {
            true => sent.keys().eq(&stand),
            false => sent.keys().filter(|text| !known.contains(*text)).all(|new| stand.contains(new)),
        };
        if !holds {
            return Err("a whole body was accepted, and isn't what stands there".to_owned());
        }
        let as_sent = |text: &Arc<str>| {
            sent.get(&hidden(text, erased)).map_or_else(|| Arc::clone(text), |text| Arc::from(*text))
        };
        self.now.blocks = there.blocks.iter().map(|(id, text)| (id.clone(), as_sent(text))).collect();
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
    Err("other words".to_owned())
}

/// The marked words that readers may see of an article that is published as it is, and what they are told.
pub(super) fn published(article: &Article, note: Option<&str>) -> BTreeSet<String> {
    let fields = article.fields.values().map(|(_, value)| value.words());
    let blocks = article.blocks.iter().flat_map(|block| block.content.texts().map(|text| text.plain()));
    let texts = fields.chain(blocks).chain(note.map(str::to_owned));
    texts.flat_map(|text| marked(&text).map(str::to_owned).collect::<Vec<_>>()).collect()
}
