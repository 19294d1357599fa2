//! The virtio network device (virtio 1.2 §5.1): an Ethernet card whose cable ends at a tap interface of the host.
//!
//! ```text
//!                       ┌─ Worker: a thread of this process, readv and writev on guest memory
//! rx/tx queue pairs ────┤                                                                      ──── Tap
//!                       └─ VhostPair: the host kernel's vhost-net, told where the queues are
//! control queue ── Control ── Pairs: how many of the pairs are in use
//! ```
//!
//! To add an interface to a machine: `Tap::create` in the network namespace it shall be in, with `queue_pairs` of the
//! machine's CPUs; then `Net::new` with a [`NetConfig`]; then `Machine::add_device`. The device sets neither the
//! interface's MTU nor its state; whoever made it does. The guest finds the interface by its MAC address.
//!
//! Which data path a device takes is decided when it is made: vhost-net where `/dev/vhost-net` opens, else user space;
//! [`Net::data_path`] tells. The guest sees the same device.
//!
//! A packet is preceded by a header (§5.1.6) that says where a checksum is missing and how large segments shall be.
//! It passes through untouched, but for the number of buffers: the kernel checks the guest's, and makes that of a
//! packet for the guest.

mod config;
mod control;
mod device;
mod features;
mod pairs;
mod pieces;
mod receive;
mod steering;
mod tap;
mod transmit;
mod used;
mod vhost;
mod worker;

pub use config::NetConfig;
pub use device::{Counters, Net};
pub use tap::{Tap, TapError, queue_pairs};

/// Bytes of `struct virtio_net_hdr_v1`, in front of every packet (virtio 1.2 §5.1.6).
const HEADER_LEN: usize = 12;
/// Offset of `num_buffers` in it.
const NUM_BUFFERS: usize = 10;
/// Bytes of an Ethernet header, and of two VLAN tags that may follow it.
const ETHERNET_LEN: usize = 14;
const VLAN_LEN: usize = 8;
/// The longest packet of either direction, header included: what segmentation leaves to the other side is an IP packet.
const MAX_FRAME: usize = HEADER_LEN + ETHERNET_LEN + VLAN_LEN + 65536;

/// Size of receive and transmit queues. Linux keeps at least half the former filled: with buffers for 1500 bytes,
/// enough for two packets of the greatest length.
const QUEUE_SIZE: u16 = 256;
/// Linux sends one command at a time.
const CONTROL_QUEUE_SIZE: u16 = 64;
