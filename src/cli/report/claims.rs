//! Claims: the words, who ruled what on them, on what evidence, and what became of the verdict.

use serde_json::Value;

use super::super::members::Members;
use super::html::{People, address, chip, escape, hash, quoted, step, when, words};
use super::steps::standing;

/// Every claim, in the order in which they were raised.
pub fn section(record: &Value, people: &People<'_>) -> String {
    let claims = record.list("claims");
    if claims.is_empty() {
        return "<p>No claim was raised on this story.</p>".to_owned();
    }
    let all: String = claims.iter().map(|claim| one(claim, people)).collect();
    format!(
        "<p class=\"lead\">A claim is bound to its sentence. When the sentence changes, the verdict on it goes stale, and a \
         checker must rule anew.</p><div class=\"cards\">{all}</div>"
    )
}

fn one(claim: &Value, people: &People<'_>) -> String {
    let id = escape(claim.text("id"));
    let place = ["block", "field"].iter().find_map(|name| claim.at(name).as_str()).unwrap_or_default();
    let material = if claim.at("material") == true { "material" } else { "not material" };
    let said_by = match claim.text("attributed_to") {
        "" => String::new(),
        who => format!(" · attributed to {}", words(who)),
    };
    let mut sentence = "";
    let life = claim.list("life").iter().map(|act| {
        let same = std::mem::replace(&mut sentence, act.text("sentence")) == act.text("sentence");
        self::act(act, same, people)
    });
    let life: String = life.collect();
    let evidence: String = claim.list("evidence").iter().map(|piece| self::evidence(piece, people)).collect();
    let evidence = match evidence.as_str() {
        "" => "<p class=\"dim\">No evidence was cited.</p>".to_owned(),
        evidence => format!("<h4>Evidence</h4><ul class=\"evidence\">{evidence}</ul>"),
    };
    let dropped = match claim.text("dropped") {
        "" => String::new(),
        reason => format!("<p>Dropped: {}</p>", quoted(reason)),
    };
    let found_false = claim.at("found_false");
    let back = match found_false.text("sentence") {
        "" => String::new(),
        sentence => format!(
            "<p>{} stands in the text again: {}</p>",
            standing("ruled", found_false.text("verdict")),
            quoted(sentence)
        ),
    };
    format!(
        "<article class=\"card\" id=\"{id}\" aria-labelledby=\"{id}-h\"><h3 id=\"{id}-h\">{id} {}</h3>\
         <p class=\"sentence\" dir=\"auto\">{}</p>\
         <p class=\"dim\">The words claimed: {} · {} · {material}{said_by} · in {}</p>{back}{dropped}<h4>What happened to it</h4>\
         <ol class=\"life\">{life}</ol>{evidence}</article>",
        standing(claim.text("state"), claim.text("verdict")),
        escape(claim.text("sentence")),
        quoted(claim.text("quote")),
        escape(claim.text("kind")),
        escape(place),
    )
}

/// What happened to a claim; its sentence only where it isn't the `same` as before.
fn act(act: &Value, same: bool, people: &People<'_>) -> String {
    let who = people.mark(act.text("by"));
    let (sentence, verdict) = (quoted(act.text("sentence")), act.text("verdict"));
    let on = |word: &str| if same { String::new() } else { format!("{word} {sentence}") };
    let note = match act.text("note") {
        "" => String::new(),
        note => format!(", noting {}", quoted(note)),
    };
    let said = match act.text("act") {
        "raised" => format!("{who} raised it{}", on(" on")),
        "cited" => format!("{who} cited evidence"),
        "ruled" => format!("{who} ruled it {}{}", standing("ruled", verdict), on(" on")),
        "stale" => {
            let stale = chip("warn", "stale");
            format!("{who} changed the sentence: the verdict went {stale}{}", on(". It now reads"))
        }
        "gone" => format!("{who} took the sentence out"),
        "back" if verdict.is_empty() => format!("{who} brought the sentence back{}", on(":")),
        "back" => {
            let verdict = standing("ruled", verdict);
            format!("{who} brought the sentence back, and with it the verdict {verdict}{}", on(":"))
        }
        "dropped" => format!("{who} dropped it"),
        "false" => format!("{who} brought words back that had been found false"),
        "cleared" => format!("{who} took out words that had been found false, or ruled on them anew"),
        _ => format!("{who} changed or moved the sentence{}", on(". It now reads")),
    };
    format!(
        "<li>{said}{note} <span class=\"dim\">· {} · {}</span></li>",
        step(act.at("version")),
        when(act.text("time"))
    )
}

fn evidence(piece: &Value, people: &People<'_>) -> String {
    let by = people.mark(piece.text("by"));
    if piece.at("confidential") == true && piece.at("title").is_null() {
        return format!(
            "<li>{} cited by {by}. Its title, address and note are sealed: only the article's checkers, its editor, chiefs \
             and auditors may open them.</li>",
            chip("warn", "confidential evidence")
        );
    }
    let mut parts = Vec::new();
    if piece.at("confidential") == true {
        parts.push(chip("warn", "confidential"));
    }
    if let Some(title) = piece.at("title").as_str() {
        parts.push(format!("<b dir=\"auto\">{}</b>", escape(title)));
    }
    if let Some(url) = piece.at("url").as_str() {
        parts.push(address(url));
    }
    if let Some(note) = piece.at("note").as_str() {
        parts.push(quoted(note));
    }
    if piece.at("sha256").is_string() {
        parts.push(format!("SHA-256 of its content {}", hash(piece.at("sha256"))));
    }
    format!("<li>{} <span class=\"dim\">cited by</span> {by}</li>", parts.join(" · "))
}
