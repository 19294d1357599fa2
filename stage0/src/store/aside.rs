//! Files that are invisible until they are complete and on disk.

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
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
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        Ok(Aside { file: fs::open(dir, flags, Mode::from_raw_mode(0o640))?.into() })
    }

    /// The file, to write to and read from.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
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

/// Writes a small file that appears under its name complete or not at all, replacing an older one.
pub fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut aside = dir.to_path_buf();
    aside.push(format!(".{}.{}", name.to_string_lossy(), uuid::Uuid::new_v4()));
    let result = File::create_new(&aside)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&aside, path));
    if result.is_err() {
        // The error to report is the first one.
        let _ = std::fs::remove_file(&aside);
    }
    result.and_then(|()| sync_dir(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn small_files_replace() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_file(&path, b"1").unwrap();
        write_file(&path, b"2").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"2");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_file(&dir.path().join("no/such"), b"").is_err());
    }
}
