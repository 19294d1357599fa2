//! A hostile driver of the entropy device.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm::virtio::rng::Rng;
use vmm_fuzz::{Step, drive};

fuzz_target!(|steps: Vec<Step>| drive(Box::new(Rng::default()), steps));
