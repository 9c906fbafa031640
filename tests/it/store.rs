//! The folded state against its log: what is damaged, torn, old, strange or ahead.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use copydesk::desk::propose;
use copydesk::log::memory::MemoryLog;
use copydesk::log::segments::Options;
use copydesk::log::{Content, Entry, Expect, Log, Message};
use copydesk::service::{Part, Service, open_embedded_log};
use copydesk::store::board::Filter;
use copydesk::store::fold::{self, Folder};
use copydesk::store::{FOLD_VERSION, Opened, Store};
use copydesk_article::problem::Code;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::path::{newsroom, send, service, until};

/// A draft of one paragraph.
fn draft(words: &str) -> Value {
    json!({"id": Uuid::new_v4(), "type": "draft", "data": {
        "slug": "s", "language": "en", "section": "world", "headline": "H",
        "blocks": [{"kind": "paragraph", "text": words}],
    }})
}

/// A data folder with some articles in it, closed.
async fn filled(data: &Path, articles: usize) -> Vec<Uuid> {
    let service = service(data).await;
    let mut ids = Vec::new();
    for n in 0..articles {
        ids.push(send(&service, "ana", &draft(&format!("Words of story {n}."))).await.unwrap().article);
    }
    service.check_fold().await.unwrap();
    service.stop().await;
    ids
}

async fn opened(data: &Path) -> Arc<Service> {
    let log = open_embedded_log(data, Options::default()).unwrap();
    Service::open(log, data, 16 << 20, "copydesk", &Default::default(), |_, _| {}).await.unwrap()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_file());
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_was_deleted_or_torn_is_folded_anew() {
    let folder = tempfile::tempdir().unwrap();
    let ids = filled(folder.path(), 20).await;
    let state = folder.path().join("state");
    type Harm = (&'static str, fn(&Path));
    let harms: [Harm; 5] = [
        ("deleted", |state| std::fs::remove_dir_all(state).unwrap()),
        ("emptied", |state| {
            for file in files(state) {
                std::fs::remove_file(file).unwrap();
            }
        }),
        ("cut", |state| {
            let db = std::fs::OpenOptions::new().write(true).open(state.join("db")).unwrap();
            db.set_len(db.metadata().unwrap().len() / 2).unwrap();
        }),
        ("of another sled, it seems", |state| {
            // "version: 0.34" without its last figure and the checksum.
            let conf = std::fs::OpenOptions::new().write(true).open(state.join("conf")).unwrap();
            conf.set_len(conf.metadata().unwrap().len() - 6).unwrap();
        }),
        ("scribbled over", |state| {
            let bytes = std::fs::read(state.join("db")).unwrap();
            let bytes: Vec<u8> =
                bytes.iter().enumerate().map(|(n, b)| if n % 97 == 5 { !b } else { *b }).collect();
            std::fs::write(state.join("db"), bytes).unwrap();
        }),
    ];
    for (what, harm) in harms {
        harm(&state);
        let service = opened(folder.path()).await;
        assert_eq!(service.desk.halted(), None, "{what}");
        for id in &ids {
            assert!(service.store.article(*id).unwrap().is_some(), "{what}: {id}");
        }
        let check = service.check_fold().await.unwrap();
        assert_eq!((check.articles, check.events), (20, 21), "{what}");
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_another_fold_version_is_set_aside_and_folded_anew() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3).await;
    let state = folder.path().join("state");
    {
        let (store, _) = Store::open(&state, 1 << 20).unwrap();
        let tree = store.db().open_tree("fold").unwrap();
        let position = tree.get(b"mposition").unwrap().unwrap();
        let version = |version: u32| format!("\"fold_version\":{version}");
        let text = String::from_utf8_lossy(&position[8..]);
        let text = text.replace(&version(FOLD_VERSION), &version(FOLD_VERSION + 7));
        let mut rest = position[4..8].to_vec();
        rest.extend_from_slice(text.as_bytes());
        let mut value = crc32c::crc32c(&rest).to_be_bytes().to_vec();
        value.extend_from_slice(&rest);
        tree.insert(b"mposition", value).unwrap();
        tree.flush().unwrap();
    }
    let service = opened(folder.path()).await;
    assert_eq!(service.check_fold().await.unwrap().articles, 3);
    assert!(folder.path().join("state.set-aside-1").is_dir(), "what was there is kept to be looked at");
    service.stop().await;
}

/// The position goes first: a process killed right then leaves all the rest, which may be of another log or of a lost tail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_state_that_was_being_cleared_is_shown_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let ids = filled(folder.path(), 3).await;
    let state = folder.path().join("state");
    {
        let tree = sled::open(&state).unwrap().open_tree("fold").unwrap();
        assert!(tree.remove(b"mposition").unwrap().is_some());
        tree.flush().unwrap();
    }
    let (store, opened) = Store::open(&state, 1 << 20).unwrap();
    assert_eq!((opened, store.position().seq), (Opened::Empty, 0));
    for id in ids {
        assert!(store.article(id).unwrap().is_none(), "{id}");
    }
    assert!(store.board(&Filter::default(), None, 10).unwrap().0.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_whose_state_is_ahead_of_its_log_or_of_another_decides_nothing() {
    let (older, newer) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(older.path(), 2).await;
    copy(older.path(), newer.path());
    filled(newer.path(), 3).await;
    std::fs::remove_dir_all(older.path().join("state")).unwrap();
    copy(&newer.path().join("state"), &older.path().join("state"));
    let service = opened(older.path()).await;
    let why = service.desk.halted().unwrap();
    assert!(why.contains("its tail is lost"), "{why}");
    service.start(Part::ALL).unwrap();
    let refused = send(&service, "ana", &draft("New words.")).await.unwrap_err();
    assert_eq!((refused.code, service.log.events().end().await.unwrap()), (Code::LogUnavailable, 3));
    service.stop().await;
    drop(service);

    let other = tempfile::tempdir().unwrap();
    filled(other.path(), 9).await;
    std::fs::remove_dir_all(other.path().join("state")).unwrap();
    copy(&newer.path().join("state"), &other.path().join("state"));
    let service = opened(other.path()).await;
    let why = service.desk.halted().unwrap();
    assert!(why.contains("another log"), "{why}");
    service.stop().await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Puts bytes on an event subject past the desk.
async fn put(log: &dyn Log, subject: &str, body: Vec<u8>) {
    let last = log.events().last_on(subject).await.unwrap().map_or(0, |entry| entry.seq);
    let message = Message {
        subject: subject.to_owned(),
        id: Uuid::new_v4().to_string(),
        headers: Vec::new(),
        body: Bytes::from(body),
    };
    log.events().try_append(&message, Expect::Subject(last)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_passed_over_and_an_event_of_a_newer_build_sets_its_article_aside_alone() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path()).await;
    let one = send(&service, "ana", &draft("One story.")).await.unwrap();
    let two = send(&service, "ana", &draft("Another story.")).await.unwrap();
    let submit =
        |article: Uuid| json!({"id": Uuid::new_v4(), "type": "submit", "article": article, "base": 1});

    put(&*service.log, &one.article.to_string(), b"\xff\x00 no envelope".to_vec()).await;
    put(&*service.log, "nobody", b"{}".to_vec()).await;
    send(&service, "ana", &submit(one.article)).await.unwrap();

    let entry = service.log.events().get(two.seq).await.unwrap().unwrap();
    let copydesk::log::Content::Message { body, .. } = entry.content else { panic!("erased") };
    let mut event: Value = serde_json::from_slice(&body).unwrap();
    event["articleversion"] = json!(2);
    event["data"]["from_the_future"] = json!(true);
    put(&*service.log, &two.article.to_string(), event.to_string().into_bytes()).await;

    let refused = send(&service, "ana", &submit(two.article)).await.unwrap_err();
    assert_eq!(refused.code, Code::SetAside);
    let three = send(&service, "ana", &draft("A third.")).await.unwrap();
    service.store.folded(three.seq).await;
    let position = service.store.position();
    assert_eq!((position.foreign, position.aside), (2, 1));
    assert!(service.store.all_aside().unwrap().contains_key(&two.article));
    assert_eq!(service.store.foreign(10).unwrap().len(), 2);
    assert_eq!(service.store.article(one.article).unwrap().unwrap().article.version, 2);
    service.stop().await;
}

/// Puts an event of a newer build on the line of an article that has one event.
async fn outdated(service: &Service, article: Uuid, first: u64) {
    service.store.folded(first).await;
    let mut newer = stored(service, first).await;
    let version = service.store.article(article).unwrap().unwrap().article.version;
    newer["articleversion"] = json!(version + 1);
    newer["type"] = json!("copydesk.article.illustrated");
    put(&*service.log, &article.to_string(), newer.to_string().into_bytes()).await;
    service.store.folded(service.log.events().end().await.unwrap()).await;
    assert!(service.store.aside(article).unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_lost_its_tail_is_found_out_though_an_article_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (log, yesterday) = (folder.path().join("log"), folder.path().join("yesterday"));
    let one = service(folder.path()).await;
    let story = send(&one, "ana", &draft("One story.")).await.unwrap();
    outdated(&one, story.article, story.seq).await;
    one.stop().await;
    drop(one);
    let copied = std::process::Command::new("cp").arg("-a").args([&log, &yesterday]).status().unwrap();
    assert!(copied.success());
    let one = service(folder.path()).await;
    assert_eq!(one.desk.halted(), None);
    let another = send(&one, "ana", &draft("Another story.")).await.unwrap();
    one.store.folded(another.seq).await;
    one.stop().await;
    drop(one);
    std::fs::remove_dir_all(&log).unwrap();
    std::fs::rename(&yesterday, &log).unwrap();
    let one = opened(folder.path()).await;
    assert!(one.desk.halted().is_some_and(|why| why.contains("its tail is lost")));
    one.stop().await;
}

/// As sled gives old pages for new ones where its file is damaged: all of the article's keys that are kept under its state,
/// and those of its queries alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_article_of_which_sled_gives_what_it_was_before_is_folded_anew_and_not_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let one = service(folder.path()).await;
    let story = send(&one, "ana", &draft("One story.")).await.unwrap();
    one.stop().await;
    drop(one);
    type Pairs = Vec<(sled::IVec, sled::IVec)>;
    let pairs = |state: &Path| -> Pairs {
        let db = sled::open(state).unwrap().open_tree("fold").unwrap();
        db.iter().map(Result::unwrap).filter(|(key, _)| key.first() == Some(&b'a')).collect()
    };
    let before = pairs(&state);
    let ask =
        || json!({"id": Uuid::new_v4(), "type": "ask", "article": story.article, "data": {"text": "Why?"}});
    for is_query in [false, true] {
        let one = service(folder.path()).await;
        send(&one, "eva", &ask()).await.unwrap();
        let asked = send(&one, "eva", &ask()).await.unwrap();
        one.store.folded(asked.seq).await;
        one.stop().await;
        drop(one);
        let after = pairs(&state);
        let db = sled::open(&state).unwrap().open_tree("fold").unwrap();
        let mut spoilt = 0;
        for (key, value) in after {
            let was = before.iter().find(|(known, _)| *known == key).map(|(_, was)| was.clone());
            let queries = key.get(key.len() - 5) == Some(&b'q');
            match was {
                None if queries => drop(db.remove(&key).unwrap()),
                Some(was) if !is_query && was != value => drop(db.insert(&key, was).unwrap()),
                _ => continue,
            }
            spoilt += 1;
        }
        assert!(spoilt > 0, "an old page was given");
        drop(db);
        let one = service(folder.path()).await;
        let asking = async {
            loop {
                match send(&one, "eva", &ask()).await {
                    Ok(answered) => break answered,
                    Err(problem) => assert_eq!(problem.code.status(), 503, "{problem:?}"),
                }
                tokio::task::yield_now().await;
            }
        };
        let long = std::time::Duration::from_secs(30);
        let answered = tokio::time::timeout(long, asking).await.expect("it is folded anew");
        one.store.folded(answered.seq).await;
        assert_eq!(one.store.aside(story.article).unwrap(), None);
        let article = one.store.article(story.article).unwrap().unwrap().article;
        assert_eq!(article.queries.len() as u32, article.version - 1);
        one.check_fold().await.unwrap();
        one.stop().await;
    }
}

/// In the middle of the night, too, when nothing else is published.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_public_and_damaged_is_folded_anew_once_a_reader_comes_upon_it() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path()).await;
    let (article, _) = published(&service, "One story.").await;
    let public = Arc::clone(&service.public);
    until("it is out", || public.newest(article).unwrap().map(drop)).await;
    let records = service.store.db().open_tree("public.articles").unwrap();
    records.insert(article.as_bytes(), "no record").unwrap();
    public.newest(article).unwrap_err();
    until("it is whole again", || public.newest(article).ok().flatten().map(drop)).await;
    assert!(service.editions.is_whole());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_article_set_aside_is_not_due() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path()).await;
    let story = send(&service, "ana", &draft("One story.")).await.unwrap();
    let at = chrono::Utc::now() + chrono::TimeDelta::days(1);
    for (actor, kind, data) in
        [("ana", "submit", json!({})), ("eva", "approve", json!({})), ("pia", "publish", json!({"at": at}))]
    {
        let command =
            json!({"id": Uuid::new_v4(), "type": kind, "article": story.article, "base": 1, "data": data});
        let answer = send(&service, actor, &command).await.unwrap();
        service.store.folded(answer.seq).await;
    }
    assert_eq!(service.store.due(10).unwrap().len(), 1);
    outdated(&service, story.article, story.seq).await;
    assert_eq!(service.store.due(10).unwrap(), []);
    service.store.flush().await.unwrap();
    assert_eq!(service.store.due(10).unwrap(), []);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edition_of_a_newer_build_stops_the_wire_rather_than_being_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path()).await;
    let one = send(&service, "ana", &draft("One story.")).await.unwrap();
    let two = send(&service, "ana", &draft("Another story.")).await.unwrap();
    let entry = service.log.events().get(one.seq).await.unwrap().unwrap();
    let copydesk::log::Content::Message { body, .. } = entry.content else { panic!("erased") };
    let mut event: Value = serde_json::from_slice(&body).unwrap();
    event["articleversion"] = json!(2);
    event["type"] = json!("copydesk.article.published.v2");
    event["wire"] = json!("edition");
    put(&*service.log, &one.article.to_string(), event.to_string().into_bytes()).await;
    let of_two = |kind: &str| json!({"id": Uuid::new_v4(), "type": kind, "article": two.article, "base": 1});
    send(&service, "ana", &of_two("submit")).await.unwrap();
    send(&service, "eva", &of_two("approve")).await.unwrap();
    send(&service, "pia", &of_two("publish")).await.unwrap();
    let why = until("the wire to stop", || service.progress().wire_stopped).await;
    assert!(why.contains("upgrade"), "{why}");
    assert_eq!(service.log.wire().end().await.unwrap(), 0);
    service.stop().await;
}

/// An event as it is stored.
async fn stored(service: &Service, seq: u64) -> Value {
    let entry = service.log.events().get(seq).await.unwrap().unwrap();
    let copydesk::log::Content::Message { body, .. } = entry.content else { panic!("erased") };
    serde_json::from_slice(&body).unwrap()
}

/// Drafts a story and takes it to its readers: the article, and where its publication stands.
async fn published(service: &Service, words: &str) -> (Uuid, u64) {
    let article = send(service, "ana", &draft(words)).await.unwrap().article;
    let mut last = 0;
    for (actor, kind) in [("ana", "submit"), ("eva", "approve"), ("pia", "publish")] {
        let command = json!({"id": Uuid::new_v4(), "type": kind, "article": article, "base": 1});
        last = send(service, actor, &command).await.unwrap().seq;
    }
    (article, last)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_edition_of_an_article_set_aside_stops_the_wire_rather_than_being_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path()).await;
    let one = send(&service, "ana", &draft("One story.")).await.unwrap();
    let (_, publication) = published(&service, "Another story.").await;
    let sent = async |service: &Service, seq: u64| {
        until("the edition on the wire", || (service.progress().wire_sent == seq).then_some(())).await;
    };
    sent(&service, publication).await;

    let mut newer = stored(&service, one.seq).await;
    newer["articleversion"] = json!(2);
    newer["type"] = json!("copydesk.article.illustrated");
    put(&*service.log, &one.article.to_string(), newer.to_string().into_bytes()).await;
    let (_, third) = published(&service, "A third story.").await;
    service.store.folded(third).await;
    assert!(service.store.aside(one.article).unwrap().is_some_and(|aside| !aside.on_wire));
    sent(&service, third).await;
    assert_eq!(service.log.wire().end().await.unwrap(), 2, "what isn't for readers doesn't stop the wire");

    // This build knows the type, and not the words that it puts out.
    let mut edition = stored(&service, publication).await;
    edition["subject"] = json!(one.article);
    edition["articleversion"] = json!(3);
    put(&*service.log, &one.article.to_string(), edition.to_string().into_bytes()).await;
    let at = service.log.events().end().await.unwrap();
    let (_, fourth) = published(&service, "A fourth story.").await;
    let stops = async |service: &Service| {
        service.store.folded(fourth).await;
        let why = until("the wire to stop", || service.progress().wire_stopped).await;
        assert!(why.contains(&format!("the event at {at} ")) && why.contains("upgrade"), "{why}");
        assert_eq!(service.log.wire().end().await.unwrap(), 2, "nothing overtakes it");
    };
    stops(&service).await;
    service.stop().await;
    drop(service);

    let service = opened(folder.path()).await;
    service.start(Part::ALL).unwrap();
    stops(&service).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_story_is_read_as_it_was_at_every_revision() {
    use copydesk::desk::At;
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path()).await;
    let long = "Words and more words. ".repeat(5_000);
    let article = send(&service, "ana", &draft(&long)).await.unwrap().article;
    let mut last = 0;
    for n in 1..90 {
        let edit = json!({"id": Uuid::new_v4(), "type": "edit", "article": article, "base": n,
            "data": {"set": {"headline": format!("Headline {}", n + 1)}}});
        last = send(&service, "ana", &edit).await.unwrap().seq;
    }
    for revision in [2, 31, 32, 33, 64, 65, 89, 90] {
        let then = service.desk.as_it_was(article, At::Revision(revision), last).await.unwrap().unwrap();
        assert_eq!((then.version, then.revision), (revision, revision));
        let headline = then.fields.text(copydesk_article::fields::FieldName::Headline).unwrap().plain();
        assert_eq!(headline, format!("Headline {revision}"));
    }
    assert_eq!(service.check_fold().await.unwrap().articles, 1);
    service.stop().await;
}

/// Everything that a store can be asked, as one text.
fn all_answers(store: &Store, ids: &[Uuid]) -> String {
    use std::fmt::Write;
    let mut all = format!("{:?} {:?}\n", store.position(), store.newsroom());
    let board = |cursor, limit| store.board(&Filter::default(), cursor, limit).unwrap();
    let (rows, _) = board(None, 1000);
    let (mut paged, mut cursor) = (Vec::new(), None);
    loop {
        let (page, next) = board(cursor, 3);
        paged.extend(page);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(rows, paged);
    writeln!(all, "{rows:?}").unwrap();
    for id in ids {
        let article = store.article(*id).unwrap();
        let in_range = store.events_of(*id, 3..=34).unwrap();
        let events = store.events_of(*id, 1..=u32::MAX).unwrap();
        let commands: std::collections::BTreeMap<_, _> =
            store.commands_of(*id).unwrap().into_iter().collect();
        let snapshots = [31, 32, 63, 64, 100].map(|version| store.snapshot(*id, version).unwrap());
        let aside = store.aside(*id).unwrap();
        writeln!(all, "{article:?}\n{in_range:?}\n{events:?}\n{commands:?}\n{snapshots:?}\n{aside:?}")
            .unwrap();
    }
    let (aside, foreign) = (store.all_aside().unwrap(), store.foreign(10).unwrap());
    let (outgoing, later) = (store.outgoing_after(0, 100).unwrap(), store.outgoing_after(9, 2).unwrap());
    let mut known: Vec<_> = store.all_articles().map(|stored| stored.unwrap().article.id).collect();
    known.sort();
    writeln!(all, "{aside:?}\n{foreign:?}\n{outgoing:?}\n{later:?}\n{known:?}").unwrap();
    all
}

/// What was folded and is not in sled yet must be seen as if it were: whatever the groups, and whenever they are
/// written; and a crash may only cost what is then folded again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outgoing_event_is_at_hand_until_its_article_moves_on_or_sled_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path()).await;
    let (article, seq) = published(&service, "A river rose.").await;
    let edit = json!({"id": Uuid::new_v4(), "type": "edit", "article": article, "base": 1,
        "data": {"ops": [{"op": "insert", "after": null, "block": {"kind": "paragraph", "text": "More."}}]}});
    let edited = send(&service, "ana", &edit).await.unwrap().seq;
    let (mut until_published, mut after) = (Vec::new(), Vec::new());
    for at in 1..=edited {
        let entry = service.log.events().get(at).await.unwrap().unwrap();
        if at <= seq { until_published.push(entry) } else { after.push(entry) }
    }
    let event = stored(&service, seq).await;
    for moves_on in [true, false] {
        let own = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(own.path(), 1 << 20).unwrap();
        let mut folder = Folder::new(&store, service.log.identity()).unwrap();
        folder.fold(until_published.clone(), &*service.log.events()).await.unwrap();
        let outgoing = store.outgoing_after(0, 9).unwrap().pop().unwrap();
        let fresh = store.fresh(outgoing).unwrap();
        assert_eq!(json!([fresh.event, fresh.digest]), json!([event["id"], event["editiondigest"]]));
        assert_eq!(
            (outgoing.seq, fresh.article.id, json!(fresh.article.version)),
            (seq, article, event["articleversion"].clone())
        );
        match moves_on {
            true => folder.fold(after.clone(), &*service.log.events()).await.unwrap(),
            false => store.flush().await.unwrap(),
        }
        assert_eq!(store.outgoing_after(0, 9).unwrap(), [outgoing]);
        assert!(store.fresh(outgoing).is_none(), "moves on: {moves_on}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_the_same_whatever_is_in_sled_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path()).await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(send(&service, "ana", &draft(&format!("Story {n}."))).await.unwrap().article);
    }
    put(&*service.log, "nobody", b"{}".to_vec()).await;
    put(&*service.log, &ids[5].to_string(), b"no envelope".to_vec()).await;
    for (n, article) in ids.iter().enumerate().take(4) {
        let of = |kind: &str| json!({"id": Uuid::new_v4(), "type": kind, "article": article, "base": 1});
        send(&service, "ana", &of("submit")).await.unwrap();
        send(&service, "eva", &of("approve")).await.unwrap();
        if n % 2 == 0 {
            send(&service, "pia", &of("publish")).await.unwrap();
        }
    }
    for n in 1..70 {
        for article in &ids[..2] {
            let edit = json!({"id": Uuid::new_v4(), "type": "edit", "article": article, "base": n,
                "data": {"ops": [{"op": "insert", "after": null, "block": {"kind": "paragraph", "text": format!("Block {n}.")}}]}});
            send(&service, "ana", &edit).await.unwrap();
        }
    }
    let newer = service.log.events().last_on(&ids[6].to_string()).await.unwrap().unwrap();
    let copydesk::log::Content::Message { body, .. } = newer.content else { panic!("erased") };
    let mut event: Value = serde_json::from_slice(&body).unwrap();
    event["articleversion"] = json!(2);
    event["data"]["from_the_future"] = json!(true);
    event["wire"] = json!("edition");
    put(&*service.log, &ids[6].to_string(), event.to_string().into_bytes()).await;
    let end = service.log.events().end().await.unwrap();
    let mut entries = Vec::new();
    for seq in 1..=end {
        entries.push(service.log.events().get(seq).await.unwrap().unwrap());
    }

    let at_once = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(at_once.path(), 1 << 20).unwrap();
    Folder::new(&store, service.log.identity())
        .unwrap()
        .fold(entries.clone(), &*service.log.events())
        .await
        .unwrap();
    let expected = all_answers(&store, &ids);
    store.flush().await.unwrap();
    assert_eq!(all_answers(&store, &ids), expected, "the same from sled as from memory");

    for (sizes, written_every) in [([1, 2, 3], 1), ([1, 1, 1], 7), ([5, 1, 40], 3), ([9, 64, 2], 1000)] {
        let crashed = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(crashed.path(), 1 << 20).unwrap();
        let mut folder = Folder::new(&store, service.log.identity()).unwrap();
        let (mut rest, mut sizes) = (&entries[..], sizes.into_iter().cycle().enumerate());
        while let Some((round, size)) = sizes.next().filter(|_| !rest.is_empty()) {
            let (group, after) = rest.split_at(size.min(rest.len()));
            folder.fold(group.to_vec(), &*service.log.events()).await.unwrap();
            if (round + 1) % written_every == 0 {
                store.flush().await.unwrap();
            }
            rest = after;
        }
        assert_eq!(all_answers(&store, &ids), expected, "written every {written_every} groups");
        drop(folder);
        drop(store);
        let (store, _) = Store::open(crashed.path(), 1 << 20).unwrap();
        let kept = store.position().seq;
        assert!(kept <= end && (written_every > 1 || kept == end), "{kept} of {end}");
        Folder::new(&store, service.log.identity())
            .unwrap()
            .fold(entries.clone(), &*service.log.events())
            .await
            .unwrap();
        assert_eq!(all_answers(&store, &ids), expected, "folded on from {kept}");
    }
    service.stop().await;
}

/// Damage in an article that nobody has touched for long: who reads it is told to come back, and the instance folds
/// anew by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_a_reader_comes_upon_is_mended_by_folding_anew() {
    let folder = tempfile::tempdir().unwrap();
    let ids = filled(folder.path(), 3).await;
    let service = service(folder.path()).await;
    let tree = service.store.db().open_tree("fold").unwrap();
    let is_its = |key: &[u8]| key.windows(16).any(|part| part == ids[1].as_bytes());
    for entry in tree.scan_prefix(b"a") {
        let (key, value) = entry.unwrap();
        if !is_its(&key) {
            continue;
        }
        let mut value = value.to_vec();
        *value.last_mut().unwrap() ^= 1;
        tree.insert(key, value).unwrap();
    }
    let error = service.store.article(ids[1]).unwrap_err();
    assert!(matches!(error, copydesk::store::StoreError::Damaged(_)), "{error}");
    let mended = until("the fold anew", || service.store.article(ids[1]).ok().flatten()).await;
    assert_eq!(mended.article.version, 1);
    until("the desk to decide again", || service.desk.halted().is_none().then_some(())).await;
    send(&service, "ana", &draft("New words.")).await.unwrap();
    assert_eq!(service.check_fold().await.unwrap().articles, 4);
    service.stop().await;
}

/// Whoever signs checkpoints saw an end of the log that it was past before, as a cluster without a leader may show.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubt_that_does_not_last_does_not_stop_the_desk_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path()).await;
    send(&service, "ana", &draft("Before.")).await.unwrap();
    service.doubt("the log has fewer events than were signed");
    until("the desk to decide again", || service.desk.halted().is_none().then_some(())).await;
    send(&service, "ana", &draft("After.")).await.unwrap();
    assert_eq!(service.check_fold().await.unwrap().articles, 2);
    service.stop().await;
}

/// Somebody signed another log, and whoever signs now signs this one: what was signed since doesn't make it good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_over_other_events_stops_the_desk_for_good_whatever_is_signed_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path()).await;
    send(&service, "ana", &draft("Words.")).await.unwrap();
    service.store.folded(2).await;
    let signed = |root| service.audit.key().sign(2, root).unwrap();
    let (wrong, right) = (signed([7; 32]), signed(service.store.merkle().root(2).unwrap()));
    let line = service.log.stream("checkpoints").await.unwrap();
    let append = async |name: &str, note: Vec<u8>| {
        let message =
            Message { subject: "checkpoint".into(), id: name.into(), headers: Vec::new(), body: note.into() };
        loop {
            let end = line.end().await.unwrap();
            if line.try_append(&message, Expect::Stream(end)).await.is_ok() {
                break;
            }
        }
    };
    append("wrong", wrong).await;
    until("the desk to stop", || service.desk.halted()).await;
    append("right", right.clone()).await;
    until("it to be the newest", || service.audit.newest().filter(|newest| newest.note == right)).await;
    // The fold looks at the line again before it folds the second of these.
    for subject in ["first", "second"] {
        put(&*service.log, subject, b"{}".to_vec()).await;
        service.store.folded(service.log.events().end().await.unwrap()).await;
    }
    let why = service.desk.halted().unwrap();
    assert!(why.contains("aren't those that a checkpoint was signed over"), "{why}");
    let refused = send(&service, "ana", &draft("New words.")).await.unwrap_err();
    assert_eq!(refused.code, Code::LogUnavailable);
    service.stop().await;
}

#[tokio::test]
async fn a_group_of_more_articles_than_the_fold_keeps_in_memory_is_folded_whole() {
    const GOLDEN: &str = include_str!("../golden/every-event.jsonl");
    const ID: &str = "00000000-0000-0000-0000-000000000007";
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), 16 << 20).unwrap();
    let mut golden = GOLDEN.lines();
    let (drafted, claimed) = (golden.next().unwrap(), golden.next().unwrap());
    let entry = |(seq, (id, line)): (u64, (Uuid, &str))| Entry {
        seq,
        subject: id.to_string(),
        time: chrono::Utc::now(),
        content: Content::Message { headers: Vec::new(), body: line.replace(ID, &id.to_string()).into() },
    };
    let first = Uuid::new_v4();
    let between = (0..5000).map(|_| (Uuid::new_v4(), drafted));
    let all = [(first, drafted)].into_iter().chain(between).chain([(first, claimed)]);
    let group: Vec<Entry> = (1..).zip(all).map(entry).collect();
    let events = copydesk::log::memory::MemoryLog::new(1).events();
    Folder::new(&store, Uuid::new_v4()).unwrap().fold(group, &*events).await.unwrap();
    assert_eq!(store.aside(first).unwrap(), None);
    assert_eq!(store.article(first).unwrap().unwrap().article.version, 2);
    assert_eq!((store.position().seq, store.position().aside), (5002, 0));
}

/// Catching up writes a batch on another thread while more is folded, which readers don't see until then: articles that
/// are in a batch on its way, in what is ahead of it and in sled go through all of it as they do where each group is written
/// before the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_folded_while_a_batch_is_written_is_what_is_folded_one_after_the_other() {
    const GOLDEN: &str = include_str!("../golden/every-event.jsonl");
    const ID: &str = "00000000-0000-0000-0000-000000000007";
    let mut golden = GOLDEN.lines();
    let (drafted, claimed) = (golden.next().unwrap(), golden.next().unwrap());
    let log = MemoryLog::new(1);
    propose(&log, &newsroom(), "/copydesk", [7; 16], false).await.unwrap();
    let old: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
    // More articles than the fold keeps in memory, and more events than a batch has, twice.
    let others = (10..20_010).map(Uuid::from_u128);
    let (first, rest): (Vec<Uuid>, Vec<Uuid>) = others.partition(|id| id.as_u128() < 9_000);
    let drafts = old.iter().chain(&first).map(|id| (*id, drafted));
    let claims = [(old[0], claimed), (first[5_000], claimed)];
    let more = rest.iter().map(|id| (*id, drafted));
    let last = [(old[1], claimed), (first[8_000], claimed), (rest[0], claimed), (rest[9_000], claimed)];
    for (id, line) in drafts.chain(claims).chain(more).chain(last) {
        put(&log, &id.to_string(), line.replace(ID, &id.to_string()).into_bytes()).await;
    }
    let ids =
        [&old[..], &[first[0], first[5_000], first[8_000], rest[0], rest[9_000], rest[11_000]]].concat();
    let answers = |store: &Store| {
        let each = ids.iter().map(|id| {
            let of = |article: Uuid| (store.article(article), store.events_of(article, 1..=9));
            format!("{:?}\n", of(*id))
        });
        let count = store.all_articles().map(Result::unwrap).count();
        format!(
            "{:?} {count} {:?}\n{}",
            store.position(),
            store.merkle().root(20_004),
            each.collect::<String>()
        )
    };

    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), 16 << 20).unwrap();
    let mut alone = Folder::new(&store, log.identity()).unwrap();
    let end = log.events().end().await.unwrap();
    for seq in 1..=end {
        let entry = log.events().get(seq).await.unwrap().unwrap();
        alone.fold(vec![entry], &*log.events()).await.unwrap();
    }
    let expected = answers(&store);
    assert_eq!((store.position().seq, store.position().aside), (end, 0));
    drop(alone);

    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), 16 << 20).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    fold::catch_up(&store, &log, |_, _| {
        let position = store.position();
        // What readers see is whole: an article for each event of a draft.
        if seen.insert(position.seq) && position.seq > 0 && position.seq < 9_000 {
            assert_eq!(store.all_articles().count() as u64, position.seq - 1);
        }
    })
    .await
    .unwrap();
    assert!(seen.len() > 2, "readers saw it at {seen:?}");
    assert_eq!(answers(&store), expected);
    drop(store);
    let (store, _) = Store::open(folder.path(), 16 << 20).unwrap();
    assert_eq!(answers(&store), expected, "the same from sled");
}

/// The log failed after a group was folded and before it was written; when it is back, nothing new comes for long.
#[tokio::test]
async fn what_was_folded_before_the_log_failed_is_in_sled_once_it_is_back() {
    let log = MemoryLog::new(1);
    propose(&log, &newsroom(), "/copydesk", [7; 16], false).await.unwrap();
    let db = sled::Config::new().temporary(true).open().unwrap();
    let nowhere = Path::new("/nowhere");
    let (store, _) = Store::inside(&db, "fold", nowhere).unwrap();
    let group = log.events().all_on("desk", 0).await.unwrap();
    Folder::new(&store, log.identity()).unwrap().fold(group, &*log.events()).await.unwrap();
    assert_eq!(Store::inside(&db, "fold", nowhere).unwrap().0.position().seq, 0);
    fold::catch_up(&store, &log, |_, _| {}).await.unwrap();
    assert_eq!(Store::inside(&db, "fold", nowhere).unwrap().0.position().seq, 1);
}
