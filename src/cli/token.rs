//! `token`: draws a bearer token. Needs no service; nothing is kept.

use anyhow::bail;
use clap::Args;
use copydesk::config::token::Token;
use copydesk_article::ids::is_actor_name;
use serde_json::json;

use super::screen::Screen;
use super::{Ending, Misuse};

/// `copydesk token`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  copydesk token ana\n\nThe token goes to ana, its sha256 line into the \
                  configuration under [people.ana].")]
pub struct DrawToken {
    /// Whose token it is to be
    actor: String,
}

impl DrawToken {
    pub fn run(&self, screen: &mut Screen) -> anyhow::Result<Ending> {
        let actor = &self.actor;
        if !is_actor_name(actor) {
            bail!(Misuse(format!("{actor}: a name is 1 to 32 of a-z, 0-9, _ and -, and not `desk`")));
        }
        let token = Token::draw()?;
        if screen.json {
            let hash = token.hash().to_string();
            screen.value(&json!({"actor": actor, "token": token.as_str(), "hash": hash}))?;
        } else {
            screen.line(format!("For {actor}, shown this once:\n\n  {}", token.as_str()))?;
            screen.line("")?;
            screen.line(format!(
                "For the configuration:\n\n  [people.{actor}]\n  token = \"{}\"",
                token.hash()
            ))?;
        }
        Ok(Ending::Done)
    }
}
