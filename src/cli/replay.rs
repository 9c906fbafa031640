//! `replay`: the log's events as JSON lines, byte for byte as they are stored, each with its `seq`; as lines that
//! people read; or folded, as what stood at a moment.

mod state;

use clap::Args;
use copydesk::view::said::said;
use copydesk_article::event::{self, Read};
use serde_json::Value;

use super::Ending;
use super::client::{Client, with_query};
use super::history::moment;
use super::members::Members;
use super::safe;
use super::screen::{BAD, BOLD, DIM, Screen, WARN};

/// `copydesk replay`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk replay > events.jsonl
  copydesk replay --lines --actor ana --type drafted --type edited --from 2026-01-31
  copydesk replay --from 1000 --until 2026-02-01T00:00:00Z
  copydesk replay --article 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01 --data ./copydesk-data
  copydesk replay --state --until 2026-01-31T12:00:00Z --json

Needs an auditor's or a chief's token. --state folds the events here, with no help from what the service has folded;
it keeps every article it is asked for in memory.")]
pub struct Replay {
    /// From this position, date (its first moment, UTC) or time (RFC 3339) on, itself included
    #[arg(long, value_name = "SEQ or TIME", value_parser = bound)]
    from: Option<String>,
    /// Only this article's events, or with `desk` the newsroom's own
    #[arg(long, value_name = "ID")]
    article: Option<String>,
    /// Only what this actor did
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Only events of this type, such as published, or in full; may be given more than once
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Up to this position, date (its last moment, UTC) or time (RFC 3339), itself included
    #[arg(long, value_name = "SEQ or TIME", value_parser = bound)]
    until: Option<String>,
    /// A line for people each
    #[arg(long, conflicts_with = "json")]
    lines: bool,
    /// What stood at the end: the article, or a line for every article
    #[arg(long, conflicts_with_all = ["from", "actor", "types", "lines"])]
    state: bool,
}

impl Replay {
    pub async fn run(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<Ending> {
        if self.state {
            return state::run(client, self.article.as_deref(), self.until.as_deref(), screen).await;
        }
        let types = (!self.types.is_empty()).then(|| self.types.join(","));
        let path = with_query(
            "/v1/events",
            &[
                ("from", self.from.clone()),
                ("article", self.article.clone()),
                ("until", self.until.clone()),
                ("actor", self.actor.clone()),
                ("type", types),
            ],
        );
        if self.lines {
            client.lines(&path, &mut |lines| each(lines, &mut |event| line(screen, event))).await?;
        } else {
            client.copy(&path, screen).await?;
        }
        Ok(Ending::Done)
    }
}

/// A position, a date or a time, as the service will read it.
pub fn bound(value: &str) -> Result<String, String> {
    let is_one = value.parse::<u64>().is_ok()
        || value.parse::<chrono::NaiveDate>().is_ok()
        || chrono::DateTime::parse_from_rfc3339(value).is_ok();
    match is_one {
        true => Ok(value.to_owned()),
        false => Err("expected a position, a date, or a time with an offset (RFC 3339)".to_owned()),
    }
}

/// Each of these lines.
pub fn each(lines: &[u8], take: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).try_for_each(take)
}

/// A line of the replay as it was stored: without its `seq`, which stands first.
fn stored(line: &[u8]) -> Option<(u64, Vec<u8>)> {
    let rest = line.strip_prefix(b"{\"seq\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let seq = std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()?;
    let mut stored = b"{".to_vec();
    stored.extend_from_slice(rest.get(digits..)?.strip_prefix(b",")?);
    Some((seq, stored))
}

/// When, who, on which article, what.
fn line(screen: &mut Screen, line: &[u8]) -> anyhow::Result<()> {
    let event: Value = serde_json::from_slice(line)?;
    let subject = event.text("subject");
    let (what, quoted, style) = match stored(line).map(|(_, stored)| event::read(subject, &stored)) {
        Some(Read::Event(event)) => {
            let said = said(&event);
            let style = event.wire.map(|_| BOLD);
            (said.what, said.quoted, style)
        }
        Some(Read::Newsroom(_)) => ("set the newsroom's people and rules".to_owned(), None, None),
        _ if event.at("erased") == true => ("(erased)".to_owned(), None, Some(BAD)),
        _ => (format!("({}: not understood by this build)", event.text("type")), None, Some(WARN)),
    };
    let what = safe::line(&what);
    let quoted = quoted.map(|words| format!(" {}", screen.paint(DIM, &safe::cut(&format!("“{words}”"), 80))));
    screen.line(format!(
        "{:>7}  {}  {}  {}  {}{}",
        event.at("seq").as_u64().unwrap_or_default(),
        screen.paint(DIM, &moment(event.text("time"))),
        safe::pad(event.text("actor"), 10),
        screen.paint(DIM, &safe::pad(subject, 36)),
        style.map_or_else(|| what.clone(), |style| screen.paint(style, &what)),
        quoted.unwrap_or_default(),
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::shown;
    use super::*;

    #[test]
    fn a_line_gives_back_the_stored_bytes_and_their_place() {
        assert_eq!(stored(br#"{"seq":12,"a":1}"#), Some((12, br#"{"a":1}"#.to_vec())));
        assert_eq!(stored(br#"{"a":1}"#), None);
        assert_eq!(stored(br#"{"seq":12}"#), None);
    }

    #[test]
    fn lines_say_what_happened_and_nothing_in_them_acts_on_the_terminal() {
        let (mut screen, out) = shown(false);
        let golden = include_str!("../../tests/golden/every-event.jsonl");
        let lines: Vec<String> = golden
            .lines()
            .enumerate()
            .map(|(at, event)| format!("{{\"seq\":{},{}", at + 2, event.get(1..).unwrap()))
            .collect();
        for event in &lines {
            line(&mut screen, event.as_bytes()).unwrap();
        }
        line(&mut screen, br#"{"seq":99,"subject":"x","time":"2026-01-31T09:00:00Z","erased":true}"#)
            .unwrap();
        let newer = r#"{"seq":100,"type":"copydesk.article.sealed.v2","subject":"00000000-0000-0000-0000-000000000007","time":"2026-01-31T09:00:00Z","actor":"\u001b[2J"}"#;
        line(&mut screen, newer.as_bytes()).unwrap();
        screen.flush().unwrap();
        let text = out.text();
        assert_eq!(text.lines().count(), lines.len() + 2);
        for says in [
            "      2  2026-01-31 09:00:00  bot         00000000-0000-0000-0000-000000000007  drafted the story",
            "chen        00000000-0000-0000-0000-000000000007  ruled c1 inaccurate “Thirteen.”",
            "edited the headline, the byline, the urgency, b2; added b8; took out b5; moved b3",
            "asked q1, which holds up publishing “Sure?”",
            "published edition 1 (first)",
            "brought back revision 2",
            "(erased)",
            "copydesk.article.sealed.v2: not understood by this build",
        ] {
            assert!(text.contains(says), "{says}\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }
}
