//! Returning several chains at once.

use std::sync::atomic::{Ordering, fence};

use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// Bytes before the elements of either ring: flags and index (virtio 1.2 §2.7.6, §2.7.8).
const ELEMENTS: u64 = 4;
/// Offset of the index.
const INDEX: u64 = 2;

/// The used ring, for packets that fill several chains: a driver that finds the first takes it for granted that the
/// others are there too (virtio 1.2 §5.1.6.4). `Queue::add_used` would show them one by one.
#[derive(Debug, Default)]
pub(super) struct UsedRing {
    /// The index when the driver was last interrupted, or found not to want it.
    announced: u16,
}

impl UsedRing {
    /// Returns chains, by head and bytes written, all at once. The ring was checked to lie in guest memory when it was
    /// set up; what cannot be written all the same is lost to a driver that moved it.
    pub fn publish(&self, queue: &mut Queue, memory: &GuestMemoryMmap, chains: &[(u16, u32)]) {
        let ring = queue.used_ring();
        let mut next = queue.next_used();
        for &(head, written) in chains {
            let element = u64::from(u32::from(head)) | u64::from(written) << 32;
            let at = ring + ELEMENTS + u64::from(next % queue.size()) * size_of::<u64>() as u64;
            let _ = memory.write_slice(&element.to_le_bytes(), GuestAddress(at));
            next = next.wrapping_add(1);
        }
        queue.set_next_used(next);
        let _ = memory.store(next.to_le(), GuestAddress(ring + INDEX), Ordering::Release);
    }

    /// Whether the driver wants an interrupt for what was returned since this was last asked (virtio 1.2 §2.7.10).
    pub fn wants_interrupt(&mut self, queue: &Queue, memory: &GuestMemoryMmap) -> bool {
        let next = queue.next_used();
        let since = next.wrapping_sub(self.announced);
        self.announced = next;
        if since == 0 || !queue.event_idx_enabled() {
            return since > 0;
        }
        // The driver writes its wish and then looks at the index; here it is the other way round.
        fence(Ordering::SeqCst);
        let at = queue.avail_ring() + ELEMENTS + u64::from(queue.size()) * size_of::<u16>() as u64;
        let Ok(wish) = memory.load::<u16>(GuestAddress(at), Ordering::Relaxed) else { return true };
        next.wrapping_sub(u16::from_le(wish)).wrapping_sub(1) < since
    }
}

#[cfg(test)]
impl From<u16> for UsedRing {
    /// Of a queue that has been used before, up to this index.
    fn from(announced: u16) -> Self {
        UsedRing { announced }
    }
}
