//! The board against a plain look through everything there is.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use copydesk_article::newsroom::{NewsroomSet, Role, SectionRules};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::*;
use crate::store::recent::Recent;
use crate::store::{Position, Stored};

thread_local! {
    /// How many rows were decoded on this thread.
    pub(super) static DECODED: Cell<usize> = const { Cell::new(0) };
}

const SECTIONS: [&str; 4] = ["world", "world/asia", "worldly", "sport"];
const PEOPLE: [&str; 4] = ["ana", "emil", "chen", "eva"];
const WORDS: [&str; 6] = ["Flüsse", "RIVERS", "نهر", "नदी", "河流", "São Paulo"];

fn time(micros: i64) -> Time {
    Time::from_timestamp_micros(1_767_000_000_000_000 + micros).unwrap()
}

/// A small article; what `traits` has in it decides on everything that a board asks about.
fn article(id: u128, updated: i64, traits: u32) -> Article {
    let pick = |of: u32, by: u32| usize::try_from(traits / by % of).unwrap();
    let field = |value: serde_json::Value| json!({"by": "ana", "revision": 1, "value": value});
    let headline = format!("Of {} and other things, as told on day {id}", WORDS[pick(6, 1)]);
    let mut article: Article = serde_json::from_value(json!({
        "id": Uuid::from_u128(id), "version": 1, "revision": 1, "drafted": time(0), "updated": time(updated),
        "fields": {
            "headline": field(json!([{"by": "ana", "text": headline}])),
            "slug": field(json!(format!("story-{id}"))),
            "language": field(json!("en")),
            "keywords": field(json!([WORDS[pick(6, 6)], "floods"])),
        },
    }))
    .unwrap();
    if pick(5, 36) > 0 {
        let section = json!({"section": field(json!(SECTIONS[pick(5, 36) - 1]))});
        let with: copydesk_article::fields::Fields = serde_json::from_value(section).unwrap();
        article.fields.0.extend(with.0);
    }
    article.submitted = pick(2, 180) == 1;
    article.spiked = pick(7, 360) == 1;
    if pick(3, 2520) == 1 {
        article.assignment.writers.insert(PEOPLE[pick(4, 7560)].into());
        article.assignment.editor = Some(PEOPLE[pick(4, 30_240)].into());
    }
    if pick(3, 40_000) == 1 {
        let publication = json!({"at": time(0), "by": "pia", "kind": "first", "event": Uuid::nil()});
        article.schedule = Some(serde_json::from_value(publication).unwrap());
    }
    if pick(4, 120_960) == 1 {
        let people = [PEOPLE[pick(4, 483_840)].into()].into();
        article.restricted = Some(Restriction { people, by: "pia".into() });
    }
    article
}

fn stored(article: Article) -> Stored {
    Stored::new(Arc::new(article), 1)
}

/// Folds articles as they now are into the store.
fn put(store: &Store, articles: impl IntoIterator<Item = Article>) {
    let mut group = Recent::default();
    let mut position = store.position();
    for article in articles {
        position.seq += 1;
        group.count();
        let id = article.id;
        group.set(stored(article), || store.article(id).unwrap(), 500);
    }
    store.take(group, Position { identity: Uuid::from_u128(1), ..position }).unwrap();
}

fn opened(path: &Path) -> Store {
    Store::open(path, 64 << 20).unwrap().0
}

/// A newsroom in which `world` asks for no approval, and `sport` for two.
fn newsroom() -> Newsroom {
    let approvals = |asked| SectionRules { approvals: Some(asked), ..SectionRules::default() };
    let mut set = NewsroomSet::default();
    set.rules.section = [("world".to_owned(), approvals(0)), ("sport".to_owned(), approvals(2))].into();
    Newsroom { version: 1, set }
}

fn set_newsroom(store: &Store) {
    let mut group = Recent::default();
    group.set_newsroom(newsroom());
    group.count();
    store.take(group, Position { identity: Uuid::from_u128(1), seq: 1, ..store.position() }).unwrap();
}

/// Has no more of the board in memory than there is room for.
fn leave_room(store: &Store, bytes: usize) {
    *store.board.write().unwrap() = Index::read(&store.shelves.board, bytes).unwrap();
}

/// Articles as they now are, and the way to all that a filter takes without any index.
#[derive(Default)]
struct Desk(BTreeMap<Uuid, Article>);

impl Desk {
    fn put(&mut self, store: &Store, articles: Vec<Article>) {
        self.0.extend(articles.iter().map(|article| (article.id, article.clone())));
        put(store, articles);
    }

    fn takes(article: &Article, filter: &Filter) -> bool {
        let stage = article.stage(&newsroom().rules_for(article.section()));
        let found_by = found_by(article);
        let section = article.section().map(|section| format!("{section}/"));
        filter.viewer.as_ref().is_none_or(|(actor, person)| article.may_be_seen_by(actor, person))
            && filter.assignee.as_ref().is_none_or(|actor| article.assignment.names(actor))
            && filter.words.iter().all(|word| found_by.contains(word))
            && (if filter.stages.is_empty() {
                stage != Stage::Spiked
            } else {
                filter.stages.contains(&stage)
            })
            && (filter.statuses.is_empty() || filter.statuses.contains(&article.status()))
            && filter.section.as_ref().is_none_or(|asked| {
                section.as_ref().is_some_and(|section| section.starts_with(&format!("{asked}/")))
            })
    }

    fn all(&self, filter: &Filter) -> Vec<Uuid> {
        let mut all: Vec<&Article> = self.0.values().filter(|article| Self::takes(article, filter)).collect();
        all.sort_by_key(|article| (std::cmp::Reverse(article.updated), article.id));
        all.into_iter().map(|article| article.id).collect()
    }
}

const ASKED: [&str; 6] = ["flusse", "rivers", "نهر", "7", "floods", "o"];
const STAGES: [Stage; 4] = [Stage::Draft, Stage::InReview, Stage::Approved, Stage::Spiked];
const STATUSES: [Status; 3] = [Status::Unpublished, Status::Scheduled, Status::Published];

prop_compose! {
    fn filters()(
        viewer in prop::option::of((0..4usize, any::<bool>())),
        assignee in 0..4usize,
        words in prop::sample::subsequence(ASKED.to_vec(), 1..3),
        stages in prop::sample::subsequence(STAGES.to_vec(), 1..4),
        statuses in prop::sample::subsequence(STATUSES.to_vec(), 1..3),
        section in 0..4usize,
        which in 0..1024u32,
    ) -> Filter {
        // A part is asked for one time in four: all at once would find nothing.
        let asks = |part: u32| which >> (2 * part) & 3 == 0;
        let person = |is_chief: bool| {
            let roles = if is_chief { vec![Role::Chief] } else { Vec::new() };
            Person { roles, ..Person::default() }
        };
        Filter {
            viewer: viewer.map(|(n, is_chief)| (PEOPLE[n].into(), person(is_chief))),
            assignee: asks(0).then(|| PEOPLE[assignee].to_owned()),
            words: words.into_iter().filter(|_| asks(1)).map(str::to_owned).collect(),
            stages: stages.into_iter().filter(|_| asks(2)).collect(),
            statuses: statuses.into_iter().filter(|_| asks(3)).collect(),
            section: asks(4).then(|| SECTIONS[section].to_owned()),
        }
    }
}

/// Every page of a board, with what happens between them.
fn pages(store: &Store, filter: &Filter, limit: usize, mut between: impl FnMut()) -> Vec<Uuid> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let (rows, next) = store.board(filter, cursor, limit).unwrap();
        assert!(rows.len() == limit || next.is_none(), "a page that isn't the last is full");
        all.extend(rows.iter().map(|row| row.article));
        assert!(all.len() < 10_000, "pages come to an end");
        cursor = next;
        if cursor.is_none() {
            return all;
        }
        between();
    }
}

/// A store with some hundred articles in sled, and how they are known.
fn filled(folder: &Path) -> (Store, Desk) {
    let store = opened(folder);
    set_newsroom(&store);
    let mut desk = Desk::default();
    let seeded = |n: u32| article(n.into(), i64::from(n / 3), n.wrapping_mul(2_654_435_761) >> 3);
    desk.put(&store, (1..300).map(seeded).collect());
    store.write().unwrap();
    (store, desk)
}

#[test]
fn a_board_is_what_a_look_through_everything_finds_wherever_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mut desk) = filled(folder.path());
    // Some that were changed since, and some that are new, wait in memory.
    let changed = |n: u32| article(n.into(), 1000 + i64::from(n), n.wrapping_mul(97_531));
    desk.put(&store, (280..320).map(changed).collect());
    let case = (filters(), 1..40usize, prop::sample::select(vec![0, 30_000, 64 << 20]));
    let (found, restricted) = (Cell::new(0), Cell::new(0));
    let checked = TestRunner::deterministic().run(&case, |(filter, limit, room)| {
        leave_room(&store, room);
        let all = desk.all(&filter);
        prop_assert_eq!(&pages(&store, &filter, limit, || {}), &all);
        found.set(found.get() + usize::from(!all.is_empty()));
        let held_back = all.iter().filter(|id| desk.0[*id].restricted.is_some()).count();
        restricted.set(restricted.get() + held_back);
        Ok(())
    });
    checked.unwrap();
    assert!(
        found.get() > 100 && restricted.get() > 100,
        "the filters find something: {found:?}, {restricted:?}"
    );
}

#[test]
fn pages_give_each_article_once_while_others_move_to_the_front() {
    let folder = tempfile::tempdir().unwrap();
    let (store, desk) = filled(folder.path());
    let (desk, now) = (RefCell::new(desk), Cell::new(1_000));
    let case = (filters(), 1..20usize, prop::sample::select(vec![0, 20_000, 64 << 20]), any::<u32>());
    let checked = TestRunner::deterministic().run(&case, |(filter, limit, room, mut seed)| {
        leave_room(&store, room);
        let before = desk.borrow().all(&filter);
        let mut moved = BTreeSet::new();
        let all = pages(&store, &filter, limit, || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            now.set(now.get() + 1);
            let id = u128::from(seed >> 8) % 300 + 1;
            desk.borrow_mut().put(&store, vec![article(id, now.get(), seed)]);
            moved.insert(Uuid::from_u128(id));
            if seed.is_multiple_of(3) {
                store.write().unwrap();
            }
        });
        let once: BTreeSet<Uuid> = all.iter().copied().collect();
        prop_assert_eq!(once.len(), all.len(), "no article twice");
        let stayed = |ids: Vec<Uuid>| ids.into_iter().filter(|id| !moved.contains(id)).collect::<Vec<_>>();
        prop_assert_eq!(stayed(all), stayed(before), "what didn't move is given, in order");
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn a_rare_filter_decodes_what_it_finds_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path());
    put(&store, (1..2000).map(|n| article(n, n.try_into().unwrap(), 0)));
    let mut rare = article(7, 7, 0);
    rare.assignment.editor = Some("rare".into());
    put(&store, [rare]);
    store.write().unwrap();
    store.read_board().unwrap();
    let decoded = |filter: Filter| {
        DECODED.set(0);
        (store.board(&filter, None, 50).unwrap().0.len(), DECODED.get())
    };
    assert_eq!(decoded(Filter { assignee: Some("rare".into()), ..Filter::default() }), (1, 1));
    assert_eq!(decoded(Filter { words: vec!["story-77".into()], ..Filter::default() }), (11, 11));
    assert_eq!(decoded(Filter { section: Some("nowhere".into()), ..Filter::default() }), (0, 0));
    assert_eq!(decoded(Filter::default()), (50, 50));
}

#[test]
fn what_is_in_memory_of_the_board_stays_within_its_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path());
    put(&store, (1..300).map(|n| article(n, n.try_into().unwrap(), 0)));
    store.write().unwrap();
    leave_room(&store, 30_000);
    for n in 300..500u32 {
        put(&store, [article(n.into(), n.into(), n)]);
        store.write().unwrap();
    }
    let index = store.board.read().unwrap();
    let (cards, bytes) = (index.after(None).count(), index.bytes());
    assert!((50..250).contains(&cards) && (25_000..=30_000).contains(&bytes), "{cards} cards, {bytes} bytes");
    let newest = index.after(None).next().map(|(key, _)| article_of(key));
    assert_eq!(newest, Some(Uuid::from_u128(499)));
    drop(index);
    leave_room(&store, 64 << 20);
    for updated in 1000..1020 {
        put(&store, [article(7, updated, 0)]);
        store.write().unwrap();
    }
    let index = store.board.read().unwrap();
    assert_eq!(index.after(None).count(), 499, "an article that changes has one card");
}
