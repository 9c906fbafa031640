//! The wire, held against the editions that were derived.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{About, AllSigned, Expected, Fault, Report};
use crate::log::{Content, Entry, Headers, Log, LogError, Seq, Stream};
use crate::merkle::Hash;
use crate::store::redacted::Line;

/// Each message must be of the next edition, complete and as this build renders it. `known` is where the wire ended before
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
    let mut editions = expected.iter().peekable();
    let mut redactions = Redactions::of(log);
    // Messages that came since may name checkpoints that did, too.
    let none_signed = AllSigned::new();
    let mut at = 0;
    'wire: while at < end {
        let Some(group) = tail.next().await else { break };
        for entry in group?.into_iter().filter(|entry| entry.seq <= end) {
            at = entry.seq;
            if at > known && editions.peek().is_none() {
                break 'wire;
            }
            if let Content::Message { headers, .. } = &entry.content
                && header(headers, "Copydesk-Event").is_none()
            {
                report.notes.push(format!("the wire's message at {at} is none of ours"));
                continue;
            }
            report.wire += 1;
            let Some(edition) = editions.next() else {
                report.found(About::Wire, Some(at), "it is of no edition in the log");
                continue;
            };
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
    let missing = editions.count();
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
            said("Copydesk-Edition", &edition.edition.to_string())?;
            said("Copydesk-Kind", edition.kind)?;
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
            if entry.subject != edition.home {
                return Err(format!("it is on {}, and should be on {}", entry.subject, edition.home));
            }
            Some(Sha256::digest(body).into())
        }
        Content::Erased { sha256 } => *sha256,
    };
    match (hash, edition.body) {
        (None, _) => Err("it was deleted behind the service's back".to_owned()),
        (Some(hash), Some(body)) if hash != body => {
            Err(format!("it isn't edition {} as it was decided", edition.edition))
        }
        _ => Ok(()),
    }
}
