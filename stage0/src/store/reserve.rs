//! Room on the disk that is given up when there is no other: SQLite must write to note that an image has gone, and where it cannot, no
//! image could be removed to make room.

use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, open, statvfs};
use rustix::io::Errno;
use std::fs::File;
use std::path::{Path, PathBuf};

/// More than the index writes to forget an image.
const SIZE: u64 = 256 << 10;
/// What the index maps and writes to be read.
const TO_READ: u64 = 64 << 10;
/// SQLite makes room for a page at once, which smaller blocks let it have in part: the rest it finds missing in a mapping, and dies.
const PAGE: u64 = 4096;

/// The reserve, a file beside the index.
#[derive(Debug)]
pub(super) struct Reserve(PathBuf);

impl Reserve {
    pub fn beside(index: &Path) -> Self {
        Reserve(index.with_file_name("reserve"))
    }

    /// Makes it, unless it is there, or there is no room for it.
    pub fn keep(&self) {
        let Ok(file) = File::options().write(true).create_new(true).open(&self.0) else { return };
        if fallocate(&file, FallocateFlags::empty(), 0, SIZE).is_err() {
            self.give_up();
        }
    }

    /// Removes it; false if it is not there.
    pub fn give_up(&self) -> bool {
        std::fs::remove_file(&self.0).is_ok()
    }

    /// Whether opening the index would end this process rather than fail.
    pub fn is_needed_to_open(&self) -> bool {
        let Some(dir) = self.0.parent() else { return false };
        statvfs(dir).is_ok_and(|disk| disk.f_frsize < PAGE) && lacks(dir, TO_READ)
    }
}

/// Whether there is no room for so many bytes. File systems count free blocks that nobody gets.
fn lacks(dir: &Path, bytes: u64) -> bool {
    let trial = open(dir, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR);
    let room = trial.and_then(|file| fallocate(file, FallocateFlags::empty(), 0, bytes));
    room == Err(Errno::NOSPC)
}
