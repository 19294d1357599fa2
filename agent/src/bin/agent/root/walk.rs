//! Paths below a directory whose content is hostile.
//!
//! An image chooses its own symbolic links. Every component is opened without following links, and links are read and
//! walked as text with the image's root as `/`; so no path leads out, `..` and links to `/proc/1/root` included.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use nix::unistd::symlinkat;

/// As many links as the kernel follows in one lookup (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;
/// The mode of directories made on the way to a target.
const PARENT_MODE: u32 = 0o755;

/// The root directory of an image.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
}

/// What to do about components that do not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// Report them.
    Fail,
    /// Make them, the last one a directory of this mode.
    Directory(u32),
    /// Make them, the last one an empty file.
    File,
}

impl Root {
    /// Opens the directory that becomes `/`. The path itself is trusted.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(Self { directory: open(path, flags, Mode::empty())? })
    }

    /// Finds what `path` names, following links, as an `O_PATH` descriptor.
    pub fn find(&self, path: &str) -> io::Result<OwnedFd> {
        self.walk(path, Missing::Fail)
    }

    /// Finds a directory, making it and its parents if missing.
    pub fn ensure_directory(&self, path: &str, mode: u32) -> io::Result<OwnedFd> {
        self.walk(path, Missing::Directory(mode))
    }

    /// Finds something that is not a directory, making an empty file and its parents if missing.
    pub fn ensure_file(&self, path: &str) -> io::Result<OwnedFd> {
        self.walk(path, Missing::File)
    }

    /// Makes a symbolic link unless something has its name already.
    pub fn ensure_link(&self, path: &str, target: &str) -> io::Result<()> {
        let path = Path::new(path);
        let name = path.file_name().ok_or(Errno::EINVAL)?;
        let parent = self.find(&path.parent().unwrap_or(Path::new("/")).to_string_lossy())?;
        match symlinkat(target, parent, name) {
            Err(Errno::EEXIST) => Ok(()),
            other => Ok(other?),
        }
    }

    fn walk(&self, path: &str, missing: Missing) -> io::Result<OwnedFd> {
        let mut todo = Todo::default();
        todo.push(Path::new(path));
        let mut below: Vec<OwnedFd> = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.0.pop() {
            if name == ".." {
                below.pop();
                continue;
            }
            let here = below.last().unwrap_or(&self.directory).as_fd();
            let found = find_or_make(here, &name, missing, todo.0.is_empty())?;
            if SFlag::from_bits_truncate(fstat(&found)?.st_mode) & SFlag::S_IFMT != SFlag::S_IFLNK {
                below.push(found);
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::ELOOP.into());
            }
            let target = PathBuf::from(readlinkat(&found, "")?);
            if target.is_absolute() {
                below.clear();
            }
            todo.push(&target);
        }
        match below.pop() {
            Some(found) => Ok(found),
            None => self.directory.try_clone(),
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// Components still to be walked, the next one last.
#[derive(Default)]
struct Todo(Vec<OsString>);

impl Todo {
    fn push(&mut self, path: &Path) {
        self.0.extend(path.components().rev().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsStr::from_bytes(b"..").to_owned()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        }));
    }
}

fn look(directory: BorrowedFd<'_>, name: &OsStr) -> nix::Result<OwnedFd> {
    openat(directory, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
}

/// Directories are made without looking first: every look at something missing is a question to the host.
fn find_or_make(
    directory: BorrowedFd<'_>,
    name: &OsStr,
    missing: Missing,
    last: bool,
) -> nix::Result<OwnedFd> {
    let mode = match missing {
        Missing::Fail => return look(directory, name),
        Missing::File if last => return find_or_make_file(directory, name),
        Missing::Directory(mode) if last => mode,
        Missing::File | Missing::Directory(_) => PARENT_MODE,
    };
    match mkdirat(directory, name, Mode::from_bits_truncate(mode)) {
        // On a read-only file system what is not there cannot be made, and looking says which it is.
        Ok(()) | Err(Errno::EEXIST | Errno::EROFS) => look(directory, name),
        Err(error) => Err(error),
    }
}

fn find_or_make_file(directory: BorrowedFd<'_>, name: &OsStr) -> nix::Result<OwnedFd> {
    match look(directory, name) {
        Err(Errno::ENOENT) => {
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            openat(directory, name, flags, Mode::from_bits_truncate(0o644))
        }
        other => other,
    }
}

/// A path by which system calls that take no descriptor reach what one names.
pub fn through(descriptor: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
}

/// Whether a descriptor names a directory.
pub fn is_directory(descriptor: &impl AsFd) -> io::Result<bool> {
    let mode = SFlag::from_bits_truncate(fstat(descriptor)?.st_mode);
    Ok(mode & SFlag::S_IFMT == SFlag::S_IFDIR)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use proptest::prelude::*;

    use super::*;

    fn image() -> (tempfile::TempDir, Root) {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "").unwrap();
        let inside = outside.path().join("rootfs");
        fs::create_dir_all(inside.join("usr/lib")).unwrap();
        fs::write(inside.join("usr/lib/file"), "").unwrap();
        let root = Root::open(&inside).unwrap();
        (outside, root)
    }

    fn same(root: &Root, path: &str, outside: &tempfile::TempDir, expected: &str) -> bool {
        let found = fstat(root.find(path).unwrap()).unwrap();
        let expected = fs::symlink_metadata(outside.path().join("rootfs").join(expected)).unwrap();
        (found.st_dev, found.st_ino) == (expected.dev(), expected.ino())
    }

    #[test]
    fn links_are_walked_with_the_image_as_root() {
        let (outside, root) = image();
        let inside = outside.path().join("rootfs");
        symlink("/usr/lib", inside.join("absolute")).unwrap();
        symlink("usr/../usr/./lib", inside.join("relative")).unwrap();
        symlink("../../../..", inside.join("usr/up")).unwrap();
        symlink("/", inside.join("slash")).unwrap();
        for path in ["/absolute/file", "relative/file", "/usr/up/usr/lib/file", "/slash/slash/usr/lib/file"] {
            assert!(same(&root, path, &outside, "usr/lib/file"), "{path}");
        }
        assert!(same(&root, "/slash", &outside, ""));
        assert!(same(&root, "/../..", &outside, ""));
        assert_eq!(root.find("/usr/up/secret").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn missing_parts_are_made_where_links_point() {
        let (outside, root) = image();
        let inside = outside.path().join("rootfs");
        symlink("/var/run/here", inside.join("dangling")).unwrap();
        symlink("../../../outside", inside.join("usr/escape")).unwrap();
        root.ensure_directory("/dangling/deep", 0o1777).unwrap();
        assert_eq!(fs::metadata(inside.join("var/run/here/deep")).unwrap().mode() & 0o7000, 0o1000);
        root.ensure_file("/usr/escape").unwrap();
        assert!(inside.join("outside").is_file());
        assert!(!outside.path().join("outside").exists());
        root.ensure_file("/usr/lib/file").unwrap();
        assert_eq!(root.ensure_file("/usr/lib/file/x").unwrap_err().raw_os_error(), Some(libc::ENOTDIR));
    }

    #[test]
    fn circles_end() {
        let (outside, root) = image();
        symlink("b", outside.path().join("rootfs/a")).unwrap();
        symlink("a", outside.path().join("rootfs/b")).unwrap();
        assert_eq!(root.ensure_file("/a").unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }

    #[test]
    fn links_are_made_once() {
        let (outside, root) = image();
        root.ensure_link("/usr/mtab", "../proc/self/mounts").unwrap();
        root.ensure_link("/usr/mtab", "elsewhere").unwrap();
        let link = fs::read_link(outside.path().join("rootfs/usr/mtab")).unwrap();
        assert_eq!(link, Path::new("../proc/self/mounts"));
        assert!(root.ensure_link("/absent/mtab", "x").is_err());
    }

    proptest! {
        #[test]
        fn no_path_leads_out(parts in prop::collection::vec("(\\.\\.|\\.|up|a|b|slash|)", 0..12)) {
            let (outside, root) = image();
            let inside = outside.path().join("rootfs");
            symlink("../../..", inside.join("up")).unwrap();
            symlink("/", inside.join("slash")).unwrap();
            let before = fs::read_dir(outside.path()).unwrap().count();
            let found = root.ensure_directory(&parts.join("/"), 0o755).unwrap();
            let path = fs::read_link(through(&found)).unwrap();
            prop_assert!(path.starts_with(&inside), "{}", path.display());
            prop_assert_eq!(fs::read_dir(outside.path()).unwrap().count(), before);
        }
    }
}
