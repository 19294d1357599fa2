//! What the guest may use as memory.

use vm_memory::{Address, GuestMemory, GuestMemoryMmap, GuestMemoryRegion};

use crate::memory::layout;

/// E820 type of RAM, in PVH's memory map too.
pub const RAM: u32 = 1;
/// E820 type of what is not to be touched.
pub const RESERVED: u32 = 2;

/// One line of the memory map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub start: u64,
    pub size: u64,
    pub kind: u32,
}

/// The memory map: RAM, without the hole a PC has below 1 MiB; there, the MP table is reserved.
pub fn ranges(memory: &GuestMemoryMmap) -> Vec<Range> {
    let mut ranges = vec![
        Range { start: 0, size: layout::LOW_RAM_END, kind: RAM },
        Range { start: layout::MP_TABLE, size: layout::KERNEL - layout::MP_TABLE, kind: RESERVED },
    ];
    for region in memory.iter() {
        let start = region.start_addr().raw_value().max(layout::KERNEL);
        let end = region.start_addr().raw_value() + region.len();
        ranges.push(Range { start, size: end - start, kind: RAM });
    }
    ranges
}
