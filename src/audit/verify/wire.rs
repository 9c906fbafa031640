//! The wire, held against the editions that were derived.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{About, AllSigned, Derived, Expected, Fault, Report};
use crate::log::{Content, Entry, Headers, Log, LogError, Seq, Stream};
use crate::merkle::Hash;
use crate::store::redacted::Line;

/// Each message must be of the next edition, complete and as this build renders it. It says which it is of, so one that is
/// missing, doubled or strange is no fault of those after it. `known` is where the wire ended before
/// the events' end was taken: what stands up to there is of events that were read. What came since is held against the
/// editions that are left, and where none is, it is of events that came since, too.
pub(super) async fn compare(
    log: &dyn Log,
    known: Seq,
    expected: &[Expected],
    signed: &AllSigned,
    report: &mut Report,
) -> Result<(), LogError> {
    let wire = log.wire();
    let end = wire.end().await?;
    let mut tail = wire.tail(0).await?;
    let mut next = 0;
    let mut redactions = Redactions::of(log);
    // Messages that came since may name checkpoints that did, too.
    let none_signed = AllSigned::new();
    let mut at = 0;
    'wire: while at < end {
        let Some(group) = tail.next().await else { break };
        for entry in group?.into_iter().filter(|entry| entry.seq <= end) {
            at = entry.seq;
            if at > known && next == expected.len() {
                break 'wire;
            }
            if let Content::Message { headers, .. } = &entry.content
                && header(headers, "Copydesk-Event").is_none()
            {
                report.notes.push(format!("the wire's message at {at} is none of ours"));
                continue;
            }
            report.wire += 1;
            let found = which(&entry, expected, next);
            let Some((place, edition)) = found.and_then(|place| Some((place, expected.get(place)?))) else {
                report.found(About::Wire, Some(at), "it is of no edition in the log");
                continue;
            };
            for missing in expected.get(next..place).unwrap_or_default() {
                let what = format!("before it the edition of the event at {} is missing", missing.seq);
                let article = Some(missing.article);
                report.fault(Fault { about: About::Wire, seq: Some(at), article, what });
            }
            if place < next {
                let what = format!("the edition of the event at {} stands further up already", edition.seq);
                report.fault(Fault {
                    about: About::Wire,
                    seq: Some(at),
                    article: Some(edition.article),
                    what,
                });
                continue;
            }
            next = place + 1;
            let signed = if at <= known { signed } else { &none_signed };
            let mut held = fits(&entry, edition, report.wire, signed);
            if let (Ok(()), Content::Erased { sha256: Some(sha256) }) = (&held, &entry.content)
                && !redactions.name(edition.article, at, sha256).await?
            {
                held = Err("it was erased, and no redaction names it".to_owned());
            }
            if let Err(what) = held {
                let article = Some(edition.article);
                report.fault(Fault { about: About::Wire, seq: Some(at), article, what });
            }
        }
    }
    let missing = expected.len() - next;
    if missing > 0 {
        report
            .notes
            .push(format!("the wire lacks the last {missing} editions: the service sends them when it runs"));
    }
    Ok(())
}

/// What the redactions of articles name on the wire. They are read when a message turns out to be erased, and not before:
/// the event that names it was appended first, though maybe after the events' end was taken.
struct Redactions {
    events: Arc<dyn Stream>,
    by_article: HashMap<Uuid, HashSet<(Seq, Hash)>>,
}

impl Redactions {
    fn of(log: &dyn Log) -> Self {
        Self { events: log.events(), by_article: HashMap::new() }
    }

    /// Whether a redaction of this article names the message at this position, by the hash that is left of it.
    async fn name(&mut self, article: Uuid, seq: Seq, sha256: &Hash) -> Result<bool, LogError> {
        let named = match self.by_article.entry(article) {
            MapEntry::Occupied(known) => known.into_mut(),
            MapEntry::Vacant(place) => {
                let line = Line::read(&*self.events, article).await?;
                let named = line.redactions().flat_map(|(_, redacted)| redacted.wire);
                place.insert(named.map(|message| (message.seq, message.sha256.0)).collect())
            }
        };
        Ok(named.contains(&(seq, *sha256)))
    }
}

fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Which edition a message says that it is of, by its event's position or else its id; the next one where it can't say.
fn which(entry: &Entry, expected: &[Expected], next: usize) -> Option<usize> {
    let Content::Message { headers, .. } = &entry.content else { return Some(next) };
    let seq = header(headers, "Copydesk-Seq").and_then(|seq| seq.parse::<Seq>().ok());
    let by_seq = seq.and_then(|seq| expected.binary_search_by_key(&seq, |edition| edition.seq).ok());
    by_seq.or_else(|| {
        let event: Uuid = header(headers, "Copydesk-Event")?.parse().ok()?;
        expected.get(next).filter(|edition| edition.event == event).map(|_| next)
    })
}

fn fits(entry: &Entry, edition: &Expected, count: u64, signed: &AllSigned) -> Result<(), String> {
    let hash = match &entry.content {
        Content::Message { headers, body } => {
            let said = |name, is: &str| match header(headers, name) {
                Some(value) if value == is => Ok(()),
                Some(value) => Err(format!("its {name} is {value}, and should be {is}")),
                None => Err(format!("it has no {name}")),
            };
            said("Copydesk-Seq", &edition.seq.to_string())?;
            said("Copydesk-Event", &edition.event.to_string())?;
            if let Some(derived) = &edition.derived {
                said("Copydesk-Edition", &derived.edition.to_string())?;
                said("Copydesk-Kind", derived.kind)?;
            }
            said("Copydesk-Count", &count.to_string())?;
            let [size, root] =
                ["Size", "Root"].map(|part| header(headers, &format!("Copydesk-Checkpoint-{part}")));
            if !signed.is_empty() && (size.is_some() || root.is_some()) {
                let roots = size.and_then(|size| signed.get(&size.parse().ok()?)).into_iter().flatten();
                let mut roots = roots.map(|(_, root)| BASE64.encode(root));
                if !roots.any(|signed| root == Some(&signed)) {
                    return Err("it names a checkpoint that was never signed".to_owned());
                }
            }
            if let Some(home) = edition.derived.as_ref().map(|derived| &derived.home)
                && entry.subject != *home
            {
                return Err(format!("it is on {}, and should be on {home}", entry.subject));
            }
            Some(Sha256::digest(body).into())
        }
        Content::Erased { sha256 } => *sha256,
    };
    let Some(hash) = hash else { return Err("it was deleted behind the service's back".to_owned()) };
    match &edition.derived {
        Some(Derived { edition, body: Some(body), .. }) if hash != *body => {
            Err(format!("it isn't edition {edition} as it was decided"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_on_another_subject_than_its_articles_home_is_found() {
        let (seq, article, event) = (7, Uuid::from_u128(1), Uuid::from_u128(2));
        let derived = Some(Derived { home: "world".to_owned(), edition: 1, kind: "first", body: None });
        let expected = Expected { seq, article, event, derived };
        let id = event.to_string();
        let headers = [("Seq", "7"), ("Event", &*id), ("Edition", "1"), ("Kind", "first"), ("Count", "1")];
        let headers = headers.into_iter().map(|(name, value)| (format!("Copydesk-{name}"), value.to_owned()));
        let content = Content::Message { headers: headers.collect(), body: "{}".into() };
        let on = |subject: &str| {
            let subject = subject.to_owned();
            let entry =
                Entry { seq: 1, subject, time: chrono::DateTime::UNIX_EPOCH, content: content.clone() };
            fits(&entry, &expected, 1, &AllSigned::new())
        };
        assert_eq!(on("world"), Ok(()));
        assert_eq!(on("world.asia"), Err("it is on world.asia, and should be on world".to_owned()));
    }
}
