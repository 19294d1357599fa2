//! Files without a name (`O_TMPFILE`).
//!
//! The library does not know them, and neither do the overlays of older kernels, on which pods live. So such a file
//! has a name here after all, in the directory it was opened in: one that the guest cannot see, until it gives the
//! file a name of its own or forgets it. Without any name the host could not link it again.

use std::{
    collections::HashMap,
    ffi::{CStr, CString},
    fs::File,
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, unlinkat},
    rand::{GetRandomFlags, getrandom},
};
use virtiofsd::{
    filesystem::{DirEntry, DirectoryIterator},
    read_dir::ReadDir,
};

/// Hidden names of files the guest may still give a name, by the files' inodes.
#[derive(Debug, Default)]
pub(super) struct Nameless {
    hidden: Mutex<HashMap<u64, HiddenName>>,
    /// How many there are, to be asked without the lock: hardly ever any.
    count: AtomicUsize,
    serial: AtomicU64,
}

/// The name a nameless file has on the host. Dropping it removes the name.
#[derive(Debug)]
pub(super) struct HiddenName {
    /// The directory's inode.
    pub parent: u64,
    /// The directory, wherever it moves.
    pub directory: File,
    pub name: CString,
}

impl Drop for HiddenName {
    fn drop(&mut self) {
        // An error means that somebody on the host removed it, or the whole directory.
        let _ = unlinkat(&self.directory, &self.name, AtFlags::empty());
    }
}

impl Nameless {
    /// A name nobody uses.
    pub fn unused_name(&self) -> io::Result<CString> {
        let mut random = [0; 8];
        getrandom(&mut random, GetRandomFlags::empty())?;
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let name = format!(".rkt-nameless-{:016x}-{serial}", u64::from_ne_bytes(random));
        CString::new(name).map_err(io::Error::other)
    }

    /// Remembers the hidden name of `inode`.
    pub fn hide(&self, inode: u64, name: HiddenName) {
        let mut hidden = self.lock();
        hidden.insert(inode, name);
        self.count.store(hidden.len(), Ordering::SeqCst);
    }

    /// Removes the hidden name of `inode`, because it has another one or is forgotten. True if there was one.
    pub fn reveal(&self, inode: u64) -> bool {
        self.remove_where(|candidate, _| candidate == inode)
    }

    /// Removes all hidden names in a directory, which the guest takes for empty. True if there were any.
    pub fn clear(&self, directory: u64) -> bool {
        self.remove_where(|_, name| name.parent == directory)
    }

    /// Removes all hidden names.
    pub fn clear_all(&self) {
        self.remove_where(|_, _| true);
    }

    /// Whether `inode` has no name but a hidden one.
    pub fn contains(&self, inode: u64) -> bool {
        !self.is_empty() && self.lock().contains_key(&inode)
    }

    /// Whether this is a hidden name.
    pub fn is_hidden(&self, name: &CStr) -> bool {
        !self.is_empty() && self.lock().values().any(|hidden| hidden.name.as_c_str() == name)
    }

    /// The entries of a directory without the hidden ones.
    pub fn filter(&self, entries: ReadDir<Vec<u8>>) -> Entries {
        if self.is_empty() { Entries::All(entries) } else { Entries::visible(entries, self) }
    }

    fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    fn remove_where(&self, remove: impl Fn(u64, &HiddenName) -> bool) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut hidden = self.lock();
        let before = hidden.len();
        hidden.retain(|inode, name| !remove(*inode, name));
        self.count.store(hidden.len(), Ordering::SeqCst);
        hidden.len() < before
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, HiddenName>> {
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A directory's entries, as the guest sees them.
pub(super) enum Entries {
    /// As the host says.
    All(ReadDir<Vec<u8>>),
    /// What is left of them, and the next one's index.
    Visible(Vec<OwnedEntry>, usize),
}

/// An entry with its name.
pub(super) struct OwnedEntry {
    ino: u64,
    offset: u64,
    kind: u32,
    name: CString,
}

impl Entries {
    fn visible(mut entries: ReadDir<Vec<u8>>, nameless: &Nameless) -> Self {
        let mut visible = Vec::new();
        while let Some(DirEntry { ino, offset, type_, name }) = entries.next() {
            if !nameless.is_hidden(name) {
                visible.push(OwnedEntry { ino, offset, kind: type_, name: name.to_owned() });
            }
        }
        Entries::Visible(visible, 0)
    }
}

impl DirectoryIterator for Entries {
    fn next(&mut self) -> Option<DirEntry<'_>> {
        match self {
            Entries::All(entries) => entries.next(),
            Entries::Visible(entries, next) => {
                let OwnedEntry { ino, offset, kind, name } = entries.get(*next)?;
                *next += 1;
                Some(DirEntry { ino: *ino, offset: *offset, type_: *kind, name })
            }
        }
    }
}
