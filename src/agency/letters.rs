//! Characters that no text of an article may hold, as agencies' systems leave them behind.

use std::borrow::Cow;

use serde_json::Value;

/// Whether no text may hold it: control characters other than tab and line ends, and code points set aside for no
/// character.
fn is_refused(c: char) -> bool {
    let code = u32::from(c);
    (code < 0x20 && !matches!(c, '\t' | '\n' | '\r'))
        || code == 0x7f
        || code & 0xfffe == 0xfffe
        || (0xfdd0..=0xfdef).contains(&code)
}

/// The text without them. The vertical tab and the form feed part lines, so each becomes a line end.
pub fn taken(text: &str) -> Cow<'_, str> {
    if !text.contains(is_refused) {
        return text.into();
    }
    let line_end = |c| if matches!(c, '\u{b}' | '\u{c}') { '\n' } else { c };
    text.chars().map(line_end).filter(|c| !is_refused(*c)).collect::<String>().into()
}

/// Takes them out of every text of a JSON value.
pub fn take(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(taken) = taken(text) {
                *text = taken;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(take),
        Value::Object(members) => members.values_mut().for_each(take),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_text_may_hold_goes_and_lines_stay_apart() {
        assert_eq!(taken("a\u{b}b\u{1}c\td\u{fffe}"), "a\nbc\td");
        let mut value = serde_json::json!({"a": ["x\u{0}", {"b": "\u{7f}"}]});
        take(&mut value);
        assert_eq!(value, serde_json::json!({"a": ["x", {"b": ""}]}));
    }
}
