//! What a request counts.

use std::ops::Deref;

use virtio_queue::DescriptorChain;
use virtiofsd::fuse::{InHeader, Opcode, OutHeader, WriteIn};
use vm_memory::GuestMemory;

/// The bytes that a request moves, as far as its buffers say; none if it is free: what ends or gives back is never made
/// to wait.
pub(in crate::virtio::fs) fn bytes<M>(header: InHeader, chain: &DescriptorChain<M>) -> Option<u64>
where
    M: Clone + Deref,
    M::Target: GuestMemory,
{
    let (sum, own) = match Opcode::try_from(header.opcode).ok()? {
        Opcode::Init
        | Opcode::Destroy
        | Opcode::Forget
        | Opcode::BatchForget
        | Opcode::Interrupt
        | Opcode::Flush
        | Opcode::Release
        | Opcode::Releasedir => return None,
        Opcode::Read => {
            (chain.clone().writable().map(|part| u64::from(part.len())).sum::<u64>(), size_of::<OutHeader>())
        }
        Opcode::Write => (
            chain.clone().readable().map(|part| u64::from(part.len())).sum(),
            size_of::<InHeader>() + size_of::<WriteIn>(),
        ),
        _ => (0, 0),
    };
    Some(sum.saturating_sub(own as u64))
}
