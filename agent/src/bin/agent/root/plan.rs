//! What an app's root file system needs, as data (`rkt-reference` §3.5).

use std::path::PathBuf;

use agent::protocol::MemoryVolume;
use nix::mount::MsFlags;

use super::protect;
use crate::layout::{FILES, HIDDEN_FS, SHM};

/// One change of an app's mount namespace. Paths are the app's; sources are the agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A directory that must be there.
    Directory {
        /// Its path.
        path: &'static str,
        /// Its mode if it is made.
        mode: u32,
    },
    /// A file system of the kernel.
    Mount {
        /// Its type.
        kind: &'static str,
        /// Where; a directory made if missing.
        path: &'static str,
        /// Mount flags.
        flags: MsFlags,
        /// Options of the file system.
        options: &'static str,
    },
    /// A character device that everyone may use, in a file system nobody has touched yet.
    Device {
        /// Its path.
        path: &'static str,
        /// Its number.
        number: (u64, u64),
    },
    /// A symbolic link, unless its name is taken or its directory is not there.
    Link {
        /// Its path.
        path: &'static str,
        /// What it says.
        target: &'static str,
    },
    /// A file or directory of the agent, over one of the app that is made if missing.
    Bind {
        /// What is bound.
        source: String,
        /// Where.
        path: String,
        /// Leave a file of the image in peace.
        only_if_missing: bool,
    },
    /// A volume.
    Volume(Volume),
    /// A path that the app shall not see, if there is such a path.
    Hide {
        /// Its path.
        path: &'static str,
    },
    /// A path that the app shall not write, if there is such a path.
    Freeze {
        /// Its path.
        path: &'static str,
    },
}

/// What makes one app's root file system differ from another's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootPlan {
    /// Whether paths of /proc and /sys are protected.
    pub protect: bool,
    /// Whether the app may administrate: its cgroups are writable then.
    pub administrator: bool,
    /// Whether the pod says what is in `/etc/resolv.conf`.
    pub resolv_conf: bool,
    /// Whether the pod's `/etc/hosts` replaces the image's, instead of standing in where there is none.
    pub hosts: bool,
    /// The terminal of an interactive app: its devpts and its device in there.
    pub terminal: Option<Terminal>,
    /// The agent's path of the socket by which the app says that it is ready.
    pub notify: Option<String>,
    /// The agent's path of the socket that is the app's log.
    pub log: Option<String>,
    /// Volumes in the order they are mounted.
    pub volumes: Vec<Volume>,
}

/// A file or directory that an app shares with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The agent's path of it.
    pub source: PathBuf,
    /// Where it is mounted.
    pub path: String,
    /// Whether the app cannot write.
    pub read_only: bool,
    /// What it is if it is in memory.
    pub memory: Option<MemoryVolume>,
}

/// Where the agent keeps the terminal of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminal {
    /// The mounted devpts.
    pub devpts: String,
    /// The terminal's device.
    pub device: String,
}

/// Where an app finds the socket by which it says that it is ready.
pub const NOTIFY_SOCKET: &str = "/run/systemd/notify";

const NO_PROGRAMS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// Every step of an app's root file system, in order.
pub fn steps(plan: &RootPlan) -> Vec<Step> {
    let mut steps = vec![
        Step::Directory { path: "/run", mode: 0o755 },
        Step::Directory { path: "/tmp", mode: 0o1777 },
        Step::Directory { path: "/etc", mode: 0o755 },
        Step::Mount { kind: "proc", path: "/proc", flags: NO_PROGRAMS, options: "" },
    ];
    system(plan, &mut steps);
    devices(plan, &mut steps);
    configuration(plan, &mut steps);
    if let Some(socket) = &plan.notify {
        steps.push(bind(socket, NOTIFY_SOCKET));
    }
    if plan.protect {
        steps.extend(protect::steps());
    }
    // Last: what the user mounts goes over everything else.
    steps.extend(plan.volumes.iter().cloned().map(Step::Volume));
    steps
}

fn system(plan: &RootPlan, steps: &mut Vec<Step>) {
    // All of /sys is read-only under protection: the paths named by the reference and more, with one mount instead of six.
    let flags = if plan.protect { NO_PROGRAMS | MsFlags::MS_RDONLY } else { NO_PROGRAMS };
    steps.push(Step::Mount { kind: "sysfs", path: "/sys", flags, options: "" });
    if plan.protect {
        steps.push(bind(HIDDEN_FS, "/sys/fs"));
    }
    let flags = if plan.administrator { NO_PROGRAMS } else { NO_PROGRAMS | MsFlags::MS_RDONLY };
    steps.push(Step::Mount { kind: "cgroup2", path: "/sys/fs/cgroup", flags, options: "" });
}

fn devices(plan: &RootPlan, steps: &mut Vec<Step>) {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_STRICTATIME;
    steps.push(Step::Mount { kind: "tmpfs", path: "/dev", flags, options: "mode=755,size=64k" });
    // Numbers: Linux `Documentation/admin-guide/devices.txt`.
    for (path, number) in [
        ("/dev/null", (1, 3)),
        ("/dev/zero", (1, 5)),
        ("/dev/full", (1, 7)),
        ("/dev/random", (1, 8)),
        ("/dev/urandom", (1, 9)),
        ("/dev/tty", (5, 0)),
    ] {
        steps.push(Step::Device { path, number });
    }
    steps.push(Step::Directory { path: "/dev/net", mode: 0o755 });
    steps.push(Step::Device { path: "/dev/net/tun", number: (10, 200) });
    steps.push(Step::Device { path: "/dev/fuse", number: (10, 229) });
    for (path, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
        ("/dev/ptmx", "pts/ptmx"),
    ] {
        steps.push(Step::Link { path, target });
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    match &plan.terminal {
        Some(terminal) => {
            steps.push(Step::Directory { path: "/dev/pts", mode: 0o755 });
            steps.push(bind(&terminal.devpts, "/dev/pts"));
            steps.push(bind(&terminal.device, "/dev/console"));
        }
        None => {
            steps.push(Step::Mount { kind: "devpts", path: "/dev/pts", flags, options: DEVPTS });
            // There is no console. What is written to it shows up where the app's errors do.
            steps.push(Step::Link { path: "/dev/console", target: "/proc/self/fd/2" });
        }
    }
    if let Some(socket) = &plan.log {
        steps.push(bind(socket, "/dev/log"));
    }
    steps.push(Step::Directory { path: "/dev/shm", mode: 0o1777 });
    steps.push(bind(SHM, "/dev/shm"));
    steps.push(Step::Mount { kind: "mqueue", path: "/dev/mqueue", flags: NO_PROGRAMS, options: "" });
}

/// Options of an app's pseudo-terminals; group 5 is `tty` everywhere.
pub const DEVPTS: &str = "newinstance,ptmxmode=0666,mode=0620,gid=5";

fn configuration(plan: &RootPlan, steps: &mut Vec<Step>) {
    let file = |name: &str| bind(&format!("{FILES}/{name}"), &format!("/etc/{name}"));
    steps.push(file("hostname"));
    if plan.resolv_conf {
        steps.push(file("resolv.conf"));
    }
    steps.push(match plan.hosts {
        true => file("hosts"),
        false => Step::Bind {
            source: format!("{FILES}/hosts"),
            path: "/etc/hosts".to_owned(),
            only_if_missing: true,
        },
    });
    steps.push(Step::Link { path: "/etc/mtab", target: "../proc/self/mounts" });
}

fn bind(source: &str, path: &str) -> Step {
    Step::Bind { source: source.to_owned(), path: path.to_owned(), only_if_missing: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(steps: &[Step], path: &str) -> usize {
        let path_of = |step: &Step| match step {
            Step::Directory { path, .. }
            | Step::Mount { path, .. }
            | Step::Device { path, .. }
            | Step::Link { path, .. }
            | Step::Hide { path }
            | Step::Freeze { path } => (*path).to_owned(),
            Step::Bind { path, .. } | Step::Volume(Volume { path, .. }) => path.clone(),
        };
        steps.iter().position(|step| path_of(step) == path).unwrap_or_else(|| panic!("no step for {path}"))
    }

    #[test]
    fn what_lies_below_a_mount_comes_after_it() {
        for terminal in [None, Some(Terminal { devpts: "/run/pts/a".into(), device: "/run/pts/a/0".into() })]
        {
            let steps = steps(&RootPlan { protect: true, terminal, ..RootPlan::default() });
            for (above, below) in [
                ("/dev", "/dev/null"),
                ("/dev", "/dev/console"),
                ("/dev", "/dev/pts"),
                ("/dev/net", "/dev/net/tun"),
                ("/proc", "/proc/bus"),
                ("/sys", "/sys/fs"),
                ("/sys/fs", "/sys/fs/cgroup"),
                ("/etc", "/etc/hosts"),
            ] {
                assert!(position(&steps, above) < position(&steps, below), "{above} {below}");
            }
        }
    }

    #[test]
    fn protection_can_be_lifted() {
        let guarded = steps(&RootPlan { protect: true, ..RootPlan::default() });
        let open = steps(&RootPlan::default());
        let read_only = |steps: &[Step]| match &steps[position(steps, "/sys")] {
            Step::Mount { flags, .. } => flags.contains(MsFlags::MS_RDONLY),
            _ => unreachable!(),
        };
        assert!(read_only(&guarded) && !read_only(&open));
        assert!(guarded.contains(&Step::Hide { path: "/proc/kcore" }));
        assert!(!open.iter().any(|step| matches!(step, Step::Hide { .. } | Step::Freeze { .. })));
    }

    #[test]
    fn only_administrators_write_cgroups() {
        for administrator in [false, true] {
            let steps = steps(&RootPlan { administrator, ..RootPlan::default() });
            let Step::Mount { flags, .. } = &steps[position(&steps, "/sys/fs/cgroup")] else { panic!() };
            assert_eq!(flags.contains(MsFlags::MS_RDONLY), !administrator);
        }
    }

    #[test]
    fn volumes_go_over_everything_else() {
        let volume = Volume {
            source: "/volumes/hosts".into(),
            path: "/etc/hosts".into(),
            read_only: false,
            memory: None,
        };
        let plan = RootPlan { protect: true, volumes: vec![volume.clone()], ..RootPlan::default() };
        assert_eq!(steps(&plan).last(), Some(&Step::Volume(volume)));
    }

    #[test]
    fn tables_replace_the_images_only_when_the_pod_says_so() {
        let quiet = steps(&RootPlan::default());
        let kept = &quiet[position(&quiet, "/etc/hosts")];
        assert!(matches!(kept, Step::Bind { only_if_missing: true, .. }));
        assert!(!quiet.iter().any(|step| matches!(step, Step::Bind { path, .. } if path.contains("resolv"))));
        let told = steps(&RootPlan { hosts: true, resolv_conf: true, ..RootPlan::default() });
        assert!(told.contains(&bind("/run/files/hosts", "/etc/hosts")));
        assert!(told.contains(&bind("/run/files/resolv.conf", "/etc/resolv.conf")));
    }
}
