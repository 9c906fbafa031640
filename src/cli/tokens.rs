//! `tokens`: which bearer tokens there are, and the end of one.

use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::Ending;
use super::client::{Client, escape};
use super::members::Members;
use super::safe;
use super::screen::{DIM, Screen};

/// `copydesk tokens`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk tokens list
  copydesk tokens revoke ana laptop            from now on, on every instance, without a restart
  copydesk tokens list --data ./copydesk-data --config copydesk.toml

A chief's token is needed. `token = \"sha256:…\"` of a person's table is listed as `token`.")]
pub struct Tokens {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Whose tokens there are: name, end, last use, and whether revoked
    List,
    /// End a token, now and for good
    Revoke {
        /// Whose it is
        actor: String,
        /// What it is called among theirs
        name: String,
    },
}

impl Tokens {
    pub async fn run(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<Ending> {
        match &self.what {
            What::List => {
                let all = client.get("/v1/tokens").await?;
                if screen.json {
                    screen.value(&all)?;
                    return Ok(Ending::Done);
                }
                let titles = ["actor", "name", "hash", "state", "last used", "until (UTC)"];
                screen.line(screen.paint(DIM, &row(titles)))?;
                for token in all.list("tokens") {
                    shown(screen, token)?;
                }
            }
            What::Revoke { actor, name } => {
                let path = format!("/v1/tokens/{}/{}/revoke", escape(actor), escape(name));
                let token = client.call(Method::POST, &path, None).await?.accepted()?;
                if screen.json {
                    screen.value(&token)?;
                } else {
                    screen.line(format!("{actor}'s token {name} is revoked."))?;
                }
            }
        }
        Ok(Ending::Done)
    }
}

fn shown(screen: &mut Screen, token: &Value) -> std::io::Result<()> {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    screen.line(row([
        token.text("actor"),
        token.text("name"),
        token.text("sha256"),
        token.text("state"),
        &or_dash(token.text("last_used")),
        &or_dash(token.text("expires")),
    ]))
}

fn row(columns: [&str; 6]) -> String {
    let widths = [16, 16, 8, 7, 10, 20];
    let padded = columns.iter().zip(widths).map(|(column, width)| safe::pad(column, width));
    padded.collect::<Vec<_>>().join("  ")
}
