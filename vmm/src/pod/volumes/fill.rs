//! The first content of a volume: what the image has at the place where the volume hides it.
//!
//! The image chose every name and link, so nothing is followed but the way to the directory itself, and that within the
//! image.

mod links;

use std::{
    ffi::{CStr, OsStr},
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
        chmodat, chownat, fchmod, fchown, fgetxattr, flistxattr, fsetxattr, fstat, futimens, linkat, mkdirat,
        mknodat, open, openat, openat2, readlinkat, statat, symlinkat, utimensat,
    },
    io::Errno,
};

use links::Links;

/// How deep directories are followed.
const MAX_DEPTH: usize = 200;
/// Extended attributes that mean the same wherever a file is; others are the file system's own.
const KEPT_ATTRIBUTES: [&str; 3] = ["user.", "security.capability", "system.posix_acl_"];

/// Copies what the directory `path` of the image at `rootfs` holds, with the directory's own attributes, into the
/// directory `volume`. An image without that directory has nothing to copy.
pub fn fill(volume: &Path, rootfs: &Path, path: &str) -> io::Result<()> {
    let read = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(rootfs, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let source = match openat2(&root, path, read, Mode::empty(), within) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let target = open(volume, read | OFlags::NOFOLLOW, Mode::empty())?;
    let mut copy = Copy { volume: &target, path: PathBuf::new(), links: Links::default() };
    copy.directory(&source, &target, MAX_DEPTH)
}

/// A copy that is being made.
struct Copy<'a> {
    volume: &'a OwnedFd,
    /// What is being copied, from there.
    path: PathBuf,
    links: Links,
}

impl Copy<'_> {
    fn directory(&mut self, from: &OwnedFd, to: &OwnedFd, depth: usize) -> io::Result<()> {
        for entry in Dir::read_from(from)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                self.path.push(OsStr::from_bytes(name.to_bytes()));
                self.entry(from, to, name, depth)?;
                self.path.pop();
            }
        }
        copy_attributes(from, to)
    }

    fn entry(&mut self, from: &OwnedFd, to: &OwnedFd, name: &CStr, depth: usize) -> io::Result<()> {
        let status = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
            let deeper = depth.checked_sub(1).ok_or(Errno::NAMETOOLONG)?;
            mkdirat(to, name, Mode::RWXU)?;
            let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::DIRECTORY;
            let source = openat(from, name, read, Mode::empty())?;
            let target = openat(to, name, read, Mode::empty())?;
            return self.directory(&source, &target, deeper);
        }
        // A file system with fewer names for a file, or none but one, gets copies instead.
        if let Some(first) = self.links.first_name(&status)
            && linkat(self.volume, first, to, name, AtFlags::empty()).is_ok()
        {
            return Ok(());
        }
        copy_file(from, to, name, &status)?;
        self.links.copied(&status, &self.path);
        Ok(())
    }
}

/// Copies anything but a directory.
fn copy_file(from: &OwnedFd, to: &OwnedFd, name: &CStr, status: &Stat) -> io::Result<()> {
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => {
            let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source = openat(from, name, read, Mode::empty())?;
            let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let target = openat(to, name, create, Mode::RUSR | Mode::WUSR)?;
            let (mut source, mut target) = (File::from(source), File::from(target));
            io::copy(&mut source, &mut target)?;
            copy_attributes(&source, &target)
        }
        FileType::Symlink => {
            symlinkat(readlinkat(from, name, Vec::new())?, to, name)?;
            copy_status(to, name, status)
        }
        kind => {
            mknodat(to, name, kind, Mode::RUSR | Mode::WUSR, status.st_rdev)?;
            copy_status(to, name, status)?;
            Ok(chmodat(to, name, Mode::from_raw_mode(status.st_mode), AtFlags::empty())?)
        }
    }
}

/// Owner and times of something that is not opened.
fn copy_status(to: &OwnedFd, name: &CStr, status: &Stat) -> io::Result<()> {
    let owner = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
    chownat(to, name, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(utimensat(to, name, &times(status), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Owner, mode, extended attributes and times; in this order, because each resets some of the next.
fn copy_attributes(from: &impl AsFd, to: &impl AsFd) -> io::Result<()> {
    let status = fstat(from)?;
    fchown(to, Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)))?;
    fchmod(to, Mode::from_raw_mode(status.st_mode))?;
    copy_extended_attributes(from, to)?;
    Ok(futimens(to, &times(&status))?)
}

fn copy_extended_attributes(from: &impl AsFd, to: &impl AsFd) -> io::Result<()> {
    // As long as the kernel lets lists and values be (XATTR_LIST_MAX, XATTR_SIZE_MAX).
    let mut list = vec![0; 64 << 10];
    let length = match flistxattr(from, list.as_mut_slice()) {
        Err(Errno::NOTSUP) => 0,
        other => other?,
    };
    let mut value = Vec::new();
    for name in list[..length].split(|byte| *byte == 0).filter_map(|name| str::from_utf8(name).ok()) {
        if KEPT_ATTRIBUTES.iter().any(|kept| name.starts_with(kept)) {
            value.resize(64 << 10, 0);
            let length = fgetxattr(from, name, value.as_mut_slice())?;
            fsetxattr(to, name, &value[..length], XattrFlags::empty())?;
        }
    }
    Ok(())
}

fn times(status: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds as i64 };
    Timestamps {
        last_access: time(status.st_atime, status.st_atime_nsec),
        last_modification: time(status.st_mtime, status.st_mtime_nsec),
    }
}

#[cfg(test)]
mod tests;
