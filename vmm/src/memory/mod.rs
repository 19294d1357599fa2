//! The guest's memory.

pub mod layout;
mod page;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc};

use vm_memory::{GuestAddress, GuestMemoryMmap, GuestRegionMmap, MmapRegion, mmap::MmapRegionError};

use crate::virtio::GuestRam;

pub use page::{PAGE, ReadOnlyPage};

/// What the sizes of guest RAM are rounded up to: the size of a huge page.
const HUGE_PAGE: u64 = 2 << 20;
/// The least memory in which a kernel can be put.
pub const SMALLEST: u64 = 16 << 20;
/// The most memory, so that guest physical addresses fit what every CPU with virtualization has.
pub const LARGEST: u64 = 1 << 38;

/// Why there is no guest RAM.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// Less than a kernel needs, or more than addresses reach.
    #[error("Guest memory of {} MiB is outside the limits of {} MiB and {} MiB", .0 >> 20, SMALLEST >> 20, LARGEST >> 20)]
    Size(u64),
    /// The host refuses the address space.
    #[error("Cannot map {} MiB of guest memory", .size >> 20)]
    Map {
        /// Bytes.
        size: u64,
        /// Why.
        source: MmapRegionError,
    },
    /// Regions that overlap: impossible with the layout as it is.
    #[error("Guest memory of {} MiB has no layout", .0 >> 20)]
    Layout(u64),
}

/// Maps `bytes` of guest RAM, rounded up to huge pages: private, anonymous, not reserved, so that the host gives
/// memory when the guest first touches it.
pub fn allocate(bytes: u64) -> Result<GuestRam, MemoryError> {
    if !(SMALLEST..=LARGEST).contains(&bytes) {
        return Err(MemoryError::Size(bytes));
    }
    let bytes = bytes.next_multiple_of(HUGE_PAGE);
    let regions = layout::ram(bytes).map(|(start, size)| {
        let mapping = map(size).map_err(|source| MemoryError::Map { size, source })?;
        GuestRegionMmap::new(mapping, GuestAddress(start)).ok_or(MemoryError::Layout(bytes))
    });
    let regions = regions.collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(GuestMemoryMmap::from_regions(regions).map_err(|_| MemoryError::Layout(bytes))?))
}

/// Maps `size` bytes, at the start of a huge page where the kernel allows that: KVM maps huge pages to the guest only
/// if guest and host address agree below their size.
fn map(size: u64) -> Result<MmapRegion, MmapRegionError> {
    let plain = MmapRegion::new(size as usize)?;
    let beyond = plain.as_ptr() as u64 % HUGE_PAGE;
    if beyond == 0 {
        return Ok(advise_huge_pages(plain));
    }
    // Kernels before 6.7 do not align. They place mappings from the top down: with the surplus taken, the next one
    // ends up aligned. If not, the guest is merely slower.
    drop(plain);
    let _surplus = MmapRegion::<()>::new(beyond as usize)?;
    MmapRegion::new(size as usize).map(advise_huge_pages)
}

fn advise_huge_pages(mapping: MmapRegion) -> MmapRegion {
    // SAFETY: the range is exactly the mapping, and the advice changes no content.
    let result = unsafe { libc::madvise(mapping.as_ptr().cast(), mapping.size(), libc::MADV_HUGEPAGE) };
    if result != 0 && io::Error::last_os_error().raw_os_error() != Some(libc::EINVAL) {
        // EINVAL is a kernel without huge pages. Anything else is as harmless, but unexpected.
        eprintln!("stage1: No huge pages for guest memory: {}", io::Error::last_os_error());
    }
    mapping
}
