//! `deliveries`: which subscribers have which edition.

use axum::http::Method;
use clap::Args;
use serde_json::{Value, json};

use super::Ending;
use super::client::{Client, escape, with_query};
use super::history::moment;
use super::members::Members;
use super::refused::Refused;
use super::safe;
use super::screen::{DIM, Screen, WIDTH};

/// `copydesk deliveries`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk deliveries                       the newest editions and withdrawals, and who has them
  copydesk deliveries --article ID
  copydesk deliveries --outstanding --json  what some subscriber has not taken
  copydesk deliveries --retry archive       send a webhook again what is parked")]
pub struct Deliveries {
    /// Only this article's
    #[arg(long, value_name = "ID")]
    article: Option<String>,
    /// Of a page, only what some subscriber has not taken
    #[arg(long)]
    outstanding: bool,
    /// Have this webhook sent again, now, all that it has not taken (chiefs)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["article", "outstanding"])]
    retry: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Go on from the end of an earlier page
    #[arg(long)]
    cursor: Option<String>,
}

impl Deliveries {
    pub async fn run(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<Ending> {
        if let Some(name) = &self.retry {
            return self.again(client, screen, name).await;
        }
        let path = with_query(
            "/v1/deliveries",
            &[
                ("article", self.article.clone()),
                ("limit", self.limit.map(|limit| limit.to_string())),
                ("cursor", self.cursor.clone()),
            ],
        );
        let mut page = client.get(&path).await?;
        if self.outstanding
            && let Some(Value::Array(deliveries)) = page.get_mut("deliveries")
        {
            deliveries.retain(|delivery| {
                delivery.list("subscribers").iter().any(|subscriber| subscriber.text("state") != "taken")
            });
        }
        if screen.json {
            screen.value(&page)?;
            return Ok(Ending::Done);
        }
        let deliveries = page.list("deliveries");
        if deliveries.is_empty() {
            screen.line("No deliveries.")?;
        } else {
            screen.line(screen.paint(DIM, &row("time (UTC)", "edition", "kind", "article")))?;
        }
        for delivery in deliveries {
            self.delivery(screen, delivery)?;
        }
        if let Some(cursor) = page.at("next").as_str() {
            screen.line(format!("\nMore: --cursor {}", safe::line(cursor)))?;
        }
        Ok(Ending::Done)
    }

    async fn again(&self, client: &Client, screen: &mut Screen, name: &str) -> anyhow::Result<Ending> {
        let path = format!("/v1/deliveries/{}/retry", escape(name));
        let reply = client.call(Method::POST, &path, None).await?;
        if reply.status != 204 {
            return Err(Refused::read(reply.status, &reply.body).into());
        }
        if screen.json {
            screen.value(&json!({"retry": name}))?;
        } else {
            screen.line(format!("{} is sent again what it has not taken.", safe::line(name)))?;
        }
        Ok(Ending::Done)
    }

    fn delivery(&self, screen: &mut Screen, delivery: &Value) -> anyhow::Result<()> {
        let time = moment(delivery.text("time"));
        let edition = delivery.at("edition").to_string();
        let time = time.get(..16).unwrap_or(&time);
        screen.line(row(time, &edition, delivery.text("kind"), delivery.text("article")))?;
        let subscribers = delivery.list("subscribers");
        if subscribers.is_empty() {
            screen.line(format!("  {}", screen.paint(DIM, "for no known subscriber")))?;
        }
        for subscriber in subscribers {
            let mut line = vec![
                safe::pad(subscriber.text("name"), 24),
                safe::pad(subscriber.text("kind"), 8),
                safe::pad(subscriber.text("state"), 8),
            ];
            if let Some(attempts) = subscriber.at("attempts").as_u64() {
                let since = moment(subscriber.text("since"));
                let since = since.get(..16).unwrap_or(&since);
                line.push(format!(
                    "tried {attempts} times since {since}: {}",
                    safe::line(subscriber.text("why"))
                ));
            }
            screen.line(format!("  {}", safe::cut(&line.join("  "), WIDTH - 2)))?;
        }
        Ok(())
    }
}

fn row(time: &str, edition: &str, kind: &str, article: &str) -> String {
    let columns = [safe::pad(time, 16), safe::pad(edition, 7), safe::pad(kind, 13)].join("  ");
    format!("{columns}  {}", safe::cut(article, WIDTH - 42))
}
