//! Giving pages back to the host.

use vm_memory::{Address, GuestMemory, GuestMemoryMmap, GuestMemoryRegion, MemoryRegionAddress};

use super::PAGE;

/// Pages to be discarded, gathered while they follow each other.
#[derive(Debug, Default)]
pub(super) struct Pages {
    first: u64,
    count: u64,
}

impl Pages {
    /// One page more. What was gathered is discarded if `number` does not follow it, in either direction.
    pub fn add(&mut self, memory: &GuestMemoryMmap, number: u64) {
        if self.count > 0 && number + 1 == self.first {
            self.first = number;
        } else if self.count == 0 || number != self.first + self.count {
            self.discard(memory);
            self.first = number;
        }
        self.count += 1;
    }

    /// Discards what was gathered.
    pub fn discard(&mut self, memory: &GuestMemoryMmap) {
        discard(memory, self.first * PAGE, self.count * PAGE);
        self.count = 0;
    }
}

/// Gives the whole pages of a range of guest memory back to the host; they read as zeroes from then on. What lies
/// outside guest memory is left alone.
pub(super) fn discard(memory: &GuestMemoryMmap, start: u64, length: u64) {
    for region in memory.iter() {
        let region_start = region.start_addr().raw_value();
        let Some(from) = start.max(region_start).checked_next_multiple_of(PAGE) else { return };
        let to = start.saturating_add(length).min(region_start + region.len()) / PAGE * PAGE;
        if from >= to {
            continue;
        }
        let Ok(slice) = region.get_slice(MemoryRegionAddress(from - region_start), (to - from) as usize)
        else {
            continue;
        };
        let pointer = slice.ptr_guard_mut().as_ptr();
        // SAFETY: the slice lies in the region, whose mapping is anonymous and private and lives as long as `memory`.
        // Guest memory has no Rust references into it: all accesses are volatile copies.
        let result = unsafe { libc::madvise(pointer.cast(), slice.len(), libc::MADV_DONTNEED) };
        if result != 0 {
            eprintln!("stage1: Cannot return guest memory: {}", std::io::Error::last_os_error());
        }
    }
}

/// For tests: whether the page at `address` takes host memory.
#[cfg(test)]
pub(super) fn is_resident(memory: &GuestMemoryMmap, address: vm_memory::GuestAddress) -> bool {
    let pointer = memory.get_host_address(address).unwrap();
    let mut resident = 0u8;
    // SAFETY: the page is mapped, and there is a byte for the answer.
    let result = unsafe { libc::mincore(pointer.cast(), PAGE as usize, &mut resident) };
    assert_eq!(result, 0);
    resident & 1 != 0
}
