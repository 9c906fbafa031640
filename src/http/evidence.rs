//! Confidential evidence in what newsroom tools read: opened for those who may, masked for everyone else.

use std::sync::Arc;

use copydesk_article::article::Article;
use copydesk_article::claims::{Opened, Sealed};
use copydesk_article::command::Data;
use copydesk_article::event::{self, Read};
use copydesk_article::ids::ClaimId;
use copydesk_article::problem::{Code, Problem};
use uuid::Uuid;

use super::identity::Reader;
use super::then::unreadable;
use crate::desk::Desk;
use crate::evidence::VaultError;
use crate::view::ArticleView;

/// How many keys are asked for at once.
const AT_ONCE: usize = 16;

/// Opens what is confidential in a view of an article, then or now, for someone who may read it now; for everyone
/// else it stays as it is, with nothing of it.
///
/// # Errors
/// `log_unavailable`: rather than that evidence seems to be none.
pub(super) async fn open(reader: &Reader, article: &Article, view: &mut ArticleView) -> Result<(), Problem> {
    let present = reader.desk.store().article(article.id).map_err(unreadable)?;
    let present = present.as_ref().map_or(article, |stored| &*stored.article);
    if !reader.may_open_evidence(present) {
        return Ok(());
    }
    let mut pieces = Vec::new();
    for (claim, shown) in article.claims.values().zip(&mut view.claims) {
        for (evidence, shown) in claim.evidence.iter().zip(&mut shown.evidence) {
            if let Some(sealed) = &evidence.sealed {
                pieces.push((claim.id, sealed.clone(), shown));
            }
        }
    }
    if pieces.is_empty() {
        return Ok(());
    }
    let count = pieces.len();
    tracing::info!(actor = reader.actor(), article = %article.id, count, "confidential evidence was opened");
    for together in pieces.chunks_mut(AT_ONCE) {
        let opening = together.iter().map(|(claim, sealed, _)| (*claim, sealed.clone()));
        let opening =
            opening.map(|(claim, sealed)| opened(Arc::clone(&reader.desk), article.id, claim, sealed));
        let opened = futures::future::try_join_all(opening).await?;
        for ((_, _, shown), opened) in together.iter_mut().zip(opened) {
            match opened {
                Ok(opened) => shown.open(opened),
                Err(why) => shown.unopened = Some(why),
            }
        }
    }
    Ok(())
}

/// A piece opened, or why it isn't.
async fn opened(
    desk: Arc<Desk>,
    article: Uuid,
    claim: ClaimId,
    sealed: Sealed,
) -> Result<Result<Opened, &'static str>, Problem> {
    let Some(vault) = desk.vault() else { return Ok(Err("this instance has no master key")) };
    Ok(Err(match vault.open(article, claim, &sealed).await {
        Ok((opened, _)) => return Ok(Ok(opened)),
        Err(VaultError::Log(error)) => {
            tracing::warn!(%error, "the keys of confidential evidence can't be read");
            let detail = "the keys of confidential evidence can't be read now: try again";
            return Err(Problem::new(Code::LogUnavailable, detail));
        }
        Err(VaultError::Destroyed) => "its key was destroyed",
        Err(VaultError::OtherMaster(_)) => "its key is wrapped by another master key than this instance has",
        Err(error) => {
            tracing::error!(%article, %claim, %error, "confidential evidence can't be opened");
            "it isn't what was sealed"
        }
    }))
}

/// The bytes of an event with nothing left of its sealed box; none where there is none in it.
pub(super) fn masked(subject: &str, body: &[u8]) -> Option<Vec<u8>> {
    let Read::Event(mut event) = event::read(subject, body) else { return None };
    let Data::EvidenceCited(cited) = &mut event.data else { return None };
    let sealed = cited.evidence.sealed.as_mut()?;
    *sealed = Sealed { key: String::new(), sealed: String::new() };
    event::write(&event).ok()
}
