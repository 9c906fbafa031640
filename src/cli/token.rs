//! `token`: draws a bearer token. Needs no service; nothing is kept.

use anyhow::bail;
use chrono::{Days, Utc};
use clap::Args;
use copydesk::config::token::{Expiry, Token, is_token_name};
use copydesk_article::ids::is_actor_name;
use serde_json::json;

use super::screen::Screen;
use super::{Ending, Misuse};

/// `copydesk token`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk token ana
  copydesk token ana --name laptop --expires 90d
  copydesk token bot --name importer --expires 2027-03-31

The token goes to ana, its sha256 line into the configuration. `copydesk tokens` lists and revokes.")]
pub struct DrawToken {
    /// Whose token it is to be
    actor: String,
    /// What it is called among theirs: the machine or the tool that holds it
    #[arg(long, value_name = "N")]
    name: Option<String>,
    /// When it ends: in so many days (90d), with the end of a day (2027-03-31, UTC), or at a time (RFC 3339)
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
}

impl DrawToken {
    pub fn run(&self, screen: &mut Screen) -> anyhow::Result<Ending> {
        let actor = &self.actor;
        if !is_actor_name(actor) {
            bail!(Misuse(format!("{actor}: a name is 1 to 32 of a-z, 0-9, _ and -, and not `desk`")));
        }
        let name = self.name.as_deref().or(self.expires.as_ref().map(|_| "default"));
        if let Some(name) = name.filter(|name| !is_token_name(name)) {
            bail!(Misuse(format!("--name {name}: a name is 1 to 32 of a-z, 0-9, _ and -")));
        }
        let expires = self.expires.as_deref().map(ending).transpose()?;
        let token = Token::draw()?;
        let hash = token.hash().to_string();
        if screen.json {
            let expires = expires.map(|expires| expires.to_string());
            let drawn = json!({
                "actor": actor, "name": name, "expires": expires, "token": token.as_str(), "hash": hash,
            });
            screen.value(&drawn)?;
            return Ok(Ending::Done);
        }
        screen.line(format!("For {actor}, shown this once:\n\n  {}\n", token.as_str()))?;
        screen.line("For the configuration:\n")?;
        match name {
            None => screen.line(format!("  [people.{actor}]\n  token = \"{hash}\""))?,
            Some(name) => {
                screen.line(format!(
                    "  [[people.{actor}.tokens]]\n  name = \"{name}\"\n  sha256 = \"{hash}\""
                ))?;
                if let Some(expires) = expires {
                    screen.line(format!("  expires = {expires}"))?;
                }
            }
        }
        Ok(Ending::Done)
    }
}

/// Reads `90d`, a day or a time, which must lie ahead.
fn ending(text: &str) -> anyhow::Result<Expiry> {
    let now = Utc::now();
    let in_days = text.strip_suffix('d').and_then(|days| days.parse().ok()).filter(|days| *days > 0);
    let expires = match in_days {
        Some(days) => now.date_naive().checked_add_days(Days::new(days)).and_then(Expiry::end_of),
        None => text.parse().ok(),
    };
    match expires {
        Some(expires) if !expires.is_past(now) => Ok(expires),
        Some(_) => bail!(Misuse(format!("--expires {text}: that is past"))),
        None => bail!(Misuse(format!(
            "--expires {text}: expected days (90d), a day (2027-03-31) or a time (2027-03-31T18:00:00Z)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::shown;
    use super::*;

    #[test]
    fn the_lines_that_are_printed_are_what_a_configuration_takes() {
        let (mut screen, written) = shown(false);
        let draw = |expires: &str| DrawToken {
            actor: "ana".to_owned(),
            name: Some("laptop".to_owned()),
            expires: Some(expires.to_owned()),
        };
        draw("90d").run(&mut screen).unwrap();
        let text = written.text();
        let (token, lines) = text.split_once("For the configuration:").unwrap();
        let token = token.split_whitespace().find(|word| word.starts_with("cd_")).unwrap();
        let chief = "[people.carl]\nroles = [\"chief\"]\n[people.ana]\nroles = [\"reporter\"]\n";
        let config = copydesk::config::Config::parse(&format!("{chief}{lines}")).unwrap();
        let listed = &config.tokens()[0];
        assert_eq!(listed.hash, copydesk::config::token::TokenHash::of(token));
        let days = (listed.expires.unwrap().0 - Utc::now()).num_days();
        assert!((89..=91).contains(&days), "{days}");
        for bad in ["0d", "2020-01-01", "soon", "-1d"] {
            assert!(draw(bad).run(&mut screen).unwrap_err().is::<Misuse>(), "{bad}");
        }
    }
}
