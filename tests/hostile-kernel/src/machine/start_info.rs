//! What the VMM tells a kernel (`struct hvm_start_info`, PVH boot ABI).

use super::ram;

/// Offsets: number of modules, their list, the command line.
const MODULES: u64 = 12;
const MODULE_LIST: u64 = 16;
const COMMAND_LINE: u64 = 24;
/// The longest command line of Linux on x86.
const MAX_COMMAND_LINE: usize = 2048;
/// The longest list of attacks.
const MAX_MODULE: u64 = 1 << 16;

/// The structure in memory.
#[derive(Debug)]
pub struct StartInfo(u64);

impl StartInfo {
    /// That at `address`.
    pub fn at(address: u64) -> Self {
        StartInfo(address)
    }

    /// The command line.
    pub fn command_line(&self) -> &'static str {
        let text = slice(self.pointer(COMMAND_LINE), MAX_COMMAND_LINE);
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(0);
        core::str::from_utf8(&text[..end]).unwrap_or_default()
    }

    /// The first module: the initramfs.
    pub fn module(&self) -> &'static [u8] {
        if u32::from_le_bytes(ram::read(self.0 + MODULES)) == 0 {
            return &[];
        }
        let list = self.pointer(MODULE_LIST);
        let (address, size) = (u64::from_le_bytes(ram::read(list)), u64::from_le_bytes(ram::read(list + 8)));
        slice(address, size.min(MAX_MODULE) as usize)
    }

    fn pointer(&self, offset: u64) -> u64 {
        u64::from_le_bytes(ram::read(self.0 + offset))
    }
}

fn slice(address: u64, length: usize) -> &'static [u8] {
    // SAFETY: the VMM wrote it there, and nothing in this kernel gives that memory away.
    unsafe { core::slice::from_raw_parts(address as *const u8, length) }
}
