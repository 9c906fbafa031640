//! What is done to a house, drawn from the seed.

use std::fmt;
use std::time::Duration;

use super::LogKind;
use super::dice::Dice;

/// Which instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// One.
    One(usize),
    /// All at once.
    All,
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whom::One(number) => write!(f, "instance {number}"),
            Whom::All => f.write_str("every instance"),
        }
    }
}

/// What is done to a file of the folded state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Its end is cut off.
    Truncate,
    /// A stretch of it is zeroed.
    Zero,
    /// One bit of it is flipped.
    Flip,
}

/// Something that is done to a house. Whatever it is, it is undone before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Kill -9, and started again.
    Kill(Whom),
    /// SIGTERM, and started again.
    Terminate(Whom),
    /// SIGSTOP for so long, then SIGCONT.
    Stop(Whom, Duration),
    /// Killed, and started again with no folded state.
    EmptyState(usize),
    /// Killed, and started again on the folded state of a while ago.
    OldState(usize),
    /// Killed, and started again on a damaged folded state.
    DamageState(usize, Damage),
    /// Many readers come who take nothing for so long of what they are sent.
    Idle(usize, Duration),
    /// A NATS server is killed (-9) and started again.
    KillServer(usize),
    /// Two servers of three are gone for so long: nothing can be answered but 503.
    KillTwoServers(usize, Duration),
    /// All servers are killed and started again.
    KillAllServers,
    /// The server that leads the events is killed, whichever it is, and started again.
    KillLeader,
    /// A server is cut off from the others and from its clients for so long.
    CutOff(usize, Duration),
    /// A server's connections carry nothing for so long, and aren't closed.
    Silence(usize, Duration),
    /// Everything on a server's connections takes this much longer, for so long.
    Delay(usize, Duration, Duration),
    /// Each of a server's connections is cut in the middle of what it carries.
    Halve(usize),
}

impl Fault {
    /// Its kind, as it is counted.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Kill(Whom::One(_)) => "kill -9 of an instance",
            Fault::Kill(Whom::All) => "kill -9 of every instance",
            Fault::Terminate(Whom::One(_)) => "SIGTERM of an instance",
            Fault::Terminate(Whom::All) => "SIGTERM of every instance",
            Fault::Stop(Whom::One(_), _) => "SIGSTOP of an instance",
            Fault::Stop(Whom::All, _) => "SIGSTOP of every instance",
            Fault::EmptyState(_) => "emptied sled folder",
            Fault::OldState(_) => "sled folder of a while ago",
            Fault::DamageState(_, Damage::Truncate) => "truncated sled file",
            Fault::DamageState(_, Damage::Zero) => "zeroed sled file",
            Fault::DamageState(_, Damage::Flip) => "flipped bit in a sled file",
            Fault::Idle(..) => "consumers that take nothing",
            Fault::KillServer(_) => "kill -9 of a nats-server",
            Fault::KillTwoServers(..) => "two of three nats-servers gone",
            Fault::KillAllServers => "kill -9 of all nats-servers",
            Fault::KillLeader => "kill -9 of the leader",
            Fault::CutOff(..) => "nats-server cut off",
            Fault::Silence(..) => "silent connections",
            Fault::Delay(..) => "slow connections",
            Fault::Halve(_) => "connections cut half-way",
        }
    }

    /// The next fault for a house.
    pub fn draw(dice: &mut Dice, log: LogKind, instances: usize) -> Self {
        let one = dice.roll(instances as u64) as usize;
        let whom = if dice.chance(25) { Whom::All } else { Whom::One(one) };
        let server = dice.roll(3) as usize;
        let ms = |from: u64, upto: u64, dice: &mut Dice| Duration::from_millis(from + dice.roll(upto - from));
        let damage = [Damage::Truncate, Damage::Zero, Damage::Flip];
        let damage = dice.pick(&damage).copied().unwrap_or(Damage::Flip);
        let (short, long) = (ms(200, 1500, dice), ms(5500, 8000, dice));
        let stop = if dice.chance(40) { long } else { short };
        let roll = dice.roll(100);
        let of_instances = match dice.roll(22) {
            20.. => Fault::Idle(one, long),
            0..8 => Fault::Kill(whom),
            8..11 => Fault::Terminate(whom),
            11..14 => Fault::Stop(whom, stop),
            14 => Fault::EmptyState(one),
            15..17 => Fault::OldState(one),
            _ => Fault::DamageState(one, damage),
        };
        match (log, roll) {
            (LogKind::Embedded, _) | (_, 0..45) => of_instances,
            (LogKind::Nats, 45..70) => Fault::KillServer(0),
            (LogKind::Nats, _) => Fault::Kill(whom),
            (LogKind::Cluster, 45..58) => Fault::KillLeader,
            (LogKind::Cluster, 58..63) => Fault::KillServer(server),
            (LogKind::Cluster, 63..70) => Fault::KillTwoServers(server, ms(1500, 4000, dice)),
            (LogKind::Cluster, 70..75) => Fault::KillAllServers,
            (LogKind::Cluster, 75..83) => Fault::CutOff(server, ms(1500, 7000, dice)),
            (LogKind::Cluster, 83..88) => Fault::Silence(server, ms(1500, 5000, dice)),
            (LogKind::Cluster, 88..94) => Fault::Delay(server, ms(20, 250, dice), ms(1500, 4000, dice)),
            (LogKind::Cluster, _) => Fault::Halve(server),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Fault::Kill(whom) | Fault::Terminate(whom) => write!(f, " ({whom})"),
            Fault::Stop(whom, time) => write!(f, " ({whom}, {} ms)", time.as_millis()),
            Fault::EmptyState(one) | Fault::OldState(one) | Fault::DamageState(one, _) => {
                write!(f, " (instance {one})")
            }
            Fault::Idle(one, time) => write!(f, " (instance {one}, {} ms)", time.as_millis()),
            Fault::KillServer(one) | Fault::Halve(one) => write!(f, " (server {one})"),
            Fault::KillTwoServers(one, time) => {
                write!(f, " (all but server {one}, {} ms)", time.as_millis())
            }
            Fault::CutOff(one, time) | Fault::Silence(one, time) => {
                write!(f, " (server {one}, {} ms)", time.as_millis())
            }
            Fault::Delay(one, by, time) => {
                write!(f, " (server {one}, {} ms more, {} ms)", by.as_millis(), time.as_millis())
            }
            Fault::KillAllServers | Fault::KillLeader => Ok(()),
        }
    }
}
