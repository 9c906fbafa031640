//! `audit-key`: draws a key that checkpoints are signed with. Needs no service; nothing is kept.

use clap::Args;
use copydesk::audit;
use serde_json::json;

use super::Ending;
use super::screen::Screen;

/// `copydesk audit-key`
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  copydesk audit-key desk.example/audit > audit.key\n\nThe key goes to stdout, for the \
                  file that [audit] key names, and what it is verified with to stderr."
)]
pub struct AuditKey {
    /// The name of the log: the public address without its scheme, with /audit
    origin: String,
}

impl AuditKey {
    pub fn run(&self, screen: &mut Screen) -> anyhow::Result<Ending> {
        let key = audit::line::new_key(&self.origin)?;
        if screen.json {
            screen.value(&json!({"key": key.secret_text(), "verifier": key.verifier()}))?;
        } else {
            screen.line(key.secret_text())?;
            eprintln!("verified with {}", key.verifier());
        }
        Ok(Ending::Done)
    }
}
