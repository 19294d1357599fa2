//! What pods may leave behind, looked at before and after.

use std::fs;
use std::path::{Path, PathBuf};

/// What must be the same before and after.
#[derive(Debug, PartialEq, Eq)]
pub struct Remains {
    processes: usize,
    mounts: Vec<String>,
    interfaces: Vec<String>,
    namespaces: Vec<String>,
    cgroups: usize,
}

impl Remains {
    /// Those of the whole host, now.
    ///
    /// # Panics
    /// When the host cannot be looked at.
    pub fn look() -> Self {
        let is_user_process = |name: &String| {
            // Kernel threads come and go; they have no program.
            name.bytes().all(|byte| byte.is_ascii_digit())
                && fs::read_link(format!("/proc/{name}/exe")).is_ok()
        };
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        Self {
            processes: names(Path::new("/proc")).iter().filter(|name| is_user_process(name)).count(),
            mounts: mounts.lines().map(str::to_owned).collect(),
            interfaces: names(Path::new("/sys/class/net")),
            namespaces: names(Path::new("/run/netns")),
            cgroups: directories(Path::new("/sys/fs/cgroup")),
        }
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn directories(root: &Path) -> usize {
    let entries: Vec<_> = fs::read_dir(root).map(|entries| entries.flatten().collect()).unwrap_or_default();
    let inside = entries.iter().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    inside.map(|entry| 1 + directories(&entry.path())).sum()
}

/// Every file and directory of a data directory, but for the private files of its index.
///
/// # Panics
/// When it changes meanwhile.
#[must_use]
pub fn files(data: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data).expect("a directory") {
        let entry = entry.expect("an entry");
        let path = entry.path();
        if entry.file_type().expect("a kind").is_dir() && !path.ends_with("cas/db") {
            found.extend(files(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}
