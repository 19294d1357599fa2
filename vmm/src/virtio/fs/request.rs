//! One FUSE request, from descriptor chain to answer.

use std::{
    fmt,
    io::{self, Read, Write},
    ops::Deref,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use virtio_queue::DescriptorChain;
use virtiofsd::{
    descriptor_utils::{Reader, Writer},
    filesystem::{Context, Extensions, FileSystem},
    fuse::{
        BatchForgetIn, CreateIn, EntryOut, ExtHeader, ForgetIn, ForgetOne, InHeader, Opcode, OpenOut,
        OutHeader, SuppGroups,
    },
    server::Server,
};
use vm_memory::{ByteValued, Bytes, GuestMemory, GuestMemoryMmap};

use super::{
    IoLimits,
    limits::{Wait, cost_in_bytes},
    memory::Bitmap,
    share::Share,
};

const OUT_HEADER_LEN: usize = size_of::<OutHeader>();
/// The longest name of a file.
const MAX_NAME: usize = 255;
/// The most supplementary groups a process has in Linux.
const MAX_GROUPS: u32 = 65_536;

/// Answers requests, from any number of threads.
///
/// The server reads a request's header from guest memory again, where it may be another by then. So the server is only
/// given requests with room for an answer, whatever they are, and `Share` itself knows when it may be emptied.
pub(super) struct RequestHandler {
    server: Server<Share>,
    share: Share,
    /// INIT and DESTROY clear the server's tables and must be alone; everything else shares.
    lifecycle: RwLock<()>,
}

impl RequestHandler {
    /// A handler of requests for `share`.
    pub fn new(share: Share) -> Self {
        RequestHandler { server: Server::new(share.clone()), share, lifecycle: RwLock::new(()) }
    }

    /// What the request in `chain` has to wait for, if it is of an app that has done enough for now. It counts from here on.
    pub fn wait<M>(&self, memory: &GuestMemoryMmap<Bitmap>, chain: &DescriptorChain<M>) -> Option<Wait>
    where
        M: Clone + Deref,
        M::Target: GuestMemory,
    {
        if !self.limits().has_some() {
            return None;
        }
        let header = peek(memory, chain.clone())?;
        let account = self.share.owners().of(header.nodeid)?;
        let bytes = cost_in_bytes(header, chain)?;
        let now = Instant::now();
        let until = account.take(bytes, now);
        (until > now).then_some(Wait { until, account })
    }

    /// The limits of those who ask.
    pub fn limits(&self) -> &IoLimits {
        self.share.owners().limits()
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
        match opcode {
            Some(opcode @ (Opcode::Forget | Opcode::BatchForget)) => {
                let _ = self.forget(header, opcode, reader);
                return 0;
            }
            Some(Opcode::Destroy) => {
                self.reset();
                return 0;
            }
            // Requests run to their end.
            Some(Opcode::Interrupt) => return 0,
            _ => {}
        }
        // The library takes it for granted that the header of an answer fits.
        if writer.available_bytes() < OUT_HEADER_LEN {
            return 0;
        }
        let outcome = if matches!(opcode, Some(Opcode::Init)) {
            self.alone(|| self.server.handle_message(reader, writer, None::<&mut ()>))
        } else {
            let _shared = self.lifecycle.read().unwrap_or_else(PoisonError::into_inner);
            if matches!(opcode, Some(Opcode::TmpFile)) {
                return self.create_nameless(reader, writer);
            }
            self.server.handle_message(reader, writer, None::<&mut ()>)
        };
        match outcome {
            // At most a request's buffer, whose length has 32 bits.
            Ok(written) => written as u32,
            Err(_) => refuse(memory, chain, header.unique),
        }
    }

    /// Forgets inodes. Nobody waits to be told whether the request made sense.
    fn forget(&self, header: InHeader, opcode: Opcode, mut reader: Reader) -> io::Result<()> {
        let _shared = self.lifecycle.read().unwrap_or_else(PoisonError::into_inner);
        let context = Context::from(header);
        let _has_been_read: InHeader = reader.read_obj()?;
        if let Opcode::Forget = opcode {
            let ForgetIn { nlookup } = reader.read_obj()?;
            self.share.forget(context, header.nodeid, nlookup);
            return Ok(());
        }
        let BatchForgetIn { count, .. } = reader.read_obj()?;
        for _ in 0..count {
            let ForgetOne { nodeid, nlookup } = reader.read_obj()?;
            self.share.forget(context, nodeid, nlookup);
        }
        Ok(())
    }

    /// Does what no other request may run beside.
    fn alone<T>(&self, work: impl FnOnce() -> T) -> T {
        let _alone = self.lifecycle.write().unwrap_or_else(PoisonError::into_inner);
        self.share.may_be_emptied(true);
        let result = work();
        self.share.may_be_emptied(false);
        result
    }

    /// The request that the library does not know: the same as CREATE, but for the name's meaning.
    fn create_nameless(&self, mut reader: Reader, mut writer: Writer) -> u32 {
        let Ok(header) = reader.read_obj::<InHeader>() else { return 0 };
        let created = NamelessRequest::read(&mut reader).and_then(|request| {
            self.share.create_nameless(
                Context::from(header),
                header.nodeid,
                &request.create,
                request.extensions,
            )
        });
        let mut answer = OutHeader { len: OUT_HEADER_LEN as u32, error: 0, unique: header.unique };
        let mut body = Vec::new();
        match created {
            Ok((entry, fh, options)) => {
                let open = OpenOut { fh, open_flags: options.bits(), ..OpenOut::default() };
                body.extend_from_slice(EntryOut::from(entry).as_slice());
                body.extend_from_slice(open.as_slice());
                answer.len += body.len() as u32;
            }
            Err(error) => answer.error = -error.raw_os_error().unwrap_or(libc::EIO),
        }
        let written = writer.write_obj(answer).and_then(|()| writer.write_all(&body));
        if written.is_ok() { answer.len } else { 0 }
    }

    /// Lets go of files that the guest remembers and the host has deleted, if it is time for that.
    pub fn let_go_of_departed(&self) {
        let now = Instant::now();
        if self.until_departed(now) == Some(Duration::ZERO) {
            let _shared = self.lifecycle.read().unwrap_or_else(PoisonError::into_inner);
            self.share.let_go_of_departed(now);
        }
    }

    /// How long until it is.
    pub fn until_departed(&self, now: Instant) -> Option<Duration> {
        self.share.until_departed(now)
    }

    /// Forgets everything the guest knows of.
    pub fn reset(&self) {
        self.alone(|| self.server.destroy());
    }
}

impl fmt::Debug for RequestHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHandler").finish_non_exhaustive()
    }
}

/// What TMPFILE asks for.
struct NamelessRequest {
    create: CreateIn,
    extensions: Extensions,
}

impl NamelessRequest {
    /// What follows the header: the structure, a name that says nothing, and extensions.
    fn read(reader: &mut Reader) -> io::Result<Self> {
        let create = reader.read_obj()?;
        let mut name = [1];
        for _ in 0..=MAX_NAME {
            if name != [0] {
                reader.read_exact(&mut name)?;
            }
        }
        let mut extensions = Extensions::default();
        // The only extension the server asks the guest for.
        if reader.available_bytes() >= size_of::<ExtHeader>() + size_of::<SuppGroups>() {
            let _: ExtHeader = reader.read_obj()?;
            let SuppGroups { nr_groups } = reader.read_obj()?;
            if nr_groups > MAX_GROUPS {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            for _ in 0..nr_groups {
                extensions.sup_gids.push(reader.read_obj::<u32>()?.into());
            }
        }
        Ok(NamelessRequest { create, extensions })
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
