//! Which characters are taken, and how.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::words::Masked;

/// Something that the sender may not expect of a text that was taken.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextWarning {
    /// A link (or image) whose scheme isn't one of those taken: its words stay without it.
    LinkDropped {
        /// Where it led.
        href: String,
    },
}

impl fmt::Debug for TextWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::LinkDropped { href } = self;
        write!(f, "LinkDropped({:?})", Masked(href))
    }
}

/// A warning and the block of a whole document that it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockWarning {
    /// The block's place in the document, from 0; none where what it speaks of made no block.
    pub block: Option<usize>,
    /// What it says.
    pub warning: TextWarning,
}

/// Why a text can't be taken. Its message never quotes the text around.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A control character other than tab and line ends.
    #[error("the text has the control character U+{:04X}; take it out and send again", u32::from(*c))]
    Control {
        /// The character.
        c: char,
    },
    /// A code point that Unicode sets aside for no character at all.
    #[error("the text has the noncharacter U+{:04X}; take it out and send again", u32::from(*c))]
    Noncharacter {
        /// The code point.
        c: char,
    },
}

/// Refuses a text with characters that can't be taken.
///
/// # Errors
/// The first character that can't.
pub(super) fn check(source: &str) -> Result<(), Refused> {
    for c in source.chars() {
        let code = u32::from(c);
        if (code < 0x20 && !matches!(c, '\t' | '\n' | '\r')) || code == 0x7f {
            return Err(Refused::Control { c });
        }
        if code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code) {
            return Err(Refused::Noncharacter { c });
        }
    }
    Ok(())
}

/// A text without marks on one line, such as a headline or a keyword: NFC, each run of ASCII
/// white space (line ends too) one space, none at the ends.
///
/// # Errors
/// A character that can't be taken.
pub fn plain_line(source: &str) -> Result<String, Refused> {
    check(source)?;
    let words: Vec<&str> = source.split_ascii_whitespace().collect();
    Ok(words.join(" ").nfc().collect())
}

/// Whether readers would see nothing: white space, joiners, direction marks, soft hyphens and
/// the like only.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_invisible(c))
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_composed_and_its_white_space_one_space() {
        assert_eq!(plain_line(" cafe\u{301}\r\n \t au\u{a0}lait ").unwrap(), "café au\u{a0}lait");
        assert_eq!(plain_line(" \n").unwrap(), "");
        assert!(plain_line("a\u{b}").is_err());
        assert!(plain_line("a\u{1fffe}").is_err());
    }

    #[test]
    fn what_no_reader_sees_is_blank() {
        assert!(is_blank(
            " \u{200b}\u{feff}\u{ad}\u{200d}\u{200f}\u{202e}\u{2066}\u{2060}\u{3000}\u{a0}\u{85}\u{3164}\u{e0020}"
        ));
        assert!(!is_blank("\u{200b}a") && !is_blank(".") && !is_blank("🚀"));
    }
}
