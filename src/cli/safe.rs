//! Newsroom text on its way to a terminal. A headline may hold anything that Unicode has; none of it may move the
//! cursor, change colours or turn round what stands beside it.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Whether a character acts on a terminal or on the order of other characters, rather than being read.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{202a}'..='\u{202e}' // embeddings and overrides
            | '\u{2066}'..='\u{2069}' // isolates
            | '\u{2028}' | '\u{2029}')
}

/// Text in which what would act is written out instead (`<U+202E>`); line breaks and tabs stay.
pub fn text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => safe.push('\n'),
            '\t' => safe.push(' '),
            c if acts(c) => safe.push_str(&format!("<U+{:04X}>", u32::from(c))),
            c => safe.push(c),
        }
    }
    safe
}

/// The same on one line: line breaks become spaces.
pub fn line(words: &str) -> String {
    text(words).replace('\n', " ")
}

/// JSON in which what would act is written as an escape. Such characters stand in strings only, so it says the
/// same.
pub fn json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if c != '\n' && acts(c) {
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// One line of at most `width` columns; what is too long ends with an ellipsis.
pub fn cut(words: &str, width: usize) -> String {
    let words = line(words);
    if words.width() <= width {
        return words;
    }
    let mut cut = String::new();
    let mut taken = 0;
    for c in words.chars() {
        taken += c.width().unwrap_or(0);
        if taken >= width {
            break;
        }
        cut.push(c);
    }
    format!("{}…", cut.trim_end())
}

/// One line of exactly `width` columns, cut or filled with spaces.
pub fn pad(words: &str, width: usize) -> String {
    let words = cut(words, width);
    let fill = width.saturating_sub(words.width());
    format!("{words}{}", " ".repeat(fill))
}

/// Lines of at most `width` columns, broken at white space, or within a word that alone is wider.
pub fn wrap(words: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text(words).split('\n') {
        let mut current = String::new();
        for word in paragraph.split_whitespace() {
            let space = usize::from(!current.is_empty());
            if current.width() + space + word.width() <= width {
                current.push_str(&" ".repeat(space));
                current.push_str(word);
                continue;
            }
            if !current.is_empty() {
                lines.push(std::mem::take(&mut current));
            }
            for c in word.chars() {
                if current.width() + c.width().unwrap_or(0) > width {
                    lines.push(std::mem::take(&mut current));
                }
                current.push(c);
            }
        }
        lines.push(current);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_on_a_terminal_gets_through() {
        let hostile = "a\u{1b}[31mred\u{7}\u{9b}2J\rb\u{202e}c\u{2066}d\u{2028}e\u{85}f\u{7f}";
        let safe = text(hostile);
        assert!(!safe.chars().any(acts), "{safe:?}");
        assert_eq!(text("\u{1b}[0m"), "<U+001B>[0m");
        assert_eq!(line("a\nb\r\nc"), "a b<U+000D> c");
    }

    #[test]
    fn the_scripts_of_the_world_stay_as_they_are() {
        for words in ["שלום \u{200f}עולם", "नमस्ते", "👩‍👩‍👧", "e\u{301}", "ไทย", "می\u{200c}خواهم"]
        {
            assert_eq!(text(words), words);
        }
    }

    #[test]
    fn json_says_the_same_after_it_was_made_safe() {
        let value = serde_json::json!({"a\u{202e}": "\u{1b}[31m\u{7f}\u{9b}\u{2028}é\n"});
        for written in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let safe = json(&written);
            assert!(!safe.chars().any(|c| c != '\n' && acts(c)));
            assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
        }
    }

    #[test]
    fn lines_are_cut_filled_and_wrapped_by_columns() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(pad("見出し", 8), "見出し  ");
        assert_eq!(cut("見出しです", 6), "見出…");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("見出し語", 4), ["見出", "し語"]);
        assert_eq!(wrap("a\n\nb", 10), ["a", "", "b"]);
    }
}
