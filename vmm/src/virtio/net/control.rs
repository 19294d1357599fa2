//! The control queue (virtio 1.2 §5.1.6.5): how many queue pairs the driver uses.

use std::sync::Arc;

use event_manager::{EventOps, Events, MutEventSubscriber};
use virtio_bindings::virtio_net::{
    VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, VIRTIO_NET_ERR, VIRTIO_NET_OK,
};
use virtio_queue::DescriptorChain;
use vm_memory::{Bytes, GuestMemoryMmap};

use super::pairs::Pairs;
use crate::virtio::{ActiveQueue, GuestRam, Interrupt};

/// Bytes of the command that sets the number of pairs: class, command, number.
const COMMAND_LEN: usize = 4;
/// The most descriptors of a command.
const MAX_DESCRIPTORS: usize = 16;

/// The control queue, on the event loop, with what it controls.
#[derive(Debug)]
pub(super) struct Control {
    pub queue: ActiveQueue,
    pub memory: GuestRam,
    pub interrupt: Arc<Interrupt>,
    pub pairs: Pairs,
}

impl MutEventSubscriber for Control {
    fn init(&mut self, ops: &mut EventOps) {
        self.queue.watch(ops);
    }

    fn process(&mut self, _events: Events, _ops: &mut EventOps) {
        let Control { queue, memory, interrupt, pairs } = self;
        queue.drain(memory, interrupt, |chain| {
            let done = obey(pairs, &command(memory, chain.clone()));
            let answer = if done { VIRTIO_NET_OK } else { VIRTIO_NET_ERR } as u8;
            let place = chain.take(MAX_DESCRIPTORS).find(|part| part.is_write_only() && part.len() > 0);
            let written = place.map(|part| memory.write_obj(answer, part.addr()));
            u32::from(matches!(written, Some(Ok(()))))
        });
    }
}

/// The beginning of the chain's readable part: as much as any known command has.
fn command(memory: &GuestMemoryMmap, chain: DescriptorChain<&GuestMemoryMmap>) -> Vec<u8> {
    let mut command = Vec::with_capacity(COMMAND_LEN);
    for descriptor in chain.take(MAX_DESCRIPTORS).filter(|part| !part.is_write_only()) {
        let mut part = [0; COMMAND_LEN];
        let part = &mut part[..(COMMAND_LEN - command.len()).min(descriptor.len() as usize)];
        if memory.read_slice(part, descriptor.addr()).is_err() {
            break;
        }
        command.extend_from_slice(part);
    }
    command
}

/// Does what a command says. False if it is unknown, or cannot be done.
fn obey(pairs: &mut Pairs, command: &[u8]) -> bool {
    const CLASS: u8 = VIRTIO_NET_CTRL_MQ as u8;
    const SET_PAIRS: u8 = VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET as u8;
    match *command {
        [CLASS, SET_PAIRS, low, high] => pairs.set_used(usize::from(u16::from_le_bytes([low, high]))),
        _ => false,
    }
}
