//! Files that are invisible until they are complete and on disk.

use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// A file without a name in some directory's file system. Killed at any instant, nothing is left of it. Where there are no such
/// files (NFS, FAT, overlays of older kernels), it has a hidden name, which is all that can be left.
#[derive(Debug)]
pub struct Aside {
    file: File,
    hidden: Option<Hidden>,
}

/// A name that goes when this is dropped, unless the file has got another one.
#[derive(Debug)]
struct Hidden(PathBuf);

impl Hidden {
    fn in_dir(dir: &Path) -> Self {
        Hidden(dir.join(format!(".rkt-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // It is not there any more if all went well.
        let _ = std::fs::remove_file(&self.0);
    }
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
        match fs::open(dir, flags, Mode::from_raw_mode(mode)) {
            Ok(file) => Ok(Aside { file: file.into(), hidden: None }),
            Err(Errno::OPNOTSUPP) => Self::hidden(dir, mode),
            Err(error) => Err(error.into()),
        }
    }

    fn hidden(dir: &Path, mode: u32) -> io::Result<Self> {
        let hidden = Hidden::in_dir(dir);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let file = fs::open(&hidden.0, flags, Mode::from_raw_mode(mode))?.into();
        Ok(Aside { file, hidden: Some(hidden) })
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
    pub fn replace(mut self, path: &Path) -> io::Result<()> {
        let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let hidden = match self.hidden.take() {
            Some(hidden) => {
                self.file.sync_all()?;
                hidden
            }
            None => {
                let hidden = Hidden::in_dir(dir);
                self.publish(&hidden.0)?;
                hidden
            }
        };
        std::fs::rename(&hidden.0, path)?;
        sync_dir(dir)
    }

    /// Puts the content on disk and gives it the name `path`. A file that is already there wins: names in the store
    /// say what the content is.
    pub fn publish(self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        let own = match &self.hidden {
            Some(hidden) => hidden.0.clone(),
            None => format!("/proc/self/fd/{}", self.file.as_raw_fd()).into(),
        };
        let named = match fs::linkat(fs::CWD, &own, fs::CWD, path, AtFlags::SYMLINK_FOLLOW) {
            // FAT has no second names.
            Err(Errno::PERM) if self.hidden.is_some() => {
                fs::renameat_with(fs::CWD, &own, fs::CWD, path, RenameFlags::NOREPLACE)
            }
            named => named,
        };
        match named {
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
    fn where_no_file_is_without_a_name_nothing_is_left_either() {
        let dir = tempfile::tempdir().unwrap();
        let names = || {
            let mut names: Vec<_> =
                std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let hidden = |content: &str| {
            let mut aside = Aside::hidden(dir.path(), 0o644).unwrap();
            aside.file().write_all(content.as_bytes()).unwrap();
            assert!(names().iter().any(|name| name.to_string_lossy().starts_with(".rkt-")));
            aside
        };
        let path = dir.path().join("f");
        hidden("1").publish(&path).unwrap();
        hidden("2").publish(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"1");
        hidden("3").replace(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"3");
        drop(hidden("4"));
        drop(hidden("5").into_file());
        std::fs::create_dir(dir.path().join("taken")).unwrap();
        hidden("6").replace(&dir.path().join("taken")).unwrap_err();
        Aside::new(dir.path()).unwrap().replace(&dir.path().join("taken")).unwrap_err();
        assert_eq!(names(), ["f", "taken"]);
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
