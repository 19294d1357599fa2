//! From the guest to the tap.

use std::{fs::File, io};

use libc::iovec;
use virtio_queue::DescriptorChain;
use vm_memory::GuestMemoryMmap;

use super::{
    ETHERNET_LEN, HEADER_LEN, MAX_FRAME,
    device::Counters,
    pieces::{MAX_PIECES, piece, write_packet},
};
use crate::virtio::{ActiveQueue, GuestRam, Interrupt};

/// The guest's packets of one queue pair. Not `Send`: made on the thread that sends.
#[derive(Debug)]
pub(super) struct Transmitter {
    memory: GuestRam,
    queue: ActiveQueue,
    pieces: Vec<iovec>,
}

impl Transmitter {
    pub fn new(memory: GuestRam, queue: ActiveQueue) -> Self {
        Transmitter { memory, queue, pieces: Vec::new() }
    }

    /// Sends what the guest has ready, at most a queue full; the queue's event brings the worker back for more. True
    /// if the tap took it all; else what it did not take stays where it is.
    pub fn run(&mut self, tap: &File, interrupt: &Interrupt, counters: &Counters) -> bool {
        let mut writable = true;
        let Transmitter { memory, queue, pieces } = self;
        queue.drain_while(memory, interrupt, |chain| {
            if !gather(memory, chain, pieces) {
                counters.drop_transmitted();
                return Some(0);
            }
            // SAFETY: the pieces are of `memory`, which is mapped for as long as this transmitter has it.
            match unsafe { write_packet(tap, pieces) } {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    writable = false;
                    return None;
                }
                // A header or packet the kernel finds fault with, or an interface that is down.
                Err(_) => counters.drop_transmitted(),
                Ok(_) => {}
            }
            Some(0)
        });
        writable
    }
}

/// The packet in the readable part of `chain`. False if it cannot be one.
fn gather(
    memory: &GuestMemoryMmap,
    chain: DescriptorChain<&GuestMemoryMmap>,
    pieces: &mut Vec<iovec>,
) -> bool {
    pieces.clear();
    let mut length = 0;
    for (number, descriptor) in chain.enumerate() {
        if number == MAX_PIECES {
            return false;
        }
        if descriptor.is_write_only() {
            continue;
        }
        length += descriptor.len() as usize;
        if length > MAX_FRAME {
            return false;
        }
        let Some(piece) = piece(memory, &descriptor) else { return false };
        pieces.push(piece);
    }
    length >= HEADER_LEN + ETHERNET_LEN
}
