//! A guest that does anything to the serial console's ports.
#![no_main]

use std::fs::File;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use vmm::serial::Console;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

#[derive(Debug, Arbitrary)]
enum Access {
    In { port: u16, width: u8 },
    Out { port: u16, bytes: Vec<u8> },
}

/// One of the console's ports, or one beside them.
fn near(port: u16) -> u16 {
    0x3f0 + port % 0x18
}

fuzz_target!(|accesses: Vec<Access>| {
    let line = EventFd::new(EFD_NONBLOCK).unwrap();
    let sink = File::options().write(true).open("/dev/null").unwrap();
    let console = Console::new(line, sink.into());
    for access in accesses {
        match access {
            Access::In { port, width } => {
                let mut data = [0; 8];
                let taken = console.port_in(near(port), &mut data[..usize::from(width % 9)]);
                assert_eq!(taken, (0x3f8..0x400).contains(&near(port)));
            }
            Access::Out { port, bytes } => {
                let taken = console.port_out(near(port), &bytes);
                assert_eq!(taken, (0x3f8..0x400).contains(&near(port)));
            }
        }
    }
});
