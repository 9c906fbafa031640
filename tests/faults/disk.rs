//! The disk and the clock against the service: writes and syncs that fail, files that are damaged, cut short, replaced
//! or of another day, and hours that jump. Whatever was answered is there, once; where it can't be, the service says
//! so and decides nothing.
//!
//! - `shim`: makes operations fail between the program and the C library.
//! - `errors`: each operation of the embedded log fails once, or from then on.
//! - `bytes`: any bytes of a closed log's files are changed.
//! - `running`: files are damaged under a log that is open, and under the running service.
//! - `service`: the running service's disk fails, is full, read-only or slow. `state`: sled's. `clock`: its clock jumps.
//! - `newsroom`: the running service, and what it answered.

#[path = "disk_bytes.rs"]
mod bytes;
#[path = "disk_clock.rs"]
mod clock;
#[path = "disk_errors.rs"]
mod errors;
#[path = "disk_newsroom.rs"]
mod newsroom;
#[path = "disk_running.rs"]
mod running;
#[path = "disk_service.rs"]
mod service;
#[path = "disk_shim.rs"]
mod shim;
#[path = "disk_state.rs"]
mod state;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// The dice's seed: `COPYDESK_SEED`, or another in each run. It is printed, for the one who looks into a run that
/// failed.
fn seed() -> u64 {
    let seed = std::env::var("COPYDESK_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    println!("COPYDESK_SEED={seed}");
    seed
}

/// What is done to a file or a folder, and how that is called.
type Harm = (&'static str, fn(&Path));

/// Turns one bit of a file around.
fn flip(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

/// The first segment of the events of an embedded log.
fn events_segment(log: &Path) -> PathBuf {
    log.join("streams/events/00000000000000000001.seg")
}

/// A folder in memory, where there is such, that goes with the test: what fails here fails by itself.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
        Self(tempfile::tempdir_in(folder).unwrap())
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
