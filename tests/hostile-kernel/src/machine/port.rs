//! I/O ports.

use core::arch::asm;

/// Command port of the keyboard controller, and its command that resets the machine.
const KEYBOARD: u16 = 0x64;
const RESET: u8 = 0xfe;

/// Writes a byte.
pub fn write(port: u16, byte: u8) {
    // SAFETY: a port access changes no memory of ours.
    unsafe { asm!("out dx, al", in("dx") port, in("al") byte, options(nomem, nostack, preserves_flags)) };
}

/// Reads a byte.
pub fn read(port: u16) -> u8 {
    let byte;
    // SAFETY: as above.
    unsafe { asm!("in al, dx", in("dx") port, out("al") byte, options(nomem, nostack, preserves_flags)) };
    byte
}

/// Reads and writes the widest a port can be.
pub fn poke_wide(port: u16, value: u32) {
    // SAFETY: as above.
    unsafe {
        asm!("out dx, eax", "in eax, dx", in("dx") port, inout("eax") value => _,
            options(nomem, nostack, preserves_flags));
    }
}

/// Ends the machine.
pub fn reset() -> ! {
    write(KEYBOARD, RESET);
    halt()
}

/// Does nothing more, for good.
pub fn halt() -> ! {
    loop {
        // SAFETY: no interrupt comes; the processor sleeps.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
