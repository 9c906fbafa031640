//! Any bytes of a closed log's files are changed: cut, flipped, zeroed, written over, put elsewhere. Either the log opens
//! with exactly what was answered, or it doesn't open, names the file and changes nothing. What it may lose is a tail
//! that its last answered positions don't speak of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use copydesk::log::segments::{Options, SegmentsLog, Snapshot};
use copydesk::log::{Entry, Expect, Log, LogError, Seq, Stream};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{Scratch, seed};
use crate::log_contract::{message, put};

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// How many ways to change files are tried.
const CASES: u32 = 1500;

/// How many events were answered.
const EVENTS: Seq = 12;

/// What is done to one file.
#[derive(Debug, Clone)]
enum Harm {
    Flip(prop::sample::Index),
    Cut(prop::sample::Index),
    Zero(prop::sample::Index, usize),
    WriteOver(prop::sample::Index, Vec<u8>),
    Lengthen(Vec<u8>),
    Remove,
    /// The bytes of another file come in its place.
    Swap(prop::sample::Index),
    /// Some of its own bytes come once more.
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn harm() -> impl Strategy<Value = Harm> {
    let index = any::<prop::sample::Index>;
    let bytes = || proptest::collection::vec(any::<u8>(), 1..100);
    prop_oneof![
        4 => index().prop_map(Harm::Flip),
        4 => index().prop_map(Harm::Cut),
        2 => (index(), 1..400_usize).prop_map(|(at, length)| Harm::Zero(at, length)),
        2 => (index(), bytes()).prop_map(|(at, bytes)| Harm::WriteOver(at, bytes)),
        1 => bytes().prop_map(Harm::Lengthen),
        1 => Just(Harm::Remove),
        1 => index().prop_map(Harm::Swap),
        2 => (index(), index()).prop_map(|(from, to)| Harm::Repeat(from, to)),
    ]
}

impl Harm {
    fn befalls(&self, files: &mut Files, path: &Path, whole: &Files) {
        let Some(bytes) = files.get_mut(path) else { return };
        let length = bytes.len();
        let place = |index: &prop::sample::Index| index.index(length.max(1)).min(length);
        match self {
            Self::Flip(at) if length > 0 => bytes[place(at)] ^= 1 << (length % 8),
            Self::Flip(_) => {}
            Self::Cut(at) => bytes.truncate(place(at)),
            Self::Zero(at, count) => {
                let from = place(at);
                bytes[from..length.min(from + count)].fill(0);
            }
            Self::WriteOver(at, with) => {
                let from = place(at);
                bytes.truncate(from);
                bytes.extend(with);
                bytes.extend(whole[path].iter().skip(from + with.len()));
            }
            Self::Lengthen(with) => bytes.extend(with),
            Self::Remove => drop(files.remove(path)),
            Self::Swap(with) => *bytes = with.get(&whole.values().collect::<Vec<_>>()).to_vec(),
            Self::Repeat(from, to) => {
                let (from, to) = (place(from), place(to));
                let again = bytes[from..].to_vec();
                bytes.splice(to..to, again);
            }
        }
    }
}

fn options() -> Options {
    Options { segment_bytes: 400, ..Options::default() }
}

fn read(folder: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.ends_with("lock") => {}
                false => drop(
                    found
                        .insert(path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap()),
                ),
            }
        }
    }
    found
}

fn lay_out(folder: &Path, files: &Files) {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir(folder).unwrap();
    for (path, bytes) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

async fn entries(events: &dyn Stream) -> Vec<Entry> {
    let mut entries = Vec::new();
    for seq in 1..=events.end().await.unwrap() {
        entries.push(events.get(seq).await.unwrap().unwrap());
    }
    entries
}

/// A log of some segments as it was closed, and as a power cut would have left it while it was open; and its events.
async fn logs(folder: &Path) -> ([Files; 2], Vec<Entry>) {
    let (log, _) = SegmentsLog::open(folder, options()).unwrap();
    let events = log.events();
    for number in 1..=EVENTS {
        let subject = if number % 3 == 0 { "b" } else { "a" };
        let last = events.last_on(subject).await.unwrap().map_or(0, |entry| entry.seq);
        let event = message(subject, &format!("id-{number}"), format!("event {number}").repeat(6));
        events.try_append(&event, Expect::Subject(last)).await.unwrap();
    }
    events.erase(2).await.unwrap();
    put(&log.wire(), "world", "edition").await;
    let all = entries(&*events).await;
    let open = read(folder);
    drop((events, log));
    ([read(folder), open], all)
}

#[test]
fn whatever_is_done_to_its_files_a_log_opens_with_what_was_answered_or_not_at_all() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let scratch = Scratch::new();
    let (whole, all) = runtime.block_on(logs(&scratch.join("log")));
    let folder = scratch.join("harmed");
    // While it is open, what was answered is written down a moment later.
    let claimed = whole.each_ref().map(|files| {
        lay_out(&folder, files);
        Snapshot::open(&folder).unwrap().end("events").unwrap()
    });
    assert_eq!(claimed[0], EVENTS);
    let seed = [seed().to_le_bytes(); 4].concat();
    let mut runner = TestRunner::new_with_rng(
        Config { cases: CASES, failure_persistence: None, ..Config::default() },
        TestRng::from_seed(RngAlgorithm::ChaCha, &seed),
    );
    let harms = proptest::collection::vec((any::<prop::sample::Index>(), harm()), 1..4);
    let refused = std::cell::Cell::new(0);
    let run = runner.run(&(any::<bool>(), harms), |(was_open, harms)| {
        let whole = &whole[usize::from(was_open)];
        let paths: Vec<_> = whole.keys().filter(|path| !path.ends_with("wire")).cloned().collect();
        let mut files = whole.clone();
        for (at, harm) in &harms {
            harm.befalls(&mut files, &paths[at.index(paths.len())], whole);
        }
        lay_out(&folder, &files);
        match SegmentsLog::open(&folder, options()) {
            Ok((log, _)) => {
                let there = runtime.block_on(entries(&*log.events()));
                prop_assert!(
                    there.len() <= all.len() && there == all[..there.len()],
                    "history is another one"
                );
                let claims = Path::new("answered/events");
                let is_told = files.get(claims) == whole.get(claims);
                let answered = claimed[usize::from(was_open)];
                prop_assert!(
                    !is_told || there.len() as Seq >= answered,
                    "{} of {answered} are left",
                    there.len()
                );
            }
            Err(LogError::Unavailable(why)) => prop_assert!(false, "it says that trying again helps: {why}"),
            Err(error) => {
                refused.set(refused.get() + 1);
                prop_assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
                prop_assert!(read(&folder) == files, "refused ({error}), and changed");
            }
        }
        Ok(())
    });
    run.unwrap();
    let refused = refused.get();
    assert!((CASES / 4..CASES).contains(&refused), "{refused} of {CASES} refused: too tame or too wild");
}
