//! The requests of the guest's actor ([`crate::virtio::fs::watch`]): none of them changes a file of the host.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io,
    time::Duration,
};

use virtiofsd::{
    filesystem::{Context, Entry, FileSystem, OpenOptions},
    fuse::Attr,
};

use super::{
    super::watch::phantoms::{self, Found},
    Share, not_permitted, own,
};

impl Share {
    /// Whether a request is one of those that are only for show.
    pub(super) fn is_actor(&self, ctx: Context) -> bool {
        self.phantoms.is_actor(ctx)
    }

    /// What the actor finds.
    pub(super) fn show(&self, ctx: Context, parent: u64, name: &CStr) -> io::Result<Entry> {
        let missing = || io::Error::from_raw_os_error(libc::ENOENT);
        match self.phantoms.find(parent, name) {
            Found::Real => self.real(ctx, parent, name),
            Found::Nothing => Err(missing()),
            Found::Backstage => Ok(phantoms::backstage_entry()),
            Found::MadeUp { directory } => Ok(self.phantoms.make_up(directory)),
            Found::RealOrMadeUp { directory } => {
                Ok(self.of_kind(self.real(ctx, parent, name), ctx, directory))
            }
            Found::Elsewhere { place, directory } => {
                let name = CString::new(place.name).map_err(|_| missing())?;
                let entry = self.real(ctx, place.node, &name);
                // By this name it is not there.
                Ok(Entry { entry_timeout: Duration::ZERO, ..self.of_kind(entry, ctx, directory) })
            }
            Found::Node { node, directory } => {
                let known = self.files.getattr(ctx, node, None).map(|(attr, _)| attr);
                let known = known.ok().filter(|attr| is_directory(attr) == directory);
                let attr = known.unwrap_or_else(|| phantoms::attributes(node, directory));
                // What has no name could not be shown to lose one.
                Ok(phantoms::passing(node, Attr { nlink: 1, ..attr }))
            }
        }
    }

    /// An entry, if it is that of a directory or is not, as it was when the change was made.
    fn of_kind(&self, entry: io::Result<Entry>, ctx: Context, directory: bool) -> Entry {
        match entry {
            Ok(entry) if is_directory(&entry.attr) == directory => entry,
            Ok(other) => {
                self.forget(ctx, other.inode, 1);
                self.phantoms.make_up(directory)
            }
            Err(_) => self.phantoms.make_up(directory),
        }
    }

    /// Attributes as the actor sees them.
    pub(super) fn show_attributes(&self, ctx: Context, inode: u64) -> io::Result<(Attr, Duration)> {
        if let Some(attr) = phantoms::made_up_attributes(inode) {
            return Ok((attr, Duration::ZERO));
        }
        let known = self.real_attributes(ctx, inode, None);
        let is_there = matches!(&known, Ok((attr, _)) if attr.nlink > 0);
        let (attr, lifetime) = match known {
            // It may have gone since, and what happened in it before is still to be told.
            _ if !is_there && self.phantoms.is_in(inode) => {
                (phantoms::attributes(inode, true), Duration::ZERO)
            }
            known => known?,
        };
        self.phantoms.see(inode, &attr);
        Ok((attr, lifetime))
    }

    /// The actor sets attributes: they stay as they are.
    pub(super) fn pretend_to_set(&self, ctx: Context, inode: u64) -> io::Result<(Attr, Duration)> {
        match self.phantoms.seen(inode) {
            // They may have changed since.
            Some(attr) => Ok((attr, Duration::ZERO)),
            None => self.show_attributes(ctx, inode),
        }
    }

    /// The actor makes a file.
    pub(super) fn pretend_to_make(&self, parent: u64, name: &CStr, directory: bool) -> io::Result<Entry> {
        match self.phantoms.creates(parent, name, directory) {
            true => Ok(self.phantoms.make_up(directory)),
            false => Err(not_permitted()),
        }
    }

    /// The actor removes one.
    pub(super) fn pretend_to_remove(&self, parent: u64, name: &CStr, directory: bool) -> io::Result<()> {
        if self.phantoms.deletes(parent, name, directory) { Ok(()) } else { Err(not_permitted()) }
    }

    /// The actor renames one.
    pub(super) fn pretend_to_move(&self, from: (u64, &CStr), to: (u64, &CStr)) -> io::Result<()> {
        if self.phantoms.moves(from, to) { Ok(()) } else { Err(not_permitted()) }
    }

    /// The actor opens one, to close it.
    pub(super) fn pretend_to_open(&self) -> io::Result<(Option<u64>, OpenOptions)> {
        match self.phantoms.closes() {
            true => Ok((Some(phantoms::HANDLE), OpenOptions::empty())),
            false => Err(not_permitted()),
        }
    }

    /// Whether a file that the guest knows has no name any more.
    pub fn has_gone(&self, inode: u64) -> bool {
        let known = self.files.getattr(own(), inode, None);
        known.is_ok_and(|(attr, _)| attr.nlink == 0)
    }

    /// Opens a directory or regular file that the guest knows, for the host to watch it.
    pub fn open_watched(&self, inode: u64) -> io::Result<(File, bool)> {
        let ctx = own();
        let (attr, _) = self.files.getattr(ctx, inode, None)?;
        match attr.mode & libc::S_IFMT {
            libc::S_IFDIR => Ok((self.open_directory(ctx, inode)?, true)),
            libc::S_IFREG => {
                let (handle, _) = self.files.open(ctx, inode, false, libc::O_RDONLY as u32)?;
                let file = self.borrow(ctx, inode, handle);
                if let Some(handle) = handle {
                    self.files.release(ctx, inode, 0, handle, false, false, None)?;
                }
                Ok((file?, false))
            }
            // Opening them would wait for somebody, or do something.
            _ => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
        }
    }
}

fn is_directory(attr: &Attr) -> bool {
    attr.mode & libc::S_IFMT == libc::S_IFDIR
}
