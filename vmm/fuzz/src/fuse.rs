//! A FUSE client in the place of a guest's kernel, whose requests are whole and may ask for anything.

use std::{
    ffi::CString,
    thread,
    time::{Duration, Instant},
};

use virtiofsd::fuse::{EntryOut, FsOptions, InHeader, InitInCompat, InitInExt, Opcode, OutHeader};
use vm_memory::{ByteValued, Bytes, GuestAddress};
use vmm::virtio::fs::Fs;

use super::{Guest, RING};

/// Where requests and answers are.
const REQUEST: u64 = 0x20000;
const ANSWER: u64 = 0x40000;
/// The most an answer can have.
const ROOM: u32 = 0x1000;
/// Beside this one there is that of high priority.
const QUEUE: u8 = 1;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
const NEXT: u16 = 1;
const WRITABLE: u16 = 2;

/// A client.
pub struct Client {
    guest: Guest,
    unique: u64,
    used: u16,
}

/// The node of an answer that has one.
pub fn node_of(answer: &[u8]) -> Option<u64> {
    answer.get(..size_of::<EntryOut>()).and_then(|entry| Some(u64::from_le_bytes(*entry.first_chunk()?)))
}

/// The handle of an answer to OPEN, or of what follows the entry in one to CREATE.
pub fn handle_of(answer: &[u8]) -> Option<u64> {
    let open = if answer.len() > size_of::<EntryOut>() { &answer[size_of::<EntryOut>()..] } else { answer };
    Some(u64::from_le_bytes(*open.first_chunk()?))
}

impl Client {
    /// One that has said INIT.
    pub fn new(device: Fs) -> Self {
        let mut guest = Guest::new(Box::new(device));
        guest.start();
        let mut client = Client { guest, unique: 0, used: 0 };
        let capable = FsOptions::all();
        let init = InitInCompat { major: 7, minor: 38, max_readahead: 1 << 20, flags: capable.bits() as u32 };
        let extended = InitInExt { flags2: (capable.bits() >> 32) as u32, ..InitInExt::default() };
        client.ask(0, Opcode::Init, 0, &[init.as_slice(), extended.as_slice()]).expect("INIT");
        client
    }

    /// Sends a request of a thread, and waits for what is after its answer's header, or an error number. FORGET is never answered.
    pub fn ask(&mut self, thread: u32, op: Opcode, node: u64, body: &[&[u8]]) -> Result<Vec<u8>, i32> {
        self.unique += 2;
        let body = body.concat();
        let header = InHeader {
            len: (size_of::<InHeader>() + body.len()) as u32,
            opcode: op as u32,
            unique: self.unique,
            nodeid: node,
            pid: thread,
            ..InHeader::default()
        };
        let request = [header.as_slice(), &body].concat();
        self.guest.memory.write_slice(&request, GuestAddress(REQUEST)).unwrap();
        self.guest.describe(QUEUE, 0, REQUEST, header.len, NEXT, 1);
        self.guest.describe(QUEUE, 1, ANSWER, ROOM, WRITABLE, 0);
        self.guest.offer(QUEUE, &[0]);
        let length = self.wait() as usize;
        if length < size_of::<OutHeader>() {
            return Ok(Vec::new());
        }
        let mut answer = vec![0; length];
        self.guest.memory.read_slice(&mut answer, GuestAddress(ANSWER)).unwrap();
        let mut out = OutHeader::default();
        out.as_mut_slice().copy_from_slice(&answer[..size_of::<OutHeader>()]);
        assert_eq!((out.unique, out.len as usize), (self.unique, length), "{op:?}");
        if out.error == 0 { Ok(answer.split_off(size_of::<OutHeader>())) } else { Err(-out.error) }
    }

    /// How much was written for the request.
    fn wait(&mut self) -> u32 {
        let (memory, ring) = (&self.guest.memory, self.guest.ring(QUEUE) + 0x2000);
        let until = Instant::now() + PATIENCE;
        while memory.read_obj::<u16>(GuestAddress(ring + 2)).unwrap() == self.used {
            assert!(Instant::now() < until, "A request is not answered");
            thread::yield_now();
        }
        let slot = ring + 4 + u64::from(self.used % RING as u16) * 8;
        self.used = self.used.wrapping_add(1);
        memory.read_obj(GuestAddress(slot + 4)).unwrap()
    }
}

/// A name as requests have it.
pub fn name(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    CString::new(&bytes[..end]).unwrap_or_default().into_bytes_with_nul()
}
