//! What the host watches: a group of fanotify(7) with a mark on each file.
//!
//! fanotify and not inotify because it tells who changed a file: what this process does for its guest, the guest has been told
//! of. An unprivileged group (Linux 5.13) can mark files it can open, and learns of no process but its own.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use libc::{
    FAN_ATTRIB, FAN_CLASS_NOTIF, FAN_CLOEXEC, FAN_CLOSE_WRITE, FAN_CREATE, FAN_DELETE, FAN_DELETE_SELF,
    FAN_EVENT_ON_CHILD, FAN_MARK_ADD, FAN_MARK_FLUSH, FAN_MARK_REMOVE, FAN_MODIFY, FAN_MOVE_SELF,
    FAN_MOVED_FROM, FAN_MOVED_TO, FAN_NONBLOCK, FAN_ONDIR, FAN_RENAME, FAN_REPORT_DFID_NAME, FAN_REPORT_FID,
    FAN_REPORT_TARGET_FID, O_RDONLY,
};
use rustix::fs::fstatfs;

use super::super::share::Share;

const FLAGS: u32 = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_FID | FAN_REPORT_DFID_NAME;
/// What happens to a file.
const FILE: u64 = FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE_WRITE | FAN_DELETE_SELF | FAN_MOVE_SELF;
/// What happens to a directory, and in it.
const DIRECTORY: u64 = FILE | FAN_CREATE | FAN_DELETE | FAN_EVENT_ON_CHILD | FAN_ONDIR;
/// The largest handle (`MAX_HANDLE_SZ`).
const MAX_HANDLE: usize = 128;
/// How many marks may be left on files that cannot be opened any more, before all are made anew.
const MAX_STRAY: usize = 1024;

/// The files that the host watches for the guest.
#[derive(Debug)]
pub struct Marks {
    group: File,
    keys: HashMap<u64, Vec<u8>>,
    /// Those that are directories, whose end nobody tells of.
    directories: HashSet<u64>,
    nodes: HashMap<Vec<u8>, Vec<u64>>,
    /// How many marks nobody asks about could not be removed.
    stray: usize,
}

impl Marks {
    /// None yet.
    pub fn new() -> io::Result<Self> {
        let group = match group(FLAGS | FAN_REPORT_TARGET_FID) {
            // Before Linux 5.17 an event about a name does not tell which file has it.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => group(FLAGS)?,
            group => group?,
        };
        Ok(Marks {
            group: group.into(),
            keys: HashMap::new(),
            directories: HashSet::new(),
            nodes: HashMap::new(),
            stray: 0,
        })
    }

    /// How many there are at most.
    pub fn len(&self) -> usize {
        self.keys.len() + self.stray
    }

    /// Watches a file or directory of a share.
    pub fn add(&mut self, node: u64, share: &Share) -> io::Result<()> {
        if self.keys.contains_key(&node) {
            return Ok(());
        }
        let (file, is_directory) = share.open_watched(node)?;
        let key = key_of(&file, c"")?;
        self.mark(&file, is_directory)?;
        self.nodes.entry(key.clone()).or_default().push(node);
        self.keys.insert(node, key);
        if is_directory {
            self.directories.insert(node);
        }
        Ok(())
    }

    /// Watches none of the nodes of a file any more, which has gone, though its mark is there while somebody has it open.
    pub fn end(&mut self, key: &[u8], share: &Share) -> Vec<u64> {
        let nodes = self.nodes(key).to_vec();
        nodes.iter().for_each(|node| self.remove(*node, share));
        nodes
    }

    /// Watches it no more.
    pub fn remove(&mut self, node: u64, share: &Share) {
        let Some(key) = self.keys.remove(&node) else { return };
        self.directories.remove(&node);
        let Some(nodes) = self.nodes.get_mut(&key) else { return };
        nodes.retain(|other| *other != node);
        if !nodes.is_empty() {
            return;
        }
        self.nodes.remove(&key);
        if let Ok((file, is_directory)) = share.open_watched(node) {
            let mask =
                if is_directory { DIRECTORY | FAN_RENAME | FAN_MOVED_FROM | FAN_MOVED_TO } else { FILE };
            let _ = self.change(FAN_MARK_REMOVE, mask, &file);
            return;
        }
        // A guest that has its kernel forget a file first would leave a mark behind with each.
        self.stray += 1;
        if self.stray >= MAX_STRAY {
            self.renew(share);
        }
    }

    /// A file has gone, and its mark with it.
    pub fn gone(&mut self, key: &[u8]) {
        for node in self.nodes.remove(key).into_iter().flatten() {
            self.keys.remove(&node);
            self.directories.remove(&node);
        }
    }

    /// Whether directories are watched.
    pub fn has_directories(&self) -> bool {
        !self.directories.is_empty()
    }

    /// Directories that are no more, which are watched no more, either.
    pub fn gone_directories(&mut self, share: &Share) -> Vec<u64> {
        let gone: Vec<u64> = self.directories.iter().copied().filter(|node| share.has_gone(*node)).collect();
        gone.iter().for_each(|node| self.remove(*node, share));
        gone
    }

    /// Removes all marks, and makes again those that are wanted.
    fn renew(&mut self, share: &Share) {
        // Cannot fail: the descriptor is that of a group.
        let _ = self.change(FAN_MARK_FLUSH, 0, &self.group);
        self.stray = 0;
        self.nodes.clear();
        self.directories.clear();
        for node in std::mem::take(&mut self.keys).into_keys() {
            // What the guest does not know any more is not for it to watch.
            let _ = self.add(node, share);
        }
    }

    /// The nodes of a file, more than one if it is in several volumes.
    pub fn nodes(&self, key: &[u8]) -> &[u64] {
        self.nodes.get(key).map_or(&[], Vec::as_slice)
    }

    /// Reads events, as far as there are any and they fit.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.group.read(buffer)
    }

    fn mark(&self, file: &File, is_directory: bool) -> io::Result<()> {
        if !is_directory {
            return self.change(FAN_MARK_ADD, FILE, file);
        }
        match self.change(FAN_MARK_ADD, DIRECTORY | FAN_RENAME, file) {
            // Before Linux 5.17 the two ends of a move are told of apart.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                self.change(FAN_MARK_ADD, DIRECTORY | FAN_MOVED_FROM | FAN_MOVED_TO, file)
            }
            marked => marked,
        }
    }

    fn change(&self, flags: u32, mask: u64, file: &File) -> io::Result<()> {
        // SAFETY: without a path the descriptor is what is marked.
        let result = unsafe {
            libc::fanotify_mark(self.group.as_raw_fd(), flags, mask, file.as_raw_fd(), std::ptr::null())
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl AsFd for Marks {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}

fn group(flags: u32) -> io::Result<OwnedFd> {
    // SAFETY: numbers only.
    let group = unsafe { libc::fanotify_init(flags, O_RDONLY as u32) };
    if group < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(group) })
}

/// How fanotify names a file: file system and handle. Of a name in a directory, or of `at` itself.
pub fn key_of(at: &File, name: &std::ffi::CStr) -> io::Result<Vec<u8>> {
    let status = fstatfs(at)?;
    let mut handle = [0u8; 8 + MAX_HANDLE];
    handle[..4].copy_from_slice(&(MAX_HANDLE as u32).to_ne_bytes());
    let mut mount: libc::c_int = 0;
    // SAFETY: the handle has the room it says, and is aligned enough for a system call that copies bytes.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            at.as_raw_fd(),
            name.as_ptr(),
            handle.as_mut_ptr(),
            &raw mut mount,
            libc::AT_EMPTY_PATH,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let length = u32::from_ne_bytes(*handle.first_chunk().unwrap_or(&[0; 4])) as usize;
    let handle = handle.get(..8 + length).ok_or_else(|| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
    // SAFETY: two numbers, of a plain structure.
    let file_system: [u8; 8] = unsafe { std::mem::transmute_copy(&status.f_fsid) };
    Ok([&file_system, handle].concat())
}
