//! A mount of a volume that is nobody's but the guest's (mount_setattr(2), open_tree(2); Linux 5.12).

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::CWD,
    mount::{OpenTreeFlags, open_tree},
};

/// What the guest may do with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Change what is in it.
    pub writable: bool,
    /// See what is mounted below it.
    pub recursive: bool,
}

/// Clones the mount of `path` from there on down, not attached anywhere yet.
///
/// - Device files in it are no way to the host's devices.
/// - A writable, recursive volume gets what is mounted on the host later on. Such mounts have attributes of their own,
///   so a read-only volume keeps the mounts it has.
pub fn clone_tree(path: &Path, access: Access) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if access.recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let mount = open_tree(CWD, path, flags)?;
    let mut attributes = libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOSUID;
    if !access.writable {
        attributes |= libc::MOUNT_ATTR_RDONLY;
    }
    let isolated = !(access.writable && access.recursive);
    set_attributes(&mount, attributes, isolated)?;
    Ok(mount)
}

/// Clones the mount of `path` alone, as it is, not attached anywhere yet.
pub fn clone_alone(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, path, flags)?;
    set_attributes(&mount, 0, true)?;
    Ok(mount)
}

/// Has no device opened and no program executed by way of the mount of `path` and those below it.
pub fn restrict(path: &Path) -> io::Result<()> {
    let mount = open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    change(&mount, libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC, 0)
}

/// Sets attributes of a mount and all below it; an isolated one is told of no later mounts.
fn set_attributes(mount: &impl AsFd, attributes: u64, isolated: bool) -> io::Result<()> {
    // What happens below the volume stays there, whatever the mount is attached to.
    change(mount, attributes, if isolated { libc::MS_PRIVATE } else { libc::MS_SLAVE })
}

fn change(mount: &impl AsFd, attributes: u64, propagation: u64) -> io::Result<()> {
    let change = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is a C string and the structure is as long as the call is told; both outlive it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const change,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
