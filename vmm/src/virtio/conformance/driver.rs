//! The guest's half: a driver that goes through the registers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use virtio_bindings::{virtio_config::*, virtio_mmio::*};
use vm_memory::{GuestAddress, GuestMemoryMmap};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::{Buffer, Ring};
use crate::{
    event_loop::EventLoop,
    virtio::{GuestRam, VirtioDevice, mmio::MmioTransport},
};

/// Bytes of the driver's guest memory, from address 0; then nothing, then one page more.
pub const MEMORY: u64 = 16 << 20;
/// An address behind a hole in guest memory.
pub const BEHIND_HOLE: u64 = MEMORY + (1 << 20);
/// Where the rings are.
const RINGS: u64 = 1 << 20;
/// Where a test may put its buffers; from here to `MEMORY` there is nothing else.
pub const BUFFERS: u64 = 8 << 20;
/// How long a device may take for what it does at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// A driver and its device. A panic on the event loop's thread fails the test when the driver is dropped.
#[derive(Debug)]
pub struct Driver {
    /// The device behind its registers.
    pub transport: MmioTransport,
    /// Guest memory: 16 MiB, a hole, and a page.
    pub memory: GuestRam,
    /// The driver's half of each queue, after `start`.
    pub rings: Vec<Ring>,
    line: EventFd,
    stopping: Arc<AtomicBool>,
    event_loop: Option<JoinHandle<()>>,
}

impl Driver {
    /// Puts `device` behind registers, with an event loop of its own.
    pub fn new(device: Box<dyn VirtioDevice>) -> Self {
        let ranges = [(GuestAddress(0), MEMORY as usize), (GuestAddress(BEHIND_HOLE), 4096)];
        let memory = Arc::new(GuestMemoryMmap::from_ranges(&ranges).unwrap());
        let mut event_loop = EventLoop::new().unwrap();
        let handle = event_loop.remote_endpoint();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                event_loop.run_with_timeout(50).unwrap();
            }
        });
        let line = EventFd::new(EFD_NONBLOCK).unwrap();
        let transport =
            MmioTransport::new(device, Arc::clone(&memory), handle, line.try_clone().unwrap()).unwrap();
        Driver { transport, memory, rings: Vec::new(), line, stopping, event_loop: Some(thread) }
    }

    /// A driver whose device works, with every feature the device offers.
    pub fn started(device: Box<dyn VirtioDevice>) -> Self {
        let mut driver = Driver::new(device);
        driver.start();
        driver
    }

    /// Reads a register.
    pub fn read(&mut self, register: u32) -> u32 {
        let mut data = [0xaa; 4];
        self.transport.read(u64::from(register), &mut data);
        u32::from_le_bytes(data)
    }

    /// Writes a register.
    pub fn write(&mut self, register: u32, value: u32) {
        self.transport.write(u64::from(register), &value.to_le_bytes());
    }

    /// Reads `length` bytes of the configuration space.
    pub fn read_config(&mut self, offset: u64, length: usize) -> Vec<u8> {
        let mut data = vec![0xaa; length];
        self.transport.read(u64::from(VIRTIO_MMIO_CONFIG) + offset, &mut data);
        data
    }

    /// Writes the device's configuration space.
    pub fn write_config(&mut self, offset: u64, data: &[u8]) {
        self.transport.write(u64::from(VIRTIO_MMIO_CONFIG) + offset, data);
    }

    /// The device status field.
    pub fn status(&mut self) -> u32 {
        self.read(VIRTIO_MMIO_STATUS)
    }

    /// The features the device offers.
    pub fn offered(&mut self) -> u64 {
        self.write(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
        let high = self.read(VIRTIO_MMIO_DEVICE_FEATURES);
        self.write(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
        u64::from(high) << 32 | u64::from(self.read(VIRTIO_MMIO_DEVICE_FEATURES))
    }

    /// Number of queues the device has.
    pub fn queue_count(&mut self) -> u32 {
        (0..).find(|&queue| self.max_size(queue) == 0).unwrap()
    }

    /// The largest size of a queue; zero where there is none.
    pub fn max_size(&mut self, queue: u32) -> u32 {
        self.write(VIRTIO_MMIO_QUEUE_SEL, queue);
        self.read(VIRTIO_MMIO_QUEUE_NUM_MAX)
    }

    /// Goes as far as FEATURES_OK with `features`. True if the device took them.
    pub fn negotiate(&mut self, features: u64) -> bool {
        self.write(VIRTIO_MMIO_STATUS, 0);
        self.write(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
        self.write(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
        for half in 0..2 {
            self.write(VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
            self.write(VIRTIO_MMIO_DRIVER_FEATURES, (features >> (32 * half)) as u32);
        }
        let status = self.status() | VIRTIO_CONFIG_S_FEATURES_OK;
        self.write(VIRTIO_MMIO_STATUS, status);
        self.status() & VIRTIO_CONFIG_S_FEATURES_OK != 0
    }

    /// Writes a queue's registers and sets it ready. True if the device took it.
    pub fn set_up_queue(&mut self, queue: u32, ring: &Ring) -> bool {
        self.write(VIRTIO_MMIO_QUEUE_SEL, queue);
        self.write(VIRTIO_MMIO_QUEUE_NUM, u32::from(ring.size));
        for (low, address) in [
            (VIRTIO_MMIO_QUEUE_DESC_LOW, ring.descriptors),
            (VIRTIO_MMIO_QUEUE_AVAIL_LOW, ring.available),
            (VIRTIO_MMIO_QUEUE_USED_LOW, ring.used),
        ] {
            self.write(low, address as u32);
            self.write(low + 4, (address >> 32) as u32);
        }
        self.write(VIRTIO_MMIO_QUEUE_READY, 1);
        self.read(VIRTIO_MMIO_QUEUE_READY) == 1
    }

    /// A fresh ring for each queue, of the largest size.
    pub fn make_rings(&mut self) -> Vec<Ring> {
        let mut address = RINGS;
        let sizes: Vec<u16> = (0..self.queue_count()).map(|queue| self.max_size(queue) as u16).collect();
        let memory = Arc::clone(&self.memory);
        let place = |size| {
            let ring = Ring::new(&memory, address, size);
            address += Ring::footprint(size);
            assert!(address < BUFFERS, "The queues do not fit the test's memory");
            ring
        };
        sizes.into_iter().map(place).collect()
    }

    /// Negotiates everything, sets up every queue, and sets DRIVER_OK. The device works then.
    pub fn start(&mut self) {
        let features = self.offered();
        self.start_with(features);
    }

    /// As `start`, with some of the features.
    pub fn start_with(&mut self, features: u64) {
        assert!(self.negotiate(features), "Device refuses features it offers");
        self.rings = self.make_rings();
        for (queue, ring) in self.rings.clone().iter().enumerate() {
            assert!(self.set_up_queue(queue as u32, ring), "Device refuses queue {queue}");
        }
        self.go();
        let expected = VIRTIO_CONFIG_S_DRIVER_OK;
        assert_eq!(
            self.status() & (expected | VIRTIO_CONFIG_S_NEEDS_RESET),
            expected,
            "Device does not start"
        );
    }

    /// Sets DRIVER_OK.
    pub fn go(&mut self) {
        let status = self.status() | VIRTIO_CONFIG_S_DRIVER_OK;
        self.write(VIRTIO_MMIO_STATUS, status);
    }

    /// Writes 0 to Status.
    pub fn reset(&mut self) {
        self.write(VIRTIO_MMIO_STATUS, 0);
        assert_eq!(self.status(), 0);
    }

    /// Notifies a queue.
    pub fn notify(&mut self, queue: usize) {
        self.write(VIRTIO_MMIO_QUEUE_NOTIFY, queue as u32);
    }

    /// Makes a chain available and notifies. Its head.
    pub fn add(&mut self, queue: usize, buffers: &[Buffer]) -> u16 {
        let memory = Arc::clone(&self.memory);
        let head = self.rings[queue].add(&memory, buffers);
        self.notify(queue);
        head
    }

    /// Waits until the device returns a chain: head and bytes written.
    pub fn wait_used(&mut self, queue: usize) -> (u32, u32) {
        let memory = Arc::clone(&self.memory);
        let ring = &mut self.rings[queue];
        poll(|| ring.take_used(&memory)).unwrap_or_else(|| panic!("Device returns nothing on queue {queue}"))
    }

    /// Waits for an interrupt, and acknowledges it. The InterruptStatus register before that.
    pub fn wait_interrupt(&mut self) -> u32 {
        poll(|| self.line.read().ok()).expect("Device does not interrupt");
        let status = self.read(VIRTIO_MMIO_INTERRUPT_STATUS);
        self.write(VIRTIO_MMIO_INTERRUPT_ACK, status);
        status
    }

    /// Lets the device do what it has been told, until it returned `chains` on `queue` in all or a moment has passed.
    pub fn settle(&mut self, queue: usize, chains: u16) {
        let end = Instant::now() + Duration::from_millis(30);
        while self.rings[queue].used_index(&self.memory) < chains && Instant::now() < end {
            std::thread::yield_now();
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let ended = self.event_loop.take().unwrap().join();
        if !std::thread::panicking() {
            assert!(ended.is_ok(), "The device panicked on the event loop");
        }
    }
}

/// Tries until there is something or patience ends.
fn poll<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = attempt() {
            return Some(found);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}
