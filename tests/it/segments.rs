//! The embedded log against crashes, damage and the model.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use copydesk::log::segments::{LAG, MESSAGE_MAX_BYTES, Options, Recovered, Recovery, SegmentsLog, Syncing};
use copydesk::log::{AppendError, Content, Entry, Expect, Log, LogError, Seq, Stream};
use futures::StreamExt;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::log_contract::{Harness, body_of, erased_with, log_contract, message, put, take_up_to, within};

/// A folder that goes with the test.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("log-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct SegmentsHarness {
    log: Arc<SegmentsLog>,
    options: Options,
    scratch: Scratch,
}

impl SegmentsHarness {
    fn open(options: Options) -> Option<Self> {
        Some(Self::open_in(Scratch::new(), options))
    }

    fn open_in(scratch: Scratch, options: Options) -> Self {
        let (log, _): (_, Recovery) =
            SegmentsLog::open(&scratch.path().join("log"), options.clone()).unwrap();
        Self { log: Arc::new(log), options, scratch }
    }
}

#[async_trait]
impl Harness for SegmentsHarness {
    fn log(&self) -> Arc<dyn Log> {
        Arc::clone(&self.log) as Arc<dyn Log>
    }
    async fn second(&self) -> Arc<dyn Log> {
        self.log()
    }
    async fn other(&self) -> Arc<dyn Log> {
        let folder = self.scratch.path().join("other");
        Arc::new(SegmentsLog::open(&folder, self.options.clone()).unwrap().0)
    }
    async fn reopen(self: Box<Self>) -> Option<Box<dyn Harness>> {
        let Self { log, options, scratch } = *self;
        drop(Arc::into_inner(log).expect("nobody else holds the log"));
        Some(Box::new(Self::open_in(scratch, options)))
    }
}

log_contract!(always_synced, SegmentsHarness::open(Options::default()));
log_contract!(
    synced_within,
    SegmentsHarness::open(Options {
        durability: Syncing::Within(Duration::from_millis(20)),
        ..Options::default()
    })
);
log_contract!(of_small_segments, SegmentsHarness::open(Options { segment_bytes: 400, ..Options::default() }));

// ---- what the tests below are made of

fn open(folder: &Path) -> Result<(SegmentsLog, Recovery), LogError> {
    SegmentsLog::open(folder, Options::default())
}

fn small(segment_bytes: u32) -> Options {
    Options { segment_bytes, ..Options::default() }
}

fn events_of(recovery: &Recovery) -> &Recovered {
    recovery.streams.iter().find(|stream| stream.name == "events").unwrap()
}

/// Every file below a folder with its bytes, but the lock.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("lock") {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Lays out a folder with these files and no others.
fn lay_out(folder: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
    for (path, bytes) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn segment(first: Seq) -> PathBuf {
    PathBuf::from(format!("streams/events/{first:020}.seg"))
}

fn answered() -> PathBuf {
    PathBuf::from("answered/events")
}

/// Where the records of a segment begin, and where the last one ends.
fn offsets(bytes: &[u8]) -> Vec<usize> {
    let mut offsets = vec![0];
    while let Some(length) = bytes.get(offsets[offsets.len() - 1] + 4..).and_then(|rest| rest.first_chunk()) {
        match u32::from_le_bytes(*length) {
            0 => break,
            length => offsets.push(offsets[offsets.len() - 1] + 12 + length as usize),
        }
    }
    offsets
}

/// A closed log with some events on two articles; gives its files.
async fn closed_log(scratch: &Scratch, options: Options, count: usize) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = scratch.path().join("log");
    let (log, _) = SegmentsLog::open(&folder, options).unwrap();
    let events = log.events();
    for number in 1..=count {
        let subject = if number % 3 == 0 { "b" } else { "a" };
        let mut message = message(subject, &format!("id-{number}"), format!("event {number}"));
        message.headers.push(("Kind".into(), "draft".into()));
        let last = events.last_on(subject).await.unwrap().map_or(0, |entry| entry.seq);
        events.try_append(&message, Expect::Subject(last)).await.unwrap();
    }
    drop(log);
    files(&folder)
}

/// Opening must fail, and change nothing.
fn assert_refused(folder: &Path, laid_out: &BTreeMap<PathBuf, Vec<u8>>, what: &str) -> LogError {
    lay_out(folder, laid_out);
    let error = match open(folder) {
        Ok((_, recovery)) => panic!("{what}: opened with {recovery:?}"),
        Err(error) => error,
    };
    assert!(files(folder) == *laid_out, "{what}: something was changed on disk");
    error
}

// ---- torn writes

/// As a backup is put back: what stood there for a moment was answered, and then is erased as what it was.
#[tokio::test]
async fn what_is_put_back_as_erased_at_the_end_is_found_there_when_the_log_is_opened_again() {
    let scratch = Scratch::new();
    for hash in [[7; 32], [9; 32]] {
        let (log, _) = SegmentsLog::open(&scratch.path().join("log"), Options::default()).unwrap();
        let events = log.events();
        let end = events.end().await.unwrap();
        let put_back = message("a", &end.to_string(), copydesk::log::PLACEHOLDER);
        events.try_append(&put_back, Expect::Stream(end)).await.unwrap();
        events.erase_as(end + 1, hash).await.unwrap();
        let entry = events.get(end + 1).await.unwrap().unwrap();
        assert_eq!(entry.content, Content::Erased { sha256: Some(hash) });
        drop((log, events));
    }
}

#[tokio::test]
async fn a_torn_tail_is_cut_at_whatever_byte_it_is_torn() {
    let scratch = Scratch::new();
    let before = closed_log(&scratch, Options::default(), 4).await;
    assert!(
        closed_log(&scratch, Options::default(), 0).await == before,
        "an open and a close change nothing"
    );
    let (log, _) = open(&scratch.path().join("log")).unwrap();
    put(&log.events(), "a", "the last").await;
    drop(log);
    let mut torn = files(&scratch.path().join("log"));
    let bytes = torn[&segment(1)].clone();
    let start = before[&segment(1)].len();
    // The crash came before the answer: the last answered position is the one before.
    torn.insert(answered(), before[&answered()].clone());
    let folder = scratch.path().join("torn");
    for at in start..bytes.len() {
        // Once with the file ending there, once going on in zeros that were written ahead.
        for zeros in [0, 5000] {
            let mut left = bytes[..at].to_vec();
            left.resize(at + zeros, 0);
            torn.insert(segment(1), left);
            lay_out(&folder, &torn);
            let (log, recovery) = open(&folder).unwrap();
            let found = events_of(&recovery);
            assert_eq!(found.end, 4, "torn at {at}");
            match &found.cut {
                None => assert_eq!(at, start, "a cut at {at} goes unreported"),
                Some(cut) => assert_eq!((cut.offset, cut.bytes), (start as u64, (at - start + zeros) as u64)),
            }
            assert_eq!(put(&log.events(), "a", "after").await, 5);
            drop(log);
            assert_eq!(events_of(&open(&folder).unwrap().1).cut, None);
        }
    }
}

#[tokio::test]
async fn power_loss_within_a_group_is_told_from_damage() {
    let scratch = Scratch::new();
    let empty = closed_log(&scratch, Options::default(), 0).await;
    let before = closed_log(&scratch, Options::default(), 3).await;
    // Everything that is written after one sync and before the next is one group to the disk.
    let options = Options { durability: Syncing::Within(Duration::from_secs(3600)), ..Options::default() };
    let (log, _) = SegmentsLog::open(&scratch.path().join("log"), options).unwrap();
    for number in 4..=8 {
        put(&log.events(), "a", format!("event {number}")).await;
    }
    let mut crashed = files(&scratch.path().join("log"));
    // However long the writer goes on: it claims what was answered every while.
    let begun = Instant::now();
    while begun.elapsed() < LAG {
        put(&log.events(), "a", "more").await;
    }
    assert!(files(&scratch.path().join("log"))[&answered()] == before[&answered()]);
    assert!(crashed[&answered()] == before[&answered()], "nothing is claimed that is not synced");
    let bytes = crashed[&segment(1)].clone();
    let offsets = offsets(&bytes);
    let folder = scratch.path().join("crashed");
    for lost in 4..=8 {
        // The disk kept what came later in the group, and lost this one.
        let mut left = bytes.clone();
        left[offsets[lost - 1]..offsets[lost]].fill(0);
        crashed.insert(segment(1), left);
        lay_out(&folder, &crashed);
        let (_log, recovery) = open(&folder).unwrap();
        assert_eq!(events_of(&recovery).end, lost as Seq - 1);
        assert_eq!(events_of(&recovery).cut.is_some(), lost < 8);
    }
    for damaged in 1..=3 {
        let mut left = bytes.clone();
        left[offsets[damaged - 1] + 20] ^= 1;
        crashed.insert(segment(1), left);
        // Even with nothing answered as far as that file tells, the later records tell that it was synced.
        crashed.insert(answered(), empty[&answered()].clone());
        let error = assert_refused(&folder, &crashed, "a damaged record");
        assert!(matches!(error, LogError::Damaged(_)), "{error}");
    }
}

// ---- damage

#[tokio::test]
async fn a_flipped_bit_is_found_wherever_it_is_and_nothing_is_repaired_in_silence() {
    let scratch = Scratch::new();
    let whole = closed_log(&scratch, Options::default(), 5).await;
    let bytes = &whole[&segment(1)];
    let offsets = offsets(bytes);
    let folder = scratch.path().join("flipped");
    for record in [1, 3, 5] {
        for at in offsets[record - 1]..offsets[record] {
            let mut flipped = whole.clone();
            flipped.get_mut(&segment(1)).unwrap()[at] ^= 1 << (at % 8);
            let error = assert_refused(&folder, &flipped, &format!("record {record}, byte {at}"));
            match (&error, record) {
                (LogError::Damaged(why), 1 | 3) | (LogError::LostTail(why), 5) => {
                    let place = format!("00000000000000000001.seg at byte {}", offsets[record - 1]);
                    assert!(why.contains(&place), "{why}");
                }
                _ => panic!("record {record}, byte {at}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn a_tail_cut_off_below_the_last_answered_position_is_missed() {
    let scratch = Scratch::new();
    let whole = closed_log(&scratch, Options::default(), 5).await;
    let offsets = offsets(&whole[&segment(1)]);
    let folder = scratch.path().join("short");
    for kept in &offsets[..5] {
        for zeros in [0, 100] {
            let mut short = whole.clone();
            let bytes = short.get_mut(&segment(1)).unwrap();
            bytes.truncate(*kept);
            bytes.resize(kept + zeros, 0);
            let error = assert_refused(&folder, &short, "a lost tail");
            assert!(matches!(error, LogError::LostTail(_)), "{error}");
            assert!(error.to_string().contains("position 5"), "{error}");
        }
    }
    let mut gone = whole.clone();
    gone.retain(|path, _| !path.starts_with("streams/events"));
    let error = assert_refused(&folder, &gone, "a stream whose folder is gone");
    assert!(matches!(error, LogError::LostTail(_)), "{error}");
}

#[tokio::test]
async fn another_message_at_the_last_answered_position_is_noticed() {
    let scratch = Scratch::new();
    let three = closed_log(&scratch, Options::default(), 3).await;
    let four = closed_log(&scratch, Options::default(), 1).await;
    let folder = scratch.path().join("other");
    lay_out(&folder, &three);
    let (log, _) = open(&folder).unwrap();
    put(&log.events(), "b", "another fourth").await;
    drop(log);
    let mut mixed = files(&folder);
    mixed.insert(answered(), four[&answered()].clone());
    let error = assert_refused(&folder, &mixed, "another history");
    assert!(matches!(error, LogError::Damaged(_)), "{error}");
}

#[tokio::test]
async fn damage_among_several_segments_is_found() {
    let scratch = Scratch::new();
    let whole = closed_log(&scratch, small(300), 12).await;
    let segments: Vec<_> = whole.keys().filter(|path| path.starts_with("streams/events")).cloned().collect();
    assert!(segments.len() >= 4, "{segments:?}");
    let folder = scratch.path().join("damaged");
    for path in &segments {
        let mut missing = whole.clone();
        missing.remove(path);
        assert_refused(&folder, &missing, "a missing segment");

        let mut torn = whole.clone();
        torn.get_mut(path).unwrap().pop();
        assert_refused(&folder, &torn, "a segment torn at its end");

        let mut flipped = whole.clone();
        *flipped.get_mut(path).unwrap().last_mut().unwrap() ^= 1;
        assert_refused(&folder, &flipped, "a flipped bit at a segment's end");

        if path != segments.last().unwrap() {
            let mut longer = whole.clone();
            longer.get_mut(path).unwrap().extend([0; 10]);
            assert_refused(&folder, &longer, "zeros at the end of a segment that is not the last");
        }
    }
    let mut strayed = whole.clone();
    let events = whole[&segment(1)].clone();
    strayed.insert("streams/wire/00000000000000000001.seg".into(), events);
    let (_, recovery) = {
        lay_out(&folder, &strayed);
        open(&folder).unwrap()
    };
    let wire = recovery.streams.iter().find(|stream| stream.name == "wire").unwrap();
    assert_eq!(wire.end, 0, "another stream's records are none here");
    lay_out(&folder, &whole);
    assert_eq!(events_of(&open(&folder).unwrap().1).end, 12);
}

#[tokio::test]
async fn a_missing_or_damaged_small_file_is_noticed() {
    let scratch = Scratch::new();
    let whole = closed_log(&scratch, Options::default(), 5).await;
    let folder = scratch.path().join("damaged");
    for path in [answered(), PathBuf::from("log")] {
        let mut missing = whole.clone();
        missing.remove(&path);
        let error = assert_refused(&folder, &missing, "a missing file");
        assert!(matches!(error, LogError::Damaged(_)), "{error}");
        let mut emptied = whole.clone();
        emptied.insert(path, Vec::new());
        let error = assert_refused(&folder, &emptied, "an emptied file");
        assert!(matches!(error, LogError::Damaged(_)), "{error}");
    }
    let mut newer = whole.clone();
    let text = String::from_utf8(whole[Path::new("log")].clone()).unwrap();
    newer.insert("log".into(), text.replace("format 1", "format 2").into());
    let error = assert_refused(&folder, &newer, "a newer format");
    assert!(matches!(error, LogError::Unsuitable(_)), "{error}");
    // A write of the last answered position that was torn leaves the one before.
    let mut opened = 0;
    for slot in [0, 4096] {
        let mut torn = whole.clone();
        torn.get_mut(&answered()).unwrap()[slot + 20] ^= 1;
        lay_out(&folder, &torn);
        opened += events_of(&open(&folder).unwrap().1).end;
    }
    assert_eq!(opened, 10);
}

// ---- crashes

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_taken_while_writers_write_opens_with_all_that_was_answered_before() {
    let scratch = Scratch::new();
    let folder = scratch.path().join("log");
    let (log, _) = SegmentsLog::open(&folder, small(20_000)).unwrap();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let events = log.events();
            tokio::spawn(async move {
                for number in 0..150 {
                    put(&events, &format!("w{writer}"), format!("{writer}/{number}")).await;
                }
            })
        })
        .collect();
    let copy = scratch.path().join("copy");
    for round in 1..=8 {
        // Let the writers get on before each copy.
        let mut tail = log.events().tail(0).await.unwrap();
        take_up_to(&mut tail, 0, round * 100).await;
        let before = log.events().end().await.unwrap();
        // The claim is copied first: a copy is no snapshot, and the claim must not be newer than the records.
        let claim = std::fs::read(folder.join(answered())).unwrap();
        let mut copied = files(&folder);
        copied.insert(answered(), claim);
        lay_out(&copy, &copied);
        match open(&copy) {
            Ok((_, recovery)) => assert!(events_of(&recovery).end >= before, "round {round}"),
            Err(error) => panic!("round {round}: {error}"),
        }
    }
    for writer in writers {
        within(writer).await.unwrap();
    }
}

#[tokio::test]
async fn an_erasure_that_is_cut_short_leaves_the_old_or_the_new() {
    let scratch = Scratch::new();
    let folder = scratch.path().join("log");
    let whole = closed_log(&scratch, Options::default(), 5).await;
    let (log, _) = open(&folder).unwrap();
    log.events().erase(2).await.unwrap();
    drop(log);
    let erased = files(&folder);
    let body = b"event 2";
    let holds = |files: &BTreeMap<PathBuf, Vec<u8>>| {
        files.values().any(|bytes| bytes.windows(body.len()).any(|window| window == body))
    };
    assert!(holds(&whole) && !holds(&erased), "the bytes are gone from the folder");
    let temporary = PathBuf::from(format!("{}.tmp", segment(1).display()));
    let crashed = scratch.path().join("crashed");
    // Before the new segment took the old one's place: whatever of it was written is removed.
    for written in [0, 10, erased[&segment(1)].len()] {
        let mut cut_short = whole.clone();
        cut_short.insert(temporary.clone(), erased[&segment(1)][..written].to_vec());
        lay_out(&crashed, &cut_short);
        let (log, _) = open(&crashed).unwrap();
        assert_eq!(body_of(&log.events().get(2).await.unwrap().unwrap()), "event 2");
        drop(log);
        assert!(files(&crashed) == whole);
    }
    // After it did.
    lay_out(&crashed, &erased);
    let (log, recovery) = open(&crashed).unwrap();
    assert_eq!(events_of(&recovery).cut, None);
    assert_eq!(log.events().get(2).await.unwrap().unwrap().content, erased_with("event 2"));
    // A log that is refused keeps its left-over files too: nothing at all is changed.
    drop(log);
    let mut damaged = whole.clone();
    damaged.insert(temporary, vec![1]);
    damaged.get_mut(&segment(1)).unwrap()[0] ^= 1;
    assert_refused(&crashed, &damaged, "damage beside a left-over file");
}

#[tokio::test]
async fn the_last_answered_message_may_be_an_erased_one() {
    let scratch = Scratch::new();
    closed_log(&scratch, Options::default(), 3).await;
    let folder = scratch.path().join("log");
    let (log, _) = open(&folder).unwrap();
    log.events().erase(3).await.unwrap();
    put(&log.events(), "a", "four").await;
    log.events().erase(4).await.unwrap();
    drop(log);
    let (log, _) = open(&folder).unwrap();
    assert_eq!(log.events().get(4).await.unwrap().unwrap().content, erased_with("four"));
}

// ---- the folder, and failures of the disk

#[tokio::test]
async fn a_second_opener_is_refused_and_told_which_folder() {
    let scratch = Scratch::new();
    let folder = scratch.path().join("log");
    let (log, _) = open(&folder).unwrap();
    let error = open(&folder).unwrap_err();
    assert!(matches!(error, LogError::Unsuitable(_)), "{error}");
    assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
    drop(log);
    open(&folder).unwrap();
}

#[tokio::test]
async fn a_stream_of_a_closed_log_says_so() {
    let scratch = Scratch::new();
    let (log, _) = open(&scratch.path().join("log")).unwrap();
    let events = log.events();
    put(&events, "a", "one").await;
    let mut tail = events.tail(0).await.unwrap();
    drop(log);
    let answer = events.try_append(&message("a", "2", "two"), Expect::Subject(1)).await;
    assert!(matches!(answer, Err(AppendError::Unavailable(_))), "{answer:?}");
    assert!(matches!(events.end().await, Err(LogError::Unavailable(_))));
    assert!(matches!(events.erase(1).await, Err(LogError::Unavailable(_))));
    assert_eq!(take_up_to(&mut tail, 0, 1).await.len(), 1);
    assert!(matches!(within(tail.next()).await, Some(Err(LogError::Unavailable(_)))));
    assert!(within(tail.next()).await.is_none());
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_taken_until_the_log_is_opened_anew() {
    let scratch = Scratch::new();
    let folder = scratch.path().join("log");
    let (log, _) = SegmentsLog::open(&folder, small(300)).unwrap();
    let events = log.events();
    let mut last = 0;
    // The next segment can't be made: a folder has its name.
    let in_the_way: Vec<_> = (2..20).map(|first| folder.join(segment(first))).collect();
    in_the_way.iter().for_each(|path| std::fs::create_dir(path).unwrap());
    let failed = loop {
        let message = message("a", "x", format!("event {}", last + 1));
        match events.try_append(&message, Expect::Subject(last)).await {
            Ok(seq) => last = seq,
            Err(error) => break error,
        }
    };
    assert!(last > 0);
    assert!(matches!(failed, AppendError::Unknown(_)), "{failed}");
    in_the_way.iter().for_each(|path| std::fs::remove_dir(path).unwrap());
    for _ in 0..3 {
        let answer = events.try_append(&message("b", "x", "later"), Expect::Subject(0)).await;
        match answer {
            Err(AppendError::Stopped(why)) => assert!(why.contains("restart"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(events.end().await, Err(LogError::Unavailable(_))));
    assert_eq!(body_of(&events.get(1).await.unwrap().unwrap()), "event 1");
    // The other streams go on.
    put(&log.wire(), "world", "edition").await;
    drop((log, events));
    let (log, recovery) = SegmentsLog::open(&folder, small(300)).unwrap();
    assert_eq!(events_of(&recovery).end, last);
    put(&log.events(), "b", "goes on").await;
}

#[tokio::test]
async fn a_message_too_long_is_refused_and_one_as_long_as_may_be_is_not() {
    let scratch = Scratch::new();
    let (log, _) = open(&scratch.path().join("log")).unwrap();
    let events = log.events();
    let answer =
        events.try_append(&message("a", "1", vec![1; MESSAGE_MAX_BYTES + 1]), Expect::Subject(0)).await;
    assert!(matches!(answer, Err(AppendError::Refused(_))), "{answer:?}");
    let longest = message("a", &"i".repeat(1024), vec![2; MESSAGE_MAX_BYTES]);
    assert_eq!(events.try_append(&longest, Expect::Subject(0)).await.unwrap(), 1);
    drop((log, events));
    let (log, _) = open(&scratch.path().join("log")).unwrap();
    assert_eq!(body_of(&log.events().get(1).await.unwrap().unwrap()).len(), MESSAGE_MAX_BYTES);
}

// ---- any sequence of operations, against the model

#[derive(Debug, Clone)]
enum Step {
    /// To a subject, with a body of that size, expecting what stands there plus an error.
    Append {
        subject: usize,
        size: usize,
        of_stream: bool,
        error: Seq,
    },
    Erase(prop::sample::Index),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_usize, 0..200_usize, any::<bool>(), prop_oneof![4 => Just(0), 1 => 1..3_u64])
            .prop_map(|(subject, size, of_stream, error)| Step::Append { subject, size, of_stream, error }),
        1 => any::<prop::sample::Index>().prop_map(Step::Erase),
        1 => Just(Step::Reopen),
    ]
}

const SUBJECTS: [&str; 3] = ["a", "a.b", "desk"];

#[derive(Debug, Default)]
struct Model(Vec<(usize, Vec<u8>, bool)>);

impl Model {
    fn last_on(&self, subject: usize) -> Seq {
        self.0.iter().rposition(|(other, ..)| *other == subject).map_or(0, |index| index as Seq + 1)
    }

    fn agrees(&self, entry: &Entry) -> bool {
        let (subject, body, erased) = &self.0[entry.seq as usize - 1];
        entry.subject == SUBJECTS[*subject]
            && match &entry.content {
                Content::Message { body: found, .. } => !erased && found == body,
                Content::Erased { sha256 } => *erased && *sha256 == Some(Sha256::digest(body).into()),
            }
    }

    async fn check(&self, events: &Arc<dyn Stream>) {
        let end = self.0.len() as Seq;
        assert_eq!(events.end().await.unwrap(), end);
        let all = take_up_to(&mut events.tail(0).await.unwrap(), 0, end).await;
        assert!(all.iter().all(|entry| self.agrees(entry)));
        for (number, subject) in SUBJECTS.iter().enumerate() {
            let line = events.all_on(subject, 0).await.unwrap();
            let expected: Vec<_> = all.iter().filter(|entry| entry.subject == *subject).cloned().collect();
            assert_eq!(line, expected);
            assert_eq!(
                events.last_on(subject).await.unwrap().map_or(0, |entry| entry.seq),
                self.last_on(number)
            );
            assert_eq!(
                events.next_on(subject, 2).await.unwrap(),
                expected.into_iter().find(|entry| entry.seq > 2)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_appends_erasures_and_restarts_is_as_the_model(
        steps in proptest::collection::vec(step(), 1..40), segment_bytes in 200..2000_u32,
    ) {
        let scratch = Scratch::new();
        let folder = scratch.path().join("log");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut log = SegmentsLog::open(&folder, small(segment_bytes)).unwrap().0;
            let mut model = Model::default();
            for step in steps {
                let events = log.events();
                let end = model.0.len() as Seq;
                match step {
                    Step::Append { subject, size, of_stream, error } => {
                        let body = vec![size as u8; size];
                        let expect = if of_stream {
                            Expect::Stream(end + error)
                        } else {
                            Expect::Subject(model.last_on(subject) + error)
                        };
                        let answer = events.try_append(&message(SUBJECTS[subject], "id", body.clone()), expect).await;
                        if error == 0 {
                            assert_eq!(answer.unwrap(), end + 1);
                            model.0.push((subject, body, false));
                        } else {
                            assert!(matches!(answer, Err(AppendError::WrongExpectation)));
                        }
                    }
                    Step::Erase(_) if end == 0 => {}
                    Step::Erase(index) => {
                        let index = index.index(model.0.len());
                        events.erase(index as Seq + 1).await.unwrap();
                        model.0[index].2 = true;
                    }
                    Step::Reopen => {
                        drop((events, log));
                        let (reopened, recovery) = SegmentsLog::open(&folder, small(segment_bytes)).unwrap();
                        assert_eq!(events_of(&recovery).cut, None);
                        log = reopened;
                    }
                }
            }
            model.check(&log.events()).await;
            drop(log);
            model.check(&SegmentsLog::open(&folder, small(segment_bytes)).unwrap().0.events()).await;
        });
    }
}

// ---- a process of its own, to be watched and killed

/// Where the child writes, and how.
const CHILD_FOLDER: &str = "COPYDESK_TEST_LOG";
const CHILD_SYNCING: &str = "COPYDESK_TEST_SYNCING";
const CHILD_COUNT: &str = "COPYDESK_TEST_COUNT";

/// No test by itself: what the tests below start, with the folder in the environment. Says each answer on a line
/// of its own, as it comes.
#[test]
fn child_that_appends() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let count: Seq = std::env::var(CHILD_COUNT).unwrap().parse().unwrap();
    let durability = match std::env::var(CHILD_SYNCING).unwrap().as_str() {
        "always" => Syncing::Always,
        _ => Syncing::Within(Duration::from_secs(3600)),
    };
    let options = Options { durability, segment_bytes: 100_000, ..Options::default() };
    let (log, _) = SegmentsLog::open(Path::new(&folder), options).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The test harness has begun a line.
    println!();
    runtime.block_on(async {
        let events = log.events();
        let mut last = events.end().await.unwrap();
        for _ in 0..count {
            let body = format!("event {}", last + 1).repeat(40);
            match events.try_append(&message("a", "id", body), Expect::Subject(last)).await {
                Ok(seq) => {
                    last = seq;
                    println!("answered {seq}");
                }
                Err(AppendError::Unknown(_)) => println!("unknown"),
                Err(AppendError::Stopped(_)) => println!("stopped"),
                Err(error) => panic!("{error}"),
            }
        }
    });
}

/// The same in groups of eight, several of which come to a new segment in their middle.
#[test]
fn child_that_appends_in_groups() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let options = Options { segment_bytes: 2_000, ..Options::default() };
    let (log, _) = SegmentsLog::open(Path::new(&folder), options).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!();
    let messages: Vec<_> =
        (0..80).map(|number| message(&number.to_string(), "id", "x".repeat(300))).collect();
    runtime.block_on(async {
        let events = log.events();
        for group in messages.chunks(8) {
            let appends = group.iter().map(|message| events.try_append(message, Expect::Subject(0)));
            for seq in futures::future::join_all(appends).await {
                println!("answered {}", seq.unwrap());
            }
        }
    });
}

/// Three appends, and the second is erased.
#[test]
fn child_that_erases() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let (log, _) = open(Path::new(&folder)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!();
    runtime.block_on(async {
        let events = log.events();
        for number in 1..=3 {
            println!("answered {}", put(&events, "a", format!("event {number}")).await);
        }
        events.erase(2).await.unwrap();
        println!("answered 4");
    });
}

fn child(through: &[&str], folder: &Path, syncing: &str, count: Seq) -> Command {
    child_of("segments::child_that_appends", through, folder, syncing, count)
}

fn child_of(name: &str, through: &[&str], folder: &Path, syncing: &str, count: Seq) -> Command {
    let test = std::env::current_exe().unwrap();
    let mut command = match through {
        [] => Command::new(&test),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&test);
            command
        }
    };
    command
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD_FOLDER, folder)
        .env(CHILD_SYNCING, syncing)
        .env(CHILD_COUNT, count.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

fn answer_in(line: &str) -> Option<Seq> {
    line.strip_prefix("answered ")?.trim().parse().ok()
}

#[test]
fn what_was_answered_outlives_a_kill_at_any_moment() {
    let scratch = Scratch::new();
    let folder = scratch.path().join("log");
    let mut last = 0;
    for round in 0..12 {
        let mut killed = child(&[], &folder, "always", Seq::MAX).spawn().unwrap();
        let mut lines = BufReader::new(killed.stdout.take().unwrap()).lines().map(Result::unwrap);
        let answers = lines.by_ref().filter(|line| answer_in(line).is_some()).take(1 + round * 7).count();
        assert_eq!(answers, 1 + round * 7);
        killed.kill().unwrap();
        last = lines.filter_map(|line| answer_in(&line)).last().unwrap_or(last + answers as Seq).max(last);
        killed.wait().unwrap();
        let (_log, recovery) = open(&folder).unwrap();
        let end = events_of(&recovery).end;
        assert!(end >= last, "position {last} was answered, and {end} is the end");
        last = end;
    }
}

/// What strace saw of the child's segment writes, syncs and answers: how many answers came while a record was
/// written and not synced, and how many came in all. `None` where there is no strace, or it may not trace.
fn answers_before_the_sync(child: &str, syncing: &str, count: usize) -> Option<(usize, usize)> {
    let scratch = Scratch::new();
    let trace = scratch.path().join("trace");
    let traced = "trace=fdatasync,fsync,write,pwrite64,rename";
    let through = ["strace", "-f", "-qq", "-y", "-s", "16", "-e", traced, "-o"];
    let through = [&through[..], &[trace.to_str().unwrap()]].concat();
    let output = child_of(child, &through, &scratch.path().join("log"), syncing, 20).output().ok()?;
    let said = String::from_utf8(output.stdout).unwrap();
    if said.lines().filter_map(answer_in).count() != count {
        return None;
    }
    let (mut early, mut answers) = (0, 0);
    let mut unsynced = BTreeSet::new();
    // The sync that each thread is in.
    let mut under_way = BTreeMap::new();
    for line in std::fs::read_to_string(trace).unwrap().lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let argument = |name: &str| {
            let rest = call.strip_prefix(name)?.strip_prefix('(')?;
            rest.split([',', ')', ' ']).next().map(str::to_owned)
        };
        if let Some(file) = argument("pwrite64").filter(|_| call.contains("\"cdr1")) {
            unsynced.insert(file);
        } else if call.starts_with("rename(") && call.contains("/streams/events/") {
            // The name is on the disk once the folder is synced.
            unsynced.insert("the folder".to_owned());
        } else if let Some(file) = argument("fdatasync").or_else(|| argument("fsync")) {
            let file = if file.ends_with("/streams/events>") { "the folder".to_owned() } else { file };
            if call.contains("= 0") {
                unsynced.remove(&file);
            } else if call.contains("unfinished") {
                under_way.insert(thread.to_owned(), file);
            }
        } else if call.contains("sync resumed>") && call.contains("= 0") {
            if let Some(file) = under_way.remove(thread) {
                unsynced.remove(&file);
            }
        } else if call.starts_with("write(1<") && call.contains("\"answered") {
            answers += 1;
            early += usize::from(!unsynced.is_empty());
        }
    }
    Some((early, answers))
}

#[test]
fn the_sync_comes_before_the_answer() {
    let child = "segments::child_that_appends";
    let Some(seen) = answers_before_the_sync(child, "always", 20) else {
        println!("skipped: strace is missing here, or may not trace");
        return;
    };
    assert_eq!(seen, (0, 20));
    // A group that fills one segment and goes on in the next is synced in both.
    let seen = answers_before_the_sync("segments::child_that_appends_in_groups", "always", 80).unwrap();
    assert_eq!(seen, (0, 80));
    // What is erased is erased on the disk.
    let seen = answers_before_the_sync("segments::child_that_erases", "always", 4).unwrap();
    assert_eq!(seen, (0, 4));
    // And this way of looking does see an answer that comes first.
    let (early, answers) = answers_before_the_sync(child, "within an hour", 20).unwrap();
    assert_eq!(answers, 20);
    assert!(early >= 19, "{early}");
}

#[test]
fn after_a_failed_sync_nothing_is_answered_any_more() {
    let scratch = Scratch::new();
    let folder = scratch.path().join("log");
    let trace = scratch.path().join("trace");
    let inject = "inject=fdatasync:error=EIO:when=8+";
    let through =
        ["strace", "-f", "-qq", "-e", "trace=fdatasync", "-e", inject, "-o", trace.to_str().unwrap()];
    let Ok(output) = child(&through, &folder, "always", 20).output() else {
        println!("skipped: strace is missing here");
        return;
    };
    let said = String::from_utf8(output.stdout).unwrap();
    let said: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("answered") || matches!(*line, "unknown" | "stopped"))
        .collect();
    if said.is_empty() {
        println!("skipped: strace may not trace here");
        return;
    }
    let answered = said.iter().take_while(|line| answer_in(line).is_some()).count();
    assert!((1..20).contains(&answered), "{said:?}");
    let rest = &said[answered..];
    // The failed sync may be that of the last answered position: then nothing is left unknown.
    assert!(rest.iter().skip(1).all(|line| *line == "stopped"), "{said:?}");
    let (_log, recovery) = open(&folder).unwrap();
    assert!(events_of(&recovery).end >= answered as Seq);
}
