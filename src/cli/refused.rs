//! A refusal, as people read it.

use std::fmt;

use serde_json::Value;

use super::safe;

/// What the desk answered instead of what was asked: RFC 9457, or whatever else came.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The problem; null where none was sent.
    pub problem: Value,
}

impl Refused {
    /// Reads a refusal.
    pub fn read(status: u16, body: &[u8]) -> Refused {
        Refused { status, problem: serde_json::from_slice(body).unwrap_or_default() }
    }

    /// What is wrong, for programs.
    pub fn code(&self) -> &str {
        self.member("code")
    }

    fn member(&self, name: &str) -> &str {
        self.problem.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// What shuts the gate.
    pub fn reasons(&self) -> Vec<&Value> {
        self.problem.get("reasons").and_then(Value::as_array).into_iter().flatten().collect()
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.problem.is_null() {
            return write!(f, "refused: {} without a reason: is this a copydesk service?", self.status);
        }
        write!(
            f,
            "refused: {} {}: {}",
            self.status,
            safe::line(self.code()),
            safe::line(self.member("detail"))
        )?;
        if let Some(meant) = self.problem.get("suggestion").and_then(Value::as_str) {
            write!(f, "; did you mean `{}`?", safe::line(meant))?;
        }
        for reason in self.reasons() {
            let part = |name: &str| safe::line(reason.get(name).and_then(Value::as_str).unwrap_or_default());
            write!(f, "\n  {:<18}  {}", part("code"), part("detail"))?;
        }
        for conflict in self.problem.get("conflicts").and_then(Value::as_array).into_iter().flatten() {
            let part = |name: &str| shown(conflict.get(name).unwrap_or(&Value::Null));
            let place =
                if conflict.get("block").is_some_and(|block| !block.is_null()) { "block" } else { "field" };
            write!(f, "\n  {} was     {}", part(place), part("was"))?;
            write!(f, "\n  {} yours   {}", part(place), part("yours"))?;
            write!(f, "\n  {} theirs  {}", part(place), part("theirs"))?;
        }
        Ok(())
    }
}

/// A text, a list or a field's other value, on one line.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) => safe::line(text),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => safe::line(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_conflict_shows_fields_of_every_shape() {
        let problem = json!({"code": "conflict", "detail": "field keywords changed", "conflicts": [
            {"field": "keywords", "was": null, "yours": ["rain", "flo\u{1b}od"], "theirs": ["sun"]},
            {"field": "urgency", "was": 1, "yours": 2, "theirs": 3},
            {"field": "source", "was": null, "yours": {"name": "AP"}, "theirs": {"name": "dpa"}},
            {"block": "b1", "was": "One.", "yours": null, "theirs": "a\nb"},
        ]});
        let refused = Refused { status: 409, problem }.to_string();
        for line in [
            "keywords was     (none)",
            "keywords yours   rain, flo<U+001B>od",
            "urgency theirs  3",
            r#"source yours   {"name":"AP"}"#,
            "b1 yours   (none)",
            "b1 theirs  a b",
        ] {
            assert!(refused.contains(line), "{line}: {refused}");
        }
    }
}
