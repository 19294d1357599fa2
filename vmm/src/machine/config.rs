//! What a machine is made of.

use std::path::PathBuf;

/// What a machine is made of, apart from its devices.
#[derive(Debug, Clone)]
pub struct MachineConfig {
    /// Guest kernel: an ELF `vmlinux` with a PVH note, or a bzImage.
    pub kernel: PathBuf,
    /// Initramfs, compressed in any way the guest kernel knows, or not.
    pub initramfs: Option<PathBuf>,
    /// Words appended to the kernel command line, after those the machine itself makes.
    pub command_line: Vec<String>,
    /// Number of vCPUs, 1 to 254 and at most what KVM supports.
    pub cpus: u32,
    /// Guest RAM in bytes, 16 MiB to 256 GiB; rounded up to 2 MiB.
    pub memory: u64,
    /// Serial console on stderr with all of the kernel's messages.
    pub debug: bool,
}
