//! The floors of the house: which room may use which, and what may be built in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each room of `src/`, with the rooms that it may use.
const FLOORS: &[(&str, &[&str])] = &[
    ("metrics", &[]),
    ("agency", &[]),
    ("log", &[]),
    ("merkle", &[]),
    ("store", &["log", "merkle"]),
    ("evidence", &["log"]),
    ("desk", &["log", "store", "evidence"]),
    ("wire", &["log", "merkle", "store", "desk"]),
    ("audit", &["log", "merkle", "store", "desk", "wire"]),
    ("backup", &["log", "merkle", "store", "audit", "deliver"]),
    ("deliver", &["log", "metrics"]),
    ("view", &["log", "store"]),
    ("nats", &["log", "desk", "metrics", "door"]),
    ("door", &[]),
    ("config", &["door"]),
    ("tokens", &["log", "config"]),
    (
        "http",
        &[
            "merkle", "audit", "log", "store", "evidence", "desk", "view", "wire", "deliver", "metrics",
            "door", "tokens",
        ],
    ),
    (
        "service",
        &[
            "backup", "merkle", "audit", "log", "store", "evidence", "desk", "wire", "http", "nats",
            "config", "view", "deliver", "metrics", "door", "tokens",
        ],
    ),
    ("bench", &["audit", "config", "log", "store", "desk", "wire", "nats", "service"]),
    ("torture", &["audit", "log", "merkle", "view", "config", "service"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(of: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if of.is_dir() {
        for entry in std::fs::read_dir(of).unwrap() {
            found.extend(sources(&entry.unwrap().path()));
        }
    } else if of.is_file() && of.extension().is_some_and(|end| end == "rs") {
        found.push(of.to_owned());
    }
    found
}

/// The rooms that a file names by `crate::`, tests at its foot apart.
fn used(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let names = lines.flat_map(|line| line.split("crate::").skip(1).map(str::to_owned).collect::<Vec<_>>());
    names.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

#[test]
fn a_room_uses_only_what_stands_below_it() {
    let rooms: BTreeSet<&str> = FLOORS.iter().map(|(room, _)| *room).collect();
    let mut seen = 0;
    for (room, may) in FLOORS {
        let base = root().join("src").join(room);
        let mut files = sources(&base);
        files.extend(sources(&base.with_extension("rs")));
        for file in files {
            seen += 1;
            for other in used(&std::fs::read_to_string(&file).unwrap()) {
                let allowed =
                    other == *room || may.contains(&other.as_str()) || !rooms.contains(other.as_str());
                assert!(allowed, "{}: {room} may not use {other}", file.display());
            }
        }
    }
    assert!(seen > 20, "the rooms were found: {seen} files");
}

#[test]
fn every_room_of_the_service_has_its_floor() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for line in lib.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let room = line.trim_end_matches(';');
        assert!(FLOORS.iter().any(|(known, _)| *known == room), "{room} has no floor in this test");
    }
}

#[test]
fn the_core_does_no_io_and_reads_no_clock() {
    let is_test = |file: &PathBuf| {
        let name = file.file_stem().unwrap().to_str().unwrap();
        name.ends_with("_test") || ["tests", "testing", "properties"].contains(&name)
    };
    for file in sources(&root().join("crates/article/src")).into_iter().filter(|file| !is_test(file)) {
        let source = std::fs::read_to_string(&file).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap();
        for word in
            ["std::fs", "std::net", "std::time::SystemTime", "Utc::now", "std::env", "tokio::", "rand::"]
        {
            assert!(!code.contains(word), "{} uses {word}", file.display());
        }
    }
}

/// Licences that may be built in.
const LICENCES: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unlicense",
    "CC0-1.0",
    "0BSD",
    "MPL-2.0",
    "CDLA-Permissive-2.0",
    "BSL-1.0",
    "Apache-2.0 WITH LLVM-exception",
    "OpenSSL",
];

/// Crates that must not be built in: C libraries for what Rust does, and what nobody keeps any more.
const BANNED: &[&str] =
    &["openssl-sys", "native-tls", "aws-lc-sys", "serde_yaml", "atty", "failure", "time-macros-impl"];

fn licence_fits(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    expression.split(" OR ").any(|choice| {
        choice
            .split(" AND ")
            .all(|one| LICENCES.contains(&one.split_whitespace().collect::<Vec<_>>().join(" ").as_str()))
    })
}

#[test]
fn what_is_built_in_may_be_used_and_nothing_banned_is() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features", "--filter-platform"])
        .arg("x86_64-unknown-linux-gnu")
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100);
    for package in packages {
        let name = package["name"].as_str().unwrap();
        assert!(!BANNED.contains(&name), "{name} is banned");
        if let Some(licence) = package["license"].as_str() {
            assert!(licence_fits(licence), "{name} is under {licence}");
        } else {
            assert!(package["license_file"].is_string(), "{name} has no licence");
        }
    }
}

#[test]
fn a_licence_fits_where_one_of_its_choices_does() {
    assert!(
        licence_fits("MIT OR Apache-2.0")
            && licence_fits("(MIT OR GPL-3.0) AND Unicode-3.0")
            && licence_fits("MIT/Apache-2.0")
    );
    assert!(!licence_fits("GPL-3.0-only") && !licence_fits("MIT AND GPL-3.0"));
}

#[test]
fn the_description_of_nats_names_every_command_and_schemas_that_exist() {
    let described = std::fs::read_to_string(root().join("schemas/asyncapi.yaml")).unwrap();
    let listed = format!("enum: [{}]", copydesk_article::command::Ask::TYPES.join(", "));
    assert!(described.contains(&listed), "the commands are {listed}");
    let files = described.lines().filter_map(|line| line.trim().strip_prefix("$ref: ./"));
    let files: Vec<&str> = files.collect();
    assert_eq!(files.len(), 4);
    for file in files {
        assert!(root().join("schemas").join(file).is_file(), "{file}");
    }
}
