//! The document: its head with the policy, its parts in the order in which they are read, its style sheet and script.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::members::Members;
use super::html::{People, escape};
use super::{appendix, claims, editions, judgements, steps, summary, timeline, words};

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// The whole page of a record.
pub fn page(record: &Value) -> String {
    let people = People::of(record);
    let state = record.at("state");
    let title = headline(state);
    // Everything else is refused: pictures, frames, forms, whatever may hide in a text.
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    );
    let sections = [
        ("summary", "Summary", summary::section(record, &people)),
        ("timeline", "Timeline", timeline::section(record, &people)),
        ("time", "Through time", player(record)),
        ("text", "The text as it stands", text(record, &people)),
        ("editions", "Editions", editions::section(record, &people)),
        ("claims", "Claims and verdicts", claims::section(record, &people)),
        ("queries", "Questions", judgements::queries(record, &people)),
        ("approvals", "Approvals and waivers", judgements::approvals(record, &people)),
        ("history", "History, step by step", steps::section(record, &people)),
        ("appendix", "Appendix: hashes and proofs", appendix::section(record, &people)),
    ];
    let script_only = |id: &str| if id == "time" { " hidden" } else { "" };
    let links: String = sections
        .iter()
        .map(|(id, name, _)| format!("<li{}><a href=\"#{id}\">{name}</a></li>", script_only(id)))
        .collect();
    let parts: String = sections
        .iter()
        .map(|(id, name, inner)| {
            format!(
                "<section id=\"{id}\" aria-labelledby=\"{id}-h\"{}><h2 id=\"{id}-h\">{name}</h2>{inner}</section>\n",
                script_only(id)
            )
        })
        .collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"robots\" content=\"noindex, nofollow\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Record: {}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#summary\">Skip to the summary</a>\n{}<nav aria-label=\"Parts of this record\"><ol>{links}</ol></nav>\n\
         <main>\n{parts}</main>\n{}<script>{SCRIPT}</script>\n</body>\n</html>\n",
        escape(title),
        summary::front(record),
        appendix::foot(record),
    )
}

/// The headline as it stands; a story may have none yet.
pub fn headline(state: &Value) -> &str {
    let fields = state.at("fields");
    let named = [fields.text("headline"), fields.text("slug")];
    named.into_iter().find(|name| !name.trim().is_empty()).unwrap_or("(no headline)")
}

/// The hash of an inline style sheet or script as a policy names it.
fn digest(source: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(source)))
}

/// The controls for moving through time, which the script brings to life.
fn player(record: &Value) -> String {
    let last = record.list("steps").len();
    let lang = language(record);
    format!(
        "<p class=\"lead\">The article as it was after each step. Move the slider, or use the arrow keys, Home and End.</p>\
         <div class=\"player\"><div class=\"controls\">\
         <button type=\"button\" id=\"first\" aria-label=\"First step\">⏮</button>\
         <button type=\"button\" id=\"back\" aria-label=\"Step back\">◀</button>\
         <label class=\"sr\" for=\"slider\">Step</label>\
         <input type=\"range\" id=\"slider\" min=\"1\" max=\"{last}\" value=\"{last}\" step=\"1\">\
         <button type=\"button\" id=\"on\" aria-label=\"Step on\">▶</button>\
         <button type=\"button\" id=\"last\" aria-label=\"Last step\">⏭</button>\
         <output id=\"where\" for=\"slider\"></output>\
         <span class=\"jumps\" id=\"jumps\"></span></div>\
         <div class=\"options\"><label><input type=\"checkbox\" id=\"show-writers\" checked> Say who wrote what</label>\
         <label><input type=\"checkbox\" id=\"show-changes\" checked> Mark what the step changed</label></div>\
         <div class=\"stage\"><div class=\"side\" id=\"side\" aria-live=\"polite\"></div>\
         <div class=\"paper\" id=\"paper\" tabindex=\"0\" role=\"region\" aria-label=\"The article at this step\"{lang}></div></div></div>"
    )
}

/// The text after the last step, each word with its writer.
fn text(record: &Value, people: &People<'_>) -> String {
    let now = record.at("words");
    let all = in_order(now, people);
    format!(
        "<p class=\"lead\">After step {}. The margin names each block, and its writer where there is one; where several \
         wrote in it, each writer's name stands before their words, which are underlined in that writer's colour. What a machine \
         wrote is underlined with a wave.</p>\
         {}<div class=\"paper\"{}>{all}</div>",
        record.list("steps").len(),
        summary::legend(people),
        language(record),
    )
}

/// Fields and blocks in the order in which people read them: what stands above the text, the text, the rest of the
/// metadata.
pub fn in_order(changes: &Value, people: &People<'_>) -> String {
    const ABOVE: &[&str] = &["headline", "standfirst", "byline", "dateline"];
    let fields = changes.list("fields");
    let above = ABOVE.iter().filter_map(|name| fields.iter().find(|field| field.text("field") == *name));
    let below = fields.iter().filter(|field| !ABOVE.contains(&field.text("field")));
    let blocks = changes.list("blocks").iter().map(|block| words::block(people, block));
    let field = |field: &Value| words::field(people, field);
    above.map(field).chain(blocks).chain(below.map(field)).collect()
}

/// The attribute that says in which language the story is.
pub fn language(record: &Value) -> String {
    let language = record.at("state").at("fields").text("language");
    if language.is_empty() { String::new() } else { format!(" lang=\"{}\"", escape(language)) }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
