//! Faults of the disk and of the clock, put between the program and the C library (`disk_shim.c`): what is tested is
//! the program as it is built, and it has nothing in it that serves tests.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Operations that can be made to fail, to be put together with `|`.
pub const OPEN: u32 = 1;
pub const WRITE: u32 = 2;
pub const SYNC: u32 = 4;
pub const TRUNCATE: u32 = 8;
pub const RENAME: u32 = 16;
pub const READ: u32 = 32;

/// How they fail, as Linux numbers it.
pub const EIO: u32 = 5;
pub const ENOSPC: u32 = 28;
/// Half of what is to be written is, and the rest finds no room.
pub const SHORT: u32 = 0;

/// Until it is told otherwise.
pub const FOR_EVER: u32 = u32::MAX;

/// Where each number of the control block lies.
const KINDS: u64 = 0;
const FROM: u64 = 4;
const UPTO: u64 = 8;
const ERROR: u64 = 12;
const SEEN: u64 = 16;
const FAILED: u64 = 20;
const SLOW_MS: u64 = 24;
const LOSE: u64 = 28;
const CLOCK_MS: u64 = 32;
const PATH: u64 = 40;
const PATH_BYTES: usize = 256;

/// What is to fail.
#[derive(Debug, Clone, Copy)]
pub struct Fault<'a> {
    pub kinds: u32,
    /// What the path of the file must contain.
    pub path: &'a str,
    /// The first and the last of these operations to fail, from 1.
    pub from: u32,
    pub upto: u32,
    pub error: u32,
    /// Whether a failed sync loses what was written since the last one, as a disk does.
    pub lose: bool,
}

/// The control block of a process that runs under the shim, or will.
#[derive(Debug)]
pub struct Shim {
    path: PathBuf,
    control: File,
}

impl Shim {
    /// With nothing to fail yet.
    pub fn new(path: &Path) -> Self {
        let control = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        control.set_len(4096).unwrap();
        Self { path: path.to_owned(), control }
    }

    /// The one that this process runs under, if it does.
    pub fn of_this_process() -> Option<Self> {
        std::env::var_os("COPYDESK_FAULTS").map(|path| Self::new(Path::new(&path)))
    }

    /// What the process's environment is to have.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("LD_PRELOAD", library().to_str().unwrap().to_owned()),
            ("COPYDESK_FAULTS", self.path.to_str().unwrap().to_owned()),
        ]
    }

    /// Has operations fail from now on; counting begins anew.
    pub fn arm(&self, fault: &Fault<'_>) {
        self.disarm();
        let mut path = fault.path.as_bytes().to_vec();
        path.resize(PATH_BYTES, 0);
        self.control.write_all_at(&path, PATH).unwrap();
        for (at, value) in [
            (SEEN, 0),
            (FAILED, 0),
            (ERROR, fault.error),
            (LOSE, u32::from(fault.lose)),
            (FROM, fault.from),
            (UPTO, fault.upto),
            (KINDS, fault.kinds),
        ] {
            self.put(at, value);
        }
    }

    /// Nothing fails any more.
    pub fn disarm(&self) {
        self.put(KINDS, 0);
        self.put(LOSE, 0);
    }

    /// How many operations failed since it was armed.
    pub fn failed(&self) -> u32 {
        self.get(FAILED)
    }

    /// How many operations it has seen since it was armed.
    pub fn seen(&self) -> u32 {
        self.get(SEEN)
    }

    /// How long each sync of a file whose path contains `path` takes from now on.
    pub fn slow_syncs(&self, path: &str, ms: u32) {
        let mut bytes = path.as_bytes().to_vec();
        bytes.resize(PATH_BYTES, 0);
        self.control.write_all_at(&bytes, PATH).unwrap();
        self.put(SLOW_MS, ms);
    }

    /// Sets the wall clock off by so much.
    pub fn set_clock_off(&self, seconds: i64) {
        self.control.write_all_at(&(seconds * 1000).to_le_bytes(), CLOCK_MS).unwrap();
    }

    fn get(&self, at: u64) -> u32 {
        let mut bytes = [0; 4];
        self.control.read_exact_at(&mut bytes, at).unwrap();
        u32::from_le_bytes(bytes)
    }

    fn put(&self, at: u64, value: u32) {
        self.control.write_all_at(&value.to_le_bytes(), at).unwrap();
    }
}

/// The shim, built once for each process of tests. There is a C compiler wherever Rust links.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let library = folder.join("disk_shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/disk_shim.c");
        let age = |path: &Path| path.metadata().and_then(|found| found.modified()).ok();
        if age(&library).is_none_or(|built| age(&source).unwrap() > built) {
            // Many tests may build it at once: each its own, and the last one stays.
            let own = folder.join(format!("disk_shim-{}.so", std::process::id()));
            let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
            let built = Command::new(compiler)
                .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
                .args([&own, &source])
                .args(["-ldl", "-lpthread"])
                .status();
            assert!(built.unwrap().success(), "the shim does not compile");
            std::fs::rename(own, &library).unwrap();
        }
        library
    })
}
