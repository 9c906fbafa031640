//! From blocks to a document.

use super::super::block::Content;
use super::super::inline::{self, Dialect};
use super::super::run::Text;
use super::super::{is_blank, marks};

/// Writes blocks as a document that [`read`](super::read()) reads to the same.
pub fn write<'a>(blocks: impl Iterator<Item = &'a Content<Text>>) -> String {
    let mut doc = String::new();
    // A list right after one of its sort would read as its continuation: they take turns.
    let mut list_before: Option<(bool, bool)> = None;
    for block in blocks {
        let start = doc.len();
        let mut list = None;
        match block {
            Content::Paragraph { text } => line("", text, &mut doc),
            Content::Heading { level, text } => {
                line(&format!("{} ", "#".repeat(usize::from(*level).clamp(1, 6))), text, &mut doc);
            }
            Content::Quote { text, .. } => line("> ", text, &mut doc),
            Content::List { items, ordered } => {
                let other = list_before == Some((*ordered, false));
                for (index, item) in items.iter().enumerate() {
                    let marker = match (ordered, other) {
                        (false, false) => "- ".to_owned(),
                        (false, true) => "* ".to_owned(),
                        (true, false) => format!("{}. ", index + 1),
                        (true, true) => format!("{}) ", index + 1),
                    };
                    line(&marker, item, &mut doc);
                }
                list = Some((*ordered, other));
            }
            Content::Image { uri, alt, caption, .. } => {
                image(uri, alt.as_ref(), caption.as_ref(), &mut doc);
            }
        }
        if doc.len() > start {
            doc.push('\n');
            list_before = list;
        }
    }
    if doc.ends_with("\n\n") {
        doc.pop();
    }
    doc
}

fn line(marker: &str, text: &Text, doc: &mut String) {
    let words = inline::write(&text.spans(), Dialect::Markdown);
    if !words.is_empty() {
        doc.push_str(marker);
        doc.push_str(&words);
        doc.push('\n');
    }
}

fn image(uri: &str, alt: Option<&Text>, caption: Option<&Text>, doc: &mut String) {
    doc.push_str("![");
    if let Some(alt) = alt {
        doc.push_str(&inline::write(&alt.spans(), Dialect::MarkdownAlt));
    }
    doc.push_str("](");
    inline::address(uri, Dialect::Markdown, doc);
    // A title has no marks of its own, so the caption's are written into it as in a JSON field.
    if let Some(caption) = caption.map(marks::write).filter(|caption| !is_blank(caption)) {
        doc.push_str(" \"");
        inline::title(&caption, doc);
        doc.push('"');
    }
    doc.push_str(")\n");
}
