//! Virtio devices over MMIO (virtio 1.2).

mod device;
pub mod vsock;

pub use device::{ActivateError, Activation, ActiveQueue, GuestRam, Interrupt, VirtioDevice};
