//! What a kernel finds in memory when it starts: itself, its initramfs, its command line, and what hardware there is.

mod command_line;
mod kernel;
mod linux64;
mod memory_map;
mod mp_table;
mod pvh;
#[cfg(test)]
pub(crate) mod tests;

use std::{io, path::PathBuf};

use vm_memory::{Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap};

pub use command_line::CommandLine;
pub use kernel::{Image, load};
pub use mp_table::IOAPIC_LINES;

use crate::{
    kvm::{EntryPoint, GDT},
    memory::layout,
};

/// Why a kernel cannot be booted.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A file cannot be read.
    #[error("Cannot open {what} \"{}\"", .path.display())]
    Open {
        /// "guest kernel" or "initramfs".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be read into guest memory.
    #[error("Cannot load {what} \"{}\"", .path.display())]
    Load {
        /// "guest kernel" or "initramfs".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: GuestMemoryError,
    },
    /// The kernel's file is damaged, or larger than guest memory.
    #[error("Cannot load guest kernel \"{}\" into {} MiB of memory", .path.display(), .memory >> 20)]
    Kernel {
        /// The file.
        path: PathBuf,
        /// Bytes of low guest memory.
        memory: u64,
        /// Why.
        source: linux_loader::loader::Error,
    },
    /// Some other file.
    #[error("\"{}\" is no guest kernel: it is neither an ELF vmlinux nor a bzImage", .0.display())]
    NotAKernel(PathBuf),
    /// An ELF file that does not say where to enter it.
    #[error("Guest kernel \"{}\" has no PVH entry; build it with CONFIG_PVH=y", .0.display())]
    NoPvhEntry(PathBuf),
    /// A bzImage that cannot be entered in 64-bit mode.
    #[error("Guest kernel \"{}\" has no 64-bit entry; build it for x86-64", .0.display())]
    No64BitEntry(PathBuf),
    /// Kernel and initramfs do not fit.
    #[error("Kernel and an initramfs of {initramfs} bytes do not fit into {} MiB of memory", .memory >> 20)]
    NoRoom {
        /// Bytes of the initramfs.
        initramfs: u64,
        /// Bytes of low guest memory.
        memory: u64,
    },
    /// The command line is too long.
    #[error("Kernel command line of {length} bytes is longer than the {limit} Linux takes")]
    CommandLineTooLong {
        /// Its bytes.
        length: usize,
        /// The most it may have.
        limit: usize,
    },
    /// Boot data lies outside guest memory: impossible with the layout as it is.
    #[error("Cannot write boot data")]
    Write(#[source] GuestMemoryError),
}

/// Where the initramfs is in guest memory; empty if there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Initramfs {
    /// Guest physical address.
    pub address: u64,
    /// Bytes.
    pub size: u64,
}

/// Writes everything a loaded `image` needs to start on `cpus` CPUs, with devices at interrupt `lines`. Where to enter it.
pub fn prepare(
    memory: &GuestMemoryMmap,
    image: &Image,
    command_line: &CommandLine,
    cpus: u32,
    lines: &[u32],
) -> Result<EntryPoint, BootError> {
    let text = command_line.terminated()?;
    write_common(memory, &text, cpus, lines).map_err(BootError::Write)?;
    let written = match &image.header {
        None => pvh::write(memory, image.initramfs),
        Some(header) => linux64::write(memory, header, image.initramfs, text.len()),
    };
    written.map_err(BootError::Write)?;
    Ok(image.entry)
}

fn write_common(
    memory: &GuestMemoryMmap,
    command_line: &[u8],
    cpus: u32,
    lines: &[u32],
) -> Result<(), GuestMemoryError> {
    memory.write_slice(command_line, GuestAddress(layout::COMMAND_LINE))?;
    for (index, descriptor) in GDT.into_iter().enumerate() {
        memory.write_obj(descriptor, GuestAddress(layout::GDT + 8 * index as u64))?;
    }
    mp_table::write(memory, cpus, lines)
}
