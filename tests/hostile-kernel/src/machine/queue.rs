//! A queue, driven by hand (virtio 1.2 §2.7).

use hostile_kernel::{
    descriptor::{self, Descriptor},
    outcome::Outcome,
};

use super::{Device, PATIENCE, ram, register, within};

/// Where the rings are behind the table of descriptors: enough for 1024 of them.
const AVAILABLE: u64 = 0x4000;
const USED: u64 = 0x5000;

/// A queue.
#[derive(Debug)]
pub struct Queue {
    device: Device,
    index: u16,
    size: u16,
    base: u64,
    offered: u16,
    seen: u16,
}

/// What a device returned.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Head of the chain.
    pub head: u32,
    /// Bytes written, as the device says.
    pub length: u32,
}

impl Queue {
    /// A queue whose memory is at `base`.
    pub fn new(device: Device, index: u16, size: u16, base: u64) -> Self {
        Queue { device, index, size, base, offered: 0, seen: 0 }
    }

    /// Its size.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// How many chains more the device can be offered.
    pub fn room(&self) -> u16 {
        self.size - self.offered.wrapping_sub(self.seen)
    }

    /// Address of the table of descriptors.
    pub fn descriptors(&self) -> u64 {
        self.base
    }

    /// Address of the available ring.
    pub fn available(&self) -> u64 {
        self.base + AVAILABLE
    }

    /// Address of the used ring.
    pub fn used(&self) -> u64 {
        self.base + USED
    }

    /// Writes a descriptor.
    pub fn put(&self, index: u16, descriptor: Descriptor) {
        ram::write(self.base + descriptor::SIZE * u64::from(index), &descriptor.bytes());
    }

    /// Makes a chain available.
    pub fn offer(&mut self, head: u16) {
        let slot = u64::from(self.offered % self.size);
        ram::publish(self.available() + 4 + 2 * slot, head);
        self.offered = self.offered.wrapping_add(1);
        ram::publish(self.available() + 2, self.offered);
    }

    /// Says that `count` more chains are available than were offered.
    pub fn overstate(&mut self, count: u16) {
        ram::publish(self.available() + 2, self.offered.wrapping_add(count));
    }

    /// Notifies the device.
    pub fn notify(&self) {
        self.device.write(register::QUEUE_NOTIFY, u32::from(self.index));
    }

    /// What the device has returned since this was asked last.
    pub fn poll(&mut self) -> Option<Used> {
        if ram::observe(self.used() + 2) == self.seen {
            return None;
        }
        let element = self.used() + 4 + 8 * u64::from(self.seen % self.size);
        self.seen = self.seen.wrapping_add(1);
        let head = u32::from_le_bytes(ram::read(element));
        Some(Used { head, length: u32::from_le_bytes(ram::read(element + 4)) })
    }

    /// Waits for the next chain the device returns.
    pub fn wait(&mut self) -> Option<Used> {
        within(PATIENCE, || self.poll())
    }

    /// Offers chain 0, made of `chain` in order, and waits until it is returned.
    pub fn exchange(&mut self, chain: &[Descriptor]) -> Option<Used> {
        let last = chain.len() - 1;
        for (index, descriptor) in chain.iter().enumerate() {
            let linked = if index < last { descriptor.then(index as u16 + 1) } else { *descriptor };
            self.put(index as u16, linked);
        }
        self.offer(0);
        self.notify();
        self.wait()
    }

    /// The same, as an outcome.
    pub fn attack(&mut self, chain: &[Descriptor]) -> Outcome {
        self.exchange(chain).map_or(Outcome::Silence, |used| Outcome::Used(used.length))
    }
}
