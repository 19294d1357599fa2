//! A hostile driver of the memory balloon.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm::virtio::balloon::Balloon;
use vmm_fuzz::{Step, drive};

fuzz_target!(|steps: Vec<Step>| drive(Box::new(Balloon::default()), steps));
