//! Namespaces in which the agent's code is PID 1, as it is in a guest.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use crate::layout::{POD, VOLUMES};
use crate::machine;

/// Where the host's sockets are in the agent's root.
pub const SOCKETS: &str = "/run/host";

/// Forks a process with namespaces of its own in which `body` is PID 1; `body`'s result is its exit status.
///
/// `directory` holds the host's sockets. The apps' root file systems are this machine's, changes going to memory.
pub fn spawn(directory: &Path, apps: &[String], body: impl FnOnce() -> i32) -> Pid {
    // SAFETY: the child runs only code that takes no locks other threads of this process may hold, but for the
    // allocator's, which fork keeps usable.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let status =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| outside(directory, apps, body)));
            // SAFETY: ends the process without running what belongs to the test.
            unsafe { libc::_exit(status.unwrap_or(99)) }
        }
    }
}

/// The parent of PID 1: prepares what PID 1 finds, and removes its cgroup afterwards.
fn outside(directory: &Path, apps: &[String], body: impl FnOnce() -> i32) -> i32 {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
    let cgroup = own_cgroup(directory);
    let others = CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWCGROUP;
    unshare(others).unwrap();
    // SAFETY: the process has one thread.
    let status = match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            become_agent(directory, apps);
            let status = body();
            // SAFETY: as in spawn.
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => waitpid(child, None).unwrap(),
    };
    leave(&cgroup);
    match status {
        WaitStatus::Exited(_, status) => status,
        other => panic!("{other:?}"),
    }
}

/// A cgroup for this pod alone: tests run side by side.
fn own_cgroup(directory: &Path) -> PathBuf {
    let hierarchy = directory.join("cgroup");
    fs::create_dir(&hierarchy).unwrap();
    mount(Some("cgroup2"), &hierarchy, Some("cgroup2"), MsFlags::empty(), None::<&str>).unwrap();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    let group = hierarchy.join(own).join(format!("agent-test-{}", std::process::id()));
    fs::create_dir(&group).unwrap();
    fs::write(group.join("cgroup.procs"), "0").unwrap();
    group
}

fn leave(group: &Path) {
    let parent = group.parent().unwrap();
    fs::write(parent.join("cgroup.procs"), "0").unwrap();
    for entry in fs::read_dir(group).unwrap().flatten() {
        if entry.path().is_dir() {
            fs::remove_dir(entry.path()).unwrap();
        }
    }
    fs::remove_dir(group).unwrap();
}

fn become_agent(directory: &Path, apps: &[String]) {
    let root = directory.join("root");
    fs::create_dir(&root).unwrap();
    machine::make_root(&root).unwrap();
    let inside = |path: &str| root.join(path.trim_start_matches('/'));
    fs::create_dir(inside(SOCKETS)).unwrap();
    mount(Some(directory), &inside(SOCKETS), None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    let volumes = directory.join("volumes");
    mount(Some(&volumes), &inside(VOLUMES), None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    for app in apps {
        rootfs(&inside("/run"), app, &inside(POD).join(app).join("rootfs"));
    }
    machine::enter_root(&root).unwrap();
    machine::loopback_up().unwrap();
}

fn rootfs(layers: &Path, app: &str, at: &Path) {
    let (upper, work) = (layers.join(app).join("upper"), layers.join(app).join("work"));
    for directory in [&upper, &work, &at.to_owned()] {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(directory).unwrap();
    }
    let options = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
    mount(Some("overlay"), at, Some("overlay"), MsFlags::empty(), Some(options.as_str())).unwrap();
}
