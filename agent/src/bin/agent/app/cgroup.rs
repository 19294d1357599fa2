//! The cgroup of an app (Linux `Documentation/admin-guide/cgroup-v2.rst`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use appc::{Isolator, Isolators};

/// The period of CPU quotas in microseconds, the kernel's default.
const PERIOD_US: u64 = 100_000;
/// The least quota the kernel takes, in microseconds.
const MIN_QUOTA_US: u64 = 1_000;
/// CPU shares that correspond to the default weight of 100 (systemd's `cgroup_cpu_shares_to_weight`).
const DEFAULT_SHARES: u64 = 1024;

/// The controllers that limits need.
const CONTROLLERS: [&str; 4] = ["+memory", "+cpu", "+pids", "+io"];

/// One control file and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The file's name.
    pub file: &'static str,
    /// What is written to it.
    pub value: String,
}

/// The limits that isolators ask for.
pub fn settings(isolators: &Isolators) -> Vec<Setting> {
    let mut settings = Vec::new();
    if let Some(limit) = isolators.memory_limit() {
        settings.push(Setting { file: "memory.max", value: limit.value().max(0).to_string() });
    }
    if let Some(limit) = isolators.cpu_limit() {
        let milli = u64::try_from(limit.milli_value()).unwrap_or(0);
        let quota = milli.saturating_mul(PERIOD_US / 1000).max(MIN_QUOTA_US);
        settings.push(Setting { file: "cpu.max", value: format!("{quota} {PERIOD_US}") });
    }
    if let Some(limit) = isolators.pids_limit() {
        settings.push(Setting { file: "pids.max", value: limit.value().max(0).to_string() });
    }
    for isolator in isolators.iter() {
        if let Isolator::CpuShares(shares) = isolator {
            let weight = (shares.saturating_mul(100) / DEFAULT_SHARES).clamp(1, 10_000);
            settings.push(Setting { file: "cpu.weight", value: weight.to_string() });
        }
    }
    settings
}

/// A cgroup that exists.
#[derive(Debug)]
pub struct Cgroup {
    directory: PathBuf,
}

impl Cgroup {
    /// Makes the cgroup `name` below `hierarchy` and applies settings.
    ///
    /// Returns the settings whose controller the kernel lacks, beside the group: they are no reason to fail.
    pub fn create(
        hierarchy: &Path,
        name: &str,
        settings: &[Setting],
    ) -> io::Result<(Self, Vec<&'static str>)> {
        let directory = hierarchy.join(name);
        fs::create_dir(&directory)?;
        let mut skipped = Vec::new();
        for setting in settings {
            match write_existing(&directory.join(setting.file), &setting.value) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => skipped.push(setting.file),
                other => other?,
            }
        }
        Ok((Self { directory }, skipped))
    }

    /// Removes the group `name` below `hierarchy`, which no process is in any more, if it is there.
    pub fn remove(hierarchy: &Path, name: &str) -> io::Result<()> {
        match fs::remove_dir(hierarchy.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Moves the calling process in.
    pub fn enter(&self) -> io::Result<()> {
        write_existing(&self.directory.join("cgroup.procs"), "0")
    }

    /// Kills every process in the group and below, those being forked included.
    pub fn kill(&self) -> io::Result<()> {
        write_existing(&self.directory.join("cgroup.kill"), "1")
    }

    /// Whether a process is in the group or below.
    pub fn is_populated(&self) -> bool {
        fs::read_to_string(self.directory.join("cgroup.events"))
            .is_ok_and(|events| events.lines().any(|line| line == "populated 1"))
    }

    /// Where its control files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Turns on the controllers that limits need for the children of a group; those the kernel lacks stay off.
pub fn delegate(hierarchy: &Path) {
    let file = hierarchy.join("cgroup.subtree_control");
    // Every change waits for all CPUs: one for all four, unless one of them is missing.
    if write_existing(&file, &CONTROLLERS.join(" ")).is_err() {
        for controller in CONTROLLERS {
            let _ = write_existing(&file, controller);
        }
    }
}

/// Writes a control file; unlike `fs::write` never makes it.
fn write_existing(path: &Path, value: &str) -> io::Result<()> {
    io::Write::write_all(&mut fs::OpenOptions::new().write(true).open(path)?, value.as_bytes())
}

#[cfg(test)]
mod tests {
    use appc::Quantity;
    use appc::isolator::Resource;

    use super::*;

    fn limit(text: &str) -> Resource {
        Resource::limit(text.parse::<Quantity>().unwrap())
    }

    fn values(isolators: Vec<Isolator>) -> Vec<(&'static str, String)> {
        settings(&Isolators(isolators)).into_iter().map(|setting| (setting.file, setting.value)).collect()
    }

    #[test]
    fn limits_become_files() {
        let found = values(vec![
            Isolator::Memory(limit("1G")),
            Isolator::Memory(limit("192Mi")),
            Isolator::Cpu(limit("500m")),
            Isolator::CpuShares(2048),
            Isolator::Pids(limit("1k")),
        ]);
        let expected = [
            ("memory.max", "201326592".to_owned()),
            ("cpu.max", "50000 100000".to_owned()),
            ("pids.max", "1000".to_owned()),
            ("cpu.weight", "200".to_owned()),
        ];
        assert_eq!(found, expected);
        assert!(values(vec![]).is_empty());
    }

    #[test]
    fn extremes_stay_in_the_kernels_range() {
        assert_eq!(values(vec![Isolator::CpuShares(2)])[0].1, "1");
        assert_eq!(values(vec![Isolator::CpuShares(262_144)])[0].1, "10000");
        assert_eq!(values(vec![Isolator::Cpu(limit("1m"))])[0].1, "1000 100000");
        assert_eq!(values(vec![Isolator::Memory(limit("-5"))])[0].1, "0");
    }

    #[test]
    fn absent_controllers_are_told() {
        let hierarchy = tempfile::tempdir().unwrap();
        let settings = [Setting { file: "memory.max", value: "1".into() }];
        let (group, skipped) = Cgroup::create(hierarchy.path(), "app", &settings).unwrap();
        assert_eq!(skipped, ["memory.max"]);
        assert!(!group.is_populated());
        fs::write(hierarchy.path().join("app/cgroup.events"), "populated 1\nfrozen 0\n").unwrap();
        assert!(group.is_populated());
        assert!(group.kill().is_err(), "a control file is never made");
    }
}
