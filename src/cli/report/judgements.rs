//! Questions with their answers; approvals and waivers, and what went out on them.

use serde_json::Value;

use super::super::members::Members;
use super::html::{People, chip, escape, listed, quoted, step, when};

/// Every question.
pub fn queries(record: &Value, people: &People<'_>) -> String {
    let queries = record.at("state").list("queries");
    if queries.is_empty() {
        return "<p>Nothing was asked.</p>".to_owned();
    }
    let one = |query: &Value| {
        let id = escape(query.text("id"));
        let place = ["block", "field"].iter().find_map(|name| query.at(name).as_str());
        let place = place.map(|place| format!(" about {}", escape(place))).unwrap_or_default();
        let to = query.at("to").as_str().map(|to| format!(" of {}", people.mark(to))).unwrap_or_default();
        let (answer, open) = (query.at("answer"), query.at("answer").is_null());
        let state = match (query.at("blocking") == true, open) {
            (_, false) => chip("good", "answered"),
            (true, true) => chip("bad", "open, holds up publishing"),
            (false, true) => chip("warn", "open"),
        };
        let answer = match open {
            true => String::new(),
            false => format!(
                "<p class=\"answer\">{} answered: {} <span class=\"dim\">{}</span></p>",
                people.mark(answer.text("by")),
                quoted(answer.text("text")),
                when(answer.text("time"))
            ),
        };
        format!(
            "<article class=\"card\" aria-labelledby=\"{id}-h\"><h3 id=\"{id}-h\">{id} {state}</h3><p>{} asked{to}{place}: {} \
             <span class=\"dim\">{}</span></p>{answer}</article>",
            people.mark(query.text("by")),
            quoted(query.text("text")),
            when(query.text("time"))
        )
    };
    format!("<div class=\"cards\">{}</div>", queries.iter().map(one).collect::<String>())
}

/// Every approval and waiver.
pub fn approvals(record: &Value, people: &People<'_>) -> String {
    let approvals: String = record.list("approvals").iter().map(|given| approval(given, people)).collect();
    let waivers: String = record.list("waivers").iter().map(|waiver| self::waiver(waiver, people)).collect();
    let or = |all: String, none: &str| match all.as_str() {
        "" => format!("<p>{none}</p>"),
        all => format!("<div class=\"cards\">{all}</div>"),
    };
    format!(
        "<h3>Approvals</h3>{}<h3>Waivers</h3>{}",
        or(approvals, "Nobody approved it."),
        or(waivers, "Nothing was waived.")
    )
}

fn approval(given: &Value, people: &People<'_>) -> String {
    let ended = given.at("ended");
    let (state, end) = if ended.is_null() {
        (chip("good", "stands on the present words"), String::new())
    } else {
        let how = if ended.at("words_changed") == true {
            "changed the words"
        } else {
            "sent it back with the words as they were"
        };
        let end = format!(
            "<p>Ended when {} {how} ({}).</p>",
            people.mark(ended.text("by")),
            step(ended.at("version"))
        );
        (chip("warn", "no longer stands"), end)
    };
    format!(
        "<article class=\"card\"><h4>{} approved revision {} {state}</h4><p class=\"dim\">{} · {} · digest of the words \
         approved {}</p>{}{end}{}</article>",
        people.mark(given.text("by")),
        given.at("revision"),
        step(given.at("version")),
        when(given.text("time")),
        super::html::hash(given.at("digest")),
        note(given.text("note")),
        went_out(given),
    )
}

fn waiver(waiver: &Value, people: &People<'_>) -> String {
    let reasons: Vec<String> = waiver
        .list("reasons")
        .iter()
        .map(|reason| {
            let of = ["claim", "query", "field", "block"].iter().filter_map(|name| reason.at(name).as_str());
            let words: Vec<&str> = [reason.text("code")].into_iter().chain(of).collect();
            format!("<code>{}</code>", escape(&words.join(" ")))
        })
        .collect();
    format!(
        "<article class=\"card\"><h4>{} waived {}</h4><p class=\"dim\">for revision {} · {} · {}</p><p>Reason given: {}</p>{}</article>",
        people.mark(waiver.text("by")),
        listed(&reasons),
        waiver.at("revision"),
        step(waiver.at("version")),
        when(waiver.text("time")),
        quoted(waiver.text("reason")),
        went_out(waiver),
    )
}

fn note(note: &str) -> String {
    if note.is_empty() { String::new() } else { format!("<p>Note: {}</p>", quoted(note)) }
}

fn went_out(given: &Value) -> String {
    let editions: Vec<String> = given
        .list("editions")
        .iter()
        .map(|number| format!("<a href=\"#e{number}\">edition {number}</a>"))
        .collect();
    match editions.is_empty() {
        true => "<p class=\"dim\">No edition went out on it.</p>".to_owned(),
        false => format!("<p>On it went out {}.</p>", listed(&editions)),
    }
}
