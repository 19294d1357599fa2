//! The data path in the host's kernel: vhost-net.

use std::{fmt, fs::File, io, sync::Arc};

use vhost::{
    VhostBackend, VhostUserMemoryRegionInfo, VringConfigData, net::VhostNet,
    vhost_kern::net::Net as KernelNet,
};
use virtio_bindings::{
    virtio_config::VIRTIO_F_VERSION_1,
    virtio_net::VIRTIO_NET_F_MRG_RXBUF,
    virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC},
};
use virtio_queue::{Queue, QueueT};
use vm_memory::{
    Address, GuestAddress, GuestAddressSpace, GuestMemory, GuestMemoryAtomic, GuestMemoryMmap,
    GuestMemoryRegion,
};
use vmm_sys_util::eventfd::EventFd;

use super::pairs::QueuePair;
use crate::virtio::{ActiveQueue, GuestRam, Interrupt};

/// What concerns vhost-net; the rest is between driver and tap. `VHOST_NET_F_VIRTIO_NET_HDR` is not among them: it is
/// the tap that makes headers.
const FEATURES: u64 = 1 << VIRTIO_F_VERSION_1
    | 1 << VIRTIO_NET_F_MRG_RXBUF
    | 1 << VIRTIO_RING_F_EVENT_IDX
    | 1 << VIRTIO_RING_F_INDIRECT_DESC;
/// Index of the receive queue, and of the transmit queue, for vhost-net.
const RX: usize = 0;
const TX: usize = 1;

/// Why the kernel does not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum VhostError {
    /// Not there, or not allowed, or refused.
    #[error("{0}")]
    Vhost(#[from] vhost::Error),
    /// An old kernel.
    #[error("vhost-net lacks features {0:#x}")]
    Features(u64),
    /// The driver's ring is not all in one region of memory.
    #[error("A queue is not in guest memory")]
    Queue,
    /// No more descriptors.
    #[error("{0}")]
    Resource(#[from] io::Error),
}

/// An instance of vhost-net: one queue pair. It outlives resets, for a jailed process can open no other.
pub(super) struct Vhost {
    net: KernelNet<GuestMemoryAtomic<GuestMemoryMmap>>,
    /// Shared with `net`; empty until the device is activated.
    memory: GuestMemoryAtomic<GuestMemoryMmap>,
}

impl Vhost {
    /// Opens `/dev/vhost-net`. From then on a thread of the kernel belongs to this process.
    pub fn open() -> Result<Self, VhostError> {
        let memory = GuestMemoryAtomic::new(GuestMemoryMmap::new());
        let net = KernelNet::new(memory.clone())?;
        let missing = FEATURES & !net.get_features()?;
        if missing != 0 {
            return Err(VhostError::Features(missing));
        }
        net.set_owner()?;
        Ok(Vhost { net, memory })
    }

    fn set_memory(&self, memory: &GuestMemoryMmap) -> Result<(), VhostError> {
        let regions = memory.iter().map(|region| VhostUserMemoryRegionInfo {
            guest_phys_addr: region.start_addr().raw_value(),
            memory_size: region.len(),
            userspace_addr: region.as_ptr() as u64,
            ..VhostUserMemoryRegionInfo::default()
        });
        self.net.set_mem_table(&regions.collect::<Vec<_>>())?;
        // Poisoned only by a panic in here.
        if let Ok(guard) = self.memory.lock() {
            guard.replace(memory.clone());
        }
        Ok(())
    }

    fn set_queue(&self, index: usize, queue: &ActiveQueue, call: &EventFd) -> Result<(), VhostError> {
        let memory = &*self.memory.memory();
        let ActiveQueue { queue, kick } = queue;
        if !lies_in_one_region(memory, queue) {
            return Err(VhostError::Queue);
        }
        self.net.set_vring_num(index, queue.size())?;
        self.net.set_vring_base(index, 0)?;
        let config = VringConfigData {
            queue_max_size: queue.max_size(),
            queue_size: queue.size(),
            desc_table_addr: queue.desc_table(),
            avail_ring_addr: queue.avail_ring(),
            used_ring_addr: queue.used_ring(),
            ..VringConfigData::default()
        };
        self.net.set_vring_addr(index, &config)?;
        self.net.set_vring_call(index, call)?;
        self.net.set_vring_kick(index, kick)?;
        Ok(())
    }
}

impl fmt::Debug for Vhost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vhost").finish_non_exhaustive()
    }
}

/// A queue pair served by vhost-net.
///
/// The kernel raises the interrupt line itself: no exit and no thread of ours is in the way.
#[derive(Debug)]
pub(super) struct VhostPair {
    vhost: Arc<Vhost>,
    kicks: [EventFd; 2],
}

impl VhostPair {
    /// Tells the kernel of the queues; it does nothing with them until the pair is connected.
    pub fn new(
        vhost: &Arc<Vhost>,
        features: u64,
        memory: &GuestRam,
        interrupt: &Interrupt,
        [rx, tx]: [&ActiveQueue; 2],
    ) -> Result<Self, VhostError> {
        vhost.net.set_features(features & FEATURES)?;
        vhost.set_memory(memory)?;
        for (index, queue) in [(RX, rx), (TX, tx)] {
            vhost.set_queue(index, queue, interrupt.line())?;
        }
        let kicks = [rx.kick.try_clone()?, tx.kick.try_clone()?];
        Ok(VhostPair { vhost: Arc::clone(vhost), kicks })
    }

    fn set_backend(&self, queue: Option<&File>) -> io::Result<()> {
        for index in [RX, TX] {
            self.vhost.net.set_backend(index, queue).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

impl QueuePair for VhostPair {
    fn connect(&self, queue: &File) -> io::Result<()> {
        self.set_backend(Some(queue))?;
        for kick in &self.kicks {
            // What the driver said before the kernel listened. The counter cannot be at its limit.
            let _ = kick.write(1);
        }
        Ok(())
    }

    fn disconnect(&self, _queue: &File) {
        // Returns when the kernel is done with the queues. Fails only for a queue that does not exist.
        let _ = self.set_backend(None);
    }
}

/// The kernel gets the host's address of each part's beginning, and takes it from there.
fn lies_in_one_region(memory: &GuestMemoryMmap, queue: &Queue) -> bool {
    let elements = usize::from(queue.size());
    let parts = [
        (queue.desc_table(), 16 * elements),
        (queue.avail_ring(), 6 + 2 * elements),
        (queue.used_ring(), 6 + 8 * elements),
    ];
    parts.iter().all(|&(start, length)| memory.get_slice(GuestAddress(start), length).is_ok())
}
