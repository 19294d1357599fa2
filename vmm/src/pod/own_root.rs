//! The VMM's own root: what it serves to the guest and what it writes for others, and nothing else of the host.
//!
//! ```text
//! /                          a tmpfs, read-only
//! ├── logs                   what apps write
//! └── stage1/rootfs
//!     ├── opt/stage2         root file systems of the apps: the first share
//!     └── rkt                statuses; volumes: the second share
//! ```
//!
//! The names are those of the pod's directory, so that one path serves before and after. The mounts are slaves of the
//! host's: what `rkt app add` mounts there later appears here.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::DirBuilderExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::CWD,
    mount::{
        MountFlags, OpenTreeFlags, UnmountFlags, mount, mount_bind_recursive, mount_remount, open_tree,
        unmount,
    },
    process::{chdir, pivot_root},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe},
};

use super::{directory::PodDirectory, volumes::restrict};

/// No devices, no programs.
const PLAIN: MountFlags = MountFlags::NODEV.union(MountFlags::NOSUID).union(MountFlags::NOEXEC);
/// It holds nothing but mount points.
const OPTIONS: &std::ffi::CStr = c"mode=755,size=64k";
/// Mode of the directory of logs.
const LOGS_MODE: u32 = 0o750;

/// Makes the root of this process, in the mount namespace that it has for itself, and enters it. What comes back is
/// /proc/self/fd, which the file server needs.
pub fn enter(directory: &PodDirectory) -> io::Result<File> {
    // A mount of its own: a way from it leads to nothing else in /proc.
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let descriptors = open_tree(CWD, "/proc/self/fd", clone)?;
    let root = directory.stage1_file("");
    mount("tmpfs", &root, "tmpfs", PLAIN, OPTIONS)?;
    for shown in [directory.apps(), directory.rkt(), logs(directory)?] {
        show(&shown, &root)?;
    }
    mount_remount(&root, PLAIN | MountFlags::BIND | MountFlags::RDONLY, "")?;
    chdir(&root)?;
    pivot_root(".", ".")?;
    // The old root lies on the new one now.
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")?;
    Ok(File::from(descriptors))
}

fn logs(directory: &PodDirectory) -> io::Result<PathBuf> {
    let logs = directory.logs();
    match DirBuilder::new().mode(LOGS_MODE).create(&logs) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(logs),
    }
}

/// Mounts a directory, with all that is mounted in it, below the new root at the path it has.
fn show(directory: &Path, root: &Path) -> io::Result<()> {
    let place = root.join(directory.strip_prefix("/").unwrap_or(directory));
    fs::create_dir_all(&place)?;
    mount_bind_recursive(directory, &place)?;
    restrict(&place)
}

/// Leaves the host's network and its shared memory: the former for `network`, the pod's, or for one with nothing in it.
pub fn leave_networks(network: Option<&OwnedFd>) -> io::Result<()> {
    let left = UnshareFlags::NEWIPC;
    let left = if network.is_some() { left } else { left | UnshareFlags::NEWNET };
    // SAFETY: neither namespace concerns memory or descriptors of ours.
    unsafe { unshare_unsafe(left) }?;
    match network {
        Some(network) => Ok(move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rustix::{
        fs::{Mode, OFlags, openat},
        mount::{MountPropagationFlags, mount_change},
    };

    use super::*;
    use crate::jail::tests::in_child;

    /// In a mount namespace of its own, the root that is made of a pod's directory.
    fn in_own_root(look: fn(File)) -> (Option<serde_json::Value>, i32) {
        let root = tempfile::tempdir().unwrap();
        let directory = PodDirectory::at(Path::new("."));
        for path in
            ["stage1/rootfs/opt/stage2/web", "stage1/rootfs/rkt/status", "stage1/rootfs/usr/lib/rkt/stage1"]
        {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        in_child(|| {
            // SAFETY: the child has one thread.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
            mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC).unwrap();
            chdir(root.path()).unwrap();
            look(enter(&directory).unwrap());
        })
    }

    fn names(directory: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_but_the_pod_is_left() {
        let seen = in_own_root(|_| {
            assert_eq!(names("/"), ["logs", "stage1"]);
            assert_eq!(names("/.."), ["logs", "stage1"]);
            assert_eq!(names("stage1/rootfs"), ["opt", "rkt"]);
            assert_eq!(names("stage1/rootfs/opt/stage2"), ["web"]);
            fs::write("logs/web.log", "").unwrap();
            fs::write("stage1/rootfs/rkt/status/web", "0").unwrap();
            let refused = fs::write("new", "").unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EROFS));
        });
        assert_eq!(seen, (None, 0));
    }

    #[test]
    fn proc_is_a_way_to_nowhere() {
        let seen = in_own_root(|descriptors| {
            let up = |name: &str| openat(&descriptors, name, OFlags::RDONLY, Mode::empty());
            assert!(up("0").is_ok() || up("2").is_ok());
            // The root of its own mount: what is there has no environment, and no neighbours.
            assert!(
                up("../environ").is_err() && up("../../1/root").is_err() && up("../../sys/kernel").is_err()
            );
        });
        assert_eq!(seen, (None, 0));
    }
}
