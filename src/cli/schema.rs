//! `schema`: the JSON Schemas of what goes in and out.

use anyhow::bail;
use clap::Args;
use copydesk::wire::schema;
use copydesk_article::schemas;

use super::screen::Screen;
use super::{Ending, Misuse};

/// `copydesk schema`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk schema              the names
  copydesk schema command      what a command looks like
  copydesk schema event > event.schema.json")]
pub struct Schema {
    /// Which one; its file's name under schemas/, or the first word of it
    name: Option<String>,
}

impl Schema {
    pub fn run(&self, screen: &mut Screen) -> anyhow::Result<Ending> {
        let mut all = schemas::all();
        all.push((schema::FILE, schema::edition()));
        let Some(asked) = &self.name else {
            for (name, _) in all {
                screen.line(name)?;
            }
            return Ok(Ending::Done);
        };
        let found = all.iter().find(|(name, _)| name == asked || name.split('.').next() == Some(asked));
        let Some((_, schema)) = found else {
            bail!(Misuse(format!("there is no schema {asked}; `copydesk schema` lists them")));
        };
        screen.raw(format!("{schema:#}\n").as_bytes())?;
        Ok(Ending::Done)
    }
}
