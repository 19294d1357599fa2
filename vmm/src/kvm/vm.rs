//! The virtual machine: memory slots, interrupt controllers, events.

use std::sync::Arc;

use kvm_bindings::{KVM_MEM_READONLY, kvm_userspace_memory_region};
use kvm_ioctls::{Cap, IoEventAddress, Kvm, VcpuFd, VmFd};
use vm_memory::{Address, GuestMemory, GuestMemoryRegion};
use vmm_sys_util::{errno, eventfd::EventFd};

use crate::{
    memory::{PAGE, ReadOnlyPage, layout},
    virtio::GuestRam,
};

/// An I/O event's access width: QueueNotify is a 32-bit register.
type NotifyValue = u32;

/// Which of KVM's services failed.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// No more virtual machines.
    #[error("Cannot create a virtual machine")]
    Create(#[source] errno::Error),
    /// KVM's own pages.
    #[error("Cannot place KVM's own pages in the guest's address space")]
    Pages(#[source] errno::Error),
    /// Interrupt controllers.
    #[error("Cannot create the guest's interrupt controllers")]
    Irqchip(#[source] errno::Error),
    /// Guest memory.
    #[error("Cannot give {size} bytes of memory at {start:#x} to the guest")]
    Memory {
        /// Guest physical address.
        start: u64,
        /// Bytes.
        size: u64,
        /// Why.
        source: errno::Error,
    },
    /// A vCPU.
    #[error("Cannot create vCPU {cpu}")]
    Vcpu {
        /// Its number.
        cpu: u32,
        /// Why.
        source: errno::Error,
    },
    /// Event on a register.
    #[error("Cannot watch the guest's writes to {address:#x}")]
    IoEvent {
        /// Guest physical address.
        address: u64,
        /// Why.
        source: errno::Error,
    },
    /// Event on an interrupt line.
    #[error("Cannot connect interrupt line {line}")]
    Interrupt {
        /// Its number.
        line: u32,
        /// Why.
        source: errno::Error,
    },
    /// More vCPUs than KVM supports.
    #[error("{wanted} vCPUs wanted, this host's KVM supports {supported}")]
    TooManyCpus {
        /// As configured.
        wanted: u32,
        /// The host's limit.
        supported: u32,
    },
}

/// A virtual machine. Holds the memory it maps.
#[derive(Debug)]
pub struct Vm {
    fd: VmFd,
    // Mapped as long as the VM can reach it.
    memory: GuestRam,
    pages: Vec<Arc<ReadOnlyPage>>,
}

impl Vm {
    /// Makes a virtual machine with interrupt controllers and `memory`. There is no timer chip: the guest has the
    /// local APIC's timer and KVM's clock.
    pub fn new(kvm: &Kvm, memory: &GuestRam) -> Result<Self, VmError> {
        let fd = create(kvm)?;
        fd.set_identity_map_address(layout::IDENTITY_MAP).map_err(VmError::Pages)?;
        fd.set_tss_address(layout::TSS as usize).map_err(VmError::Pages)?;
        fd.create_irq_chip().map_err(VmError::Irqchip)?;
        for (slot, region) in memory.iter().enumerate() {
            let (start, size) = (region.start_addr().raw_value(), region.len());
            let slot = kvm_userspace_memory_region {
                slot: slot as u32,
                flags: 0,
                guest_phys_addr: start,
                memory_size: size,
                userspace_addr: region.as_ptr() as u64,
            };
            // SAFETY: the region is mapped, its slots do not overlap, and `memory` keeps it mapped while the VM lives.
            unsafe { fd.set_user_memory_region(slot) }.map_err(|source| VmError::Memory {
                start,
                size,
                source,
            })?;
        }
        Ok(Vm { fd, memory: GuestRam::clone(memory), pages: Vec::new() })
    }

    /// Lets the guest read `page` at `start` without an exit, if KVM can; writes go on to exit.
    pub fn map_page(&mut self, page: &Arc<ReadOnlyPage>, start: u64) -> Result<(), VmError> {
        if !self.fd.check_extension(Cap::ReadonlyMem) {
            return Ok(());
        }
        let slot = kvm_userspace_memory_region {
            slot: (self.memory.num_regions() + self.pages.len()) as u32,
            flags: KVM_MEM_READONLY,
            guest_phys_addr: start,
            memory_size: PAGE as u64,
            userspace_addr: Arc::as_ptr(page) as u64,
        };
        self.pages.push(Arc::clone(page));
        // SAFETY: the page is whole pages of this process, `pages` keeps it while the VM lives, and its words are atomic.
        unsafe { self.fd.set_user_memory_region(slot) }.map_err(|source| VmError::Memory {
            start,
            size: PAGE as u64,
            source,
        })
    }

    /// Checks that KVM supports `cpus` vCPUs.
    pub fn check_cpus(kvm: &Kvm, cpus: u32) -> Result<(), VmError> {
        let supported = kvm.get_max_vcpus() as u32;
        if cpus > supported { Err(VmError::TooManyCpus { wanted: cpus, supported }) } else { Ok(()) }
    }

    /// The timer the guest can set to a time stamp is there.
    pub fn has_tsc_deadline_timer(&self) -> bool {
        self.fd.check_extension(Cap::TscDeadlineTimer)
    }

    /// Makes vCPU `cpu`, whose local APIC has the same number.
    pub fn create_vcpu(&self, cpu: u32) -> Result<VcpuFd, VmError> {
        self.fd.create_vcpu(u64::from(cpu)).map_err(|source| VmError::Vcpu { cpu, source })
    }

    /// Has KVM signal `event` when the guest writes the 32-bit `value` to `address`.
    pub fn watch_write(&self, event: &EventFd, address: u64, value: NotifyValue) -> Result<(), VmError> {
        let register = IoEventAddress::Mmio(address);
        self.fd
            .register_ioevent(event, &register, value)
            .map_err(|source| VmError::IoEvent { address, source })
    }

    /// Has KVM raise interrupt `line` when `event` is signalled.
    pub fn connect_interrupt(&self, event: &EventFd, line: u32) -> Result<(), VmError> {
        self.fd.register_irqfd(event, line).map_err(|source| VmError::Interrupt { line, source })
    }

    /// For tests: interrupts that wait in the first of the old interrupt controllers, one bit for each.
    #[cfg(test)]
    pub(super) fn pending_interrupts(&self) -> u8 {
        let mut chip =
            kvm_bindings::kvm_irqchip { chip_id: kvm_bindings::KVM_IRQCHIP_PIC_MASTER, ..Default::default() };
        self.fd.get_irqchip(&mut chip).unwrap();
        // SAFETY: KVM filled the part of the union that belongs to the chip asked for.
        unsafe { chip.chip.pic.irr }
    }
}

/// Creating a VM can be interrupted by a signal, and the ioctl is not restarted then.
fn create(kvm: &Kvm) -> Result<VmFd, VmError> {
    loop {
        match kvm.create_vm() {
            Err(error) if error.errno() == libc::EINTR => {}
            result => return result.map_err(VmError::Create),
        }
    }
}
