//! The devices of a pod's machine.

use agent::protocol::GUEST_CID;

use crate::virtio::{
    VirtioDevice,
    rng::Rng,
    vsock::{Ports, Vsock},
};

/// The devices, in the order the guest finds them.
pub fn devices(ports: &Ports) -> Vec<Box<dyn VirtioDevice>> {
    vec![Box::new(Vsock::new(GUEST_CID.into(), ports.clone())), Box::new(Rng::default())]
}
