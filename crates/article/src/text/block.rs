//! A block's content, the same shape as sent (its texts spans) and as stored (its texts runs).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run::Text;
use crate::words::Masked;

/// What a block holds. `T` is what its texts are made of: [`Text`] as stored,
/// [`Spans`](super::Spans) as sent.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Content<T = Text> {
    /// A paragraph.
    Paragraph {
        /// Its words.
        text: T,
    },
    /// A heading.
    Heading {
        /// 1 to 6, 1 the highest.
        level: u8,
        /// Its words.
        text: T,
    },
    /// One paragraph of a quotation set apart.
    Quote {
        /// Its words.
        text: T,
        /// Whose words, or where from.
        #[serde(skip_serializing_if = "Option::is_none")]
        cite: Option<String>,
    },
    /// A list.
    List {
        /// One text an item.
        items: Vec<T>,
        /// Whether it is numbered.
        #[serde(default, skip_serializing_if = "is_false")]
        ordered: bool,
    },
    /// A picture.
    Image {
        /// Where it is.
        uri: String,
        /// What it shows, for those who can't see it.
        #[serde(skip_serializing_if = "Option::is_none")]
        alt: Option<T>,
        /// What stands under it.
        #[serde(skip_serializing_if = "Option::is_none")]
        caption: Option<T>,
        /// Who made it.
        #[serde(skip_serializing_if = "Option::is_none")]
        credit: Option<String>,
        /// On what terms it may be used.
        #[serde(skip_serializing_if = "Option::is_none")]
        rights: Option<String>,
    },
}

impl<T: fmt::Debug> fmt::Debug for Content<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paragraph { text } => f.debug_struct("Paragraph").field("text", text).finish(),
            Self::Heading { level, text } => {
                f.debug_struct("Heading").field("level", level).field("text", text).finish()
            }
            Self::Quote { text, cite } => f
                .debug_struct("Quote")
                .field("text", text)
                .field("cite", &cite.as_deref().map(Masked))
                .finish(),
            Self::List { items, ordered } => {
                f.debug_struct("List").field("items", items).field("ordered", ordered).finish()
            }
            Self::Image { uri, alt, caption, credit, rights } => f
                .debug_struct("Image")
                .field("uri", &Masked(uri))
                .field("alt", alt)
                .field("caption", caption)
                .field("credit", &credit.as_deref().map(Masked))
                .field("rights", &rights.as_deref().map(Masked))
                .finish(),
        }
    }
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A paragraph.
    Paragraph,
    /// A heading.
    Heading,
    /// A quotation set apart.
    Quote,
    /// A list.
    List,
    /// A picture.
    Image,
}

impl<T> Content<T> {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Paragraph { .. } => Kind::Paragraph,
            Self::Heading { .. } => Kind::Heading,
            Self::Quote { .. } => Kind::Quote,
            Self::List { .. } => Kind::List,
            Self::Image { .. } => Kind::Image,
        }
    }

    /// Its texts in the order they are read: a list's items, an image's alt before its caption.
    pub fn texts(&self) -> impl Iterator<Item = &T> {
        let (one, items, two) = match self {
            Self::Paragraph { text } | Self::Heading { text, .. } | Self::Quote { text, .. } => {
                (Some(text), [].as_slice(), None)
            }
            Self::List { items, .. } => (None, items.as_slice(), None),
            Self::Image { alt, caption, .. } => (alt.as_ref(), [].as_slice(), caption.as_ref()),
        };
        one.into_iter().chain(items).chain(two)
    }

    /// The same block with each of its texts made into another, in the order of
    /// [`texts`](Self::texts).
    pub fn map<U>(self, mut text_to: impl FnMut(T) -> U) -> Content<U> {
        match self {
            Self::Paragraph { text } => Content::Paragraph { text: text_to(text) },
            Self::Heading { level, text } => Content::Heading { level, text: text_to(text) },
            Self::Quote { text, cite } => Content::Quote { text: text_to(text), cite },
            Self::List { items, ordered } => {
                Content::List { items: items.into_iter().map(text_to).collect(), ordered }
            }
            Self::Image { uri, alt, caption, credit, rights } => {
                let alt = alt.map(&mut text_to);
                let caption = caption.map(&mut text_to);
                Content::Image { uri, alt, caption, credit, rights }
            }
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_block_says_only_what_it_has_and_refuses_what_it_does_not_know() {
        for json in [
            r#"{"kind":"paragraph","text":[{"text":"a ","by":"ana"},{"text":"b","by":"ben","strong":true,"href":"https://x.org"}]}"#,
            r#"{"kind":"heading","level":2,"text":[]}"#,
            r#"{"kind":"quote","text":[],"cite":"c"}"#,
            r#"{"kind":"list","items":[[],[]],"ordered":true}"#,
            r#"{"kind":"list","items":[]}"#,
            r#"{"kind":"image","uri":"u"}"#,
            r#"{"kind":"image","uri":"u","alt":[],"caption":[],"credit":"c","rights":"r"}"#,
        ] {
            let block: Content<Text> = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&block).unwrap(), json);
            let more = json.replacen('{', r#"{"more":1,"#, 1);
            assert!(serde_json::from_str::<Content<Text>>(&more).is_err(), "{more}");
        }
        let run = r#"{"kind":"paragraph","text":[{"text":"a","by":"ana","more":1}]}"#;
        assert!(serde_json::from_str::<Content<Text>>(run).is_err());
    }

    #[test]
    fn what_is_stored_is_not_tidied_when_it_is_read() {
        let json = r#"[{"text":"","by":"ana"},{"text":"a","by":"ana"},{"text":" b ","by":"ana"}]"#;
        let text: Text = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&text).unwrap(), json);
        assert_eq!(text.runs().len(), 3);
    }
}
