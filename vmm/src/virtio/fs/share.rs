//! The shared directory: virtiofsd's passthrough file system behind checks of what a guest may ask of it.

use std::{
    ffi::CStr,
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use virtiofsd::{
    filesystem::{
        Context, Entry, Extensions, FileSystem, FsOptions, GetxattrReply, ListxattrReply, OpenOptions,
        SetattrValid, SetxattrFlags, ZeroCopyReader, ZeroCopyWriter,
    },
    fuse::{Attr, CreateIn, SetattrIn},
    oslib::ReadvFlags,
    passthrough::PassthroughFs,
};

use super::{
    ShareConfig,
    config::FsError,
    nameless::{Entries, HiddenName, Nameless},
};

/// `O_TMPFILE`, which includes `O_DIRECTORY`.
const O_TMPFILE: u32 = libc::O_TMPFILE as u32;

/// A shared directory. Clones are the same one.
///
/// - Names must be names: the library passes them to the host's kernel as they are, where `../x` and `/x` lead out of
///   the share.
/// - Offsets must fit the host's type, or the library panics.
/// - A read-only share refuses every change.
#[derive(Clone)]
pub(super) struct Share {
    files: Arc<PassthroughFs>,
    nameless: Arc<Nameless>,
    read_only: bool,
    /// The guest may hold written data back, so it may read from any file it writes.
    writeback: Arc<AtomicBool>,
}

impl Share {
    /// Serves the directory of `config`.
    ///
    /// To be called on a thread with a file system context of its own (`unshare(CLONE_FS)`): the library clears the
    /// umask.
    pub fn new(config: &ShareConfig) -> Result<Self, FsError> {
        let files = PassthroughFs::new(config.passthrough()?)
            .map_err(|error| FsError::Server(config.directory.clone(), error))?;
        Ok(Share {
            files: Arc::new(files),
            nameless: Arc::default(),
            read_only: config.read_only,
            writeback: Arc::default(),
        })
    }

    /// Opens a new file without a name in `directory` (`FUSE_TMPFILE`).
    pub fn create_nameless(
        &self,
        ctx: Context,
        directory: u64,
        request: &CreateIn,
        extensions: Extensions,
    ) -> io::Result<(Entry, u64, OpenOptions)> {
        self.changeable()?;
        let flags = self.open_flags(request.flags & !O_TMPFILE | libc::O_EXCL as u32)?;
        let opened = self.open_directory(ctx, directory)?;
        let name = self.nameless.unused_name()?;
        let (mut entry, handle, options) = self.files.create(
            ctx,
            directory,
            &name,
            request.mode,
            false,
            flags,
            request.umask,
            extensions,
        )?;
        let handle = handle.ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
        let hidden = HiddenName { parent: directory, directory: opened, name };
        // With O_EXCL the file is never to have a name: it loses this one at once.
        if request.flags & libc::O_EXCL as u32 == 0 {
            self.nameless.hide(entry.inode, hidden);
        }
        entry.attr.nlink = 0;
        Ok((entry, handle, options))
    }

    /// A directory the library knows.
    fn open_directory(&self, ctx: Context, inode: u64) -> io::Result<File> {
        let (handle, _) = self.files.opendir(ctx, inode, 0)?;
        let handle = handle.ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
        let mut borrowed = BorrowedFile(None);
        // The only way to a file behind a handle is to read from it.
        let read = self.files.read(ctx, inode, handle, &mut borrowed, 0, 0, None, 0);
        self.files.releasedir(ctx, inode, 0, handle)?;
        read?;
        borrowed.0.ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))
    }

    fn changeable(&self) -> io::Result<()> {
        if self.read_only { Err(io::Error::from_raw_os_error(libc::EROFS)) } else { Ok(()) }
    }

    /// Whether a name in a directory may be changed.
    fn changeable_name(&self, name: &CStr) -> io::Result<()> {
        self.check_visible(name)?;
        self.changeable()
    }

    /// Whether the guest may speak of this name.
    fn check_visible(&self, name: &CStr) -> io::Result<()> {
        check_name(name)?;
        if self.nameless.is_hidden(name) { Err(io::Error::from_raw_os_error(libc::ENOENT)) } else { Ok(()) }
    }

    /// Attributes that do not count the hidden name.
    fn without_hidden_name(&self, inode: u64, (mut attr, lifetime): (Attr, Duration)) -> (Attr, Duration) {
        if self.nameless.contains(inode) {
            attr.nlink = attr.nlink.saturating_sub(1);
        }
        (attr, lifetime)
    }

    /// Whether a file may be opened with these flags, and the flags to open it with.
    fn open_flags(&self, flags: u32) -> io::Result<u32> {
        let access = flags & libc::O_ACCMODE as u32;
        if access != libc::O_RDONLY as u32 || flags & libc::O_TRUNC as u32 != 0 {
            self.changeable()?;
        }
        if access == libc::O_WRONLY as u32 && self.writeback.load(Ordering::Relaxed) {
            return Ok(flags & !(libc::O_ACCMODE as u32) | libc::O_RDWR as u32);
        }
        Ok(flags)
    }
}

/// Takes hold of the file it is given instead of reading it.
struct BorrowedFile(Option<File>);

impl ZeroCopyWriter for BorrowedFile {
    fn read_from_file_at(
        &mut self,
        file: &File,
        _count: usize,
        _offset: u64,
        _flags: Option<ReadvFlags>,
    ) -> io::Result<usize> {
        self.0 = Some(file.try_clone()?);
        Ok(0)
    }
}

fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

fn check_name(name: &CStr) -> io::Result<()> {
    match name.to_bytes() {
        b"" | b"." | b".." => Err(invalid()),
        name if name.contains(&b'/') => Err(invalid()),
        _ => Ok(()),
    }
}

fn check_offset(offset: u64) -> io::Result<()> {
    i64::try_from(offset).map(drop).map_err(|_| invalid())
}

impl FileSystem for Share {
    type Inode = u64;
    type Handle = u64;
    type DirIter = Entries;

    fn init(&self, capable: FsOptions) -> io::Result<FsOptions> {
        let wanted = self.files.init(capable)?;
        self.writeback.store(wanted.contains(FsOptions::WRITEBACK_CACHE), Ordering::Relaxed);
        Ok(wanted)
    }

    fn destroy(&self) {
        self.nameless.clear_all();
        self.files.destroy();
    }

    fn lookup(&self, ctx: Context, parent: u64, name: &CStr) -> io::Result<Entry> {
        self.check_visible(name)?;
        self.files.lookup(ctx, parent, name)
    }

    fn forget(&self, ctx: Context, inode: u64, count: u64) {
        self.nameless.reveal(inode);
        self.files.forget(ctx, inode, count);
    }

    fn batch_forget(&self, ctx: Context, requests: Vec<(u64, u64)>) {
        for (inode, _) in &requests {
            self.nameless.reveal(*inode);
        }
        self.files.batch_forget(ctx, requests);
    }

    fn getattr(&self, ctx: Context, inode: u64, handle: Option<u64>) -> io::Result<(Attr, Duration)> {
        self.files.getattr(ctx, inode, handle).map(|answer| self.without_hidden_name(inode, answer))
    }

    fn setattr(
        &self,
        ctx: Context,
        inode: u64,
        attr: SetattrIn,
        handle: Option<u64>,
        valid: SetattrValid,
    ) -> io::Result<(Attr, Duration)> {
        self.changeable()?;
        let answer = self.files.setattr(ctx, inode, attr, handle, valid)?;
        Ok(self.without_hidden_name(inode, answer))
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
        self.changeable_name(name)?;
        self.files.symlink(ctx, target, parent, name, extensions)
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
        self.changeable_name(name)?;
        self.files.mknod(ctx, parent, name, mode, rdev, umask, extensions)
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
        self.changeable_name(name)?;
        self.files.mkdir(ctx, parent, name, mode, umask, extensions)
    }

    fn unlink(&self, ctx: Context, parent: u64, name: &CStr) -> io::Result<()> {
        self.changeable_name(name)?;
        self.files.unlink(ctx, parent, name)
    }

    fn rmdir(&self, ctx: Context, parent: u64, name: &CStr) -> io::Result<()> {
        self.changeable_name(name)?;
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
        self.check_visible(old_name)?;
        self.changeable_name(new_name)?;
        self.files.rename(ctx, old_parent, old_name, new_parent, new_name, flags)
    }

    fn link(&self, ctx: Context, inode: u64, parent: u64, name: &CStr) -> io::Result<Entry> {
        self.changeable_name(name)?;
        let mut entry = self.files.link(ctx, inode, parent, name)?;
        if self.nameless.reveal(inode) {
            entry.attr.nlink = entry.attr.nlink.saturating_sub(1);
        }
        Ok(entry)
    }

    fn open(
        &self,
        ctx: Context,
        inode: u64,
        kill_priv: bool,
        flags: u32,
    ) -> io::Result<(Option<u64>, OpenOptions)> {
        let flags = self.open_flags(flags)?;
        self.files.open(ctx, inode, kill_priv, flags)
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
        self.changeable_name(name)?;
        let flags = self.open_flags(flags)?;
        self.files.create(ctx, parent, name, mode, kill_priv, flags, umask, extensions)
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
        self.changeable()?;
        check_offset(offset)?;
        self.files.write(ctx, inode, handle, data, size, offset, lock_owner, delayed_write, kill_priv, flags)
    }

    fn flush(&self, ctx: Context, inode: u64, handle: u64, lock_owner: u64) -> io::Result<()> {
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
        self.changeable()?;
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
        self.files.release(ctx, inode, flags, handle, flush, flock_release, lock_owner)
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
        self.changeable()?;
        self.files.setxattr(ctx, inode, name, value, flags, extra_flags)
    }

    fn getxattr(&self, ctx: Context, inode: u64, name: &CStr, size: u32) -> io::Result<GetxattrReply> {
        self.files.getxattr(ctx, inode, name, size)
    }

    fn listxattr(&self, ctx: Context, inode: u64, size: u32) -> io::Result<ListxattrReply> {
        self.files.listxattr(ctx, inode, size)
    }

    fn removexattr(&self, ctx: Context, inode: u64, name: &CStr) -> io::Result<()> {
        self.changeable()?;
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
        self.changeable()?;
        self.files
            .copyfilerange(ctx, inode_in, handle_in, offset_in, inode_out, handle_out, offset_out, len, flags)
    }

    fn syncfs(&self, ctx: Context, inode: u64) -> io::Result<()> {
        self.files.syncfs(ctx, inode)
    }
}
