//! The device's state.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use virtio_bindings::virtio_ids::VIRTIO_ID_BALLOON;

use super::{DEFLATE_ON_OOM, INFLATE, PAGE, QUEUE_SIZES, REPORT, REPORTING, queues::Queues};
use crate::{
    event_loop::Attachment,
    virtio::{ActivateError, Activation, Interrupt, VirtioDevice},
};

/// Offset of `actual` in the configuration space, behind `num_pages` (virtio 1.2 §5.5.4).
const ACTUAL: u64 = 4;

/// A virtio memory balloon.
#[derive(Debug, Default)]
pub struct Balloon {
    shared: Arc<Shared>,
    attachment: Option<Attachment>,
}

/// How much memory the host wants back, and how much it has.
#[derive(Debug, Clone)]
pub struct BalloonTarget(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// `num_pages`: as many the host wants.
    target: AtomicU32,
    /// `actual`: as many the driver says it gave.
    actual: AtomicU32,
    interrupt: Mutex<Option<Arc<Interrupt>>>,
}

impl Balloon {
    /// A handle that works for as long as the device does, from any thread.
    pub fn target(&self) -> BalloonTarget {
        BalloonTarget(Arc::clone(&self.shared))
    }
}

impl BalloonTarget {
    /// Asks the guest to give up `bytes` of its memory, in place of what it was asked for before.
    pub fn set(&self, bytes: u64) {
        let pages = u32::try_from(bytes / PAGE).unwrap_or(u32::MAX);
        self.0.target.store(pages, Ordering::SeqCst);
        if let Some(interrupt) = &*self.0.interrupt.lock().unwrap_or_else(PoisonError::into_inner) {
            interrupt.change_config(|| self.0.config_space());
        }
    }

    /// Bytes the guest says it gave up.
    pub fn reached(&self) -> u64 {
        u64::from(self.0.actual.load(Ordering::SeqCst)) * PAGE
    }
}

impl Shared {
    fn config_space(&self) -> Vec<u8> {
        [&self.target, &self.actual].map(|field| field.load(Ordering::SeqCst).to_le_bytes()).concat()
    }

    fn set_interrupt(&self, interrupt: Option<Arc<Interrupt>>) {
        *self.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = interrupt;
    }
}

impl VirtioDevice for Balloon {
    fn device_type(&self) -> u32 {
        VIRTIO_ID_BALLOON
    }

    fn features(&self) -> u64 {
        1 << DEFLATE_ON_OOM | 1 << REPORTING
    }

    fn queue_sizes(&self) -> &[u16] {
        &QUEUE_SIZES
    }

    fn config_space(&self) -> Vec<u8> {
        self.shared.config_space()
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        if let (ACTUAL, Ok(actual)) = (offset, data.try_into()) {
            self.shared.actual.store(u32::from_le_bytes(actual), Ordering::SeqCst);
        }
    }

    fn activate(&mut self, activation: Activation) -> Result<(), ActivateError> {
        let Activation { memory, features, queues, interrupt, event_loop } = activation;
        let queues =
            <[_; 3]>::try_from(queues).map_err(|queues| ActivateError::MissingQueue(queues.len()))?;
        // A driver without page reporting has no queue for it.
        let needed = if features & 1 << REPORTING != 0 { REPORT } else { REPORT - 1 };
        if let Some(missing) = (INFLATE..=needed).find(|&index| !queues[index].is_ready()) {
            return Err(ActivateError::MissingQueue(missing));
        }
        self.shared.set_interrupt(Some(Arc::clone(&interrupt)));
        self.attachment = Some(Attachment::new(event_loop, Box::new(Queues { queues, memory, interrupt }))?);
        Ok(())
    }

    fn reset(&mut self) {
        self.shared.set_interrupt(None);
        self.shared.actual.store(0, Ordering::SeqCst);
        if let Some(attachment) = self.attachment.take() {
            attachment.detach();
        }
    }
}
