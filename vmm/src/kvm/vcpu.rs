//! A virtual CPU and its thread.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, BorrowedFd},
    sync::{
        Arc, Once,
        atomic::{AtomicU8, Ordering},
    },
    thread::{Builder, JoinHandle},
};

use kvm_bindings::{CpuId, kvm_run};
use kvm_ioctls::{VcpuExit, VcpuFd};
use vm_memory::{FileOffset, MmapRegion, VolatileMemory};
use vmm_sys_util::{
    errno,
    signal::{Killable, SIGRTMIN, register_signal_handler, unblock_signal},
};

use crate::jail::{Kind, threads};

use super::{
    EntryPoint, ExitCounts, ExitReason, Vm,
    registers::{set_entry, set_msrs},
    vm::VmError,
};

/// Bytes of `kvm_run` that are mapped to reach `immediate_exit`.
const RUN_PAGE: usize = 4096;

/// What the guest finds at its ports and in the gaps of its memory.
pub trait Devices: Send + Sync {
    /// A read of an I/O port; `data` is filled with zeroes.
    fn port_in(&self, port: u16, data: &mut [u8]);
    /// A write to an I/O port. True if the guest asks for a reset with it.
    fn port_out(&self, port: u16, data: &[u8]) -> bool;
    /// A read of an address that is not memory; `data` is filled with zeroes.
    fn mmio_read(&self, address: u64, data: &mut [u8]);
    /// A write to an address that is not memory.
    fn mmio_write(&self, address: u64, data: &[u8]);
}

/// Why a vCPU stopped.
#[derive(Debug)]
pub enum Stop {
    /// This process wanted it.
    Kicked,
    /// The guest asked for a reset.
    Reset,
    /// Triple fault.
    Crash,
    /// KVM cannot go on.
    Error(VcpuError),
}

/// Why KVM cannot go on with a vCPU.
#[derive(Debug, thiserror::Error)]
pub enum VcpuError {
    /// The call failed.
    #[error("Cannot run the guest")]
    Run(#[source] errno::Error),
    /// The hardware refuses the guest's state.
    #[error("Hardware refuses to enter the guest (reason {reason:#x}, on host CPU {host_cpu})")]
    Entry {
        /// As the hardware names it.
        reason: u64,
        /// The host's CPU.
        host_cpu: u32,
    },
    /// KVM's emulator does not know an instruction.
    #[error(
        "KVM cannot emulate the guest's instruction at {address:#x} (bytes {bytes}); is nested virtualization broken?"
    )]
    Emulation {
        /// Guest virtual address.
        address: u64,
        /// Bytes of the instruction, in hexadecimal.
        bytes: String,
    },
    /// Another of KVM's internal errors.
    #[error("KVM has an internal error (number {number}) at the guest's {address:#x}")]
    Internal {
        /// `KVM_INTERNAL_ERROR_…`.
        number: u32,
        /// Guest virtual address.
        address: u64,
    },
    /// The host cannot give the guest memory it has.
    #[error("The host cannot provide guest memory at {0:#x}")]
    Memory(u64),
    /// An exit this machine never asked for.
    #[error("KVM stopped the guest for an unknown reason: {0}")]
    Unexpected(String),
}

/// A virtual CPU that does not run.
#[derive(Debug)]
pub struct Vcpu {
    number: u32,
    fd: VcpuFd,
}

impl Vcpu {
    /// Makes vCPU `number`. Number 0 boots, the others wait for it.
    pub fn new(vm: &Vm, number: u32, cpuid: &CpuId) -> Result<Self, VmError> {
        install_kick_handler();
        let fd = vm.create_vcpu(number)?;
        let prepared = fd.set_cpuid2(cpuid).and_then(|()| set_msrs(&fd));
        prepared.map_err(|source| VmError::Vcpu { cpu: number, source })?;
        Ok(Vcpu { number, fd })
    }

    /// Says where the guest begins.
    pub fn set_entry(&self, entry: EntryPoint) -> Result<(), VmError> {
        set_entry(&self.fd, entry).map_err(|source| VmError::Vcpu { cpu: self.number, source })
    }

    /// Runs the vCPU on a thread of its own, which calls `stopped` at its end.
    pub fn start<D, F>(self, devices: Arc<D>, counts: Arc<ExitCounts>, stopped: F) -> io::Result<VcpuThread>
    where
        D: Devices + 'static,
        F: FnOnce(Stop) + Send + 'static,
    {
        let run_page = map_run_page(&self.fd)?;
        let name = format!("vcpu{}", self.number);
        let mut fd = self.fd;
        let thread = threads::spawn(Kind::Vcpu, Builder::new().name(name), move || {
            // The signal may be blocked for all of the process; the thread is deaf to it only until here, and the
            // kick is seen on entering the guest all the same.
            let _ = unblock_signal(SIGRTMIN());
            stopped(run(&mut fd, &*devices, &counts));
        })?;
        Ok(VcpuThread { thread: Some(thread), run_page })
    }
}

/// A running vCPU. Dropped, it is stopped and its thread joined.
#[derive(Debug)]
pub struct VcpuThread {
    thread: Option<JoinHandle<()>>,
    run_page: MmapRegion,
}

impl VcpuThread {
    /// Makes the vCPU leave the guest for good, without waiting for it. It may be called again.
    pub fn kick(&self) {
        // The flag keeps the vCPU from entering the guest; the signal makes it leave if it is inside.
        if let Ok(flag) =
            self.run_page.get_atomic_ref::<AtomicU8>(std::mem::offset_of!(kvm_run, immediate_exit))
        {
            flag.store(1, Ordering::SeqCst);
        }
        if let Some(thread) = &self.thread {
            // Fails only if the thread has ended.
            let _ = thread.kill(SIGRTMIN());
        }
    }
}

impl Drop for VcpuThread {
    fn drop(&mut self) {
        self.kick();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("stage1: A vCPU's thread panicked");
        }
    }
}

fn run<D: Devices + ?Sized>(fd: &mut VcpuFd, devices: &D, counts: &ExitCounts) -> Stop {
    loop {
        match fd.run() {
            Ok(VcpuExit::IoIn(port, data)) => {
                counts.count(ExitReason::PortIn);
                data.fill(0);
                devices.port_in(port, data);
            }
            Ok(VcpuExit::IoOut(port, data)) => {
                counts.count(ExitReason::PortOut);
                if devices.port_out(port, data) {
                    return Stop::Reset;
                }
            }
            Ok(VcpuExit::MmioRead(address, data)) => {
                counts.count(ExitReason::MmioRead);
                data.fill(0);
                devices.mmio_read(address, data);
            }
            Ok(VcpuExit::MmioWrite(address, data)) => {
                counts.count(ExitReason::MmioWrite);
                devices.mmio_write(address, data);
            }
            Ok(VcpuExit::Shutdown) => return Stop::Crash,
            Ok(VcpuExit::Intr) => counts.count(ExitReason::Interrupted),
            Ok(VcpuExit::InternalError) => return Stop::Error(internal_error(fd)),
            Ok(VcpuExit::FailEntry(reason, host_cpu)) => {
                return Stop::Error(VcpuError::Entry { reason, host_cpu });
            }
            Ok(VcpuExit::MemoryFault { gpa, .. }) => return Stop::Error(VcpuError::Memory(gpa)),
            Ok(exit) => return Stop::Error(VcpuError::Unexpected(format!("{exit:?}"))),
            Err(error) if [libc::EINTR, libc::EAGAIN].contains(&error.errno()) => {
                counts.count(ExitReason::Interrupted);
                if fd.get_kvm_run().immediate_exit != 0 {
                    return Stop::Kicked;
                }
            }
            Err(error) => return Stop::Error(VcpuError::Run(error)),
        }
    }
}

fn internal_error(fd: &mut VcpuFd) -> VcpuError {
    let address = fd.get_regs().map_or(0, |registers| registers.rip);
    // SAFETY: KVM fills this part of the union for KVM_EXIT_INTERNAL_ERROR, and all its fields are plain numbers.
    let failure = unsafe { fd.get_kvm_run().__bindgen_anon_1.emulation_failure };
    if failure.suberror != kvm_bindings::KVM_INTERNAL_ERROR_EMULATION {
        return VcpuError::Internal { number: failure.suberror, address };
    }
    let has_bytes = failure.ndata >= 3
        && failure.flags & u64::from(kvm_bindings::KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) != 0;
    // SAFETY: as above; the flag says that the instruction's bytes are there.
    let instruction = unsafe { failure.__bindgen_anon_1.__bindgen_anon_1 };
    let length =
        if has_bytes { usize::from(instruction.insn_size).min(instruction.insn_bytes.len()) } else { 0 };
    let bytes = instruction.insn_bytes[..length].iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
    VcpuError::Emulation {
        address,
        bytes: if bytes.is_empty() { "unknown".to_owned() } else { bytes.join(" ") },
    }
}

/// Maps the vCPU's `kvm_run` a second time, so that the flag in it can be set whatever became of the thread.
fn map_run_page(fd: &VcpuFd) -> io::Result<MmapRegion> {
    // SAFETY: the descriptor is open as long as `fd` is, which outlives this borrow.
    let descriptor = unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) }.try_clone_to_owned()?;
    let file = FileOffset::new(File::from(descriptor), 0);
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    MmapRegion::build(Some(file), RUN_PAGE, protection, libc::MAP_SHARED).map_err(io::Error::other)
}

/// The signal only has to interrupt; without a handler it would kill.
fn install_kick_handler() {
    static INSTALLED: Once = Once::new();
    extern "C" fn interrupt(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
    INSTALLED.call_once(|| {
        if let Err(error) = register_signal_handler(SIGRTMIN(), interrupt) {
            eprintln!("stage1: Cannot handle the signal that stops vCPUs: {error}");
        }
    });
}
