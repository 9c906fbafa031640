//! Looking into ninjs. Names are compared without case: `pubstatus` in 2.x is `pubStatus` in 3.x.

use serde_json::{Map, Value};

/// Members of a JSON object.
pub trait Members {
    /// The first of these members that is there and isn't null.
    fn any(&self, names: &[&str]) -> Option<&Value>;

    /// The first of these members that is a text, or a number, and says something.
    fn text(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| said(self.any(&[name])?))
    }

    /// What stands in the first of these members: the items of a list, the values of an object, or the one value.
    fn each(&self, names: &[&str]) -> Vec<&Value> {
        match self.any(names) {
            None => Vec::new(),
            Some(Value::Array(items)) => items.iter().collect(),
            Some(Value::Object(members)) if !members.values().any(Value::is_string) => {
                members.values().collect()
            }
            Some(one) => vec![one],
        }
    }
}

impl Members for Map<String, Value> {
    fn any(&self, names: &[&str]) -> Option<&Value> {
        names.iter().find_map(|name| {
            let mut members =
                self.iter().filter(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_null());
            members.next().map(|(_, value)| value)
        })
    }
}

impl Members for Value {
    fn any(&self, names: &[&str]) -> Option<&Value> {
        self.as_object().and_then(|members| members.any(names))
    }
}

/// What a value says as a text on one line.
pub fn said(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.split_ascii_whitespace().collect::<Vec<_>>().join(" "),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !copydesk_article::text::is_blank(text))
}

/// What a thing is called: a text, or an object with a name or a literal.
pub fn name(value: &Value) -> Option<String> {
    said(value).or_else(|| value.text(&["name", "literal", "value"]))
}
