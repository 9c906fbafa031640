//! What a message of the wire does to what is known of its article. Pure: [`store`](crate::store) keeps it.
//!
//! The highest edition wins, and an edition that isn't higher than what is known changes nothing; so a message
//! may come twice. One that can't be understood hides its article until a later edition can: it may have been
//! a withdrawal, and an older edition must never stand as if it were the newest.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::filter::Marks;
use crate::message::{Kind, Received};

/// Changed whenever the same wire would fold to another state; state of another version is folded anew.
pub const FOLD_VERSION: u32 = 5;

/// How long a withdrawn article stays in feeds as its notice.
pub const WITHDRAWN_STAYS: TimeDelta = TimeDelta::days(30);

/// What is known of an article, its newest ninjs apart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The highest edition known of, understood or not.
    pub known: u32,
    /// What it has been published with.
    pub marks: Marks,
    /// When what is shown last changed, in Unix seconds, each change at least a second after the one before: what
    /// `Last-Modified` says.
    pub stamp: i64,
    /// What is shown; none in doubt.
    pub shown: Option<Shown>,
    /// The number of its newest withdrawal, or of what may have been one; 0: none.
    pub withdrawn: u32,
}

/// The newest state of an article, as far as feeds need it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The edition's number.
    pub edition: u32,
    /// What it is.
    pub kind: Kind,
    /// The event that it tells of.
    pub event: Uuid,
    /// That event's position in the log.
    pub log_seq: u64,
    /// The message's position in the wire.
    pub wire_seq: u64,
    /// When the first edition went out.
    pub first_published: DateTime<Utc>,
    /// When this one did.
    pub changed: DateTime<Utc>,
    /// The record's stamp then.
    pub stamp: i64,
    /// CRC-32C of its ninjs: of a damaged file sled may give an old page for a new one, and each says nothing of the other.
    pub(crate) body_crc: u32,
}

impl Shown {
    /// Whether it is the notice of a withdrawal.
    pub fn is_withdrawn(&self) -> bool {
        self.kind == Kind::Withdrawal
    }

    /// Whether feeds leave it out by now.
    pub fn has_left(&self, now: DateTime<Utc>) -> bool {
        self.is_withdrawn() && now.signed_duration_since(self.changed) > WITHDRAWN_STAYS
    }
}

/// What a message did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This is the article now.
    Shows(Bytes),
    /// Nothing of the article is shown any more.
    Hides,
    /// Nothing: what is known is as new.
    Repeats,
}

impl Record {
    /// Takes in a message that was understood.
    pub fn receive(&mut self, received: &Received) -> Step {
        if received.edition <= self.known {
            return Step::Repeats;
        }
        let ninjs = &received.ninjs;
        // Checked by `read`: a message without it isn't understood.
        let changed = ninjs.version_created.unwrap_or_default();
        self.known = received.edition;
        self.stamp = changed.timestamp().max(self.stamp + 1);
        if received.kind == Kind::Withdrawal {
            self.withdrawn = received.edition;
        }
        self.marks.add(ninjs);
        self.shown = Some(Shown {
            edition: received.edition,
            kind: received.kind,
            event: received.event,
            log_seq: received.log_seq,
            wire_seq: received.seq,
            first_published: ninjs.first_created.unwrap_or(changed),
            changed,
            stamp: self.stamp,
            body_crc: crc32c::crc32c(&received.body),
        });
        Step::Shows(received.body.clone())
    }

    /// Takes in that there was a message that can't be understood.
    pub fn doubt(&mut self, edition: Option<u32>) -> Step {
        if edition.is_some_and(|edition| edition <= self.known) {
            return Step::Repeats;
        }
        self.withdrawn = edition.unwrap_or(self.known.saturating_add(1));
        self.known = edition.unwrap_or(self.known);
        self.shown = None;
        Step::Hides
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::tests::message;

    fn received(seq: u64, edition: u32, kind: Kind) -> Received {
        let section = json!({"subjects": [{"rel": "section", "literal": format!("s{edition}")}]});
        let ninjs = if kind == Kind::Withdrawal { json!({}) } else { section };
        message(seq, Uuid::from_u128(7), edition, kind, ninjs).read().unwrap()
    }

    #[test]
    fn the_highest_edition_wins_and_repeats_change_nothing() {
        let mut record = Record::default();
        let first = received(1, 1, Kind::First);
        assert_eq!(record.receive(&first), Step::Shows(first.body.clone()));
        assert!(matches!(record.receive(&received(2, 2, Kind::Correction)), Step::Shows(_)));
        let before = record.clone();
        assert_eq!(record.receive(&first), Step::Repeats);
        assert_eq!(record.receive(&received(9, 2, Kind::Correction)), Step::Repeats);
        assert_eq!(record, before);
    }

    #[test]
    fn a_withdrawn_article_is_still_found_by_what_it_was_published_with() {
        let mut record = Record::default();
        record.receive(&received(1, 1, Kind::First));
        record.receive(&received(2, 2, Kind::Update));
        record.receive(&received(3, 3, Kind::Withdrawal));
        assert!(record.marks.sections.contains("s1") && record.marks.sections.contains("s2"));
    }

    #[test]
    fn what_is_not_understood_hides_until_a_later_edition_is() {
        let mut record = Record::default();
        record.receive(&received(1, 1, Kind::First));
        assert_eq!(record.doubt(Some(1)), Step::Repeats, "an old message again");
        assert_eq!(record.doubt(Some(3)), Step::Hides);
        assert_eq!(record.shown, None);
        assert_eq!(
            record.receive(&received(5, 2, Kind::Update)),
            Step::Repeats,
            "older than what is in doubt"
        );
        assert!(matches!(record.receive(&received(6, 4, Kind::Update)), Step::Shows(_)));
    }

    #[test]
    fn a_doubt_of_unknown_edition_hides_what_is_known() {
        let mut record = Record::default();
        record.receive(&received(1, 1, Kind::First));
        assert_eq!(record.doubt(None), Step::Hides);
        assert_eq!(record.receive(&received(1, 1, Kind::First)), Step::Repeats);
        assert!(matches!(record.receive(&received(3, 2, Kind::Update)), Step::Shows(_)));
    }

    #[test]
    fn a_notice_stays_for_thirty_days() {
        let mut record = Record::default();
        record.receive(&received(1, 1, Kind::Withdrawal));
        let shown = record.shown.unwrap();
        assert!(!shown.has_left(shown.changed + TimeDelta::days(30)));
        assert!(shown.has_left(shown.changed + TimeDelta::days(30) + TimeDelta::seconds(1)));
    }
}
