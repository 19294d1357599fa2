//! Paths of /proc and /sys that apps neither see nor write (`rkt-reference` §3.5).

use super::plan::Step;

/// Directories that look empty and closed. `/sys/fs` is another: it keeps the app's cgroup.
const HIDDEN_DIRECTORIES: &[&str] = &["/sys/firmware", "/sys/hypervisor", "/sys/module", "/sys/power"];

const HIDDEN_FILES: &[&str] =
    &["/proc/config.gz", "/proc/kallsyms", "/proc/sched_debug", "/proc/kcore", "/proc/kmem", "/proc/mem"];

/// Those of /sys are covered by its being read-only as a whole.
const FROZEN: &[&str] = &[
    "/proc/bus",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/vm/panic_on_oom",
    "/proc/sysrq-trigger",
];

/// The steps that protect; /proc and /sys are mounted before.
pub fn steps() -> impl Iterator<Item = Step> {
    let hidden = HIDDEN_DIRECTORIES.iter().chain(HIDDEN_FILES).map(|path| Step::Hide { path });
    hidden.chain(FROZEN.iter().map(|path| Step::Freeze { path }))
}
