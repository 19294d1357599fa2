//! What whole-pod tests stand on: the host they run in, an `rkt` with a data directory of its own and a time limit on
//! everything it does, and images made on the spot.
//!
//! The tests themselves are the files of `tests/tests`; `tests/run` compiles them here and runs them in the KVM host. Any
//! failure panics, with a message that says what was run and what came back.

pub mod aci;
pub mod debian;
mod endurance;
pub mod footprint;
pub mod host;
pub mod hostile;
pub mod hostile_hook;
pub mod inside;
pub mod machine;
pub mod network;
pub mod pod;
pub mod process;
pub mod remains;
pub mod rkt;
mod seed;
pub mod software;
pub mod systemd;
pub mod terminal;
pub mod wait;

pub use aci::Aci;
pub use endurance::endurance;
pub use pod::Pod;
pub use process::{Finished, Running};
pub use rkt::Rkt;
