//! `feed`: what readers get.

use std::io;

use clap::Args;
use serde_json::Value;

use super::Ending;
use super::client::{Client, with_query};
use super::history::moment;
use super::members::Members;
use super::screen::{BOLD, DIM, Screen};

/// `copydesk feed`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk feed
  copydesk feed --section world --json

Public: it needs no token.")]
pub struct Feed {
    /// Only this section and those below it
    #[arg(long)]
    section: Option<String>,
    /// Only this keyword
    #[arg(long)]
    keyword: Option<String>,
    /// Only this language
    #[arg(long)]
    language: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

impl Feed {
    pub async fn run(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<Ending> {
        let path = with_query(
            "/feed.json",
            &[
                ("section", self.section.clone()),
                ("keyword", self.keyword.clone()),
                ("language", self.language.clone()),
                ("limit", self.limit.map(|limit| limit.to_string())),
            ],
        );
        let feed = client.get(&path).await?;
        if screen.json {
            screen.value(&feed)?;
            return Ok(Ending::Done);
        }
        let items = feed.list("items");
        if items.is_empty() {
            screen.line("Nothing is published.")?;
        }
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                screen.line("")?;
            }
            entry(screen, 0, item)?;
        }
        Ok(Ending::Done)
    }
}

/// One entry of a JSON Feed.
pub fn entry(screen: &mut Screen, indent: usize, item: &Value) -> io::Result<()> {
    let title = Some(item.text("title")).filter(|title| !title.is_empty()).unwrap_or("(no title)");
    screen.wrapped(indent, title, BOLD)?;
    screen.wrapped(indent, item.text("summary"), anstyle::Style::new())?;
    let first = item.text("content_text").lines().find(|line| !line.trim().is_empty());
    screen.wrapped(indent, first.unwrap_or_default(), anstyle::Style::new())?;
    let times = [("published", "date_published"), ("changed", "date_modified")];
    let times = times.iter().filter(|(_, name)| item[name].is_string());
    let times: Vec<_> = times.map(|(word, name)| format!("{word} {}", moment(item.text(name)))).collect();
    screen.wrapped(indent, &times.join(" · "), DIM)?;
    let address = Some(item.text("url")).filter(|url| !url.is_empty()).unwrap_or(item.text("id"));
    screen.wrapped(indent, address, DIM)
}
