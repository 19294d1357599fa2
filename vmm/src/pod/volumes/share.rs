//! The directory that holds a pod's volumes, for the guest.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, FileType, statat},
    io::Errno,
    mount::{
        MountFlags, MoveMountFlags, UnmountFlags, mount as mount_file_system, mount_bind, mount_remount,
        move_mount, unmount,
    },
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
        attach(&at.join(index.to_string()), volume)?;
    }
    mount_remount(at, PLAIN | MountFlags::BIND | MountFlags::RDONLY, "")?;
    Ok(())
}

/// Makes `at` a directory that only the host can add volumes to, as mounts that come from its mount namespace.
pub fn mount_growing(at: &Path) -> io::Result<()> {
    fs::create_dir_all(at)?;
    mount_bind(at, at)?;
    mount_remount(at, PLAIN | MountFlags::BIND | MountFlags::RDONLY, "")?;
    Ok(())
}

/// Attaches the mount of a volume.
pub fn attach(target: &Path, volume: &OwnedFd) -> io::Result<()> {
    match is_directory(volume)? {
        true => fs::create_dir(target)?,
        false => drop(File::create(target)?),
    }
    move_mount(volume, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(())
}

/// Takes a volume away that was attached by [`attach`], if it was.
pub fn detach(target: &Path) -> io::Result<()> {
    match unmount(target, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH) {
        // It is not mounted, or was never made.
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let removed = match fs::symlink_metadata(target) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir(target),
        Ok(_) => fs::remove_file(target),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn is_directory(volume: &impl AsFd) -> io::Result<bool> {
    let status = statat(volume, "", AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(status.st_mode) == FileType::Directory)
}

#[cfg(test)]
mod tests;
