//! A house: instances on one log, what is done to them, and what they hold at the end.
//!
//! # Layout
//! - this file: building it, and faults. [`gather`]: what log, wire and instances hold; [`shown`]: what these show. [`watch`]: those who look on
//!   while it is under way; [`receive`]: receivers of webhooks. [`said`]: stderr.
//! - [`process`], [`instance`], [`server`]: what runs. [`cluster`], [`links`]: NATS servers and the network.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use futures::future::join_all;
use tokio::task::JoinSet;

use super::LogKind;
use super::dice::Dice;
use super::fault::{Damage, Fault, Whom};
use super::load::Shared;
use super::load::doors::Doors;
use cluster::Servers;
use instance::Instance;
use links::Weather;
use receive::Receivers;

mod cluster;
mod gather;
mod instance;
mod links;
mod process;
mod receive;
mod said;
mod server;
mod shown;
mod watch;

pub(super) use instance::token;
pub use server::binary as nats_server;

/// What a house is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The copydesk that is tortured.
    pub binary: PathBuf,
    /// Where its log is.
    pub log: LogKind,
    /// How many instances: one on an embedded log.
    pub instances: usize,
    /// The nats-server, where one is needed.
    pub nats_server: Option<PathBuf>,
}

/// A house.
#[derive(Debug)]
pub(super) struct House {
    pub(super) shared: Arc<Shared>,
    log: LogKind,
    instances: Vec<Instance>,
    servers: Option<Servers>,
    watchers: JoinSet<()>,
    /// While it is up, no receiver of webhooks fails but the one that never answers.
    receivers_are_calm: Arc<AtomicBool>,
    /// The key that its checkpoints are signed with, as it was first seen.
    key: Option<String>,
}

impl House {
    /// Builds it in a folder and starts it.
    pub(super) async fn build(setup: &Setup, folder: &Path, dice: &mut Dice) -> anyhow::Result<Self> {
        let servers = match (setup.log, &setup.nats_server) {
            (LogKind::Embedded, _) => None,
            (LogKind::Nats, Some(binary)) => Some(Servers::alone(binary, folder).await?),
            (LogKind::Cluster, Some(binary)) => Some(Servers::cluster(binary, folder).await?),
            (_, None) => anyhow::bail!("there is no nats-server"),
        };
        let receivers = Receivers::bind().await?;
        let webhooks = receivers.config()?;
        let mut instances = Vec::new();
        let count = if setup.log == LogKind::Embedded { 1 } else { setup.instances.max(1) };
        for number in 0..count {
            let log = match &servers {
                None => String::new(),
                Some(servers) => format!(
                    "[log]\nkind = \"nats\"\ndurability = \"always\"\n[nats]\nurl = \"{}\"\nreplicas = {}",
                    servers.url(number),
                    servers.replicas()
                ),
            };
            let (folder, more) = (folder.join(format!("instance-{number}")), format!("{log}\n{webhooks}"));
            instances.push(Instance::new(&setup.binary, folder, &more)?);
        }
        let client = match &servers {
            Some(servers) => Some(servers.client().await?),
            None => None,
        };
        let shared = Arc::new(Shared::new(Doors::new(count, client.clone())));
        let mut watchers = JoinSet::new();
        let receivers_are_calm = receivers.start(&shared, &mut watchers, dice);
        let mut house =
            Self { shared, log: setup.log, instances, servers, watchers, receivers_are_calm, key: None };
        house.start(Whom::All).await?;
        watch::start(&house.shared, client, &mut house.watchers, dice);
        Ok(house)
    }

    fn numbers(&self, whom: Whom) -> Vec<usize> {
        match whom {
            Whom::One(number) => vec![number % self.instances.len().max(1)],
            Whom::All => (0..self.instances.len()).collect(),
        }
    }

    async fn start(&mut self, whom: Whom) -> anyhow::Result<()> {
        let numbers = self.numbers(whom);
        let chosen = self.instances.iter_mut().enumerate().filter(|(number, _)| numbers.contains(number));
        let started = chosen.map(|(number, one)| async move { (number, one.start().await) });
        for (number, url) in join_all(started).await {
            let url = url.with_context(|| format!("instance {number}"))?;
            self.shared.doors.moved(number, Some(&url));
        }
        Ok(())
    }

    fn kill(&mut self, whom: Whom) {
        for number in self.numbers(whom) {
            if let Some(instance) = self.instances.get_mut(number) {
                instance.kill();
            }
            self.shared.doors.moved(number, None);
        }
    }

    /// Does what a fault says, and undoes it.
    ///
    /// # Errors
    /// Where something can't be started again.
    pub(super) async fn suffer(&mut self, fault: Fault, dice: &mut Dice) -> anyhow::Result<()> {
        self.note_ends();
        match fault {
            Fault::Kill(whom) => {
                self.kill(whom);
                self.keep_states(whom)?;
                self.start(whom).await?;
            }
            Fault::Terminate(whom) => {
                let numbers = self.numbers(whom);
                let chosen =
                    self.instances.iter_mut().enumerate().filter(|(number, _)| numbers.contains(number));
                let ended = join_all(chosen.map(|(_, instance)| instance.terminate())).await;
                for number in numbers {
                    self.shared.doors.moved(number, None);
                }
                self.shared.journal().conduct.extend(ended.into_iter().flatten());
                self.start(whom).await?;
            }
            Fault::Stop(whom, time) => {
                let numbers = self.numbers(whom);
                let chosen = || numbers.iter().filter_map(|number| self.instances.get(*number));
                chosen().for_each(Instance::stop);
                tokio::time::sleep(time).await;
                chosen().for_each(Instance::go_on);
            }
            Fault::EmptyState(one) => self.with_state(one, |state, _| remove(state)).await?,
            Fault::OldState(one) => {
                self.with_state(one, |state, kept| {
                    if kept.exists() {
                        remove(state)?;
                        std::fs::rename(kept, state)?;
                    }
                    Ok(())
                })
                .await?;
            }
            Fault::DamageState(one, damage) => {
                let mut dice = dice.clone();
                self.with_state(one, |state, _| spoil(state, damage, &mut dice)).await?;
            }
            Fault::Idle(one, time) => self.idle(one, time).await,
            _ => self.suffer_of_servers(fault).await?,
        }
        Ok(())
    }

    /// Has a crowd come that takes nothing of what it is sent, while the others go on.
    async fn idle(&self, one: usize, time: Duration) {
        let before = self.use_of().0;
        let one = self.numbers(Whom::One(one)).first().copied().unwrap_or_default();
        let nats = self.servers.as_ref().and_then(Servers::a_port);
        watch::take_nothing(self.shared.doors.url(one), nats, time).await;
        let after = self.use_of().0;
        if after > before + MOST_FOR_IDLE_BYTES {
            let (before, after) = (before >> 20, after >> 20);
            let what =
                format!("instance {one} went from {before} to {after} MiB for readers who take nothing");
            self.shared.journal().conduct.push(what);
        }
    }

    async fn suffer_of_servers(&mut self, fault: Fault) -> anyhow::Result<()> {
        let client = match &self.servers {
            Some(servers) if fault == Fault::KillLeader => Some(servers.client().await?),
            _ => None,
        };
        let Some(servers) = &mut self.servers else { return Ok(()) };
        let count = servers.replicas();
        match fault {
            Fault::KillServer(one) => {
                servers.kill(one);
                servers.start(one).await?;
            }
            Fault::KillTwoServers(spared, time) => {
                let others = [spared + 1, spared + 2];
                others.iter().for_each(|one| servers.kill(*one));
                tokio::time::sleep(time).await;
                for one in others {
                    servers.start(one).await?;
                }
            }
            Fault::KillAllServers => {
                (0..count).for_each(|one| servers.kill(one));
                for one in 0..count {
                    servers.start(one).await?;
                }
            }
            Fault::KillLeader => {
                let leader = match &client {
                    Some(client) => servers.leader(client).await.unwrap_or_default(),
                    None => 0,
                };
                servers.kill(leader);
                servers.start(leader).await?;
            }
            Fault::CutOff(one, time) => weather(servers, one, Weather::Cut, time).await,
            Fault::Silence(one, time) => weather(servers, one, Weather::Silence, time).await,
            Fault::Delay(one, by, time) => weather(servers, one, Weather::Delay(by), time).await,
            Fault::Halve(one) => weather(servers, one, Weather::Halve, HALVING).await,
            _ => {}
        }
        Ok(())
    }

    /// Kills an instance, does something to its state beside a copy that was kept, and starts it again.
    async fn with_state(
        &mut self,
        one: usize,
        change: impl FnOnce(&Path, &Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let whom = Whom::One(one);
        self.kill(whom);
        self.keep_states(whom)?;
        if let Some(instance) = self.numbers(whom).first().and_then(|number| self.instances.get(*number)) {
            let state = instance.state();
            change(&state, &state.with_extension("kept")).context("the folded state can't be changed")?;
        }
        self.start(whom).await
    }

    /// Keeps a copy of the state of those that are down, where none is kept yet.
    fn keep_states(&self, whom: Whom) -> anyhow::Result<()> {
        for instance in self.numbers(whom).into_iter().filter_map(|number| self.instances.get(number)) {
            let (state, kept) = (instance.state(), instance.state().with_extension("kept"));
            if state.is_dir() && !kept.exists() {
                copy(&state, &kept).context("the folded state can't be copied")?;
            }
        }
        Ok(())
    }

    /// Notes instances that ended though nobody ended them.
    pub(super) fn note_ends(&mut self) {
        for (number, instance) in self.instances.iter_mut().enumerate() {
            if let Some(what) = instance.ended() {
                self.shared.journal().conduct.push(format!("instance {number}: {what}"));
            }
        }
    }

    /// The largest resident memory of an instance in bytes, and its open files.
    pub(super) fn use_of(&self) -> (u64, u64) {
        let uses: Vec<(u64, u64)> = self.instances.iter().map(Instance::use_of).collect();
        let largest = |part: fn(&(u64, u64)) -> u64| uses.iter().map(part).max().unwrap_or_default();
        (largest(|one| one.0), largest(|one| one.1))
    }
}

/// How much more memory an instance may take for readers who take nothing, in bytes: what was before is read to 32 of
/// the staff at a time, with articles of a MiB by their words, 6 MiB each; an instance that was just started has yet to fill
/// sled's pages, of which sled may have 90 MiB uncounted; and other things go on meanwhile.
const MOST_FOR_IDLE_BYTES: u64 = (32 * 6 + 90 + 96) << 20;

/// How long connections are cut half-way: each carries something in that time.
const HALVING: Duration = Duration::from_millis(300);

async fn weather(servers: &Servers, one: usize, weather: Weather, time: Duration) {
    servers.weather(one, weather);
    tokio::time::sleep(time).await;
    servers.weather(one, Weather::Fair);
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files(&entry.path(), found)?;
        } else if entry.metadata()?.len() > 0 {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(())
}

/// Damages a file below a folder.
fn spoil(folder: &Path, damage: Damage, dice: &mut Dice) -> anyhow::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let mut found = Vec::new();
    if folder.is_dir() {
        files(folder, &mut found)?;
    }
    let Some(path) = dice.pick(&found) else { return Ok(()) };
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let at = dice.roll(length);
    match damage {
        Damage::Truncate => file.set_len(at)?,
        Damage::Zero => {
            let count = (length - at).min(4096) as usize;
            file.write_all_at(&vec![0; count], at)?;
        }
        Damage::Flip => {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at)?;
            file.write_all_at(&[byte[0] ^ (1 << dice.roll(8))], at)?;
        }
    }
    Ok(())
}
