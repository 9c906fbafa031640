//! `report`: an article's whole record as one HTML page that needs nothing from outside, for a standards editor or a
//! lawyer.
//!
//! The page is a document first: without scripts it is the whole record to be read and printed. Its one script moves
//! through time by cloning what each step of the history in the page already shows, so nothing is in it twice and no
//! newsroom text ever stands in a script. A policy in the page admits that script and its style sheet by their
//! hashes, and nothing else.
//!
//! # Layout
//! - `html`: escaping, times, chips; `words`: blocks and fields with writers and changes.
//! - `page`: the document; `summary`, `noted`, `timeline`, `steps`, `claims`, `judgements`, `editions`, `appendix`: its parts.

mod appendix;
mod claims;
mod editions;
mod html;
mod judgements;
mod noted;
mod page;
mod steps;
mod summary;
mod timeline;
mod words;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::Ending;
use super::client::{Client, with_query};
use super::screen::Screen;

/// `copydesk report`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  copydesk report 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01 -o record.html
  copydesk report 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01 --until 2026-02-01 > record.html
  copydesk report 0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01 --json --data ./copydesk-data

Needs an auditor's or a chief's token. The page holds everything that they may see: drafts, questions, evidence.")]
pub struct Report {
    /// The article's id
    article: uuid::Uuid,
    /// Write to this file, readable by its owner alone, instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The record up to this position, date or time (RFC 3339), itself included
    #[arg(long, value_name = "SEQ or TIME", value_parser = super::replay::bound)]
    until: Option<String>,
}

impl Report {
    pub async fn run(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<Ending> {
        let path =
            with_query(&format!("/v1/articles/{}/report", self.article), &[("until", self.until.clone())]);
        let record = client.get(&path).await?;
        let written =
            if screen.json { format!("{record}\n").into_bytes() } else { page::page(&record).into_bytes() };
        match &self.output {
            None => screen.raw(&written)?,
            Some(file) => {
                let mut options = std::fs::OpenOptions::new();
                options.write(true).create(true).truncate(true);
                // It may hold an unpublished story.
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                let cant = || format!("{} can't be written", file.display());
                let mut file = options.open(file).with_context(cant)?;
                // One that was there before keeps its mode otherwise.
                #[cfg(unix)]
                file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
                    .with_context(cant)?;
                std::io::Write::write_all(&mut file, &written).with_context(cant)?;
            }
        }
        Ok(Ending::Done)
    }
}
