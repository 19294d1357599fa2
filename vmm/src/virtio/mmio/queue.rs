//! A queue as its registers describe it, until the device takes it over.

use virtio_queue::{Queue, QueueT};
use vm_memory::{GuestAddress, GuestMemory, GuestMemoryMmap};

/// Bytes of one descriptor (virtio 1.2 §2.7.5) and the alignment of their table (§2.7).
const DESCRIPTOR: u64 = 16;
/// Bytes of the available ring beside its elements: flags, idx, used_event (virtio 1.2 §2.7.6).
const AVAILABLE_FIXED: u64 = 6;
/// Bytes of an element of the available ring.
const AVAILABLE_ELEMENT: u64 = 2;
/// Bytes of the used ring beside its elements: flags, idx, avail_event (virtio 1.2 §2.7.8).
const USED_FIXED: u64 = 6;
/// Bytes of an element of the used ring.
const USED_ELEMENT: u64 = 8;

/// The registers of one queue (virtio 1.2 §4.2.2). They hold whatever the driver wrote, unchecked, until it sets
/// `QueueReady`.
#[derive(Debug, Clone)]
pub(super) struct QueueRegisters {
    pub max_size: u16,
    pub size: u32,
    pub ready: bool,
    pub descriptors: u64,
    pub available: u64,
    pub used: u64,
}

impl QueueRegisters {
    pub fn new(max_size: u16) -> Self {
        QueueRegisters {
            max_size,
            size: u32::from(max_size),
            ready: false,
            descriptors: 0,
            available: 0,
            used: 0,
        }
    }

    /// The queue these registers describe, if its size is a power of two the device allows and its three parts are
    /// aligned and lie in guest memory.
    pub fn check(&self, memory: &GuestMemoryMmap) -> Option<Queue> {
        let size = u16::try_from(self.size).ok()?;
        let elements = u64::from(size);
        let parts = [
            (self.descriptors, DESCRIPTOR * elements),
            (self.available, AVAILABLE_FIXED + AVAILABLE_ELEMENT * elements),
            (self.used, USED_FIXED + USED_ELEMENT * elements),
        ];
        if !parts.iter().all(|&(start, length)| lies_in(memory, start, length)) {
            return None;
        }
        let mut queue = Queue::new(self.max_size).ok()?;
        queue.try_set_size(size).ok()?;
        queue.try_set_desc_table_address(GuestAddress(self.descriptors)).ok()?;
        queue.try_set_avail_ring_address(GuestAddress(self.available)).ok()?;
        queue.try_set_used_ring_address(GuestAddress(self.used)).ok()?;
        queue.set_ready(true);
        Some(queue)
    }
}

fn lies_in(memory: &GuestMemoryMmap, start: u64, length: u64) -> bool {
    start.checked_add(length).is_some() && memory.check_range(GuestAddress(start), length as usize)
}
