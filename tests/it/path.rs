//! The whole path in one process: command, event, fold, wire, feed.

use std::sync::Arc;
use std::time::Duration;

use copydesk::log::segments::Options;
use copydesk::service::{Part, Service, open_embedded_log};
use copydesk_article::answer::Answer;
use copydesk_article::command::{Command, Hints};
use copydesk_article::newsroom::{NewsroomSet, Person, Role, Rules};
use copydesk_article::problem::{Code, Problem};
use copydesk_public::{Feed, Params, Site};
use serde_json::{Value, json};
use uuid::Uuid;

/// A newsroom of one person a role, and a second editor.
pub fn newsroom() -> NewsroomSet {
    let people = [
        ("ana", Role::Reporter),
        ("eva", Role::Editor),
        ("emil", Role::Editor),
        ("chen", Role::Checker),
        ("pia", Role::Publisher),
        ("carl", Role::Chief),
        ("audra", Role::Auditor),
    ];
    let person = |role| Person { roles: vec![role], ..Person::default() };
    NewsroomSet {
        people: people.into_iter().map(|(name, role)| (Arc::from(name), person(role))).collect(),
        rules: Rules::default(),
    }
}

/// Sends a command to the desk of a service.
pub async fn send(service: &Service, actor: &str, command: &Value) -> Result<Answer, Problem> {
    let command = Command::read(&serde_json::to_vec(command).unwrap(), Hints::default())?;
    service.desk.command(&actor.into(), &command).await
}

/// A service on an embedded log in a folder, its newsroom in force and its tasks running.
pub async fn service(data: &std::path::Path) -> Arc<Service> {
    let log = open_embedded_log(data, Options::default()).unwrap();
    let service =
        Service::open(log, data, 64 << 20, "copydesk", &Default::default(), |_, _| {}).await.unwrap();
    service.propose(&newsroom(), "copydesk", false).await.unwrap();
    service.start(Part::ALL).unwrap();
    service
}

/// Waits for a condition, at most ten seconds.
pub async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn feed(service: &Service) -> Value {
    let site = Site {
        title: "Desk".into(),
        public_url: "https://desk.test".into(),
        home_url: None,
        language: "en".into(),
        withdrawn_title: "Withdrawn".into(),
        proves: true,
        ..Site::default()
    };
    let feed = Feed { public: &service.public, site: &site };
    let rendered = feed.json(&Params::default(), chrono::Utc::now()).unwrap();
    serde_json::from_slice(&rendered.body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_story_goes_from_draft_to_feed_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path()).await;
    let id = Uuid::new_v4();
    let draft = json!({"id": id, "type": "draft", "data": {
        "slug": "s", "language": "en", "section": "world/asia", "headline": "Rivers rise",
        "markdown": "One *river* rose.\n\nTwo others did not.",
    }});
    let first = send(&service, "ana", &draft).await.unwrap();
    let article = first.article;
    let again = send(&service, "ana", &draft).await.unwrap();
    assert!(again.duplicate && again.event == first.event && again.seq == first.seq);
    assert_eq!(send(&service, "emil", &draft).await.unwrap_err().code, Code::IdReused);

    let command = |kind: &str, data: Value| json!({"id": Uuid::new_v4(), "type": kind, "article": article, "base": 1, "data": data});
    let shut = send(&service, "pia", &command("publish", json!({}))).await.unwrap_err();
    assert_eq!(shut.code, Code::GateShut);
    send(&service, "ana", &command("submit", json!({}))).await.unwrap();
    assert_eq!(
        send(&service, "ana", &command("approve", json!({}))).await.unwrap_err().code,
        Code::Forbidden
    );
    send(&service, "eva", &command("approve", json!({}))).await.unwrap();
    let out = send(&service, "pia", &command("publish", json!({}))).await.unwrap();
    assert_eq!(out.edition, Some(1));
    let feed_of = until("the edition in the feed", || {
        let feed = feed(&service);
        (feed["items"].as_array().unwrap().len() == 1).then_some(feed)
    })
    .await;
    assert_eq!(feed_of["items"][0]["title"], "Rivers rise");
    let gone = send(&service, "pia", &command("withdraw", json!({"notice": "It was wrong."}))).await.unwrap();
    assert_eq!(gone.edition, Some(2));
    let feed_of = until("the withdrawal in the feed", || {
        let feed = feed(&service);
        (feed["items"][0]["title"] == "Withdrawn").then_some(feed)
    })
    .await;
    assert!(!feed_of.to_string().contains("river"), "{feed_of:#}");
    let check = service.check_fold().await.unwrap();
    assert_eq!((check.articles, check.events), (1, 6));
    service.stop().await;
    drop(service);

    let service = self::service(folder.path()).await;
    assert_eq!(service.store.position().seq, 6);
    assert!(send(&service, "ana", &draft).await.unwrap().duplicate);
    assert_eq!(service.check_fold().await.unwrap().articles, 1);
}

/// Puts a story of one paragraph out.
async fn publish(service: &Service) -> Uuid {
    let draft = json!({"id": Uuid::new_v4(), "type": "draft", "data": {
        "slug": "s", "language": "en", "section": "world", "headline": "H", "markdown": "Words.",
    }});
    let article = send(service, "ana", &draft).await.unwrap().article;
    let command = |kind: &str| json!({"id": Uuid::new_v4(), "type": kind, "article": article, "base": 1});
    send(service, "ana", &command("submit")).await.unwrap();
    send(service, "eva", &command("approve")).await.unwrap();
    send(service, "pia", &command("publish")).await.unwrap();
    article
}

/// An edition that was on the wire and was erased there has been sent all the same: it isn't sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wire_goes_on_after_messages_that_were_erased_and_sends_none_twice() {
    let folder = tempfile::tempdir().unwrap();
    let first = service(folder.path()).await;
    for _ in 0..3 {
        publish(&first).await;
    }
    let sent = |service: &Arc<Service>, position: u64| {
        let service = Arc::clone(service);
        async move { crate::log_contract::within(wire_reaches(&service, position)).await }
    };
    sent(&first, 3).await;
    first.stop().await;
    for position in [1, 2, 3] {
        first.log.wire().erase(position).await.unwrap();
    }
    drop(first);

    let second = service(folder.path()).await;
    let article = publish(&second).await;
    sent(&second, 4).await;
    let entry = second.log.wire().get(4).await.unwrap().unwrap();
    let copydesk::log::Content::Message { headers, body } = entry.content else { panic!("erased") };
    let count = headers.iter().find(|(name, _)| name == "Copydesk-Count").unwrap();
    assert_eq!(count.1, "4");
    assert!(String::from_utf8_lossy(&body).contains(&article.to_string()));

    // What can't be told from an edition stops the wire.
    second.stop().await;
    let foreign = copydesk::log::Message {
        subject: "world".into(),
        id: Uuid::new_v4().to_string(),
        headers: Vec::new(),
        body: b"no edition".as_slice().into(),
    };
    second.log.wire().try_append(&foreign, copydesk::log::Expect::Stream(4)).await.unwrap();
    second.log.wire().erase(5).await.unwrap();
    drop(second);
    let third = service(folder.path()).await;
    publish(&third).await;
    let why = until("the wire to stop", || third.progress().wire_stopped).await;
    assert!(why.contains("can't be told"), "{why}");
    assert_eq!(third.log.wire().end().await.unwrap(), 5);
    third.stop().await;
}

async fn wire_reaches(service: &Service, position: u64) {
    while service.log.wire().end().await.unwrap() < position {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(service.log.wire().end().await.unwrap(), position);
}
