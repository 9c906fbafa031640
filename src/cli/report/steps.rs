//! The history: every step with what it said, changed and left. The script moves through time by what stands here.

use serde_json::Value;

use super::super::members::Members;
use super::html::{People, chip, count, escape, quoted, when};
use super::page::{in_order, language};

/// Every step, oldest first.
pub fn section(record: &Value, people: &People<'_>) -> String {
    let lang = language(record);
    let mut out = String::from(
        "<p class=\"lead\">Each step is one event of the log, in order, with the words that it changed: <ins>what came</ins>, \
         <del>what went</del>.</p><div class=\"steps\">",
    );
    for step in record.list("steps") {
        out.push_str(&one(record, step, people, &lang));
    }
    out.push_str("</div>");
    out
}

fn one(record: &Value, step: &Value, people: &People<'_>, lang: &str) -> String {
    let version = step.at("version");
    let claims: String = step.list("claims").iter().filter_map(|id| claim(record, id, version)).collect();
    let claims = if claims.is_empty() { claims } else { format!("<ul class=\"moves\">{claims}</ul>") };
    let said = match step.text("quoted") {
        "" => String::new(),
        said => format!("<p class=\"said\">{}</p>", quoted(said)),
    };
    let edition =
        step.at("edition").as_u64().map(|number| format!(" data-edition=\"{number}\"")).unwrap_or_default();
    format!(
        "<article class=\"step {act}\" id=\"v{version}\" data-revision=\"{revision}\"{edition} aria-labelledby=\"s{version}\">\
         <div class=\"head\"><h3 id=\"s{version}\"><span class=\"n\">{version}</span> {who} {what}</h3>\
         <p class=\"when\">{when} · position {seq} · revision {revision} · {stage} · {status}</p></div>\
         {said}{claims}{gate}{changes}</article>",
        act = escape(step.text("act")),
        revision = step.at("revision"),
        who = people.mark(step.text("actor")),
        what = escape(step.text("what")),
        when = when(step.text("time")),
        seq = step.at("seq"),
        stage = escape(&step.text("stage").replace('_', " ")),
        status = escape(step.text("status")),
        gate = gate(step),
        changes = changes(step, people, lang),
    )
}

/// What the step made of a claim.
fn claim(record: &Value, id: &Value, version: &Value) -> Option<String> {
    let claim = record.list("claims").iter().find(|claim| claim.at("id") == id)?;
    let act = claim.list("life").iter().find(|act| act.at("version") == version)?;
    let (state, verdict) = (act.text("state"), act.text("verdict"));
    let place = ["block", "field"].iter().find_map(|name| claim.at(name).as_str()).unwrap_or_default();
    let id = escape(claim.text("id"));
    let shown = standing(state, verdict);
    let sentence = match act.text("act") {
        "raised" | "ruled" | "stale" | "followed" => format!(" {shown} {}", quoted(act.text("sentence"))),
        // The verdict is on what the claim is on, and not on what came to stand elsewhere.
        "false" | "cleared" => String::new(),
        _ => format!(" {shown}"),
    };
    Some(format!(
        "<li data-claim=\"{id}\" data-place=\"{}\"><a href=\"#{id}\">{id}</a> {}{sentence}</li>",
        escape(place),
        escape(said(act.text("act"))),
    ))
}

/// What happened to a claim, in a word or two.
pub fn said(act: &str) -> &str {
    match act {
        "raised" => "was raised:",
        "cited" => "got evidence:",
        "ruled" => "was ruled:",
        "stale" => "lost its verdict, its sentence changed:",
        "gone" => "left the text:",
        "back" => "came back:",
        "dropped" => "was dropped:",
        "false" => "has words in the text again that were found false",
        "cleared" => "has none in the text any more that were found false",
        "followed" => "followed its sentence:",
        other => other,
    }
}

/// Where a claim stands.
pub fn standing(state: &str, verdict: &str) -> String {
    match (state, verdict) {
        ("ruled", "supported") => chip("good", "supported"),
        ("ruled", "inaccurate" | "misleading") => chip("bad", verdict),
        ("ruled", verdict) => chip("warn", verdict),
        ("stale", verdict) => chip("warn", &format!("stale, was {verdict}")),
        (state, _) => chip("", state),
    }
}

/// What stood between the text and its readers after the step.
fn gate(step: &Value) -> String {
    let reasons = step.list("reasons");
    let waived = match step.list("waived").len() {
        0 => String::new(),
        waived => format!(", {waived} waived"),
    };
    if reasons.is_empty() {
        return format!("<p class=\"gate\">{}{waived}</p>", chip("good", "gate open"));
    }
    let listed: String = reasons
        .iter()
        .map(|reason| format!("<li dir=\"auto\">{}</li>", escape(reason.text("detail"))))
        .collect();
    format!(
        "<details class=\"gate\" open><summary>{} {}{waived}</summary><ul>{listed}</ul></details>",
        chip("shut", "gate shut"),
        count(reasons.len(), "reason", "reasons"),
    )
}

fn changes(step: &Value, people: &People<'_>, lang: &str) -> String {
    let all = in_order(step, people);
    let order = step.at("order");
    let order = match order.is_null() {
        true => String::new(),
        false => {
            let came: Vec<&str> = order.list("came").iter().filter_map(Value::as_str).collect();
            format!(" data-order=\"{},{},{}\"", order.at("at"), order.at("gone"), escape(&came.join(" ")))
        }
    };
    if all.is_empty() && order.is_empty() {
        return String::new();
    }
    format!("<div class=\"changes paper\"{order}{lang}>{all}</div>")
}
