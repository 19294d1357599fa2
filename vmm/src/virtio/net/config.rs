//! What a network device is made of, and the part of it the guest reads.

use virtio_bindings::virtio_net::VIRTIO_NET_S_LINK_UP;

use super::Tap;

/// A network interface of the guest.
#[derive(Debug)]
pub struct NetConfig {
    /// The guest's address, by which its configuration is found. Not the tap's.
    pub mac: [u8; 6],
    /// The largest packet of the network, in bytes without the Ethernet header; at least 68 (virtio 1.2 §5.1.4.1).
    pub mtu: u16,
    /// The host's end of the cable.
    pub tap: Tap,
}

impl NetConfig {
    /// `struct virtio_net_config` (virtio 1.2 §5.1.4): MAC address, status, queue pairs, MTU.
    pub(super) fn space(&self) -> [u8; 12] {
        let mut space = [0; 12];
        space[..6].copy_from_slice(&self.mac);
        space[6..8].copy_from_slice(&(VIRTIO_NET_S_LINK_UP as u16).to_le_bytes());
        space[8..10].copy_from_slice(&self.tap.queue_pairs().to_le_bytes());
        space[10..].copy_from_slice(&self.mtu.to_le_bytes());
        space
    }
}
