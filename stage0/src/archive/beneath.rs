//! A directory that nothing reached through it can leave: every path is resolved below an open descriptor.

use super::name::RelPath;
use super::remove;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Symbolic links followed in one path, as the kernel's own limit (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// Why a path below the root cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum BeneathError {
    /// A symbolic link on the way leads out of the root.
    #[error("{0:?} leads outside of its root through a symbolic link")]
    Escape(String),
    /// Too many symbolic links.
    #[error("{0:?} passes through more than {MAX_LINKS} symbolic links")]
    Loop(String),
    /// The resolved path is longer than the kernel takes.
    #[error("{0:?} resolves to a path that is too long")]
    TooLong(String),
    /// A system call failed.
    #[error("Cannot {action} {path:?}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path below the root.
        path: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl BeneathError {
    /// Whether the path is to blame, and not the host.
    pub fn blames_path(&self) -> bool {
        let BeneathError::Io { source, .. } = self else { return true };
        let errno = source.raw_os_error().map(Errno::from_raw_os_error);
        matches!(errno, Some(Errno::NAMETOOLONG | Errno::INVAL | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP))
    }
}

/// Builds the `Io` variant from an errno.
pub(crate) fn failed(action: &'static str, path: &RelPath) -> impl FnOnce(Errno) -> BeneathError {
    let path = path.to_string();
    move |errno| BeneathError::Io { action, path, source: errno.into() }
}

/// An open directory used as a root.
#[derive(Debug)]
pub struct Beneath {
    fd: OwnedFd,
}

impl AsFd for Beneath {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Beneath {
    /// Opens the existing directory `dir` as a root.
    pub fn open(dir: &Path) -> std::io::Result<Self> {
        Ok(Beneath { fd: fs::open(dir, DIRECTORY | OFlags::RDONLY, Mode::empty())? })
    }

    /// Opens `path` below the root without following any symbolic link.
    pub fn open_at(&self, path: &RelPath, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        loop {
            match fs::openat2(&self.fd, path.as_os(), flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                // openat2(2): a concurrent rename made the check impossible; nobody renames here for long.
                Err(Errno::AGAIN | Errno::INTR) => continue,
                result => return result,
            }
        }
    }

    /// Opens a directory for use with the `*at` calls; no symbolic links on the way.
    pub fn open_dir(&self, path: &RelPath) -> Result<OwnedFd, Errno> {
        self.open_at(path, DIRECTORY | OFlags::PATH)
    }

    /// Opens a directory for reading its entries.
    pub fn read_dir(&self, path: &RelPath) -> Result<OwnedFd, Errno> {
        self.open_at(path, DIRECTORY | OFlags::RDONLY)
    }

    /// Status of `path` itself, or `None` when it (or a directory on the way) does not exist.
    pub fn stat(&self, path: &RelPath) -> Result<Option<fs::Stat>, BeneathError> {
        match self.open_at(path, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(fd) => fs::fstat(fd).map(Some).map_err(failed("examine", path)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            // The last component is a link (O_PATH alone would open it, RESOLVE_NO_SYMLINKS refuses), or one before.
            Err(Errno::LOOP) => self.stat_link(path),
            Err(e) => Err(failed("examine", path)(e)),
        }
    }

    fn stat_link(&self, path: &RelPath) -> Result<Option<fs::Stat>, BeneathError> {
        let Some((dir, leaf)) = path.split() else { return Ok(None) };
        match self.open_dir(&dir) {
            Ok(fd) => {
                fs::statat(fd, leaf, AtFlags::SYMLINK_NOFOLLOW).map(Some).map_err(failed("examine", path))
            }
            Err(Errno::LOOP) => Ok(None),
            Err(e) => Err(failed("examine", path)(e)),
        }
    }

    /// Follows the symbolic links in `path` (its last component included) as a process with this root would,
    /// except that a link climbing above the root is an error. Components that do not exist are kept.
    pub fn canonical(&self, path: &RelPath) -> Result<RelPath, BeneathError> {
        let mut rest: VecDeque<OsString> = path.components().map(OsString::from).collect();
        let mut done = RelPath::default();
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                done = done.split().ok_or_else(|| BeneathError::Escape(path.to_string()))?.0;
                continue;
            }
            let next = done.join(&part);
            let Some(target) = self.link_target(&done, &part, &next)? else {
                if next.as_bytes().len() > super::name::MAX_NAME {
                    return Err(BeneathError::TooLong(path.to_string()));
                }
                done = next;
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(BeneathError::Loop(path.to_string()));
            }
            if target.first() == Some(&b'/') {
                done = RelPath::default();
            }
            let parts = target.split(|b| *b == b'/').filter(|c| !c.is_empty() && *c != b".");
            for part in parts.rev() {
                rest.push_front(OsString::from_vec(part.to_vec()));
            }
        }
        Ok(done)
    }

    /// The target if `dir/name` is a symbolic link.
    fn link_target(
        &self,
        dir: &RelPath,
        name: &OsStr,
        path: &RelPath,
    ) -> Result<Option<Vec<u8>>, BeneathError> {
        let fd = match self.open_dir(dir) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(e) => return Err(failed("open directory", dir)(e)),
        };
        match fs::readlinkat(fd, name, Vec::new()) {
            Ok(target) => Ok(Some(target.into_bytes())),
            Err(Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(e) => Err(failed("read link", path)(e)),
        }
    }

    /// Names and types of a directory's entries, without `.` and `..`.
    pub fn list(&self, path: &RelPath) -> Result<Vec<(OsString, FileType)>, BeneathError> {
        let fd = self.read_dir(path).map_err(failed("open directory", path))?;
        let mut out = Vec::new();
        for entry in fs::Dir::new(fd).map_err(failed("read directory", path))? {
            let entry = entry.map_err(failed("read directory", path))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                out.push((name.to_owned(), entry.file_type()));
            }
        }
        Ok(out)
    }

    /// Removes `path` and everything below, whatever its shape; absent is fine.
    pub fn remove_all(&self, path: &RelPath) -> Result<(), BeneathError> {
        let Some((dir, leaf)) = path.split() else { return Ok(()) };
        let fd = match self.open_dir(&dir) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(failed("open directory", &dir)(e)),
        };
        let result = match fs::unlinkat(&fd, leaf, AtFlags::empty()) {
            // EISDIR on Linux; EPERM is POSIX's word for it.
            Err(Errno::ISDIR) => leaf.into_with_c_str(|leaf| remove::directory(fd.as_fd(), leaf)),
            result => result,
        };
        match result {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(failed("remove", path)(e)),
        }
    }
}

/// Removes `dir/name` and everything below, whatever its shape; absent is fine.
pub fn remove_tree(dir: &Path, name: &OsStr) -> Result<(), BeneathError> {
    let path = RelPath::default().join(name);
    match Beneath::open(dir) {
        Ok(root) => root.remove_all(&path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => {
            Err(BeneathError::Io { action: "open directory", path: dir.display().to_string(), source })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn path(s: &str) -> RelPath {
        RelPath::parse(s.as_bytes()).unwrap()
    }

    #[test]
    fn links_are_followed_inside_and_refused_outside() {
        let dir = tempfile::tempdir().unwrap();
        let root = Beneath::open(dir.path()).unwrap();
        std::fs::create_dir_all(dir.path().join("usr/lib")).unwrap();
        symlink("usr/lib", dir.path().join("lib")).unwrap();
        symlink("/usr", dir.path().join("abs")).unwrap();
        symlink("../../etc", dir.path().join("usr/up")).unwrap();
        symlink("loop", dir.path().join("loop")).unwrap();
        assert_eq!(root.canonical(&path("lib/x/y")).unwrap(), path("usr/lib/x/y"));
        assert_eq!(root.canonical(&path("abs/lib")).unwrap(), path("usr/lib"));
        assert!(matches!(root.canonical(&path("usr/up/x")), Err(BeneathError::Escape(_))));
        assert!(matches!(root.canonical(&path("loop/x")), Err(BeneathError::Loop(_))));
        assert!(root.open_dir(&path("lib")).is_err());
        assert!(root.stat(&path("lib")).unwrap().is_some());
        assert!(root.stat(&path("lib/x")).unwrap().is_none());
    }

    #[test]
    fn deep_trees_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let root = Beneath::open(dir.path()).unwrap();
        let mut deep = path("t");
        for _ in 0..1900 {
            let (parent, leaf) = deep.split().unwrap();
            let fd = root.open_dir(&parent).unwrap();
            fs::mkdirat(fd, leaf, Mode::RWXU).unwrap();
            deep = deep.join(OsStr::new("d"));
        }
        symlink("/etc", dir.path().join("t/d/link")).unwrap();
        remove_tree(dir.path(), OsStr::new("t")).unwrap();
        assert!(!dir.path().join("t").exists());
        remove_tree(dir.path(), OsStr::new("absent")).unwrap();
    }
}
