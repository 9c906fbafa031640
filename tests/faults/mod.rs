//! The built binary under torture, shortly and with a new seed each time: killed, stopped, its state spoilt, its servers
//! killed and cut off, under load, and everything held against everything afterwards. `copydesk torture` does the same
//! for hours; what its checker finds is shown by planting, in `src/torture/check/tests.rs`.
//!
//! `COPYDESK_SEED` throws the dice as in the run that printed it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use copydesk::torture::fault::{Damage, Fault, Whom};
use copydesk::torture::{self, Dice, LogKind, Plan, Report, Setup, Told, Until};
use serde_json::Value;
use uuid::Uuid;

use crate::audit::publish;
use crate::harness::{Serving, until};
use crate::nats_server;

/// `COPYDESK_SEED`, or another in each run. It is printed, for the one who looks into a run that failed.
fn seed() -> u64 {
    let seed = std::env::var("COPYDESK_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    println!("COPYDESK_SEED={seed}");
    seed
}

/// The dice of that seed.
pub fn dice() -> Dice {
    Dice::new(seed())
}

/// One round: these faults first, then so many drawn ones.
async fn tortured(log: LogKind, instances: usize, certain: Vec<Fault>, faults: u64) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let nats_server = (log != LogKind::Embedded).then(nats_server::binary);
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_copydesk"));
    let plan = Plan {
        seed: seed(),
        until: Until::Rounds(1),
        tools: 8,
        certain,
        faults,
        setup: Setup { binary, log, instances, nats_server },
        folder: folder.path().to_owned(),
        keep: false,
    };
    let report = torture::run(&plan, |told| match told {
        Told::Fault(_, fault) => println!("{fault}"),
        Told::Found(finding) => println!("FOUND {finding}"),
        _ => {}
    });
    let report = report.await.unwrap();
    assert_eq!(report.findings, [], "{}", folder.keep().display());
    assert!(report.accepted > 30 && report.events > 20 && report.checks > 200, "{report:#?}");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_on_an_embedded_log() {
    let certain = vec![
        Fault::Kill(Whom::One(0)),
        Fault::Kill(Whom::One(0)),
        Fault::OldState(0),
        Fault::DamageState(0, Damage::Zero),
    ];
    let report = tortured(LogKind::Embedded, 1, certain, 2).await;
    assert!(report.faults["kill -9 of an instance"] >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_of_two_instances_on_a_nats_server() {
    let certain = vec![
        Fault::Kill(Whom::One(0)),
        Fault::KillServer(0),
        Fault::Kill(Whom::One(1)),
        Fault::Stop(Whom::One(0), Duration::from_millis(700)),
        Fault::Kill(Whom::All),
    ];
    tortured(LogKind::Nats, 2, certain, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_on_a_cluster_whose_leader_is_killed_and_whose_servers_are_cut_off() {
    let certain = vec![Fault::KillLeader, Fault::CutOff(1, Duration::from_secs(2)), Fault::Halve(0)];
    tortured(LogKind::Cluster, 2, certain, 1).await;
}

#[test]
fn the_verb_says_its_seed_and_what_came_of_it() {
    let run = Command::new(env!("CARGO_BIN_EXE_copydesk"))
        .args(["torture", "--rounds", "1", "--seed", "7", "--json"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    assert!(said.starts_with("seed 7, embedded log"), "{said}");
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&report["seed"], &report["rounds"]), (&7.into(), &1.into()), "{report:#}");
    assert_eq!(report["findings"], serde_json::json!([]));
}

/// Whatever stands in its files, sled's folder is a cache: torture found that a flipped bit in a page of the public side
/// kept a service from ever starting again.
#[test]
fn a_state_with_damage_anywhere_is_folded_anew_and_shows_what_it_showed() {
    let mut serving = Serving::embedded();
    for number in 0..3 {
        publish(serving.url(), &format!("Story {number}"));
    }
    let feed = |serving: &Serving| {
        let feed: Value = serde_json::from_str(&serving.get("carl", "/feed.json").1).unwrap();
        let items = feed["items"].as_array().unwrap().iter();
        items.map(|item| (item["id"].clone(), item["title"].clone())).collect::<Vec<_>>()
    };
    until("the stories are out", || feed(&serving).len() == 3);
    let shown = feed(&serving);
    assert!(serving.terminate().success());
    let db = serving.data().join("state/db");
    let whole = std::fs::read(&db).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for place in 1..16 {
        let mut spoilt = whole.clone();
        let from = used * place / 16;
        spoilt[from..used.min(from + 600)].iter_mut().for_each(|byte| *byte ^= 0x10);
        std::fs::write(&db, spoilt).unwrap();
        serving.start_again();
        until("what was shown is shown again", || feed(&serving) == shown);
        serving.kill();
    }
}

/// The public fold goes on where it stood: what comes right after a restart is shown, and what was shown still is.
#[test]
fn the_very_next_edition_after_a_restart_is_shown_to_readers() {
    let mut serving = Serving::embedded();
    for count in 1..=3 {
        publish(serving.url(), &format!("Story {count}"));
        until("the story is out", || {
            let feed: Value = serde_json::from_str(&serving.get("carl", "/feed.json").1).unwrap();
            let titles = feed["items"].as_array().unwrap().iter().map(|item| item["title"].clone());
            titles.collect::<Vec<_>>()
                == (1..=count).rev().map(|n| format!("Story {n}").into()).collect::<Vec<Value>>()
        });
        assert!(serving.terminate().success());
        serving.start_again();
    }
}
