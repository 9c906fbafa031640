//! Where verbs write: plain lines, colours on a terminal only, and JSON.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::safe;

/// Columns that everything fits in.
pub const WIDTH: usize = 80;

/// What stands out.
pub const BOLD: Style = Style::new().bold();
/// What stands back.
pub const DIM: Style = Style::new().dimmed();
/// What is well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What isn't.
pub const BAD: Style = AnsiColor::Red.on_default();
/// What asks for a look.
pub const WARN: Style = AnsiColor::Yellow.on_default();

/// The output of a verb.
pub struct Screen {
    out: Box<dyn Write + Send>,
    terminal: bool,
    colour: bool,
    /// Whether JSON was asked for.
    pub json: bool,
}

impl Screen {
    /// Stdout.
    pub fn stdout(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { out: Box::new(io::BufWriter::new(io::stdout())), terminal, colour: terminal && !refused, json }
    }

    /// Anything else, as plain text.
    #[cfg(test)]
    pub fn plain(out: impl Write + Send + 'static, json: bool) -> Self {
        Self { out: Box::new(out), terminal: false, colour: false, json }
    }

    /// Words in a style, where colours are wanted.
    pub fn paint(&self, style: Style, words: &str) -> String {
        if self.colour { format!("{style}{words}{style:#}") } else { words.to_owned() }
    }

    /// A line. What came from the newsroom has been made safe by the caller.
    pub fn line(&mut self, line: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.out, "{}", line.as_ref().trim_end())
    }

    /// Lines wrapped to the width, indented.
    pub fn wrapped(&mut self, indent: usize, words: &str, style: Style) -> io::Result<()> {
        for line in safe::wrap(words, WIDTH - indent) {
            let painted = if line.is_empty() { line } else { self.paint(style, &line) };
            self.line(format!("{:indent$}{painted}", ""))?;
        }
        Ok(())
    }

    /// A JSON document, spread over lines on a terminal.
    pub fn value(&mut self, value: &Value) -> io::Result<()> {
        let written =
            if self.terminal { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        self.raw(format!("{}\n", written.map_err(io::Error::other)?).as_bytes())
    }

    /// JSON as it came: byte for byte into a file or pipe, made safe on a terminal.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.terminal {
            self.out.write_all(safe::json(&String::from_utf8_lossy(bytes)).as_bytes())
        } else {
            self.out.write_all(bytes)
        }
    }

    /// Text as it came: byte for byte into a file or pipe, made safe on a terminal.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        let safe = if self.terminal { safe::text(text) } else { text.to_owned() };
        self.out.write_all(safe.as_bytes())
    }

    /// Lets what was written be seen.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
