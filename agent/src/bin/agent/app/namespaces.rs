//! The namespaces that are an app's own: mounts and cgroups. All others are the pod's, and the agent's.

use std::fs::File;
use std::io;

use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;

/// The namespaces of a process.
#[derive(Debug)]
pub struct Namespaces {
    mounts: File,
    cgroups: File,
}

impl Namespaces {
    /// Those of a process that has not been waited for; fails if it has ended.
    pub fn of(process: Pid) -> io::Result<Self> {
        let open = |name: &str| File::open(format!("/proc/{process}/ns/{name}"));
        Ok(Self { mounts: open("mnt")?, cgroups: open("cgroup")? })
    }

    /// Moves the calling process in, to their root directory.
    pub fn enter(&self) -> nix::Result<()> {
        setns(&self.cgroups, CloneFlags::CLONE_NEWCGROUP)?;
        setns(&self.mounts, CloneFlags::CLONE_NEWNS)
    }
}
