//! Confidential evidence on its way through the desk: sealed before it is decided, its key kept before its event is
//! written. A key without its event harms nobody; an event without its key would be evidence lost.

use copydesk_article::claims::Blind;
use copydesk_article::command::Command;
use copydesk_article::command::cite::EvidenceCited;
use copydesk_article::problem::{Code, Problem};
use uuid::Uuid;

use super::Desk;
use crate::evidence::{Piece, VaultError};

/// What was sealed of one command, however often it is decided.
#[derive(Default)]
pub(super) struct Sealing {
    pub(super) piece: Option<Piece>,
    kept: bool,
}

impl Desk {
    /// Seals what the command asks to be sealed, where this desk can: where it can't, the decision says so.
    pub(super) fn seal(&self, command: &Command, sealing: &mut Sealing) -> Result<(), Problem> {
        if sealing.piece.is_none()
            && let Some(confidential) = command.confidential()
            && let Some(vault) = self.vault()
        {
            sealing.piece = Some(vault.seal(command.article, &confidential).map_err(|why| closed(&why))?);
        }
        Ok(())
    }

    /// Keeps the key of what was sealed, once.
    pub(super) async fn keep_key(&self, sealing: &mut Sealing) -> Result<(), Problem> {
        if let (Some(piece), Some(vault), false) = (&sealing.piece, self.vault(), sealing.kept) {
            vault.keep(piece).await.map_err(|why| closed(&why))?;
            sealing.kept = true;
        }
        Ok(())
    }

    /// What blinds the hash of a command that came of sealed evidence. None where nothing was sealed, and where the
    /// key was destroyed: then no command is known again as the same.
    pub(super) async fn blind(&self, article: Uuid, cited: &EvidenceCited) -> Result<Option<Blind>, Problem> {
        let Some(sealed) = &cited.evidence.sealed else { return Ok(None) };
        let Some(vault) = self.vault() else {
            let detail = "this instance has no key for confidential evidence: ask another";
            return Err(Problem::new(Code::LogUnavailable, detail));
        };
        match vault.open(article, cited.claim, sealed).await {
            Ok((_, blind)) => Ok(Some(blind)),
            Err(VaultError::Destroyed) => Ok(None),
            Err(why) => Err(closed(&why)),
        }
    }
}

/// None of the reasons says anything of what is sealed.
fn closed(why: &VaultError) -> Problem {
    tracing::warn!(%why, "confidential evidence can't be sealed or opened");
    let detail = format!("confidential evidence can't be sealed or opened now ({why}); nothing was written");
    Problem::new(Code::LogUnavailable, detail)
}
