//! Owner, mode, extended attributes and times of what was written.

use crate::archive::beneath::{BeneathError, failed};
use crate::archive::name::RelPath;
use crate::archive::tar::{Entry, Xattr};
use rustix::fs::{self, AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

/// File capabilities: the only trusted attribute images may bring (rkt-reference 6.1).
const CAPABILITY: &[u8] = b"security.capability";
const USER: &[u8] = b"user.";

/// Longest value the kernel takes (`XATTR_SIZE_MAX`).
const MAX_XATTR: usize = 64 << 10;

/// The attributes of one entry.
#[derive(Debug, Clone)]
pub(super) struct Attributes {
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: (i64, u32),
    xattrs: Vec<Xattr>,
}

impl Attributes {
    /// Takes them from an entry; `Err` when the owner is the kernel's "leave unchanged" value.
    pub fn of(entry: &Entry) -> Result<Self, ()> {
        if entry.uid == u32::MAX || entry.gid == u32::MAX {
            return Err(());
        }
        let wanted = |name: &[u8]| name == CAPABILITY || name.starts_with(USER);
        let xattrs = entry.xattrs.iter().filter(|(name, value)| wanted(name) && value.len() <= MAX_XATTR);
        Ok(Attributes {
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattrs: xattrs.cloned().collect(),
        })
    }

    /// What a directory without an entry gets.
    pub fn implied() -> Self {
        Attributes { mode: 0o755, uid: 0, gid: 0, mtime: (0, 0), xattrs: Vec::new() }
    }

    /// Bytes held beside the structure itself.
    pub fn heap(&self) -> usize {
        self.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// Applies all of them to an open file or directory. Order matters: changing the owner clears setuid bits and
    /// file capabilities.
    pub fn apply(&self, fd: BorrowedFd<'_>, path: &RelPath) -> Result<(), BeneathError> {
        if is_root() {
            fs::fchown(fd, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
                .map_err(failed("change owner of", path))?;
        }
        fs::fchmod(fd, Mode::from_raw_mode(self.mode)).map_err(failed("change mode of", path))?;
        for (name, value) in &self.xattrs {
            self.set_xattr(fd, path, name, value)?;
        }
        fs::futimens(fd, &self.times()).map_err(failed("change time of", path))
    }

    fn set_xattr(
        &self,
        fd: BorrowedFd<'_>,
        path: &RelPath,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), BeneathError> {
        match fs::fsetxattr(fd, OsStr::from_bytes(name), value, XattrFlags::empty()) {
            Ok(()) => Ok(()),
            // Some file systems keep no user attributes; nothing works differently without them.
            Err(Errno::OPNOTSUPP) if name != CAPABILITY => Ok(()),
            Err(Errno::PERM) if !is_root() => Ok(()),
            Err(e) => Err(failed("set extended attribute of", path)(e)),
        }
    }

    /// Applies owner, mode and time to something that cannot be opened (link, device, pipe).
    pub fn apply_at(
        &self,
        dir: BorrowedFd<'_>,
        leaf: &OsStr,
        path: &RelPath,
        symlink: bool,
    ) -> Result<(), BeneathError> {
        if is_root() {
            let owner = (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)));
            fs::chownat(dir, leaf, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(failed("change owner of", path))?;
        }
        // Links have no mode. What was just made here is no link, so following is harmless.
        if !symlink {
            fs::chmodat(dir, leaf, Mode::from_raw_mode(self.mode), AtFlags::empty())
                .map_err(failed("change mode of", path))?;
        }
        fs::utimensat(dir, leaf, &self.times(), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed("change time of", path))
    }

    fn times(&self) -> Timestamps {
        let time = Timespec { tv_sec: self.mtime.0, tv_nsec: self.mtime.1.into() };
        Timestamps { last_access: time, last_modification: time }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
