//! The folded state in sled, and how far it is folded.
//!
//! Four trees: `public.articles` has a [`Record`] for each article, `public.bodies` its newest ninjs,
//! `public.order` the articles by newest change, `public.position` how far the wire is folded, in which
//! version, of which wire. What a group of messages does is worked out first and written in one transaction
//! over the four, so a crash leaves the state before the group or after it. State of another wire, of another
//! fold version or damaged is cleared, and folded again from the wire's start: it is a cache.
//!
//! sled's reads take no snapshots. A reader would see one article's record with another edition's ninjs, so
//! [`apply`](Public::apply) excludes readers while it writes.
//!
//! Feeds with filters go through the order and look at each record. An index for each filter would have its
//! tree here, written where the order is written.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use serde::Serialize;
use sled::Tree;
use sled::transaction::{ConflictableTransactionError, Transactional, TransactionalTree};
use uuid::Uuid;

use crate::fold::{FOLD_VERSION, Record, Step};
use crate::listing::Place;
use crate::message::{Kind, Unread, WireMessage};
use crate::pieces;
use crate::position::Position;

/// The most that goes into one transaction, in bytes of ninjs; a single message may be longer.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// sled can't read or write.
    #[error("the public state can't be read or written: {0}")]
    Sled(#[from] sled::Error),
    /// What was read is not what was written. The next [`Public::apply`] clears it, and says so.
    #[error("the public state is damaged: {0}")]
    Damaged(String),
}

/// What a group of messages did.
#[derive(Debug, Default, PartialEq)]
pub struct Applied {
    /// Editions and withdrawals that are shown now, in order.
    pub changed: Vec<Changed>,
    /// Messages that could not be understood: set aside, their articles hidden.
    pub set_aside: Vec<Unread>,
    /// Messages that bear no header of ours.
    pub foreign: u64,
    /// Messages that say nothing new.
    pub repeats: u64,
}

/// An article that shows something new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The article.
    pub article: Uuid,
    /// The edition's number.
    pub edition: u32,
    /// What it is.
    pub kind: Kind,
    /// Its event's position in the log.
    pub log_seq: u64,
}

/// The public state. There must be one for a database.
#[derive(Debug)]
pub struct Public {
    articles: Tree,
    pub(crate) bodies: Tree,
    pub(crate) order: Tree,
    place: Tree,
    position: RwLock<Position>,
    /// Whether a reader came upon damage, so that the next [`apply`](Public::apply) clears the state.
    damaged: AtomicBool,
}

const POSITION: &[u8] = b"position";

impl Public {
    /// Opens the state folded from the wire of this identity; state of another wire or fold version, or that
    /// is damaged, is cleared.
    ///
    /// # Errors
    /// [`Error::Sled`] where sled can't read or write.
    pub fn open(db: &sled::Db, identity: Uuid) -> Result<Public, Error> {
        let public = Public {
            articles: db.open_tree("public.articles")?,
            bodies: db.open_tree("public.bodies")?,
            order: db.open_tree("public.order")?,
            place: db.open_tree("public.position")?,
            position: RwLock::new(Position::start(identity)),
            damaged: AtomicBool::new(false),
        };
        match public.check(identity) {
            Ok(position) => *public.write() = position,
            Err(Error::Damaged(_)) => public.clear()?,
            Err(error) => return Err(error),
        }
        Ok(public)
    }

    /// How far the wire is folded.
    pub fn position(&self) -> Position {
        self.read().clone()
    }

    /// Takes everything away; the wire is to be folded from its start.
    ///
    /// # Errors
    /// [`Error::Sled`].
    pub fn clear(&self) -> Result<(), Error> {
        let mut position = self.write();
        // First what says how far: a crash on the way leaves state without it, which is cleared on opening.
        self.place.clear()?;
        self.place.flush()?;
        self.order.clear()?;
        self.bodies.clear()?;
        self.articles.clear()?;
        *position = Position::start(position.wire);
        self.place.insert(POSITION, encode(&*position)?)?;
        Ok(())
    }

    /// Folds messages in the order of the wire. Those up to [`position`](Self::position) change nothing.
    ///
    /// # Errors
    /// [`Error`]; the state is then as it was before the group, or before the part of it that failed. Where it was
    /// damaged it has been cleared: after any error, the wire is to be read again from after
    /// [`position`](Self::position).
    pub fn apply(&self, messages: &[WireMessage]) -> Result<Applied, Error> {
        let came_upon = match self.damaged.load(Ordering::Acquire) {
            true => Err(damaged("a reader came upon it")),
            false => self.apply_all(messages),
        };
        if let Err(Error::Damaged(_)) = came_upon {
            self.clear()?;
            self.damaged.store(false, Ordering::Release);
        }
        came_upon
    }

    /// Notes damage that a reader came upon. The state can't be cleared there and then: the writer would go on
    /// with what follows on the wire, and what went before would be missing.
    pub(crate) fn noting_damage<T>(&self, read: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Damaged(_)) = read {
            self.damaged.store(true, Ordering::Release);
        }
        read
    }

    fn apply_all(&self, messages: &[WireMessage]) -> Result<Applied, Error> {
        let mut applied = Applied::default();
        let mut rest = messages;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |message: &&WireMessage| {
                bytes += message.body.len();
                bytes <= GROUP_BYTES
            };
            let fitting = rest.iter().take_while(fits).count().max(1);
            let (group, after) = rest.split_at_checked(fitting).unwrap_or((rest, &[]));
            self.apply_group(group, &mut applied)?;
            rest = after;
        }
        Ok(applied)
    }

    fn apply_group(&self, group: &[WireMessage], applied: &mut Applied) -> Result<(), Error> {
        let mut position = self.write();
        let mut next = position.clone();
        let mut did = Applied::default();
        let mut touched: BTreeMap<Uuid, Touched> = BTreeMap::new();
        for message in group {
            if message.seq <= next.seq {
                did.repeats += 1;
                continue;
            }
            next.seq = message.seq;
            self.take(message, &mut next, &mut touched, &mut did)?;
        }
        if next.seq > position.seq {
            self.save(&next, &touched)?;
            *position = next;
        }
        applied.changed.append(&mut did.changed);
        applied.set_aside.append(&mut did.set_aside);
        applied.foreign += did.foreign;
        applied.repeats += did.repeats;
        Ok(())
    }

    fn take(
        &self,
        message: &WireMessage,
        next: &mut Position,
        touched: &mut BTreeMap<Uuid, Touched>,
        did: &mut Applied,
    ) -> Result<(), Error> {
        match message.read() {
            Ok(received) => {
                next.counts(received.count);
                let touched = self.touched(touched, received.article, next)?;
                let step = touched.record.receive(&received);
                if let Step::Shows(_) = step {
                    next.changes(received.ninjs.version_created.unwrap_or_default().timestamp());
                    did.changed.push(Changed {
                        article: received.article,
                        edition: received.edition,
                        kind: received.kind,
                        log_seq: received.log_seq,
                    });
                } else {
                    did.repeats += 1;
                }
                touched.take(step);
            }
            Err(Unread::Foreign { .. }) => {
                next.foreign += 1;
                did.foreign += 1;
            }
            Err(unread) => {
                next.not_understood += 1;
                if let Unread::NotUnderstood { article, edition, count, .. } = &unread {
                    if let Some(count) = count {
                        next.counts(*count);
                    }
                    if let Some(article) = article {
                        let touched = self.touched(touched, *article, next)?;
                        let step = touched.record.doubt(*edition);
                        touched.take(step);
                    }
                }
                next.changes(0);
                did.set_aside.push(unread);
            }
        }
        Ok(())
    }

    /// What is known of an article at this point of the group.
    fn touched<'a>(
        &self,
        touched: &'a mut BTreeMap<Uuid, Touched>,
        article: Uuid,
        next: &mut Position,
    ) -> Result<&'a mut Touched, Error> {
        Ok(match touched.entry(article) {
            MapEntry::Occupied(there) => there.into_mut(),
            MapEntry::Vacant(place) => {
                let stored = self.record(article)?;
                next.articles += u64::from(stored.is_none());
                let record = stored.unwrap_or_default();
                let old_place = record.shown.as_ref().map(Place::of);
                place.insert(Touched { record, old_place, body: None })
            }
        })
    }

    fn save(&self, position: &Position, touched: &BTreeMap<Uuid, Touched>) -> Result<(), Error> {
        let position = encode(position)?;
        let records: Vec<_> = touched
            .iter()
            .map(|(article, touched)| Ok((article, touched, encode(&touched.record)?)))
            .collect::<Result<_, Error>>()?;
        let trees = (&self.articles, &self.bodies, &self.order, &self.place);
        let write = |(articles, bodies, order, place): &Trees| {
            for (article, touched, record) in &records {
                pieces::write(articles, article.as_bytes(), Some(record))?;
                if let Some(body) = &touched.body {
                    pieces::write(bodies, article.as_bytes(), body.as_deref())?;
                }
                if let Some(old) = &touched.old_place {
                    order.remove(old.bytes())?;
                }
                if let Some(shown) = &touched.record.shown {
                    order.insert(Place::of(shown).bytes(), article.as_bytes())?;
                }
            }
            place.insert(POSITION, position.as_slice())?;
            Ok::<(), ConflictableTransactionError<()>>(())
        };
        trees.transaction(write).map_err(|error| match error {
            sled::transaction::TransactionError::Storage(error) => Error::Sled(error),
            sled::transaction::TransactionError::Abort(()) => {
                Error::Damaged("a transaction was given up".into())
            }
        })
    }

    pub(crate) fn record(&self, article: Uuid) -> Result<Option<Record>, Error> {
        let Some(bytes) = pieces::read(&self.articles, article.as_bytes())? else { return Ok(None) };
        Ok(Some(serde_json::from_slice(&bytes).map_err(|_| damaged("a record can't be read"))?))
    }

    /// The position, where the state is of this wire and fold version and its trees agree with each other.
    fn check(&self, identity: Uuid) -> Result<Position, Error> {
        let bytes = self.place.get(POSITION)?.ok_or_else(|| damaged("it has no fold position"))?;
        let position: Position =
            serde_json::from_slice(&bytes).map_err(|_| damaged("its fold position can't be read"))?;
        if position.fold != FOLD_VERSION || position.wire != identity {
            return Err(damaged("it is of another wire or fold version"));
        }
        let (mut articles, mut shown) = (0, 0);
        for key in self.articles.iter().keys() {
            // Longer keys are further pieces.
            let Ok(article) = Uuid::from_slice(&key?) else { continue };
            articles += 1;
            if let Some(newest) = self.record(article)?.and_then(|record| record.shown) {
                shown += 1;
                let place = self.order.get(Place::of(&newest).bytes())?;
                if place.as_deref() != Some(article.as_bytes())
                    || !self.bodies.contains_key(article.as_bytes())?
                {
                    return Err(damaged("its trees disagree"));
                }
            }
        }
        if articles != position.articles || shown != self.order.len() {
            return Err(damaged("its trees disagree"));
        }
        Ok(position)
    }

    pub(crate) fn read(&self) -> std::sync::RwLockReadGuard<'_, Position> {
        self.position.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Position> {
        self.position.write().unwrap_or_else(PoisonError::into_inner)
    }
}

type Trees = (TransactionalTree, TransactionalTree, TransactionalTree, TransactionalTree);

/// An article that a group changes.
struct Touched {
    record: Record,
    /// Where it stood in the order before the group.
    old_place: Option<Place>,
    /// The ninjs to store, or to take away; none where it stays.
    body: Option<Option<Bytes>>,
}

impl Touched {
    fn take(&mut self, step: Step) {
        match step {
            Step::Shows(body) => self.body = Some(Some(body)),
            Step::Hides => self.body = Some(None),
            Step::Repeats => {}
        }
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Damaged(error.to_string()))
}

pub(crate) fn damaged(what: &str) -> Error {
    Error::Damaged(what.into())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::filter::Filter;
    use crate::message::tests::message;

    const WIRE: Uuid = Uuid::from_u128(1);

    fn db() -> sled::Db {
        sled::Config::new().temporary(true).open().unwrap()
    }

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn at(hour: u32) -> String {
        format!("2025-12-25T{hour:02}:00:00Z")
    }

    fn edition(seq: u64, article: u128, number: u32, kind: Kind, hour: u32) -> WireMessage {
        message(seq, id(article), number, kind, json!({"versionCreated": at(hour)}))
    }

    /// Everything that readers can see, and how far it is folded.
    fn seen(public: &Public) -> (Position, Vec<(Uuid, u32, Bytes)>) {
        let now: chrono::DateTime<chrono::Utc> = at(23).parse().unwrap();
        let listing = public.list(&Filter::default(), None, usize::MAX, now).unwrap();
        let entries =
            listing.entries.into_iter().map(|entry| (entry.article, entry.shown.edition, entry.body));
        (public.position(), entries.collect())
    }

    #[test]
    fn newest_change_comes_first_and_pages_go_on_where_they_ended() {
        let public = Public::open(&db(), WIRE).unwrap();
        let group = [
            edition(1, 1, 1, Kind::First, 8),
            edition(2, 2, 1, Kind::First, 9),
            edition(3, 3, 1, Kind::First, 9),
        ];
        public.apply(&group).unwrap();
        public.apply(&[edition(4, 1, 2, Kind::Correction, 10)]).unwrap();
        let now = at(23).parse().unwrap();
        let mut order = Vec::new();
        let mut after = None;
        for _ in 0..5 {
            let page = public.list(&Filter::default(), after.as_ref(), 1, now).unwrap();
            order.extend(page.entries.iter().map(|entry| (entry.article, entry.shown.edition)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(order, [(id(1), 2), (id(3), 1), (id(2), 1)]);
    }

    #[test]
    fn what_is_in_doubt_is_not_shown_and_is_reported() {
        let public = Public::open(&db(), WIRE).unwrap();
        let mut unknown = edition(3, 1, 2, Kind::Update, 9);
        for (name, value) in &mut unknown.headers {
            if name == "Copydesk-Kind" {
                *value = "retraction".into();
            }
        }
        let mut foreign = edition(2, 9, 1, Kind::First, 9);
        foreign.headers.clear();
        let group = [edition(1, 1, 1, Kind::First, 8), foreign, unknown, edition(4, 2, 1, Kind::First, 9)];
        let applied = public.apply(&group).unwrap();
        assert_eq!((applied.foreign, applied.set_aside.len(), applied.changed.len()), (1, 1, 2));
        assert_eq!(public.newest(id(1)).unwrap(), None);
        assert!(!public.bodies.contains_key(id(1).as_bytes()).unwrap());
        assert!(public.newest(id(2)).unwrap().is_some());
        public.apply(&[edition(5, 1, 3, Kind::Correction, 10)]).unwrap();
        assert_eq!(public.newest(id(1)).unwrap().unwrap().shown.edition, 3);
    }

    #[test]
    fn messages_that_did_not_come_are_counted() {
        let public = Public::open(&db(), WIRE).unwrap();
        public.apply(&[edition(1, 1, 1, Kind::First, 8), edition(4, 2, 1, Kind::First, 8)]).unwrap();
        assert_eq!((public.position().count, public.position().missed), (4, 2));
    }

    #[test]
    fn the_same_wire_is_taken_up_again_and_another_is_folded_anew() {
        let db = db();
        let public = Public::open(&db, WIRE).unwrap();
        public.apply(&[edition(1, 1, 1, Kind::First, 8)]).unwrap();
        let before = seen(&public);
        drop(public);
        assert_eq!(seen(&Public::open(&db, WIRE).unwrap()), before);
        let other = Public::open(&db, id(2)).unwrap();
        assert_eq!((other.position().seq, other.newest(id(1)).unwrap()), (0, None));
    }

    #[test]
    fn damaged_state_is_cleared() {
        let damages: [fn(&Public); 6] = [
            |public| drop(public.place.remove(POSITION).unwrap()),
            |public| drop(public.place.insert(POSITION, "{}").unwrap()),
            |public| public.order.clear().unwrap(),
            |public| public.bodies.clear().unwrap(),
            |public| drop(public.articles.remove(id(1).as_bytes()).unwrap()),
            |public| drop(public.articles.insert(id(2).as_bytes(), b"\0\0\0\x01[]").unwrap()),
        ];
        for damage in damages {
            let db = db();
            let public = Public::open(&db, WIRE).unwrap();
            public.apply(&[edition(1, 1, 1, Kind::First, 8)]).unwrap();
            damage(&public);
            drop(public);
            let public = Public::open(&db, WIRE).unwrap();
            assert_eq!(public.position(), Position::start(WIRE));
            assert!(public.articles.is_empty() && public.bodies.is_empty() && public.order.is_empty());
        }
    }

    #[test]
    fn damage_that_a_reader_comes_upon_is_mended_by_folding_again() {
        let public = Public::open(&db(), WIRE).unwrap();
        let wire = [edition(1, 1, 1, Kind::First, 8), edition(2, 2, 1, Kind::First, 9)];
        public.apply(&wire[..1]).unwrap();
        public.bodies.clear().unwrap();
        assert!(matches!(public.newest(id(1)), Err(Error::Damaged(_))));
        assert!(matches!(public.apply(&wire[1..]), Err(Error::Damaged(_))));
        assert_eq!(public.position().seq, 0);
        public.apply(&wire).unwrap();
        assert_eq!(public.newest(id(1)).unwrap().unwrap().shown.edition, 1);
    }

    #[test]
    fn a_long_edition_is_stored_in_pieces_and_leaves_none_behind() {
        let public = Public::open(&db(), WIRE).unwrap();
        let long = "x".repeat(500_000);
        let body = json!({"bodies": [{"contentType": "text/plain", "value": long}]});
        public.apply(&[message(1, id(1), 1, Kind::First, body)]).unwrap();
        assert!(public.newest(id(1)).unwrap().unwrap().body.len() > 500_000);
        public.apply(&[edition(2, 1, 2, Kind::Withdrawal, 9)]).unwrap();
        assert_eq!(public.bodies.len(), 1);
    }

    /// Messages of three articles: in any order of editions, repeated, unreadable, and foreign.
    fn wire() -> impl Strategy<Value = Vec<WireMessage>> {
        let one = (1..4u128, 1..5u32, 0..8u32, 0..24u32);
        proptest::collection::vec(one, 0..24).prop_map(|all| {
            let all = all.into_iter().zip(1..).map(|((article, number, what, hour), seq)| {
                let kind = if what == 0 { Kind::Withdrawal } else { Kind::Update };
                let mut message = edition(seq, article, number, kind, hour);
                match what {
                    1 => message.headers.clear(),
                    2 => message.headers.retain(|(name, _)| name != "Copydesk-Kind"),
                    3 => message
                        .headers
                        .retain(|(name, _)| !["Copydesk-Edition", "Nats-Msg-Id"].contains(&name.as_str())),
                    4 => message.body = "no JSON".into(),
                    _ => {}
                }
                message
            });
            all.collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_grouping_with_any_repeats_folds_as_one_by_one(messages in wire(), cuts in proptest::collection::vec((0..24usize, 0..24usize), 0..6)) {
            let single = Public::open(&db(), WIRE).unwrap();
            for message in &messages {
                single.apply(std::slice::from_ref(message)).unwrap();
            }
            let grouped = Public::open(&db(), WIRE).unwrap();
            let mut reached = 0;
            for (back, length) in cuts {
                let start = reached - back.min(reached);
                let end = (start + length).clamp(reached, messages.len().max(reached));
                grouped.apply(&messages[start..end]).unwrap();
                reached = end;
            }
            grouped.apply(&messages[reached..]).unwrap();
            prop_assert_eq!(seen(&grouped), seen(&single));
            // Refolded from the start, after being cleared, it is the same again, and opening finds no damage.
            grouped.clear().unwrap();
            grouped.apply(&messages).unwrap();
            prop_assert_eq!(seen(&grouped), seen(&single));
            prop_assert_eq!(grouped.check(WIRE).unwrap(), grouped.position());
        }
    }

    #[test]
    fn a_notice_leaves_the_listing_and_not_the_page() {
        let public = Public::open(&db(), WIRE).unwrap();
        public.apply(&[edition(1, 1, 1, Kind::First, 8), edition(2, 1, 2, Kind::Withdrawal, 9)]).unwrap();
        let now: chrono::DateTime<chrono::Utc> = at(9).parse().unwrap();
        let count = |now| public.list(&Filter::default(), None, 50, now).unwrap().entries.len();
        assert_eq!((count(now + TimeDelta::days(30)), count(now + TimeDelta::days(31))), (1, 0));
        assert!(public.newest(id(1)).unwrap().is_some());
    }
}
