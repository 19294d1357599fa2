//! The thread that makes the changes the host tells of, for the guest's kernel to tell who watches. The host answers its
//! requests, and does nothing.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use agent::protocol::{BACKSTAGE, Change, ENTRANCE, EXIT, Place, Touch};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::libc;
use nix::sys::stat::{Mode, SFlag, mkdirat, mknodat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::Bell;
use super::answer::Answer;
use super::nodes::Found;

/// How often a change is tried: what an app does at the same moment may be in the way.
const ATTEMPTS: usize = 3;

/// A change, and the files it is about, in the order of [`Change::nodes`].
#[derive(Debug)]
pub struct Act {
    /// What to do.
    pub change: Change,
    /// With what.
    pub files: Vec<Found>,
}

/// Makes changes, one after the other.
pub fn run(acts: &Receiver<Act>, answers: &Sender<Answer>, bell: &Arc<Bell>) {
    for act in acts {
        for _ in 0..ATTEMPTS {
            match make(&act) {
                Err(Errno::EEXIST | Errno::ENOENT | Errno::ESTALE | Errno::EINTR) => {}
                // Nothing more can be done: perhaps an app has removed the directory.
                Ok(()) | Err(_) => break,
            }
        }
        // What has no name any more is gone when nobody has it open.
        drop(act);
        if answers.send(Answer::Acted).is_err() {
            return;
        }
        bell.ring();
    }
}

/// The directory that only this thread finds, of a file's file system.
fn stage(found: &Found) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(&*found.root, BACKSTAGE, flags, Mode::empty())
}

fn make(act: &Act) -> nix::Result<()> {
    let [first, rest @ ..] = act.files.as_slice() else { return Ok(()) };
    match &act.change {
        Change::Created { at, directory: true } => mkdirat(&*first.file, name(at)?.as_c_str(), Mode::S_IRWXU),
        Change::Created { at, directory: false } => {
            mknodat(&*first.file, name(at)?.as_c_str(), SFlag::S_IFREG, Mode::S_IRUSR | Mode::S_IWUSR, 0)
        }
        Change::Deleted { at, directory } => unlinkat(&*first.file, name(at)?.as_c_str(), how(*directory)),
        Change::Moved { from: Some(from), to: Some(to), .. } => {
            let [second, ..] = rest else { return Ok(()) };
            if second.device == first.device {
                return rename(&first.file, &name(from)?, &second.file, &name(to)?);
            }
            leave(first, from)?;
            arrive(second, to)
        }
        Change::Moved { from: Some(from), to: None, .. } => leave(first, from),
        Change::Moved { from: None, to: Some(to), .. } => arrive(first, to),
        Change::Moved { from: None, to: None, .. } => Ok(()),
        Change::Touched { at, how, .. } => {
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            touch(&openat(&*first.file, name(at)?.as_c_str(), flags, Mode::empty())?, *how)
        }
        Change::TouchedItself { how, .. } => touch(&first.file, *how),
        // The root of a file system has no name in it.
        Change::DeletedItself { .. } | Change::MovedItself { .. } if is_root(first) => Ok(()),
        Change::DeletedItself { directory, .. } => unlinkat(stage(first)?, ENTRANCE, how(*directory)),
        Change::MovedItself { .. } => {
            let stage = stage(first)?;
            renameat(&stage, ENTRANCE, &stage, EXIT)
        }
    }
}

fn leave(found: &Found, from: &Place) -> nix::Result<()> {
    renameat(&*found.file, name(from)?.as_c_str(), stage(found)?, EXIT)
}

fn arrive(found: &Found, to: &Place) -> nix::Result<()> {
    renameat(stage(found)?, ENTRANCE, &*found.file, name(to)?.as_c_str())
}

fn rename(from: &OwnedFd, old: &CStr, to: &OwnedFd, new: &CStr) -> nix::Result<()> {
    renameat(from, old, to, new)
}

fn how(directory: bool) -> UnlinkatFlags {
    if directory { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir }
}

fn name(place: &Place) -> nix::Result<CString> {
    CString::new(place.name.as_slice()).map_err(|_| Errno::EINVAL)
}

fn is_root(found: &Found) -> bool {
    let number = |file: &OwnedFd| Some(File::from(file.try_clone().ok()?).metadata().ok()?.ino());
    number(&found.file) == number(&found.root)
}

/// Does what changes nothing of a file and is told like a change: sets times, whatever they are, or opens it and closes it.
fn touch(file: &OwnedFd, how: Touch) -> nix::Result<()> {
    let kind = look(file, how)?;
    match how {
        Touch::Content => set_times(file, TimeSpec::UTIME_OMIT, TimeSpec::UTIME_NOW),
        Touch::Attributes => set_times(file, TimeSpec::UTIME_NOW, TimeSpec::UTIME_NOW),
        Touch::Closed if kind == libc::S_IFREG => {
            // Of the thread: the process has another table of descriptors.
            let path = format!("/proc/thread-self/fd/{}", file.as_raw_fd());
            open(path.as_str(), OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty()).map(drop)
        }
        Touch::Closed => Ok(()),
    }
}

/// The kind of file. Before times are set the kernel is to ask for all attributes, so that it finds out by itself whether its copy of
/// the content is good; opening it does so anyway.
fn look(file: &OwnedFd, how: Touch) -> nix::Result<u32> {
    // SAFETY: all-zero bytes are a valid answer to be overwritten.
    let mut answer: libc::statx = unsafe { std::mem::zeroed() };
    let when = if how == Touch::Closed { libc::AT_STATX_DONT_SYNC } else { libc::AT_STATX_FORCE_SYNC };
    let flags = libc::AT_EMPTY_PATH | when;
    // SAFETY: the path is a live string, the answer has its size.
    let result = unsafe {
        libc::statx(file.as_fd().as_raw_fd(), c"".as_ptr(), flags, libc::STATX_BASIC_STATS, &raw mut answer)
    };
    Errno::result(result)?;
    Ok(u32::from(answer.stx_mode) & libc::S_IFMT)
}

fn set_times(file: &OwnedFd, access: TimeSpec, change: TimeSpec) -> nix::Result<()> {
    let times = [access, change].map(|time| *time.as_ref());
    // SAFETY: path and times are live.
    let result = unsafe {
        libc::utimensat(file.as_raw_fd(), c"".as_ptr(), times.as_ptr(), AtFlags::AT_EMPTY_PATH.bits())
    };
    Errno::result(result).map(drop)
}

/// The calling thread, as FUSE names it.
pub fn thread() -> io::Result<u32> {
    u32::try_from(nix::unistd::gettid().as_raw()).map_err(io::Error::other)
}
