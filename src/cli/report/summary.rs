//! The front: what the story is, where it stands, who had which part in it, and what a careful reader would want to
//! know first.

use serde_json::Value;

use super::super::members::Members;
use super::html::{People, chip, count, escape, hash, listed, table, when, words};
use super::noted;
use super::page::headline;

/// The title block.
pub fn front(record: &Value) -> String {
    let state = record.at("state");
    let made = record.at("made");
    let standfirst = state.at("fields").text("standfirst");
    let standfirst = if standfirst.is_empty() {
        String::new()
    } else {
        format!("<p class=\"standfirst\" dir=\"auto\">{}</p>", escape(standfirst))
    };
    let until = match made.text("until") {
        "" => String::new(),
        until => format!(" It ends at {}, as was asked for; what came later isn't in it.", words(until)),
    };
    format!(
        "<header><p class=\"kicker\">Record of a story</p><h1 dir=\"auto\"{}>{}</h1>{standfirst}\
         <p class=\"made\">Made for {} on {}, from the log up to its position {}.{until} All times are in UTC.</p></header>\n",
        super::page::language(record),
        escape(headline(state)),
        words(made.text("by")),
        when(made.text("at")),
        made.at("log"),
    )
}

/// The summary.
pub fn section(record: &Value, people: &People<'_>) -> String {
    let noted = noted::notes(record, people);
    let noted: String = noted
        .iter()
        .map(|(style, note)| {
            let word = match *style {
                "bad" => "Look",
                "warn" => "Note",
                _ => "Fine",
            };
            format!("<li class=\"{style}\">{}<span>{note}</span></li>", chip(style, word))
        })
        .collect();
    format!(
        "<p class=\"status\">{}</p><ul class=\"notes\">{noted}</ul><h3>Who did what</h3>{}<h3>The story</h3>{}",
        standing(record),
        parts_played(record, people),
        facts(record, people)
    )
}

/// What readers have, and how far the working copy is.
fn standing(record: &Value) -> String {
    let state = record.at("state");
    let newest = record.list("editions").last();
    let readers = match (state.text("status"), newest) {
        ("published", Some(edition)) => {
            let kind = edition_name(edition);
            format!(
                "{} Readers have {kind}, since {}.",
                chip("good", "Published"),
                when(edition.text("time"))
            )
        }
        ("withdrawn", Some(edition)) => {
            format!(
                "{} Withdrawn on {}; readers see a notice in its place.",
                chip("bad", "Withdrawn"),
                when(edition.text("time"))
            )
        }
        ("scheduled", _) => {
            let schedule = state.at("schedule");
            format!(
                "{} To go out at {}, set by {}.",
                chip("warn", "Scheduled"),
                when(schedule.text("at")),
                words(schedule.text("by"))
            )
        }
        _ => format!("{} Readers have nothing of it.", chip("", "Unpublished")),
    };
    let changed = newest.is_some_and(|edition| edition.at("revision") != state.at("revision"));
    let stage = match state.text("stage") {
        "draft" => "a draft",
        "in_review" => "in review",
        "approved" => "approved",
        "spiked" => "spiked",
        other => other,
    };
    let beside = match (newest.is_some(), changed) {
        (true, true) => {
            format!(
                " The working copy has changed since, to revision {}, and is {}.",
                state.at("revision"),
                escape(stage)
            )
        }
        (true, false) => " The working copy is the same.".to_owned(),
        (false, _) => format!(" The working copy is {}.", escape(stage)),
    };
    format!("{readers}{beside}")
}

/// An edition in a few words: `edition 2, a correction`.
pub fn edition_name(edition: &Value) -> String {
    let number = edition.at("number");
    match edition.text("kind") {
        "first" => format!("edition {number}, the first"),
        "update" => format!("edition {number}, an update"),
        "correction" => format!("edition {number}, a correction"),
        "reinstatement" => format!("edition {number}, a reinstatement"),
        "withdrawal" => format!("number {number}, the withdrawal"),
        other => format!("edition {number}, {}", escape(other)),
    }
}

/// A row for each person.
fn parts_played(record: &Value, people: &People<'_>) -> String {
    let all: u64 =
        record.at("shares").as_object().into_iter().flatten().filter_map(|(_, share)| share.as_u64()).sum();
    let rows: Vec<Vec<String>> = people
        .names()
        .iter()
        .map(|name| {
            let acts: Vec<&Value> =
                record.list("steps").iter().filter(|step| step.text("actor") == *name).collect();
            let by = |act: &str| acts.iter().filter(|step| step.text("act") == act).count();
            let ends = |kind: &str| acts.iter().filter(|step| step.text("type").ends_with(kind)).count();
            let share = record.at("shares").at(name).as_u64().unwrap_or(0);
            let full = people.full_name(name);
            let full =
                if full.is_empty() || full == *name { String::new() } else { format!("{}, ", words(full)) };
            let wrote = match (by("words"), share) {
                (0, 0) => String::new(),
                (edits, share) => {
                    format!("{} of the text, in {}", percent(share, all), count(edits, "change", "changes"))
                }
            };
            let some = |number: usize, one: &str, many: &str| {
                if number == 0 { String::new() } else { count(number, one, many) }
            };
            let checked = [
                some(ends(".claim_raised"), "claim raised", "claims raised"),
                some(ends(".claim_ruled"), "ruling", "rulings"),
                some(ends(".evidence_cited"), "citation", "citations"),
            ];
            let judged = [
                some(ends(".approved"), "approval", "approvals"),
                some(ends(".returned"), "return", "returns"),
                some(ends(".waived"), "waiver", "waivers"),
                some(ends(".asked"), "question", "questions"),
                some(ends(".answered"), "answer", "answers"),
            ];
            let out = [
                some(ends(".published"), "edition", "editions"),
                some(ends(".withdrawn"), "withdrawal", "withdrawals"),
            ];
            let cell = |parts: &[String]| {
                parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("<br>")
            };
            vec![
                format!(
                    "{}<br><span class=\"dim\">{full}{}</span>",
                    people.mark(name),
                    escape(&people.roles(name))
                ),
                wrote,
                cell(&checked),
                cell(&judged),
                cell(&out),
            ]
        })
        .collect();
    table("Who did what", &["Who", "Wrote", "Checked", "Judged and asked", "Put out"], &rows)
}

/// A part of a whole.
pub fn percent(share: u64, all: u64) -> String {
    match (share, all) {
        (_, 0) | (0, _) => "nothing".to_owned(),
        (share, all) if share == all => "all".to_owned(),
        // To the nearest percent, but what isn't nothing or all isn't said to be.
        (share, all) => match (share.saturating_mul(100) + all / 2) / all {
            0 => "less than 1 %".to_owned(),
            100 => "more than 99 %".to_owned(),
            percent => format!("{percent} %"),
        },
    }
}

/// What stands in any file's first lines.
fn facts(record: &Value, people: &People<'_>) -> String {
    let state = record.at("state");
    let fields = state.at("fields");
    let first = record.list("steps").first();
    let drafted =
        first.map(|first| format!("{} by {}", when(first.text("time")), people.mark(first.text("actor"))));
    let restricted: Vec<String> =
        state.list("restricted").iter().filter_map(Value::as_str).map(words).collect();
    let given = |text: &str| Some(words(text)).filter(|_| !text.is_empty());
    let rows = [
        ("Slug", given(fields.text("slug"))),
        ("Section", given(fields.text("section"))),
        ("Language", given(fields.text("language"))),
        ("Byline", given(fields.text("byline"))),
        ("Source", given(fields.at("source").text("name"))),
        ("Drafted", drafted),
        ("Last step", Some(when(state.text("updated")))),
        ("Embargo", Some(state.text("embargo")).filter(|time| !time.is_empty()).map(when)),
        (
            "Seen by",
            Some(listed(&restricted))
                .filter(|people| !people.is_empty())
                .map(|people| format!("{people}, chiefs and auditors only")),
        ),
        (
            "Counts",
            Some(format!(
                "{}, {}, {}",
                count(record.list("steps").len(), "step", "steps"),
                count(
                    state.at("revision").as_u64().unwrap_or(0) as usize,
                    "revision of its words",
                    "revisions of its words"
                ),
                count(record.list("editions").len(), "edition", "editions")
            )),
        ),
        ("Article", Some(hash(record.at("article")))),
    ];
    let rows = rows
        .into_iter()
        .filter_map(|(name, value)| Some(format!("<div><dt>{name}</dt><dd>{}</dd></div>", value?)));
    format!("<dl class=\"facts\">{}</dl>", rows.collect::<String>())
}

/// Which colour is whose, and how changes are marked.
pub fn legend(people: &People<'_>) -> String {
    let writers: String =
        people.names().iter().map(|name| format!("<li>{}</li>", people.mark(name))).collect();
    format!(
        "<ul class=\"legend\" aria-label=\"How to read it\">{writers}<li><ins>came</ins></li><li><del>went</del></li></ul>"
    )
}
