//! Editions: who put each out, what readers were told, why the gate was open, and the digests by which anyone can
//! check it.

use serde_json::Value;

use super::super::members::Members;
use super::html::{People, chip, count, escape, hash, listed, quoted, step, when};
use super::summary::edition_name;

/// Every edition and withdrawal.
pub fn section(record: &Value, people: &People<'_>) -> String {
    let editions = record.list("editions");
    if editions.is_empty() {
        return "<p>Nothing of it was published.</p>".to_owned();
    }
    let last = editions.len();
    let all = editions.iter().enumerate().map(|(at, edition)| {
        let before = at.checked_sub(1).and_then(|at| editions.get(at));
        one(edition, at + 1 == last, &changed(record, before, edition, people), people)
    });
    let all: String = all.collect();
    format!("<div class=\"cards\">{all}</div>")
}

/// Where the words changed since the edition before.
fn changed(record: &Value, before: Option<&Value>, edition: &Value, people: &People<'_>) -> String {
    let Some(before) = before else { return String::new() };
    let version = |value: &Value| value.at("version").as_u64().unwrap_or(0);
    let within = version(before) + 1..version(edition);
    let steps: Vec<String> = record
        .list("steps")
        .iter()
        .filter(|step| step.text("act") == "words" && within.contains(&version(step)))
        .map(|made| format!("{} by {}", step(made.at("version")), people.mark(made.text("actor"))))
        .collect();
    match steps.is_empty() {
        true => String::new(),
        false => format!("<p>Since the one before, words changed at {}.</p>", listed(&steps)),
    }
}

fn one(edition: &Value, newest: bool, changed: &str, people: &People<'_>) -> String {
    let number = edition.at("number");
    let mut name = edition_name(edition);
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let now = if newest { chip("good", "what readers have") } else { String::new() };
    let machine = if edition.at("machine_written") == true {
        chip("warn", "machine-written words in it")
    } else {
        String::new()
    };
    let told = match edition.text("note") {
        "" => String::new(),
        note => format!("<p>Readers were told: {}</p>", quoted(note)),
    };
    let headline = match edition.text("headline") {
        "" => String::new(),
        headline => format!("<p class=\"sentence\" dir=\"auto\">{}</p>", escape(headline)),
    };
    let by = match edition.text("actorkind") {
        "desk" => "Put out by the service at the hour that had been set".to_owned(),
        _ => format!("Put out by {}", people.mark(edition.text("by"))),
    };
    format!(
        "<article class=\"card\" id=\"e{number}\" aria-labelledby=\"e{number}-h\"><h3 id=\"e{number}-h\">{name} {now} {machine}</h3>\
         {headline}<p>{by} on {}. <span class=\"dim\">{} · revision {} · position {} of the log</span></p>{told}{changed}{}\
         <dl class=\"facts\"><div><dt>Digest of the public text</dt><dd>{} {}</dd></div>\
         <div><dt>Digest of words and fields</dt><dd>{}</dd></div><div><dt>Event</dt><dd><code class=\"hash\">{}</code></dd></div></dl></article>",
        when(edition.text("time")),
        step(edition.at("version")),
        edition.at("revision"),
        edition.at("seq"),
        gate(edition.at("gate"), people),
        hash(edition.at("digest")),
        holds(edition.at("digest_holds")),
        hash(edition.at("words")),
        escape(edition.text("event")),
    )
}

fn holds(value: &Value) -> String {
    if value == true {
        chip("good", "worked out again: holds")
    } else if value.is_null() {
        chip("", "words were erased by law: can't be worked out again")
    } else {
        chip("bad", "worked out again: another")
    }
}

/// Why the gate was open.
fn gate(gate: &Value, people: &People<'_>) -> String {
    if gate.is_null() {
        return "<p class=\"dim\">A withdrawal needs no open gate.</p>".to_owned();
    }
    let approvals: Vec<String> = gate
        .list("approvals")
        .iter()
        .filter_map(|pair| Some(format!("{} ({})", people.mark(pair.get(0)?.as_str()?), step(pair.get(1)?))))
        .collect();
    let approvals = match approvals.is_empty() {
        true => "nobody's approval".to_owned(),
        false => format!("the approval of {}", listed(&approvals)),
    };
    let claims = gate.list("claims");
    let supported =
        claims.iter().filter(|pair| pair.get(1).and_then(Value::as_str) == Some("supported")).count();
    let waived: String = gate
        .list("waived")
        .iter()
        .map(|reason| {
            format!(
                "<li><code>{}</code> <bdi>{}</bdi></li>",
                escape(reason.text("code")),
                escape(reason.text("detail"))
            )
        })
        .collect();
    let waived = match waived.as_str() {
        "" => String::new(),
        waived => format!("<p>It was open because a chief had waived:</p><ul>{waived}</ul>"),
    };
    format!(
        "<h4>Why it could go out</h4><p>The gate was open at {}, under version {} of the newsroom's rules, on {approvals} of these \
         very words and with {supported} of {} ruled supported.</p>{waived}\
         <dl class=\"facts\"><div><dt>Digest of the verdicts</dt><dd>{} {}</dd></div></dl>",
        step(gate.at("version")),
        gate.at("newsroom"),
        count(claims.len(), "live claim", "live claims"),
        hash(gate.at("verdicts")),
        holds(gate.at("verdicts_hold")),
    )
}
