//! The machine: guest RAM, vCPUs, kernel and devices put together.

mod bus;
mod config;
mod error;
mod exit;
#[cfg(test)]
mod tests;

use std::{
    io,
    os::fd::AsFd,
    panic::resume_unwind,
    sync::{Arc, Mutex},
    thread,
};

use kvm_ioctls::Kvm;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

pub use config::MachineConfig;
pub use error::MachineError;
pub use exit::Exit;

use crate::{
    boot::{self, CommandLine, IOAPIC_LINES, Image},
    event_loop::EventLoopHandle,
    kvm::{self, CpuTopology, ExitCounts, Host, Vcpu, VcpuThread, Vm},
    memory::{self, layout},
    serial::{self, Console},
    virtio::{
        GuestRam, USED_BUFFER, VirtioDevice,
        mmio::{INTERRUPT_ACK, MmioTransport, QUEUE_NOTIFY, WINDOW},
    },
};
use bus::Bus;
use exit::ExitSignal;

/// The first interrupt line for virtio devices; those below are a PC's timer, keyboard, cascade and serial ports.
const FIRST_LINE: u32 = 5;
/// The most vCPUs: local APICs have numbers of 8 bits, of which the IOAPIC takes one and "all" another.
const MOST_CPUS: u32 = 254;

/// A virtual machine.
///
/// `new` does the slow part that needs nothing but files, so it may run on a thread of its own while the network is
/// being made; devices follow, then `prepare` and `start`. Whoever owns the event loop watches `exit_event` and asks `exit` why the
/// machine ended.
///
/// Dropping the machine stops and joins the vCPUs. A vCPU may at that moment be waiting for the event loop to take a
/// device's subscriber, so **drop the event loop first** when both are on the same thread.
#[derive(Debug)]
pub struct Machine {
    // Dropped first: nothing may run in the guest while its devices go.
    running: Vec<VcpuThread>,
    ready: Vec<Vcpu>,
    prepared: bool,
    bus: Arc<Bus>,
    vm: Vm,
    memory: GuestRam,
    image: Image,
    command_line: CommandLine,
    event_loop: EventLoopHandle,
    acknowledged: EventFd,
    exit: Arc<ExitSignal>,
    exit_counts: Arc<ExitCounts>,
}

impl Machine {
    /// Opens KVM, maps guest RAM, and loads kernel and initramfs while KVM makes the machine.
    pub fn new(config: MachineConfig, event_loop: EventLoopHandle) -> Result<Self, MachineError> {
        let kvm = Host::default().open()?;
        Machine::with_kvm(&kvm, config, event_loop)
    }

    fn with_kvm(kvm: &Kvm, config: MachineConfig, event_loop: EventLoopHandle) -> Result<Self, MachineError> {
        if !(1..=MOST_CPUS).contains(&config.cpus) {
            return Err(MachineError::Cpus { wanted: config.cpus, limit: MOST_CPUS });
        }
        Vm::check_cpus(kvm, config.cpus)?;
        let memory = memory::allocate(config.memory)?;
        let (image, made) = thread::scope(|scope| {
            let image = scope.spawn(|| boot::load(&memory, &config.kernel, config.initramfs.as_deref()));
            let made = make_vm(kvm, &memory, config.cpus);
            (image.join().unwrap_or_else(|panic| resume_unwind(panic)), made)
        });
        let (image, (vm, ready)) = (image?, made?);
        let console = if config.debug { Some(make_console(&vm)?) } else { None };
        let mut command_line = CommandLine::new(config.debug);
        config.command_line.into_iter().for_each(|word| command_line.push(word));
        Ok(Machine {
            running: Vec::new(),
            ready,
            prepared: false,
            bus: Arc::new(Bus { virtio: Vec::new(), console }),
            vm,
            memory,
            image,
            command_line,
            event_loop,
            acknowledged: EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?,
            exit: Arc::new(ExitSignal::new()?),
            exit_counts: Arc::default(),
        })
    }

    /// Adds a device. The guest finds devices in the order they were added.
    pub fn add_device(&mut self, device: Box<dyn VirtioDevice>) -> Result<(), MachineError> {
        let bus = Arc::get_mut(&mut self.bus).ok_or(MachineError::Running)?;
        let index = bus.virtio.len() as u32;
        let line = FIRST_LINE + index;
        if line >= IOAPIC_LINES {
            return Err(MachineError::TooManyDevices(IOAPIC_LINES - FIRST_LINE));
        }
        let address = layout::DEVICES + WINDOW * u64::from(index);
        let interrupt = interrupt_event(&self.vm, line)?;
        let transport =
            MmioTransport::new(device, Arc::clone(&self.memory), self.event_loop.clone(), interrupt)?;
        for (queue, kick) in transport.kicks().iter().enumerate() {
            self.vm.watch_write(kick, address + QUEUE_NOTIFY, queue as u32)?;
        }
        self.vm.map_page(transport.registers().page(), address)?;
        // Nobody reads it. With it, KVM is done with what a driver writes at the end of nearly every interrupt.
        self.vm.watch_write(&self.acknowledged, address + INTERRUPT_ACK, USED_BUFFER)?;
        bus.virtio.push(Mutex::new(transport));
        self.command_line.push_device(address, line);
        Ok(())
    }

    /// Makes everything ready for the guest's first instruction. No device may be added afterwards.
    pub fn prepare(&mut self) -> Result<(), MachineError> {
        let cpus = self.ready.len() as u32;
        let boots = self.ready.first().ok_or(MachineError::Running)?;
        boots.set_entry(boot::prepare(
            &self.memory,
            &self.image,
            &self.command_line,
            cpus,
            &self.lines(),
        )?)?;
        self.prepared = true;
        Ok(())
    }

    /// Interrupt lines that something is connected to. There is no timer chip.
    fn lines(&self) -> Vec<u32> {
        let console = self.bus.console.as_ref().map(|_| serial::LINE);
        console.into_iter().chain((FIRST_LINE..).take(self.bus.virtio.len())).collect()
    }

    /// Starts the vCPUs. In a closed jail the machine must have been prepared.
    pub fn start(&mut self) -> Result<(), MachineError> {
        let cpus = self.ready.len() as u32;
        if cpus == 0 {
            return Err(MachineError::Running);
        }
        if !self.prepared {
            self.prepare()?;
        }
        for (cpu, vcpu) in (0..cpus).zip(std::mem::take(&mut self.ready)) {
            let exit = Arc::clone(&self.exit);
            let stopped = move |stop| exit.stopped(cpu, stop);
            self.running.push(vcpu.start(Arc::clone(&self.bus), Arc::clone(&self.exit_counts), stopped)?);
        }
        Ok(())
    }

    /// Becomes readable when the machine has ended by itself, and stays so.
    pub fn exit_event(&self) -> &EventFd {
        &self.exit.event
    }

    /// Why the machine ended; `None` while it runs. The first reason is kept.
    pub fn exit(&self) -> Option<&Exit> {
        self.exit.reason.get()
    }

    /// How often the guest left to this process, until now.
    pub fn exit_counts(&self) -> &ExitCounts {
        &self.exit_counts
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // All at once, so that joining one does not wait for the others.
        self.running.iter().for_each(VcpuThread::kick);
    }
}

fn make_vm(kvm: &Kvm, memory: &GuestRam, cpus: u32) -> Result<(Vm, Vec<Vcpu>), MachineError> {
    let vm = Vm::new(kvm, memory)?;
    let supported = kvm::supported(kvm).map_err(MachineError::Cpuid)?;
    let topology = CpuTopology { cpus, tsc_deadline_timer: vm.has_tsc_deadline_timer() };
    let make = |cpu| {
        let cpuid = topology.cpuid(&supported, cpu).map_err(MachineError::Cpuid)?;
        Ok(Vcpu::new(&vm, cpu, &cpuid)?)
    };
    let vcpus = (0..cpus).map(make).collect::<Result<_, MachineError>>()?;
    Ok((vm, vcpus))
}

fn make_console(vm: &Vm) -> Result<Console, MachineError> {
    Ok(Console::new(interrupt_event(vm, serial::LINE)?, io::stderr().as_fd().try_clone_to_owned()?))
}

/// An event that raises interrupt `line`.
fn interrupt_event(vm: &Vm, line: u32) -> Result<EventFd, MachineError> {
    let event = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?;
    vm.connect_interrupt(&event, line)?;
    Ok(event)
}
