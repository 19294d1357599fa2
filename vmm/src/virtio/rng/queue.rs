//! Requests for entropy.

use std::sync::Arc;

use event_manager::{EventOps, Events, MutEventSubscriber};
use rustix::rand::{GetRandomFlags, getrandom};
use virtio_queue::DescriptorChain;
use vm_memory::{Address, Bytes, GuestMemoryMmap};

use super::REQUEST_LIMIT;
use crate::virtio::{ActiveQueue, GuestRam, Interrupt};

/// Bytes taken from the kernel's generator at a time; it does not fail or stop half way for up to 256.
const PIECE: usize = 256;

#[derive(Debug)]
pub(super) struct RequestQueue {
    pub queue: ActiveQueue,
    pub memory: GuestRam,
    pub interrupt: Arc<Interrupt>,
}

impl MutEventSubscriber for RequestQueue {
    fn init(&mut self, ops: &mut EventOps) {
        self.queue.watch(ops);
    }

    fn process(&mut self, _events: Events, _ops: &mut EventOps) {
        let memory = &self.memory;
        self.queue.drain(memory, &self.interrupt, |chain| fill(memory, chain));
    }
}

/// Fills the writable part of `chain`, up to the limit and up to the first piece outside guest memory. The number of
/// bytes written.
fn fill(memory: &GuestMemoryMmap, chain: DescriptorChain<&GuestMemoryMmap>) -> u32 {
    let mut written = 0;
    for descriptor in chain.writable() {
        let wanted = (descriptor.len() as usize).min(REQUEST_LIMIT - written);
        let mut done = 0;
        while done < wanted {
            let Some(address) = descriptor.addr().checked_add(done as u64) else { return written as u32 };
            let mut piece = [0; PIECE];
            let Ok(length) = getrandom(&mut piece[..PIECE.min(wanted - done)], GetRandomFlags::empty())
            else {
                return written as u32;
            };
            if memory.write_slice(&piece[..length], address).is_err() {
                return written as u32;
            }
            done += length;
            written += length;
        }
    }
    written as u32
}
