//! The wire, held against the editions that were derived.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::{About, AllSigned, Expected, Fault, Report};
use crate::log::{Content, Entry, Headers, Log, LogError};

/// Each message must be of the next edition, complete and as this build renders it.
pub(super) async fn compare(
    log: &dyn Log,
    expected: &[Expected],
    signed: &AllSigned,
    report: &mut Report,
) -> Result<(), LogError> {
    let wire = log.wire();
    let end = wire.end().await?;
    let mut tail = wire.tail(0).await?;
    let mut editions = expected.iter();
    let mut at = 0;
    while at < end {
        let Some(group) = tail.next().await else { break };
        for entry in group?.into_iter().filter(|entry| entry.seq <= end) {
            at = entry.seq;
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
            if let Err(what) = fits(&entry, edition, report.wire, signed) {
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
