//! Where the wire goes on: two editions stand side by side in the log, and the writer is interrupted between them in each
//! way in which it can be. One position too early sends the first again, one too late never sends the second.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use copydesk::desk::Desk;
use copydesk::log::memory::{Fault, MemoryLog};
use copydesk::log::{Content, Expect, Log, Message, Seq};
use copydesk::store::{Store, fold};
use copydesk::wire::message::Stamp;
use copydesk::wire::writer::{self, WireError};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::prepared;
use super::world::now;

/// More failures in a row than a writer has the patience for.
const TOO_MANY: usize = 60;

/// A writer looks at each of the two editions once or twice.
const MORE_THAN_TWICE_BOTH: usize = 8;

/// A log that ends before its two editions, and what is still to come.
struct Line {
    log: MemoryLog,
    whole: MemoryLog,
    db: sled::Db,
}

impl Line {
    /// The newsroom and both stories, up to before the first edition.
    fn new() -> Self {
        let whole = MemoryLog::new(3);
        prepared::write(&whole, 3);
        let line = Self { log: MemoryLog::new(4), whole, db: super::sled() };
        (0..line.last() - 2).for_each(|_| line.goes_on());
        line
    }

    /// Where the second edition stands; the first right before it.
    fn last(&self) -> Seq {
        now(self.whole.events().end())
    }

    /// The next event is written.
    fn goes_on(&self) {
        self.goes_on_with(|body| body);
    }

    /// The same, its bytes changed.
    fn goes_on_with(&self, change: impl Fn(Bytes) -> Bytes) {
        let events = self.log.events();
        let entry = now(self.whole.events().get(now(events.end()) + 1)).unwrap();
        let Content::Message { headers, body } = entry.content else { panic!("nothing is erased here") };
        let last = now(events.last_on(&entry.subject)).map_or(0, |entry| entry.seq);
        let (id, body) = (entry.seq.to_string(), change(body));
        let message = Message { subject: entry.subject, id, headers, body };
        now(events.try_append(&message, Expect::Subject(last)));
    }

    /// An instance on it, as after a restart: what it had folded is in its tree.
    fn instance(&self, tree: &str) -> Instance {
        let log: Arc<dyn Log> = Arc::new(self.log.handle());
        let store = Arc::new(Store::inside(&self.db, tree, Path::new("/nowhere")).unwrap().0);
        let desk = Arc::new(Desk::new(log, store, "/copydesk", || [1; 16]));
        Instance { desk, running: None }
    }

    /// What of each message on the wire tells which it is, and its count; none of an erased one.
    fn wire(&self) -> Vec<Option<(Seq, u64)>> {
        let wire = self.log.wire();
        let message = |seq| match now(wire.get(seq)).unwrap().content {
            Content::Message { headers, .. } => {
                let number = |name: &str| {
                    headers.iter().find(|(known, _)| known == name).unwrap().1.parse::<u64>().unwrap()
                };
                Some((number("Copydesk-Seq"), number("Copydesk-Count")))
            }
            Content::Erased { .. } => None,
        };
        (1..=now(wire.end())).map(message).collect()
    }

    fn has_both_once(&self) {
        assert_eq!(self.wire(), [Some((self.last() - 1, 1)), Some((self.last(), 2))]);
    }
}

struct Instance {
    desk: Arc<Desk>,
    running: Option<BoxFuture<'static, WireError>>,
}

impl Instance {
    /// Folds what there is, into its tree.
    fn fold(&self) {
        now(fold::catch_up(self.desk.store(), &**self.desk.log(), |_, _| {}));
    }

    /// Lets its writer do all that there is to do; says why it stopped, if it did. Its messages bear this stamp.
    fn write(&mut self, line: &Line, stamp: u64) -> Option<WireError> {
        let desk = Arc::clone(&self.desk);
        let mut running = self.running.take().unwrap_or_else(|| {
            Box::pin(async move {
                let looked_at = AtomicUsize::new(0);
                let stamp = || {
                    let looked_at = looked_at.fetch_add(1, Ordering::Relaxed);
                    assert!(looked_at < MORE_THAN_TWICE_BOTH, "the same editions again and again");
                    Some(Stamp { size: stamp, root: [7; 32] })
                };
                let Err(error) = writer::run(&desk, stamp, |_| {}).await;
                error
            })
        });
        let ended = line.log.test_clock().drive(&mut running).now_or_never();
        if ended.is_none() {
            self.running = Some(running);
        }
        ended
    }

    fn writes(&mut self, line: &Line) {
        self.fold();
        if let Some(error) = self.write(line, 1) {
            panic!("the wire stops: {error}");
        }
    }
}

#[test]
fn one_after_the_other_and_both_at_once() {
    let line = Line::new();
    let mut instance = line.instance("a");
    for _ in 0..2 {
        line.goes_on();
        instance.writes(&line);
    }
    line.has_both_once();
    // Nothing is left over for whoever looks again, or comes anew.
    instance.writes(&line);
    line.instance("a").writes(&line);
    line.instance("new").writes(&line);
    line.has_both_once();

    let line = Line::new();
    (0..2).for_each(|_| line.goes_on());
    line.instance("a").writes(&line);
    line.has_both_once();
}

#[test]
fn after_a_restart() {
    for tree in ["a", "emptied"] {
        let line = Line::new();
        line.goes_on();
        line.instance("a").writes(&line);
        assert_eq!(line.wire().len(), 1);
        line.goes_on();
        line.instance(tree).writes(&line);
        line.has_both_once();
    }
}

#[test]
fn after_a_publication_that_failed_whether_it_was_written_or_not() {
    for first in [Fault::AnswerLost, Fault::RequestLost, Fault::Unavailable] {
        let line = Line::new();
        (0..2).for_each(|_| line.goes_on());
        let broken = line.log.handle();
        broken.inject("wire", first);
        (0..TOO_MANY).for_each(|_| broken.inject("wire", Fault::Unavailable));
        let store = Arc::clone(line.instance("a").desk.store());
        let desk = Arc::new(Desk::new(Arc::new(broken), store, "/copydesk", || [1; 16]));
        let mut instance = Instance { desk, running: None };
        instance.fold();
        let mut failures = 0;
        while let Some(error) = instance.write(&line, 1) {
            assert!(error.may_pass(), "{error}");
            failures += 1;
        }
        assert!(failures > 0, "it failed for longer than it has patience");
        line.has_both_once();
    }
}

#[test]
fn after_another_instance_was_first() {
    let line = Line::new();
    let (mut one, mut other) = (line.instance("one"), line.instance("other"));
    // Both stand before the first edition.
    one.writes(&line);
    other.fold();
    assert!(other.write(&line, 2).is_none());
    line.goes_on();
    one.writes(&line);
    assert_eq!(line.wire().len(), 1);
    line.goes_on();
    other.fold();
    assert!(other.write(&line, 2).is_none());
    line.has_both_once();
    one.writes(&line);
    line.has_both_once();
}

#[test]
fn after_messages_that_were_erased() {
    let line = Line::new();
    line.goes_on();
    line.instance("a").writes(&line);
    now(line.log.wire().erase(1));
    line.instance("a").writes(&line);
    assert_eq!(line.wire(), [None], "it is known by its hash");
    line.goes_on();
    line.instance("a").writes(&line);
    assert_eq!(line.wire(), [None, Some((line.last(), 2))]);
    now(line.log.wire().erase(2));
    line.instance("a").writes(&line);
    assert_eq!(line.wire(), [None, None]);

    // What it was can't be told: nothing is sent rather than something twice.
    let line = Line::new();
    line.goes_on();
    line.instance("a").writes(&line);
    now(line.log.wire().erase_as(1, [9; 32]));
    line.goes_on();
    let mut instance = line.instance("a");
    instance.fold();
    assert!(matches!(instance.write(&line, 1), Some(WireError::Erased(1))));
    assert_eq!(line.wire(), [None]);
}

/// Of a log that lost its tail the fold still has what the log doesn't.
#[test]
fn nothing_goes_out_while_what_is_folded_is_not_what_the_log_has() {
    let line = Line::new();
    line.goes_on();
    let mut instance = line.instance("a");
    instance.fold();
    instance.desk.halt("the tail is lost", true);
    for (agreed, sent) in [(false, 0), (true, 1)] {
        if agreed {
            instance.desk.go_on();
        }
        assert!(instance.write(&line, 1).is_none());
        assert_eq!(line.wire().len(), sent);
    }
}

/// As a build that folds otherwise than the one that decided would find it: what nobody approved goes nowhere.
#[test]
fn never_with_another_edition_than_was_decided() {
    let line = Line::new();
    line.goes_on_with(|body| {
        let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let decided = event["editiondigest"].as_str().unwrap();
        String::from_utf8_lossy(&body).replace(decided, &"0".repeat(64)).into_bytes().into()
    });
    let mut instance = line.instance("a");
    instance.fold();
    for at_hand in [true, false] {
        let stopped = instance.write(&line, 1);
        assert!(matches!(stopped, Some(WireError::OtherDigest(_))), "{at_hand}: {stopped:?}");
        assert!(line.wire().is_empty());
        // And read from the log.
        instance = line.instance("a");
    }
}
