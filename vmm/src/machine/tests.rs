use std::{os::fd::AsRawFd, time::Duration};

use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::{boot::tests::elf, event_loop::EventLoop, virtio::rng::Rng};

/// out 0x64, 0xfe
const RESET: &[u8] = &[0xb0, 0xfe, 0xe6, 0x64];
/// jmp $
const FOREVER: &[u8] = &[0xeb, 0xfe];

struct Fixture {
    _directory: tempfile::TempDir,
    config: MachineConfig,
    event_loop: EventLoop,
}

fn fixture(code: &[u8]) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let kernel = directory.path().join("kernel");
    std::fs::write(&kernel, elf(code, true)).unwrap();
    let config = MachineConfig {
        kernel,
        initramfs: None,
        command_line: Vec::new(),
        cpus: 2,
        memory: 16 << 20,
        debug: false,
    };
    Fixture { _directory: directory, config, event_loop: EventLoop::new().unwrap() }
}

impl Fixture {
    fn machine(&self) -> Option<Result<Machine, MachineError>> {
        let kvm = Host::default().open_any().inspect_err(|error| eprintln!("skipped: {error}")).ok()?;
        Some(Machine::with_kvm(&kvm, self.config.clone(), self.event_loop.remote_endpoint()))
    }

    fn error(&self) -> String {
        self.machine().map_or(String::new(), |machine| machine.unwrap_err().to_string())
    }
}

fn wait(machine: &Machine) {
    let mut descriptor =
        libc::pollfd { fd: machine.exit_event().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one descriptor, and it is open.
    assert_eq!(unsafe { libc::poll(&mut descriptor, 1, 20_000) }, 1, "The machine does not end");
}

#[test]
fn a_guest_finds_its_devices_and_says_that_it_ends() {
    // mov eax, [0xd0000000]; mov [0x2000], eax; the same of 0xd0001000; mov eax, [0xd0002000], where nothing is; reset.
    let read = |window: u8| [0xa1, 0, window * 0x10, 0, 0xd0];
    let keep = |word: u8| [0xa3, word * 4, 0x20, 0, 0];
    let fixture = fixture(&[&read(0), &keep(0)[..], &read(1), &keep(1), &read(2), RESET].concat());
    let Some(machine) = fixture.machine() else { return };
    let mut machine = machine.unwrap();
    machine.add_device(Box::new(Rng::default())).unwrap();
    machine.add_device(Box::new(Rng::default())).unwrap();
    assert!(machine.exit().is_none());
    machine.start().unwrap();
    wait(&machine);
    assert!(matches!(machine.exit(), Some(Exit::Reset)), "{:?}", machine.exit());
    let magic: [u8; 8] = machine.memory.read_obj(GuestAddress(0x2000)).unwrap();
    assert_eq!(&magic, b"virtvirt");
    // Registers are read without leaving the guest.
    assert_eq!(machine.exit_counts().of(kvm::ExitReason::MmioRead), 1);
    wait(&machine);
}

#[test]
fn only_what_matters_of_an_acknowledgement_leaves_the_guest() {
    // mov dword [0xd0000064], 1: used buffers; then 2: a change of the configuration; reset.
    let acknowledge = |bits: u8| [0xc7, 0x05, 0x64, 0, 0, 0xd0, bits, 0, 0, 0];
    let fixture = fixture(&[&acknowledge(1), &acknowledge(2), RESET].concat());
    let Some(machine) = fixture.machine() else { return };
    let mut machine = machine.unwrap();
    machine.add_device(Box::new(Rng::default())).unwrap();
    machine.start().unwrap();
    wait(&machine);
    assert!(matches!(machine.exit(), Some(Exit::Reset)), "{:?}", machine.exit());
    assert_eq!(machine.exit_counts().of(kvm::ExitReason::MmioWrite), 1);
}

#[test]
fn a_crash_says_what_to_do() {
    let fixture = fixture(&[0x0f, 0x0b]);
    let Some(machine) = fixture.machine() else { return };
    let mut machine = machine.unwrap();
    machine.start().unwrap();
    wait(&machine);
    let text = machine.exit().unwrap().to_string();
    assert_eq!(text, "Guest kernel crashed (run with --debug to see its messages)");
}

#[test]
fn a_vcpu_that_fails_says_why() {
    let source = kvm::VcpuError::Entry { reason: 0x21, host_cpu: 3 };
    let exit = Exit::Vcpu { cpu: 1, source };
    let expected = "vCPU 1 failed: Hardware refuses to enter the guest (reason 0x21, on host CPU 3)";
    assert_eq!(exit.line(), expected);
}

#[test]
fn a_machine_can_be_dropped_at_any_time() {
    let fixture = fixture(FOREVER);
    let Some(machine) = fixture.machine() else { return };
    drop(machine.unwrap());
    for wait in [0, 5] {
        let mut machine = fixture.machine().unwrap().unwrap();
        machine.start().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        assert!(machine.exit().is_none());
    }
}

#[test]
fn a_running_machine_is_not_changed() {
    let fixture = fixture(FOREVER);
    let Some(machine) = fixture.machine() else { return };
    let mut machine = machine.unwrap();
    machine.start().unwrap();
    assert!(matches!(machine.add_device(Box::new(Rng::default())), Err(MachineError::Running)));
    assert!(matches!(machine.start(), Err(MachineError::Running)));
}

#[test]
fn devices_are_as_many_as_interrupt_lines() {
    let fixture = fixture(RESET);
    let Some(machine) = fixture.machine() else { return };
    let mut machine = machine.unwrap();
    for _ in 0..19 {
        machine.add_device(Box::new(Rng::default())).unwrap();
    }
    let error = machine.add_device(Box::new(Rng::default())).unwrap_err();
    assert_eq!(error.to_string(), "A machine has at most 19 devices");
    machine.start().unwrap();
    wait(&machine);
}

#[test]
fn impossible_machines_are_refused() {
    let mut fixture = fixture(RESET);
    if fixture.machine().is_none() {
        return;
    }
    for cpus in [0, 255, u32::MAX] {
        fixture.config.cpus = cpus;
        assert_eq!(fixture.error(), format!("A machine has 1 to 254 vCPUs, not {cpus}"));
    }
    fixture.config.cpus = 1;
    for memory in [0, 1 << 20, u64::MAX] {
        fixture.config.memory = memory;
        assert_eq!(fixture.error(), "Cannot make guest memory");
    }
    fixture.config.memory = 16 << 20;
    fixture.config.kernel = "/nonexistent".into();
    assert_eq!(fixture.error(), "Cannot prepare the guest kernel");
}

/// Descriptors and threads of this process.
fn possessions() -> (Vec<String>, usize) {
    let names = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let target = std::fs::read_link(entry.unwrap().path()).ok()?;
        Some(target.to_string_lossy().into_owned())
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    (names, std::fs::read_dir("/proc/self/task").unwrap().count())
}

#[test]
fn a_machine_leaves_nothing_behind() {
    // Other tests of this process come and go: counted in a process of its own.
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let status =
        child.args(["--exact", "machine::tests::leaves_nothing_behind_alone", "--ignored"]).status().unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "run by a_machine_leaves_nothing_behind"]
fn leaves_nothing_behind_alone() {
    let fixture = fixture(FOREVER);
    if fixture.machine().is_none() {
        return;
    }
    let before = possessions();
    for round in 0..20 {
        let mut machine = fixture.machine().unwrap().unwrap();
        machine.add_device(Box::new(Rng::default())).unwrap();
        if round % 2 == 0 {
            machine.start().unwrap();
        }
    }
    assert_eq!(before, possessions());
    // Nor does a machine that cannot be made.
    let mut config = fixture.config.clone();
    config.kernel = "/dev/null".into();
    let kvm = Host::default().open_any().unwrap();
    for _ in 0..5 {
        Machine::with_kvm(&kvm, config.clone(), fixture.event_loop.remote_endpoint()).unwrap_err();
    }
    drop(kvm);
    assert_eq!(before, possessions());
}
