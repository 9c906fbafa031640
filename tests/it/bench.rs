//! `bench` of the real binary, in its smallest form: that every part of it still measures, not what it measures.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::nats_server;

/// Every part that has rows, and every series of growth.
const PARTS: [&str; 13] = [
    "age",
    "article",
    "embedded",
    "feeds",
    "http",
    "latency",
    "memory",
    "readers",
    "rebuild",
    "start",
    "stream",
    "synced",
    "throughput",
];
const ROWS: usize = 21;

fn bench(arguments: &[&str], nats_server: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_copydesk"));
    command.arg("bench").args(arguments).env_remove("COPYDESK_NATS_SERVER").env("PATH", "");
    if let Some(program) = nats_server {
        command.arg("--nats-server").arg(program);
    }
    command.output().unwrap()
}

/// Figures that are there and make sense. What a few readers take may be less than a tick of processor time, or a page.
fn is_sane(side: &Value, runs: usize, part: &Value) -> bool {
    let least = if part == "readers" { 0.0 } else { f64::MIN_POSITIVE };
    let positive = |value: &Value| value.as_f64().is_some_and(|value| value.is_finite() && value >= least);
    let sound = |value: &Value| value.is_null() || value.as_f64().is_some_and(|value| value >= 0.0);
    let all = side["runs"].as_array().unwrap();
    all.len() == runs
        && positive(&side["median"])
        && all
            .iter()
            .all(|run| positive(&run["value"]) && sound(&run["cpu_micros"]) && sound(&run["peak_bytes"]))
}

#[test]
fn every_part_measures_and_what_it_measured_can_be_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (within, picture) = (folder.path().join("within"), folder.path().join("run.svg"));
    std::fs::create_dir(&within).unwrap();
    let sizes = [
        "--runs",
        "1",
        "--commands",
        "100",
        "--events",
        "300",
        "--articles",
        "64",
        "--readers",
        "20",
        "--folder",
        within.to_str().unwrap(),
        "--svg",
        picture.to_str().unwrap(),
        "--json",
    ];
    let output = bench(&sizes, Some(&nats_server::binary()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["left_out"], &report["format"]), (&serde_json::json!([]), &1.into()));
    assert!(report["nats_server"].is_string() && report["cores"].as_u64().unwrap() > 0, "{report}");

    let rows = report["rows"].as_array().unwrap();
    let parts: BTreeSet<&str> = rows.iter().map(|row| row["part"].as_str().unwrap()).collect();
    assert_eq!((parts.into_iter().collect::<Vec<_>>(), rows.len()), (PARTS.to_vec(), ROWS));
    for row in rows {
        let runs = 1;
        assert!(
            is_sane(&row["ours"], runs, &row["part"])
                && (row["bare"].is_null() || is_sane(&row["bare"], runs, &row["part"])),
            "{row}"
        );
        assert_eq!(row["bare"].is_null(), row["ratio"].is_null(), "{row}");
        assert!(row["against"].is_string() || row["bare"].is_null(), "{row}");
    }
    let at = |series: &str| -> Vec<u64> {
        let lines = report["growth"].as_array().unwrap().iter().filter(|line| line["series"] == series);
        lines.map(|line| line["at"].as_u64().unwrap()).collect()
    };
    assert_eq!((at("events"), at("instances")), (vec![300], vec![1, 2, 3]));
    assert!(said.contains("15/15 instances") && said.contains("run 1 of 1"), "{said}");
    assert_eq!(std::fs::read_dir(&within).unwrap().count(), 0, "nothing is left behind");

    let drawn = std::fs::read_to_string(&picture).unwrap();
    assert!(drawn.starts_with("<svg ") && drawn.contains("<title") && !drawn.contains("NaN"), "{drawn}");
    let kept = folder.path().join("run.json");
    std::fs::write(&kept, &output.stdout).unwrap();
    let kept = kept.to_str().unwrap();
    let table = String::from_utf8(bench(&["--from", kept], None).stdout).unwrap();
    assert!(table.contains("commands on the embedded log") && table.contains("3 instances"), "{table}");
    let markdown = String::from_utf8(bench(&["--from", kept, "--markdown"], None).stdout).unwrap();
    assert_eq!(markdown.lines().filter(|line| line.starts_with("| ")).count(), 1 + ROWS + 1 + 1 + 1 + 3);
}

#[test]
fn what_is_asked_and_not_reached_fails_only_where_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("run.json");
    let sizes = ["--only", "start", "--only", "latency", "--runs", "1", "--events", "20", "--json"];
    let output = bench(&sizes, None);
    let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let left_out = report["left_out"][0].clone();
    assert!(left_out["part"] == "latency" && left_out["why"].as_str().unwrap().contains("--nats-server"));
    let row = &mut report["rows"][0];
    assert!(row["met"].is_null(), "a start after twenty events says nothing of a million: {row}");
    for (met, code) in [(true, 0), (false, 1)] {
        report["rows"][0]["met"] = met.into();
        std::fs::write(&kept, report.to_string()).unwrap();
        let shown =
            |more: &[&str]| bench(&[&["--from", kept.to_str().unwrap()], more].concat(), None).status.code();
        assert_eq!((shown(&[]), shown(&["--strict"])), (Some(0), Some(code)));
    }
}
