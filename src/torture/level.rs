//! Whether memory, disk and open files stay level over a run.

use std::path::Path;

use serde::Serialize;

/// Fewer rounds than this tell nothing.
const LEAST_ROUNDS: usize = 8;
/// What may come on top of what the first quarter had, in a hundredth of it.
const MORE_PERCENT: f64 = 25.0;

/// What was in use at the end of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// Events in the present house's log.
    pub events: u64,
    /// The largest resident memory of an instance, in bytes.
    pub memory_bytes: u64,
    /// What the whole house has on the disk, in bytes.
    pub disk_bytes: u64,
    /// The most open files of an instance.
    pub open_files: u64,
}

/// One measure in the first quarter of the rounds, in the middle half, and in the last quarter: medians.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Course {
    /// Its name and unit.
    pub what: &'static str,
    /// In the first quarter.
    pub first: f64,
    /// In the middle.
    pub middle: f64,
    /// In the last quarter.
    pub last: f64,
}

impl Course {
    /// Whether it didn't rise by more than a quarter.
    pub fn is_level(&self) -> bool {
        self.last <= self.first * (1.0 + MORE_PERCENT / 100.0)
    }
}

/// How all measures went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Level {
    /// Each of them.
    pub courses: Vec<Course>,
}

impl Level {
    /// Of the rounds of a run; none where they are too few. The disk is told by the event: a house's log grows.
    pub fn of(uses: &[Use]) -> Option<Self> {
        if uses.len() < LEAST_ROUNDS {
            return None;
        }
        let (early, rest) = uses.split_at(uses.len() / 4);
        let (middle, late) = rest.split_at(rest.len() - uses.len() / 4);
        let course = |what, part: fn(&Use) -> f64| Course {
            what,
            first: median(early, part),
            middle: median(middle, part),
            last: median(late, part),
        };
        Some(Self {
            courses: vec![
                course("MiB of memory", |one| one.memory_bytes as f64 / f64::from(1 << 20)),
                course("KiB on the disk an event", |one| {
                    one.disk_bytes as f64 / 1024.0 / one.events.max(1) as f64
                }),
                course("open files", |one| one.open_files as f64),
            ],
        })
    }
}

fn median(uses: &[Use], part: fn(&Use) -> f64) -> f64 {
    let mut all: Vec<f64> = uses.iter().map(part).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// What a folder has on the disk, as far as it can be read while it is in use.
pub fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    });
    bytes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rises_by_more_than_a_quarter_is_not_level() {
        let rounds = |grows: u64| -> Vec<Use> {
            let of = |round: u64| Use {
                events: 1000,
                memory_bytes: (100 << 20) + round * grows,
                disk_bytes: 4096 * 1000,
                open_files: 30,
            };
            (0..16).map(of).collect()
        };
        let is_level = |uses: &[Use]| -> Vec<bool> {
            Level::of(uses).unwrap().courses.iter().map(Course::is_level).collect()
        };
        assert_eq!(is_level(&rounds(1 << 20)), [true, true, true]);
        assert_eq!(is_level(&rounds(3 << 20)), [false, true, true]);
        let more_files: Vec<Use> =
            rounds(0).into_iter().zip(30..).map(|(one, open_files)| Use { open_files, ..one }).collect();
        assert_eq!(is_level(&more_files), [true, true, false]);
        assert_eq!(Level::of(&rounds(0)[..7]), None);
    }
}
