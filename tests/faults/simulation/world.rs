//! The world of a run: one log in memory, and the instances on it, with all that an instance runs but its gateways.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use copydesk::audit::{Audit, AuditError, Key};
use copydesk::desk::{Desk, clock, erasing};
use copydesk::log::memory::{Faults, MemoryLog};
use copydesk::log::{Log, Seq};
use copydesk::store::fold::{self, FoldError};
use copydesk::store::{Store, StoreError};
use copydesk::wire::message::Stamp;
use copydesk::wire::writer;
use copydesk_article::answer::Answer;
use copydesk_article::command::Command;
use copydesk_article::problem::Problem;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{Either, pending, select};

use super::dice::Dice;
use super::scheduler::{Owner, Scheduler};

/// How many instances there are at most; in every second run one less.
const INSTANCES: usize = 3;

/// The owner of what no crash ends: senders, and whoever makes the faults.
pub const OUTSIDE: Owner = Owner(0);

/// What lasts of an instance while it is down: its folded state, in a tree of a sled that all share.
pub struct Machine {
    tree: sled::Tree,
    name: String,
    /// Its life, and what is up of it. None while it is down or starts.
    life: Cell<u64>,
    up: RefCell<Option<Rc<Instance>>>,
    /// The state as it was some time ago.
    yesterday: RefCell<Contents>,
}

/// Everything in a tree of sled's.
pub type Contents = Vec<(sled::IVec, sled::IVec)>;

/// With which state an instance starts again.
#[derive(Debug, Clone, Copy)]
pub enum Found {
    AsItWas,
    Nothing,
    Yesterdays,
}

/// A running instance.
pub struct Instance {
    pub store: Arc<Store>,
    desk: Arc<Desk>,
    audit: Arc<Audit>,
    log: Arc<MemoryLog>,
    dyn_log: Arc<dyn Log>,
}

pub struct World {
    pub log: MemoryLog,
    pub scheduler: Scheduler,
    pub machines: Vec<Machine>,
    db: sled::Db,
    lives: Cell<u64>,
    salts: Arc<AtomicU64>,
    key: Key,
    /// What can't be, and is.
    pub wrong: RefCell<Vec<String>>,
}

/// What an attempt to send came to, and between which ends of the log it was decided.
pub struct Attempted {
    pub result: Option<Result<Answer, Problem>>,
    pub from: Seq,
    pub to: Seq,
    /// The log's hours at both.
    pub hours: [chrono::DateTime<chrono::Utc>; 2],
}

impl World {
    pub fn new(seed: u64, db: &sled::Db) -> Rc<Self> {
        let log = MemoryLog::new(seed);
        let machine = |n| {
            let name = format!("instance-{n}");
            let tree = db.open_tree(&name).unwrap();
            tree.clear().unwrap();
            Machine { tree, name, life: Cell::new(0), up: RefCell::default(), yesterday: RefCell::default() }
        };
        Rc::new(Self {
            scheduler: Scheduler::new(log.test_clock()),
            log,
            machines: (0..INSTANCES - usize::from(seed.is_multiple_of(2))).map(machine).collect(),
            db: db.clone(),
            lives: Cell::new(0),
            salts: Arc::new(AtomicU64::new(1)),
            key: Key::new("sim", &[7; 32]).unwrap(),
            wrong: RefCell::default(),
        })
    }

    pub fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.log.clock().now()
    }

    /// The log's end, as nobody in the world can know it without asking.
    pub fn end(&self) -> Seq {
        now(self.log.events().end())
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Starts an instance that is down.
    pub fn start(self: &Rc<Self>, number: usize, found: Found) {
        let machine = &self.machines[number];
        self.lives.set(self.lives.get() + 1);
        machine.life.set(self.lives.get());
        match found {
            Found::AsItWas => {}
            Found::Nothing => machine.tree.clear().unwrap(),
            Found::Yesterdays => {
                machine.tree.clear().unwrap();
                let mut batch = sled::Batch::default();
                machine.yesterday.borrow().iter().for_each(|(key, value)| batch.insert(key, value));
                machine.tree.apply_batch(batch).unwrap();
            }
        }
        let world = Rc::clone(self);
        self.scheduler.spawn(Owner(machine.life.get()), async move { world.live(number).await });
    }

    /// Ends an instance where it stands.
    pub fn crash(&self, number: usize) {
        let machine = &self.machines[number];
        self.scheduler.kill(Owner(machine.life.get()));
        *machine.up.borrow_mut() = None;
    }

    /// Keeps the state as it is, to come back to.
    pub fn keep(&self, number: usize) {
        let machine = &self.machines[number];
        *machine.yesterday.borrow_mut() = contents(&machine.tree);
    }

    pub fn up(&self, number: usize) -> Option<Rc<Instance>> {
        self.machines[number].up.borrow().clone()
    }

    /// One that is up, if any is.
    pub fn any_up(&self, dice: &mut Dice) -> Option<(usize, Rc<Instance>)> {
        let (first, count) = (dice.roll(self.machines.len()), self.machines.len());
        (first..first + count).find_map(|n| Some((n % count, self.up(n % count)?)))
    }

    pub fn owner(&self, number: usize) -> Owner {
        Owner(self.machines[number].life.get())
    }

    /// As the service opens and starts: folds to the log's end, looks at the checkpoints, and then everything at once.
    async fn live(self: Rc<Self>, number: usize) {
        let machine = &self.machines[number];
        let log = Arc::new(self.log.with_faults(Faults::rough()));
        let dyn_log: Arc<dyn Log> = Arc::clone(&log) as Arc<dyn Log>;
        let (store, _) = Store::inside(&self.db, &machine.name, Path::new("/nowhere")).unwrap();
        let store = Arc::new(store);
        let salts = Arc::clone(&self.salts);
        let salt = move || u128::from(salts.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
        let desk = Arc::new(Desk::new(Arc::clone(&dyn_log), Arc::clone(&store), "/copydesk", salt));
        let audit = loop {
            match Audit::open(Arc::clone(&dyn_log), Arc::clone(&store), self.key.clone()).await {
                Ok(audit) => break Arc::new(audit),
                Err(_) => log.clock().sleep(Duration::from_millis(500)).await,
            }
        };
        let instance = Rc::new(Instance { store, desk, audit, log, dyn_log });
        while let Err(error) = fold::catch_up(&instance.store, &*instance.dyn_log, |_, _| {}).await {
            self.look_at_fold(&error);
            instance.log.clock().sleep(Duration::from_millis(500)).await;
        }
        let owner = Owner(machine.life.get());
        *machine.up.borrow_mut() = Some(Rc::clone(&instance));
        let world = || (Rc::clone(&self), Rc::clone(&instance));
        let (world_of, of) = world();
        self.scheduler.spawn(owner, async move { of.fold(&world_of).await });
        let desk = Arc::clone(&instance.desk);
        self.scheduler.spawn(owner, async move { match clock::keep_time(desk).await {} });
        let desk = Arc::clone(&instance.desk);
        self.scheduler.spawn(owner, async move { match erasing::keep_erasing(desk).await {} });
        let (world_of, of) = world();
        self.scheduler.spawn(owner, async move { of.write_wire(&world_of).await });
        let (world_of, of) = world();
        self.scheduler.spawn(owner, async move { of.keep_checkpoints(&world_of).await });
    }

    fn look_at_fold(&self, error: &FoldError) {
        if !matches!(error, FoldError::Log(_)) {
            self.wrong.borrow_mut().push(format!("the fold stops: {error}"));
        }
    }

    /// Sends a command to an instance; what it came to is told, and nothing where the instance dies meanwhile. Where who
    /// sent it `hangs_up` when it listens no more, deciding is dropped where it stands, as a gateway does.
    pub fn send(
        self: &Rc<Self>,
        number: usize,
        instance: &Rc<Instance>,
        actor: &Arc<str>,
        command: &Arc<Command>,
        hangs_up: bool,
    ) -> oneshot::Receiver<Attempted> {
        let (mut tell, told) = oneshot::channel();
        let (world, instance) = (Rc::clone(self), Rc::clone(instance));
        let (actor, command) = (Arc::clone(actor), Arc::clone(command));
        let (from, hour) = (self.end(), self.now());
        self.scheduler.spawn(self.owner(number), async move {
            let deciding = instance.desk.command(&actor, &command);
            let hung_up = async { if hangs_up { tell.cancellation().await } else { pending().await } };
            let result = match select(pin!(deciding), pin!(hung_up)).await {
                Either::Left((result, _)) => result,
                Either::Right(((), _)) => return,
            };
            let attempted =
                Attempted { result: Some(result), from, to: world.end(), hours: [hour, world.now()] };
            // A sender may have gone away.
            let _ = tell.send(attempted);
        });
        told
    }
}

impl Instance {
    pub fn set_skew(&self, skew: TimeDelta) {
        self.log.set_skew(skew);
    }

    /// The service's own loop around the fold.
    async fn fold(&self, world: &World) {
        loop {
            let round = async {
                fold::catch_up(&self.store, &*self.dyn_log, |_, _| {}).await?;
                match self.audit.agrees().await {
                    Err(AuditError::Diverged(why)) => return Err(FoldError::Diverged(why)),
                    Err(AuditError::Log(error)) => return Err(error.into()),
                    Err(error) => return Err(StoreError::Failed(error.to_string()).into()),
                    Ok(()) => {}
                }
                fold::run(&self.store, &*self.dyn_log).await
            };
            let Err(error) = round.await;
            world.look_at_fold(&error);
            self.log.clock().sleep(Duration::from_millis(500)).await;
        }
    }

    async fn write_wire(&self, world: &World) {
        let newest = || self.audit.newest().map(|signed| Stamp { size: signed.size, root: signed.root });
        loop {
            let Err(error) = writer::run(&self.desk, newest, |_| {}).await;
            if !error.may_pass() {
                world.wrong.borrow_mut().push(format!("the wire stops: {error}"));
            }
            self.log.clock().sleep(Duration::from_secs(1)).await;
        }
    }

    async fn keep_checkpoints(&self, world: &World) {
        loop {
            let Err(error) = self.audit.run(true).await;
            if !matches!(error, AuditError::Log(_)) {
                world.wrong.borrow_mut().push(format!("no checkpoint is signed: {error}"));
            }
            self.log.clock().sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Everything in a tree.
pub fn contents(tree: &sled::Tree) -> Contents {
    tree.iter().collect::<Result<_, _>>().unwrap()
}

impl World {
    /// What sled has of each instance, and of an instance that is folded now from nothing.
    pub fn states(&self) -> (Vec<Contents>, Arc<Store>, Contents) {
        let tree = self.db.open_tree("fresh").unwrap();
        tree.clear().unwrap();
        let (fresh, _) = Store::inside(&self.db, "fresh", Path::new("/nowhere")).unwrap();
        now(fold::catch_up(&fresh, &self.log, |_, _| {}));
        let theirs = self.machines.iter().map(|machine| contents(&machine.tree)).collect();
        (theirs, Arc::new(fresh), contents(&tree))
    }
}

/// What is had without waiting, on a line on which nothing goes wrong.
pub fn now<T, E: std::fmt::Debug>(future: impl Future<Output = Result<T, E>>) -> T {
    future.now_or_never().expect("nothing waits on this line").unwrap()
}
