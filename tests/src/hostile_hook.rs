//! Pods whose VMM attacks its host from any of its threads when told to (`vmm/src/jail/hostile`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{host, hostile, wait};

/// What a signal carries, as the kernel has it on this architecture (`siginfo_t`, sigaction(2)).
#[repr(C)]
struct Info {
    signal: libc::c_int,
    error: libc::c_int,
    code: libc::c_int,
    padding: libc::c_int,
    sender: [libc::c_int; 2],
    value: libc::c_long,
    rest: [u64; 12],
}

/// How long a thread may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything there is to try.
pub const ALL: libc::c_long = 0;

/// The real stage1 image with that VMM in it, packed once per host.
///
/// # Panics
/// Outside the KVM host.
#[must_use]
pub fn stage1() -> PathBuf {
    let path = host::data_dir().join("hostile-stage1.aci");
    if !path.exists() {
        let directory = tempfile::tempdir_in(host::data_dir()).expect("a directory");
        let aside = directory.path().join("image.aci");
        hostile::repack(directory.path(), &[("stage1", &host::path("RKT_HOSTILE_STAGE1"))], &aside);
        fs::rename(&aside, &path).expect("rename a finished image");
    }
    path
}

/// Names of the threads of a process, and their numbers.
fn threads(process: &Path) -> Vec<(String, i32)> {
    let tasks = fs::read_dir(process.join("task")).expect("threads").flatten();
    let thread = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        Some((name.trim().to_owned(), task.file_name().to_str()?.parse().ok()?))
    };
    tasks.filter_map(thread).collect()
}

/// The number of the only thread of this name, or of the first one that is one of several.
///
/// # Panics
/// When there is none, after a while.
#[track_caller]
#[must_use]
pub fn thread(process: &Path, name: &str) -> i32 {
    let mut found = None;
    wait::until(name, PATIENCE, || {
        found = threads(process).into_iter().find(|(thread, _)| thread == name);
        found.is_some()
    });
    found.map(|(_, number)| number).expect("a thread")
}

/// Has a thread of a process try every attempt that comes down to this system call, or [`ALL`].
///
/// # Panics
/// When it is gone.
#[track_caller]
pub fn attack(process: &Path, thread: i32, call: libc::c_long) {
    let name = process.file_name().and_then(|name| name.to_str()).expect("a process");
    let process: i32 = name.parse().expect("a number");
    let signal = libc::SIGRTMIN() + 1;
    let info = Info {
        signal,
        error: 0,
        code: libc::SI_QUEUE,
        padding: 0,
        sender: [0; 2],
        value: call,
        rest: [0; 12],
    };
    // SAFETY: the kernel reads a `siginfo_t`, which is this long.
    let result =
        unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, signal, &raw const info) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}
