//! The agent's own file systems.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::unistd::{chdir, chroot};

use super::cache;
use crate::app::delegate;
use crate::layout::{
    CGROUP, DIRECTORIES, HIDDEN, HIDDEN_DIRECTORY, HIDDEN_FILE, HIDDEN_FS, HIDDEN_FS_CGROUP, SHM,
};

/// Why the machine cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A directory or file.
    #[error("Cannot make \"{path}\" in the agent's root")]
    Make {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A mount.
    #[error("Cannot mount {kind} on \"{path}\" in the agent's root")]
    Mount {
        /// The file system's type.
        kind: &'static str,
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// The change of roots.
    #[error("Cannot enter the agent's root")]
    Enter(#[source] Errno),
    /// The share is not there.
    #[error("Cannot mount the virtio-fs share \"{tag}\"")]
    Share {
        /// Its tag.
        tag: &'static str,
        /// Why.
        #[source]
        source: Errno,
    },
}

const PLAIN: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// Makes the agent's root, with all its file systems, on the directory `at`.
///
/// It is a mount of its own because the initial root can be neither left nor cut off by `pivot_root`.
pub fn make_root(at: &Path) -> Result<(), BootError> {
    mount_on("tmpfs", at, PLAIN - MsFlags::MS_NODEV, Some("mode=755"))?;
    let inside = |path: &str| at.join(path.trim_start_matches('/'));
    for path in DIRECTORIES {
        directory(&inside(path), 0o755)?;
    }
    mount_on("proc", &inside("/proc"), PLAIN, None)?;
    mount_on("devtmpfs", &inside("/dev"), MsFlags::MS_NOSUID, Some("mode=755"))?;
    mount_on("tmpfs", &inside(SHM), PLAIN, Some("mode=1777"))?;
    // Moving processes into groups happens at every start of an app; without the option it waits for all CPUs.
    mount_on("cgroup2", &inside(CGROUP), PLAIN, Some("favordynmods"))?;
    delegate(&inside(CGROUP));
    hidden(&inside)
}

/// What covers protected paths: nobody can enter it and nobody can write to it.
fn hidden(inside: &impl Fn(&str) -> std::path::PathBuf) -> Result<(), BootError> {
    mount_on("tmpfs", &inside(HIDDEN), PLAIN, Some("mode=755,size=64k"))?;
    directory(&inside(HIDDEN_DIRECTORY), 0)?;
    directory(&inside(HIDDEN_FS), 0o111)?;
    directory(&inside(HIDDEN_FS_CGROUP), 0o755)?;
    let file = inside(HIDDEN_FILE);
    let made = fs::write(&file, "").and_then(|()| fs::set_permissions(&file, Permissions::from_mode(0o0)));
    made.map_err(|source| BootError::Make { path: file.display().to_string(), source })?;
    mount_on("tmpfs", &inside(HIDDEN), PLAIN | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, None)
}

/// Makes the mount `root` the root of the calling process and hides what was there before.
pub fn enter_root(root: &Path) -> Result<(), BootError> {
    let enter = || {
        chdir(root)?;
        mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
        chroot(".")?;
        chdir("/")
    };
    enter().map_err(BootError::Enter)
}

/// Mounts a share of the host.
pub fn mount_share(tag: &'static str, at: &str) -> Result<(), BootError> {
    mount(Some(tag), at, Some("virtiofs"), MsFlags::empty(), None::<&str>)
        .map_err(|source| BootError::Share { tag, source })?;
    if let Err(error) = cache::widen(at) {
        // It works all the same, but slowly.
        eprintln!("rkt agent: cannot tune the cache of the share \"{tag}\": {error}");
    }
    Ok(())
}

/// Has the kernel mount what the host has mounted at a directory of a share. Were that left to the apps, each would get a
/// file system of its own, in which FIFOs, sockets, locks and mappings are not the others', and which would go with the
/// app's last process, whatever it had under way ([`super::Quiet`]).
pub fn touch_submount(path: &Path) {
    // Whatever is wrong with it, mounting it into an app will tell. Files are part of the share itself.
    let _ = fs::metadata(path.join("."));
}

fn mount_on(kind: &'static str, path: &Path, flags: MsFlags, options: Option<&str>) -> Result<(), BootError> {
    mount(Some(kind), path, Some(kind), flags, options).map_err(|source| BootError::Mount {
        kind,
        path: path.display().to_string(),
        source,
    })
}

fn directory(path: &Path, mode: u32) -> Result<(), BootError> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|source| BootError::Make { path: path.display().to_string(), source })
}
