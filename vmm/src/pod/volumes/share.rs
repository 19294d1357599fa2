//! The directory that holds a pod's volumes, for the guest.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, FileType, statat},
    mount::{MountFlags, MoveMountFlags, mount as mount_file_system, mount_remount, move_mount},
};

/// Nobody needs device files or programs of the directory itself.
const PLAIN: MountFlags = MountFlags::NODEV.union(MountFlags::NOSUID).union(MountFlags::NOEXEC);
/// It holds nothing but mount points.
const OPTIONS: &std::ffi::CStr = c"mode=755,size=64k";

/// Attaches mounts to `at/0`, `at/1` and so on. Nothing but the volumes can be changed by the guest.
pub fn mount(at: &Path, volumes: &[OwnedFd]) -> io::Result<()> {
    fs::create_dir_all(at)?;
    mount_file_system("tmpfs", at, "tmpfs", PLAIN, OPTIONS)?;
    for (index, volume) in volumes.iter().enumerate() {
        let target = at.join(index.to_string());
        match is_directory(volume)? {
            true => fs::create_dir(&target)?,
            false => drop(File::create(&target)?),
        }
        move_mount(volume, "", CWD, &target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    }
    mount_remount(at, PLAIN | MountFlags::BIND | MountFlags::RDONLY, "")?;
    Ok(())
}

fn is_directory(volume: &impl AsFd) -> io::Result<bool> {
    let status = statat(volume, "", AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(status.st_mode) == FileType::Directory)
}

#[cfg(test)]
mod tests;
