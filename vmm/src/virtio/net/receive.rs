//! From the tap to the guest.

use std::{collections::VecDeque, fs::File, io, ptr};

use libc::iovec;
use virtio_queue::{DescriptorChain, QueueOwnedT, QueueT};
use vm_memory::{Address, Bytes, GuestAddress, GuestMemoryMmap};

use super::{
    HEADER_LEN, NUM_BUFFERS,
    device::Counters,
    pieces::{MAX_PIECES, piece, read_packet},
    used::UsedRing,
};
use crate::virtio::{ActiveQueue, GuestRam, Interrupt};

/// Packets read before the guest is told, and before the worker looks for other work.
const BATCH: usize = 256;
/// The most descriptors of one chain. Linux makes 19 at most.
const CHAIN_PIECES: usize = 128;

/// How a round of receiving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// The tap has no more.
    All,
    /// The guest has no room: to be tried again when it says so.
    NoRoom,
    /// There may be more.
    Batch,
}

/// Room for a packet, or a part of one: a chain the guest made available.
#[derive(Debug)]
struct Room {
    head: u16,
    pieces: usize,
    length: usize,
    /// Where the two bytes of `num_buffers` go, if a packet begins here.
    num_buffers: [GuestAddress; 2],
}

/// The guest's room for packets of one queue pair. Not `Send`: made on the thread that receives.
///
/// Chains are looked up once, and kept here until a packet fills them. A packet's length is not known before it is
/// read, so the guest must have room for the longest before the tap is asked.
#[derive(Debug)]
pub(super) struct Receiver {
    memory: GuestRam,
    queue: ActiveQueue,
    used: UsedRing,
    /// A packet may fill several chains (VIRTIO_NET_F_MRG_RXBUF).
    mergeable: bool,
    longest: usize,
    rooms: VecDeque<Room>,
    /// The pieces of all rooms, in order, after those that have been filled.
    pieces: Vec<iovec>,
    filled: usize,
    /// Bytes of all rooms.
    capacity: usize,
    /// Chains of one packet: head and bytes written.
    returned: Vec<(u16, u32)>,
    /// How many chains of this run were of no use.
    useless: usize,
    /// Takes the first byte of a packet that does not fit.
    excess: Box<u8>,
}

impl Receiver {
    /// `longest` is that of a packet, in bytes, header included.
    pub fn new(memory: GuestRam, queue: ActiveQueue, mergeable: bool, longest: usize) -> Self {
        Receiver {
            memory,
            queue,
            used: UsedRing::default(),
            mergeable,
            longest,
            rooms: VecDeque::new(),
            pieces: Vec::new(),
            filled: 0,
            capacity: 0,
            returned: Vec::new(),
            useless: 0,
            excess: Box::default(),
        }
    }

    /// Hands packets to the guest, and tells it.
    pub fn run(&mut self, tap: &File, interrupt: &Interrupt, counters: &Counters) -> Received {
        self.useless = 0;
        let mut ended = Received::Batch;
        for _ in 0..BATCH {
            if !self.find_room() {
                // A driver may make useless chains faster than they are returned: not for ever here.
                ended = if self.useless < self.size() { Received::NoRoom } else { Received::Batch };
                break;
            }
            match self.read(tap) {
                Ok(length) if length > self.usable_capacity() => counters.drop_received(),
                Ok(length) => self.deliver(length),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Nothing there, or an interface that is down. It becomes readable when that changes.
                Err(_) => {
                    ended = Received::All;
                    break;
                }
            }
        }
        if self.used.wants_interrupt(&self.queue.queue, &self.memory) {
            interrupt.signal_used();
        }
        ended
    }

    /// Takes chains of the driver until there is room for any packet. False if there is none, and the driver will
    /// notify of more.
    fn find_room(&mut self) -> bool {
        let size = self.size();
        loop {
            while !self.has_enough() && self.rooms.len() < size && self.take_chain() {}
            if self.has_enough() {
                return true;
            }
            // True when the driver added a chain before notifications were on: it will not notify for that one.
            let more = self.queue.queue.enable_notification(&*self.memory).unwrap_or(false);
            if self.rooms.len() == size || self.useless >= size || !more || !self.makes_sense() {
                break;
            }
        }
        // Drivers fill the queue again when half of it is used, or sooner. One with less room than that makes no more,
        // and takes the risk that a long packet does not fit.
        self.mergeable && self.rooms.len() >= size.div_ceil(4)
    }

    fn has_enough(&self) -> bool {
        let pieces = self.pieces.len() - self.filled;
        match self.mergeable {
            true => self.capacity >= self.longest || pieces + CHAIN_PIECES >= MAX_PIECES,
            false => !self.rooms.is_empty(),
        }
    }

    /// False if there is no chain to take, for now.
    fn take_chain(&mut self) -> bool {
        if self.useless >= self.size() {
            return false;
        }
        let memory = self.memory.clone();
        let chain = self.queue.queue.iter(&*memory).ok().and_then(|mut chains| chains.next());
        let Some(chain) = chain else { return false };
        let head = chain.head_index();
        match self.look_up(&memory, chain) {
            Some(room) => self.rooms.push_back(room),
            // Of no use. A head outside the queue is nobody's.
            None => {
                self.useless += 1;
                if usize::from(head) < self.size() {
                    self.used.publish(&mut self.queue.queue, &memory, &[(head, 0)]);
                }
            }
        }
        true
    }

    fn look_up(
        &mut self,
        memory: &GuestMemoryMmap,
        chain: DescriptorChain<&GuestMemoryMmap>,
    ) -> Option<Room> {
        if self.filled >= CHAIN_PIECES {
            self.pieces.drain(..self.filled);
            self.filled = 0;
        }
        let before = self.pieces.len();
        let head = chain.head_index();
        let mut room = Room { head, pieces: 0, length: 0, num_buffers: [GuestAddress(0); 2] };
        let mut usable = head < self.queue.queue.size();
        for (number, descriptor) in chain.enumerate() {
            let found = if number < CHAIN_PIECES { piece(memory, &descriptor) } else { None };
            let Some(piece) = found else {
                usable = false;
                break;
            };
            if !descriptor.is_write_only() {
                continue;
            }
            for (offset, address) in (NUM_BUFFERS..).zip(&mut room.num_buffers) {
                if let Some(inside) = offset.checked_sub(room.length)
                    && inside < piece.iov_len
                {
                    // Inside guest memory, as the whole piece is.
                    *address = descriptor.addr().unchecked_add(inside as u64);
                }
            }
            room.length += piece.iov_len;
            room.pieces += 1;
            self.pieces.push(piece);
        }
        if !usable || room.length < HEADER_LEN {
            self.pieces.truncate(before);
            return None;
        }
        self.capacity += room.length;
        Some(room)
    }

    /// Bytes of a packet that fit.
    fn usable_capacity(&self) -> usize {
        match (self.mergeable, self.rooms.front()) {
            (true, _) => self.capacity,
            (false, first) => first.map_or(0, |room| room.length),
        }
    }

    fn read(&mut self, tap: &File) -> io::Result<usize> {
        let count = match self.mergeable {
            true => self.pieces.len() - self.filled,
            false => self.rooms.front().map_or(0, |room| room.pieces),
        };
        let end = self.filled + count;
        // The kernel cuts what does not fit, and does not say so.
        let excess = iovec { iov_base: ptr::from_mut(&mut *self.excess).cast(), iov_len: 1 };
        let hidden = self.pieces.get_mut(end).map(|piece| std::mem::replace(piece, excess));
        if hidden.is_none() {
            self.pieces.push(excess);
        }
        // SAFETY: all pieces but the last are of `memory`, which is mapped for as long as this receiver has it, and
        // into which there are no references; the last is the byte this receiver has for it.
        let result = unsafe { read_packet(tap, &self.pieces[self.filled..=end]) };
        match hidden {
            Some(piece) => self.pieces[end] = piece,
            None => self.pieces.truncate(end),
        }
        result
    }

    /// Returns the chains that hold a packet of `length` bytes, which fits.
    fn deliver(&mut self, length: usize) {
        let first = self.rooms.front().map(|room| room.num_buffers);
        let mut left = length;
        while left > 0
            && let Some(room) = self.rooms.pop_front()
        {
            let part = left.min(room.length);
            left -= part;
            self.capacity -= room.length;
            self.filled += room.pieces;
            // At most the longest packet.
            self.returned.push((room.head, part as u32));
        }
        let count = (self.returned.len() as u16).to_le_bytes();
        for (byte, address) in count.into_iter().zip(first.into_iter().flatten()) {
            // Was found to be in guest memory, which does not shrink.
            let _ = self.memory.write_obj(byte, address);
        }
        self.used.publish(&mut self.queue.queue, &self.memory, &self.returned);
        self.returned.clear();
    }

    fn size(&self) -> usize {
        usize::from(self.queue.queue.size())
    }

    fn makes_sense(&mut self) -> bool {
        self.queue.queue.iter(&*self.memory).is_ok()
    }
}
