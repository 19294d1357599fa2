//! Physical memory, all of it mapped to itself: what devices are given, and where they are.
//!
//! ```text
//! 0x020_0000  this kernel
//! 0x040_0000  rings, 32 KiB for each queue of each device
//! 0x070_0000  tables of indirect descriptors
//! 0x080_0000  requests
//! 0x090_0000  answers
//! 0x0b0_0000  pages to give away
//! 0x0c0_0000  nothing: a machine has 64 MiB at least, and its initramfs is at the end
//! ```

use core::ptr;

/// Rings of queues.
pub const RINGS: u64 = 0x40_0000;
/// Tables of indirect descriptors.
pub const TABLES: u64 = 0x70_0000;
/// What devices are asked.
pub const REQUESTS: u64 = 0x80_0000;
/// What they answer.
pub const ANSWERS: u64 = 0x90_0000;
/// Room for an answer.
pub const ANSWER_ROOM: u32 = 0x20_0000;
/// Pages nobody needs.
pub const PAGES: u64 = 0xb0_0000;
/// Where they end.
pub const PAGES_END: u64 = 0xc0_0000;

/// Writes bytes where a device may read them.
pub fn write(address: u64, bytes: &[u8]) {
    for (at, &byte) in (address..).zip(bytes) {
        // SAFETY: memory that is a device's to read and write, and to which this kernel has no references.
        unsafe { ptr::write_volatile(at as *mut u8, byte) };
    }
}

/// Reads bytes that a device may have written.
pub fn read<const N: usize>(address: u64) -> [u8; N] {
    let mut bytes = [0; N];
    for (at, byte) in (address..).zip(&mut bytes) {
        // SAFETY: as above.
        *byte = unsafe { ptr::read_volatile(at as *const u8) };
    }
    bytes
}

/// Fills memory with a byte.
pub fn fill(address: u64, length: u64, byte: u8) {
    // SAFETY: as above; the devices are at rest.
    unsafe { ptr::write_bytes(address as *mut u8, byte, length as usize) };
}

/// Writes a number of 16 bits that a device looks at from another processor.
pub fn publish(address: u64, value: u16) {
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
    // SAFETY: as above; ring indices are aligned.
    unsafe { ptr::write_volatile(address as *mut u16, value) };
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

/// Reads a number of 16 bits that a device changes.
pub fn observe(address: u64) -> u16 {
    // SAFETY: as above.
    let value = unsafe { ptr::read_volatile(address as *const u16) };
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
    value
}

/// Reads a register of a device.
pub fn read_register(address: u64) -> u32 {
    // SAFETY: a device's window: its reads have no effects on memory.
    unsafe { ptr::read_volatile(address as *const u32) }
}

/// Writes a register of a device.
pub fn write_register(address: u64, value: u32) {
    // SAFETY: what the device then does to memory is what this kernel is for.
    unsafe { ptr::write_volatile(address as *mut u32, value) };
}

/// Whether memory holds `needle` within `length` bytes.
pub fn holds(address: u64, length: u64, needle: &[u8]) -> bool {
    // SAFETY: mapped memory; the device has returned it.
    let bytes = unsafe { core::slice::from_raw_parts(address as *const u8, length as usize) };
    bytes.windows(needle.len()).any(|window| window == needle)
}
