//! What changed between two states of a text, word by word, and who did it.

use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::attribute::tokens;
use super::diff;
use super::run::Text;
use crate::words::Words;

/// What happened to a stretch of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// They stayed.
    Equal,
    /// They came.
    Insert,
    /// They went.
    Delete,
}

/// A stretch of words that stayed, came or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stretch {
    /// What happened to them.
    pub op: Change,
    /// The words.
    pub text: Words,
    /// Who wrote them; for those that went, who last changed the text.
    pub by: Arc<str>,
}

/// What changed between two texts. Those that stayed or came, in order, are the new text; those that stayed or went,
/// the old one.
pub fn compare(old: &Text, new: &Text, changed_by: &Arc<str>) -> Vec<Stretch> {
    let (old_words, new_words) = (old.plain(), new.plain());
    let (old_tokens, new_tokens) = (tokens(&old_words), tokens(&new_words));
    let only =
        |tokens: &[(usize, &str)]| tokens.iter().map(|(_, token)| (*token).to_owned()).collect::<Vec<_>>();
    let pairs = diff::matches(&only(&old_tokens), &only(&new_tokens));
    let start =
        |tokens: &[(usize, &str)], at: usize, end: usize| tokens.get(at).map_or(end, |(start, _)| *start);
    let mut stretches = Stretches::default();
    let (mut old_at, mut new_at) = (0, 0);
    let ends = (old_tokens.len(), new_tokens.len());
    for (old_index, new_index) in pairs.into_iter().chain([ends]) {
        let old_start = start(&old_tokens, old_index, old_words.len());
        let new_start = start(&new_tokens, new_index, new_words.len());
        let gone = old_words.get(old_at..old_start).unwrap_or_default();
        stretches.push(Change::Delete, gone, changed_by);
        stretches.written(Change::Insert, new, new_at..new_start);
        let token = new_tokens.get(new_index).map_or(0, |(_, token)| token.len());
        stretches.written(Change::Equal, new, new_start..new_start + token);
        (old_at, new_at) = (old_start + token, new_start + token);
    }
    let stretch = |(op, text, by): (Change, String, Arc<str>)| Stretch { op, text: text.into(), by };
    stretches.all.into_iter().map(stretch).collect()
}

#[derive(Default)]
struct Stretches {
    all: Vec<(Change, String, Arc<str>)>,
    /// The run of the new text that was come to, and where it begins.
    run: (usize, usize),
}

impl Stretches {
    fn push(&mut self, op: Change, text: &str, by: &Arc<str>) {
        match self.all.last_mut() {
            _ if text.is_empty() => {}
            Some((last, words, writer)) if *last == op && *writer == *by => words.push_str(text),
            _ => self.all.push((op, text.to_owned(), Arc::clone(by))),
        }
    }

    /// A stretch of the new text, by its writers; none begins before one that was asked for earlier.
    fn written(&mut self, op: Change, text: &Text, range: Range<usize>) {
        let (first, mut at) = self.run;
        for (nth, run) in text.runs().iter().enumerate().skip(first) {
            if at >= range.end {
                break;
            }
            self.run = (nth, at);
            let (start, end) = (range.start.max(at), range.end.min(at + run.text.len()));
            if start < end {
                self.push(op, run.text.get(start - at..end - at).unwrap_or_default(), &run.by);
            }
            at += run.text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{attribute, marks};
    use super::*;

    fn text(source: &str, old: Option<&Text>, by: &str) -> Text {
        attribute(&marks::read(source).unwrap().0, old, &by.into())
    }

    fn shown(stretches: &[Stretch]) -> String {
        let sign = |op| match op {
            Change::Equal => "=",
            Change::Insert => "+",
            Change::Delete => "-",
        };
        stretches.iter().map(|s| format!("{}{}[{}]", sign(s.op), s.by, s.text.as_str())).collect()
    }

    #[test]
    fn each_stretch_says_who() {
        let first = text("The mayor said he would resign.", None, "ana");
        let second = text("The *mayor* said he would not resign today.", Some(&first), "ben");
        assert_eq!(
            shown(&compare(&first, &second, &"ben".into())),
            "=ana[The mayor said he would ]+ben[not ]=ana[resign]+ben[ today]=ben[.]"
        );
        assert_eq!(
            shown(&compare(&second, &Text::default(), &"cem".into())),
            format!("-cem[{}]", second.plain())
        );
    }

    proptest! {
        #[test]
        fn the_stretches_make_up_both_texts(old in marks::tests::nasty(16), new in marks::tests::nasty(16)) {
            let old = text(&old, None, "ana");
            let new = text(&new, Some(&old), "ben");
            let stretches = compare(&old, &new, &"ben".into());
            let side = |other: Change| -> String {
                stretches.iter().filter(|s| s.op != other).map(|s| s.text.as_str()).collect()
            };
            prop_assert_eq!(side(Change::Insert), old.plain());
            prop_assert_eq!(side(Change::Delete), new.plain());
        }
    }
}
