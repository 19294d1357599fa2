//! Zero page and page tables of Linux's 64-bit boot protocol (Documentation/arch/x86/boot.rst).

use linux_loader::loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap};

use super::{Initramfs, memory_map};
use crate::memory::layout;

/// type_of_loader: one without a number of its own.
const LOADER_UNDEFINED: u8 = 0xff;
/// Page table entry: present, writable.
const PRESENT_WRITABLE: u64 = 3;
/// Page directory entry: a page of 2 MiB.
const LARGE: u64 = 1 << 7;
/// GiB the page tables map; more than the kernel, its initramfs and the zero page take.
const MAPPED_GIB: u64 = 4;
const PAGE: u64 = 4096;

/// Writes the zero page and the page tables. `command_line` is its size with the terminating zero.
pub fn write(
    memory: &GuestMemoryMmap,
    header: &setup_header,
    initramfs: Initramfs,
    command_line: usize,
) -> Result<(), GuestMemoryError> {
    let mut zero_page = boot_params { hdr: *header, ..Default::default() };
    zero_page.hdr.type_of_loader = LOADER_UNDEFINED;
    zero_page.hdr.cmd_line_ptr = layout::COMMAND_LINE as u32;
    zero_page.hdr.cmdline_size = command_line as u32;
    // Low memory: both are below 4 GiB.
    zero_page.hdr.ramdisk_image = initramfs.address as u32;
    zero_page.hdr.ramdisk_size = initramfs.size as u32;
    let ranges = memory_map::ranges(memory);
    zero_page.e820_entries = ranges.len() as u8;
    for (entry, range) in zero_page.e820_table.iter_mut().zip(&ranges) {
        *entry = boot_e820_entry { addr: range.start, size: range.size, type_: range.kind };
    }
    memory.write_obj(zero_page, GuestAddress(layout::START_INFO))?;
    write_page_tables(memory)
}

/// Maps the first GiBs to themselves with large pages.
fn write_page_tables(memory: &GuestMemoryMmap) -> Result<(), GuestMemoryError> {
    let write = |address, entry: u64| memory.write_obj(entry, GuestAddress(address));
    let pdpt = layout::PAGE_TABLES + PAGE;
    write(layout::PAGE_TABLES, pdpt | PRESENT_WRITABLE)?;
    for gib in 0..MAPPED_GIB {
        let directory = pdpt + PAGE * (1 + gib);
        write(pdpt + 8 * gib, directory | PRESENT_WRITABLE)?;
        for page in 0..512 {
            write(directory + 8 * page, gib << 30 | page << 21 | PRESENT_WRITABLE | LARGE)?;
        }
    }
    Ok(())
}
