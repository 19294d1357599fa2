//! Features, and the work they leave to the other side.

use std::ffi::c_uint;

use libc::{TUN_F_CSUM, TUN_F_TSO_ECN, TUN_F_TSO4, TUN_F_TSO6, TUN_F_UFO, TUN_F_USO4, TUN_F_USO6};
use virtio_bindings::{
    virtio_net::*,
    virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC},
};

use super::{ETHERNET_LEN, HEADER_LEN, MAX_FRAME, Tap, VLAN_LEN};

/// What every device offers.
const ALWAYS: &[u32] = &[
    VIRTIO_RING_F_EVENT_IDX,
    VIRTIO_RING_F_INDIRECT_DESC,
    VIRTIO_NET_F_MAC,
    VIRTIO_NET_F_MTU,
    VIRTIO_NET_F_STATUS,
    VIRTIO_NET_F_MRG_RXBUF,
    VIRTIO_NET_F_CSUM,
    VIRTIO_NET_F_HOST_TSO4,
    VIRTIO_NET_F_HOST_TSO6,
    VIRTIO_NET_F_HOST_ECN,
    VIRTIO_NET_F_HOST_UFO,
    VIRTIO_NET_F_GUEST_CSUM,
    VIRTIO_NET_F_GUEST_TSO4,
    VIRTIO_NET_F_GUEST_TSO6,
    VIRTIO_NET_F_GUEST_ECN,
    VIRTIO_NET_F_GUEST_UFO,
];
/// With host kernels since 6.2.
const UDP_SEGMENTATION: &[u32] = &[VIRTIO_NET_F_HOST_USO, VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6];
/// With several queue pairs.
const SEVERAL_PAIRS: &[u32] = &[VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ];
/// The features with which the guest takes packets longer than its MTU.
const GUEST_SEGMENTATION: &[u32] = &[
    VIRTIO_NET_F_GUEST_TSO4,
    VIRTIO_NET_F_GUEST_TSO6,
    VIRTIO_NET_F_GUEST_UFO,
    VIRTIO_NET_F_GUEST_USO4,
    VIRTIO_NET_F_GUEST_USO6,
];

/// What a device at the end of `tap` offers.
pub(super) fn offered(tap: &Tap) -> u64 {
    let uso = if tap.segments_udp() { UDP_SEGMENTATION } else { &[] };
    let several = if tap.queue_pairs() > 1 { SEVERAL_PAIRS } else { &[] };
    [ALWAYS, uso, several].concat().into_iter().fold(0, |features, bit| features | 1 << bit)
}

/// Whether both sides agreed on a feature.
pub(super) fn has(features: u64, bit: u32) -> bool {
    features & 1 << bit != 0
}

/// What the tap need not do to packets for a guest with these features. The kernel refuses combinations that make no
/// sense; a driver that asks for one gets less.
pub(super) fn offloads(features: u64) -> c_uint {
    if !has(features, VIRTIO_NET_F_GUEST_CSUM) {
        return 0;
    }
    let flag = |bit, flag| if has(features, bit) { flag } else { 0 };
    let mut flags = TUN_F_CSUM | flag(VIRTIO_NET_F_GUEST_UFO, TUN_F_UFO);
    let tcp = flag(VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4) | flag(VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6);
    if tcp != 0 {
        flags |= tcp | flag(VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN);
    }
    if has(features, VIRTIO_NET_F_GUEST_USO4) && has(features, VIRTIO_NET_F_GUEST_USO6) {
        flags |= TUN_F_USO4 | TUN_F_USO6;
    }
    flags
}

/// Bytes of the longest packet for a guest with these features, header included.
pub(super) fn longest_frame(features: u64, mtu: u16) -> usize {
    match GUEST_SEGMENTATION.iter().any(|&bit| has(features, bit)) {
        true => MAX_FRAME,
        false => HEADER_LEN + ETHERNET_LEN + VLAN_LEN + usize::from(mtu),
    }
}
