//! The line of all editions and withdrawals, in the order of the log, for readers who follow it.
//!
//! What was withdrawn is told as its withdrawal alone, and nothing is told of an article in doubt: a reader who comes
//! back after a while, or begins at the start, must not be given words that readers may not have any more.

use bytes::Bytes;
use uuid::Uuid;

use crate::filter::Marks;
use crate::fold::Record;
use crate::message::{Kind, Received, WireMessage};
use crate::store::{Error, Public, damaged};

/// An edition or withdrawal, as it is told to those who follow the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The article.
    pub article: Uuid,
    /// Its event's position in the log.
    pub log_seq: u64,
    /// The message's position in the wire.
    pub wire_seq: u64,
    /// What it is.
    pub kind: Kind,
    /// What the article has been published with, in any of its editions.
    pub marks: Marks,
    /// The wire's ninjs.
    pub body: Bytes,
}

impl Told {
    /// What is told of a message that showed something, by what is known of its article now.
    pub(crate) fn of(received: Received, record: &Record) -> Option<Self> {
        let is_told = record.shown.is_some() && received.edition >= record.withdrawn;
        is_told.then(|| Self {
            article: received.article,
            log_seq: received.log_seq,
            wire_seq: received.seq,
            kind: received.kind,
            marks: record.marks.clone(),
            body: received.body,
        })
    }
}

impl Public {
    /// What is told of a folded message: nothing of one that isn't understood, comes again, has been withdrawn since,
    /// or whose article is in doubt.
    ///
    /// # Errors
    /// [`Error`] where the state can't be read.
    pub fn told(&self, message: &WireMessage) -> Result<Option<Told>, Error> {
        let Ok(received) = message.read() else { return Ok(None) };
        self.noting_damage(|| {
            let stands_at = self.wire_at(received.log_seq)?;
            let record = self.record(received.article)?;
            let shown_at =
                record.as_ref().and_then(|record| record.shown.as_ref()).map(|shown| shown.wire_seq);
            if stands_at.is_none() && shown_at == Some(received.seq) {
                return Err(damaged("what an article shows isn't on the line"));
            }
            let record = record.filter(|_| stands_at == Some(received.seq));
            Ok(record.and_then(|record| Told::of(received, &record)))
        })
    }

    /// The position in the wire of the first edition or withdrawal whose event stands after this position in the log;
    /// none where nothing of the kind is folded.
    ///
    /// # Errors
    /// [`Error`] where the state can't be read.
    pub fn wire_after(&self, log_seq: u64) -> Result<Option<u64>, Error> {
        let Some(next) = log_seq.checked_add(1) else { return Ok(None) };
        self.noting_damage(|| {
            let first = self.line.range(next.to_be_bytes()..).values().next().transpose()?;
            first.map(|value| seq(&value)).transpose()
        })
    }

    /// The position in the log of the last event of which an edition or withdrawal is folded; 0 where none is.
    ///
    /// # Errors
    /// [`Error`] where the state can't be read.
    pub fn last_of_line(&self) -> Result<u64, Error> {
        self.noting_damage(|| self.line.last()?.map_or(Ok(0), |(key, _)| seq(&key)))
    }

    /// Where on the wire the edition of an event stands.
    pub(crate) fn wire_at(&self, log_seq: u64) -> Result<Option<u64>, Error> {
        self.line.get(log_seq.to_be_bytes())?.map(|value| seq(&value)).transpose()
    }
}

fn seq(value: &[u8]) -> Result<u64, Error> {
    value.try_into().map(u64::from_be_bytes).map_err(|_| damaged("a place on the line can't be read"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::tests::message;
    use crate::page::tests::public;

    fn edition(seq: u64, article: u128, number: u32, kind: Kind) -> WireMessage {
        message(seq, Uuid::from_u128(article), number, kind, json!({}))
    }

    /// What is told while messages are folded, in groups of so many, is what is told of them afterwards where nothing
    /// follows.
    fn told_at_once(messages: &[WireMessage], at_a_time: usize) -> Vec<(u64, Kind)> {
        let public = public(&[]);
        let mut all = Vec::new();
        for group in messages.chunks(at_a_time) {
            let mut telling = Vec::new();
            let before = public.generation();
            public.apply_telling(group, |told| telling.push((told, public.generation()))).unwrap();
            for (told, generation) in telling {
                assert!(before < generation && generation < public.generation());
                let message = group.iter().find(|message| message.seq == told.wire_seq).unwrap();
                assert_eq!(public.told(message).unwrap().as_ref(), Some(&told));
                all.push((told.wire_seq, told.kind));
            }
        }
        all
    }

    /// Which messages are told of, by article and edition.
    fn told(public: &Public, messages: &[WireMessage]) -> Vec<(u64, Kind)> {
        let told = messages.iter().filter_map(|message| public.told(message).unwrap());
        told.map(|told| (told.wire_seq, told.kind)).collect()
    }

    #[test]
    fn what_was_withdrawn_is_told_as_its_withdrawal_alone() {
        let all = [
            edition(1, 1, 1, Kind::First),
            edition(2, 2, 1, Kind::First),
            edition(3, 1, 2, Kind::Correction),
            edition(4, 1, 3, Kind::Withdrawal),
        ];
        let before = public(&all[..3]);
        assert_eq!(told(&before, &all[..3]).len(), 3);
        let after = public(&all);
        let both = [(2, Kind::First), (4, Kind::Withdrawal)];
        assert_eq!((told(&after, &all), told_at_once(&all, 4)), (both.to_vec(), both.to_vec()));
        assert_eq!(told_at_once(&all, 1).len(), 4, "nothing had been withdrawn yet");
        let back = edition(5, 1, 4, Kind::Reinstatement);
        after.apply(std::slice::from_ref(&back)).unwrap();
        assert_eq!(
            told(&after, &[&all[..], &[back]].concat()),
            [(2, Kind::First), (4, Kind::Withdrawal), (5, Kind::Reinstatement)],
            "words that came back came back in their own edition"
        );
    }

    #[test]
    fn what_comes_again_or_is_in_doubt_is_not_told() {
        let first = edition(1, 1, 1, Kind::First);
        let again = WireMessage { seq: 2, ..first.clone() };
        let mut doubtful = edition(4, 3, 2, Kind::Update);
        doubtful.headers.retain(|(name, _)| name != "Copydesk-Kind");
        let all = [first, again, edition(3, 3, 1, Kind::First), doubtful];
        assert_eq!(told(&public(&all), &all), [(1, Kind::First)]);
        assert_eq!(told_at_once(&all, 4), [(1, Kind::First)]);
        assert_eq!(told_at_once(&all, 3), [(1, Kind::First), (3, Kind::First)]);
    }

    /// Whatever its kind and number: neither may be told.
    #[test]
    fn what_may_have_been_withdrawn_is_not_told_once_the_article_is_back() {
        for unread in [&["Copydesk-Kind"][..], &["Copydesk-Kind", "Copydesk-Edition", "Nats-Msg-Id"]] {
            let mut doubtful = edition(2, 1, 2, Kind::Withdrawal);
            doubtful.headers.retain(|(name, _)| !unread.contains(&name.as_str()));
            let back = edition(3, 1, 3, Kind::Reinstatement);
            let all = [edition(1, 1, 1, Kind::First), doubtful, back];
            assert_eq!(told(&public(&all), &all), [(3, Kind::Reinstatement)], "{unread:?}");
            assert_eq!(told_at_once(&all, 3), [(3, Kind::Reinstatement)], "{unread:?}");
        }
    }

    #[test]
    fn a_place_in_the_log_leads_to_the_wire() {
        let public = public(&[edition(1, 1, 1, Kind::First), edition(2, 2, 1, Kind::First)]);
        // The test's messages have ten times their wire position as their position in the log.
        for (log_seq, wire_seq) in
            [(0, Some(1)), (9, Some(1)), (10, Some(2)), (19, Some(2)), (20, None), (u64::MAX, None)]
        {
            assert_eq!(public.wire_after(log_seq).unwrap(), wire_seq, "{log_seq}");
        }
    }
}
