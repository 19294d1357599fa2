//! The devices of a pod's machine.

use std::{fs::File, path::Path};

use agent::protocol::{GUEST_CID, ROOTFS_TAG, VOLUMES_TAG};

use super::{directory::PodDirectory, sizing::Size};
use crate::virtio::{
    VirtioDevice,
    balloon::Balloon,
    fs::{CachePolicy, Fs, FsError, IoLimits, ShareConfig, Watches, files_of},
    net::Net,
    rng::Rng,
    vsock::{Ports, Vsock},
};

/// The devices of a machine of this size, in the order the guest finds them: what the agent waits for comes first.
/// `volumes` is the directory of the pod's volumes, if it has any, and what the guest watches there; `descriptors` is
/// /proc/self/fd where there is no /proc.
pub fn devices(
    directory: &PodDirectory,
    volumes: Option<(&Path, &Watches)>,
    ports: &Ports,
    networks: Vec<Net>,
    size: Size,
    descriptors: Option<&File>,
    limits: &IoLimits,
) -> Result<Vec<Box<dyn VirtioDevice>>, FsError> {
    let rootfs = ShareConfig {
        tag: ROOTFS_TAG.to_owned(),
        directory: directory.apps(),
        cache: CachePolicy::Pod,
        read_only: false,
        files: files_of(size.memory),
        limits: limits.clone(),
        watches: Watches::default(),
    };
    let mut devices: Vec<Box<dyn VirtioDevice>> = vec![
        Box::new(Vsock::new(GUEST_CID.into(), ports.clone())),
        Box::new(Fs::with_descriptors(&rootfs, size.cpus, descriptors)?),
    ];
    devices.extend(networks.into_iter().map(|network| Box::new(network) as Box<dyn VirtioDevice>));
    devices.push(Box::new(Rng::default()));
    devices.push(Box::new(Balloon::default()));
    if let Some((directory, watches)) = volumes {
        let volumes = ShareConfig {
            tag: VOLUMES_TAG.to_owned(),
            directory: directory.to_owned(),
            cache: CachePolicy::Volume,
            // The mounts below say what is; the directory itself is a read-only mount.
            read_only: false,
            files: files_of(size.memory),
            limits: limits.clone(),
            watches: watches.clone(),
        };
        devices.push(Box::new(Fs::with_descriptors(&volumes, size.cpus, descriptors)?));
    }
    Ok(devices)
}
