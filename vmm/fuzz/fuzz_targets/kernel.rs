//! A guest kernel's file that is damaged, or was made to hurt.
#![no_main]

use std::io::Write;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tempfile::NamedTempFile;
use vm_memory::{GuestAddress, GuestMemoryMmap};
use vmm::boot::{CommandLine, load, prepare};

/// Bytes of guest memory.
const MEMORY: usize = 16 << 20;

#[derive(Debug, Arbitrary)]
enum File {
    /// Anything.
    Bytes(Vec<u8>),
    /// A 64-bit ELF file: its header's fields that matter, its program headers, and what follows them.
    Elf { entry: u64, headers_at: u16, headers: Vec<Header>, number: Option<u16>, rest: Vec<u8> },
    /// A bzImage: its setup header from 0x1f1 on, and what follows.
    BzImage { sectors: u8, header: [u8; 0x70], rest: Vec<u8> },
}

#[derive(Debug, Arbitrary)]
struct Header {
    kind: u8,
    offset: u64,
    address: u64,
    file_size: u64,
    memory_size: u64,
    align: u64,
    /// Whether offset, address and sizes are of this file and of this memory.
    near: bool,
}

fn elf(entry: u64, headers_at: u16, headers: &[Header], number: Option<u16>, rest: &[u8]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2u16, 62].iter().flat_map(|half| half.to_le_bytes()));
    file.extend(1u32.to_le_bytes());
    file.extend([entry, u64::from(headers_at), 0].iter().flat_map(|word| word.to_le_bytes()));
    file.extend(0u32.to_le_bytes());
    let number = number.unwrap_or(headers.len() as u16);
    file.extend([64u16, 56, number, 64, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
    for header in headers {
        // PT_LOAD and PT_NOTE are what is looked at.
        let near = |value: u64, limit: u64| if header.near { value % limit } else { value };
        file.extend(u32::from(header.kind % 5).to_le_bytes());
        file.extend(7u32.to_le_bytes());
        let address = near(header.address, MEMORY as u64);
        let (size, in_memory) = (near(header.file_size, 0x200), near(header.memory_size, 0x4000));
        file.extend(
            [near(header.offset, 0x200), address, address, size, in_memory, header.align]
                .iter()
                .flat_map(|word| word.to_le_bytes()),
        );
    }
    file.extend(rest);
    file
}

fn bzimage(sectors: u8, header: [u8; 0x70], rest: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 0x1f1];
    file.extend(header);
    file[0x1f1] = sectors;
    file[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file.extend(rest);
    file
}

fuzz_target!(|files: (File, Option<Vec<u8>>)| {
    let bytes = match &files.0 {
        File::Bytes(bytes) => bytes.clone(),
        File::Elf { entry, headers_at, headers, number, rest } => {
            elf(*entry, *headers_at, headers, *number, rest)
        }
        File::BzImage { sectors, header, rest } => bzimage(*sectors, *header, rest),
    };
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY)]).unwrap();
    let written = |bytes: &[u8]| {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    };
    let kernel = written(&bytes);
    let initramfs = files.1.as_deref().map(written);
    if let Ok(image) = load(&memory, kernel.path(), initramfs.as_ref().map(NamedTempFile::path)) {
        prepare(&memory, &image, &CommandLine::default(), 2, &[4, 5]).unwrap();
    }
});
