//! The serial console of `--debug`: an 8250 at the first PC port, whose output goes to stderr.

mod output;
#[cfg(test)]
mod tests;

use std::{io, os::fd::OwnedFd, sync::Mutex};

use vm_superio::{Serial, Trigger, serial::NoEvents};
use vmm_sys_util::eventfd::EventFd;

pub use output::ConsoleOutput;

/// First port of COM1.
const PORT: u16 = 0x3f8;
/// Ports of an 8250.
const PORTS: u16 = 8;
/// Interrupt line of COM1.
pub const LINE: u32 = 4;

/// The console.
#[derive(Debug)]
pub struct Console {
    serial: Mutex<Serial<Line, NoEvents, ConsoleOutput>>,
}

impl Console {
    /// A console that raises its interrupt by writing to `line` and whose output goes to `output`.
    pub fn new(line: EventFd, output: OwnedFd) -> Self {
        Console { serial: Mutex::new(Serial::new(Line(line), ConsoleOutput::new(output))) }
    }

    /// A read of `port`. False if the console has no such port.
    pub fn port_in(&self, port: u16, data: &mut [u8]) -> bool {
        let Some(register) = register(port) else { return false };
        if let (Ok(mut serial), Some(byte)) = (self.serial.lock(), data.first_mut()) {
            *byte = serial.read(register);
        }
        true
    }

    /// A write to `port`: several bytes are several writes. False if the console has no such port.
    pub fn port_out(&self, port: u16, data: &[u8]) -> bool {
        let Some(register) = register(port) else { return false };
        if let Ok(mut serial) = self.serial.lock() {
            for &byte in data {
                // Output that nobody takes is lost, and so is an interrupt that is pending already.
                let _ = serial.write(register, byte);
            }
        }
        true
    }
}

fn register(port: u16) -> Option<u8> {
    port.checked_sub(PORT).filter(|&offset| offset < PORTS).map(|offset| offset as u8)
}

/// The interrupt line, in the words of `vm-superio`.
#[derive(Debug)]
struct Line(EventFd);

impl Trigger for Line {
    type E = io::Error;

    fn trigger(&self) -> io::Result<()> {
        self.0.write(1)
    }
}
