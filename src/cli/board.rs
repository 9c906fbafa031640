//! `board`: the articles, newest change first.

use clap::Args;
use serde_json::Value;

use super::Ending;
use super::client::{Client, with_query};
use super::history::moment;
use super::members::Members;
use super::safe;
use super::screen::{DIM, Screen, WIDTH};

/// `copydesk board`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk board
  copydesk board --stage in_review,approved --section world
  copydesk board --assignee ana --limit 10")]
pub struct Board {
    /// Only these stages, several by commas: draft, in_review, approved, spiked
    #[arg(long)]
    stage: Option<String>,
    /// Only these, several by commas: unpublished, scheduled, published, withdrawn
    #[arg(long)]
    status: Option<String>,
    /// Only this section and those below it
    #[arg(long)]
    section: Option<String>,
    /// Only what is assigned to this actor
    #[arg(long, value_name = "ACTOR")]
    assignee: Option<String>,
    /// Only what has these words in headline, slug, byline or keywords
    #[arg(short, long, value_name = "WORDS")]
    q: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Go on from the end of an earlier page
    #[arg(long)]
    cursor: Option<String>,
}

impl Board {
    pub async fn run(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<Ending> {
        let path = with_query(
            "/v1/articles",
            &[
                ("stage", self.stage.clone()),
                ("status", self.status.clone()),
                ("section", self.section.clone()),
                ("assignee", self.assignee.clone()),
                ("q", self.q.clone()),
                ("limit", self.limit.map(|limit| limit.to_string())),
                ("cursor", self.cursor.clone()),
            ],
        );
        let board = client.get(&path).await?;
        if screen.json {
            screen.value(&board)?;
            return Ok(Ending::Done);
        }
        let articles = board.list("articles");
        if articles.is_empty() {
            screen.line("No articles.")?;
            return Ok(Ending::Done);
        }
        let head = row("stage", "status", "section", "updated (UTC)", "headline");
        screen.line(screen.paint(DIM, &head))?;
        for article in articles {
            self.article(screen, article)?;
        }
        if let Some(cursor) = board.at("next").as_str() {
            screen.line(format!("\nMore: --cursor {}", safe::line(cursor)))?;
        }
        Ok(Ending::Done)
    }

    fn article(&self, screen: &mut Screen, article: &Value) -> anyhow::Result<()> {
        let member = |name| article.text(name);
        let headline = Some(member("headline")).filter(|headline| !headline.is_empty());
        let updated = moment(member("updated"));
        let line = row(
            member("stage"),
            member("status"),
            member("section"),
            updated.get(..16).unwrap_or(&updated),
            headline.unwrap_or(member("slug")),
        );
        screen.line(line)?;
        let mut more = vec![member("article").to_owned()];
        more.push(format!("version {}", article.at("version")));
        if let Some(edition) = article.at("edition").as_u64().filter(|edition| *edition > 0) {
            more.push(format!("edition {edition}"));
        }
        for (name, mark) in [("held", "HELD"), ("overdue", "OVERDUE")] {
            if !matches!(article.at(name), Value::Null | Value::Bool(false)) {
                more.push(mark.to_owned());
            }
        }
        let more = safe::cut(&more.join("  "), WIDTH - 2);
        screen.line(format!("  {}", screen.paint(DIM, &more)))?;
        Ok(())
    }
}

/// A row of at most [`WIDTH`] columns.
fn row(stage: &str, status: &str, section: &str, updated: &str, headline: &str) -> String {
    let columns =
        [safe::pad(stage, 9), safe::pad(status, 11), safe::pad(section, 10), safe::pad(updated, 16)]
            .join("  ");
    format!("{columns}  {}", safe::cut(headline, WIDTH - 54))
}
