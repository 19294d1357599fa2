//! Handles of files of a FUSE file system (`fuse_encode_fh` of `fs/fuse/inode.c`): they hold the node's number.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;

/// `FILEID_INO64_GEN` of `include/linux/exportfs.h`.
const KIND: i32 = 0x81;
/// Its length in bytes.
pub const LENGTH: usize = 12;

/// What the host knows a file by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Handle {
    /// The node.
    pub node: u64,
    /// Which of those that have had this number.
    pub generation: u32,
}

/// `struct file_handle`.
#[repr(C)]
struct FileHandle {
    length: u32,
    kind: i32,
    bytes: [u8; LENGTH],
}

impl Handle {
    /// Reads a handle that the kernel made.
    pub fn decode(kind: i32, bytes: &[u8]) -> Option<Self> {
        let words = bytes.as_chunks::<4>().0;
        let (KIND, LENGTH, &[high, low, generation]) = (kind, bytes.len(), words) else { return None };
        let node = u64::from(u32::from_ne_bytes(high)) << 32 | u64::from(u32::from_ne_bytes(low));
        Some(Self { node, generation: u32::from_ne_bytes(generation) })
    }

    /// That of an open file; an error if it is not on FUSE.
    pub fn of(file: BorrowedFd<'_>) -> io::Result<Self> {
        let mut handle = FileHandle { length: LENGTH as u32, kind: 0, bytes: [0; LENGTH] };
        let mut mount = 0;
        // SAFETY: the handle has the room it says.
        let result = unsafe {
            libc::name_to_handle_at(
                file.as_raw_fd(),
                c"".as_ptr(),
                (&raw mut handle).cast(),
                &raw mut mount,
                libc::AT_EMPTY_PATH,
            )
        };
        Errno::result(result)?;
        Self::decode(handle.kind, &handle.bytes).ok_or_else(|| io::Error::from_raw_os_error(libc::EXDEV))
    }

    /// The file, without opening it, on the mount that a file is on.
    pub fn open(self, mount: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        let words = [(self.node >> 32) as u32, self.node as u32, self.generation];
        let mut bytes = [0; LENGTH];
        for (to, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *to = word.to_ne_bytes();
        }
        let mut handle = FileHandle { length: LENGTH as u32, kind: KIND, bytes };
        let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        // SAFETY: the handle is live and as long as it says.
        let file = unsafe { libc::open_by_handle_at(mount.as_raw_fd(), (&raw mut handle).cast(), flags) };
        let file = Errno::result(file)?;
        // SAFETY: the descriptor was just made and belongs to nobody else.
        Ok(unsafe { OwnedFd::from_raw_fd(file) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_of_other_file_systems_are_none() {
        let bytes = [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0];
        let expected = Handle { node: (1 << 32) + 2, generation: 3 };
        assert_eq!(Handle::decode(KIND, &bytes), Some(expected));
        assert_eq!(Handle::decode(1, &bytes), None);
        assert_eq!(Handle::decode(KIND, &bytes[..8]), None);
        assert_eq!(Handle::decode(KIND, &[]), None);
    }
}
