//! The appendix: the hash of every event's stored bytes, proofs that they are in the log's tree where there are any,
//! and what this record is and isn't.

use serde_json::Value;

use super::super::members::Members;
use super::html::{People, escape, hash, step, table};

/// Hashes and proofs.
pub fn section(record: &Value, people: &People<'_>) -> String {
    let rows: Vec<Vec<String>> = record
        .list("steps")
        .iter()
        .map(|event| {
            vec![
                step(event.at("version")),
                event.at("seq").to_string(),
                format!(
                    "<code>{}</code>",
                    escape(event.text("type").trim_start_matches("copydesk.article."))
                ),
                people.mark(event.text("actor")),
                format!("<code>{}</code>", escape(event.text("time"))),
                format!("<code class=\"hash\">{}</code>", escape(event.text("event"))),
                hash(event.at("sha256")),
            ]
        })
        .collect();
    let heads = ["Step", "Position", "Type", "Actor", "Time", "Event id", "SHA-256 of the stored bytes"];
    format!(
        "<p>Each hash is of the event's bytes as they are stored. Whoever may read the log can have the same bytes from the \
         service and hash them.</p>{}{}{}",
        table("Every event", &heads, &rows),
        unread(record),
        proofs(record)
    )
}

/// Events that couldn't be folded.
fn unread(record: &Value) -> String {
    let rows: Vec<Vec<String>> = record
        .list("unread")
        .iter()
        .map(|event| vec![event.at("seq").to_string(), escape(event.text("why")), hash(event.at("sha256"))])
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let heads = ["Position", "Why", "SHA-256 of the stored bytes"];
    format!(
        "<h3>Events that can't be read here</h3>{}",
        table("Events that can't be read here", &heads, &rows)
    )
}

/// The paths from events to the checkpoint, where the record has them.
fn proofs(record: &Value) -> String {
    let each: String = record
        .list("steps")
        .iter()
        .filter(|event| !event.at("proof").is_null())
        .map(|event| {
            let proof = event.at("proof");
            let members = proof.as_object().into_iter().flatten().map(|(name, value)| {
                let shown = match value {
                    Value::String(text) => escape(text),
                    Value::Array(path) => {
                        let path: Vec<String> =
                            path.iter().map(|node| escape(node.as_str().unwrap_or_default())).collect();
                        path.join("<br>")
                    }
                    other => escape(&other.to_string()),
                };
                format!(
                    "<div><dt>{}</dt><dd><code class=\"hash\">{shown}</code></dd></div>",
                    escape(&name.replace('_', " "))
                )
            });
            format!(
                "<article class=\"card\"><h4>{}, position {}</h4><dl class=\"facts\">{}</dl></article>",
                step(event.at("version")),
                event.at("seq"),
                members.collect::<String>()
            )
        })
        .collect();
    let checkpoint = match record.text("checkpoint") {
        "" => String::new(),
        note => format!("<h4>The signed checkpoint</h4><pre class=\"note\">{}</pre>", escape(note)),
    };
    if each.is_empty() && checkpoint.is_empty() {
        return String::new();
    }
    format!(
        "<h3>Proofs</h3><p>Each path leads from an event's leaf to the root that the checkpoint signs (RFC 6962). Who holds an \
         older checkpoint of this log can tell whether anything was changed since.</p>{checkpoint}<div class=\"cards\">{each}</div>"
    )
}

/// What this record is.
pub fn foot(record: &Value) -> String {
    let made = record.at("made");
    format!(
        "<footer><h2>About this record</h2><p>It was folded from the stored events of article <code class=\"hash\">{}</code> by copydesk {}, \
         by the same rules that decided them. It shows what the person it was made for may see. It may hold drafts, questions and \
         evidence that were never published: pass it on with care. The page loads nothing from anywhere and sends nothing; \
         addresses in it are only followed when someone does.</p></footer>\n",
        escape(record.text("article")),
        escape(made.text("version")),
    )
}
