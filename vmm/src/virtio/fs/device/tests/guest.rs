//! A FUSE client in the place of the guest's kernel.

use virtiofsd::fuse::*;
use vm_memory::{ByteValued, Bytes, GuestAddress};

use super::super::super::{CachePolicy, ShareConfig};
use super::super::*;
use crate::virtio::conformance::{BUFFERS, Buffer, Driver};

pub(super) const REQUEST: u64 = BUFFERS;
pub(super) const ANSWER: u64 = BUFFERS + (3 << 20);
pub(super) const REQUEST_QUEUE: usize = 1;
pub(super) const ROOT: u64 = 1;
pub(super) const IN_HEADER_LEN: usize = size_of::<InHeader>();
pub(super) const OUT_HEADER_LEN: usize = size_of::<OutHeader>();

pub(super) fn share(directory: &std::path::Path) -> ShareConfig {
    ShareConfig::of(directory, CachePolicy::Pod)
}

pub(super) fn bytes(objects: &[&[u8]]) -> Vec<u8> {
    objects.concat()
}

pub(super) fn object<T: ByteValued + Default>(bytes: &[u8]) -> T {
    let mut object = T::default();
    object.as_mut_slice().copy_from_slice(&bytes[..size_of::<T>()]);
    object
}

/// A FUSE client on a driver.
pub(super) struct Guest {
    pub(super) driver: Driver,
    pub(super) unique: u64,
    pub(super) user: u32,
    pub(super) process: u32,
}

impl Guest {
    /// A client that has not said INIT.
    pub(super) fn unintroduced(config: &ShareConfig) -> Self {
        let driver = Driver::started(Box::new(Fs::new(config, 2).unwrap()));
        Guest { driver, unique: 0, user: 0, process: 1 }
    }

    pub(super) fn new(config: &ShareConfig) -> Self {
        let mut guest = Guest::unintroduced(config);
        guest.init();
        guest
    }

    pub(super) fn init(&mut self) -> InitOut {
        let capable = FsOptions::all() - FsOptions::POSIX_ACL;
        let init = InitInCompat { major: 7, minor: 38, max_readahead: 1 << 20, flags: capable.bits() as u32 };
        let extended = InitInExt { flags2: (capable.bits() >> 32) as u32, ..InitInExt::default() };
        let body = bytes(&[init.as_slice(), extended.as_slice()]);
        object(&self.request(Opcode::Init, 0, &body, 256).unwrap())
    }

    /// Sends a request and waits for its answer: the bytes after its header, or an error number.
    pub(super) fn request(
        &mut self,
        op: Opcode,
        node: u64,
        body: &[u8],
        room: usize,
    ) -> Result<Vec<u8>, i32> {
        self.request_in_pieces(op, node, body, &[room])
    }

    pub(super) fn request_in_pieces(
        &mut self,
        op: Opcode,
        node: u64,
        body: &[u8],
        room: &[usize],
    ) -> Result<Vec<u8>, i32> {
        self.unique += 2;
        let header = InHeader {
            len: (IN_HEADER_LEN + body.len()) as u32,
            opcode: op as u32,
            unique: self.unique,
            nodeid: node,
            uid: self.user.into(),
            gid: self.user.into(),
            pid: self.process,
            total_extlen: 0,
            padding: 0,
        };
        let answer = self.send(&bytes(&[header.as_slice(), body]), room);
        let out: OutHeader = object(&answer);
        assert_eq!((out.unique, out.len as usize), (self.unique, answer.len()));
        if out.error == 0 { Ok(answer[OUT_HEADER_LEN..].to_vec()) } else { Err(-out.error) }
    }

    /// Sends bytes as they are, with room for an answer's header and, in further descriptors, for `room` bytes.
    pub(super) fn send(&mut self, request: &[u8], room: &[usize]) -> Vec<u8> {
        self.driver.memory.write_slice(request, GuestAddress(REQUEST)).unwrap();
        let (header, body) = request.split_at(IN_HEADER_LEN.min(request.len()));
        let mut buffers = vec![Buffer::readable(REQUEST, header.len() as u32)];
        if !body.is_empty() {
            buffers.push(Buffer::readable(REQUEST + header.len() as u64, body.len() as u32));
        }
        let mut at = ANSWER;
        for len in [&[OUT_HEADER_LEN], room].concat() {
            buffers.push(Buffer::writable(at, len as u32));
            at += len as u64;
        }
        let head = self.driver.add(REQUEST_QUEUE, &buffers);
        let (returned, written) = self.driver.wait_used(REQUEST_QUEUE);
        assert_eq!(returned, u32::from(head));
        let mut answer = vec![0; written as usize];
        self.driver.memory.read_slice(&mut answer, GuestAddress(ANSWER)).unwrap();
        answer
    }

    pub(super) fn lookup(&mut self, parent: u64, name: &str) -> Result<EntryOut, i32> {
        let name = bytes(&[name.as_bytes(), b"\0"]);
        self.request(Opcode::Lookup, parent, &name, 128).map(|answer| object(&answer))
    }

    pub(super) fn create(
        &mut self,
        parent: u64,
        name: &str,
        mode: u32,
        flags: i32,
    ) -> Result<(EntryOut, u64), i32> {
        let create = CreateIn { flags: flags as u32, mode, umask: 0o22, open_flags: 0 };
        let body = bytes(&[create.as_slice(), name.as_bytes(), b"\0"]);
        let answer = self.request(Opcode::Create, parent, &body, 256)?;
        let open: OpenOut = object(&answer[size_of::<EntryOut>()..]);
        Ok((object(&answer), open.fh))
    }

    pub(super) fn open(&mut self, node: u64, flags: i32) -> Result<u64, i32> {
        let open = OpenIn { flags: flags as u32, open_flags: 0 };
        let answer = self.request(Opcode::Open, node, open.as_slice(), 16)?;
        Ok(object::<OpenOut>(&answer).fh)
    }

    pub(super) fn write(&mut self, node: u64, fh: u64, offset: u64, data: &[u8]) -> Result<u32, i32> {
        let write = WriteIn { fh, offset, size: data.len() as u32, ..WriteIn::default() };
        let answer = self.request(Opcode::Write, node, &bytes(&[write.as_slice(), data]), 8)?;
        Ok(object::<WriteOut>(&answer).size)
    }

    pub(super) fn read(&mut self, node: u64, fh: u64, offset: u64, room: &[usize]) -> Result<Vec<u8>, i32> {
        let size = room.iter().sum::<usize>() as u32;
        let read = ReadIn { fh, offset, size, ..ReadIn::default() };
        self.request_in_pieces(Opcode::Read, node, read.as_slice(), room)
    }
}
