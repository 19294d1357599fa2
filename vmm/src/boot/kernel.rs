//! Kernel and initramfs, from files into guest memory.

use std::{
    fs::File,
    io::{Read, Seek},
    path::{Path, PathBuf},
};

use linux_loader::loader::{
    BzImage, Elf, KernelLoader, KernelLoaderResult, bootparam::setup_header, elf::PvhBootCapability,
};
use vm_memory::{Bytes, GuestAddress, GuestMemory, GuestMemoryMmap, GuestMemoryRegion};

use super::{BootError, Initramfs};
use crate::{kvm::EntryPoint, memory::layout};

/// What an ELF file begins with.
const ELF_MAGIC: [u8; 4] = *b"\x7fELF";
/// Where a bzImage has its own magic number (Linux boot protocol, "header").
const BZIMAGE_MAGIC_AT: usize = 0x202;
const BZIMAGE_MAGIC: [u8; 4] = *b"HdrS";
/// The magic number of a boot sector, and the newest version of the protocol (the same, "boot_flag", "version").
const BOOT_FLAG: u16 = 0xaa55;
const PROTOCOL: u16 = 0x020f;
/// Where the 64-bit entry of a bzImage is, from its start (Linux boot protocol, "64-bit boot protocol").
const ENTRY_64: u64 = 0x200;
/// xloadflags: there is such an entry.
const XLF_KERNEL_64: u16 = 1;
const PAGE: u64 = 4096;

/// A kernel in guest memory, with its initramfs.
#[derive(Debug)]
pub struct Image {
    /// Where it is entered, and how.
    pub entry: EntryPoint,
    /// The setup header of a kernel that is entered in 64-bit mode.
    pub header: Option<setup_header>,
    /// The initramfs.
    pub initramfs: Initramfs,
}

/// Reads a kernel and an initramfs into guest memory: the kernel where it wants to be, the initramfs at the end of low
/// memory.
pub fn load(memory: &GuestMemoryMmap, kernel: &Path, initramfs: Option<&Path>) -> Result<Image, BootError> {
    let (mut image, end) = load_kernel(memory, kernel)?;
    if let Some(path) = initramfs {
        image.initramfs = load_initramfs(memory, path, end, image.header.as_ref())?;
    }
    Ok(image)
}

/// The image, and the end of the memory it needs for itself.
fn load_kernel(memory: &GuestMemoryMmap, path: &Path) -> Result<(Image, u64), BootError> {
    let mut file = open("guest kernel", path)?;
    let mut start = Vec::new();
    let read = file.by_ref().take(BZIMAGE_MAGIC_AT as u64 + 4).read_to_end(&mut start);
    read.and_then(|_| file.rewind()).map_err(|source| BootError::Open {
        what: "guest kernel",
        path: path.into(),
        source,
    })?;
    let failed = |source| BootError::Kernel { path: path.into(), memory: low_end(memory), source };
    if start.starts_with(&ELF_MAGIC) {
        let loaded = Elf::load(memory, None, &mut file, None).map_err(failed)?;
        from_elf(&loaded, path)
    } else if start.get(BZIMAGE_MAGIC_AT..) == Some(&BZIMAGE_MAGIC) {
        let loaded =
            BzImage::load(memory, Some(GuestAddress(layout::KERNEL)), &mut file, None).map_err(failed)?;
        from_bzimage(&loaded, path)
    } else {
        Err(BootError::NotAKernel(path.into()))
    }
}

fn from_elf(loaded: &KernelLoaderResult, path: &Path) -> Result<(Image, u64), BootError> {
    let PvhBootCapability::PvhEntryPresent(entry) = loaded.pvh_boot_cap else {
        return Err(BootError::NoPvhEntry(path.into()));
    };
    // Linux has two entries. The one in 64-bit mode does not begin by asking at 256 places whether it runs on Xen.
    let (entry, header) = match loaded.kernel_load {
        own if own == entry => (EntryPoint::Pvh(entry.0), None),
        own => (EntryPoint::Linux64(own.0), Some(vmlinux_header())),
    };
    Ok((Image { entry, header, initramfs: Initramfs::default() }, loaded.kernel_end))
}

/// What a bzImage would say of this kernel.
fn vmlinux_header() -> setup_header {
    setup_header {
        boot_flag: BOOT_FLAG,
        header: u32::from_le_bytes(BZIMAGE_MAGIC),
        version: PROTOCOL,
        initrd_addr_max: u32::MAX,
        ..Default::default()
    }
}

fn from_bzimage(loaded: &KernelLoaderResult, path: &Path) -> Result<(Image, u64), BootError> {
    let no_entry = || BootError::No64BitEntry(path.into());
    let header = loaded.setup_header.ok_or_else(no_entry)?;
    if header.xloadflags & XLF_KERNEL_64 == 0 {
        return Err(no_entry());
    }
    // The image unpacks itself to where it prefers to be.
    let end = header.pref_address.saturating_add(header.init_size.into()).max(loaded.kernel_end);
    let entry = EntryPoint::Linux64(loaded.kernel_load.0 + ENTRY_64);
    Ok((Image { entry, header: Some(header), initramfs: Initramfs::default() }, end))
}

fn load_initramfs(
    memory: &GuestMemoryMmap,
    path: &Path,
    kernel_end: u64,
    header: Option<&setup_header>,
) -> Result<Initramfs, BootError> {
    const WHAT: &str = "initramfs";
    let mut file = open(WHAT, path)?;
    let failed = |source| BootError::Open { what: WHAT, path: PathBuf::from(path), source };
    let size = file.metadata().map_err(failed)?.len();
    let limit = header.map_or(u64::MAX, |header| u64::from(header.initrd_addr_max) + 1).min(low_end(memory));
    let address =
        limit.checked_sub(size).map(|address| address / PAGE * PAGE).filter(|&address| address >= kernel_end);
    let address = address.ok_or(BootError::NoRoom { initramfs: size, memory: low_end(memory) })?;
    memory
        .read_exact_volatile_from(GuestAddress(address), &mut file, size as usize)
        .map_err(|source| BootError::Load { what: WHAT, path: path.into(), source })?;
    Ok(Initramfs { address, size })
}

fn open(what: &'static str, path: &Path) -> Result<File, BootError> {
    File::open(path).map_err(|source| BootError::Open { what, path: path.into(), source })
}

/// End of the memory below the devices.
fn low_end(memory: &GuestMemoryMmap) -> u64 {
    memory.iter().next().map_or(0, |region| region.len())
}
