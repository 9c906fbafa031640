//! Several desks on one seeded log in memory, on one thread, on a bad day: requests and answers lost, late and
//! doubled, outages. Whatever happens, every answered command is in the log once, each article's line is gapless, and
//! every instance folds to the same state.
//!
//! A run goes the same way every time; `COPYDESK_SEED` repeats one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use copydesk::desk::{Desk, propose};
use copydesk::log::memory::{Faults, MemoryLog};
use copydesk::log::{Content, Log};
use copydesk::store::{Store, fold};
use copydesk_article::answer::Answer;
use copydesk_article::command::{Command, Hints};
use copydesk_article::event::{self, Read};
use copydesk_article::problem::{Code, Problem};
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::path::newsroom;

const INSTANCES: usize = 3;
const WRITERS: usize = 8;
const ARTICLES: usize = 3;
const COMMANDS: usize = 12;
const SEEDS: u64 = 12;

/// SplitMix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

struct Instance {
    log: Arc<dyn Log>,
    store: Arc<Store>,
    desk: Desk,
    _folder: tempfile::TempDir,
}

impl Instance {
    fn new(log: MemoryLog, number: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path(), 1 << 20).unwrap();
        let (log, store): (Arc<dyn Log>, _) = (Arc::new(log), Arc::new(store));
        let salts = AtomicU64::new(number << 32);
        let salt = move || u128::from(salts.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
        let desk = Desk::new(Arc::clone(&log), Arc::clone(&store), "/copydesk", salt);
        Self { log, store, desk, _folder: folder }
    }

    /// Folds for ever; an outage is waited out.
    async fn fold(&self) {
        loop {
            let Err(error) = fold::run(&self.store, &*self.log).await;
            assert!(matches!(error, fold::FoldError::Log(_)), "{error}");
            self.log.clock().sleep(Duration::from_millis(10)).await;
        }
    }
}

fn command(dice: &mut Dice, article: Uuid, writer: usize, n: usize) -> Value {
    let id = Uuid::from_u128(u128::from(dice.roll(u64::MAX)) << 64 | u128::from(dice.roll(u64::MAX)));
    let words = format!("Writer {writer} wrote line {n}.");
    match dice.roll(4) {
        0 => json!({"id": id, "type": "ask", "article": article, "data": {"text": words, "blocking": false}}),
        1 => {
            json!({"id": id, "type": "edit", "article": article, "base": 1, "data": {"set": {"byline": words}}})
        }
        2 => json!({"id": id, "type": "edit", "article": article, "base": 1,
            "data": {"ops": [{"op": "replace", "block": "b1", "text": words}]}}),
        _ => json!({"id": id, "type": "edit", "article": article, "base": 1,
            "data": {"ops": [{"op": "insert", "after": "b1", "block": {"kind": "paragraph", "text": words}}]}}),
    }
}

/// Sends a command until it has a definite answer, to whichever instance the dice say.
async fn insist(instances: &[Instance], dice: &mut Dice, command: &Value) -> Result<Answer, Problem> {
    let read = Command::read(command.to_string().as_bytes(), Hints::default()).unwrap();
    loop {
        let instance = &instances[usize::try_from(dice.roll(INSTANCES as u64)).unwrap()];
        match instance.desk.command(&"ana".into(), &read).await {
            Err(problem)
                if matches!(problem.code, Code::LogUnavailable | Code::OutcomeUnknown | Code::Busy) =>
            {
                instance.log.clock().sleep(Duration::from_millis(5)).await;
            }
            definite => return definite,
        }
    }
}

fn simulate(seed: u64) {
    let world = MemoryLog::new(seed);
    let clock = world.test_clock();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answered: BTreeMap<Uuid, Answer> = runtime.block_on(clock.drive(async {
        propose(&world.handle(), &newsroom(), "/copydesk", [7; 16], false).await.unwrap();
        let instances: Vec<Instance> =
            (0..INSTANCES).map(|n| Instance::new(world.with_faults(Faults::rough()), n as u64 + 1)).collect();
        let folding = join_all(instances.iter().map(Instance::fold));
        let working = async {
            let articles: Vec<Uuid> = (0..ARTICLES).map(|n| Uuid::from_u128(n as u128 + 1)).collect();
            let mut dice = Dice(seed);
            let mut answered = BTreeMap::new();
            for article in &articles {
                let draft = json!({"id": Uuid::from_u128(u128::from(dice.roll(u64::MAX))), "type": "draft",
                    "article": article, "data": {"slug": "s", "language": "en",
                        "blocks": [{"kind": "paragraph", "text": "The first line."}]}});
                let answer = insist(&instances, &mut dice, &draft).await.unwrap();
                answered.insert(serde_json::from_value(draft["id"].clone()).unwrap(), answer);
            }
            let (instances, articles) = (&instances, &articles);
            let writers = (0..WRITERS).map(|writer| async move {
                let mut dice = Dice(seed ^ (writer as u64 + 1) << 40);
                let mut mine = BTreeMap::new();
                for n in 0..COMMANDS {
                    let article = articles[usize::try_from(dice.roll(ARTICLES as u64)).unwrap()];
                    let command = command(&mut dice, article, writer, n);
                    match insist(instances, &mut dice, &command).await {
                        Ok(answer) => {
                            mine.insert(serde_json::from_value(command["id"].clone()).unwrap(), answer);
                        }
                        Err(problem) => {
                            let expected = [Code::Conflict, Code::NothingNew];
                            assert!(expected.contains(&problem.code), "seed {seed}: {problem:?}");
                        }
                    }
                }
                mine
            });
            answered.extend(join_all(writers).await.into_iter().flatten());
            let end = world.handle().events().end().await.unwrap();
            join_all(instances.iter().map(|instance| instance.store.folded(end))).await;
            for instance in instances {
                for article in articles {
                    let fresh = fold::one(&*world.handle().events(), *article).await.unwrap().unwrap();
                    let stored = instance.store.article(*article).unwrap().unwrap();
                    assert_eq!(stored.article, fresh.article, "seed {seed}");
                }
            }
            answered
        };
        tokio::select! {
            _ = folding => unreachable!("folding never ends"),
            answered = working => answered,
        }
    }));
    runtime.block_on(every_answer_is_in_the_log_once(&world, &answered, seed));
}

async fn every_answer_is_in_the_log_once(world: &MemoryLog, answered: &BTreeMap<Uuid, Answer>, seed: u64) {
    let events = world.handle().events();
    let mut versions: BTreeMap<Arc<str>, u32> = BTreeMap::new();
    let mut found: BTreeMap<Uuid, (u64, Uuid)> = BTreeMap::new();
    for seq in 1..=events.end().await.unwrap() {
        let entry = events.get(seq).await.unwrap().unwrap();
        let Content::Message { body, .. } = entry.content else { panic!("nothing is erased here") };
        if let Read::Event(event) = event::read(&entry.subject, &body) {
            let version = versions.entry(Arc::clone(&event.subject)).or_default();
            *version += 1;
            assert_eq!(event.articleversion, *version, "seed {seed}: a gapless line");
            assert!(found.insert(event.command, (seq, event.id)).is_none(), "seed {seed}: written twice");
        }
    }
    for (command, answer) in answered {
        assert_eq!(
            found.get(command),
            Some(&(answer.seq, answer.event)),
            "seed {seed}: answered and not written"
        );
    }
    assert_eq!(found.len(), answered.len(), "seed {seed}: written and never answered");
}

#[test]
fn desks_that_race_on_a_bad_day_lose_nothing_and_repeat_nothing() {
    match std::env::var("COPYDESK_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => simulate(seed),
        None => (0..SEEDS).for_each(simulate),
    }
}
