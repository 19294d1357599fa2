//! Volumes in the guest's memory (tmpfs(5)).
//!
//! They are mounted in the agent's file systems, from where the apps that share one get it. What is in them counts for the
//! memory of the app that wrote it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use agent::protocol::MemoryVolume;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Why a volume in memory is not there.
#[derive(Debug, thiserror::Error)]
#[error("Cannot make the volume \"{name}\" in memory")]
pub struct MemoryError {
    /// Its name.
    name: String,
    /// Why.
    #[source]
    source: io::Error,
}

/// Makes the volume at `path`, unless it is one of the pod's that is there. An app's own begins empty.
pub fn provide(volume: &MemoryVolume, path: &Path) -> Result<(), MemoryError> {
    if volume.own {
        remove(path);
    }
    let made = match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !volume.own => return Ok(()),
        Err(error) => Err(error),
        Ok(()) => mount_at(volume, path),
    };
    made.map_err(|source| MemoryError {
        name: path.file_name().unwrap_or_default().display().to_string(),
        source,
    })
}

/// Takes the volume at `path` away; those who have it mounted keep it.
pub fn remove(path: &Path) {
    // What cannot be removed will be in the way, and be named then.
    let _ = umount2(path, MntFlags::MNT_DETACH);
    let _ = fs::remove_dir(path);
}

fn mount_at(volume: &MemoryVolume, path: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(options(volume).as_str())).map_err(|error| {
        // Without its mount the directory would pass for the volume.
        let _ = fs::remove_dir(path);
        error.into()
    })
}

fn options(MemoryVolume { mode, uid, gid, size, .. }: &MemoryVolume) -> String {
    let size = size.map(|size| format!(",size={size}")).unwrap_or_default();
    format!("mode={mode:o},uid={uid},gid={gid}{size}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_tmpfs_own() {
        let volume = MemoryVolume { mode: 0o1777, uid: 5, gid: 6, size: Some(65_536), own: true };
        assert_eq!(options(&volume), "mode=1777,uid=5,gid=6,size=65536");
        assert_eq!(options(&MemoryVolume { size: None, ..volume }), "mode=1777,uid=5,gid=6");
    }
}
