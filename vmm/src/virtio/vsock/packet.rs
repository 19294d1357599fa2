//! Packets as they lie in the descriptor chains (virtio 1.2 §5.10.6).

use std::ops::Deref;

use virtio_queue::{DescriptorChain, desc::split::Descriptor};
use vm_memory::{GuestMemory, GuestMemoryMmap, VolatileSlice};

use super::MAX_PAYLOAD;

/// Size of a packet's header.
pub(super) const HEADER_LEN: usize = 44;

/// The socket type of streams (virtio 1.2 §5.10.6).
pub(super) const TYPE_STREAM: u16 = 1;

/// Operations (virtio 1.2 §5.10.6).
pub(super) mod op {
    pub const REQUEST: u16 = 1;
    pub const RESPONSE: u16 = 2;
    pub const RST: u16 = 3;
    pub const SHUTDOWN: u16 = 4;
    pub const RW: u16 = 5;
    pub const CREDIT_UPDATE: u16 = 6;
    pub const CREDIT_REQUEST: u16 = 7;
}

/// Flags of `SHUTDOWN`: the sender will receive no more, will send no more (virtio 1.2 §5.10.6.5).
pub(super) const SHUTDOWN_RECEIVE: u32 = 1;
pub(super) const SHUTDOWN_SEND: u32 = 2;
pub(super) const SHUTDOWN_BOTH: u32 = SHUTDOWN_RECEIVE | SHUTDOWN_SEND;

/// The header of a packet, `struct virtio_vsock_hdr`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub src_cid: u64,
    pub dst_cid: u64,
    pub src_port: u32,
    pub dst_port: u32,
    pub len: u32,
    pub kind: u16,
    pub op: u16,
    pub flags: u32,
    pub buf_alloc: u32,
    pub fwd_cnt: u32,
}

impl Header {
    /// The header in these bytes.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Self {
        Header {
            src_cid: u64::from_le_bytes(field(bytes, 0)),
            dst_cid: u64::from_le_bytes(field(bytes, 8)),
            src_port: u32::from_le_bytes(field(bytes, 16)),
            dst_port: u32::from_le_bytes(field(bytes, 20)),
            len: u32::from_le_bytes(field(bytes, 24)),
            kind: u16::from_le_bytes(field(bytes, 28)),
            op: u16::from_le_bytes(field(bytes, 30)),
            flags: u32::from_le_bytes(field(bytes, 32)),
            buf_alloc: u32::from_le_bytes(field(bytes, 36)),
            fwd_cnt: u32::from_le_bytes(field(bytes, 40)),
        }
    }

    /// The header as bytes.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..8].copy_from_slice(&self.src_cid.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.dst_cid.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.src_port.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.dst_port.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.len.to_le_bytes());
        bytes[28..30].copy_from_slice(&self.kind.to_le_bytes());
        bytes[30..32].copy_from_slice(&self.op.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.flags.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.buf_alloc.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.fwd_cnt.to_le_bytes());
        bytes
    }

    /// The reset that answers this packet.
    pub fn reset(&self) -> Header {
        Header {
            src_cid: self.dst_cid,
            dst_cid: self.src_cid,
            src_port: self.dst_port,
            dst_port: self.src_port,
            kind: self.kind,
            op: op::RST,
            ..Header::default()
        }
    }
}

fn field<const N: usize>(bytes: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

/// A packet from the guest, its payload still in guest memory.
#[derive(Debug)]
pub(super) struct TxPacket<'a> {
    pub header: Header,
    pub payload: Vec<VolatileSlice<'a>>,
}

impl<'a> TxPacket<'a> {
    /// The packet in the readable part of a chain, however header and payload are cut into descriptors. `None` when
    /// the chain does not hold what its header promises.
    pub fn read<M>(memory: &'a GuestMemoryMmap, chain: DescriptorChain<M>) -> Option<Self>
    where
        M: Deref,
        M::Target: GuestMemory,
    {
        let buffer = slices(memory, chain.readable())?;
        let (front, rest) = split(buffer, HEADER_LEN)?;
        let mut bytes = [0; HEADER_LEN];
        let mut at = 0;
        for slice in front {
            at += slice.copy_to(&mut bytes[at..]);
        }
        let header = Header::decode(&bytes);
        if header.len > MAX_PAYLOAD {
            return None;
        }
        let (payload, _) = split(rest, header.len as usize)?;
        Some(TxPacket { header, payload })
    }
}

/// An empty buffer of the guest's that one packet may be written to.
#[derive(Debug)]
pub(super) struct RxBuffer<'a> {
    header: Vec<VolatileSlice<'a>>,
    /// Where the payload goes.
    pub payload: Vec<VolatileSlice<'a>>,
}

impl<'a> RxBuffer<'a> {
    /// The writable part of a chain. `None` when it is too short to carry a packet with data.
    pub fn new<M>(memory: &'a GuestMemoryMmap, chain: DescriptorChain<M>) -> Option<Self>
    where
        M: Deref,
        M::Target: GuestMemory,
    {
        let buffer = slices(memory, chain.writable())?;
        let (header, payload) = split(buffer, HEADER_LEN)?;
        (total_len(&payload) > 0).then_some(RxBuffer { header, payload })
    }

    /// Completes the packet; returns its whole length.
    pub fn finish(self, header: &Header) -> u32 {
        let bytes = header.encode();
        let mut at = 0;
        for slice in self.header {
            slice.copy_from(&bytes[at..]);
            at += slice.len();
        }
        HEADER_LEN as u32 + header.len
    }
}

/// The memory of descriptors; `None` when one lies outside of it.
fn slices(
    memory: &GuestMemoryMmap,
    descriptors: impl Iterator<Item = Descriptor>,
) -> Option<Vec<VolatileSlice<'_>>> {
    descriptors
        .map(|descriptor| memory.get_slice(descriptor.addr(), descriptor.len() as usize).ok())
        .collect()
}

/// The number of bytes in all slices.
pub(super) fn total_len(slices: &[VolatileSlice]) -> usize {
    slices.iter().map(VolatileSlice::len).sum()
}

type Split<'a> = (Vec<VolatileSlice<'a>>, Vec<VolatileSlice<'a>>);

/// Splits after `at` bytes; `None` when there are fewer.
fn split(slices: Vec<VolatileSlice<'_>>, at: usize) -> Option<Split<'_>> {
    let (mut front, mut rest) = (Vec::with_capacity(1), Vec::with_capacity(slices.len()));
    let mut missing = at;
    for slice in slices {
        if missing == 0 {
            rest.push(slice);
        } else if slice.len() <= missing {
            missing -= slice.len();
            front.push(slice);
        } else {
            let (head, tail) = slice.split_at(missing).ok()?;
            missing = 0;
            front.push(head);
            rest.push(tail);
        }
    }
    (missing == 0).then_some((front, rest))
}

#[cfg(test)]
mod tests;
