//! The door of a backup: whatever its files hold and are called, it is put back as it was written, or refused.

use std::path::{Path, PathBuf};

use copydesk::backup;
use copydesk::log::Log;
use copydesk::log::memory::MemoryLog;
use futures::FutureExt as _;
use proptest::prelude::*;
use proptest::sample::Index;

use super::mutate::{Mutation, mutation};
use super::runner;
use crate::audit::publish;
use crate::backup::back_up;
use crate::harness::Serving;

/// How many backups are broken.
const BACKUPS: u32 = 500;

/// What is done to one file of a backup.
#[derive(Debug, Clone)]
enum Broken {
    Bytes(Vec<Mutation>),
    Gone,
    /// Called otherwise.
    Named(usize),
}

const NAMES: &[&str] = &[
    "00000000000000000000.jsonl",
    "00000000000000000002.jsonl",
    "18446744073709551615.jsonl",
    "+0000000000000000001.jsonl",
    "1.jsonl",
    "x.jsonl",
];

fn broken() -> impl Strategy<Value = Broken> {
    prop_oneof![
        8 => proptest::collection::vec(mutation(), 1..4).prop_map(Broken::Bytes),
        1 => Just(Broken::Gone),
        1 => (0..NAMES.len()).prop_map(Broken::Named),
    ]
}

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Every event of a log as it is stored; none where there are others than these first ones.
fn begins_as(log: &MemoryLog, whole: &[Option<copydesk::log::Content>]) -> bool {
    let end = log.events().end().now_or_never().unwrap().unwrap();
    (1..=end).zip(whole).all(|(seq, content)| {
        let entry = log.events().get(seq).now_or_never().unwrap().unwrap();
        entry.map(|entry| entry.content) == *content
    })
}

#[test]
fn a_backup_with_anything_in_it_is_put_back_as_it_was_written_or_refused() {
    let serving = Serving::embedded();
    publish(serving.url(), "Backed up");
    let folder = tempfile::tempdir().unwrap();
    back_up(folder.path(), &["--data", serving.data().to_str().unwrap()], 5);
    let put_back = |log: &MemoryLog| {
        let keys = Some(folder.path()).filter(|folder| folder.join("keys").is_dir());
        let restored = backup::restore(folder.path(), keys, log, |_| {}, |_, _| {});
        restored.now_or_never().expect("nothing is waited for")
    };
    let log = MemoryLog::new(1);
    assert_eq!(put_back(&log).unwrap().events, 5);
    let at = |seq| log.events().get(seq).now_or_never().unwrap().unwrap();
    let whole: Vec<_> = (1..=5).map(|seq| at(seq).map(|entry| entry.content)).collect();
    let all = files(folder.path());
    let (mut runner, seed) = runner(BACKUPS);
    let result = runner.run(&(any::<Index>(), any::<Index>(), broken()), |(which, other, broken)| {
        let (path, bytes) = which.get(&all);
        let renamed = match &broken {
            Broken::Named(name) => path.with_file_name(NAMES[*name]),
            _ => path.clone(),
        };
        std::fs::remove_file(path).unwrap();
        match broken {
            Broken::Bytes(mutations) => {
                let mut bytes = bytes.clone();
                mutations.iter().for_each(|mutation| mutation.apply(&mut bytes, &other.get(&all).1));
                std::fs::write(path, bytes).unwrap();
            }
            Broken::Gone => {}
            Broken::Named(_) => std::fs::write(&renamed, bytes).unwrap(),
        }
        let log = MemoryLog::new(1);
        let restored = put_back(&log);
        let _ = std::fs::remove_file(&renamed);
        for (path, bytes) in &all {
            std::fs::write(path, bytes).unwrap();
        }
        prop_assert!(begins_as(&log, &whole), "other events than those that were written");
        match restored {
            Ok(restored) => prop_assert_eq!((restored.events, restored.verified), (5, 5)),
            Err(error) => {
                let said = error.to_string();
                prop_assert!(!said.is_empty() && said.len() < 1_000, "{} bytes: {:.200}", said.len(), said);
                let end = log.events().end().now_or_never().unwrap().unwrap();
                prop_assert!(end == 0 || end == 5, "{} events of a backup that is refused: {}", end, said);
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("COPYDESK_SEED={seed} repeats it: {error}");
    }
}
