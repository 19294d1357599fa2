//! One FUSE request, from descriptor chain to answer.

use std::{
    fmt,
    ops::Deref,
    sync::{PoisonError, RwLock},
};

use virtio_queue::DescriptorChain;
use virtiofsd::{
    descriptor_utils::{Reader, Writer},
    fuse::{InHeader, Opcode, OutHeader},
    server::Server,
};
use vm_memory::{ByteValued, Bytes, GuestMemory, GuestMemoryMmap};

use super::{memory::Bitmap, share::Share};

const OUT_HEADER_LEN: usize = size_of::<OutHeader>();

/// Answers requests, from any number of threads.
pub(super) struct RequestHandler {
    server: Server<Share>,
    /// INIT and DESTROY clear the server's tables and must be alone; everything else shares.
    lifecycle: RwLock<()>,
}

impl RequestHandler {
    /// A handler of requests for `share`.
    pub fn new(share: Share) -> Self {
        RequestHandler { server: Server::new(share), lifecycle: RwLock::new(()) }
    }

    /// Handles the request in `chain`. Returns the number of bytes written to it.
    ///
    /// Threads that call this need a file system context of their own (`unshare(CLONE_FS)`): the server changes its
    /// working directory for some requests.
    pub fn handle<M>(&self, memory: &GuestMemoryMmap<Bitmap>, chain: DescriptorChain<M>) -> u32
    where
        M: Clone + Deref,
        M::Target: GuestMemory + Sized,
    {
        let Some(header) = peek(memory, chain.clone()) else { return 0 };
        let Ok(reader) = Reader::new(memory, chain.clone()) else { return 0 };
        let Ok(writer) = Writer::new(memory, chain.clone()) else { return 0 };
        let opcode = Opcode::try_from(header.opcode).ok();
        let answered = !matches!(
            opcode,
            Some(Opcode::Forget | Opcode::BatchForget | Opcode::Interrupt | Opcode::Destroy)
        );
        // The library takes it for granted that the header of an answer fits.
        if answered && writer.available_bytes() < OUT_HEADER_LEN {
            return 0;
        }
        let outcome = if matches!(opcode, Some(Opcode::Init | Opcode::Destroy)) {
            let _alone = self.lifecycle.write().unwrap_or_else(PoisonError::into_inner);
            self.server.handle_message(reader, writer, None::<&mut ()>)
        } else {
            let _shared = self.lifecycle.read().unwrap_or_else(PoisonError::into_inner);
            self.server.handle_message(reader, writer, None::<&mut ()>)
        };
        match outcome {
            // At most a request's buffer, whose length has 32 bits.
            Ok(written) => written as u32,
            Err(_) if answered => refuse(memory, chain, header.unique),
            Err(_) => 0,
        }
    }

    /// Forgets everything the guest knows of.
    pub fn reset(&self) {
        let _alone = self.lifecycle.write().unwrap_or_else(PoisonError::into_inner);
        self.server.destroy();
    }
}

impl fmt::Debug for RequestHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHandler").finish_non_exhaustive()
    }
}

/// The header at the beginning of the chain's readable part.
fn peek<M>(memory: &GuestMemoryMmap<Bitmap>, chain: DescriptorChain<M>) -> Option<InHeader>
where
    M: Deref,
    M::Target: GuestMemory,
{
    let mut header = InHeader::default();
    let mut missing = header.as_mut_slice();
    for descriptor in chain.readable() {
        let (part, rest) = missing.split_at_mut(missing.len().min(descriptor.len() as usize));
        memory.read_slice(part, descriptor.addr()).ok()?;
        missing = rest;
        if missing.is_empty() {
            return Some(header);
        }
    }
    None
}

/// Answers a request that made no sense.
fn refuse<M>(memory: &GuestMemoryMmap<Bitmap>, chain: DescriptorChain<M>, unique: u64) -> u32
where
    M: Deref,
    M::Target: GuestMemory + Sized,
{
    let answer = OutHeader { len: OUT_HEADER_LEN as u32, error: -libc::EINVAL, unique };
    let written = Writer::new(memory, chain).ok().and_then(|mut writer| writer.write_obj(answer).ok());
    if written.is_some() { answer.len } else { 0 }
}
