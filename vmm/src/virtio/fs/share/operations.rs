//! The operations on a share, each checked before the library gets it.

use std::{ffi::CStr, io, sync::atomic::Ordering, time::Duration};

use virtiofsd::{
    filesystem::{
        Context, Entry, Extensions, FileSystem, FsOptions, GetxattrReply, ListxattrReply, OpenOptions,
        SetattrValid, SetxattrFlags, ZeroCopyReader, ZeroCopyWriter,
    },
    fuse::{Attr, SetattrIn},
};

use super::{
    super::{nameless::Entries, watch::phantoms},
    Share, check_offset,
};

impl FileSystem for Share {
    type Inode = u64;
    type Handle = u64;
    type DirIter = Entries;

    fn init(&self, capable: FsOptions) -> io::Result<FsOptions> {
        if !self.alone.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        // Inode numbers of the apps' file systems would collide, and the library would tell stderr at every INIT.
        if !capable.contains(FsOptions::SUBMOUNTS) {
            return Err(io::Error::from_raw_os_error(libc::EPROTO));
        }
        let wanted = self.files.init(capable)?;
        self.writeback.store(wanted.contains(FsOptions::WRITEBACK_CACHE), Ordering::Relaxed);
        Ok(wanted)
    }

    fn destroy(&self) {
        if !self.alone.load(Ordering::SeqCst) {
            return;
        }
        self.nameless.clear_all();
        self.freshness.clear();
        self.owners.clear();
        self.departed.iter().for_each(|departed| departed.clear());
        self.files.destroy();
    }

    fn lookup(&self, ctx: Context, parent: u64, name: &CStr) -> io::Result<Entry> {
        self.check_visible(name)?;
        if self.is_actor(ctx) {
            return self.show(ctx, parent, name);
        }
        match self.real(ctx, parent, name) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => self.absent(ctx, parent).ok_or(error),
            answer => answer,
        }
    }

    fn forget(&self, ctx: Context, inode: u64, count: u64) {
        self.nameless.reveal(inode);
        self.freshness.forget(inode);
        self.owners.forget(inode, count);
        self.files.forget(ctx, inode, count);
    }

    fn batch_forget(&self, ctx: Context, requests: Vec<(u64, u64)>) {
        for (inode, count) in &requests {
            self.nameless.reveal(*inode);
            self.freshness.forget(*inode);
            self.owners.forget(*inode, *count);
        }
        self.files.batch_forget(ctx, requests);
    }

    fn getattr(&self, ctx: Context, inode: u64, handle: Option<u64>) -> io::Result<(Attr, Duration)> {
        if self.is_actor(ctx) {
            return self.show_attributes(ctx, inode);
        }
        self.real_attributes(ctx, inode, handle)
    }

    fn setattr(
        &self,
        ctx: Context,
        inode: u64,
        attr: SetattrIn,
        handle: Option<u64>,
        valid: SetattrValid,
    ) -> io::Result<(Attr, Duration)> {
        if self.is_actor(ctx) {
            return self.pretend_to_set(ctx, inode);
        }
        self.changeable(ctx)?;
        let answer = self.or_stale(inode, self.files.setattr(ctx, inode, attr, handle, valid))?;
        self.freshness.changed(inode, valid);
        Ok(self.attributes(inode, answer))
    }

    fn readlink(&self, ctx: Context, inode: u64) -> io::Result<Vec<u8>> {
        self.files.readlink(ctx, inode)
    }

    fn symlink(
        &self,
        ctx: Context,
        target: &CStr,
        parent: u64,
        name: &CStr,
        extensions: Extensions,
    ) -> io::Result<Entry> {
        self.changeable_name(ctx, name)?;
        self.owned(parent, name, self.files.symlink(ctx, target, parent, name, extensions))
    }

    fn mknod(
        &self,
        ctx: Context,
        parent: u64,
        name: &CStr,
        mode: u32,
        rdev: u32,
        umask: u32,
        extensions: Extensions,
    ) -> io::Result<Entry> {
        if self.is_actor(ctx) {
            return self.pretend_to_make(parent, name, false);
        }
        self.changeable_name(ctx, name)?;
        self.owned(parent, name, self.make_node(ctx, (parent, name), (mode, rdev), umask, extensions))
    }

    fn mkdir(
        &self,
        ctx: Context,
        parent: u64,
        name: &CStr,
        mode: u32,
        umask: u32,
        extensions: Extensions,
    ) -> io::Result<Entry> {
        if self.is_actor(ctx) {
            return self.pretend_to_make(parent, name, true);
        }
        self.changeable_name(ctx, name)?;
        self.owned(parent, name, self.files.mkdir(ctx, parent, name, mode, umask, extensions))
    }

    fn unlink(&self, ctx: Context, parent: u64, name: &CStr) -> io::Result<()> {
        if self.is_actor(ctx) {
            return self.pretend_to_remove(parent, name, false);
        }
        self.changeable_name(ctx, name)?;
        self.files.unlink(ctx, parent, name)
    }

    fn rmdir(&self, ctx: Context, parent: u64, name: &CStr) -> io::Result<()> {
        if self.is_actor(ctx) {
            return self.pretend_to_remove(parent, name, true);
        }
        self.changeable_name(ctx, name)?;
        match self.files.rmdir(ctx, parent, name) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                let directory = self.files.lookup(ctx, parent, name)?.inode;
                let cleared = self.nameless.clear(directory);
                self.files.forget(ctx, directory, 1);
                if cleared { self.files.rmdir(ctx, parent, name) } else { Err(error) }
            }
            result => result,
        }
    }

    fn rename(
        &self,
        ctx: Context,
        old_parent: u64,
        old_name: &CStr,
        new_parent: u64,
        new_name: &CStr,
        flags: u32,
    ) -> io::Result<()> {
        if self.is_actor(ctx) {
            return self.pretend_to_move((old_parent, old_name), (new_parent, new_name));
        }
        self.check_visible(old_name)?;
        self.changeable_name(ctx, new_name)?;
        self.move_name(ctx, (old_parent, old_name), (new_parent, new_name), flags)
    }

    fn link(&self, ctx: Context, inode: u64, parent: u64, name: &CStr) -> io::Result<Entry> {
        self.changeable_name(ctx, name)?;
        let mut entry = self.owned(parent, name, self.files.link(ctx, inode, parent, name))?;
        if self.nameless.reveal(inode) {
            entry.attr.nlink = entry.attr.nlink.saturating_sub(1);
        }
        Ok(self.freshness.entry(entry))
    }

    fn open(
        &self,
        ctx: Context,
        inode: u64,
        kill_priv: bool,
        flags: u32,
    ) -> io::Result<(Option<u64>, OpenOptions)> {
        if self.is_actor(ctx) {
            return self.pretend_to_open();
        }
        let flags = self.open_flags(ctx, flags)?;
        let opened = self.opening(inode, || self.files.open(ctx, inode, kill_priv, flags))?;
        // Of a file that is there: what a guest makes up is not to be remembered.
        self.freshness.opened(inode, flags);
        Ok(opened)
    }

    fn create(
        &self,
        ctx: Context,
        parent: u64,
        name: &CStr,
        mode: u32,
        kill_priv: bool,
        flags: u32,
        umask: u32,
        extensions: Extensions,
    ) -> io::Result<(Entry, Option<u64>, OpenOptions)> {
        self.changeable_name(ctx, name)?;
        let flags = self.open_flags(ctx, flags)?;
        let (entry, handle, options) =
            self.files.create(ctx, parent, name, mode, kill_priv, flags, umask, extensions)?;
        self.owners.told(parent, name, entry.inode);
        self.made_open(&entry, handle);
        self.freshness.opened(entry.inode, flags);
        Ok((self.freshness.entry(entry), handle, options))
    }

    fn read<W: ZeroCopyWriter>(
        &self,
        ctx: Context,
        inode: u64,
        handle: u64,
        data: W,
        size: u32,
        offset: u64,
        lock_owner: Option<u64>,
        flags: u32,
    ) -> io::Result<usize> {
        check_offset(offset)?;
        self.files.read(ctx, inode, handle, data, size, offset, lock_owner, flags)
    }

    fn write<R: ZeroCopyReader>(
        &self,
        ctx: Context,
        inode: u64,
        handle: u64,
        data: R,
        size: u32,
        offset: u64,
        lock_owner: Option<u64>,
        delayed_write: bool,
        kill_priv: bool,
        flags: u32,
    ) -> io::Result<usize> {
        self.changeable(ctx)?;
        check_offset(offset)?;
        self.files.write(ctx, inode, handle, data, size, offset, lock_owner, delayed_write, kill_priv, flags)
    }

    fn flush(&self, ctx: Context, inode: u64, handle: u64, lock_owner: u64) -> io::Result<()> {
        if handle == phantoms::HANDLE {
            return Ok(());
        }
        // What a guest writes back it has sent by now, and its locks are its own: this only asks for errors that the file
        // systems below pods report earlier. Told so once, it saves a request at every close.
        if self.writeback.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(libc::ENOSYS));
        }
        self.files.flush(ctx, inode, handle, lock_owner)
    }

    fn fsync(&self, ctx: Context, inode: u64, datasync: bool, handle: u64) -> io::Result<()> {
        self.files.fsync(ctx, inode, datasync, handle)
    }

    fn fallocate(
        &self,
        ctx: Context,
        inode: u64,
        handle: u64,
        mode: u32,
        offset: u64,
        length: u64,
    ) -> io::Result<()> {
        self.changeable(ctx)?;
        self.files.fallocate(ctx, inode, handle, mode, offset, length)
    }

    fn release(
        &self,
        ctx: Context,
        inode: u64,
        flags: u32,
        handle: u64,
        flush: bool,
        flock_release: bool,
        lock_owner: Option<u64>,
    ) -> io::Result<()> {
        if handle == phantoms::HANDLE {
            return Ok(());
        }
        self.files.release(ctx, inode, flags, handle, flush, flock_release, lock_owner)?;
        self.closed(inode);
        Ok(())
    }

    fn statfs(&self, ctx: Context, inode: u64) -> io::Result<libc::statvfs64> {
        self.files.statfs(ctx, inode)
    }

    fn setxattr(
        &self,
        ctx: Context,
        inode: u64,
        name: &CStr,
        value: &[u8],
        flags: u32,
        extra_flags: SetxattrFlags,
    ) -> io::Result<()> {
        self.changeable(ctx)?;
        self.files.setxattr(ctx, inode, name, value, flags, extra_flags)
    }

    fn getxattr(&self, ctx: Context, inode: u64, name: &CStr, size: u32) -> io::Result<GetxattrReply> {
        self.files.getxattr(ctx, inode, name, size)
    }

    fn listxattr(&self, ctx: Context, inode: u64, size: u32) -> io::Result<ListxattrReply> {
        self.files.listxattr(ctx, inode, size)
    }

    fn removexattr(&self, ctx: Context, inode: u64, name: &CStr) -> io::Result<()> {
        self.changeable(ctx)?;
        self.files.removexattr(ctx, inode, name)
    }

    fn opendir(&self, ctx: Context, inode: u64, flags: u32) -> io::Result<(Option<u64>, OpenOptions)> {
        self.files.opendir(ctx, inode, flags)
    }

    fn readdir(
        &self,
        ctx: Context,
        inode: u64,
        handle: u64,
        size: u32,
        offset: u64,
    ) -> io::Result<Self::DirIter> {
        Ok(self.nameless.filter(self.files.readdir(ctx, inode, handle, size, offset)?))
    }

    fn fsyncdir(&self, ctx: Context, inode: u64, datasync: bool, handle: u64) -> io::Result<()> {
        self.files.fsyncdir(ctx, inode, datasync, handle)
    }

    fn releasedir(&self, ctx: Context, inode: u64, flags: u32, handle: u64) -> io::Result<()> {
        self.files.releasedir(ctx, inode, flags, handle)
    }

    fn access(&self, ctx: Context, inode: u64, mask: u32) -> io::Result<()> {
        self.files.access(ctx, inode, mask)
    }

    fn lseek(&self, ctx: Context, inode: u64, handle: u64, offset: u64, whence: u32) -> io::Result<u64> {
        self.files.lseek(ctx, inode, handle, offset, whence)
    }

    fn copyfilerange(
        &self,
        ctx: Context,
        inode_in: u64,
        handle_in: u64,
        offset_in: u64,
        inode_out: u64,
        handle_out: u64,
        offset_out: u64,
        len: u64,
        flags: u64,
    ) -> io::Result<usize> {
        self.changeable(ctx)?;
        // What the host copies passes no buffer that could be counted: Linux copies by reading and writing then.
        if self.owners.of(inode_in).or_else(|| self.owners.of(inode_out)).is_some() {
            return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        }
        self.files
            .copyfilerange(ctx, inode_in, handle_in, offset_in, inode_out, handle_out, offset_out, len, flags)
    }

    fn syncfs(&self, ctx: Context, inode: u64) -> io::Result<()> {
        self.files.syncfs(ctx, inode)
    }
}
