//! Virtio devices over MMIO (virtio 1.2).

pub mod balloon;
#[cfg(test)]
pub mod conformance;
mod device;
pub mod fs;
pub mod mmio;
pub mod net;
mod queue;
pub mod rng;
pub mod vsock;

pub use device::{ActivateError, Activation, ActiveQueue, GuestRam, Interrupt, USED_BUFFER, VirtioDevice};
