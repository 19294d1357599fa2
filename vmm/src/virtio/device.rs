//! What every virtio device is to its transport.

use std::{
    fmt::Debug,
    io,
    sync::{Arc, atomic::Ordering},
};

use virtio_queue::Queue;
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::EventFd;

use super::mmio::RegisterPage;
use crate::event_loop::EventLoopHandle;

/// The guest's memory, shared by every device.
pub type GuestRam = Arc<GuestMemoryMmap>;

/// The used-buffer bit of InterruptStatus (virtio 1.2 §4.2.2).
pub const USED_BUFFER: u32 = 1;
/// The configuration-change bit of InterruptStatus (virtio 1.2 §4.2.2).
const CONFIG_CHANGE: u32 = 2;

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

    /// The configuration space as it is now; at most 256 bytes are shown to the driver.
    fn config_space(&self) -> Vec<u8>;

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
///
/// The register says "used buffers" for as long as the device works, true or not. A driver that is interrupted looks for
/// them then, and finds none at worst. So others may raise the line without this process (vhost-net), and KVM can take
/// the driver's acknowledgement without an exit, for nothing depends on it.
#[derive(Debug)]
pub struct Interrupt {
    registers: Arc<RegisterPage>,
    line: EventFd,
}

impl Interrupt {
    /// An interrupt that raises its line by writing to `line` and shows its status in `registers`.
    pub fn new(line: EventFd, registers: Arc<RegisterPage>) -> Self {
        Interrupt { registers, line }
    }

    /// Tells the driver that a queue has used buffers.
    pub fn signal_used(&self) {
        // A failed write means the counter is at its limit: the interrupt is pending already.
        let _ = self.line.write(1);
    }

    /// Tells the driver that the device needs a reset, which counts as a change of configuration (virtio 1.2 §2.4).
    pub fn signal_config(&self) {
        self.registers.config_generation().fetch_add(1, Ordering::SeqCst);
        self.registers.interrupt_status().fetch_or(CONFIG_CHANGE, Ordering::SeqCst);
        self.signal_used();
    }

    /// Tells the driver that the configuration space has become what `read` returns.
    pub fn change_config(&self, read: impl FnOnce() -> Vec<u8>) {
        self.registers.set_config(read);
        self.signal_config();
    }

    /// The event that raises the line, for who does so without this process.
    pub fn line(&self) -> &EventFd {
        &self.line
    }

    /// The device begins to work.
    pub(super) fn enable(&self) {
        self.registers.interrupt_status().store(USED_BUFFER, Ordering::SeqCst);
    }

    /// The device does not work any more.
    pub(super) fn disable(&self) {
        self.registers.interrupt_status().store(0, Ordering::SeqCst);
    }

    /// The driver's write to InterruptACK.
    pub(super) fn acknowledge(&self, bits: u32) {
        self.registers.interrupt_status().fetch_and(!(bits & CONFIG_CHANGE), Ordering::SeqCst);
    }
}
