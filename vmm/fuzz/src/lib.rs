//! A guest that does whatever the fuzzer thinks of: any register access, any bytes in its rings.

pub mod fuse;
pub mod host;
pub mod watcher;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use arbitrary::Arbitrary;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmm::{
    event_loop::{EventLoop, EventLoopHandle},
    virtio::{VirtioDevice, mmio::MmioTransport},
};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// Bytes of guest memory.
const MEMORY: usize = 1 << 20;
/// Size of every ring the guest sets up properly, and the distance between rings.
const RING: u32 = 16;
const DISTANCE: u64 = 0x3000;

/// One thing the guest does.
#[derive(Debug, Arbitrary)]
pub enum Step {
    /// Reads a register.
    Read { offset: u16, width: u8 },
    /// Writes a register.
    Write { offset: u16, value: [u8; 8], width: u8 },
    /// Sets the device up as a well-behaved driver does, with all features.
    Start,
    /// Writes to memory.
    Poke { address: u32, bytes: [u8; 16] },
    /// Describes a buffer in a ring that `Start` set up, in memory as far as `inside` says so.
    Describe { queue: u8, index: u8, address: u64, length: u32, flags: u16, next: u8, inside: bool },
    /// Makes chains available, and notifies.
    Offer { queue: u8, heads: [u8; 3] },
}

/// Lets a guest drive `device`. Panics are findings.
pub fn drive(device: Box<dyn VirtioDevice>, steps: Vec<Step>) {
    let mut guest = Guest::new(device);
    steps.into_iter().for_each(|step| guest.take(step));
}

/// A driver, and the event loop its device runs on.
struct Guest {
    transport: MmioTransport,
    memory: Arc<GuestMemoryMmap>,
    queues: u32,
    available: Vec<u16>,
    handle: EventLoopHandle,
    stop: Arc<AtomicBool>,
    event_loop: Option<JoinHandle<()>>,
}

impl Guest {
    fn new(device: Box<dyn VirtioDevice>) -> Self {
        let memory = Arc::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY)]).unwrap());
        let queues = device.queue_sizes().len() as u32;
        let mut event_loop = EventLoop::new().unwrap();
        let handle = event_loop.remote_endpoint();
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopping.load(Ordering::SeqCst) {
                event_loop.run_with_timeout(1000).unwrap();
            }
        });
        let line = EventFd::new(EFD_NONBLOCK).unwrap();
        Guest {
            transport: MmioTransport::new(device, Arc::clone(&memory), handle.clone(), line).unwrap(),
            memory,
            queues,
            available: vec![0; queues as usize],
            handle,
            stop,
            event_loop: Some(thread),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Read { offset, width } => {
                self.transport.read(u64::from(offset), &mut [0; 8][..usize::from(width % 9)]);
            }
            Step::Write { offset, value, width } => {
                self.transport.write(u64::from(offset), &value[..usize::from(width % 9)]);
                self.wait();
            }
            Step::Start => self.start(),
            Step::Poke { address, bytes } => {
                let _ = self.memory.write(&bytes, GuestAddress(u64::from(address) % MEMORY as u64));
            }
            Step::Describe { queue, index, address, length, flags, next, inside } => {
                let (address, length) =
                    if inside { (address % MEMORY as u64, length % 0x2000) } else { (address, length) };
                self.describe(queue, index, address, length, flags, next);
            }
            Step::Offer { queue, heads } => self.offer(queue, &heads),
        }
    }

    fn describe(&mut self, queue: u8, index: u8, address: u64, length: u32, flags: u16, next: u8) {
        let at = self.ring(queue) + u64::from(index % RING as u8) * 16;
        let mut descriptor = address.to_le_bytes().to_vec();
        descriptor.extend(length.to_le_bytes());
        descriptor.extend(flags.to_le_bytes());
        descriptor.extend(u16::from(next).to_le_bytes());
        self.memory.write_slice(&descriptor, GuestAddress(at)).unwrap();
    }

    fn offer(&mut self, queue: u8, heads: &[u8]) {
        let ring = self.ring(queue) + 0x1000;
        let queue = u32::from(queue) % self.queues;
        let available = &mut self.available[queue as usize];
        for head in heads {
            let slot = ring + 4 + u64::from(*available % RING as u16) * 2;
            self.memory.write_obj(u16::from(*head), GuestAddress(slot)).unwrap();
            *available = available.wrapping_add(1);
        }
        self.memory.write_obj(*available, GuestAddress(ring + 2)).unwrap();
        self.register(0x50, queue);
        self.wait();
    }

    /// virtio 1.2 §3.1.1 and §4.2.3.1, §4.2.3.2.
    fn start(&mut self) {
        for status in [0, 1, 3] {
            self.register(0x70, status);
        }
        for half in [0, 1] {
            self.register(0x24, half);
            self.register(0x20, u32::MAX);
        }
        self.register(0x70, 11);
        for queue in 0..self.queues {
            let ring = self.ring(queue as u8);
            self.memory.write_slice(&[0; DISTANCE as usize], GuestAddress(ring)).unwrap();
            self.available[queue as usize] = 0;
            self.register(0x30, queue);
            self.register(0x38, RING);
            for (register, part) in [(0x80, 0), (0x90, 0x1000), (0xa0, 0x2000)] {
                self.register(register, (ring + part) as u32);
            }
            self.register(0x44, 1);
        }
        self.register(0x70, 15);
        self.wait();
    }

    fn ring(&self, queue: u8) -> u64 {
        u64::from(u32::from(queue) % self.queues) * DISTANCE + 0x4000
    }

    fn register(&mut self, offset: u64, value: u32) {
        self.transport.write(offset, &value.to_le_bytes());
    }

    /// Until the event loop has seen what happened.
    fn wait(&self) {
        self.handle
            .call_blocking(|_| Ok::<_, event_manager::Error>(()))
            .expect("The device panicked on the event loop");
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.handle.kick().unwrap();
        let ended = self.event_loop.take().map(JoinHandle::join);
        // A panic on top of one would hide the first.
        if !thread::panicking() {
            ended.unwrap().expect("The device panicked on the event loop");
        }
    }
}
