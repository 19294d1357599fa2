//! What every virtio device is to its transport.

use std::{
    fmt::Debug,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use virtio_queue::Queue;
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::EventFd;

use crate::event_loop::EventLoopHandle;

/// The guest's memory, shared by every device.
pub type GuestRam = Arc<GuestMemoryMmap>;

/// The used-buffer bit of InterruptStatus (virtio 1.2 §4.2.2).
const INTERRUPT_USED_RING: u32 = 1;
/// The configuration-change bit of InterruptStatus (virtio 1.2 §4.2.2).
const INTERRUPT_CONFIG_CHANGE: u32 = 2;

/// A virtio device, seen by the MMIO transport.
///
/// The transport negotiates features and keeps the queues' registers; the device learns of both in `activate`.
/// Queues are moved into the device, which gives them to whoever serves them: a subscriber it adds to the event
/// loop, or threads of its own.
///
/// ```text
///          activate            guest writes 0 to Status
/// inactive ─────────▶ active ──────────────────────────▶ reset() ─▶ inactive
/// ```
///
/// A machine that ends drops its devices without `reset`, and after the event loop: an active device stops its own
/// threads when it is dropped.
///
/// All methods run on the vCPU thread that made the access, under the transport's lock, never concurrently.
pub trait VirtioDevice: Debug + Send {
    /// Device type (virtio 1.2 §5).
    fn device_type(&self) -> u32;

    /// Feature bits offered by the device. The transport adds `VIRTIO_F_VERSION_1`, and masks what the driver acks.
    fn features(&self) -> u64;

    /// The largest size of each queue, which also says how many there are.
    fn queue_sizes(&self) -> &[u16];

    /// Reads from the configuration space. Bytes beyond its end stay as they are (the transport passes zeroes).
    fn read_config(&self, offset: u64, data: &mut [u8]);

    /// Writes to the configuration space. Most devices have nothing writable.
    fn write_config(&mut self, _offset: u64, _data: &[u8]) {}

    /// Starts work. On an error the transport sets `DEVICE_NEEDS_RESET`.
    fn activate(&mut self, activation: Activation) -> Result<(), ActivateError>;

    /// Stops all work and forgets the driver. When it returns no thread touches the old queues any more, and the
    /// device can be activated again. Never called on an inactive device.
    fn reset(&mut self);
}

/// Everything a device receives when its driver is ready.
#[derive(Debug)]
pub struct Activation {
    /// Guest memory.
    pub memory: GuestRam,
    /// The features both sides agreed on.
    pub features: u64,
    /// One entry per queue, in the device's order. A queue the driver did not set up is not `ready()`.
    pub queues: Vec<ActiveQueue>,
    /// The device's interrupt.
    pub interrupt: Arc<Interrupt>,
    /// The loop on which the device may be served.
    pub event_loop: EventLoopHandle,
}

/// A queue with the event the driver signals when it made buffers available.
#[derive(Debug)]
pub struct ActiveQueue {
    /// The queue; its addresses have been checked to lie in guest memory.
    pub queue: Queue,
    /// Written by KVM itself on a notification (ioeventfd); non-blocking.
    pub kick: EventFd,
}

/// Why a device could not start.
#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    /// The event loop did not take the device's subscriber.
    #[error("Event loop refused the device")]
    EventLoop(#[from] event_manager::Error),
    /// A system resource was refused.
    #[error("Cannot allocate what the device needs")]
    Resource(#[from] io::Error),
    /// The driver left out a queue without which the device cannot work.
    #[error("Driver did not enable queue {0}")]
    MissingQueue(usize),
}

/// A device's interrupt: the status register the driver reads and the event that raises the line through KVM (irqfd).
#[derive(Debug)]
pub struct Interrupt {
    status: AtomicU32,
    config_generation: AtomicU32,
    raised_by_others: AtomicBool,
    line: EventFd,
}

impl Interrupt {
    /// An interrupt that raises its line by writing to `line`.
    pub fn new(line: EventFd) -> Self {
        Interrupt {
            status: AtomicU32::new(0),
            config_generation: AtomicU32::new(0),
            raised_by_others: AtomicBool::new(false),
            line,
        }
    }

    /// Tells the driver that a queue has used buffers.
    pub fn signal_used(&self) {
        self.raise(INTERRUPT_USED_RING);
    }

    /// Tells the driver that the configuration space changed. Call it after the change.
    pub fn signal_config(&self) {
        self.config_generation.fetch_add(1, Ordering::SeqCst);
        self.raise(INTERRUPT_CONFIG_CHANGE);
    }

    /// The ConfigGeneration register: different whenever the configuration space changed.
    pub fn config_generation(&self) -> u32 {
        self.config_generation.load(Ordering::SeqCst)
    }

    /// The InterruptStatus register.
    pub fn status(&self) -> u32 {
        let others = if self.raised_by_others.load(Ordering::SeqCst) { INTERRUPT_USED_RING } else { 0 };
        self.status.load(Ordering::SeqCst) | others
    }

    /// The event that raises the line, for who does so without this process (see `set_raised_by_others`).
    pub fn line(&self) -> &EventFd {
        &self.line
    }

    /// Says whether others than this process, such as the host's kernel, raise the line for used buffers. They do not
    /// set the bit in InterruptStatus: it is always set meanwhile.
    pub fn set_raised_by_others(&self, by_others: bool) {
        self.raised_by_others.store(by_others, Ordering::SeqCst);
    }

    /// The driver's write to InterruptACK.
    pub fn acknowledge(&self, bits: u32) {
        self.status.fetch_and(!bits, Ordering::SeqCst);
    }

    fn raise(&self, bit: u32) {
        self.status.fetch_or(bit, Ordering::SeqCst);
        // A failed write means the counter is at its limit: the interrupt is pending already.
        let _ = self.line.write(1);
    }
}
