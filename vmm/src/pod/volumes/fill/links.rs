//! Files with several names: so that the copy of such a file has as many.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use rustix::fs::Stat;

/// The most that is remembered, in bytes: an image may have any number of files whose other names are elsewhere.
const ROOM: usize = 16 << 20;
/// What an entry takes beside its path.
const ENTRY: usize = size_of::<(u64, u64)>() + size_of::<First>();

/// Where the copies of files are that have further names.
#[derive(Debug, Default)]
pub struct Links {
    /// By device and inode of the original.
    firsts: HashMap<(u64, u64), First>,
    used: usize,
}

/// A file that has been copied once.
#[derive(Debug)]
struct First {
    path: PathBuf,
    /// How many names have not been met.
    left: u64,
}

impl Links {
    /// The first name of the copy of a file of which another name has been met, if there is one.
    pub fn first_name(&mut self, original: &Stat) -> Option<PathBuf> {
        let key = key(original);
        let first = self.firsts.get_mut(&key)?;
        first.left = first.left.saturating_sub(1);
        if first.left > 0 {
            return Some(first.path.clone());
        }
        let first = self.firsts.remove(&key)?;
        self.used = self.used.saturating_sub(size(&first.path));
        Some(first.path)
    }

    /// A file has been copied to this path.
    pub fn copied(&mut self, original: &Stat, path: &Path) {
        if original.st_nlink < 2 || self.used.saturating_add(size(path)) > ROOM {
            return;
        }
        let first = First { path: path.to_owned(), left: original.st_nlink - 1 };
        let before = self.firsts.insert(key(original), first);
        self.used = self.used + size(path) - before.map_or(0, |before| size(&before.path));
    }
}

fn key(status: &Stat) -> (u64, u64) {
    (status.st_dev, status.st_ino)
}

fn size(path: &Path) -> usize {
    ENTRY + path.as_os_str().len()
}

#[cfg(test)]
mod tests {
    use rustix::fs::stat;

    use super::*;

    /// A file's status, as one of these names.
    fn status(inode: u64, names: u64) -> Stat {
        let mut status = stat("/").unwrap();
        (status.st_ino, status.st_nlink) = (inode, names);
        status
    }

    #[test]
    fn names_are_remembered_until_the_last_has_been_met() {
        let mut links = Links::default();
        links.copied(&status(1, 3), Path::new("a/b"));
        links.copied(&status(2, 1), Path::new("alone"));
        let found: Vec<_> = [2, 1, 1, 1].map(|inode| links.first_name(&status(inode, 3))).into();
        assert_eq!(found, [None, Some("a/b".into()), Some("a/b".into()), None]);
        assert_eq!(links.used, 0);
    }

    #[test]
    fn memory_has_a_limit() {
        let mut links = Links::default();
        let long = PathBuf::from("x".repeat(4000));
        for inode in 0..2 * ROOM as u64 / 4000 {
            links.copied(&status(inode, 9), &long);
        }
        assert!(links.used <= ROOM && links.firsts.len() > ROOM / 5000);
        assert!(links.first_name(&status(u64::MAX, 9)).is_none());
    }
}
