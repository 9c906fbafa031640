//! Bad bytes on every door: documents of each kind, broken in ways that their own kind of reader may trip over, and
//! plain noise. What fails is made smaller by proptest until little is left of it.
//!
//! `COPYDESK_CASES=n` tries so many at each door, for hours by hand; `COPYDESK_SEED=n` draws others, or the same again.
//! For who has a nightly toolchain and cargo-fuzz the same doors stand in `fuzz/`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

mod backup;
mod documents;
mod door;
mod mutate;
mod nats;
mod network;
mod receivers;

use door::DOORS;
use mutate::{Mutation, mutation};

/// How many inputs each door gets in `./check`.
const CASES: u32 = 1_000;

/// The longest that one input may take here, in a build that isn't optimised and on a machine that does other things too.
const LONGEST: Duration = Duration::from_secs(10);

/// A run of so many cases for each that `./check` does, and the seed that it says where it fails.
fn runner(cases: u32) -> (TestRunner, u64) {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let seed = number("COPYDESK_SEED")
        .unwrap_or_else(|| u64::from_le_bytes(uuid::Uuid::new_v4().into_bytes()[..8].try_into().unwrap()));
    let cases =
        number("COPYDESK_CASES").map_or(cases, |all| (all * u64::from(cases) / u64::from(CASES)) as u32);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    (TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)), seed)
}

/// Where `COPYDESK_SEEDS` says so, a folder for each door with its documents, for a fuzzer to begin with, and a dictionary
/// of what they are made of and of what breaks them.
#[test]
fn a_fuzzer_gets_documents_and_words_to_begin_with() {
    let given = std::env::var_os("COPYDESK_SEEDS").map(PathBuf::from);
    let kept = given.is_none().then(|| tempfile::tempdir().unwrap());
    let folder = given.unwrap_or_else(|| kept.as_ref().unwrap().path().to_owned());
    let mut words: BTreeSet<Vec<u8>> = mutate::TOKENS.iter().map(|token| token.as_bytes().to_vec()).collect();
    for (door, _) in DOORS {
        let documents = documents::of(door);
        std::fs::create_dir_all(folder.join(door)).unwrap();
        for (number, document) in documents.iter().enumerate() {
            std::fs::write(folder.join(door).join(number.to_string()), document).unwrap();
        }
        let quoted = documents.iter().flat_map(|document| document.split('"'));
        let short = |word: &&str| (2..40).contains(&word.len()) && !word.contains('\n');
        words.extend(quoted.filter(short).map(|word| word.as_bytes().to_vec()));
    }
    let escaped = |word: &Vec<u8>| word.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let lines: String = words.iter().map(|word| format!("\"{}\"\n", escaped(word))).collect();
    std::fs::write(folder.join("words.dict"), lines).unwrap();
    assert!(words.len() > 200 && folder.join("command/0").is_file());
}

/// A document, or noise, and what is done to it.
fn broken() -> impl Strategy<Value = (Index, Index, Vec<Mutation>, Option<Vec<u8>>)> {
    let noise = proptest::option::weighted(0.1, proptest::collection::vec(any::<u8>(), 0..300));
    (any::<Index>(), any::<Index>(), proptest::collection::vec(mutation(), 0..5), noise)
}

fn knock(name: &str) {
    let door = |bytes: &[u8]| door::knock(name, bytes);
    let documents = documents::of(name);
    for document in &documents {
        door(document.as_bytes());
    }
    let (mut runner, seed) = runner(CASES);
    let begun = Instant::now();
    let tried = std::cell::Cell::new(0_u64);
    let result = runner.run(&broken(), |(first, second, mutations, noise)| {
        let mut bytes = noise.unwrap_or_else(|| first.get(&documents).as_bytes().to_vec());
        let another = second.get(&documents).as_bytes();
        mutations.iter().for_each(|mutation| mutation.apply(&mut bytes, another));
        let asked = Instant::now();
        door(&bytes);
        prop_assert!(asked.elapsed() < LONGEST, "{} bytes took {:?}", bytes.len(), asked.elapsed());
        tried.set(tried.get() + 1);
        Ok(())
    });
    println!("{name}: {} inputs in {:?}", tried.get(), begun.elapsed());
    if let Err(error) = result {
        panic!("COPYDESK_SEED={seed} repeats it at the door of {name}: {error}");
    }
}

#[test]
fn no_bytes_at_any_door_panic_or_take_long_and_what_is_read_reads_back() {
    DOORS.iter().for_each(|(name, _)| knock(name));
}
