//! The MMIO transport (virtio 1.2 §4.2): the registers through which a driver finds and sets up a device.

mod queue;
mod registers;
mod status;
#[cfg(test)]
mod tests;
mod transport;

pub use transport::{MmioTransport, TransportError};

/// Bytes of guest physical address space each device takes.
pub const WINDOW: u64 = 0x1000;
/// Offset of the QueueNotify register, where KVM listens for notifications.
pub const QUEUE_NOTIFY: u64 = virtio_bindings::virtio_mmio::VIRTIO_MMIO_QUEUE_NOTIFY as u64;
