//! The device as the transport sees it.

use virtio_bindings::{virtio_ids::VIRTIO_ID_VSOCK, virtio_ring::VIRTIO_RING_F_EVENT_IDX};

use super::{QUEUE_SIZES, RX_QUEUE, TX_QUEUE, event_handler::Traffic, exchange::Exchange, host::Ports};
use crate::{
    event_loop::Attachment,
    virtio::{ActivateError, Activation, ActiveQueue, VirtioDevice},
};

/// Stream sockets; there are no others here (virtio 1.2 §5.10.3).
const VIRTIO_VSOCK_F_STREAM: u64 = 0;

/// The virtio socket device. The guest connects to the ports of the host, CID 2, on which stage1 listens.
#[derive(Debug)]
pub struct Vsock {
    guest_cid: u64,
    ports: Ports,
    attachment: Option<Attachment>,
}

impl Vsock {
    /// A device for a guest with this context ID (3 or more), which may connect to `ports`.
    pub fn new(guest_cid: u64, ports: Ports) -> Self {
        Vsock { guest_cid, ports, attachment: None }
    }
}

impl VirtioDevice for Vsock {
    fn device_type(&self) -> u32 {
        VIRTIO_ID_VSOCK
    }

    fn features(&self) -> u64 {
        1 << VIRTIO_RING_F_EVENT_IDX | 1 << VIRTIO_VSOCK_F_STREAM
    }

    fn queue_sizes(&self) -> &[u16] {
        &QUEUE_SIZES
    }

    /// `guest_cid` is all there is (virtio 1.2 §5.10.4).
    fn config_space(&self) -> Vec<u8> {
        self.guest_cid.to_le_bytes().to_vec()
    }

    fn activate(&mut self, activation: Activation) -> Result<(), ActivateError> {
        let Activation { memory, queues, interrupt, event_loop, .. } = activation;
        let mut queues = queues.into_iter();
        let rx = set_up(queues.next(), RX_QUEUE)?;
        let tx = set_up(queues.next(), TX_QUEUE)?;
        let exchange = Exchange::new(self.guest_cid, self.ports.clone());
        let traffic = Traffic { memory, interrupt, rx, tx, exchange };
        self.attachment = Some(Attachment::new(event_loop, Box::new(traffic))?);
        Ok(())
    }

    /// To the host, connections end as if the guest had closed them.
    fn reset(&mut self) {
        if let Some(attachment) = self.attachment.take() {
            attachment.detach();
        }
    }
}

fn set_up(queue: Option<ActiveQueue>, index: usize) -> Result<ActiveQueue, ActivateError> {
    queue.filter(ActiveQueue::is_ready).ok_or(ActivateError::MissingQueue(index))
}

#[cfg(test)]
mod tests;
