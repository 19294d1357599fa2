//! A guest kernel that attacks the VMM under it. It does what its initramfs says, a list of attacks by name, and tells the serial
//! port what came of each: `hostile NAME: OUTCOME`.
#![no_std]
#![no_main]

mod attacks;
mod boot;
mod machine;

use core::panic::PanicInfo;

use hostile_kernel::script;

use machine::{Guest, StartInfo, port, say};

/// Where `boot` comes to in 64-bit mode.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_info: u64) -> ! {
    let start = StartInfo::at(start_info);
    let mut guest = Guest::new(start.command_line());
    say!("hello: {} devices", guest.devices().len());
    for name in script::attacks(start.module()) {
        match attacks::find(name) {
            Some(attack) => {
                let outcome = attack(&mut guest);
                say!("{name}: {outcome}");
            }
            None => say!("{name}: no such attack"),
        }
    }
    port::reset()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say!("the kernel itself failed: {}", info.message());
    port::reset()
}
