//! What an edit from an older revision may do: it changes what its sender had before them, and nothing that others changed
//! since.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::erased::hidden;
use super::words::{FIELDS, Words};
use crate::torture::journal::Members;

/// An edit between the words that its sender had before them, and those that it meets.
pub(super) struct Merge<'a> {
    pub(super) base: &'a Words,
    pub(super) now: &'a Words,
    /// Whether both are of the same revision.
    pub(super) is_newest: bool,
    pub(super) erased: &'a [String],
}

impl Merge<'_> {
    fn hide(&self, text: Option<&Arc<str>>) -> Option<String> {
        text.map(|text| hidden(text, self.erased))
    }

    fn changed(&self, block: &str) -> bool {
        self.hide(self.base.blocks.get(block)) != self.hide(self.now.blocks.get(block))
    }

    /// A block takes these words, or goes: only where nobody else gave it others since, or they are the same.
    pub(super) fn block(&self, block: &str, sent: Option<&str>) -> Result<(), String> {
        let sent = sent.map(|text| hidden(text, self.erased));
        if self.changed(block) && self.hide(self.now.blocks.get(block)) != sent {
            return Err(format!("{block} was changed since what its writer saw, and was overwritten"));
        }
        Ok(())
    }

    /// The fields as an edit leaves them. What is sent as it was at the base undoes nothing that others did since.
    pub(super) fn fields(&self, set: &Value) -> Result<Words, String> {
        let mut words = self.now.clone();
        for name in FIELDS.map(|(_, name)| name) {
            let sent: Option<Arc<str>> = match set.get(name) {
                Some(Value::String(words)) => Some(words.as_str().into()),
                Some(Value::Null) => None,
                _ => continue,
            };
            let (was, is) = (self.hide(self.base.fields.get(name)), self.hide(self.now.fields.get(name)));
            let wanted = self.hide(sent.as_ref());
            if was != is && wanted != is {
                if wanted == was {
                    continue;
                }
                return Err(format!("{name} was changed since what its writer saw, and was overwritten"));
            }
            match sent {
                Some(text) => drop(words.fields.insert(name.to_owned(), text)),
                None => drop(words.fields.remove(name)),
            }
        }
        Ok(words)
    }

    /// A whole body from an older revision: what others changed or brought since stands as it did, what they took out
    /// doesn't come back, and of the others each is kept or changed as was sent.
    pub(super) fn whole(&self, sent: &BTreeSet<String>, there: &Words) -> Result<(), String> {
        let stand: BTreeSet<String> = there.blocks.values().map(|text| hidden(text, self.erased)).collect();
        for (id, text) in &self.now.blocks {
            let (is, will) = (hidden(text, self.erased), self.hide(there.blocks.get(id)));
            let holds = match will {
                Some(will) if will == is => true,
                _ if self.changed(id) => false,
                Some(will) => sent.contains(&will),
                None => !sent.contains(&is) || stand.contains(&is),
            };
            if !holds {
                return Err(format!("{id} was lost to a whole body that didn't have it so"));
            }
        }
        let mut back = there.blocks.keys().filter(|id| !self.now.blocks.contains_key(*id));
        match back.find(|id| self.base.blocks.contains_key(*id)) {
            Some(id) => Err(format!("{id} was taken out, and a whole body from before brought it back")),
            None => Ok(()),
        }
    }

    /// The order of the blocks after these operations, by which the blocks `new` were made. Where one came from an older
    /// revision, whom of those that came since it stands behind is for the fold to say.
    pub(super) fn order(
        &self,
        ops: &[Value],
        new: &[String],
        there: &[String],
    ) -> Result<Vec<String>, String> {
        let mut order = self.now.order.clone();
        let mut made = new.iter();
        // Those whose place isn't known, and what they stand behind at least.
        let mut loose: Vec<(&String, &str)> = Vec::new();
        for op in ops {
            let (block, after) = (op.text("block").to_owned(), op.text("after"));
            let behind = |order: &[String]| match op.at("after") {
                Value::Null => Some(0),
                _ => order.iter().position(|id| id == after).map(|at| at + 1),
            };
            match op.text("op") {
                "delete" => order.retain(|id| *id != block),
                "insert" => {
                    let Some(id) = made.next() else { continue };
                    match behind(&order).filter(|_| self.is_newest) {
                        Some(at) => {
                            let own = order.iter().skip(at).take_while(|id| new.contains(id)).count();
                            order.insert(at + own, id.clone());
                        }
                        None => loose.push((id, after)),
                    }
                }
                "move" if order.contains(&block) => {
                    order.retain(|id| *id != block);
                    match behind(&order) {
                        Some(at) => order.insert(at, block),
                        // It was taken out meanwhile.
                        None => {
                            loose.extend(self.now.order.iter().find(|id| **id == block).map(|id| (id, "")))
                        }
                    }
                }
                _ => {}
            }
        }
        if loose.is_empty() {
            return Ok(order);
        }
        let at = |id: &str| there.iter().position(|other| other == id);
        let is_loose = |id: &String| loose.iter().any(|(loose, _)| *loose == id);
        let in_turn = loose.iter().zip(loose.iter().skip(1)).filter(|((_, one), (_, next))| one == next);
        let holds = there.iter().filter(|id| !is_loose(id)).eq(order.iter())
            && loose.iter().all(|(id, after)| at(after).is_none() || at(after) < at(id))
            && in_turn.into_iter().all(|((one, _), (next, _))| at(one) < at(next));
        if !holds {
            return Err("blocks that came in have put others, or themselves, out of their order".to_owned());
        }
        Ok(there.to_vec())
    }
}
