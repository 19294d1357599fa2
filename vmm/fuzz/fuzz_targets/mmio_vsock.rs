//! A hostile driver of the socket device.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm::virtio::vsock::{Ports, Vsock};
use vmm_fuzz::{Step, drive};

fuzz_target!(|steps: Vec<Step>| {
    let ports = Ports::default();
    let _listener = ports.listen(1024);
    drive(Box::new(Vsock::new(3, ports.clone())), steps);
});
