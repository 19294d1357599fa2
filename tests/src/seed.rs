//! What every data directory of a test begins with: stage1, which would otherwise be hashed and unpacked anew for each test.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::{aci, host, process};

/// For the first test of a host, which makes what the others share.
const LIMIT: Duration = Duration::from_secs(240);
/// What is written once and never changed, so that data directories can share the files themselves.
const SHARED: [&str; 2] = ["cas/blob", "cas/tree"];

/// Makes `directory` the data directory of an `rkt` that has run a pod once, of which nothing is left but stage1.
///
/// # Panics
/// When that cannot be made.
pub fn stage1_into(directory: &Path, binary: &Path) {
    let seed = host::data_dir().join("seed");
    let lock = File::create(host::data_dir().join("seed.lock")).expect("a lock");
    lock.lock().expect("the lock");
    if !seed.exists() {
        let making = host::data_dir().join("seed.new");
        let _ = fs::remove_dir_all(&making);
        make(&making, binary);
        fs::rename(&making, &seed).expect("the seed");
    }
    drop(lock);
    let (from, to) = (seed.join("."), directory.display());
    copy(&["-a", "-l"], &from, directory);
    // Locks and the database are each directory's own.
    let own = fs::read_dir(seed.join("cas")).expect("a store").flatten().map(|entry| entry.path());
    let shared = |path: &Path| SHARED.iter().any(|shared| seed.join(shared) == path);
    for path in own.filter(|path| !shared(path)).chain([seed.join("locks")]) {
        let place = directory.join(path.strip_prefix(&seed).expect("a part of the seed"));
        fs::remove_dir_all(&place).unwrap_or_else(|error| panic!("{to}: {error}"));
        copy(&["-a"], &path, &place);
    }
}

fn make(directory: &Path, binary: &Path) {
    fs::create_dir_all(directory).expect("a directory");
    let rkt = |words: &[&str]| {
        let mut command = Command::new(binary);
        command.arg(format!("--dir={}", directory.display())).arg("--insecure-options=image").args(words);
        process::run(command, LIMIT).expect_success().stdout_text()
    };
    let image = aci::busybox();
    let pod = rkt(&["prepare", &image.display().to_string(), "--exec=/bin/true"]);
    rkt(&["rm", pod.trim()]);
    rkt(&["image", "rm", "example.com/busybox"]);
}

#[track_caller]
fn copy(how: &[&str], from: &Path, to: &Path) {
    let status = Command::new("cp").args(how).arg("-T").arg(from).arg(to).status().expect("cp");
    assert!(status.success(), "cp {how:?} {} {}: {status}", from.display(), to.display());
}
