//! What processes take, by `/proc`; where there is none, nothing is said of it.

use std::fs;
use std::path::{Path, PathBuf};

use super::report::Sample;

/// Ticks a second in `/proc`: what Linux shows to programs, whatever its own clock does.
const TICKS: f64 = 100.0;

/// Processor time and peak memory of some processes, from its making on.
pub(super) struct Meter {
    pids: Vec<u32>,
    before: Option<f64>,
}

impl Meter {
    /// Of this process and these.
    pub fn of_us_and(others: &[u32]) -> Self {
        Self::of(&[&[std::process::id()], others].concat())
    }

    /// Of these processes.
    pub fn of(pids: &[u32]) -> Self {
        for pid in pids {
            // The peak so far is forgotten; where that isn't allowed it is that of the process's whole life.
            let _ = fs::write(of_process(*pid, "clear_refs"), "5");
        }
        Self { pids: pids.to_vec(), before: cpu_seconds_of(pids) }
    }

    /// Processor time since, in seconds.
    pub fn cpu_seconds(&self) -> Option<f64> {
        Some((cpu_seconds_of(&self.pids)? - self.before?).max(0.0))
    }

    /// A run's figure with what it took, by its operations.
    pub fn sample(&self, value: f64, operations: usize) -> Sample {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let operations = operations.max(1) as f64;
        Sample {
            value,
            cpu_micros: self.cpu_seconds().map(|seconds| seconds * 1e6 / operations),
            peak_bytes: self.pids.iter().map(|pid| memory(*pid, "VmHWM:")).sum(),
        }
    }
}

/// A figure with what a process took since its start, one operation of it.
pub(super) fn whole_life(pid: u32, value: f64) -> Sample {
    let cpu_micros = cpu_seconds(pid).map(|seconds| seconds * 1e6);
    Sample { value, cpu_micros, peak_bytes: memory(pid, "VmHWM:") }
}

/// Memory that a process holds now, in bytes.
pub(super) fn resident(pid: u32) -> Option<f64> {
    memory(pid, "VmRSS:")
}

fn of_process(pid: u32, name: &str) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join(name)
}

fn memory(pid: u32, line: &str) -> Option<f64> {
    kib(&fs::read_to_string(of_process(pid, "status")).ok()?, line)
}

/// A line of `status` or `meminfo` in bytes.
fn kib(text: &str, line: &str) -> Option<f64> {
    let rest = text.lines().find_map(|found| found.strip_prefix(line))?;
    rest.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

fn cpu_seconds_of(pids: &[u32]) -> Option<f64> {
    pids.iter().map(|pid| cpu_seconds(*pid)).sum()
}

fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(of_process(pid, "stat")).ok()?;
    // The program's name, in brackets, may hold spaces; user and system time are the 12th and 13th after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

/// The machine's memory in bytes.
pub(super) fn machine_memory() -> Option<f64> {
    kib(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// The kernel's name and release.
pub(super) fn kernel() -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(format!("Linux {}", release.trim()))
}

/// What sort of file system holds a folder.
pub(super) fn file_system(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let of = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let (at, kind) = (fields.next()?.to_owned(), fields.next()?.to_owned());
        folder.starts_with(&at).then_some((at.len(), kind))
    };
    // The last of those mounted at one place hides the others.
    mounts.lines().filter_map(of).max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

/// What the files below a folder take on the disk, in bytes.
pub(super) fn bytes_in(folder: &Path) -> f64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(folder) else { return 0.0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_in(&entry.path()),
        #[expect(clippy::cast_precision_loss, reason = "files are far below 2^52 bytes")]
        Ok(found) => (found.blocks() * 512) as f64,
        Err(_) => 0.0,
    };
    entries.filter_map(Result::ok).map(of).sum()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_are_seen() {
        let meter = Meter::of_us_and(&[]);
        let held = vec![1_u8; 64 << 20];
        let began = std::time::Instant::now();
        let mut sum = 0_u64;
        while began.elapsed().as_millis() < 100 {
            sum = held.iter().step_by(4096).fold(sum, |sum, byte| sum.wrapping_add(u64::from(*byte)));
        }
        std::hint::black_box(sum);
        let sample = meter.sample(1.0, 1);
        assert!(sample.cpu_micros.unwrap() >= 30_000.0, "{sample:?}");
        assert!(sample.peak_bytes.unwrap() > 64e6 && resident(std::process::id()).unwrap() > 1e6);
        assert!(meter.cpu_seconds().unwrap() < 60.0);
    }
}
