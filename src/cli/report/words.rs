//! Blocks and fields: whose words they are, and what a step changed of them. The script of the page reads the classes
//! and `data-` attributes written here.

use serde_json::Value;

use super::super::members::Members;
use super::html::{People, address, escape};

/// Fields that are texts before readers' eyes; the others are metadata.
const LEADING: &[&str] = &["headline", "standfirst"];

/// A field as it stands after a step.
pub fn field(people: &People<'_>, field: &Value) -> String {
    let name = field.text("field");
    let all = field.list("parts");
    let mut parts = String::new();
    for (at, part) in all.iter().enumerate() {
        let is_item = part.text("name") == "item";
        let before = match (at, is_item) {
            (0, _) => "",
            (_, true) => "<span class=\"sep\">, </span>",
            (_, false) => "<br>",
        };
        parts.push_str(&wrapped(part, &format!("{before}{}{}", label(part), pieces(people, part))));
    }
    let style = if LEADING.contains(&name) { name } else { "meta" };
    let one = single(all);
    let change = match () {
        () if all.iter().all(|part| are(part, "delete")) => "removed gone",
        () if all.iter().all(|part| are(part, "insert")) => "added",
        () if all.iter().any(|part| part.list("pieces").iter().any(|piece| piece.text("op") != "equal")) => {
            "changed"
        }
        () => "",
    };
    let said = match change {
        "removed gone" => "<span class=\"tag removed\">taken out</span>",
        "added" => "<span class=\"tag added\">new</span>",
        "changed" => "<span class=\"tag changed\">changed</span>",
        _ => "",
    };
    let whose = one.map(|by| people.mark(by)).unwrap_or_default();
    let one = if one.is_some() { " single" } else { "" };
    let name = escape(name);
    format!(
        "<div class=\"f {style} {change}{one}\" data-field=\"{name}\"><span class=\"margin\"><span class=\"id\">{name}</span> {whose}{said}</span>\
         <div class=\"t\" dir=\"auto\">{parts}</div></div>"
    )
}

/// A block as it stands after a step.
pub fn block(people: &People<'_>, block: &Value) -> String {
    let id = escape(block.text("block"));
    let change = block.text("change");
    let mut tags = String::new();
    let said = match change {
        "added" => "new",
        "removed" => "taken out",
        "changed" => "changed",
        _ => "",
    };
    if !said.is_empty() {
        tags.push_str(&format!("<span class=\"tag {change}\">{said}</span>"));
    }
    if block.at("moved") == true || change == "moved" {
        tags.push_str("<span class=\"tag moved\">moved</span>");
    }
    let parts = block.list("parts");
    let part = |part: &Value| pieces(people, part);
    let named = |name: &str| parts.iter().find(|part| part.text("name") == name);
    let inner = match block.text("kind") {
        "heading" => {
            // Headings of the story are no headings of this document.
            let level = block.at("level").as_u64().unwrap_or(1).clamp(1, 6);
            let text = named("text").map(part).unwrap_or_default();
            format!("<p class=\"h h{level}\" dir=\"auto\">{text}</p>")
        }
        "quote" => {
            let text = named("text").map(part).unwrap_or_default();
            let cite =
                named("cite").map(|cite| format!("<p class=\"cite\" dir=\"auto\">— {}</p>", part(cite)));
            format!("<blockquote><p dir=\"auto\">{text}</p>{}</blockquote>", cite.unwrap_or_default())
        }
        "list" => {
            let items = parts.iter().map(|item| {
                let gone = if is_gone(item) { " class=\"gone\"" } else { "" };
                format!("<li{gone} dir=\"auto\">{}</li>", part(item))
            });
            let items: String = items.collect();
            if block.at("ordered") == true {
                format!("<ol>{items}</ol>")
            } else {
                format!("<ul>{items}</ul>")
            }
        }
        "image" => {
            let lines = parts.iter().map(|line| {
                wrapped(
                    line,
                    &format!("<span class=\"label\">{}</span> {}<br>", escape(line.text("name")), part(line)),
                )
            });
            format!(
                "<div class=\"picture\" dir=\"auto\"><bdi class=\"label\">Picture</bdi><br>{}</div>",
                lines.collect::<String>()
            )
        }
        _ => format!("<p dir=\"auto\">{}</p>", named("text").map(part).unwrap_or_default()),
    };
    let one = single(parts);
    let whose = one.map(|by| people.mark(by)).unwrap_or_default();
    let style = [change, if one.is_some() { "single" } else { "" }].join(" ");
    format!(
        "<div class=\"b {style}\" data-block=\"{id}\"><span class=\"margin\"><span class=\"id\">{id}</span> {whose}{tags}</span>\
         <div class=\"t\">{inner}</div></div>"
    )
}

/// A part that went as a whole goes from later steps with all around it.
fn wrapped(part: &Value, inner: &str) -> String {
    if is_gone(part) { format!("<span class=\"gone\">{inner}</span>") } else { inner.to_owned() }
}

/// What a part is, where that isn't plain to see.
fn label(part: &Value) -> String {
    let label = match part.text("name") {
        "text" | "item" => return String::new(),
        "uri" => "address",
        "alt" => "described as",
        name => name,
    };
    format!("<bdi class=\"label\">{}</bdi> ", escape(label))
}

fn is_gone(part: &Value) -> bool {
    are(part, "delete")
}

/// Whether all of a part's words had this fate.
fn are(part: &Value, op: &str) -> bool {
    let pieces = part.list("pieces");
    !pieces.is_empty() && pieces.iter().all(|piece| piece.text("op") == op)
}

/// The one writer of all that stands and went, if it is one.
fn single(parts: &[Value]) -> Option<&str> {
    let mut writers = parts.iter().flat_map(|part| part.list("pieces")).map(|piece| piece.text("by"));
    let first = writers.next()?;
    writers.all(|by| by == first).then_some(first)
}

/// Words with their writers, labels set apart from the direction of the text: a label wherever the writer changes, and what came or went marked as such.
fn pieces(people: &People<'_>, part: &Value) -> String {
    let mut out = String::new();
    let mut last = "";
    for piece in part.list("pieces") {
        let by = piece.text("by");
        let mut inner = escape(piece.text("text")).replace('\n', "<br>");
        if piece.at("strong") == true {
            inner = format!("<strong>{inner}</strong>");
        }
        if piece.at("emphasis") == true {
            inner = format!("<em>{inner}</em>");
        }
        if let Some(href) = piece.at("href").as_str() {
            inner =
                format!("<span class=\"link\">{inner}</span><span class=\"to\"> [{}]</span>", address(href));
        }
        if by != last {
            let machine = if people.is_machine(by) { " <i>machine</i>" } else { "" };
            inner = format!("<bdi class=\"wl\">{}{machine}</bdi>{inner}", escape(by));
        }
        last = by;
        let machine = if people.is_machine(by) { " m" } else { "" };
        let span = format!("<span class=\"w {}{machine}\">{inner}</span>", people.colour(by));
        match piece.text("op") {
            "insert" => out.push_str(&format!("<ins>{span}</ins>")),
            "delete" => out.push_str(&format!("<del>{span}</del>")),
            _ => out.push_str(&span),
        }
    }
    out
}
