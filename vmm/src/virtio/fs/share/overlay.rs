//! What overlayfs in the guest keeps on a root file system.
//!
//! The host's overlay, which that is already, holds neither the whiteouts of another one nor, before Linux 6.7, its
//! attributes: they would be its own (fs/overlayfs: `ovl_mknod`, `ovl_rename`, `ovl_is_private_xattr`). So the host
//! keeps a whiteout as another device, and the attributes by other names.

use std::{ffi::CStr, io};

use virtiofsd::{
    filesystem::{Context, Entry, Extensions, FileSystem},
    fuse::Attr,
};

use super::{Share, invalid};

/// How attributes of the guest's overlays are called (virtiofsd's xattrmap).
pub(in crate::virtio::fs) const ATTRIBUTES: &str = ":prefix:all:trusted.overlay.:trusted.rkt.: :ok:all:::";

/// The device that a whiteout is (Documentation/filesystems/overlayfs.rst).
const WHITEOUT: u32 = 0;
/// The device that it is on the host: the last one of those that Linux never makes nodes of (major 0), as the kernel
/// encodes it.
const KEPT_AS: u32 = 0xfff0_00ff;

impl Share {
    /// Attributes as the guest may see them: its whiteouts are some.
    pub(super) fn unkept(&self, attr: &mut Attr) {
        if self.is_the_pods() && attr.rdev == KEPT_AS && attr.mode & libc::S_IFMT == libc::S_IFCHR {
            attr.rdev = WHITEOUT;
        }
    }

    /// Makes a file that is none of the usual ones.
    pub(super) fn make_node(
        &self,
        ctx: Context,
        (parent, name): (u64, &CStr),
        (mode, device): (u32, u32),
        umask: u32,
        extensions: Extensions,
    ) -> io::Result<Entry> {
        let whiteout = mode & libc::S_IFMT == libc::S_IFCHR && device == WHITEOUT;
        let device = if self.is_the_pods() && whiteout { KEPT_AS } else { device };
        self.files.mknod(ctx, parent, name, mode, device, umask, extensions)
    }

    /// Renames a file; with `RENAME_WHITEOUT`, a whiteout takes its place.
    ///
    /// The guest's kernel lets nobody look into the directories meanwhile.
    pub(super) fn move_name(
        &self,
        ctx: Context,
        from: (u64, &CStr),
        to: (u64, &CStr),
        flags: u32,
    ) -> io::Result<()> {
        let rename = |from: (u64, &CStr), to: (u64, &CStr), flags| {
            self.files.rename(ctx, from.0, from.1, to.0, to.1, flags)
        };
        if !self.is_the_pods() || flags & libc::RENAME_WHITEOUT == 0 {
            return rename(from, to, flags);
        }
        if flags & libc::RENAME_EXCHANGE != 0 {
            return Err(invalid());
        }
        let name = self.nameless.unused_name()?;
        let aside = (from.0, name.as_c_str());
        let whiteout =
            self.files.mknod(ctx, aside.0, aside.1, libc::S_IFCHR, KEPT_AS, 0, Extensions::default())?;
        self.files.forget(ctx, whiteout.inode, 1);
        let unlink = || self.files.unlink(ctx, aside.0, aside.1);
        if let Err(error) = rename(aside, from, libc::RENAME_EXCHANGE) {
            unlink()?;
            return Err(error);
        }
        let moved = rename(aside, to, flags & !libc::RENAME_WHITEOUT);
        // Where the way back fails, too, what is aside is the file itself.
        if moved.is_err() && rename(aside, from, libc::RENAME_EXCHANGE).is_ok() {
            unlink()?;
        }
        moved
    }
}
