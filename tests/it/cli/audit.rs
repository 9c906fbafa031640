//! What auditors ask of the real binary: a replay of what they are looking for, what stood at a moment, and a story's
//! whole record, from a running service and from a folder that none has open.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use copydesk::log::Log;
use copydesk::log::jetstream::{JetStreamLog, Options};

use super::*;
use crate::harness::{send, token};
use crate::nats_server::NatsServer;

/// A story with a machine's draft, a false figure put right, an edition and its correction.
fn told(serving: &Serving) -> Uuid {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let done = |actor: &str, mut command: Value| {
        command["id"] = json!(Uuid::new_v4());
        let (status, answer) = send(&agent, serving.url(), actor, &command).unwrap();
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let draft = json!({"slug": "rivers", "language": "en", "section": "world/asia", "headline": "Rivers rise",
        "blocks": [{"kind": "paragraph", "text": "Three rivers rose. Ten towns wait."}]});
    let article = done("bot", json!({"type": "draft", "data": draft}))["article"].clone();
    let on = |actor: &str, kind: &str, base: u32, data: Value| {
        done(actor, json!({"type": kind, "article": article, "base": base, "data": data}))
    };
    on("ana", "claim", 1, json!({"quote": "Three rivers", "kind": "statistic"}));
    on("chen", "cite", 1, json!({"claim": "c1", "title": "Gauges", "url": "https://gauges.test/"}));
    on("chen", "rule", 1, json!({"claim": "c1", "verdict": "inaccurate", "note": "Two."}));
    let op = json!({"op": "replace", "block": "b1", "kind": "paragraph", "text": "Two rivers rose. Ten towns wait."});
    on("ana", "edit", 1, json!({"ops": [op]}));
    on("chen", "rule", 2, json!({"claim": "c1", "verdict": "supported", "quote": "Two rivers"}));
    on("ana", "submit", 2, json!({}));
    on("eva", "approve", 2, json!({}));
    on("pia", "publish", 2, json!({}));
    on("ana", "edit", 2, json!({"set": {"headline": "Two rivers rise"}}));
    on("eva", "approve", 3, json!({}));
    on("pia", "publish", 3, json!({"kind": "correction", "note": "The headline was too wide."}));
    uuid_of(&article)
}

fn house() -> Serving {
    let hash = copydesk::config::token::TokenHash::of(&token("bot"));
    Serving::embedded_with(&format!(
        "[people.bot]\nkind = \"machine\"\nroles = [\"reporter\"]\ntoken = \"{hash}\"\n"
    ))
}

#[test]
fn a_record_is_the_same_from_a_service_and_from_its_folder() {
    let mut serving = house();
    let article = told(&serving);
    let desk = Desk::new();
    let at = |actor: &str| format!("--server {} --token {}", serving.url(), token(actor));
    let record = desk.run(&format!("report {article} --json {}", at("audra"))).value();
    assert_eq!((record["steps"].as_array().unwrap().len(), &record["made"]["by"]), (12, &json!("audra")));
    assert_eq!(record["state"], {
        let (_, body) = serving.get("audra", &format!("/v1/articles/{article}"));
        serde_json::from_str::<Value>(&body).unwrap()
    });
    let acts: Vec<&str> = record["claims"][0]["life"]
        .as_array()
        .unwrap()
        .iter()
        .map(|act| act["act"].as_str().unwrap())
        .collect();
    assert_eq!(acts, ["raised", "cited", "ruled", "stale", "ruled"]);
    assert_eq!(record["editions"][1]["note"], "The headline was too wide.");
    assert!(record["editions"].as_array().unwrap().iter().all(|edition| edition["digest_holds"] == true));

    // What the record says of an event's bytes is what is stored.
    for (step, event) in record["steps"].as_array().unwrap().iter().zip(&serving.events()[1..]) {
        assert_eq!((&step["seq"], &step["event"]), (&event["seq"], &event["id"]));
    }

    // Over a file that others could read.
    let file = desk.0.path().join("record.html");
    std::fs::write(&file, "old").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(desk.run(&format!("report {article} -o record.html {}", at("carl"))).done(), "");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let page = std::fs::read_to_string(&file).unwrap();
    for says in [
        "Two rivers rise",
        "ruled c1 inaccurate",
        "bot <i>machine</i>",
        "The headline was too wide.",
        "Ten towns wait.",
    ] {
        assert!(page.contains(says), "{says}");
    }
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(desk.0.path().join("record.html")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600, "nobody else on the machine may read it");
    }
    let refused = desk.run(&format!("report {article} {}", at("ana"))).failed(1);
    assert!(refused.contains("forbidden"), "{refused}");
    let unknown = desk.run(&format!("report {} {}", Uuid::nil(), at("audra"))).failed(1);
    assert!(unknown.contains("not_found"), "{unknown}");

    let early = desk.run(&format!("report {article} --json --until 6 {}", at("audra"))).value();
    assert_eq!(
        (early["steps"].as_array().unwrap().len(), &early["state"]["status"]),
        (5, &json!("unpublished"))
    );

    assert!(serving.terminate().success());
    let folder = serving.data();
    let line = format!(
        "report {article} --json --config {} --data {}",
        serving.config().display(),
        folder.display()
    );
    let again = desk.run(&format!("{line} --as audra")).value();
    for part in ["steps", "claims", "approvals", "editions", "words", "people"] {
        assert_eq!(again[part], record[part], "{part}");
    }
    assert!(desk.run(&format!("{line} --as pia")).code == Some(1));
}

#[test]
fn a_restricted_story_is_an_auditors_to_read_and_nobody_elses() {
    let serving = house();
    let article = told(&serving);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let restrict =
        json!({"id": Uuid::new_v4(), "type": "restrict", "article": article, "data": {"people": ["ana"]}});
    assert_eq!(send(&agent, serving.url(), "eva", &restrict).unwrap().0, 200);
    let (status, body) = serving.get("audra", &format!("/v1/articles/{article}/report"));
    assert_eq!(
        (status, serde_json::from_str::<Value>(&body).unwrap()["state"]["restricted"].clone()),
        (200, json!(["ana"]))
    );
    for (actor, status) in [("ana", 403), ("chen", 403), ("bot", 403), ("nobody", 401)] {
        assert_eq!(serving.get(actor, &format!("/v1/articles/{article}/report")).0, status, "{actor}");
    }
}

#[test]
fn a_replay_gives_what_is_asked_for_and_no_more() {
    let serving = house();
    let article = told(&serving);
    let desk = Desk::new();
    let at = format!("--server {} --token {}", serving.url(), token("audra"));
    let seqs = |options: &str| -> Vec<u64> {
        let events = lines(&desk.run(&format!("replay {options} {at}")).done());
        events.iter().map(|event| event["seq"].as_u64().unwrap()).collect()
    };
    assert_eq!(seqs("--actor chen"), [4, 5, 7]);
    assert_eq!(seqs("--type published"), [10, 13]);
    assert_eq!(seqs("--type copydesk.article.drafted --type approved,submitted"), [2, 8, 9, 12]);
    assert_eq!(seqs("--actor ana --type edited --from 7"), [11]);
    assert_eq!(seqs("--article desk"), [1]);
    assert_eq!(seqs("--from 3 --until 5"), [3, 4, 5]);
    assert_eq!(seqs(&format!("--article {article} --until 3")), [2, 3]);
    let today = chrono::Utc::now().date_naive();
    // Should midnight pass meanwhile, tomorrow is not over either.
    let days = |from: i64, until: i64| {
        let day = |days: i64| today + chrono::TimeDelta::days(days);
        format!("--from {} --until {}", day(from), day(until))
    };
    assert_eq!(seqs(&days(0, 1)).len(), 13);
    assert!(seqs(&days(-9, -2)).is_empty() && seqs(&days(2, 9)).is_empty());
    let time = serving.events()[6]["time"].as_str().unwrap().to_owned();
    assert_eq!(seqs(&format!("--from {time}"))[0], 7);
    assert!(seqs("--actor nobody").is_empty());
    let refused = desk.run(&format!("replay --type publishd {at}")).failed(1);
    assert!(refused.contains("published"), "the nearest right word is named: {refused}");

    let said = desk.run(&format!("replay --lines --actor pia {at}")).done();
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said.len(), 2);
    assert!(
        said[0].contains(&article.to_string()) && said[0].contains("published edition 1 (first)"),
        "{said:?}"
    );
    assert!(said[1].ends_with("published edition 2 (correction) “The headline was too wide.”"), "{said:?}");
}

#[test]
fn what_stood_at_a_moment_is_folded_from_the_events_alone() {
    let serving = house();
    let article = told(&serving);
    let desk = Desk::new();
    let at = format!("--server {} --token {}", serving.url(), token("audra"));
    let events = serving.events();
    for (version, event) in [(1, 1), (5, 5), (9, 9), (12, 12)] {
        let time = events[event]["time"].as_str().unwrap();
        let state =
            desk.run(&format!("replay --state --article {article} --until {time} --json {at}")).value();
        let (_, read) = serving.get("audra", &format!("/v1/articles/{article}?time={time}"));
        assert_eq!(state, serde_json::from_str::<Value>(&read).unwrap());
        assert_eq!(state["version"], version);
        let shown = desk.run(&format!("show {article} --time {time} --json {at}")).value();
        assert_eq!(shown, state);
    }
    let all = lines(&desk.run(&format!("replay --state --until 4 --json {at}")).done());
    assert_eq!(
        (all.len(), &all[0]["version"], &all[0]["claims"][0]["state"]),
        (1, &json!(3), &json!("unruled"))
    );
    let row = desk.run(&format!("replay --state {at}")).done();
    assert!(
        row.starts_with(&article.to_string()) && row.contains("published") && row.contains("Two rivers rise"),
        "{row}"
    );
    let shown = desk.run(&format!("replay --state --article {article} --until 2 {at}")).done();
    assert!(shown.contains("Three rivers rose.") && !shown.contains("Two rivers"), "{shown}");
    desk.run(&format!("replay --state --article {article} --until 1 {at}")).failed(1);
    desk.run(&format!("replay --state --actor ana {at}")).failed(2);
}

#[test]
fn what_nobody_reads_on_is_done_where_it_only_shows_and_not_known_good_where_it_judges() {
    let mut serving = house();
    told(&serving);
    serving.terminate();
    let data = serving.data();
    let unread = |arguments: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut copydesk = std::process::Command::new(env!("CARGO_BIN_EXE_copydesk"));
        copydesk.args(arguments).args(["--data", data.to_str().unwrap()]);
        copydesk.stdout(writer).stderr(std::process::Stdio::null()).status().unwrap().code()
    };
    assert_eq!(unread(&["board"]), Some(0));
    assert_eq!(unread(&["verify"]), Some(1));
}

#[test]
fn where_there_is_no_log_none_is_made_by_who_reads() {
    let desk = Desk::new();
    std::fs::create_dir(desk.data()).unwrap();
    let chief = "[people.carl]\nroles = [\"chief\"]\n";
    desk.file("copydesk.toml", &format!("[store]\npath = \"data\"\n{chief}"));
    let on_log = ["verify", "rebuild", "backup kept", "allow-events", "reload"];
    for verb in on_log {
        let why = desk.run(&format!("{verb} --config copydesk.toml")).failed(1);
        assert!(why.contains("there is no log in data/log"), "{verb}: {why}");
    }
    let report = format!("report {}", Uuid::nil());
    for verb in ["board", &report, "feed", "replay", "deliveries", "verify", "rebuild"] {
        let why = desk.run(&format!("{verb} --data data")).failed(1);
        assert!(why.contains("there is no log in data/log"), "{verb}: {why}");
    }
    assert_eq!(files(&desk.data()), BTreeMap::new());
    std::fs::remove_dir(desk.data()).unwrap();
    desk.run("verify --config copydesk.toml").failed(1);
    assert!(!desk.data().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_nats_is_neither_made_nor_begun_by_who_reads() {
    let server = NatsServer::start();
    let desk = Desk::new();
    std::fs::create_dir(desk.data()).unwrap();
    desk.file(
        "copydesk.toml",
        &format!(
            "[store]\npath = \"data\"\n[log]\nkind = \"nats\"\n[nats]\nurl = {:?}\n[people.carl]\nroles = [\"chief\"]\n",
            server.url()
        ),
    );
    for verb in ["verify", "rebuild", "backup kept", "allow-events", "reload"] {
        let why = desk.run(&format!("{verb} --config copydesk.toml")).failed(1);
        assert!(why.contains("COPYDESK_EVENTS is not there"), "{verb}: {why}");
    }
    let client = server.client().await;
    let jetstream = async_nats::jetstream::new(client.clone());
    assert!(jetstream.get_stream("COPYDESK_EVENTS").await.is_err() && files(&desk.data()).is_empty());
    let log = JetStreamLog::open(client, Options::default()).await.unwrap();
    for verb in ["verify", "rebuild"] {
        let why = desk.run(&format!("{verb} --config copydesk.toml")).failed(1);
        assert!(why.contains("the log is empty"), "{verb}: {why}");
    }
    assert_eq!(log.keys().end().await.unwrap(), 0, "no key was drawn");
    assert!(jetstream.get_stream("COPYDESK_CHECKPOINTS").await.is_err() && files(&desk.data()).is_empty());
}
