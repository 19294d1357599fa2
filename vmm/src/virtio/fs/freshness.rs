//! How long the guest may trust attributes.
//!
//! A guest that writes back keeps size and times itself, but knows nothing of the blocks a file takes until it asks,
//! and what it wrote takes none before it is written back. So for files it writes it asks again soon. Not always: with
//! attributes that are not good any more, Linux asks at every `read` and `write`.

use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use virtiofsd::{
    filesystem::Entry,
    fuse::{Attr, SetattrValid},
};

/// For files of a writing guest that it has not written: it may have asked before it began.
const UNWRITTEN: Duration = Duration::from_secs(60);

/// For files that the guest writes: longer than many small writes take, shorter than anybody notices.
const WRITTEN: Duration = Duration::from_millis(10);

/// How many files are remembered. A guest may open a file while it forgets it, which leaves it here.
const MOST_WRITTEN: usize = 1 << 20;

/// Which files the guest writes.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    written: RwLock<HashSet<u64>>,
}

impl Freshness {
    /// The guest opened `inode` with these flags.
    pub fn opened(&self, inode: u64, flags: u32) {
        let reads =
            flags & libc::O_ACCMODE as u32 == libc::O_RDONLY as u32 && flags & libc::O_TRUNC as u32 == 0;
        if !reads {
            self.written(inode);
        }
    }

    /// The guest changed attributes.
    pub fn changed(&self, inode: u64, valid: SetattrValid) {
        if valid.contains(SetattrValid::SIZE) {
            self.written(inode);
        }
    }

    /// The guest forgot `inode`, or at least one of its names.
    pub fn forget(&self, inode: u64) {
        if self.is_written(inode) {
            self.written.write().unwrap_or_else(PoisonError::into_inner).remove(&inode);
        }
    }

    /// The guest forgot everything.
    pub fn clear(&self) {
        self.written.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The time for which the attributes of `inode` are good, if for no more than `longest`.
    pub fn lifetime(&self, inode: u64, attr: &Attr, longest: Duration) -> Duration {
        if attr.mode & libc::S_IFMT != libc::S_IFREG {
            longest
        } else if self.is_written(inode) {
            longest.min(WRITTEN)
        } else {
            longest.min(UNWRITTEN)
        }
    }

    /// An entry whose attributes are good as long as they should.
    pub fn entry(&self, mut entry: Entry) -> Entry {
        entry.attr_timeout = self.lifetime(entry.inode, &entry.attr, entry.attr_timeout);
        entry
    }

    fn written(&self, inode: u64) {
        if !self.is_written(inode) {
            let mut written = self.written.write().unwrap_or_else(PoisonError::into_inner);
            if written.len() >= MOST_WRITTEN {
                written.clear();
            }
            written.insert(inode);
        }
    }

    /// How many files are remembered.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.written.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn is_written(&self, inode: u64) -> bool {
        self.written.read().unwrap_or_else(PoisonError::into_inner).contains(&inode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn lifetime(freshness: &Freshness, inode: u64, mode: u32) -> Duration {
        freshness.lifetime(inode, &Attr { mode, ..Attr::default() }, DAY)
    }

    #[test]
    fn what_is_written_is_asked_for_soon() {
        let freshness = Freshness::default();
        assert_eq!(lifetime(&freshness, 5, libc::S_IFREG | 0o644), UNWRITTEN);
        assert_eq!(lifetime(&freshness, 5, libc::S_IFDIR | 0o755), DAY);
        freshness.opened(5, libc::O_RDONLY as u32);
        assert_eq!(lifetime(&freshness, 5, libc::S_IFREG), UNWRITTEN);
        freshness.opened(5, libc::O_WRONLY as u32);
        freshness.changed(6, SetattrValid::SIZE);
        freshness.changed(7, SetattrValid::MODE);
        freshness.opened(8, libc::O_TRUNC as u32);
        for (inode, expected) in [(5, WRITTEN), (6, WRITTEN), (7, UNWRITTEN), (8, WRITTEN)] {
            assert_eq!(lifetime(&freshness, inode, libc::S_IFREG), expected, "{inode}");
        }
        freshness.forget(5);
        assert_eq!(lifetime(&freshness, 5, libc::S_IFREG), UNWRITTEN);
        let short =
            freshness.lifetime(5, &Attr { mode: libc::S_IFREG, ..Attr::default() }, Duration::from_secs(1));
        assert_eq!(short, Duration::from_secs(1));
        freshness.clear();
        assert_eq!(lifetime(&freshness, 6, libc::S_IFREG), UNWRITTEN);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let freshness = Freshness::default();
        for inode in 0..MOST_WRITTEN as u64 + 5 {
            freshness.opened(inode, libc::O_WRONLY as u32);
        }
        assert_eq!(freshness.count(), 5);
    }
}
