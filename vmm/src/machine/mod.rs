//! The machine: guest RAM, vCPUs, kernel and devices put together.

mod config;
mod error;
mod exit;

use vmm_sys_util::eventfd::EventFd;

pub use config::MachineConfig;
pub use error::MachineError;
pub use exit::Exit;

use crate::{event_loop::EventLoopHandle, virtio::VirtioDevice};

/// A virtual machine.
///
/// `new` does the slow part that needs nothing but files, so it may run on a thread of its own while the network is
/// being made; devices follow, then `start`. Whoever owns the event loop watches `exit_event` and asks `exit` why the
/// machine ended.
///
/// Dropping the machine stops and joins the vCPUs. A vCPU may at that moment be waiting for the event loop to take a
/// device's subscriber, so **drop the event loop first** when both are on the same thread.
#[derive(Debug)]
pub struct Machine {}

impl Machine {
    /// Opens KVM, maps guest RAM, and loads kernel and initramfs.
    pub fn new(config: MachineConfig, event_loop: EventLoopHandle) -> Result<Self, MachineError> {
        let _ = (config, event_loop);
        todo!()
    }

    /// Adds a device. The guest finds devices in the order they were added.
    pub fn add_device(&mut self, device: Box<dyn VirtioDevice>) -> Result<(), MachineError> {
        let _ = device;
        todo!()
    }

    /// Starts the vCPUs.
    pub fn start(&mut self) -> Result<(), MachineError> {
        todo!()
    }

    /// Becomes readable when the machine has ended by itself. Level triggered; register it for reading.
    pub fn exit_event(&self) -> &EventFd {
        todo!()
    }

    /// Why the machine ended; `None` while it runs. The first reason is kept.
    pub fn exit(&self) -> Option<&Exit> {
        todo!()
    }
}
