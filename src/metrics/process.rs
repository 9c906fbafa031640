//! What the operating system says of this process, under the names that Prometheus' own clients give it. Where there
//! is no `/proc` nothing is said.

use std::fmt::Write;
use std::path::Path;
use std::time::SystemTime;

/// Ticks a second in `/proc`: what Linux shows to programs, whatever its own clock does.
const TICKS: f64 = 100.0;

/// Writes what is known.
pub(super) fn write(to: &mut String, started: SystemTime) -> std::fmt::Result {
    let since = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let start = ("start_time_seconds", "gauge", "When the process started, since 1970.", Some(since));
    let (resident, virtual_bytes, threads) = status();
    let all = [
        start,
        ("cpu_seconds_total", "counter", "Processor time spent.", cpu_seconds()),
        ("resident_memory_bytes", "gauge", "Memory held.", resident),
        ("virtual_memory_bytes", "gauge", "Address space taken.", virtual_bytes),
        ("threads", "gauge", "Threads.", threads),
        ("open_fds", "gauge", "Open files and connections.", open_fds()),
        ("max_fds", "gauge", "How many may be open.", max_fds()),
    ];
    for (name, kind, help, value) in all {
        let Some(value) = value else { continue };
        writeln!(to, "# HELP process_{name} {help}\n# TYPE process_{name} {kind}\nprocess_{name} {value}")?;
    }
    Ok(())
}

fn read(name: &str) -> Option<String> {
    std::fs::read_to_string(Path::new("/proc/self").join(name)).ok()
}

/// Resident and virtual memory in bytes, and threads.
fn status() -> (Option<f64>, Option<f64>, Option<f64>) {
    let status = read("status").unwrap_or_default();
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let kib = |name| number(name).map(|kib| kib * 1024.0);
    (kib("VmRSS:"), kib("VmSize:"), number("Threads:"))
}

fn cpu_seconds() -> Option<f64> {
    let stat = read("stat")?;
    // The program's name, in brackets, may hold spaces; user and system time are the 12th and 13th after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

fn open_fds() -> Option<f64> {
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count();
    u32::try_from(count).ok().map(f64::from)
}

fn max_fds() -> Option<f64> {
    let limits = read("limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_says_what_it_takes() {
        let mut text = String::new();
        write(&mut text, SystemTime::now()).unwrap();
        for name in ["cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "threads"] {
            let line = text.lines().find(|line| line.starts_with(&format!("process_{name} "))).unwrap();
            let value: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(value >= 0.0 && (name == "cpu_seconds_total" || value >= 1.0), "{line}");
        }
    }
}
