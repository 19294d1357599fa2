//! A hostile guest that watches, while the host changes files: what it says of it, and the requests of whom it calls its actor.
#![no_main]

use std::sync::{LazyLock, Mutex};

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use vmm_fuzz::{
    host::Host,
    watcher::{Step, run},
};

/// Where temporary files are there are file handles; what is outside the share is in the same file system.
static DIRECTORY: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));
static HOST: LazyLock<Mutex<Host>> = LazyLock::new(|| {
    let share = DIRECTORY.path().join("share");
    std::fs::create_dir(&share).expect("a directory");
    // SAFETY: numbers. As in every other Rust program: the relay may write to a connection that has been closed.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    Mutex::new(Host::new(&share))
});

// All of the input is used: a list that says itself where it ends would seldom be long enough for a change to be told.
fuzz_target!(|input: &[u8]| {
    let mut input = Unstructured::new(input);
    let prepared = input.arbitrary().unwrap_or_default();
    let mut steps = Vec::<Step>::new();
    while let (false, Ok(step)) = (input.is_empty(), input.arbitrary()) {
        steps.push(step);
    }
    let mut host = HOST.lock().expect("the host");
    run(DIRECTORY.path(), &mut host, prepared, steps);
});
