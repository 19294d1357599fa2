//! Why a machine could not be made or started.

use std::io;

use vmm_sys_util::errno;

use crate::{
    boot::BootError,
    kvm::{HostError, VmError},
    memory::MemoryError,
    virtio::mmio::TransportError,
};

/// Why a machine could not be made or started.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The host cannot run guests.
    #[error("Cannot run virtual machines on this host")]
    Host(#[from] HostError),
    /// No guest RAM.
    #[error("Cannot make guest memory")]
    Memory(#[from] MemoryError),
    /// KVM refused something.
    #[error("Cannot make a virtual machine")]
    Vm(#[from] VmError),
    /// KVM does not say what the CPU supports.
    #[error("Cannot ask KVM what its CPUs support")]
    Cpuid(#[source] errno::Error),
    /// Kernel or initramfs.
    #[error("Cannot prepare the guest kernel")]
    Boot(#[from] BootError),
    /// A device.
    #[error("Cannot add a device")]
    Device(#[from] TransportError),
    /// More devices than interrupt lines.
    #[error("A machine has at most {0} devices")]
    TooManyDevices(u32),
    /// A number of vCPUs that makes no machine.
    #[error("A machine has 1 to {limit} vCPUs, not {wanted}")]
    Cpus {
        /// As configured.
        wanted: u32,
        /// The most local APICs have numbers for.
        limit: u32,
    },
    /// A device or a second start after the first.
    #[error("The machine runs already")]
    Running,
    /// A thread or descriptor was refused.
    #[error("Cannot allocate what the machine needs")]
    Resource(#[from] io::Error),
}
