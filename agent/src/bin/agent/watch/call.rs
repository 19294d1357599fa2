//! A call that begins to watch a file: which one it means.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::libc;

/// The longest path a call can have.
const MAX_PATH: usize = libc::PATH_MAX as usize;

/// A system call under way.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The kernel's name for it.
    pub id: u64,
    /// The thread that makes it.
    pub thread: u32,
    /// Which it is.
    pub number: i64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// Where a file is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Target {
    /// The directory that a relative path begins in; none is the working directory.
    directory: Option<i32>,
    /// The address of the path; 0 means the directory itself.
    path: u64,
    no_follow: bool,
}

impl Call {
    /// Opens the file the call means, as far as that can be foreseen; nothing is done with it. A relative path may not lead
    /// above the directory it begins in.
    pub fn open(&self) -> io::Result<OwnedFd> {
        let target = self.target().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let start = match target.directory {
            None => format!("/proc/{}/cwd", self.thread),
            Some(descriptor) => format!("/proc/{}/fd/{descriptor}", self.thread),
        };
        if target.path == 0 {
            return open_path(&start);
        }
        let path = self.text(target.path)?;
        let (start, within) = match path.as_bytes().first() {
            Some(b'/') => (format!("/proc/{}/root", self.thread), libc::RESOLVE_IN_ROOT),
            _ => (start, libc::RESOLVE_BENEATH),
        };
        open_in(&open_path(&start)?, &path, within, target.no_follow)
    }

    fn target(&self) -> Option<Target> {
        let [_, second, third, fourth, fifth, _] = self.arguments;
        match self.number {
            libc::SYS_inotify_add_watch => Some(Target {
                directory: None,
                path: second,
                no_follow: third as u32 & libc::IN_DONT_FOLLOW != 0,
            }),
            libc::SYS_fanotify_mark => {
                let flags = second as u32;
                // What is watched as a whole has no file that could be watched in its place.
                let whole = libc::FAN_MARK_MOUNT | libc::FAN_MARK_FILESYSTEM;
                let adds = flags & libc::FAN_MARK_ADD != 0 && flags & whole == 0;
                let directory = Some(fourth as i32).filter(|descriptor| *descriptor != libc::AT_FDCWD);
                let no_follow = flags & libc::FAN_MARK_DONT_FOLLOW != 0;
                adds.then_some(Target { directory, path: fifth, no_follow })
            }
            _ => None,
        }
    }

    /// A string of the caller's.
    fn text(&self, address: u64) -> io::Result<CString> {
        let mut bytes = vec![0; MAX_PATH];
        let memory = File::open(format!("/proc/{}/mem", self.thread))?;
        let length = memory.read_at(&mut bytes, address)?;
        let end = bytes[..length].iter().position(|byte| *byte == 0);
        bytes.truncate(end.ok_or_else(|| io::Error::from_raw_os_error(libc::ENAMETOOLONG))?);
        CString::new(bytes).map_err(io::Error::other)
    }
}

fn open_path(path: &str) -> io::Result<OwnedFd> {
    let path = CString::new(path).map_err(io::Error::other)?;
    // SAFETY: the path is a live string.
    let file = Errno::result(unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) })?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(file) })
}

fn open_in(start: &OwnedFd, path: &CString, within: u64, no_follow: bool) -> io::Result<OwnedFd> {
    // SAFETY: all-zero bytes are a valid description.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    let follow = if no_follow { libc::O_NOFOLLOW } else { 0 };
    how.flags = (libc::O_PATH | libc::O_CLOEXEC | follow) as u64;
    how.resolve = within | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: path and description are live, the size is the description's.
    let file = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            start.as_raw_fd(),
            path.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    };
    let file = Errno::result(file)?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(file as i32) })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use super::*;

    fn call(number: i64, arguments: [u64; 6]) -> Call {
        Call { id: 0, thread: std::process::id(), number, arguments }
    }

    fn target_of(file: &OwnedFd) -> std::path::PathBuf {
        fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap()
    }

    #[test]
    fn the_file_of_a_call_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().canonicalize().unwrap().join(name);
        fs::write(path("file"), "").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        let text = |path: &Path| CString::new(path.to_str().unwrap()).unwrap();
        let (file, link, name) = (text(&path("file")), text(&path("link")), CString::new("file").unwrap());
        let inotify = |path: &CString, mask: u32| {
            call(libc::SYS_inotify_add_watch, [0, path.as_ptr() as u64, mask.into(), 0, 0, 0]).open()
        };
        assert_eq!(target_of(&inotify(&file, 0).unwrap()), path("file"));
        assert_eq!(target_of(&inotify(&link, 0).unwrap()), path("file"));
        assert_eq!(target_of(&inotify(&link, libc::IN_DONT_FOLLOW).unwrap()), path("link"));
        let opened = File::open(directory.path()).unwrap();
        let fanotify = |flags: u32, descriptor: i32, path: u64| {
            let arguments = [0, flags.into(), 0, descriptor as u64, path, 0];
            call(libc::SYS_fanotify_mark, arguments).open()
        };
        let at = opened.as_raw_fd();
        let found = fanotify(libc::FAN_MARK_ADD, at, name.as_ptr() as u64).unwrap();
        assert_eq!(target_of(&found), path("file"));
        assert_eq!(
            target_of(&fanotify(libc::FAN_MARK_ADD, at, 0).unwrap()),
            path("").canonicalize().unwrap()
        );
        let by_path = fanotify(libc::FAN_MARK_ADD, libc::AT_FDCWD, file.as_ptr() as u64).unwrap();
        assert_eq!(target_of(&by_path), path("file"));
        fanotify(libc::FAN_MARK_REMOVE, at, 0).unwrap_err();
        fanotify(libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM, at, 0).unwrap_err();
    }

    #[test]
    fn an_address_that_is_none_is_an_error() {
        call(libc::SYS_inotify_add_watch, [0, 8, 0, 0, 0, 0]).open().unwrap_err();
        call(libc::SYS_openat, [0; 6]).open().unwrap_err();
    }
}
