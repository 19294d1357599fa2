//! KVM: the host's device, the virtual machine and its CPUs.

mod cpuid;
mod exits;
mod host;
mod registers;
#[cfg(test)]
mod tests;
mod vcpu;
mod vm;

pub use cpuid::{CpuTopology, supported};
pub use exits::{ExitCounts, ExitReason};
pub use host::{Host, HostError};
pub use registers::{EntryPoint, GDT};
pub use vcpu::{Devices, Stop, Vcpu, VcpuError, VcpuThread};
pub use vm::{Vm, VmError};
