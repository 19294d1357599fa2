//! The start info of the PVH boot ABI (Xen, public/arch-x86/hvm/start_info.h).

use linux_loader::loader::elf::start_info::{hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap};

use super::{Initramfs, memory_map};
use crate::memory::layout;

/// "xEn3", with the 0x80 bit of the "E" set.
const MAGIC: u32 = 0x336e_c578;
/// The version with a memory map.
const VERSION: u32 = 1;

/// Writes the start info, its memory map, and the initramfs as its only module.
pub fn write(memory: &GuestMemoryMmap, initramfs: Initramfs) -> Result<(), GuestMemoryError> {
    let ranges = memory_map::ranges(memory);
    for (index, range) in ranges.iter().enumerate() {
        let entry =
            hvm_memmap_table_entry { addr: range.start, size: range.size, type_: range.kind, reserved: 0 };
        let address = layout::MEMORY_MAP + (index * size_of_val(&entry)) as u64;
        memory.write_obj(entry, GuestAddress(address))?;
    }
    let module = hvm_modlist_entry { paddr: initramfs.address, size: initramfs.size, ..Default::default() };
    memory.write_obj(module, GuestAddress(layout::MODULES))?;
    let start_info = hvm_start_info {
        magic: MAGIC,
        version: VERSION,
        nr_modules: u32::from(initramfs.size > 0),
        modlist_paddr: layout::MODULES,
        cmdline_paddr: layout::COMMAND_LINE,
        memmap_paddr: layout::MEMORY_MAP,
        memmap_entries: ranges.len() as u32,
        ..Default::default()
    };
    memory.write_obj(start_info, GuestAddress(layout::START_INFO))
}
