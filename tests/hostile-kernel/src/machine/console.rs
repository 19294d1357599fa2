//! Lines to the serial port, which `--debug` connects to stderr.

use core::fmt::{self, Write};

use super::port;

/// Data register of the first serial port.
const DATA: u16 = 0x3f8;

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| port::write(DATA, byte));
        Ok(())
    }
}

/// Writes one line of the kernel's.
pub fn write_line(line: fmt::Arguments<'_>) {
    // Cannot fail.
    let _ = writeln!(Console, "hostile {line}");
}
