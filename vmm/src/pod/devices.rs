//! The devices of a pod's machine.

use agent::protocol::{GUEST_CID, ROOTFS_TAG};

use super::directory::PodDirectory;
use crate::virtio::{
    VirtioDevice,
    balloon::Balloon,
    fs::{CachePolicy, Fs, FsError, ShareConfig},
    rng::Rng,
    vsock::{Ports, Vsock},
};

/// The devices of a machine with `cpus` vCPUs, in the order the guest finds them: what the agent waits for comes first.
pub fn devices(
    directory: &PodDirectory,
    ports: &Ports,
    cpus: u32,
) -> Result<Vec<Box<dyn VirtioDevice>>, FsError> {
    let rootfs = ShareConfig {
        tag: ROOTFS_TAG.to_owned(),
        directory: directory.apps(),
        cache: CachePolicy::Pod,
        read_only: false,
    };
    Ok(vec![
        Box::new(Vsock::new(GUEST_CID.into(), ports.clone())),
        Box::new(Fs::new(&rootfs, cpus)?),
        Box::new(Rng::default()),
        Box::new(Balloon::default()),
    ])
}
