//! The MMIO transport (virtio 1.2 §4.2): the registers through which a driver finds and sets up a device.

mod page;
mod queue;
mod registers;
mod status;
#[cfg(test)]
mod tests;
mod transport;

pub use page::RegisterPage;
pub use transport::{MmioTransport, TransportError};

/// Bytes of guest physical address space each device takes.
pub const WINDOW: u64 = 0x1000;
/// Offset of the InterruptACK register.
pub const INTERRUPT_ACK: u64 = virtio_bindings::virtio_mmio::VIRTIO_MMIO_INTERRUPT_ACK as u64;
/// Offset of the QueueNotify register, where KVM listens for notifications.
pub const QUEUE_NOTIFY: u64 = virtio_bindings::virtio_mmio::VIRTIO_MMIO_QUEUE_NOTIFY as u64;
