//! The shared directory: virtiofsd's passthrough file system behind checks of what a guest may ask of it.

mod departed;
mod operations;
pub(super) mod overlay;
mod phantom;

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
    filesystem::{Context, Entry, Extensions, FileSystem, OpenOptions, ZeroCopyWriter},
    fuse::{Attr, CreateIn, InHeader, ROOT_ID},
    oslib::ReadvFlags,
    passthrough::PassthroughFs,
};

use departed::Departed;

use super::{
    CachePolicy, ShareConfig,
    config::FsError,
    freshness::Freshness,
    limits::Owners,
    nameless::{HiddenName, Nameless},
    watch::Phantoms,
};

/// `O_TMPFILE`, which includes `O_DIRECTORY`.
const O_TMPFILE: u32 = libc::O_TMPFILE as u32;

/// The guest's process that is told of apps.
const AGENT: i32 = 1;
/// For how long a guest remembers that there is no file: longer than a program takes to look for its files.
const ABSENT: Duration = Duration::from_secs(10);

/// A shared directory. Clones are the same one.
///
/// - Names must be names: the library passes them to the host's kernel as they are, where `../x` and `/x` lead out of
///   the share.
/// - Offsets must fit the host's type, or the library panics.
/// - A read-only share refuses every change.
/// - The guest's actor changes nothing ([`super::watch`]).
#[derive(Clone)]
pub(super) struct Share {
    files: Arc<PassthroughFs>,
    nameless: Arc<Nameless>,
    freshness: Arc<Freshness>,
    /// Of a share whose files others may delete.
    departed: Option<Arc<Departed>>,
    owners: Arc<Owners>,
    phantoms: Arc<Phantoms>,
    read_only: bool,
    cache: CachePolicy,
    /// No other request is under way: the guest may begin anew.
    alone: Arc<AtomicBool>,
    /// The guest may hold written data back, so it may read from any file it writes.
    writeback: Arc<AtomicBool>,
}

impl Share {
    /// Serves the directory of `config`.
    ///
    /// To be called on a thread with a file system context of its own (`unshare(CLONE_FS)`): the library clears the
    /// umask.
    pub fn new(config: &ShareConfig, descriptors: Option<&File>) -> Result<Self, FsError> {
        let files = PassthroughFs::new(config.passthrough(descriptors)?)
            .map_err(|error| FsError::Server(config.directory.clone(), error))?;
        let share = Share {
            files: Arc::new(files),
            nameless: Arc::default(),
            freshness: Arc::default(),
            departed: (config.cache == CachePolicy::Volume).then(|| Arc::new(Departed::new(config.files))),
            owners: Arc::new(Owners::new(&config.tag, config.limits.clone())),
            phantoms: config.watches.phantoms(),
            read_only: config.read_only,
            cache: config.cache,
            alone: Arc::default(),
            writeback: Arc::default(),
        };
        config.watches.of(&share);
        Ok(share)
    }

    /// Allows INIT and DESTROY, which clear the library's tables and must run beside nothing else.
    pub fn may_be_emptied(&self, alone: bool) {
        self.alone.store(alone, Ordering::SeqCst);
    }

    /// Whose the files are.
    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    /// Opens a new file without a name in `directory` (`FUSE_TMPFILE`).
    pub fn create_nameless(
        &self,
        ctx: Context,
        directory: u64,
        request: &CreateIn,
        extensions: Extensions,
    ) -> io::Result<(Entry, u64, OpenOptions)> {
        self.changeable(ctx)?;
        let flags = self.open_flags(ctx, request.flags & !O_TMPFILE | libc::O_EXCL as u32)?;
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
        self.owners.told(directory, c"", entry.inode);
        self.made_open(&entry, Some(handle));
        self.freshness.opened(entry.inode, flags);
        Ok((self.freshness.entry(entry), handle, options))
    }

    /// A directory the library knows.
    fn open_directory(&self, ctx: Context, inode: u64) -> io::Result<File> {
        let (handle, _) = self.files.opendir(ctx, inode, 0)?;
        let file = self.borrow(ctx, inode, handle);
        if let Some(handle) = handle {
            self.files.releasedir(ctx, inode, 0, handle)?;
        }
        file
    }

    /// The file behind a handle.
    fn borrow(&self, ctx: Context, inode: u64, handle: Option<u64>) -> io::Result<File> {
        let closed = || io::Error::from_raw_os_error(libc::EBADF);
        let mut borrowed = BorrowedFile(None);
        // The only way to it is to read from it.
        self.files.read(ctx, inode, handle.ok_or_else(closed)?, &mut borrowed, 0, 0, None, 0)?;
        borrowed.0.ok_or_else(closed)
    }

    /// Whether nobody else writes there. What the guest's overlayfs needs is then kept by other names ([`overlay`]).
    fn is_the_pods(&self) -> bool {
        self.cache == CachePolicy::Pod
    }

    /// That a name stands for nothing, if the guest may remember it: programs look for their files in many places, again and again. What
    /// the host adds, apps, it adds where the agent looks.
    fn absent(&self, ctx: Context, parent: u64) -> Option<Entry> {
        let remembered = self.is_the_pods() && ctx.pid != AGENT && parent != ROOT_ID;
        remembered.then(|| Entry {
            inode: 0,
            generation: 0,
            attr: Attr::default(),
            attr_timeout: Duration::ZERO,
            entry_timeout: ABSENT,
        })
    }

    /// What a name stands for.
    fn real(&self, ctx: Context, parent: u64, name: &CStr) -> io::Result<Entry> {
        let entry = self.owned(parent, name, self.files.lookup(ctx, parent, name))?;
        Ok(self.freshness.entry(entry))
    }

    /// Passes on an entry that the guest is told of.
    fn owned(&self, parent: u64, name: &CStr, entry: io::Result<Entry>) -> io::Result<Entry> {
        entry.map(|mut entry| {
            self.owners.told(parent, name, entry.inode);
            self.told(&entry);
            self.unkept(&mut entry.attr);
            entry
        })
    }

    fn changeable(&self, ctx: Context) -> io::Result<()> {
        if self.is_actor(ctx) {
            return Err(not_permitted());
        }
        if self.read_only { Err(io::Error::from_raw_os_error(libc::EROFS)) } else { Ok(()) }
    }

    /// Whether a name in a directory may be changed.
    fn changeable_name(&self, ctx: Context, name: &CStr) -> io::Result<()> {
        self.check_visible(name)?;
        self.changeable(ctx)
    }

    /// Whether the guest may speak of this name.
    fn check_visible(&self, name: &CStr) -> io::Result<()> {
        check_name(name)?;
        if self.nameless.is_hidden(name) { Err(io::Error::from_raw_os_error(libc::ENOENT)) } else { Ok(()) }
    }

    /// Attributes as the guest may see them.
    fn real_attributes(&self, ctx: Context, inode: u64, handle: Option<u64>) -> io::Result<(Attr, Duration)> {
        self.or_stale(inode, self.files.getattr(ctx, inode, handle))
            .map(|answer| self.attributes(inode, answer))
    }

    /// Attributes that do not count a hidden name, with their lifetime.
    fn attributes(&self, inode: u64, (mut attr, longest): (Attr, Duration)) -> (Attr, Duration) {
        if self.nameless.contains(inode) {
            attr.nlink = attr.nlink.saturating_sub(1);
        }
        self.unkept(&mut attr);
        (attr, self.freshness.lifetime(inode, &attr, longest))
    }

    /// Whether a file may be opened with these flags, and the flags to open it with.
    fn open_flags(&self, ctx: Context, flags: u32) -> io::Result<u32> {
        let access = flags & libc::O_ACCMODE as u32;
        if access != libc::O_RDONLY as u32 || flags & libc::O_TRUNC as u32 != 0 {
            self.changeable(ctx)?;
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

/// Who asks when it is not the guest.
fn own() -> Context {
    Context::from(InHeader::default())
}

fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

fn not_permitted() -> io::Error {
    io::Error::from_raw_os_error(libc::EPERM)
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::virtio::fs::pool::own_file_system_context;

    #[test]
    fn of_files_that_are_not_there_nothing_is_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let config = ShareConfig::of(directory.path(), CachePolicy::Pod);
        let opens = thread::spawn(move || {
            own_file_system_context();
            let share = Share::new(&config, None).unwrap();
            for inode in 1000..2000 {
                share.open(own(), inode, false, libc::O_RDWR as u32).unwrap_err();
            }
            share.freshness.count()
        });
        assert_eq!(opens.join().unwrap(), 0);
    }
}
