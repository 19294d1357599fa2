//! Named lists of system calls.

use syscalls::{Sysno, SysnoSet};

/// What a filter of allowed calls allows beside its list: without these nothing could start, end or wait
/// (systemd.exec(5), `SystemCallFilter=`).
pub const ALWAYS: SysnoSet = SysnoSet::new(&[
    Sysno::clock_getres,
    Sysno::clock_gettime,
    Sysno::clock_nanosleep,
    Sysno::execve,
    Sysno::exit,
    Sysno::exit_group,
    Sysno::getrlimit,
    Sysno::gettimeofday,
    Sysno::nanosleep,
    Sysno::pause,
    Sysno::restart_syscall,
    Sysno::rt_sigreturn,
    Sysno::time,
]);

/// Calls that are blocked by default, by the capability that unblocks them; none is never unblocked.
const BLOCKED: &[(Option<&str>, &[&str])] = &[
    (
        Some("SYS_ADMIN"),
        &[
            "bpf",
            "fanotify_init",
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "lookup_dcookie",
            "mount",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "perf_event_open",
            "pivot_root",
            "quotactl",
            "quotactl_fd",
            "setdomainname",
            "sethostname",
            "setns",
            "swapoff",
            "swapon",
            "umount2",
            "unshare",
        ],
    ),
    (Some("SYS_MODULE"), &["create_module", "delete_module", "finit_module", "init_module", "query_module"]),
    (Some("SYS_BOOT"), &["kexec_file_load", "kexec_load", "reboot"]),
    (Some("SYS_TIME"), &["adjtimex", "clock_adjtime", "clock_settime", "settimeofday"]),
    (Some("SYS_RAWIO"), &["ioperm", "iopl"]),
    (Some("SYS_PACCT"), &["acct"]),
    (Some("SYS_TTY_CONFIG"), &["vhangup"]),
    (Some("SYS_NICE"), &["get_mempolicy", "mbind", "migrate_pages", "move_pages", "set_mempolicy"]),
    // ptrace itself is for debuggers: since Linux 4.8 it leads around no filter, and to no process with more rights.
    (Some("SYS_PTRACE"), &["kcmp", "userfaultfd"]),
    (Some("DAC_READ_SEARCH"), &["open_by_handle_at"]),
    // Keyrings know no namespaces: one app's would be another's.
    (None, &["add_key", "keyctl", "request_key"]),
    (None, &["io_uring_enter", "io_uring_register", "io_uring_setup"]),
    (None, &["_sysctl", "afs_syscall", "get_kernel_syms", "nfsservctl", "sysfs", "uselib", "ustat"]),
];

/// Groups of systemd (`systemd-analyze syscall-filter`).
const GROUPS: &[(&str, &[&str])] = &[
    ("@systemd/clock", &["adjtimex", "clock_adjtime", "clock_settime", "settimeofday"]),
    (
        "@systemd/mount",
        &[
            "chroot",
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "mount",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "pivot_root",
            "umount2",
        ],
    ),
    (
        "@systemd/network-io",
        &[
            "accept",
            "accept4",
            "bind",
            "connect",
            "getpeername",
            "getsockname",
            "getsockopt",
            "listen",
            "recvfrom",
            "recvmmsg",
            "recvmsg",
            "sendmmsg",
            "sendmsg",
            "sendto",
            "setsockopt",
            "shutdown",
            "socket",
            "socketpair",
        ],
    ),
    (
        "@systemd/obsolete",
        &[
            "_sysctl",
            "afs_syscall",
            "create_module",
            "get_kernel_syms",
            "getpmsg",
            "putpmsg",
            "query_module",
            "security",
            "sysfs",
            "tuxcall",
            "uselib",
            "ustat",
            "vserver",
        ],
    ),
    (
        "@systemd/privileged",
        &[
            "_sysctl",
            "acct",
            "adjtimex",
            "bpf",
            "capset",
            "chown",
            "chroot",
            "clock_adjtime",
            "clock_settime",
            "delete_module",
            "fanotify_init",
            "fanotify_mark",
            "fchown",
            "fchownat",
            "finit_module",
            "init_module",
            "ioperm",
            "iopl",
            "kexec_file_load",
            "kexec_load",
            "lchown",
            "nfsservctl",
            "open_by_handle_at",
            "pivot_root",
            "quotactl",
            "quotactl_fd",
            "reboot",
            "setdomainname",
            "setfsuid",
            "setgroups",
            "sethostname",
            "setresuid",
            "setreuid",
            "settimeofday",
            "setuid",
            "swapoff",
            "swapon",
            "vhangup",
        ],
    ),
    (
        "@systemd/process",
        &[
            "arch_prctl",
            "capget",
            "clone",
            "clone3",
            "execveat",
            "fork",
            "getrusage",
            "kill",
            "pidfd_open",
            "pidfd_send_signal",
            "prctl",
            "rt_sigqueueinfo",
            "rt_tgsigqueueinfo",
            "setns",
            "tgkill",
            "times",
            "tkill",
            "unshare",
            "vfork",
            "wait4",
            "waitid",
        ],
    ),
    ("@systemd/raw-io", &["ioperm", "iopl"]),
    (
        "@systemd/default-whitelist",
        &[
            "arch_prctl",
            "brk",
            "futex",
            "get_robust_list",
            "getegid",
            "geteuid",
            "getgid",
            "getgroups",
            "getpgid",
            "getpgrp",
            "getpid",
            "getppid",
            "getrandom",
            "getresgid",
            "getresuid",
            "getsid",
            "gettid",
            "getuid",
            "membarrier",
            "mmap",
            "mprotect",
            "munmap",
            "prlimit64",
            "rseq",
            "sched_getaffinity",
            "sched_yield",
            "set_robust_list",
            "set_tid_address",
        ],
    ),
];

/// The calls blocked by default for an app that has the capabilities `has` says.
pub fn blocked(has: impl Fn(&str) -> bool) -> SysnoSet {
    let lists = BLOCKED.iter().filter(|(capability, _)| !capability.is_some_and(&has));
    lists.fold(SysnoSet::empty(), |set, (_, names)| set.union(&named(names)))
}

/// The calls of a group; none if there is no such group.
pub fn group(name: &str, has: impl Fn(&str) -> bool) -> Option<SysnoSet> {
    match name {
        "@docker/default-whitelist" | "@rkt/default-whitelist" => {
            Some(SysnoSet::all().difference(&blocked(has)))
        }
        "@docker/default-blacklist" | "@rkt/default-blacklist" => Some(blocked(has)),
        "@systemd/default-whitelist" => {
            let names = GROUPS.iter().find(|(group, _)| *group == name)?.1;
            Some(named(names).union(&ALWAYS))
        }
        _ => GROUPS.iter().find(|(group, _)| *group == name).map(|(_, names)| named(names)),
    }
}

fn named(names: &[&str]) -> SysnoSet {
    names.iter().filter_map(|name| name.parse::<Sysno>().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_call_of_this_architecture() {
        let blocked = BLOCKED.iter().flat_map(|(_, names)| names.iter());
        let groups = GROUPS.iter().flat_map(|(_, names)| names.iter());
        for name in blocked.chain(groups) {
            assert!(name.parse::<Sysno>().is_ok(), "{name}");
        }
    }

    #[test]
    fn capabilities_unblock_what_they_are_for() {
        assert!(blocked(|_| false).contains(Sysno::mount));
        let administrator = blocked(|capability| capability == "SYS_ADMIN");
        assert!(!administrator.contains(Sysno::mount) && administrator.contains(Sysno::reboot));
        assert!(blocked(|_| true).contains(Sysno::keyctl));
    }

    #[test]
    fn groups_are_found_by_name() {
        let group = |name| group(name, |_| false);
        assert!(group("@systemd/mount").unwrap().contains(Sysno::umount2));
        assert!(group("@rkt/default-whitelist").unwrap().contains(Sysno::statx));
        assert!(!group("@docker/default-whitelist").unwrap().contains(Sysno::mount));
        assert!(group("@docker/default-blacklist").unwrap().contains(Sysno::mount));
        assert!(group("@systemd/default-whitelist").unwrap().contains(Sysno::exit_group));
        assert!(group("@systemd/none").is_none() && group("mount").is_none());
    }
}
