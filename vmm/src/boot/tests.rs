use std::path::Path;

use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::memory;

/// An ELF kernel whose code is `code`, at 1 MiB, with a PVH note if `note`.
pub fn elf(code: &[u8], note: bool) -> Vec<u8> {
    const NOTE: u64 = 64 + 2 * 56;
    const CODE: u64 = NOTE + 20;
    let entry = layout::KERNEL;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // Executable for x86-64, version 1, entry, program headers at 64, no sections.
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    file.extend([entry, 64, 0].iter().flat_map(|field| field.to_le_bytes()));
    file.extend([0u32, (56 << 16) | 64, (64 << 16) | 2, 0].iter().flat_map(|field| field.to_le_bytes()));
    let header = |file: &mut Vec<u8>, kind: u32, offset: u64, address: u64, size: u64| {
        file.extend([kind, 7].iter().flat_map(|field| field.to_le_bytes()));
        file.extend(
            [offset, address, address, size, size, 4096].iter().flat_map(|field| field.to_le_bytes()),
        );
    };
    header(&mut file, 1, CODE, entry, code.len() as u64);
    header(&mut file, if note { 4 } else { 0 }, NOTE, 0, 20);
    file.extend([4, 4, 18].iter().flat_map(|field: &u32| field.to_le_bytes()));
    file.extend(b"Xen\0");
    file.extend((entry as u32).to_le_bytes());
    file.extend(code);
    file
}

/// A bzImage whose 64-bit entry is at the start of `code`.
fn bzimage(code: &[u8], flags: u16) -> Vec<u8> {
    let mut file = vec![0; 2 * 512];
    file[0x1f1] = 1;
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x206..0x208].copy_from_slice(&0x20fu16.to_le_bytes());
    file[0x211] = 1;
    file[0x22c..0x230].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    file[0x236..0x238].copy_from_slice(&flags.to_le_bytes());
    file[0x258..0x260].copy_from_slice(&0x100_0000u64.to_le_bytes());
    file[0x260..0x264].copy_from_slice(&0x10_0000u32.to_le_bytes());
    file.resize(2 * 512 + 0x200, 0x90);
    file.extend(code);
    file
}

fn load_files(
    bytes: u64,
    kernel: &[u8],
    initramfs: Option<&[u8]>,
) -> Result<(GuestMemoryMmap, Image), BootError> {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str, content: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let memory = memory::allocate(bytes).unwrap();
    let initramfs = initramfs.map(|content| path("initramfs", content));
    let image = load(&memory, &path("kernel", kernel), initramfs.as_deref())?;
    Ok(((*memory).clone(), image))
}

fn read(memory: &GuestMemoryMmap, address: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    memory.read_slice(&mut bytes, GuestAddress(address)).unwrap();
    bytes
}

#[test]
fn an_elf_kernel_starts_through_pvh() {
    let (memory, image) = load_files(64 << 20, &elf(b"code", true), Some(b"initramfs!")).unwrap();
    assert_eq!(image.entry, EntryPoint::Pvh(layout::KERNEL));
    assert_eq!(read(&memory, layout::KERNEL, 4), b"code");
    let expected = Initramfs { address: (64 << 20) - 4096, size: 10 };
    assert_eq!(image.initramfs, expected);
    assert_eq!(read(&memory, expected.address, 10), b"initramfs!");

    let mut line = CommandLine::new(false);
    line.push_device(0xd000_0000, 5);
    line.push("word");
    assert_eq!(prepare(&memory, &image, &line, 3, &[5]).unwrap(), image.entry);
    let word = |address| memory.read_obj::<u64>(GuestAddress(address)).unwrap();
    assert_eq!(word(layout::START_INFO), 1 << 32 | 0x336e_c578);
    let (modules, command_line) = (word(layout::START_INFO + 16), word(layout::START_INFO + 24));
    assert_eq!((word(modules), word(modules + 8)), (expected.address, 10));
    let text = String::from_utf8(read(&memory, command_line, 2048)).unwrap();
    let text = text.split('\0').next().unwrap();
    assert!(text.starts_with("panic=-1 reboot=t oops=panic ") && text.contains(" quiet "), "{text}");
    assert!(text.ends_with(" virtio_mmio.device=4K@0xd0000000:5 word"), "{text}");
}

#[test]
fn an_elf_kernel_with_an_entry_of_its_own_starts_in_64_bit_mode() {
    let mut kernel = elf(b"code", true);
    kernel[24..32].copy_from_slice(&(layout::KERNEL + 2).to_le_bytes());
    let (memory, image) = load_files(64 << 20, &kernel, Some(b"initramfs!")).unwrap();
    assert_eq!(image.entry, EntryPoint::Linux64(layout::KERNEL + 2));
    assert_eq!(prepare(&memory, &image, &CommandLine::new(true), 1, &[4]).unwrap(), image.entry);
    let zero_page = read(&memory, layout::START_INFO, 4096);
    assert_eq!(
        (&zero_page[0x1fe..0x200], &zero_page[0x202..0x208]),
        (&[0x55, 0xaa][..], &b"HdrS\x0f\x02"[..])
    );
    let field = |at: usize| u32::from_le_bytes(zero_page[at..at + 4].try_into().unwrap());
    assert_eq!(
        (field(0x218), field(0x21c), field(0x228)),
        ((64 << 20) - 4096, 10, layout::COMMAND_LINE as u32)
    );
    assert_eq!(zero_page[0x1e8], 3, "RAM, the MP table, RAM");
}

#[test]
fn a_bzimage_starts_in_64_bit_mode() {
    let (memory, image) = load_files(64 << 20, &bzimage(b"code", 1), Some(&[7; 5000])).unwrap();
    assert_eq!(image.entry, EntryPoint::Linux64(layout::KERNEL + 0x200));
    assert_eq!(read(&memory, layout::KERNEL + 0x200, 4), b"code");
    prepare(&memory, &image, &CommandLine::new(true), 1, &[4]).unwrap();
    let zero_page = read(&memory, layout::START_INFO, 4096);
    assert_eq!(zero_page[0x202..0x206], *b"HdrS");
    assert_eq!(zero_page[0x210], 0xff);
    let field = |at: usize| u32::from_le_bytes(zero_page[at..at + 4].try_into().unwrap());
    assert_eq!((field(0x218), field(0x21c)), ((64 << 20) - 8192, 5000));
    assert_eq!(field(0x228), layout::COMMAND_LINE as u32);
    assert_eq!(zero_page[0x1e8], 3, "RAM, the MP table, RAM");
    let first_large_page = memory.read_obj::<u64>(GuestAddress(layout::PAGE_TABLES + 2 * 4096)).unwrap();
    assert_eq!(first_large_page, 0x83);
}

#[test]
fn memory_behind_the_devices_is_in_the_map() {
    let memory = memory::allocate(4 << 30).unwrap();
    let ranges = memory_map::ranges(&memory);
    let ram: u64 = ranges.iter().filter(|range| range.kind == memory_map::RAM).map(|range| range.size).sum();
    assert_eq!(ram, (4 << 30) - (layout::KERNEL - layout::LOW_RAM_END));
    assert_eq!(ranges.last().unwrap().start, layout::HIGH_RAM);
}

#[test]
fn the_mp_table_is_valid_for_any_number_of_cpus() {
    for cpus in [1, 2, 254] {
        let memory = memory::allocate(memory::SMALLEST).unwrap();
        let lines = [4, 5, 23];
        mp_table::write(&memory, cpus, &lines).unwrap();
        let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        let pointer = read(&memory, layout::MP_TABLE, 16);
        assert_eq!((&pointer[..4], sum(&pointer)), (b"_MP_".as_slice(), 0));
        let table = u64::from(u32::from_le_bytes(pointer[4..8].try_into().unwrap()));
        let length = memory.read_obj::<u16>(GuestAddress(table + 4)).unwrap() as usize;
        assert!(table + length as u64 <= layout::KERNEL);
        let table = read(&memory, table, length);
        assert_eq!((&table[..4], sum(&table)), (b"PCMP".as_slice(), 0));
        let mut counts = [0u32; 5];
        let mut connected = Vec::new();
        let mut at = 44;
        while at < table.len() {
            counts[table[at] as usize] += 1;
            if table[at] == 3 {
                // The bus's line and the IOAPIC's, and that APIC's number behind the CPUs'.
                connected.push(u32::from(table[at + 5]));
                assert_eq!((table[at + 5], u32::from(table[at + 6])), (table[at + 7], cpus));
            }
            at += if table[at] == 0 { 20 } else { 8 };
        }
        assert_eq!(connected, lines);
        assert_eq!(counts, [cpus, 1, 1, 3, 2]);
        assert_eq!(
            u32::from(u16::from_le_bytes(table[34..36].try_into().unwrap())),
            counts.iter().sum::<u32>()
        );
    }
}

fn error(kernel: &[u8], initramfs: Option<&[u8]>) -> String {
    let error = load_files(memory::SMALLEST, kernel, initramfs).unwrap_err();
    std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[test]
fn files_that_are_no_kernel_are_named() {
    for content in [b"".as_slice(), b"#!/bin/sh\n", &[0; 4096], b"MZ"] {
        let text = error(content, None);
        assert!(
            text.ends_with("/kernel\" is no guest kernel: it is neither an ELF vmlinux nor a bzImage"),
            "{text}"
        );
    }
    assert!(error(&elf(b"code", false), None).contains("has no PVH entry; build it with CONFIG_PVH=y"));
    assert!(error(&bzimage(b"code", 0), None).contains("has no 64-bit entry"));
    assert!(error(&elf(b"code", true)[..100], None).contains("into 16 MiB of memory"));
    let missing =
        load(&memory::allocate(memory::SMALLEST).unwrap(), Path::new("/nonexistent"), None).unwrap_err();
    assert_eq!(missing.to_string(), "Cannot open guest kernel \"/nonexistent\"");
}

#[test]
fn damaged_kernels_are_no_panic() {
    use proptest::prelude::*;
    let kernels = [elf(&[0x90; 64], true), bzimage(&[0x90; 64], 1)];
    let change = (0..2usize, proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8));
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = proptest::test_runner::TestRunner::new(config).run(&change, |(which, changes)| {
        let mut kernel = kernels[which].clone();
        for (index, value) in changes {
            let at = index.index(kernel.len());
            kernel[at] = value;
        }
        let _ = load_files(memory::SMALLEST, &kernel, Some(b"x"));
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn an_initramfs_too_large_for_memory_is_refused() {
    let text = error(&elf(b"code", true), Some(&vec![0; 16 << 20]));
    assert_eq!(text, "Kernel and an initramfs of 16777216 bytes do not fit into 16 MiB of memory");
}

#[test]
fn command_lines_that_linux_would_cut_are_refused() {
    let memory = memory::allocate(memory::SMALLEST).unwrap();
    let image = Image { entry: EntryPoint::Pvh(0), header: None, initramfs: Initramfs::default() };
    let mut line = CommandLine::default();
    line.push("x".repeat(2047));
    prepare(&memory, &image, &line, 1, &[]).unwrap();
    line.push("");
    let error = prepare(&memory, &image, &line, 1, &[]).unwrap_err();
    assert_eq!(error.to_string(), "Kernel command line of 2048 bytes is longer than the 2047 Linux takes");
}
