//! The registers a vCPU starts with.

use kvm_bindings::{Msrs, kvm_msr_entry, kvm_regs, kvm_segment, kvm_sregs};
use kvm_ioctls::VcpuFd;
use vmm_sys_util::errno;

use crate::memory::layout;

/// How the first instruction of the guest is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryPoint {
    /// 32-bit protected mode without paging, EBX holds the start info (Xen's PVH boot ABI).
    Pvh(u64),
    /// 64-bit mode with the first 4 GiB mapped, RSI holds the zero page (Linux's 64-bit boot protocol).
    Linux64(u64),
}

/// Reserved bit of RFLAGS that is always one.
const RFLAGS_ALWAYS: u64 = 1 << 1;
/// Protected mode.
const CR0_PE: u64 = 1;
/// Always one since the 486.
const CR0_ET: u64 = 1 << 4;
/// Paging.
const CR0_PG: u64 = 1 << 31;
/// Physical address extension.
const CR4_PAE: u64 = 1 << 5;
/// Long mode, enabled and active.
const EFER_LME_LMA: u64 = 1 << 8 | 1 << 10;

/// IA32_MISC_ENABLE. Bit 0 says that string instructions are fast; without it Linux does not use them to copy.
const MSR_MISC_ENABLE: u32 = 0x1a0;
/// IA32_MTRR_DEF_TYPE: enabled, all memory write-back. Disabled, Linux would not use page attributes either.
const MSR_MTRR_DEFAULT: u32 = 0x2ff;
const MTRR_ENABLED_WRITE_BACK: u64 = 1 << 11 | 6;

/// Selector of the code segment Linux expects (`__BOOT_CS`).
const CODE_SELECTOR: u16 = 0x10;
/// Selector of the data segments Linux expects (`__BOOT_DS`).
const DATA_SELECTOR: u16 = 0x18;

/// The descriptor table the selectors point into: nothing, nothing, 64-bit code, data.
pub const GDT: [u64; 4] = [0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff];

/// Sets the model specific registers every vCPU needs from the start.
pub fn set_msrs(vcpu: &VcpuFd) -> Result<(), errno::Error> {
    let entry = |index, data| kvm_msr_entry { index, data, ..Default::default() };
    let entries = [entry(MSR_MISC_ENABLE, 1), entry(MSR_MTRR_DEFAULT, MTRR_ENABLED_WRITE_BACK)];
    let msrs = Msrs::from_entries(&entries).map_err(|_| errno::Error::new(libc::ENOMEM))?;
    if vcpu.set_msrs(&msrs)? < entries.len() { Err(errno::Error::new(libc::EINVAL)) } else { Ok(()) }
}

/// Sets the registers of the vCPU that boots. The others wait for its call.
pub fn set_entry(vcpu: &VcpuFd, entry: EntryPoint) -> Result<(), errno::Error> {
    let mut special = vcpu.get_sregs()?;
    let mut general = kvm_regs { rflags: RFLAGS_ALWAYS, rsp: layout::BOOT_STACK, ..Default::default() };
    match entry {
        EntryPoint::Pvh(address) => {
            set_segments(&mut special, false);
            special.cr0 = CR0_PE | CR0_ET;
            special.cr4 = 0;
            general.rip = address;
            general.rbx = layout::START_INFO;
        }
        EntryPoint::Linux64(address) => {
            set_segments(&mut special, true);
            special.cr0 = CR0_PE | CR0_ET | CR0_PG;
            special.cr3 = layout::PAGE_TABLES;
            special.cr4 = CR4_PAE;
            special.efer = EFER_LME_LMA;
            general.rip = address;
            general.rsi = layout::START_INFO;
        }
    }
    vcpu.set_sregs(&special)?;
    vcpu.set_regs(&general)
}

fn set_segments(special: &mut kvm_sregs, long_mode: bool) {
    special.gdt.base = layout::GDT;
    special.gdt.limit = size_of_val(&GDT) as u16 - 1;
    special.idt.base = 0;
    special.idt.limit = 0;
    // Types: 0xb is code, readable, accessed; 0x3 data, writable, accessed; for the task register 0xb is a busy TSS.
    let flat = kvm_segment { base: 0, limit: u32::MAX, present: 1, s: 1, g: 1, db: 1, ..Default::default() };
    let data = kvm_segment { selector: DATA_SELECTOR, type_: 0x3, ..flat };
    let (db, l) = if long_mode { (0, 1) } else { (1, 0) };
    special.cs = kvm_segment { selector: CODE_SELECTOR, type_: 0xb, db, l, ..flat };
    special.ds = data;
    special.es = data;
    special.fs = data;
    special.gs = data;
    special.ss = data;
    special.tr = kvm_segment { limit: 0x67, present: 1, type_: 0xb, ..Default::default() };
}
