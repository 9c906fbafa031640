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
    let entries = listing.entries.into_iter().map(|entry| (entry.article, entry.shown.edition, entry.body));
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
fn a_message_that_is_not_understood_did_come() {
    let public = Public::open(&db(), WIRE).unwrap();
    let mut unknown = edition(2, 1, 2, Kind::Update, 9);
    unknown.headers.retain(|(name, _)| name != "Copydesk-Kind");
    public.apply(&[edition(1, 1, 1, Kind::First, 8), unknown, edition(3, 2, 1, Kind::First, 9)]).unwrap();
    let Position { count, missed, not_understood, .. } = public.position();
    assert_eq!((count, missed, not_understood), (3, 0, 1));
}

fn erased(seq: u64) -> WireMessage {
    WireMessage { seq, subject: String::new(), headers: Vec::new(), body: Bytes::new(), erased: true }
}

fn counted(seq: u64, count: u64) -> WireMessage {
    let mut message = edition(seq, u128::from(seq), 1, Kind::First, 8);
    let of_count = message.headers.iter_mut().find(|(name, _)| name == "Copydesk-Count");
    of_count.unwrap().1 = count.to_string();
    message
}

#[test]
fn what_was_erased_by_law_is_no_miss_and_everything_else_that_is_not_there_is() {
    let missed = |group: &[WireMessage]| {
        let public = Public::open(&db(), WIRE).unwrap();
        assert_eq!(public.apply(group).unwrap().foreign, 0);
        (public.position().missed, public.position().foreign)
    };
    assert_eq!(missed(&[erased(1), counted(2, 2), erased(3), erased(4), counted(5, 5)]), (0, 0));
    // A repeat says nothing of what came between.
    assert_eq!(missed(&[counted(1, 1), erased(2), counted(3, 1), counted(4, 3)]), (0, 0));
    // One was erased and one is gone.
    assert_eq!(missed(&[counted(1, 1), erased(2), counted(4, 4)]), (1, 0));
    // What was erased was foreign: one that is gone there isn't seen, one that is gone later is.
    assert_eq!(missed(&[counted(1, 1), erased(2), counted(3, 3), counted(4, 5)]), (1, 0));
    assert_eq!(missed(&[counted(1, 1), erased(2), counted(3, 2), counted(4, 4)]), (1, 0));
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

/// Of a damaged file sled may give pages as they were, each by itself.
#[test]
fn old_pages_beside_new_ones_are_damage_that_readers_come_upon() {
    let (first, withdrawn) = (edition(1, 1, 1, Kind::First, 8), edition(2, 1, 2, Kind::Withdrawal, 9));
    let after = |damage: fn(&Public, &WireMessage)| {
        let public = Public::open(&db(), WIRE).unwrap();
        public.apply(&[first.clone(), withdrawn.clone()]).unwrap();
        damage(&public, &first);
        public
    };
    let body = |public: &Public, first: &WireMessage| {
        let value = [&1_u32.to_be_bytes(), &*first.body].concat();
        public.bodies.insert(id(1).as_bytes(), value).unwrap();
    };
    let public = after(body);
    assert!(matches!(public.newest(id(1)), Err(Error::Damaged(_))) && public.is_damaged());
    let public = after(body);
    let now = at(10).parse().unwrap();
    assert!(
        matches!(public.list(&Filter::default(), None, 9, now), Err(Error::Damaged(_)))
            && public.is_damaged()
    );
    let public = after(|public, _| drop(public.line.remove(20_u64.to_be_bytes()).unwrap()));
    assert!(public.told(&first).unwrap().is_none(), "withdrawn since");
    assert!(matches!(public.told(&withdrawn), Err(Error::Damaged(_))) && public.is_damaged());
    let public = after(|_, _| ());
    assert!(
        public.noting_damage(|| -> Result<(), Error> { panic!("as sled does") }).is_err()
            && public.is_damaged()
    );
}

/// Whoever only says how far it is folded isn't kept by what is being written.
#[test]
fn the_last_position_is_had_while_the_state_is_written() {
    let public = Public::open(&db(), WIRE).unwrap();
    public.apply(&[edition(1, 1, 1, Kind::First, 8)]).unwrap();
    let mut told = Vec::new();
    public
        .apply_telling(&[edition(2, 2, 1, Kind::First, 9)], |_| told.push(public.last_position().seq))
        .unwrap();
    assert_eq!((told, public.last_position()), (vec![1], public.position()));
    public.clear().unwrap();
    assert_eq!(public.last_position(), Position::start(WIRE));
}

#[test]
fn damaged_state_is_cleared() {
    let damages: [fn(&Public); 8] = [
        |public| drop(public.place.remove(POSITION).unwrap()),
        |public| drop(public.place.insert(POSITION, "{}").unwrap()),
        |public| public.order.clear().unwrap(),
        |public| public.index.clear().unwrap(),
        |public| public.bodies.clear().unwrap(),
        |public| public.line.clear().unwrap(),
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
                5 => message = erased(seq),
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

#[test]
fn a_file_of_sleds_that_is_gone_is_damage_and_a_full_disk_is_not() {
    let of = |kind: std::io::ErrorKind| Error::from(sled::Error::Io(kind.into()));
    assert!(matches!(of(std::io::ErrorKind::NotFound), Error::Damaged(_)));
    assert!(matches!(of(std::io::ErrorKind::UnexpectedEof), Error::Damaged(_)));
    assert!(matches!(of(std::io::ErrorKind::StorageFull), Error::Sled(_)));
}
