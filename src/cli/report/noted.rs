//! What a careful reader would want to know first of a story: what went wrong, what was put right, what is still open.

use serde_json::Value;

use super::super::members::Members;
use super::html::{People, count, escape, listed, quoted, step, when};
use super::summary::{edition_name, percent};

/// What a careful reader would want to know first, each with how much it asks for a look.
pub fn notes(record: &Value, people: &People<'_>) -> Vec<(&'static str, String)> {
    let mut notes = Vec::new();
    let (editions, claims) = (record.list("editions"), record.list("claims"));
    let unread = record.list("unread");
    if !unread.is_empty() {
        let events = count(unread.len(), "event", "events");
        notes.push(("bad", format!("{events} after the last step can't be read here: this record isn't the whole life of the story. They are listed in the <a href=\"#appendix\">appendix</a>.")));
    }
    for edition in editions {
        if matches!(edition.text("kind"), "correction" | "withdrawal" | "reinstatement") {
            let note = quoted(edition.text("note"));
            let style = if edition.text("kind") == "withdrawal" { "bad" } else { "warn" };
            notes.push((
                style,
                format!(
                    "{} on {}. Readers were told: {note}",
                    upper(&edition_name(edition)),
                    when(edition.text("time"))
                ),
            ));
        }
    }
    claims_noted(claims, editions, &mut notes);
    let waived = editions.iter().map(|edition| edition.at("gate").list("waived").len()).sum::<usize>();
    let waivers = record.list("waivers");
    if waivers.is_empty() {
        notes.push(("good", "Nothing was waived.".to_owned()));
    } else {
        let by: Vec<String> = waivers
            .iter()
            .map(|waiver| format!("{} ({})", people.mark(waiver.text("by")), step(waiver.at("version"))))
            .collect();
        let out = if waived > 0 { "an edition went out on it" } else { "no edition went out on it" };
        notes.push(("warn", format!("Reasons against publishing were waived by {}; {out}. See <a href=\"#approvals\">waivers</a>.", listed(&by))));
    }
    let ended: Vec<String> = record
        .list("approvals")
        .iter()
        .filter(|approval| !approval.at("ended").is_null())
        .map(|approval| {
            format!(
                "that of {} ({}) ended at {}",
                people.mark(approval.text("by")),
                step(approval.at("version")),
                step(approval.at("ended").at("version"))
            )
        })
        .collect();
    if !ended.is_empty() {
        notes.push((
            "warn",
            format!(
                "Of {}, {} no longer stands: {}.",
                count(record.list("approvals").len(), "approval", "approvals"),
                ended.len(),
                listed(&ended)
            ),
        ));
    }
    let state = record.at("state");
    let open = state.list("queries").iter().filter(|query| query.at("answer").is_null()).count();
    if open > 0 {
        notes.push(("warn", format!("{} without an answer.", count(open, "question is", "questions are"))));
    }
    for held in record.list("steps").iter().filter(|step| step.text("type").ends_with(".held")) {
        notes.push((
            "warn",
            format!("A publication was held back at its hour ({}).", step(held.at("version"))),
        ));
    }
    machines(record, people, &mut notes);
    let wrong = editions.iter().filter(|edition| {
        edition.at("digest_holds") == false || edition.at("gate").at("verdicts_hold") == false
    });
    let wrong: Vec<String> = wrong.map(edition_name).collect();
    if !wrong.is_empty() {
        notes.push((
            "bad",
            format!(
                "Worked out again from the events, the digests of {} are other than what was recorded.",
                listed(&wrong)
            ),
        ));
    } else if !editions.is_empty() {
        notes.push((
            "good",
            format!(
                "The recorded digests of {} were worked out again from the events, and hold.",
                count(editions.len(), "edition", "editions")
            ),
        ));
    }
    notes.sort_by_key(|(style, _)| ["bad", "warn", "good"].iter().position(|known| known == style));
    notes
}

fn claims_noted(claims: &[Value], editions: &[Value], notes: &mut Vec<(&'static str, String)>) {
    if claims.is_empty() {
        notes.push(("warn", "No claim was raised on it: nothing was checked here.".to_owned()));
        return;
    }
    let of = |test: &dyn Fn(&Value) -> bool| claims.iter().filter(|claim| test(claim)).count();
    let supported = of(&|claim| claim.text("state") == "ruled" && claim.text("verdict") == "supported");
    let gone = of(&|claim| matches!(claim.text("state"), "gone" | "dropped"));
    let live = claims.len() - gone;
    let style = if supported == live { "good" } else { "warn" };
    let others: Vec<String> = claims
        .iter()
        .filter(|claim| !matches!(claim.text("state"), "gone" | "dropped"))
        .filter(|claim| claim.text("state") != "ruled" || claim.text("verdict") != "supported")
        .map(|claim| {
            let state = match (claim.text("state"), claim.text("verdict")) {
                ("ruled", verdict) => escape(verdict),
                ("stale", verdict) => format!("stale, was {}", escape(verdict)),
                (_, _) => "no verdict".to_owned(),
            };
            format!("{} ({state})", link(claim))
        })
        .collect();
    let others = if others.is_empty() { String::new() } else { format!("; the others: {}", listed(&others)) };
    let beside =
        if gone > 0 { format!("; {gone} more left the text or were dropped") } else { String::new() };
    let are = if supported == 1 { "is" } else { "are" };
    let of = count(live, "claim", "claims");
    notes.push((
        style,
        format!(
            "{supported} of {of} in the text as it stands {are} ruled supported{others}{beside}. \
             See <a href=\"#claims\">claims</a>."
        ),
    ));
    let back: Vec<String> = claims
        .iter()
        .filter(|claim| claim.at("found_false").is_object())
        .map(|claim| format!("{} ({})", link(claim), escape(claim.at("found_false").text("verdict"))))
        .collect();
    if !back.is_empty() {
        notes.push((
            "bad",
            format!("Words that were found false stand in the text again: {}.", listed(&back)),
        ));
    }
    let adverse: Vec<String> = claims
        .iter()
        .filter_map(|claim| {
            let act = claim.list("life").iter().find(|act| {
                act.text("act") == "ruled" && matches!(act.text("verdict"), "inaccurate" | "misleading")
            })?;
            Some(format!("{} ({}, {})", link(claim), escape(act.text("verdict")), step(act.at("version"))))
        })
        .collect();
    if !adverse.is_empty() {
        notes.push(("warn", format!("Found wrong on the way: {}.", listed(&adverse))));
    }
    let stale: Vec<String> = claims
        .iter()
        .filter_map(|claim| {
            let life = claim.list("life");
            let at = life.iter().rposition(|act| act.text("act") == "stale")?;
            let anew = life
                .iter()
                .skip(at)
                .any(|act| matches!(act.text("act"), "ruled" | "back" | "gone" | "dropped"));
            (!anew).then(|| link(claim))
        })
        .collect();
    if !stale.is_empty() {
        notes.push((
            "warn",
            format!("The sentence changed after the verdict, and nobody ruled anew: {}.", listed(&stale)),
        ));
    }
    for edition in editions {
        let other: Vec<String> = edition
            .at("gate")
            .list("claims")
            .iter()
            .filter(|pair| pair.get(1).and_then(Value::as_str) != Some("supported"))
            .filter_map(|pair| {
                let id = pair.get(0)?.as_str()?;
                let verdict = pair.get(1).and_then(Value::as_str).unwrap_or("no verdict");
                Some(format!("<a href=\"#{0}\">{0}</a> ({1})", escape(id), escape(verdict)))
            })
            .collect();
        if !other.is_empty() {
            notes.push((
                "warn",
                format!(
                    "Edition {} went out with claims that were not ruled supported: {}.",
                    edition.at("number"),
                    listed(&other)
                ),
            ));
        }
    }
}

fn link(claim: &Value) -> String {
    format!("<a href=\"#{0}\">{0}</a>", escape(claim.text("id")))
}

fn machines(record: &Value, people: &People<'_>, notes: &mut Vec<(&'static str, String)>) {
    let shares = record.at("shares");
    let all: u64 = shares.as_object().into_iter().flatten().filter_map(|(_, share)| share.as_u64()).sum();
    let machines: Vec<&str> = people.names().iter().copied().filter(|name| people.is_machine(name)).collect();
    let theirs: u64 = machines.iter().filter_map(|name| shares.at(name).as_u64()).sum();
    if machines.is_empty() {
        notes.push(("good", "No machine wrote in it.".to_owned()));
    } else {
        let names: Vec<String> = machines.iter().map(|name| people.mark(name)).collect();
        notes.push((
            "warn",
            format!(
                "Machines worked on it: {}. {} of the text as it stands is theirs.",
                listed(&names),
                percent(theirs, all)
            ),
        ));
    }
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}
