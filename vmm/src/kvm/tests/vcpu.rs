use std::{
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use kvm_ioctls::Kvm;
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::{
    kvm::{
        CpuTopology, Devices, EntryPoint, ExitCounts, ExitReason, Host, Stop, Vcpu, VcpuThread, Vm, supported,
    },
    memory::{self, layout},
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Pulls the reset line: out 0x64, 0xfe.
const RESET: &[u8] = &[0xb0, 0xfe, 0xe6, 0x64];

/// Notes every access; reads of ports give 0x5a, of memory 0xa5.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

impl Devices for Recorder {
    fn port_in(&self, port: u16, data: &mut [u8]) {
        self.note(format!("in {port:#x} {}", data.len()));
        data.fill(0x5a);
    }

    fn port_out(&self, port: u16, data: &[u8]) -> bool {
        self.note(format!("out {port:#x} {data:x?}"));
        port == 0x64
    }

    fn mmio_read(&self, address: u64, data: &mut [u8]) {
        self.note(format!("read {address:#x} {}", data.len()));
        data.fill(0xa5);
    }

    fn mmio_write(&self, address: u64, data: &[u8]) {
        self.note(format!("write {address:#x} {data:x?}"));
    }
}

struct Guest {
    vm: Vm,
    threads: Vec<VcpuThread>,
    devices: Arc<Recorder>,
    counts: Arc<ExitCounts>,
    stops: mpsc::Receiver<Stop>,
}

impl Guest {
    /// The first stop.
    fn stopped(&self) -> Stop {
        self.stops.recv_timeout(PATIENCE).expect("The guest goes on and on")
    }

    fn log(&self) -> Vec<String> {
        self.devices.0.lock().unwrap().clone()
    }
}

fn kvm() -> Option<Kvm> {
    let kvm = Host::default().open_any().inspect_err(|error| eprintln!("skipped: {error}")).ok();
    assert!(kvm.is_some() || !std::path::Path::new("/dev/kvm").exists(), "KVM is there and does not work");
    kvm
}

/// A VM whose first CPU runs `code` in 32-bit mode, after `prepare` saw the VM.
fn run(code: &[u8], cpus: u32, prepare: impl FnOnce(&Vm)) -> Option<Guest> {
    let kvm = kvm()?;
    let memory = memory::allocate(memory::SMALLEST).unwrap();
    memory.write_slice(code, GuestAddress(layout::KERNEL)).unwrap();
    let vm = Vm::new(&kvm, &memory).unwrap();
    prepare(&vm);
    let (devices, counts) = (Arc::<Recorder>::default(), Arc::<ExitCounts>::default());
    let (sender, stops) = mpsc::channel();
    let topology = CpuTopology { cpus, tsc_deadline_timer: vm.has_tsc_deadline_timer() };
    let host = supported(&kvm).unwrap();
    let start = |cpu| {
        let vcpu = Vcpu::new(&vm, cpu, &topology.cpuid(&host, cpu).unwrap()).unwrap();
        if cpu == 0 {
            vcpu.set_entry(EntryPoint::Pvh(layout::KERNEL)).unwrap();
        }
        let sender = sender.clone();
        vcpu.start(Arc::clone(&devices), Arc::clone(&counts), move |stop| sender.send(stop).unwrap()).unwrap()
    };
    let threads = (0..cpus).map(start).collect();
    Some(Guest { vm, threads, devices, counts, stops })
}

#[test]
fn ports_and_reset() {
    // mov dx, 0x3f8; in al, dx; out dx, al; in eax, dx
    let code = [&[0x66, 0xba, 0xf8, 0x03, 0xec, 0xee, 0xed], RESET].concat();
    let Some(guest) = run(&code, 1, |_| ()) else { return };
    assert!(matches!(guest.stopped(), Stop::Reset));
    assert_eq!(guest.log(), ["in 0x3f8 1", "out 0x3f8 [5a]", "in 0x3f8 4", "out 0x64 [fe]"]);
    assert_eq!((guest.counts.of(ExitReason::PortIn), guest.counts.of(ExitReason::PortOut)), (2, 2));
}

#[test]
fn device_registers() {
    // mov eax, [0xd0000000]; mov [0xd0000004], eax; mov al, [0xd0001001]
    let code = [&[0xa1, 0, 0, 0, 0xd0, 0xa3, 4, 0, 0, 0xd0, 0xa0, 1, 0x10, 0, 0xd0], RESET].concat();
    let Some(guest) = run(&code, 1, |_| ()) else { return };
    assert!(matches!(guest.stopped(), Stop::Reset));
    let expected =
        ["read 0xd0000000 4", "write 0xd0000004 [a5, a5, a5, a5]", "read 0xd0001001 1", "out 0x64 [fe]"];
    assert_eq!(guest.log(), expected);
    assert_eq!(guest.counts.to_string(), "PortIn 0, PortOut 1, MmioRead 2, MmioWrite 1, Interrupted 0");
}

#[test]
fn watched_writes_do_not_leave_the_kernel() {
    // mov eax, 1; mov [0xd0000050], eax; mov eax, 2; mov [0xd0000050], eax
    let store = |value| [0xb8, value, 0, 0, 0, 0xa3, 0x50, 0, 0, 0xd0];
    let code = [&store(1), &store(2), RESET].concat();
    let event = EventFd::new(EFD_NONBLOCK).unwrap();
    let Some(guest) = run(&code, 1, |vm| vm.watch_write(&event, 0xd000_0050, 1).unwrap()) else { return };
    assert!(matches!(guest.stopped(), Stop::Reset));
    assert_eq!(event.read().unwrap(), 1);
    assert_eq!(guest.log(), ["write 0xd0000050 [2, 0, 0, 0]", "out 0x64 [fe]"]);
}

#[test]
fn interrupts_reach_the_controller() {
    let Some(guest) = run(RESET, 1, |_| ()) else { return };
    assert!(matches!(guest.stopped(), Stop::Reset));
    let event = EventFd::new(EFD_NONBLOCK).unwrap();
    guest.vm.connect_interrupt(&event, 5).unwrap();
    assert_eq!(guest.vm.pending_interrupts() & 1 << 5, 0);
    event.write(1).unwrap();
    let end = Instant::now() + PATIENCE;
    while guest.vm.pending_interrupts() & 1 << 5 == 0 {
        assert!(Instant::now() < end, "The interrupt is lost");
        std::thread::yield_now();
    }
}

#[test]
fn a_triple_fault_is_a_crash() {
    // ud2, without anything to handle it.
    let Some(guest) = run(&[0x0f, 0x0b], 1, |_| ()) else { return };
    let stop = guest.stopped();
    assert!(matches!(stop, Stop::Crash), "{stop:?}");
}

#[test]
fn a_guest_that_never_ends_is_stopped() {
    // jmp $; and cli; hlt, which waits inside the kernel.
    for code in [&[0xeb, 0xfe], &[0xfa, 0xf4]] {
        let Some(guest) = run(code, 3, |_| ()) else { return };
        std::thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        drop(guest.threads);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        for _ in 0..3 {
            assert!(matches!(guest.stops.recv_timeout(PATIENCE), Ok(Stop::Kicked)));
        }
    }
}

#[test]
fn stopping_right_after_starting_is_no_race() {
    for _ in 0..100 {
        let Some(mut guest) = run(&[0xeb, 0xfe], 2, |_| ()) else { return };
        guest.threads.clear();
        assert!(matches!(guest.stopped(), Stop::Kicked));
    }
}

#[test]
fn cpuid_reaches_the_guest() {
    // mov eax, 1; xor ecx, ecx; cpuid; mov eax, ebx; mov dx, 0x3f8; out dx, eax
    let code = [&[0xb8, 1, 0, 0, 0, 0x31, 0xc9, 0x0f, 0xa2, 0x89, 0xd8, 0x66, 0xba, 0xf8, 0x03, 0xef], RESET]
        .concat();
    let Some(guest) = run(&code, 5, |_| ()) else { return };
    assert!(matches!(guest.stopped(), Stop::Reset));
    let log = guest.log();
    assert!(log[0].ends_with(", 5, 0]"), "APIC 0 of 5 CPUs: {log:?}");
}

#[test]
fn more_cpus_than_kvm_has_are_refused() {
    let Some(kvm) = kvm() else { return };
    let most = kvm.get_max_vcpus() as u32;
    Vm::check_cpus(&kvm, most).unwrap();
    let error = Vm::check_cpus(&kvm, most + 1).unwrap_err().to_string();
    assert_eq!(error, format!("{} vCPUs wanted, this host's KVM supports {most}", most + 1));
}
