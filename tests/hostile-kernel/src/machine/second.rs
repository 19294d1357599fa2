//! The second processor: it does one thing to a device, again and again, while the first does another. That is a race.

use core::{
    arch::global_asm,
    slice,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst},
};

use hostile_kernel::{descriptor::Descriptor, random::Random};

use super::{Device, PATIENCE, port, ram, register, within};

global_asm!(
    r#"
    /* Copied to where a processor in real mode can begin: what it needs of itself it finds from its start. */
    .section .rodata.second, "a"
    .global second_begins, second_ends
    .code16
second_begins:
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl second_tables - second_begins
    mov %cr4, %eax
    or $0x620, %eax
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    and $0x9ffffffb, %eax
    or $0x80000003, %eax
    mov %eax, %cr0
    ljmpl $8, $second_in_long_mode
    .balign 4
second_tables:
    .word 23
    .long descriptors
second_ends:

    .section .text.second, "ax"
    .code64
second_in_long_mode:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $second_stack_end, %esp
    xor %ebp, %ebp
    call second_main

    .section .bss.second, "aw", @nobits
    .balign 4096
second_stack:     .skip 64 * 1024
second_stack_end:
    "#,
    options(att_syntax)
);

unsafe extern "C" {
    static second_begins: u8;
    static second_ends: u8;
}

/// The second entry of the MP table, which names processors first, and what begins an entry that names one.
const SECOND_ENTRY: u64 = 0xf_0010 + 44 + 20;
const PROCESSOR: u8 = 0;
/// Where it begins, and the number of that page.
const BEGINNING: u64 = 0x1_0000;
const BEGINNING_PAGE: u32 = 0x10;
/// Registers of the local APIC that send interrupts (Intel SDM 3, "Interrupt Command Register"), and what begins a processor.
const COMMAND: u64 = 0xfee0_0300;
const DESTINATION: u64 = 0xfee0_0310;
/// The register that turns a local APIC on, and its value with the last vector. KVM finds no other processor before that.
const SPURIOUS: u64 = 0xfee0_00f0;
const ON: u32 = 0x1ff;
const INIT: u32 = 0x4500;
const STARTUP: u32 = 0x4600;
/// The local APIC of the second processor.
const SECOND: u32 = 1;
/// Queues that are notified.
const QUEUES: u64 = 8;

/// What it does.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub enum Deed {
    /// Notifies queues, those that are not there among them.
    Notify,
    /// Writes into the rings and tables of the first queues, and notifies them.
    Rings,
    /// Writes anything to the registers with which a driver sets a device up.
    Registers,
}

static DEED: AtomicU32 = AtomicU32::new(0);
static DEVICE: AtomicU64 = AtomicU64::new(0);
static GOES_ON: AtomicBool = AtomicBool::new(false);
static RUNS: AtomicBool = AtomicBool::new(false);

/// Whether there is one.
pub fn is_there() -> bool {
    ram::read(SECOND_ENTRY) == [PROCESSOR]
}

/// Does `ours` while the second processor does its deed to `device`, and waits until that has stopped.
pub fn beside(deed: Deed, device: Device, ours: impl FnOnce()) {
    DEED.store(deed as u32, SeqCst);
    DEVICE.store(device.base, SeqCst);
    GOES_ON.store(true, SeqCst);
    start();
    assert!(within(PATIENCE, || RUNS.load(SeqCst).then_some(())).is_some(), "no second processor");
    ours();
    GOES_ON.store(false, SeqCst);
    let stopped = within(PATIENCE, || (!RUNS.load(SeqCst)).then_some(()));
    assert!(stopped.is_some(), "the second processor does not stop");
}

fn start() {
    let (begins, ends) = (&raw const second_begins, &raw const second_ends);
    // SAFETY: the code between them is read-only data of this kernel.
    let code = unsafe { slice::from_raw_parts(begins, ends as usize - begins as usize) };
    ram::write(BEGINNING, code);
    ram::write_register(SPURIOUS, ON);
    for command in [INIT, STARTUP | BEGINNING_PAGE] {
        ram::write_register(DESTINATION, SECOND << 24);
        ram::write_register(COMMAND, command);
    }
}

/// Where the second processor comes to in 64-bit mode.
#[unsafe(no_mangle)]
extern "C" fn second_main() -> ! {
    RUNS.store(true, SeqCst);
    let device = Device { base: DEVICE.load(SeqCst) };
    let deed = DEED.load(SeqCst);
    let mut random = Random::new(7);
    while GOES_ON.load(SeqCst) {
        if deed == Deed::Registers as u32 {
            write_any_register(&device, &mut random);
            continue;
        }
        if deed == Deed::Rings as u32 {
            meddle(&device, &mut random);
        }
        device.write(register::QUEUE_NOTIFY, random.below(QUEUES) as u32);
    }
    RUNS.store(false, SeqCst);
    port::halt()
}

/// Another descriptor, another head, another index.
fn meddle(device: &Device, random: &mut Random) {
    let ring = device.queue(random.below(3) as u16, 0);
    let (buffer, length) = (ram::ANSWERS + random.below(1 << 16), random.below(1 << 16) as u32);
    let descriptor = Descriptor { flags: random.below(8) as u16, ..Descriptor::write(buffer, length) };
    let any = random.number() as u16;
    let next = random.one_of(&[0, 1, 2, 3, any]);
    ring.put(random.below(4) as u16, Descriptor { next, ..descriptor });
    ram::publish(ring.available() + 4 + 2 * random.below(16), random.one_of(&[0, 1, 2, 3, any]));
    ram::publish(ring.available() + 2, random.one_of(&[0, 1, 2, any]));
}

fn write_any_register(device: &Device, random: &mut Random) {
    let registers = [
        register::QUEUE_SEL,
        register::QUEUE_NUM,
        register::QUEUE_READY,
        register::QUEUE_NOTIFY,
        register::QUEUE_DESC,
        register::QUEUE_DRIVER,
        register::QUEUE_DEVICE,
        register::DRIVER_FEATURES_SEL,
        register::DRIVER_FEATURES,
        register::STATUS,
    ];
    // As an address, behind all memory: a ring elsewhere would be written to in this kernel.
    let any = random.number() as u32 | 1 << 31;
    let value = random.one_of(&[0, 1, 2, 16, 64, ram::RINGS as u32, any]);
    device.write(random.one_of(&registers), value);
}
