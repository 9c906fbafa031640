//! A block's words: what readers see of them, how they are shown, and who wrote them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::text::{self, Content, Spans, Text};

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

pub(super) fn sent_words(content: &Content<Spans>) -> String {
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
    // Backwards, so that of items with the same words the first one stays.
    let same: HashMap<Spans, &Text> = old_texts.iter().rev().map(|old| (old.spans(), *old)).collect();
    let mut at = 0;
    new.map(|spans| {
        // A list's item is held against the item that it most likely was: the same words, else the same place.
        let old = same.get(&spans).or_else(|| old_texts.get(at)).copied();
        at += 1;
        text::attribute(&spans, old, by)
    })
}
