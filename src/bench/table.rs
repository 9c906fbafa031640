//! Figures in words for people, and a report as Markdown.

use std::fmt::Write as _;

use super::report::{Better, Line, Report, Row, Side};

/// A figure with its unit, as short as it is clear.
pub fn figure(value: f64, unit: &str) -> String {
    match unit {
        "per second" => format!("{} /s", grouped(value)),
        "microseconds" if value >= 10_000.0 => format!("{:.1} ms", value / 1e3),
        "microseconds" => format!("{} µs", grouped(value)),
        "milliseconds" => format!("{} ms", grouped(value)),
        "seconds" => format!("{value:.2} s"),
        "bytes" if value >= 1e9 => format!("{:.2} GB", value / 1e9),
        "bytes" if value >= 1e8 => format!("{} MB", grouped(value / 1e6)),
        "bytes" if value >= 1e6 => format!("{:.1} MB", value / 1e6),
        "bytes" => format!("{:.1} KB", value / 1e3),
        _ => format!("{} {unit}", grouped(value)),
    }
}

/// A whole number with commas.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A row's ratio.
pub fn ratio(row: &Row) -> String {
    row.ratio.map(|ratio| format!("{ratio:.2} ×")).unwrap_or_default()
}

/// What is asked of a row, in its unit where it isn't a ratio.
pub fn asked(row: &Row) -> String {
    use super::report::Asked;
    match row.asked {
        Some(Asked::Under(bound)) => format!("under {}", figure(bound, &row.unit)),
        Some(asked) => asked.to_string(),
        None => String::new(),
    }
}

/// Whether it was reached.
pub fn verdict(row: &Row) -> &'static str {
    match (row.met, row.asked) {
        (Some(true), _) => "met",
        (Some(false), _) => "not met",
        (None, Some(_)) => "not judged",
        (None, None) => "",
    }
}

/// What a row measured, and which way is better where less is.
pub fn what(row: &Row) -> String {
    match row.better {
        Better::More => row.what.clone(),
        Better::Less => format!("{} (less is better)", row.what),
    }
}

/// Processor time an operation.
pub fn cpu(side: &Side) -> String {
    side.cpu_micros.map(|micros| format!("{} cpu", figure(micros, "microseconds"))).unwrap_or_default()
}

/// The most memory.
pub fn peak(side: &Side) -> String {
    side.peak_bytes.map(|bytes| figure(bytes, "bytes")).unwrap_or_default()
}

/// The columns of lines of growth: what they are called, and a line's figures.
pub fn growth(line: &Line) -> [(&'static str, String); 5] {
    let known = |value: Option<f64>, unit: &str| value.map(|value| figure(value, unit)).unwrap_or_default();
    [
        ("commands", figure(line.commands_per_second, "per second")),
        ("folded anew", known(line.rebuilt_per_second, "per second")),
        ("memory", known(line.resident_bytes, "bytes")),
        ("state on disk", known(line.state_bytes, "bytes")),
        ("ready in", known(line.ready_seconds, "seconds")),
    ]
}

/// A count with commas.
pub(super) fn count(of: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    grouped(of as f64)
}

/// How many of what a line of growth speaks of.
pub fn size(line: &Line) -> String {
    let at = count(line.at);
    let what = line.series.strip_suffix('s').filter(|_| line.at == 1).unwrap_or(&line.series);
    format!("{at} {what}")
}

/// What was measured on, in one sentence.
pub fn machine(report: &Report) -> String {
    let memory = report.memory_bytes.map(|bytes| format!(", {} of memory", figure(bytes, "bytes")));
    format!(
        "copydesk {}, NATS server {}, {}, {} processors{}, {}; runs a side: {}, commands a run: {}, events: {}, \
         articles: {}, readers: {}; {}, {:.0} s in all",
        report.copydesk,
        report.nats_server.as_deref().unwrap_or("none"),
        report.kernel.as_deref().unwrap_or("unknown kernel"),
        report.cores,
        memory.unwrap_or_default(),
        report.file_system.as_deref().unwrap_or("unknown file system"),
        report.sizes.runs,
        report.sizes.commands,
        report.sizes.events,
        report.sizes.articles,
        report.sizes.readers,
        report.began,
        report.seconds,
    )
}

/// A report as tables for docs/BENCHMARKS.md.
pub fn markdown(report: &Report) -> String {
    let mut out = format!("{}.\n\n", machine(report));
    out.push_str(
        "| what | against | ours | bare | ratio | asked | | cpu each, ours / bare | peak memory |\n",
    );
    out.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for row in &report.rows {
        let both = |of: fn(&Side) -> String| match row.bare.as_ref().map(of).filter(|bare| !bare.is_empty()) {
            Some(bare) => format!("{} / {bare}", of(&row.ours)),
            None => of(&row.ours),
        };
        let cells = [
            what(row),
            row.against.clone().unwrap_or_default(),
            figure(row.ours.median, &row.unit),
            row.bare.as_ref().map(|bare| figure(bare.median, &row.unit)).unwrap_or_default(),
            ratio(row),
            asked(row),
            verdict(row).to_owned(),
            both(cpu).replace(" cpu", ""),
            both(peak),
        ];
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    for series in ["events", "instances"] {
        let lines: Vec<&Line> = report.growth.iter().filter(|line| line.series == series).collect();
        let Some(first) = lines.first() else { continue };
        let names = growth(first).map(|(name, _)| name);
        let _ = writeln!(out, "\n| {series} | {} |\n|---|---|---|---|---|---|", names.join(" | "));
        for line in lines {
            let _ = writeln!(out, "| {} | {} |", size(line), growth(line).map(|(_, cell)| cell).join(" | "));
        }
    }
    for part in &report.left_out {
        let _ = writeln!(out, "\n{}: {}: {}", part.how(), part.part, part.why);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_have_their_unit() {
        let seen = [
            figure(39_343.4, "per second"),
            figure(446.0, "microseconds"),
            figure(12_345.0, "microseconds"),
            figure(1.5, "seconds"),
            figure(32_000.0, "bytes"),
            figure(134_217_728.0, "bytes"),
            figure(999.0, "milliseconds"),
            grouped(1_000_000.0),
        ];
        let expected =
            ["39,343 /s", "446 µs", "12.3 ms", "1.50 s", "32.0 KB", "134 MB", "999 ms", "1,000,000"];
        assert_eq!(seen, expected);
    }
}
