//! The device's state.

use virtio_bindings::virtio_ids::VIRTIO_ID_RNG;

use super::{QUEUE_SIZE, queue::RequestQueue};
use crate::{
    event_loop::Attachment,
    virtio::{ActivateError, Activation, VirtioDevice},
};

/// A virtio entropy device, fed by the host kernel's generator.
#[derive(Debug, Default)]
pub struct Rng {
    attachment: Option<Attachment>,
}

impl VirtioDevice for Rng {
    fn device_type(&self) -> u32 {
        VIRTIO_ID_RNG
    }

    fn features(&self) -> u64 {
        0
    }

    fn queue_sizes(&self) -> &[u16] {
        &[QUEUE_SIZE]
    }

    fn config_space(&self) -> Vec<u8> {
        Vec::new()
    }

    fn activate(&mut self, activation: Activation) -> Result<(), ActivateError> {
        let Activation { memory, mut queues, interrupt, event_loop, .. } = activation;
        let queue = queues.pop().filter(|queue| queue.is_ready()).ok_or(ActivateError::MissingQueue(0))?;
        let requests = RequestQueue { queue, memory, interrupt };
        self.attachment = Some(Attachment::new(event_loop, Box::new(requests))?);
        Ok(())
    }

    fn reset(&mut self) {
        if let Some(attachment) = self.attachment.take() {
            attachment.detach();
        }
    }
}
