//! Files that are invisible until they are complete and on disk.

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// A file without a name in some directory's file system. Killed at any instant, nothing is left of it.
#[derive(Debug)]
pub struct Aside {
    file: File,
}

impl Aside {
    /// Makes an empty one on the file system of `dir`.
    pub fn new(dir: &Path) -> io::Result<Self> {
        Self::with_mode(dir, 0o640)
    }

    /// One that everybody may read.
    pub fn readable(dir: &Path) -> io::Result<Self> {
        Self::with_mode(dir, 0o644)
    }

    fn with_mode(dir: &Path, mode: u32) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        Ok(Aside { file: fs::open(dir, flags, Mode::from_raw_mode(mode))?.into() })
    }

    /// The file, to write to and read from.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// The file for good, without ever getting a name.
    pub fn into_file(self) -> File {
        self.file
    }

    /// As [`publish`](Self::publish), but the new content wins.
    pub fn replace(self, path: &Path) -> io::Result<()> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let beside = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), uuid::Uuid::new_v4()));
        self.publish(&beside)?;
        std::fs::rename(&beside, path)?;
        path.parent().map_or(Ok(()), sync_dir)
    }

    /// Puts the content on disk and gives it the name `path`. A file that is already there wins: names in the store
    /// say what the content is.
    pub fn publish(self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        match fs::linkat(fs::CWD, own, fs::CWD, path, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        match path.parent() {
            Some(dir) => sync_dir(dir),
            None => Ok(()),
        }
    }
}

/// Puts a directory's entries on disk.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn nothing_is_visible_before_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut aside = Aside::new(dir.path()).unwrap();
        aside.file().write_all(b"content").unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        aside.publish(&dir.path().join("f")).unwrap();
        let other = Aside::new(dir.path()).unwrap();
        other.publish(&dir.path().join("f")).unwrap();
        assert_eq!(std::fs::read(dir.path().join("f")).unwrap(), b"content");
    }

    #[test]
    fn a_file_can_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for content in ["1", "2"] {
            let mut aside = Aside::new(dir.path()).unwrap();
            aside.file().write_all(content.as_bytes()).unwrap();
            aside.replace(&path).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"2");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
