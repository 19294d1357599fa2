//! Where things are in the guest's physical address space.
//!
//! ```text
//! 0x0000_0000 ┌──────────────────────┐
//!             │ boot data: GDT, start│
//!             │ info, page tables    │
//! 0x0002_0000 │ kernel command line  │
//! 0x0009_fc00 ├──────────────────────┤
//!             │ (where a PC has ROM) │
//! 0x000f_0000 │ MP table, reserved   │
//! 0x0010_0000 ├──────────────────────┤
//!             │ kernel               │
//!             │ …                    │
//!             │ initramfs, at the end│
//! 0xd000_0000 ├──────────────────────┤
//!             │ virtio devices       │
//! 0xfec0_0000 │ IOAPIC, local APICs  │
//! 0x1_0000_0000 ├────────────────────┤
//!             │ more RAM             │
//! ```

/// Where RAM is interrupted for devices, and the first device's window.
pub const DEVICES: u64 = 0xd000_0000;
/// Where RAM goes on.
pub const HIGH_RAM: u64 = 1 << 32;

/// Global descriptor table at boot.
pub const GDT: u64 = 0x500;
/// PVH start info, or Linux's zero page.
pub const START_INFO: u64 = 0x6000;
/// PVH module list.
pub const MODULES: u64 = 0x6100;
/// PVH memory map.
pub const MEMORY_MAP: u64 = 0x6200;
/// Stack of the 64-bit entry; grows down.
pub const BOOT_STACK: u64 = 0x8ff0;
/// Page tables of the 64-bit entry: PML4, then PDPT, then four page directories.
pub const PAGE_TABLES: u64 = 0x9000;
/// Kernel command line.
pub const COMMAND_LINE: u64 = 0x20000;
/// The longest command line of Linux on x86 (COMMAND_LINE_SIZE), with its terminating zero.
pub const COMMAND_LINE_SIZE: usize = 2048;
/// End of the RAM below the hole a PC has below 1 MiB.
pub const LOW_RAM_END: u64 = 0x9_fc00;
/// The MP table: where a PC's BIOS has it, so that Linux looks there.
pub const MP_TABLE: u64 = 0xf_0000;
/// Kernels begin here.
pub const KERNEL: u64 = 0x10_0000;

/// IOAPIC registers.
pub const IOAPIC: u32 = 0xfec0_0000;
/// Local APIC registers.
pub const LOCAL_APIC: u32 = 0xfee0_0000;
/// A page KVM needs for the identity map on Intel CPUs without unrestricted guests.
pub const IDENTITY_MAP: u64 = 0xfffb_c000;
/// Three pages KVM needs for the task state segment on Intel CPUs without unrestricted guests.
pub const TSS: u64 = 0xfffb_d000;

/// Start and size of the regions that hold `bytes` of RAM.
pub fn ram(bytes: u64) -> impl Iterator<Item = (u64, u64)> {
    let low = bytes.min(DEVICES);
    [(0, low), (HIGH_RAM, bytes - low)].into_iter().filter(|&(_, size)| size > 0)
}
