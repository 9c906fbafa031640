//! A report as a picture: how far each row reaches towards what is asked of it, and how cost grows. Plain SVG, readable
//! on light and dark ground, in whatever font the reader has.

use std::fmt::Write as _;

use super::report::{Asked, Line, Report, Row};
use super::table;

const WIDTH: f64 = 900.0;
/// Where bars begin, and where one that just reaches ends.
const BARS: f64 = 420.0;
const REACH: f64 = 150.0;
/// Bars longer than this, in reaches, are cut.
const LONGEST: f64 = 1.7;
const ROW: f64 = 40.0;
const TOP: f64 = 64.0;
const CHART: (f64, f64) = (280.0, 130.0);

const STYLE: &str = "
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .head { font-size: 15px; font-weight: 600 }
  .quiet { fill: #59636e }
  .met { fill: #1a7f4b } .missed { fill: #c2571a } .open { fill: #6e7781 }
  .reach { stroke: #1f2328; stroke-width: 1.5; stroke-dasharray: 4 3 }
  .line { fill: none; stroke: #2f6fd0; stroke-width: 2 }
  .dot { fill: #2f6fd0 }
  .base { stroke: #8c959f; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9198a1 }
    .met { fill: #3fb27f } .missed { fill: #e58a4f } .open { fill: #8c959f }
    .reach { stroke: #e6edf3 } .line { stroke: #6ea8ff } .dot { fill: #6ea8ff }
  }
";

/// The picture.
pub fn draw(report: &Report) -> String {
    let rows: Vec<(&Row, f64)> = report.rows.iter().filter_map(|row| Some((row, reached(row)?))).collect();
    let charts = charts(report);
    let mut body = String::new();
    let mut y = TOP;
    for (row, reached) in &rows {
        bar(&mut body, row, *reached, y);
        y += ROW;
    }
    let bars_end = y;
    for (number, chart) in charts.iter().enumerate() {
        if number % 3 == 0 && number > 0 {
            y += CHART.1 + 80.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "three charts a line")]
        let x = 20.0 + (number % 3) as f64 * (CHART.0 + 15.0);
        chart.draw(&mut body, x, y + 50.0);
    }
    let height = if charts.is_empty() { y + 20.0 } else { y + CHART.1 + 100.0 };
    let met = rows.iter().filter(|(row, _)| row.met == Some(true)).count();
    let missed = rows.iter().filter(|(row, _)| row.met == Some(false)).count();
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-labelledby=\"title desc\">\n<title id=\"title\">copydesk beside what it stands on</title>\n\
         <desc id=\"desc\">{} measurements, a bar each; {met} reach what is asked, {missed} don't. {}</desc>\n\
         <style>{STYLE}</style>\n",
        rows.len(),
        escaped(&table::machine(report)),
    );
    text(&mut out, 20.0, 28.0, "head", "copydesk beside what it stands on");
    if !rows.is_empty() {
        let reach = BARS + REACH;
        let _ = writeln!(
            out,
            "<line class=\"reach\" x1=\"{reach}\" x2=\"{reach}\" y1=\"{}\" y2=\"{bars_end}\"/>",
            TOP - 8.0
        );
        text(&mut out, reach - 22.0, TOP - 14.0, "quiet", "what is asked: at or past this line");
    }
    out.push_str(&body);
    out.push_str("</svg>\n");
    out
}

/// How far a row reaches: 1 where it is just what is asked.
fn reached(row: &Row) -> Option<f64> {
    let reached = match row.asked? {
        Asked::RatioAtLeast(least) => row.ratio? / least,
        Asked::RatioAtMost(most) => most / row.ratio?,
        Asked::Under(bound) => bound / row.ours.median,
    };
    reached.is_finite().then_some(reached)
}

fn bar(out: &mut String, row: &Row, reached: f64, y: f64) {
    for (number, line) in wrapped(&row.what, 62, 2).iter().enumerate() {
        let below = if number == 0 { 10.0 } else { 25.0 };
        text(out, 20.0, y + below, "", line);
    }
    let class = match row.met {
        Some(true) => "met",
        Some(false) => "missed",
        None => "open",
    };
    let length = reached.clamp(0.01, LONGEST) * REACH;
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{BARS}\" y=\"{y}\" width=\"{length:.1}\" height=\"16\" rx=\"2\"/>"
    );
    let ours = match row.ratio {
        Some(_) => table::ratio(row),
        None => table::figure(row.ours.median, &row.unit),
    };
    let words = format!("{ours}, asked {}", table::asked(row));
    text(out, BARS + REACH * LONGEST + 15.0, y + 12.0, "", &words);
    text(out, BARS + REACH * LONGEST + 15.0, y + 27.0, "quiet", table::verdict(row));
}

/// A small chart of one figure by size.
struct Chart {
    name: &'static str,
    unit: &'static str,
    points: Vec<(String, f64)>,
}

fn charts(report: &Report) -> Vec<Chart> {
    type Figure = fn(&Line) -> Option<f64>;
    let all: [(&str, &str, &str, Figure); 5] = [
        ("events", "commands a second, by events behind", "per second", |line| {
            Some(line.commands_per_second)
        }),
        ("events", "events folded anew a second", "per second", |line| line.rebuilt_per_second),
        ("events", "memory of the service", "bytes", |line| line.resident_bytes),
        ("events", "seconds from start to ready", "seconds", |line| line.ready_seconds),
        ("instances", "commands a second, by instances", "per second", |line| Some(line.commands_per_second)),
    ];
    let chart = |(series, name, unit, of): (&'static str, &'static str, &'static str, Figure)| {
        let lines = report.growth.iter().filter(|line| line.series == series);
        let points: Vec<_> = lines.filter_map(|line| Some((table::size(line), of(line)?))).collect();
        (!points.is_empty()).then_some(Chart { name, unit, points })
    };
    all.into_iter().filter_map(chart).collect()
}

impl Chart {
    fn draw(&self, out: &mut String, x: f64, y: f64) {
        let (width, height) = CHART;
        text(out, x, y - 14.0, "", self.name);
        let _ = writeln!(
            out,
            "<line class=\"base\" x1=\"{x}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>",
            x + width,
            y + height,
            y + height
        );
        let highest = self.points.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
        #[expect(clippy::cast_precision_loss, reason = "a handful of sizes")]
        let step = width / self.points.len() as f64;
        let mut path = Vec::new();
        let mut at = x + step / 2.0;
        for (size, value) in &self.points {
            // Room above the highest point for its figure; zero is the base line.
            let top = y + height - value / highest * (height - 22.0);
            path.push(format!("{at:.1},{top:.1}"));
            let _ = writeln!(out, "<circle class=\"dot\" cx=\"{at:.1}\" cy=\"{top:.1}\" r=\"3.5\"/>");
            middle(out, at, top - 8.0, "", &table::figure(*value, self.unit));
            let count = size.split(' ').next().unwrap_or_default();
            middle(out, at, y + height + 16.0, "quiet", count);
            at += step;
        }
        let _ = writeln!(out, "<polyline class=\"line\" points=\"{}\"/>", path.join(" "));
    }
}

fn text(out: &mut String, x: f64, y: f64, class: &str, words: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(words));
}

fn middle(out: &mut String, x: f64, y: f64, class: &str, words: &str) {
    let words = escaped(words);
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{words}</text>"
    );
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Words in lines of so many characters; what is over the last one is cut.
fn wrapped(words: &str, width: usize, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split(' ') {
        let full = lines.len() == most;
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(line) if full => {
                line.push('…');
                break;
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_take_two_lines_and_no_more() {
        assert_eq!(wrapped("one two three", 7, 2), ["one two", "three"]);
        assert_eq!(wrapped("one two three four five", 7, 2), ["one two", "three…"]);
        assert_eq!(escaped("a < b & c"), "a &lt; b &amp; c");
    }
}
