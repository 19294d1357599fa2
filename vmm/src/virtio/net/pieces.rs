//! Guest memory, as system calls take it.

use std::{fs::File, io, os::fd::AsRawFd};

use libc::iovec;
use virtio_queue::desc::split::Descriptor;
use vm_memory::{GuestMemory, GuestMemoryMmap};

/// The most pieces of one system call (`UIO_MAXIOV` of Linux).
pub(super) const MAX_PIECES: usize = 1024;

/// The piece of guest memory a descriptor names; `None` if it is not all in guest memory.
pub(super) fn piece(memory: &GuestMemoryMmap, descriptor: &Descriptor) -> Option<iovec> {
    let slice = memory.get_slice(descriptor.addr(), descriptor.len() as usize).ok()?;
    Some(iovec { iov_base: slice.ptr_guard_mut().as_ptr().cast(), iov_len: slice.len() })
}

/// Writes a packet to a tap, straight from guest memory. Fails with `WouldBlock` when the tap is full.
///
/// # Safety
///
/// The memory of which `pieces` are must be mapped.
pub(super) unsafe fn write_packet(tap: &File, pieces: &[iovec]) -> io::Result<usize> {
    // SAFETY: the kernel reads the pieces, which the caller says are there. Guest memory has no Rust references into
    // it: that the guest may change it meanwhile is the kernel's to bear.
    checked(unsafe { libc::writev(tap.as_raw_fd(), pieces.as_ptr(), pieces.len() as i32) })
}

/// Reads a packet from a tap, straight to guest memory. Fails with `WouldBlock` when there is none.
///
/// # Safety
///
/// The memory of which `pieces` are must be mapped, and nothing else may have a reference to it.
pub(super) unsafe fn read_packet(tap: &File, pieces: &[iovec]) -> io::Result<usize> {
    // SAFETY: the kernel writes to the pieces, which the caller says are there and nobody's.
    checked(unsafe { libc::readv(tap.as_raw_fd(), pieces.as_ptr(), pieces.len() as i32) })
}

fn checked(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
