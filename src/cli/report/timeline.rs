//! The timeline: a lane for each person, a mark for each step, a flag for each edition. A long life is drawn in
//! several strips, so that it fits on paper. Steps stand side by side, not to scale; long pauses are named.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::super::members::Members;
use super::html::{People, escape, read};

/// So many steps stand in a strip.
const STRIP: usize = 48;
/// Units of the drawing: its width, the column of names, the height of a lane, the room for flags and times.
const WIDTH: f64 = 960.0;
const NAMES: f64 = 120.0;
const LANE: f64 = 30.0;
const FLAGS: f64 = 44.0;
const NO_FLAGS: f64 = 8.0;
const TIMES: f64 = 40.0;
/// What is kept free on the right, for the last flag.
const RIGHT: f64 = 96.0;
/// A pause that is named, and how far apart such names stand.
const PAUSE: TimeDelta = TimeDelta::minutes(10);
const APART: f64 = 74.0;

/// The timeline with its legend.
pub fn section(record: &Value, people: &People<'_>) -> String {
    let steps = record.list("steps");
    let strips: String = steps.chunks(STRIP).map(|strip| self::strip(strip, steps.len(), people)).collect();
    format!(
        "<p class=\"lead\">A mark is a step, a lane is a person, a flag is what readers got. Marks stand one after the other; \
         pauses of ten minutes and more are named. Each mark leads to its step.</p>\
         {strips}<p class=\"caption\" id=\"caption\" aria-hidden=\"true\"></p>{}",
        key()
    )
}

fn strip(steps: &[Value], all: usize, people: &People<'_>) -> String {
    let lanes: Vec<&str> = people
        .names()
        .iter()
        .copied()
        .filter(|name| steps.iter().any(|step| step.text("actor") == *name))
        .collect();
    let flags_room = if steps.iter().any(|step| !step.at("edition").is_null()) { FLAGS } else { NO_FLAGS };
    let bottom = flags_room + LANE * lanes.len() as f64;
    let height = bottom + TIMES;
    // A short life isn't stretched over the whole width.
    let width = ((WIDTH - NAMES - RIGHT) / steps.len().max(1) as f64).min(56.0);
    let x = |at: usize| NAMES + 10.0 + width * (at as f64 + 0.5);
    let y = |lane: usize| flags_room + LANE * (lane as f64 + 0.5);
    let mut out = String::new();
    for (lane, name) in lanes.iter().enumerate() {
        let machine = if people.is_machine(name) { " (machine)" } else { "" };
        let shown: String = name.chars().take(14).collect();
        out.push_str(&format!(
            "<line class=\"lane\" x1=\"{NAMES}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>\
             <text class=\"name\" x=\"{1:.1}\" y=\"{2:.1}\">{3}{machine}</text>",
            y(lane),
            NAMES - 10.0,
            y(lane) + 4.0,
            escape(&shown)
        ));
    }
    out.push_str(&pauses(steps, &x, (flags_room, bottom)));
    let mut flags: [Vec<(f64, f64)>; 2] = Default::default();
    for (at, step) in steps.iter().enumerate() {
        if step.at("edition").is_null() {
            continue;
        }
        let (x, words) = (x(at), flag(step));
        let long = 8.0 + 6.4 * words.chars().count() as f64;
        let left = if x + long > WIDTH { x - long } else { x };
        // Flags close together stand at two heights.
        let clear = |row: &Vec<(f64, f64)>| row.iter().all(|(from, to)| left + long < *from || left > *to);
        let row = flags.iter().position(clear).unwrap_or(0);
        if let Some(row) = flags.get_mut(row) {
            row.push((left, left + long));
        }
        let top = 4.0 + 19.0 * row as f64;
        let style = if step.text("type").ends_with(".withdrawn") { "flag withdrawn" } else { "flag" };
        out.push_str(&format!(
            "<g class=\"{style}\"><line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>\
             <rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{long:.1}\" height=\"17\"/><text x=\"{0:.1}\" y=\"{1:.1}\">{words}</text></g>",
            left + 4.0, top + 12.5
        ));
    }
    for (at, step) in steps.iter().enumerate() {
        let lane = lanes.iter().position(|name| *name == step.text("actor")).unwrap_or(0);
        let version = step.at("version");
        let words = escape(&format!(
            "Step {version}: {} {}, {}",
            step.text("actor"),
            step.text("what"),
            shown(read(step.text("time")))
        ));
        let (shape, class) = mark(step);
        out.push_str(&format!(
            "<a href=\"#v{version}\" class=\"mark {class}\" data-step=\"{version}\" aria-label=\"{words}\"><title>{words}</title>\
             <g transform=\"translate({:.1} {:.1})\"><rect class=\"hit\" x=\"-9\" y=\"-13\" width=\"18\" height=\"26\"/>{shape}</g></a>",
            x(at), y(lane)
        ));
    }
    let (first, last) = (steps.first(), steps.last());
    let time = |step: Option<&Value>| {
        let number = step.map(|step| step.at("version").to_string()).unwrap_or_default();
        format!("step {number}: {}", shown(step.and_then(|step| read(step.text("time")))))
    };
    let end = x(steps.len().saturating_sub(1)).max(NAMES + 260.0);
    out.push_str(&format!(
        "<text class=\"time\" x=\"{NAMES}\" y=\"{0:.1}\">{1}</text><text class=\"time end\" x=\"{end:.1}\" y=\"{0:.1}\">{2}</text>",
        height - 6.0, time(first), time(last)
    ));
    let number = |step: Option<&Value>| step.map(|step| step.at("version").to_string()).unwrap_or_default();
    format!(
        "<div class=\"strip\" tabindex=\"0\" role=\"group\" aria-label=\"Timeline, steps {} to {} of {all}\">\
         <svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"group\" aria-label=\"Steps\">{out}</svg></div>",
        number(first),
        number(last)
    )
}

/// The longest pauses, each named where it lies.
fn pauses(steps: &[Value], x: &dyn Fn(usize) -> f64, (top, bottom): (f64, f64)) -> String {
    let times: Vec<Option<DateTime<Utc>>> = steps.iter().map(|step| read(step.text("time"))).collect();
    let mut all: Vec<(usize, TimeDelta)> = times
        .windows(2)
        .enumerate()
        .filter_map(|(at, pair)| match pair {
            [Some(before), Some(after)] => Some((at, *after - *before)),
            _ => None,
        })
        .filter(|(_, pause)| *pause >= PAUSE)
        .collect();
    all.sort_by_key(|(_, pause)| std::cmp::Reverse(*pause));
    let mut named: Vec<f64> = Vec::new();
    let mut out = String::new();
    for (at, pause) in all {
        let middle = (x(at) + x(at + 1)) / 2.0;
        out.push_str(&format!(
            "<line class=\"pause\" x1=\"{middle:.1}\" x2=\"{middle:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>"
        ));
        if named.iter().all(|other| (other - middle).abs() >= APART) {
            named.push(middle);
            out.push_str(&format!(
                "<text class=\"pause\" x=\"{middle:.1}\" y=\"{:.1}\">{}</text>",
                bottom + 14.0,
                length(pause)
            ));
        }
    }
    out
}

/// `3 h later`.
fn length(pause: TimeDelta) -> String {
    let (days, hours, minutes) = (pause.num_days(), pause.num_hours() % 24, pause.num_minutes() % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min later"),
        (0, hours) => format!("{hours} h {minutes} min later"),
        (1, _) => "1 day later".to_owned(),
        (days, _) => format!("{days} days later"),
    }
}

fn shown(time: Option<DateTime<Utc>>) -> String {
    time.map(|time| time.format("%-d %b %Y, %H:%M:%S UTC").to_string()).unwrap_or_default()
}

fn flag(step: &Value) -> String {
    let number = step.at("edition");
    if step.text("type").ends_with(".withdrawn") {
        return "withdrawn".to_owned();
    }
    let kind = step.text("what").rsplit_once('(').map_or("", |(_, kind)| kind.trim_end_matches(')'));
    match kind {
        "first" | "" => format!("edition {number}"),
        kind => format!("{number}: {}", escape(kind)),
    }
}

const CIRCLE: &str = "<circle r=\"5.5\"/>";
const SQUARE: &str = "<rect x=\"-5.5\" y=\"-5.5\" width=\"11\" height=\"11\"/>";
const TICKED: &str =
    "<rect x=\"-6\" y=\"-6\" width=\"12\" height=\"12\"/><path class=\"sign\" d=\"M-3 0 L-1 3 L4 -3\"/>";
const CROSSED: &str = "<rect x=\"-6\" y=\"-6\" width=\"12\" height=\"12\"/><path class=\"sign\" d=\"M-3 -3 L3 3 M3 -3 L-3 3\"/>";
const TRIANGLE: &str = "<path d=\"M0 -6.5 L6.5 5.5 L-6.5 5.5 Z\"/>";
const DIAMOND: &str = "<path d=\"M0 -7 L7 0 L0 7 L-7 0 Z\"/>";
const STAR: &str =
    "<path d=\"M0 -8 L2.2 -2.6 L8 -2.2 L3.6 1.6 L5 7.2 L0 4.2 L-5 7.2 L-3.6 1.6 L-8 -2.2 L-2.2 -2.6 Z\"/>";
const BAR: &str = "<rect x=\"-2\" y=\"-7\" width=\"4\" height=\"14\"/>";

/// A step's shape, which says what sort of act it is without its colour, and its class.
fn mark(step: &Value) -> (&'static str, &'static str) {
    let kind = step.text("type");
    match step.text("act") {
        "words" => (CIRCLE, "words"),
        "checks" if kind.ends_with(".claim_ruled") => match step.text("what").rsplit_once(' ') {
            Some((_, "supported")) => (TICKED, "good"),
            Some((_, "inaccurate" | "misleading")) => (CROSSED, "bad"),
            _ => (SQUARE, "warn"),
        },
        "checks" => (SQUARE, "checks"),
        "queries" => (TRIANGLE, "queries"),
        "review" if kind.ends_with(".approved") => (DIAMOND, "good"),
        "review" if kind.ends_with(".waived") => (DIAMOND, "bad"),
        "review" => (DIAMOND, "review"),
        "readers" => (STAR, "readers"),
        _ => (BAR, "desk"),
    }
}

/// What the shapes mean.
fn key() -> String {
    let all = [
        (CIRCLE, "words", "wrote or changed words"),
        (SQUARE, "checks", "raised a claim or cited evidence"),
        (TICKED, "good", "ruled it supported"),
        (CROSSED, "bad", "ruled it inaccurate or misleading"),
        (SQUARE, "warn", "ruled otherwise"),
        (TRIANGLE, "queries", "asked or answered"),
        (DIAMOND, "review", "submitted or returned"),
        (DIAMOND, "good", "approved"),
        (DIAMOND, "bad", "waived a reason"),
        (STAR, "readers", "published, scheduled, withdrew"),
        (BAR, "desk", "assigned, embargoed, restricted, spiked"),
    ];
    let items = all.map(|(shape, class, words)| {
        format!("<li><svg viewBox=\"-10 -10 20 20\" aria-hidden=\"true\"><g class=\"mark {class}\">{shape}</g></svg> {words}</li>")
    });
    format!("<ul class=\"key\" aria-label=\"What the marks mean\">{}</ul>", items.concat())
}
