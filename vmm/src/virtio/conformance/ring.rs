//! A queue from the driver's side.

use std::sync::atomic::Ordering;

use virtio_bindings::virtio_ring::{VRING_DESC_F_NEXT, VRING_DESC_F_WRITE};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// One buffer of a chain: a piece of guest memory.
#[derive(Debug, Clone, Copy)]
pub struct Buffer {
    /// Guest physical address.
    pub address: u64,
    /// Bytes.
    pub length: u32,
    /// The device writes it; otherwise it reads it.
    pub writable: bool,
}

impl Buffer {
    /// A buffer the device reads.
    pub fn readable(address: u64, length: u32) -> Self {
        Buffer { address, length, writable: false }
    }

    /// A buffer the device writes.
    pub fn writable(address: u64, length: u32) -> Self {
        Buffer { address, length, writable: true }
    }
}

/// A split virtqueue in guest memory (virtio 1.2 §2.7). The driver writes, raw where a test wants nonsense.
#[derive(Debug, Clone)]
pub struct Ring {
    /// Elements.
    pub size: u16,
    /// Address of the descriptor table.
    pub descriptors: u64,
    /// Address of the available ring.
    pub available: u64,
    /// Address of the used ring.
    pub used: u64,
    next_descriptor: u16,
    next_available: u16,
    next_used: u16,
}

impl Ring {
    /// Bytes that hold any ring of `size` elements, page aligned.
    pub fn footprint(size: u16) -> u64 {
        (u64::from(size) * 26 + 3 * 4096) & !4095
    }

    /// An empty ring at `address`.
    pub fn new(memory: &GuestMemoryMmap, address: u64, size: u16) -> Self {
        memory.write_slice(&vec![0; Self::footprint(size) as usize], GuestAddress(address)).unwrap();
        let elements = u64::from(size);
        let available = address + elements * 16;
        let used = (available + 6 + elements * 2 + 3) & !3;
        Ring {
            size,
            descriptors: address,
            available,
            used,
            next_descriptor: 0,
            next_available: 0,
            next_used: 0,
        }
    }

    /// Writes one descriptor, whatever it says.
    pub fn describe(
        &self,
        memory: &GuestMemoryMmap,
        index: u16,
        address: u64,
        length: u32,
        flags: u16,
        next: u16,
    ) {
        write_descriptor(memory, self.descriptors, index, (address, length, flags, next));
    }

    /// Makes the chain that begins at `head` available, without notifying.
    pub fn offer(&mut self, memory: &GuestMemoryMmap, head: u16) {
        let slot = self.available + 4 + u64::from(self.next_available % self.size) * 2;
        memory.write_obj(head, GuestAddress(slot)).unwrap();
        self.next_available = self.next_available.wrapping_add(1);
        self.publish(memory, self.next_available);
    }

    /// Writes the available index, whatever it says.
    pub fn publish(&self, memory: &GuestMemoryMmap, index: u16) {
        memory.store(index, GuestAddress(self.available + 2), Ordering::SeqCst).unwrap();
    }

    /// Describes a chain of `buffers` and makes it available. Its head.
    pub fn add(&mut self, memory: &GuestMemoryMmap, buffers: &[Buffer]) -> u16 {
        let head = self.next_descriptor;
        for (number, buffer) in buffers.iter().enumerate() {
            let index = self.next_descriptor;
            self.next_descriptor = (index + 1) % self.size;
            let mut flags = if buffer.writable { VRING_DESC_F_WRITE } else { 0 };
            if number + 1 < buffers.len() {
                flags |= VRING_DESC_F_NEXT;
            }
            self.describe(memory, index, buffer.address, buffer.length, flags as u16, self.next_descriptor);
        }
        self.offer(memory, head);
        head
    }

    /// The next used element, head and bytes written, if there is one.
    pub fn take_used(&mut self, memory: &GuestMemoryMmap) -> Option<(u32, u32)> {
        if self.used_index(memory) == self.next_used {
            return None;
        }
        let slot = self.used + 4 + u64::from(self.next_used % self.size) * 8;
        self.next_used = self.next_used.wrapping_add(1);
        Some((memory.read_obj(GuestAddress(slot)).unwrap(), memory.read_obj(GuestAddress(slot + 4)).unwrap()))
    }

    /// The used index the device published.
    pub fn used_index(&self, memory: &GuestMemoryMmap) -> u16 {
        memory.load(GuestAddress(self.used + 2), Ordering::SeqCst).unwrap()
    }
}

/// Writes a descriptor (address, length, flags, next) into any table.
pub fn write_descriptor(memory: &GuestMemoryMmap, table: u64, index: u16, descriptor: (u64, u32, u16, u16)) {
    let at = table + u64::from(index) * 16;
    memory.write_obj(descriptor.0, GuestAddress(at)).unwrap();
    memory.write_obj(descriptor.1, GuestAddress(at + 8)).unwrap();
    memory.write_obj(descriptor.2, GuestAddress(at + 12)).unwrap();
    memory.write_obj(descriptor.3, GuestAddress(at + 14)).unwrap();
}
