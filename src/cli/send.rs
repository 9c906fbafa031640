//! `send`: commands as JSON lines, an answer a line, in order.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use copydesk::http::json_line;
use copydesk_article::problem::{Code, Problem};

use super::Ending;
use super::client::{Client, Reply, never_reached};
use super::screen::Screen;

/// What some editors put before the first line of a file in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// `copydesk send`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk send commands.jsonl
  echo '{\"id\":\"…\",\"type\":\"submit\",\"article\":\"…\",\"base\":2}' | copydesk send

Every line gets its answer or its refusal. A command sent again under its id is answered as the first time.")]
pub struct Send {
    /// A file of commands, or - for stdin
    #[arg(default_value = "-")]
    file: PathBuf,
}

impl Send {
    pub async fn run(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<Ending> {
        let input: Box<dyn io::Read + std::marker::Send> = if self.file == Path::new("-") {
            Box::new(io::stdin())
        } else {
            let unreadable = || format!("{} can't be read", self.file.display());
            Box::new(std::fs::File::open(&self.file).with_context(unreadable)?)
        };
        each_line(client, BufReader::new(input), screen).await
    }
}

/// Sends every line that isn't blank. The desk judges what is no command too, so that each gets a typed answer.
async fn each_line(client: &Client, mut input: impl BufRead, screen: &mut Screen) -> anyhow::Result<Ending> {
    let mut ending = Ending::Done;
    let mut line = Vec::new();
    let mut is_first = true;
    while input.read_until(b'\n', &mut line)? > 0 {
        let command = std::mem::take(&mut line);
        let marked = std::mem::take(&mut is_first).then(|| command.strip_prefix(BYTE_ORDER_MARK)).flatten();
        let command = marked.unwrap_or(&command).trim_ascii();
        if command.is_empty() {
            continue;
        }
        let answered = client.send(command.to_vec().into()).await;
        let reply = answered.unwrap_or_else(|error| no_answer(&error));
        if reply.status != 200 {
            ending = Ending::Refused;
        }
        screen.raw(&one_line(&reply))?;
        screen.flush()?;
    }
    Ok(ending)
}

/// An answer on one line, whoever sent it.
fn one_line(reply: &Reply) -> Vec<u8> {
    let mut line = match serde_json::from_slice::<serde_json::Value>(&reply.body) {
        Ok(_) => json_line::one_line(&reply.body).into_owned(),
        Err(_) => {
            let detail = format!("status {} without JSON: is this a copydesk service?", reply.status);
            problem(Code::OutcomeUnknown, &detail)
        }
    };
    line.push(b'\n');
    line
}

fn no_answer(error: &anyhow::Error) -> Reply {
    let (code, rest) = match never_reached(error) {
        true => (Code::LogUnavailable, "nothing was sent: send the same again later"),
        false => (Code::OutcomeUnknown, "it may have been written: send the same id again"),
    };
    Reply { status: code.status(), body: problem(code, &format!("{error:#}; {rest}")).into() }
}

fn problem(code: Code, detail: &str) -> Vec<u8> {
    serde_json::to_vec(&Problem::new(code, detail)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{TestDesk, shown};
    use super::*;

    #[tokio::test]
    async fn every_line_gets_its_answer_in_order() {
        let desk = TestDesk::new();
        let draft = r#"{"id":"0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01","type":"draft","data":{"slug":"s","language":"en"}}"#;
        let input = format!("not json\n\n{draft}\n{draft}\n{{\"id\":1}}");
        let (mut screen, out) = shown(false);
        let ending = each_line(&desk.client("ana"), input.as_bytes(), &mut screen).await.unwrap();
        screen.flush().unwrap();
        assert_eq!(ending, Ending::Refused);
        let answers: Vec<serde_json::Value> =
            out.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let codes: Vec<_> = answers.iter().map(|answer| answer["code"].as_str().unwrap_or("ok")).collect();
        assert_eq!(codes, ["malformed", "ok", "ok", "invalid"]);
        assert_eq!(answers[2]["duplicate"], true);
    }

    #[tokio::test]
    async fn a_byte_order_mark_is_no_part_of_the_first_command() {
        let desk = TestDesk::new();
        let draft = r#"{"id":"0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01","type":"draft","data":{"slug":"s","language":"en"}}"#;
        for (input, ending) in [
            (format!("\u{feff}{draft}"), Ending::Done),
            (format!("\u{feff}\n{draft}"), Ending::Done),
            (format!("{draft}\n\u{feff}{draft}"), Ending::Refused),
        ] {
            let (mut screen, _) = shown(false);
            assert_eq!(
                each_line(&desk.client("ana"), input.as_bytes(), &mut screen).await.unwrap(),
                ending,
                "{input:?}"
            );
        }
    }

    #[test]
    fn an_answer_is_one_line_to_whoever_reads_lines() {
        let reply = Reply { status: 409, body: "{\n\"theirs\": \"a\u{2028}b\u{85}c\"}".into() };
        assert_eq!(one_line(&reply), b"{ \"theirs\": \"a\\u2028b\\u0085c\"}\n");
    }
}
