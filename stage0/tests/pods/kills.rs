//! `rkt run` and `rkt gc`, killed at any instant: the next `rkt gc` leaves nothing. `RKT_ENDURANCE=5` is the whole test.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::bed::{Bed, eventually};

/// How often something is killed.
fn kills() -> u32 {
    let scale = std::env::var("RKT_ENDURANCE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1);
    (100 * scale).min(500)
}

/// Everything in the data directory, but for the private files of the index.
fn content(bed: &Bed) -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() && !path.ends_with("cas/db") {
                walk(&path, found);
            }
            found.push(path);
        }
    }
    let mut found = Vec::new();
    walk(&bed.data(), &mut found);
    found.sort();
    found
}

/// How long a command takes that is left alone.
fn time(bed: &Bed, verb: &str, words: &[&str]) -> Duration {
    let started = Instant::now();
    let done = crate::bed::finish(&mut bed.pod_command(verb, words));
    assert_eq!(done.status, 0, "{}", done.stderr);
    started.elapsed()
}

/// Runs a command and kills it after a while, if it has not ended by then.
fn kill_after(bed: &Bed, words: &[&str], after: Duration) {
    let mut command = bed.command(words);
    command.env("FAKE_RUN", "echo 0 >stage1/rootfs/rkt/status/a").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Whether there are processes that work on this data directory: children that a killed parent left. Between fork and exec
/// they hold the parent's locks.
fn processes(bed: &Bed) -> bool {
    let data = bed.data();
    let works = |process: PathBuf| {
        let command = std::fs::read(process.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&*data.to_string_lossy())
            || std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&data))
    };
    std::fs::read_dir("/proc").unwrap().flatten().any(|process| works(process.path()))
}

#[test]
fn whatever_is_killed_gc_leaves_nothing() {
    let bed = Bed::new();
    const GC: &[&str] = &["gc", "--grace-period=0"];
    let run = [
        "--insecure-options=image",
        "run",
        "--stage1-path=stage1.aci",
        "--pull-policy=never",
        "example.com/a:1",
    ];
    time(&bed, "run", &["a.aci"]);
    assert_eq!(bed.rkt(GC).status, 0);
    let running = time(&bed, "run", &["--pull-policy=never", "example.com/a:1"]);
    let started = Instant::now();
    assert_eq!(bed.rkt(GC).status, 0);
    let collecting = started.elapsed();
    let before = content(&bed);
    for kill in 0..kills() {
        // Multiples of the golden ratio: however many there are, they are spread evenly over the whole length.
        let at = (running + collecting).mul_f64(f64::from(kill) * 0.618_033_988_749_895 % 1.0);
        kill_after(&bed, &run, at.min(running * 2));
        if let Some(at) = at.checked_sub(running) {
            kill_after(&bed, GC, at);
        }
        eventually("the end of every process", || !processes(&bed));
        let done = bed.rkt(GC);
        assert_eq!(done.status, 0, "kill {kill} at {at:?}: {}", done.stderr);
        assert_eq!(bed.mounts(), Vec::<PathBuf>::new(), "kill {kill} at {at:?}: {}", done.stderr);
        let left: Vec<_> = content(&bed).into_iter().filter(|path| !before.contains(path)).collect();
        assert_eq!(left, Vec::<PathBuf>::new(), "kill {kill} at {at:?}: {}", done.stderr);
        assert!(before.iter().all(|path| path.exists()), "kill {kill} at {at:?}: {}", done.stderr);
    }
    let verified = bed.rkt(&["image", "verify", "example.com/a:1"]);
    assert!(verified.stdout.contains("successfully verified"), "{}", verified.stderr);
    time(&bed, "run", &["--pull-policy=never", "example.com/a:1"]);
}
