//! What receivers of webhooks got, held against the wire: every edition at least once, in order for each article, signed,
//! and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::editions::{Gone, header};
use super::{Checked, Evidence, Expected, What};
use crate::log::Content;
use crate::merkle::Hash;
use crate::torture::journal::Delivered;

/// What the wire has, or had until it was erased, by its event: the edition, and the hash of the bytes.
type ByEvent<'a> = HashMap<&'a str, (&'a Expected, Hash)>;

pub(super) fn check(evidence: &Evidence<'_>, expected: &[Expected], gone: &Gone, checked: &mut Checked) {
    let editions: HashMap<String, &Expected> =
        expected.iter().map(|edition| (edition.event.to_string(), edition)).collect();
    let mut wire: ByEvent<'_> = HashMap::new();
    for entry in evidence.wire {
        let Content::Message { headers, body } = &entry.content else { continue };
        let event = header(headers, "Copydesk-Event");
        if let Some(edition) = editions.get(event) {
            wire.insert(event, (edition, Sha256::digest(body).into()));
        }
    }
    for (event, edition) in &editions {
        if let Some(hash) = gone.get(&edition.seq) {
            wire.insert(event, (edition, *hash));
        }
    }
    let delivered = &evidence.journal.delivered;
    for receiver in &evidence.journal.receivers {
        let theirs = delivered.iter().filter(|delivered| delivered.receiver == *receiver);
        let gone = expected.iter().filter(|edition| gone.contains_key(&edition.seq));
        let gone = gone.map(|edition| (edition.article, edition.number)).collect();
        let taken = one(receiver, theirs, (&wire, &gone), checked);
        let mut newest: BTreeMap<Uuid, &Expected> = BTreeMap::new();
        newest.extend(expected.iter().map(|edition| (edition.article, edition)));
        for edition in newest.into_values().filter(|_| evidence.had_time) {
            let last = taken.get(&edition.article).copied().unwrap_or_default();
            checked.holds(
                last >= edition.number,
                What::EditionMissing,
                (edition.article, edition.seq),
                || format!("the webhook {receiver} has edition {last}, and never got {}", edition.number),
            );
        }
    }
}

/// Holds what one of them got against the wire, and gives the last edition of each article that it took.
fn one<'a>(
    receiver: &str,
    delivered: impl Iterator<Item = &'a Delivered>,
    (wire, gone): (&ByEvent<'_>, &BTreeSet<(Uuid, u64)>),
    checked: &mut Checked,
) -> BTreeMap<Uuid, u64> {
    let mut taken: BTreeMap<Uuid, u64> = BTreeMap::new();
    for one in delivered {
        checked.checks += 1;
        let place = format!("the webhook {receiver} got the edition of event {}", one.event);
        let Some((edition, body)) = wire.get(&*one.event) else {
            checked.found(What::EditionOutOfOrder, None, None, format!("{place}, which isn't on the wire"));
            continue;
        };
        let (article, seq) = (Some(edition.article), Some(edition.seq));
        if !one.is_signed {
            checked.found(What::Unsigned, article, seq, place.clone());
        }
        if one.body != *body {
            checked.found(What::EditionOutOfOrder, article, seq, format!("{place} with other bytes"));
        }
        // What was taken may come again after a crash; what comes for the first time comes in its turn.
        let last = taken.entry(edition.article).or_default();
        // What was erased before its turn came is passed over.
        while *last + 1 < edition.number && gone.contains(&(edition.article, *last + 1)) {
            *last += 1;
        }
        if edition.number > *last + 1 {
            let detail = format!("{place}, number {}, and had taken {last} of them", edition.number);
            checked.found(What::EditionOutOfOrder, article, seq, detail);
        }
        if one.is_taken {
            *last = edition.number.max(*last);
        }
    }
    taken
}
