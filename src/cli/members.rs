//! Looking into JSON answers: what isn't there is null, blank or empty, never a panic.

use serde_json::Value;

/// Members of a JSON object.
pub trait Members {
    /// A member, or null.
    fn at(&self, name: &str) -> &Value;
    /// A member that is a string, or nothing.
    fn text(&self, name: &str) -> &str;
    /// A member that is a list, or nothing.
    fn list(&self, name: &str) -> &[Value];
    /// Sets a member of an object.
    fn put(&mut self, name: &str, value: impl Into<Value>);
}

impl Members for Value {
    fn at(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }

    fn text(&self, name: &str) -> &str {
        self.at(name).as_str().unwrap_or_default()
    }

    fn list(&self, name: &str) -> &[Value] {
        self.at(name).as_array().map(Vec::as_slice).unwrap_or_default()
    }

    fn put(&mut self, name: &str, value: impl Into<Value>) {
        if let Some(members) = self.as_object_mut() {
            members.insert(name.to_owned(), value.into());
        }
    }
}
