//! What readers see: feeds and pages at the end, held against the newest editions, and every word that was ever outside.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Checked, Evidence, Expected, Shown, What};
use crate::log::Seq;

/// All processes of a run have one clock: this much is for its being set.
pub(super) const CLOCK_SET: TimeDelta = TimeDelta::seconds(1);

pub(super) fn check(evidence: &Evidence<'_>, expected: &[Expected], checked: &mut Checked) {
    for shown in evidence.shown {
        feed(shown, expected, checked);
        pages(shown, expected, checked);
    }
    words(evidence, expected, checked);
}

/// A word is outside from its first edition on.
fn words(evidence: &Evidence<'_>, expected: &[Expected], checked: &mut Checked) {
    let mut public: BTreeMap<&String, DateTime<Utc>> = BTreeMap::new();
    for edition in expected {
        for word in edition.words.iter().chain(&edition.erased) {
            let first = public.entry(word).or_insert(edition.time);
            *first = edition.time.min(*first);
        }
    }
    for (word, outside) in &evidence.journal.outside {
        checked.checks += 1;
        let detail = match public.get(word) {
            Some(first) if outside.time >= *first - CLOCK_SET => continue,
            Some(first) => {
                format!(
                    "{word}, in {} at {}, before it was published at {first}",
                    outside.place, outside.time
                )
            }
            None => format!("{word}, in {} at {}", outside.place, outside.time),
        };
        checked.found(What::WordOutside, None, None, detail);
    }
}

/// An article's own page has its newest edition, or says that it was withdrawn; of what was never out there is none.
fn pages(shown: &Shown, expected: &[Expected], checked: &mut Checked) {
    let newest: BTreeMap<Uuid, &Expected> =
        expected.iter().map(|edition| (edition.article, edition)).collect();
    for (article, (status, number)) in &shown.pages {
        checked.checks += 1;
        let edition = newest.get(article);
        let due = edition.map_or((404, 0), |edition| {
            (if edition.kind == "withdrawal" { 410 } else { 200 }, edition.number)
        });
        if (*status, *number) != due {
            let instance = shown.instance;
            let detail = format!(
                "instance {instance}'s page is {status} with edition {number}, and should be {due:?}"
            );
            checked.found(What::EditionMissing, Some(*article), edition.map(|edition| edition.seq), detail);
        }
    }
}

/// A feed has the newest edition of each article, and each article once.
fn feed(shown: &Shown, expected: &[Expected], checked: &mut Checked) {
    let mut newest: BTreeMap<Uuid, (u64, Seq)> = BTreeMap::new();
    for edition in expected {
        newest.insert(edition.article, (edition.number, edition.seq));
    }
    let mut there = BTreeSet::new();
    for (article, number) in &shown.feed {
        checked.checks += 1;
        let place = format!("instance {}'s feed has edition {number}", shown.instance);
        if !there.insert(article) {
            checked.found(
                What::EditionDoubled,
                Some(*article),
                None,
                format!("{place}, and the article twice"),
            );
        }
        if newest.get(article).is_none_or(|(newest, _)| newest != number) {
            let newest = newest.get(article).map_or(0, |(newest, _)| *newest);
            checked.found(
                What::EditionMissing,
                Some(*article),
                None,
                format!("{place}, the newest is {newest}"),
            );
        }
    }
    for (article, (number, seq)) in newest.iter().filter(|(article, _)| !there.contains(article)) {
        let detail = format!("instance {}'s feed lacks edition {number}", shown.instance);
        checked.found(What::EditionMissing, Some(*article), Some(*seq), detail);
    }
}
