//! Pieces of HTML. Everything that comes from the newsroom goes through [`escape`].

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::super::members::Members;

/// How many writers have a colour of their own; their labels tell apart those that share one.
const COLOURS: usize = 8;

/// Text as it stands in HTML, in an element or in a quoted attribute. What is no character of HTML becomes U+FFFD.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            '\r' | '\u{85}' => escaped.push('\n'),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A few words of the newsroom within a sentence of the page: their direction is their own.
pub fn words(text: &str) -> String {
    format!("<bdi>{}</bdi>", escape(text))
}

/// Words that somebody wrote, set off.
pub fn quoted(text: &str) -> String {
    format!("<q dir=\"auto\">{}</q>", escape(text))
}

/// An address, as a link where a browser may follow it.
pub fn address(text: &str) -> String {
    let shown = escape(text);
    let web = text.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
        || text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://"));
    if web {
        format!(
            "<a class=\"out\" dir=\"ltr\" rel=\"noopener noreferrer external\" href=\"{shown}\">{shown}</a>"
        )
    } else {
        format!("<span class=\"out\" dir=\"ltr\">{shown}</span>")
    }
}

/// A word in a frame.
pub fn chip(style: &str, word: &str) -> String {
    format!("<span class=\"chip {style}\">{}</span>", escape(word))
}

/// A link to a step of the history.
pub fn step(version: &Value) -> String {
    format!("<a class=\"v\" href=\"#v{version}\">step {version}</a>")
}

/// When, to the second.
pub fn when(time: &str) -> String {
    let shown = match read(time) {
        Some(time) => time.format("%-d %B %Y, %H:%M:%S UTC").to_string(),
        None => time.to_owned(),
    };
    format!("<time datetime=\"{}\">{}</time>", escape(time), escape(&shown))
}

/// A moment.
pub fn read(time: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(time).ok().map(|time| time.to_utc())
}

/// A hash, broken where there is no room for it.
pub fn hash(value: &Value) -> String {
    match value.as_str() {
        Some(hash) => format!("<code class=\"hash\">{}</code>", escape(hash)),
        None => "<span class=\"dim\">not known</span>".to_owned(),
    }
}

/// `1 claim`, `2 claims`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `a`, `a and b`, `a, b and c`.
pub fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// A table under a heading row; cells are HTML.
pub fn table(caption: &str, heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads: String = heads.iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    let row = |cells: &Vec<String>| {
        let cells = cells.iter().enumerate().map(|(at, cell)| match at {
            0 => format!("<th scope=\"row\">{cell}</th>"),
            _ => format!("<td>{cell}</td>"),
        });
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let rows: String = rows.iter().map(row).collect();
    format!(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table><caption class=\"sr\">{caption}</caption>\
         <thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

/// Everyone who had a hand in it, with a colour each.
pub struct People<'a> {
    names: Vec<&'a str>,
    people: &'a Value,
}

impl<'a> People<'a> {
    /// In the order of their first act.
    pub fn of(record: &'a Value) -> People<'a> {
        let mut names: Vec<&str> = Vec::new();
        for step in record.list("steps") {
            let name = step.text("actor");
            if !names.contains(&name) {
                names.push(name);
            }
        }
        People { names, people: record.at("people") }
    }

    /// Their names, in that order.
    pub fn names(&self) -> &[&'a str] {
        &self.names
    }

    /// Whether somebody is a machine.
    pub fn is_machine(&self, name: &str) -> bool {
        self.people.at(name).text("actorkind") == "machine"
    }

    /// The class of their colour.
    pub fn colour(&self, name: &str) -> String {
        let at = self.names.iter().position(|known| *known == name).unwrap_or(self.names.len());
        format!("w{}", at % COLOURS)
    }

    /// Somebody's mark: their name in their colour, a machine's said to be one.
    pub fn mark(&self, name: &str) -> String {
        let machine = if self.is_machine(name) { " <i>machine</i>" } else { "" };
        format!("<span class=\"who {}\">{}{machine}</span>", self.colour(name), escape(name))
    }

    /// The name as people know it, and what they are in the newsroom.
    pub fn roles(&self, name: &str) -> String {
        let person = self.people.at(name);
        let mut roles: Vec<&str> = person.list("roles").iter().filter_map(Value::as_str).collect();
        match person.text("actorkind") {
            "machine" => roles.insert(0, "machine"),
            "desk" => roles.push("the service itself, at an hour that was set"),
            _ => {}
        }
        roles.join(", ")
    }

    /// The name as people know it; nothing where it is the same.
    pub fn full_name(&self, name: &str) -> &str {
        self.people.at(name).text("name")
    }
}
