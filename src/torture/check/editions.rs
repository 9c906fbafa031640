//! The wire and `/stream`, held against the editions that the log has.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::erased::Erasures;
use super::readers::CLOCK_SET;
use super::{Checked, Evidence, Expected, What};
use crate::log::{Content, Entry, Headers, Seq};
use crate::torture::journal::{digest, marked};

pub(super) fn header<'a>(headers: &'a Headers, name: &str) -> &'a str {
    let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value)
}

/// What the wire has of the editions, by their events' positions.
#[derive(Debug, Default)]
struct OnTheWire {
    /// The hash of each message's JSON.
    there: HashMap<Seq, [u8; 32]>,
    /// The hashes of the bytes of those that were erased.
    gone: Gone,
}

/// Editions whose messages were erased, by their events' positions, and the hashes of their bytes.
pub(super) type Gone = BTreeMap<Seq, [u8; 32]>;

/// Gives the editions that were erased.
pub(super) fn check(
    evidence: &Evidence<'_>,
    expected: &[Expected],
    erasures: &Erasures,
    checked: &mut Checked,
) -> Gone {
    let sent = wire(evidence.wire, expected, erasures, checked);
    received(evidence, checked);
    for (number, reader) in evidence.journal.streamed.iter().enumerate() {
        streamed(number, reader, (expected, &sent), evidence.had_time, checked);
    }
    sent.gone
}

/// Each edition once, in the log's order, under its own number, with no word that it doesn't have.
fn wire(wire: &[Entry], expected: &[Expected], erasures: &Erasures, checked: &mut Checked) -> OnTheWire {
    let by_event: HashMap<String, (usize, &Expected)> =
        expected.iter().enumerate().map(|(at, edition)| (edition.event.to_string(), (at, edition))).collect();
    let (mut there, mut sent, mut last) = (BTreeSet::new(), OnTheWire::default(), None);
    for (count, entry) in (1..).zip(wire) {
        checked.checks += 1;
        let (headers, body) = match &entry.content {
            Content::Message { headers, body } => (headers, body),
            Content::Erased { sha256 } => {
                // The wire is in order: it can only have been the next one.
                let at = last.map_or(0, |last| last + 1);
                match (expected.get(at), sha256) {
                    (Some(edition), Some(hash)) if erasures.message(entry.seq, *sha256) => {
                        there.insert(at);
                        last = Some(at);
                        sent.gone.insert(edition.seq, *hash);
                    }
                    _ => {
                        let detail = "the wire's message is gone";
                        checked.found(What::EditionMissing, None, Some(entry.seq), detail);
                    }
                }
                continue;
            }
        };
        let Some((at, edition)) = by_event.get(header(headers, "Copydesk-Event")) else {
            checked.found(What::EditionOutOfOrder, None, Some(entry.seq), "it is of no edition in the log");
            continue;
        };
        let article = Some(edition.article);
        if !there.insert(*at) {
            let detail = format!("edition {} is on the wire again", edition.number);
            checked.found(What::EditionDoubled, article, Some(entry.seq), detail);
        }
        if last.is_some_and(|last| *at < last) {
            let detail = format!("edition {} comes after a later one", edition.number);
            checked.found(What::EditionOutOfOrder, article, Some(entry.seq), detail);
        }
        last = last.max(Some(*at));
        let says =
            ["Seq", "Edition", "Kind", "Count"].map(|name| header(headers, &format!("Copydesk-{name}")));
        let is = [
            edition.seq.to_string(),
            edition.number.to_string(),
            edition.kind.to_owned(),
            u64::to_string(&count),
        ];
        if says != is {
            let detail = format!("its headers say {says:?}, and should say {is:?}");
            checked.found(What::EditionOutOfOrder, article, Some(entry.seq), detail);
        }
        let text = String::from_utf8_lossy(body);
        let carried: BTreeSet<&str> = marked(&text).collect();
        for word in carried.iter().filter(|word| !edition.words.contains(**word)) {
            checked.found(What::WordOutside, article, Some(entry.seq), format!("{word}, on the wire"));
        }
        if let Some(word) = edition.must.iter().find(|word| !carried.contains(&***word)) {
            let detail = format!("edition {} lacks {word}, which was published", edition.number);
            checked.found(What::WordsLost, article, Some(entry.seq), detail);
        }
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        sent.there.insert(edition.seq, digest(&json));
    }
    for (at, edition) in expected.iter().enumerate().filter(|(at, _)| !there.contains(at)) {
        let detail =
            format!("edition {} ({} of {}) isn't on the wire", edition.number, at + 1, expected.len());
        checked.found(What::EditionMissing, Some(edition.article), Some(edition.seq), detail);
    }
    sent
}

/// What subscribers got must be the wire, from wherever they began, without a gap.
fn received(evidence: &Evidence<'_>, checked: &mut Checked) {
    let there: HashMap<u64, &Entry> = evidence.wire.iter().map(|entry| (entry.seq, entry)).collect();
    let mut last = None;
    for message in &evidence.journal.received {
        checked.checks += 1;
        let at = Some(message.position);
        if last.is_some_and(|last| message.position != last + 1) {
            let detail = format!("a subscriber got it after {}", last.unwrap_or_default());
            checked.found(What::EditionOutOfOrder, None, at, detail);
        }
        last = at;
        let same = there.get(&message.position).is_some_and(|entry| match &entry.content {
            Content::Message { headers, body } => {
                header(headers, "Copydesk-Event") == message.event
                    && <[u8; 32]>::from(Sha256::digest(body)) == message.body
            }
            Content::Erased { sha256 } => *sha256 == Some(message.body),
        });
        if !same {
            let detail =
                format!("a subscriber got the edition of event {}, which isn't there", message.event);
            checked.found(What::EditionMissing, None, at, detail);
        }
    }
    let end = evidence.wire.last().map_or(0, |entry| entry.seq);
    let last = last.unwrap_or_default();
    if evidence.had_time && evidence.journal.subscribed && last < end {
        let why = evidence.journal.unsubscribed.as_deref().unwrap_or("nothing was in its way");
        let detail = format!("a subscriber got nothing after {last}: {why}");
        checked.found(What::EditionMissing, None, Some(end), detail);
    }
}

/// A reader of `/stream` gets each edition once and in order, over all instances and connections, from the first on; one that
/// was withdrawn before the reader took what comes after it may be passed over. Had it the time, it has come to the end.
fn streamed(
    number: usize,
    reader: &[crate::torture::journal::Streamed],
    (expected, sent): (&[Expected], &OnTheWire),
    had_time: bool,
    checked: &mut Checked,
) {
    let last = if had_time { Seq::MAX } else { reader.last().map_or(0, |one| one.seq) };
    let mut before = 0;
    for one in reader {
        checked.checks += 1;
        let place = format!("reader {number} of /stream");
        if one.seq <= before {
            let what = if one.seq == before { What::EditionDoubled } else { What::EditionOutOfOrder };
            checked.found(what, None, Some(one.seq), format!("{place} got it after {before}"));
        }
        before = before.max(one.seq);
        match sent.there.get(&one.seq) {
            _ if sent.gone.contains_key(&one.seq) => {}
            Some(hash) if *hash == one.body => {}
            Some(_) => {
                let detail = format!("{place} got another than is on the wire");
                checked.found(What::EditionOutOfOrder, None, Some(one.seq), detail);
            }
            None => checked.found(What::EditionMissing, None, Some(one.seq), format!("only {place} got it")),
        }
    }
    let got: BTreeSet<Seq> = reader.iter().map(|one| one.seq).collect();
    let mut withdrawn: BTreeMap<Uuid, Vec<&Expected>> = BTreeMap::new();
    for edition in expected.iter().filter(|edition| edition.kind == "withdrawal") {
        withdrawn.entry(edition.article).or_default().push(edition);
    }
    let within = expected.iter().filter(|edition| edition.seq <= last);
    let stands = |edition: &&Expected| !sent.gone.contains_key(&edition.seq);
    for edition in within.filter(|edition| !got.contains(&edition.seq)).filter(stands) {
        let next = reader.iter().find(|one| one.seq > edition.seq);
        let in_time = |gone: &&&Expected| {
            gone.seq > edition.seq && next.is_none_or(|next| gone.time - CLOCK_SET <= next.time)
        };
        if withdrawn.get(&edition.article).into_iter().flatten().find(in_time).is_none() {
            let detail = format!("reader {number} of /stream never got edition {}", edition.number);
            checked.found(What::EditionMissing, Some(edition.article), Some(edition.seq), detail);
        }
    }
}
