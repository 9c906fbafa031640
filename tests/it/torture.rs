//! `torture` of the real binary: what it refuses to begin with, and that it leaves nothing behind where it is stopped. What
//! it finds is shown by its own tests and by those of faults.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn torture(keep: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_copydesk"));
    command.args(["torture", "--seed", "1", "--keep"]).arg(keep).env_remove("COPYDESK_SEED");
    command
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_built() {
    let folder = tempfile::tempdir().unwrap();
    for (option, value) in [("--minutes", "nan"), ("--minutes", "0"), ("--rounds", "0")] {
        let output = torture(folder.path()).args([option, value]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{option} {value}: {output:?}");
    }
    std::fs::create_dir(folder.path().join("house-1")).unwrap();
    let output = torture(folder.path()).args(["--rounds", "1"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("house-1") && said.contains("an earlier run"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path().join("house-1")).unwrap().count(), 0);
}

/// The processes that know of a folder.
fn of(folder: &Path) -> Vec<String> {
    let lines = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = lines.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
    lines.filter(|line| line.contains(folder.to_str().unwrap())).collect()
}

#[test]
fn stopped_it_ends_what_it_started_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut torture =
        torture(folder.path()).args(["--minutes", "60"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(torture.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("round 1:") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended by itself");
    }
    assert!(of(folder.path()).iter().any(|line| line.contains("serve")));
    Command::new("kill").args(["-TERM", &torture.id().to_string()]).status().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let status = loop {
        if let Some(status) = torture.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "told to stop, it goes on");
        std::thread::yield_now();
    };
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!((status.code(), of(folder.path())), (Some(1), Vec::new()), "{said}");
    assert!(said.contains("stopped: "), "{said}");
}
