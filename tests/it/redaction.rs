//! Erasing by law, on both logs: nothing is left of the words, everything else is as it was, whatever is killed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use copydesk::audit::verify::{Sources, verify};
use copydesk::backup::{Source, backup, restore};
use copydesk::log::jetstream::{self, JetStreamLog};
use copydesk::log::memory::MemoryLog;
use copydesk::log::segments::Options;
use copydesk::log::{
    AppendError, Clock, Content, Durability, Entry, Expect, Log, LogError, Message, Seq, Stream, keys::Keys,
};
use copydesk::service::{Part, Service, open_embedded_log};
use copydesk::store::Store;
use copydesk_article::newsroom::{Person, Role};
use copydesk_article::problem::Code;
use futures::FutureExt;
use futures::stream::BoxStream;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::nats_server::{NatsServer, Setup};
use crate::path::{newsroom, send, until};

const NAME: &str = "John Doe";
const ARABIC: &str = "محمد علي";

/// A service over a log, its state in a folder.
async fn over(log: Arc<dyn Log>, data: &Path) -> Arc<Service> {
    let service =
        Service::open(log, data, 8 << 20, "copydesk", &Default::default(), |_, _| {}).await.unwrap();
    let mut newsroom = newsroom();
    newsroom.people.insert("cora".into(), Person { roles: vec![Role::Chief], ..Person::default() });
    service.propose(&newsroom, "copydesk", false).await.unwrap();
    service.start(Part::ALL).unwrap();
    service.store.folded(service.log.events().end().await.unwrap()).await;
    service
}

async fn embedded(data: &Path) -> Arc<Service> {
    over(open_embedded_log(data, Options::default()).unwrap(), data).await
}

async fn jetstream(server: &NatsServer) -> Arc<dyn Log> {
    let options = jetstream::Options { durability: Durability::Always, ..jetstream::Options::default() };
    Arc::new(JetStreamLog::open(server.client().await, options).await.unwrap())
}

async fn done(
    service: &Service,
    actor: &str,
    article: Uuid,
    kind: &str,
    base: Option<u32>,
    data: Value,
) -> Seq {
    let command = json!({"id": Uuid::new_v4(), "type": kind, "article": article, "base": base, "data": data});
    let answer = send(service, actor, &command).await.unwrap_or_else(|problem| panic!("{kind}: {problem:?}"));
    service.store.folded(answer.seq).await;
    answer.seq
}

/// An article that named two people before its readers, its claims and its queries, and names them no more.
async fn story(service: &Service) -> Uuid {
    let article = Uuid::new_v4();
    let data = json!({"slug": "doe", "language": "en", "headline": format!("{NAME} won"), "section": "world",
                      "keywords": [NAME], "markdown": format!("It was *Jo*hn Doe. She lost.\n\nقال {ARABIC}.")});
    done(service, "ana", article, "draft", None, data).await;
    let claim =
        json!({"quote": format!("It was {NAME}."), "kind": "fact", "attributed_to": NAME, "material": false});
    done(service, "chen", article, "claim", None, claim).await;
    done(service, "chen", article, "cite", None, json!({"claim": "c1", "title": format!("{NAME}'s letter")}))
        .await;
    let ask = json!({"text": format!("Did {NAME} say so?"), "blocking": false});
    done(service, "eva", article, "ask", None, ask).await;
    for (actor, kind) in [("ana", "submit"), ("eva", "approve"), ("pia", "publish")] {
        done(service, actor, article, kind, Some(1), json!({})).await;
    }
    // Enough of a life for a snapshot with the words in it.
    for n in 0..30 {
        let text = format!("Number {n} about {NAME}");
        done(service, "eva", article, "ask", None, json!({"text": text, "blocking": false})).await;
    }
    let edit = json!({"set": {"headline": "Somebody won", "keywords": null},
                      "markdown": "It was somebody. She lost.\n\nقال أحد.\n"});
    done(service, "ana", article, "edit", Some(1), edit).await;
    done(service, "eva", article, "approve", Some(2), json!({})).await;
    let correction = json!({"kind": "correction", "note": "A name was removed."});
    done(service, "pia", article, "publish", Some(2), correction).await;
    let public = Arc::clone(&service.public);
    until("the correction", || {
        public
            .newest(article)
            .unwrap()
            .filter(|newest| String::from_utf8_lossy(&newest.body).contains("A name was removed"))
            .map(drop)
    })
    .await;
    article
}

fn redact(article: Uuid, words: &str) -> Value {
    let data = json!({"words": words, "ground": "Court order 7"});
    json!({"id": Uuid::new_v4(), "type": "redact", "article": article, "data": data})
}

fn confirm(article: Uuid, words: &str) -> Value {
    json!({"id": Uuid::new_v4(), "type": "confirm_redaction", "article": article, "data": {"words": words}})
}

/// Whether words stand anywhere in a stream.
async fn found(stream: &dyn Stream, words: &str) -> Vec<Seq> {
    let mut found = Vec::new();
    for seq in 1..=stream.end().await.unwrap() {
        if let Content::Message { body, .. } = stream.get(seq).await.unwrap().unwrap().content
            && String::from_utf8_lossy(&body).contains(words)
        {
            found.push(seq);
        }
    }
    found
}

/// Everything that a store says of an article.
fn known(store: &Store, article: Uuid) -> String {
    let stored = store.article(article).unwrap().unwrap();
    let snapshots: Vec<_> = [1, 32, 40].map(|version| store.snapshot(article, version).unwrap()).into();
    let events = store.events_of(article, 1..=u32::MAX).unwrap();
    format!("{} {} {snapshots:?} {events:?}", serde_json::to_string(&*stored.article).unwrap(), stored.seq)
        + &serde_json::to_string(&snapshots.iter().flatten().map(|article| &**article).collect::<Vec<_>>())
            .unwrap()
}

/// No file below a folder holds words.
fn files_without(folder: &Path, words: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_without(&path, words);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let holds = bytes.windows(words.len()).any(|window| window == words.as_bytes());
            assert!(!holds, "{words} in {}", path.display());
        }
    }
}

/// That nothing is left of the words where anyone looks, and everything else is.
async fn is_redacted(service: &Service, article: Uuid, words: &str) {
    let (events, wire) = (service.log.events(), service.log.wire());
    assert_eq!(found(&*events, words).await, [0; 0]);
    assert_eq!(found(&*wire, words).await, [0; 0]);
    let state = known(&service.store, article);
    assert!(!state.contains(words) && state.contains("█████"), "{state}");
    for version in 1..=service.store.article(article).unwrap().unwrap().article.version {
        let then =
            service.desk.as_it_was(article, copydesk::desk::At::Version(version), 0).await.unwrap().unwrap();
        assert_eq!(then.version, version);
        assert!(!serde_json::to_string(&*then).unwrap().contains(words), "version {version}");
    }
    service.check_fold().await.unwrap();
    // Who never saw the words folds the same.
    let fresh = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(fresh.path(), 8 << 20).unwrap();
    copydesk::store::fold::catch_up(&store, &*service.log, |_, _| {}).await.unwrap();
    assert_eq!(known(&store, article), known(&service.store, article));
    assert!(store.aside(article).unwrap().is_none());
    // The tree is what it was, whether its leaves were made of the words or of what the log keeps of them.
    let (size, tree) = (store.merkle().size(), service.store.merkle());
    assert_eq!(store.merkle().root(size).unwrap(), tree.root(size).unwrap());
    verifies(service, Arc::clone(&service.log)).await;
}

/// That everything is derived again, but for what turned on the words, which is said.
async fn verifies(service: &Service, log: Arc<dyn Log>) {
    let key = service.audit.key().verifier();
    let sources = Sources { log, store: Some(&service.store), key, against: Vec::new() };
    let report = verify(&sources, |_, _| {}).await.unwrap();
    assert!(report.holds() && report.erased > 0 && report.checkpoints > 0, "{report:#?}");
    assert!(report.notes.iter().any(|note| note.contains("was redacted by")), "{:?}", report.notes);
}

/// That a backup of a log brings back what was erased as erased.
async fn comes_back(service: &Service) {
    let folder = tempfile::tempdir().unwrap();
    // Everything must be under a checkpoint.
    service.audit.covering(service.store.merkle().size() - 1).await;
    let source = Source::Log(Arc::clone(&service.log));
    backup(&source, folder.path(), |_, _| {}).await.unwrap();
    let restored: Arc<dyn Log> = Arc::new(MemoryLog::new(3));
    restore(folder.path(), Some(folder.path()), &*restored, |_| {}, |_, _| {}).await.unwrap();
    verifies(service, restored).await;
}

async fn words_go(service: &Service) -> Uuid {
    let article = story(service).await;
    assert!(
        found(&*service.log.wire(), NAME).await.len() == 1
            && found(&*service.log.events(), NAME).await.len() > 30
    );
    let before = service.store.article(article).unwrap().unwrap().article;
    for (words, confirmed_by) in [(NAME, "eva"), (ARABIC, "cora")] {
        let (redact, confirm) = (redact(article, words), confirm(article, words));
        let proposed = send(service, "carl", &redact).await.unwrap();
        let refused = send(service, "carl", &confirm).await.unwrap_err();
        assert_eq!(refused.code, Code::FourEyes);
        let first = send(service, confirmed_by, &confirm).await.unwrap();
        service.store.folded(first.seq).await;
        assert!(send(service, "carl", &redact).await.unwrap().duplicate, "sent again");
        let again = send(service, confirmed_by, &confirm).await.unwrap();
        assert_eq!((again.seq, again.duplicate), (first.seq, true));
        assert_eq!(proposed.version + 1, first.version);
        is_redacted(service, article, words).await;
    }
    let after = service.store.article(article).unwrap().unwrap().article;
    assert_eq!(
        (&after.fields, &after.blocks, &after.editions),
        (&before.fields, &before.blocks, &before.editions)
    );
    // Life goes on: the desk knows the article without the words.
    done(service, "eva", article, "ask", None, json!({"text": "And now?", "blocking": false})).await;
    let edit = json!({"set": {"headline": "Somebody lost"}});
    done(service, "ana", article, "edit", Some(2), edit).await;
    is_redacted(service, article, NAME).await;
    comes_back(service).await;
    article
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_go_from_an_embedded_log_and_from_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let service = embedded(folder.path()).await;
    let article = words_go(&service).await;
    service.stop().await;
    drop(service);
    // What was set aside once, with the words in it, goes too.
    let aside = folder.path().join("state.set-aside-1");
    std::fs::create_dir(&aside).unwrap();
    std::fs::write(aside.join("db"), NAME).unwrap();
    // sled's old pages go with the next start.
    let service = embedded(folder.path()).await;
    is_redacted(&service, article, NAME).await;
    let public = Arc::clone(&service.public);
    until("the public side", || public.newest(article).unwrap().map(drop)).await;
    let at = public.position();
    assert_eq!((at.missed, at.foreign), (0, 0), "what was erased on the wire is none that is missing");
    service.stop().await;
    drop(service);
    for words in [NAME, ARABIC] {
        files_without(folder.path(), words);
    }
    assert!(!folder.path().join("state.holds-erased").exists(), "it is folded anew once, not at every start");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_go_from_jetstream_and_from_an_instance_that_was_only_looking_on() {
    let server = NatsServer::with(&Setup { sync_always: true, ..Setup::default() });
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let one = over(jetstream(&server).await, folders[0].path()).await;
    let other = over(jetstream(&server).await, folders[1].path()).await;
    let article = words_go(&one).await;
    other.store.folded(one.log.events().end().await.unwrap()).await;
    assert_eq!(known(&other.store, article), known(&one.store, article));
    // Its desk had the article in memory, or not: it decides on what is there now.
    done(&other, "eva", article, "ask", None, json!({"text": "There?", "blocking": false})).await;
    is_redacted(&other, article, ARABIC).await;
    one.stop().await;
    other.stop().await;
}

/// A state in whose files the words once were says so, however it comes to be folded anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_was_cleared_in_its_place_may_hold_the_words_and_a_new_one_does_not() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [one, cleared, new] = [0, 1, 2].map(|at| folders[at].path().join("state"));
    let service = over(Arc::new(MemoryLog::new(5)), &one).await;
    let article = story(&service).await;
    let folded = async |store: &Store| {
        copydesk::store::fold::catch_up(store, &*service.log, |_, _| {}).await.unwrap();
    };
    let (store, _) = Store::open(&cleared, 8 << 20).unwrap();
    folded(&store).await;
    send(&service, "carl", &redact(article, NAME)).await.unwrap();
    let answer = send(&service, "eva", &confirm(article, NAME)).await.unwrap();
    service.store.folded(answer.seq).await;
    let events = service.log.events();
    while !found(&*events, NAME).await.is_empty() {
        tokio::task::yield_now().await;
    }
    store.clear().unwrap();
    folded(&store).await;
    assert!(folders[1].path().join("state.holds-erased").exists());
    let (store, _) = Store::open(&new, 8 << 20).unwrap();
    folded(&store).await;
    assert!(!folders[2].path().join("state.holds-erased").exists());
    service.stop().await;
}

/// The service erases while somebody verifies: the redaction came after the events' end was taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_erased_while_a_log_is_verified_is_rightly_gone() {
    let folder = tempfile::tempdir().unwrap();
    let service = over(Arc::new(MemoryLog::new(5)), folder.path()).await;
    let article = story(&service).await;
    let (log, key) = (Arc::new(MemoryLog::new(6)), service.audit.key().verifier());
    let copied = async |from: Arc<dyn Stream>, to: Arc<dyn Stream>| {
        for seq in to.end().await.unwrap() + 1..=from.end().await.unwrap() {
            let entry = from.get(seq).await.unwrap().unwrap();
            let Content::Message { headers, body } = entry.content else { panic!("erased") };
            let message = Message { subject: entry.subject, id: format!("m{seq}"), headers, body };
            to.try_append(&message, Expect::Stream(seq - 1)).await.unwrap();
        }
    };
    copied(service.log.events(), log.events()).await;
    copied(service.log.wire(), log.wire()).await;
    let named = found(&*log.wire(), NAME).await;
    send(&service, "carl", &redact(article, NAME)).await.unwrap();
    let answer = send(&service, "eva", &confirm(article, NAME)).await.unwrap();
    service.store.folded(answer.seq).await;
    let sources = Sources { log: log.clone(), store: None, key, against: Vec::new() };
    let mut is_read = false;
    let report = verify(&sources, |_, _| {
        if !std::mem::replace(&mut is_read, true) {
            // The memory's log never waits.
            copied(service.log.events(), log.events()).now_or_never().unwrap();
            named.iter().for_each(|seq| log.wire().erase(*seq).now_or_never().unwrap().unwrap());
        }
    });
    let report = report.await.unwrap();
    assert!(is_read && report.holds() && named.len() == 1, "{report:#?}");
    service.stop().await;
}

/// What a redaction left as it was on the wire may not be another text since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edition_that_lost_no_word_is_still_held_to_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let service = over(Arc::new(MemoryLog::new(5)), folder.path()).await;
    let article = story(&service).await;
    for command in [("carl", redact(article, NAME)), ("eva", confirm(article, NAME))] {
        let answer = send(&service, command.0, &command.1).await.unwrap();
        service.store.folded(answer.seq).await;
    }
    is_redacted(&service, article, NAME).await;
    service.stop().await;
    for (word, other, faults) in [("somebody", "somebody", 0), ("somebody", "everybody", 1)] {
        let log = Arc::new(MemoryLog::new(6));
        for (from, to) in [(service.log.events(), log.events()), (service.log.wire(), log.wire())] {
            for seq in 1..=from.end().await.unwrap() {
                let entry = from.get(seq).await.unwrap().unwrap();
                let (headers, body, erased) = match entry.content {
                    Content::Message { headers, body } => (headers, body, None),
                    Content::Erased { sha256 } => (Vec::new(), "{}".into(), sha256),
                };
                let forged = String::from_utf8(body.to_vec()).unwrap().replace(word, other);
                let body = if headers.is_empty() { body } else { forged.into() };
                let message = Message { subject: entry.subject, id: format!("m{seq}"), headers, body };
                to.try_append(&message, Expect::Stream(seq - 1)).await.unwrap();
                if let Some(sha256) = erased {
                    to.erase_as(seq, sha256).await.unwrap();
                }
            }
        }
        let key = service.audit.key().verifier();
        let report =
            verify(&Sources { log, store: None, key, against: Vec::new() }, |_, _| {}).await.unwrap();
        assert_eq!(report.faults.len(), faults, "{report:#?}");
    }
}

/// Killed after the event was written and before anything was erased: another instance finishes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_left_is_erased_by_whoever_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let inner = open_embedded_log(folder.path(), Options::default()).unwrap();
    let log: Arc<dyn Log> = Arc::new(Poor { inner, erases: false, knows: Arc::new(true.into()) });
    let service = over(log, folder.path()).await;
    let article = story(&service).await;
    send(&service, "carl", &redact(article, NAME)).await.unwrap();
    let answer = send(&service, "eva", &confirm(article, NAME)).await.unwrap();
    service.store.folded(answer.seq).await;
    assert!(!found(&*service.log.events(), NAME).await.is_empty(), "nothing is erased yet");
    assert!(service.desk.unerased().is_some(), "and that is told");
    assert!(!known(&service.store, article).contains(NAME), "readers see it as erased all the same");
    service.check_fold().await.unwrap();
    service.stop().await;
    drop(service);
    let service = embedded(folder.path()).await;
    let events = service.log.events();
    for _ in 0..1000 {
        if found(&*events, NAME).await.is_empty() && found(&*service.log.wire(), NAME).await.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    is_redacted(&service, article, NAME).await;
    assert_eq!(service.desk.unerased(), None);
    service.stop().await;
}

/// Its leaf has the edition's digest beside the hash; of an erased one that stands in what took its place. And a way back that
/// was cut short between putting something there and erasing it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_backup_of_a_log_in_which_a_publication_was_erased_verifies_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let service = embedded(folder.path()).await;
    let article = Uuid::new_v4();
    let data =
        json!({"slug": "s", "language": "en", "headline": "H", "section": "world", "markdown": "It rained."});
    done(&service, "ana", article, "draft", None, data).await;
    done(&service, "chen", article, "claim", None, json!({"quote": "It rained", "kind": "fact"})).await;
    done(&service, "ana", article, "submit", Some(1), json!({})).await;
    let waive = json!({"reasons": [{"code": "claim_unruled"}], "reason": "All saw it."});
    done(&service, "carl", article, "waive", Some(1), waive).await;
    done(&service, "eva", article, "approve", Some(1), json!({})).await;
    let published = done(&service, "pia", article, "publish", Some(1), json!({})).await;
    // The publication says what was waived.
    let words = "has no verdict";
    let mut end = 0;
    for (actor, command) in [("carl", redact(article, words)), ("eva", confirm(article, words))] {
        let sent = async || send(&service, actor, &command).await;
        // Its edition must be on the wire.
        end = loop {
            match sent().await {
                Ok(answer) => break answer.seq,
                Err(problem) => assert_eq!(problem.code, Code::Behind),
            }
        };
        service.store.folded(end).await;
    }
    let erased = service.log.events().get(published).await.unwrap().unwrap();
    assert!(matches!(erased.content, Content::Erased { sha256: Some(_) }));
    let size = service.store.merkle().size();
    service.audit.covering(size - 1).await;
    let to = tempfile::tempdir().unwrap();
    let written = backup(&Source::Log(Arc::clone(&service.log)), to.path(), |_, _| {}).await.unwrap();
    assert_eq!((written.verified, written.events), (size, end));

    let cut_short = MemoryLog::new(6);
    for seq in 1..=published {
        let entry = service.log.events().get(seq).await.unwrap().unwrap();
        let (headers, body) = match entry.content {
            Content::Message { headers, body } => (headers, body),
            Content::Erased { .. } => (Vec::new(), copydesk::log::PLACEHOLDER.into()),
        };
        let message = Message { subject: entry.subject, id: format!("m{seq}"), headers, body };
        cut_short.events().try_append(&message, Expect::Stream(seq - 1)).await.unwrap();
    }
    for _again in 0..2 {
        let restored = restore(to.path(), None, &cut_short, |_| {}, |_, _| {}).await.unwrap();
        assert_eq!(restored.verified, size);
        let there = cut_short.events().get(published).await.unwrap().unwrap();
        let content = service.log.events().get(published).await.unwrap().unwrap().content;
        assert_eq!(format!("{:?}", there.content), format!("{content:?}"));
    }
    service.stop().await;
}

/// What is erased behind the service's back stays set aside: nothing says what stood there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_erased_without_a_redaction_sets_its_article_aside() {
    let folder = tempfile::tempdir().unwrap();
    let service = embedded(folder.path()).await;
    let article = story(&service).await;
    let events = service.store.events_of(article, 2..=2).unwrap();
    service.log.events().erase(events[0].seq).await.unwrap();
    let fresh = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(fresh.path(), 8 << 20).unwrap();
    copydesk::store::fold::catch_up(&store, &*service.log, |_, _| {}).await.unwrap();
    assert!(store.aside(article).unwrap().is_some());
    service.stop().await;
}

/// A cluster may lose sight of the wire's newest messages for a moment, or have lost them: the events are erased all the
/// same, and what is there after all as soon as it is seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_out_of_sight_keeps_nothing_else_and_is_erased_once_it_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let inner = open_embedded_log(folder.path(), Options::default()).unwrap();
    let knows = Arc::new(AtomicBool::new(true));
    let log = Poor { inner: Arc::clone(&inner), erases: true, knows: Arc::clone(&knows) };
    let service = over(Arc::new(log), folder.path()).await;
    let article = story(&service).await;
    send(&service, "carl", &redact(article, NAME)).await.unwrap();
    let answer = send(&service, "eva", &confirm(article, NAME)).await.unwrap();
    service.store.folded(answer.seq).await;
    let (events, wire) = (inner.events(), inner.wire());
    until_none(&*events, "the events").await;
    assert!(!knows.load(Ordering::Relaxed) && found(&*wire, NAME).await.len() == 1);
    knows.store(true, Ordering::Relaxed);
    until_none(&*wire, "the wire").await;
    service.stop().await;
}

/// Returns once the name stands nowhere in a stream.
async fn until_none(stream: &dyn Stream, what: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !found(stream, NAME).await.is_empty() {
        assert!(std::time::Instant::now() < deadline, "{what} still have it");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// A log in which nothing can be erased, or of whose wire nothing is known any more once a redaction is written.
#[derive(Debug)]
struct Poor {
    inner: Arc<dyn Log>,
    erases: bool,
    knows: Arc<AtomicBool>,
}

#[async_trait]
impl Log for Poor {
    fn events(&self) -> Arc<dyn Stream> {
        let knows = Arc::clone(&self.knows);
        Arc::new(Kept { inner: self.inner.events(), erases: self.erases, is_wire: false, knows })
    }
    fn wire(&self) -> Arc<dyn Stream> {
        let knows = Arc::clone(&self.knows);
        Arc::new(Kept { inner: self.inner.wire(), erases: self.erases, is_wire: true, knows })
    }
    async fn stream(&self, name: &str) -> Result<Arc<dyn Stream>, LogError> {
        self.inner.stream(name).await
    }
    fn keys(&self) -> Keys {
        self.inner.keys()
    }
    fn identity(&self) -> Uuid {
        self.inner.identity()
    }
    fn clock(&self) -> Arc<dyn Clock> {
        self.inner.clock()
    }
    async fn skew(&self) -> Result<TimeDelta, LogError> {
        self.inner.skew().await
    }
    fn durability(&self) -> Durability {
        self.inner.durability()
    }
}

#[derive(Debug)]
struct Kept {
    inner: Arc<dyn Stream>,
    erases: bool,
    is_wire: bool,
    knows: Arc<AtomicBool>,
}

#[async_trait]
impl Stream for Kept {
    async fn try_append(&self, message: &Message, expect: Expect) -> Result<Seq, AppendError> {
        if self.erases && String::from_utf8_lossy(&message.body).contains("article.redacted\"") {
            self.knows.store(false, Ordering::Relaxed);
        }
        self.inner.try_append(message, expect).await
    }
    async fn end(&self) -> Result<Seq, LogError> {
        self.inner.end().await
    }
    async fn get(&self, seq: Seq) -> Result<Option<Entry>, LogError> {
        let found = self.inner.get(seq).await?;
        Ok(found.filter(|_| !self.is_wire || self.knows.load(Ordering::Relaxed)))
    }
    async fn next_on(&self, subject: &str, after: Seq) -> Result<Option<Entry>, LogError> {
        self.inner.next_on(subject, after).await
    }
    async fn all_on(&self, subject: &str, after: Seq) -> Result<Vec<Entry>, LogError> {
        self.inner.all_on(subject, after).await
    }
    async fn last_on(&self, subject: &str) -> Result<Option<Entry>, LogError> {
        self.inner.last_on(subject).await
    }
    async fn tail(&self, after: Seq) -> Result<BoxStream<'static, Result<Vec<Entry>, LogError>>, LogError> {
        self.inner.tail(after).await
    }
    async fn erase(&self, seq: Seq) -> Result<(), LogError> {
        match self.erases {
            true => self.inner.erase(seq).await,
            false => Err(LogError::Unavailable("killed before".to_owned())),
        }
    }

    async fn erase_as(&self, seq: Seq, _: [u8; 32]) -> Result<(), LogError> {
        self.erase(seq).await
    }
}

/// The command line on a folder of its own: two people, a question unless told not to ask, and not a word left in any
/// file once it is done.
#[test]
fn the_command_line_erases_on_the_word_of_two_and_leaves_no_file_with_the_words() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("desk");
    let article = Uuid::new_v4();
    let command = |kind: &str, base: Option<u32>, data: Value| {
        json!({"id": Uuid::new_v4(), "type": kind, "article": article, "base": base, "data": data})
            .to_string()
    };
    let story = [
        command(
            "draft",
            None,
            json!({"slug": "s", "language": "ar", "headline": NAME, "markdown": format!("قال {ARABIC}.")}),
        ),
        command("edit", Some(1), json!({"set": {"headline": "أحد"}, "markdown": "قال أحد."})),
    ];
    std::fs::write(folder.path().join("story.jsonl"), story.join("\n")).unwrap();
    let copydesk = |arguments: &[&str]| {
        let mut copydesk = std::process::Command::new(env!("CARGO_BIN_EXE_copydesk"));
        copydesk.args(arguments).arg("--data").arg(&data).current_dir(folder.path());
        let ended = copydesk.stdin(std::process::Stdio::null()).output().unwrap();
        let said = String::from_utf8(ended.stdout).unwrap() + &String::from_utf8(ended.stderr).unwrap();
        (ended.status.code().unwrap(), said)
    };
    let (code, said) = copydesk(&["send", "story.jsonl", "--as", "ana"]);
    assert_eq!(code, 0, "{said}");
    let id = article.to_string();
    for words in [NAME, ARABIC] {
        let propose = ["redact", &id, "--words", words, "--ground", "Court order 7", "--as", "carl"];
        let confirm = ["redact", &id, "--words", words, "--confirm", "--yes", "--as"];
        let (code, said) = copydesk(&propose);
        assert!(code == 2 && said.contains("add --yes"), "{code} {said}");
        let (code, said) = copydesk(&[&confirm[..], &["eva"]].concat());
        assert!(code == 1 && said.contains("no redaction is proposed"), "{said}");
        let (code, said) = copydesk(&[&propose[..], &["--yes"]].concat());
        assert!(code == 0 && said.contains("the event of version"), "{said}");
        for (actor, why) in
            [("carl", "someone else must confirm"), ("ana", "don't allow"), ("bot", "may not")]
        {
            let (code, said) = copydesk(&[&confirm[..], &[actor]].concat());
            assert!(code == 1 && said.contains(why), "{actor} {said}");
        }
        let (code, said) = copydesk(&[&confirm[..], &["eva"]].concat());
        assert!(code == 0 && said.contains("Erased."), "{said}");
        files_without(&data, words);
    }
    let (_, history) = copydesk(&["history", &id, "--json"]);
    let history: Value = serde_json::from_str(&history).unwrap();
    assert_eq!(history["events"][0]["redacted"], true);
    let headline = &history["events"][0]["data"]["change"]["fields"]["headline"][0]["text"];
    assert_eq!(*headline, "█████");
    assert!(history["events"][1].get("redacted").is_none());
    let (_, shown) = copydesk(&["show", &id, "--at-version", "1", "--json"]);
    assert!(shown.contains("█████") && !shown.contains(NAME), "{shown}");
    let (_, shown) = copydesk(&["show", &id, "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["redactions"][1]["ground"], "Court order 7");
    assert_eq!(
        (&shown["redactions"][1]["proposed_by"], &shown["redactions"][1]["confirmed_by"]),
        (&json!("carl"), &json!("eva"))
    );
    let (_, replayed) = copydesk(&["replay"]);
    assert!(replayed.contains(r#""erased":true"#) && !replayed.contains(NAME), "{replayed}");
    // Folded from the events alone it is the same, before the redaction and after it.
    let drafted = history["events"][0]["seq"].to_string();
    let times = history["events"].as_array().unwrap().iter().map(|event| event["time"].as_str().unwrap());
    for time in times {
        let value = |arguments: &[&str]| -> Value {
            let (code, said) = copydesk(&[arguments, &["--json"]].concat());
            assert_eq!(code, 0, "{said}");
            serde_json::from_str(&said).unwrap()
        };
        let folded = value(&["replay", "--state", "--article", &id, "--until", time]);
        assert_eq!(folded, value(&["show", &id, "--time", time]));
        assert_eq!(folded, value(&["replay", "--state", "--until", time]));
    }
    let (code, first) = copydesk(&["replay", "--state", "--article", &id, "--until", &drafted]);
    assert!(code == 0 && first.contains("█████"), "{first}");
}

/// The real binary, killed at some moment around the confirmation: sent again it is answered, and nothing is left.
#[test]
fn killed_at_any_moment_it_is_finished_after_the_next_start() {
    let mut serving = crate::harness::Serving::embedded();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    for wait_ms in [0, 1, 2, 4, 8, 16] {
        let article = Uuid::new_v4().to_string();
        let command = |kind: &str, base: Option<u32>, data: Value| json!({"id": Uuid::new_v4(), "type": kind, "article": article, "base": base, "data": data});
        let draft = json!({"slug": "s", "language": "en", "markdown": format!("It was {NAME}.")});
        let edit = json!({"markdown": "It was somebody."});
        let redact = json!({"words": NAME, "ground": "Court order 7"});
        for (actor, command) in [
            ("ana", command("draft", None, draft)),
            ("ana", command("edit", Some(1), edit)),
            ("carl", command("redact", None, redact)),
        ] {
            let (status, answer) = crate::harness::send(&agent, serving.url(), actor, &command).unwrap();
            assert_eq!(status, 200, "{answer}");
        }
        let confirm = command("confirm_redaction", None, json!({"words": NAME}));
        let sending = {
            let (agent, url, confirm) = (agent.clone(), serving.url().to_owned(), confirm.clone());
            std::thread::spawn(move || crate::harness::send(&agent, &url, "eva", &confirm))
        };
        // The moment is what is drawn here; nothing is waited for.
        std::thread::sleep(std::time::Duration::from_millis(wait_ms));
        serving.kill();
        let _ = sending.join().unwrap();
        serving.start_again();
        let (status, answer) = crate::harness::send(&agent, serving.url(), "eva", &confirm).unwrap();
        assert_eq!(status, 200, "killed after {wait_ms} ms: {answer}");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while serving.get("audra", "/v1/events").1.contains(NAME) {
            assert!(std::time::Instant::now() < deadline, "killed after {wait_ms} ms: not erased");
        }
        let (_, shown) = serving.get("carl", &format!("/v1/articles/{article}?version=1"));
        assert!(shown.contains("It was █████."), "killed after {wait_ms} ms: {shown}");
    }
    // The folded state goes anew with the next start, and its files with it.
    assert!(serving.terminate().success());
    serving.start_again();
    assert!(serving.terminate().success());
    files_without(&serving.data(), NAME);
}
