//! All the devices, and the shares that are mounted.

use super::{Device, Share, kind};

/// The most devices.
const MAX_DEVICES: usize = 8;

/// What the kernel has.
#[derive(Debug, Default)]
pub struct Guest {
    devices: [Device; MAX_DEVICES],
    count: usize,
    /// The apps' root file systems.
    rootfs: Option<Share>,
    /// The volumes.
    volumes: Option<Share>,
    /// A share that was mounted has given away what it must not.
    leaked: bool,
}

impl Guest {
    /// A guest with the devices that the command line names: `virtio_mmio.device=4K@0xd0000000:5`.
    pub fn new(command_line: &str) -> Self {
        let mut guest = Guest::default();
        let words = command_line.split(' ').filter_map(|word| word.strip_prefix("virtio_mmio.device=4K@0x"));
        let bases = words.filter_map(|word| u64::from_str_radix(word.split(':').next()?, 16).ok());
        for (device, base) in guest.devices.iter_mut().zip(bases) {
            device.base = base;
            guest.count += 1;
        }
        guest
    }

    /// The devices.
    pub fn devices(&self) -> &[Device] {
        &self.devices[..self.count]
    }

    /// The first device of a kind.
    pub fn device(&self, kind: u32) -> Device {
        self.nth(kind, 0)
    }

    fn nth(&self, kind: u32, number: usize) -> Device {
        let found = self.devices().iter().filter(|device| device.kind() == kind).nth(number);
        *found.unwrap_or_else(|| panic!("no device {number} of kind {kind}"))
    }

    /// The share with the apps' root file systems, mounted.
    pub fn rootfs(&mut self) -> &mut Share {
        let device = self.nth(kind::FS, 0);
        self.rootfs.get_or_insert_with(|| Share::mount(device))
    }

    /// The share with the volumes, mounted.
    pub fn volumes(&mut self) -> &mut Share {
        let device = self.nth(kind::FS, 1);
        self.volumes.get_or_insert_with(|| Share::mount(device))
    }

    /// Forgets that shares are mounted: each is begun anew when it is needed.
    pub fn unmount(&mut self) {
        self.leaked = self.has_leaked();
        self.rootfs = None;
        self.volumes = None;
    }

    /// Whether an answer of a share has ever held what no guest may see.
    pub fn has_leaked(&self) -> bool {
        let shares = [&self.rootfs, &self.volumes];
        self.leaked || shares.into_iter().flatten().any(Share::has_leaked)
    }
}
