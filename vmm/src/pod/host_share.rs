//! How much of the host this process may use: what a service manager or a shell has limited it to.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the cgroup v2 hierarchy is mounted.
pub const HIERARCHY: &str = "/sys/fs/cgroup";

/// A share of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostShare {
    /// CPUs it may run on, or the time of that many.
    pub cpus: u32,
    /// Bytes of memory it may have; none if nothing but the host limits that.
    pub memory: Option<u64>,
}

impl HostShare {
    /// This process's.
    pub fn own() -> Self {
        let allowed = rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count()).max(1);
        let groups = own_groups();
        let quota = groups.iter().filter_map(|group| quota(&read(group, "cpu.max"))).min();
        let memory = groups.iter().filter_map(|group| read(group, "memory.max").trim().parse().ok()).min();
        HostShare { cpus: quota.map_or(allowed, |quota| quota.min(allowed)), memory }
    }
}

/// The directory of this process's cgroup, if there are cgroups v2 and it sees its own.
pub fn own_group() -> Option<PathBuf> {
    // Where version 1 has the usual place, that of version 2 leads nowhere, or to what is no cgroup.
    own_groups().into_iter().next().filter(|group| group.join("cgroup.controllers").exists())
}

fn own_groups() -> Vec<PathBuf> {
    groups(Path::new(HIERARCHY), &fs::read_to_string("/proc/self/cgroup").unwrap_or_default())
}

/// The directories of the cgroup and of those it is in, as far as this process sees them (cgroups(7),
/// "/proc/[pid]/cgroup").
fn groups(hierarchy: &Path, own: &str) -> Vec<PathBuf> {
    let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::/")) else { return Vec::new() };
    let group = hierarchy.join(path);
    group.ancestors().take_while(|group| group.starts_with(hierarchy)).map(Path::to_owned).collect()
}

fn read(group: &Path, file: &str) -> String {
    // The root has no such files, and what is not limited may have none.
    fs::read_to_string(group.join(file)).unwrap_or_default()
}

/// Whole CPUs in `MICROSECONDS PERIOD`, rounded up; none if it is `max`.
fn quota(text: &str) -> Option<u32> {
    let (time, period) = text.trim().split_once(' ')?;
    let (time, period): (u64, u64) = (time.parse().ok()?, period.parse().ok().filter(|period| *period > 0)?);
    Some(u32::try_from(time.div_ceil(period).max(1)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_on_the_way_up_counts() {
        let root = Path::new("/sys/fs/cgroup");
        let found = groups(root, "1:name=systemd:/x\n0::/system.slice/rkt.service\n");
        let names = ["system.slice/rkt.service", "system.slice", ""];
        assert_eq!(found, names.map(|name| root.join(name)));
        assert_eq!(groups(root, "1:memory:/x\n"), Vec::<PathBuf>::new());
    }

    #[test]
    fn quotas_are_whole_cpus() {
        assert_eq!(quota("150000 100000\n"), Some(2));
        assert_eq!(quota("10000 100000"), Some(1));
        for none in ["max 100000", "", "1 0", "x y"] {
            assert_eq!(quota(none), None, "{none}");
        }
    }

    #[test]
    fn there_is_always_a_cpu() {
        assert!(HostShare::own().cpus >= 1);
    }
}
