//! What the guest gives and takes back.

use std::{os::fd::AsRawFd, sync::Arc};

use event_manager::{EventOps, Events, MutEventSubscriber};
use virtio_queue::DescriptorChain;
use vm_memory::{Bytes, GuestMemoryMmap};

use super::{
    INFLATE, REPORT,
    memory::{Pages, discard},
};
use crate::virtio::{ActiveQueue, GuestRam, Interrupt};

/// Page numbers read at a time; Linux sends up to 256.
const BATCH: usize = 256;
/// The most page numbers one request may have: 64 MiB worth.
const REQUEST_LIMIT: usize = 16384;

/// The most ranges one report may have; Linux sends up to 32.
const RANGES_LIMIT: usize = 256;

#[derive(Debug)]
pub(super) struct Queues {
    pub queues: [ActiveQueue; 3],
    pub memory: GuestRam,
    pub interrupt: Arc<Interrupt>,
}

impl MutEventSubscriber for Queues {
    fn init(&mut self, ops: &mut EventOps) {
        self.queues.iter().for_each(|queue| queue.watch(ops));
    }

    fn process(&mut self, events: Events, _ops: &mut EventOps) {
        let Some(index) = self.queues.iter().position(|queue| queue.kick.as_raw_fd() == events.fd()) else {
            return;
        };
        let memory = &self.memory;
        let serve = |chain: DescriptorChain<&GuestMemoryMmap>| {
            match index {
                INFLATE => inflate(memory, chain),
                REPORT => report(memory, chain),
                // Deflate: nothing to do, a page that is touched is there again.
                _ => {}
            }
            0
        };
        self.queues[index].drain(memory, &self.interrupt, serve);
    }
}

/// Discards the pages whose numbers the chain holds (virtio 1.2 §5.5.6.1).
fn inflate(memory: &GuestMemoryMmap, chain: DescriptorChain<&GuestMemoryMmap>) {
    let mut left = REQUEST_LIMIT;
    let mut pages = Pages::default();
    for descriptor in chain.readable() {
        let mut address = descriptor.addr();
        let mut count = (descriptor.len() as usize / size_of::<u32>()).min(left);
        left -= count;
        while count > 0 {
            let mut batch = [0; BATCH * size_of::<u32>()];
            let bytes = &mut batch[..count.min(BATCH) * size_of::<u32>()];
            if memory.read_slice(bytes, address).is_err() {
                break;
            }
            for number in bytes.as_chunks().0 {
                pages.add(memory, u64::from(u32::from_le_bytes(*number)));
            }
            count -= bytes.len() / size_of::<u32>();
            // Cannot leave the address space: the bytes before it were read.
            address.0 = address.0.wrapping_add(bytes.len() as u64);
        }
    }
    pages.discard(memory);
}

/// Discards the ranges that are the chain's buffers (virtio 1.2 §5.5.6.5). The guest takes the chain's return as the
/// promise that nothing touches them any more.
fn report(memory: &GuestMemoryMmap, chain: DescriptorChain<&GuestMemoryMmap>) {
    for descriptor in chain.writable().take(RANGES_LIMIT) {
        discard(memory, descriptor.addr().0, u64::from(descriptor.len()));
    }
}
