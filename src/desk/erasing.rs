//! Erasing by law: what a decision on it is worked out on, and carrying out what was decided.
//!
//! The `redacted` event is appended first; what it names is then erased, by the desk that decided it, and after a
//! crash by whichever instance comes to the event. Erasing twice is fine, and only bytes of the hash that the event
//! names are erased.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use copydesk_article::article::Article;
use copydesk_article::command::Data;
use copydesk_article::command::confirm_redaction::Redacted;
use copydesk_article::edition::Edition;
use copydesk_article::event::{self, Event, Hex, Read};
use copydesk_article::problem::{Code, Problem};
use copydesk_article::redaction::{Erasing, OnTheWire, Standing};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::on_the_wire::message_of;
use super::{At, Desk, Known, unavailable};
use crate::evidence;
use crate::log::{Content, Entry, LogError, Seq, Stream};
use crate::store::StoreError;
use crate::store::redacted::Line;

/// How long erasing waits before it tries again.
const PAUSE: Duration = Duration::from_secs(1);

/// Why something isn't erased yet.
#[derive(Debug, thiserror::Error)]
enum EraseError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Desk {
    /// An article's line as far as it is known, its messages on the wire, and its newest edition.
    pub(super) async fn line_of(&self, article: Uuid, known: &Known) -> Result<Erasing, Problem> {
        let read = Line::read(&*self.log.events(), article).await.map_err(unavailable)?;
        let aside = || Problem::new(Code::SetAside, "an event of the article can't be read by this build");
        let mut line = Vec::new();
        for entry in read.entries.iter().filter(|entry| entry.seq <= known.seq) {
            let Content::Message { body, .. } = &entry.content else { return Err(aside()) };
            let sha256 = Some(Hex(Sha256::digest(body).into()));
            let sha256 = sha256.filter(|_| !read.replaced.contains(&entry.seq));
            match event::read(&entry.subject, body) {
                Read::Event(event) => line.push(Standing { seq: entry.seq, sha256, event: *event }),
                Read::Foreign => {}
                Read::Newsroom(_) | Read::NotUnderstood { .. } => return Err(aside()),
            }
        }
        let present = known.stored.as_ref().map(|stored| &*stored.article);
        let (wire, newest) = match present {
            Some(present) if !present.editions.is_empty() => {
                let (wire, newest) =
                    (self.on_the_wire(present, &line).await?, self.newest(present, known.seq).await?);
                (wire, Some(newest))
            }
            _ => (Vec::new(), None),
        };
        Ok(Erasing { line, wire, newest })
    }

    /// The article's messages on the wire. While its newest edition isn't there, nothing may be erased: the wire's
    /// writer makes it of what is to be erased.
    async fn on_the_wire(&self, present: &Article, line: &[Standing]) -> Result<Vec<OnTheWire>, Problem> {
        let uri = format!("urn:uuid:{}", present.id.as_hyphenated());
        let wire = self.log.wire();
        let mut messages = Vec::new();
        let (mut last, mut after) = (String::new(), 0);
        for standing in line.iter().filter(|standing| standing.event.wire.is_some()) {
            // One that was erased is none of ours any more.
            let entry = message_of(&*wire, standing.seq, after).await.map_err(unavailable)?;
            let Some(Entry { seq, content: Content::Message { body, .. }, .. }) = entry else { continue };
            after = seq;
            let Ok(ninjs) = serde_json::from_slice::<serde_json::Value>(&body) else { continue };
            if ninjs.get("uri").and_then(serde_json::Value::as_str) == Some(&uri) {
                last =
                    ninjs.get("version").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
                messages.push(OnTheWire { seq, sha256: Hex(Sha256::digest(&body).into()), body: ninjs });
            }
        }
        if present.last_edition().is_some_and(|edition| edition.number.to_string() != last) {
            let detail = "the article's newest edition isn't on the wire yet: try again";
            return Err(Problem::new(Code::Behind, detail));
        }
        Ok(messages)
    }

    /// What readers have.
    async fn newest(&self, present: &Article, seq: Seq) -> Result<Edition, Problem> {
        let version = present.last_edition().map_or(0, |edition| edition.version);
        let then = self.as_it_was(present.id, At::Version(version), seq).await?;
        then.as_ref().and_then(|then| Edition::of(then)).ok_or_else(|| {
            Problem::new(Code::LogUnavailable, "the article's newest edition can't be had now")
        })
    }

    /// The entry of an article's event; of an erased one, with what stands in its place.
    ///
    /// # Errors
    /// [`LogError`].
    pub async fn entry_of(&self, article: Uuid, seq: Seq) -> Result<Option<Entry>, LogError> {
        let events = self.log.events();
        let entry = events.get(seq).await?;
        if !matches!(&entry, Some(entry) if matches!(entry.content, Content::Erased { .. })) {
            return Ok(entry);
        }
        let line = Line::read(&*events, article).await?;
        Ok(line.at(seq).cloned().or(entry))
    }

    /// Carries out what an event of ours says is to be erased.
    pub(super) async fn erase_named(&self, event: &Event) -> Result<(), LogError> {
        let Data::Redacted(redacted) = &event.data else { return Ok(()) };
        let Redacted { events, wire, keys, .. } = &**redacted;
        // The events last: where none of them stands, nothing else does, and whoever folds meanwhile knows by them whether
        // the words may have come into its files.
        let mut missing = None;
        for erased in wire {
            missing = missing.or(erase(&*self.log.wire(), erased.seq, erased.sha256.0).await?);
        }
        for key in keys {
            evidence::destroy(&self.log.keys(), key).await?;
        }
        for erased in events {
            missing = missing.or(erase(&*self.log.events(), erased.seq, erased.sha256.0).await?);
        }
        // A log that is without a leader may have lost sight of it for a moment; a wire that lost its tail has nothing there to
        // erase, and the events are erased all the same.
        missing.map_or(Ok(()), |seq| Err(unknown(seq)))
    }

    /// Why something that was redacted isn't erased yet, where this instance knows of it.
    pub fn unerased(&self) -> Option<String> {
        let unerased = self.unerased.lock().unwrap_or_else(PoisonError::into_inner);
        unerased.as_ref().map(|(_, why)| why.clone())
    }

    /// Notes why what an event up to this position names isn't erased.
    pub(super) fn note_unerased(&self, seq: Seq, why: &dyn std::fmt::Display) {
        let mut unerased = self.unerased.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = unerased.as_ref().map_or(seq, |(noted, _)| seq.max(*noted));
        *unerased = Some((seq, why.to_string()));
    }

    /// Notes that everything is erased that events up to this position name.
    fn note_erased(&self, folded: Seq) {
        let mut unerased = self.unerased.lock().unwrap_or_else(PoisonError::into_inner);
        unerased.take_if(|(seq, _)| *seq <= folded);
    }

    /// Carries out every redaction that isn't among those known to be done.
    async fn finish(&self, done: &mut BTreeSet<Seq>) -> Result<(), EraseError> {
        let mut all = Ok(());
        for (seq, article) in self.store.redactions()? {
            if done.contains(&seq) {
                continue;
            }
            // One that can't be finished keeps none of the others from it.
            match self.finish_one(seq, article).await {
                Ok(()) => drop(done.insert(seq)),
                Err(error) => all = all.and(Err(error.into())),
            }
        }
        all
    }

    async fn finish_one(&self, seq: Seq, article: Uuid) -> Result<(), LogError> {
        let entry = self.entry_of(article, seq).await?.ok_or_else(|| unknown(seq))?;
        if let Content::Message { body, .. } = &entry.content
            && let Read::Event(event) = event::read(&entry.subject, body)
        {
            self.erase_named(&event).await?;
            tracing::info!(%article, seq, "what was redacted is erased");
        }
        Ok(())
    }
}

fn unknown(seq: Seq) -> LogError {
    LogError::Unavailable(format!("whoever answers now knows nothing at {seq}"))
}

/// Erases what stands at a position, if it is what is meant; gives the position where nobody knows of anything there.
async fn erase(stream: &dyn Stream, seq: Seq, sha256: [u8; 32]) -> Result<Option<Seq>, LogError> {
    let body = match stream.get(seq).await? {
        Some(Entry { content: Content::Message { body, .. }, .. }) => body,
        Some(Entry { content: Content::Erased { .. }, .. }) => return Ok(None),
        None => return Ok(Some(seq)),
    };
    if <[u8; 32]>::from(Sha256::digest(&body)) != sha256 {
        tracing::error!(seq, "other bytes stand there than a redaction names: they are not erased");
        return Ok(None);
    }
    stream.erase(seq).await.map(|()| None)
}

/// Sees to it for ever that what was redacted is erased: what a crash left, on this instance or another.
pub async fn keep_erasing(desk: Arc<Desk>) -> Infallible {
    let mut done = BTreeSet::new();
    let mut positions = desk.store().positions();
    loop {
        positions.mark_unchanged();
        let folded = desk.store().position().seq;
        match desk.finish(&mut done).await {
            Ok(()) => {
                desk.note_erased(folded);
                // The sender lives as long as the store, which the desk holds.
                tokio::select! {
                    biased;
                    _ = positions.changed() => {}
                    () = desk.erase_again.notified() => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "what was redacted isn't erased everywhere yet");
                desk.note_unerased(folded, &error);
                desk.log().clock().sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::house;
    use super::*;
    use crate::log::memory::MemoryLog;
    use crate::log::{Expect, Log, Message};
    use copydesk_article::newsroom::Role;

    #[tokio::test]
    async fn what_is_not_erased_is_told_until_the_event_that_names_it_is_folded_and_done() {
        let (_, [desk], _folder) = house(&[("carl", Role::Chief)]).await;
        desk.note_unerased(9, &"no leader");
        desk.note_unerased(7, &"no leader yet");
        desk.note_erased(8);
        assert_eq!(desk.unerased().as_deref(), Some("no leader yet"));
        desk.note_erased(9);
        assert_eq!(desk.unerased(), None);
    }

    /// A wire that was put back from a backup, say, may have another edition where the one that is named stood.
    #[tokio::test]
    async fn other_bytes_than_those_that_are_named_stay() {
        let wire = MemoryLog::new(3).wire();
        let (subject, id, body) = ("world".to_owned(), "1".to_owned(), "another edition".into());
        let message = Message { subject, id, headers: Vec::new(), body };
        wire.try_append(&message, Expect::Stream(0)).await.unwrap();
        let is_erased =
            async || matches!(wire.get(1).await.unwrap().unwrap().content, Content::Erased { .. });
        assert_eq!(erase(&*wire, 1, Sha256::digest("the edition").into()).await.unwrap(), None);
        assert!(!is_erased().await);
        assert_eq!(erase(&*wire, 1, Sha256::digest("another edition").into()).await.unwrap(), None);
        assert!(is_erased().await);
    }
}
