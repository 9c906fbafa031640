//! The scheduler: one thread, and the dice say which of the tasks that are woken is polled next.
//!
//! A task can be dropped at any await point, as a kill would, or left alone for a while, as a stopped process or a busy
//! machine would. Time passes when the dice say so, and whenever nobody has anything to do.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use copydesk::log::clock::TestClock;

use super::dice::Dice;

/// More steps than any run needs that comes to an end: those that were watched took some 750.
const MOST_STEPS: u64 = 30_000;

/// Whose task it is: what dies together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(pub u64);

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// Spawns and kills tasks; clones are the same scheduler.
#[derive(Clone)]
pub struct Scheduler {
    tasks: Rc<RefCell<Vec<Task>>>,
    woken: Arc<Mutex<Vec<usize>>>,
    pub clock: TestClock,
}

struct Task {
    owner: Owner,
    /// None while it is polled, and once it has ended or was killed.
    work: Option<Work>,
    flag: Arc<Flag>,
    /// Not polled before this step.
    stopped_until: u64,
}

/// A task's waker.
struct Flag {
    task: usize,
    up: AtomicBool,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.up.swap(true, Ordering::Relaxed) {
            self.woken.lock().unwrap().push(self.task);
        }
    }
}

impl Scheduler {
    pub fn new(clock: TestClock) -> Self {
        Self { tasks: Rc::default(), woken: Arc::default(), clock }
    }

    pub fn spawn(&self, owner: Owner, work: impl Future<Output = ()> + 'static) {
        let mut tasks = self.tasks.borrow_mut();
        let flag =
            Arc::new(Flag { task: tasks.len(), up: AtomicBool::new(false), woken: Arc::clone(&self.woken) });
        flag.wake_by_ref();
        tasks.push(Task { owner, work: Some(Box::pin(work)), flag, stopped_until: 0 });
    }

    /// Drops an owner's tasks where they stand. Not to be called by one of them.
    pub fn kill(&self, owner: Owner) {
        let dead: Vec<Work> = {
            let mut tasks = self.tasks.borrow_mut();
            tasks.iter_mut().filter(|task| task.owner == owner).filter_map(|task| task.work.take()).collect()
        };
        // What they held may wake others, or ask the scheduler something.
        drop(dead);
    }

    /// Leaves an owner's tasks alone for some steps, or one of them only.
    pub fn stop(&self, owner: Owner, only: Option<usize>, until: u64) {
        let mut tasks = self.tasks.borrow_mut();
        let theirs = tasks.iter_mut().filter(|task| task.owner == owner && task.work.is_some());
        let mut theirs: Vec<_> = theirs.collect();
        match only {
            Some(one) if !theirs.is_empty() => {
                let at = one % theirs.len();
                theirs[at].stopped_until = until;
            }
            _ => theirs.into_iter().for_each(|task| task.stopped_until = until),
        }
    }

    /// Lets everybody go on.
    pub fn go_on(&self) {
        self.tasks.borrow_mut().iter_mut().for_each(|task| task.stopped_until = 0);
    }

    /// Runs until `done`, and says how many steps that took and what they were, as a hash.
    pub fn run(&self, dice: &mut Dice, step: &Rc<std::cell::Cell<u64>>, done: impl Fn() -> bool) -> u64 {
        let mut trace = 0xcbf2_9ce4_8422_2325_u64;
        while !done() {
            step.set(step.get() + 1);
            assert!(step.get() < MOST_STEPS, "the run comes to no end");
            self.let_time_pass(dice);
            let Some(task) = self.next(dice, step.get()) else { continue };
            trace = (trace ^ task as u64).wrapping_mul(0x0100_0000_01b3);
            self.poll(task);
        }
        trace
    }

    fn let_time_pass(&self, dice: &mut Dice) {
        match dice.roll(400) {
            // Longer than anybody's patience.
            0 if dice.once_in(4) => self.clock.advance(Duration::from_secs(11)),
            0 => self.clock.advance(Duration::from_millis(dice.draw() % 2_000)),
            1..=100 => self.clock.advance(Duration::from_micros(dice.draw() % 3_000)),
            _ => {}
        }
    }

    /// The task that is polled next; none where time had to pass first.
    fn next(&self, dice: &mut Dice, step: u64) -> Option<usize> {
        let mut tasks = self.tasks.borrow_mut();
        let mut woken = self.woken.lock().unwrap();
        woken.retain(|task| tasks[*task].work.is_some());
        // tokio's watch wakes those who wait in an order of its own.
        woken.sort_unstable();
        let mut ready: Vec<usize> =
            (0..woken.len()).filter(|at| tasks[woken[*at]].stopped_until <= step).collect();
        if ready.is_empty() {
            let next = self.clock.next_waking();
            if woken.is_empty() || (next.is_some() && !dice.once_in(3)) {
                drop((woken, tasks));
                let next = next.expect("somebody waits for an hour");
                self.clock.set(next);
                return None;
            }
            tasks.iter_mut().for_each(|task| task.stopped_until = 0);
            ready = (0..woken.len()).collect();
        }
        Some(woken.swap_remove(*dice.pick(&ready)))
    }

    fn poll(&self, at: usize) {
        let (work, flag) = {
            let mut tasks = self.tasks.borrow_mut();
            (tasks[at].work.take(), Arc::clone(&tasks[at].flag))
        };
        let Some(mut work) = work else { return };
        flag.up.store(false, Ordering::Relaxed);
        let waker = Waker::from(flag);
        if work.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.tasks.borrow_mut()[at].work = Some(work);
        }
    }
}

impl Scheduler {
    /// Drops whatever there is.
    pub fn end(&self) {
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        drop(tasks);
    }
}
