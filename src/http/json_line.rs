//! JSON on one line, for readers of lines: some end them at characters that JSON lets stand in a string unescaped.

use std::borrow::Cow;

/// A JSON text without line ends: U+2028, U+2029 and U+0085, which stand in strings only, are escaped; line breaks,
/// which stand between members only, become spaces.
pub fn one_line(json: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = (0..json.len()).find(|at| end(json, *at).is_some()) else { return Cow::Borrowed(json) };
    let mut out = Vec::with_capacity(json.len() + 32);
    out.extend_from_slice(json.get(..first).unwrap_or_default());
    let mut at = first;
    while let Some(byte) = json.get(at) {
        match end(json, at) {
            Some((bytes, written)) => {
                out.extend_from_slice(written.as_bytes());
                at += bytes;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

/// How long the line end at this place is, and what is written in its place.
fn end(json: &[u8], at: usize) -> Option<(usize, &'static str)> {
    match json.get(at..)? {
        [b'\n' | b'\r', ..] => Some((1, " ")),
        [0xe2, 0x80, 0xa8, ..] => Some((3, "\\u2028")),
        [0xe2, 0x80, 0xa9, ..] => Some((3, "\\u2029")),
        [0xc2, 0x85, ..] => Some((2, "\\u0085")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn nothing_in_a_line_ends_it() {
        let stored = " {\"a\":\r\n \"x\u{2028}y\u{2029}z\u{85}é\u{2027}\"}\n".as_bytes();
        let shown = String::from_utf8(one_line(stored).into_owned()).unwrap();
        assert!(!shown.contains(['\n', '\r', '\u{2028}', '\u{2029}', '\u{85}']));
        let value: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(value, json!({"a": "x\u{2028}y\u{2029}z\u{85}é\u{2027}"}));
    }

    #[test]
    fn what_has_no_line_ends_is_not_copied() {
        let stored = br#"{"b":1.50,"a":"x\u2028"}"#;
        assert!(matches!(one_line(stored), Cow::Borrowed(same) if same == stored));
    }
}
