//! `history`: a line an event.

use clap::Args;
use serde_json::Value;

use super::Ending;
use super::client::Client;
use super::members::Members;
use super::safe;
use super::screen::{DIM, Screen, WIDTH};

/// `copydesk history`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk history 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01
  copydesk history 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01 --json")]
pub struct History {
    /// The article's id
    article: uuid::Uuid,
}

impl History {
    pub async fn run(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<Ending> {
        let history = client.get(&format!("/v1/articles/{}/history", self.article)).await?;
        if screen.json {
            screen.value(&history)?;
            return Ok(Ending::Done);
        }
        for event in history.list("events") {
            let version = event.at("articleversion").as_u64().unwrap_or_default();
            let time = moment(event.text("time"));
            let actor = safe::pad(event.text("actor"), 10);
            let what = safe::cut(&what(event), WIDTH - 40);
            screen.line(format!("{version:>5}  {}  {actor}  {what}", screen.paint(DIM, &time)))?;
        }
        Ok(Ending::Done)
    }
}

/// A time as people read it, in UTC, to the second.
pub fn moment(time: &str) -> String {
    let read = chrono::DateTime::parse_from_rfc3339(time);
    read.map(|time| time.to_utc().format("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_else(|_| safe::line(time))
}

/// What happened, in a few words.
fn what(event: &Value) -> String {
    let kind = event.text("type");
    let mut words = vec![kind.rsplit('.').next().unwrap_or(kind).replace('_', " ")];
    let data = event.at("data");
    let answer = data.at("answer");
    words.extend(["claim", "query"].iter().map(|name| data.text(name).to_owned()));
    words.push(answer.text("created").to_owned());
    if let Some(edition) = data.at("edition").as_u64().or(answer.at("edition").as_u64()) {
        words.push(format!("edition {edition}"));
    }
    words.extend(["verdict", "kind"].iter().map(|name| data.text(name).to_owned()));
    let said = ["reason", "note", "notice"].iter().find_map(|name| data[name].as_str());
    words.extend(said.map(|said| format!("“{said}”")));
    words.retain(|word| !word.is_empty());
    words.dedup();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_said_in_a_few_words() {
        let event =
            |kind: &str, data: Value| json!({"type": format!("copydesk.article.{kind}"), "data": data});
        assert_eq!(
            what(&event("claim_ruled", json!({"claim": "c4", "verdict": "inaccurate", "note": "No."}))),
            "claim ruled c4 inaccurate “No.”"
        );
        assert_eq!(what(&event("claim_raised", json!({"answer": {"created": "c1"}}))), "claim raised c1");
        assert_eq!(
            what(&event("published", json!({"edition": 1, "kind": "first"}))),
            "published edition 1 first"
        );
    }
}
