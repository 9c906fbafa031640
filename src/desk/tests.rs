//! Desks on one log, of which some know less than others.

use copydesk_article::command::Hints;
use copydesk_article::newsroom::{NewsroomSet, Person, Role, Rules};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::log::memory::MemoryLog;
use crate::store::fold;

const ARTICLE: Uuid = Uuid::from_u128(1);

fn newsroom(people: &[(&str, Role)]) -> NewsroomSet {
    let person = |role| Person { roles: vec![role], ..Person::default() };
    let people = people.iter().map(|(name, role)| (Arc::from(*name), person(*role)));
    NewsroomSet { people: people.collect(), rules: Rules::default() }
}

/// A log with a newsroom, and desks that have folded nothing yet.
pub(super) async fn house<const DESKS: usize>(
    people: &[(&str, Role)],
) -> (MemoryLog, [Desk; DESKS], TempDir) {
    let log = MemoryLog::new(3);
    level::begin(&log).await.unwrap();
    propose(&log, &newsroom(people), "/copydesk", [7; 16], true).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let desks = std::array::from_fn(|number| {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let (store, _) = Store::inside(&db, "fold", &folder.path().join(number.to_string())).unwrap();
        Desk::new(Arc::new(log.handle()), Arc::new(store), "/copydesk", || [7; 16])
    });
    (log, desks, folder)
}

async fn fold(desk: &Desk) {
    fold::catch_up(desk.store(), &**desk.log(), |_, _| {}).await.unwrap();
}

fn command(id: u128, kind: &str, data: Value) -> Value {
    let base = (kind != "draft").then_some(1);
    json!({"id": Uuid::from_u128(id), "type": kind, "article": ARTICLE, "base": base, "data": data})
}

fn draft() -> Value {
    let data =
        json!({"slug": "s", "language": "en", "section": "world", "headline": "H", "markdown": "Words."});
    command(10, "draft", data)
}

fn ask(id: u128, text: &str) -> Value {
    command(id, "ask", json!({"text": text, "blocking": false}))
}

/// Has a command answered by a desk that folds on only while it waits.
async fn send(desk: &Desk, actor: &str, mut command: Value) -> Result<Answer, Code> {
    command.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let command = Command::read(command.to_string().as_bytes(), Hints::default()).unwrap();
    let actor = actor.into();
    tokio::select! {
        biased;
        answer = desk.command(&actor, &command) => answer.map_err(|problem| problem.code),
        folding = fold::run(desk.store(), &**desk.log()) => panic!("{folding:?}"),
    }
}

const ANA: (&str, Role) = ("ana", Role::Reporter);
const CARL: (&str, Role) = ("carl", Role::Chief);
const EVA: (&str, Role) = ("eva", Role::Editor);
const EMIL: (&str, Role) = ("emil", Role::Editor);
const PIA: (&str, Role) = ("pia", Role::Publisher);

#[tokio::test]
async fn nobody_is_refused_under_a_newsroom_that_was_replaced_meanwhile() {
    let (log, [desk], _folder) = house(&[ANA, CARL]).await;
    fold(&desk).await;
    send(&desk, "ana", draft()).await.unwrap();
    fold(&desk).await;
    assert_eq!(send(&desk, "emil", ask(11, "Who?")).await.err(), Some(Code::Forbidden));
    propose(&log, &newsroom(&[ANA, CARL, EMIL]), "/copydesk", [7; 16], true).await.unwrap();
    assert_eq!(send(&desk, "emil", ask(12, "Who?")).await.err(), None);
}

#[tokio::test]
async fn what_follows_an_event_of_a_newer_newsroom_is_decided_under_that() {
    let (log, [here, elsewhere], _folder) = house(&[ANA, CARL, EMIL]).await;
    fold(&here).await;
    send(&here, "ana", draft()).await.unwrap();
    fold(&here).await;
    propose(&log, &newsroom(&[CARL, EMIL]), "/copydesk", [7; 16], true).await.unwrap();
    fold(&elsewhere).await;
    send(&elsewhere, "emil", ask(11, "Who?")).await.unwrap();
    assert_eq!(send(&here, "ana", ask(12, "Why?")).await.err(), Some(Code::Forbidden));
}

fn redact() -> Value {
    command(12, "redact", json!({"words": "John Doe", "ground": "Court order 7"}))
}

/// A story of which a question was redacted at one desk, that another knows with its words.
async fn redacted() -> ([Desk; 2], TempDir) {
    let (_, [here, elsewhere], folder) = house(&[ANA, CARL, EVA, EMIL]).await;
    fold(&here).await;
    send(&here, "ana", draft()).await.unwrap();
    send(&here, "ana", ask(11, "Is John Doe right?")).await.unwrap();
    fold(&here).await;
    fold(&elsewhere).await;
    send(&elsewhere, "carl", redact()).await.unwrap();
    let confirm = command(13, "confirm_redaction", json!({"words": "John Doe"}));
    send(&elsewhere, "eva", confirm).await.unwrap();
    fold(&elsewhere).await;
    ([here, elsewhere], folder)
}

#[tokio::test]
async fn who_comes_upon_a_redaction_while_it_decides_goes_on_without_the_words() {
    let ([here, elsewhere], _folder) = redacted().await;
    send(&here, "ana", ask(14, "Why?")).await.unwrap();
    let [article, same] = [&here, &elsewhere].map(async |desk| {
        fold(desk).await;
        desk.store().article(ARTICLE).unwrap().unwrap().article
    });
    let (article, same) = (article.await, same.await);
    let shown = serde_json::to_string(&*article).unwrap();
    assert!(!shown.contains("Doe") && shown.contains("Why?"), "{shown}");
    assert_eq!(article, same);
}

/// That it was restricted may not have come here yet.
#[tokio::test]
async fn who_may_not_know_of_an_article_any_more_learns_nothing_from_an_id_that_was_used() {
    let (_, [here, elsewhere], _folder) = house(&[ANA, CARL, EVA, EMIL]).await;
    fold(&here).await;
    send(&here, "ana", draft()).await.unwrap();
    send(&here, "ana", ask(11, "Who?")).await.unwrap();
    fold(&here).await;
    assert_eq!(send(&here, "emil", ask(11, "Who?")).await.err(), Some(Code::IdReused));
    fold(&elsewhere).await;
    let restrict = command(12, "restrict", json!({"people": ["ana"]}));
    send(&elsewhere, "eva", restrict).await.unwrap();
    assert_eq!(send(&here, "emil", ask(11, "Who?")).await.err(), Some(Code::NotFound));
}

#[tokio::test]
async fn who_may_not_know_of_an_article_learns_nothing_from_the_id_of_what_was_erased() {
    let ([_, desk], _folder) = redacted().await;
    send(&desk, "eva", command(15, "restrict", json!({"people": ["ana"]}))).await.unwrap();
    assert_eq!(send(&desk, "eva", ask(11, "Who?")).await.err(), Some(Code::IdReused));
    assert_eq!(send(&desk, "emil", ask(11, "Who?")).await.err(), Some(Code::NotFound));
}

/// The wire's writer makes it of what would be erased.
#[tokio::test]
async fn nothing_is_erased_while_an_edition_is_on_its_way_to_the_wire() {
    let (_, [desk], _folder) = house(&[ANA, CARL, EVA, PIA]).await;
    fold(&desk).await;
    send(&desk, "ana", draft()).await.unwrap();
    send(&desk, "ana", ask(11, "Is John Doe right?")).await.unwrap();
    for (id, actor, kind) in [(21, "ana", "submit"), (22, "eva", "approve"), (23, "pia", "publish")] {
        send(&desk, actor, command(id, kind, json!({}))).await.unwrap();
    }
    assert_eq!(send(&desk, "carl", redact()).await.err(), Some(Code::Behind));
}
